"""Network → Scene: every part at the height of its effective stride: the U, the pyramid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from archspec.figures import cards, palette
from archspec.figures.errors import RenderError
from archspec.figures.heights import Level
from archspec.figures.lanes import AHEAD, EDGE, LABEL, LINE, Lanes
from archspec.figures.outline import Fold, Link, Maker, Part
from archspec.figures.route import Router
from archspec.figures.scene import Box, Group, Mark, Path, Point, Rect, Scene, Stroke, Text

if TYPE_CHECKING:
    from archspec.analysed import Network

WIDTH, HEIGHT = 1560.0, 1150.0
# Ops one by one, equal ones together, fewer and fewer; px of the words, and between boxes.
_TRIES = (
    (False, 40, 10.0, AHEAD), (True, 40, 10.0, AHEAD), (True, 40, 9.2, AHEAD), (True, 40, 9.2, 9.0),
    (True, 30, 9.5, AHEAD), (True, 22, 9.5, AHEAD), (True, 16, 9.5, AHEAD), (True, 10, 9.5, AHEAD),
    (True, 6, 9.5, AHEAD),
)  # fmt: skip
_DOWN, _UP = "#a8321c", "#2456b3"


def applies(network: Network) -> bool:
    """Whether maps come at more than one level, and a sheet holds them all."""
    lanes = fitting(network)
    return lanes is not None and len(set(lanes.level.values()) - {Level()}) > 1


def draw(network: Network) -> Scene:
    """As many parts as fit the sheet of 1600 x 1200 px. Raises RenderError."""
    lanes = fitting(network)
    if lanes is None:
        message = f"`levels` does not apply to `{network.name}`: a sheet does not hold all levels"
        raise RenderError("E702", message, "--view blocks draws every network")
    return _Sketch(network, lanes).scene()


def fitting(network: Network) -> Lanes | None:
    """What is shown, and where: ops one by one where there is room for that.

    None where it fits a sheet only with a level hidden in a card.
    """
    all_of_them: set[Level] | None = None
    maker = Maker(network)
    for runs, most, size, ahead in _TRIES:
        fold = Fold(most, runs=runs, scales=True, outputs=False)
        lanes = Lanes(network, maker.whole(fold), size, ahead)
        found = set(lanes.level.values())
        all_of_them = all_of_them or found
        if found < all_of_them:
            return None
        if lanes.width <= WIDTH and lanes.height <= HEIGHT:
            return lanes
    return None


class _Sketch:
    """The marks of a figure."""

    def __init__(self, network: Network, lanes: Lanes) -> None:
        self.network, self.places, self.lanes = network, lanes, lanes.lanes
        self.shown, self.boxes, self.level = lanes.shown, lanes.boxes, lanes.level

    def scene(self) -> Scene:
        name, heading = self.network.called, cards.heading(self.network, EDGE)
        drawn = [self._card(part) for part in self.shown.parts]
        lines = Group(tuple(self._lines()), role="edges")
        said = ", ".join(lane.level.label for lane in self.lanes.values())
        return Scene(
            max(self.places.width, cards.right(heading) + EDGE),
            self.places.height,
            (*heading, *self._backs(), *drawn, lines),
            f"{name}: parts by effective stride",
            f"{cards.about(self.network)}: {len(self.shown.parts)} parts at {said}",
        )

    def _backs(self) -> list[Mark]:
        found: list[Mark] = []
        for lane in self.lanes.values():
            box = Box(EDGE + self.places.labels - 12, lane.top, self.places.width - 8, lane.bottom)
            y, remark = box.middle[1] + 4, lane.level.remark
            words = [Text(EDGE, y + 8, remark, 9.5, colour=palette.MUTED)] if remark else []
            y -= 6 if remark else 0
            label = Text(EDGE, y, lane.level.label, LABEL, bold=True, colour=palette.MUTED)
            found.append(Group((Rect(box, palette.LANE, None, 3.0), label, *words), role="lane"))
        return found

    def _card(self, part: Part) -> Group:
        box = self.boxes[part.key]
        lines, (x, y) = cards.legible(part, self.places.faces[part.key]), box.middle
        y += 3.4 - LINE * (len(lines) - 1) / 2
        words = (line.at(x, y + LINE * n, "middle") for n, line in enumerate(lines))
        return Group((*cards.ground(part, box), *words), part.key, cards.title(part), "card")

    def _lines(self) -> list[Mark]:
        boxes = [self.boxes[part.key] for part in self.shown.parts]
        place = self.shown.place
        router = Router(boxes, *self._channels(boxes))
        found: list[Mark] = []
        hard = []
        for link in self.shown.links:
            points = self._straight(router, link.source, link.target)
            if points is None:
                hard.append(link)
            else:
                router.take(points)
                found.append(self._drawn(link, points))
        for link in hard:
            points = router.way(place[link.source], place[link.target])
            a, b = self.boxes[link.source], self.boxes[link.target]
            points = points or ((a.right, a.middle[1]), (b.left, b.middle[1]))
            found.append(self._drawn(link, points))
        return found

    def _drawn(self, link: Link, points: Sequence[Point]) -> Path:
        source, target = link.source, link.target
        a, b = self.level[source].order, self.level[target].order
        far = self.boxes[target].left - self.boxes[source].right > 2.5 * AHEAD
        if link.size:
            stroke = cards.SIZE
        elif a == b:
            stroke = cards.SKIP if far else cards.LINE
        elif self._resampled(link):
            stroke = Stroke(_DOWN if a < b else _UP, 1.4)
        else:
            stroke = cards.SKIP if link.skip else cards.LINE
        return cards.link(points, (source, target), stroke)

    def _resampled(self, link: Link) -> bool:
        """Whether a map goes from one level to a map of another: not to boxes, nor to vectors."""
        ends = [self.shown.by_key[key].out for key in (link.source, link.target)]
        return all(out.is_map for out in ends) and len({out.rank for out in ends}) == 1

    def _channels(self, boxes: Sequence[Box]) -> tuple[list[float], list[float]]:
        across, down = [], []
        for box in boxes:
            across += [box.left - 5, box.right + 5, box.middle[0]]
            down.append(box.middle[1])
        for lane in self.lanes.values():
            for row in range(lane.rows):
                down += [lane.row(row) - 6, lane.row(row) + lane.tall + 6]
            down += [lane.top - 10, lane.bottom + 10]
        return across, down

    def _straight(self, router: Router, source: str, target: str) -> tuple[Point, ...] | None:
        a, b = self.boxes[source], self.boxes[target]
        own = self.shown.place[source], self.shown.place[target]
        (x, middle), (y, goal) = a.middle, b.middle
        leave, enter = (a.bottom, b.top) if b.top > a.bottom else (a.top, b.bottom)
        tries: list[tuple[Point, ...]] = []
        if a.top == b.top:
            tries = [((a.right, middle), (b.left, middle))]
        elif self.level[source] == self.level[target]:
            fork = (x, leave), (x, goal), (b.left, goal)
            join = (a.right, middle), (y, middle), (y, enter)
            tries = [join, fork] if target in self.places.ahead.values() else [fork, join]
            tries = [way for way in tries if way[0][0] <= way[1][0] <= way[2][0]]
        else:
            near = 8 if a.right - 8 < b.left + 8 else 0
            tries = [((x, leave), (y, enter)), ((a.right - near, leave), (b.left + near, enter))]
        return next((points for points in tries if router.clear(points, own)), None)
