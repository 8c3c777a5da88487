"""One figure as SVG, PDF, PNG and TikZ: text is measured, escaped and in its place; colours."""

from __future__ import annotations

import io
import math
import shutil
import subprocess
import xml.etree.ElementTree as ET
from itertools import combinations, pairwise
from pathlib import Path as File

import pypdfium2
import pytest
from figures import NETWORKS, network
from PIL import Image
from reportlab.pdfbase.pdfmetrics import stringWidth

from archspec.figures import blocks, fonts, palette, sheet, svg, tikz
from archspec.figures.scene import Box, Group, Path, Rect, Scene, Step, Stroke, Text
from archspec.save import MARK

EVIL = "<script>alert(1)</script> \"];' & \\end{tikzpicture} %$#_^~ --> ]]>"
FIGURE = Scene(
    400,
    200,
    (
        Group(
            (
                Rect(Box(20, 20, 140, 70), "#fdeab0", Stroke("#a67f1a"), 4),
                Text(80, 50, "conv 3×3 /2", anchor="middle", bold=True),
            ),
            "a.b",
            EVIL,
            "card",
        ),
        Path((("M", 140, 45), ("L", 240, 45)), Stroke("#445566", 2), arrow=True, edge=("a.b", "c")),
        Path((("M", 140, 60), ("C", 190, 60, 190, 150, 260, 150)), Stroke("#2b3f8f", 1, (4, 3))),
        Path((("M", 300, 20), ("L", 340, 20), ("L", 320, 60), ("Z",)), None, "#e2674a"),
        Text(300, 120, "224×224", turn=-45),
        Text(10, 190, EVIL, size=9, anchor="start"),
    ),
    f"title {EVIL}",
    f"description {EVIL}",
)
WORDS = [mark.text for mark in FIGURE.marks() if isinstance(mark, Text)]
NAMESPACE = "{http://www.w3.org/2000/svg}"


# ---------------------------------------------------------------------- letters

# here Helvetica and Liberation Sans differ; the wider one counts
APART = "¯µ"
WINDOWS = bytes(range(0x20, 0x7F)) + bytes(range(0xA1, 0x100))


@pytest.mark.parametrize("bold", [False, True])
def test_widths_are_helveticas(bold: bool) -> None:
    font = "Helvetica-Bold" if bold else "Helvetica"
    for sign in WINDOWS.decode("cp1252") + "€…–—‘’“”•™œŒ":
        wanted = stringWidth(sign, font, 1000)
        found = fonts.width(sign, 1000, bold=bold)
        if sign in APART:
            assert wanted <= found <= wanted + 225
        elif sign != "\xad":
            assert found == pytest.approx(wanted), sign


def test_widths_of_what_has_no_metrics_are_estimated_from_above() -> None:
    assert not fonts.known("層")
    assert fonts.width("層", 10) >= 10
    assert fonts.width("Щ", 10) >= stringWidth("W", "Helvetica", 10)
    assert fonts.width("e\u0301", 10) == fonts.width("e", 10)  # a combining accent


def test_fit_shortens_at_the_end() -> None:
    assert fonts.fit("inception4a", 10, 100) == "inception4a"
    short = fonts.fit("inception4a", 10, 40)
    assert short == "incepti…"
    assert fonts.width(short, 10) <= 40 < fonts.width("inceptio…", 10)
    assert fonts.fit("inception4a", 10, 5) == ""


def test_the_box_of_a_text_follows_its_anchor() -> None:
    width = fonts.width("abc", 20)
    start, middle, end = (Text(100, 50, "abc", 20, anchor) for anchor in ("start", "middle", "end"))
    assert (start.box.left, start.box.right) == (100, 100 + width)
    assert (middle.box.left, middle.box.right) == (100 - width / 2, 100 + width / 2)
    assert (end.box.left, end.box.right) == (100 - width, 100)
    turned = Text(100, 50, "abc", 20, turn=90).corners
    assert min(y for _, y in turned) == pytest.approx(50)  # it runs downwards
    assert max(y for _, y in turned) == pytest.approx(50 + width)


# ---------------------------------------------------------------------- arrows


