"""Tree → Graph: the ops in the order they are computed, with absolute paths, edges and scopes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import networkx as nx

from archspec.expand.graph import Edge, Graph, Node, Scope
from archspec.expand.tree import Body, Copy, Instance, Occurrence, Value
from archspec.language import Filler, Init, Item
from archspec.layers.base import Layer, TensorType

Edges = dict[int, Edge]
Flow = tuple[tuple[Edge, ...], tuple["TensorType", ...], tuple["TensorType", ...]]
Facts = dict[str, object]
Chain = tuple["Init", ...]

_KINDS = {"residual": "residual", "branches": "branches"}


class _Around:
    """What holds for everything below a place of the tree: inherited, or where it stands."""

    __slots__ = ("block", "chain", "frozen", "init", "path", "scope", "shared", "training")

    def __init__(self, path: str, scope: int) -> None:
        self.path = path  # with a dot at the end, or empty
        self.scope = scope
        self.block = ""  # path of the block call
        self.training = False
        self.frozen = False
        self.chain: Chain = ()  # what is said of weights, the nearest first
        self.shared: tuple[str, str] | None = None  # path here and path of the weights
        self.init: dict[str, Mapping[str, Filler] | None] = {}  # op → what the chain says of it

    def below(self, path: str, scope: int) -> _Around:
        """The same further in."""
        found = _Around(path, scope)
        found.training, found.frozen, found.shared = self.training, self.frozen, self.shared
        found.chain, found.init, found.block = self.chain, self.init, self.block
        return found

    def with_init(self, init: Init) -> None:
        self.chain = (init, *self.chain)
        self.init = {}

    def of(self, op: str) -> Mapping[str, Filler] | None:
        """What the nearest places say of an op's weights."""
        if not self.chain:
            return None
        if op not in self.init:
            found: dict[str, Filler] = {}
            for init in reversed(self.chain):
                found.update(init.get("*", {}))
                found.update(init.get(op, {}))
            self.init[op] = found or None
        return self.init[op]


def flatten(root: Instance) -> Graph:
    """The graph of an elaborated network."""
    graph = _Flat(root).graph
    nx.freeze(graph)  # all that follows relies on it: who wants to change one takes a copy
    return graph


