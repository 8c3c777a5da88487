"""Named groups → modules: an nn.Sequential, a class, or what is written out around it.

Written out is what shares weights across its edge.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from archspec.emit.blocks import Blocks
from archspec.emit.calls import Calls
from archspec.emit.chain import Chains
from archspec.emit.engine import (
    MERGING,
    Part,
    Section,
    dims,
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
from archspec.emit.forward import Assign, Step
from archspec.emit.inits import Inits
from archspec.emit.signatures import Signatures
from archspec.emit.syntax import Line, Stmt, call
from archspec.emit.text import render
from archspec.emit.unit import ClassInfo, Inline, Scope, Site, Unit
from archspec.expand.tree import Body, Copy, Value
from archspec.language import Item


@dataclass(eq=False)
class Groups(Section):
    """The part of the lowering that turns named groups into modules."""

    blocks: Blocks
    calls: Calls
    chains: Chains
    inits: Inits
    signatures: Signatures

    def inlined(
        self,
        site: Site,
        item: Item,
        rows: list[Row],
        copies: list[Copy],
    ) -> None:
        """One copy of a group that is written out in this class."""
        first = copies[0]
        if not first.group:
            made = self.calls.maker(site.scope, item, rows, copies)
            attribute = self.place(
                site.scope.unit,
                self.whole.paths[id(first)],
                made.constructor,
                item.op == "parameter",
                site.init,
            )
            for c in copies:
                site.scope.unit.made[id(c)] = (attribute, made.apply)
            self.whole.apply(
                site.scope, rows, copies, attribute, made.apply, site.steps, hint_of(item)
            )
            return
        if first.segments and len(self.whole.paths[id(first)]) > len(
            site.scope.unit.inline[-1].base
        ):
            self.place(
                site.scope.unit, self.whole.paths[id(first)], call("nn.Module"), False, site.init
            )
        if (
            first.branches
            or first.shortcut is not None
            or item.op in MERGING
            or (first.layer is not None and first.body is not None)
        ):
            self.whole.merged(site, item, rows, copies)
        else:
            self.whole.body(
                site,
                [(r, c.body) for r, c in zip(rows, copies, strict=True) if c.body is not None],
            )

    def place(
        self,
        unit: Unit,
        path: tuple[str, ...],
        constructor: ast.expr | None,
        parameter: bool,
        init: list[Stmt],
    ) -> ast.expr:
        """How a member of an inlined group is reached; where it belongs here, it is made."""
        mode = unit.inline[-1]
        full = (*mode.module, *path[len(mode.base) :])
        if mode.make and constructor is not None:
            owner = call("self.get_submodule", ast.Constant(".".join(full[:-1])))
            how = "register_parameter" if parameter else "add_module"
            init.append(Line(call(ast.Attribute(owner, how), ast.Constant(full[-1]), constructor)))
        return call(
            "self.get_parameter" if parameter else "self.get_submodule",
            ast.Constant(".".join(full)),
        )

    def _written_out(
        self,
        site: Site,
        item: Item,
        rows: list[Row],
        copies: list[Copy],
        segment: str,
    ) -> None:
        """A group with a use of weights from outside it: no class of its own."""
        unit = site.scope.unit
        unit.members.add(segment)
        site.init.append(set_member(segment, call("nn.Module")))
        base = self.whole.paths[id(copies[0])]
        unit.inline.append(Inline(base, (segment,), True))
        if item.op in MERGING:
            self.whole.merged(site, item, rows, copies)
        else:
            self.whole.body(
                site,
                [(r, c.body) for r, c in zip(rows, copies, strict=True) if c.body is not None],
            )
        unit.inline.pop()

    def again(
        self,
        site: Site,
        item: Item,
        rows: list[Row],
        copies: list[Copy],
    ) -> None:
        attribute, apply = self._owner(site.scope, item, rows, copies)
        if copies[0].body is None and not copies[0].branches:
            self.whole.apply(site.scope, rows, copies, attribute, apply, site.steps, hint_of(item))
            return
        frames = [self.whole.frames[id(c)] for c in copies]
        owners = [self.whole.frames[id(c.shared)] for c in copies]
        if not any(f.exports for f in frames):
            return
        if owners[0].outward or any(
            list(map(len, (f.exports, f.captures))) != list(map(len, (o.exports, o.captures)))
            for f, o in zip(frames, owners, strict=True)
        ):
            base = site.scope.unit.base
            path = self.whole.paths[id(copies[0].shared)]
            if path[: len(base)] != base:
                raise UnprovableError("weights shared with a module outside this part")
            site.scope.unit.inline.append(
                Inline(self.whole.paths[id(copies[0])], path[len(base) :], False)
            )
            self.inlined(site, item, rows, copies)
            site.scope.unit.inline.pop()
            return
        ins = [
            lookup(rows, [list(f.captures.values())[j] for f in frames])
            for j in range(len(frames[0].captures))
        ]
        for values in zip(*(f.exports.values() for f in frames), strict=True):
            if values[0].type is None:
                raise UnprovableError("a shape is unknown")
        exported = [
            [list(f.exports.values())[j] for f in frames] for j in range(len(frames[0].exports))
        ]
        outs = [Var([None] * len(dims(vs[0])), hint_of(item)) for vs in exported]
        site.steps.append(
            Assign(outs, call(attribute, *(self.calls.batched(site.scope, v, ins) for v in ins)))
        )
        for out, vs in zip(outs, exported, strict=True):
            define(rows, vs, out)

    def _owner(
        self, scope: Scope, item: Item, rows: list[Row], copies: list[Copy]
    ) -> tuple[ast.expr, Callable[..., Any]]:
        """The module whose weights are used again, and how it is called."""
        made = [scope.unit.made.get(id(c.shared)) for c in copies]
        if made[0] is not None and all(m is made[0] or m == made[0] for m in made):
            return made[0]
        base = scope.unit.base
        paths = {self.whole.paths[id(c.shared)] for c in copies}
        if len(paths) > 1:
            raise UnprovableError("different modules are shared")
        path = paths.pop()
        if path[: len(base)] != base:
            raise UnprovableError("weights shared with a module outside this part")
        attribute = call("self.get_submodule", ast.Constant(".".join(path[len(base) :])))
        apply = self.signatures.call_module
        if copies[0].instance is None and copies[0].body is None and not copies[0].branches:
            apply = self.calls.maker(scope, item, rows, copies).apply
        return attribute, apply

    def framed(
        self,
        site: Site,
        item: Item,
        rows: list[Row],
        copies: list[Copy],
    ) -> None:
        segment = copies[0].segments[-1]
        attribute = member(segment)
        bodies = [c.body for c in copies if c.body is not None and item.op not in MERGING]
        frames = [self.whole.frames[id(c)] for c in copies]
        if frames[0].outward:
            self._written_out(site, item, rows, copies, segment)
            return
        if (
            len(bodies) == len(copies)
            and all(self._unary(f, c) for f, c in zip(frames, copies, strict=True))
            and self.chains.is_chain(bodies)
        ):
            gives = [must(c.out) for c in copies]
            self.sequential(
                site, rows, bodies, [c.ins[0] for c in copies], gives, segment, hint_of(item)
            )
            site.init += self.inits.group_init(site.scope, bodies, attribute)
            apply = self.signatures.call_module
            for c in copies:
                site.scope.unit.made[id(c)] = (attribute, apply)
            return
        if not any(f.exports for f in frames):
            return  # nothing inside is there: what comes out is what went in
        value, captures, exports, info = self.outlined(
            site.scope,
            item,
            rows,
            [
                Part(r, c.body, c if item.op in MERGING else None, item)
                for r, c in zip(rows, copies, strict=True)
            ],
            frames,
            copies,
            segment,
        )
        site.init.append(set_member(segment, value))
        site.scope.unit.members.add(segment)
        self.call_frame(
            site.scope, rows, attribute, captures, exports, info, site.steps, hint_of(item)
        )
        for c in copies:
            site.scope.unit.made[id(c)] = (attribute, self.signatures.call_module)

    def sequential(
        self,
        site: Site,
        rows: list[Row],
        bodies: list[Body],
        takes: Sequence[Value | None],
        gives: Sequence[Value],
        segment: str,
        hint: str,
    ) -> None:
        """Paths that are chains, as one nn.Sequential: made, called, its result known."""
        cur = lookup(rows, takes)
        pairs = list(zip(rows, bodies, strict=True))
        value, out = self.chains.container(
            site.scope, pairs, segment, site.init, cur, segment.isidentifier()
        )
        if render(value) != f"self.{segment}":
            site.init.append(set_member(segment, value))
        site.scope.unit.members.add(segment)
        result = Var(out.axes, hint)
        site.steps.append(Assign([result], call(member(segment), cur.ref)))
        define(rows, gives, result)

    def _unary(self, frame: Any, copy: Copy) -> bool:
        ins = list(frame.captures.values())
        outs = list(frame.exports.values())
        return (
            len(ins) == 1
            and ins[0] is copy.ins[0]
            and copy.body is not None
            and (not outs or (len(outs) == 1 and outs[0] is copy.out))
            and copy.body.output is copy.out
        )

    def outlined(
        self,
        scope: Scope,
        item: Item,
        rows: list[Row],
        parts: list[Part],
        frames: list[Any],
        keys: Sequence[Any],
        segment: str,
    ) -> tuple[ast.expr, list[list[Value]], list[list[Value]], ClassInfo]:
        """A class for a named group that is no chain.

        What its body reads from outside comes in as arguments. Returns the call of its constructor,
        what comes in and what goes out in each row, and the class.
        """
        captures = [list(f.captures.values()) for f in frames]
        exports = [list(f.exports.values()) for f in frames]
        if len({len(c) for c in captures}) > 1 or len({len(e) for e in exports}) > 1:
            raise UnprovableError("what crosses the group's edge differs between instances")
        title = self.blocks.free(_camel(segment if segment.isidentifier() else item.op))
        visible = [n for n in rows[0].py if all(n in r.py for r in rows) and n.isidentifier()]
        inner_rows = [Row({n: r.py[n] for n in visible}, {}, k) for k, r in enumerate(rows)]
        unit = Unit(inner_rows, dict(scope.names), {}, dict.fromkeys(visible))
        unit.base = frames[0].path
        for j in range(len(captures[0])):
            text = "x" if j == 0 else f"x{j}"
            for n in (f"{'in' if j == 0 else text}_{w}" for w in ("channels", "features")):
                unit.potential.pop(n, None)
            self.blocks.input(unit, inner_rows, [c[j] for c in captures], text, j, False)
        unit.scope.records = dict(scope.records)
        for p, r in zip(parts, inner_rows, strict=True):
            p.row = r
        info = ClassInfo(title, item)
        info.values = {id(k): r.py for k, r in zip(keys, inner_rows, strict=True)}
        names = ["x"] + [f"x{j}" for j in range(1, len(captures[0]))]
        outs = {str(j): [e[j] for e in exports] for j in range(len(exports[0]))}
        self.whole.write_class(unit, info, parts, captures, names[: len(captures[0])], outs, {})
        twin = next(
            (
                c
                for c in self.whole.order[self.whole.mark :]
                if c.lines[1:] == info.lines[1:]
                and len(c.values)
                and c.outputs == info.outputs
                and not c.declared
            ),
            None,
        )
        if twin is not None:
            self.whole.class_names.discard(title)
            twin.values.update(info.values)
            info.name, info.lines = twin.name, twin.lines
        else:
            self.whole.order.append(info)
        shape_vars = [lookup(rows, [c[j] for c in captures]) for j in range(len(captures[0]))]
        value = self.signatures.construct(
            scope, rows, info, [info.values[id(k)] for k in keys], None, shape_vars, names
        )
        return value, captures, exports, info

    def call_frame(
        self,
        scope: Scope,
        rows: list[Row],
        attribute: ast.expr,
        captures: list[list[Value]],
        exports: list[list[Value]],
        info: ClassInfo,
        steps: list[Step],
        hint: str,
    ) -> None:
        ins = [lookup(rows, [c[j] for c in captures]) for j in range(len(captures[0]))]
        outs = [
            Var(
                self.signatures.outer_axes(info, j, rows, [e[j] for e in exports]),
                hint if j == 0 else f"{hint}{j}",
            )
            for j in range(len(exports[0]))
        ]
        if outs:
            steps.append(
                Assign(outs, call(attribute, *(self.calls.batched(scope, v, ins) for v in ins)))
            )
        for j, out in enumerate(outs):
            define(rows, [e[j] for e in exports], out)


def _camel(text: str) -> str:
    return "".join(part[:1].upper() + part[1:] for part in text.split("_")) or "Group"
