"""Cells taken from places, put into new axes, repeated → tensor methods and functions.

flip: 1, on [4, 8, 9]                   x0.flip(2)                          [4, 8, 9]
stack, on [4, 9] and [4, 9]             torch.stack([x0, x1], 1)            [2, 4, 9]
expand: [-1, 8, -1], on [4, 1, 9]       x0.expand(-1, -1, 8, -1)            [4, 8, 9]
gather, on [4, 9] and whole numbers [7] the cells of axis 0 that they say   [7, 9]
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from archspec.layers.axis import place, torch_axis
from archspec.layers.base import (
    WHOLE,
    Arg,
    Call,
    Kept,
    Layer,
    Mismatch,
    Reach,
    Shape,
    TensorType,
    along,
)
from archspec.layers.fields import Axes, Axis, Says, Size, Whole, up_to
from archspec.layers.shape import Rearrange, named
from archspec.layers.strides import Lying, Strides, concatenated, viewed
from archspec.layers.window import expect_dtype
from archspec.text.words import joined


class Flip(Rearrange):
    """The cells of an axis, or of several, from the last to the first: torch.flip."""

    op = "flip"
    cellwise = True
    target = "Flip"
    functional = True
    same_numbers = True
    examples = (({"axis": -1}, ((4, 9),)), ({"axis": [0, 2]}, ((4, 8, 9),)))

    axis: Axis | Axes = Field(description="the axis or axes that are turned round")

    def places(self, t: TensorType) -> tuple[int, ...]:
        """The axes from 0. Raises Mismatch."""
        given = (self.axis,) if isinstance(self.axis, int) else self.axis
        return tuple(place(self.op, axis, t) for axis in given)

    def infer(self, t: TensorType) -> tuple[TensorType, ...]:
        if len(set(self.places(t))) < len(self.places(t)):
            raise self.misfit("axis", f"it names an axis of the input {t} twice", code="E302")
        return (t,)

    def reach(self, t: TensorType) -> tuple[tuple[Reach, ...], ...]:
        return (along(t.rank, dict.fromkeys(self.places(t), WHOLE)),)

    def call(self, t: TensorType) -> Call:
        given = (self.axis,) if isinstance(self.axis, int) else self.axis
        free = tuple(torch_axis(axis, f"axis{i}") for i, axis in enumerate(given))
        return Call(None, forward=f"x0.flip({named(free)})", free=free)


class Stack(Layer):
    """Inputs of one shape side by side along a new axis: torch.stack."""

    op = "stack"
    family = "merge"
    merges = functional = ordered = True
    takes = ("*",)
    examples = (
        ({}, ((4, 9), (4, 9))),
        ({"axis": -1}, ((4,), (4,), (4,))),
        ({"axis": 1}, ((4, 8, 9), (4, 8, 9))),
    )

    axis: Axis = Field(0, description="the place of the new axis")

    def place(self, t: TensorType) -> int:
        """The place of the new axis, from 0. Raises Mismatch."""
        return place(self.op, self.axis, t.like((*t.shape, 1)))

    def infer(self, *ins: TensorType) -> tuple[TensorType, ...]:
        first = ins[0]
        if any((t.shape, t.dtype) != (first.shape, first.dtype) for t in ins):
            message = f"`stack` takes inputs of one shape and dtype; they are {joined(ins)}"
            raise Mismatch(message, "`concat` joins them along an axis that they have", "E203")
        axis = self.place(first)
        shape = (*first.shape[:axis], len(ins), *first.shape[axis:])
        return (TensorType(shape, first.dtype, map=False),)

    def reach(self, *ins: TensorType) -> tuple[tuple[Reach, ...], ...]:
        axis = self.place(ins[0])
        return tuple(tuple(Reach(a + (a >= axis)) for a in range(t.rank)) for t in ins)

    def lies(self, out: Shape, *given: Lying) -> Strides | None:
        """As torch does it: one behind the other along the axis behind, then that in two."""
        sizes = given[0][0]
        axis = 1 + self.place(TensorType(sizes[1:]))
        if axis < len(sizes):
            joined = (*sizes[:axis], len(given) * sizes[axis], *sizes[axis + 1 :])
            return viewed((joined, concatenated(joined, given)), out)
        return concatenated(out, [((*own, 1), (*strides, 1)) for own, strides in given])

    def call(self, *ins: TensorType) -> Call:
        inputs = ", ".join(f"x{i}" for i in range(len(ins)))
        axis = torch_axis(self.axis, "axis")
        return Call(None, forward=f"torch.stack([{inputs}], axis)", free=(axis,))


_Sizes = Annotated[
    tuple[Annotated[int, Whole(-1)], ...],
    up_to(8),
    Says("a list of whole numbers of at least 1, or -1 where an axis stays as it is"),
]


class Expand(Rearrange):
    """Axes of one cell repeated: torch.Tensor.expand."""

    op = "expand"
    elsewhere = ("broadcastto", "repeat")
    target = "Expand"
    functional = view = True
    examples = (
        ({"shape": [-1, 8, -1]}, ((4, 1, 9),)),
        ({"shape": [3, -1]}, ((1, 5),)),
        ({"shape": [4, 5]}, ((4, 1),)),
    )

    shape: _Sizes = Field(description="the new size of each axis; -1 where it stays")

    def lies(self, out: Shape, *given: Lying) -> Strides | None:
        ((sizes, strides),) = given
        return tuple(s if n == m else 0 for n, m, s in zip(sizes, out, strides, strict=True))

    def check(self) -> None:
        if 0 in self.shape:
            raise self.bad("shape", "a size is at least 1, or -1", code="E210")

    def infer(self, t: TensorType) -> tuple[TensorType, ...]:
        if len(self.shape) != t.rank:
            raise self.misfit("shape", f"the input {t} has {t.rank} axes", code="E302")
        for n, wanted in zip(t.shape, self.shape, strict=True):
            if wanted not in (-1, n) and n != 1:
                why = f"only an axis of one cell can be repeated; the input is {t}"
                raise self.misfit("shape", why, "`upsample` enlarges a map")
        sizes = [n if w == -1 else w for n, w in zip(t.shape, self.shape, strict=True)]
        return (t.like(sizes),)

    def reach(self, t: TensorType) -> tuple[tuple[Reach, ...], ...]:
        spread = [a for a, w in enumerate(self.shape) if w not in (-1, t.shape[a])]
        return (along(t.rank, dict.fromkeys(spread, WHOLE)),)

    def call(self, t: TensorType) -> Call:
        free = tuple(Arg(n, f"n{i}") for i, n in enumerate(self.shape))
        alone = f"x0.expand({named(free)})"
        return Call(None, forward=f"x0.expand(-1, {named(free)})", free=free, alone=alone)


class OneHot(Layer):
    """1 at the place that a whole number says, 0 elsewhere: torch.nn.functional.one_hot.

    Whole numbers [T] become [T, classes].
    """

    op = "one_hot"
    family = "shape"
    target = "OneHot"
    functional = True
    examples = (({"classes": 5}, ((7,),)), ({"classes": 3}, ((4, 2),)), ({"classes": 2}, ((),)))
    example_dtypes = ("int",)

    classes: Size = Field(description="how many there are")

    def infer(self, t: TensorType) -> tuple[TensorType, ...]:
        expect_dtype(self.op, t, "int")
        return (TensorType((*t.shape, self.classes), "float", map=False),)

    def call(self, t: TensorType) -> Call:
        free = (Arg(self.classes, "classes"),)
        return Call(None, forward="nn.functional.one_hot(x0, classes).float()", free=free)

    def module(self, t: TensorType) -> Call:
        return Call("OneHot", (Arg(self.classes),))


class Gather(Layer):
    """The cells of an axis that whole numbers say: `x` [N, D] at `index` [K] gives [K, D].

    torch.take_along_dim, the other axes taken along.
    """

    op = "gather"
    elsewhere = ("indexselect", "take")
    family = "shape"
    functional = True
    takes = ("x", "index")
    examples = (
        ({}, ((7, 12), (3,))),
        ({"axis": -1}, ((4, 9), (5,))),
        ({"axis": 1}, ((4, 8, 9), (2,))),
        ({}, ((7,), (3,))),
    )
    example_dtypes = ("float", "int")

    axis: Axis = Field(0, description="the axis whose cells are taken")

    def infer(self, x: TensorType, index: TensorType) -> tuple[TensorType, ...]:
        expect_dtype(self.op, index, "int")
        axis = place(self.op, self.axis, x)
        if index.rank != 1:
            message = f"`gather` takes places [K], whole numbers in one row; they are {index}"
            raise Mismatch(message, "`flatten` them, and `unflatten` what comes out", "E302")
        return (x.resized(axis, index.shape[0]),)

    def reach(self, x: TensorType, index: TensorType) -> tuple[tuple[Reach, ...], ...]:
        axis = place(self.op, self.axis, x)
        return (along(x.rank, {axis: WHOLE}), (Reach(axis),))

    def keeps(self, x: TensorType, index: TensorType) -> Kept:
        if x.rank == 1:
            return Kept(inputs=(0, 1))
        return Kept(inputs=(0,), bytes=8 * self.infer(x, index)[0].size)  # places of each cell

    def call(self, x: TensorType, places: TensorType) -> Call:
        axis = place(self.op, self.axis, x)
        beside = 1, f"x0.index_select({axis + 1}, x1)"
        if x.rank == 1:
            return Call(None, forward="x0.gather(1, x1)", beside=beside)
        rest = ", 1" * (x.rank - 1 - axis)
        index = f"x1.view(-1{', 1' * axis}, x1.shape[1]{rest})"
        forward = f"torch.take_along_dim(x0, {index}, {axis + 1})"
        return Call(None, forward=forward, beside=beside)
