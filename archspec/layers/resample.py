"""Space made larger, or exchanged with channels: upsample, pixel_shuffle … → torch.nn modules.

upsample: 2, on [4, 5, 6]           nn.Upsample(scale_factor=2)     [4, 10, 12]
pixel_shuffle: 2, on [8, 4, 5]      nn.PixelShuffle(2)              [2, 8, 10]
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from archspec.layers.base import (
    INPUT,
    NOTHING,
    WHOLE,
    BadArgument,
    Call,
    Kept,
    Mismatch,
    Reach,
    TensorType,
    Window,
    unread,
)
from archspec.layers.edge import LikeOther
from archspec.layers.fields import Cells, Flag, PerAxis, Real, Says, Size, up_to
from archspec.layers.pool import adaptive
from archspec.layers.shape import Rearrange
from archspec.layers.window import SPATIAL, Windowed, expect_map, spread
from archspec.text.words import written
from archspec.units import each

if TYPE_CHECKING:
    from fractions import Fraction

_Mode = Literal["nearest", "nearest-exact", "linear", "bilinear", "bicubic", "trilinear", "area"]
_AXES = {"linear": 1, "bilinear": 2, "bicubic": 2, "trilinear": 3}  # other modes: any number
_LINEAR = {1: "linear", 2: "bilinear", 3: "trilinear"}
_Factor = Annotated[float, Real(above=0, most=2**20)]
_Factors = Annotated[
    _Factor | Annotated[tuple[_Factor, ...], up_to(3)],
    Says("a number above 0 (at most 2^20), or a list of one per axis"),
]


class Upsample(LikeOther):
    """Space made larger by interpolation: torch.nn.Upsample.

    To the size of a second input: torch.nn.functional.interpolate.
    """

    formats = (2, 3)
    op = "upsample"
    elsewhere = ("upsampling", "interpolate")
    colour = "upsampling"
    reads = "map"
    bare: ClassVar[dict[type, str]] = {str: "mode"}  # where a second input gives the size
    examples = (
        ({"scale": 2}, ((4, 9),)),
        ({"scale": 2}, ((4, 5, 6),)),
        ({"scale": [2, 3], "mode": "bilinear"}, ((4, 5, 6),)),
        ({"size": [9, 13], "mode": "bilinear", "align_corners": True}, ((4, 5, 6),)),
        ({"scale": 1.5, "mode": "bicubic"}, ((4, 6, 8),)),
        ({}, ((4, 5, 6), (2, 9, 13))),
        ({"scale": "bilinear"}, ((4, 5, 6), (2, 9, 13))),
        ({"scale": 2, "mode": "linear"}, ((4, 9),)),
        ({"scale": 2, "mode": "trilinear"}, ((4, 3, 4, 5),)),
        ({"size": 7, "mode": "area"}, ((4, 5, 6),)),
        ({"scale": 2, "mode": "nearest-exact"}, ((4, 5, 6),)),
    )

    scale: _Factors | None = Field(None, description="how many times larger")
    size: PerAxis | None = Field(None, description="the output size, instead of `scale`")
    mode: _Mode = Field("nearest", description="how cells between cells are made")
    align_corners: Flag | None = Field(
        None, description="corner cells keep their value (linear and cubic modes)"
    )

    def check(self) -> None:
        if self.scale is not None and self.size is not None:
            raise BadArgument(None, "`upsample` takes `scale` or `size`, not both", code="E217")
        if self.align_corners is not None and self.mode in ("nearest", "nearest-exact", "area"):
            message = f"`align_corners` of `upsample` means nothing in mode {self.mode}"
            raise BadArgument(
                "align_corners", message, "leave it out, or choose `mode: bilinear`", "E217"
            )

    def label(self, axes: int) -> str:
        return self.title() if self.scale is None else f"{self.title()} ×{each(self.scale)}"

    def sizes(self, t: TensorType, like: TensorType | None = None) -> tuple[int, ...]:
        """The output size along each spatial axis. Raises Mismatch."""
        self._check_mode(expect_map(self.op, t), t)
        given = self.scale is not None or self.size is not None
        if given == (like is not None):
            message = "`upsample` needs `scale`, `size` or a second input whose size it takes" + (
                ", only one of them" if given else ""
            )
            raise Mismatch(message, code="E311")
        if like is not None:
            return self.space_of(like, t)
        if self.size is not None:
            return spread(self.op, "size", self.size, t)
        found = tuple(
            math.floor(size * f) for size, f in zip(t.shape[1:], self._factors(t), strict=True)
        )
        if min(found) < 1:
            message = f"`upsample` by {written(self.scale)} leaves nothing of the input {t}"
            raise Mismatch(message, code="E304")
        return found

    def _check_mode(self, n: int, t: TensorType) -> None:
        if n == _AXES.get(self.mode, n):
            return
        help = f"write `mode: {_LINEAR[n]}`" if self.mode in _LINEAR.values() else ""
        axes = "one spatial axis" if n == 1 else f"{n} spatial axes"
        message = f"`mode` of `upsample` is {self.mode}, which is not for {axes}; the input is {t}"
        raise Mismatch(message, help, "E302")

    def _factors(self, t: TensorType) -> tuple[float, ...]:
        n, scale = t.rank - 1, self.scale
        assert scale is not None
        if isinstance(scale, tuple) and len(scale) != n:
            why = f"the input {t} has the spatial axes {', '.join(SPATIAL[n])}"
            raise self.misfit("scale", why, code="E302")
        return scale if isinstance(scale, tuple) else (scale,) * n

    def infer(self, t: TensorType, like: TensorType | None = None) -> tuple[TensorType, ...]:
        sizes = self.sizes(t, like)  # refuses what has no channels
        return (t.like((t.shape[0], *sizes), map=True),)

    def reach(self, t: TensorType, like: TensorType | None = None) -> tuple[tuple[Reach, ...], ...]:
        from fractions import Fraction  # imports decimal, for a few networks only

        own = [Reach(0)]
        for a, out in enumerate(self.sizes(t, like), 1):
            size = t.shape[a]
            ratio = Fraction(size, out)
            if self.scale is not None:
                ratio = 1 / Fraction(str(self._factors(t)[a - 1]))
            own.append(self._along(a, size, out, ratio))
        return (tuple(own), *unread(like))

    def _along(self, axis: int, size: int, out: int, ratio: Fraction) -> Reach:
        """The window of one axis: `ratio` is input cells per output cell."""
        step, up = ratio.numerator, ratio.denominator
        if self.mode == "area":
            return adaptive(axis, size, out)
        if step == up:
            return Reach(axis)
        if self.mode == "nearest":
            return Reach(axis, Window(stride=step, up=up, lo=1 - up, hi=0))
        if self.align_corners:
            step, up, shift = (size - 1, out - 1, 0) if out > 1 else (0, 1, 0)
        else:  # the source is ((2·o + 1)·step - up)/(2·up)
            step, up, shift = 2 * step, 2 * up, step - up
        if self.mode == "nearest-exact":  # floor((2·o + 1)·step/(2·up))
            shift += up // 2
            return Reach(axis, Window(stride=step, up=up, lo=shift - up + 1, hi=shift))
        # the cells beside the source; where it is a cell itself, rounding may lend them a share
        around = 2 * up if self.mode == "bicubic" else up
        return Reach(axis, Window(stride=step, up=up, lo=shift - around, hi=shift + around))

    def keeps(self, t: TensorType, like: TensorType | None = None) -> Kept:
        return INPUT if self.mode == "area" else NOTHING

    def depends_on_size(self, t: TensorType, like: TensorType | None = None) -> bool:
        return self.scale is None or bool(self.align_corners) or self.mode == "area"

    def flops(self, ins: tuple[TensorType, ...], outs: tuple[TensorType, ...]) -> int:
        n = outs[0].rank - 1
        cells = {"nearest": 0, "nearest-exact": 0, "bicubic": 16, "area": 1}
        each: int = cells.get(self.mode, 2**n)
        return 2 * each * outs[0].size

    def call(self, t: TensorType, like: TensorType | None = None) -> Call:
        size, mode, align = self.args("size", "mode", "align_corners")
        if like is None:
            return Call("nn.Upsample", (size, *self.args(scale="scale_factor"), mode, align))
        free = [mode] if align.value is None else [mode, align]
        given = "".join(f", {a.name}={a.name}" for a in free)
        forward = f"nn.functional.interpolate(x0, x1.shape[2:]{given})"
        return Call(None, forward=forward, free=tuple(free))

    def function(self, t: TensorType, like: TensorType | None = None) -> Call | None:
        if like is not None or self.size is None:
            return None
        size, mode, align = self.args("size", "mode", "align_corners")
        free = [replace(size, name="size"), mode] if align.value is None else [size, mode, align]
        given = "".join(f", {a.name}={a.name}" for a in free[1:])
        forward = f"nn.functional.interpolate(x0, size{given})"
        return Call(None, forward=forward, free=tuple(free))


class Pixels(Rearrange):
    """What ops have in common that exchange channels with space, named by their factor."""

    def label(self, axes: int) -> str:
        return f"{self.title()} {vars(self)['factor']}"


class PixelShuffle(Pixels):
    """Channels into space: torch.nn.PixelShuffle, [C·f², H, W] → [C, H·f, W·f]."""

    op = "pixel_shuffle"
    target = "nn.PixelShuffle"
    formats = (2,)
    colour = "upsampling"
    examples = (({"factor": 2}, ((8, 4, 5),)), ({"factor": 3}, ((9, 2, 2),)))

    factor: Size = Field(description="how many times larger space becomes")

    def infer(self, t: TensorType) -> tuple[TensorType, ...]:
        expect_map(self.op, t, (2,))
        c, h, w = t.shape
        f = self.factor
        if c % (f * f):
            why = f"the {c} channels of the input {t} are no multiple of {f}·{f} = {f * f}"
            raise self.misfit("factor", why)
        return (t.like((c // (f * f), h * f, w * f), map=True),)

    def reach(self, t: TensorType) -> tuple[tuple[Reach, ...], ...]:
        along = Window(up=self.factor, lo=1 - self.factor, hi=0)
        return ((WHOLE, Reach(1, along), Reach(2, along)),)


class PixelUnshuffle(Pixels):
    """Space into channels: torch.nn.PixelUnshuffle, [C, H·f, W·f] → [C·f², H, W]."""

    op = "pixel_unshuffle"
    target = "nn.PixelUnshuffle"
    formats = (2,)
    examples = (({"factor": 2}, ((2, 4, 6),)), ({"factor": 3}, ((1, 6, 3),)))

    factor: Size = Field(description="how many times smaller space becomes")

    def infer(self, t: TensorType) -> tuple[TensorType, ...]:
        expect_map(self.op, t, (2,))
        c, h, w = t.shape
        f = self.factor
        if h % f or w % f:
            raise self.misfit("factor", f"it does not divide the space of the input {t}")
        return (t.like((c * f * f, h // f, w // f), map=True),)

    def reach(self, t: TensorType) -> tuple[tuple[Reach, ...], ...]:
        along = Window(stride=self.factor, lo=0, hi=self.factor - 1)
        return ((WHOLE, Reach(1, along), Reach(2, along)),)


class ChannelShuffle(Rearrange):
    """Channels dealt out over groups: torch.nn.ChannelShuffle."""

    op = "channel_shuffle"
    target = "nn.ChannelShuffle"
    formats = (2, 3)
    whole = slice(1)
    examples = (({"groups": 2}, ((6, 4, 5),)), ({"groups": 3}, ((6, 4),)))

    groups: Size = Field(description="groups the channels come in")

    def infer(self, t: TensorType) -> tuple[TensorType, ...]:
        expect_map(self.op, t)
        self.expect_divisor("groups", t.shape[0], f"channels of the input {t}")
        return (t,)


class Unfold(Windowed):
    """Every window as a column: torch.nn.Unfold, [C, H, W] → [C·kernel, windows]."""

    op = "unfold"
    family = "shape"
    target = "nn.Unfold"
    reads = ""
    ranks = (2,)
    examples = (
        ({"kernel": 3}, ((4, 8, 9),)),
        ({"kernel": [2, 3], "stride": 2, "padding": 1, "dilation": 2}, ((4, 8, 9),)),
    )

    kernel: PerAxis = Field(description="size of the window")
    dilation: PerAxis = Field(1, description="distance between the window's cells")
    padding: Cells = Field(0, description="zeros added around the input")
    stride: PerAxis = Field(1, description="step of the window")

    def infer(self, t: TensorType) -> tuple[TensorType, ...]:
        slides = self.slides_on(t)
        cells = math.prod(slide.kernel for slide in slides)
        windows = math.prod(slide.out for slide in slides)
        return (t.like((t.shape[0] * cells, windows), map=False),)

    def reach(self, t: TensorType) -> tuple[tuple[Reach, ...], ...]:
        return (tuple(WHOLE for _ in t.shape),)
