"""Shipped specs → a page in Markdown with a figure of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from archspec import shelf
from archspec.figures import chosen, figure
from archspec.network import load
from archspec.save import MARK


class Entry(NamedTuple):
    """One network: an SVG of the view that suits it, and what is said of it."""

    name: str
    title: str
    cite: str
    view: str
    figure: str


def entries() -> Iterator[Entry]:
    """Every shipped spec, by name."""
    for name in shelf.names():
        program = load(name)
        view = chosen(program, "svg")
        made = figure(program, view, "svg")
        assert isinstance(made, str)
        yield Entry(name, program.spec.title or name, program.spec.cite, view, made)


def page(found: Sequence[Entry], folder: str) -> str:
    """The page; the figures lie in `folder` beside it."""
    lines = [
        "# Gallery",
        "",
        f"<!-- {MARK}: archspec gallery -->",
        "",
        f"All {len(found)} specs that ship with archspec, each in the view that `archspec render`",
        "picks for it.",
        "",
    ]
    lines += [f"- [{entry.name}](#{entry.name}): {entry.title}" for entry in found]
    for entry in found:
        lines += ["", f"## {entry.name}", "", _said(entry), ""]
        lines.append(f"![{entry.title}, as {entry.view}]({folder}/{entry.name}.svg)")
    return "\n".join(lines) + "\n"


def _said(entry: Entry) -> str:
    said = [entry.title[:1].upper() + entry.title[1:], entry.cite, f"`--view {entry.view}`"]
    return " ".join(f"{text.rstrip('.')}." for text in said if text)
