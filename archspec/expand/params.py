"""What is said from outside → the network's params and input types."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from archspec.expand.state import UNKNOWN, Env, HiddenError, State, deeper
from archspec.expressions import Expr, is_whole
from archspec.language import REQUIRED, Axis, Input, Spec
from archspec.layers import TensorType
from archspec.text.faults import Fault
from archspec.text.words import did_you_mean, show

_MOST = 2**53
_SEVERAL = 2  # variants that together are right, and the default is wrong
_SHOWN = 3  # values of theirs that are named


def params(state: State, spec: Spec, variant: str | None, given: Mapping[str, Any]) -> Env:
    """The document's params: defaults, the variant's, those from outside. Notes faults."""
    if variant == spec.name:
        variant = None
    if variant is not None and variant not in spec.variants:
        help = did_you_mean(str(variant), (spec.name, *spec.variants))
        state.fault("E225", f"`{spec.name}` has no variant `{variant}`", spec.loc, help)
    for name in given:
        if name not in spec.params:
            help = did_you_mean(name, spec.params) if spec.params else "it has no params"
            loc = deeper(spec.loc, "params", name)
            state.fault("E321", f"`{spec.name}` has no param `{name}`", loc, help)
    found: Env = {}
    for name in spec.params:
        loc = deeper(spec.loc, "params", name)
        try:
            value = _own(state, spec, variant, name, found)
            if name in given:
                value = like(state, name, given[name], value, loc)
            if value is REQUIRED:
                help = f"set it: `--set {name}=…`, or `{name}=…` from Python"
                state.fault("E323", f"`{name}` has no default and is not set", loc, help)
                raise HiddenError
            found[name] = value
        except HiddenError:
            state.blind = True
            found[name] = UNKNOWN
    return found


def _own(state: State, spec: Spec, variant: str | None, name: str, above: Env) -> Any:
    """What the document says: a default, or what the variant has in its place."""
    value = spec.params[name]
    if value is not REQUIRED:
        value = state.value(value, above, deeper(spec.loc, "params", name))
    chosen = spec.variants.get(variant or "", {})
    if name not in chosen:
        return value
    loc = deeper(spec.loc, "variants", str(variant), name)
    _odd_one_out(state, spec, name, value)
    return like(state, name, state.value(chosen[name], above, loc), value, loc)


def _odd_one_out(state: State, spec: Spec, name: str, default: Any) -> None:
    """Notes a default that is of another kind than all variants have. Raises HiddenError."""
    others: list[Any] = []
    wanted: list[str] = []
    for chosen in spec.variants.values():
        if name not in chosen:
            continue
        others.append(chosen[name])
        wanted.append("" if isinstance(others[-1], Expr) else _wrong(others[-1], default))
        if not wanted[-1]:
            return
    if len(others) < _SEVERAL:
        return
    shown = ", ".join(show(value) for value in others[:_SHOWN])
    message = f"`{name}` is {show(default)}; what variants set it to is not {wanted[0]}: {shown}"
    points = is_whole(default) and all(isinstance(value, float) for value in others)
    loc = deeper(spec.loc, "params", name)
    state.fault("E322", message, loc, f"write `{float(default)}`" if points else "")
    raise HiddenError


def like(state: State, name: str, value: Any, default: Any, loc: Any) -> Any:
    """A value from outside, of the kind its default has. Raises HiddenError."""
    wanted = _wrong(value, default)
    if not wanted:
        if isinstance(value, tuple):
            return list(value)
        return float(value) if isinstance(default, float) and is_whole(value) else value
    whole = isinstance(value, float) and value.is_integer()
    help = "leave the point out" if whole and is_whole(default) else ""
    shown = show(default)
    message = f"`{name}` is {show(value)}; it takes {wanted}, as its default {shown} is"
    state.fault("E322", message, loc, help)
    raise HiddenError


def _wrong(value: Any, default: Any) -> str:
    """What is wanted instead of a value, or ""."""
    if default is REQUIRED or default is None:
        return _plain(value)
    if isinstance(default, float):
        if isinstance(value, float) or (is_whole(value) and abs(value) <= _MOST):
            return "" if math.isfinite(value) else "a finite number"
        return "a number"
    if isinstance(default, (list, tuple)):
        return "" if isinstance(value, (list, tuple)) and not _plain(value) else "a list"
    for kind, what in _KINDS.items():  # bool before int, which it is one of
        if isinstance(default, kind):
            same = isinstance(value, kind) and isinstance(value, bool) == isinstance(default, bool)
            return "" if same else what
    return _plain(value)


_KINDS = {bool: "true or false", int: "a whole number", str: "text", dict: "a mapping"}


def _plain(value: Any) -> str:
    """Numbers, text, truth, and lists and mappings of them."""
    if isinstance(value, (list, tuple, dict)):
        inside = value.values() if isinstance(value, dict) else value
        return next(filter(None, map(_plain, inside)), "")
    known = isinstance(value, (bool, int, float, str))
    return "" if known else "a number, text, true or false, or a list"


# ---------------------------------------------------------------- inputs


def inputs(
    state: State, spec: Spec, env: Env, given: Mapping[str, Sequence[int]] | None
) -> tuple[dict[str, TensorType | None], dict[str, int]]:
    """The types of the inputs by name, and the sizes of the free axes. Notes faults."""
    axes: dict[str, int] = {}
    found: dict[str, TensorType | None] = {}
    if given is not None and not isinstance(given, Mapping):
        message = f"`inputs` is {show(given)}; it takes shapes by name"
        help = f'`inputs={{"{next(iter(spec.inputs))}": (3, 224, 224)}}`'
        state.fault("E324", message, deeper(spec.loc, "input"), help)
        given = None
    for name in given or ():
        if name not in spec.inputs:
            help = did_you_mean(str(name), spec.inputs)
            loc = deeper(spec.loc, "input")
            state.fault("E324", f"`{spec.name}` has no input `{name}`", loc, help)
    for name, declared in spec.inputs.items():
        try:
            sizes = _sizes(state, name, declared, env, (given or {}).get(name))
            _name_axes(state, name, declared, sizes, axes)
        except HiddenError:
            found[name] = None
            continue
        kind = TensorType(sizes, declared.dtype)
        most = state.limits.elements
        if kind.size > most:
            message = f"the input `{name}` has the shape {kind}, more than {most:,} elements"
            written = [axis.size if isinstance(axis, Axis) else axis for axis in declared.shape]
            at = None if (given or {}).get(name) else state.place_of(sizes, written)
            fault = Fault("E408", message, declared.loc)
            raise state.stop_at(fault, at, written, f"the input `{name}`")
        found[name] = state.canonical(kind)
    return found, axes


def _lacking(declared: Input, other: Sequence[int]) -> str:
    """A whole shape to give in place of one with too few axes."""
    sizes = [axis.size if isinstance(axis, Axis) else axis for axis in declared.shape]
    lacks = len(sizes) - len(other)
    first = ", ".join(map(str, [*sizes[:lacks], *other]))
    return f"the channels first: [{first}]" if len(sizes) > 2 and lacks == 1 else "as in the file"


def _sizes(
    state: State, name: str, declared: Input, env: Env, other: Sequence[int] | None
) -> tuple[int, ...]:
    """The shape of one input; `other` is one from outside. Raises HiddenError."""
    if other is not None and not isinstance(other, (list, tuple)):
        message = f"the input `{name}` is given {show(other)}; a shape is a list of sizes"
        state.fault("E324", message, declared.loc, "for example `(3, 224, 224)`")
        raise HiddenError
    if other is not None and len(other) != len(declared.shape):
        axes = f"{len(declared.shape)} axes; {list(other)} has {len(other)}"
        help = "the batch axis is never written"
        if len(other) < len(declared.shape):
            help = f"all of them are given, {_lacking(declared, other)}"
        state.fault("E324", f"the input `{name}` has {axes}", declared.loc, help)
        raise HiddenError
    found = []
    for place, axis in enumerate(declared.shape):
        loc = deeper(declared.loc, place)
        written = axis.size if isinstance(axis, Axis) else axis
        size = state.value(written, env, loc) if other is None else other[place]
        if not is_whole(size) or size < 1:
            rule = "it takes a whole number from 1"
            message = f"axis {place} of the input `{name}` is {show(size)}; {rule}"
            state.wrong(written, Fault("E324", message, loc), f"the input `{name}`")
            raise HiddenError
        found.append(state.size(axis.name, size) if isinstance(axis, Axis) else size)
    return tuple(found)


def _name_axes(
    state: State, name: str, declared: Input, sizes: tuple[int, ...], axes: dict[str, int]
) -> None:
    """Takes in the free axes of one input. Raises HiddenError."""
    for place, (axis, size) in enumerate(zip(declared.shape, sizes, strict=True)):
        if isinstance(axis, Axis) and axes.setdefault(axis.name, size) != size:
            message = f"the axis `{axis.name}` is {size} in `{name}` and {axes[axis.name]} before"
            loc = deeper(declared.loc, place)
            state.fault("E325", message, loc, "equal names are equal sizes")
            raise HiddenError
