"""One layer type, one class: what archspec asks of it; what composes them is elsewhere."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, dataclass_transform

from archspec.layers.fields import REQUIRED, Field, Wrong, field
from archspec.text.words import cut, meant, written

Shape = tuple[int, ...]

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

    def like(self, shape: Sequence[int], *, map: bool | None = None) -> TensorType:
        """Another shape, everything else the same unless said."""
        return replace(self, shape=tuple(shape), map=self.map if map is None else map)


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

    An empty name is the weight of a `parameter`: the node's path is its whole name.
    """

    name: str
    shape: Shape
    buffer: bool = False
    dtype: str = "float"

    @property
    def size(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)


@dataclass(frozen=True, slots=True)
class Window:
    """Which input cells output cell `o` reads along one axis.

    They are ceil((stride·o + lo)/up) … floor((stride·o + hi)/up). A convolution has up = 1,
    lo = -padding, hi = lo + dilation·(kernel - 1); a transposed one or an upsampling has up > 1.
    Cells outside the input are padding. A mirrored or wrapped cell counts where the padded one
    stands. lo > hi: nothing is read (of a second input only the size).
    """

    stride: int = 1
    up: int = 1
    lo: int = 0
    hi: int = 0


POINT = Window()


@dataclass(frozen=True, slots=True)
class Reach:
    """For one axis of an input: the output axis that walks along it, and the window.

    `axis` None: every output cell sees the whole axis.
    """

    axis: int | None
    window: Window = POINT


WHOLE = Reach(None)


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept for the backward pass of one sample.

    Inputs and outputs by place (shared with whoever else keeps them), and bytes of its own.
    """

    inputs: tuple[int, ...] = ()
    outputs: tuple[int, ...] = ()
    bytes: int = 0


NOTHING = Kept()


class _Missing:
    def __repr__(self) -> str:
        return "MISSING"


MISSING: Any = _Missing()


@dataclass(frozen=True, slots=True)
class Arg:
    """One argument of a torch call.

    `of` says where it comes from, as a Python expression over the layer's fields and the input
    shapes `x0`, `x1` … (batch axis not counted): "out", "x0[0]", "kernel // 2", "x0[-1]". It is
    only a candidate: emission uses it where it evaluates to `value` in every instance. It always
    parses; evaluating it may fail (a field that is None), which means that it does not hold.
    """

    of: str
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
    x1 and x3. `wrap` is what is put around the target's call: "nn.Parameter" around
    `torch.zeros(2, 3)`, "weight_norm" or "spectral_norm" (of torch.nn.utils.parametrizations)
    around a module.

    A parameter has no batch axis: its call is `batchless`. Calls that `broadcast` take such an
    input as it is, because axes are right-aligned and ranks agree; their result is batchless when
    all their inputs are. Any other call wants it with a batch axis:
    `p.expand(x.shape[0], *[-1] * rank)` with x any tensor that has one and rank that of the
    parameter's type (right for a stored leading axis of 1 too).
    """

    target: str | None
    args: tuple[Arg, ...] = ()
    forward: str = "self(x0)"
    free: tuple[Arg, ...] = ()
    results: tuple[str, ...] = ("r",)
    wrap: str | None = None
    batchless: bool = False
    broadcast: bool = False


# How torch and Keras spell what has a shorter name here. Only names that no op uses otherwise.
SPELT = {
    "kernel_size": "kernel", "pool_size": "kernel", "filter_size": "kernel",
    "out_channels": "out", "out_features": "out", "filters": "out", "units": "out",
    "strides": "stride", "dilation_rate": "dilation", "use_bias": "bias", "epsilon": "eps",
    "pad": "padding", "paddings": "padding", "hidden_size": "hidden", "num_layers": "layers",
    "num_heads": "heads", "nhead": "heads", "num_embeddings": "num", "embedding_dim": "dim",
    "input_dim": "num", "output_dim": "dim", "ceil_mode": "ceil", "upscale_factor": "factor",
    "downscale_factor": "factor", "scale_factor": "scale", "output_size": "size",
    "num_groups": "groups", "elementwise_affine": "affine", "dim": "axis", "dims": "order",
    "rate": "p", "prob": "p", "drop_prob": "p", "drop_rate": "p", "stddev": "std",
    "start_dim": "start", "unflattened_size": "shape", "alpha": "negative_slope",
    "group": "groups", "channels": "out", "features": "out", "depth_multiplier": "out",
    "is_causal": "causal", "interpolation": "mode", "chunks": "parts", "sections": "sizes",
    "split_size": "sizes", "amount": "amounts", "norm_type": "p", "axes": "axis",
}  # fmt: skip

