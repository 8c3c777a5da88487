"""Instances → classes: each spec body is walked once, in lockstep over all its instances."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from archspec.emit.calls import Calls, activation_class
from archspec.emit.chain import Chains, Own, Positional, leaf_names, mixed_presence as _mixed, stmt_names, tidy
from archspec.emit.docstring import describe, plain_shapes
from archspec.emit.explain import Row, Unprovable, Var, apart, define, holds, lookup, names_in, translate
from archspec.emit.forward import Assign, Either, Loop, Naming, Step, Training, nest
from archspec.emit.frames import Frames
from archspec.emit.inits import Inits, freezing
from archspec.emit.text import WIDTH, Dotted, For, If, Line, Return, Stmt, call, exchanged, name, render, write
from archspec.emit.unit import RESERVED, ClassInfo, Parameter, Scope, Unit, plain
from archspec.expressions import Expr
from archspec.graph import Body, Copy, Instance, Occurrence, Value
from archspec.spec import Init, Item

MERGING = frozenset({"residual", "branches"})
Pairs = list[tuple[Row, Copy]]


@dataclass(slots=True, eq=False)
class Group:
    """Instances of one block that one class serves."""

    instances: list[Instance]
    info: ClassInfo | None = None
    busy: bool = False


@dataclass(slots=True)
class Part:
    """What a class computes, in one row: a body, or a residual or branches with an id."""

    row: Row
    body: Body | None
    copy: Copy | None = None
    item: Item | None = None


class Lowering(Chains, Calls, Inits):
    """All classes of one file. `roots` are witnesses of the same network; `kept` are its params that stay arguments."""

    def __init__(self, roots: list[Instance], title: str, kept: Sequence[str], rules: Init | None = None) -> None:
        super().__init__()
        self.rules, self.seen_roots = rules or {}, roots
        self.roots, self.title, self.kept = roots, title, tuple(kept)
        self.group_of: dict[int, Group] = {}
        self.frames: dict[int, Any] = {}
        self.consumers: dict[int, set[int]] = {}
        self.paths: dict[int, tuple[str, ...]] = {}
        self.order: list[ClassInfo] = []
        self.class_names: set[str] = set()
        self._collect()

    # ------------------------------------------------------------ blocks

    def _collect(self) -> None:
        by_block: dict[int, list[Instance]] = {}
        seen: set[int] = set()
        for root in self.roots:
            stack = [root]
            while stack:
                instance = stack.pop()
                if id(instance) in seen:
                    continue
                seen.add(id(instance))
                crossing = Frames(instance)
                self.frames.update(crossing.of)
                self.consumers.update(crossing.consumers)
                self.paths.update(crossing.paths)
                self.learn(instance)
                by_block.setdefault(id(instance.block), []).append(instance)
                stack += _called(instance.body)
        for instances in by_block.values():
            group = Group(instances)
            for i in instances:
                self.group_of[id(i)] = group

    def class_of(self, instances: Sequence[Instance]) -> ClassInfo:
        """The one class that serves these instances. Raises Unprovable when there are several."""
        while True:
            groups = {id(g): g for g in (self.group_of[id(i)] for i in instances)}
            if len(groups) > 1:
                raise Unprovable("the calls need different classes")
            group = next(iter(groups.values()))
            if group.info is not None:
                return group.info
            self._write_group(group)

    def _write_group(self, group: Group) -> None:
        block = group.instances[0].block
        title = self._free(block.name)
        before = len(self.order)
        group.busy = True
        group.info = self._guess(group, title)
        try:
            for _ in range(8):
                known = _signature(group.info)
                self._forget(before)
                info = self._block_class(group, title)
                group.info = info
                if _signature(info) == known:
                    break
            else:
                raise Unprovable("the recursive call's arguments do not settle")
        except Unprovable:
            group.info, group.busy = None, False
            self._forget(before)
            self.class_names.discard(title)
            if len(group.instances) == 1:
                raise
            self._divide(group)
            return
        group.busy = False
        self.order.append(group.info)

    def _forget(self, before: int) -> None:
        """Drops the classes of groups (not of blocks) that a failed try has written."""
        served = {id(g.info) for g in self.group_of.values()}
        dropped = [c for c in self.order[before:] if id(c) not in served]
        self.class_names -= {c.name for c in dropped}
        self.order[before:] = [c for c in self.order[before:] if id(c) in served]

    def _divide(self, group: Group) -> None:
        parts: dict[Any, list[Instance]] = {}
        for i in group.instances:
            parts.setdefault(_shape_of(i.body, tuple(len(v.type.shape) if v.type else 0 for v in i.inputs.values())), []).append(i)
        if len(parts) == 1:
            parts = {n: [i] for n, i in enumerate(group.instances)}
        for instances in parts.values():
            part = Group(instances)
            for i in instances:
                self.group_of[id(i)] = part

    def _guess(self, group: Group, title: str) -> ClassInfo:
        """What a recursive call may assume of a class that is not written yet."""
        first = group.instances[0]
        block = first.block
        rows = [self._block_row(i, n) for n, i in enumerate(group.instances)]
        unit = self._unit(rows, group.instances)
        info = ClassInfo(title, declared=tuple(block.params), lead=_lead(block.params))
        info.parameters = [Parameter(p, "int") for p in unit.potential if p in block.params or p.endswith("_channels")]
        info.values = {id(i): r.py for i, r in zip(group.instances, rows, strict=True)}
        info.outputs = tuple(first.outputs)
        for out in first.outputs:
            values = [i.outputs[out] for i in group.instances]
            info.axes.append(_guess_axes(values, rows, block.params))
        return info

    def _block_row(self, instance: Instance, base: int) -> Row:
        py = {k: plain(v) for k, v in instance.args.items()}
        return Row(py, {}, base, instance.args)

    def _unit(self, rows: list[Row], instances: Sequence[Instance], root: bool = False) -> Unit:
        block = instances[0].block
        declared = list(self.kept) if root else [p for p in block.params if _varies(p, block.params, rows)]
        for p in block.params:
            values = [r.py.get(p) for r in rows]
            if any(isinstance(v, float) for v in values):
                for r in rows:
                    if type(r.py.get(p)) is int:
                        r.py[p] = float(r.py[p])
        names: dict[str, ast.expr] = {p: ast.Name(p) for p in declared}
        if root:
            for r in rows:
                r.py = {p: v for p, v in r.py.items() if p in declared}
        unit = Unit(rows, names, {}, dict.fromkeys(declared), fixed=root)
        for j, (text, _) in enumerate(instances[0].inputs.items()):
            values = [list(i.inputs.values())[j] for i in instances]
            unit.scope.records = {**unit.scope.records, text: self._input(unit, rows, values, text, j, root)}
        return unit

    def _input(self, unit: Unit, rows: list[Row], values: list[Value], text: str, place: int, root: bool) -> Var:
        shapes = [v.type.shape if v is not None and v.type else () for v in values]
        rank = len(shapes[0])
        if any(len(s) != rank for s in shapes):
            raise Unprovable("the inputs differ in rank")
        var = Var([None] * rank, text)
        define(rows, values, var)
        if root or not rank:
            return var
        prefix = "in" if place == 0 else text
        for axis, word in ((0, "channels"), (-1, "features")) if rank > 1 else ((0, "features"),):
            title = f"{prefix}_{word}"
            if title in unit.potential:
                continue
            unit.potential = {title: None, **unit.potential} if place == 0 else {**unit.potential, title: None}
            unit.taken.add(title)
            for row, shape in zip(rows, shapes, strict=True):
                row.py[title] = shape[axis]
            var.axes[axis] = ast.Name(title)
        return var

    def _block_class(self, group: Group, title: str) -> ClassInfo:
        block = group.instances[0].block
        rows = [self._block_row(i, n) for n, i in enumerate(group.instances)]
        unit = self._unit(rows, group.instances)
        self._computed(unit, rows, block.params)
        parts = [Part(r, i.body) for r, i in zip(rows, group.instances, strict=True)]
        inputs = [list(i.inputs.values()) for i in group.instances]
        info = ClassInfo(title, declared=tuple(block.params), lead=_lead(block.params))
        info.values = {id(i): r.py for i, r in zip(group.instances, rows, strict=True)}
        outputs = {n: [i.outputs[n] for i in group.instances] for n in group.instances[0].outputs}
        if any(set(i.outputs) != set(outputs) for i in group.instances):
            raise Unprovable("the outputs differ")
        defaults = _defaults(block.params, info)
        self._write_class(unit, info, parts, inputs, list(block.inputs), outputs, defaults, group.instances[0].training)
        return info

    def _computed(self, unit: Unit, rows: list[Row], params: Any) -> None:
        """Params whose default is an expression that is right in every instance are no arguments."""
        for p, default in params.items():
            for candidate in translate(default, unit.scope.names, unit.scope.records)[:1]:
                if holds(candidate, rows, [r.py[p] for r in rows]):
                    unit.defined[p] = candidate
                    unit.potential.pop(p, None)

    # ------------------------------------------------------------ a class

    def _write_class(
        self, unit: Unit, info: ClassInfo, parts: list[Part], inputs: list[list[Value]], input_names: list[str],
        outputs: dict[str, list[Any]], defaults: dict[str, Any], training: frozenset[str] = frozenset(),
    ) -> None:  # fmt: skip
        rows = [p.row for p in parts]
        ins = [lookup(rows, [i[j] for i in inputs]) for j in range(len(inputs[0]))]
        unit.anchor = ins[0] if ins else None
        unit.shapes = (inputs, outputs)
        info.outputs = tuple(outputs)
        single = len(ins) == 1 and len(outputs) == 1
        bodies = [p.body for p in parts if p.body is not None and p.copy is None]
        if single and len(bodies) == len(parts) and not unit.fixed:
            wanted = next(iter(outputs.values()))
            if all(b.output is w for b, w in zip(bodies, wanted, strict=True)) and self.is_chain(bodies):
                out = self._chain_class(unit, info, list(zip(rows, bodies, strict=True)), ins[0])
                self._close(unit, info, [ins[0]], [[out]], defaults, None)
                return
        self._part(unit, parts)
        found = [self._found(rows, values) for values in outputs.values()]
        forward = self._forward(unit, ins, input_names, dict(zip(outputs, found, strict=True)), training)
        self._close(unit, info, ins, found, defaults, forward)

    def _found(self, rows: list[Row], values: list[Any]) -> list[Var]:
        if isinstance(values[0], tuple):
            if len({len(v) for v in values}) > 1:
                raise Unprovable("the outputs differ in number")
            return [lookup(rows, [v[k] for v in values]) for k in range(len(values[0]))]
        return [lookup(rows, values)]

    def _part(self, unit: Unit, parts: list[Part]) -> None:
        rows = [p.row for p in parts]
        first = parts[0]
        if first.copy is None:
            self.body(unit.scope, [(p.row, p.body) for p in parts if p.body is not None], unit.init, unit.steps)
            return
        copies = [p.copy for p in parts if p.copy is not None]
        assert first.item is not None
        self.merged(unit.scope, first.item, rows, copies, unit.init, unit.steps)

    def _chain_class(self, unit: Unit, info: ClassInfo, pairs: list[tuple[Row, Body]], cur: Var) -> Var:
        names = leaf_names([b for _, b in pairs])
        sink = Positional(unit, "layers") if names == "numbers" else Own()
        out = self.chain(unit.scope, pairs, sink, unit.init, cur)
        if isinstance(sink, Positional):
            unit.init.append(Line(call("super().__init__", *sink.elements)) if sink.variable is None else Line(call("super().__init__", ast.Starred(name(sink.variable)))))
            tidy(unit.init)
        else:
            unit.init.insert(0, Line(call("super().__init__")))
        return out

    def _forward(self, unit: Unit, ins: list[Var], names: list[str], outputs: dict[str, list[Var]], training: frozenset[str]) -> list[Stmt]:
        flat = [v for n, vs in outputs.items() if n not in training for v in vs]
        late = [v for n, vs in outputs.items() if n in training for v in vs]
        steps = nest(unit.steps, [*flat, *late])
        arguments = ["x" if len(ins) == 1 else n for n in names]
        self._drop_unused(steps, [*flat, *late])
        result: Line | None = None
        if len(flat) == 1 and not training and not unit.listed and steps and isinstance(steps[-1], Assign) and steps[-1].outs == flat:
            last = steps.pop()
            assert isinstance(last, Assign)
            result = Line(last.value)
            reads_late = [Var([], "")]
            naming = Naming(ins, arguments, [*steps, Assign(reads_late, last.value)], [], set(unit.reserved))
        else:
            naming = Naming(ins, arguments, steps, [*flat, *late], set(unit.reserved))
        lines = naming.text(steps)
        unit.arguments = arguments
        if result is not None:
            value = naming.filled(result.value)
            if _typed(value):
                return [*lines, Return(value)]
            return [*lines, Line(value, "out", "Tensor"), Return(ast.Name("out"))]
        return lines + self._returns(unit, naming, arguments, outputs, training)

    def _returns(self, unit: Unit, naming: Naming, arguments: list[str], outputs: dict[str, list[Var]], training: frozenset[str]) -> list[Stmt]:
        texts = {n: [naming.of(v.id) for v in vs] for n, vs in outputs.items()}
        always = {n: t for n, t in texts.items() if n not in training}
        if unit.fixed:
            lines: list[Stmt] = []
            if training:
                lines.append(If(name("self.training"), [Return(_dict(texts, unit.listed))]))
            if len(always) == 1 and not unit.listed & set(always):
                (only,) = (t[0] for t in always.values())
                return lines + _typed_return(only, arguments)
            return [*lines, Return(_dict(always, unit.listed))]
        flat = [t for ts in texts.values() for t in ts]
        if len(flat) == 1:
            return _typed_return(flat[0], arguments)
        return [Return(_bare_tuple([ast.Name(t) for t in flat]))]

    def _drop_unused(self, steps: list[Step], outputs: list[Var]) -> None:
        from archspec.emit.forward import _uses

        while True:
            count = _uses(steps, Counter())
            count.update(v.id for v in outputs)
            dead = [s for s in steps if isinstance(s, Assign) and s.inner and all(not count[v.id] for v in s.outs) and "self" not in render(s.value)]
            if not dead:
                return
            for s in dead:
                steps.remove(s)

    def _close(self, unit: Unit, info: ClassInfo, ins: list[Var], outs: list[list[Var]], defaults: dict[str, Any], forward: list[Stmt] | None) -> None:
        """The class's text and signature."""
        if unit.fixed:
            unit.init += [*self.root_init(unit.scope, self.roots), *freezing(self.roots[0])]
        if forward is not None:
            tidy(unit.init)
            stores: list[Stmt] = [Line(v, f"self.{n}") for n, v in unit.stores.items()]
            first = [s for s in stores if isinstance(s, Line) and names_in(s.value) <= set(unit.potential) | set(RESERVED)]
            late = [s for s in stores if s not in first]
            unit.init[:0] = [Line(call("super().__init__")), *first]
            unit.init += late
        for text, value in _hoisted(unit.init, set(unit.potential) | set(unit.defined)).items():
            variable = unit.local("hidden")
            for s in unit.init:
                _named_instead(s, text, variable)
            unit.defined[variable] = value
        read: set[str] = set()
        for s in unit.init:
            read |= stmt_names(s)
        for counter in sorted(unit.counters):
            unit.init.insert(1, Line(ast.Constant(0), counter))
        for p in reversed(list(unit.defined)):
            if p in read:
                unit.init.insert(0 if forward is None and not _starts_with_super(unit.init) else 1, Line(unit.defined[p], p))
                read |= names_in(unit.defined[p])
        for p, d in defaults.items():
            if any(isinstance(r.py.get(p), Dotted) for r in unit.rows):
                defaults[p] = activation_class(d) or d
        found = [Parameter(p, _annotation([w[p] for w in (r.py for r in unit.rows)]), defaults.get(p, ...)) for p in unit.potential if p in read]
        found.sort(key=lambda p: p.default is not ...)
        info.parameters = found
        info.axes = [v.axes for vs in outs for v in vs]
        empty = forward is not None and len(unit.init) == 1 and not found
        self._text(unit, info, ins, outs, [] if empty else unit.init, forward)

    def _text(self, unit: Unit, info: ClassInfo, ins: list[Var], outs: list[list[Var]], init: list[Stmt], forward: list[Stmt] | None) -> None:
        base = "nn.Module" if forward is not None else "nn.Sequential"
        self._current = info.parameters
        doc = self.docstring(unit, ins, outs)
        lines = [f"class {info.name}({base}):", f'    """{doc}"""']
        if init:
            lines += ["", *signature("__init__", [p.text for p in info.parameters], "None"), *write(init, 2)]
        if forward is not None:
            returned = self._returned(unit, info, outs)
            lines += ["", *signature("forward", [f"{a}: Tensor" for a in unit.arguments], returned), *write(forward, 2)]
        info.lines = lines

    def _returned(self, unit: Unit, info: ClassInfo, outs: list[list[Var]]) -> str:
        if unit.fixed:
            return self.root_type
        flat = [v for vs in outs for v in vs]
        return "Tensor" if len(flat) == 1 else f"tuple[{', '.join('Tensor' for _ in flat)}]"

    root_type = "Tensor"

    def root(self) -> ClassInfo:
        """Writes the network's own class, and before it all that it calls."""
        first = self.roots[0]
        rows = [Row({k: plain(v) for k, v in r.args.items()}, {}, n, r.args) for n, r in enumerate(self.roots)]
        self.class_names.add(self.title)
        unit = self._unit(rows, self.roots, root=True)
        info = ClassInfo(self.title, declared=tuple(first.block.params))
        outputs = {n: [r.outputs[n] for r in self.roots] for n in first.outputs}
        unit.listed = frozenset(n for n, v in first.outputs.items() if isinstance(v, tuple))
        self.root_type = _root_type(first, unit.listed)
        parts = [Part(r, i.body) for r, i in zip(rows, self.roots, strict=True)]
        inputs = [list(i.inputs.values()) for i in self.roots]
        defaults = {p: rows[0].py[p] for p in self.kept}
        self._write_class(unit, info, parts, inputs, list(first.inputs), outputs, defaults, first.training)
        self.order.append(info)
        return info

    def docstring(self, unit: Unit, ins: list[Var], outs: list[list[Var]]) -> str:
        """Shapes, with the class's own names where they say it."""
        given, made = unit.shapes
        if unit.fixed:
            return plain_shapes([_dims(v) for v in given[0]], [_dims(v) for vs in made.values() for v in _several(vs[0])])
        known = {p for p in unit.potential if any(p == q.name for q in self._current)} | set(unit.defined)
        inputs = [(var, [_dims(values[j]) for values in given]) for j, var in enumerate(ins)]
        flat = [v for vs in outs for v in vs]
        shapes = [[_dims(v) for values in vs for v in [_several(values)[k]]] for vs in made.values() for k in range(len(_several(vs[0])))]
        return describe(unit.rows, inputs, list(zip(flat, shapes, strict=True)), known)

    _current: Sequence[Parameter] = ()

    # ------------------------------------------------------------ forward, item by item

    def body(self, scope: Scope, pairs: list[tuple[Row, Body]], init: list[Stmt], steps: list[Step]) -> None:
        """Lowers one path; what it gives is found through its rows."""
        count = len(pairs[0][1].items)
        at = 0
        while at < count:
            column = [(r, b.items[at]) for r, b in pairs]
            item = column[0][1].item
            mixed = _mixed(column)
            if item.repeat is not None or mixed is None:
                self.occurrence(scope, item, column, init, steps)
                at += 1
                continue
            end = at + 1
            while end < count and self._same_test(item, mixed, [(r, b.items[end]) for r, b in pairs]):
                end += 1
            self._conditional(scope, pairs, at, end, mixed, init, steps)
            at = end

    def _same_test(self, item: Item, mixed: list[bool], column: list[tuple[Row, Occurrence]]) -> bool:
        other = column[0][1].item
        return other.repeat is None and _mixed(column) == mixed and _text_of(other.when) == _text_of(item.when) and other.tap is None and item.tap is None

    def _conditional(self, scope: Scope, pairs: list[tuple[Row, Body]], at: int, end: int, mixed: list[bool], init: list[Stmt], steps: list[Step]) -> None:
        there = [p for p, here in zip(pairs, mixed, strict=True) if here]
        away = [p for p, here in zip(pairs, mixed, strict=True) if not here]
        item = pairs[0][1].items[at].item
        if item.tap is not None:
            raise Unprovable("a tap that is there in some instances only")
        passed = [self._passed(b, at, end, here) for (_, b), here in zip(pairs, mixed, strict=True)]
        other = lookup([r for r, _ in pairs], passed)
        test = self.condition(scope, [(r, b.items[at]) for r, b in pairs], mixed, other)
        inner_init: list[Stmt] = []
        inner: list[Step] = []
        for k in range(at, end):
            column = [(r, b.items[k]) for r, b in there]
            self.occurrence(scope, column[0][1].item, column, inner_init, inner)
        then_values = [_out(b.items[end - 1]) for _, b in there]
        other_values = [_out(b.items[end - 1]) for _, b in away]
        then = lookup([r for r, _ in there], then_values)
        rows = [r for r, _ in pairs]
        out = Var(self.join(rows, [_out(b.items[end - 1]) for _, b in pairs], then, other), _hint(item))
        shortcut = self._optional(test, inner_init, inner, then)
        if shortcut is not None:
            init.append(shortcut)
            test_here: ast.expr = ast.Compare(name(shortcut.target), [ast.IsNot()], [ast.Constant(None)])
        else:
            if inner_init:
                init.append(If(test, inner_init))
            if not inner:
                self._same_value(pairs, at, end, there, away, then_values, other_values, then)
                return
            test_here = scope.unit.attribute(test, f"use_{_hint(item) or item.op.lower()}") if inner else test
        steps.append(Either(test_here, inner, out, then, other))
        define([r for r, _ in there], then_values, out)
        define([r for r, _ in away], other_values, out)

    def _passed(self, body: Body, at: int, end: int, here: bool) -> Value:
        """What flows on where the items are absent; where they are there, what they would have passed on."""
        if not here:
            return _out(body.items[end - 1])
        copy = body.items[at].copies[0]
        assert copy is not None
        value = copy.ins[0] if copy.ins else None
        if value is None:
            raise Unprovable("an item without input is there in some instances only")
        return value

    def _same_value(self, pairs: Any, at: int, end: int, there: Any, away: Any, then_values: list[Value], other_values: list[Value], then: Var) -> None:
        """Nothing is computed where the items are: what comes out is what went in."""
        define([r for r, _ in there], then_values, then)
        define([r for r, _ in away], other_values, then)

    def _optional(self, test: ast.expr, init: list[Stmt], steps: list[Step], then: Var) -> Line | None:
        """`self.m = X if test else None` for one module on the line."""
        if len(init) == 1 and isinstance(init[0], Line) and init[0].target.startswith("self.") and init[0].op == "=" and not init[0].annotation:
            line = init[0]
            if len(steps) == 1 and isinstance(steps[0], Assign) and steps[0].outs == [then]:
                return Line(ast.IfExp(test, line.value, ast.Constant(None)), line.target)
        return None

    def occurrence(self, scope: Scope, item: Item, column: list[tuple[Row, Occurrence]], init: list[Stmt], steps: list[Step]) -> None:
        """Lowers one item that is there in all rows or in none."""
        if item.repeat is not None:
            self.repeated(scope, item, column, init, steps)
            return
        if column[0][1].copies[0] is None:
            return
        pairs = [(r, o.copies[0]) for r, o in column]
        self.copy(scope, item, [(r, c) for r, c in pairs if c is not None], init, steps)

    def copy(self, scope: Scope, item: Item, pairs: Pairs, init: list[Stmt], steps: list[Step]) -> None:
        """Lowers one copy; a tap's steps run in training only."""
        if item.tap == "train":
            inner: list[Step] = []
            self._copy(scope, item, pairs, init, inner)
            if inner:
                steps.append(Training(inner))
            return
        self._copy(scope, item, pairs, init, steps)

    def _copy(self, scope: Scope, item: Item, pairs: Pairs, init: list[Stmt], steps: list[Step]) -> None:
        first = pairs[0][1]
        rows = [r for r, _ in pairs]
        copies = [c for _, c in pairs]
        if any(c.segments[:1] != first.segments[:1] for c in copies) and _named(first):
            raise Unprovable("the names differ between instances")
        if first.shared is not None:
            self._again(scope, item, rows, copies, steps)
        elif first.body is None and not first.branches:
            self._leaf(scope, item, rows, copies, init, steps)
        elif first.segments:
            self._framed(scope, item, rows, copies, init, steps)
        elif item.op in MERGING:
            self.merged(scope, item, rows, copies, init, steps)
        else:
            self.body(scope, [(r, c.body) for r, c in pairs if c.body is not None], init, steps)

    def _leaf(self, scope: Scope, item: Item, rows: list[Row], copies: list[Copy], init: list[Stmt], steps: list[Step]) -> None:
        attribute = member(copies[0].segments[-1]) if copies[0].segments else None
        made = self.maker(scope, item, rows, copies)
        if made.constructor is not None:
            assert attribute is not None
            scope.unit.members.add(copies[0].segments[-1])
            init.append(set_member(copies[0].segments[-1], made.constructor))
            init += self.member_init(scope, item, rows, copies, attribute)
        for c in copies:
            scope.unit.made[id(c)] = (attribute if made.constructor is not None else ast.Constant(None), made.apply)
        self.apply(scope, rows, copies, attribute, made.apply, steps, _hint(item))

    def apply(self, scope: Scope, rows: list[Row], copies: list[Copy], attribute: ast.expr | None, apply: Callable[..., Any], steps: list[Step], hint: str) -> None:
        """Adds the steps that call a member, and defines what it gives."""
        ins = [None if copies[0].ins[j] is None else lookup(rows, [c.ins[j] for c in copies]) for j in range(len(copies[0].ins))]
        outs = apply(scope, rows, copies, attribute, ins, steps, hint)
        for key, var in zip(copies[0].outs, outs, strict=True):
            define(rows, [c.outs[key] for c in copies], var)

    def _again(self, scope: Scope, item: Item, rows: list[Row], copies: list[Copy], steps: list[Step]) -> None:
        attribute, apply = self._owner(scope, item, rows, copies)
        if copies[0].body is None and not copies[0].branches:
            self.apply(scope, rows, copies, attribute, apply, steps, _hint(item))
            return
        frames = [self.frames[id(c)] for c in copies]
        owners = [self.frames[id(c.shared)] for c in copies]
        if not any(f.exports for f in frames):
            return
        if len({len(f.exports) for f in (*frames, *owners)}) > 1 or len({len(f.captures) for f in (*frames, *owners)}) > 1:
            raise Unprovable("a shared group is read in different places")
        ins = [lookup(rows, [list(f.captures.values())[j] for f in frames]) for j in range(len(frames[0].captures))]
        for values in zip(*(f.exports.values() for f in frames), strict=True):
            if values[0].type is None:
                raise Unprovable("a shape is unknown")
        exported = [[list(f.exports.values())[j] for f in frames] for j in range(len(frames[0].exports))]
        outs = [Var([None] * len(_dims(values[0])), _hint(item)) for values in exported]
        steps.append(Assign(outs, call(attribute, *(self.batched(scope, v, ins) for v in ins))))
        for out, values in zip(outs, exported, strict=True):
            define(rows, values, out)

    def _owner(self, scope: Scope, item: Item, rows: list[Row], copies: list[Copy]) -> tuple[ast.expr, Callable[..., Any]]:
        """The module whose weights are used again, and how it is called."""
        made = [scope.unit.made.get(id(c.shared)) for c in copies]
        if made[0] is not None and all(m is made[0] or m == made[0] for m in made):
            return made[0]
        base = scope.unit.base
        paths = {self.paths[id(c.shared)] for c in copies}
        if len(paths) > 1:
            raise Unprovable("different modules are shared")
        path = paths.pop()
        if path[: len(base)] != base:
            raise Unprovable("weights shared with a module outside this part")
        attribute = call("self.get_submodule", ast.Constant(".".join(path[len(base) :])))
        apply = self.call_module
        if copies[0].instance is None and copies[0].body is None and not copies[0].branches:
            apply = self.maker(scope, item, rows, copies).apply
        return attribute, apply

    def _framed(self, scope: Scope, item: Item, rows: list[Row], copies: list[Copy], init: list[Stmt], steps: list[Step]) -> None:
        segment = copies[0].segments[-1]
        attribute = member(segment)
        bodies = [c.body for c in copies if c.body is not None and item.op not in MERGING]
        frames = [self.frames[id(c)] for c in copies]
        if len(bodies) == len(copies) and all(self._unary(f, c) for f, c in zip(frames, copies, strict=True)) and self.is_chain(bodies):
            cur = lookup(rows, [c.ins[0] for c in copies])
            value, out = self.container(scope, list(zip(rows, bodies, strict=True)), segment, init, cur, segment.isidentifier())
            if render(value) != f"self.{segment}":
                init.append(set_member(segment, value))
            init += self.group_init(scope, rows, bodies, attribute)
            scope.unit.members.add(segment)
            apply = self.call_module
            for c in copies:
                scope.unit.made[id(c)] = (attribute, apply)
            result = Var(out.axes, _hint(item))
            steps.append(Assign([result], call(attribute, cur.ref)))
            define(rows, [_value(c.out) for c in copies], result)
            return
        if not any(f.exports for f in frames):
            return  # nothing inside is there: what comes out is what went in
        value, captures, exports, info = self.outlined(scope, item, rows, [Part(r, c.body, c if item.op in MERGING else None, item) for r, c in zip(rows, copies, strict=True)], frames, copies, segment)
        init.append(set_member(segment, value))
        scope.unit.members.add(segment)
        self.call_frame(scope, rows, attribute, captures, exports, info, steps, _hint(item))
        for c in copies:
            scope.unit.made[id(c)] = (attribute, self.call_module)

    def _unary(self, frame: Any, copy: Copy) -> bool:
        ins = [v for v in frame.captures.values()]
        outs = [v for v in frame.exports.values()]
        return len(ins) == 1 and ins[0] is copy.ins[0] and copy.body is not None and (not outs or (len(outs) == 1 and outs[0] is copy.out)) and copy.body.output is copy.out

    def merged(self, scope: Scope, item: Item, rows: list[Row], copies: list[Copy], init: list[Stmt], steps: list[Step]) -> None:
        """A residual or branches: its paths, then the merge."""
        first = copies[0]
        if first.branches:
            for k in range(len(first.branches)):
                self._branch(scope, rows, [c.branches[k] for c in copies], init, steps)
            self._merge(scope, rows, copies, [[_value(c.branches[k].output) for c in copies] for k in range(len(first.branches))], init, steps)
            return
        self.body(scope, [(r, c.body) for r, c in zip(rows, copies, strict=True) if c.body is not None], init, steps)
        plain_ = [c.plain for c in copies]
        if all(plain_):
            for r, c in zip(rows, copies, strict=True):
                _alias([r], [c.body.output if c.body else None], [c.out])
            return
        open_rows = [(r, c) for r, c in zip(rows, copies, strict=True) if not c.plain]
        closed = [(r, c) for r, c in zip(rows, copies, strict=True) if c.plain]
        inner_init: list[Stmt] = []
        inner: list[Step] = []
        orows, ocopies = [r for r, _ in open_rows], [c for _, c in open_rows]
        if any(c.shortcut is not None for c in ocopies):
            self.body(scope, [(r, c.shortcut) for r, c in open_rows if c.shortcut is not None], inner_init, inner)
        main = [_value(c.body.output) for c in ocopies if c.body is not None]
        short = [_value(c.shortcut.output) if c.shortcut is not None else c.ins[0] for c in ocopies]
        order = [short, main] if ocopies[0].layer is not None and ocopies[0].layer.op == "concat" else [main, short]
        self._merge(scope, orows, ocopies, order, inner_init, inner)
        if not closed:
            init += inner_init
            steps += inner
            return
        self._maybe_merged(scope, item, rows, copies, orows, ocopies, closed, inner_init, inner, init, steps)

    def _maybe_merged(self, scope: Scope, item: Item, rows: list[Row], copies: list[Copy], orows: list[Row], ocopies: list[Copy], closed: Pairs, inner_init: list[Stmt], inner: list[Step], init: list[Stmt], steps: list[Step]) -> None:
        """`shortcut_when` that holds in some instances only."""
        candidates = translate(item.shortcut_when, scope.names, self.records(scope, rows, [c.ins[0] for c in copies]))
        test = scope.explain(rows, candidates, [not c.plain for c in copies], "with_shortcut")
        then = lookup(orows, [_value(c.out) for c in ocopies])
        other = lookup(rows, [_value(c.body.output) for c in copies if c.body is not None])
        values = [_value(c.out) for c in copies]
        out = Var(self.join(rows, values, then, other), "")
        if inner_init:
            init.append(If(test, inner_init))
        steps.append(Either(scope.unit.attribute(test, "use_shortcut"), inner, out, then, other))
        define(orows, [_value(c.out) for c in ocopies], out)
        for r, c in closed:
            define([r], [_value(c.out)], out)

    def _branch(self, scope: Scope, rows: list[Row], bodies: list[Body], init: list[Stmt], steps: list[Step]) -> None:
        segment = bodies[0].segment
        if segment is None:
            self.body(scope, list(zip(rows, bodies, strict=True)), init, steps)
            return
        frames = [self.frames[id(b)] for b in bodies]
        if not any(f.exports for f in frames):
            return  # nothing inside is there
        attribute = member(segment)
        if all(len(f.captures) == 1 and b.input is next(iter(f.captures.values())) and len(f.exports) <= 1 for f, b in zip(frames, bodies, strict=True)) and self.is_chain(bodies):
            cur = lookup(rows, [_value(b.input) for b in bodies])
            value, out = self.container(scope, list(zip(rows, bodies, strict=True)), segment, init, cur, segment.isidentifier())
            if render(value) != f"self.{segment}":
                init.append(set_member(segment, value))
            result = Var(out.axes, segment)
            steps.append(Assign([result], call(attribute, cur.ref)))
            define(rows, [_value(b.output) for b in bodies], result)
        else:
            item = bodies[0].items[0].item
            value, captures, exports, info = self.outlined(scope, item, rows, [Part(r, b) for r, b in zip(rows, bodies, strict=True)], frames, bodies, segment)
            init.append(set_member(segment, value))
            self.call_frame(scope, rows, attribute, captures, exports, info, steps, segment)
        scope.unit.members.add(segment)

    def _merge(self, scope: Scope, rows: list[Row], copies: list[Copy], paths: list[list[Value]], init: list[Stmt], steps: list[Step]) -> None:
        ins = [lookup(rows, values) for values in paths]
        out = self.merge(scope, rows, copies, ins, paths, steps)
        define(rows, [_value(c.out) for c in copies], out)

    # ------------------------------------------------------------ groups that become classes

    def outlined(self, scope: Scope, item: Item, rows: list[Row], parts: list[Part], frames: list[Any], keys: Sequence[Any], segment: str) -> tuple[ast.expr, list[list[Value]], list[list[Value]], ClassInfo]:
        """A class for a named group that is no chain; what its body reads from outside comes in as arguments."""
        captures = [list(f.captures.values()) for f in frames]
        exports = [list(f.exports.values()) for f in frames]
        if len({len(c) for c in captures}) > 1 or len({len(e) for e in exports}) > 1:
            raise Unprovable("what crosses the group's edge differs between instances")
        title = self._free(_camel(segment if segment.isidentifier() else item.op))
        visible = [n for n in rows[0].py if all(n in r.py for r in rows) and n.isidentifier()]
        inner_rows = [Row({n: r.py[n] for n in visible}, {}, k, r.env) for k, r in enumerate(rows)]
        unit = Unit(inner_rows, dict(scope.names), {}, dict.fromkeys(visible))
        unit.base = frames[0].path
        for j in range(len(captures[0])):
            text = "x" if j == 0 else f"x{j}"
            for n in (f"{'in' if j == 0 else text}_{w}" for w in ("channels", "features")):
                unit.potential.pop(n, None)
            self._input(unit, inner_rows, [c[j] for c in captures], text, j, False)
        unit.scope.records = self._inner_records(scope, rows, inner_rows)
        for p, r in zip(parts, inner_rows, strict=True):
            p.row = r
        info = ClassInfo(title)
        info.values = {id(k): r.py for k, r in zip(keys, inner_rows, strict=True)}
        names = ["x"] + [f"x{j}" for j in range(1, len(captures[0]))]
        outs = {str(j): [e[j] for e in exports] for j in range(len(exports[0]))}
        self._write_class(unit, info, parts, captures, names[: len(captures[0])], outs, {})
        twin = next((c for c in self.order if c.lines[1:] == info.lines[1:] and len(c.values) and c.outputs == info.outputs and not c.declared), None)
        if twin is not None:
            self.class_names.discard(title)
            twin.values.update(info.values)
            info.name, info.lines = twin.name, twin.lines
        else:
            self.order.append(info)
        shape_vars = [lookup(rows, [c[j] for c in captures]) for j in range(len(captures[0]))]
        value = self.construct(scope, rows, info, [info.values[id(k)] for k in keys], None, shape_vars, names)
        return value, captures, exports, info

    def _inner_records(self, scope: Scope, rows: list[Row], inner_rows: list[Row]) -> dict[str, Var]:
        return dict(scope.records)

    def call_frame(self, scope: Scope, rows: list[Row], attribute: ast.expr, captures: list[list[Value]], exports: list[list[Value]], info: ClassInfo, steps: list[Step], hint: str) -> None:
        ins = [lookup(rows, [c[j] for c in captures]) for j in range(len(captures[0]))]
        outs = [Var(self.outer_axes(info, j, rows, [e[j] for e in exports]), hint if j == 0 else f"{hint}{j}") for j in range(len(exports[0]))]
        if outs:
            steps.append(Assign(outs, call(attribute, *(self.batched(scope, v, ins) for v in ins))))
        for j, out in enumerate(outs):
            define(rows, [e[j] for e in exports], out)

    def _free(self, title: str) -> str:
        text, number = title, 2
        while text in self.class_names or text == self.title:
            text, number = f"{title}{number}", number + 1
        self.class_names.add(text)
        return text

    # ------------------------------------------------------------ repeats

    def repeated(self, scope: Scope, item: Item, column: list[tuple[Row, Occurrence]], init: list[Stmt], steps: list[Step]) -> None:
        """A repeat in forward: a container under its id, or its copies one by one."""
        rows = [r for r, _ in column]
        copies = [[c for c in o.copies if c is not None] for _, o in column]
        if not any(copies):
            return
        segment = column[0][1].name
        if segment is not None and not all(copies):
            raise Unprovable("the repeat is empty in some instances")
        if segment is not None and item.tap is None:
            self._contained(scope, item, rows, copies, segment, init, steps)
            return
        if len({len(c) for c in copies}) > 1:
            raise Unprovable("the number of copies differs between instances")
        for k in range(len(copies[0])):
            self.copy(scope, item, [(self.sub_row(r, c[k]), c[k]) for r, c in zip(rows, copies, strict=True)], init, steps)
        for r, o in column:
            if o.out is not None:
                _alias([r], [copies[0][-1].out], [copies[0][-1].out])

    def _contained(self, scope: Scope, item: Item, rows: list[Row], copies: list[list[Copy]], segment: str, init: list[Stmt], steps: list[Step]) -> None:
        unit = scope.unit
        attribute = member(segment)
        last = [_value(c[-1].out) for c in copies]
        if all(self._line(cs) for cs in copies):
            cur = lookup(rows, [c[0].ins[0] for c in copies])
            sink = Positional(unit, segment)
            with apart(rows, [c[0].ins[0] for c in copies], cur):
                out = self.copies(scope, item, rows, copies, sink, init, cur)
            init.append(set_member(segment, sink.finish()))
            unit.members.add(segment)
            result = Var(out.axes, _hint(item))
            steps.append(Assign([result], call(attribute, cur.ref)))
            define(rows, last, result)
            for cs in copies:
                for k, c in enumerate(cs):
                    unit.made[id(c)] = (ast.Subscript(attribute, ast.Constant(k)), self.call_module)
            return
        self._module_list(scope, item, rows, copies, segment, init, steps)

    def _line(self, copies: list[Copy]) -> bool:
        """Whether the copies are a chain of which nothing is read from outside but the end."""
        return self.is_chain_of(copies) and all(
            self.consumers.get(id(c.out), set()) <= {id(after)} for c, after in zip(copies, copies[1:], strict=False)
        )

    def _module_list(self, scope: Scope, item: Item, rows: list[Row], copies: list[list[Copy]], segment: str, init: list[Stmt], steps: list[Step]) -> None:
        """A ModuleList: its modules are made as for a chain or one by one, and called in a loop or one by one."""
        unit = scope.unit
        attribute = member(segment)
        unit.members.add(segment)
        if len({len(c) for c in copies}) > 1:
            raise Unprovable("the number of copies differs between instances")
        elements: list[ast.expr] = []
        calls: list[list[Step]] = []
        for k in range(len(copies[0])):
            subs = [self.sub_row(r, c[k]) for r, c in zip(rows, copies, strict=True)]
            at = ast.Subscript(attribute, ast.Constant(k))
            inner: list[Stmt] = []
            round_steps: list[Step] = []
            self._element_at(scope, item, subs, [c[k] for c in copies], at, inner, round_steps)
            made = inner.pop()
            assert isinstance(made, Line)
            init += inner
            elements.append(made.value)
            calls.append(round_steps)
        texts = {render(e) for e in elements}
        if len(texts) == 1 and len(elements) > 1:
            init.append(set_member(segment, call("nn.ModuleList", _comprehension(elements[0], ast.Constant(len(elements))))))
        else:
            init.append(set_member(segment, call("nn.ModuleList", ast.List(elements))))
        looped = self._looped(attribute, calls)
        if looped is not None:
            steps.append(looped)
            define(rows, [_value(c[-1].out) for c in copies], looped.out)
        else:
            for s in calls:
                steps += s

    def _element_at(self, scope: Scope, item: Item, rows: list[Row], copies: list[Copy], at: ast.expr, init: list[Stmt], steps: list[Step]) -> None:
        first = copies[0]
        if first.shared is not None:
            raise Unprovable("a repeated use of shared weights")
        if first.body is None and not first.branches:
            made = self.maker(scope, item, rows, copies, module=True)
            init.append(Line(made.constructor if made.constructor is not None else call("nn.Identity")))
            for c in copies:
                scope.unit.made[id(c)] = (at, made.apply)
            self.apply(scope, rows, copies, at, made.apply, steps, _hint(item))
            return
        frames = [self.frames[id(c)] for c in copies]
        if not any(f.exports for f in frames):
            init.append(Line(call("nn.Identity")))
            return
        parts = [Part(r, c.body, c if item.op in MERGING else None, item) for r, c in zip(rows, copies, strict=True)]
        value, captures, exports, info = self.outlined(scope, item, rows, parts, frames, copies, _hint(item) or item.op)
        init.append(Line(value))
        for c in copies:
            scope.unit.made[id(c)] = (at, self.call_module)
        self.call_frame(scope, rows, at, captures, exports, info, steps, _hint(item))

    def _looped(self, attribute: ast.expr, calls: list[list[Step]]) -> Loop | None:
        """The calls as a loop, where each round differs from the next by what is carried alone."""
        if len(calls) < 2 or any(len(s) != 1 or not isinstance(s[0], Assign) or len(s[0].outs) != 1 for s in calls):
            return None
        rounds = [s[0] for s in calls if isinstance(s[0], Assign)]
        if not all(isinstance(r.value, ast.Call) and not r.value.keywords and isinstance(r.value.func, ast.Subscript) for r in rounds):
            return None
        values = [r.value for r in rounds if isinstance(r.value, ast.Call)]
        arguments = [[render(a) for a in v.args] for v in values]
        if any(not a for a in arguments):
            return None
        carried = [a[0] for a in arguments]
        links = [r.outs[0].ref for r in rounds[:-1]]
        if carried[1:] != [render(link) for link in links] or len({tuple(a[1:]) for a in arguments}) > 1:
            return None
        if any(c in a[1:] for c, a in zip(carried, arguments, strict=True)):
            return None
        layer, inside, end = Var([], "layer"), Var([], ""), Var([], "")
        start = next(v for v in self.vars_of(values[0].args[0]))
        out = Var(rounds[-1].outs[0].axes, rounds[-1].outs[0].hint)
        step = Assign([end], call(layer.ref, inside.ref, *values[0].args[1:]))
        return Loop(layer, attribute, [step], inside, start, end, out)

    def vars_of(self, node: ast.expr) -> list[Var]:
        assert isinstance(node, ast.Name)
        stand_in = Var([], "")
        stand_in.id = int(node.id[1:])
        return [stand_in]


