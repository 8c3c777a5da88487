"""Body → members of the constructor and steps of forward, one item after the other.

Modules go into a sink (`sinks.py`). Where forward calls them one by one, each call is a step; an
nn.Sequential calls its modules itself, so its walk leaves constructors alone.

    - {id: stem, sequential: [{conv: …}, relu]}     self.stem = nn.Sequential(nn.Conv2d(…), …)
    - residual: [{id: conv, conv: …}, relu]         self.conv = nn.Conv2d(…)
                                                    self.relu1 = nn.ReLU()
                                                    x = self.stem(x)
                                                    x = self.relu1(self.conv(x)) + x
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

from archspec.emit.forward import Either, Loop, Training
from archspec.emit.lowering import conditions, containers, links, optional, owners
from archspec.emit.lowering.calls import block, called_again, construct, outer_sizes, titles
from archspec.emit.lowering.flow import (
    Flow,
    Many,
    PlainError,
    apart,
    apart_from_first,
    define,
    dims,
    lookup,
    must,
    sizes_of,
)
from archspec.emit.lowering.links import body_of, merges
from archspec.emit.lowering.loops import (
    Checkpoint,
    Copies,
    Round,
    behind,
    carried_through,
    comprehension,
    less,
    over,
    own,
)
from archspec.emit.lowering.members import hint_of, label, member, words_of
from archspec.emit.lowering.modules import Made, Place, calling, calls_of, merge, op
from archspec.emit.lowering.optional import Column, Pairs, Paths
from archspec.emit.lowering.scope import Info
from archspec.emit.lowering.sinks import PLACE, Members, Named, Positional, Site, Written
from archspec.emit.syntax import For, If, call, name
from archspec.emit.text import render
from archspec.emit.tidy import assigned
from archspec.expand.plan import dotted
from archspec.expand.tree import Body, Copy, Value
from archspec.expressions import Expr
from archspec.expressions.sym import traced
from archspec.language import Item
from archspec.layers import create


def walk(site: Site, paths: Paths) -> None:
    """Lowers one path; what it gives is found through its rows."""
    at, count = 0, len(paths[0][1].items)
    while at < count:
        column = _column(paths, at)
        here, end = optional.comes_and_goes(site.scope, column, paths[0][1]), at + 1
        if here is None:
            optional.decided(site.scope, column)
            _occurrence(site, column)
        else:
            while end < count and conditions.same_test(column, _column(paths, end), here):
                end += 1
            _optional(site, paths, (at, end), here)
        at = end


def _column(paths: Paths, at: int) -> Column:
    return [(r, b.items[at]) for r, b in paths]


def _occurrence(site: Site, column: Column) -> None:
    """One item that is there in all rows or in none; a tap's steps run in training only."""
    conditions.pointed(site.scope, column)
    item, inner = column[0][1].item, site
    if item.tap == "train":
        inner = Site(site.scope, site.sink, site.init, [])
    if item.repeat is not None:
        _repeat(inner, column)
    else:
        pairs = [(r, c) for r, o in column for c in o.copies if c is not None]
        if pairs:
            _one(inner, item, pairs)
    if inner is not site and inner.steps:
        site.steps.append(Training(inner.steps))


# ---------------------------------------------------------------- items that come and go


