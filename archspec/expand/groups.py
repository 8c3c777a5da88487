"""Groups, residuals, branches → copies: the paths inside, and the merge of what comes out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archspec.expand import mismatch, slots
from archspec.expand.names import Again, Frame, Named
from archspec.expand.plan import BRANCHES, GROUP, Plan
from archspec.expand.state import HiddenError, Mismatch, deeper
from archspec.expand.tree import Body, Copy, Value

if TYPE_CHECKING:
    from archspec.expand.names import Spot
    from archspec.expand.walk import Walk
    from archspec.language import Branch, Item


def make(walk: Walk, plan: Plan, spot: Spot, value: Value) -> Copy:
    """A body, sequential, residual or branches that is there."""
    item = plan.item
    # what has no name of its own is transparent; in a `sequential` all but a `body` take a place
    if not (spot.place or spot.label is not None or (spot.frame.numbered and item.op != "body")):
        return _fill(walk, plan, spot, value, spot.frame, ())
    name = spot.label or spot.frame.automatic(plan.word)
    frame = spot.frame.inside(name, numbered=item.op == "sequential")
    return named(walk, plan, spot, value, frame, name, spot.frame)


def named(
    walk: Walk, plan: Plan, spot: Spot, value: Value, frame: Frame, name: str, around: Frame
) -> Copy:
    """A group with a path of its own."""
    entry = Named(frame=frame)
    entry.again = Again(plan.item, around, {n: walk.serials[n] for n in plan.repeats})
    walk.claim(spot.frame, name, entry, plan)
    copy = _fill(walk, plan, spot, value, frame, (*spot.prefix, name))
    entry.copy, entry.out = copy, copy.out
    return copy


def _fill(
    walk: Walk, plan: Plan, spot: Spot, value: Value, frame: Frame, segments: tuple[str, ...]
) -> Copy:
    item = plan.item
    copy = Copy(segments, spot.env, spot.index, (value,), {}, None)
    if plan.kind == GROUP:
        copy.body = _body(walk, item.items, spot, frame, value)
        copy.out = copy.body.output
    elif plan.kind == BRANCHES:
        paths = []
        for branch in item.branches:  # no generator: each would take from C's stack
            paths.append(_branch(walk, branch, spot, frame, value))
        copy.branches = tuple(paths)
        _merge(walk, plan, spot, copy, [b.output or Value(None) for b in paths])
    else:
        _residual(walk, plan, spot, copy, frame, value)
    if copy.out is not None:
        copy.outs = {"output": copy.out}
    return copy


def _body(walk: Walk, items: tuple[Item, ...], spot: Spot, frame: Frame, value: Value) -> Body:
    found, out = walk.body(items, spot.env, frame, value)
    return Body(found, value, out, frame.numbered)


def _branch(walk: Walk, branch: Branch, spot: Spot, frame: Frame, value: Value) -> Body:
    """One path of branches; its key is the id of a single item, else names the path."""
    key, items = branch.key, branch.items
    if key is None or not items:
        body = _body(walk, items, spot, frame, value)
    elif len(items) == 1 and items[0].id is None:
        found, out = walk.body(items, spot.env, frame, value, key)
        return Body(found, value, out, frame.numbered)
    else:
        inner = frame.inside(key)
        named = Named(frame=inner)
        if not frame.claim(key, named):
            message = f"two items have the path `{'.'.join((*walk.state.path(), *inner.path))}`"
            walk.state.fault("E314", message, branch.loc, "choose another name for this path")
        body = _body(walk, items, spot, inner, value)
        body.segment = key
        named.out = body.output
    if body.output is None:
        slots.nothing_flows(walk.state, branch.loc)
    return body


def _residual(walk: Walk, plan: Plan, spot: Spot, copy: Copy, frame: Frame, value: Value) -> None:
    item, state = plan.item, walk.state
    copy.body = _body(walk, item.items, spot, frame, value)
    try:
        loc = deeper(item.loc, "shortcut_when")
        env = walk.sight(plan, spot.env, value)
        copy.plain = not state.condition(item.shortcut_when, env, loc, "shortcut_when")
    except HiddenError:
        copy.out = Value(None)
        return
    if copy.plain:
        copy.out = copy.body.output
        return
    if item.shortcut:
        copy.shortcut = _body(walk, item.shortcut, spot, frame, value)
    main = copy.body.output
    short = value if copy.shortcut is None else copy.shortcut.output
    if main is None or short is None:
        slots.nothing_flows(walk.state, item.loc)
    main, short = main or Value(None), short or Value(None)
    _merge(walk, plan, spot, copy, [short, main] if item.merge == "concat" else [main, short])


def _merge(walk: Walk, plan: Plan, spot: Spot, copy: Copy, values: list[Value]) -> None:
    """The op that joins the paths."""
    item, state = plan.item, walk.state
    copy.layer = layer = state.layer(item.merge or "add", {}, item)
    copy.out = Value(None)
    if not copy.segments:
        copy.merged = spot.frame.automatic(plan.word)
        walk.claim(spot.frame, copy.merged, copy, plan)
    if values and all(v.type is not None for v in values):
        try:
            copy.out.type = state.infer(layer, tuple(v.type for v in values), item.key)[0]
        except Mismatch as bad:
            details = mismatch.paths(walk, copy, item, values)
            help = bad.help or (
                mismatch.projection(copy, values, item) if not copy.branches else ""
            )
            state.fault(bad.code, bad.message, item.key, help, details)
    copy.outs = {"output": copy.out}
    walk.add(copy, item, spot.frame)
