"""Items → members of the constructor and steps of forward, one item after the other.

- residual: [{id: conv, conv: …}, relu]     self.conv = nn.Conv2d(…)
                                            self.relu1 = nn.ReLU()
                                            x = self.relu1(self.conv(x)) + x
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from archspec.emit.forward import Assign, Either, Loop, Step, Training
from archspec.emit.lowering import conditions, links
from archspec.emit.lowering.containers import (
    comprehension,
    container,
    count_of,
    group,
    must,
    own_names,
    repeated,
    words_of,
)
from archspec.emit.lowering.flow import (
    Flow,
    PlainError,
    Row,
    apart,
    apart_from_first,
    define,
    dims,
    lookup,
    sizes_of,
)
from archspec.emit.lowering.members import hint_of, member, set_member
from archspec.emit.lowering.modules import (
    Made,
    batched,
    block,
    called_again,
    flows_of,
    merge,
    op,
    parsed,
)
from archspec.emit.lowering.scope import Inline, Scope, Site, Unit
from archspec.emit.lowering.sinks import Positional
from archspec.emit.syntax import If, Line, Stmt, call, literal, name, rebuilt
from archspec.emit.text import render
from archspec.expand.tree import Body, Copy, Occurrence, Value
from archspec.expressions import Expr
from archspec.expressions.sym import FAILURES
from archspec.language import Item
from archspec.layers import create

Pairs = list[tuple[Row, Copy]]


@dataclass(slots=True)
class Place:
    """A module that is made: where it is, and what it was made of."""

    attribute: ast.expr | None
    item: Item
    made: Made | None = None


# ---------------------------------------------------------------- one path


def body(site: Site, pairs: list[tuple[Row, Body]]) -> None:
    """Lowers one path; what it gives is found through its rows."""
    count = len(pairs[0][1].items)
    at = 0
    while at < count:
        column = [(r, b.items[at]) for r, b in pairs]
        item = column[0][1].item
        here = conditions.presence(column) if item.repeat is None else None
        if here is None and _may_be_absent(site.scope, column):
            here = [True] * len(pairs)
        if here is None:
            _decided(site.scope, item, column)
            _occurrence(site, item, column)
            at += 1
            continue
        end = at + 1
        while end < count and conditions.same_test(
            column, [(r, b.items[end]) for r, b in pairs], here
        ):
            end += 1
        _optional(site, pairs, (at, end), here)
        at = end


def _occurrence(site: Site, item: Item, column: list[tuple[Row, Occurrence]]) -> None:
    """One item that is there in all rows or in none."""
    if item.repeat is not None:
        _repeat(site, item, column)
        return
    pairs = [(r, c) for r, o in column for c in o.copies if c is not None]
    if pairs:
        _copy(site, item, pairs)


def _decided(scope: Scope, item: Item, column: list[tuple[Row, Occurrence]]) -> None:
    """Notes which arguments decide that an item is there in all rows, or in none."""
    pairs = [(r, c) for r, o in column for c in o.copies if c is not None]
    if not pairs:
        flow = _known([r for r, _ in column], [o.out for _, o in column])
        conditions.absent(scope, item, column, flow)
    elif item.repeat is None:
        _holding(scope, item.when, pairs)


def _known(rows: list[Row], values: Sequence[Value | None]) -> Flow | None:
    """The flow that holds these values, if one does."""
    try:
        return lookup(rows, values)
    except PlainError:
        return None


def _may_be_absent(scope: Scope, column: list[tuple[Row, Occurrence]]) -> bool:
    """Whether an item that is there in every row would not be at other arguments of the class."""
    item = column[0][1].item
    copy = column[0][1].copies[0] if column[0][1].copies else None
    if item.repeat is not None or item.tap is not None or copy is None or not copy.ins:
        return False
    value = copy.ins[0]
    prev = (
        lookup([r for r, _ in column], [c.ins[0] for _, o in column for c in o.copies if c])
        if value
        else None
    )
    return conditions.open_ended(scope, item.when, column[0][0], copy, prev)


def _holding(scope: Scope, when: Any, pairs: Pairs) -> None:
    """Notes which arguments a condition reads that comes out alike in all rows."""
    if isinstance(when, Expr):
        rows, copies = [r for r, _ in pairs], [c for _, c in pairs]
        prev = _known(rows, [c.ins[0] if c.ins else None for c in copies])
        conditions.decided(scope, when, rows, copies, prev)


def _optional(
    site: Site, pairs: list[tuple[Row, Body]], span: tuple[int, int], here: list[bool]
) -> None:
    """Items that are there in some rows only: `X if test else None`, or `if test:`."""
    at, end = span
    rows = [r for r, _ in pairs]
    there = [p for p, h in zip(pairs, here, strict=True) if h]
    away = [p for p, h in zip(pairs, here, strict=True) if not h]
    item = pairs[0][1].items[at].item
    if item.tap is not None:
        raise PlainError("a tap that is there in some instances only")
    passed = [_passed(b, at, end, here=h) for (_, b), h in zip(pairs, here, strict=True)]
    other = lookup(rows, passed)
    copies = [c for _, b in there if (c := b.items[at].copies[0]) is not None]
    test = conditions.condition(site.scope, item.when, rows, here, copies, other, passed)
    init: list[Stmt] = []
    steps: list[Step] = []
    for k in range(at, end):
        column = [(r, b.items[k]) for r, b in there]
        _occurrence(Site(site.scope, init, steps), column[0][1].item, column)
    outs = [must(b.items[end - 1].out) for _, b in pairs]
    then_rows, then_outs = [r for r, _ in there], [must(b.items[end - 1].out) for _, b in there]
    then = lookup(then_rows, then_outs)
    out = Flow(conditions.join(rows, outs, then, other), hint_of(item))
    out.batchless = then.batchless
    if then.batchless != other.batchless:
        raise PlainError("a batch axis that is there in some instances only")
    one = None if _named_twice(pairs[0][1], at) else _one_module(test, init, steps, then)
    if one is not None:
        site.init.append(one)
        asked: ast.expr = ast.Compare(name(one.target), [ast.IsNot()], [ast.Constant(None)])
    else:
        if init:
            site.init.append(If(test, init))
        if not steps:  # nothing is computed here: what comes out is what went in
            define(then_rows, then_outs, then)
            define([r for r, _ in away], [must(b.items[end - 1].out) for _, b in away], then)
            return
        asked = site.scope.unit.attribute(test, f"use_{hint_of(item) or item.op.lower()}")
    site.steps.append(Either(asked, steps, out, then, other))
    define(rows, outs, out)


def _passed(found: Body, at: int, end: int, *, here: bool) -> Value:
    """What flows on where the items are absent, or would flow on where they are there."""
    if not here:
        return must(found.items[end - 1].out)
    copy = found.items[at].copies[0]
    assert copy is not None
    return must(copy.ins[0] if copy.ins else None)


def _named_twice(found: Body, at: int) -> bool:
    """Whether another item, under the opposite condition, has the name of this one."""
    name_ = found.items[at].name
    return name_ is not None and sum(o.name == name_ for o in found.items) > 1


def _one_module(test: ast.expr, init: list[Stmt], steps: list[Step], then: Flow) -> Line | None:
    """`self.m = X if test else None` for one module on the line."""
    if len(init) != 1 or len(steps) != 1:
        return None
    line, step = init[0], steps[0]
    if not isinstance(line, Line) or not line.target.startswith("self.") or line.op != "=":
        return None
    if line.annotation or not isinstance(step, Assign) or step.outs != [then]:
        return None
    return Line(ast.IfExp(test, line.value, ast.Constant(None)), line.target)


# ---------------------------------------------------------------- one copy


def _copy(site: Site, item: Item, pairs: Pairs) -> None:
    """One copy; a tap's steps run in training only."""
    if item.tap != "train":
        _made(site, item, pairs)
        return
    inner: list[Step] = []
    _made(Site(site.scope, site.init, inner), item, pairs)
    if inner:
        site.steps.append(Training(inner))


