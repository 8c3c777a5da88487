"""Items that are there in some instances of a class only: where, and what flows on behind them.

    - {id: down, when: $(stride > 1), conv: …}      self.down = nn.Conv2d(…) if stride > 1 else None
                                                    if self.down is not None:
                                                        x = self.down(x)

An item whose condition comes out alike in all instances may still come and go with the class's
arguments: then it is written so too.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from typing import Any

from archspec.emit.forward import Assign
from archspec.emit.lowering import conditions
from archspec.emit.lowering.flow import Flow, PlainError, Row, dims, lookup, must
from archspec.emit.lowering.modules import torch_call
from archspec.emit.lowering.scope import Scope
from archspec.emit.lowering.sinks import Site
from archspec.emit.syntax import Line
from archspec.expand.tree import Body, Copy, Occurrence, Value
from archspec.expressions import Expr

Column = list[tuple[Row, Occurrence]]  # an item in every row
Pairs = list[tuple[Row, Copy]]
Paths = list[tuple[Row, Body]]


def comes_and_goes(scope: Scope, column: Column, body: Body) -> list[bool] | None:
    """Where an item is there, if not everywhere or not at every argument of the class."""
    item, copies = column[0][1].item, column[0][1].copies
    if item.repeat is not None or not isinstance(item.when, Expr):
        return None
    here = conditions.presence(column)
    if here is not None or item.tap is not None or not copies:
        return here
    copy = copies[0]
    if copy is None or not copy.ins or scope.unit.root:
        return None
    prev = None
    if copy.ins[0] is not None:
        prev = _known([r for r, _ in column], [c.ins[0] for _, o in column for c in o.copies if c])
    asked = conditions.open_ended(scope, item.when, column[0][0], copy, prev)
    if not asked or _names_others((scope.unit.parts[0][1], body), copy) or _loses_batch(copy):
        return None
    return [True] * len(column) if _keeps_rank(copy) else None


def _keeps_rank(copy: Copy) -> bool:
    """Whether what flows on has as many axes where the item is absent."""
    return len(dims(copy.ins[0])) == len(dims(copy.out))


def _loses_batch(copy: Copy) -> bool:
    """Whether what flows on has a batch axis where the item is absent alone: a `shift_mask`."""
    return copy.layer is not None and torch_call(copy, module=False).batchless


def _names_others(parts: Sequence[Body | Copy], copy: Copy) -> bool:
    """Whether others would have other names if a copy were not there.

    Those without an id are numbered among what is there: `conv2` would be `conv1`.
    """
    own = dict(_numbered([copy]))
    bodies = [b for p in parts for b in (p.parts() if isinstance(p, Copy) else (p,))]
    within = [c for body in bodies for c in body.copies()]
    return any(stem in own and number > own[stem] for stem, number in _numbered(within, but=copy))


def _numbered(copies: Sequence[Copy], but: Copy | None = None) -> Iterator[tuple[str, int]]:
    """The names that go by number, taken apart: `conv2` → conv, 2; `but` what is in one copy."""
    for copy in copies:
        if copy is but:
            continue
        found = re.fullmatch(r"(\w*[a-z_])(\d+)", copy.segments[0]) if copy.segments else None
        if found is not None:
            yield found[1], int(found[2])
        for body in copy.parts() if not copy.segments else ():
            yield from _numbered(list(body.copies()), but)


def decided(scope: Scope, column: Column) -> None:
    """Notes which arguments decide that an item is there in all rows, or in none."""
    item = column[0][1].item
    if item.repeat is None and not isinstance(item.when, Expr):
        return
    pairs = [(r, c) for r, o in column for c in o.copies if c is not None]
    if not pairs:
        flow = _known([r for r, _ in column], [o.out for _, o in column])
        conditions.absent(scope, item, column, flow)
    elif item.repeat is None:
        holding(scope, item.when, pairs)


def holding(scope: Scope, when: Any, pairs: Pairs) -> None:
    """Notes which arguments a condition reads that comes out alike in all rows."""
    if isinstance(when, Expr):
        rows, copies = [r for r, _ in pairs], [c for _, c in pairs]
        prev = _known(rows, [c.ins[0] if c.ins else None for c in copies])
        conditions.decided(scope, when, rows, copies, prev)


def _known(rows: list[Row], values: Sequence[Value | None]) -> Flow | None:
    """The flow that holds these values, if one does."""
    try:
        return lookup(rows, values)
    except PlainError:
        return None


def given_behind(paths: Paths, span: tuple[int, int]) -> tuple[list[Row], list[Value]]:
    return [r for r, _ in paths], [must(b.items[span[1] - 1].out) for _, b in paths]


def joined(rows: list[Row], values: list[Value], sides: tuple[Flow, Flow], test: ast.expr) -> Flow:
    """What flows on behind a condition."""
    then, other = sides
    if (then.batchless, then.led) != (other.batchless, other.led):
        raise PlainError("a batch axis that is there in some instances only")
    out = Flow(conditions.join(rows, values, then, other, test))
    out.batchless, out.led = then.batchless, then.led
    return out


def passed_on(found: Body, span: tuple[int, int]) -> Value:
    """What flows on where the items are absent, or would flow on where they are there."""
    items = found.items[slice(*span)]
    value = must(items[-1].out)
    for copy in (o.copies[0] for o in reversed(items) if o.copies):
        if copy is not None and value is copy.out:
            value = must(copy.ins[0] if copy.ins else None)
    return value


def named_twice(found: Body, at: int) -> bool:
    """Whether another item, under the opposite condition, has the name of this one."""
    name_ = found.items[at].name
    return name_ is not None and sum(o.name == name_ for o in found.items) > 1


def one_module(test: ast.expr, inner: Site, then: Flow) -> Line | None:
    """`self.m = X if test else None` for one module on the line."""
    if len(inner.init) != 1 or len(inner.steps) != 1:
        return None
    line, step = inner.init[0], inner.steps[0]
    if not isinstance(line, Line) or not line.target.startswith("self.") or line.op != "=":
        return None
    if line.annotation or not isinstance(step, Assign) or step.outs != [then]:
        return None
    return Line(ast.IfExp(test, line.value, ast.Constant(None)), line.target)
