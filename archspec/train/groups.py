"""Phase, model → what trains, in groups for the optimizer: all by name.

    train: [fc, layer4], lr: {fc: 0.01, layer4: 0.001}
    →  Group("fc", lr=0.01, decays=True), Group("fc", lr=0.01, decays=False), Group("layer4", …), …

Names and never values or places: two norms are equal when they are fresh, so that a parameter found
by its value would be found in another layer. Each parameter that trains is in exactly one group;
that is asserted, at every phase and after every resume.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from archspec.text.words import did_you_mean
from archspec.train.errors import TrainError
from archspec.train.plan import ALL
from archspec.weights.names import under

if TYPE_CHECKING:
    from archspec.train.plan import Phase, Plan

_NORMS = (_NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm, nn.LocalResponseNorm)
Parameters = Mapping[str, nn.Parameter]


@dataclass(frozen=True)
class Group:
    """Parameters with one rate and one decay."""

    name: str  # the path that the rate is for, "" for all, and what it is multiplied by
    names: tuple[str, ...]
    scale: float  # of the rate
    lr: float
    decays: bool


def trained(
    plan: Plan, index: int, free: Collection[str], every: Collection[str] = ()
) -> list[str]:
    """The names of the parameters that a phase trains, of those that the spec leaves `free`.

    `every` are all that there are. Raises SpecError for a path that leads to none, and where
    nothing is left to train.
    """
    phase = plan.parts[index]
    place: tuple[str | int, ...] = ("phases", index, "train") if plan.phases else ()
    if phase.train == ALL:
        found = list(free)
    else:
        for k, path in enumerate(phase.train):
            if not any(under(name, (path,)) for name in free):
                said = f"nothing below `{path}` can be trained"
                help = did_you_mean(path, _paths(free))
                if any(under(name, (path,)) for name in every):
                    said = f"`{path}` cannot be trained: the spec freezes it"
                    help = "take it out of `freeze` there, or out of the phase"
                raise plan.fault("E802", said, *place, k, help=help)
        found = [name for name in free if under(name, phase.train)]
    if not found:
        said, help = "the network has no weights to train", "for example `linear` has some"
        if every or index:
            said = "nothing is left to train: all is frozen"
            help = "take `freeze` out of the spec for what is to learn"
        raise plan.fault("E802", said, *place, help=help)
    return found


def _paths(names: Iterable[str]) -> list[str]:
    """All paths above names, the shortest first."""
    found = {
        ".".join(parts[: k + 1]): None
        for name in names
        if (parts := name.split("."))
        for k in range(len(parts) - 1)
    }
    return sorted(found, key=lambda path: path.count("."))


def groups(plan: Plan, index: int, model: nn.Module, names: Collection[str]) -> list[Group]:
    """The groups of a phase. Raises SpecError for a rate of what is not trained."""
    phase = plan.parts[index]
    rates, base = _rates(plan, index, names), plan.optimizer.args.get("lr")
    steady = _no_decay(model) if plan.decay == "weights" else frozenset()
    scales = _scales(phase, list(names))
    members: dict[tuple[str, float, float, bool], list[str]] = {}
    for name in names:
        path = max((p for p in rates if p == "" or under(name, (p,))), key=len, default=None)
        lr = rates[path] if path is not None else base
        key = (path or "", scales[name], -1.0 if lr is None else float(lr), name not in steady)
        members.setdefault(key, []).append(name)
    made = [
        Group(path + (f" ×{scale:.3g}" if scale != 1 else ""), tuple(inside), scale, lr, decays)
        for (path, scale, lr, decays), inside in members.items()
    ]
    _assert_partition(names, made)
    return made


def _rates(plan: Plan, index: int, names: Collection[str]) -> dict[str, float]:
    """Rate by path; "" is for all."""
    lr: Any = plan.parts[index].lr
    if lr is None:
        return {}
    if not isinstance(lr, dict):
        return {"": lr}
    for path in lr:
        if not any(under(name, (path,)) for name in names):
            said = f"`{path}` has a rate, but nothing below it is trained here"
            help = did_you_mean(path, _paths(names))
            raise plan.fault("E802", said, "phases", index, "lr", path, help=help)
    return dict(lr)


def _scales(phase: Phase, names: list[str]) -> dict[str, float]:
    """By name, what its rate is multiplied by: `layer_decay` for each stage behind the last.

    A stage is an item of the spec's body, or a copy of it: `conv1`, `layer1.0`, `layer1.1`, `fc`.
    """
    if phase.layer_decay is None:
        return dict.fromkeys(names, 1.0)
    stages = list(dict.fromkeys(map(stage, names)))
    last = len(stages) - 1
    return {name: phase.layer_decay ** (last - stages.index(stage(name))) for name in names}


def stage(name: str) -> str:
    """The item of the spec's body that a name is below, or the copy of it."""
    first, *rest = name.split(".")
    return f"{first}.{rest[0]}" if len(rest) > 1 and rest[0].isdigit() else first


