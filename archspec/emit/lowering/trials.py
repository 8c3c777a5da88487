"""A text → the params that it is right for at other values of, tried one network after another.

A large network is written as it is, with its params as arguments. Then it is expanded at other
values of these, and the text is held against that as the proof holds it against the network itself:
one such network lives at a time, however many params there are. All params change at once; where
the text is wrong then, they are halved.

    w0, w1, … w4999     the text is not the network at 9, 14, …: one of them can be no argument
    w0 … w2499          right: all of these stay
    w2500 … w4999       wrong: it is one of these, and so on
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from archspec.emit.proof import computes
from archspec.emit.reading import Reading
from archspec.expand.again import Again

DECIDES = "it decides what there is, or a number that no expression follows"
ALONE = "there are no two other values near it that the spec accepts"
_NETWORKS = 40  # that one text is tried on
_MANY = "more params than are tried one by one may be the reason why the class is wrong elsewhere"


def wrong(text: str, params: Sequence[str], again: Again) -> dict[str, str]:
    """The params that can be no arguments of a network's class, and why."""
    reading, args = Reading(text), again.root.args
    found: dict[str, str] = {}
    parts, left = deque([list(params)] if params else []), _NETWORKS
    while parts:
        part = parts.popleft()
        why = _MANY
        if left > 0:
            tried = [*_tried(reading, {p: args[p] for p in part}, again)]
            why = _why(tried)
            left -= len(tried)
        if why and len(part) > 1 and left > 0:
            half = len(part) // 2
            parts += part[:half], part[half:]
        elif why:
            found |= dict.fromkeys(part, why)
    return found


def _why(tried: Sequence[bool | None]) -> str:
    """What tries say against arguments, if anything."""
    if False in tried:
        return DECIDES
    return "" if tried.count(True) == 2 else ALONE


def _tried(reading: Reading, values: Mapping[str, Any], again: Again) -> Iterator[bool | None]:
    """Whether the text is right at two other values of params; None where there is no network."""
    right = 0
    for changed in steps(values):
        with again.forgotten():
            root = again.network(changed)
        found = None if root is None else computes(reading, root)
        del root  # before there is the next
        yield found
        right += found is True
        if right == 2 or found is False:
            return


def steps(values: Mapping[str, float]) -> Iterator[dict[str, float]]:
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