class _Flat:
    """One flattening."""

    def __init__(self, root: Instance) -> None:
        self.graph = Graph.of(root)
        self.nodes = self.graph.steps
        self.kinds: dict[tuple[int, ...], int] = {}  # by what a Node.kind is the same for
        self.facts: list[Facts] = []  # of each kind
        self.scopes = self.graph.scopes
        self.by_path: dict[str, int] = {}
        self.alone: dict[int, tuple[Any]] = {}  # types as tuples of one: most nodes share a few
        top = _Around("", self.scope(None, "", "network", root.block.name, None))
        if root.init is not None:
            top.with_init(root.init)
        edges: Edges = {}
        for name, value in root.inputs.items():
            assert value.type is not None
            edges[id(value)] = Edge(len(self.nodes))
            self.append(name, None, ((), (), (value.type,)), None, top)
        self.instance(root, edges, top)
        for name, out in root.outputs.items():
            values = out if isinstance(out, tuple) else (out,)
            self.graph.outputs[name] = tuple(edges[id(v)] for v in values)

    def scope(self, parent: int | None, path: str, kind: str, title: str, copy: Copy | None) -> int:
        index = len(self.scopes)
        self.scopes.append(Scope(index, parent, path.removesuffix("."), kind, title, copy))
        return index

    def instance(self, instance: Instance, edges: Edges, around: _Around) -> None:
        """The ops of a block; `edges` knows its inputs, and comes to know all its values."""
        self.body(instance.body, edges, around, {})

    def body(self, body: Body, edges: Edges, around: _Around, places: dict[int, str]) -> None:
        """`places`: where each copy of this instance stands, for `shared`."""
        for occurrence in body.items:
            item = occurrence.item
            if item.repeat is not None:
                self.repeated(occurrence, edges, around, places)
                continue
            copy = occurrence.copies[0]
            if copy is not None:
                self.copy(copy, item, edges, around, places)

    def repeated(
        self, occurrence: Occurrence, edges: Edges, around: _Around, places: dict[int, str]
    ) -> None:
        copies = [copy for copy in occurrence.copies if copy is not None]
        if occurrence.name is not None and copies:
            path = f"{around.path}{occurrence.name}"
            around = around.below(
                around.path, self.scope(around.scope, path, "repeat", occurrence.item.op, None)
            )
        for copy in copies:
            self.copy(copy, occurrence.item, edges, around, places)

    def copy(
        self, copy: Copy, item: Item, edges: Edges, around: _Around, places: dict[int, str]
    ) -> None:
        segments = copy.segments
        path = around.path + (segments[0] if len(segments) == 1 else ".".join(segments))
        places[id(copy)] = path
        if item.tap is not None or item.freeze is not None or item.init is not None:
            around = self._changed(copy, item, around)
        if copy.shared is not None:
            around = around.below(around.path, around.scope)
            around.shared = (path, places[id(copy.shared)])
        if copy.body is None and copy.instance is None and not copy.branches:
            self.node(copy, item, edges, around, path, copy.ins)
        elif copy.instance is not None:
            self.call(copy, copy.instance, edges, around, path)
        else:
            self.group(copy, item, edges, around, path, places)

    def _changed(self, copy: Copy, item: Item, around: _Around) -> _Around:
        """What an item's modifiers change for all inside."""
        found = around.below(around.path, around.scope)
        found.training = around.training or item.tap == "train"
        if copy.freeze is not None:
            found.frozen = copy.freeze
        if copy.init is not None:
            found.with_init(copy.init)
        return found

    def node(
        self,
        copy: Copy,
        item: Item,
        edges: Edges,
        around: _Around,
        path: str,
        values: Sequence[Value | None],
    ) -> None:
        """An op or a merge; None among its inputs is one that is not given."""
        assert copy.layer is not None
        index = len(self.nodes)
        inputs = tuple([edges[id(v)] for v in values if v is not None])
        ins = self.types([None if v is None else v.type for v in values])
        outs = self.types([v.type for v in copy.outs.values()])
        edges.update((id(v), Edge(index, place)) for place, v in enumerate(copy.outs.values()))
        self.append(path, copy.layer, (inputs, ins, outs), item, around)
        self.by_path[path] = index

    def types(self, types: list[Any]) -> tuple[Any, ...]:
        """As a tuple; most nodes have one type, and share it."""
        if len(types) != 1:
            return tuple(types)
        (kind,) = types
        found = self.alone.get(id(kind))
        if found is None:
            found = self.alone[id(kind)] = (kind,)
        return found

    def append(
        self, path: str, layer: Layer | None, flow: Flow, item: Item | None, around: _Around
    ) -> None:
        """The next node; `flow`: where its inputs come from, their types, those of its outputs."""
        inputs, ins, outs = flow
        key = (id(layer), *map(id, ins or outs))  # the tree has one object of all that are equal
        init = around.of(layer.op) if layer is not None and around.chain else None
        node = Node(
            len(self.nodes), path, layer, inputs, ins, outs, around.scope, item,
            self.kinds.setdefault(key, len(self.kinds)), around.training,
            self.owner(path, around), around.frozen, init,
        )  # fmt: skip
        if node.kind == len(self.facts):
            self.facts.append(_facts(node))
        facts = self.facts[node.kind]
        own = facts if node.shared is None else {**facts, "params": 0}
        self.graph.append(node, block=around.block, **own)

    def owner(self, path: str, around: _Around) -> int | None:
        """The node whose weights are used at a path, if they are another's."""
        if around.shared is None:
            return None
        here, there = around.shared
        found = self.nodes[self.by_path[there + path[len(here) :]]]
        return found.index if found.shared is None else found.shared

    def call(
        self, copy: Copy, instance: Instance, edges: Edges, around: _Around, path: str
    ) -> None:
        """A block: its own values are other than those of the same instance elsewhere."""
        scope = self.scope(around.scope, path, "block", instance.block.name, copy)
        inner = around.below(f"{path}.", scope)
        inner.block = path
        if instance.init is not None:  # a used file speaks first of what is in it, then who uses it
            inner.with_init(instance.init)
        known: Edges = {}
        for value, given in zip(instance.inputs.values(), copy.ins, strict=False):
            if given is not None:
                known[id(value)] = edges[id(given)]
        self.instance(instance, known, inner)
        outs = instance.outputs.values()
        flat = [v for out in outs for v in (out if isinstance(out, tuple) else (out,))]
        for outer, value in zip(copy.outs.values(), flat, strict=True):
            edges[id(outer)] = known[id(value)]

    def group(
        self,
        copy: Copy,
        item: Item,
        edges: Edges,
        around: _Around,
        path: str,
        places: dict[int, str],
    ) -> None:
        merges = item.op in _KINDS
        named = bool(copy.segments)
        if not named and copy.merged is not None:
            path = f"{around.path}{copy.merged}"
        inner = around
        if named or (merges and copy.merged is not None):
            scope = self.scope(around.scope, path, _KINDS.get(item.op, "group"), item.op, copy)
            inner = around.below(f"{path}." if named else around.path, scope)
        if copy.body is not None:
            self.body(copy.body, edges, inner, places)
        if copy.shortcut is not None:
            self.body(copy.shortcut, edges, inner, places)
        for branch in copy.branches:
            self.branch(branch, edges, inner, places)
        if copy.layer is not None:
            self.node(copy, item, edges, inner, path, self.merged(copy))

    def branch(self, branch: Body, edges: Edges, around: _Around, places: dict[int, str]) -> None:
        if branch.segment is None:
            self.body(branch, edges, around, places)
            return
        path = f"{around.path}{branch.segment}"
        scope = self.scope(around.scope, path, "branch", branch.segment, None)
        self.body(branch, edges, around.below(f"{path}.", scope), places)

    @staticmethod
    def merged(copy: Copy) -> list[Value]:
        """The inputs of a merge, in order: concat puts the shortcut first."""
        if copy.branches:
            return [b.output for b in copy.branches if b.output is not None]
        assert copy.body is not None
        main = copy.body.output
        short = copy.ins[0] if copy.shortcut is None else copy.shortcut.output
        assert main is not None
        assert short is not None
        concat = copy.layer is not None and copy.layer.op == "concat"
        return [short, main] if concat else [main, short]


def _facts(node: Node) -> Facts:
    """What the attributes of all nodes of a kind say."""
    return {
        "op": node.op,
        "shape": node.outs[0].shape,
        "dtype": node.outs[0].dtype,
        "params": sum(weight.size for weight in node.weights() if not weight.buffer),
        "macs": 0 if node.layer is None else node.layer.macs(node.ins, node.outs),
    }
