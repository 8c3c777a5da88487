"""Graph → the axes of its inputs that receptive fields and accepted sizes are told along.

Not the channels of a map, not the features of a sequence. Of two axes, which are which is told by
the first op that treats them differently:

    input: [1, 64]    body: [{conv: {out: 4, kernel: 3}}]    axis 1, called L
    input: [12, 8]    body: [{lstm: 16}]                     axis 0, called T
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING

import networkx as nx

from archspec.analysis.receptive_field import Tracked
from archspec.language import Axis

if TYPE_CHECKING:
    from archspec.expand.graph import Graph, Node
    from archspec.language import Spec
    from archspec.layers.base import Layer

# What all ops take, counted once for each input of the network that it depends on. Where that is
# more, only the first inputs are followed; what is not in proportion takes half a second and 50 MB.
SEEN, OF_EACH = 200_000, 16
NAMES = {2: ("H", "W"), 3: ("D", "H", "W")}


def tracked_axes(graph: Graph, spec: Spec) -> tuple[Tracked, ...]:
    """In the order of the inputs; a free axis has the name that the spec gives it, alone."""
    found = []
    taken = {name for text in spec.inputs for name in _free(spec, text).values()}
    for node in _followed(graph):
        shape, free = node.outs[0].shape, _free(spec, node.path)
        for axis, name in _named(graph, node, free):
            label = free.get(axis, f"axis {axis}" if name in taken else name)
            found.append(Tracked(node.path, axis, label, shape[axis], axis in free))
    return tuple(found)


def _followed(graph: Graph) -> list[Node]:
    """The inputs; where many ops depend on many of them, as many of the first as are allowed."""
    inputs = [node for node in graph.steps if node.layer is None]
    most = SEEN + OF_EACH * len(graph.steps)
    if len(inputs) * sum(len(node.inputs) for node in graph.steps) <= most:
        return inputs
    bits = {node.index: 1 << k for k, node in enumerate(inputs)}
    sees: list[int] = []  # a bit for each input
    for node in graph.steps:
        sees.append(reduce(or_, (sees[e.node] for e in node.inputs), bits.get(node.index, 0)))
    takes = [sees[edge.node] for node in graph.steps for edge in node.inputs]

    def too_many(count: int) -> bool:
        first = (1 << count) - 1
        return sum((seen & first).bit_count() for seen in takes) > most

    return inputs[: 1 + bisect_left(range(2, len(inputs) + 1), True, key=too_many)]


def free_places(graph: Graph, spec: Spec) -> dict[tuple[int, int], str]:
    """The free axes by name, by the index of their input's node and the axis."""
    return {
        (graph.at(name).index, axis): label
        for name in spec.inputs
        for axis, label in _free(spec, name).items()
    }


def _free(spec: Spec, name: str) -> dict[int, str]:
    """The names of the free axes of an input."""
    return {
        axis: entry.name
        for axis, entry in enumerate(spec.inputs[name].shape)
        if isinstance(entry, Axis)
    }


def _named(graph: Graph, node: Node, free: dict[int, str]) -> list[tuple[int, str]]:
    """The tracked axes of an input, with names."""
    rank = len(node.outs[0].shape)
    if rank == 2 and free:
        return [(axis, str(axis)) for axis in sorted(free)]
    if rank == 1:
        return [(0, "T" if node.outs[0].dtype == "int" else "features")]
    if rank > 2:
        names = NAMES.get(rank - 1, tuple(map(str, range(1, rank))))
        return list(enumerate(names, 1))
    for layer in _readers(graph, node):
        if layer.reads == "map":
            return [(1, "L")]
        if layer.reads == "sequence":
            return [(0, "T")]
    return [(axis, str(axis)) for axis in range(rank)]


def _readers(graph: Graph, source: Node) -> Iterator[Layer]:
    """The ops that see what a node gives before anything changes its shape, in order."""
    shape = source.outs[0].shape

    def alike(path: str) -> Iterator[str]:
        return (to for to in graph.successors(path) if graph.at(to).outs[0].shape == shape)

    unchanged = {source.path, *(to for _, to in nx.generic_bfs_edges(graph, source.path, alike))}
    readers = {graph.at(reader).index for path in unchanged for reader in graph.successors(path)}
    for index in sorted(readers):
        layer = graph.steps[index].layer
        if layer is not None:
            yield layer
