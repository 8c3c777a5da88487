"""Weights of a first convolution, for another number of input channels.

An input whose channels are all alike gives the same result as before, so that what follows sees
numbers of the size it was trained with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from archspec.expand.graph import Graph
    from archspec.weights.recipes import Shape


def stems(graph: Graph) -> set[str]:
    """The weights of the ungrouped convolutions that read an input of the network.

    Layers without weights may stand between.
    """
    bare = {node.index for node in graph.steps if node.layer is None}
    found = set()
    for node in graph.steps:
        if node.layer is None or not all(edge.node in bare for edge in node.inputs):
            continue
        if not node.layer.weights(*node.ins):
            bare.add(node.index)
        elif node.op == "conv" and node.shared is None and getattr(node.layer, "groups", 1) == 1:
            found.add(f"{node.path}.weight")
    return found


def how(there: Shape, here: Shape) -> str:
    """What is done to a weight of shape `there` for one of shape `here`; "" where nothing fits."""
    same = len(there) == len(here) >= 3 and there[:1] + there[2:] == here[:1] + here[2:]
    if not same or there[1] == here[1] or not there[1]:
        return ""
    done = "repeated" if here[1] % there[1] == 0 else "averaged over channels"
    return f"{done}, {there[1]} -> {here[1]} input channels"


def channels(weight: Tensor, n: int) -> Tensor:
    """[out, c, …] -> [out, n, …]: repeated where c divides n, else the average in each channel."""
    c = weight.shape[1]
    if n % c == 0:
        repeats = [1, n // c] + [1] * (weight.dim() - 2)
        return weight.repeat(repeats) * (c / n)
    return weight.mean(1, keepdim=True).expand(-1, n, *weight.shape[2:]) * (c / n)
