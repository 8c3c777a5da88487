"""Boxes that were found, boxes that are there → mean average precision, as COCO measures it.

    rows = matched(found, boxes, labels)    of each found box: class, score, right at IoU ≥ 0.5, …
    average_precision(rows, counts)         [10, classes]: at IoU 0.5, 0.55 … 0.95

Rows of any batch and process can be put below one another: what is ranked is all of them, by their
scores. Precision is read at 101 recalls from 0 to 1, at each the best that is reached there or
later, because that is what published figures of the last ten years are (pycocotools; the
all-point area of Pascal VOC 2010 differs in the third digit). Boxes with equal scores are one step
of the curve, so that their order does not matter.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from archspec.module.detection import overlaps

THRESHOLDS = tuple(0.5 + 0.05 * k for k in range(10))
MOST = 100  # boxes of a picture that count, the best
_RECALLS = 101


def matched(found: Tensor, boxes: Tensor, labels: Tensor) -> Tensor:
    """Found [N, M, 6] against boxes [N, K, 4] and classes [N, K] → [any, 2 + 10].

    A row of corners, score, class; each picture's best first, class -1 fills up in both. In the
    order of scores each takes the box of its class that it overlaps most of those that are left.
    """
    count, most, many = len(found), found.shape[1], len(THRESHOLDS)
    right = found.new_zeros(count, most, many)
    if not boxes.shape[1]:
        most = 0
    same = found[..., 5:] == labels[:, None]
    near = overlaps(found[..., :4], boxes).where(same, -torch.ones_like(right[..., :1]))
    free = (labels >= 0)[:, None].repeat(1, many, 1)  # at each threshold for itself: [N, 10, K]
    least = found.new_tensor(THRESHOLDS)
    for m in range(most):
        left = near[:, m, None].where(free, -torch.ones_like(right[:, :1, :1]))
        score, place = left.max(2)
        right[:, m] = (score >= least).to(right.dtype)
        taken = functional.one_hot(place, boxes.shape[1]).bool() & (score >= least)[..., None]
        free &= ~taken
    rows = torch.cat([found[..., 5:], found[..., 4:5], right], 2)
    return rows[found[..., 5] >= 0]


def average_precision(rows: Tensor, counts: Tensor) -> Tensor:
    """Of rows of `matched`, and how many boxes of each class there are: [10, classes].

    Not a number for a class of which there are none, which a mean leaves out.
    """
    rows = rows.double().cpu()
    found = torch.full((len(THRESHOLDS), len(counts)), float("nan"), dtype=torch.float64)
    for label, count in enumerate(counts.tolist()):
        if count:
            mine = rows[rows[:, 0] == label]
            found[:, label] = torch.stack(
                [_area(mine[:, 1], right, count) for right in mine[:, 2:].T]
            )
    return found


def _area(scores: Tensor, right: Tensor, count: int) -> Tensor:
    """Below the curve of one class at one threshold."""
    order = right.argsort(stable=True)  # of equal scores the wrong ones first: see above
    order = order[scores[order].argsort(descending=True, stable=True)]
    hits = right[order].cumsum(0)
    precision = hits / torch.arange(1, len(hits) + 1)
    best = precision.flip(0).cummax(0).values.flip(0) if len(hits) else precision
    at = torch.linspace(0, 1, _RECALLS, dtype=torch.float64)
    places = torch.searchsorted(hits / count, at)
    return torch.cat([best, best.new_zeros(1)])[places].mean()
