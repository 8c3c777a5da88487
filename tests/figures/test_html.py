"""The page: what is in the file, and how it behaves in a real browser."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

import archspec
from archspec import Program
from archspec.figures import figure, plan
from archspec.figures.groups import groups
from archspec.figures.tree import Element

BIG = """\
spec: 1
name: big
input: [16, 64, 64]
blocks:
  Block:
    body:
      - residual:
          - {conv: {out: 16, kernel: 3, padding: 1}, repeat: 2}
          - batch_norm
          - relu
          - {conv: {out: 16, kernel: 3, padding: 1}}
          - batch_norm
      - relu
body:
  - {id: stages, repeat: 20, body: [{id: blocks, Block: {}, repeat: 32}]}
"""

HOSTILE = """\
spec: 1
name: hostile
title: "</script><script>document.title = 'broken'</script><img src=x onerror=alert(1)> &amp; \\"];"
input: [3, 8, 8]
body:
  - {id: first, conv: {out: 4, kernel: 3}, note: "</title><b>x</b>"}
  - relu  # <script>alert(1)</script>
"""

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


@pytest.fixture(scope="module")
def resnet152() -> Program:
    return archspec.load("resnet50", "resnet152")


@pytest.fixture(scope="module")
def big() -> Program:
    program = archspec.loads(BIG)
    assert len(program.graph.steps) > 5000
    return program


def page_of(program: Program) -> str:
    text = figure(program, "html")
    assert isinstance(text, str)
    return text


def data_of(text: str) -> Any:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert found
    return json.loads(found[1])


# ------------------------------------------------------------------ the file


def test_one_small_file(resnet152: Program) -> None:
    text = page_of(resnet152)
    assert len(text.encode()) < 300_000
    assert text == page_of(archspec.load("resnet50", "resnet152"))


class Attributes(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [(tag, name, value or "") for name, value in attrs]


def test_nothing_is_fetched_and_only_its_own_script_runs(resnet152: Program) -> None:
    text = page_of(resnet152)
    parser = Attributes()
    parser.feed(text)
    policy = next(value for _, name, value in parser.found if name == "content" and "src" in value)
    assert policy.startswith("default-src 'none'")
    for tag, body in re.findall(r"<(script|style)>(.*?)</\1>", text, re.DOTALL):
        digest = base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    for tag, name, value in parser.found:
        assert not name.startswith("on"), (tag, name)
        assert name != "style", tag  # the policy would refuse it
        if name in ("src", "href", "xlink:href", "action"):
            assert value == "data:,", (tag, name, value)


def test_names_stay_text() -> None:
    text = page_of(archspec.loads(HOSTILE))
    assert text.count("<script") == 2
    assert "<img" not in text
    assert data_of(text)["title"].startswith("</script><script>")


@pytest.mark.parametrize(
    "name", ["googlenet", "unet", "transformer", "densenet121", "yolov3", "faster_rcnn"]
)
def test_every_edge_is_drawn_at_every_depth(name: str) -> None:
    """From the op, out of every group that it is in, across, and into every group of the other."""
    graph = archspec.load(name).graph
    whole = groups(graph)
    plans = plan.plans(graph, whole)
    parent = {part.key: group for group in whole.groups() for part in group.children}

    def linked(group: Element, node: int, value: int, *, out: bool) -> bool:
        found = plans[group.key]
        inner = item_of(found, node)
        ports = [
            i
            for i, item in enumerate(found.items)
            if isinstance(item, plan.Port) and item.out == out and value in item.values
        ]
        ends = {(inner, port) if out else (port, inner) for port in ports}
        return any((link.source, link.target) in ends for link in found.links)

    for node in graph.steps:
        for edge in node.inputs:
            here, there = holder(whole, edge.node), holder(whole, node.index)
            both = here
            while node.index not in both.nodes:
                both = parent[both.key]
            found = plans[both.key]
            a, b = item_of(found, edge.node), item_of(found, node.index)
            assert a == b or any((x.source, x.target) == (a, b) for x in found.links)
            while here is not both:
                assert linked(here, edge.node, edge.node, out=True), (node.path, here.key)
                here = parent[here.key]
            while there is not both:
                assert linked(there, node.index, edge.node, out=False), (node.path, there.key)
                there = parent[there.key]


def holder(group: Element, node: int) -> Element:
    for part in group.children:
        if part.children and node in part.nodes:
            return holder(part, node)
    return group


def item_of(found: plan.Plan, node: int) -> int:
    for number, item in enumerate(found.items):
        if isinstance(item, plan.Stack) and item.first <= node <= item.last:
            return number
        if isinstance(item, Element) and node in item.nodes:
            return number
    raise AssertionError(node)


def test_the_cell_in_the_middle_of_each_axis() -> None:
    """Axes of different lengths, along which an op does the same."""
    data = data_of(page_of(archspec.loads("spec: 1\ninput: [8, 4, 4, 5]\nbody: [relu]\n")))
    assert [data["boxes"][place] for place in data["nodes"]["box"][1:]] == [[0, 1, 1, 2, 2, 0]]


# ------------------------------------------------------------------ the browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright drives the browser")
    binary = next(filter(None, map(shutil.which, BROWSERS)), None)
    if (
        binary is None
    ):  # `.ci/run` installs one; elsewhere only the tests that drive it are left out
        pytest.skip(f"no browser: none of {', '.join(BROWSERS)} is on PATH")
    quiet = ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
    quiet += ["--disable-background-networking", "--disable-component-update"]
    if os.geteuid() == 0:
        quiet.append("--no-sandbox")
    with playwright.sync_playwright() as running:
        found = running.chromium.launch(executable_path=binary, args=quiet)
        yield found
        found.close()


class Window:
    """A page in a tab, and what a user does in it."""

    def __init__(self, tab: Any, path: Path) -> None:
        self.tab, self.url = tab, path.as_uri()
        self.said: list[str] = []
        tab.set_default_timeout(5000)
        tab.on("console", lambda message: self.said.append(message.text))
        tab.on("pageerror", lambda error: self.said.append(str(error)))
        tab.on("request", lambda request: self._requested(request.url))

    def _requested(self, url: str) -> None:
        if url.split("#")[0] != self.url and not url.startswith("data:"):
            self.said.append(f"request of {url}")

    def visit(self, fragment: str = "") -> None:
        self.tab.goto("about:blank")
        self.tab.goto(self.url + fragment)

    def ids(self) -> set[str]:
        every = "all => all.map(card => card.dataset.id)"
        return set(self.tab.eval_on_selector_all("#cards .card", every))

    def named(self, text: str) -> Any:
        """A card, or the heading of an open block, by the start of what is read out of it."""
        return self.tab.locator(f'#view [data-id][aria-label^="{text}"]')

    @property
    def fragment(self) -> str:
        return str(self.tab.evaluate("location.hash"))

    def facts(self) -> dict[str, str]:
        pairs = "all => all.map(dt => [dt.textContent, dt.nextSibling.firstChild.textContent])"
        return dict(self.tab.eval_on_selector_all("#facts dt", pairs))


@pytest.fixture
def window(browser: Any, tmp_path: Path) -> Iterator[Any]:
    """Opens a program's page; at the end nothing was complained of, nothing was fetched."""
    opened: list[Window] = []

    def visit(program: Program, fragment: str = "", **settings: Any) -> Window:
        path = tmp_path / f"{program.name}.html"
        path.write_text(page_of(program), encoding="utf-8")
        tab = browser.new_page(**{"viewport": {"width": 1440, "height": 900}, **settings})
        opened.append(Window(tab, path))
        opened[-1].visit(fragment)
        return opened[-1]

    yield visit
    for one in opened:
        assert one.said == []
        one.tab.close()


