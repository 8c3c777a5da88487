"""What a rule is told: the graph, the spec it comes from, and what the other passes found."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from archspec.layers.base import along
from archspec.text.faults import Fault, Loc

if TYPE_CHECKING:
    from archspec.analysis.receptive_field import Meeting
    from archspec.analysis.rows import Row
    from archspec.expand.graph import Graph, Node
    from archspec.language import Spec
    from archspec.layers.base import Layer


@dataclass(frozen=True)
class Context:
    """`rows` are by node in order, `misaligned` the nodes where paths of other places meet."""

    graph: Graph
    spec: Spec
    rows: Sequence[Row]
    misaligned: Sequence[Meeting]

    def layers(self, wanted: Callable[[Layer], bool]) -> Iterator[Node]:
        """The nodes whose layers are wanted and have weights of their own, in order."""
        for node in self.graph.steps:
            if node.shared is None and node.layer is not None and wanted(node.layer):
                yield node

    def before(self, node: Node) -> Node:
        """The node that the first input comes from."""
        return self.graph.steps[node.inputs[0].node]

    def source(self, node: Node) -> Node:
        """The node whose values the first input is, through norms, activations and the like."""
        found = self.before(node)
        while found.inputs and in_place(found):
            found = self.before(found)
        return found

    def takers(self, node: Node) -> list[Node]:
        """Who reads a node's values, through norms, activations and the like, in order."""
        found: dict[int, Node] = {}
        pending = [node]
        while pending:
            for reader in self.graph.readers(pending.pop()):
                if reader.index not in found:
                    found[reader.index] = reader
                    pending += [reader] if in_place(reader) and not self.leaves(reader) else []
        ends = (n for n in found.values() if not in_place(n) or self.leaves(n))
        return sorted(ends, key=lambda n: n.index)

    def leaves(self, node: Node) -> bool:
        """Whether it gives an output of the network."""
        return node.index in self._leaving

    def read_once(self, node: Node) -> bool:
        """Whether exactly one node, and nobody outside, reads it."""
        return self.graph.out_degree[node.path] == 1 and not self.leaves(node)

    @cached_property
    def _leaving(self) -> set[int]:
        return {edge.node for edges in self.graph.outputs.values() for edge in edges}


def in_place(node: Node) -> bool:
    """Whether it changes each cell where it is: a norm, an activation, dropout, a factor."""
    layer = node.layer
    if layer is None or layer.linear or layer.slides or len(node.ins) != 1:
        return False
    if node.outs[0].shape != node.ins[0].shape:
        return False
    return layer.family == "norm" or layer.reach(*node.ins) == (along(node.ins[0].rank, {}),)


Rule = Callable[[Context], Iterator[Fault]]


def warn(code: str, node: Node, message: str, help: str) -> Fault:
    """A warning at the item that a node comes from."""
    return Fault(code, message, node.item.key if node.item is not None else Loc(""), help=help)
