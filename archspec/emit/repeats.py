"""Repeats in forward → containers, called at once, in a loop, or one by one."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from itertools import pairwise

from archspec.emit.calls import Calls
from archspec.emit.chain import Chains
from archspec.emit.conditions import Conditions
from archspec.emit.engine import (
    MERGING,
    Part,
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
    apart,
    define,
    lookup,
)
from archspec.emit.forward import Assign, Loop, Step
from archspec.emit.groups import Groups
from archspec.emit.loops import Loops
from archspec.emit.signatures import Signatures
from archspec.emit.sinks import Positional
from archspec.emit.syntax import Line, Stmt, call
from archspec.emit.text import render
from archspec.emit.unit import Inline, Site
from archspec.expand.tree import Copy, Occurrence
from archspec.language import Item


@dataclass(eq=False)
class Repeats(Section):
    """Repeats in forward → containers, called at once, in a loop, or one by one."""

    calls: Calls
    chains: Chains
    conditions: Conditions
    groups: Groups
    loops: Loops
    signatures: Signatures

    def repeated(
        self,
        site: Site,
        item: Item,
        column: list[tuple[Row, Occurrence]],
    ) -> None:
        """A repeat in forward: a container under its id, or its copies one by one."""
        rows = [r for r, _ in column]
        copies = [[c for c in o.copies if c is not None] for _, o in column]
        if not any(copies):
            return
        segment = column[0][1].name
        outward = any(
            f is not None and f.outward
            for cs in copies
            for f in (self.whole.frames.get(id(c)) for c in cs)
        )
        if segment is not None and (site.scope.unit.inline or outward):
            self._copies_inlined(site, item, rows, copies, segment)
            return
        if segment is not None and not all(copies):
            raise UnprovableError("the repeat is empty in some instances")
        if segment is not None and item.tap is None:
            self._contained(site, item, rows, copies, segment)
            return
        self._one_by_one(site, item, rows, copies)

    def _one_by_one(
        self,
        site: Site,
        item: Item,
        rows: list[Row],
        copies: list[list[Copy]],
    ) -> None:
        """Each copy as if it were written out."""
        if len({len(c) for c in copies}) > 1:
            raise UnprovableError("the number of copies differs between instances")
        for k in range(len(copies[0])):
            self.whole.copy(
                site,
                item,
                [(self.conditions.sub_row(r), c[k]) for r, c in zip(rows, copies, strict=True)],
            )

    def _copies_inlined(
        self,
        site: Site,
        item: Item,
        rows: list[Row],
        copies: list[list[Copy]],
        segment: str,
    ) -> None:
        """Copies under an id, one by one, in a class around them."""
        unit = site.scope.unit
        fresh = not unit.inline
        base = self.whole.paths[id(copies[0][0])][:-1]
        if fresh:
            unit.members.add(segment)
            site.init.append(set_member(segment, call("nn.Module")))
            unit.inline.append(Inline(base, (segment,), True))
        else:
            self.groups.place(unit, base, call("nn.Module"), False, site.init)
        self._one_by_one(site, item, rows, copies)
        if fresh:
            unit.inline.pop()

    def _contained(
        self,
        site: Site,
        item: Item,
        rows: list[Row],
        copies: list[list[Copy]],
        segment: str,
    ) -> None:
        unit = site.scope.unit
        attribute = member(segment)
        last = [must(c[-1].out) for c in copies]
        if all(self._line(cs) for cs in copies):
            cur = lookup(rows, [c[0].ins[0] for c in copies])
            sink = Positional(unit, segment)
            with apart(rows, [c[0].ins[0] for c in copies], cur):
                out = self.loops.copies(site.scope, item, rows, copies, sink, site.init, cur)
            site.init.append(set_member(segment, sink.finish()))
            unit.members.add(segment)
            result = Var(out.axes, hint_of(item))
            site.steps.append(Assign([result], call(attribute, cur.ref)))
            define(rows, last, result)
            for cs in copies:
                for k, c in enumerate(cs):
                    unit.made[id(c)] = (
                        ast.Subscript(attribute, ast.Constant(k)),
                        self.signatures.call_module,
                    )
            return
        self._module_list(site, item, rows, copies, segment)

    def _line(self, copies: list[Copy]) -> bool:
        """Whether the copies are a chain of which nothing is read from outside but the end."""
        return self.chains.is_chain_of(copies) and self._private(copies)

    def _private(self, copies: list[Copy]) -> bool:
        """Whether what a copy gives is read by the next one alone."""
        return all(
            self.whole.consumers.get(id(c.out), set()) <= {id(after)}
            for c, after in pairwise(copies)
        )

    def _module_list(
        self,
        site: Site,
        item: Item,
        rows: list[Row],
        copies: list[list[Copy]],
        segment: str,
    ) -> None:
        """A ModuleList: its modules are made in a comprehension or as a list.

        They are called in a loop or one by one.
        """
        unit = site.scope.unit
        attribute = member(segment)
        unit.members.add(segment)
        if len({len(c) for c in copies}) > 1:
            raise UnprovableError("the number of copies differs between instances")
        elements: list[ast.expr] = []
        calls: list[list[Step]] = []
        for k in range(len(copies[0])):
            subs = [self.conditions.sub_row(r) for r in rows]
            at = ast.Subscript(attribute, ast.Constant(k))
            inner: list[Stmt] = []
            round_steps: list[Step] = []
            self._element_at(
                Site(site.scope, inner, round_steps), item, subs, [c[k] for c in copies], at
            )
            made = inner.pop()
            assert isinstance(made, Line)
            site.init += inner
            elements.append(made.value)
            calls.append(round_steps)
        texts = {render(e) for e in elements}
        if len(texts) == 1 and len(elements) > 1:
            site.init.append(
                set_member(
                    segment,
                    call("nn.ModuleList", _comprehension(elements[0], ast.Constant(len(elements)))),
                )
            )
        else:
            site.init.append(set_member(segment, call("nn.ModuleList", ast.List(elements))))
        looped = self._looped(attribute, calls) if all(map(self._private, copies)) else None
        if looped is not None:
            site.steps.append(looped)
            assert isinstance(looped.out, Var)
            define(rows, [must(c[-1].out) for c in copies], looped.out)
        else:
            for s in calls:
                site.steps += s

    def _element_at(
        self,
        site: Site,
        item: Item,
        rows: list[Row],
        copies: list[Copy],
        at: ast.expr,
    ) -> None:
        first = copies[0]
        if first.shared is not None:
            raise UnprovableError("a repeated use of shared weights")
        if not first.group:
            made = self.calls.maker(site.scope, item, rows, copies, module=True)
            site.init.append(
                Line(made.constructor if made.constructor is not None else call("nn.Identity"))
            )
            for c in copies:
                site.scope.unit.made[id(c)] = (at, made.apply)
            self.whole.apply(site.scope, rows, copies, at, made.apply, site.steps, hint_of(item))
            return
        frames = [self.whole.frames[id(c)] for c in copies]
        if not any(f.exports for f in frames):
            site.init.append(Line(call("nn.Identity")))
            return
        parts = [
            Part(r, c.body, c if item.op in MERGING else None, item)
            for r, c in zip(rows, copies, strict=True)
        ]
        value, captures, exports, info = self.groups.outlined(
            site.scope, item, rows, parts, frames, copies, hint_of(item) or item.op
        )
        site.init.append(Line(value))
        for c in copies:
            site.scope.unit.made[id(c)] = (at, self.signatures.call_module)
        self.groups.call_frame(
            site.scope, rows, at, captures, exports, info, site.steps, hint_of(item)
        )

    def _looped(self, attribute: ast.expr, calls: list[list[Step]]) -> Loop | None:
        """The calls as a loop, where each round differs from the next by what is carried alone."""
        if len(calls) < 2 or any(
            len(s) != 1 or not isinstance(s[0], Assign) or len(s[0].outs) != 1 for s in calls
        ):
            return None
        rounds = [s[0] for s in calls if isinstance(s[0], Assign)]
        if not all(
            isinstance(r.value, ast.Call)
            and not r.value.keywords
            and isinstance(r.value.func, ast.Subscript)
            for r in rounds
        ):
            return None
        values = [r.value for r in rounds if isinstance(r.value, ast.Call)]
        arguments = [[render(a) for a in v.args] for v in values]
        if any(not a for a in arguments):
            return None
        carried = [a[0] for a in arguments]
        links = [r.outs[0].ref for r in rounds[:-1]]
        if (
            carried[1:] != [render(link) for link in links]
            or len({tuple(a[1:]) for a in arguments}) > 1
        ):
            return None
        if any(c in a[1:] for c, a in zip(carried, arguments, strict=True)):
            return None
        layer, inside, end = Var([], "layer"), Var([], ""), Var([], "")
        start = _stand_in(values[0].args[0])
        last = rounds[-1].outs[0]
        assert isinstance(last, Var)
        out = Var(last.axes, last.hint)
        step = Assign([end], call(layer.ref, inside.ref, *values[0].args[1:]))
        return Loop(layer, attribute, [step], inside, start, end, out)


def _stand_in(node: ast.expr) -> Var:
    """A Var with the id of the one that a placeholder names."""
    assert isinstance(node, ast.Name)
    var = Var([], "")
    var.id = int(node.id[1:])
    return var


def _comprehension(element: ast.expr, count: ast.expr) -> ast.expr:
    return ast.GeneratorExp(
        element, [ast.comprehension(ast.Name("_"), call("range", count), [], 0)]
    )
