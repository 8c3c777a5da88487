"""What the sections of the lowering share."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from archspec.emit.explain import (
    Row,
    UnprovableError,
)
from archspec.emit.syntax import Line, call, name
from archspec.emit.unit import ClassInfo
from archspec.expand.tree import Body, Copy, Instance, Value
from archspec.language import Item

if TYPE_CHECKING:
    from archspec.emit.lower import Lowering

MERGING = frozenset({"residual", "branches"})
Pairs = list[tuple[Row, Copy]]


@dataclass(slots=True, eq=False)
class Group:
    """Instances of one block that one class serves."""

    instances: list[Instance]
    info: ClassInfo | None = None
    busy: bool = False


@dataclass(slots=True)
class Part:
    """What a class computes, in one row: a body, or a residual or branches with an id."""

    row: Row
    body: Body | None
    copy: Copy | None = None
    item: Item | None = None


def member(segment: str) -> ast.expr:
    """`self.conv1`, or for a number the only way to say it."""
    return (
        name(f"self.{segment}")
        if segment.isidentifier()
        else call("getattr", ast.Name("self"), ast.Constant(segment))
    )


def set_member(segment: str, value: ast.expr) -> Line:
    if segment.isidentifier():
        return Line(value, f"self.{segment}")
    return Line(call("self.add_module", ast.Constant(segment), value))


def must(value: Value | None) -> Value:
    if value is None:
        raise UnprovableError("nothing flows on here")
    return value


def hint_of(item: Item) -> str:
    """What a variable may be called after the item's id: `AuxLogits` → `aux_logits`."""
    text = item.id.text if item.id is not None else ""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", text).lower() if text.isidentifier() else ""


def hints(hint: str, outputs: Iterable[str]) -> list[str]:
    """What the variables of several outputs may be called: `level2_boxes`, `level2_scores`."""
    names = list(outputs)
    if len(names) == 1:
        return [hint]
    return ["_".join(filter(None, (hint, n))).lower() if n.isidentifier() else "" for n in names]


def dims(value: Value | None) -> tuple[int, ...]:
    return value.type.shape if value is not None and value.type is not None else ()


def several(values: Any) -> tuple[Value, ...]:
    return values if isinstance(values, tuple) else (values,)


class Section:
    """One subject of the lowering; `whole` holds what all share, and the other sections by name."""

    def __init__(self, whole: Lowering) -> None:
        self.whole = whole
