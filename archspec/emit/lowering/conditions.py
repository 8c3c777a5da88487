"""`when` that holds in some rows only → the author's condition, and what flows on behind it."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from typing import Any

from archspec.emit.lowering.flow import Flow, PlainError, Row, dims, sizes_of
from archspec.emit.lowering.scope import FUNCTIONS, Scope
from archspec.emit.syntax import names_in
from archspec.expand.tree import Copy, Occurrence, Value
from archspec.expressions import Expr
from archspec.expressions.sym import Sym, remembers, traced, written
from archspec.language import Item

Column = Sequence[tuple[Row, Occurrence]]


def presence(column: Column) -> list[bool] | None:
    """Where an item is there, if in some rows only."""
    here = [bool(o.copies) and o.copies[0] is not None for _, o in column]
    return here if any(here) and not all(here) else None


def same_test(first: Column, second: Column, here: list[bool]) -> bool:
    """Whether an item comes and goes with the one before it."""
    a, b = first[0][1].item, second[0][1].item
    return (
        b.repeat is None
        and presence(second) == here
        and text_of(a.when) == text_of(b.when)
        and a.tap is None
        and b.tap is None
    )


def decided(
    scope: Scope, when: Any, rows: Sequence[Row], copies: Sequence[Copy], prev: Flow | None
) -> None:
    """Notes the arguments that a condition reads which holds in every row and is not written.

    At another value it may not, and the text would not know: they are no arguments.
    """
    if copies:
        value = copies[0].ins[0] if copies[0].ins else None
        _noted(scope, when, rows[0], copies[0].env, prev, value)


def absent(scope: Scope, item: Item, column: Column, prev: Flow | None) -> None:
    """The same for an item that no row has: for its condition, or the number of its copies."""
    row, occurrence = column[0]
    env = {
        n: row.py[t.id]
        for n, t in scope.names.items()
        if isinstance(t, ast.Name) and t.id in row.py
    }
    _noted(scope, item.when, row, {**row.py, **env}, prev, occurrence.out)
    if item.repeat is not None and not occurrence.copies:
        _noted(scope, item.repeat.count, row, {**row.py, **env}, prev, occurrence.out)


def pointed(scope: Scope, column: Column) -> None:
    """Notes the arguments that say where an item is taken from: the text has one place for all."""
    row, occurrence = column[0]
    item = occurrence.item
    if not item.refs:
        return
    parts = [part for ref in item.refs for part in ref.path.parts if isinstance(part, Expr)]
    copies = [copy for copy in occurrence.copies if copy is not None]
    if not parts or not copies:
        return
    read = frozenset[str]().union(*(part.names for part in parts))
    for value in scope.sight(read, row, copies[0].env, None).values():
        if remembers(value):
            scope.unit.pointing |= names_in(written(value))


def _noted(
    scope: Scope, when: Any, row: Row, env: Mapping[str, Any], prev: Flow | None,
    value: Value | None,
) -> None:  # fmt: skip
    found = _worked(scope, when, row, env, (prev, value))
    if remembers(found):
        scope.unit.deciding |= names_in(written(found))


def _worked(
    scope: Scope, when: Any, row: Row, env: Mapping[str, Any],
    given: tuple[Flow | None, Value | None],
) -> Any:  # fmt: skip
    """A condition in the class's names; `given`: what its item takes. None: it has no value."""
    prev, value = given
    shape = prev.at(row, dims(value)) if prev is not None and value is not None else None
    return scope.worked(when, row, env, shape)


def open_ended(scope: Scope, when: Any, row: Row, copy: Copy, prev: Flow | None) -> bool:
    """Whether a condition depends on the arguments of a block's class."""
    unit = scope.unit
    if unit.root:
        return False
    found = _worked(scope, when, row, copy.env, (prev, copy.ins[0] if copy.ins else None))
    if not remembers(found):
        return False
    reads = names_in(written(found)) - FUNCTIONS
    return (
        bool(reads) and reads <= set(unit.potential) | set(unit.defined) and not reads & unit.space
    )


def text_of(value: Any) -> str:
    return str(getattr(value, "text", repr(value)))


def condition(
    scope: Scope, when: Any, rows: Sequence[Row], here: Sequence[bool], copies: Sequence[Copy],
    prev: Flow | None, before: Sequence[Value | None],
) -> ast.expr:  # fmt: skip
    """The author's condition in the class's names; `copies` are those that are there.

    A param whose item is absent is seen through the environment of the row itself.
    """
    at = list(here).index(True)
    found = _worked(scope, when, rows[at], copies[0].env, (prev, before[at]))
    return scope.say(rows, found, [bool(h) for h in here], "flag")


def join(
    rows: Sequence[Row], values: Sequence[Value], then: Flow, other: Flow,
    test: ast.expr | None = None,
) -> list[Any]:  # fmt: skip
    """Per axis, a size that holds on both sides of a condition, or `2 * c if test else c`."""
    if len(then.sizes) != len(other.sizes):
        raise PlainError("the ranks differ behind a condition")
    found: list[Any] = []
    shape = dims(values[0])
    for a in range(len(then.sizes)):
        one: Any = None
        for size in (then.sizes[a], other.sizes[a]):
            if isinstance(size, Sym):
                trial = [*shape[:a], Sym(shape[a], size.terms), *shape[a + 1 :]]
                got = sizes_of(rows, tuple(trial), values)[a]
                if isinstance(got, Sym):
                    one = got
                    break
        sides = (then.sizes[a], other.sizes[a])
        number = any(isinstance(s, int) and not isinstance(s, Sym) for s in sides)
        if one is None and number:
            one = sizes_of(rows, shape, values)[a]
        if one is None and test is not None and None not in sides:
            either = traced(shape[a], ast.IfExp(test, *map(written, sides)))
            one = sizes_of(rows, (*shape[:a], either, *shape[a + 1 :]), values)[a]
        found.append(one)
    return found