# ---------------------------------------------------------------- small facts


def member(segment: str) -> ast.expr:
    """`self.conv1`, or for a number the only way to say it."""
    return name(f"self.{segment}") if segment.isidentifier() else call("getattr", ast.Name("self"), ast.Constant(segment))


def set_member(segment: str, value: ast.expr) -> Line:
    if segment.isidentifier():
        return Line(value, f"self.{segment}")
    return Line(call("self.add_module", ast.Constant(segment), value))


def _named(copy: Copy) -> bool:
    return copy.layer is None or copy.body is not None or bool(copy.branches) or bool(copy.segments)


def _value(value: Value | None) -> Value:
    if value is None:
        raise Unprovable("nothing flows on here")
    return value


def _out(occurrence: Occurrence) -> Value:
    return _value(occurrence.out)


def _alias(rows: list[Row], values: Sequence[Value | None], others: Sequence[Value | None]) -> None:
    for row, value, other in zip(rows, values, others, strict=True):
        if value is not None and other is not None and value is not other:
            for var in list(row.vals.get(id(value), [])):
                define([row], [other], var)


def _text_of(value: Any) -> str:
    return getattr(value, "text", repr(value))


def _hint(item: Item) -> str:
    text = item.id.text if item.id is not None else ""
    return text if text.isidentifier() else ""


