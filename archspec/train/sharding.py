"""A network → a copy whose weights are divided among processes (FSDP2), and whole weights again.

    two processes       conv1.weight [64, 3, 7, 7]  →  32 rows here, 32 there

Each stage of the spec is whole only while it runs: its gradients are divided as its weights are,
and so is what the optimizer remembers. By torch's own `fully_shard`: accelerate takes FSDP2 on GPUs
alone, and on CPUs wraps the network for plain data parallelism without a word.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from accelerate import Accelerator

    from archspec.train.plan import Plan


def refuse(plan: Plan, networks: int, on: Accelerator) -> None:
    """Raises SpecError for what does not go with divided weights."""
    if plan.sharding == "none":
        return
    wrong = {
        "there is one process": (on.num_processes == 1, "`--processes 2`, or leave it out"),
        "several networks": (networks > 1, "they train whole: leave it out"),
        "`ema`": (plan.ema is not None, "its average would be whole in each process"),
        "fp16": (plan.precision == "fp16", "`precision: bf16` needs no scaling of the loss"),
    }
    for what, (found, help) in wrong.items():
        if found:
            said = f"`{plan.sharding}` does not go with {what}"
            if what.startswith("there"):
                said = f"`{plan.sharding}` divides weights among processes; {what}"
            raise plan.fault("E802", said, "sharding", help=help)


def shard(model: nn.Module, stages: Iterable[str], on: Accelerator) -> nn.Module:
    """A copy in parts, each of the `stages` (paths) by itself; `model` stays whole where it is."""
    from torch.distributed.fsdp import fully_shard

    found, mesh = copy.deepcopy(model), _mesh(on.device.type, on.num_processes)
    modules = dict(found.named_modules())
    for path in dict.fromkeys(stages):
        part = modules.get(path)  # a parameter, or what only holds others, goes with the rest
        if part is not None and not isinstance(part, (nn.ModuleList, nn.ModuleDict)):
            fully_shard(part, mesh=mesh)
    fully_shard(found, mesh=mesh)
    return found


@cache
def _mesh(device: str, processes: int) -> Any:
    # torch.distributed.fsdp and .tensor take half a second to import: only who divides pays for it
    from torch.distributed.device_mesh import init_device_mesh

    return init_device_mesh(device, (processes,))


def whole(value: Any) -> Any:
    """A tensor that was in parts, where every process is asked at once; all else as it is."""
    return value.full_tensor() if hasattr(value, "full_tensor") else value


def divided(state: Mapping[str, Any], parameters: Mapping[str, Tensor]) -> dict[str, Any]:
    """What an optimizer remembers by name, in parts as the parameters are."""

    from torch.distributed.tensor import DTensor, distribute_tensor

    def part(value: Any, parameter: Tensor) -> Any:
        fits = isinstance(value, Tensor) and value.ndim and value.shape == parameter.shape
        if not fits or isinstance(value, DTensor) or not isinstance(parameter, DTensor):
            return value
        value = value.to(parameter.device)
        return distribute_tensor(value, parameter.device_mesh, parameter.placements)

    return {
        name: {key: part(value, parameters[name]) for key, value in entry.items()}
        for name, entry in state.items()
    }


@torch.no_grad()
def gather(network: nn.Module, model: nn.Module) -> None:
    """Puts the weights of `shard`'s copy into `model`, where every process does so at once."""
    own = model.state_dict()
    for name, there in network.state_dict().items():
        own[name].copy_(whole(there))


def remembered(state: Mapping[str, Any]) -> dict[str, Any]:
    """What an optimizer remembers by name, in whole tensors; every process is asked at once."""
    return {
        name: {key: whole(value) for key, value in entry.items()} for name, entry in state.items()
    }
