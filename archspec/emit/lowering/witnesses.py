"""An instance of a block → the same at other values of the arguments that its class may have.

A class that is right where this network calls it may be wrong elsewhere: a number that is the same
in all calls, an item that none of them has. So the block is expanded at other values too, and
these instances are walked beside the real ones.

    Unit: {out: 8} on [4, 8, 8]      Unit: {out: 9} on [4, 8, 8]       for `out`
                                     Unit: {out: 8} on [5, 8, 8]       for `in_channels`
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

from archspec.emit.lowering.calls import is_width, titles
from archspec.expand.again import Again
from archspec.expand.tree import Instance
from archspec.language import Item
from archspec.layers.base import TensorType


class Called(NamedTuple):
    """An instance, where `item` of the file `home` calls it."""

    again: Again
    base: Instance
    home: Instance
    item: Item


class Witness(NamedTuple):
    """An instance at another value of one argument."""

    param: str
    base: Instance  # of the network: it differs from this one
    instance: Instance


def witnesses(
    call: Called, params: Mapping[str, Any], worked: Collection[str]
) -> Iterator[Witness]:
    """One for each of these params, and for each width that comes in, where the block takes any.

    `worked` are params that are what their defaults come to, whether a call gives them or not.
    """
    again, base, home, item = call
    given = {p: base.args[p] for p in item.args if p not in worked}
    inputs = {name: v.type for name, v in base.inputs.items()}
    kinds = list(inputs.values())
    for param, value in params.items():
        for other in others(value):
            found = again.block(base, home, item, {**given, param: other}, inputs)
            if found is not None:
                yield Witness(param, base, found)
                break
    for j, (text, kind) in enumerate(zip(base.inputs, kinds, strict=True)):
        for axis, title in enumerate(titles(text, j, kind)):
            if kind is None or not is_width(kind, axis):
                continue  # sizes of space are the tensor's
            if any(k is not None and _same(k, kind, axis) for k in kinds[:j]):
                continue  # it follows the input before
            for other in others(kind.shape[axis]):
                wider = {
                    n: k.resized(axis, other) if k is not None and _same(k, kind, axis) else k
                    for n, k in inputs.items()
                }
                found = again.block(base, home, item, given, wider)
                if found is not None:
                    yield Witness(title, base, found)
                    break


def _same(kind: TensorType, as_in: TensorType, axis: int) -> bool:
    """Whether two inputs agree in one of their widths, which then change together."""
    return kind.rank == as_in.rank and kind.shape[axis] == as_in.shape[axis]


def others(value: Any) -> list[Any]:
    """Values near this one, of its sign."""
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        sign = -1 if value < 0 else 1
        near = (value + sign, 2 * value, 3 * value, value - sign)
        return [n for n in near if n * sign > 0]
    if isinstance(value, float):
        return [1.5 * value + 0.01, 0.5 * value]
    if isinstance(value, (tuple, list)) and value and all(type(v) is int for v in value):
        return [[*value[:-1], value[-1] + 2], [2 * v for v in value]]
    if isinstance(value, str):  # of words, those for activations make a class differ
        return [w for w in ("relu", "silu") if w != value]
    return []