def _lead(params: Any) -> str:
    required = [p for p, d in params.items() if _is_required(d)]
    if required and (len(required) == 1 or required[0] == "out"):
        return str(required[0])
    return ""


def _varies(param: str, params: Any, rows: Sequence[Row]) -> bool:
    """Whether a block's param is worth an argument: it is the leading one, has a default that is used, or differs."""
    values = [r.py.get(param) for r in rows]
    default = params[param]
    return param == _lead(params) or any(v != values[0] for v in values) or (not _is_required(default) and values[0] == plain(default)) or isinstance(default, Expr)


def _is_required(default: Any) -> bool:
    from archspec.spec import REQUIRED

    return default is REQUIRED


def _defaults(params: Any, info: ClassInfo) -> dict[str, Any]:
    """The declared defaults that are plain values, as floats where any instance has a float."""
    found: dict[str, Any] = {}
    for p, d in params.items():
        if isinstance(d, (int, float, bool, str)) and not _is_required(d):
            mixed = type(d) is int and any(isinstance(v.get(p), float) for v in info.values.values())
            found[p] = float(d) if mixed else d
    return found


def _hoisted(init: list[Stmt], known: set[str]) -> dict[str, ast.expr]:
    """Longer expressions over arguments that a constructor repeats: text -> expression."""
    count: Counter[str] = Counter()
    found: dict[str, ast.expr] = {}
    for node in (n for s in init for v in _expressions(s) for n in ast.walk(v)):
        wanted = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("make_divisible", "max", "min")
        if wanted and isinstance(node, ast.expr) and names_in(node) - {"make_divisible", "max", "min"} <= known:
            text = render(node)
            count[text] += 1
            found[text] = node
    return {t: found[t] for t, n in count.items() if n > 2}


