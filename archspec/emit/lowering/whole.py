"""Instances → classes: one for all instances of a block where that holds, else one for each kind.

    Bottleneck(width=64, stride=1) on [64, …], (width=64) on [256, …], (width=128, stride=2) on …
    class Bottleneck(nn.Module): def __init__(self, in_channels, width, stride=1)

What one class cannot serve is divided (`dividing.py`). A class is written once it is asked for, by
one that calls it: at last by the network's own (`root.py`), which stands behind those of its blocks
(`blocks.py`) and groups (`groups.py`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import islice
from typing import Any

from archspec.emit.frames import Frames
from archspec.emit.lowering import groups
from archspec.emit.lowering.blocks import named, worked_out, write_block
from archspec.emit.lowering.dividing import (
    Attempt,
    Group,
    called,
    calls,
    items_of,
    mixtures,
    most,
    parts_of,
    reaches,
    serves,
)
from archspec.emit.lowering.flow import PlainError, Row
from archspec.emit.lowering.inits import Inits
from archspec.emit.lowering.members import camel
from archspec.emit.lowering.rows import row_of
from archspec.emit.lowering.scope import Info, Scope
from archspec.emit.lowering.witnesses import Called, Witness, witnesses
from archspec.emit.torch_code import taken
from archspec.expand.again import Again
from archspec.expand.tree import Body, Copy, Instance, Value
from archspec.expressions import Expr
from archspec.language import REQUIRED, Init, Item
from archspec.layers.plugin import functions, modules

_ROUNDS = 8


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
        self.calls_of: dict[int, list[Instance]] = defaultdict(list)  # by id of a block
        self.frames: dict[int, Any] = {}
        self.consumers: dict[int, list[int]] = {}
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
        self.open: list[Group] = []  # those that are being written, outermost first
        self.names: set[str] = {title}
        self.deciding: set[str] = set()  # params of the network that decide what is there
        self.inits = Inits(roots, rules or {})
        self.imported: dict[str, str] = {}  # modules of packages -> what the file calls them
        self.functions: frozenset[str] = frozenset()  # of torch, that ops of packages call
        self._collect()

    def _collect(self) -> None:
        by_block: dict[Any, Group] = {}
        for instance in self._reached(self.roots):
            group = by_block.setdefault(_kind(instance), Group([]))
            group.instances.append(instance)
            self.group_of[id(instance)] = group
        self._declare()
        if not self.witnessed.tries:
            return
        for group in list(by_block.values()):
            bases = [i for i in group.instances if id(i) in self.witnessed.bases]
            for base in bases or group.instances[:1]:
                self.witnessed.bases.add(id(base))
                group.trying.append(self._witnesses(base, group.instances))
            if any(map(calls, items_of(group.instances[0].block))):  # others are tried with it
                group.witnesses += [w for tried in group.trying for w in tried()]
                group.trying.clear()
        for witness in [w for g in by_block.values() for w in g.witnesses]:
            self.document.setdefault(id(witness.instance), self.document[id(witness.base)])
            for instance in self._reached([witness.instance]):
                group = by_block.setdefault(_kind(instance), Group([]))
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
            self.calls_of[id(instance.block)].append(instance)
            yield instance

    @contextmanager
    def _tried(self, group: Group) -> Iterator[None]:
        """With the witnesses of a block that calls no other: they go once its class is written.

        What is known by the identity of anything in them goes with them.
        """
        if not group.trying:
            yield
            return
        again, before = self.witnessed.again, [*map(len, self._known())]
        kept, alike = again.known(), self.calls_of[id(group.instances[0].block)]
        count = len(alike)
        tried = [w for each in group.trying for w in each()]
        again.forget(kept)
        group.witnesses += tried
        for witness in tried:
            self.document.setdefault(id(witness.instance), self.document[id(witness.base)])
            for instance in self._reached([witness.instance]):
                group.beside.append(instance)
                self.group_of[id(instance)] = group
        try:
            yield
        finally:
            if group.info is None:  # it is divided, and they with it
                group.trying.clear()
        if group.info is None:
            return
        gone = {id(i): i for i in alike[count:]}
        group.witnesses.clear()
        group.beside = [i for i in group.beside if id(i) not in gone]
        group.info.values = {k: v for k, v in group.info.values.items() if k not in gone}
        self.reused.difference_update(id(c) for i in gone.values() for c in _inside(i.body))
        for known, own in zip(self._known(), before, strict=True):
            for key in [*islice(reversed(known), len(known) - own)]:
                del known[key]
        for known in (self.plain, self.calls):
            known.clear()
        del alike[count:]

    def _known(self) -> tuple[dict[int, Any], ...]:
        """What is known of instances and of all that stands in them, by identity."""
        of = (self.group_of, self.document, self.frames, self.consumers, self.paths)
        return *of, self.inits.local

    def _witnesses(
        self, base: Instance, instances: list[Instance]
    ) -> Callable[[], Iterable[Witness]]:
        """What makes one instance at another value of each argument that a class may have."""
        if id(base) not in self.calling:
            return tuple
        home = self.document[id(base)]
        rows = [row_of(i, n) for n, i in enumerate(instances)]
        given, params = self.given[id(base.block)], base.block.params
        calls = [self.calling[id(i)] for i in instances if id(i) in self.calling]
        worked = {
            p
            for p in params
            if any(p not in c.args for c in calls) and worked_out(base.block, p, instances)
        }
        tried = {
            p: base.args[p]
            for p in named(self, rows, base.block)
            if p not in worked and (p in given or not isinstance(params[p], Expr))
        }
        call = Called(self.witnessed.again, base, home, self.calling[id(base)])
        return partial(witnesses, call, tried, worked)

    def follows(self, values: Sequence[Value], axis: int) -> bool:
        """Whether a size of any of these values follows from a free axis."""
        return any(self.witnessed.again.follows(value, axis) for value in values)

    def walked(self) -> None:
        """Drops what only the walk asks for: with the network's own class all of it is done."""
        for known in (self.frames, self.consumers, self.paths, self.plain, self.calls):
            known.clear()

    def of(self, instances: Sequence[Instance]) -> Info:
        """The class that serves these instances. Raises PlainError when they need several."""
        while True:
            groups = [self.group_of[id(i)] for i in instances]
            apart = [k for k, g in enumerate(groups) if g is not groups[0]]
            if apart:
                raise PlainError("the calls need different classes", apart)
            if groups[0].info is not None:
                self._lean(groups[0])
                return groups[0].info
            self._serve(groups[0])

    def _serve(self, group: Group) -> None:
        """Writes the class of a group, or divides the group."""
        if not group.instances:
            raise PlainError("no call of the network is like it")
        with self._tried(group):
            self._served(group)

    def _served(self, group: Group) -> None:
        title = self.free(self._called(group.instances[0]))
        before, mark = len(self.order), self.mark
        self.mark = before

        def attempt(beside: list[Instance]) -> PlainError | None:
            self.forget(before)
            self.names.add(title)
            try:
                self._settle(group, [*group.instances, *beside], title, before)
            except PlainError as failed:
                group.info = None  # and what was tried may go: the traceback holds all of it
                return PlainError(str(failed), failed.bases, failed.params)
            return None

        failed = attempt(group.beside)
        while failed is not None and self._narrowed(group, failed, attempt):
            failed = attempt(group.beside)
        self.mark = mark
        if failed is None:
            assert group.info is not None
            self.order.append(group.info)
            if all(group not in around.leaning for around in self.open):
                self.finished.update(id(c) for c in self.order[before:])
            return
        self.forget(before)
        self.names.discard(title)
        if len(group.instances) == 1:
            raise PlainError(*failed.args) from failed  # its rows are not the caller's
        self._divide(group)

    def _called(self, instance: Instance) -> str:
        """What a class is called: after its block, and what it is given where that differs."""
        block, given = instance.block, [*instance.inputs]
        groups = (self.group_of[id(i)] for i in self.calls_of[id(block)])
        alike = list({id(g): g for g in groups if g.instances}.values())
        like = [g.instances[0] for g in alike]
        flags = [camel(p) for p, v in instance.args.items() if v is True and _apart(p, alike)]
        title = "".join(flags) + block.name + _count(instance, alike) + _mixed(instance, like)
        others = {tuple(other.inputs) for other in like if block.rest or block.optional}
        if len(others) < 2:
            return title
        counts = {sum("." in name for name in names) for names in others}
        number = f"Of{sum('.' in name for name in given)}" if len(counts) > 1 else ""
        return (
            title
            + number
            + "".join(f"With{camel(name)}" for name in given if name in block.optional)
        )

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
            if not group.beside or not serves(attempt([])):
                return False
            good = most(group.beside, attempt)
            left = [i for i in group.beside if i not in good]
        group.numbers |= {w.param for w in group.witnesses if w.instance in left}
        for instance in left:
            self.group_of[id(instance)] = Group([])
        group.beside = [i for i in group.beside if i not in left]
        return True

    def _lean(self, group: Group) -> None:
        """What is being written calls a class that is not settled: it is written anew with it."""
        if group in self.open:
            inside = self.open[self.open.index(group) + 1 :]
            group.leaning += [other for other in inside if other not in group.leaning]

    def _anew(self, group: Group, before: int) -> None:
        """Drops what was written since, and of what leans on a group all."""
        self.forget(before)
        for other in group.leaning:
            other.info = None
            self._anew(other, before)
        group.leaning.clear()

    def _settle(self, group: Group, instances: list[Instance], title: str, before: int) -> None:
        """A class may call itself, also through others: it is written until it says what it is.

        First for the instances that do not, whose output says what a call gives.
        """
        self.open.append(group)
        try:
            self._settled(group, instances, title, before)
        finally:
            self.open.remove(group)

    def _settled(self, group: Group, instances: list[Instance], title: str, before: int) -> None:
        base = [i for i in instances if not reaches(i, i.block)]
        recursive = len(base) < len(instances)
        group.info = Info(title, group.instances[0].block)
        if recursive and base:
            group.info = Info(title, group.instances[0].block)
            write_block(self, group, title, base, innermost=True)
        for _ in range(8):
            known = _signature(group.info)
            self._anew(group, before)
            write_block(self, group, title, instances)
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
        rule, parts = parts_of(group)
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

    # ------------------------------------------------------------ classes of groups

    def outlined(
        self, scope: Scope, item: Item, pairs: list[tuple[Row, Any]], hint: str
    ) -> tuple[Info, list[list[Value]], list[list[Value]]]:
        """The class of a group, and what comes in and goes out in each row."""
        return groups.outlined(scope, item, pairs, hint)

    def free(self, title: str) -> str:
        """The name of a class that no other has."""
        text, number = title, 2
        while text in self.names or text in taken():
            text, number = f"{title}{number}", number + 1
        self.names.add(text)
        return text


