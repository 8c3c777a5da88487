"""Modules one after the other → nn.Sequential: an expression, or statements that fill it.

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

from archspec.emit.lowering import conditions, links
from archspec.emit.lowering.flow import (
    Flow,
    PlainError,
    Row,
    alike,
    apart,
    define,
    dims,
    holds,
    lookup,
    sizes_of,
)
from archspec.emit.lowering.modules import block, construct, op, outer_sizes, titles
from archspec.emit.lowering.scope import Info, Scope
from archspec.emit.lowering.sinks import Named, Own, Positional, Sink
from archspec.emit.syntax import (
    For,
    If,
    Line,
    Stmt,
    call,
    exchanged,
    literal,
    name,
    names_in,
    rebuilt,
)
from archspec.emit.tidy import assigned, stmt_names
from archspec.expand.tree import Body, Copy, Occurrence, Value
from archspec.expressions import Expr
from archspec.expressions.sym import FAILURES, Listed, Sym, evaluate, plain, traced, written
from archspec.language import Item

Pairs = Sequence[tuple[Row, Body]]
_AUGMENTED = {ast.Add: "+=", ast.Sub: "-=", ast.Mult: "*=", ast.FloorDiv: "//="}


def must(value: Value | None) -> Value:
    """The value. Raises PlainError where nothing flows on."""
    if value is None:
        raise PlainError("nothing flows on here")
    return value


def container(
    scope: Scope, pairs: Pairs, segment: str, into: list[Stmt], cur: Flow, *,
    attribute: bool = False,
) -> tuple[ast.expr, Flow]:  # fmt: skip
    """An nn.Sequential for a named group; `attribute`: it is `self.<segment>`."""
    sink: Positional | Named = (
        Positional(scope.unit, segment)
        if links.numbered([b for _, b in pairs])
        else Named(scope.unit, segment, attribute)
    )
    scope.unit.sinks.append(sink)
    try:
        with apart([r for r, _ in pairs], [must(b.input) for _, b in pairs], cur):
            out = chain(scope, pairs, sink, into, cur)
    finally:
        scope.unit.sinks.pop()
    return sink.finish(), out


def chain(scope: Scope, pairs: Pairs, sink: Sink, into: list[Stmt], cur: Flow) -> Flow:
    """Adds the modules of a body; returns what comes out."""
    count, at = len(pairs[0][1].items), 0
    while at < count:
        column = [(r, b.items[at]) for r, b in pairs]
        item = column[0][1].item
        here = conditions.presence(column) if item.repeat is None else None
        copy = column[0][1].copies[0] if column[0][1].copies else None
        if here is None and item.repeat is None and copy is not None:
            asked = conditions.open_ended(scope, item.when, column[0][0], copy, cur)
            here = [True] * len(pairs) if asked else None
        if here is not None:
            end = at + 1
            while end < count and conditions.same_test(
                column, [(r, b.items[end]) for r, b in pairs], here
            ):
                end += 1
            cur = _optional(scope, pairs, (at, end), here, sink, into, cur)
            at = end
            continue
        if item.repeat is not None:
            cur = _repeat(scope, item, column, sink, into, cur)
        elif column[0][1].copies[0] is not None:
            there = [(r, c) for r, o in column for c in o.copies if c is not None]
            if isinstance(item.when, Expr):
                inside = [c for _, c in there]
                conditions.decided(scope, item.when, [r for r, _ in there], inside, cur)
            cur = element(scope, item, there, sink, into, cur)
        else:
            conditions.absent(scope, item, column, cur)
        at += 1
    return cur


def element(
    scope: Scope, item: Item, pairs: Sequence[tuple[Row, Copy]], sink: Sink, into: list[Stmt],
    cur: Flow,
) -> Flow:  # fmt: skip
    """One module of a chain; of a group without a name, those in it."""
    rows, copies = [r for r, _ in pairs], [c for _, c in pairs]
    first = copies[0]
    if first.body is not None and not first.segments:
        inner = [(r, c.body) for r, c in pairs if c.body is not None]
        return chain(scope, inner, sink, into, cur)
    value, out = module_of(scope, item, pairs, into, cur)
    text: ast.expr = ast.Constant("")
    if sink.named:
        text = label(scope, item, rows, [c.segments[0] for c in copies])
    sink.add(text, value, into)
    word = str(text.value) if isinstance(text, ast.Constant) else ""
    if isinstance(sink, Own) and word.isidentifier():
        scope.unit.members.add(word)
        into += scope.unit.whole.inits.member_init(scope, rows, copies, name(f"self.{word}"))
    return define(rows, [must(c.out) for c in copies], out)


def module_of(
    scope: Scope, item: Item, pairs: Sequence[tuple[Row, Copy]], into: list[Stmt], cur: Flow
) -> tuple[ast.expr, Flow]:
    """A module's constructor, and what it makes of `cur`."""
    rows, copies = [r for r, _ in pairs], [c for _, c in pairs]
    first, whole = copies[0], scope.unit.whole
    if first.instance is not None:
        made = block(scope, item, rows, copies, [cur])
        assert made.constructor is not None
        return made.constructor, Flow(made.sizes[0])
    if first.body is None and not first.branches:
        made = op(scope, item, rows, copies, [cur], module=True)
        if made.constructor is None:
            raise PlainError("a functional op in a chain")
        return made.constructor, Flow(made.sizes[0])
    if not any(whole.frames[id(c)].exports for c in copies):
        return call("nn.Identity"), cur  # nothing inside is there, but it has its place
    hint = first.segments[0] if first.segments[0].isidentifier() else words_of(item)
    bodies = [c.body for c in copies if c.body is not None and not links.merges(c)]
    if len(bodies) == len(copies) and links.is_chain(whole, bodies):
        return container(scope, list(zip(rows, bodies, strict=True)), hint, into, cur)
    value, sizes = group(scope, item, list(pairs), hint)
    return value, Flow(sizes[0] if sizes else [])