@pytest.mark.parametrize(
    "steps", [(("M", 0, 0), ("L", 30, 40)), (("M", 0, 0), ("C", 0, 0, 0, 0, 30, 40))]
)
def test_an_arrow_ends_where_its_path_does(steps: tuple[Step, ...]) -> None:
    path = Path(steps, Stroke(width=2), arrow=True)
    assert path.head is not None
    tip, left, right = path.head
    assert tip == (30, 40)
    assert math.dist(tip, left) == pytest.approx(math.dist(tip, right))
    middle = ((left[0] + right[0]) / 2, (left[1] + right[1]) / 2)
    assert middle[1] / middle[0] == pytest.approx(4 / 3)  # in the line's direction
    x, y = path.shaft[-1][-2:]
    assert math.dist((x, y), middle) < math.dist(tip, middle)  # hidden in the head


def test_without_arrow_a_path_is_drawn_as_it_is() -> None:
    path = Path((("M", 0, 0), ("L", 30, 40)))
    assert path.head is None
    assert path.shaft == path.steps


# ---------------------------------------------------------------------- SVG


def test_svg_says_what_it_shows() -> None:
    root = ET.fromstring(svg.write(FIGURE))
    assert (root.get("role"), root.get("width"), root.get("height")) == ("img", "400", "200")
    assert [root.findtext(f"{NAMESPACE}{name}") for name in ("title", "desc")] == [
        FIGURE.title, FIGURE.description,
    ]  # fmt: skip
    group = root.find(f"{NAMESPACE}g")
    assert group is not None
    assert (group.get("data-key"), group.get("class")) == ("a.b", "card")
    assert group.findtext(f"{NAMESPACE}title") == EVIL


def test_svg_keeps_names_as_text() -> None:
    root = ET.fromstring(svg.write(FIGURE))
    assert [element.text for element in root.iter(f"{NAMESPACE}text")] == WORDS
    known = {"svg", "title", "desc", "rect", "g", "path", "polygon", "text"}
    assert {element.tag.removeprefix(NAMESPACE) for element in root.iter()} == known


def test_svg_fixes_widths_where_they_are_known() -> None:
    scene = Scene(99, 50, (Text(0, 20, "conv 3×3", 11.5), Text(0, 40, "Свёртка")))
    first, second = ET.fromstring(svg.write(scene)).iter(f"{NAMESPACE}text")
    assert float(first.get("textLength", 0)) == pytest.approx(
        fonts.width("conv 3×3", 11.5), abs=0.01
    )
    assert second.get("textLength") is None


def test_svg_of_what_xml_cannot_say() -> None:
    scene = Scene(99, 50, (Text(0, 20, "a\x00b\ud800c"),))
    (text,) = ET.fromstring(svg.write(scene)).iter(f"{NAMESPACE}text")
    assert text.text == "a\ufffdb\ufffdc"


# ---------------------------------------------------------------------- PDF, PNG


def test_pdf_has_the_size_the_words_and_no_date() -> None:
    made = sheet.pdf(FIGURE)
    assert made == sheet.pdf(FIGURE)
    assert MARK.encode() in made[:100]
    document = pypdfium2.PdfDocument(made)
    page = document[0]
    assert page.get_size() == (300, 150)  # points, at 96 px an inch
    said = page.get_textpage().get_text_bounded()
    for text in WORDS:
        assert text in " ".join(said.split())
    assert document.get_metadata_value("Title") == FIGURE.title
    assert document.get_metadata_value("CreationDate").startswith("D:2000")
    document.close()


def test_pdf_puts_words_where_they_were_laid_out() -> None:
    text = Text(100, 50, "conv 3×3 /2", 20, "middle")
    document = pypdfium2.PdfDocument(sheet.pdf(Scene(200, 100, (text,))))
    page = document[0].get_textpage()
    boxes = [page.get_charbox(i, loose=True) for i in range(page.count_chars())]
    left, right = min(b[0] for b in boxes) / sheet.PT, max(b[2] for b in boxes) / sheet.PT
    assert (left, right) == pytest.approx((text.box.left, text.box.right), abs=0.6)
    document.close()


def test_pdf_of_signs_beyond_helvetica() -> None:
    scene = Scene(300, 50, (Text(10, 30, "σ → ⊕ 層"),))
    made = sheet.pdf(scene)
    assert b"/STSong-Light" in made  # of the reader's machine
    document = pypdfium2.PdfDocument(made)
    said = document[0].get_textpage().get_text_bounded()
    for sign in "σ→⊕":
        assert sign in said
    document.close()


