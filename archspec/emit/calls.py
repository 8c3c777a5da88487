"""Layers and calls → constructor and forward expressions, every number explained."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from archspec.emit.conditions import Conditions, size_of
from archspec.emit.engine import Section, hints
from archspec.emit.explain import (
    Row,
    UnprovableError,
    Var,
    folded,
    holds,
    lookup,
    translate,
    value_of,
)
from archspec.emit.forward import Assign, Step
from archspec.emit.syntax import Dotted, call, literal, rebuilt
from archspec.emit.unit import Scope, plain
from archspec.expand.tree import Copy, Value
from archspec.expressions import Expr
from archspec.language import Item
from archspec.layers import create
from archspec.layers.base import MISSING, Arg, BadArgument, Call, TensorType

Apply = Callable[..., list[Var]]


@dataclass(slots=True)
class Made:
    """A member: how it is constructed (None: nothing to construct), and how forward calls it."""

    constructor: ast.expr | None
    apply: Apply
    axes: list[list[ast.expr | None]]


@lru_cache(maxsize=4096)
def _parsed(text: str) -> ast.expr:
    return ast.parse(text, mode="eval").body


@dataclass(eq=False)
class Calls(Section):
    """The part of the lowering that knows layers and signatures."""

    conditions: Conditions

    calls: dict[Any, Call] = field(default_factory=dict)
    # by the id of a Call, where only numbers can stand
    plain: dict[int, Made] = field(default_factory=dict)

    # ------------------------------------------------------------ layers

    def torch_call(self, copy: Copy, module: bool) -> Call:
        layer = copy.layer
        assert layer is not None
        types = copy.types
        key = (id(layer), module, types)
        found = self.calls.get(key)
        if found is None:
            found = self.calls[key] = layer.module(*types) if module else layer.call(*types)
        return found

    def maker(
        self,
        scope: Scope,
        item: Item,
        rows: Sequence[Row],
        copies: Sequence[Copy],
        module: bool = False,
    ) -> Made:
        """How one op or block call is made and called."""
        values = [[c.ins[j] for c in copies] for j in range(len(copies[0].ins))]
        ins = [None if vs[0] is None else lookup(rows, vs) for vs in values]
        if copies[0].instance is not None:
            made: Made = self.whole.call_block(scope, item, rows, copies, ins)
            return made
        return self._layer(scope, item, rows, copies, ins, module)

    def _layer(
        self,
        scope: Scope,
        item: Item,
        rows: Sequence[Row],
        copies: Sequence[Copy],
        ins: list[Var | None],
        module: bool,
    ) -> Made:
        calls = [self.torch_call(c, module) for c in copies]
        first = calls[0]
        settled = not first.free and scope.settled(copies)
        if settled and id(first) in self.plain:
            return self.plain[id(first)]
        axes = self._axes(scope, item, rows, copies, ins)
        if any(_form(c) != _form(first) for c in calls):
            return self._varying(scope, rows, calls, axes, item)
        resolve = self._resolver(scope, item, rows, copies, ins)
        constructor = None
        if first.target is not None:
            constructor = self._constructor(scope, rows, calls, resolve)
        free = {
            a.name or a.of: self._argument(scope, rows, [c.free[k] for c in calls], resolve)
            for k, a in enumerate(first.free)
        }
        forward = self._stored(scope, free)
        made = Made(constructor, self._applier(first, forward, axes), axes)
        if settled:
            self.plain[id(first)] = made
        return made

    def _constructor(
        self,
        scope: Scope,
        rows: Sequence[Row],
        calls: Sequence[Call],
        resolve: Callable[[str], list[ast.expr]],
    ) -> ast.expr:
        first = calls[0]
        assert first.target is not None
        args: list[ast.expr] = []
        keywords: dict[str, ast.expr] = {}
        for k, a in enumerate(first.args):
            several = [c.args[k] for c in calls]
            if a.default is not MISSING and all(
                plain(b.value) == plain(a.default) and type(b.value) is type(a.default)
                for b in several
            ):
                continue
            value = self._argument(scope, rows, several, resolve)
            if a.name is None:
                args.append(value)
            else:
                keywords[a.name] = value
        made = call(first.target, *args, **keywords)
        return made if first.wrap is None else call(first.wrap, made)

    def _varying(
        self,
        scope: Scope,
        rows: Sequence[Row],
        calls: Sequence[Call],
        axes: list[list[ast.expr | None]],
        item: Item,
    ) -> Made:
        """Modules of different classes in one place, where nothing else differs.

        The class itself becomes an argument.
        """
        first = calls[0]
        if any(
            c.target is None
            or c.args
            or c.free
            or c.wrap
            or c.forward != first.forward
            or c.results != first.results
            for c in calls
        ):
            raise UnprovableError("the instances need different kinds of layer")
        targets = [Dotted(c.target or "") for c in calls]
        written = item.args.get("name")
        if item.op == "activation":
            self.retype(scope, rows, written, targets)
        target = scope.explain(rows, translate(written, scope.names, {}), targets, "activation")
        return Made(call(target), self._applier(first, {}, axes), axes)

    def retype(
        self, scope: Scope, rows: Sequence[Row], written: object, targets: Sequence[Dotted]
    ) -> None:
        """A param that names an activation, handed on as it is, becomes, in Python, its class."""
        if not isinstance(written, Expr) or scope.parent is not None:
            return
        param = written.text
        if param not in scope.unit.potential:
            return
        for row in scope.unit.rows:
            row.py[param] = activation_class(row.py[param]) or row.py[param]
        for row, target in zip(rows, targets, strict=True):
            row.py[param] = target

    def _argument(
        self,
        scope: Scope,
        rows: Sequence[Row],
        several: Sequence[Arg],
        resolve: Callable[[str], list[ast.expr]],
    ) -> ast.expr:
        first = several[0]
        if scope.settled(several):
            return literal(plain(first.value))
        candidates: list[ast.expr] = []
        for of in dict.fromkeys(a.of for a in several):
            candidates += resolve(of)
        return scope.explain(
            rows, candidates, [a.value for a in several], (first.name or _tail(first.of))
        )

    def _resolver(
        self,
        scope: Scope,
        item: Item,
        rows: Sequence[Row],
        copies: Sequence[Copy],
        ins: list[Var | None],
    ) -> Callable[[str], list[ast.expr]]:
        records: Mapping[str, Var] | None = None

        def field(text: str) -> list[ast.expr]:
            nonlocal records
            if text in item.args:
                if records is None:
                    records = self.conditions.records(
                        scope, rows, [c.ins[0] if c.ins else None for c in copies]
                    )
                found = translate(item.args[text], scope.names, records)
                if found:
                    return found
            layer = copies[0].layer
            value = plain(getattr(layer, text, None))
            if isinstance(value, (int, float, tuple)) and all(
                plain(getattr(c.layer, text, None)) == value for c in copies
            ):
                return [literal(value)]
            return []

        def resolve(of: str) -> list[ast.expr]:
            tree = _parsed(of)
            if isinstance(tree, ast.Name):
                return field(tree.id)
            return [r for r in (_resolved(tree, field, ins),) if r is not None]

        return resolve

    def _axes(
        self,
        scope: Scope,
        item: Item,
        rows: Sequence[Row],
        copies: Sequence[Copy],
        ins: list[Var | None],
    ) -> list[list[ast.expr | None]]:
        if scope.settled(copies):
            return [[None] * len(v.type.shape if v.type else ()) for v in copies[0].outs.values()]
        layer = copies[0].layer
        assert layer is not None
        types = copies[0].types
        resolve = self._resolver(scope, item, rows, copies, ins)
        found: list[list[ast.expr | None]] = []
        for axes, key in zip(layer.axes(*types), copies[0].outs, strict=True):
            one: list[ast.expr | None] = []
            for a, text in enumerate(axes):
                values = [size_of(c.outs[key], a) for c in copies]
                candidates = resolve(text) if text is not None else []
                one.append(next((c for c in candidates if holds(c, rows, values)), None))
            found.append(one)
        return found

    def _stored(self, scope: Scope, free: dict[str, ast.expr]) -> dict[str, ast.expr]:
        """What forward reads of the constructor's names is kept in attributes, literals are not."""
        kept: dict[str, ast.expr] = {}
        for n, value in free.items():
            if any(isinstance(part, ast.Name) for part in ast.walk(value)):
                attribute = scope.unit.attribute(value, n)
                kept[n] = attribute
            else:
                kept[n] = value
        return kept

    def _applier(
        self, torch_call: Call, free: dict[str, ast.expr], axes: list[list[ast.expr | None]]
    ) -> Apply:
        def apply(
            scope: Scope,
            rows: Sequence[Row],
            copies: Sequence[Copy],
            attribute: ast.expr | None,
            ins: list[Var | None],
            steps: list[Step],
            hint: str,
        ) -> list[Var]:
            given = [v for v in ins if v is not None]
            refs = {
                f"x{j}": v.ref if torch_call.broadcast else self.batched(scope, v, given)
                for j, v in enumerate(ins)
                if v is not None
            }
            value = _forward(
                torch_call.forward,
                {**free, **refs, **({"self": attribute} if attribute is not None else {})},
            )
            layer = copies[0].layer
            inner = layer is not None and (
                layer.family in ("conv", "norm", "linear", "merge", "shape")
                or layer.op.startswith(("global_", "adaptive_"))
            )
            merge = len(refs) > 1
            called = hints(hint, copies[0].outs)
            outs = [Var(list(a), h) for a, h in zip(axes, called, strict=True)]
            for out in outs:
                out.batchless = torch_call.batchless or (
                    torch_call.broadcast and bool(given) and all(v.batchless for v in given)
                )
            if torch_call.results == ("r",):
                steps.append(Assign(outs, value, inner=inner, merge=merge))
                return outs
            if len(torch_call.results) == 1:
                steps.append(
                    Assign(
                        outs, _filled(torch_call.results[0], {"r": value}), inner=inner, merge=merge
                    )
                )
                return outs
            if torch_call.results == tuple(f"r[{k}]" for k in range(len(outs))):
                steps.append(Assign(outs, value, merge=merge))
                return outs
            raw = Var([], hint)
            raw.several = True
            steps.append(Assign([raw], value, inner=True, merge=merge))
            for out, text in zip(outs, torch_call.results, strict=True):
                steps.append(Assign([out], _filled(text, {"r": raw.ref}), inner=True))
            return outs

        return apply

    def batched(self, scope: Scope, var: Var, beside: Sequence[Var] = ()) -> ast.expr:
        """The value with a batch axis.

        A parameter is expanded to the batch of what stands beside it.
        """
        if not var.batchless:
            return var.ref
        anchor = next((v for v in beside if not v.batchless), scope.unit.anchor)
        if anchor is None:
            raise UnprovableError("nothing tells the size of the batch")
        size = ast.Subscript(ast.Attribute(anchor.ref, "shape"), ast.Constant(0))
        return call(ast.Attribute(var.ref, "expand"), size, *(literal(-1) for _ in var.axes))

    # ------------------------------------------------------------ merges of residuals and branches

    def merge(
        self,
        scope: Scope,
        rows: Sequence[Row],
        copies: Sequence[Copy],
        ins: list[Var],
        paths: list[list[Value]],
        steps: list[Step],
    ) -> Var:
        layer = copies[0].layer
        assert layer is not None
        calls = []
        for k, c in enumerate(copies):
            assert c.layer is not None
            calls.append(c.layer.call(*(p[k].type for p in paths)))
        first = calls[0]
        if any((c.target, c.forward) != (first.target, first.forward) for c in calls):
            raise UnprovableError("the merges differ")
        axes: list[ast.expr | None] = []
        types = [p[0].type for p in paths]
        for a, text in enumerate(layer.axes(*types)[0]):
            values = [size_of(c.out, a) for c in copies]
            tree = _resolved(_parsed(text), lambda _: [], list(ins)) if text is not None else None
            axes.append(tree if tree is not None and holds(tree, rows, values) else None)
        free = {a.name or a.of: literal(plain(a.value)) for a in first.free}
        refs = {
            f"x{j}": v.ref if first.broadcast else self.batched(scope, v, ins)
            for j, v in enumerate(ins)
        }
        value = _filled(first.forward, {**free, **refs})
        out = Var(axes)
        out.batchless = first.broadcast and all(v.batchless for v in ins)
        steps.append(Assign([out], value, inner=True, merge=True))
        return out


