"""The commands about the language: its complaints, its ops, its specs, how they are written."""

from __future__ import annotations

import sys
from pathlib import Path
from shlex import quote

import click
from click.exceptions import Exit

from archspec.cli.options import (
    WRONG_SPEC,
    WRONG_USAGE,
    Output,
    WrongUsageError,
    starting,
    writing,
)
from archspec.cli.show import complain, page, result, say, table
from archspec.save import MARK, as_written, replacing


def _codes(ctx: click.Context, param: click.Parameter, typed: str) -> list[str]:
    from archspec.codes import CODES

    return starting(typed.upper(), CODES)


@click.command()
@click.argument(
    "code", metavar="[CODE]", required=False, help="E301, W104, …; without it, all.",
    shell_complete=_codes,
)  # fmt: skip
def explain(code: str | None) -> None:
    """Show a page about a complaint, by its code."""
    from archspec import codes

    if code is None:
        say("\n".join(f"{name}  {codes.page(name).title}" for name in codes.CODES))
        return
    if code.upper() not in codes.CODES:
        raise WrongUsageError(f"`{code}` is no code", "`archspec explain` lists them")
    page(code.upper(), codes.page(code.upper()))


@click.command()
@click.option("--plan", "of_plan", is_flag=True, help="Of plan files instead.")
@writing()
def schema(of_plan: bool, output: Output) -> None:
    """Show the JSON Schema of the language, for editors."""
    import json

    if of_plan:
        from archspec.train.reading import schema as build

        found, name = build(), "archspec-plan"
    else:
        from archspec.language.schema import schema as build

        found, name = build(), "archspec"
    said = {"$comment": MARK, **found}
    output.put(json.dumps(said, indent=1, ensure_ascii=False) + "\n", f"{name}.schema.json")
    _left_out()


@click.command("list")
@click.option("--ops", is_flag=True, help="List the ops of the language instead.")
def list_(ops: bool) -> None:
    """List the specs that ship with archspec."""
    from archspec.report import shipped, vocabulary

    if ops:
        say(vocabulary())
        _left_out()
    else:
        table(shipped())


def _left_out() -> None:
    """Why some ops that installed packages offer are not among all there are."""
    from archspec.layers import REGISTRY

    for why in REGISTRY.refused.values():
        complain(f"warning: {why}")


@click.command()
@click.argument(
    "line", metavar="[LINE]", required=False,
    help='Such as "[(CONV → RELU)×2 → POOL?]×N → FC"; -> or - and x will do.',
)  # fmt: skip
@writing()
def new(line: str | None, output: Output) -> None:
    """Write a spec to start from."""
    from archspec import starter

    path = None if output.output is None or output.stdout else output.path("network.yaml")
    name = "network" if path is None else path.stem
    if not (name.isidentifier() and name.isascii()):
        raise WrongUsageError(
            f"`{name}` is no identifier, and a spec is named as its file", "-o my_net.yaml"
        )
    try:
        text = starter.write(starter.LINE if line is None else line, name)
    except starter.LineError as error:
        complain(f"error: {error.message}\n  {line}\n  {' ' * error.column}^")
        raise Exit(WRONG_USAGE) from None
    if path is None:
        result(text)
    else:
        output.save(text, path)
        say(f"{path}: written; next: archspec compile {quote(str(path))}")


@click.command()
@click.argument("files", metavar="FILE...", nargs=-1, required=True, help="Specs; - for stdin.")
@click.option("--check", is_flag=True, help="Write nothing; exit status 1 if a file would change.")
def fmt(files: tuple[str, ...], check: bool) -> None:
    """Put specs into canonical layout and spelling; comments stay."""
    from archspec.language.spelling import respelt
    from archspec.text import source
    from archspec.text.tidy import tidy

    changed = False
    for file in files:
        if file == "-":
            given = sys.stdin.buffer.read()
            read = source.from_text(given.decode("utf-8", "surrogateescape"), "<stdin>")
            result(_ended(tidy(respelt(read)), given))
            continue
        read = source.read(file)
        before, after = read.text, tidy(respelt(read))
        if after != before:
            changed = True
            if not check:
                _rewrite(Path(file).resolve(), after)  # a link stays one
            say(f"{file}: {'would change' if check else 'formatted'}")
    if check and changed:
        raise Exit(WRONG_SPEC)


def _rewrite(path: Path, text: str) -> None:
    with Output(None, force=True).ending(path), replacing(path, as_written, force=True) as new:
        new.write_bytes(_ended(text, path.read_bytes()).encode())


def _ended(text: str, given: bytes) -> str:
    """The text with line ends as most of those that were given."""
    windows = given.count(b"\r\n") * 2 > given.count(b"\n")
    return text.replace("\n", "\r\n") if windows else text
