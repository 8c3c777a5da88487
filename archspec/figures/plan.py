"""Groups → plans: for every group, which cards it holds, the grid they stand in and their links.

A plan is told in numbers relative to its group, so that copies that look alike share one: the 21
groups of ResNet-50 need 11. A page puts plans into one another: it adds up the sizes of what is
open and lays out nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, sqrt
from typing import TYPE_CHECKING, Any, NamedTuple

from archspec.figures import fonts, words
from archspec.figures.grid import Grid, arrange
from archspec.figures.groups import closed, follows, marks
from archspec.figures.tree import Element

if TYPE_CHECKING:
    from archspec.expand.graph import Graph

ROW, FRAME = 20, 42
"""Height in px of one op of a stack, and of a closed group."""
SIZE = 11.5
"""Of the words on a card, in px; `page.css` says the same."""
NARROWEST, WIDEST = 92, 250

_TALL = 620  # px; a column of cards that is taller goes on beside itself
_ASPECT = 1.5


class Stack(NamedTuple):
    """Nodes [first, last] that follow one another on one card."""

    first: int
    last: int

    @property
    def nodes(self) -> range:
        return range(self.first, self.last + 1)


@dataclass(slots=True, eq=False)
class Port:
    """Where values enter an opened group, or leave it: `values` are the nodes they come from."""

    values: frozenset[int]
    out: bool

    @property
    def nodes(self) -> range:
        return range(0)


Item = Stack | Element | Port
Inner = tuple[Element, list[Port]]
"""A group, and where values enter and leave it."""


class Link(NamedTuple):
    """From item to item; of opened groups, through exit `leaving` and entry `entering`."""

    source: int
    target: int
    leaving: int
    entering: int


@dataclass(slots=True, eq=False)
class Plan:
    """One group; `items` are in an order in which every link goes forward."""

    group: Element
    items: tuple[Item, ...]
    links: tuple[Link, ...]
    grid: Grid
    strips: tuple[int, ...]
    sizes: tuple[tuple[int, int], ...]


def plans(graph: Graph, group: Element) -> dict[str, Plan]:
    """The plan of every group, by key; that of the network under ""."""
    return _Planner(graph, group).walk()


class _Planner:
    def __init__(self, graph: Graph, root: Element) -> None:
        self.graph, self.root, self.marks = graph, root, marks(graph, root)

    def walk(self) -> dict[str, Plan]:
        found: dict[str, Plan] = {}
        waiting: list[Inner] = [(self.root, [])]
        while waiting:
            group, ports = waiting.pop()
            plan, inner = self._plan(group, ports)
            found[group.key] = plan
            waiting.extend(inner)
        return found

    def _plan(self, group: Element, ports: list[Port]) -> tuple[Plan, list[Inner]]:
        entries = [port for port in ports if not port.out]
        exits = [port for port in ports if port.out]
        items: list[Item] = [*entries, *self._stacked(group), *exits]
        links, inner = _bundled(items, self._flows(group, items))
        count = len(items)
        grid = arrange(
            count,
            [(link.source, link.target) for link in links],
            first=frozenset(range(len(entries))),
            last=frozenset(range(count - len(exits), count)),
            side=frozenset(i for i, item in enumerate(items) if isinstance(item, Stack)),
        )
        sizes = tuple(self._size(item) for item in items)
        return Plan(group, tuple(items), links, grid, _strips(grid, sizes), sizes), inner

    def _stacked(self, group: Element) -> list[Stack | Element]:
        """Parts in order, ops that only work on the one before them on its card."""
        found: list[Stack | Element] = []
        for part in group.children:
            above = found[-1] if found else None
            if part.children:
                found.append(part)
            elif isinstance(above, Stack) and self._joins(above.last, part.start):
                found[-1] = Stack(above.first, part.start)
            else:
                found.append(Stack(part.start, part.start))
        return found

    def _joins(self, first: int, second: int) -> bool:
        readers = [reader.index for reader in self.graph.readers(self.graph.steps[first])]
        return readers == [second] == [first + 1] and follows(self.graph, first, second)

    def _flows(self, group: Element, items: Sequence[Item]) -> list[tuple[int, int, int]]:
        """(source item, value, target item) for all that enters, passes through, or leaves."""
        owner = {node: place for place, item in enumerate(items) for node in item.nodes}
        entered, found = dict[int, int](), []
        for place, item in enumerate(items):
            if isinstance(item, Port) and not item.out:
                entered.update(dict.fromkeys(item.values, place))
        for index in group.nodes:
            for edge in self.graph.steps[index].inputs:
                source = owner.get(edge.node, entered.get(edge.node, -1))
                if source != owner[index]:
                    found.append((source, edge.node, owner[index]))
        for place, item in enumerate(items):
            if isinstance(item, Port) and item.out:
                found.extend((owner[value], value, place) for value in sorted(item.values))
        return found

    def _size(self, item: Item) -> tuple[int, int]:
        if isinstance(item, Port):
            return 0, 0
        if isinstance(item, Element):
            wide = max(_heading(item), fonts.width(closed(self.graph, item), SIZE - 1))
            return _wide(wide + 36), FRAME
        return _wide(max(map(self._line, item.nodes)) + 22), ROW * len(item.nodes)

    def _line(self, node: int) -> float:
        label, shape = words.card(self.graph.steps[node])
        room = fonts.width(shape, SIZE - 1) + 14 if shape else 0
        return fonts.width(label + self.marks[node], SIZE) + room


def _heading(group: Element) -> float:
    gap = 6 if group.name and group.title else 0
    return fonts.width(group.name, SIZE, bold=True) + gap + fonts.width(group.title, SIZE)


def _wide(width: float) -> int:
    return min(WIDEST, max(NARROWEST, ceil(width / 2) * 2))


def _bundled(
    items: Sequence[Item], flows: Sequence[tuple[int, int, int]]
) -> tuple[tuple[Link, ...], list[Inner]]:
    """Links, values that leave a group for the same places as one; the ports of every group."""
    goals: dict[tuple[int, int], set[int]] = {}
    for source, value, target in flows:
        goals.setdefault((source, value), set()).add(target)
    bundles: dict[int, dict[frozenset[int], list[int]]] = {}
    for (source, value), targets in goals.items():
        grouped = isinstance(items[source], Element)
        key = frozenset(targets) if grouped else frozenset((-1,))
        bundles.setdefault(source, {}).setdefault(key, []).append(value)
    inner: dict[int, Inner] = {
        place: (item, []) for place, item in enumerate(items) if isinstance(item, Element)
    }
    entered: dict[int, int] = dict.fromkeys(inner, 0)
    links: list[Link] = []
    for source in sorted(bundles):
        for leaving, values in enumerate(bundles[source].values()):
            if source in inner:
                inner[source][1].append(Port(frozenset(values), out=True))
            for target in sorted(set().union(*(goals[source, value] for value in values))):
                entering = 0
                if target in inner:
                    entering = entered[target]
                    entered[target] += 1
                    taken = [value for value in values if target in goals[source, value]]
                    inner[target][1].append(Port(frozenset(taken), out=False))
                links.append(Link(source, target, leaving if source in inner else 0, entering))
    return tuple(links), list(inner.values())


def _strips(grid: Grid, sizes: Sequence[tuple[int, int]]) -> tuple[int, ...]:
    """Where a long column is cut so that its pieces, side by side, are about as wide as a page."""
    heights = [0] * (grid.rows + 1)
    widths = [0] * max(grid.columns, 1)
    for (row, column), (width, height) in zip(grid.cells, sizes, strict=True):
        heights[row] = max(heights[row], height + 20)
        widths[column] = max(widths[column], width)
    tall, wide = math.fsum(heights), math.fsum(widths) + 16 * len(widths)
    pieces = round(sqrt(_ASPECT * tall / max(wide, 1)))
    if tall <= _TALL or pieces < 2 or len(grid.cuts) < 2:
        return (0,)
    found, height, most = [0], 0, tall / pieces
    for row in range(grid.rows):
        if row in grid.cuts and row and height + heights[row] / 2 > most * len(found):
            found.append(row)
        height += heights[row]
    return tuple(found)


def told(plan: Plan) -> dict[str, Any]:
    """A plan in JSON's terms, nodes counted from the group's first; groups that look alike: equal.

    Items: [first, last] of a stack, a number n ≥ 0 for the n-th group inside, -1 an entry, -2 an
    exit. Links: source, target, exit of the source, entry of the target, then lane, fork, join (-1:
    none) and side of the route.
    """
    start, nth = plan.group.start, 0
    items: list[Any] = []
    for item in plan.items:
        if isinstance(item, Stack):
            items.append([item.first - start, item.last - start])
        elif isinstance(item, Port):
            items.append(-2 if item.out else -1)
        else:
            items.append(nth)
            nth += 1
    ways = {(route.source, route.target): route for route in plan.grid.routes}
    links = []
    for link in plan.links:
        way = ways[link.source, link.target]
        links.append([*link, *(-1 if v is None else v for v in way[2:5]), way.side])
    return {
        "items": items,
        "sizes": [list(size) for size in plan.sizes],
        "cells": [list(cell) for cell in plan.grid.cells],
        "rows": plan.grid.rows,
        "columns": plan.grid.columns,
        "tracks": list(plan.grid.tracks),
        "strips": list(plan.strips),
        "links": links,
    }
