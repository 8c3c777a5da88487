"""Network → DOT: every op clustered by block, or the folded network, for Graphviz.

Written through the `graphviz` package, whose quoting and escaping it relies on; names in the file
are numbers, and what a spec says stands in labels only.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any

from archspec.figures import palette, words
from archspec.figures.errors import RenderError
from archspec.figures.groups import groups
from archspec.figures.outline import Part, outline
from archspec.figures.tree import Element
from archspec.text.words import did_you_mean, shortened

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

    A card is an op, or a group that is not opened. `owner` tells the card of every node.
    """

    graph: Graph
    whole: Element
    opened: frozenset[str]
    cards: list[Element]
    owner: list[int]
    edges: list[tuple[int, int]]


def drawn(network: Network, block: str | None = None) -> Drawn:
    """Every op; with a `block`, only what is in it, all else closed around it."""
    whole = groups(network.graph)
    return _drawn(network.graph, whole, _opened(whole, block))


def smaller(network: Network) -> Iterator[Drawn]:
    """Every op; then fewer and fewer cards, until all groups are closed.

    Each kind of group is opened once, where it stands first, outer groups before inner ones.
    """
    graph, whole = network.graph, groups(network.graph)
    everything = _opened(whole, None)
    if len(graph.steps) <= _CROWDS[0] or len(everything) == 1:
        yield _drawn(graph, whole, everything)
    before = everything
    for most in _CROWDS:
        opened = frozenset(_first_of_kind(graph, whole, most))
        if opened != before:
            yield _drawn(graph, whole, opened)
        before = opened


def _first_of_kind(graph: Graph, whole: Element, most: int) -> Iterator[str]:
    """The groups to open so that there are at most `most` cards, or the network alone."""
    cards = len(whole.children)
    yield whole.key
    seen: set[Any] = set()
    waiting = deque(part for part in whole.children if part.children)
    while waiting:
        group = waiting.popleft()
        kind = _kind(graph, group)
        if kind in seen or cards + len(group.children) - 1 > most:
            continue
        seen.add(kind)
        cards += len(group.children) - 1
        yield group.key
        waiting += [part for part in group.children if part.children]


def _kind(graph: Graph, group: Element) -> tuple[Any, ...]:
    """What a group is, numbers left out."""
    ops = tuple(
        _kind(graph, part) if part.children else type(graph.steps[part.start].layer)
        for part in group.children
    )
    return (called(group), ops)


def _drawn(graph: Graph, whole: Element, opened: frozenset[str]) -> Drawn:
    cards = list(_shown(whole, opened))
    owner = [0] * len(graph.steps)
    for number, card in enumerate(cards):
        owner[card.start : card.stop] = [number] * len(card.nodes)
    edges = dict.fromkeys(
        (owner[edge.node], owner[node.index])
        for node in graph.steps
        for edge in node.inputs
        if owner[edge.node] != owner[node.index]
    )
    return Drawn(graph, whole, opened, cards, owner, list(edges))


def _opened(whole: Element, block: str | None) -> frozenset[str]:
    if block is None:
        return frozenset(group.key for group in whole.groups())
    chosen = found(whole, block)
    return frozenset(
        group.key
        for group in whole.groups()
        if (group.start <= chosen.start and chosen.stop <= group.stop)
        or (chosen.start <= group.start and group.stop <= chosen.stop)
    )


def found(whole: Element, block: str) -> Element:
    """The group at a path, or the first one that calls the block of that name."""
    inside = list(whole.groups())[1:]
    paths, blocks = [group.key for group in inside], [called(group) for group in inside]
    for names in (paths, blocks):
        if block in names:
            return inside[names.index(block)]
    message = f"`{block}` is no block that can be opened"
    known = list(dict.fromkeys(filter(None, blocks)))
    raise RenderError("E703", message, did_you_mean(block, known + paths))


def called(group: Element) -> str:
    """The name of the block that a group is a call of; "" of others."""
    return group.instance.block.name if group.instance is not None else ""


def _shown(group: Element, opened: frozenset[str]) -> Iterator[Element]:
    for part in group.children:
        if part.children and part.key in opened:
            yield from _shown(part, opened)
        else:
            yield part


def full(network: Network, block: str | None = None) -> str:
    """The view `graph` as DOT; `block` opens one in place."""
    return str(written(drawn(network, block), network.name).source)


def written(shown: Drawn, title: str) -> graphviz.Digraph:
    """Cards as nodes n0, n1 …, groups as clusters, in the order of the spec."""
    found = sheet(title, len(shown.edges))
    numbers = count(1)

    def put(group: Element, into: graphviz.Digraph) -> None:
        for part in group.children:
            if part.children and part.key in shown.opened:
                with into.subgraph(name=f"cluster_{next(numbers)}") as cluster:
                    cluster.attr(label=_label(heading(part)))
                    put(part, cluster)
            else:
                card = _closed if part.children else _op
                into.node(f"n{shown.owner[part.start]}", **card(shown.graph, part))

    put(shown.whole, found)
    for source, target in shown.edges:
        found.edge(f"n{source}", f"n{target}")
    return found


def collapsed(network: Network) -> str:
    """The view `blocks` as DOT."""
    shown = outline(network)
    found = sheet(network.name, len(shown.links))
    for number, part in enumerate(shown.parts):
        found.node(f"n{number}", **attributes(lines(part), part.family))
    for link, (source, target) in zip(shown.links, shown.ends, strict=True):
        style = {"style": "dashed", "color": palette.SKIP} if link.skip else {}
        found.edge(f"n{source}", f"n{target}", **style)
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


def heading(group: Element) -> str:
    """`layer3  Bottleneck × 36`."""
    return "  ".join(text for text in (group.name, group.title) if text)


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
    cut = (shortened(row, LONGEST) for row in rows)
    plain = (_UNSEEN.sub("\ufffd", row) for row in cut)
    # Graphviz reads character references in labels, and escapes that begin with a backslash
    said = "\\n".join(row.replace("\\", "\\\\").replace("&", "&amp;") for row in plain)
    found: str = graphviz.nohtml(said)  # one that is never taken as markup
    return found


def attributes(rows: list[str], family: str) -> dict[str, str]:
    """Of a card: its lines of words, its colours."""
    colours = palette.of(family)
    return {"label": _label(rows), "fillcolor": colours.fill, "color": colours.edge}


def _op(graph: Graph, card: Element) -> dict[str, str]:
    node = graph.steps[card.start]
    label, shape = words.card(node)
    rows = [label, *words.notes(node.layer), *filter(None, [shape])]
    return attributes(rows, words.family(node))


def _closed(graph: Graph, group: Element) -> dict[str, str]:
    out = words.shape(graph.steps[group.stop - 1].outs[0])
    return attributes([heading(group), out], leading(graph, group))


def leading(graph: Graph, group: Element) -> str:
    """The family with the most parameters in a group, or else with the most ops."""
    sums: dict[str, tuple[int, int]] = {}
    for node in graph.steps[group.start : group.stop]:
        params, ops = sums.get(words.family(node), (0, 0))
        own = sum(weight.size for weight in node.weights())
        sums[words.family(node)] = (params + own, ops + 1)
    return max(sums, key=lambda family: sums[family])
