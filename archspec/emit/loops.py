"""Copies in a container → a comprehension, a loop with columns, or one by one."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from archspec.emit.alike import tail_alike
from archspec.emit.chain import Chains, all_equal, dim, ends, update, words_of
from archspec.emit.engine import Section, must
from archspec.emit.explain import Row, UnprovableError, Var, define, holds, names_in, translate
from archspec.emit.sinks import Own, Positional, Sink
from archspec.emit.syntax import For, Line, Stmt, call, literal
from archspec.emit.tidy import assigned, stmt_names
from archspec.emit.unit import Scope, Unit, plain
from archspec.expand.tree import Copy, Occurrence
from archspec.expressions import Expr
from archspec.language import Item


class _Checkpoint:
    """What a loop that cannot be proved must leave as it was."""

    def __init__(self, unit: Unit, rows: Sequence[Row], sink: Sink, into: list[Stmt]) -> None:
        self.unit, self.rows, self.into, self.length = unit, rows, into, len(into)
        self.py = [dict(r.py) for r in rows]
        self.names = set(unit.taken), set(unit.carried), dict(unit.potential), set(unit.counters)
        self.vals = [(r.vals, {k: len(v) for k, v in r.vals.items()}) for r in rows]
        self.sinks = [(s, s.variable) for s in (*unit.sinks, sink) if not isinstance(s, Own)]

    def restore(self) -> None:
        unit = self.unit
        unit.taken, unit.carried, unit.potential, unit.counters = self.names
        del self.into[self.length :]
        for row, py in zip(self.rows, self.py, strict=True):
            row.py.clear()
            row.py.update(py)
        for sink, variable in self.sinks:
            sink.variable = variable
        for vals, sizes in self.vals:
            for key, found in vals.items():
                del found[sizes.get(key, 0) :]


@dataclass(eq=False)
class Loops(Section):
    """The part of the lowering that writes repeats inside containers."""

    chains: Chains

    def copies(
        self,
        scope: Scope,
        item: Item,
        rows: list[Row],
        copies: list[list[Copy]],
        sink: Sink,
        into: list[Stmt],
        cur: Var,
    ) -> Var:
        """Adds the copies of a repeated item: alike, the first apart, in a loop, or one by one."""
        if all(len(c) == 1 for c in copies):
            return self._rounds(scope, item, rows, copies, 0, sink, into, cur)
        first = next(c for c in copies if c)[0]
        if isinstance(sink, Positional) and (first.segments or first.body is None) and all(copies):
            apart = max(tail_alike(c) for c in copies)
            if apart <= 1:
                return self._alike_copies(scope, item, rows, copies, apart, sink, into, cur)
        if not sink.named or any(len(c) != 2 for c in copies):
            before = _Checkpoint(scope.unit, rows, sink, into)
            try:
                return self._loop(scope, item, rows, copies, sink, into, cur)
            except UnprovableError:
                if len({len(c) for c in copies}) > 1:
                    raise
                before.restore()
        for k in range(len(copies[0])):
            cur = self._rounds(scope, item, rows, copies, k, sink, into, cur)
        return cur

    def _rounds(
        self,
        scope: Scope,
        item: Item,
        rows: list[Row],
        copies: list[list[Copy]],
        k: int,
        sink: Sink,
        into: list[Stmt],
        cur: Var,
    ) -> Var:
        """Copy k, written by itself."""
        here = [(r, c[k]) for r, c in zip(rows, copies, strict=True)]
        bare = Scope(
            scope.unit,
            scope.rows,
            {n: v for n, v in scope.names.items() if n not in _own_names(item)},
            scope.records,
            scope.parent,
        )
        bare.place, bare.columns = scope.place, scope.columns
        return self.chains.element(bare, item, here, sink, into, cur)

    def _alike_copies(
        self,
        scope: Scope,
        item: Item,
        rows: list[Row],
        copies: list[list[Copy]],
        apart: int,
        sink: Positional,
        into: list[Stmt],
        cur: Var,
    ) -> Var:
        out = cur
        if apart:
            out = self._rounds(scope, item, rows, copies, 0, sink, into, cur)
        rest = [(r, c) for r, c in zip(rows, copies, strict=True) if len(c) > apart]
        values = [len(c) for c in copies]
        if rest:
            there = [r for r, _ in rest]
            inner: list[Stmt] = []
            value, out_rest = self.chains.module_of(
                scope, item, there, [c[apart] for _, c in rest], inner, out
            )
            count = self._count(scope, item, rows, values)
            if apart:
                count = _less(count, apart)
            if isinstance(count, ast.Constant) and count.value == 1:
                into += inner
                sink.add(ast.Constant(""), value, into)
            elif inner:  # each round makes its own modules
                sink.open(into)
                sink.add(ast.Constant(""), value, inner)
                into.append(For("_", call("range", count), inner))
            else:
                rounds = ast.GeneratorExp(
                    value, [ast.comprehension(ast.Name("_"), call("range", count), [], 0)]
                )
                if sink.variable is None:
                    sink.elements.append(ast.Starred(rounds))
                else:
                    into.append(Line(call(f"{sink.variable}.extend", rounds)))
            last = [must(c[-1].out) for c in copies]
            axes = []
            for a in range(len(out_rest.axes)):
                sizes = [dim(v, a) for v in last]
                candidates = (out_rest.axes[a], out.axes[a] if a < len(out.axes) else None)
                axes.append(
                    next((x for x in candidates if x is not None and holds(x, rows, sizes)), None)
                )
            out = Var(axes)
        return define(rows, [must(c[-1].out) for c in copies], out)

    def _count(
        self, scope: Scope, item: Item, rows: Sequence[Row], values: Sequence[int]
    ) -> ast.expr:
        assert item.repeat is not None
        return scope.explain(
            rows, translate(item.repeat.count, scope.names, scope.records), values, "count"
        )

    def _loop(
        self,
        scope: Scope,
        item: Item,
        rows: list[Row],
        copies: list[list[Copy]],
        sink: Sink,
        into: list[Stmt],
        cur: Var,
    ) -> Var:
        unit = scope.unit
        assert item.repeat is not None
        loop = Scope(unit, [], {}, scope.records, scope)
        index = next(n for n in ("i", "j", "k", "m", "n0", "n1", "n2", "n3") if n not in unit.taken)
        if sink.named or _reads_loop(item):
            unit.taken.add(index)
        columns = {c: unit.local(c) for c in item.repeat.columns}
        for row, cs in zip(rows, copies, strict=True):
            for k, c in enumerate(cs):
                sub = Row(dict(row.py), row.vals, row.base)
                sub.py[index] = k
                for column, text in columns.items():
                    sub.py[text] = plain(c.env.get(column))
                loop.rows.append(sub)
                loop.place[id(sub)] = (k, row)
        loop.names = {
            **scope.names,
            **{c: ast.Name(t) for c, t in columns.items()},
            **_loop_names(index, copies),
        }
        flat = [c for cs in copies for c in cs]
        counter = self._counter(loop, item, flat)
        inside, carry = self._enter(scope, loop, flat, cur)
        sink.open(into)
        body: list[Stmt] = []
        end = self.chains.element(
            loop, item, list(zip(loop.rows, flat, strict=True)), sink, body, inside
        )
        if counter is not None and counter in set().union(*(stmt_names(s) for s in body)):
            body.append(Line(ast.Constant(1), counter, op="+="))
            unit.counters.add(counter)
        axes, before = self._leave(
            scope, loop, rows, copies, flat, cur, end, carry, body, {index, *columns.values()}
        )
        header, pair = self._header(scope, loop, item, rows, copies, body, index, columns, before)
        unit.settle(assigned(body) | set(before), into)
        into += [Line(v, t) for t, v in before.items() if t != pair]
        if body:
            into.append(For(*header, body))
        unit.taken -= {index, *columns.values(), *loop.columns}
        out = Var(axes)
        return define(rows, [must(c[-1].out) for c in copies], out) if all(copies) else out

    def _counter(self, loop: Scope, item: Item, flat: list[Copy]) -> str | None:
        """`loop.serial` as a variable that counts on through the loops around.

        None where it is not read, or counts no such thing.
        """
        if not _counting(item):
            return None
        by_base: dict[int, list[int]] = {}
        for row, c in zip(loop.rows, flat, strict=True):
            here = c.env["loop"]
            by_base.setdefault(row.base, []).append(here.serial)  # type: ignore[attr-defined]
        totals = {c.env["loop"].total for c in flat}  # type: ignore[attr-defined]
        if (
            any(sorted(s) != list(range(len(s))) for s in by_base.values())
            or len(totals) != 1
            or any(len(s) not in totals for s in by_base.values())
        ):
            return None
        text = loop.unit.local("done")
        for row, c in zip(loop.rows, flat, strict=True):
            row.py[text] = c.env["loop"].serial  # type: ignore[attr-defined]
        loop.names = {
            **_settled(item, flat),
            **loop.names,
            "loop.serial": ast.Name(text),
            "loop.total": ast.Constant(totals.pop()),
        }
        return text

    def _enter(
        self,
        scope: Scope,
        loop: Scope,
        flat: list[Copy],
        cur: Var,
    ) -> tuple[Var, dict[int, str]]:
        """The line inside the loop, and the widths that become variables, by axis.

        What does not change keeps its expression.
        """
        unit = scope.unit
        inside = Var([None] * len(cur.axes))
        carry: dict[int, str] = {}
        for a, old in enumerate(cur.axes):
            sizes = [dim(c.ins[0], a) for c in flat]
            if old is not None and holds(old, loop.rows, sizes):
                inside.axes[a] = old
            elif a in ends(cur) and not (all_equal(sizes) and old is None):
                hint = "channels" if a == 0 and len(cur.axes) > 1 else "features"
                text = (
                    old.id
                    if isinstance(old, ast.Name) and old.id in unit.carried
                    else hint
                    if hint in unit.carried
                    else unit.local(hint)
                )
                unit.carried.add(text)
                carry[a] = text
                inside.axes[a] = ast.Name(text)
                for sub, size in zip(loop.rows, sizes, strict=True):
                    sub.py[text] = size
        define(loop.rows, [must(c.ins[0]) for c in flat], inside)
        return inside, carry

    def _leave(
        self,
        scope: Scope,
        loop: Scope,
        rows: list[Row],
        copies: list[list[Copy]],
        flat: list[Copy],
        cur: Var,
        end: Var,
        carry: dict[int, str],
        body: list[Stmt],
        local: set[str],
    ) -> tuple[list[ast.expr | None], dict[str, ast.expr]]:
        """What is known of the line behind the loop, and what must be set before it.

        Adds the updates of widths to its body.
        """
        axes: list[ast.expr | None] = []
        before: dict[str, ast.expr] = {}
        used = set().union(*(stmt_names(s) for s in body)) | assigned(body)
        last = [c[-1].out if c else None for c in copies]
        full = [(r, v) for r, v in zip(rows, last, strict=True) if v is not None]
        for a in range(len(end.axes)):
            new = end.axes[a]
            sizes = [dim(v, a) for _, v in full]
            text = carry.get(a)
            outside = (
                new
                if new is not None
                and not names_in(new) & (local | set(loop.columns) | set(carry.values()))
                else None
            )
            settled = (
                outside is not None
                and holds(outside, [r for r, _ in full], sizes)
                and len(full) == len(rows)
            )
            if text is None:
                axes.append(outside if settled else None)
                continue
            if text not in used and (settled or all_equal(sizes)):
                axes.append(outside if settled else None)
                continue
            behind = outside if settled else ast.Name(text)
            ends = [dim(c.out, a) for c in flat]
            if new is None:
                new = loop.explain(loop.rows, [], ends, "channels")
            if not holds(ast.Name(text), loop.rows, ends):
                body.append(update(text, new))
            begins = [dim(c[0].ins[0], a) if c else None for c in copies]
            start = scope.explain(
                [r for r, b in zip(rows, begins, strict=True) if b is not None],
                [cur.axes[a]],
                [b for b in begins if b is not None],
                text,
            )
            if not (isinstance(start, ast.Name) and start.id == text):
                before[text] = start
            for (row, _), size in zip(full, sizes, strict=True):
                row.py[text] = size
            axes.append(behind)
        return axes, before

    def _header(
        self,
        scope: Scope,
        loop: Scope,
        item: Item,
        rows: list[Row],
        copies: list[list[Copy]],
        body: list[Stmt],
        index: str,
        columns: Mapping[str, str],
        before: dict[str, ast.expr],
    ) -> tuple[tuple[str, ast.expr], str | None]:
        """`c in (64, 128)`, `_ in range(n)`, `i, (n, c) in enumerate(…)`.

        And the carried width if it has become a column.
        """
        used = set().union(*(stmt_names(s) for s in body))
        table: dict[str, list[ast.expr]] = {}
        for column, text in columns.items():
            if text in used:
                table[text] = self._entries(scope, loop, item, rows, copies, column)
        table |= {t: e for t, e in loop.columns.items() if t in used}
        pair = None
        if (
            not table
            and index not in used
            and len(before) == 1
            and all(len(c) == 2 for c in copies)
        ):
            ((text, start),) = before.items()
            last = body[-1]
            if (
                isinstance(last, Line)
                and last.target == text
                and last.op == "="
                and not names_in(last.value) & {text}
            ):
                body.pop()
                table[text], pair = [start, last.value], text
        if not table:
            count = self._count(scope, item, rows, [len(c) for c in copies])
            return (index if index in used else "_", call("range", count)), None
        texts = list(table)
        entries: list[ast.expr] = (
            [e[0] for e in zip(*table.values(), strict=True)]
            if len(texts) == 1
            else [ast.Tuple(list(e)) for e in zip(*table.values(), strict=True)]
        )
        iterable: ast.expr = ast.Tuple(entries)
        target = ", ".join(texts)
        if index in used:
            target = f"{index}, ({target})" if len(texts) > 1 else f"{index}, {target}"
            iterable = call("enumerate", iterable)
        return (target, iterable), pair

    def _entries(
        self,
        scope: Scope,
        loop: Scope,
        item: Item,
        rows: list[Row],
        copies: list[list[Copy]],
        column: str,
    ) -> list[ast.expr]:
        assert item.repeat is not None
        written = item.repeat.columns[column]
        entries = []
        for k in range(loop.rounds()):
            candidates = (
                translate(written[k], scope.names, scope.records)
                if isinstance(written, list) and k < len(written) and isinstance(written[k], Expr)
                else []
            )
            entries.append(
                scope.explain(rows, candidates, [c[k].env[column] for c in copies], column)
            )
        return entries

    def chain_repeat(
        self,
        scope: Scope,
        item: Item,
        column: Sequence[tuple[Row, Occurrence]],
        sink: Sink,
        into: list[Stmt],
        cur: Var,
    ) -> Var:
        rows = [r for r, _ in column]
        copies = [[c for c in o.copies if c is not None] for _, o in column]
        if not any(copies):
            return cur
        if column[0][1].name is None:
            out = self.copies(scope, item, rows, copies, sink, into, cur)
        else:
            texts = [o.name or "" for _, o in column]
            inner = Positional(scope.unit, texts[0] if len(set(texts)) == 1 else words_of(item))
            scope.unit.sinks.append(inner)
            try:
                out = self.copies(scope, item, rows, copies, inner, into, cur)
            finally:
                scope.unit.sinks.pop()
            sink.add(
                self.chains.label(scope, item, rows, texts) if sink.named else ast.Constant(""),
                inner.finish(),
                into,
            )
        return define(rows, [must(o.out) for _, o in column], out)


def _own_names(item: Item) -> set[str]:
    columns = set(item.repeat.columns) if item.repeat is not None else set()
    return columns | {"loop.index", "loop.first", "loop.last", "loop.count"}


def _loop_names(index: str, copies: list[list[Copy]]) -> dict[str, ast.expr]:
    found: dict[str, ast.expr] = {
        "loop.index": ast.Name(index),
        "loop.first": ast.Compare(ast.Name(index), [ast.Eq()], [ast.Constant(0)]),
    }
    counts = {len(c) for c in copies}
    if len(counts) == 1:
        found["loop.last"] = ast.Compare(
            ast.Name(index), [ast.Eq()], [ast.Constant(counts.pop() - 1)]
        )
    return found


def _less(count: ast.expr, by: int) -> ast.expr:
    if isinstance(count, ast.Constant) and isinstance(count.value, int):
        return literal(count.value - by)
    return ast.BinOp(count, ast.Sub(), ast.Constant(by))


def _reads_loop(item: Item) -> bool:
    """Whether an expression in the item reads `loop`, inner repeats left out."""
    values = [*item.args.values(), item.when, item.shortcut_when]
    if any(isinstance(v, Expr) and "loop" in v.names for v in values) or (
        item.id is not None and "loop" in item.id.names
    ):
        return True
    inner = [*item.items, *(item.shortcut or ()), *(i for b in item.branches for i in b.items)]
    return any(i.repeat is None and _reads_loop(i) for i in inner)


def _counting(item: Item) -> list[Expr]:
    """The arguments that say which copy of all it is."""
    given = item.args.values()
    return [v for v in given if isinstance(v, Expr) and ("loop", "serial") in v.fields]


def _settled(item: Item, copies: Sequence[Copy]) -> dict[str, ast.expr]:
    """The numbers that these arguments are worked out with, where all copies have the same."""
    found: dict[str, ast.expr] = {}
    for text in {n for v in _counting(item) for n in v.names}:
        values = {v for c in copies if isinstance(v := c.env.get(text), int | float)}
        if len(values) == 1:
            found[text] = ast.Constant(values.pop())
    return found
