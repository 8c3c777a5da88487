"""`use` of a document → the specs of other files, each read once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from archspec.language.complaints import Complaints
from archspec.language.files import Files
from archspec.language.models import Spec
from archspec.language.sentences import cut
from archspec.text.faults import Fault, Loc, SpecError
from archspec.text.source import Source

if TYPE_CHECKING:
    from archspec.language.form import Use
    from archspec.language.kinds import Steps


@dataclass(frozen=True, slots=True)
class Uses:
    """Reads the files that one document uses; `read` makes a spec of a source, noting faults."""

    files: Files
    source: Source
    to: Complaints
    read: Callable[[Source, list[Fault]], Spec | None]

    def spec(self, used: Use, path: Steps) -> Spec | None:
        """The spec of a used file, and whether it has the variant that is wanted."""
        spec = self._spec(used.file, path)
        known = (spec.name, *spec.variants) if spec is not None else ()
        if known and used.variant is not None and used.variant not in known:
            said = f"`{used.file}` has no variant `{cut(used.variant)}`"
            help = self.to.did_you_mean(used.variant, known)
            self.to.add("E225", said, (*path, "variant"), help)
        return spec

    def _spec(self, file: str, path: Steps) -> Spec | None:
        files = self.files
        node = self.source.data["use"][path[1]]
        path = (*path, "file") if isinstance(node, dict) else path
        where = files.locate(file, self.source, Loc(self.to.file, path))
        if isinstance(where, Fault):
            self.to.faults.append(where)
            return None
        real, name = where
        if str(real) in files.specs:
            return files.specs[str(real)]
        files.specs[str(real)] = None
        try:
            source = files.load(real, name)
        except SpecError as bad:
            self._unread(bad, path)
            return None
        files.open.append(str(real))
        files.specs[str(real)] = self.read(source, self.to.faults)
        files.open.pop()
        return files.specs[str(real)]

    def _unread(self, bad: SpecError, path: Steps) -> None:
        """A file that cannot be opened is a fault of the line that names it."""
        for fault in bad.faults:
            if fault.code in ("E101", "E401"):
                said = f"`{fault.loc.file}`: {fault.message}"
                self.to.add(fault.code, said, path, fault.help)
            else:
                self.to.faults.append(fault)
        for name, source in bad.sources.items():
            if isinstance(source, Source) and source.text:
                self.files.sources[name] = source
