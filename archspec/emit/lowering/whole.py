"""Instances → classes: one for all instances of a block where that holds, else one for each kind.

    Bottleneck(width=64, stride=1) on [64, …], (width=64) on [256, …], (width=128, stride=2) on …
    class Bottleneck(nn.Module): def __init__(self, in_channels, width, stride=1)

What one class cannot serve is divided: by what its layers are, by structure, at last singly, where
nothing can fail because every number can stand as it is.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from archspec.emit.frames import Frames
from archspec.emit.lowering import links
from archspec.emit.lowering.classes import Plan, write_class
from archspec.emit.lowering.flow import (
    Flow,
    Ghost,
    PlainError,
    Row,
    alike,
    define,
    dims,
    equal,
    holds,
)
from archspec.emit.lowering.freezing import decided_by, freezing
from archspec.emit.lowering.inits import Inits
from archspec.emit.lowering.members import camel, words_of
from archspec.emit.lowering.modules import is_width, titles, torch_call
from archspec.emit.lowering.scope import RESERVED, Info, Scope, Unit, bare
from archspec.emit.lowering.witnesses import Called, Witness, witnesses
from archspec.emit.syntax import name, names_in, rebuilt
from archspec.emit.torch_code import taken
from archspec.expand.again import Again
from archspec.expand.tree import Body, Copy, Instance, Value
from archspec.expressions import Expr, Loop, Record
from archspec.expressions.sym import FAILURES, Sym, evaluate, plain, remembers, traced, written
from archspec.language import REQUIRED, Axis, Block, Init, Item
from archspec.layers.plugin import functions, modules

_ROUNDS = 8
Rule = Callable[[Instance], Any]
Attempt = Callable[[list[Instance]], PlainError | None]


@dataclass(slots=True, eq=False)
class Group:
    """Instances of one block that one class serves."""

    instances: list[Instance]
    beside: list[Instance] = field(default_factory=list)  # of no call: at other values
    witnesses: list[Witness] = field(default_factory=list)  # of these, what they are tried for
    numbers: frozenset[str] = frozenset()  # names that can be no arguments
    info: Info | None = None


class Witnessed:
    """Which instances are expanded at other values, to see whether a class holds there too.

    The first of every class; it is known only at the end of a try which classes there are.
    """

    def __init__(self, again: Again, tries: bool) -> None:
        self.again, self.tries = again, tries  # whether other values are tried
        self.bases: set[int] = set()
        self.wanted: set[int] = set()
        self.rounds = _ROUNDS

    def more(self) -> bool:
        """Whether there are new ones to be tried."""
        new, self.wanted = self.wanted - self.bases, set()
        self.bases |= new
        self.rounds -= bool(new)
        return bool(new) and self.rounds > 0


class Whole:
    """All classes of one file.

    `roots` are the network, and the network at other values of the params in `kept`, its
    constructor's arguments.
    """

    def __init__(
        self, roots: list[Instance], title: str, kept: Sequence[str], rules: Init | None,
        witnessed: Witnessed,
    ) -> None:  # fmt: skip
        self.roots, self.title, self.kept = roots, title, tuple(kept)
        self.witnessed = witnessed
        self.group_of: dict[int, Group] = {}
        self.frames: dict[int, Any] = {}
        self.consumers: dict[int, set[int]] = {}
        self.reused: set[int] = set()
        self.paths: dict[int, tuple[str, ...]] = {}
        self.given: dict[int, set[str]] = {}  # id of a block -> params that some call gives
        self.plain: dict[Any, Any] = {}
        self.calls: dict[Any, Any] = {}
        self.calling: dict[int, Item] = {}  # id of an instance -> an item that calls it
        self.document: dict[int, Instance] = {}  # id of an instance -> the file it stands in
        self.order: list[Info] = []
        self.finished: set[int] = set()
        self.mark = 0
        self.names: set[str] = {title}
        self.deciding: set[str] = set()  # params of the network that decide what is there
        self.numbers: dict[str, str] = {}  # params of the network that are numbers, and why
        self.inits = Inits(roots, rules or {})
        self.imported: dict[str, str] = {}  # modules of packages -> what the file calls them
        self.functions: frozenset[str] = frozenset()  # of torch, that ops of packages call
        self._collect()

    # ------------------------------------------------------------ what there is

    def _collect(self) -> None:
        by_block: dict[Any, Group] = {}
        for instance in self._reached(self.roots):
            group = by_block.setdefault((id(instance.block), instance.asked), Group([]))
            group.instances.append(instance)
            self.group_of[id(instance)] = group
        self._declare()
        if not self.witnessed.tries:
            return
        for group in list(by_block.values()):
            bases = [i for i in group.instances if id(i) in self.witnessed.bases]
            for base in bases or group.instances[:1]:
                self.witnessed.bases.add(id(base))
                group.witnesses += self._witnesses(base, group.instances)
        for witness in [w for g in by_block.values() for w in g.witnesses]:
            self.document.setdefault(id(witness.instance), self.document[id(witness.base)])
            for instance in self._reached([witness.instance]):
                group = by_block.setdefault((id(instance.block), instance.asked), Group([]))
                group.beside.append(instance)
                self.group_of[id(instance)] = group

    def _declare(self) -> None:
        """What ops of plug-ins need at the head of the file."""
        for kind in self.inits.kinds:
            for dotted in modules(kind):
                if dotted not in self.imported:
                    self.imported[dotted] = self.free(dotted.rpartition(".")[2])
            self.functions |= functions(kind)

    def _reached(self, roots: Sequence[Instance]) -> Iterable[Instance]:
        """These and all that they call, those that are known already left out."""
        stack = list(reversed(roots))
        while stack:
            instance = stack.pop()
            if id(instance) in self.group_of:
                continue
            crossing = Frames(instance)
            self.frames.update(crossing.of)
            self.consumers.update(crossing.consumers)
            self.reused |= crossing.reused
            self.paths.update(crossing.paths)
            self.inits.learn(instance)
            home = instance if instance.spec is not None else self.document[id(instance)]
            for item, copy in called(instance.body):
                assert copy.instance is not None
                self.document.setdefault(id(copy.instance), home)
                if copy.shared is None:
                    self.calling.setdefault(id(copy.instance), item)
                self.given.setdefault(id(copy.instance.block), set()).update(item.args)
                stack.append(copy.instance)
            yield instance

    def _witnesses(self, base: Instance, instances: list[Instance]) -> Iterable[Witness]:
        """One instance at another value of each argument that a class may have."""
        if id(base) not in self.calling:
            return ()
        home = self.document[id(base)]
        rows = [_row(i, n) for n, i in enumerate(instances)]
        given, params = self.given[id(base.block)], base.block.params
        calls = [self.calling[id(i)] for i in instances if id(i) in self.calling]
        worked = {
            p
            for p in params
            if any(p not in c.args for c in calls) and _worked_out(base.block, p, instances)
        }
        tried = {
            p: base.args[p]
            for p in self._named(rows, base.block)
            if p not in worked and (p in given or not isinstance(params[p], Expr))
        }
        call = Called(self.witnessed.again, base, home, self.calling[id(base)])
        return witnesses(call, tried, worked)

    def follows(self, values: Sequence[Value], axis: int) -> bool:
        """Whether a size of any of these values follows from a free axis."""
        return any(self.witnessed.again.follows(value, axis) for value in values)

    # ------------------------------------------------------------ classes of blocks

    def of(self, instances: Sequence[Instance]) -> Info:
        """The class that serves these instances. Raises PlainError when they need several."""
        while True:
            groups = [self.group_of[id(i)] for i in instances]
            apart = [k for k, g in enumerate(groups) if g is not groups[0]]
            if apart:
                raise PlainError("the calls need different classes", apart)
            if groups[0].info is not None:
                return groups[0].info
            self._serve(groups[0])

    def _serve(self, group: Group) -> None:
        """Writes the class of a group, or divides the group."""
        if not group.instances:
            raise PlainError("no call of the network is like it")
        title = self.free(group.instances[0].block.name)
        before, mark = len(self.order), self.mark
        self.mark = before

        def attempt(beside: list[Instance]) -> PlainError | None:
            self.forget(before)
            self.names.add(title)
            try:
                self._settle(group, [*group.instances, *beside], title, before)
            except PlainError as failed:
                group.info = None
                return failed
            return None

        failed = attempt(group.beside)
        while failed is not None and self._narrowed(group, failed, attempt):
            failed = attempt(group.beside)
        self.mark = mark
        if failed is None:
            assert group.info is not None
            self.order.append(group.info)
            self.finished.update(id(c) for c in self.order[before:])
            return
        self.forget(before)
        self.names.discard(title)
        if len(group.instances) == 1:
            raise PlainError(*failed.args) from failed  # its rows are not the caller's
        self._divide(group)

    def _narrowed(self, group: Group, failed: PlainError, attempt: Attempt) -> bool:
        """Leaves out instances at other values that a class cannot serve.

        What they were tried for can be no argument. False where it is the network's own instances.
        """
        count = len(group.instances)
        if failed.params:
            group.numbers |= failed.params
            left = [w.instance for w in group.witnesses if w.param in failed.params]
        elif failed.bases and min(failed.bases) >= count:
            left = [group.beside[b - count] for b in failed.bases]
        else:
            if not group.beside or not _serves(attempt([])):
                return False
            good = _most(group.beside, attempt)
            left = [i for i in group.beside if i not in good]
        group.numbers |= {w.param for w in group.witnesses if w.instance in left}
        for instance in left:
            self.group_of[id(instance)] = Group([])
        group.beside = [i for i in group.beside if i not in left]
        return True

    def _settle(self, group: Group, instances: list[Instance], title: str, before: int) -> None:
        """A class may call itself: it is written until it says of itself what it is.

        First for the instances that do not, whose output says what a call gives.
        """
        base = [i for i in instances if not _reaches(i, i.block)]
        recursive = len(base) < len(instances)
        group.info = Info(title, group.instances[0].block)
        if recursive and base:
            group.info = Info(title, group.instances[0].block)
            self._write(group, title, base)
            self.forget(before)
        for _ in range(8):
            known = _signature(group.info)
            self.forget(before)
            self._write(group, title, instances)
            if not recursive or _signature(group.info) == known:
                return
        raise PlainError("the recursive call's arguments do not settle")

    def forget(self, before: int) -> None:
        """Drops the classes that a failed try has written, but not those of finished blocks."""
        dropped = [c for c in self.order[before:] if id(c) not in self.finished]
        self.names -= {c.name for c in dropped}
        self.order[before:] = [c for c in self.order[before:] if id(c) in self.finished]

    def _divide(self, group: Group) -> None:
        """Parts that a class may serve each; a witness goes with what it is one of."""
        rule, parts = _parts(group)
        for part in parts.values():
            for i in part.instances:
                self.group_of[id(i)] = part
            if not any(id(i) in self.witnessed.bases for i in part.instances):
                self.witnessed.wanted.add(id(part.instances[0]))
        bases = {id(w.instance): w.base for w in group.witnesses}
        for i in group.beside:
            part = parts.get(rule(bases.get(id(i), i)), Group([]))
            part.beside.append(i)
            self.group_of[id(i)] = part
        for w in group.witnesses:
            part = self.group_of[id(w.base)]
            if self.group_of[id(w.instance)] is part:
                part.witnesses.append(w)
            else:  # what it would be there is another class
                part.numbers |= {w.param}

    def _write(self, group: Group, title: str, instances: list[Instance]) -> None:
        """One class for some instances."""
        block = instances[0].block
        outputs = {n: [i.outputs.get(n) for i in instances] for n in instances[0].outputs}
        if any(set(i.outputs) != set(outputs) for i in instances):
            raise PlainError("the outputs differ")
        rows = [_row(i, n) for n, i in enumerate(instances)]
        unit = Unit(self, rows)
        unit.taken |= group.numbers
        unit.real = sum(any(i is o for o in group.instances) for i in instances)
        unit.params = set(block.params)
        inherited = self._inherited(unit, rows, instances)
        names = {**self._params(unit, rows, block), **inherited}
        unit.potential.update(dict.fromkeys(inherited))
        unit.taken |= set(inherited)
        records: dict[str, Flow | None] = {}
        for j, text in enumerate(block.inputs):
            values = [list(i.inputs.values())[j] for i in instances]
            records[text] = _input(unit, rows, values, text, j)
        self._computed(unit, names, records, block)
        scope = Scope(unit, names, records)
        scope.rows = rows
        info = Info(title, block, lead=lead_of(block.params))
        info.values = {id(i): r.py for i, r in zip(instances, rows, strict=True)}
        known = group.info
        if known is not None:  # what a call of itself may rely on
            for i in (*group.instances, *group.beside):
                handed = {n: bare(self.document[id(i)].args.get(n)) for n in inherited}
                known.values.setdefault(id(i), {**handed, **_worth(i)})
        plan = Plan(
            scope, [(r, i.body) for r, i in zip(rows, instances, strict=True)],
            [list(i.inputs.values()) for i in instances], list(block.inputs), outputs,
            training=instances[0].training, defaults=_defaults(block.params, info),
            frozen=freezing(instances, names),
        )  # fmt: skip
        write_class(plan, info)
        tried = {w.param for w in group.witnesses}
        decide = (unit.deciding & tried | unit.pointing) & {p.name for p in info.parameters}
        if decide:
            raise PlainError("an argument decides what there is", params=frozenset(decide))
        group.info = info

    def _inherited(
        self, unit: Unit, rows: list[Row], instances: list[Instance]
    ) -> dict[str, ast.expr]:
        """Params of the document that blocks called in here take by default: handed through."""
        first, block = instances[0], instances[0].block
        home = first if first.spec is not None else self.document[id(first)]
        if home.spec is None:
            return {}
        unit.document = frozenset(map(id, home.spec.blocks.values()))
        unit.args = home.args
        if first.spec is not None or not home.spec.inherits:
            return {}
        read = {n for b in home.spec.blocks.values() for ns in b.inherited.values() for n in ns}
        found: dict[str, ast.expr] = {}
        for n in (p for p in home.args if p in read):
            values = [self.document[id(i)].args.get(n) for i in instances]
            kept = home is self.roots[0] and n in self.kept
            clash = n in block.params or n in block.inputs or n in unit.taken
            if clash or not all(map(_may_be_named, values)) or (alike(values) and not kept):
                continue
            found[n] = name(n)
            for row, value in zip(rows, values, strict=True):
                row.py[n] = bare(value)
        return found

    def _params(self, unit: Unit, rows: list[Row], block: Block) -> dict[str, Any]:
        """The params that the class takes, as names of its constructor."""
        names: dict[str, Any] = {}
        for p in self._named(rows, block):
            if p in unit.taken:
                continue
            names[p] = name(p)
            unit.potential[p] = None
            unit.taken.add(p)
        return names

    def _named(self, rows: list[Row], block: Block) -> Iterable[str]:
        """The params that a class may take: one that all calls leave at its default is a number."""
        for p, default in block.params.items():
            values = [r.py.get(p) for r in rows]
            if any(isinstance(v, float) for v in values):
                for r in rows:
                    if type(r.py.get(p)) is int:
                        r.py[p] = float(r.py[p])
            if isinstance(values[0], dict) or not all(map(_may_be_named, values)):
                continue
            same = alike(values)
            usual = (
                default is not REQUIRED
                and same
                and (
                    p not in self.given.get(id(block), ())
                    or (not isinstance(default, Expr) and equal(values[0], bare(default)))
                )
            )
            computed = isinstance(default, Expr) and not block.inherited[p]
            if not usual or computed or self._follows(block, p):
                yield p

    def _follows(self, block: Block, param: str) -> bool:
        """Whether a param's default reads an argument of the network's constructor."""
        spec = self.roots[0].spec
        own = spec is not None and spec.blocks.get(block.name) is block
        return own and not block.inherited[param].isdisjoint(self.kept)

    def _computed(
        self, unit: Unit, names: dict[str, Any], records: Mapping[str, Flow | None], block: Block
    ) -> None:
        """Params whose default is an expression that is right everywhere are no arguments."""
        rows, row = unit.rows, unit.rows[0]
        shapes = {n: flow.at(row, row.seen[n]) for n, flow in records.items() if flow is not None}
        inputs = {n: Record(shape) for n, shape in shapes.items()}
        for p, default in block.params.items():
            if p not in names or not isinstance(default, Expr) or block.inherited[p]:
                continue
            try:
                sight = {n: traced(row.py[n], names[n]) for n in names if n != p}
                found = evaluate(default.tree, {**sight, **inputs})
            except FAILURES:
                found = None
            if remembers(found) and holds(found, rows, [r.py[p] for r in rows]):
                unit.defined[p] = written(found)
                unit.potential.pop(p, None)
            elif p not in self.given[id(block)]:
                raise PlainError("a default follows no expression", params=frozenset({p}))

    # ------------------------------------------------------------ classes of groups

    def outlined(
        self, scope: Scope, item: Item, pairs: list[tuple[Row, Any]], hint: str
    ) -> tuple[Info, list[list[Value]], list[list[Value]]]:
        """A class for a named group that is no chain.

        What its body reads from outside comes in as arguments.
        """
        info = self._in_every_copy(scope, item, pairs)
        if info is None:
            title = camel(hint if hint.isidentifier() else item.op)
            info = self._group(scope, item, pairs, title)
        captures, exports = self._crossing([p for _, p in pairs])
        return info, captures, exports

    def _crossing(self, parts: list[Any]) -> tuple[list[list[Value]], list[list[Value]]]:
        """What comes in and what goes out in each row. Raises PlainError where that differs."""
        frames = [self.frames[id(p)] for p in parts]
        captures = [list(f.captures.values()) for f in frames]
        exports = [list(f.exports.values()) for f in frames]
        if len({len(c) for c in captures}) > 1 or len({len(e) for e in exports}) > 1:
            raise PlainError("what crosses the group's edge differs between instances")
        return captures, exports

    def _in_every_copy(self, scope: Scope, item: Item, pairs: list[tuple[Row, Any]]) -> Info | None:
        """One class for all copies of an item that a class makes one by one, if it can be."""
        unit = scope.unit
        if not all(isinstance(p, Copy) for _, p in pairs):
            return None
        every = [(r, c) for r, part in unit.parts for c in _copies(part, item)]
        if len(every) <= len(pairs):
            return None
        if id(item) not in unit.groups:
            before = len(self.order)
            try:
                unit.groups[id(item)] = self._wider(scope, item, every)
            except PlainError:
                self.forget(before)
                unit.groups[id(item)] = None
        return unit.groups[id(item)]

    def _wider(self, scope: Scope, item: Item, every: list[tuple[Row, Copy]]) -> Info:
        """The class of all copies: the columns that tell them apart are its arguments."""
        unit = scope.unit
        copies = [c for _, c in every]
        columns = _columns(unit, copies)
        turns = _turns(unit, copies, set(columns))
        steady = set(unit.potential) | set(unit.defined) | unit.shapes
        pairs: list[tuple[Row, Any]] = []
        for r, c in every:
            py = {n: v for n, v in r.py.items() if n in steady}
            py |= {n: bare(c.env[n]) for n in columns}
            py |= {n: getattr(c.env["loop"], n) for n in turns}
            pairs.append((Row(py, r.base, r.vals, r.seen), c))
        known = {**scope.names, **{n: name(n) for n in columns}}
        known |= {f"loop.{n}": name(n) for n in turns}
        whole = Scope(unit, known, scope.records)
        info = self._group(whole, item, pairs, camel(words_of(item)))
        info.outer |= {n: f"loop.{n}" for n in turns}
        return info

    def _group(self, scope: Scope, item: Item, pairs: list[tuple[Row, Any]], title: str) -> Info:
        """The class of a group in some rows."""
        rows, parts = [r for r, _ in pairs], [p for _, p in pairs]
        captures, exports = self._crossing(parts)
        taken = [[c[j] for c in captures] for j in range(len(captures[0]))]
        names = _input_names(rows[0], [values[0] for values in taken])
        own = {t for j, v in enumerate(captures[0]) for t in titles(names[j], j, v.type)}
        unit, inner, outer = self._inside(scope, rows, own)
        unit.base = self.frames[id(parts[0])].path
        unit.params = scope.unit.params | set(outer)
        within = [_input(unit, inner, values, names[j], j) for j, values in enumerate(taken)]
        unit.space |= {n for n in unit.shapes & own if alike([r.py[n] for r in inner])}
        back: dict[str, Any] = {n: v for n, v in rows[0].py.items() if _steady(scope, rows, n)}
        back |= {old: Sym.of(new, 0) for new, old in outer.items()}
        records = {
            text: next(
                (w for w, vs in zip(within, taken, strict=True) if _holds_all(flow, rows, vs)), None
            )
            or _ghost(flow, unit, back)
            for text, flow in scope.records.items()
        }
        body = Scope(unit, _reachable(scope.names, back), records)
        body.rows = inner
        title = self.free(title)
        info = Info(title, item, inputs=tuple(names), outer=outer)
        info.values = {id(p): r.py for p, r in zip(parts, inner, strict=True)}
        whole = [p if links.merges(p) else links.body_of(p) for p in parts]
        outs = {str(j): [e[j] for e in exports] for j in range(len(exports[0]))}
        plan = Plan(body, list(zip(inner, whole, strict=True)), captures, names, outs, item=item)
        try:
            write_class(plan, info)
            self._decided(scope.unit, {outer[n] for n in unit.deciding if n in outer})
        except PlainError as failed:
            self.names.discard(title)
            raise PlainError(str(failed), (rows[b].base for b in failed.bases)) from failed
        return self._twin(info)

    def _decided(self, around: Unit, names: set[str]) -> None:
        """What decides in a group is for the class around. Raises PlainError for its columns."""
        if names - set(around.potential) - set(around.defined):
            raise PlainError("a column decides what there is")
        around.deciding |= names

    def _inside(
        self, scope: Scope, rows: list[Row], own: set[str]
    ) -> tuple[Unit, list[Row], dict[str, str]]:
        """What the class of a group may be given: what is known where it stands, and differs.

        What is called as its own inputs' sizes are gets another name.
        """
        visible = [
            n
            for n in rows[0].py
            if n.isidentifier() and all(n in r.py for r in rows) and not _steady(scope, rows, n)
        ]
        outer: dict[str, str] = {}
        for n in visible:
            text = f"outer_{n.removeprefix('in_')}" if n in own else n
            while text in own or (text != n and text in visible):
                text += "_"
            outer[text] = n
        inner = [
            Row({new: r.py[old] for new, old in outer.items()}, k, {}, r.seen)
            for k, r in enumerate(rows)
        ]
        unit = Unit(self, inner)
        unit.potential = dict.fromkeys(outer)
        unit.taken |= set(outer)
        for mine, theirs in (
            (unit.space, scope.unit.space), (unit.free, scope.unit.free),
            (unit.shapes, scope.unit.shapes),
        ):  # fmt: skip
            mine.update(new for new, old in outer.items() if old in theirs)
        unit.document, unit.args = scope.unit.document, scope.unit.args
        unit.real = sum(r.base < scope.unit.real for r in rows)
        return unit, inner, outer

    def _twin(self, info: Info) -> Info:
        """A class with the same text serves both."""
        for c in self.order[self.mark :]:
            if c.lines[1:] == info.lines[1:] and c.values and c.outputs == info.outputs:
                self.names.discard(info.name)
                info.name = c.name
                c.filled |= info.filled
                return info
        self.order.append(info)
        return info

    # ------------------------------------------------------------ the network

    def root(self) -> Info:
        """Writes the network's own class, and before it all that it calls."""
        first = self.roots[0]
        rows = [_root_row(r, n, self.kept) for n, r in enumerate(self.roots)]
        unit = Unit(self, rows, root=True)
        unit.potential = dict.fromkeys(self.kept)
        unit.deciding = self.deciding
        if self.kept:
            self.deciding |= decided_by(first) & set(self.kept)
        unit.params = set(first.args)
        unit.taken |= set(self.kept)
        names = {p: name(p) for p in self.kept}
        names |= self._worked_out(unit, rows)
        if first.spec is not None:
            unit.document = frozenset(map(id, first.spec.blocks.values()))
            unit.args = first.args
        records: dict[str, Flow | None] = {}
        for j, text in enumerate(first.inputs):
            values = [list(r.inputs.values())[j] for r in self.roots]
            records[text] = _root_input(unit, rows, values, first, text)
        scope = Scope(unit, names, records)
        scope.rows = rows
        listed = frozenset(n for n, v in first.outputs.items() if isinstance(v, tuple))
        if any(set(r.outputs) != set(first.outputs) for r in self.roots):
            raise PlainError("the outputs differ")
        plan = Plan(
            scope, [(r, i.body) for r, i in zip(rows, self.roots, strict=True)],
            [list(i.inputs.values()) for i in self.roots], list(first.inputs),
            {n: [r.outputs[n] for r in self.roots] for n in first.outputs},
            training=first.training, listed=listed, returns=_root_type(first, listed),
            defaults={p: rows[0].py[p] for p in self.kept},
            last=lambda: self.inits.root_init(scope), frozen=freezing(self.roots),
        )  # fmt: skip
        info = Info(self.title, first.block)
        info.values = {id(first): dict(first.args)}
        write_class(plan, info)
        self.order.append(info)
        return info

    def _worked_out(self, unit: Unit, rows: list[Row]) -> dict[str, ast.expr]:
        """The network's params that follow from its arguments: `w = 2 * p` in the constructor."""
        found: dict[str, ast.expr] = {}
        for p, default in self.roots[0].block.params.items():
            if not isinstance(default, Expr) or p in self.kept:
                continue
            names = [*self.kept, *found]
            try:
                value = evaluate(default.tree, {n: traced(rows[0].py[n], name(n)) for n in names})
                worth = [bare(r.args[p]) for r in self.roots]
            except FAILURES:
                continue
            if remembers(value) and holds(value, rows, worth):
                found[p] = name(p)
                unit.defined[p] = written(value)
                unit.taken.add(p)
                for row, w in zip(rows, worth, strict=True):
                    row.py[p] = w
        return found

    def free(self, title: str) -> str:
        """The name of a class that no other has."""
        text, number = title, 2
        while text in self.names or text in taken():
            text, number = f"{title}{number}", number + 1
        self.names.add(text)
        return text