def _optional(site: Site, paths: Paths, span: tuple[int, int], here: list[bool]) -> None:
    """Items that are there in some rows only: `X if test else None`, or `if test:`."""
    rows, item = [r for r, _ in paths], paths[0][1].items[span[0]].item
    there = [p for p, h in zip(paths, here, strict=True) if h]
    if item.tap is not None:
        raise PlainError("a tap that is there in some instances only")
    copies = [c for _, b in there if (c := b.items[span[0]].copies[0]) is not None]
    taken = [optional.passed_on(b, (span[0], span[0] + 1)) for _, b in paths]
    prev = lookup(rows, taken)
    test = conditions.condition(site.scope, item.when, rows, here, copies, prev, taken)
    other = lookup(rows, [optional.passed_on(b, span) for _, b in paths])
    site.sink.open(site.init)
    inner, around = site.inside(), site.scope.unit.conditions
    around.append((render(test), id(site.init)))
    for k in range(*span):
        _occurrence(inner, _column(there, k))
    around.pop()
    outs = [must(b.items[span[1] - 1].out) for _, b in paths]
    then = lookup(*optional.given_behind(there, span))
    if not site.sink.called:
        place = Place(site.scope, item, paths)
        out = Flow(carried_through(inner, place, outs, (then, other), site.init))
        site.scope.unit.settle(assigned(inner.init), site.init)
        if inner.init:
            site.init.append(If(test, inner.init))
        define(rows, outs, out)
        return
    if not inner.steps and then is other:  # nothing is computed: what comes out is what went in
        if inner.init:
            site.init.append(If(test, inner.init))
        away = [p for p, h in zip(paths, here, strict=True) if not h]
        define(*optional.given_behind(there, span), then)
        define(*optional.given_behind(away, span), then)
        return
    out = optional.joined(rows, outs, (then, other), test)
    out.hint = hint_of(item)
    own = not dotted(item) and not optional.named_twice(paths[0][1], span[0])
    one = optional.one_module(test, inner, then) if own else None
    if one is not None:
        site.init.append(one)
        asked: ast.expr = ast.Compare(name(one.target), [ast.IsNot()], [ast.Constant(None)])
    else:
        if inner.init:
            site.init.append(If(test, inner.init))
        asked = site.scope.unit.attribute(test, f"use_{hint_of(item) or item.op.lower()}")
    site.steps.append(Either(asked, inner.steps, out, then, other))
    define(rows, outs, out)


# ---------------------------------------------------------------- one copy


def _one(site: Site, item: Item, pairs: Pairs) -> None:
    """One copy in every row."""
    place = Place(site.scope, item, pairs, module=not site.sink.called)
    first, whole = place.first, site.scope.unit.whole
    if len(place.copies) > 1:
        _matching(site, place.copies)
    if item.op == "identity" and (site.sink.called or site.sink.named):
        _alias(place, [c.ins[0] for c in place.copies])
    elif first.shared is not None:
        _again(site, place)
    elif first.group and (isinstance(site.sink, Written) or not first.segments):
        if first.segments:
            _put(site, place, call("nn.Module"))
        within(site, place)
    elif first.group and whole.frames[id(first)].outward:
        _written_out(site, place, first.segments[-1])
    elif site.sink.called and first.group and links.is_list(whole, place.copies):
        _listed(site, place)
    else:
        _module(site, place)
    if isinstance(site.sink, Positional) and site.sink.called and first.segments:
        site.sink.fill(int(first.segments[-1]) + 1, site.init)


def _matching(site: Site, copies: Sequence[Copy]) -> None:
    """Raises PlainError where copies have no name in common, or only some are made."""
    first = copies[0]
    if site.sink.called and any(c.segments[:1] != first.segments[:1] for c in copies):
        raise PlainError("the names differ between instances")
    if any((c.shared is None) != (first.shared is None) for c in copies):
        raise PlainError("weights are shared in some instances only")


def _attributes(site: Site) -> bool:
    """Whether modules become attributes that forward calls."""
    return isinstance(site.sink, Members) and site.sink.called


def within(site: Site, place: Place) -> None:
    """What is in a group, one by one."""
    if merges(place.first):
        _merged(site, place)
    else:
        walk(site, [(r, body_of(p)) for r, p in place.pairs])


def _module(site: Site, place: Place) -> None:
    """One module: made, put where it belongs, and called."""
    made, sink, unit = _made(site, place), site.sink, site.scope.unit
    if made is None:
        if not sink.named and not sink.called:  # nothing inside is there, but it has its place
            sink.put(ast.Constant(""), call("nn.Identity"), site.init)
        return
    if made.constructor is None and not sink.called:
        raise PlainError("a functional op in a chain")
    reached = None
    if made.constructor is not None:
        reached = _put(site, place, made.constructor)
    if isinstance(place.first, Copy):
        if reached is not None and isinstance(sink, Members):
            _claimed(site, place, made, reached)
        for c in place.copies:
            owners.made(unit, c, owners.Member(reached, place.item, made.layer))
    _call(site, place, made, reached)


def _claimed(site: Site, place: Place, made: Made, reached: ast.expr) -> None:
    """An attribute has one item; what is said of its initial values follows it."""
    unit = site.scope.unit
    if site.sink.called:
        unit.claim(place.segment, place.item)
    if not made.chained:
        site.init += unit.whole.inits.member_init(site.scope, place.rows, place.copies, reached)
    elif site.sink.called:
        bodies = [body_of(c) for c in place.copies]
        site.init += unit.whole.inits.group_init(site.scope, bodies, reached)


