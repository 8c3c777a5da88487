"""What can be known to go wrong before the first step, each in a sentence.

Shapes and memory are the analysis's to tell: no batch goes through the network for it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from archspec.text.faults import SpecError
from archspec.text.words import cut
from archspec.train.errors import TrainError
from archspec.train.inputs import inputs
from archspec.train.plan import ALL
from archspec.units import size

if TYPE_CHECKING:
    from archspec.network import Program
    from archspec.train.plan import Plan
    from archspec.train.sets import Sets

_ROOM = 0.9  # of the free memory: kernels want some beside what is predicted
_MOST = 256  # samples of an automatic batch: more learn no faster by themselves
_STATES = {"sgd": 0, "adam": 2, "adamw": 2}  # numbers an optimizer keeps of each that it trains


def fits(program: Program, sets: Sets) -> Program:
    """The network at the size of the data, its weights the same. Raises TrainError."""
    own, facts = inputs(program), sets.facts
    given = facts.inputs or ({own[0].name: facts.shape} if facts.shape else {})
    other = [one for one in own if one.name in given and given[one.name] != one.shape]
    if not other:
        return program
    wanted, shape = other[0], given[other[0].name]
    message = f"inputs have shape {list(shape)}; `{wanted.name}` is {list(wanted.shape)}"
    help = _help(wanted.shape, shape)
    if len(shape) != len(wanted.shape) or (len(shape) == 3 and shape[0] != wanted.shape[0]):
        raise TrainError("E804", message, help)
    try:
        choice = replace(program.choice, inputs={**program.choice.inputs, **given})
        sized = type(program)(program.source, program.spec, choice)
    except SpecError as bad:
        raise TrainError("E804", f"{message}: {cut(bad.faults[0].message, 120)}", help) from None
    pairs = zip(program.graph.weights(), sized.graph.weights(), strict=True)
    changed = [name for (name, ours, _), (_, theirs, _) in pairs if ours.shape != theirs.shape]
    if changed:
        raise TrainError("E804", f"{message}: the weights of `{changed[0]}` would be others", help)
    return sized


def _help(wanted: tuple[int, ...], given: tuple[int, ...]) -> str:
    """How inputs come to have the shape that is wanted."""
    pictures = len(wanted) == len(given) == 3
    if pictures and given[0] == wanted[0]:
        return f"`data: {{size: [{wanted[1]}, {wanted[2]}]}}` resizes them"
    return f"pictures have {wanted[0]} channels there" if pictures else "bring them to that shape"


def memory(programs: Sequence[Program], plan: Plan, batch: int, device: torch.device) -> None:
    """Raises TrainError where a batch needs more than is free."""
    need, free = _needed(programs, plan, batch), available(device)
    if free is None or need <= free:
        return
    largest = _largest(programs, plan, int(free * _ROOM))
    message = f"a batch of {batch:,} needs about {size(need)}; {size(free)} are free"
    help = f"`batch: {largest}` fits" if largest else "not one sample fits: take a smaller network"
    raise TrainError("E806", message, help)


def automatic(programs: Sequence[Program], plan: Plan, samples: int, device: torch.device) -> int:
    """The batch that fits, a power of two; at most an eighth of the samples."""
    free = available(device)
    most = max(1, min(_MOST, samples // 8))
    if free is not None:
        most = min(most, _largest(programs, plan, int(free * _ROOM)))
    if most < 1:
        memory(programs, plan, 1, device)
    return 1 << (max(most, 1).bit_length() - 1)


def _needed(programs: Sequence[Program], plan: Plan, batch: int) -> int:
    """Bytes of weights, gradients, the optimizer, and of what is kept for the backward pass.

    Where a phase trains everything; what is less is not told apart here.
    """
    totals = [program.analysis.totals for program in programs]
    weights = sum(one.weight_bytes for one in totals)
    states = _STATES.get(plan.optimizer.name, 1)
    if plan.optimizer.name == "sgd" and plan.optimizer.args.get("momentum"):
        states = 1
    fixed = weights + (1 + states) * sum(one.gradient_bytes for one in totals)
    fixed += weights if plan.ema else 0
    if not any(phase.train == ALL for phase in plan.parts):
        return weights
    half = plan.precision in ("bf16", "fp16")
    return fixed + batch * sum(one.saved_bytes for one in totals) // (2 if half else 1)


def _largest(programs: Sequence[Program], plan: Plan, free: int) -> int:
    """Samples of the largest batch that fits."""
    fixed = _needed(programs, plan, 0)
    one = max(1, _needed(programs, plan, 1) - fixed)
    return max(0, (free - fixed) // one)


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
