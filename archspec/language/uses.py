"""`use` of a document → other spec files, taken in as blocks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from archspec.language.files import Files
from archspec.language.form import NOTHING, Form, Path, Sight
from archspec.language.models import Ref, Spec, Use
from archspec.language.names import bad_block, bad_output
from archspec.text.faults import Fault, SpecError
from archspec.text.source import Source
from archspec.text.words import cut, did_you_mean

_KEYS = ("file", "variant", "outputs")


@dataclass(frozen=True, slots=True)
class Uses:
    """Reads the files that one document uses; `read` makes a spec of a source, noting faults."""

    form: Form
    files: Files
    source: Source
    faults: list[Fault]
    read: Callable[[Source, list[Fault]], Spec | None]

    def section(self, node: Any) -> dict[str, Use]:
        form = self.form
        found = {}
        for name, entry in form.mapping(node, ("use",), "`use`").items():
            path: Path = ("use", name)
            form.name(name, path, bad_block)
            used = self._used(entry, path)
            if used is not None:
                found[name] = used
        return found

    def _used(self, node: Any, path: Path) -> Use | None:
        form = self.form
        given: dict[str, Any] = (
            {"file": node} if isinstance(node, str) else form.mapping(node, path, "a used file")
        )
        at = path if isinstance(node, str) else (*path, "file")
        if not isinstance(node, str):
            form.keys(given, path, _KEYS, "in `use`")
            if not all(key in _KEYS for key in given):
                return None
            if "file" not in given:
                form.fault(
                    "E202",
                    "a used file needs `file`",
                    path,
                    "write `{file: resnet50.yaml}`",
                    on_key=True,
                )
                return None
        file = form.text(given["file"], at, "`file`")
        if not file:
            return None
        spec = self._other(file, at)
        outputs: dict[str, tuple[Ref, ...]] | None = None
        lists = NOTHING
        if "outputs" in given:
            outputs, lists = form.outputs(given["outputs"], (*path, "outputs"), Sight(), bad_output)
        variant = given.get("variant")
        if variant is not None:
            variant = form.text(variant, (*path, "variant"), "`variant`")
            known = (spec.name, *spec.variants) if spec is not None else (variant,)
            if variant and variant not in known:
                form.fault(
                    "E225",
                    f"`{file}` has no variant `{cut(variant)}`",
                    (*path, "variant"),
                    did_you_mean(variant, known),
                )
        return Use(
            file=file, variant=variant, outputs=outputs, lists=lists, spec=spec, loc=form.loc(path)
        )

    def _other(self, file: str, path: Path) -> Spec | None:
        """The spec of a used file, read once; its faults join this run's."""
        files = self.files
        where = files.locate(file, self.source, self.form.loc(path))
        if isinstance(where, Fault):
            self.faults.append(where)
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
        inner: list[Fault] = []
        spec = self.read(source, inner)
        files.open.pop()
        self.faults.extend(inner)
        files.specs[str(real)] = spec
        return spec

    def _unread(self, bad: SpecError, path: Path) -> None:
        """A file that cannot be opened is a fault of the line that names it."""
        for fault in bad.faults:
            if fault.code in ("E101", "E401"):
                message = f"`{fault.loc.file}`: {fault.message}"
                self.form.fault(fault.code, message, path, fault.help)
            else:
                self.faults.append(fault)
        for name, source in bad.sources.items():
            if isinstance(source, Source) and source.text:
                self.files.sources[name] = source
