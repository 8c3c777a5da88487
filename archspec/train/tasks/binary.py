"""Yes or no, once or for several labels: logits [N, k] → binary cross entropy, accuracy, F1.

    binary         one number a sample, two classes     is it a cat? a target is 0 or 1
    multi_label    a number for each label              which of these are there? targets [N, k]

    loss: {binary_cross_entropy_with_logits: {pos_weight: 3}}      what is there counts three times

A network that ends in a sigmoid takes `loss: binary_cross_entropy`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn

from archspec.train.errors import TrainError
from archspec.train.named import Called, loss
from archspec.train.targets import CLASSES, LABELS
from archspec.train.tasks.base import Move, Sums, Task, count, one_input

if TYPE_CHECKING:
    from archspec.network import Program
    from archspec.train.plan import Plan
    from archspec.train.sets import Sets

_LOGITS, _SHARES = "binary_cross_entropy_with_logits", "binary_cross_entropy"
_COUNTS = ("hits", "false", "missed")  # true positives, false positives, false negatives


class MultiLabel(Task):
    """For each of several labels whether it is there."""

    name: ClassVar[str] = "multi_label"
    targets: ClassVar[str] = LABELS
    mixes: ClassVar[bool] = True
    known: ClassVar[tuple[str, ...]] = ("loss", "accuracy", "exact", "f1", "map")
    later: ClassVar[frozenset[str]] = frozenset({"map"})
    monitor: ClassVar[str] = "val.f1"
    losses: ClassVar[tuple[str, ...]] = (_LOGITS, _SHARES)

    def __init__(self, plan: Plan, program: Program | None) -> None:
        super().__init__(plan, program)
        self.criterion = loss(plan.loss or Called(_LOGITS, {}))
        self.smooth = plan.label_smoothing

    def _wanted(self, y: Tensor) -> Tensor:
        """Targets as outputs are: [N, k] from 0 to 1."""
        return y.float()

    def _there(self, y: Tensor) -> Tensor:
        return self._wanted(y) > 0.5

    def moves(self, model: nn.Module, x: Any, y: Any) -> Iterator[Move]:
        output, _ = self.outputs(model(x))
        wanted = self._wanted(y)
        found = self.criterion(output, wanted + self.smooth * (0.5 - wanted))
        yield Move(found, {**count(found, y), **self._counts(output.detach(), self._there(y))})

    def score(self, model: nn.Module, x: Any, y: Any) -> Sums:
        output, _ = self.outputs(model(x))
        there = self._there(y)
        ranked = torch.stack([self.shares(output).double(), there.double()], 2)
        found = self.criterion(output, self._wanted(y))
        return {**count(found, y), **self._counts(output, there), "rows_ranked": ranked}

    def _counts(self, output: Tensor, there: Tensor) -> Sums:
        said = self.shares(output) > 0.5
        return {
            "right": (said == there).sum(0), "exact": (said == there).all(1).sum(),
            "hits": (said & there).sum(0), "false": (said & ~there).sum(0),
            "missed": (~said & there).sum(0),
        }  # fmt: skip

    def of_each(self, model: nn.Module, x: Any, y: Any) -> Tensor:
        output, _ = self.outputs(model(x))
        found: Tensor = self.criterion(output, self._wanted(y), reduction="none")
        return found.flatten(1).mean(1)

    def figures(self, sums: Sums) -> dict[str, float]:
        n = max(int(sums["n"]), 1)
        found = {
            "loss": float(sums["loss"]) / n,
            "accuracy": float(sums["right"].double().mean()) / n,
            "exact": int(sums["exact"]) / n,
            "f1": float(self._f1(sums).nanmean().nan_to_num()),
        }
        if "rows_ranked" in sums:
            found["map"] = float(average_precision(sums["rows_ranked"]).nanmean().nan_to_num())
        return found

    def _f1(self, sums: Sums) -> Tensor:
        """Of each label 2·TP / (2·TP + FP + FN); nan where it is nowhere and nothing says it is."""
        hits, false, missed = (sums[name].cpu().double() for name in _COUNTS)
        return 2 * hits / (2 * hits + false + missed)

    def tables(self, sums: Sums) -> dict[str, Any]:
        both = {"f1": self._f1(sums), "ap": average_precision(sums["rows_ranked"])}
        return {"by_class": {
            name: [None if one != one else one for one in values.tolist()]
            for name, values in both.items()
        }}  # fmt: skip

    def shares(self, found: Any) -> Tensor:
        output, _ = self.outputs(found)
        return output if self.loss_name == _SHARES else output.sigmoid()

    def answers(self, shares: Tensor, classes: tuple[str, ...], top: int) -> list[Any]:
        """Every label that is more likely there than not; the `top` likeliest where none is."""
        said = []
        for row in shares.tolist():
            names = classes or tuple(map(str, range(len(row))))
            pairs = sorted(zip(names, row, strict=True), key=lambda pair: -pair[1])
            there = [pair for pair in pairs if pair[1] > 0.5] or pairs[:top]
            said.append({name: round(value, 6) for name, value in there})
        return said

    # -------------------------------------------------------------- before the first step

    def refuse(self, sets: Sets) -> None:
        self._targets(sets)
        if self.program is None:
            return
        one_input(self.program)
        edge = self.program.graph.outputs[self.main][0]
        node = self.program.graph.steps[edge.node]
        self._ends(node.path, node.op)
        self.weighed(sum(node.outs[edge.output].shape[:1]), alone=True)
        self._width(node.outs[edge.output].shape, sets)

    def _targets(self, sets: Sets) -> None:
        """Raises TrainError where a target is not what the task learns."""
        _, y = sets.train.plain()[0]
        if not isinstance(y, Tensor) or y.ndim != 1:
            shape = list(y.shape) if isinstance(y, Tensor) else type(y).__name__
            said = f"a target is {shape}, not a number for each label"
            raise TrainError("E804", said, "give y [N, k] of 0 and 1")
        every = sets.train.samples.targets
        if isinstance(every, Tensor) and bool(((every < 0) | (every > 1)).any()):
            said = f"targets are from {every.min():g} to {every.max():g}"
            raise TrainError("E804", said, "1 is there and 0 is not")

    def _ends(self, path: str, op: str) -> None:
        """Raises where the last op and the loss are not made for one another."""
        if self.loss_name == _LOGITS and op in ("sigmoid", "softmax", "log_softmax"):
            said = f"`{_LOGITS}` takes logits and has a sigmoid in it; the network ends in `{path}`"
            help = f"take `{path}` out of the spec"
            help += f", or write `loss: {_SHARES}`" if op == "sigmoid" else ""
            raise TrainError("E805", said, help)
        if self.loss_name == _SHARES and op != "sigmoid":
            said = f"`{_SHARES}` takes numbers from 0 to 1; the network ends in `{path}` ({op})"
            raise TrainError("E805", said, f"`loss: {_LOGITS}` is for logits")

    def _width(self, shape: tuple[int, ...], sets: Sets) -> None:
        _, y = sets.train.plain()[0]
        if shape != (len(y),):
            said = f"a sample has {len(y)} labels, the head `{self.main}` is {list(shape)}"
            raise TrainError("E804", said, "make the head as wide as there are labels")


class Binary(MultiLabel):
    """One of two classes, by one number: how likely it is the second."""

    name: ClassVar[str] = "binary"
    targets: ClassVar[str] = CLASSES
    known: ClassVar[tuple[str, ...]] = ("loss", "accuracy", "precision", "recall", "f1", "ap")
    later: ClassVar[frozenset[str]] = frozenset({"ap"})
    monitor: ClassVar[str] = "val.accuracy"

    def _wanted(self, y: Tensor) -> Tensor:
        return y.float().view(-1, 1)

    def figures(self, sums: Sums) -> dict[str, float]:
        hits, false, missed = (int(sums[name]) for name in _COUNTS)
        found = super().figures(sums)
        return {
            "loss": found["loss"], "accuracy": found["accuracy"],
            "precision": hits / max(hits + false, 1), "recall": hits / max(hits + missed, 1),
            "f1": found["f1"], **({"ap": found["map"]} if "map" in found else {}),
        }  # fmt: skip

    def tables(self, sums: Sums) -> dict[str, Any]:
        hits, false, missed = (int(sums[name]) for name in _COUNTS)
        rest = int(sums["n"]) - hits - false - missed
        return {"confusion": [[rest, false], [missed, hits]]}

    def answers(self, shares: Tensor, classes: tuple[str, ...], top: int) -> list[Any]:
        """Both classes and their probabilities, the likelier one first."""
        names = classes or ("0", "1")
        pairs = [{names[0]: 1 - share, names[1]: share} for share in shares[:, 0].tolist()]
        return [
            {name: round(pair[name], 6) for name in sorted(pair, key=pair.__getitem__)[::-1][:top]}
            for pair in pairs
        ]

    def _targets(self, sets: Sets) -> None:
        _, y = sets.train.plain()[0]
        if not isinstance(y, Tensor | int) or (isinstance(y, Tensor) and y.ndim):
            shape = list(y.shape) if isinstance(y, Tensor) else type(y).__name__
            raise TrainError("E804", f"a target is {shape}, not 0 or 1", "give y [N]")
        every, many = sets.train.samples.targets, len(sets.facts.classes)
        beyond = isinstance(every, Tensor) and bool(((every != 0) & (every != 1)).any())
        if many not in (0, 2) or beyond:
            said = f"the data have {many or 'other'} classes; `binary` tells two apart, 0 and 1"
            raise TrainError("E804", said, "`task: classification` is for more")

    def _width(self, shape: tuple[int, ...], sets: Sets) -> None:
        if shape != (1,):
            said = f"the head `{self.main}` is {list(shape)}; `binary` needs one number"
            raise TrainError("E804", said, "`task: classification` takes a number a class")


def average_precision(ranked: Tensor) -> Tensor:
    """Scores and what is there, [N, k, 2], of all samples → average precision of each label, [k].

    The mean over samples that have the label of the precision at their score, equal scores taken
    together: scikit-learn's `average_precision_score`. nan for a label that is nowhere.
    """
    found = []
    for column in ranked.cpu().unbind(1):
        scores, there = column.T
        order = scores.argsort(descending=True)
        hits = there[order].cumsum(0)
        precision = hits / torch.arange(1, len(hits) + 1)
        last = torch.searchsorted(-scores[order], -scores[order], right=True) - 1
        found.append((precision[last] * there[order]).sum() / there.sum())
    return torch.stack(found)
