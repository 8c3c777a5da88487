"""Graph → Element: the tree of what the author wrote, every copy in place, over the graph's nodes.

The graph's scopes leave out what has no name (a repeated group without an id); figures need it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from archspec.expand.graph import Graph
    from archspec.expand.tree import Body, Copy, Instance, Occurrence


@dataclass(slots=True, eq=False)
class Element:
    """A leaf is one node; any other holds the nodes of its children, which are neighbours.

    `kind`: node, input, network, block, group, residual, branches, path (one path of the two last),
    repeat (its children are copies of one item). `path`: the scope's, None where there is no name.
    `title`: the block's or op's name. `id`: whether the author named it.
    """

    kind: str
    title: str
    path: str | None
    start: int
    stop: int = -1  # one past the last node
    children: list[Element] = field(default_factory=list)
    copy: Copy | None = None
    id: bool = False

    @property
    def nodes(self) -> range:
        return range(self.start, self.stop)

    @property
    def instance(self) -> Instance | None:
        return self.copy.instance if self.copy is not None else None

    def walk(self) -> Iterator[Element]:
        """Itself and all below, parents first."""
        stack = [self]
        while stack:
            element = stack.pop()
            yield element
            stack.extend(reversed(element.children))


def tree(graph: Graph) -> Element:
    """The whole network; leaves are the graph's nodes, in order."""
    return _Walk(graph).root


class _Walk:
    """Follows the order in which the graph's nodes were made."""

    def __init__(self, graph: Graph) -> None:
        self.paths = [node.path for node in graph.steps]
        root = graph.root
        self.root = Element("network", root.block.name, "", 0)
        self.at = 0
        for name in root.inputs:
            self._leaf(self.root, "input", name, None, True)
        self._body(root.body, self.root, "")
        self.root.stop = self.at
        assert self.at == len(graph.steps)

    def _leaf(self, parent: Element, kind: str, op: str, copy: Copy | None, named: bool) -> None:
        parent.children.append(
            Element(kind, op, self.paths[self.at], self.at, self.at + 1, [], copy, named)
        )
        self.at += 1

    def _open(self, parent: Element, kind: str, title: str, path: str | None) -> Element:
        element = Element(kind, title, path, self.at)
        parent.children.append(element)
        return element

    def _close(self, parent: Element, element: Element) -> None:
        element.stop = self.at
        if element.stop == element.start:  # the identity, or nothing is left of it
            parent.children.remove(element)

    def _body(self, body: Body, parent: Element, prefix: str) -> None:
        for occurrence in body.items:
            if occurrence.item.repeat is None:
                if occurrence.copies[0] is not None:
                    self._copy(occurrence.copies[0], occurrence, parent, prefix)
                continue
            path = None if occurrence.name is None else prefix + occurrence.name
            repeat = self._open(parent, "repeat", occurrence.item.op, path)
            repeat.id = path is not None
            for copy in occurrence.copies:
                if copy is not None:
                    self._copy(copy, occurrence, repeat, prefix)
            self._close(parent, repeat)

    def _copy(self, copy: Copy, occurrence: Occurrence, parent: Element, prefix: str) -> None:
        item = occurrence.item
        named = item.id is not None
        path = prefix + ".".join(copy.segments) if copy.segments else None
        inside = prefix if path is None else f"{path}."
        if copy.instance is not None:
            block = self._open(parent, "block", copy.instance.block.name, path)
            block.copy, block.id = copy, named
            self._body(copy.instance.body, block, inside)
            self._close(parent, block)
        elif copy.body is None and not copy.branches:
            assert copy.layer is not None
            self._leaf(parent, "node", copy.layer.op, copy, named)
        else:
            kind = item.op if item.op in ("residual", "branches") else "group"
            group = self._open(parent, kind, item.op, path)
            group.copy, group.id = copy, named
            self._group(copy, group, inside)
            self._close(parent, group)

    def _group(self, copy: Copy, group: Element, inside: str) -> None:
        if copy.body is not None:
            main = group if copy.shortcut is None else self._open(group, "path", "main", None)
            self._body(copy.body, main, inside)
            if main is not group:
                self._close(group, main)
        if copy.shortcut is not None:
            self._path(copy.shortcut, group, "shortcut", inside)
        for branch in copy.branches:
            self._path(branch, group, branch.segment or "branch", inside)
        if copy.layer is not None:
            self._leaf(group, "node", copy.layer.op, copy, group.id)

    def _path(self, body: Body, group: Element, title: str, inside: str) -> None:
        path = None if body.segment is None else inside + body.segment
        element = self._open(group, "path", title, path)
        self._body(body, element, inside if path is None else f"{path}.")
        self._close(group, element)
