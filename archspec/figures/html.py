"""Network → one HTML page to walk through: every block opens in place; nothing is fetched."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import replace
from fractions import Fraction
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archspec.figures import blocks, fonts, palette, svg, words
from archspec.figures.groups import groups as opening
from archspec.figures.plan import Plan, facts, plans, told
from archspec.figures.tree import Element
from archspec.frames import frame
from archspec.text.words import written
from archspec.units import count

if TYPE_CHECKING:
    from archspec.analysed import Network
    from archspec.analysis import Field, Row
    from archspec.expand.graph import Graph, Node

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
        title=network.name,
        totals=_totals(network),
        description=f"The layers of {network.name} and how they are linked",
        style=style,
        script=script,
        figure=svg.write(blocks.draw(network)),
        data=_json(_data(network)),
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
    for family in _families(network.graph):
        colours = palette.of(family)
        dark = _mixed(colours.fill, _DARK, 0.32 if family in palette.FAMILIES else 0.12)
        for root, fill, edge in (("", colours.fill, colours.edge), (".dark ", dark, colours.side)):
            rules.append(
                f"{root}.f-{family} .body{{fill:{fill};stroke:{edge}}}\n"
                f"{root}i.f-{family}{{background:{fill};border-color:{edge}}}\n"
            )
    return "".join(rules)


def _mixed(colour: str, ground: str, part: float) -> str:
    """So much of a colour `#rrggbb`, the rest of another."""
    pairs = ((int(colour[i : i + 2], 16), int(ground[i : i + 2], 16)) for i in (1, 3, 5))
    return "#" + "".join(f"{round(part * a + (1 - part) * b):02x}" for a, b in pairs)


def _families(graph: Graph) -> list[str]:
    return list(dict.fromkeys(map(_family, graph.steps)))


def _family(node: Node) -> str:
    return "input" if node.layer is None else words.family(node.layer)


class _Words:
    """Texts that stand for themselves once and are numbers from then on."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self._known: dict[str, int] = {}

    def __call__(self, text: str) -> int:
        number = self._known.setdefault(text, len(self.texts))
        if number == len(self.texts):
            self.texts.append(text)
        return number


