"""Marks → Scene: boxes, paths and words in one plane; SVG, TikZ and PDF are written from it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from archspec.figures import fonts

WIDTH, HEIGHT = 1600.0, 1200.0
"""Px of the largest sheet: what a page, a slide or a screen shows with words of 9 px legible."""

ANCHORS = {"start": 0.0, "middle": 0.5, "end": 1.0}
"""How much of a text is to the left of its x."""

Point = tuple[float, float]
Step = tuple[str, *tuple[float, ...]]


class Box(NamedTuple):
    """An upright rectangle in px: left, top, right, bottom; y grows downwards."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def width(self) -> float:
        return self.right - self.left

    @property
    def height(self) -> float:
        return self.bottom - self.top

    @property
    def middle(self) -> Point:
        return (self.left + self.right) / 2, (self.top + self.bottom) / 2

    def moved(self, right: float, down: float) -> Box:
        return Box(self.left + right, self.top + down, self.right + right, self.bottom + down)

    def contains(self, other: Box) -> bool:
        """Whether `other` lies within, up to half a px."""
        left, top, right, bottom = (a - b for a, b in zip(other, self, strict=True))
        return min(left, top, -right, -bottom) >= -0.5


@dataclass(frozen=True, slots=True)
class Stroke:
    """How a line is drawn: colour as `#rrggbb`, width in px, `dash` as lengths on and off."""

    colour: str = "#444444"
    width: float = 1.0
    dash: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Rect:
    """A box, filled or outlined or both; `radius` rounds its corners."""

    box: Box
    fill: str | None = None
    stroke: Stroke | None = None
    radius: float = 0.0


@dataclass(frozen=True, slots=True)
class Path:
    """A line through steps: ("M", x, y), ("L", x, y), ("C", x1, y1, x2, y2, x, y), ("Z",).

    `arrow` puts a head at the end. `edge` names the keys of the two groups that it joins: what a
    test of missing connections reads.
    """

    steps: tuple[Step, ...]
    stroke: Stroke | None = field(default_factory=Stroke)
    fill: str | None = None
    arrow: bool = False
    edge: tuple[str, str] | None = None

    @property
    def end(self) -> Point:
        """Where it ends."""
        return last(self.steps[-1])

    @property
    def head(self) -> tuple[Point, Point, Point] | None:
        """The corners of the arrow head, its tip first."""
        if not self.arrow or self.stroke is None:
            return None
        (x, y), (dx, dy) = self.end, self._direction()
        length = _head(self.stroke)
        back, side = (x - length * dx, y - length * dy), 0.42 * length
        return (
            (x, y),
            (back[0] - side * dy, back[1] + side * dx),
            (back[0] + side * dy, back[1] - side * dx),
        )

    @property
    def shaft(self) -> tuple[Step, ...]:
        """The steps; with an arrow they stop inside its head, so that the tip stays sharp."""
        if not self.arrow or self.stroke is None:
            return self.steps
        dx, dy = self._direction()
        back = 0.8 * _head(self.stroke)
        kind, *values = self.steps[-1]
        # of a curve the second handle moves along, so that it ends in the same direction
        moved = 4 if kind == "C" else 2
        for place in range(len(values) - moved, len(values), 2):
            values[place] -= back * dx
            values[place + 1] -= back * dy
        return (*self.steps[:-1], (kind, *values))

    def _direction(self) -> Point:
        """The unit vector in which it ends."""
        x, y = self.end
        points = [last(step) for step in self.steps[:-1] if len(step) > 1]
        kind, *values = self.steps[-1]
        if kind == "C":
            points += [(values[0], values[1]), (values[2], values[3])]
        for px, py in reversed(points):
            far = math.hypot(x - px, y - py)
            if far > 1e-6:
                return (x - px) / far, (y - py) / far
        return 1.0, 0.0


def polygon(points: Sequence[Point], fill: str, stroke: Stroke | None = None) -> Path:
    """A closed shape through its corners."""
    first, *rest = points
    return Path((("M", *first), *(("L", *point) for point in rest), ("Z",)), stroke, fill)


def last(step: Step) -> Point:
    """Where a step ends."""
    _, *values = step
    return values[-2], values[-1]


def between(a: Point, b: Point, t: float) -> Point:
    """So far on the way from one point to another: 0 is `a`, 1 is `b`."""
    return a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t


def corner(before: Point, at: Point, after: Point, start: float, end: float) -> tuple[Step, Step]:
    """A corner made round, from `start` px before it to `end` px behind it."""
    a = between(at, before, start / (math.dist(at, before) or 1.0))
    b = between(at, after, end / (math.dist(at, after) or 1.0))
    k = 0.45  # where the handles stand: a quarter of a circle
    return ("L", *a), ("C", *between(at, a, k), *between(at, b, k), *b)


def _head(stroke: Stroke) -> float:
    """The length of an arrow head in px."""
    return 5.0 + 2.0 * stroke.width


@dataclass(frozen=True, slots=True)
class Text:
    """One line of words; (x, y) is on the base line, `anchor` is "start", "middle" or "end".

    `size` in px; `turn` in degrees, counted clockwise around (x, y).
    """

    x: float
    y: float
    text: str
    size: float = 11.0
    anchor: str = "start"
    bold: bool = False
    colour: str = "#1a1a1a"
    turn: float = 0.0

    @property
    def width(self) -> float:
        return fonts.width(self.text, self.size, bold=self.bold)

    @property
    def box(self) -> Box:
        """The upright box of the words as they stand when `turn` is 0."""
        left = self.x - ANCHORS[self.anchor] * self.width
        top, bottom = self.y - fonts.ASCENT * self.size, self.y + fonts.DESCENT * self.size
        return Box(left, top, left + self.width, bottom)

    def fit(self, most: float) -> Text:
        """Cut where it is wider than `most` px."""
        return replace(self, text=fonts.fit(self.text, self.size, most, bold=self.bold))

    @property
    def corners(self) -> tuple[Point, Point, Point, Point]:
        """Of the box as it is turned, from its top left clockwise."""
        left, top, right, bottom = self.box
        cos, sin = math.cos(math.radians(self.turn)), math.sin(math.radians(self.turn))
        at = [(x - self.x, y - self.y) for y in (top, bottom) for x in (left, right)]
        a, b, d, c = ((self.x + x * cos - y * sin, self.y + x * sin + y * cos) for x, y in at)
        return a, b, c, d


@dataclass(frozen=True, slots=True)
class Group:
    """Marks that belong together; `key` names it (a node's or block's path).

    `title` is its tooltip. `role` is a class word for style sheets and tests: "card", "glyph",
    "lane", "edge", …
    """

    items: tuple[Mark, ...]
    key: str = ""
    title: str = ""
    role: str = ""


Mark = Rect | Path | Text | Group


@dataclass(frozen=True, slots=True)
class Scene:
    """A figure: marks on a white sheet of `width` × `height` px, in the order they are painted.

    `title` and `description` are for those who cannot see it.
    """

    width: float
    height: float
    items: tuple[Mark, ...]
    title: str = ""
    description: str = ""

    @property
    def fits(self) -> bool:
        """Whether a sheet of WIDTH x HEIGHT px holds it."""
        return self.width <= WIDTH and self.height <= HEIGHT

    def marks(self) -> Iterator[Mark]:
        """All marks, groups before what is in them."""
        return flat(self.items)


def flat(items: Iterable[Mark]) -> Iterator[Mark]:
    """Groups, and then what is in them."""
    for mark in items:
        yield mark
        if isinstance(mark, Group):
            yield from flat(mark.items)
