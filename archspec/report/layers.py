"""Network → Table: one row a layer, or a row for each part where a depth folds what lies deeper."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from math import prod
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

from archspec.report.table import Cell, Column, Table
from archspec.units import count, once, size

if TYPE_CHECKING:
    from archspec.analysed import Network
    from archspec.analysis import Analysis, Field, Row

SCREENFUL = 48  # rows that `compile` shows at most, where folding can bring them down to it

_COLUMNS = (
    Column("layer"),
    Column("op"),
    Column("output"),
    Column("params", right=True),
    Column("MACs", right=True, yields=1),
    Column("FLOPs", right=True, yields=3),
    Column("memory", right=True, yields=4),
    Column("field", yields=2),
)


class Stage(NamedTuple):
    """A line of a table: a path down to some depth, what is there, its rows."""

    name: str
    what: str
    rows: list[Row]

    def sum(self, figure: str) -> int:
        """Of a number that every row has: "params", "macs", …"""
        return sum(getattr(row, figure) for row in self.rows)


def layers(network: Network, depth: int | None = None) -> Table:
    """The table of a network.

    Memory is the bytes of a row's outputs; output shape and receptive field are its last layer's.
    """
    totals = network.analysis.totals  # parameters of all, arithmetic of inference
    name = "total" if totals.macs == totals.macs_training else "total of inference"
    return Table(
        title=title(network),
        columns=_COLUMNS,
        rows=[_line(stage) for stage in folded(network, depth)],
        totals=(name, "", "", totals.params, totals.macs, totals.flops, "", ""),
        remarks=tuple(remarks(network)),
    )


def _line(stage: Stage) -> tuple[Cell, ...]:
    last = stage.rows[-1]
    return (
        stage.name,
        stage.what,
        str(last.outputs[0]) + (" …" if len(last.outputs) > 1 else ""),
        *(stage.sum(figure) or None for figure in ("params", "macs", "flops")),
        size(stage.sum("bytes_out")),
        receptive(last),
    )


def folded(network: Network, depth: int | None) -> Iterator[Stage]:
    """The lines of a table: paths that agree in `depth` segments share one."""
    groups: dict[str, list[Row]] = {}
    for row in network.analysis.rows:
        whole = depth is None or row.op == "input"
        key = row.path if whole else ".".join(row.path.split(".")[:depth])
        groups.setdefault(key, []).append(row)
    titles = {scope.path: scope.title for scope in network.graph.scopes}
    for key, members in groups.items():
        first = members[0]
        what = titles.get(key, "") or "group"
        if len(members) == 1 and first.path == key:
            what = first.op + (f" = {first.shared_with}" if first.shared_with else "")
            what += f", weight of {first.tied_to}" if first.tied_to else ""
        if all(row.training_only for row in members):
            what += " (training only)"
        yield Stage(key or network.name, what, members)


def fitting(network: Network) -> int | None:
    """The deepest folding with at most a screenful of rows; None shows every layer."""
    paths = [row.path.split(".") for row in network.analysis.rows]
    if len(paths) <= SCREENFUL:
        return None
    depths = range(max(map(len, paths)) - 1, 1, -1)
    fits = (d for d in depths if len({tuple(path[:d]) for path in paths}) <= SCREENFUL)
    return next(fits, 1)


def title(network: Network) -> str:
    """Name and, where the spec has one, its title."""
    text = network.spec.title
    base = network.spec.name
    name = network.name if network.name == base else f"{network.name} ({base})"
    return f"{name}: {text}" if text else name


def headline(network: Network) -> str:
    """The totals on one line."""
    totals = network.analysis.totals
    found = len(network.warnings)
    warned = f", {found} warning{'s' * (found != 1)}" if found else ""
    return f"{totals.params:,} parameters, {count(totals.macs)}MACs{warned}"


def remarks(network: Network) -> Iterator[tuple[str, str]]:
    """What stands below the table."""
    analysis = network.analysis
    totals = analysis.totals
    yield "parameters", _parameters(analysis)
    layers = f"{totals.depth} weighted layer{'s' * (totals.depth != 1)}"
    yield "depth", f"{layers} in a row; {totals.units:,} units"
    yield "arithmetic", _arithmetic(analysis)
    tensors = f"tensors {size(totals.peak_live_bytes)} at `{totals.peak_at}`"
    weights = f"weights {size(totals.weight_bytes)}"
    yield "inference", f"{size(totals.inference_bytes)} a sample: {weights}, {tensors}"
    learned = size(totals.weight_bytes + totals.gradient_bytes)
    adam = f"Adam adds {size(totals.optimizer_bytes['Adam'])}"
    beside = f"beside weights and gradients of {learned}; {adam}"
    yield "training", f"{size(totals.saved_bytes)} a sample, {beside}"
    seen = features(analysis)
    if seen is not None and receptive(seen):
        where = f"at `{seen.path}` (size / stride + padding, in input cells)"
        yield "field", f"{receptive(seen)} {where}"
    for accepted in analysis.sizes:
        yield "sizes", str(accepted)
    lone = next((node.path for node in network.graph.steps if node.lone), None)
    if lone is not None:
        why = f"of one sample alone `{lone}` has one value for each channel, and no variance"
        yield "batch", f"in training at least 2; {why}"


def _parameters(analysis: Analysis) -> str:
    totals = analysis.totals
    parts = [f"{totals.params:,}"]
    if totals.trainable != totals.params:
        parts.append(f"{totals.trainable:,} of them trained")
    if totals.params_training_only:
        parts.append(f"{totals.params_training_only:,} used in training only")
    if totals.buffers:
        parts.append(f"buffers {totals.buffers:,}")
    return "; ".join(parts)


def _arithmetic(analysis: Analysis) -> str:
    totals = analysis.totals
    text = f"{count(totals.macs)}MACs, {count(totals.flops)}FLOPs a sample"
    if totals.macs_training != totals.macs:
        text += f" (in training {count(totals.macs_training)}MACs)"
    shares = [
        f"{family} {100 * flops / totals.flops:.1f} %"
        for family, flops in totals.flops_by_family.items()
        if flops * 1000 >= totals.flops
    ]
    return f"{text}: {', '.join(shares)}" if shares else text


def features(analysis: Analysis) -> Row | None:
    """The last layer that has a local field over an area: it tells what the features see."""
    for row in reversed(analysis.rows):
        area = not row.training_only and prod(row.shape[1:]) > 1
        if area and any(field.local for field in row.fields):
            return row
    return None


def receptive(row: Row) -> str:
    """`91x91 /8 +45`: size, effective stride, padding; `all` where a cell sees the whole image."""
    if row.op == "input":
        return ""
    texts = [_fields(list(along)) for _, along in groupby(row.fields, attrgetter("input"))]
    return "; ".join(dict.fromkeys(text for text in texts if text))


def _fields(fields: Sequence[Field]) -> str:
    local = [field for field in fields if field.local]
    whole = any(field.whole for field in fields)
    if not local:
        return "all" if whole else ""
    text = "x".join(str(field.size) for field in local)
    text += f" /{once([field.stride for field in local], ',')}"
    paddings = [field.padding_here for field in local]
    if any(paddings):
        text += f" +{once(paddings, ',')}"
    return f"{text}, all" if whole else text
