"""Axes of the spec, counted behind the batch axis → from 0, and as torch counts them.

place("softmax", -1, [4, 8, 9])  →  2
torch_axis(0)                    →  Arg("axis + 1", 1)
torch_axis(-1)                   →  Arg("axis", -1)
sizes(3, {1: "2 * x0[1]"})       →  ("x0[0]", "2 * x0[1]", "x0[2]")
entries("size", (3, 5), 2)          →  ["size[0]", "size[1]"]
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from archspec.layers.base import Arg, Mismatch, TensorType


def place(op: str, axis: int, t: TensorType, name: str = "axis") -> int:
    """The axis from 0. Raises Mismatch when the input does not have it."""
    if not -t.rank <= axis < t.rank:
        axes = f"the axes 0 to {t.rank - 1}" if t.rank else "no axes"
        raise Mismatch(f"`{name}` of `{op}` is {axis}; the input {t} has {axes}", code="E302")
    return axis % t.rank


def torch_axis(axis: int, keyword: str | None = None, of: str = "axis") -> Arg:
    """An axis of the spec as torch's, which counts the batch axis."""
    if axis >= 0:
        return Arg(f"{of} + 1", axis + 1, keyword)
    return Arg(of, axis, keyword)


def sizes(rank: int, said: Mapping[int, str] = MappingProxyType({})) -> tuple[str, ...]:
    """Texts of the sizes of an output, those of input 0 but where it is said."""
    return tuple(said.get(a, f"x0[{a}]") for a in range(rank))


def entries(name: str, value: object, count: int) -> list[str]:
    """Texts of a parameter along so many axes, one number or one per axis."""
    return [f"{name}[{a}]" if isinstance(value, tuple) else name for a in range(count)]


def packed(args: Iterable[Arg], keyword: str | None = None) -> Arg:
    """Several arguments as a tuple."""
    args = tuple(args)
    return Arg(f"({', '.join(a.of for a in args)},)", tuple(a.value for a in args), keyword)
