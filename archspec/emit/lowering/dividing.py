"""Instances that one class cannot serve → parts: by numbers, words, kinds, structure, or singly.

One instance alone can always be served, because every number can stand as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from archspec.emit.lowering.flow import PlainError, dims
from archspec.emit.lowering.freezing import freezing
from archspec.emit.lowering.modules import torch_call
from archspec.emit.lowering.rows import worth
from archspec.emit.lowering.scope import Info
from archspec.emit.lowering.witnesses import Witness
from archspec.expand.tree import Body, Copy, Instance
from archspec.language import Block, Item

Rule = Callable[[Instance], Any]
Attempt = Callable[[list[Instance]], PlainError | None]


@dataclass(slots=True, eq=False)
class Group:
    """Instances of one block that one class serves."""

    instances: list[Instance]
    beside: list[Instance] = field(default_factory=list)  # of no call: at other values
    witnesses: list[Witness] = field(default_factory=list)  # of these, what they are tried for
    # what makes witnesses once the class is written, of a block that calls no other
    trying: list[Callable[[], Iterable[Witness]]] = field(default_factory=list)
    numbers: frozenset[str] = frozenset()  # names that can be no arguments
    info: Info | None = None
    leaning: list[Group] = field(default_factory=list)  # written while this is not settled


def parts_of(group: Group) -> tuple[Rule, dict[Any, Group]]:
    """The instances of a group by the first rule that divides them."""

    def values(instance: Instance) -> Any:
        known = worth(instance)
        return tuple(repr(known.get(p)) for p in sorted(group.numbers))

    mixed = mixtures([i.args for i in group.instances])

    def words(instance: Instance) -> Any:
        return tuple(isinstance(instance.args[p], str) for p in mixed)

    for rule in (values, words, _kinds, _structure, _frozen, id):
        parts: dict[Any, Group] = {}
        for i in group.instances:
            parts.setdefault(rule(i), Group([], numbers=group.numbers)).instances.append(i)
        if len(parts) > 1:
            return rule, parts
    raise PlainError("it is one instance alone")


def mixtures(args: Sequence[Mapping[str, Any]]) -> list[str]:
    """The params that are a word in some calls, and a number in others: `padding: half` and 2."""
    return [p for p in args[0] if len({isinstance(a[p], str) for a in args}) > 1]


def serves(failed: PlainError | None) -> bool:
    """Whether a class serves these instances, if with fewer arguments."""
    return failed is None or bool(failed.params)


def most(beside: list[Instance], attempt: Attempt) -> list[Instance]:
    """As many instances as a class can serve, found by halves."""
    good: list[Instance] = []
    parts = [beside]
    while parts:
        part = parts.pop()
        if serves(attempt([*good, *part])):
            good += part
        elif len(part) > 1:
            half = len(part) // 2
            parts += [part[half:], part[:half]]
    return good


def called(body: Body) -> Iterable[tuple[Item, Copy]]:
    """The block calls of a body, at any depth."""
    stack = [body]
    while stack:
        for occurrence in stack.pop().items:
            for c in occurrence.copies:
                if c is None:
                    continue
                if c.instance is not None:
                    yield occurrence.item, c
                stack += [b for b in (c.body, c.shortcut, *c.branches) if b is not None]


def items_of(block: Block) -> Iterable[Item]:
    """All items of a block, at any depth."""
    stack = list(block.items)
    while stack:
        item = stack.pop()
        yield item
        stack += [*item.items, *(item.shortcut or ()), *(i for b in item.branches for i in b.items)]


def calls(item: Item) -> bool:
    """Whether an item calls a block."""
    return item.op[0].isupper() or item.op == "call"


def reaches(instance: Instance, block: Block) -> bool:
    """Whether an instance calls a block, itself or through others."""
    stack, seen = [instance], set()
    while stack:
        for _, copy in called(stack.pop().body):
            inner = copy.instance
            assert inner is not None
            if inner.block is block:
                return True
            if id(inner) not in seen:
                seen.add(id(inner))
                stack.append(inner)
    return False


def _frozen(instance: Instance) -> Any:
    return freezing([instance])


def _structure(instance: Instance) -> Any:
    ranks = tuple(len(dims(v)) for v in instance.inputs.values())
    return _shape_of(instance.body, ranks)


def _kinds(instance: Instance) -> Any:
    """What torch calls the layers of a block's body."""
    return frozenset(_kinds_of(instance.body))


def _kinds_of(body: Body) -> Iterable[Any]:
    pairs = ((o.item, c) for o in body.items for c in o.copies if c is not None)
    for item, c in pairs:
        if item.op == "call" and c.instance is not None:
            yield c.instance.block.name
        parts = [b for b in (c.body, c.shortcut, *c.branches) if b is not None]
        if c.layer is not None and not parts:
            yield torch_call(c, module=False).target
        for part in parts:
            yield from _kinds_of(part)


def _shape_of(body: Body, ranks: tuple[int, ...]) -> Any:
    """The structure of a body without its numbers: what one class can serve."""
    out: list[Any] = [ranks]
    for occurrence in body.items:
        for c in occurrence.copies:
            if c is None:
                out.append(None)
                continue
            out.append(
                (
                    c.segments, type(c.layer).__name__, len(c.ins), c.plain, c.tied,
                    tuple(len(dims(v)) for v in c.ins),
                )
            )  # fmt: skip
            out += [_shape_of(b, ()) for b in (c.body, c.shortcut, *c.branches) if b is not None]
    return tuple(out)
