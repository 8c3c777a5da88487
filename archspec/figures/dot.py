"""Network → DOT: every op clustered by block, or the folded network, for Graphviz.

Written through the `graphviz` package, whose quoting and escaping it relies on; names in the file
are numbers, and what a spec says stands in labels only.
"""

from __future__ import annotations

import re
from itertools import count
from typing import TYPE_CHECKING

from archspec.figures import palette, words
from archspec.figures.groups import closed
from archspec.figures.opened import Opened, heading, leading, opened
from archspec.figures.outline import Part, outline
from archspec.figures.tree import Element
from archspec.text.words import shortened

if TYPE_CHECKING:
    import graphviz

    from archspec.analysed import Network

LONGEST = 80  # characters of a line on a card
DENSE = 500  # edges above which Graphviz is asked to take less care

# Curves and straight pieces cost the same there (0.04 s for ResNet-152), and are easier to follow
# than plain lines, which run through every box between their ends.
HURRIED = {"nslimit": "1", "mclimit": "0.1", "splines": "polyline"}
_FONT = "Helvetica"
_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")  # NUL ends a file, quoted or not


def full(network: Network, block: str | None = None) -> str:
    """The view `graph` as DOT; `block` opens one in place."""
    return str(written(opened(network, block), network.called).source)


def written(shown: Opened, title: str) -> graphviz.Digraph:
    """Cards as nodes n0, n1 …, groups as clusters, in the order of the spec."""
    found = sheet(title, len(shown.edges))
    numbers = count(1)

    def put(group: Element, into: graphviz.Digraph) -> None:
        for part in group.children:
            if part in shown:
                with into.subgraph(name=f"cluster_{next(numbers)}") as cluster:
                    cluster.attr(label=_label(heading(part)))
                    put(part, cluster)
            else:
                card = _closed if part.children else _op
                into.node(f"n{shown.owner[part.start]}", **card(shown, part))

    put(shown.whole, found)
    for number, name in enumerate(shown.leaving, len(shown.cards)):
        found.node(f"n{number}", **attributes([name], "output"))
    for source, target in shown.edges:
        found.edge(f"n{source}", f"n{target}")
    return found


def collapsed(network: Network) -> str:
    """The view `blocks` as DOT."""
    shown = outline(network)
    found = sheet(network.called, len(shown.links))
    for number, part in enumerate(shown.parts):
        found.node(f"n{number}", **attributes(lines(part), part.family))
    for link, (source, target) in zip(shown.links, shown.ends, strict=True):
        style = {"style": "dashed", "color": palette.SKIP} if link.skip else {}
        found.edge(f"n{source}", f"n{target}", **style)
    return str(found.source)


def lines(part: Part) -> list[str]:
    """The words on a card of the outline."""
    shape = " × ".join(map(str, part.shape))
    more = dict.fromkeys((part.name, *part.notes, *part.marks, *part.varies, shape))
    return [*part.ahead, part.counted, *filter(None, more)]


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


def _op(shown: Opened, card: Element) -> dict[str, str]:
    node = shown.graph.steps[card.start]
    label, shape = words.card(node)
    rows = [label + shown.marks[card.start], *words.notes(node.layer), *filter(None, [shape])]
    return attributes(rows, words.family(node))


def _closed(shown: Opened, group: Element) -> dict[str, str]:
    rows = [heading(group), closed(shown.graph, group)]
    return attributes(rows, leading(shown.graph, group))
