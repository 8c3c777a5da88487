"""A source of weights → a model, a file, or only the report of what would happen."""

from __future__ import annotations

import json
import os
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from itertools import accumulate
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from archspec import network
from archspec.align import Mark, align, marks
from archspec.language import Spec as Document
from archspec.language.weights import SOURCES
from archspec.network import Program
from archspec.text.options import said
from archspec.version import VERSION
from archspec.weights import adapt, files, origin, parts, prefixes, sources, transfer
from archspec.weights.entries import Pick
from archspec.weights.errors import WeightsError, damaged
from archspec.weights.names import aligned, asked, matcher, owned
from archspec.weights.recipes import Match, Stored
from archspec.weights.reporting import Report

if TYPE_CHECKING:
    from torch import Tensor, nn

    from archspec.expand.graph import Graph
    from archspec.language.renames import Rename
    from archspec.weights.files import Archive

State = Mapping[str, Any] | str | Path
Spec = str | Path | Program
Prefix = Mapping[str, str] | str
NOTHING: Prefix = MappingProxyType({})


class _How(NamedTuple):
    """What a caller says of a transfer."""

    state: State | None
    source: str | None
    from_spec: Spec | None
    allow: Iterable[str]
    adapt_input: bool
    cast: bool
    entry: str | None
    prefix: Prefix
    ties: Mapping[str, str]

    def pick(self, wanted: Mapping[str, Stored]) -> Pick:
        """Which tensors of the source are meant. Raises WeightsError."""
        return Pick(self.entry, prefixes.normal(self.prefix), wanted)


def load(
    model: nn.Module,
    state: State | None = None,
    source: str | None = None,
    *,
    spec: Spec | None = None,
    from_spec: Spec | None = None,
    allow: Iterable[str] = (),
    adapt_input: bool = False,
    cast: bool = False,
    entry: str | None = None,
    prefix: Prefix = NOTHING,
) -> Report:
    """Load weights by name into every parameter and buffer of `model`; what was done.

    `state` is a state_dict, or the path of a safetensors file, of an index of several, or of what
    torch.save wrote (read with `weights_only=True`, torch 2.10 or later). Of a checkpoint `entry`
    says which state_dict is meant: "model_ema"; where there are several and none is asked for, the
    report says which was taken. `prefix` puts other beginnings to names: `{"model.": ""}`; those
    of torch's wrappers come off by themselves, of the names and of `model`. `source` says whose
    names it has: "torchvision", "timm" or "file" for those that the spec's `rename` leads to,
    "spec" for the spec's own; without it a name that could be both is an error. Without `state`,
    what the spec names for `source` is fetched; where it names nothing, what the files that it uses
    name: each for its own part, the rest stays as initialised. `{"backbone": FILE or source}` says
    by path of a used file what is for it.

    The spec is the one `model` was built from, or `spec`; its `head` is where a tensor may stay as
    initialised. `from_spec` is the spec that the source's names are known of: layers that are the
    same in both are matched, however they are called (a file of `save` knows without). Paths in
    `allow` are treated as the head is, and may be left over. `adapt_input` fits the first
    convolution to another number of input channels; `cast` converts between float dtypes.

    Raises WeightsError, after which the model has the values it had; SpecError for faults of the
    specs.
    """
    import torch

    program = origin.program_of(model, spec)
    inner, around = origin.bare(model)
    ties = origin.ties(inner)
    tensors = {n: value.detach() for n, value in origin.state(inner).items() if n not in ties}
    _writable(tensors, program)
    wanted = {name: Stored.of(value) for name, value in tensors.items()}
    title = program.name if program is not None else type(inner).__name__
    how = _How(state, source, from_spec, allow, adapt_input, cast, entry, prefix, ties)
    with _compared(title, program, wanted, how) as (report, archive):
        new = transfer.values(report, archive)
    own = _reaching(map(_memory, tensors.values()))
    apart = {  # of a source that is the model's own, nothing may change before it is read
        name: value.clone() if _meets(value, own) else value for name, value in new.items()
    }
    with torch.no_grad():
        for name, value in apart.items():
            tensors[name].copy_(value)
    said = tuple(f"the model is wrapped in {kind}: what that wraps was loaded" for kind in around)
    report = replace(report, notes=(*report.notes, *said))
    origin.loaded(inner, report)
    return report


