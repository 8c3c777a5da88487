"""`head` → paths that are there: a slip in it would refuse the very weights it is to let go."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import chain
from types import MappingProxyType
from typing import NamedTuple

from archspec.expand.plan import CALL, OP, SHARED, Plan, has_expression
from archspec.expand.state import COMPARE, State, deeper
from archspec.expand.tree import Body, Copy, Instance
from archspec.expressions import Expr
from archspec.language import Block, Branch, Item, Spec
from archspec.language.values import Value
from archspec.text.faults import Step
from archspec.text.words import did_you_mean

Names = list[str]
Place = tuple[tuple[str, ...], Copy | Body]  # segments still to go, and what they lead to

_NUMBER = re.compile(r"\d+")


def check(state: State, spec: Spec, root: Instance | None, *, chosen: bool) -> None:
    """Note each path of `head` that nothing has.

    `root` is None where faults hide what is there; `chosen`: a variant or params change the
    network. A path that is in the text, but not in this network, is no fault.
    """
    there = None if root is None else places_in(root.body)
    text = _Text(chosen=chosen)
    for k, path in enumerate(spec.head):
        names = path.split(".")
        first, known = (0, []) if there is None else there.missing(names)
        if there is not None and first == len(names):
            continue
        text.known = {}
        if text.whole(spec, _At(spec, names, spec.numbered, root is None)):
            continue
        depth = len(names) - min(text.known, default=len(names))
        written = [*chain.from_iterable(text.known.get(len(names) - depth, ()))]
        if root is None or (depth > first and names[depth] not in written):
            first, known = depth, written
        if any(state.said("E312", (name,)) for name in names):
            continue  # it is missing elsewhere too
        name, before = names[first], ".".join(names[:first])
        lacks = f"`{before}` has no part `{name}`" if before else f"there is no item `{name}`"
        message = lacks if path == name else f"{lacks}, for `{path}`"
        help = did_you_mean(name, known) or (f"name `{before}` itself" if before else "")
        around = None if root is None else _around(root.body, names[:first])
        steps = () if around is None else (Step(around.loc, f"`{before}` ends here", COMPARE),)
        with state.beside(*steps):
            state.fault("E318", message, deeper(spec.loc, "head", k), help, cause=(name,))


# ---------------------------------------------------------------- what is there


Way = tuple[tuple[int, Copy], ...]  # copies, each with how many segments lead to it, and its own


class Places:
    """What stands at a path: looked up once for all the paths that go through it."""

    def __init__(self, places: Sequence[tuple[Place, Way]], depth: int = 0) -> None:
        self.places, self.depth = places, depth

    @cached_property
    def below(self) -> Mapping[str, Places]:
        """By segment, what stands one further in."""
        found: dict[str, list[tuple[Place, Way]]] = {}
        depth = self.depth + 1
        for place, before in self.places:
            for segment, further in _below(place):
                way = _passed(further, depth, before)
                found.setdefault(segment, []).append((further, way))
        return {segment: Places(places, depth) for segment, places in found.items()}

    def missing(self, names: Sequence[str]) -> tuple[int, list[str]]:
        """How many of `names` lead somewhere, and what stands beside the first that does not."""
        at = self
        for k, name in enumerate(names):
            if name not in at.below:
                return k, list(at.below)
            at = at.below[name]
        return len(names), []

    def way(self, names: Sequence[str]) -> Way:
        """The copies that a path goes through; () where it leads to no copy."""
        at = self
        for name in names:
            if name not in at.below:
                return ()
            at = at.below[name]
        ends = (passed for _, passed in at.places if passed and passed[-1][0] == len(names))
        return next(ends, ())


def _around(body: Body, names: Sequence[str]) -> Item | None:
    """The last item inside of what a path leads to; where nothing is in it, itself."""
    for occurrence in body.items if names else ():
        for copy in filter(None, occurrence.copies):
            here = copy.segments
            if here != tuple(names[: len(here)]):
                continue
            inner = [part for part in copy.below() if part.items]
            if here and len(here) == len(names):
                return inner[-1].items[-1].item if inner else occurrence.item
            found = (
                _around(part, names[len(here) + (part.segment is not None) :]) for part in inner
            )
            last = next(filter(None, found), None)
            if last is not None:
                return last
    return None


def places_in(inside: Body | Copy) -> Places:
    """The names of all that is in a body, or in a copy."""
    return Places([(((), inside), ())])


def _passed(place: Place, depth: int, before: Way) -> Way:
    segments, what = place
    return (*before, (depth, what)) if isinstance(what, Copy) and not segments else before


def _below(place: Place) -> Iterator[tuple[str, Place]]:
    """What stands one segment further in."""
    segments, what = place
    if segments:
        yield segments[0], (segments[1:], what)
        return
    for body in (what,) if isinstance(what, Body) else what.below():
        if body.segment is not None and body is not what:
            yield body.segment, ((), body)
            continue
        for copy in body.copies():
            if copy.segments:
                yield copy.segments[0], (copy.segments[1:], copy)
            else:
                yield from _below(((), copy))


# ---------------------------------------------------------------- what is in the text


def written(spec: Spec, block: Block, paths: Iterable[Sequence[str]]) -> list[bool]:
    """Whether each path is one that some choice of params would give in a block of a file."""
    text, at = _Text(chosen=True), _At(spec, [], block.numbered, open=True)
    return [text.whole(block, at._replace(names=[*names])) for names in paths]


class _At(NamedTuple):
    """Where in the text a path is looked for."""

    spec: Spec
    names: Names  # the segments still to go
    numbered: bool  # whether what has no id is named by its place
    open: bool  # whether anything on the way may be absent here
    columns: Mapping[str, Value] = MappingProxyType({})  # of the repeats around, by name


class _Parted(NamedTuple):
    """Items of one list: those of a plain id by its first segment, the others, and all ids.

    Of ops and calls without an id that are alike, one may stand for all: `conv`, with `when`.
    """

    named: Mapping[str, Sequence[Item]]
    others: Sequence[Item]
    ids: Sequence[str]


class _Text:
    """Whether a path is one that some choice of params would give.

    `known` are the ids at each place it came to, by how many segments were then to go.
    """

    def __init__(self, *, chosen: bool) -> None:
        self.chosen = chosen
        self.known: dict[int, list[Sequence[str]]] = {}
        self.parted: dict[int, _Parted] = {}  # by the id of a list of items
        self.plans: dict[int, Plan] = {}  # by the id of an item

    def whole(self, whole: Spec | Block, at: _At) -> bool:
        return self.body(whole.items, at._replace(numbered=whole.numbered))

    def body(self, items: Iterable[Item], at: _At) -> bool:
        if id(items) not in self.parted:
            self.parted[id(items)] = self._parted(items)
        parted = self.parted[id(items)]
        meant = parted.named.get(at.names[0], [])
        if any(self.item(item, at) for item in (*meant, *parted.others)):
            return True
        self.known.setdefault(len(at.names), []).append(parted.ids)
        return False

    def _parted(self, items: Iterable[Item]) -> _Parted:
        named: dict[str, list[Item]] = {}
        others: dict[object, Item] = {}
        ids = []
        for item in items:
            plan = self.plan(item)
            if plan.ident is not None:
                named.setdefault(plan.ident.split(".")[0], []).append(item)
                ids.append(plan.ident)
                continue
            alike = plan.labels is None and plan.kind in (OP, CALL) and item.op != "call"
            others.setdefault((item.op, self._opens(item)) if alike else id(item), item)
        return _Parted(named, [*others.values()], ids)

    def plan(self, item: Item) -> Plan:
        if id(item) not in self.plans:
            self.plans[id(item)] = Plan(item)
        return self.plans[id(item)]

    def _opens(self, item: Item) -> bool:
        """Whether it may be absent in this network, and there in another."""
        return item.when is not True or (self.chosen and _varies(item))

    def item(self, item: Item, at: _At, label: str | None = None) -> bool:
        plan = self.plan(item)
        at = at._replace(open=at.open or self._opens(item))
        if item.repeat is not None:
            at = at._replace(columns={**at.columns, **item.repeat.columns})
        label = label or plan.ident
        pattern = re.escape(label) if label is not None else _pattern(plan, at)
        if pattern is None:
            return self.inside(item, at)
        known = [label] if label is not None else _columned(plan, at)
        self.known.setdefault(len(at.names), []).append(known)
        deep = pattern.count(r"\.") + 1  # `convs.0`
        if not re.fullmatch(pattern, ".".join(at.names[:deep])):
            return False
        rest = at.names[deep:]
        if rest and item.repeat is not None and not plan.apart and (label or plan.labels):
            if not _NUMBER.fullmatch(rest[0]):
                return False
            rest = rest[1:]
        if not rest:
            return at.open
        return self.inside(item, at._replace(names=rest, numbered=item.op == "sequential"))

    def inside(self, item: Item, at: _At) -> bool:
        spec = at.spec
        if item.target is not None:
            return at.open  # another item's weights
        called = [item.callee or item.op]
        if isinstance(item.callee, Expr):
            called = [*spec.blocks, *spec.use]
        blocks = [spec.blocks[name] for name in called if name in spec.blocks]
        used = [spec.use[name].spec for name in called if name in spec.use]
        if blocks or any(used):
            alone = at._replace(columns={})
            return any(self.whole(block, alone) for block in blocks) or any(
                self.whole(file, alone._replace(spec=file)) for file in used if file is not None
            )
        beside = at._replace(open=at.open or item.shortcut_when is not True)
        return (
            self.body(item.items, at)
            or self.body(item.shortcut or (), beside)
            or any(self.branch(branch, at) for branch in item.branches)
            or self.numbered(item.branches, at)
        )

    def numbered(self, branches: Sequence[Branch], at: _At) -> bool:
        """The same for paths that are named by their numbers, since one of them repeats."""
        several = [branch.items[0] for branch in branches if branch.each]
        number, *rest = at.names
        if not several or not _NUMBER.fullmatch(number):
            return False
        varies = any(_varies(item) for item in several)
        if not varies and int(number) >= sum(map(_paths, branches)):
            return False
        at = at._replace(open=at.open or varies or any(i.when is not True for i in several))
        if not rest:
            return at.open
        inner = at._replace(names=rest, numbered=False)
        return any(
            self.item(self.plan(branch.items[0]).alone.item, at, number)
            if len(branch.items) == 1
            else self.body(branch.items, inner)
            for branch in branches
        )

    def branch(self, branch: Branch, at: _At) -> bool:
        key, items = branch.key, branch.items
        if key is None or not items:
            return self.body(items, at)
        if len(items) == 1 and items[0].id is None:
            return self.item(items[0], at, key)
        if at.names[0] != key or len(at.names) == 1:
            return at.names[0] == key and at.open
        return self.body(items, at._replace(names=at.names[1:], numbered=False))


def _paths(branch: Branch) -> int:
    """How many paths a branch is, where no expression says that."""
    repeat = branch.items[0].repeat if branch.each else None
    if repeat is None:
        return 1
    return len(next(iter(repeat.columns.values()))) if repeat.columns else int(repeat.count)


def _varies(item: Item) -> bool:
    """Whether params may change how many copies there are."""
    repeat = item.repeat
    return repeat is not None and has_expression([repeat.count, repeat.columns])


def _pattern(plan: Plan, at: _At) -> str | None:
    """What the name of an item without a plain id looks like; None where it is transparent."""
    numbered = at.numbered
    if plan.labels is not None:
        return "".join(
            _any_of(at.columns.get(part.text)) if isinstance(part, Expr) else re.escape(part)
            for part in plan.labels.parts
        )
    if plan.item.op == "call":
        return r"\d+" if numbered else r"[a-z]\w*\d+"
    if plan.kind in (OP, CALL, SHARED):
        return r"\d+" if numbered else rf"{plan.word}\d+"
    return r"\d+" if numbered and plan.item.op != "body" else None


def _columned(plan: Plan, at: _At) -> list[str]:
    """The names that an id with one column in it gives: `layer1`, `layer2` of `layer$s`."""
    parts = plan.labels.parts if plan.labels is not None else ()
    computed = [part for part in parts if isinstance(part, Expr)]
    column = at.columns.get(computed[0].text) if len(computed) == 1 else None
    if not isinstance(column, (list, tuple)) or has_expression(column):
        return []
    return ["".join(p if isinstance(p, str) else str(v) for p in parts) for v in column]


def _any_of(column: Value) -> str:
    """What a column may be in a name: one of the words of a list, or anything."""
    if not isinstance(column, (list, tuple)) or has_expression(column):
        return r"\w+"
    return f"(?:{'|'.join(re.escape(str(value)) for value in column)})"
