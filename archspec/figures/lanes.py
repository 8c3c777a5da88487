"""Outline → Lanes: where each part stands: as high as its level, as far right as its rank.

All parts of a level are in one lane, in several rows where straight ways would meet.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from archspec.figures import cards, fonts
from archspec.figures.cards import Line
from archspec.figures.grid import Span, first_free
from archspec.figures.heights import Level, levels
from archspec.figures.outline import Outline, Part
from archspec.figures.scene import Box
from archspec.figures.wiring import ranks, skips

if TYPE_CHECKING:
    from archspec.analysed import Network

HEAD, EDGE = 58.0, 20.0
"""Px above the lanes, and around them."""
LABELS, LABEL = 68.0, 11.0
"""Px to the left of the lanes for what they are called, at least; and of its letters."""
LINE = 12.5
"""Px from line to line of a box."""
AHEAD = 15.0
"""Px between boxes of a lane, where there is room."""
_LEAST, _AROUND, _APART = 2, 7.0, 12.0  # lines of a box; px around them, and between rows of boxes
_WORDS = 130.0  # px that a line in a box may have
PAD, BETWEEN = 5.0, 30.0
"""Px of a lane above and below its boxes, and between lanes."""


@dataclass(slots=True)
class Lane:
    """All that stands at one level, in one row or more of boxes so `tall`."""

    level: Level
    top: float
    rows: int
    tall: float

    @property
    def bottom(self) -> float:
        return self.row(self.rows) - _APART + PAD

    def row(self, number: int) -> float:
        """The top of the boxes in a row."""
        return self.top + PAD + number * (self.tall + _APART)


class Lanes:
    """One outline, laid out, with words of so many px and so many between boxes."""

    def __init__(self, network: Network, shown: Outline, size: float, ahead: float = AHEAD) -> None:
        self.network, self.shown, self.size, self.gap = network, shown, size, ahead
        self.level = levels(network, shown)
        labels = (fonts.width(own.label, LABEL, bold=True) for own in self.level.values())
        self.labels = max(LABELS, *labels) + 16
        self.faces = {part.key: _face(shown, part, size) for part in shown.parts}
        self.ahead = self._ahead()
        self.x = self._across()
        self.row = self._rows()
        self.lanes = self._stacked()
        self.boxes = {part.key: self._box(part) for part in shown.parts}

    @property
    def width(self) -> float:
        return max(box.right for box in self.boxes.values()) + EDGE

    @property
    def height(self) -> float:
        return max(lane.bottom for lane in self.lanes.values()) + EDGE

    # ------------------------------------------------------------------ places

    def _wide(self, key: str) -> float:
        return max(line.width for line in self.faces[key]) + 12

    def _ahead(self) -> dict[str, str]:
        """What stands straight behind a part, in its lane and row.

        Long links are straight before short ones; but one that goes beside others of its lane is
        drawn around them, not they around it.
        """
        rank, onward = self.shown.ranks, ranks(self.shown.graph.reverse())
        links = [
            (link.source, link.target)
            for link in self.shown.links
            if self.level[link.source] == self.level[link.target] and not link.size
        ]
        beside = skips(links)
        links.sort(
            key=lambda ends: (ends in beside, rank[ends[0]] - rank[ends[1]], -onward[ends[1]])
        )
        found: dict[str, str] = {}
        for source, target in links:
            if source not in found and target not in found.values():
                found[source] = target
        return found

    def _step(self, source: str, target: str) -> float:
        """Px from the left edge of a part to that of one behind it."""
        a, b = self._wide(source), self._wide(target)
        if self.level[source] != self.level[target]:
            return (a + b) / 4 + self.gap
        if self.ahead.get(source) == target:
            return a + self.gap
        if target in self.ahead.values():  # enters from above or below
            return max(a + 10 - b / 2, self.gap)
        return a / 2 + self.gap

    def _across(self) -> dict[str, float]:
        """The left edge of each part: as far right as the longest way to it needs."""
        found: dict[str, float] = {}
        for part in self.shown.parts:
            x = EDGE + self.labels
            for link in self.shown.sources[part.key]:
                x = max(x, found[link.source] + self._step(link.source, part.key))
            found[part.key] = x
        for part in reversed(self.shown.parts):  # what starts late stands next to what it is for
            after = [found[link.target] for link in self.shown.targets[part.key]]
            if part.kind != "input" and not self.shown.sources[part.key] and after:
                found[part.key] = max(found[part.key], min(after) - self._wide(part.key) - self.gap)
        return found

    def _rows(self) -> dict[str, int]:
        """Which row of its lane each part stands in: straight ways take a row for themselves."""
        found: dict[str, int] = {}
        taken: dict[Level, list[list[Span]]] = {}
        for way in sorted(self._ways(), key=lambda way: self.x[way[0]] - self._end(way)):
            span = self.x[way[0]] - 6, self._end(way) + 6
            number = first_free(taken.setdefault(self.level[way[0]], []), span)
            found.update(dict.fromkeys(way, number))
        return found

    def _end(self, way: Sequence[str]) -> float:
        return self.x[way[-1]] + self._wide(way[-1])

    def _ways(self) -> list[list[str]]:
        """Parts that stand straight one behind the other."""
        behind = set(self.ahead.values())
        ways = [[part.key] for part in self.shown.parts if part.key not in behind]
        for way in ways:
            while way[-1] in self.ahead:
                way.append(self.ahead[way[-1]])
        return ways

    def _stacked(self) -> dict[Level, Lane]:
        lanes, top = {}, HEAD + cards.below(cards.heading(self.network, EDGE))
        for level in sorted(set(self.level.values()), key=lambda level: level.order):
            here = [key for key, own in self.level.items() if own == level]
            lines = max(_LEAST, *(len(self.faces[key]) for key in here))
            rows = 1 + max(self.row[key] for key in here)
            lanes[level] = Lane(level, top, rows, _AROUND + LINE * lines)
            top = lanes[level].bottom + BETWEEN
        return lanes

    def _box(self, part: Part) -> Box:
        lane = self.lanes[self.level[part.key]]
        top = lane.row(self.row[part.key])
        return Box(0.0, 0.0, self._wide(part.key), lane.tall).moved(self.x[part.key], top)


def _face(shown: Outline, part: Part, size: float) -> tuple[Line, ...]:
    """Lines of a box: `conv 3×3`, `dilation 2, ReLU`, `64 · 256²`."""
    alone = part.copies == 1 and part.kind != "block"
    named = part.name and alone and cards.goes_by_name(shown, part)
    said = part.name if named and part.composite else part.counted
    said = f"{part.name}: {said}" if named and not part.composite else said
    ops = fonts.folded(said.split(", "), cards.SMALL, _WORDS)  # of a group several
    label = [Line(t) for op in ops for t in fonts.folded(op.split(" "), cards.SMALL, _WORDS, " ")]
    lines = [*cards.muted(part.preactive, _WORDS), *label, *cards.told(part, _WORDS)]
    if part.kind != "output":
        lines.append(Line(part.size, bold=True))
    fitted = (line._replace(text=fonts.fit(line.text, size, _WORDS), size=size) for line in lines)
    return tuple(line for line in fitted if line.text)
