"""Normalisation → torch.nn.BatchNorm1d … RMSNorm."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field

from archspec.layers.base import (
    INPUT,
    WHOLE,
    Arg,
    Call,
    Kept,
    Mismatch,
    Reach,
    Shape,
    TensorType,
    Weight,
    Window,
    along,
)
from archspec.layers.fields import (
    Axes,
    Axis,
    Epsilon,
    Flag,
    Number,
    Probability,
    Real,
    Says,
    Size,
    Whole,
)
from archspec.layers.strides import (
    Lying,
    Strides,
    channels_last,
    is_channels_last,
    is_in_order,
    taken_for_channels_last,
)
from archspec.layers.window import Alike, expect_dtype, expect_map


class Norm(Alike):
    """What normalisations have in common: the output has the input's shape, the input is kept."""

    family = "norm"
    work = 2
    kept = INPUT
    learned: ClassVar[tuple[str, ...]] = ("weight", "bias")  # with `affine`

    def over(self, t: TensorType) -> tuple[int, ...]:
        """The axes along which factor and shift differ. Raises Mismatch."""
        return (0,)

    def check(self) -> None:
        values = self.values()
        if values.get("affine") is False and values.get("bias") is False:
            raise self.bad("bias", "`affine: false` has none either", "leave `bias` out")

    def weights(self, t: TensorType) -> tuple[Weight, ...]:
        values, shape = self.values(), tuple(t.shape[a] for a in self.over(t))
        there = self.learned if values.get("affine") else ()
        return tuple(Weight(n, shape) for n in there if n != "bias" or values["bias"])


class ChannelNorm(Norm):
    """What normalisations have in common that scale and shift each channel of a map."""

    reads = "map"

    def call(self, t: TensorType) -> Call:
        args = (*self.args(*type(self).model_fields), Arg(t.shape[0]))
        return self.made(tuple(sorted(args, key=lambda a: a.name is not None)), t)


class BatchNorm(ChannelNorm):
    """Normalisation over batch and space: torch.nn.BatchNorm1d, BatchNorm2d, BatchNorm3d.

    Its reach counts as cell by cell, which it is in evaluation.
    """

    formats = (2, 3)
    op = "batch_norm"
    elsewhere = ("bn", "normalization", "batchnormalization")
    target = "nn.BatchNorm{n}d"
    centres = still_linear = True
    examples = (
        ({}, ((4,),)),
        ({}, ((4, 9),)),
        ({"eps": 1e-3, "momentum": 0.01}, ((4, 8, 9),)),
        ({"affine": False, "momentum": None}, ((4, 8, 9),)),
        ({"bias": False}, ((4, 8, 9),)),
        ({}, ((4, 5, 6, 7),)),
    )

    eps: Annotated[float, Real(above=0, most=1)] = Field(1e-5, description="added to the variance")
    momentum: Annotated[Probability | None, Says("a number from 0 to 1, or null")] = Field(
        0.1, description="share of a batch in the running statistics; null: a plain mean"
    )
    affine: Flag = Field(True, description="a learned factor and shift per channel")
    bias: Flag = Field(True, description="the shift; false: a learned factor alone")

    def model_post_init(self, context: Any, /) -> None:
        super().model_post_init(context)
        if self.momentum is None:  # torch divides by the number of batches, which it reads
            self.__dict__["data_dependent"] = True

    def infer(self, t: TensorType) -> tuple[TensorType, ...]:
        if not 1 <= t.rank <= 4:
            message = f"`batch_norm` takes [C], [C, L], [C, H, W] or [C, D, H, W]; the input is {t}"
            raise Mismatch(message, code="E302")
        return super().infer(t)

    def lone(self, t: TensorType) -> bool:
        return math.prod(t.shape[1:]) == 1  # a channel has one value, and no variance

    def weights(self, t: TensorType) -> tuple[Weight, ...]:
        return (
            *super().weights(t),
            Weight("running_mean", t.shape[:1], buffer=True),
            Weight("running_var", t.shape[:1], buffer=True),
            Weight("num_batches_tracked", (), buffer=True, dtype="int"),
        )


class InstanceNorm(ChannelNorm):
    """Normalisation of each channel over space: torch.nn.InstanceNorm1d … 3d."""

    op = "instance_norm"
    target = "nn.InstanceNorm{n}d"
    centres = True
    whole = slice(1, None)
    examples = (
        ({}, ((4, 9),)),
        ({"affine": True}, ((4, 8, 9),)),
        ({"affine": True, "bias": False}, ((4, 8, 9),)),
        ({"eps": 1e-3}, ((4, 5, 6, 7),)),
    )

    eps: Epsilon = Field(1e-5, description="added to the variance")
    momentum: Probability = Field(0.1, description="as torch's; without effect here, as there")
    affine: Flag = Field(False, description="a learned factor and shift per channel")
    bias: Flag = Field(True, description="the shift; false: a learned factor alone")

    def infer(self, t: TensorType) -> tuple[TensorType, ...]:
        expect_map(self.op, t)
        if math.prod(t.shape[1:]) == 1:
            raise Mismatch(
                f"`instance_norm` needs more than one cell of space; the input is {t}",
                "its result would be zero everywhere; use `batch_norm`, or leave it out",
                "E304",
            )
        return (t,)

    def keeps(self, t: TensorType) -> Kept:
        each = 3 if self.affine else 2  # mean, deviation and factor of each channel and sample
        return Kept(inputs=(0,), bytes=4 * each * t.shape[0])

    def copies(self, place: int, given: Mapping[int, Lying]) -> int:
        return int(not is_in_order(given[0]))


