"""Chains of modules → nn.Sequential: expressions where they do, loops where copies differ, `if` where items come and go."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from archspec.emit.explain import Row, Unprovable, Var, apart, define, holds, names_in, translate
from archspec.emit.text import WIDTH, For, If, Line, Stmt, call, literal, name, render, write
from archspec.emit.unit import Scope, Unit, plain
from archspec.expressions import Expr
from archspec.graph import Body, Copy, Occurrence, Value
from archspec.spec import Item

if TYPE_CHECKING:
    from archspec.emit.calls import Made
    from archspec.layers.base import Call


# ---------------------------------------------------------------- where modules are put


class Positional:
    """Modules by position: an expression as long as nothing needs statements, then a list variable."""

    named = False

    def __init__(self, unit: Unit, hint: str, container: str = "nn.Sequential") -> None:
        self.unit, self.hint, self.container = unit, hint, container
        self.elements: list[ast.expr] = []
        self.variable: str | None = None

    def add(self, text: ast.expr, element: ast.expr, into: list[Stmt]) -> None:
        if self.variable is None:
            self.elements.append(element)
        else:
            into.append(Line(call(f"{self.variable}.append", element)))

    def waits_for(self, variables: set[str]) -> bool:
        return self.variable is None and any(names_in(e) & variables for e in self.elements)

    def open(self, into: list[Stmt]) -> None:
        if self.variable is None:
            self.variable = self.unit.local(self.hint)
            into.append(Line(ast.List(self.elements), self.variable, "list[nn.Module]"))

    def finish(self) -> ast.expr:
        if self.variable is not None:
            return call(self.container, ast.Starred(name(self.variable)))
        return call(self.container, *self.elements)


class Named:
    """Modules by name."""

    named = True

    def __init__(self, unit: Unit, hint: str, attribute: bool = False) -> None:
        self.unit, self.hint, self.attribute = unit, hint, attribute
        self.elements: dict[str, ast.expr] = {}
        self.variable: str | None = None

    def add(self, text: ast.expr, element: ast.expr, into: list[Stmt]) -> None:
        if self.variable is None and not (isinstance(text, ast.Constant) and str(text.value).isidentifier()):
            self.open(into)
        if self.variable is None:
            assert isinstance(text, ast.Constant)
            self.elements[str(text.value)] = element
        else:
            into.append(Line(call(f"{self.variable}.add_module", text, element)))

    def waits_for(self, variables: set[str]) -> bool:
        return self.variable is None and any(names_in(e) & variables for e in self.elements.values())

    def open(self, into: list[Stmt]) -> None:
        if self.variable is None:
            self.variable = f"self.{self.hint}" if self.attribute else self.unit.local(self.hint)
            into.append(Line(call("nn.Sequential"), self.variable))
            for text, element in self.elements.items():
                into.append(Line(call(f"{self.variable}.add_module", ast.Constant(text), element)))

    def finish(self) -> ast.expr:
        if self.variable is not None:
            return name(self.variable)
        return call("nn.Sequential", ast.Call(name("OrderedDict"), [], [ast.keyword(k, v) for k, v in self.elements.items()]))


class Own:
    """Modules that are attributes of the class itself."""

    named = True

    def add(self, text: ast.expr, element: ast.expr, into: list[Stmt]) -> None:
        if isinstance(text, ast.Constant) and str(text.value).isidentifier():
            into.append(Line(element, f"self.{text.value}"))
        else:
            into.append(Line(call("self.add_module", text, element)))

    def waits_for(self, variables: set[str]) -> bool:
        return False

    def open(self, into: list[Stmt]) -> None:
        """Statements are all it has."""


Sink = Positional | Named | Own


# ---------------------------------------------------------------- what is a chain


def mixed_presence(column: Sequence[tuple[Row, Occurrence]]) -> list[bool] | None:
    """Where an item is there, if in some rows only."""
    here = [bool(o.copies) and o.copies[0] is not None for _, o in column]
    return here if any(here) and not all(here) else None


def leaf_names(bodies: Sequence[Body]) -> str:
    """"numbers" where the modules of every body are named 0, 1, 2 …, else "names"."""
    return "numbers" if all(all(text == str(k) for k, text in enumerate(_leaves(b))) for b in bodies) else "names"


def _leaves(body: Body) -> Iterator[str]:
    for occurrence in body.items:
        if occurrence.name is not None and occurrence.item.repeat is not None:
            if any(c is not None for c in occurrence.copies):
                yield occurrence.name
            continue
        for c in occurrence.copies:
            if c is None:
                continue
            if c.segments:
                yield c.segments[0]
            elif c.body is not None:
                yield from _leaves(c.body)


class Chains:
    """The part of the lowering that builds nn.Sequential."""

    consumers: dict[int, set[int]]
    frames: dict[int, Any]

    def __init__(self) -> None:
        super().__init__()
        self._chain_cache: dict[int, bool] = {}

    if TYPE_CHECKING:

        def _torch(self, copy: Copy, module: bool) -> Call: ...

        def maker(self, scope: Scope, item: Item, rows: Sequence[Row], copies: Sequence[Copy], module: bool = False) -> Made: ...

        def outlined(self, *args: Any) -> tuple[ast.expr, list[list[Value]], list[list[Value]], Any]: ...

        def outer_axes(self, info: Any, place: int, rows: Sequence[Row], values: Sequence[Value]) -> list[ast.expr | None]: ...

        def condition(self, scope: Scope, column: Sequence[tuple[Row, Occurrence]], here: Sequence[bool], previous: Var | None) -> ast.expr: ...

        def member_init(self, scope: Scope, item: Item, rows: Sequence[Row], copies: Sequence[Copy], attribute: ast.expr) -> list[Stmt]: ...

        def join(self, rows: Sequence[Row], values: Sequence[Value], then: Var, other: Var) -> list[ast.expr | None]: ...

    def is_chain(self, bodies: Sequence[Body]) -> bool:
        """Whether each body is modules one after the other, and nothing else."""
        return all(self._chain_body(b) for b in bodies)

    def _chain_body(self, body: Body) -> bool:
        known = self._chain_cache.get(id(body))
        if known is None:
            known = self._chain_cache[id(body)] = self._walk(body)
        return known

    def _walk(self, body: Body) -> bool:
        cur = body.input
        if cur is None:
            return False
        for occurrence in body.items:
            if occurrence.item.tap is not None:
                return False
            for c in occurrence.copies:
                if c is None:
                    continue
                if not self._link(c, cur, body.numbered):
                    return False
                cur = c.out
        return cur is body.output

    def is_chain_of(self, copies: Sequence[Copy]) -> bool:
        """The same for the copies of one item under an id."""
        cur = copies[0].ins[0] if copies[0].ins else None
        for c in copies:
            if not self._link(c, cur, True):
                return False
            cur = c.out
        return True

    def _link(self, c: Copy, cur: Value | None, numbered: bool) -> bool:
        ins = [v for v in c.ins if v is not None]
        if c.shared is not None or len(ins) != 1 or len(c.ins) != 1 or ins[0] is not cur or len(c.outs) != 1 or c.out is None:
            return False
        if c.instance is not None:
            outputs = list(c.instance.outputs.values())
            return len(outputs) == 1 and not isinstance(outputs[0], tuple) and len(c.instance.inputs) == 1 and not c.instance.training
        if c.body is None and not c.branches:
            made = self._torch(c, True)
            natural = made.target is not None and (made.target.startswith("nn.") or self._torch(c, False).target is not None)
            return bool(c.segments) and made.forward == "self(x0)" and made.results == ("r",) and made.target is not None and (numbered or natural)
        if c.segments:
            frame = self.frames[id(c)]
            captured, exported = list(frame.captures.values()), list(frame.exports.values())
            return len(captured) == 1 and captured[0] is cur and all(e is c.out for e in exported)
        return c.layer is None and not c.branches and c.body is not None and self._chain_body(c.body)

    # ------------------------------------------------------------ building

    def container(self, scope: Scope, pairs: Sequence[tuple[Row, Body]], segment: str, into: list[Stmt], cur: Var, attribute: bool = False) -> tuple[ast.expr, Var]:
        """An nn.Sequential for a named group; `attribute`: it is `self.<segment>`."""
        positional = leaf_names([b for _, b in pairs]) == "numbers"
        sink: Positional | Named = Positional(scope.unit, segment) if positional else Named(scope.unit, segment, attribute)
        scope.unit.sinks.append(sink)
        try:
            with apart([r for r, _ in pairs], [_must(b.input) for _, b in pairs], cur):
                out = self.chain(scope, pairs, sink, into, cur)
        finally:
            scope.unit.sinks.pop()
        return sink.finish(), out

    def chain(self, scope: Scope, pairs: Sequence[tuple[Row, Body]], sink: Sink, into: list[Stmt], cur: Var) -> Var:
        """Adds the modules of a body; returns what comes out."""
        count, at = len(pairs[0][1].items), 0
        while at < count:
            column = [(r, b.items[at]) for r, b in pairs]
            item = column[0][1].item
            mixed = mixed_presence(column) if item.repeat is None else None
            if mixed is not None:
                end = at + 1
                while end < count and _same(item, mixed, [(r, b.items[end]) for r, b in pairs]):
                    end += 1
                cur = self._chain_if(scope, pairs, at, end, mixed, sink, into, cur)
                at = end
                continue
            if item.repeat is not None:
                cur = self._chain_repeat(scope, item, column, sink, into, cur)
            elif column[0][1].copies[0] is not None:
                cur = self._element(scope, item, [(r, c) for r, o in column for c in o.copies if c is not None], sink, into, cur)
            at += 1
        return cur

    def _element(self, scope: Scope, item: Item, pairs: Sequence[tuple[Row, Copy]], sink: Sink, into: list[Stmt], cur: Var) -> Var:
        rows, copies = [r for r, _ in pairs], [c for _, c in pairs]
        first = copies[0]
        if first.body is not None and not first.segments:
            return self.chain(scope, [(r, c.body) for r, c in pairs if c.body is not None], sink, into, cur)
        value, out = self._module_of(scope, item, rows, copies, into, cur)
        text = self.name_of(scope, item, rows, copies) if sink.named else ast.Constant("")
        sink.add(text, value, into)
        if isinstance(sink, Own) and isinstance(text, ast.Constant) and text.value.isidentifier():
            into += self.member_init(scope, item, rows, copies, name(f"self.{text.value}"))
        return define(rows, [_must(c.out) for c in copies], out)

    def _module_of(self, scope: Scope, item: Item, rows: list[Row], copies: list[Copy], into: list[Stmt], cur: Var) -> tuple[ast.expr, Var]:
        first = copies[0]
        if first.body is None and not first.branches:
            made = self.maker(scope, item, rows, copies, module=True)
            if made.constructor is None:
                raise Unprovable("a functional op in a chain")
            return made.constructor, Var(made.axes[0])
        if not any(self.frames[id(c)].exports for c in copies):
            return call("nn.Identity"), cur  # nothing inside is there, but it has its place
        hint = first.segments[0]
        hint = hint if hint.isidentifier() else _words(item)
        bodies = [c.body for c in copies if c.body is not None and item.op not in ("residual", "branches")]
        if len(bodies) == len(copies) and self.is_chain(bodies):
            return self.container(scope, list(zip(rows, bodies, strict=True)), hint, into, cur)
        from archspec.emit.lower import Part

        parts = [Part(r, c.body, c if item.op in ("residual", "branches") else None, item) for r, c in zip(rows, copies, strict=True)]
        value, _, exports, info = self.outlined(scope, item, rows, parts, [self.frames[id(c)] for c in copies], copies, hint)
        axes = self.outer_axes(info, 0, rows, [e[0] for e in exports]) if exports[0] else []
        return value, Var(axes)

    def name_of(self, scope: Scope, item: Item, rows: Sequence[Row], copies: Sequence[Copy]) -> ast.expr:
        """The module's name: a word, or in a loop an f-string."""
        return self._name(scope, item, rows, [c.segments[0] for c in copies])

    def _name(self, scope: Scope, item: Item, rows: Sequence[Row], texts: Sequence[str]) -> ast.expr:
        if len(set(texts)) == 1:
            return ast.Constant(texts[0])
        for candidate in (_templated(item, scope), _counted(scope, rows, texts)):
            if candidate is not None and holds(candidate, rows, texts):
                return candidate
        raise Unprovable("the names follow no rule")

    # ------------------------------------------------------------ conditions

    def _chain_if(self, scope: Scope, pairs: Sequence[tuple[Row, Body]], at: int, end: int, mixed: list[bool], sink: Sink, into: list[Stmt], cur: Var) -> Var:
        rows = [r for r, _ in pairs]
        there = [p for p, here in zip(pairs, mixed, strict=True) if here]
        test = self.condition(scope, [(r, b.items[at]) for r, b in pairs], mixed, cur)
        sink.open(into)
        body: list[Stmt] = []
        then = cur
        for k in range(at, end):
            column = [(r, b.items[k]) for r, b in there]
            copies = [(r, c) for r, o in column for c in o.copies if c is not None]
            then = self._element(scope, column[0][1].item, copies, sink, body, then)
        values = [_must(b.items[end - 1].out) for _, b in pairs]
        out = Var(self.join(rows, values, then, cur))
        for a in _ends(out):
            if out.axes[a] is None and not _alike([_dim(v, a) for v in values]):
                out.axes[a] = self._carry_if(scope, pairs, mixed, at, end, then, cur, a, into, body)
        scope.unit.settle(_assigned(body), into)
        if body:
            into.append(If(test, body))
        return define(rows, values, out)

    def _carry_if(self, scope: Scope, pairs: Sequence[tuple[Row, Body]], mixed: list[bool], at: int, end: int, then: Var, cur: Var, a: int, into: list[Stmt], body: list[Stmt]) -> ast.expr | None:
        """The line's width changes under the condition: a variable that is updated inside it."""
        old, new = cur.axes[a], then.axes[a]
        if old is None or new is None:
            return None
        rows = [r for r, _ in pairs]
        values = [_dim(b.items[end - 1].out, a) for _, b in pairs]
        if isinstance(old, ast.Name) and old.id in scope.unit.carried:
            text = old.id
        else:
            text = scope.unit.local("channels" if a == 0 and len(cur.axes) > 1 else "features")
            scope.unit.carried.add(text)
            scope.unit.settle({text}, into)
            into.append(Line(old, text))
        body.append(_update(text, new))
        for row, value in zip(rows, values, strict=True):
            row.py[text] = value
        return ast.Name(text)

    # ------------------------------------------------------------ repeats

    def _chain_repeat(self, scope: Scope, item: Item, column: Sequence[tuple[Row, Occurrence]], sink: Sink, into: list[Stmt], cur: Var) -> Var:
        rows = [r for r, _ in column]
        copies = [[c for c in o.copies if c is not None] for _, o in column]
        if not any(copies):
            return cur
        if column[0][1].name is None:
            out = self.copies(scope, item, rows, copies, sink, into, cur)
        else:
            texts = [o.name or "" for _, o in column]
            inner = Positional(scope.unit, texts[0] if len(set(texts)) == 1 else _words(item))
            scope.unit.sinks.append(inner)
            try:
                out = self.copies(scope, item, rows, copies, inner, into, cur)
            finally:
                scope.unit.sinks.pop()
            sink.add(self._name(scope, item, rows, texts) if sink.named else ast.Constant(""), inner.finish(), into)
        return define(rows, [_must(o.out) for _, o in column], out)

    def copies(self, scope: Scope, item: Item, rows: list[Row], copies: list[list[Copy]], sink: Sink, into: list[Stmt], cur: Var) -> Var:
        """Adds the copies of a repeated item: alike, the first apart, in a loop, or one by one."""
        if all(len(c) == 1 for c in copies):
            return self._rounds(scope, item, rows, copies, 0, sink, into, cur)
        first = next(c for c in copies if c)[0]
        if isinstance(sink, Positional) and (first.segments or first.body is None) and all(copies):
            apart = max(_tail_alike(c) for c in copies)
            if apart <= 1:
                return self._alike_copies(scope, item, rows, copies, apart, sink, into, cur)
        unit = scope.unit
        if sink.named and all(len(c) == 2 for c in copies):
            return self._one_by_one(scope, item, rows, copies, sink, into, cur)
        marks = [(r.vals, {k: len(v) for k, v in r.vals.items()}) for r in {id(r.vals): r for r in rows}.values()]
        saved = (set(unit.taken), set(unit.carried), dict(unit.potential), len(into), [dict(r.py) for r in rows], sink.variable if not isinstance(sink, Own) else None)
        try:
            return self._loop(scope, item, rows, copies, sink, into, cur)
        except Unprovable:
            if len({len(c) for c in copies}) > 1:
                raise
            unit.taken, unit.carried, unit.potential = saved[0], saved[1], saved[2]
            del into[saved[3] :]
            for row, py in zip(rows, saved[4], strict=True):
                row.py = py
            if not isinstance(sink, Own):
                sink.variable = saved[5]
            for vals, sizes in marks:
                for key, found in vals.items():
                    del found[sizes.get(key, 0) :]
        return self._one_by_one(scope, item, rows, copies, sink, into, cur)

    def _one_by_one(self, scope: Scope, item: Item, rows: list[Row], copies: list[list[Copy]], sink: Sink, into: list[Stmt], cur: Var) -> Var:
        for k in range(len(copies[0])):
            cur = self._rounds(scope, item, rows, copies, k, sink, into, cur)
        return cur

    def _rounds(self, scope: Scope, item: Item, rows: list[Row], copies: list[list[Copy]], k: int, sink: Sink, into: list[Stmt], cur: Var) -> Var:
        """Copy k, written by itself."""
        here = [(r, c[k]) for r, c in zip(rows, copies, strict=True)]
        bare = Scope(scope.unit, scope.rows, {n: v for n, v in scope.names.items() if n not in _own_names(item)}, scope.records, scope.parent)
        bare.place, bare.columns = scope.place, scope.columns
        return self._element(bare, item, here, sink, into, cur)

    def _alike_copies(self, scope: Scope, item: Item, rows: list[Row], copies: list[list[Copy]], apart: int, sink: Positional, into: list[Stmt], cur: Var) -> Var:
        out = cur
        if apart:
            out = self._rounds(scope, item, rows, copies, 0, sink, into, cur)
        rest = [(r, c) for r, c in zip(rows, copies, strict=True) if len(c) > apart]
        values = [len(c) for c in copies]
        if rest:
            there = [r for r, _ in rest]
            inner: list[Stmt] = []
            value, out_rest = self._module_of(scope, item, there, [c[apart] for _, c in rest], inner, out)
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
                rounds = ast.GeneratorExp(value, [ast.comprehension(ast.Name("_"), call("range", count), [], 0)])
                if sink.variable is None:
                    sink.elements.append(ast.Starred(rounds))
                else:
                    into.append(Line(call(f"{sink.variable}.extend", rounds)))
            last = [_must(c[-1].out) for c in copies]
            axes = []
            for a in range(len(out_rest.axes)):
                sizes = [_dim(v, a) for v in last]
                candidates = (out_rest.axes[a], out.axes[a] if a < len(out.axes) else None)
                axes.append(next((x for x in candidates if x is not None and holds(x, rows, sizes)), None))
            out = Var(axes)
        return define(rows, [_must(c[-1].out) for c in copies], out)

    def _count(self, scope: Scope, item: Item, rows: Sequence[Row], values: Sequence[int]) -> ast.expr:
        assert item.repeat is not None
        return scope.explain(rows, translate(item.repeat.count, scope.names, scope.records), values, "count")

    def _loop(self, scope: Scope, item: Item, rows: list[Row], copies: list[list[Copy]], sink: Sink, into: list[Stmt], cur: Var) -> Var:
        unit = scope.unit
        assert item.repeat is not None
        loop = Scope(unit, [], {}, scope.records, scope)
        index = next(n for n in ("i", "j", "k", "m", "n0", "n1", "n2", "n3") if n not in unit.taken)
        if sink.named or _reads_loop(item):
            unit.taken.add(index)
        columns = {c: unit.local(c) for c in item.repeat.columns}
        for row, cs in zip(rows, copies, strict=True):
            for k, c in enumerate(cs):
                sub = Row(dict(row.py), row.vals, row.base, c.env)
                sub.py[index] = k
                for column, text in columns.items():
                    sub.py[text] = plain(c.env.get(column))
                loop.rows.append(sub)
                loop.place[id(sub)] = (k, row)
        loop.names = {**scope.names, **{c: ast.Name(t) for c, t in columns.items()}, **_loop_names(index, copies)}
        flat = [c for cs in copies for c in cs]
        counter = self._counter(loop, item, flat)
        inside, carry = self._enter(scope, loop, rows, copies, flat, cur)
        sink.open(into)
        body: list[Stmt] = []
        end = self._element(loop, item, list(zip(loop.rows, flat, strict=True)), sink, body, inside)
        if counter is not None and counter in set().union(*(stmt_names(s) for s in body)):
            body.append(Line(ast.Constant(1), counter, op="+="))
            unit.counters.add(counter)
        axes, before = self._leave(scope, loop, rows, copies, flat, cur, end, carry, body, {index, *columns.values()})
        header, pair = self._header(scope, loop, item, rows, copies, body, index, columns, before)
        unit.settle(_assigned(body) | set(before), into)
        into += [Line(v, t) for t, v in before.items() if t != pair]
        if body:
            into.append(For(*header, body))
        unit.taken -= {index, *columns.values(), *loop.columns}
        return define(rows, [_must(c[-1].out) if c else _must(cur_value) for c, cur_value in ((cs, cs[-1].out if cs else None) for cs in copies) if c], Var(axes)) if all(copies) else Var(axes)

    def _counter(self, loop: Scope, item: Item, flat: list[Copy]) -> str | None:
        """`loop.serial` as a variable that counts on through the loops around; None where it is not read."""
        if not _reads_serial(item):
            return None
        by_base: dict[int, list[int]] = {}
        for row, c in zip(loop.rows, flat, strict=True):
            here = c.env["loop"]
            by_base.setdefault(row.base, []).append(here.serial)  # type: ignore[attr-defined]
        totals = {c.env["loop"].total for c in flat}  # type: ignore[attr-defined]
        if any(sorted(s) != list(range(len(s))) for s in by_base.values()) or len(totals) != 1 or any(len(s) not in totals for s in by_base.values()):
            return None
        text = loop.unit.local("done")
        for row, c in zip(loop.rows, flat, strict=True):
            row.py[text] = c.env["loop"].serial  # type: ignore[attr-defined]
        loop.names = {**loop.names, "loop.serial": ast.Name(text), "loop.total": ast.Constant(totals.pop())}
        return text

    def _enter(self, scope: Scope, loop: Scope, rows: list[Row], copies: list[list[Copy]], flat: list[Copy], cur: Var) -> tuple[Var, dict[int, str]]:
        """The line inside the loop: what does not change keeps its expression, a width that does becomes a variable."""
        unit = scope.unit
        inside = Var([None] * len(cur.axes))
        carry: dict[int, str] = {}
        for a, old in enumerate(cur.axes):
            sizes = [_dim(c.ins[0], a) for c in flat]
            if old is not None and holds(old, loop.rows, sizes):
                inside.axes[a] = old
            elif a in _ends(cur) and not (_alike(sizes) and old is None):
                hint = "channels" if a == 0 and len(cur.axes) > 1 else "features"
                text = old.id if isinstance(old, ast.Name) and old.id in unit.carried else hint if hint in unit.carried else unit.local(hint)
                unit.carried.add(text)
                carry[a] = text
                inside.axes[a] = ast.Name(text)
                for sub, size in zip(loop.rows, sizes, strict=True):
                    sub.py[text] = size
        define(loop.rows, [_must(c.ins[0]) for c in flat], inside)
        return inside, carry

    def _leave(
        self, scope: Scope, loop: Scope, rows: list[Row], copies: list[list[Copy]], flat: list[Copy], cur: Var, end: Var,
        carry: dict[int, str], body: list[Stmt], local: set[str],
    ) -> tuple[list[ast.expr | None], dict[str, ast.expr]]:  # fmt: skip
        """What is known of the line behind the loop, and what must be set before it; adds the updates to its body."""
        axes: list[ast.expr | None] = []
        before: dict[str, ast.expr] = {}
        used = set().union(*(stmt_names(s) for s in body)) | _assigned(body)
        last = [c[-1].out if c else None for c in copies]
        full = [(r, v) for r, v in zip(rows, last, strict=True) if v is not None]
        for a in range(len(end.axes)):
            new = end.axes[a]
            sizes = [_dim(v, a) for _, v in full]
            text = carry.get(a)
            outside = new if new is not None and not names_in(new) & (local | set(loop.columns) | set(carry.values())) else None
            settled = outside is not None and holds(outside, [r for r, _ in full], sizes) and len(full) == len(rows)
            if text is None:
                axes.append(outside if settled else None)
                continue
            if text not in used and (settled or _alike(sizes)):
                axes.append(outside if settled else None)
                continue
            behind = outside if settled else ast.Name(text)
            ends = [_dim(c.out, a) for c in flat]
            if new is None:
                new = loop.explain(loop.rows, [], ends, "channels")
            if not holds(ast.Name(text), loop.rows, ends):
                body.append(_update(text, new))
            begins = [_dim(c[0].ins[0], a) if c else None for c in copies]
            start = scope.explain([r for r, b in zip(rows, begins, strict=True) if b is not None], [cur.axes[a]], [b for b in begins if b is not None], text)
            if not (isinstance(start, ast.Name) and start.id == text):
                before[text] = start
            for (row, _), size in zip(full, sizes, strict=True):
                row.py[text] = size
            axes.append(behind)
        return axes, before

    def _header(
        self, scope: Scope, loop: Scope, item: Item, rows: list[Row], copies: list[list[Copy]], body: list[Stmt],
        index: str, columns: Mapping[str, str], before: dict[str, ast.expr],
    ) -> tuple[tuple[str, ast.expr], str | None]:  # fmt: skip
        """`c in (64, 128)`, `_ in range(n)`, `i, (n, c) in enumerate(…)`; and the carried width if it has become a column."""
        used = set().union(*(stmt_names(s) for s in body))
        table: dict[str, list[ast.expr]] = {}
        for column, text in columns.items():
            if text in used:
                table[text] = self._entries(scope, loop, item, rows, copies, column)
        table |= {t: e for t, e in loop.columns.items() if t in used}
        pair = None
        if not table and index not in used and len(before) == 1 and all(len(c) == 2 for c in copies):
            ((text, start),) = before.items()
            last = body[-1]
            if isinstance(last, Line) and last.target == text and last.op == "=" and not names_in(last.value) & {text}:
                body.pop()
                table[text], pair = [start, last.value], text
        if not table:
            count = self._count_of(scope, item, rows, copies)
            return (index if index in used else "_", call("range", count)), None
        texts = list(table)
        entries: list[ast.expr] = [e[0] for e in zip(*table.values(), strict=True)] if len(texts) == 1 else [ast.Tuple(list(e)) for e in zip(*table.values(), strict=True)]
        iterable: ast.expr = ast.Tuple(entries)
        target = ", ".join(texts)
        if index in used:
            target = f"{index}, ({target})" if len(texts) > 1 else f"{index}, {target}"
            iterable = call("enumerate", iterable)
        return (target, iterable), pair

    def _count_of(self, scope: Scope, item: Item, rows: list[Row], copies: list[list[Copy]]) -> ast.expr:
        return self._count(scope, item, rows, [len(c) for c in copies])

    def _entries(self, scope: Scope, loop: Scope, item: Item, rows: list[Row], copies: list[list[Copy]], column: str) -> list[ast.expr]:
        assert item.repeat is not None
        written = item.repeat.columns[column]
        entries = []
        for k in range(loop.rounds()):
            candidates = translate(written[k], scope.names, scope.records) if isinstance(written, list) and k < len(written) and isinstance(written[k], Expr) else []
            entries.append(scope.explain(rows, candidates, [c[k].env[column] for c in copies], column))
        return entries


