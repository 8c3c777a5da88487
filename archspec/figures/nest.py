"""Graph → Nest: groups within groups, as the author named them, down to every single op.

Where the outline gathers copies until a page holds the network, a nest keeps each of them: it is
what can be walked through, group by group.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from archspec.figures.tree import Element, tree

if TYPE_CHECKING:
    from archspec.expand.graph import Graph
    from archspec.language import Block

# These are shown as what they hold: how paths part and meet is to be seen from the links.
_PATHS = frozenset({"path", "residual", "branches"})
_TRAILING = frozenset({"norm", "activation", "noise"})
_MANY = 4  # copies of an item without a name that are worth a group of their own


@dataclass(slots=True, eq=False)
class Nest:
    """A group of nodes [start, stop) that can be opened; `parts` are groups and nodes, in order.

    `key` is its path where it has one ("layer3.0"), else the paths of its first and last node. It
    is unique. `name` is what the author called it, within its surroundings; `label` what it is: a
    block's name, "Bottleneck × 36", "". `block`: what it calls, if it does.
    """

    key: str
    name: str
    label: str
    start: int
    stop: int
    parts: tuple[Nest | int, ...]
    block: Block | None = None

    def walk(self) -> Iterator[Nest]:
        """Itself and all groups below, parents first."""
        stack = [self]
        while stack:
            nest = stack.pop()
            yield nest
            stack.extend(part for part in reversed(nest.parts) if isinstance(part, Nest))


def nest(graph: Graph) -> Nest:
    """The whole network."""
    root = tree(graph)
    parts = _parts(graph, root)
    while len(parts) == 1 and isinstance(parts[0], Nest):
        parts = list(parts[0].parts)
    return Nest("", "", root.title, 0, root.stop, tuple(parts))


def _parts(graph: Graph, element: Element) -> list[Nest | int]:
    found: list[Nest | int] = []
    for child in element.children:
        if not child.children:
            found.append(child.start)
            continue
        parts = _parts(graph, child)
        if _shown(graph, child, element, parts):
            found.append(_nest(graph, child, parts))
        else:
            found.extend(parts)
    return found


def _shown(graph: Graph, element: Element, parent: Element, parts: list[Nest | int]) -> bool:
    if element.kind in _PATHS or len(parts) < 2:
        return False
    if element.kind == "block":
        return not chained(graph, parts)
    if element.kind == "repeat":
        blocks = all(child.kind == "block" for child in element.children)
        return element.path is not None or (blocks and len(element.children) >= _MANY)
    # the items of one branch stand below one another anyhow
    return element.id and parent.kind != "path" and not chained(graph, parts)


def _nest(graph: Graph, element: Element, parts: list[Nest | int]) -> Nest:
    first, last = (graph.steps[i].path for i in (element.start, element.stop - 1))
    key = f"{first}…{last}" if element.path is None else element.path
    label = _title(element)
    if element.kind == "repeat":
        titles = {_title(child) for child in element.children}
        what = titles.pop() if len(titles) == 1 else ""
        label = f"{what} × {len(element.children)}".strip()
    name = (element.path or "").rpartition(".")[2] if element.id or element.path else ""
    block = None if element.instance is None else element.instance.block
    return Nest(key, name, label, element.start, element.stop, tuple(parts), block)


def _title(element: Element) -> str:
    return element.title if element.kind == "block" else ""


def chained(graph: Graph, parts: list[Nest | int]) -> bool:
    """Whether the parts are one layer with the norm and activation behind it."""
    nodes = [part for part in parts if isinstance(part, int)]
    if len(nodes) < len(parts):
        return False
    return all(follows(graph, a, b) for a, b in pairwise(nodes))


def follows(graph: Graph, first: int, second: int) -> bool:
    """Whether an op only works on what another hands to it alone, and belongs on the same card."""
    node = graph.steps[second]
    if node.layer is None or graph.steps[first].layer is None:
        return False
    if [edge.node for edge in node.inputs] != [first] or node.layer.op == "concat":
        return False
    return node.layer.family in _TRAILING
