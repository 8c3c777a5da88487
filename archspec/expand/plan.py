"""Item → Plan: what is the same for every copy of it, worked out once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from archspec.expressions import Expr, Template
from archspec.language import Item
from archspec.layers import REGISTRY
from archspec.layers.base import Layer

OP, CALL, GROUP, RESIDUAL, BRANCHES, SHARED = range(6)
_KINDS = {
    "body": GROUP, "sequential": GROUP, "residual": RESIDUAL, "branches": BRANCHES,
    "shared": SHARED, "call": CALL,
}  # fmt: skip
_NOTHING: frozenset[str] = frozenset()
_COUNTED = frozenset({("loop", "serial"), ("loop", "total")})


class Plan:
    """The static facts of one item.

    `word` is its name without a number. `ident` its id where that is plain text; `labels` where it
    has expressions, `apart` when these tell the copies of its own repeat apart. `reads` are the
    names that its expressions read, those of `repeat` and of paths left out. `literal`: no
    argument is an expression; `layer` is then what it becomes, once that is known. `dotted`: it
    stands in a container, `convs.0`. `asks` are those that its `when` reads. `repeats` are
    the repeated items inside. `starts`: it repeats, and its `from` is one path, the same for all
    copies: where the first starts, the others from the copy before.
    """

    __slots__ = (
        "_alone", "apart", "asks", "counted", "dotted", "ident", "item", "kind", "labels", "layer",
        "literal", "reads", "repeats", "starts", "takes", "word",
    )  # fmt: skip

    def __init__(self, item: Item) -> None:
        self.item = item
        op = item.op
        self.kind = _KINDS.get(op, CALL if op[0].isupper() else OP)
        self.word = op.lower()
        computed = item.id is not None and has_expression(item.id)
        self.ident: str | None = None if item.id is None or computed else item.id.text
        self.labels: Template | None = item.id if computed else None
        self.dotted = item.id is not None and dotted(item)
        # the names whose values may tell the copies of its own repeat apart
        own = set() if item.repeat is None else {"loop", *item.repeat.columns}
        self.apart = self.labels is not None and not self.labels.names.isdisjoint(own)
        paths = [ref.path for ref in item.inputs or ()] if own else []
        self.starts = len(paths) == 1 and paths[0].names.isdisjoint({"prev", *own})
        read = [part.names for part in expressions(_values(item))]
        self.literal = not read or not has_expression(item.args)
        self.reads = _NOTHING.union(*read) if read else _NOTHING
        self.asks = item.when.names if isinstance(item.when, Expr) else _NOTHING
        self.counted = item.repeat is not None and any(
            not part.fields.isdisjoint(_COUNTED) for part in _own(item)
        )
        self.layer: Layer | None = None
        self.takes: tuple[str, ...] = REGISTRY[op].takes if self.kind == OP else ()
        self._alone: Plan | None = None
        inner = below(item) if self.kind in (GROUP, RESIDUAL, BRANCHES) else ()
        self.repeats = tuple(id(i) for i in inner if i.repeat is not None)

    @property
    def alone(self) -> Plan:
        """The plan of one copy, where each is a path of branches: without `repeat`."""
        if self._alone is None:
            self._alone = Plan(self.item.model_copy(update={"repeat": None}))
        return self._alone


def dotted(item: Item) -> bool:
    """Whether an item stands in a container that others fill too: `{id: convs.$i, …}`."""
    parts = item.id.parts if item.id is not None else ()
    return any("." in part for part in parts if isinstance(part, str))


def has_expression(value: Any) -> bool:
    """Whether an expression stands anywhere in a value."""
    return bool(expressions(value))


def expressions(value: Any) -> list[Expr]:
    """Every expression in a value as written."""
    if isinstance(value, Expr):
        return [value]
    if isinstance(value, Template):
        value = value.parts
    elif isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, (list, tuple)):
        return []
    return [found for part in value if isinstance(part, _HOLDS) for found in expressions(part)]


_HOLDS = (Expr, Template, dict, list, tuple)  # what an expression is, or may stand in


def _values(item: Item) -> list[Any]:
    merge = item.merge and item.merge.args
    found = [item.callee, item.args, merge, item.when, item.shortcut_when, item.expect, item.freeze]
    if item.init:
        found += [filler.args for weights in item.init.values() for filler in weights.values()]
    return found


def _own(item: Item) -> Iterable[Expr]:
    """The expressions whose `loop` is this item's: its own, those inside up to the next repeat."""
    yield from expressions([_values(item), item.id, *(ref.path for ref in item.refs)])
    for inner in parts(item):
        if inner.repeat is None:
            yield from _own(inner)


def parts(item: Item) -> Iterable[Item]:
    """The items directly inside."""
    yield from item.items
    yield from item.shortcut or ()
    for branch in item.branches:
        yield from branch.items


class Ids:
    """The ids that are written in a body, at any depth.

    `named` has the items by the text of their ids; `computed` are those with expressions, and
    `begun` is what these begin with, where something follows.
    """

    def __init__(self, items: Iterable[Item]) -> None:
        self.named: dict[str, list[Item]] = {}
        self.computed: list[Item] = []
        self.begun: set[object] = set()
        for item in (one for outer in items for one in (outer, *below(outer))):
            if item.id is None:
                continue
            self.named.setdefault(item.id.text, []).append(item)
            if has_expression(item.id):
                self.computed.append(item)
            if len(item.id.parts) > 1:
                self.begun.add(item.id.parts[0])


def below(item: Item) -> Iterable[Item]:
    """The items inside, at any depth."""
    for inner in parts(item):
        yield inner
        yield from below(inner)