INFERRED = frozenset(
    [
        "in_channels",
        "in_features",
        "num_features",
        "num_channels",
        "input_size",
        "normalized_shape",
        "embed_dim",
        "in_planes",
        "in_chans",
        "kdim",
        "vdim",
        "input_shape",
        "batch_first",
    ]
)


def _collect(cls: type[Layer]) -> dict[str, Field]:
    found: dict[str, Field] = {}
    for base in reversed(cls.__mro__[1:]):
        found.update(base.__dict__.get("fields", {}))
    for name, value in list(cls.__dict__.items()):
        if isinstance(value, Field):
            value.name = name
            found[name] = value
            delattr(cls, name)
    return found


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(field,))
class Layer:
    """A layer type: its fields are the op's parameters, the main one first.

    Fields are declared with `fields.field(kind, default=…)`, where kinds check values, say what is
    wrong and give the JSON schema; defaults are torch.nn's. Making an instance checks every field
    (BadArgument), so one that exists is right. It never changes. Equal layers are equal and hash
    alike; 1, 1.0 and true are told apart.

    `ins` are aligned with `takes`: None for an optional input that is not given; those at the end
    are left out. An op that takes any number gets them all.
    """

    op: ClassVar[str]  # the name in specs
    family: ClassVar[str]  # colour and legend: conv, pool, norm, …
    # inputs by name; "key?" optional; ("*",) any number from 1; () none
    takes: ClassVar[tuple[str, ...]] = ("x",)
    gives: ClassVar[tuple[str, ...]] = ("output",)
    # (arguments, input shapes)
    examples: ClassVar[tuple[tuple[dict[str, Any], tuple[tuple[int, ...], ...]], ...]] = ()
    example_dtypes: ClassVar[tuple[str, ...]] = ()  # of the examples' inputs, float where not said
    doc: ClassVar[str] = ""  # one line for the docs page; default: the first line of the docstring
    fields: ClassVar[dict[str, Field]] = {}  # by name, the main one first
    spelt: ClassVar[Mapping[str, str]] = {}  # other spellings of this op's own, before SPELT
    view: ClassVar[bool] = False  # in evaluation the output shares the storage of input 0
    work: ClassVar[int] = 0  # floating point operations per element of the output, beside MACs

    _values: tuple[Any, ...]
    _hash: int

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        cls.fields = _collect(cls)

    def __init__(self, /, *args: Any, **given: Any) -> None:
        names = list(self.fields)
        if len(args) > len(names):
            raise BadArgument(None, f"`{self.op}` takes {len(names)} parameters, not {len(args)}")
        given.update(zip(names, args, strict=False))
        unknown = [n for n in given if n not in self.fields]
        if unknown:
            raise self._unknown(unknown[0])
        values = {n: self._checked(f, given) for n, f in self.fields.items()}
        self.__dict__.update(values)
        self.__dict__["_values"] = tuple(values.values())
        self.__dict__["_hash"] = hash((type(self), repr(self._values)))
        self.check()

    def _checked(self, field: Field, given: Mapping[str, Any]) -> Any:
        if field.name not in given:
            if field.default is REQUIRED:
                message = f"`{self.op}` needs `{field.name}`, {field.kind.says}"
                raise BadArgument(field.name, message, code="E209")
            return field.default
        value = given[field.name]
        try:
            return field.check(value)
        except Wrong as wrong:
            message = f"`{field.name}` of `{self.op}` is {cut(written(value))}; {wrong.rule}"
            raise BadArgument(field.name, message, wrong.help) from None

    @classmethod
    def _unknown(cls, name: str) -> BadArgument:
        ours = cls.spelt.get(name) or SPELT.get(name)
        if ours in cls.fields:
            return BadArgument(name, f"`{name}` is spelled `{ours}` here", code="E211")
        if name in INFERRED:
            message = f"`{cls.op}` has no parameter `{name}`: it is inferred from the input"
            return BadArgument(name, message, f"leave `{name}` out", code="E208")
        if name == "inplace":
            message = f"`{cls.op}` has no parameter `inplace`: every op is out of place here"
            return BadArgument(name, message, "leave `inplace` out", code="E208")
        known = list(cls.fields)
        listed = ", ".join(f"`{n}`" for n in known)
        help = meant(str(name), known) or (
            f"it takes {listed}" if known else f"`{cls.op}` takes no parameters"
        )
        return BadArgument(name, f"`{cls.op}` has no parameter `{name}`", help, code="E208")

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen")

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if type(self) is not type(other) or not isinstance(other, Layer):
            return NotImplemented if not isinstance(other, Layer) else False
        return self._hash == other._hash and repr(self._values) == repr(other._values)

    def __hash__(self) -> int:
        return self._hash

    def __repr__(self) -> str:
        shown = ", ".join(f"{n}={v!r}" for n, v in self.values().items())
        return f"{type(self).__name__}({shown})"

    def values(self) -> dict[str, Any]:
        """The fields by name, in order: what `Arg.of` may name."""
        return dict(zip(self.fields, self._values, strict=True))

    def check(self) -> None:
        """Rules between fields. Raises BadArgument."""

    def resolve(self) -> Layer:
        """The layer that is meant: itself, except of `activation`."""
        return self

    @classmethod
    def main(cls) -> str | None:
        """The parameter that a bare scalar is."""
        return next(iter(cls.fields), None)

    @classmethod
    def schema(cls) -> dict[str, Any]:
        """JSON schema of the parameters as a mapping (without expressions)."""
        found: dict[str, Any] = {
            "type": "object",
            "properties": {n: f.schema() for n, f in cls.fields.items()},
            "additionalProperties": False,
        }
        required = [n for n, f in cls.fields.items() if f.default is REQUIRED]
        return found | ({"required": required} if required else {})

    def infer(self, *ins: TensorType) -> tuple[TensorType, ...]:
        """The output types. Raises Mismatch."""
        raise NotImplementedError

    def weights(self, *ins: TensorType) -> tuple[Weight, ...]:
        """Parameters and buffers, in the order of torch's state_dict."""
        return ()

    def reach(self, *ins: TensorType) -> tuple[tuple[Reach, ...], ...]:
        """For each input, for each of its axes, how output 0 walks along it.

        Default: cell by cell. `()` for an input that is not given.
        """
        return tuple(
            tuple(Reach(a) for a in range(len(t.shape))) if t is not None else () for t in ins
        )

    def depends_on_size(self, *ins: TensorType) -> bool:
        """Whether `reach` depends on the sizes of space (padding `same`, a crop at the centre)."""
        return False

    def macs(self, ins: tuple[TensorType, ...], outs: tuple[TensorType, ...]) -> int:
        """Multiply-accumulates for one sample, by torch.utils.flop_counter / 2."""
        return 0

    def flops(self, ins: tuple[TensorType, ...], outs: tuple[TensorType, ...]) -> int:
        """All floating point operations for one sample: 2 x MACs, bias and element-wise work."""
        return 2 * self.macs(ins, outs) + self.work * outs[0].size

    def keeps(self, *ins: TensorType) -> Kept:
        """What autograd keeps for the backward pass. Default: nothing."""
        return NOTHING

    def saves(self, *ins: TensorType) -> int:
        """Bytes kept for backward for one sample, inputs and outputs of `keeps` counted in full."""
        kept = self.keeps(*ins)
        if not (kept.inputs or kept.outputs):
            return kept.bytes
        outs = self.infer(*ins)
        total = sum(ins[i].bytes for i in kept.inputs) + sum(outs[i].bytes for i in kept.outputs)
        return kept.bytes + total

    def call(self, *ins: TensorType) -> Call:
        """The torch code."""
        raise NotImplementedError

    def module(self, *ins: TensorType) -> Call:
        """The same as a module, for a place in an nn.Sequential; `target` None: there is none.

        Differs from `call` for functional ops.
        """
        return self.call(*ins)

    def axes(self, *ins: TensorType) -> tuple[tuple[str | None, ...], ...]:
        """For each output, per axis, a candidate expression in the language of `Arg.of`, or None.

        Default: those of input 0 where shapes agree.
        """
        outs = self.infer(*ins)
        first = ins[0].shape if ins and ins[0] is not None else None
        return tuple(
            tuple(
                f"x0[{a}]" if first and len(first) == o.rank and first[a] == n else None
                for a, n in enumerate(o.shape)
            )
            for o in outs
        )
