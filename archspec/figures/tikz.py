"""Scene → TikZ: a document that compiles by itself, and can be taken into a paper as it is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from archspec.figures.scene import Group, Mark, Path, Rect, Scene, Stroke, Text, polygon
from archspec.figures.svg import number
from archspec.frames import frame
from archspec.save import MARK

_BP = 0.75  # big points in a px

_SPECIAL = str.maketrans(
    {
        "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#",
        "%": r"\%", "_": r"\_", "^": r"\textasciicircum{}", "~": r"\textasciitilde{}",
        "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", '"': r"\textquotedbl{}",
        "`": r"\textasciigrave{}", "'": r"\textquotesingle{}", "-": "-{}", ",": ",{}",
    }
)  # fmt: skip
_SIGNS = {
    "→": r"\rightarrow", "←": r"\leftarrow", "↑": r"\uparrow", "↓": r"\downarrow",
    "⊕": r"\oplus", "⊗": r"\otimes", "⊖": r"\ominus", "‖": r"\Vert", "√": r"\surd",
    "∞": r"\infty", "≤": r"\leq", "≥": r"\geq", "≠": r"\neq", "≈": r"\approx", "−": "-",
    "∑": r"\sum", "∏": r"\prod", "∂": r"\partial", "∘": r"\circ",
    **dict(zip("αβγδεζηθικλμνξπρστυφχψω", (
        r"\alpha", r"\beta", r"\gamma", r"\delta", r"\varepsilon", r"\zeta", r"\eta", r"\theta",
        r"\iota", r"\kappa", r"\lambda", r"\mu", r"\nu", r"\xi", r"\pi", r"\rho", r"\sigma",
        r"\tau", r"\upsilon", r"\varphi", r"\chi", r"\psi", r"\omega",
    ), strict=True)),
    **dict(zip("ΓΔΘΛΞΠΣΦΨΩ", (
        r"\Gamma", r"\Delta", r"\Theta", r"\Lambda", r"\Xi", r"\Pi", r"\Sigma", r"\Phi", r"\Psi",
        r"\Omega",
    ), strict=True)),
}  # fmt: skip
_KNOWN = frozenset("–—…†‡•‘’“”‚„‹›€ŒœŠšŸŽž")  # to pdflatex, beside Latin-1


def write(scene: Scene) -> str:
    """The figure as a LaTeX document, the same from run to run."""
    marks = list(scene.marks())
    return frame(
        "figures/tikz.tex.jinja",
        mark=MARK,
        title=_comment(scene.title),
        description=_comment(scene.description),
        declared=_declared(marks),
        colours=sorted(_colours(marks)),
        width=number(scene.width),
        height=number(scene.height),
        lines=_lines(scene.items),
    )


def escape(text: str) -> str:
    """Text that TeX sets as it is, without ligatures."""
    clean = "".join(sign if sign.isprintable() else "\ufffd" for sign in text)
    return clean.translate(_SPECIAL)


def _comment(text: str) -> str:
    """One line, whatever is in it."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())


def _declared(marks: Iterable[Mark]) -> Iterator[tuple[str, str]]:
    """How to set what pdflatex does not know, a `?` where there is no way."""
    signs = {sign for mark in marks if isinstance(mark, Text) for sign in escape(mark.text)}
    for sign in sorted(signs):
        if sign >= "\u0100" and sign not in _KNOWN:
            yield f"{ord(sign):04X}", rf"\ensuremath{{{_SIGNS[sign]}}}" if sign in _SIGNS else "?"


def _colours(marks: Iterable[Mark]) -> set[str]:
    found: set[str | None] = set()
    for mark in marks:
        if isinstance(mark, Text):
            found.add(mark.colour)
        elif isinstance(mark, Rect | Path):
            found |= {mark.fill, mark.stroke.colour if mark.stroke is not None else None}
    return {colour for colour in found if colour is not None}


def _name(colour: str) -> str:
    return f"c{colour[1:].lower()}"


def _lines(items: Iterable[Mark]) -> Iterator[str]:
    for mark in items:
        if isinstance(mark, Group):
            if mark.key:
                yield f"% {_comment(mark.key)}"
            yield from _lines(mark.items)
        elif isinstance(mark, Rect):
            yield _rect(mark)
        elif isinstance(mark, Path):
            yield from _path(mark)
        else:
            yield _text(mark)


def _rect(rect: Rect) -> str:
    box = rect.box
    options = list(_paint(rect.fill, rect.stroke))
    if rect.radius:
        options.append(f"rounded corners={_bp(rect.radius)}")
    corners = f"{_at(box.left, box.top)} rectangle {_at(box.right, box.bottom)}"
    return f"\\path[{', '.join(options)}] {corners};"


def _path(path: Path) -> Iterator[str]:
    pieces = []
    for kind, *values in path.shaft:
        if kind == "M":
            pieces.append(_at(*values))
        elif kind == "L":
            pieces.append(f"-- {_at(*values)}")
        elif kind == "C":
            first, second, end = (_at(*values[i : i + 2]) for i in (0, 2, 4))
            pieces.append(f".. controls {first} and {second} .. {end}")
        else:
            pieces.append("-- cycle")
    yield f"\\path[{', '.join(_paint(path.fill, path.stroke))}] {' '.join(pieces)};"
    if path.head is not None and path.stroke is not None:
        yield from _path(polygon(path.head, path.stroke.colour))


def _paint(fill: str | None, stroke: Stroke | None) -> Iterator[str]:
    if fill is not None:
        yield f"fill={_name(fill)}"
    if stroke is not None:
        yield f"draw={_name(stroke.colour)}"
        yield f"line width={_bp(stroke.width)}"
        if stroke.dash:
            on = [
                f"{'off' if i % 2 else 'on'} {_bp(length)}" for i, length in enumerate(stroke.dash)
            ]
            yield f"dash pattern={' '.join(on)}"


def _text(text: Text) -> str:
    anchor = {"start": "base west", "middle": "base", "end": "base east"}[text.anchor]
    turn = f", rotate={number(-text.turn)}" if text.turn else ""
    font = f"\\fontsize{{{_bp(text.size)}}}{{{_bp(1.2 * text.size)}}}\\selectfont"
    bold = "\\bfseries" if text.bold else ""
    options = f"anchor={anchor}, text={_name(text.colour)}, font={font}{bold}{turn}"
    return f"\\node[{options}] at {_at(text.x, text.y)} {{{escape(text.text)}}};"


def _at(x: float, y: float) -> str:
    return f"({number(x)},{number(y)})"


def _bp(px: float) -> str:
    return f"{number(px * _BP)}bp"
