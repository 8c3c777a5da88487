"""Network → Scene: which cells of the input one cell of a node sees, and those before it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from archspec.figures import cards, fonts, palette, words
from archspec.figures.scene import Box, Group, Mark, Path, Rect, Scene, Step, Stroke, Text, flat
from archspec.figures.seen import Seen, chain
from archspec.units import once

if TYPE_CHECKING:
    from archspec.analysed import Network
    from archspec.analysis import Field

_EDGE, _HEAD = 20.0, 80.0
_PANEL = 540.0  # px of the longer side of the picture
_BAND = 620.0  # px of the picture where the input has one axis
_ROW = 20.0  # px of a row of the table
_SIZE = 10.5  # of its letters
_LINES = 64  # of the grid, along one axis
_PATH, _OP = 230.0, 130.0  # px that a path, and an op, may take
_FIRST, _LAST = "#9ecaf0", "#08306b"  # colours, from the first field on
_WHOLE = 10  # an axis is drawn whole up to so many times the field
_GROUND, _SEEN, _GRID = "#f1f1ee", "#f6ddd4", "#cfd3d8"
_TITLES = ("node", "op", "field", "stride", "padding")


def draw(network: Network, node: str | None = None) -> Scene:
    """The fields of `node`, a path, and of the nodes that lead to it, for the cell in the middle.

    Without `node`, of the last that sees a part of the input. Raises RenderError.
    """
    found = chain(network, node)
    flat = len(found[-1].fields) == 1
    return (_Bands if flat else _Squares)(network, found).scene()


class _Figure:
    """Heading and table; the picture is the subclass's."""

    def __init__(self, network: Network, found: Sequence[Seen]) -> None:
        self.network, self.found, self.last = network, found, found[-1]
        self.heading = cards.heading(network, _EDGE)
        self.head = _HEAD + cards.below(self.heading)
        self.lines = [self._cells(seen) for seen in found]
        self.wide = [
            14 + max(fonts.width(text, _SIZE, bold=True) for text in column)
            for column in zip(_TITLES, *self.lines, strict=True)
        ]

    def scene(self) -> Scene:
        cells = "cell" if self.sizes == "1" else "cells"
        said = f"One cell of {self.last.row.path} sees {self.sizes} {cells} of {self.input}"
        title = Text(_EDGE, self.head - 20, said, 12.0, bold=True)
        more = Text(title.box.right + 12, title.y, self.more, 11.0, colour=palette.MUTED)
        heading = (*self.heading, title, more)
        marks = list(self.picture())
        boxes = [mark.box for mark in flat((*heading, *marks)) if isinstance(mark, Rect | Text)]
        return Scene(
            max(box.right for box in boxes) + _EDGE,
            max(box.bottom for box in boxes) + _EDGE,
            (*heading, *marks),
            f"{self.network.name}: receptive field",
            f"{cards.about(self.network)}: {said}; {self.more}",
        )

    def picture(self) -> Iterator[Mark]:
        raise NotImplementedError

    @property
    def input(self) -> str:
        return self.last.fields[0].input

    @property
    def sizes(self) -> str:
        return "×".join(str(field.size) for field in self.last.fields)

    @property
    def more(self) -> str:
        here = "×".join(str(field.extent) for field in self.last.fields)
        said = f"{self.input} {here}, stride {once([f.stride for f in self.last.fields])}"
        whole = any(field.whole for field in self.last.fields)
        return f"{said}; by another path all of it" if whole else said

    @property
    def beyond(self) -> str:
        """What stands where a field reaches beyond the input."""
        wraps = [field.wraps for field in self.last.fields]
        if not any(wraps):
            return "into padding"
        return (
            "where it goes on at the other end" if all(wraps) else "into padding or the other end"
        )

    def colour(self, number: int) -> str:
        """From light to dark; that of the node itself stands out."""
        if number == len(self.found) - 1:
            return palette.ACCENT
        return palette.mixed(_FIRST, _LAST, number / max(1, len(self.found) - 2))

    def _cells(self, seen: Seen) -> tuple[str, ...]:
        layer = self.network.graph.steps[seen.row.index].layer
        op = "input" if layer is None else words.label(layer, len(seen.fields))
        return (
            fonts.fit(seen.row.path, _SIZE, _PATH, bold=True),
            fonts.fit(op, _SIZE, _OP, bold=True),
            "×".join(str(field.size) for field in seen.fields),
            once([field.stride for field in seen.fields]),
            once([field.padding_here for field in seen.fields]),
        )

    def line(self, number: int, x: float, y: float) -> Iterator[Text]:
        """One line of the table, on the base line `y`; -1 is its titles."""
        cells = _TITLES if number < 0 else self.lines[number]
        bold = number == len(self.lines) - 1
        colour = palette.MUTED if number < 0 else palette.INK
        for place, (text, wide) in enumerate(zip(cells, self.wide, strict=True)):
            numeric = place > 1
            at, anchor = (x + wide - 14, "end") if numeric else (x, "start")
            yield Text(at, y, text, _SIZE, anchor, bold=bold, colour=colour)
            x += wide


