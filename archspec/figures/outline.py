"""Network → Outline: the network as at most so many parts, which views that fold it draw.

The tree of what the author wrote (`tree.py`) is folded until few enough cards are left (`fold.py`),
each of them gets its words and sums (`parts.py`), and links say what goes from one to the other.
ResNet-50, 174 ops, is

    input    conv 7×7 /2, batch norm, ReLU    max pool 3×3 /2
    Bottleneck × 3    Bottleneck × 4    Bottleneck × 6    Bottleneck × 3
    global avg pool    linear

and `inside("layer2")` one of the four Bottlenecks, with what enters it as a part (`ports.py`) and
its shortcut as a link that skips.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from archspec.figures import ports
from archspec.figures.fold import MOST, USUAL, Fold, Folder
from archspec.figures.fuse import Draft
from archspec.figures.part import Link, Part
from archspec.figures.parts import Describer
from archspec.figures.tree import Element
from archspec.figures.wiring import digraph, ranks, skips

if TYPE_CHECKING:
    import networkx as nx

    from archspec.analysed import Network

__all__ = ["MOST", "Fold", "Link", "Maker", "Outline", "Part", "outline"]

Pairs = dict[tuple[str, str], list[tuple[int, int]]]
"""By keys of source and target, the graph's edges between the two."""


@dataclass(frozen=True, eq=False)
class Outline:
    """The parts in an order in which every link goes forwards, and all links between them.

    Every edge of the graph between two of its nodes is inside a part or in a link.
    """

    parts: tuple[Part, ...]
    links: tuple[Link, ...]
    _maker: Maker
    _drafts: dict[str, Draft]

    @cached_property
    def by_key(self) -> dict[str, Part]:
        return {part.key: part for part in self.parts}

    @cached_property
    def place(self) -> dict[str, int]:
        """By key, how many parts stand before it."""
        return {part.key: place for place, part in enumerate(self.parts)}

    @property
    def ends(self) -> list[tuple[int, int]]:
        """Of every link, the places of its parts."""
        return [(self.place[link.source], self.place[link.target]) for link in self.links]

    def all_of(self, kind: str) -> frozenset[int]:
        """The places of all parts of a kind."""
        return frozenset(place for place, part in enumerate(self.parts) if part.kind == kind)

    @cached_property
    def sources(self) -> dict[str, tuple[Link, ...]]:
        """By key of a part, the links that come in."""
        return self._by(lambda link: link.target)

    @cached_property
    def targets(self) -> dict[str, tuple[Link, ...]]:
        """By key of a part, the links that go out."""
        return self._by(lambda link: link.source)

    def _by(self, end: Callable[[Link], str]) -> dict[str, tuple[Link, ...]]:
        found: dict[str, list[Link]] = {part.key: [] for part in self.parts}
        for link in self.links:
            found[end(link)].append(link)
        return {key: tuple(links) for key, links in found.items()}

    @cached_property
    def graph(self) -> nx.DiGraph[str]:
        """The keys of the parts, and which are linked."""
        return digraph(self.by_key, ((link.source, link.target) for link in self.links))

    @property
    def ranks(self) -> dict[str, int]:
        """By key, how many links the longest way from an input has."""
        return ranks(self.graph)

    def inside(self, key: str, fold: Fold = USUAL) -> Outline | None:
        """One copy of a part, opened; None where there is nothing more to see.

        Of several copies it is the last of those that look like most. What enters is a part of
        kind input, what leaves one of kind output where several do. Raises KeyError: no such part.
        """
        if not self.by_key[key].opens:
            return None
        return self._maker.make(self._maker.describer.typical(self._drafts[key]), fold)


def outline(network: Network, fold: Fold = USUAL) -> Outline:
    """The whole network, folded.

    Blocks that are called several times are one part each, all copies of a repeat one together;
    what is still too much is folded from the inside out.
    """
    return Maker(network).whole(fold)


class Maker:
    """Makes outlines of one network: of all of it, or of one element of its tree."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.nodes = network.graph.steps
        self.folder = Folder(network.graph)
        self.describer = Describer(network, self.folder)

    def whole(self, fold: Fold) -> Outline:
        """The whole network."""
        return self.make(self.folder.root, fold)

    def make(self, root: Element, fold: Fold) -> Outline:
        """The inside of an element."""
        drafts = self.folder.drafts(root, fold)
        parts = [self.describer.part(draft) for draft in drafts]
        owner = {node: part for part in parts for node in part.nodes}
        pairs: Pairs = {}
        entering = self._entering(root, owner, pairs)
        leaving = self._leaving(root, owner, pairs) if fold.outputs else []
        everything = (*entering, *parts, *leaving)
        inside = dict(zip((part.key for part in parts), drafts, strict=True))
        return Outline(everything, self._links(pairs), self, inside)

    def _entering(self, root: Element, owner: dict[int, Part], pairs: Pairs) -> list[Part]:
        """Links between parts, and from what enters, which becomes parts of its own."""
        named = ports.entries(self.folder.wiring, root)
        found: dict[int, Part] = {}
        for index in sorted(owner):
            target = owner[index]
            for edge in self.nodes[index].inputs:
                source = owner.get(edge.node) or found.get(edge.node)
                if source is None:
                    node = self.nodes[edge.node]
                    source = ports.entry(root, node, named.get(edge.node, node.path))
                    found[edge.node] = source
                if source is not target:
                    pairs.setdefault((source.key, target.key), []).append((edge.node, index))
        if len(found) == 1:
            return [replace(part, label="input") for part in found.values()]
        return list(found.values())

    def _leaving(self, root: Element, owner: dict[int, Part], pairs: Pairs) -> list[Part]:
        """Where several things leave, a part for each name that no last part bears itself."""
        wiring = self.folder.wiring
        if root is self.folder.root:
            named = [(name, edge.node) for name, edge in ports.outputs(self.network.graph)]
        else:
            named = ports.exits(wiring, root, owner)
        found: dict[str, Part] = {}
        for name, index in named if len(named) > 1 else ():
            source = owner[index]
            if source.name == name and not wiring.readers[source.main]:
                continue
            part = found.setdefault(name, ports.exit(root, self.nodes[index], name))
            edges = pairs.setdefault((source.key, part.key), [])
            if (index, -1) not in edges:
                edges.append((index, -1))
        return list(found.values())

    def _links(self, pairs: Pairs) -> tuple[Link, ...]:
        """All links; those that go beside a longer way are skips."""
        beside, reads_size = skips(pairs), self.folder.wiring.reads_size
        found = []
        for ends, edges in pairs.items():
            size = all(b >= 0 and reads_size(a, b) for a, b in edges)
            found.append(Link(*ends, ends in beside, size, tuple(edges)))
        return tuple(found)
