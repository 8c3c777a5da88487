"""Network → Mermaid: the folded network as a flowchart, for a README or a pull request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archspec.figures import palette
from archspec.figures.dot import LONGEST, lines
from archspec.figures.outline import outline
from archspec.save import MARK
from archspec.text.words import shortened

if TYPE_CHECKING:
    from archspec.analysed import Network

# of Mermaid's own syntax; a character reference is text wherever it stands
_SAFE = frozenset(" ×·²³…,.-/+_()")
_SHAPES = {"input": ("([", "])"), "output": ("([", "])"), "merge": ("((", "))")}


def write(network: Network) -> str:
    """The view `blocks` as a Mermaid flowchart, with the palette as classes."""
    shown = outline(network)
    found = ["---", f'title: "{text(network.called)}"', "---", "flowchart TD", f"    %% {MARK}"]
    for number, part in enumerate(shown.parts):
        left, right = _SHAPES.get(part.kind, ("[", "]"))
        label = "<br/>".join(text(line) for line in lines(part))
        found.append(f'    n{number}{left}"{label}"{right}:::c_{part.family}')
    for link, (source, target) in zip(shown.links, shown.ends, strict=True):
        found.append(f"    n{source} {'-.->' if link.skip else '-->'} n{target}")
    for family in sorted({part.family for part in shown.parts}):
        colours = palette.of(family)
        style = f"fill:{colours.fill},stroke:{colours.edge},color:{palette.INK}"
        found.append(f"    classDef c_{family} {style}")
    return "\n".join(found) + "\n"


def text(words: str) -> str:
    """Words as they are: whatever means something to Mermaid or HTML as a character reference."""
    cut = shortened(words, LONGEST)
    return "".join(c if c.isalnum() or c in _SAFE else f"#{ord(c)};" for c in cut)
