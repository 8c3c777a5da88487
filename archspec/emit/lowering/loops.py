"""Repeats → loops of the constructor: `for …:` around what makes one copy.

A repeat is walked once, for all its copies: its columns are names, and a width that changes from
copy to copy becomes a variable that the loop carries.

    - repeat: {n: [2, 3], c: [64, 128]}         features: list[nn.Module] = []
      body:                                     channels = 3
        - repeat: $n                            for n, c in ((2, 64), (3, 128)):
          body: [{conv: {out: $c, …}}, relu]        for _ in range(n):
        - max_pool: 2                                   features += [nn.Conv2d(channels, c, …), …]
                                                        channels = c
                                                    features.append(nn.MaxPool2d(2))
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Any

from archspec.emit.lowering import conditions
from archspec.emit.lowering.flow import (
    Flow,
    PlainError,
    Row,
    alike,
    apart_from_first,
    define,
    dims,
    holds,
    lookup,
    must,
    sizes_of,
)
from archspec.emit.lowering.modules import Place
from archspec.emit.lowering.scope import Info, Scope
from archspec.emit.lowering.sinks import Site
from archspec.emit.syntax import (
    For,
    Line,
    Stmt,
    call,
    change,
    exchanged,
    flat,
    literal,
    name,
    names_in,
    rebuilt,
)
from archspec.emit.text import render
from archspec.emit.tidy import assigned, stmt_names
from archspec.expand.tree import Copy, Occurrence, Value
from archspec.expressions import Expr
from archspec.expressions.sym import Listed, Sym, evaluate, plain, written
from archspec.language import Item

LEAST = 3  # modules that are alike but for a number, from which on they are gone through
_BUILT_IN = frozenset({"range", "len", "min", "max", "abs", "int", "round", "sum", "sorted"})
_AUGMENTED = {ast.Add: "+=", ast.Sub: "-=", ast.Mult: "*=", ast.FloorDiv: "//="}


def own(item: Item) -> set[str]:
    """What the expressions of an item may read of its repeat."""
    columns = set(item.repeat.columns) if item.repeat is not None else set()
    fields = ("index", "first", "last", "count", "serial", "total")
    return columns | {f"loop.{f}" for f in fields}


class Copies:
    """A repeated item and its copies, in every row."""

    def __init__(self, column: Sequence[tuple[Row, Occurrence]]) -> None:
        self.item = column[0][1].item
        self.rows = [r for r, _ in column]
        self.each = [[c for c in o.copies if c is not None] for _, o in column]
        self.outs = [o.out for _, o in column]  # behind the last

    def at(self, k: int) -> list[tuple[Row, Copy]]:
        """Copy k, in the rows that have it."""
        return [(r, c[k]) for r, c in zip(self.rows, self.each, strict=True) if len(c) > k]

    @property
    def counts(self) -> list[int]:
        return [len(c) for c in self.each]

    @property
    def varies(self) -> bool:
        """Whether the number of copies differs between the rows."""
        return len(set(self.counts)) > 1

    @property
    def many(self) -> Any:
        """The author's number of copies, where it is said by itself."""
        return self.item.repeat.count if self.item.repeat is not None else None

    @property
    def flat(self) -> list[Copy]:
        return [c for copies in self.each for c in copies]

    @property
    def starts(self) -> list[Value | None]:
        """What the first copy takes."""
        firsts = zip(self.each, self.outs, strict=True)
        return [c[0].ins[0] if c else out for c, out in firsts]

    @property
    def own(self) -> set[str]:
        """What the expressions of the item may read of the repeat."""
        return own(self.item)

    def count(self, scope: Scope) -> ast.expr:
        """How many copies: the author's count where it is one, else the number."""
        assert self.item.repeat is not None
        some = next(((r, c) for r, c in zip(self.rows, self.each, strict=True) if c), None)
        value: Any = None
        if some is not None:
            value = scope.worked(self.item.repeat.count, some[0], some[1][0].env)
        return scope.say(self.rows, value, self.counts, "n")

    def same_count(self) -> None:
        """Raises PlainError where the rows differ in the number of copies."""
        if self.varies:
            apart = apart_from_first(self.rows, self.counts)
            raise PlainError("the number of copies differs between instances", apart)