def _data(network: Network) -> dict[str, Any]:
    graph, said = network.graph, _Words()
    whole = opening(graph)
    found = plans(graph, whole)
    lines = _Lines(network)
    shapes: list[dict[str, Any]] = []
    known: dict[str, int] = {}
    groups: list[list[Any]] = []
    place: dict[str, int] = {}
    for group in whole.groups():
        place[group.key] = len(groups)
        plan = told(found[group.key])
        key = json.dumps(plan)
        if key not in known:
            known[key] = len(shapes)
            shapes.append(plan)
        above = -1 if group.parent is None else place[group.parent.key]
        groups.append(
            [
                known[key], above, group.start, group.stop,
                group.key, group.name, group.title, lines.of_block(group),
                said(words.shape(graph.steps[group.stop - 1].outs[0])),
            ]
        )  # fmt: skip
    boxes: dict[tuple[int, ...], int] = {}
    families = _families(network.graph)
    nodes = _nodes(network, said, families, boxes, lines)
    totals = network.analysis.totals
    return {
        "name": network.name, "title": network.spec.title,
        "params": totals.params, "macs": totals.macs,
        "inputs": _inputs(graph), "families": families, "open": _opened(whole, found),
        "groups": groups, "plans": shapes, "nodes": nodes,
        "boxes": list(boxes), "lines": lines.told, "words": said.texts, "widths": _widths(),
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


def _nodes(
    network: Network,
    said: _Words,
    families: list[str],
    boxes: dict[tuple[int, ...], int],
    lines: _Lines,
) -> dict[str, list[Any]]:
    rows, graph = network.analysis.rows, network.graph
    inputs = {name: place for place, (name, _, _) in enumerate(_inputs(graph))}
    columns: dict[str, list[Any]] = {
        name: []
        for name in (
            "path", "family", "label", "shape", "out", "args", "marks", "params", "macs",
            "bytes", "saved", "field", "box", "line",
        )
    }  # fmt: skip
    for node, row, card in zip(graph.steps, rows, facts(graph), strict=True):
        box = _box(row, inputs)
        values: tuple[Any, ...] = (
            node.path, families.index(_family(node)), said(card.label), said(card.shape),
            said(", ".join(" × ".join(map(str, out.shape)) or "1" for out in node.outs)),
            said(_arguments(node)), said(_marks(node, row)), row.params, row.macs,
            row.bytes_out, row.bytes_saved, said(_field(row)),
            -1 if box is None else boxes.setdefault(box, len(boxes)), lines.of(node),
        )  # fmt: skip
        for column, value in zip(columns.values(), values, strict=True):
            column.append(value)
    return columns


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
    said = []
    if row.shared_with is not None:
        said.append(f"weights of {row.shared_with}")
    if row.training_only:
        said.append("in training only")
    if node.frozen:
        said.append("frozen")
    return ", ".join(said)


def _field(row: Row) -> str:
    """`91 × 91, stride 8, padding 45`; the whole input where every cell sees all of it."""
    if row.op == "input":
        return ""
    local = [field for field in row.fields if field.local]
    whole = any(field.whole for field in row.fields)
    if not local:
        return "the whole input" if whole else ""
    text = " × ".join(str(field.size) for field in local)
    text += f", stride {_once([field.stride for field in local])}"
    padding = _once([field.padding_here for field in local])
    text += f", padding {padding}" if padding != "0" else ""
    return f"{text}; and the whole input" if whole else text


def _once(values: list[Fraction | None]) -> str:
    texts = ["?" if value is None else str(value) for value in values]
    return texts[0] if len(set(texts)) == 1 else " × ".join(texts)


def _inputs(graph: Graph) -> list[tuple[str, int, int]]:
    """Name, height and width of each input; a height of 1 for a sequence."""
    found = []
    for node in graph.steps:
        if node.layer is None:
            sizes = node.outs[0].shape
            map_ = len(sizes) > 2
            found.append((node.path, sizes[-2] if map_ else 1, sizes[-1] if map_ else sizes[0]))
    return found


def _box(row: Row, inputs: dict[str, int]) -> tuple[int, ...] | None:
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
    ends = [(0, -1) if span is None else span for span in spans]
    if len(ends) == 1:
        ends = [(0, 0), *ends]
    return (inputs[named], *ends[0], *ends[1], int(whole))


def _reads(row: Row, field: Field) -> tuple[int, int] | None:
    """What the middle cell reads along an axis."""
    if field.span is None:
        return None if field.still is None or field.whole else field.still
    for axis, spans in enumerate(row.state.axes):
        if any(span is field.span for _, span in spans) and axis < len(row.shape):
            return field.cells((row.shape[axis] - 1) // 2)
    return field.cells(0)


class _Lines:
    """Lines of the spec that are quoted: `file:line` and text, each once."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.told: list[tuple[str, str]] = []
        self._known: dict[tuple[str, int], int] = {}
        self._items: dict[int, int] = {}
        self._texts: dict[str, list[str]] = {}

    def of(self, node: Node) -> int:
        if node.item is None:
            declared = self.network.spec.inputs.get(node.path)
            return -1 if declared is None else self._quoted(declared)
        return self._quoted(node.item)

    def of_block(self, group: Element) -> int:
        return -1 if group.instance is None else self._quoted(group.instance.block)

    def _quoted(self, what: Any) -> int:
        known = self._items.get(id(what))
        if known is None:
            known = self._items[id(what)] = self._find(what)
        return known

    def _find(self, what: Any) -> int:
        source = self.network.sources.get(what.loc.file)
        if source is None:
            return -1
        # of an item, where it says which op it is
        number = source.place(getattr(what, "key", replace(what.loc, on_key=True))).line
        text = self._texts.setdefault(what.loc.file, source.text.splitlines())
        if not 0 < number <= len(text):
            return -1
        place = self._known.setdefault((what.loc.file, number), len(self.told))
        if place == len(self.told):
            line = text[number - 1].strip()
            line = line if len(line) <= _LINE else line[: _LINE - 1] + "…"
            self.told.append((f"{Path(source.name).name}:{number}", line))  # not whose machine
        return place
