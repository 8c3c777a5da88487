"""Axes of the spec, counted behind the batch axis → from 0, and as torch counts them.

place("softmax", -1, [4, 8, 9])  →  2
torch_axis(0)              →  Arg(1)
torch_axis(-1)             →  Arg(-1)
"""

from __future__ import annotations

from archspec.layers.base import Arg, Mismatch, TensorType


def place(op: str, axis: int, t: TensorType, name: str = "axis") -> int:
    """The axis from 0. Raises Mismatch when the input does not have it."""
    if not -t.rank <= axis < t.rank:
        axes = f"the axes 0 to {t.rank - 1}" if t.rank else "no axes"
        message = f"`{name}` of `{op}` is {axis}; the input {t} has {axes}"
        help = "axes are counted from 0 behind the batch axis, which no op reaches"
        raise Mismatch(message, help if t.rank else "", code="E302")
    return axis % t.rank


def torch_axis(axis: int, keyword: str | None = None) -> Arg:
    """An axis of the spec as torch's, which counts the batch axis."""
    return Arg(axis + 1 if axis >= 0 else axis, keyword)
