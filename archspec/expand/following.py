"""Faults → those that follow from no other: one mistake is one complaint.

    E314 two items have the path `conv1`                   stays
    E304 `conv` covers 5 cells, the input has 1 cell       follows: it stands in the second of them

The walk hides what depends on a value that is wrong. Here is what it cannot see, as two faults have
to be known for it. One that would have come anyway is said when the other is mended.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from archspec.expand.state import COMPARE, block_of
from archspec.text.faults import Fault, Loc, Step

Rule = Callable[[Fault, Fault], bool]  # whether the first follows from the second

_KINDS = ("E302", "E303", "E305", "E306")  # of what flows into an item
_SHAPES = ("E203", *_KINDS, "E304")
_DIGITS = re.compile(r"\d+")
_NOWHERE = ("E312", "E313", "E314", "E318")  # of paths
_NUMBERED = re.compile(r"no (?:item|part|output) `[^`]*\d`")


def apart(faults: Iterable[Fault]) -> list[Fault]:
    """The faults without those that follow from others; of two that are alike the first."""
    kept = [*faults]
    for fault in reversed(kept.copy()):
        others = (other for other in kept if other is not fault)
        if any(rule(fault, other) for other in others for rule in RULES):
            kept.remove(fault)
    return kept


def computed(fault: Fault, other: Fault) -> bool:
    """What is computed from a wrong value."""
    wrong = other.loc if other.cause else None
    return any(
        isinstance(at, Loc) and not _within(fault.loc, at) and _within(wrong, at)
        for at in fault.cause
    )


def doubled(fault: Fault, other: Fault) -> bool:
    """What stands in the second of two items of one path; that the first is not needed, or that the
    path which was meant is not there; the next item, where several are there twice.
    """
    if other.code != "E314":
        return False
    if fault.code in _SHAPES and _after(fault, other):
        return True
    if fault.code == "E314":
        *above, place = _item(other.loc).path or (0,)
        return _item(fault.loc).path == (*above, int(place) + 1)
    if fault.code in ("E312", "E318"):
        return True
    unneeded = fault.code == "E315" and block_of(fault.loc) == block_of(other.loc)
    return unneeded or any(_within(at, _item(other.loc)) for at in _places(fault))


def unneeded(fault: Fault, other: Fault) -> bool:
    """What no output needs, where a path leads nowhere; a network with nothing in it."""
    nothing = fault.code == "E312" and not fault.loc.path
    passed = fault.code in _SHAPES and other.code == "E315"  # it is what should have been taken
    return nothing or passed or (fault.code == "E315" and other.code in _NOWHERE)


def unexpected(fault: Fault, other: Fault) -> bool:
    """What does not take a shape that is other than is expected before it."""
    return other.code == "E501" and fault.code in _SHAPES and _after(fault, other)


def again(fault: Fault, other: Fault) -> bool:
    """One name that is not there, with another number; a block that lacks an input at each call."""
    if fault.code == other.code == "E311":
        return fault.message == other.message
    names = _DIGITS.sub("", fault.message), _DIGITS.sub("", other.message)
    here = block_of(fault.loc) == block_of(other.loc)
    return fault.code == other.code == "E312" and here and names[0] == names[1]


def made(fault: Fault, other: Fault) -> bool:
    """What does not take a shape that an item with a fault of its own made; that of one place."""
    if fault.loc.path == other.loc.path and fault.loc.file == other.loc.file:
        return fault.loc.path != () and fault.loc.span is None
    if fault.code not in _SHAPES or other.code not in _SHAPES:
        return False
    return any(_item(step.loc) == _item(other.loc) for step in _compared(fault))


def alike(fault: Fault, other: Fault) -> bool:
    """Two items that do not take what one other gives them, which is the last that is named."""
    first, second = _compared(fault), _compared(other)
    return fault.code == other.code and bool(first) and first[-1:] == second[-1:]


def behind(fault: Fault, other: Fault) -> bool:
    """What flows into an item, where one that those behind it name is not there: a line is gone."""
    if fault.code not in _KINDS or other.code != "E312" or other.help.startswith("did you mean"):
        return False
    around = [at for at in _places(fault) if block_of(at) == block_of(other.loc)]
    end = _numbers(other.loc)
    return any(not end or _numbers(at) < end for at in around[:1])


def numbered(fault: Fault, other: Fault) -> bool:
    """The name of a copy that has a fault, or stands in a repeat that has."""
    if fault.code not in ("E312", "E318") or not _NUMBERED.search(fault.message):
        return False
    copied = "repeat" in other.loc.path or any(", copy " in step.text for step in other.chain)
    return copied and block_of(fault.loc) in map(block_of, _places(other))


RULES: tuple[Rule, ...] = (
    computed,
    doubled,
    unneeded,
    unexpected,
    again,
    made,
    alike,
    behind,
    numbered,
)


def _compared(fault: Fault) -> list[Step]:
    return [step for step in fault.chain if step.how == COMPARE]


def _places(fault: Fault) -> list[Loc]:
    return [fault.loc, *(step.loc for step in fault.chain)]


def _within(inner: Loc | None, outer: Loc) -> bool:
    """Whether a place is another, or in it."""
    if inner is None or inner.file != outer.file:
        return False
    return inner.path[: len(outer.path)] == outer.path


def _after(fault: Fault, other: Fault) -> bool:
    """Whether a fault stands behind another in one block."""
    here = block_of(fault.loc) == block_of(other.loc)
    return here and _numbers(fault.loc) > _numbers(other.loc)


def _numbers(loc: Loc) -> list[int]:
    """Which item of a body a place is in, and which item of that."""
    return [step for step in loc.path if isinstance(step, int)]


def _item(loc: Loc) -> Loc:
    """The item around a place."""
    last = max((k for k, step in enumerate(loc.path) if isinstance(step, int)), default=-1)
    return Loc(loc.file, loc.path[: last + 1])
