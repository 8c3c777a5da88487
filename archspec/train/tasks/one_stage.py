"""Maps [A · (5 + classes), H, W] → boxes: detectors of one stage, as YOLO is.

At every cell of a map stand A anchors; for each there are 5 numbers and one a class:

    x, y     where in the cell the centre is, by a sigmoid
    w, h     by which power of e the anchor is wider and higher
    o        how likely there is an object, by a sigmoid; then each class, by a sigmoid of its own

An object is for one anchor alone, that of all maps whose shape fits it best, at the cell that its
centre is in (Redmon, Farhadi 2018, arXiv 1804.02767, section 2). Others that overlap an object
well are left alone; the rest has to say that nothing is there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from archspec.module.detection import overlaps
from archspec.train import boxes
from archspec.train.errors import TrainError
from archspec.train.targets import NO_BOX

_BOX, _NOTHING = 5.0, 0.5  # weights of the losses (Redmon et al. 2016, arXiv 1506.02640, eq. 3)
_LEFT_ALONE = 0.5  # intersection over union from which on an anchor without an object may be right
_NUMBERS = 5  # of an anchor, before the classes


class OneStage:
    """What all maps of a network say together; anchors of the finest map come first."""

    def __init__(self, shapes: Mapping[str, tuple[int, ...]], count: int) -> None:
        """`shapes`: of the outputs by name; `count`: anchors of each. Raises TrainError."""
        self.shapes, self.count = dict(shapes), count
        for name, shape in shapes.items():
            if len(shape) != 3 or shape[0] % count or shape[0] <= count * _NUMBERS:
                said = f"the output `{name}` is {list(shape)}, not {count} anchors × (5 + classes)"
                help = "[channels, height, width], for example `conv: $(anchors * (5 + classes))`;"
                help += " `task: {detection: {anchors: …}}` says how many a map has"
                raise TrainError("E804", said, help)
        self.names = sorted(shapes, key=lambda name: -shapes[name][1] * shapes[name][2])
        channels = {shape[0] for shape in shapes.values()}
        if len(channels) > 1:
            said = f"the maps have {' and '.join(map(str, sorted(channels)))} channels"
            raise TrainError("E804", said, "all have as many anchors, and the same classes")
        self.classes = channels.pop() // count - _NUMBERS
        self.anchors = torch.zeros(0, 2)  # of all maps, widths and heights

    def fits(self, classes: int) -> None:
        """Raises TrainError where the maps are not for so many classes."""
        if classes and classes != self.classes:
            name, wanted = self.names[0], self.count * (_NUMBERS + classes)
            said = f"the output `{name}` has {self.shapes[name][0]} channels; {self.count} anchors"
            help = f"make the head for {classes} classes, or name other data"
            raise TrainError("E804", f"{said} × (5 + {classes} classes) are {wanted}", help)

    def _maps(self, found: Any) -> list[Tensor]:
        """[N, A, H, W, 5 + classes] of each."""
        named = {self.names[0]: found} if isinstance(found, Tensor) else found
        return [
            torch.unflatten(named[name].float(), 1, (self.count, -1)).permute(0, 1, 3, 4, 2)
            for name in self.names
        ]

    def _decoded(self, maps: list[Tensor], sides: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """Of all anchors of all maps the corners [N, P, 4], and logits [N, P, 1 + classes]."""
        corners, logits = [], []
        for one, shapes in zip(
            maps, torch.split(self.anchors.to(maps[0]), self.count), strict=True
        ):
            rows, columns = one.shape[2:4]
            stride = one.new_tensor([sides[1] / columns, sides[0] / rows])
            axes = (torch.arange(n, device=one.device) for n in (rows, columns))
            y, x = torch.meshgrid(*axes, indexing="ij")
            move, grow = one[..., :2].sigmoid(), one[..., 2:4].clamp(max=boxes.LARGEST).exp()
            centre = (move + torch.stack([x, y], 2)) * stride
            found = boxes.corners(torch.cat([centre, grow * shapes[:, None, None]], -1))
            corners.append(found.flatten(1, 3))
            logits.append(one[..., 4:].flatten(1, 3))
        return torch.cat(corners, 1), torch.cat(logits, 1)

    def _places(self, maps: list[Tensor], objects: Tensor, sides: tuple[int, int]) -> Tensor:
        """Which of all anchors each of the objects [M, 4] is for."""
        centre, size = torch.split(boxes.centred(objects), 2, 1)
        shapes = self.anchors.to(objects)
        around = (torch.cat([-half, half], 1) for half in (size / 2, shapes / 2))
        best = overlaps(*around).argmax(1)
        level, anchor = best // self.count, best % self.count
        cells = torch.tensor([one.shape[2:4] for one in maps], device=objects.device)
        starts = (cells.prod(1) * self.count).cumsum(0) - cells.prod(1) * self.count
        rows, columns = cells[level].T
        column = (centre[:, 0] / sides[1] * columns).long().clamp(min=0).minimum(columns - 1)
        row = (centre[:, 1] / sides[0] * rows).long().clamp(min=0).minimum(rows - 1)
        places: Tensor = starts[level] + (anchor * rows + row) * columns + column
        return places

    def losses(self, found: Any, y: Any, sides: tuple[int, int]) -> Tensor:
        """Of each sample, [N]: of its boxes 1 - GIoU, of objects and classes cross entropies."""
        maps = self._maps(found)
        corners, logits = self._decoded(maps, sides)
        sample, k = (y["labels"] != NO_BOX).nonzero(as_tuple=True)
        objects, labels = y["boxes"][sample, k], y["labels"][sample, k]
        place = self._places(maps, objects, sides)
        mine = logits[sample, place]
        classes = functional.one_hot(labels, self.classes).to(logits)
        kinds = functional.binary_cross_entropy_with_logits(mine[:, 1:], classes, reduction="none")
        apart = _BOX * boxes.apart(corners[sample, place], objects)
        taken = torch.zeros_like(logits[..., 0])
        taken[sample, place] = 1
        near = overlaps(corners.detach(), y["boxes"]).amax(2)
        weight = torch.where(near > _LEFT_ALONE, 0.0, _NOTHING).where(taken == 0, 1.0)
        there = functional.binary_cross_entropy_with_logits(
            logits[..., 0], taken, weight, reduction="none"
        )
        return torch.index_add(there.sum(1), 0, sample, apart + kinds.sum(1))

    def found(self, found: Any, sides: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """Corners [N, P, 1, 4], the same for every class, and scores [N, P, classes]."""
        corners, logits = self._decoded(self._maps(found), sides)
        return corners[:, :, None], logits[..., :1].sigmoid() * logits[..., 1:].sigmoid()
