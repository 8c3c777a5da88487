"""The blocks that the items of one file may call: its own, and the files that it uses."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from typing import Any, NamedTuple

from archspec.expand.state import Env, State, frozen
from archspec.expressions import Expr
from archspec.language import Block, Ref, Spec, Use


class Callee(NamedTuple):
    """A block, and the file that its items stand in."""

    block: Block
    file: Namespace

    @property
    def whole(self) -> bool:
        """Whether the block is the file itself."""
        return self.block.items is self.file.spec.items


class Namespace:
    """One file; by `use`, another takes it in."""

    def __init__(self, state: State, spec: Spec, use: Use | None = None) -> None:
        self.state = state
        self.spec = spec
        self.used = use is not None
        self.variant = None if use is None else use.variant
        self.document: Env = {}  # params of the document that is being expanded: defaults read them
        self._used: dict[str, Namespace] = {}
        self._asked: dict[str, tuple[str, ...]] = {}

    def block(self, name: str) -> Callee:
        """What a call by this name calls. Raises KeyError."""
        found = self.spec.blocks.get(name)
        if found is not None:
            return Callee(found, self)
        use = self.spec.use[name]
        if name not in self._used:
            assert use.spec is not None
            self._used[name] = Namespace(self.state, use.spec, use)
        return Callee(_used(name, use), self._used[name])

    @property
    def chosen(self) -> Mapping[str, Any]:
        """What the variant says that is taken in."""
        return self.spec.variants.get(self.variant or "", {})

    def names(self) -> list[str]:
        """Of all that a call may call."""
        return [*self.spec.blocks, *self.spec.use]

    def seen_by(self, callee: Callee) -> Any:
        """The document's params that what a block is given may depend on."""
        # where the block is the document, they are its arguments
        if callee.whole or not self.spec.inherits:
            return None
        return frozen([self.document[n] for n in self.asked(callee.block)])

    def asked(self, block: Block) -> tuple[str, ...]:
        """The document's params that defaults read, of a block and of those that it calls."""
        found = self._asked.get(block.name)
        if found is None:
            reads: set[str] = set()
            for name in _reached(block, self.spec.blocks):
                reads = reads.union(*self.spec.blocks[name].inherited.values())
            found = self._asked[block.name] = tuple(n for n in self.document if n in reads)
        return found


def as_block(spec: Spec, name: str, use: Use | None = None) -> Block:
    """A whole file as a block, its params and outputs as a `use` has them."""
    params, outputs = dict(spec.params), spec.outputs
    cut: tuple[Ref, ...] = ()
    if use is not None:
        params |= spec.variants.get(use.variant or "", {})
    if use is not None and use.outputs is not None:
        outputs, cut = use.outputs, tuple(ref for refs in use.outputs.values() for ref in refs)
    return Block.model_construct(
        name=name, params=params, slots=tuple(spec.inputs), named_inputs=spec.named_inputs,
        items=spec.items, numbered=spec.numbered, outputs=outputs, loc=spec.loc, cut=cut,
    )  # fmt: skip


def _reached(block: Block, blocks: Mapping[str, Block]) -> set[str]:
    """The names of a block and of all that are called from it, of one file."""
    found, stack = {block.name}, list(block.items)
    while stack:
        item = stack.pop()
        stack += [*item.items, *(item.shortcut or ()), *(i for b in item.branches for i in b.items)]
        called = {item.op, item.callee} if isinstance(item.callee, str) else {item.op}
        if isinstance(item.callee, Expr):
            called = set(blocks)
        for name in called & blocks.keys() - found:
            found.add(name)
            stack += blocks[name].items
    return found


_BLOCKS: dict[int, tuple[weakref.ref[Use], Block]] = {}


def _used(name: str, use: Use) -> Block:
    """A used file as a block; the same object each time: emission tells blocks apart by it."""
    known = _BLOCKS.get(id(use))
    if known is not None and known[0]() is use:
        return known[1]
    assert use.spec is not None
    key, block = id(use), as_block(use.spec, name, use)
    _BLOCKS[key] = weakref.ref(use, lambda _: _BLOCKS.pop(key, None)), block
    return block
