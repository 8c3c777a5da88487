"""Pairs: two samples, of one class or not → contrastive loss, accuracy at the best threshold.

    task: pairs
    loss: {contrastive: {margin: 1.0}}

The network reads two inputs and gives a number (how far apart they are; with a sigmoid at its end
how likely they are of one class) or two vectors; or it reads one input, gives a vector, and reads
both samples with the same weights.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn

from archspec.train.errors import TrainError
from archspec.train.inputs import call, inputs
from archspec.train.named import Called, loss
from archspec.train.targets import PAIRS
from archspec.train.tasks.base import Move, Sums, Task, count

if TYPE_CHECKING:
    from archspec.network import Program
    from archspec.train.plan import Plan
    from archspec.train.samples import Wanted
    from archspec.train.sets import Sets

_BINS = 2000  # thresholds that are tried


class Pairs(Task):
    """Whether two samples are of one class."""

    name: ClassVar[str] = "pairs"
    targets: ClassVar[str] = PAIRS
    known: ClassVar[tuple[str, ...]] = ("loss", "accuracy")
    monitor: ClassVar[str] = "val.accuracy"
    losses: ClassVar[tuple[str, ...]] = (
        "contrastive", "binary_cross_entropy", "binary_cross_entropy_with_logits",
    )  # fmt: skip

    def __init__(self, plan: Plan, program: Program | None) -> None:
        super().__init__(plan, program)
        if plan.loss is None and program is not None and self._last(program) == "sigmoid":
            self.loss_name = "binary_cross_entropy"
        self.criterion = loss(plan.loss or Called(self.loss_name, {}))

    def _last(self, program: Program) -> str:
        edge = program.graph.outputs[self.main][0]
        return program.graph.steps[edge.node].op

    def asks(self, wanted: Wanted) -> Wanted:
        names = tuple(one.name for one in wanted.inputs) if len(wanted.inputs) == 2 else ()
        return wanted._replace(inputs=wanted.inputs[:1], pair=names)

    def passes(self, model: nn.Module, x: Any) -> None:
        self.said(model, x)

    def said(self, model: nn.Module, x: Any) -> Tensor:
        """Of each pair how far apart it is, or how likely of one class: [N]."""
        output = vectors(self, model, x) if isinstance(x, Tensor) else call(model, x)
        if isinstance(output, Tensor):
            return output.flatten()
        left, right = output.values()
        apart: Tensor = (left - right).norm(dim=1)
        return apart

    def moves(self, model: nn.Module, x: Any, y: Any) -> Iterator[Move]:
        said = self.said(model, x)
        found = self.criterion(said, y)
        yield Move(found, {**count(found, y), **self._histogram(said, y)})

    def score(self, model: nn.Module, x: Any, y: Any) -> Sums:
        said = self.said(model, x)
        return {**count(self.criterion(said, y), y), **self._histogram(said, y)}

    def of_each(self, model: nn.Module, x: Any, y: Any) -> Tensor:
        found: Tensor = self.criterion(self.said(model, x), y, reduction="none")
        return found

    # -------------------------------------------------------------- accuracy

    def _histogram(self, said: Tensor, same: Tensor) -> Sums:
        """How many pairs are so far apart, of one class and of two.

        Counts add up, however batches are cut; of distances d the bins are of d / (1 + d).
        """
        places = (self._apart(said.detach().double()) * _BINS).long().clamp(0, _BINS - 1)
        both = torch.bincount(places + _BINS * same.long(), minlength=2 * _BINS).view(2, -1)
        return {"apart": both[0], "same": both[1]}

    def _apart(self, said: Tensor) -> Tensor:
        """From 0 to 1."""
        if self.loss_name == "contrastive":
            return said / (1 + said)
        return 1 - (said if self.loss_name == "binary_cross_entropy" else said.sigmoid())

    def figures(self, sums: Sums) -> dict[str, float]:
        n = max(int(sums["n"]), 1)
        return {"loss": float(sums["loss"]) / n, "accuracy": _best(sums)[0] / n}

    def tables(self, sums: Sums) -> dict[str, Any]:
        """The threshold: pairs that are nearer, or likelier, are of one class."""
        apart = _best(sums)[1] / _BINS
        if self.loss_name != "contrastive":
            return {"threshold": 1 - apart}
        return {"threshold": apart / (1 - apart) if apart < 1 else math.inf}

    def answers(self, shares: Tensor, classes: tuple[str, ...], top: int) -> list[Any]:
        raise compares()

    def refuse(self, sets: Sets) -> None:
        if self.program is None:
            return
        graph, read = self.program.graph, inputs(self.program)
        shapes = [graph.steps[e.node].outs[e.output].shape for (e, *_) in graph.outputs.values()]
        one = len(read) == 1 and len(shapes[0]) == 1
        two = len(read) == 2 and read[0].shape == read[1].shape
        number = len(shapes) == 1 and math.prod(shapes[0]) == 1
        if one or (two and (number or (len(shapes) == 2 and shapes[0] == shapes[1]))):
            return
        given = ", ".join(str(list(shape)) for shape in shapes)
        said = f"the network reads {len(read)} inputs and gives {given}"
        help = "pairs go into two inputs of one shape and give a number or two vectors; "
        raise TrainError("E804", said, f"{help}or each into one that gives a vector")


def _best(sums: Sums) -> tuple[int, int]:
    """The most pairs that any threshold tells right, and its bin."""
    none = torch.zeros(1, dtype=torch.int64)
    near = torch.cat([none, sums["same"].cpu().cumsum(0)])
    far = sums["apart"].sum().cpu() - torch.cat([none, sums["apart"].cpu().cumsum(0)])
    best = int((near + far).argmax())
    return int((near + far)[best]), best


def vectors(task: Task, model: nn.Module, x: Tensor) -> dict[str, Tensor]:
    """What a network of one input gives for each of several: x [N, k, …] → k times [N, D]."""
    output, _ = task.outputs(model(x.flatten(0, 1)))
    each = output.view(*x.shape[:2], *output.shape[1:]).unbind(1)
    return {str(k): one for k, one in enumerate(each)}


def compares() -> TrainError:
    """What to raise where one sample is to be told what it is."""
    message = "the network compares samples; of one alone it says nothing"
    return TrainError("E804", message, "call the module that archspec.train.load gives")
