"""Scene → SVG: one file that draws itself anywhere; nothing in it is looked up or run."""

from __future__ import annotations

import re
from collections.abc import Iterable

from archspec.figures import fonts
from archspec.figures.scene import Group, Mark, Path, Rect, Scene, Stroke, Text

# XML has no way to write these; they come from nowhere but a title made in Python.
_UNWRITABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_TABLE = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"})


def write(scene: Scene) -> str:
    """The figure as an SVG document, the same from run to run."""
    width, height = number(scene.width), number(scene.height)
    described = f"<desc>{escape(scene.description)}</desc>\n" if scene.description else ""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" role="img" font-family="{fonts.FAMILY}" '
        'font-kerning="none">\n<!-- written by archspec -->\n'
        f"<title>{escape(scene.title)}</title>\n{described}"
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>\n'
        f"{marks(scene.items)}</svg>\n"
    )


def marks(items: Iterable[Mark]) -> str:
    """The marks alone, one line each: to be put into an `<svg>` or `<g>`."""
    return "".join(_mark(item) for item in items)


def escape(text: str) -> str:
    """Text as it may stand in an element or between double quotes."""
    return _UNWRITABLE.sub("\ufffd", text).translate(_TABLE)


def number(value: float) -> str:
    """Hundredths of a px, without idle zeros."""
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _mark(mark: Mark) -> str:
    if isinstance(mark, Group):
        return _group(mark)
    if isinstance(mark, Rect):
        return _rect(mark)
    return _path(mark) if isinstance(mark, Path) else _text(mark)


def _group(group: Group) -> str:
    role = f' class="{escape(group.role)}"' if group.role else ""
    key = f' data-key="{escape(group.key)}"' if group.key else ""
    title = f"<title>{escape(group.title)}</title>\n" if group.title else ""
    return f"<g{role}{key}>\n{title}{marks(group.items)}</g>\n"


def _rect(rect: Rect) -> str:
    box = rect.box
    place = f'x="{number(box.left)}" y="{number(box.top)}"'
    size = f'width="{number(box.width)}" height="{number(box.height)}"'
    radius = f' rx="{number(rect.radius)}"' if rect.radius else ""
    return f"<rect {place} {size}{radius}{_paint(rect.fill, rect.stroke)}/>\n"


def _path(path: Path) -> str:
    steps = " ".join(step[0] + " ".join(number(value) for value in step[1:]) for step in path.shaft)
    line = f'<path d="{steps}"{_paint(path.fill, path.stroke)}/>\n'
    if path.head is None or path.stroke is None:
        return line
    corners = " ".join(f"{number(x)},{number(y)}" for x, y in path.head)
    return line + f'<polygon points="{corners}" fill="{path.stroke.colour}"/>\n'


def _paint(fill: str | None, stroke: Stroke | None) -> str:
    text = f' fill="{fill or "none"}"'
    if stroke is None:
        return text
    text += f' stroke="{stroke.colour}"'
    if stroke.width != 1:
        text += f' stroke-width="{number(stroke.width)}"'
    if stroke.dash:
        text += f' stroke-dasharray="{" ".join(map(number, stroke.dash))}"'
    return text


def _text(text: Text) -> str:
    place = f'x="{number(text.x)}" y="{number(text.y)}" font-size="{number(text.size)}"'
    anchor = "" if text.anchor == "start" else f' text-anchor="{text.anchor}"'
    weight = ' font-weight="bold"' if text.bold else ""
    turn = (
        f' transform="rotate({number(text.turn)} {number(text.x)} {number(text.y)})"'
        if text.turn
        else ""
    )
    return (
        f'<text {place} fill="{text.colour}"{anchor}{weight}{_length(text)}{turn}>'
        f"{escape(text.text)}</text>\n"
    )


def _length(text: Text) -> str:
    """The width that was laid out for, so that it holds in whatever font stands in."""
    if len(text.text) < 2 or not fonts.known(text.text):
        return ""
    return f' textLength="{number(text.width)}" lengthAdjust="spacingAndGlyphs"'
