"""Network → Scene: feature maps as volumes, from the input to the output.

The face of a volume shows resolution (its sides grow with the square root of the size), its
thickness channels (with their logarithm), its colour the kind of layer.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from archspec.figures import cards, fonts, palette
from archspec.figures.errors import RenderError
from archspec.figures.scene import Box, Group, Mark, Path, Point, Rect, Scene, Stroke, Text
from archspec.figures.trunk import Solid, Trunk, reason, trunk
from archspec.figures.volume import SMALL, Volume

if TYPE_CHECKING:
    from archspec.analysed import Network

WIDTH, HEIGHT = 1600.0, 1200.0
"""Px of the largest sheet."""
_EDGE, _HEAD = 20.0, 50.0
_TALLEST = (190.0, 165.0, 140.0)  # px of the largest face: smaller where that spares a row
_ARROW, _GAP = 30.0, 12.0  # px between volumes, and between what is written on them
_TURN = 26.0  # px between rows, for the line from one to the next
_MOST = (72, 40, 28, 20, 14, 10, 7)  # parts of the outline, until the sheet holds it
_LINE = Stroke(palette.LINE, 1.8)
_SWATCH = 10.0
_ASIDE = 700.0  # px of a line of names that are not shown
_KINDS = {
    "conv": "convolution", "pool": "pooling", "linear": "linear", "upsampling": "upsampling",
    "attention": "attention", "recurrent": "recurrent", "merge": "merge",
}  # fmt: skip


def draw(network: Network) -> Scene:
    """The volumes in a row, in several where one is too wide. Raises RenderError."""
    why = reason(network)
    if why:
        message = f"`tower` does not apply to `{network.name}`: {why}"
        raise RenderError("E702", message, "--view blocks draws every network")
    for most in _MOST:
        scene = _Tower(network, trunk(network, most)).scene()
        if scene.height <= HEIGHT:
            break
    return scene


class _Tower:
    def __init__(self, network: Network, found: Trunk) -> None:
        self.network = network
        self.solids, self.aside = found
        for tallest in _TALLEST:
            self.scale = tallest / max(max(s.sides, default=1) for s in self.solids) ** 0.5
            self.rows = self._rows(WIDTH - 2 * _EDGE)
            if len(self.rows) == 1:
                break

    # -------------------------------------------------------------- where

    def _rows(self, room: float) -> list[list[Volume]]:
        """Volumes side by side; where one row is too long, rows of about the same length."""
        rows = self._broken(room)
        if len(rows) > 1:
            total = math.fsum(row[-1].right - row[0].left for row in rows)
            for share in range(100, 200, 5):
                narrow = self._broken(min(room, total / len(rows) * share / 100))
                if len(narrow) == len(rows):
                    return narrow
        return rows

    def _broken(self, room: float) -> list[list[Volume]]:
        rows: list[list[Volume]] = [[]]
        seen: object = None
        for solid in self.solids:
            sized = solid.sides != seen
            seen = solid.sides
            volume = self._behind(rows[-1], solid, sized)
            if rows[-1] and volume.right - rows[-1][0].left > room:
                rows.append([])
                volume = self._behind([], solid, sized)
            rows[-1].append(volume)
        return rows

    def _behind(self, row: Sequence[Volume], solid: Solid, sized: bool) -> Volume:
        """A volume as near to the last one as words and the arrow allow."""
        here = Volume(solid, self.scale, sized=sized)
        if not row:
            return here.moved(-here.left, 0.0)
        (came, _), (_, left) = here.ends(), row[-1].ends()
        return here.moved(max(row[-1].right + _GAP - here.left, left[0] + _ARROW - came[0]), 0.0)

    # -------------------------------------------------------------- the sheet

    def scene(self) -> Scene:
        heading = cards.heading(self.network, _EDGE)
        y, placed = _HEAD + cards.below(heading), list[list[Volume]]()
        for row in self.rows:
            axis = y - min(volume.highest for volume in row)
            placed.append([volume.moved(volume.x + _EDGE, axis) for volume in row])
            y = max(volume.lowest for volume in placed[-1]) + _TURN
        foot = self._foot(y)
        volumes = [volume for row in placed for volume in row]
        lines = (*self._lines(placed), *self._turns(placed))
        shapes: list[Mark] = []
        for volume in volumes:
            shapes += [volume.group(), *volume.texts]
        words = [mark.box.right for mark in (*heading, *foot) if isinstance(mark, Text)]
        return Scene(
            max(*words, *(volume.right for volume in volumes)) + _EDGE,
            max([y, *(mark.y + 18.0 for mark in foot if isinstance(mark, Text))]),
            (*heading, *shapes, Group(lines, role="edges"), *foot),
            self.network.called,
            f"{cards.about(self.network)}: {len(volumes)} volumes, "
            "faces by resolution, thickness by channels",
        )

    def _lines(self, rows: Sequence[Sequence[Volume]]) -> Iterator[Path]:
        for row in rows:
            for a, b in pairwise(row):
                yield _line([a.ends()[1], b.ends()[0]], a, b)

    def _turns(self, rows: Sequence[Sequence[Volume]]) -> Iterator[Path]:
        """From the end of a row, below it, to the start of the next."""
        for above, below in pairwise(rows):
            a, b = above[-1], below[0]
            start, end = a.ends()[1], b.ends()[0]
            right, left = a.right + _GAP, b.left - _GAP
            y = min(volume.highest for volume in below) - _TURN / 2
            corners = [(right, start[1]), (right, y), (left, y), (left, end[1])]
            yield _line([start, *corners, end], a, b)

    def _foot(self, y: float) -> list[Mark]:
        """Which colour is what, and what is not on the way to the output."""
        families = [slab.family for solid in self.solids for slab in solid.slabs]
        families += [part.family for solid in self.solids for _, part in solid.pools]
        parts = [part for solid in self.solids for part in solid.parts]
        blocks = {part.family for part in parts if part.composite}
        found: list[Mark] = []
        x = _EDGE
        for family in [kind for kind in _KINDS if kind in families]:
            colours = palette.of(family)
            kind = _KINDS[family] + (", blocks with it" if family in blocks else "")
            word = Text(x + _SWATCH + 5, y, kind, SMALL, colour=palette.MUTED)
            box = Box(x, y - _SWATCH + 1, x + _SWATCH, y + 1)
            found += [Rect(box, colours.fill, Stroke(colours.edge)), word]
            x = word.box.right + 16
        names = [part.name or part.label for part in self.aside]
        names[:1] = [f"not shown: {name}" for name in names[:1]]
        for number, line in enumerate(fonts.folded(names, SMALL, _ASIDE)):
            found.append(Text(x, y + 13.0 * number, line, SMALL, colour=palette.MUTED))
        return found


def _line(points: Sequence[Point], a: Volume, b: Volume) -> Path:
    return cards.link(points, (a.solid.key, b.solid.key), _LINE)
