"""Activations → torch.nn modules, each its own and out of place, so that hooks see them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from archspec.layers.axis import place, torch_axis
from archspec.layers.base import (
    INPUT,
    NOTHING,
    OUTPUT,
    WHOLE,
    Arg,
    BadArgument,
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
from archspec.layers.fields import Axis, Number, Positive, Real, Says, Size, up_to
from archspec.layers.registry import REGISTRY, create, ops_of
from archspec.layers.strides import Lying, Strides, cellwise
from archspec.layers.window import Alike, expect_dtype
from archspec.text.words import meant

_MAP: Any = (({}, ((4,),)), ({}, ((4, 8, 9),)))


class Activation(Alike):
    """What activations have in common: one torch module, cell by cell."""

    family = "activation"
    kept = INPUT
    work = 1
    cellwise = True
    broadcast = True
    examples = _MAP


class Relu(Activation):
    """max(x, 0): torch.nn.ReLU."""

    op = "relu"
    target = "nn.ReLU"
    kept = OUTPUT  # in which its derivative is written
    word = "ReLU"


class Relu6(Activation):
    """min(max(x, 0), 6): torch.nn.ReLU6."""

    op = "relu6"
    target = "nn.ReLU6"
    word = "ReLU6"


class LeakyRelu(Activation):
    """x, or a small share of it where it is negative: torch.nn.LeakyReLU."""

    op = "leaky_relu"
    target = "nn.LeakyReLU"
    elsewhere = ("lrelu",)
    word = "leaky ReLU"
    examples = (*_MAP, ({"negative_slope": 0.1}, ((4, 9),)))

    negative_slope: Number = Field(0.01, description="slope where x is negative")


class Prelu(Activation):
    """Leaky with a learned slope, one or one per channel: torch.nn.PReLU."""

    op = "prelu"
    target = "nn.PReLU"
    broadcast = False
    word = "PReLU"
    examples = (
        *_MAP,
        ({"num_parameters": 4, "init": 0.1}, ((4, 8, 9),)),
        ({"num_parameters": "channels"}, ((4, 9),)),
    )

    num_parameters: Size | Literal["channels"] = Field(
        1, description="slopes: 1, or as many as channels"
    )
    init: Number = Field(0.25, description="slope at the start")

    def count(self, t: TensorType) -> int:
        """The number of slopes."""
        said = self.num_parameters
        return math.prod(t.shape[:1]) if isinstance(said, str) else said

    def infer(self, t: TensorType) -> tuple[TensorType, ...]:
        count = self.count(t)
        if count not in (1, *t.shape[:1]):
            if not t.shape:
                raise self.misfit("num_parameters", f"the input {t} has no channels")
            why = f"it is 1 or the {t.shape[0]} channels of the input {t}"
            raise self.misfit("num_parameters", why, "write `num_parameters: channels`")
        return super().infer(t)

    def weights(self, t: TensorType) -> tuple[Weight, ...]:
        return (Weight("weight", (self.count(t),)),)

    def call(self, t: TensorType) -> Call:
        return self.made((Arg(self.count(t), None, 1), *self.args("init")), t)


class Elu(Activation):
    """x, or alpha·(exp(x) - 1) where it is negative: torch.nn.ELU."""

    op = "elu"
    target = "nn.ELU"
    word = "ELU"
    examples = (*_MAP, ({"alpha": 0.5}, ((4, 9),)))

    alpha: Number = Field(1.0, description="the negative limit")


class Celu(Activation):
    """x, or alpha·(exp(x / alpha) - 1) where it is negative: torch.nn.CELU."""

    op = "celu"
    target = "nn.CELU"
    word = "CELU"
    examples = (*_MAP, ({"alpha": 0.5}, ((4, 9),)))

    # torch divides by it, in float32
    alpha: Annotated[float, Real(3e-39)] = Field(1.0, description="the negative limit")


class Selu(Activation):
    """The self-normalising ELU: torch.nn.SELU."""

    op = "selu"
    target = "nn.SELU"
    word = "SELU"


class Gelu(Activation):
    """x times the normal distribution function of x: torch.nn.GELU."""

    op = "gelu"
    target = "nn.GELU"
    by_place = False
    word = "GELU"
    examples = (*_MAP, ({"approximate": "tanh"}, ((4, 9),)))

    approximate: Literal["none", "tanh"] = Field(
        "none", description="`tanh`: by a hyperbolic tangent"
    )


class QuickGelu(Activation):
    """x·sigmoid(1.702·x), which CLIP takes for GELU (Hendrycks and Gimpel 2016, section 2)."""

    op = "quick_gelu"
    target = "QuickGELU"
    work = 2
    word = "quick GELU"

    def keeps(self, t: TensorType) -> Kept:
        """The input, and its sigmoid."""
        return Kept(inputs=(0,), bytes=t.bytes)


class Silu(Activation):
    """x·sigmoid(x), also called Swish: torch.nn.SiLU."""

    op = "silu"
    elsewhere = ("swish",)
    target = "nn.SiLU"
    word = "SiLU"


class Mish(Activation):
    """x·tanh(softplus(x)): torch.nn.Mish."""

    op = "mish"
    target = "nn.Mish"
    word = "Mish"


class Hardswish(Activation):
    """x·relu6(x + 3)/6: torch.nn.Hardswish."""

    op = "hardswish"
    target = "nn.Hardswish"
    word = "hard swish"


class Hardsigmoid(Activation):
    """relu6(x + 3)/6: torch.nn.Hardsigmoid."""

    op = "hardsigmoid"
    target = "nn.Hardsigmoid"
    word = "hard sigmoid"


class Hardtanh(Activation):
    """x between two limits: torch.nn.Hardtanh."""

    op = "hardtanh"
    target = "nn.Hardtanh"
    word = "hard tanh"
    examples = (*_MAP, ({"min_val": 0.0, "max_val": 6.0}, ((4, 9),)))

    min_val: Number = Field(-1.0, description="lower limit")
    max_val: Number = Field(1.0, description="upper limit")

    def check(self) -> None:
        if self.max_val <= self.min_val:
            raise self.bad("max_val", f"it is above `min_val`, {self.min_val}")


class Sigmoid(Activation):
    """1/(1 + exp(-x)): torch.nn.Sigmoid."""

    op = "sigmoid"
    target = "nn.Sigmoid"
    kept = OUTPUT


class LogSigmoid(Activation):
    """The logarithm of the sigmoid: torch.nn.LogSigmoid."""

    op = "log_sigmoid"
    target = "nn.LogSigmoid"
    word = "log sigmoid"
    cellwise = False

    def keeps(self, t: TensorType) -> Kept:
        """The input, and on the CPU what the exponent was."""
        return Kept(inputs=(0,), bytes=t.bytes)


class Tanh(Activation):
    """The hyperbolic tangent: torch.nn.Tanh."""

    op = "tanh"
    target = "nn.Tanh"
    kept = OUTPUT


class Softplus(Activation):
    """log(1 + exp(beta·x))/beta: torch.nn.Softplus."""

    autocast = "full"
    op = "softplus"
    target = "nn.Softplus"
    examples = (*_MAP, ({"beta": 2.0, "threshold": 10.0}, ((4, 9),)))

    beta: Positive = Field(1.0, description="steepness")
    threshold: Number = Field(20.0, description="where it goes over into x")


class Abs(Activation):
    """The absolute value: torch.abs."""

    op = "abs"
    target = "Abs"


class Identity(Activation):
    """Nothing: torch.nn.Identity."""

    op = "identity"
    target = "nn.Identity"
    kept = NOTHING
    view = True
    cellwise = False
    work = 0
    same_numbers = still_linear = True

    def infer(self, t: TensorType) -> tuple[TensorType, ...]:
        return (t,)


class AlongAxis(Activation):
    """What looks at several cells of one axis at once: the softmaxes.

    A subclass says how many cells come out (`cells`, as many as went in unless said), and which of
    the cells one of them sees (`window`, all unless said).
    """

    work = 3
    broadcast = cellwise = False
    examples: ClassVar[Any] = (({}, ((7,),)), ({}, ((4, 9),)), ({"axis": 0}, ((4, 8, 9),)))

    axis: Axis = Field(-1, description="the axis whose cells are taken together")

    def cells(self, t: TensorType, axis: int) -> int:
        """How many cells come out along the axis. Raises Mismatch."""
        return t.shape[axis]

    def window(self, size: int) -> Window | None:
        """The cells, of so many along the axis, that one of the output sees; None: all."""
        return None

    def infer(self, t: TensorType) -> tuple[TensorType, ...]:
        (t,) = super().infer(t)
        axis = place(self.op, self.axis, t)
        return (t.resized(axis, self.cells(t, axis)),)

    def reach(self, t: TensorType) -> tuple[tuple[Reach, ...], ...]:
        axis = place(self.op, self.axis, t)
        window = self.window(t.shape[axis])
        return (along(t.rank, {axis: Reach(axis, window) if window else WHOLE}),)

    def call(self, t: TensorType) -> Call:
        return self.made((torch_axis(self.axis, "dim"),), t)


class Softmax(AlongAxis):
    """exp(x) over its sum along an axis: torch.nn.Softmax."""

    autocast = "full"
    op = "softmax"
    target = "nn.Softmax"
    kept = OUTPUT


class LogSoftmax(AlongAxis):
    """The logarithm of the softmax: torch.nn.LogSoftmax."""

    autocast = "full"
    op = "log_softmax"
    target = "nn.LogSoftmax"
    kept = OUTPUT


class Glu(AlongAxis):
    """The first half of an axis times the sigmoid of the second: torch.nn.GLU."""

    op = "glu"
    target = "nn.GLU"
    word = "GLU"
    examples: ClassVar[Any] = (
        ({}, ((6,),)),
        ({"axis": 0}, ((4, 8, 9),)),
        ({"axis": -1}, ((5, 4),)),
    )

    def cells(self, t: TensorType, axis: int) -> int:
        if t.shape[axis] % 2:
            raise Mismatch(f"`glu` halves axis {axis}; the input {t} has {t.shape[axis]} cells")
        return t.shape[axis] // 2

    def window(self, size: int) -> Window:
        return Window(lo=0, hi=size // 2)

    def lies(self, out: Shape, *given: Lying) -> Strides | None:
        """As its two halves."""
        return cellwise(out, [(out, given[0][1])] * 2)


class Maxout(Activation):
    """The largest of every `pieces` neighbouring channels (Goodfellow et al. 2013)."""

    op = "maxout"
    target = "Maxout"
    broadcast = cellwise = False
    kept = Kept(inputs=(0,), outputs=(0,))
    examples = (
        ({"pieces": 2}, ((4,),)),
        ({"pieces": 2}, ((4, 8, 9),)),
        ({"pieces": 3, "axis": -1}, ((4, 9),)),
    )

    pieces: Size = Field(description="channels of which the largest is taken")
    axis: Axis = Field(0, description="the axis of the channels")

    def infer(self, t: TensorType) -> tuple[TensorType, ...]:
        expect_dtype(self.op, t)
        axis = place(self.op, self.axis, t)
        n = t.shape[axis]
        self.expect_divisor("pieces", n, f"cells of axis {axis} of the input {t}")
        return (t.resized(axis, n // self.pieces),)

    def reach(self, t: TensorType) -> tuple[tuple[Reach, ...], ...]:
        axis = place(self.op, self.axis, t)
        pieces = Window(stride=self.pieces, lo=0, hi=self.pieces - 1)
        return (along(t.rank, {axis: Reach(axis, pieces)}),)

    def flops(self, ins: tuple[TensorType, ...], outs: tuple[TensorType, ...]) -> int:
        return ins[0].size

    def call(self, t: TensorType) -> Call:
        return self.made(
            (*self.args("pieces"), replace(torch_axis(self.axis, "dim"), default=1)), t
        )


class Named(Layer):
    """An activation by name, so that a param can say which.

    `activation: relu` or `activation: {leaky_relu: 0.1}`. It stands for that activation
    and is replaced by it when it is made.
    """

    op = "activation"
    family = "activation"
    examples = (
        ({"name": "relu"}, ((4, 8, 9),)),
        ({"name": {"leaky_relu": 0.1}}, ((4, 8, 9),)),
        ({"name": {"elu": {"alpha": 0.5}}}, ((4,),)),
    )

    name: Annotated[
        Annotated[str, Field(strict=True)] | Annotated[dict[str, Any], up_to(1)],
        Says("the name of an activation, or `{name: parameters}`"),
    ] = Field(description="an activation, or a mapping from its name to its parameters")

    def resolve(self) -> Layer:
        name, args = (
            (self.name, None) if isinstance(self.name, str) else next(iter(self.name.items()))
        )
        cls = REGISTRY.get(name)
        if cls is None or cls.family != self.family or cls is Named:
            what = "which is no activation" if cls is None else "an op that is no activation"
            others = [op for op in ops_of(self.family) if op != self.op]
            message = f"`name` of `activation` is {name}, {what}"
            raise BadArgument("name", message, meant(name, others))
        return create(name, arguments(name, args))


def arguments(op: str, value: Any) -> dict[str, Any]:
    """The value of an op's key as parameters by name; a scalar is the main one's."""
    if value is None:
        return {}
    if isinstance(value, Mapping):
        return dict(value)
    main = REGISTRY[op].main()
    if main is None:
        raise BadArgument(None, f"`{op}` takes no parameters", code="E208")
    return {main: value}
