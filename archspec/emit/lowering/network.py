"""A network → its classes, and which of its params stay arguments of the network's class.

A param stays where the class is right for other values too. That is not guessed: the network is
expanded at two other values of the param, and the class is written for all three at once.

    growth: 32    expanded with 64 and 96 as well: `nn.Linear(256 + 24 * growth, classes)` is right
                  in all three, so `growth` stays an argument
    depth: 50     with 100 there is no such network, so it is no argument
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from archspec.deep import deep
from archspec.emit.lowering.flow import PlainError
from archspec.emit.lowering.root import write_root
from archspec.emit.lowering.whole import Whole, Witnessed
from archspec.emit.torch_code import taken
from archspec.expand.again import Again
from archspec.expand.tree import Instance
from archspec.expressions import Expr
from archspec.language import Init

WITNESSED = 10_000  # nodes: larger networks are written with all numbers in place
_GROUPS = 24  # of params that change at once: with as many params or fewer, each changes alone
_DECIDES = "it decides what there is, or a number that no expression follows"


class Witnesses(NamedTuple):
    """The params that may be arguments, with the network at two other values of each."""

    kept: dict[str, list[Instance]]
    numbers: dict[str, str]  # the others, which are written as numbers, and why


def lower(again: Again, name: str, init: Init | None) -> Whole:
    """The classes of a network, those that are called first.

    `again` expands the network and its blocks at other values.
    """
    with deep():
        return _lower(again, class_name(name), init)


class _Tries:
    """Writes a network's classes with some of its params as arguments."""

    def __init__(self, again: Again, title: str, init: Init | None) -> None:
        self.again, self.title, self.init = again, title, init
        self.tried = Witnessed(again, again.root.size <= WITNESSED)

    def write(self, found: Witnesses) -> Whole:
        """The classes; written anew where classes have come that were tried at no other value."""
        while True:
            roots = [self.again.root, *_rows(found.kept)]
            whole = Whole(roots, self.title, list(found.kept), self.init, self.tried)
            whole.numbers = found.numbers
            write_root(whole)
            if not self.tried.more():
                return whole

    def holds(self, param: str) -> bool:
        """Whether one param by itself may be an argument."""
        args: Mapping[str, Any] = self.again.root.args
        others = _others({param: args[param]}, self.again)
        try:
            whole = self.write(Witnesses({param: others}, {}))
        except PlainError:
            return False
        return len(others) == 2 and param not in whole.deciding

    def without(self, found: Witnesses, gone: Iterable[str], why: str) -> Witnesses:
        """The same, with some params as numbers; the witnesses of others may have changed these."""
        return _witnesses(self.again, {**found.numbers, **dict.fromkeys(gone, why)})


def _lower(again: Again, title: str, init: Init | None) -> Whole:
    """First all params are tried at once; where that fails, one by one."""
    tries, found = _Tries(again, title, init), _witnesses(again, {})
    while True:
        try:
            whole = tries.write(found)
            guilty = whole.deciding & set(found.kept)
            if not guilty:
                return whole
        except PlainError as failed:
            if not found.kept:
                raise
            guilty = _guilty(found.kept, failed.bases)
        if not guilty:
            break
        alone = [p for p in guilty if not tries.holds(p)]
        found = tries.without(found, alone or guilty, _DECIDES)
    wrong = [p for p in found.kept if not tries.holds(p)]
    found = tries.without(found, wrong, _DECIDES)
    while True:
        try:
            return tries.write(found)
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


def _witnesses(again: Again, given: Mapping[str, str]) -> Witnesses:
    """Those of each param but of `given`, which are numbers; of many params several change at once.

    300 params, each the width of a layer, make 48 networks of 300 layers, not 600. Params that
    cannot change together are tried in halves, at last alone.
    """
    args: Mapping[str, Any] = again.root.args
    why = {p: given.get(p) or _fixed(again.root, p, value) for p, value in args.items()}
    numbers = {param: reason for param, reason in why.items() if reason}
    free = [param for param in args if not why[param]]
    size = -(-len(free) // _GROUPS) or 1
    groups = [free[i : i + size] for i in range(0, len(free), size)]
    found: dict[str, list[Instance]] = {}
    while groups:
        group = groups.pop()
        others = _others({param: args[param] for param in group}, again)
        if len(others) == 2:
            found |= dict.fromkeys(group, others)
        elif len(group) > 1:
            half = len(group) // 2
            groups += [group[:half], group[half:]]
        else:
            numbers[group[0]] = "there are no two other values near it that the spec accepts"
    return Witnesses({param: found[param] for param in args if param in found}, numbers)


def _fixed(root: Instance, param: str, value: Any) -> str:
    """Why other values of a param are not even tried; "" where they are."""
    if root.size > WITNESSED:
        return f"the network has more than {WITNESSED:,} nodes"
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return "it is no number, so other values are not tried"
    if isinstance(root.block.params.get(param), Expr):
        return "it follows from others"
    if isinstance(value, float) and passed_on(root, param):
        return "it is a factor, and would go through every block's arguments"
    return ""


def passed_on(root: Instance, param: str) -> bool:
    """Whether a block call takes the param, or a block's default reads it."""
    blocks = root.spec.blocks.values() if root.spec is not None else ()
    if any(param in names for block in blocks for names in block.inherited.values()):
        return True
    stack = list(root.block.items)
    while stack:
        item = stack.pop()
        if (item.op[0].isupper() or item.op == "call") and any(
            isinstance(v, Expr) and param in v.names for v in item.args.values()
        ):
            return True
        stack += [*item.items, *(item.shortcut or ()), *(i for b in item.branches for i in b.items)]
    return False


def _others(values: Mapping[str, float], again: Again) -> list[Instance]:
    """Two networks at other values of these params, or as many of them as the spec accepts."""
    found: list[Instance] = []
    for changed in _steps(values):
        instance = again.network(changed)
        if instance is not None:
            found.append(instance)
        if len(found) == 2:
            break
    return found


def _steps(values: Mapping[str, float]) -> Iterator[dict[str, float]]:
    """Other values of params: of several such that what was equal no longer is."""
    if len(values) > 1:
        for factor in (1, 2):
            changed = {
                p: v * (0.5 * factor + 1 / (i + 3)) if isinstance(v, float) else factor * v + i + 1
                for i, (p, v) in enumerate(values.items())
            }
            if all(isinstance(v, float) or v > 0 for v in changed.values()):
                yield changed
        return
    ((param, value),) = values.items()
    if isinstance(value, float):
        steps: Sequence[float] = [1.5 * value, 0.5 * value]
    else:
        steps = [2 * value, 3 * value, value + 1, value - 1, value // 2]
    for other in dict.fromkeys(steps):
        if other != value and (isinstance(value, float) or other >= 1):
            yield {param: other}
