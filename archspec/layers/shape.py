"""Axes into other axes, and parts of them: flatten, permute, slice … → tensor methods.

flatten, on [4, 8, 9]             x0.flatten(1)           [288]
permute: [1, 0], on [4, 9]        x0.permute(0, 2, 1)     [9, 4]
slice: {start: 1}, on [7, 12]     x0[:, 1:]               [6, 12]
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BeforeValidator, Field

from archspec.layers.axis import place, torch_axis
from archspec.layers.base import (
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
    along,
)
from archspec.layers.fields import Axis, Says, Size, Sizes, Whole, alone, up_to
from archspec.layers.strides import Lying, Strides, viewed


class Rearrange(Layer):
    """What ops that only move cells have in common."""

    family = "shape"


def named(free: Iterable[Arg]) -> str:
    """Free arguments as the arguments of a call in `forward`."""
    return ", ".join(a.name or "" for a in free)


# ------------------------------------------------------------------ axes into other axes


def _one_left(shape: Shape) -> Shape:
    """Refuses 0, and a second -1."""
    if 0 in shape or shape.count(-1) > 1:
        raise ValueError
    return shape


_Length = Annotated[int, Whole(-1)]
_Lengths = Annotated[tuple[_Length, ...], up_to(16)]
_Shape = Annotated[
    _Lengths,
    AfterValidator(_one_left),
    BeforeValidator(alone, json_schema_input_type=_Length | _Lengths),
    Says("a list of whole numbers of at least 1, one of them -1 where it is to be worked out"),
]


def _filled(op: str, shape: Shape, size: int, what: str) -> Shape:
    """The shape with -1 replaced. Raises Mismatch unless it has `size` elements."""
    known = math.prod(n for n in shape if n != -1)
    if -1 in shape and size % known == 0:
        return tuple(size // known if n == -1 else n for n in shape)
    if -1 in shape or known != size:
        held = f"a multiple of {known}" if -1 in shape else f"{known}"
        message = f"`shape` of `{op}` is {list(shape)}, {held} elements; {what} has {size}"
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


class Reordered(Rearrange):
    """What ops have in common that give the same elements other axes, in the same order or not."""

    view = True
    same_numbers = still_linear = True

    def reach(self, t: TensorType) -> tuple[tuple[Reach, ...], ...]:
        return (regrouped(t.shape, self.infer(t)[0].shape),)

    def lies(self, out: Shape, *given: Lying) -> Strides | None:
        return viewed(given[0], out)


class Flatten(Reordered):
    """All axes from `start` on as one: torch.flatten."""

    op = "flatten"
    target = "nn.Flatten"
    examples = (
        ({}, ((4, 8, 9),)),
        ({}, ((5,),)),
        ({"start": 1}, ((4, 8, 9),)),
        ({"start": -2}, ((4, 8, 9),)),
        ({}, ((4, 1, 1),)),
    )

    start: Axis = Field(0, description="the first axis that is joined")

    def infer(self, t: TensorType) -> tuple[TensorType, ...]:
        start = place(self.op, self.start, t, "start")
        return (t.like((*t.shape[:start], math.prod(t.shape[start:])), map=False),)

    def call(self, t: TensorType) -> Call:
        start = replace(torch_axis(self.start, "start"), default=1)
        return Call(None, forward="x0.flatten(start)", free=(start,))


class Unflatten(Reordered):
    """One axis as several: torch.nn.Unflatten."""

    op = "unflatten"
    target = "nn.Unflatten"
    bare: ClassVar[dict[type, str]] = {list: "shape", tuple: "shape"}
    examples = (
        ({"axis": 0, "shape": [4, 2, 3]}, ((24,),)),
        ({"axis": -1, "shape": [3, -1]}, ((5, 12),)),
        ({"axis": 0, "shape": [100, 1, 1]}, ((100,),)),
    )

    axis: Axis = Field(0, description="the axis that is taken apart")
    shape: _Shape = Field(description="the axes it becomes; one may be -1")

    def infer(self, t: TensorType) -> tuple[TensorType, ...]:
        axis = place(self.op, self.axis, t)
        n = t.shape[axis]
        parts = _filled(self.op, self.shape, n, f"axis {axis} of the input {t}")
        return (t.like((*t.shape[:axis], *parts, *t.shape[axis + 1 :]), map=False),)

    def reach(self, t: TensorType) -> tuple[tuple[Reach, ...], ...]:
        axis, more = place(self.op, self.axis, t), len(self.shape) - 1
        parts = self.infer(t)[0].shape[axis : axis + more + 1]
        (inside,) = regrouped((t.shape[axis],), parts)
        moved = WHOLE if inside.axis is None else Reach(inside.axis + axis, inside.window)
        before = (Reach(a) for a in range(axis))
        return ((*before, moved, *(Reach(a + more) for a in range(axis + 1, t.rank))),)

    def call(self, t: TensorType) -> Call:
        shape = Arg(tuple(self.shape), "shape")
        free = (torch_axis(self.axis, "axis"), shape)
        alone = f"torch.unflatten(x0, {place(self.op, self.axis, t) - t.rank}, shape)"
        return Call(None, forward="torch.unflatten(x0, axis, shape)", free=free, alone=alone)


class Reshape(Reordered):
    """The same elements in another shape: torch.reshape."""

    op = "reshape"
    elsewhere = ("view",)
    target = "Reshape"
    examples = (
        ({"shape": [1, 28, 28]}, ((784,),)),
        ({"shape": [6, -1]}, ((3, 4, 5),)),
        ({"shape": [12]}, ((3, 4),)),
        ({"shape": [3, 2, 2, 5]}, ((3, 4, 5),)),
        ({"shape": -1}, ((3, 4, 1),)),
    )

    shape: _Shape = Field(description="the new shape; one size may be -1")

    def infer(self, t: TensorType) -> tuple[TensorType, ...]:
        return (t.like(_filled(self.op, self.shape, t.size, f"the input {t}"), map=False),)

    def call(self, t: TensorType) -> Call:
        free = tuple(Arg(n, f"n{i}") for i, n in enumerate(self.shape))
        texts = [a.name or "" for a in free]
        if -1 not in self.shape:  # one size follows from the others
            texts[next((i for i, n in enumerate(self.shape) if n > 1), 0)] = "-1"
        forward, alone = f"x0.reshape(x0.shape[0], {named(free)})", f"x0.view({', '.join(texts)})"
        return Call(None, forward=forward, free=free, alone=alone)


class Permute(Reordered):
    """The axes in another order: torch.permute."""

    op = "permute"
    elsewhere = ("transpose",)
    target = "Permute"
    examples = (
        ({"order": [1, 0]}, ((4, 9),)),
        ({"order": [1, 2, 0]}, ((4, 8, 9),)),
        ({"order": [-1, 0, 1]}, ((4, 8, 9),)),
    )

    order: Annotated[tuple[Axis, ...], up_to(16)] = Field(
        description="for each axis of the output the axis it was"
    )

    def places(self, t: TensorType) -> tuple[int, ...]:
        """For each axis of the output the axis it was, from 0. Raises Mismatch."""
        order = tuple(a + t.rank if a < 0 else a for a in self.order)
        if sorted(order) != list(range(t.rank)):
            why = f"it names each of the {t.rank} axes of the input {t} once"
            raise self.misfit("order", why, "axes are counted from 0 behind the batch axis", "E302")
        return order

    def infer(self, t: TensorType) -> tuple[TensorType, ...]:
        return (t.like([t.shape[a] for a in self.places(t)], map=False),)

    def reach(self, t: TensorType) -> tuple[tuple[Reach, ...], ...]:
        order = self.places(t)
        return (tuple(Reach(order.index(a)) for a in range(len(order))),)

    def lies(self, out: Shape, *given: Lying) -> Strides | None:
        ((sizes, strides),) = given
        order = self.places(TensorType(sizes[1:]))
        return (strides[0], *(strides[1 + axis] for axis in order))

    def call(self, t: TensorType) -> Call:
        order = (torch_axis(a, f"a{i}") for i, a in enumerate(self.order))
        free = (Arg(0, "batch"), *order)
        return Call(None, forward=f"x0.permute({named(free)})", free=free)


# ------------------------------------------------------------------ parts of an axis


class Part(Rearrange):
    """What ops that take some cells of an axis have in common."""

    view = True

    def _indexed(self, inside: str, t: TensorType, free: tuple[Arg, ...]) -> Call:
        """An index along the axis: `x0[:, :, inside]`, `x0[..., inside]`."""
        axis: int = vars(self)["axis"]
        if axis == -1:
            ends = f"x0[..., {inside}]"
            return Call(None, forward=ends, free=free, alone=ends)
        before = ":, " * (axis % t.rank)
        forward, alone = f"x0[:, {before}{inside}]", f"x0[{before}{inside}]"
        return Call(None, forward=forward, free=free, alone=alone)


class Select(Part):
    """One place along an axis, which goes: torch.select."""

    op = "select"
    examples = (
        ({"index": 0}, ((7, 12),)),
        ({"index": -1, "axis": 1}, ((4, 8, 9),)),
        ({"index": 2, "axis": -1}, ((4, 9),)),
    )

    index: Axis = Field(description="the place; -1 is the last")
    axis: Axis = Field(0, description="the axis")

    def infer(self, t: TensorType) -> tuple[TensorType, ...]:
        axis = place(self.op, self.axis, t)
        n = t.shape[axis]
        if not -n <= self.index < n:
            raise self.misfit("index", f"axis {axis} of the input {t} has {n} cells", code="E304")
        return (t.like((*t.shape[:axis], *t.shape[axis + 1 :])),)

    def reach(self, t: TensorType) -> tuple[tuple[Reach, ...], ...]:
        axis = place(self.op, self.axis, t)
        return (tuple(WHOLE if a == axis else Reach(a - (a > axis)) for a in range(t.rank)),)

    def lies(self, out: Shape, *given: Lying) -> Strides | None:
        ((sizes, strides),) = given
        axis = 1 + place(self.op, self.axis, TensorType(sizes[1:]))
        return strides[:axis] + strides[axis + 1 :]

    def call(self, t: TensorType) -> Call:
        index = Arg(self.index, "index")
        return self._indexed("index", t, (index,))

    def module(self, t: TensorType) -> Call:
        return Call("Select", (torch_axis(self.axis), Arg(self.index)))


class Slice(Part):
    """From `start` to before `stop` in steps along an axis, as in Python."""

    op = "slice"
    examples = (
        ({"start": 1}, ((7, 12),)),
        ({"start": 1, "stop": -1, "axis": 1}, ((4, 8, 9),)),
        ({"stop": 7, "step": 2, "axis": -1}, ((4, 9),)),
        ({"start": -1, "axis": 1}, ((4, 9),)),
    )

    start: Axis | None = Field(None, description="the first cell; the first there is when left out")
    stop: Axis | None = Field(None, description="the cell before which it ends")
    step: Size = Field(1, description="every so many cells")
    axis: Axis = Field(0, description="the axis")

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

    def infer(self, t: TensorType) -> tuple[TensorType, ...]:
        return (t.resized(place(self.op, self.axis, t), self._count(t)),)

    def _count(self, t: TensorType) -> int:
        """The number of cells; worked out where it can be, so that it stays an expression."""
        cells, n = self.cells(t), t.shape[place(self.op, self.axis, t)]
        start, stop = 0 if self.start is None else self.start, n if self.stop is None else self.stop
        start, stop = start + n if start < 0 else start, stop + n if stop < 0 else stop
        plain = (cells.start, cells.stop) == (start, stop)
        return (stop - start + self.step - 1) // self.step if plain else len(cells)

    def reach(self, t: TensorType) -> tuple[tuple[Reach, ...], ...]:
        first, axis = self.cells(t).start, place(self.op, self.axis, t)
        steps = Window(stride=self.step, lo=first, hi=first)
        return (along(t.rank, {axis: Reach(axis, steps)}),)

    def lies(self, out: Shape, *given: Lying) -> Strides | None:
        ((sizes, strides),) = given
        axis = 1 + place(self.op, self.axis, TensorType(sizes[1:]))
        return (*strides[:axis], self.step * strides[axis], *strides[axis + 1 :])

    def call(self, t: TensorType) -> Call:
        left_out = {"start": None, "stop": None, "step": 1}
        given = {n: vars(self)[n] for n in left_out if vars(self)[n] != left_out[n]}
        inside = ":".join(n if n in given else "" for n in ("start", "stop"))
        inside += ":step" if "step" in given else ""
        free = tuple(Arg(value, n) for n, value in given.items())
        return self._indexed(inside, t, free)

    def module(self, t: TensorType) -> Call:
        dim = place(self.op, self.axis, t) + 1
        args = (
            Arg(dim),
            Arg(self.start),
            *self.args("stop", "step"),
        )
        return Call("Slice", args)


class Split(Rearrange):
    """Neighbouring parts along an axis: outputs `0`, `1`, … (torch.chunk, torch.split)."""

    op = "split"
    functional = True
    elsewhere = ("chunk",)
    bare: ClassVar[dict[type, str]] = {list: "sizes", tuple: "sizes"}
    view = True
    examples = (
        ({"parts": 2}, ((4, 8, 9),)),
        ({"parts": 3, "axis": -1}, ((4, 9),)),
        ({"sizes": [1, 3]}, ((4, 9),)),
    )

    parts: Size | None = Field(None, description="so many equal parts")
    sizes: Sizes | None = Field(None, description="the size of each part")
    axis: Axis = Field(0, description="the axis")

    def model_post_init(self, context: Any, /) -> None:
        super().model_post_init(context)
        count = len(self.sizes) if self.sizes is not None else self.parts or 0
        self.__dict__["gives"] = tuple(str(i) for i in range(count))

    def check(self) -> None:
        if (self.parts is None) == (self.sizes is None):
            raise BadArgument(None, "`split` needs `parts` or `sizes`, one of them", code="E209")
        if self.parts is not None and self.parts > 10_000:
            raise self.bad("parts", "it is at most 10000", code="E210")

    def cuts(self, t: TensorType) -> tuple[int, ...]:
        """The size of each part. Raises Mismatch when they do not make up the axis."""
        axis = place(self.op, self.axis, t)
        n = t.shape[axis]
        if self.sizes is not None:
            if sum(self.sizes) != n:
                raise Mismatch(
                    f"`sizes` of `split` is {list(self.sizes)}, {sum(self.sizes)} cells; axis "
                    f"{axis} of the input {t} has {n}",
                    code="E305",
                )
            return self.sizes
        what = f"cells of axis {axis} of the input {t}"
        self.expect_divisor("parts", n, what, "give `sizes`")
        parts = self.parts or 1
        return (n // parts,) * parts

    def infer(self, t: TensorType) -> tuple[TensorType, ...]:
        axis = place(self.op, self.axis, t)
        return tuple(t.resized(axis, n) for n in self.cuts(t))

    def reach(self, t: TensorType) -> tuple[tuple[Reach, ...], ...]:
        axis = place(self.op, self.axis, t)
        last = t.shape[axis] - self.cuts(t)[-1]
        hull = Window(lo=0, hi=last)  # over the parts
        return (along(t.rank, {axis: Reach(axis, hull)}),)

    def call(self, t: TensorType) -> Call:
        results = tuple(f"r[{i}]" for i in range(len(self.gives)))
        if self.sizes is None:
            parts: tuple[Arg, ...] = (Arg(self.parts, "parts"),)
            forward = "x0.chunk(parts, axis)"
        else:
            parts = tuple(Arg(n, f"n{i}") for i, n in enumerate(self.sizes))
            forward = f"torch.split(x0, [{named(parts)}], axis)"
        free = (*parts, torch_axis(self.axis, "axis"))
        return Call(None, forward=forward, free=free, results=results)
