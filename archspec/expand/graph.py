"""The expanded network as a networkx graph: one node an op, in the order they are computed.

Nodes are keyed by path, edges by the slot of the input that they fill: one value may be read twice.

    input: [3]
    body: [{id: a, linear: 4}, {id: b, add: [a, a]}]

    list(graph)                     ['input', 'a', 'b']
    list(graph.edges(keys=True))    [('input', 'a', 0), ('a', 'b', 0), ('a', 'b', 1)]
    graph.nodes['a']['params']      16

So whatever networkx knows of directed graphs can be asked of a network as it is. Graphs that
networkx makes of this one (subgraphs, reversals, copies) have its nodes and edges, with all their
attributes; `steps` and what else stands below is the whole network's alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import networkx as nx

from archspec.expand.schedule import Edge, Node, Schedule, Scope

if TYPE_CHECKING:
    Directed = nx.MultiDiGraph[str]
else:
    Directed = nx.MultiDiGraph  # takes no parameters when the program runs

__all__ = ["Edge", "Graph", "Node", "Scope"]


class Graph(Directed, Schedule):
    """The whole network: a networkx.MultiDiGraph, with the tree that it was made from.

    Attributes of a node, beside the Node itself under `node`:

    - `op`: as in specs, "conv", or "input"
    - `shape`, `dtype`: of its (first) output, without the batch axis
    - `params`: learned numbers that it owns, 0 where it runs with weights of another
    - `macs`: multiply-accumulates for one sample
    - `block`: path of the block call it stands in, "" for the network itself

    Of an edge: `output`, which output (0-based) of its source; its key is the input's slot.
    """

    @classmethod
    def of(cls, schedule: Schedule) -> Graph:
        """The graph of the ops of a network."""
        graph = cls(name=schedule.root.block.name)
        vars(graph).update(vars(schedule))
        steps, known = graph.steps, [_facts(node) for node in graph.kinds]
        for node in steps:
            facts = known[node.kind]
            own = facts if node.shared is None else {**facts, "params": 0}
            graph.add_node(node.path, node=node, block=node.block, **own)
            for slot, edge in enumerate(node.given):
                if edge is not None:
                    graph.add_edge(steps[edge.node].path, node.path, slot, output=edge.output)
        nx.freeze(graph)  # all that follows relies on it: who wants to change one takes a copy
        return graph

    def at(self, path: str) -> Node:
        """The op at a path. Raises KeyError."""
        node: Node = self.nodes[path]["node"]
        return node

    def readers(self, node: Node) -> list[Node]:
        """The ops that read an output of a node, in order."""
        return [self.at(path) for path in self.successors(node.path)]


def _facts(node: Node) -> dict[str, object]:
    """What the attributes of all nodes of a kind say."""
    return {
        "op": node.op,
        "shape": node.outs[0].shape,
        "dtype": node.outs[0].dtype,
        "params": sum(weight.size for weight in node.untied() if not weight.buffer),
        "macs": 0 if node.layer is None else node.layer.macs(node.ins, node.outs),
    }
