"""Program → tables: terminal, Markdown, CSV, JSON, notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archspec.report import table as _table
from archspec.report.data import document, flat, records, unrolled
from archspec.report.listing import shipped, vocabulary
from archspec.report.network import fitting, headline, network

if TYPE_CHECKING:
    from archspec.network import Program

__all__ = [
    "document", "fitting", "headline", "html", "markdown", "records", "shipped", "terminal",
    "unrolled", "vocabulary", "write",
]  # fmt: skip


def write(program: Program, format: str = "table", depth: int | None = None) -> str:
    """The program's table as text: `table`, `markdown`, `csv` or `json`.

    `depth` folds what lies deeper than so many segments of a path.
    """
    if format == "json":
        import json

        return json.dumps(document(program, depth), indent=1, ensure_ascii=False) + "\n"
    if format == "csv":
        found = [flat(record) for record in records(program, depth)]
        columns = tuple(_table.Column(name) for name in found[0])
        return _table.csv(_table.Table("", columns, [tuple(row.values()) for row in found]))
    if format == "markdown":
        return markdown(program, depth)
    return _table.plain(network(program, depth))


def markdown(program: Program, depth: int | None = None) -> str:
    """A GitHub table with the totals below it."""
    return _table.markdown(network(program, depth))


def html(program: Program, depth: int | None = None) -> str:
    """For a notebook; folded to a screenful unless `depth` says otherwise."""
    return _table.html(network(program, fitting(program) if depth is None else depth))


def terminal(program: Program, depth: int | None = None) -> None:
    """Draw on the terminal that stdout is, as wide as it is."""
    _table.terminal(network(program, depth))
