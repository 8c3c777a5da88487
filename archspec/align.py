"""Two graphs → which layers are the same: by what they are and what computes before or after them.

Layers without weights count for nothing unless paths meet in them, and names for nothing at all.
So a network in which a ReLU was inserted or a block renamed has the same layers as before:

    ours      {id: a, linear: 4}, relu, {id: b, linear: 2}
    theirs    {id: fc1, linear: 4}, {id: fc2, linear: 2}

    align(marks(ours), marks(theirs))    {"a": "fc1", "b": "fc2"}
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from archspec.expand.graph import Graph, Node

_DIGITS = 16  # of a digest: 64 bits


class Mark(NamedTuple):
    """A layer with weights, in three digests.

    `kind`: its op, and its weights by name and shape. `before`: the kind, and that of everything
    computed on the way to it. `after`: the kind, and that of everything computed from it.
    """

    kind: str
    before: str
    after: str


def marks(graph: Graph) -> dict[str, Mark]:
    """The marks of the layers with weights, by path, in the order they are computed."""
    kinds = _kinds(graph)
    before = _before(graph, kinds)
    after = _after(graph, kinds)
    return {
        node.path: Mark(kinds[node.index], before[node.index], after[node.index])
        for node in graph.steps
        if kinds[node.index] and node.shared is None
    }


def align(ours: Mapping[str, Mark], theirs: Mapping[str, Mark]) -> dict[str, str]:
    """Path of ours → path of the same layer of theirs.

    The same are those with the same before and after them. Of what is left, those with the same on
    one side; where the sides disagree, as they do around a layer put into a chain of its like, a
    pair of one name goes first, then the side before. Last come pairs of one name and kind. Of
    several layers that are alike in all this none is taken, unless they have one name.
    """
    found = _unique(ours, theirs, lambda mark: (mark.before, mark.after))
    left = {path: mark for path, mark in ours.items() if path not in found}
    taken = set(found.values())
    right = {path: mark for path, mark in theirs.items() if path not in taken}
    before = _unique(left, right, lambda mark: mark.before)
    after = _unique(left, right, lambda mark: mark.after)
    pairs = [*before.items(), *after.items()]
    same = [(path, path) for path in left if path in right and left[path].kind == right[path].kind]
    for path, other in [*(pair for pair in pairs if pair[0] == pair[1]), *pairs, *same]:
        if path not in found and other not in taken:
            found[path] = other
            taken.add(other)
    return found


def _unique(
    left: Mapping[str, Mark], right: Mapping[str, Mark], key: Callable[[Mark], object]
) -> dict[str, str]:
    """Pairs with one key, which nothing else has on either side."""
    here, there = Counter(map(key, left.values())), Counter(map(key, right.values()))
    places = {key(mark): path for path, mark in right.items()}
    return {
        path: places[key(mark)]
        for path, mark in left.items()
        if here[key(mark)] == there[key(mark)] == 1
    }


# ------------------------------------------------------------------ digests


def _digest(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:_DIGITS]


def _kinds(graph: Graph) -> list[str]:
    """Of each node, "" where it has no weights; with those of another it is of another kind."""
    own = [_kind(node) for node in graph.kinds]
    shared = [kind and f"{kind} shared" for kind in own]
    return [(own if node.shared is None else shared)[node.kind] for node in graph.steps]


def _kind(node: Node) -> str:
    weights = [(weight.name, weight.shape) for weight in node.weights()]
    return _digest(node.op, weights) if weights else ""


def _before(graph: Graph, kinds: list[str]) -> list[str]:
    """What flows out of each node, as far as weights and meetings of paths make it."""
    found: list[str] = []
    for node in graph.steps:
        ins = [
            f"{found[edge.node]}:{edge.output}"
            if len(graph.steps[edge.node].outs) > 1
            else found[edge.node]
            for edge in node.inputs
        ]
        if node.layer is None:
            found.append(_digest("input", node.index))  # inputs are the first steps
        elif kinds[node.index]:
            found.append(_digest(kinds[node.index], ins))
        elif len(ins) == 1:
            found.append(ins[0])
        else:
            found.append(_digest(node.op, ins))
    return found


def _after(graph: Graph, kinds: list[str]) -> list[str]:
    """What becomes of the output of each node."""
    uses: list[list[tuple[object, ...]]] = [[] for _ in graph.steps]
    for name, edges in graph.outputs.items():
        for edge in edges:
            uses[edge.node].append(("output", name, edge.output))
    found = [""] * len(graph.steps)
    for node in reversed(graph.steps):
        own = kinds[node.index]
        transparent = not own and len(node.inputs) == 1 and len(node.outs) == 1
        found[node.index] = _digest(own, sorted(uses[node.index], key=repr))
        for slot, edge in enumerate(node.inputs):
            if transparent:
                uses[edge.node].extend((*use[:-1], edge.output) for use in uses[node.index])
            else:
                uses[edge.node].append((own or node.op, slot, found[node.index], edge.output))
    return found
