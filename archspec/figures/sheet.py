"""Scene → PDF, PNG: the same marks in the same places as in the SVG, no font file needed.

The PDF is written by reportlab, with the standard Helvetica that every viewer has; the PNG is
what PDFium makes of it.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterable
from contextlib import closing, suppress
from functools import cache
from itertools import groupby
from typing import Any

from archspec.figures.scene import ANCHORS, Group, Mark, Path, Rect, Scene, Stroke, Text, polygon
from archspec.save import MARK

PT = 0.75
"""Points in a px: a sheet is as large on paper as at 96 dots per inch."""
DENSITY = 2
"""Dots of a PNG per px, either way."""

_HELVETICA = "Helvetica"
_COMMON = ("LiberationSans-Regular", "Arial", "DejaVuSans")
_ASIAN = "STSong-Light"  # a font that the reader is asked to have
_COMMENT = b"ReportLab Generated PDF document (opensource)"
_STEPS = {"M": "moveTo", "L": "lineTo", "C": "curveTo", "Z": "close"}


def pdf(scene: Scene) -> bytes:
    """The figure as one page of PDF, the same from run to run."""
    from reportlab.pdfgen.canvas import Canvas

    target = io.BytesIO()
    size = scene.width * PT, scene.height * PT
    canvas = Canvas(target, pagesize=size, invariant=1)
    canvas.setTitle(scene.title)
    canvas.setSubject(scene.description)
    canvas.setAuthor("")
    canvas.setCreator(MARK)
    canvas.transform(PT, 0, 0, -PT, 0, size[1])  # from here on in px, y downwards
    _draw(canvas, scene.items)
    canvas.showPage()
    canvas.save()
    # a comment in the first line, of the same length: places in the file stay
    return target.getvalue().replace(_COMMENT, MARK.encode().ljust(len(_COMMENT)), 1)


def png(scene: Scene) -> bytes:
    """The figure as PNG, two dots a px."""
    import pypdfium2
    from PIL.PngImagePlugin import PngInfo

    with closing(pypdfium2.PdfDocument(pdf(scene))) as document:
        image = document[0].render(scale=DENSITY / PT).to_pil()
    about = PngInfo()
    about.add_text("Software", MARK)
    target = io.BytesIO()
    image.save(target, "png", pnginfo=about, dpi=(96 * DENSITY, 96 * DENSITY))
    return target.getvalue()


def _draw(canvas: Any, items: Iterable[Mark]) -> None:
    for mark in items:
        if isinstance(mark, Group):
            _draw(canvas, mark.items)
        elif isinstance(mark, Text):
            _text(canvas, mark)
        elif isinstance(mark, Rect):
            _rect(canvas, mark)
        else:
            _path(canvas, mark)


def _rect(canvas: Any, rect: Rect) -> None:
    box = rect.box
    painted = _paint(canvas, rect.fill, rect.stroke)
    if rect.radius:
        canvas.roundRect(box.left, box.top, box.width, box.height, rect.radius, **painted)
    else:
        canvas.rect(box.left, box.top, box.width, box.height, **painted)


def _path(canvas: Any, path: Path) -> None:
    line = canvas.beginPath()
    for kind, *values in path.shaft:
        getattr(line, _STEPS[kind])(*values)
    canvas.drawPath(line, **_paint(canvas, path.fill, path.stroke))
    if path.head is not None and path.stroke is not None:
        _path(canvas, polygon(path.head, path.stroke.colour))


def _paint(canvas: Any, fill: str | None, stroke: Stroke | None) -> dict[str, int]:
    if fill is not None:
        canvas.setFillColor(_colour(fill))
    if stroke is not None:
        canvas.setStrokeColor(_colour(stroke.colour))
        canvas.setLineWidth(stroke.width)
        canvas.setDash(*([list(stroke.dash)] if stroke.dash else []))
    return {"fill": int(fill is not None), "stroke": int(stroke is not None)}


def _colour(hexadecimal: str) -> Any:
    from reportlab.lib.colors import HexColor

    return HexColor(hexadecimal)


def _text(canvas: Any, text: Text) -> None:
    from reportlab.pdfbase.pdfmetrics import stringWidth

    parts = groupby(text.text, lambda sign: _font(sign, text.bold))  # by the font that has them
    runs = [(font, "".join(signs)) for font, signs in parts]
    wide = math.fsum(stringWidth(words, font, text.size) for font, words in runs)
    canvas.saveState()
    canvas.translate(text.x, text.y)
    canvas.rotate(text.turn)
    canvas.scale(1, -1)  # letters stand upright
    canvas.setFillColor(_colour(text.colour))
    line = canvas.beginText(-ANCHORS[text.anchor] * wide, 0)
    for font, words in runs:
        line.setFont(font, text.size)
        line.textOut(words)
    canvas.drawText(line)
    canvas.restoreState()


def _font(sign: str, bold: bool) -> str:
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.cidfonts import UnicodeCIDFont

    font = pdfmetrics.getFont(f"{_HELVETICA}-Bold" if bold else _HELVETICA)
    for candidate in (font, *font.substitutionFonts):  # reportlab takes the latter by itself
        with suppress(UnicodeEncodeError):
            sign.encode(candidate.encName)
            return str(font.fontName)
    for installed in _installed():
        if ord(sign) in installed.face.charToGlyph:
            return str(installed.fontName)
    if _ASIAN not in pdfmetrics.getRegisteredFontNames():
        pdfmetrics.registerFont(UnicodeCIDFont(_ASIAN))
    return _ASIAN


@cache
def _installed() -> tuple[Any, ...]:
    """Fonts of this machine that have what Helvetica lacks; what is used of them is embedded."""
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.ttfonts import TTFError, TTFont

    found = []
    for name in _COMMON:
        with suppress(TTFError):
            found.append(TTFont(name, f"{name}.ttf"))
            pdfmetrics.registerFont(found[-1])
    return tuple(found)
