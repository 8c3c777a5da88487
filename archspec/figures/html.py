"""Network → one HTML page to walk through: every block opens in place; nothing is fetched."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from archspec.figures import blocks, cards, fonts, palette, svg, words
from archspec.figures.groups import closed, marks
from archspec.figures.groups import groups as opening
from archspec.figures.plan import Plan, plans, told
from archspec.figures.seen import along
from archspec.figures.tree import Element
from archspec.frames import frame
from archspec.language import Item
from archspec.text.words import printable, shortened, written
from archspec.units import count, once

if TYPE_CHECKING:
    from archspec.analysed import Network
    from archspec.analysis import Field, Row
    from archspec.expand.graph import Graph, Node
    from archspec.language import Block, Input
    from archspec.text.faults import Loc

T = TypeVar("T")

OPEN = 20
"""Cards that a page may show before anything is clicked."""
_DARK = "#14171b"  # the ground in the dark, as `page.css` says
_LINE = 160  # characters of a line of the spec that are quoted


def write(network: Network) -> str:
    """The page; the network folded up is in it as well, as it is printed, or seen without scripts.

    Its policy allows the page's own script and style and nothing else, so that no name in a spec
    can become one.
    """
    style = _file("page.css") + _colours(network)
    script = _file("page.js")
    return frame(
        "figures/page/page.html.jinja",
        policy=_policy(style, script),
        title=network.called,
        totals=_totals(network),
        description=f"The layers of {network.called} and how they are linked",
        style=style,
        script=script,
        figure=svg.write(blocks.draw(network)),
        data=_json(_Data(network).told()),
    )


def _file(name: str) -> str:
    return (resources.files("archspec.figures") / "page" / name).read_text(encoding="utf-8")


def _policy(style: str, script: str) -> str:
    def digest(text: str) -> str:
        return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()

    return (
        f"default-src 'none'; script-src 'sha256-{digest(script)}'; "
        f"style-src 'sha256-{digest(style)}'; img-src data:; base-uri 'none'; form-action 'none'"
    )


def _json(value: object) -> str:
    """JSON that nothing in it can end the element it stands in."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _totals(network: Network) -> str:
    totals = network.analysis.totals
    layers = len(network.graph.steps) - len(network.graph.root.inputs)
    params = count(totals.params).strip()
    return f"{layers:,} layers · {params} parameters · {count(totals.macs)}MACs"


def _colours(network: Network) -> str:
    """The palette as style rules of the families that occur, in light and in dark."""
    rules = []
    for family in dict.fromkeys(map(words.family, network.graph.steps)):
        colours = palette.of(family)
        dark = palette.mixed(_DARK, colours.fill, 0.32 if family in palette.FAMILIES else 0.12)
        for root, fill, edge in (("", colours.fill, colours.edge), (".dark ", dark, colours.side)):
            rules.append(
                f"{root}.f-{family} .body{{fill:{fill};stroke:{edge}}}\n"
                f"{root}i.f-{family}{{background:{fill};border-color:{edge}}}\n"
            )
    return "".join(rules)


class _Numbered(Generic[T]):
    """Values that are written once and are numbers from then on."""

    def __init__(self) -> None:
        self.numbers: dict[T, int] = {}

    def __call__(self, value: T) -> int:
        return self.numbers.setdefault(value, len(self.numbers))


class _Data:
    """What the page's script reads: see `page.js`."""

    def __init__(self, network: Network) -> None:
        self.network, self.graph = network, network.graph
        self.words, self.boxes = _Numbered[str](), _Numbered[tuple[int, ...]]()
        self.families = _Numbered[str]()
        self.lines = _Lines(network)
        self.inputs = _inputs(self.graph)

    def told(self) -> dict[str, Any]:
        whole, totals = opening(self.graph), self.network.analysis.totals
        found, behind = plans(self.graph, whole), marks(self.graph, whole)
        looks, places = _Numbered[str](), _Numbered[str]()
        groups = []
        for group in whole.groups():
            look = looks(json.dumps(told(found[group.key])))
            above = -1 if group.parent is None else places(group.parent.key)
            places(group.key)
            groups.append([look, above, *self._group(group)])
        rows = self.network.analysis.rows
        nodes = [self._node(node, rows[node.index], behind) for node in self.graph.steps]
        return {
            "name": self.network.called, "title": cards.about(self.network),
            "params": totals.params, "macs": totals.macs,
            "inputs": self.inputs, "families": list(self.families.numbers),
            "leading": words.LEADING,
            "open": _opened(whole, found), "groups": groups,
            "plans": [json.loads(look) for look in looks.numbers],
            "nodes": {name: [node[name] for node in nodes] for name in nodes[0]},
            "boxes": list(self.boxes.numbers), "lines": list(self.lines.told.numbers),
            "words": list(self.words.numbers), "widths": _widths(),
        }  # fmt: skip

    def _group(self, group: Element) -> list[Any]:
        return [
            group.start, group.stop, group.key, group.name, group.title,
            self.lines.of(None if group.instance is None else group.instance.block),
            self.words(closed(self.graph, group)),
        ]  # fmt: skip

    def _node(self, node: Node, row: Row, behind: Sequence[str]) -> dict[str, Any]:
        card, box = words.card(node), _box(row, [name for name, _, _ in self.inputs])
        out = ", ".join(" × ".join(map(str, out.shape)) or "1" for out in node.outs)
        return {
            "path": node.path, "family": self.families(words.family(node)),
            "label": self.words(card.label + behind[node.index]), "shape": self.words(card.shape),
            "out": self.words(out), "args": self.words(_arguments(node)),
            "marks": self.words(_marks(node, row)), "params": row.params, "macs": row.macs,
            "bytes": row.bytes_out, "saved": row.bytes_saved, "field": self.words(_field(row)),
            "box": -1 if box is None else self.boxes(box),
            "line": self.lines.of(node.item or self.network.spec.inputs.get(node.path)),
        }  # fmt: skip


