"""Network → Scene: every op, clustered by block, laid out by Graphviz.

The engine comes with pygraphviz's wheel and is called in this process: nothing is looked for on
PATH. What would be taller than a sheet goes on in further columns.
"""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Sequence
from contextlib import redirect_stderr
from dataclasses import dataclass, replace
from itertools import chain
from math import ceil
from operator import itemgetter
from typing import TYPE_CHECKING

from archspec.figures import cards, fonts, palette, words
from archspec.figures.columns import TORN, Column, Curve, Drawing, columns, folded, passed, within
from archspec.figures.dot import DENSE, HURRIED
from archspec.figures.errors import RenderError
from archspec.figures.groups import closed
from archspec.figures.opened import Opened, heading, leading, opened, smaller
from archspec.figures.outline import Part
from archspec.figures.scene import Box, Group, Mark, Path, Rect, Scene, Stroke, Text
from archspec.figures.tree import Element
from archspec.figures.wiring import skips

if TYPE_CHECKING:
    from archspec.analysed import Network
    from archspec.analysis import Row

_SIZE, _SMALL, _LEAST = 11.0, 9.5, 9.0
_EDGE, _HEAD = 20.0, 56.0
_ROW, _TALL = 22.0, 38.0  # px of an op's card, and of a closed group's
_TITLE = 13.0  # px that a cluster's heading takes, beside the margin of 8 px
_NARROWEST, _WIDEST = 74.0, 300.0
_GLYPH = 18.0
_FAR = 1500  # ranks that edges pass: 0.2 s of Graphviz; four times as many take 8 s
_FAN = 200  # lines that meet at one card: 3 s of Graphviz; four times as many take minutes
_APART = 12.0  # px between a label and a shape
_FRAME = Stroke("#9aa5b1", 1.0, (5.0, 3.0))
_SHADES = ("#ffffff", "#f5f7f9")


def draw(network: Network, block: str | None = None) -> Scene:
    """The whole network; with a `block`, that one opened in place, all others closed.

    Where the ops do not go on one sheet, each kind of group is opened once, or fewer still: the
    heading says so, and the DOT file and the page have them all.

    Raises RenderError for a block that there is not, and where more lines meet at one card than a
    sheet has room for; ModuleNotFoundError without pygraphviz.
    """
    some = smaller(network) if block is None else [opened(network, block)]
    scene: Scene | None = None
    for shown in some:
        if _most(shown) <= _FAN:
            scene = _sheet(network, shown)
            if scene.fits:
                break
    if scene is None:
        why = f"more than {_FAN} lines would meet at one card"
        message = f"`graph` does not apply to `{network.name}`: {why}"
        raise RenderError("E702", message, "--view blocks draws every network")
    return scene


def _most(shown: Opened) -> int:
    """Lines that meet at one card, at most."""
    ends = Counter(chain.from_iterable(set(edge) for edge in shown.edges))
    return max(ends.values(), default=0)


def _sheet(network: Network, shown: Opened) -> Scene:
    rows = network.analysis.rows
    faces = [*(_face(shown, card, rows) for card in shown.cards), *map(_output, shown.leaving)]
    groups = [group for group in shown.whole.groups() if group in shown][1:]
    placed = _placed(shown, groups, faces)
    pages = columns(placed)
    closed = sum(bool(card.children) for card in shown.cards)
    heads = cards.heading(network, _EDGE, f"{closed} groups closed" if closed else "")
    width = max(pages[-1].right, cards.right(heads)) + 2 * _EDGE
    down = _HEAD + cards.below(heads) + max(page.lanes for page in pages)
    height = max(page.height + page.lanes for page in pages) + down + _EDGE
    beside = skips(shown.edges)
    lines = []
    for number, (edge, curve) in enumerate(zip(shown.edges, placed.curves, strict=True)):
        steps = folded(curve, number, pages, (_EDGE, down))
        stroke = cards.SKIP if edge in beside else cards.LINE
        source, target = (faces[end].key for end in edge)
        lines.append(Path(steps, stroke, arrow=True, edge=(source, target)))
    drawn = []
    for face, box in zip(faces, placed.boxes, strict=True):
        page = next(page for page in pages if box.bottom <= page.stop)
        drawn.append(face.drawn(_moved(box, page, down)))
    frames = _frames(groups, placed, pages, down)
    marks = (*heads, *frames, Group(tuple(lines), role="edges"), *drawn)
    count = f"{len(faces)} cards, {len(shown.edges)} edges"
    return Scene(width, height, marks, network.called, f"{cards.about(network)}: {count}")


