"""FasterRcnn: written by archspec from faster_rcnn.yaml."""

import math
from collections import OrderedDict

import torch
from torch import Tensor, nn
from torchvision.ops import nms, roi_align  # type: ignore[import-untyped]


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


class TopK(nn.Module):
    """The rows of [N, K, D] with the largest scores [N, K], best first."""

    def __init__(self, k: int) -> None:
        super().__init__()
        self.k = k

    def forward(self, x: Tensor, scores: Tensor) -> tuple[Tensor, Tensor]:
        scores, index = scores.topk(min(self.k, scores.shape[1]))
        return x[torch.arange(x.shape[0], device=x.device)[:, None], index], scores


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


class Bottleneck(nn.Module):
    """[in_channels, H, W] -> [out, H / stride, W / stride]."""

    def __init__(self, in_channels: int, width: int, stride: int = 1) -> None:
        super().__init__()
        out = 4 * width
        self.conv1 = nn.Conv2d(in_channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(width, width, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.relu2 = nn.ReLU()
        self.conv3 = nn.Conv2d(width, out, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out)
        self.downsample = (
            nn.Sequential(
                nn.Conv2d(in_channels, out, 1, stride=stride, bias=False), nn.BatchNorm2d(out)
            )
            if stride != 1 or in_channels != out
            else None
        )
        self.relu3 = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu1(self.bn1(self.conv1(x)))
        y = self.relu2(self.bn2(self.conv2(y)))
        bn3 = self.bn3(self.conv3(y))
        if self.downsample is not None:
            x = self.downsample(x)
        out: Tensor = self.relu3(bn3 + x)
        return out


class ResNet(nn.Module):
    """[C, H, W] -> [256, H / 4, W / 4], [512, H / 8, W / 8], [1024, H / 16, W / 16],
    [2048, H / 32, W / 32].
    """

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu1 = nn.ReLU()
        self.max_pool1 = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = nn.Sequential(Bottleneck(64, 64), *(Bottleneck(256, 64) for _ in range(2)))
        self.layer2 = nn.Sequential(
            Bottleneck(256, 128, stride=2), *(Bottleneck(512, 128) for _ in range(3))
        )
        self.layer3 = nn.Sequential(
            Bottleneck(512, 256, stride=2), *(Bottleneck(1024, 256) for _ in range(5))
        )
        self.layer4 = nn.Sequential(
            Bottleneck(1024, 512, stride=2), *(Bottleneck(2048, 512) for _ in range(2))
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        x = self.relu1(self.bn1(self.conv1(x)))
        x = self.max_pool1(x)
        c2 = self.layer1(x)
        c3 = self.layer2(c2)
        c4 = self.layer3(c3)
        c5 = self.layer4(c4)
        return c2, c3, c4, c5


class Pyramid(nn.Module):
    """[C, H, W], [C, H, W], [C, H, W], [C, H, W] -> [256, H, W], [256, H / 2, W / 2],
    [256, H / 4, W / 4], [256, H / 8, W / 8], [256, H', W'].
    """

    def __init__(
        self, in_channels: int, c3_channels: int, c4_channels: int, c5_channels: int
    ) -> None:
        super().__init__()
        self.inner_blocks = nn.ModuleList(
            [
                nn.Sequential(nn.Conv2d(in_channels, 256, 1)),
                nn.Sequential(nn.Conv2d(c3_channels, 256, 1)),
                nn.Sequential(nn.Conv2d(c4_channels, 256, 1)),
                nn.Sequential(nn.Conv2d(c5_channels, 256, 1)),
            ],
        )
        self.layer_blocks = nn.ModuleList(
            nn.Sequential(nn.Conv2d(256, 256, 3, padding=1)) for _ in range(4)
        )
        self.pool = nn.MaxPool2d(1, stride=2)

    def forward(
        self, c2: Tensor, c3: Tensor, c4: Tensor, c5: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        inner_blocks = self.inner_blocks[0](c2)
        x = self.inner_blocks[1](c3)
        y = self.inner_blocks[2](c4)
        z = self.inner_blocks[3](c5)
        y = y + nn.functional.interpolate(z, y.shape[2:], mode="nearest")
        x = x + nn.functional.interpolate(y, x.shape[2:], mode="nearest")
        layer_blocks = self.layer_blocks[0](
            inner_blocks + nn.functional.interpolate(x, inner_blocks.shape[2:], mode="nearest")
        )
        x = self.layer_blocks[1](x)
        y = self.layer_blocks[2](y)
        z = self.layer_blocks[3](z)
        pool = self.pool(z)
        return layer_blocks, x, y, z, pool


class Backbone(nn.Module):
    """[C, H, W] -> [256, H / 4, W / 4], [256, H / 8, W / 8], [256, H / 16, W / 16],
    [256, H / 32, W / 32], [256, H', W'].
    """

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.body = ResNet(in_channels)
        self.fpn = Pyramid(256, c3_channels=512, c4_channels=1024, c5_channels=2048)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        x, y, z, body_c5 = self.body(x)
        fpn_p2, fpn_p3, fpn_p4, fpn_p5, fpn_p6 = self.fpn(x, y, z, body_c5)
        return fpn_p2, fpn_p3, fpn_p4, fpn_p5, fpn_p6


class RPNHead(nn.Module):
    """[in_channels, H, W] -> [anchors, H, W], [4 * anchors, H, W]."""

    def __init__(self, in_channels: int, anchors: int) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            nn.Sequential(nn.Conv2d(in_channels, in_channels, 3, padding=1), nn.ReLU())
        )
        self.cls_logits = nn.Conv2d(in_channels, anchors, 1)
        self.bbox_pred = nn.Conv2d(in_channels, 4 * anchors, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = self.conv(x)
        cls_logits = self.cls_logits(x)
        bbox_pred = self.bbox_pred(x)
        return cls_logits, bbox_pred


class Proposals(nn.Module):
    """[C, H, W], [C, H, W], [C, H, W] -> [C', 4], [C']."""

    def __init__(self, size: int, ratios: tuple[float, float, float], top: int) -> None:
        super().__init__()
        self.best = AnchorBoxes(size, ratios=ratios, top=top)
        self.kept = Nms(iou=0.7)

    def forward(self, objectness: Tensor, deltas: Tensor, image: Tensor) -> tuple[Tensor, Tensor]:
        x, y = self.best(objectness, deltas, image)
        kept_boxes, kept_scores = self.kept(x, y)
        return kept_boxes, kept_scores


class Rpn(nn.Module):
    """[C, H, W], [C, H, W], [C, H, W], [C, H, W], [C, H, W], [C, H, W] -> [C', 4], [C'], [3, H, W],
    [3, H / 2, W / 2], [3, H / 4, W / 4], [3, H / 8, W / 8], [3, H', W'], [12, H, W],
    [12, H / 2, W / 2], [12, H / 4, W / 4], [12, H / 8, W / 8], [12, H', W'].
    """

    def __init__(self, in_channels: int, proposals: int) -> None:
        super().__init__()
        self.head = RPNHead(in_channels, 3)
        self.level2 = Proposals(size=32, ratios=(0.5, 1.0, 2.0), top=proposals)
        self.level3 = Proposals(size=64, ratios=(0.5, 1.0, 2.0), top=proposals)
        self.level4 = Proposals(size=128, ratios=(0.5, 1.0, 2.0), top=proposals)
        self.level5 = Proposals(size=256, ratios=(0.5, 1.0, 2.0), top=proposals)
        self.level6 = Proposals(size=512, ratios=(0.5, 1.0, 2.0), top=proposals)
        self.proposals = TopK(proposals)

    def forward(
        self, x: Tensor, x1: Tensor, x2: Tensor, x3: Tensor, x4: Tensor, x5: Tensor
    ) -> tuple[Tensor, ...]:
        head_objectness, head_deltas = self.head(x)
        objectness, deltas = self.head(x1)
        x, y = self.head(x2)
        z, w = self.head(x3)
        v, u = self.head(x4)
        boxes, scores = self.level2(head_objectness, head_deltas, x5)
        boxes2, scores2 = self.level3(objectness, deltas, x5)
        boxes3, scores3 = self.level4(x, y, x5)
        boxes4, scores4 = self.level5(z, w, x5)
        boxes5, scores5 = self.level6(v, u, x5)
        proposals_x, proposals_scores = self.proposals(
            torch.cat([boxes, boxes2, boxes3, boxes4, boxes5], 1),
            torch.cat([scores, scores2, scores3, scores4, scores5], 1),
        )
        return (
            proposals_x,
            proposals_scores,
            head_objectness,
            objectness,
            x,
            z,
            v,
            head_deltas,
            deltas,
            y,
            w,
            u,
        )


class BoxPredictor(nn.Module):
    """[N, in_features] -> [N, classes], [N, 4 * classes]."""

    def __init__(self, in_features: int, classes: int) -> None:
        super().__init__()
        self.cls_score = nn.Linear(in_features, classes)
        self.bbox_pred = nn.Linear(in_features, 4 * classes)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        cls_score = self.cls_score(x)
        bbox_pred = self.bbox_pred(x)
        return cls_score, bbox_pred


class RoiHeads(nn.Module):
    """[C, L], [C, H, W], [C, H, W], [C, H, W], [C, H, W] -> [C, L'], [C, L']."""

    def __init__(self, classes: int, x1_channels: int) -> None:
        super().__init__()
        self.roi_align1 = RoiAlign(7, strides=(4, 8, 16, 32), sampling_ratio=2)
        self.box_head = nn.Sequential(
            OrderedDict(
                flatten1=nn.Flatten(2),
                fc6=nn.Linear(49 * x1_channels, 1024),
                relu1=nn.ReLU(),
                fc7=nn.Linear(1024, 1024),
                relu2=nn.ReLU(),
            ),
        )
        self.box_predictor = BoxPredictor(1024, classes=classes)

    def forward(
        self, x: Tensor, x1: Tensor, x2: Tensor, x3: Tensor, x4: Tensor
    ) -> tuple[Tensor, Tensor]:
        x = self.roi_align1(x, x1, x2, x3, x4)
        x = self.box_head(x)
        box_predictor, box_predictor1 = self.box_predictor(x)
        return box_predictor, box_predictor1


class FasterRcnn(nn.Module):
    """[3, H, W] -> [1000, 91], [1000, 364], [1000, 4], [1000], [3, H', W'], [3, H', W'],
    [3, H', W'], [3, H', W'], [3, H', W'], [12, H', W'], [12, H', W'], [12, H', W'],
    [12, H', W'], [12, H', W'].
    """

    def __init__(self, classes: int = 91, proposals: int = 1000) -> None:
        super().__init__()
        self.backbone = Backbone(3)
        self.rpn = Rpn(256, proposals=proposals)
        self.roi_heads = RoiHeads(classes=classes, x1_channels=256)

    def forward(self, x: Tensor) -> dict[str, Tensor | list[Tensor]]:
        y, z, backbone2, backbone3, backbone4 = self.backbone(x)
        rpn, rpn1, rpn2, rpn3, rpn4, rpn5, rpn6, rpn7, rpn8, rpn9, rpn10, rpn11 = self.rpn(
            y, z, backbone2, backbone3, backbone4, x
        )
        roi_heads, roi_heads1 = self.roi_heads(rpn, y, z, backbone2, backbone3)
        return {
            "class_logits": roi_heads,
            "box_regression": roi_heads1,
            "proposals": rpn,
            "scores": rpn1,
            "objectness": [rpn2, rpn3, rpn4, rpn5, rpn6],
            "deltas": [rpn7, rpn8, rpn9, rpn10, rpn11],
        }
