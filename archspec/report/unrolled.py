"""Network → YAML: every computed op on a line of its own, blocks and repeats unrolled."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from archspec.analysed import Network
    from archspec.expand.graph import Edge, Graph, Node


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


def _step(node: Node, graph: Graph) -> dict[str, Any]:
    found: dict[str, Any] = {
        "path": node.path,
        "from": [_source(edge, graph) for edge in node.inputs],
    }
    assert node.layer is not None
    found[node.layer.op] = node.layer.values()
    shapes = [list(out.shape) for out in node.outs]
    found["output"] = shapes[0] if len(shapes) == 1 else shapes
    if node.shared is not None:
        found["shared"] = graph.steps[node.shared].path
    if node.tied is not None:
        found["tie"] = graph.steps[node.tied].path
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
        return value if _bare(value) else json.dumps(value, ensure_ascii=False)
    return _decimal(value)


def _decimal(value: object) -> str:
    """A float as YAML reads it in every version: `1e-05` has no point and is text to some."""
    text = repr(value)
    return text.replace("e", ".0e") if "e" in text and "." not in text else text


def _bare(text: str) -> bool:
    plain = text.replace(".", "").replace("_", "").replace("-", "")
    return plain.isalnum() and not text[0].isdigit()
