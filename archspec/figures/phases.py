"""Network, states of its ops → Scene: its blocks in the colours of what trains, with a legend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from archspec.figures import blocks, palette
from archspec.figures.outline import Outline, Part
from archspec.figures.scene import Box, Group, Mark, Rect, Scene, Stroke, Text

if TYPE_CHECKING:
    from archspec.analysed import Network

_SWATCH, _BELOW = 12.0, 24.0
_SAID = {
    "frozen": "frozen", "training": "trains", "new": "new, and trains",
    "partly": "some of it trains",
}  # fmt: skip


def draw(network: Network, states: Mapping[str, str]) -> Scene:
    """As `blocks`, by the states `frozen`, `training` and `new` of ops with weights, by path.

    What has no weights is as pale as norms are elsewhere.
    """
    kinds: set[str] = set()

    def painted(shown: Outline) -> Outline:
        parts = tuple(_painted(network, part, states) for part in shown.parts)
        kinds.clear()
        kinds.update(part.family for part in parts)
        return replace(shown, parts=parts)

    scene = blocks.draw(network, painted=painted)
    legend = _legend([kind for kind in palette.STATES if kind in kinds], scene.height)
    right = max((mark.box.right for mark in legend if isinstance(mark, Text)), default=0.0)
    return replace(
        scene, width=max(scene.width, right + blocks.EDGE), height=scene.height + _BELOW,
        items=(*scene.items, Group(tuple(legend), role="legend")),
    )  # fmt: skip


def _painted(network: Network, part: Part, states: Mapping[str, str]) -> Part:
    if part.kind in ("input", "output"):
        return part
    found = {states.get(network.graph.steps[index].path, "") for index in part.nodes} - {""}
    family = found.pop() if len(found) == 1 else _several(found)
    return replace(part, family=family)


def _several(found: set[str]) -> str:
    """Of ops of several states."""
    if not found:
        return "still"
    return "partly" if "frozen" in found else "training"


def _legend(kinds: Sequence[str], y: float) -> list[Mark]:
    marks: list[Mark] = []
    x = blocks.EDGE
    for kind in kinds:
        colours = palette.of(kind)
        word = Text(x + _SWATCH + 5, y, _SAID[kind], 10.0, colour=palette.MUTED)
        box = Box(x, y - _SWATCH + 1, x + _SWATCH, y + 1)
        marks += [Rect(box, colours.fill, Stroke(colours.edge)), word]
        x = word.box.right + 16
    return marks