def group(
    scope: Scope, item: Item, pairs: list[tuple[Row, Any]], hint: str
) -> tuple[ast.expr, list[list[Any]]]:
    """The constructor of a class for a group that is no chain, and the sizes of what it gives."""
    rows = [r for r, _ in pairs]
    info, captures, exports = scope.unit.whole.outlined(scope, item, pairs, hint)
    wanted = [info.values[id(p)] for _, p in pairs]
    given = _given(scope, info, pairs, captures)
    value = construct(scope, rows, info, wanted, given)
    outs = [[e[j] for e in exports] for j in range(len(exports[0]))]
    return value, outer_sizes(info, given, rows, outs)


def _given(
    scope: Scope, info: Info, pairs: list[tuple[Row, Any]], captures: list[list[Value]]
) -> dict[str, Any]:
    """What the class of a group may be given: the names around, and the sizes that come in."""
    row, part = pairs[0]
    found: dict[str, Any] = {}
    for new, old in info.outer.items():
        if old in row.py:
            found[new] = traced(row.py[old], ast.Name(old))
        elif isinstance(part, Copy) and old.startswith("loop."):
            found[new] = scope.value(old, getattr(part.env["loop"], old[5:]), row)
        elif isinstance(part, Copy) and old in part.env:
            found[new] = scope.value(old, part.env[old], row)
    for j in range(len(captures[0])):
        flow = lookup([r for r, _ in pairs], [c[j] for c in captures])
        shape = flow.at(row, dims(captures[0][j]))
        for title, size in zip(titles(f"x{j}", j, len(shape)), shape, strict=True):
            found[title] = size
    return found


