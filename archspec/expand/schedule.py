"""The ops of an expanded network in the order they are computed, and where their inputs come from.

    input: [3]                      0  input  [3]
    body: [{id: a, linear: 4},  →   1  a      [3] → [4]        from 0
           {id: b, add: [a, a]}]    2  b      [4], [4] → [4]   from 1 and 1

It is all that totals and faults need. `graph.py` makes of it what networkx can be asked of.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from archspec.layers.base import TIED

if TYPE_CHECKING:
    from archspec.expand.running import Running
    from archspec.expand.tree import Copy, Instance
    from archspec.language import Filler, Item
    from archspec.layers.base import Layer, TensorType, Weight
    from archspec.text.faults import Fault


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
    block: str = ""  # path of the block call it stands in
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


class Schedule:
    """The ops in order, with the tree that they were made from."""

    root: Instance
    steps: list[Node]  # every op, in the order they are computed
    kinds: list[Node]  # the first of each kind; Node.kind is an index of these
    scopes: list[Scope]
    outputs: dict[str, tuple[Edge, ...]]  # by output name
    training_outputs: frozenset[str]
    free_axes: dict[str, int]  # name -> size used by tables and checks
    running: Running | None = None  # what follows from free axes; None where there are none
    warnings: tuple[Fault, ...]  # what expanding found odd
    work: int = 0  # operations that expanding took

    def __init__(self, root: Instance) -> None:
        """For the ops of an elaborated network, empty still."""
        self.root, self.training_outputs = root, root.training
        self.free_axes, self.warnings = dict(root.free_axes), root.warnings
        self.steps, self.kinds, self.scopes, self.outputs = [], [], [], {}

    def append(self, node: Node) -> None:
        """The op that is computed next."""
        self.steps.append(node)
        if node.kind == len(self.kinds):
            self.kinds.append(node)

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
