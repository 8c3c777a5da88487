"""Items → the segments of their paths: an id, a number in a `sequential`, or a word with a number.

A Frame holds the names that stand side by side under one path; what is transparent shares the
frame it stands in. The same table answers `from` and `shared`, which see what is named already.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from archspec.expand.state import Env
from archspec.expand.tree import Copy, Value
from archspec.language import Item

NAMELESS = "?"  # how the name begins that stands for one with a fault

Given = Sequence[tuple[str | None, Value]]  # with the name of the input, where `from` says it


class Again(NamedTuple):
    """How a group is walked once more: where it was written, and how often what repeats in it had
    run by then (`loop.serial`), by the item's identity."""

    item: Item
    around: Frame
    serials: dict[int, int]


@dataclass(slots=True, eq=False)
class Named:
    """What a name stands for that is more than one op or call: a group, copies, an absent item."""

    out: Value | None = None  # None while it is still open
    frame: Frame | None = None
    copy: Copy | None = None  # what `shared` may name: None for several copies
    again: Again | None = None  # of a group
    absent: bool = False  # it passes its input on, and another item may take the name
    tap: bool = False  # as of the item
    of: str | None = None  # of a list: what it is of, `inputs` or `outputs`
    missing: bool = False  # an optional input that the call does not give
    twice: bool = False  # two items have the name, so that nobody knows which is meant


@dataclass(slots=True, eq=False)
class Frame:
    """The names under one path of an instance, and what the next unnamed item is called."""

    parent: Frame | None
    path: tuple[str, ...] = ()
    numbered: bool = False
    names: dict[str, Named | Copy | Value] = field(default_factory=dict)  # outermost: inputs too
    series: dict[str, int] = field(default_factory=dict)
    next: int = 0

    def close(self) -> None:
        """Lets go of all that has a name: frames hold each other, and by that what is made."""
        inside = [entry.frame for entry in self.names.values() if isinstance(entry, Named)]
        self.names.clear()
        for frame in inside:
            if frame is not None:
                frame.close()

    def inside(self, name: str, *, numbered: bool = False) -> Frame:
        """The frame of a group called `name`."""
        return Frame(self, (*self.path, name), numbered=numbered)

    def automatic(self, word: str) -> str:
        """The name of the next item without an id: its place, or `word` with a number."""
        if self.numbered:
            name = str(self.next)
            self.next += 1
            return name
        count = self.series[word] = self.series.get(word, 0) + 1
        return f"{word}{count}"

    def claim(self, name: str, entry: Named | Copy) -> bool:
        """Take a name in; False where an item that is there has it already.

        An absent item gives way: two items under opposite `when` may share an id.
        """
        old = self.names.get(name)
        if old is None or (isinstance(old, Named) and old.absent):
            self.names[name] = entry
            return True
        return isinstance(entry, Named) and entry.absent

    def outward(self) -> Iterator[Frame]:
        """This frame and those around it, to the edge of the block."""
        frame: Frame | None = self
        while frame is not None:
            yield frame
            frame = frame.parent

    def find(self, name: str) -> Named | Copy | Value | None:
        """What the nearest frame around calls `name`."""
        inside = (frame.names[name] for frame in self.outward() if name in frame.names)
        return next(inside, None)


@dataclass(slots=True, eq=False)
class Spot:
    """Where an item or one of its copies stands."""

    env: Env  # what its expressions see
    frame: Frame  # where its name stands
    line: Value | None  # what flows towards it
    label: str | None = None  # its name where that is known: its id, or the key of a branch
    prefix: tuple[str, ...] = ()  # from the body to `frame`: the id of a repeat around it
    later: bool = False  # whether it is that of a copy behind the first
    given: Given = ()  # the inputs that it says, or that are implied
    before: Named | Copy | Value | None = None  # what `prev.…` leads into

    @property
    def first(self) -> Value | None:
        """Its first input: `prev` in its expressions."""
        return self.given[0][1] if self.given else self.line

    def name(self, word: str) -> str:
        """Its name: known, or `word` with a number."""
        return self.label or self.frame.automatic(word)
