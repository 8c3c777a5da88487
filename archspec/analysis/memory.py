"""Graph → bytes: what is alive while each node runs, what each keeps for the backward pass.

Two passes in the order of computation, for one sample. A tensor is alive from the node that makes
it until its last reader has run:

    input: [1, 10]
    body:
      - {id: a, conv: {out: 2, kernel: 1}}    alive: input, a          40 + 80
      - {id: b, conv: {out: 1, kernel: 1}}    alive: a, b              80 + 40
      - {id: d, concat: [a, b]}               alive: a, b, d           80 + 40 + 120

All is in float32, unless it is asked what torch's autocast makes of it: products come out in half
precision then, some ops want float32 (`Layer.autocast`), the others go by what they get.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from archspec.analysis.lying import Lies, lying
from archspec.expand.graph import Edge
from archspec.layers.base import BYTES

if TYPE_CHECKING:
    from archspec.analysis.cost import Cost
    from archspec.expand.graph import Graph, Node
    from archspec.layers.base import Kept, TensorType

FLOAT, _HALF = BYTES["float"], 2  # bytes


def widths(graph: Graph, *, half: bool) -> list[int]:
    """Bytes of one float of what each node gives; `half`: under torch's autocast."""
    found: list[int] = []
    for node in graph.steps:
        kind = node.layer.autocast if node.layer is not None else "full"
        given = [found[e.node] for e in node.inputs if _type(graph, e).dtype == "float"]
        went = {"widest": max(given, default=FLOAT), "half": _HALF, "full": FLOAT}
        found.append(went[kind] if half else FLOAT)
    return found


def _type(graph: Graph, edge: Edge) -> TensorType:
    return graph.steps[edge.node].outs[edge.output]


def _bytes(value: TensorType, width: int) -> int:
    return value.size * width if value.dtype == "float" else value.bytes


def live(graph: Graph, costs: Sequence[Cost], *, half: bool = False) -> list[int]:
    """Bytes of all tensors alive while each node runs in inference, weights left out; by node.

    It reads or writes them, or a later one waits for them. Nodes of training are 0.
    """
    bases, last = _lifetimes(graph, costs)
    width = widths(graph, half=half)
    ending: dict[int, int] = {}  # bytes that go after a node
    alive, found = 0, [0] * len(bases)
    for node in graph.steps:
        if node.training:
            continue
        index = node.index
        if bases[index] == index:
            made = _made(node, width)
            alive += made
            ending[last[index]] = ending.get(last[index], 0) + made
        found[index] = alive
        alive -= ending.pop(index, 0)
    return found


def _made(node: Node, width: Sequence[int]) -> int:
    return sum(_bytes(out, width[node.index]) for out in node.outs)


def _lifetimes(graph: Graph, costs: Sequence[Cost]) -> tuple[list[int], list[int]]:
    """By node: whose bytes its output shows, and the last reader of its own in inference."""
    n = len(graph.steps)
    views = [cost.view for cost in costs]
    bases, last = _bases(graph, views, lying(graph, costs)), list(range(n))
    for node in graph.steps:
        if not node.training:
            for edge in node.inputs:
                last[bases[edge.node]] = node.index
    for name, edges in graph.outputs.items():
        if name not in graph.training_outputs:
            for edge in edges:
                last[bases[edge.node]] = n
    return bases, last


def _bases(graph: Graph, views: Sequence[bool], lies: Lies) -> list[int]:
    """By node: whose bytes its output shows, its own or those a view is of; `views` by kind."""
    found: list[int] = []
    for node in graph.steps:
        view = views[node.kind] and node.index not in lies.copied
        found.append(found[node.inputs[0].node] if view else node.index)
    return found


def saved(
    graph: Graph,
    costs: Sequence[Cost],
    trained: Collection[str] | None = None,
    *,
    half: bool = False,
) -> list[int]:
    """Bytes that autograd newly keeps for the backward pass because of each node; by node.

    A tensor that several ops keep is held once: it is counted at the first. Nothing is kept where
    no gradient flows: before the first weight that is trained. `trained` are the names of the
    weights that are, where these are not all that the spec leaves free. What an op wants in another
    precision than it is in, it keeps as a tensor of its own. What is one for all samples, a
    parameter or what is made of such alone, is none of one.
    """
    width = widths(graph, half=half)
    learning = set(_free(graph, costs) if trained is None else _learning(graph, trained))
    lies = lying(graph, costs)
    bases = _bases(graph, [cost.view_in_training for cost in costs], lies)
    common = lies.common
    held: set[Edge] = set()
    wants: list[bool] = []  # by node: whether a gradient flows through it
    found = []
    for node in graph.steps:
        learns = not learning.isdisjoint(_owners(node))
        flows = learns or any(_flows(graph, edge, wants) for edge in node.inputs)
        wants.append(flows and not (node.layer is not None and node.layer.stops))
        needs = wants[-1] and not (_for_weights(node) and not learns)
        if not needs or common[node.index]:
            found.append(0)
            continue
        usual = lies.kept(graph, node, costs[node.kind].kept)
        whole = _narrowed(graph, node, usual, wants)
        copies = dict.fromkeys(_cast(node, whole, width), 1)
        copies |= lies.copies(graph, node, whole.inputs)
        kept = {e for e in _kept(node, whole, bases, copies) if not common[e.node]} - held
        held |= kept
        own = whole.bytes * width[node.index] // FLOAT if _in_half(node) else whole.bytes
        own += sum(many * node.ins[i].size * width[node.index] for i, many in copies.items())
        own += sum(costs[graph.steps[e.node].kind].beyond for e in kept if e.output == 0)
        found.append(own + sum(_bytes(_type(graph, e), width[e.node]) for e in kept))
    return found


