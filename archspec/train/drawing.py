"""A picture, and what is in it → the picture with that drawn over it, names below.

    over(x, {"mask": mask}, ("background", "disc"))     [3, H + …, W]: discs in blue, `disc` below

What is in a picture is a target, or what a network says in the form of a target: so that truth and
prediction can be put side by side.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional

from archspec.train.errors import library
from archspec.train.targets import IGNORED, NO_BOX

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

# Okabe and Ito 2008: told apart by the colour-blind too
COLOURS = (
    (0, 114, 178), (230, 159, 0), (0, 158, 115), (204, 121, 167), (86, 180, 233), (213, 94, 0),
    (240, 228, 66),
)  # fmt: skip
_SIDE = 256  # that a small picture is enlarged to, at least
_GAP = 4  # pixels between two
_LINE = 14  # height of a line of names


def colour(label: int) -> tuple[int, int, int]:
    """Of a class."""
    return COLOURS[label % len(COLOURS)]


def over(x: Tensor, found: dict[str, Tensor], names: tuple[str, ...]) -> Tensor:
    """A picture [C, H, W] from 0 to 1, `mask` or `boxes` over it: [3, H, W], enlarged if small.

    Where `picture` is found, that in its place.
    """
    x = found.get("picture", x)
    times = max(1, -(-_SIDE // min(x.shape[1:])))
    large = x.detach().float().cpu().clamp(0, 1)[:3].expand(3, -1, -1)
    large = large.repeat_interleave(times, 1).repeat_interleave(times, 2)
    if "mask" in found:
        mask = found["mask"].cpu().repeat_interleave(times, 0).repeat_interleave(times, 1)
        return _named(_tinted(large, mask), torch.unique(mask).tolist(), names)
    if found.keys() & {"boxes", "box"}:
        return _framed(large, {key: value.cpu() for key, value in found.items()}, times, names)
    return large


def beside(x: Tensor, found: Sequence[dict[str, Tensor]], names: tuple[str, ...]) -> Tensor:
    """A picture, and beside it what is in it, once for each of several that say so.

    Of each mapping the first sample is drawn: [N, …] of every kind of target. What says nothing
    that could be drawn is left out.
    """
    drawn = [over(x, {}, names)]
    for one in found:
        there = {name: value[0] for name, value in one.items()}
        if there.keys() & {"mask", "boxes", "box", "picture"}:
            drawn.append(over(x, there, names))
    height = max(one.shape[1] for one in drawn)
    return torch.cat(
        [functional.pad(one, [_GAP, 0, 0, height - one.shape[1]], value=1.0) for one in drawn], 2
    )


def _tinted(x: Tensor, mask: Tensor) -> Tensor:
    """Half the picture, half the colour of the class; nothing over the first, the ground."""
    colours = torch.tensor([colour(k - 1) for k in range(IGNORED + 1)]) / 255
    tint = colours[mask].permute(2, 0, 1)
    plain = (mask == 0) | (mask == IGNORED)
    return torch.where(plain, x, (x + tint) / 2)


def _named(x: Tensor, there: Collection[int], names: tuple[str, ...]) -> Tensor:
    """A line for each class that is there, below the picture."""
    shown = [label for label in there if label not in (0, IGNORED)]
    x = functional.pad(x, [0, 0, 0, _LINE * len(shown)], value=1.0)
    image, pen = _pen(x)
    for row, label in enumerate(shown, start=1):
        top = image.height - _LINE * (len(shown) - row + 1)
        pen.rectangle([2, top + 2, 12, top + 12], fill=colour(label - 1))
        pen.text((16, top + 1), _name(label, names), fill="black")
    return _tensor(image)


def _framed(x: Tensor, found: dict[str, Tensor], times: int, names: tuple[str, ...]) -> Tensor:
    """A frame around each box, its class and its probability above."""
    image, pen = _pen(x)
    boxes = found["boxes"] if "boxes" in found else found["box"][None]
    labels = found["labels"] if "labels" in found else found["label"][None]
    scores = found["scores"].tolist() if "scores" in found else [None] * len(boxes)
    for box, label, score in zip(boxes.tolist(), labels.tolist(), scores, strict=True):
        if label == NO_BOX:
            continue
        left, top, right, bottom = (round(side * times) for side in box)
        right, bottom = max(left, right - 1), max(top, bottom - 1)
        pen.rectangle([left, top, right, bottom], outline=colour(label), width=2)
        said = _name(label, names)
        said += "" if score is None else f" {score:.0%}"
        place = (left + 2, max(top - _LINE, 0))
        pen.rectangle(pen.textbbox(place, said), fill=colour(label))
        pen.text(place, said, fill="white")
    return _tensor(image)


def _name(label: int, names: tuple[str, ...]) -> str:
    return names[label] if label < len(names) else str(label)


def _pen(x: Tensor) -> tuple[Any, Any]:
    """A picture of Pillow's, and what draws on it."""
    image = library("PIL.Image", "drawing on pictures")
    made = image.fromarray((x * 255).round().byte().permute(1, 2, 0).numpy())
    return made, library("PIL.ImageDraw", "drawing on pictures").Draw(made)


def _tensor(image: Any) -> Tensor:
    import numpy

    found = torch.from_numpy(numpy.asarray(image).copy()).permute(2, 0, 1)
    return found.float() / 255
