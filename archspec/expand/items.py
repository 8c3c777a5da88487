"""Items of a block → occurrences: unrolling, naming, wiring and shapes in one walk.

All that goes further in is here, from an instance to the copies of its items and back:

    instance → body → occurrence → copy → an op                              (ops.py)
                                        → a group: body → …, once for each path
                                        → a call: instance → …               (calls.py)
                                        → `shared`: one of these once more   (shared.py)

    {repeat: 2, conv: 8} on a line of [3, 32, 32] is one occurrence with two copies: conv1 gives
    [8, 30, 30] for 3 channels in, conv2 [8, 28, 28] for 8, and that flows on to the next item.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing

from archspec.expand import calls, cut, mismatch, needed, ops, shared, ties, wiring
from archspec.expand.names import Again, Frame, Named, Spot
from archspec.expand.namespace import Callee
from archspec.expand.origin import Around, Link
from archspec.expand.plan import BRANCHES, CALL, OP, RESIDUAL, SHARED, Plan, has_expression
from archspec.expand.repeats import Columns, Count, copies, environment
from archspec.expand.state import (
    INSTANCE,
    MANY,
    NAMED,
    ONCE_MORE,
    Env,
    HiddenError,
    TooLargeError,
    deeper,
    frozen,
)
from archspec.expand.tree import ALL, Asked, Body, Copy, Instance, Occurrence, Value, hides, types
from archspec.expand.walk import Made, Walk
from archspec.expand.wiring import Inputs
from archspec.expressions import Loop
from archspec.language import Branch, Item
from archspec.layers import Mismatch
from archspec.layers.base import TensorType

Kinds = Mapping[str, "TensorType | None"]  # of the inputs that are given, by name
Step = tuple[Copy | None, Value | None, Value | None]  # a copy, its value, and what flows on


# ---------------------------------------------------------------- instances


def instance(callee: Callee, args: Env, kinds: Kinds, asked: Asked = ALL) -> Instance:
    """The instance of a block; equal calls share one. Raises LimitError."""
    block, file = callee
    state = file.state
    given = tuple((name, id(kind)) for name, kind in kinds.items())
    key = (id(block), frozen(args), file.seen_by(callee), given, asked)
    found = state.instances.get(key)
    if found is not None:
        return found
    if key in state.instances:
        message = f"`{block.name}` calls itself with the same arguments and inputs, without end"
        call = state.links[-1].item
        raise state.stop("E407", message, call.key, "end the recursion with `when`")
    state.worked(INSTANCE, state.links[-1].item.loc if state.links else block.loc)
    state.instances[key] = None
    state.kept += (block, *kinds.values())
    around, made = file.document, state.made
    if callee.whole:
        file.document = args
    try:
        found = state.instances[key] = _instance(callee, args, kinds, asked)
    finally:
        file.document, state.made = around, made
    return found


def _instance(callee: Callee, args: Env, kinds: Kinds, asked: Asked) -> Instance:
    (block, file), state = callee, callee.file.state
    inputs = {name: Value(kind) for name, kind in kinds.items()}
    spec = file.spec if callee.whole else None
    init = state.fillers(spec.init, args) if spec is not None else None
    env = args | calls.received(block, {n: state.seen(value) for n, value in inputs.items()})
    walk = Walk(file, inputs, block.items, env)
    state.made = walk.made
    names = calls.named_inputs(block, inputs)
    with closing(Frame(None, numbered=block.numbered, names=names)) as walk.top:
        walk.ends = cut.paths(walk, block.cut)
        first = next(iter(inputs.values()), None)
        if len(block.items) > state.limits.nodes:  # most of a long text is not walked in vain
            least = Count(state).least(block.items, env)
            if least > state.limits.nodes:
                raise state.too_many(least, block.items[state.limits.nodes].loc)
        faults = len(state.faults)
        spot = Spot(env, walk.top, first, before=names[block.inputs[0]])
        inner = _path(walk, block.items, spot)
        cut.opened(walk, (*walk.ends, *asked.taps), _remade)
        cut.mark(walk, inner, asked.frozen, _remade)
        ties.resolve(walk, inner)
        outputs, training = calls.outputs(walk, block, inner)
        inside = cut.taps(walk, asked.taps, outputs)
        if asked.outputs is not None:
            outputs = {name: value for name, value in outputs.items() if name in asked.outputs}
        training &= set(outputs)
        found = Instance(
            block, args, inputs, inner, outputs, training, spec, init, walk.size, walk.steps
        )
        found.origin = file if callee.whole else None
        found.asked, found.taps = asked, inside
        if walk.missing:
            _missing(walk, found, new=len(state.faults) > faults)
        if len(state.faults) == faults and not hides((*inputs.values(), *found.flows_out())):
            _leave_out(walk, found, callee)
        return found


def _missing(walk: Walk, found: Instance, *, new: bool) -> None:
    """Notes what absent items pass on, though there is none, where anything takes it."""
    used = {value for made in walk.made for value in made.copy.taken()}
    used.update(found.flows_out())
    hidden = not new and hides(found.flows_out())  # taken in a way that hides it
    for value, fault in walk.missing.items():
        if hidden or value in used:
            walk.state.again(fault)


def _leave_out(walk: Walk, found: Instance, callee: Callee) -> None:
    """What no output needs: where a network is cut it falls away, else it is a fault."""
    read: set[Value | None] = set(found.flows_out())
    dead: list[Made] = []  # from the last
    spare: set[Value] = set()
    for made in reversed(walk.made):
        asked = [name for name, value in made.copy.outs.items() if value in read]
        if not asked and made.copy not in walk.used:
            dead.append(made)
            continue
        read.update(made.copy.taken())
        spare.update(_unasked(walk, found, made.copy, asked))
        cut.taken(walk, made.copy, asked)
    used = found.asked.taps or (callee.whole and callee.file.used)
    if (dead and (used or walk.state.untrained)) or spare:
        needed.prune(found, dead, spare)
    elif dead:
        needed.complain(walk, found, dead)


def _unasked(walk: Walk, around: Instance, copy: Copy, asked: list[str]) -> set[Value]:
    """What a call no longer gives, since nobody asks for it.

    Taps for training of a used file; what a block gave before it was cut.
    """
    old, given = copy.instance, {*copy.outs.values()}
    if old is None:
        return set()
    spare = set(old.training if old.spec is not None else ())
    spare |= set(old.outputs if old.asked.taps else ())
    gone = spare.difference(calls.named(old, asked))
    if gone:
        kept = frozenset(old.outputs.keys() - gone)
        _remade(walk, copy, old.asked._replace(outputs=kept))
        around.size = walk.size
    return given.difference(copy.outs.values())


def _remade(walk: Walk, copy: Copy, asked: Asked) -> None:
    """The call's instance, with what is asked of it now."""
    old = copy.instance
    assert old is not None
    callee = walk.namespace.block(old.block.name)
    kinds = {name: value.type for name, value in old.inputs.items()}
    copy.instance = instance(callee, dict(copy.args), kinds, asked)
    outs = calls.outside(copy.instance)
    copy.outs = {name: copy.outs.get(name, value) for name, value in outs.items()}
    if copy.out not in copy.outs.values():
        copy.out = calls.flowing(copy.instance, copy.outs)
    walk.size += copy.instance.size - old.size


