"""The expanded network as a tree: what the author wrote, item by item, with every copy of it.

Emission and figures read structure from it; what is computed, in order, is the graph (`graph.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeGuard

from archspec.expressions import Record
from archspec.language import Block, Init, Item, Spec
from archspec.layers.base import Layer, TensorType
from archspec.text.faults import Fault

Path = tuple[str, ...]  # the segments of a path inside of a body


@dataclass(slots=True, eq=False)
class Value:
    """One tensor that flows in a body; its identity is the dataflow.

    `type` is None when a fault upstream hides it.
    """

    type: TensorType | None


class Seen(Record):
    """What an expression knows of a value under its name: an earlier item, or an input."""

    __slots__ = ("value",)

    def __init__(self, shape: tuple[int, ...], value: Value) -> None:
        super().__init__(shape)
        self.value = value


def listed(value: object) -> TypeGuard[list[Seen]]:
    """Whether it is what expressions know of an input that is a list."""
    return isinstance(value, list) and bool(value) and isinstance(value[0], Seen)


def types(values: Iterable[Value | None]) -> tuple[Any, ...]:
    """Their types; None where there is no value, and where a fault hides its type."""
    return tuple([None if value is None else value.type for value in values])


def hides(values: Iterable[Value | None]) -> bool:
    """Whether a fault hides the type of any."""
    return any(value is not None and value.type is None for value in values)


@dataclass(slots=True, eq=False)
class Copy:
    """One copy of an item (an item without `repeat` has one): an op, a call, or a group.

    `segments` are the names it adds to the paths of what is inside: () for a transparent group,
    ("conv1",), or ("layer1", "0") for a copy under an id. `env` is what its expressions see
    (params, columns, `loop`), and what they read of items and inputs, as Seen.
    """

    segments: tuple[str, ...]
    env: Mapping[str, object]
    ins: tuple[Value | None, ...]  # in the order of the inputs; None: optional, not given
    outs: dict[str, Value]  # by output name; {"output": v} for one
    out: Value | None  # what flows on (None: the next item says `from`)
    layer: Layer | None = None  # an op; of a residual or branches: how the paths merge
    args: Mapping[str, object] = field(default_factory=dict)  # evaluated, of an op or call
    instance: Instance | None = None  # a block call
    body: Body | None = None  # body, sequential; the main path of a residual
    shortcut: Body | None = None  # of a residual; None: the identity
    plain: bool = False  # a residual whose `shortcut_when` is false: body only
    cut: bool = False  # a merge that nothing needs: what is needed of its paths, side by side
    branches: tuple[Body, ...] = ()
    shared: Copy | None = None  # the copy whose weights it uses
    tied: Path | None = None  # of an op: where the weight is that it uses in place of its own
    init: Init | None = None  # what the item says of its weights, evaluated
    freeze: bool | None = None  # None: inherited
    merged: str | None = None  # of a transparent merge: what it is called
    running: bool = False  # an op with an argument that follows from a free axis

    @property
    def group(self) -> bool:
        """Whether there are paths inside: no op, and no call."""
        return self.body is not None or bool(self.branches)

    @property
    def types(self) -> tuple[Any, ...]:
        """The types of what it takes, None where an optional input is not given."""
        return types(self.ins)

    def parts(self) -> tuple[Body, ...]:
        """The paths inside, in the order they are computed: main, shortcut, branches."""
        if self.body is None:
            return self.branches
        return (self.body,) if self.shortcut is None else (self.body, self.shortcut)

    def below(self) -> tuple[Body, ...]:
        """The paths inside, and the body of the block that is called."""
        return self.parts() if self.instance is None else (self.instance.body,)

    def taken(self) -> Sequence[Value | None]:
        """What an op, a call or a merge takes, in its order; None: optional, not given."""
        if self.branches:
            return [body.output for body in self.branches]
        if self.body is None:
            return self.ins
        short = self.ins[0] if self.shortcut is None else self.shortcut.output
        first = self.layer is not None and self.layer.ordered
        return [short, self.body.output] if first else [self.body.output, short]


@dataclass(slots=True, eq=False)
class Occurrence:
    """One item of a body, with all its copies; a copy is None where its `when` is false."""

    item: Item
    copies: tuple[Copy | None, ...]
    out: Value | None
    name: str | None = None  # the id, when it does not name each copy apart


@dataclass(slots=True, eq=False)
class Body:
    """The items of one path, aligned index by index with the spec's list."""

    items: tuple[Occurrence, ...]
    input: Value | None
    output: Value | None
    numbered: bool = False  # a `sequential`: items are named 0, 1, 2 …
    segment: str | None = None  # of a branch: its key, when it names a group
    each: Item | None = None  # of a branch that is one copy of a repeated item: that item

    def copies(self) -> Iterator[Copy]:
        """All copies of all items that are there."""
        for occurrence in self.items:
            for copy in occurrence.copies:
                if copy is not None:
                    yield copy


class Asked(NamedTuple):
    """What a call asks of a block beside its arguments and inputs.

    `outputs` are those it is to have, where not all; `taps` are outputs more, inside of blocks
    that do not name them; `frozen` are the paths inside of what is frozen.
    """

    outputs: frozenset[str] | None = None
    taps: tuple[Path, ...] = ()
    frozen: frozenset[Path] = frozenset()


ALL = Asked()


@dataclass(slots=True, eq=False)
class Instance:
    """A block for given arguments and input types; equal calls share one instance."""

    block: Block  # of the network itself: the root, with its params
    args: Mapping[str, object]
    inputs: dict[str, Value]
    body: Body
    outputs: dict[str, Value | tuple[Value, ...]]  # by name; a tuple where a list was asked for
    training: frozenset[str] = frozenset()  # outputs there are in training only
    spec: Spec | None = None  # of a used file (and of the root): its spec
    init: Init | None = None  # what that spec says of its weights, evaluated
    size: int = 0  # how many nodes it is when unrolled
    steps: int = 0  # how many copies, calls and absent items that takes
    free_axes: Mapping[str, int] = field(default_factory=dict)  # of the root: name -> size
    warnings: tuple[Fault, ...] = ()  # of the root: what was found odd
    origin: Any = None  # of the root, and of a used file: its namespace, to expand it again
    asked: Asked = ALL
    taps: Mapping[str, str] = field(
        default_factory=dict
    )  # by output: the path inside it stands for

    def flows_out(self) -> list[Value]:
        """The values of its outputs, those of lists too."""
        outs = self.outputs.values()
        return [v for out in outs for v in (out if isinstance(out, tuple) else (out,))]


def every(body: Body) -> Iterator[tuple[Copy, Item]]:
    """The copies that are there in a body, and in the blocks that it calls, each block once."""
    todo, seen = [body], {body}
    while todo:
        for occurrence in todo.pop().items:
            for copy in occurrence.copies:
                if copy is not None:
                    yield copy, occurrence.item
                    inside = set(copy.below()) - seen
                    seen |= inside
                    todo += inside
