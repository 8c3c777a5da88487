"""The edges of space: pad, crop, roll → torch.nn pads and tensor methods.

pad: [1, [0, 2]], on [4, 8, 9]      nn.ZeroPad2d((0, 2, 1, 1))      [4, 10, 11]
crop: 5, on [4, 8, 9]               CenterCrop(5, 5)                [4, 5, 5]
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from archspec.layers.axis import place
from archspec.layers.base import (
    WHOLE,
    Arg,
    Call,
    Kept,
    Mismatch,
    Reach,
    TensorType,
    Window,
    along,
)
from archspec.layers.fields import Axes, Axis, Cells, Count, Number, PerAxis, Says, up_to
from archspec.layers.shape import Rearrange
from archspec.layers.window import (
    SPATIAL,
    expect_dtype,
    expect_map,
    spread,
)

_Amounts = Annotated[
    Count
    | Annotated[
        tuple[Count | Annotated[tuple[Count, ...], up_to(2)], ...],
        up_to(8),
    ],
    Says(
        "a whole number of at least 0, or a list of one per axis, each a number or [before, after]"
    ),
]

_PADS = {
    "zeros": "ZeroPad",
    "reflect": "ReflectionPad",
    "replicate": "ReplicationPad",
    "circular": "CircularPad",
}


class Pad(Rearrange):
    """Cells added around space: torch.nn.ZeroPad1d … CircularPad3d; along `axis`: functional.pad.

    `amounts` is a number for both sides of every spatial axis, or one entry per spatial axis, a
    number or [before, after]; with `axis`, a number or [before, after].
    """

    op = "pad"
    elsewhere = ("zeropad",)
    still_linear = True
    spelt: ClassVar[dict[str, str]] = {"padding": "amounts", "pad": "amounts"}
    examples = (
        ({"amounts": 2}, ((4, 9),)),
        ({"amounts": [1, [0, 2]]}, ((4, 8, 9),)),
        ({"amounts": 1, "mode": "reflect"}, ((4, 8, 9),)),
        ({"amounts": 1, "mode": "replicate"}, ((4, 5, 6, 7),)),
        ({"amounts": [1, 2], "mode": "circular"}, ((4, 8, 9),)),
        ({"amounts": 1, "value": 0.5}, ((4, 8, 9),)),
        ({"amounts": [2, 3], "axis": 0}, ((4, 8, 9),)),
        ({"amounts": 1, "axis": -1}, ((6,),)),
    )

    amounts: _Amounts = Field(
        description="cells added: a number, or per axis a number or [before, after]"
    )
    mode: Literal["zeros", "reflect", "replicate", "circular"] = Field(
        "zeros", description="what the added cells hold"
    )
    value: Number = Field(0.0, description="what they hold in mode `zeros`, if not 0")
    axis: Axis | None = Field(None, description="only along this axis")

    def check(self) -> None:
        if self.mode != "zeros" and self.value != 0:
            why = f"mode {self.mode} takes its cells from the input"
            raise self.bad("value", why, "leave `value` or `mode` out")
        if self.axis is not None and self.mode != "zeros":
            raise self.bad("mode", "along one axis alone only zeros are added", "leave `axis` out")
        if self.axis is not None and isinstance(self.amounts, tuple):
            flat = len(self.amounts) == 2 and all(isinstance(n, int) for n in self.amounts)
            if not flat:
                why = "with `axis` it takes a number or [before, after]"
                raise self.bad("amounts", why, code="E210")

    def sides(self, t: TensorType) -> tuple[tuple[int, int], ...]:
        """Cells before and after each axis of the input. Raises Mismatch."""
        expect_dtype(self.op, t)
        if self.axis is not None:
            axis = place(self.op, self.axis, t)
            pair = (self.amounts,) * 2 if isinstance(self.amounts, int) else self.amounts
            before, after = (n if isinstance(n, int) else n[0] for n in pair)
            return tuple((before, after) if a == axis else (0, 0) for a in range(t.rank))
        n = expect_map(self.op, t)
        if isinstance(self.amounts, int):
            return ((0, 0), *((self.amounts, self.amounts),) * n)
        if len(self.amounts) != n:
            why = f"the input {t} has the spatial axes {', '.join(SPATIAL[n])}"
            raise self.misfit("amounts", why, "give one entry per spatial axis, or `axis`", "E302")
        return ((0, 0), *((a, a) if isinstance(a, int) else (a[0], a[-1]) for a in self.amounts))

    def infer(self, t: TensorType) -> tuple[TensorType, ...]:
        sides = self.sides(t)
        for a, (before, after) in enumerate(sides):
            limit = {"reflect": t.shape[a] - 1, "circular": t.shape[a]}.get(self.mode)
            if limit is not None and max(before, after) > limit:
                raise Mismatch(
                    f"`pad` adds {max(before, after)} cells along axis {a} in mode "
                    f"{self.mode}; the input {t} allows {limit}",
                    code="E304",
                )
        return (t.like([n + sum(s) for n, s in zip(t.shape, sides, strict=True)]),)

    def reach(self, t: TensorType) -> tuple[tuple[Reach, ...], ...]:
        sides = self.sides(t)
        return (tuple(Reach(a, Window(lo=-b, hi=-b)) for a, (b, _) in enumerate(sides)),)

    def keeps(self, t: TensorType) -> Kept:
        return Kept(inputs=(0,)) if self.mode in ("reflect", "replicate") else Kept()

    def _torch(self, t: TensorType) -> Arg:
        """Torch's list: last axis first, before and after each."""
        sides = self.sides(t)
        axis = None if self.axis is None else place(self.op, self.axis, t)
        if isinstance(self.amounts, int) and axis is None:
            return Arg("amounts", self.amounts)
        first = 1 if axis is None else axis
        flat: list[int] = []
        of: list[str] = []
        for a in range(t.rank - 1, first - 1, -1):
            flat += sides[a]
            of += self._texts(a, axis)
        return Arg(f"({', '.join(of)})", tuple(flat))

    def _texts(self, a: int, axis: int | None) -> list[str]:
        if axis is not None and a != axis:
            return ["0", "0"]
        if axis is not None:
            return (
                ["amounts"] * 2 if isinstance(self.amounts, int) else ["amounts[0]", "amounts[1]"]
            )
        assert isinstance(self.amounts, tuple)
        entry = self.amounts[a - 1]
        name = f"amounts[{a - 1}]"
        return (
            [name, name] if isinstance(entry, int) else [f"{name}[0]", f"{name}[{len(entry) - 1}]"]
        )

    def call(self, t: TensorType) -> Call:
        pad = self._torch(t)
        if self.axis is not None:
            return Call("Pad", (pad, *self.args("value")))
        if self.mode == "zeros" and self.value != 0:
            return Call(f"nn.ConstantPad{t.rank - 1}d", (pad, Arg("value", self.value)))
        return Call(f"nn.{_PADS[self.mode]}{t.rank - 1}d", (pad,))


