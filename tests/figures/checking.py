"""Scene → complaints: what a figure must not do, told by its boxes and lines."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

from archspec.figures.outline import Outline
from archspec.figures.scene import Box, Group, Path, Rect, Scene, Text

WIDTH, HEIGHT, SMALLEST = 1600, 1200, 9.0
CARDS = frozenset({"card", "glyph"})
SLACK = 0.75  # px that may be shared: the width of a line

Point = tuple[float, float]
Polygon = tuple[Point, ...]  # convex
T = TypeVar("T")


@dataclass(frozen=True)
class Card:
    """A group that is a card or glyph: the hull of what it fills, and the groups around it."""

    key: str
    hull: Polygon
    around: tuple[Group, ...]
    group: Group


@dataclass(frozen=True)
class Words:
    """A text, as it stands when turned, and the innermost card that it belongs to."""

    text: Text
    hull: Polygon
    card: Card | None


@dataclass(frozen=True)
class Line:
    """A path that joins two cards."""

    edge: tuple[str, str]
    points: tuple[Point, ...]


def faults(scene: Scene, outline: Outline | None = None) -> list[str]:
    """What is wrong with a figure, one sentence each.

    The sheet is at most 1600 x 1200 px and holds everything; text is 9 px or more; no two texts
    overlap; a text is inside its card or clear of every card; cards are disjoint; a line that joins
    two cards (`edge`) touches both, and crosses neither text nor another card. With an outline:
    every link has its line.
    """
    cards, words, lines = _read(scene)
    found = [*_sheet(scene, words), *_overlaps(cards, words), *_lines(cards, words, lines)]
    if outline is not None:
        drawn = {line.edge for line in lines}
        found += [
            f"no line from {link.source} to {link.target}"
            for link in outline.links
            if (link.source, link.target) not in drawn
        ]
        seen = {card.key for card in cards}
        found += [f"no card of {part.key}" for part in outline.parts if part.key not in seen]
    return found


def _read(scene: Scene) -> tuple[list[Card], list[Words], list[Line]]:
    cards: list[Card] = []
    words: list[Words] = []
    lines: list[Line] = []

    def visit(items: Sequence[object], around: tuple[Group, ...], card: Card | None) -> None:
        for mark in items:
            if isinstance(mark, Group):
                inner = card
                if mark.role in CARDS:
                    inner = Card(mark.key, _hull(_filled(mark)), around, mark)
                    cards.append(inner)
                visit(mark.items, (*around, mark), inner)
            elif isinstance(mark, Text):
                words.append(Words(mark, _turned(mark), card))
            elif isinstance(mark, Path) and mark.edge is not None:
                lines.append(Line(mark.edge, tuple(_points(mark))))

    visit(scene.items, (), None)
    return cards, words, lines


# ---------------------------------------------------------------------- rules


def _sheet(scene: Scene, words: Sequence[Words]) -> Iterator[str]:
    if scene.width > WIDTH or scene.height > HEIGHT:
        yield f"the sheet is {scene.width:g} x {scene.height:g}"
    for word in words:
        if word.text.size < SMALLEST:
            yield f"`{word.text.text}` is {word.text.size:g} px"
    sheet = Box(0, 0, scene.width, scene.height)
    for mark in scene.marks():
        for x, y in _corners(mark):
            if not sheet.contains(Box(x, y, x, y)):
                yield f"{_said(mark)} leaves the sheet at {x:.0f}, {y:.0f}"
                break


def _overlaps(cards: Sequence[Card], words: Sequence[Words]) -> Iterator[str]:
    for a, b in _near([(word.hull, word) for word in words]):
        if _overlap(a.hull, b.hull):
            yield f"`{a.text.text}` overlaps `{b.text.text}`"
    for one, other in _near([(card.hull, card) for card in cards]):
        if not _nested(one, other) and _overlap(one.hull, other.hull):
            yield f"card {one.key} overlaps card {other.key}"
    boxes = [(card, _bounds(card.hull)) for card in cards]
    for word in words:
        reach = _bounds(word.hull)
        for card, box in boxes:
            if not _meet(reach, box) or not _overlap(word.hull, card.hull):
                continue
            if _may_stand_in(word, card):
                continue
            where = "leaves its card" if word.card is card else f"overlaps card {card.key}"
            yield f"`{word.text.text}` {where}"


def _meet(a: Box, b: Box) -> bool:
    """Whether two upright boxes share anything."""
    return max(a.left, b.left) < min(a.right, b.right) and max(a.top, b.top) < min(
        a.bottom, b.bottom
    )


def _may_stand_in(word: Words, card: Card) -> bool:
    """Within its own card and those around it; on any card inside its own."""
    if word.card is None:
        return False
    if word.card is card or card.group in word.card.around:
        return _within(word.hull, card.hull)
    return word.card.group in card.around


def _nested(one: Card, other: Card) -> bool:
    return one.group in other.around or other.group in one.around


def _lines(cards: Sequence[Card], words: Sequence[Words], lines: Sequence[Line]) -> Iterator[str]:
    by_key = {card.key: card for card in cards}
    around_cards = [(card, _bounds(card.hull)) for card in cards]
    around_words = [(word, _bounds(word.hull)) for word in words]
    for line in lines:
        reach = _bounds(line.points)
        ends = [by_key[key] for key in line.edge if key in by_key]
        if len(ends) < 2:
            yield f"the line {line.edge} ends at no card"
        for end in ends:
            if not any(_near_to(point, end.hull) for point in line.points):
                yield f"the line {line.edge} does not touch {end.key}"
        for card, box in around_cards:
            if not _meet(reach, box) or not _crosses(line.points, card.hull):
                continue
            if not any(card is end or _nested(card, end) for end in ends):
                yield f"the line {line.edge} crosses card {card.key}"
        for word, box in around_words:
            if _meet(reach, box) and _crosses(line.points, word.hull):
                yield f"the line {line.edge} crosses `{word.text.text}`"


# ---------------------------------------------------------------------- shapes


def _filled(group: Group) -> list[Point]:
    """Corners of all boxes and closed filled paths in a group, its inner groups included."""
    found: list[Point] = []
    for mark in group.items:
        if isinstance(mark, Group):
            found += _filled(mark)
        elif isinstance(mark, Rect) or (isinstance(mark, Path) and mark.fill is not None):
            found += _corners(mark)
    return found


def _corners(mark: object) -> list[Point]:
    if isinstance(mark, Rect):
        left, top, right, bottom = mark.box
        return [(left, top), (right, top), (right, bottom), (left, bottom)]
    if isinstance(mark, Path):
        return list(_points(mark))
    if isinstance(mark, Text):
        return list(_turned(mark))
    return []


def _turned(text: Text) -> Polygon:
    left, top, right, bottom = text.box
    angle = math.radians(text.turn)
    cos, sin = math.cos(angle), math.sin(angle)
    return tuple(
        (
            text.x + (x - text.x) * cos - (y - text.y) * sin,
            text.y + (x - text.x) * sin + (y - text.y) * cos,
        )
        for x, y in ((left, top), (right, top), (right, bottom), (left, bottom))
    )


def _points(path: Path, pieces: int = 16) -> Iterator[Point]:
    """Along the path; curves in so many pieces."""
    at: Point = (0.0, 0.0)
    for op, *numbers in path.steps:
        if op == "C":
            x1, y1, x2, y2, x3, y3 = numbers
            for k in range(1, pieces + 1):
                t = k / pieces
                u = 1 - t
                yield (
                    u**3 * at[0] + 3 * u * u * t * x1 + 3 * u * t * t * x2 + t**3 * x3,
                    u**3 * at[1] + 3 * u * u * t * y1 + 3 * u * t * t * y2 + t**3 * y3,
                )
            at = (x3, y3)
        elif op in "ML":
            at = (numbers[0], numbers[1])
            yield at


def _hull(points: Sequence[Point]) -> Polygon:
    """The convex hull, in order (Andrew's monotone chain)."""
    points = sorted(set(points))
    if len(points) < 3:
        return tuple(points)
    halves = []
    for run in (points, points[::-1]):
        half: list[Point] = []
        for x, y in run:
            while len(half) > 1 and _turn(half[-2], half[-1], (x, y)) <= 0:
                half.pop()
            half.append((x, y))
        halves.append(half[:-1])
    return tuple(halves[0] + halves[1])


def _turn(a: Point, b: Point, c: Point) -> float:
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def _overlap(a: Polygon, b: Polygon) -> bool:
    """Whether two convex shapes share more than a line's width, by their separating axes."""
    for polygon in (a, b):
        for (x1, y1), (x2, y2) in pairwise((*polygon, polygon[0])):
            length = math.hypot(x2 - x1, y2 - y1)
            if length == 0:
                continue
            nx, ny = (y1 - y2) / length, (x2 - x1) / length
            pa, pb = ([x * nx + y * ny for x, y in shape] for shape in (a, b))
            if min(max(pa), max(pb)) - max(min(pa), min(pb)) <= SLACK:
                return False
    return bool(a) and bool(b)


def _within(inner: Polygon, outer: Polygon) -> bool:
    if len(outer) < 3:
        return False
    sign = 1 if _area(outer) > 0 else -1
    return all(
        sign * _turn(a, b, point) >= -SLACK * math.dist(a, b)
        for point in inner
        for a, b in pairwise((*outer, outer[0]))
    )


def _area(polygon: Polygon) -> float:
    return sum(a[0] * b[1] - b[0] * a[1] for a, b in pairwise((*polygon, polygon[0]))) / 2


def _bounds(points: Sequence[Point]) -> Box:
    """The upright box around points; as thick as a line, so that a straight one overlaps others."""
    xs, ys = [x for x, _ in points], [y for _, y in points]
    return Box(min(xs) - SLACK, min(ys) - SLACK, max(xs) + SLACK, max(ys) + SLACK)


def _crosses(points: Sequence[Point], hull: Polygon) -> bool:
    """Whether a line goes through the inside of a convex shape."""
    if len(hull) < 3:
        return False
    low_x, high_x = min(x for x, _ in hull), max(x for x, _ in hull)
    low_y, high_y = min(y for _, y in hull), max(y for _, y in hull)
    for a, b in pairwise(points):
        if max(a[0], b[0]) < low_x or min(a[0], b[0]) > high_x:
            continue
        if max(a[1], b[1]) < low_y or min(a[1], b[1]) > high_y:
            continue
        if _clipped(a, b, hull) > SLACK:
            return True
    return False


def _clipped(a: Point, b: Point, hull: Polygon) -> float:
    """The length of a segment inside a convex shape made SLACK smaller (Cyrus and Beck)."""
    start, end = 0.0, 1.0
    sign = 1 if _area(hull) > 0 else -1
    for p, q in pairwise((*hull, hull[0])):
        size = math.dist(p, q)
        if size == 0:
            continue
        from_a = sign * _turn(p, q, a) / size - SLACK
        from_b = sign * _turn(p, q, b) / size - SLACK
        if from_a < 0 and from_b < 0:
            return 0.0
        if from_a < 0:
            start = max(start, from_a / (from_a - from_b))
        elif from_b < 0:
            end = min(end, from_a / (from_a - from_b))
    return max(0.0, end - start) * math.dist(a, b)


def _near_to(point: Point, hull: Polygon, reach: float = 2.5) -> bool:
    x, y, r = *point, reach
    return _overlap(((x - r, y - r), (x + r, y - r), (x + r, y + r), (x - r, y + r)), hull)


def _near(shapes: Sequence[tuple[Polygon, T]]) -> Iterator[tuple[T, T]]:
    """Pairs whose upright boxes overlap."""
    boxes = sorted((_bounds(hull), place) for place, (hull, _) in enumerate(shapes) if hull)
    for number, (box, one) in enumerate(boxes):
        for other_box, other in boxes[number + 1 :]:
            if other_box.left > box.right:
                break
            if other_box.top <= box.bottom and box.top <= other_box.bottom:
                yield shapes[one][1], shapes[other][1]


def _said(mark: object) -> str:
    return f"`{mark.text}`" if isinstance(mark, Text) else f"a {type(mark).__name__.lower()}"
