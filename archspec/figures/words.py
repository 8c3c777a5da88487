"""Layer, shape, numbers → the few words that stand on a card."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from archspec.units import each

if TYPE_CHECKING:
    from archspec.expand.graph import Node
    from archspec.layers.base import Layer, TensorType


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


def label(layer: Layer, axes: int = 2, channels: int = 0) -> str:
    """The main line of an op on a map of so many axes: `conv 3×3 /2`, `upsample ×2`, `linear`.

    With the input's `channels` a convolution of as many groups is known as depthwise.
    """
    text = layer.label(axes)
    return f"depthwise {text}" if layer.linear and _depthwise(layer, channels) else text


def notes(layer: Layer | None, channels: int = 0) -> tuple[str, ...]:
    """What else of an op's arguments is worth a word: `32 groups`, `dilation 2`, `8 heads`."""
    if layer is None:
        return ()
    values = layer.values()
    groups, dilation, heads, layers = map(values.get, ("groups", "dilation", "heads", "layers"))
    said = {
        f"{groups} groups": groups not in (None, 1) and not _depthwise(layer, channels),
        f"dilation {each(dilation)}": dilation not in (None, 1),
        f"{heads} head{'s' * (heads != 1)}": heads is not None,
        f"{values.get('kv_heads')} of key and value": values.get("kv_heads") is not None,
        "causal": values.get("causal") is True,
        "bidirectional": values.get("bidirectional") is True,
        f"{layers} layers": isinstance(layers, int) and layers > 1,
    }
    return tuple(text for text, worth in said.items() if worth)


def _depthwise(layer: Layer, channels: int) -> bool:
    groups = layer.values().get("groups")
    return groups == "depthwise" or (groups == channels and channels > 1)


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


def held(nodes: Iterable[Node]) -> str:
    """`12 layers: conv ×4, …` of several; "" of one."""
    counts = Counter(node.layer.title() for node in nodes if node.layer is not None)
    if counts.total() < 2:
        return ""
    each = (f"{title} ×{many}" if many > 1 else title for title, many in counts.items())
    return f"{counts.total()} layers: {', '.join(each)}"


def family(node: Node) -> str:
    """The colour word of an op: `Layer.family`, but inputs, upsampling and parameters apart."""
    if node.layer is None:
        return "input"
    return node.layer.colour or node.layer.family


LEADING = ("recurrent", "attention", "conv", "upsampling", "linear")


def leading(found: Iterable[str]) -> str:
    """The family that a block is known by, of those of its ops: what it has at all, in this order.

    So a block is of one colour, however wide its layers are; without weights, what is most of it.
    """
    ops = Counter(found)
    return next((known for known in LEADING if known in ops), max(ops, key=lambda f: ops[f]))
