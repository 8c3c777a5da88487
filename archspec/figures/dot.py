"""Network → DOT: every op clustered by block, or the folded network, for Graphviz.

Written through the `graphviz` package, whose quoting and escaping it relies on; names in the file
are numbers, and what a spec says stands in labels only.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from archspec.figures import palette, words
from archspec.figures.errors import RenderError
from archspec.figures.nest import Nest, nest
from archspec.figures.outline import MOST, Part, outline
from archspec.text.words import did_you_mean

if TYPE_CHECKING:
    import graphviz

    from archspec.analysed import Network
    from archspec.expand.graph import Graph

LONGEST = 80  # characters of a line on a card
DENSE = 500  # edges above which Graphviz is asked to take less care

# Curves and straight pieces cost the same there (0.04 s for ResNet-152), and are easier to follow
# than plain lines, which run through every box between their ends.
HURRIED = {"nslimit": "1", "mclimit": "0.1", "splines": "polyline"}
_CROWDS = (160, 120, 85, 60, 50, 40, 30, 20, 0)  # cards that are tried to go on one sheet
_FONT = "Helvetica"
_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")  # NUL ends a file, quoted or not


@dataclass(slots=True, eq=False)
class Drawn:
    """What the view `graph` shows: cards, groups around them, and edges between cards.

    A card is a node's index, or a group that is not opened. `owner` tells the card of every node.
    """

    graph: Graph
    whole: Nest
    opened: frozenset[str]
    cards: list[int | Nest]
    owner: list[int]
    edges: list[tuple[int, int]]


def drawn(network: Network, block: str | None = None) -> Drawn:
    """Every op; with a `block`, only what is in it, all else closed around it."""
    whole = nest(network.graph)
    return _drawn(network.graph, whole, _opened(whole, block))


def smaller(network: Network) -> Iterator[Drawn]:
    """Every op; then fewer and fewer cards, until all groups are closed.

    Each kind of group is opened once, where it stands first, outer groups before inner ones.
    """
    graph, whole = network.graph, nest(network.graph)
    groups = frozenset(group.key for group in whole.walk())
    if len(graph.steps) <= _CROWDS[0] or len(groups) == 1:
        yield _drawn(graph, whole, groups)
    before = groups
    for most in _CROWDS:
        opened = frozenset(_first_of_kind(graph, whole, most))
        if opened != before:
            yield _drawn(graph, whole, opened)
        before = opened


def _first_of_kind(graph: Graph, whole: Nest, most: int) -> Iterator[str]:
    """The groups to open so that there are at most `most` cards, or the network alone."""
    cards = len(whole.parts)
    yield whole.key
    seen: set[Any] = set()
    waiting = deque(part for part in whole.parts if isinstance(part, Nest))
    while waiting:
        group = waiting.popleft()
        kind = _kind(graph, group)
        if kind in seen or cards + len(group.parts) - 1 > most:
            continue
        seen.add(kind)
        cards += len(group.parts) - 1
        yield group.key
        waiting += [part for part in group.parts if isinstance(part, Nest)]


def _kind(graph: Graph, group: Nest) -> tuple[Any, ...]:
    """What a group is, numbers left out."""
    ops = tuple(
        _kind(graph, part) if isinstance(part, Nest) else type(graph.steps[part].layer)
        for part in group.parts
    )
    return (group.block.name if group.block is not None else "", ops)


def _drawn(graph: Graph, whole: Nest, opened: frozenset[str]) -> Drawn:
    cards: list[int | Nest] = []
    owner = [0] * len(graph.steps)
    for part in _shown(whole, opened):
        for index in range(part.start, part.stop) if isinstance(part, Nest) else (part,):
            owner[index] = len(cards)
        cards.append(part)
    edges = dict.fromkeys(
        (owner[edge.node], owner[node.index])
        for node in graph.steps
        for edge in node.inputs
        if owner[edge.node] != owner[node.index]
    )
    return Drawn(graph, whole, opened, cards, owner, list(edges))


def _opened(whole: Nest, block: str | None) -> frozenset[str]:
    groups = list(whole.walk())
    if block is None:
        return frozenset(group.key for group in groups)
    chosen = found(whole, block)
    return frozenset(
        group.key
        for group in groups
        if (group.start <= chosen.start and chosen.stop <= group.stop)
        or (chosen.start <= group.start and group.stop <= chosen.stop)
    )


def found(whole: Nest, block: str) -> Nest:
    """The group at a path, or the first one that calls the block of that name."""
    groups = list(whole.walk())[1:]
    for group in groups:
        if group.key == block:
            return group
    for group in groups:
        if group.block is not None and group.block.name == block:
            return group
    known = [group.block.name for group in groups if group.block is not None]
    known = list(dict.fromkeys(known)) + [group.key for group in groups]
    message = f"`{block}` is no block that can be opened"
    raise RenderError("E703", message, did_you_mean(block, known))


def _shown(group: Nest, opened: frozenset[str]) -> Iterator[int | Nest]:
    for part in group.parts:
        if isinstance(part, Nest) and part.key in opened:
            yield from _shown(part, opened)
        else:
            yield part


def full(network: Network, block: str | None = None) -> str:
    """The view `graph` as DOT; `block` opens one in place."""
    return str(written(drawn(network, block), network.name).source)


def written(shown: Drawn, title: str) -> graphviz.Digraph:
    """Cards as nodes n0, n1 …, groups as clusters, in the order of the spec."""
    found = sheet(title, len(shown.edges))
    place = {id(card): number for number, card in enumerate(shown.cards) if isinstance(card, Nest)}
    numbers = iter(range(1, sum(1 for _ in shown.whole.walk()) + 1))

    def put(group: Nest, into: graphviz.Digraph) -> None:
        for part in group.parts:
            if isinstance(part, int):
                number = shown.owner[part]
                into.node(f"n{number}", **_op(shown.graph, part))
            elif part.key in shown.opened:
                with into.subgraph(name=f"cluster_{next(numbers)}") as cluster:
                    cluster.attr(label=_label(heading(part)))
                    put(part, cluster)
            else:
                into.node(f"n{place[id(part)]}", **_closed(shown.graph, part))

    put(shown.whole, found)
    for source, target in shown.edges:
        found.edge(f"n{source}", f"n{target}")
    return found


def collapsed(network: Network) -> str:
    """The view `blocks` as DOT."""
    shown = outline(network, MOST)
    found = sheet(network.name, len(shown.links))
    place = {part.key: number for number, part in enumerate(shown.parts)}
    for part in shown.parts:
        found.node(f"n{place[part.key]}", **attributes(lines(part), part.family))
    for link in shown.links:
        style = {"style": "dashed", "color": palette.SKIP} if link.skip else {}
        found.edge(f"n{place[link.source]}", f"n{place[link.target]}", **style)
    return str(found.source)


def lines(part: Part) -> list[str]:
    """The words on a card of the outline."""
    label = f"{part.label} × {part.copies}" if part.copies > 1 else part.label
    found = [label, *part.notes, *part.varies]
    if part.name:
        found.insert(1, part.name)
    if part.shape:
        found.append(" × ".join(map(str, part.shape)))
    return found


def heading(group: Nest) -> str:
    """`layer3  Bottleneck × 36`."""
    return "  ".join(text for text in (group.name, group.label) if text)


def sheet(title: str, edges: int) -> graphviz.Digraph:
    """An empty file with the look of everything in it."""
    import graphviz

    found = graphviz.Digraph(comment="written by archspec")
    look = {"rankdir": "TB", "nodesep": "0.3", "ranksep": "0.3", "fontname": _FONT}
    found.attr(label=_label([title]), labelloc="t", **look, **(HURRIED if edges > DENSE else {}))
    card = {"shape": "box", "style": "rounded,filled", "height": "0.3"}
    found.attr("node", fontname=_FONT, fontsize="11", **card)
    found.attr("edge", color=palette.LINE, arrowsize="0.7")
    found.attr("graph", fontsize="11", labeljust="l", color="#9aa5b1", style="rounded,dashed")
    return found


def _label(text: str | list[str]) -> str:
    """Words as they are: no markup, no escapes, of bounded length, lines under one another."""
    import graphviz

    rows = [text] if isinstance(text, str) else text
    cut = (row if len(row) <= LONGEST else row[: LONGEST - 1] + "…" for row in rows)
    plain = (_UNSEEN.sub("\ufffd", row) for row in cut)
    # Graphviz reads character references in labels, and escapes that begin with a backslash
    said = "\\n".join(row.replace("\\", "\\\\").replace("&", "&amp;") for row in plain)
    found: str = graphviz.nohtml(said)  # one that is never taken as markup
    return found


def attributes(rows: list[str], family: str) -> dict[str, str]:
    """Of a card: its lines of words, its colours."""
    colours = palette.of(family)
    return {"label": _label(rows), "fillcolor": colours.fill, "color": colours.edge}


def _op(graph: Graph, index: int) -> dict[str, str]:
    node = graph.steps[index]
    out = words.shape(node.outs[0])
    if node.layer is None:
        return attributes([node.path, out], "input")
    axes = len(node.ins[0].shape) - 1 if node.ins else 0
    rows = [words.label(node.layer, axes), *words.notes(node.layer)]
    if not node.ins or node.ins[0].shape != node.outs[0].shape:
        rows.append(out)
    return attributes(rows, words.family(node.layer))


def _closed(graph: Graph, group: Nest) -> dict[str, str]:
    out = words.shape(graph.steps[group.stop - 1].outs[0])
    return attributes([heading(group), out], leading(graph, group))


def leading(graph: Graph, group: Nest) -> str:
    """The family with the most parameters in a group, or else with the most ops."""
    sums: dict[str, tuple[int, int]] = {}
    for node in graph.steps[group.start : group.stop]:
        family = "input" if node.layer is None else words.family(node.layer)
        params, ops = sums.get(family, (0, 0))
        own = 0 if node.layer is None else sum(w.size for w in node.layer.weights(*node.ins))
        sums[family] = (params + own, ops + 1)
    return max(sums, key=lambda family: sums[family])
