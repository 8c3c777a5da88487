"""Pooling → torch.nn.MaxPool1d … AdaptiveMaxPool3d."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Annotated, Any, ClassVar

from pydantic import Field

from archspec.layers.base import (
    INPUT,
    NOTHING,
    WHOLE,
    Arg,
    BadArgument,
    Call,
    Kept,
    Layer,
    Mismatch,
    Reach,
    TensorType,
    Window,
    unread,
)
from archspec.layers.fields import Cells, Flag, Padding, PerAxis, Positive, Size, up_to
from archspec.layers.window import (
    Slide,
    Windowed,
    expect_dtype,
    expect_map,
    expect_one_length,
    padding_arg,
    per_axis,
    spread,
    too_small,
)
from archspec.text.words import written
from archspec.units import sides

_SLIDING: Any = (
    ({"kernel": 2}, ((4, 9),)),
    ({"kernel": 3, "stride": 1, "padding": "causal"}, ((4, 9),)),
    ({"kernel": 2}, ((4, 8, 9),)),
    ({"kernel": 3, "stride": 2, "padding": "same"}, ((4, 8, 9),)),
    ({"kernel": 3, "stride": 1, "padding": "same"}, ((4, 8, 9),)),
)


class Pool(Windowed):
    """What pools with a window have in common."""

    formats: ClassVar[tuple[int, ...]] = (1, 2)
    family = "pool"
    slides = True
    name: ClassVar[str]  # of torch's module, without `nn.` and the number of axes

    kernel: PerAxis = Field(description="size of the window")
    stride: PerAxis | None = Field(None, description="step of the window; the kernel when left out")

    def check(self) -> None:
        expect_one_length(self.op, self.values())
        if self.around not in ("same", "causal"):
            self._check_half()
        elif vars(self).get("ceil"):
            why = f"`padding: {self.around}` gives the output size"
            raise self.bad("ceil", why, "leave `ceil` out")

    def _check_half(self) -> None:
        kernel, _, dilation = self.window
        pad = padding_arg(self.around, kernel, dilation).value
        for p, k in per_axis(pad, kernel):
            if p > k // 2:
                shown = written(self.around) + (f", {p} cells" if p != self.around else "")
                rule = f"it must be at most {k // 2}, half the kernel"
                message = f"`padding` of `{self.op}` is {shown}; {rule}"
                raise BadArgument("padding", message, "put a `pad` before it", "E217")

    def helped(self) -> bool:
        axes = per_axis(*self.window)
        # torch's pools pad at most half the kernel, the dilation not counted
        dilated = any(1 not in (kernel, dilation) for kernel, _, dilation in axes)
        return (self.around == "same" and dilated) or super().helped()

    def infer(self, t: TensorType) -> tuple[TensorType, ...]:
        slides = self.slides_on(t)  # refuses what has no channels
        return (t.like((t.shape[0], *(slide.out for slide in slides)), map=True),)

    def flops(self, ins: tuple[TensorType, ...], outs: tuple[TensorType, ...]) -> int:
        return outs[0].size * math.prod(self.spread(ins[0])[0])

    def _stem(self) -> tuple[Arg, ...]:
        kernel, stride, _ = self.window
        return (*self.args("kernel"), Arg(stride, "stride", kernel))

    def _more(self) -> tuple[Arg, ...]:
        """Arguments of torch's module behind those that pools have in common."""
        return ()

    def _dilated(self) -> tuple[Arg, ...]:
        return self.args("dilation") if "dilation" in self.values() else ()

    def anywhere(self, t: TensorType) -> Call:
        if self.around not in ("same", "causal"):
            return self.call(t)
        name = f"{self.name}{t.rank - 1}d" + ("Same" if self.around == "same" else "Causal")
        return Call(name, (*self._stem(), *self._dilated()))

    def call(self, t: TensorType) -> Call:
        if self.helped():
            return self.anywhere(t)
        kernel, _, between = self.window
        name = f"{self.name}{t.rank - 1}d"
        more = (*self._dilated(), *self.args(ceil="ceil_mode"), *self._more())
        return Call(f"nn.{name}", (*self._stem(), padding_arg(self.around, kernel, between), *more))