# ---------------------------------------------------------------- bodies


def _path(walk: Walk, items: tuple[Item, ...], spot: Spot) -> Body:
    """The items of one path, from what flows in; the spot's `label` names a single item."""
    found: list[Occurrence] = []
    line, before = spot.line, spot.before
    for item in items:
        if walk.over:
            found.append(Occurrence(item, () if item.repeat is not None else (None,), None))
            continue
        here = Spot(spot.env, spot.frame, line, spot.label, before=before)
        occurrence, line = _occurrence(walk, walk.state.plan(item), here)
        found.append(occurrence)
        before = _last(occurrence) or before
        if line is None:
            walk.offer(before)
        walk.over = cut.over(walk)
    return Body(tuple(found), spot.line, line, spot.frame.numbered)


def _last(occurrence: Occurrence) -> Copy | None:
    """The last copy of an item that stands on the line: `prev.…` of the next leads into it."""
    copies = reversed(occurrence.copies if occurrence.item.tap is None else ())
    return next((c for c in copies if c is not None and (c.ins or c.instance is not None)), None)


def _occurrence(walk: Walk, plan: Plan, spot: Spot) -> tuple[Occurrence, Value | None]:
    """One item with all its copies, and what flows on after it."""
    if plan.item.repeat is not None:
        return _repeated(walk, plan, spot)
    if plan.item.id is not None:
        spot.label = walk.label(plan, spot.env)
    name = spot.label
    copy, out, line = _copy(walk, plan, spot)
    out, line = _expected(walk, plan, [copy], out, line)
    return Occurrence(plan.item, (copy,), out, name), line


