"""`use`: a path in a spec → the file it may read, and no other.

resnet50           resnet50.yaml beside the spec, else the one that ships with archspec
parts/stem.yaml    that file, at or below the spec's folder
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from archspec import shelf
from archspec.limits import DEFAULT, MORE, Limits
from archspec.text.faults import Fault, Loc, SpecError
from archspec.text.source import Source, from_text, read

if TYPE_CHECKING:
    from archspec.language.models import Spec

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_NAME = re.compile(r"[A-Za-z0-9_]+")
_SHELF = "archspec"  # the folder under which specs that ship with archspec are shown, and kept
_INSIDE = "give a path relative to this file, at or below its folder"


class Text(NamedTuple):
    """What a file held: its own name, which may name the spec, and its text."""

    file: str
    text: str


@dataclass(slots=True)
class Files:
    """All files of one run: each read once, none using itself, together within the limits.

    `texts` stand for the files where a spec comes without them (in a pickle): no file is read then.
    """

    allow_outside: bool = False
    limits: Limits = DEFAULT
    texts: Mapping[str, Text] | None = None  # by name in messages
    sources: dict[str, Source] = field(default_factory=dict)
    specs: dict[str, Spec | None] = field(default_factory=dict)  # by real path; None: it has faults
    open: list[str] = field(default_factory=list)  # real paths, the outermost first
    bytes: int = 0
    items: int = 0  # that are written in them, and paths of `branches`

    def written(self, count: int, loc: Loc) -> None:
        """So many items more, before they are read. Raises SpecError."""
        self.items += count
        most = self.limits.nodes
        if self.items > most:
            said = f"at least {self.items:,} items are written; at most {most:,} are allowed"
            raise SpecError([Fault("E406", said, loc, MORE)], self.sources)

    def load(self, path: Path, name: str) -> Source:
        """One file more. Raises SpecError."""
        if self.texts is None:
            source = read(path, limits=self.limits, name=name)
        else:
            file, text = self.texts[name]
            source = from_text(text, name, limits=self.limits, path=Path(file))
        self.bytes += len(source.text)
        self.sources[source.name] = source
        return source

    def locate(self, file: str, by: Source, loc: Loc) -> tuple[Path, str] | Fault:
        """The real path of a used file and its name in messages, or why it may not be used."""
        file = f"{file}.yaml" if _NAME.fullmatch(file) else file
        wrong = _refused(file, outside=self.allow_outside)
        if wrong:
            return Fault("E223", wrong, loc, _INSIDE)
        found = self._shipped(file, by) or self._beside(file, by, loc)
        if isinstance(found, Fault):
            return found
        if str(found[0]) in (*self.open, by.path and os.path.realpath(by.path)):
            said = f"`{file}` uses itself, directly or through others"
            return Fault("E224", said, loc, "move what both need into a file of its own")
        if len(self.open) >= self.limits.files:
            return Fault("E404", f"files use one another more than {self.limits.files} deep", loc)
        if self.bytes > self.limits.project_bytes:
            said = f"the files together are larger than {self.limits.project_bytes:,} bytes"
            return Fault("E401", said, loc)
        return found

    def _shipped(self, file: str, by: Source) -> tuple[Path, str] | None:
        """A spec that ships with archspec, under a name that no file beside `by` has.

        None where such a file is there: it goes before. So does a copy in a folder `archspec`,
        which is how a checkpoint keeps what its network was made of.
        """
        kept = f"{_SHELF}/{file}"
        if "/" in file or self._there(file, by):
            return None
        if self._there(kept, by):
            found = self._beside(kept, by, Loc(by.name, ()))
            return None if isinstance(found, Fault) else found
        path = shelf.folder() / file
        return (path, _said(kept, by)) if self.texts is None and path.is_file() else None

    def _there(self, file: str, by: Source) -> bool:
        if self.texts is not None:
            return _said(file, by) in self.texts
        return by.path is not None and os.path.lexists(by.path.parent / file)

    def _beside(self, file: str, by: Source, loc: Loc) -> tuple[Path, str] | Fault:
        """A file at or below the folder of `by`; elsewhere only where the caller allows it."""
        name = _said(file, by)
        if self.texts is not None:
            said = f"the text of `{file}` is not here"
            return (Path(name), name) if name in self.texts else Fault("E223", said, loc)
        if by.path is None:
            said = "a spec given as text has no folder to take files from"
            return Fault("E223", said, loc, remedy(file) or "load the spec from a file")
        folder = os.path.realpath(by.path.parent)
        real = os.path.realpath(Path(folder, file))
        if not self.allow_outside and os.path.commonpath([folder, real]) != folder:
            said = f"`{file}` leads out of its folder through a link"
            return Fault("E223", said, loc, "copy the file into the folder")
        return Path(real), name


def remedy(file: str) -> str:
    """Of a file that is not there: which spec that ships with archspec may be meant, or ""."""
    if "/" in file:
        return ""
    guess, variant = shelf.meant(file)
    if variant:
        return f"`{variant}` is a variant: `{{file: {guess}, variant: {variant}}}`"
    return f"did you mean `{guess}`, which ships with archspec?" if guess else ""


def _said(file: str, by: Source) -> str:
    """The name in messages of a file that `by` names."""
    return os.path.normpath(Path(by.name).parent / file)


def _refused(file: str, *, outside: bool) -> str:
    """Why a path as written may not be used, or ""."""
    if not file:
        return "the path is empty"
    if _ADDRESS.match(file):
        return f"`{file}` is an address or a drive; only files are used"
    if "\\" in file or file.startswith("~"):
        return f"`{file}` is no plain relative path; its parts are divided by `/`"
    if not file.endswith((".yaml", ".yml")):
        return f"`{file}` is no spec file: its name ends with .yaml"
    if not outside and (file.startswith("/") or ".." in file.split("/")):
        return f"`{file}` leads out of the folder of this file"
    return ""
