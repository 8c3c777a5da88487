"""What constructors leave: modules in one another, and what is said of their weights.

    self.conv = nn.Conv2d(3, 8, 1)          Box.children["conv"] = Leaf("nn.Conv2d", (3, 8, 1))
    nn.init.zeros_(self.conv.bias)          Box.fills = [Fill("conv", "bias", ("zeros", ()))]

A module does not know where it stands: those that are made alike are one object, and a `Ref` says
at which path one is met.
"""

from __future__ import annotations

import ast
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from archspec.emit.proof.terms import Dotted, Refused, unknown
from archspec.emit.reading import Part
from archspec.layers.base import TENSORS

FREEZE, ASLEEP = "requires_grad_(False)", "eval()"
_SEQUENCES = frozenset({"nn.Sequential", "nn.ModuleList"})


@dataclass(slots=True, eq=False)
class Function:
    """A function of the text; `tensor`: what it gives is one. `body` gives its statements."""

    name: str
    names: list[str]
    defaults: dict[str, Any]
    tensor: bool
    body: Callable[[], Iterator[Part]]


@dataclass(slots=True, eq=False)
class Class:
    """A class of the text; `opaque`: one of the definitions that stand above the networks'."""

    name: str
    base: str
    methods: dict[str, Function]
    opaque: bool


@dataclass(slots=True, eq=False)
class Leaf:
    """A module or tensor of torch's, or of a definition that stands above the classes."""

    target: str
    values: tuple[Any, ...]
    kwargs: dict[str, Any]
    wrap: str | None = None
    persistent: bool = True  # of a buffer

    @property
    def tensor(self) -> bool:
        """Whether it is a parameter or buffer of the module around, and no module."""
        return self.wrap in TENSORS


class Box:
    """A module with modules inside; `definition` is its class where the text defines that.

    `fills` are what its constructor says of weights, in order; `ties` the weights that it then puts
    in place of others: by the path of a module, the path of the weight that is its `weight` now.
    """

    __slots__ = ("attributes", "children", "definition", "done", "fills", "kind", "ready", "ties")

    def __init__(self, kind: str, definition: Class | None = None) -> None:
        self.kind, self.definition = kind, definition
        self.children: dict[str, Leaf | Box] = {}
        self.attributes: dict[str, Any] = {}
        self.fills: list[Fill] = []
        self.ties: dict[str, str] = {}
        self.ready = definition is None  # super().__init__() was called
        self.done = False  # its constructor has ended

    def size(self, known: dict[Box, int] | None = None) -> int:
        """How many leaves there are inside, at any depth."""
        known = {} if known is None else known
        if self not in known:
            inside = self.children.values()
            known[self] = sum(c.size(known) if isinstance(c, Box) else 1 for c in inside)
        return known[self]

    def add(self, name: str, value: Any) -> None:
        """An attribute: a module has one place only, and a name one meaning."""
        if not self.ready or not name or "." in name:
            raise Refused("cannot be an attribute yet, or at all", name)
        if name in self.children or name in self.attributes:
            raise Refused("is the name of two attributes", name)
        if type(value) is not Made:
            self.attributes[name] = value
            return
        if value.placed:
            raise Refused("is a module that stands elsewhere too", name)
        value.placed = True
        self.children[name] = value.it

    def fill(self, args: Sequence[Any]) -> Box:
        """The modules that a container is made with, as its kind takes them."""
        self.ready = True
        alone = args[0] if len(args) == 1 else None
        if isinstance(alone, OrderedDict) and self.kind == "nn.Sequential":
            modules = list(alone.items())
        elif isinstance(alone, list) and self.kind == "nn.ModuleList":
            modules = [(str(place), made) for place, made in enumerate(alone)]
        elif self.kind == "nn.Sequential" or not args:
            modules = [(str(place), made) for place, made in enumerate(args)]
        else:
            raise unknown(f"what a {self.kind} is made with")
        for name, made in modules:
            if type(made) is not Made:
                raise unknown("something else than a module in a container")
            self.add(name, made)
        return self


class Made:
    """What an expression has just made, and whether it has a place yet."""

    __slots__ = ("it", "placed")

    def __init__(self, it: Leaf | Box) -> None:
        self.it, self.placed = it, False


