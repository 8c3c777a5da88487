"""The commands about a network: what is wrong with it, what it is, what it becomes."""

from __future__ import annotations

import sys
from pathlib import Path
from pkgutil import resolve_name

import click
from click.exceptions import Exit

from archspec.cli.options import (
    FORMAT,
    SPEC,
    WRONG_SPEC,
    Choice,
    Output,
    WrongUsageError,
    choosing,
    specs,
    writing,
)
from archspec.cli.show import fancy, faults, say, table

STAGE_NAMES = (
    "read",
    "parse",
    "expand",
    "graph",
    "analyse",
    "lower",
    "emit",
)  # of archspec.network


@click.command()
@click.argument(
    "specs", metavar="SPEC...", nargs=-1, required=True, help="Files, or names.",
    shell_complete=specs,
)  # fmt: skip
@choosing
def check(specs: tuple[str, ...], choice: Choice) -> None:
    """Say what is wrong with specs, if anything."""
    from archspec.report import headline
    from archspec.text.faults import SpecError

    good = True
    for spec in specs:
        try:
            program = choice.load(spec)
        except SpecError as error:
            faults(error.faults, error.sources)
            good = False
            continue
        good = good and not (choice.strict and program.warnings)
        say(f"{program.source.name}: {headline(program)}")
    if not good:
        raise Exit(WRONG_SPEC)


@click.command("compile")
@SPEC
@writing()
@click.option(
    "--stop-after", metavar="STAGE", type=click.Choice(STAGE_NAMES),
    help=f"Show what a stage makes: {', '.join(STAGE_NAMES)}.",
)  # fmt: skip
@choosing
def compile_(spec: str, choice: Choice, output: Output, stop_after: str | None) -> None:
    """Write the network as PyTorch source, and show its summary."""
    if stop_after is not None:
        from archspec.network import STAGES

        run = choice.start(spec)
        text = next(stage.show(run) for stage in STAGES if stage.name == stop_after)
        output.put(text, f"{stop_after}.txt")
        return
    program = choice.accept(spec)
    text = program.code
    if output.stdout:
        say(text)
        return
    path = output.path(f"{program.name}.py")
    output.save(text, path)
    from archspec.report import fitting

    table(program, "table", fitting(program))
    say(f"\n{path}: {text.count(chr(10))} lines written")


@click.command()
@SPEC
@FORMAT
@click.option(
    "--depth", "-d", metavar="N", type=click.IntRange(min=0),
    help="Fold what lies deeper than this.",
)  # fmt: skip
@choosing
def summary(spec: str, format: str, depth: int | None, choice: Choice) -> None:
    """Show every layer, and the totals."""
    table(choice.accept(spec), format, depth)


@click.command()
@SPEC
@choosing
def expand(spec: str, choice: Choice) -> None:
    """Show the network unrolled: one line of YAML an op."""
    from archspec.report import unrolled

    say(unrolled(choice.accept(spec)))


# ending → what writes the graph so: module:function, loaded when it is asked for
_EXPORTS = {".graphml": "archspec.report.graphml:graphml"}


@click.command()
@SPEC
@writing(f"As its ending says: {' '.join(_EXPORTS)}; - for stdout.")
@choosing
def export(spec: str, choice: Choice, output: Output) -> None:
    """Write the graph for other programs."""
    program = choice.accept(spec)
    ending = next(iter(_EXPORTS)) if output.file is None else Path(output.file).suffix
    if ending.lower() not in _EXPORTS:
        raise WrongUsageError(
            f"the ending `{ending}` of `{output.file}` means no format of a graph",
            f"known: {', '.join(_EXPORTS)}",
        )
    text: str = resolve_name(_EXPORTS[ending.lower()])(program.graph)
    if output.stdout:
        say(text)
        return
    path = output.path(f"{program.name}{ending}")
    output.save(text, path)
    say(f"{path}: {len(program.graph.steps):,} nodes written")


@click.command()
@click.argument("a", metavar="A", help="A spec.", shell_complete=specs)
@click.argument("b", metavar="B", help="Another.", shell_complete=specs)
@FORMAT
@click.option(
    "--depth", "-d", metavar="N", type=click.IntRange(min=1), default=1, show_default=True,
    help="Segments of a path that make a stage.",
)  # fmt: skip
@click.option(
    "--variant", "-v", "variants", metavar="NAME", multiple=True,
    help="Of both; given twice, of A and of B.",
)  # fmt: skip
def diff(a: str, b: str, format: str, depth: int, variants: tuple[str, ...]) -> None:
    """Show what changes between two specs, and which weights stay."""
    from archspec.network import Choice, prepare
    from archspec.report import difference

    if len(variants) > 2:
        raise WrongUsageError(
            "`--variant` is given more than twice", "once for both, or for A and for B"
        )
    first, last = (variants[0], variants[-1]) if variants else (None, None)
    before, after = prepare(a, Choice(variant=first)), prepare(b, Choice(variant=last))
    found = difference.compare(before, after, depth)
    if format == "table" and fancy(sys.stdout):
        from archspec.report import table

        table.terminal(difference.difference(found))
    else:
        say(difference.write(found, format))
