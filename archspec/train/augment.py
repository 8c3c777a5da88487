"""Pictures, what lies in them, numbers in [0, 1) → the same flipped, moved, turned, brightened.

The numbers are a row for each picture and decide all: so what becomes of a picture is a function of
them alone, and of who reads it, or how many others are read beside it, nothing depends.

    rotate: 10, draws [0.5, …]    turned by 0°          draws [0.0, …]    turned by -10°

Moves are put together into one affine map a picture, so that it is sampled once; masks, boxes and
a picture that is a target go along by the same map.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional

from archspec.train.errors import library
from archspec.train.named import torchvision_transforms
from archspec.train.targets import IGNORED, cut

if TYPE_CHECKING:
    from torch import Tensor

    from archspec.train.named import Called

Seen = dict[str, "Tensor"]
"""`x` [N, C, H, W], and what lies in it by the names of targets: `mask`, `boxes`, `picture`."""

# how many numbers an augmentation takes for a picture
_DRAWS = {"translate": 2, "crop": 2, "flip": 2, "resize": 4, "jitter": 3, "mixup": 0}
_MOVES = ("flip", "translate", "rotate", "scale", "resize")
_RATIO = 4 / 3  # of the sides of what `resize` cuts out, at most
_GREY = (0.299, 0.587, 0.114)  # of red, green, blue: ITU-R BT.601


def draws(wanted: Sequence[Called]) -> int:
    """How many numbers a picture takes."""
    return sum(_DRAWS.get(one.name, 1) for one in wanted)


def apply(wanted: Sequence[Called], seen: Seen, numbers: Tensor) -> Seen:
    """The pictures augmented, and what lies in them: numbers [N, draws] in [0, 1)."""
    move: Tensor | None = None
    for one in wanted:
        width = _DRAWS.get(one.name, 1)
        taken, numbers = numbers[:, :width], numbers[:, width:]
        if one.name == "mixup":
            continue  # is of two samples: see `mixed`
        if one.name in _MOVES:
            height, width = seen["x"].shape[2:]
            more = _matrix(one, taken, height / width)
            move = more if move is None else move @ more
            continue
        seen, move = _moved(seen, move), None
        seen = _crop(seen, one.args["by"], taken) if one.name == "crop" else _lit(seen, one, taken)
    return _moved(seen, move)


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
    elif one.name == "resize":
        made[:, 0, 0], made[:, 1, 1], made[:, :2, 2] = _window(by, numbers)
    elif one.name == "scale":
        made[:, 0, 0] = made[:, 1, 1] = 1 / (1 + by * spread[:, 0])
    else:
        angle = spread[:, 0] * math.radians(by)
        made[:, 0, 0] = made[:, 1, 1] = angle.cos()
        made[:, 0, 1], made[:, 1, 0] = -angle.sin() * ratio, angle.sin() / ratio
    return made


def _window(least: float, numbers: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """A part of the picture that becomes the whole: width and height as shares, its middle.

    Its area is a share of the picture's from `least` to all, its sides are as 3 to 4 at most
    (Szegedy et al. 2015, arXiv 1409.4842, section 6).
    """
    area = least + (1 - least) * numbers[:, 0]
    ratio = _RATIO ** (2 * numbers[:, 1] - 1)
    sides = torch.stack([(area * ratio).sqrt(), (area / ratio).sqrt()], 1).clamp_max(1)
    return sides[:, 0], sides[:, 1], (1 - sides) * (2 * numbers[:, 2:] - 1)


def _moved(seen: Seen, move: Tensor | None) -> Seen:
    """Sampled between four pixels; what comes from outside is 0, of a mask ignored."""
    if move is None:
        return seen
    size = seen["x"].shape
    grid = functional.affine_grid(move[:, :2], list(size), align_corners=False)
    found = dict(seen)
    for name in found.keys() & {"x", "picture"}:
        found[name] = functional.grid_sample(seen[name], grid, align_corners=False)
    if "mask" in seen:
        above = (seen["mask"] - IGNORED)[:, None].float()  # so that 0 is what is ignored
        taken = functional.grid_sample(above, grid, mode="nearest", align_corners=False)
        found["mask"] = taken[:, 0].long() + IGNORED
    if "boxes" in seen or "box" in seen:
        sides = torch.tensor([size[3], size[2]])
        back = move.inverse()  # from a place in the picture to one in the result

        def corners(boxes: Tensor) -> Tensor:
            """[N, K, 4]: around the four corners where they come to lie."""
            x, y = boxes[..., [0, 2, 0, 2]], boxes[..., [1, 1, 3, 3]]
            places = torch.stack([x, y], -1) / sides * 2 - 1
            places = places @ back[:, None, :2, :2].mT + back[:, None, None, :2, 2]
            places = (places + 1) / 2 * sides
            return torch.cat([places.amin(-2), places.amax(-2)], -1)

        _place_boxes(found, corners)
    return found


def _crop(seen: Seen, by: int, numbers: Tensor) -> Seen:
    """Padded on each side, by zeros or what is ignored; then cut to the old size anywhere."""
    height, width = seen["x"].shape[2:]
    starts = (numbers * (2 * by + 1)).long()
    found = dict(seen)
    for name in found.keys() & {"x", "picture", "mask"}:
        outside = IGNORED if name == "mask" else 0
        padded = functional.pad(seen[name], [by] * 4, value=outside)
        found[name] = torch.stack([
            one[..., top : top + height, left : left + width]
            for one, (top, left) in zip(padded, starts.tolist(), strict=True)
        ])  # fmt: skip
    shift = (by - starts.flip(1)).repeat(1, 2)[:, None]  # x, y, x, y
    _place_boxes(found, lambda boxes: boxes + shift)
    return found


def _place_boxes(found: Seen, placed: Callable[[Tensor], Tensor]) -> None:
    """Boxes where they come to lie, cut at the picture's edge.

    Those of which less than a quarter is left are dropped, and only the single one of a picture
    stays as it is cut.
    """
    sides = found["x"].shape[2], found["x"].shape[3]
    if "box" in found:
        boxes = placed(found["box"][:, None])[:, 0]
        found["box"], found["label"] = cut(boxes, found["label"], sides, least=0)
    if "boxes" in found:
        found["boxes"], found["labels"] = cut(placed(found["boxes"]), found["labels"], sides)


def _lit(seen: Seen, one: Called, numbers: Tensor) -> Seen:
    """Brightness, contrast, colour, by a factor each; `jitter` is all three."""
    factors = 1 + one.args["by"] * (2 * numbers - 1)[:, :, None, None, None]
    kinds = _LIGHTS if one.name == "jitter" else (one.name,)
    found = dict(seen)
    for name in found.keys() & {"x", "picture"}:
        for k, kind in enumerate(kinds):
            x = found[name]
            plain = _plain(kind, x)
            found[name] = plain + (x - plain) * factors[:, k]
    return found


_LIGHTS = ("brightness", "contrast", "saturation")


def _plain(kind: str, x: Tensor) -> Tensor | float:
    """What a factor of 0 would leave: black, the picture's mean, or its grey."""
    if kind == "brightness":
        return 0.0
    if kind == "contrast":
        return x.mean((1, 2, 3), keepdim=True)
    if x.shape[1] != len(_GREY):
        return x  # has no colours
    return (x * x.new_tensor(_GREY)[:, None, None]).sum(1, keepdim=True)


