"""Network → Scene: the network as at most forty cards, one for a block, in rows or a column."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from archspec.figures import cards, palette
from archspec.figures.cards import GLYPHS, Face, Line
from archspec.figures.flow import Flow, best
from archspec.figures.grid import arrange
from archspec.figures.outline import MOST, Fold, Maker, Outline, Part
from archspec.figures.ports import ROOM
from archspec.figures.scene import Group, Mark, Scene, Text

if TYPE_CHECKING:
    from archspec.analysed import Network

WIDTH, HEIGHT = 1560.0, 1124.0
"""Px that cards and lines may take."""
_FRAME = 1180.0, 600.0  # a page is shaped like this
EDGE = 20.0
_HEAD = 50.0


def draw(
    network: Network, most: int = MOST, painted: Callable[[Outline], Outline] = lambda shown: shown
) -> Scene:
    """At most `most` cards, fewer where the sheet of 1600 x 1200 px asks for it.

    `painted` may give parts other families, and so other colours.
    """
    outputs = len(network.graph.outputs) <= ROOM
    maker = Maker(network)
    shown = maker.whole(Fold(most, outputs=outputs))
    while (drawn := _drawn(network, painted(shown))) is None:
        most = min(most, len(shown.parts)) - 1
        shown = maker.whole(Fold(most, outputs=outputs))
    return drawn


def _drawn(network: Network, shown: Outline) -> Scene | None:
    """None where it does not fit."""
    grid = arrange(len(shown.parts), shown.ends, side=shown.all_of("merge"))
    across = [_face(shown, part) for part in shown.parts]
    down = [one._replace(row=not one.glyph) for one in across]
    sizes = [one.size for one in across], [one.size for one in down]
    heading = cards.heading(network, EDGE)
    found = best(grid, *sizes, _FRAME, (WIDTH, HEIGHT - cards.below(heading)))
    if found is None:
        return None
    flow, turned = found
    scene = sheet(shown, flow, down if turned else across, heading, cards.about(network))
    return replace(scene, title=network.called)


def _face(shown: Outline, part: Part) -> Face:
    """What it is, its name, what varies, its shape where that changes."""
    lines = [*cards.muted(part.preactive), cards.label(part)]
    if part.name and cards.goes_by_name(shown, part):
        lines.append(Line(part.name, colour=palette.MUTED))
    return face(shown, part, [*lines, *cards.told(part), *map(Line, part.varies)])


def face(shown: Outline, part: Part, lines: Sequence[Line]) -> Face:
    """The words of a card, or the glyph of a merge; the shape where it is not one that enters."""
    before = {shown.by_key[link.source].shape for link in shown.sources[part.key]}
    new = part.kind != "output" and part.shape not in before
    changed = [Line(part.size, bold=True)] if new else []
    if part.kind == "merge" and part.op in GLYPHS:
        return Face((*map(Line, (*part.notes, *part.marks)), *changed), glyph=part.op)
    return Face((*lines, *changed), part.times)


def sheet(
    shown: Outline, flow: Flow, faces: Sequence[Face], heading: Sequence[Text], title: str
) -> Scene:
    """The heading, cards, and the lines that join them."""
    width = max(flow.width + 2 * EDGE, cards.right(heading) + EDGE)
    right, below = (width - flow.width) / 2, _HEAD + 6 + cards.below(heading)
    keys = [part.key for part in shown.parts]
    strokes = {(link.source, link.target): cards.stroke(link) for link in shown.links}
    lines: list[Mark] = []
    for (source, target), points in flow.lines.items():
        edge = keys[source], keys[target]
        moved = [(x + right, y + below) for x, y in points]
        lines.append(cards.link(moved, edge, strokes[edge]))
    drawn = [
        cards.card(part, one, box.moved(right, below))
        for part, one, box in zip(shown.parts, faces, flow.boxes, strict=True)
    ]
    return Scene(
        width,
        flow.height + below + EDGE,
        (*heading, *drawn, Group(tuple(lines), role="edges")),
        title,
        f"{title}: {len(shown.parts)} parts, {len(shown.links)} links",
    )
