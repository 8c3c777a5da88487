"""Noise in training, nothing in evaluation → torch.nn.Dropout and small modules of our own."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from archspec.layers.base import NOTHING, Kept, Layer, Mismatch, TensorType
from archspec.layers.fields import Epsilon, Probability
from archspec.layers.window import Alike, expect_dtype, expect_map

_MAP: Any = (({}, ((4,),)), ({"p": 0.2}, ((4, 8, 9),)))


class Noise(Alike):
    """What noise layers have in common: in evaluation they return their input.

    So they do in training where `p` is 0. What they keep is what torch keeps on the CPU: the factor
    of each cell. Its CUDA kernel keeps one byte for it.
    """

    family = "noise"
    view = True
    asleep = still_linear = cellwise = True

    def keeps(self, t: TensorType) -> Kept:
        return Kept(bytes=self._factors(t)) if vars(self).get("p") else NOTHING

    def _factors(self, t: TensorType) -> int:
        """Bytes of the factors: one for each cell."""
        return t.bytes


class Dropout(Noise):
    """Cells set to zero with probability p: torch.nn.Dropout."""

    op = "dropout"
    target = "nn.Dropout"
    examples = _MAP

    p: Probability = Field(0.5, description="probability of zero")


class SpatialDropout(Noise):
    """Whole channels set to zero with probability p: torch.nn.Dropout1d, Dropout2d, Dropout3d."""

    op = "spatial_dropout"
    target = "nn.Dropout{n}d"
    examples = (({}, ((4, 9),)), ({"p": 0.2}, ((4, 8, 9),)), ({}, ((4, 5, 6, 7),)))

    p: Probability = Field(0.5, description="probability of zero")

    def infer(self, t: TensorType) -> tuple[TensorType, ...]:
        expect_map(self.op, t)
        return (t,)

    def _factors(self, t: TensorType) -> int:
        return 4 * t.shape[0]  # one for each channel


class AlphaDropout(Noise):
    """Dropout that keeps mean and variance, for SELU: torch.nn.AlphaDropout."""

    op = "alpha_dropout"
    target = "nn.AlphaDropout"
    examples = _MAP

    p: Probability = Field(0.5, description="probability of being dropped")


class DropPath(Noise):
    """A sample's path set to zero with probability p (stochastic depth, Huang et al. 2016)."""

    op = "drop_path"
    elsewhere = ("stochasticdepth",)
    target = "DropPath"
    examples = (({"p": 0.2}, ((4, 8, 9),)), ({"p": 0}, ((4,),)))

    p: Probability = Field(description="probability that a sample's path is dropped")

    def _factors(self, t: TensorType) -> int:
        return 4  # one for each sample


class GaussianNoise(Noise):
    """Normal noise added in training."""

    op = "gaussian_noise"
    target = "GaussianNoise"
    examples = (({"std": 0.1}, ((4, 8, 9),)), ({"std": 1}, ((4,),)))

    std: Epsilon = Field(description="its standard deviation")


class SampleNormal(Layer):
    """A draw from a normal distribution, in evaluation its mean (Kingma and Welling 2013)."""

    op = "sample_normal"
    target = "SampleNormal"
    family = "noise"
    word = "sample"
    takes = ("mean", "log_var")
    examples = (({}, ((5,), (5,))), ({}, ((4, 8, 9), (4, 8, 9))))
    view = asleep = cellwise = True

    def infer(self, mean: TensorType, log_var: TensorType) -> tuple[TensorType, ...]:
        expect_dtype(self.op, mean)
        expect_dtype(self.op, log_var)
        if mean.shape != log_var.shape:
            raise Mismatch(
                f"`sample_normal` takes mean and log-variance of equal shape; they are {mean} "
                f"and {log_var}",
                code="E203",
            )
        return (mean,)

    def keeps(self, mean: TensorType, log_var: TensorType) -> Kept:
        return Kept(bytes=2 * mean.bytes)  # the draw and the standard deviation