def _made(site: Site, item: Item, pairs: Pairs) -> None:
    first = pairs[0][1]
    if any(c.segments[:1] != first.segments[:1] for _, c in pairs):
        raise PlainError("the names differ between instances")
    if any((c.shared is None) != (first.shared is None) for _, c in pairs):
        raise PlainError("weights are shared in some instances only")
    if first.shared is not None:
        _again(site, item, pairs)
    elif site.scope.unit.inline:
        _inlined(site, item, pairs)
    elif item.op == "identity":
        for r, c in pairs:
            _alias([r], [c.ins[0]], [c.out])
    elif first.body is None and not first.branches:
        _leaf(site, item, pairs)
    elif first.segments:
        _framed(site, item, pairs)
    elif links.merges(first):
        merged(site, item, pairs)
    else:
        body(site, [(r, c.body) for r, c in pairs if c.body is not None])


def _member(scope: Scope, item: Item, pairs: Pairs) -> tuple[Made, list[Flow | None]]:
    rows, copies = [r for r, _ in pairs], [c for _, c in pairs]
    ins = flows_of(rows, copies)
    if any((c.instance is None) != (copies[0].instance is None) for c in copies):
        raise PlainError("a block in some instances only")
    maker = op if copies[0].instance is None else block
    return maker(scope, item, rows, copies, ins), ins