class Crop(Rearrange):
    """A window cut out of space, of a given size or of that of a second input (U-Net's skips)."""

    op = "crop"
    takes = ("x", "like?")
    view = True
    still_linear = True
    examples = (
        ({"size": 5}, ((4, 9),)),
        ({"size": [5, 4]}, ((4, 8, 9),)),
        ({"offset": [1, 2], "size": 4}, ((4, 8, 9),)),
        ({}, ((4, 8, 9), (2, 5, 4))),
        ({"offset": 1}, ((4, 8, 9), (2, 5, 4))),
        ({"size": 3}, ((4, 5, 6, 7),)),
    )

    offset: Literal["center"] | Cells = Field(
        "center", description="`center`, or cells left out at the start of each axis"
    )
    size: PerAxis | None = Field(
        None, description="size of the window, where no second input gives it"
    )

    def sizes(self, ins: Sequence[TensorType]) -> tuple[int, ...]:
        """The window's size along each spatial axis. Raises Mismatch."""
        t = ins[0]
        expect_map(self.op, t)
        if len(ins) > 1:
            if self.size is not None:
                message = "`crop` has a `size` and a second input, which gives the size too"
                raise Mismatch(message, "leave one of them out", "E311")
            if ins[1].rank != t.rank:
                message = f"`crop` takes two inputs of equal rank; they are {t} and {ins[1]}"
                raise Mismatch(message, code="E203")
            return ins[1].shape[1:]
        if self.size is None:
            message = "`crop` needs `size`, or a second input whose size it takes"
            raise Mismatch(message, "write `from: [x, y]`, or `size`", "E311")
        return spread(self.op, "size", self.size, t)

    def starts(self, ins: Sequence[TensorType]) -> tuple[int, ...]:
        """The first cell along each spatial axis. Raises Mismatch when the window does not fit."""
        t, sizes = ins[0], self.sizes(ins)
        if self.offset == "center":
            found = tuple((n - size) // 2 for n, size in zip(t.shape[1:], sizes, strict=True))
        else:
            found = spread(self.op, "offset", self.offset, t)
        for a, (n, size, start) in enumerate(zip(t.shape[1:], sizes, found, strict=True)):
            if start < 0 or start + size > n:
                at = "" if self.offset == "center" else f" from cell {start}"
                raise Mismatch(
                    f"`crop` takes {size} cells{at} along {SPATIAL[t.rank - 1][a]}; the input "
                    f"{t} has {n}",
                    code="E304",
                )
        return found

    def infer(self, *ins: TensorType) -> tuple[TensorType, ...]:
        self.starts(ins)
        return (ins[0].like((ins[0].shape[0], *self.sizes(ins))),)

    def reach(self, *ins: TensorType) -> tuple[tuple[Reach, ...], ...]:
        own = (Reach(0), *(Reach(a, Window(lo=s, hi=s)) for a, s in enumerate(self.starts(ins), 1)))
        return (own, *(unread(t) for t in ins[1:]))

    def depends_on_size(self, *ins: TensorType) -> bool:
        return bool(self.offset == "center")

    def call(self, *ins: TensorType) -> Call:
        n = ins[0].rank - 1
        if self.offset == "center":
            if len(ins) > 1:
                return Call("CropLike", (Arg(repr(n), n),), "self(x0, x1)")
            sizes = self.sizes(ins)
            args = tuple(
                Arg("size" if isinstance(self.size, int) else f"size[{a}]", s)
                for a, s in enumerate(sizes)
            )
            return Call("CenterCrop", args)
        starts = [
            Arg("offset" if isinstance(self.offset, int) else f"offset[{a}]", start)
            for a, start in enumerate(self.starts(ins))
        ]
        if len(ins) > 1:
            return Call("CropAt", tuple(starts), "self(x0, x1)")
        return self._window(ins, starts)

    def _window(self, ins: Sequence[TensorType], starts: Sequence[Arg]) -> Call:
        """A window of given size at a given place: cut along one axis after the other."""
        forward, free = "x0", []
        for a, (start, size) in enumerate(zip(starts, self.sizes(ins), strict=True)):
            free += [
                Arg(start.of, start.value, f"o{a}"),
                Arg("size" if isinstance(self.size, int) else f"size[{a}]", size, f"s{a}"),
            ]
            forward += f".narrow({a + 2}, o{a}, s{a})"
        return Call(None, forward=forward, free=tuple(free))

    def module(self, *ins: TensorType) -> Call:
        if self.offset == "center" or len(ins) > 1:
            return super().module(*ins)
        args = (
            Arg(_each("offset", self.offset, ins[0].rank - 1), self.starts(ins)),
            Arg(_each("size", self.size, ins[0].rank - 1), self.sizes(ins)),
        )
        return Call("Crop", args)

    def axes(self, *ins: TensorType) -> tuple[tuple[str | None, ...], ...]:
        n = ins[0].rank
        if len(ins) > 1:
            return (("x0[0]", *(f"x1[{a}]" for a in range(1, n))),)
        one = isinstance(self.size, int)
        return (("x0[0]", *("size" if one else f"size[{a}]" for a in range(n - 1))),)


def _each(name: str, value: Any, count: int) -> str:
    return (
        "("
        + ", ".join(name if isinstance(value, int) else f"{name}[{a}]" for a in range(count))
        + ",)"
    )


NOWHERE = Window(lo=1, hi=0)  # no cell at all


def unread(t: TensorType) -> tuple[Reach, ...]:
    """Of an input of which only the size is read: no cell along any axis."""
    return tuple(Reach(0, NOWHERE) for _ in range(t.rank))


class Roll(Rearrange):
    """Cells moved around the end to the start: torch.roll."""

    op = "roll"
    target = "Roll"
    examples = (
        ({"shifts": 2}, ((4, 9),)),
        ({"shifts": [-3, 1]}, ((4, 8, 9),)),
        ({"shifts": [-1, -1], "axis": [0, 1]}, ((8, 9, 4),)),
        ({"shifts": 1, "axis": 0}, ((5,),)),
    )

    shifts: Axis | Axes = Field(description="cells to move by, one number or one per axis")
    axis: Axis | Axes | None = Field(None, description="the axes; all but axis 0 when left out")

    def places(self, t: TensorType) -> tuple[tuple[int, int], ...]:
        """Axis and shift. Raises Mismatch."""
        if self.axis is None:
            axes: tuple[int, ...] = tuple(range(1, t.rank))
        else:
            given = (self.axis,) if isinstance(self.axis, int) else self.axis
            axes = tuple(place(self.op, a, t) for a in given)
        shifts = (self.shifts,) * len(axes) if isinstance(self.shifts, int) else self.shifts
        if not axes or len(shifts) != len(axes) or len(set(axes)) != len(axes):
            why = f"it takes one number per axis, of the input {t} {len(axes)}"
            raise self.misfit("shifts", why, "say which with `axis`", "E302")
        return tuple(zip(axes, shifts, strict=True))

    def infer(self, t: TensorType) -> tuple[TensorType, ...]:
        self.places(t)
        return (t,)

    def reach(self, t: TensorType) -> tuple[tuple[Reach, ...], ...]:
        return (along(t.rank, {a: WHOLE for a, s in self.places(t) if s % t.shape[a]}),)

    def call(self, t: TensorType) -> Call:
        axes, shifts = zip(*self.places(t), strict=True)
        dims: Any = tuple(a + 1 for a in axes)
        if len(dims) == 1:
            of = "shifts" if isinstance(self.shifts, int) else "shifts[0]"
            (shifts,), (dims,) = shifts, dims
        else:
            of = _each("shifts", self.shifts, len(dims))
        free = (Arg(of, shifts, "shifts"), Arg(repr(dims), dims, "dims"))
        return Call(None, forward="x0.roll(shifts, dims)", free=free)
