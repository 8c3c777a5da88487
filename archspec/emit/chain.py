"""Chains of modules → nn.Sequential: expressions, or statements where items come and go."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from archspec.emit.calls import Calls
from archspec.emit.conditions import Conditions
from archspec.emit.engine import MERGING, Part, Section, must
from archspec.emit.explain import Row, UnprovableError, Var, apart, define, holds, translate
from archspec.emit.inits import Inits
from archspec.emit.signatures import Signatures
from archspec.emit.sinks import Named, Own, Positional, Sink
from archspec.emit.syntax import If, Line, Stmt, call, name
from archspec.emit.tidy import assigned
from archspec.emit.unit import Scope
from archspec.expand.tree import Body, Copy, Occurrence, Value
from archspec.language import Item


@dataclass(eq=False)
class Chains(Section):
    """The part of the lowering that builds nn.Sequential."""

    calls: Calls
    conditions: Conditions
    inits: Inits
    signatures: Signatures

    _chain_cache: dict[int, bool] = field(default_factory=dict)

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
        if (
            c.shared is not None
            or len(ins) != 1
            or len(c.ins) != 1
            or ins[0] is not cur
            or len(c.outs) != 1
            or c.out is None
        ):
            return False
        if c.instance is not None:
            outputs = list(c.instance.outputs.values())
            return (
                len(outputs) == 1
                and not isinstance(outputs[0], tuple)
                and len(c.instance.inputs) == 1
                and not c.instance.training
            )
        if not c.group:
            made = self.calls.torch_call(c, True)
            natural = made.target is not None and (
                made.target.startswith("nn.") or self.calls.torch_call(c, False).target is not None
            )
            return (
                bool(c.segments)
                and made.forward == "self(x0)"
                and made.results == ("r",)
                and made.target is not None
                and (numbered or natural)
            )
        if c.segments:
            frame = self.whole.frames[id(c)]
            captured, exported = list(frame.captures.values()), list(frame.exports.values())
            if frame.outward:
                return False
            return len(captured) == 1 and captured[0] is cur and all(e is c.out for e in exported)
        return (
            c.layer is None and not c.branches and c.body is not None and self._chain_body(c.body)
        )

    def container(
        self,
        scope: Scope,
        pairs: Sequence[tuple[Row, Body]],
        segment: str,
        into: list[Stmt],
        cur: Var,
        attribute: bool = False,
    ) -> tuple[ast.expr, Var]:
        """An nn.Sequential for a named group; `attribute`: it is `self.<segment>`."""
        positional = leaf_names([b for _, b in pairs]) == "numbers"
        sink: Positional | Named = (
            Positional(scope.unit, segment) if positional else Named(scope.unit, segment, attribute)
        )
        scope.unit.sinks.append(sink)
        try:
            with apart([r for r, _ in pairs], [must(b.input) for _, b in pairs], cur):
                out = self.chain(scope, pairs, sink, into, cur)
        finally:
            scope.unit.sinks.pop()
        return sink.finish(), out

    def chain(
        self,
        scope: Scope,
        pairs: Sequence[tuple[Row, Body]],
        sink: Sink,
        into: list[Stmt],
        cur: Var,
    ) -> Var:
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
                cur = self.whole.chain_repeat(scope, item, column, sink, into, cur)
            elif column[0][1].copies[0] is not None:
                cur = self.element(
                    scope,
                    item,
                    [(r, c) for r, o in column for c in o.copies if c is not None],
                    sink,
                    into,
                    cur,
                )
            at += 1
        return cur

    def element(
        self,
        scope: Scope,
        item: Item,
        pairs: Sequence[tuple[Row, Copy]],
        sink: Sink,
        into: list[Stmt],
        cur: Var,
    ) -> Var:
        rows, copies = [r for r, _ in pairs], [c for _, c in pairs]
        first = copies[0]
        if first.body is not None and not first.segments:
            return self.chain(
                scope, [(r, c.body) for r, c in pairs if c.body is not None], sink, into, cur
            )
        value, out = self.module_of(scope, item, rows, copies, into, cur)
        text: ast.expr = ast.Constant("")
        if sink.named:
            text = self.label(scope, item, rows, [c.segments[0] for c in copies])
        sink.add(text, value, into)
        word = str(text.value) if isinstance(text, ast.Constant) else ""
        if isinstance(sink, Own) and word.isidentifier():
            into += self.inits.member_init(scope, rows, copies, name(f"self.{word}"))
        return define(rows, [must(c.out) for c in copies], out)

    def module_of(
        self,
        scope: Scope,
        item: Item,
        rows: list[Row],
        copies: list[Copy],
        into: list[Stmt],
        cur: Var,
    ) -> tuple[ast.expr, Var]:
        first = copies[0]
        if not first.group:
            made = self.calls.maker(scope, item, rows, copies, module=True)
            if made.constructor is None:
                raise UnprovableError("a functional op in a chain")
            return made.constructor, Var(made.axes[0])
        if not any(self.whole.frames[id(c)].exports for c in copies):
            return call("nn.Identity"), cur  # nothing inside is there, but it has its place
        hint = first.segments[0]
        hint = hint if hint.isidentifier() else words_of(item)
        bodies = [c.body for c in copies if c.body is not None and item.op not in MERGING]
        if len(bodies) == len(copies) and self.is_chain(bodies):
            return self.container(scope, list(zip(rows, bodies, strict=True)), hint, into, cur)

        parts = [
            Part(r, c.body, c if item.op in MERGING else None, item)
            for r, c in zip(rows, copies, strict=True)
        ]
        value, _, exports, info = self.whole.outlined(
            scope, item, rows, parts, [self.whole.frames[id(c)] for c in copies], copies, hint
        )
        axes = (
            self.signatures.outer_axes(info, 0, rows, [e[0] for e in exports]) if exports[0] else []
        )
        return value, Var(axes)

    def label(
        self, scope: Scope, item: Item, rows: Sequence[Row], texts: Sequence[str]
    ) -> ast.expr:
        """The module's name: a word, or in a loop an f-string."""
        if len(set(texts)) == 1:
            return ast.Constant(texts[0])
        for candidate in (_templated(item, scope), _counted(scope, rows, texts)):
            if candidate is not None and holds(candidate, rows, texts):
                return candidate
        raise UnprovableError("the names follow no rule")

    def _chain_if(
        self,
        scope: Scope,
        pairs: Sequence[tuple[Row, Body]],
        at: int,
        end: int,
        mixed: list[bool],
        sink: Sink,
        into: list[Stmt],
        cur: Var,
    ) -> Var:
        rows = [r for r, _ in pairs]
        there = [p for p, here in zip(pairs, mixed, strict=True) if here]
        test = self.conditions.condition(scope, [(r, b.items[at]) for r, b in pairs], mixed, cur)
        sink.open(into)
        body: list[Stmt] = []
        then = cur
        for k in range(at, end):
            column = [(r, b.items[k]) for r, b in there]
            copies = [(r, c) for r, o in column for c in o.copies if c is not None]
            then = self.element(scope, column[0][1].item, copies, sink, body, then)
        values = [must(b.items[end - 1].out) for _, b in pairs]
        out = Var(self.conditions.join(rows, values, then, cur))
        for a in ends(out):
            if out.axes[a] is None and not all_equal([dim(v, a) for v in values]):
                out.axes[a] = self._carry_if(scope, pairs, end, then, cur, a, into, body)
        scope.unit.settle(assigned(body), into)
        if body:
            into.append(If(test, body))
        return define(rows, values, out)

    def _carry_if(
        self,
        scope: Scope,
        pairs: Sequence[tuple[Row, Body]],
        end: int,
        then: Var,
        cur: Var,
        a: int,
        into: list[Stmt],
        body: list[Stmt],
    ) -> ast.expr | None:
        """The line's width changes under the condition: a variable that is updated inside it."""
        old, new = cur.axes[a], then.axes[a]
        if old is None or new is None:
            return None
        rows = [r for r, _ in pairs]
        values = [dim(b.items[end - 1].out, a) for _, b in pairs]
        if isinstance(old, ast.Name) and old.id in scope.unit.carried:
            text = old.id
        else:
            text = scope.unit.local("channels" if a == 0 and len(cur.axes) > 1 else "features")
            scope.unit.carried.add(text)
            scope.unit.settle({text}, into)
            into.append(Line(old, text))
        body.append(update(text, new))
        for row, value in zip(rows, values, strict=True):
            row.py[text] = value
        return ast.Name(text)


