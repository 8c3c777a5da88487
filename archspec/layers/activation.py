"""Activations → torch.nn modules, each its own and out of place, so that hooks see them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from archspec.layers.axis import place, torch_axis
from archspec.layers.base import (
    WHOLE,
    Arg,
    BadArgument,
    Call,
    Kept,
    Layer,
    Mismatch,
    Reach,
    TensorType,
    Weight,
    Window,
)
from archspec.layers.fields import AXIS, DIM, NUMBER, POSITIVE, Either, Kind, Word, Wrong, field
from archspec.layers.window import expect_dtype

_MAP: Any = (({}, ((4,),)), ({}, ((4, 8, 9),)))


class Activation(Layer):
    """What activations have in common: one torch module, cell by cell."""

    family: ClassVar[str] = "activation"
    target: ClassVar[str]
    keeps_output: ClassVar[bool] = False  # its derivative is written in its output, not its input
    work: ClassVar[int] = 1
    examples: ClassVar[Any] = _MAP
    op: ClassVar[str]

    def infer(self, *ins: TensorType) -> tuple[TensorType, ...]:
        expect_dtype(self.op, ins[0])
        return ins[:1]

    def keeps(self, *ins: TensorType) -> Kept:
        return Kept(outputs=(0,)) if self.keeps_output else Kept(inputs=(0,))

    def args(self) -> tuple[Arg, ...]:
        """The module's arguments: the fields, under torch's names."""
        return tuple(
            Arg(n, v, n if i else None, self.fields[n].default)
            for i, (n, v) in enumerate(self.values().items())
        )

    def call(self, *ins: TensorType) -> Call:
        return Call(self.target, self.args(), broadcast=True)


class Relu(Activation):
    """max(x, 0): torch.nn.ReLU."""

    op: ClassVar[str] = "relu"
    target: ClassVar[str] = "nn.ReLU"
    keeps_output: ClassVar[bool] = True


class Relu6(Activation):
    """min(max(x, 0), 6): torch.nn.ReLU6."""

    op: ClassVar[str] = "relu6"
    target: ClassVar[str] = "nn.ReLU6"


class LeakyRelu(Activation):
    """x, or a small share of it where it is negative: torch.nn.LeakyReLU."""

    op: ClassVar[str] = "leaky_relu"
    target: ClassVar[str] = "nn.LeakyReLU"
    examples: ClassVar[Any] = (*_MAP, ({"negative_slope": 0.1}, ((4, 9),)))

    negative_slope: float = field(NUMBER, default=0.01, doc="slope where x is negative")


class Prelu(Activation):
    """Leaky with a learned slope, one or one per channel: torch.nn.PReLU."""

    op: ClassVar[str] = "prelu"
    target: ClassVar[str] = "nn.PReLU"
    examples: ClassVar[Any] = (
        *_MAP,
        ({"num_parameters": 4, "init": 0.1}, ((4, 8, 9),)),
        ({"num_parameters": "channels"}, ((4, 9),)),
    )

    num_parameters: int | str = field(
        Either(DIM, Word("channels")), default=1, doc="slopes: 1, or as many as channels"
    )
    init: float = field(NUMBER, default=0.25, doc="slope at the start")

    def count(self, t: TensorType) -> int:
        """The number of slopes."""
        return t.shape[0] if isinstance(self.num_parameters, str) else self.num_parameters

    def infer(self, *ins: TensorType) -> tuple[TensorType, ...]:
        (t,) = ins
        count = self.count(t)
        if count not in (1, t.shape[0]):
            message = (
                f"`num_parameters` of `prelu` is {count}; it is 1 or the {t.shape[0]} channels "
                f"of the input {t}"
            )
            raise Mismatch(message, "write `num_parameters: channels`", "E305")
        return super().infer(*ins)

    def weights(self, *ins: TensorType) -> tuple[Weight, ...]:
        return (Weight("weight", (self.count(ins[0]),)),)

    def call(self, *ins: TensorType) -> Call:
        of = "x0[0]" if self.num_parameters == "channels" else "num_parameters"
        args = (Arg(of, self.count(ins[0]), None, 1), Arg("init", self.init, "init", 0.25))
        return Call(self.target, args)


class Elu(Activation):
    """x, or alpha·(exp(x) - 1) where it is negative: torch.nn.ELU."""

    op: ClassVar[str] = "elu"
    target: ClassVar[str] = "nn.ELU"
    examples: ClassVar[Any] = (*_MAP, ({"alpha": 0.5}, ((4, 9),)))

    alpha: float = field(NUMBER, default=1.0, doc="the negative limit")


class Selu(Activation):
    """The self-normalising ELU: torch.nn.SELU."""

    op: ClassVar[str] = "selu"
    target: ClassVar[str] = "nn.SELU"


class Gelu(Activation):
    """x times the normal distribution function of x: torch.nn.GELU."""

    op: ClassVar[str] = "gelu"
    target: ClassVar[str] = "nn.GELU"
    examples: ClassVar[Any] = (*_MAP, ({"approximate": "tanh"}, ((4, 9),)))

    approximate: str = field(
        Word("none", "tanh"), default="none", doc="`tanh`: by a hyperbolic tangent"
    )

    def args(self) -> tuple[Arg, ...]:
        return (Arg("approximate", self.approximate, "approximate", "none"),)


class Silu(Activation):
    """x·sigmoid(x), also called Swish: torch.nn.SiLU."""

    op: ClassVar[str] = "silu"
    target: ClassVar[str] = "nn.SiLU"


class Mish(Activation):
    """x·tanh(softplus(x)): torch.nn.Mish."""

    op: ClassVar[str] = "mish"
    target: ClassVar[str] = "nn.Mish"


class Hardswish(Activation):
    """x·relu6(x + 3)/6: torch.nn.Hardswish."""

    op: ClassVar[str] = "hardswish"
    target: ClassVar[str] = "nn.Hardswish"


class Hardsigmoid(Activation):
    """relu6(x + 3)/6: torch.nn.Hardsigmoid."""

    op: ClassVar[str] = "hardsigmoid"
    target: ClassVar[str] = "nn.Hardsigmoid"


class Hardtanh(Activation):
    """x between two limits: torch.nn.Hardtanh."""

    op: ClassVar[str] = "hardtanh"
    target: ClassVar[str] = "nn.Hardtanh"
    examples: ClassVar[Any] = (*_MAP, ({"min_val": 0.0, "max_val": 6.0}, ((4, 9),)))

    min_val: float = field(NUMBER, default=-1.0, doc="lower limit")
    max_val: float = field(NUMBER, default=1.0, doc="upper limit")

    def check(self) -> None:
        if self.max_val <= self.min_val:
            message = (
                f"`max_val` of `hardtanh` is {self.max_val}; it is above `min_val`, {self.min_val}"
            )
            raise BadArgument("max_val", message, code="E217")


class Sigmoid(Activation):
    """1/(1 + exp(-x)): torch.nn.Sigmoid."""

    op: ClassVar[str] = "sigmoid"
    target: ClassVar[str] = "nn.Sigmoid"
    keeps_output: ClassVar[bool] = True


class Tanh(Activation):
    """The hyperbolic tangent: torch.nn.Tanh."""

    op: ClassVar[str] = "tanh"
    target: ClassVar[str] = "nn.Tanh"
    keeps_output: ClassVar[bool] = True


class Softplus(Activation):
    """log(1 + exp(beta·x))/beta: torch.nn.Softplus."""

    op: ClassVar[str] = "softplus"
    target: ClassVar[str] = "nn.Softplus"
    examples: ClassVar[Any] = (*_MAP, ({"beta": 2.0, "threshold": 10.0}, ((4, 9),)))

    beta: float = field(POSITIVE, default=1.0, doc="steepness")
    threshold: float = field(NUMBER, default=20.0, doc="where it goes over into x")


class Abs(Activation):
    """The absolute value: torch.abs."""

    op: ClassVar[str] = "abs"
    target: ClassVar[str] = "Abs"


class Identity(Activation):
    """Nothing: torch.nn.Identity."""

    op: ClassVar[str] = "identity"
    target: ClassVar[str] = "nn.Identity"
    view: ClassVar[bool] = True
    work: ClassVar[int] = 0

    def infer(self, *ins: TensorType) -> tuple[TensorType, ...]:
        return ins[:1]

    def keeps(self, *ins: TensorType) -> Kept:
        return Kept()


class AlongAxis(Activation):
    """What a softmax does: all the cells of one axis together."""

    work: ClassVar[int] = 3
    keeps_output: ClassVar[bool] = True
    examples: ClassVar[Any] = (({}, ((7,),)), ({}, ((4, 9),)), ({"axis": 0}, ((4, 8, 9),)))

    axis: int = field(AXIS, default=-1, doc="the axis that sums to one")

    def infer(self, *ins: TensorType) -> tuple[TensorType, ...]:
        (t,) = ins
        expect_dtype(self.op, t)
        place(self.op, self.axis, t)
        return ins

    def reach(self, *ins: TensorType) -> tuple[tuple[Reach, ...], ...]:
        axis = place(self.op, self.axis, ins[0])
        return (tuple(WHOLE if a == axis else Reach(a) for a in range(ins[0].rank)),)

    def call(self, *ins: TensorType) -> Call:
        return Call(self.target, (torch_axis(self.axis, keyword="dim"),))


class Softmax(AlongAxis):
    """exp(x) over its sum along an axis: torch.nn.Softmax."""

    op: ClassVar[str] = "softmax"
    target: ClassVar[str] = "nn.Softmax"


class LogSoftmax(AlongAxis):
    """The logarithm of the softmax: torch.nn.LogSoftmax."""

    op: ClassVar[str] = "log_softmax"
    target: ClassVar[str] = "nn.LogSoftmax"


class Maxout(Activation):
    """The largest of every `pieces` neighbouring channels (Goodfellow et al. 2013)."""

    op: ClassVar[str] = "maxout"
    target: ClassVar[str] = "Maxout"
    examples: ClassVar[Any] = (
        ({"pieces": 2}, ((4,),)),
        ({"pieces": 2}, ((4, 8, 9),)),
        ({"pieces": 3, "axis": -1}, ((4, 9),)),
    )

    pieces: int = field(DIM, doc="channels of which the largest is taken")
    axis: int = field(AXIS, default=0, doc="the axis of the channels")

    def infer(self, *ins: TensorType) -> tuple[TensorType, ...]:
        (t,) = ins
        expect_dtype(self.op, t)
        axis = place(self.op, self.axis, t)
        n = t.shape[axis]
        if n % self.pieces:
            message = (
                f"`pieces` of `maxout` is {self.pieces}; it does not divide the {n} cells of "
                f"axis {axis} of the input {t}"
            )
            raise Mismatch(message, code="E305")
        return (t.like((*t.shape[:axis], n // self.pieces, *t.shape[axis + 1 :])),)

    def reach(self, *ins: TensorType) -> tuple[tuple[Reach, ...], ...]:
        axis = place(self.op, self.axis, ins[0])
        pieces = Window(stride=self.pieces, lo=0, hi=self.pieces - 1)
        return (tuple(Reach(a, pieces) if a == axis else Reach(a) for a in range(ins[0].rank)),)

    def flops(self, ins: tuple[TensorType, ...], outs: tuple[TensorType, ...]) -> int:
        return ins[0].size

    def keeps(self, *ins: TensorType) -> Kept:
        return Kept(inputs=(0,), outputs=(0,))

    def call(self, *ins: TensorType) -> Call:
        dim = torch_axis(self.axis)
        return Call("Maxout", (Arg("pieces", self.pieces), Arg(dim.of, dim.value, "dim", 1)))

    def axes(self, *ins: TensorType) -> tuple[tuple[str | None, ...], ...]:
        axis = place(self.op, self.axis, ins[0])
        return (
            tuple(f"x0[{a}] // pieces" if a == axis else f"x0[{a}]" for a in range(ins[0].rank)),
        )


class _Name(Kind):
    """The name of an activation, or a mapping from it to its parameters."""

    says = "the name of an activation, or `{name: parameters}`"

    def check(self, value: Any) -> Any:
        if isinstance(value, str):
            return value
        if isinstance(value, Mapping) and len(value) == 1 and isinstance(next(iter(value)), str):
            return value
        raise Wrong(f"it takes {self.says}")

    def schema(self) -> dict[str, Any]:
        one = {"type": "object", "minProperties": 1, "maxProperties": 1}
        return {"anyOf": [{"type": "string"}, one]}


class Named(Layer):
    """An activation by name, so that a param can say which.

    `activation: relu` or `activation: {leaky_relu: 0.1}`. It stands for that activation
    and is replaced by it when it is made.
    """

    op: ClassVar[str] = "activation"
    family: ClassVar[str] = "activation"
    examples: ClassVar[Any] = (
        ({"name": "relu"}, ((4, 8, 9),)),
        ({"name": {"leaky_relu": 0.1}}, ((4, 8, 9),)),
        ({"name": {"elu": {"alpha": 0.5}}}, ((4,),)),
    )

    name: str | Mapping[str, Any] = field(
        _Name(), doc="an activation, or a mapping from its name to its parameters"
    )

    def resolve(self) -> Layer:
        from archspec.layers import (  # the registry is made of these modules
            REGISTRY,
            create,
            ops_of,
        )

        name, args = (
            (self.name, None) if isinstance(self.name, str) else next(iter(self.name.items()))
        )
        known = ops_of("activation")
        if name not in known or name == "activation":
            from archspec.text.words import meant

            other = name in REGISTRY
            message = f"`name` of `activation` is {name}, " + (
                "an op that is no activation" if other else "which is no activation"
            )
            raise BadArgument("name", message, meant(name, [k for k in known if k != "activation"]))
        return create(name, arguments(name, args))


def arguments(op: str, value: Any) -> dict[str, Any]:
    """The value of an op's key as parameters by name; a scalar is the main one's."""
    if value is None:
        return {}
    if isinstance(value, Mapping):
        return dict(value)
    from archspec.layers import REGISTRY  # the registry is made of these modules

    main = REGISTRY[op].main()
    if main is None:
        raise BadArgument(None, f"`{op}` takes no parameters", code="E208")
    return {main: value}