def _put(site: Site, place: Place, module: ast.expr) -> ast.expr | None:
    """Makes a module reachable; how forward reaches it."""
    sink, first = site.sink, place.first
    if isinstance(sink, Written):
        path = site.scope.unit.whole.paths[id(first)]
        return sink.put(ast.Constant(".".join(path)), module, site.init)
    if isinstance(first, Copy) and dotted(place.item):
        return containers.contained(site, first.segments, module)
    text: ast.expr = ast.Constant("")
    if isinstance(first, Body):
        text = ast.Constant(first.segment)
    elif sink.named:
        text = label(site.scope, place.item, place.rows, [c.segments[0] for c in place.copies])
    return sink.put(text, module, site.init)


def _made(site: Site, place: Place) -> Made | None:
    """How a module is made; None for a group in which nothing is there."""
    first = place.first
    if isinstance(first, Body) or first.group:
        return _group(site, place)
    return block(place) if first.instance is not None else op(place)


def _call(site: Site, place: Place, made: Made, reached: ast.expr | None) -> None:
    """The steps that call a module, and what they define."""
    takes, gives = made.crossing or (None, place.outs)
    if not site.sink.called:
        outs = [Flow(sizes) for sizes in made.sizes]
    elif gives:
        takes = place.ins if takes is None else takes
        hint = place.hint
        if isinstance(site.sink, Positional):
            first = place.first
            number = first.segments[-1] if isinstance(first, Copy) else first.segment
            hint = hint if hint.isidentifier() else site.sink.hint
            hint += number if number.isdecimal() else ""
        steps, outs = calling(made, reached, takes, hint, site.scope.unit)
        if len(outs) > 1 and place.item.id is not None and place.item.id.names:
            for out in outs:  # `head3_boxes`, since there is `head4` too
                out.short = out.hint
        site.steps += steps
    else:
        return
    for values, flow in zip(gives, outs, strict=True):
        define(place.rows, values, flow)


def _alias(place: Place, values: Sequence[Value | None]) -> None:
    """What a copy gives is what it takes."""
    for row, value, c in zip(place.rows, values, place.copies, strict=True):
        if value is not None and c.out is not None and value is not c.out:
            for flow in row.vals.get(id(value), ()):
                define([row], [c.out], flow)


# ---------------------------------------------------------------- groups under a name


def _group(site: Site, place: Place) -> Made | None:
    """A named group or branch: an nn.Sequential, or a class of its own; None if all is done."""
    unit, rows, parts = site.scope.unit, place.rows, place.copies
    frames = [unit.whole.frames[id(p)] for p in parts]
    if not any(f.exports for f in frames):
        return None
    if links.is_chain(unit.whole, parts):
        bodies = [body_of(p) for p in parts]
        cur = lookup(rows, [b.input for b in bodies])
        value, sizes = _sequential(site, place, cur)
        if isinstance(value, ast.Call) and not value.args:  # what comes out is what went in
            define(rows, [b.output for b in bodies], cur)
            return None
        crossing = [cur], [[must(b.output) for b in bodies]]
        return Made(value, calls_of([cur], 1), [sizes], crossing=crossing, chained=True)
    info, captures, exports = unit.whole.outlined(site.scope, place.item, place.pairs, place.word)
    wanted = [info.values[id(p)] for p in parts]
    ins = [lookup(rows, [c[j] for c in captures]) for j in range(len(captures[0]))]
    given = _given(place, info, ins, captures[0])
    value = construct(site.scope, rows, info, wanted, given)
    gives = [[e[j] for e in exports] for j in range(len(exports[0]))]
    found = outer_sizes(info, given, rows, gives)
    form = calls_of(ins, len(gives))
    return Made(value, form, found, info.outputs, crossing=(ins, gives))


def _sequential(site: Site, place: Place, cur: Flow) -> tuple[ast.expr, list[Any]]:
    """An nn.Sequential, and the sizes of what it gives."""
    unit, bodies = site.scope.unit, [body_of(p) for p in place.copies]
    fills = _attributes(site) and place.segment.isidentifier()
    target = f"self.{place.segment}" if fills else ""
    sink: Positional | Named = Named(unit, place.word, target)
    if links.numbered(bodies):
        sink = Positional(unit, place.word)
    with unit.filling(sink), apart(place.rows, [([b.input for b in bodies], cur)]):
        inner = Site(site.scope, sink, site.init, [])
        walk(inner, list(zip(place.rows, bodies, strict=True)))
        out = lookup(place.rows, [b.output for b in bodies])
    return sink.finish(), out.sizes


