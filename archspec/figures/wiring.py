"""Graph → Wiring: who reads what, which ops stand alone in a chain, which do the same.

Nodes are numbers here, as in parts and elements. What leads where between parts is asked of
networkx: `digraph` makes a graph of their links, `ranks` and `skips` are answers from it.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import TYPE_CHECKING, TypeVar

import networkx as nx

if TYPE_CHECKING:
    from archspec.expand.graph import Graph, Node

Key = TypeVar("Key", bound=Hashable)


def digraph(nodes: Iterable[Key], edges: Iterable[tuple[Key, Key]]) -> nx.DiGraph[Key]:
    """Parts of a figure and links between them, for questions to networkx."""
    graph: nx.DiGraph[Key] = nx.DiGraph()
    graph.add_nodes_from(nodes)
    graph.add_edges_from(edges)
    return graph


def ranks(graph: nx.DiGraph[Key]) -> dict[Key, int]:
    """How many edges the longest way to each node has."""
    generations = enumerate(nx.topological_generations(graph))
    return {node: rank for rank, nodes in generations for node in nodes}


def skips(edges: Iterable[tuple[Key, Key]]) -> set[tuple[Key, Key]]:
    """Edges beside which there is a longer way from one end to the other."""
    graph = digraph((), edges)
    return {
        (source, target)
        for source, target in graph.edges
        if graph.in_degree(target) > 1
        and any(nx.has_path(graph, other, target) for other in graph[source] if other != target)
    }


class Wiring:
    """`readers` of each node, in order; the nodes that are `leaving`: outputs of the network."""

    def __init__(self, graph: Graph) -> None:
        self.nodes = graph.steps
        self.readers = [[reader.index for reader in graph.readers(node)] for node in graph.steps]
        self._sized: dict[int, set[int]] = {}
        self.leaving = {edge.node for edges in graph.outputs.values() for edge in edges}

    def exits(self, nodes: Sequence[int]) -> list[int]:
        """Those among the nodes that others read, or that leave the network."""
        inside = set(nodes)
        return [
            index
            for index in nodes
            if index in self.leaving or not inside.issuperset(self.readers[index])
        ]

    def last(self, nodes: Sequence[int]) -> int:
        """The node whose output is what becomes of them all: the last exit."""
        return (self.exits(nodes) or nodes)[-1]

    def chained(self, a: int, b: int) -> bool:
        """Whether b reads a and nothing else, and a goes nowhere else."""
        node = self.nodes[b]
        return (
            a not in self.leaving
            and self.readers[a] == [b]
            and len(node.inputs) == 1
            and node.training == self.nodes[a].training
        )

    def parts(self, nodes: Sequence[int]) -> int:
        """How many parts the nodes make that nothing among them joins."""
        inside = set(nodes)
        edges = ((n, reader) for n in nodes for reader in self.readers[n] if reader in inside)
        return int(nx.number_weakly_connected_components(digraph(nodes, edges)))

    def alike(self, index: int) -> object:
        """What is equal for ops that make the same of tensors of the same kind."""
        node = self.nodes[index]
        own = node.shared is None, node.tied is None
        return node.layer, node.outs[0].shape, node.training, own

    def size(self, index: int) -> tuple[int, ...]:
        """The sides of the map that leaves a node; () where it is none."""
        out = self.nodes[index].outs[0]
        return out.shape[1:] if out.is_map and out.rank > 1 else ()

    def reads_size(self, source: int, target: int) -> bool:
        """Whether of all that one node gives only the size matters to another."""
        if target not in self._sized:
            self._sized[target] = self._of_size(self.nodes[target])
        return source in self._sized[target]

    @staticmethod
    def _of_size(node: Node) -> set[int]:
        """The nodes of whose tensors a node reads the size alone."""
        if node.layer is None or len(node.inputs) < 2:
            return set()
        given = [place for place, kind in enumerate(node.ins) if kind is not None]
        reach = node.layer.reach(*node.ins)
        more = {
            edge.node
            for place, edge in zip(given, node.inputs, strict=True)
            if not reach[place]
            or any(r.axis is None or r.window.lo <= r.window.hi for r in reach[place])
        }
        return {edge.node for edge in node.inputs} - more
