"""Triplets: an anchor, one of its class, one of another → triplet margin loss, recall at 1.

    task: triplets
    loss: {triplet_margin: {margin: 0.2}}

The network reads one input and gives a vector; an anchor is to be nearer to its own class, by the
margin (Schroff, Kalenichenko, Philbin 2015, arXiv 1503.03832). Recall at 1 is the share of held-out
samples whose nearest neighbour among all others is of their class.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn

from archspec.train.errors import TrainError
from archspec.train.inputs import inputs
from archspec.train.named import Called, loss
from archspec.train.targets import TRIPLETS
from archspec.train.tasks.base import Move, Sums, Task, count
from archspec.train.tasks.pairs import compares, vectors

if TYPE_CHECKING:
    from archspec.network import Program
    from archspec.train.plan import Plan
    from archspec.train.samples import Wanted
    from archspec.train.sets import Sets

_ROWS = 1024  # samples whose neighbours are looked for at a time


class Triplets(Task):
    """Vectors that are near where samples are of one class."""

    name: ClassVar[str] = "triplets"
    targets: ClassVar[str] = TRIPLETS
    known: ClassVar[tuple[str, ...]] = ("loss", "accuracy", "recall")
    later: ClassVar[frozenset[str]] = frozenset({"recall"})
    monitor: ClassVar[str] = "val.loss"
    losses: ClassVar[tuple[str, ...]] = ("triplet_margin",)

    def __init__(self, plan: Plan, program: Program | None) -> None:
        super().__init__(plan, program)
        self.criterion = loss(plan.loss or Called("triplet_margin", {}))

    def asks(self, wanted: Wanted) -> Wanted:
        return wanted._replace(inputs=wanted.inputs[:1])

    def passes(self, model: nn.Module, x: Any) -> None:
        vectors(self, model, x)

    def moves(self, model: nn.Module, x: Any, y: Any) -> Iterator[Move]:
        three = vectors(self, model, x).values()
        found = self.criterion(*three)
        yield Move(found, {**count(found, y), "right": _right(*three)})

    def score(self, model: nn.Module, x: Any, y: Any) -> Sums:
        three = vectors(self, model, x).values()
        found = {**count(self.criterion(*three), y), "right": _right(*three)}
        anchor = next(iter(three))
        # each sample fills a row of its own, so that tables of batches and processes add up
        table = anchor.new_zeros(int(y["of"][0]), anchor.shape[1])
        table[y["number"]] = anchor
        classes = y["class"].new_zeros(len(table))
        classes[y["number"]] = y["class"]
        return {**found, "vectors": table, "classes": classes}

    def of_each(self, model: nn.Module, x: Any, y: Any) -> Tensor:
        found: Tensor = self.criterion(*vectors(self, model, x).values(), reduction="none")
        return found

    def figures(self, sums: Sums) -> dict[str, float]:
        n = max(int(sums["n"]), 1)
        found = {"loss": float(sums["loss"]) / n, "accuracy": int(sums["right"]) / n}
        if "vectors" in sums:
            found["recall"] = recall(sums["vectors"], sums["classes"])
        return found

    def answers(self, shares: Tensor, classes: tuple[str, ...], top: int) -> list[Any]:
        raise compares()

    def refuse(self, sets: Sets) -> None:
        if self.program is None:
            return
        edge = self.program.graph.outputs[self.main][0]
        shape = self.program.graph.steps[edge.node].outs[edge.output].shape
        read = inputs(self.program)
        if len(read) != 1 or len(shape) != 1:
            said = f"the network reads {len(read)} inputs and gives {list(shape)}"
            raise TrainError("E804", said, "triplets are for a network of one input and a vector")


def _right(anchor: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
    """How many anchors are nearer to their own class."""
    near, far = ((anchor - one).norm(dim=1) for one in (positive, negative))
    right: Tensor = (near < far).sum()
    return right


def recall(found: Tensor, classes: Tensor) -> float:
    """The share of vectors [N, D] whose nearest other one is of their class [N]."""
    right = 0
    for start in range(0, len(found), _ROWS):
        rows = found[start : start + _ROWS]
        apart = torch.cdist(rows, found)
        own = torch.arange(len(rows), device=rows.device)
        apart[own, own + start] = torch.inf
        right += int((classes[apart.argmin(1)] == classes[start : start + _ROWS]).sum())
    return right / max(len(found), 1)
