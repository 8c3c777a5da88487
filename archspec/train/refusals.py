"""What can be known to go wrong before the first step, each in a sentence.

Shapes are the analysis's to tell: no batch goes through the network for it.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from archspec.text.faults import SpecError
from archspec.text.words import cut
from archspec.train import groups, named, networks
from archspec.train.errors import TrainError
from archspec.train.inputs import inputs

if TYPE_CHECKING:
    from torch import nn

    from archspec.network import Program
    from archspec.train.groups import Group
    from archspec.train.plan import Plan
    from archspec.train.sets import Sets


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
    if pictures and given[2] == wanted[0]:
        return "channels come first: `x.transpose(0, 3, 1, 2)`, or `permute` of a tensor"
    return f"pictures have {wanted[0]} channels there" if pictures else "bring them to that shape"


def optimizer(plan: Plan, made: Iterable[Group], model: nn.Module) -> None:
    """Raises SpecError where the optimizer does not take what a phase trains: `muon` no biases."""
    entries = groups.optimizer_groups(made, dict(model.named_parameters()), decay=False)
    try:
        named.made(plan.optimizer, entries)
    except (ValueError, TypeError, RuntimeError) as bad:
        said = f"torch's `{plan.optimizer.name}` refuses these weights: {cut(str(bad), 120)}"
        help = "`train` in a phase names fewer, or take `adamw`"
        raise plan.fault("E801", said, "optimizer", help=help) from None


@dataclass(frozen=True)
class Last:
    """The batches of an epoch, of which the last may be smaller; each is shared by processes."""

    samples: int
    batch: int
    processes: int = 1

    @property
    def lone(self) -> bool:
        """Whether a process is to learn from one sample by itself."""
        rest = self.samples % (self.batch * self.processes)
        return self.batch == 1 or 0 < rest < 2 * self.processes

    def updates(self, accumulate: int) -> int:
        """Of an epoch, each of so many batches."""
        return math.ceil(math.ceil(self.samples / (self.batch * self.processes)) / accumulate)

    @property
    def help(self) -> str:
        """The nearest batch that leaves no sample alone."""
        near = sorted(range(2, self.samples + 1), key=lambda size: abs(size - self.batch))
        found = next((size for size in near if not replace(self, batch=size).lone), None)
        return "give more samples" if found is None else f"for example `batch: {found}`"


def warmup(plan: Plan, last: Last) -> None:
    """Raises SpecError for a phase that ends before its rate is reached."""
    for k, phase in enumerate(plan.parts):
        place = ("phases", k, "schedule") if phase.schedule is not None else ("schedule",)
        steps = last.updates(plan.accumulate) * (phase.epochs or plan.epochs)
        needed = (phase.schedule or plan.schedule).warmup
        if needed > steps:
            said = f"`warmup` takes {needed:,g} steps, and there are {steps:,} in all"
            help = "fewer, or below 1 a share of all: `warmup: 0.05`"
            raise plan.fault("E802", said, *place, help=help)


def lone(
    plan: Plan,
    model: nn.Module,
    programs: Mapping[str, Program],
    last: Last,
    trained: Collection[str],
) -> None:
    """Raises SpecError where a batch norm is left with one number a channel, and no variance.

    So it is with one sample in a batch, where it stands behind `linear` or on a map of one cell.
    """
    if not last.lone:
        return
    each = last.batch == 1 or last.samples == 1
    which = "each sample" if each else f"the last of {last.samples} samples"
    still = groups.frozen_norms(model, trained) if plan.frozen_norm == "eval" else []
    for name, part in networks.parts(model).items():
        modules = {path: one for path, one in part.named_modules() if one not in still}
        for node in programs[name].graph.steps if name in programs else ():
            if node.lone and node.path in modules:
                said = f"`{node.path}` takes statistics over a batch, and {which} is one by itself"
                raise plan.fault("E802", said, "batch", help=last.help)
