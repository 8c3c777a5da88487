"""Graph → how what each node gives lies in memory, and which views torch has to copy.

input: [4, 9]
body:
  - permute: [1, 0]      a view; its strides are (36, 1, 9)
  - linear: 5            copies it, to multiply one matrix
  - flatten              a view
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from archspec.layers.base import Layer
from archspec.layers.strides import Lying, Strides, in_order

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from archspec.analysis.cost import Cost
    from archspec.expand.graph import Edge, Graph, Node
    from archspec.layers.base import Kept

_SAMPLES = 2  # an axis of one cell says nothing of how it lies


class Lies(NamedTuple):
    """How a graph's tensors lie: by node the strides where they are not in order, else None.

    `copied`: the nodes that would give a view of their input, and have to copy it for that.
    """

    strides: list[Strides | None]
    copied: set[int]

    def of(self, graph: Graph, edge: Edge) -> Lying:
        """Of one output; those beside the first lie as that does where they are parts of one."""
        node = graph.steps[edge.node]
        sizes, strides = (_SAMPLES, *node.outs[edge.output].shape), self.strides[edge.node]
        parts = edge.output == 0 or (node.layer is not None and node.layer.view)
        return sizes, strides if strides and parts else in_order(sizes)

    def kept(self, graph: Graph, node: Node, usual: Kept) -> Kept:
        """What a node keeps, of inputs that lie as these."""
        if node.layer is None or type(node.layer).keeps_as_they_lie is Layer.keeps_as_they_lie:
            return usual
        return node.layer.keeps_as_they_lie(node.ins, self._given(graph, node)) or usual

    def copies(self, graph: Graph, node: Node, inputs: Iterable[int]) -> dict[int, int]:
        """Of some inputs of a node, those of which it makes copies, and how many."""
        if node.layer is None or not (node.layer.folds or type(node.layer).copies != Layer.copies):
            return {}
        given = self._given(graph, node)
        found = {i: node.layer.copies(i, given) for i in inputs if i in given}
        return {i: many for i, many in found.items() if many}

    def _given(self, graph: Graph, node: Node) -> dict[int, Lying]:
        return {i: self.of(graph, edge) for i, edge in enumerate(node.given) if edge is not None}


def lying(graph: Graph, costs: Sequence[Cost]) -> Lies:
    """In training, of inputs that lie in order."""
    found = Lies([], set())
    for node in graph.steps:
        found.strides.append(None)
        layer = node.layer
        moved = any(found.strides[edge.node] is not None for edge in node.inputs)
        if layer is None or not node.inputs or not (moved or _moves(layer)):
            continue
        out = (_SAMPLES, *node.outs[0].shape)
        strides = layer.lies(out, *(found.of(graph, edge) for edge in node.inputs))
        if strides is None and costs[node.kind].view:
            found.copied.add(node.index)
        elif strides is not None and strides != in_order(out):
            found.strides[node.index] = strides
    return found


def _moves(layer: Layer) -> bool:
    """Whether it gives what is not in order of what is."""
    return layer.view or type(layer).lies is not Layer.lies
