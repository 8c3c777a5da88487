"""The graph is networkx's: its invariants on drawn specs, and what networkx makes of it."""

from __future__ import annotations

from io import BytesIO

import networkx as nx
import pytest
from hypothesis import HealthCheck, given, reject, settings
from random_specs import specs

from archspec.expand.graph import Graph
from archspec.network import Program, load, loads
from archspec.report.graphml import graphml
from archspec.text.faults import SpecError

TWICE = "spec: 1\nname: t\ninput: [3]\nbody: [{id: a, linear: 4}, {id: b, add: [a, a]}]\n"


def check_order(graph: Graph) -> None:
    """The order of computation: networkx's nodes are the steps, and every edge goes forward."""
    assert list(graph) == [node.path for node in graph.steps]
    assert [node.index for node in graph.steps] == list(range(len(graph)))
    place = {path: index for index, path in enumerate(graph)}
    assert nx.is_directed_acyclic_graph(graph)
    assert list(nx.lexicographical_topological_sort(graph, key=place.__getitem__)) == list(graph)


def check_edges(graph: Graph) -> None:
    """The edges of networkx are the inputs of the nodes, under the slots that they fill."""
    wanted = [
        (graph.steps[edge.node].path, node.path, slot, edge.output)
        for node in graph.steps
        for slot, edge in enumerate(node.given)
        if edge is not None
    ]
    assert sorted(graph.edges(keys=True, data="output")) == sorted(wanted)
    for node in graph.steps:
        assert [edge for edge in node.given if edge is not None] == list(node.inputs)
        assert graph.in_degree(node.path) == len(node.inputs)
        for edge, kind in zip(node.given, node.ins, strict=True):
            if edge is not None:
                assert graph.steps[edge.node].outs[edge.output] == kind


def check_attributes(program: Program) -> None:
    """The flat attributes say what the analysis says."""
    graph = program.graph
    blocks = {scope.path for scope in graph.scopes if scope.kind == "block"} | {""}
    for node, row in zip(graph.steps, program.analysis.rows, strict=True):
        found = dict(graph.nodes[node.path])
        assert found.pop("node") is node
        assert (node.path == found["block"]) <= (node.layer is not None)
        assert f"{node.path}.".startswith(f"{found['block']}." if found["block"] else "")
        assert found.pop("block") in blocks
        assert found == {
            "op": row.op, "shape": row.shape, "dtype": row.outputs[0].dtype,
            "params": row.params, "macs": row.macs,
        }  # fmt: skip
        assert graph.kinds[node.kind].layer == node.layer
        assert (graph.kinds[node.kind].ins, graph.kinds[node.kind].outs) == (node.ins, node.outs)


def check_graphml(graph: Graph) -> None:
    """What networkx reads is what was written."""
    text = graphml(graph)
    read = nx.read_graphml(BytesIO(text.encode()), force_multigraph=True)
    assert list(read) == list(graph)
    for path, node in graph.nodes(data="node"):
        shape = "x".join(map(str, node.outs[0].shape))
        wanted = {**graph.nodes[path], "shape": shape}
        del wanted["node"]
        assert {"block": "", **read.nodes[path]} == wanted
    edges = [(a, b, data["slot"], data["output"]) for a, b, data in read.edges(data=True)]
    assert edges == list(graph.edges(keys=True, data="output"))


@settings(
    max_examples=150,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
@given(specs())
def test_of_drawn_specs(text: str) -> None:
    try:
        program = loads(text)
    except SpecError:
        reject()
    check_order(program.graph)
    check_edges(program.graph)
    check_attributes(program)
    check_graphml(program.graph)


@pytest.mark.parametrize(
    "name", ["googlenet", "transformer", "siamese", "lstm_classifier", "unet", "faster_rcnn"]
)
def test_of_shipped_specs(name: str) -> None:
    program = load(name)
    check_order(program.graph)
    check_edges(program.graph)
    check_attributes(program)
    check_graphml(program.graph)
    assert graphml(load(name).graph) == graphml(program.graph)


def test_a_value_that_is_read_twice_is_two_edges() -> None:
    graph = loads(TWICE).graph
    assert isinstance(graph, nx.MultiDiGraph)
    assert list(graph.edges(keys=True)) == [("input", "a", 0), ("a", "b", 0), ("a", "b", 1)]
    assert [node.path for node in graph.readers(graph.steps[1])] == ["b"]
    assert (graph.nodes["a"]["params"], graph.out_degree["a"]) == (16, 2)


def test_an_input_that_is_not_given_keeps_its_slot() -> None:
    text = "spec: 1\nname: t\ninput: {x: [4, 8], m: {shape: [4, 4], dtype: bool}}\nbody:\n"
    text += "  - {id: t, attention: {heads: 2}, from: {query: x, key: x, mask: m}}\n"
    graph = loads(text).graph
    assert [slot for *_, slot in graph.in_edges("t", keys=True)] == [0, 1, 3]


def test_shared_weights_are_their_owners() -> None:
    graph = load("siamese").graph
    shared = [node for node in graph.steps if node.shared is not None]
    assert shared
    assert {graph.nodes[node.path]["params"] for node in shared} == {0}
    owned = sum(weight.size for _, weight, _ in graph.weights() if not weight.buffer)
    assert sum(params for _, params in graph.nodes(data="params")) == owned


def test_a_graph_is_frozen_and_its_copies_are_not() -> None:
    graph = load("lenet5").graph
    with pytest.raises(nx.NetworkXError, match="Frozen"):
        graph.remove_node("input")
    for copy in (graph.copy(), nx.MultiDiGraph(graph)):
        copy.remove_node("input")
        assert len(copy) == len(graph) - 1


def test_networkx_makes_graphs_of_it() -> None:
    graph = load("resnet50").graph
    part = graph.subgraph(list(graph)[:5])
    assert set(part.copy()) == set(part) == set(list(graph)[:5])
    assert list(graph.reverse().reverse().edges(keys=True)) == list(graph.edges(keys=True))
    assert graph.reverse(copy=False).has_edge("conv1", "input", 0)
    assert nx.is_connected(graph.to_undirected())
    assert graph.edge_subgraph([("input", "conv1", 0)]).number_of_nodes() == 2
    blocks = nx.get_node_attributes(graph, "block")
    groups: dict[str, set[str]] = {}
    for path, block in blocks.items():
        groups.setdefault(block, set()).add(path)
    folded = nx.quotient_graph(graph, list(groups.values()), create_using=nx.MultiDiGraph)
    assert len(folded) == 17  # 16 blocks, and what stands outside
    assert nx.immediate_dominators(graph, "input")["fc"] == "global_avg_pool1"
