"""Item → Plan: what is the same for every copy of it, worked out once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from archspec.expressions import Expr, Template
from archspec.language import Item
from archspec.layers import REGISTRY
from archspec.layers.base import Layer

OP, CALL, GROUP, RESIDUAL, BRANCHES, SHARED = range(6)
_KINDS = {
    "body": GROUP, "sequential": GROUP, "residual": RESIDUAL, "branches": BRANCHES,
    "shared": SHARED,
}  # fmt: skip
_COUNTED = frozenset({("loop", "serial"), ("loop", "total")})


class Plan:
    """The static facts of one item.

    `word` is its name without a number. `ident` its id where that is plain text; `labels` where it
    has expressions, `apart` when these tell the copies of its own repeat apart. `reads` are the
    names that its expressions read, those of `repeat` and of paths left out. `literal`: no
    argument is an expression; `layer` is then what it becomes, once that is known. `repeats` are
    the repeated items inside.
    """

    __slots__ = (
        "apart", "counted", "ident", "item", "kind", "labels", "layer", "literal", "reads",
        "repeats", "takes", "word",
    )  # fmt: skip

    def __init__(self, item: Item) -> None:
        self.item = item
        op = item.op
        self.kind = _KINDS.get(op) if op in _KINDS else CALL if op[0].isupper() else OP
        self.word = op.lower()
        self.ident: str | None = None
        self.labels: Template | None = None
        self.apart = False
        if item.id is not None:
            self._identify(item)
        self.literal = not (item.args and has_expression(item.args))
        self.reads = _reads(item)
        self.counted = item.repeat is not None and any(_counts(part) for part in _own(item))
        self.layer: Layer | None = None
        self.takes: tuple[str, ...] = REGISTRY[op].takes if self.kind == OP else ()
        self.repeats = tuple(id(i) for i in below(item) if i.repeat is not None)

    def _identify(self, item: Item) -> None:
        template: Template = item.id
        if all(isinstance(part, str) for part in template.parts):
            self.ident = "".join(part for part in template.parts if isinstance(part, str))
            return
        self.labels = template
        if item.repeat is not None:
            self.apart = not template.names.isdisjoint({"loop", *item.repeat.columns})


def has_expression(value: Any) -> bool:
    """Whether an expression stands anywhere in a value."""
    if isinstance(value, Expr):
        return True
    if isinstance(value, (list, tuple)):
        return any(map(has_expression, value))
    if isinstance(value, Mapping):
        return any(map(has_expression, value.values()))
    return False


def expressions(value: Any) -> Iterable[Expr | Template]:
    """Every expression and template in a value as written."""
    if isinstance(value, (Expr, Template)):
        yield value
    elif isinstance(value, (list, tuple)):
        for entry in value:
            yield from expressions(entry)
    elif isinstance(value, Mapping):
        for entry in value.values():
            yield from expressions(entry)


def _values(item: Item) -> Iterable[Any]:
    yield from (item.args, item.when, item.shortcut_when, item.expect, item.freeze)
    for weights in (item.init or {}).values():
        for filler in weights.values():
            yield filler.args


def _reads(item: Item) -> frozenset[str]:
    found: set[str] = set()
    for value in _values(item):
        for part in expressions(value):
            found |= part.names
    return frozenset(found)


def _own(item: Item) -> Iterable[Expr | Template]:
    """The expressions whose `loop` is this item's: its own, those inside up to the next repeat."""
    for value in (*_values(item), item.id):
        yield from expressions(value)
    for ref in (*(item.inputs or ()), *((item.target,) if item.target is not None else ())):
        yield from expressions(ref.path)
    for inner in parts(item):
        if inner.repeat is None:
            yield from _own(inner)


def parts(item: Item) -> Iterable[Item]:
    """The items directly inside."""
    yield from item.items
    yield from item.shortcut or ()
    for branch in item.branches:
        yield from branch.items


def below(item: Item) -> Iterable[Item]:
    """The items inside, at any depth."""
    for inner in parts(item):
        yield inner
        yield from below(inner)


def _counts(part: Expr | Template) -> bool:
    if isinstance(part, Template):
        return any(_counts(p) for p in part.parts if isinstance(p, Expr))
    return not part.fields.isdisjoint(_COUNTED)
