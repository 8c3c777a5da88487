"""Proposals and what is in them → boxes: detectors of two stages, as Faster R-CNN is.

The outputs have the names of `specs/faster_rcnn.yaml`: `objectness` and `deltas` of every anchor,
from which the network itself makes `proposals` with `scores`; and `class_logits` and
`box_regression` of each proposal, class 0 being that nothing is there. All of it is trained
together, no gradient flowing through where proposals are (Ren et al. 2015, arXiv 1506.01497,
section 3.2: approximate joint training).

There the losses are of anchors and proposals drawn at random, so that those with an object are not
too few. Here they are weighted as they would be drawn: the mean over all draws, without chance.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional

from archspec.module.detection import overlaps
from archspec.text.words import listed
from archspec.train import boxes
from archspec.train.errors import TrainError

if TYPE_CHECKING:
    from archspec.layers.detection import AnchorBoxes
    from archspec.network import Program

_OUTPUTS = ("class_logits", "box_regression", "proposals", "scores", "objectness", "deltas")
# of anchors: an object from this overlap on, none below the second; how many are drawn, and which
# share of them at most has an object (section 3.1.3 of the paper)
_OBJECT, _NOTHING, _ANCHORS, _HALF = 0.7, 0.3, 256, 0.5
# of proposals (Girshick 2015, arXiv 1504.08083, section 2.3), and what their deltas count
_RIGHT, _PROPOSALS, _QUARTER = 0.5, 512, 0.25
_SCALES = (10.0, 10.0, 5.0, 5.0)
_BETA = 1 / 9  # from where on the smooth L1 loss is straight


def is_two_stage(program: Program) -> bool:
    """Whether a network makes proposals."""
    return "proposals" in program.graph.outputs


class TwoStage:
    """The region proposals of a network, and the head that looks at them."""

    def __init__(self, program: Program) -> None:
        graph = program.graph
        missing = [name for name in _OUTPUTS if name not in graph.outputs]
        if missing:
            said = f"the network has `proposals`, but no output {listed(missing)}"
            raise TrainError("E804", said, "specs/faster_rcnn_tiny.yaml has them all")
        takers = {node.inputs[0]: node for node in graph.steps if node.op == "anchor_boxes"}
        strange = [edge for edge in graph.outputs["objectness"] if edge not in takers]
        if strange or len(graph.outputs["objectness"]) != len(graph.outputs["deltas"]):
            said = "the output `objectness` is not, one by one, what `anchor_boxes` takes"
            raise TrainError("E804", said, "name its inputs as the outputs, in the same order")
        self.levels: list[AnchorBoxes] = [
            takers[edge].layer for edge in graph.outputs["objectness"]  # type: ignore[misc]
        ]  # fmt: skip
        edge = graph.outputs["class_logits"][0]
        self.classes = graph.steps[edge.node].outs[edge.output].shape[-1] - 1

    def fits(self, classes: int) -> None:
        """Raises TrainError where the head is not for so many classes."""
        if classes and classes != self.classes:
            said = f"`class_logits` is {self.classes + 1} wide; the data have {classes} classes"
            help = f"make it {classes + 1} wide: class 0 is that there is nothing"
            raise TrainError("E804", said, help)

    def losses(self, found: Any, y: Any, sides: tuple[int, int]) -> Tensor:
        """Of each sample, [N]: of its anchors and of its proposals, where and what."""
        return self._of_anchors(found, y, sides) + self._of_proposals(found, y)

    def _of_anchors(self, found: Any, y: Any, sides: tuple[int, int]) -> Tensor:
        maps, moves = (_every(found[name]) for name in ("objectness", "deltas"))
        logits = torch.cat([one.float().permute(0, 2, 3, 1).flatten(1) for one in maps], 1)
        deltas = torch.cat([
            torch.unflatten(one.float(), 1, (-1, 4)).permute(0, 3, 4, 1, 2).flatten(1, 3)
            for one in moves
        ], 1)  # fmt: skip
        anchors = torch.cat([
            boxes.anchors(level.size, level.ratios, (one.shape[2], one.shape[3]), sides)
            for level, one in zip(self.levels, maps, strict=True)
        ]).to(logits)  # fmt: skip
        near = overlaps(anchors[None], y["boxes"])
        most, which = near.max(2)
        best = (near == near.amax(1, keepdim=True)) & (near > 0)  # so that each object has one
        positive = (most >= _OBJECT) | best.any(2)
        weights = drawn(positive, positive | (most < _NOTHING), _ANCHORS, _HALF)
        there = functional.binary_cross_entropy_with_logits(
            logits, positive.to(logits), reduction="none"
        )
        wanted = boxes.deltas(_picked(y["boxes"], which), anchors)
        return (weights * (there + positive * _smooth(deltas, wanted))).sum(1)

    def _of_proposals(self, found: Any, y: Any) -> Tensor:
        proposals, logits = found["proposals"].float(), found["class_logits"].float()
        most, which = overlaps(proposals, y["boxes"]).max(2)
        positive = most >= _RIGHT
        labels = torch.where(positive, y["labels"].gather(1, which) + 1, 0)
        weights = drawn(positive, found["scores"] > 0, _PROPOSALS, _QUARTER)
        kinds = functional.cross_entropy(logits.transpose(1, 2), labels, reduction="none")
        deltas = self._deltas(found)
        mine = labels.clamp(max=deltas.shape[2] - 1)  # of one for all classes that one
        deltas = deltas.gather(2, mine[..., None, None].expand(-1, -1, 1, 4))[:, :, 0]
        wanted = boxes.deltas(_picked(y["boxes"], which), proposals)
        wanted = wanted * wanted.new_tensor(_SCALES)
        return (weights * (kinds + positive * _smooth(deltas, wanted))).sum(1)

    def _deltas(self, found: Any) -> Tensor:
        """[N, R, classes + 1, 4], or one for all classes."""
        return torch.unflatten(found["box_regression"].float(), 2, (-1, 4))

    def found(self, found: Any, sides: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """Corners [N, R, classes or 1, 4] and scores [N, R, classes]."""
        deltas = self._deltas(found)
        deltas = deltas[:, :, 1:] if deltas.shape[2] > 1 else deltas
        scales = deltas.new_tensor(_SCALES)
        corners = boxes.moved(found["proposals"].float()[:, :, None], deltas / scales)
        shares = found["class_logits"].float().softmax(2)[..., 1:]
        return corners, shares * (found["scores"] > 0)[..., None]


def drawn(positive: Tensor, counted: Tensor, size: int, share: float) -> Tensor:
    """Weights [N, P] that sum to 1: how often each would be among `size` drawn at random.

    At most a `share` of them is positive; of the others, where they are too few, all are taken.
    """
    positive, negative = positive & counted, ~positive & counted
    many, others = positive.sum(1, keepdim=True), negative.sum(1, keepdim=True)
    right = many.clamp(max=int(size * share))
    wrong = others.minimum(size - right)
    weights = positive * (right / many.clamp(min=1)) + negative * (wrong / others.clamp(min=1))
    return weights / (right + wrong).clamp(min=1)


def _every(found: Any) -> list[Tensor]:
    """One map, or those of several levels."""
    return [found] if isinstance(found, Tensor) else list(found)


def _picked(corners: Tensor, which: Tensor) -> Tensor:
    """Of boxes [N, K, 4] those with the numbers [N, P]: [N, P, 4]."""
    return corners.gather(1, which[..., None].expand(-1, -1, 4))


def _smooth(deltas: Tensor, wanted: Tensor) -> Tensor:
    return functional.smooth_l1_loss(deltas, wanted, reduction="none", beta=_BETA).sum(-1)
