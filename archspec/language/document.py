"""Source → Spec: form first, then names; what is wrong with either, as complaints.

    spec: 1                      Spec(
    input: [3, 32, 32]               inputs={"input": Input(shape=(3, 32, 32), …)},
    body: [{linear: 10}]             items=(Item(op="linear", args={"out": 10}, …),), …)
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from archspec.language.complaints import Complaints, Refused
from archspec.language.files import Files, Loader
from archspec.language.form import Document, Reading
from archspec.language.models import Spec, Use
from archspec.language.names import bad_document
from archspec.language.resolve import Resolver
from archspec.language.uses import Uses
from archspec.limits import DEFAULT, Limits
from archspec.text.faults import Fault, SpecError, independent
from archspec.text.source import Source

if TYPE_CHECKING:
    from archspec.language.kinds import Steps


def parse(
    source: Source,
    *,
    allow_outside: bool = False,
    limits: Limits = DEFAULT,
    loader: Loader | None = None,
) -> Spec:
    """The spec of a source and of all files it uses. Raises SpecError with all independent faults.

    `allow_outside` lets `use` read files outside of the source's folder; `loader(path, name)` reads
    a used file in place of `source.read`.
    """
    files = Files(allow_outside, limits, loader)
    files.sources[source.name] = source
    files.bytes = len(source.text)
    faults: list[Fault] = []
    if source.path is not None:
        files.open.append(str(FilePath(source.path).resolve()))
    spec = _read(source, files, faults)
    if spec is None or faults:
        raise SpecError(_ordered(faults, files), files.sources)
    return spec


def _ordered(faults: list[Fault], files: Files) -> list[Fault]:
    """In the order of the text, file by file."""
    order = {name: i for i, name in enumerate(files.sources)}

    def place(fault: Fault) -> tuple[int, int, int]:
        source = files.sources.get(fault.loc.file)
        where = source.place(fault.loc)[:2] if source else (0, 0)
        return order.get(fault.loc.file, 0), *where

    return independent(sorted(faults, key=place))


def _read(source: Source, files: Files, faults: list[Fault]) -> Spec | None:
    """The spec of one file; None, and faults, where it has some."""
    to = Complaints(source.name)
    data = source.data
    if not isinstance(data, dict):
        said = "the file is empty" if data is None else "a spec is a mapping"
        help = "start with `spec: 1`; `archspec new` writes a spec to start from"
        to.add("E118", said, (), help)
        faults += to.faults
        return None
    found, refused = _form(data)
    spec, use = None, {}
    if found is not None:
        uses = Uses(files, source, to, lambda other, noted: _read(other, files, noted))
        read = {name: uses.spec(used, ("use", name)) for name, used in found.use.items()}
        spec = Resolver(to, data).document(found, _name(found, source), read)
        use = spec.use
    if refused is not None:
        refused.complain(to, _params(data, use))
    faults += to.faults
    return None if faults else replace(spec, sources=files.sources)


def _form(data: dict[str, Any]) -> tuple[Document | None, Refused | None]:
    """The document's form, and what was refused.

    Where that hides no names, the form is of the rest, so that its names are looked up too.
    """
    reading = Reading(_names(data))
    try:
        return Document.model_validate(data, context=reading), None
    except ValidationError as bad:
        refused = Refused(data, bad.errors(include_url=False))
    if refused.hides_names():
        return None, refused
    rest = _without(data, refused.elsewhere())
    try:
        return Document.model_validate(rest, context=replace(reading, lenient=True)), refused
    except ValidationError:
        return None, refused


def _names(data: dict[str, Any]) -> set[str]:
    """What the document calls its blocks, right or wrong."""
    declared = [data.get("blocks"), data.get("use")]
    return {name for section in declared if isinstance(section, dict) for name in section}


def _without(data: dict[str, Any], places: Collection[Steps]) -> dict[str, Any]:
    """The document without some keys of its own or of its blocks; its version is taken as right."""
    rest = {**data, "spec": 1}
    for path in places:
        if len(path) == 1:
            rest.pop(path[0], None)
        elif len(path) == 3:
            blocks = rest["blocks"]
            block = {key: blocks[path[1]][key] for key in blocks[path[1]] if key != path[2]}
            rest["blocks"] = {**blocks, path[1]: block}
    return {"spec": 1, **rest}


def _params(data: dict[str, Any], use: dict[str, Use]) -> dict[str, Collection[str]]:
    """What each block calls its params."""
    found: dict[str, Collection[str]] = dict.fromkeys(_names(data), ())
    found |= {name: one.spec.params for name, one in use.items() if one.spec is not None}
    blocks = data.get("blocks")
    for name, block in blocks.items() if isinstance(blocks, dict) else ():
        params = block.get("params") if isinstance(block, dict) else None
        found[name] = params if isinstance(params, dict) else ()
    return found


def _name(found: Document, source: Source) -> str:
    """The spec's name: written, or the file's."""
    stem = source.path.stem if source.path is not None else ""
    return found.name or (stem if stem and not bad_document(stem) else "network")
