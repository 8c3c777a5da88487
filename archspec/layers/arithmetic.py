"""Functions of each cell, one number in and one out → tensor methods.

sqrt, on [4, 8, 9]                  x0.sqrt()
pow: 3, on [5]                      x0.pow(3)
clamp: {min: 0, max: 6}, on [5]     x0.clamp(min=0, max=6)

An activation stands between linear maps and is a module that hooks see; these are arithmetic and
are called where they are needed. In an nn.Sequential each is a small module.
"""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from archspec.layers.base import (
    INPUT,
    OUTPUT,
    Arg,
    BadArgument,
    Call,
    TensorType,
)
from archspec.layers.fields import Number
from archspec.layers.window import Alike


class Function(Alike):
    """What functions of each cell have in common: a method of the tensor, with its parameters."""

    family = "merge"
    kept = INPUT
    work = 1
    cellwise = True
    broadcast = True
    functional = True
    method: ClassVar[str]  # of torch.Tensor
    examples: ClassVar[Any] = (({}, ((4,),)), ({}, ((4, 8, 9),)))

    def call(self, t: TensorType) -> Call:
        free = self.args(*type(self).model_fields)
        return Call(None, forward=f"x0.{self.method}({written(free)})", free=free, broadcast=True)


def written(free: tuple[Arg, ...]) -> str:
    """Free arguments as those of a method, each by its name."""
    return ", ".join(f"{a.name}={a.name}" for a in free)


class Exp(Function):
    """e to the power of x: torch.exp."""

    autocast = "full"
    op = "exp"
    target = "Exp"
    method = "exp"
    kept = OUTPUT


class Log(Function):
    """The natural logarithm: torch.log."""

    autocast = "full"
    op = "log"
    elsewhere = ("ln",)
    target = "Log"
    method = "log"


class Sqrt(Function):
    """The square root: torch.sqrt."""

    op = "sqrt"
    target = "Sqrt"
    method = "sqrt"
    kept = OUTPUT


class Sin(Function):
    """The sine: torch.sin."""

    op = "sin"
    target = "Sin"
    method = "sin"


class Cos(Function):
    """The cosine: torch.cos."""

    op = "cos"
    target = "Cos"
    method = "cos"


class Pow(Function):
    """x to the power of a number: torch.pow."""

    autocast = "full"
    op = "pow"
    elsewhere = ("power",)
    target = "Pow"
    examples = (({"exponent": 2}, ((4,),)), ({"exponent": -0.5}, ((4, 8, 9),)))
    spelt: ClassVar[dict[str, str]] = {"power": "exponent", "by": "exponent"}

    exponent: Number = Field(description="the power that it is raised to")

    def call(self, t: TensorType) -> Call:
        free = (Arg(self.exponent, "exponent"),)
        return Call(None, forward="x0.pow(exponent)", free=free, broadcast=True)


class Clamp(Function):
    """x, but not below one number and not above another: torch.clamp."""

    op = "clamp"
    elsewhere = ("clip",)
    target = "Clamp"
    method = "clamp"
    examples = (
        ({"min": 0.2}, ((4,),)),
        ({"max": 6}, ((4, 9),)),
        ({"min": -1, "max": 0.5}, ((4, 8, 9),)),
    )

    min: Number | None = Field(None, description="lower limit; none when left out")
    max: Number | None = Field(None, description="upper limit; none when left out")

    def check(self) -> None:
        if self.min is None and self.max is None:
            raise BadArgument(None, "`clamp` needs `min` or `max`", code="E209")
        if self.min is not None and self.max is not None and self.max < self.min:
            raise self.bad("max", f"it is not below `min`, {self.min}")

    def call(self, t: TensorType) -> Call:
        given = [name for name, value in self.values().items() if value is not None]
        free = tuple(Arg(vars(self)[name], name) for name in given)
        return Call(None, forward=f"x0.clamp({written(free)})", free=free, broadcast=True)

    def module(self, t: TensorType) -> Call:
        return Call(self.target, self.args("min", "max"), broadcast=True)


class Detach(Alike):
    """The same numbers, but no gradient goes back through them: torch.Tensor.detach."""

    op = "detach"
    elsewhere = ("stopgradient", "stopgrad")
    family = "merge"
    target = "Detach"
    functional = broadcast = True
    view = True
    same_numbers = still_linear = stops = True
    examples: ClassVar[Any] = (({}, ((4,),)), ({}, ((4, 8, 9),)))

    def infer(self, t: TensorType) -> tuple[TensorType, ...]:
        return (t,)

    def call(self, t: TensorType) -> Call:
        return Call(None, forward="x0.detach()", broadcast=True)
