"""Graph → receptive fields: which cells of the network's input each output cell of a node sees.

One pass in the order of computation. A tensor's State says, for each of its axes, which span of the
input moves along with it (spans.py). What every output cell sees alike (a global pool, attention,
the gate of a squeeze-excitation) does not move; it is kept beside the moving, local field, never
mixed with it:

    input: [3, 32, 32]
    body:
      - {conv: {out: 8, kernel: 3}}    H: size 3, stride 1
      - {max_pool: 2}                  H: size 4, stride 2
      - global_avg_pool                H: the whole axis, and nothing that moves
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

from archspec.analysis.spans import CELL, HERE, LARGEST, Shift, Span, apart, hull

if TYPE_CHECKING:
    from archspec.expand.graph import Graph, Node
    from archspec.layers.base import Layer, Shape


class Tracked(NamedTuple):
    """One axis of one network input that fields are followed along."""

    input: str
    axis: int
    name: str
    extent: int
    free: bool


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """What one tensor sees: per axis the spans by tracked axis, and intervals that do not move."""

    tracked: Sequence[Tracked]
    axes: tuple[tuple[tuple[int, Span], ...], ...]
    still: tuple[tuple[int, int, int], ...]


class Offset(NamedTuple):
    """Two paths that meet at a node and see different places along one axis."""

    axis: Tracked
    a: Span
    b: Span
    cells: int  # output cells along the axis

    @property
    def shift(self) -> Fraction:
        """Largest distance between the two centres, in input cells."""
        return max(abs(self.a.centre(o) - self.b.centre(o)) for o in (0, self.cells - 1))


class Meeting(NamedTuple):
    """A node in which paths meet that are not aligned."""

    node: Node
    offsets: tuple[Offset, ...]


@dataclass(frozen=True, slots=True)
class Field:
    """The receptive field of a node along one axis of one network input, in input cells.

    `size`, `stride`, `padding` are Distill's: output cell `o` reads nothing outside
    [stride·o - padding, stride·o - padding + size - 1], a hull over all paths and, behind an
    upsampling (fractional stride), over all phases of the output. All are None where there is no
    local path; `size` then counts the interval that every cell sees. `padding` is None as well
    where it depends on the input size and that is free; `padding_here` is it at the size in use.
    A cell outside of the input is padding: nothing of the input, or the cell that padding mirrors
    there; where the field `wraps` (circular padding, `roll`), the cell so far from the other end.
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
            return -((self.span.lo - self.span.hi) // self.span.up) + 1
        return None if self.still is None or self.whole else self.still[1] - self.still[0] + 1

    @property
    def stride(self) -> Fraction | None:
        return None if self.span is None else Fraction(self.span.stride, self.span.up)

    @property
    def padding(self) -> Fraction | None:
        if self.span is None or (self.free and not self.span.fixed):
            return None
        return self.padding_here

    @property
    def padding_here(self) -> Fraction | None:
        return None if self.span is None else Fraction(-self.span.lo, self.span.up)

    @property
    def wraps(self) -> bool:
        """Whether the axis goes on at its other end."""
        return self.span is not None and self.span.around

    @property
    def centre(self) -> Fraction | None:
        """Middle of the field of output cell 0; that of cell `o` is stride·o further."""
        return None if self.span is None else self.span.centre(0)

    @property
    def phases(self) -> int:
        """After how many output cells the field looks alike again; 1 without upsampling."""
        return 1 if self.span is None else self.span.up

    def cells(self, o: int) -> tuple[int, int] | None:
        """First and last input cell that output cell `o` reads locally, if any."""
        return None if self.span is None else self.span.cells(o)


def fields(state: State) -> tuple[Field, ...]:
    """What a tensor sees, per tracked axis it sees anything of."""
    local: dict[int, Span] = {}
    for spans in state.axes:
        for k, span in spans:
            local.setdefault(k, span)
    still = {k: (low, high) for k, low, high in state.still}
    return tuple(
        Field(*t, local.get(k), still.get(k))
        for k, t in enumerate(state.tracked)
        if k in local or k in still
    )


class Seen(NamedTuple):
    """What the pass finds, by node in order.

    `states` are of the first output. `aligned`: whether the paths that meet in a node see the same
    place (None: none meet); `misaligned` are those that do not, however little they differ.
    """

    states: list[State]
    aligned: list[bool | None]
    misaligned: list[Meeting]


def see(graph: Graph, tracked: Sequence[Tracked]) -> Seen:
    """The pass."""
    steps = _Steps(graph, tracked)
    states: list[tuple[State, ...]] = []
    aligned: list[bool | None] = []
    misaligned: list[Meeting] = []
    for node in graph.steps:
        given = tuple([None if e is None else states[e.node][e.output] for e in node.given])
        found = steps.start(node) if node.layer is None else steps.step(node, given)
        states.append(found.states)
        aligned.append(found.aligned)
        if found.offsets:
            misaligned.append(Meeting(node, found.offsets))
    return Seen([outs[0] for outs in states], aligned, misaligned)


class _Step(NamedTuple):
    """What becomes of the states that enter a node: a state for each output."""

    states: tuple[State, ...]
    aligned: bool | None = None
    offsets: tuple[Offset, ...] = ()


Given = tuple[State | None, ...]
# per input, per axis: the output axis that walks along it and how; None: every cell sees the axis
Walk = tuple[tuple[tuple[int, Shift] | None, ...], ...]
Moving = dict[tuple[int, int], list[tuple[Span, Shift]]]  # by output axis and tracked axis
Still = dict[int, tuple[int, int]]  # by tracked axis


class _Steps:
    """Takes the states that enter a node to those that leave it."""

    def __init__(self, graph: Graph, tracked: Sequence[Tracked]) -> None:
        self._tracked = tracked
        self._own: dict[str, list[int]] = {}  # by input: which of the tracked axes are its
        for k, axis in enumerate(tracked):
            self._own.setdefault(axis.input, []).append(k)
        self._walks = [walk_of(node) for node in graph.kinds]
        self._through = [
            walk == moved(len(node.outs[0].shape), 0, 0) and len(node.outs) == 1
            for node, walk in zip(graph.kinds, self._walks, strict=True)
        ]

    def start(self, node: Node) -> _Step:
        """What a network input sees: itself, cell by cell."""
        mine = {self._tracked[k].axis: ((k, CELL),) for k in self._own.get(node.path, ())}
        axes = tuple(mine.get(axis, ()) for axis in range(len(node.outs[0].shape)))
        return _Step((State(self._tracked, axes, ()),))

    def step(self, node: Node, given: Given) -> _Step:
        """`given` are the states of the inputs, None for one that is not given."""
        if self._through[node.kind] and given[0] is not None:  # cell by cell: most nodes
            return _Step((given[0],))
        first = self._merged(node, given, self._walks[node.kind], node.outs[0].shape)
        if len(node.outs) == 1:
            return first
        return first._replace(states=(*first.states, *self._others(node, given)))

    def _others(self, node: Node, given: Given) -> list[State]:
        """Of outputs after the first: parts of a split are the first, moved; others see it all."""
        if node.op != "split":
            return [self._everything(node, given, len(out.shape)) for out in node.outs[1:]]
        rank = len(node.ins[0].shape)
        axis = int(getattr(node.layer, "axis", 0)) % rank
        states: list[State] = []
        start = node.outs[0].shape[axis]
        for out in node.outs[1:]:
            states += self._merged(node, given, moved(rank, axis, start), out.shape).states
            start += out.shape[axis]
        return states

    def _everything(self, node: Node, given: Given, rank: int) -> State:
        """The state of an output of which each cell sees all of the inputs."""
        whole: Walk = tuple((None,) * len(state.axes) if state else () for state in given)
        _, still = _moves(node, given, whole)
        return State(self._tracked, ((),) * rank, _sorted(still))

    def _merged(self, node: Node, given: Given, walk: Walk, shape: Shape) -> _Step:
        """The step to one output, of a shape."""
        moving, still = _moves(node, given, walk)
        spans: list[list[tuple[int, Span]]] = [[] for _ in shape]
        aligned: bool | None = None
        offsets: list[Offset] = []
        for (axis, k), parts in sorted(moving.items()):
            found = [span for span, _ in parts]
            if len(parts) > 1 and all(shift.point for _, shift in parts):
                pair = apart(found)
                aligned = aligned is not False and pair is None
                if pair is not None:
                    offsets.append(Offset(self._tracked[k], *pair, shape[axis]))
            spans[axis].append((k, hull(found, shape[axis])))
        state = State(self._tracked, tuple(map(tuple, spans)), _sorted(still))
        return _Step((state,), aligned, tuple(offsets))


def _moves(node: Node, given: Given, walk: Walk) -> tuple[Moving, Still]:
    """What walks along with each axis of an output, and what all its cells see."""
    moving: Moving = {}
    still: Still = {}
    for state, kind, steps in zip(given, node.ins, walk, strict=False):
        if state is None:
            continue
        for k, low, high in state.still:
            _widen(still, k, low, high)
        for spans, n, step in zip(state.axes, kind.shape, steps, strict=True):
            for k, span in spans:
                if step is None:
                    ends = span.cells(0)[0], span.cells(n - 1)[1]
                    _widen(still, k, *((-LARGEST, LARGEST) if span.around else ends))
                    continue
                axis, shift = step
                if shift.empty:
                    continue
                found = span.behind(shift)
                if found is None:
                    _widen(still, k, -LARGEST, LARGEST)
                else:
                    moving.setdefault((axis, k), []).append((found, shift))
    return moving, still


def _widen(still: Still, k: int, low: int, high: int) -> None:
    known = still.get(k, (low, high))
    still[k] = (min(low, known[0]), max(high, known[1]))


def _sorted(still: Still) -> tuple[tuple[int, int, int], ...]:
    return tuple((k, *still[k]) for k in sorted(still))


# ------------------------------------------------------------------ how a layer walks


def walk_of(node: Node) -> Walk:
    """How the first output of a layer walks along its inputs."""
    layer = node.layer
    if layer is None:
        return ()
    sized = layer.depends_on_size(*node.ins)
    return tuple(
        tuple(
            None
            if reach.axis is None
            else (
                reach.axis,
                Shift.of(reach.window, fixed=not sized or _fixed(layer, reach.axis, len(t.shape))),
            )
            for reach in axes
        )
        for t, axes in zip(node.ins, layer.reach(*node.ins), strict=False)
    )


def moved(rank: int, axis: int, start: int) -> Walk:
    """Cell by cell, but along `axis` from cell `start` on."""
    there = Shift(1, 1, start, start, True)
    return (tuple((a, there if a == axis else HERE) for a in range(rank)),)


def _fixed(layer: Layer, axis: int, rank: int) -> bool:
    """Whether the window of a layer that depends on sizes is the same at every input size.

    Keras' "same" padding follows the remainder of size and stride, and for some kernels every
    remainder pads alike on the left.
    """
    if getattr(layer, "padding", None) != "same" or axis == 0:
        return axis == 0
    kernel, stride, dilation = window(layer, axis - 1, rank - 1)
    pads = {max(0, dilation * (kernel - 1) + 1 - (rest or stride)) // 2 for rest in range(stride)}
    return len(pads) == 1


def window(layer: Layer | None, axis: int, axes: int) -> tuple[int, int, int]:
    """Kernel, stride and dilation along one of `axes` spatial axes; kernel 0 where there is none.

    A pool whose stride is left out moves by its kernel.
    """
    kernel, stride, dilation = (along(layer, name, axis, axes) for name in _WINDOW)
    return kernel, stride or kernel, dilation or 1


_WINDOW = ("kernel", "stride", "dilation")


def along(layer: Layer | None, name: str, axis: int, axes: int) -> int:
    """A layer's argument along a spatial axis, given as one number or one per axis; 0: left out."""
    value = getattr(layer, name, None)
    if isinstance(value, (tuple, list)):
        value = value[axis] if len(value) == axes else value[0]
    return value if isinstance(value, int) else 0
