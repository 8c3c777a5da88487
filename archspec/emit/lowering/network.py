"""Graph → PyTorch source: the network's params that stay arguments, its classes, the file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from archspec.emit.lowering.flow import PlainError
from archspec.emit.lowering.whole import Whole
from archspec.expand.tree import Instance
from archspec.expressions import Expr
from archspec.language import Init

WITNESSED = 10_000  # nodes: larger networks are written with all numbers in place
Elaborate = Callable[[Mapping[str, Any]], Instance | None]


def lower(
    root: Instance,
    title: str,
    elaborate: Elaborate,
    init: Init | None,
    passed_on: Callable[[Instance, str], bool],
) -> Whole:
    """All classes of the network.

    A param is an argument of the constructor if the text reads it and is right at two other values
    of it. First all are tried at once; where that fails, one by one.
    """
    kept = _witnesses(root, elaborate, passed_on) if root.size <= WITNESSED else {}
    kept = _used(root, title, kept, init) if kept else kept
    while True:
        try:
            whole = _written(root, title, kept, init)
            guilty = whole.deciding & set(kept)
            if not guilty:
                return whole
        except PlainError as failed:
            if not kept:
                raise
            guilty = _guilty(kept, failed.bases)
        if not guilty:
            break
        kept = {p: w for p, w in kept.items() if p not in guilty}
    kept = {p: w for p, w in kept.items() if _holds(root, title, {p: w}, init)}
    while True:
        try:
            return _written(root, title, kept, init)
        except PlainError:
            if not kept:
                raise
            kept.popitem()


def _guilty(kept: Mapping[str, list[Instance]], bases: frozenset[int]) -> set[str]:
    """The params whose witnesses are these rows of the network."""
    owners = [p for p, found in kept.items() for _ in found]
    return {owners[base - 1] for base in bases if 0 < base <= len(owners)}


def _used(
    root: Instance, title: str, kept: dict[str, list[Instance]], init: Init | None
) -> dict[str, list[Instance]]:
    """Those that the text reads: witnesses of others would only be walked in vain."""
    try:
        found = Whole([root], title, list(kept), init)
        names = {p.name for p in found.root().parameters}
    except PlainError:
        return kept
    return {p: w for p, w in kept.items() if p in names}


def _written(
    root: Instance, title: str, kept: Mapping[str, list[Instance]], init: Init | None
) -> Whole:
    others = [w for found in kept.values() for w in found]
    whole = Whole([root, *others], title, list(kept), init)
    whole.root()
    return whole


def _holds(
    root: Instance, title: str, kept: Mapping[str, list[Instance]], init: Init | None
) -> bool:
    try:
        return not _written(root, title, kept, init).deciding & set(kept)
    except PlainError:
        return False


def _witnesses(
    root: Instance, elaborate: Elaborate, passed_on: Callable[[Instance, str], bool]
) -> dict[str, list[Instance]]:
    """The params that may be arguments, with the network at two other values of each."""
    found: dict[str, list[Instance]] = {}
    for param, value in root.args.items():
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            continue
        if isinstance(root.block.params.get(param), Expr):
            continue  # it follows from others
        if isinstance(value, float) and passed_on(root, param):
            continue
        others = _others(param, value, elaborate)
        if len(others) == 2:
            found[param] = others
    return found


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