def _repeated(walk: Walk, plan: Plan, spot: Spot) -> tuple[Occurrence, Value | None]:
    """An item with `repeat`: its copies one after the other."""
    item = plan.item
    try:
        count, columns = _counted(walk, plan, spot)
    except HiddenError:  # it still answers for its id
        hidden = Value(None)
        name = spot.label or plan.ident
        if name is None and (plan.labels is not None or item.items or item.branches):
            name = walk.nameless()
        if name is not None:
            spot.frame.claim(name, Named(hidden, absent=True))
        return Occurrence(item, (), hidden), spot.line if item.tap else hidden
    _bound(walk, plan, spot.env, count)
    name = spot.label or (None if plan.apart else walk.label(plan, spot.env))
    series: Named | None = None
    here = Spot(spot.env, spot.frame, spot.line, before=spot.before)
    if name is not None:
        here.frame, here.prefix = spot.frame.inside(name, numbered=True), (name,)
        series = Named(frame=here.frame, absent=True, tap=item.tap is not None)
        spot.frame.claim(name, series)
    found, out, line = _copies(walk, plan, here, count, columns)
    out, line = _expected(walk, plan, found, out, line)
    if series is not None and name is not None:
        series.out = out
        series.absent = all(copy is None for copy in found)
        if not series.absent and spot.frame.names.get(name) is not series:
            walk.claim(spot.frame, name, series, plan)
    line = spot.line if item.tap is not None else line
    return Occurrence(item, tuple(found), out, name), line


def _counted(walk: Walk, plan: Plan, spot: Spot) -> tuple[int, Columns]:
    """How many copies, with what columns; none where `when` says so. Raises HiddenError."""
    item, state = plan.item, walk.state
    with state.aside() as faults:
        try:
            found = copies(state, item, spot.env)
        except HiddenError:
            found = None
    if found is not None:
        return found
    own = {"loop", *(item.repeat.columns if item.repeat is not None else ())}
    asked = item.when is not True and plan.asks.isdisjoint(own)
    if asked and walk.there(plan, spot, walk.first(plan, spot)) is False:
        return 0, {}
    for fault in faults:
        state.again(fault)
    raise HiddenError


