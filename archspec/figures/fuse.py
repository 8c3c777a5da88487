"""Drafts → fewer drafts: conv, norm and activation share a card, equal ops in a row are one × N.

From the ops of a network to its cards, if the two convolutions are equal:

    conv  norm  relu  conv  norm  relu  flatten  linear
    conv+norm+relu  conv+norm+relu  flatten+linear         fused
    conv+norm+relu × 2  flatten+linear                     joined
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from archspec.figures import words

if TYPE_CHECKING:
    from archspec.expand.graph import Node
    from archspec.figures.tree import Element
    from archspec.figures.wiring import Wiring

# What is written small beside the op before it, and what joins the op behind it where it can.
_BEHIND = frozenset({"norm", "activation", "noise"})
_BESIDE = _BEHIND | {"shape", "position"}


@dataclass(slots=True, eq=False)
class Draft:
    """What will be one part.

    `elements` are neighbours in the tree, or one; with `copies` > 1 each is a copy, or several are.
    `nodes` are those of all of them, ascending. `core` is the main node of an op or of several
    fused (of the last copy), -1 where there is nothing but norms and the like, None of composites.
    """

    kind: str
    elements: tuple[Element, ...]
    nodes: tuple[int, ...]
    core: int | None = None
    copies: int = 1

    @property
    def first(self) -> Element:
        return self.elements[0]

    @property
    def main(self) -> int | None:
        """The main node, of a part without one the first; None of composites."""
        return self.nodes[0] if self.core == -1 else self.core


def fused(wiring: Wiring, drafts: Iterable[Draft]) -> list[Draft]:
    """Norms, activations and the like join the op before them, or else the one behind."""
    found: list[Draft] = []
    by_last: dict[int, Draft] = {}
    for draft in drafts:
        before = _before(wiring, draft, by_last)
        if before is not None and _joins(wiring, before, draft):
            _join(wiring, before, draft)
            by_last[before.nodes[-1]] = before
            continue
        if draft.kind == "op" and _is_beside(wiring, draft.nodes[0]):
            draft.core = -1
        found.append(draft)
        if draft.core is not None and draft.kind != "input":
            by_last[draft.nodes[-1]] = draft
    return _settled(wiring, found, by_last)


def _before(wiring: Wiring, draft: Draft, by_last: dict[int, Draft]) -> Draft | None:
    """What a single op, or a draft of nothing but norms, may join."""
    if draft.kind == "input" or draft.core is None:
        return None
    inputs = wiring.nodes[draft.nodes[0]].inputs
    before = by_last.get(inputs[0].node) if len(inputs) == 1 else None
    chained = before is not None and wiring.chained(before.nodes[-1], draft.nodes[0])
    return before if chained else None


def _joins(wiring: Wiring, before: Draft, draft: Draft) -> bool:
    # what is nothing but norms and the like until now takes in whatever comes
    return before.core == -1 or _is(wiring.nodes[draft.nodes[0]], _BEHIND)


def _is_beside(wiring: Wiring, index: int) -> bool:
    node = wiring.nodes[index]
    return len(node.inputs) == len(node.outs) == 1 and _is(node, _BESIDE)


def _is(node: Node, families: frozenset[str]) -> bool:
    return words.family(node) in families or _by_a_number(node)


def _by_a_number(node: Node) -> bool:
    """Whether it is arithmetic of one tensor and a number."""
    layer = node.layer
    merges = layer is not None and layer.family == "merge" and layer.still_linear
    return merges and len(node.inputs) == 1


def _join(wiring: Wiring, before: Draft, draft: Draft) -> None:
    before.kind = "fused"
    before.nodes += draft.nodes
    before.elements += draft.elements
    if before.core == -1 and not _is_beside(wiring, draft.nodes[0]):
        before.core = draft.nodes[0]


def _settled(wiring: Wiring, drafts: Sequence[Draft], by_last: dict[int, Draft]) -> list[Draft]:
    """What found nothing behind it, a `flatten` before an output, joins what is before it."""
    found: list[Draft] = []
    for draft in drafts:
        before = _before(wiring, draft, by_last) if draft.core == -1 else None
        if before is not None and before.core != -1:
            _join(wiring, before, draft)
            by_last[before.nodes[-1]] = before
        else:
            found.append(draft)
    return found


def joined(wiring: Wiring, drafts: Sequence[Draft]) -> list[Draft]:
    """Neighbours that do the same, one to the output of the other, are copies of one."""
    found: list[Draft] = []
    for draft in drafts:
        if found and _repeats(wiring, found[-1], draft):
            last = found[-1]
            last.copies += 1
            last.nodes += draft.nodes
            last.elements += draft.elements
            last.core = draft.core
        else:
            found.append(draft)
    return found


def _repeats(wiring: Wiring, run: Draft, draft: Draft) -> bool:
    if run.core in (None, -1) or draft.core in (None, -1):
        return False
    layer = wiring.nodes[draft.core].layer if draft.core is not None else None
    size = len(draft.nodes)
    if len(run.nodes) != size * run.copies or layer is None or layer.merges:
        return False
    before = [wiring.alike(index) for index in run.nodes[-size:]]
    return before == [wiring.alike(index) for index in draft.nodes] and wiring.chained(
        run.nodes[-1], draft.nodes[0]
    )
