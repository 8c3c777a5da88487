"""What is wrong with a network that was chosen from outside → the one value of it that is to blame.

    4  variants: {coarse: {kernels: [3, 99]}}          E304 `conv` covers 99 cells along H, the …
                           ~~~~~~~~~~~~~~~~              --> net.yaml:4:24, not line 7
    7  - {repeat: {k: $kernels}, conv: {out: 8, kernel: $k}}

Each value of the variant (of those that used files are taken with, too) and each param that is set
is left out in turn: the one without which nothing is wrong made it so, and all else follows. Where
that is so of several, or of none, the complaints stay as they are. So they do where what is wrong
is not there without the value (a block that only this variant calls is wrong by itself), and where
it is a path, which leads nowhere by what is written in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from archspec.expand.origin import Said
from archspec.expand.state import USED, deeper
from archspec.expand.tree import every
from archspec.language import Spec
from archspec.text.faults import Fault, Loc, Step

if TYPE_CHECKING:
    from archspec.expand.schedule import Schedule

_MOST = 32  # values that are left out in turn
# codes of faults: of paths, of a default that is unlike what variants set
_APART = ("E311", "E312", "E313", "E314", "E318", "E322")

Made = Callable[[Said], "Schedule | None"]  # the network, if it is right


class Value(NamedTuple):
    """One value that was chosen: where it is said, and what there is without it."""

    loc: Loc
    without: Said
    details: tuple[str, ...] = ()


def blamed(faults: Sequence[Fault], values: Sequence[Value], made: Made) -> Sequence[Fault]:
    """The faults; if one of the `values` is why, the first of them, as one of that value."""
    places = {value.loc for value in values}
    apart = faults[0].code in _APART and faults[0].loc.path
    if len(values) > _MOST or apart:
        return faults
    own = [fault for fault in faults if _of(fault.loc, places)]
    if len(own) == len(faults):
        return faults
    right = [(value, network) for value in values if (network := made(value.without))]
    if len(right) != 1 or not _there(faults[0].loc, right[0][1]):
        return faults
    return own[:1] or [_moved(faults[0], right[0][0])]


def chosen(said: Said) -> Iterator[Value]:
    """All values that were chosen, those that used files are taken with last."""
    spec, variant, params = said.spec, said.variant or "", said.params
    for name in params:
        rest = {key: value for key, value in params.items() if key != name}
        loc = deeper(spec.loc, "params", name)
        yield Value(loc, replace(said, params=rest), (f"`{name}` is set from outside",))
    for name in spec.variants.get(variant, {}):
        if name not in params:
            loc = deeper(spec.loc, "variants", variant, name)
            yield Value(loc, replace(said, spec=_without(spec, variant, name)))
    for block, use in spec.use.items():
        for value in chosen(Said(use.spec, use.variant)):
            used = use.model_copy(update={"spec": value.without.spec})
            other = spec.model_copy(update={"use": {**spec.use, block: used}})
            yield value._replace(without=replace(said, spec=other))


def _without(spec: Spec, variant: str, name: str) -> Spec:
    values: Mapping[str, Any] = spec.variants[variant]
    rest = {key: value for key, value in values.items() if key != name}
    return spec.model_copy(update={"variants": {**spec.variants, variant: rest}})


def _of(loc: Loc, places: set[Loc]) -> bool:
    """Whether a place is one of several, or in one."""
    return any(Loc(loc.file, loc.path[:k]) in places for k in range(len(loc.path) + 1))


def _there(loc: Loc, schedule: Schedule) -> bool:
    """Whether anything that is written at a place, or in the item around it, is in a network."""
    last = max((k for k, step in enumerate(loc.path) if isinstance(step, int)), default=-1)
    item = Loc(loc.file, loc.path[: last + 1])
    return any(_of(one.loc, {item}) for _, one in every(schedule.root.body))


def _moved(fault: Fault, value: Value) -> Fault:
    names = [step for step in fault.loc.path if isinstance(step, str)]
    chain = (*fault.chain, Step(fault.loc, f"`{names[-1]}`", USED)) if names else fault.chain
    return replace(fault, loc=value.loc, details=(*fault.details, *value.details), chain=chain)