def comprehension(value: ast.expr, count: ast.expr) -> ast.expr:
    """`(value for _ in range(count))`."""
    rounds = ast.comprehension(ast.Name("_"), call("range", count), [], 0)
    return ast.GeneratorExp(value, [rounds])


def over(
    elements: Sequence[ast.expr], word: str, classes: Sequence[Info]
) -> ast.GeneratorExp | None:
    """Calls that differ in one number, as one that goes through these.

    Stage(64, 1), Stage(64, 2), Stage(64, 3)      (Stage(64, size) for size in (1, 2, 3))
    `word`: what the number is called, if it is no keyword's; `classes`: whose defaults are known.
    """
    calls = [e for e in elements if isinstance(e, ast.Call)]
    if len(calls) < max(LEAST, len(elements)):
        return None
    calls = _said_in_full(calls, classes)
    parts = [[(k.arg, k.value) for k in c.keywords] for c in calls]
    parts = [[*((None, a) for a in c.args), *rest] for c, rest in zip(calls, parts, strict=True)]
    forms = {(render(c.func), *(text for text, _ in p)) for c, p in zip(calls, parts, strict=True)}
    if len(forms) > 1:
        return None
    columns = [[value for _, value in column] for column in zip(*parts, strict=True)]
    varying = [k for k, column in enumerate(columns) if len(set(map(render, column))) > 1]
    if len(varying) != 1 or not all(isinstance(v, ast.Constant) for v in columns[varying[0]]):
        return None
    (at,) = varying
    first, text = calls[0], parts[0][at][0] or word
    if not text.isidentifier() or text in names_in(first):
        return None
    said = [name(text) if k == at else value for k, (_, value) in enumerate(parts[0])]
    args, rest = said[: len(first.args)], said[len(first.args) :]
    given = [ast.keyword(k.arg, v) for k, v in zip(first.keywords, rest, strict=True)]
    rounds = ast.comprehension(name(text), ast.Tuple(columns[at]), [], 0)
    return ast.GeneratorExp(ast.Call(first.func, args, given), [rounds])


def _said_in_full(calls: list[ast.Call], classes: Sequence[Info]) -> list[ast.Call]:
    """The same, each with the keywords that any has: `Conv(8, rate=1)` of `Conv(8)`."""
    asked = {k.arg for c in calls for k in c.keywords}
    info = next((i for i in classes if i.name == render(calls[0].func)), None)
    if info is None or all(len(c.keywords) == len(asked) for c in calls):
        return calls
    known = {p.name: p.default for p in info.parameters if p.name in asked}
    full = []
    for c in calls:
        given = {k.arg: k.value for k in c.keywords}
        if any(p not in given and default is ... for p, default in known.items()):
            return calls
        said = [ast.keyword(p, given[p] if p in given else literal(d)) for p, d in known.items()]
        full.append(ast.Call(c.func, c.args, said))
    return full


def less(count: ast.expr, by: int) -> ast.expr:
    """`count - by`."""
    whole = ast.BinOp(count, ast.Sub(), ast.Constant(by))
    linear = (ast.BinOp, ast.operator, ast.Name, ast.Load, ast.Constant)
    if not all(isinstance(n, linear) for n in ast.walk(whole)):
        return whole
    return written(evaluate(whole, {n: Sym.of(n, 1) for n in names_in(count)}))


def ends(flow: Flow) -> tuple[int, ...]:
    """The axes that hold widths: channels, and of a sequence the features."""
    if len(flow.sizes) == 2:
        return (0, 1)
    return (0,) if flow.sizes else ()


def carried_through(
    inner: Site, place: Place, values: Sequence[Value], flows: tuple[Flow, Flow], into: list[Stmt]
) -> list[Any]:
    """The sizes behind an `if`: a width that changes in it is a variable that it updates.

    `flows` are what comes out of it, and what passes it by.
    """
    then, other = flows
    sizes = conditions.join(place.rows, values, then, other)
    for a in ends(other):
        old, new = other.sizes[a], then.sizes[a]
        if sizes[a] is not None or old is None or new is None:
            continue
        unit, text = inner.scope.unit, _carried_name(inner.scope, old)
        if text is None:
            text = unit.local("channels" if a == 0 and len(other.sizes) > 1 else "features")
            unit.carried.add(text)
            unit.settle({text}, into)
            into.append(Line(written(old), text))
        _updated(inner.init, text, written(new))
        for row, value in zip(place.rows, values, strict=True):
            row.py[text] = dims(value)[a]
        sizes[a] = Sym.of(text, dims(values[0])[a])
    return sizes


