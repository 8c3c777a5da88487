"""Axes into other axes, and parts of them: flatten, permute, slice … → tensor methods."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from archspec.layers.axis import place, torch_axis
from archspec.layers.base import (
    POINT,
    WHOLE,
    Arg,
    BadArgument,
    Call,
    Layer,
    Mismatch,
    Reach,
    Shape,
    TensorType,
    Window,
)
from archspec.layers.fields import (
    AXIS,
    DIM,
    Either,
    Kind,
    Many,
    Whole,
    Wrong,
    field,
)


class Rearrange(Layer):
    """What ops that only move cells have in common."""

    family: ClassVar[str] = "shape"


# ------------------------------------------------------------------ axes into other axes


class _Shape(Kind):
    """Sizes, of which one may be -1: whatever is left."""

    says = "a list of whole numbers of at least 1, one of them -1 where it is to be worked out"

    def check(self, value: Any) -> tuple[int, ...]:
        values = [value] if isinstance(value, int) and not isinstance(value, bool) else value
        found: tuple[int, ...] = Many(Whole(-1), most=16).check(values)
        if 0 in found or found.count(-1) > 1:
            raise Wrong(f"it takes {self.says}")
        return found

    def schema(self) -> dict[str, Any]:
        return Either(Whole(-1), Many(Whole(-1), most=16)).schema()


def _filled(op: str, shape: Shape, size: int, what: str) -> Shape:
    """The shape with -1 replaced. Raises Mismatch unless it has `size` elements."""
    known = math.prod(n for n in shape if n != -1)
    if -1 in shape and size % known == 0:
        return tuple(size // known if n == -1 else n for n in shape)
    if -1 in shape or known != size:
        held = f"{known} elements" if -1 not in shape else f"a multiple of {known} elements"
        message = f"`shape` of `{op}` is {list(shape)}, {held}; {what} has {size}"
        raise Mismatch(message, code="E305")
    return shape


def regrouped(before: Shape, after: Shape) -> tuple[Reach, ...]:
    """How the cells of `after` walk along the axes of `before`, the elements in the same order."""
    found: list[Reach] = []
    i = j = 0
    while i < len(before):
        first, start, left, right = i, j, before[i], after[j] if j < len(after) else 1
        i, j = i + 1, j + 1
        while left != right:
            if left < right:
                left, i = left * before[i], i + 1
            else:
                right, j = right * after[j], j + 1
        group = [a for a in range(start, min(j, len(after))) if after[a] != 1]
        inner = [a for a in range(first, i) if before[a] != 1]
        for a in range(first, i):
            found.append(_regroup(a, before[a], inner, group, after))
    return tuple(found)


def _regroup(axis: int, size: int, inner: list[int], group: list[int], after: Shape) -> Reach:
    if size == 1 or len(inner) > 1 or not group:
        return WHOLE
    if len(group) == 1:
        return Reach(group[0])
    block = math.prod(after[a] for a in group[1:])
    return Reach(group[0], Window(stride=block, lo=0, hi=block - 1))


class Flatten(Rearrange):
    """All axes from `start` on as one: torch.flatten."""

    op: ClassVar[str] = "flatten"
    view: ClassVar[bool] = True
    examples: ClassVar[Any] = (
        ({}, ((4, 8, 9),)),
        ({}, ((5,),)),
        ({"start": 1}, ((4, 8, 9),)),
        ({"start": -2}, ((4, 8, 9),)),
        ({}, ((4, 1, 1),)),
    )

    start: int = field(AXIS, default=0, doc="the first axis that is joined")

    def infer(self, *ins: TensorType) -> tuple[TensorType, ...]:
        (t,) = ins
        start = place(self.op, self.start, t, "start")
        return (t.like((*t.shape[:start], math.prod(t.shape[start:])), map=False),)

    def reach(self, *ins: TensorType) -> tuple[tuple[Reach, ...], ...]:
        return (regrouped(ins[0].shape, self.infer(*ins)[0].shape),)

    def call(self, *ins: TensorType) -> Call:
        dim = torch_axis(self.start, "start", "start")
        return Call(None, forward="x0.flatten(start)", free=(dim,))

    def module(self, *ins: TensorType) -> Call:
        dim = torch_axis(self.start, None, "start")
        return Call("nn.Flatten", (Arg(dim.of, dim.value, None, 1),))

    def axes(self, *ins: TensorType) -> tuple[tuple[str | None, ...], ...]:
        (t,) = ins
        start = self.start % t.rank
        joined = " * ".join(f"x0[{a}]" for a in range(start, t.rank))
        return ((*(f"x0[{a}]" for a in range(start)), joined),)


class Unflatten(Rearrange):
    """One axis as several: torch.nn.Unflatten."""

    op: ClassVar[str] = "unflatten"
    view: ClassVar[bool] = True
    examples: ClassVar[Any] = (
        ({"axis": 0, "shape": [4, 2, 3]}, ((24,),)),
        ({"axis": -1, "shape": [3, -1]}, ((5, 12),)),
        ({"axis": 0, "shape": [100, 1, 1]}, ((100,),)),
    )

    axis: int = field(AXIS, default=0, doc="the axis that is taken apart")
    shape: tuple[int, ...] = field(_Shape(), doc="the axes it becomes; one may be -1")

    def __init__(self, /, *args: Any, **given: Any) -> None:
        if isinstance(given.get("axis"), (list, tuple)) and "shape" not in given:
            given = {"shape": given["axis"]}  # a bare list can only be the shape
        super().__init__(*args, **given)

    def infer(self, *ins: TensorType) -> tuple[TensorType, ...]:
        (t,) = ins
        axis = place(self.op, self.axis, t)
        n = t.shape[axis]
        parts = _filled(self.op, self.shape, n, f"axis {axis} of the input {t}")
        return (t.like((*t.shape[:axis], *parts, *t.shape[axis + 1 :]), map=False),)

    def reach(self, *ins: TensorType) -> tuple[tuple[Reach, ...], ...]:
        (t,) = ins
        axis, more = place(self.op, self.axis, t), len(self.shape) - 1
        parts = self.infer(*ins)[0].shape[axis : axis + more + 1]
        (inside,) = regrouped((t.shape[axis],), parts)
        moved = WHOLE if inside.axis is None else Reach(inside.axis + axis, inside.window)
        before = (Reach(a) for a in range(axis))
        return ((*before, moved, *(Reach(a + more) for a in range(axis + 1, t.rank))),)

    def _dims(self) -> tuple[Arg, Arg]:
        dim = torch_axis(self.axis)
        of = "(" + ", ".join(f"shape[{i}]" for i in range(len(self.shape))) + ",)"
        return dim, Arg(of, self.shape)

    def call(self, *ins: TensorType) -> Call:
        dim, sizes = self._dims()
        free = (Arg(dim.of, dim.value, "axis"), Arg(sizes.of, sizes.value, "shape"))
        return Call(None, forward="torch.unflatten(x0, axis, shape)", free=free)

    def module(self, *ins: TensorType) -> Call:
        return Call("nn.Unflatten", self._dims())

    def axes(self, *ins: TensorType) -> tuple[tuple[str | None, ...], ...]:
        (t,) = ins
        axis = place(self.op, self.axis, t)
        parts = _sizes_of(self.shape, f"x0[{axis}]")
        return (
            (
                *(f"x0[{a}]" for a in range(axis)),
                *parts,
                *(f"x0[{a}]" for a in range(axis + 1, t.rank)),
            ),
        )


def _sizes_of(shape: Shape, whole: str) -> list[str | None]:
    rest = [f"shape[{i}]" for i, n in enumerate(shape) if n != -1]
    left = " // ".join([whole if " " not in whole else f"({whole})", *rest])
    return [left if n == -1 else f"shape[{i}]" for i, n in enumerate(shape)]


class Reshape(Rearrange):
    """The same elements in another shape: torch.reshape."""

    op: ClassVar[str] = "reshape"
    view: ClassVar[bool] = True
    examples: ClassVar[Any] = (
        ({"shape": [1, 28, 28]}, ((784,),)),
        ({"shape": [6, -1]}, ((3, 4, 5),)),
        ({"shape": [12]}, ((3, 4),)),
        ({"shape": [3, 2, 2, 5]}, ((3, 4, 5),)),
        ({"shape": -1}, ((3, 4, 1),)),
    )

    shape: tuple[int, ...] = field(_Shape(), doc="the new shape; one size may be -1")

    def infer(self, *ins: TensorType) -> tuple[TensorType, ...]:
        (t,) = ins
        return (t.like(_filled(self.op, self.shape, t.size, f"the input {t}"), map=False),)

    def reach(self, *ins: TensorType) -> tuple[tuple[Reach, ...], ...]:
        return (regrouped(ins[0].shape, self.infer(*ins)[0].shape),)

    def call(self, *ins: TensorType) -> Call:
        names = [f"n{i}" for i in range(len(self.shape))]
        free = tuple(Arg(f"shape[{i}]", n, names[i]) for i, n in enumerate(self.shape))
        return Call(None, forward=f"x0.reshape(x0.shape[0], {', '.join(names)})", free=free)

    def module(self, *ins: TensorType) -> Call:
        return Call("Reshape", tuple(Arg(f"shape[{i}]", n) for i, n in enumerate(self.shape)))

    def axes(self, *ins: TensorType) -> tuple[tuple[str | None, ...], ...]:
        whole = " * ".join(f"x0[{a}]" for a in range(ins[0].rank)) or "1"
        return (tuple(_sizes_of(self.shape, whole)),)


class Permute(Rearrange):
    """The axes in another order: torch.permute."""

    op: ClassVar[str] = "permute"
    view: ClassVar[bool] = True
    examples: ClassVar[Any] = (
        ({"order": [1, 0]}, ((4, 9),)),
        ({"order": [1, 2, 0]}, ((4, 8, 9),)),
        ({"order": [-1, 0, 1]}, ((4, 8, 9),)),
    )

    order: tuple[int, ...] = field(
        Many(AXIS, most=16), doc="for each axis of the output the axis it was"
    )

    def places(self, t: TensorType) -> tuple[int, ...]:
        """For each axis of the output the axis it was, from 0. Raises Mismatch."""
        order = tuple(a + t.rank if a < 0 else a for a in self.order)
        if sorted(order) != list(range(t.rank)):
            message = (
                f"`order` of `permute` is {list(self.order)}; it names each of the {t.rank} "
                f"axes of the input {t} once"
            )
            raise Mismatch(message, "axes are counted from 0 behind the batch axis", "E302")
        return order

    def infer(self, *ins: TensorType) -> tuple[TensorType, ...]:
        (t,) = ins
        return (t.like([t.shape[a] for a in self.places(t)], map=False),)

    def reach(self, *ins: TensorType) -> tuple[tuple[Reach, ...], ...]:
        order = self.places(ins[0])
        return (tuple(Reach(order.index(a)) for a in range(len(order))),)

    def _order(self) -> list[Arg]:
        return [torch_axis(a, f"a{i}", f"order[{i}]") for i, a in enumerate(self.order)]

    def call(self, *ins: TensorType) -> Call:
        free = tuple(self._order())
        names = ", ".join(f"a{i}" for i in range(len(free)))
        return Call(None, forward=f"x0.permute(0, {names})", free=free)

    def module(self, *ins: TensorType) -> Call:
        return Call("Permute", (Arg("0", 0), *(Arg(a.of, a.value) for a in self._order())))

    def axes(self, *ins: TensorType) -> tuple[tuple[str | None, ...], ...]:
        return (tuple(f"x0[{a}]" for a in self.places(ins[0])),)


# ------------------------------------------------------------------ parts of an axis


def _indexed(axis: int, inside: str, name: str = "x0") -> str:
    """An index along one axis of the spec: `x0[:, :, inside]`, `x0[..., inside]`."""
    if axis == -1:
        return f"{name}[..., {inside}]"
    return f"{name}[{':, ' * (axis + 1)}{inside}]"


class Select(Rearrange):
    """One place along an axis, which goes: torch.select."""

    op: ClassVar[str] = "select"
    view: ClassVar[bool] = True
    examples: ClassVar[Any] = (
        ({"index": 0}, ((7, 12),)),
        ({"index": -1, "axis": 1}, ((4, 8, 9),)),
        ({"index": 2, "axis": -1}, ((4, 9),)),
    )

    index: int = field(AXIS, doc="the place; -1 is the last")
    axis: int = field(AXIS, default=0, doc="the axis")

    def infer(self, *ins: TensorType) -> tuple[TensorType, ...]:
        (t,) = ins
        axis = place(self.op, self.axis, t)
        n = t.shape[axis]
        if not -n <= self.index < n:
            message = (
                f"`index` of `select` is {self.index}; axis {axis} of the input {t} has {n} cells"
            )
            raise Mismatch(message, code="E304")
        return (t.like((*t.shape[:axis], *t.shape[axis + 1 :])),)

    def reach(self, *ins: TensorType) -> tuple[tuple[Reach, ...], ...]:
        (t,) = ins
        axis = place(self.op, self.axis, t)
        return (tuple(WHOLE if a == axis else Reach(a - (a > axis)) for a in range(t.rank)),)

    def call(self, *ins: TensorType) -> Call:
        free = Arg("index", self.index, "index")
        axis = self.axis if self.axis >= -1 else self.axis % ins[0].rank
        return Call(None, forward=_indexed(axis, "index"), free=(free,))

    def module(self, *ins: TensorType) -> Call:
        return Call("Select", (torch_axis(self.axis), Arg("index", self.index)))

    def axes(self, *ins: TensorType) -> tuple[tuple[str | None, ...], ...]:
        axis = place(self.op, self.axis, ins[0])
        return (tuple(f"x0[{a}]" for a in range(ins[0].rank) if a != axis),)


class Slice(Rearrange):
    """From `start` to before `stop` in steps along an axis, as in Python."""

    op: ClassVar[str] = "slice"
    view: ClassVar[bool] = True
    examples: ClassVar[Any] = (
        ({"start": 1}, ((7, 12),)),
        ({"start": 1, "stop": -1, "axis": 1}, ((4, 8, 9),)),
        ({"stop": 7, "step": 2, "axis": -1}, ((4, 9),)),
        ({"start": -1, "axis": 1}, ((4, 9),)),
    )

    start: int | None = field(
        AXIS, default=None, doc="the first cell; the first there is when left out"
    )
    stop: int | None = field(AXIS, default=None, doc="the cell before which it ends")
    step: int = field(DIM, default=1, doc="every so many cells")
    axis: int = field(AXIS, default=0, doc="the axis")

    def check(self) -> None:
        if self.start is None and self.stop is None and self.step == 1:
            raise BadArgument(None, "`slice` needs `start`, `stop` or `step`", code="E209")

    def cells(self, t: TensorType) -> range:
        """The cells that are taken along the axis. Raises Mismatch when there are none."""
        axis = place(self.op, self.axis, t)
        n = t.shape[axis]
        found = range(n)[self.start : self.stop : self.step]
        if not found:
            shown = ":".join("" if n is None else str(n) for n in (self.start, self.stop))
            message = (
                f"`slice` takes {shown} of axis {axis} of the input {t}, {n} cells; nothing is left"
            )
            raise Mismatch(message, code="E304")
        return found

    def infer(self, *ins: TensorType) -> tuple[TensorType, ...]:
        (t,) = ins
        count, axis = self._count(t), place(self.op, self.axis, t)
        return (t.like((*t.shape[:axis], count, *t.shape[axis + 1 :])),)

    def _count(self, t: TensorType) -> int:
        """The number of cells; by subtraction where it can be, so that it stays an expression."""
        cells, n = self.cells(t), t.shape[place(self.op, self.axis, t)]
        start, stop = 0 if self.start is None else self.start, n if self.stop is None else self.stop
        start, stop = start + n if start < 0 else start, stop + n if stop < 0 else stop
        plain = self.step == 1 and (cells.start, cells.stop) == (start, stop)
        return stop - start if plain else len(cells)

    def reach(self, *ins: TensorType) -> tuple[tuple[Reach, ...], ...]:
        (t,) = ins
        first, axis = self.cells(t).start, place(self.op, self.axis, t)
        along = Window(stride=self.step, lo=first, hi=first)
        return (tuple(Reach(a, along if a == axis else POINT) for a in range(t.rank)),)

    def call(self, *ins: TensorType) -> Call:
        given = [n for n in ("start", "stop") if getattr(self, n) is not None]
        inside = ("start" if "start" in given else "") + ":" + ("stop" if "stop" in given else "")
        if self.step != 1:
            inside += ":step"
            given.append("step")
        free = tuple(Arg(n, getattr(self, n), n) for n in given)
        axis = self.axis if self.axis >= -1 else self.axis % ins[0].rank
        return Call(None, forward=_indexed(axis, inside), free=free)

    def module(self, *ins: TensorType) -> Call:
        dim = place(self.op, self.axis, ins[0]) + 1
        args = (
            Arg("axis + 1" if self.axis >= 0 else repr(dim), dim),
            Arg("start", self.start),
            Arg("stop", self.stop, "stop", None),
            Arg("step", self.step, "step", 1),
        )
        return Call("Slice", args)


class Split(Rearrange):
    """Neighbouring parts along an axis: outputs `0`, `1`, … (torch.chunk, torch.split)."""

    op: ClassVar[str] = "split"
    view: ClassVar[bool] = True
    examples: ClassVar[Any] = (
        ({"parts": 2}, ((4, 8, 9),)),
        ({"parts": 3, "axis": -1}, ((4, 9),)),
        ({"sizes": [1, 3]}, ((4, 9),)),
    )

    parts: int | None = field(DIM, default=None, doc="so many equal parts")
    sizes: tuple[int, ...] | None = field(Many(DIM), default=None, doc="the size of each part")
    axis: int = field(AXIS, default=0, doc="the axis")

    def __init__(self, /, *args: Any, **given: Any) -> None:
        if isinstance(given.get("parts"), (list, tuple)) and "sizes" not in given:
            given["sizes"] = given.pop("parts")  # a bare list can only be the sizes
        super().__init__(*args, **given)
        count = len(self.sizes) if self.sizes is not None else self.parts or 0
        self.__dict__["gives"] = tuple(str(i) for i in range(count))

    def check(self) -> None:
        if (self.parts is None) == (self.sizes is None):
            raise BadArgument(None, "`split` needs `parts` or `sizes`, one of them", code="E209")
        if self.parts is not None and self.parts > 10_000:
            raise BadArgument("parts", f"`parts` of `split` is {self.parts}; it is at most 10000")

    def cuts(self, t: TensorType) -> tuple[int, ...]:
        """The size of each part. Raises Mismatch when they do not make up the axis."""
        axis = place(self.op, self.axis, t)
        n = t.shape[axis]
        if self.sizes is not None:
            if sum(self.sizes) != n:
                message = (
                    f"`sizes` of `split` is {list(self.sizes)}, {sum(self.sizes)} cells; axis "
                    f"{axis} of the input {t} has {n}"
                )
                raise Mismatch(message, code="E305")
            return self.sizes
        parts = self.parts or 1
        if n % parts:
            message = (
                f"`parts` of `split` is {parts}; it does not divide the {n} cells of axis "
                f"{axis} of the input {t}"
            )
            raise Mismatch(message, "give `sizes`", "E305")
        return (n // parts,) * parts

    def infer(self, *ins: TensorType) -> tuple[TensorType, ...]:
        (t,) = ins
        axis = place(self.op, self.axis, t)
        return tuple(t.like((*t.shape[:axis], n, *t.shape[axis + 1 :])) for n in self.cuts(t))

    def reach(self, *ins: TensorType) -> tuple[tuple[Reach, ...], ...]:
        (t,) = ins
        axis = place(self.op, self.axis, t)
        last = t.shape[axis] - self.cuts(t)[-1]
        along = Window(lo=0, hi=last)  # the hull over the parts
        return (tuple(Reach(a, along if a == axis else POINT) for a in range(t.rank)),)

    def call(self, *ins: TensorType) -> Call:
        results = tuple(f"r[{i}]" for i in range(len(self.gives)))
        dim = torch_axis(self.axis, "axis")
        if self.sizes is None:
            free = (Arg("parts", self.parts, "parts"), dim)
            return Call(None, forward="x0.chunk(parts, axis)", free=free, results=results)
        parts = tuple(Arg(f"sizes[{i}]", n, f"n{i}") for i, n in enumerate(self.sizes))
        listed = ", ".join(a.name or "" for a in parts)
        forward = f"torch.split(x0, [{listed}], axis)"
        return Call(None, forward=forward, free=(*parts, dim), results=results)

    def module(self, *ins: TensorType) -> Call:
        return Call(None)

    def axes(self, *ins: TensorType) -> tuple[tuple[str | None, ...], ...]:
        (t,) = ins
        axis = place(self.op, self.axis, t)
        cut = [
            f"x0[{axis}] // parts" if self.sizes is None else f"sizes[{i}]"
            for i in range(len(self.gives))
        ]
        return tuple(tuple(c if a == axis else f"x0[{a}]" for a in range(t.rank)) for c in cut)
