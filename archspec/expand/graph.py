"""The expanded network as a networkx graph: one node an op, in the order they are computed.

Nodes are keyed by path, edges by the slot of the input that they fill: one value may be read twice.

    input: [3]
    body: [{id: a, linear: 4}, {id: b, add: [a, a]}]

    list(graph)                     ['input', 'a', 'b']
    list(graph.edges(keys=True))    [('input', 'a', 0), ('a', 'b', 0), ('a', 'b', 1)]
    graph.nodes['a']['params']      16

So whatever networkx knows of directed graphs can be asked of a network as it is. Graphs that
networkx makes of this one (subgraphs, reversals, copies) have its nodes and edges, with all their
attributes; `steps` and what else stands below is the whole network's alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import networkx as nx

from archspec.layers.base import TIED

if TYPE_CHECKING:
    from archspec.expand.running import Running
    from archspec.expand.tree import Copy, Instance
    from archspec.language import Filler, Item
    from archspec.layers.base import Layer, TensorType, Weight
    from archspec.text.faults import Fault

    Directed = nx.MultiDiGraph[str]
else:
    Directed = nx.MultiDiGraph  # takes no parameters when the program runs


@dataclass(frozen=True, slots=True)
class Edge:
    """Where a node's input comes from: output `output` (0-based) of node `node`."""

    node: int
    output: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """One computed op. Inputs of the network are nodes too (layer None)."""

    index: int
    path: str  # unique; prefix of its weights' names
    layer: Layer | None
    inputs: tuple[Edge, ...]
    ins: tuple[TensorType, ...]
    outs: tuple[TensorType, ...]
    scope: int  # index of the scope it stands in
    item: Item | None = field(repr=False)
    kind: int  # index of its kind: the same for the same layer on inputs of the same types
    training: bool = False  # computed in training only (under `tap: train`)
    shared: int | None = None  # the node whose weights it uses
    frozen: bool = False
    tied: int | None = None  # the node whose weight it uses in place of its own
    init: Mapping[str, Filler] | None = None  # by "weight" and "bias", where the spec says anything

    @property
    def op(self) -> str:
        return "input" if self.layer is None else self.layer.op

    @property
    def given(self) -> tuple[Edge | None, ...]:
        """Where the inputs come from, in step with `ins`: None for one that is not given."""
        if len(self.inputs) == len(self.ins):
            return self.inputs
        edges = iter(self.inputs)
        return tuple(None if kind is None else next(edges) for kind in self.ins)

    @property
    def lone(self) -> bool:
        """Whether it cannot be trained on one sample by itself."""
        return self.layer is not None and not self.frozen and self.layer.lone(*self.ins)

    def weights(self) -> tuple[Weight, ...]:
        """Parameters and buffers that it computes with, its own or those of `shared`."""
        return () if self.layer is None else self.layer.weights(*self.ins)

    def untied(self) -> tuple[Weight, ...]:
        """Those of them that are not another's by `tie`."""
        return tuple(w for w in self.weights() if self.tied is None or w.name != TIED)


@dataclass(slots=True, eq=False)
class Scope:
    """A node of the tree of blocks and copies, for tables with `--depth` and for diagrams."""

    index: int
    parent: int | None
    path: str
    kind: str  # network block group residual branches branch repeat
    title: str  # "Bottleneck", "sequential", …
    copy: Copy | None = None


class Graph(Directed):
    """The whole network: a networkx.MultiDiGraph, with the tree that it was made from.

    Attributes of a node, beside the Node itself under `node`:

    - `op`: as in specs, "conv", or "input"
    - `shape`, `dtype`: of its (first) output, without the batch axis
    - `params`: learned numbers that it owns, 0 where it runs with weights of another
    - `macs`: multiply-accumulates for one sample
    - `block`: path of the block call it stands in, "" for the network itself

    Of an edge: `output`, which output (0-based) of its source; its key is the input's slot.
    """

    root: Instance
    steps: list[Node]  # every op, in the order they are computed
    kinds: list[Node]  # the first of each kind; Node.kind is an index of these
    scopes: list[Scope]
    outputs: dict[str, tuple[Edge, ...]]  # by output name
    training_outputs: frozenset[str]
    free_axes: dict[str, int]  # name -> size used by tables and checks
    running: Running | None  # what follows from free axes; None where there are none
    warnings: tuple[Fault, ...]  # what expanding found odd

    @classmethod
    def of(cls, root: Instance) -> Graph:
        """A graph for the ops of an elaborated network, empty still."""
        graph = cls(name=root.block.name)
        graph.root, graph.training_outputs = root, root.training
        graph.free_axes, graph.running = dict(root.free_axes), None
        graph.steps, graph.kinds, graph.scopes = [], [], []
        graph.outputs, graph.warnings = {}, root.warnings
        return graph

    def append(self, node: Node, **attributes: Any) -> None:
        """The op that is computed next."""
        self.steps.append(node)
        if node.kind == len(self.kinds):
            self.kinds.append(node)
        self.add_node(node.path, node=node, **attributes)
        for slot, edge in enumerate(node.given):
            if edge is not None:
                self.add_edge(self.steps[edge.node].path, node.path, slot, output=edge.output)

    def at(self, path: str) -> Node:
        """The op at a path. Raises KeyError."""
        node: Node = self.nodes[path]["node"]
        return node

    def readers(self, node: Node) -> list[Node]:
        """The ops that read an output of a node, in order."""
        return [self.at(path) for path in self.successors(node.path)]

    def weights(self) -> Iterator[tuple[str, Weight, Node]]:
        """Each tensor of the state_dict by its full name, with its node, in order."""
        for node in self.steps:
            for weight in node.untied() if node.shared is None else ():
                if weight.persistent:
                    yield f"{node.path}.{weight.name}" if weight.name else node.path, weight, node

    def ties(self) -> dict[str, str]:
        """The names of weights that are others too, and the names of these: `head.weight`."""
        found = {}
        for node in self.steps:
            if node.tied is not None:
                owner = self.steps[node.tied]
                whole = any(weight.name == "" for weight in owner.weights())
                found[f"{node.path}.{TIED}"] = owner.path if whole else f"{owner.path}.{TIED}"
        return found
