"""`from`, `shared`, `outputs` → values: dotted paths, looked up outward and followed inward.

And values → inputs, in the order in which an op, a block or a group takes them.
"""

from __future__ import annotations

from collections.abc import Iterable

from archspec.expand.names import Frame, Given, Named
from archspec.expand.plan import CALL, Plan
from archspec.expand.state import Env, HiddenError, State, block_of, deeper
from archspec.expand.tree import Copy, Value
from archspec.language import Ref
from archspec.text.faults import Loc
from archspec.text.words import did_you_mean, near

Entry = Named | Copy | Value
Ins = tuple[Value | None, ...]


def entry(state: State, ref: Ref, env: Env, frame: Frame) -> Entry:
    """What a path (not `prev`) leads to. Raises HiddenError."""
    path = state.text(ref.path, env, ref.loc)
    head, *rest = path.split(".")
    found = frame.find(head)
    if found is None:
        _nothing(state, ref, path, head, frame)
        raise HiddenError
    seen = head
    while rest:
        inner, taken = inside(found, rest)
        if inner is None:
            if not _faulty(found):
                _no_part(state, ref, seen, rest[0], found)
            raise HiddenError
        seen = ".".join((seen, *rest[:taken]))
        found, rest = inner, rest[taken:]
    return found


def value(state: State, ref: Ref, found: Entry) -> Value:
    """The value of what a path led to. Raises HiddenError."""
    if isinstance(found, Value):
        return found
    if found.out is not None:
        return found.out
    path = ref.path.text
    if isinstance(found, Copy) and found.outs:
        listed = ", ".join(f"`{path}.{name}`" for name in found.outs)
        message = f"`{path}` has several outputs and none is called `output`"
        state.fault("E313", message, ref.loc, f"name one: {listed}")
    elif isinstance(found, Named) and found.frame is not None:
        message = f"`{path}` is not finished here: an item sees those before it"
        state.fault("E312", message, ref.loc)
    else:
        state.fault("E313", f"nothing flows out of `{path}`", ref.loc)
    raise HiddenError


def _faulty(found: Entry) -> bool:
    """Whether it is an op with a fault of its own: what it gives is not known."""
    copy = found.copy if isinstance(found, Named) else found
    return isinstance(copy, Copy) and not copy.group and copy.layer is None and not copy.instance


def inside(found: Entry, rest: list[str]) -> tuple[Entry | None, int]:
    """One step inward, and how many segments it took: an output may be called `levels.0`."""
    if isinstance(found, Named):
        if found.frame is not None and rest[0] in found.frame.names:
            return found.frame.names[rest[0]], 1
        return inside(found.copy, rest) if found.copy is not None else (None, 1)
    if isinstance(found, Copy) and not found.group:
        for taken in range(1, len(rest) + 1):
            name = ".".join(rest[:taken])
            if name in found.outs:
                return found.outs[name], taken
    return None, 1


def _nothing(state: State, ref: Ref, path: str, head: str, frame: Frame) -> None:
    known = [name for f in frame.outward() for name in f.names if not name.isdigit()]
    known.append("prev")
    what = f"`{head}`" if head == path else f"`{head}` of `{path}`"
    help = did_you_mean(head, known) or _SIGHT
    # it may be what an id with a fault was to name, or an input that is not declared
    hidden = any(n.startswith("?") for n in known) or block_of(ref.loc) in state.overfed
    if hidden and near(head, known).rstrip(_DIGITS) in ("", head.rstrip(_DIGITS)):
        return
    state.fault("E312", f"there is no item {what} before this one", ref.loc, help, cause=(head,))


_DIGITS = "0123456789"
_SIGHT = "paths lead to earlier items of this block, and to inputs"


def _no_part(state: State, ref: Ref, seen: str, part: str, found: Entry) -> None:
    known: Iterable[str] = ()
    if isinstance(found, Named) and found.frame is not None:
        known = found.frame.names
    copy = found.copy if isinstance(found, Named) else found
    if isinstance(copy, Copy) and not known:
        known = copy.outs
    message = f"`{seen}` has no part `{part}`"
    if isinstance(copy, Copy) and copy.instance is not None:
        message = f"`{seen}` has no output `{part}`: a path leads into a block only to its outputs"
    state.fault("E312", message, ref.loc, did_you_mean(part, list(known)))


# ---------------------------------------------------------------- what an item takes


def nothing_flows(state: State, loc: Loc) -> None:
    """Note that the item before leaves nothing to take."""
    message = "nothing flows into this item: the one before has no output called `output`"
    state.fault("E313", message, loc, "say which with `from`")


def single(state: State, plan: Plan, given: Given) -> Value:
    """The one input of a group."""
    item = plan.item
    if len(given) == 1:
        return given[0][1]
    if given:
        message = f"`{item.op}` takes one input, not {len(given)}"
        help = "name the others with `from` inside, where they are used"
        state.fault("E311", message, deeper(item.loc, "from"), help)
    else:
        nothing_flows(state, item.loc)
    return Value(None)


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
        state.fault("E311", f"`{item.said}` takes no input", loc, "leave `from` out")
        return
    listed = ", ".join(f"`{name}`" for name in names)
    plural = "s" if len(names) > 1 else ""
    message = f"`{item.said}` takes the input{plural} {listed}; it is given {count}"
    lacking = ", ".join(f"`{name}`" for name in missing or ())
    help = f"name {lacking} too: `from: [prev, …]`" if lacking else ""
    cause: tuple[str, ...] = ()
    if plan.kind == CALL and not lacking:
        state.overfed.add(("blocks", item.said))
        help = f"name all that it takes under `inputs` of `{item.said}`, or pass fewer"
        cause = ("inputs", item.said)
    state.fault("E311", message, loc, help, cause=cause)
