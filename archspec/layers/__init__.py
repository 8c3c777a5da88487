"""All layer types by name: op and arguments → Layer."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

from archspec.layers import (
    activation,
    attention,
    conv,
    detection,
    edge,
    linear,
    noise,
    norm,
    pool,
    position,
    recurrent,
    resample,
    shape,
)
from archspec.layers import (
    merge as merges,
)
from archspec.layers.base import BadArgument, Layer, Mismatch, TensorType
from archspec.text.words import meant

__all__ = [
    "REGISTRY",
    "BadArgument",
    "Layer",
    "Mismatch",
    "TensorType",
    "create",
    "merge",
    "ops_of",
    "register",
]

_BUILT_IN: tuple[type[Layer], ...] = (
    conv.Conv, conv.ConvTranspose,
    pool.MaxPool, pool.AvgPool, pool.LpPool, pool.AdaptiveAvgPool, pool.AdaptiveMaxPool,
    pool.GlobalAvgPool, pool.GlobalMaxPool,
    norm.BatchNorm, norm.InstanceNorm, norm.LayerNorm, norm.RmsNorm, norm.GroupNorm,
    norm.LocalResponseNorm,
    activation.Relu, activation.Relu6, activation.LeakyRelu, activation.Prelu, activation.Elu,
    activation.Selu, activation.Gelu, activation.Silu, activation.Mish, activation.Hardswish,
    activation.Hardsigmoid, activation.Hardtanh, activation.Sigmoid, activation.Tanh,
    activation.Softplus, activation.Identity, activation.Abs, activation.Named,
    activation.Softmax, activation.LogSoftmax, activation.Maxout,
    linear.Linear, linear.Embedding,
    recurrent.Lstm, recurrent.Gru, recurrent.Rnn, attention.Attention,
    merges.Parameter, merges.Add, merges.Sub, merges.Mul, merges.Mean, merges.Max, merges.Matmul,
    merges.Concat, merges.Scale,
    shape.Flatten, shape.Unflatten, shape.Reshape, shape.Permute, shape.Select, shape.Slice,
    shape.Split, edge.Pad, edge.Crop, edge.Roll,
    resample.Upsample, resample.PixelShuffle, resample.PixelUnshuffle,
    resample.ChannelShuffle, resample.Unfold,
    noise.Dropout, noise.SpatialDropout, noise.AlphaDropout, noise.DropPath, noise.GaussianNoise,
    noise.SampleNormal, position.SinePositions,
    detection.AnchorBoxes, detection.Nms, detection.TopK, detection.RoiAlign,
)  # fmt: skip

_MERGES = ("concat", "add", "mul", "mean", "max")
_STRUCTURE = frozenset({"body", "sequential", "branches", "residual", "shared"})
_WORD = re.compile(r"[a-z][a-z0-9_]*")


def _may_be_plug_in(op: object) -> bool:
    return isinstance(op, str) and op not in _STRUCTURE and bool(_WORD.fullmatch(op))


class Registry(Mapping[str, type[Layer]]):
    """Layer types by op; plug-ins are loaded when all, or a name not built in, are wanted."""

    def __init__(self, built_in: tuple[type[Layer], ...]) -> None:
        self._known = {cls.op: cls for cls in built_in}
        self._loaded = False

    def __getitem__(self, op: str) -> type[Layer]:
        if op not in self._known and _may_be_plug_in(op):
            self._load()
        return self._known[op]

    def __iter__(self) -> Iterator[str]:
        self._load()
        return iter(self._known)

    def __len__(self) -> int:
        self._load()
        return len(self._known)

    def __contains__(self, op: object) -> bool:
        if op not in self._known and _may_be_plug_in(op):
            self._load()
        return op in self._known

    def _load(self) -> None:
        if self._loaded:
            return
        self._loaded = True
        from importlib.metadata import entry_points  # slow to import, seldom needed

        for point in entry_points(group="archspec.layers"):
            try:
                self.add(point.load())
            except Exception as failed:  # a plug-in may fail in any way; the others still count
                warnings.warn(f"the plug-in `{point.name}` is left out: {failed}", stacklevel=2)

    def add(self, cls: type[Layer]) -> None:
        """Takes a layer type in. Raises ValueError when its name is taken or is not one."""
        op = getattr(cls, "op", None)
        if not isinstance(op, str) or not _WORD.fullmatch(op):
            raise ValueError(
                f"`op` of {cls.__name__} is {op!r}; it is lower case letters, digits and _"
            )
        if self._known.get(op, cls) is not cls:
            raise ValueError(f"`{op}` is an op already")
        self._known[op] = cls


REGISTRY = Registry(_BUILT_IN)


def register(cls: type[Layer]) -> type[Layer]:
    """Makes a layer type of one's own an op; also a decorator. Raises ValueError: name taken."""
    REGISTRY.add(cls)
    return cls


def create(op: str, args: Mapping[str, Any]) -> Layer:
    """The layer for an op and its arguments by name. Raises BadArgument."""
    try:
        cls = REGISTRY[op]
    except KeyError:
        raise BadArgument(None, f"`{op}` is not an op", meant(op, list(REGISTRY)), "E207") from None
    return cls(**args).resolve()


def merge(name: str) -> Layer:
    """The layer that merges paths: add, concat, mul, mean or max. Raises BadArgument."""
    if name not in _MERGES:
        listed = ", ".join(f"`{m}`" for m in _MERGES)
        message = f"`merge` is {name}; it takes one of {listed}"
        raise BadArgument("merge", message, meant(str(name), _MERGES))
    return create(name, {})


def ops_of(family: str) -> tuple[str, ...]:
    """The ops of a family, in order."""
    return tuple(op for op, cls in REGISTRY.items() if cls.family == family)
