"""Block calls → constructor and call; what comes out in the caller's own names.

{Bottleneck: {width: $w, stride: 2}}  on  [4 * w, H, W]
Bottleneck(4 * w, width=w, stride=2)      [4 * w, (H - 1) // 2 + 1, (W - 1) // 2 + 1]
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from typing import Any

from archspec.emit.lists import joined
from archspec.emit.lowering.flow import PlainError, Row, dims, sizes_of
from archspec.emit.lowering.modules import Made, Place, calls_of, retyped
from archspec.emit.lowering.scope import FUNCTIONS, Info, Scope
from archspec.emit.syntax import Dotted, call, names_in
from archspec.emit.text import render
from archspec.expand.calls import received
from archspec.expand.tree import Instance, Value
from archspec.expressions import Expr, Record
from archspec.expressions.sym import FAILURES, Sym, evaluate, remembers
from archspec.language import Block
from archspec.layers.base import TensorType


def titles(text: str, place: int, kind: TensorType | None) -> list[str]:
    """What the sizes of an input are called in a constructor."""
    rank = 0 if kind is None else kind.rank
    prefix = "in" if place == 0 else joined(text)
    words = {
        1: ["features"], 2: ["channels", "features"], 3: ["channels", "height", "width"],
        4: ["channels", "depth", "height", "width"],
    }.get(rank, ["channels", *(f"size{k}" for k in range(1, rank))][:rank])  # fmt: skip
    if kind is not None and is_width(kind, rank - 1):
        words = [*words[:-1], "features"] if rank > 1 else words
    return [f"{prefix}_{w}" for w in words]


def is_width(kind: TensorType, axis: int) -> bool:
    """Whether an axis holds channels or features; a map's others are space."""
    return axis == 0 or (axis == kind.rank - 1 and (kind.rank == 2 or kind.map is False))


def block(place: Place) -> Made:
    """How a block is made and called."""
    scope, rows, item = place.scope, place.rows, place.item
    instances = [c.instance for c in place.copies]
    if any(i is None for i in instances):
        raise PlainError("a block in some instances only")
    if any(i.block is not instances[0].block for i in instances):
        return _chosen(place)
    info = _class_of(scope, rows, instances)
    given = _given(place)
    wanted = [info.values[id(i)] for i in instances]
    for p in info.parameters:
        if p.name not in given and p.name in scope.names:  # of the document: handed through
            given[p.name] = scope.value(p.name, rows[0].py.get(p.name), rows[0])
        values = [w[p.name] for w in wanted]
        if all(isinstance(v, Dotted) for v in values) and p.name in item.args:
            given[p.name] = retyped(scope, rows, item.args[p.name], values)
    constructor = construct(scope, rows, info, wanted, given)
    sizes = outer_sizes(info, given, rows, place.outs)
    outs = tuple(place.first.outs)
    form = calls_of(place.ins, len(outs), place.first.instance.inputs)
    return Made(constructor, form, sizes, outs)


def _chosen(place: Place) -> Made:
    """How different blocks are made in one place: the class itself is an argument, or a column.

    call: $kind, with: {width: $w}        kind(channels, width=w)
    """
    scope, rows, item = place.scope, place.rows, place.item
    infos = [_class_of(scope, [r], [c.instance]) for r, c in place.pairs]
    forms = [([p.text for p in i.parameters], i.lead, i.outputs) for i in infos]
    if any(form != forms[0] for form in forms):
        raise PlainError("the blocks are made in different ways")
    targets = [Dotted(info.name) for info in infos]
    kind = scope.say(rows, retyped(scope, rows, item.callee, targets), targets, "block")
    given = _given(place)
    wanted = [i.values[id(c.instance)] for i, c in zip(infos, place.copies, strict=True)]
    made = construct(scope, rows, infos[0], wanted, given)
    assert isinstance(made, ast.Call)
    made.func = kind
    known = all(list(map(repr, i.sizes)) == list(map(repr, infos[0].sizes)) for i in infos)
    sizes = outer_sizes(infos[0] if known else Info("", place.item), given, rows, place.outs)
    outs = tuple(place.first.outs)
    return Made(made, calls_of(place.ins, len(outs)), sizes, outs)


