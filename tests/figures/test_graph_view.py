"""Every op: DOT and Mermaid that any name survives, and Graphviz's layout as a figure."""

from __future__ import annotations

import re
import subprocess
import sys
from xml.etree import ElementTree

import checking
import figures
import pytest

import archspec
from archspec import Program
from archspec.figures import RenderError, columns, dot, figure, graph, mermaid, svg
from archspec.figures.opened import opened, smaller
from archspec.figures.outline import outline
from archspec.figures.scene import Box, Group, Path, Scene, Text

pygraphviz = pytest.importorskip("pygraphviz", reason="the extra `figures` has the layout engine")

NAMES = [
    "vgg16", "googlenet", "efficientnet_b0", "unet", "yolov3", "faster_rcnn", "dcgan_generator",
    "vae", "transformer", "vit_b_16",
]  # fmt: skip

HOSTILE = [
    "<b>bold</b>", "<<table>", "</script>", "]]>", "&lt;", '"];x[', r"\N", "trailing \\", "a:b",
    "%%{init}%%", "A-->B", "end", "`code`", "#35;", "🙂 ‘quoted’", "x" * 300, "] --> n0[",
]  # fmt: skip


@pytest.fixture(scope="module")
def resnet152() -> Program:
    return archspec.load("resnet50", "resnet152")


def cards(scene: Scene) -> list[str]:
    return [
        mark.key
        for mark in scene.marks()
        if isinstance(mark, Group) and mark.role in checking.CARDS
    ]


def joined(scene: Scene) -> list[tuple[str, str]]:
    return [mark.edge for mark in scene.marks() if isinstance(mark, Path) and mark.edge]


@pytest.mark.parametrize("name", figures.NETWORKS)
def test_a_sheet_with_every_op_or_the_group_it_is_in(name: str) -> None:
    program = figures.network(name)
    nodes = program.graph.steps
    scene = graph.draw(program)
    assert checking.faults(scene) == []
    outputs = program.graph.outputs if len(program.graph.outputs) > 1 else {}
    ops = len(cards(scene)) - len(outputs)
    shown = next(d for d in smaller(program) if len(d.cards) == ops)
    names = [card.key for card in shown.cards]
    assert sorted(cards(scene)) == sorted([*names, *(f"→{name}" for name in outputs)])
    edges = {
        (names[shown.owner[edge.node]], names[shown.owner[node.index]])
        for node in nodes
        for edge in node.inputs
        if shown.owner[edge.node] != shown.owner[node.index]
    }
    edges |= {
        (names[shown.owner[edge.node]], f"→{name}")
        for name, gives in outputs.items()
        for edge in gives
    }
    assert sorted(joined(scene)) == sorted(edges)


@pytest.mark.parametrize("name", ["vgg16", "unet", "dcgan", "vae"])
def test_every_op_where_they_go_on_a_sheet(name: str) -> None:
    program = figures.network(name)
    ops = [card for card in cards(graph.draw(program)) if not card.startswith("→")]
    assert sorted(ops) == sorted(n.path for n in program.graph.steps)


def test_each_kind_of_block_is_opened_once(resnet152: Program) -> None:
    scene = graph.draw(resnet152)
    shown = set(cards(scene))
    assert {"layer1.0.conv2", "layer1.1.conv2", "layer1.2", "layer3.35", "fc"} <= shown
    assert "layer1.2.conv2" not in shown
    assert "46 groups closed" in [m.text for m in scene.marks() if isinstance(m, Text)][1]


def test_five_hundred_edges_and_more(resnet152: Program) -> None:
    text = dot.full(resnet152)
    assert len(opened(resnet152).edges) > dot.DENSE
    assert svg.write(graph.draw(resnet152)) == svg.write(graph.draw(resnet152))
    assert "nslimit=1" in text
    assert "mclimit=0.1" in text
    assert "ortho" not in text


def test_one_block_opened_in_place(resnet152: Program) -> None:
    scene = graph.draw(resnet152, "layer3.17")
    shown = set(cards(scene))
    assert {"conv1", "layer1", "layer3.16", "layer3.17.conv2", "layer3.18", "layer4"} <= shown
    assert "layer3.16.conv2" not in shown
    assert checking.faults(scene) == []
    assert ("layer3.16", "layer3.17.conv1") in joined(scene)
    assert ("layer3.16", "layer3.17.residual1") in joined(scene)
    first = graph.draw(resnet152, "Bottleneck")
    assert svg.write(first) == svg.write(graph.draw(resnet152, "layer1.0"))


