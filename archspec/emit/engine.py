"""What the parts of the lowering share: its state, and the methods they call on one another."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from archspec.emit.explain import (
    Row,
    UnprovableError,
    Var,
)
from archspec.emit.forward import Step
from archspec.emit.text import (
    Line,
    Stmt,
    call,
    name,
)
from archspec.emit.unit import ClassInfo, Scope, Unit
from archspec.graph import Body, Copy, Instance, Occurrence, Value
from archspec.spec import Init, Item

if TYPE_CHECKING:
    from collections.abc import Mapping

    from archspec.emit.calls import Made
    from archspec.emit.sinks import Sink
    from archspec.layers.base import Call

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
    text = item.id.text if item.id is not None else ""
    return text if text.isidentifier() else ""


def dims(value: Value | None) -> tuple[int, ...]:
    return value.type.shape if value is not None and value.type is not None else ()


def several(values: Any) -> tuple[Value, ...]:
    return values if isinstance(values, tuple) else (values,)


class Engine:
    """The lowering as its parts see it."""

    roots: list[Instance]  # witnesses of the same network; the first is the one asked for
    title: str  # its class
    kept: tuple[str, ...]  # its params that stay arguments
    group_of: dict[int, Group]  # by id of an instance
    frames: dict[int, Any]  # by id of a copy or of a branch's body
    consumers: dict[int, set[int]]  # id of a value -> who reads it
    paths: dict[int, tuple[str, ...]]  # of copies, from their instance
    order: list[ClassInfo]  # what is written so far
    finished: set[int]  # classes of blocks that are done, and of the groups in them
    mark: int  # where the classes of the block that is being written begin
    class_names: set[str]
    root_type: str  # what the network's forward returns
    rules: Init  # the document's initialisation, by op
    seen_roots: Sequence[Instance]

    if TYPE_CHECKING:

        def _collect(self) -> None: ...

        def _unit(
            self, rows: list[Row], instances: Sequence[Instance], root: bool = False
        ) -> Unit: ...

        def _input(
            self,
            unit: Unit,
            rows: list[Row],
            values: list[Value],
            text: str,
            place: int,
            root: bool,
        ) -> Var: ...

        def _free(self, title: str) -> str: ...

        def _write_class(
            self,
            unit: Unit,
            info: ClassInfo,
            parts: list[Part],
            inputs: list[list[Value]],
            input_names: list[str],
            outputs: dict[str, list[Any]],
            defaults: dict[str, Any],
            training: frozenset[str] = frozenset(),
        ) -> None: ...

        def body(
            self, scope: Scope, pairs: list[tuple[Row, Body]], init: list[Stmt], steps: list[Step]
        ) -> None: ...

        def copy(
            self, scope: Scope, item: Item, pairs: Pairs, init: list[Stmt], steps: list[Step]
        ) -> None: ...

        def apply(
            self,
            scope: Scope,
            rows: list[Row],
            copies: list[Copy],
            attribute: ast.expr | None,
            apply: Callable[..., Any],
            steps: list[Step],
            hint: str,
        ) -> None: ...

        def merged(
            self,
            scope: Scope,
            item: Item,
            rows: list[Row],
            copies: list[Copy],
            init: list[Stmt],
            steps: list[Step],
        ) -> None: ...

        def _inlined(
            self,
            scope: Scope,
            item: Item,
            rows: list[Row],
            copies: list[Copy],
            init: list[Stmt],
            steps: list[Step],
        ) -> None: ...

        def _place(
            self,
            unit: Unit,
            path: tuple[str, ...],
            constructor: ast.expr | None,
            parameter: bool,
            init: list[Stmt],
        ) -> ast.expr: ...

        def _again(
            self,
            scope: Scope,
            item: Item,
            rows: list[Row],
            copies: list[Copy],
            init: list[Stmt],
            steps: list[Step],
        ) -> None: ...

        def _framed(
            self,
            scope: Scope,
            item: Item,
            rows: list[Row],
            copies: list[Copy],
            init: list[Stmt],
            steps: list[Step],
        ) -> None: ...

        def outlined(
            self,
            scope: Scope,
            item: Item,
            rows: list[Row],
            parts: list[Part],
            frames: list[Any],
            keys: Sequence[Any],
            segment: str,
        ) -> tuple[ast.expr, list[list[Value]], list[list[Value]], ClassInfo]: ...

        def call_frame(
            self,
            scope: Scope,
            rows: list[Row],
            attribute: ast.expr,
            captures: list[list[Value]],
            exports: list[list[Value]],
            info: ClassInfo,
            steps: list[Step],
            hint: str,
        ) -> None: ...

        def repeated(
            self,
            scope: Scope,
            item: Item,
            column: list[tuple[Row, Occurrence]],
            init: list[Stmt],
            steps: list[Step],
        ) -> None: ...

        def _torch(self, copy: Copy, module: bool) -> Call: ...

        def maker(
            self,
            scope: Scope,
            item: Item,
            rows: Sequence[Row],
            copies: Sequence[Copy],
            module: bool = False,
        ) -> Made: ...

        def batched(self, scope: Scope, var: Var, beside: Sequence[Var] = ()) -> ast.expr: ...

        def merge(
            self,
            scope: Scope,
            rows: Sequence[Row],
            copies: Sequence[Copy],
            ins: list[Var],
            paths: list[list[Value]],
            steps: list[Step],
        ) -> Var: ...

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
        ) -> ast.expr: ...

        def outer_axes(
            self, info: ClassInfo, place: int, rows: Sequence[Row], values: Sequence[Value]
        ) -> list[ast.expr | None]: ...

        def call_module(
            self,
            scope: Scope,
            rows: Sequence[Row],
            copies: Sequence[Copy],
            attribute: ast.expr | None,
            ins: list[Var | None],
            steps: list[Step],
            hint: str,
        ) -> list[Var]: ...

        def records(
            self, scope: Scope, rows: Sequence[Row], previous: Sequence[Value | None]
        ) -> Mapping[str, Var]: ...

        def condition(
            self,
            scope: Scope,
            column: Sequence[tuple[Row, Occurrence]],
            here: Sequence[bool],
            previous: Var | None,
        ) -> ast.expr: ...

        def join(
            self, rows: Sequence[Row], values: Sequence[Value], then: Var, other: Var
        ) -> list[ast.expr | None]: ...

        def sub_row(self, row: Row) -> Row: ...

        def is_chain(self, bodies: Sequence[Body]) -> bool: ...

        def is_chain_of(self, copies: Sequence[Copy]) -> bool: ...

        def container(
            self,
            scope: Scope,
            pairs: Sequence[tuple[Row, Body]],
            segment: str,
            into: list[Stmt],
            cur: Var,
            attribute: bool = False,
        ) -> tuple[ast.expr, Var]: ...

        def chain(
            self,
            scope: Scope,
            pairs: Sequence[tuple[Row, Body]],
            sink: Sink,
            into: list[Stmt],
            cur: Var,
        ) -> Var: ...

        def copies(
            self,
            scope: Scope,
            item: Item,
            rows: list[Row],
            copies: list[list[Copy]],
            sink: Sink,
            into: list[Stmt],
            cur: Var,
        ) -> Var: ...

        def learn(self, instance: Instance) -> None: ...

        def member_init(
            self,
            scope: Scope,
            rows: Sequence[Row],
            copies: Sequence[Copy],
            attribute: ast.expr,
        ) -> list[Stmt]: ...

        def group_init(
            self, scope: Scope, bodies: Sequence[Body], attribute: ast.expr
        ) -> list[Stmt]: ...

        def root_init(self, scope: Scope, roots: Sequence[Instance]) -> list[Stmt]: ...

        def class_of(self, instances: Sequence[Instance]) -> ClassInfo: ...

        def chain_repeat(
            self, scope: Scope, item: Item, column: Sequence[tuple[Row, Occurrence]], sink: Sink,
            into: list[Stmt], cur: Var,
        ) -> Var: ...  # fmt: skip

        def element(
            self, scope: Scope, item: Item, pairs: Sequence[tuple[Row, Copy]], sink: Sink,
            into: list[Stmt], cur: Var,
        ) -> Var: ...  # fmt: skip

        def module_of(
            self, scope: Scope, item: Item, rows: list[Row], copies: list[Copy],
            into: list[Stmt], cur: Var,
        ) -> tuple[ast.expr, Var]: ...  # fmt: skip

        def label(
            self, scope: Scope, item: Item, rows: Sequence[Row], texts: Sequence[str]
        ) -> ast.expr: ...
