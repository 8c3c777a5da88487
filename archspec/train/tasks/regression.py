"""Numbers: outputs [N, …] and targets [N, …] → squared error, absolute error, R²."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from torch import Tensor, nn

from archspec.train.errors import TrainError
from archspec.train.inputs import call
from archspec.train.named import Called, loss
from archspec.train.targets import NUMBERS
from archspec.train.tasks.base import Move, Sums, Task, beside, count, wide

if TYPE_CHECKING:
    from archspec.network import Program
    from archspec.train.plan import Plan
    from archspec.train.sets import Sets


class Regression(Task):
    """One or several numbers for each sample."""

    name: ClassVar[str] = "regression"
    targets: ClassVar[str] = NUMBERS
    mixes: ClassVar[bool] = True
    known: ClassVar[tuple[str, ...]] = ("loss", "mse", "mae", "r2")
    later: ClassVar[frozenset[str]] = frozenset({"r2"})
    monitor: ClassVar[str] = "val.loss"
    falling: ClassVar[frozenset[str]] = frozenset({"loss", "mse", "mae"})
    losses: ClassVar[tuple[str, ...]] = ("mse", "l1", "smooth_l1", "huber")

    def __init__(self, plan: Plan, program: Program | None) -> None:
        super().__init__(plan, program)
        self.weighed(0)
        self.criterion = loss(plan.loss or Called("mse", {}))

    def _both(self, model: nn.Module, x: Any, y: Tensor) -> tuple[Tensor, Tensor]:
        """Outputs and targets of one shape: a target may lack the axis of a single number."""
        output, _ = self.outputs(call(model, x))
        return output, y.view_as(output) if y.numel() == output.numel() else y

    def moves(self, model: nn.Module, x: Any, y: Any) -> Iterator[Move]:
        output, target = self._both(model, x, y)
        found = self.criterion(output, target)
        yield Move(found, {**count(found, y), **_errors(output, target)})

    def score(self, model: nn.Module, x: Any, y: Any) -> Sums:
        output, target = self._both(model, x, y)
        found = {**count(self.criterion(output, target), y), **_errors(output, target)}
        y = wide(target)
        return {**found, "total": y.sum(0), "squares": y.square().sum(0)}

    def of_each(self, model: nn.Module, x: Any, y: Any) -> Tensor:
        output, target = self._both(model, x, y)
        found: Tensor = self.criterion(output, target, reduction="none")
        return found.flatten(1).mean(1)

    def figures(self, sums: Sums) -> dict[str, float]:
        n, numbers = max(int(sums["n"]), 1), max(int(sums["numbers"]), 1)
        found = {
            "loss": float(sums["loss"]) / n,
            "mse": float(sums["squared"]) / numbers,
            "mae": float(sums["absolute"]) / numbers,
        }
        if "squares" not in sums:
            return found
        spread = float((sums["squares"] - sums["total"].square() / n).sum())
        return {**found, "r2": 1 - float(sums["squared"]) / spread if spread > 0 else 0.0}

    def answers(self, shares: Tensor, classes: tuple[str, ...], top: int) -> list[Any]:
        return shares.tolist()

    def refuse(self, sets: Sets) -> None:
        if self.program is None:
            return
        edge = self.program.graph.outputs[self.main][0]
        shape = self.program.graph.steps[edge.node].outs[edge.output].shape
        _, y = sets.train.plain()[0]
        given = tuple(y.shape) if isinstance(y, Tensor) else ()
        if given != shape and (given or (1,)) != shape:
            said = f"targets have shape {list(given)}, the output `{self.main}` {list(shape)}"
            raise TrainError("E804", said, "make the last layer as wide as the targets")


def _errors(output: Tensor, target: Tensor) -> Sums:
    apart = wide(output.detach()) - wide(target)
    return {
        "squared": apart.square().sum(),
        "absolute": apart.abs().sum(),
        "numbers": beside(apart, apart.numel()),
    }
