"""Specs of a size, and sizes → a GAN that was grown from the smallest to the largest.

    grow("progan_generator", "progan_discriminator", [8, 16, 32], "digits", folder="runs/grown")

    runs/grown/8, 16, 32        a run each; what is in the next from its beginning, by name:
                                layer1, layer2, grow_8, to_rgb_8, …; fresh there: grow_16, to_rgb_16

As Karras et al. 2018 (arXiv 1710.10196): small networks learn small pictures first; then both get a
layer for twice the side, which `alpha` fades in over the first part of their run (`fade` of the
task `gan`, its figure 2), so that what was learned is not lost at the switch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archspec import network, weights
from archspec.module import build
from archspec.train import reading, state
from archspec.train.errors import TrainError
from archspec.train.start import fit
from archspec.train.tasks.gan import ALPHA

if TYPE_CHECKING:
    from torch import Tensor, nn

    from archspec.train.plan import Plan
    from archspec.train.run import Run

Spec = str | Path | network.Program
FADE = 0.5  # of a run, where the plan says nothing


def grow(
    specs: tuple[Spec, Spec],
    data: Any,
    sizes: Sequence[int] | Mapping[int, Mapping[str, Any]],
    *,
    plan: str | Path | Plan | None = None,
    folder: str | Path,
    quiet: bool = False,
    **keys: Any,
) -> list[Run]:
    """Train a generator and a discriminator at one size after the other; the runs.

    `specs` are both, the generator first, with a param `size` and an input `alpha`; `sizes` may say
    keys of the plan for each: `{8: {"epochs": 10}, 16: {"epochs": 20}}`. Plan, keys and data are as
    in `fit`; pictures are brought to each size. `folder` gets a run for each; called again, what is
    finished stays and what was cut off goes on. Raises SpecError, TrainError.
    """
    wanted = sizes if isinstance(sizes, Mapping) else {size: {} for size in sizes}
    _rising(list(wanted))
    first = reading.given(plan, keys)
    runs: list[Run] = []
    before: list[dict[str, Tensor]] = []
    for size, more in wanted.items():
        both = [_at(one, size) for one in specs]
        for model, old in zip(both, before, strict=False):
            carry(model, old)
        place = Path(folder) / str(size)
        if state.pointed(place, state.LAST) is not None:
            runs.append(fit(both, data, resume=place, quiet=quiet))
        else:
            own = {**more, "task": _task(first, grown=bool(runs)), "log": _log(first, place)}
            runs.append(fit(both, data, plan=reading.given(first, own), quiet=quiet))
        before = [dict(model.state_dict()) for model in both]
    return runs


def carry(model: nn.Module, old: Mapping[str, Tensor]) -> weights.Report:
    """Gives a network what a smaller one has learned, by name; what is new stays as it was drawn.

    Raises WeightsError where a weight of the same name has another shape.
    """
    new = model.state_dict()
    tops = {name.partition(".")[0] for name in new.keys() ^ old.keys()}
    return weights.load(model, dict(old), "spec", allow=sorted(tops))


def _rising(sizes: Sequence[int]) -> None:
    doubled = all(big == 2 * small for small, big in pairwise(sizes))
    if not sizes or not doubled:
        message = (
            f"the sizes are {', '.join(map(str, sizes)) or 'none'}; each is twice the one before"
        )
        raise TrainError("E802", message, "for example [8, 16, 32]")


def _at(spec: Spec, size: int) -> nn.Module:
    """The network of a size. Raises TrainError where the spec has none, or fades nothing in."""
    program = network.program(spec)
    lacks = [] if "size" in program.spec.params else ["the param `size`"]
    lacks += [] if ALPHA in program.spec.inputs else [f"the input `{ALPHA}`"]
    if lacks:
        message = f"`{program.name}` cannot be grown: it lacks {' and '.join(lacks)}"
        raise TrainError("E802", message, "`progan_generator` and `progan_discriminator` have both")
    return build(program.with_(size=size))


def _task(plan: Plan, *, grown: bool) -> dict[str, Any]:
    """The smallest networks have nothing to fade in."""
    if plan.task is not None and plan.task.name != "gan":
        said = f"`{plan.task.name}` does not grow; `gan` does"
        raise plan.fault("E802", said, "task", help="`task: {gan: {fade: 0.5}}`")
    args = plan.task.args if plan.task is not None else {}
    return {"gan": {**args, "fade": args.get("fade", FADE) if grown else 0}}


def _log(plan: Plan, place: Path) -> dict[str, Any]:
    """The plan's, in a folder of this size."""
    log = (plan.source.data or {}).get("log")
    return {**(log if isinstance(log, dict) else {}), "folder": str(place)}