def _copies(
    walk: Walk, plan: Plan, spot: Spot, count: int, columns: Columns
) -> tuple[list[Copy | None], Value | None, Value | None]:
    """The copies of a repeat, the value of the last, and what flows out of it."""
    item, state = plan.item, walk.state
    found: list[Copy | None] = []
    total = walk.total(plan, count)
    before = spot.before
    out = line = spot.line if count else _passed(walk, plan, spot)
    state.links.append(link := Link(item, 0, count))
    for index in range(count):
        link.index = index
        env = environment(spot.env, columns, index)
        state.worked(len(env) // MANY, item.loc)
        env["loop"] = Loop(index, count, walk.serials[id(item)], total)
        walk.serials[id(item)] += 1
        label = walk.label(plan, env) if plan.apart and not spot.prefix else None
        here = Spot(env, spot.frame, line, label, spot.prefix, later=index > 0, before=before)
        copy, out, line = _copy(walk, plan, here, repeated=True)
        found.append(copy)
        before = copy or before
        if line is None:
            walk.offer(before)
        walk.over = cut.over(walk)
        if walk.over:
            found += [None] * (count - index - 1)
            break
    state.links.pop()
    return found, out, line


def _passed(walk: Walk, plan: Plan, spot: Spot) -> Value | None:
    """What an item without copies passes on: its first input, where its path is plain."""
    refs = plan.item.inputs
    return walk.first(plan, spot) if refs and not has_expression(refs[0].path) else spot.line


def _bound(walk: Walk, plan: Plan, env: Env, count: int) -> None:
    """Refuse before unrolling what would be too large. Raises LimitError."""
    state, item = walk.state, plan.item
    most = state.limits.nodes
    state.copies += count
    if walk.steps + count > state.limits.steps:
        asked = item.repeat.count if item.repeat is not None else count
        raise state.too_many(count, item.loc, asked) if count > most else state.too_long(item.loc)
    if not (state.links and state.links[-1].count):  # else the repeat around was counted with it
        least = Count(state).ops(item, env) if count <= most else count
        if walk.size + least > most:
            raise state.too_many(walk.size + least, item.loc)


def _expected(
    walk: Walk, plan: Plan, found: list[Copy | None], out: Value | None, line: Value | None
) -> tuple[Value | None, Value | None]:
    """The value of an item and what flows on; where `expect` is wrong, it hides what follows."""
    present = [copy for copy in found if copy is not None]
    if plan.item.expect is None or not present or walk.expected(plan, present[-1], out):
        return out, line
    hidden = Value(None)
    return hidden, hidden if line is out else line


# ---------------------------------------------------------------- one copy


def _copy(walk: Walk, plan: Plan, spot: Spot, *, repeated: bool = False) -> Step:
    """One copy (None where its `when` is false), its value, and what flows on."""
    item, state = plan.item, walk.state
    walk.step(item)
    if plan.dotted:
        walk.inward(plan, spot)
    if item.when is True:
        spot.given = walk.given(plan, spot)
        first = spot.first
    else:
        first = walk.first(plan, spot)
    # a tap never moves the line
    moves = item.tap is None or repeated
    copy, seen = None, {}
    there = walk.there(plan, spot, first)
    if there:
        if item.when is not True:
            spot.given = walk.given(plan, spot)
            first = spot.first
        seen = {} if plan.reads <= spot.env.keys() else walk.seen(plan.reads, plan, spot)
        outer, walk.tapped = walk.tapped, walk.tapped or item.tap == "train"
        copy = _make(walk, plan, spot)
        walk.tapped = outer
    if copy is None:  # absent, or `shared` with what is
        passed = first if there is not None else Value(None)  # of which nobody knows whether it is
        return _absent(plan, spot, passed, moves=moves)
    if seen:
        copy.env = {**copy.env, **seen}
    if item.freeze is not None or item.init is not None:
        env = {**walk.sight(plan, spot, first), **seen}
        still = state.frozen(item, env)
        if isinstance(still, list):
            cut.freeze(walk, copy, item, still, _remade)
        else:
            copy.freeze = still
        copy.init = state.fillers(item.init, env)
    # and what takes no input stands beside it
    moves = moves and (bool(copy.ins) or copy.instance is not None)
    return copy, copy.out, copy.out if moves else spot.line


def _absent(plan: Plan, spot: Spot, first: Value | None, *, moves: bool) -> Step:
    """What an item that is not there passes on: its first input."""
    if spot.label is not None:
        gone = Named(first or Value(None), absent=True, tap=plan.item.tap is not None)
        spot.frame.claim(spot.label, gone)
    return None, first, first if moves else spot.line


def _make(walk: Walk, plan: Plan, spot: Spot) -> Copy | None:
    """The copy of an item that is there."""
    if plan.kind == OP:
        return ops.make(walk, plan, spot)
    if plan.kind == CALL:
        return _call(walk, plan, spot)
    if plan.kind == SHARED:
        return _again(walk, plan, spot)
    return _group(walk, plan, spot, _entering(walk, plan, spot))


# ---------------------------------------------------------------- calls


def _call(walk: Walk, plan: Plan, spot: Spot) -> Copy:
    """A block call."""
    try:
        callee = calls.callee(walk, plan, spot)
    except HiddenError:
        return shared.hidden(plan, spot)
    ins = wiring.fed(walk.state, plan, callee.block.slots, spot.given)
    if callee.file is not walk.namespace:
        ins = mismatch.fitting(walk, plan, callee.file.spec, ins)
    args = calls.arguments(plan, callee, ins, walk.sight(plan, spot, spot.first))
    return _called(walk, plan, spot, callee, (args, ins))


def _called(walk: Walk, plan: Plan, spot: Spot, callee: Callee, fed: tuple[Env, Inputs]) -> Copy:
    """The copy of a call; `fed` are its arguments and its inputs."""
    args, ins = fed
    name = spot.name(callee.block.name.lower() if plan.kind == CALL else plan.word)
    called = callee.block, callee.file.spec
    around = Around(walk.made, walk.inputs, ins)
    walk.state.enter(Link(plan.item, 0, 0, args, (*spot.frame.path, name), called, around))
    made = instance(callee, args, {text: value.type for text, value in ins.items()})
    walk.state.leave()
    walk.step(plan.item, made.steps)
    outs = calls.outside(made)
    out = calls.flowing(made, outs)
    taken = tuple(ins.values())
    copy = Copy((*spot.prefix, name), spot.env, taken, outs, out, None, args, made)
    return walk.place(copy, plan, spot)


# ---------------------------------------------------------------- the same weights again


def _again(walk: Walk, plan: Plan, spot: Spot) -> Copy | None:
    """An earlier item once more, with its weights; None where that is absent."""
    walk.state.worked(ONCE_MORE, plan.item.loc)
    try:
        owner, again = shared.owner_of(walk, plan, spot)
    except HiddenError:
        return shared.hidden(plan, spot)
    if owner is None:
        return None
    if owner.instance is not None:
        callee = walk.namespace.block(owner.instance.block.name)
        ins = wiring.fed(walk.state, plan, callee.block.slots, spot.given)
        copy = _called(walk, plan, spot, callee, (dict(owner.args), ins))
    elif again is None:
        copy = ops.again(walk, plan, spot, owner)
    else:
        here = Spot(dict(owner.env), spot.frame, wiring.single(walk.state, plan, spot.given))
        here.label, here.prefix = spot.name(plan.word), spot.prefix
        copy = _group_again(walk, here, again)
    copy.shared = owner
    shared.agree(walk.state, plan, copy, owner)
    return copy


def _group_again(walk: Walk, spot: Spot, again: Again) -> Copy:
    """A group walked again: named under the new path, with the sight of where it was written."""
    now = {n: walk.serials[n] for n in again.serials}
    dict.update(walk.serials, again.serials)  # `loop.serial` is what it was: the same layers
    assert spot.line is not None
    copy = _named(walk, walk.state.plan(again.item), spot, spot.line, again.around)
    dict.update(walk.serials, now)
    return copy


# ---------------------------------------------------------------- groups


def _entering(walk: Walk, plan: Plan, spot: Spot) -> Value:
    """What enters a group. Where nothing flows, its items say what they take, each by `from`."""
    if spot.given or plan.kind == RESIDUAL or not walk.inputs:
        return wiring.single(walk.state, plan, spot.given)
    return next(iter(walk.inputs.values()))  # which none of them sees as `prev`


def _group(walk: Walk, plan: Plan, spot: Spot, value: Value) -> Copy:
    """A body, sequential, residual or branches that is there."""
    # what has no name of its own is transparent; in a `sequential` all but a `body` take a place
    placed = spot.frame.numbered and plan.item.op != "body"
    if spot.prefix or spot.label is not None or placed:
        return _named(walk, plan, spot, value, spot.frame)
    copy = Copy((), spot.env, (value,), {}, None)
    _fill(walk, plan, spot, copy, spot.frame)
    return copy


def _named(walk: Walk, plan: Plan, spot: Spot, value: Value, around: Frame) -> Copy:
    """A group with a path of its own, which sees the names of the frame `around`."""
    walk.state.worked(NAMED, plan.item.loc)
    name = spot.name(plan.word)
    path = (*spot.frame.path, name)
    frame = Frame(around, path, numbered=plan.item.op == "sequential")
    entry = Named(frame=frame)
    entry.again = Again(plan.item, around, {n: walk.serials[n] for n in plan.repeats})
    walk.claim(spot.frame, name, entry, plan)
    copy = Copy((*spot.prefix, name), spot.env, (value,), {}, None)
    _fill(walk, plan, spot, copy, frame)
    entry.copy, entry.out = copy, copy.out
    return copy


def _fill(walk: Walk, plan: Plan, spot: Spot, copy: Copy, frame: Frame) -> None:
    """The paths inside of a group, and their merge; the names of what is inside go to `frame`."""
    entered = copy.ins[0]
    # what is hidden is complained about already
    flows = bool(spot.given) or spot.line is not None or hides((entered,))
    inside = Spot(spot.env, frame, entered if flows else None)
    walk.joins += plan.kind in (BRANCHES, RESIDUAL)
    dry = walk.state.dry
    walk.state.dry = [] if flows else [*dry, plan.item]
    if plan.kind == BRANCHES:
        copy.branches = tuple(_paths(walk, plan, inside, numbered=bool(copy.segments)))
    else:
        copy.body = _path(walk, plan.item.items, inside)
        copy.out = copy.body.output
    if plan.kind == BRANCHES or (plan.kind == RESIDUAL and _joins(walk, plan, inside, copy)):
        _merge(walk, plan, spot, copy)
    walk.joins -= plan.kind in (BRANCHES, RESIDUAL)
    walk.state.dry = dry
    if copy.out is not None:
        copy.outs = {"output": copy.out}


def _paths(walk: Walk, plan: Plan, spot: Spot, *, numbered: bool) -> list[Body]:
    """The paths of branches; where one of a list repeats, all are `numbered` under an id."""
    branches = plan.item.branches
    numbered = numbered and any(branch.each for branch in branches)
    found: list[Body] = []
    for branch in branches:
        if branch.each:
            found += _columns(walk, branch, spot, len(found) if numbered else None)
        else:
            key = str(len(found)) if numbered else branch.key
            found.append(_branch(walk, branch, spot, key))
    if not found:
        message = "`branches` has no path: there is no copy of what repeats"
        walk.state.fault("E313", message, plan.item.loc, "leave it out with `when`")
        found.append(Body((), spot.line, Value(None)))
    return found


def _columns(walk: Walk, branch: Branch, spot: Spot, first: int | None) -> list[Body]:
    """A path for each copy of an item; `first`: the number of the first, where they have any."""
    plan, state = walk.state.plan(branch.items[0]), walk.state
    try:
        count, columns = _counted(walk, plan, spot)
    except HiddenError:
        return [Body((), spot.line, Value(None))]
    _bound(walk, plan, spot.env, count)
    found: list[Body] = []
    total = walk.total(plan, count)
    state.links.append(link := Link(plan.item, 0, count))
    for index in range(count):
        link.index = index
        env = environment(spot.env, columns, index)
        state.worked(len(env) // MANY, plan.item.loc)
        env["loop"] = Loop(index, count, walk.serials[id(plan.item)], total)
        walk.serials[id(plan.item)] += 1
        label = None if first is None else str(first + len(found))
        at = Spot(env, spot.frame, spot.line, label, before=spot.before)
        occurrence, out = _occurrence(walk, plan.alone, at)
        if any(occurrence.copies):
            found.append(Body((occurrence,), spot.line, out, each=plan.item))
    state.links.pop()
    return found


def _branch(walk: Walk, branch: Branch, spot: Spot, key: str | None) -> Body:
    """One path of branches; its key is the id of a single item, else names the path."""
    items = branch.items
    numbered = branch.key is None
    if key is None or not items or (numbered and len(items) == 1 and items[0].id is not None):
        body = _path(walk, items, spot)
    elif len(items) == 1 and items[0].id is None:
        return _path(walk, items, Spot(spot.env, spot.frame, spot.line, key))
    else:
        inner = spot.frame.inside(key)
        named = Named(frame=inner)
        if not spot.frame.claim(key, named):
            message = f"two items have the path `{'.'.join((*walk.state.path(), *inner.path))}`"
            walk.state.fault("E314", message, branch.loc, "choose another name for this path")
        body = _path(walk, items, Spot(spot.env, inner, spot.line))
        body.segment = key
        named.out = body.output
    if body.output is None:
        wiring.nothing_flows(walk.state, branch.loc)
    return body


def _joins(walk: Walk, plan: Plan, spot: Spot, copy: Copy) -> bool:
    """Whether a residual has a shortcut, which is then walked."""
    item, state = plan.item, walk.state
    there = state.condition(item, "shortcut_when", walk.sight(plan, spot, spot.line))
    if not there:
        copy.plain = there is False
        copy.out = copy.out if copy.plain else Value(None)
        return False
    if item.shortcut:
        copy.shortcut = _path(walk, item.shortcut, spot)
    if None in copy.taken():
        wiring.nothing_flows(state, item.loc)
    return True


def _merge(walk: Walk, plan: Plan, spot: Spot, copy: Copy) -> None:
    """The op that joins the paths."""
    item, state = plan.item, walk.state
    assert item.merge is not None
    copy.out = Value(None)
    if not copy.segments:
        copy.merged = spot.frame.automatic(plan.word)
        walk.claim(spot.frame, copy.merged, copy, plan)
    try:
        loc = deeper(item.loc, "merge")
        env = walk.sight(plan, spot, copy.ins[0])
        args = state.value(item.merge.args, env, deeper(loc, item.merge.op))
        copy.layer = state.layer(item.merge.op, args, item, loc)
    except HiddenError:
        pass
    kinds = types(copy.taken())
    if copy.layer is not None and kinds and None not in kinds:
        try:
            copy.out.type = state.infer(copy.layer, kinds, item.key)[0]
        except TooLargeError as large:
            raise mismatch.too_large(walk, item, copy.taken(), large) from None
        except Mismatch as bad:
            details = mismatch.paths(walk, copy, item)
            help = bad.help or mismatch.projection(copy, item) or mismatch.alike(walk, copy.taken())
            with state.beside(*mismatch.merged(walk, copy)):
                at = loc if item.op == "branches" else item.key  # a residual adds
                at = loc if item.merge.args else at
                state.fault(bad.code, bad.message, at, help, details)
    copy.outs = {"output": copy.out}
    walk.add(copy, item, spot.frame)
