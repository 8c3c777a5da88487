"""Pooling → torch.nn.MaxPool1d … AdaptiveMaxPool3d."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar

from pydantic import Field

from archspec.layers.base import (
    WHOLE,
    Arg,
    BadArgument,
    Call,
    Kept,
    Layer,
    Reach,
    TensorType,
    Window,
)
from archspec.layers.fields import Flag, Padding, PerAxis, Positive, Size, up_to
from archspec.layers.window import (
    Geometry,
    expect_map,
    expect_one_length,
    padding_arg,
    per_axis,
    same_is_plain,
    spread,
    too_small,
    window_label,
    window_sizes,
)
from archspec.text.words import written
from archspec.units import sides


class Pool(Layer):
    """What pools with a window have in common."""

    family = "pool"
    slides = True
    reads = "map"

    kernel: PerAxis = Field(description="size of the window")
    stride: PerAxis | None = Field(None, description="step of the window; the kernel when left out")

    @property
    def rest(self) -> tuple[PerAxis | str, PerAxis, bool]:
        """Padding, dilation and ceil; torch's defaults of those that the op does not have."""
        padding, dilation = getattr(self, "padding", 0), getattr(self, "dilation", 1)
        return padding, dilation, getattr(self, "ceil", False)

    def check(self) -> None:
        padding, _, ceil = self.rest
        expect_one_length(self.op, self.values())
        if ceil and padding in ("same", "causal"):
            message = f"`ceil` of `{self.op}` is true; `padding: {padding}` gives the output size"
            raise BadArgument("ceil", message, "leave `ceil` out", "E217")
        if padding not in ("same", "causal"):
            self._check_half()

    def _check_half(self) -> None:
        padding, dilation, _ = self.rest
        pad = padding_arg(padding, self.kernel, dilation).value
        for p, k in per_axis(pad, self.kernel):
            if p > k // 2:
                shown = written(padding) + (f", {p} cells" if p != padding else "")
                message = f"`padding` of `{self.op}` is {shown}; it is at most half the kernel, {k}"
                raise BadArgument("padding", message, "put a `pad` before it", "E217")

    @property
    def step(self) -> PerAxis:
        """The stride, which is the kernel where none is given."""
        return self.kernel if self.stride is None else self.stride

    def label(self, axes: int) -> str:
        stride = None if self.step == self.kernel else self.step
        return window_label(self.title(), axes, self.kernel, stride)

    def _helped(self) -> bool:
        """Whether the padding is computed when the module runs."""
        padding, dilation, _ = self.rest
        if padding == "same":
            # torch's pools pad at most half the kernel, the dilation not counted
            dilated = dilation != 1 and self.kernel != 1
            return dilated or not same_is_plain(self.kernel, self.step, dilation)
        return padding == "causal"

    def geometry(self, t: TensorType) -> Geometry:
        """The windows on an input. Raises Mismatch."""
        padding, dilation, ceil = self.rest
        expect_map(self.op, t, (1,) if padding == "causal" else (1, 2, 3))
        sizes = (
            spread(self.op, "kernel", self.kernel, t),
            spread(self.op, "stride", self.step, t),
            spread(self.op, "dilation", dilation, t),
        )
        return window_sizes(self.op, t, sizes, padding, ceil)

    def infer(self, t: TensorType) -> tuple[TensorType, ...]:
        return (t.like((t.shape[0], *self.geometry(t).out), map=True),)

    def reach(self, t: TensorType) -> tuple[tuple[Reach, ...], ...]:
        return (self.geometry(t).reach(Reach(0)),)

    def depends_on_size(self, t: TensorType) -> bool:
        strides = spread(self.op, "stride", self.step, t)
        return self.rest[0] == "same" and self._helped() and max(strides) > 1

    def flops(self, ins: tuple[TensorType, ...], outs: tuple[TensorType, ...]) -> int:
        kernel = spread(self.op, "kernel", self.kernel, ins[0])
        return outs[0].size * math.prod(kernel)

    def _padded(self, t: TensorType) -> int:
        """Bytes of the input with the cells that the module adds before it pools."""
        g = self.geometry(t)
        sizes = (n + b + a for n, b, a in zip(t.shape[1:], g.before, g.after, strict=True))
        return 4 * t.shape[0] * math.prod(sizes)

    def _stem(self) -> tuple[Arg, ...]:
        of = "kernel" if self.stride is None else "stride"
        return (
            *self.args("kernel"),
            Arg(of, self.step, "stride", self.kernel),
        )

    def _name(self, t: TensorType, name: str) -> str:
        n = t.rank - 1
        if not self._helped():
            return f"nn.{name}{n}d"
        return f"{name}{n}d" + ("Same" if self.rest[0] == "same" else "Causal")