def test_png_shows_the_same_in_two_dots_a_px() -> None:
    made = sheet.png(FIGURE)
    assert made == sheet.png(FIGURE)
    image = Image.open(io.BytesIO(made)).convert("RGB")
    assert image.size == (800, 400)
    assert image.getpixel((2 * 30, 2 * 30)) == (0xFD, 0xEA, 0xB0)  # the card
    assert image.getpixel((2 * 320, 2 * 30)) == (0xE2, 0x67, 0x4A)  # the triangle
    assert image.getpixel((2 * 200, 2 * 45)) == (0x44, 0x55, 0x66)  # the arrow
    assert image.getpixel((2 * 380, 2 * 100)) == (255, 255, 255)
    about = Image.open(io.BytesIO(made)).info
    assert about["Software"] == MARK


# ---------------------------------------------------------------------- TikZ


def test_tikz_is_a_whole_document_and_names_stay_text() -> None:
    made = tikz.write(FIGURE)
    assert made == tikz.write(FIGURE)
    body = made.split("\\begin{tikzpicture}")[1].split("\n")
    assert body[-3:] == ["\\end{tikzpicture}", "\\end{document}", ""]
    nodes = [line for line in body if line.startswith("\\node")]
    assert len(nodes) == len(WORDS)
    code = [line for line in made.splitlines() if not line.startswith("%")]
    assert sum(line.count("\\end{tikzpicture}") for line in code) == 1
    assert all(_balanced(line) for line in code)
    assert r"\textless{}script\textgreater{}" in nodes[-1]
    used = {word.split("}")[0] for word in made.split("\\definecolor{")[1:]}
    assert {"cfdeab0", "ca67f1a", "c445566", "ce2674a"} <= used


def _balanced(line: str) -> bool:
    depth = 0
    for before, sign in zip(" " + line, line, strict=False):
        depth += (sign == "{") - (sign == "}") if before != "\\" else 0
        if depth < 0:
            return False
    return depth == 0


def test_tikz_declares_what_pdflatex_does_not_know() -> None:
    made = tikz.write(Scene(99, 50, (Text(0, 20, "× ² … → β 層"),)))
    assert r"\DeclareUnicodeCharacter{2192}{\ensuremath{\rightarrow}}" in made
    assert r"\DeclareUnicodeCharacter{03B2}{\ensuremath{\beta}}" in made
    assert r"\DeclareUnicodeCharacter{5C64}{?}" in made
    assert made.count("DeclareUnicodeCharacter") == 3


# The tests above check the file's structure everywhere; this one needs half a gigabyte of TeX.
@pytest.mark.skipif(not shutil.which("pdflatex"), reason="no pdflatex here")
def test_tikz_compiles(tmp_path: File) -> None:
    (tmp_path / "figure.tex").write_text(tikz.write(FIGURE), encoding="utf-8")
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "figure.tex"],
        cwd=tmp_path, capture_output=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:]
    document = pypdfium2.PdfDocument(tmp_path / "figure.pdf")
    assert document[0].get_size() == pytest.approx((300, 150), abs=0.5)
    document.close()


# ---------------------------------------------------------------------- colours