def _listed(site: Site, place: Place) -> None:
    """A `sequential` that is no chain: its modules in an nn.ModuleList, called one by one."""
    unit, text = site.scope.unit, ast.Constant(place.segment)
    bodies = [b for c in place.copies for b in (c.branches or (body_of(c),))]
    word = place.word
    if isinstance(site.sink, Positional):
        word = f"{site.sink.hint}{site.sink.count}_"
    sink = Positional(unit, word, site.sink.reach(text), "nn.ModuleList")
    with unit.filling(sink):
        within(Site(site.scope, sink, site.init, site.steps), place)
    _columned(sink, place.first.branches, unit.whole.order)
    reached = site.sink.put(text, sink.finish(), site.init)
    unit.lengths[render(sink.listed or text)] = sink.count
    if isinstance(site.sink, Members) and reached is not None:
        unit.claim(place.segment, place.item)
        site.init += unit.whole.inits.group_init(site.scope, bodies, reached)
    for c in place.copies:
        owners.made(unit, c, owners.Member(reached, place.item))


def _columned(sink: Positional, paths: Sequence[Body], classes: Sequence[Info]) -> None:
    """Paths over columns in a list: a comprehension in place of their modules."""
    if len(sink.elements) != len(paths):
        return
    at = 0
    for each, group in groupby(list(paths), lambda path: path.each):
        count = len(list(group))
        here = slice(at, at + count)
        word = _column_of(each) if each is not None else ""
        rounds = over(sink.elements[here], word, classes) if each is not None else None
        if rounds is not None:
            sink.elements[here], count = [ast.Starred(rounds)], 1
        at += count


def _given(
    place: Place, info: Info, ins: Sequence[Flow], captures: Sequence[Value]
) -> dict[str, Any]:
    """What the class of a group may be given: the names around, and the sizes that come in."""
    row, part = place.rows[0], place.first
    found: dict[str, Any] = {}
    for new, old in info.outer.items():
        if old in row.py:
            found[new] = traced(row.py[old], ast.Name(old))
        elif isinstance(part, Copy) and old.startswith("loop."):
            found[new] = place.scope.value(old, getattr(part.env["loop"], old[5:]), row)
        elif isinstance(part, Copy) and old in part.env:
            found[new] = place.scope.value(old, part.env[old], row)
    for j, (flow, value) in enumerate(zip(ins, captures, strict=True)):
        shape = flow.at(row, dims(value))
        for title, size in zip(titles(info.inputs[j], j, value.type), shape, strict=True):
            found[title] = size
    return found


def _written_out(site: Site, place: Place, segment: str) -> None:
    """A group with a use of weights from outside it: no class of its own."""
    unit = site.scope.unit
    site.sink.put(ast.Constant(segment), call("nn.Module"), site.init)
    sink = Written(unit.whole.paths[id(place.first)], (segment,))
    within(Site(site.scope, sink, site.init, site.steps), place)


# ---------------------------------------------------------------- residuals and branches


def _merged(site: Site, place: Place) -> None:
    """A residual or branches: its paths, then the merge."""
    item, first, rows, copies = place.item, place.first, place.rows, place.copies
    if first.branches:
        _branches(site, place)
        return
    if any(c.cut for c in copies):
        _side_by_side(site, place)
        return
    if len({c.plain for c in copies}) == 1:
        optional.holding(site.scope, item.shortcut_when, place.pairs)
    walk(site, [(r, c.body) for r, c in place.pairs])
    asked = False
    if isinstance(item.shortcut_when, Expr):
        prev = place.ins[0]
        asked = conditions.open_ended(site.scope, item.shortcut_when, rows[0], first, prev)
    open_ = Place(site.scope, item, [(r, c) for r, c in place.pairs if not c.plain])
    if not open_.copies:
        if not asked or item.shortcut:
            _alias(place, [c.body.output for c in copies])
            return
        open_ = place  # no instance merges, though at other arguments of the class it would
    inner = site if open_.copies == copies and not asked else site.inside()
    shorts = [(r, c.shortcut) for r, c in open_.pairs if c.shortcut is not None]
    if shorts:
        walk(inner, shorts)
    main = [must(c.body.output) for c in open_.copies]
    short = [must(c.ins[0] if c.shortcut is None else c.shortcut.output) for c in open_.copies]
    if inner is site:
        _join(site, place, [main, short])
        return
    when = site.scope.worked(item.shortcut_when, rows[0], first.env, place.prev)
    test = site.scope.say(rows, when, [not c.plain for c in copies], "with_shortcut")
    other = lookup(rows, [must(c.body.output) for c in copies])
    then = _join(inner, open_, [main, short])
    out = optional.joined(rows, [must(c.out) for c in copies], (then, other), test)
    if inner.init:
        site.init.append(If(test, inner.init))
    asked_ = site.scope.unit.attribute(test, "use_shortcut")
    site.steps.append(Either(asked_, inner.steps, out, then, other))
    define(rows, [c.out for c in copies], out)


