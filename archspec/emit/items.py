"""Items → statements of a constructor and steps of forward, one item after the other."""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from archspec.emit.calls import Calls
from archspec.emit.chain import mixed_presence
from archspec.emit.conditions import Conditions
from archspec.emit.engine import (
    MERGING,
    Pairs,
    Section,
    hint_of,
    member,
    must,
    set_member,
)
from archspec.emit.explain import (
    Row,
    UnprovableError,
    Var,
    define,
    lookup,
)
from archspec.emit.forward import Assign, Either, Step, Training
from archspec.emit.groups import Groups
from archspec.emit.inits import Inits
from archspec.emit.merges import Merges
from archspec.emit.repeats import Repeats
from archspec.emit.syntax import If, Line, Stmt, name
from archspec.emit.unit import Scope, Site
from archspec.expand.tree import Body, Copy, Occurrence, Value
from archspec.language import Item


@dataclass(eq=False)
class Items(Section):
    """Items → statements of a constructor and steps of forward, one item after the other."""

    calls: Calls
    conditions: Conditions
    groups: Groups
    inits: Inits
    merges: Merges
    repeats: Repeats

    def body(self, site: Site, pairs: list[tuple[Row, Body]]) -> None:
        """Lowers one path; what it gives is found through its rows."""
        count = len(pairs[0][1].items)
        at = 0
        while at < count:
            column = [(r, b.items[at]) for r, b in pairs]
            item = column[0][1].item
            mixed = mixed_presence(column)
            if item.repeat is not None or mixed is None:
                self.occurrence(site, item, column)
                at += 1
                continue
            end = at + 1
            while end < count and self._same_test(
                item, mixed, [(r, b.items[end]) for r, b in pairs]
            ):
                end += 1
            self._conditional(site, pairs, at, end, mixed)
            at = end

    def _same_test(
        self, item: Item, mixed: list[bool], column: list[tuple[Row, Occurrence]]
    ) -> bool:
        other = column[0][1].item
        return (
            other.repeat is None
            and mixed_presence(column) == mixed
            and _text_of(other.when) == _text_of(item.when)
            and other.tap is None
            and item.tap is None
        )

    def _conditional(
        self,
        site: Site,
        pairs: list[tuple[Row, Body]],
        at: int,
        end: int,
        mixed: list[bool],
    ) -> None:
        there = [p for p, here in zip(pairs, mixed, strict=True) if here]
        away = [p for p, here in zip(pairs, mixed, strict=True) if not here]
        item = pairs[0][1].items[at].item
        if item.tap is not None:
            raise UnprovableError("a tap that is there in some instances only")
        passed = [self._passed(b, at, end, here) for (_, b), here in zip(pairs, mixed, strict=True)]
        other = lookup([r for r, _ in pairs], passed)
        test = self.conditions.condition(
            site.scope, [(r, b.items[at]) for r, b in pairs], mixed, other
        )
        inner_init: list[Stmt] = []
        inner: list[Step] = []
        for k in range(at, end):
            column = [(r, b.items[k]) for r, b in there]
            self.occurrence(Site(site.scope, inner_init, inner), column[0][1].item, column)
        then_values = [_out(b.items[end - 1]) for _, b in there]
        other_values = [_out(b.items[end - 1]) for _, b in away]
        then = lookup([r for r, _ in there], then_values)
        rows = [r for r, _ in pairs]
        out = Var(
            self.conditions.join(rows, [_out(b.items[end - 1]) for _, b in pairs], then, other),
            hint_of(item),
        )
        shortcut = self._optional(test, inner_init, inner, then)
        if shortcut is not None:
            site.init.append(shortcut)
            test_here: ast.expr = ast.Compare(
                name(shortcut.target), [ast.IsNot()], [ast.Constant(None)]
            )
        else:
            if inner_init:
                site.init.append(If(test, inner_init))
            if not inner:  # nothing is computed here: what comes out is what went in
                define([r for r, _ in there], then_values, then)
                define([r for r, _ in away], other_values, then)
                return
            test_here = site.scope.unit.attribute(test, f"use_{hint_of(item) or item.op.lower()}")
        site.steps.append(Either(test_here, inner, out, then, other))
        define([r for r, _ in there], then_values, out)
        define([r for r, _ in away], other_values, out)

    def _passed(self, body: Body, at: int, end: int, here: bool) -> Value:
        """What flows on where the items are absent, or would flow on where they are there."""
        if not here:
            return _out(body.items[end - 1])
        copy = body.items[at].copies[0]
        assert copy is not None
        value = copy.ins[0] if copy.ins else None
        if value is None:
            raise UnprovableError("an item without input is there in some instances only")
        return value

    def _optional(
        self, test: ast.expr, init: list[Stmt], steps: list[Step], then: Var
    ) -> Line | None:
        """`self.m = X if test else None` for one module on the line."""
        if (
            len(init) == 1
            and isinstance(init[0], Line)
            and init[0].target.startswith("self.")
            and init[0].op == "="
            and not init[0].annotation
        ):
            line = init[0]
            if len(steps) == 1 and isinstance(steps[0], Assign) and steps[0].outs == [then]:
                return Line(ast.IfExp(test, line.value, ast.Constant(None)), line.target)
        return None

    def occurrence(
        self,
        site: Site,
        item: Item,
        column: list[tuple[Row, Occurrence]],
    ) -> None:
        """Lowers one item that is there in all rows or in none."""
        if item.repeat is not None:
            self.repeats.repeated(site, item, column)
            return
        if column[0][1].copies[0] is None:
            return
        pairs = [(r, o.copies[0]) for r, o in column]
        self.copy(site, item, [(r, c) for r, c in pairs if c is not None])

    def copy(self, site: Site, item: Item, pairs: Pairs) -> None:
        """Lowers one copy; a tap's steps run in training only."""
        if item.tap == "train":
            inner: list[Step] = []
            self._copy(Site(site.scope, site.init, inner), item, pairs)
            if inner:
                site.steps.append(Training(inner))
            return
        self._copy(site, item, pairs)

    def _copy(self, site: Site, item: Item, pairs: Pairs) -> None:
        first = pairs[0][1]
        rows = [r for r, _ in pairs]
        copies = [c for _, c in pairs]
        if any(c.segments[:1] != first.segments[:1] for c in copies) and _named(first):
            raise UnprovableError("the names differ between instances")
        if first.shared is not None:
            self.groups.again(site, item, rows, copies)
        elif site.scope.unit.inline:
            self.groups.inlined(site, item, rows, copies)
        elif not first.group:
            self._leaf(site, item, rows, copies)
        elif first.segments:
            self.groups.framed(site, item, rows, copies)
        elif item.op in MERGING:
            self.merges.merged(site, item, rows, copies)
        else:
            self.body(site, [(r, c.body) for r, c in pairs if c.body is not None])

    def _leaf(
        self,
        site: Site,
        item: Item,
        rows: list[Row],
        copies: list[Copy],
    ) -> None:
        attribute = member(copies[0].segments[-1]) if copies[0].segments else None
        made = self.calls.maker(site.scope, item, rows, copies)
        if made.constructor is not None:
            assert attribute is not None
            site.scope.unit.members.add(copies[0].segments[-1])
            site.init.append(set_member(copies[0].segments[-1], made.constructor))
            site.init += self.inits.member_init(site.scope, rows, copies, attribute)
        for c in copies:
            site.scope.unit.made[id(c)] = (
                attribute if attribute is not None else ast.Constant(None),
                made.apply,
            )
        self.apply(site.scope, rows, copies, attribute, made.apply, site.steps, hint_of(item))

    def apply(
        self,
        scope: Scope,
        rows: list[Row],
        copies: list[Copy],
        attribute: ast.expr | None,
        apply: Callable[..., Any],
        steps: list[Step],
        hint: str,
    ) -> None:
        """Adds the steps that call a member, and defines what it gives."""
        ins = [
            None if copies[0].ins[j] is None else lookup(rows, [c.ins[j] for c in copies])
            for j in range(len(copies[0].ins))
        ]
        outs = apply(scope, rows, copies, attribute, ins, steps, hint)
        for key, var in zip(copies[0].outs, outs, strict=True):
            define(rows, [c.outs[key] for c in copies], var)


def _named(copy: Copy) -> bool:
    return copy.layer is None or copy.body is not None or bool(copy.branches) or bool(copy.segments)


def _text_of(value: Any) -> str:
    return getattr(value, "text", repr(value))


def _out(occurrence: Occurrence) -> Value:
    return must(occurrence.out)
