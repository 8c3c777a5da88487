"""Network → Scene: one block in full, its branches side by side, from top to bottom."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from archspec.figures import cards
from archspec.figures.blocks import EDGE, HEIGHT, WIDTH, face, sheet
from archspec.figures.cards import Face
from archspec.figures.errors import RenderError
from archspec.figures.flow import Flow, place
from archspec.figures.grid import arrange
from archspec.figures.outline import Fold, Maker, Outline, Part
from archspec.figures.scene import Scene
from archspec.figures.tree import Element
from archspec.text.words import did_you_mean

if TYPE_CHECKING:
    from archspec.analysed import Network


def calls(maker: Maker) -> dict[str, list[Element]]:
    """All calls of each block that has more than one card inside, by its name."""
    found: dict[str, list[Element]] = {}
    for element in maker.folder.root.walk():
        if element.kind == "block" and not maker.folder.single(element):
            found.setdefault(element.title, []).append(element)
    return found


def draw(network: Network, block: str | None = None) -> Scene:
    """One call of `block`, a block's name or a path; else of the block called most often.

    Of a block that is called several times it is the first call of those that look like most.
    Raises RenderError: there is no such block, or no block at all.
    """
    maker = Maker(network)
    element, remark = _chosen(maker, block)
    shown = _fitting(maker, element)
    faces = [_face(shown, part) for part in shown.parts]
    heading = cards.entitled(element.title, remark, EDGE)
    flow = _layout(shown)
    return sheet(shown, flow, faces, heading, f"{element.title} ({remark})")


def opened(network: Network, block: str | None = None) -> Outline:
    """What `draw` shows: everything inside, or what there is room for."""
    maker = Maker(network)
    return _fitting(maker, _chosen(maker, block)[0])


def _fitting(maker: Maker, element: Element) -> Outline:
    shown = maker.make(element, Fold(runs=False, full=True))
    most = len(shown.parts)
    while most > 1 and _layout(shown).strain(WIDTH, HEIGHT) > 1:
        most -= 1
        shown = maker.make(element, Fold(most, full=True))
    return shown


def _chosen(maker: Maker, block: str | None) -> tuple[Element, str]:
    """The element to show, and where it is found."""
    known = calls(maker)
    groups = {_place(e): e for e in maker.folder.root.walk() if _place(e) and e.children}
    if block is None and not known:
        block = max(_parting(maker, groups), key=lambda name: len(groups[name].nodes), default=None)
    if block is not None and block not in known:
        if block in groups:
            return groups[block], f"{block} of {maker.network.name}"
        names = [*known, *groups]
        help = did_you_mean(block, names) or f"for example `{names[0]}`" if names else ""
        raise RenderError("E703", f"`{block}` is no block that can be opened", help)
    if not known:
        message = (
            f"`module` does not apply to `{maker.network.name}`: it has no block of several cards, "
            "no residual, and no branches"
        )
        raise RenderError("E702", message, "--view blocks draws every network")
    title = block or max(known, key=lambda name: len(known[name]))
    element, many = maker.folder.typical(known[title]), len(known[title])
    said = f"{many} in {maker.network.name}, here {element.path}"
    return element, said if many > 1 else f"{element.path} of {maker.network.name}"


def _place(element: Element) -> str:
    """Its path; of branches and residuals without one that of the merge, `branches1`."""
    merged = element.kind in ("branches", "residual") and element.children[-1].kind == "node"
    return element.path or (element.children[-1].path or "" if merged else "")


def _parting(maker: Maker, groups: Mapping[str, Element]) -> list[str]:
    """Where something goes more than one way, by path."""
    ways = {name: e for name, e in groups.items() if e.kind in ("branches", "residual")}
    return [name for name, element in ways.items() if not maker.folder.single(element)]


def _layout(shown: Outline) -> Flow:
    first, side = shown.all_of("input"), shown.all_of("merge")
    grid = arrange(len(shown.parts), shown.ends, first=first, side=side)
    return place(grid, [_face(shown, part).size for part in shown.parts], down=True)


def _face(shown: Outline, part: Part) -> Face:
    """The op, what is fused with it, and the shape where it changes."""
    ahead, notes = cards.muted(part.ahead), cards.muted(part.notes)
    return face(shown, part, [*ahead, cards.label(part), *notes, *cards.marked(part)])