def _leaf(site: Site, item: Item, pairs: Pairs) -> None:
    rows, copies = [r for r, _ in pairs], [c for _, c in pairs]
    segment = copies[0].segments[-1] if copies[0].segments else ""
    attribute = member(segment) if segment else None
    made, ins = _member(site.scope, item, pairs)
    if made.constructor is not None and attribute is not None:
        site.scope.unit.claim(segment, item)
        site.init.append(set_member(segment, made.constructor))
        site.init += site.scope.unit.whole.inits.member_init(site.scope, rows, copies, attribute)
    for c in copies:
        site.scope.unit.made[id(c)] = Place(attribute, item, made)
    _apply(site, item, pairs, attribute, made, ins)


def _apply(
    site: Site, item: Item, pairs: Pairs, attribute: ast.expr | None, made: Made,
    ins: list[Flow | None],
) -> None:  # fmt: skip
    """The steps that call a member, and what they define."""
    anchor = site.scope.unit.anchor
    outs = made.apply(attribute, ins, site.steps, hint_of(item), anchor)
    for key, flow in zip(pairs[0][1].outs, outs, strict=True):
        define([r for r, _ in pairs], [c.outs[key] for _, c in pairs], flow)


def _call_group(
    site: Site, item: Item, rows: list[Row], attribute: ast.expr, crossing: Any, hint: str,
    sizes: list[list[Any]],
) -> None:  # fmt: skip
    """Calls the class of a group on what crosses its edge."""
    captures, exports = crossing
    ins = [lookup(rows, [c[j] for c in captures]) for j in range(len(captures[0]))]
    outs = [Flow(s, hint if not j or not hint else f"{hint}{j}") for j, s in enumerate(sizes)]
    if outs:
        args = (batched(v, ins, site.scope.unit.anchor) for v in ins)
        site.steps.append(Assign(list(outs), call(attribute, *args)))
    for j, out in enumerate(outs):
        define(rows, [e[j] for e in exports], out)


# ---------------------------------------------------------------- named groups


def _framed(site: Site, item: Item, pairs: Pairs) -> None:
    """A group under a name: an nn.Sequential, a class, or written out."""
    rows, copies = [r for r, _ in pairs], [c for _, c in pairs]
    segment, whole, unit = copies[0].segments[-1], site.scope.unit.whole, site.scope.unit
    attribute = member(segment)
    frames = [whole.frames[id(c)] for c in copies]
    if frames[0].outward:
        _written_out(site, item, pairs, segment)
        return
    bodies = [c.body for c in copies if c.body is not None and not links.merges(c)]
    if (
        len(bodies) == len(copies)
        and all(_unary(f, c) for f, c in zip(frames, copies, strict=True))
        and links.is_chain(whole, bodies)
    ):
        unit.claim(segment, item)
        takes, gives = [c.ins[0] for c in copies], [must(c.out) for c in copies]
        _sequential(
            site, list(zip(rows, bodies, strict=True)), takes, gives, segment, hint_of(item)
        )
        site.init += whole.inits.group_init(site.scope, bodies, attribute)
        for c in copies:
            unit.made[id(c)] = Place(attribute, item)
        return
    if not any(f.exports for f in frames):
        return  # nothing inside is there: what comes out is what went in
    parts: list[tuple[Row, Any]] = list(pairs)
    value, sizes = group(site.scope, item, parts, segment)
    site.init.append(set_member(segment, value))
    unit.claim(segment, item)
    crossing = (
        [list(f.captures.values()) for f in frames],
        [list(f.exports.values()) for f in frames],
    )
    _call_group(site, item, rows, attribute, crossing, hint_of(item), sizes)
    for c in copies:
        unit.made[id(c)] = Place(attribute, item)


def _unary(frame: Any, copy: Copy) -> bool:
    ins, outs = list(frame.captures.values()), list(frame.exports.values())
    return (
        len(ins) == 1
        and ins[0] is copy.ins[0]
        and copy.body is not None
        and (not outs or (len(outs) == 1 and outs[0] is copy.out))
        and copy.body.output is copy.out
    )


