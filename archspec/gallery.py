"""Shipped specs → a page in Markdown with a figure of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from archspec import shelf
from archspec.figures import chosen, figure
from archspec.frames import frame
from archspec.network import load
from archspec.save import MARK


class Entry(NamedTuple):
    """One network: an SVG of the view that suits it, and what is said of it."""

    name: str
    title: str
    cite: str
    view: str
    figure: str

    @property
    def said(self) -> str:
        """`Title. Paper. How it was drawn.`"""
        said = [self.title[:1].upper() + self.title[1:], self.cite, f"`--view {self.view}`"]
        return " ".join(f"{text.rstrip('.')}." for text in said if text)


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
    return frame("gallery.md.jinja", entries=found, folder=folder, mark=MARK)
