"""Graph → faults: fillers that the weights they are for cannot take, as `torch.nn.init` has them.

    linear: {weight: dirac}                      `dirac` fills 3 to 5 axes; the weight has 2
    conv: {weight: {uniform: {a: 1, b: -1}}}     `a` is above `b`

The rules are those of https://pytorch.org/docs/stable/nn.init.html, and of float32.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from archspec.expressions import is_number, is_whole
from archspec.text.faults import Fault
from archspec.text.words import show

if TYPE_CHECKING:
    from archspec.expand.graph import Graph, Node
    from archspec.language import Filler
    from archspec.layers.base import Shape, Weight

_CODE = "E221"
_LARGEST = 3.4028234663852886e38  # of float32
_REPARAM = "parametrizations."
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


def faults(graph: Graph) -> Iterator[Fault]:
    """One for each filler that is wrong, at the place where it is written."""
    said: set[int] = set()
    known: set[tuple[int, int]] = set()
    for node in graph.steps:
        if not node.init or node.shared is not None or (node.kind, id(node.init)) in known:
            continue
        known.add((node.kind, id(node.init)))
        for which, filler in node.init.items():
            wrong = next(filter(None, (_wrong(filler, w) for w in _filled(node, which))), None)
            if wrong is not None and id(filler) not in said:
                said.add(id(filler))
                message, help = wrong
                yield Fault(_CODE, message, filler.loc, help)


def _filled(node: Node, which: str) -> list[Weight]:
    """The weights of a node that a filler of "weight" or "bias" is for."""
    own = [w for w in node.weights() if not w.buffer]
    found = [w for w in own if which in w.name or (not w.name and which == "weight")]
    if any(w.name.startswith(_REPARAM) for w in found):  # the largest has the shape of the whole
        return sorted(found, key=lambda w: w.size)[-1:]
    return found


def _wrong(filler: Filler, weight: Weight) -> tuple[str, str] | None:
    """What a filler cannot do, and the remedy; None where it can."""
    name, args = filler.name, filler.args
    numbers = {key: value for key, value in args.items() if key not in _WORDS}
    for key, value in numbers.items():
        if not is_number(value):
            return f"`{key}` of `{name}` is {show(value)}; it takes a number", ""
        if abs(value) > _LARGEST or value - value != 0:
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
    return "" if b - a <= _LARGEST else f"`{name}` goes from {show(a)} to {show(b)}, too far"


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
    large = gain * math.sqrt(6 / max(1, shape[0] + shape[1])) > _LARGEST / 2
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
