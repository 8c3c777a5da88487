"""`NAME=VALUES` → Axis: the values of one param, or of one key of a plan, that are tried.

width=32..128            every whole number; width=32..128:16 every sixteenth, from 32
lr=1e-4..1e-1:log        real numbers, as many between 1e-4 and 1e-3 as between 1e-2 and 1e-1
bottleneck=[true, false] one of a list, whose entries may be lists: depths=[[2, 2], [3, 4]]
depths.2=2..12           one entry, from 0, of a param that is a list
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from archspec.search.errors import SearchError
from archspec.text.faults import SpecError
from archspec.text.source import from_text
from archspec.text.words import written

_NAME = re.compile(r"[a-z_][a-z0-9_]*(?:\.[a-z0-9_]+)*")
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_RANGE = re.compile(rf"({_NUMBER})\.\.({_NUMBER})(?::(log|{_NUMBER}))?")
_WHOLE = re.compile(r"[-+]?\d+")
_HELP = "for example width=32..128, width=32..128:16, lr=1e-4..1e-1:log or depth=[2, 3, 4]"

Point = Mapping[str, Any]
"""A value for each axis, by name."""


@dataclass(frozen=True, slots=True)
class Choices:
    """One of some values."""

    name: str
    values: tuple[Any, ...]

    @property
    def size(self) -> int:
        return len(self.values)

    def each(self) -> Iterator[Any]:
        return iter(self.values)

    def draw(self, random: Random) -> Any:
        return random.choice(self.values)


@dataclass(frozen=True, slots=True)
class Whole:
    """Whole numbers from `low` to `high`, both included where the steps meet it."""

    name: str
    low: int
    high: int
    step: int = 1
    log: bool = False

    @property
    def size(self) -> int:
        return (self.high - self.low) // self.step + 1

    def each(self) -> Iterator[int]:
        return iter(range(self.low, self.high + 1, self.step))

    def draw(self, random: Random) -> int:
        if not self.log:
            return random.randrange(self.low, self.high + 1, self.step)
        found = math.exp(random.uniform(math.log(self.low - 0.5), math.log(self.high + 0.5)))
        return min(max(round(found), self.low), self.high)


@dataclass(frozen=True, slots=True)
class Real:
    """Numbers from `low` to `high`: every `step`, or any; `log`: evenly by order of magnitude."""

    name: str
    low: float
    high: float
    step: float = 0.0
    log: bool = False

    @property
    def size(self) -> float:
        return int((self.high - self.low) / self.step + 1e-9) + 1 if self.step else math.inf

    def each(self) -> Iterator[float]:
        return (float(f"{self.low + k * self.step:.12g}") for k in range(int(self.size)))

    def draw(self, random: Random) -> float:
        if self.step:
            return float(f"{self.low + random.randrange(int(self.size)) * self.step:.12g}")
        if self.log:
            return math.exp(random.uniform(math.log(self.low), math.log(self.high)))
        return random.uniform(self.low, self.high)


Axis = Choices | Whole | Real


def axis(text: str) -> Axis:
    """One axis. Raises SearchError."""
    name, equals, values = (part.strip() for part in text.partition("="))
    if not equals or not values or not _NAME.fullmatch(name):
        raise _wrong(text, "is not NAME=VALUES")
    found = _RANGE.fullmatch(values)
    return _range(text, name, *found.groups()) if found else _choices(text, name, values)


def _range(text: str, name: str, low: str, high: str, step: str | None) -> Axis:
    log = step == "log"
    by = None if log else step
    if not float(low) < float(high):
        raise _wrong(text, f"begins at {low} and ends at {high}", "the smaller number first")
    if log and not float(low) > 0:
        raise _wrong(text, f"begins at {low}; a logarithm needs numbers above 0")
    if by is not None and not float(by) > 0:
        raise _wrong(text, f"has the step {by}", "a step is above 0")
    if all(part is None or _WHOLE.fullmatch(part) for part in (low, high, by)):
        return Whole(name, int(low), int(high), int(by or 1), log)
    return Real(name, float(low), float(high), float(by or 0), log)


def _choices(text: str, name: str, values: str) -> Choices:
    try:
        data = from_text(f"value: {values}\n", text).data
    except SpecError:
        raise _wrong(text, "holds values that cannot be read") from None
    found = data.get("value") if isinstance(data, dict) and len(data) == 1 else None
    if not isinstance(found, list) or not found:
        raise _wrong(text, "is neither a range nor a list of values")
    if len(set(map(written, found))) < len(found):
        raise _wrong(text, "names a value twice", "each value once")
    return Choices(name, tuple(found))


def _wrong(text: str, said: str, help: str = _HELP) -> SearchError:
    return SearchError("E861", f"`{text}` {said}", help)


def space(texts: Sequence[str]) -> tuple[Axis, ...]:
    """All axes; a text may hold several, parted by blanks. Raises SearchError."""
    found = tuple(axis(part) for text in texts for part in parted(text))
    names = [one.name for one in found]
    for name in names:
        above = [other for other in names if name.startswith(f"{other}.")]
        if names.count(name) > 1 or above:
            other = above[0] if above else name
            raise SearchError("E861", f"`{name}` and `{other}` are both given values", "keep one")
    if not found:
        raise SearchError("E861", "the space is empty", _HELP)
    return found


def parted(text: str) -> list[str]:
    """At blanks that stand outside of brackets."""
    parts, depth = [""], 0
    for sign in text:
        depth += (sign in "[{") - (sign in "]}")
        if sign.isspace() and depth == 0:
            parts.append("")
        else:
            parts[-1] += sign
    return [part for part in parts if part]


def size(axes: Sequence[Axis]) -> float:
    """How many points there are; infinite where an axis holds any number."""
    return math.prod(one.size for one in axes)


def points(axes: Sequence[Axis], most: int, seed: int) -> list[Point]:
    """All points where there are at most so many, in order; else so many, drawn at random, once."""
    if size(axes) <= most:
        found: list[dict[str, Any]] = [{}]
        for one in axes:
            found = [{**point, one.name: value} for point in found for value in one.each()]
        return list(found)
    random, seen = Random(seed), dict[str, Point]()
    for _ in range(20 * most):  # of a space that is little larger than `most` some come often
        point = {one.name: one.draw(random) for one in axes}
        seen.setdefault(written(point), point)
        if len(seen) == most:
            break
    return list(seen.values())


def settings(point: Point, given: Mapping[str, Any]) -> dict[str, Any]:
    """What a point sets: `depths.2` is one entry of a copy of the list that is there."""
    found: dict[str, Any] = {}
    for name, value in point.items():
        head, *path = name.split(".")
        found[head] = _put(found.get(head, given.get(head)), path, value) if path else value
    return found


def _put(node: Any, path: Sequence[str], value: Any) -> Any:
    """A copy of `node` with the value at a path."""
    if not path:
        return value
    step, *rest = path
    if isinstance(node, list):
        changed = _put(node[int(step)], rest, value)
        return [*node[: int(step)], changed, *node[int(step) + 1 :]]
    return {**(node or {}), step: _put((node or {}).get(step), rest, value)}