def _side_by_side(site: Site, place: Place) -> None:
    """What is left of a residual where the network is cut in it: nothing joins its paths."""
    walk(site, [(r, c.body) for r, c in place.pairs])
    shorts = [(r, c.shortcut) for r, c in place.pairs if c.shortcut is not None]
    if shorts:
        walk(site, shorts)


def _branches(site: Site, place: Place) -> None:
    """Several paths from one input. Where the network is cut in them, nothing joins them."""
    counts = [len(c.branches) for c in place.copies]
    if len(set(counts)) > 1:
        apart_ = apart_from_first(place.rows, counts)
        raise PlainError("the number of paths differs between instances", apart_)
    several = range(counts[0])
    for k in several:
        if isinstance(site.sink, Positional):  # a path of nothing has its place
            site.sink.fill(k, site.init)
        pairs = [(r, c.branches[k]) for r, c in place.pairs]
        inner, each = site, place.first.branches[k].each
        if each is not None:
            optional.holding(site.scope, each.repeat.count, place.pairs)
            inner = replace(site, scope=site.scope.without(own(each)))
        _branch(inner, Place(inner.scope, place.item, pairs))
    if place.first.layer is not None:
        _join(site, place, [[must(c.branches[k].output) for c in place.copies] for k in several])


def _join(site: Site, place: Place, paths: list[list[Value]]) -> Flow:
    """The op that joins paths; where they stay apart the shortcut comes first."""
    first: Copy = place.first
    layer = (
        first.layer
        if first.layer is not None
        else create(place.item.merge.op if place.item.merge else "add", {})
    )
    if any(c.layer is not first.layer and c.layer != first.layer for c in place.copies):
        raise PlainError("the merges differ")
    if layer.ordered and not first.branches:
        paths = paths[::-1]
    _call(site, place, merge(place, layer, paths), None)
    return lookup(place.rows, [c.out for c in place.copies])


def _branch(site: Site, place: Place) -> None:
    first: Body = place.first
    unit, segment = site.scope.unit, first.segment
    if segment is None:
        walk(site, place.pairs)
    elif isinstance(site.sink, Written):
        _put(site, place, call("nn.Module"))
        walk(site, place.pairs)
    elif unit.whole.frames[id(first)].outward:
        _written_out(site, place, segment)
    else:
        _module(site, place)


# ---------------------------------------------------------------- repeats


def _repeat(site: Site, column: Column) -> None:
    """A repeated item: under its id a container of its copies, else its copies."""
    copies, unit = Copies(column), site.scope.unit
    texts = [o.name or "" for _, o in column]
    if not copies.flat:
        return
    if column[0][1].name is None:
        if site.sink.called:
            _one_by_one(site, copies)
        else:
            define(copies.rows, copies.outs, _repeated(site, copies))
        return
    if site.sink.called and len(set(texts)) > 1:
        raise PlainError("the names differ between instances")
    frames = [unit.whole.frames.get(id(c)) for c in copies.flat]
    if isinstance(site.sink, Written) or any(f is not None and f.outward for f in frames):
        _copies_written_out(site, copies, texts[0])
        return
    text: ast.expr = ast.Constant("")
    if site.sink.named:
        text = label(site.scope, copies.item, copies.rows, texts)
    if not site.sink.called or all(links.is_line(unit.whole, cs) for cs in copies.each if cs):
        _in_a_line(site, copies, text)
        return
    if not all(copies.each) or not isinstance(text, ast.Constant):
        raise PlainError("the repeat is empty in some instances")
    _apart_in_forward(site, copies, text)