class MaxPool(Pool):
    """The largest cell of each window: torch.nn.MaxPool1d, MaxPool2d, MaxPool3d."""

    op = "max_pool"
    elsewhere = ("maxpooling",)
    examples = (
        ({"kernel": 2}, ((4, 9),)),
        ({"kernel": 3, "padding": "causal", "stride": 1}, ((4, 9),)),
        ({"kernel": 2}, ((4, 8, 9),)),
        ({"kernel": 3, "stride": 2, "padding": 1}, ((4, 8, 9),)),
        ({"kernel": 3, "stride": 2, "ceil": True}, ((4, 8, 9),)),
        ({"kernel": 3, "stride": 2, "padding": "same"}, ((4, 8, 9),)),
        ({"kernel": 3, "stride": 1, "padding": "same"}, ((4, 8, 9),)),
        ({"kernel": [2, 3], "stride": [1, 2], "dilation": [2, 1]}, ((4, 8, 9),)),
        ({"kernel": 2, "stride": 2}, ((4, 4, 5, 6),)),
    )

    padding: Padding = Field(0, description="cells added around the input, or a word")
    dilation: PerAxis = Field(1, description="distance between the window's cells")
    ceil: Flag = Field(False, description="round the output size up")

    def keeps(self, t: TensorType) -> Kept:
        (out,) = self.infer(t)
        if self._helped():
            return Kept(bytes=8 * out.size + self._padded(t))
        return Kept(inputs=(0,), bytes=8 * out.size)  # int64 places of the winners

    def call(self, t: TensorType) -> Call:
        if self._helped():
            return Call(self._name(t, "MaxPool"), (*self._stem(), *self.args("dilation")))
        pad = padding_arg(self.padding, self.kernel, self.dilation)
        args = (*self._stem(), pad, *self.args("dilation", ceil="ceil_mode"))
        return Call(self._name(t, "MaxPool"), args)


class MeanPool(Pool):
    """What pools made from means have in common: torch's in 3 dimensions never exceed the input."""

    def geometry(self, t: TensorType) -> Geometry:
        found = super().geometry(t)
        if t.rank == 4 and not self._helped():
            for a, (k, n) in enumerate(zip(found.kernel, t.shape[1:], strict=True)):
                if k > n:
                    raise too_small(self.op, t, a, k, n)
        return found


class AvgPool(MeanPool):
    """The mean of each window: torch.nn.AvgPool1d, AvgPool2d, AvgPool3d.

    With `padding: same` or `causal` added cells are not counted, as in TensorFlow.
    """

    op = "avg_pool"
    elsewhere = ("averagepooling", "averagepool")
    still_linear = True
    examples = (
        ({"kernel": 2}, ((4, 9),)),
        ({"kernel": 3, "stride": 1, "padding": "causal"}, ((4, 9),)),
        ({"kernel": 2}, ((4, 8, 9),)),
        ({"kernel": 3, "stride": 1, "padding": 1, "count_include_pad": False}, ((4, 8, 9),)),
        ({"kernel": 3, "stride": 2, "padding": 1, "ceil": True}, ((4, 8, 9),)),
        ({"kernel": 3, "stride": 2, "padding": "same"}, ((4, 8, 9),)),
        ({"kernel": 3, "stride": 1, "padding": "same"}, ((4, 8, 9),)),
        ({"kernel": [2, 1, 2]}, ((4, 4, 5, 6),)),
        ({"kernel": 3, "stride": 2, "padding": "same"}, ((4, 4, 5, 6),)),
    )

    padding: Padding = Field(0, description="cells added around the input, or a word")
    ceil: Flag = Field(False, description="round the output size up")
    count_include_pad: Flag = Field(True, description="added zeros count in the mean")

    def keeps(self, t: TensorType) -> Kept:
        return Kept(bytes=self._padded(t)) if self._helped() else Kept(inputs=(0,))

    def call(self, t: TensorType) -> Call:
        if self._helped():
            return Call(self._name(t, "AvgPool"), self._stem())
        pad = padding_arg(self.padding, self.kernel, 1)
        counted = self.count_include_pad and self.padding != "same"
        of = "False" if self.padding == "same" else "count_include_pad"
        count = Arg(of, counted, "count_include_pad", True)
        args = (*self._stem(), pad, *self.args(ceil="ceil_mode"), count)
        return Call(self._name(t, "AvgPool"), args)


