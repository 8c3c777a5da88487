"""Elements → Drafts: which ops and blocks share a card, until there are few enough of them.

At first every op is a card, but that norms and activations join the op before them (`fuse.py`).
Then blocks that are called several times, or hold nothing but ops, are one card a call, and the
copies of a repeat one in all. If that is still too much, what is deepest is folded first:

    stem [conv, norm, relu]    layer1 [Block [conv, conv, add], Block [conv, conv, add]]
    conv+norm+relu    Block × 2
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, count, groupby, islice, pairwise, takewhile
from math import prod
from typing import TYPE_CHECKING

from archspec.figures.fuse import Draft, fused, joined
from archspec.figures.tree import Element, tree
from archspec.figures.wiring import Wiring

if TYPE_CHECKING:
    from archspec.expand.graph import Graph

MOST = 40
"""Parts of a figure that can be taken in at a glance."""
_FEW = 20  # cards up to which blocks that are not repeated are shown open


@dataclass(frozen=True, slots=True)
class Fold:
    """How far a network is to be folded, and what first.

    `most` parts, named outputs not counted. `open`: keys of parts to be shown open all the same, a
    repeat as its copies, a block as its inside. `runs`: equal ops one after the other are one part
    × N. `full`: nothing is folded that fits, but for calls of a block inside itself. `scales`: what
    works at several resolutions is folded last. `outputs`: whether there are parts for them.
    """

    most: int = MOST
    open: frozenset[str] = frozenset()
    runs: bool = True
    full: bool = False
    scales: bool = False
    outputs: bool = True


USUAL = Fold()


class Folder:
    """Answers for one graph; each question is for the inside of one element."""

    def __init__(self, graph: Graph) -> None:
        self.wiring = Wiring(graph)
        self.root = tree(graph)
        self._single: dict[object, bool] = {}

    def drafts(self, root: Element, fold: Fold) -> list[Draft]:
        """The inside of `root` in order, as at most `fold.most` drafts and what is asked open."""
        view = _View(self, root, fold)
        if fold.full:
            view.fold_itself()
        else:
            view.fold_blocks()
        return view.fitting(fold.most)

    def single(self, element: Element) -> bool:
        """Whether what is inside is one card."""
        key = element.instance or element
        if key not in self._single:
            self._single[key] = len(_View(self, element, USUAL).unfolded()) == 1
        return self._single[key]

    def typical(self, copies: Sequence[Element]) -> Element:
        """The first of those that look like most: of the same ops and blocks, whatever sizes."""
        looks = [tuple((e.kind, e.title) for e in copy.walk()) for copy in copies]
        ((most, _),) = Counter(looks).most_common(1)
        return copies[looks.index(most)]

    def repeats(self, copies: Sequence[Element]) -> bool:
        """Whether one card can stand for the copies.

        They work at one resolution, and either only the last is read by others, or all are read by
        the same, none by another, and what they read is of one resolution too.
        """
        wiring, stop = self.wiring, copies[-1].stop
        if len({wiring.size(wiring.last(copy.nodes)) for copy in copies}) > 1:
            return False
        within = range(copies[0].start, copies[-1].start)
        if wiring.leaving.isdisjoint(within) and all(
            reader < stop for index in within for reader in wiring.readers[index]
        ):
            return True
        readers = [self._readers(copy) for copy in copies]
        if len(set(readers)) > 1 or min(readers[0], default=0) < stop:
            return False
        return len({wiring.size(copy.start) for copy in copies}) == 1

    def _readers(self, copy: Element) -> frozenset[int]:
        """The nodes behind a copy that read it; one past the last for an output."""
        wiring, nodes = self.wiring, copy.nodes
        found = {reader for i in nodes for reader in wiring.readers[i] if reader >= copy.stop}
        leaves = not wiring.leaving.isdisjoint(nodes)
        return frozenset({*found, len(wiring.nodes)} if leaves else found)

    def scales(self, element: Element) -> bool:
        """Whether maps leave it at several resolutions, or grow again behind a smaller one."""
        size = self.wiring.size
        if len({size(index) for index in self.wiring.exits(element.nodes)}) > 1:
            return True
        areas = [prod(size(index)) for index in element.nodes if size(index)]
        lowest = min(areas, default=1)  # a map of one cell is a gate's, not a scale
        return lowest > 1 and max(areas[areas.index(lowest) :]) > lowest


class _View:
    """The inside of one element at some degree of folding."""

    def __init__(self, folder: Folder, root: Element, fold: Fold) -> None:
        self.folder, self.root, self.fold = folder, root, fold
        self.folded: set[Element] = set()
        self.asked = {outer for one in self._asked() for outer in (one, *one.above())}

    # ------------------------------------------------------------------ which are folded

    def fold_itself(self) -> None:
        """A block that calls itself is shown once; the call inside is a card."""
        if self.root.kind == "block":
            own = ("block", self.root.title)
            self.folded.update(e for e in self._below() if (e.kind, e.title) == own)

    def fold_blocks(self) -> None:
        """Blocks that are called often or hold no others are one card each, repeats one in all."""
        blocks: dict[str, list[Element]] = {}
        for element in self._below():
            if element.kind == "block" and not self.folder.single(element):
                blocks.setdefault(element.title, []).append(element)
        cards = [calls for calls in blocks.values() if self._are_cards(calls)]
        self.folded.update(*cards)
        self.folded.update(e for e in self._below() if e.kind == "repeat" and self._is_card(e))
        self._open_few(cards)

    def _are_cards(self, calls: Sequence[Element]) -> bool:
        """Whether a block is never called inside itself, and often or holds only ops."""
        if any(map(self._keeps, calls)) or any(b.start < a.stop for a, b in pairwise(calls)):
            return False
        return len(calls) > 1 or not any(
            below.kind == "block" and below is not calls[0] and not self.folder.single(below)
            for below in calls[0].walk()
        )

    def _is_card(self, repeat: Element) -> bool:
        """Whether the copies are blocks that are cards, or equal."""
        copies = repeat.children
        if len(copies) < 2 or self.folder.single(copies[0]) or not self.folder.repeats(copies):
            return False
        if self.folded.issuperset(copies):
            return True
        alike = self.folder.wiring.alike
        return len({tuple(alike(index) for index in copy.nodes) for copy in copies}) == 1

    def _open_few(self, cards: Sequence[list[Element]]) -> None:
        """Blocks that are not repeated are shown open where the figure stays small."""
        for calls in cards:
            if any(call.parent is not None and call.parent.kind == "repeat" for call in calls):
                continue
            self.folded.difference_update(calls)
            if len(self.unfolded()) > _FEW:
                self.folded.update(calls)

    def fitting(self, most: int) -> list[Draft]:
        """Folded further, the deepest first, until there are at most `most`."""
        for alike in chain(((),), self._by_depth()):
            self.folded.update(alike)
            for one in alike:
                self._gather(one)
            found = self.unfolded()
            if len(found) <= most or sum(not self._forced(draft) for draft in found) <= most:
                return found
        return self._by_force(found, most)

    def _gather(self, element: Element) -> None:
        """What is all of a block goes by the block's name; copies of a repeat are one card."""
        outer = element.parent
        while outer is not None and outer is not self.root and outer.nodes == element.nodes:
            self.folded.add(outer)
            element, outer = outer, outer.parent
        if outer is not None and outer.kind == "repeat" and self._is_card(outer):
            self.folded.add(outer)

    def _asked(self) -> list[Element]:
        """What is to be seen by its name."""
        if not self.fold.open:
            return []
        return [one for one in self.root.walk() if one.path in self.fold.open]

    def _forced(self, draft: Draft) -> bool:
        """Whether it is seen only because something was opened by name."""
        if not self.asked:
            return False
        above = takewhile(lambda element: element is not self.root, draft.first.above())
        return any(element.path in self.fold.open for element in above)

    def _by_depth(self) -> Iterator[list[Element]]:
        """What can be folded: elements of one depth, kind and title at a time, deepest first."""
        classes: dict[tuple[int, str, str], list[Element]] = {}
        stack = [(child, 0) for child in reversed(self.root.children)]
        while stack:
            element, depth = stack.pop()
            if element in self.folded or not element.children or self.folder.single(element):
                continue
            classes.setdefault((-depth, element.kind, element.title), []).append(element)
            stack.extend((child, depth + 1) for child in reversed(element.children))
        for key in sorted(classes, key=lambda key: (any(map(self._keeps, classes[key])), key[0])):
            yield classes[key]

    def _keeps(self, element: Element) -> bool:
        """Whether folding it would hide what happens between resolutions."""
        return self.fold.scales and self.folder.scales(element)

    def _by_force(self, found: Sequence[Draft], most: int) -> list[Draft]:
        """A long flat chain: so many neighbours share a card as it takes.

        Those of one resolution, where that is enough.
        """
        apart = set(filter(self._forced, found))
        inputs = {draft for draft in found if draft.kind == "input"}
        if len(inputs) * 4 <= most:  # they stand apart while there is room
            most -= len(inputs)
            apart |= inputs
        wiring = self.folder.wiring
        kinds = [(draft in apart, wiring.size(wiring.last(draft.nodes))) for draft in found]
        if len([*groupby(kinds)]) > most:
            kinds = [(alone, ()) for alone, _ in kinds]
        pairs = groupby(zip(kinds, found, strict=True), key=lambda pair: pair[0])
        runs = [(alone, [draft for _, draft in run]) for (alone, _), run in pairs]
        shared = [len(run) for alone, run in runs if not alone]
        most = max(most, len(shared))  # what was asked open may part them more often
        step = next(n for n in count(1) if sum(-(-long // n) for long in shared) <= most)
        chunks = [
            run[at : at + (1 if alone else step)]
            for alone, run in runs
            for at in range(0, len(run), 1 if alone else step)
        ]
        return [chunk[0] if len(chunk) == 1 else _neighbours(chunk) for chunk in chunks]

    def _below(self) -> Iterator[Element]:
        return islice(self.root.walk(), 1, None)

    # ------------------------------------------------------------------ what is seen then

    def unfolded(self) -> list[Draft]:
        """The drafts of what is not folded."""
        found = fused(self.folder.wiring, self._drafts())
        return joined(self.folder.wiring, found) if self.fold.runs else found

    def _drafts(self) -> Iterator[Draft]:
        stack = self.root.children[::-1]
        while stack:
            element = stack.pop()
            if not element.children:
                kind = "input" if element.kind == "input" else "op"
                yield Draft(kind, (element,), (element.start,), element.start)
            elif element in self.folded and not self._open(element):
                repeat = element.kind == "repeat"
                elements = tuple(element.children) if repeat else (element,)
                kind = "block" if all(e.kind == "block" for e in elements) else "group"
                yield Draft(kind, elements, tuple(element.nodes), copies=len(elements))
            else:
                stack += element.children[::-1]

    def _open(self, element: Element) -> bool:
        """Whether it, or something inside it, is to be seen."""
        asked = self.fold.open
        return bool(asked) and (element in self.asked or element.named.path in asked)


def _neighbours(chunk: Sequence[Draft]) -> Draft:
    nodes = sorted(node for draft in chunk for node in draft.nodes)
    elements = tuple(element for draft in chunk for element in draft.elements)
    return Draft("group", elements, tuple(nodes))