def label(scope: Scope, item: Item, rows: Sequence[Row], texts: Sequence[str]) -> ast.expr:
    """A module's name: a word, or in a loop an f-string. Raises PlainError."""
    if len(set(texts)) == 1:
        return ast.Constant(texts[0])
    for candidate in (_templated(item, scope), _counted(scope, rows, texts)):
        if candidate is not None and holds(candidate, rows, texts):
            return candidate
    raise PlainError("the names follow no rule")


def _templated(item: Item, scope: Scope) -> ast.expr | None:
    """`denselayer$(loop.index + 1)` → `f"denselayer{j + 1}"`."""
    if item.id is None:
        return None
    parts: list[ast.expr] = []
    for p in item.id.parts:
        if isinstance(p, str):
            parts.append(ast.Constant(p))
            continue
        try:
            sight = {n: _named(scope, n) for n in p.names}
            parts.append(ast.FormattedValue(written(evaluate(p.tree, sight)), -1))
        except FAILURES:
            return None
    return ast.JoinedStr(parts)


class _Names:
    """`loop.index` as the name that the constructor has for it."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope

    def __getattr__(self, key: str) -> Any:
        tree = self.scope.names[f"loop.{key}"]
        return Sym(0, {ast.unparse(tree): 1})


def _named(scope: Scope, text: str) -> Any:
    if text == "loop":
        return _Names(scope)
    tree = scope.names[text]
    return Sym(0, {ast.unparse(tree): 1})


def _counted(scope: Scope, rows: Sequence[Row], texts: Sequence[str]) -> ast.expr | None:
    """`f"res{i + 1}"` for names in a series."""
    index = scope.names.get("loop.index")
    stems = {t.rstrip("0123456789") for t in texts}
    if not isinstance(index, ast.Name) or len(stems) != 1:
        return None
    if any(not t[-1:].isdigit() for t in texts):
        return None
    stem = stems.pop()
    numbers = {r.py.get(index.id): int(t[len(stem) :]) for r, t in zip(rows, texts, strict=True)}
    if 0 not in numbers or 1 not in numbers:
        return None
    number = (numbers[1] - numbers[0]) * Sym.of(index.id, 1) + numbers[0]
    parts = [ast.Constant(stem)] if stem else []
    return ast.JoinedStr([*parts, ast.FormattedValue(written(number), -1)])


def words_of(item: Item) -> str:
    """What a variable for an item's modules may be called."""
    parts = item.id.parts if item.id is not None else ()
    text = "".join(p for p in parts if isinstance(p, str)).strip("_")
    return text if text.isidentifier() else item.op.lower()


# ---------------------------------------------------------------- items that come and go


def ends(flow: Flow) -> tuple[int, ...]:
    """The axes that hold widths: channels, and of a sequence the features."""
    if len(flow.sizes) == 2:
        return (0, 1)
    return (0,) if flow.sizes else ()


def _optional(
    scope: Scope, pairs: Pairs, span: tuple[int, int], here: list[bool], sink: Sink,
    into: list[Stmt], cur: Flow,
) -> Flow:  # fmt: skip
    """Modules that are there in some rows only: `if test:` around what adds them."""
    at, end = span
    rows = [r for r, _ in pairs]
    there = [p for p, is_there in zip(pairs, here, strict=True) if is_there]
    item = pairs[0][1].items[at].item
    copies = [c for _, b in there if (c := b.items[at].copies[0]) is not None]
    before = [_before(b, at) for _, b in pairs]
    test = conditions.condition(scope, item.when, rows, here, copies, cur, before)
    sink.open(into)
    body: list[Stmt] = []
    then = cur
    for k in range(at, end):
        column = [(r, b.items[k]) for r, b in there]
        found = [(r, c) for r, o in column for c in o.copies if c is not None]
        then = element(scope, column[0][1].item, found, sink, body, then)
    values = [must(b.items[end - 1].out) for _, b in pairs]
    out = Flow(conditions.join(rows, values, then, cur))
    for a in ends(out):
        if out.sizes[a] is None:
            out.sizes[a] = _carried_through(scope, rows, values, a, then, cur, into, body)
    scope.unit.settle(assigned(body), into)
    if body:
        into.append(If(test, body))
    return define(rows, values, out)


