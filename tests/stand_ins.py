"""The C++ ops of torchvision that do not load beside a CPU-only torch → the same in plain torch."""

from __future__ import annotations

import sys
from functools import cache
from importlib import import_module
from types import ModuleType

import torch
from torch import Tensor

_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    (
        "roi_align(Tensor input, Tensor rois, float spatial_scale, SymInt pooled_height, "
        "SymInt pooled_width, int sampling_ratio, bool aligned) -> Tensor"
    ),
)


_KEPT: list[object] = []  # the ops live as long as what defined them


@cache
def torchvision() -> ModuleType:
    """torchvision, over stand-ins where its own ops do not load. Raises ImportError."""
    try:
        return import_module("torchvision")
    except RuntimeError:  # its ops do not exist
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
    library = torch.library.Library("torchvision", "DEF")
    for schema in _SCHEMAS:
        library.define(schema)
    library.impl("nms", nms, "CPU")
    library.impl("roi_align", roi_align, "CompositeImplicitAutograd")
    _KEPT.append(library)
    found = import_module("torchvision")
    for name in ("boxes", "roi_align"):
        module = sys.modules[f"torchvision.ops.{name}"]
        vars(module).update(_assert_has_ops=lambda: None, _has_ops=lambda: True)
    torch.library.register_fake("torchvision::nms", _places, allow_override=True)
    return found


def nms(dets: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """Greedy suppression: the best box, then the best that none taken overlaps too much."""
    low, high = dets.detach().split(2, 1)
    area = (high - low).prod(1)
    free = torch.ones(len(dets), dtype=torch.bool)
    kept = []
    for i in scores.argsort(descending=True, stable=True).tolist():
        if not free[i]:
            continue
        kept.append(i)
        sides = torch.minimum(high[i], high) - torch.maximum(low[i], low)
        shared = sides.clamp(min=0).prod(1)
        free &= ~(shared / (area[i] + area - shared) > iou_threshold)
    return torch.tensor(kept, dtype=torch.int64)


def _places(dets: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """Places that nms may return: any number; on the meta device, where none is known, all."""
    try:
        count = torch.library.get_ctx().new_dynamic_size()
    except RuntimeError:
        count = len(dets)
    return dets.new_empty(count, dtype=torch.int64)


def roi_align(
    input: Tensor,
    rois: Tensor,
    spatial_scale: float,
    pooled_height: int,
    pooled_width: int,
    sampling_ratio: int,
    aligned: bool,
) -> Tensor:
    """The mean of `sampling_ratio`² bilinear samples in each cell of the output."""
    assert sampling_ratio > 0, "the number of samples that depends on the box is not needed here"
    corners = rois[:, 1:] * spatial_scale - (0.5 if aligned else 0.0)
    x = _taps(corners[:, 0], corners[:, 2], pooled_width, sampling_ratio, input.shape[3], aligned)
    y = _taps(corners[:, 1], corners[:, 3], pooled_height, sampling_ratio, input.shape[2], aligned)
    sample = rois[:, 0].long()[:, None, None]
    out = 0
    for row, down in y:
        for column, right in x:
            part = input[sample, :, row[:, :, None], column[:, None, :]]
            out = out + part * (down[:, :, None] * right[:, None, :])[..., None]
    cells = torch.unflatten(torch.unflatten(out, 1, (pooled_height, -1)), 3, (pooled_width, -1))
    return cells.mean((2, 4)).permute(0, 3, 1, 2)


def _taps(
    start: Tensor, end: Tensor, cells: int, samples: int, size: int, aligned: bool
) -> list[tuple[Tensor, Tensor]]:
    """The two places [K, cells · samples] that each sample lies between, and their shares."""
    length = end - start if aligned else (end - start).clamp(min=1)
    steps = (torch.arange(cells * samples, device=start.device) + 0.5) / samples
    at = start[:, None] + steps * (length / cells)[:, None]
    inside = ((at >= -1) & (at <= size)).to(start.dtype)
    at = at.clamp(0, size - 1)
    low = at.floor()
    high = (low + 1).clamp(max=size - 1)
    return [(low.long(), (1 - (at - low)) * inside), (high.long(), (at - low) * inside)]