# ---------------------------------------------------------------- small facts


def _must(value: Value | None) -> Value:
    if value is None:
        raise Unprovable("nothing flows on here")
    return value


def _dim(value: Value | None, axis: int) -> int:
    assert value is not None and value.type is not None
    return value.type.shape[axis]


def _ends(var: Var) -> tuple[int, ...]:
    """The axes that hold widths: channels, and of a sequence the features."""
    return (0,) if len(var.axes) != 2 and var.axes else (0, 1) if var.axes else ()


def _alike(values: Sequence[object]) -> bool:
    return all(v == values[0] for v in values)


def _same(item: Item, mixed: list[bool], column: Sequence[tuple[Row, Occurrence]]) -> bool:
    other = column[0][1].item
    return other.repeat is None and mixed_presence(column) == mixed and getattr(other.when, "text", other.when) == getattr(item.when, "text", item.when)


def _words(item: Item) -> str:
    text = "".join(p for p in item.id.parts if isinstance(p, str)).strip("_") if item.id is not None else ""
    return text if text.isidentifier() else item.op.lower()


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
        found["loop.last"] = ast.Compare(ast.Name(index), [ast.Eq()], [ast.Constant(counts.pop() - 1)])
    return found


def _templated(item: Item, scope: Scope) -> ast.expr | None:
    if item.id is None:
        return None
    parts: list[ast.expr] = []
    for p in item.id.parts:
        if isinstance(p, str):
            parts.append(ast.Constant(p))
            continue
        found = translate(p, scope.names, scope.records)
        if not found:
            return None
        parts.append(ast.FormattedValue(found[0], -1))
    return ast.JoinedStr(parts)


