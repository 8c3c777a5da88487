"""What a checkpoint holds → the state_dict that is meant.

{"model": {…}, "model_ema": {…}, "epoch": 9}    model: read from "model"; "model_ema" is there too
{"model": {"state_dict": {…}}}                  model.state_dict
{"netG": {…}, "netD": {…}}                      the one whose names and shapes the model has
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from archspec.text.options import said
from archspec.weights import header as headers
from archspec.weights.errors import WeightsError
from archspec.weights.prefixes import stripped
from archspec.weights.recipes import Stored

# what trainers call the weights that were trained; an average of them is taken where it is asked
# for, or alone
_WORDS = (
    "state_dict", "model_state_dict", "model", "net", "network", "params", "weights",
    "model_state", "model_weights", "module",
)  # fmt: skip
_OTHERS = ("optim", "sched", "lr_sched", "scaler", "rng")  # tensors of a trainer, none of a network
_SHOWN = 8


@dataclass(frozen=True, slots=True)
class Pick:
    """Which tensors of a source are meant, and under which names.

    `entry` is the state_dict of a checkpoint; `prefix` gives for the beginning of names what takes
    its place. `wanted` are the model's tensors: of two networks in a file its own is known by them.
    """

    entry: str | None = None
    prefix: Mapping[str, str] = field(default_factory=dict)
    wanted: Mapping[str, Stored] = field(default_factory=dict)


def chosen(found: Any, name: str, pick: Pick) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The state_dict in what a file or a caller gives, and what is to be said of it.

    Raises WeightsError where it is not clear which one is meant.
    """
    if not isinstance(found, Mapping):
        message = f"`{name}` holds a {type(found).__name__}, not names and tensors"
        raise WeightsError("E605", message, "save the model's state_dict alone")
    if pick.entry is None and _plain(found):
        return dict(found), ()
    inside = dict(_states(found))
    if pick.entry is not None:
        key = _asked(inside, pick.entry, name)
    elif inside:
        key = _meant(inside, name, pick.wanted)
    else:
        return dict(found), ()
    others = [f'"{other}"' for other in inside if other != key]
    there = f"; {_listed(others)} {'is' if len(others) == 1 else 'are'} there too" if others else ""
    return dict(inside[key]), (f'read from "{key}"{there}',)


def _plain(found: Mapping[Any, Any]) -> bool:
    """Whether it is a state_dict, or meant to be one."""
    import torch

    tensors = [key for key, value in found.items() if isinstance(value, torch.Tensor)]
    return bool(tensors) and (len(tensors) == len(found) or any("." in str(k) for k in tensors))


def _states(found: Mapping[Any, Any], path: str = "") -> Iterator[tuple[str, Mapping[Any, Any]]]:
    """The state_dicts in a checkpoint, by where they stand: at the top, or one below."""
    for key, value in found.items():
        other = not isinstance(key, str) or key.lower().startswith(_OTHERS)
        if other or not isinstance(value, Mapping):
            continue
        here = f"{path}{headers.plain(key)}"
        if _plain(value):
            if any(getattr(v, "is_floating_point", bool)() for v in value.values()):
                yield here, value
        elif not path:
            yield from _states(value, f"{here}.")


def _asked(inside: Mapping[str, Any], entry: str, name: str) -> str:
    """The entry that is asked for by name, or the only one in it."""
    found = [key for key in inside if key == entry or key.startswith(f"{entry}.")]
    if entry in found or len(found) == 1:
        return entry if entry in found else found[0]
    message = f"`{name}` has no entry `{headers.plain(str(entry))}` of names and tensors"
    raise WeightsError("E605", message, _there(inside) if inside else "it has no entries")


def _meant(inside: Mapping[str, Mapping[Any, Any]], name: str, wanted: Mapping[str, Stored]) -> str:
    """The only one; the first that trainers call so; the one that the model's names are in."""
    known = [key for key in inside if all(word in _WORDS for word in key.split("."))]
    if known:
        return min(known, key=lambda key: [_WORDS.index(word) for word in key.split(".")])
    if len(inside) == 1:
        return next(iter(inside))
    fits = {key: _fit(state, wanted) for key, state in inside.items()}
    best, second = sorted(fits, key=lambda key: -fits[key])[:2]
    if fits[best] > fits[second]:
        return best
    message = f"`{name}` holds {len(inside)} networks, and names do not say which is meant"
    raise WeightsError("E605", message, f"{_there(inside)}; {said('entry', best)} takes the first")


def _fit(state: Mapping[Any, Any], wanted: Mapping[str, Stored]) -> int:
    """How many tensors have name and shape of one of the model."""
    names, _ = stripped([key for key in state if isinstance(key, str)], wanted)
    return sum(
        new in wanted and wanted[new].shape == tuple(getattr(state[old], "shape", ()))
        for new, old in names.items()
    )


def _there(inside: Mapping[str, Any]) -> str:
    return "it has " + _listed([f'"{key}"' for key in inside])


def _listed(names: list[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
