"""A network → its classes, and which of its params stay arguments of the network's class.

A param stays where the class is right for other values too. That is not guessed: the network is
expanded at two other values of the param, and the class is written for all three at once.

    growth: 32    expanded with 64 and 96 as well: `nn.Linear(256 + 24 * growth, classes)` is right
                  in all three, so `growth` stays an argument
    depth: 50     with 100 there is no such network, so it is no argument
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from archspec.emit.explain import UnprovableError
from archspec.emit.lower import Lowering, class_name
from archspec.expand.tree import Instance
from archspec.expressions import Expr
from archspec.language import Init

WITNESSED = 10_000  # nodes: larger networks are written with all numbers in place
Elaborate = Callable[[Mapping[str, Any]], Instance | None]


def lower(root: Instance, name: str, elaborate: Elaborate, init: Init | None = None) -> Lowering:
    """The classes of a network, those that are called first.

    `elaborate` expands the network again with some params changed (None where that has faults).
    """
    title = class_name(name)
    kept: dict[str, list[Instance]] = {}
    numbers: dict[str, str] = {}  # params that are written as numbers, and why
    for param in root.args:
        try:
            kept[param] = _witnesses(root, title, param, elaborate)
        except UnprovableError as why:
            numbers[param] = str(why)
    while True:
        roots = [root, *(w for ws in kept.values() for w in ws)]
        lowering = Lowering(roots, title, list(kept), init)
        lowering.numbers = numbers
        try:
            lowering.root()
            return lowering
        except UnprovableError as why:
            if not kept:
                raise
            numbers[kept.popitem()[0]] = str(why)


def _witnesses(root: Instance, title: str, param: str, elaborate: Elaborate) -> list[Instance]:
    """The network at two other values. Raises UnprovableError where the param is a number."""
    value = root.args[param]
    if root.size > WITNESSED:
        raise UnprovableError(f"the network has more than {WITNESSED:,} nodes")
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise UnprovableError("it is no number, so other values are not tried")
    if isinstance(value, float) and passed_on(root, param):
        raise UnprovableError("it is a factor, and would go through every block's arguments")
    witnesses = _others(param, value, elaborate)
    if len(witnesses) < 2:
        raise UnprovableError("there are no two other values near it that the spec accepts")
    Lowering([root, *witnesses], title, [param]).root()
    return witnesses


def passed_on(root: Instance, param: str) -> bool:
    """Whether a block call takes the param, or a block's default reads it.

    A factor that would go through every signature stays a number.
    """
    blocks = root.spec.blocks.values() if root.spec is not None else ()
    if any(param in names for block in blocks for names in block.inherited.values()):
        return True
    stack = list(root.block.items)
    while stack:
        item = stack.pop()
        if item.op[0].isupper() and any(
            isinstance(v, Expr) and param in v.names for v in item.args.values()
        ):
            return True
        stack += [*item.items, *(item.shortcut or ()), *(i for b in item.branches for i in b.items)]
    return False


def _others(param: str, value: float, elaborate: Elaborate) -> list[Instance]:
    steps: Sequence[float] = (
        [1.5 * value, 0.5 * value]
        if isinstance(value, float)
        else [2 * value, 3 * value, value + 1, value - 1, value // 2]
    )
    found: list[Instance] = []
    for other in dict.fromkeys(steps):
        if other == value or (isinstance(value, int) and other < 1):
            continue
        instance = elaborate({param: other})
        if instance is not None:
            found.append(instance)
        if len(found) == 2:
            break
    return found
