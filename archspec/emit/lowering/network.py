"""A network → its classes, and which of its params stay arguments of the network's class.

A param stays where the class is right for other values too. That is not guessed: the network is
expanded at two other values of the param, and the class is written for all three at once.

    growth: 32    expanded with 64 and 96 as well: `nn.Linear(256 + 24 * growth, classes)` is right
                  in all three, so `growth` stays an argument
    depth: 50     with 100 there is no such network, so it is no argument
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from archspec.emit.deep import deep
from archspec.emit.lowering.flow import PlainError
from archspec.emit.lowering.root import write_root
from archspec.emit.lowering.whole import Whole, Witnessed
from archspec.emit.torch_code import taken
from archspec.expand.again import Again
from archspec.expand.tree import Instance
from archspec.expressions import Expr
from archspec.language import Init

WITNESSED = 10_000  # nodes: larger networks are written with all numbers in place
_DECIDES = "it decides what there is, or a number that no expression follows"


class Witnesses(NamedTuple):
    """The params that may be arguments, with the network at two other values of each."""

    kept: dict[str, list[Instance]]
    numbers: dict[str, str]  # the others, which are written as numbers, and why

    def without(self, params: Iterable[str], why: str) -> Witnesses:
        """The same, with some params as numbers."""
        gone = set(params)
        kept = {p: w for p, w in self.kept.items() if p not in gone}
        return Witnesses(kept, {**self.numbers, **dict.fromkeys(gone, why)})


def lower(again: Again, name: str, init: Init | None) -> Whole:
    """The classes of a network, those that are called first.

    `again` expands the network and its blocks at other values.
    """
    with deep():
        return _lower(again, class_name(name), init)


def _lower(again: Again, title: str, init: Init | None) -> Whole:
    """First all params are tried at once; where that fails, one by one."""
    root, found = again.root, _witnesses(again)
    tried = Witnessed(again, root.size <= WITNESSED)

    def write(found: Witnesses) -> Whole:
        return _written(root, title, found, init, tried)

    while True:
        try:
            whole = write(found)
            guilty = whole.deciding & set(found.kept)
            if not guilty:
                return whole
        except PlainError as failed:
            if not found.kept:
                raise
            guilty = _guilty(found.kept, failed.bases)
        if not guilty:
            break
        alone = [p for p in guilty if not _holds(write, Witnesses({p: found.kept[p]}, {}))]
        found = found.without(alone or guilty, _DECIDES)
    wrong = [p for p, w in found.kept.items() if not _holds(write, Witnesses({p: w}, {}))]
    found = found.without(wrong, _DECIDES)
    while True:
        try:
            return write(found)
        except PlainError as why:
            if not found.kept:
                raise
            found = found.without([list(found.kept)[-1]], str(why))


def class_name(name: str) -> str:
    """`vgg16_bn` → `Vgg16Bn`; never what a class of the file's head is called."""
    title = "".join(part[:1].upper() + part[1:] for part in name.split("_"))
    return f"{title}Network" if not title or title in taken() else title


def _guilty(kept: Mapping[str, list[Instance]], bases: frozenset[int]) -> set[str]:
    """The params whose witnesses are these rows of the network."""
    owners = [p for p, found in kept.items() for _ in found]
    return {owners[base - 1] for base in bases if 0 < base <= len(owners)}


def _written(
    root: Instance, title: str, found: Witnesses, init: Init | None, tried: Witnessed
) -> Whole:
    """The classes; written anew where classes have come to be that were tried at no other value."""
    others = [w for instances in found.kept.values() for w in instances]
    while True:
        whole = Whole([root, *others], title, list(found.kept), init, tried)
        whole.numbers = found.numbers
        write_root(whole)
        if not tried.more():
            return whole


def _holds(write: Callable[[Witnesses], Whole], found: Witnesses) -> bool:
    try:
        return not write(found).deciding & set(found.kept)
    except PlainError:
        return False


def _witnesses(again: Again) -> Witnesses:
    kept: dict[str, list[Instance]] = {}
    numbers: dict[str, str] = {}
    args: Mapping[str, Any] = again.root.args
    for param, value in args.items():
        why = _fixed(again.root, param, value)
        others = [] if why else _others(param, value, again)
        if len(others) == 2:
            kept[param] = others
        else:
            numbers[param] = why or "there are no two other values near it that the spec accepts"
    return Witnesses(kept, numbers)


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


def _others(param: str, value: float, again: Again) -> list[Instance]:
    steps: Sequence[float] = (
        [1.5 * value, 0.5 * value]
        if isinstance(value, float)
        else [2 * value, 3 * value, value + 1, value - 1, value // 2]
    )
    found: list[Instance] = []
    for other in dict.fromkeys(steps):
        if other == value or (isinstance(value, int) and other < 1):
            continue
        instance = again.network({param: other})
        if instance is not None:
            found.append(instance)
        if len(found) == 2:
            break
    return found