def called_again(place: Place) -> Made:
    """How a block that is made already is called on other inputs."""
    info = _class_of(place.scope, place.rows, [c.instance for c in place.copies])
    sizes = outer_sizes(info, _given(place), place.rows, place.outs)
    outs = tuple(place.first.outs)
    form = calls_of(place.ins, len(outs), place.first.instance.inputs)
    return Made(None, form, sizes, outs)


def _class_of(scope: Scope, rows: Sequence[Row], instances: Sequence[Instance]) -> Info:
    """The class of some calls, one a row. Raises PlainError, which tells whose calls are apart."""
    try:
        return scope.unit.whole.of(instances)
    except PlainError as failed:
        raise PlainError(str(failed), (rows[k].base for k in failed.bases)) from failed


def _given(place: Place) -> dict[str, Any]:
    """What a block's constructor may be given, by name, with numbers that remember."""
    scope, item, row, copy = place.scope, place.item, place.rows[0], place.first
    called, inputs = copy.instance.block, copy.instance.inputs
    shapes = [
        flow.at(row, dims(v)) if flow is not None else dims(v)
        for flow, v in zip(place.ins, copy.ins, strict=True)
    ]
    prev = shapes[0] if shapes else None
    inside = {n: Record(s) for n, s in zip(inputs, shapes, strict=True)}
    inside |= received(called, inside)
    found: dict[str, Any] = {}
    for p, default in called.params.items():
        value = copy.args[p]
        try:
            if p in item.args:
                value = scope.symbolic(item.args[p], row, copy.env, prev)
            elif isinstance(default, Expr):
                value = evaluate(
                    default.tree, {**_document(scope, default, row, called), **inside, **found}
                )
        except FAILURES:
            value = copy.args[p]
        found[p] = value
    for j, (text, shape) in enumerate(zip(inputs, shapes, strict=True)):
        kind = None if copy.ins[j] is None else copy.ins[j].type
        for title, size in zip(titles(text, j, kind), shape, strict=True):
            found.setdefault(title, size)
    return found


def _document(scope: Scope, default: Expr, row: Row, called: Block) -> dict[str, Any]:
    """The params of the document, where this class is the document's own."""
    if scope.unit.document.get(called.name) is not called:
        return {}
    texts = [n for n in default.names if n in scope.unit.args]
    return {n: scope.value(n, row.py.get(n, scope.unit.args[n]), row) for n in texts}


def construct(
    scope: Scope, rows: Sequence[Row], info: Info, wanted: Sequence[Mapping[str, Any]],
    given: Mapping[str, Any],
) -> ast.expr:  # fmt: skip
    """`Block(in_channels, stride=stride)`."""
    args: list[ast.expr] = []
    keywords: dict[str, ast.expr] = {}
    for p in info.parameters:
        values = [w[p.name] for w in wanted]
        value = given.get(p.name)
        usual = p.default is not ... and all(
            v == p.default and type(v) is type(p.default) for v in values
        )
        if usual and not remembers(value):
            continue
        text = scope.say(rows, value, values, p.name)
        if usual and not names_in(text) - FUNCTIONS:
            continue
        if (p.name in ("in_channels", "in_features") or p.name == info.lead) and not keywords:
            args.append(text)
        else:
            keywords[p.name] = text
    return call(info.name, *args, **keywords)


def outer_sizes(
    info: Info, given: Mapping[str, Any], rows: Sequence[Row], outs: Sequence[Sequence[Value]]
) -> list[list[Any]]:
    """The sizes of a class's outputs in its caller's names."""
    names = dict(given)
    for p in info.parameters:
        if p.name not in names and p.default is not ...:
            names[p.name] = p.default
    for text, tree in info.defined.items():
        try:
            names[text] = evaluate(tree, names)
        except FAILURES:
            names.pop(text, None)
    found = []
    for j, values in enumerate(outs):
        inner = info.sizes[j] if j < len(info.sizes) else []
        shape: list[Any] = list(dims(values[0]))
        for a, size in enumerate(inner if len(inner) == len(shape) else ()):
            shape[a] = _outside(size, names, shape[a])
        found.append(sizes_of(rows, tuple(shape), values))
    return found


def _outside(size: Any, names: Mapping[str, Any], n: int) -> Any:
    """One size of an output in its caller's names; None where there is none."""
    if not isinstance(size, Sym):
        return None if size is None else n
    try:
        worked = evaluate(size.tree, names)
    except FAILURES:
        return None
    if isinstance(worked, Sym):
        return Sym(n, worked.terms) if len(render(worked.tree)) <= 80 else None
    return n