def _before(body: Body, at: int) -> Value | None:
    """What flows towards an item of a chain."""
    return body.items[at - 1].out if at else body.input


def _carried_through(
    scope: Scope, rows: Sequence[Row], values: Sequence[Value], a: int, then: Flow, cur: Flow,
    into: list[Stmt], body: list[Stmt],
) -> Any:  # fmt: skip
    """The line's width changes under the condition: a variable that is updated inside it."""
    old, new = cur.sizes[a], then.sizes[a]
    if old is None or new is None:
        return None
    unit, text = scope.unit, _carried_name(scope, old)
    if text is None:
        text = unit.local("channels" if a == 0 and len(cur.sizes) > 1 else "features")
        unit.carried.add(text)
        unit.settle({text}, into)
        into.append(Line(written(old), text))
    _updated(body, text, written(new))
    for row, value in zip(rows, values, strict=True):
        row.py[text] = dims(value)[a]
    return Sym.of(text, dims(values[0])[a])


def _updated(body: list[Stmt], text: str, new: ast.expr) -> None:
    """Sets a variable: a call whose value the statements take too is made once, before them."""
    lines = [s for s in body if isinstance(s, Line)]
    reads: set[str] = set().union(*map(stmt_names, body))
    if not isinstance(new, ast.Call) or len(lines) < len(body) or text in reads:
        body.append(update(text, new))
        return
    made = ast.dump(new)
    for line in lines:
        line.value = exchanged(line.value, lambda n: name(text) if ast.dump(n) == made else None)
    body.insert(0, Line(new, text))


def _carried_name(scope: Scope, size: Any) -> str | None:
    """The variable that a size is, if it is one that loops carry."""
    if isinstance(size, Sym) and list(size.terms.values()) == [1]:
        (text,) = size.terms
        return text if text in scope.unit.carried else None
    return None


def update(text: str, new: ast.expr) -> Line:
    """`channels = c`, `channels += growth`."""
    if isinstance(new, ast.BinOp) and isinstance(new.left, ast.Name) and new.left.id == text:
        sign = _AUGMENTED.get(type(new.op))
        if sign is not None:
            return Line(new.right, text, op=sign)
    return Line(new, text)


# ---------------------------------------------------------------- repeats


def _repeat(
    scope: Scope, item: Item, column: Sequence[tuple[Row, Occurrence]], sink: Sink,
    into: list[Stmt], cur: Flow,
) -> Flow:  # fmt: skip
    """A repeated item of a chain: its copies, or under an id a container of them."""
    rows = [r for r, _ in column]
    copies = [[c for c in o.copies if c is not None] for _, o in column]
    if not any(copies):
        conditions.absent(scope, item, column, cur)
        return cur
    if column[0][1].name is None:
        out = repeated(scope, item, rows, copies, sink, into, cur)
    else:
        texts = [o.name or "" for _, o in column]
        inner = Positional(scope.unit, texts[0] if len(set(texts)) == 1 else words_of(item))
        scope.unit.sinks.append(inner)
        try:
            out = repeated(scope, item, rows, copies, inner, into, cur)
        finally:
            scope.unit.sinks.pop()
        text = label(scope, item, rows, texts) if sink.named else ast.Constant("")
        sink.add(text, inner.finish(), into)
    return define(rows, [must(o.out) for _, o in column], out)


class _Checkpoint:
    """What a loop that does not hold must leave as it was."""

    def __init__(self, scope: Scope, rows: Sequence[Row], sink: Sink, into: list[Stmt]) -> None:
        unit = scope.unit
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


