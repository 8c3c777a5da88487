"""Block calls → constructor calls: each argument explained in the caller's names."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from archspec.emit.calls import Calls, Made
from archspec.emit.conditions import Conditions, size_of
from archspec.emit.engine import Section, hints
from archspec.emit.explain import Row, Var, fold, holds, translate
from archspec.emit.forward import Assign, Step
from archspec.emit.syntax import Dotted, call, literal, rebuilt
from archspec.emit.unit import ClassInfo, Scope
from archspec.expand.tree import Copy, Value
from archspec.language import Item


@dataclass(eq=False)
class Signatures(Section):
    """The part of the lowering that knows what the classes of blocks take and give."""

    conditions: Conditions
    calls: Calls

    # of the class constructed last: its arguments
    _given: dict[str, ast.expr] = field(default_factory=dict)

    def block(
        self,
        scope: Scope,
        item: Item,
        rows: Sequence[Row],
        copies: Sequence[Copy],
        ins: list[Var | None],
    ) -> Made:
        instances = [c.instance for c in copies if c.instance is not None]
        info = self.whole.class_of(instances)
        shape_vars = [v for v in ins if v is not None]
        constructor = self.construct(
            scope,
            rows,
            info,
            [info.values[id(i)] for i in instances],
            item,
            shape_vars,
            list(instances[0].block.inputs),
            copies,
        )
        axes = [
            self.outer_axes(info, j, rows, [c.outs[key] for c in copies])
            for j, key in enumerate(copies[0].outs)
        ]
        return Made(constructor, self.call_module, axes)

    def construct(
        self,
        scope: Scope,
        rows: Sequence[Row],
        info: ClassInfo,
        wanted: Sequence[Mapping[str, Any]],
        item: Item | None,
        shape_vars: Sequence[Var],
        inputs: Sequence[str],
        copies: Sequence[Copy] = (),
    ) -> ast.expr:
        """`Block(in_channels, stride=stride)`: each argument explained in the caller's names."""
        args: list[ast.expr] = []
        keywords: dict[str, ast.expr] = {}
        records = (
            self.conditions.records(scope, rows, [c.ins[0] if c.ins else None for c in copies])
            if copies
            else scope.records
        )
        self._given = {}
        block = copies[0].instance.block if copies and copies[0].instance is not None else None
        for p in info.parameters:
            values = [w[p.name] for w in wanted]
            if p.default is not ... and all(
                v == p.default and type(v) is type(p.default) for v in values
            ):
                continue
            candidates: list[ast.expr | None] = []
            if item is not None and p.name in item.args:
                if all(isinstance(v, Dotted) for v in values):
                    self.calls.retype(scope, rows, item.args[p.name], values)
                candidates += translate(item.args[p.name], scope.names, records)
            hint = p.name
            if block is not None and block.inherited.get(p.name) and not candidates:
                default = block.params[p.name]
                hint = default.text if default.text.isidentifier() else hint
                candidates += translate(default, scope.names, {})
            candidates.append(_shape_candidate(p.name, shape_vars, inputs))
            candidates.append(ast.Name(p.name) if item is None else scope.names.get(p.name))
            value = scope.explain(rows, candidates, values, hint)
            self._given[p.name] = value
            if _positional(p.name, info) and not keywords:
                args.append(value)
            else:
                keywords[p.name] = value
        return call(info.name, *args, **keywords)

    def outer_axes(
        self, info: ClassInfo, place: int, rows: Sequence[Row], values: Sequence[Value]
    ) -> list[ast.expr | None]:
        """The callee's symbolic output in the caller's names."""
        given = dict(self._given)
        for p in info.parameters:
            if p.name not in given and p.default is not ...:
                given[p.name] = literal(p.default)
        found: list[ast.expr | None] = []
        inner = info.axes[place] if place < len(info.axes) else []
        for a, axis in enumerate(inner):
            tree = _renamed(axis, given) if axis is not None else None
            sizes = [size_of(v, a) for v in values]
            found.append(tree if tree is not None and holds(tree, rows, sizes) else None)
        first = values[0].type
        return found if found or first is None else [None] * len(first.shape)

    def call_module(
        self,
        scope: Scope,
        rows: Sequence[Row],
        copies: Sequence[Copy],
        attribute: ast.expr | None,
        ins: list[Var | None],
        steps: list[Step],
        hint: str,
    ) -> list[Var]:
        """`self.block(x)`, with one variable for each output."""
        assert attribute is not None
        outs = []
        called = hints(hint, copies[0].outs)
        for j, key in enumerate(copies[0].outs):
            instances = [c.instance for c in copies if c.instance is not None]
            axes: list[ast.expr | None]
            if len(instances) == len(copies):
                info = self.whole.class_of(instances)
                axes = self.outer_axes(info, j, rows, [c.outs[key] for c in copies])
            else:
                value = copies[0].outs[key].type
                axes = [None] * (len(value.shape) if value else 0)
            outs.append(Var(axes, called[j]))
        steps.append(
            Assign(
                outs,
                call(
                    attribute,
                    *(
                        self.calls.batched(scope, v, [w for w in ins if w is not None])
                        for v in ins
                        if v is not None
                    ),
                ),
            )
        )
        return outs


def _positional(text: str, info: ClassInfo) -> bool:
    return text in ("in_channels", "in_features") or text == info.lead


def _shape_candidate(
    text: str, shape_vars: Sequence[Var], inputs: Sequence[str]
) -> ast.expr | None:
    for j, var in enumerate(shape_vars):
        prefix = "in" if j == 0 else (inputs[j] if j < len(inputs) else "")
        if var.axes and text == f"{prefix}_channels":
            return var.axes[0]
        if var.axes and text == f"{prefix}_features":
            return var.axes[-1]
    return None


def _renamed(axis: ast.expr, given: Mapping[str, ast.expr]) -> ast.expr | None:
    names = {n.id for n in ast.walk(axis) if isinstance(n, ast.Name)}
    if not names <= set(given) | {"make_divisible", "max", "min", "math"}:
        return None
    result = rebuilt(axis, given.get)
    return fold(result)