def test_blocks_open_and_close(window: Any, resnet152: Program) -> None:
    page = window(resnet152)
    before = page.ids()
    assert len(before) == 1 + 3 + 1 + 4 + 2  # input, stem, pool, stages, head
    page.named("layer3 ").click()
    assert page.named("layer3 ").get_attribute("aria-expanded") == "true"
    opened = page.ids() - before
    assert len(opened) == 36
    assert page.fragment == "#open=layer3"
    page.named("layer3.5 ").click()
    assert page.named("layer3.5.conv2").count() == 1
    page.tab.keyboard.press("f")
    page.named("layer3 ").click()
    assert page.ids() == before
    assert page.fragment == "#open="


def test_a_phone_shows_all_of_it(window: Any, resnet152: Program) -> None:
    size = {"width": 375, "height": 812}
    page = window(resnet152, viewport=size, is_mobile=True, has_touch=True)
    boxes = {
        name: page.tab.locator(name).bounding_box()
        for name in ("#view", "#facts", "#legend", "h1", "#search", "#theme", "#help")
    }
    assert all(b["x"] >= 0 and b["x"] + b["width"] <= 375 for b in boxes.values()), boxes
    assert boxes["#view"]["width"] == boxes["#facts"]["width"] == 375
    assert boxes["#view"]["height"] > 300
    assert boxes["#facts"]["y"] + boxes["#facts"]["height"] <= 812
    least = "all => Math.min(...all.map(one => one.getBoundingClientRect().height))"
    assert page.tab.eval_on_selector_all("#view text", least) > 11
    assert page.tab.eval_on_selector_all("#cards .body, #tools button", least) >= 24  # a finger
    page.named("layer1 ").tap()
    assert page.fragment == "#open=layer1"
    page.named("layer1.0 ").tap()
    assert page.fragment == "#open=layer1,layer1.0"
    page.named("layer1.0.conv1").tap()
    assert page.facts()["output"] == "64 × 56 × 56"