def _counted(scope: Scope, rows: Sequence[Row], texts: Sequence[str]) -> ast.expr | None:
    """`f"res{i + 1}"` for names in a series."""
    index = scope.names.get("loop.index")
    stems = {t.rstrip("0123456789") for t in texts}
    if not isinstance(index, ast.Name) or len(stems) != 1 or any(not t[-1:].isdigit() for t in texts):
        return None
    stem = stems.pop()
    numbers = {r.py.get(index.id): int(t[len(stem) :]) for r, t in zip(rows, texts, strict=True)}
    if 0 not in numbers or 1 not in numbers:
        return None
    step, start = numbers[1] - numbers[0], numbers[0]
    number: ast.expr = index if step == 1 else ast.BinOp(ast.Constant(step), ast.Mult(), index)
    if start:
        number = ast.BinOp(number, ast.Add(), ast.Constant(start))
    return ast.JoinedStr([*([ast.Constant(stem)] if stem else []), ast.FormattedValue(number, -1)])


def _reads_loop(item: Item) -> bool:
    """Whether an expression of the item, or of what is inside it up to the next repeat, reads `loop`."""
    values = [*item.args.values(), item.when, item.shortcut_when]
    if any(isinstance(v, Expr) and "loop" in v.names for v in values) or (item.id is not None and "loop" in item.id.names):
        return True
    inner = [*item.items, *(item.shortcut or ()), *(i for b in item.branches for i in b.items)]
    return any(i.repeat is None and _reads_loop(i) for i in inner)