# ---------------------------------------------------------------- small facts


def _parts(group: Group) -> tuple[Rule, dict[Any, Group]]:
    """The instances of a group by the first rule that divides them."""

    def values(instance: Instance) -> Any:
        worth = _worth(instance)
        return tuple(repr(worth.get(p)) for p in sorted(group.numbers))

    for rule in (values, _kinds, _structure, _frozen, id):
        parts: dict[Any, Group] = {}
        for i in group.instances:
            parts.setdefault(rule(i), Group([], numbers=group.numbers)).instances.append(i)
        if len(parts) > 1:
            return rule, parts
    raise PlainError("it is one instance alone")


def _serves(failed: PlainError | None) -> bool:
    """Whether a class serves these instances, if with fewer arguments."""
    return failed is None or bool(failed.params)


def _most(beside: list[Instance], attempt: Attempt) -> list[Instance]:
    """As many instances as a class can serve, found by halves."""
    good: list[Instance] = []
    parts = [beside]
    while parts:
        part = parts.pop()
        if _serves(attempt([*good, *part])):
            good += part
        elif len(part) > 1:
            half = len(part) // 2
            parts += [part[half:], part[:half]]
    return good


def _copies(part: Body | Copy, item: Item) -> Iterable[Copy]:
    """The copies of an item in a part of a class."""
    inside = [part] if isinstance(part, Body) else [part.body, part.shortcut, *part.branches]
    stack = [b for b in inside if b is not None]
    while stack:
        for occurrence in stack.pop().items:
            for c in occurrence.copies:
                if c is not None and occurrence.item is item and c.shared is None:
                    yield c
                elif c is not None:
                    stack += [b for b in (c.body, c.shortcut, *c.branches) if b is not None]


