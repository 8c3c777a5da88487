"""Linear maps and embeddings → torch.nn.Linear, torch.nn.Embedding."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from pydantic import Field

from archspec.layers.base import INPUT, Arg, Call, Kept, Layer, Mismatch, TensorType, Weight
from archspec.layers.conv import reparametrised
from archspec.layers.fields import Flag, Size
from archspec.layers.window import expect_dtype


class Linear(Layer):
    """A linear map of the last axis: torch.nn.Linear."""

    autocast = "half"
    op = "linear"
    elsewhere = ("dense", "fc", "fullyconnected")
    family = "linear"
    target = "nn.Linear"
    linear = True
    whole = slice(-1, None)
    reads = "sequence"
    channel_axis = -1
    kept = INPUT
    kept_for_weights = True
    folds = 1
    examples = (
        ({"out": 5}, ((12,),)),
        ({"out": 5, "bias": False}, ((7, 12),)),
        ({"out": 5, "reparam": "weight_norm"}, ((12,),)),
        ({"out": 5, "reparam": "spectral_norm"}, ((12,),)),
    )

    out: Size = Field(description="output features")
    bias: Flag = Field(True, description="add a learned number per feature")
    reparam: Literal["weight_norm", "spectral_norm"] | None = Field(
        None, description="how the weight is parametrised"
    )

    def infer(self, t: TensorType) -> tuple[TensorType, ...]:
        if not t.shape:
            raise Mismatch(f"`linear` maps the last axis; the input is {t}", code="E302")
        expect_dtype(self.op, t)
        if t.is_map and t.rank > 1:
            raise Mismatch(
                f"`linear` maps the last axis; of the map {t} that is {t.shape[-1]} cells of "
                "space, not features",
                "put `flatten` or `global_avg_pool` before it, or `permute` the channels "
                "to the end",
                "E306",
            )
        return (t.like((*t.shape[:-1], self.out), map=False),)

    def weights(self, t: TensorType) -> tuple[Weight, ...]:
        weight = Weight("weight", (self.out, t.shape[-1]))
        bias = (Weight("bias", (self.out,)),) if self.bias else ()
        return reparametrised((weight, *bias), self.reparam)

    def macs(self, ins: tuple[TensorType, ...], outs: tuple[TensorType, ...]) -> int:
        return outs[0].size * ins[0].shape[-1]

    def flops(self, ins: tuple[TensorType, ...], outs: tuple[TensorType, ...]) -> int:
        return 2 * self.macs(ins, outs) + (outs[0].size if self.bias else 0)

    def call(self, t: TensorType) -> Call:
        args = (Arg(t.shape[-1]), *self.args("out", "bias"))
        return replace(self.made(args, t), wrap=self.reparam)


class Embedding(Layer):
    """A learned vector for each of `num` whole numbers: torch.nn.Embedding."""

    op = "embedding"
    target = "nn.Embedding"
    family = "linear"
    examples = (
        ({"num": 10, "dim": 6}, ((7,),)),
        ({"num": 10, "dim": 6}, ((3, 7),)),
        ({"num": 10, "dim": 6}, ((),)),
    )
    example_dtypes = ("int",)

    num: Size = Field(description="how many vectors")
    dim: Size = Field(description="their size")

    def infer(self, t: TensorType) -> tuple[TensorType, ...]:
        expect_dtype(self.op, t, "int")
        return (TensorType((*t.shape, self.dim), "float", map=False),)

    def weights(self, t: TensorType) -> tuple[Weight, ...]:
        return (Weight("weight", (self.num, self.dim)),)

    def call(self, t: TensorType) -> Call:
        return replace(super().call(t), alone="self(x0)")

    def keeps(self, t: TensorType) -> Kept:
        return Kept(bytes=t.bytes)  # int64 places