def _sequential(
    site: Site, pairs: list[tuple[Row, Body]], takes: Sequence[Value | None],
    gives: Sequence[Value], segment: str, hint: str,
) -> None:  # fmt: skip
    """Paths that are chains, as one nn.Sequential: made, called, its result known."""
    rows = [r for r, _ in pairs]
    cur = lookup(rows, takes)
    value, out = container(
        site.scope, pairs, segment, site.init, cur, attribute=segment.isidentifier()
    )
    if render(value) != f"self.{segment}":
        site.init.append(set_member(segment, value))
    site.scope.unit.members.add(segment)
    result = Flow(out.sizes, hint)
    given = batched(cur, [], site.scope.unit.anchor)
    site.steps.append(Assign([result], call(member(segment), given)))
    define(rows, gives, result)


# ---------------------------------------------------------------- residuals and branches


def merged(site: Site, item: Item, pairs: Pairs) -> None:
    """A residual or branches: its paths, then the merge."""
    rows, copies = [r for r, _ in pairs], [c for _, c in pairs]
    first = copies[0]
    if first.branches:
        for k in range(len(first.branches)):
            _branch(site, rows, [c.branches[k] for c in copies])
        paths = [[must(c.branches[k].output) for c in copies] for k in range(len(first.branches))]
        _join(site, rows, copies, paths, site.steps)
        return
    if len({c.plain for c in copies}) == 1:
        _holding(site.scope, item.shortcut_when, pairs)
    body(site, [(r, c.body) for r, c in pairs if c.body is not None])
    open_pairs = [(r, c) for r, c in pairs if not c.plain]
    asked = False
    if isinstance(item.shortcut_when, Expr):
        prev = lookup(rows, [c.ins[0] for c in copies])
        asked = conditions.open_ended(site.scope, item.shortcut_when, rows[0], first, prev)
    if not open_pairs:
        if asked and not item.shortcut:
            _never_merged(site, item, pairs)
            return
        for r, c in pairs:
            _alias([r], [c.body.output if c.body else None], [c.out])
        return
    init: list[Stmt] = []
    steps: list[Step] = []
    orows, ocopies = [r for r, _ in open_pairs], [c for _, c in open_pairs]
    if any(c.shortcut is not None for c in ocopies):
        shorts = [(r, c.shortcut) for r, c in open_pairs if c.shortcut is not None]
        body(Site(site.scope, init, steps), shorts)
    main = [must(c.body.output) for c in ocopies if c.body is not None]
    short = [must(c.shortcut.output if c.shortcut is not None else c.ins[0]) for c in ocopies]
    concat = ocopies[0].layer is not None and ocopies[0].layer.op == "concat"
    _join(
        Site(site.scope, init, steps),
        orows,
        ocopies,
        [short, main] if concat else [main, short],
        steps,
    )
    if len(open_pairs) == len(pairs) and not asked:
        site.init += init
        site.steps += steps
        return
    then = lookup(orows, [must(c.out) for c in ocopies])
    _maybe_merged(site, item, pairs, (init, steps), then)


def _never_merged(site: Site, item: Item, pairs: Pairs) -> None:
    """A residual that no instance merges, though at other arguments of the class it would."""
    rows, copies = [r for r, _ in pairs], [c for _, c in pairs]
    main = [must(c.body.output) for c in copies if c.body is not None]
    ins = [lookup(rows, main), lookup(rows, [c.ins[0] for c in copies])]
    kind = main[0].type
    assert kind is not None
    layer = create(item.merge or "add", {})
    if layer.op == "concat":
        ins.reverse()
    made = layer.call(kind, kind)
    free = {a.name or "": literal(a.value) for a in made.free}
    anchor = site.scope.unit.anchor
    refs = {
        f"x{j}": v.ref if made.broadcast else batched(v, ins, anchor) for j, v in enumerate(ins)
    }
    then = Flow(ins[0].sizes if layer.op != "concat" else ins[1].sizes)
    value = rebuilt(parsed(made.forward), {**free, **refs}.get)
    steps: list[Step] = [Assign([then], value, inner=True, merge=True)]
    _maybe_merged(site, item, pairs, ([], steps), then)


def _maybe_merged(
    site: Site, item: Item, pairs: Pairs, made: tuple[list[Stmt], list[Step]], then: Flow
) -> None:
    """`shortcut_when` that holds in some instances only; `then` is what is merged."""
    init, steps = made
    rows, copies = [r for r, _ in pairs], [c for _, c in pairs]
    here = [not c.plain for c in copies]
    prev = lookup(rows, [c.ins[0] for c in copies])
    found: Any = None
    if isinstance(item.shortcut_when, Expr):
        try:
            shape = prev.at(rows[0], dims(copies[0].ins[0]))
            found = site.scope.symbolic(item.shortcut_when, rows[0], copies[0], shape)
        except FAILURES:
            found = None
    test = site.scope.say(rows, found, here, "with_shortcut")
    other = lookup(rows, [must(c.body.output) for c in copies if c.body is not None])
    values = [must(c.out) for c in copies]
    out = Flow(conditions.join(rows, values, then, other))
    out.batchless = then.batchless
    if then.batchless != other.batchless:
        raise PlainError("a batch axis that is there in some instances only")
    if init:
        site.init.append(If(test, init))
    asked = site.scope.unit.attribute(test, "use_shortcut")
    site.steps.append(Either(asked, steps, out, then, other))
    define(rows, values, out)


