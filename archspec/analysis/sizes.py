"""Graph → the input sizes it accepts, in words: found by inferring shapes again at other sizes.

The weights stay what they are: a linear map behind a flattened map fixes the size, though at
another size the spec would simply expand to another network.

    input: [3, 32, 32]
    body: [{conv: {out: 4, kernel: 5}}, {max_pool: 2}, global_avg_pool]

    H, W: any size, at least 6; because the window of `max_pool1` does not fit otherwise
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from heapq import heapify, heappop, heappush
from itertools import chain, count
from math import ceil, lcm
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

from archspec.expressions.sym import FAILURES
from archspec.layers import create
from archspec.layers.base import BadArgument, Mismatch, TensorType
from archspec.text.faults import Fault
from archspec.text.words import joined, listed

if TYPE_CHECKING:
    from archspec.analysis.receptive_field import State, Tracked
    from archspec.expand.graph import Graph, Node
    from archspec.layers.base import Layer

K = TypeVar("K")
V = TypeVar("V")

WORK = 4_000_000  # ops inferred again, at most: what a second or two allow
FEW = 4  # axes that one is held against, which may accept the same
PERIOD = 1024  # sizes tried in a row, at most
PAIR = 2  # inputs of a product, a difference, a quotient: the first is not the second
FAR = 1 << 13  # an upper bound is looked for in steps of up to this many cells


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
            ends = f"{self.minimum} to {self.maximum}"
            return ends if self.period == 1 else f"{self._periodic()}, {ends}"
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
Place = tuple[int, int]  # index of an input's node, axis
_Change = tuple[int, "TensorType"]  # the slot of an input, and what comes in there now


class _Refusal(NamedTuple):
    node: Node
    reason: str


class _WideError(Exception):
    """Too much work."""


def accepted(
    graph: Graph, tracked: Sequence[Tracked], states: Iterable[State], free: Mapping[Place, str]
) -> tuple[InputSize, ...]:
    """The sizes for each tracked axis of each input; axes that are alike are told once.

    `states` are the receptive fields of the nodes: their strides tell after how many sizes the
    answers must repeat. `free` names the free axes.
    """
    axes, network = _Axes(graph, tracked, states), _Network(graph, free)
    found = _of_phase(axes, network)
    if not any(node.training for node in graph.steps):
        return found
    told = {size.accepted for size in found}
    network.training = True
    more = _of_phase(axes, network)
    return found + tuple(replace(s, training=True) for s in more if s.accepted not in told)


class Moved(NamedTuple):
    """The network at other sizes of its free axes: these, and what every node gives."""

    axes: dict[str, int]
    types: list[Types]


def larger(graph: Graph, free: Mapping[Place, str]) -> Moved | None:
    """About twice as long, with all that is computed in training only; None: that is refused.

    Odd sizes, each axis its own, tell the most apart; else multiples, at last all twice as long.
    """
    network = _Network(graph, free)
    network.training = True
    sizes = graph.free_axes
    odd = _each_its_own(sizes, lambda n: count(2 * n + 1, 2))
    multiples = _each_its_own(sizes, lambda n: count(2 * n, n))
    twice = {axis: 2 * n for axis, n in sizes.items()}
    for longer in (odd, multiples, twice):
        with suppress(_WideError):
            found = network.types({place: longer[axis] for place, axis in free.items()})
            if isinstance(found, list):
                return Moved(longer, found)
    return None


def _each_its_own(sizes: Mapping[str, int], row: Callable[[int], Iterator[int]]) -> dict[str, int]:
    """Of the row of its size, the first number for each axis that no other has."""
    rows = {n: row(n) for n in sizes.values()}
    found: dict[str, int] = {}
    taken: set[int] = set()
    for axis, n in sizes.items():
        found[axis] = next(m for m in rows[n] if m not in taken)
        taken.add(found[axis])
    return found


def fixed(graph: Graph, free: Mapping[Place, str]) -> list[Fault]:
    """Free axes, by their places, that can have no other size than the one in use."""
    network = _Network(graph, free)
    twice = {place: 2 * graph.free_axes[axis] for place, axis in free.items()}
    with suppress(_WideError):
        if network.refusal(twice) is None:  # then each is free, if only with the others
            return []
        found: dict[Node, dict[str, _Refusal]] = {}
        own = _grouped((axis, place) for place, axis in free.items())
        alike = _grouped((graph.free_axes[axis], place) for place, axis in free.items())
        for axis, size in graph.free_axes.items():
            why = _fixed(size, own[axis], alike[size], network)
            if why is not None:
                found.setdefault(why.node, {})[axis] = why
        return [_only(network, node, reasons) for node, reasons in found.items()]
    return []


def _only(network: _Network, node: Node, reasons: Mapping[str, _Refusal]) -> Fault:
    """One complaint about all axes that a node refuses to have another size."""
    assert node.item is not None
    sizes = {axis: network.graph.free_axes[axis] for axis in reasons}
    axes = listed(sizes)
    lengths = joined(dict.fromkeys(sizes.values()))
    message = f"the free {'axes' if len(sizes) > 1 else 'axis'} {axes} can only be {lengths}: "
    first, why = next(iter(reasons.items()))
    place = next(place for place, name in network.free.items() if name == first)
    instead = joined(f"`{n}` in place of `{{{axis}: {n}}}`" for axis, n in sizes.items())
    path = network.graph.steps[place[0]].path
    help = f"write {instead}" + _sliced(network.graph, node, sizes[first], (path, place[1]))
    return Fault("E326", message + _reason(why), node.item.key, help)


def _fixed(
    size: int, own: Sequence[Place], alike: Sequence[Place], network: _Network
) -> _Refusal | None:
    """Why a free axis can have no other size than this; None: it can.

    `own` are its places, `alike` those of all axes of the same size.
    """
    near = range(max(2, size - PERIOD), size + PERIOD + 1)  # a single cell is broadcast
    others = [n for n in (2 * size, size + 1, *near) if n != size]
    tried = (network.refusal(dict.fromkeys(places, n)) for places in (own, alike) for n in others)
    why = next(tried)
    return None if any(refused is None for refused in tried) else why


def _sliced(graph: Graph, node: Node, size: int, place: tuple[str, int]) -> str:
    """What lets a tensor of as many cells follow an axis; "" where no such tensor is to blame."""
    for edge in node.inputs:
        found = graph.steps[edge.node]
        while len(found.inputs) == 1 and size in found.outs[0].shape:
            found = graph.steps[found.inputs[0].node]
        shape = found.outs[0].shape
        if found.layer is None or found.layer.takes or size not in shape:
            continue
        axis = f", axis: {shape.index(size)}" if shape.index(size) else ""
        slice = f'slice: {{stop: "$({place[0]}.shape[{place[1]}])"{axis}}}'
        if "." in found.path:  # a block sees its own inputs, by other names
            slice = f"slice: {{stop: …{axis}}}"
        return (
            f"; or make `{found.path}` as long as the longest input, and take\nits first cells: "
            f"`{{from: {found.path.rpartition('.')[2]}, {slice}}}`"
        )
    return ""


def _of_phase(axes: _Axes, network: _Network) -> tuple[InputSize, ...]:
    found: list[InputSize] = []
    done: dict[int, deque[InputSize]] = {}  # the last few, by stride
    for variable in axes.variables():
        probe = _Probe(variable, network)
        alike = done.setdefault(variable.stride, deque(maxlen=FEW))
        try:
            found.append(_like(probe, alike) or _search(probe))
        except _WideError:
            continue
        alike.append(found[-1])
    return tuple(_merged(_coupled(found, axes, network), axes))


def elsewhere(
    graph: Graph,
    tracked: Sequence[Tracked],
    sizes: Sequence[InputSize],
    places: Mapping[Place, str],
) -> Moved | None:
    """The network, in training, at other sizes of the free axes that it accepts; None: none.

    `places` are the free axes. Each has a size of its own where the network takes that, else they
    move as one, or one alone.
    """
    extents = {axis.name: axis.extent for axis in tracked if axis.free}
    told = _grouped((name, size) for size in sizes for name in size.axes)
    fit = {name: _fitting(extent, told.get(name, ())) for name, extent in extents.items()}
    network = _Network(graph, places)
    network.training = True

    def moved(names: Iterable[str], apart: bool) -> Moved | None:
        axes = {
            name: fit[name][k if apart and k < len(fit[name]) else 0]
            for k, name in enumerate(names)
            if fit[name]
        }
        there = {place: axes[axis] for place, axis in places.items() if axis in axes}
        found = network.types(there) if there else None
        return Moved({**graph.free_axes, **axes}, found) if isinstance(found, list) else None

    tries = [(tuple(extents), True), (tuple(extents), False)]
    tries += [((name,), False) for name in extents]
    return next((found for names, apart in tries if (found := moved(names, apart))), None)


def _fitting(now: int, of: Sequence[InputSize]) -> list[int]:
    """Other sizes of a free axis that are accepted, near the one in use."""
    near = (*range(now // 2 + 1, now), *range(now + 1, 2 * now + PERIOD))
    return [n for n in near if of and all(size.accepts(n) for size in of)]


# ------------------------------------------------------------------ what is asked


class _Variable(NamedTuple):
    """Axes that vary together: one, or several of the same free name.

    `stride`: after how many sizes the answers must repeat.
    """

    axes: tuple[Tracked, ...]
    places: tuple[Place, ...]
    size: int
    stride: int

    @property
    def inputs(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(axis.input for axis in self.axes))

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(axis.name for axis in self.axes)


class _Axes:
    """The axes that are asked about."""

    def __init__(self, graph: Graph, tracked: Sequence[Tracked], states: Iterable[State]) -> None:
        self.graph, self.tracked = graph, tracked
        self._number = {axis: k for k, axis in enumerate(tracked)}
        self._of_input = _grouped((axis.input, axis) for axis in tracked)
        self._strides: list[set[int]] = [set() for _ in tracked]
        for state in dict.fromkeys(states):  # many nodes share one
            for spans in state.axes:
                for k, span in spans:
                    if span.stride:
                        self._strides[k].add(ceil(span.stride / span.up))

    def variables(self) -> list[_Variable]:
        groups = _grouped(
            (axis.name if axis.free else (axis.input, axis.axis), axis) for axis in self.tracked
        )
        return [self.together(axes) for axes in groups.values()]

    def of(self, inputs: Iterable[str]) -> list[Tracked]:
        """The axes of some inputs."""
        return [axis for name in inputs for axis in self._of_input[name]]

    def together(self, axes: Sequence[Tracked]) -> _Variable:
        """Axes of one size, as one."""
        places = tuple((self.graph.at(axis.input).index, axis.axis) for axis in axes)
        return _Variable(tuple(axes), places, axes[0].extent, self._stride(axes))

    def _stride(self, axes: Sequence[Tracked]) -> int:
        """The strides along the axes, multiplied out."""
        found = 1
        for stride in sorted({s for axis in axes for s in self._strides[self._number[axis]]}):
            more = lcm(found, stride)
            found = more if more <= PERIOD else found
        return found


def _grouped(pairs: Iterable[tuple[K, V]]) -> dict[K, list[V]]:
    """The second of each pair by the first, in order."""
    found: dict[K, list[V]] = {}
    for key, value in pairs:
        found.setdefault(key, []).append(value)
    return found


class _Probe:
    """Asks the network about one variable, every size once: what refuses it, if anything."""

    def __init__(self, variable: _Variable, network: _Network) -> None:
        self.variable = variable
        self._network = network
        self._known: dict[int, _Refusal | None] = {}

    def __call__(self, n: int) -> _Refusal | None:
        if n not in self._known:
            self._known[n] = self._network.refusal(dict.fromkeys(self.variable.places, n))
        return self._known[n]

    def accepts(self, n: int) -> bool:
        return self(n) is None

    def least(self, n: int, period: int) -> int:
        """The smallest accepted size in steps of `period` below an accepted one, without gaps."""
        sizes = range((n - 1) % period + 1, n + 1, period)
        return sizes[bisect_left(sizes, True, hi=len(sizes) - 1, key=self.accepts)]


class _Network:
    """The graph, inferred again at other sizes; each distinct op on each distinct input once."""

    def __init__(self, graph: Graph, free: Mapping[Place, str]) -> None:
        self.graph, self.free = graph, free
        self.training = False  # whether what is computed in training only counts
        self.work = 0
        self._known: dict[object, Types | str] = {}  # types, or why not
        self._types: dict[object, Any] = {}  # one object for types that are equal
        self._layers: dict[Layer, Layer] = {}  # those of other sizes
        self._weights = [node.weights() for node in graph.kinds]
        self._ins = [self._intern(node.ins) for node in graph.kinds]
        kinds = [self._intern(node.outs) for node in graph.kinds]
        self._outs = [kinds[node.kind] for node in graph.steps]
        self._takers: list[list[tuple[int, int, int]]] = [[] for _ in graph.steps]
        for node in graph.steps:
            for slot, edge in enumerate(node.given):
                if edge is not None:
                    self._takers[edge.node].append((node.index, slot, edge.output))

    def refusal(self, sizes: Mapping[Place, int]) -> _Refusal | None:
        """What refuses sizes, given by input node and axis; None if nothing. Raises _WideError."""
        found = self._moved(sizes)
        return found if isinstance(found, _Refusal) else None

    def types(self, sizes: Mapping[Place, int]) -> list[Types] | _Refusal:
        """What every node gives at other sizes; what refuses them. Raises _WideError."""
        found = self._moved(sizes)
        if isinstance(found, _Refusal):
            return found
        return [found.get(node.index, node.outs) for node in self.graph.steps]

    def _moved(self, sizes: Mapping[Place, int]) -> dict[int, Types] | _Refusal:
        """What nodes give at other sizes, by index, where it is something else than here.

        Only what a change reaches is inferred again, in the order of computation.
        """
        found: dict[int, Types] = {}
        self.work += 4 * len(sizes)
        running = self._running(sizes)
        for (index, axis), n in sizes.items():
            (kind,) = found.get(index, self._outs[index])
            found[index] = self._intern((kind.resized(axis, n),))
        changes: dict[int, list[_Change]] = {index: [] for index in running}
        left = [*changes]
        heapify(left)
        for index in [index for index, outs in found.items() if outs is not self._outs[index]]:
            self._pass_on(index, found[index], changes, left)
        while left:
            node = self.graph.steps[heappop(left)]
            own = changes[node.index]
            if node.training and not self.training:
                continue
            self.work += 1 + len(own)
            if self.work > WORK:
                raise _WideError
            layer = running.get(node.index, node.layer)
            outs = layer if isinstance(layer, str) else self._inferred(node, layer, own)
            if isinstance(outs, str):
                return _Refusal(node, outs)
            if outs is not self._outs[node.index]:
                found[node.index] = outs
                self._pass_on(node.index, outs, changes, left)
        return found

    def _pass_on(
        self, index: int, outs: Types, changes: dict[int, list[_Change]], left: list[int]
    ) -> None:
        """Adds what a node gives now to what changes for those that take it, which are left."""
        for taker, slot, output in self._takers[index]:
            if taker not in changes:
                changes[taker] = []
                heappush(left, taker)
            changes[taker].append((slot, outs[output]))

    def _inferred(self, node: Node, layer: Layer | None, changes: list[_Change]) -> Types | str:
        """The types of the outputs where some inputs are others, or why the node refuses.

        To a merge of many it is all one which of its inputs it is that becomes another.
        """
        ins = self._ins[node.kind]
        told = [(slot, id(kind)) for slot, kind in changes]
        if len(ins) > PAIR and layer is not None and layer.merges:
            told = sorted((id(ins[slot]), kind) for slot, kind in told)
        key = (node.kind, id(layer), *told)
        outs = self._known.get(key)
        if outs is None:
            given = list(ins)
            for slot, kind in changes:
                given[slot] = kind
            self.work += len(given)
            outs = self._known[key] = self._infer(node, layer, tuple(given))
        return outs

    def _running(self, sizes: Mapping[Place, int]) -> dict[int, Layer | str]:
        """The layers whose arguments follow from axes that change, by node; or why not."""
        if self.graph.running is None:
            return {}
        other = {self.free[place]: n for place, n in sizes.items() if place in self.free}
        axes = {**self.graph.free_axes, **other}
        paths = {path for axis in other for path in self.graph.running.follow.get(axis, ())}
        return {self.graph.at(path).index: self._layer(path, axes) for path in paths}

    def _layer(self, path: str, axes: Mapping[str, int]) -> Layer | str:
        assert self.graph.running is not None
        try:
            made = create(self.graph.at(path).op, self.graph.running.at(path, axes))
        except BadArgument as wrong:
            return wrong.message
        except FAILURES as wrong:
            return str(wrong)
        return self._layers.setdefault(made, made)

    def _infer(self, node: Node, layer: Layer | None, ins: Types) -> Types | str:
        """The types of the outputs, or why the node refuses."""
        assert layer is not None
        if ins == node.ins and layer is node.layer:
            return self._intern(node.outs)
        try:
            outs = layer.infer(*ins)
        except Mismatch as wrong:
            return wrong.message
        if any(n < 1 for out in outs for n in out.shape):
            return "nothing is left of its input"
        if len(outs) != len(node.outs):
            return f"it has {len(node.outs)} outputs"
        weights = self._weights[node.kind]
        if weights and layer.weights(*ins) != weights:
            return _weights_refuse(node, self._source(node))
        return self._intern(outs)

    def _source(self, node: Node) -> str:
        """The op whose output comes in first, dropout and activations looked through."""
        before = node
        while before.inputs and (before is node or _same(before)):
            before = self.graph.steps[before.inputs[0].node]
        return before.op

    def _intern(self, types: Types) -> Types:
        found = tuple([self._types.setdefault(t, t) for t in types])
        return cast("Types", self._types.setdefault(found, found))


# ------------------------------------------------------------------ the answers


def _like(probe: _Probe, done: Iterable[InputSize]) -> InputSize | None:
    """What another axis of this stride accepts, if this one agrees where it matters."""
    here, stride = probe.variable, probe.variable.stride
    for other in done:
        if not other.accepts(here.size):
            continue
        tried = [here.size + step for step in (1, 2, stride // 2, stride - 1, 8 * stride)]
        tried += [other.minimum, other.minimum - 1]
        if other.maximum is not None:
            tried += [other.maximum, other.maximum + 1]
        refusals = {n: probe(n) for n in tried if n > 0}
        agrees = all((why is None) == other.accepts(n) for n, why in refusals.items())
        blamed = {why.node.path for why in refusals.values() if why is not None}
        if agrees and (other.because in blamed or not (other.because or blamed)):
            return replace(other, inputs=here.inputs, axes=here.names)
    return None


def _search(probe: _Probe) -> InputSize:
    """The pattern of one stride from the size in use on, with its ends; or a range."""
    here, stride = probe.variable.size, probe.variable.stride
    pattern = [probe.accepts(here + i) for i in range(stride)]
    far = here + stride * max(8, 4 * here // stride)
    if not probe.accepts(here + stride) or not probe.accepts(far):
        return _range(probe)
    last = None
    if not probe.accepts(here + stride * FAR):  # a learned table ends somewhere
        rounds = range(here, here + stride * FAR + 1, stride)
        beyond = bisect_left(rounds, True, key=lambda n: not probe.accepts(n))
        last = max(n for n in range(rounds[beyond - 1], rounds[beyond]) if probe.accepts(n))
    period = next(
        p for p in range(1, stride + 1)
        if stride % p == 0 and all(pattern[i] == pattern[i % p] for i in range(stride))
    )  # fmt: skip
    residues = tuple(sorted({(here + i) % period for i in range(period) if pattern[i]}))
    least = min(probe.least(here + i, period) for i in range(period) if pattern[i])
    refused = next((here + i for i in range(period) if not pattern[i]), least - 1)
    refused = last + 1 if last is not None and period == 1 else refused
    return _told(probe, (least, last), (period, residues), probe(refused) if refused else None)


def _range(probe: _Probe) -> InputSize:
    """Sizes around the one in use, where a linear map or a learned table fixes them."""
    here = probe.variable.size
    first = probe.least(here, 1) if here > 1 and probe.accepts(here - 1) else here
    last, step = here, 1
    while probe.accepts(last + step) and step < FAR:
        last, step = last + step, 2 * step
    beyond = range(last + step)
    refused = bisect_left(beyond, True, lo=last + 1, key=lambda n: not probe.accepts(n))
    return _told(probe, (first, refused - 1), (1, (0,)), probe(refused))


def _told(
    probe: _Probe,
    ends: tuple[int, int | None],
    pattern: tuple[int, tuple[int, ...]],
    why: _Refusal | None,
) -> InputSize:
    """Sizes between `ends`, in a `pattern` of period and residues; `why` others are refused."""
    because, reason = (None, "") if why is None else (why.node.path, _reason(why))
    variable = probe.variable
    names = tuple(dict.fromkeys(variable.names))
    return InputSize(variable.inputs, names, *ends, *pattern, because, reason)


def _reason(why: _Refusal) -> str:
    path = why.node.path
    if why.reason.startswith("takes "):
        return f"`{path}` {why.reason}"
    if len(why.node.inputs) > 1 and why.node.layer is not None and why.node.layer.merges:
        return f"the inputs of `{path}` differ in shape otherwise"
    if getattr(why.node.layer, "kernel", None) is not None:
        return f"the window of `{path}` does not fit otherwise"
    return f"`{path}` refuses others: {why.reason}"


def _weights_refuse(node: Node, before: str) -> str:
    """Why a node refuses inputs for which it would have other weights."""
    if node.layer is not None and node.layer.channel_axis == -1:
        remedy = "; put a global pool before it" if before in ("flatten", "reshape") else ""
        return f"takes {node.ins[0].shape[-1]} features{remedy}"
    return f"takes {', '.join(map(str, node.ins))}: its weights have that size"


def _coupled(found: list[InputSize], axes: _Axes, network: _Network) -> list[InputSize]:
    """Axes that are fixed one by one may vary together (a square that is transposed)."""
    done: list[InputSize] = []
    for inputs, mine in _grouped((size.inputs, size) for size in found).items():
        ends = {end for size in mine for end in (size.minimum, size.maximum)}
        if len(mine) > 1 and len(ends) == 1 and not any("` takes " in s.reason for s in mine):
            joint = axes.together(axes.of(inputs))
            with suppress(_WideError):
                size = _search(_Probe(joint, network))
                if size.minimum != size.maximum:
                    mine = [replace(size, axes=joint.names, together=True)]
        done += mine
    return done


def _merged(found: list[InputSize], axes: _Axes) -> list[InputSize]:
    """Axes that accept the same for the same reason, told once."""
    free = {axis.name for axis in axes.tracked if axis.free}
    several = len({axis.input for axis in axes.tracked}) > 1

    def told(size: InputSize) -> tuple[object, ...]:
        named = several and not free.issuperset(size.axes)
        why = _owner(axes.graph, size.because)
        return named, size.minimum, size.maximum, size.period, size.residues, why, size.together

    return [
        replace(
            alike[0],
            several=bool(named),
            axes=_united(size.axes for size in alike),
            inputs=_united(size.inputs for size in alike),
        )
        for (named, *_), alike in _grouped((told(size), size) for size in found).items()
    ]


def _owner(graph: Graph, path: str | None) -> str | None:
    """The path of the node whose weights a node uses: its own, unless they are shared."""
    if path is None:
        return None
    shared = graph.at(path).shared
    return path if shared is None else graph.steps[shared].path


def _united(names: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(chain.from_iterable(names)))


def _same(node: Node) -> bool:
    return len(node.inputs) == 1 and node.ins[0].shape == node.outs[0].shape