# Machado, Oliveira, Fernandes 2009, severity 1: linear sRGB as seen without one kind of cone
SIGHT = {
    "full": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protanopia": (
        (0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "deuteranopia": (
        (0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
    "tritanopia": (
        (1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602),
        (0.004733, 0.691367, 0.303900),
    ),
}  # fmt: skip
RGB = tuple[float, float, float]


def linear(colour: str) -> RGB:
    r, g, b = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    r, g, b = (v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in (r, g, b))
    return r, g, b


def seen(colour: str, sight: str) -> RGB:
    light = linear(colour)
    r, g, b = (
        min(1.0, max(0.0, sum(a * v for a, v in zip(row, light, strict=True))))
        for row in SIGHT[sight]
    )
    return r, g, b


def lab(light: RGB) -> RGB:
    r, g, b = light
    x = (0.4124564 * r + 0.3575761 * g + 0.1804375 * b) / 0.95047
    y = 0.2126729 * r + 0.7151522 * g + 0.0721750 * b
    z = (0.0193339 * r + 0.1191920 * g + 0.9503041 * b) / 1.08883
    x, y, z = (t ** (1 / 3) if t > 216 / 24389 else (24389 / 27 * t + 16) / 116 for t in (x, y, z))
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def ciede2000(one: RGB, other: RGB) -> float:
    """Sharma, Wu, Dalal 2005; the colours here have a chroma, or differ in lightness alone."""
    (l1, a1, b1), (l2, a2, b2) = one, other
    c = (math.hypot(a1, b1) + math.hypot(a2, b2)) / 2
    g = 0.5 * (1 - math.sqrt(c**7 / (c**7 + 25**7)))
    a1, a2 = a1 * (1 + g), a2 * (1 + g)
    c1, c2 = math.hypot(a1, b1), math.hypot(a2, b2)
    h1, h2 = (math.degrees(math.atan2(b, a)) % 360 for a, b in ((a1, b1), (a2, b2)))
    turn = (h2 - h1 + 180) % 360 - 180
    hue, l, c = (h1 + turn / 2) % 360, (l1 + l2) / 2, (c1 + c2) / 2  # noqa: E741
    cos = [math.cos(math.radians(n * hue + at)) for n, at in ((1, -30), (2, 0), (3, 6), (4, -63))]
    t = 1 - 0.17 * cos[0] + 0.24 * cos[1] + 0.32 * cos[2] - 0.20 * cos[3]
    dl = (l2 - l1) / (1 + 0.015 * (l - 50) ** 2 / math.sqrt(20 + (l - 50) ** 2))
    dc = (c2 - c1) / (1 + 0.045 * c)
    dh = 2 * math.sqrt(c1 * c2) * math.sin(math.radians(turn / 2)) / (1 + 0.015 * c * t)
    around = math.radians(60 * math.exp(-(((hue - 275) / 25) ** 2)))
    rotation = -2 * math.sqrt(c**7 / (c**7 + 25**7)) * math.sin(around)
    return math.sqrt(dl**2 + dc**2 + dh**2 + rotation * dc * dh)


def test_the_distance_is_that_of_the_literature() -> None:
    """Pairs 1, 13 and 25 of the test data of Sharma, Wu, Dalal."""
    pairs = {
        ((50.0, 2.6772, -79.7751), (50.0, 0.0, -82.7485)): 2.0425,
        ((50.0, -0.0010, 2.4900), (50.0, 0.0011, -2.4900)): 4.7461,
        ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387)): 1.2644,
    }
    for (one, other), distance in pairs.items():
        assert ciede2000(one, other) == pytest.approx(distance, abs=5e-4)


PALETTES = pytest.mark.parametrize("colours", [palette.FAMILIES, palette.STATES])


@PALETTES
@pytest.mark.parametrize("sight", SIGHT)
def test_colours_are_told_apart(sight: str, colours: dict[str, palette.Colours]) -> None:
    fills = [each.fill for each in colours.values()]
    for one, other in combinations(fills, 2):
        assert ciede2000(lab(seen(one, sight)), lab(seen(other, sight))) > 9.5, (one, other)


@PALETTES
def test_colours_differ_in_grey(colours: dict[str, palette.Colours]) -> None:
    greys = sorted(lab(linear(each.fill))[0] for each in colours.values())
    assert min(b - a for a, b in pairwise(greys)) > 2.5


def contrast(one: str, other: str) -> float:
    """Of WCAG 2.1: 4.5 for text, 3 for lines."""
    dark, light = sorted(
        0.2126 * r + 0.7152 * g + 0.0722 * b for r, g, b in (linear(one), linear(other))
    )
    return (light + 0.05) / (dark + 0.05)


def test_text_and_lines_are_legible() -> None:
    for colours in (*palette.FAMILIES.values(), *palette.STATES.values(), palette.of("norm")):
        assert contrast(palette.INK, colours.fill) > 4.5
        assert contrast(colours.edge, "#ffffff") > 3
    for text in (palette.MUTED, palette.ACCENT):
        assert min(contrast(text, ground) for ground in ("#ffffff", palette.LANE)) > 4.5
    for line in (palette.LINE, palette.SKIP):
        assert contrast(line, "#ffffff") > 4.5


def test_text_on_cards_is_legible() -> None:
    """In every figure of blocks: each text against the card it stands on, or the sheet."""
    for name in NETWORKS:
        for mark in blocks.draw(network(name)).marks():
            if isinstance(mark, Group) and mark.role == "card":
                fill = (
                    next(m.fill for m in reversed(mark.items) if isinstance(m, Rect)) or "#ffffff"
                )
                texts = [m for m in mark.items if isinstance(m, Text)]
                assert all(contrast(text.colour, fill) > 4.5 for text in texts), mark.key


def test_every_family_has_a_colour() -> None:
    assert palette.of("conv") == palette.FAMILIES["conv"]
    assert palette.of("output") == palette.of("input")
    assert palette.of("norm") == palette.of("of a plug-in") != palette.of("conv")
