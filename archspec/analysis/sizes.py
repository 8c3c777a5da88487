"""Graph → the input sizes it accepts, in words: found by inferring shapes again at other sizes.

The weights stay what they are: a linear map behind a flattened map fixes the size, though at
another size the spec would simply expand to another network.

    input: [3, 32, 32]
    body: [{conv: {out: 4, kernel: 5}}, {max_pool: 2}, global_avg_pool]

    H, W: any size, at least 6; because the window of `max_pool1` does not fit otherwise
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import count
from math import ceil, lcm
from typing import TYPE_CHECKING, Any, NamedTuple

from archspec.expressions.sym import FAILURES
from archspec.layers import create
from archspec.layers.base import BadArgument, Mismatch, TensorType
from archspec.text.faults import Fault
from archspec.text.words import joined, listed

if TYPE_CHECKING:
    from archspec.analysis.receptive_field import State, Tracked
    from archspec.expand.graph import Graph, Node
    from archspec.layers.base import Layer

WORK = 4_000_000  # ops inferred again, at most: what a second or two allow
PERIOD = 1024  # sizes tried in a row, at most
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


class _Refusal(NamedTuple):
    node: Node
    reason: str


# what a layer gets for an input that is not given
_NOT_GIVEN: Any = None


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
        for axis in graph.free_axes:
            why = _fixed(axis, network)
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


def _fixed(axis: str, network: _Network) -> _Refusal | None:
    """Why a free axis can have no other size than the one in use; None: it can."""
    size = network.graph.free_axes[axis]
    own = [place for place, name in network.free.items() if name == axis]
    alike = [p for p, name in network.free.items() if network.graph.free_axes[name] == size]
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
    done: list[tuple[int, InputSize]] = []
    for variable in axes.variables():
        probe = _Probe(variable, network)
        try:
            found.append(_like(probe, done) or _search(probe))
        except _WideError:
            continue
        done.append((variable.stride, found[-1]))
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
    free: dict[str, list[Tracked]] = {}
    for axis in tracked:
        if axis.free:
            free.setdefault(axis.name, []).append(axis)
    network = _Network(graph, places)
    network.training = True

    def moved(names: Iterable[str], apart: bool) -> Moved | None:
        axes: dict[str, int] = {}
        for k, name in enumerate(names):
            if size := _another(name, free[name][0].extent, sizes, k if apart else 0):
                axes[name] = size
        there = {place: axes[axis] for place, axis in places.items() if axis in axes}
        found = network.types(there) if there else None
        return Moved({**graph.free_axes, **axes}, found) if isinstance(found, list) else None

    tries = [(tuple(free), True), (tuple(free), False), *(((name,), False) for name in free)]
    return next((found for names, apart in tries if (found := moved(names, apart))), None)


def _another(name: str, now: int, sizes: Sequence[InputSize], skip: int) -> int | None:
    """Another size of a free axis that is accepted: of several, after `skip`; or None."""
    of = [size for size in sizes if name in size.axes]
    near = (*range(now // 2 + 1, now), *range(now + 1, 2 * now + PERIOD))
    fit = [n for n in near if of and all(size.accepts(n) for size in of)]
    return fit[skip] if skip < len(fit) else next(iter(fit), None)


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
        self._states = list(dict.fromkeys(states))  # many nodes share one

    def variables(self) -> list[_Variable]:
        groups: dict[object, list[Tracked]] = {}
        for axis in self.tracked:
            groups.setdefault(axis.name if axis.free else (axis.input, axis.axis), []).append(axis)
        return [self.together(axes) for axes in groups.values()]

    def together(self, axes: Sequence[Tracked]) -> _Variable:
        """Axes of one size, as one."""
        places = tuple((self.graph.at(axis.input).index, axis.axis) for axis in axes)
        return _Variable(tuple(axes), places, axes[0].extent, self._stride(axes))

    def _stride(self, axes: Sequence[Tracked]) -> int:
        """The strides along the axes, multiplied out."""
        wanted = {k for k, axis in enumerate(self.tracked) if axis in axes}
        found = 1
        for state in self._states:
            for spans in state.axes:
                for k, span in spans:
                    if k in wanted and span.stride:
                        more = lcm(found, ceil(span.stride / span.up))
                        found = more if more <= PERIOD else found
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
        self.inputs = [node for node in graph.steps if node.layer is None]
        self._known: dict[object, Types | str] = {}  # types, or why not
        self._types: dict[TensorType, TensorType] = {}
        self._layers: dict[Layer, Layer] = {}  # those of other sizes
        self._weights = [node.weights() for node in graph.kinds]
        self._steps = [
            (node, [None if e is None else (e.node, e.output) for e in node.given])
            for node in graph.steps
            if node.layer is not None
        ]

    def refusal(self, sizes: Mapping[Place, int]) -> _Refusal | None:
        """What refuses sizes, given by input node and axis; None if nothing. Raises _WideError."""
        found = self.types(sizes)
        return found if isinstance(found, _Refusal) else None

    def types(self, sizes: Mapping[Place, int]) -> list[Types] | _Refusal:
        """What every node gives at other sizes; what refuses them. Raises _WideError."""
        values: list[Types] = [()] * len(self.graph.steps)
        for node in self.inputs:
            shape = tuple(sizes.get((node.index, a), n) for a, n in enumerate(node.outs[0].shape))
            values[node.index] = self._intern((TensorType(shape, node.outs[0].dtype),))
        self.work += len(self._steps)
        if self.work > WORK:
            raise _WideError
        running = self._running(sizes)
        for node, given in self._steps:
            if node.training and not self.training:
                continue
            ins = tuple([_NOT_GIVEN if e is None else values[e[0]][e[1]] for e in given])
            layer = running.get(node.path, node.layer)
            if isinstance(layer, str):
                return _Refusal(node, layer)
            key = (node.kind, id(layer), *map(id, ins))
            outs = self._known.get(key)
            if outs is None:
                outs = self._known[key] = self._infer(node, layer, ins)
            if isinstance(outs, str):
                return _Refusal(node, outs)
            values[node.index] = outs
        return values

    def _running(self, sizes: Mapping[Place, int]) -> dict[str, Layer | str]:
        """The layers whose arguments follow from free axes, by path; or why there is none."""
        if self.graph.running is None:
            return {}
        other = {self.free[place]: n for place, n in sizes.items() if place in self.free}
        axes = {**self.graph.free_axes, **other}
        return {path: self._layer(path, axes) for path in self.graph.running.args}

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
        return tuple(self._types.setdefault(t, t) for t in types)


# ------------------------------------------------------------------ the answers


def _like(probe: _Probe, done: list[tuple[int, InputSize]]) -> InputSize | None:
    """What another axis accepts, if this one agrees where it matters."""
    here = probe.variable
    for stride, other in done:
        if stride != here.stride or not other.accepts(here.size):
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
    for inputs in dict.fromkeys(size.inputs for size in found):
        mine = [size for size in found if size.inputs == inputs]
        ends = {end for size in mine for end in (size.minimum, size.maximum)}
        if len(mine) > 1 and len(ends) == 1 and not any("` takes " in s.reason for s in mine):
            joint = axes.together([axis for axis in axes.tracked if axis.input in inputs])
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
    groups: dict[tuple[object, ...], InputSize] = {}
    for size in found:
        named = several and not free.issuperset(size.axes)
        why = _owner(axes.graph, size.because)
        key = (named, size.minimum, size.maximum, size.period, size.residues, why, size.together)
        first = groups.get(key, replace(size, several=named))
        groups[key] = replace(
            first, axes=_united(first.axes, size.axes), inputs=_united(first.inputs, size.inputs)
        )
    return list(groups.values())


def _owner(graph: Graph, path: str | None) -> str | None:
    """The path of the node whose weights a node uses: its own, unless they are shared."""
    if path is None:
        return None
    shared = graph.at(path).shared
    return path if shared is None else graph.steps[shared].path


def _united(a: tuple[str, ...], b: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(a + b))


def _same(node: Node) -> bool:
    return len(node.inputs) == 1 and node.ins[0].shape == node.outs[0].shape