def _apart_in_forward(site: Site, copies: Copies, text: ast.Constant) -> None:
    """Copies under an id that are no line: an nn.ModuleList that forward goes through."""
    unit = site.scope.unit
    found = links.gathered(unit, copies.each)
    if found is not None:
        _gathered(site, copies, text, found)
        return
    places = {links.carried(unit.whole, cs) for cs in copies.each}
    if places == {None} or len(places) > 1 or set(copies.counts) == {1}:
        _by_number(site, copies, text)
    else:
        _in_a_loop(site, copies, text, places.pop() or 0)


def _in_a_line(site: Site, copies: Copies, text: ast.expr) -> None:
    """Copies under an id that are called one after the other: an nn.Sequential."""
    unit, rows = site.scope.unit, copies.rows
    word = str(text.value) if isinstance(text, ast.Constant) else ""
    sink = Positional(unit, word if word.isidentifier() else words_of(copies.item))
    cur = lookup(rows, copies.starts)
    with unit.filling(sink), apart(rows, [(copies.starts, cur)]):
        sizes = _repeated(Site(site.scope, sink, site.init, []), copies).sizes
    value = sink.finish()
    if not value.args:  # what comes out is what went in
        define(rows, copies.outs, cur)
        return
    reached = site.sink.put(text, value, site.init)
    gives = [[must(v) for v in copies.outs]]
    made = Made(None, calls_of([cur], 1), [sizes], crossing=([cur], gives))
    _call(site, Place(site.scope, copies.item, copies.at(0)), made, reached)
    for cs in copies.each:
        for k, c in enumerate(cs):
            at = ast.Subscript(reached, ast.Constant(k)) if reached is not None else None
            owners.made(site.scope.unit, c, owners.Member(at, copies.item))


def _in_a_loop(site: Site, copies: Copies, text: ast.Constant, at: int) -> None:
    """Copies that are called one after the other, and take more: an nn.ModuleList."""
    unit, rows = site.scope.unit, copies.rows
    taken = [links.takes(unit.whole, cs[0]) for cs in copies.each]
    known = [[vs[j] for vs in taken] for j in range(len(taken[0]))]
    flows = [lookup(rows, values) for values in known]
    out = _numbered_list(site, copies, text, list(zip(known, flows, strict=True)))
    layer, inside, start = Flow((), "layer"), Flow(flows[at].sizes), flows[at]
    layer.named, out.hint = True, hint_of(copies.item)
    flows[at] = inside
    called = copies.flat[0].instance
    form = calls_of(flows, 1, called.inputs if called is not None else ())
    steps, (end,) = calling(Made(None, form, [out.sizes]), layer.ref, flows, "", unit)
    site.steps.append(Loop(layer, member(str(text.value)), steps, inside, start, end, out))
    define(rows, copies.outs, out)


def _gathered(site: Site, copies: Copies, text: ast.Constant, found: links.Gathered) -> None:
    """Copies of which each takes the one before, and others what all give: lists in forward.

    for layer in self.m:
        x = layer(x)
        m.append(x)
    """
    unit, rows, firsts = site.scope.unit, copies.rows, [cs[0] for cs in copies.each]
    known = [[c.ins[j] for c in firsts] for j in range(len(firsts[0].ins))]
    flows = [lookup(rows, values) for values in known]
    out = _numbered_list(site, copies, text, list(zip(known, flows, strict=True)))
    layer, inside, start = Flow((), "layer"), Flow(flows[found.at].sizes), flows[found.at]
    layer.named, out.hint = True, hint_of(copies.item)
    called, sizes = firsts[0].instance, [out.sizes]
    if called is not None:
        scope = site.scope.without(copies.own)
        sizes = called_again(Place(scope, copies.item, copies.at(0))).sizes
    flows[found.at] = inside
    form = calls_of(flows, len(sizes), called.inputs if called is not None else ())
    made = Made(None, form, sizes, tuple(firsts[0].outs))
    steps, ends = calling(made, layer.ref, flows, "", unit)
    number, many = len(copies.each[0]), copies.count(site.scope)
    count = number if isinstance(many, ast.Constant) else traced(number, many)
    lists = []
    for j, key in ((j, list(firsts[0].outs)[j]) for j in found.lists):
        hint = f"{key}s" if len(sizes) > 1 and key.isidentifier() else text.value
        lists.append((Many(sizes[j], str(hint).lower(), count), ends[j]))
        for cs in copies.each:
            values = [c.outs[key] for c in cs]
            unit.many[id(values[0])] = values, lists[-1][0]
    over = member(str(text.value))
    site.steps.append(Loop(layer, over, steps, inside, start, ends[0], out, lists))
    define(rows, copies.outs, out)