def test_tab_goes_to_all_that_can_be_used_and_shows_where_it_is(
    window: Any, resnet152: Program
) -> None:
    page = window(resnet152)
    press = page.tab.keyboard.press
    outline = "getComputedStyle(document.activeElement).outlineStyle"
    order = []
    for _ in range(7):
        press("Tab")
        order.append(page.tab.evaluate("document.activeElement.id"))
        assert page.tab.evaluate(outline) == "solid", order
    assert order == ["search", "close-all", "open-all", "fit", "theme", "help", "view"]
    press("Enter")  # into the drawing: the first card
    label = "document.activeElement.getAttribute('aria-label')"
    assert page.tab.evaluate(label).startswith("input")
    for _ in range(5):
        press("ArrowDown")
        assert page.tab.locator("#cards [data-id]:focus .held").count() == 1  # the ring
    press(" ")
    assert page.fragment == "#open=layer1"
    assert page.tab.locator("#boxes .box .held").count() == 1
    press("ArrowDown")
    press("Enter")
    assert page.fragment == "#open=layer1,layer1.0"
    press("ArrowDown")
    press("Enter")  # holds its facts
    assert page.fragment.endswith("&on=layer1.0.conv1")
    for left in ("#open=layer1,layer1.0", "#open=layer1", "#open="):
        press("Escape")
        assert page.fragment == left
    assert page.tab.evaluate(label).startswith("layer1 ")
    press("Escape")
    assert page.tab.evaluate("document.activeElement.id") == "view"
    press("Shift+Tab")
    assert page.tab.evaluate("document.activeElement.id") == "help"
    press("Enter")
    assert page.tab.locator("#keys").is_visible()
    press("Escape")
    assert page.tab.locator("#keys").is_hidden()


def test_cards_never_overlap_and_links_reach_them(window: Any) -> None:
    googlenet = archspec.load("googlenet")
    for program, fragment in (
        (googlenet, "#open=*"),
        (googlenet, "#open=inception3a,aux1"),
        (archspec.load("transformer"), "#open=*"),
        (archspec.load("unet"), "#open=*"),
        (archspec.load("faster_rcnn"), "#open=*"),
        (archspec.load("densenet121"), ""),
    ):
        page = window(program, fragment, viewport={"width": 8000, "height": 8000})
        overlaps, loose = page.tab.evaluate(GEOMETRY)
        assert overlaps == [], (program.name, fragment)
        assert loose == [], (program.name, fragment)


# Pairs of cards that share area; links whose end is not on the edge of a card or a frame.
GEOMETRY = """() => {
  const cards = [...document.querySelectorAll("#cards .body, #boxes .box > rect:first-child")];
  const boxes = cards.map(c => [c.closest("[data-id], [data-box]"), c.getBoundingClientRect()]);
  const k = document.getElementById("world").getScreenCTM().a, overlaps = [], loose = [];
  const inside = (a, b) => a.left >= b.left - k && a.right <= b.right + k
    && a.top >= b.top - k && a.bottom <= b.bottom + k;
  const near = (a, b, far) => Math.abs(a - b) < far * k;
  boxes.forEach(([one, a], i) => boxes.slice(i + 1).forEach(([other, b]) => {
    const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left);
    const tall = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
    if (wide > 1.5 * k && tall > 1.5 * k && !inside(a, b) && !inside(b, a))
      overlaps.push([one.dataset.id ?? one.dataset.box, other.dataset.id ?? other.dataset.box]);
  }));
  for (const path of document.querySelectorAll("#links path")) {
    const matrix = path.getScreenCTM(), long = path.getTotalLength();
    for (const at of [0, long]) {
      const point = path.getPointAtLength(at).matrixTransform(matrix);
      // under the heading of a frame, too, where the heading is in the way
      const touches = boxes.some(([, b]) =>
        point.x > b.left - 2 * k && point.x < b.right + 2 * k
          && [b.top, b.top + 26 * k, b.bottom].some((edge) => near(point.y, edge, 2))
        || point.y > b.top && point.y < b.bottom
          && (near(point.x, b.left, 2) || near(point.x, b.right, 2)));
      if (!touches) loose.push(path.getAttribute("d"));
    }
  }
  return [overlaps, loose];
}"""


