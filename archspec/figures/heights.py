"""Part → Level: how high it stands, by the effective stride of what it gives.

A map of 56×56 cells, made from an image of 224×224 by strides of 2 and 2, is at stride 4; so is one
that was made smaller and grew again. That makes a U of a U-Net. Of several inputs the largest is at
stride 1, and one of half its size at stride 2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from math import prod
from typing import TYPE_CHECKING, NamedTuple

from archspec.figures.outline import Outline
from archspec.units import once

if TYPE_CHECKING:
    from archspec.analysed import Network
    from archspec.analysis import Row
    from archspec.analysis.receptive_field import Field

_SIMPLE = 8  # terms of a ratio that is told as it is


class Level(NamedTuple):
    """A height: the strides along the axes of the map, once where they agree; () of vectors.

    `sizes` instead of strides, where the network's input is no map.
    """

    strides: tuple[Fraction, ...] = ()
    sizes: tuple[int, ...] = ()

    @property
    def order(self) -> tuple[bool, float]:
        """The finest first, vectors last."""
        cells = self.strides or tuple(Fraction(1, size) for size in self.sizes)
        return not cells, float(prod(cells)) ** (1 / max(len(cells), 1))

    @property
    def label(self) -> str:
        if self.strides:
            return f"stride {once(self.strides) if len(self.strides) > 1 else self.strides[0]}"
        return " × ".join(map(str, self.sizes)) or "vectors"

    @property
    def remark(self) -> str:
        """Of a stride below 1 in other words: how much finer than the input the map is."""
        finer = 1 / self.strides[0] if len(self.strides) == 1 else 1
        return f"{finer}× the input" if finer > 1 else ""


def levels(network: Network, shown: Outline) -> dict[str, Level]:
    """The level of every part, by key.

    That of its output: the effective stride where the receptive field has one; behind something
    that sees everything, input size by map size; of a sequence, that of what it is made from. What
    is made of no input, a parameter or constant, stands with the first that takes it.
    """
    rows, largest = network.analysis.rows, _largest(network)
    found: dict[str, Level] = {}
    fixed: list[str] = []
    for part in shown.parts:
        sources = [link.source for link in shown.sources[part.key]]
        before = [found[key] for key in sources if key in found]
        if not before and part.kind != "input":
            fixed.append(part.key)
            continue
        own = before[0] if part.kind == "output" else _level(network, rows[part.main], largest)
        highest = max(before, key=lambda level: level.order, default=Level())
        found[part.key] = highest if own is None else own
    for key in reversed(fixed):
        found[key] = next((found[link.target] for link in shown.targets[key]), Level())
    return {part.key: found[part.key] for part in shown.parts}


def _largest(network: Network) -> dict[int, tuple[int, ...]]:
    """By rank, the sizes along each axis of the largest input that is a map of several cells."""
    found: dict[int, tuple[int, ...]] = {}
    for node in network.graph.steps:
        out = node.outs[0]
        if node.layer is None and out.is_map and prod(out.shape[1:]) > 1:
            found[out.rank] = tuple(map(max, found.get(out.rank, out.shape), out.shape))
    return found


def _level(network: Network, row: Row, largest: Mapping[int, tuple[int, ...]]) -> Level | None:
    """None of a sequence that sees everything, and of many maps in one tensor."""
    out = row.outputs[0]
    local = [field for field in row.fields if field.local]
    if local and (out.rank > 1 or out.dtype == "int"):
        first = network.graph.at(local[0].input).outs[0]
        if first.is_map and prod(first.shape[1:]) == 1 == prod(out.shape[1:]):
            return Level()  # a number, as of a blend
        whole = largest.get(first.rank, first.shape) if first.is_map else first.shape
        strides = [
            _nominal(field, out.shape) * _ratio(whole[field.axis], field.extent)
            for field in local
            if field.input == local[0].input and field.stride is not None
        ]
        return Level(_once(strides))
    shape = out.shape
    if len(shape) < 2:
        return Level()
    if len(shape) == 2 and not out.is_map:
        return None
    if len(shape) not in largest:
        return None if any(rank > 2 for rank in largest) else Level(sizes=shape[1:])
    ratios = [Fraction(a, b) for a, b in zip(largest[len(shape)][1:], shape[1:], strict=True)]
    return Level(_once([_power(ratio) for ratio in ratios]))


def _nominal(field: Field, shape: Sequence[int]) -> Fraction:
    """The stride that is meant: of a map that was brought to a size, cells are not quite so far
    apart (`align_corners` makes 31 steps of 32 cells into 63 of 64): input size by map size.
    """
    stride = field.stride or Fraction(1)
    if _is_plain(stride) or field.axis >= len(shape):
        return stride
    ratio = Fraction(field.extent, shape[field.axis])
    few = ratio.denominator <= _SIMPLE and _power(ratio / stride) == 1
    return ratio if few or ratio == stride or _is_plain(ratio) else _power(stride)


def _is_plain(stride: Fraction) -> bool:
    return 1 in (stride.numerator, stride.denominator)


def _ratio(whole: int, part: int) -> Fraction:
    """Of two inputs' sizes, as it is where it is simple: of 64 and 48, 4/3."""
    exact = Fraction(whole, part)
    simple = max(exact.numerator, exact.denominator) <= _SIMPLE or exact.denominator == 1
    return exact if simple else _power(exact)


def _once(values: Sequence[Fraction]) -> tuple[Fraction, ...]:
    return tuple(values[:1] if len(set(values)) == 1 else values)


def _power(ratio: Fraction) -> Fraction:
    """The power of two next to a ratio: of 28 and 7, or of 28 and 8, 4."""
    power = Fraction(1)
    while ratio > power * Fraction(141, 100):
        power *= 2
    while ratio < power / Fraction(141, 100):
        power /= 2
    return power
