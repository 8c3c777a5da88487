"""Which ops the outputs need: the others are a fault, or of a used file fall away."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archspec.expand.names import Frame
    from archspec.expand.tree import Body, Copy, Instance, Occurrence, Value
    from archspec.expand.walk import Walk
    from archspec.language import Item


def check(walk: Walk, instance: Instance, *, prunes: bool, call: Item | None) -> None:
    """Every op of an instance is needed by its outputs; `prunes`: those that are not fall away.

    That is reported where `call` is the item that asks.
    """
    wanted: set[int] = set()
    for out in instance.outputs.values():
        wanted.update(id(v) for v in (out if isinstance(out, tuple) else (out,)))
    dead: list[tuple[Copy, Item, Frame]] = []
    for entry in reversed(walk.made):
        copy = entry[0]
        if (
            copy.body is None
            and copy.instance is None
            and not copy.branches
            and id(copy.out) in wanted
        ):
            wanted.update(map(id, copy.ins))  # most of them
            continue
        asked = [name for name, value in copy.outs.items() if id(value) in wanted]
        if not asked:
            dead.append(entry)
            continue
        _unasked(walk, entry, asked)
        wanted.update(map(id, walk.taken(copy)))
    if not dead:
        return
    if prunes:
        _prune(instance, dead)
        if call is not None and any(item.tap is None for _, item, _ in dead):
            _report(walk, instance, dead, call)
    else:
        _complain(walk, dead)


def _unasked(walk: Walk, entry: tuple[Copy, Item, Frame], asked: list[str]) -> None:
    """The taps for training of a used file do not count where nobody asks for them."""
    copy, item, _ = entry
    instance = copy.instance
    if instance is None or instance.spec is None or not instance.training - set(asked):
        return
    kept = frozenset(n for n in instance.outputs if n not in instance.training or n in asked)
    types = [v.type if v is not None else None for v in copy.ins]
    inner = walk.namespace.block(instance.block.name)[1]
    smaller = inner.instance(instance.block, dict(copy.args), types, item, kept)
    walk.size += smaller.size - instance.size
    copy.instance = smaller
    copy.outs = {name: v for name, v in copy.outs.items() if name.split(".")[0] in kept}


def _complain(walk: Walk, dead: list[tuple[Copy, Item, Frame]]) -> None:
    """Name the ends of what leads nowhere, not all that leads to them."""
    taken = {id(v) for copy, _, _ in dead for v in walk.taken(copy)}
    for copy, item, frame in reversed(dead):
        if any(id(v) in taken for v in copy.outs.values()):
            continue
        name = copy.segments[-1] if copy.segments else copy.merged or item.op
        path = ".".join((*frame.path, name))
        help = "name it in `outputs`, take it with `from`, or leave it out"
        if item.tap is not None:
            help = "name it in `outputs`, or leave it out"
        walk.state.fault("E315", f"no output needs `{path}`", item.loc, help)


def _prune(instance: Instance, dead: list[tuple[Copy, Item, Frame]]) -> None:
    """Take dead ops out of the tree; names stay as they were with them."""
    gone = {id(copy) for copy, _, _ in dead}
    lost = {id(v) for copy, _, _ in dead for v in copy.outs.values()}
    _pruned(instance.body, gone, lost)
    instance.size -= sum(1 if c.instance is None else c.instance.size for c, _, _ in dead)


def _report(
    walk: Walk, instance: Instance, dead: list[tuple[Copy, Item, Frame]], call: Item
) -> None:
    names = [".".join((*frame.path, *copy.segments[-1:])) for copy, _, frame in reversed(dead)]
    shown = ", ".join(f"`{name}`" for name in names[:4]) + (" …" if len(names) > 4 else "")
    verb = "falls" if len(names) == 1 else "fall"
    message = f"of `{instance.block.name}` {shown} {verb} away: the outputs asked for need less"
    walk.state.warn("W110", message, call.key)


def _pruned(body: Body, gone: set[int], lost: set[int]) -> bool:
    """Whether anything of a body is left."""
    left = False
    for occurrence in body.items:
        copies = []
        for copy in occurrence.copies:
            kept = copy is not None and _kept(copy, gone, lost)
            copies.append(copy if kept else None)
            left = left or kept
        occurrence.copies = tuple(copies)
        if occurrence.out is not None and id(occurrence.out) in lost:
            occurrence.out = _end((occurrence,))
    if body.output is not None and id(body.output) in lost:
        body.output = _end(body.items)
    return left


def _end(items: Sequence[Occurrence]) -> Value | None:
    """What now flows out of items: the one output of the last that is left."""
    left = [copy for occurrence in items for copy in occurrence.copies if copy is not None]
    return left[-1].out if left and len(left[-1].outs) == 1 else None


def _kept(copy: Copy, gone: set[int], lost: set[int]) -> bool:
    """Whether a copy, or anything in it, is left."""
    dead = id(copy) in gone
    if not dead and (copy.layer is not None or copy.instance is not None):
        return True
    kept = False
    for body in (copy.body, copy.shortcut, *copy.branches):
        if body is not None and _pruned(body, gone, lost):
            kept = True
    if dead:
        # paths that are needed, though what merges them is not, stay as a group of them
        copy.layer, copy.merged = None, None
    if copy.out is not None and id(copy.out) in lost:
        copy.out = copy.body.output if copy.body is not None and not dead else None
        copy.outs = {"output": copy.out} if copy.out is not None else {}
    return kept
