"""Windows of layers, one behind another → the interval of input cells that an output cell reads.

A span is an interval that moves with the output cell `o`: the cells ceil((stride·o + lo)/up) …
floor((stride·o + hi)/up). All are whole numbers, so that putting a layer's window behind a span is
a few multiplications, and nothing is rounded on the way:

    the input itself                      stride 1, lo  0, hi 0
    conv {kernel: 3, padding: 1}          stride 1, lo -1, hi 1
    max_pool 2                            stride 2, lo -1, hi 2
    conv {kernel: 3, padding: 1}          stride 2, lo -3, hi 4    cell 0 reads cells -3 … 4
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import ceil, floor, gcd
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from archspec.layers.base import Window

# Beyond this a field says nothing any more, and whole numbers would grow without bound along
# a chain of strides on a map of one cell: it is then taken as "sees everything".
LARGEST = 1 << 62


class Shift(NamedTuple):
    """A layer's window along one axis, in lowest terms.

    `fixed`: the same at every input size. `beyond`: what padding holds, as of the Window.
    """

    stride: int
    up: int
    lo: int
    hi: int
    fixed: bool
    beyond: str = "zeros"

    @classmethod
    def of(cls, window: Window, *, fixed: bool) -> Shift:
        g = gcd(window.stride, window.up) or 1
        low, high = -(-window.lo // g), window.hi // g
        return cls(window.stride // g, window.up // g, low, high, fixed, window.beyond)

    @property
    def point(self) -> bool:
        """Whether output cell `o` reads input cell `o` and no other."""
        return self[:4] == (1, 1, 0, 0)

    @property
    def empty(self) -> bool:
        """Whether nothing is read: of this input only the size matters."""
        return self.lo > self.hi


class Span(NamedTuple):
    """Output cell `o` reads ceil((stride·o + lo)/up) … floor((stride·o + hi)/up).

    In lowest terms (stride and up share no factor), `lo` and `hi` tight. `fixed`: the same at every
    input size. `grain`: the coarsest stride on the way, in input cells. `around`: something
    on the way goes on at the other end of the axis, as circular padding does.
    """

    stride: int
    up: int
    lo: int
    hi: int
    fixed: bool
    grain: int
    around: bool = False

    def cells(self, o: int) -> tuple[int, int]:
        """First and last input cell that output cell `o` reads; those outside are padding, and of
        one that goes `around` cells at the other end."""
        return -((-self.stride * o - self.lo) // self.up), (self.stride * o + self.hi) // self.up

    def centre(self, o: int) -> Fraction:
        """The middle of what output cell `o` reads, in input cells."""
        return Fraction(2 * self.stride * o + self.lo + self.hi, 2 * self.up)

    def behind(self, shift: Shift) -> Span | None:
        """What a layer reads of the input, if this is what its own input reads; None: too large."""
        stride, up = self.stride * shift.stride, self.up * shift.up
        low = self.stride * shift.lo + self.lo * shift.up
        high = self.stride * shift.hi + self.hi * shift.up
        if max(stride, up) > LARGEST or max(-low, high) >= LARGEST:
            return None
        g = gcd(stride, up)
        # cells are whole: a bound moves inwards to the next multiple of the common factor
        return Span(
            stride // g, up // g, -(-low // g), high // g,
            self.fixed and shift.fixed, max(self.grain, -(-stride // up)),
            self.around or shift.beyond == "circular",
        )  # fmt: skip

    def same_stride(self, other: Span) -> bool:
        return self.stride == other.stride and self.up == other.up


HERE = Shift(1, 1, 0, 0, True)  # of a layer that works cell by cell
CELL = Span(1, 1, 0, 0, True, 1)  # what the input sees of itself


def hull(spans: Sequence[Span], n: int) -> Span:
    """One span that holds all the others at each of `n` output cells, the smallest there is."""
    first = spans[0]
    if all(span == first for span in spans):
        return first
    if all(span.same_stride(first) for span in spans):
        return first._replace(
            lo=min(span.lo for span in spans),
            hi=max(span.hi for span in spans),
            fixed=all(span.fixed for span in spans),
            grain=max(span.grain for span in spans),
            around=any(span.around for span in spans),
        )
    along = (_hull_along(base, spans, n) for base in spans)
    return min(along, key=lambda span: Fraction(span.hi - span.lo, span.up))


def _hull_along(base: Span, spans: Sequence[Span], n: int) -> Span:
    """The hull of spans of different strides, with the stride of one.

    Both bounds are linear in `o`, so the first and last cell decide.
    """
    s, u = base.stride, base.up
    ends = [(p, o) for p in spans for o in (0, n - 1)]
    low = min(Fraction(p.stride * o + p.lo, p.up) * u - s * o for p, o in ends)
    high = max(Fraction(p.stride * o + p.hi, p.up) * u - s * o for p, o in ends)
    grain, around = max(p.grain for p in spans), any(p.around for p in spans)
    return Span(s, u, ceil(low), floor(high), False, grain, around)


def apart(spans: Sequence[Span]) -> tuple[Span, Span] | None:
    """The first two that are centred on different cells, if any.

    Causal paths, whose right edges agree, are meant to differ on the left; what goes around the
    ends is moved on purpose.
    """
    first = spans[0]
    for span in spans[1:]:
        if first.around or span.around:
            continue
        centred = span.lo + span.hi == first.lo + first.hi
        if not span.same_stride(first) or not (centred or span.hi == first.hi):
            return first, span
    return None
