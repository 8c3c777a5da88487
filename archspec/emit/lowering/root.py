"""The network → its own class, after all that it calls."""

from __future__ import annotations

import ast

from archspec.emit.lowering.classes import Plan, write_class
from archspec.emit.lowering.flow import Flow, PlainError, Row, alike, define, dims, holds
from archspec.emit.lowering.freezing import decided_by, freezing
from archspec.emit.lowering.rows import row_of
from archspec.emit.lowering.scope import Classes, Info, Scope, Unit, bare
from archspec.emit.lowering.tying import ties
from archspec.emit.syntax import name
from archspec.expand.tree import Instance, Value
from archspec.expressions import Expr
from archspec.expressions.sym import FAILURES, Sym, evaluate, remembers, traced, written
from archspec.language import Axis


def write_root(whole: Classes) -> None:
    """Writes the network's own class, and before it all that it calls."""
    first = whole.roots[0]
    kept = frozenset(whole.kept)
    rows = [_row(r, n, kept) for n, r in enumerate(whole.roots)]
    unit = Unit(whole, rows, root=True)
    unit.potential = dict.fromkeys(whole.kept)
    unit.deciding = whole.deciding
    if whole.kept:
        whole.deciding |= decided_by(first) & set(whole.kept)
    unit.params = set(first.args)
    unit.taken |= set(whole.kept)
    names = {p: name(p) for p in whole.kept}
    names |= _worked_out(unit, rows)
    if first.spec is not None:
        unit.document = first.spec.blocks
        unit.args = first.args
    records: dict[str, Flow | None] = {}
    for j, text in enumerate(first.inputs):
        values = [list(r.inputs.values())[j] for r in whole.roots]
        records[text] = _input(unit, rows, values, first, text)
    scope = Scope(unit, names, records)
    scope.rows = rows
    listed = frozenset(n for n, v in first.outputs.items() if isinstance(v, tuple))
    if any(set(r.outputs) != set(first.outputs) for r in whole.roots):
        raise PlainError("the outputs differ")
    plan = Plan(
        scope, [(r, i.body) for r, i in zip(rows, whole.roots, strict=True)],
        [list(i.inputs.values()) for i in whole.roots], list(first.inputs),
        {n: [r.outputs[n] for r in whole.roots] for n in first.outputs},
        training=first.training, listed=listed, returns=_returned(first, listed),
        defaults={p: rows[0].py[p] for p in whole.kept},
        last=lambda: whole.inits.root_init(scope), tied=ties(whole.roots),
        frozen=freezing(whole.roots),
    )  # fmt: skip
    info = Info(whole.title, first.block)
    info.values = {id(first): dict(first.args)}
    write_class(plan, info)
    whole.order.append(info)


def _worked_out(unit: Unit, rows: list[Row]) -> dict[str, ast.expr]:
    """The network's params that follow from its arguments: `w = 2 * p` in the constructor."""
    whole = unit.whole
    found: dict[str, ast.expr] = {}
    known = {p: traced(rows[0].py[p], name(p)) for p in whole.kept}
    for p, default in whole.roots[0].block.params.items():
        if not isinstance(default, Expr) or p in whole.kept:
            continue
        try:
            value = evaluate(default.tree, known)
            worth = [bare(r.args[p]) for r in whole.roots]
        except FAILURES:
            continue
        if remembers(value) and holds(value, rows, worth):
            found[p] = name(p)
            unit.defined[p] = written(value)
            unit.taken.add(p)
            for row, w in zip(rows, worth, strict=True):
                row.py[p] = w
            known[p] = traced(rows[0].py[p], name(p))
    return found


def _row(root: Instance, base: int, kept: frozenset[str]) -> Row:
    row = row_of(root, base)
    row.py = {p: v for p, v in row.py.items() if p in kept}
    return row


def _input(unit: Unit, rows: list[Row], values: list[Value], root: Instance, text: str) -> Flow:
    """An input of the network: its sizes are numbers, but of the axes that are free."""
    shapes = [dims(v) for v in values]
    if any(len(s) != len(shapes[0]) for s in shapes):
        raise PlainError("the inputs differ in rank")
    flow = Flow(
        [n if alike([s[a] for s in shapes]) else None for a, n in enumerate(shapes[0])], text
    )
    define(rows, values, flow)
    declared = root.spec.inputs[text].shape if root.spec is not None else ()
    known = {
        p: traced(rows[0].py.get(p, v), name(p)) if p in unit.potential else v
        for p, v in root.args.items()
    }
    for a, axis in enumerate(declared):
        if isinstance(axis, Expr):
            size = evaluate(axis.tree, known)
            if isinstance(size, Sym) and holds(size, rows, [s[a] for s in shapes]):
                flow.sizes[a] = size
        if isinstance(axis, Axis):
            if axis.name in unit.taken and axis.name not in unit.free:
                continue
            unit.taken.add(axis.name)
            unit.space.add(axis.name)
            unit.shapes.add(axis.name)
            unit.free.add(axis.name)
            for row, shape in zip(rows, shapes, strict=True):
                row.py[axis.name] = shape[a]
            flow.sizes[a] = Sym.of(axis.name, shapes[0][a])
    return flow


def _returned(root: Instance, listed: frozenset[str]) -> str:
    names = [n for n in root.outputs if n not in root.training]
    value = "Tensor | list[Tensor]" if listed else "Tensor"
    if listed and listed == set(root.outputs):
        value = "list[Tensor]"
    if len(names) == 1 and not listed & set(names):
        return f"Tensor | dict[str, {value}]" if root.training else "Tensor"
    return f"dict[str, {value}]"
