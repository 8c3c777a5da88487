"""Boxes that are there, of samples → what is wrong with them, before the first step.

    sample 17: the box [70, 3, 90, 20] is not in the picture, which is 64 wide and 64 high

Targets that are known without reading pictures are all looked at, of others so many at equal
distances.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from archspec.train.errors import TrainError
from archspec.train.targets import NO_BOX

if TYPE_CHECKING:
    from archspec.train.loading import View
    from archspec.train.sets import Sets

_READ = 1000  # samples of a set that has to be read
_PART = 50  # of them at a time
_OUTSIDE = 0.5  # pixels that rounding may move an edge


def boxes(view: View) -> Iterator[tuple[list[int], Tensor, Tensor]]:
    """Numbers of samples, their boxes [N, K, 4] and classes [N, K]; one box is K = 1."""
    known = view.samples.targets
    if isinstance(known, dict):
        yield (view.chosen.tolist(), *_both({k: v[view.chosen] for k, v in known.items()}))
        return
    step = max(1, len(view) // _READ)
    plain = view.plain()
    for indices in torch.split(torch.arange(0, len(view), step), _PART):
        _, y = plain.__getitems__(indices.tolist())
        yield (view.chosen[indices].tolist(), *_both(y))


def _both(y: Any) -> tuple[Tensor, Tensor]:
    """Raises TrainError where targets are no boxes."""
    names = ("box", "label") if isinstance(y, dict) and "box" in y else ("boxes", "labels")
    if not isinstance(y, dict) or not set(names) <= set(y):
        said = f"a mapping of {', '.join(y)}" if isinstance(y, dict) else type(y).__name__
        help = "give y as {'boxes': [K, 4], 'labels': [K]}, or {'box': [4], 'label': a number}"
        raise TrainError("E804", f"targets are {said}, not boxes with their classes", help)
    corners, labels = y[names[0]], y[names[1]]
    if corners.shape != (*labels.shape, 4) or labels.is_floating_point():
        said = f"boxes are {list(corners.shape)} for classes {list(labels.shape)} ({labels.dtype})"
        raise TrainError("E804", said, "four numbers a box: x1, y1, x2, y2; a whole number a class")
    if names[0] == "box":
        return corners[:, None], labels[:, None]
    return corners, labels


def sound(sets: Sets, classes: int) -> None:
    """Raises TrainError for a box that is none, and for classes that the head does not tell apart.

    `classes`: how many it does; 0 where that is not known.
    """
    if len(sets.facts.shape) != 3:
        said = f"a sample is {list(sets.facts.shape)}; boxes are in pictures"
        raise TrainError("E804", said, "inputs are [channels, height, width]")
    here = len(sets.facts.classes)
    if here and classes and here != classes:
        said = f"the data have {here} classes, the head tells {classes} apart"
        raise TrainError("E804", said, f"make the head for {here}: build(…, classes={here})")
    height, width = sets.facts.shape[-2:]
    for view in (sets.train, sets.val) if sets.val is not None else (sets.train,):
        for numbers, corners, labels in boxes(view):
            for wrong, said, help in _faults(corners, labels, (height, width), classes):
                for n, k in wrong.nonzero()[:1].tolist():
                    where, box = name(view, numbers[n]), corners[n, k].tolist()
                    box = [round(number, 2) for number in box]
                    raise TrainError("E804", f"{where}: the box {box} {said}", help)


def _faults(
    corners: Tensor, labels: Tensor, sides: tuple[int, int], classes: int
) -> Iterator[tuple[Tensor, str, str]]:
    """Which boxes [N, K] are wrong, in which way, and what is to be done."""
    height, width = sides
    there = labels != NO_BOX
    help = "a box is left, top, right, bottom, in pixels of the network's input"
    yield there & ~corners.isfinite().all(2), "is not of numbers", help
    yield there & (corners[..., 2:] <= corners[..., :2]).any(2), "is empty", help
    edge = corners.new_tensor([width, height, width, height])
    outside = (corners < -_OUTSIDE) | (corners > edge + _OUTSIDE)
    said = f"is not in the picture, which is {width} wide and {height} high"
    yield there & outside.any(2), said, help
    help = "classes are whole numbers from 0"
    yield there & (labels < 0), "has a class below 0", help
    if classes:
        said = f"has a class that is not one of the {classes} that the head tells apart"
        yield labels >= classes, said, help


def name(view: View, number: int) -> str:
    """What a sample is called: its file, or its number."""
    files = getattr(view.samples, "files", None)
    return f"`{files[number]}`" if files else f"sample {number}"
