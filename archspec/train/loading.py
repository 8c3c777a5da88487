"""Samples → batches in an order, and with augmentation, that seed and epoch alone decide.

A run that goes on in the middle of an epoch must see what it would have seen. So the order is drawn
anew for each epoch from (seed, epoch), the numbers that augment a sample from (seed, epoch,
sample);
and the loader has a generator of its own: without, every `iter(DataLoader)` draws from torch's
global numbers, and each later dropout mask is another one.

    Order(10, batch=4, seed=0).batches(epoch=2)     [[7, 1, 4, 9], [0, 2, 8, 5], [3, 6]], always
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from accelerate.utils import send_to_device, slice_tensors
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, default_collate, get_worker_info

from archspec.train import augment
from archspec.train.errors import TrainError
from archspec.train.interrupts import leave_to_parent
from archspec.train.named import Called
from archspec.train.samples import Given, Samples
from archspec.train.window import Window

_PRIME = 1_000_003  # keeps the seeds of epochs, and of runs, apart
_MOST = 2**63 - 1
_WINDOW = -3  # numbers of a picture that its window takes: others than three of augmentation


def seeded(*parts: int) -> int:
    """One seed of several numbers."""
    found = 0
    for part in parts:
        found = (found * _PRIME + part + 1) % _MOST
    return found


@dataclass(frozen=True)
class Order:
    """Which samples make a batch; of several processes each takes its share of every batch."""

    samples: int
    batch: int
    seed: int
    shuffled: bool = True
    rank: int = 0
    world: int = 1

    def batches(self, epoch: int) -> list[list[int]]:
        """Of all processes together."""
        if self.shuffled:
            generator = torch.Generator().manual_seed(seeded(self.seed, epoch))
            order = torch.randperm(self.samples, generator=generator).tolist()
        else:
            order = list(range(self.samples))
        size = self.batch * self.world
        return [order[i : i + size] for i in range(0, self.samples, size)]

    def mine(self, batches: Sequence[list[int]]) -> list[list[int]]:
        """This process's share of each."""
        return [batch[self.rank :: self.world] for batch in batches]


@dataclass(frozen=True)
class Normal:
    """Numbers that inputs are normalised with, one a channel: (x - shift) / scale."""

    shift: tuple[float, ...]
    scale: tuple[float, ...]

    def __call__(self, x: Tensor) -> Tensor:
        shift, scale = self._numbers(x)
        return (x - shift) / scale

    def undone(self, x: Tensor) -> Tensor:
        """What was normalised, as it was before."""
        shift, scale = self._numbers(x)
        return x * scale + shift

    def _numbers(self, x: Tensor) -> tuple[Tensor, Tensor]:
        shape = [1, -1, *[1] * (x.ndim - 2)]
        made = [torch.tensor(one, device=x.device).view(shape) for one in (self.shift, self.scale)]
        return made[0], made[1]


