"""*Windows of layers -> receptive fields*: which input cells each output cell reads.

A field along one axis is an interval that moves with the output cell `o`: the cells
ceil((s·o + l)/u) … floor((s·o + h)/u), whole numbers only, so composing two of them is a few
multiplications. What every output cell sees alike (a global pool, attention, the gate of a
squeeze-excitation) does not move; it is kept beside the moving, local field, never mixed with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import gcd
from typing import TYPE_CHECKING, NamedTuple

from archspec.layers.base import Window

if TYPE_CHECKING:
    from archspec.expand.graph import Graph, Node
    from archspec.layers.base import Layer, TensorType

# Beyond this a field says nothing any more, and whole numbers would grow without bound along
# a chain of strides on a map of one cell: it is then taken as "sees everything".
LARGEST = 1 << 62

AXIS_NAMES = {2: ("H", "W"), 3: ("D", "H", "W")}
# which of two axes are channels is told by the first op that treats them differently
MAP_OPS = frozenset(
    (
        "conv", "conv_transpose", "max_pool", "avg_pool", "lp_pool", "adaptive_avg_pool",
        "adaptive_max_pool", "global_avg_pool", "global_max_pool", "upsample", "batch_norm",
        "instance_norm", "group_norm",
    )
)  # fmt: skip
SEQUENCE_OPS = frozenset(
    ("linear", "lstm", "gru", "rnn", "attention", "layer_norm", "rms_norm", "sine_positions")
)


class Tracked(NamedTuple):
    """One axis of one network input that fields are followed along."""

    input: str
    axis: int
    name: str
    extent: int
    free: bool


class Span:
    """A moving interval: output cell `o` reads ceil((s·o + l)/u) … floor((s·o + h)/u).

    In lowest terms (s and u share no factor), `l` and `h` tight. `fixed`: the same at every input
    size. `grain`: the coarsest stride on the way, in input cells. Equal spans are one object.
    """

    __slots__ = ("fixed", "grain", "h", "l", "s", "u")

    def __init__(self, s: int, u: int, l: int, h: int, fixed: bool, grain: int) -> None:  # noqa: E741
        self.s, self.u, self.l, self.h, self.fixed, self.grain = s, u, l, h, fixed, grain

    def cells(self, o: int) -> tuple[int, int]:
        """First and last input cell that output cell `o` reads; those outside are padding."""
        return -((-self.s * o - self.l) // self.u), (self.s * o + self.h) // self.u


class Shift:
    """A layer's window along one axis, in lowest terms and interned; `fixed` as in Span."""

    __slots__ = ("fixed", "h", "l", "s", "u")

    def __init__(self, s: int, u: int, l: int, h: int, fixed: bool) -> None:  # noqa: E741
        self.s, self.u, self.l, self.h, self.fixed = s, u, l, h, fixed

    @property
    def point(self) -> bool:
        """Whether output cell `o` reads input cell `o` and no other."""
        return self.s == 1 and self.u == 1 and self.l == 0 and self.h == 0


# per input, per axis: the output axis that walks along it and how; None: every cell sees the axis
Walk = tuple[tuple[tuple[int, Shift] | None, ...], ...]


class State:
    """What one tensor sees: per axis the spans by tracked axis, and intervals that do not move."""

    __slots__ = ("axes", "still", "tracked")

    def __init__(
        self,
        tracked: Sequence[Tracked],
        axes: tuple[tuple[tuple[int, Span], ...], ...],
        still: tuple[tuple[int, int, int], ...],
    ) -> None:
        self.tracked, self.axes, self.still = tracked, axes, still


class Offset(NamedTuple):
    """Two paths that meet at a node and see different places along one axis."""

    axis: Tracked
    a: Span
    b: Span
    cells: int  # output cells along the axis

    @property
    def stride_differs(self) -> bool:
        return self.a.s * self.b.u != self.b.s * self.a.u

    @property
    def shift(self) -> Fraction:
        """Largest distance between the two centres, in input cells."""
        return max(abs(_centre(self.a, o) - _centre(self.b, o)) for o in (0, self.cells - 1))


