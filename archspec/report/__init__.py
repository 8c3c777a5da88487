"""Network → tables: terminal, Markdown, CSV, JSON, notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archspec.report.data import document, records
from archspec.report.layers import fitting, headline, layers
from archspec.report.listing import shipped, vocabulary
from archspec.report.table import Column, Table, html, written
from archspec.report.unrolled import unrolled

if TYPE_CHECKING:
    from archspec.analysed import Network

__all__ = [
    "document", "fitting", "headline", "layers", "notebook", "records", "shipped", "unrolled",
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
        columns = tuple(map(Column, found[0]))
        return written(Table("", columns, [tuple(row.values()) for row in found]), format)
    return written(layers(network, depth), format)


def notebook(network: Network) -> str:
    """HTML, folded to a screenful."""
    return html(layers(network, fitting(network)))
