"""Solid → marks: slabs in parallel projection, their pools, their words."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from itertools import groupby, takewhile
from typing import NamedTuple

from archspec.figures import cards, fonts, palette
from archspec.figures.palette import Colours
from archspec.figures.scene import Group, Path, Point, Stroke, Text, polygon
from archspec.figures.trunk import Sides, Slab, Solid

SMALL, NAME, COPIES = 10.0, 11.5, 13.0
_SMALLEST = 11.0  # px of the face of one cell
_SLANT = 0.39  # px to the right and up for a px of depth
_BAR = 12.0  # px a vector is high and thick
_POOL = 5.0  # px a pool is thick
_CAPTION = 104.0  # px a caption may be wide
_LINE = 13.0  # px from one line of words to the next


class _Cut(NamedTuple):
    """An upright cut across a solid: its front edge, and how far depth goes to the right and up."""

    x: float
    top: float
    bottom: float
    slant: float

    def slab(self, thick: float, colours: Colours) -> Iterator[Path]:
        """The front and the top of what is from here on."""
        x, top, bottom, slant = self
        far = x + thick
        stroke = Stroke(colours.edge, 0.9)
        front = (x, top), (far, top), (far, bottom), (x, bottom)
        above = (x, top), (x + slant, top - slant), (far + slant, top - slant), (far, top)
        yield polygon(front, colours.fill, stroke)
        yield polygon(above, colours.fill, stroke)

    def face(self, fill: str, edge: str) -> Path:
        """The cut itself, as seen where a solid ends."""
        x, top, bottom, slant = self
        corners = (x, top), (x + slant, top - slant), (x + slant, bottom - slant), (x, bottom)
        return polygon(corners, fill, Stroke(edge, 0.9))


class Volume:
    """A solid whose first slab's left edge is at `x` and whose middle is at `axis`.

    `scale` is px per square root of a cell. `sized`: its resolution is written beside it.
    """

    def __init__(
        self, solid: Solid, scale: float, *, sized: bool, x: float = 0.0, axis: float = 0.0
    ) -> None:
        self.solid, self.scale, self.sized = solid, scale, sized
        self.x, self.axis = x, axis
        self.thick = [_thickness(slab, vector=not solid.sides) for slab in solid.slabs]
        self.height, self.slant = self._face(solid.sides, solid.slabs[0].channels)
        centre = axis if solid.sides else axis + self.slant / 2
        self.top, self.bottom = centre - self.height / 2, centre + self.height / 2
        self.end = x + math.fsum(self.thick)
        self.shapes = [*self._slabs(), *self._pools()]
        self.texts = [*self._channels(), *self._caption(), *self._copies()]
        if sized and solid.sides:
            self.texts.append(self._size())

    def moved(self, x: float, axis: float) -> Volume:
        """The same at another place."""
        return Volume(self.solid, self.scale, sized=self.sized, x=x, axis=axis)

    # -------------------------------------------------------------- what it takes

    @property
    def left(self) -> float:
        return min(self.x, *(point[0] for text in self.texts for point in text.corners))

    @property
    def right(self) -> float:
        words = (point[0] for text in self.texts for point in text.corners)
        return max(*(x for x, _ in self._points()), *words)

    @property
    def highest(self) -> float:
        words = (text.box.top for text in self.texts)
        return min(*(y for _, y in self._points()), *words)

    @property
    def lowest(self) -> float:
        return max(self.bottom, *(text.box.bottom for text in self.texts))

    def ends(self) -> tuple[Point, Point]:
        """Where a line along the axis comes in, and goes out."""
        corners = self._points()
        crossed = [
            a[0] + (b[0] - a[0]) * (self.axis - a[1]) / (b[1] - a[1])
            for a in corners
            for b in corners
            if a[1] <= self.axis < b[1]
        ]
        return (min(crossed), self.axis), (max(crossed), self.axis)

    def group(self) -> Group:
        """The shapes alone; words stand beside them."""
        title = "; ".join(cards.title(part) for part in self.solid.parts)
        return Group(tuple(self.shapes), self.solid.key, title, "card")

    def _points(self) -> list[Point]:
        return [(step[1], step[2]) for path in self.shapes for step in path.steps if len(step) > 2]

    # -------------------------------------------------------------- shapes

    def _face(self, sides: Sides, channels: int) -> tuple[float, float]:
        """Height of a face, and how far it goes to the right and up."""
        if not sides:
            return _BAR, 7.0 * math.log2(channels + 1)
        if len(sides) == 1:  # a sequence is a band
            return self._side(sides[0]), _SLANT * _BAR
        return self._side(sides[-2]), _SLANT * self._side(sides[-1])

    def _side(self, cells: int) -> float:
        return max(_SMALLEST, self.scale * math.sqrt(cells))

    def _slabs(self) -> Iterator[Path]:
        cut = _Cut(self.x, self.top, self.bottom, self.slant)
        for slab, thick in zip(self.solid.slabs, self.thick, strict=True):
            yield from cut.slab(thick, palette.of(slab.family))
            cut = cut._replace(x=cut.x + thick)
        last = palette.of(self.solid.slabs[-1].family)
        yield cut.face(last.side, last.edge)

    def _pools(self) -> Iterator[Path]:
        x = self.end
        for sides, part in self.solid.pools:
            colours = palette.of(part.family)
            height, slant = self._face(sides, 1)
            cut = _Cut(x, self.axis - height / 2, self.axis + height / 2, slant)
            yield from cut.slab(_POOL, Colours(colours.side, colours.side, colours.edge))
            x += _POOL
            yield cut._replace(x=x).face(colours.fill, colours.edge)

    # -------------------------------------------------------------- words

    def _channels(self) -> Iterator[Text]:
        """How many channels, once for slabs alike."""
        x, free = self.x, -math.inf
        pairs = zip(self.solid.slabs, self.thick, strict=True)
        for slab, group in groupby(pairs, key=lambda pair: pair[0]):
            run = [thick for _, thick in group]
            count = len(run) * slab.copies
            text = f"{slab.channels} ×{count}" if count > 1 else str(slab.channels)
            middle = max(x + math.fsum(run) / 2, free + fonts.width(text, SMALL) / 2)
            yield Text(middle, self.bottom + 12, text, SMALL, "middle")
            free = middle + fonts.width(text, SMALL) / 2 + 4
            x += math.fsum(run)

    def _caption(self) -> Iterator[Text]:
        """Its name, and what it is."""
        middle, room = (self.x + self.end) / 2, max(_CAPTION, self.end - self.x)
        y = self.bottom + 13
        names, more = _said(self.solid)
        told = (word for word in _told(self.solid) if word not in (*names, *more))
        more += fonts.folded(told, SMALL, room)
        for name in names:
            y += _LINE
            yield Text(middle, y, name, NAME, "middle", bold=True).fit(room)
        for line in more:
            y += _LINE
            yield Text(middle, y, line, SMALL, "middle", colour=palette.MUTED).fit(room)

    def _copies(self) -> Iterator[Text]:
        if self.solid.copies > 1:
            x, y = (self.x + self.end + self.slant) / 2, self.top - self.slant - 8
            text = f"× {self.solid.copies}"
            yield Text(x, y, text, COPIES, "middle", bold=True, colour=palette.ACCENT)

    def _size(self) -> Text:
        """The resolution, along the lower edge of the face and clear of the axis."""
        text = "×".join(map(str, self.solid.sides))
        wide = fonts.width(text, SMALL)
        pools = _POOL * sum(self._face(s, 1)[0] > 0.8 * self.height for s, _ in self.solid.pools)
        away = fonts.ASCENT * SMALL * 0.71 + 3
        along = max(0.0, (self.slant - 0.71 * wide) / 2)
        y = self.bottom + away - along
        y += max(0.0, self.axis + 5 + fonts.ASCENT * SMALL * 0.71 - (y - 0.71 * wide))
        lowest = max(self.bottom + 14, y + 3)
        beside = [text.box.right for text in self.texts if text.box.top < lowest]
        clear = away + 4  # it is turned: its upper left corner stands left of where it begins
        x = max(self.end + pools + away + along, *(right + clear for right in beside))
        return Text(x, y, text, SMALL, turn=-45.0)


def _thickness(slab: Slab, *, vector: bool) -> float:
    return _BAR if vector else max(6.0, 3.2 * math.log2(slab.channels + 1))


def _said(solid: Solid) -> tuple[list[str], list[str]]:
    """What it is called, then what it is; of several parts first and last, or all their labels."""
    pools = [part for _, part in solid.pools]
    parts = [part for part in solid.parts if part not in pools and part.kind != "merge"]
    parts = parts or solid.parts
    labels = list(dict.fromkeys(part.label for part in parts))
    varies = list(solid.parts[0].varies[:1]) if solid.copies > 1 else []
    if not all(part.name for part in parts):
        return labels if len(labels) < 4 else [labels[0], "…", labels[-1]], varies
    return _span([part.name for part in parts]), [*(labels if len(labels) == 1 else []), *varies]


def _told(solid: Solid) -> list[str]:
    """What tells its parts apart from others of their name: arguments, activations and marks."""
    arguments, bent, marks = list[str](), list[str](), list[str]()
    for part in solid.parts:
        arguments += part.arguments
        alone = [part.label] if part.family == "activation" else []
        bent += [*part.preactive, *alone, *part.activations]
        marks += part.marks
    return list(dict.fromkeys((*arguments, *bent, *marks)))


def _span(names: Sequence[str]) -> list[str]:
    """One name; of several the first and last, of that what differs: `inception4a … 4e`.

    Names that have nothing in common are no range: `block12`, `and 2 more`.
    """
    first, last = names[0], names[-1]
    if len(set(names)) == 1:
        return [first]
    same = takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))
    word = re.match(r".*[_.]|[A-Za-z]+", "".join(sign for sign, _ in same))
    if word is None and len(names) > 2:
        return [first, f"and {len(names) - 1} more"]
    short = (last[word.end() :] if word else "") or last
    text = f"{first} … {short}" if len(names) > 2 else f"{first}, {short}"
    if fonts.width(text, NAME, bold=True) <= _CAPTION:
        return [text]
    return [f"{first} …" if len(names) > 2 else first, last]
