"""The small things that a document is made of: paths, fillers, copies, free axes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from archspec.expressions import Expr, Template
from archspec.text.faults import Loc

# A value as written: int, float, str, bool, None, Expr (expressions), or a list or dict of values.
Value = Any


class _Required:
    """The default of a param that must be given."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "required"

    def __reduce__(self) -> str:
        return "REQUIRED"  # the same one where it is copied or pickled


REQUIRED: Any = _Required()


class Part:
    """Base of all that has a place in a file: frozen, told apart by identity."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Ref(Part):
    """One entry of `from`, of a merge's list, of `shared`, of `outputs`: a dotted path."""

    slot: str | None = None  # the input it is for, when given by name
    path: Template  # "enc$i", "half.1", "prev", "stages.*"
    loc: Loc

    @property
    def many(self) -> bool:
        """Whether it is a pattern, which stands for as many as there are: `stages.*`, `y*`."""
        return any(isinstance(part, str) and "*" in part for part in self.path.parts)


@dataclass(frozen=True, kw_only=True, eq=False)
class Filler(Part):
    """A function of `torch.nn.init`, without its underscore; a number is `constant`."""

    name: str
    args: Mapping[str, Value] = field(default_factory=dict)
    loc: Loc


# Op ("*": the item itself, or every op inside it) → "weight" or "bias" → filler.
Init = dict[str, dict[str, Filler]]


@dataclass(frozen=True, kw_only=True, eq=False)
class Repeat(Part):
    """`repeat`: a count, or columns in step (then `count` is None)."""

    count: Value = None
    columns: Mapping[str, Value] = field(default_factory=dict)
    loc: Loc


@dataclass(frozen=True)
class Merge:
    """How paths join: an op, and its parameters as written."""

    op: str
    args: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False)
class Axis(Part):
    """A free axis `{H: 224}`."""

    name: str
    size: Value


def reads(value: Value) -> set[str]:
    """The names that the expressions in a value read."""
    if isinstance(value, Expr):
        return set(value.names)
    parts = value.values() if isinstance(value, Mapping) else value
    nested = isinstance(value, (Mapping, list, tuple))
    return {name for part in parts for name in reads(part)} if nested else set()