def _expressions(s: Stmt) -> Iterable[ast.expr]:
    if isinstance(s, Line):
        yield s.value
    elif isinstance(s, If):
        yield s.test
        for x in (*s.body, *s.orelse):
            yield from _expressions(x)
    elif isinstance(s, For):
        yield s.iter
        for x in s.body:
            yield from _expressions(x)


def _named_instead(s: Stmt, text: str, variable: str) -> None:
    """Puts a variable in the place of an expression, wherever it stands."""
    if isinstance(s, Line):
        s.value = _exchanged(s.value, text, variable)
    elif isinstance(s, (If, For)):
        for x in (*s.body, *(s.orelse if isinstance(s, If) else ())):
            _named_instead(x, text, variable)
        if isinstance(s, If):
            s.test = _exchanged(s.test, text, variable)
        else:
            s.iter = _exchanged(s.iter, text, variable)


def _exchanged(node: ast.expr, text: str, variable: str) -> ast.expr:
    return exchanged(node, lambda n: ast.Name(variable) if isinstance(n, ast.Call) and render(n) == text else None)


def _signature(info: ClassInfo) -> Any:
    return [(p.name, p.default) for p in info.parameters], [[render(a) if a is not None else None for a in axes] for axes in info.axes]


def _guess_axes(values: list[Any], rows: list[Row], params: Iterable[str]) -> list[ast.expr | None]:
    if isinstance(values[0], tuple) or values[0] is None or values[0].type is None:
        return []
    rank = len(values[0].type.shape)
    axes: list[ast.expr | None] = [None] * rank
    for p in params:
        if all(v.type is not None and len(v.type.shape) == rank and r.py.get(p) == v.type.shape[0] for v, r in zip(values, rows, strict=True)):
            axes[0] = ast.Name(p)
            break
    return axes


