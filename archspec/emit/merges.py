"""Residuals and branches → their paths and the merge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from archspec.emit.calls import Calls
from archspec.emit.chain import Chains
from archspec.emit.conditions import Conditions
from archspec.emit.engine import (
    Pairs,
    Part,
    Section,
    member,
    must,
    set_member,
)
from archspec.emit.explain import (
    Row,
    Var,
    define,
    lookup,
    translate,
)
from archspec.emit.forward import Either, Step
from archspec.emit.groups import Groups
from archspec.emit.syntax import If, Stmt, call
from archspec.emit.unit import Inline, Scope, Site
from archspec.expand.tree import Body, Copy, Value
from archspec.language import Item


@dataclass(eq=False)
class Merges(Section):
    """Residuals and branches → their paths and the merge."""

    calls: Calls
    chains: Chains
    conditions: Conditions
    groups: Groups

    def merged(
        self,
        site: Site,
        item: Item,
        rows: list[Row],
        copies: list[Copy],
    ) -> None:
        """A residual or branches: its paths, then the merge."""
        first = copies[0]
        if first.branches:
            for k in range(len(first.branches)):
                self._branch(site, rows, [c.branches[k] for c in copies])
            self._merge(
                site.scope,
                rows,
                copies,
                [[must(c.branches[k].output) for c in copies] for k in range(len(first.branches))],
                site.steps,
            )
            return
        self.whole.body(
            site,
            [(r, c.body) for r, c in zip(rows, copies, strict=True) if c.body is not None],
        )
        plain_ = [c.plain for c in copies]
        if all(plain_):
            for r, c in zip(rows, copies, strict=True):
                alias([r], [c.body.output if c.body else None], [c.out])
            return
        open_rows = [(r, c) for r, c in zip(rows, copies, strict=True) if not c.plain]
        closed = [(r, c) for r, c in zip(rows, copies, strict=True) if c.plain]
        inner_init: list[Stmt] = []
        inner: list[Step] = []
        orows, ocopies = [r for r, _ in open_rows], [c for _, c in open_rows]
        if any(c.shortcut is not None for c in ocopies):
            self.whole.body(
                Site(site.scope, inner_init, inner),
                [(r, c.shortcut) for r, c in open_rows if c.shortcut is not None],
            )
        main = [must(c.body.output) for c in ocopies if c.body is not None]
        short = [must(c.shortcut.output if c.shortcut is not None else c.ins[0]) for c in ocopies]
        order = (
            [short, main]
            if ocopies[0].layer is not None and ocopies[0].layer.op == "concat"
            else [main, short]
        )
        self._merge(site.scope, orows, ocopies, order, inner)
        if not closed:
            site.init += inner_init
            site.steps += inner
            return
        self._maybe_merged(site, item, rows, copies, orows, ocopies, closed, inner_init, inner)

    def _maybe_merged(
        self,
        site: Site,
        item: Item,
        rows: list[Row],
        copies: list[Copy],
        orows: list[Row],
        ocopies: list[Copy],
        closed: Pairs,
        inner_init: list[Stmt],
        inner: list[Step],
    ) -> None:
        """`shortcut_when` that holds in some instances only."""
        candidates = translate(
            item.shortcut_when,
            site.scope.names,
            self.conditions.records(site.scope, rows, [c.ins[0] for c in copies]),
        )
        test = site.scope.explain(rows, candidates, [not c.plain for c in copies], "with_shortcut")
        then = lookup(orows, [must(c.out) for c in ocopies])
        other = lookup(rows, [must(c.body.output) for c in copies if c.body is not None])
        values = [must(c.out) for c in copies]
        out = Var(self.conditions.join(rows, values, then, other), "")
        if inner_init:
            site.init.append(If(test, inner_init))
        site.steps.append(
            Either(site.scope.unit.attribute(test, "use_shortcut"), inner, out, then, other)
        )
        define(orows, [must(c.out) for c in ocopies], out)
        for r, c in closed:
            define([r], [must(c.out)], out)

    def _branch(self, site: Site, rows: list[Row], bodies: list[Body]) -> None:
        segment = bodies[0].segment
        if segment is not None and site.scope.unit.inline:
            self.groups.place(
                site.scope.unit,
                self.whole.paths[id(bodies[0])],
                call("nn.Module"),
                False,
                site.init,
            )
        if segment is None or site.scope.unit.inline:
            self.whole.body(site, list(zip(rows, bodies, strict=True)))
            return
        if self.whole.frames[id(bodies[0])].outward:
            site.scope.unit.members.add(segment)
            site.init.append(set_member(segment, call("nn.Module")))
            site.scope.unit.inline.append(Inline(self.whole.paths[id(bodies[0])], (segment,), True))
            self.whole.body(site, list(zip(rows, bodies, strict=True)))
            site.scope.unit.inline.pop()
            return
        frames = [self.whole.frames[id(b)] for b in bodies]
        if not any(f.exports for f in frames):
            return  # nothing inside is there
        attribute = member(segment)
        if all(
            len(f.captures) == 1
            and b.input is next(iter(f.captures.values()))
            and len(f.exports) <= 1
            for f, b in zip(frames, bodies, strict=True)
        ) and self.chains.is_chain(bodies):
            takes, gives = [must(b.input) for b in bodies], [must(b.output) for b in bodies]
            self.groups.sequential(site, rows, bodies, takes, gives, segment, segment)
        else:
            item = bodies[0].items[0].item
            value, captures, exports, info = self.groups.outlined(
                site.scope,
                item,
                rows,
                [Part(r, b) for r, b in zip(rows, bodies, strict=True)],
                frames,
                bodies,
                segment,
            )
            site.init.append(set_member(segment, value))
            self.groups.call_frame(
                site.scope, rows, attribute, captures, exports, info, site.steps, segment
            )
        site.scope.unit.members.add(segment)

    def _merge(
        self,
        scope: Scope,
        rows: list[Row],
        copies: list[Copy],
        paths: list[list[Value]],
        steps: list[Step],
    ) -> None:
        ins = [lookup(rows, values) for values in paths]
        out = self.calls.merge(scope, rows, copies, ins, paths, steps)
        define(rows, [must(c.out) for c in copies], out)


def alias(rows: list[Row], values: Sequence[Value | None], others: Sequence[Value | None]) -> None:
    for row, value, other in zip(rows, values, others, strict=True):
        if value is not None and other is not None and value is not other:
            for var in list(row.vals.get(id(value), [])):
                define([row], [other], var)
