"""The expanded network as a graph: one node an op, in the order they are computed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from archspec.expand.tree import Copy, Instance
    from archspec.language import Filler, Item
    from archspec.layers.base import Layer, TensorType, Weight
    from archspec.text.faults import Fault


@dataclass(frozen=True, slots=True)
class Edge:
    """Where a node's input comes from: output `output` (0-based) of node `node`."""

    node: int
    output: int = 0


@dataclass(slots=True, eq=False)
class Node:
    """One computed op. Inputs of the network are nodes too (layer None)."""

    index: int
    path: str  # unique; prefix of its weights' names
    layer: Layer | None
    inputs: tuple[Edge, ...]
    ins: tuple[TensorType, ...]
    outs: tuple[TensorType, ...]
    scope: int  # index of the scope it stands in
    item: Item | None
    training: bool = False  # computed in training only (under `tap: train`)
    shared: int | None = None  # the node whose weights it uses
    frozen: bool = False
    init: Mapping[str, Filler] | None = None  # by "weight" and "bias", where the spec says anything


@dataclass(slots=True, eq=False)
class Scope:
    """A node of the tree of blocks and copies, for tables with `--depth` and for diagrams."""

    index: int
    parent: int | None
    path: str
    kind: str  # network block group residual branches branch repeat
    title: str  # "Bottleneck", "sequential", …
    copy: Copy | None = None


@dataclass(slots=True, eq=False)
class Graph:
    """The whole network: tree and graph."""

    root: Instance
    steps: list[Node]  # every op, in the order they are computed
    scopes: list[Scope]
    outputs: dict[str, tuple[Edge, ...]]  # by output name
    training_outputs: frozenset[str]
    free_axes: dict[str, int]  # name -> size used by tables and checks
    warnings: tuple[Fault, ...] = ()  # what expanding found odd

    def weights(self) -> Iterator[tuple[str, Weight, Node]]:
        """Every parameter and buffer by its full name, with the node it belongs to, in order."""
        for node in self.steps:
            if node.layer is None or node.shared is not None:
                continue
            for weight in node.layer.weights(*node.ins):
                yield f"{node.path}.{weight.name}" if weight.name else node.path, weight, node