def _called(body: Body) -> list[Instance]:
    found: list[Instance] = []
    stack = [body]
    while stack:
        for occurrence in stack.pop().items:
            for c in occurrence.copies:
                if c is None:
                    continue
                if c.instance is not None:
                    found.append(c.instance)
                stack += [b for b in (c.body, c.shortcut, *c.branches) if b is not None]
    return found


def _shape_of(body: Body, ranks: tuple[int, ...]) -> Any:
    """The structure of a body without its numbers: what one class can serve."""
    out: list[Any] = [ranks]
    for occurrence in body.items:
        for c in occurrence.copies:
            if c is None:
                out.append(None)
                continue
            out.append((c.segments, type(c.layer).__name__, len(c.ins), c.plain, tuple(len(v.type.shape) if v is not None and v.type else 0 for v in c.ins)))
            out += [_shape_of(b, ()) for b in (c.body, c.shortcut, *c.branches) if b is not None]
    return tuple(out)


def _camel(text: str) -> str:
    return "".join(part[:1].upper() + part[1:] for part in text.split("_")) or "Group"


def _typed(value: ast.expr) -> bool:
    return isinstance(value, ast.Call) and render(value.func).startswith("torch.")


def _typed_return(text: str, arguments: list[str]) -> list[Stmt]:
    if text in arguments:
        return [Return(ast.Name(text))]
    return [Line(ast.Name(text), "out", "Tensor"), Return(ast.Name("out"))]