def _branch(site: Site, rows: list[Row], bodies: list[Body]) -> None:
    segment, unit, whole = bodies[0].segment, site.scope.unit, site.scope.unit.whole
    pairs = list(zip(rows, bodies, strict=True))
    if segment is not None and unit.inline:
        _place(unit, whole.paths[id(bodies[0])], call("nn.Module"), site.init)
    if segment is None or unit.inline:
        body(site, pairs)
        return
    frames = [whole.frames[id(b)] for b in bodies]
    if frames[0].outward:
        unit.members.add(segment)
        site.init.append(set_member(segment, call("nn.Module")))
        unit.inline.append(Inline(whole.paths[id(bodies[0])], (segment,), True))
        body(site, pairs)
        unit.inline.pop()
        return
    if not any(f.exports for f in frames):
        return  # nothing inside is there
    single = all(
        len(f.captures) == 1 and b.input is next(iter(f.captures.values())) and len(f.exports) <= 1
        for f, b in zip(frames, bodies, strict=True)
    )
    if single and links.is_chain(whole, bodies):
        takes, gives = [must(b.input) for b in bodies], [must(b.output) for b in bodies]
        _sequential(site, pairs, takes, gives, segment, segment)
    else:
        item = bodies[0].items[0].item
        parts: list[tuple[Row, Any]] = list(pairs)
        value, sizes = group(site.scope, item, parts, segment)
        site.init.append(set_member(segment, value))
        crossing = (
            [list(f.captures.values()) for f in frames],
            [list(f.exports.values()) for f in frames],
        )
        _call_group(site, item, rows, member(segment), crossing, segment, sizes)
    unit.members.add(segment)


def _join(
    site: Site, rows: list[Row], copies: list[Copy], paths: list[list[Value]], steps: list[Step]
) -> None:
    ins = [lookup(rows, values) for values in paths]
    flow, step = merge(site.scope, rows, copies, ins, paths)
    steps.append(step)
    define(rows, [must(c.out) for c in copies], flow)


def _alias(rows: list[Row], values: Sequence[Value | None], others: Sequence[Value | None]) -> None:
    for row, value, other in zip(rows, values, others, strict=True):
        if value is not None and other is not None and value is not other:
            for flow in list(row.vals.get(id(value), [])):
                define([row], [other], flow)


# ---------------------------------------------------------------- repeats


def _repeat(site: Site, item: Item, column: list[tuple[Row, Occurrence]]) -> None:
    """A repeat in forward: a container under its id, or its copies one by one."""
    rows = [r for r, _ in column]
    copies = [[c for c in o.copies if c is not None] for _, o in column]
    if not any(copies):
        return
    segment, whole = column[0][1].name, site.scope.unit.whole
    frames = [whole.frames.get(id(c)) for cs in copies for c in cs]
    outward = any(f is not None and f.outward for f in frames)
    if segment is not None and any(o.name != segment for _, o in column):
        raise PlainError("the names differ between instances")
    if segment is not None and (site.scope.unit.inline or outward):
        _copies_inlined(site, item, rows, copies, segment)
        return
    if segment is not None and not all(copies):
        raise PlainError("the repeat is empty in some instances")
    if segment is not None and item.tap is None:
        _contained(site, item, rows, copies, segment)
        return
    _one_by_one(site, item, rows, copies)


def _one_by_one(site: Site, item: Item, rows: list[Row], copies: list[list[Copy]]) -> None:
    """Each copy as if it were written out."""
    same_count(rows, copies)
    scope = site.scope.without(own_names(item))
    for k in range(len(copies[0])):
        here = [(r.below(), c[k]) for r, c in zip(rows, copies, strict=True)]
        _copy(Site(scope, site.init, site.steps), item, here)


def same_count(rows: list[Row], copies: list[list[Copy]]) -> None:
    """Raises PlainError where the instances differ in the number of copies."""
    counts = [len(c) for c in copies]
    if len(set(counts)) > 1:
        apart = apart_from_first(rows, counts)
        raise PlainError("the number of copies differs between instances", apart)