@dataclass
class View(Dataset[Any]):
    """Samples as training sees them: some of them, augmented, normalised; a batch at a time."""

    samples: Samples
    chosen: Tensor  # which of them, by number
    normal: Normal | None = None
    augments: tuple[Called, ...] = ()
    seed: int = 0
    epoch: int = 0
    workers: int = 0  # processes that read
    window: Window | None = None  # what is cut out of each picture
    told_apart: int = 0  # classes that targets are of, where they are mixed
    roams: bool = False  # anywhere, as in training; else in the middle

    def __len__(self) -> int:
        return len(self.chosen)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        sample: tuple[Any, Any] = slice_tensors(self.__getitems__([index]), 0)
        return sample

    def __getitems__(self, indices: list[int]) -> Any:
        """A batch: x [N, …], y [N, …]; in a process that reads, what went wrong instead.

        DataLoader would make of an exception with a code a RuntimeError with a traceback.
        """
        try:
            return self._batch(indices)
        except TrainError as wrong:
            if get_worker_info() is None:
                raise
            return wrong

    def _batch(self, indices: list[int]) -> tuple[Any, Any]:
        numbers = self.chosen[torch.as_tensor(indices)].tolist()
        if isinstance(self.samples, Given):
            return self.samples.together(self._items(self.samples, numbers))
        x, y = self._read(indices) if not self.mixup else self._mixed(self.mixup, indices)
        return (x if self.normal is None else self.normal(x)), y

    @property
    def mixup(self) -> float:
        """The alpha of mixup; 0 where samples are not mixed."""
        return next((one.args["by"] for one in self.augments if one.name == "mixup"), 0.0)

    def _mixed(self, alpha: float, indices: list[int]) -> tuple[Tensor, Tensor]:
        """Each sample mixed with another, which (seed, epoch, sample) decide, and how much of it.

        So it does not depend on what else is in the batch, nor on who reads it.
        """
        import numpy

        others, shares = [], []
        for index in indices:
            drawn = numpy.random.default_rng([self.seed, self.epoch, index])
            others.append(int(drawn.integers(len(self))))
            shares.append(drawn.beta(alpha, alpha))
        x, y = self._read(indices + others)
        return augment.mixed(x, y, torch.tensor(shares), self.told_apart)

    def _read(self, indices: list[int]) -> tuple[Any, Any]:
        """A batch as it is stored, augmented."""
        x, y = self.samples.fetch(self.chosen[torch.as_tensor(indices)].tolist())
        x = x if self.window is None else self._seen_through(self.window, x, indices)
        return self._augmented(x, y, indices) if self.augments else (x, y)

    def _seen_through(self, window: Window, x: Tensor, indices: list[int]) -> Tensor:
        if not self.roams:
            return window.middle(x)
        return window.anywhere(x, self._numbers(_WINDOW)[torch.as_tensor(indices)])

    def _items(self, given: Given, numbers: list[int]) -> list[Any]:
        """Items of the caller's set, what is random in it decided."""
        items = []
        for number in numbers:
            with _decided(self.seed, self.epoch, number):
                items.append(given.dataset[number])
        return items

    def _augmented(self, x: Tensor, y: Any, indices: list[int]) -> tuple[Tensor, Any]:
        """Pictures, and what lies in them, by the names of targets."""
        seen = {**(y if isinstance(y, dict) else {self.samples.kind: y}), "x": x}
        own = [one for one in self.augments if one.name[:1].islower()]
        theirs = [one for one in self.augments if not one.name[:1].islower()]
        if own:
            numbers = self._numbers(augment.draws(own))[torch.as_tensor(indices)]
            seen = augment.apply(own, seen, numbers)
        if theirs:
            transform = augment.torchvision_pipeline(theirs)
            made = []
            for k, index in enumerate(indices):
                with _decided(self.seed, self.epoch, index):
                    made.append(transform({name: one[k] for name, one in seen.items()}))
            seen = default_collate(made)
        x = seen.pop("x")
        return x, seen if isinstance(y, dict) else seen[self.samples.kind]

    def _numbers(self, width: int) -> Tensor:
        """[samples, width] in [0, 1): those of this epoch, for every sample."""
        key = (self.seed, self.epoch)
        if getattr(self, "_key", None) != key:
            self._key, self._drawn = key, dict[int, Tensor]()
        if width not in self._drawn:
            generator = torch.Generator().manual_seed(seeded(*key, width))
            self._drawn[width] = torch.rand(len(self), abs(width), generator=generator)
        return self._drawn[width]

    def plain(self) -> View:
        """The same without augmentation."""
        return replace(self, augments=(), roams=False)


@contextmanager
def _decided(seed: int, epoch: int, index: int) -> Iterator[None]:
    """What is drawn inside is decided by (seed, epoch, sample), and outside nothing has changed."""
    import numpy

    states = random.getstate(), numpy.random.get_state()
    with torch.random.fork_rng(devices=[]):
        number = seeded(seed, epoch, index)
        torch.manual_seed(number)
        random.seed(number)
        numpy.random.seed(number % 2**32)
        try:
            yield
        finally:
            random.setstate(states[0])
            numpy.random.set_state(states[1])


def _whole(batch: Any) -> Any:
    """A batch is fetched as one: nothing is to be put together."""
    return batch


def load(view: View, batches: list[list[int]], epoch: int) -> Iterator[tuple[Any, Any]]:
    """The batches of an epoch; nothing of torch's numbers is drawn. Raises TrainError."""
    view.epoch = epoch
    loader = DataLoader(
        view,
        batch_sampler=batches,
        collate_fn=_whole,
        num_workers=view.workers,
        worker_init_fn=leave_to_parent,
        generator=torch.Generator().manual_seed(seeded(view.seed, epoch)),
        pin_memory=torch.cuda.is_available(),
    )
    for batch in loader:
        if isinstance(batch, TrainError):
            raise batch
        yield batch


def there(batch: Any, device: torch.device) -> tuple[Any, Any]:
    """A batch on a device."""
    moved: tuple[Any, Any] = send_to_device(tuple(batch), device, non_blocking=True)
    return moved
