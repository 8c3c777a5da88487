"""Samples of classes → pairs and triplets: each sample with others that are drawn for it.

    pairs       (anchor, other)                  y 1: both of one class, or 0; half and half
    triplets    (anchor, positive, negative)     of the anchor's class, of another one

Who is drawn for a sample is decided by seed, epoch and sample, and in evaluation it is always the
same. So metrics do not change with how batches are cut, and a run that goes on sees what it would
have seen.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor

from archspec.train.errors import TrainError
from archspec.train.loading import View, seeded
from archspec.train.samples import Given
from archspec.train.targets import PAIRS, TRIPLETS

MANY = {PAIRS: 2, TRIPLETS: 3}  # samples that are looked at together, by kinds of targets
_SAME = 0.5  # share of pairs that are of one class


def companions(view: View, many: int, names: tuple[str, ...]) -> View:
    """A view whose samples are looked at together. Raises TrainError."""
    own = {one.name: getattr(view, one.name) for one in fields(view)}
    return Companions(**own, many=many, names=names)


@dataclass
class Companions(View):
    """Pairs, or triplets, of samples: x [N, 2 or 3, …], or by the names of two inputs."""

    many: int = 2
    names: tuple[str, ...] = ()  # of the network's inputs, where it reads a pair

    def __post_init__(self) -> None:
        classes = self.samples.targets
        if isinstance(self.samples, Given):  # as sets of torchvision have them
            classes = getattr(self.samples.dataset, "targets", None)
            classes = torch.tensor(classes) if isinstance(classes, list) else classes
        if not isinstance(classes, Tensor) or classes.ndim != 1:
            message = "the class of each sample is not known before it is read"
            help = "give a folder, tensors (x, y), or a Dataset whose `targets` are the classes"
            raise TrainError("E804", message, help)
        self.classes = classes[self.chosen]
        self.order = self.classes.argsort(stable=True)
        found, counts = torch.unique(self.classes, return_counts=True)
        if len(found) < 2:
            raise TrainError("E804", "all samples are of one class", "pairs are of two or more")
        of = torch.searchsorted(found, self.classes)
        self.count = counts[of]  # samples of the class of each
        self.first = (counts.cumsum(0) - counts)[of]  # where it begins in `order`
        self.rank = torch.empty_like(self.order)
        self.rank[self.order] = torch.arange(len(self.order))
        self.rank -= self.first

    def drawn(self) -> tuple[Tensor, Tensor, Tensor]:
        """Of each sample one of its class, one of another, and which of both a pair takes."""
        generator = torch.Generator().manual_seed(seeded(self.seed, self.epoch, self.many))
        numbers = torch.rand(3, len(self), generator=generator, dtype=torch.float64)
        alike = (self.rank + 1 + (numbers[0] * (self.count - 1)).long()) % self.count
        others = len(self) - self.count
        apart = (self.first + self.count + (numbers[1] * others).long()) % len(self)
        return self.order[self.first + alike], self.order[apart], numbers[2] < _SAME

    def _batch(self, indices: list[int]) -> tuple[Any, Any]:
        at = torch.as_tensor(indices)
        alike, apart, same = (found[at] for found in self.drawn())
        others = [torch.where(same, alike, apart)] if self.many == 2 else [alike, apart]
        seen = [View._batch(self, one.tolist())[0] for one in (at, *others)]
        x = dict(zip(self.names, seen, strict=True)) if self.names else torch.stack(seen, 1)
        if self.many == 2:
            return x, same.float()
        return x, {"class": self.classes[at], "number": at, "of": torch.full_like(at, len(self))}
