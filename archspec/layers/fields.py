"""The types of fields: which values a parameter of an op takes, and how a complaint says so.

They are used as any type is, alone, with `Literal` and `|`, or as the entries of a tuple:

    groups: Size | Literal["depthwise"] = Field(1, description="…")

A complaint about a value ends in what the type says: "`groups` of `conv` is 0; it takes a whole
number of at least 1 or `depthwise`". The JSON Schema follows from the same types.
"""

from __future__ import annotations

import types
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import Field, GetCoreSchemaHandler
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema, PydanticKnownError, core_schema

from archspec.expressions.sym import Truth
from archspec.text.words import joined, listed

LARGEST_WHOLE = 2**31 - 1  # torch's windows and pools count in 32 bits
LARGEST = 3.4028234663852886e38  # of float32
LONGEST = 2**63 - 1  # of int64, in which torch takes a whole number beside floats


@dataclass(frozen=True)
class Says:
    """The words behind "it takes", where a type has better ones than its parts put together."""

    says: str


@dataclass(frozen=True)
class Whole:
    """A whole number in a closed range; `true` is not a number, `2.0` is not whole."""

    least: int | None = None
    most: int | None = None

    @property
    def says(self) -> str:
        return "a whole number" + _range(self.least, self.most)

    def __get_pydantic_core_schema__(self, _: Any, __: GetCoreSchemaHandler) -> CoreSchema:
        most = LARGEST_WHOLE if self.most is None else self.most
        least = -LARGEST_WHOLE if self.least is None else self.least
        return _as_it_came(core_schema.int_schema(strict=True, ge=least, le=most))


@dataclass(frozen=True)
class Real:
    """A finite number in a closed range, or above `above`; a whole number stays one."""

    least: float | None = None
    most: float | None = None
    above: float | None = None

    @property
    def says(self) -> str:
        return "a number" + _range(self.least, self.most, self.above)

    def __get_pydantic_core_schema__(self, _: Any, __: GetCoreSchemaHandler) -> CoreSchema:
        most = LARGEST if self.most is None else self.most
        least = -LARGEST if self.least is None else self.least
        number = core_schema.float_schema(
            strict=True, allow_inf_nan=False, ge=least, le=most, gt=self.above
        )
        return core_schema.no_info_wrap_validator_function(_held, number)


@dataclass(frozen=True)
class Switch:
    """true or false; a condition that remembers where it comes from stays one."""

    says: str = "true or false"

    def __get_pydantic_core_schema__(self, _: Any, __: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_wrap_validator_function(
            lambda value, check: value if isinstance(value, Truth) else check(value),
            core_schema.bool_schema(strict=True),
        )


def _range(least: float | None, most: float | None, above: float | None = None) -> str:
    if least is not None and most is not None:
        return f" from {least} to {most}"
    parts = [] if above is None else [f" above {above}"]
    parts += [] if least is None else [f" of at least {least}"]
    parts += [] if most is None else [f" of at most {most}"]
    return ",".join(parts)


def _as_it_came(number: CoreSchema) -> CoreSchema:
    """Checks and hands on the very object: 1 and 1.0 stay apart, a subclass keeps its class."""
    return core_schema.no_info_wrap_validator_function(_checked, number)


def _checked(value: Any, check: Callable[[Any], Any]) -> Any:
    check(value)
    return value


def _held(value: Any, check: Callable[[Any], Any]) -> Any:
    """The very object, as `_checked`; a whole number beyond what torch takes is refused."""
    if isinstance(value, int) and abs(value) > LONGEST:
        raise PydanticKnownError("less_than_equal", {"le": LONGEST})
    return _checked(value, check)


def up_to(most: int) -> Any:
    """A list of one entry to so many. A list describes one op; a longer one is a mistake."""
    return Field(min_length=1, max_length=most)


Size = Annotated[int, Whole(1)]
Count = Annotated[int, Whole(0)]
Axis = Annotated[int, Whole()]
Number = Annotated[float, Real()]
Positive = Annotated[float, Real(above=0)]
Epsilon = Annotated[float, Real(0, 1)]
Probability = Annotated[float, Real(0, 1)]
Flag = Annotated[bool, Switch()]

Sizes = Annotated[tuple[Size, ...], up_to(64)]
Axes = Annotated[tuple[Axis, ...], up_to(8)]

_FIRST = Field(union_mode="left_to_right")
PerAxis = Annotated[
    Size | Annotated[tuple[Size, ...], up_to(3)],
    _FIRST, Says("a whole number of at least 1, or a list of one per axis"),
]  # fmt: skip
Cells = Annotated[
    Count | Annotated[tuple[Count, ...], up_to(3)],
    _FIRST, Says("a whole number of at least 0, or a list of one per axis"),
]  # fmt: skip
# The words are those of the literature on convolution arithmetic.
Padding = Annotated[
    Count | Annotated[tuple[Count, ...], up_to(3)]
    | Literal["valid", "half", "same", "full", "causal"],
    _FIRST,
    Says(
        "a whole number of at least 0, a list of one per axis, or `valid`, `half`, `same`, `full` "
        "or `causal`"
    ),
]  # fmt: skip


def alone(value: Any) -> Any:
    """A value by itself as a list of one."""
    return value if isinstance(value, (list, tuple)) else [value]


def says(field: FieldInfo) -> str:
    """What a field takes, in words: "a whole number of at least 1 or `depthwise`"."""
    optional = field.default is None  # null, its default, goes without saying
    return _says(Annotated[field.annotation, *field.metadata, None], optional)


def _says(annotation: Any, optional: bool = False) -> str:
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        said = [m.says for m in args[1:] if isinstance(m, (Says, Whole, Real, Switch))]
        return said[-1] if said else _says(args[0], optional)
    if origin is Literal:
        return listed(args, "or")
    if origin in (Union, types.UnionType):
        return joined((_says(a) for a in args if not (optional and a is type(None))), "or")
    if origin is tuple:
        return f"a list, each entry {_says(args[0])}"
    return "null" if annotation is type(None) else "a value"


def words(annotation: Any) -> tuple[str, ...]:
    """The words among the values of a type."""
    if get_origin(annotation) is Literal:
        return get_args(annotation)
    return tuple(word for part in get_args(annotation) for word in words(part))
