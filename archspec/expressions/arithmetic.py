"""Values → values: operators and functions, each bounded before it is computed."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable
from typing import Any

from archspec.expressions.values import Given, Loop, Missing, Record, is_number, is_whole
from archspec.text.words import show

MAX_BITS = 256  # of a whole number
MAX_LIST = 10_000  # entries of a computed list
MAX_DEEP = 64  # lists in one another
MAX_WORK = 100_000  # operations and entries of all comprehensions of an expression
AT_ONCE = 4  # entries that a function of lists goes through in the time of one such operation


class FailedError(Exception):
    """What is wrong with some values; the grammar knows where they stand in the text."""

    def __init__(self, message: str, code: str = "E361", help: str = "") -> None:
        super().__init__(message, code, help)
        self.message, self.code, self.help = message, code, help


_BY_ITEMS = (
    "what is long is made by items: `constant: {arange: 20000}` or `linspace`, and arithmetic on it"
)


def _too_long() -> FailedError:
    return FailedError(f"a list of more than {MAX_LIST:,} entries", "E405", _BY_ITEMS)


def truth(value: object) -> bool:
    if isinstance(value, bool):
        return value
    raise FailedError(
        f"{show(value)} is not `true` or `false`", help="compare it: `x > 0`, `x != 0`"
    )


def number(value: Any) -> Any:
    if is_number(value):
        return value
    raise FailedError(f"{show(value)} is not a number")


def _whole(value: Any) -> int:
    if is_whole(value):
        return value
    raise FailedError(f"{show(value)} is not a whole number")


def fits(value: Any) -> Any:
    """A result within bounds."""
    if isinstance(value, int):
        if value.bit_length() > MAX_BITS:
            raise FailedError("the number becomes too large", "E405")
    elif isinstance(value, complex):
        raise FailedError("a power of a negative number is not a number")
    elif value - value != 0:  # infinite, or not a number
        raise FailedError("the number becomes too large", "E405")
    return value


def bounded(value: Any) -> Any:
    """A list, if all that is in it, at any depth, is within bounds. Raises FailedError."""
    _room(value, MAX_LIST, MAX_DEEP)
    return value


def _room(value: Any, left: int, deeper: int) -> int:
    """How many entries more there is room for, with those of a list and of all lists in it."""
    if not isinstance(value, (list, tuple)):
        return left
    if deeper == 0:
        raise FailedError(f"lists more than {MAX_DEEP} deep in one another", "E405")
    left -= len(value)
    if left < 0:
        raise _too_long()
    if any(issubclass(kind, (list, tuple)) for kind in set(map(type, value))):
        for entry in value:
            left = _room(entry, left, deeper - 1)
    return left


def entries(value: Any) -> int:
    """How many a list has, with those of all lists in it; 0 of what is none."""
    return MAX_LIST - _room(value, MAX_LIST, MAX_DEEP) if isinstance(value, (list, tuple)) else 0


def _add(a: Any, b: Any) -> Any:
    if is_whole(a) and is_whole(b):
        return fits(a + b)
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        if len(a) + len(b) > MAX_LIST:
            raise _too_long()
        return bounded([*a, *b])
    return fits(number(a) + number(b))


def _multiply(a: Any, b: Any) -> Any:
    if is_whole(a) and is_whole(b):
        if a.bit_length() + b.bit_length() > MAX_BITS:
            raise FailedError("the number becomes too large", "E405")
        return a * b
    if isinstance(a, (list, tuple)) or isinstance(b, (list, tuple)):
        many, times = (a, b) if isinstance(a, (list, tuple)) else (b, a)
        if len(many) * max(_whole(times), 0) > MAX_LIST:
            raise _too_long()
        return bounded(list(many) * times)
    return fits(number(a) * number(b))


def _nonzero(value: Any) -> Any:
    if number(value) == 0:
        raise FailedError("division by zero")
    return value


def _over(divide: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    return lambda a, b: fits(divide(number(a), _nonzero(b)))


def _power(a: Any, b: Any) -> Any:
    number(a), number(b)
    if a == 0 and b < 0:
        raise FailedError("division by zero")
    whole = is_whole(a) and is_whole(b) and b > 0 and abs(a) > 1
    if whole and (a.bit_length() - 1) * b >= MAX_BITS:
        raise FailedError("the number becomes too large", "E405")
    try:
        return fits(a**b)
    except OverflowError:
        raise FailedError("the number becomes too large", "E405") from None


def _ordered(test: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    return lambda a, b: bool(test(number(a), number(b)))


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, bool) != isinstance(b, bool):
        truth, other = (a, b) if isinstance(a, bool) else (b, a)
        if isinstance(other, (int, float)):
            raise FailedError(f"{show(truth)} is not a number")
    if isinstance(a, (Record, Loop, Given)) or isinstance(b, (Record, Loop, Given)):
        raise FailedError("a record has no value of its own; compare one of its fields")
    if isinstance(a, tuple) or isinstance(b, tuple):
        a, b = (list(v) if isinstance(v, tuple) else v for v in (a, b))
    return bool(a == b)


def field_of(name: str, record: Any, field: str) -> Any:
    """`prev.channels`, `loop.first`; a shape as a list."""
    if not isinstance(record, (Record, Loop, Given)):
        help = f"ask first: `… if given.{name} else …`" if isinstance(record, Missing) else ""
        what = "" if help else ", which has no fields"
        raise FailedError(f"`{name}` is {show(record)}{what}", help=help)
    value = getattr(record, field, None)
    if value is None:
        message = f"`{name}` of shape {show(record)} has no `{field}`"
        raise FailedError(message, help=f"use `{name}.shape[…]`")
    return list(value) if field == "shape" else value


def index_of(name: str, owner: Any, index: Any) -> Any:
    """`sizes[0]`, `prev.shape[-1]`."""
    if not isinstance(owner, (list, tuple)):
        raise FailedError(f"`{name}` is {show(owner)}, not a list")
    if not is_whole(index):
        raise FailedError(f"the index {show(index)} is not a whole number")
    if not -len(owner) <= index < len(owner):
        raise FailedError(
            f"the index {index} is outside of `{name}`, which has {len(owner)} entries"
        )
    return owner[index]


def slice_of(name: str, owner: Any, *parts: Any) -> list[Any]:
    """`sizes[1:]`; of start, stop and step those that are not written are None."""
    if not isinstance(owner, (list, tuple)):
        raise FailedError(f"`{name}` is {show(owner)}, not a list")
    for part in parts:
        if part is not None:
            _whole(part)
    if parts[2] == 0:
        raise FailedError("the step of a slice is 0")
    return list(owner[slice(*parts)])


def _numbers(values: tuple[Any, ...]) -> list[Any]:
    found = values[0] if len(values) == 1 and isinstance(values[0], (list, tuple)) else values
    if not found:
        raise FailedError("the list is empty")
    return [number(value) for value in found]


def _range(*bounds: Any) -> list[int]:
    whole = [_whole(bound) for bound in bounds]
    if len(whole) == 3 and whole[2] == 0:
        raise FailedError("the step is 0")
    step = whole[2] if len(whole) == 3 else 1
    first, last = (0, whole[0]) if len(whole) == 1 else (whole[0], whole[1])
    count = max(0, -((first - last) // step))
    if count > MAX_LIST:
        raise _too_long()
    return list(range(first, last, step))


def make_divisible(value: float, divisor: int = 8) -> int:
    """The nearest multiple of `divisor`, at least one of it, never below 90 % of `value`.

    The rule of the MobileNet and EfficientNet code:
    https://github.com/tensorflow/models/blob/master/research/slim/nets/mobilenet/mobilenet.py
    """
    rounded = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * value else rounded


def _make_divisible(v: Any, divisor: Any = 8) -> int:
    number(v)
    if _whole(divisor) < 1 or divisor > 1 << 53 or abs(v) > 1 << 53:
        raise FailedError("the divisor is a whole number from 1, and both are below 2^53")
    return make_divisible(v, divisor)


def _len(value: Any) -> int:
    if not isinstance(value, (list, tuple)):
        raise FailedError(f"{show(value)} is not a list")
    return len(value)


def _sum(value: Any) -> Any:
    _len(value)
    return fits(sum(number(entry) for entry in value))


def _sorted(value: Any) -> list[Any]:
    _len(value)
    return sorted(number(entry) for entry in value)


def _logarithm(compute: Callable[[Any], float]) -> Callable[[Any], float]:
    def run(value: Any) -> float:
        if number(value) <= 0:
            raise FailedError(f"{show(value)} has no logarithm: it takes a number above 0")
        return compute(value)

    return run


def _sqrt(value: Any) -> float:
    if number(value) < 0:
        raise FailedError(f"{show(value)} has no root: it takes a number of at least 0")
    return math.sqrt(value)


class Work:
    """What expressions have cost so far: operations and entries of comprehensions, other lists."""

    def __init__(self) -> None:
        self.done = 0

    def through(self, *values: Any) -> None:
        """An operation that goes through lists outside of a comprehension, or makes one."""
        self.done += sum(map(entries, values)) // AT_ONCE

    def on(self, *values: Any) -> None:
        """One operation on these values. Raises FailedError where it is too much."""
        self.done += 1 + sum(len(v) for v in values if isinstance(v, (list, tuple)))
        if self.done > MAX_WORK:
            most = f"at most {MAX_WORK:,} operations"
            message = f"the comprehensions of an expression take {most}; these take more"
            raise FailedError(message, "E405", _BY_ITEMS)


def entries_of(name: str, value: Any) -> Any:
    """What a comprehension goes through."""
    if isinstance(value, (list, tuple)):
        return value
    help = f"write `range({name})`" if is_whole(value) else ""
    raise FailedError(f"`{name}` is {show(value)}, not a list", help=help)


UNARY: dict[type[ast.unaryop], Callable[[Any], Any]] = {
    ast.Not: lambda v: not truth(v),
    ast.USub: lambda v: -number(v),
    ast.UAdd: number,
}
BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: _add,
    ast.Sub: lambda a, b: fits(number(a) - number(b)),
    ast.Mult: _multiply,
    ast.Div: _over(operator.truediv),
    ast.FloorDiv: _over(operator.floordiv),
    ast.Mod: _over(operator.mod),
    ast.Pow: _power,
}
COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: _equal,
    ast.NotEq: lambda a, b: not _equal(a, b),
    ast.Lt: _ordered(operator.lt),
    ast.LtE: _ordered(operator.le),
    ast.Gt: _ordered(operator.gt),
    ast.GtE: _ordered(operator.ge),
}
CALLS: dict[str, Callable[..., Any]] = {
    "min": lambda *v: min(_numbers(v)),
    "max": lambda *v: max(_numbers(v)),
    "abs": lambda v: abs(number(v)),
    "ceil": lambda v: math.ceil(number(v)),
    "floor": lambda v: math.floor(number(v)),
    "round": lambda v: round(number(v)),
    "int": lambda v: v if is_whole(v) else int(number(v)),
    "len": _len,
    "sum": _sum,
    "range": _range,
    "sorted": _sorted,
    "sqrt": _sqrt,
    "log": _logarithm(math.log),
    "log2": _logarithm(math.log2),
    "make_divisible": _make_divisible,
}
FUNCTIONS = tuple(CALLS)
ARITY = {"min": (1, 99), "max": (1, 99), "range": (1, 3), "make_divisible": (1, 2)}  # or one