def _flows(graph: Graph, edge: Edge | None, wants: Sequence[bool]) -> bool:
    return edge is not None and wants[edge.node] and _type(graph, edge).dtype == "float"


def _narrowed(graph: Graph, node: Node, kept: Kept, wants: Sequence[bool]) -> Kept:
    """What is kept, of inputs that are taken one by one those that a gradient reads.

    A factor is read where one before it takes a gradient, the first where the second does, and what
    they were so far where the next one does. Of what is compared all is read where one of it and of
    those before it does, and so is what they were so far. What goes `alone` is read where it does.
    """
    flows = [_flows(graph, node.given[i], wants) for i in kept.factors]
    reads = {i: any(flows[:k] if k else flows[1:2]) for k, i in enumerate(kept.factors)}
    chosen = [_flows(graph, node.given[i], wants) for i in kept.compared]
    reads |= {i: any(chosen[: max(k, 1) + 1]) for k, i in enumerate(kept.compared)}
    reads |= {i: _flows(graph, node.given[i], wants) for i in kept.alone}
    steps = sum(flows[2:]) + sum(reads[i] for i in kept.compared[2:])
    inputs = {*kept.inputs, *(i for i, read in reads.items() if read)}
    return replace(kept, inputs=tuple(sorted(inputs)), bytes=kept.bytes + kept.between * steps)


def _in_half(node: Node) -> bool:
    return node.layer is not None and node.layer.autocast == "half"


def _cast(node: Node, kept: Kept, width: Sequence[int]) -> set[int]:
    """Of the inputs that a node keeps those that it makes a tensor in its own precision of."""
    if node.layer is None or node.layer.autocast == "widest":
        return set()
    edges = ((i, node.given[i]) for i in kept.inputs)
    own = width[node.index]
    return {
        i
        for i, edge in edges
        if edge is not None and width[edge.node] != own and node.ins[i].dtype == "float"
    }


def _owners(node: Node) -> set[int]:
    """The nodes whose weights a node uses: its own, or another's, and of one that is tied."""
    found = {node.index if node.shared is None else node.shared}
    return found if node.tied is None else {*found, node.tied}


def _for_weights(node: Node) -> bool:
    return node.layer is not None and node.layer.kept_for_weights


def _free(graph: Graph, costs: Sequence[Cost]) -> list[int]:
    """The nodes that own weights that the spec leaves free."""
    free = (node for node in graph.steps if node.shared is None and not node.frozen)
    return [node.index for node in free if costs[node.kind].params]


def _learning(graph: Graph, trained: Collection[str]) -> dict[int, int]:
    """By node that owns any, the numbers of its weights that are trained."""
    found: dict[int, int] = {}
    for name, weight, node in graph.weights():
        if name in trained and not weight.buffer:
            found[node.index] = found.get(node.index, 0) + weight.size
    return found


class Held(NamedTuple):
    """What a step of training holds at a node, in bytes, the weights themselves left out.

    `kept` of one sample: for the rest of the backward pass, with the gradients that this node gets
    and gives. `gradients` of the weights: those that are made so far.
    """

    kept: int
    gradients: int


def steps(
    graph: Graph, costs: Sequence[Cost], trained: Collection[str], *, half: bool = False
) -> list[Held]:
    """What is held at each node: forward before the first that learns, then backward.

    Most of what is kept is gone before the gradients of the first layers are there:

        conv, 100 kept, 10 trained      at conv   Held(100, 60)
        linear, 20 kept, 50 trained     at linear Held(120, 50)
    """
    learning, width = _learning(graph, trained), widths(graph, half=half)
    kept, alive = saved(graph, costs, trained, half=half), live(graph, costs, half=half)
    last = {owner: node.index for node in graph.steps for owner in _owners(node)}
    made = {last[owner]: FLOAT * size for owner, size in learning.items()}
    held, gradients, found = sum(kept), 0, []
    for node in reversed(graph.steps):
        gradients += made.get(node.index, 0)
        inputs = sum(_bytes(_type(graph, e), width[e.node]) for e in node.inputs)
        passing = _made(node, width) + inputs
        forward = not held and not made.get(node.index)
        found.append(Held(alive[node.index], 0) if forward else Held(held + passing, gradients))
        held -= kept[node.index]
    return found


def _kept(node: Node, kept: Kept, bases: Sequence[int], cast: Collection[int]) -> set[Edge]:
    """The inputs and outputs that a node keeps as they are, each as what makes its bytes."""
    found = {Edge(node.index, output) for output in kept.outputs}
    for i in set(kept.inputs) - set(cast):
        edge = node.given[i]
        if edge is not None:
            base = bases[edge.node]
            found.add(edge if base == edge.node else Edge(base))
    return found
