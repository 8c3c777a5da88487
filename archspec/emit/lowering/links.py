"""Bodies → whether they are modules one after the other, and nothing else: an nn.Sequential."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from archspec.emit.lowering.modules import known_call
from archspec.emit.lowering.scope import Classes, Unit
from archspec.expand.plan import dotted, has_expression
from archspec.expand.tree import Body, Copy, Value
from archspec.layers import create

LISTED = 4  # copies whose results are taken together, from which on they stand in a list


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
    return all(
        set(whole.consumers.get(id(c.out), ())) <= {id(after)} for c, after in pairwise(copies)
    )


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


def gathered(unit: Unit, each: Sequence[Sequence[Copy]]) -> Gathered | None:
    """Copies each of which takes the one before, while others take what all of them give.

    - {id: m, from: x, repeat: $n, Unit: }        each takes the one before
    - concat: [x, m.*]                            and this what all give
    """
    longest = max(each, key=len)
    alone = [c for cs in each for c in cs if _by_itself(unit.whole, c)]
    if len(alone) < sum(map(len, each)) or len({tuple(c.outs) for c in alone}) > 1:
        return None
    if len(longest) < (2 if len(set(map(len, each))) > 1 else LISTED):
        return None
    if any(_given(c) != _given(cs[0]) for cs in each for c in cs):
        return None
    at = _handed_on(longest)
    if at is None or any(len(cs) > 1 and _handed_on(cs) != at for cs in each):
        return None
    keys = list(longest[0].outs)
    leaves = {id(c): c for _, part in unit.parts for c in _leaves(part)}
    read = [[_read_together(unit.whole, cs, key, leaves) for key in keys] for cs in each]
    lists = [j for j in range(len(keys)) if any(r[j] == "all" for r in read)]
    if not lists or any(r[j] == "apart" for r in read for j in range(len(keys))):
        return None
    if any(r[j] != "all" for r in read for j in lists):
        return None
    if any(r[j] != "none" for r in read for j in range(1, len(keys)) if j not in lists):
        return None
    return Gathered(at, lists)


@dataclass(frozen=True, slots=True)
class Gathered:
    """By which input each copy takes the one before, and which outputs are taken together."""

    at: int
    lists: list[int]


def _by_itself(whole: Classes, c: Copy) -> bool:
    """Whether it is a module of its own whose first output flows on."""
    if c.shared is not None or c.group or not c.ins or id(c) in whole.reused or not c.outs:
        return False
    if c.instance is not None:
        outputs = c.instance.outputs.values()
        fits = not c.instance.training and not any(isinstance(o, tuple) for o in outputs)
    else:
        fits = _is_module(whole, c, numbered=True)
    return fits and next(iter(c.outs.values())) is c.out


def _given(c: Copy) -> list[Any]:
    return [v.type for v in c.outs.values()]


def _handed_on(copies: Sequence[Copy]) -> int | None:
    """By which input each copy takes the one before, if all others are the same."""
    for j in range(len(copies[0].ins)):
        others = {tuple(map(id, c.ins[:j] + c.ins[j + 1 :])) for c in copies}
        if len(others) == 1 and all(b.ins[j] is a.out for a, b in pairwise(copies)):
            return j
    return None


def _leaves(part: Copy | Body) -> Iterator[Copy]:
    """The ops and calls of a body that are called where it is."""
    bodies = part.parts() if isinstance(part, Copy) else (part,)
    for c in (c for b in bodies for c in b.copies()):
        if not c.group:
            yield c
        elif not c.segments:
            yield from _leaves(c)


def _read_together(
    whole: Classes, copies: Sequence[Copy], key: str, leaves: Mapping[int, Copy]
) -> str:
    """Who reads one output of all copies, the next copy and behind the last left out.

    "none"; "all": ops that take those of all copies, in order; "apart": others.
    """
    values = [c.outs[key] for c in copies]
    readers = [set(whole.consumers.get(id(v), ())) for v in values]
    for found, after in zip(readers, copies[1:], strict=False):
        found.discard(id(after))
    together = {r for r in readers[-1] if r in leaves and _takes_all(leaves[r], values)}
    if any(found != together for found in readers[:-1]):
        return "apart"
    return "all" if together else "none"


def _takes_all(reader: Copy, values: Sequence[Value]) -> bool:
    """Whether an op that can be given a list takes these values in order, each once."""
    layer = reader.layer
    listed = layer is not None and (layer.op == "concat" or layer == create("add", {}))
    if not listed or reader.running or has_expression(reader.args):
        return False
    size = len(values)
    runs = [reader.ins[k : k + size] for k in range(len(reader.ins) - size + 1)]
    found = sum(all(a is b for a, b in zip(run, values, strict=True)) for run in runs)
    return found == 1 and len(set(map(id, reader.ins))) == len(reader.ins)


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
