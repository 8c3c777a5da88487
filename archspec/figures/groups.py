"""Graph → Element: the tree with only such groups as are worth opening, down to every single op.

Where the outline gathers copies until a page holds the network, each of them is here: it is what
can be walked through, group by group. Paths of a residual are shown as what they hold, and so is a
block of one layer where there are many: of

    block Basic [2, 7)
      residual [2, 6)
        path main [2, 5)   conv, norm, relu
        add
      node relu

there is left the group Basic with its five ops.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise, takewhile
from typing import TYPE_CHECKING

from archspec.figures import words
from archspec.figures.tree import Element, grown, tree

if TYPE_CHECKING:
    from archspec.expand.graph import Graph, Node

TRAINED = "in training only"
_MANY = 4  # copies of an item without a name that are worth a group of their own
_FEW = 40  # ops of a network in which every call of a block is a group
_TRAILING = frozenset({"norm", "activation", "noise"})


def groups(graph: Graph) -> Element:
    """The network; `title` is what a group is: a block's name, "Bottleneck × 36", ""; and whether
    it is there in training only."""
    root = tree(graph)
    root.children = _worth(graph, root)
    while len(root.children) == 1 and root.children[0].children:
        root.children = root.children[0].children
    _mark(graph, root)
    return grown(root)


def marks(graph: Graph, whole: Element) -> list[str]:
    """What stands behind the label of each node: whose weights it has if not its own, ` =
    tower.conv1`; and that it is there in training only, where no group around it says so."""
    found = []
    for node in graph.steps:
        said = ""
        if node.shared is not None and node.weights():
            said += f" = {graph.steps[node.shared].path}"
        if node.tied is not None:
            said += f", weight of {graph.steps[node.tied].path}"
        found.append(said)
    for element in whole.walk():
        if element.trained and not element.children:
            found[element.start] += f", {TRAINED}"
    return found


def shared(nodes: Sequence[Node], some: Sequence[int]) -> str:
    """Whose weights some nodes have: all of them another's, part of them, or their own again."""
    weighty = [nodes[index] for index in some if nodes[index].weights()]
    owners = [node.tied if node.shared is None else node.shared for node in weighty]
    others = {owner for owner in owners if owner is not None}.difference(some)
    if not others:
        return "shared weights" if any(owner is not None for owner in owners) else ""
    paths = [nodes[owner].path.split(".") for owner in sorted(others)]
    same = takewhile(lambda names: len(set(names)) == 1, zip(*paths, strict=False))
    part = "" if all(owner in others for owner in owners) else "some "
    return f"{part}weights of {'.'.join(names[0] for names in same) or '.'.join(paths[0])}"


def closed(graph: Graph, group: Element) -> str:
    """The second line of a closed group: what leaves it, and whose weights it has, ` = left`."""
    out = words.shape(graph.steps[group.stop - 1].outs[0])
    whose = shared(graph.steps, group.nodes)
    if whose.startswith("weights of "):
        return f"{out} = {whose.removeprefix('weights of ')}"
    return ", ".join(filter(None, (out, whose)))


def _mark(graph: Graph, whole: Element) -> None:
    """The outermost elements that are there in training only, groups by their title."""
    waiting = [whole]
    while waiting:
        for child in waiting.pop().children:
            child.trained = all(graph.steps[index].training for index in child.nodes)
            if not child.trained:
                waiting.append(child)
            elif child.children:
                child.title = ", ".join(filter(None, (child.title, TRAINED)))


def _worth(graph: Graph, element: Element) -> list[Element]:
    found: list[Element] = []
    for child in element.children:
        inside = _worth(graph, child)
        if inside and not _opens(graph, child, inside):
            found += inside
            continue
        if inside:
            child.title, child.children = _label(child), inside
        found.append(child)
    return found


def _opens(graph: Graph, element: Element, inside: list[Element]) -> bool:
    """Whether it is a group; how paths part and meet is to be seen from the links."""
    if element.kind == "block" and len(graph.steps) <= _FEW:
        return True
    if element.kind in ("path", "residual", "branches") or len(inside) < 2:
        return False
    if element.kind == "block":
        return not _chained(graph, inside)
    if element.kind == "repeat":
        blocks = all(child.kind == "block" for child in element.children)
        return element.path is not None or (blocks and len(element.children) >= _MANY)
    assert element.parent is not None
    # the items of one branch stand below one another anyhow
    return element.id and element.parent.kind != "path" and not _chained(graph, inside)


def _label(element: Element) -> str:
    if element.kind != "repeat":
        return element.title if element.kind == "block" else ""
    titles = {child.title if child.kind == "block" else "" for child in element.children}
    what = titles.pop() if len(titles) == 1 else ""
    return f"{what} × {len(element.children)}".strip()


def _chained(graph: Graph, inside: list[Element]) -> bool:
    """Whether it is one layer with the norm and activation behind it."""
    if any(element.children for element in inside):
        return False
    return all(follows(graph, a.start, b.start) for a, b in pairwise(inside))


def follows(graph: Graph, first: int, second: int) -> bool:
    """Whether an op only works on what another hands to it alone, and belongs on the same card."""
    node = graph.steps[second]
    if node.layer is None or graph.steps[first].layer is None:
        return False
    if [edge.node for edge in node.inputs] != [first] or node.layer.op == "concat":
        return False
    return node.layer.family in _TRAILING
