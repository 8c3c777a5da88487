"""Convolutions → torch.nn.Conv1d … ConvTranspose3d.

conv: {out: 8, kernel: 3, padding: 1}, on [3, 9, 10]
    nn.Conv2d(3, 8, 3, padding=1)
    output [8, 9, 10], weights [8, 3, 3, 3] and [8], 8·9·10 · 3·3·3 multiply-accumulates
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from archspec.layers.base import (
    INPUT,
    WHOLE,
    Arg,
    BadArgument,
    Call,
    Kept,
    Mismatch,
    Reach,
    Shape,
    TensorType,
    Weight,
    Window,
)
from archspec.layers.fields import Cells, Flag, Padding, PerAxis, Says, Size
from archspec.layers.strides import Lying, Strides, formatted, in_order, is_in_order
from archspec.layers.window import (
    SPATIAL,
    Slide,
    Windowed,
    expect_map,
    expect_one_length,
    padding_arg,
    per_axis,
    spread,
    window_label,
)
from archspec.text.words import written

# a class of its own each, not a wrapper: each filter with mean 0 and variance 1 (Qiao et al. 2019);
# with the variance that keeps that of the signal, times a learned gain (Brock et al. 2021)
STANDARD = {"weight_standard": "Standard", "scaled_weight_standard": "Scaled"}


def reparametrised(
    weights: tuple[Weight, ...], kind: str | None, dim: int = 0
) -> tuple[Weight, ...]:
    """A module's weights under torch.nn.utils.parametrizations' weight_norm or spectral_norm."""
    if kind is None:
        return weights
    first, *rest = weights
    prefix = "parametrizations.weight."
    if kind == "weight_norm":
        norm = (first.shape[0], *(1 for _ in first.shape[1:]))
        return (
            *rest,
            Weight(f"{prefix}original0", norm),
            Weight(f"{prefix}original1", first.shape),
        )
    rows = first.shape[dim]
    return (
        *rest,
        Weight(f"{prefix}original", first.shape),
        Weight(f"{prefix}0._u", (rows,), buffer=True),
        Weight(f"{prefix}0._v", (math.prod(first.shape) // rows,), buffer=True),
    )


class Convolution(Windowed):
    """What `conv` and `conv_transpose` have in common."""

    autocast = "half"
    family = "conv"
    linear = True
    channel = WHOLE
    transposed: ClassVar[bool] = False  # the weight has the input channels first
    spelt: ClassVar[dict[str, str]] = {"alpha": "out"}

    out: Size | None = Field(
        None, description="output channels; may be left out with `groups: depthwise`"
    )
    kernel: PerAxis = Field(description="size of the kernel")
    stride: PerAxis = Field(1, description="step of the window")
    padding: Padding = Field(0, description="cells added around the input, or a word")
    dilation: PerAxis = Field(1, description="distance between the kernel's cells")
    groups: Size | Literal["depthwise"] = Field(
        1, description="groups of channels that do not see each other"
    )
    bias: Flag = Field(True, description="add a learned number per channel")
    reparam: (
        Literal["weight_norm", "spectral_norm", "weight_standard", "scaled_weight_standard"] | None
    ) = Field(None, description="how the weight is parametrised")

    @property
    def wrap(self) -> str | None:
        """What is put around the module; a standardised one is a class of its own."""
        return None if self.reparam in STANDARD else self.reparam

    def check(self) -> None:
        if self.reparam in STANDARD and self.transposed:
            raise self.bad("reparam", "it is for `conv`")
        if self.out is None and self.groups != "depthwise":
            message = f"`{self.op}` needs `out`, the number of output channels"
            raise BadArgument("out", message, "give `out`, or `groups: depthwise`", "E209")
        if isinstance(self.groups, int) and self.out is not None and self.out % self.groups:
            raise self.bad("groups", f"it does not divide `out`, {self.out}")
        expect_one_length(self.op, self.values())

    def channels(self, t: TensorType) -> tuple[int, int, int]:
        """Input channels, output channels, groups. Raises Mismatch where groups do not divide."""
        inside = t.shape[0]
        groups = self.groups if isinstance(self.groups, int) else inside
        out = inside if self.out is None else self.out
        if self.groups != "depthwise":
            self.expect_divisor("groups", inside, f"channels of the input {t}")
        if out % groups:
            raise self.misfit("out", f"depthwise on {inside} channels needs a multiple of {groups}")
        return inside, out, groups

    def weights(self, t: TensorType) -> tuple[Weight, ...]:
        inside, out, groups = self.channels(t)
        first, second = (inside, out) if self.transposed else (out, inside)
        weight = Weight("weight", (first, second // groups, *self.spread(t)[0]))
        bias = (Weight("bias", (out,)),) if self.bias else ()
        weights = reparametrised((weight, *bias), self.wrap, dim=int(self.transposed))
        if self.reparam != "scaled_weight_standard":
            return weights
        gain = (first, *(1 for _ in weight.shape[1:]))
        return (*weights, Weight("gain", gain, gain=True))

    def macs(self, ins: tuple[TensorType, ...], outs: tuple[TensorType, ...]) -> int:
        inside, out, groups = self.channels(ins[0])
        cells, channels = (ins, out) if self.transposed else (outs, inside)
        return cells[0].size * (channels // groups) * math.prod(self.spread(ins[0])[0])

    def _head(self, t: TensorType) -> tuple[Arg, ...]:
        inside, out, _ = self.channels(t)
        return (
            Arg(inside),
            Arg(out),
            *self.args("kernel", "stride"),
        )

    def _tail(self, t: TensorType) -> tuple[Arg, ...]:
        _, _, groups = self.channels(t)
        return (
            Arg(groups, "groups", 1),
            *self.args("bias", "dilation"),
        )

    def flops(self, ins: tuple[TensorType, ...], outs: tuple[TensorType, ...]) -> int:
        return 2 * self.macs(ins, outs) + (outs[0].size if self.bias else 0)

    def lies(self, out: Shape, *given: Lying) -> Strides | None:
        """Of what torch makes; along one axis it puts its input in order first."""
        made = self._made_of(out, given[0][0])
        ordered = len(out) - 2 == 1 and not is_in_order(given[0])
        return in_order(made) if ordered else formatted(made, given[:1])

    def _made_of(self, out: Shape, given: Shape) -> Shape:
        """The sizes that torch makes, of which the output may be a part."""
        return out


class Conv(Convolution):
    """Convolution: torch.nn.Conv1d, Conv2d, Conv3d."""

    op = "conv"
    elsewhere = ("convolution",)
    slides = True
    examples = (
        ({"out": 6, "kernel": 3}, ((4, 11),)),
        ({"out": 6, "kernel": 3, "padding": "causal", "dilation": 2}, ((4, 11),)),
        ({"out": 6, "kernel": 3, "padding": 1}, ((4, 9, 10),)),
        (
            {"out": 8, "kernel": [3, 5], "stride": [2, 1], "padding": "half", "bias": False},
            ((4, 9, 10),),
        ),
        ({"out": 8, "kernel": 3, "stride": 2, "padding": "same", "groups": 2}, ((4, 9, 10),)),
        ({"kernel": 3, "padding": "same", "groups": "depthwise"}, ((4, 9, 10),)),
        ({"out": 8, "kernel": 4, "padding": "full", "dilation": 2}, ((4, 9, 10),)),
        ({"out": 4, "kernel": 3, "padding": 2, "padding_mode": "reflect"}, ((4, 9, 10),)),
        (
            {"out": 4, "kernel": 3, "stride": 2, "padding": "same", "padding_mode": "replicate"},
            ((4, 9, 10),),
        ),
        ({"out": 4, "kernel": 3, "reparam": "weight_norm"}, ((4, 9, 10),)),
        ({"out": 4, "kernel": 3, "reparam": "spectral_norm", "bias": False}, ((4, 9, 10),)),
        ({"out": 4, "kernel": 3, "reparam": "weight_standard", "padding": 1}, ((4, 9, 10),)),
        ({"out": 4, "kernel": 3, "reparam": "scaled_weight_standard"}, ((4, 9),)),
        (
            {
                "out": 4,
                "kernel": 3,
                "stride": 2,
                "reparam": "scaled_weight_standard",
                "padding": "same",
                "groups": 2,
            },
            ((4, 9, 10),),
        ),
        ({"out": 5, "kernel": [1, 2, 3], "stride": 2}, ((4, 5, 6, 7),)),
        ({"out": 5, "kernel": 3, "stride": 2, "padding": "same"}, ((4, 5, 6, 7),)),
    )

    padding_mode: Literal["zeros", "reflect", "replicate", "circular"] = Field(
        "zeros", description="what the added cells hold"
    )

    def check(self) -> None:
        super().check()
        if self.padding == "causal" and isinstance(self.kernel, tuple) and len(self.kernel) > 1:
            raise self.bad("padding", f"the kernel {written(self.kernel)} is not along one axis")

    def label(self, axes: int) -> str:
        return window_label(self.title(), axes, self.kernel, self.stride)

    def slides_on(self, t: TensorType) -> tuple[Slide, ...]:
        found = super().slides_on(t)
        for a, slide in enumerate(found):
            n, most = slide.size, max(slide.before, slide.after)
            limit = {"reflect": n - 1, "circular": n}.get(self.padding_mode, most)
            if most > limit:
                raise Mismatch(
                    f"`conv` pads {most} cells along {SPATIAL[t.rank - 1][a]} in mode "
                    f"{self.padding_mode}; the input {t} has {n}, which allows {limit}",
                    code="E304",
                )
        return found

    def reach(self, t: TensorType) -> tuple[tuple[Reach, ...], ...]:
        ((channel, *axes),) = super().reach(t)
        padded = (max(slide.before, slide.after) > 0 for slide in self.slides_on(t))
        modes = (self.padding_mode if pads else "zeros" for pads in padded)
        return ((channel, *map(_filled, axes, modes)),)

    def infer(self, t: TensorType) -> tuple[TensorType, ...]:
        sizes = [slide.out for slide in self.slides_on(t)]
        return (t.like((self.channels(t)[1], *sizes), map=True),)

    def keeps(self, t: TensorType) -> Kept:
        if self.padding_mode == "zeros" and not self.helped():
            return INPUT  # otherwise torch pads first, be it by no cell
        alone = (0,) if self.padding_mode in ("reflect", "replicate") else ()
        return Kept(bytes=self.padded(t), alone=alone)

    def anywhere(self, t: TensorType) -> Call:
        if self.padding not in ("same", "causal"):
            return self.call(t)
        kind = STANDARD.get(self.reparam or "", "")
        kind += "Same" if self.padding == "same" else "Causal"
        target = f"Conv{t.rank - 1}d{kind}"
        args = (*self._head(t), *self._tail(t), *self.args("padding_mode"))
        return Call(target, args, wrap=self.wrap)

    def call(self, t: TensorType) -> Call:
        if self.helped():
            return self.anywhere(t)
        n = t.rank - 1
        (mode,) = self.args("padding_mode")
        pad = padding_arg(self.padding, self.kernel, self.dilation)
        groups, bias, dilation = self._tail(t)
        args = (*self._head(t), pad, dilation, groups, bias, mode)
        kind = STANDARD.get(self.reparam or "")
        target = f"Conv{n}d{kind}" if kind else f"nn.Conv{n}d"
        return Call(target, args, wrap=self.wrap)


def _filled(along: Reach, mode: str) -> Reach:
    return Reach(along.axis, replace(along.window, beyond=mode))


class ConvTranspose(Convolution):
    """Transposed convolution: torch.nn.ConvTranspose1d, ConvTranspose2d, ConvTranspose3d.

    `padding: same` is Keras' rule: output = input x stride, an odd cell cut at the end.
    """

    op = "conv_transpose"
    elsewhere = ("deconv", "convtranspose")
    colour = "upsampling"
    kept = INPUT
    transposed = True
    word = "upconv"
    examples = (
        ({"out": 3, "kernel": 2, "stride": 2}, ((4, 5),)),
        ({"out": 3, "kernel": 2, "stride": 2}, ((4, 5, 6),)),
        ({"out": 6, "kernel": 4, "stride": 2, "padding": 1, "bias": False}, ((4, 5, 6),)),
        (
            {"out": 6, "kernel": 3, "stride": 2, "padding": 1, "output_padding": 1, "groups": 2},
            ((4, 5, 6),),
        ),
        ({"out": 6, "kernel": 3, "stride": 2, "padding": "same"}, ((4, 5, 6),)),
        ({"out": 6, "kernel": [2, 3], "stride": 4, "padding": "same"}, ((4, 5, 6),)),
        (
            {"out": 6, "kernel": 3, "dilation": 2, "padding": "half", "reparam": "weight_norm"},
            ((4, 5, 6),),
        ),
        ({"out": 6, "kernel": 3, "reparam": "spectral_norm"}, ((4, 5, 6),)),
        ({"kernel": 4, "stride": 2, "padding": 1, "groups": "depthwise"}, ((4, 5, 6),)),
        ({"out": 3, "kernel": 2, "stride": 2}, ((4, 2, 3, 4),)),
    )

    padding: Annotated[
        Cells | Literal["valid", "half", "same", "full"],
        Says(
            "a whole number of at least 0, a list of one per axis, or `valid`, `half`, `same` or "
            "`full`"
        ),
    ] = Field(0, description="cells cut from both sides of the output, or a word")
    output_padding: Cells = Field(0, description="cells added at the end of the output")

    def helped(self) -> bool:
        return False

    def check(self) -> None:
        super().check()
        if self.padding == "same" and self.output_padding != 0:
            why = "with `padding: same` the output size is given"
            raise self.bad("output_padding", why, "leave `output_padding` out")
        for extra, s, d in per_axis(self.output_padding, self.stride, self.dilation):
            if extra and extra >= max(s, d):
                why = f"it must be smaller than the stride {s} or the dilation {d}"
                raise self.bad("output_padding", why)

    def _over(self, t: TensorType) -> list[int]:
        """Cells along each axis that torch's output has more than input x stride, or less."""
        return [d * (k - 1) + 1 - s for k, s, d in zip(*self.spread(t), strict=True)]

    def _padding(self, t: TensorType) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Torch's padding and output_padding per axis."""
        if self.padding == "same":
            over = self._over(t)
            return tuple(max(n, 0) // 2 for n in over), tuple(max(-n, 0) for n in over)
        extra = spread(self.op, "output_padding", self.output_padding, t)
        value = padding_arg(self.padding, self.kernel, self.dilation).value
        return spread(self.op, "padding", value, t), extra

    def _made(self, t: TensorType) -> list[int]:
        """Cells along each axis that torch makes, before an odd one is cut."""
        pad, extra = self._padding(t)
        pairs = zip(t.shape[1:], self.spread(t)[1], self._over(t), pad, extra, strict=True)
        return [size * s + over - 2 * p + more for size, s, over, p, more in pairs]

    def infer(self, t: TensorType) -> tuple[TensorType, ...]:
        n = expect_map(self.op, t)
        kernel, stride, dilation = self.spread(t)
        pad, _ = self._padding(t)
        sizes = []
        for a, (size, made) in enumerate(zip(t.shape[1:], self._made(t), strict=True)):
            covers = dilation[a] * (kernel[a] - 1) + 1
            out = size * stride[a] if self.padding == "same" else made
            if out < 1:
                message = (
                    f"`conv_transpose` cuts {pad[a]} cells from both sides along "
                    f"{SPATIAL[n][a]}, where the input {t} makes {(size - 1) * stride[a] + covers}"
                )
                raise Mismatch(message, "use a smaller `padding`", "E304")
            sizes.append(out)
        return (t.like((self.channels(t)[1], *sizes), map=True),)

    def beyond(self, t: TensorType) -> int:
        channels = self.channels(t)[1]
        return 4 * channels * math.prod(self._made(t)) - self.infer(t)[0].bytes

    def _made_of(self, out: Shape, given: Shape) -> Shape:
        return (*out[:2], *self._made(TensorType(given[1:])))

    def reach(self, t: TensorType) -> tuple[tuple[Reach, ...], ...]:
        axes = zip(*self.spread(t), self._padding(t)[0], strict=True)
        windows = (Window(up=s, lo=p - d * (k - 1), hi=p) for k, s, d, p in axes)
        return ((WHOLE, *(Reach(a, w) for a, w in enumerate(windows, 1))),)

    def call(self, t: TensorType) -> Call:
        n = t.rank - 1
        groups, bias, dilation = self._tail(t)
        target = f"nn.ConvTranspose{n}d"
        if self.padding == "same":
            pad, extra = map(_plain, self._padding(t), ("padding", "output_padding"))
            if any(over > 0 and over % 2 for over in self._over(t)):  # the odd cell is cut
                target = f"ConvTranspose{n}dSame"
        else:
            pad = padding_arg(self.padding, self.kernel, self.dilation)
            (extra,) = self.args("output_padding")
        args = (*self._head(t), pad, extra, groups, bias, dilation)
        return Call(target, args, wrap=self.wrap)


def _plain(values: tuple[int, ...], name: str) -> Arg:
    value: PerAxis = values[0] if len(set(values)) == 1 else values
    return Arg(value, name, 0)
