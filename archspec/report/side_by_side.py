"""Networks → one table, a row each: what they cost, how deep they are, what they see."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from archspec.report.data import Model, Totals
from archspec.report.layers import features, receptive
from archspec.report.table import Cell, Column, Table, written
from archspec.units import count, size

if TYPE_CHECKING:
    from archspec.analysed import Network

_COLUMNS = (
    Column("network"),
    Column("parameters", right=True),
    Column("MACs", right=True),
    Column("depth", right=True, yields=1),
    Column("units", right=True, yields=4),
    Column("inference", right=True, yields=2),
    Column("training", right=True, yields=3),
    Column("field", yields=2),
)


class Summary(Model):
    """A network by its totals."""

    name: str
    spec: str
    totals: Totals


def side_by_side(networks: Sequence[Network]) -> Table:
    """The table. Depth and units are those of `Totals`, memory is that of one sample."""
    rows = [_line(network) for network in networks]
    return Table(f"{len(rows)} networks", _COLUMNS, rows)


def _line(network: Network) -> tuple[Cell, ...]:
    totals, seen = network.analysis.totals, features(network.analysis)
    return (
        network.name,
        totals.params,
        count(totals.macs).rstrip(),
        totals.depth,
        totals.units,
        size(totals.inference_bytes),
        size(totals.training_bytes),
        "" if seen is None else receptive(seen),
    )


def write(networks: Sequence[Network], format: str) -> str:
    """The same as text: `table`, `markdown`, `csv` or `json`; the last two with all totals."""
    found = [
        Summary(
            name=network.name, spec=network.source.name,
            totals=Totals.model_validate(network.analysis.totals),
        )
        for network in networks
    ]  # fmt: skip
    if format == "json":
        return "[\n" + ",\n".join(one.model_dump_json(indent=1) for one in found) + "\n]\n"
    if format != "csv":
        return written(side_by_side(networks), format)
    rows = [
        {"name": one.name, "spec": one.spec}
        | one.totals.model_dump(exclude={"flops_by_family", "macs_by_family"})
        for one in found
    ]
    columns = tuple(map(Column, rows[0]))
    return written(Table("", columns, [tuple(row.values()) for row in rows]), "csv")