class Ref:
    """A module where it stands, as seen from the module whose code runs."""

    __slots__ = ("it", "path")

    def __init__(self, path: str, it: Leaf | Box) -> None:
        self.path, self.it = path, it

    def child(self, name: str) -> Ref | None:
        found = self.it.children.get(name) if type(self.it) is Box else None
        if found is None:
            return None
        return Ref(f"{self.path}.{name}" if self.path else name, found)

    def children(self) -> list[Ref]:
        """The modules of a sequence, as a loop meets them."""
        if type(self.it) is not Box or self.it.kind not in _SEQUENCES:
            raise unknown("a loop over what is no sequence of modules")
        return [child for name in self.it.children if (child := self.child(name)) is not None]

    @property
    def size(self) -> int:
        """How many leaves there are at and below it."""
        return self.it.size() if isinstance(self.it, Box) else 1

    def place(self, index: Any) -> Any:
        """`modules[0]` of a sequence; several for `modules[:3]`.

        A list has at 0 what is called "0", a chain what comes first. A slice is a new module of
        the same class: of one of torch's.
        """
        box, found = self.it, None
        if type(index) is slice and type(box) is Box and box.definition is None:
            return self.children()[index]
        if type(index) is int and type(box) is Box and box.kind in _SEQUENCES:
            names = [*box.children]
            place = range(len(names))[index]
            found = self.child(names[place] if box.kind == "nn.Sequential" else str(place))
        if found is None:
            raise Refused(f"has nothing at [{index!r}]", self.path)
        return found

    def below(self, path: str) -> Ref:
        """The module at a dotted path."""
        found: Ref | None = self
        for name in path.split(".") if path else ():
            found = found and found.child(name)
        if found is None:
            raise Refused("is not there", path)
        return found

    def weight(self, name: str) -> Weight:
        """A parameter by its dotted path: that of its module, and its name there."""
        found, parts = self, name.split(".")
        while parts and (inner := found.child(parts[0])) is not None:
            found, parts = inner, parts[1:]
        if type(found.it) is not Leaf:
            raise Refused("is not there", name)
        return Weight(found.path, ".".join(parts))


@dataclass(frozen=True, slots=True)
class Weight:
    """A parameter: the path of its module, and what it is called there."""

    path: str
    name: str

    @property
    def whole(self) -> str:
        """Its path as a state_dict has it."""
        return f"{self.path}.{self.name}" if self.name else self.path


@dataclass(slots=True, eq=False)
class Fill:
    """What a constructor says of weights: of one, of all below a path, or in a loop over modules.

    `how` is a function of torch.nn.init with its arguments, FREEZE, or ASLEEP (in evaluation mode
    whatever `train` says). `guarded`: only where there is such a weight. Of what is said of all
    below a path, `size` counts the leaves that were there by then.
    """

    path: str
    name: str | None = None
    how: Any = None
    guarded: bool = False
    loop: tuple[ast.For, dict[str, Any], int] | None = None
    size: int = 1


class Fresh:
    """`torch.empty_like(weight)`: a tensor that is filled and then assigned."""

    __slots__ = ("like",)

    def __init__(self, like: Weight | LoopedWeight) -> None:
        self.like = like


class Super:
    """`super()`."""

    __slots__ = ()


# ---------------------------------------------------------------- a loop over modules


class Seen(Protocol):
    """A module as the loop sees it."""

    def is_a(self, kinds: tuple[str, ...], *, exactly: bool) -> bool: ...

    def has(self, name: str) -> bool: ...

    def names(self) -> list[str]: ...


@dataclass(slots=True)
class Looped:
    """The module of a round, and what the round says of its weights."""

    seen: Seen
    fills: dict[str, Any]

    def weight(self, name: str) -> LoopedWeight:
        return LoopedWeight(name, self.seen.has(name), self.fills)


@dataclass(slots=True)
class LoopedType:
    """`type(module)`."""

    seen: Seen


@dataclass(slots=True)
class LoopedWeight:
    """A weight of the module of a round, if it has it."""

    name: str
    there: bool
    fills: dict[str, Any]

    def fill(self, how: Any) -> None:
        if not self.there:
            raise Refused(f"fills {self.name} of a module that has none")
        self.fills[self.name] = how


def kinds(value: Any) -> tuple[str, ...]:
    """The names of classes in `nn.Conv2d | nn.Linear`, `(nn.Conv2d, nn.Linear)`."""
    if isinstance(value, tuple):
        return tuple(name for v in value for name in kinds(v))
    if isinstance(value, (Dotted, Class)):
        return (value.name,)
    if isinstance(value, str):
        return (value,)
    raise unknown("a class that is no class")
