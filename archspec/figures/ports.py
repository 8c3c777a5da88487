"""Element → ports: what enters and leaves a part of the network, by its author's names.

Inside a block, its inputs and outputs are parts of their own. A value knows nothing of names: a
block's input is what the first op reads that takes it, its output what the op gives that makes it.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from archspec.figures.part import Part
from archspec.figures.tree import Element
from archspec.figures.wiring import Wiring

if TYPE_CHECKING:
    from archspec.expand.graph import Edge, Graph, Node
    from archspec.expand.tree import Value


ROOM = 20
"""Named outputs that a figure has room for."""


def outputs(graph: Graph, *, training: bool = True) -> list[tuple[str, Edge]]:
    """Name and origin of all that leaves the network, in `training` or not; of lists each entry."""
    return [
        (name, edge)
        for name, edges in graph.outputs.items()
        if training or name not in graph.training_outputs
        for edge in edges
    ]


def exits(wiring: Wiring, root: Element, inside: Collection[int]) -> list[tuple[str, int]]:
    """Name and node of all that leaves an element: of a block the names of its outputs."""
    named: dict[int, str] = {}
    if root.instance is not None:
        for name, out in root.instance.outputs.items():
            for value in out if isinstance(out, tuple) else (out,):
                source = _source(root, value) if value is not None else None
                if source is not None:
                    named[source] = name
    return [
        (named.get(index, wiring.nodes[index].path.removeprefix(f"{root.path}.")), index)
        for index in wiring.exits(sorted(inside))
    ]


def entries(wiring: Wiring, root: Element) -> dict[int, str]:
    """By node whose output enters a block, what the block calls it."""
    found: dict[int, str] = {}
    if root.instance is not None and len(root.instance.inputs) > 1:
        for name, value in root.instance.inputs.items():
            source = _reads(wiring, root, value)
            if source is not None:
                found.setdefault(source, name)
    return found


def entry(root: Element, node: Node, label: str) -> Part:
    """The part of what comes in from a node outside."""
    key = f"{root.path}←{node.path}"
    return Part(key, "input", "input", label, main=node.index, out=node.outs[0])


def exit(root: Element, node: Node, label: str) -> Part:
    """The part of what goes out."""
    key = f"{root.path}→{label}"
    return Part(key, "output", "output", label, main=node.index, out=node.outs[0])


def _reads(wiring: Wiring, root: Element, value: Value) -> int | None:
    """The node that a block's input comes from: what the first op reads that takes it."""
    for element in root.walk():
        copy = element.copy
        if element is root or copy is None or value not in copy.ins:
            continue
        place = copy.ins.index(value)
        if element.instance is not None:
            return _reads(wiring, element, list(element.instance.inputs.values())[place])
        if not element.children and copy.body is None and not copy.branches:
            edge = wiring.nodes[element.start].given[place]
            return None if edge is None else edge.node
    return None


def _source(root: Element, value: Value) -> int | None:
    """The node inside a block that gives one of its outputs."""
    for element in root.walk():
        copy = element.copy
        if element is root or copy is None:
            continue
        if value not in (copy.out, *copy.outs.values()):
            continue
        if not element.children:
            return element.start
        if element.instance is not None:
            for name, one in copy.outs.items():
                inner = element.instance.outputs.get(name)
                if one is value and inner is not None and not isinstance(inner, tuple):
                    return _source(element, inner)
    return None