class MaxPool(Pool):
    """The largest cell of each window: torch.nn.MaxPool1d, MaxPool2d, MaxPool3d.

    With `indices` a second output, `indices`, says where in the map each stood, for `max_unpool`.
    """

    op = "max_pool"
    formats = (1, 2, 3)
    name = "MaxPool"
    elsewhere = ("maxpooling",)
    examples = (
        *_SLIDING,
        ({"kernel": 3, "stride": 2, "padding": 1}, ((4, 8, 9),)),
        ({"kernel": 3, "stride": 2, "ceil": True}, ((4, 8, 9),)),
        ({"kernel": [2, 3], "stride": [1, 2], "dilation": [2, 1]}, ((4, 8, 9),)),
        ({"kernel": 2, "stride": 2}, ((4, 4, 5, 6),)),
        ({"kernel": 2, "indices": True}, ((4, 9),)),
        ({"kernel": 3, "stride": 2, "padding": 1, "indices": True}, ((4, 8, 9),)),
        ({"kernel": 2, "ceil": True, "indices": True}, ((4, 4, 5, 6),)),
    )

    padding: Padding = Field(0, description="cells added around the input, or a word")
    dilation: PerAxis = Field(1, description="distance between the window's cells")
    ceil: Flag = Field(False, description="round the output size up")
    indices: Flag = Field(False, description="a second output: where the largest cells stood")

    def model_post_init(self, context: Any, /) -> None:
        super().model_post_init(context)
        if self.indices:
            self.__dict__["gives"] = ("output", "indices")

    def check(self) -> None:
        super().check()
        if self.indices and self.around in ("same", "causal"):
            why = f"with `padding: {self.around}` places would be those of the padded map"
            raise self.bad("indices", why, "give `padding` as a number")

    def infer(self, t: TensorType) -> tuple[TensorType, ...]:
        (out,) = super().infer(t)
        return (out, replace(out, dtype="int")) if self.indices else (out,)

    def keeps(self, t: TensorType) -> Kept:
        if self.indices:
            return Kept(inputs=(0,), outputs=(1,))
        places = 8 * self.infer(t)[0].size  # of the winners, int64
        if self.helped():
            return Kept(bytes=places + self.padded(t))
        return Kept(inputs=(0,), bytes=places)

    def call(self, t: TensorType) -> Call:
        call = super().call(t)
        if not self.indices:
            return call
        args = (*call.args, Arg(True, "return_indices", False))
        return replace(call, args=args, results=("r[0]", "r[1]"))


class MaxUnpool(Layer):
    """Cells put back where a `max_pool` found them, zeros elsewhere: torch.nn.MaxUnpool1d … 3d.

    `indices` is the second output of `max_pool: {…, indices: true}`. A third input, or `size`, says
    how large the map was, where the windows did not fill it.
    """

    op = "max_unpool"
    formats = (2,)
    elsewhere = ("maxunpooling",)
    family = "pool"
    reads = "map"
    kept = Kept(inputs=(1,))
    takes = ("x", "indices", "like?")
    example_dtypes = ("float", "int", "float")
    examples = (
        ({"kernel": 2}, ((4, 5), (4, 5))),
        ({"kernel": 3, "stride": 2, "padding": 1}, ((4, 4, 5), (4, 4, 5))),
        ({"kernel": 2, "size": [9, 11]}, ((4, 4, 5), (4, 4, 5))),
        ({"kernel": [2, 3]}, ((4, 4, 5), (4, 4, 5), (1, 9, 16))),
        ({"kernel": 2}, ((4, 2, 2, 3), (4, 2, 2, 3))),
    )

    kernel: PerAxis = Field(description="size of the window of the pool")
    stride: PerAxis | None = Field(None, description="step of the window; the kernel when left out")
    padding: Cells = Field(0, description="cells that the pool added around its input")
    size: PerAxis | None = Field(None, description="size of the map, where the windows do not say")

    def windows(self, t: TensorType) -> list[tuple[int, int, int]]:
        """Kernel, stride and padding along each spatial axis. Raises Mismatch."""
        stride = self.kernel if self.stride is None else self.stride
        named = (("kernel", self.kernel), ("stride", stride), ("padding", self.padding))
        return list(zip(*(spread(self.op, n, v, t) for n, v in named), strict=True))

    def infer(
        self, x: TensorType, indices: TensorType, like: TensorType | None = None
    ) -> tuple[TensorType, ...]:
        expect_map(self.op, x)
        expect_dtype(self.op, indices, "int")
        if indices.shape != x.shape:
            message = f"`max_unpool` takes a place for each cell of {x}; `indices` is {indices}"
            raise Mismatch(message, "they are the second output of the pool", "E203")
        plain = tuple(
            (n - 1) * stride - 2 * pad + kernel
            for n, (kernel, stride, pad) in zip(x.shape[1:], self.windows(x), strict=True)
        )
        wanted = self._wanted(x, like) or plain
        for size, most, (_, stride, _) in zip(wanted, plain, self.windows(x), strict=True):
            if not max(most - stride, 0) < size < most + stride:
                message = f"`max_unpool` makes {most} cells of an axis of the input {x}, give or "
                message += f"take {stride - 1}; it is to be {size}"
                raise Mismatch(message, "it is the size of what the pool was given", "E304")
        return (x.like((x.shape[0], *wanted), map=True),)

    def _wanted(self, x: TensorType, like: TensorType | None) -> tuple[int, ...]:
        if like is None:
            return () if self.size is None else spread(self.op, "size", self.size, x)
        if self.size is not None:
            message = "`max_unpool` has a `size` and a third input, which gives the size too"
            raise Mismatch(message, "leave one of them out", "E311")
        if like.rank != x.rank:
            message = f"`max_unpool` takes inputs of equal rank; they are {x} and {like}"
            raise Mismatch(message, code="E203")
        return like.shape[1:]

    def reach(self, *ins: TensorType) -> tuple[tuple[Reach, ...], ...]:
        spots = [
            Reach(a, Window(up=stride, lo=pad + 1 - kernel, hi=pad))
            for a, (kernel, stride, pad) in enumerate(self.windows(ins[0]), 1)
        ]
        both = (Reach(0), *spots)
        return (both, both, *(seen for t in ins[2:] for seen in unread(t)))

    def call(self, *ins: TensorType) -> Call:
        stride = self.kernel if self.stride is None else self.stride
        args = (*self.args("kernel"), Arg(stride, "stride", self.kernel), *self.args("padding"))
        name, sizes = f"nn.MaxUnpool{ins[0].rank - 1}d", self.infer(*ins)[0].shape[1:]
        free = tuple(Arg(n, f"n{i}") for i, n in enumerate(sizes))
        if len(ins) > 2:
            return Call(name, args, "self(x0, x1, list(x2.shape[2:]))")
        if self.size is not None:
            return Call(
                name, args, f"self(x0, x1, [{', '.join(a.name or '' for a in free)}])", free
            )
        return Call(name, args, "self(x0, x1)")