def _writable(tensors: Mapping[str, Tensor], program: Program | None) -> None:
    """Raises WeightsError unless each of a model's tensors can take numbers of its own."""
    if any(value.is_meta for value in tensors.values()):
        help = "model.to_empty(device=…)"
        if program is not None and _made_once(program.graph):
            help = "build it where it is to be: to_empty would part tied weights and lose constants"
        raise WeightsError("E614", "the model is on the meta device", help)
    end, before = 0, ""
    spans = sorted((*_span(value), name) for name, value in tensors.items() if value.numel())
    for start, stop, name in spans:
        if start < end or _repeats(tensors[name]):
            what = f"`{before}` and `{name}`" if start < end else f"the numbers of `{name}`"
            help = "give each memory of its own: `.clone()`; what is one weight is one Parameter"
            raise WeightsError("E614", f"{what} share memory in the model", help)
        if stop > end:
            end, before = stop, name


def _span(value: Tensor) -> tuple[int, int]:
    """Where the numbers of a tensor begin and end in memory."""
    start = value.data_ptr()
    last = sum((n - 1) * step for n, step in zip(value.shape, value.stride(), strict=True))
    return start, start + (last + 1) * value.element_size()


def _repeats(value: Tensor) -> bool:
    """Whether numbers of a tensor may be one in memory, as `expand` and `unfold` make them."""
    reach = 0  # of the axes of smaller steps
    for step, n in sorted(zip(value.stride(), value.shape, strict=True)):
        if n > 1 and step <= reach:
            return True
        reach += (n - 1) * step
    return False


def _memory(value: Tensor) -> tuple[int, int]:
    """Where the storage of a tensor begins and ends."""
    storage = value.untyped_storage()
    return storage.data_ptr(), storage.data_ptr() + storage.nbytes()


