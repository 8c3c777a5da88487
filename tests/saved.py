"""What autograd keeps for the backward pass of one sample more, as torch's own hooks see it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

FEW = 16  # samples: for fewer torch on one thread convolves 1x1 cells in another way
PAGES = 512  # so many that each part of oneDNN's workspace is whole pages


def kept(module: Any, run: Callable[[], Any]) -> int:
    """Bytes of all storages that are kept while it runs, weights and statistics left out."""
    own = {t.untyped_storage().data_ptr() for t in (*module.parameters(), *module.buffers())}
    found: dict[int, int] = {}
    alive = []

    def note(value: Tensor) -> Tensor:
        storage = value.untyped_storage()
        if storage.data_ptr() not in own:
            found[storage.data_ptr()] = storage.nbytes()
            alive.append(value)
        return value.detach()  # an op that keeps its output would hold itself

    with saved_tensors_hooks(note, lambda value: value):
        alive.append(run())
    alive.clear()  # what is kept knows `note`, which knows it: a circle that Python cannot see
    return sum(found.values())


def of_a_sample(module: Any, inputs: Callable[[int], list[Tensor]], few: int = FEW) -> float:
    """Bytes for a sample more; what is kept however many there are falls out.

    `few` is the number of samples that twice as many are held against.
    """
    module.train()
    less, more = (kept(module, partial(module, *inputs(n))) for n in (few, 2 * few))
    return (more - less) / few
