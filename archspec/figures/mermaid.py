"""Network → Mermaid: the folded network as a flowchart, for a README or a pull request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archspec.figures import palette
from archspec.figures.dot import LONGEST, lines
from archspec.figures.outline import Part, outline
from archspec.save import MARK

if TYPE_CHECKING:
    from archspec.analysed import Network

# of Mermaid's own syntax; a character reference is text wherever it stands
_SAFE = frozenset(" ×·²³…,.-/+_()")
_SHAPES = {"input": ("([", "])"), "output": ("([", "])"), "merge": ("((", "))")}


def write(network: Network) -> str:
    """The view `blocks` as a Mermaid flowchart, with the palette as classes."""
    shown = outline(network)
    place = {part.key: number for number, part in enumerate(shown.parts)}
    found = ["---", f'title: "{text(network.name)}"', "---", "flowchart TD", f"    %% {MARK}"]
    for part in shown.parts:
        left, right = _SHAPES.get(part.kind, ("[", "]"))
        label = "<br/>".join(text(line) for line in lines(part))
        found.append(f'    n{place[part.key]}{left}"{label}"{right}:::{_class(part)}')
    for link in shown.links:
        arrow = "-.->" if link.skip else "-->"
        found.append(f"    n{place[link.source]} {arrow} n{place[link.target]}")
    for family in sorted({part.family for part in shown.parts}):
        colours = palette.of(family)
        style = f"fill:{colours.fill},stroke:{colours.edge},color:{palette.INK}"
        found.append(f"    classDef c_{family} {style}")
    return "\n".join(found) + "\n"


def _class(part: Part) -> str:
    return f"c_{part.family}"  # `default` and `end` are words of the language


def text(words: str) -> str:
    """Words as they are: whatever means something to Mermaid or HTML as a character reference."""
    cut = words if len(words) <= LONGEST else words[: LONGEST - 1] + "…"
    return "".join(c if c.isalnum() or c in _SAFE else f"#{ord(c)};" for c in cut)