# ------------------------------------------------------------------ cards


@dataclass(frozen=True, slots=True)
class _Face:
    """A card: a label at the left and a shape at the right, or below where it is a group."""

    key: str
    label: str
    shape: str
    family: str
    tip: str
    glyph: str = ""
    name: str = ""
    group: bool = False

    @property
    def size(self) -> tuple[float, float]:
        """Width and height in px."""
        if self.glyph:
            return _GLYPH, _GLYPH
        shape = fonts.width(self.shape, _SMALL)
        if self.group:
            wide = max(_wide(self.name, self.label), shape)
        else:
            wide = fonts.width(self.label, _SIZE) + (shape + _APART if self.shape else 0.0)
        return float(ceil(min(_WIDEST, max(_NARROWEST, wide + 16)))), _TALL if self.group else _ROW

    def drawn(self, box: Box) -> Group:
        if self.glyph:
            part = Part(self.key, "merge", "merge", self.label, op=self.glyph)
            return cards.card(part, cards.Face((), glyph=self.glyph), box)
        colours = palette.of(self.family)
        marks: list[Mark] = [Rect(box, colours.fill, Stroke(colours.edge, 1.1), 4.0)]
        if self.group:
            marks.insert(0, Rect(box.moved(3, 3), "#ffffff", Stroke(colours.edge, 0.9), 4.0))
        return Group((*marks, *self._words(box)), self.key, self.tip, "card")

    def _words(self, box: Box) -> list[Text]:
        left, room = box.left + 8, box.width - 16
        if self.group:
            label = Text(left, box.top + 16, self.label, _SIZE)
            shape = Text(left, box.top + 30, self.shape, _SMALL)
            return [*_named(self.name, label, room), shape.fit(room)]
        base = box.top + _ROW / 2 + 3.9
        if not self.shape:
            return [Text(box.middle[0], base, self.label, _SIZE, "middle").fit(room)]
        label = Text(left, base, self.label, _SIZE)
        shape = Text(box.right - 8, base, self.shape, _SMALL, "end")
        shape = shape.fit(room - min(label.width, room / 2) - _APART)
        return [label.fit(room - shape.width - _APART), shape]


def _named(name: str, label: Text, room: float) -> list[Text]:
    """A name in bold where the label stands, and the label behind it, as far as there is room."""
    first = Text(label.x, label.y, name, label.size, bold=True).fit(room)
    after = first.width + 5 if first.text else 0.0
    second = replace(label, x=label.x + after).fit(room - after)
    return [text for text in (first, second) if text.text]


def _face(shown: Opened, card: Element, rows: Sequence[Row]) -> _Face:
    graph = shown.graph
    params = sum(rows[index].params for index in card.nodes)
    owned = (f"{params:,} parameters",) if params else ()
    if card.children:
        out, family = closed(graph, card), leading(graph, card)
        tip = ", ".join((heading(card), *owned, words.held(graph.steps[i] for i in card.nodes)))
        return _Face(card.key, card.title, out, family, tip, name=card.name, group=True)
    node = graph.steps[card.start]
    label, shape = words.card(node)
    if node.layer is None:
        return _Face(node.path, label, shape, "input", node.path)
    label = " ".join((label, *words.notes(node.layer))) + shown.marks[card.start]
    glyph = node.op if node.op in cards.GLYPHS else ""
    tip = ", ".join((f"{node.path}: {label}", words.shape(node.outs[0]), *owned))
    return _Face(node.path, label, shape, words.family(node), tip, glyph)


def _output(name: str) -> _Face:
    return _Face(f"→{name}", name, "", "output", f"the output {name}")


# ------------------------------------------------------------------ Graphviz


