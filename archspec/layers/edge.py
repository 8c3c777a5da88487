"""The edges of space: pad, crop, roll → torch.nn pads and tensor methods.

pad: [1, [0, 2]], on [4, 8, 9]      nn.ZeroPad2d((0, 2, 1, 1))      [4, 10, 11]
crop: 5, on [4, 8, 9]               CenterCrop(5, 5)                [4, 5, 5]
"""

from __future__ import annotations

from dataclasses import replace
from itertools import chain
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from archspec.layers.axis import place
from archspec.layers.base import (
    INPUT,
    NOTHING,
    Arg,
    Call,
    Kept,
    Mismatch,
    Reach,
    Shape,
    TensorType,
    Window,
    along,
    unread,
)
from archspec.layers.fields import Axes, Axis, Cells, Number, PerAxis, Says, up_to
from archspec.layers.shape import Rearrange
from archspec.layers.strides import Lying, Strides, concatenated
from archspec.layers.window import SPATIAL, expect_dtype, expect_map, spread

_Amounts = Annotated[
    Axis | Annotated[tuple[Axis | Annotated[tuple[Axis, ...], up_to(2)], ...], up_to(8)],
    Says("a whole number, or a list of one per axis, each a number or [before, after]"),
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

    formats = (2, 3)
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
        ({"amounts": 1, "value": "-inf"}, ((4, 8, 9),)),
        ({"amounts": [2, 3], "axis": 0}, ((4, 8, 9),)),
        ({"amounts": [2, 0], "axis": 0, "value": "-inf"}, ((4, 9),)),
        ({"amounts": [-1, [2, -3]]}, ((4, 8, 9),)),
        ({"amounts": 1, "axis": -1}, ((6,),)),
    )

    amounts: _Amounts = Field(
        description="cells added, below 0 cut off: a number, or per axis one or [before, after]"
    )
    mode: Literal["zeros", "reflect", "replicate", "circular"] = Field(
        "zeros", description="what the added cells hold"
    )
    value: Number | Literal["-inf", "inf"] = Field(
        0.0, description="what they hold in mode `zeros`, if not 0"
    )
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
            axis, pair = place(self.op, self.axis, t), _both(self.amounts)
            return tuple(pair if a == axis else (0, 0) for a in range(t.rank))
        n = expect_map(self.op, t)
        if isinstance(self.amounts, int):
            return ((0, 0), *(_both(self.amounts),) * n)
        if len(self.amounts) != n:
            why = f"the input {t} has the spatial axes {', '.join(SPATIAL[n])}"
            raise self.misfit("amounts", why, "give one entry per spatial axis, or `axis`", "E302")
        return ((0, 0), *map(_both, self.amounts))

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
            if t.shape[a] + before + after < 1:
                message = f"`pad` cuts all {t.shape[a]} cells of axis {a} of the input {t}"
                raise Mismatch(message, code="E304")
        return (t.like([n + sum(s) for n, s in zip(t.shape, sides, strict=True)]),)

    def reach(self, t: TensorType) -> tuple[tuple[Reach, ...], ...]:
        windows = (
            Window(lo=-before, hi=-before, beyond=self.mode if max(before, after) > 0 else "zeros")
            for before, after in self.sides(t)
        )
        return (tuple(Reach(a, window) for a, window in enumerate(windows)),)

    def keeps(self, t: TensorType) -> Kept:
        return INPUT if self.mode in ("reflect", "replicate") else NOTHING

    def _torch(self, t: TensorType) -> Arg:
        """Torch's list: last axis first, before and after each."""
        if isinstance(self.amounts, int) and self.axis is None:
            return Arg(self.amounts)
        first = 1 if self.axis is None else place(self.op, self.axis, t)
        return Arg(tuple(chain(*reversed(self.sides(t)[first:]))))

    @property
    def _value(self) -> float:
        return float(self.value) if isinstance(self.value, str) else self.value

    def call(self, t: TensorType) -> Call:
        pad = self._torch(t)
        if self.axis is not None:
            return Call("Pad", (pad, Arg(self._value, "value", 0.0)))
        if self.mode == "zeros" and self.value != 0:
            return Call(f"nn.ConstantPad{t.rank - 1}d", (pad, Arg(self._value)))
        return Call(f"nn.{_PADS[self.mode]}{t.rank - 1}d", (pad,))

    def function(self, t: TensorType) -> Call | None:
        first = 1 if self.axis is None else place(self.op, self.axis, t)
        amounts = Arg(tuple(chain(*reversed(self.sides(t)[first:]))), "amounts")
        word = "constant" if self.mode == "zeros" else self.mode
        given = [] if self.mode == "zeros" and self.value == 0 else [Arg(word, "mode")]
        more = given if self.value == 0 else [*given, Arg(self._value, "value")]
        named = "".join(f", {a.name}={a.name}" for a in more)
        return Call(None, forward=f"nn.functional.pad(x0, amounts{named})", free=(amounts, *more))