class GroupNorm(ChannelNorm):
    """Normalisation over space and the channels of a group: torch.nn.GroupNorm."""

    autocast = "full"
    formats = (2, 3)
    op = "group_norm"
    elsewhere = ("gn",)
    target = "nn.GroupNorm"
    whole = slice(None)
    examples = (
        ({"groups": 2}, ((4,),)),
        ({"groups": 2}, ((4, 9),)),
        ({"groups": 4, "eps": 1e-3}, ((4, 8, 9),)),
        ({"groups": 1, "affine": False}, ((4, 8, 9),)),
        ({"groups": 2, "bias": False}, ((4, 8, 9),)),
        ({"groups": 2}, ((4, 5, 6, 7),)),
    )

    groups: Size = Field(description="groups of channels, each normalised by itself")
    eps: Epsilon = Field(1e-5, description="added to the variance")
    affine: Flag = Field(True, description="a learned factor and shift per channel")
    bias: Flag = Field(True, description="the shift; false: a learned factor alone")

    def infer(self, t: TensorType) -> tuple[TensorType, ...]:
        if not t.shape:
            raise Mismatch(f"`group_norm` takes [C, …]; the input is {t}", code="E302")
        self.expect_divisor("groups", t.shape[0], f"channels of the input {t}")
        if t.size == self.groups:
            message = f"`group_norm` needs more than one number in each group; the input is {t}"
            raise Mismatch(message, "its result would be zero everywhere; use fewer groups", "E304")
        return super().infer(t)

    def keeps(self, t: TensorType) -> Kept:
        return Kept(inputs=(0,), bytes=8 * self.groups)

    def copies(self, place: int, given: Mapping[int, Lying]) -> int:
        last = taken_for_channels_last(given[0])
        return int(not (is_channels_last if last else is_in_order)(given[0]))


