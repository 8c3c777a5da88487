"""What expressions read: numbers, records of tensors, loops; and how a sentence names them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeGuard

Env = Mapping[str, object]

RECORD = ("shape", "rank", "channels", "features", "height", "width", "depth")
LOOP = ("index", "first", "last", "count", "serial", "total")


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


class Given:
    """Which optional inputs a block is given: `given.skip` is true or false."""

    def __init__(self, inputs: Mapping[str, bool]) -> None:
        self.__dict__.update(inputs)

    def __str__(self) -> str:
        return "what is given"


class Missing:
    """An optional input that a call does not give: it has no fields."""

    def __str__(self) -> str:
        return "an input that this call does not give"


def is_whole(value: object) -> TypeGuard[int]:
    """Whether it is a whole number; `true` is none, though Python's bool is an int."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: object) -> TypeGuard[int | float]:
    """Whether it is a number; `true` is none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)
