"""Network → figures: views of a network as SVG, PDF, PNG, TikZ, DOT, Mermaid, HTML; no torch.

A view is a row of VIEWS and a function (docs/figures.md adds one). On the way to a figure:

    tree, groups        what the author wrote, over the nodes of the graph
    fold, outline       few enough parts, and the links between them
    words, palette      what is said on a card, and its colour
    grid, flow, …       where the cards stand and how the links run, in px
    scene               the figure: boxes, paths and words in one plane
    svg, tikz, sheet    the file; DOT, Mermaid and the page are written from parts directly
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

from archspec.deep import deep
from archspec.figures.errors import RenderError
from archspec.text.words import did_you_mean

if TYPE_CHECKING:
    from archspec.analysed import Network
    from archspec.figures.scene import Scene

__all__ = ["ENDINGS", "VIEWS", "RenderError", "View", "by_ending", "chosen", "figure", "written"]


@dataclasses.dataclass(frozen=True)
class View:
    """One way to look at a network.

    `shows` in a few words. `draw` makes a Scene, which can be written in each of `sheets`; `texts`
    by format are written directly. Both are "module:function" of this package, imported when used;
    a function takes the Network, and what may be chosen by name: `takes` is "block", "node" or "".
    """

    shows: str
    draw: str = ""
    sheets: tuple[str, ...] = ()
    texts: Mapping[str, str] = dataclasses.field(default_factory=dict)
    takes: str = ""

    @property
    def formats(self) -> tuple[str, ...]:
        """All formats, the usual one first."""
        return (*self.sheets, *self.texts)


_PRINT = ("svg", "pdf", "png")

VIEWS = {
    "blocks": View(
        "the network folded to at most 40 cards", "blocks:draw", _PRINT,
        {"dot": "dot:collapsed", "mermaid": "mermaid:write"},
    ),
    "graph": View(
        "every op, clustered by block", "graph:draw", _PRINT, {"dot": "dot:full"}, takes="block"
    ),
    "tower": View("feature maps as volumes", "tower:draw", (*_PRINT, "tikz")),
    "levels": View("height by stride: the U of a U-Net", "levels:draw", (*_PRINT, "tikz")),
    "module": View("one block in full", "module:draw", (*_PRINT, "tikz"), takes="block"),
    "field": View("the receptive field of a node", "field:draw", ("svg", "png"), takes="node"),
    "html": View("a page to walk through", texts={"html": "html:write"}),
}  # fmt: skip

ENDINGS = {
    ".svg": "svg", ".pdf": "pdf", ".png": "png", ".tex": "tikz", ".tikz": "tikz", ".dot": "dot",
    ".gv": "dot", ".mmd": "mermaid", ".mermaid": "mermaid", ".html": "html", ".htm": "html",
}  # fmt: skip
"""Format by the ending of a file's name."""

_WRITERS = {"svg": "svg:write", "pdf": "sheet:pdf", "png": "sheet:png", "tikz": "tikz:write"}
_PACKAGES = frozenset({"graphviz", "pygraphviz", "reportlab", "pypdfium2", "PIL"})


def figure(
    network: Network,
    view: str = "auto",
    format: str | None = None,
    *,
    block: str | None = None,
    node: str | None = None,
) -> str | bytes:
    """The network drawn: text, or the bytes of a PDF or PNG; the same from run to run.

    `view` is one of VIEWS or "auto"; `format` one that the view has, its first where not given.
    `block` names a block or its path, `node` the path of an op, for views that show one. Raises
    RenderError.
    """
    with deep():
        if view == "auto":
            view = chosen(network, format, block=block, node=node)
        return _drawn(network, view, format, {"block": block, "node": node})


def _drawn(
    network: Network, view: str, format: str | None, given: Mapping[str, str | None]
) -> str | bytes:
    row = _view(view)
    format = _format(view, row, format)
    asked = _asked(view, row, **given)
    if format in row.texts:
        text: str = _made(view, format, lambda: _function(row.texts[format])(network, **asked))
        return text
    scene = _made(view, format, lambda: _function(row.draw)(network, **asked))
    return written(scene, view, format)


