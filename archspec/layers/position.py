"""Fixed position encodings → a small module of our own."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from archspec.layers.base import Kept, Layer, Mismatch, Reach, TensorType
from archspec.layers.fields import Positive, Size
from archspec.layers.window import expect_places


class SinePositions(Layer):
    """Sines and cosines of the position added to [T, D] (Vaswani et al. 2017, section 3.5)."""

    cellwise = True
    op = "sine_positions"
    target = "SinePositions"
    family = "position"
    work = 1
    reads = "sequence"
    word = "positions"
    examples = (({}, ((7, 6),)), ({}, ((1, 2),)))

    def infer(self, t: TensorType) -> tuple[TensorType, ...]:
        if not t.shape:
            message = f"`sine_positions` takes [T, D], places and features; the input is {t}"
            help = "of a number, the time of a diffusion model, it is `sine_embedding: 128`"
            raise Mismatch(message, help, "E302")
        expect_places(self.op, t)
        if t.shape[1] % 2:
            raise Mismatch(
                "`sine_positions` takes an even number of features, a sine and a cosine each; "
                f"the input is {t}",
                code="E305",
            )
        return (t,)


class SineEmbedding(Layer):
    """Sines and cosines of a number, [] → [size]: the time of a diffusion model.

    Of wave lengths from 2π to 2π·longest (Ho et al. 2020, appendix B); whole numbers or others.
    """

    op = "sine_embedding"
    elsewhere = ("timestepembedding", "timesteps")
    target = "SineEmbedding"
    family = "position"
    work = 2
    examples = (
        ({"size": 8}, ((),)),
        ({"size": 6, "cosines": "first"}, ((3,),)),
        ({"size": 4, "longest": 1000}, ((),)),
    )

    size: Size = Field(description="features that come out, half of them sines")
    cosines: Literal["first", "last"] = Field("last", description="where the cosines stand")
    longest: Positive = Field(10000.0, description="the longest wave length over the shortest")

    def check(self) -> None:
        if self.size % 2:
            raise self.bad("size", "it is even, a sine and a cosine each")

    def infer(self, t: TensorType) -> tuple[TensorType, ...]:
        if t.dtype == "bool":
            raise Mismatch("`sine_embedding` takes numbers; the input holds bool", code="E303")
        return (TensorType((*t.shape, self.size), "float", map=False),)

    def reach(self, t: TensorType) -> tuple[tuple[Reach, ...], ...]:
        return (tuple(Reach(a) for a in range(t.rank)),)

    def keeps(self, t: TensorType) -> Kept:
        """The angles, once for sines and cosines."""
        return Kept(bytes=2 * self.size * t.size)
