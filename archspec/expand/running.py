"""Spec → what follows from its free axes: expanded once more, with numbers that remember.

A module is made once and runs at every size of a free axis. So what it is made of must not follow
from one: its weights, what its constructors are given, what is there and how often. What `forward`
is given may.

    input: [3, {H: 32}, {W: 32}]
    body: [{conv: {out: 4, kernel: 3}}, flatten, {linear: 10}]

    E326 `weight` of `linear` has the shape [10, 3600], which follows from the free axes `H` and `W`

    tokens: {shape: [{T: 64}], dtype: int}    slice: {stop: $(tokens.shape[0])}
    Running at the path of the slice: {"stop": T}

Of the second tree types and layers can be read at any sizes of the axes (`Elsewhere`): there are no
others to be expanded, to know what the network is at another size.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from operator import or_
from typing import Any

from archspec.expand.origin import Link
from archspec.expand.state import Env, State, Types, deeper
from archspec.expand.tree import Body, Copy, Instance, Value
from archspec.expressions import Expr, Record
from archspec.expressions.sym import (
    FAILURES,
    LengthError,
    Sym,
    evaluate,
    known,
    plain,
    remembers,
    rounds,
    written,
)
from archspec.language import Filler, Init, Item
from archspec.layers import BadArgument, Layer, TensorType, create
from archspec.text.faults import Loc
from archspec.text.words import listed

LONGEST = 300  # characters of a size; a longer one gets a name


@dataclass(frozen=True)
class Running:
    """The network with sizes that remember free axes, and what follows from these."""

    here: Instance  # with plain numbers
    root: Instance
    args: Mapping[str, Mapping[str, Any]]  # of ops, by path; some of them remember
    named: Mapping[str, Sym]  # what the names in sizes are, beside axes; each sees those before

    def at(self, path: str, axes: Mapping[str, int]) -> dict[str, Any]:
        """The arguments of the op at a path where the axes have these sizes.

        One of sym.FAILURES where they have no value.
        """
        names = self.names(axes)
        return {name: _worth(value, names) for name, value in self.args[path].items()}

    @cached_property
    def follow(self) -> dict[str, list[str]]:
        """By axis, the paths of the ops whose arguments follow from it."""
        axes: dict[str, set[str]] = {}  # by name of a size
        for name, size in self.named.items():
            axes[name] = set().union(*(axes.get(n, {n}) for n in _names(size)))
        found: dict[str, list[str]] = {}
        for path, args in self.args.items():
            names = _names([value for value in args.values() if remembers(value)])
            for axis in set().union(*(axes.get(n, {n}) for n in names)):
                found.setdefault(axis, []).append(path)
        return found

    def names(self, axes: Mapping[str, int]) -> dict[str, int]:
        """What the names in sizes are where the axes have these; one of sym.FAILURES."""
        names = dict(axes)
        for name, size in self.named.items():
            names[name] = size.worth(names)
        return names

    @cached_property
    def axes(self) -> dict[int, tuple[bool, ...]]:
        """Which axes of the values of `here` follow from a free one, by the id of the value."""
        found: dict[int, tuple[bool, ...]] = {}
        for value, remembering in _pairs(self.here, self.root):
            if value.type is not None and remembering.type is not None:
                follow = map(remembers, remembering.type.shape)
                before = found.get(id(value), (False,) * value.type.rank)
                found[id(value)] = tuple(map(or_, before, follow))
        return found


class Elsewhere:
    """The network where its free axes have other sizes, which it accepts: `axes`."""

    def __init__(self, running: Running, axes: Mapping[str, int]) -> None:
        self.root, self.axes = running.root, axes
        self._names = running.names(axes)
        self._types: dict[int, TensorType] = {}
        self._layers: dict[int, Layer] = {}

    def type(self, kind: TensorType) -> TensorType:
        """A type of the tree, as it is there: the same object for the same."""
        found = self._types.get(id(kind))
        if found is None:
            found = kind
            if remembers(kind.shape):
                found = kind.like([_worth(n, self._names) for n in kind.shape])
            self._types[id(kind)] = found
        return found

    def layer(self, copy: Copy, op: str) -> Layer | None:
        """The layer of a copy of the tree, which is an `op`, as it is there."""
        if copy.layer is None or not any(map(remembers, copy.args.values())):
            return copy.layer
        found = self._layers.get(id(copy.layer))
        if found is None:
            args = {name: _worth(value, self._names) for name, value in copy.args.items()}
            found = self._layers[id(copy.layer)] = create(op, args)
        return found


def _worth(value: Any, names: Mapping[str, int]) -> Any:
    if isinstance(value, dict):
        return {name: _worth(v, names) for name, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_worth(v, names) for v in value]
    return plain(evaluate(written(value), names)) if known(value) else value


class Symbolic(State):
    """An expansion in which the sizes of free axes remember that they are."""

    def __init__(self, first: State) -> None:
        """`first` is the expansion with plain numbers."""
        super().__init__(first.limits, untrained=first.untrained)
        self.plans = first.plans
        self.axes: dict[str, int] = {}
        self.named: dict[str, Sym] = {}
        self._kinds: dict[tuple[object, ...], TensorType] = {}  # by their sizes' terms
        self._names: dict[tuple[object, ...], str] = {}  # by the terms of a size
        self.follows = False  # whether any op has an argument that follows from a free axis

    def size(self, axis: str, size: int) -> int:
        self.axes[axis] = size
        return Sym.of(axis, size)

    # ------------------------------------------------------------ equal numbers of other origin

    def canonical(self, kind: TensorType) -> TensorType:
        if not remembers(kind.shape):
            return super().canonical(kind)
        shape = tuple(self._short(n) if isinstance(n, Sym) else n for n in kind.shape)
        key = (kind, *(tuple(n.terms.items()) if isinstance(n, Sym) else n for n in shape))
        return self._kinds.setdefault(key, kind.like(shape))

    def _short(self, size: Sym) -> Sym:
        """The size, under a name of its own where it is long: Python reads no text without end."""
        if sum(map(len, size.terms)) <= LONGEST:
            return size
        name = self._names.setdefault(tuple(size.terms.items()), f"_{len(self.named)}")
        self.named[name] = size
        return Sym.of(name, int(size))

    def layer(self, op: str, args: Mapping[str, Any], item: Item, loc: Loc | None = None) -> Layer:
        if not any(map(remembers, args.values())):
            return super().layer(op, args, item, loc)
        self.follows = True
        try:
            found = create(op, args)
        except BadArgument:  # it takes words, and no words that remember
            found = super().layer(op, {k: plain(v) for k, v in args.items()}, item, loc)
        for name, value in args.items():
            if not remembers(found.values().get(name)):
                self._fixed(f"`{name}` of `{op}`", value, item.key)
        return found

    def _small(self, *_: Any) -> None:
        """The limits were kept when the network was expanded with plain numbers."""

    # ------------------------------------------------------------ what may not follow

    def expression(self, expr: Expr, env: Mapping[str, Any], loc: Loc) -> Any:
        if not any(_running(env.get(name)) for name in expr.names):
            return super().expression(expr, env, loc)
        try:
            found = evaluate(expr.tree, env)
            chooses = None if remembers(found) else _chooses(expr.tree, env)
        except LengthError as length:
            found, chooses = super().expression(expr, env, loc), length.decides
        except FAILURES:
            return super().expression(expr, env, loc)
        if chooses is not None:
            self._fixed(f"`$({expr.text})`", chooses, loc)
        return found

    def steady(self, what: str, value: Any, loc: Loc) -> None:
        self._fixed(what, value, loc, "decide by a param, or ")

    def condition(self, item: Item, field: str, env: Env) -> bool | None:
        value = getattr(item, field)
        if not isinstance(value, Expr) or not any(_running(env.get(n)) for n in value.names):
            return super().condition(item, field, env)
        found = self.expression(value, env, deeper(item.loc, field))
        self._fixed(f"`{field}`", found, deeper(item.loc, field), "decide by a param, or ")
        return bool(plain(found))

    def enter(self, link: Link) -> None:
        item = link.item
        for name, value in (link.args or {}).items():
            given = Loc(item.loc.file, (*item.given, name), span=item.loc.span)
            loc = given if name in item.args else item.key
            inside = "read the size in the block, where it is used, or "
            self._fixed(f"`{name}` of `{item.said}`", value, loc, inside)
        super().enter(link)

    def fillers(self, init: Init | None, env: Env) -> Init | None:
        found = super().fillers(init, env)
        fillers: list[Filler] = [f for by in (found or {}).values() for f in by.values()]
        for filler in fillers:
            for name, value in filler.args.items():
                self._fixed(f"`{name}` of `init`", value, filler.loc)
        return found

    def infer(self, layer: Layer, types: Types, loc: Loc) -> tuple[TensorType, ...]:
        new = (id(layer), *map(id, types)) not in self.inferred
        found = super().infer(layer, types, loc)
        if new:
            self._made(layer, types, loc)
        return found

    def _made(self, layer: Layer, types: Types, loc: Loc) -> None:
        """What a layer is made of: its weights, and what its constructor is given."""
        for weight in layer.weights(*types):
            if remembers(weight.shape):
                shape = list(map(int, weight.shape))
                name = f"`{weight.name}` of `{layer.op}`" if weight.name else f"`{layer.op}`"
                what = f"{name} has the shape {shape}, which"
                self._fixed(what, weight.shape, loc, _REMEDIES.get(layer.op, ""), layer.op)
                return
        call = layer.call(*types)
        if not any(remembers(arg.value) for arg in call.args) or layer.function(*types):
            return
        for arg in call.args:
            own = [name for name, value in layer.values().items() if remembers(value)]
            self._fixed(f"`{(*own, arg.name)[0]}` of `{layer.op}`", arg.value, loc)

    def _fixed(self, what: str, value: Any, loc: Loc, before: str = "", op: str = "") -> None:
        """Notes that `what` cannot be `value`, where that remembers a free axis."""
        if not remembers(value):
            return
        names = _names(value)
        for name, size in reversed(self.named.items()):
            names |= _names(size) if name in names else set()
        axes = [axis for axis in self.axes if axis in names]
        several = "es" if len(axes) > 1 else "is"
        message = f"{what} follows from the free ax{several} {listed(axes)}"
        if not op:
            message += ", and is fixed when the module is made"
        fixes = listed([f"{self.axes[a]}` in place of `{{{a}: {self.axes[a]}}}" for a in axes])
        help = f"{before}fix the ax{several} of the input: {fixes}"
        self.fault("E326", message, loc, help, cause=(message,))


def _names(value: Any) -> set[str]:
    return {n.id for n in ast.walk(written(value)) if isinstance(n, ast.Name)}


_REMEDIES = {
    "linear": "take the axes away before it (`global_avg_pool`, `adaptive_avg_pool`), or ",
    "parameter": "make it as large as the largest input and `slice` it, or ",
    "constant": "make it as large as the largest input and `slice` it, or ",
    "batch_norm": "put the channels on axis 0 (`permute`), or ",
    "layer_norm": "normalise another `axis`, or ",
}


def _running(value: Any) -> bool:
    """Whether what an expression reads remembers a free axis."""
    return remembers(value.shape) if isinstance(value, Record) else known(value)


def _chooses(tree: ast.expr, env: Mapping[str, Any]) -> Any:
    """What decides in an expression which of several values it is, and follows from a free axis."""
    nodes = [tree]
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.ListComp):  # what is inside of it sees more
            nodes.append(node.generators[0].iter)
            decides = [_chooses(node.elt, inner) for inner in rounds(node, env)]
            if remembers(decides):
                return decides
            continue
        nodes += [child for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr)]
        if isinstance(node, ast.IfExp):
            decides = evaluate(node.test, env)
        elif isinstance(node, ast.Subscript) and not isinstance(node.slice, ast.Slice):
            decides = evaluate(node.slice, env)
        else:
            continue
        if remembers(decides):
            return decides
    return None


# ---------------------------------------------------------------- where


def running(root: Instance, again: Instance, state: Symbolic) -> Running:
    """The network as `again` knows it; marks the ops of `root` with arguments that follow."""
    args = {}
    pairs = zip(_ops(root.body), _ops(again.body), strict=True) if state.follows else ()
    for (path, copy), (_, symbolic) in pairs:
        if any(map(remembers, symbolic.args.values())):
            copy.running, args[path] = True, symbolic.args
    return Running(root, again, args, state.named)


def _pairs(root: Instance, again: Instance) -> Iterator[tuple[Value, Value]]:
    """The values of a tree, each with what it is in another tree of the same network."""
    stack, seen = [(root, again)], set()
    while stack:
        one, other = stack.pop()
        if (id(one), id(other)) in seen:
            continue
        seen.add((id(one), id(other)))
        yield from zip(one.inputs.values(), other.inputs.values(), strict=True)
        bodies = [(one.body, other.body)]
        while bodies:
            for a, b in zip(*(body.copies() for body in bodies.pop()), strict=True):
                yield from zip(a.outs.values(), b.outs.values(), strict=True)
                bodies += zip(a.parts(), b.parts(), strict=True)
                if a.instance is not None and b.instance is not None:
                    stack.append((a.instance, b.instance))


def _ops(body: Body, around: str = "") -> Iterator[tuple[str, Copy]]:
    """The ops of a body by path, at any depth."""
    for copy in body.copies():
        path = around + ".".join(copy.segments)
        if copy.instance is not None:
            yield from _ops(copy.instance.body, f"{path}.")
        elif copy.group:
            inside = f"{path}." if copy.segments else around
            for part in copy.parts():
                segment = "" if part.segment is None else f"{part.segment}."
                yield from _ops(part, inside + segment)
        else:
            yield path, copy
