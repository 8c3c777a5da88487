"""The commands that draw: `render` one network, `gallery` all that ship."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from archspec.cli.app import Force, Inputs, Outside, Sets, Spec, Variant, _load, app
from archspec.cli.arguments import WRONG_USAGE, save, target
from archspec.cli.show import complain, say

__all__ = ["app"]


def _views(incomplete: str) -> list[str]:
    from archspec.figures import VIEWS

    return [name for name in ("auto", *VIEWS) if name.startswith(incomplete)]


def _formats(incomplete: str) -> list[str]:
    from archspec.figures import ENDINGS

    return [name for name in dict.fromkeys(ENDINGS.values()) if name.startswith(incomplete)]


@app.command()
def render(
    spec: Spec,
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="As its ending says: .svg .pdf .png .tex .dot .mmd .html; - for stdout.",
        ),
    ] = None,
    view: Annotated[
        str,
        typer.Option(
            help="blocks, graph, tower, levels, module, field or html.", autocompletion=_views
        ),
    ] = "auto",
    format: Annotated[
        str | None,
        typer.Option("--format", "-f", help="Where no ending says it.", autocompletion=_formats),
    ] = None,
    block: Annotated[
        str | None, typer.Option(help="A block or its path: to show it, or open it in `graph`.")
    ] = None,
    node: Annotated[str | None, typer.Option(help="The op whose field is shown, by path.")] = None,
    variant: Variant = None,
    sets: Sets = None,
    inputs: Inputs = None,
    outside: Outside = False,
    force: Force = False,
) -> None:
    """Draw the network."""
    from archspec.figures import ENDINGS, VIEWS, RenderError, by_ending, chosen, figure

    program = _load(spec, variant, sets, inputs, outside)
    try:
        named = output is not None and output != "-" and not Path(output).is_dir()
        if format is None and named:
            format = by_ending(str(output))
        if view == "auto":
            view = chosen(program, format, block=block, node=node)
        made = figure(program, view, format, block=block, node=node)
    except RenderError as error:
        complain(str(error))
        raise typer.Exit(WRONG_USAGE) from None
    if output == "-":
        _out(made)
        return
    format = format or VIEWS[view].formats[0]
    ending = next(ending for ending, meant in ENDINGS.items() if meant == format)
    path = target(output, f"{program.name}{ending}")
    save(made, path, force=force)
    say(f"{path}: {view}, {len(made.encode() if isinstance(made, str) else made):,} bytes written")


@app.command()
def gallery(
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="FILE", help="The page; figures go beside it.")
    ] = "gallery.md",
    force: Force = False,
) -> None:
    """Draw every spec that ships with archspec, and write a page that shows them."""
    from archspec.gallery import entries, page

    path = target(output, "gallery.md")
    folder = path.with_suffix("")
    folder.mkdir(exist_ok=True)
    found = []
    for entry in entries():
        save(entry.figure, folder / f"{entry.name}.svg", force=force)
        found.append(entry)
    save(page(found, folder.name), path, force=force)
    say(f"{path}: {len(found)} figures written")


def _out(made: str | bytes) -> None:
    """To stdout, bytes as they are."""
    if isinstance(made, str):
        say(made)
    else:
        sys.stdout.flush()
        sys.stdout.buffer.write(made)
