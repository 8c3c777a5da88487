"""`init` of a graph's nodes → whether their weights can be filled so, as `torch.nn.init` does it.

    linear: {weight: dirac}                      `dirac` fills 3 to 5 axes; the weight has 2
    conv: {weight: {uniform: {a: 1, b: -1}}}     `a` is above `b`
    conv: {weight: {values: [[0, -1, 0], …]}}    [3, 3] for a weight [3, 1, 3, 3]: every channel

The rules are those of https://pytorch.org/docs/stable/nn.init.html, and of float32.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from archspec.expressions import is_number, is_whole
from archspec.layers.base import REPARAMETRISED
from archspec.layers.fields import LARGEST
from archspec.text.faults import Fault
from archspec.text.words import show

if TYPE_CHECKING:
    from archspec.expand.schedule import Node, Schedule
    from archspec.language import Filler
    from archspec.layers.base import Shape, Weight

_CODE = "E221"
_WORDS = frozenset({"mode", "nonlinearity"})
_USUAL: dict[str, dict[str, float]] = {
    "uniform": {"a": 0.0, "b": 1.0},
    "normal": {"mean": 0.0, "std": 1.0},
    "trunc_normal": {"mean": 0.0, "std": 1.0, "a": -2.0, "b": 2.0},
    "dirac": {"groups": 1},
    "sparse": {"std": 0.01},
    "xavier_uniform": {"gain": 1.0},
    "xavier_normal": {"gain": 1.0},
}
# the least and the most axes of what a filler fills
_AXES = {
    "eye": (2, 2), "sparse": (2, 2), "dirac": (3, 5), "orthogonal": (2, 8), "bilinear": (3, 8),
    "xavier_uniform": (2, 8), "xavier_normal": (2, 8), "kaiming_uniform": (2, 8),
    "kaiming_normal": (2, 8),
}  # fmt: skip


def faults(schedule: Schedule) -> Iterator[Fault]:
    """One for each filler that is wrong, at the place where it is written."""
    said: set[int] = set()
    known: set[tuple[int, int]] = set()
    for node in schedule.steps:
        if not node.init or (node.kind, id(node.init)) in known:
            continue
        known.add((node.kind, id(node.init)))
        for which, filler in node.init.items():
            wrongs = (_wrong(filler, weight, node) for weight in _filled(node, which))
            wrong = next(filter(None, wrongs), None)
            if wrong is not None and id(filler) not in said:
                said.add(id(filler))
                yield Fault(_CODE, wrong[0], filler.loc, wrong[1])


def _filled(node: Node, which: str) -> Iterator[Weight]:
    """The weights of a node that its filler for `weight`, or for `bias`, is for."""
    for weight in node.untied() if node.shared is None else ():
        direct = weight.name.endswith(("original", "original1"))  # of the shape of what is computed
        computed = weight.name.startswith(REPARAMETRISED) and not direct
        if weight.part == which and not computed:
            yield weight


def _wrong(filler: Filler, weight: Weight, node: Node) -> tuple[str, str] | None:
    """What a filler cannot do, and the remedy; None where it can."""
    name, args = filler.name, filler.args
    if name == "values":
        return _misfit(args["val"], weight, node)
    numbers = {key: value for key, value in args.items() if key not in _WORDS}
    for key, value in numbers.items():
        if not is_number(value):
            return f"`{key}` of `{name}` is {show(value)}; it takes a number", ""
        if abs(value) > LARGEST or value - value != 0:
            help = "a float32 goes to about 3.4e38"
            return f"`{key}` of `{name}` is {show(value)}, more than a weight can hold", help
    least, most = _AXES.get(name, (0, 8))
    axes = len(weight.shape)
    if not least <= axes <= most:
        span = f"{least}" if least == most else f"{least} or more" if most > 5 else "3 to 5"
        what = f"`{weight.name}`" if weight.name else "the parameter"
        help = "`normal` and `uniform` fill any weight"
        return f"`{name}` fills {span} axes; {what} has the shape {list(weight.shape)}", help
    rule = _RULES.get(name)
    message = rule(name, {**_USUAL.get(name, {}), **numbers}, weight.shape) if rule else ""
    return (message, "") if message else None


def _uniform(name: str, args: Mapping[str, Any], _: Shape) -> str:
    a, b = args["a"], args["b"]
    if a > b:
        return f"`a` of `{name}` is {show(a)}, above its `b`, {show(b)}"
    return "" if b - a <= LARGEST else f"`{name}` goes from {show(a)} to {show(b)}, too far"


def _normal(name: str, args: Mapping[str, Any], _: Shape) -> str:
    std = args.get("std", 0)
    return f"`std` of `{name}` is {show(std)}; it is at least 0" if std < 0 else ""


def _trunc_normal(name: str, args: Mapping[str, Any], _: Shape) -> str:
    if args["std"] <= 0:
        return f"`std` of `{name}` is {show(args['std'])}; it is above 0"
    a, b = args["a"], args["b"]
    return f"`a` of `{name}` is {show(a)}; it is below its `b`, {show(b)}" if a >= b else ""


def _dirac(name: str, args: Mapping[str, Any], shape: Shape) -> str:
    groups = args["groups"]
    if not is_whole(groups) or groups < 1:
        return f"`groups` of `{name}` is {show(groups)}; it takes a whole number of at least 1"
    divides = shape[0] % groups == 0
    return "" if divides else f"`groups` of `{name}` is {groups}; it divides {shape[0]} channels"


def _gain(name: str, args: Mapping[str, Any], shape: Shape) -> str:
    gain = args["gain"]
    if gain < 0:
        return f"`gain` of `{name}` is {show(gain)}; it is at least 0"
    large = gain * math.sqrt(6 / max(1, shape[0] + shape[1])) > LARGEST / 2
    return f"`gain` of `{name}` is {show(gain)}: weights would not be finite" if large else ""


def _slope(name: str, args: Mapping[str, Any], _: Shape) -> str:
    slope = args.get("a", 0)
    return f"`a` of `{name}` is {show(slope)}, too steep" if abs(slope) > 1e19 else ""


def _sparse(name: str, args: Mapping[str, Any], shape: Shape) -> str:
    part = args["sparsity"]
    if not 0 <= part <= 1:
        return f"`sparsity` of `{name}` is {show(part)}; it is from 0 to 1"
    return _normal(name, args, shape)


_RULES: dict[str, Callable[[str, Mapping[str, Any], Shape], str]] = {
    "uniform": _uniform, "normal": _normal, "trunc_normal": _trunc_normal, "dirac": _dirac,
    "xavier_uniform": _gain, "xavier_normal": _gain, "kaiming_uniform": _slope,
    "kaiming_normal": _slope, "sparse": _sparse,
}  # fmt: skip


def _misfit(values: Any, weight: Weight, node: Node) -> tuple[str, str] | None:
    """Numbers that are neither a whole weight nor what is the same for its channels."""
    found, known = _rows(values), _fitting(weight)
    if found in known:
        return None
    said = f"the {weight.name or 'weight'} of `{node.path}` is {list(weight.shape)}"
    help = f"write {' or '.join(str(list(s)) for s in known)}"
    return f"`values` are {list(found)}; {said}", help


def _fitting(weight: Weight) -> list[tuple[int, ...]]:
    """The shapes of numbers for it: all of it; a kernel, for all outputs, for all channels too."""
    space = len(weight.shape) - 2
    return [weight.shape[k:] for k in range(3 if space > 0 else 1)]


def _rows(values: Any) -> tuple[int, ...]:
    """The shape of numbers in rows."""
    return (len(values), *_rows(values[0])) if isinstance(values, (list, tuple)) else ()
