"""Bodies → whether they are modules one after the other, and nothing else: an nn.Sequential."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

from archspec.emit.lowering.modules import known_call
from archspec.emit.lowering.scope import Classes
from archspec.expand.plan import dotted
from archspec.expand.tree import Body, Copy, Value


def empty(copy: Copy) -> bool:
    """Whether nothing is in a group but identities: what comes out is what went in."""
    if merges(copy) or copy.body is None:
        return False
    return all(
        c.layer.op == "identity" if c.layer is not None else c.group and empty(c)
        for c in copy.body.copies()
    )


def merges(part: Copy | Body) -> bool:
    """Whether paths meet in it, or would: a residual, or branches."""
    if isinstance(part, Body):
        return False
    if part.branches or part.plain or part.cut:
        return True
    return part.body is not None and part.layer is not None


def body_of(part: Any) -> Body:
    """The one path of a group or branch."""
    found = part if isinstance(part, Body) else part.body
    assert found is not None
    return found


def is_chain(whole: Classes, parts: Sequence[Copy | Body]) -> bool:
    """Whether each named group or branch is such a chain, from its one input to its one output."""
    return not any(map(merges, parts)) and all(
        _one_way(whole.frames[id(p)], body.input, body.output) and of_modules(whole, body)
        for p in parts
        for body in (body_of(p),)
    )


def is_list(whole: Classes, parts: Sequence[Copy | Body]) -> bool:
    """Whether each named group or branch is a `sequential` that is no such chain, or paths that
    are numbered.

    Its modules stand in an nn.ModuleList, and forward calls them one by one.
    """
    if any(id(p) in whole.reused for p in parts):
        return False
    if any(map(merges, parts)):
        return all(map(paths_in_places, parts))
    return not is_chain(whole, parts) and in_places([body_of(p) for p in parts])


def paths_in_places(part: Copy | Body) -> bool:
    """Whether it is branches whose paths are modules, or nothing, named 0, 1, 2 …"""
    paths = part.branches if isinstance(part, Copy) else ()
    places = [_place_of(path) for path in paths]
    return any(places) and all(n in (None, str(k)) for k, n in enumerate(places))


def _place_of(path: Body) -> str | None:
    """What a path is called; None where nothing is in it that has a name."""
    if path.segment is not None:
        return path.segment
    names = list(_names(path))
    return ".".join(names) if names else None


def in_places(bodies: Sequence[Body]) -> bool:
    """Whether an nn.ModuleList can hold what is in the bodies."""
    tensors = any(c.layer is not None and c.layer.tensor for b in bodies for c in b.copies())
    return all(b.numbered for b in bodies) and numbered(bodies) and not tensors


def _one_way(frame: Any, taken: Value | None, given: Value | None) -> bool:
    """Whether a group takes and gives nothing else."""
    ins, outs = frame.captures.values(), frame.exports.values()
    return not frame.outward and list(ins) == [taken] and all(v is given for v in outs)


def of_modules(whole: Classes, body: Body) -> bool:
    """Whether each item of a body is a module that takes what the one before gives."""
    cur = body.input
    if cur is None or any(o.item.tap is not None or dotted(o.item) for o in body.items):
        return False
    for c in body.copies():
        if not _link(whole, c, cur, numbered=body.numbered):
            return False
        cur = c.out
    return cur is body.output


def is_line(whole: Classes, copies: Sequence[Copy]) -> bool:
    """The same for the copies of one item under an id, of which only the last is read outside."""
    before: list[Value | None] = [copies[0].ins[0] if copies[0].ins else None]
    before += [c.out for c in copies]
    return private(whole, copies) and all(
        _link(whole, c, cur, numbered=True) for c, cur in zip(copies, before, strict=False)
    )


def private(whole: Classes, copies: Sequence[Copy]) -> bool:
    """Whether what a copy gives is read by the next one alone."""
    return all(whole.reader.get(id(c.out), id(after)) == id(after) for c, after in pairwise(copies))


def carried(whole: Classes, copies: Sequence[Copy]) -> int | None:
    """By which input each copy takes what the one before gives, if all others are the same."""
    if not private(whole, copies) or any(c.shared or not c.ins or len(c.outs) != 1 for c in copies):
        return None
    taken = [takes(whole, c) for c in copies]
    before = [copies[0].ins[0], *(c.out for c in copies)]
    for j in range(len(taken[0])):
        others = {tuple(map(id, vs[:j] + vs[j + 1 :])) for vs in taken}
        if len(others) == 1 and all(vs[j] is v for vs, v in zip(taken, before, strict=False)):
            return j
    return None


def takes(whole: Classes, c: Copy) -> list[Value | None]:
    """What a module is called on: what crosses the edge of a group."""
    return list(whole.frames[id(c)].captures.values()) if c.group else list(c.ins)


def _link(whole: Classes, c: Copy, cur: Value | None, *, numbered: bool) -> bool:
    if cur is None or c.out is None or c.shared is not None:
        return False
    if len(c.outs) != 1 or list(c.ins) != [cur]:
        return False
    if c.instance is not None:
        outputs = list(c.instance.outputs.values())
        single = len(outputs) == 1 and not isinstance(outputs[0], tuple)
        return single and len(c.instance.inputs) == 1 and not c.instance.training
    if not c.group:
        return _is_module(whole, c, numbered=numbered)
    if c.segments:
        return _one_way(whole.frames[id(c)], cur, c.out)
    return not merges(c) and c.body is not None and of_modules(whole, c.body)


def _is_module(whole: Classes, c: Copy, *, numbered: bool) -> bool:
    if c.running:  # a module is made once
        return False
    made = known_call(whole, c, module=True)
    if made.target is None or made.forward != "self(x0)" or made.results != ("r",):
        return False
    natural = made.target.startswith("nn.") or known_call(whole, c, module=False).target is not None
    return bool(c.segments) and (numbered or natural)


def numbered(bodies: Sequence[Body]) -> bool:
    """Whether the modules are named 0, 1, 2 … in every body."""
    return all(all(text == str(k) for k, text in enumerate(_names(b))) for b in bodies)


def _names(body: Body) -> Iterator[str]:
    for occurrence in body.items:
        there = [c for c in occurrence.copies if c is not None]
        if occurrence.name is not None and occurrence.item.repeat is not None:
            yield from [occurrence.name] if there else []
            continue
        for c in there:
            if c.segments:
                yield c.segments[0]
            elif c.body is not None:
                yield from _names(c.body)


def tail_alike(copies: Sequence[Copy]) -> int:
    """From which copy on all are made by the same text: equal layers, blocks and types."""
    at = len(copies) - 1
    while at > 0 and _alike(copies[at - 1], copies[at]):
        at -= 1
    return at


def _alike(a: Copy | None, b: Copy | None) -> bool:
    if a is None or b is None:
        return a is b
    if a.instance is not b.instance or a.shared is not b.shared or a.plain != b.plain:
        return False
    if (a.layer is not b.layer and a.layer != b.layer) or len(a.parts()) != len(b.parts()):
        return False
    if a.instance is None and a.types != b.types:
        return False
    return all(map(_alike_bodies, a.parts(), b.parts()))


def _alike_bodies(a: Body, b: Body) -> bool:
    return len(a.items) == len(b.items) and all(
        x.name == y.name
        and [c and c.segments for c in x.copies] == [c and c.segments for c in y.copies]
        and all(map(_alike, x.copies, y.copies))
        for x, y in zip(a.items, b.items, strict=True)
    )