def repeated(
    scope: Scope, item: Item, rows: list[Row], copies: list[list[Copy]], sink: Sink,
    into: list[Stmt], cur: Flow,
) -> Flow:  # fmt: skip
    """Adds the copies of an item: alike, the first apart, in a loop, or one by one."""
    if all(len(c) == 1 for c in copies):
        return _one(scope, item, rows, copies, 0, sink, into, cur)
    first = next(c for c in copies if c)[0]
    if isinstance(sink, Positional) and (first.segments or first.body is None) and all(copies):
        apart_ = max(links.tail_alike(c) for c in copies)
        if apart_ <= 1:
            return _alike(scope, item, rows, copies, apart_, sink, into, cur)
    if not sink.named or any(len(c) != 2 for c in copies):
        before = _Checkpoint(scope, rows, sink, into)
        try:
            return _Round(scope, item, rows, copies).loop(sink, into, cur)
        except PlainError:
            if len({len(c) for c in copies}) > 1:
                raise
            before.restore()
    for k in range(len(copies[0])):
        cur = _one(scope, item, rows, copies, k, sink, into, cur)
    return cur


def own_names(item: Item) -> set[str]:
    """What the expressions of a repeated item may read of the repeat."""
    columns = set(item.repeat.columns) if item.repeat is not None else set()
    fields = ("index", "first", "last", "count", "serial", "total")
    return columns | {f"loop.{f}" for f in fields}


def _one(
    scope: Scope, item: Item, rows: list[Row], copies: list[list[Copy]], k: int, sink: Sink,
    into: list[Stmt], cur: Flow,
) -> Flow:  # fmt: skip
    """Copy k, written by itself."""
    here = [(r, c[k]) for r, c in zip(rows, copies, strict=True)]
    return element(scope.without(own_names(item)), item, here, sink, into, cur)


def _alike(
    scope: Scope, item: Item, rows: list[Row], copies: list[list[Copy]], apart_: int,
    sink: Positional, into: list[Stmt], cur: Flow,
) -> Flow:  # fmt: skip
    """`X(first), *(X(rest) for _ in range(n - 1))`."""
    out = cur
    if apart_:
        out = _one(scope, item, rows, copies, 0, sink, into, cur)
    rest = [(r, c) for r, c in zip(rows, copies, strict=True) if len(c) > apart_]
    last = [must(c[-1].out) for c in copies]
    if not rest:
        return define(rows, last, out)
    inner: list[Stmt] = []
    own = scope.without(own_names(item))
    value, end = module_of(own, item, [(r, c[apart_]) for r, c in rest], inner, out)
    count = count_of(scope, item, rows, copies)
    count = _less(count, apart_) if apart_ else count
    if isinstance(count, ast.Constant) and count.value == 1:
        into += inner
        sink.add(ast.Constant(""), value, into)
    elif inner:  # each round makes its own modules
        sink.open(into)
        sink.add(ast.Constant(""), value, inner)
        into.append(For("_", call("range", count), inner))
    else:
        rounds = comprehension(value, "_", call("range", count))
        if sink.variable is None:
            sink.elements.append(ast.Starred(rounds))
        else:
            into.append(Line(call(f"{sink.variable}.extend", rounds)))
    return define(rows, last, Flow(_behind(rows, last, end, out)))


def _behind(rows: Sequence[Row], last: Sequence[Value], end: Flow, start: Flow) -> list[Any]:
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


def comprehension(value: ast.expr, target: str, over: ast.expr) -> ast.expr:
    """`(value for target in over)`."""
    return ast.GeneratorExp(value, [ast.comprehension(ast.Name(target), over, [], 0)])


def count_of(
    scope: Scope, item: Item, rows: Sequence[Row], copies: Sequence[Sequence[Copy]]
) -> ast.expr:
    """How many copies: the author's count where it is one, else the number."""
    assert item.repeat is not None
    counts = [len(c) for c in copies]
    at = next((k for k, c in enumerate(copies) if c), None)
    value: Any = None
    if at is not None and isinstance(item.repeat.count, Expr):
        try:
            value = scope.symbolic(item.repeat.count, rows[at], copies[at][0], None)
        except FAILURES:
            value = None
    return scope.say(rows, value, counts, "n")