def test_hover_tells_what_is_known(window: Any, resnet152: Program) -> None:
    page = window(resnet152, "#open=layer1,layer1.0")
    row = resnet152.analysis.row("layer1.0.conv2")
    page.named("layer1.0.conv2").hover()
    facts = page.facts()
    assert page.tab.inner_text("#facts h2") == "layer1.0.conv2"
    assert facts["output"] == " × ".join(map(str, row.shape))
    assert facts["parameters"] == f"{row.params:,}"
    assert facts["MACs"] == f"{row.macs / 1e6:.4g} M"
    assert facts["memory of output"] == f"{row.bytes_out / 1024:.3g} KiB"
    height, width = row.fields
    seen = f"{height.size} × {width.size}, stride {height.stride}"
    assert facts["receptive field"].startswith(seen)
    where = page.tab.inner_text("#facts h3:last-of-type")
    name, _, number = where.rpartition(":")
    assert name == "resnet50.yaml"
    line = resnet152.source.text.splitlines()[int(number) - 1]
    assert page.tab.inner_text("#facts pre") == line.strip()
    assert "conv:" in line

    drawn = page.tab.evaluate(
        "['input', 'seen'].map(c => document.querySelector('#facts rect.' + c).getBBox().width)"
    )
    assert drawn[1] / drawn[0] == pytest.approx(height.size / height.extent, rel=0.02)
    page.tab.mouse.move(5, 500)
    assert page.tab.inner_text("#facts h2") == "resnet152"


def test_a_block_tells_sums(window: Any, resnet152: Program) -> None:
    page = window(resnet152)
    page.named("layer4 ").hover()
    inside = [row for row in resnet152.analysis.rows if row.path.startswith("layer4.")]
    assert page.facts()["parameters"] == f"{sum(row.params for row in inside):,}"
    assert page.facts()["MACs"] == f"{sum(row.macs for row in inside) / 1e6:.4g} M"


def test_search_goes_to_a_layer_that_is_folded_away(window: Any, resnet152: Program) -> None:
    page = window(resnet152)
    page.tab.keyboard.press("/")
    page.tab.keyboard.type("layer3.17 3×3")
    assert page.tab.locator("#found li").count() == 1
    page.tab.keyboard.press("Enter")
    box = page.named("layer3.17.conv2").bounding_box()
    assert 0 < box["x"] < 1120
    assert 40 < box["y"] < 900
    assert page.tab.inner_text("#facts h2") == "layer3.17.conv2"
    assert page.fragment == "#open=layer3,layer3.17&on=layer3.17.conv2"
    page.tab.keyboard.press("/")
    page.tab.fill("#search", "nothing of the sort")
    assert page.tab.inner_text("#found") == "nothing found"
    page.tab.keyboard.press("Escape")
    assert page.tab.locator("#found").is_hidden()


def test_keyboard_alone(window: Any, resnet152: Program) -> None:
    page = window(resnet152)

    def focused() -> str:
        return str(page.tab.evaluate("document.activeElement.getAttribute('aria-label')"))

    press = page.tab.keyboard.press
    press("ArrowDown")
    assert focused().startswith("input")
    for _ in range(5):
        press("ArrowDown")
    assert focused().startswith("layer1 ")
    press("Enter")
    assert page.fragment == "#open=layer1"
    assert focused().startswith("layer1 ")
    press("ArrowDown")
    assert focused().startswith("layer1.0 ")
    press("Enter")
    press("ArrowDown")
    assert focused().startswith("layer1.0.conv1")
    press("ArrowRight")
    assert focused().startswith("layer1.0.downsample.0")
    assert page.facts()["output"] == "256 × 56 × 56"
    press("Backspace")
    assert page.fragment == "#open=layer1"
    press("Backspace")
    assert page.fragment == "#open="
    press("e")
    assert page.fragment == "#open=*"
    press("c")
    assert page.fragment == "#open="
    press("?")
    assert page.tab.locator("#keys").is_visible()
    press("Escape")
    assert page.tab.locator("#keys").is_hidden()


