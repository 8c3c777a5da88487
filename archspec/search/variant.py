"""Spec, what was found → a copy of the spec with one variant more; every other byte stays.

params: {width: 64}                      params: {width: 64}
input: [3, 32, 32]                →      variants:
                                           found: {width: 48}
                                         input: [3, 32, 32]
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from archspec import network
from archspec.language.names import bad_variant
from archspec.save import MARK
from archspec.search.errors import SearchError
from archspec.text.faults import Loc

if TYPE_CHECKING:
    from archspec.network import Program
    from archspec.search.front import Candidate
    from archspec.text.source import Source


def written(program: Program, found: Candidate, name: str, target: Path) -> str:
    """The text of the spec with what was found as the variant `name`, to be written to `target`.

    What the program itself was chosen by, a variant or params, is part of it. Raises SearchError.
    """
    _check(program, name, target)
    choice = program.choice
    values = {**program.spec.variants.get(choice.variant or "", {}), **choice.params}
    line = f"{name}: {_flow({**_plain(program, values), **found.params})}"
    text = f"# {MARK.capitalize()} search: the variant {name}.\n{_inserted(program.source, line)}"
    (first, own, _), *used = network.texts(program)
    chosen = replace(choice, variant=name, params={})
    again = network.of_texts(((first, own, text), *used), chosen)
    totals = again.analysis.totals
    assert (totals.params, totals.macs) == (found.figures["params"], found.figures["macs"])
    return text


def _plain(program: Program, values: dict[str, Any]) -> dict[str, Any]:
    """Values of the program's choice, evaluated: a variant may compute them."""
    return {name: program.graph.root.args[name] for name in values}


def _check(program: Program, name: str, target: Path) -> None:
    said = bad_variant(name)
    if said:
        raise SearchError("E864", f"`{name}` cannot be the name of a variant", "letters, digits, _")
    if name == program.spec.name or name in program.spec.variants:
        raise SearchError("E864", f"`{program.spec.name}` has a variant `{name}`", "--name another")
    path = program.source.path
    folder = path.parent if path is not None else Path()
    if len(program.sources) > 1 and folder.resolve() != target.parent.resolve():
        said = f"`{program.source.name}` uses other files, which `{target}` would not find"
        raise SearchError("E864", said, f"write it into `{folder}`")


def _flow(value: Any) -> str:
    """On one line."""
    text: str = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=10**9)
    return text.strip()


def _inserted(source: Source, line: str) -> str:
    """The text with a line among its variants, or with variants where there are none."""
    starts = [0]
    for row in source.text.splitlines(keepends=True):
        starts.append(starts[-1] + len(row))

    def at(*path: str) -> tuple[int, int]:
        place = source.place(Loc(source.name, path, on_key=True))
        return starts[place.line - 1], place.column - 1

    keys = list(source.data)
    variants = source.data.get("variants")
    if not variants:
        if "variants" in keys or at(keys[0])[1]:
            help = f"write it yourself: `variants: {{{line}}}`"
            raise SearchError("E864", f"`{source.name}` has no place for a variant", help)
        before, _ = at(keys[keys.index("params") + 1])
        return f"{source.text[:before]}variants:\n  {line}\n{source.text[before:]}"
    start, column = at("variants", next(iter(variants)))
    if source.text[start : start + column].strip():  # `variants: {…`: the first entry's own line
        place = start + column
        return f"{source.text[:place]}{line}, {source.text[place:]}"
    return f"{source.text[:start]}{' ' * column}{line}\n{source.text[start:]}"