class LpPool(MeanPool):
    """The p-norm of each window: torch.nn.LPPool1d, LPPool2d, LPPool3d."""

    op = "lp_pool"
    word = "Lp pool"
    examples = (
        ({"kernel": 2}, ((4, 9),)),
        ({"kernel": 3, "stride": 2, "p": 3}, ((4, 8, 9),)),
        ({"kernel": [2, 3], "ceil": True}, ((4, 8, 9),)),
        ({"kernel": 2, "p": 1.5}, ((4, 4, 5, 6),)),
    )

    ceil: Flag = Field(False, description="round the output size up")
    p: Positive = Field(2, description="the norm: 2 is the root of the sum of squares")

    def keeps(self, t: TensorType) -> Kept:
        (out,) = self.infer(t)
        # the input, its powers, and root, sign and clipped mean of each window
        return Kept(inputs=(0,), bytes=t.bytes + 4 * out.bytes)

    def call(self, t: TensorType) -> Call:
        stem = self._stem()
        if t.rank == 2:  # torch's takes a number here, no list of one
            stem = tuple(_single(a) for a in stem)
        args = (Arg("p", self.p), *stem, *self.args(ceil="ceil_mode"))
        return Call(f"nn.LPPool{t.rank - 1}d", args)


def _single(arg: Arg) -> Arg:
    if not isinstance(arg.value, tuple):
        return arg
    default = arg.default[0] if isinstance(arg.default, tuple) else arg.default
    return Arg(f"{arg.of}[0]", arg.value[0], arg.name, default)


class AdaptivePool(Layer):
    """What pools to a given size have in common."""

    family = "pool"
    reads = "map"
    name: ClassVar[str]

    size: Size | Annotated[tuple[Size | None, ...], up_to(3)] = Field(
        description="output size; null keeps an axis"
    )

    def label(self, axes: int) -> str:
        return f"{self.title()} {sides(self.size, axes)}"

    def sizes(self, t: TensorType) -> tuple[int, ...]:
        """The output size along each spatial axis. Raises Mismatch."""
        expect_map(self.op, t)
        if isinstance(self.size, int):
            return (self.size,) * (t.rank - 1)
        known = tuple(n or 1 for n in self.size)
        spread(self.op, "size", known, t)
        return tuple(n if n is not None else t.shape[a] for a, n in enumerate(self.size, 1))

    def infer(self, t: TensorType) -> tuple[TensorType, ...]:
        return (t.like((t.shape[0], *self.sizes(t)), map=True),)

    def reach(self, t: TensorType) -> tuple[tuple[Reach, ...], ...]:
        return ((Reach(0), *(adaptive(a, t.shape[a], n) for a, n in enumerate(self.sizes(t), 1))),)

    def depends_on_size(self, t: TensorType) -> bool:
        return True

    def flops(self, ins: tuple[TensorType, ...], outs: tuple[TensorType, ...]) -> int:
        return max(ins[0].size, outs[0].size)

    def call(self, t: TensorType) -> Call:
        return Call(f"nn.{self.name}{t.rank - 1}d", self.args("size"))

    def axes(self, t: TensorType) -> tuple[tuple[str | None, ...], ...]:
        spatial: list[str | None] = []
        for a in range(1, t.rank):
            if isinstance(self.size, int):
                spatial.append("size")
            else:
                spatial.append(f"x0[{a}]" if self.size[a - 1] is None else f"size[{a - 1}]")
        return (("x0[0]", *spatial),)


