"""A shape that does not fit → the items that made it, from the input down.

    c5: `conv` covers 5 cells along H, the input [16, 1, 1] has 1 cell
        the input is [1, 28, 28]
        `conv` makes [6, 12, 12] of [1, 28, 28]          <- a stride too many
        `avg_pool` makes [16, 1, 1] of [16, 2, 2]

Who reads that a kernel is larger than the map goes up the text, to what made the map small. So this
does: from what a block takes out to where it is called, into what is called, past all that leaves
a shape as it is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import takewhile
from math import prod
from typing import NamedTuple

from archspec.expand.origin import Around
from archspec.expand.state import COMPARE
from archspec.expand.tree import Body, Copy, Value
from archspec.expand.walk import Walk
from archspec.language import Item
from archspec.text.faults import Loc, Step

FEW = 3  # changes of one shape that are named
_PAIR = 2  # shapes; of more than that only the last change is named, but for the first
_FAR = 1_000  # steps back
_INSIDE = 20_000  # ops of calls that are gone into
_MANY = 20  # faults: nobody reads how the shapes of more came about
_HALF = 1.5  # a map that is smaller by less was not made small here

Shape = tuple[int, ...]
Question = Callable[[Shape, Shape], bool]  # whether a shape differs from another in what counts


class _Level:
    """One block that a value flows through: who made what in it, looked up from the end."""

    def __init__(self, around: Around, given: Mapping[str, Value | None]) -> None:
        self.names = {value: name for name, value in around.inputs.items()}
        self.given = given  # what its inputs are outside of it
        self.back = reversed(around.made)

    def maker(self, value: Value) -> tuple[Copy, Item] | None:
        every = ((copy, item) for copy, item, _ in self.back if value in copy.outs.values())
        return next(every, None)


class _Change(NamedTuple):
    """One step back: what a value was made of, by what; of an input of the network by nothing."""

    after: Value
    before: Value | None
    by: tuple[Step, ...]  # the item, and the calls that the way led into, from the inside out


def rank(before: Shape, after: Shape) -> bool:
    return len(before) != len(after)


def along(axes: Sequence[int]) -> Question:
    """Whether shapes differ in one of some axes, or in how many there are."""
    return lambda a, b: rank(a, b) or any(a[k : k + 1] != b[k : k + 1] for k in axes)


def anywhere(before: Shape, after: Shape) -> bool:
    return before != after


def shrunk(before: Shape, after: Shape) -> bool:
    """Whether a map has become smaller by more than a kernel without padding makes it."""
    pairs = zip(before[1:], after[1:], strict=False)
    return rank(before, after) or any(a > _HALF * b for a, b in pairs)


def of(walk: Walk, value: Value | None, question: Question, most: int = FEW) -> tuple[Step, ...]:
    """The items that made a shape, in the order of the network: the last ones, and the input."""
    return _told(_back(walk, value), question, most)


def apart(walk: Walk, values: Sequence[Value | None], question: Question) -> tuple[Step, ...]:
    """The items that made shapes differ, each as far back as what they have in common."""
    every = [[*_back(walk, value)] for value in values]
    steps: dict[Loc, Step] = {}
    passed = Counter(value for path in every for value in {change.after for change in path})
    for k, path in enumerate(every):
        own = [*takewhile(lambda change: passed[change.after] == 1, path)]
        told = _told(own, question, FEW if k == 0 or len(every) == _PAIR else 1)
        for step in told or (own[0].by[:1] if own else ()):
            steps.setdefault(step.loc, step)
    return tuple(steps.values())


def _told(path: Iterable[_Change], question: Question, most: int) -> tuple[Step, ...]:
    steps: dict[Loc, Step] = {}
    left = most
    for after, before, by in path:
        if before is not None and not question(_shape(before), _shape(after)):
            continue
        new = {step.loc: step for step in by if step.loc not in steps}
        left -= bool(new)
        if left < 0:
            break
        steps |= new
    return tuple(reversed(steps.values()))


def _back(walk: Walk, value: Value | None) -> Iterator[_Change]:
    """The way from a value back, to a tensor that is made of nothing or an input."""
    if len(walk.state.faults) > _MANY:
        return
    levels, left = _levels(walk), _INSIDE
    calls: list[Step] = []  # those that the way led into
    for _ in range(_FAR):
        if value is None or value.type is None:
            return
        name = levels[-1].names.get(value)
        if name is not None and len(levels) == 1:
            yield _Change(value, None, _input(walk, name, value))
        if name is not None:
            value = levels.pop().given.get(name) if len(levels) > 1 else None
            calls = calls[:-1]
            continue
        found = levels[-1].maker(value)
        if found is None:
            return
        copy, item = found
        taken = [v for v in copy.taken() if v is not None and v.type is not None]
        alike = next((v for v in taken if _shape(v) == _shape(value)), None)
        inside = 0 if copy.instance is None else copy.instance.size
        if alike is None and 0 < inside <= left:
            left -= inside
            calls.append(_gives(item, value))
            value = _into(levels, copy, value)
            continue
        before = alike or max(taken, key=lambda v: prod(_shape(v)), default=None)
        yield _Change(value, before, (_makes(copy, item, before, value), *reversed(calls)))
        value = before


def _levels(walk: Walk) -> list[_Level]:
    """The blocks around, from the document in."""
    calls = [link.around for link in walk.state.links if link.around is not None]
    every = [*calls, Around(walk.made, walk.inputs, {})]
    given: list[Mapping[str, Value]] = [{}, *(around.given for around in calls)]
    return [_Level(around, values) for around, values in zip(every, given, strict=True)]


def _into(levels: list[_Level], copy: Copy, value: Value) -> Value | None:
    """What a call gives, as it is called inside, which is now the innermost level."""
    inside = copy.instance
    assert inside is not None
    given = dict(zip(inside.inputs, copy.ins, strict=False))
    levels.append(_Level(Around([*_made(inside.body)], inside.inputs, {}), given))
    names = dict(zip(copy.outs.values(), inside.flows_out(), strict=False))
    return names.get(value)


def _made(body: Body) -> Iterator[tuple[Copy, Item, None]]:
    """The ops, calls and merges of a body, in order."""
    for occurrence in body.items:
        for copy in occurrence.copies:
            for inner in copy.parts() if copy is not None else ():
                yield from _made(inner)
            if copy is not None and (copy.layer is not None or copy.instance is not None):
                yield copy, occurrence.item, None


def _shape(value: Value) -> Shape:
    return value.type.shape if value.type is not None else ()


def _gives(item: Item, value: Value) -> Step:
    return Step(item.loc, f"`{item.said}` gives {value.type}", COMPARE)


def _makes(copy: Copy, item: Item, before: Value | None, after: Value) -> Step:
    if before is None or _shape(before) == _shape(after):
        return _gives(item, after)
    said = copy.layer.op if copy.group and copy.layer is not None else item.said
    return Step(item.loc, f"`{said}` makes {after.type} of {before.type}", COMPARE)


def _input(walk: Walk, name: str, value: Value) -> tuple[Step, ...]:
    chosen = walk.state.chosen
    if chosen is None or name not in chosen.spec.inputs:
        return ()
    said = "the input" if len(chosen.spec.inputs) == 1 else f"the input `{name}`"
    return (Step(chosen.spec.inputs[name].loc, f"{said} is {value.type}", COMPARE),)