def _reads_serial(item: Item) -> bool:
    return any(isinstance(v, Expr) and ("loop", "serial") in v.fields for v in item.args.values())


def _less(count: ast.expr, by: int) -> ast.expr:
    if isinstance(count, ast.Constant) and isinstance(count.value, int):
        return literal(count.value - by)
    return ast.BinOp(count, ast.Sub(), ast.Constant(by))


_AUGMENTED = {ast.Add: "+=", ast.Sub: "-=", ast.Mult: "*=", ast.FloorDiv: "//="}


def _update(text: str, new: ast.expr) -> Line:
    if isinstance(new, ast.BinOp) and isinstance(new.left, ast.Name) and new.left.id == text and type(new.op) in _AUGMENTED:
        return Line(new.right, text, op=_AUGMENTED[type(new.op)])
    return Line(new, text)


def _tail_alike(copies: Sequence[Copy]) -> int:
    """From which copy on all are alike."""
    at = len(copies) - 1
    while at > 0 and alike(copies[at - 1], copies[at]):
        at -= 1
    return at


def alike(a: Copy, b: Copy) -> bool:
    """Whether two copies are made by the same text: equal layers, blocks and types, item by item."""
    if a.instance is not b.instance or (a.layer is not b.layer and a.layer != b.layer) or a.plain != b.plain or a.shared is not b.shared:
        return False
    if a.instance is None and [v.type if v else None for v in a.ins] != [v.type if v else None for v in b.ins]:
        return False
    ours, theirs = ([x for x in (c.body, c.shortcut, *c.branches) if x is not None] for c in (a, b))
    return len(ours) == len(theirs) and all(map(_alike_bodies, ours, theirs))