def adaptive(axis: int, size: int, out: int) -> Reach:
    """Windows that cut `size` cells into `out`: floor(o·size/out) … ceil((o+1)·size/out) - 1."""
    if out == 1:
        return WHOLE
    return Reach(axis, Window(stride=size, up=out, lo=1 - out, hi=size - 1))


class AdaptiveAvgPool(AdaptivePool):
    """Means to a given size: torch.nn.AdaptiveAvgPool1d, AdaptiveAvgPool2d, AdaptiveAvgPool3d."""

    op = "adaptive_avg_pool"
    still_linear = True
    name = "AdaptiveAvgPool"
    examples = (
        ({"size": 3}, ((4, 8),)),
        ({"size": 1}, ((4, 8, 9),)),
        ({"size": [3, None]}, ((4, 8, 9),)),
        ({"size": [2, 3, 4]}, ((4, 4, 5, 6),)),
    )

    def keeps(self, t: TensorType) -> Kept:
        alone = math.prod(self.sizes(t)) == 1  # then torch takes a plain mean
        return Kept() if alone else Kept(inputs=(0,))


class AdaptiveMaxPool(AdaptivePool):
    """Maxima to a given size: torch.nn.AdaptiveMaxPool1d, AdaptiveMaxPool2d, AdaptiveMaxPool3d."""

    op = "adaptive_max_pool"
    name = "AdaptiveMaxPool"
    examples = (
        ({"size": 3}, ((4, 8),)),
        ({"size": 1}, ((4, 8, 9),)),
        ({"size": [3, None]}, ((4, 8, 9),)),
        ({"size": 2}, ((4, 4, 5, 6),)),
    )

    def keeps(self, t: TensorType) -> Kept:
        return Kept(inputs=(0,), bytes=8 * self.infer(t)[0].size)


class GlobalPool(Layer):
    """What pools over all of space have in common: [C, …] -> [C]."""

    family = "pool"
    reads = "map"
    name: ClassVar[str]

    def infer(self, t: TensorType) -> tuple[TensorType, ...]:
        expect_map(self.op, t)
        return (t.like(t.shape[:1], map=False),)

    def reach(self, t: TensorType) -> tuple[tuple[Reach, ...], ...]:
        return ((Reach(0), *(WHOLE for _ in t.shape[1:])),)

    def flops(self, ins: tuple[TensorType, ...], outs: tuple[TensorType, ...]) -> int:
        return ins[0].size

    def call(self, t: TensorType) -> Call:
        one = (Arg("1", 1),)
        return Call(f"nn.Adaptive{self.name}{t.rank - 1}d", one, "self(x0).flatten(1)")

    def module(self, t: TensorType) -> Call:
        return Call(f"Global{self.name}{t.rank - 1}d")

    def axes(self, t: TensorType) -> tuple[tuple[str | None, ...], ...]:
        return (("x0[0]",),)


class GlobalAvgPool(GlobalPool):
    """The mean over all of space: torch.nn.AdaptiveAvgPool2d(1), flattened."""

    op = "global_avg_pool"
    elsewhere = ("globalaveragepooling", "gap")
    still_linear = True
    name = "AvgPool"
    examples = (({}, ((4, 8),)), ({}, ((4, 8, 9),)), ({}, ((4, 4, 5, 6),)))


class GlobalMaxPool(GlobalPool):
    """The maximum over all of space: torch.nn.AdaptiveMaxPool2d(1), flattened."""

    op = "global_max_pool"
    elsewhere = ("globalmaxpooling",)
    name = "MaxPool"
    examples = (({}, ((4, 8),)), ({}, ((4, 8, 9),)), ({}, ((4, 4, 5, 6),)))

    def keeps(self, t: TensorType) -> Kept:
        return Kept(inputs=(0,), bytes=8 * t.shape[0])