def _columns(unit: Unit, copies: list[Copy]) -> list[str]:
    """The columns around an item that differ between its copies."""
    found = []
    for text, value in copies[0].env.items():
        values = [bare(c.env.get(text)) for c in copies]
        named = text not in unit.params and text not in unit.taken
        if named and _may_be_named(bare(value)) and not alike(values):
            found.append(text)
    return found


def _turns(unit: Unit, copies: list[Copy], columns: set[str]) -> list[str]:
    """What of `loop` differs between an item's copies: whether it is the first of its repeat."""
    turns = [c.env.get("loop") for c in copies]
    if not all(isinstance(t, Loop) for t in turns):
        return []
    clashes = unit.taken | unit.params | columns
    free = [n for n in ("first", "last", "index", "serial") if n not in clashes]
    return [n for n in free if not alike([getattr(t, n) for t in turns])]


def _holds_all(flow: Flow | None, rows: list[Row], values: list[Value]) -> bool:
    """Whether a flow is what some values are, one a row."""
    return flow is not None and all(
        flow in r.vals.get(id(v), ()) for r, v in zip(rows, values, strict=True)
    )


def _steady(scope: Scope, rows: list[Row], text: str) -> bool:
    """Whether a name is worth the same in all rows: nothing tells that a text holds elsewhere."""
    return text not in scope.unit.space and alike([r.py.get(text) for r in rows])