class LocalResponseNorm(Norm):
    """Each cell over its neighbours in channel: torch.nn.LocalResponseNorm."""

    autocast = "full"
    cellwise = True
    op = "local_response_norm"
    elsewhere = ("lrn",)
    target = "nn.LocalResponseNorm"
    examples = (
        ({"size": 3}, ((4, 9),)),
        ({"size": 5, "k": 2}, ((8, 8, 9),)),
        ({"size": 2, "alpha": 1e-3, "beta": 0.5}, ((4, 5, 6, 7),)),
    )

    # torch pads the channels by as many zeros
    size: Annotated[int, Whole(1, 65_535)] = Field(description="channels that count")
    alpha: Number = Field(1e-4, description="factor of the mean square")
    beta: Number = Field(0.75, description="exponent")
    k: Number = Field(1.0, description="added to it")

    def infer(self, t: TensorType) -> tuple[TensorType, ...]:
        expect_map(self.op, t)
        return (t,)

    def reach(self, t: TensorType) -> tuple[tuple[Reach, ...], ...]:
        around = Window(lo=-(self.size // 2), hi=(self.size - 1) // 2)
        return (along(t.rank, {0: Reach(0, around)}),)

    def flops(self, ins: tuple[TensorType, ...], outs: tuple[TensorType, ...]) -> int:
        return (self.size + 4) * outs[0].size

    def keeps(self, t: TensorType) -> Kept:
        padded = t.bytes // t.shape[0] * (t.shape[0] + self.size - 1)
        # the input, its padded squares, the sum under the exponent and the divisor
        return Kept(inputs=(0,), bytes=padded + 2 * t.bytes)

    def lies(self, out: Shape, *given: Lying) -> Strides | None:
        return super().lies(out, *given) if self.as_it_lies(len(out) - 1) else None

    def copies(self, place: int, given: Mapping[int, Lying]) -> int:
        return int(not self.as_it_lies(len(given[0][0]) - 1) and not is_in_order(given[0]))

    def call(self, t: TensorType) -> Call:
        made = super().call(t)
        return made if self.as_it_lies(t.rank) else replace(made, forward="self(x0.contiguous())")

    def module(self, t: TensorType) -> Call:
        made = super().call(t)
        return made if self.as_it_lies(t.rank) else replace(made, target="LocalResponseNorm3d")

    @staticmethod
    def as_it_lies(rank: int) -> bool:
        """Whether torch takes it so; of a volume it takes a view with two axes of space as one."""
        return rank < 4


_Over = Annotated[
    Axis | Axes,
    BeforeValidator(
        lambda value: 0 if value == "channels" else value,
        json_schema_input_type=Literal["channels"] | Axis | Axes,
    ),
    Says("an axis, `channels`, or a list of the last axes"),
]


class OverAxes(Norm):
    """What normalisations over the last axes, or over axis 0, have in common."""

    reads = "sequence"
    spelt: ClassVar[dict[str, str]] = {"begin_norm_axis": "axis"}

    axis: _Over = Field(
        -1,
        description="what is normalised over: the last axis, `channels` (0), or the last axes",
    )

    def over(self, t: TensorType) -> tuple[int, ...]:
        """The axes that are normalised over, from 0, last ones or the first. Raises Mismatch."""
        given = (self.axis,) if isinstance(self.axis, int) else self.axis
        axes = tuple(sorted(a + t.rank if a < 0 else a for a in given))
        if not set(axes) <= set(range(t.rank)) or len(set(axes)) < len(axes):
            raise self._no_axes(given, f"the input {t} has the axes 0 to {t.rank - 1}")
        last = tuple(range(t.rank - len(axes), t.rank))
        if axes not in (last, (0,)):
            why = f"it is the last axis or axes of the input {t}, or axis 0"
            raise self._no_axes(given, why, "move the axis with `permute`")
        return axes

    def _no_axes(self, given: tuple[int, ...], why: str, help: str = "") -> Mismatch:
        shown = given[0] if len(given) == 1 else list(given)
        return Mismatch(f"`axis` of `{self.op}` is {shown}; {why}", help, "E302")

    def infer(self, t: TensorType) -> tuple[TensorType, ...]:
        expect_dtype(self.op, t)
        self.over(t)
        return (t,)

    def reach(self, t: TensorType) -> tuple[tuple[Reach, ...], ...]:
        return (along(t.rank, dict.fromkeys(self.over(t), WHOLE)),)

    def lies(self, out: Shape, *given: Lying) -> Strides | None:
        """With channels innermost where it is over these: torch's norm is over last axes."""
        last = self.over(TensorType(out[1:]))[-1] == len(out) - 2
        return None if last else channels_last(out)

    def _shape(self, t: TensorType) -> Arg:
        sizes = tuple(t.shape[a] for a in self.over(t))
        return Arg(sizes[0] if len(sizes) == 1 else sizes)

    def call(self, t: TensorType) -> Call:
        name = f"nn.{self.target}" if self.over(t)[-1] == t.rank - 1 else f"Channel{self.target}"
        return Call(name, (self._shape(t), *self.args("eps", affine="elementwise_affine")))

    def _statistics(self, t: TensorType, each: int) -> int:
        over = self.over(t)
        return 4 * each * math.prod(n for a, n in enumerate(t.shape) if a not in over)


class LayerNorm(OverAxes):
    """Normalisation over the last axis: torch.nn.LayerNorm; with `axis: channels` over axis 0."""

    autocast = "full"
    op = "layer_norm"
    elsewhere = ("ln", "layernormalization")
    target = "LayerNorm"
    examples = (
        ({}, ((12,),)),
        ({"eps": 1e-6}, ((7, 12),)),
        ({"axis": "channels"}, ((12, 5, 6),)),
        ({"axis": [1, 2], "affine": False}, ((12, 5, 6),)),
        ({"bias": False}, ((7, 12),)),
    )

    eps: Epsilon = Field(1e-5, description="added to the variance")
    affine: Flag = Field(True, description="a learned factor and shift")
    bias: Flag = Field(True, description="the shift; false: a learned factor alone")

    def call(self, t: TensorType) -> Call:
        call = super().call(t)
        return replace(call, args=(*call.args, *self.args("bias")))

    def keeps(self, t: TensorType) -> Kept:
        return Kept(inputs=(0,), bytes=self._statistics(t, 2))


class RmsNorm(OverAxes):
    """Division by the root mean square over the last axis: torch.nn.RMSNorm.

    With `axis: channels` over axis 0.
    """

    op = "rms_norm"
    target = "RMSNorm"
    learned = ("weight",)
    word = "RMS norm"
    examples = (
        ({}, ((7, 12),)),
        ({"eps": 1e-6, "affine": False}, ((12,),)),
        ({"axis": 0}, ((12, 5, 6),)),
    )

    eps: Epsilon | None = Field(
        None, description="added to the mean square; null: the smallest float step"
    )
    affine: Flag = Field(True, description="a learned factor")

    def keeps(self, t: TensorType) -> Kept:
        # what the learned factor multiplies too
        scaled = t.bytes if self.affine else 0
        return Kept(inputs=(0,), bytes=scaled + self._statistics(t, 1))
