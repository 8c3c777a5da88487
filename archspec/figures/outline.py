"""Network → Outline: the network as at most so many parts, the one collapsed view figures draw."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from archspec.figures import ports
from archspec.figures.fold import Folder
from archspec.figures.part import Link, Part
from archspec.figures.parts import Describer
from archspec.figures.tree import Element

if TYPE_CHECKING:
    from archspec.analysed import Network

__all__ = ["MOST", "Link", "Maker", "Outline", "Part", "outline"]

MOST = 40
"""Parts of a figure that can be taken in at a glance."""

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
    _inside: dict[str, Element]

    @cached_property
    def by_key(self) -> dict[str, Part]:
        return {part.key: part for part in self.parts}

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

    @property
    def ranks(self) -> dict[str, int]:
        """By key, how many links the longest way from an input has."""
        found: dict[str, int] = {}
        for part in self.parts:
            before = [found[link.source] for link in self.sources[part.key]]
            found[part.key] = max(before, default=-1) + 1
        return found

    def inside(
        self, key: str, most: int = MOST, *, runs: bool = True, full: bool = False
    ) -> Outline | None:
        """One copy of a part, opened; None where there is nothing more to see.

        Of several copies it is the last of those that look like most. What enters is a part of
        kind input, what leaves one of kind output where several do. `runs` and `full`: as in
        `outline`. Raises KeyError: no such part.
        """
        if not self.by_key[key].opens:
            return None
        return self._maker.make(self._inside[key], most, (), runs=runs, full=full)


def outline(
    network: Network,
    most: int = MOST,
    open: Collection[str] = (),
    *,
    runs: bool = True,
    full: bool = False,
    scales: bool = False,
    outputs: bool = True,
) -> Outline:
    """The whole network, folded until it has at most `most` parts (named outputs not counted).

    Blocks that are called several times are one part each, all copies of a repeat one together;
    what is still too much is folded from the inside out. `open` are keys of parts to be shown open
    all the same: a repeat as its copies, a block as its inside. `runs`: equal ops one after the
    other are one part × N. `full`: nothing is folded that fits. `scales`: what works at several
    resolutions is folded last. `outputs`: whether there are parts for them.
    """
    maker = Maker(network)
    root = maker.folder.root
    return maker.make(root, most, open, runs=runs, full=full, scales=scales, outputs=outputs)


class Maker:
    """Makes outlines of one network: of all of it, or of one element of its tree."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.nodes = network.graph.steps
        self.folder = Folder(network.graph)
        self.describer = Describer(network, self.folder)

    def make(
        self,
        root: Element,
        most: int = MOST,
        open: Collection[str] = (),
        *,
        runs: bool = True,
        full: bool = False,
        scales: bool = False,
        outputs: bool = True,
    ) -> Outline:
        """The inside of an element; what else is asked for as in `outline`."""
        drafts = self.folder.drafts(root, most, open, runs=runs, full=full, scales=scales)
        parts = [self.describer.part(draft) for draft in drafts]
        owner = {node: part for part in parts for node in part.nodes}
        pairs: Pairs = {}
        entering = self._entering(root, owner, pairs)
        leaving = self._leaving(root, owner, pairs) if outputs else []
        everything = (*entering, *parts, *leaving)
        inside = {
            part.key: self.describer.typical(draft)
            for part, draft in zip(parts, drafts, strict=True)
        }
        return Outline(everything, self._links(everything, pairs), self, inside)

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
            named = ports.outputs(self.network.graph)
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

    def _links(self, parts: Sequence[Part], pairs: Pairs) -> tuple[Link, ...]:
        """All links; those that go beside a longer way are skips."""
        place = {part.key: index for index, part in enumerate(parts)}
        after: list[list[int]] = [[] for _ in parts]
        for ends in pairs:
            after[place[ends[0]]].append(place[ends[1]])
        reach = [0] * len(parts)  # bit sets of what can be reached by one link or more
        for index in reversed(range(len(parts))):
            for other in after[index]:
                reach[index] |= reach[other] | 1 << other
        found = []
        for (source, target), edges in pairs.items():
            here, there = place[source], place[target]
            skip = any(reach[other] >> there & 1 for other in after[here] if other != there)
            size = all(b >= 0 and self.folder.wiring.reads_size(a, b) for a, b in edges)
            found.append(Link(source, target, skip, size, tuple(edges)))
        return tuple(found)