def _ghost(flow: Flow | None, unit: Unit, back: Mapping[str, Any]) -> Flow | None:
    """An input of the class around, its sizes in the names that they have within."""
    if flow is None:
        return None
    found = Ghost([None] * len(flow.sizes))
    for a, size in enumerate(flow.sizes):
        found.sizes[a] = size
        if isinstance(size, Sym):
            try:
                worked = evaluate(size.tree, back)
            except FAILURES:
                worked = None
            found.sizes[a] = Sym(int(size), worked.terms) if isinstance(worked, Sym) else worked
    return found


def _reachable(names: Mapping[str, Any], back: Mapping[str, Any]) -> dict[str, Any]:
    """The author's names, in the names of the class within."""
    found = {}
    for text, tree in names.items():
        if isinstance(tree, ast.Name) and tree.id in back and not isinstance(back[tree.id], Sym):
            continue  # a number here
        new = {n: written(back[n]) for n in names_in(tree) if n in back}
        found[text] = rebuilt(tree, new.get) if new else tree
    return found


def _worked_out(block: Block, param: str, instances: Sequence[Instance]) -> bool:
    """Whether a param is what its default comes to in every instance, given or not."""
    default = block.params[param]
    if not isinstance(default, Expr) or block.inherited[param]:
        return False
    for i in instances:
        inputs = {n: Record(dims(v)) for n, v in i.inputs.items()}
        try:
            if not equal(plain(evaluate(default.tree, {**i.args, **inputs})), bare(i.args[param])):
                return False
        except FAILURES:
            return False
    return True