def written(scene: Scene, view: str, format: str) -> str | bytes:
    """A scene as svg, pdf, png or tikz. Raises RenderError where a package lacks."""
    file: str | bytes = _made(view, format, lambda: _function(_WRITERS[format])(scene))
    return file


def _made(view: str, format: str, make: Callable[[], Any]) -> Any:
    """What is made. Raises RenderError where a package that it needs is not installed."""
    try:
        return make()
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _PACKAGES:
            raise
        message = f"`{view}` as {format} needs `{error.name}`, which is not installed"
        raise RenderError("E705", message, "pip install 'archspec[figures]'") from None


def by_ending(path: str | Path) -> str:
    """The format that the ending of a file's name means. Raises RenderError."""
    ending = Path(path).suffix
    if ending.lower() not in ENDINGS:
        wrong = f"the ending `{ending}` of `{path}` means no format of a figure"
        raise RenderError("E704", wrong, "known: " + ", ".join(ENDINGS))
    return ENDINGS[ending.lower()]


@deep()
def chosen(
    network: Network,
    format: str | None = None,
    *,
    block: str | None = None,
    node: str | None = None,
) -> str:
    """The view that "auto" means.

    `field` where a node is named, `module` where a block is; `tower` where all maps are on one way
    from the input to the output; `levels` where something is upsampled or maps of several sizes
    come out; else `blocks`. Where that cannot be written in `format`, the first view that can.
    """
    what = "node" if node is not None else "block" if block is not None else ""
    usual = {"node": "field", "block": "module"}.get(what) or _usual(network)
    able = (
        name
        for name in (usual, *VIEWS)
        if format in (None, *VIEWS[name].formats) and what in ("", VIEWS[name].takes)
        if name == usual or _applies(network, name)
    )
    return next(able, usual)


def _applies(network: Network, view: str) -> bool:
    """Whether a view that leaves some networks to others can draw this one."""
    from archspec.figures import levels, trunk

    if view == "tower":
        return not trunk.reason(network)
    return view != "levels" or levels.fitting(network) is not None


def _usual(network: Network) -> str:
    from archspec.figures import levels, trunk

    if not trunk.reason(network):
        return "tower"
    return "levels" if _scales(network) and levels.applies(network) else "blocks"


def _scales(network: Network) -> bool:
    """Whether something is upsampled, or maps of several sizes come out."""
    from archspec.figures import ports, words

    graph = network.graph
    leaving = ports.outputs(graph, training=False)
    outs = [graph.steps[edge.node].outs[edge.output] for _, edge in leaving]
    if len({out.shape[1:] for out in outs if out.is_map}) > 1:
        return True
    return any(words.family(node) == "upsampling" for node in graph.steps)


# ------------------------------------------------------------------ what was asked for


def _view(name: str) -> View:
    if name not in VIEWS:
        raise RenderError("E701", f"`{name}` is no view", did_you_mean(name, ["auto", *VIEWS]))
    return VIEWS[name]


def _format(view: str, row: View, format: str | None) -> str:
    if format is None:
        return row.formats[0]
    if format not in row.formats:
        known = {name for each in VIEWS.values() for name in each.formats}
        what = (
            f"`{view}` is not drawn as {format}" if format in known else f"`{format}` is no format"
        )
        raise RenderError("E704", what, f"`{view}` is drawn as " + ", ".join(row.formats))
    return format


def _asked(view: str, row: View, **named: str | None) -> dict[str, str | None]:
    """What the view's functions are called with."""
    for what, name in named.items():
        if name is not None and what != row.takes:
            able = ", ".join(f"`{other}`" for other, each in VIEWS.items() if each.takes == what)
            raise RenderError("E704", f"`{view}` shows no single {what}", f"{able} can show one")
    return {row.takes: named[row.takes]} if row.takes else {}


def _function(name: str) -> Callable[..., Any]:
    found: Callable[..., Any] = resolve_name(f"archspec.figures.{name}")
    return found