def _bare_tuple(elements: list[ast.expr]) -> ast.expr:
    return ast.Tuple(elements)


def _dict(outputs: dict[str, list[str]], listed: frozenset[str]) -> ast.expr:
    values = [ast.List([ast.Name(t) for t in ts]) if n in listed else ast.Name(ts[0]) for n, ts in outputs.items()]
    return ast.Dict([ast.Constant(n) for n in outputs], list(values))


def _comprehension(element: ast.expr, count: ast.expr) -> ast.expr:
    return ast.GeneratorExp(element, [ast.comprehension(ast.Name("_"), call("range", count), [], 0)])


def _dims(value: Value | None) -> tuple[int, ...]:
    return value.type.shape if value is not None and value.type is not None else ()


def _several(values: Any) -> tuple[Value, ...]:
    return values if isinstance(values, tuple) else (values,)


def signature(title: str, parameters: list[str], returns: str) -> list[str]:
    """`def title(self, …) -> returns:`, broken as ruff breaks it."""
    every = ["self", *parameters]
    one = f"    def {title}({', '.join(every)}) -> {returns}:"
    if len(one) <= WIDTH:
        return [one]
    inner = f"        {', '.join(every)}"
    body = [inner] if len(inner) <= WIDTH else [f"        {p}," for p in every]
    return [f"    def {title}(", *body, f"    ) -> {returns}:"]


def _starts_with_super(init: list[Stmt]) -> bool:
    return bool(init) and isinstance(init[0], Line) and render(init[0].value) == "super().__init__()"


def _annotation(values: list[Any]) -> str:
    kinds = dict.fromkeys(_kind(v) for v in values)
    if "float" in kinds:
        kinds.pop("int", None)
    return " | ".join(kinds)


def _kind(value: Any) -> str:
    if value is None:
        return "None"
    if isinstance(value, Dotted):
        return "type[nn.Module]"
    if isinstance(value, tuple):
        return f"tuple[{', '.join(map(_kind, value))}]" if value else "tuple[()]"
    return type(value).__name__


def _root_type(root: Instance, listed: frozenset[str]) -> str:
    names = [n for n in root.outputs if n not in root.training]
    value = "Tensor | list[Tensor]" if listed else "Tensor"
    if listed and listed == set(root.outputs):
        value = "list[Tensor]"
    if len(names) == 1 and not listed & set(names):
        return f"Tensor | dict[str, {value}]" if root.training else "Tensor"
    return f"dict[str, {value}]"