def _contained(
    site: Site, item: Item, rows: list[Row], copies: list[list[Copy]], segment: str
) -> None:
    """Copies under an id: an nn.Sequential that is called, or a list of modules."""
    unit = site.scope.unit
    if not all(links.is_line(unit.whole, cs) for cs in copies):
        _module_list(site, item, rows, copies, segment)
        return
    attribute = member(segment)
    starts = [c[0].ins[0] for c in copies]
    cur = lookup(rows, starts)
    sink = Positional(unit, segment)
    with apart(rows, starts, cur):
        out = repeated(site.scope, item, rows, copies, sink, site.init, cur)
    site.init.append(set_member(segment, sink.finish()))
    unit.members.add(segment)
    result = Flow(out.sizes, hint_of(item))
    given = batched(cur, [], unit.anchor)
    site.steps.append(Assign([result], call(attribute, given)))
    define(rows, [must(c[-1].out) for c in copies], result)
    for cs in copies:
        for k, c in enumerate(cs):
            unit.made[id(c)] = Place(ast.Subscript(attribute, ast.Constant(k)), item)


def _module_list(
    site: Site, item: Item, rows: list[Row], copies: list[list[Copy]], segment: str
) -> None:
    """A ModuleList; its modules are called in a loop or one by one."""
    unit, attribute = site.scope.unit, member(segment)
    unit.members.add(segment)
    if len({len(c) for c in copies}) > 1:
        _alike_list(site, item, rows, copies, segment)
        return
    elements: list[ast.expr] = []
    calls: list[list[Step]] = []
    scope = site.scope.without(own_names(item))
    for k in range(len(copies[0])):
        here = [(r.below(), c[k]) for r, c in zip(rows, copies, strict=True)]
        init: list[Stmt] = []
        steps: list[Step] = []
        at = ast.Subscript(attribute, ast.Constant(k))
        elements.append(_element(Site(scope, init, steps), item, here, at))
        site.init += init
        calls.append(steps)
    made: ast.expr = ast.List(elements)
    if len(elements) > 1 and len({render(e) for e in elements}) == 1:
        count = count_of(site.scope, item, rows, copies)
        made = comprehension(elements[0], "_", call("range", count))
    site.init.append(set_member(segment, call("nn.ModuleList", made)))
    looped = None
    if len(elements) > 1 and all(links.private(unit.whole, cs) for cs in copies):
        looped = _looped(attribute, calls)
    if looped is None:
        for s in calls:
            site.steps += s
        return
    site.steps.append(looped)
    out = looped.out
    assert isinstance(out, Flow)
    define(rows, [must(c[-1].out) for c in copies], out)


def _alike_list(
    site: Site, item: Item, rows: list[Row], copies: list[list[Copy]], segment: str
) -> None:
    """A ModuleList of copies that are alike, as many as an argument says."""
    unit, attribute = site.scope.unit, member(segment)
    if any(links.tail_alike(cs) > 1 or not links.private(unit.whole, cs) for cs in copies):
        same_count(rows, copies)
    scope = site.scope.without(own_names(item))
    made: list[ast.expr] = []
    calls: list[list[Step]] = []
    for k in range(min(2, max(len(c) for c in copies))):
        here = [(r.below(), c[k]) for r, c in zip(rows, copies, strict=True) if len(c) > k]
        inner = Site(scope, [], [])
        at = ast.Subscript(attribute, ast.Constant(k))
        made.append(_element(inner, item, here, at))
        calls.append(inner.steps)
        if k == 0:
            site.init += inner.init
    looped = _looped(attribute, calls)
    if looped is None or len({render(m) for m in made}) > 1:
        same_count(rows, copies)
        return
    count = count_of(site.scope, item, rows, copies)
    each = comprehension(made[0], "_", call("range", count))
    site.init.append(set_member(segment, call("nn.ModuleList", each)))
    site.steps.append(looped)
    last = [must(c[-1].out) for c in copies]
    assert isinstance(looped.out, Flow)
    shape = looped.out.at(rows[0], dims(last[0]))
    looped.out.sizes = sizes_of(rows, shape, last)
    define(rows, last, looped.out)


