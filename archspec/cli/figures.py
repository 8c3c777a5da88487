"""The commands that draw: `render` one network, `gallery` all that ship."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import click
from click.exceptions import Exit

from archspec.cli.options import (
    SPEC,
    WRONG_USAGE,
    Choice,
    Output,
    choosing,
    starting,
    together,
    writing,
)
from archspec.cli.show import complain, say

if TYPE_CHECKING:
    from archspec.network import Program


def _views(ctx: click.Context, param: click.Parameter, typed: str) -> list[str]:
    from archspec.figures import VIEWS

    return starting(typed, ("auto", *VIEWS))


def _formats(ctx: click.Context, param: click.Parameter, typed: str) -> list[str]:
    from archspec.figures import ENDINGS

    return starting(typed, dict.fromkeys(ENDINGS.values()))


@dataclass(frozen=True, slots=True)
class Drawing:
    """Which figure of a network is meant."""

    view: str
    format: str | None
    block: str | None
    node: str | None

    def made(self, program: Program, file: str | None) -> tuple[str, str, str | bytes]:
        """View, format and figure; `file` is the name whose ending may say the format."""
        from archspec.figures import VIEWS, RenderError, by_ending, chosen, figure

        part = {"block": self.block, "node": self.node}
        try:
            format = self.format or (by_ending(file) if file else None)
            view = chosen(program, format, **part) if self.view == "auto" else self.view
            made = figure(program, view, format, **part)
        except RenderError as error:
            complain(str(error))
            raise Exit(WRONG_USAGE) from None
        return view, format or VIEWS[view].formats[0], made


_drawing = together(
    "drawing",
    Drawing,
    click.option(
        "--view", metavar="NAME", default="auto", show_default=True, shell_complete=_views,
        help="blocks, graph, tower, levels, module, field or html.",
    ),
    click.option(
        "--format", "-f", metavar="NAME", shell_complete=_formats, help="Where no ending says it."
    ),
    click.option(
        "--block", metavar="NAME", help="A block or its path: to show it, or open it in `graph`."
    ),
    click.option("--node", metavar="PATH", help="The op whose field is shown, by path."),
)  # fmt: skip


@click.command()
@SPEC
@writing("As its ending says: .svg .pdf .png .tex .dot .mmd .html; - for stdout.")
@_drawing
@choosing
def render(spec: str, drawing: Drawing, choice: Choice, output: Output) -> None:
    """Draw the network."""
    from archspec.figures import ENDINGS

    program = choice.accept(spec)
    view, format, made = drawing.made(program, output.file)
    ending = next(ending for ending, meant in ENDINGS.items() if meant == format)
    path = output.write(made, f"{program.name}{ending}")
    if path is not None:
        bytes = made.encode() if isinstance(made, str) else made
        say(f"{path}: {view}, {len(bytes):,} bytes written")


@click.command()
@writing("The page; figures go beside it.", default="gallery.md", show_default=True)
def gallery(output: Output) -> None:
    """Draw every spec that ships with archspec, on one page."""
    from archspec.gallery import entries, page

    path = output.path("gallery.md")
    folder = path.with_suffix("")
    folder.mkdir(exist_ok=True)
    found = []
    for entry in entries():
        output.save(entry.figure, folder / f"{entry.name}.svg")
        found.append(entry)
    output.save(page(found, folder.name), path)
    say(f"{path}: {len(found)} figures written")
