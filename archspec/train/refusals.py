"""What can be known to go wrong before the first step, each in a sentence.

Shapes and memory are the analysis's to tell: no batch goes through the network for it.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from archspec.analysis.rows import FLOAT
from archspec.text.faults import SpecError
from archspec.text.words import cut
from archspec.train.errors import TrainError
from archspec.train.groups import trained
from archspec.train.named import made
from archspec.units import size

if TYPE_CHECKING:
    from accelerate import Accelerator

    from archspec.network import Program
    from archspec.train.plan import Plan
    from archspec.train.sets import Sets

_ROOM = 0.9  # of the free memory: kernels want some beside what is predicted
_MOST = 256  # samples of an automatic batch: more learn no faster by themselves


def fits(program: Program, sets: Sets) -> Program:
    """The network at the size of the data, its weights the same. Raises TrainError."""
    wanted = program.graph.steps[0]
    given, shape = sets.facts.shape, wanted.outs[0].shape
    if not given or given == shape:
        return program
    message = f"inputs have shape {list(given)}; `{wanted.path}` is {list(shape)}"
    pictures = len(shape) == len(given) == 3
    help = f"`data: {{size: [{shape[1]}, {shape[2]}]}}` resizes them" if pictures else ""
    if len(given) != len(shape) or (len(given) == 3 and given[0] != shape[0]):
        help = (
            f"pictures have {shape[0]} channels there" if pictures else "bring them to that shape"
        )
        raise TrainError("E804", message, help)
    try:
        choice = replace(program.choice, inputs={**program.choice.inputs, wanted.path: given})
        other = type(program)(program.source, program.spec, choice)
    except SpecError as bad:
        raise TrainError("E804", f"{message}: {cut(bad.faults[0].message, 120)}", help) from None
    pairs = zip(program.graph.weights(), other.graph.weights(), strict=True)
    changed = [name for (name, ours, _), (_, theirs, _) in pairs if ours.shape != theirs.shape]
    if changed:
        raise TrainError("E804", f"{message}: the weights of `{changed[0]}` would be others", help)
    return other


@dataclass(frozen=True)
class Need:
    """What the steps of a plan hold, by the analysis: of each phase, at its fullest.

    `fixed` are weights, their average and what the optimizer remembers. At a place of the backward
    pass there are `kept` for each sample, and `gradients`: (kept, gradients).
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


def needs(program: Program, plan: Plan, free: Collection[str], on: Accelerator) -> list[Need]:
    """Of each phase. `free` are the parameters that may be trained.

    A phase keeps what autograd keeps behind its first trained weight, and gradients of what it
    trains; what optimizers remember of a phase before stays. Where several processes train, each
    holds the gradients once more, in the buckets that they are sent in.
    """
    sizes = {name: FLOAT * weight.size for name, weight, _ in program.graph.weights()}
    weights, each = program.analysis.totals.weight_bytes, _remembered(plan)
    half = 2 if plan.precision in ("bf16", "fp16") else 1
    seen: set[str] = set()
    found = []
    for k in range(len(plan.parts)):
        own = {name: sizes.get(name, 0) for name in trained(plan, k, free)}
        seen |= set(own)
        whole = sum(own.values())
        fixed = weights * (2 if plan.ema else 1) + whole * (on.num_processes > 1)
        fixed += round(each * sum(sizes.get(name, 0) for name in seen))
        always = whole if plan.accumulate > 1 else 0  # of the batches before
        places = {
            (held.kept // half, max(held.gradients, always))
            for held in program.analysis.training(own)
        }
        # an optimizer's own numbers in between: on a GPU of all at once, else of one at a time
        between = whole if on.device.type == "cuda" else 2 * max(own.values())
        places.add((0, whole + (between if plan.optimizer.name != "sgd" else 0)))
        found.append(Need(fixed, tuple(sorted(places))))
    return found


def _remembered(plan: Plan) -> float:
    """Numbers that the optimizer keeps of each that it trains: those after a step on a few."""
    value = torch.nn.Parameter(torch.zeros(16, 16))
    value.grad = torch.ones_like(value)
    optimizer = made(plan.optimizer, [value])
    optimizer.step()
    state = optimizer.state[value].values()
    numbers = sum(one.numel() for one in state if isinstance(one, torch.Tensor) and one.ndim)
    return numbers / value.numel()


def memory(needed: Sequence[Need], batch: int, free: int | None) -> None:
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
        memory(needed, 1, free)
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
