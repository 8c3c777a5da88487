"""`tie` → the weight that an op uses in place of its own, by its path.

    - {id: wte, embedding: {num: 50257, dim: 768}}
    - …
    - {id: head, linear: {out: 50257, bias: false}, tie: wte}      Copy.tied = ("wte", "weight")

A path of `tie` names an op, not a value: so it goes into blocks and used files, where `from` sees
outputs alone. It is looked up when all of the body is there; what it leads to stands before the op.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

from archspec.expand.heads import Places, places_in
from archspec.expand.names import Frame
from archspec.expand.state import TIE, HiddenError, deeper
from archspec.expand.tree import Body, Copy, Path, hides
from archspec.expand.walk import Made, Walk
from archspec.layers.base import TIED, Weight
from archspec.text.faults import Fault
from archspec.text.words import did_you_mean

if TYPE_CHECKING:
    from archspec.expand.schedule import Schedule
    from archspec.language import Filler, Ref

_CODE = "E319"


class _Owner(NamedTuple):
    """The op whose weight is meant, and its path from the body that the tie stands in.

    `first` is the outermost item on the way; `call` the path of the block that the op stands in.
    """

    path: Path
    copy: Copy
    first: Copy
    call: Path


def resolve(walk: Walk, body: Body) -> None:
    """Notes at each op with a `tie` of a body whose weight it uses; faults where it cannot."""
    there = places_in(body)
    order = {made.copy: k for k, made in enumerate(walk.made)}
    for made in walk.made:
        ref = made.item.tie
        if ref is None or any(copy.shared for _, copy in there.way(made.path)):
            continue
        try:
            owner = _owner(walk, there, made, ref)
        except HiddenError:
            continue
        if order[owner.first] >= order[made.copy]:
            message = f"`{ref.path.text}` stands behind this `{made.item.op}`"
            walk.state.fault(_CODE, message, ref.loc, "tie the later op to the earlier one")
        else:
            made.copy.tied = _agreed(walk, made, ref, owner)
            walk.used.add(owner.first)


def _owner(walk: Walk, there: Places, made: Made, ref: Ref) -> _Owner:
    """What a path leads to. Raises HiddenError."""
    state = walk.state
    state.worked(TIE, ref.loc)
    text = state.text(ref.path, dict(made.copy.env), ref.loc)
    head, *rest = text.split(".")
    frame = next((f for f in made.frame.outward() if head in f.names), None)
    if frame is None and state.noted("E312", ref.loc):
        raise HiddenError
    if frame is None:
        known = [n for f in made.frame.outward() for n in f.names if not n.isdigit()]
        help = did_you_mean(head, known) or "a tie leads to an earlier op of this block, by its id"
        state.fault("E312", f"there is no item `{head}`", ref.loc, help, cause=(head,))
        raise HiddenError
    path = (*frame.path, head, *rest)
    found = there.way(path)
    if not found:
        _nothing(walk, there, ref, path[len(frame.path) :], frame)
        raise HiddenError
    last = found[-1][1]
    if any(copy.shared for _, copy in found):
        message = f"`{text}` has no weight of its own: it uses that of another item"
        state.fault(_CODE, message, ref.loc, "name the item that is shared")
        raise HiddenError
    if last.layer is None or last.group:
        if last.group or last.instance is not None:
            message = f"`{text}` is no single op"
            state.fault(_CODE, message, ref.loc, f"name one inside: `{text}.…`")
        raise HiddenError
    calls = [depth for depth, copy in found[:-1] if copy.instance is not None]
    first = next(copy for _, copy in found if copy.instance is not None or copy is last)
    return _Owner(path, last, first, path[: calls[-1] if calls else 0])


def _nothing(walk: Walk, there: Places, ref: Ref, names: Path, frame: Frame) -> None:
    """Says what of a path is not there."""
    path = (*frame.path, *names)
    count, known = there.missing(path)
    count = max(count - len(frame.path), 0)
    before = ".".join(names[:count])
    if count == 0:
        message, help = f"`{names[0]}` is absent here, so it has no weight", "give both one `when`"
        if frame.names.get(names[0]) in walk.inputs.values():
            message, help = f"`{names[0]}` is an input, which has no weight", "name an op"
    elif count == len(names):
        message, help = f"`{before}` is several copies", f"name one of them: `{before}.0`"
    else:
        message = f"`{before}` has no part `{names[count]}`"
        help = did_you_mean(names[count], known)
    walk.state.fault("E312", message, ref.loc, help, cause=(names[0],))


def _agreed(walk: Walk, made: Made, ref: Ref, owner: _Owner) -> Path | None:
    """The path of the weight, if it is the op's own in all but the numbers."""
    copy, op, text = made.copy, made.item.op, ref.path.text
    if copy.layer is None or hides(copy.ins) or hides(owner.copy.ins):
        return None
    state, loc = walk.state, deeper(made.item.loc, "tie")
    ours = {w.name: w for w in copy.layer.weights(*copy.types)}.get(TIED)
    if ours is None or ours.buffer:
        why = " of its own" if not copy.layer.weights(*copy.types) else " that is no product"
        state.fault(_CODE, f"`{op}` has no weight{why}, so none can be tied", loc, "remove `tie`")
        return None
    theirs = _weight(owner.copy)
    if theirs is None:
        assert owner.copy.layer is not None
        message = f"`{text}` is a `{owner.copy.layer.op}`, which has no weight that can be tied"
        help = "`init: {weight: {values: …}}` with `freeze` gives an op a fixed weight"
        state.fault(_CODE, message, loc, help if owner.copy.layer.tensor else "")
        return None
    if theirs.shape != ours.shape:
        message = f"the weight of `{text}` has another shape than that of `{op}`"
        details = (f"{text}  {list(theirs.shape)}", f"{op}  {list(ours.shape)}")
        state.fault(_CODE, message, loc, _turned(ours, theirs), details)
        return None
    return _named(owner, theirs)


