"""Code → what it means: the pages behind `archspec explain CODE`.

E1xx reading, E2xx the document's form, E3xx expansion, E4xx limits, E5xx expected totals,
E6xx build and weights, E7xx figures, E8xx training, E9xx faults of archspec itself, W1xx warnings.

A page is a file of Markdown in `pages/`, called as its code is. `pages/E105.md`:

    # a tab

    YAML indents with spaces; a tab looks different in every editor. Replace it.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

_FOLDER = Path(__file__).resolve().parent / "pages"

CODES = tuple(sorted(path.stem for path in _FOLDER.glob("*.md")))


class Page(NamedTuple):
    """What is said of one kind of complaint: a title of a few words, and Markdown."""

    title: str
    text: str


def page(code: str) -> Page:
    """The page on a code. Raises KeyError for an unknown one."""
    if code not in CODES:
        raise KeyError(code)
    title, _, text = (_FOLDER / f"{code}.md").read_text(encoding="utf-8").partition("\n")
    return Page(title.removeprefix("# "), text.strip())