# ---------------------------------------------------------------- small facts


def activation_class(value: Any) -> Dotted | None:
    """`silu` → nn.SiLU; None for what is no bare activation."""
    if isinstance(value, Dotted):
        return value
    try:
        made = create("activation", {"name": value}).resolve().call(TensorType((1,)))
    except BadArgument:
        return None
    return Dotted(made.target) if made.target is not None and not made.args else None


def _form(c: Call) -> object:
    return (
        c.target,
        c.wrap,
        c.forward,
        c.results,
        [a.name for a in c.args],
        [a.name for a in c.free],
    )


def _tail(of: str) -> str:
    if of.startswith("x") and "[" in of:
        return "features" if "[-1]" in of else "channels"
    return of if of.isidentifier() else "value"


def _resolved(
    tree: ast.expr, field: Callable[[str], list[ast.expr]], ins: Sequence[Var | None]
) -> ast.expr | None:
    """An `Arg.of` in the class's names."""
    if (
        isinstance(tree, ast.Subscript)
        and isinstance(tree.value, ast.Name)
        and tree.value.id[:1] == "x"
        and tree.value.id[1:].isdigit()
    ):
        var = ins[int(tree.value.id[1:])]
        index = value_of(tree.slice, {})
        return (
            var.axes[index] if var is not None and -len(var.axes) <= index < len(var.axes) else None
        )
    if isinstance(tree, ast.Name):
        found = field(tree.id)
        return found[0] if found else None
    if isinstance(tree, ast.Subscript) and isinstance(tree.value, ast.Name):
        found = field(tree.value.id)
        index = value_of(tree.slice, {})
        whole = found[0] if found else None
        return (
            whole.elts[index]
            if isinstance(whole, ast.Tuple) and -len(whole.elts) <= index < len(whole.elts)
            else None
        )
    if isinstance(tree, ast.Constant):
        return tree
    if isinstance(tree, ast.BinOp):
        left, right = _resolved(tree.left, field, ins), _resolved(tree.right, field, ins)
        return (
            folded(ast.BinOp(left, tree.op, right))
            if left is not None and right is not None
            else None
        )
    if isinstance(tree, ast.Tuple):
        parts = [_resolved(e, field, ins) for e in tree.elts]
        return (
            ast.Tuple([p for p in parts if p is not None])
            if all(p is not None for p in parts)
            else None
        )
    return None


def _forward(text: str, new: Mapping[str, ast.expr]) -> ast.expr:
    """The call with its inputs filled in; almost all are `self(x0)`."""
    if text == "self(x0)" and "self" in new:
        return ast.Call(new["self"], [new["x0"]], [])
    return _filled(text, new)


def _filled(text: str, new: Mapping[str, ast.expr]) -> ast.expr:
    return rebuilt(_parsed(text), new.get)
