"""Draft → Part: what stands on a card, from the graph and the rows of the analysis.

The main op of a draft gives it label and colour: `conv 7×7 /2` with the notes `batch norm`, `ReLU`.
A block is called by its name, a group as the author called it, else by what is in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING

from archspec.figures import words
from archspec.figures.fold import Fold, Folder
from archspec.figures.fuse import Draft
from archspec.figures.groups import TRAINED, shared
from archspec.figures.part import Part
from archspec.figures.tree import Element

if TYPE_CHECKING:
    from archspec.analysed import Network
    from archspec.expand.graph import Node
    from archspec.layers.base import Layer

_SUMMARY = 3  # words that a group without a name is told by


class Describer:
    """For one network and the folder of its graph."""

    def __init__(self, network: Network, folder: Folder) -> None:
        self.folder = folder
        self.nodes = network.graph.steps
        self.rows = network.analysis.rows

    def key(self, draft: Draft) -> str:
        """Unique: see Part."""
        first, last = self.nodes[draft.nodes[0]].path, self.nodes[draft.nodes[-1]].path
        if len(draft.nodes) == 1:
            return first
        scope = self._scope(draft)
        return scope.path if scope is not None and scope.path else f"{first}…{last}"

    def part(self, draft: Draft) -> Part:
        """What is known of a draft."""
        main = self.folder.wiring.last(draft.nodes)
        found = Part(
            key=self.key(draft),
            kind=draft.kind,
            family=self._family(draft),
            label=self._label(draft),
            name=self._name(draft),
            nodes=draft.nodes,
            main=main,
            copies=draft.copies,
            varies=() if draft.copies == 1 or draft.core is not None else self._varies(draft),
            out=self.nodes[main].outs[0],
            params=sum(self.rows[index].params for index in draft.nodes),
            opens=draft.core is None or len(draft.nodes) > 1,
            marks=tuple(filter(None, [self._shared(draft), self._trained(draft)])),
            held=words.held(self.nodes[index] for index in draft.nodes),
        )
        if draft.kind == "group" and draft.main is None and not self._given(draft):
            bent = _activations([self.nodes[index] for index in draft.nodes])
            return replace(found, activations=tuple(dict.fromkeys(bent)))
        return found if draft.main is None or draft.kind == "input" else self._op(found, draft)

    def typical(self, draft: Draft) -> Element:
        """The copy to show: the last of those that look like most."""
        if draft.copies == 1 or draft.core is not None:
            return draft.first if len(draft.elements) == 1 else _group(draft)
        # counted from the end: of two that differ the second is what a third would look like
        return self.folder.typical(draft.elements[::-1])

    def _op(self, part: Part, draft: Draft) -> Part:
        """With the words of an op and what is fused with it."""
        size = len(draft.nodes) // draft.copies
        run = [self.nodes[index] for index in draft.nodes[-size:]]
        core = run[0] if draft.main is None else self.nodes[draft.main]
        assert core.layer is not None
        merges = core.layer.merges and len(core.inputs) > 1
        said = [_aside(node.layer) for node in run if node.layer is not None]
        place = run.index(core)
        arguments = words.notes(core.layer, _channels(core))
        return replace(
            part,
            arguments=arguments,
            activations=_activations(run[place + 1 :]),
            preactive=_activations(run[:place]),
            kind="merge" if merges else "fused" if size > 1 else "op",
            op=core.layer.op,
            ahead=tuple(said[:place]),
            notes=(*arguments, *said[place + 1 :]),
        )

    def _shared(self, draft: Draft) -> str:
        """Whose weights it has; of an op also whose weight, by a tie."""
        tied = None if draft.main is None else self.nodes[draft.main].tied
        if tied is not None:
            return f"weight of {self.nodes[tied].path}"
        return shared(self.nodes, draft.nodes)

    def _trained(self, draft: Draft) -> str:
        """What is not there in evaluation says so."""
        return TRAINED if all(self.nodes[k].training for k in draft.nodes) else ""

    def _scope(self, draft: Draft) -> Element | None:
        """The outermost element that holds exactly these nodes."""
        around = (draft.first, *draft.first.above())
        element = next((one for one in around if one.stop > draft.nodes[-1]), None)
        if element is None or len(element.nodes) != len(draft.nodes):
            return None
        return element.named

    def _family(self, draft: Draft) -> str:
        if draft.main is not None:
            return words.family(self.nodes[draft.main])
        return words.leading(words.family(self.nodes[index]) for index in draft.nodes)

    def _label(self, draft: Draft) -> str:
        if draft.main is not None:
            return self._called(self.nodes[draft.main])
        if draft.kind == "block":
            return draft.first.title
        return self._given(draft) or self._summed(draft)

    def _given(self, draft: Draft) -> str:
        """What the author called it; "" where that is a number or nothing."""
        scope = self._scope(draft)
        name = scope.path.rpartition(".")[2] if scope is not None and scope.path else ""
        return "" if name.isdigit() else name

    def _called(self, node: Node) -> str:
        """What an op, a tensor of the network, or an input is called."""
        if node.layer is None:
            return node.path
        if node.layer.tensor:
            return node.path.rpartition(".")[2]
        axes = len(node.ins[0].shape) - 1 if node.ins else 2
        return words.label(node.layer, axes, _channels(node))

    def _summed(self, draft: Draft) -> str:
        """A group without a name, by what is in it."""
        element = self.typical(draft)
        if not element.children:
            return self._called(self.nodes[element.start])
        if element.copy is not None and len(element.copy.branches) > 2:
            return self._branches(element)
        labels = self._labels(element)
        apart = self.folder.wiring.parts(draft.nodes) if draft.copies == 1 else 1
        if apart > 1:
            return _several(f"{apart} paths", set(labels))
        inside = _told(labels)
        if len(inside) <= _SUMMARY:
            return ", ".join(inside)
        kinds = {each.kind: each for each in reversed([*element.walk()])}
        if "residual" in kinds:
            return "residual"
        if "branches" in kinds:
            return self._branches(kinds["branches"])
        return f"{inside[0]} … {inside[-1]}"

    def _labels(self, element: Element) -> list[str]:
        """Of all cards in an element."""
        fold = Fold(len(element.nodes))
        return [self._label(one) for one in self.folder.drafts(element, fold)]

    def _branches(self, element: Element) -> str:
        assert element.copy is not None
        inside = {", ".join(_told(self._labels(path))) for path in element.paths}
        return _several(f"{len(element.copy.branches)} branches", inside)

    def _name(self, draft: Draft) -> str:
        """The author's name of exactly this, or of the main op of it."""
        scope = self._scope(draft)
        if scope is None and draft.copies == 1 and draft.main is not None:
            scope = next(e for e in draft.elements if e.start == draft.main)
        if scope is None or not scope.id or not scope.path:
            return ""
        *above, name = scope.path.split(".")
        if name.isdigit() and above:
            name = f"{above[-1]}.{name}"
        return "" if name == self._label(draft) else name

    def _varies(self, draft: Draft) -> tuple[str, ...]:
        last = self.folder.wiring.last
        outs = [self.nodes[last(element.nodes)].outs[0] for element in draft.elements]
        found: dict[str, str] = {}
        if outs[0].is_map:
            channels = [out.shape[0] for out in outs]
            run = words.series(self._entering(draft, channels) + channels)
            if run is not None:
                found[run] = f"C {run}"
        for name, values in _numbers(draft.elements).items():
            run = words.series(values)
            if run is not None and name != "stride":  # a stride shows in the resolution
                found.setdefault(run, f"{name} {run}")
        return tuple(found.values())

    def _entering(self, draft: Draft, channels: Sequence[int]) -> list[int]:
        """The channels of what enters the first copy, where they grow on from there."""
        edges = self.nodes[draft.nodes[0]].inputs
        if not edges:
            return []
        before = self.nodes[edges[0].node].outs[edges[0].output]
        grows = before.is_map and 0 != channels[0] - before.shape[0] == channels[1] - channels[0]
        return [before.shape[0]] if grows else []