def _alike_bodies(a: Body, b: Body) -> bool:
    if len(a.items) != len(b.items):
        return False
    for x, y in zip(a.items, b.items, strict=True):
        if x.name != y.name or len(x.copies) != len(y.copies):
            return False
        for c, d in zip(x.copies, y.copies, strict=True):
            if (c is None) != (d is None):
                return False
            if c is not None and d is not None and (c.segments != d.segments or not alike(c, d)):
                return False
    return True


def stmt_names(s: Stmt) -> set[str]:
    """The names a statement reads."""
    if isinstance(s, Line):
        target = {s.target.split(".")[0]} if "." in s.target or s.op != "=" else set()
        return names_in(s.value) | target
    if isinstance(s, If):
        return names_in(s.test).union(*(stmt_names(x) for x in (*s.body, *s.orelse)))
    if isinstance(s, For):
        return names_in(s.iter).union(set().union(*(stmt_names(x) for x in s.body)) - _targets(s))
    return set()


def _targets(s: For) -> set[str]:
    return set(s.target.replace("(", "").replace(")", "").replace(",", "").split())


def _assigned(body: Sequence[Stmt]) -> set[str]:
    found: set[str] = set()
    for s in body:
        if isinstance(s, Line):
            found.add(s.target)
        elif isinstance(s, (If, For)):
            found |= _assigned(s.body)
    return found


