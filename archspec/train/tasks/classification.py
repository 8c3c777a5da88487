"""Classes: logits [N, K], classes [N] → cross entropy, accuracy, top 5, F1, who is taken for whom.

All is counted in whole numbers, the confusion matrix first, so that sums over batches and processes
are exact. Auxiliary heads (outputs of training only) take part in the loss with the weights that
were published for them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn

from archspec.text.words import did_you_mean
from archspec.train.errors import TrainError
from archspec.train.inputs import call
from archspec.train.named import Called, loss
from archspec.train.tasks.base import Move, Sums, Task, count

if TYPE_CHECKING:
    from archspec.expand.graph import Node
    from archspec.network import Program
    from archspec.train.plan import Plan
    from archspec.train.sets import Sets

_TOP = 5
# Szegedy et al. 2015 (arXiv 1409.4842), section 5; for Inception v3 the number that torchvision's
# reference trains with.
_AUX = {"googlenet": 0.3, "inception_v3": 0.4}
_AUX_ELSE = 0.3


class Classification(Task):
    """One class of several for each sample."""

    name: ClassVar[str] = "classification"
    mixes: ClassVar[bool] = True
    known: ClassVar[tuple[str, ...]] = ("loss", "accuracy", "top5", "f1")
    later: ClassVar[frozenset[str]] = frozenset({"top5", "f1"})
    monitor: ClassVar[str] = "val.accuracy"
    losses: ClassVar[tuple[str, ...]] = ("cross_entropy", "nll", "multi_margin")

    def __init__(self, plan: Plan, program: Program | None) -> None:
        super().__init__(plan, program)
        called = plan.loss or Called("cross_entropy", {})
        self.measure = loss(called)
        smooth = {"label_smoothing": plan.label_smoothing} if plan.label_smoothing else {}
        if smooth and self.loss_name != "cross_entropy":
            said = f"`{self.loss_name}` knows no label smoothing"
            raise plan.fault("E805", said, "label_smoothing", help="`loss: cross_entropy` does")
        data = plan.data.augment if plan.data is not None else ()
        if self.loss_name != "cross_entropy" and any(one.name == "mixup" for one in data):
            said = f"`{self.loss_name}` takes one class for each sample, and `mixup` gives two"
            raise plan.fault("E805", said, "data", "augment", help="`loss: cross_entropy` does")
        self.criterion = loss(Called(called.name, {**called.args, **smooth}))
        aside = program.graph.training_outputs if program is not None else frozenset()
        default = _AUX.get(program.spec.name, _AUX_ELSE) if program is not None else _AUX_ELSE
        self.aux = {name: plan.aux.get(name, default) for name in aside}
        for name in plan.aux:
            if name not in self.aux:
                said = f"the network has no auxiliary output `{name}`"
                raise plan.fault("E802", said, "aux", name, help=did_you_mean(name, self.aux))

    def measured(self) -> tuple[str, ...]:
        if self.program is None:
            return self.known
        edge = self.program.graph.outputs[self.main][0]
        shape = self.program.graph.steps[edge.node].outs[edge.output].shape
        few = bool(shape) and shape[0] <= _TOP
        return tuple(name for name in self.known if not (few and name == f"top{_TOP}"))

    def moves(self, model: nn.Module, x: Any, y: Any) -> Iterator[Move]:
        output, others = self.outputs(call(model, x))
        found = self.criterion(output, y)
        whole = found
        for name, weight in self.aux.items():
            if name in others:
                whole = whole + weight * self.criterion(others[name], y)
        right = (output.detach().argmax(1) == (y if y.ndim == 1 else y.argmax(1))).sum()
        yield Move(whole, {**count(found, y), "right": right})

    def score(self, model: nn.Module, x: Any, y: Any) -> Sums:
        output, _ = self.outputs(call(model, x))
        classes = output.shape[1]
        pairs = y * classes + output.argmax(1)
        matrix = torch.bincount(pairs, minlength=classes**2).view(classes, classes)
        found = {**count(self.measure(output, y), y), "confusion": matrix}
        if classes > _TOP:
            best = output.topk(_TOP, 1).indices
            found["top"] = (best == y[:, None]).sum()
        return found

    def of_each(self, model: nn.Module, x: Any, y: Any) -> Tensor:
        output, _ = self.outputs(call(model, x))
        found: Tensor = self.measure(output, y, reduction="none")
        return found

    def figures(self, sums: Sums) -> dict[str, float]:
        n = max(int(sums["n"]), 1)
        found = {"loss": float(sums["loss"]) / n}
        matrix = sums.get("confusion")
        if matrix is None:
            return {**found, "accuracy": int(sums["right"]) / n}
        found["accuracy"] = int(matrix.diagonal().sum()) / n
        if "top" in sums:
            found[f"top{_TOP}"] = int(sums["top"]) / n
        return {**found, "f1": f1(matrix)}

    def tables(self, sums: Sums) -> dict[str, Any]:
        return {"confusion": sums["confusion"].tolist()}

    def shares(self, output: Tensor) -> Tensor:
        if self.loss_name == "nll":
            return output.exp()
        return output.softmax(1)

    def answers(self, shares: Tensor, classes: tuple[str, ...], top: int) -> list[Any]:
        """The likeliest classes by name, the first the likeliest."""
        values, indices = shares.topk(min(top, shares.shape[1]), 1)
        names = [classes[i] if i < len(classes) else str(i) for i in range(shares.shape[1])]
        return [
            {names[i]: round(value, 6) for i, value in zip(row, found, strict=True)}
            for row, found in zip(indices.tolist(), values.tolist(), strict=True)
        ]

    # -------------------------------------------------------------- before the first step

    def refuse(self, sets: Sets) -> None:
        _, y = sets.train.plain()[0]
        if not isinstance(y, Tensor | int) or (isinstance(y, Tensor) and y.ndim):
            shape = list(y.shape) if isinstance(y, Tensor) else type(y).__name__
            said = f"a target is {shape}, not the number of one class"
            made = "`y[:, 0]`" if shape == [1] else "`y.argmax(1)` of one-hot"
            raise TrainError("E804", said, f"give y [N] of whole numbers: {made}")
        if isinstance(y, Tensor) and y.is_floating_point():
            said = f"targets are {y.dtype}; classes are whole numbers"
            raise TrainError("E804", said, "`y.long()`, or `task: regression` for numbers")
        if self.program is not None:
            edge = self.program.graph.outputs[self.main][0]
            node = self.program.graph.steps[edge.node]
            self._ends(node)
            self._width(node.outs[edge.output].shape, sets)

    def _ends(self, node: Node) -> None:
        """Raises where the last op and the loss are not made for one another."""
        where, op = f"`{node.path}`", node.op
        if self.loss_name == "cross_entropy" and op in ("softmax", "log_softmax"):
            said = (
                f"cross entropy takes logits and has a softmax in it; the network ends in {where}"
            )
            help = f"take {where} out of the spec; `archspec predict` gives probabilities"
            if op == "log_softmax":
                help = "`loss: nll` is for a network that ends in log_softmax"
            raise TrainError("E805", said, help)
        if self.loss_name == "nll" and op != "log_softmax":
            said = f"`nll` takes logarithms of probabilities; the network ends in {where} ({op})"
            raise TrainError("E805", said, "`loss: cross_entropy` is for logits")

    def _width(self, shape: tuple[int, ...], sets: Sets) -> None:
        self.weighed(shape[0] if shape else 0)
        if len(shape) != 1:
            said = f"the output `{self.main}` has shape {list(shape)}, not one number a class"
            raise TrainError("E804", said, "`task` says what is learned; classification is default")
        targets = sets.train.samples.targets
        classes = len(sets.facts.classes)
        if classes == 1:
            said = f"the data have one class, `{sets.facts.classes[0]}`, and none to tell it from"
            raise TrainError("E804", said, "each class is a folder, or a name in the last column")
        if not classes and isinstance(targets, Tensor):
            low, high = int(targets.min()), int(targets.max())
            if low < 0 or high >= shape[0]:
                said = f"targets are from {low} to {high}; the head has {shape[0]} classes"
                raise TrainError(
                    "E804", said, f"they count from 0; {self._wider(high + 1, shape[0])}"
                )
        elif classes and classes != shape[0]:
            said = f"the data have {classes} classes, the head `{self.main}` has {shape[0]}"
            raise TrainError("E804", said, self._wider(classes, shape[0]))

    def _wider(self, classes: int, width: int) -> str:
        """How the head gets as wide as that."""
        if classes == 2 and width == 1:
            return "`task: binary` is for a head of one number"
        assert self.program is not None
        if "classes" in self.program.spec.params:
            return f"build(…, classes={classes}), or --set classes={classes}"
        return f"make `{self.main}` {classes} wide in the spec"


def f1(matrix: Tensor) -> float:
    """The mean over classes of 2·TP / (2·TP + FP + FN); rows are what is true, 0 where none is."""
    matrix = matrix.cpu()
    right = matrix.diagonal().double()
    both = (matrix.sum(0) + matrix.sum(1)).double()
    seen = both > 0
    return float((2 * right[seen] / both[seen]).mean()) if bool(seen.any()) else 0.0
