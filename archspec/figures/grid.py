"""Items and links → Grid: which row and column each stands in and which way each link takes.

Rows are longest-path ranks. A column holds paths of items that follow one another, and lanes: the
vertical runs of links that pass by rows. Nothing here is in pixels: rows and columns take the room
that what stands in them needs, so a grid stays right when an item grows.

    0 → 1 → 2 → 3, and 0 → 2      rows 0, 1, 2, 3 of column 0; the link 0 → 2 in a lane, column 1
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, count
from typing import NamedTuple

Span = tuple[float, float]
"""From here to before there."""
_NEXT = 2  # the first row behind a run that is free: one never seems to go on in the other


class Route(NamedTuple):
    """The way of one link: down from its source, along a track, down a lane, along, into its end.

    `lane`: the column of the vertical run; None: the two stand in neighbouring rows. `fork` and
    `join`: tracks (0 is the highest) in the gap below the source and above the target; None where
    the way is straight there. `side`: it enters from the left (-1) or right (1) instead of the top.
    """

    source: int
    target: int
    lane: int | None = None
    fork: int | None = None
    join: int | None = None
    side: int = 0


@dataclass(frozen=True, slots=True)
class Grid:
    """`cells`: (row, column) by item; columns are numbered from 0, from the left.

    `tracks`: how many there are in the gap above each row. `strips`: the rows at which the grid may
    be cut into pieces that stand side by side begin a new piece; the first is 0.
    """

    rows: int
    columns: int
    cells: tuple[tuple[int, int], ...]
    tracks: tuple[int, ...]
    routes: tuple[Route, ...]
    cuts: tuple[int, ...]


def arrange(
    count: int,
    links: Iterable[tuple[int, int]],
    *,
    first: frozenset[int] = frozenset(),
    last: frozenset[int] = frozenset(),
    side: frozenset[int] = frozenset(),
) -> Grid:
    """Place `count` items, in an order in which every link goes from an earlier to a later one.

    `first` and `last` stand in the first and the last row, whatever else; into `side` links may
    come from the side.
    """
    return _Arrangement(count, sorted(set(links)), first, last, side).grid()


def apart(span: Span, others: Iterable[Span]) -> bool:
    """Whether what goes from here to before there meets none of the others."""
    return all(span[1] <= start or stop <= span[0] for start, stop in others)


def first_free(rows: list[list[Span]], span: Span) -> int:
    """The number of the first row with room for a span, a new one if need be, which it takes."""
    number = next((n for n, taken in enumerate(rows) if apart(span, taken)), len(rows))
    rows[number:] = rows[number:] or [[]]
    rows[number].append(span)
    return number


def _bits(start: int, stop: int) -> int:
    """A bit for each row of a run, and for those behind it that stay free."""
    return (1 << stop + _NEXT) - (1 << start)


class _Run(NamedTuple):
    """What wants a column to itself from row `start` to `stop`; in the order they are placed.

    A path and the way on from its end, or the `lane` of the links of one item.
    """

    long: int
    lane: bool
    order: int
    start: int
    stop: int
    path: list[int]


class _Track(NamedTuple):
    """What shares a track in the gap above a row: a fork (0) or join (1), and the item of it."""

    gap: int
    join: int
    item: int


class _Arrangement:
    def __init__(
        self,
        count: int,
        links: Sequence[tuple[int, int]],
        first: frozenset[int],
        last: frozenset[int],
        side: frozenset[int],
    ) -> None:
        self.count, self.links, self.side = count, links, side
        self.after: list[list[int]] = [[] for _ in range(count)]
        self.before: list[list[int]] = [[] for _ in range(count)]
        for source, target in links:
            self.after[source].append(target)
            self.before[target].append(source)
        self.row = self._rows(first, last)
        self.rows = max(self.row, default=-1) + 1
        self.paths = self._paths()
        self.column: list[int] = [0] * count
        self.columns: dict[int, int] = {}  # rows that are taken, a bit for each
        self.lanes: dict[int, int] = {}  # source -> column of its long links

    def _rows(self, first: frozenset[int], last: frozenset[int]) -> list[int]:
        start = 1 if first else 0
        row = [start] * self.count
        for item in range(self.count):
            if item in first:
                row[item] = 0
            elif self.before[item]:
                row[item] = 1 + max(row[source] for source in self.before[item])
        for item in reversed(range(self.count)):  # a source stands next to what it is for
            if item not in first and not self.before[item] and self.after[item]:
                row[item] = min(row[target] for target in self.after[item]) - 1
        end = max((row[i] + 1 for i in range(self.count) if i not in last), default=0)
        for item in last:
            row[item] = end
        lowest = min(row, default=0)
        return [r - lowest for r in row]

    def _paths(self) -> list[list[int]]:
        """Items that stand below one another, the longest way on straight ahead."""
        height = [0] * self.count
        for item in reversed(range(self.count)):
            height[item] = 1 + max((height[target] for target in self.after[item]), default=0)
        ahead = {
            item: max(near, key=lambda target: (height[target], -target))
            for item in range(self.count)
            if (near := [t for t in self.after[item] if self.row[t] == self.row[item] + 1])
        }
        path_of: dict[int, list[int]] = {}
        paths: list[list[int]] = []
        for item in sorted(range(self.count), key=lambda i: (self.row[i], i)):
            leading = [path_of[s] for s in self.before[item] if ahead.get(s) == item]
            path = min(leading, key=lambda path: (self.row[path[0]], path[0]), default=[])
            if not path:
                paths.append(path)
            path.append(item)
            path_of[item] = path
        return paths

    def _far(self, item: int) -> int:
        """The last row that links from the item pass, where they go further than the next row."""
        rows = [self.row[t] - 1 for t in self.after[item] if self.row[t] > self.row[item] + 1]
        return max(rows, default=-1)

    def _place(self) -> None:
        """The longest path in column 0; then short runs before long ones, so that skips nest."""
        if not self.paths:
            return
        trunk = max(self.paths, key=lambda p: (len(p), -p[0]))
        self._take(0, self.row[trunk[0]], self.row[trunk[-1]])
        if self._far(trunk[-1]) >= 0:
            self.lanes[trunk[-1]] = 0
        for run in sorted([*self._beside(trunk), *self._passing()]):
            end = run.path[-1]
            column = self._free(run)
            if not run.lane:
                for item in run.path:
                    self.column[item] = column
            if run.stop > self.row[end]:
                self.lanes[end] = column
            self._take(column, run.start, run.stop)

    def _beside(self, trunk: list[int]) -> Iterator[_Run]:
        """The other paths, each with the way on from its end; earlier ones at the left."""
        beside = {self.row[item]: item for item in trunk}
        for path in self.paths:
            if path is trunk:
                continue
            start, end = self.row[path[0]], path[-1]
            stop = max(self.row[end], self._far(end))
            order = -1 - path[0] if path[0] < beside.get(start, -1) else path[0]
            yield _Run(stop - start, False, order, start, stop, path)

    def _passing(self) -> Iterator[_Run]:
        """Links from within a path that pass by rows."""
        ends = {path[-1] for path in self.paths}
        for item in range(self.count):
            far, start = self._far(item), self.row[item] + 1
            if far >= 0 and item not in ends:
                yield _Run(far - start, True, item, start, far, [item])

    def _free(self, run: _Run) -> int:
        """The next free column: of a path on its side of the trunk, of a lane on either side."""
        near = self.column[run.path[-1]] if run.lane else 0
        sides = (1, -1) if run.lane else (-1,) if run.order < 0 else (1,)
        columns = (near + side * distance for distance in count(1) for side in sides)
        wanted = _bits(run.start, run.stop)
        return next(column for column in columns if not self.columns.get(column, 0) & wanted)

    def _take(self, column: int, start: int, stop: int) -> None:
        self.columns[column] = self.columns.get(column, 0) | _bits(start, stop)

    def grid(self) -> Grid:
        self._place()
        ways = [self._way(source, target) for source, target in self.links]
        tracks, routes = self._tracks(ways)
        order = {column: place for place, column in enumerate(sorted(self.columns))}
        cells = tuple((self.row[i], order[self.column[i]]) for i in range(self.count))
        numbered = tuple(r if r.lane is None else r._replace(lane=order[r.lane]) for r in routes)
        return Grid(self.rows, len(order), cells, tracks, numbered, self._cuts())

    def _way(self, source: int, target: int) -> Route:
        if self.row[target] == self.row[source] + 1:
            straight = self.column[source] == self.column[target]
            return Route(source, target, join=None if straight else 0)
        lane = self.lanes[source]
        fork = None if lane == self.column[source] else 0
        if lane == self.column[target]:
            return Route(source, target, lane, fork)
        if target in self.side and self._clear(target, lane) and not self._met(target):
            return Route(source, target, lane, fork, None, 1 if lane > self.column[target] else -1)
        return Route(source, target, lane, fork, 0)

    def _clear(self, target: int, lane: int) -> bool:
        """Whether nothing stands between an item and a lane, in the item's row."""
        column = self.column[target]
        between = range(min(lane, column), max(lane, column) + 1)
        return not any(
            item != target and self.column[item] in between
            for item in self._in_row[self.row[target]]
        )

    @cached_property
    def _in_row(self) -> list[list[int]]:
        """The items of each row."""
        found: list[list[int]] = [[] for _ in range(self.rows)]
        for item, row in enumerate(self.row):
            found[row].append(item)
        return found

    def _met(self, target: int) -> bool:
        """Whether links come along a track above an item anyhow: then all do."""
        return any(
            self.row[s] == self.row[target] - 1 and self.column[s] != self.column[target]
            for s in self.before[target]
        )

    def _tracks(self, ways: Sequence[Route]) -> tuple[tuple[int, ...], list[Route]]:
        """Levels for what runs sideways in each gap: links that share an end share a track."""
        wanted: dict[_Track, list[int]] = {}
        for way in ways:
            for track, columns in self._sideways(way).values():
                wanted.setdefault(track, []).extend(columns)
        filled: dict[int, list[list[Span]]] = {}
        level: dict[_Track, int] = {}
        for track in sorted(wanted):
            span = min(wanted[track]), max(wanted[track]) + 1
            level[track] = first_free(filled.setdefault(track.gap, []), span)
        routes = [
            way._replace(**{end: level[track] for end, (track, _) in self._sideways(way).items()})
            for way in ways
        ]
        return tuple(len(filled.get(row, ())) for row in range(self.rows + 1)), routes

    def _sideways(self, way: Route) -> dict[str, tuple[_Track, tuple[int, int]]]:
        """Its fork and its join, as far as it has them: the track, and from where to where."""
        a, b = self.column[way.source], self.column[way.target]
        fork = _Track(self.row[way.source] + 1, 0, way.source)
        join = _Track(self.row[way.target], 1, way.target)
        if way.lane is not None:
            found = {"fork": (fork, (a, way.lane)), "join": (join, (way.lane, b))}
        else:  # a step to the next row is of the fork, unless only the target has several
            alone = len(self.after[way.source]) == 1
            found = {"join": (join if alone else fork, (a, b))}
        return {end: run for end, run in found.items() if getattr(way, end) is not None}

    def _cuts(self) -> tuple[int, ...]:
        """Rows above which a single link passes, from a row's only item to the next row's."""
        inside, crossing = Counter(self.row), Counter[int]()
        for source, target in self.links:
            crossing[self.row[source] + 1] += 1
            crossing[self.row[target] + 1] -= 1
        passing = list(accumulate(crossing[row] for row in range(self.rows)))
        return 0, *(
            row
            for row in range(1, self.rows)
            if passing[row] == inside[row] == inside[row - 1] == 1
        )
