"""`use`: a path in a spec → the file it may read, and no other."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from archspec.limits import DEFAULT, Limits
from archspec.text.faults import Fault, Loc
from archspec.text.source import Source, from_text, read

if TYPE_CHECKING:
    from archspec.language.models import Spec

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")


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
        wrong = _refused(file, outside=self.allow_outside)
        if not wrong and by.path is None:
            wrong = "a spec given as text has no folder to take files from"
        if wrong or by.path is None:
            help = "give a path relative to this file, at or below its folder"
            return Fault("E223", wrong, loc, help)
        name = os.path.normpath(Path(by.name).parent / file)
        folder = os.path.realpath(by.path.parent)
        real = os.path.realpath(Path(folder, file)) if self.texts is None else name
        if self.texts is None and not self.allow_outside:
            if os.path.commonpath([folder, real]) != folder:
                said = f"`{file}` leads out of its folder through a link"
                return Fault("E223", said, loc, "copy the file into the folder")
        elif self.texts is not None and name not in self.texts:
            return Fault("E223", f"the text of `{file}` is not here", loc)
        if real in (*self.open, os.path.realpath(by.path)):
            said = f"`{file}` uses itself, directly or through others"
            return Fault("E224", said, loc, "move what both need into a file of its own")
        if len(self.open) >= self.limits.files:
            return Fault("E404", f"files use one another more than {self.limits.files} deep", loc)
        if self.bytes > self.limits.project_bytes:
            said = f"the files together are larger than {self.limits.project_bytes:,} bytes"
            return Fault("E401", said, loc)
        return Path(real), name


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
