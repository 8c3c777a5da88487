"""What is typed → values: the arguments and options that several commands take, said once.

Options that belong together reach a command as one object:

    @click.command()
    @SPEC
    @choosing                     # adds --variant, --set, --input, --allow-outside, --strict
    def expand(spec: str, choice: Choice) -> None: ...

What cannot be a value ends the command with exit status 2.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.exceptions import Exit

from archspec.cli.show import complain, faults, result
from archspec.save import MARK, NotOursError, save

if TYPE_CHECKING:
    from archspec.network import Program, Run

Command = Callable[..., None]
Decorator = Callable[[Command], Command]

WRONG_SPEC, WRONG_USAGE = 1, 2

_EXAMPLES = {"--set": "classes=10", "--with": "schedule=cosine"}
_PARAM = re.compile(r"[a-z][a-z0-9_]*")
_SHAPE = re.compile(r"(?:([A-Za-z_][A-Za-z0-9_]*)=)?([0-9]{1,12}(?:[x×,][0-9]{1,12})*)")


class WrongUsageError(click.ClickException):
    """The command was called in a way that means nothing."""

    exit_code = WRONG_USAGE

    def __init__(self, message: str, help: str = "") -> None:
        super().__init__(message)
        self.help = help

    def show(self, file: Any = None) -> None:
        text = f"error: {self.message}" + (f"\n  help: {self.help}" if self.help else "")
        if file is None:
            complain(text)
        else:
            file.write(text)


def together(name: str, kind: type, *options: Decorator) -> Decorator:
    """Options that belong together: a command gets them in the dataclass `kind`, as `name`."""
    names = [field.name for field in fields(kind)]

    def add(command: Command) -> Command:
        @wraps(command)
        def gathered(**given: Any) -> None:
            given[name] = kind(**{key: given.pop(key) for key in names})
            command(**given)

        made: Command = gathered
        for option in reversed(options):
            made = option(made)
        return made

    return add


# ------------------------------------------------------------------ which weights


def state(ctx: click.Context, param: click.Parameter, texts: tuple[str, ...]) -> Any:
    """A file or a word; or by `PART=FILE`, as often as there are parts, what is for used files."""
    pairs = [(text, *text.partition("=")) for text in texts]
    parted = {
        part: what for text, part, equals, what in pairs if equals and not Path(text).exists()
    }
    if not parted:
        if len(texts) > 1:
            message = f"weights are given {len(texts)} times"
            raise WrongUsageError(message, "PART=FILE says which is for which used file")
        return texts[0] if texts else None
    if len(parted) < len(texts):
        message = "weights are given for the whole network and for a part of it"
        raise WrongUsageError(message, "PART=FILE for each part, or one FILE")
    return parted


def _prefixes(ctx: click.Context, param: click.Parameter, texts: tuple[str, ...]) -> Any:
    """`model.=` → {"model.": ""}."""
    found = {}
    for text in texts:
        old, equals, new = text.partition("=")
        if not equals or not (old or new):
            message = f"`--prefix {text}` is not OLD=NEW"
            raise WrongUsageError(
                message, "--prefix model.= takes one off, --prefix =body. puts one"
            )
        found[old] = new
    return found


ENTRY = click.option("--entry", metavar="NAME", help="The state_dict of a checkpoint: model_ema.")
PREFIX = click.option(
    "--prefix", metavar="OLD=NEW", multiple=True, callback=_prefixes,
    help="Another beginning of names: model.= takes one off, =body. puts one before.",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Weights:
    """Where weights come from, and which of a checkpoint are meant."""

    weights: Any  # None, a word, a file or folder, what is for which part; `see`: several of these
    entry: str | None
    prefix: dict[str, str]

    def keywords(self) -> dict[str, Any]:
        """As `build` takes them beside `weights`."""
        given = {"entry": self.entry, "prefix": self.prefix}
        how = {key: value for key, value in given.items() if value}
        if how and not self.weights:
            raise WrongUsageError(f"`--{next(iter(how))}` is said of no weights", "--weights FILE")
        return how


def weighing(help: str, **settings: Any) -> Decorator:
    """`--weights`, and what of a checkpoint is meant, as `source`."""
    given = click.option("--weights", metavar="SOURCE", help=help, **settings)
    return together("source", Weights, given, ENTRY, PREFIX)


OF_SPEC = "Of a SPEC: torchvision, timm, a file or the folder of a run."


# ------------------------------------------------------------------ which network


def specs(ctx: click.Context, param: click.Parameter, typed: str) -> list[str]:
    """What a shell completes a spec with: files here, and names of those that ship."""
    from archspec.shelf import names

    files = sorted(path.name for path in Path().glob("*.yaml"))
    return starting(typed, [*files, *names()])


def _variants(ctx: click.Context, param: click.Parameter, typed: str) -> list[str]:
    from archspec import shelf
    from archspec.text import source

    try:
        # what stands before an option without its value yet is still in `args`
        spec = ctx.params.get("spec") or next(iter(ctx.args), "")
        data = source.read(shelf.find(spec)).data
        return starting(typed, data.get("variants", {}))
    except Exception:  # a completion must never write into the line that is being typed
        return []


def starting(typed: str, names: Iterable[str]) -> list[str]:
    """The names that begin with what is typed so far."""
    return [name for name in names if name.startswith(typed)]


_NULLS = ("null", "~")


def setting(text: str, option: str = "--set") -> tuple[str, Any]:
    """`classes=10` → ("classes", 10); the value is read as YAML is in a spec."""
    from archspec.text import source
    from archspec.text.faults import SpecError

    name, equals, value = text.partition("=")
    if not equals or not _PARAM.fullmatch(name):
        example = f"for example {option} {_EXAMPLES[option]}"
        raise WrongUsageError(f"`{option} {text}` is not NAME=VALUE", example)
    try:
        data = source.from_text(f"value: {value}\n", f"{option} {name}").data
    except SpecError:
        raise WrongUsageError(
            f"the value in `{option} {text}` is not a YAML value", "a number, true, text, [1, 2]"
        ) from None
    nothing = option != "--with" or value.strip() not in _NULLS  # a key of a plan may be null
    if not isinstance(data, dict) or list(data) != ["value"] or (data["value"] is None and nothing):
        example = f"for example {option} {_EXAMPLES[option]}"
        raise WrongUsageError(f"`{option} {text}` gives no value", example)
    return name, data["value"]


def _shape(text: str) -> tuple[str, tuple[int, ...]]:
    """`3x64x64` → ("input", (3, 64, 64)), `image=3x64x64` → ("image", …)."""
    match = _SHAPE.fullmatch(text)
    if match is None:
        raise WrongUsageError(
            f"`--input {text}` is no shape", "for example --input 3x64x64 or --input image=3x64x64"
        )
    sizes = tuple(int(size) for size in re.split("[x×,]", match[2]))
    if 0 in sizes:
        raise WrongUsageError(f"`--input {text}` has an axis of size 0")
    return match[1] or "input", sizes


@dataclass(frozen=True, slots=True)
class Choice:
    """Which network of a spec is meant, and whether its warnings are fatal."""

    variant: str | None
    params: tuple[tuple[str, Any], ...]
    inputs: tuple[tuple[str, tuple[int, ...]], ...]
    allow_outside: bool
    max_nodes: int | None
    strict: bool

    def start(self, spec: str) -> Run:
        """The spec, read, on its way through the pipeline. Raises SpecError."""
        from archspec import network
        from archspec.limits import Limits

        choice = network.Choice(
            variant=self.variant, params=dict(self.params), inputs=dict(self.inputs),
            allow_outside=self.allow_outside,
            limits=Limits() if self.max_nodes is None else Limits(nodes=self.max_nodes),
        )  # fmt: skip
        return network.start(spec, choice)

    def unheard(self, spec: str) -> Program:
        """The program, whatever its warnings: they are not what is asked. Raises SpecError."""
        from archspec import collector

        with collector.paused():
            return self.start(spec).checked()

    def load(self, spec: str) -> Program:
        """The program, its warnings shown. Raises SpecError."""
        program = self.unheard(spec)
        faults(program.warnings, program.sources)
        return program

    def everywhere(self, spec: str) -> tuple[Program, int]:
        """The program, its other variants checked too; all warnings are shown, and counted."""
        from archspec import collector

        with collector.paused():
            program, of_variants = self.start(spec).everywhere()
        warnings = [*program.warnings, *of_variants]
        faults(warnings, program.sources)
        return program, len(warnings)

    def accept(self, spec: str) -> Program:
        """As `load`; warnings end the command where they are fatal."""
        program = self.load(spec)
        if self.strict and program.warnings:
            raise Exit(WRONG_SPEC)
        return program


SPEC = click.argument(
    "spec",
    metavar="SPEC",
    help="A spec file, or the name of one that ships with archspec.",
    shell_complete=specs,
)

choosing = together(
    "choice",
    Choice,
    click.option(
        "--variant", "-v", metavar="NAME", help="One of the spec's variants.",
        shell_complete=_variants,
    ),
    click.option(
        "--set", "-s", "params", metavar="NAME=VALUE", type=setting, multiple=True,
        help="Set a param: classes=10.",
    ),
    click.option(
        "--input", "-i", "inputs", metavar="SHAPE", type=_shape, multiple=True,
        help="Another input shape: 3x64x64, or image=3x64x64.",
    ),
    click.option(
        "--allow-outside", is_flag=True, help="Let `use` read files outside the spec's folder."
    ),
    click.option(
        "--max-nodes", metavar="N", type=click.IntRange(1),
        help="Ops that it may unroll to; 100,000 otherwise.",
    ),
    click.option("--strict", is_flag=True, help="Warnings are fatal."),
)  # fmt: skip


# ------------------------------------------------------------------ where a result goes


@dataclass(frozen=True, slots=True)
class Output:
    """Where a result goes, and whether it may replace a file that is not archspec's."""

    output: str | None
    force: bool

    @property
    def stdout(self) -> bool:
        """Whether the result is to be shown, not written."""
        return self.output == "-"

    @property
    def file(self) -> str | None:
        """The file that is named, if one is, and no folder."""
        folder = self.output is not None and os.path.isdir(self.output)  # noqa: PTH112  (never raises)
        return None if folder or self.stdout else self.output

    def path(self, name: str) -> Path:
        """The file to write: `name` here, or inside the folder, or the file that is named."""
        path = Path(self.output or name)
        if self.output is not None and self.output.endswith(("/", os.sep)):
            path /= name  # a folder, though it may not be there
        try:
            path = path / name if path.is_dir() else path
            folder = path.parent.is_dir()
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise WrongUsageError(f"`--output` is no path: {reason}") from None
        if not folder:
            raise WrongUsageError(f"the folder `{path.parent}` does not exist")
        return path

    def save(self, content: str | bytes, path: Path) -> None:
        """Write, or end the command."""
        with self.ending(path):
            save(content, path, force=self.force)

    @contextmanager
    def ending(self, path: Path) -> Iterator[None]:
        """Ends the command where writing does: 2 where `--force` lacks, 1 where it cannot be."""
        try:
            yield
        except NotOursError as error:
            raise WrongUsageError(str(error), "--force replaces it, -o names another") from None
        except OSError as error:
            complain(f"error: cannot write `{path}`: {error.strerror or error}")
            raise Exit(WRONG_SPEC) from None

    def draw(self, figure: Any, path: Path) -> None:
        """A figure of matplotlib, as the ending of its file says."""
        picture = io.BytesIO()
        about = {"Creator": MARK} if path.suffix == ".svg" else None  # others are marked anyway
        figure.savefig(picture, format=path.suffix[1:], dpi=150, metadata=about)
        self.save(picture.getvalue(), path)

    def write(self, content: str | bytes, name: str) -> Path | None:
        """Into the file of `path`, which is returned; None: shown, as `-` says."""
        if self.stdout:
            result(content)
            return None
        path = self.path(name)
        self.save(content, path)
        return path

    def put(self, text: str, name: str) -> None:
        """Into the file that is named, or `name` in the folder; shown where none is."""
        if self.output is None:
            result(text)
        else:
            self.write(text, name)


def writing(help: str = "File or folder to write to; - for stdout.", **settings: Any) -> Decorator:
    """`--output` and `--force`, as `output`."""
    return together(
        "output",
        Output,
        click.option("--output", "-o", metavar="PATH", help=help, **settings),
        click.option("--force", is_flag=True, help="Replace a file that is not archspec's."),
    )


FORMAT = click.option(
    "--format", "-f", metavar="NAME", type=click.Choice(["table", "markdown", "csv", "json"]),
    default="table", show_default=True, help="table, markdown, csv or json.",
)  # fmt: skip