def _widths() -> list[int]:
    """Advance widths of the printable characters of ASCII, in thousandths."""
    return [round(fonts.width(chr(code), 1000.0)) for code in range(32, 127)]


def _opened(whole: Element, found: dict[str, Plan]) -> list[str]:
    """Keys of the groups that are open at first: the largest, while all cards fit on a screen."""
    opened: list[str] = []
    cards = len(found[whole.key].items)
    shut = [part for part in whole.children if part.children]
    while shut:
        group = max(shut, key=lambda group: len(group.nodes))
        cards += len(found[group.key].items) - 3  # less the card itself, and two ports
        if cards > OPEN:
            break
        opened.append(group.key)
        shut.remove(group)
        shut.extend(part for part in group.children if part.children)
    return opened


def _arguments(node: Node) -> str:
    """As a spec says them: `conv: {out: 64, kernel: 7, stride: 2}`, defaults left out."""
    if node.layer is None:
        return "input"
    fields = type(node.layer).model_fields
    given = {
        name: value for name, value in node.layer.values().items() if value != fields[name].default
    }
    inner = ", ".join(f"{name}: {written(value)}" for name, value in given.items())
    return f"{node.layer.op}: {{{inner}}}" if inner else node.layer.op


def _marks(node: Node, row: Row) -> str:
    said = {
        f"weights of {row.shared_with}": row.shared_with is not None,
        f"weight of {row.tied_to}": row.tied_to is not None,
        "in training only": row.training_only,
        "frozen": node.frozen,
    }
    return ", ".join(text for text, true in said.items() if true)


def _field(row: Row) -> str:
    """`91 × 91, stride 8, padding 45`; the whole input where every cell sees all of it."""
    if row.op == "input":
        return ""
    local = [field for field in row.fields if field.local]
    whole = any(field.whole for field in row.fields)
    if not local:
        return "the whole input" if whole else ""
    text = " × ".join(str(field.size) for field in local)
    text += f", stride {once([field.stride for field in local], ' × ')}"
    padding = once([field.padding_here for field in local], " × ")
    text += f", padding {padding}" if padding != "0" else ""
    return f"{text}; and the whole input" if whole else text


def _inputs(graph: Graph) -> list[tuple[str, int, int]]:
    """Name, height and width of each input; a height of 1 for a sequence, 1 × 1 for a number."""
    found = []
    for node in graph.steps:
        if node.layer is None:
            shape = node.outs[0].shape
            height, width = shape[-2:] if len(shape) > 2 else (1, (*shape, 1)[0])
            found.append((node.path, height, width))
    return found


def _box(row: Row, inputs: list[str]) -> tuple[int, ...] | None:
    """Input; first and last cell, down and across, that the middle output cell reads; 1 if all."""
    fields = [field for field in row.fields if field.input in inputs]
    if row.op == "input" or not fields:
        return None
    named = fields[0].input
    mine = [field for field in fields if field.input == named][-2:]
    spans = [_reads(row, field) for field in mine]
    whole = any(field.whole for field in mine)
    if all(span is None for span in spans) and not whole:
        return None
    down, across = [(0, 0), *((0, -1) if span is None else span for span in spans)][-2:]
    return (inputs.index(named), *down, *across, int(whole))


def _reads(row: Row, field: Field) -> tuple[int, int] | None:
    """What the middle cell reads along an axis."""
    if field.span is None:
        return None if field.still is None or field.whole else field.still
    return field.cells((along(row, field) - 1) // 2)


class _Lines:
    """Lines of the spec that are quoted: `file:line` and text, each once."""

    def __init__(self, network: Network) -> None:
        self.sources = network.sources
        self.told = _Numbered[tuple[str, str]]()
        self._known: dict[Loc, int] = {}
        self._texts: dict[str, list[str]] = {}

    def of(self, what: Item | Input | Block | None) -> int:
        """The number of the line that declares something; of an item, that says which op it is."""
        if what is None:
            return -1
        loc = what.key if isinstance(what, Item) else replace(what.loc, on_key=True)
        if loc not in self._known:
            self._known[loc] = self._find(loc)
        return self._known[loc]

    def _find(self, loc: Loc) -> int:
        source = self.sources.get(loc.file)
        if source is None:
            return -1
        number = source.place(loc).line
        if loc.file not in self._texts:
            self._texts[loc.file] = source.text.splitlines()
        text = self._texts[loc.file]
        if not 0 < number <= len(text):
            return -1
        name = printable(Path(source.name).name)  # not whose machine
        return self.told((f"{name}:{number}", shortened(text[number - 1].strip(), _LINE)))
