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
    `common`: by node whether what it gives is one for all samples.
    """

    costs: Sequence[Cost]
    strides: list[Strides | None]
    copied: set[int]
    common: list[bool]

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
        found = {i: self.of(graph, edge) for i, edge in enumerate(node.given) if edge is not None}
        for i in set() if self.common[node.index] else self._lone(node):
            (_, *sizes), strides = found[i]
            found[i] = (1, *sizes), strides
        for i in self.expanded(node):
            (_, *sizes), strides = found[i]
            found[i] = (_SAMPLES, *sizes), (0, *strides[1:])
        for i in node.layer.falls_back if node.layer is not None else ():
            if i in found and (node.given[i] != node.given[i - 1] or i in self.expanded(node)):
                break
            found.pop(i, None)
        return found

    def expanded(self, node: Node) -> set[int]:
        """The inputs that are one for all samples, and repeated for a node that wants one of each.

        Those that are as they are: torch broadcasts them, or the node gives one for all as well.
        """
        lone, taken = self._lone(node), self.costs[node.kind].lone
        as_they_are = taken is None or lone == taken or self.common[node.index]
        return set() if as_they_are else lone

    def _lone(self, node: Node) -> set[int]:
        """The inputs that are one for all samples."""
        edges = ((i, edge) for i, edge in enumerate(node.given) if edge is not None)
        return {i for i, edge in edges if self.common[edge.node]}


def lying(graph: Graph, costs: Sequence[Cost]) -> Lies:
    """In training, of inputs that lie in order."""
    found = Lies(costs, [], set(), [])
    for node in graph.steps:
        found.strides.append(None)
        cost, ins = costs[node.kind], [found.common[edge.node] for edge in node.inputs]
        found.common.append(cost.own or (cost.alone and bool(ins) and all(ins)))
        layer = node.layer
        moved = any(found.strides[edge.node] is not None for edge in node.inputs)
        moved = moved or (any(ins) and not found.common[-1])
        if layer is None or not node.inputs or not (moved or _moves(layer)):
            continue
        out = (_SAMPLES, *node.outs[0].shape)
        strides = layer.lies(out, *found._given(graph, node).values())
        if strides is None and cost.view:
            found.copied.add(node.index)
        elif strides is not None and strides != in_order(out):
            found.strides[node.index] = strides
    return found


def _moves(layer: Layer) -> bool:
    """Whether it gives what is not in order of what is."""
    return layer.view or type(layer).lies is not Layer.lies
