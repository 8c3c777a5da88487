"""Plan, analysis → the bytes that a step holds, phase by phase; and the batch that fits.

    resnet50, AdamW, all trained           fixed 292 MiB, and 87 MiB a sample on the way
    the same, `train: [fc]`                fixed 113 MiB, and  9 MiB a sample

Nothing goes through the network for it. `benchmarks/memory.py` compares with what torch holds.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from archspec.analysis.memory import FLOAT
from archspec.train.errors import TrainError
from archspec.train.groups import stage, trained
from archspec.train.named import made
from archspec.units import size

if TYPE_CHECKING:
    from accelerate import Accelerator

    from archspec.network import Program
    from archspec.train.plan import Plan

_ROOM = 0.9  # of the free memory: kernels want some beside what is predicted
_BESIDE = 100 << 20  # bytes that CUDA's libraries take for their work: seen on an H100
_MOST = 256  # samples of an automatic batch: more learn no faster by themselves


@dataclass(frozen=True)
class Need:
    """What the steps of a plan hold, by the analysis: of each phase, at its fullest.

    `fixed` are weights, their average and what the optimizer remembers. At each place of a step
    there are bytes for each sample beside, and gradients.
    """

    fixed: int
    places: tuple[tuple[int, int], ...]

    def bytes(self, batch: int) -> int:
        return self.fixed + max((batch * kept + made for kept, made in self.places), default=0)

    def largest(self, free: int) -> int:
        """Samples of the largest batch that fits."""
        left = [free - self.fixed - made for _, made in self.places]
        if min([*left, free - self.fixed]) < 0:
            return 0
        fits = [room // kept for room, (kept, _) in zip(left, self.places, strict=True) if kept]
        return min(fits, default=_MOST)


def needs(
    programs: Mapping[str, Program], plan: Plan, free: Collection[str], on: Accelerator
) -> list[Need]:
    """Of each phase. `programs` are by the names of their networks, `free` what may be trained.

    A phase keeps what autograd keeps behind the first weight that it trains, and gradients of what
    it trains; what optimizers remember of a phase before stays. Where several processes train, each
    holds the gradients once more, in the buckets that they are sent in; where weights are divided,
    its part of all, and a stage with its gradients whole.
    """
    graphs = {f"{name}." if name else "": program.graph for name, program in programs.items()}
    sizes = {
        head + name: FLOAT * weight.size
        for head, graph in graphs.items()
        for name, weight, _ in graph.weights()
    }
    weights = sum(program.analysis.totals.weight_bytes for program in programs.values())
    each, copies = _remembered(plan), 2 if plan.ema else 1
    half = on.mixed_precision != "no"
    cast = _cast(programs) if half else 0
    beside = _BESIDE if on.device.type == "cuda" else 0
    seen: set[str] = set()
    found = []
    for k in range(len(plan.parts)):
        own = {name: sizes.get(name, 0) for name in trained(plan, k, free)}
        seen |= set(own)
        whole = sum(own.values())
        fixed = weights * copies + cast + beside
        fixed += round(each * sum(sizes.get(name, 0) for name in seen))
        # an optimizer's own numbers in between: on a GPU of all at once, else of one at a time
        between = whole if on.device.type == "cuda" else 2 * max(own.values())
        step = (0, whole + (between if plan.optimizer.name != "sgd" else 0))
        need = Need(fixed, (*_places(programs, plan, own, half=half), step))
        found.append(_of_each(need, plan, on.num_processes, sizes, whole))
    return found


def _of_each(
    need: Need, plan: Plan, processes: int, sizes: Mapping[str, int], gradients: int
) -> Need:
    """What one of several processes holds."""
    if processes == 1 or plan.sharding == "none":
        return replace(need, fixed=need.fixed + gradients * (processes > 1))
    stages = Counter[str]()
    for name, bytes in sizes.items():
        stages[stage(name)] += bytes
    fixed = need.fixed // processes + 2 * max(stages.values())
    return Need(fixed, tuple((kept, made // processes) for kept, made in need.places))


def _places(
    programs: Mapping[str, Program], plan: Plan, own: Mapping[str, int], *, half: bool
) -> set[tuple[int, int]]:
    """What is held on the way through the networks, all of whose passes are taken together."""
    before = sum(own.values()) if plan.accumulate > 1 else 0  # gradients of the batches before
    ways = []
    for name, program in programs.items():
        head = f"{name}." if name else ""
        names = {one.removeprefix(head) for one in own if one.startswith(head)}
        ways.append(program.analysis.training(names, half=half))
    kept = sum(max(held.kept for held in way) for way in ways)
    found = set()
    for way in ways:
        beside = kept - max(held.kept for held in way)
        for held in way:
            found.add((held.kept + beside, max(held.gradients, before)))
    return found


def _cast(programs: Mapping[str, Program]) -> int:
    """Bytes of the weights that products keep in half precision: backward wants all but biases."""
    return sum(
        FLOAT * weight.size // 2
        for program in programs.values()
        for _, weight, node in program.graph.weights()
        if len(weight.shape) > 1 and node.layer is not None and node.layer.autocast == "half"
    )


def _remembered(plan: Plan) -> float:
    """Numbers that the optimizer keeps of each that it trains: those after a step on a few."""
    value = torch.nn.Parameter(torch.zeros(16, 16))
    value.grad = torch.ones_like(value)
    optimizer = made(plan.optimizer, [value])
    optimizer.step()
    state = optimizer.state[value].values()
    numbers = sum(one.numel() for one in state if isinstance(one, torch.Tensor) and one.ndim)
    return numbers / value.numel()


def refuse(needed: Sequence[Need], batch: int, free: int | None) -> None:
    """Raises TrainError where a batch needs more than is free."""
    need = max(one.bytes(batch) for one in needed)
    if free is None or need <= free:
        return
    most = min(one.largest(int(free * _ROOM)) for one in needed)
    message = f"a batch of {batch:,} needs about {size(need)}; {size(free)} are free"
    help = f"`batch: {most}` fits" if most else "not one sample fits: take a smaller network"
    raise TrainError("E806", message, help)


def automatic(needed: Sequence[Need], samples: int, free: int | None) -> int:
    """The batch that fits, a power of two; at most an eighth of the samples."""
    most = max(1, min(_MOST, samples // 8))
    if free is not None:
        most = min(most, *(one.largest(int(free * _ROOM)) for one in needed))
    if most < 1:
        refuse(needed, 1, free)
    return 1 << (max(most, 1).bit_length() - 1)


def available(device: torch.device) -> int | None:
    """Free bytes of a device; None where nothing tells."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    if device.type == "cpu":
        try:
            with open("/proc/meminfo") as file:  # noqa: PTH123
                lines = dict(line.split(":", 1) for line in file)
            return int(lines["MemAvailable"].split()[0]) * 1024
        except (OSError, KeyError, ValueError):
            pages = getattr(os, "sysconf_names", {}).get("SC_AVPHYS_PAGES")
            return None if pages is None else os.sysconf(pages) * os.sysconf("SC_PAGE_SIZE")
    return None