class _Squares(_Figure):
    """An image: squares in one another on the input."""

    def __init__(self, network: Network, found: Sequence[Seen]) -> None:
        super().__init__(network, found)
        self.down, self.across = self.last.fields[-2:]
        tall, wide = self.last.spans[-2:]
        self.rows, self.columns = _near(self.down, tall), _near(self.across, wide)
        self.top, low = _around(self.rows, [seen.spans[-2] for seen in found])
        self.left, far = _around(self.columns, [seen.spans[-1] for seen in found])
        height, width = low + 1 - self.top, far + 1 - self.left
        self.scale = _PANEL / max(height, width)
        self.right = _EDGE + width * self.scale
        self.image = self._box(self.rows, self.columns)
        self.whole = self._box((0, self.down.extent - 1), (0, self.across.extent - 1))
        self.strokes = [self._stroke(number) for number in range(len(found))]

    def picture(self) -> Iterator[Mark]:
        hull = self._box(*self.last.spans[-2:])
        yield Rect(self.image, _GROUND)
        starts, ends = map(max, self.image[:2], hull[:2]), map(min, self.image[2:], hull[2:])
        yield Rect(Box(*starts, *ends), _SEEN)
        yield from self._grid()
        yield from self._edges()
        for seen, stroke in reversed(list(zip(self.found, self.strokes, strict=True))):
            square = Rect(self._box(*seen.spans[-2:]), None, stroke)
            yield Group((square,), seen.row.path, role="field")
        yield self._cross()
        yield from self._table(self.right + 34)

    def _edges(self) -> Iterator[Path]:
        """Those of the image; none where it goes on."""
        left, top, right, bottom = self.image
        for there, start, end in (
            (top == self.whole.top, (left, top), (right, top)),
            (bottom == self.whole.bottom, (left, bottom), (right, bottom)),
            (left == self.whole.left, (left, top), (left, bottom)),
            (right == self.whole.right, (right, top), (right, bottom)),
        ):
            if there:
                yield Path((("M", *start), ("L", *end)), Stroke("#6a6f75", 1.2))

    def _table(self, x: float) -> Iterator[Mark]:
        y = self.head + 10
        yield from self.line(-1, x + 22, y)
        for number, stroke in enumerate(self.strokes):
            y += _ROW
            swatch = Rect(Box(x, y - 9, x + 11, y + 2), None, stroke)
            yield Group((swatch, *self.line(number, x + 22, y)), role="line")
        for said in self._notes():
            y += _ROW
            yield Text(x, y, said, 10.0, colour=palette.MUTED)

    def _notes(self) -> Iterator[str]:
        axes = (self.down, self.rows), (self.across, self.columns)
        steps = [_every(field, *cells) for field, cells in axes]
        cells = "one cell" if set(steps) == {1} else "×".join(map(str, steps)) + " cells"
        yield f"a square of the grid: {cells} of {self.last.row.path}"
        if self.image != self.whole:
            shown = ", ".join(f"{first}…{last}" for first, last in (self.rows, self.columns))
            yield f"shown of {self.input}: cells {shown}"
        if any(stroke.dash for stroke in self.strokes):
            yield "dashed: reaches beyond the input, " + self.beyond

    def _stroke(self, number: int) -> Stroke:
        last = number == len(self.found) - 1
        inside = self.whole.contains(self._box(*self.found[number].spans[-2:]))
        return Stroke(self.colour(number), 2.0 if last else 1.3, () if inside else (5.0, 3.0))

    def _grid(self) -> Iterator[Path]:
        """Where one cell of the node ends and the next begins."""
        left, top, right, bottom = self.image
        steps: list[Step] = []
        for place in _borders(self.down, *self.rows):
            y = self.whole.top + place * self.scale
            steps += [("M", left, y), ("L", right, y)]
        for place in _borders(self.across, *self.columns):
            x = self.whole.left + place * self.scale
            steps += [("M", x, top), ("L", x, bottom)]
        if steps:
            yield Path(tuple(steps), Stroke(_GRID, 0.6))

    def _cross(self) -> Path:
        """The middle of the field."""
        y = self.whole.top + self.last.centres[-2] * self.scale
        x = self.whole.left + self.last.centres[-1] * self.scale
        steps: tuple[Step, ...] = (
            ("M", x - 5, y), ("L", x + 5, y), ("M", x, y - 5), ("L", x, y + 5),
        )  # fmt: skip
        return Path(steps, Stroke(palette.ACCENT, 1.6))

    def _box(self, down: tuple[int, int], across: tuple[int, int]) -> Box:
        """Cells of the input, the last included, in px."""
        return Box(
            _EDGE + (across[0] - self.left) * self.scale,
            self.head + (down[0] - self.top) * self.scale,
            _EDGE + (across[1] + 1 - self.left) * self.scale,
            self.head + (down[1] + 1 - self.top) * self.scale,
        )