def _carried_name(scope: Scope, size: Any) -> str | None:
    """The variable that a size is, if it is one that loops carry."""
    if isinstance(size, Sym) and list(size.terms.values()) == [1]:
        (text,) = size.terms
        return text if text in scope.unit.carried else None
    return None


def _updated(body: list[Stmt], text: str, new: ast.expr) -> None:
    """Sets a variable: a call whose value the statements take too is made once, before them."""
    lines = [s for s in body if isinstance(s, Line)]
    reads: set[str] = set().union(*map(stmt_names, body))
    if not isinstance(new, ast.Call) or len(lines) < len(body) or text in reads:
        body.append(_update(text, new))
        return
    made = ast.dump(new)
    for line in lines:
        line.value = exchanged(line.value, lambda n: name(text) if ast.dump(n) == made else None)
    body.insert(0, Line(new, text))


def _update(text: str, new: ast.expr) -> Line:
    """`channels = c`, `channels += growth`."""
    if isinstance(new, ast.BinOp) and isinstance(new.left, ast.Name) and new.left.id == text:
        sign = _AUGMENTED.get(type(new.op))
        if sign is not None:
            return Line(new.right, text, op=sign)
    return Line(new, text)


class Checkpoint:
    """What a loop that does not hold must leave as it was."""

    def __init__(self, site: Site, rows: Sequence[Row]) -> None:
        unit = self.unit = site.scope.unit
        self.rows, self.into, self.length = rows, site.init, len(site.init)
        self.py = [dict(r.py) for r in rows]
        self.names = set(unit.taken), set(unit.carried), dict(unit.potential), set(unit.counters)
        self.vals = [(r.vals, {k: len(v) for k, v in r.vals.items()}) for r in rows]
        self.sinks = [(s, s.state()) for s in (*unit.sinks, site.sink)]
        self.order, self.groups = len(unit.whole.order), dict(unit.groups)

    def restore(self) -> None:
        unit = self.unit
        unit.taken, unit.carried, unit.potential, unit.counters = self.names
        unit.whole.forget(self.order)
        unit.groups = self.groups
        del self.into[self.length :]
        for row, py in zip(self.rows, self.py, strict=True):
            row.py.clear()
            row.py.update(py)
        for sink, state in self.sinks:
            sink.restore(state)
        for vals, sizes in self.vals:
            vals.update({key: found[: sizes.get(key, 0)] for key, found in vals.items()})


def behind(rows: Sequence[Row], last: Sequence[Value], end: Flow, start: Flow) -> list[Any]:
    """The sizes behind copies that are alike, some of which may not be there."""
    found: list[Any] = []
    shape = dims(last[0])
    for a, size in enumerate(end.sizes):
        one = None
        for s in (size, start.sizes[a] if a < len(start.sizes) else None):
            if isinstance(s, Sym) and holds(s, rows, [dims(v)[a] for v in last]):
                one = Sym(shape[a], s.terms)
                break
        number = isinstance(size, int) and not isinstance(size, Sym)
        found.append(sizes_of(rows, shape, last)[a] if one is None and number else one)
    return found


