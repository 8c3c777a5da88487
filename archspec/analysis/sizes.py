"""*Graph -> the input sizes it accepts, in words*: found by inferring shapes again at other sizes.

The weights stay what they are: a linear map behind a flattened map fixes the size, though at
another size the spec would simply expand to another network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil, lcm
from typing import TYPE_CHECKING, Any, NamedTuple

from archspec.analysis.cost import edges
from archspec.layers.base import Mismatch, TensorType

if TYPE_CHECKING:
    from archspec.analysis import Analysis
    from archspec.analysis.receptive_field import Tracked
    from archspec.expand.graph import Edge, Node
    from archspec.layers.base import Layer, Weight

WORK = 4_000_000  # ops inferred again, at most: what a second or two allow
PERIOD = 128  # sizes tried in a row, at most
FAR = 1 << 13  # an upper bound is looked for in steps of up to this many cells

MERGES = frozenset({"concat", "add", "sub", "mul", "mean", "max"})


@dataclass(frozen=True, slots=True)
class InputSize:
    """Which sizes one axis, or several alike, of an input or several may have.

    Accepted are n >= `minimum` with n % `period` in `residues`, up to `maximum` (None: any).
    `because` is the path of the node that refuses others. `together`: the axes have to be equal.
    `training`: with what is computed in training only; told where that accepts less.
    """

    inputs: tuple[str, ...]
    axes: tuple[str, ...]
    minimum: int
    maximum: int | None
    period: int
    residues: tuple[int, ...]
    because: str | None
    reason: str
    together: bool = False
    training: bool = False
    several: bool = False
    """Whether the network has other inputs, and the axes' names do not tell which are meant."""

    def __str__(self) -> str:
        names = (" = " if self.together else ", ").join(self.axes)
        whose = f"{', '.join(self.inputs)}: " if self.several else ""
        when = "in training " if self.training else ""
        why = f"; because {self.reason}" if self.reason else ""
        return f"{whose}{names}: {when}{self.accepted}{why}"

    @property
    def accepted(self) -> str:
        """The sizes in words: "multiples of 16, at least 16"."""
        if self.minimum == self.maximum:
            return f"exactly {self.minimum}"
        if self.maximum is not None:
            return f"{self.minimum} to {self.maximum}"
        least = f", at least {self.minimum}"
        if self.period == 1:
            return "any size" if self.minimum == 1 else f"any size{least}"
        return f"{self._periodic()}{least}"

    def _periodic(self) -> str:
        period, rests = self.period, self.residues
        if rests == (0,):
            return f"multiples of {period}"
        if period == 2:
            return "odd sizes"
        below = tuple(range(period - len(rests) + 1, period))
        if rests == (0, *below):
            return f"multiples of {period}, or up to {len(below)} less"
        if rests == tuple(range(len(rests))):
            return f"multiples of {period}, or up to {len(rests) - 1} more"
        return " or ".join(f"{period}·k" + (f" + {rest}" if rest else "") for rest in rests)

    def accepts(self, n: int) -> bool:
        """Whether an axis of `n` cells is accepted."""
        within = n >= self.minimum and (self.maximum is None or n <= self.maximum)
        return within and n % self.period in self.residues


Types = tuple["TensorType", ...]


class _Refusal(NamedTuple):
    node: Node
    reason: str
    layer: Layer


# what a layer gets for an input that is not given
_NOT_GIVEN: Any = None


class _WideError(Exception):
    """Too much work."""


def accepted(analysis: Analysis) -> tuple[InputSize, ...]:
    """The sizes for each spatial axis of each input; axes that are alike are told once."""
    network = _Network(analysis.graph.steps)
    found = _of_phase(analysis, network)
    if not any(node.training for node in analysis.graph.steps):
        return found
    told = {size.accepted for size in found}
    network.training = True
    more = _of_phase(analysis, network)
    return found + tuple(replace(s, training=True) for s in more if s.accepted not in told)


