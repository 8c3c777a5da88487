"""Grid and sizes → Flow: where every item stands and how every link runs, in px.

A rank takes the room of its largest item, and so does a column. Ranks run across the page or down
it, in strips one beside the other where they are too many for one.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from archspec.figures.grid import Grid, Route
from archspec.figures.scene import Box, Point

ARROW = {False: 22.0, True: 18.0}  # px between two ranks, across and down
TRACK = 9.0  # px between lines side by side
BESIDE = 16.0  # px between columns
TURN = 30.0  # px between strips: room for the line that leads on

Size = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Flow:
    """`boxes` by item; `lines` by (source, target), corners not yet rounded; top left is 0, 0."""

    width: float
    height: float
    boxes: tuple[Box, ...]
    lines: dict[tuple[int, int], tuple[Point, ...]]

    def strain(self, width: float, height: float) -> float:
        """How much it has to shrink to fit a frame; 1 fits exactly."""
        return max(self.width / width, self.height / height)


def best(
    grid: Grid, across: Sequence[Size], down: Sequence[Size], frame: Size, sheet: Size
) -> tuple[Flow, bool] | None:
    """Across or down the page, which has other sizes of its own, and whether it is down.

    In as few strips as fit the frame, or else what comes nearest to it; None where nothing fits the
    sheet. Text is read across, so that three rows are better than one column.
    """
    found = []
    for turned, sizes in ((False, across), (True, down)):
        for count in range(1, len(grid.cuts) + 1):
            strips = _strips(grid, sizes, turned, count)
            flow = place(grid, sizes, turned, strips)
            if flow.strain(*sheet) <= 1:
                strain = flow.strain(*frame)
                ragged = _RAGGED * (_evenness(grid, sizes, turned, strips) < 1 / 3)
                found.append((strain > 1, count + 2 * turned, strain + ragged, flow, turned))
    if not found:
        return None
    # where none fits the frame, how many strips is of no matter
    least = 2 if all(entry[0] for entry in found) else 0
    return min(found, key=lambda entry: entry[least:3])[3:]


_RAGGED = 0.5  # of strain, that a strip much shorter than the others is worth


def _evenness(grid: Grid, sizes: Sequence[Size], down: bool, strips: Sequence[int]) -> float:
    """The length of the shortest strip in that of the longest."""
    lengths = _lengths(grid, sizes, down)
    whole = [math.fsum(lengths[a:b]) for a, b in pairwise((*strips, grid.rows))]
    return min(whole) / max(whole)


def place(grid: Grid, sizes: Sequence[Size], down: bool, strips: Sequence[int] = (0,)) -> Flow:
    """Ranks run across the page, or `down` it; `strips` are the ranks that begin anew beside."""
    return _Placement(grid, sizes, down, strips).flow()


def _strips(grid: Grid, sizes: Sequence[Size], down: bool, count: int) -> tuple[int, ...]:
    """At most `count` strips, the longest of them as short as can be."""
    lengths = _lengths(grid, sizes, down)
    cuts = [*grid.cuts, grid.rows]
    pieces = [math.fsum(lengths[a:b]) for a, b in pairwise(cuts)]
    low, high = max(pieces, default=0.0), math.fsum(pieces)
    for _ in range(20):  # halves what is between: to a thousandth of a px
        middle = (low + high) / 2
        low, high = (low, middle) if len(_filled(pieces, middle)) <= count else (middle, high)
    return tuple(cuts[piece] for piece in _filled(pieces, high + 0.01))


def _filled(pieces: Sequence[float], most: float) -> list[int]:
    """The pieces that begin a strip when each takes as much as it can."""
    found, room = [], -1.0
    for number, piece in enumerate(pieces):
        if piece > room:
            found.append(number)
            room = most
        room -= piece
    return found


def _lengths(grid: Grid, sizes: Sequence[Size], down: bool) -> list[float]:
    """What each rank takes, with the gap before it."""
    extents = _extents(grid, sizes, down)
    return [extent + _gap(grid, rank, down) for rank, extent in enumerate(extents)]


def _extents(grid: Grid, sizes: Sequence[Size], down: bool) -> list[float]:
    extents = [0.0] * grid.rows
    for (rank, _), size in zip(grid.cells, sizes, strict=True):
        extents[rank] = max(extents[rank], size[down])
    return extents


def _gap(grid: Grid, rank: int, down: bool) -> float:
    return ARROW[down] + TRACK * max(0, grid.tracks[rank] - 1)


class _Placement:
    """u runs along the ranks, v across them."""

    def __init__(
        self, grid: Grid, sizes: Sequence[Size], down: bool, strips: Sequence[int]
    ) -> None:
        self.grid, self.down = grid, down
        self.long = [size[down] for size in sizes]
        self.thick = [size[not down] for size in sizes]
        self.strips = [*strips, grid.rows]
        self.strip_of = [0] * grid.rows
        for number, (start, stop) in enumerate(pairwise(self.strips)):
            self.strip_of[start:stop] = [number] * (stop - start)
        self.extent = _extents(grid, sizes, down)
        self.start = self._ranks()
        self.middle, self.edges = self._columns()
        self.centre = self._centres()
        self.spans = self._spans()

    def _ranks(self) -> list[float]:
        """Where each rank begins along u."""
        found: list[float] = []
        for rank in range(self.grid.rows):
            if rank in self.strips:
                found.append(0.0)
            else:
                found.append(found[-1] + self.extent[rank - 1] + _gap(self.grid, rank, self.down))
        return found

    def _columns(self) -> tuple[list[dict[int, float]], list[tuple[float, float]]]:
        """By strip: where each column's middle is along v; where the strip begins and ends."""
        thickness: list[dict[int, float]] = [{} for _ in self.strips[1:]]
        for (rank, column), size in zip(self.grid.cells, self.thick, strict=True):
            strip = thickness[self.strip_of[rank]]
            strip[column] = max(strip.get(column, 0.0), size)
        for route in self.grid.routes:
            if route.lane is not None:
                strip = thickness[self.strip_of[self.grid.cells[route.target][0]]]
                strip.setdefault(route.lane, 0.0)
        middles, edges, at = [], [], 0.0
        for strip in thickness:
            begin, before, middle = at, None, {}
            for column in sorted(strip):
                if before is not None:
                    at += BESIDE if strip[before] and strip[column] else TRACK + 3
                middle[column] = at + strip[column] / 2
                at += strip[column]
                before = column
            middles.append(middle)
            edges.append((begin, at))
            at += TURN
        return middles, edges

    def _centres(self) -> list[float]:
        """Along v, of each item: its column's, or of one alone in its rank its branches'."""
        cells, strip_of = self.grid.cells, self.strip_of
        found = [self.middle[strip_of[rank]][column] for rank, column in cells]
        crowd = Counter(rank for rank, _ in cells)
        ahead: list[set[int]] = [set() for _ in cells]  # columns that items fork to, join from
        behind: list[set[int]] = [set() for _ in cells]
        for route in self.grid.routes:
            source, target = cells[route.source], cells[route.target]
            if route.lane is None:
                ahead[route.source].add(target[1])
                behind[route.target].add(source[1])
            else:
                behind[route.target].add(route.lane)
                crowd.update(range(source[0] + 1, target[0] + bool(route.side)))
        for item, (rank, _) in enumerate(cells):
            columns = max(behind[item], ahead[item], key=len)
            if crowd[rank] == 1 and len(columns) > 2:
                middle = self.middle[strip_of[rank]]
                places = [middle[column] for column in columns if column in middle]
                found[item] = (min(places) + max(places)) / 2
        return self._followed(found, crowd)

    def _followed(self, centres: list[float], crowd: Mapping[int, int]) -> list[float]:
        """What stands alone between two that stand alone stays in line with them."""
        cells = self.grid.cells
        ways = [
            (route.source, route.target)
            for route in self.grid.routes
            if route.lane is None
            and crowd[cells[route.source][0]] == crowd[cells[route.target][0]] == 1
            and self.strip_of[cells[route.source][0]] == self.strip_of[cells[route.target][0]]
        ]
        own = [self.middle[self.strip_of[rank]][column] for rank, column in cells]
        for a, b in [*sorted(ways), *((b, a) for a, b in sorted(ways, reverse=True))]:
            if centres[b] == own[b]:
                centres[b] = centres[a]
        return centres

    def _spans(self) -> list[Box]:
        """Where each item stands: left and right along u, top and bottom along v."""
        found = []
        for (rank, _), long, thick, centre in zip(
            self.grid.cells, self.long, self.thick, self.centre, strict=True
        ):
            begin = self.start[rank] + (self.extent[rank] - long) / 2
            found.append(Box(begin, centre - thick / 2, begin + long, centre + thick / 2))
        return found

    def flow(self) -> Flow:
        """Moved to 0, 0; u across the page, or down it."""
        lines = {(route.source, route.target): self._line(route) for route in self.grid.routes}
        points = [point for line in lines.values() for point in line]
        points += [point for span in self.spans for point in (span[:2], span[2:])]
        left, top = (min(along) for along in zip(*points, strict=True))

        def drawn(point: Point) -> Point:
            u, v = point[0] - left, point[1] - top
            return (v, u) if self.down else (u, v)

        right, bottom = (max(along) for along in zip(*points, strict=True))
        return Flow(
            *drawn((right, bottom)),
            tuple(Box(*drawn(span[:2]), *drawn(span[2:])) for span in self.spans),
            {ends: tuple(map(drawn, line)) for ends, line in lines.items()},
        )

    def _line(self, route: Route) -> tuple[Point, ...]:
        source, target = self.spans[route.source], self.spans[route.target]
        a, b = source.middle[1], target.middle[1]
        rank, goal = self.grid.cells[route.source][0], self.grid.cells[route.target][0]
        if self.strip_of[rank] != self.strip_of[goal]:
            return self._on(source, target, self.strip_of[rank])
        points: list[Point] = [(source.right, a)]
        if route.lane is None:
            if a != b:
                points += [(u := self._track(goal, route.join or 0), a), (u, b)]
            return (*points, (target.left, b))
        lane = self.middle[self.strip_of[goal]][route.lane]
        if a != lane:
            points += [(u := self._track(rank + 1, route.fork or 0), a), (u, lane)]
        if route.side:
            u = target.middle[0]
            return (*points, (u, lane), (u, target.top if route.side < 0 else target.bottom))
        if b != lane:
            points += [(u := self._track(goal, route.join or 0), lane), (u, b)]
        return (*points, (target.left, b))

    def _track(self, rank: int, number: int) -> float:
        """Along u, of a track in the gap before a rank: with room behind it for the arrow."""
        return self.start[rank - 1] + self.extent[rank - 1] + 8 + TRACK * number

    def _on(self, source: Box, target: Box, strip: int) -> tuple[Point, ...]:
        """From the end of a strip to the beginning of the next."""
        a, b = source.middle[1], target.middle[1]
        between = self.edges[strip][1] + TURN / 2
        out, back = source.right + 10, target.left - 14
        return (
            (source.right, a), (out, a), (out, between),
            (back, between), (back, b), (target.left, b),
        )  # fmt: skip