class MeanPool(Pool):
    """What pools made from means have in common: torch's in 3 dimensions never exceed the input."""

    def slides_on(self, t: TensorType) -> tuple[Slide, ...]:
        found = super().slides_on(t)
        for a, slide in enumerate(found):
            if t.rank == 4 and slide.kernel > slide.size and not self.helped():
                raise too_small(self.op, t, a, slide.kernel, slide.size)
        return found


class AvgPool(MeanPool):
    """The mean of each window: torch.nn.AvgPool1d, AvgPool2d, AvgPool3d.

    With `padding: same` or `causal` added cells are not counted, as in TensorFlow.
    """

    op = "avg_pool"
    name = "AvgPool"
    elsewhere = ("averagepooling", "averagepool")
    still_linear = True
    examples = (
        *_SLIDING,
        ({"kernel": 3, "stride": 1, "padding": 1, "count_include_pad": False}, ((4, 8, 9),)),
        ({"kernel": 3, "stride": 2, "padding": 1, "ceil": True}, ((4, 8, 9),)),
        ({"kernel": [2, 1, 2]}, ((4, 4, 5, 6),)),
        ({"kernel": 3, "stride": 2, "padding": "same"}, ((4, 4, 5, 6),)),
    )

    padding: Padding = Field(0, description="cells added around the input, or a word")
    ceil: Flag = Field(False, description="round the output size up")
    count_include_pad: Flag = Field(True, description="added zeros count in the mean")

    def keeps(self, t: TensorType) -> Kept:
        return Kept(bytes=self.padded(t)) if self.helped() else INPUT

    def _more(self) -> tuple[Arg, ...]:
        if self.padding == "same":
            return (Arg(False, "count_include_pad", True),)
        return self.args("count_include_pad")


class LpPool(MeanPool):
    """The p-norm of each window: torch.nn.LPPool1d, LPPool2d, LPPool3d."""

    op = "lp_pool"
    name = "LPPool"
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
        args = (Arg(self.p), *stem, *self.args(ceil="ceil_mode"))
        return Call(f"nn.{self.name}{t.rank - 1}d", args)


def _single(arg: Arg) -> Arg:
    if not isinstance(arg.value, tuple):
        return arg
    default = arg.default[0] if isinstance(arg.default, tuple) else arg.default
    return Arg(arg.value[0], arg.name, default)