def mixed(x: Tensor, y: Tensor, shares: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """Samples [2N, …], the first half mixed with the second: [N, …], and targets as well.

    share · x + (1 - share) · other (Zhang et al. 2018, arXiv 1710.09412); of `classes` each target
    is a probability.
    """
    if classes:
        y = functional.one_hot(y, classes)

    def both(of: Tensor) -> Tensor:
        one, other = of.float().chunk(2)
        share = shares.view(-1, *[1] * (of.ndim - 1)).to(one)
        return share * one + (1 - share) * other

    return both(x), both(y)


# ------------------------------------------------------------------ torchvision's


def torchvision_pipeline(wanted: Sequence[Called]) -> Callable[[Seen], Seen]:
    """Its transforms of one picture, one after the other; they draw from torch's own numbers.

    Masks and boxes go through as torchvision's own kinds of tensors, so that they move along.
    """
    steps = [torchvision_transforms()[one.name](**one.args) for one in wanted]
    kinds = library("torchvision.tv_tensors", "an augmentation of torchvision")

    def told(seen: Seen) -> dict[str, Any]:
        size = tuple(seen["x"].shape[1:])
        made: dict[str, Any] = dict(seen)
        for name in made.keys() & {"x", "picture"}:
            made[name] = kinds.Image(seen[name])
        if "mask" in made:
            made["mask"] = kinds.Mask(seen["mask"])
        for name in made.keys() & {"box", "boxes"}:
            made[name] = kinds.BoundingBoxes(seen[name], format="XYXY", canvas_size=size)
        return made

    def transform(seen: Seen) -> Seen:
        found = told(seen)
        for step in steps:
            found = step(found)
        return {name: one.as_subclass(torch.Tensor) for name, one in found.items()}

    return transform