def _no_decay(model: nn.Module) -> frozenset[str]:
    """The parameters of norms, biases, and the gains of standardised weights."""
    found = set()
    for path, module in model.named_modules():
        for name, value in module.named_parameters(recurse=False):
            alone = "bias" in name or name == "gain" or value.ndim < 2
            if alone or isinstance(module, _NORMS):
                found.add(f"{path}.{name}" if path else name)
    return frozenset(found)


def _assert_partition(names: Collection[str], made: Iterable[Group]) -> None:
    inside = [name for group in made for name in group.names]
    if sorted(inside) != sorted(names):
        message = "the groups of the optimizer are not the parameters that train, each once"
        raise TrainError("E901", message, "this is a defect of archspec; please report it")


def optimizer_groups(made: Iterable[Group], parameters: Parameters, decay: bool) -> list[Any]:
    """As torch.optim takes them. `decay`: whether the optimizer has a weight decay at all."""
    found: list[Any] = []
    for group in made:
        entry: dict[str, Any] = {"params": [parameters[name] for name in group.names]}
        if group.lr >= 0:
            entry["lr"] = group.lr
        if decay and not group.decays:
            entry["weight_decay"] = 0.0
        found.append(entry)
    return found


# ------------------------------------------------------------------ norms that are not trained


def frozen_norms(model: nn.Module, names: Collection[str]) -> list[nn.Module]:
    """The norms that keep statistics and have nothing that is trained, nor lie where all is."""
    tops = {name.rpartition(".")[0] for name in names}
    found: list[nn.Module] = []
    for path, module in model.named_modules():
        if not isinstance(module, _NormBase) or module.running_mean is None:
            continue
        own = [n for n, _ in module.named_parameters(prefix=path, recurse=False)]
        beside = [top for top in tops if top.rpartition(".")[0] == path.rpartition(".")[0]]
        if not any(name in names for name in own) and (own or not beside):
            found.append(module)
    return found


# ------------------------------------------------------------------ state by name


def state_by_name(optimizer: Any, made: Iterable[Group], parameters: Parameters) -> dict[str, Any]:
    """What an optimizer remembers of each parameter."""
    return {
        name: dict(optimizer.state[parameters[name]])
        for group in made
        for name in group.names
        if parameters[name] in optimizer.state
    }


def give_state(optimizer: Any, state: Mapping[str, Any], parameters: Parameters) -> None:
    """Gives an optimizer what another remembered of the parameters that it has too."""
    inside = {id(p) for group in optimizer.param_groups for p in group["params"]}
    for name, entry in state.items():
        value = parameters.get(name)
        if value is None or id(value) not in inside:
            continue
        optimizer.state[value] = {key: _like(one, value) for key, one in entry.items()}


def _like(one: Any, parameter: Tensor) -> Any:
    """A tensor of the parameter's shape where the parameter is; others where they are."""
    if isinstance(one, Tensor) and one.shape == parameter.shape and one.ndim:
        return one.to(parameter.device)
    return one