def _inside(body: Body) -> Iterator[Copy]:
    """All copies of a body, at any depth."""
    for copy in body.copies():
        yield copy
        for part in copy.parts():
            yield from _inside(part)


def _kind(instance: Instance) -> Any:
    """What instances have in common that one class may serve."""
    return id(instance.block), instance.asked, tuple(instance.inputs)


def _apart(param: str, groups: Sequence[Group]) -> bool:
    """Whether a flag is the same in each of some groups, and not in all."""
    each = [{i.args.get(param) for i in group.instances} for group in groups]
    return all(len(values) == 1 for values in each) and set().union(*each) == {True, False}


def _mixed(instance: Instance, like: Sequence[Instance]) -> str:
    """`WithPadding`, where a call gives a number and the block itself, or others, a word."""
    params = mixtures([i.args for i in like])
    defaults = {p: instance.block.params[p] for p in params}
    apart = (
        p
        for p, d in defaults.items()
        if isinstance(instance.args[p], str) != (isinstance(d, str) or d is REQUIRED)
    )
    return "".join(f"With{camel(p)}" for p in apart)


def _count(instance: Instance, groups: Sequence[Group]) -> str:
    """`Depth2`, where the classes of a block differ in how often something is repeated."""
    repeats = (o.item.repeat for o in instance.body.items if o.item.repeat is not None)
    counts = {r.count.text for r in repeats if isinstance(r.count, Expr)}
    for param in (p for p in instance.block.params if p in counts):
        each = [{repr(i.args[param]) for i in group.instances} for group in groups]
        if all(len(values) == 1 for values in each) and len(set().union(*each)) == len(each) > 1:
            return f"{camel(param)}{instance.args[param]}"
    return ""


def _signature(info: Info) -> Any:
    return (
        [(p.name, p.default) for p in info.parameters],
        [[repr(s) for s in sizes] for sizes in info.sizes],
    )
