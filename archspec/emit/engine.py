"""What the sections of the lowering share."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from archspec.emit.explain import Row, UnprovableError, Var
from archspec.emit.syntax import Line, call, name
from archspec.emit.unit import ClassInfo, Site
from archspec.expand.tree import Body, Copy, Instance, Value
from archspec.language import Item

MERGING = frozenset({"residual", "branches"})
Pairs = list[tuple[Row, Copy]]
Values = list[list[Value]]


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


class Whole(Protocol):
    """The lowering as its sections see it: what all share, and the ways further in.

    A section holds the sections that it builds on. A body, a class or a group inside of what it
    writes belongs to a section above it: it comes to that one by these methods only.
    """

    roots: list[Instance]
    title: str
    kept: tuple[str, ...]
    group_of: dict[int, Group]
    frames: dict[int, Any]
    consumers: dict[int, set[int]]
    paths: dict[int, tuple[str, ...]]
    order: list[ClassInfo]
    finished: set[int]
    mark: int
    class_names: set[str]
    root_type: str

    def body(self, site: Site, pairs: list[tuple[Row, Body]]) -> None: ...

    def copy(self, site: Site, item: Item, pairs: Pairs) -> None: ...

    def merged(self, site: Site, item: Item, rows: list[Row], copies: list[Copy]) -> None: ...

    def class_of(self, instances: Sequence[Instance]) -> ClassInfo: ...

    # the others as their sections say: Signatures.block, Classes.write_class, Items.apply,
    # Loops.chain_repeat, Groups.outlined
    @property
    def call_block(self) -> Callable[..., Any]: ...

    @property
    def write_class(self) -> Callable[..., None]: ...

    @property
    def apply(self) -> Callable[..., None]: ...

    @property
    def chain_repeat(self) -> Callable[..., Var]: ...

    @property
    def outlined(self) -> Callable[..., tuple[ast.expr, Values, Values, ClassInfo]]: ...


@dataclass(eq=False)
class Section:
    """One subject of the lowering."""

    whole: Whole
