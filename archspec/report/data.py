"""Network → records: everything that is known, for programs to read (JSON, CSV, YAML)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from archspec.report.layers import folded, number

if TYPE_CHECKING:
    from archspec.analysed import Network
    from archspec.analysis import Field, Row
    from archspec.expand.graph import Edge, Graph, Node

Record = dict[str, Any]


def records(network: Network, depth: int | None = None) -> list[Record]:
    """One record a layer, or a part: sums over its layers, shape and field of its last one."""
    return [record(name, what, members) for name, what, members in folded(network, depth)]


def record(name: str, what: str, members: Sequence[Row]) -> Record:
    last = members[-1]
    return {
        "path": name,
        "op": last.op if len(members) == 1 else what,
        "layers": len(members),
        "output": [list(out.shape) for out in last.outputs],
        "params": sum(row.params for row in members),
        "trainable": sum(row.trainable for row in members),
        "buffers": sum(row.buffers for row in members),
        "shared_with": last.shared_with if len(members) == 1 else None,
        "training_only": all(row.training_only for row in members),
        "macs": sum(row.macs for row in members),
        "flops": sum(row.flops for row in members),
        "bytes_out": sum(row.bytes_out for row in members),
        "bytes_saved": sum(row.bytes_saved for row in members),
        "live_bytes": max(row.live_bytes for row in members),
        "aligned": last.aligned if len(members) == 1 else None,
        "receptive_field": [_field(field) for field in last.fields],
    }


def _field(field: Field) -> Record:
    return {
        "input": field.input,
        "axis": field.name,
        "size": field.size,
        "stride": None if field.stride is None else number(field.stride),
        "padding": None if field.padding is None else number(field.padding),
        "centre": None if field.centre is None else number(field.centre),
        "whole": field.whole,
    }


def document(network: Network, depth: int | None = None) -> Record:
    """The whole report."""
    totals = network.analysis.totals
    return {
        "name": network.name,
        "spec": network.source.name,
        "title": network.spec.title,
        "totals": {
            "params": totals.params,
            "trainable": totals.trainable,
            "buffers": totals.buffers,
            "params_training_only": totals.params_training_only,
            "macs": totals.macs,
            "flops": totals.flops,
            "macs_training": totals.macs_training,
            "flops_training": totals.flops_training,
            "flops_by_family": dict(totals.flops_by_family),
            "macs_by_family": dict(totals.macs_by_family),
            "weight_bytes": totals.weight_bytes,
            "saved_bytes": totals.saved_bytes,
            "peak_live_bytes": totals.peak_live_bytes,
            "peak_at": totals.peak_at,
            "inference_bytes": totals.inference_bytes,
            "training_bytes": totals.training_bytes,
        },
        "sizes": [str(accepted) for accepted in network.analysis.sizes],
        "warnings": [
            {"code": fault.code, "message": fault.message, "help": fault.help}
            for fault in network.warnings
        ],
        "layers": records(network, depth),
    }


_FIELD_COLUMNS = ("size", "stride", "padding", "centre")


def flat(record: Record) -> Record:
    """A record without nesting: shapes as `64x112x112`, a field's parts in columns of their own."""
    found = {
        key: value for key, value in record.items() if key not in ("output", "receptive_field")
    }
    found["output"] = " ".join("x".join(map(str, shape)) for shape in record["output"])
    fields = record["receptive_field"]
    for part in _FIELD_COLUMNS:
        values = ["" if field[part] is None else str(field[part]) for field in fields]
        found[f"field_{part}"] = "x".join(values) if any(values) else ""
    found["field_whole"] = any(field["whole"] for field in fields)
    return found


def unrolled(network: Network) -> str:
    """YAML: the inputs, then a line for each computed op with all its arguments, then the outputs.

    `from` are the paths of what it takes, `path:1` the second output of one. The lines are in the
    order of computation; names are those of the weights.
    """
    graph = network.graph
    head = [f"# expanded from {network.source.name}", f"name: {network.name}", "inputs:"]
    for node in graph.steps:
        if node.layer is None:
            shape = str(node.outs[0])
            head.append(f"  {node.path}: {{shape: {shape}, dtype: {node.outs[0].dtype}}}")
    lines = ["nodes:", *(f"  - {_flow(_step(node, graph))}" for node in graph.steps if node.layer)]
    tail = ["outputs:"]
    for name, edges in graph.outputs.items():
        paths = [_source(edge, graph) for edge in edges]
        tail.append(f"  {name}: {_flow(paths[0] if len(paths) == 1 else paths)}")
    return "\n".join([*head, *lines, *tail]) + "\n"


def _step(node: Node, graph: Graph) -> Record:
    found: Record = {"path": node.path, "from": [_source(edge, graph) for edge in node.inputs]}
    assert node.layer is not None
    found[node.layer.op] = node.layer.values()
    shapes = [list(out.shape) for out in node.outs]
    found["output"] = shapes[0] if len(shapes) == 1 else shapes
    if node.shared is not None:
        found["shared"] = graph.steps[node.shared].path
    if node.training:
        found["tap"] = "train"
    if node.frozen:
        found["freeze"] = True
    return found


def _source(edge: Edge, graph: Graph) -> str:
    path = graph.steps[edge.node].path
    return f"{path}:{edge.output}" if edge.output else path


def _flow(value: object) -> str:
    """A value in YAML's flow style."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_flow, value)) + "]"
    if value is None:
        return "~"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return (
            value if _bare(value) else '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
        )
    return _decimal(value)


def _decimal(value: object) -> str:
    """A float as YAML reads it in every version: `1e-05` has no point and is text to some."""
    text = repr(value)
    return text.replace("e", ".0e") if "e" in text and "." not in text else text


def _bare(text: str) -> bool:
    return text.replace(".", "").replace("_", "").isalnum() and not text[0].isdigit()
