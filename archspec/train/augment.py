"""Pictures [N, C, H, W] and numbers in [0, 1) → the pictures flipped, moved, turned, brightened.

The numbers are a row for each picture and decide all: so what becomes of a picture is a function of
them alone, and of who reads it, or how many others are read beside it, nothing depends.

    rotate: 10, draws [0.5, …]    turned by 0°          draws [0.0, …]    turned by -10°

Moves are put together into one affine map a picture, so that it is sampled once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from archspec.train.named import torchvision_transforms

if TYPE_CHECKING:
    from torch import Tensor

    from archspec.train.named import Called

# how many numbers an augmentation takes for a picture
_DRAWS = {"translate": 2, "crop": 2, "flip": 2}
_MOVES = ("flip", "translate", "rotate", "scale")


def draws(wanted: Sequence[Called]) -> int:
    """How many numbers a picture takes."""
    return sum(_DRAWS.get(one.name, 1) for one in wanted)


def apply(wanted: Sequence[Called], x: Tensor, numbers: Tensor) -> Tensor:
    """The pictures augmented: x [N, C, H, W], numbers [N, draws] in [0, 1)."""
    move: Tensor | None = None
    for one in wanted:
        width = _DRAWS.get(one.name, 1)
        taken, numbers = numbers[:, :width], numbers[:, width:]
        if one.name in _MOVES:
            more = _matrix(one, taken, x.shape[2] / x.shape[3])
            move = more if move is None else move @ more
            continue
        x, move = _moved(x, move), None
        x = _crop(x, one.args["by"], taken) if one.name == "crop" else _light(x, one, taken)
    return _moved(x, move)


def _matrix(one: Called, numbers: Tensor, ratio: float) -> Tensor:
    """[N, 3, 3]: where in the picture, from -1 to 1, a place of the result is taken from.

    `ratio` is height over width, so that a turn keeps right angles.
    """
    by, n = one.args["by"], len(numbers)
    made = torch.eye(3).repeat(n, 1, 1)
    spread = 2 * numbers - 1  # from -1 to 1
    if one.name == "flip":
        if by != "vertical":
            made[:, 0, 0] = (numbers[:, 0] < 0.5) * -2.0 + 1
        if by != "horizontal":
            made[:, 1, 1] = (numbers[:, 1] < 0.5) * -2.0 + 1
    elif one.name == "translate":
        made[:, :2, 2] = spread * by * 2
    elif one.name == "scale":
        made[:, 0, 0] = made[:, 1, 1] = 1 / (1 + by * spread[:, 0])
    else:
        angle = spread[:, 0] * math.radians(by)
        made[:, 0, 0] = made[:, 1, 1] = angle.cos()
        made[:, 0, 1], made[:, 1, 0] = -angle.sin() * ratio, angle.sin() / ratio
    return made


def _moved(x: Tensor, move: Tensor | None) -> Tensor:
    """Sampled between four pixels; what comes from outside is 0."""
    if move is None:
        return x
    grid = functional.affine_grid(move[:, :2], list(x.shape), align_corners=False)
    return functional.grid_sample(x, grid, mode="bilinear", align_corners=False)


def _crop(x: Tensor, by: int, numbers: Tensor) -> Tensor:
    """Padded by zeros on each side, then cut to the old size anywhere."""
    height, width = x.shape[2:]
    padded = functional.pad(x, [by] * 4)
    starts = (numbers * (2 * by + 1)).long().tolist()
    cut = [
        one[:, top : top + height, left : left + width]
        for one, (top, left) in zip(padded, starts, strict=True)
    ]
    return torch.stack(cut)


def _light(x: Tensor, one: Called, numbers: Tensor) -> Tensor:
    """Brightness: times a factor. Contrast: the distance from the picture's mean, times one."""
    factor: Tensor = 1 + one.args["by"] * (2 * numbers - 1)[:, :, None, None]
    if one.name == "brightness":
        return x * factor
    mean = x.mean((1, 2, 3), keepdim=True)
    return mean + (x - mean) * factor


# ------------------------------------------------------------------ torchvision's


def torchvision_pipeline(wanted: Sequence[Called]) -> Callable[[Tensor], Tensor]:
    """Its transforms of one picture, one after the other; they draw from torch's own numbers."""
    steps = [torchvision_transforms()[one.name](**one.args) for one in wanted]

    def transform(x: Tensor) -> Tensor:
        for step in steps:
            x = step(x)
        return x

    return transform
