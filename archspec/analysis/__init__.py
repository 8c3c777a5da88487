"""*Graph -> rows*: each node's shape, weights, arithmetic, memory, receptive field; no torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from archspec import collector
from archspec.analysis.cost import Cost, Saved, cost, edges, live_bytes, size
from archspec.analysis.receptive_field import (
    Field,
    Fields,
    Offset,
    State,
    Tracked,
    Walk,
    fields,
    tracked_axes,
)
from archspec.layers.base import Kept

if TYPE_CHECKING:
    from archspec.analysis.sizes import InputSize
    from archspec.expand.graph import Graph, Node
    from archspec.language import Spec
    from archspec.layers.base import Layer, TensorType
    from archspec.text.faults import Fault

__all__ = ["Analysis", "Field", "Row", "Totals", "analyse"]

FLOAT = 4  # bytes


@dataclass(frozen=True, slots=True)
class Row:
    """What is known of one node, for one sample; bytes are of float32, int64 and bool.

    `params` are the learned numbers it owns (`trainable` of them not frozen), `buffers` the others;
    both are 0 where it runs with the weights of `shared_with`. `executions`: how often its weights
    run in training. `training_only`: under `tap: train`. `bytes_saved`: what autograd newly keeps
    for the backward pass because of this node. `live_bytes`: all tensors alive while it runs in
    inference. `aligned`: whether the paths that meet here see the same place (None: none meet).
    """

    index: int
    path: str
    op: str
    family: str
    scope: int
    outputs: tuple[TensorType, ...]
    params: int
    trainable: int
    buffers: int
    weight_bytes: int
    shared_with: str | None
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
    executed: int
    """Ops executed in inference, views and sleeping dropout included."""

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


class Meeting(NamedTuple):
    """A node in which paths meet that are not aligned."""

    node: Node
    offsets: tuple[Offset, ...]


class _Facts(NamedTuple):
    cost: Cost
    walk: Walk
    sizes: tuple[tuple[int, ...], ...]


class Analysis:
    """All that is known of a graph; every part is computed when it is first asked for, once."""

    def __init__(self, graph: Graph, spec: Spec) -> None:
        self.graph = graph
        self.spec = spec
        self.tracked: tuple[Tracked, ...] = _tracked(graph, spec)
        self._misaligned: list[Meeting] = []
        self._fields = Fields(self.tracked)
        self._facts: dict[object, _Facts] = {}

    @cached_property
    def rows(self) -> list[Row]:
        """One a node, in the order of the graph's nodes."""
        with collector.paused():
            return self._walk()

    @cached_property
    def totals(self) -> Totals:
        return _totals(self)

    @cached_property
    def warnings(self) -> list[Fault]:
        """What the field knows to be a mistake; those that the spec says are meant are left out."""
        from archspec.analysis.lint import warnings

        with collector.paused():
            return warnings(self)

    @cached_property
    def sizes(self) -> tuple[InputSize, ...]:
        """Which sizes of input the network, with the weights it has, accepts."""
        from archspec.analysis.sizes import accepted

        with collector.paused():
            return accepted(self)

    @property
    def misaligned(self) -> list[Meeting]:
        """The nodes in which paths meet that see different places, however little they differ."""
        return self._misaligned if self.rows else []

    def row(self, path: str) -> Row:
        """The row of the op at a path, or of the last op inside the item there. Raises KeyError."""
        return self.rows[self._by_path[path]]

    @cached_property
    def _by_path(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for node in self.graph.steps:
            head = node.path
            while head:
                found[head] = node.index
                head = head.rpartition(".")[0]
        return found | {node.path: node.index for node in self.graph.steps}

    def _walk(self) -> list[Row]:
        nodes = self.graph.steps
        facts, states, aligned = self._visit()
        live, saved = live_bytes(self.graph, [f.cost for f in facts]), Saved(nodes)
        executions = Counter(node.index if node.shared is None else node.shared for node in nodes)
        rows = []
        for node, found, state, meets in zip(nodes, facts, states, aligned, strict=True):
            index, layer, spent = node.index, node.layer, found.cost
            owner = index if node.shared is None else node.shared
            own = owner == index
            trainable = 0 if node.frozen else spent.params
            rows.append(
                Row(
                    index, node.path, "input" if layer is None else layer.op,
                    "input" if layer is None else layer.family, node.scope, node.outs,
                    spent.params if own else 0, trainable if own else 0,
                    spent.buffers if own else 0, spent.weight_bytes if own else 0,
                    None if own else nodes[owner].path,
                    executions[owner], node.training, spent.macs, spent.flops, spent.bytes_out,
                    saved.visit(node, spent, trainable > 0), live[index], meets, state,
                )
            )  # fmt: skip
        return rows

    def _visit(self) -> tuple[list[_Facts], list[State], list[bool | None]]:
        """Facts, the state of the first output and the alignment, by node."""
        facts: list[_Facts] = []
        states: list[tuple[State, ...]] = []
        aligned: list[bool | None] = []
        for node in self.graph.steps:
            if node.layer is None:
                facts.append(_input_facts(node))
                states.append((self._fields.start(node.path, len(node.outs[0].shape)),))
                aligned.append(None)
                continue
            found = self._facts_of(node.layer, node.ins, node.outs)
            seen, meets = self._see(node, found, states)
            facts.append(found)
            states.append(seen)
            aligned.append(meets)
        return facts, [seen[0] for seen in states], aligned

    def _facts_of(
        self, layer: Layer, ins: tuple[TensorType, ...], outs: tuple[TensorType, ...]
    ) -> _Facts:
        key = (layer, ins)
        found = self._facts.get(key)
        if found is None:
            found = self._facts[key] = _Facts(
                cost(layer, ins, outs),
                self._fields.walk(layer, ins),
                tuple(() if t is None else t.shape for t in ins),
            )
        return found

    def _see(
        self, node: Node, found: _Facts, states: list[tuple[State, ...]]
    ) -> tuple[tuple[State, ...], bool | None]:
        seen = tuple(None if e is None else _of(states[e.node], e.output) for e in edges(node))
        state, aligned, offsets = self._fields.step(
            found.walk, seen, found.sizes, node.outs[0].shape
        )
        if offsets:
            self._misaligned.append(Meeting(node, offsets))
        if len(node.outs) == 1:
            return (state,), aligned
        return (state, *self._other_outputs(node, found, seen)), aligned

    def _other_outputs(
        self, node: Node, found: _Facts, seen: tuple[State | None, ...]
    ) -> list[State]:
        """Those after the first: parts of a split are the first, moved; others see everything."""
        if node.layer is None or node.layer.op != "split":
            return [self._fields.everything(seen, found.sizes, len(t.shape)) for t in node.outs[1:]]
        rank = len(node.ins[0].shape)
        axis = int(getattr(node.layer, "axis", 0)) % rank
        states, start = [], node.outs[0].shape[axis]
        for out in node.outs[1:]:
            walk = self._fields.moved(rank, axis, start)
            states.append(self._fields.step(walk, seen, found.sizes, out.shape)[0])
            start += out.shape[axis]
        return states


def analyse(graph: Graph, spec: Spec) -> Analysis:
    """What the graph costs, sees and accepts, and what is likely a mistake in it."""
    return Analysis(graph, spec)


def _of(states: tuple[State, ...], output: int) -> State:
    return states[output if output < len(states) else 0]


def _input_facts(node: Node) -> _Facts:
    return _Facts(Cost(0, 0, 0, 0, 0, size(node.outs), Kept(), False, False), (), ())


def _tracked(graph: Graph, spec: Spec) -> tuple[Tracked, ...]:
    free = {}
    for name, declared in spec.inputs.items():
        for axis, entry in enumerate(declared.shape):
            if hasattr(entry, "name") and hasattr(entry, "size"):
                free[name, axis] = str(entry.name)
    return tracked_axes(graph, free)


def _totals(analysis: Analysis) -> Totals:
    rows = analysis.rows
    flops: Counter[str] = Counter()
    macs: Counter[str] = Counter()
    peak, peak_at = 0, ""
    for row in rows:
        if not row.training_only:
            flops[row.family] += row.flops
            macs[row.family] += row.macs
        if row.live_bytes > peak:
            peak, peak_at = row.live_bytes, row.path
    trainable = sum(row.trainable for row in rows)
    return Totals(
        params=sum(row.params for row in rows),
        trainable=trainable,
        buffers=sum(row.buffers for row in rows),
        params_training_only=_training_only(analysis),
        macs=sum(macs.values()),
        flops=sum(flops.values()),
        macs_training=sum(row.macs for row in rows),
        flops_training=sum(row.flops for row in rows),
        flops_by_family={name: n for name, n in flops.most_common() if n},
        macs_by_family={name: n for name, n in macs.most_common() if n},
        weight_bytes=sum(row.weight_bytes for row in rows),
        gradient_bytes=FLOAT * trainable,
        saved_bytes=sum(row.bytes_saved for row in rows),
        peak_live_bytes=peak,
        peak_at=peak_at,
        executed=sum(not row.training_only and row.op != "input" for row in rows),
    )


def _training_only(analysis: Analysis) -> int:
    """Parameters that no op of inference uses."""
    nodes = analysis.graph.steps
    used = {
        node.index if node.shared is None else node.shared for node in nodes if not node.training
    }
    return sum(row.params for row in analysis.rows if row.index not in used)