def _placed(shown: Opened, groups: Sequence[Element], faces: Sequence[_Face]) -> Drawing:
    """What Graphviz finds, y downwards.

    It is given boxes without words: they are measured here, so that no font of this machine
    matters.
    """
    import pygraphviz

    sheet = pygraphviz.AGraph(string=_asked(shown, groups, faces))
    with redirect_stderr(io.StringIO()):  # it says there that a large graph may take a while
        found = json.loads(sheet.draw(format="json0", prog="dot"))
    sheet.close()
    top = float(found["bb"].split(",")[3])
    objects = found.get("objects", ())
    placed: dict[str, Box] = {}
    for item in objects:
        name = item["name"]
        if name.startswith("n"):
            x, y = map(float, item["pos"].split(","))
            wide, tall = faces[int(name[1:])].size
            placed[name] = Box(x - wide / 2, top - y - tall / 2, x + wide / 2, top - y + tall / 2)
        else:
            left, low, right, high = map(float, item["bb"].split(","))
            placed[name] = Box(left, top - high, right, top - low)
    names = {item["_gvid"]: item["name"] for item in objects}
    ways = {
        (names[edge["tail"]], names[edge["head"]]): _curve(edge["pos"], top)
        for edge in found.get("edges", ())
    }
    clusters = [placed[f"cluster_{number}"] for number in range(len(groups))]
    return Drawing(
        [placed[f"n{number}"] for number in range(len(faces))],
        clusters,
        [ways[f"n{source}", f"n{target}"] for source, target in shown.edges],
        [_strip(group, box) for group, box in zip(groups, clusters, strict=True)],
    )


def _asked(shown: Opened, groups: Sequence[Element], faces: Sequence[_Face]) -> str:
    """The question in DOT: numbers alone, nothing that a spec says."""
    cluster = {group: number for number, group in enumerate(groups)}
    dear = len(shown.edges) > DENSE or _passed(shown.edges) > _FAR
    hurried = HURRIED if dear or shown.deep else {}
    # lines to outputs leave their groups in all directions, and need room to turn
    apart, further = (0.4, " [minlen=2]") if shown.leaving else (0.2, "")
    settings = "".join(f" {name}={value}" for name, value in hurried.items())
    found = [
        f"digraph {{ graph [nodesep={apart} ranksep=0.22 labeljust=l{settings}]",
        'node [shape=box fixedsize=true label=""] edge [arrowhead=none]',
    ]

    def place(number: int) -> None:
        wide, tall = (round(side / 72, 4) for side in faces[number].size)
        round_ = " shape=circle" if faces[number].glyph else ""
        found.append(f"n{number} [width={wide} height={tall}{round_}]")

    def put(group: Element) -> None:
        for part in group.children:
            if part in cluster:
                wide = round(1.5 * _wide(part.name, part.title) + 10)  # a line may pass through
                room = f'<table border="0" fixedsize="true" width="{wide}" height="{_TITLE:g}">'
                label = f"<{room}<tr><td></td></tr></table>>"
                found.append(f"subgraph cluster_{cluster[part]} {{ graph [label={label}]")
                put(part)
                found.append("}")
                continue
            place(shown.owner[part.start])

    put(shown.whole)
    for number in range(len(shown.cards), len(faces)):
        place(number)
    for a, b in shown.edges:
        found.append(f"n{a} -> n{b}{further if b >= len(shown.cards) else ''}")
    return "\n".join([*found, "}"])


def _passed(edges: Sequence[tuple[int, int]]) -> int:
    """How many ranks edges pass: Graphviz makes a node of each."""
    ranks: dict[int, int] = {}
    for a, b in sorted(edges, key=itemgetter(1)):
        ranks[b] = max(ranks.get(b, 0), ranks.get(a, 0) + 1)
    return sum(ranks[b] - ranks.get(a, 0) for a, b in edges)


def _curve(text: str, top: float) -> Curve:
    """Bézier pieces: a point, then three for each piece."""
    points = (word.split(",")[-2:] for word in text.split())
    return tuple((float(x), top - float(y)) for x, y in points)


# ------------------------------------------------------------------ frames


def _moved(box: Box, page: Column, down: float) -> Box:
    left, right = page.x(box.left), page.x(box.right)
    return Box(left, box.top + page.down, right, box.bottom + page.down).moved(_EDGE, down)


