"""Several tensors into one, numbers and learned tensors among them → operators and functions.

add, on [4, 8, 9] and [4, 1, 1]     x0 + x1                     [4, 8, 9]
concat, on [4, 8, 9] and [2, 8, 9]  torch.cat([x0, x1], 1)      [6, 8, 9]
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field

from archspec.layers.axis import place, torch_axis
from archspec.layers.base import (
    NOTHING,
    WHOLE,
    Arg,
    Call,
    Kept,
    Layer,
    Mismatch,
    Reach,
    Shape,
    TensorType,
    Weight,
    Window,
    along,
)
from archspec.layers.fields import Axis, Flag, Number, Size, alone
from archspec.layers.strides import Lying, Strides, foldable, in_order
from archspec.layers.window import Alike, expect_dtype
from archspec.text.words import joined

_TWO: Any = (
    ({}, ((4, 8, 9), (4, 8, 9))),
    ({}, ((4, 8, 9), (4, 1, 1))),
    ({}, ((5,), (5,))),
    ({}, ((1, 9), (4, 9))),
)
_IN_A_ROW = 64  # inputs; Python reads 200 parentheses in one another
_SOME: Any = (*_TWO, ({}, ((4, 9), (4, 9), (4, 9))))


def joint(op: str, ins: Sequence[TensorType]) -> Shape:
    """The common shape of inputs of equal rank, equal or 1 in every axis. Raises Mismatch."""
    first = ins[0].shape
    if all(t.shape == first for t in ins):
        return first
    if any(t.rank != len(first) for t in ins):
        message = f"`{op}` takes inputs of equal rank; they are {joined(ins)}"
        help = (
            "write the missing axes as 1, with `reshape`: torch would align the axes on the right"
        )
        raise Mismatch(message, help, "E203")
    shape = tuple(max(sizes) for sizes in zip(*(t.shape for t in ins), strict=True))
    if any(n not in (1, most) for t in ins for n, most in zip(t.shape, shape, strict=True)):
        raise Mismatch(
            f"`{op}` takes inputs of equal shape, or 1 along an axis; they are {joined(ins)}",
            code="E203",
        )
    return shape


def expect_two(op: str, ins: Sequence[TensorType]) -> None:
    """Raises Mismatch unless there are two."""
    if len(ins) != 2:
        raise Mismatch(f"`{op}` takes two inputs, not {len(ins)}", code="E311")


def broadcast(t: TensorType, shape: Shape) -> tuple[Reach, ...]:
    """How an output of `shape` walks along an input with 1 in some axes."""
    spread = [a for a, n in enumerate(t.shape) if n == 1 and shape[a] != 1]
    return along(t.rank, dict.fromkeys(spread, WHOLE))


class Merge(Layer):
    """What element-wise merges have in common."""

    family = "merge"
    takes = ("*",)
    work = 1
    cellwise = True
    merges = functional = True
    sign: ClassVar[str] = " + "  # between the inputs in the source
    examples = _SOME

    def infer(self, *ins: TensorType) -> tuple[TensorType, ...]:
        for t in ins:
            expect_dtype(self.op, t)
        shape = joint(self.op, ins)
        return (TensorType(shape, "float", map=_map(ins)),)

    def reach(self, *ins: TensorType) -> tuple[tuple[Reach, ...], ...]:
        shape = joint(self.op, ins)
        return tuple(broadcast(t, shape) for t in ins)

    def flops(self, ins: tuple[TensorType, ...], outs: tuple[TensorType, ...]) -> int:
        return (len(ins) - 1) * outs[0].size

    def expression(self, count: int) -> str:
        """What `forward` is for so many inputs: `sign` between them."""
        return _in_halves([f"x{i}" for i in range(count)], self.sign.join, "({})")

    def call(self, *ins: TensorType) -> Call:
        forward = "x0" if len(ins) == 1 else self.expression(len(ins))
        return Call(None, forward=forward, broadcast=True)


def _in_halves(inputs: Sequence[str], joined: Callable[[Sequence[str]], str], inside: str) -> str:
    """Inputs joined one after the other; many in halves, which Python's parser does not nest."""
    if len(inputs) <= _IN_A_ROW:
        return joined(inputs)
    half = len(inputs) // 2
    parts = (_in_halves(part, joined, inside) for part in (inputs[:half], inputs[half:]))
    return joined([inside.format(part) for part in parts])


