"""Instances and their inputs → rows and variables: where the class of anything begins.

Unit: {out: 8} on [4, 8, 8]     Row {out: 8, in_channels: 4, in_height: 8, in_width: 8}
                                Flow [in_channels, in_height, in_width]
"""

from __future__ import annotations

from typing import Any

from archspec.emit.lists import joined
from archspec.emit.lowering.calls import is_width, titles
from archspec.emit.lowering.flow import Flow, PlainError, Row, alike, define, dims
from archspec.emit.lowering.scope import Unit, bare
from archspec.expand.tree import Instance, Value
from archspec.expressions.sym import Sym


def may_be_named(value: Any) -> bool:
    if isinstance(value, tuple):
        return all(map(may_be_named, value))
    return isinstance(value, (bool, int, float, str))


def row_of(instance: Instance, base: int) -> Row:
    seen = {n: dims(v) for n, v in instance.inputs.items() if v.type is not None}
    return Row({k: bare(v) for k, v in instance.args.items()}, base, {}, seen)


def worth(instance: Instance) -> dict[str, Any]:
    """All that the constructor may be given for an instance."""
    found = dict(row_of(instance, 0).py)
    for j, (text, value) in enumerate(instance.inputs.items()):
        for title, size in zip(titles(text, j, value.type), dims(value), strict=True):
            found.setdefault(title, size)
    return found


def input_of(
    unit: Unit, rows: list[Row], values: list[Value], text: str, place: int
) -> Flow | None:
    """An input of a class; its sizes are names, which become arguments where they are used."""
    if values[0].type is None:
        if any(v.type is not None for v in values):
            raise PlainError("an input that is given in some instances only")
        return None
    shapes = [dims(v) for v in values]
    rank = len(shapes[0])
    if any(len(s) != rank for s in shapes):
        raise PlainError("the inputs differ in rank")
    flow = Flow([None] * rank, joined(text))
    define(rows, values, flow)
    kind = values[0].type
    texts = titles(text, place, kind)
    for a, title in reversed(list(enumerate(texts))):
        if title in unit.potential or title in unit.taken:
            flow.sizes[a] = shapes[0][a] if alike([s[a] for s in shapes]) else None
            continue
        unit.potential = {title: None, **unit.potential} if place == 0 else {
            **unit.potential, title: None,
        }  # fmt: skip
        unit.taken.add(title)
        unit.shapes.add(title)
        if not is_width(kind, a):
            unit.space.add(title)
        for row, shape in zip(rows, shapes, strict=True):
            row.py[title] = shape[a]
        flow.sizes[a] = Sym.of(title, shapes[0][a])
    return flow
