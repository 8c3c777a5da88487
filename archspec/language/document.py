"""Source → Spec: form first, then names; what is wrong with either, as complaints.

spec: 1                  →  Spec(inputs={"input": Input(shape=(3, 32, 32))},
input: [3, 32, 32]              items=(Item(op="linear", args={"out": 10}),))
body: [{linear: 10}]
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from archspec import collector
from archspec.language.complaints import Complaints, Refused, together
from archspec.language.files import Files, Text, remedy
from archspec.language.kinds import Located
from archspec.language.models import Item, Reading, Spec
from archspec.language.names import bad_document
from archspec.language.scopes import Scopes
from archspec.limits import DEFAULT, Limits
from archspec.text.faults import SHOWN, Fault, Loc, SpecError
from archspec.text.source import Source, in_order
from archspec.text.words import cut, did_you_mean

if TYPE_CHECKING:
    from archspec.language.refusals import Steps


def parse(
    source: Source,
    *,
    allow_outside: bool = False,
    limits: Limits = DEFAULT,
    texts: Mapping[str, Text] | None = None,
) -> Spec:
    """The spec of a source and of all files it uses. Raises SpecError with all independent faults.

    `allow_outside` lets `use` read files outside of the source's folder. Where `texts` are given,
    by their names in messages, they are used and no file is read.
    """
    files = Files(allow_outside, limits, texts)
    files.sources[source.name] = source
    files.bytes = len(source.text)
    if source.path is not None:
        files.open.append(str(Path(source.path).resolve()))
    faults: list[Fault] = []
    with collector.paused():
        spec = _read(source, files, faults)
    if spec is None or faults:
        raise SpecError(together(in_order(faults, files.sources)), files.sources)
    return spec


def _read(source: Source, files: Files, faults: list[Fault]) -> Spec | None:
    """The spec of one file; what is wrong with it, and with those it uses, is noted."""
    data, to = source.data, Complaints(source.name, source.data)
    if not isinstance(data, dict):
        said = "the file is empty" if data is None else "a spec is a mapping"
        help = "start with `spec: 1`; `archspec new` writes a spec to start from"
        to.add("E118", said, (), help)
        faults += to.faults
        return None
    used = {name: _used(entry, name, source, files, to) for name, entry in _section(data, "use")}
    reading = Reading(source.name, _name(source), _params(data, used), used, files)
    spec, refused = _form(data, reading)
    if refused is not None:
        refused.complain(to, reading.blocks)
    if spec is not None:
        scopes = Scopes(spec, to)
        scopes.document()
        _blanks(scopes.nothing, source, to)
    faults += to.faults
    return None if spec is None or to.faults else spec.model_copy(update={"sources": files.sources})


def _blanks(nothing: Iterable[tuple[Item, str]], source: Source, to: Complaints) -> None:
    """Notes arguments with nothing behind their name; `null` is a value of some."""
    told = {fault.loc.path for fault in to.faults}
    for item, name in nothing:
        path: Steps = (*item.given, name)
        if path not in told and source.blank(Loc(to.file, path)):
            said = f"`{cut(name)}` of `{item.said}` is empty"
            to.add("E204", said, path, "write its value behind it, or leave it out", on_key=True)


def _form(data: dict[str, Any], reading: Reading) -> tuple[Spec | None, Refused | None]:
    """The spec, its names still unknown, and what was refused.

    Where that hides no names, the spec is of the rest, so that its names are looked up too.
    """
    items = reading.files.items
    try:
        return Spec.model_validate(Located(data, ()), context=reading), None
    except ValidationError as bad:
        refused = Refused(data, bad.errors(include_url=False, include_input=False))
    if len(refused.errors) >= SHOWN or refused.hides_names():
        return None, refused
    rest = Located(_without(data, refused.elsewhere()), ())
    reading.files.items = items
    try:
        return Spec.model_validate(rest, context=replace(reading, lenient=True)), refused
    except ValidationError:
        return None, refused


def _without(data: dict[str, Any], places: Collection[Steps]) -> dict[str, Any]:
    """The document without some keys of its own or of its blocks; its version is taken as right."""
    rest = {key: data[key] for key in data if (key,) not in places} | {"spec": 1}
    if any(path[:1] == ("blocks",) for path in places):
        rest["blocks"] = {
            name: {key: block[key] for key in block if ("blocks", name, key) not in places}
            for name, block in data["blocks"].items()
        }
    return rest


def _section(data: dict[str, Any], key: str) -> Collection[tuple[str, Any]]:
    found = data.get(key)
    return found.items() if isinstance(found, dict) else ()


def _params(data: dict[str, Any], used: Mapping[str, Spec | None]) -> dict[str, Collection[str]]:
    """What the document calls its blocks, right or wrong, and what each calls its params."""
    found: dict[str, Collection[str]] = {
        name: () if spec is None else spec.params for name, spec in used.items()
    }
    for name, block in _section(data, "blocks"):
        params = block.get("params") if isinstance(block, dict) else None
        found[name] = params if isinstance(params, dict) else ()
    return found


def _name(source: Source) -> str:
    """The spec's name: written, or the file's."""
    name = source.data.get("name") or (source.path.stem if source.path is not None else "")
    return name if isinstance(name, str) and name and not bad_document(name) else "network"


# ------------------------------------------------------------------ used files


def _used(node: Any, name: str, source: Source, files: Files, to: Complaints) -> Spec | None:
    """The spec of a used file; its faults join this run's."""
    given = {"file": node} if isinstance(node, str) else node
    file = given.get("file") if isinstance(given, dict) else None
    if not isinstance(file, str) or not file or "$" in file or to.full:
        return None  # refused by its form, or with all the others
    path: Steps = ("use", name, "file") if isinstance(node, dict) else ("use", name)
    spec = _other(file, path, source, files, to)
    variant = given.get("variant")
    known = (spec.name, *spec.variants) if spec is not None else (variant,)
    if isinstance(variant, str) and variant not in known:
        said, help = f"`{file}` has no variant `{variant}`", did_you_mean(variant, map(str, known))
        to.add("E225", said, ("use", name, "variant"), help)
    return spec


def _other(file: str, path: Steps, source: Source, files: Files, to: Complaints) -> Spec | None:
    where = files.locate(file, source, Loc(to.file, path))
    if isinstance(where, Fault):
        to.faults.append(where)
        return None
    real, shown = str(where[0]), where[1]
    if real not in files.specs:
        files.specs[real] = None
        try:
            other = files.load(where[0], shown)
        except SpecError as bad:
            _unread(bad, path, files, to)
            return None
        files.open.append(real)
        files.specs[real] = _read(other, files, to.faults)
        files.open.pop()
    return files.specs[real]


def _unread(bad: SpecError, path: Steps, files: Files, to: Complaints) -> None:
    """A file that cannot be opened is a fault of the line that names it."""
    for fault in bad.faults:
        if fault.code in ("E101", "E401"):
            said = f"`{fault.loc.file}`: {fault.message}"
            near = remedy(fault.loc.file) if fault.code == "E101" else ""
            to.add(fault.code, said, path, near or fault.help)
        else:
            to.faults.append(fault)
    files.sources |= {
        name: source
        for name, source in bad.sources.items()
        if isinstance(source, Source) and source.text
    }
