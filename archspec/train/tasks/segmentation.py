"""A class for each pixel: logits [N, K, H, W], masks [N, H, W] → cross entropy, Dice, mean IoU.

A head of one channel tells one thing from the ground: its logit is that of class 1, that of class 0
is 0, so that the cross entropy of both is the binary one. Pixels of class 255 are left out of all.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn

from archspec.train.errors import TrainError
from archspec.train.losses import of_pixels
from archspec.train.named import Called, loss
from archspec.train.targets import IGNORED, MASK
from archspec.train.tasks.base import Move, Sums, Task, count, one_input

if TYPE_CHECKING:
    from archspec.network import Program
    from archspec.train.plan import Plan
    from archspec.train.sets import Sets

_BINARY = "binary_cross_entropy_with_logits"


class Segmentation(Task):
    """Which class each pixel is of."""

    name: ClassVar[str] = "segmentation"
    targets: ClassVar[str] = MASK
    known: ClassVar[tuple[str, ...]] = ("loss", "miou", "accuracy")
    monitor: ClassVar[str] = "val.miou"
    losses: ClassVar[tuple[str, ...]] = ("cross_entropy", "dice", "cross_entropy_dice", _BINARY)

    def __init__(self, plan: Plan, program: Program | None) -> None:
        super().__init__(plan, program)
        called = plan.loss or Called("cross_entropy", {})
        entropy = self.loss_name == "cross_entropy"
        if plan.label_smoothing and not entropy:
            said = f"`{self.loss_name}` knows no label smoothing"
            raise plan.fault("E805", said, "label_smoothing", help="`loss: cross_entropy` does")
        ignored = {"ignore_index": IGNORED} if entropy else {}
        smooth = {"label_smoothing": plan.label_smoothing} if plan.label_smoothing else {}
        self.measure = loss(Called(called.name, {**ignored, **called.args}))
        self.criterion = loss(Called(called.name, {**ignored, **called.args, **smooth}))

    def _each(self, criterion: Any, output: Tensor, y: Tensor) -> Tensor:
        """The loss of each sample, [N]."""
        if self.loss_name == _BINARY:
            found = criterion(output[:, 0], (y == 1).to(output), reduction="none")
        else:
            found = criterion(classes(output), y, reduction="none")
        return of_pixels(found, y) if found.ndim > 1 else found

    def moves(self, model: nn.Module, x: Any, y: Any) -> Iterator[Move]:
        output, _ = self.outputs(model(x))
        found = self._each(self.criterion, output, y).mean()
        yield Move(found, {**count(found, y), "confusion": confusion(output.detach(), y)})

    def score(self, model: nn.Module, x: Any, y: Any) -> Sums:
        output, _ = self.outputs(model(x))
        found = self._each(self.measure, output, y).mean()
        return {**count(found, y), "confusion": confusion(output, y)}

    def of_each(self, model: nn.Module, x: Any, y: Any) -> Tensor:
        output, _ = self.outputs(model(x))
        return self._each(self.measure, output, y)

    def figures(self, sums: Sums) -> dict[str, float]:
        matrix = sums["confusion"]
        found = iou(matrix)
        return {
            "loss": float(sums["loss"]) / max(int(sums["n"]), 1),
            "miou": float(found.nanmean()) if not bool(found.isnan().all()) else 0.0,
            "accuracy": int(matrix.diagonal().sum()) / max(int(matrix.sum()), 1),
        }

    def tables(self, sums: Sums) -> dict[str, Any]:
        matrix = sums["confusion"]
        each = [None if one != one else one for one in iou(matrix).tolist()]
        return {"confusion": matrix.tolist(), "by_class": {"iou": each}}

    def shares(self, found: Any) -> Tensor:
        output, _ = self.outputs(found)
        return classes(output).softmax(1)

    def answers(self, shares: Tensor, classes: tuple[str, ...], top: int) -> list[Any]:
        """How much of the picture each class takes, the largest first."""
        many = shares.shape[1]
        names = classes or tuple(map(str, range(many)))
        said = []
        for mask in shares.argmax(1):
            area = mask.flatten().bincount(minlength=many) / mask.numel()
            values, indices = area.sort(descending=True, stable=True)
            pairs = zip(indices.tolist(), values.tolist(), strict=True)
            said.append({names[i]: round(value, 6) for i, value in pairs if value})
        return said

    def as_targets(self, shares: Tensor) -> dict[str, Tensor]:
        return {"mask": shares.argmax(1)}

    # -------------------------------------------------------------- before the first step

    def refuse(self, sets: Sets) -> None:
        if self.program is None:
            return
        one_input(self.program)
        edge = self.program.graph.outputs[self.main][0]
        node = self.program.graph.steps[edge.node]
        shape = node.outs[edge.output].shape
        if node.op in ("softmax", "log_softmax", "sigmoid"):
            said = f"the losses of masks take logits; the network ends in `{node.path}`"
            raise TrainError("E805", said, f"take `{node.path}` out of the spec")
        if len(shape) != 3:
            said = f"the output `{self.main}` has shape {list(shape)}, not [classes, H, W]"
            raise TrainError("E804", said, "a class for each pixel needs a head that is a picture")
        self._fits(shape, sets)

    def _fits(self, shape: tuple[int, ...], sets: Sets) -> None:
        """Raises where masks are none, of another size, or of more classes than the head."""
        width = max(shape[0], 2)
        self.weighed(1 if self.loss_name == _BINARY else width, alone=self.loss_name == _BINARY)
        if self.loss_name == _BINARY and shape[0] != 1:
            said = f"`{_BINARY}` is for a head of one channel; `{self.main}` has {shape[0]}"
            raise TrainError("E805", said, "`loss: cross_entropy` is for several classes")
        _, y = sets.train.plain()[0]
        if not isinstance(y, Tensor) or y.ndim != 2 or y.is_floating_point():
            given = f"{list(y.shape)} of {y.dtype}" if isinstance(y, Tensor) else type(y).__name__
            said = f"a target is {given}, not a mask"
            raise TrainError("E804", said, "give y [N, H, W] of whole numbers: a class a pixel")
        if sets.facts.shape[1:] == self._input() and tuple(y.shape) != shape[1:]:
            said = f"masks are {list(y.shape)}, the output `{self.main}` is {list(shape[1:])}"
            raise TrainError("E804", said, "the network's last layers bring it to the input's size")
        many = len(sets.facts.classes)
        if many and many != width:
            said = f"the data have {many} classes, the head `{self.main}` tells {width} apart"
            raise TrainError("E804", said, f"--set classes={many}, if the spec has such a param")
        most = _largest(sets.train.samples.targets)
        if most >= width:
            said = f"the masks have a class {most}; the head `{self.main}` tells {width} apart"
            raise TrainError("E804", said, f"classes count from 0; {IGNORED} is ignored")

    def _input(self) -> tuple[int, ...]:
        assert self.program is not None
        return self.program.graph.steps[0].outs[0].shape[1:]


def _largest(masks: Any) -> int:
    """The largest class, where masks are known without reading."""
    if not isinstance(masks, Tensor):
        return 0
    here = masks[masks != IGNORED]
    return int(here.max()) if here.numel() else 0


def classes(output: Tensor) -> Tensor:
    """Logits of a class each; of a head of one channel those of its ground too, which are 0."""
    return output if output.shape[1] > 1 else torch.cat([torch.zeros_like(output), output], 1)


def confusion(output: Tensor, y: Tensor) -> Tensor:
    """How many pixels of each class, [K, .], are taken for which, [., K]."""
    every = classes(output)
    many = every.shape[1]
    # a place of their own for pixels that do not count: who leaves them out waits for the device
    pairs = (y * many + every.argmax(1)).where(y != IGNORED, many**2).flatten()
    found = pairs.new_zeros(many**2 + 1).index_add_(0, pairs, torch.ones_like(pairs))
    return found[:-1].view(many, many)


def iou(matrix: Tensor) -> Tensor:
    """Of each class: what is right over all that is it or is taken for it; nan where nothing is."""
    matrix = matrix.cpu().double()
    right = matrix.diagonal()
    return right / (matrix.sum(0) + matrix.sum(1) - right)
