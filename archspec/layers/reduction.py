"""Many cells of some axes → one: sum, mean, norm …, and what is counted along an axis.

reduce: mean, on [4, 8, 9]                       x0.mean((1, 2, 3))             []
reduce: {by: max, axis: 0, keep: true}, there    x0.amax(1, keepdim=True)       [1, 8, 9]
normalize: {axis: 0}, there                      nn.functional.normalize(x0)    [4, 8, 9]
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from pydantic import Field

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
    TensorType,
    Window,
    along,
)
from archspec.layers.fields import Axes, Axis, Count, Epsilon, Flag, Positive, Size
from archspec.layers.window import Alike, expect_dtype

_METHODS = {
    "sum": "sum",
    "mean": "mean",
    "max": "amax",
    "min": "amin",
    "var": "var",
    "norm": "norm",
}


class Reduce(Layer):
    """The sum, mean, largest, smallest, variance or norm of all cells of one axis or several.

    torch.sum, mean, amax, amin, var, linalg.vector_norm. Without `axis` of all there are.
    """

    op = "reduce"
    elsewhere = ("reducemean", "reducesum", "reducemax")
    family = "merge"
    functional = True
    examples = (
        ({"by": "sum"}, ((4, 9),)),
        ({"by": "mean", "axis": [1, 2]}, ((4, 8, 9),)),
        ({"by": "max", "axis": 0, "keep": True}, ((4, 8, 9),)),
        ({"by": "min", "axis": -1}, ((4, 9),)),
        ({"by": "var", "axis": [0, -1], "keep": True}, ((4, 8, 9),)),
        ({"by": "var", "correction": 0}, ((7,),)),
        ({"by": "norm", "axis": 0}, ((4, 8, 9),)),
        ({"by": "norm", "order": 1, "axis": -1, "keep": True}, ((4, 9),)),
    )

    by: Literal["sum", "mean", "max", "min", "var", "norm"] = Field(
        description="what becomes of the cells"
    )
    axis: Axis | Axes | None = Field(None, description="the axis or axes; all when left out")
    keep: Flag = Field(False, description="the axes stay, with one cell")
    order: Positive = Field(2, description="of the norm: 2 is the length, 1 the sum of sizes")
    correction: Count = Field(1, description="of the variance: it is divided by cells less this")

    def check(self) -> None:
        for name, by in (("order", "norm"), ("correction", "var")):
            if self.by != by and name in self.model_fields_set:
                raise self.bad(name, f"it belongs to `by: {by}`, which is {self.by} here")

    def places(self, t: TensorType) -> tuple[int, ...]:
        """The axes that go, from 0. Raises Mismatch."""
        if not t.shape:  # of no axes torch takes all, those of the batch too
            message = f"`{self.op}` is over all axes; the input {t} has no axes"
            raise Mismatch(message, "leave it out", "E302")
        if self.axis is None:
            return tuple(range(t.rank))
        given = (self.axis,) if isinstance(self.axis, int) else self.axis
        found = tuple(place(self.op, axis, t) for axis in given)
        if len(set(found)) < len(found):
            raise self.misfit("axis", f"it names an axis of the input {t} twice", code="E302")
        return found

    def label(self, axes: int) -> str:
        return self.by

    def infer(self, t: TensorType) -> tuple[TensorType, ...]:
        expect_dtype(self.op, t)
        places = self.places(t)
        if self.keep:
            return (t.like([1 if a in places else n for a, n in enumerate(t.shape)]),)
        return (t.like([n for a, n in enumerate(t.shape) if a not in places]),)

    def reach(self, t: TensorType) -> tuple[tuple[Reach, ...], ...]:
        places = self.places(t)
        stay = [a for a in range(t.rank) if self.keep or a not in places]
        return (tuple(WHOLE if a in places else Reach(stay.index(a)) for a in range(t.rank)),)

    def flops(self, ins: tuple[TensorType, ...], outs: tuple[TensorType, ...]) -> int:
        return ins[0].size * (3 if self.by == "var" else 2 if self.by == "norm" else 1)

    def keeps(self, t: TensorType) -> Kept:
        if self.by in ("sum", "mean"):
            return NOTHING
        return Kept(inputs=(0,), outputs=() if self.by == "var" else (0,))

    def call(self, t: TensorType) -> Call:
        axes = Arg(self._torch_axes(t), "axes")
        more = []
        if self.by == "norm":
            more = [Arg(self.order, "order")]
        elif self.by == "var" and self.correction != 1:
            more = [Arg(self.correction, "correction")]
        given = f", {more[0].name}={more[0].name}" if self.by == "var" and more else ""
        keep = ", keepdim=True" if self.keep else ""
        forward = f"x0.{_METHODS[self.by]}(axes{given}{keep})"
        if self.by == "norm":
            forward = f"torch.linalg.vector_norm(x0, order, axes{keep})"
        return Call(None, forward=forward, free=(axes, *more))

    def _torch_axes(self, t: TensorType) -> int | tuple[int, ...]:
        if isinstance(self.axis, int):
            return int(torch_axis(self.axis).value)
        axes = range(t.rank) if self.axis is None else self.axis
        return tuple(torch_axis(axis).value for axis in axes)

    def module(self, t: TensorType) -> Call:
        dims = (Arg(self.by), Arg(self._torch_axes(t)))
        return Call("Reduce", (*dims, *self.args("order", "correction", keep="keepdim")))


class Normalize(Alike):
    """Divided by the norm of the cells along an axis: torch.nn.functional.normalize."""

    autocast = "full"
    op = "normalize"
    cellwise = True
    elsewhere = ("l2normalize", "l2norm", "unitnorm")
    family = "norm"
    target = "Normalize"
    functional = True
    examples = (
        ({}, ((4,),)),
        ({"axis": 0}, ((4, 8, 9),)),
        ({"order": 1, "eps": 1e-6}, ((4, 9),)),
    )

    axis: Axis = Field(-1, description="the axis whose cells are taken together")
    order: Positive = Field(2.0, description="of the norm: 2 is the length, 1 the sum of sizes")
    eps: Epsilon = Field(1e-12, description="the least that is divided by")

    def infer(self, t: TensorType) -> tuple[TensorType, ...]:
        place(self.op, self.axis, t)
        return super().infer(t)

    def reach(self, t: TensorType) -> tuple[tuple[Reach, ...], ...]:
        return (along(t.rank, {place(self.op, self.axis, t): WHOLE}),)

    def flops(self, ins: tuple[TensorType, ...], outs: tuple[TensorType, ...]) -> int:
        return 3 * ins[0].size

    def keeps(self, t: TensorType) -> Kept:
        """The input, its norm before and behind the limit; the latter as large as the input."""
        axis = place(self.op, self.axis, t)
        return Kept(inputs=(0,), bytes=2 * t.resized(axis, 1).bytes)

    def call(self, t: TensorType) -> Call:
        axis = torch_axis(self.axis, "dim")
        free = [axis, *self.args("eps", order="p")]
        given = [a for a in free if a.value != {"p": 2.0, "dim": 1, "eps": 1e-12}[a.name or ""]]
        words = "".join(f", {a.name}={a.name}" for a in given)
        return Call(None, forward=f"nn.functional.normalize(x0{words})", free=tuple(given))

    def module(self, t: TensorType) -> Call:
        dim = Arg(torch_axis(self.axis).value, "dim", 1)
        return Call("Normalize", (dim, *self.args("eps", order="p")))


class Cumsum(Alike):
    """The sum of a cell and all before it along an axis: torch.cumsum."""

    autocast = "full"
    op = "cumsum"
    family = "merge"
    target = "Cumsum"
    functional = True
    work = 1
    examples = (({}, ((7,),)), ({"axis": 0}, ((4, 9),)), ({"axis": 1}, ((4, 8, 9),)))

    axis: Axis = Field(-1, description="the axis along which is summed")

    def infer(self, t: TensorType) -> tuple[TensorType, ...]:
        place(self.op, self.axis, t)
        return super().infer(t)

    def reach(self, t: TensorType) -> tuple[tuple[Reach, ...], ...]:
        axis = place(self.op, self.axis, t)
        return (along(t.rank, {axis: Reach(axis, Window(lo=1 - t.shape[axis], hi=0))}),)

    def call(self, t: TensorType) -> Call:
        return Call(None, forward="x0.cumsum(axis)", free=(torch_axis(self.axis, "axis"),))


class Argmax(Layer):
    """The place of the largest cell along an axis, a whole number: torch.argmax.

    Of whole numbers too: where the last token stands, if its number is the highest.
    """

    op = "argmax"
    family = "merge"
    target = "Argmax"
    functional = True
    examples = (({}, ((7,),)), ({"axis": 0}, ((4, 8, 9),)), ({"keep": True}, ((4, 9),)))

    axis: Axis = Field(-1, description="the axis along which is looked")
    keep: Flag = Field(False, description="the axis stays, with one cell")

    def infer(self, t: TensorType) -> tuple[TensorType, ...]:
        if t.dtype == "bool":
            raise Mismatch("`argmax` takes numbers; the input holds bool", code="E303")
        axis = place(self.op, self.axis, t)
        rest = (1,) if self.keep else ()
        return (TensorType((*t.shape[:axis], *rest, *t.shape[axis + 1 :]), "int", map=t.map),)

    def reach(self, t: TensorType) -> tuple[tuple[Reach, ...], ...]:
        axis = place(self.op, self.axis, t)
        gone = not self.keep
        return (
            tuple(WHOLE if a == axis else Reach(a - (gone and a > axis)) for a in range(t.rank)),
        )

    def call(self, t: TensorType) -> Call:
        keep = ", keepdim=True" if self.keep else ""
        axis = torch_axis(self.axis, "axis")
        return Call(None, forward=f"x0.argmax(axis{keep})", free=(axis,))

    def module(self, t: TensorType) -> Call:
        dim = torch_axis(self.axis)
        return Call("Argmax", (dim, *self.args(keep="keepdim")))


class TopK(Layer):
    """The largest cells along an axis, largest first, and their places: torch.topk.

    Of rows [N, D] with scores [N] the best are `{from: scores, top_k: 3}`, then `gather` by its
    `indices`.
    """

    op = "top_k"
    elsewhere = ("topk",)
    family = "merge"
    functional = True
    gives = ("output", "indices")
    kept = Kept(outputs=(1,))
    examples = (
        ({"k": 3}, ((6,),)),
        ({"k": 2, "axis": 0}, ((4, 8, 9),)),
        ({"k": 9, "largest": False}, ((4, 9),)),
    )

    k: Size = Field(description="how many")
    axis: Axis = Field(-1, description="the axis along which is looked")
    largest: Flag = Field(True, description="false: the smallest, smallest first")

    def infer(self, t: TensorType) -> tuple[TensorType, ...]:
        if t.dtype == "bool":
            raise Mismatch("`top_k` takes numbers; the input holds bool", code="E303")
        axis = place(self.op, self.axis, t)
        if self.k > t.shape[axis]:
            why = f"axis {axis} of the input {t} has {t.shape[axis]} cells"
            raise self.misfit(
                "k", why, f'"$(min({self.k}, prev.shape[{axis}]))" takes all there are'
            )
        found = t.resized(axis, self.k)
        return found, replace(found, dtype="int")

    def reach(self, t: TensorType) -> tuple[tuple[Reach, ...], ...]:
        return (along(t.rank, {place(self.op, self.axis, t): WHOLE}),)

    def call(self, t: TensorType) -> Call:
        free = (Arg(self.k, "k"), torch_axis(self.axis, "axis"))
        order = "" if self.largest else ", largest=False"
        return Call(None, forward=f"x0.topk(k, axis{order})", free=free, results=("r[0]", "r[1]"))
