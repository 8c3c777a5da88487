"""A network → the files it is made of, each with the weights that its own section names.

    use: {Net: {file: resnet50, outputs: {c4: layer3}}}      net.conv1.weight  <-  conv1.weight
    body: [{id: net, Net: }, {id: fc, conv: …}]              of what resnet50 names; fc is new

A part is found under its own names, by its own table of renames. What the network does not have of
it was cut away, and what of the network is in no part is new: both are said, and neither is an
error. Everything else is accounted for, as in a network that is loaded whole.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from archspec.expand import expand
from archspec.expand.graph import Graph
from archspec.language import Spec
from archspec.language.weights import SOURCES
from archspec.network import Program
from archspec.text.faults import SpecError
from archspec.weights import files, sources
from archspec.weights.entries import Pick
from archspec.weights.errors import WeightsError
from archspec.weights.names import matcher, owned, under
from archspec.weights.recipes import Match, Recipe
from archspec.weights.sources import Part
from archspec.weights.transfer import Rules

if TYPE_CHECKING:
    from torch import Tensor

    from archspec.weights.files import Archive

Given = Mapping[str, str | Path]  # by the path of a part: a file, or a source that it names


class Gathered(NamedTuple):
    """The tensors of several parts under the paths of these, and what may be done with them."""

    archive: Archive
    match: Match
    rules: Rules


def used(program: Program) -> dict[str, Part]:
    """The files that a network uses, at any depth, by the path of the call."""
    found: dict[str, Part] = {}
    specs: dict[int, Spec] = {}  # by scope: the file that its items stand in
    for scope in program.graph.scopes:
        around = program.spec if scope.parent is None else specs[scope.parent]
        specs[scope.index] = around
        call = None if scope.copy is None else scope.copy.instance
        if call is None or call.spec is None or scope.copy is None:
            continue
        specs[scope.index] = call.spec
        if scope.copy.shared is None:
            variant = around.use[call.block.name].variant or call.spec.name
            file = program.sources[call.spec.loc.file]
            found[scope.path] = Part(call.spec, variant, file.path, scope.path, call.args)
    return found


def naming(program: Program, source: str) -> dict[str, Part]:
    """The parts that name weights of a source, the outermost of those inside of one another."""
    found: dict[str, Part] = {}
    for path, part in used(program).items():
        section = part.spec.weights
        inside = any(path.startswith(f"{other}.") for other in found)
        if section is not None and source in section.sources and not inside:
            found[path] = part
    return found


def fed(program: Program, path: str) -> bool:
    """Whether a part takes nothing but inputs of the network, as they are."""
    steps, below = program.graph.steps, f"{path}."
    taken = [edge.node for n in steps if n.path.startswith(below) for edge in n.inputs]
    return all(steps[i].layer is None or steps[i].path.startswith(below) for i in taken)


@contextmanager
def gathered(
    program: Program, given: Given, source: str | None, rules: Rules, pick: Pick
) -> Iterator[Gathered]:
    """What is given for the parts of a network. Raises WeightsError.

    `source` says whose names files have, as in `load`.
    """
    known, wanted = used(program), owned(program.graph)
    opened: dict[str, Archive] = {}
    matches: dict[str, Match] = {}
    with ExitStack() as stack:
        for path, what in given.items():
            part = known.get(path)
            if part is None:
                message = f"`{path}` is no file that `{program.name}` uses"
                listed = ", ".join(f"`{name}`" for name in known)
                help = f"the files that it uses are at {listed}" if known else "it uses none"
                raise WeightsError("E617", message, help)
            own = {n.removeprefix(f"{path}."): s for n, s in wanted.items() if under(n, (path,))}
            most = sources.room(sum(stored.size for stored in own.values()))
            mine = replace(pick, wanted=own)
            found = _opened(part, what, most, mine)
            opened[path] = stack.enter_context(found)
            matches[path] = _match(part, opened[path], str(what) if what in SOURCES else source)
        here = {*wanted, *rules.ties}
        cut = {n for p, match in matches.items() for n in _cut_away(known[p], match, here)}
        head = (*rules.head, *(f"{path}.{h}" for path in opened for h in known[path].spec.head))
        ignore = {f"{path}.{pattern}" for path in opened for pattern in _ignored(known[path])}
        more = replace(rules, head=head, cut=cut, parts=(*opened,), ignore=ignore)
        yield Gathered(_together(opened), _of_parts(matches), more)


def _opened(part: Part, what: str | Path, most: int, pick: Pick) -> AbstractContextManager[Archive]:
    if what in SOURCES:
        return sources.fetched(part, str(what), most, pick)
    return files.opened(what, most, pick)


def _match(part: Part, archive: Archive, source: str | None) -> Match:
    """How names of a part, without its path, are found in what it is loaded from."""
    own = source == "spec" or (files.MARK in archive.metadata and source is None)
    section = part.spec.weights
    table = () if own or section is None else section.rename
    return matcher(table, archive.header, first=source is not None)


def _ignored(part: Part) -> tuple[str, ...]:
    return part.spec.weights.ignore if part.spec.weights is not None else ()


def _cut_away(part: Part, match: Match, wanted: Collection[str]) -> set[str]:
    """The tensors that the part's file has and the network has not, by their names there."""
    found: set[str] = set()
    whole = _whole(part)
    for name in (*owned(whole), *whole.ties()):
        recipe = None if f"{part.path}.{name}" in wanted else match(name)
        found.update(f"{part.path}.{there}" for there in (recipe.sources if recipe else ()))
    return found


def _whole(part: Part) -> Graph:
    """A part as its file has it, nothing cut away."""
    variant = None if part.variant == part.spec.name else part.variant
    try:
        return expand(part.spec, variant=variant, params=part.params)
    except SpecError:  # params that fit these inputs alone
        return expand(part.spec, variant=variant)


def _of_parts(matches: Mapping[str, Match]) -> Match:
    def match(name: str) -> Recipe | None:
        for path, inner in matches.items():
            recipe = inner(name.removeprefix(f"{path}.")) if name.startswith(f"{path}.") else None
            if recipe is not None:
                there = tuple(f"{path}.{source}" for source in recipe.sources)
                return replace(recipe, sources=there)
        return None

    return match


def _together(opened: Mapping[str, Archive]) -> Archive:
    """Several archives as one, each under its path."""
    header = {f"{p}.{n}": stored for p, a in opened.items() for n, stored in a.header.items()}
    homes = {f"{p}.{n}": (a, n) for p, a in opened.items() for n in a.header}

    def tensor(name: str) -> Tensor:
        archive, there = homes[name]
        return archive.tensor(there)

    notes = tuple(note for archive in opened.values() for note in archive.notes)
    title = ", ".join(f"{path}: {archive.name}" for path, archive in opened.items())
    return files.Archive(title, header, tensor, notes=notes)
