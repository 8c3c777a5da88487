"""`shared` → whose weights are meant, and whether they fit: the same layers on other inputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from archspec.expand import wiring
from archspec.expand.names import Again, Named, Spot
from archspec.expand.plan import Plan
from archspec.expand.state import HiddenError, State, deeper
from archspec.expand.tree import Body, Copy, Value, hides
from archspec.expand.walk import Walk
from archspec.expressions.sym import remembers
from archspec.text.words import listed, show


def owner_of(walk: Walk, plan: Plan, spot: Spot) -> tuple[Copy | None, Again | None]:
    """The copy whose weights are meant, and of a group how it is walked again.

    No copy where the item meant is absent. Raises HiddenError.
    """
    ref, state = plan.item.target, walk.state
    if ref is None:
        raise HiddenError
    found = wiring.entry(state, ref, spot.env, spot.frame)
    named = found if isinstance(found, Named) else None
    if named is not None and named.absent:
        if named.out is None or named.out.type is None:
            raise HiddenError
        return None, None
    copy, path = found.copy if isinstance(found, Named) else found, ref.path.text
    again = named.again if named is not None else None
    if isinstance(copy, Copy):
        if copy.group and again is None:
            message = f"`{path}` has no name of its own"
            state.fault("E316", message, deeper(plan.item.loc, "shared"), "give it an `id`")
            raise HiddenError
        return copy.shared or copy, again
    message = f"`{path}` is not one item with weights that can be shared"
    help = ""
    if named is not None and named.frame is not None and named.frame.names:
        help = f"name one copy, for example `{path}.{next(iter(named.frame.names))}`"
    state.fault("E316", message, ref.loc, help)
    raise HiddenError


def hidden(plan: Plan, spot: Spot) -> Copy:
    """Stands for an item with a fault."""
    name = spot.name(plan.word)
    value = Value(None)
    ins = tuple(v for _, v in spot.given) or (Value(None),)
    copy = Copy((*spot.prefix, name), spot.env, ins, {"output": value}, value)
    spot.frame.claim(name, copy)
    return copy


def agree(state: State, plan: Plan, copy: Copy, owner: Copy) -> None:
    """The layers must be the same by name, and the weights by shape too, on the new inputs."""
    item = plan.item
    path = item.target.path.text if item.target is not None else ""
    if owner.layer is not None and any(map(remembers, owner.args.values())):
        message = f"an argument of `{path}` follows from a free axis where it stands, not here"
        state.fault("E316", message, item.key, "write the op again: it has no weights to share")
        return
    if copy.instance is not None and owner.instance is not None:
        here, there = list(copy.instance.inputs), list(owner.instance.inputs)
        if here != there:
            given, taken = listed(here), listed(there)
            message = f"`{path}` was given the inputs {taken} where it stands; here {given}"
            help = "give it the same, or call the block once more"
            state.fault("E316", message, item.key, help)
            return
    values = (*copy.ins, *owner.ins, *copy.outs.values(), *owner.outs.values())
    if hides(values) or copy.types == owner.types:
        return
    ours_by, theirs_by = dict(_layers(copy)), dict(_layers(owner))
    ours, theirs = _weights(ours_by), _weights(theirs_by)
    what, help = "weights", "give it an input with the same channels"
    details = [
        f"{n or 'weight'}  {_shown(theirs.get(n))} there, {_shown(ours.get(n))} here"
        for n in {**theirs, **ours}
        if ours.get(n) != theirs.get(n)
    ]
    if not details:
        what, help = "layers", "let nothing inside depend on the size of the input"
        names = {**theirs_by, **ours_by}
        details = [d for n in names for d in _unlike(n, theirs_by.get(n), ours_by.get(n))]
    if not details:
        return
    message = f"`{path}` would need other {what} on this input, so they cannot be shared"
    state.fault("E316", message, item.key, help, tuple(details[:3]))


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


def _layers(part: Copy | Body, path: str = "") -> Iterator[tuple[str, Copy]]:
    """The ops and merges in a copy by name, from `part` on."""
    if isinstance(part, Body):
        inner = f"{path}{part.segment}." if part.segment is not None else path
        for copy in part.copies():
            if copy.shared is None:
                yield from _layers(copy, "".join((inner, *(f"{s}." for s in copy.segments))))
        return
    if part.layer is not None:
        yield (path if not part.merged else f"{path}{part.merged}").removesuffix("."), part
    for body in part.below():
        yield from _layers(body, path)


def _weights(layers: Mapping[str, Copy]) -> dict[str, tuple[int, ...]]:
    """Their weights by name and shape."""
    return {
        f"{path}.{weight.name}".strip("."): weight.shape
        for path, copy in layers.items()
        if copy.layer is not None and not copy.group and not hides(copy.ins)
        for weight in copy.layer.weights(*copy.types)
    }
