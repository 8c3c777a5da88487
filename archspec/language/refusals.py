"""What is wrong with a value → an error that Pydantic collects: a code, a sentence, a remedy.

Where the value stands is found later, from the steps that led to it (complaints.py).

raise refuse("E218", "`repeat` has no columns", "write a whole number, or `{n: [2, 2, 3]}`")
raise wrong_kind("text", "put it in quotes")         `title` is the number 3; it takes text
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, LiteralString

from pydantic import AfterValidator, BeforeValidator
from pydantic_core import InitErrorDetails, PydanticCustomError, ValidationError

from archspec.expressions import ExpressionError

Steps = tuple[str | int, ...]
_MOST = 1_000  # faults of one value: nobody reads more, and each takes room
Rule = Callable[[str], str]  # of names.py: why a name cannot be one, or ""


def refuse(code: LiteralString, said: str, help: str = "", **more: Any) -> PydanticCustomError:
    """A fault to raise. `more`: `on_key` where it stands on a key, `span` in a text, …"""
    return PydanticCustomError(code, "{said}", {"said": said, "help": help, **more})


def wrong_kind(wanted: str, help: str = "", **more: Any) -> PydanticCustomError:
    """A value of another kind; the sentence is made where it is known what it is the value of."""
    return refuse("kind", wanted, help, **more)


def broken(rule: Rule, name: str, on_key: bool = True, help: str = "") -> None:
    """Refuses a name that breaks a rule."""
    wrong = rule(name)
    if wrong:
        code: LiteralString = "E403" if wrong.startswith("a name of") else "E205"
        raise refuse(code, wrong, help or "choose another name", on_key=on_key)


class Faults(list[tuple[Steps, PydanticCustomError]]):
    """The faults inside one value, each with the steps that lead to it.

    with Faults() as faults:
        faults.add(("n",), "E218", "the column `n` is 3; a column is a list")
    """

    def at(self, steps: Steps, check: Callable[..., Any], *args: Any) -> Any:
        """What a check gives; None where it refuses, which is noted."""
        try:
            return check(*args)
        except PydanticCustomError as fault:
            if len(self) < _MOST:
                self.append((steps, fault))
            return None

    def add(
        self, steps: Steps, code: LiteralString, said: str, help: str = "", **more: Any
    ) -> None:
        """Notes a fault; see `refuse`."""
        if len(self) < _MOST:
            self.append((steps, refuse(code, said, help, **more)))

    def __enter__(self) -> Faults:
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        """Raises them all, where there are any."""
        if self and error is None:
            lines = [InitErrorDetails(type=fault, loc=at, input=None) for at, fault in self]
            raise ValidationError.from_exception_data("value", lines)


def takes(wanted: str, *types: type, help: str = "") -> BeforeValidator:
    """Lets through values of some types."""

    def check(value: Any) -> Any:
        if not isinstance(value, types):
            raise wrong_kind(wanted, help)
        return value

    return BeforeValidator(check)


def named(rule: Rule, *, on_key: bool = True) -> AfterValidator:
    """A name that keeps a rule."""

    def check(name: str) -> str:
        broken(rule, name, on_key)
        return name

    return AfterValidator(check)


def expressed(parse: Callable[..., Any], *args: Any, on_key: bool = False) -> Any:
    """What a parser of expressions makes of a text; its complaint is one of the value."""
    try:
        return parse(*args)
    except ExpressionError as found:
        bad = found.moved(0)  # a copy, which keeps nothing that the parser looked at
    # raised out here: in the handler it would keep the other, and all that the parser looked at
    code: Any = bad.code
    more = {"on_key": True} if on_key else {"span": (bad.start, bad.stop)}
    raise refuse(code, bad.message, bad.help, **more)
