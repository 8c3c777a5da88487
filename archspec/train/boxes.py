"""Boxes [..., 4] of left, top, right, bottom → how far they agree, what moves one to another.

    shared([0, 0, 4, 4], [2, 0, 6, 4])     1/3      the intersection is 8, the union 24
    deltas([2, 0, 6, 4], [0, 0, 4, 4])     [0.5, 0, 0, 0]    half a width to the right
    moved([0, 0, 4, 4], [0.5, 0, 0, 0])    [2, 0, 6, 4]

Lengths are pixels of the network's input, and a box ends where its last pixel does: its width is
right - left. Many boxes against many others are `archspec.module.detection.overlaps`.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from archspec.module.detection import area, ops, overlaps

LARGEST = math.log(1000 / 16)  # growth of a box at most, as in Detectron and torchvision
_ROUNDS = 100  # of k-means at most


def centred(boxes: Tensor) -> Tensor:
    """Corners → centre and sides: x, y, width, height."""
    low, high = torch.split(boxes, 2, -1)
    return torch.cat([(low + high) / 2, high - low], -1)


def corners(boxes: Tensor) -> Tensor:
    """Centre and sides → left, top, right, bottom."""
    centre, sides = torch.split(boxes, 2, -1)
    return torch.cat([centre - sides / 2, centre + sides / 2], -1)


def clipped(boxes: Tensor, height: int, width: int) -> Tensor:
    """What of the boxes is in the picture."""
    edge = boxes.new_tensor([width, height, width, height])
    return boxes.clamp(min=0).minimum(edge)


def shared(boxes: Tensor, others: Tensor) -> Tensor:
    """Intersection over union, pair by pair: [..., 4] and [..., 4] → [...]."""
    both, whole, _ = _areas(boxes, others)
    return both / whole.clamp(min=1e-9)


def apart(boxes: Tensor, others: Tensor) -> Tensor:
    """1 - GIoU, pair by pair (Rezatofighi et al. 2019, arXiv 1902.09630): from 0 to 2.

    Unlike 1 - IoU it says of boxes that do not meet, too, which way is nearer.
    """
    both, whole, hull = _areas(boxes, others)
    return 1 - both / whole.clamp(min=1e-9) + (hull - whole) / hull.clamp(min=1e-9)


def _areas(boxes: Tensor, others: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Of the intersection, of the union, and of the smallest box around both."""
    low, high = (pick(boxes, others) for pick in (torch.maximum, torch.minimum))
    first, last = torch.minimum(boxes, others), torch.maximum(boxes, others)
    both = (high[..., 2:] - low[..., :2]).clamp(min=0).prod(-1)
    hull = (last[..., 2:] - first[..., :2]).prod(-1)
    return both, area(boxes) + area(others) - both, hull


def deltas(boxes: Tensor, anchors: Tensor) -> Tensor:
    """What moves anchors to boxes: (x - xa) / wa, (y - ya) / ha, log(w / wa), log(h / ha).

    Girshick et al. 2014 (arXiv 1311.2524), appendix C.
    """
    centre, sides = torch.split(centred(boxes), 2, -1)
    before, own = torch.split(centred(anchors), 2, -1)
    own = own.clamp(min=1e-6)
    return torch.cat([(centre - before) / own, (sides.clamp(min=1e-6) / own).log()], -1)


def moved(anchors: Tensor, by: Tensor) -> Tensor:
    """Anchors moved and scaled by what `deltas` gives."""
    centre, sides = torch.split(centred(anchors), 2, -1)
    move, grow = torch.split(by, 2, -1)
    return corners(torch.cat([centre + move * sides, sides * grow.clamp(max=LARGEST).exp()], -1))


def anchors(
    size: float, ratios: tuple[float, ...], cells: tuple[int, int], sides: tuple[int, int]
) -> Tensor:
    """Those of a region proposal network's map of so many cells: [height · width · ratios, 4].

    At the corner of every cell a box of each ratio height / width and of area size², its sides in
    whole pixels: as `anchor_boxes` of a spec has them, and torchvision.
    """
    root = torch.tensor(ratios, dtype=torch.float64).sqrt()
    half = torch.stack([size / root, size * root], 1) / 2
    shapes = torch.cat([-half, half], 1).round().float()
    rows, columns = (torch.arange(n) * (side // n) for n, side in zip(cells, sides, strict=True))
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    corner = torch.stack([x, y, x, y], 2)[:, :, None]
    return (corner + shapes).flatten(0, 2)


def best(found: Tensor, iou: float, most: int) -> Tensor:
    """Rows [M, 6] of corners, score, class that stay, best first: each class is suppressed alone.

    Boxes of different classes are moved apart, so that one suppression serves for all.
    """
    if not len(found):
        return found
    far = 2 * found[:, :4].abs().amax() + 1
    kept = ops().nms(found[:, :4] + far * found[:, 5:], found[:, 4], iou)
    return found[kept[:most]]


def below(rows: list[Tensor]) -> Tensor:
    """Rows of every picture [M, 6] → [N, most, 6]; the class of what is filled up with is -1."""
    most = max((len(one) for one in rows), default=0)
    made = rows[0].new_zeros(len(rows), most, 6)
    made[..., 5] = -1
    for k, one in enumerate(rows):
        made[k, : len(one)] = one
    return made


def clusters(sides: Tensor, count: int, seed: int) -> Tensor:
    """Widths and heights [N, 2] → those of `count` anchors, the smallest first, by k-means.

    The distance is 1 - IoU of boxes with one centre (Redmon, Farhadi 2017, arXiv 1612.08242,
    section 2): small boxes count as much as large ones. Begun at boxes that are drawn far from one
    another (k-means++).
    """
    generator = torch.Generator().manual_seed(seed)
    boxes = torch.cat([-sides, sides], 1).double() / 2
    chosen = [int(torch.randint(len(boxes), (), generator=generator))]
    for _ in range(count - 1):
        near = overlaps(boxes, boxes[chosen]).amax(1)
        far = (1 - near).clamp(min=1e-9).square()
        chosen.append(int(torch.multinomial(far, 1, generator=generator)))
    means = boxes[chosen]
    for _ in range(_ROUNDS):
        nearest = overlaps(boxes, means).argmax(1)
        mine = (nearest == torch.arange(count)[:, None]).double()
        sums = mine @ boxes / mine.sum(1, keepdim=True).clamp(min=1)
        now = sums.where(mine.any(1)[:, None], means)
        if torch.equal(now, means):
            break
        means = now
    found = means[:, 2:] - means[:, :2]
    return found[found.prod(1).argsort()].float()
