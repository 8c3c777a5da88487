"""Layer, shape, numbers → the few words that stand on a card."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from archspec.units import once

if TYPE_CHECKING:
    from archspec.expand.graph import Node
    from archspec.layers.base import Layer, TensorType

# Words of their own; every other op is written as in the spec, `_` as a space.
_NAMES = {
    "abs": "abs", "adaptive_avg_pool": "adaptive avg pool", "attention": "attention",
    "conv_transpose": "upconv", "elu": "ELU", "gelu": "GELU", "gru": "GRU",
    "hardswish": "hard swish", "hardsigmoid": "hard sigmoid", "hardtanh": "hard tanh",
    "leaky_relu": "leaky ReLU",
    "local_response_norm": "local response norm", "lstm": "LSTM", "prelu": "PReLU", "relu": "ReLU",
    "relu6": "ReLU6", "rms_norm": "RMS norm", "rnn": "RNN", "selu": "SELU", "silu": "SiLU",
    "mish": "Mish", "lp_pool": "Lp pool", "sample_normal": "sample", "sine_positions": "positions",
}  # fmt: skip
_WINDOWED = frozenset({"conv", "conv_transpose", "max_pool", "avg_pool", "lp_pool", "unfold"})
MERGES = frozenset({"add", "sub", "mul", "mean", "max", "matmul", "concat"})


class Card(NamedTuple):
    """What stands on the card of one op; `shape` is "" where it is that of what comes in."""

    label: str
    shape: str


def card(node: Node) -> Card:
    """`conv 3×3 /2` and `64 · 56²`; of an input its name and shape."""
    out = shape(node.outs[0])
    if node.layer is None:
        return Card(node.path, out)
    axes = len(node.ins[0].shape) - 1 if node.ins else 0
    same = bool(node.ins) and node.ins[0].shape == node.outs[0].shape
    return Card(label(node.layer, axes), "" if same else out)


def name(op: str) -> str:
    """`batch norm`, `ReLU`, `upconv`."""
    return _NAMES.get(op, op.replace("_", " "))


def label(layer: Layer, axes: int = 2, channels: int = 0) -> str:
    """The main line of an op on a map of so many axes: `conv 3×3 /2`, `upsample ×2`, `linear`.

    With the input's `channels` a convolution of as many groups is known as depthwise.
    """
    values = layer.values()
    if layer.op in _WINDOWED:
        head = name(layer.op)
        if _depthwise(layer, channels):
            head = f"depthwise {head}"
        text = f"{head} {sides(values['kernel'], axes)}"
        step = values.get("stride")
        strided = step not in (None, 1) and (layer.op == "conv" or step != values["kernel"])
        return f"{text} /{_same(step)}" if strided else text
    if layer.op == "upsample" and values.get("scale") is not None:
        return f"upsample ×{_same(values['scale'])}"
    if layer.op in ("pixel_shuffle", "pixel_unshuffle"):
        return f"{name(layer.op)} {values['factor']}"
    if layer.op in ("adaptive_avg_pool", "adaptive_max_pool"):
        return f"{name(layer.op)} {sides(values['size'], axes)}"
    return name(layer.op)


def notes(layer: Layer | None, channels: int = 0) -> tuple[str, ...]:
    """What else of an op's arguments is worth a word: `32 groups`, `dilation 2`, `8 heads`."""
    if layer is None:
        return ()
    values = layer.values()
    found = []
    groups = values.get("groups")
    if groups not in (None, 1) and not _depthwise(layer, channels):
        found.append(f"{groups} groups")
    if values.get("dilation", 1) != 1 and layer.op in _WINDOWED:
        found.append(f"dilation {_same(values['dilation'])}")
    if "heads" in values:
        found.append(f"{values['heads']} heads")
    if values.get("causal") is True:
        found.append("causal")
    if values.get("bidirectional") is True:
        found.append("bidirectional")
    if isinstance(values.get("layers"), int) and values["layers"] > 1:
        found.append(f"{values['layers']} layers")
    return tuple(found)


def _depthwise(layer: Layer, channels: int) -> bool:
    groups = layer.values().get("groups")
    return groups == "depthwise" or (groups == channels and channels > 1)


def sides(size: Any, axes: int) -> str:
    """A window over so many axes: `3×3`, `1×7`, `5`."""
    along = size if isinstance(size, (tuple, list)) else (size,) * max(axes, 1)
    return "×".join("·" if side is None else str(side) for side in along)


def _same(value: Any) -> str:
    """A size per axis, once where they agree: `2`, `2×1`."""
    if isinstance(value, (tuple, list)):
        return once(value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def shape(tensor: TensorType) -> str:
    """`64 · 56²` of a map, `20 × 512` of a sequence, `1000` of a vector; `1` of a number."""
    sizes = tensor.shape
    if not sizes:
        return "1"
    if tensor.is_map and len(sizes) > 1:
        return f"{sizes[0]} · {area(sizes[1:])}"
    return " × ".join(map(str, sizes))


def area(sizes: Sequence[int]) -> str:
    """`56²`, `16³`, `28×14`, `400`."""
    if len(sizes) in (2, 3) and len(set(sizes)) == 1:
        return f"{sizes[0]}{'²' if len(sizes) == 2 else '³'}"
    return "×".join(map(str, sizes))


def series(values: Sequence[int | float]) -> str | None:
    """How a number runs over the copies; None where it stays the same.

    `256…1792 step 32`, `1…128 ×2`, `3, 5, 3`, `64…512`.
    """
    if len(set(values)) < 2:
        return None
    first, last = values[0], values[-1]
    steps = {b - a for a, b in pairwise(values)}
    if len(values) > 2 and len(steps) == 1:
        return f"{first}…{last} step {steps.pop()}"
    if len(values) > 2 and first > 0:
        factors = {b / a for a, b in pairwise(values) if a}
        if len(factors) == 1 and (factor := factors.pop()) == int(factor):
            return f"{first}…{last} ×{int(factor)}"
    if len(values) <= 4:
        return ", ".join(map(str, values))
    return f"{min(values)}…{max(values)}"


UPSAMPLING = frozenset({"conv_transpose", "upsample", "pixel_shuffle"})


def family(node: Node) -> str:
    """The colour word of an op: `Layer.family`, but inputs, upsampling and parameters apart."""
    if node.layer is None:
        return "input"
    if node.layer.op in UPSAMPLING:
        return "upsampling"
    return "parameter" if node.layer.op == "parameter" else node.layer.family
