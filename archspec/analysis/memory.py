"""Graph → bytes: what is alive while each node runs, what each keeps for the backward pass.

Two passes in the order of computation, for one sample. A tensor is alive from the node that makes
it until its last reader has run:

    input: [1, 10]
    body:
      - {id: a, conv: {out: 2, kernel: 1}}    alive: input, a          40 + 80
      - {id: b, conv: {out: 1, kernel: 1}}    alive: a, b              80 + 40
      - {id: d, concat: [a, b]}               alive: a, b, d           80 + 40 + 120
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from archspec.analysis.cost import Cost
    from archspec.expand.graph import Edge, Graph, Node


def live(graph: Graph, costs: Sequence[Cost]) -> list[int]:
    """Bytes of all tensors alive while each node runs in inference, weights left out; by node.

    It reads or writes them, or a later one waits for them. Nodes of training are 0.
    """
    bases, last = _lifetimes(graph, costs)
    ending: dict[int, int] = {}  # bytes that go after a node
    alive, found = 0, [0] * len(bases)
    for node in graph.steps:
        if node.training:
            continue
        index = node.index
        if bases[index] == index:
            made = costs[node.kind].bytes_out
            alive += made
            ending[last[index]] = ending.get(last[index], 0) + made
        found[index] = alive
        alive -= ending.pop(index, 0)
    return found


def _lifetimes(graph: Graph, costs: Sequence[Cost]) -> tuple[list[int], list[int]]:
    """By node: whose bytes its output shows (its own, or a view's base), and their last reader."""
    n = len(graph.steps)
    bases, last = list(range(n)), list(range(n))
    for node in graph.steps:
        if node.training:
            continue
        for edge in node.inputs:
            last[bases[edge.node]] = node.index
        if costs[node.kind].view:
            bases[node.index] = bases[node.inputs[0].node]
    for name, edges in graph.outputs.items():
        if name not in graph.training_outputs:
            for edge in edges:
                last[bases[edge.node]] = n
    return bases, last


def saved(graph: Graph, costs: Sequence[Cost]) -> list[int]:
    """Bytes that autograd newly keeps for the backward pass because of each node; by node.

    A tensor that several ops keep is held once: it is counted at the first. Nothing is kept where
    no gradient flows: before the first weight that is trained.
    """
    held = _Held(graph)
    wants: list[bool] = []  # by node: whether a gradient flows through it
    found = []
    for node in graph.steps:
        cost = costs[node.kind]
        trained = cost.params > 0 and not node.frozen
        wants.append(trained or any(wants[edge.node] for edge in node.inputs))
        held.enter(node, view=cost.view_in_training)
        found.append(held.kept(node, cost) if wants[-1] else 0)
    return found


class _Held:
    """The tensors that are kept already; a view shows the bytes of another node."""

    def __init__(self, graph: Graph) -> None:
        self._steps = graph.steps
        self._bases: list[int] = []  # by node: whose bytes its output shows
        self._held: set[tuple[int, int]] = set()

    def enter(self, node: Node, *, view: bool) -> None:
        self._bases.append(self._bases[node.inputs[0].node] if view else node.index)

    def kept(self, node: Node, cost: Cost) -> int:
        """Bytes that a node adds."""
        total = cost.kept.bytes
        if cost.kept.inputs:
            given = node.given
            total += sum(self._input(given[i]) for i in cost.kept.inputs)
        return total + sum(self._hold(node.index, output) for output in cost.kept.outputs)

    def _input(self, edge: Edge | None) -> int:
        if edge is None:
            return 0
        base = self._bases[edge.node]
        return self._hold(base, edge.output if base == edge.node else 0)

    def _hold(self, index: int, output: int) -> int:
        if (index, output) in self._held:
            return 0
        self._held.add((index, output))
        return self._steps[index].outs[output].bytes
