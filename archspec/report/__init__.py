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
    "document", "fitting", "headline", "html", "layers", "records", "shipped", "unrolled",
    "vocabulary", "write",
]  # fmt: skip


def write(network: Network, format: str = "table", depth: int | None = None) -> str:
    """The network's table as text: `table`, `markdown`, `csv` or `json`.

    `depth` folds what lies deeper than so many segments of a path.
    """
    if format == "json":
        return document(network, depth).model_dump_json(indent=1) + "\n"
    if format == "csv":
        found = [record.flat() for record in records(network, depth)]
        columns = tuple(map(_table.Column, found[0]))
        rows = [tuple(row.values()) for row in found]
        return _table.csv(_table.Table("", columns, rows))
    return _table.written(layers(network, depth), format)


def html(network: Network) -> str:
    """For a notebook, folded to a screenful."""
    return _table.html(layers(network, fitting(network)))
