"""Bodies → whether they are modules one after the other, and nothing else: an nn.Sequential."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from archspec.emit.lowering.modules import torch_call
from archspec.emit.lowering.scope import Classes
from archspec.expand.tree import Body, Copy, Value


def is_chain(whole: Classes, bodies: Sequence[Body]) -> bool:
    """Whether each body is such a chain."""
    return all(_body(whole, b) for b in bodies)


def _body(whole: Classes, body: Body) -> bool:
    cur = body.input
    if cur is None:
        return False
    for occurrence in body.items:
        if occurrence.item.tap is not None:
            return False
        for c in occurrence.copies:
            if c is None:
                continue
            if not _link(whole, c, cur, numbered=body.numbered):
                return False
            cur = c.out
    return cur is body.output


def is_line(whole: Classes, copies: Sequence[Copy]) -> bool:
    """The same for the copies of one item under an id, of which only the last is read outside."""
    cur = copies[0].ins[0] if copies[0].ins else None
    for c in copies:
        if not _link(whole, c, cur, numbered=True):
            return False
        cur = c.out
    return private(whole, copies)


def private(whole: Classes, copies: Sequence[Copy]) -> bool:
    """Whether what a copy gives is read by the next one alone."""
    return all(
        whole.consumers.get(id(c.out), set()) <= {id(after)} for c, after in pairwise(copies)
    )


def _link(whole: Classes, c: Copy, cur: Value | None, *, numbered: bool) -> bool:
    if c.shared is not None or len(c.ins) != 1 or c.ins[0] is not cur or cur is None:
        return False
    if len(c.outs) != 1 or c.out is None:
        return False
    if c.instance is not None:
        outputs = list(c.instance.outputs.values())
        single = len(outputs) == 1 and not isinstance(outputs[0], tuple)
        return single and len(c.instance.inputs) == 1 and not c.instance.training
    if c.body is None and not c.branches:
        return _is_module(c, numbered=numbered)
    if c.segments:
        frame = whole.frames[id(c)]
        captured, exported = list(frame.captures.values()), list(frame.exports.values())
        if frame.outward:
            return False
        return len(captured) == 1 and captured[0] is cur and all(e is c.out for e in exported)
    return c.layer is None and not c.branches and c.body is not None and _body(whole, c.body)


def _is_module(c: Copy, *, numbered: bool) -> bool:
    if c.running:  # a module is made once
        return False
    made = torch_call(c, module=True)
    if made.target is None or made.forward != "self(x0)" or made.results != ("r",):
        return False
    natural = made.target.startswith("nn.") or torch_call(c, module=False).target is not None
    return bool(c.segments) and (numbered or natural)


def merges(copy: Copy) -> bool:
    """Whether paths meet in it, or would: a residual, or branches."""
    return bool(copy.branches) or copy.plain or (copy.body is not None and copy.layer is not None)


def numbered(bodies: Sequence[Body]) -> bool:
    """Whether the modules are named 0, 1, 2 … in every body."""
    return all(all(text == str(k) for k, text in enumerate(_names(b))) for b in bodies)


def _names(body: Body) -> Iterator[str]:
    for occurrence in body.items:
        if occurrence.name is not None and occurrence.item.repeat is not None:
            if any(c is not None for c in occurrence.copies):
                yield occurrence.name
            continue
        for c in occurrence.copies:
            if c is None:
                continue
            if c.segments:
                yield c.segments[0]
            elif c.body is not None:
                yield from _names(c.body)


def alike(a: Copy, b: Copy) -> bool:
    """Whether two copies are made by the same text: equal layers, blocks and types."""
    if (
        a.instance is not b.instance
        or (a.layer is not b.layer and a.layer != b.layer)
        or a.plain != b.plain
        or a.shared is not b.shared
    ):
        return False
    if a.instance is None and _types(a) != _types(b):
        return False
    ours, theirs = ([x for x in (c.body, c.shortcut, *c.branches) if x is not None] for c in (a, b))
    return len(ours) == len(theirs) and all(map(_alike_bodies, ours, theirs))


def _types(c: Copy) -> list[object]:
    return [v.type if v else None for v in c.ins]


def _alike_bodies(a: Body, b: Body) -> bool:
    if len(a.items) != len(b.items):
        return False
    for x, y in zip(a.items, b.items, strict=True):
        if x.name != y.name or len(x.copies) != len(y.copies):
            return False
        for c, d in zip(x.copies, y.copies, strict=True):
            if (c is None) != (d is None):
                return False
            if c is not None and d is not None and (c.segments != d.segments or not alike(c, d)):
                return False
    return True


def tail_alike(copies: Sequence[Copy]) -> int:
    """From which copy on all are alike."""
    at = len(copies) - 1
    while at > 0 and alike(copies[at - 1], copies[at]):
        at -= 1
    return at
