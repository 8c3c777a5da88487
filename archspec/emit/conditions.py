"""What holds in some instances only → conditions and joins in the class's names."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence

from archspec.emit.engine import Section
from archspec.emit.explain import Row, UnprovableError, Var, holds, lookup, translate
from archspec.emit.unit import Scope
from archspec.expand.tree import Occurrence, Value


class Conditions(Section):
    """The part of the lowering that knows `when`, and what flows on behind it."""

    def records(
        self, scope: Scope, rows: Sequence[Row], previous: Sequence[Value | None]
    ) -> Mapping[str, Var]:
        if any(v is None for v in previous):
            return scope.records
        try:
            return {**scope.records, "prev": lookup(rows, [v for v in previous if v is not None])}
        except UnprovableError:
            return scope.records

    def condition(
        self,
        scope: Scope,
        column: Sequence[tuple[Row, Occurrence]],
        here: Sequence[bool],
        previous: Var | None,
    ) -> ast.expr:
        """The author's `when`, where it is right in every instance; else a boolean of its own."""
        item = column[0][1].item
        records = {**scope.records, "prev": previous} if previous is not None else scope.records
        hint = (
            item.id.text if item.id is not None and item.id.text.isidentifier() else item.op.lower()
        )
        return scope.explain(
            [r for r, _ in column],
            translate(item.when, scope.names, records),
            list(here),
            f"with_{hint}",
        )

    def join(
        self, rows: Sequence[Row], values: Sequence[Value], then: Var, other: Var
    ) -> list[ast.expr | None]:
        """Per axis, an expression that holds on both sides of a condition."""
        found: list[ast.expr | None] = []
        for a in range(min(len(then.axes), len(other.axes))):
            sizes = [size_of(v, a) for v in values]
            found.append(
                next(
                    (
                        c
                        for c in (then.axes[a], other.axes[a])
                        if c is not None and holds(c, rows, sizes)
                    ),
                    None,
                )
            )
        return found

    def sub_row(self, row: Row) -> Row:
        """A row of its own for one copy of a repeat whose copies are written one by one."""
        return Row(dict(row.py), row.vals, row.base)


def size_of(value: Value | None, axis: int) -> int | None:
    if value is None or value.type is None or axis >= len(value.type.shape):
        return None
    return value.type.shape[axis]