def _map(ins: Sequence[TensorType]) -> bool | None:
    said = [t.map for t in ins if t.map is not None]
    return any(said) if said else None


_SIGNS = {" + ": "+", " - ": "−", " * ": "×", " / ": "÷"}


class Arithmetic(Merge):
    """What the four kinds of arithmetic have in common: an operand may be a number, the last."""

    two: ClassVar[bool] = False  # there are two operands and no more
    called: ClassVar[str] = "number"  # the number, in what is written

    number: Number | None = Field(None, description="a number, as the last operand")

    def model_post_init(self, context: Any, /) -> None:
        super().model_post_init(context)
        if self.number is not None:
            self.__dict__["still_linear"] = True

    def label(self, axes: int) -> str:
        if self.number is None:
            return super().label(axes)
        return f"{_SIGNS[self.sign]} {self.number:.3g}"

    def infer(self, *ins: TensorType) -> tuple[TensorType, ...]:
        if self.two and self.number is None:
            expect_two(self.op, ins)
        if self.two and self.number is not None and len(ins) != 1:
            message = f"`{self.op}` takes one input beside its number, not {len(ins)}"
            raise Mismatch(message, code="E311")
        return super().infer(*ins)

    def flops(self, ins: tuple[TensorType, ...], outs: tuple[TensorType, ...]) -> int:
        return super().flops(ins, outs) + (0 if self.number is None else outs[0].size)

    def call(self, *ins: TensorType) -> Call:
        if self.number is None:
            return super().call(*ins)
        forward = f"{self.expression(len(ins))}{self.sign}{self.called}"
        free = (Arg(self.number, self.called),)
        return Call(None, forward=forward, free=free, broadcast=True)

    def module(self, *ins: TensorType) -> Call:
        alone = len(ins) == 1 and self.number is not None
        return Call(self.target, (Arg(self.number),), broadcast=True) if alone else Call(None)


class Add(Arithmetic):
    """The sum of the inputs."""

    op = "add"
    target = "AddNumber"
    examples = (*_SOME, ({"number": 1}, ((4, 8, 9),)), ({"number": -0.5}, ((4, 9), (4, 9))))


class Sub(Arithmetic):
    """The first input minus the second."""

    op = "sub"
    elsewhere = ("subtract",)
    target = "SubNumber"
    sign = " - "
    two = True
    examples = (*_TWO, ({"number": 0.5}, ((4, 8, 9),)))


class Mul(Arithmetic):
    """The product of the inputs, cell by cell."""

    op = "mul"
    elsewhere = ("multiply",)
    target = "Scale"
    sign = " * "
    called = "factor"
    examples = (*_SOME, ({"number": 0.1}, ((4, 8, 9),)), ({"number": 2}, ((5,), (5,))))

    def keeps(self, *ins: TensorType) -> Kept:
        if len(ins) == 1:
            return NOTHING
        (out,) = self.infer(*ins)
        return Kept(factors=tuple(range(len(ins))), between=out.bytes)


class Div(Arithmetic):
    """The first input divided by the second."""

    op = "div"
    elsewhere = ("divide",)
    target = "DivNumber"
    sign = " / "
    two = True
    examples = (*_TWO, ({"number": 8}, ((4, 8, 9),)))

    def keeps(self, *ins: TensorType) -> Kept:
        return NOTHING if len(ins) == 1 else Kept(inputs=(1,), factors=(0, 1))


class Mean(Merge):
    """The mean of the inputs, cell by cell."""

    op = "mean"
    elsewhere = ("average",)

    def flops(self, ins: tuple[TensorType, ...], outs: tuple[TensorType, ...]) -> int:
        return len(ins) * outs[0].size

    def expression(self, count: int) -> str:
        return f"({super().expression(count)}) / {count}"


class Extreme(Merge):
    """What the largest and the smallest have in common."""

    pairwise: ClassVar[str]  # of torch, for two

    def keeps(self, *ins: TensorType) -> Kept:
        if len(ins) == 1:
            return NOTHING
        (out,) = self.infer(*ins)
        return Kept(compared=tuple(range(len(ins))), between=out.bytes)

    def expression(self, count: int) -> str:

        def joined(inputs: Sequence[str]) -> str:
            return reduce(lambda found, x: f"torch.{self.pairwise}({found}, {x})", inputs)

        return _in_halves([f"x{i}" for i in range(count)], joined, "{}")