def _reaching(places: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Places in order, each with the farthest end so far.

    A storage may lie inside another: of a slice of an array of numpy, for one.
    """
    found = sorted(places)
    return [
        (start, end)
        for (start, _), end in zip(found, accumulate((e for _, e in found), max), strict=True)
    ]


def _meets(value: Tensor, places: list[tuple[int, int]]) -> bool:
    """Whether it may share bytes with one of the places that `_reaching` gave.

    What processes share may be mapped at several places.
    """
    start, stop = _memory(value)
    before = bisect_left(places, (stop, 0)) - 1
    return value.untyped_storage().is_shared() or (before >= 0 and places[before][1] > start)


def plan(
    spec: Spec,
    state: State | None = None,
    source: str | None = None,
    *,
    from_spec: Spec | None = None,
    allow: Iterable[str] = (),
    adapt_input: bool = False,
    cast: bool = False,
    entry: str | None = None,
    prefix: Prefix = NOTHING,
) -> Report:
    """What `load` would do with a freshly built model of `spec`; no data is read.

    Of a safetensors file not even torch is needed. A report that is not `ok` is returned too.
    Raises WeightsError where names cannot be compared, SpecError for faults of the specs.
    """
    program = network.program(spec)
    wanted = owned(program.graph)
    ties = program.graph.ties()
    how = _How(state, source, from_spec, allow, adapt_input, cast, entry, prefix, ties)
    with _compared(program.name, program, wanted, how) as (report, _):
        return report


def convert(
    state: State | None,
    spec: Spec,
    path: str | Path,
    source: str | None = None,
    *,
    from_spec: Spec | None = None,
    allow: Iterable[str] = (),
    adapt_input: bool = False,
    cast: bool = False,
    entry: str | None = None,
    prefix: Prefix = NOTHING,
    force: bool = False,
) -> Report:
    """Write weights as a safetensors file with the spec's own names, as `save` does.

    Parameters as of `load`. A tensor that stays as initialised is not written. Raises WeightsError,
    and then writes nothing.
    """
    program = network.program(spec)
    wanted = owned(program.graph)
    ties = program.graph.ties()
    how = _How(state, source, from_spec, allow, adapt_input, cast, entry, prefix, ties)
    with _compared(program.name, program, wanted, how) as (report, archive):
        tensors = transfer.values(report, archive)
    files.save(tensors, path, _metadata(program), force=force)
    return report


def save(
    model: nn.Module, path: str | Path, *, spec: Spec | None = None, force: bool = False
) -> None:
    """Write the model's parameters and buffers as a safetensors file, whole or not at all.

    The file also says which layers they are of, so that they are found again when the spec's names
    have changed. A file that archspec did not write is replaced only with `force`. Raises
    WeightsError.
    """
    program = origin.program_of(model, spec)
    inner, _ = origin.bare(model)
    files.save(origin.state(inner), path, _metadata(program), force=force)


# ------------------------------------------------------------------ parts


@contextmanager
def _compared(
    title: str, program: Program | None, wanted: Mapping[str, Stored], how: _How
) -> Iterator[tuple[Report, Archive]]:
    """What would become of each tensor, and where the data is. Raises WeightsError."""
    rules, given, pick = _rules(program, how), _for_parts(program, how), how.pick(wanted)
    if program is not None and given is not None:
        with parts.gathered(program, given, how.source, rules, pick) as (archive, match, more):
            report = transfer.plan(title, wanted, archive, match, more)
            used = {path: parts.used(program)[path].spec for path in given}
            hints = [
                h for path, spec in used.items() for h in _prefixed(report, spec, archive, path)
            ]
            yield replace(report, hints=tuple(hints)), archive
        return
    with _opened(how, program, pick) as archive:
        match = _match(program, archive, how.source, how.from_spec)
        report = transfer.plan(title, wanted, archive, match, rules)
        known = parts.used(program) if program is not None and not report.loaded else {}
        hints = _prefixed(report, program.spec if program is not None else None, archive)
        hints += [f'for the file that is used at `{p}`: {{"{p}": …}}, or {p}=FILE' for p in known]
        yield replace(report, hints=tuple(hints)), archive


def _made_once(graph: Graph) -> bool:
    """Whether a network holds what only its constructor gives: ties, constants that no file has."""
    fixed = any(not weight.persistent for node in graph.kinds for weight in node.weights())
    return fixed or bool(graph.ties())


def _for_parts(program: Program | None, how: _How) -> parts.Given | None:
    """What is for which used file, where it is not for the network as a whole."""
    state, source = how.state, how.source
    if program is None:
        return None
    if isinstance(state, Mapping):
        paths = bool(state) and all(isinstance(what, (str, Path)) for what in state.values())
        return state if paths else None
    section = program.spec.weights
    if state is not None or source is None or (section is not None and source in section.sources):
        return None
    return dict.fromkeys(parts.naming(program, source), source) or None


@contextmanager
def _opened(how: _How, program: Program | None, pick: Pick) -> Iterator[Archive]:
    """Of a size that is in proportion to the tensors that are wanted. Raises WeightsError."""
    state, source = how.state, how.source
    if source not in (None, "spec", *SOURCES):
        names = ", ".join(f'"{name}"' for name in (*SOURCES, "spec"))
        raise WeightsError("E617", f"`{source}` is no source of weights", f"known: {names}")
    most = sources.room(sum(stored.size for stored in pick.wanted.values()))
    if isinstance(state, Mapping):
        yield files.held(state, pick)
    elif state is not None and not isinstance(state, (str, os.PathLike)):
        wanted = "a path, a state_dict, or the name of a source"
        message = f"weights are {wanted}, not {type(state).__name__}"
        raise WeightsError("E617", message, "of a module give `module.state_dict()`")
    elif state is not None:
        with files.opened(state, most, pick) as archive:
            yield archive
    elif program is None or source is None:
        help = "give the path of a file, or a source that the spec names: torchvision, timm, file"
        raise WeightsError("E617", "neither a file nor a source is given", help)
    else:
        with sources.fetched(sources.Part.of(program), source, most, pick) as archive:
            yield archive


def _prefixed(report: Report, spec: Document | None, archive: Archive, path: str = "") -> list[str]:
    """What a prefix would do for names that are not matched; of the used file at `path`."""
    if report.ok:
        return []
    below = f"{path}." if path else ""
    rename = spec.weights.rename if spec is not None and spec.weights is not None else ()
    lines = (*report.loaded, *(line for _, lines in report.groups for line in lines))
    ours = [n.name for n in lines if n.here is not None and n.name.startswith(below)]
    needed = {name: asked(name.removeprefix(below), rename) for name in ours}
    header = {n.removeprefix(below) for n in archive.header if n.startswith(below)}
    return prefixes.hints(needed, header, sum(n.name.startswith(below) for n in report.loaded))


def _rules(program: Program | None, how: _How) -> transfer.Rules:
    paths = (how.allow,) if isinstance(how.allow, str) else how.allow
    if not isinstance(paths, Iterable) or not all(isinstance(path, str) for path in paths):
        message = f"{said('allow', ...)} is a list of paths of layers, not `{how.allow}`"
        raise WeightsError("E617", message, f"for example {said('allow', ['fc'])}")
    head = program.spec.head if program is not None else ()
    stems = adapt.stems(program.graph) if program is not None else set[str]()
    section = program.spec.weights if program is not None else None
    ignore = section.ignore if section is not None else ()
    return transfer.Rules(
        head, tuple(paths), stems, how.adapt_input, how.cast, ignore=ignore, ties=how.ties
    )


def _match(
    program: Program | None, archive: Archive, source: str | None, from_spec: Spec | None
) -> Match:
    """How names of the program are found in the archive."""
    other = None if from_spec is None else network.program(from_spec)
    ours = files.MARK in archive.metadata
    named = other or program  # whose names they are, if not the source's own
    own = source == "spec" or (ours and source is None)
    match = matcher(() if own else table(named), archive.header, first=source is not None)
    theirs = None
    if other is not None:
        theirs, where = marks(other.graph), f"`{other.source.name}`"
    elif ours and source is None:
        theirs, where = _marks(archive), "the file"
    if program is None or not theirs:
        return match
    return aligned(match, _pairs(program, theirs), where)


def table(program: Program | None) -> tuple[Rename, ...]:
    """The spec's renames."""
    found = program.spec.weights if program is not None else None
    return found.rename if found is not None else ()


def _pairs(program: Program, theirs: Mapping[str, Mark]) -> dict[str, str]:
    """Names of theirs for names of ours."""
    pairs = align(marks(program.graph), theirs)
    return {
        name: pairs[node.path] + name.removeprefix(node.path)
        for name, _, node in program.graph.weights()
        if node.path in pairs
    }


# ------------------------------------------------------------------ metadata


def _metadata(program: Program | None) -> dict[str, str]:
    found = {files.MARK: VERSION}
    if program is not None:
        found["spec"] = program.name
        found["layers"] = json.dumps(marks(program.graph), separators=(",", ":"))
    return found


def _marks(archive: Archive) -> dict[str, Mark]:
    """The marks that a file of `save` carries. Raises WeightsError."""
    try:
        found = json.loads(archive.metadata.get("layers", "{}"))
        texts = isinstance(found, dict) and all(
            len(mark) == 3 and all(isinstance(text, str) for text in mark)
            for mark in found.values()
        )
    except (ValueError, TypeError, RecursionError):
        texts = False
    if not texts:
        raise damaged(archive.name, "its metadata do not say which layers it is of")
    return {path: Mark(*mark) for path, mark in found.items()}
