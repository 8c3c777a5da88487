"""The commands. What they need is imported inside them: `archspec --help` reads no spec code."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from archspec.cli.arguments import WRONG_SPEC, WRONG_USAGE, save, setting, shape, target, usage
from archspec.cli.show import complain, faults, say, shelf, table

if TYPE_CHECKING:
    from archspec.network import Program

app = typer.Typer(
    help="Architectures of neural networks as short YAML specs.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class Format(StrEnum):
    """How a table is written."""

    table = "table"
    markdown = "markdown"
    csv = "csv"
    json = "json"


def _specs(incomplete: str) -> list[str]:
    from archspec.shelf import names

    files = sorted(path.name for path in Path().glob("*.yaml"))
    return [name for name in [*files, *names()] if name.startswith(incomplete)]


def _variants(ctx: typer.Context, incomplete: str) -> list[str]:
    from archspec import shelf
    from archspec.text import source

    try:
        # what stands before an option without its value yet is still in `args`
        spec = ctx.params.get("spec") or next(iter(ctx.args), "")
        data = source.read(shelf.find(spec)).data
        return [name for name in data.get("variants", {}) if name.startswith(incomplete)]
    except Exception:  # a completion must never write into the line that is being typed
        return []


def _codes(incomplete: str) -> list[str]:
    from archspec.codes import CODES

    return [code for code in sorted(CODES) if code.startswith(incomplete.upper())]


Spec = Annotated[
    str,
    typer.Argument(
        metavar="SPEC",
        help="A spec file, or the name of one that ships with archspec.",
        autocompletion=_specs,
    ),
]
Variant = Annotated[
    str | None,
    typer.Option("--variant", "-v", help="One of the spec's variants.", autocompletion=_variants),
]
Sets = Annotated[
    list[str] | None,
    typer.Option("--set", "-s", metavar="NAME=VALUE", help="Set a param: classes=10."),
]
Inputs = Annotated[
    list[str] | None,
    typer.Option(
        "--input", "-i", metavar="SHAPE", help="Another input shape: 3x64x64, or image=3x64x64."
    ),
]
Outside = Annotated[
    bool, typer.Option("--allow-outside", help="Let `use` read files outside the spec's folder.")
]
Strict = Annotated[bool, typer.Option("--strict", help="Warnings are fatal.")]
Output = Annotated[
    str | None, typer.Option("--output", "-o", help="File or folder to write to; - for stdout.")
]
Force = Annotated[bool, typer.Option("--force", help="Replace a file that is not archspec's.")]


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False,
) -> None:
    if version:
        from archspec import __version__

        say(f"archspec {__version__}")
        raise typer.Exit


@app.command()
def check(
    specs: Annotated[
        list[str], typer.Argument(metavar="SPEC", help="Files, or names.", autocompletion=_specs)
    ],
    variant: Variant = None,
    sets: Sets = None,
    inputs: Inputs = None,
    outside: Outside = False,
    strict: Strict = False,
) -> None:
    """Say what is wrong with specs, if anything."""
    from archspec.report import headline
    from archspec.text.faults import SpecError

    good = True
    for spec in specs:
        try:
            program = _load(spec, variant, sets, inputs, outside)
        except SpecError as error:
            faults(error.faults, error.sources)
            good = False
            continue
        good = good and not (strict and program.warnings)
        say(f"{program.source.name}: {headline(program)}")
    if not good:
        raise typer.Exit(WRONG_SPEC)


@app.command("compile")
def compile_(
    spec: Spec,
    output: Output = None,
    variant: Variant = None,
    sets: Sets = None,
    inputs: Inputs = None,
    outside: Outside = False,
    force: Force = False,
    strict: Strict = False,
) -> None:
    """Write the network as PyTorch source, and show its summary."""
    program = _accepted(_load(spec, variant, sets, inputs, outside), strict)
    text = program.source_code
    if output == "-":
        say(text)
        return
    path = target(output, f"{program.name}.py")
    save(text, path, force=force)
    from archspec.report import fitting

    table(program, "table", fitting(program))
    say(f"\n{path}: {text.count(chr(10))} lines written")


@app.command()
def summary(
    spec: Spec,
    format: Annotated[
        Format, typer.Option("--format", "-f", help="How to write it.")
    ] = Format.table,
    depth: Annotated[
        int | None, typer.Option("--depth", "-d", min=0, help="Fold what lies deeper than this.")
    ] = None,
    variant: Variant = None,
    sets: Sets = None,
    inputs: Inputs = None,
    outside: Outside = False,
    strict: Strict = False,
) -> None:
    """Show every layer, and the totals."""
    program = _accepted(_load(spec, variant, sets, inputs, outside), strict)
    table(program, format.value, depth)


@app.command()
def expand(
    spec: Spec,
    variant: Variant = None,
    sets: Sets = None,
    inputs: Inputs = None,
    outside: Outside = False,
    strict: Strict = False,
) -> None:
    """Show the network unrolled: one line of YAML an op."""
    from archspec.report import unrolled

    say(unrolled(_accepted(_load(spec, variant, sets, inputs, outside), strict)))


@app.command()
def explain(
    code: Annotated[
        str | None, typer.Argument(help="E301, W104, …; without it, all.", autocompletion=_codes)
    ] = None,
) -> None:
    """Show a page about a complaint, by its code."""
    from archspec.codes import CODES

    if code is None:
        say("\n".join(f"{name}  {entry.title}" for name, entry in sorted(CODES.items())))
        return
    entry = CODES.get(code.upper())
    if entry is None:
        usage(f"`{code}` is no code", "`archspec explain` lists them")
    say(f"{code.upper()}  {entry.title}\n\n{entry.page.strip()}")


@app.command()
def schema(output: Output = None, force: Force = False) -> None:
    """Show the JSON Schema of the language, for editors."""
    import json

    from archspec.language.schema import schema as build

    text = json.dumps(build(), indent=1, ensure_ascii=False) + "\n"
    if output is None or output == "-":
        say(text)
    else:
        save(text, target(output, "archspec.schema.json"), force=force)


@app.command("list")
def list_(
    ops: Annotated[
        bool, typer.Option("--ops", help="List the ops of the language instead.")
    ] = False,
) -> None:
    """List the specs that ship with archspec."""
    from archspec.report import vocabulary

    if ops:
        say(vocabulary())
    else:
        shelf()


@app.command()
def new(
    line: Annotated[
        str | None,
        typer.Argument(help='Such as "[(CONV → RELU)×2 → POOL]×3 → FC"; -> and x will do.'),
    ] = None,
    output: Output = None,
    force: Force = False,
) -> None:
    """Write a spec to start from."""
    from archspec import starter

    path = None if output is None or output == "-" else target(output, "network.yaml")
    name = "network" if path is None else path.stem
    if not (name.isidentifier() and name.isascii()):
        usage(f"`{name}` is no identifier, and a spec is named as its file", "-o my_net.yaml")
    try:
        text = starter.write(starter.LINE if line is None else line, name)
    except starter.LineError as error:
        complain(f"error: {error.message}\n  {line}\n  {' ' * error.column}^")
        raise typer.Exit(WRONG_USAGE) from None
    if path is None:
        say(text)
    else:
        save(text, path, force=force)
        say(f"{path}: written; next: archspec compile {path}")


@app.command()
def fmt(
    files: Annotated[list[str], typer.Argument(metavar="FILE", help="Spec files; - for stdin.")],
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit status 1 if a file would change.")
    ] = False,
) -> None:
    """Put specs into canonical layout; comments stay."""
    import sys

    from archspec.text import source
    from archspec.text.tidy import tidy

    changed = False
    for file in files:
        if file == "-":
            text = sys.stdin.buffer.read().decode("utf-8", "surrogateescape")
            say(tidy(source.from_text(text, "<stdin>").text))
            continue
        before = source.read(file).text
        after = tidy(before)
        if after != before:
            changed = True
            if not check:
                save(after, Path(file), force=True)
            say(f"{file}: {'would change' if check else 'formatted'}")
    if check and changed:
        raise typer.Exit(WRONG_SPEC)


def _load(
    spec: str,
    variant: str | None,
    sets: list[str] | None,
    inputs: list[str] | None,
    outside: bool,
) -> Program:
    """The program, analysed, its warnings shown. Raises SpecError."""
    params = dict(map(setting, sets or []))
    shapes = dict(map(shape, inputs or []))
    from archspec.network import prepare

    program = prepare(spec, variant, params, shapes or None, allow_outside=outside)
    faults(program.warnings, program.sources)
    return program


def _accepted(program: Program, strict: bool) -> Program:
    if strict and program.warnings:
        raise typer.Exit(WRONG_SPEC)
    return program