def _turned(ours: Weight, theirs: Weight) -> str:
    if ours.shape != theirs.shape[::-1]:
        return ""
    return (
        "a weight is tied as it is: to use its transpose, hold it as a `parameter` and take both "
        'ways by `einsum`, "d,dh->h" and "h,dh->d"'
    )


def _weight(copy: Copy) -> Weight | None:
    """The weight of an op that others may use: its `weight`, or all that a `parameter` is."""
    assert copy.layer is not None
    found = {w.name: w for w in copy.layer.weights(*copy.types) if not w.buffer}
    return found.get(TIED) or found.get("")


def _named(owner: _Owner, weight: Weight) -> Path:
    """The path of a weight: of the op that has it, where the one that is named is tied too."""
    if owner.copy.tied is not None:
        return (*owner.call, *owner.copy.tied)
    return (*owner.path, weight.name) if weight.name else owner.path


# ---------------------------------------------------------------- what is said of the weight


def faults(schedule: Schedule) -> Iterator[Fault]:
    """Ties of which one side is frozen, or begins otherwise, where that cannot be."""
    for node in schedule.steps:
        if node.tied is None or node.item is None or node.item.tie is None:
            continue
        owner, text = schedule.steps[node.tied], node.item.tie.path.text
        loc = deeper(node.item.loc, "tie")
        if node.frozen and not owner.frozen:
            message = f"`{node.path}` is frozen, and `{text}`, whose weight it uses, is not"
            yield Fault(_CODE, message, loc, "freeze both, or none")
        elif node.block and _start(node.init) != _start(owner.init):
            message = f"`init` fills the weight of `{node.path}` in another way than that of "
            help = f"it is one weight: say the same for `{node.op}` and `{owner.op}`"
            yield Fault(_CODE, f"{message}`{owner.path}`", loc, help)


def _start(init: Mapping[str, Filler] | None) -> object:
    filler = (init or {}).get(TIED)
    return filler and (filler.name, sorted(filler.args.items()))
