"""Network → Trunk: the maps on the way from input to output, stacked where their sizes agree.

LeNet-5 is six solids; a pool belongs to the maps it is of, a vector has no sides:

    32×32 input    28×28 conv, pool    10×10 conv, pool    1×1 conv    linear    linear

A block is drawn as the layers along its longest path, or as one solid where that is not most of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import groupby, pairwise
from typing import TYPE_CHECKING, NamedTuple

import networkx as nx

from archspec.figures.outline import MOST, Fold, Outline, Part, outline
from archspec.figures.ports import outputs

if TYPE_CHECKING:
    from archspec.analysed import Network

Sides = tuple[int, ...]

_WEIGHTY = frozenset({"conv", "upsampling", "linear", "attention", "recurrent"})
_OPENED = 36  # slabs up to which blocks are drawn as the layers in them
_COVER = 0.6  # of a block's parameters that one path must hold to stand for it
_ONE_BY_ONE = 4  # alike slabs that are drawn each
_STACK = 6  # slabs of a stack from which on alike ones are drawn as one


class Slab(NamedTuple):
    """A map of so many channels, or `copies` alike, one behind the other."""

    channels: int
    family: str
    copies: int = 1


@dataclass(slots=True)
class Solid:
    """Neighbours whose maps have the same size, and the pools behind them.

    `sides` are the sizes of space; () of a vector. `parts` is all it stands for, in order. `slabs`
    are those of one of `copies` copies.
    """

    sides: Sides
    parts: list[Part]
    slabs: list[Slab]
    copies: int = 1
    whole: bool = False  # it takes in no neighbours
    pools: list[tuple[Sides, Part]] = field(default_factory=list)

    @property
    def key(self) -> str:
        return self.parts[0].key

    def takes(self, other: Solid) -> bool:
        """Whether what follows is more of the same."""
        alone = self.whole or other.whole or self.pools
        return not alone and self.sides == other.sides


class Trunk(NamedTuple):
    """`aside` are parts that are on no way from the input to the output that is used."""

    solids: tuple[Solid, ...]
    aside: tuple[Part, ...]


def reason(network: Network) -> str:
    """Why there is no trunk of maps, as a clause; "" where there is one."""
    graph = network.graph
    inputs = sum(node.layer is None for node in graph.steps)
    if inputs != 1:
        return f"it has {inputs} inputs"
    found = len(outputs(graph, training=False))
    if found != 1:
        return f"it has {found} outputs"
    return _Reader(network, MOST).reason


def trunk(network: Network, most: int) -> Trunk:
    """Of an outline of at most `most` parts; for a network for which there is no `reason`."""
    reader = _Reader(network, most)
    return Trunk(tuple(reader.solids()), tuple(reader.aside))


class _Reader:
    def __init__(self, network: Network, most: int) -> None:
        self.outline = outline(network, Fold(most))
        ((_, sink),) = outputs(network.graph, training=False)
        (self._start,) = (part.key for part in self.outline.parts if part.kind == "input")
        (self._end,) = (part.key for part in self.outline.parts if sink.node in part.nodes)
        self.parts = self._between()

    # -------------------------------------------------------------- which parts

    def _between(self) -> list[Part]:
        """The parts on some way from the input to the output, in order."""
        graph, start, end = self.outline.graph, self._start, self._end
        ahead, behind = nx.descendants(graph, start), nx.ancestors(graph, end)
        return [
            part for part in self.outline.parts if part.key in (ahead | {start}) & (behind | {end})
        ]

    @property
    def aside(self) -> list[Part]:
        """What is left out: heads of training, and parameters that are made from no input."""
        keys = {part.key for part in self.parts}
        return [p for p in self.outline.parts if p.key not in keys and p.kind != "output"]

    @cached_property
    def regions(self) -> list[list[Part]]:
        """The parts, cut behind each one that no link passes by: all ways meet there."""
        between = self.outline.graph.subgraph(part.key for part in self.parts)
        dominator = nx.immediate_dominators(between, self._start)
        meets, at = {self._start}, self._end
        while at != self._start:
            meets.add(at)
            at = dominator[at]
        ends = [number for number, part in enumerate(self.parts, 1) if part.key in meets]
        return [self.parts[start:end] for start, end in pairwise((0, *ends))]

    # -------------------------------------------------------------- whether it is a trunk

    @property
    def reason(self) -> str:
        sizes = set[Sides]()
        before: Sides | None = ()
        for region in self.regions:
            sides, part = [self._sides(part) for part in region], region[-1]
            if sides[-1] is None:
                shape = " × ".join(map(str, part.shape))
                return f"`{part.name or part.label}` gives {shape}, which is no map"
            sizes.update(side for side in sides if side)
            if {side for side in sides if side and max(side) > 1} - {before, sides[-1]}:
                return f"its paths meet at `{part.key}` after maps of several sizes"
            before = sides[-1]
        return "it has no maps of several sizes" if len(sizes) < 2 else ""

    def _sides(self, part: Part) -> Sides | None:
        """The sizes of space of what leaves a part; () of a vector; None of anything else."""
        if part.out.rank <= 1:
            return ()
        is_map = part.out.is_map
        if part.kind == "input" and part.out.rank == 2:  # what it is, its first reader says
            readers = (self.outline.by_key[to.target] for to in self.outline.targets[part.key])
            is_map = any(reader.out.is_map for reader in readers)
        return part.shape[1:] if is_map else None

    # -------------------------------------------------------------- solids

    def solids(self) -> list[Solid]:
        """In order, neighbours of one size together."""
        opened = self._solids(open=True)
        if sum(len(solid.slabs) for solid in opened) <= _OPENED:
            return opened
        return self._solids(open=False)

    def _solids(self, *, open: bool) -> list[Solid]:
        found: list[Solid] = []
        for region in self.regions:
            for solid in self._steps(region, open=open):
                _stack(found, solid)
        for solid in found:
            if len(solid.slabs) > _STACK:
                solid.slabs = [
                    slab._replace(copies=slab.copies * len(list(alike)))
                    for slab, alike in groupby(solid.slabs)
                ]
        return found

    def _steps(self, region: Sequence[Part], *, open: bool) -> Iterator[Solid]:
        """What a region adds: its parts one by one where they are one path, else its last alone."""
        *before, last = region
        if not before:
            yield self._solid(last, open=open)
        elif all(self.outline.graph.has_edge(a.key, b.key) for a, b in pairwise(region)):
            for part in before:
                yield self._solid(part, open=open)
            grown = last.shape[:1] != before[-1].shape[:1]
            slabs = [Slab(last.shape[0], last.family)] if grown else []
            yield Solid(self._sides(last) or (), [last], slabs)
        else:
            yield replace(self._flat(last), parts=list(region), whole=True)

    def _solid(self, part: Part, *, open: bool) -> Solid:
        slabs = self._inside(part) if open and part.composite else []
        if slabs:
            return Solid(self._sides(part) or (), [part], slabs, part.copies, whole=True)
        return self._flat(part)

    def _flat(self, part: Part) -> Solid:
        """The part as what leaves it."""
        sides = self._sides(part) or ()
        slab = Slab(part.shape[0] if part.shape else 1, part.family)
        alone = part.kind == "input" or not sides
        if part.composite and part.copies > 1:
            return Solid(sides, [part], [slab], part.copies, whole=True)
        many = part.copies > _ONE_BY_ONE
        slabs = [slab._replace(copies=part.copies)] if many else [slab] * part.copies
        return Solid(sides, [part], slabs, whole=alone)

    def _inside(self, part: Part) -> list[Slab]:
        """The layers along the longest path through a block, if that path is most of it."""
        inside = self.outline.inside(part.key, Fold(full=True))
        if inside is None or any(_side_by_side(inside, merge) for merge in inside.parts):
            return []
        path = _longest(inside)
        weighty = sum(p.params for p in inside.parts if p.params and self._is_map(p))
        if sum(p.params for p in path) < _COVER * weighty:
            return []
        return [
            Slab(p.shape[0], p.family)
            for p in path
            for _ in range(p.copies)
            if p.family in _WEIGHTY and self._sides(p) == self._sides(part)
        ]

    def _is_map(self, part: Part) -> bool:
        return max(self._sides(part) or (0,)) > 1


def _stack(found: list[Solid], solid: Solid) -> None:
    """Put a solid onto the last one, where that has maps of its size and no pool yet.

    What joins paths and makes no other map of them is no slab of its own.
    """
    last, part = found[-1] if found else None, solid.parts[-1]
    if last is not None and not solid.slabs:
        last.parts += solid.parts
        return
    if last is not None and last.sides and part.family == "pool" and part.copies == 1:
        last.pools.append((solid.sides or (1,) * len(last.sides), part))
    elif last is not None and last.takes(solid):
        last.slabs += solid.slabs
    else:
        found.append(solid)
        return
    last.parts += solid.parts


def _side_by_side(inside: Outline, part: Part) -> bool:
    """Whether it joins several branches, each as good as the other."""
    if part.op != "concat":
        return False
    kinds = [inside.by_key[link.source].kind for link in inside.sources[part.key]]
    return sum(kind != "input" for kind in kinds) > 1


def _longest(inside: Outline) -> list[Part]:
    """The parts of a path with as many links as there can be, in order."""
    ranks = inside.ranks
    ends = [part for part in inside.parts if part.kind != "output"]
    at = max(ends, key=lambda part: ranks[part.key], default=None)
    path: list[Part] = []
    while at is not None:
        path.append(at)
        before = [inside.by_key[link.source] for link in inside.sources[at.key]]
        at = max(before, key=lambda part: ranks[part.key], default=None)
    return path[::-1]
