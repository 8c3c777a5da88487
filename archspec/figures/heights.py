"""Part → Level: how high it stands, by the effective stride of what it gives.

A map of 56×56 cells, made from an image of 224×224 by strides of 2 and 2, is at stride 4; so is one
that was made smaller and grew again. That makes a U of a U-Net.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import prod
from typing import TYPE_CHECKING, NamedTuple

from archspec.figures.outline import Outline

if TYPE_CHECKING:
    from archspec.analysed import Network
    from archspec.analysis import Row
    from archspec.analysis.receptive_field import Field


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
            return f"stride {'×'.join(map(str, self.strides))}"
        return " × ".join(map(str, self.sizes)) or "vectors"

    @property
    def remark(self) -> str:
        """Of a stride below 1 in other words: how much finer than the input the map is."""
        finer = 1 / self.strides[0] if len(self.strides) == 1 else 1
        return f"{finer}× the input" if finer > 1 else ""


def levels(network: Network, shown: Outline) -> dict[str, Level]:
    """The level of every part, by key.

    That of its output: the effective stride where the receptive field has one; behind something
    that sees everything, input size by map size; of a sequence, that of what it is made from.
    """
    rows = network.analysis.rows
    found: dict[str, Level] = {}
    for part in shown.parts:
        before = [found[link.source] for link in shown.sources[part.key]]
        own = before[0] if part.kind == "output" else _level(network, rows[part.main])
        highest = max(before, key=lambda level: level.order, default=Level())
        found[part.key] = highest if own is None else own
    return found


def _level(network: Network, row: Row) -> Level | None:
    """None of a sequence that sees everything, and of many maps in one tensor."""
    out = row.outputs[0]
    local = [field for field in row.fields if field.local]
    if local and (out.rank > 1 or out.dtype == "int"):
        own = [f for f in local if f.input == local[0].input and f.stride is not None]
        return Level(_once([_nominal(f, out.shape) for f in own]))
    shape = out.shape
    if len(shape) < 2:
        return Level()
    if len(shape) == 2 and not out.is_map:
        return None
    inputs = [node.outs[0].shape for node in network.graph.steps if node.layer is None]
    like = [whole for whole in inputs if len(whole) == len(shape)]
    if not like:
        return None if any(len(whole) > 2 for whole in inputs) else Level(sizes=shape[1:])
    ratios = [Fraction(a, b) for a, b in zip(like[0][1:], shape[1:], strict=True)]
    return Level(_once([_power(ratio) for ratio in ratios]))


def _nominal(field: Field, shape: Sequence[int]) -> Fraction:
    """The stride that is meant: of a map that was brought to a size, cells are not quite so far
    apart (`align_corners` makes 31 steps of 32 cells into 63 of 64): input size by map size.
    """
    stride = field.stride or Fraction(1)
    if _is_plain(stride) or field.axis >= len(shape):
        return stride
    ratio = Fraction(field.extent, shape[field.axis])
    few = ratio.denominator <= 8 and _power(ratio / stride) == 1
    return ratio if few or ratio == stride or _is_plain(ratio) else _power(stride)


def _is_plain(stride: Fraction) -> bool:
    return 1 in (stride.numerator, stride.denominator)


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
