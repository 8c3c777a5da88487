"""Kernel, stride, dilation, padding → windows along space, or the sentence why they do not fit.

kernel 3, stride 2, padding `same`, on [3, 9, 10]
    one cell before and after H, one after W; the output is 5×5
    output cell o reads the cells 2·o - 1 … 2·o + 1 along H, 2·o … 2·o + 2 along W
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from archspec.layers.base import Arg, BadArgument, Layer, Mismatch, Reach, TensorType, Window
from archspec.layers.fields import PerAxis
from archspec.text.words import joined, written
from archspec.units import each, sides

SPATIAL = {1: ("L",), 2: ("H", "W"), 3: ("D", "H", "W")}
_MAPS = {n: "[C, " + ", ".join(axes) + "]" for n, axes in SPATIAL.items()}


_OTHER = {  # what to do with (values of this kind, where these are wanted)
    ("int", "float"): (
        "give it an `embedding` first; a `constant` of numbers with a point, `2.0`, is float, and "
        "so is `arange: [0.0, 8]`"
    ),
    ("bool", "float"): (
        "true and false are for the masks of attention; numbers, 1 and 0, are `float`"
    ),
    ("float", "int"): (
        "whole numbers are an input of `dtype: int`, or a `constant`, which `from` names"
    ),
}


def expect_dtype(op: str, t: TensorType, dtype: str = "float") -> None:
    """Raises Mismatch unless the input holds `dtype`."""
    if t.dtype != dtype:
        message = f"`{op}` takes {dtype} values; the input {t} holds {t.dtype}"
        raise Mismatch(message, _OTHER.get((t.dtype, dtype), ""), "E303")


def expect_map(op: str, t: TensorType, ranks: Sequence[int] = (1, 2, 3), least: int = 1) -> int:
    """The number of spatial axes of [C, L], [C, H, W] or [C, D, H, W]. Raises Mismatch."""
    n = t.rank - 1
    if n not in ranks:
        maps = joined((_MAPS[r] for r in ranks), "or")
        raise Mismatch(f"`{op}` takes {maps}; the input is {t}", "", "E302")
    expect_dtype(op, t)
    return n


def expect_places(op: str, t: TensorType, name: str = "the input") -> None:
    """Raises Mismatch unless it is [T, D]."""
    if t.rank != 2:
        message = f"`{op}` takes [T, D], places and features; {name} is {t}"
        help = "axes are joined with `flatten: 1`, exchanged with `permute`"
        raise Mismatch(message, help, "E302")
    expect_dtype(op, t)


class Alike(Layer):
    """What ops have in common whose output is like their one input, which holds numbers."""

    def infer(self, t: TensorType) -> tuple[TensorType, ...]:
        expect_dtype(self.op, t)
        return (t,)


def square(window: int | tuple[int, ...]) -> tuple[int, ...]:
    """Cells along each axis of a window; one number is a square."""
    return (window, window) if isinstance(window, int) else window


def expect_one_length(op: str, values: Mapping[str, object]) -> None:
    """Raises BadArgument where lists of one number per axis differ in length."""
    lists = {name: value for name, value in values.items() if isinstance(value, tuple)}
    if len(set(map(len, lists.values()))) > 1:
        shown = ", ".join(f"`{name}` {written(value)}" for name, value in lists.items())
        raise BadArgument(None, f"`{op}` has lists of different lengths: {shown}", code="E217")


def spread(op: str, name: str, value: Any, t: TensorType) -> tuple[int, ...]:
    """One number per spatial axis. Raises Mismatch when a list has another length."""
    n = t.rank - 1
    if isinstance(value, int):
        return (value,) * n
    if len(value) != n:
        numbers = "one number" if len(value) == 1 else f"{len(value)} numbers"
        axes = f"{n} spatial {'axis' if n == 1 else 'axes'} ({', '.join(SPATIAL[n])})"
        message = f"`{name}` of `{op}` is {written(value)}, {numbers}; the input {t} has {axes}"
        raise Mismatch(message, "", "E302")
    return tuple(value)


def per_axis(*values: PerAxis) -> list[tuple[int, ...]]:
    """The values of one axis after the other; one number is that of every axis."""
    count = max(len(value) if isinstance(value, tuple) else 1 for value in values)
    alike = (value if isinstance(value, tuple) else (value,) * count for value in values)
    return list(zip(*alike, strict=True))


def same_is_plain(kernel: PerAxis, stride: PerAxis, dilation: PerAxis) -> bool:
    """Whether `padding: same` is one number at every size: stride 1 and an even number of cells."""
    axes = per_axis(kernel, stride, dilation)
    return all(k == 1 or (s == 1 and d * (k - 1) % 2 == 0) for k, s, d in axes)


def padding(word: str, size: int, window: tuple[int, int, int]) -> tuple[int, int]:
    """Cells before and after an axis for a padding word; `window` is kernel, stride, dilation."""
    kernel, stride, dilation = window
    reach = dilation * (kernel - 1)
    if word == "same":
        total = max((-(-size // stride) - 1) * stride + reach + 1 - size, 0)
        return total // 2, total - total // 2
    before = {"valid": 0, "half": reach // 2, "full": reach, "causal": reach}[word]
    return before, 0 if word == "causal" else before


def padding_arg(word: Any, kernel: PerAxis, dilation: PerAxis) -> Arg:
    """The torch argument `padding` of a symmetric padding."""
    if not isinstance(word, str):
        return Arg(word, "padding", 0)
    axes = per_axis(kernel, dilation)
    values = [d * (k - 1) // (1 if word == "full" else 2) for k, d in axes]
    alone = isinstance(kernel, int) and isinstance(dilation, int)
    if word == "valid" or not (alone or any(values)):
        return Arg(0, "padding", 0)
    return Arg(values[0] if alone else tuple(values), "padding", 0)


def too_small(op: str, t: TensorType, axis: int, kernel: int, padded: int) -> Mismatch:
    """The sentence for a window that does not fit along spatial axis `axis`."""
    name = SPATIAL[t.rank - 1][axis]
    size = t.shape[axis + 1]
    cells = f"{size} cell{'s' * (size != 1)}"
    cells += "" if padded == size else f" ({padded} with padding)"
    message = f"`{op}` covers {kernel} cells along {name}, the input {t} has {cells}"
    return Mismatch(
        message, "pad the input, use a smaller kernel or fewer strides before it", "E304"
    )


@dataclass(frozen=True, slots=True)
class Slide:
    """The windows along one axis of `size` cells, `before` and `after` of them padding."""

    kernel: int
    stride: int
    dilation: int
    before: int
    after: int
    size: int
    out: int  # cells of the output

    @property
    def padded(self) -> int:
        return self.before + self.size + self.after

    @property
    def window(self) -> Window:
        last = self.dilation * (self.kernel - 1)
        return Window(stride=self.stride, lo=-self.before, hi=last - self.before)


class Windowed(Layer):
    """What ops have in common that move a window over space.

    A subclass has the parameters `kernel` and `stride`, and of `dilation`, `padding` and `ceil`
    those that torch's module has.
    """

    reads = "map"
    ranks: ClassVar[tuple[int, ...]] = (1, 2, 3)  # numbers of spatial axes that it takes
    channel: ClassVar[Reach] = Reach(0)  # how an output walks along the channels

    @property
    def window(self) -> tuple[PerAxis, PerAxis, PerAxis]:
        """Kernel, stride and dilation; the stride is the kernel where none is given."""
        given = vars(self)
        kernel, stride = given["kernel"], given["stride"]
        return kernel, kernel if stride is None else stride, given.get("dilation", 1)

    @property
    def around(self) -> Any:
        """The padding: a word, or numbers of cells."""
        return vars(self).get("padding", 0)

    def label(self, axes: int) -> str:
        kernel, stride, _ = self.window
        return window_label(self.title(), axes, kernel, None if stride == kernel else stride)

    def helped(self) -> bool:
        """Whether the padding is computed when the module runs."""
        if self.around == "same":
            return not same_is_plain(*self.window)
        return bool(self.around == "causal")

    def spread(self, t: TensorType) -> list[tuple[int, ...]]:
        """Kernel, stride and dilation along each spatial axis. Raises Mismatch."""
        named = zip(("kernel", "stride", "dilation"), self.window, strict=True)
        return [spread(self.op, name, value, t) for name, value in named]

    def slides_on(self, t: TensorType) -> tuple[Slide, ...]:
        """The windows on an input, sizes as torch computes them. Raises Mismatch: none fits."""
        expect_map(self.op, t, (1,) if self.around == "causal" else self.ranks)
        windows: list[Any] = list(zip(*self.spread(t), strict=True))
        if isinstance(self.around, str):
            sides = [padding(self.around, n, w) for n, w in zip(t.shape[1:], windows, strict=True)]
        else:
            sides = [(n, n) for n in spread(self.op, "padding", self.around, t)]
        return tuple(
            self._slide(t, a, w, pad) for a, (w, pad) in enumerate(zip(windows, sides, strict=True))
        )

    def _slide(
        self, t: TensorType, axis: int, window: tuple[int, int, int], pad: tuple[int, int]
    ) -> Slide:
        size, ceil = t.shape[axis + 1], vars(self).get("ceil", False)
        kernel, stride, dilation = window
        covers, padded = dilation * (kernel - 1) + 1, size + sum(pad)
        over = padded - covers
        out = (over + (stride - 1 if ceil else 0)) // stride + 1
        if ceil and (out - 1) * stride >= size + pad[0]:
            out -= 1  # torch: the last window starts inside the input or its left padding
        if (over < 0 and not ceil) or out < 1:
            raise too_small(self.op, t, axis, covers, padded)
        return Slide(*window, *pad, size, out)

    def reach(self, t: TensorType) -> tuple[tuple[Reach, ...], ...]:
        slides = enumerate(self.slides_on(t), 1)
        return ((self.channel, *(Reach(a, slide.window) for a, slide in slides)),)

    def depends_on_size(self, t: TensorType) -> bool:
        return self.helped() and self.around == "same" and max(self.spread(t)[1]) > 1

    def padded(self, t: TensorType) -> int:
        """Bytes of the input with the cells that are added before the windows move over it."""
        return 4 * t.shape[0] * math.prod(slide.padded for slide in self.slides_on(t))


def window_label(title: str, axes: int, kernel: PerAxis, stride: PerAxis | None) -> str:
    """`max pool 3×3 /2`; the stride left out where it is 1."""
    text = f"{title} {sides(kernel, axes)}"
    return text if stride in (None, 1) else f"{text} /{each(stride)}"
