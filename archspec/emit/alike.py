"""Copies → whether the same text makes them."""

from __future__ import annotations

from collections.abc import Sequence

from archspec.expand.tree import Body, Copy


def tail_alike(copies: Sequence[Copy]) -> int:
    """From which copy on all are alike."""
    at = len(copies) - 1
    while at > 0 and alike(copies[at - 1], copies[at]):
        at -= 1
    return at


def alike(a: Copy, b: Copy) -> bool:
    """Whether two copies are made by the same text: equal layers, blocks and types."""
    if (
        a.instance is not b.instance
        or (a.layer is not b.layer and a.layer != b.layer)
        or a.plain != b.plain
        or a.shared is not b.shared
    ):
        return False
    if a.instance is None and a.types != b.types:
        return False
    ours, theirs = a.parts(), b.parts()
    return len(ours) == len(theirs) and all(map(_alike_bodies, ours, theirs))


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
