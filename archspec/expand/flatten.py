"""Tree → Schedule: ops in the order they are computed, with absolute paths, edges and scopes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from archspec.expand.schedule import Edge, Node, Schedule, Scope
from archspec.expand.tree import Body, Copy, Instance, Occurrence, Path, Value, types
from archspec.language import Init, Item

_MERGES = ("residual", "branches")


def flatten(root: Instance) -> Schedule:
    """The ops of an elaborated network."""
    return _Flat(root).schedule


class _Around(NamedTuple):
    """What holds for everything below a place of the tree: inherited, or where it stands.

    `edges` and `places` are those of the instance: they grow as its items are passed.
    """

    path: str  # with a dot at the end, or empty
    scope: int
    edges: dict[Value, Edge]  # where each value comes from
    places: dict[Copy, str]  # where each copy stands, for `shared`
    init: Init  # what is said of weights, by op
    block: str = ""  # path of the block call
    training: bool = False
    frozen: bool = False
    shared: tuple[str, str] | None = None  # path here and path of the weights


class _Flat:
    """One flattening."""

    def __init__(self, root: Instance) -> None:
        self.schedule = Schedule(root)
        self.kinds: dict[tuple[int, int, bool], int] = {}  # by what a Node.kind is the same for
        self.made: dict[str, Node] = {}  # by path, those that were looked up so far
        self.types: dict[tuple[int, ...], tuple[Any, ...]] = {}  # one object of all that are equal
        top = _Around(
            "",
            self.scope(None, "", "network", root.block.name),
            {},
            {},
            nearer({}, root.init or {}),
        )
        for name, value in root.inputs.items():
            self.node(Copy((name,), {}, (), {"output": value}, value), None, top, name)
        self.body(root.body, top)
        for name, out in root.outputs.items():
            values = out if isinstance(out, tuple) else (out,)
            self.schedule.outputs[name] = tuple(top.edges[v] for v in values)

    def scope(
        self, parent: int | None, path: str, kind: str, title: str, copy: Copy | None = None
    ) -> int:
        index = len(self.schedule.scopes)
        self.schedule.scopes.append(Scope(index, parent, path, kind, title, copy))
        return index

    def body(self, body: Body, around: _Around) -> None:
        for occurrence in body.items:
            self.occurrence(occurrence, around)

    def occurrence(self, occurrence: Occurrence, around: _Around) -> None:
        item, name = occurrence.item, occurrence.name
        if item.repeat is not None and name is not None and any(occurrence.copies):
            scope = self.scope(around.scope, around.path + name, "repeat", item.op)
            around = around._replace(scope=scope)
        for copy in occurrence.copies:
            if copy is not None:
                self.copy(copy, item, around)

    def copy(self, copy: Copy, item: Item, around: _Around) -> None:
        path = around.places[copy] = around.path + ".".join(copy.segments)
        if item.tap == "train":
            around = around._replace(training=True)
        if copy.freeze is not None:
            around = around._replace(frozen=copy.freeze)
        if copy.init is not None:
            around = around._replace(init=nearer(around.init, copy.init))
        if copy.shared is not None:
            around = around._replace(shared=(path, around.places[copy.shared]))
        if copy.instance is not None:
            self.call(copy, copy.instance, around, path)
        elif copy.group:
            self.group(copy, item, around, path)
        else:
            self.node(copy, item, around, path)

    def call(self, copy: Copy, instance: Instance, around: _Around, path: str) -> None:
        """A block: its own values are other than those of the same instance elsewhere."""
        scope = self.scope(around.scope, path, "block", instance.block.name, copy)
        edges = {
            value: around.edges[given]
            for value, given in zip(instance.inputs.values(), copy.ins, strict=True)
            if given is not None
        }
        # a used file speaks first of what is in it, then who uses it
        init = around.init if instance.init is None else nearer(around.init, instance.init)
        inner = around._replace(
            path=f"{path}.", scope=scope, edges=edges, places={}, init=init, block=path
        )
        self.body(instance.body, inner)
        for outer, value in zip(copy.outs.values(), instance.flows_out(), strict=True):
            around.edges[outer] = edges[value]

    def group(self, copy: Copy, item: Item, around: _Around, path: str) -> None:
        if copy.merged is not None:
            path = around.path + copy.merged
        if copy.segments or copy.merged is not None:
            kind = item.op if item.op in _MERGES else "group"
            around = around._replace(scope=self.scope(around.scope, path, kind, item.op, copy))
        if copy.segments:
            around = around._replace(path=f"{path}.")
        for body in copy.parts():
            inner = around
            if body.segment is not None:
                here = around.path + body.segment
                scope = self.scope(around.scope, here, "branch", body.segment)
                inner = around._replace(path=f"{here}.", scope=scope)
            self.body(body, inner)
        if copy.layer is not None:
            self.node(copy, item, around, path)

    def node(self, copy: Copy, item: Item | None, around: _Around, path: str) -> None:
        """An op, a merge or (layer None) an input of the network."""
        index, layer, taken = len(self.schedule.steps), copy.layer, copy.taken()
        inputs = tuple([around.edges[v] for v in taken if v is not None])
        for place, value in enumerate(copy.outs.values()):
            around.edges[value] = Edge(index, place)
        ins, outs = self.typed(taken), self.typed(copy.outs.values())
        init = None if layer is None else around.init.get(layer.op) or around.init.get("*") or None
        shared = self.owner(path, around)
        tied = None if copy.tied is None or shared is not None else self.tied(copy.tied, around)
        # the tree has one object of all layers that are equal
        key = (id(layer), id(ins or outs), tied is not None)
        node = Node(
            index, path, layer, inputs, ins, outs, around.scope, item,
            self.kinds.setdefault(key, len(self.kinds)), around.block, around.training,
            shared, around.frozen, tied, init,
        )  # fmt: skip
        self.schedule.append(node)

    def typed(self, values: Iterable[Value | None]) -> tuple[Any, ...]:
        """Their types, the same object for the same types: most nodes share a few."""
        found = types(values)
        return self.types.setdefault(tuple(map(id, found)), found)

    def tied(self, weight: Path, around: _Around) -> int:
        """The node that a weight of this block belongs to."""
        path = ".".join((around.block, *weight) if around.block else weight)
        own = self.at(path) or self.at(path.rpartition(".")[0])
        assert own is not None  # `tie` is held against the tree
        return own.index

    def at(self, path: str) -> Node | None:
        """The op at a path, of those made so far."""
        new = self.schedule.steps[len(self.made) :]
        self.made.update((node.path, node) for node in new)
        return self.made.get(path)

    def owner(self, path: str, around: _Around) -> int | None:
        """The node whose weights are used at a path, if they are another's."""
        if around.shared is None:
            return None
        here, there = around.shared
        found = self.at(there + path[len(here) :])
        assert found is not None  # what is shared is made alike
        return found.index if found.shared is None else found.shared


def nearer(far: Init, near: Init) -> Init:
    """What is said of weights by op, where what is nearer goes before what is farther."""
    found: Init = {}
    for op in {**far, **near}:
        before = far.get(op, far.get("*", {}))
        found[op] = {**before, **near.get("*", {}), **near.get(op, {})}
    return found
