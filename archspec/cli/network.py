"""The commands about a network: what is wrong with it, what it is, what it becomes."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click
from click.exceptions import Exit

from archspec.cli.options import (
    FORMAT,
    OF_SPEC,
    SPEC,
    WRONG_SPEC,
    Choice,
    Output,
    Weights,
    WrongUsageError,
    choosing,
    specs,
    weighing,
    writing,
)
from archspec.cli.show import faults, result, say, table

# of archspec.network, which is not imported before a command needs it
STAGE_NAMES = ("read", "parse", "expand", "graph", "analyse", "lower", "emit")


@click.command()
@click.argument(
    "specs", metavar="SPEC...", nargs=-1, required=True, help="Files, or names.",
    shell_complete=specs,
)  # fmt: skip
@choosing
def check(specs: tuple[str, ...], choice: Choice) -> None:
    """Say what is wrong with specs and their variants, if anything."""
    from archspec.report import headline
    from archspec.text.faults import SpecError

    good = True
    for spec in specs:
        try:
            program, warnings = choice.everywhere(spec)
        except SpecError as error:
            faults(error.faults, error.sources)
            good = False
            continue
        good = good and not (choice.strict and warnings)
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
    path = output.write(text, f"{program.name}.py")
    if path is not None:
        from archspec.report import fitting, layers

        table(layers(program, fitting(program)))
        say(f"\n{path}: {text.count(chr(10))} lines written")


@click.command()
@click.argument(
    "specs", metavar="SPEC...", nargs=-1, required=True, help="Files, or names.",
    shell_complete=specs,
)  # fmt: skip
@FORMAT
@click.option(
    "--depth", "-d", metavar="N", type=click.IntRange(min=0),
    help="Fold what lies deeper than this.",
)  # fmt: skip
@click.option("--variants", is_flag=True, help="A row for each spec and each of its variants.")
@choosing
def summary(
    specs: tuple[str, ...], format: str, depth: int | None, variants: bool, choice: Choice
) -> None:
    """Show every layer, and the totals; of several specs a row each."""
    from archspec import report

    if len(specs) > 1 or variants:
        if depth is not None:
            message = "`--depth` folds the layers of one network"
            raise WrongUsageError(message, "leave it out, or name one spec")
        if variants and choice.variant is not None:
            message = "`--variants` shows all; `--variant` names one"
            raise WrongUsageError(message, "leave one out")
        several(specs, format, choice, variants=variants)
        return
    program = choice.accept(specs[0])
    if format == "table":
        table(report.layers(program, depth))
    else:
        result(report.write(program, format, depth))


def several(specs: tuple[str, ...], format: str, choice: Choice, *, variants: bool) -> None:
    """One table of networks."""
    from archspec.report import side_by_side

    found = []
    for spec in specs:
        program = choice.accept(spec)
        others = [name for name in program.spec.variants if name != program.spec.name]
        found += [program, *map(program.with_, others if variants else ())]
    if format == "table":
        table(side_by_side.side_by_side(found))
    else:
        result(side_by_side.write(found, format))


@click.command()
@SPEC
@choosing
def expand(spec: str, choice: Choice) -> None:
    """Show the network unrolled: one line of YAML an op."""
    from archspec.report import unrolled

    result(unrolled(choice.accept(spec)))


@click.command()
@click.argument(
    "network", metavar="SPEC|RUN|CHECKPOINT", help="What is written.", shell_complete=specs
)
@writing("As its ending says: .graphml, .onnx, .pt2; - for stdout.")
@weighing(OF_SPEC)
@choosing
def export(network: str, source: Weights, choice: Choice, output: Output) -> None:
    """Write the graph, or the whole network, for other programs.

    \b
    .graphml  the graph with all that is known of it, of a SPEC
    .onnx     the network with its weights, for ONNX Runtime and its like
    .pt2      the same, for PyTorch without archspec
    """
    ending = ".graphml" if output.file is None else Path(output.file).suffix.lower()
    if ending in (".onnx", ".pt2"):
        _network(network, source, choice, output)
        return
    if ending != ".graphml":
        message = f"the ending `{ending}` of `{output.file}` means no format of a graph"
        raise WrongUsageError(message, "known: .graphml, .onnx, .pt2")
    from archspec.report.graphml import graphml

    program = choice.accept(network)
    path = output.write(graphml(program.graph), f"{program.name}{ending}")
    if path is not None:
        say(f"{path}: {len(program.graph.steps):,} nodes written")


def _network(network: str, source: Weights, choice: Choice, output: Output) -> None:
    """A trained network, or one that is built of a spec."""
    path = output.path("")
    if Path(network).is_dir() or network.startswith("hf:"):
        from archspec.train import load

        write = load(network).export
    else:
        from archspec.module import build
        from archspec.module.exchange import export

        model = build(choice.accept(network), weights=source.weights, **source.keywords())
        write = partial(export, model)
    with output.ending(path):
        found = write(path, force=output.force)
    for name, shape in found.inputs.items():
        say(f"input {name}: {' x '.join(map(str, shape))}")
    say(f"output {', '.join(found.outputs)}: apart by {found.apart:.0e} of the largest number")
    say(f"{found.path}: {found.path.stat().st_size:,} bytes written")


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
        message = "`--variant` is given more than twice"
        raise WrongUsageError(message, "once for both, or for A and for B")
    first, last = (variants[0], variants[-1]) if variants else (None, None)
    before, after = prepare(a, Choice(variant=first)), prepare(b, Choice(variant=last))
    found = difference.compare(before, after, depth)
    if format == "table":
        table(difference.difference(found))
    else:
        result(difference.write(found, format))
