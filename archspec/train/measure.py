"""Network and samples → sums of metrics; and the statistics of norms, estimated anew."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from accelerate.utils import broadcast, convert_outputs_to_fp32, gather_object
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from archspec.train.loading import Order, View, load, there
from archspec.train.networks import parts
from archspec.train.tasks.base import ROWS

if TYPE_CHECKING:
    from accelerate import Accelerator

    from archspec.train.tasks import Sums, Task


def add(sums: Sums, more: Sums) -> None:
    """Adds what was counted of a batch; rows go below those that are there."""
    for key, value in more.items():
        if key not in sums:
            sums[key] = value.clone()
        elif key.startswith(ROWS):
            sums[key] = torch.cat([sums[key], value])
        else:
            sums[key] += value


def weightless(sums: Sums) -> Sums:
    """What is counted of no sample: the same keys, so that processes have the same to add up."""
    return {
        key: value[:0] if key.startswith(ROWS) else torch.zeros_like(value)
        for key, value in sums.items()
    }


@torch.no_grad()
def share_buffers(model: nn.Module) -> None:
    """Each process has statistics of its own batches: those of the first count."""
    for buffer in model.buffers():
        buffer.copy_(broadcast(buffer))


@torch.no_grad()
def score(task: Task, model: nn.Module, view: View, batch: int, on: Accelerator) -> Sums:
    """What a task counts of all samples, each once, over all processes."""
    order = Order(len(view), batch, 0, False, on.process_index, on.num_processes)
    model.eval()
    if on.num_processes > 1:
        share_buffers(model)
    sums: Sums = {}
    whole = order.batches(0)
    mine = order.mine(whole)
    # without a share of the last batch a process goes along: weights in parts are of all at once
    batches = [share or batch[:1] for share, batch in zip(mine, whole, strict=True)]
    with as_it_trains(model, on):
        for share, found in zip(mine, load(view, batches, 0), strict=True):
            counted = task.score(model, *there(found, on.device))
            add(sums, counted if share else weightless(counted))
    return reduced(sums, on)


@contextmanager
def as_it_trains(model: nn.Module, on: Accelerator) -> Iterator[None]:
    """Each network in the precision of the run, and what it gives in float32, for losses.

    In a run accelerate has made its forward so already; an average, or what a file holds, has not.
    """
    plain = [one for one in parts(model).values() if "forward" not in vars(one)]
    for one in plain:
        one.forward = convert_outputs_to_fp32(on.autocast()(one.forward))
    try:
        yield
    finally:
        for one in plain:
            del one.forward


def reduced(sums: Sums, on: Accelerator) -> Sums:
    """Of all processes together."""
    if on.num_processes == 1:
        return sums
    rows = {key: value for key, value in sums.items() if key.startswith(ROWS)}
    found: Sums = on.reduce({key: value for key, value in sums.items() if key not in rows})
    for key, value in rows.items():
        found[key] = torch.cat(gather_object([value.cpu()])).to(on.device)
    return found


@torch.no_grad()
def estimate(
    task: Task, model: nn.Module, view: View, batch: int, still: Collection[nn.Module]
) -> None:
    """Mean and variance of each batch norm, those in `still` left out, over all samples.

    All else runs in evaluation, so that what is estimated is what will be seen there: the plain
    mean over batches, as torch.optim.swa_utils.update_bn has it.
    """
    model.eval()
    kept = {id(one) for one in still}
    norms = [
        one for one in model.modules()
        if isinstance(one, _BatchNorm) and one.running_mean is not None and id(one) not in kept
    ]  # fmt: skip
    momenta = [one.momentum for one in norms]
    for one in norms:
        one.reset_running_stats()
        one.momentum = None
        one.train()
    order, device = Order(len(view), batch, 0, False), next(model.parameters()).device
    for found in load(view.plain(), order.batches(0), 0):
        task.passes(model, there(found, device)[0])
    for one, momentum in zip(norms, momenta, strict=True):
        one.momentum = momentum
