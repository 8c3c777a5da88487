"""Part and box → marks: cards, glyphs, and the lines between them, alike in all views."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from archspec.figures import fonts, palette
from archspec.figures.outline import Link, Outline, Part
from archspec.figures.scene import Box, Group, Mark, Path, Point, Rect, Step, Stroke, Text, corner
from archspec.units import count

if TYPE_CHECKING:
    from archspec.analysed import Network

LABEL, SMALL = 11.5, 10.0
LINE = Stroke(palette.LINE, 1.3)
SKIP = Stroke(palette.SKIP, 1.4, (5.0, 3.0))
SIZE = Stroke(palette.LINE, 1.0, (1.5, 3.0))
"""Of a link that only a size is read from."""
WIDEST, FOLDED = 230.0, 170.0
"""Px that a label may have, and a line of other words."""
LEAST = 44.0, 35.0
"""Width and height in px of a card with little on it."""
WIDEST_ROW, ROW, _BESIDE = 480.0, 25.0, 9.0
_GLYPH = 9.0  # radius in px
_TITLE = 560.0  # px that a title may take where the line above it is shorter
_TITLED, _LINE, _LINES = 9.5, 42.0, 4  # px of its letters, of its first line; its lines at most
_ROUND = 7.0  # of corners


class Line(NamedTuple):
    """One line of words on a card."""

    text: str
    size: float = SMALL
    bold: bool = False
    colour: str = palette.INK

    @property
    def width(self) -> float:
        return fonts.width(self.text, self.size, bold=self.bold)

    def at(self, x: float, y: float, anchor: str = "start") -> Text:
        return Text(x, y, self.text, self.size, anchor, self.bold, self.colour)


class Face(NamedTuple):
    """What stands on a card: lines from top to bottom, or beside one another in a `row`.

    `copies` behind the label, in the colour `accent`; `glyph`: the merge it is drawn as, or "".
    """

    lines: tuple[Line, ...]
    copies: str = ""
    glyph: str = ""
    row: bool = False
    accent: str = palette.ACCENT

    @property
    def size(self) -> tuple[float, float]:
        """Width and height in px."""
        if self.glyph:
            words_wide = max((line.width for line in self.lines), default=0.0)
            wide = 2 * _GLYPH + (words_wide + 14 if self.lines else 0)
            return wide, max(2 * _GLYPH, 13.0 * len(self.lines) + 4)
        if self.row:
            return min(WIDEST_ROW, math.fsum(self.widths) + _BESIDE * (len(self.lines) + 1)), ROW
        tall = math.fsum(line.size + 3.5 for line in self.lines) + 9
        return max(LEAST[0], min(WIDEST, max(self.widths)) + 16), max(LEAST[1], tall)

    @property
    def label(self) -> int:
        """Which line is the label."""
        return max(range(len(self.lines)), key=lambda number: self.lines[number].size)

    @property
    def widths(self) -> list[float]:
        """Of each line."""
        found = [line.width for line in self.lines]
        if self.copies:
            found[self.label] += 5 + fonts.width(self.copies, LABEL, bold=True)
        return found


def heading(network: Network, left: float, remark: str = "") -> tuple[Text, ...]:
    """Above a figure: the network's name, what it costs, and a remark; below them its title.

    A long title goes on in further lines; how much further down a figure begins, `below` says.
    """
    totals = network.analysis.totals
    costs = f"{count(totals.params).strip()} parameters, {count(totals.macs)}MACs"
    first = entitled(network.called, ", ".join(filter(None, (costs, remark))), left)
    if (said := about(network)) == network.called:
        return first
    room = max(_TITLE, right(first) - left)
    lines = fonts.folded(said.split(), _TITLED, room, " ")
    lines = [*lines[: _LINES - 1], *filter(None, [" ".join(lines[_LINES - 1 :])])]
    return *first, *(
        Text(left, _LINE + 12.0 * n, line, _TITLED, colour=palette.MUTED).fit(room)
        for n, line in enumerate(lines)
    )


def below(heading: Sequence[Text]) -> float:
    """Px that a heading takes beyond one line of title."""
    return max(0.0, max(text.y for text in heading) - _LINE)


def right(heading: Sequence[Text]) -> float:
    """How far a heading reaches."""
    return max(text.box.right for text in heading)


def about(network: Network) -> str:
    """What it is in a sentence's beginning: the spec's title, which is said of no variant."""
    return (network.spec.title if network.variant is None else "") or network.called


def entitled(name: str, remark: str, left: float) -> tuple[Text, Text]:
    """A first line: a name, and something about it."""
    first = Text(left, 28.0, name, 15.0, bold=True).fit(700.0)
    second = Text(first.box.right + 12, 28.0, remark, LABEL, colour=palette.MUTED)
    return first, second.fit(700.0)


def goes_by_name(shown: Outline, part: Part) -> bool:
    """Whether the author's name says more than what it is: of blocks, and of heads."""
    after = shown.targets[part.key]
    ends = not after or any(shown.by_key[link.target].kind == "output" for link in after)
    return part.composite or ends


