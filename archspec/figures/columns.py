"""A tall drawing → columns side by side, as a text is set: cut where few lines pass.

Graphviz lays a deep network out as one long strip. It is cut at heights where no card stands; a
line that passes a cut goes on through the gutter to the top of the next column, and bands in which
nothing stands are made narrow.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from math import dist, inf, sqrt

from archspec.figures.scene import Box, Point, Step, between, corner, last

Curve = tuple[Point, ...]  # Bézier: a point, then three for each piece

TORN = 19.0
"""Px above a column for the heading of a frame that goes on in it."""
_TALLEST = 1100.0  # px of one column that needs no second
_ASPECT = 4 / 3
_MOST = 16  # lines that may pass a cut
_LANE = 8.0
_MARGIN = 12.0
_ROUND = 6.0
_FINE = 16  # straight pieces that stand for a curved one


@dataclass(frozen=True)
class Drawing:
    """Cards, frames around them, lines, and the headings of frames, for which there is room."""

    boxes: Sequence[Box]
    clusters: Sequence[Box]
    curves: Sequence[Curve]
    titles: Sequence[Box] = ()

    @cached_property
    def ends(self) -> list[tuple[float, float]]:
        """The upper and the lower end of each line."""
        return [_ends(curve) for curve in self.curves]


@dataclass(slots=True)
class Column:
    """The part of a drawing from `start` to `stop`, moved by (`across`, `down`).

    `bends`: knots (x, x drawn) of how it is squeezed where nothing stands. `passing`: the curves
    that go on in the next column, numbered from left to right. `right` and `height` are of what it
    holds, as drawn.
    """

    start: float
    stop: float
    across: float = 0.0
    down: float = 0.0
    right: float = 0.0
    height: float = 0.0
    bends: list[Point] = field(default_factory=list)
    passing: dict[int, int] = field(default_factory=dict)

    def x(self, x: float) -> float:
        """Where what stands at x is drawn."""
        place = min(max(bisect_right(self.bends, (x, inf)), 1), len(self.bends) - 1)
        (a, b), (c, d) = self.bends[place - 1], self.bends[place]
        return self.across + b + (x - a) * (d - b) / (c - a)

    @property
    def lanes(self) -> float:
        """Px below it, beside it and above the next one that lines take which go on."""
        return _MARGIN + _LANE * len(self.passing) if self.passing else 0.0


def columns(drawing: Drawing) -> list[Column]:
    """Where a drawing is cut so that it takes about the shape of a sheet; one column if it fits."""
    boxes = *drawing.boxes, *drawing.clusters
    tall = max((box.bottom for box in boxes), default=0.0)
    wide = max((box.right for box in boxes), default=0.0)
    if tall <= _TALLEST:
        return _pages([], drawing)
    about = round(sqrt(_ASPECT * tall / (wide + 40)))
    counts = range(max(1, about - 1), about + 4)
    gaps = _gaps(drawing)
    return min((_pages(_cuts(gaps, tall, count), drawing) for count in counts), key=_extent)


def _extent(pages: Sequence[Column]) -> float:
    """How large a sheet they need, as the side of one that has its shape."""
    return max(pages[-1].right / _ASPECT, *(page.height + 2 * page.lanes for page in pages))


def _pages(cuts: Sequence[float], drawing: Drawing) -> list[Column]:
    pages = [Column(a, b) for a, b in pairwise((-inf, *cuts, inf))]
    x = 0.0
    for page in pages:
        _fill(page, drawing)
        page.across = x
        page.right = page.x(page.bends[-1][0])
        x = page.right + page.lanes + 2 * _MARGIN
    return pages


def _ends(curve: Curve) -> tuple[float, float]:
    """Its upper and its lower end; in between it may swing out a little."""
    start, end = curve[0][1], curve[-1][1]
    return min(start, end), max(start, end)


def _cuts(gaps: Sequence[tuple[float, float]], tall: float, count: int) -> list[float]:
    """Heights between cards, near to equal shares, with few lines and frames across."""
    found: list[float] = []
    for number in range(1, count):
        start = found[-1] if found else 0.0
        share = (tall - start) / (count - number + 1)
        near = [
            (2 * abs(y - start - share) / share + cost, y)
            for y, cost in gaps
            if share / 2 < y - start < share * 4 / 3
        ]
        if near:
            found.append(min(near)[1])
    return found


def _gaps(drawing: Drawing) -> list[tuple[float, float]]:
    """Heights at which no card and no heading stands, and how ill they suit."""
    found: list[tuple[float, float]] = []
    for low, high in _bands(((box.top, box.bottom) for box in drawing.boxes), 4):
        y = _between_frames(drawing.clusters, low, high)
        lines = sum(top < y < bottom for top, bottom in drawing.ends)
        frames = sum(frame.top < y < frame.bottom for frame in drawing.clusters)
        if lines <= _MOST:
            found.append((y, 0.08 * lines + 0.06 * frames))
    return found


def _between_frames(clusters: Sequence[Box], low: float, high: float) -> float:
    """A height below the frames that end between two cards, and above those that begin."""
    ended = max((box.bottom for box in clusters if low < box.bottom < high), default=low)
    begun = min((box.top for box in clusters if low < box.top < high), default=high)
    return (ended + begun) / 2 if ended < begun else (low + begun) / 2


def _fill(page: Column, drawing: Drawing) -> None:
    """Find out what a column holds: its extent, the lines that go on, where it can be squeezed."""
    frames = [box for box in drawing.clusters if box.top < page.stop and box.bottom > page.start]
    cards = [
        box
        for box in (*drawing.boxes, *drawing.titles)
        if page.start < box.top and box.bottom < page.stop
    ]
    inside = [*cards, *frames]
    top = min(box.top for box in inside) if page.start == -inf else page.start
    bottom = max(box.bottom for box in inside) if page.stop == inf else page.stop
    if any(box.top < page.start for box in frames):
        top -= TORN
    page.down, page.height = -top, bottom - top
    lines: list[list[float]] = []
    crossing = []
    for number, (curve, (high, low)) in enumerate(zip(drawing.curves, drawing.ends, strict=True)):
        if high >= page.stop or low <= page.start:
            continue
        xs = [x for x, y in curve if page.start < y < page.stop]
        passes = (y for y in (page.start, page.stop) if high < y < low)
        xs += [_split(_falling(curve), y)[0][-1][0] for y in passes]
        if high < page.stop < low:
            crossing.append((xs[-1], number))
        lines.append(xs)
    page.passing = {number: lane for lane, (_, number) in enumerate(sorted(crossing))}
    page.bends = _squeezed(cards, frames, lines)


def _squeezed(
    cards: Sequence[Box], frames: Sequence[Box], lines: Sequence[Sequence[float]]
) -> list[Point]:
    """Knots that leave everything in its order and as wide as it is, but empty bands narrow."""
    sides = sorted(x for box in frames for x in (box.left, box.right))
    ends = [x for xs in lines for x in (min(xs), max(xs))] + sides
    ends += [x for box in cards for x in (box.left, box.right)]
    low, high = min(ends), max(ends) + 1.0
    knots = [(low, 0.0)]
    standing = ((low, low), *((box.left, box.right) for box in cards), (high, high))
    for left, right in _bands(standing, 1):
        passing = sum(any(left <= x <= right for x in xs) for xs in lines)
        edges = sum(left <= x <= right for x in sides)
        room = _MARGIN + _LANE * (passing + edges)
        if right - left > room:
            start = knots[-1][1] + left - knots[-1][0]
            knots += [(left, start), (right, start + room)]
    return [*knots, (high, knots[-1][1] + high - knots[-1][0])] if high > knots[-1][0] else knots


def _bands(spans: Iterable[tuple[float, float]], least: float) -> Iterator[tuple[float, float]]:
    """Where nothing stands between the first and the last, for more than so many px."""
    reached = inf
    for start, stop in sorted(spans):
        if start > reached + least:
            yield reached, start
        reached = stop if reached == inf else max(reached, stop)


def _falling(curve: Curve) -> Curve:
    return curve if curve[0][1] <= curve[-1][1] else curve[::-1]


def passed(curve: Curve, top: float, bottom: float) -> tuple[float, float] | None:
    """From where to where, sideways, a curve is between two heights."""
    xs: list[float] = []
    for start in range(0, len(curve) - 1, 3):
        piece = curve[start : start + 4]
        if min(y for _, y in piece) >= bottom or max(y for _, y in piece) <= top:
            continue  # it stays between its corners
        points = [_halves(piece, step / _FINE)[1][0] for step in range(_FINE + 1)]
        for (a, b), (c, d) in pairwise(points):
            if min(b, d) < bottom and max(b, d) > top:
                xs += (a, c)
    return (min(xs), max(xs)) if xs else None


def _split(curve: Curve, y: float) -> tuple[Curve, Curve]:
    """A curve that goes down, above and below a height."""
    for start in range(0, len(curve) - 1, 3):
        piece = curve[start : start + 4]
        if piece[0][1] < y <= piece[3][1]:
            low, high = 0.0, 1.0
            for _ in range(40):
                middle = (low + high) / 2
                at = _halves(piece, middle)[1][0]
                low, high = (middle, high) if at[1] < y else (low, middle)
            above, below = _halves(piece, high)
            return (*curve[:start], *above), (*below, *curve[start + 4 :])
    raise AssertionError("a curve that passes a height has a piece that does")


def _halves(piece: Sequence[Point], t: float) -> tuple[Curve, Curve]:
    """De Casteljau."""
    first, last = [piece[0]], [piece[-1]]
    points = list(piece)
    while len(points) > 1:
        points = [between(a, b, t) for a, b in pairwise(points)]
        first.append(points[0])
        last.append(points[-1])
    return tuple(first), tuple(reversed(last))


def folded(curve: Curve, number: int, pages: Sequence[Column], margin: Point) -> tuple[Step, ...]:
    """The steps of a curve through all columns that it passes, everything moved by a margin."""
    if curve[0][1] > curve[-1][1]:  # clusters side by side may have a link that climbs
        return _reversed(folded(curve[::-1], number, pages, margin))
    steps: list[Step] = []
    for place, page in enumerate(pages):
        moved = within(curve, page, margin)
        if moved is None:
            continue
        if steps:
            before = pages[place - 1]
            ends = last(steps[-1]), moved[0]
            steps += _over(before, before.passing[number], ends, margin)
            steps.append(("L", *moved[0]))
        else:
            steps.append(("M", *moved[0]))
        for start in range(1, len(moved), 3):
            a, b, c = moved[start : start + 3]
            steps.append(("C", *a, *b, *c))
    return tuple(steps)


def within(curve: Curve, page: Column, margin: Point) -> Curve | None:
    """What is drawn of a curve in one column, going down."""
    curve = _falling(curve)
    high, low = _ends(curve)
    if high >= page.stop or low <= page.start:
        return None
    if high < page.start:
        curve = _split(curve, page.start)[1]
    if low > page.stop:
        curve = _split(curve, page.stop)[0]
    right, down = margin
    return tuple((page.x(x) + right, y + page.down + down) for x, y in curve)


def _reversed(steps: Sequence[Step]) -> tuple[Step, ...]:
    """The same way from its end to its beginning."""
    found: list[Step] = [("M", *last(steps[-1]))]
    for before, step in reversed(list(pairwise(steps))):
        kind, *values = step
        handles = values[:-2]
        found.append((kind, *[*handles[2:], *handles[:2], *last(before)]))
    return tuple(found)


def _over(page: Column, lane: int, ends: tuple[Point, Point], margin: Point) -> list[Step]:
    """Down, over to the gutter, up, over and down: lines keep their order and do not cross."""
    (start, end), (right, down) = ends, margin
    count = len(page.passing)
    low = page.height + down + _MARGIN / 2 + _LANE * (count - 1 - lane)
    across = page.right + right + _MARGIN + _LANE * (count - 1 - lane)
    high = down - _MARGIN / 2 - _LANE * (lane)
    corners = [(start[0], low), (across, low), (across, high), (end[0], high)]
    points = [start, *corners, end]
    steps: list[Step] = []
    for before, at, after in zip(points, points[1:], points[2:], strict=False):
        rounds = (min(_ROUND, dist(at, other) / 2) for other in (before, after))
        steps += corner(before, at, after, *rounds)
    return steps