def _less(count: ast.expr, by: int) -> ast.expr:
    if isinstance(count, ast.Constant) and isinstance(count.value, int):
        return literal(count.value - by)
    return ast.BinOp(count, ast.Sub(), ast.Constant(by))


class _Round:
    """A repeat whose copies are walked as one: the rounds of a loop."""

    def __init__(self, outer: Scope, item: Item, rows: list[Row], copies: list[list[Copy]]) -> None:
        self.outer, self.item, self.rows, self.copies = outer, item, rows, copies
        self.flat = [c for cs in copies for c in cs]
        self.index = ""
        self.columns: dict[str, str] = {}
        self.before: dict[str, ast.expr] = {}
        self.carry: dict[int, str] = {}

    def loop(self, sink: Sink, into: list[Stmt], cur: Flow) -> Flow:
        """`for …:` around what adds one copy. Raises PlainError."""
        unit = self.outer.unit
        scope = self._scope(named=sink.named)
        counter = self._counter(scope)
        inside = self._enter(scope, cur)
        sink.open(into)
        body: list[Stmt] = []
        pairs = list(zip(scope.rows, self.flat, strict=True))
        end = element(scope, self.item, pairs, sink, body, inside)
        if counter is not None and counter in set().union(*(stmt_names(s) for s in body)):
            body.append(Line(ast.Constant(1), counter, op="+="))
            unit.counters.add(counter)
        sizes = self._leave(scope, cur, end, body)
        target, over, pair = self._header(scope, body)
        unit.settle(assigned(body) | set(self.before), into)
        into += [Line(v, t) for t, v in self.before.items() if t != pair]
        if body:
            into.append(For(target, over, body))
        unit.taken -= {self.index, *self.columns.values(), *scope.columns}
        out = Flow(sizes)
        if not all(self.copies):
            return out
        return define(self.rows, [must(c[-1].out) for c in self.copies], out)

    def _scope(self, *, named: bool) -> Scope:
        unit, item = self.outer.unit, self.item
        assert item.repeat is not None
        names = ("i", "j", "k", "m", "n0", "n1", "n2", "n3")
        self.index = index = next(n for n in names if n not in unit.taken)
        if named or _reads_loop(item):
            unit.taken.add(index)
        self.columns = {c: unit.local(c) for c in item.repeat.columns}
        known: dict[str, ast.expr] = {
            **self.outer.without(own_names(item)).names,
            **{c: ast.Name(t) for c, t in self.columns.items()},
            **_loop_names(index, self.copies),
        }
        scope = Scope(unit, known, self.outer.records, self.outer)
        scope.own = set(self.columns.values())
        for row, cs in zip(self.rows, self.copies, strict=True):
            for k, c in enumerate(cs):
                sub = row.below()
                sub.py[index] = k
                for column, text in self.columns.items():
                    sub.py[text] = plain(c.env.get(column))
                scope.rows.append(sub)
                scope.place[id(sub)] = (k, row)
        return scope

    def _counter(self, scope: Scope) -> str | None:
        """`loop.serial` as a variable that counts on through the loops around."""
        if not _counts(self.item):
            return None
        by_base: dict[int, list[int]] = {}
        turns = [c.env["loop"] for c in self.flat]
        for row, turn in zip(scope.rows, turns, strict=True):
            by_base.setdefault(row.base, []).append(turn.serial)  # type: ignore[attr-defined]
        totals = {turn.total for turn in turns}  # type: ignore[attr-defined]
        counted = all(sorted(s) == list(range(len(s))) for s in by_base.values())
        if not counted or len(totals) != 1 or any(len(s) not in totals for s in by_base.values()):
            return None
        text = scope.unit.local("done")
        for row, turn in zip(scope.rows, turns, strict=True):
            row.py[text] = turn.serial  # type: ignore[attr-defined]
        scope.names = {**scope.names, "loop.serial": ast.Name(text)}
        return text

    def _enter(self, scope: Scope, cur: Flow) -> Flow:
        """The line inside the loop; widths that change become variables."""
        unit = scope.unit
        starts = [must(c.ins[0]) for c in self.flat]
        shape = cur.at(scope.rows[0], dims(starts[0]))
        inside = Flow(sizes_of(scope.rows, shape, starts))
        for a in ends(cur):
            numbers = [dims(v)[a] for v in starts]
            same = alike(numbers)
            if isinstance(inside.sizes[a], Sym) or (same and not isinstance(cur.sizes[a], Sym)):
                continue
            if same and cur.sizes[a] is None:
                continue
            text = _carried_name(scope, cur.sizes[a])
            if text is None:
                hint = "channels" if a == 0 and len(cur.sizes) > 1 else "features"
                text = hint if hint in unit.carried else unit.local(hint)
            unit.carried.add(text)
            self.carry[a] = text
            inside.sizes[a] = Sym.of(text, numbers[0])
            for sub, n in zip(scope.rows, numbers, strict=True):
                sub.py[text] = n
        return define(scope.rows, starts, inside)

    def _leave(self, scope: Scope, cur: Flow, end: Flow, body: list[Stmt]) -> list[Any]:
        """The sizes behind the loop; adds the updates of widths, and what is set before it."""
        local = {self.index, *self.columns.values(), *scope.columns, *self.carry.values()}
        used = set().union(*(stmt_names(s) for s in body)) | assigned(body)
        last = [(r, c[-1].out) for r, c in zip(self.rows, self.copies, strict=True) if c]
        full = [r for r, _ in last]
        values = [must(v) for _, v in last]
        found: list[Any] = []
        for a, new in enumerate(end.sizes):
            numbers = [dims(v)[a] for v in values]
            outside = new
            if isinstance(new, Sym) and names_in(new.tree) & local:
                outside = None
            everywhere = len(full) == len(self.rows)
            if isinstance(outside, Sym) and everywhere and holds(outside, full, numbers):
                settled: Any = Sym(numbers[0], outside.terms)
            else:
                settled = numbers[0] if alike(numbers) and everywhere else None
            text = self.carry.get(a)
            if text is not None and not isinstance(settled, Sym) and self._varies(cur, a, new):
                self.outer.unit.varying.add(text)
                settled = None
            if text is None or (text not in used and settled is not None):
                found.append(settled)
                continue
            self._carry(scope, cur, a, text, new, body)
            for row, n in zip(full, numbers, strict=True):
                row.py[text] = n
            found.append(settled if settled is not None else Sym.of(text, numbers[0]))
        return found

    def _varies(self, cur: Flow, a: int, new: Any) -> bool:
        """Whether a carried width depends on the arguments of the class."""
        repeat, unit = self.item.repeat, self.outer.unit
        assert repeat is not None
        reads: set[str] = set()
        for given in (repeat.count, *repeat.columns.values()):
            for n in given.names if isinstance(given, Expr) else ():
                tree = self.outer.names.get(n)
                reads |= names_in(tree) if tree is not None else set()
        for size in (cur.sizes[a], new):
            reads |= names_in(size.tree) if isinstance(size, Sym) else set()
        return bool(reads & (set(unit.potential) | set(unit.defined) | unit.varying))

    def _carry(
        self, scope: Scope, cur: Flow, a: int, text: str, new: Any, body: list[Stmt]
    ) -> None:
        numbers = [dims(c.out)[a] for c in self.flat]
        if not holds(ast.Name(text), scope.rows, numbers):
            body.append(update(text, scope.say(scope.rows, new, numbers, "channels")))
        begins = [(r, c[0]) for r, c in zip(self.rows, self.copies, strict=True) if c]
        start = self.outer.say(
            [r for r, _ in begins], cur.sizes[a], [dims(c.ins[0])[a] for _, c in begins], text
        )
        if not (isinstance(start, ast.Name) and start.id == text):
            self.before[text] = start

    def _header(self, scope: Scope, body: list[Stmt]) -> tuple[str, ast.expr, str | None]:
        """`c in (64, 128)`, `_ in range(n)`, `i, (n, c) in enumerate(…)`.

        And the carried width if it has become a column.
        """
        used = set().union(*(stmt_names(s) for s in body))
        if not all(self.copies) and any(t in used for t in self.columns.values()):
            raise PlainError("the repeat is empty in some instances")
        table: dict[str, list[ast.expr]] = {
            t: self._entries(scope, c) for c, t in self.columns.items() if t in used
        }
        table |= {t: e for t, e in scope.columns.items() if t in used}
        pair = None
        two = all(len(c) == 2 for c in self.copies)
        if not table and self.index not in used and len(self.before) == 1 and two:
            ((text, start),) = self.before.items()
            last = body[-1]
            sets = isinstance(last, Line) and (last.target, last.op) == (text, "=")
            if isinstance(last, Line) and sets and text not in names_in(last.value):
                body.pop()
                table[text], pair = [start, last.value], text
        if not table:
            count = count_of(self.outer, self.item, self.rows, self.copies)
            return (self.index if self.index in used else "_"), call("range", count), pair
        if not all(self.copies):
            raise PlainError("the repeat is empty in some instances")
        lists = [self._list(c) for c, t in self.columns.items() if t in table]
        if len(lists) == len(table) and all(lists):
            over_lists = [x for x in lists if x is not None]
            over = over_lists[0] if len(lists) == 1 else call("zip", *over_lists)
            return (*self._target(list(table), over, used), pair)
        texts = self._renamed(table, body)
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
        assert self.item.repeat is not None
        given = self.item.repeat.columns[column]
        if not isinstance(given, Expr):
            return None
        try:
            found = self.outer.symbolic(given, self.rows[0], self.copies[0][0], None)
        except FAILURES:
            return None
        lists = [tuple(plain(c.env.get(column)) for c in cs) for cs in self.copies]
        if not isinstance(found, Listed) or not holds(found.tree, self.rows, lists):
            return None
        return found.tree

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

    def _entries(self, scope: Scope, column: str) -> list[ast.expr]:
        """The entries of one of the author's columns."""
        assert self.item.repeat is not None
        given = self.item.repeat.columns[column]
        found = []
        for k in range(scope.rounds()):
            value: Any = None
            if isinstance(given, (list, tuple)) and k < len(given) and isinstance(given[k], Expr):
                try:
                    value = self.outer.symbolic(given[k], self.rows[0], self.copies[0][0], None)
                except FAILURES:
                    value = None
            wanted = [c[k].env[column] for c in self.copies]
            found.append(self.outer.say(self.rows, value, wanted, column))
        return found


def rename(body: list[Stmt], old: str, new: str) -> None:
    """A local variable under another name, wherever it stands."""

    def other(text: str) -> ast.expr | None:
        return ast.Name(new) if text == old else None

    for s in body:
        if isinstance(s, Line):
            s.value = rebuilt(s.value, other)
            s.target = new if s.target == old else s.target
        elif isinstance(s, If):
            s.test = rebuilt(s.test, other)
            rename(s.body, old, new)
            rename(s.orelse, old, new)
        elif isinstance(s, For):
            s.iter = rebuilt(s.iter, other)
            rename(s.body, old, new)


def _loop_names(index: str, copies: list[list[Copy]]) -> dict[str, ast.expr]:
    at = ast.Name(index)
    found: dict[str, ast.expr] = {
        "loop.index": at,
        "loop.first": ast.Compare(at, [ast.Eq()], [ast.Constant(0)]),
    }
    counts = {len(c) for c in copies}
    if len(counts) == 1:
        found["loop.last"] = ast.Compare(at, [ast.Eq()], [ast.Constant(counts.pop() - 1)])
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
