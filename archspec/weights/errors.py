"""What can go wrong between a file of weights and a model, as one exception."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from archspec.text.faults import CodedError

if TYPE_CHECKING:
    from archspec.weights.reporting import Report

_MOST = 3  # names that a sentence gives


class WeightsError(CodedError):
    """Weights that cannot be read, fetched or matched; the model keeps the values it had.

    `report` says tensor by tensor what would have happened, where names were compared at all.
    """

    def __init__(
        self, code: str, message: str, help: str = "", report: Report | None = None
    ) -> None:
        super().__init__(code, message, help)
        self.report = report


def unusable(name: str, said: str) -> WeightsError:
    """Of a file whose bytes are not those that were written."""
    return WeightsError("E604", f"`{name}` {said}", "fetch or save the file again")


def damaged(name: str, said: str) -> WeightsError:
    return unusable(name, f"is damaged: {said}")


def some(names: Sequence[str]) -> str:
    """`a`, `b`, `c` and 7 more."""
    shown = ", ".join(f"`{name}`" for name in names[:_MOST])
    more = len(names) - _MOST
    return f"{shown} and {more} more" if more > 0 else shown
