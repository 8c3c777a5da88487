"""The network or networks that are given, and those that the plan names → one module to train.

    fit(generator, data, task={"gan": {"discriminator": "dcgan_discriminator"}})

The plan's task says which it trains. What is not given is built from the spec that the plan names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from torch import nn

from archspec.text.words import did_you_mean, listed
from archspec.train import networks, tasks
from archspec.train.errors import TrainError

if TYPE_CHECKING:
    from archspec.train.plan import Plan

Given = nn.Module | Sequence[nn.Module] | Mapping[str, nn.Module]


def gathered(given: Given, plan: Plan) -> nn.Module:
    """What is given, and what the plan's task names besides, as its task takes it.

    Raises SpecError and TrainError.
    """
    if isinstance(given, networks.Networks):
        return given
    names = tasks.kind(plan).networks
    task = plan.task.name if plan.task is not None else "classification"
    found = _by_name(given, names or ("",), task)
    wanted = plan.task.args if plan.task is not None else {}
    for name in names[1:]:
        if name not in found:
            if name not in wanted:
                said = f"`{task}` trains {listed(names)}; the {name} is missing"
                help = f"`task: {{{task}: {{{name}: SPEC}}}}`, or fit(({', '.join(names)}), …)"
                raise plan.fault("E802", said, "task", help=help)
            found[name] = _built(plan, name, wanted[name])
    if len({id(one) for one in found.values()}) < len(found):
        message = f"the same module is given as {listed(found)}"
        raise TrainError("E802", message, "build one for each")
    return networks.whole({name: found[name] for name in names} if names else found)


def _by_name(given: Given, names: Sequence[str], task: str) -> dict[str, nn.Module]:
    if isinstance(given, nn.Module):
        return {names[0]: given}
    if len(names) < 2:
        message = f"`{task}` trains one network; {len(given)} are given"
        raise TrainError("E802", message, 'for example `task="gan"` trains two')
    if not isinstance(given, Mapping):
        if len(given) > len(names):
            message = f"`{task}` trains {listed(names)}; {len(given)} networks are given"
            raise TrainError("E802", message, "give each, in this order")
        given = dict(zip(names, given, strict=False))
    for name in given:
        if name not in names:
            message = f"`{task}` knows no network `{name}`"
            raise TrainError("E802", message, did_you_mean(str(name), names))
    if names[0] not in given:
        raise TrainError("E802", f"the {names[0]} is missing", "only the others may be a plan's")
    return dict(given)


def _built(plan: Plan, name: str, node: Any) -> nn.Module:
    """A network as a plan names it: a spec, alone or with what is chosen of it."""
    from archspec.module import build

    node = {"spec": node} if isinstance(node, str) else node
    task = plan.task.name if plan.task is not None else ""
    help = f"for example `{name}: dcgan_discriminator`, or `{{spec: …, params: {{channels: 1}}}}`"
    if not isinstance(node, dict) or not isinstance(node.get("spec"), str):
        raise plan.fault("E802", f"`{name}` is no spec", "task", task, name, help=help)
    choice = {"params": {}, "variant": None, "weights": None, **node}
    for key in node:
        if key not in ("spec", "params", "variant", "weights"):
            said = f"`{key}` has no meaning for a network"
            raise plan.fault("E802", said, "task", task, name, key, help=help)
    if not isinstance(choice["params"], dict):
        said = "`params` is a mapping from names to values"
        raise plan.fault("E802", said, "task", task, name, "params", help=help)
    found = choice["variant"], choice["params"], choice["weights"]
    return build(node["spec"], variant=found[0], weights=found[2], **found[1])