class Round:
    """A repeat whose copies are walked as one: the rounds of a loop.

    What is made at `inner` between `enter` and `leave` is what one round makes.
    """

    def __init__(self, site: Site, copies: Copies, cur: Flow) -> None:
        self.site, self.outer, self.copies, self.cur = site, site.scope, copies, cur
        self.before: dict[str, ast.expr] = {}  # a carried width -> what it starts with
        self.carry: dict[int, str] = {}  # an axis -> the width that is carried
        unit = site.scope.unit
        names = ("i", "j", "k", "m", "n0", "n1", "n2", "n3")
        self.index = next(n for n in names if n not in unit.taken)
        if site.sink.named or _reads_loop(copies.item):
            unit.taken.add(self.index)
        assert copies.item.repeat is not None
        self.columns = {c: unit.local(c) for c in copies.item.repeat.columns}
        self.scope = self._scope()
        self.counter = self._counter()
        self.inner = site.inside(self.scope)

    def _scope(self) -> Scope:
        known: dict[str, ast.expr] = {
            **self.outer.without(self.copies.own).names,
            **{c: ast.Name(t) for c, t in self.columns.items()},
            **_loop_names(self.index, self.copies.counts),
        }
        scope = Scope(self.outer.unit, known, self.outer.records, self.outer)
        scope.own = set(self.columns.values())
        for row, cs in zip(self.copies.rows, self.copies.each, strict=True):
            for k, c in enumerate(cs):
                sub = row.below()
                sub.py[self.index] = k
                for column, text in self.columns.items():
                    sub.py[text] = plain(c.env.get(column))
                scope.rows.append(sub)
                scope.place[id(sub)] = (k, row)
        return scope

    def _counter(self) -> str | None:
        """`loop.serial` as a variable that counts on through the loops around."""
        if not _counts(self.copies.item):
            return None
        by_base: dict[int, list[int]] = {}
        turns: list[Any] = [c.env["loop"] for c in self.copies.flat]
        for row, turn in zip(self.scope.rows, turns, strict=True):
            by_base.setdefault(row.base, []).append(turn.serial)
        totals = {turn.total for turn in turns}
        counted = all(sorted(s) == list(range(len(s))) for s in by_base.values())
        if not counted or len(totals) != 1 or any(len(s) not in totals for s in by_base.values()):
            return None
        text = self.scope.unit.local("done")
        for row, turn in zip(self.scope.rows, turns, strict=True):
            row.py[text] = turn.serial
        self.scope.names = {**self.scope.names, "loop.serial": ast.Name(text)}
        return text

    def enter(self) -> list[tuple[Row, Copy]]:
        """Widths that change become variables; the copies, one a row."""
        unit, rows, cur = self.scope.unit, self.scope.rows, self.cur
        starts = [must(c.ins[0]) for c in self.copies.flat]
        inside = Flow(sizes_of(rows, cur.at(rows[0], dims(starts[0])), starts))
        for a in ends(cur):
            numbers = [dims(v)[a] for v in starts]
            same = alike(numbers)
            if isinstance(inside.sizes[a], Sym) or (same and not isinstance(cur.sizes[a], Sym)):
                continue
            text = _carried_name(self.scope, cur.sizes[a])
            if text is None:
                hint = "channels" if a == 0 and len(cur.sizes) > 1 else "features"
                text = hint if hint in unit.carried else unit.local(hint)
            unit.carried.add(text)
            self.carry[a] = text
            inside.sizes[a] = Sym.of(text, numbers[0])
            for sub, n in zip(rows, numbers, strict=True):
                sub.py[text] = n
        define(rows, starts, inside)
        self.site.sink.open(self.site.init)
        return list(zip(rows, self.copies.flat, strict=True))

    def leave(self) -> list[Any]:
        """Writes the loop; the sizes behind it. Raises PlainError."""
        unit, body, into = self.scope.unit, self.inner.init, self.site.init
        if self.counter is not None and self.counter in _names_of(body):
            body.append(Line(ast.Constant(1), self.counter, op="+="))
            unit.counters.add(self.counter)
        sizes = self._behind(lookup(self.scope.rows, [c.out for c in self.copies.flat]))
        target, over, pair = self._header(body)
        unit.settle(assigned(body) | set(self.before), into)
        into += [Line(v, t) for t, v in self.before.items() if t != pair]
        if body:
            into.append(For(target, over, body))
        unit.taken -= {self.index, *self.columns.values(), *self.scope.columns}
        return sizes

    def _behind(self, end: Flow) -> list[Any]:
        """The sizes behind the loop; adds the updates of widths, and what is set before it."""
        scope, body = self.scope, self.inner.init
        local = {self.index, *self.columns.values(), *scope.columns, *self.carry.values()}
        used = _names_of(body) | assigned(body)
        last = [
            (r, c[-1].out) for r, c in zip(self.copies.rows, self.copies.each, strict=True) if c
        ]
        full, values = [r for r, _ in last], [must(v) for _, v in last]
        everywhere = len(full) == len(self.copies.rows)
        found: list[Any] = []
        for a, new in enumerate(end.sizes):
            numbers = [dims(v)[a] for v in values]
            sure = everywhere and not self.outer.unit.whole.follows(values, a)
            settled: Any = numbers[0] if alike(numbers) and sure else None
            if isinstance(new, Sym) and not names_in(new.tree) & local and everywhere:
                settled = Sym(numbers[0], new.terms) if holds(new, full, numbers) else settled
            text = self.carry.get(a)
            if text is not None and not isinstance(settled, Sym) and self._varies(a, new):
                unit = self.outer.unit
                unit.varying.add(text)
                settled = None
            if text is None or (text not in used and settled is not None):
                found.append(settled)
                continue
            self._carry(a, text, new)
            for row, n in zip(full, numbers, strict=True):
                row.py[text] = n
            found.append(settled if settled is not None else Sym.of(text, numbers[0]))
        return found

    def _varies(self, a: int, new: Any) -> bool:
        """Whether a carried width depends on the arguments of the class."""
        repeat, unit = self.copies.item.repeat, self.outer.unit
        assert repeat is not None
        reads: set[str] = set()
        for given in (repeat.count, *repeat.columns.values()):
            for n in given.names if isinstance(given, Expr) else ():
                tree = self.outer.names.get(n)
                reads |= names_in(tree) if tree is not None else set()
        for size in (self.cur.sizes[a], new):
            reads |= names_in(size.tree) if isinstance(size, Sym) else set()
        return bool(reads & (set(unit.potential) | set(unit.defined) | unit.varying))

    def _carry(self, a: int, text: str, new: Any) -> None:
        """Updates a width at the end of a round, and says what it starts with."""
        numbers = [dims(c.out)[a] for c in self.copies.flat]
        if not holds(ast.Name(text), self.scope.rows, numbers):
            value = self.scope.say(self.scope.rows, new, numbers, "channels")
            self.inner.init.append(_update(text, value))
        begins = self.copies.at(0)
        wanted = [dims(c.ins[0])[a] for _, c in begins]
        start = self.outer.say([r for r, _ in begins], self.cur.sizes[a], wanted, text)
        if not (isinstance(start, ast.Name) and start.id == text):
            self.before[text] = start

    def _header(self, body: list[Stmt]) -> tuple[str, ast.expr, str | None]:
        """`c in (64, 128)`, `_ in range(n)`, `i, (n, c) in enumerate(…)`.

        And the carried width if it has become a column.
        """
        used = _names_of(body)
        empty = not all(self.copies.each)
        if empty and any(t in used for t in self.columns.values()):
            raise PlainError("the repeat is empty in some instances")
        table: dict[str, list[ast.expr]] = {
            t: self._entries(c) for c, t in self.columns.items() if t in used
        }
        table |= {t: e for t, e in self.scope.columns.items() if t in used}
        pair = None
        two = set(self.copies.counts) == {2}
        if not table and self.index not in used and len(self.before) == 1 and two:
            ((text, start),) = self.before.items()
            last = body[-1]
            sets = isinstance(last, Line) and (last.target, last.op) == (text, "=")
            if isinstance(last, Line) and sets and text not in names_in(last.value):
                body.pop()
                table[text], pair = [start, last.value], text
        if not table:
            count = self.copies.count(self.outer)
            return (self.index if self.index in used else "_"), call("range", count), pair
        if empty:
            raise PlainError("the repeat is empty in some instances")
        lists = [self._list(c) for c, t in self.columns.items() if t in table]
        if len(lists) == len(table) and all(lists):
            over_lists = [x for x in lists if x is not None]
            over = over_lists[0] if len(lists) == 1 else call("zip", *over_lists)
            return (*self._target(list(table), over, used), pair)
        texts = self._renamed(table, body)
        if len(texts) == 1 and (said := self._as_said(table[texts[0]])) is not None:
            return (*self._target(texts, said, used), pair)
        columns = list(table.values())
        entries: list[ast.expr] = [ast.Tuple(list(e)) for e in zip(*columns, strict=True)]
        if len(columns) == 1:
            entries = columns[0]
        return (*self._target(texts, ast.Tuple(entries), used), pair)

    def _target(self, texts: list[str], over: ast.expr, used: set[str]) -> tuple[str, ast.expr]:
        """What goes through the columns; with the index where the body reads it."""
        target = ", ".join(texts)
        if self.index not in used:
            return target, over
        target = f"{self.index}, ({target})" if len(texts) > 1 else f"{self.index}, {target}"
        return target, call("enumerate", over)

    def _list(self, column: str) -> ast.expr | None:
        """The list that a column is, where the constructor has it under a name."""
        given, copies = self._column(column), self.copies
        if not isinstance(given, Expr):
            return None
        found = self.outer.worked(given, copies.rows[0], copies.each[0][0].env)
        lists = [tuple(plain(c.env.get(column)) for c in cs) for cs in copies.each]
        if not isinstance(found, Listed) or not holds(found.tree, copies.rows, lists):
            return None
        return found.tree

    def _as_said(self, entries: Sequence[ast.expr]) -> ast.expr | None:
        """`range(30)`, or the author's comprehension, where that is the shorter text."""
        given = next((g for g in map(self._column, self.columns) if isinstance(g, Expr)), None)
        if given is None or not isinstance(given.tree, (ast.Call, ast.ListComp)):
            return None
        calls = {render(n.func) for n in ast.walk(given.tree) if isinstance(n, ast.Call)}
        names = {n: tree for n in given.names if (tree := self.outer.names.get(n)) is not None}
        if len(self.columns) > 1 or not calls <= _BUILT_IN or len(names) < len(given.names):
            return None
        tree = rebuilt(given.tree, names.get)
        if len(render(tree)) >= len(render(ast.Tuple(list(entries)))):
            return None
        (column,) = self.columns
        lists = [tuple(plain(c.env.get(column)) for c in cs) for cs in self.copies.each]
        return tree if holds(tree, self.copies.rows, lists) else None

    def _renamed(self, table: dict[str, list[ast.expr]], body: list[Stmt]) -> list[str]:
        """The names of the columns: one that took an author's place takes its name too."""
        texts: list[str] = []
        for text in table:
            plain_ = next((t for t in self.columns.values() if text == f"{t}2"), None)
            if plain_ is None or plain_ in table or plain_ in texts:
                texts.append(text)
                continue
            rename(body, text, plain_)
            texts.append(plain_)
        order = [t for t in self.columns.values() if t in texts]
        order += [t for t in texts if t not in order]
        columns = dict(zip(texts, table.values(), strict=True))
        table.clear()
        table.update({t: columns[t] for t in order})
        return order

    def _entries(self, column: str) -> list[ast.expr]:
        """The entries of one of the author's columns."""
        given, rows, each = self._column(column), self.copies.rows, self.copies.each
        found = []
        for k in range(self.scope.rounds()):
            value: Any = None
            if isinstance(given, (list, tuple)) and k < len(given):
                value = self.outer.worked(given[k], rows[0], each[0][0].env)
            found.append(self.outer.say(rows, value, [c[k].env[column] for c in each], column))
        return found

    def _column(self, text: str) -> Any:
        """What the author gives for a column."""
        assert self.copies.item.repeat is not None
        return self.copies.item.repeat.columns[text]


