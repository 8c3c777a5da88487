"""What attention inside of windows adds to its scores → torch's indexing, a function of our own.

- {id: table, parameter: [169, 3]}                            a row for each step in a 7×7 window
- {id: bias, from: table, relative_position_bias: 7}          [3, 49, 49], heads first
- {id: mask, from: x, shift_mask: {window: 7, shift: 3}}      [64, 1, 49, 49] of a map [56, 56, 96]
- {from: [scores, mask], add: }                               scores [64, 3, 49, 49]
"""

from __future__ import annotations

import math

from pydantic import Field

from archspec.layers.base import WHOLE, Arg, Call, Kept, Layer, Mismatch, Reach, TensorType, unread
from archspec.layers.fields import Cells, Number, PerAxis
from archspec.layers.window import expect_dtype, expect_one_length, square
from archspec.text.words import written

_SQUARE = 2  # axes of a window that is one number


class RelativePositionBias(Layer):
    """A learned number for each two places of a window, by the step between them (Liu et al. 2021).

    `table` [(2h - 1)(2w - 1), heads] becomes [heads, h·w, h·w], to be added to the scores of
    attention. `index` [h·w·h·w] or [h·w, h·w] says which row a pair has: a `constant` by the rule
    `relative_positions`, where its name is to stand in the state_dict; else it is worked out.
    """

    op = "relative_position_bias"
    elsewhere = ("relposbias", "relativepositionembedding")
    family = "position"
    functional = True
    takes = ("table", "index?")
    examples = (
        ({"window": 2}, ((9, 3),)),
        ({"window": [2, 3]}, ((15, 4),)),
        ({"window": [5]}, ((9, 2),)),
        ({"window": [2, 1, 2]}, ((9, 2),)),
    )

    window: PerAxis = Field(description="cells along each axis; a number: a square")

    @property
    def sizes(self) -> tuple[int, ...]:
        """Cells along each axis of the window."""
        return square(self.window)

    def infer(self, table: TensorType, index: TensorType | None = None) -> tuple[TensorType, ...]:
        expect_dtype(self.op, table)
        steps, places = math.prod(2 * n - 1 for n in self.sizes), math.prod(self.sizes)
        if table.rank != 2 or table.shape[0] != steps:
            why = f"its table is [{steps}, heads], a row for each step; it is given {table}"
            raise self.misfit("window", why, f"write `parameter: [{steps}, …]`")
        if index is not None:
            expect_dtype(self.op, index, "int")
            if index.shape not in ((places**2,), (places, places)):
                why = f"`index` is [{places**2}] or [{places}, {places}]; it is given {index}"
                raise self.misfit("window", why)
        return (TensorType((table.shape[1], places, places), "float", map=False),)

    def reach(self, *ins: TensorType) -> tuple[tuple[Reach, ...], ...]:
        return ((WHOLE, Reach(0)), *(tuple(WHOLE for _ in t.shape) for t in ins[1:]))

    def keeps(self, *ins: TensorType) -> Kept:
        """The rows of all pairs, once for all samples."""
        return Kept()

    def call(self, table: TensorType, index: TensorType | None = None) -> Call:
        if index is None:
            window = (Arg(self.sizes, "window"),)
            once = "by_steps(x0, relative_positions(window))"
            return Call(None, forward=once, free=window, broadcast=True)
        places = math.prod(self.sizes)
        rows = "torch.take_along_dim(x0, x1.reshape(x1.shape[0], -1, 1), 1)"
        each = f"torch.unflatten({rows}, 1, ({places}, {places})).movedim(-1, 1)"
        once = "by_steps(x0, x1)"
        return Call(None, forward=each, alone=once, beside=(1, once))


class ShiftMask(Layer):
    """What hides the cells of a shifted window that are no neighbours (Liu et al. 2021, figure 4).

    For a map [H, W, C], or [H, C] or [D, H, W, C], that was rolled by -shift and is cut into
    windows: [windows, 1, cells, cells], 0 where two cells were neighbours before, `value` where the
    edge of the map lies between them. It is added to scores [windows, heads, cells, cells]. Of the
    input only the size is read.
    """

    op = "shift_mask"
    family = "position"
    functional = True
    examples = (
        ({"window": 2, "shift": 1}, ((4, 6, 3),)),
        ({"window": [2, 3], "shift": [1, 0]}, ((4, 6, 3),)),
        ({"window": [4], "shift": 2, "value": -1000.0}, ((8, 3),)),
        ({"window": [1, 2, 2], "shift": [0, 1, 1]}, ((2, 4, 4, 3),)),
    )

    window: PerAxis = Field(description="cells along each axis; a number: a square")
    shift: Cells = Field(description="how far the map was rolled, below `window`")
    value: Number = Field(-100.0, description="what is added where the edge lies between two cells")

    def check(self) -> None:
        expect_one_length(self.op, {"window": self.window, "shift": self.shift})
        if any(s >= n for n, s in zip(self.sizes, self.shifts, strict=True)):
            raise self.bad("shift", f"it is below `window`, {written(self.window)}")

    @property
    def sizes(self) -> tuple[int, ...]:
        """Cells along each axis of the window."""
        many = len(self.shift) if isinstance(self.shift, tuple) else _SQUARE
        return (self.window,) * many if isinstance(self.window, int) else self.window

    @property
    def shifts(self) -> tuple[int, ...]:
        """How far each axis was rolled."""
        return (self.shift,) * len(self.sizes) if isinstance(self.shift, int) else self.shift

    def infer(self, t: TensorType) -> tuple[TensorType, ...]:
        axes = len(self.sizes)
        if t.rank != axes + 1 or t.map:
            names = ", ".join("DHW"[-axes:]) if axes > 1 else "L"
            message = f"`shift_mask` takes [{names}, C], channels last; the input is "
            message += f"{t}, channels first" if t.map and t.rank == axes + 1 else str(t)
            raise Mismatch(message, "put the channels last with `permute`", "E302")
        expect_dtype(self.op, t)
        for a, (n, size) in enumerate(zip(self.sizes, t.shape, strict=False)):
            if size % n:
                why = f"it does not divide the {size} cells of axis {a} of the input {t}"
                raise self.misfit("window", why, "`pad` the map to whole windows first")
        windows = math.prod(n // w for n, w in zip(t.shape, self.sizes, strict=False))
        cells = math.prod(self.sizes)
        return (TensorType((windows, 1, cells, cells), "float", map=False),)

    def reach(self, t: TensorType) -> tuple[tuple[Reach, ...], ...]:
        return unread(t)

    def call(self, t: TensorType) -> Call:
        free = (
            Arg(self.sizes, "window"),
            Arg(self.shifts, "shift"),
            Arg(self.value, "value", -100.0),
        )
        forward = "shift_mask(x0, window, shift, value)"
        return Call(None, forward=forward, free=free, batchless=True, broadcast=True)
