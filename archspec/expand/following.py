"""Faults → those that follow from no other: one mistake is one complaint.

    E314 two items have the path `conv1`                   stays
    E304 `conv` covers 5 cells, the input has 1 cell       follows: it stands in the second of them

The walk hides what depends on a value that is wrong. Here is what it cannot see, as two faults have
to be known for it. One that would have come anyway is said when the other is mended.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from archspec.expand.origin import Odd
from archspec.expand.state import COMPARE, block_of
from archspec.text.faults import Fault, Loc, Step

Rule = Callable[[Fault, Fault], bool]  # whether the first follows from the second

_KINDS = ("E302", "E303", "E305", "E306")  # of what flows into an item
_SHAPES = ("E203", *_KINDS, "E304")
_WIDE = (*_SHAPES, "E408")
_DIGITS = re.compile(r"\d+")
_BRACKETS = re.compile(r"\[[^\]]*\]")
_NOWHERE = ("E312", "E313", "E314", "E318")  # of paths
_MISSING = ("E312", "E318")
_ITEM = re.compile(r"there is no item `([^`*]*)|(`[^`]*`) has no (?:part|output)")
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
    path which was meant is not there; those beside it, where several are there twice; a third.
    """
    if other.code != "E314":
        return False
    if fault.code in _SHAPES and _after(fault.loc, other.loc):
        return True
    if fault.code == "E314":
        beside = _item(fault.loc).path[:-1] == _item(other.loc).path[:-1]
        return beside or fault.message == other.message
    if fault.code in _MISSING:
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
    return other.code == "E501" and fault.code in _SHAPES and _after(fault.loc, other.loc)


def again(fault: Fault, other: Fault) -> bool:
    """One name that is not there, with another number; a block that lacks an input at each call; a
    filler that two have.
    """
    if fault.code == other.code in ("E221", "E311"):
        return fault.message == other.message
    here = block_of(fault.loc) == block_of(other.loc)
    paths = fault.code in _MISSING and other.code in _MISSING
    return here and paths and _lacked(fault) == _lacked(other)


def made(fault: Fault, other: Fault) -> bool:
    """What does not take a shape that an item with a fault of its own made; that of one place."""
    if fault.loc.path == other.loc.path and fault.loc.file == other.loc.file:
        return fault.loc.path != () and fault.loc.span is None
    if fault.code not in _SHAPES or other.code not in _SHAPES:
        return False
    return any(_item(step.loc) == _item(other.loc) for step in _compared(fault))


def alike(fault: Fault, other: Fault) -> bool:
    """Two items that do not take what one other gives them, which is the last that is named; two of
    one copy that refuse for one reason, with other numbers; two of one argument, with the same.
    """
    if fault.code != other.code or fault.code not in _SHAPES:
        return False
    first, second = _compared(fault), _compared(other)
    if first and first[-1:] == second[-1:]:
        return True
    if fault.code == "E305" and _bare(fault) == _bare(other):
        return True
    copies = _copied(fault)
    return bool(copies) and copies == _copied(other) and _plain(fault) == _plain(other)


def shared(fault: Fault, other: Fault) -> bool:
    """Two that are computed from one value that is no size."""
    return any(isinstance(at, Odd) and at in fault.cause for at in other.cause)


def listed(fault: Fault, other: Fault) -> bool:
    """One list that is too short for several that read it."""
    short = other.message.startswith("the index ") and fault.code in ("E361", "E216")
    alike = fault.code == "E216" or fault.message.startswith("the index ")
    return short and alike and not {*fault.cause}.isdisjoint(other.cause)


def valued(fault: Fault, other: Fault) -> bool:
    """A shape that an item does not take, where a param is wrong, or behind a wrong value in a
    column or a path of a copy that leads nowhere; a path in what is repeated by that column.
    """
    if other.cause and other.loc.path[:1] in (("params",), ("variants",)):
        return fault.code in _WIDE
    column = "repeat" in other.loc.path
    if column and fault.code in _MISSING:
        item = Loc(other.loc.file, other.loc.path[: other.loc.path.index("repeat")])
        return _within(fault.loc, item)
    if fault.code not in _WIDE or not (column or (other.code == "E312" and _copied(other))):
        return False
    return fault.code == "E408" or any(
        _after(at, before) for at in _places(fault) for before in _places(other)
    )


def endless(fault: Fault, other: Fault) -> bool:
    """What is wrong with a copy of a block that calls itself too often."""
    if other.code != "E407" or fault.code == "E407":
        return False
    return block_of(fault.loc) in {block_of(at) for at in _places(other)} - {()}


def behind(fault: Fault, other: Fault) -> bool:
    """What flows into an item, where one that those behind it name is not there: a line is gone."""
    if fault.code not in _KINDS or other.code != "E312" or other.help.startswith("did you mean"):
        return False
    around = [at for at in _places(fault) if block_of(at) == block_of(other.loc)]
    end = _numbers(other.loc)
    return any(not end or _numbers(at) < end for at in around[:1])


def numbered(fault: Fault, other: Fault) -> bool:
    """The name of a copy that has a fault, or stands in a repeat that has."""
    if fault.code not in _MISSING or not _NUMBERED.search(fault.message):
        return False
    copied = "repeat" in other.loc.path or bool(_copied(other))
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
    shared,
    listed,
    valued,
    endless,
)


def _bare(fault: Fault) -> str:
    """What is said, without shapes: one number may be wrong for maps of other sizes."""
    return _BRACKETS.sub("", fault.message)


def _compared(fault: Fault) -> list[Step]:
    return [step for step in fault.chain if step.how == COMPARE]


def _places(fault: Fault) -> list[Loc]:
    return [fault.loc, *(step.loc for step in fault.chain)]


def _within(inner: Loc | None, outer: Loc) -> bool:
    """Whether a place is another, or in it."""
    if inner is None or inner.file != outer.file:
        return False
    return inner.path[: len(outer.path)] == outer.path


def _after(at: Loc, other: Loc) -> bool:
    """Whether a place stands behind another in one block."""
    return block_of(at) == block_of(other) and _numbers(at) > _numbers(other)


def _copied(fault: Fault) -> list[Step]:
    """The copies that lead to a fault."""
    return [step for step in fault.chain if ", copy " in step.text]


def _lacked(fault: Fault) -> str:
    """What is not there: an item without its number, or what has parts that are not."""
    found = _ITEM.match(_plain(fault))
    return str(found[1] or found[2]) if found else _plain(fault)


def _plain(fault: Fault) -> str:
    """The sentence without its numbers."""
    return _DIGITS.sub("", fault.message)


def _numbers(loc: Loc) -> list[int]:
    """Which item of a body a place is in, and which item of that."""
    return [step for step in loc.path if isinstance(step, int)]


def _item(loc: Loc) -> Loc:
    """The item around a place."""
    last = max((k for k, step in enumerate(loc.path) if isinstance(step, int)), default=-1)
    return Loc(loc.file, loc.path[: last + 1])
