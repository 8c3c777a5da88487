"""*Layers -> what they cost*: weights, arithmetic, bytes, what is kept for the backward pass.

All sizes are for one sample, in float32 (4 bytes), int64 (8), bool (1).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from archspec.layers.base import BYTES, Kept

if TYPE_CHECKING:
    from archspec.expand.graph import Edge, Graph, Node
    from archspec.layers.base import Layer, TensorType

Types = tuple["TensorType", ...]

# views in evaluation, where they do nothing; in training their output is a tensor of its own
ASLEEP = frozenset({"dropout", "spatial_dropout", "alpha_dropout", "drop_path", "gaussian_noise"})


class Cost(NamedTuple):
    """What a layer costs on given inputs; the same for every node that is alike."""

    params: int
    buffers: int
    weight_bytes: int
    """Of parameters and buffers."""
    macs: int
    flops: int
    bytes_out: int
    kept: Kept
    view: bool
    """Whether the output shows the bytes of input 0 in evaluation."""
    view_in_training: bool


def cost(layer: Layer, ins: Types, outs: Types) -> Cost:
    """Weights by number and bytes; arithmetic and what is kept by the layer's own count."""
    params = buffers = weight_bytes = 0
    for weight in layer.weights(*ins):
        n = weight.size
        weight_bytes += n * BYTES[weight.dtype]
        if weight.buffer:
            buffers += n
        else:
            params += n
    awake = layer.op in ASLEEP and getattr(layer, "p", 1) != 0
    return Cost(
        params, buffers, weight_bytes, layer.macs(ins, outs), layer.flops(ins, outs), size(outs),
        layer.keeps(*ins), layer.view and bool(ins), layer.view and bool(ins) and not awake,
    )  # fmt: skip


def size(types: Types) -> int:
    """Bytes of tensors."""
    return sum(t.bytes for t in types)


def edges(node: Node) -> Sequence[Edge | None]:
    """Where the inputs come from, in step with `node.ins`: None for one that is not given."""
    if len(node.inputs) == len(node.ins):
        return node.inputs
    given = iter(node.inputs)
    return [None if t is None else next(given) for t in node.ins]


class Saved:
    """Walks the graph in order and says what each node newly keeps for the backward pass.

    A tensor that several ops keep is held once: it is counted at the first. Nothing is kept where
    no gradient flows: before the first weight that is trained.
    """

    def __init__(self, nodes: Sequence[Node]) -> None:
        self._nodes = nodes
        self._wants: list[bool] = []  # by node: whether a gradient flows through it
        self._base: list[int | None] = []  # of a view: the node whose bytes it shows
        self._held: set[tuple[int, int]] = set()

    def visit(self, node: Node, spent: Cost, trainable: bool) -> int:
        """Bytes that `node` adds; every node once, in order."""
        wants = trainable or any(self._wants[e.node] for e in node.inputs)
        self._wants.append(wants)
        self._base.append(self._root(node.inputs[0].node) if spent.view_in_training else None)
        if not wants:
            return 0
        kept = spent.kept
        total = kept.bytes
        if kept.inputs:
            given = edges(node)
            total += sum(self._hold(given[i]) for i in kept.inputs)
        for output in kept.outputs:
            total += self._hold_value(node.index, output)
        return total

    def _root(self, index: int) -> int:
        base = self._base[index]
        return index if base is None else base

    def _hold(self, edge: Edge | None) -> int:
        if edge is None:
            return 0
        root = self._root(edge.node)
        return self._hold_value(root, edge.output if root == edge.node else 0)

    def _hold_value(self, index: int, output: int) -> int:
        if (index, output) in self._held:
            return 0
        self._held.add((index, output))
        return self._nodes[index].outs[output].bytes


def live_bytes(graph: Graph, costs: Sequence[Cost]) -> list[int]:
    """Bytes of all tensors alive while each node runs in inference: it reads or writes them, or
    a later one waits for them.

    Weights are not counted; a tensor goes when its last reader has run; nodes of training are 0.
    """
    roots, last = _lifetimes(graph, costs)
    ending: dict[int, int] = {}  # bytes that go after a node
    for index, end in enumerate(last):
        if roots[index] == index and not graph.steps[index].training:
            ending[end] = ending.get(end, 0) + costs[index].bytes_out
    alive, found = 0, [0] * len(roots)
    for node in graph.steps:
        index = node.index
        if node.training:
            continue
        if roots[index] == index:
            alive += costs[index].bytes_out
        found[index] = alive
        alive -= ending.get(index, 0)
    return found


def _lifetimes(graph: Graph, costs: Sequence[Cost]) -> tuple[list[int], list[int]]:
    """By node: whose bytes its output shows (its own, or a view's base), and their last reader."""
    n = len(graph.steps)
    roots, last = list(range(n)), list(range(n))
    for node in graph.steps:
        if node.training:
            continue
        for edge in node.inputs:
            last[roots[edge.node]] = node.index
        if costs[node.index].view:
            roots[node.index] = roots[node.inputs[0].node]
    for name, edges in graph.outputs.items():
        if name not in graph.training_outputs:
            for edge in edges:
                last[roots[edge.node]] = n
    return roots, last