def _of_phase(analysis: Analysis, network: _Network) -> tuple[InputSize, ...]:
    found: list[InputSize] = []
    done: list[tuple[int, InputSize]] = []
    for variable in _variables(analysis):
        probe = _Probe(variable, network, _stride(analysis, variable))
        try:
            found.append(_like(probe, done) or _search(probe))
        except _WideError:
            continue
        done.append((probe.stride, found[-1]))
    return tuple(_merged(_coupled(found, analysis, network), analysis))


class _Network:
    """The graph, inferred again at other sizes; each distinct op on each distinct input once."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        self.training = False  # whether what is computed in training only counts
        self.work = 0
        self._nodes = nodes
        self._known: dict[object, tuple[TensorType, ...] | str] = {}  # types, or why not
        self._weights: dict[int, tuple[Weight, ...]] = {}
        self._types: dict[TensorType, TensorType] = {}
        kinds: dict[object, int] = {}
        self.inputs = [node for node in nodes if node.layer is None]
        self._steps = [
            (
                node,
                node.layer,
                kinds.setdefault((node.layer, node.ins), len(kinds)),
                _plain(edges(node)),
            )
            for node in nodes
            if node.layer is not None
        ]
        self._kept = [self._intern(node.outs) if node.layer is None else () for node in nodes]

    def refusal(self, sizes: dict[tuple[int, int], int]) -> _Refusal | None:
        """What refuses sizes, given by input node and axis; None if nothing. Raises _WideError."""
        values: list[tuple[TensorType, ...]] = list(self._kept)
        for node in self.inputs:
            shape = tuple(sizes.get((node.index, a), n) for a, n in enumerate(node.outs[0].shape))
            values[node.index] = self._intern((TensorType(shape, node.outs[0].dtype),))
        self.work += len(self._steps)
        if self.work > WORK:
            raise _WideError
        known = self._known
        for node, layer, kind, given in self._steps:
            if node.training and not self.training:
                continue
            if len(given) == 1 and (edge := given[0]) is not None:  # most, and no tuple of them
                kept = values[edge[0]][edge[1]]
                key: object = (kind, id(kept))
                outs = known.get(key)
                ins: Types = (kept,) if outs is None else ()
            else:
                ins = tuple([_NOT_GIVEN if e is None else values[e[0]][e[1]] for e in given])
                key = (kind, *map(id, ins))
                outs = known.get(key)
            if outs is None:
                outs = known[key] = self._infer(node, layer, kind, ins)
            if isinstance(outs, str):
                return _Refusal(node, outs, layer)
            values[node.index] = outs
        return None

    def _infer(
        self, node: Node, layer: Layer, kind: int, ins: Types
    ) -> tuple[TensorType, ...] | str:
        if ins == node.ins:
            return self._intern(node.outs)
        try:
            outs = layer.infer(*ins)
        except Mismatch as wrong:
            return wrong.message
        if any(n < 1 for out in outs for n in out.shape):
            return "nothing is left of its input"
        weights = self._weights_of(kind, layer, node)
        if weights and layer.weights(*ins) != weights:
            return _weights_refuse(layer, node.ins, self._source(node))
        return self._intern(outs)

    def _weights_of(self, kind: int, layer: Layer, node: Node) -> tuple[Weight, ...]:
        """Those that the network has."""
        found = self._weights.get(kind)
        if found is None:
            found = self._weights[kind] = layer.weights(*node.ins)
        return found

    def _source(self, node: Node) -> Layer | None:
        """The layer whose output comes in first, dropout and activations looked through."""
        layer = node.layer
        while node.inputs and node.layer is not None and (node.layer is layer or _same(node)):
            node = self._nodes[node.inputs[0].node]
        return node.layer

    def _intern(self, types: tuple[TensorType, ...]) -> tuple[TensorType, ...]:
        return tuple(self._types.setdefault(t, t) for t in types)


class _Variable(NamedTuple):
    """Axes that vary together: one, or several of the same free name."""

    axes: tuple[Tracked, ...]
    places: tuple[tuple[int, int], ...]
    size: int


def _variables(analysis: Analysis) -> list[_Variable]:
    nodes = {node.path: node.index for node in analysis.graph.steps if node.layer is None}
    groups: dict[object, list[Tracked]] = {}
    for axis in analysis.tracked:
        groups.setdefault(axis.name if axis.free else (axis.input, axis.axis), []).append(axis)
    return [
        _Variable(tuple(axes), tuple((nodes[a.input], a.axis) for a in axes), axes[0].extent)
        for axes in groups.values()
    ]


def _stride(analysis: Analysis, variable: _Variable) -> int:
    """After how many sizes the pattern must repeat: the strides along the axis, multiplied out."""
    wanted = {k for k, axis in enumerate(analysis.tracked) if axis in variable.axes}
    found = 1
    seen = set()
    for row in analysis.rows:
        if id(row.state) in seen:
            continue
        seen.add(id(row.state))
        for spans in row.state.axes:
            for k, span in spans:
                if k in wanted and span.s:
                    more = lcm(found, ceil(span.s / span.u))
                    found = more if more <= PERIOD else found
    return found


class _Probe:
    """Asks the network about one variable, every size once."""

    def __init__(self, variable: _Variable, network: _Network, stride: int) -> None:
        self.variable, self.stride = variable, stride
        self._network = network
        self._known: dict[int, _Refusal | None] = {}

    def __call__(self, n: int) -> _Refusal | None:
        if n not in self._known:
            self._known[n] = self._network.refusal(dict.fromkeys(self.variable.places, n))
        return self._known[n]


def _like(probe: _Probe, done: list[tuple[int, InputSize]]) -> InputSize | None:
    """What another axis accepts, if this one agrees where it matters."""
    for stride, other in done:
        if stride != probe.stride or not other.accepts(probe.variable.size):
            continue
        ends = [other.minimum, other.minimum - 1]
        if other.maximum is not None:
            ends += [other.maximum, other.maximum + 1]
        near = [probe.variable.size + step for step in (1, 2, stride // 2, stride - 1, 8 * stride)]
        tried = {n: probe(n) for n in ends + near if n > 0}
        agrees = all((why is None) == other.accepts(n) for n, why in tried.items())
        blamed = {why.node.path for why in tried.values() if why is not None}
        if agrees and (other.because in blamed or not (other.because or blamed)):
            axes = probe.variable.axes
            return replace(other, inputs=_inputs(axes), axes=tuple(axis.name for axis in axes))
    return None


def _search(probe: _Probe) -> InputSize:
    here, stride = probe.variable.size, probe.stride
    pattern = [probe(here + i) is None for i in range(stride)]
    far = here + stride * max(8, 4 * here // stride)
    if probe(here + stride) is not None or probe(far) is not None:
        return _range(probe, here)
    period = next(
        p for p in range(1, stride + 1)
        if stride % p == 0 and all(pattern[i] == pattern[i % p] for i in range(stride))
    )  # fmt: skip
    residues = tuple(sorted({(here + i) % period for i in range(period) if pattern[i]}))
    least = min(_least(probe, here + i, period) for i in range(period) if pattern[i])
    culprit = next((probe(here + i) for i in range(period) if not pattern[i]), None)
    if culprit is None and least > 1:
        culprit = probe(least - 1)
    return _told(probe.variable, least, None, period, residues, culprit)


def _least(refusal: _Probe, accepted_size: int, period: int) -> int:
    """The smallest accepted size in steps of `period` below one; accepted sizes have no gaps."""
    low, high = -((accepted_size - 1) // period), 0  # in periods from there; `high` is accepted
    while low < high:
        middle = (low + high) // 2
        if refusal(accepted_size + middle * period) is None:
            high = middle
        else:
            low = middle + 1
    return accepted_size + high * period


def _range(refusal: _Probe, here: int) -> InputSize:
    """Sizes around the one in use, where a linear map or a learned table fixes them."""
    first = _least(refusal, here, 1) if here > 1 and refusal(here - 1) is None else here
    last, step = here, 1
    while refusal(last + step) is None and step < FAR:
        last, step = last + step, 2 * step
    low, high = last, last + step  # low is accepted, high is not
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if refusal(middle) is None else (low, middle)
    return _told(refusal.variable, first, low, 1, (0,), refusal(low + 1))


def _told(
    variable: _Variable,
    least: int,
    most: int | None,
    period: int,
    residues: tuple[int, ...],
    why: _Refusal | None,
) -> InputSize:
    names = tuple(dict.fromkeys(axis.name for axis in variable.axes))
    return InputSize(
        _inputs(variable.axes), names, least, most, period, residues,
        None if why is None else why.node.path, "" if why is None else _reason(why),
    )  # fmt: skip


def _reason(why: _Refusal) -> str:
    path, layer = why.node.path, why.layer
    if why.reason.startswith("takes "):
        return f"`{path}` {why.reason}"
    if layer.op in MERGES and len(why.node.inputs) > 1:
        return f"the inputs of `{path}` differ in shape otherwise"
    if getattr(layer, "kernel", None) is not None:
        return f"the window of `{path}` does not fit otherwise"
    return f"`{path}` refuses others: {why.reason}"


def _weights_refuse(layer: Layer, ins: tuple[TensorType, ...], before: Layer | None) -> str:
    if layer.op == "linear":
        flat = before is not None and before.op in ("flatten", "reshape")
        remedy = "; put a global pool before it" if flat else ""
        return f"takes {ins[0].shape[-1]} features{remedy}"
    return f"takes {', '.join(map(str, ins))}: its weights have that size"


def _coupled(found: list[InputSize], analysis: Analysis, network: _Network) -> list[InputSize]:
    """Axes that are fixed one by one may vary together (a square that is transposed)."""
    done: list[InputSize] = []
    for name in dict.fromkeys(size.inputs for size in found):
        mine = [size for size in found if size.inputs == name]
        axes = tuple(axis for axis in analysis.tracked if (axis.input,) == name)
        fixed = len(mine) > 1 and all(
            size.minimum == size.maximum == mine[0].minimum for size in mine
        )
        if fixed and not any(size.reason.find("` takes ") >= 0 for size in mine):
            index = next(node.index for node in network.inputs if (node.path,) == name)
            joint = _Variable(axes, tuple((index, a.axis) for a in axes), mine[0].minimum)
            try:
                size = _search(_Probe(joint, network, _stride(analysis, joint)))
            except _WideError:
                size = mine[0]
            if size.minimum != size.maximum:
                mine = [replace(size, axes=tuple(a.name for a in axes), together=True)]
        done += mine
    return done


def _merged(found: list[InputSize], analysis: Analysis) -> list[InputSize]:
    """Axes that accept the same for the same reason, told once."""
    nodes = analysis.graph.steps
    owners = {n.path: n.path if n.shared is None else nodes[n.shared].path for n in nodes}
    free = {axis.name for axis in analysis.tracked if axis.free}
    several = len({axis.input for axis in analysis.tracked}) > 1
    groups: dict[tuple[object, ...], InputSize] = {}
    for size in found:
        named = several and not free.issuperset(size.axes)
        why = owners.get(size.because or "")
        key = (named, size.minimum, size.maximum, size.period, size.residues, why, size.together)
        known = groups.get(key)
        axes = size.axes if known is None else _united(known.axes, size.axes)
        inputs = size.inputs if known is None else _united(known.inputs, size.inputs)
        first = size if known is None else known
        groups[key] = replace(first, axes=axes, inputs=inputs, several=named)
    return list(groups.values())


def _inputs(axes: tuple[Tracked, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(axis.input for axis in axes))


def _united(a: tuple[str, ...], b: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(a + b))


def _same(node: Node) -> bool:
    return len(node.inputs) == 1 and node.ins[0].shape == node.outs[0].shape


def _plain(edges: Sequence[Edge | None]) -> tuple[tuple[int, int] | None, ...]:
    return tuple(None if edge is None else (edge.node, edge.output) for edge in edges)
