"""torchvision.ops where they load, else the same in plain torch: suppression, RoI align.

torchvision's ops are compiled for one build of torch; beside another they do not load, and a
detector would not run at all. What stands in for them is written over whole tensors:

    nms        a box stays unless a better one that stays overlaps it: asked of all at once, again
               until nothing changes, which is what the greedy loop ends with
    roi_align  every cell is a weighted sum of places of the map: one embedding_bag
"""

from __future__ import annotations

import sys
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional


def ops() -> Any:
    """torchvision.ops, or this module where they are not there or do not work."""
    try:
        from torchvision.ops import nms, roi_align  # type: ignore[import-untyped]  # noqa: F401
    except (ImportError, RuntimeError, OSError):
        return sys.modules[__name__]
    loaded = hasattr(torch.ops.torchvision, "nms")
    return sys.modules["torchvision.ops" if loaded else __name__]


def overlaps(boxes: Tensor, others: Tensor) -> Tensor:
    """Intersection over union of every pair: corners [..., N, 4] and [..., M, 4] → [..., N, M].

    Boxes without an area overlap nothing.
    """
    one, other = boxes[..., :, None, :], others[..., None, :, :]
    low = torch.maximum(one[..., :2], other[..., :2])
    high = torch.minimum(one[..., 2:], other[..., 2:])
    both = (high - low).clamp(min=0).prod(-1)
    whole = area(one) + area(other) - both
    return both / whole.where(whole > 0, torch.ones_like(whole))


def area(boxes: Tensor) -> Tensor:
    """Of boxes [..., 4] of left, top, right and bottom."""
    return (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """The places of boxes [K, 4] that are left, best first: greedy non-maximum suppression.

    Going from the best score [K] down, a box is left out that overlaps one that stayed by more
    than the threshold; of equal scores the earlier counts as better. As torchvision.ops.nms.
    """
    order = scores.argsort(descending=True, stable=True)
    if boxes.is_meta:
        return order  # how many stay is not known there
    ranked = boxes.detach()[order]
    rivals = (overlaps(ranked, ranked) > iou_threshold).triu(1)  # [better, worse]
    stays = torch.ones_like(order, dtype=torch.bool)
    while True:  # each round settles at least the next in the order
        now = ~(rivals & stays[:, None]).any(0)
        if torch.equal(now, stays):
            return order[stays]
        stays = now


def roi_align(
    input: Tensor,
    boxes: Tensor,
    output_size: int | tuple[int, int],
    spatial_scale: float = 1.0,
    sampling_ratio: int = -1,
    aligned: bool = False,
) -> Tensor:
    """Boxes cut out of maps [N, C, H, W] and brought to one size: [K, C, height, width].

    Each of `boxes` [K, 5] is the number of a sample and corners in cells of the image, which
    `spatial_scale` turns into cells of the map. A cell of the output is the mean of
    `sampling_ratio`² bilinear samples at equal distances, or of as many as it has cells of the map
    where that is not above 0. `aligned` moves boxes by half a cell, so that the middle of a cell
    is at its number plus a half. No gradient flows to the boxes. As torchvision.ops.roi_align
    (He et al. 2017, arXiv 1703.06870, section 3).
    """
    height, width = (output_size,) * 2 if isinstance(output_size, int) else output_size
    count, channels = len(boxes), input.shape[1]
    rows, columns = input.shape[2:]
    corners = boxes.detach()[:, 1:] * spatial_scale - (0.5 if aligned else 0.0)
    size = corners[:, 2:] - corners[:, :2]
    if not aligned:
        size = size.clamp(min=1)
    x, right = _taps(corners[:, 0], size[:, 0] / width, width, sampling_ratio, columns)
    y, down = _taps(corners[:, 1], size[:, 1] / height, height, sampling_ratio, rows)
    sample = boxes[:, 0].long().view(-1, 1, 1, 1, 1)
    places = (sample * rows + y[:, :, None, :, None]) * columns + x[:, None, :, None, :]
    shares = (down[:, :, None, :, None] * right[:, None, :, None, :]).to(input.dtype)
    flat = input.permute(0, 2, 3, 1).reshape(-1, channels)
    bags, weights = (one.flatten(3).flatten(0, 2) for one in (places, shares))
    found = functional.embedding_bag(bags, flat, mode="sum", per_sample_weights=weights)
    return found.view(count, height, width, channels).permute(0, 3, 1, 2)


def _taps(
    start: Tensor, cell: Tensor, cells: int, samples: int, size: int
) -> tuple[Tensor, Tensor]:
    """Along an axis of a map: the places [K, cells, taps] of each cell, and their shares of it.

    A sample lies between two places; one that is more than a place outside counts as 0.
    """
    asked = torch.full_like(cell, samples) if samples > 0 else cell.ceil()
    most = samples if samples > 0 else 1 if cell.is_meta else int(asked.max()) if len(cell) else 1
    steps = torch.arange(max(most, 1), device=cell.device)
    offset = (steps + 0.5) / asked.clamp(min=1)[:, None]  # [K, samples], in cells
    at = torch.arange(cells, device=cell.device)[:, None] + offset[:, None]
    at = start[:, None, None] + at * cell[:, None, None]
    counts = (at >= -1) & (at <= size) & (steps < asked[:, None, None])
    share = counts / asked.clamp(min=1)[:, None, None]
    at = at.clamp(0, size - 1)
    low = at.floor()
    high = (low + 1).clamp(max=size - 1)
    places = torch.cat([low, high], 2).long()
    return places, torch.cat([(1 - (at - low)) * share, (at - low) * share], 2)
