"""What the passes found → one Row a node, and their Totals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from archspec.analysis import memory
from archspec.analysis.receptive_field import Field, Seen, State, fields

if TYPE_CHECKING:
    from archspec.analysis.cost import Cost
    from archspec.expand.graph import Graph
    from archspec.expand.schedule import Node
    from archspec.layers.base import TensorType


@dataclass(frozen=True, slots=True)
class Row:
    """What is known of one node, for one sample; bytes are of float32, int64 and bool.

    `params` are the learned numbers it owns (`trainable` of them not frozen), `buffers` the others;
    both are 0 where it runs with the weights of `shared_with`, and the weight of `tied_to` is not
    counted. `executions`: how often its weights run in training. `training_only`: under
    `tap: train`. `bytes_saved`: what autograd newly keeps for the backward pass because of this
    node. `live_bytes`: all tensors alive while it runs in inference. `aligned`: whether the paths
    that meet here see the same place (None: none meet).
    """

    index: int
    path: str
    op: str
    family: str
    outputs: tuple[TensorType, ...]
    params: int
    trainable: int
    buffers: int
    weight_bytes: int
    shared_with: str | None
    tied_to: str | None
    executions: int
    training_only: bool
    macs: int
    flops: int
    bytes_out: int
    bytes_saved: int
    live_bytes: int
    aligned: bool | None
    state: State = field(repr=False, compare=False)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the first output, without the batch axis."""
        return self.outputs[0].shape

    @property
    def fields(self) -> tuple[Field, ...]:
        """The receptive field along each axis of each network input that it sees anything of."""
        return fields(self.state)


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over the rows; arithmetic of inference, and with the taps of training `…_training`."""

    params: int
    trainable: int
    buffers: int
    params_training_only: int
    macs: int
    flops: int
    macs_training: int
    flops_training: int
    flops_by_family: Mapping[str, int]
    macs_by_family: Mapping[str, int]
    weight_bytes: int
    """Parameters and buffers."""
    gradient_bytes: int
    saved_bytes: int
    """What autograd keeps of one sample for the backward pass."""
    peak_live_bytes: int
    """Tensors alive at the same time in inference, at most."""
    peak_at: str
    """The path of the node that runs then."""
    depth: int
    """Layers with weights on the longest way from an input to an output; norms do not count."""
    units: int
    """Numbers that layers with weights give: the neurons of papers."""

    @property
    def inference_bytes(self) -> int:
        """Peak memory of inference on one sample: weights, and tensors alive at the same time."""
        return self.weight_bytes + self.peak_live_bytes

    @property
    def training_bytes(self) -> int:
        """Memory of training on one sample: weights, gradients, saved activations; no optimizer."""
        return self.training_bytes_at(1)

    def training_bytes_at(self, batch: int) -> int:
        """The same for a batch: only what is saved grows with it."""
        return self.weight_bytes + self.gradient_bytes + batch * self.saved_bytes

    @property
    def optimizer_bytes(self) -> Mapping[str, int]:
        """What optimizers add: a number a trained parameter with momentum, two with Adam."""
        return {"SGD": 0, "SGD with momentum": self.gradient_bytes, "Adam": 2 * self.gradient_bytes}


def rows(graph: Graph, costs: Sequence[Cost], seen: Seen) -> list[Row]:
    """One a node, in the order of the graph's steps; `costs` are by kind."""
    live, saved = memory.live(graph, costs), memory.saved(graph, costs)
    owners = [node.index if node.shared is None else node.shared for node in graph.steps]
    executions = Counter(owners)
    found = []
    for node, owner in zip(graph.steps, owners, strict=True):
        index, spent = node.index, costs[node.kind]
        own = int(owner == index)
        found.append(
            Row(
                index, node.path, node.op, "input" if node.layer is None else node.layer.family,
                node.outs, own * spent.params, 0 if node.frozen else own * spent.params,
                own * spent.buffers,
                own * spent.weight_bytes, None if own else graph.steps[owner].path,
                None if node.tied is None else graph.steps[node.tied].path,
                executions[owner], node.training, spent.macs, spent.flops, spent.bytes_out,
                saved[index], live[index], seen.aligned[index], seen.states[index],
            )
        )  # fmt: skip
    return found


class Counts(NamedTuple):
    """The totals that a spec may expect; they follow from costs alone."""

    params: int
    trainable: int
    buffers: int
    macs: int
    flops: int


def counts(nodes: Sequence[Node], costs: Sequence[Cost]) -> Counts:
    """Sums over nodes; `costs` are by kind."""
    owning = [(node, costs[node.kind]) for node in nodes if node.shared is None]
    inference = [costs[node.kind] for node in nodes if not node.training]
    return Counts(
        params=sum(cost.params for _, cost in owning),
        trainable=sum(cost.params for node, cost in owning if not node.frozen),
        buffers=sum(cost.buffers for _, cost in owning),
        macs=sum(cost.macs for cost in inference),
        flops=sum(cost.flops for cost in inference),
    )


def totals(graph: Graph, counts: Counts, rows: Sequence[Row]) -> Totals:
    """The sums over all the rows of a graph."""
    inference = [row for row in rows if not row.training_only]
    used = {path for row in inference for path in (row.shared_with or row.path, row.tied_to)}
    peak = max(rows, key=lambda row: row.live_bytes)  # the first of several
    return Totals(
        **counts._asdict(),
        params_training_only=sum(row.params for row in rows if row.path not in used),
        macs_training=sum(row.macs for row in rows),
        flops_training=sum(row.flops for row in rows),
        flops_by_family=_by_family((row.family, row.flops) for row in inference),
        macs_by_family=_by_family((row.family, row.macs) for row in inference),
        weight_bytes=sum(row.weight_bytes for row in rows),
        gradient_bytes=memory.FLOAT * counts.trainable,
        saved_bytes=sum(row.bytes_saved for row in rows),
        peak_live_bytes=peak.live_bytes,
        peak_at=peak.path if peak.live_bytes else "",
        depth=_depth(graph),
        units=sum(
            node.outs[0].size
            for node in graph.steps
            if node.layer is not None and node.layer.weighted and not node.training
        ),
    )


def _depth(graph: Graph) -> int:
    """Of what evaluation runs: a layer that a network runs again counts again."""
    depths: list[int] = []
    for node in graph.steps:
        before = max((depths[edge.node] for edge in node.inputs), default=0)
        here = 0 if node.layer is None or node.training else node.layer.weighted
        depths.append(before + here)
    last = (
        edge.node
        for name, edges in graph.outputs.items()
        for edge in edges
        if name not in graph.training_outputs
    )
    return max((depths[node] for node in last), default=0)


def _by_family(counts: Iterable[tuple[str, int]]) -> dict[str, int]:
    """Summed up, the largest first, without those that count nothing."""
    found: Counter[str] = Counter()
    for family, count in counts:
        found[family] += count
    return {family: n for family, n in found.most_common() if n}
