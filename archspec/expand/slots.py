"""Inputs as said or implied → in the order an op, a block or a group takes them."""

from __future__ import annotations

from archspec.expand.names import Given
from archspec.expand.plan import CALL, Plan
from archspec.expand.state import State, deeper
from archspec.expand.tree import Value
from archspec.text.faults import Loc

Ins = tuple[Value | None, ...]


def nothing_flows(state: State, loc: Loc) -> None:
    """Note that the item before leaves nothing to take."""
    message = "nothing flows into this item: the one before has no output called `output`"
    state.fault("E313", message, loc, "say which with `from`")


def single(state: State, plan: Plan, given: Given) -> Value:
    """The one input of a group."""
    item = plan.item
    if len(given) > 1:
        message = f"`{item.op}` takes one input, not {len(given)}"
        help = "name the others with `from` inside, where they are used"
        state.fault("E311", message, deeper(item.loc, "from"), help)
        return Value(None)
    if not given:
        nothing_flows(state, item.loc)
        return Value(None)
    return given[0][1]


def aligned(state: State, plan: Plan, takes: tuple[str, ...], given: Given) -> Ins:
    """The inputs in the order of `takes`, None for an optional one that is not given."""
    if takes == ("*",):
        if not given:
            nothing_flows(state, plan.item.loc)
        return tuple([v for _, v in given]) or (Value(None),)
    names = [name.rstrip("?") for name in takes]
    found: list[Value | None] = [None] * len(names)
    place = 0
    for slot, value in given:
        at = names.index(slot) if slot in names else place
        if at >= len(names):
            _miscounted(state, plan, names, len(given))
            return tuple([Value(None) for _ in names])
        found[at] = value
        place = at + 1 if slot is None else place
    missing = [n for n, t, v in zip(names, takes, found, strict=True) if v is None and t == n]
    if missing:
        if given:
            _miscounted(state, plan, names, len(given), missing)
        else:
            nothing_flows(state, plan.item.loc)
        return tuple([Value(None) for _ in names])
    while found and found[-1] is None:
        found.pop()
    return tuple(found)


def _miscounted(
    state: State, plan: Plan, names: list[str], count: int, missing: list[str] | None = None
) -> None:
    item = plan.item
    loc = deeper(item.loc, "from") if item.inputs is not None else item.loc
    if not names:
        state.fault("E311", f"`{item.op}` takes no input", loc, "leave `from` out")
        return
    listed = ", ".join(f"`{name}`" for name in names)
    plural = "s" if len(names) > 1 else ""
    message = f"`{item.op}` takes the input{plural} {listed}; it is given {count}"
    lacking = ", ".join(f"`{name}`" for name in missing or ())
    help = f"name {lacking} too: `from: [prev, …]`" if lacking else ""
    cause: tuple[str, ...] = ()
    if plan.kind == CALL and not lacking:
        state.overfed.add(("blocks", item.op))
        help = f"name all that it takes under `inputs` of `{item.op}`, or pass fewer"
        cause = ("inputs", item.op)
    state.fault("E311", message, loc, help, cause=cause)
