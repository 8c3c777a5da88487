"""A network → its classes, and which of its params stay arguments of the network's class.

A param stays where the class is right for other values too. That is not guessed: the network is
expanded at two other values of the param, and the class is written for all three at once.

    growth: 32    expanded with 64 and 96 as well: `nn.Linear(256 + 24 * growth, classes)` is right
                  in all three, so `growth` stays an argument
    depth: 50     with 100 there is no such network, so it is no argument

Where these networks are too large to be held at once, the class is written for the network alone,
and then tried at the other values (`trials.py`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Set
from typing import Any, NamedTuple

from archspec.deep import deep
from archspec.emit.lowering.dividing import calls, items_of
from archspec.emit.lowering.file import text_of
from archspec.emit.lowering.flow import PlainError
from archspec.emit.lowering.root import write_root
from archspec.emit.lowering.scope import Info
from archspec.emit.lowering.trials import DECIDES, steps, wrong
from archspec.emit.lowering.whole import Whole, Witnessed
from archspec.emit.torch_code import taken
from archspec.expand.again import Again
from archspec.expand.tree import Instance
from archspec.expressions import Expr
from archspec.language import Init

WITNESSED = 10_000  # nodes: larger networks are written with all numbers in place
_BESIDE = 4_000  # copies of items, those of the network too, that a class is written for at once
_GROUPS = 24  # of params that change at once: with as many params or fewer, each changes alone
_ROUNDS = 4  # of writing a class and trying it


class Witnesses(NamedTuple):
    """The params that may be arguments, with the network at two other values of each."""

    kept: dict[str, list[Instance]]
    numbers: dict[str, str]  # the others, which are written as numbers, and why
    fit: bool = True  # or there are too many copies in them; then there are none here


class Lowered(NamedTuple):
    """The file of a network, its classes, and why its params are arguments or none.

    `order` are the classes, those that are called first, where they are asked for: their lines are
    in the text. `roots` are the network and its witnesses, `kept` the params that may be arguments,
    `numbers` the others; `imported` and `functions` is what the file takes from packages.
    """

    text: str
    order: list[Info]
    roots: list[Instance]
    kept: tuple[str, ...]
    numbers: Mapping[str, str]
    imported: Mapping[str, str]
    functions: frozenset[str]


def lower(
    again: Again, name: str, init: Init | None, origin: str = "", *, traced: bool = False
) -> Lowered:
    """The classes of a network, and the file of them; `origin` is what that is written from.

    `again` expands the network and its blocks at other values. `traced`: what each class is will
    be asked for; of a network of thousands it is as large as their text.
    """
    with deep():
        return _lower(_Tries(again, class_name(name), init, origin, traced))


class _Tries:
    """Writes a network's classes with some of its params as arguments."""

    def __init__(
        self, again: Again, title: str, init: Init | None, origin: str, traced: bool
    ) -> None:
        self.again, self.title, self.init, self.origin = again, title, init, origin
        self.traced = traced
        self.tried = Witnessed(again, again.root.size <= WITNESSED)

    def write(self, found: Witnesses) -> tuple[Lowered, set[str]]:
        """The classes, and the params that decide, unseen by the text, what there is.

        Written anew where classes have come that were tried at no other value.
        """
        roots, kept = [self.again.root, *_rows(found.kept)], tuple(found.kept)
        while True:
            whole = Whole(roots, self.title, kept, self.init, self.tried)
            write_root(whole)
            if not self.tried.more():
                text = text_of(whole, self.origin)
                used = whole.imported, whole.functions
                order = whole.order if self.traced else []
                lowered = Lowered(text, order, roots, kept, found.numbers, *used)
                return lowered, whole.deciding & {*kept}
            del whole  # before there is the next

    def holds(self, param: str) -> bool:
        """Whether one param by itself may be an argument."""
        args: Mapping[str, Any] = self.again.root.args
        others = _others({param: args[param]}, self.again)
        try:
            _, deciding = self.write(Witnesses({param: others}, {}))
        except PlainError:
            return False
        return len(others) == 2 and not deciding

    def without(self, found: Witnesses, gone: Iterable[str], why: str) -> Witnesses:
        """The same, with some params as numbers; the witnesses of others may have changed these."""
        return _witnesses(self.again, {**found.numbers, **dict.fromkeys(gone, why)})

    def apart(self) -> Lowered:
        """The classes of a network whose witnesses are too large to be walked beside it."""
        numbers = _numbers(self.again.root, {})
        for _ in range(_ROUNDS):
            kept = [p for p in self.again.root.args if p not in numbers]
            try:
                lowered, deciding = self.write(Witnesses({p: [] for p in kept}, numbers))
            except PlainError as failed:
                numbers |= dict.fromkeys(kept, str(failed))
                break
            why = dict.fromkeys(deciding, DECIDES) or wrong(lowered.text, kept, self.again)
            if not why:
                return lowered
            del lowered  # before there is the next
            numbers |= why
        every = dict.fromkeys(self.again.root.args, DECIDES)
        return self.write(Witnesses({}, {**every, **numbers}))[0]