def _names_of(body: list[Stmt]) -> set[str]:
    """The names that statements read."""
    return set().union(*(stmt_names(s) for s in body))


def rename(body: list[Stmt], old: str, new: str) -> None:
    """A local variable under another name, wherever it stands."""

    def other(text: str) -> ast.expr | None:
        return ast.Name(new) if text == old else None

    change(body, lambda value: rebuilt(value, other))
    for s in flat(body):
        if isinstance(s, Line) and s.target == old:
            s.target = new


def _loop_names(index: str, counts: Sequence[int]) -> dict[str, ast.expr]:
    at = ast.Name(index)
    found: dict[str, ast.expr] = {
        "loop.index": at,
        "loop.first": ast.Compare(at, [ast.Eq()], [ast.Constant(0)]),
    }
    if len(set(counts)) == 1:
        found["loop.last"] = ast.Compare(at, [ast.Eq()], [ast.Constant(counts[0] - 1)])
    return found


def _reads_loop(item: Item) -> bool:
    """Whether an expression in the item reads `loop`, inner repeats left out."""
    values = [*item.args.values(), item.when, item.shortcut_when]
    if any(isinstance(v, Expr) and "loop" in v.names for v in values):
        return True
    if item.id is not None and "loop" in item.id.names:
        return True
    inner = [*item.items, *(item.shortcut or ()), *(i for b in item.branches for i in b.items)]
    return any(i.repeat is None and _reads_loop(i) for i in inner)


def _counts(item: Item) -> bool:
    """Whether an argument says which copy of all it is."""
    values = item.args.values()
    return any(isinstance(v, Expr) and ("loop", "serial") in v.fields for v in values)
