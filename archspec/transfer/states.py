"""Plan, phase, network → what of each op trains: frozen, training, or new and training.

    train: [fc], head: fc     →  {"conv1": "frozen", …, "fc": "new"}

An op without weights has nothing to train and no state. `draw` colours the network by it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from archspec.train import groups
from archspec.weights.names import under

if TYPE_CHECKING:
    from archspec.network import Program
    from archspec.train.plan import Plan


def states(program: Program, plan: Plan, phase: int) -> dict[str, str]:
    """By path of each op with parameters, `frozen`, `training` or `new`: phases count from 1.

    Raises SpecError for a phase that is not there, or one of which a path leads to nothing.
    """
    count = len(plan.parts)
    if not 1 <= phase <= count:
        help = f"phases count from 1 to {count}" if count > 1 else "the plan is one phase: 1"
        raise plan.fault("E802", f"there is no phase {phase}", "phases", help=help)
    owned: dict[str, list[str]] = {}
    free = []
    for name, weight, node in program.graph.weights():
        if weight.buffer:
            continue
        owned.setdefault(node.path, []).append(name)
        if not node.frozen:
            free.append(name)
    trained = frozenset(groups.trained(plan, phase - 1, free))
    return {
        path: _state(program, path, not trained.isdisjoint(names)) for path, names in owned.items()
    }


def _state(program: Program, path: str, trains: bool) -> str:
    if not trains:
        return "frozen"
    return "new" if under(path, program.spec.head) else "training"