def _lower(tries: _Tries) -> Lowered:
    """First all params are tried at once; where that fails, one by one."""
    found = _witnesses(tries.again, {}, _BESIDE)
    if not found.fit:
        return tries.apart()
    while True:
        try:
            lowered, guilty = tries.write(found)
            if not guilty:
                return lowered
        except PlainError as failed:
            if not found.kept:
                raise
            guilty = _guilty(found.kept, failed.bases)
        if not guilty:
            break
        alone = [p for p in guilty if not tries.holds(p)]
        found = tries.without(found, alone or guilty, DECIDES)
    others = [p for p in found.kept if not tries.holds(p)]
    found = tries.without(found, others, DECIDES)
    while True:
        try:
            return tries.write(found)[0]
        except PlainError as why:
            if not found.kept:
                raise
            found = tries.without(found, [list(found.kept)[-1]], str(why))


def class_name(name: str) -> str:
    """`vgg16_bn` → `Vgg16Bn`; never what a class of the file's head is called."""
    title = "".join(part[:1].upper() + part[1:] for part in name.split("_"))
    return f"{title}Network" if not title or title in taken() else title


def _guilty(kept: Mapping[str, list[Instance]], bases: frozenset[int]) -> set[str]:
    """The params whose witnesses are these rows of the network."""
    rows = _rows(kept)
    guilty = {id(rows[base - 1]) for base in bases if 0 < base <= len(rows)}
    return {p for p, found in kept.items() if any(id(w) in guilty for w in found)}


def _rows(kept: Mapping[str, list[Instance]]) -> list[Instance]:
    """The witnesses, each once: several params may have one."""
    return list({id(w): w for found in kept.values() for w in found}.values())


def _witnesses(again: Again, given: Mapping[str, str], most: float = math.inf) -> Witnesses:
    """Those of each param but of `given`, which are numbers; of many params several change at once.

    At `most` so many copies of items are in them, in the network, and in each that is refused where
    several params change.

    300 params, each the width of a layer, make 48 networks of 300 layers, not 600. Params that
    cannot change together are tried in halves, at last alone.
    """
    args: Mapping[str, Any] = again.root.args
    numbers = _numbers(again.root, given)
    free = [param for param in args if param not in numbers]
    size = -(-len(free) // _GROUPS) or 1
    groups = [free[i : i + size] for i in range(0, len(free), size)]
    found: dict[str, list[Instance]] = {}
    known, seen = again.known(), set[int]()
    most -= (own := _copies([again.root], seen))
    while groups:
        group = groups.pop()
        others = _others({param: args[param] for param in group}, again)
        most -= _copies(others, seen) if len(others) == 2 or len(group) == 1 else own
        if most < 0:
            again.forget(known)
            return Witnesses({}, numbers, fit=False)
        if len(others) == 2:
            found |= dict.fromkeys(group, others)
        elif len(group) > 1:
            half = len(group) // 2
            groups += [group[:half], group[half:]]
        else:
            numbers[group[0]] = "there are no two other values near it that the spec accepts"
    return Witnesses({param: found[param] for param in args if param in found}, numbers)


def _copies(instances: Iterable[Instance], seen: set[int]) -> int:
    """How many copies of items are in these, and in what they call that is not `seen` yet."""
    count, stack = 0, [i for i in instances if id(i) not in seen]
    while stack:
        instance = stack.pop()
        seen.add(id(instance))
        bodies = [instance.body]
        while bodies:
            for copy in bodies.pop().copies():
                count += 1
                bodies += copy.parts()
                if copy.instance is not None and id(copy.instance) not in seen:
                    seen.add(id(copy.instance))
                    stack.append(copy.instance)
    return count


def _numbers(root: Instance, given: Mapping[str, str]) -> dict[str, str]:
    """The params that are not tried at all, and why."""
    handed = _handed_on(root)
    why = {p: given.get(p) or _fixed(root, p, handed) for p in root.args}
    return {param: reason for param, reason in why.items() if reason}


def _fixed(root: Instance, param: str, handed: Set[str]) -> str:
    """Why other values of a param are not even tried; "" where they are."""
    value = root.args[param]
    if root.size > WITNESSED:
        return f"the network has more than {WITNESSED:,} nodes"
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return "it is no number, so other values are not tried"
    if isinstance(root.block.params.get(param), Expr):
        return "it follows from others"
    if isinstance(value, float) and param in handed:
        return "it is a factor, and would go through every block's arguments"
    return ""


def _handed_on(root: Instance) -> set[str]:
    """The params that block calls take, or blocks' defaults read."""
    blocks = root.spec.blocks.values() if root.spec is not None else ()
    found = {name for block in blocks for names in block.inherited.values() for name in names}
    for item in filter(calls, items_of(root.block)):
        found.update(n for v in item.args.values() if isinstance(v, Expr) for n in v.names)
    return found


def _others(values: Mapping[str, float], again: Again) -> list[Instance]:
    """Two networks at other values of these params, or as many of them as the spec accepts."""
    found: list[Instance] = []
    for changed in steps(values):
        instance = again.network(changed)
        if instance is not None:
            found.append(instance)
        if len(found) == 2:
            break
    return found
