"""`shared` → an earlier op, call or group once more: the same weights on other inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archspec.expand import groups, slots, wiring
from archspec.expand.names import Frame, Named, Spot
from archspec.expand.state import HiddenError, deeper
from archspec.expand.tree import Body, Copy, Value
from archspec.text.words import show

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from archspec.expand.plan import Plan
    from archspec.expand.slots import Given
    from archspec.expand.walk import Walk
    from archspec.layers.base import Layer


def again(walk: Walk, plan: Plan, spot: Spot, given: Given) -> Copy | None:
    """An earlier item once more, with its weights; None where that is absent."""
    try:
        named, owner = _owner(walk, plan, spot)
    except HiddenError:
        return _hidden(walk, plan, spot, given)
    if owner is None:
        return None
    item = plan.item
    target = walk.state.plan(named.again.item) if named is not None and named.again else plan
    if owner.instance is not None:
        copy = walk.namespace.again(walk, plan, spot, given, owner)
    elif owner.body is None and not owner.branches:
        copy = _again(walk, plan, spot, given, owner)
    elif named is not None and named.again is not None:
        copy = _group(walk, target, plan, spot, slots.single(walk.state, plan, given), owner, named)
    else:
        message = f"`{item.target.path.text if item.target else ''}` has no name of its own"
        walk.state.fault("E316", message, deeper(item.loc, "shared"), "give it an `id`")
        return _hidden(walk, plan, spot, given)
    copy.shared = owner
    _agree(walk, plan, copy, owner)
    return copy


def _owner(walk: Walk, plan: Plan, spot: Spot) -> tuple[Named | None, Copy | None]:
    """The name and copy whose weights are meant; no copy where absent. Raises HiddenError."""
    ref, state = plan.item.target, walk.state
    if ref is None:
        raise HiddenError
    found = wiring.entry(state, ref, spot.env, spot.frame)
    if isinstance(found, Named) and found.absent:
        if found.out is None or found.out.type is None:
            raise HiddenError
        return found, None
    copy = found.copy if isinstance(found, Named) else found
    if isinstance(copy, Copy):
        return (found if isinstance(found, Named) else None), copy.shared or copy
    path = ref.path.text
    message = f"`{path}` is not one item with weights that can be shared"
    help = ""
    if isinstance(found, Named) and found.frame is not None and found.frame.names:
        help = f"name one copy, for example `{path}.{next(iter(found.frame.names))}`"
    state.fault("E316", message, ref.loc, help)
    raise HiddenError


def _hidden(walk: Walk, plan: Plan, spot: Spot, given: Given) -> Copy:
    """Stands for an item with a fault."""
    name = spot.label or spot.frame.automatic(plan.word)
    value = Value(None)
    ins = tuple(v for _, v in given) or (Value(None),)
    copy = Copy((*spot.prefix, name), spot.env, spot.index, ins, {"output": value}, value)
    spot.frame.claim(name, copy)
    return copy


def _again(walk: Walk, plan: Plan, spot: Spot, given: Given, owner: Copy) -> Copy:
    layer: Layer | None = owner.layer
    takes = layer.takes if layer is not None else ("*",)
    ins = slots.aligned(walk.state, plan, takes, given if takes else [])
    outs = walk.outputs(plan, layer, ins)
    out = outs.get("output") if len(outs) > 1 else next(iter(outs.values()), None)
    name = spot.label or spot.frame.automatic(plan.word)
    copy = Copy((*spot.prefix, name), spot.env, spot.index, ins, outs, out, layer, owner.args)
    walk.claim(spot.frame, name, copy, plan)
    walk.add(copy, plan.item, spot.frame)
    return copy


def _group(
    walk: Walk, target: Plan, plan: Plan, spot: Spot, value: Value, owner: Copy, named: Named
) -> Copy:
    """A group walked again: named under the new path, with the sight of where it was written."""
    assert named.again is not None
    around, serials = named.again.around, named.again.serials
    name = spot.label or spot.frame.automatic(plan.word)
    frame = Frame(around, (*spot.frame.path, name), numbered=target.item.op == "sequential")
    inner = Spot(dict(owner.env), spot.frame, value, name, spot.prefix, spot.index, place=True)
    now = {n: walk.serials[n] for n in serials}
    dict.update(walk.serials, serials)  # `loop.serial` is what it was: the same layers again
    copy = groups.named(walk, target, inner, value, frame, name, around)
    dict.update(walk.serials, now)
    return copy


def _agree(walk: Walk, plan: Plan, copy: Copy, owner: Copy) -> None:
    """The layers must be the same by name, and the weights by shape too, on the new inputs."""
    values = (*copy.ins, *owner.ins, *copy.outs.values(), *owner.outs.values())
    if any(v is not None and v.type is None for v in values):
        return  # a fault hides what they would be
    if [_type(v) for v in copy.ins] == [_type(v) for v in owner.ins]:
        return
    here, there = dict(_layers(copy)), dict(_layers(owner))
    ours, theirs = _weights(here), _weights(there)
    what = "weights"
    details = [
        f"{n or 'weight'}  {_shown(theirs.get(n))} there, {_shown(ours.get(n))} here"
        for n in {**theirs, **ours}
        if ours.get(n) != theirs.get(n)
    ]
    if not details:
        what = "layers"
        details = [d for n in {**there, **here} for d in _unlike(n, there.get(n), here.get(n))]
    if not details:
        return
    item = plan.item
    path = item.target.path.text if item.target is not None else ""
    message = f"`{path}` would need other {what} on this input, so they cannot be shared"
    help = "give it an input with the same channels"
    if what == "layers":
        help = "let nothing inside depend on the size of the input"
    walk.state.fault("E316", message, item.key, help, tuple(details[:3]))


def _unlike(name: str, there: Copy | None, here: Copy | None) -> Iterator[str]:
    """In what the layers of a name differ."""
    old = there.layer if there is not None else None
    new = here.layer if here is not None else None
    if old == new:
        return
    if old is None or new is None or old.op != new.op:
        words = ["none" if layer is None else layer.op for layer in (old, new)]
        yield f"{name}  {words[0]} there, {words[1]} here"
        return
    values = new.values()
    for key, value in old.values().items():
        if value != values[key]:
            yield f"{name}  {key}: {show(value)} there, {show(values[key])} here"


def _shown(shape: tuple[int, ...] | None) -> str:
    return "none" if shape is None else str(list(shape))


def _type(value: Value | None) -> object:
    return None if value is None else value.type


def _layers(part: Copy | Body, path: str = "") -> Iterator[tuple[str, Copy]]:
    """The ops and merges in a copy by name, from `part` on."""
    if isinstance(part, Body):
        inner = f"{path}{part.segment}." if part.segment is not None else path
        for occurrence in part.items:
            for copy in occurrence.copies:
                if copy is not None and copy.shared is None:
                    yield from _layers(copy, "".join((inner, *(f"{s}." for s in copy.segments))))
        return
    if part.layer is not None:
        yield (path if not part.merged else f"{path}{part.merged}").removesuffix("."), part
    called = part.instance.body if part.instance is not None else None
    for body in (called, part.body, part.shortcut, *part.branches):
        if body is not None:
            yield from _layers(body, path)


def _weights(layers: Mapping[str, Copy]) -> dict[str, tuple[int, ...]]:
    """Their weights by name and shape."""
    found: dict[str, tuple[int, ...]] = {}
    for path, copy in layers.items():
        types = [None if v is None else v.type for v in copy.ins]
        hidden = any(t is None and v is not None for t, v in zip(types, copy.ins, strict=True))
        if copy.layer is None or hidden or copy.body is not None or copy.branches:
            continue
        for weight in copy.layer.weights(*types):  # type: ignore[arg-type]
            found[f"{path}.{weight.name}".strip(".")] = weight.shape
    return found
