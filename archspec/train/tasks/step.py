"""A step of the caller's: fn(model, x, y) → a loss, or a mapping of a loss and figures beside it.

    def step(model, x, y):
        scores = model(x)
        return {"loss": cross_entropy(scores, y), "entropy": entropy(scores)}

    fit(model, data, step=step)                 train.loss, train.entropy, val.loss, val.entropy

Figures are means over samples. One whose name ends in `loss` or `error` is better when it is
smaller. A function is in no checkpoint: a run that goes on is given it again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from torch import Tensor, nn

from archspec.train.errors import TrainError
from archspec.train.targets import NONE
from archspec.train.tasks.base import Move, Sums, Task, beside, wide

if TYPE_CHECKING:
    from archspec.train.plan import Plan

Function = Callable[[nn.Module, Any, Any], Any]


class Step(Task):
    """Whatever a function of the caller's computes of a batch."""

    name: ClassVar[str] = "step"
    targets: ClassVar[str] = NONE
    known: ClassVar[tuple[str, ...]] = ()  # what it measures is the caller's to name
    monitor: ClassVar[str] = "val.loss"
    losses: ClassVar[tuple[str, ...]] = ("",)

    def found(self, model: nn.Module, x: Any, y: Any) -> dict[str, Tensor]:
        """The loss and the figures of a batch. Raises TrainError for what is neither."""
        if self.function is None:
            raise missing()
        given = self.function(model, x, y)
        found = dict(given) if isinstance(given, Mapping) else {"loss": given}
        loss = found.get("loss")
        if not isinstance(loss, Tensor) or loss.numel() != 1:
            said = "nothing called `loss`" if loss is None else f"a loss that is {_said(loss)}"
            help = "a tensor of one number, or {'loss': …, 'accuracy': …}"
            raise TrainError("E804", f"the step returned {said}", help)
        for name, value in found.items():
            if not isinstance(value, (int, float)) and getattr(value, "numel", int)() != 1:
                said = f"the step returned `{name}`, which is {_said(value)}"
                raise TrainError("E804", said, "a figure is one number: the mean over the batch")
        return {
            name: v.to(loss.device) if isinstance(v, Tensor) else beside(loss, v)
            for name, v in found.items()
        }

    def _sums(self, found: dict[str, Tensor], x: Any) -> Sums:
        n = len(next(iter(x.values())) if isinstance(x, Mapping) else x)
        sums = {name: wide(value.detach()).reshape(()) * n for name, value in found.items()}
        return {**sums, "n": beside(found["loss"], n)}

    def moves(self, model: nn.Module, x: Any, y: Any) -> Iterator[Move]:
        found = self.found(model, x, y)
        loss = found["loss"].reshape(())
        if not loss.requires_grad:
            said = "the step's loss does not depend on what trains"
            raise TrainError("E805", said, "compute it from model(x), without detach or no_grad")
        yield Move(loss, self._sums(found, x))

    def score(self, model: nn.Module, x: Any, y: Any) -> Sums:
        return self._sums(self.found(model, x, y), x)

    def of_each(self, model: nn.Module, x: Any, y: Any) -> Tensor:
        return self.found(model, x, y)["loss"].reshape(1).expand(len(x))

    def figures(self, sums: Sums) -> dict[str, float]:
        n = max(int(sums["n"]), 1)
        return {name: float(value) / n for name, value in sums.items() if name != "n"}

    def answers(self, shares: Tensor, classes: tuple[str, ...], top: int) -> list[Any]:
        return shares.tolist()

    def falls(self, figure: str) -> bool:
        return figure.endswith(("loss", "error"))


def agrees(plan: Plan, function: Function | None) -> None:
    """Raises TrainError where a plan and a step do not go together."""
    name = plan.task.name if plan.task is not None else ""
    if function is not None and not callable(function):
        message = f"`step` is {_said(function)}, not a function"
        raise TrainError("E808", message, "def step(model, x, y): return loss")
    if name == Step.name and function is None:
        raise missing()
    if name != Step.name and function is not None:
        message = f"the plan's task is `{name or 'classification'}`, and a step is given besides"
        raise TrainError("E808", message, "leave one of both out")


def missing() -> TrainError:
    """What to raise where a run of a step is without it."""
    help = "from Python: fit(model, data, step=…), resume(folder, data, step=…)"
    return TrainError("E808", "the plan says `task: step`, and no step is given", help)


def _said(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"a tensor of shape {list(value.shape)}"
    return f"a {type(value).__name__}"