def tidy(statements: list[Stmt]) -> None:
    """Joins neighbouring appends; names a module whose call is too long inside another; drops variables that nothing reads."""
    _join_appends(statements)
    _name_long(statements, 2)
    while True:
        read = set().union(*(_read(s) for s in statements)) if statements else set()
        if not _drop(statements, read):
            return


def _join_appends(statements: list[Stmt]) -> None:
    done: list[Stmt] = []
    for s in statements:
        if isinstance(s, (If, For)):
            _join_appends(s.body)
        last = done[-1] if done else None
        ours, theirs = _appended(s), _appended(last)
        if ours is not None and theirs is not None and ours[0] == theirs[0]:
            done[-1] = Line(ast.List([*theirs[1], *ours[1]]), ours[0], op="+=")
        elif ours is not None and isinstance(last, Line) and last.target == ours[0] and last.annotation and isinstance(last.value, ast.List):
            done[-1] = Line(ast.List([*last.value.elts, *ours[1]]), last.target, last.annotation)
        else:
            done.append(s)
    statements[:] = done


def _name_long(statements: list[Stmt], depth: int) -> None:
    done: list[Stmt] = []
    for s in statements:
        if isinstance(s, (If, For)):
            _name_long(s.body, depth + 1)
        elif isinstance(s, Line) and not s.target and isinstance(s.value, ast.Call) and len(write([s], depth)) > 5:
            done += _named_arguments(s.value, depth)
        done.append(s)
    statements[:] = done


