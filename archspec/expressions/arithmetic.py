"""Values → values: operators and functions, each bounded before it is computed."""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Iterable
from typing import Any

from archspec.expressions.values import ExpressionError, Loop, Record
from archspec.text.words import show

MAX_BITS = 256  # of a whole number
MAX_LIST = 10_000  # entries of a computed list
FUNCTIONS = (
    "min", "max", "abs", "ceil", "floor", "round", "int", "len", "sum", "range", "make_divisible",
)  # fmt: skip


class FailedError(Exception):
    def __init__(self, message: str, code: str = "E361") -> None:
        super().__init__(message, code)
        self.message, self.code = message, code


def truth(value: object, start: int, stop: int) -> bool:
    if value is True or value is False:
        return value
    raise ExpressionError(
        f"{show(value)} is not `true` or `false`",
        start,
        stop,
        "E361",
        "compare it: `x > 0`, `x != 0`",
    )


def number(value: object) -> Any:
    if type(value) is int or type(value) is float:
        return value
    raise FailedError(f"{show(value)} is not a number")


def _whole(value: object) -> int:
    if type(value) is int:
        return value
    raise FailedError(f"{show(value)} is not a whole number")


def fits(value: Any) -> Any:
    """A result within bounds."""
    if type(value) is int:
        if value.bit_length() > MAX_BITS:
            raise FailedError("the number becomes too large", "E405")
    elif type(value) is complex:
        raise FailedError("a power of a negative number is not a number")
    elif value - value != 0:  # infinite, or not a number
        raise FailedError("the number becomes too large", "E405")
    return value


def _entries(values: Iterable[Any]) -> int:
    return sum(1 + (_entries(v) if isinstance(v, (list, tuple)) else 0) for v in values)


def _add(a: Any, b: Any) -> Any:
    if type(a) is int and type(b) is int:
        return fits(a + b)
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        if _entries(a) + _entries(b) > MAX_LIST:
            raise FailedError(f"a list of more than {MAX_LIST} entries", "E405")
        return [*a, *b]
    return fits(number(a) + number(b))


def _subtract(a: Any, b: Any) -> Any:
    return fits(number(a) - number(b))


def _multiply(a: Any, b: Any) -> Any:
    if type(a) is int and type(b) is int:
        if a.bit_length() + b.bit_length() > MAX_BITS:
            raise FailedError("the number becomes too large", "E405")
        return a * b
    if isinstance(a, (list, tuple)) or isinstance(b, (list, tuple)):
        many, times = (a, b) if isinstance(a, (list, tuple)) else (b, a)
        if _entries(many) * max(_whole(times), 0) > MAX_LIST:
            raise FailedError(f"a list of more than {MAX_LIST} entries", "E405")
        return list(many) * times
    return fits(number(a) * number(b))


def _nonzero(value: Any) -> Any:
    if number(value) == 0:
        raise FailedError("division by zero")
    return value


def _divide(a: Any, b: Any) -> Any:
    return fits(number(a) / _nonzero(b))


def _floor_divide(a: Any, b: Any) -> Any:
    return fits(number(a) // _nonzero(b))


def _remainder(a: Any, b: Any) -> Any:
    return fits(number(a) % _nonzero(b))


def _power(a: Any, b: Any) -> Any:
    number(a), number(b)
    if a == 0 and b < 0:
        raise FailedError("division by zero")
    if (
        type(a) is int
        and type(b) is int
        and b > 0
        and abs(a) > 1
        and (a.bit_length() - 1) * b >= MAX_BITS
    ):
        raise FailedError("the number becomes too large", "E405")
    try:
        return fits(a**b)
    except OverflowError:
        raise FailedError("the number becomes too large", "E405") from None


def _comparable(a: Any, b: Any) -> bool:
    """Whether an order is defined; raises where it is not."""
    number(a), number(b)
    return True


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, bool) != isinstance(b, bool):
        truth, other = (a, b) if isinstance(a, bool) else (b, a)
        if isinstance(other, (int, float)):
            raise FailedError(f"{show(truth)} is not a number")
    if isinstance(a, (Record, Loop)) or isinstance(b, (Record, Loop)):
        raise FailedError("a record has no value of its own; compare one of its fields")
    if isinstance(a, tuple) or isinstance(b, tuple):
        a, b = (list(v) if isinstance(v, tuple) else v for v in (a, b))
    return bool(a == b)


def index_of(shown: str, owner: Any, index: Any, start: int, stop: int) -> Any:
    if not isinstance(owner, (list, tuple)):
        raise ExpressionError(f"`{shown}` is {show(owner)}, not a list", start, stop)
    if type(index) is not int:
        raise ExpressionError(f"the index {show(index)} is not a whole number", start, stop)
    if not -len(owner) <= index < len(owner):
        raise ExpressionError(
            f"the index {index} is outside of `{shown}`, which has {len(owner)} entries",
            start,
            stop,
        )
    return owner[index]


def slice_of(shown: str, owner: Any, parts: list[Any], start: int, stop: int) -> list[Any]:
    if not isinstance(owner, (list, tuple)):
        raise ExpressionError(f"`{shown}` is {show(owner)}, not a list", start, stop)
    for part in parts:
        if part is not None and type(part) is not int:
            raise ExpressionError(f"{show(part)} is not a whole number", start, stop)
    if parts[2] == 0:
        raise ExpressionError("the step of a slice is 0", start, stop)
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
        raise FailedError(f"a list of more than {MAX_LIST} entries", "E405")
    return list(range(first, last, step))


def make_divisible(v: float, divisor: int = 8) -> int:
    """`v` rounded to the nearest multiple of `divisor`, at least one, never below 90 % of `v`.

    The rule of the MobileNet and EfficientNet code:
    https://github.com/tensorflow/models/blob/master/research/slim/nets/mobilenet/mobilenet.py
    """
    rounded = max(divisor, int(v + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * v else rounded


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


BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: _add, ast.Sub: _subtract, ast.Mult: _multiply, ast.Div: _divide,
    ast.FloorDiv: _floor_divide, ast.Mod: _remainder, ast.Pow: _power,
}  # fmt: skip
COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: _equal,
    ast.NotEq: lambda a, b: not _equal(a, b),
    ast.Lt: lambda a, b: _comparable(a, b) and bool(a < b),
    ast.LtE: lambda a, b: _comparable(a, b) and bool(a <= b),
    ast.Gt: lambda a, b: _comparable(a, b) and bool(a > b),
    ast.GtE: lambda a, b: _comparable(a, b) and bool(a >= b),
}
CALLS: dict[str, Callable[..., Any]] = {
    "min": lambda *v: min(_numbers(v)),
    "max": lambda *v: max(_numbers(v)),
    "abs": lambda v: abs(number(v)),
    "ceil": lambda v: math.ceil(number(v)),
    "floor": lambda v: math.floor(number(v)),
    "round": lambda v: round(number(v)),
    "int": lambda v: int(number(v)),
    "len": _len,
    "sum": _sum,
    "range": _range,
    "make_divisible": _make_divisible,
}
ARITY = {
    "min": (1, 99), "max": (1, 99), "range": (1, 3), "make_divisible": (1, 2),
    **dict.fromkeys(("abs", "ceil", "floor", "round", "int", "len", "sum"), (1, 1)),
}  # fmt: skip