def _several(what: str, inside: set[str]) -> str:
    """`24 branches of conv 3×3`, or `4 branches` where they are unlike."""
    return f"{what} of {inside.pop()}" if len(inside) == 1 else what


def _told(labels: Sequence[str]) -> list[str]:
    """Labels, equal ones that follow each other once: `conv 3×3 ×2`, `max pool 2×2`."""
    runs = [(label, len(list(alike))) for label, alike in groupby(labels)]
    return [f"{label} ×{count}" if count > 1 else label for label, count in runs]


def _channels(node: Node) -> int:
    return node.ins[0].shape[0] if node.ins and node.ins[0].shape else 0


def _group(draft: Draft) -> Element:
    """Neighbours as one element: of several copies the last."""
    size = len(draft.elements) // draft.copies
    return Element("group", "", None, list(draft.elements[-size:]))


def _numbers(elements: Sequence[Element]) -> dict[str, list[int]]:
    """Whole numbers among the arguments of all copies, by name."""
    found: dict[str, list[int]] = {}
    for element in elements:
        args = element.copy.args if element.copy is not None else {}
        for name, value in args.items():
            if isinstance(value, int) and not isinstance(value, bool):
                found.setdefault(name, []).append(value)
    return {name: values for name, values in found.items() if len(values) == len(elements)}


def _activations(run: Sequence[Node]) -> tuple[str, ...]:
    """What changes numbers without weights; `identity` changes none."""
    layers = (node.layer for node in run if node.layer is not None)
    bent = (layer for layer in layers if layer.family == "activation" and not layer.still_linear)
    return tuple(layer.title() for layer in bent)


def _aside(layer: Layer) -> str:
    """What is fused with an op, in a word: `batch norm`, `× 0.1`."""
    return layer.label(0) if layer.family == "merge" else layer.title()
