"""Boxes from maps and maps from boxes: anchors, suppression, RoI align → torchvision.ops.

The number of boxes is fixed, so that shapes are: where there are fewer, a score is 0 and the box is
no box.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from archspec.layers.base import WHOLE, Arg, Call, Kept, Layer, Mismatch, Reach, TensorType, unread
from archspec.layers.fields import (
    Axis,
    Flag,
    Number,
    PerAxis,
    Positive,
    Probability,
    Size,
    Sizes,
    up_to,
)
from archspec.layers.window import expect_dtype, expect_map, spread

_RATIOS = (0.5, 1.0, 2.0)


class Boxes(Layer):
    """What ops on boxes have in common: every box may come from anywhere."""

    family = "detection"
    whole = slice(None)


def expect_boxes(op: str, boxes: TensorType, scores: TensorType | None = None) -> None:
    """Raises Mismatch unless it is [K, 4], with scores of [K] where they are given."""
    expect_dtype(op, boxes)
    if boxes.rank != 2 or boxes.shape[1] != 4:
        raise Mismatch(f"`{op}` takes boxes [K, 4]; they are {boxes}", code="E302")
    if scores is not None and scores.shape != boxes.shape[:1]:
        message = f"`{op}` takes a score for each box; there are {boxes} boxes and {scores} scores"
        raise Mismatch(message, code="E203")


class GridPoints(Layer):
    """Where the cells of a map lie: x and y, in cells of the image, or of the map itself.

    Inputs are the map [C, H, W] and, if it is given, the image, whose size says how far cells are
    apart; of both only the size is read. The output is [2, H, W]. Boxes are read against it: the
    distances of their sides from it, or what moves and scales an anchor that stands there.
    """

    op = "grid_points"
    elsewhere = ("meshgrid", "anchorpoints", "priorpoints")
    target = "GridPoints"
    stops = True
    family = "detection"
    takes = ("map", "image?")
    examples = (
        ({}, ((5, 3, 4), (3, 12, 20))),
        ({"offset": 0}, ((1, 2, 2), (3, 8, 8))),
        ({}, ((5, 3, 4),)),
    )

    offset: Number = Field(0.5, description="place in the cell: 0.5 its middle, 0 left and top")

    def infer(self, map: TensorType, image: TensorType | None = None) -> tuple[TensorType, ...]:
        expect_map_of(self.op, map, map if image is None else image)
        return (map.like((2, *map.shape[1:]), map=True),)

    def reach(
        self, map: TensorType, image: TensorType | None = None
    ) -> tuple[tuple[Reach, ...], ...]:
        return (*unread(map), *unread(image))


def expect_map_of(op: str, map: TensorType, image: TensorType) -> None:
    """Raises Mismatch unless both are maps, and the image has as many cells or more."""
    for t in (map, image):
        expect_map(op, t, (2,))
    if any(n < m for n, m in zip(image.shape[1:], map.shape[1:], strict=True)):
        raise Mismatch(f"`{op}` takes a map of the image; it is {map}, of {image}", code="E203")


class AnchorBoxes(Boxes):
    """The best boxes of one map of a region proposal network (Ren et al. 2015).

    At every cell stands an anchor of each ratio (height / width), of area `size`². Inputs are the
    logits [ratios, H, W] that an anchor holds an object, what moves and scales it
    [4 · ratios, H, W], and the image, whose size says how far cells are apart and where boxes are
    cut off. Outputs `boxes` [K, 4] (left, top, right, bottom) and `scores` [K], best first, as
    torchvision's RegionProposalNetwork decodes them; no gradient flows through either.
    """

    op = "anchor_boxes"
    target = "AnchorBoxes"
    stops = True
    takes = ("objectness", "deltas", "image")
    gives = ("boxes", "scores")
    examples = (
        ({"size": 8}, ((3, 4, 5), (12, 4, 5), (1, 16, 20))),
        ({"size": 16, "ratios": [1, 2], "top": 7}, ((2, 4, 5), (8, 4, 5), (3, 8, 10))),
    )

    size: Positive = Field(description="side of a square anchor, in cells of the image")
    ratios: Annotated[tuple[Positive, ...], up_to(64)] = Field(
        _RATIOS, description="height / width of the anchors"
    )
    top: Size = Field(1000, description="boxes at most, those of the largest logits")

    def infer(
        self, objectness: TensorType, deltas: TensorType, image: TensorType
    ) -> tuple[TensorType, ...]:
        expect_map(self.op, deltas, (2,))
        expect_map_of(self.op, objectness, image)
        count = len(self.ratios)
        if objectness.shape[0] != count:
            raise Mismatch(
                f"`anchor_boxes` of {count} ratios takes {count} logits a cell; the input is "
                f"{objectness}",
                code="E305",
            )
        if deltas.shape != (4 * count, *objectness.shape[1:]):
            raise Mismatch(
                f"`anchor_boxes` takes 4 numbers for every logit; there are {objectness} logits "
                f"and {deltas} numbers",
                code="E203",
            )
        kept = min(self.top, objectness.size)
        return objectness.like((kept, 4), map=False), objectness.like((kept,), map=False)


class Nms(Boxes):
    """Non-maximum suppression: torchvision.ops.nms.

    A box that overlaps a better one by more than `iou` (intersection over union) becomes 0, as
    does its score; `boxes` [K, 4] and `scores` [K] keep their places.
    """

    op = "nms"
    target = "Nms"
    data_dependent = True
    by_place = False
    takes = ("boxes", "scores")
    gives = ("boxes", "scores")
    examples = (({}, ((6, 4), (6,))), ({"iou": 0.1}, ((9, 4), (9,))))

    iou: Probability = Field(0.5, description="overlap from which on a box is suppressed")

    def infer(self, boxes: TensorType, scores: TensorType) -> tuple[TensorType, ...]:
        expect_boxes(self.op, boxes, scores)
        return boxes, scores

    def keeps(self, boxes: TensorType, scores: TensorType) -> Kept:
        return Kept(bytes=scores.bytes)  # 1 or 0 for each


class RoiAlign(Boxes):
    """Boxes cut out of maps and brought to one size: torchvision.ops.roi_align.

    Inputs are boxes [K, 4] in cells of the image, and one map or more; with several, each twice as
    coarse as the one before, a box is cut out of the map that suits its size (Lin et al. 2017,
    equation 1), as in torchvision's MultiScaleRoIAlign. The output is [K, C, H, W].
    """

    op = "roi_align"
    target = "RoiAlign"
    takes = ("*",)
    examples = (
        ({"size": 3, "stride": 4, "sampling_ratio": 2}, ((5, 4), (2, 6, 7))),
        ({"size": [2, 3], "stride": [4, 8], "sampling_ratio": 1}, ((5, 4), (2, 6, 7), (2, 3, 4))),
    )

    size: PerAxis = Field(description="cells of the output")
    stride: Size | Sizes = Field(1, description="cells of the image to a cell of each map")
    sampling_ratio: Axis = Field(
        -1, description="points in a cell along an axis; -1: as many as it has of the map"
    )
    aligned: Flag = Field(False, description="boxes moved by half a cell")

    @property
    def strides(self) -> tuple[int, ...]:
        """The stride of each map."""
        return (self.stride,) if isinstance(self.stride, int) else self.stride

    def check(self) -> None:
        strides = self.strides
        doubling = tuple(strides[0] << k for k in range(len(strides)))
        if len(strides) > 1 and (strides[0].bit_count() > 1 or strides != doubling):
            why = "several are powers of 2, each twice the one before"
            raise self.bad("stride", why, code="E210")

    def infer(self, boxes: TensorType, *maps: TensorType) -> tuple[TensorType, ...]:
        expect_boxes(self.op, boxes)
        if len(maps) != len(self.strides):
            raise Mismatch(
                f"`roi_align` with {len(self.strides)} strides takes boxes and as many maps; it is "
                f"given {len(maps)}",
                code="E311",
            )
        for t in maps:
            expect_map(self.op, t, (2,))
            if t.shape[0] != maps[0].shape[0]:
                raise Mismatch(
                    f"`roi_align` takes maps of equally many channels; they are {maps[0]} and {t}",
                    code="E203",
                )
        size = spread(self.op, "size", self.size, maps[0])
        return (maps[0].like((boxes.shape[0], maps[0].shape[0], *size), map=True),)

    def reach(self, *ins: TensorType) -> tuple[tuple[Reach, ...], ...]:
        return ((Reach(0), WHOLE), *((Reach(1), WHOLE, WHOLE) for _ in ins[1:]))

    def flops(self, ins: tuple[TensorType, ...], outs: tuple[TensorType, ...]) -> int:
        points = max(self.sampling_ratio, 1) ** 2
        return 8 * points * len(self.strides) * outs[0].size

    def keeps(self, *ins: TensorType) -> Kept:
        return Kept(bytes=20 * ins[0].shape[0])  # sample and box

    def call(self, *ins: TensorType) -> Call:
        strides = Arg(self.strides, "strides", (1,))
        size, *others = self.args("size", "sampling_ratio", "aligned")
        return self.made((size, strides, *others), *ins)