def test_back_forward_and_reload(window: Any, resnet152: Program) -> None:
    page = window(resnet152)

    def ids() -> set[str]:
        page.tab.keyboard.press("f")  # what is beyond the window is not in the document
        return set(page.ids())

    start = ids()
    page.named("layer2 ").click()
    with_two = ids()
    page.named("layer4 ").click()
    with_both = ids()
    assert len({frozenset(state) for state in (start, with_two, with_both)}) == 3
    page.tab.go_back()
    assert ids() == with_two
    page.tab.go_back()
    assert ids() == start
    page.tab.go_forward()
    page.tab.go_forward()
    assert ids() == with_both
    page.tab.reload()
    assert ids() == with_both
    page.visit("#open=layer2,nonsense,%E0%A4%A&on=%00")  # a fragment may be anything
    assert ids() == with_two


def test_paper_shows_the_folded_network(window: Any, resnet152: Program) -> None:
    page = window(resnet152, "#open=*")
    printed = page.tab.pdf(format="A4", landscape=True)
    document = pytest.importorskip("pypdfium2").PdfDocument(printed)
    assert len(document) == 1
    text = document[0].get_textpage().get_text_bounded()
    assert "layer3" in text
    assert "36" in text
    assert "layer3.17" not in text
    page.tab.emulate_media(media="print")
    assert page.tab.locator("#app").is_hidden()
    assert page.tab.locator("#paper svg").is_visible()


def test_without_scripts_the_folded_network_is_there(window: Any, resnet152: Program) -> None:
    page = window(resnet152, java_script_enabled=False)
    assert page.tab.locator("#paper svg").is_visible()


def test_light_and_dark(window: Any, resnet152: Program) -> None:
    page = window(resnet152, color_scheme="dark")
    ground = "getComputedStyle(document.body).backgroundColor"
    dark = page.tab.evaluate(ground)
    page.tab.keyboard.press("d")
    light = page.tab.evaluate(ground)
    assert (dark, light) == ("rgb(20, 23, 27)", "rgb(255, 255, 255)")


def test_names_stay_text_in_the_browser(window: Any) -> None:
    page = window(archspec.loads(HOSTILE))
    assert page.tab.title() == "hostile"
    assert page.tab.inner_text("#facts .what").startswith("</script><script>")
    page.named("first").hover()
    assert "</title><b>x</b>" in page.tab.inner_text("#facts pre")


def test_drag_and_wheel(window: Any, resnet152: Program) -> None:
    page = window(resnet152)
    start = page.named("max_pool1").bounding_box()
    page.tab.mouse.move(900, 600)
    page.tab.mouse.down()
    page.tab.mouse.move(1000, 650, steps=4)
    page.tab.mouse.up()
    page.tab.evaluate("new Promise(requestAnimationFrame)")
    moved = page.named("max_pool1").bounding_box()
    assert (moved["x"] - start["x"], moved["y"] - start["y"]) == pytest.approx((100, 50), abs=1.5)
    page.tab.mouse.move(moved["x"], moved["y"])
    page.tab.mouse.wheel(0, -200)
    page.tab.evaluate("new Promise(requestAnimationFrame)")
    larger = page.named("max_pool1").bounding_box()
    assert larger["width"] > 1.2 * moved["width"]
    assert (larger["x"], larger["y"]) == pytest.approx((moved["x"], moved["y"]), abs=2)


def test_five_thousand_nodes(window: Any, big: Program) -> None:
    """What is in the document at any time is bounded, so that no step is slow; see benchmarks."""
    page = window(big)
    page.tab.keyboard.press("e")
    everything = "document.querySelectorAll('#view *').length"
    assert page.tab.evaluate(everything) < 6000
    page.tab.keyboard.press("/")
    page.tab.keyboard.type("stages.13.blocks.7.conv2")
    page.tab.keyboard.press("Enter")
    assert page.named("stages.13.blocks.7.conv2").is_visible()
    assert page.tab.evaluate(everything) < 6000
    page.tab.keyboard.press("c")
    assert page.fragment.startswith("#open=&on=")


def test_an_input_of_one_number() -> None:
    page = figure(archspec.load("stable_diffusion_unet"), "html", "html")
    assert isinstance(page, str)
    assert '",1,1]' in page.replace(" ", "")
