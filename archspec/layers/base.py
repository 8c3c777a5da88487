"""One layer type, one class: what archspec asks of it; what composes them is elsewhere.

layer = create("max_pool", {"kernel": 3, "stride": 2})
layer.infer([4, 9, 9])      [4, 4, 4]
layer.reach([4, 9, 9])      along H, output cell o reads the cells 2·o … 2·o + 2
layer.call([4, 9, 9])       nn.MaxPool2d(3, 2)
layer.label(axes=2)         max pool 3×3 /2
"""

# No `from __future__ import annotations` here: pydantic would evaluate the text of every ClassVar
# again for every layer type, which is most of the time that importing a family takes.

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler, ValidationError
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from archspec.layers.strides import (
    Lying,
    Strides,
    cellwise,
    foldable,
    formatted,
)
from archspec.text.words import written

Shape = tuple[int, ...]
Example = tuple[dict[str, Any], tuple[Shape, ...]]  # arguments, input shapes

BYTES = {"float": 4, "int": 8, "bool": 1}  # of one element: float32, int64, bool


@dataclass(frozen=True, slots=True)
class TensorType:
    """Shape without the batch axis, and dtype: float, int or bool.

    `map` says whether the axes behind axis 0 are space (or time): true after a convolution or a
    pool, false where a linear map, `permute`, `reshape` or `flatten` has been. None: not said, as
    for an input of the network; then three axes or more are a map.
    """

    shape: Shape
    dtype: str = "float"
    map: bool | None = None

    def __str__(self) -> str:
        return "[" + ", ".join(str(n) for n in self.shape) + "]"

    @property
    def rank(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of elements of one sample."""
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        """Bytes of one sample, in float32, int64 or bool."""
        return self.size * BYTES[self.dtype]

    @property
    def is_map(self) -> bool:
        return len(self.shape) >= 3 if self.map is None else self.map

    def like(self, shape: Sequence[int], *, map: bool | None = None) -> "TensorType":
        """Another shape, everything else the same unless said."""
        return replace(self, shape=tuple(shape), map=self.map if map is None else map)

    def resized(self, axis: int, size: int) -> "TensorType":
        """Another size along one axis, everything else the same."""
        return self.like((*self.shape[:axis], size, *self.shape[axis + 1 :]))


class Mismatch(ValueError):  # noqa: N818 (said of inputs)
    """What is wrong with the inputs, as a sentence, and the remedy where one is known."""

    def __init__(self, message: str, help: str = "", code: str = "E301") -> None:
        super().__init__(message)
        self.message, self.help, self.code = message, help, code


class BadArgument(ValueError):  # noqa: N818 (said of a value)
    """What is wrong with one field's value. `field` is None when it is about several."""

    def __init__(self, field: str | None, message: str, help: str = "", code: str = "E210") -> None:
        super().__init__(message)
        self.field, self.message, self.help, self.code = field, message, help, code


@dataclass(frozen=True, slots=True)
class Weight:
    """A parameter or buffer: `name` as in torch's module, shape, and whether gradient trains it.

    An empty name is the weight of a `parameter`: the node's path is its whole name. What is not
    `persistent` is a buffer that stands in no state_dict. A `gain` begins
    as 1, whatever `init` says.
    """

    name: str
    shape: Shape
    buffer: bool = False
    dtype: str = "float"
    persistent: bool = True
    gain: bool = False

    @property
    def part(self) -> str:
        """Which of an op's fillers is for it: that of its `weight` or `bias`, or "" for none."""
        if self.buffer or self.gain:
            return ""
        return "bias" if "bias" in self.name else "weight"

    @property
    def size(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)


@dataclass(frozen=True, slots=True)
class Window:
    """Which input cells output cell `o` reads along one axis.

    They are ceil((stride·o + lo)/up) … floor((stride·o + hi)/up). A convolution has up = 1,
    lo = -padding, hi = lo + dilation·(kernel - 1); a transposed one or an upsampling has up > 1.
    Cells outside the input are padding; `beyond` says what stands there: nothing of the input, or
    with "reflect", "replicate" and "circular" one of its cells. lo > hi: nothing is read (of a
    second input only the size).
    """

    stride: int = 1
    up: int = 1
    lo: int = 0
    hi: int = 0
    beyond: str = "zeros"


POINT = Window()


@dataclass(frozen=True, slots=True)
class Reach:
    """For one axis of an input: the output axis that walks along it, and the window.

    `axis` None: every output cell sees the whole axis.
    """

    axis: int | None
    window: Window = POINT


WHOLE = Reach(None)


def along(rank: int, moved: Mapping[int, Reach]) -> tuple[Reach, ...]:
    """How an output walks along an input of as many axes: cell by cell, but where it is said."""
    return tuple(moved.get(axis, Reach(axis)) for axis in range(rank))


NOWHERE = Window(lo=1, hi=0)  # no cell at all


def unread(t: TensorType | None) -> tuple[tuple[Reach, ...], ...]:
    """The reach into a second input of which only the size is read: no cell along any axis."""
    return () if t is None else ((Reach(0, NOWHERE),) * t.rank,)


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept for the backward pass of one sample.

    Inputs and outputs by place (shared with whoever else keeps them), and bytes of its own. Of the
    inputs that are `factors` of a product each is kept for the gradients of the others, if one of
    them takes one; of more than two so is what the product is `between` them, in bytes. Of inputs
    that are `compared` both of a pair are kept if one of them takes a gradient; those `alone` if
    they take one themselves.
    """

    inputs: tuple[int, ...] = ()
    outputs: tuple[int, ...] = ()
    bytes: int = 0
    factors: tuple[int, ...] = ()
    compared: tuple[int, ...] = ()
    alone: tuple[int, ...] = ()
    between: int = 0


NOTHING, INPUT, OUTPUT = Kept(), Kept(inputs=(0,)), Kept(outputs=(0,))


MISSING: Any = object()


@dataclass(frozen=True, slots=True)
class Arg:
    """One argument of a torch call.

    Its value is worked out of the layer's fields and the sizes of its inputs by ordinary
    arithmetic: emission gives the layer numbers that remember where they come from.
    """

    value: Any
    name: str | None = None  # keyword; None: positional
    default: Any = MISSING  # left out of the text when `value` equals it


@dataclass(frozen=True, slots=True)
class Call:
    """The torch code a layer becomes, as data.

    With a `target` ("nn.Conv2d", or the name of a class that `definitions` in emit/ writes into the
    file, "DropPath") the layer is a module made from `args`. `forward` is a Python expression over
    `self` (that module), `x0`, `x1` … (the inputs) and the names of `free` arguments
    ("torch.cat([x0, x1], axis)", "self(x0)", "x0 + x1"): a free argument's `name` is the name it
    has in `forward`, and text or value takes its place there. `results`: one expression per
    output over `r`, what `forward` returns.

    An input that is not given keeps its number: with query, key and mask, `forward` speaks of x0,
    x1 and x3. `wrap` is what is put around the target's call: "nn.Parameter" or "nn.Buffer"
    (`persistent` or not) around `torch.zeros(2, 3)`, "weight_norm" or "spectral_norm" (of
    torch.nn.utils.parametrizations) around a module.

    A parameter has no batch axis: its call is `batchless`. Calls that `broadcast` take such an
    input as it is, because axes are right-aligned and ranks agree; their result is batchless when
    all their inputs are. Any other call wants it with a batch axis:
    `p.expand(x.shape[0], *[-1] * rank)` with x any tensor that has one and rank that of the
    parameter's type (right for a stored leading axis of 1 too). What has an `alone` expression is
    computed by that where its input has no batch axis, and neither has its result; but where the
    input is `led` by a stored axis of 1, `forward` counts the axes right, and so is the result led.
    `beside` is an input by number, and the expression where that one alone has no batch axis: a
    mask.
    """

    target: str | None
    args: tuple[Arg, ...] = ()
    forward: str = "self(x0)"
    free: tuple[Arg, ...] = ()
    results: tuple[str, ...] = ("r",)
    wrap: str | None = None
    batchless: bool = False
    led: bool = False
    broadcast: bool = False
    alone: str | None = None
    beside: tuple[int, str] | None = None
    persistent: bool = True


TIED = "weight"  # of the weights of an op, the one that `tie` is about
REPARAMETRISED = "parametrizations."  # begins the names of weights that another is computed from
TENSORS = frozenset({"nn.Parameter", "nn.Buffer"})  # wraps that make no module


@cache
def _defaults(cls: "type[Layer]") -> dict[str, Any]:
    """The default of each parameter, MISSING of one that has to be given."""
    fields = cls.model_fields.items()
    return {name: MISSING if f.is_required() else f.default for name, f in fields}


class Layer(BaseModel):
    """A layer type: its fields are the op's parameters, the main one first.

    Fields are declared with the types of `layers.fields`, which check values and say what is wrong
    with them; defaults are torch.nn's. An instance has passed every check, and never changes. Equal
    layers are equal and hash alike; 1, 1.0 and true are told apart.

    `ins` are aligned with `takes`: None for an optional input that is not given; those at the end
    are left out. An op that takes any number gets them all; another names them, `infer(self, t)`,
    which `**_` allows in the eyes of a type checker.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    op: ClassVar[str]  # the name in specs
    family: ClassVar[str]  # colour and legend: conv, pool, norm, …
    # inputs by name; "key?" optional; ("*",) any number from 1; () none
    takes: ClassVar[tuple[str, ...]] = ("x",)
    gives: ClassVar[tuple[str, ...]] = ("output",)
    examples: ClassVar[tuple[Example, ...]] = ()
    example_dtypes: ClassVar[tuple[str, ...]] = ()  # of the examples' inputs, float where not said
    # what other libraries call it, small and without `_`, where no rule of spelling leads to it
    elsewhere: ClassVar[tuple[str, ...]] = ()
    spelt: ClassVar[Mapping[str, str]] = {}  # other spellings of this op's own, before SPELT
    # what `archspec fmt` writes in place of this op: another op, and its parameters by their names
    newer: ClassVar[tuple[str, Mapping[str, str]] | None] = None
    # what a bare value of another type stands for, if not the main parameter: {list: "shape"}
    bare: ClassVar[Mapping[type, str]] = {}
    # the torch module whose arguments are the parameters, `{n}` the spatial axes: nn.Dropout{n}d,
    # or a package's own by all of its name, my_package.quantiser.VectorQuantiser;
    # where `call` is no module, the one that stands for it in an nn.Sequential
    target: ClassVar[str] = ""
    # what `call` of an op from another package names beside `target`: functions of torch, and
    # modules of a package, "torch.fft.rfft", "my_package.quantiser.VectorQuantiser"
    uses: ClassVar[tuple[str, ...]] = ()
    by_place: ClassVar[bool] = True  # the main parameter is the module's first argument
    broadcast: ClassVar[bool] = False  # as `Call` says
    whole: ClassVar[slice] = slice(0)  # the axes of an input that every output cell sees whole
    view: ClassVar[bool] = False  # in evaluation the output shares the storage of input 0
    cellwise: ClassVar[bool] = False  # what it makes lies in memory as its inputs do
    # with so many axes of space it gives channels last where torch takes what it gets for that;
    # of one axis it is asked as of a map of one row
    formats: ClassVar[tuple[int, ...]] = ()
    # places, the last first, whose input is the one before where it is left out; so torch takes
    # what is given for several, one after the other
    falls_back: ClassVar[tuple[int, ...]] = ()
    folds: ClassVar[int] = 0  # axes at the end; those before are one to torch, or copied for that
    kept: ClassVar[Kept] = NOTHING  # for the backward pass, whatever the inputs
    kept_for_weights: ClassVar[bool] = False  # all of it, so that nothing is where they are frozen
    stops: ClassVar[bool] = False  # no gradient flows back through it
    # what it gets of torch's autocast on a GPU: inputs as they are, several as their "widest";
    # all in "half" precision, as products; all in "full"
    autocast: ClassVar[Literal["widest", "half", "full"]] = "widest"
    work: ClassVar[int] = 0  # floating point operations per element of the output, beside MACs

    word: ClassVar[str] = ""  # in figures, where it is not `op` with spaces
    colour: ClassVar[str] = ""  # in figures, where it is not that of the family
    # how many numbers it works on depends on their values: it is a module that cannot run on the
    # meta device, where `build` tries a network; there `infer` says what comes out
    data_dependent: ClassVar[bool] = False
    merges: ClassVar[bool] = False  # joins paths into one tensor
    ordered: ClassVar[bool] = False  # which keeps them apart: a residual's shortcut comes first
    tensor: ClassVar[bool] = False  # a parameter or buffer of the network, and no module
    functional: ClassVar[bool] = False  # never a module, so that its name hides nothing of torch's
    asleep: ClassVar[bool] = False  # in evaluation it returns its input
    linear: ClassVar[bool] = False  # a linear map with weights
    # linear maps before and behind it are one map. Not said of upsampling and pixel shuffles: a
    # convolution on either side of them is how super-resolution networks are built
    still_linear: ClassVar[bool] = False
    same_numbers: ClassVar[bool] = False  # gives the numbers that it gets, in other axes
    slides: ClassVar[bool] = False  # a window that may step over cells
    centres: ClassVar[bool] = False  # subtracts the mean of each channel
    # what it takes its input for: a "map" [C, …space] or a "sequence" [T, features]
    reads: ClassVar[str] = ""
    channel_axis: ClassVar[int] = 0  # the axis of what it maps: channels or features

    def model_post_init(self, context: Any, /) -> None:
        if context is None:  # else some of the arguments are not known yet
            self.check()

    @cached_property
    def _said(self) -> str:
        return repr(tuple(self.values().values()))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Layer):
            return NotImplemented
        return self is other or (type(self) is type(other) and self._said == other._said)

    def __hash__(self) -> int:
        return hash((type(self), self._said))

    def values(self) -> dict[str, Any]:
        """The fields by name, in order: what `Arg.of` may name."""
        return {name: vars(self)[name] for name in type(self).model_fields}

    @classmethod
    def title(cls) -> str:
        """`batch norm`, `ReLU`, `upconv`."""
        return cls.word or cls.op.replace("_", " ")

    def label(self, axes: int) -> str:
        """What a figure says on a map of so many axes: `conv 3×3 /2`, `upsample ×2`, `linear`."""
        return self.title()

    def check(self) -> None:
        """Rules between fields. Raises BadArgument."""

    def bad(self, name: str, why: str, help: str = "", code: str = "E217") -> BadArgument:
        """A complaint about a parameter: "`groups` of `conv` is 3; it does not divide …"."""
        return BadArgument(name, self._said_of(name, why), help, code)

    def misfit(self, name: str, why: str, help: str = "", code: str = "E305") -> Mismatch:
        """The same, where it is the input that does not go with the parameter."""
        return Mismatch(self._said_of(name, why), help, code)

    def expect_divisor(self, name: str, count: int, what: str, help: str = "") -> None:
        """Raises Mismatch unless the parameter divides the `count` cells of `what`."""
        if count % vars(self)[name]:
            raise self.misfit(name, f"it does not divide the {count} {what}", help)

    def _said_of(self, name: str, why: str) -> str:
        return f"`{name}` of `{self.op}` is {written(vars(self)[name])}; {why}"

    def resolve(self) -> "Layer":
        """The layer that is meant: itself, except of `activation`."""
        return self

    @classmethod
    def main(cls) -> str | None:
        """The parameter that a bare scalar is."""
        return next(iter(cls.model_fields), None)

    @classmethod
    def accepts(cls, name: str, value: Any) -> bool:
        """Whether a parameter's type takes a value, whatever the other parameters are."""
        try:
            cls.model_validate({name: value}, context=name)
        except ValidationError as error:
            return all(e["loc"][:1] != (name,) for e in error.errors(include_url=False))
        return True

    @classmethod
    def meant(cls, given: Mapping[str, Any]) -> Mapping[str, Any]:
        """The arguments, a bare value under the parameter that it can only be."""
        for kind, name in cls.bare.items():
            main = cls.main() or ""
            if isinstance(given.get(main), kind) and name not in given:
                return {name if n == main else n: value for n, value in given.items()}
        return given

    @classmethod
    def __get_pydantic_json_schema__(
        cls, model: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Without titles, which repeat the names."""
        found = handler.resolve_ref_schema(handler(model))
        for entry in (found, *found["properties"].values()):
            entry.pop("title", None)
        return found

    def infer(self, *ins: Any, **_: Any) -> tuple[TensorType, ...]:
        """The output types. Raises Mismatch."""
        raise NotImplementedError

    def weights(self, *ins: Any, **_: Any) -> tuple[Weight, ...]:
        """Parameters and buffers, in the order of torch's state_dict."""
        return ()

    def lone(self, *ins: Any, **_: Any) -> bool:
        """Whether torch refuses to train it on a batch of one sample."""
        return False

    def reach(self, *ins: Any, **_: Any) -> tuple[tuple[Reach, ...], ...]:
        """For each input, for each of its axes, how output 0 walks along it.

        Default: cell by cell, but all of the axes of `whole`. `()` for an input that is not given.
        """
        return tuple(
            () if t is None else along(t.rank, dict.fromkeys(range(t.rank)[self.whole], WHOLE))
            for t in ins
        )

    def depends_on_size(self, *ins: Any, **_: Any) -> bool:
        """Whether `reach` depends on the sizes of space (padding `same`, a crop at the centre)."""
        return False

    def macs(self, ins: tuple[TensorType, ...], outs: tuple[TensorType, ...]) -> int:
        """Multiply-accumulates for one sample, by torch.utils.flop_counter / 2."""
        return 0

    def flops(self, ins: tuple[TensorType, ...], outs: tuple[TensorType, ...]) -> int:
        """All floating point operations for one sample: 2 x MACs, bias and element-wise work."""
        return 2 * self.macs(ins, outs) + self.work * outs[0].size

    @property
    def weighted(self) -> int:
        """Layers with weights one behind the other in it, as papers count them: norms are none."""
        return int(self.linear)

    def keeps(self, *ins: Any, **_: Any) -> Kept:
        """What autograd keeps for the backward pass. Default: `kept`."""
        return self.kept

    def keeps_as_they_lie(self, ins: Any, given: Mapping[int, Lying]) -> Kept | None:
        """What it keeps where its inputs lie so that torch computes it otherwise; else None."""
        return None

    def beyond(self, *ins: Any, **_: Any) -> int:
        """Bytes of the storage of output 0 that it does not show, where torch cut it out."""
        return 0

    def lies(self, out: Shape, *given: Lying) -> Strides | None:
        """How the first output lies in memory, by its inputs; None: a tensor of its own, in order.

        Default: of what is `cellwise` as its inputs do, of a view as that of which it is one.
        """
        if self.cellwise:
            return cellwise(out, given)
        if len(out) - 2 in self.formats:
            return formatted(out, given if self.merges else given[:1])
        return given[0][1] if self.view else None

    def copies(self, place: int, given: Mapping[int, Lying]) -> int:
        """How many copies it keeps of an input that it `keeps`, in its place, by how inputs lie.

        What is one for all samples and taken so has one in front. Default: one where axes that it
        `folds` are not one behind the other.
        """
        return int(self.folds > 0 and not foldable(given[place], self.folds))

    def call(self, *ins: Any, **_: Any) -> Call:
        """The torch code. Default: `target`, made from all parameters, called with all inputs."""
        args = self.args(*type(self).model_fields)
        if args and self.by_place:
            args = (replace(args[0], name=None), *args[1:])
        return self.made(args, *ins)

    def made(self, args: tuple[Arg, ...], *ins: TensorType) -> Call:
        """`target` made from these arguments and called with all inputs."""
        inputs = ", ".join(f"x{i}" for i in range(len(ins)))
        several = tuple(f"r[{i}]" for i in range(len(self.gives)))
        return Call(
            self.target.format(n=max(ins[0].rank - 1, 1)),
            args,
            f"self({inputs})",
            results=several if len(several) > 1 else ("r",),
            broadcast=self.broadcast,
        )

    def args(self, *names: str, **spelt: str) -> tuple[Arg, ...]:
        """Parameters as arguments of a torch call; `spelt` gives the name that one has in torch.

        One with a default is passed by keyword, and left out where it has torch's value.
        """
        pairs = (*((name, name) for name in names), *spelt.items())
        return tuple(self._arg(name, torch) for name, torch in pairs)

    def _arg(self, name: str, torch: str) -> Arg:
        default = _defaults(type(self))[name]
        return Arg(vars(self)[name], None if default is MISSING else torch, default)

    def function(self, *ins: Any, **_: Any) -> Call | None:
        """The same with all arguments in `forward`: sizes may then be those of a running tensor.

        None, the default: there is no such form, or `call` is one.
        """
        return None

    def module(self, *ins: Any, **_: Any) -> Call:
        """The same as a module, for a place in an nn.Sequential; `target` None: there is none.

        Default: `call`, where that is a module of one input and one output, or `target`, made from
        what is free in `call`.
        """
        call = self.call(*ins)
        if call.target is None and self.target:
            args = tuple(replace(a, name=None) for a in call.free)
            return Call(self.target, args, broadcast=call.broadcast)
        return call if (call.forward, call.results) == ("self(x0)", ("r",)) else Call(None)

    def anywhere(self, *ins: Any, **_: Any) -> Call:
        """The same where its arguments may have other values: one class for all of them.

        Default: `call`. A convolution with `padding: same` is `nn.Conv2d` where the same number of
        cells is added on both sides, and `Conv2dSame` anywhere.
        """
        return self.call(*ins)