def _both(value: int | tuple[Any, ...]) -> tuple[int, int]:
    """Before and after: one number for both, or [before, after]."""
    return (value, value) if isinstance(value, int) else (value[0], value[-1])


class LikeOther(Rearrange):
    """What ops have in common that give space a size, their own or that of a second input."""

    takes = ("x", "like?")

    def space_of(self, like: TensorType, t: TensorType) -> tuple[int, ...]:
        """The sizes of the second input. Raises Mismatch when its rank is another."""
        if like.rank != t.rank:
            message = f"`{self.op}` takes two inputs of equal rank; they are {t} and {like}"
            raise Mismatch(message, code="E203")
        return like.shape[1:]


class Crop(LikeOther):
    """A window cut out of space, of a given size or of that of a second input (U-Net's skips)."""

    op = "crop"
    target = "Crop"
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

    def sizes(self, t: TensorType, like: TensorType | None = None) -> tuple[int, ...]:
        """The window's size along each spatial axis. Raises Mismatch."""
        expect_map(self.op, t)
        if like is not None and self.size is not None:
            message = "`crop` has a `size` and a second input, which gives the size too"
            raise Mismatch(message, "leave one of them out", "E311")
        if like is not None:
            return self.space_of(like, t)
        if self.size is None:
            message = "`crop` needs `size`, or a second input whose size it takes"
            raise Mismatch(message, "write `from: [x, y]`, or `size`", "E311")
        return spread(self.op, "size", self.size, t)

    def starts(self, t: TensorType, like: TensorType | None = None) -> tuple[int, ...]:
        """The first cell along each spatial axis. Raises Mismatch when the window does not fit."""
        sizes = self.sizes(t, like)
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

    def infer(self, t: TensorType, like: TensorType | None = None) -> tuple[TensorType, ...]:
        self.starts(t, like)
        return (t.like((t.shape[0], *self.sizes(t, like))),)

    def reach(self, t: TensorType, like: TensorType | None = None) -> tuple[tuple[Reach, ...], ...]:
        starts = enumerate(self.starts(t, like), 1)
        return ((Reach(0), *(Reach(a, Window(lo=n, hi=n)) for a, n in starts)), *unread(like))

    def depends_on_size(self, t: TensorType, like: TensorType | None = None) -> bool:
        return bool(self.offset == "center")

    def call(self, t: TensorType, like: TensorType | None = None) -> Call:
        n = t.rank - 1
        if self.offset == "center" and like is not None:
            return Call("CropLike", (Arg(n),), "self(x0, x1)")
        if self.offset == "center":
            return Call("CenterCrop", tuple(map(Arg, self.sizes(t))))
        if like is not None:
            return Call("CropAt", tuple(map(Arg, self.starts(t, like))), "self(x0, x1)")
        return self._narrowed(t)

    def function(self, t: TensorType, like: TensorType | None = None) -> Call | None:
        return self._narrowed(t) if like is None else None

    def _narrowed(self, t: TensorType) -> Call:
        starts = map(Arg, self.starts(t))
        forward, free = "x0", []  # cut along one axis after the other
        sizes = map(Arg, self.sizes(t))
        for a, (start, size) in enumerate(zip(starts, sizes, strict=True)):
            free += [replace(start, name=f"o{a}"), replace(size, name=f"s{a}")]
            forward += f".narrow({a + 2}, o{a}, s{a})"
        return Call(None, forward=forward, free=tuple(free))

    def module(self, t: TensorType, like: TensorType | None = None) -> Call:
        call = self.call(t, like)
        if call.target is not None:
            return call if like is None else Call(None)
        return Call(
            self.target,
            (
                Arg(tuple(a.value for a in call.free[::2])),
                Arg(tuple(a.value for a in call.free[1::2])),
            ),
        )


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
        moved = {
            a: Reach(a, Window(lo=-s, hi=-s, beyond="circular"))
            for a, s in self.places(t)
            if s % t.shape[a]
        }
        return (along(t.rank, moved),)

    def lies(self, out: Shape, *given: Lying) -> Strides | None:
        """Of its two parts, the one behind the other, along one axis after the other."""
        (lying,) = given
        for axis, shift in self.places(TensorType(out[1:])):
            many = shift % out[axis + 1]
            sides = (many, out[axis + 1] - many)
            parts = [((*out[: axis + 1], n, *out[axis + 2 :]), lying[1]) for n in sides]
            lying = out, concatenated(out, parts)
        return lying[1]

    def call(self, t: TensorType) -> Call:
        axes, shifts = zip(*self.places(t), strict=True)
        dims: Any = tuple(a + 1 for a in axes)
        if len(dims) == 1:
            (shifts,), (dims,) = shifts, dims
        free = (Arg(shifts, "shifts"), Arg(dims, "dims"))
        return Call(None, forward="x0.roll(shifts, dims)", free=free)
