"""Network, node → what one of its cells sees of an input, and the cells on the way to it.

Of the many ways from the input to a node one is followed: back to what sees most, at each step.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby, pairwise
from math import prod
from typing import TYPE_CHECKING, NamedTuple

from archspec.figures.errors import RenderError
from archspec.text.words import did_you_mean

if TYPE_CHECKING:
    from archspec.analysed import Network
    from archspec.analysis import Field, Row

MOST = 18
"""Fields of a figure that can be told apart."""
Axes = Sequence[tuple[str, int]]
"""Of one input, those along which the node that was asked for sees only a part of it."""


class Seen(NamedTuple):
    """What one cell of a node sees of an input, per axis: first and last cell, and the centre."""

    row: Row
    fields: tuple[Field, ...]
    spans: tuple[tuple[int, int], ...]
    centres: tuple[float, ...]


def chain(network: Network, node: str | None = None) -> list[Seen]:
    """`node`, a path, and the nodes that lead to it from the input, where the field changes.

    Of the node it is the cell in the middle, of the others that at the same place. Without `node`
    it is the last with an area of which each cell sees a part of the input. At most MOST. Raises
    RenderError.
    """
    chosen = _default(network) if node is None else _row(network, node)
    local = [(field.input, field.axis) for field in chosen.fields if field.local]
    if not local:
        wrong = (
            f"`field` does not apply to `{chosen.path}`: each cell sees all of the input, or none"
        )
        raise RenderError("E702", wrong, "name an op before it with --node")
    axes = [axis for axis in local if axis[0] == local[0][0]]
    return _chain(_way(network, chosen, axes), axes)


def _row(network: Network, node: str) -> Row:
    try:
        return network.analysis.row(node)
    except KeyError:
        help = did_you_mean(node, [row.path for row in network.analysis.rows])
        remedy = help or f"`archspec summary {network.spec.name}` lists the paths"
        raise RenderError("E703", f"`{network.name}` has no node `{node}`", remedy) from None


def _default(network: Network) -> Row:
    for row in reversed(network.analysis.rows):
        local = row.op != "input" and any(field.local for field in row.fields)
        if local and not row.training_only and prod(row.shape[1:]) > 1:
            return row
    wrong = f"`field` does not apply to `{network.name}`: no op sees only a part of the input"
    raise RenderError("E702", wrong, "--view blocks draws every network")


# ------------------------------------------------------------------ what is seen


def _way(network: Network, chosen: Row, axes: Axes) -> list[Row]:
    """From the input to the node, at each step back to what sees most of the input."""
    rows, nodes = network.analysis.rows, network.graph.steps
    path = [chosen]
    while True:
        before = [rows[edge.node] for edge in nodes[path[-1].index].inputs]
        able = [row for row in before if _local(row, axes)]
        if not able:
            return path[::-1]
        path.append(max(able, key=lambda row: [f.size or 0 for f in _local(row, axes)]))


def _local(row: Row, axes: Axes) -> tuple[Field, ...]:
    """Its fields along the axes; none where along one of them it sees all of the input."""
    found = {(field.input, field.axis): field for field in row.fields if field.local}
    return tuple(found[axis] for axis in axes) if found.keys() >= set(axes) else ()


def _chain(path: Sequence[Row], axes: Axes) -> list[Seen]:
    """The nodes of a path at which the field changes, each with its cell nearest to the last's."""

    def look(row: Row) -> list[object]:
        return [(field.size, field.stride, field.padding_here) for field in _local(row, axes)]

    ops, last = (row for row in path if row.op != "input"), path[-1]
    changed = [next(alike) for _, alike in groupby(ops, look)]
    middle = [(along(last, f) // 2 + 0.5) / along(last, f) for f in _local(last, axes)]
    rows = _few([*changed[:-1], last], axes)
    return [_seen(row, _local(row, axes), middle) for row in rows]


def _few(rows: list[Row], axes: Axes) -> list[Row]:
    """At most so many as can be told apart: the last before each change of stride, then evenly."""
    if len(rows) <= MOST:
        return rows
    kept = {0, len(rows) - 1}
    strides = [[field.stride for field in _local(row, axes)] for row in rows]
    kept |= {i for i in range(len(rows) - 1) if strides[i] != strides[i + 1]}
    while len(kept) < MOST:  # in the middle of the longest run that is left out
        places = sorted(kept)
        gap, start = max((b - a, -a) for a, b in pairwise(places))
        kept.add(-start + gap // 2)
    return [rows[i] for i in sorted(kept)]


def along(row: Row, field: Field) -> int:
    """How many cells of a node there are along the axis that walks along the input's."""
    for size, spans in zip(row.shape, row.state.axes, strict=True):
        for k, _ in spans:
            tracked = row.state.tracked[k]
            if (tracked.input, tracked.axis) == (field.input, field.axis):
                return size
    return 1


def _seen(row: Row, fields: tuple[Field, ...], places: Sequence[float]) -> Seen:
    """Of the cell that stands at these shares of the whole."""
    spans, centres = [], []
    for field, place in zip(fields, places, strict=True):
        cell = int(place * along(row, field))
        span = field.cells(cell)
        assert span is not None
        assert field.centre is not None
        assert field.stride is not None
        spans.append(span)
        centres.append(float(field.centre + field.stride * cell) + 0.5)
    return Seen(row, fields, tuple(spans), tuple(centres))
