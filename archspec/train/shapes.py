"""A number → a picture of coloured shapes, and what is where in it. The set `shapes`.

    drawn(7, (64, 64), channels=3, classes=3, most=4)
        x [3, 64, 64], mask [64, 64], boxes [2, 4], labels [2]

Discs, squares, triangles, crosses and rings, of any size, colour and turn, none over another, on a
ground of any colour, with noise upon all. From one drawing come the targets of many tasks: so what
a network has to find is known to the pixel. A sample is decided by its number alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy
import torch

from archspec.train import targets
from archspec.train.errors import TrainError
from archspec.train.samples import Samples, Wanted

if TYPE_CHECKING:
    from numpy import ndarray
    from torch import Tensor

    Area = Callable[[ndarray[Any, Any], ndarray[Any, Any]], ndarray[Any, Any]]

# name → which places belong to it, from -1 to 1 to both sides of its middle
KINDS: dict[str, Area] = {
    "disc": lambda u, v: u**2 + v**2 < 1,
    "square": lambda u, v: numpy.maximum(abs(u), abs(v)) < 0.8,
    "triangle": lambda u, v: (v < 0.6) & (1.8 * abs(u) < v + 1.0),
    "cross": lambda u, v: (numpy.minimum(abs(u), abs(v)) < 0.3) & (u**2 + v**2 < 1),
    "ring": lambda u, v: (u**2 + v**2 < 1) & (u**2 + v**2 > 0.3),
}
_SAMPLES = 2000
_MOST = 4  # shapes in a picture
_RADII = 0.13, 0.25  # of a shape, as shares of the shorter side
_CONTRAST = 0.4  # to the ground, in one channel at least
_NOISE = 0.04
_TRIES = 20  # to find room for a shape


class Drawing(NamedTuple):
    """A picture, and what is in it."""

    x: Tensor  # [C, H, W], from 0 to 1
    mask: Tensor  # [H, W]: 0, or the number of the class from 1
    boxes: Tensor  # [K, 4]: x1, y1, x2, y2 around the pixels of each shape
    labels: Tensor  # [K]: classes from 0


def drawn(
    number: int, sides: tuple[int, int], *, channels: int = 3, classes: int = 3, most: int = _MOST
) -> Drawing:
    """The picture of a number: one to `most` shapes of `classes` kinds."""
    rng = numpy.random.default_rng(number)
    ground = rng.random(channels)
    x = numpy.zeros((channels, *sides)) + ground[:, None, None]
    mask = numpy.zeros(sides, "int64")
    boxes, labels = [], []
    areas = list(KINDS.values())
    for _ in range(rng.integers(1, most + 1)):
        label = int(rng.integers(classes))
        place = _place(rng, mask, areas[label])
        if place is None:
            continue
        colour = rng.random(channels)
        while abs(colour - ground).max() < _CONTRAST:
            colour = rng.random(channels)
        x[:, place] = colour[:, None]
        mask[place] = label + 1
        rows, columns = place.any(1).nonzero()[0], place.any(0).nonzero()[0]
        boxes.append([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
        labels.append(label)
    x += _NOISE * rng.standard_normal(x.shape)
    return Drawing(
        torch.from_numpy(x.clip(0, 1)).float(),
        torch.from_numpy(mask),
        torch.tensor(boxes, dtype=torch.float32),
        torch.tensor(labels),
    )


def _place(rng: Any, mask: Any, area: Area) -> Any:
    """Which pixels a shape takes, somewhere where no other is; None where no room was found."""
    height, width = mask.shape
    rows, columns = numpy.mgrid[:height, :width] + 0.5
    for _ in range(_TRIES):
        radius = max(rng.uniform(*_RADII) * min(height, width), 2.0)
        down, right = (rng.uniform(radius, side - radius) for side in (height, width))
        turn = rng.uniform(0, 2 * numpy.pi)
        u, v = (columns - right) / radius, (rows - down) / radius
        cos, sin = numpy.cos(turn), numpy.sin(turn)
        taken = area(cos * u + sin * v, cos * v - sin * u)
        top, left = int(down - radius) - 1, int(right - radius) - 1
        around = mask[max(top, 0) : int(down + radius) + 2, max(left, 0) : int(right + radius) + 2]
        if taken.any() and not around.any():
            return taken
    return None


class Shapes(Samples):
    """2,000 pictures, drawn when they are fetched; a target is what the task asks for.

    Of one class, or with one box: one shape a picture. Otherwise one to four.
    """

    def __init__(self, wanted: Wanted) -> None:
        if wanted.sides is None or min(wanted.sides) < 8:
            message = f"shapes are drawn for pictures, not for inputs of {list(wanted.shape)}"
            raise TrainError("E804", message, "a spec's `input: [3, 64, 64]`, or more than 8 wide")
        self.kind, self.sides, self.channels = wanted.targets, wanted.sides, wanted.channels
        alone = self.kind in (targets.CLASSES, targets.BOX)
        self.most = 1 if alone else _MOST
        self.plain = self.kind == targets.MASK and wanted.classes <= 2  # shape or no shape
        self.kinds = self._kinds(wanted)
        names = ("shape",) if self.plain else tuple(KINDS)[: self.kinds]
        self.classes = ("background", *names) if self.kind == targets.MASK else names

    def _kinds(self, wanted: Wanted) -> int:
        """As many kinds of shapes as the head tells apart; three where it does not say."""
        if self.plain or self.kind in (targets.NUMBERS, targets.PICTURE, targets.NONE):
            return 3
        many = max(2, wanted.classes - (self.kind == targets.MASK))
        if many > len(KINDS):
            message = f"the head tells {wanted.classes} classes apart; there are {len(KINDS)} kinds"
            raise TrainError("E804", f"{message} of shapes", "make the head narrower")
        return many

    def __len__(self) -> int:
        return _SAMPLES

    def fetch(self, indices: Sequence[int]) -> tuple[Any, Any]:
        made = [
            drawn(i, self.sides, channels=self.channels, classes=self.kinds, most=self.most)
            for i in indices
        ]
        return targets.together([(one.x, self._target(one)) for one in made])

    def _target(self, one: Drawing) -> Any:
        if self.kind == targets.MASK:
            return one.mask.clamp_max(1) if self.plain else one.mask
        if self.kind == targets.PICTURE:
            return one.x
        if self.kind == targets.BOXES:
            return {"boxes": one.boxes, "labels": one.labels}
        if self.kind == targets.BOX:
            return {"box": one.boxes[0], "label": one.labels[0]}
        if self.kind == targets.NUMBERS:
            return torch.tensor([float(len(one.labels))])
        if self.kind == targets.LABELS:
            return torch.bincount(one.labels, minlength=self.kinds).clamp_max(1).float()
        return one.labels[0]