def label(part: Part) -> Line:
    """The main line of a card: bold where there is more inside."""
    return Line(part.label, LABEL, part.composite)


def muted(words: Sequence[str], most: float = FOLDED) -> list[Line]:
    """Words in lines of so many px, less than the label."""
    return [Line(text, colour=palette.MUTED) for text in fonts.folded(words, SMALL, most)]


def told(part: Part, most: float = FOLDED) -> list[Line]:
    """What tells it apart behind its label, whose weights it has or when it is there by itself."""
    return [*muted((*part.arguments, *part.activations), most), *marked(part, most)]


def marked(part: Part, most: float = FOLDED) -> list[Line]:
    """Whose weights it has, and that it is there in training only."""
    folded = (fonts.folded(mark.split(" "), SMALL, most, " ") for mark in part.marks)
    return [Line(text, colour=palette.MUTED) for lines in folded for text in lines]


GLYPHS = frozenset({"add", "sub", "mul", "concat"})


def title(part: Part) -> str:
    """The tooltip: everything known in one line, every layer in it counted."""
    said = [part.name, *part.ahead, part.counted, *part.notes, *part.varies, *part.marks]
    said.append(" × ".join(map(str, part.shape)))
    said.append(f"{part.params:,} parameters" if part.params else "")
    said.append(part.held)
    return ", ".join(filter(None, said))


def card(part: Part, face: Face, box: Box) -> Group:
    """A card, or the round glyph of a merge."""
    if face.glyph:
        return Group(_merge(face, box), part.key, title(part), "glyph")
    radius = min(box.height / 2, 12.0) if part.kind in ("input", "output") else 4.0
    face = face._replace(lines=legible(part, face.lines))
    words = _words(face._replace(accent=palette.INK) if _dark(part) else face, box)
    return Group((*ground(part, box, radius), *words), part.key, title(part), "card")


def ground(part: Part, box: Box, radius: float = 4.0) -> list[Mark]:
    """A card without words; of several copies it looks like several sheets."""
    colours = palette.of(part.family)
    marks: list[Mark] = []
    if part.copies > 1:
        marks.append(Rect(box.moved(3, -3), colours.fill, Stroke(colours.edge, 1.0), 4.0))
    return [*marks, Rect(box, colours.fill, Stroke(colours.edge, 1.2), radius)]


def legible(part: Part, lines: tuple[Line, ...]) -> tuple[Line, ...]:
    """Muted words are ink where the card is dark."""
    return tuple(line._replace(colour=palette.INK) for line in lines) if _dark(part) else lines


def _dark(part: Part) -> bool:
    fill = palette.of(part.family).fill
    red, green, blue = (int(fill[at : at + 2], 16) for at in (1, 3, 5))
    return 0.3 * red + 0.59 * green + 0.11 * blue <= 200


def _words(face: Face, box: Box) -> list[Mark]:
    if face.row:
        return _in_a_row(face, box)
    middle = box.middle[0]
    room = box.width - 12
    tall = math.fsum(line.size + 3.5 for line in face.lines) - 3.5
    y = (box.top + box.bottom - tall) / 2
    found: list[Mark] = []
    for number, line in enumerate(face.lines):
        y += line.size * 0.86
        if face.copies and number == face.label:
            found += _counted(line, face, middle, y, room)
        else:
            found.append(line.at(middle, y, "middle").fit(room))
        y += line.size * 0.14 + 3.5
    return found


