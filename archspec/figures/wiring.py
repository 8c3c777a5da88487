"""Graph → Wiring: who reads what, which ops stand alone in a chain, which do the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from archspec.expand.graph import Graph


class Wiring:
    """`readers` of each node, in order; the nodes that are `leaving`: outputs of the network."""

    def __init__(self, graph: Graph) -> None:
        self.nodes = graph.steps
        self.readers: list[list[int]] = [[] for _ in graph.steps]
        for node in graph.steps:
            for edge in node.inputs:
                self.readers[edge.node].append(node.index)
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
        exits = self.exits(nodes)
        return exits[-1] if exits else nodes[-1]

    def chained(self, a: int, b: int) -> bool:
        """Whether b reads a and nothing else, and a goes nowhere else."""
        node = self.nodes[b]
        return (
            a not in self.leaving
            and self.readers[a] == [b]
            and len(node.inputs) == 1
            and node.training == self.nodes[a].training
        )

    def alike(self, index: int) -> object:
        """What is equal for ops that make the same of tensors of the same kind."""
        node = self.nodes[index]
        return node.layer, node.outs[0].shape, node.training, node.shared is None

    def size(self, index: int) -> tuple[int, ...]:
        """The sides of the map that leaves a node; () where it is none."""
        out = self.nodes[index].outs[0]
        return out.shape[1:] if out.is_map and out.rank > 1 else ()

    def reads_size(self, source: int, target: int) -> bool:
        """Whether of all that one node gives only the size matters to another."""
        node = self.nodes[target]
        if node.layer is None or len(node.inputs) < 2:
            return False
        given = [place for place, kind in enumerate(node.ins) if kind is not None]
        reach = node.layer.reach(*node.ins)
        return all(
            bool(reach[place])
            and all(r.axis is not None and r.window.lo > r.window.hi for r in reach[place])
            for place, edge in zip(given, node.inputs, strict=True)
            if edge.node == source
        )
