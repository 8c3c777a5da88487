"""Graph → GraphML, the file that yEd, Gephi, Cytoscape and networkx read.

Nodes and edges keep their flat attributes; the Node stays out, which is Python's alone. GraphML
knows numbers and text: a shape is written `64x112x112`. An edge's id is its place in the file, for
ids must differ, and the slot of the input that it fills is an attribute.

    <node id="conv1">  op conv, shape 64x112x112, dtype float, params 9408, macs 118013952, block
    <edge id="e0" source="input" target="conv1">  slot 0, output 0
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import networkx as nx

from archspec.save import MARK

if TYPE_CHECKING:
    from archspec.expand.graph import Graph


def graphml(graph: Graph) -> str:
    """The text of the file; of one graph always the same."""
    flat: nx.MultiDiGraph[str] = nx.MultiDiGraph(name=graph.name)
    for path, node in graph.nodes(data=True):
        attributes = {key: value for key, value in node.items() if key != "node"}
        flat.add_node(path, **attributes | {"shape": "x".join(map(str, node["shape"]))})
    for place, (source, target, slot) in enumerate(graph.edges(keys=True)):
        output = graph.edges[source, target, slot]["output"]
        flat.add_edge(source, target, f"e{place}", slot=slot, output=output)
    return "\n".join([f"<!-- {MARK} -->", *nx.generate_graphml(flat)]) + "\n"