def _frames(
    groups: Sequence[Element], placed: Drawing, pages: Sequence[Column], down: float
) -> list[Mark]:
    """Groups, outer ones first; one that goes on in the next column is framed in both."""
    found: list[Mark] = []
    around: list[tuple[Element, Box]] = []
    for group, box in zip(groups, placed.clusters, strict=True):
        while around and group.start >= around[-1][0].stop:
            around.pop()
        fill, above = _SHADES[len(around) % 2], [outer.top for _, outer in around]
        around.append((group, box))
        for page in pages:
            # the outermost that goes on here has a heading once more
            torn = box.top < page.start <= min(above, default=page.start)
            top = page.start - TORN if torn else max(box.top, page.start)
            bottom = min(box.bottom, page.stop)
            if bottom - max(box.top, page.start) < 1:
                continue
            part = _moved(Box(box.left, top, box.right, bottom), page, down)
            marks: list[Mark] = [Rect(part, fill, _FRAME, 6.0)]
            if torn or top == box.top:
                lines = _lines(placed, page, down)
                said = "continued" if torn else group.title
                for text in _titled(group.name, said, part, lines):
                    if text.bold or not torn or text.text == said:  # half of that word says nothing
                        marks.append(text)
            found.append(Group(tuple(marks), group.key, heading(group), "group"))
    return found


def _lines(placed: Drawing, page: Column, down: float) -> list[Curve]:
    """What is drawn of all lines in a column; those that come from the one before, from above."""
    found = []
    for curve, (high, _) in zip(placed.curves, placed.ends, strict=True):
        way = within(curve, page, (_EDGE, down))
        if way is not None and high < page.start:
            (x, y), start = way[0], (way[0][0], way[0][1] - TORN)
            way = (start, start, (x, y), *way)
        found += [way] if way is not None else []
    return found


def _titled(name: str, said: str, box: Box, lines: Sequence[Curve]) -> list[Text]:
    """A heading where no line passes, or on both sides of one; its copies are counted at least,
    cards say what they are."""
    widest, *others = sorted(_clear(box, lines), key=lambda gap: gap[0] - gap[1])
    if name and others and _wide(name, said) > widest[1] - widest[0]:
        (left, right), second = sorted((widest, others[0]))
        named = fonts.width(name, _SIZE, bold=True)
        beside = Text(second[0], box.top + 14, said, _SIZE, colour=palette.MUTED)
        if named <= right - left and beside.width <= second[1] - second[0]:
            return [Text(left, box.top + 14, name, _SIZE, bold=True), beside]
    left, right = widest
    if _wide(name, said) > right - left and " × " in said:
        said = said[said.index(" × ") + 1 :]
    needed = max(_wide(name, said), 1.0)
    size = min(_SIZE, max(_LEAST, _SIZE * (right - left) / needed))  # rather smaller than cut
    title = Text(left, box.top + 14, said, size, colour=palette.MUTED)
    return _named(name, title, right - left)


def _wide(name: str, title: str) -> float:
    """Px that a heading takes."""
    named = fonts.width(name, _SIZE, bold=True) + 5 if name else 0.0
    return named + fonts.width(title, _SIZE)


def _strip(group: Element, box: Box) -> Box:
    """Where a heading is likely to stand."""
    right = min(box.right, box.left + 14 + _wide(group.name, group.title))
    return Box(box.left, box.top, right, box.top + _TITLE + 6)


def _clear(box: Box, curves: Sequence[Curve]) -> list[tuple[float, float]]:
    """From where to where no line passes through the strip of a group's heading, left to right."""
    low, first, last = box.top + _TITLE + 6, box.left + 7, box.right - 7
    spans = []
    for curve in curves:
        xs = passed(curve, box.top, low)
        if xs is not None and xs[1] > box.left and xs[0] < box.right:
            spans.append((xs[0] - 4, xs[1] + 4))
    found, reached = [], first
    for left, right in [*sorted(spans), (last, last)]:
        if left > reached:
            found.append((reached, left))
        reached = max(reached, right)
    return found or [(first, first)]