class AdaptivePool(Layer):
    """What pools to a given size have in common."""

    formats = (1, 2)
    family = "pool"
    reads = "map"
    examples = (
        ({"size": 3}, ((4, 8),)),
        ({"size": 1}, ((4, 8, 9),)),
        ({"size": [3, None]}, ((4, 8, 9),)),
        ({"size": 2}, ((4, 4, 5, 6),)),
        ({"size": [2, 3, 4]}, ((4, 4, 5, 6),)),
    )

    size: Size | Annotated[tuple[Size | None, ...], up_to(3)] = Field(
        description="output size; null keeps an axis"
    )

    def label(self, axes: int) -> str:
        return f"{self.title()} {sides(self.size, axes)}"

    def sizes(self, t: TensorType) -> tuple[int, ...]:
        """The output size along each spatial axis. Raises Mismatch."""
        expect_map(self.op, t)
        given = spread(self.op, "size", self.size, t)
        return tuple(t.shape[a] if n is None else n for a, n in enumerate(given, 1))

    def infer(self, t: TensorType) -> tuple[TensorType, ...]:
        sizes = self.sizes(t)  # refuses what has no channels
        return (t.like((t.shape[0], *sizes), map=True),)

    def reach(self, t: TensorType) -> tuple[tuple[Reach, ...], ...]:
        return ((Reach(0), *(adaptive(a, t.shape[a], n) for a, n in enumerate(self.sizes(t), 1))),)

    def depends_on_size(self, t: TensorType) -> bool:
        return True

    def function(self, t: TensorType) -> Call | None:
        forward = f"nn.functional.{self.op}{t.rank - 1}d(x0, size)"
        return Call(None, forward=forward, free=(Arg(self.size, "size"),))

    def flops(self, ins: tuple[TensorType, ...], outs: tuple[TensorType, ...]) -> int:
        return max(ins[0].size, outs[0].size)


def adaptive(axis: int, size: int, out: int) -> Reach:
    """Windows that cut `size` cells into `out`: floor(o·size/out) … ceil((o+1)·size/out) - 1."""
    if out == 1:
        return WHOLE
    return Reach(axis, Window(stride=size, up=out, lo=1 - out, hi=size - 1))


class AdaptiveAvgPool(AdaptivePool):
    """Means to a given size: torch.nn.AdaptiveAvgPool1d, AdaptiveAvgPool2d, AdaptiveAvgPool3d."""

    op = "adaptive_avg_pool"
    still_linear = True
    target = "nn.AdaptiveAvgPool{n}d"

    def keeps(self, t: TensorType) -> Kept:
        alone = math.prod(self.sizes(t)) == 1  # then torch takes a plain mean
        return NOTHING if alone else INPUT


class AdaptiveMaxPool(AdaptivePool):
    """Maxima to a given size: torch.nn.AdaptiveMaxPool1d, AdaptiveMaxPool2d, AdaptiveMaxPool3d."""

    op = "adaptive_max_pool"
    target = "nn.AdaptiveMaxPool{n}d"

    def keeps(self, t: TensorType) -> Kept:
        return Kept(inputs=(0,), bytes=8 * self.infer(t)[0].size)


class GlobalPool(Layer):
    """What pools over all of space have in common: [C, …] -> [C]."""

    family = "pool"
    reads = "map"
    whole = slice(1, None)
    name: ClassVar[str]
    examples = (({}, ((4, 8),)), ({}, ((4, 8, 9),)), ({}, ((4, 4, 5, 6),)))

    def infer(self, t: TensorType) -> tuple[TensorType, ...]:
        expect_map(self.op, t)
        return (t.like(t.shape[:1], map=False),)

    def flops(self, ins: tuple[TensorType, ...], outs: tuple[TensorType, ...]) -> int:
        return ins[0].size

    def call(self, t: TensorType) -> Call:
        one = (Arg(1),)
        return Call(f"nn.Adaptive{self.name}{t.rank - 1}d", one, "self(x0).flatten(1)")

    def module(self, t: TensorType) -> Call:
        return Call(f"Global{self.name}{t.rank - 1}d")


class GlobalAvgPool(GlobalPool):
    """The mean over all of space: torch.nn.AdaptiveAvgPool2d(1), flattened."""

    op = "global_avg_pool"
    elsewhere = ("globalaveragepooling", "gap")
    still_linear = True
    name = "AvgPool"


class GlobalMaxPool(GlobalPool):
    """The maximum over all of space: torch.nn.AdaptiveMaxPool2d(1), flattened."""

    op = "global_max_pool"
    elsewhere = ("globalmaxpooling",)
    name = "MaxPool"

    def keeps(self, t: TensorType) -> Kept:
        return Kept(inputs=(0,), bytes=8 * t.shape[0])