class Max(Extreme):
    """The largest of the inputs, cell by cell: torch.maximum."""

    op = "max"
    elsewhere = ("maximum",)
    pairwise = "maximum"


class Min(Extreme):
    """The smallest of the inputs, cell by cell: torch.minimum."""

    op = "min"
    elsewhere = ("minimum",)
    pairwise = "minimum"


class Matmul(Layer):
    """The matrix product over the last two axes: torch.matmul."""

    autocast = "half"
    op = "matmul"
    family = "merge"
    merges = functional = True
    folds = 2
    takes = ("*",)
    examples = (
        ({}, ((3, 4), (4, 5))),
        ({}, ((2, 3, 4), (2, 4, 5))),
        ({}, ((2, 3, 4), (1, 4, 5))),
    )

    def infer(self, *ins: TensorType) -> tuple[TensorType, ...]:
        expect_two(self.op, ins)
        a, b = ins
        for t in ins:
            expect_dtype(self.op, t)
        if a.rank != b.rank or a.rank < 2:
            message = f"`matmul` takes two inputs of equal rank, at least 2; they are {joined(ins)}"
            raise Mismatch(message, code="E203")
        if a.shape[-1] != b.shape[-2]:
            message = (
                "`matmul` sums over the last axis of the first and the last but one of the "
                f"second; they have {a.shape[-1]} and {b.shape[-2]} cells, in {joined(ins)}"
            )
            raise Mismatch(message, "exchange two axes with `permute`", "E203")
        lead = joint(self.op, [TensorType(t.shape[:-2]) for t in ins])
        return (TensorType((*lead, a.shape[-2], b.shape[-1]), "float", map=False),)

    def reach(self, *ins: TensorType) -> tuple[tuple[Reach, ...], ...]:
        (out,) = self.infer(*ins)
        first, second = (broadcast(t, out.shape)[:-2] for t in ins)
        rank = out.rank
        return ((*first, Reach(rank - 2), WHOLE), (*second, WHOLE, Reach(rank - 1)))

    def macs(self, ins: tuple[TensorType, ...], outs: tuple[TensorType, ...]) -> int:
        return outs[0].size * ins[0].shape[-1]

    def keeps(self, *ins: TensorType) -> Kept:
        return Kept(factors=(0, 1))

    def copies(self, place: int, given: Mapping[int, Lying]) -> int:
        """As many as it takes for the axes in front, where torch repeats what it broadcasts.

        One matrix for all samples that learns is not repeated: what it is multiplied by becomes one
        matrix too, the second turned (at::native's should_fold).
        """
        (sizes, strides), (others, _) = given[place], given[1 - place]
        if len(sizes) == 3 and others[0] == 1 < sizes[0]:
            return int(not foldable(_turned(given[place]) if place else given[place], 1))
        front = tuple(map(max, sizes[:-2], others[:-2]))
        own = (0 if n < many else s for n, many, s in zip(sizes, front, strides, strict=False))
        wide = (*front, *sizes[-2:]), (*own, *strides[-2:])
        return 0 if foldable(wide, 2) else math.prod(front[1:]) // math.prod(sizes[1:-2])

    def lies(self, out: Shape, *given: Lying) -> Strides | None:
        """In order, but for a product with one matrix for all samples, which is made turned."""
        first, second = (sizes[0] for sizes, _ in given)
        turned = len(out) == 3 and first == 1 < second
        return _turned((out, in_order((out[0], out[2], out[1]))))[1] if turned else None

    def call(self, *ins: TensorType) -> Call:
        return Call(None, forward="x0 @ x1", broadcast=True)


def _turned(lying: Lying) -> Lying:
    """With the last two axes exchanged."""
    (*front, rows, columns), (*steps, by_row, by_column) = lying
    return (*front, columns, rows), (*steps, by_column, by_row)