_AUGMENTED = {ast.Add: "+=", ast.Sub: "-=", ast.Mult: "*=", ast.FloorDiv: "//="}


def mixed_presence(column: Sequence[tuple[Row, Occurrence]]) -> list[bool] | None:
    """Where an item is there, if in some rows only."""
    here = [bool(o.copies) and o.copies[0] is not None for _, o in column]
    return here if any(here) and not all(here) else None


def leaf_names(bodies: Sequence[Body]) -> str:
    """How modules are named: "numbers" for 0, 1, 2 … in every body, else "names"."""
    return (
        "numbers"
        if all(all(text == str(k) for k, text in enumerate(_leaves(b))) for b in bodies)
        else "names"
    )


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


def _same(item: Item, mixed: list[bool], column: Sequence[tuple[Row, Occurrence]]) -> bool:
    other = column[0][1].item
    return (
        other.repeat is None
        and mixed_presence(column) == mixed
        and getattr(other.when, "text", other.when) == getattr(item.when, "text", item.when)
    )


def dim(value: Value | None, axis: int) -> int:
    assert value is not None
    assert value.type is not None
    return value.type.shape[axis]


def ends(var: Var) -> tuple[int, ...]:
    """The axes that hold widths: channels, and of a sequence the features."""
    return (0,) if len(var.axes) != 2 and var.axes else (0, 1) if var.axes else ()


def all_equal(values: Sequence[object]) -> bool:
    return all(v == values[0] for v in values)


def words_of(item: Item) -> str:
    text = (
        "".join(p for p in item.id.parts if isinstance(p, str)).strip("_")
        if item.id is not None
        else ""
    )
    return text if text.isidentifier() else item.op.lower()


def update(text: str, new: ast.expr) -> Line:
    if (
        isinstance(new, ast.BinOp)
        and isinstance(new.left, ast.Name)
        and new.left.id == text
        and type(new.op) in _AUGMENTED
    ):
        return Line(new.right, text, op=_AUGMENTED[type(new.op)])
    return Line(new, text)


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
    if (
        not isinstance(index, ast.Name)
        or len(stems) != 1
        or any(not t[-1:].isdigit() for t in texts)
    ):
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
