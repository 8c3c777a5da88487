"""`from`, `shared`, `outputs` → values: dotted paths, looked up outward and followed inward."""

from __future__ import annotations

from collections.abc import Iterable

from archspec.expand.names import Frame, Named
from archspec.expand.state import UNKNOWN, Env, HiddenError, State, block_of
from archspec.expand.tree import Copy, Value
from archspec.expressions import Expr, ExpressionError, Template, render
from archspec.language import Ref
from archspec.text.faults import Loc
from archspec.text.words import did_you_mean, near

Entry = Named | Copy | Value


def text_of(state: State, template: Template, env: Env, loc: Loc) -> str:
    """A path or id with its expressions replaced. Raises HiddenError."""
    if state.blind:
        hidden = (n for p in template.parts if isinstance(p, Expr) for n in p.names)
        if any(env.get(name) is UNKNOWN for name in hidden):
            raise HiddenError
    try:
        return render(template, env)
    except ExpressionError as bad:
        state.failed(bad, loc, template.text[bad.start : bad.stop])
        raise HiddenError from None


def entry(state: State, ref: Ref, env: Env, frame: Frame) -> Entry:
    """What a path (not `prev`) leads to. Raises HiddenError."""
    path = text_of(state, ref.path, env, ref.loc)
    head, *rest = path.split(".")
    found = frame.find(head)
    if found is None:
        _nothing(state, ref, path, head, frame)
        raise HiddenError
    seen = head
    while rest:
        inner, taken = _inside(found, rest)
        if inner is None:
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


def _inside(found: Entry, rest: list[str]) -> tuple[Entry | None, int]:
    """One step inward, and how many segments it took: an output may be called `levels.0`."""
    if isinstance(found, Named):
        if found.frame is not None and rest[0] in found.frame.names:
            return found.frame.names[rest[0]], 1
        return _inside(found.copy, rest) if found.copy is not None else (None, 1)
    if isinstance(found, Copy) and not found.group:
        for taken in (1, 2):
            name = ".".join(rest[:taken])
            if name in found.outs:
                return found.outs[name], min(taken, len(rest))
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