def test_a_block_that_there_is_not(resnet152: Program) -> None:
    with pytest.raises(RenderError) as caught:
        graph.draw(resnet152, "layer3.170")
    assert "`layer3.170` is no block" in str(caught.value)
    assert "layer3.17" in str(caught.value)


def test_needs_no_program_on_path() -> None:
    """The engine is a library of the wheel: with an empty PATH there is no `dot` to call."""
    script = (
        "import archspec, shutil\n"
        "assert shutil.which('dot') is None\n"
        "from archspec.figures import figure\n"
        "print(len(figure(archspec.load('lenet5'), 'graph', 'svg')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], env={"PATH": ""}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 2000
    assert done.stderr == ""


# ------------------------------------------------------------------ text formats


def test_dot_is_read_by_graphviz(resnet152: Program) -> None:
    for text in (dot.full(resnet152), dot.collapsed(resnet152), dot.full(resnet152, "layer2.3")):
        sheet = pygraphviz.AGraph(string=text)
        nodes = sheet.number_of_nodes()
        assert nodes == len(re.findall(r"^\t+n\d+ \[", text, re.MULTILINE))
        sheet.close()
    full = pygraphviz.AGraph(string=dot.full(resnet152))
    assert full.number_of_nodes() == len(resnet152.graph.steps)
    assert len(full.get_subgraph("cluster_1").subgraphs()) == 3  # Bottlenecks of layer1
    full.close()


def test_dot_keeps_names_as_text() -> None:
    """What Graphviz draws is the very text: no markup, no escapes, no ports, no attributes."""
    sheet = dot.sheet("n", 0)
    for number, name in enumerate(HOSTILE):
        sheet.node(f"n{number}", **dot.attributes([name], "conv"))
    drawn = pygraphviz.AGraph(string=sheet.source).draw(format="svg", prog="dot").decode()
    words = ElementTree.fromstring(drawn).iter("{http://www.w3.org/2000/svg}text")
    assert sorted(word.text or "" for word in words) == sorted([*map(shortened, HOSTILE), "n"])


def shortened(name: str) -> str:
    return name if len(name) <= dot.LONGEST else name[: dot.LONGEST - 1] + "…"


@pytest.mark.parametrize("name", HOSTILE)
def test_mermaid_keeps_names_as_text(name: str) -> None:
    """Letters, digits and harmless signs reach the file; all others are told by their number."""
    said = mermaid.text(name)
    assert re.fullmatch(r"(?:\w|[ ×·²³…,./+()-]|#\d+;)*", said)
    read = re.sub(r"#(\d+);", lambda found: chr(int(found[1])), said)
    assert read == shortened(name)


@pytest.mark.parametrize("name", NAMES)
def test_mermaid_has_every_part_and_link_once(name: str) -> None:
    program = archspec.load(name)
    text = figure(program, "blocks", "mermaid")
    assert isinstance(text, str)
    shown = outline(program)
    assert len(re.findall(r"^    n\d+[(\[]", text, re.MULTILINE)) == len(shown.parts)
    assert len(re.findall(r"^    n\d+ (?:-->|-\.->) n\d+$", text, re.MULTILINE)) == len(shown.links)
    dotted = figure(program, "blocks", "dot")
    assert isinstance(dotted, str)
    assert len(re.findall(r"^\tn\d+ -> n\d+", dotted, re.MULTILINE)) == len(shown.links)


# ------------------------------------------------------------------ columns


def test_a_line_goes_through_all_columns_it_passes() -> None:
    """Cards below one another, and a line beside them from the first to the last."""
    boxes = [Box(0, 60 * i, 100, 60 * i + 30) for i in range(60)]
    down = [tuple((50, 60 * i + y) for y in (30, 40, 50, 60)) for i in range(59)]
    beside = ((100, 15), (160, 15), (160, 3555), (100, 3555))
    pages = columns.columns(columns.Drawing(boxes, (), [*down, beside]))
    assert len(pages) > 2
    steps = columns.folded(beside, len(down), pages, (0, 0))
    assert steps[0][0] == "M"
    lefts = [page.across for page in pages]
    assert lefts == sorted(lefts)
    assert steps[0][1:] == pytest.approx((pages[0].x(100), 15))
    assert steps[-1][-2:] == pytest.approx((pages[-1].x(100), 3555 + pages[-1].down))
    back = columns.folded(beside[::-1], len(down), pages, (0, 0))
    assert back[0][1:] == pytest.approx(steps[-1][-2:])
    assert back[-1][-2:] == pytest.approx(steps[0][1:])
    assert len(back) == len(steps)