def _named_arguments(whole: ast.Call, depth: int) -> list[Stmt]:
    """Puts variables in the place of arguments that would be broken one line each."""
    found: list[Stmt] = []
    for k, part in enumerate(whole.args):
        inside = 4 * (depth + 2) + len(render(part)) - len(render(part.func)) - 1 if isinstance(part, ast.Call) else 0
        if isinstance(part, ast.Call) and WIDTH < inside <= WIDTH + 4:
            text = _snake(render(part.func).rpartition(".")[2])
            found.append(Line(part, text))
            whole.args[k] = ast.Name(text)
    return found


def _snake(text: str) -> str:
    found = "".join(f"_{c.lower()}" if c.isupper() and k and not text[k - 1].isupper() else c.lower() for k, c in enumerate(text))
    return found.replace("2d", "").replace("1d", "").replace("3d", "")


def _appended(s: Stmt | None) -> tuple[str, list[ast.expr]] | None:
    if not isinstance(s, Line):
        return None
    if s.op == "+=" and isinstance(s.value, ast.List):
        return s.target, s.value.elts
    if not s.target and isinstance(s.value, ast.Call) and isinstance(s.value.func, ast.Attribute) and s.value.func.attr == "append":
        return render(s.value.func.value), s.value.args
    return None


def _drop(statements: list[Stmt], read: set[str]) -> bool:
    dropped = False
    for s in list(statements):
        if isinstance(s, (If, For)):
            dropped = _drop(s.body, read) or dropped
        elif isinstance(s, Line) and s.target.isidentifier() and s.target not in read and not s.annotation and not isinstance(s.value, ast.Call):
            statements.remove(s)
            dropped = True
    return dropped


def _read(s: Stmt) -> set[str]:
    """The names a statement reads for anything but its own target."""
    if isinstance(s, Line) and s.target.isidentifier():
        return names_in(s.value) - {s.target}
    if isinstance(s, If):
        return names_in(s.test).union(*(_read(x) for x in (*s.body, *s.orelse)))
    if isinstance(s, For):
        return names_in(s.iter).union(set().union(*(_read(x) for x in s.body)) - _targets(s))
    return stmt_names(s)