def _may_be_named(value: Any) -> bool:
    if isinstance(value, tuple):
        return all(map(_may_be_named, value))
    return isinstance(value, (bool, int, float, str))


def _row(instance: Instance, base: int) -> Row:
    seen = {n: dims(v) for n, v in instance.inputs.items() if v.type is not None}
    return Row({k: bare(v) for k, v in instance.args.items()}, base, {}, seen)


def _input_names(row: Row, values: Sequence[Value]) -> list[str]:
    """What the class of a group calls what it takes: as it is called around, else x1, x2."""
    names: list[str] = []
    for j, value in enumerate(values):
        known = [t for v in row.vals.get(id(value), []) for t in (v.short, v.hint) if t]
        text = next((t for t in known if t not in names), "")
        names.append(
            text if text.isidentifier() and text not in RESERVED else f"x{j}" if j else "x"
        )
    return names


def _worth(instance: Instance) -> dict[str, Any]:
    """All that the constructor may be given for an instance."""
    found = dict(_row(instance, 0).py)
    for j, (text, value) in enumerate(instance.inputs.items()):
        for title, size in zip(titles(text, j, value.type), dims(value), strict=True):
            found.setdefault(title, size)
    return found


def _root_row(root: Instance, base: int, kept: Sequence[str]) -> Row:
    row = _row(root, base)
    row.py = {p: v for p, v in row.py.items() if p in kept}
    return row


