"""What and where, one object a picture: logits [N, K] and boxes [N, 4] → cross entropy + MSE.

    task: localisation                                     the output of 4 numbers is the box
    task: {localisation: {weight: 5, box: where}}          or it is named

A box is left, top, right, bottom as shares of the picture, so that the loss does not depend on its
size. Besides the accuracy, the mean of intersection over union is measured, and how often both are
right: the class, and the box by an IoU of at least a half (as ILSVRC counts, arXiv 1409.0575).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from archspec.text.words import did_you_mean, listed
from archspec.train import boxes
from archspec.train.errors import TrainError
from archspec.train.named import Called, loss
from archspec.train.targets import BOX
from archspec.train.tasks.base import Move, Sums, Task, count, one_input, wide
from archspec.train.truth import sound

if TYPE_CHECKING:
    from archspec.network import Program
    from archspec.train.plan import Plan
    from archspec.train.samples import Wanted
    from archspec.train.sets import Facts, Sets

_RIGHT = 0.5  # intersection over union from which on a box is right
_WEIGHT = 5.0


class Localisation(Task):
    """One class and one box for each sample."""

    name: ClassVar[str] = "localisation"
    options: ClassVar[tuple[str, ...]] = ("weight", "box")
    targets: ClassVar[str] = BOX
    known: ClassVar[tuple[str, ...]] = ("loss", "accuracy", "iou", "both")
    monitor: ClassVar[str] = "val.iou"
    losses: ClassVar[tuple[str, ...]] = ("cross_entropy",)

    def __init__(self, plan: Plan, program: Program | None) -> None:
        super().__init__(plan, program)
        called = plan.loss or Called("cross_entropy", {})
        self.measure = loss(called)
        self.criterion = loss(
            Called(called.name, {**called.args, "label_smoothing": plan.label_smoothing})
        )
        self.weight = self.given.get("weight", _WEIGHT)
        number = isinstance(self.weight, (int, float)) and not isinstance(self.weight, bool)
        if not number or not 0 < self.weight < math.inf:
            said = f"`weight` is {self.weight}; it is what the box's loss is multiplied by, above 0"
            raise plan.fault("E802", said, "task", self.name, "weight", help="for example 5")
        self.sides = (1, 1)  # of a picture, until that is known
        self.scores, self.box = self._heads()

    def _heads(self) -> tuple[str, str]:
        """Which output is the logits, and which the box. Raises SpecError, TrainError."""
        if self.program is None:
            return "", self.given.get("box", "")
        wide = {
            name: shape[0]
            for name, shape in outputs(self.program).items()
            if len(shape) == 1
        }  # fmt: skip
        box = self.given.get("box")
        if box is not None and wide.get(box) != 4:
            said = f"`{box}` is no output of 4 numbers"
            help = did_you_mean(str(box), wide) or f"the network has {listed(list(wide))}"
            raise self.plan.fault("E802", said, "task", self.name, "box", help=help)
        fours = [name for name in wide if wide[name] == 4] if box is None else [box]
        if len(wide) != 2 or not fours:
            said = ", ".join(f"`{k}` {list(v)}" for k, v in outputs(self.program).items())
            message = f"one output has to be logits and another 4 numbers; here are {said}"
            help = "outputs: {scores: …, box: …}, each behind a `linear` of its own"
            raise TrainError("E804", message, help)
        if len(fours) == 2:
            said = f"both {listed(fours)} have 4 numbers"
            help = f"say which is the box: `task: {{localisation: {{box: {fours[-1]}}}}}`"
            raise self.plan.fault("E802", said, "task", help=help)
        return next(name for name in wide if name != fours[0]), fours[0]

    def asks(self, wanted: Wanted) -> Wanted:
        return wanted._replace(classes=self.width)

    @property
    def width(self) -> int:
        """How many classes the head tells apart."""
        return outputs(self.program)[self.scores][0] if self.program is not None else 0

    def _both(self, found: Any) -> tuple[Tensor, Tensor]:
        """Logits, and the box as shares of the picture."""
        if self.program is None:  # a module of somebody else: the 4 numbers are named, or last
            names = list(found)
            box = self.box or names[-1]
            return found[next(name for name in names if name != box)], found[box]
        return found[self.scores], found[self.box]

    def _truth(self, x: Tensor, y: Any) -> Tensor:
        """The true box as shares of the picture."""
        height, width = x.shape[2:]
        box: Tensor = y["box"]
        return box / box.new_tensor([width, height, width, height])

    def moves(self, model: nn.Module, x: Any, y: Any) -> Iterator[Move]:
        logits, box = self._both(model(x))
        truth = self._truth(x, y)
        found = self.criterion(logits, y["label"])
        found = found + self.weight * functional.mse_loss(box.float(), truth)
        yield Move(found, {**count(found, y), **_counted(logits, box, truth, y["label"])})

    def score(self, model: nn.Module, x: Any, y: Any) -> Sums:
        logits, box = self._both(model(x))
        truth = self._truth(x, y)
        found = self.measure(logits, y["label"])
        found = found + self.weight * functional.mse_loss(box.float(), truth)
        return {**count(found, y), **_counted(logits, box, truth, y["label"])}

    def of_each(self, model: nn.Module, x: Any, y: Any) -> Tensor:
        logits, box = self._both(model(x))
        apart = functional.mse_loss(box.float(), self._truth(x, y), reduction="none").mean(1)
        found: Tensor = self.measure(logits, y["label"], reduction="none") + self.weight * apart
        return found

    def figures(self, sums: Sums) -> dict[str, float]:
        n = max(int(sums["n"]), 1)
        return {
            "loss": float(sums["loss"]) / n, "accuracy": int(sums["right"]) / n,
            "iou": float(sums["shared"]) / n, "both": int(sums["both"]) / n,
        }  # fmt: skip

    def know(self, facts: Facts) -> None:
        self.sides = (facts.shape[1], facts.shape[2])

    def verdict(self, found: Any) -> Tensor:
        """Probabilities and corners in pixels, [N, K + 4]."""
        logits, box = self._both(found)
        height, width = self.sides
        edge = box.new_tensor([width, height, width, height])
        return torch.cat([logits.softmax(1), box.clamp(0, 1) * edge], 1)

    def answers(self, shares: Tensor, classes: tuple[str, ...], top: int) -> list[Any]:
        """The likeliest class of each, and where it is in the picture, in pixels."""
        made = []
        for row in shares:
            score, label = row[:-4].max(0)
            name = classes[int(label)] if classes else str(int(label))
            box = [round(number, 1) for number in row[-4:].tolist()]
            made.append({"class": name, "score": round(float(score), 4), "box": box})
        return made

    def as_targets(self, shares: Tensor) -> dict[str, Tensor]:
        score, label = shares[:, :-4].max(1)
        return {"box": shares[:, -4:], "label": label, "scores": score[:, None]}

    def scaled(self, shares: Tensor, times: Tensor) -> Tensor:
        return torch.cat([shares[:, :-4], shares[:, -4:] * times], 1)

    def refuse(self, sets: Sets) -> None:
        if self.program is not None:
            one_input(self.program)
        sound(sets, self.width)
        self.know(sets.facts)


def outputs(program: Program) -> dict[str, tuple[int, ...]]:
    """The shapes of outputs by name; of one that is a list the first's."""
    steps = program.graph.steps
    return {
        name: steps[edges[0].node].outs[edges[0].output].shape
        for name, edges in program.graph.outputs.items()
    }


def _counted(logits: Tensor, box: Tensor, truth: Tensor, label: Tensor) -> Sums:
    right = logits.detach().argmax(1) == label
    near = boxes.shared(box.detach().float(), truth)
    both = right & (near >= _RIGHT)
    return {"right": right.sum(), "shared": wide(near).sum(), "both": both.sum()}