def _in_a_row(face: Face, box: Box) -> list[Mark]:
    y = box.middle[1] + LABEL * 0.34
    x, room = box.left + _BESIDE, box.width - _BESIDE * (len(face.lines) + 1)
    over = max(0.0, math.fsum(face.widths) - room)  # taken from the longest line
    longest = max(face.widths)
    found: list[Mark] = []
    for number, (line, wide) in enumerate(zip(face.lines, face.widths, strict=True)):
        if wide == longest:
            wide, over = wide - over, 0.0
        if face.copies and number == face.label:
            found += _counted(line, face, x + wide / 2, y, wide + 0.1)
        else:
            found.append(line.at(x, y).fit(wide + 0.1))
        x += wide + _BESIDE
    return found


def _counted(line: Line, face: Face, middle: float, y: float, room: float) -> list[Mark]:
    """The label and `× 36` behind it, together in the middle."""
    behind = fonts.width(face.copies, line.size, bold=True)
    label = line.at(0, y).fit(room - behind - 5)
    left = middle - (label.width + 5 + behind) / 2
    return [
        replace(label, x=left),
        Text(left + label.width + 5, y, face.copies, line.size, "start", True, face.accent),
    ]


# ---------------------------------------------------------------------- glyphs


def _merge(face: Face, box: Box) -> tuple[Mark, ...]:
    colours = palette.of("merge")
    stroke = Stroke(colours.edge, 1.3)
    (x, y), inner = box.middle, _GLYPH
    marks: list[Mark] = []
    if face.lines:
        marks.append(Rect(box, colours.fill, stroke, min(box.height / 2, 10.0)))
        x, inner = box.left + _GLYPH + 3, _GLYPH - 2.5
    marks.append(Path(_circle(x, y, inner), stroke, "#ffffff" if face.lines else colours.fill))
    marks += _sign(face.glyph, x, y, inner * 0.55, Stroke(palette.INK, 1.6))
    top = y - 6.5 * len(face.lines) + 9.5
    marks += [line.at(x + inner + 5, top + 13 * n) for n, line in enumerate(face.lines)]
    return tuple(marks)


def _circle(x: float, y: float, r: float) -> tuple[Step, ...]:
    k = 0.5523 * r  # of Bézier curves that make a circle
    return (
        ("M", x + r, y),
        ("C", x + r, y + k, x + k, y + r, x, y + r),
        ("C", x - k, y + r, x - r, y + k, x - r, y),
        ("C", x - r, y - k, x - k, y - r, x, y - r),
        ("C", x + k, y - r, x + r, y - k, x + r, y),
        ("Z",),
    )


def _sign(op: str, x: float, y: float, r: float, stroke: Stroke) -> list[Mark]:
    d = r * 0.75
    ends = {
        "add": [((x - r, y), (x + r, y)), ((x, y - r), (x, y + r))],
        "sub": [((x - r, y), (x + r, y))],
        "mul": [((x - d, y - d), (x + d, y + d)), ((x - d, y + d), (x + d, y - d))],
        "concat": [((x - 2.2, y - r), (x - 2.2, y + r)), ((x + 2.2, y - r), (x + 2.2, y + r))],
    }[op]
    return [Path((("M", *a), ("L", *b)), stroke) for a, b in ends]


# ---------------------------------------------------------------------- lines


def stroke(part_link: Link) -> Stroke:
    """Straight ahead, past others, or for its size only."""
    return SIZE if part_link.size else SKIP if part_link.skip else LINE


def link(points: Sequence[Point], edge: tuple[str, str], stroke: Stroke = LINE) -> Path:
    """A line with round corners through points, that joins two cards."""
    return Path(_rounded(points), stroke, arrow=True, edge=edge)


def _rounded(points: Sequence[Point]) -> tuple[Step, ...]:
    points = _straightened(points)
    steps: list[Step] = [("M", *points[0])]
    for before, at, after in zip(points, points[1:], points[2:], strict=False):
        r = min(_ROUND, math.dist(before, at) / 2, math.dist(at, after) / 2)
        steps += corner(before, at, after, r, r)
    return (*steps, ("L", *points[-1]))


def _straightened(points: Sequence[Point]) -> list[Point]:
    """Without points that are on the way anyhow."""
    found: list[Point] = []
    for point in points:
        if found and math.dist(found[-1], point) < 0.05:
            continue
        while len(found) > 1 and abs(_turn(found[-2], found[-1], point)) < 0.05:
            found.pop()
        found.append(point)
    return found


def _turn(a: Point, b: Point, c: Point) -> float:
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
