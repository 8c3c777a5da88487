"""Kinds of targets: what a task asks of a set, and what a sample's target then is.

    classes    a number                        int64 [N]
    numbers    one or several                  float32 [N] or [N, k]
    labels     for each whether it is there    float32 [N, k] of 0 and 1
    mask       a class for each pixel          int64 [N, H, W]; 255 is looked at by nobody
    picture    a picture                       float32 [N, C, H, W]
    box        one box and its class           {"box": float32 [N, 4], "label": int64 [N]}
    boxes      some, and the class of each     {"boxes": float32 [N, K, 4], "labels": int64 [N, K]}
    next       the token after each            int64 [N, T]
    pairs      whether both are of one class   float32 [N] of 0 and 1
    triplets   which sample each is            {"class", "number", "of": int64 [N]}
    none       whatever there is               not looked at, or by a step of the caller's

A box is x1, y1, x2, y2 in pixels of the input, from edge to edge; where a sample has fewer than K,
the rest have the class -1.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import default_collate

CLASSES, NUMBERS, LABELS, MASK = "classes", "numbers", "labels", "mask"
PICTURE, BOX, BOXES, NONE = "picture", "box", "boxes", "none"
PLACED = BOX, BOXES  # of these a picture is taken as a whole
NEXT, PAIRS, TRIPLETS = "next", "pairs", "triplets"

IGNORED = 255  # of a mask: as in Pascal VOC and Cityscapes
NO_BOX = -1


_LEFT = 0.25  # share of a box that has to be left in the picture, or it is dropped


def cut(
    boxes: Tensor, labels: Tensor, sides: tuple[int, int], least: float = _LEFT
) -> tuple[Tensor, Tensor]:
    """Boxes [..., 4] cut at the edges of a picture; of which less than a share is left, dropped.

    `sides`: height and width. A box that is dropped has the class -1.
    """
    height, width = sides
    found = boxes.clamp_min(0).minimum(torch.tensor([width, height] * 2))
    here = (labels != NO_BOX) & (_area(found) >= least * _area(boxes))
    return torch.where(here[..., None], found, 0.0), torch.where(here, labels, NO_BOX)


def _area(boxes: Tensor) -> Tensor:
    sides = boxes[..., 2:] - boxes[..., :2]
    return sides[..., 0] * sides[..., 1]


def together(items: list[Any]) -> tuple[Any, Any]:
    """A batch of (input, target): as torch puts them together, boxes filled up to the most."""
    pairs = all(isinstance(item, (tuple, list)) and len(item) == 2 for item in items)
    targets: list[Any] = [target for _, target in items] if pairs else [None]
    if not all(isinstance(one, dict) and {"boxes", "labels"} <= set(one) for one in targets):
        batch: tuple[Any, Any] = default_collate(items)
        return batch
    most = max(len(one["labels"]) for one in targets)
    x = default_collate([x for x, _ in items])
    filled = []
    for one in targets:
        boxes = torch.as_tensor(one["boxes"], dtype=torch.float32).reshape(-1, 4)
        labels = torch.as_tensor(one["labels"], dtype=torch.int64)
        lack = most - len(labels)
        filled.append({
            **one,
            "boxes": functional.pad(boxes, [0, 0, 0, lack]),
            "labels": functional.pad(labels, [0, lack], value=NO_BOX),
        })  # fmt: skip
    return x, default_collate(filled)
