"""Modules of detectors, on boxes [N, K, 4] of left, top, right and bottom in cells of the image."""

import math

import torch
from torch import Tensor, nn
from torchvision.ops import nms, roi_align  # type: ignore[import-untyped]


class GridPoints(nn.Module):
    """x and y of the cells of a map [N, C, H, W]: [N, 2, H, W], in those of the image if given."""

    def __init__(self, offset: float = 0.5) -> None:
        super().__init__()
        self.offset = offset

    def forward(self, x: Tensor, image: Tensor | None = None) -> Tensor:
        height, width = x.shape[2:]
        right = torch.arange(width, device=x.device) + float(self.offset)
        down = torch.arange(height, device=x.device)[:, None] + float(self.offset)
        if image is not None:
            right = right * (image.shape[3] // width)
            down = down * (image.shape[2] // height)
        points = torch.stack([right.expand(height, width), down.expand(height, width)])
        return points.to(x.dtype).expand(x.shape[0], 2, height, width)


class AnchorBoxes(nn.Module):
    """The K best boxes of a map [N, K, 4], and their scores [N, K] (Ren et al. 2015).

    Anchors of area size² stand at every cell, one for each ratio height / width. A score of 0
    means that there is no box.
    """

    def __init__(
        self, size: float, ratios: tuple[float, ...] = (0.5, 1.0, 2.0), top: int = 1000
    ) -> None:
        super().__init__()
        sides = [(size / math.sqrt(r) / 2, size * math.sqrt(r) / 2) for r in ratios]
        self.shapes = [(round(-w), round(-h), round(w), round(h)) for w, h in sides]
        self.top = top

    def anchors(self, objectness: Tensor, image: Tensor) -> Tensor:
        """Left, top, right and bottom of each: [cells * ratios, 4]."""
        height, width = objectness.shape[2:]
        x = torch.arange(width, device=image.device) * (image.shape[3] // width)
        y = torch.arange(height, device=image.device) * (image.shape[2] // height)
        cell = torch.stack([x.expand(height, width), y[:, None].expand(height, width)], 2)
        corners = torch.cat([cell, cell], 2)[:, :, None]
        return (corners + objectness.new_tensor(self.shapes)).flatten(0, 2)

    def forward(self, objectness: Tensor, deltas: Tensor, image: Tensor) -> tuple[Tensor, Tensor]:
        logits = objectness.detach().permute(0, 2, 3, 1).flatten(1)
        logits, index = logits.topk(min(self.top, logits.shape[1]))
        codes = torch.unflatten(deltas.detach(), 1, (-1, 4)).permute(0, 3, 4, 1, 2).flatten(1, 3)
        move, grow = torch.split(codes.gather(1, index[:, :, None].expand(-1, -1, 4)), 2, 2)
        low, high = torch.split(self.anchors(objectness, image)[index], 2, 2)
        size = high - low
        center = move * size + (low + 0.5 * size)
        half = 0.5 * (grow.clamp(max=math.log(1000 / 16)).exp() * size)
        edge = center.new_tensor([image.shape[3], image.shape[2]])
        low, high = (c.clamp(min=0).minimum(edge) for c in (center - half, center + half))
        seen = (high - low >= 1e-3).all(2)
        return torch.cat([low, high], 2), logits.sigmoid() * seen


class Nms(nn.Module):
    """Boxes [N, K, 4] and scores [N, K]; a box that overlaps a better one becomes 0."""

    def __init__(self, iou: float = 0.5) -> None:
        super().__init__()
        self.iou = iou

    def forward(self, boxes: Tensor, scores: Tensor) -> tuple[Tensor, Tensor]:
        kept = scores.new_zeros(scores.shape)
        for n in range(scores.shape[0]):
            kept[n, nms(boxes[n], scores[n], self.iou)] = 1
        return boxes * kept[:, :, None], scores * kept


class RoiAlign(nn.Module):
    """Boxes [N, K, 4] cut out of maps [N, C, H, W]: [N, K, C, size, size].

    A box of 224 x 224 cells of the image is for the map of stride 16, one of half the sides for
    stride 8 (Lin et al. 2017, equation 1).
    """

    def __init__(
        self,
        size: int | tuple[int, int],
        strides: tuple[int, ...] = (1,),
        sampling_ratio: int = -1,
        aligned: bool = False,
    ) -> None:
        super().__init__()
        self.size = size
        self.strides = strides
        self.sampling_ratio = sampling_ratio
        self.aligned = aligned

    def forward(self, boxes: Tensor, *maps: Tensor) -> Tensor:
        samples = torch.arange(boxes.shape[0], device=boxes.device).to(boxes.dtype)
        rois = torch.cat([samples[:, None, None].expand(-1, boxes.shape[1], 1), boxes], 2)
        rois = rois.flatten(0, 1)
        parts = [
            roi_align(x, rois, self.size, 1 / stride, self.sampling_ratio, self.aligned)
            for x, stride in zip(maps, self.strides, strict=True)
        ]
        if len(parts) > 1:
            area = (rois[:, 3] - rois[:, 1]) * (rois[:, 4] - rois[:, 2])
            level = (4 + (area.sqrt() / 224).log2() + 1e-6).floor()
            first = math.log2(self.strides[0])
            level = (level.clamp(first, first + len(parts) - 1) - first)[:, None, None, None]
            parts = [part.where(level == k, part.new_zeros(())) for k, part in enumerate(parts)]
        return torch.unflatten(sum(parts[1:], parts[0]), 0, boxes.shape[:2])