class Concat(Layer):
    """The inputs one behind the other along an axis: torch.cat."""

    formats = (2, 3)
    op = "concat"
    elsewhere = ("cat", "concatenate")
    family = "merge"
    merges = functional = ordered = True
    takes = ("*",)
    examples = (
        ({}, ((4, 8, 9), (2, 8, 9))),
        ({}, ((4,), (3,), (2,))),
        ({"axis": -1}, ((4, 8), (4, 3))),
        ({"axis": 1}, ((4, 8, 9), (4, 1, 9))),
    )

    axis: Axis = Field(0, description="the axis along which they are joined")

    def infer(self, *ins: TensorType) -> tuple[TensorType, ...]:
        first = ins[0]
        if any(t.rank != first.rank or t.dtype != first.dtype for t in ins):
            kind = "rank" if any(t.rank != first.rank for t in ins) else "dtype"
            dtypes = " and ".join(dict.fromkeys(t.dtype for t in ins))
            said = joined(ins) if kind == "rank" else dtypes
            raise Mismatch(f"`concat` takes inputs of equal {kind}; they are {said}", code="E203")
        axis = place(self.op, self.axis, first)
        if any(t.resized(axis, 0).shape != first.resized(axis, 0).shape for t in ins):
            raise Mismatch(
                f"`concat` along axis {axis} takes inputs that are equal in every other axis; "
                f"they are {joined(ins)}",
                code="E203",
            )
        shape = first.resized(axis, sum(t.shape[axis] for t in ins)).shape
        return (TensorType(shape, first.dtype, map=_map(ins)),)

    def reach(self, *ins: TensorType) -> tuple[tuple[Reach, ...], ...]:
        axis = place(self.op, self.axis, ins[0])
        found, offset = [], 0
        for t in ins:
            moved = Window(lo=-offset, hi=-offset)
            found.append(along(t.rank, {axis: Reach(axis, moved)}))
            offset += t.shape[axis]
        return tuple(found)

    def call(self, *ins: TensorType) -> Call:
        if len(ins) == 1:
            return Call(None, forward="x0")
        inputs = ", ".join(f"x{i}" for i in range(len(ins)))
        axis = torch_axis(self.axis, "axis")
        return Call(None, forward=f"torch.cat([{inputs}], axis)", free=(axis,))


class Scale(Alike):
    """The input times a number: an older spelling of `mul` by a number."""

    op = "scale"
    newer = "mul", {"factor": "number"}
    family = "merge"
    target = "Scale"
    work = 1
    broadcast = cellwise = True
    still_linear = True
    examples = (({"factor": 0.1}, ((4, 8, 9),)), ({"factor": 2}, ((5,),)))
    spelt: ClassVar[dict[str, str]] = {"scale": "factor", "by": "factor", "value": "factor"}

    factor: Number = Field(description="what it is multiplied by")

    def label(self, axes: int) -> str:
        return f"× {self.factor:.3g}"

    def call(self, t: TensorType) -> Call:
        factor = Arg(self.factor, "factor")
        return Call(None, forward="x0 * factor", free=(factor,), broadcast=True)


class Parameter(Layer):
    """A learned tensor, zeros at first: torch.nn.Parameter. No input; its name is the weight's."""

    op = "parameter"
    family = "merge"
    colour = "parameter"
    tensor = True
    takes = ()
    examples = (
        ({"shape": [7, 12]}, ()),
        ({"shape": 5}, ()),
        ({"shape": []}, ()),
        ({"shape": [7, 12], "batch": True}, ()),
        ({"shape": [], "batch": True}, ()),
    )

    shape: Annotated[
        tuple[Size, ...],
        Field(max_length=8),
        BeforeValidator(
            alone, json_schema_input_type=Size | Annotated[tuple[Size, ...], Field(max_length=8)]
        ),
    ] = Field(description="its shape; [] is one number")
    batch: Flag = Field(
        False, description="store it with a leading axis of 1, as torchvision's ViT does"
    )

    def infer(self, *ins: TensorType) -> tuple[TensorType, ...]:
        return (TensorType(self.shape, "float", map=False),)

    def weights(self, *ins: TensorType) -> tuple[Weight, ...]:
        return (Weight("", (1, *self.shape) if self.batch else self.shape),)

    def call(self, *ins: TensorType) -> Call:
        (weight,) = self.weights()
        sizes = tuple(map(Arg, weight.shape)) or (Arg(()),)
        return Call(
            "torch.zeros", sizes, "self", wrap="nn.Parameter", batchless=True, led=self.batch
        )
