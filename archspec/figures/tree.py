"""Graph → Element: the tree of what the author wrote, every copy in place, over the graph's nodes.

The graph's scopes leave out what has no name (a repeated group without an id); figures need it.
`{conv: 64, id: stem}` and `{block: Stage, repeat: 2, id: layer1}` of three ops each become

    network
      input  [0, 1)   input
      node   [1, 2)   stem
      repeat [2, 8)   layer1
        block  [2, 5)   layer1.0    three nodes
        block  [5, 8)   layer1.1    three nodes

All views read this tree: `fold.py` puts what belongs together onto cards, until there are few of
them; `groups.py` keeps each copy, as what can be walked through, group by group.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import takewhile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from archspec.expand.graph import Graph
    from archspec.expand.tree import Body, Copy, Instance, Occurrence


@dataclass(slots=True, eq=False)
class Element:
    """A leaf is one node; any other holds the nodes of its children, which are neighbours.

    `kind`: node, input, network, block, group, residual, branches, path (one path of the two last),
    repeat (its children are copies of one item). `path`: the scope's, None where there is no name.
    `title`: the block's or op's name. `id`: whether the author named it. The nodes are those from
    `start` to before `stop`. `trained`: it is there in training only, other than what is around it.
    """

    kind: str
    title: str
    path: str | None
    children: list[Element] = field(default_factory=list)
    copy: Copy | None = None
    id: bool = False
    start: int = 0
    stop: int = 0
    parent: Element | None = field(default=None, repr=False)
    trained: bool = False

    def __post_init__(self) -> None:
        if self.children:
            self.start, self.stop = self.children[0].start, self.children[-1].stop

    @property
    def nodes(self) -> range:
        return range(self.start, self.stop)

    @property
    def instance(self) -> Instance | None:
        return self.copy.instance if self.copy is not None else None

    @property
    def paths(self) -> list[Element]:
        """Of branches and residuals those with something in them."""
        return [child for child in self.children if child.kind == "path"]

    @property
    def named(self) -> Element:
        """The outermost element with a path that holds the same nodes, or itself."""
        same = takewhile(lambda outer: outer.nodes == self.nodes, self.above())
        return next(reversed([outer for outer in same if outer.path]), self)

    @property
    def key(self) -> str:
        """Unique: its path where it has one ("layer3.0"), else those of its first and last node."""
        if self.path is not None:
            return self.path
        leaves = [element.path for element in self.walk() if not element.children]
        return f"{leaves[0]}…{leaves[-1]}"

    @property
    def name(self) -> str:
        """What the author called it, within its surroundings."""
        return (self.path or "").rpartition(".")[2]

    def above(self) -> Iterator[Element]:
        """What it is in, innermost first."""
        outer = self.parent
        while outer is not None:
            yield outer
            outer = outer.parent

    def walk(self) -> Iterator[Element]:
        """Itself and all below, parents first."""
        stack = [self]
        while stack:
            element = stack.pop()
            yield element
            stack.extend(reversed(element.children))

    def groups(self) -> Iterator[Element]:
        """Itself and all below that hold others, parents first."""
        return (element for element in self.walk() if element.children)


def tree(graph: Graph) -> Element:
    """The whole network; leaves are the graph's nodes, in order."""
    root = _Walk(graph).network(graph.root)
    assert root.stop == len(graph.steps)
    return grown(root)


def grown(root: Element) -> Element:
    """With every element's parent as its children say."""
    for element in root.walk():
        for child in element.children:
            child.parent = element
    return root


class _Walk:
    """Follows the order in which the graph's nodes were made."""

    def __init__(self, graph: Graph) -> None:
        self.nodes = iter(graph.steps)

    def network(self, root: Instance) -> Element:
        inputs = [self._leaf("input", name, None, True) for name in root.inputs]
        return Element("network", root.block.name, "", inputs + self._body(root.body, ""))

    def _leaf(self, kind: str, op: str, copy: Copy | None, named: bool) -> Element:
        node = next(self.nodes)
        return Element(kind, op, node.path, [], copy, named, node.index, node.index + 1)

    def _body(self, body: Body, prefix: str) -> list[Element]:
        found: list[Element] = []
        for occurrence in body.items:
            copies = [
                element
                for copy in occurrence.copies
                if copy is not None
                for element in self._copy(copy, occurrence, prefix)
            ]
            if occurrence.item.repeat is None:
                found += copies
            else:
                path = None if occurrence.name is None else prefix + occurrence.name
                named = path is not None
                found += _kept(Element("repeat", occurrence.item.op, path, copies, None, named))
        return found

    def _copy(self, copy: Copy, occurrence: Occurrence, prefix: str) -> list[Element]:
        op, named = occurrence.item.op, occurrence.item.id is not None
        path = prefix + ".".join(copy.segments) if copy.segments else None
        inside = prefix if path is None else f"{path}."
        if copy.instance is not None:
            body = self._body(copy.instance.body, inside)
            return _kept(Element("block", copy.instance.block.name, path, body, copy, named))
        if copy.body is None and not copy.branches:
            assert copy.layer is not None
            return [self._leaf("node", copy.layer.op, copy, named)]
        kind = op if op in ("residual", "branches") else "group"
        return _kept(Element(kind, op, path, self._paths(copy, inside, named), copy, named))

    def _paths(self, copy: Copy, inside: str, named: bool) -> list[Element]:
        found: list[Element] = []
        if copy.body is not None:
            main = self._body(copy.body, inside)
            found += main if copy.shortcut is None else _kept(Element("path", "main", None, main))
        if copy.shortcut is not None:
            found += self._path(copy.shortcut, "shortcut", inside)
        for branch in copy.branches:
            found += self._path(branch, branch.segment or "branch", inside)
        if copy.layer is not None:
            found.append(self._leaf("node", copy.layer.op, copy, named))
        return found

    def _path(self, body: Body, title: str, inside: str) -> list[Element]:
        path = None if body.segment is None else inside + body.segment
        children = self._body(body, inside if path is None else f"{path}.")
        return _kept(Element("path", title, path, children))


def _kept(element: Element) -> list[Element]:
    """None where nothing is left of it, as of the identity."""
    return [element] if element.children else []
