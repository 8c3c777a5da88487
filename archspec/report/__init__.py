"""Network → tables: terminal, Markdown, CSV, JSON, notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archspec.report import table as _table
from archspec.report.data import document, records
from archspec.report.layers import fitting, headline, layers
from archspec.report.listing import shipped, vocabulary
from archspec.report.unrolled import unrolled

if TYPE_CHECKING:
    from archspec.analysed import Network

__all__ = [
    "document", "fitting", "headline", "html", "markdown", "records", "shipped", "terminal",
    "unrolled", "vocabulary", "write",
]  # fmt: skip


def write(network: Network, format: str = "table", depth: int | None = None) -> str:
    """The network's table as text: `table`, `markdown`, `csv` or `json`.

    `depth` folds what lies deeper than so many segments of a path.
    """
    if format == "json":
        return document(network, depth).model_dump_json(indent=1) + "\n"
    if format == "csv":
        found = [record.flat() for record in records(network, depth)]
        columns = tuple(_table.Column(name) for name in found[0])
        return _table.csv(_table.Table("", columns, [tuple(row.values()) for row in found]))
    if format == "markdown":
        return markdown(network, depth)
    return _table.plain(layers(network, depth))


def markdown(network: Network, depth: int | None = None) -> str:
    """A GitHub table with the totals below it."""
    return _table.markdown(layers(network, depth))


def html(network: Network, depth: int | None = None) -> str:
    """For a notebook; folded to a screenful unless `depth` says otherwise."""
    return _table.html(layers(network, fitting(network) if depth is None else depth))


def terminal(network: Network, depth: int | None = None) -> None:
    """Draw on the terminal that stdout is, as wide as it is."""
    _table.terminal(layers(network, depth))