def _numbered_list(
    site: Site, copies: Copies, text: ast.Constant, known: list[tuple[Sequence[Any], Flow]]
) -> Flow:
    """Makes an nn.ModuleList of the copies; what flows behind the last."""
    unit = site.scope.unit
    sink = Positional(unit, str(text.value), kind="nn.ModuleList")
    with unit.filling(sink), apart(copies.rows, known):
        out = Flow(_repeated(Site(site.scope, sink, site.init, []), copies).sizes)
    site.sink.put(text, sink.finish(), site.init)
    return out


def _by_number(site: Site, copies: Copies, text: ast.Constant) -> None:
    """Copies that are called one by one: an nn.ModuleList, indexed."""
    copies.same_count()
    unit, reached = site.scope.unit, member(str(text.value))
    sink = Positional(unit, str(text.value), reached, "nn.ModuleList")
    inner = Site(site.scope.without(copies.own), sink, site.init, site.steps)
    optional.holding(site.scope, copies.many, copies.at(0))
    with unit.filling(sink):
        for k in range(copies.counts[0]):
            _one(inner, copies.item, [(r.below(), c) for r, c in copies.at(k)])
    value = sink.finish()
    every = len(sink.elements) == copies.counts[0] > 1  # at the end some may not be there
    if every and len({render(e) for e in sink.elements}) == 1:
        value.args = [comprehension(sink.elements[0], copies.count(site.scope))]
    elif every and (rounds := _over(copies, sink)) is not None:
        value.args = [rounds]
    if sink.variable is not None or {render(e) for e in sink.elements} - {PLACE}:
        site.sink.put(text, value, site.init)


def _over(copies: Copies, sink: Positional) -> ast.GeneratorExp | None:
    return over(sink.elements, _column_of(copies.item), sink.unit.whole.order)


def _column_of(item: Item) -> str:
    """What the number that tells copies apart is called."""
    columns = list(item.repeat.columns) if item.repeat is not None else []
    return columns[0] if len(columns) == 1 else ""


def _one_by_one(site: Site, copies: Copies) -> None:
    """Each copy as if it were written out."""
    copies.same_count()
    optional.holding(site.scope, copies.many, copies.at(0))
    scope = site.scope.without(copies.own)
    for k in range(copies.counts[0]):
        here = [(r.below(), c) for r, c in copies.at(k)]
        _one(Site(scope, site.sink, site.init, site.steps), copies.item, here)


def _copies_written_out(site: Site, copies: Copies, segment: str) -> None:
    """Copies under an id, one by one, in a class around them."""
    base = site.scope.unit.whole.paths[id(copies.flat[0])][:-1]
    sink = site.sink
    if isinstance(sink, Written):
        sink.put(ast.Constant(".".join(base)), call("nn.Module"), site.init)
    else:
        sink.put(ast.Constant(segment), call("nn.Module"), site.init)
        sink = Written(base, (segment,))
    _one_by_one(Site(site.scope, sink, site.init, site.steps), copies)


def _repeated(site: Site, copies: Copies) -> Flow:
    """Adds the copies of an item: alike, the first apart, in a loop, or one by one.

    Returns what flows behind them.
    """
    sink, each = site.sink, copies.each
    first = copies.flat[0]
    if isinstance(sink, Positional) and (first.segments or first.body is None) and all(each):
        apart_ = max(links.tail_alike(c) for c in each)
        if apart_ <= 1 and set(copies.counts) != {1}:
            return _alike(site, copies, apart_)
    if set(copies.counts) != {1} and (not sink.named or set(copies.counts) != {2}):
        before = Checkpoint(site, copies.rows)
        try:
            loop = Round(site, copies, lookup(copies.rows, copies.starts))
            _one(loop.inner, copies.item, loop.enter())
            return Flow(loop.leave())
        except PlainError:
            if copies.varies:
                raise
            before.restore()
    optional.holding(site.scope, copies.many, copies.at(0))
    own = Site(site.scope.without(copies.own), sink, site.init, [])
    for k in range(copies.counts[0]):
        _one(own, copies.item, copies.at(k))
    return lookup(copies.rows, copies.outs)


