"""What was typed → values; what cannot be one ends the command with exit status 2."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NoReturn

import typer

from archspec.cli.show import complain

WRONG_SPEC, WRONG_USAGE = 1, 2

_PARAM = re.compile(r"[a-z][a-z0-9_]*")
_SHAPE = re.compile(r"(?:([A-Za-z_][A-Za-z0-9_]*)=)?([0-9]{1,12}(?:[x×,][0-9]{1,12})*)")


def usage(message: str, help: str = "") -> NoReturn:
    """End the command: it was called in a way that means nothing."""
    complain(f"error: {message}" + (f"\n  help: {help}" if help else ""))
    raise typer.Exit(WRONG_USAGE)


def setting(text: str) -> tuple[str, Any]:
    """`classes=10` → ("classes", 10); the value is read as YAML is in a spec."""
    from archspec.text import source
    from archspec.text.faults import SpecError

    name, equals, value = text.partition("=")
    if not equals or not _PARAM.fullmatch(name):
        usage(f"`--set {text}` is not NAME=VALUE", "for example --set classes=10")
    try:
        data = source.from_text(f"value: {value}\n", f"--set {name}").data
    except SpecError:
        usage(f"the value in `--set {text}` is not a YAML value", "a number, true, text, [1, 2]")
    if not isinstance(data, dict) or list(data) != ["value"] or data["value"] is None:
        usage(f"`--set {text}` gives no value", "for example --set classes=10")
    return name, data["value"]


def shape(text: str) -> tuple[str, tuple[int, ...]]:
    """`3x64x64` → ("input", (3, 64, 64)), `image=3x64x64` → ("image", …)."""
    match = _SHAPE.fullmatch(text)
    if match is None:
        usage(
            f"`--input {text}` is no shape", "for example --input 3x64x64 or --input image=3x64x64"
        )
    sizes = tuple(int(size) for size in re.split("[x×,]", match[2]))
    if 0 in sizes:
        usage(f"`--input {text}` has an axis of size 0")
    return match[1] or "input", sizes


def target(output: str | None, name: str) -> Path:
    """The file to write: `name` here, or inside the folder, or the file that `output` says."""
    path = Path(output or name)
    try:
        path = path / name if path.is_dir() else path
        folder = path.parent.is_dir()
    except (OSError, ValueError) as error:
        usage(f"`--output` is no path: {getattr(error, 'strerror', None) or error}")
    if not folder:
        usage(f"the folder `{path.parent}` does not exist")
    return path


def save(content: str | bytes, path: Path, *, force: bool) -> None:
    """Write, or end the command: 2 where `--force` is missing, 1 where the file system refuses."""
    from archspec.save import NotOursError
    from archspec.save import save as write

    try:
        write(content, path, force=force)
    except NotOursError as error:
        usage(str(error), "--force replaces it, -o names another")
    except OSError as error:
        complain(f"error: cannot write `{path}`: {error.strerror or error}")
        raise typer.Exit(WRONG_SPEC) from None
