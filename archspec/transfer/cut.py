"""Program, node → the smaller program that ends there, and whose weights its own are.

    alexnet, "classifier.1"     →  input  n1 conv … n18 relu        n1.weight: features.0.weight, …

The graph is cut, not the text: the ops that the node needs are written as one plain list, as
`archspec expand` shows them. So each node can be reached, inside blocks and Sequentials too, and
what is behind it is neither built nor computed.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import networkx as nx

from archspec import network
from archspec.text.words import did_you_mean
from archspec.train.errors import TrainError
from archspec.train.sets import main
from archspec.weights.names import under

if TYPE_CHECKING:
    from archspec.expand.graph import Edge, Graph, Node
    from archspec.layers.base import TensorType
    from archspec.network import Program

CODES = "codes"


class Cut(NamedTuple):
    """A network up to a node. `names`: of its weights, by name, those of the whole network."""

    program: Program
    node: str
    names: Mapping[str, str]

    @property
    def out(self) -> TensorType:
        """What the node gives."""
        graph = self.program.graph
        ((edge,),) = graph.outputs.values()
        return graph.steps[edge.node].outs[edge.output]


class Taps(NamedTuple):
    """A network up to several nodes, which it gives by path. `names` as of a Cut."""

    program: Program
    nodes: tuple[Node, ...]
    names: Mapping[str, str]

    def out(self, number: int) -> str:
        """What the network calls the output that the node of a number gives."""
        return f"n{self.nodes[number].index}"


def cut(program: Program, at: str = CODES) -> Cut:
    """The network up to a node: `at` as in `found`. Raises TrainError."""
    node = found(program, at)
    made, names = _ending(program, (node,), {})
    return Cut(made, node.path, names)


def tapped(program: Program, at: Collection[str]) -> Taps:
    """The network up to several nodes, `at` as in `found`: ops or blocks. Raises TrainError."""
    nodes = tuple(dict.fromkeys(found(program, one) for one in at))
    source = next((node for node in nodes if node.layer is None), None)
    if source is not None:
        message = f"`{source.path}` is an input of `{program.name}`"
        raise TrainError("E840", message, "name a node that computes something")
    outputs = {f"n{node.index}": f"n{node.index}" for node in nodes}
    made, names = _ending(program, nodes, {"outputs": outputs})
    return Taps(made, nodes, names)


def _ending(
    program: Program, nodes: Collection[Node], outputs: Mapping[str, Any]
) -> tuple[Program, Mapping[str, str]]:
    """The network that ends in some nodes, and the names of its weights in the whole."""
    graph = program.graph
    needed = {node.path for node in nodes}.union(*(nx.ancestors(graph, n.path) for n in nodes))
    kept = [step for step in graph.steps if step.path in needed]
    owners: dict[int, Node] = {}  # by node that owns weights: the first that computes with them
    for step in kept:
        owners.setdefault(step.index if step.shared is None else step.shared, step)
    writer = _Writer(graph, owners)
    document = {
        "spec": 1,
        "name": f"{program.name}_cut",
        "input": _inputs([step for step in kept if step.layer is None]),
        "body": [writer.item(step) for step in kept if step.layer is not None]
        or [{"id": "output", "identity": {}}],
        **outputs,
    }
    text = json.dumps(document, indent=1)
    ends = " and ".join(node.path for node in nodes)
    return network.loads(text, name=f"{program.name} up to {ends}"), writer.names


def found(program: Program, at: str) -> Node:
    """The node that `at` names: `codes`, an op, or a block or group, which ends in its last op.

    Raises TrainError.
    """
    if at == CODES:
        return before_head(program)
    graph = program.graph
    if at in graph:
        node = graph.at(at)
    else:
        inside = [step for step in graph.steps if under(step.path, (at,)) and not step.training]
        if not inside:
            known = [CODES, *graph, *(scope.path for scope in graph.scopes if scope.path)]
            help = did_you_mean(at, known) or "`archspec expand` shows the names of all nodes"
            raise TrainError("E840", f"`{program.name}` has no node `{at}`", help)
        node = inside[-1]
    if node.training:
        message = f"`{at}` is computed in training only"
        raise TrainError("E840", message, "name a node that evaluation computes")
    return node


def before_head(program: Program) -> Node:
    """The last activation before the `head`: what flows into it, behind dropout and the like.

    Of several heads, that of the output that counts. Without a `head` in the spec it is the last
    op with weights that is taken for it. Raises TrainError.
    """
    first = _head(program)
    if first is None or not first.inputs:
        message = f"`{program.name}` has no head, before which codes could be"
        raise TrainError("E840", message, "say `head` in the spec, or name a node: at=…")
    steps = program.graph.steps
    node = steps[first.inputs[0].node]
    while node.layer is not None and (node.layer.asleep or node.op == "identity"):
        node = steps[node.inputs[0].node]
    return node


def _head(program: Program) -> Node | None:
    """The first op of the head, on the way to the output that counts."""
    graph = program.graph
    end = graph.steps[graph.outputs[main(program)][0].node].path
    way = nx.ancestors(graph, end) | {end}
    steps = [step for step in graph.steps if step.path in way]
    heads = [step for step in steps if under(step.path, program.spec.head)]
    if heads or program.spec.head:
        return next(iter(heads), None)
    return next((step for step in reversed(steps) if step.weights()), None)


def _inputs(nodes: Collection[Node]) -> Any:
    """As `input` of a spec."""
    said = {
        node.path: {"shape": list(node.outs[0].shape), "dtype": node.outs[0].dtype}
        for node in nodes
    }
    return said.get("input", said)


class _Writer:
    """Nodes → items of a body."""

    def __init__(self, graph: Graph, owners: Mapping[int, Node]) -> None:
        self.graph, self.owners = graph, owners
        self.names: dict[str, str] = {}

    def item(self, node: Node) -> dict[str, Any]:
        """An item that computes what a node does. Its weights are noted in `names`."""
        said: dict[str, Any] = {"id": f"n{node.index}"}
        taken = self._taken(node)
        if taken:
            said["from"] = taken
        number = node.index if node.shared is None else node.shared
        owner = self.owners[number]
        if owner is not node:
            return {**said, "shared": f"n{owner.index}"}
        theirs = self.graph.steps[number].path
        for weight in node.weights():
            end = f".{weight.name}" if weight.name else ""
            self.names[f"n{node.index}{end}"] = f"{theirs}{end}"
        return {**said, node.op: _arguments(node)}

    def _taken(self, node: Node) -> Any:
        assert node.layer is not None
        slots = [None if edge is None else self._source(edge) for edge in node.given]
        if None not in slots:
            return slots
        takes = [name.rstrip("?") for name in node.layer.takes]
        return {name: source for name, source in zip(takes, slots, strict=False) if source}

    def _source(self, edge: Edge) -> str:
        node = self.graph.steps[edge.node]
        if node.layer is None:
            return "input" if node.path == "input" else node.path
        name = f"n{node.index}"
        return name if len(node.outs) == 1 else f"{name}.{node.layer.gives[edge.output]}"


def _arguments(node: Node) -> dict[str, Any]:
    """Those that are not the defaults."""
    assert node.layer is not None
    fields = type(node.layer).model_fields
    return {
        name: value
        for name, value in node.layer.values().items()
        if fields[name].is_required() or value != fields[name].default
    }
