"""Boxes → ways between them: sideways and upright, around every box, apart from one another.

A search for the cheapest way (A*) along lines that run between the boxes; bends cost, and more so
what runs where another way does.
"""

from __future__ import annotations

import heapq
import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from archspec.figures.scene import Box, Point

_End = tuple[Point, str]  # on a box, and the direction in which it is reached
_BEND = 24.0  # px that a corner is worth
_SHARED = 3.0  # how much longer a way seems where another runs
_CLEAR = 3.0  # px between a way and a box it passes


class Router:
    """Finds ways on the lines x in `across` and y in `down`; each way makes its own dearer."""

    def __init__(
        self, boxes: Sequence[Box], across: Iterable[float], down: Iterable[float]
    ) -> None:
        self.boxes = boxes
        self.xs, self.ys = sorted(set(across)), sorted(set(down))
        self.used: set[tuple[Point, Point]] = set()
        self._blocked: dict[tuple[Point, Point], bool] = {}

    def clear(self, points: Sequence[Point], beside: Iterable[int] = ()) -> bool:
        """Whether straight pieces from point to point meet no box but those of `beside`."""
        own = set(beside)
        return not any(
            _meets(a, b, box, _CLEAR)
            for number, box in enumerate(self.boxes)
            if number not in own
            for a, b in pairwise(points)
        )

    def take(self, points: Sequence[Point]) -> None:
        """Remember a way, so that others keep apart from it."""
        self.used.update(step for a, b in pairwise(points) for step in self._steps(a, b))

    def way(self, source: int, target: int) -> tuple[Point, ...] | None:
        """The cheapest way out of one box into another; None where there is none."""
        own = source, target
        starts = [
            (_distance(start, first), first, axis, start)
            for start, first, axis in self._ends(source, leaving=True)
            if self.clear((start, first), own)
        ]
        goals: dict[Point, list[_End]] = {}
        for end, last, axis in self._ends(target, leaving=False):
            if self.clear((last, end), own):
                goals.setdefault(last, []).append((end, axis))
        return self._search(starts, goals)

    def _search(
        self, starts: Sequence[tuple[float, Point, str, Point]], goals: dict[Point, list[_End]]
    ) -> tuple[Point, ...] | None:
        """A* over points and the direction in which they are reached."""
        ends = [end for at_goal in goals.values() for end, _ in at_goal]
        queue: list[tuple[float, float, int, Point, str]] = []
        best: dict[tuple[Point, str], float] = {}
        came: dict[tuple[Point, str], tuple[Point, str]] = {}

        def reach(there: Point, axis: str, cost: float, before: tuple[Point, str]) -> None:
            if cost < best.get((there, axis), math.inf):
                best[there, axis] = cost
                came[there, axis] = before
                left = min(_distance(there, end) for end in ends)
                heapq.heappush(queue, (cost + left, cost, len(came), there, axis))

        for cost, at, axis, edge in starts if ends else ():
            reach(at, axis, cost, (edge, "start"))
        while queue:
            _, cost, _, at, axis = heapq.heappop(queue)
            if axis == "end":
                way = self._back(came, at)
                self.take(way)
                return way
            if cost > best[at, axis]:
                continue
            for end, turned in goals.get(at, ()):
                total = cost + _distance(at, end) + (_BEND if turned != axis else 0)
                reach(end, "end", total, (at, axis))
            for there, turned in self._near(at):
                step = _distance(at, there) * (_SHARED if _key(at, there) in self.used else 1)
                reach(there, turned, cost + step + (_BEND if turned != axis else 0), (at, axis))
        return None

    @staticmethod
    def _back(came: dict[tuple[Point, str], tuple[Point, str]], end: Point) -> tuple[Point, ...]:
        way, at = [end], (end, "end")
        while at[1] != "start":
            at = came[at]
            way.append(at[0])
        return tuple(reversed(way))

    def _ends(self, box: int, leaving: bool) -> Iterator[tuple[Point, Point, str]]:
        """Points on the edge of a box, the next point of the lines, and how that piece runs."""
        left, top, right, bottom = self.boxes[box]
        x, y = self.boxes[box].middle
        side = right if leaving else left
        near = self._next(self.xs, side, 1 if leaving else -1)
        if near is not None and (level := self._nearest(self.ys, top, bottom, y)) is not None:
            yield (side, level), (near, level), "x"
        for edge, sign in ((top, -1), (bottom, 1)):
            level = self._next(self.ys, edge, sign)
            upright = self._nearest(self.xs, left, right, x)
            if level is not None and upright is not None:
                yield (upright, edge), (upright, level), "y"

    @staticmethod
    def _next(lines: Sequence[float], value: float, sign: int) -> float | None:
        place = bisect_right(lines, value) if sign > 0 else bisect_left(lines, value) - 1
        return lines[place] if 0 <= place < len(lines) else None

    @staticmethod
    def _nearest(lines: Sequence[float], low: float, high: float, value: float) -> float | None:
        """Of the lines that meet an edge, the one nearest to its middle."""
        inside = lines[bisect_right(lines, low + 4) : bisect_left(lines, high - 4)]
        return min(inside, key=lambda line: abs(line - value), default=None)

    def _near(self, at: Point) -> Iterator[tuple[Point, str]]:
        x, y = at
        for sign in (-1, 1):
            across, down = self._next(self.xs, x, sign), self._next(self.ys, y, sign)
            if across is not None and not self._blocks(at, (across, y)):
                yield (across, y), "x"
            if down is not None and not self._blocks(at, (x, down)):
                yield (x, down), "y"

    def _blocks(self, a: Point, b: Point) -> bool:
        key = _key(a, b)
        if key not in self._blocked:
            self._blocked[key] = any(_meets(a, b, box, _CLEAR) for box in self.boxes)
        return self._blocked[key]

    def _steps(self, a: Point, b: Point) -> Iterator[tuple[Point, Point]]:
        """The pieces between neighbouring lines that an upright or level piece covers."""
        (left, top), (right, bottom) = min(a, b), max(a, b)
        points: set[Point] = set()
        if left == right:
            inner = self.ys[bisect_left(self.ys, top) : bisect_right(self.ys, bottom)]
            points = {a, b, *((left, y) for y in inner)}
        elif top == bottom:
            inner = self.xs[bisect_left(self.xs, left) : bisect_right(self.xs, right)]
            points = {a, b, *((x, top) for x in inner)}
        return pairwise(sorted(points))


def _key(a: Point, b: Point) -> tuple[Point, Point]:
    return (a, b) if a < b else (b, a)


def _distance(a: Point, b: Point) -> float:
    return abs(a[0] - b[0]) + abs(a[1] - b[1])


def _meets(a: Point, b: Point, box: Box, slack: float) -> bool:
    """Whether a straight piece comes nearer to a box than `slack` px (Liang and Barsky)."""
    start, end = 0.0, 1.0
    for low, high, at, step in (
        (box.left - slack, box.right + slack, a[0], b[0] - a[0]),
        (box.top - slack, box.bottom + slack, a[1], b[1] - a[1]),
    ):
        if step == 0:
            if not low < at < high:
                return False
            continue
        near, far = (low - at) / step, (high - at) / step
        if near > far:
            near, far = far, near
        start, end = max(start, near), min(end, far)
        if start >= end:
            return False
    return True
