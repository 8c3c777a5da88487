"""`init: {weight: {values: …}}` → whether the numbers fit the weight.

{id: sharpen, conv: {out: 3, kernel: 3, groups: 3}, init: {values: [[0, -1, 0], …]}}
[3, 3] for a weight [3, 1, 3, 3]: the same for every channel
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from archspec.text.faults import Fault

if TYPE_CHECKING:
    from archspec.expand.graph import Graph, Node
    from archspec.layers.base import Weight


def faults(graph: Graph) -> Iterator[Fault]:
    """Numbers that are neither a whole weight nor what is the same for its channels."""
    for node in graph.steps:
        for which, filler in (node.init or {}).items():
            if filler.name != "values":
                continue
            found = shape(filler.args["val"])
            wrong = next((w for w in _filled(node, which) if found not in fitting(w)), None)
            if wrong is not None:
                said = f"the {wrong.name or 'weight'} of `{node.path}` is {list(wrong.shape)}"
                help = f"write {' or '.join(str(list(s)) for s in fitting(wrong))}"
                yield Fault("E221", f"`values` are {list(found)}; {said}", filler.loc, help)


def _filled(node: Node, which: str) -> Iterator[Weight]:
    """The weights of a node that its filler for `weight`, or for `bias`, is for."""
    for weight in node.untied() if node.shared is None else ():
        direct = weight.name.endswith(("original", "original1"))  # of the shape of what is computed
        computed = weight.name.startswith("parametrizations.") and not direct
        if not weight.buffer and not computed and ("bias" in weight.name) is (which == "bias"):
            yield weight


def fitting(weight: Weight) -> list[tuple[int, ...]]:
    """The shapes of numbers for it: all of it; a kernel, for all outputs, for all channels too."""
    space = len(weight.shape) - 2
    return [weight.shape[k:] for k in range(3 if space > 0 else 1)]


def shape(values: Any) -> tuple[int, ...]:
    """Of numbers in rows."""
    return (len(values), *shape(values[0])) if isinstance(values, (list, tuple)) else ()
