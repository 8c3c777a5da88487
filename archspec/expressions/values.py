"""What expressions are and what they read: parsed text, records of tensors, loops."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Env = Mapping[str, object]
Run = Callable[[Env], Any]

RECORD = ("shape", "rank", "channels", "features", "height", "width", "depth")
LOOP = ("index", "first", "last", "count", "serial", "total")


class ExpressionError(Exception):
    """What is wrong, as a sentence, at characters [start, stop) of the scalar.

    `code` and `help` are those of a Fault.
    """

    def __init__(
        self, message: str, start: int, stop: int, code: str = "E361", help: str = ""
    ) -> None:
        super().__init__(message, start, stop, code, help)
        self.message, self.start, self.stop, self.code, self.help = message, start, stop, code, help


@dataclass(frozen=True, slots=True)
class Expr:
    """A parsed expression: its text as written (without `$`, `$( )`), its tree, the names it reads.

    `offset` is where the text stands in its scalar; equal texts are equal expressions. In the tree
    `true` and `false` are constants, and columns count from the start of the text. `fields` are the
    fields of records it reads, by owner.
    """

    text: str
    tree: ast.expr = field(compare=False, repr=False)
    names: frozenset[str] = field(compare=False, repr=False)
    offset: int = field(default=0, compare=False, repr=False)
    run: Run = field(default=lambda env: None, compare=False, repr=False)
    fields: frozenset[tuple[str, str]] = field(default=frozenset(), compare=False, repr=False)

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, (self.text, self.offset)


def _again(text: str, offset: int) -> Expr:
    """The expression once more, for pickle: closures are not stored."""
    from archspec.expressions.grammar import parse

    return parse(text, offset)


@dataclass(frozen=True, slots=True)
class Template:
    """An id or path with expressions in it: `enc$i`, `top$(i + 1)`; parts are str or Expr."""

    text: str
    parts: tuple[str | Expr, ...]

    @property
    def names(self) -> frozenset[str]:
        """The names its expressions read."""
        return frozenset().union(*(part.names for part in self.parts if isinstance(part, Expr)))


class Record:
    """What an expression knows of a tensor: its shape without the batch axis.

    `.channels` is axis 0, `.features` the last; a map [C, H, W] or [C, D, H, W] has `.height`,
    `.width` (and `.depth`), a sequence [C, L] has `.width`.
    """

    __slots__ = ("shape",)

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape

    def __repr__(self) -> str:
        return f"Record({list(self.shape)})"

    def __str__(self) -> str:
        return str(list(self.shape))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Record) and other.shape == self.shape

    def __hash__(self) -> int:
        return hash(("Record", self.shape))

    @property
    def rank(self) -> int:
        return len(self.shape)

    @property
    def channels(self) -> int | None:
        return self.shape[0] if self.shape else None

    @property
    def features(self) -> int | None:
        return self.shape[-1] if self.shape else None

    @property
    def width(self) -> int | None:
        return self.shape[-1] if len(self.shape) > 1 else None

    @property
    def height(self) -> int | None:
        return self.shape[-2] if len(self.shape) > 2 else None

    @property
    def depth(self) -> int | None:
        return self.shape[-3] if len(self.shape) > 3 else None


@dataclass(frozen=True, slots=True)
class Loop:
    """Which copy this is: of its repeat (`index` from 0, of `count`), and of all in the body."""

    index: int
    count: int
    serial: int = 0
    total: int = 1

    def __str__(self) -> str:
        return "the loop"

    @property
    def first(self) -> bool:
        return self.index == 0

    @property
    def last(self) -> bool:
        return self.index == self.count - 1
