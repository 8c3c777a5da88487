"""An op → its copy: arguments evaluated, the layer made, the types of its outputs inferred."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from archspec.expand import mismatch, wiring
from archspec.expand.names import Spot
from archspec.expand.plan import Plan
from archspec.expand.state import Env, HiddenError, State, TooLargeError, deeper
from archspec.expand.tree import Copy, Value, hides, types
from archspec.expand.walk import Walk
from archspec.expand.wiring import Ins
from archspec.layers import REGISTRY, Layer, Mismatch


def make(walk: Walk, plan: Plan, spot: Spot) -> Copy:
    """One op that is there."""
    item, state = plan.item, walk.state
    ins = wiring.aligned(state, plan, plan.takes, spot.given)
    args: Mapping[str, Any] = item.args
    layer: Layer | None = None
    try:
        if not plan.literal:
            args = _arguments(state, plan, walk.sight(plan, spot, spot.first))
        layer = plan.layer or state.layer(item.op, args, item)
    except HiddenError:
        pass
    if plan.literal:
        plan.layer = layer
    return _copy(walk, plan, spot, layer, Fed(args, ins, REGISTRY[item.op].gives))


def again(walk: Walk, plan: Plan, spot: Spot, owner: Copy) -> Copy:
    """The op of an earlier copy on other inputs."""
    layer = owner.layer
    takes = layer.takes if layer is not None else ("*",)
    ins = wiring.aligned(walk.state, plan, takes, spot.given if takes else ())
    return _copy(walk, plan, spot, layer, Fed(owner.args, ins, tuple(owner.outs)))


class Fed(NamedTuple):
    """What an op gets, and what its outputs are called where its layer has a fault."""

    args: Mapping[str, Any]
    ins: Ins
    gives: tuple[str, ...]


def _copy(walk: Walk, plan: Plan, spot: Spot, layer: Layer | None, fed: Fed) -> Copy:
    """The copy of an op."""
    args, ins, _ = fed
    outs = _outputs(walk, plan, layer, fed)
    out = outs.get("output") if len(outs) > 1 else next(iter(outs.values()), None)
    segments = (*spot.prefix, spot.name(plan.word))
    made = Copy(segments, spot.env, ins, outs, out, layer, args)
    return walk.place(made, plan, spot)


def _arguments(state: State, plan: Plan, env: Env) -> dict[str, Any]:
    """An item's arguments, evaluated: all faults of one item at once. Raises HiddenError."""
    item = plan.item
    found: dict[str, Any] = {}
    for name, value in item.args.items():
        try:
            found[name] = state.value(value, env, deeper(item.loc, item.op, name))
        except HiddenError:
            continue
    if len(found) < len(item.args):
        raise HiddenError
    return found


def _outputs(walk: Walk, plan: Plan, layer: Layer | None, fed: Fed) -> dict[str, Value]:
    """The outputs of an op by name; without types where something is hidden."""
    item, state, ins = plan.item, walk.state, fed.ins
    gives = fed.gives if layer is None else layer.gives
    if layer is not None and not hides(ins):
        try:
            outs = state.infer(layer, types(ins), item.key)
        except TooLargeError as large:
            raise mismatch.too_large(walk, item, ins, large) from None
        except Mismatch as bad:
            details = mismatch.inputs(walk, plan.takes, ins) if len(ins) > 1 else ()
            aside = mismatch.off_the_line(walk, item)
            known = aside if bad.code == "E303" else ""  # what stands above is of another kind
            help = known or bad.help or (mismatch.alike(walk, ins) if layer.merges else "") or aside
            counted = bad.code == "E311" and item.from_ is not None
            loc = deeper(item.loc, "from") if counted else item.key
            with state.beside(*mismatch.made(walk, bad, ins)):
                state.fault(bad.code, bad.message, loc, help, details)
        else:
            return {name: Value(kind) for name, kind in zip(gives, outs, strict=True)}
    return {name: Value(None) for name in gives or ("output",)}
