"""What is said from outside → the network's params and input types."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from archspec.expand.state import UNKNOWN, HiddenError, deeper
from archspec.language import REQUIRED, Axis
from archspec.layers import TensorType
from archspec.text.words import did_you_mean, show

if TYPE_CHECKING:
    from archspec.expand.state import Env, State
    from archspec.language import Input, Spec

_MOST = 2**53


def params(state: State, spec: Spec, variant: str | None, given: Mapping[str, Any]) -> Env:
    """The document's params: defaults, the variant's, those from outside. Notes faults."""
    chosen: Mapping[str, Any] = {}
    if variant is not None and variant != spec.name:
        if variant not in spec.variants:
            known = (spec.name, *spec.variants)
            help = did_you_mean(variant, known)
            state.fault("E225", f"`{spec.name}` has no variant `{variant}`", spec.loc, help)
        chosen = spec.variants.get(variant, {})
    for name in given:
        if name not in spec.params:
            help = did_you_mean(name, spec.params) if spec.params else "it has no params"
            state.fault(
                "E321",
                f"`{spec.name}` has no param `{name}`",
                deeper(spec.loc, "params", name),
                help,
            )
    found: Env = {}
    for name, default in spec.params.items():
        try:
            found[name] = _param(state, spec, variant, name, default, chosen, given, found)
        except HiddenError:
            state.blind = True
            found[name] = UNKNOWN
    return found


def _param(
    state: State, spec: Spec, variant: str | None, name: str, default: Any,
    chosen: Mapping[str, Any], given: Mapping[str, Any], above: Env,
) -> Any:  # fmt: skip
    loc = deeper(spec.loc, "params", name)
    value = default
    if default is not REQUIRED:
        value = state.value(default, above, loc)
    if name in chosen:
        at = deeper(spec.loc, "variants", str(variant), name)
        value = like(state, name, state.value(chosen[name], above, at), value, at)
    if name in given:
        return like(state, name, given[name], value, loc)
    if value is REQUIRED:
        help = f"set it: `--set {name}=…`, or `{name}=…` from Python"
        state.fault("E323", f"`{name}` has no default and is not set", loc, help)
        raise HiddenError
    return value


def like(state: State, name: str, value: Any, default: Any, loc: Any) -> Any:
    """A value from outside, of the kind its default has. Raises HiddenError."""
    wanted = _wrong(value, default)
    if not wanted:
        if isinstance(value, tuple):
            return list(value)
        return float(value) if type(default) is float and type(value) is int else value
    help = "leave the point out" if type(value) is float and type(default) is int else ""
    shown = show(default)
    message = f"`{name}` is {show(value)}; it takes {wanted}, as its default {shown} is"
    state.fault("E322", message, loc, help)
    raise HiddenError


def _wrong(value: Any, default: Any) -> str:
    """What is wanted instead of a value, or ""."""
    if default is REQUIRED or default is None:
        return _plain(value)
    if type(default) is float:
        if type(value) is float or (type(value) is int and abs(value) <= _MOST):
            return "" if value == value and abs(value) != float("inf") else "a finite number"
        return "a number"
    if isinstance(default, (list, tuple)):
        return "" if isinstance(value, (list, tuple)) and not _plain(value) else "a list"
    for kind, what in _KINDS.items():
        if type(default) is kind:
            return "" if type(value) is kind else what
    return _plain(value)


_KINDS = {bool: "true or false", int: "a whole number", str: "text", dict: "a mapping"}


def _plain(value: Any) -> str:
    """Numbers, text, truth, and lists and mappings of them."""
    if isinstance(value, (list, tuple)):
        return next((w for w in map(_plain, value) if w), "")
    if isinstance(value, dict):
        return next((w for w in map(_plain, value.values()) if w), "")
    return (
        ""
        if isinstance(value, (bool, int, float, str))
        else "a number, text, true or false, or a list"
    )


# ---------------------------------------------------------------- inputs


def inputs(
    state: State, spec: Spec, env: Env, given: Mapping[str, Sequence[int]] | None
) -> tuple[dict[str, TensorType | None], dict[str, int]]:
    """The types of the inputs by name, and the sizes of the free axes. Notes faults."""
    axes: dict[str, int] = {}
    found: dict[str, TensorType | None] = {}
    for name in given or ():
        if name not in spec.inputs:
            help = did_you_mean(name, spec.inputs)
            state.fault(
                "E324", f"`{spec.name}` has no input `{name}`", deeper(spec.loc, "input"), help
            )
    for name, declared in spec.inputs.items():
        try:
            sizes = _sizes(state, name, declared, env, (given or {}).get(name), axes)
            kind = TensorType(sizes, declared.dtype)
            most = state.limits.elements
            if kind.size > most:
                message = f"the input `{name}` has the shape {kind}, more than {most:,} elements"
                raise state.stop("E408", message, declared.loc)
            found[name] = state.canonical(kind)
        except HiddenError:
            found[name] = None
    return found, axes


def _sizes(
    state: State,
    name: str,
    declared: Input,
    env: Env,
    other: Sequence[int] | None,
    axes: dict[str, int],
) -> tuple[int, ...]:
    """The shape of one input. Raises HiddenError."""
    if other is not None and len(other) != len(declared.shape):
        message = (
            f"the input `{name}` has {len(declared.shape)} axes; {list(other)} has {len(other)}"
        )
        state.fault("E324", message, declared.loc, "the batch axis is never written")
        raise HiddenError
    found = []
    for place, axis in enumerate(declared.shape):
        loc = deeper(declared.loc, place)
        written = axis.size if isinstance(axis, Axis) else axis
        size = state.value(written, env, loc) if other is None else other[place]
        if type(size) is not int or size < 1:
            rule = "it takes a whole number from 1"
            message = f"axis {place} of the input `{name}` is {show(size)}; {rule}"
            state.fault("E324", message, loc)
            raise HiddenError
        if isinstance(axis, Axis) and axes.setdefault(axis.name, size) != size:
            message = f"the axis `{axis.name}` is {size} in `{name}` and {axes[axis.name]} before"
            state.fault("E325", message, loc, "equal names are equal sizes")
            raise HiddenError
        found.append(size)
    return tuple(found)
