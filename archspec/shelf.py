"""Name → path: the specs that ship with archspec, found from anywhere."""

from __future__ import annotations

from functools import cache
from pathlib import Path

_HERE = Path(__file__).resolve().parent


def folder() -> Path:
    """Where the shipped specs are: inside an installed wheel, beside the package in a checkout."""
    inside = _HERE / "specs"
    return inside if inside.is_dir() else _HERE.parent / "specs"


def names() -> list[str]:
    """The shipped specs, by name."""
    return sorted(path.stem for path in folder().glob("*.yaml"))


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # too long, or a NUL in it: the reader says so better
        return False


def find(name: str | Path) -> Path:
    """The file that `name` means.

    A path as it stands; a bare name (`vgg16`) that is no file here is a shipped spec. A name that
    is neither comes back as a path, for the reader to complain about.
    """
    path = Path(name)
    if path.parent != Path() or _is_file(path) or str(name).startswith("."):
        return path
    shipped = folder() / f"{path.stem}.yaml"
    if path.suffix in ("", ".yaml", ".yml") and _is_file(shipped):
        return shipped
    return path


def meant(name: str) -> tuple[str, str]:
    """The shipped spec whose name is near, and the variant of it, or "" for either."""
    from archspec.text.beside import LIKENESS
    from archspec.text.words import near

    variants = _variants()
    guess = near(Path(name).stem, [*names(), *variants], LIKENESS)
    return (variants[guess], guess) if guess in variants else (guess, "")


@cache
def _variants() -> dict[str, str]:
    """Variants of shipped specs: the spec of each."""
    from archspec.text import source

    found = {name: source.read(folder() / f"{name}.yaml").data for name in names()}
    return {variant: name for name, data in found.items() for variant in data.get("variants", ())}


def hint(name: str) -> str:
    """The remedy for what is no file: a shipped spec or variant of its name, or a near name.

    A file beside it goes before a shipped spec whose name is only near.
    """
    from archspec.text.beside import beside

    guess, variant = meant(name)
    known = Path(name).stem in (guess, variant)
    if not known and (there := beside(name, endings=(".yaml", ".yml"))):
        return there
    if variant:
        return f"`{variant}` is a variant of `{guess}`: --variant {variant}"
    if guess:
        return f"did you mean `{guess}`, which ships with archspec?"
    if Path(name).parent != Path():
        return ""
    return "`archspec list` shows the specs that ship with archspec"
