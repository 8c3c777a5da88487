"""Cells → text: one table, written for a terminal, for Markdown, CSV, a notebook."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass

from archspec.frames import frame
from archspec.text.words import printable

Cell = str | int | None


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its heading, its cells' side, how soon a narrow screen drops it (0: never)."""

    title: str
    right: bool = False
    yields: int = 0


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells under columns, a row of totals, and remarks below as (word, text)."""

    title: str
    columns: tuple[Column, ...]
    rows: list[tuple[Cell, ...]]
    totals: tuple[Cell, ...] | None = None
    remarks: tuple[tuple[str, str], ...] = ()


def show(cell: Cell) -> str:
    """A cell as people read it: thousands apart, nothing for nothing."""
    if cell is None:
        return ""
    return f"{cell:,}" if isinstance(cell, int) else cell


def written(table: Table, format: str) -> str:
    """As text: `table`, `markdown` or `csv`."""
    return {"table": plain, "markdown": markdown, "csv": csv}[format](table)


def plain(table: Table, width: int | None = None) -> str:
    """Columns kept apart by two spaces; the least needed ones go until a row fits into `width`."""
    widths = _widths(table)
    kept = _fit(table.columns, widths, width)
    rule = "  ".join("-" * widths[i] for i in kept)

    def line(cells: Sequence[Cell]) -> str:
        texts = (
            f"{show(cells[i]):{'>' if table.columns[i].right else '<'}{widths[i]}}" for i in kept
        )
        return "  ".join(texts).rstrip()

    lines = [table.title, "", line([column.title for column in table.columns]), rule]
    lines += map(line, table.rows)
    if table.totals:
        lines += [rule, line(table.totals)]
    return "\n".join(lines) + "\n" + remarks(table)


def remarks(table: Table) -> str:
    """The remarks, their words in a column."""
    if not table.remarks:
        return ""
    edge = max(len(word) for word, _ in table.remarks)
    return "\n" + "".join(f"{word:<{edge}}  {text}\n" for word, text in table.remarks)


def _widths(table: Table) -> list[int]:
    """Signs that each column takes."""
    rows = [*table.rows, *([table.totals] if table.totals else [])]
    return [
        max([len(column.title), *(len(show(row[i])) for row in rows)])
        for i, column in enumerate(table.columns)
    ]


def _fit(columns: Sequence[Column], widths: Sequence[int], width: int | None) -> list[int]:
    """Which columns stay."""
    kept = list(range(len(columns)))
    while width is not None and sum(widths[i] + 2 for i in kept) - 2 > width:
        weakest = max(kept, key=lambda i: columns[i].yields)
        if not columns[weakest].yields:
            break
        kept.remove(weakest)
    return kept


def terminal(table: Table) -> None:
    """Draw with rich on the terminal that stdout is."""
    from rich.console import Console
    from rich.table import Table as Drawing
    from rich.text import Text

    def text(cell: Cell, style: str = "") -> Text:
        return Text(printable(show(cell)), style=style)

    console = Console(highlight=False)
    kept = _fit(table.columns, [width + 1 for width in _widths(table)], console.width)
    drawing = Drawing(
        box=None, padding=(0, 2, 0, 0), header_style="bold", show_footer=bool(table.totals)
    )
    for i in kept:
        column = table.columns[i]
        drawing.add_column(
            text(column.title),
            text(table.totals[i], "bold") if table.totals else "",
            justify="right" if column.right else "left",
            no_wrap=True,
        )
    for row in table.rows:
        drawing.add_row(*(text(row[i]) for i in kept))
    console.print(text(table.title, "bold"))
    console.print(drawing)
    below = Drawing.grid(padding=(0, 2, 0, 0))
    below.add_column(no_wrap=True)
    below.add_column(overflow="fold")
    for word, said in table.remarks:
        below.add_row(text(word), text(said))
    if table.remarks:
        console.print("\n", below, sep="", end="")


def markdown(table: Table) -> str:
    """A GitHub table."""
    lines = [[column.title for column in table.columns]]
    lines.append(["---:" if column.right else "---" for column in table.columns])
    lines += [[_escaped(show(cell)) for cell in row] for row in table.rows]
    if table.totals:
        lines.append([f"**{_escaped(show(c))}**" if show(c) else "" for c in table.totals])
    text = "".join(f"| {' | '.join(cells)} |\n" for cells in lines)
    below = "".join(f"- {word}: {_escaped(text)}\n" for word, text in table.remarks)
    return f"### {_escaped(table.title)}\n\n{text}" + (f"\n{below}" if below else "")


def _escaped(text: str) -> str:
    return re.sub(r"[\\`*_{}\[\]<>|]", r"\\\g<0>", text)


def csv(table: Table) -> str:
    """Numbers without separators, one row a line, no totals: what a spreadsheet adds up itself."""
    import csv as _csv

    out = io.StringIO()
    writer = _csv.writer(out, lineterminator="\n")
    writer.writerow([column.title for column in table.columns])
    writer.writerows([["" if cell is None else cell for cell in row] for row in table.rows])
    return out.getvalue()


def html(table: Table) -> str:
    """For a notebook; all text escaped, no scripts, no links."""
    return frame("report/table.html.jinja", table=table, show=show)
