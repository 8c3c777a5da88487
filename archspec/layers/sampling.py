"""Maps read at places of one's own, and put together again from windows → torch's functions.

affine_grid, on [6] and a map [3, 8, 9]              places [8, 9, 2], from -1 to 1
grid_sample, on [3, 8, 9] and places [5, 6, 2]       [3, 5, 6]
fold: {size: [8, 9], kernel: 3}, on [4·9, 42]        [4, 8, 9]
"""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import Field

from archspec.layers.base import (
    WHOLE,
    Arg,
    Call,
    Kept,
    Layer,
    Mismatch,
    Reach,
    TensorType,
)
from archspec.layers.fields import Cells, Flag, PerAxis, Size
from archspec.layers.window import expect_dtype, expect_map, expect_one_length, per_axis


class AffineGrid(Layer):
    """Places that a matrix moves, for `grid_sample`: torch.nn.functional.affine_grid.

    `theta` is 6 numbers, two rows of three: which place of the input, from -1 to 1, is read for a
    place of the output (Jaderberg et al. 2015, equation 1); `like` is a map of the output's size.
    """

    op = "affine_grid"
    family = "shape"
    functional = True
    takes = ("theta", "like")
    examples = (({}, ((6,), (3, 8, 9))), ({"align_corners": True}, ((2, 3), (1, 5, 4))))

    align_corners: Flag = Field(False, description="-1 and 1 are the middles of the outer cells")

    def infer(self, theta: TensorType, like: TensorType) -> tuple[TensorType, ...]:
        expect_map(self.op, like, (2,))
        expect_dtype(self.op, theta)
        if theta.shape not in ((6,), (2, 3)):
            message = f"`affine_grid` takes 6 numbers, two rows of three; `theta` is {theta}"
            raise Mismatch(message, code="E302")
        return (TensorType((*like.shape[1:], 2), "float", map=False),)

    def reach(self, theta: TensorType, like: TensorType) -> tuple[tuple[Reach, ...], ...]:
        return (tuple(WHOLE for _ in theta.shape), tuple(WHOLE for _ in like.shape))

    def flops(self, ins: tuple[TensorType, ...], outs: tuple[TensorType, ...]) -> int:
        return 6 * outs[0].size

    def call(self, theta: TensorType, like: TensorType) -> Call:
        rows = "x0" if theta.rank == 2 else "x0.view(-1, 2, 3)"
        free = self.args("align_corners")
        given = f"{rows}, list(x1.shape), align_corners=align_corners"
        return Call(None, forward=f"nn.functional.affine_grid({given})", free=free)


class GridSample(Layer):
    """A map read at places between its cells: torch.nn.functional.grid_sample.

    `grid` [H, W, 2] are places from -1 to 1, x before y; the output is [C, H, W] of the grid.
    """

    op = "grid_sample"
    family = "shape"
    functional = True
    takes = ("x", "grid")
    examples = (
        ({}, ((3, 8, 9), (5, 6, 2))),
        ({"mode": "nearest", "padding": "border"}, ((3, 8, 9), (5, 6, 2))),
        ({"align_corners": True}, ((1, 4, 4), (4, 4, 2))),
    )

    mode: Literal["bilinear", "nearest", "bicubic"] = Field(
        "bilinear", description="how a place between cells is read"
    )
    padding: Literal["zeros", "border", "reflection"] = Field(
        "zeros", description="what is read outside of the map"
    )
    align_corners: Flag = Field(False, description="-1 and 1 are the middles of the outer cells")

    def infer(self, x: TensorType, grid: TensorType) -> tuple[TensorType, ...]:
        expect_map(self.op, x, (2,))
        expect_dtype(self.op, grid)
        if grid.rank != 3 or grid.shape[-1] != 2:
            message = f"`grid_sample` takes places [H, W, 2]; `grid` is {grid}"
            raise Mismatch(message, "`affine_grid` makes them", "E302")
        return (x.like((x.shape[0], *grid.shape[:2]), map=True),)

    def reach(self, x: TensorType, grid: TensorType) -> tuple[tuple[Reach, ...], ...]:
        return ((Reach(0), WHOLE, WHOLE), (Reach(1), Reach(2), WHOLE))

    def flops(self, ins: tuple[TensorType, ...], outs: tuple[TensorType, ...]) -> int:
        return outs[0].size * {"bilinear": 7, "nearest": 0, "bicubic": 31}[self.mode]

    def keeps(self, x: TensorType, grid: TensorType) -> Kept:
        return Kept(inputs=(0, 1))

    def call(self, x: TensorType, grid: TensorType) -> Call:
        reading = self.args("mode", padding="padding_mode")
        free = (*(a for a in reading if a.value != a.default), *self.args("align_corners"))
        given = ", ".join(f"{a.name}={a.name}" for a in free)
        return Call(None, forward=f"nn.functional.grid_sample(x0, x1, {given})", free=free)


class Fold(Layer):
    """Columns back into a map, where windows overlap their sum: torch.nn.Fold.

    [C·kernel, windows] → [C, H, W], the other way round than `unfold`.
    """

    op = "fold"
    family = "shape"
    target = "nn.Fold"
    examples = (
        ({"size": [8, 9], "kernel": 3}, ((36, 42),)),
        ({"size": 8, "kernel": 2, "stride": 2}, ((12, 16),)),
        ({"size": [8, 9], "kernel": [2, 3], "stride": 2, "padding": 1, "dilation": 2}, ((24, 16),)),
    )

    size: Size | Annotated[tuple[Size, ...], Field(min_length=2, max_length=2)] = Field(
        description="height and width"
    )
    kernel: PerAxis = Field(description="size of the window")
    dilation: PerAxis = Field(1, description="distance between the window's cells")
    padding: Cells = Field(0, description="zeros that were added around the map")
    stride: PerAxis = Field(1, description="step of the window")

    @property
    def _size(self) -> tuple[int, ...]:
        return (self.size,) * 2 if isinstance(self.size, int) else self.size

    def check(self) -> None:
        expect_one_length(self.op, self.values() | {"size": self._size})

    def infer(self, t: TensorType) -> tuple[TensorType, ...]:
        expect_dtype(self.op, t)
        if t.rank != 2:
            raise Mismatch(f"`fold` takes [C·kernel, windows]; the input is {t}", code="E302")
        axes = per_axis(self._size, self.kernel, self.dilation, self.padding, self.stride)
        windows = math.prod((n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, d, p, s in axes)
        cells = math.prod(k for _, k, _, _, _ in axes)
        if t.shape[0] % cells:
            why = f"its {cells} cells do not divide the {t.shape[0]} rows of the input {t}"
            raise self.misfit("kernel", why)
        if windows != t.shape[1]:
            why = f"a map of that size has {windows} windows; the input {t} has {t.shape[1]}"
            raise self.misfit("size", why)
        return (TensorType((t.shape[0] // cells, *(axis[0] for axis in axes)), "float", map=True),)

    def reach(self, t: TensorType) -> tuple[tuple[Reach, ...], ...]:
        return ((WHOLE, WHOLE),)

    def flops(self, ins: tuple[TensorType, ...], outs: tuple[TensorType, ...]) -> int:
        return ins[0].size

    def beyond(self, t: TensorType) -> int:
        """Torch on the CPU puts it into a storage as large as the columns."""
        return max(t.bytes - self.infer(t)[0].bytes, 0)

    def call(self, t: TensorType) -> Call:
        return self.made(
            (Arg(self._size), *self.args("kernel", "dilation", "padding", "stride")), t
        )