class _Bands(_Figure):
    """A sequence: a band for each node, beside its line of the table."""

    def __init__(self, network: Network, found: Sequence[Seen]) -> None:
        super().__init__(network, found)
        (self.field,), (span,) = self.last.fields, self.last.spans
        self.cells = _near(self.field, span)
        left, right = _around(self.cells, [seen.spans[0] for seen in found])
        self.scale = _BAND / (right + 1 - left)
        self.zero = _EDGE + math.fsum(self.wide) + 10 - left * self.scale
        self.bottom = self.head + 10 + (len(self.found) + 0.5) * _ROW

    def picture(self) -> Iterator[Mark]:
        first, last = self.cells
        ground = Box(self._x(first), self.head, self._x(last + 1), self.bottom)
        yield Rect(ground, _GROUND)
        steps: list[Step] = []
        for place in _borders(self.field, first, last):
            steps += [("M", self._x(place), self.head), ("L", self._x(place), self.bottom)]
        if steps:
            yield Path(tuple(steps), Stroke(_GRID, 0.6))
        yield from self.line(-1, _EDGE, self.head + 10)
        for number, seen in enumerate(self.found):
            y = self.head + 10 + (number + 1) * _ROW
            low, high = seen.spans[0]
            box = Box(self._x(low), y - 10, self._x(high + 1), y + 3)
            band = Rect(box, self.colour(number))
            yield Group((*self.line(number, _EDGE, y), band), seen.row.path, role="field")
        x = self._x(self.last.centres[0])
        yield Path(
            (("M", x, self.head), ("L", x, self.bottom)), Stroke(palette.INK, 1.0, (2.0, 2.0))
        )
        said = f"{self.input}, cells {first} to {last} of {self.field.extent}"
        yield Text(ground.left, self.bottom + 15, said, 10.0, colour=palette.MUTED)
        low, high = _around((0, 0), [seen.spans[0] for seen in self.found])
        if low < 0 or high >= self.field.extent:
            said = "a band reaches beyond the input, " + self.beyond
            yield Text(ground.left, self.bottom + 30, said, 10.0, colour=palette.MUTED)

    def _x(self, cell: float) -> float:
        return self.zero + cell * self.scale


def _near(field: Field, span: tuple[int, int]) -> tuple[int, int]:
    """The cells of the input to show, first and last: all, or of many only what is near."""
    size, end = span[1] + 1 - span[0], field.extent - 1
    if field.extent <= _WHOLE * size:
        return 0, end
    low, high = (min(max(0, cell), end) for cell in span)  # what was rolled may stand outside
    return max(0, low - 2 * size), min(end, high + 2 * size)


def _around(shown: tuple[int, int], spans: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """The first and last cell of what is shown and of all fields: one on the way may reach out."""
    starts, ends = zip(shown, *spans, strict=True)
    return min(starts), max(ends)


def _every(field: Field, first: int, last: int) -> int:
    """How many cells of a node share a cell of the grid, so that it can be seen."""
    assert field.stride is not None
    return max(1, -(-int((last + 1 - first) / field.stride) // _LINES))


def _borders(field: Field, first: int, last: int) -> Iterator[float]:
    """Between cells of the node, in cells of the input: half a stride from their centres."""
    assert field.stride is not None
    assert field.centre is not None
    step = float(field.stride) * _every(field, first, last)
    start = float(field.centre) + 0.5 - float(field.stride) / 2
    place = start + (first - start) // step * step
    while place <= last:
        if place > first:
            yield place
        place += step
