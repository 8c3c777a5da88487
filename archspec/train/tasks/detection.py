"""Pictures → any number of boxes, each with a class: detectors of one stage and of two.

    task: detection                                       YOLO-like, anchors by k-means
    task: {detection: {anchors: [[10, 13], [33, 23]]}}    widths and heights, in pixels
    task: {detection: {iou: 0.4, score: 0.1}}             which boxes are kept

Which it is, follows from the outputs: a network with `proposals` has two stages (`two_stage`), else
every output is a map [anchors · (5 + classes), H, W] (`one_stage`). What is found is ranked by mean
average precision (`precision`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from archspec.train import boxes, truth
from archspec.train.errors import TrainError
from archspec.train.precision import MOST, THRESHOLDS, average_precision, matched
from archspec.train.targets import BOXES, NO_BOX
from archspec.train.tasks.base import ROWS, Move, Sums, Task, count, one_input
from archspec.train.tasks.localisation import outputs
from archspec.train.tasks.one_stage import OneStage
from archspec.train.tasks.two_stage import TwoStage, is_two_stage

if TYPE_CHECKING:
    from archspec.network import Program
    from archspec.train.plan import Plan
    from archspec.train.samples import Wanted
    from archspec.train.sets import Facts, Sets

_ANCHORS = 3  # of a map, where the plan does not say
_IOU, _SCORE = 0.5, 0.05
_RANKED = 1000  # boxes of a picture that suppression looks at, the best
_SAID = 0.5  # score from which on a box is said to be there


class Detection(Task):
    """Some boxes, or none, for each sample."""

    name: ClassVar[str] = "detection"
    options: ClassVar[tuple[str, ...]] = ("anchors", "iou", "score")
    targets: ClassVar[str] = BOXES
    known: ClassVar[tuple[str, ...]] = ("loss", "map50", "map")
    monitor: ClassVar[str] = "val.map50"
    later: ClassVar[frozenset[str]] = frozenset({"map50", "map"})
    ensembles: ClassVar[bool] = False
    losses: ClassVar[tuple[str, ...]] = ()

    def __init__(self, plan: Plan, program: Program | None) -> None:
        super().__init__(plan, program)
        if program is None:
            message = "a detector that is no network of a spec does not say what its outputs are"
            raise TrainError("E804", message, "write it as a spec: `archspec new`")
        self.iou, self.least = self._share("iou", _IOU), self._share("score", _SCORE)
        self.head: OneStage | TwoStage
        if is_two_stage(program):
            if "anchors" in self.given:
                said = "the anchors of a detector of two stages are those of its `anchor_boxes`"
                raise plan.fault("E802", said, "task", self.name, "anchors", help="leave it out")
            self.head = TwoStage(program)
            self.by_heart = False  # what it learns are proposals, which move while it does
        else:
            shapes = outputs(program)
            self.head = OneStage(shapes, self._count(len(shapes)))
        self.sides = (1, 1)  # of a picture, until that is known

    def _share(self, name: str, default: float) -> float:
        value = self.given.get(name, default)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < 1:
            said = f"`{name}` is {value}; it is a number above 0 and below 1"
            raise self.plan.fault("E802", said, "task", self.name, name, help=f"{default}")
        return float(value)

    def _count(self, maps: int) -> int:
        """Anchors of a map."""
        given = self.given.get("anchors", _ANCHORS)
        if type(given) is int and given > 0:
            return given
        pairs = isinstance(given, list) and given and all(map(_is_pair, given))
        if not pairs or len(given) % maps:
            said = "`anchors` is how many each map has, or their widths and heights"
            help = f"for example 3, or [[10, 13], [33, 23]]: as many for each of {maps} maps"
            raise self.plan.fault("E802", said, "task", self.name, "anchors", help=help)
        return len(given) // maps

    def asks(self, wanted: Wanted) -> Wanted:
        return wanted._replace(classes=self.width)

    @property
    def width(self) -> int:
        """How many classes the head tells apart."""
        return self.head.classes

    # -------------------------------------------------------------- learning, measuring

    def moves(self, model: nn.Module, x: Any, y: Any) -> Iterator[Move]:
        found = self.of_each(model, x, y).mean()
        yield Move(found, count(found, y))

    def of_each(self, model: nn.Module, x: Any, y: Any) -> Tensor:
        return self.head.losses(model(x), _filled(y), (x.shape[2], x.shape[3]))

    def score(self, model: nn.Module, x: Any, y: Any) -> Sums:
        found, y, sides = model(x), _filled(y), (x.shape[2], x.shape[3])
        losses = self.head.losses(found, y, sides)
        labels = y["labels"][y["labels"] != NO_BOX]
        return {
            **count(losses.mean(), y),
            "boxes": torch.bincount(labels, minlength=self.width),
            ROWS: matched(self._kept(found, sides), y["boxes"], y["labels"]),
        }

    def _kept(self, found: Any, sides: tuple[int, int]) -> Tensor:
        """Rows [N, most, 6] of corners, score, class, the best first; class -1 fills up."""
        corners, scores = self.head.found(found, sides)
        ranked, places = scores.flatten(1).topk(min(_RANKED, scores[0].numel()))
        places, labels = places // self.width, places % self.width
        kept = []
        for one, score, place, label in zip(corners, ranked, places, labels, strict=True):
            box = boxes.clipped(one[place, label.clamp(max=one.shape[1] - 1)], *sides)
            row = torch.cat([box, score[:, None], label[:, None].to(box)], 1)
            good = (score >= self.least) & (box[:, 2:] > box[:, :2]).all(1)
            kept.append(boxes.best(row[good], self.iou, MOST))
        return boxes.below(kept)

    def figures(self, sums: Sums) -> dict[str, float]:
        found = {"loss": float(sums["loss"]) / max(int(sums["n"]), 1)}
        if ROWS not in sums:
            return found
        values = self._precision(sums).nanmean(1)
        return {**found, "map50": float(values[0]), "map": float(values.mean())}

    def _precision(self, sums: Sums) -> Tensor:
        values = average_precision(sums[ROWS], sums["boxes"])
        return values if bool(sums["boxes"].any()) else torch.zeros_like(values)

    def tables(self, sums: Sums) -> dict[str, Any]:
        """Average precision of each class, at every threshold; none of those without boxes."""
        values = self._precision(sums)
        return {"precision": {
            f"{least:.2f}": [None if value != value else round(value, 6) for value in row]
            for least, row in zip(THRESHOLDS, values.tolist(), strict=True)
        }}  # fmt: skip

    # -------------------------------------------------------------- what is said

    def know(self, facts: Facts) -> None:
        self.sides = (facts.shape[1], facts.shape[2])
        if isinstance(self.head, OneStage):
            self.head.anchors = torch.tensor(facts.anchors)

    def verdict(self, found: Any) -> Tensor:
        """Rows of each picture, [N, most, 6]."""
        return self._kept(found, self.sides)

    def answers(self, shares: Tensor, classes: tuple[str, ...], top: int) -> list[Any]:
        """The boxes of each picture that are likely there, the likeliest first."""
        return [
            [
                {"class": classes[int(label)] if classes else str(int(label)),
                 "score": round(score, 4), "box": [round(number, 1) for number in corners]}
                for *corners, score, label in rows.tolist() if label >= 0 and score >= _SAID
            ]
            for rows in shares
        ]  # fmt: skip

    def scaled(self, shares: Tensor, times: Tensor) -> Tensor:
        return torch.cat([shares[..., :4] * times, shares[..., 4:]], -1)

    def as_targets(self, shares: Tensor) -> dict[str, Tensor]:
        said = shares[..., 4] >= _SAID
        labels = torch.where(said, shares[..., 5], NO_BOX).long()
        return {"boxes": shares[..., :4], "labels": labels, "scores": shares[..., 4]}

    # -------------------------------------------------------------- before the first step

    def refuse(self, sets: Sets) -> None:
        assert self.program is not None
        one_input(self.program)
        self.head.fits(len(sets.facts.classes))
        truth.sound(sets, self.width)
        if isinstance(self.head, OneStage):
            sets.facts = replace(sets.facts, anchors=self._anchors(sets, len(self.head.names)))
        self.know(sets.facts)

    def _anchors(self, sets: Sets, maps: int) -> tuple[tuple[float, float], ...]:
        """Widths and heights, the plan's or found among the boxes; the smallest first."""
        given = self.given.get("anchors", _ANCHORS)
        if isinstance(given, list):
            pairs = sorted(given, key=lambda pair: pair[0] * pair[1])
            return tuple((float(width), float(height)) for width, height in pairs)
        sides = torch.cat([
            (corners[..., 2:] - corners[..., :2])[labels != NO_BOX]
            for _, corners, labels in truth.boxes(sets.train)
        ])  # fmt: skip
        if len(sides) < given * maps:
            said = f"{len(sides)} boxes are too few to find {given * maps} anchors among"
            help = "give more pictures, or `task: {detection: {anchors: [[width, height], …]}}`"
            raise TrainError("E803", said, help)
        found = boxes.clusters(sides, given * maps, self.plan.seed)
        return tuple((width, height) for width, height in found.tolist())


def _is_pair(one: Any) -> bool:
    """Width and height."""
    return (
        isinstance(one, list) and len(one) == 2
        and all(isinstance(n, (int, float)) and not isinstance(n, bool) and n > 0 for n in one)
    )  # fmt: skip


def _filled(y: Any) -> Any:
    """Room for one box at least, so that there is a best one everywhere."""
    if y["labels"].shape[1]:
        return y
    return {
        "boxes": functional.pad(y["boxes"], [0, 0, 0, 1]),
        "labels": functional.pad(y["labels"], [0, 1], value=NO_BOX),
    }