def _input(unit: Unit, rows: list[Row], values: list[Value], text: str, place: int) -> Flow | None:
    """An input of a class; its sizes are names, which become arguments where they are used."""
    if values[0].type is None:
        if any(v.type is not None for v in values):
            raise PlainError("an input that is given in some instances only")
        return None
    shapes = [dims(v) for v in values]
    rank = len(shapes[0])
    if any(len(s) != rank for s in shapes):
        raise PlainError("the inputs differ in rank")
    flow = Flow([None] * rank, text)
    define(rows, values, flow)
    kind = values[0].type
    texts = titles(text, place, kind)
    for a, title in reversed(list(enumerate(texts))):
        if title in unit.potential or title in unit.taken:
            flow.sizes[a] = shapes[0][a] if alike([s[a] for s in shapes]) else None
            continue
        unit.potential = {title: None, **unit.potential} if place == 0 else {
            **unit.potential, title: None,
        }  # fmt: skip
        unit.taken.add(title)
        unit.shapes.add(title)
        if not is_width(kind, a):
            unit.space.add(title)
        for row, shape in zip(rows, shapes, strict=True):
            row.py[title] = shape[a]
        flow.sizes[a] = Sym.of(title, shapes[0][a])
    return flow


def _root_input(
    unit: Unit, rows: list[Row], values: list[Value], root: Instance, text: str
) -> Flow:
    """An input of the network: its sizes are numbers, but of the axes that are free."""
    shapes = [dims(v) for v in values]
    if any(len(s) != len(shapes[0]) for s in shapes):
        raise PlainError("the inputs differ in rank")
    flow = Flow(
        [n if alike([s[a] for s in shapes]) else None for a, n in enumerate(shapes[0])], text
    )
    define(rows, values, flow)
    declared = root.spec.inputs[text].shape if root.spec is not None else ()
    known = {
        p: traced(rows[0].py.get(p, v), name(p)) if p in unit.potential else v
        for p, v in root.args.items()
    }
    for a, axis in enumerate(declared):
        if isinstance(axis, Expr):
            size = evaluate(axis.tree, known)
            if isinstance(size, Sym) and holds(size, rows, [s[a] for s in shapes]):
                flow.sizes[a] = size
        if isinstance(axis, Axis):
            if axis.name in unit.taken and axis.name not in unit.free:
                continue
            unit.taken.add(axis.name)
            unit.space.add(axis.name)
            unit.shapes.add(axis.name)
            unit.free.add(axis.name)
            for row, shape in zip(rows, shapes, strict=True):
                row.py[axis.name] = shape[a]
            flow.sizes[a] = Sym.of(axis.name, shapes[0][a])
    return flow


