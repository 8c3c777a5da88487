"""Instance → steps: what its ops are made as, called with, and who else's weights they use.

    - {id: conv, conv: {out: 8, kernel: 1}}    Step("conv", Kind(nn.Conv2d(3, 8, 1), self(x0)))
    - residual: [Unit]                         Step("unit1", instance), Step("residual1", x0 + x1)

Paths are relative to the instance: it is the same wherever it is called.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from archspec.emit.proof.made import Leaf
from archspec.emit.proof.terms import Refused, frozen
from archspec.expand.tree import Body, Copy, Instance, Value
from archspec.expressions.sym import parsed
from archspec.language import Init, Item
from archspec.layers.base import MISSING, Call, Layer, TensorType, Weight

if TYPE_CHECKING:
    from archspec.expand.running import Elsewhere


class Kinds:
    """What the types and layers of a tree are, each kind of op once: as they stand in it.

    Of a tree whose sizes remember: what they are where these have the sizes of `there`.
    """

    def __init__(self, there: Elsewhere | None = None) -> None:
        self.there = there
        self._known: dict[Any, Kind] = {}  # those met last
        self._calls: dict[Call, Call] = {}  # which are few, but for their arguments

    def type(self, value: Value | None) -> TensorType | None:
        """The type of a value."""
        kind = None if value is None else value.type
        return kind if kind is None or self.there is None else self.there.type(kind)

    def of(self, copy: Copy, item: Item, taken: Sequence[Value | None]) -> Kind:
        """The kind of an op or a merge that takes some values."""
        layer = copy.layer if self.there is None else self.there.layer(copy, item.op)
        assert layer is not None
        found = tuple(map(self.type, taken))
        key = (id(layer), *map(id, found))
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = Kind(layer, found)
            if not known.call.free:
                known.call = self._calls.setdefault(known.call, known.call)
            if len(self._known) > _KINDS:
                del self._known[next(iter(self._known))]
        return known


_KINDS = 256  # that are kept: more are hardly met again
_WHOLE, _NONE = (None,), MappingProxyType[str, Any]({})  # of most kinds: one object for all


class Kind:
    """The torch code of a layer on inputs of some types."""

    __slots__ = (
        "_fit",
        "_kinds",
        "_module",
        "_weights",
        "alone",
        "beside",
        "call",
        "forward",
        "free",
        "function",
        "layer",
        "results",
    )  # fmt: skip

    def __init__(self, layer: Layer, kinds: tuple[Any, ...]) -> None:
        self.layer, self._kinds = layer, kinds
        self.call = replace(layer.call(*kinds), args=())  # what asks for these asks once (`fits`)
        self.function: Call | None = layer.function(*kinds)  # the same without a module
        self.forward = None if self.call.forward == "self(x0)" else parsed(self.call.forward)
        self.alone = None if self.call.alone is None else parsed(self.call.alone)
        self.beside = None if self.call.beside is None else parsed(self.call.beside[1])
        self.results: Sequence[ast.expr | None] = _WHOLE
        if self.call.results != ("r",):
            self.results = [None if r == "r" else parsed(r) for r in self.call.results]
        self.free: Mapping[str, Any] = _NONE
        if self.call.free:
            self.free = {a.name or "": a.value for a in self.call.free}
        self._module: Call | None = None
        self._weights: tuple[Weight, ...] | None = None
        self._fit: tuple[Leaf | None, str] = (None, "")  # the last that was asked for

    @property
    def weights(self) -> tuple[Weight, ...]:
        """Asked for where anything is said of initial values or `freeze`."""
        if self._weights is None:
            self._weights = self.layer.weights(*self._kinds)
        return self._weights

    @property
    def nothing(self) -> bool:
        """Whether it gives what it gets: then it may be left out."""
        return self.call.target == "nn.Identity"

    @property
    def needed(self) -> bool:
        """Whether there has to be a module."""
        return self.call.target is not None and self.function is None and not self.nothing

    def fits(self, leaf: Leaf) -> str:
        """Whether a member is what the layer is made as: "call", "module" (for a chain) or ""."""
        if self._fit[0] is not leaf:
            self._fit = leaf, self._fits(leaf)
        return self._fit[1]

    def _fits(self, leaf: Leaf) -> str:
        calls = (self.layer.call, self.layer.anywhere)
        if any(_equal(leaf, call(*self._kinds)) for call in calls):
            return "call"
        if self._module is None:
            self._module = self.layer.module(*self._kinds)
        return "module" if _equal(leaf, self._module) else ""


def _equal(leaf: Leaf, call: Call) -> bool:
    """Whether a module is made with the target and the arguments of a call."""
    made = (leaf.target, leaf.wrap, leaf.persistent)
    if made != (call.target, call.wrap, call.persistent):
        return False
    by_place = [a for a in call.args if a.name is None]
    by_name = {a.name: a for a in call.args if a.name is not None}
    if len(leaf.values) > len(by_place) or not by_name.keys() >= leaf.kwargs.keys():
        return False
    given = [*leaf.values, *(a.default for a in by_place[len(leaf.values) :])]
    pairs = [*zip(by_place, given, strict=True)]
    pairs += [(a, leaf.kwargs.get(name or "", a.default)) for name, a in by_name.items()]
    return all(value is not MISSING and frozen(value) == frozen(a.value) for a, value in pairs)


@dataclass(frozen=True, slots=True)
class Around:
    """What items say of all that is inside."""

    training: bool = False
    freeze: bool | None = None
    inits: tuple[Init, ...] = ()
    shared: tuple[str, str] | None = None  # path here and path of the weights


_NOTHING = Around()


@dataclass(slots=True, eq=False)
class Step:
    """An op, a merge or a block call of an instance.

    `path` is where it stands in the instance, `owner` where its weights are. `freeze` and `inits`
    are what items around it say, within the instance.
    """

    path: str
    owner: str
    copy: Copy
    item: Item
    kind: Kind | None  # of an op
    taken: Sequence[Value | None]
    around: Around


class Plan:
    """An instance as steps in order, with paths relative to it."""

    def __init__(self, instance: Instance, kinds: Kinds) -> None:
        self.instance, self.kinds = instance, kinds
        self.steps: list[Step] = []
        self.leaves: dict[str, Step] = {}  # by the path of what has no other's weights
        self.calls: dict[str, Step] = {}
        self.places: dict[Copy, str] = {}  # while it is made
        self.owners: dict[str, str] = {}  # of those with another's weights
        self.ties: dict[str, str] = {}  # paths of weights by those of the ops that use them
        self._body(instance.body, "", _NOTHING)
        self.places.clear()

    @property
    def says(self) -> bool:
        """Whether anything is said of weights here."""
        return bool(self.instance.init) or any(
            step.around is not _NOTHING and (step.around.inits or step.around.freeze is not None)
            for step in self.steps
        )

    @contextmanager
    def named(self) -> Iterator[None]:
        """What is refused here is said of the block, at the place of the item."""
        try:
            yield
        except Refused as refused:
            if not refused.whose:
                refused.whose = self.instance.block.name
                step = self.leaves.get(refused.path) or self.calls.get(refused.path)
                refused.loc = None if step is None else step.item.key
            raise

    def _body(self, body: Body, prefix: str, around: Around) -> None:
        for occurrence in body.items:
            for copy in occurrence.copies:
                if copy is not None:
                    self._copy(copy, occurrence.item, prefix, around)

    def _copy(self, copy: Copy, item: Item, prefix: str, around: Around) -> None:
        path = self.places[copy] = prefix + ".".join(copy.segments)
        if item.tap == "train" or copy.shared or copy.init is not None or copy.freeze is not None:
            around = self._around(copy, item, path, around)
        if copy.instance is None and copy.group:
            self._group(copy, item, prefix, path, around)
        else:
            self._step(copy, item, path, around)

    def _around(self, copy: Copy, item: Item, path: str, around: Around) -> Around:
        return Around(
            around.training or item.tap == "train",
            around.freeze if copy.freeze is None else copy.freeze,
            around.inits if copy.init is None else (*around.inits, copy.init),
            around.shared if copy.shared is None else (path, self.places[copy.shared]),
        )

    def _group(self, copy: Copy, item: Item, prefix: str, path: str, around: Around) -> None:
        inner = f"{path}." if copy.segments else prefix
        for body in copy.parts():
            self._body(body, inner if body.segment is None else f"{inner}{body.segment}.", around)
        if copy.layer is not None:
            name = path if copy.merged is None else prefix + copy.merged
            self._step(copy, item, name, around)

    def _step(self, copy: Copy, item: Item, path: str, around: Around) -> None:
        owner = path
        if around.shared is not None:
            here, there = around.shared
            owner = there + path[len(here) :]
            owner = self.owners[path] = self.owners.get(owner, owner)
        taken: Sequence[Value | None] = copy.ins if copy.instance else copy.taken()
        an_op = copy.layer is not None and copy.instance is None
        kind = self.kinds.of(copy, item, taken) if an_op else None
        step = Step(path, owner, copy, item, kind, taken, around)
        self.steps.append(step)
        if owner == path and copy.tied is not None:
            self.ties[path] = ".".join(copy.tied)
        if owner == path:
            (self.leaves if copy.instance is None else self.calls)[path] = step