def _alike(site: Site, copies: Copies, apart_: int) -> Flow:
    """`X(first), *(X(rest) for _ in range(n - 1))`."""
    sink = site.sink
    assert isinstance(sink, Positional)
    own = Site(site.scope.without(copies.own), sink, site.init, [])
    start = lookup(copies.rows, copies.starts)
    if apart_:
        _one(own, copies.item, copies.at(0))
        start = lookup(copies.rows, [c[0].out for c in copies.each])
    rest = copies.at(apart_)
    if not rest:
        return start
    inner = own.inside()
    place = Place(own.scope, copies.item, rest, module=True)
    made = _made(inner, place)
    value = made.constructor if made is not None else call("nn.Identity")
    if value is None:
        raise PlainError("a functional op in a chain")
    end = Flow(made.sizes[0]) if made is not None else start
    count = copies.count(site.scope)
    if apart_ and not inner.init and sink.took_back(value):
        apart_ = 0  # the first differs in nothing that is written
    count = less(count, apart_) if apart_ else count
    if isinstance(count, ast.Constant) and count.value == 1:
        site.init += inner.init
        sink.put(ast.Constant(""), value, site.init)
    elif inner.init:  # each round makes its own modules
        sink.open(site.init)
        sink.put(ast.Constant(""), value, inner.init)
        site.init.append(For("_", call("range", count), inner.init))
    else:
        sink.put(ast.Constant(""), ast.Starred(comprehension(value, count)), site.init)
    return Flow(behind(copies.rows, [must(v) for v in copies.outs], end, start))


# ---------------------------------------------------------------- weights that are used again


def _again(site: Site, place: Place) -> None:
    """An earlier op, call or group once more."""
    unit, first = site.scope.unit, place.first
    if first.group and all(map(links.empty, place.copies)):
        bodies = [body_of(c) for c in place.copies]
        cur = lookup(place.rows, [b.input for b in bodies])
        define(place.rows, [must(b.output) for b in bodies], cur)
        return
    owner = owners.owner_of(unit, place)
    reached = owner.attribute if owner is not None else owners.submodule(unit, place)
    if first.group:
        _group_again(site, place, reached)
        return
    if first.instance is not None:
        item = owner.item if owner is not None else place.item
        made = called_again(Place(site.scope, item, place.pairs))
    else:
        made = op(place, layer=owner.layer if owner is not None else None)
    _call(site, place, made, reached)


def _group_again(site: Site, place: Place, reached: ast.expr | None) -> None:
    """A group once more: its module, or where it was written out, its members."""
    unit, rows, copies = site.scope.unit, place.rows, place.copies
    frames = [unit.whole.frames[id(c)] for c in copies]
    theirs = [unit.whole.frames[id(c.shared)] for c in copies]
    if not any(f.exports for f in frames):
        return
    crossing = [(len(f.captures), len(f.exports)) for f in frames]
    other = crossing != [(len(o.captures), len(o.exports)) for o in theirs]
    if theirs[0].outward or other or owners.moved_with(unit, place) is not None:
        base, module = unit.whole.paths[id(copies[0])], owners.path_of(unit, place)
        unit.moved[base] = module
        within(Site(site.scope, Written(base, module, make=False), site.init, site.steps), place)
        return
    captures = [list(f.captures.values()) for f in frames]
    exports = [list(f.exports.values()) for f in frames]
    gives = [[e[j] for e in exports] for j in range(len(exports[0]))]
    takes = [lookup(rows, [c[j] for c in captures]) for j in range(len(captures[0]))]
    shapes = [sizes_of(rows, dims(values[0]), values) for values in gives]
    # of space they are those of the tensors: what went in need not be what went in before
    sizes = [[n if a == 0 and len(s) > 2 else None for a, n in enumerate(s)] for s in shapes]
    form, outs = calls_of(takes, len(gives)), [str(j) for j in range(len(gives))]
    _call(site, place, Made(None, form, sizes, outs, crossing=(takes, gives)), reached)