def lead_of(params: Mapping[str, Any]) -> str:
    """The param that is given by position: the only required one, or `out`."""
    required = [p for p, d in params.items() if d is REQUIRED]
    if required and (len(required) == 1 or required[0] == "out"):
        return str(required[0])
    return ""


def _defaults(params: Mapping[str, Any], info: Info) -> dict[str, Any]:
    """The declared defaults that are plain values, as floats where any instance has a float."""
    found: dict[str, Any] = {}
    for p, d in params.items():
        if isinstance(d, (int, float, bool, str)) and d is not REQUIRED:
            mixed = type(d) is int and any(
                isinstance(v.get(p), float) for v in info.values.values()
            )
            found[p] = float(d) if mixed else d
    return found


def _signature(info: Info) -> Any:
    return (
        [(p.name, p.default) for p in info.parameters],
        [[repr(s) for s in sizes] for sizes in info.sizes],
    )


def called(body: Body) -> Iterable[tuple[Item, Copy]]:
    """The block calls of a body, at any depth."""
    stack = [body]
    while stack:
        for occurrence in stack.pop().items:
            for c in occurrence.copies:
                if c is None:
                    continue
                if c.instance is not None:
                    yield occurrence.item, c
                stack += [b for b in (c.body, c.shortcut, *c.branches) if b is not None]


