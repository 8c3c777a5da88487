"""Network → Opened: which groups are open, and the cards and edges that leaves.

What the view `graph` and its DOT file show. Of a network with two blocks of three ops each, all of
it has six cards; with the first block open and the other shut, there are four.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING, Any

from archspec.figures import words
from archspec.figures.errors import RenderError
from archspec.figures.groups import groups, marks
from archspec.figures.ports import ROOM, outputs
from archspec.figures.tree import Element
from archspec.text.words import did_you_mean

if TYPE_CHECKING:
    from archspec.analysed import Network
    from archspec.expand.graph import Graph

_CROWDS = (160, 120, 85, 60, 50, 40, 30, 20, 0)  # cards that are tried to go on one sheet
_DEEPEST = 24  # frames in one another that a sheet can have room for


class Opened:
    """Cards, the groups around them, and edges between cards.

    A card is an op, or a group that is not open; `owner` tells the card of every node, `marks`
    what stands behind its label. Where the network has several outputs, their names are `leaving`,
    numbered on behind the cards.
    """

    def __init__(self, graph: Graph, whole: Element, open: frozenset[str]) -> None:
        self.graph, self.whole, self.open = graph, whole, open
        self.marks = marks(graph, whole)
        self.cards = list(self._shown(whole))
        self.owner = [0] * len(graph.steps)
        for number, card in enumerate(self.cards):
            self.owner[card.start : card.stop] = [number] * len(card.nodes)
        ends = (
            (self.owner[edge.node], self.owner[node.index])
            for node in graph.steps
            for edge in node.inputs
        )
        named = outputs(graph) if 1 < len(graph.outputs) <= ROOM else []
        self.leaving = list(dict.fromkeys(name for name, _ in named))
        out = {name: number for number, name in enumerate(self.leaving, len(self.cards))}
        gives = ((self.owner[edge.node], out[name]) for name, edge in named)
        self.edges = [(a, b) for a, b in dict.fromkeys(chain(ends, gives)) if a != b]

    @property
    def deep(self) -> bool:
        """Whether more frames are in one another than a sheet has room for."""
        frames = (group for group in self.whole.groups() if group in self)
        return any(sum(outer in self for outer in one.above()) > _DEEPEST for one in frames)

    def __contains__(self, element: Element) -> bool:
        """Whether it is an open group."""
        return bool(element.children) and element.key in self.open

    def _shown(self, group: Element) -> Iterator[Element]:
        for part in group.children:
            if part in self:
                yield from self._shown(part)
            else:
                yield part


def opened(network: Network, block: str | None = None) -> Opened:
    """Every op; with a `block`, only what is in it, all else closed around it."""
    whole = groups(network.graph)
    around = whole if block is None else _found(whole, block)
    return Opened(network.graph, whole, _along(whole, around))


def smaller(network: Network) -> Iterator[Opened]:
    """Every op; then fewer and fewer cards, until all groups are closed.

    Each kind of group is opened once, where it stands first, outer groups before inner ones; but
    not deeper than a sheet can show: Graphviz takes minutes for a hundred frames in one another.
    """
    graph, whole = network.graph, groups(network.graph)
    everything = frozenset(group.key for group in whole.groups())
    full = Opened(graph, whole, everything)
    if (len(graph.steps) <= _CROWDS[0] and not full.deep) or len(everything) == 1:
        yield full
    before = everything
    for most in _CROWDS:
        some = frozenset(_first_of_kind(graph, whole, most))
        if some != before:
            yield Opened(graph, whole, some)
        before = some


def _first_of_kind(graph: Graph, whole: Element, most: int) -> Iterator[str]:
    """The groups to open so that there are at most `most` cards, or the network alone."""
    cards = len(whole.children)
    yield whole.key
    seen: set[Any] = set()
    waiting = deque((part, 1) for part in whole.children if part.children)
    while waiting:
        group, depth = waiting.popleft()
        kind = _kind(graph, group)
        if kind in seen or cards + len(group.children) - 1 > most:
            continue
        seen.add(kind)
        cards += len(group.children) - 1
        yield group.key
        if depth < _DEEPEST:
            waiting += [(part, depth + 1) for part in group.children if part.children]


def _kind(graph: Graph, group: Element) -> tuple[Any, ...]:
    """What a group is, numbers left out."""
    ops = tuple(
        _kind(graph, part) if part.children else type(graph.steps[part.start].layer)
        for part in group.children
    )
    return (_called(group), ops)


def _along(whole: Element, chosen: Element) -> frozenset[str]:
    """Keys of the groups that one is in, or that are in it."""
    return frozenset(
        group.key
        for group in whole.groups()
        if (group.start <= chosen.start and chosen.stop <= group.stop)
        or (chosen.start <= group.start and group.stop <= chosen.stop)
    )


def _found(whole: Element, block: str) -> Element:
    """The group at a path, or the first one that calls the block of that name."""
    inside = list(whole.groups())[1:]
    paths, blocks = [group.key for group in inside], [_called(group) for group in inside]
    for names in (paths, blocks):
        if block in names:
            return inside[names.index(block)]
    message = f"`{block}` is no block that can be opened"
    known = list(dict.fromkeys(filter(None, blocks)))
    raise RenderError("E703", message, did_you_mean(block, known + paths))


def _called(group: Element) -> str:
    """The name of the block that a group is a call of; "" of others."""
    return group.instance.block.name if group.instance is not None else ""


def heading(group: Element) -> str:
    """`layer3  Bottleneck × 36`."""
    return "  ".join(filter(None, (group.name, group.title)))


def leading(graph: Graph, group: Element) -> str:
    """The family that a group is known by."""
    return words.leading(map(words.family, graph.steps[group.start : group.stop]))