def _element(site: Site, item: Item, pairs: Pairs, at: ast.expr) -> ast.expr:
    """One module of a list, and the steps that call it."""
    rows, copies = [r for r, _ in pairs], [c for _, c in pairs]
    first, unit = copies[0], site.scope.unit
    if first.shared is not None:
        raise PlainError("a repeated use of shared weights")
    if first.body is None and not first.branches:
        ins = flows_of(rows, copies)
        if first.instance is not None:
            made = block(site.scope, item, rows, copies, ins)
        else:
            made = op(site.scope, item, rows, copies, ins)
        for c in copies:
            unit.made[id(c)] = Place(at, item, made)
        _apply(site, item, pairs, at, made, ins)
        return made.constructor if made.constructor is not None else call("nn.Identity")
    frames = [unit.whole.frames[id(c)] for c in copies]
    if not any(f.exports for f in frames):
        return call("nn.Identity")
    bodies = [c.body for c in copies if c.body is not None and not links.merges(c)]
    hint = hint_of(item) or words_of(item)
    crossing = (
        [list(f.captures.values()) for f in frames],
        [list(f.exports.values()) for f in frames],
    )
    if (
        len(bodies) == len(copies)
        and all(_unary(f, c) for f, c in zip(frames, copies, strict=True))
        and links.is_chain(unit.whole, bodies)
    ):
        cur = lookup(rows, [c.ins[0] for c in copies])
        inner = list(zip(rows, bodies, strict=True))
        value, out = container(site.scope, inner, hint, site.init, cur)
        sizes = [out.sizes]
    else:
        parts: list[tuple[Row, Any]] = list(pairs)
        value, sizes = group(site.scope, item, parts, hint)
    for c in copies:
        unit.made[id(c)] = Place(at, item)
    _call_group(site, item, rows, at, crossing, hint_of(item), sizes)
    return value


def _looped(attribute: ast.expr, calls: list[list[Step]]) -> Loop | None:
    """The calls as a loop, where each round differs from the next by what is carried alone."""
    rounds = [s[0] for s in calls if len(s) == 1 and isinstance(s[0], Assign)]
    if not rounds or len(rounds) != len(calls) or any(len(r.outs) != 1 for r in rounds):
        return None
    values = [r.value for r in rounds if isinstance(r.value, ast.Call) and not r.value.keywords]
    if len(values) != len(rounds) or not all(isinstance(v.func, ast.Subscript) for v in values):
        return None
    given = [[render(a) for a in v.args] for v in values]
    if any(not a for a in given) or len({tuple(a[1:]) for a in given}) > 1:
        return None
    carried = [a[0] for a in given]
    if carried[1:] != [render(r.outs[0].ref) for r in rounds[:-1]]:
        return None
    if any(c in a[1:] for c, a in zip(carried, given, strict=True)):
        return None
    layer, inside, end = Flow((), "layer"), Flow(), Flow()
    layer.named = True
    start, out = Flow(), Flow((), rounds[-1].outs[0].hint)
    first = values[0].args[0]
    if not isinstance(first, ast.Name):
        return None
    start.id = int(first.id[1:])
    last = rounds[-1].outs[0]
    out.sizes = list(last.sizes) if isinstance(last, Flow) else []
    step = Assign([end], call(layer.ref, inside.ref, *values[0].args[1:]))
    return Loop(layer, attribute, [step], inside, start, end, out)


# ---------------------------------------------------------------- shared, and written out


def _again(site: Site, item: Item, pairs: Pairs) -> None:
    """An earlier op, call or group once more."""
    rows, copies = [r for r, _ in pairs], [c for _, c in pairs]
    unit, first = site.scope.unit, copies[0]
    if first.layer is not None and first.layer.op == "identity":
        for r, c in pairs:
            _alias([r], [c.ins[0]], [c.out])
        return
    place = _owner(unit, copies)
    attribute = place.attribute if place is not None else _reached(unit, copies)
    if first.body is not None or first.branches:
        _group_again(site, item, pairs, attribute)
        return
    ins = flows_of(rows, copies)
    if first.instance is not None:
        made = called_again(site.scope, place.item if place else item, rows, copies, ins)
    else:
        layer = place.made.layer if place is not None and place.made is not None else None
        made = op(site.scope, item, rows, copies, ins, layer=layer)
    _apply(site, item, pairs, attribute, made, ins)