@dataclass(frozen=True, slots=True)
class Field:
    """The receptive field of a node along one axis of one network input, in input cells.

    `size`, `stride`, `padding` are Distill's: output cell `o` reads nothing outside
    [stride·o - padding, stride·o - padding + size - 1], a hull over all paths and, behind an
    upsampling (fractional stride), over all phases of the output. All are None where there is no
    local path; `size` then counts the interval that every cell sees. `padding` is None as well
    where it depends on the input size and that is free; `padding_here` is it at the size in use.
    Source: Araujo, Norris, Sim, Distill 2019.
    """

    input: str
    axis: int
    name: str
    extent: int
    free: bool
    span: Span | None
    still: tuple[int, int] | None

    @property
    def local(self) -> bool:
        return self.span is not None

    @property
    def whole(self) -> bool:
        """Whether some path lets every output cell see the whole axis."""
        return self.still is not None and self.still[0] <= 0 and self.still[1] >= self.extent - 1

    @property
    def size(self) -> int | None:
        if self.span is not None:
            return -((self.span.l - self.span.h) // self.span.u) + 1
        return None if self.still is None or self.whole else self.still[1] - self.still[0] + 1

    @property
    def stride(self) -> Fraction | None:
        return None if self.span is None else Fraction(self.span.s, self.span.u)

    @property
    def padding(self) -> Fraction | None:
        if self.span is None or (self.free and not self.span.fixed):
            return None
        return self.padding_here

    @property
    def padding_here(self) -> Fraction | None:
        return None if self.span is None else Fraction(-self.span.l, self.span.u)

    @property
    def centre(self) -> Fraction | None:
        """Middle of the field of output cell 0; that of cell `o` is stride·o further."""
        return None if self.span is None else _centre(self.span, 0)

    @property
    def phases(self) -> int:
        """After how many output cells the field looks alike again; 1 without upsampling."""
        return 1 if self.span is None else self.span.u

    def cells(self, o: int) -> tuple[int, int] | None:
        """First and last input cell that output cell `o` reads locally, if any."""
        return None if self.span is None else self.span.cells(o)


class Fields:
    """The fields of a whole graph, composed node by node; every distinct step is done once."""

    def __init__(self, tracked: Sequence[Tracked]) -> None:
        self.tracked = tracked
        self._spans: dict[tuple[int, int, int, int, bool, int], Span] = {}
        self._shifts: dict[tuple[int, int, int, int, bool], Shift] = {}
        self._walks: dict[Walk, Walk] = {}
        self._composed: dict[tuple[Span, Shift], Span | None] = {}
        self._states: dict[object, State] = {}
        self._steps: dict[object, tuple[State, bool | None, tuple[Offset, ...]]] = {}

    def start(self, name: str, rank: int) -> State:
        """What a network input sees: itself, cell by cell."""
        one = self._span(1, 1, 0, 0, True, 1)
        mine = {t.axis: k for k, t in enumerate(self.tracked) if t.input == name}
        return self._state(tuple(((mine[a], one),) if a in mine else () for a in range(rank)), ())

    def walk(self, layer: Layer, ins: tuple[TensorType, ...]) -> Walk:
        """The layer's reach, normalised: equal ones are one object."""
        found = tuple(
            tuple(
                None
                if r.axis is None
                else (r.axis, self._shift(r.window, _fixed(layer, ins, r.axis, len(t.shape))))
                for r in axes
            )
            for t, axes in zip(ins, layer.reach(*ins), strict=False)
        )
        return self._walks.setdefault(found, found)

    def step(
        self,
        walk: Walk,
        states: tuple[State | None, ...],
        sizes: tuple[tuple[int, ...], ...],
        shape: tuple[int, ...],
    ) -> tuple[State, bool | None, tuple[Offset, ...]]:
        """An output's state; whether paths that meet here are aligned (None: none do); where not.

        `sizes` are the inputs' shapes and `shape` the output's.
        """
        key = (id(walk), shape, *map(id, states))
        known = self._steps.get(key)
        if known is None:
            known = self._steps[key] = self._merge(walk, states, sizes, shape)
        return known

    def moved(self, rank: int, axis: int, start: int) -> Walk:
        """Cell by cell, but along `axis` from cell `start` on."""
        here, there = self._shift(Window(), True), self._shift(Window(lo=start, hi=start), True)
        found = (tuple((a, there if a == axis else here) for a in range(rank)),)
        return self._walks.setdefault(found, found)

    def everything(
        self, states: Iterable[State | None], sizes: Iterable[tuple[int, ...]], rank: int
    ) -> State:
        """The state of an output of which each cell sees all of the inputs."""
        still: dict[int, tuple[int, int]] = {}
        for state, size in zip(states, sizes, strict=False):
            if state is None:
                continue
            _hold(still, state.still)
            for a, spans in enumerate(state.axes):
                for k, span in spans:
                    _widen(still, k, *_sweep(span, size[a]))
        return self._state(((),) * rank, _frozen(still))

    def _merge(
        self,
        walk: Walk,
        states: tuple[State | None, ...],
        sizes: tuple[tuple[int, ...], ...],
        shape: tuple[int, ...],
    ) -> tuple[State, bool | None, tuple[Offset, ...]]:
        still: dict[int, tuple[int, int]] = {}
        moving: list[dict[int, list[tuple[Span, Shift]]]] = [{} for _ in shape]
        for state, size, steps in zip(states, sizes, walk, strict=False):
            if state is not None:
                _hold(still, state.still)
                self._move(state, size, steps, moving, still)
        aligned: bool | None = None
        offsets: list[Offset] = []
        axes = []
        for n, by_axis in zip(shape, moving, strict=True):
            merged = []
            for k, parts in sorted(by_axis.items()):
                spans = [span for span, _ in parts]
                if len(parts) > 1 and all(shift.point for _, shift in parts):
                    found = _misaligned(spans)
                    aligned = (aligned is not False) and found is None
                    if found is not None:
                        offsets.append(Offset(self.tracked[k], *found, n))
                merged.append((k, self._hull(spans, n)))
            axes.append(tuple(merged))
        return self._state(tuple(axes), _frozen(still)), aligned, tuple(offsets)

    def _move(
        self,
        state: State,
        size: tuple[int, ...],
        steps: tuple[tuple[int, Shift] | None, ...],
        moving: list[dict[int, list[tuple[Span, Shift]]]],
        still: dict[int, tuple[int, int]],
    ) -> None:
        """What one input adds, to the output axis that walks along it or to what all cells see."""
        for a, spans in enumerate(state.axes):
            step = steps[a]
            if step is not None and step[1].l > step[1].h:
                continue  # of this input only the size is read
            for k, span in spans:
                composed = None if step is None else self._compose(span, step[1])
                if step is None:
                    _widen(still, k, *_sweep(span, size[a]))
                elif composed is None:
                    _widen(still, k, -LARGEST, LARGEST)
                else:
                    moving[step[0]].setdefault(k, []).append((composed, step[1]))

    def _compose(self, inner: Span, shift: Shift) -> Span | None:
        key = (inner, shift)
        if key in self._composed:
            return self._composed[key]
        s, u = inner.s * shift.s, inner.u * shift.u
        low = inner.s * shift.l + inner.l * shift.u
        high = inner.s * shift.h + inner.h * shift.u
        found: Span | None = None
        if s <= LARGEST and u <= LARGEST and low > -LARGEST and high < LARGEST:
            g = gcd(s, u)
            # cells are whole: a bound moves inwards to the next multiple of the common factor
            found = self._span(
                s // g, u // g, -(-low // g), high // g,
                inner.fixed and shift.fixed, max(inner.grain, -(-s // u)),
            )  # fmt: skip
        self._composed[key] = found
        return found

    def _hull(self, spans: list[Span], n: int) -> Span:
        first = spans[0]
        if all(span is first for span in spans):
            return first
        fixed, grain = all(span.fixed for span in spans), max(span.grain for span in spans)
        if all(span.s == first.s and span.u == first.u for span in spans):
            low, high = min(span.l for span in spans), max(span.h for span in spans)
            return self._span(first.s, first.u, low, high, fixed, grain)
        return min(
            (self._hull_along(base, spans, n, grain) for base in spans),
            key=lambda span: Fraction(span.h - span.l, span.u),
        )

    def _hull_along(self, base: Span, spans: list[Span], n: int, grain: int) -> Span:
        """The hull of spans of different strides, with the stride of one.

        Both bounds are linear in `o`, so the first and last cell decide.
        """
        s, u = base.s, base.u
        low = min(Fraction(p.s * o + p.l, p.u) * u - s * o for p in spans for o in (0, n - 1))
        high = max(Fraction(p.s * o + p.h, p.u) * u - s * o for p in spans for o in (0, n - 1))
        return self._span(
            s,
            u,
            -(-low.numerator // low.denominator),
            high.numerator // high.denominator,
            False,
            grain,
        )

    def _span(self, s: int, u: int, low: int, high: int, fixed: bool, grain: int) -> Span:
        key = (s, u, low, high, fixed, grain)
        found = self._spans.get(key)
        if found is None:
            found = self._spans[key] = Span(*key)
        return found

    def _shift(self, window: Window, fixed: bool) -> Shift:
        g = gcd(window.stride, window.up) or 1
        key = (window.stride // g, window.up // g, -(-window.lo // g), window.hi // g, fixed)
        found = self._shifts.get(key)
        if found is None:
            found = self._shifts[key] = Shift(*key)
        return found

    def _state(
        self,
        axes: tuple[tuple[tuple[int, Span], ...], ...],
        still: tuple[tuple[int, int, int], ...],
    ) -> State:
        key = (axes, still)
        found = self._states.get(key)
        if found is None:
            found = self._states[key] = State(self.tracked, axes, still)
        return found


def tracked_axes(graph: Graph, free: dict[tuple[str, int], str]) -> tuple[Tracked, ...]:
    """The axes that fields are followed along: no channels of a map, no features of a sequence.

    `free` are the names of free axes, by input and axis.
    """
    found = []
    for node in graph.steps:
        if node.layer is not None:
            continue
        shape = node.outs[0].shape
        mine = [axis for axis in range(len(shape)) if (node.path, axis) in free]
        for axis, name in _names(graph, node, mine):
            label = free.get((node.path, axis), name)
            is_free = (node.path, axis) in free
            found.append(Tracked(node.path, axis, label, shape[axis], is_free))
    return tuple(found)


def fields(state: State) -> tuple[Field, ...]:
    """What a tensor sees, per tracked axis it sees anything of."""
    local: dict[int, Span] = {}
    for spans in state.axes:
        for k, span in spans:
            local.setdefault(k, span)
    still = {k: (low, high) for k, low, high in state.still}
    return tuple(
        Field(t.input, t.axis, t.name, t.extent, t.free, local.get(k), still.get(k))
        for k, t in enumerate(state.tracked)
        if k in local or k in still
    )


def _names(graph: Graph, node: Node, free: list[int]) -> list[tuple[int, str]]:
    """The tracked axes of an input, with names; `free` are the free ones."""
    rank = len(node.outs[0].shape)
    if rank == 1:
        return [(0, "T" if node.outs[0].dtype == "int" else "features")]
    if rank > 2:
        names = AXIS_NAMES.get(rank - 1, tuple(map(str, range(1, rank))))
        return list(enumerate(names, 1))
    for op in _readers(graph, node.index):
        if op in MAP_OPS:
            return [(1, "L")]
        if op in SEQUENCE_OPS:
            return [(0, "T")]
    return [(axis, str(axis)) for axis in free or range(rank)]


def _readers(graph: Graph, index: int) -> Iterator[str]:
    """The ops that see what a node gives before anything changes its shape, in order."""
    reached, shape = {index}, graph.steps[index].outs[0].shape
    for node in graph.steps[index + 1 :]:
        if node.layer is not None and any(e.node in reached for e in node.inputs):
            yield node.layer.op
            if node.outs[0].shape == shape:
                reached.add(node.index)


def _centre(span: Span, o: int) -> Fraction:
    return Fraction(2 * span.s * o + span.l + span.h, 2 * span.u)


def _sweep(span: Span, n: int) -> tuple[int, int]:
    """First and last cell that any of `n` output cells reads."""
    return -(-span.l // span.u), (span.s * (n - 1) + span.h) // span.u


def _widen(still: dict[int, tuple[int, int]], k: int, low: int, high: int) -> None:
    known = still.get(k)
    still[k] = (low, high) if known is None else (min(low, known[0]), max(high, known[1]))


def _hold(still: dict[int, tuple[int, int]], more: tuple[tuple[int, int, int], ...]) -> None:
    for k, low, high in more:
        _widen(still, k, low, high)


def _frozen(still: dict[int, tuple[int, int]]) -> tuple[tuple[int, int, int], ...]:
    return tuple((k, *still[k]) for k in sorted(still))


def _misaligned(spans: list[Span]) -> tuple[Span, Span] | None:
    """The first two that are centred on different cells, if any.

    Causal paths, whose right edges agree, are meant to differ on the left.
    """
    first = spans[0]
    for span in spans[1:]:
        if span is first:
            continue
        same_stride = span.s == first.s and span.u == first.u
        if not same_stride or (span.l + span.h != first.l + first.h and span.h != first.h):
            return first, span
    return None


def _fixed(layer: Layer, ins: tuple[TensorType, ...], axis: int, rank: int) -> bool:
    """Whether the window is the same at every input size.

    Keras' "same" padding follows the remainder of size and stride, and for some kernels every
    remainder pads alike on the left.
    """
    if not layer.depends_on_size(*ins):
        return True
    if getattr(layer, "padding", None) != "same" or axis == 0:
        return axis == 0
    kernel = along(layer, "kernel", axis - 1, rank - 1)
    stride = along(layer, "stride", axis - 1, rank - 1) or (1 if layer.op == "conv" else kernel)
    extent = (along(layer, "dilation", axis - 1, rank - 1) or 1) * (kernel - 1) + 1
    pads = {max(0, extent - (rest or stride)) // 2 for rest in range(stride)}
    return len(pads) == 1


def along(layer: Layer | None, name: str, axis: int, axes: int) -> int:
    """A layer's argument along a spatial axis, given as one number or one per axis; 0: left out."""
    value = getattr(layer, name, None)
    if isinstance(value, (tuple, list)):
        value = value[axis] if len(value) == axes else value[0]
    return value if isinstance(value, int) else 0
