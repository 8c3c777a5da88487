"""What an author wrote, as frozen models; values still unevaluated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from archspec.expressions import Expr
from archspec.language.renames import Weights
from archspec.text.faults import Loc

# A value as written: int, float, str, bool, None, Expr (expressions), or a list or dict of values.
Value = Any


class _Required:
    """The default of a param that must be given."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "required"

    def __copy__(self) -> _Required:
        return self

    def __deepcopy__(self, memo: object) -> _Required:
        return self

    def __reduce__(self) -> str:
        return "REQUIRED"


REQUIRED: Any = _Required()


class Part:
    """Base of everything below: frozen, told apart by identity.

    Plain dataclasses: whatever could be wrong with a value has been said, in the author's words,
    before one is made, and a validation library would cost a third of the time of a whole run.
    """


@dataclass(frozen=True, kw_only=True, eq=False)
class Ref(Part):
    """One entry of `from`, of a merge's list, of `shared`, of `outputs`: a dotted path."""

    slot: str | None = None  # the input it is for, when given by name
    path: Any = None  # Template (expressions): "enc$i", "half.1", "prev"
    loc: Loc


@dataclass(frozen=True, kw_only=True, eq=False)
class Filler(Part):
    """A function of `torch.nn.init`, without its underscore; a number is `constant`."""

    name: str
    args: Mapping[str, Value] = field(default_factory=dict)
    loc: Loc


# Op ("*": the item itself, or every op inside it) → "weight" or "bias" → filler.
Init = dict[str, dict[str, Filler]]


@dataclass(frozen=True, kw_only=True, eq=False)
class Repeat(Part):
    """`repeat`: a count, or columns in step (then `count` is None)."""

    count: Value = None
    columns: Mapping[str, Value] = field(default_factory=dict)
    loc: Loc


@dataclass(frozen=True, kw_only=True, eq=False)
class Branch(Part):
    """One path of `branches`."""

    key: str | None  # of a mapping; None in a list
    items: tuple[Item, ...]
    loc: Loc


@dataclass(frozen=True, kw_only=True, eq=False)
class Item(Part):
    """One item of a body."""

    op: str  # an op, a block, or body | sequential | branches | residual | shared
    args: Mapping[str, Value] = field(
        default_factory=dict
    )  # by parameter name; a bare scalar is already under the main one
    items: tuple[Item, ...] = ()  # of body, sequential; the main path of a residual
    shortcut: tuple[Item, ...] | None = None
    branches: tuple[Branch, ...] = ()
    target: Ref | None = None  # of shared
    merge: Literal["concat", "add", "mul", "mean", "max"] | None = None
    inputs: tuple[Ref, ...] | None = (
        None  # `from`, or the list of a merge op; None: the previous item
    )
    id: Any = None  # Template | None
    repeat: Repeat | None = None
    when: Value = True
    shortcut_when: Value = True
    tap: Literal["train", "always"] | None = None
    expect: tuple[Value, ...] | None = None  # "~" is None
    freeze: Value = None  # None: inherited
    init: Init | None = None
    note: str = ""
    loc: Loc  # of the item; arguments are at loc.path + (op key, name)
    key: Loc  # of the operation key


@dataclass(frozen=True, kw_only=True, eq=False)
class Block(Part):
    """A reusable part."""

    name: str
    params: dict[str, Value]  # defaults, in order; REQUIRED
    inputs: tuple[str, ...] = ("input",)
    named_inputs: bool = False  # whether `inputs` was written
    items: tuple[Item, ...]
    numbered: bool = False  # `sequential`
    outputs: dict[str, tuple[Ref, ...]] | None = None
    lists: frozenset[str] = frozenset()  # outputs written as a list (even of one)
    note: str = ""
    loc: Loc

    @cached_property
    def inherited(self) -> Mapping[str, frozenset[str]]:
        """By param, what its default reads of the document's params."""
        found: dict[str, frozenset[str]] = {}
        above = set(self.inputs)
        for name, default in self.params.items():
            found[name] = frozenset(reads(default) - above)
            above.add(name)
        return found


@dataclass(frozen=True, kw_only=True, eq=False)
class Axis(Part):
    """A free axis `{H: 224}`."""

    name: str
    size: Value


@dataclass(frozen=True, kw_only=True, eq=False)
class Input(Part):
    """One input of the network, without the batch axis."""

    shape: tuple[Any, ...]  # ints, Expr, Axis
    dtype: Literal["float", "int", "bool"] = "float"
    loc: Loc


@dataclass(frozen=True, kw_only=True, eq=False)
class Use(Part):
    """Another spec file, taken in as a block."""

    file: str
    variant: str | None = None
    outputs: dict[str, tuple[Ref, ...]] | None = None
    lists: frozenset[str] = frozenset()
    spec: Spec | None = None  # the file, read and parsed
    loc: Loc


@dataclass(frozen=True, kw_only=True, eq=False)
class Spec(Part):
    """A document."""

    name: str
    title: str = ""
    cite: str = ""
    params: Mapping[str, Value] = field(default_factory=dict)
    variants: Mapping[str, Mapping[str, Value]] = field(default_factory=dict)
    inputs: dict[str, Input]  # one without a name is "input"
    named_inputs: bool = False
    use: Mapping[str, Use] = field(default_factory=dict)
    blocks: Mapping[str, Block] = field(default_factory=dict)
    items: tuple[Item, ...]
    numbered: bool = False
    outputs: dict[str, tuple[Ref, ...]] | None = None
    lists: frozenset[str] = frozenset()
    head: tuple[str, ...] = ()
    init: Init | None = None
    weights: Weights | None = None
    expect: Mapping[str, Mapping[str, Value]] = field(
        default_factory=dict
    )  # by variant name (or the spec's), then params, macs, ...
    warnings: frozenset[str] = frozenset()  # codes that are meant
    sources: Mapping[str, Any] = field(
        default_factory=dict
    )  # by file name: this file's Source and those of all files it uses
    loc: Loc

    @cached_property
    def inherits(self) -> bool:
        """Whether a block's default reads the document's params."""
        return any(names for block in self.blocks.values() for names in block.inherited.values())


def reads(value: Value) -> set[str]:
    """The names that the expressions in a value read."""
    if isinstance(value, Expr):
        return set(value.names)
    parts = value.values() if isinstance(value, Mapping) else value
    nested = isinstance(value, (Mapping, list, tuple))
    return {name for part in parts for name in reads(part)} if nested else set()
