"""Rules about the spec: what is declared and never read, whatever the params."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from archspec.expressions import Expr, Template
from archspec.language import Part, Ref, Spec, reads
from archspec.layers import REGISTRY
from archspec.text.faults import Fault, Loc

if TYPE_CHECKING:
    from archspec.analysis.lint.context import Context
    from archspec.language import Item

Found = TypeVar("Found")


def params(context: Context) -> Iterator[Fault]:
    """W108: a param of the document or of a block that no expression reads.

        params: {width: 8}
        input: [64]
        body: [{linear: 10}]
        # `width` is a param of the document that nothing reads

    Left alone: params that only the default of another one reads.
    """
    spec = context.spec
    written = [
        spec.params, spec.variants, spec.inputs, spec.items, spec.outputs, spec.init, spec.expect,
        spec.use,
    ]  # fmt: skip
    if spec.params:
        above = [read for block in spec.blocks.values() for read in block.inherited.values()]
        document = _names(written).union(*above)
        for name in spec.params:
            if name not in document:
                yield _unread(spec.loc, name, "the document")
    for block in spec.blocks.values():
        own = (reads(default) - block.inherited[n] for n, default in block.params.items())
        read = _names([block.items, block.outputs]).union(*own)
        for name in block.params:
            if name not in read:
                yield _unread(block.loc, name, f"block `{block.name}`")


def _unread(loc: Loc, name: str, owner: str) -> Fault:
    return Fault(
        "W108",
        f"`{name}` is a param of {owner} that nothing reads",
        replace(loc, path=(*loc.path, "params", name), on_key=True, span=None),
        help="leave it out, or use it",
    )


def inputs(context: Context) -> Iterator[Fault]:
    """W109: an input, of the document or of a block, that no item takes and no expression reads.

        input: {x: [64], y: [64]}
        body: [{linear: 10, from: x}]
        # `y` is an input of the network that nothing reads

    Left alone: a block's input without a name, which a block always has.
    """
    spec = context.spec
    for _, name in _left(spec.inputs, spec.items, spec.outputs, [spec.init, spec.expect]):
        yield _untaken(spec.inputs[name].loc, name, "the network", on_key=True)
    for block in spec.blocks.values():
        if not block.named_inputs:
            continue
        for place, name in _left(block.inputs, block.items, block.outputs, [block.params]):
            loc = replace(block.loc, path=(*block.loc.path, "inputs", place))
            yield _untaken(loc, name, f"block `{block.name}`", on_key=False)


def _untaken(loc: Loc, name: str, owner: str, *, on_key: bool) -> Fault:
    return Fault(
        "W109",
        f"`{name}` is an input of {owner} that nothing reads",
        replace(loc, on_key=on_key, span=None),
        help="leave it out, or take it where it is needed: `from`",
    )


def _left(
    names: Iterable[str],
    items: tuple[Item, ...],
    outputs: Mapping[str, tuple[Ref, ...]] | None,
    others: list[object],
) -> list[tuple[int, str]]:
    """The inputs of a body, with their places, that nothing in it reads, whatever the params."""
    first = 1 if _flows(items, outputs is None) else 0
    left = list(enumerate(names))[first:]
    if not left:
        return []
    heads = {_head(ref) for ref in _inside([items, outputs], Ref)}
    read = _names([items, outputs, *others]) | heads
    patterns = [re.compile(_pattern(head)) for head in heads if "$" in head]
    return [
        (place, name)
        for place, name in left
        if name not in read and not any(pattern.fullmatch(name) for pattern in patterns)
    ]


def _flows(items: Iterable[Item], to_the_end: bool) -> bool:
    """Whether what enters a body is taken by an item that does not say what it takes."""
    for item in items:
        if item.inputs is None:
            layer = REGISTRY.get(item.op)
            if layer is None or layer.takes:
                return True
        elif any(ref.path.text == "prev" for ref in item.inputs):
            return True
        elif item.tap is None:
            return False
    return to_the_end


def _head(ref: Ref) -> str:
    """What a path starts with, `$` for each expression in it."""
    text = "".join(part if isinstance(part, str) else "$" for part in ref.path.parts)
    return text.partition(".")[0]


def _pattern(head: str) -> str:
    return re.escape(head).replace(r"\$", r"\w+")


def _names(parts: Iterable[object]) -> set[str]:
    """All names that expressions anywhere inside read."""
    return {name for part in _inside(parts, Expr) for name in part.names}


def _inside(parts: Iterable[object], wanted: type[Found]) -> Iterator[Found]:
    """All of a kind that stand anywhere in what was written, used files left out."""
    stack: list[object] = list(parts)
    while stack:
        part = stack.pop()
        if isinstance(part, wanted):
            yield part
        if isinstance(part, Template):
            stack.extend(part.parts)
        elif isinstance(part, Mapping):
            stack.extend(part.values())
        elif isinstance(part, (list, tuple, frozenset)):
            stack.extend(part)
        elif isinstance(part, Part) and not isinstance(part, Spec):
            stack.extend(part.__dict__.values())
