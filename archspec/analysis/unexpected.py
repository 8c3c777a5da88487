"""Totals that are not those expected → what may be why, where sums or a trial show it.

    E502 `params` of `net` is 1,056; the spec expects 1,024
      compare net.yaml:7   the biases of `conv` are so many: `bias: false` leaves them out

A forgotten `bias: false`, a line that stands there twice, a `when` that is gone: then an item has,
in all its copies, exactly what each total is too large by. An input with an axis too many or too
few is tried with one less or more. Both are facts, and said as such; whether it is this that is
wrong, or what is expected, nobody knows. What is missing has no place, and another kernel or width
changes the shapes behind it: of those nothing is said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from archspec.analysis.cost import costs
from archspec.analysis.rows import counts
from archspec.expand.state import COMPARE
from archspec.expand.tree import every
from archspec.expressions import Expr
from archspec.language import Axis
from archspec.text.faults import Loc, Step

if TYPE_CHECKING:
    from archspec.expand.schedule import Node, Schedule
    from archspec.language import Spec

Sized = tuple[Any, ...]  # a shape as written: numbers, expressions and free axes

_PICTURES = (1, 3)  # channels
_FEW = 3  # items that are named; where more are so much, it says nothing


def excess(schedule: Schedule, over: Mapping[str, int]) -> tuple[Step, ...]:
    """The items that alone are what totals are `over`, by name; none where a total is too small."""
    if min(over.values()) < 0 or not any(over.values()):
        return ()
    made = _made(schedule)
    found = [*_biases(made, over)] or [*_whole(schedule, made, over)]
    return tuple(found) if len(found) <= _FEW else ()


def entered(spec: Spec, right: Callable[[Spec], bool]) -> tuple[Step, ...]:
    """The one input that makes totals `right` with an axis more or less."""
    found = [
        Step(declared.loc, f"as {_shown(shape)} it gives the totals that are expected", COMPARE)
        for name, declared in spec.inputs.items()
        for shape in _otherwise(declared.shape)
        if right(_with(spec, name, shape))
    ]
    return tuple(found) if len(found) == 1 else ()


def _otherwise(shape: Sized) -> Iterable[Sized]:
    """A shape without one of its axes, with one of them twice, with the channels of a picture."""
    every = [(*shape[:k], *shape[k + 1 :]) for k in range(len(shape))]
    every += [(*shape[: k + 1], *shape[k:]) for k in range(len(shape))]
    every += [(channels, *shape) for channels in _PICTURES]
    return {_shown(one): one for one in every if one}.values()


def _shown(shape: Sized) -> str:
    """As it is written."""
    sizes = [(axis.name, axis.size) if isinstance(axis, Axis) else ("", axis) for axis in shape]
    texts = [(name, f"$({s.text})" if isinstance(s, Expr) else str(s)) for name, s in sizes]
    return f"[{', '.join(f'{{{name}: {text}}}' if name else text for name, text in texts)}]"


def _with(spec: Spec, name: str, shape: Sized) -> Spec:
    changed = spec.inputs[name].model_copy(update={"shape": shape})
    return spec.model_copy(update={"inputs": {**spec.inputs, name: changed}})


def _made(schedule: Schedule) -> dict[Loc, list[Node]]:
    """The ops that each item makes, with all in it; those of a block's item in all its calls."""
    items = dict(every(schedule.root.body))
    found: dict[Loc, list[Node]] = {}
    for node in schedule.steps:
        around = [] if node.item is None else [node.item.loc]
        scope = schedule.scopes[node.scope]
        while scope.parent is not None:
            if scope.copy in items:
                around.append(items[scope.copy].loc)
            scope = schedule.scopes[scope.parent]
        for loc in dict.fromkeys(around):
            found.setdefault(loc, []).append(node)
    return found


def _biases(made: Mapping[Loc, list[Node]], over: Mapping[str, int]) -> Iterator[Step]:
    """Of products: a norm's shift is hardly ever left out."""
    if over.get("macs", 0):
        return
    for loc, nodes in made.items():
        own = [node for node in nodes if node.shared is None and _biased(node)]
        if any(node.item is None or node.item.loc != loc for node in own):
            continue  # of a group: its items have them
        weights = [weight for node in own for weight in node.untied() if weight.part == "bias"]
        if own and sum(weight.size for weight in weights) == over.get("params"):
            said = f"the biases of `{own[0].op}` are so many: `bias: false` leaves them out"
            yield Step(loc, said, COMPARE)


def _biased(node: Node) -> bool:
    return hasattr(node.layer, "bias") and getattr(node.layer, "family", "norm") != "norm"


def _whole(
    schedule: Schedule, made: Mapping[Loc, list[Node]], over: Mapping[str, int]
) -> Iterator[Step]:
    by_kind = costs(schedule)
    for loc, nodes in made.items():
        sums = counts(nodes, by_kind)
        if all(getattr(sums, key) == value for key, value in over.items()):
            yield Step(loc, "this item alone is so much", COMPARE)
