"""Rules about the shapes of inputs.

How many axes a convolution has follows from its input. So a shape of another convention is no
error, but another network:

    [224, 224, 3]       224 channels of 224x3 cells; an image of three channels is [3, 224, 224]
    [1, 3, 224, 224]    one channel of a volume of 3x224x224 cells, in a 3-D convolution
    [28, 28]            28 channels of a series of 28 cells; an image of one is [1, 28, 28]
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from archspec.analysis.lint.context import Context
from archspec.text.faults import Fault

if TYPE_CHECKING:
    from archspec.layers.base import Shape

COLOURS = (1, 3, 4)  # channels of an image
LARGE = 16  # more than what an image has in channels, and less than it has in cells
FRAMES = range(2, 8)  # a first axis of so many before an axis of 3 may be the channels of a clip


def conventions(context: Context) -> Iterator[Fault]:
    """W111: an input whose axes stand as another library writes them goes into a convolution.

        input: [224, 224, 3]
        body: [{conv: {out: 8, kernel: 3}}]
        # `conv1` reads the input [224, 224, 3] as 224 channels of 224x3 cells

    Left alone: inputs whose axes are put in order first (`permute`), and what no convolution and
    no pool reads.
    """
    for node in context.graph.steps:
        if node.layer is not None:
            continue
        shape = node.outs[0].shape
        help = _meant(shape)
        reader = next((n for n in context.takers(node) if n.layer and n.layer.reads == "map"), None)
        if help is None or reader is None:
            continue
        channels = "1 channel" if shape[0] == 1 else f"{shape[0]} channels"
        cells = "1 cell" if shape[1:] == (1,) else f"{'x'.join(map(str, shape[1:]))} cells"
        told = f"`{reader.path}` reads the input {node.outs[0]} as {channels} of {cells}"
        yield Fault("W111", told, replace(context.spec.inputs[node.path].loc, span=None), help=help)


def _meant(shape: Shape) -> str | None:
    """What a shape of another convention should have been; None: it is of this one."""
    match shape:
        case (a, b, c) if c in COLOURS and _image(a, b):
            return f"channels come first: {[c, a, b]}"
        case (n, c, a, b) if n not in FRAMES and c in (1, 3) and min(a, b) > max(COLOURS):
            return f"the batch axis is never written: {[c, a, b]}"
        case (1, a, b, c) if c in COLOURS and _image(a, b):
            return f"channels come first, and the batch axis is never written: {[c, a, b]}"
        case (d, a, b, c) if c in COLOURS and min(d, a, b) > max(COLOURS):
            return f"channels come first: {[c, d, a, b]} is a clip, {[c, a, b]} an image"
        case (a, b) if a == b >= LARGE:
            return f"an image of one channel is {[1, a, b]}"
        case (a, c) if a >= LARGE and c in COLOURS:
            return f"channels come first: {[c, a]}"
    return None


def _image(height: int, width: int) -> bool:
    """Whether two axes are as long as those of an image."""
    least = max(COLOURS) + 1 if height == width else LARGE
    return min(height, width) >= least