def _reaches(instance: Instance, block: Block) -> bool:
    """Whether an instance calls a block, itself or through others."""
    stack, seen = [instance], set()
    while stack:
        for _, copy in called(stack.pop().body):
            inner = copy.instance
            assert inner is not None
            if inner.block is block:
                return True
            if id(inner) not in seen:
                seen.add(id(inner))
                stack.append(inner)
    return False


def _frozen(instance: Instance) -> Any:
    return freezing([instance])


def _structure(instance: Instance) -> Any:
    ranks = tuple(len(dims(v)) for v in instance.inputs.values())
    return _shape_of(instance.body, ranks)


def _kinds(instance: Instance) -> Any:
    """What torch calls the layers of a block's body."""
    return frozenset(_kinds_of(instance.body))


def _kinds_of(body: Body) -> Iterable[Any]:
    for c in (c for occurrence in body.items for c in occurrence.copies if c is not None):
        parts = [b for b in (c.body, c.shortcut, *c.branches) if b is not None]
        if c.layer is not None and not parts:
            yield torch_call(c, module=False).target
        for part in parts:
            yield from _kinds_of(part)


def _shape_of(body: Body, ranks: tuple[int, ...]) -> Any:
    """The structure of a body without its numbers: what one class can serve."""
    out: list[Any] = [ranks]
    for occurrence in body.items:
        for c in occurrence.copies:
            if c is None:
                out.append(None)
                continue
            out.append(
                (
                    c.segments, type(c.layer).__name__, len(c.ins), c.plain,
                    tuple(len(dims(v)) for v in c.ins),
                )
            )  # fmt: skip
            out += [_shape_of(b, ()) for b in (c.body, c.shortcut, *c.branches) if b is not None]
    return tuple(out)


def _root_type(root: Instance, listed: frozenset[str]) -> str:
    names = [n for n in root.outputs if n not in root.training]
    value = "Tensor | list[Tensor]" if listed else "Tensor"
    if listed and listed == set(root.outputs):
        value = "list[Tensor]"
    if len(names) == 1 and not listed & set(names):
        return f"Tensor | dict[str, {value}]" if root.training else "Tensor"
    return f"dict[str, {value}]"
