"""Fixed tensors → a buffer of torch: numbers as they are written, or by a rule.

constant: [[1, 2], [3, 4]]          nn.Buffer(torch.tensor([[1, 2], [3, 4]]))     [2, 2], int
constant: {linspace: [0, 1, 5]}     nn.Buffer(torch.linspace(0, 1, 5))            [5], float
constant: {causal_mask: 7}          nn.Buffer(causal_mask(7))                     [7, 7], bool
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from archspec.layers.base import Arg, BadArgument, Call, Layer, TensorType, Weight
from archspec.layers.fields import Flag, Number, PerAxis, Says, Size, alone, up_to
from archspec.layers.window import square
from archspec.text.words import listed

_DEEP = 8  # axes


def _nested(value: Any, depth: int = 0) -> Any:
    """Lists as tuples; raises unless all there is are numbers and truth values."""
    if isinstance(value, (list, tuple)) and value and depth < _DEEP:
        return tuple(_nested(entry, depth + 1) for entry in value)
    if isinstance(value, (int, float)) and math.isfinite(value) and abs(value) < 2**62:
        return value
    raise PydanticCustomError("nested", "no numbers")


Nested = Annotated[
    Any,
    BeforeValidator(_nested),
    WithJsonSchema({"type": ["number", "boolean", "array"]}),
    Says("a number, true or false, or a list of these or of such lists, up to 8 deep"),
]
_Sides = Annotated[
    tuple[Size, ...],
    up_to(2),
    BeforeValidator(alone, json_schema_input_type=Size | tuple[Size, Size]),
    Says("a whole number of at least 1, or a list of two: rows and columns"),
]
_Range = Annotated[
    tuple[Number, ...],
    up_to(3),
    BeforeValidator(alone, json_schema_input_type=Number | tuple[Number, ...]),
    Says("a number, or a list: start and stop, perhaps the step"),
]
_Line = Annotated[
    tuple[Number, ...],
    Field(min_length=3, max_length=3),
    Says("a list of three: start, stop, and how many"),
]
_RULES = (
    "value", "eye", "arange", "linspace", "causal_mask", "local_mask", "relative_positions",
    "log_steps",
)  # fmt: skip


class Constant(Layer):
    """A fixed tensor, the same for all samples: torch.nn.Buffer. No input; its name is its path.

    Whole numbers are int64, true and false bool, others float32; of an int and a float next to one
    another, float32. It has no batch axis, as a `parameter` has none.
    """

    op = "constant"
    elsewhere = ("buffer",)
    family = "merge"
    colour = "parameter"
    tensor = True
    takes = ()
    bare: ClassVar[dict[type, str]] = {}
    examples = (
        ({"value": [[0, -1, 0], [-1, 5, -1]]}, ()),
        ({"value": [0.485, 0.456, 0.406], "persistent": False}, ()),
        ({"value": 2}, ()),
        ({"value": [True, False]}, ()),
        ({"eye": 4}, ()),
        ({"eye": [2, 5]}, ()),
        ({"arange": 7}, ()),
        ({"arange": [2, 9, 3]}, ()),
        ({"arange": [0, 1, 0.25]}, ()),
        ({"linspace": [0, 1, 5]}, ()),
        ({"causal_mask": 6, "persistent": False}, ()),
        ({"causal_mask": 9, "window": 3}, ()),
        ({"local_mask": 9, "window": 4}, ()),
        ({"relative_positions": [2, 3]}, ()),
        ({"relative_positions": 4}, ()),
        ({"relative_positions": [4], "flat": True}, ()),
        ({"log_steps": [3, 2]}, ()),
    )

    value: Nested | None = Field(None, description="its numbers, axis in axis")
    eye: _Sides | None = Field(None, description="ones on the diagonal, zeros beside it")
    arange: _Range | None = Field(None, description="numbers in steps: stop, or start, stop, step")
    linspace: _Line | None = Field(None, description="numbers at equal distances")
    causal_mask: Size | None = Field(
        None, description="places [T, T], true where one comes after the other"
    )
    local_mask: Size | None = Field(
        None,
        description="places [T, T], true where they are more than half a `window` apart "
        "(Beltagy et al. 2020, section 3.1)",
    )
    window: Size | None = Field(
        None,
        description="of `causal_mask`: a place sees so many, itself the last; of `local_mask`: "
        "half of them on each side",
    )
    relative_positions: PerAxis | None = Field(
        None, description="of a window (7: 7×7), for each two of its N cells their step's number"
    )
    log_steps: PerAxis | None = Field(
        None,
        description="of a window: each step between two of its places, its length along each axis "
        "on a logarithmic scale, 1 all across, [1, 2h-1, 2w-1, 2] (Liu et al. 2022, equation 5)",
    )
    flat: Flag = Field(False, description="`relative_positions` in one row, [N·N]")
    persistent: Flag = Field(True, description="whether it stands in the state_dict")

    def check(self) -> None:
        said = [name for name in _RULES if vars(self)[name] is not None]
        if len(said) != 1:
            has = f"{listed(said)} are {len(said)}" if said else "it has none"
            one = listed(_RULES, "or")
            raise BadArgument(None, f"a `constant` is made by one of {one}; {has}", code="E217")
        if self.log_steps is not None and min(square(self.log_steps)) < 2:
            raise self.bad("log_steps", "a window of one cell has no steps", code="E210")
        self._check_window()
        if self.flat and self.relative_positions is None:
            raise BadArgument("flat", "`flat` belongs to `relative_positions`", code="E217")
        kinds = {type(n) is bool for n in _numbers(self.value)}
        if len(kinds) > 1:
            raise self.bad("value", "numbers and truth values do not mix", code="E210")
        if self.value is not None and not _even(self.value):
            raise self.bad("value", "its rows have different lengths", code="E210")
        if self.arange is not None:
            self._check_range(self.arange)
        many = self.linspace and self.linspace[2]
        if many is not None and (not isinstance(many, int) or many < 1):
            raise self.bad("linspace", "the third says how many, at least 1", code="E210")

    def _check_window(self) -> None:
        if self.local_mask is not None and self.window is None:
            help = "`window: 512`: those at most 256 away, on both sides"
            raise BadArgument(None, "`local_mask` needs a `window`", help, code="E209")
        if self.window is not None and self.local_mask is None and self.causal_mask is None:
            message = "`window` belongs to `causal_mask` and `local_mask`"
            raise BadArgument("window", message, code="E217")

    def _check_range(self, given: tuple[float, ...]) -> None:
        start, stop, step = _range(given)
        if step == 0 or (stop - start) / step <= 0:
            raise self.bad("arange", "no number lies between its ends", code="E210")

    def infer(self, *ins: TensorType) -> tuple[TensorType, ...]:
        return (TensorType(self.sizes, self.dtype, map=False),)

    @property
    def dtype(self) -> str:
        """What it holds: float, int or bool."""
        if self.value is not None or self.arange is not None:
            numbers = list(_numbers(self.value if self.arange is None else self.arange))
            if any(isinstance(n, bool) for n in numbers):
                return "bool"
            return "float" if any(isinstance(n, float) for n in numbers) else "int"
        if self.causal_mask is not None or self.local_mask is not None:
            return "bool"
        return "float" if self.relative_positions is None else "int"

    @property
    def sizes(self) -> tuple[int, ...]:
        """Its shape."""
        if self.value is not None:
            return tuple(_depths(self.value))
        if self.eye is not None:
            return (self.eye[0], self.eye[-1])
        if self.linspace is not None:
            count: Any = self.linspace[2]
            return (count,)
        for places in (self.causal_mask, self.local_mask):
            if places is not None:
                return (places, places)
        if self.relative_positions is not None:
            count = math.prod(square(self.relative_positions))
            return (count * count,) if self.flat else (count, count)
        if self.log_steps is not None:
            window = square(self.log_steps)
            return (1, *(2 * n - 1 for n in window), len(window))
        start, stop, step = _range(self.arange or ())
        if all(isinstance(n, int) for n in (start, stop, step)):
            whole: Any = -(-(stop - start) // step)
            return (whole,)
        return (math.ceil((stop - start) / step),)

    def weights(self, *ins: TensorType) -> tuple[Weight, ...]:
        return (Weight("", self.sizes, True, self.dtype, self.persistent),)

    def call(self, *ins: TensorType) -> Call:
        target, args = self._made()
        return Call(
            target, args, "self", wrap="nn.Buffer", batchless=True, persistent=self.persistent
        )

    def _made(self) -> tuple[str, tuple[Arg, ...]]:
        """The function that gives it, and its arguments."""
        if self.value is not None:
            return "torch.tensor", (Arg(self.value),)
        if self.causal_mask is not None:
            return "causal_mask", (Arg(self.causal_mask), Arg(self.window, "window", None))
        if self.local_mask is not None:
            return "local_mask", (Arg(self.local_mask), Arg(self.window))
        if self.relative_positions is not None:
            sizes, flat = Arg(square(self.relative_positions)), Arg(self.flat, "flat", False)
            return "relative_positions", (sizes, flat)
        if self.log_steps is not None:
            return "log_steps", (Arg(square(self.log_steps)),)
        rules = {"eye": self.eye, "arange": self.arange, "linspace": self.linspace}
        name, given = next((n, g) for n, g in rules.items() if g is not None)
        return f"torch.{name}", tuple(map(Arg, given))


def _numbers(value: Any) -> Iterator[Any]:
    if isinstance(value, tuple):
        for entry in value:
            yield from _numbers(entry)
    elif value is not None:
        yield value


def _depths(value: Any) -> Iterator[int]:
    while isinstance(value, tuple):
        yield len(value)
        value = value[0]


def _even(value: Any) -> bool:
    """Whether all lists that stand side by side are of one length, at any depth."""
    if not isinstance(value, tuple):
        return True
    return len({tuple(_depths(entry)) for entry in value}) == 1 and all(map(_even, value))


def _range(given: tuple[float, ...]) -> tuple[float, float, float]:
    """Start, stop and step."""
    if len(given) == 1:
        return 0, given[0], 1
    return given[0], given[1], given[2] if len(given) > 2 else 1