def _group_again(site: Site, item: Item, pairs: Pairs, attribute: ast.expr | None) -> None:
    """A group once more: its module, or where it was written out, its members."""
    rows, copies = [r for r, _ in pairs], [c for _, c in pairs]
    unit, whole = site.scope.unit, site.scope.unit.whole
    frames, owners = (
        [whole.frames[id(c)] for c in copies],
        [whole.frames[id(c.shared)] for c in copies],
    )
    if not any(f.exports for f in frames):
        return
    crossing = [(len(f.captures), len(f.exports)) for f in frames]
    if owners[0].outward or crossing != [(len(o.captures), len(o.exports)) for o in owners]:
        path = _path(unit, copies)
        unit.inline.append(Inline(whole.paths[id(copies[0])], path, False))
        _inlined(site, item, pairs)
        unit.inline.pop()
        return
    captures = [list(f.captures.values()) for f in frames]
    exports = [list(f.exports.values()) for f in frames]
    outs = [[e[j] for e in exports] for j in range(len(exports[0]))]
    shapes = [sizes_of(rows, dims(vs[0]), vs) for vs in outs]
    # of space they are those of the tensors: what went in need not be what went in before
    sizes = [[n if a == 0 and len(s) > 2 else None for a, n in enumerate(s)] for s in shapes]
    assert attribute is not None
    _call_group(site, item, rows, attribute, (captures, exports), hint_of(item), sizes)


def _owner(unit: Unit, copies: list[Copy]) -> Place | None:
    found = [p for c in copies if isinstance(p := unit.made.get(id(c.shared)), Place)]
    if len(found) < len(copies):
        return None
    if len({render(p.attribute) if p.attribute is not None else "" for p in found}) > 1:
        raise PlainError("different modules are shared")
    return found[0]


def _reached(unit: Unit, copies: list[Copy]) -> ast.expr:
    """The module whose weights are used again, by its path."""
    return call("self.get_submodule", ast.Constant(".".join(_path(unit, copies))))


def _path(unit: Unit, copies: list[Copy]) -> tuple[str, ...]:
    paths = {unit.whole.paths[id(c.shared)] for c in copies}
    if len(paths) > 1:
        raise PlainError("different modules are shared")
    path = paths.pop()
    if path[: len(unit.base)] != unit.base:
        raise PlainError("weights shared with a module outside this part")
    return path[len(unit.base) :]


def _written_out(site: Site, item: Item, pairs: Pairs, segment: str) -> None:
    """A group with a use of weights from outside it: no class of its own."""
    unit = site.scope.unit
    unit.members.add(segment)
    site.init.append(set_member(segment, call("nn.Module")))
    unit.inline.append(Inline(unit.whole.paths[id(pairs[0][1])], (segment,), True))
    if links.merges(pairs[0][1]):
        merged(site, item, pairs)
    else:
        body(site, [(r, c.body) for r, c in pairs if c.body is not None])
    unit.inline.pop()


def _copies_inlined(
    site: Site, item: Item, rows: list[Row], copies: list[list[Copy]], segment: str
) -> None:
    """Copies under an id, one by one, in a class around them."""
    unit = site.scope.unit
    fresh = not unit.inline
    base = unit.whole.paths[id(next(c for cs in copies for c in cs))][:-1]
    if fresh:
        unit.members.add(segment)
        site.init.append(set_member(segment, call("nn.Module")))
        unit.inline.append(Inline(base, (segment,), True))
    else:
        _place(unit, base, call("nn.Module"), site.init)
    _one_by_one(site, item, rows, copies)
    if fresh:
        unit.inline.pop()


def _inlined(site: Site, item: Item, pairs: Pairs) -> None:
    """One copy in a group that is written out in this class."""
    first, unit = pairs[0][1], site.scope.unit
    path = unit.whole.paths[id(first)]
    if first.body is None and not first.branches:
        made, ins = _member(site.scope, item, pairs)
        attribute = _place(
            unit, path, made.constructor, site.init, parameter=item.op == "parameter"
        )
        for _, c in pairs:
            unit.made[id(c)] = Place(attribute, item, made)
        _apply(site, item, pairs, attribute, made, ins)
        return
    if first.segments and len(path) > len(unit.inline[-1].base):
        _place(unit, path, call("nn.Module"), site.init)
    if links.merges(first):
        merged(site, item, pairs)
    else:
        body(site, [(r, c.body) for r, c in pairs if c.body is not None])


def _place(
    unit: Unit, path: tuple[str, ...], constructor: ast.expr | None, init: list[Stmt], *,
    parameter: bool = False,
) -> ast.expr:  # fmt: skip
    """How a member of such a group is reached; where it belongs here, it is made."""
    mode = unit.inline[-1]
    full = (*mode.module, *path[len(mode.base) :])
    if mode.make and constructor is not None:
        owner = call("self.get_submodule", ast.Constant(".".join(full[:-1])))
        how = "register_parameter" if parameter else "add_module"
        init.append(Line(call(ast.Attribute(owner, how), ast.Constant(full[-1]), constructor)))
    reach = "self.get_parameter" if parameter else "self.get_submodule"
    return call(reach, ast.Constant(".".join(full)))
