"""Strings of a file → expressions and templates; both → values."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NoReturn

from archspec.expressions.grammar import Expr, ExpressionError, parse
from archspec.expressions.values import LOOP, RECORD, Env, Given, Loop, Record, is_whole
from archspec.text.words import cut, show

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_BRACES = re.compile(r"\$\{(\w+)\}")
_ONE = re.compile(r"[\w.]+(\([^()]*\))?")  # a name, a field, a number or a call


@dataclass(frozen=True, slots=True)
class Template:
    """An id or path with expressions in it: `enc$i`, `top$(i + 1)`; parts are str or Expr."""

    text: str
    parts: tuple[str | Expr, ...]

    @property
    def names(self) -> frozenset[str]:
        """The names its expressions read."""
        return frozenset().union(*(part.names for part in self.parts if isinstance(part, Expr)))


def scalar(text: str) -> str | Expr:
    """A string of the file: plain text (`$$` is `$`), or an expression. Raises ExpressionError."""
    if "$" not in text:
        return text
    if text[0] == "$" and text[1:2] != "$":
        expr, end = _embedded(text, 0)
        if end == len(text):
            return expr
        _spliced(text, 0, end)
    at = 0
    while (at := text.find("$", at)) >= 0:
        if text[at + 1 : at + 2] != "$":
            end = _embedded(text, at)[1]
            _spliced(text, at, end)
        at += 2
    return text.replace("$$", "$")


def template(text: str) -> Template:
    """An id or a path with expressions in its segments. Raises ExpressionError."""
    if "$" not in text:
        return Template(text, (text,))
    return _template(text)


_COMMENT = re.compile(r" *(//|/\*|--|;).*")  # as other languages write one
_SIGNS = " \"',;)}\u2018\u2019\u201c\u201d\u201e"


@lru_cache(maxsize=4096)
def _template(text: str) -> Template:
    parts: list[str | Expr] = []
    at = 0
    while (dollar := text.find("$", at)) >= 0:
        if dollar > at:
            parts.append(text[at:dollar])
        expr, at = _embedded(text, dollar)
        parts.append(expr)
    if at < len(text):
        parts.append(text[at:])
    return Template(text, tuple(parts))


def _embedded(text: str, dollar: int) -> tuple[Expr, int]:
    """The expression whose `$` stands at `dollar`, and where it ends."""
    name = NAME.match(text, dollar + 1)
    if name:
        return parse(name.group(), dollar + 1), name.end()
    if text[dollar + 1 : dollar + 2] != "(":
        braces = _BRACES.match(text, dollar)
        meant = f"an expression is `$({cut(braces[1])})`, and " if braces else ""
        help = f"{meant}a dollar sign is `$$`"
        raise ExpressionError("`$` without a name or `(`", dollar, dollar + 1, "E121", help)
    end = _closing(text, dollar + 1)
    return parse(text[dollar + 2 : end], dollar + 2), end + 1


def _closing(text: str, start: int) -> int:
    """Where the bracket at `start` closes, quotes respected."""
    depth, quote = 0, ""
    for at in range(start, len(text)):
        char = text[at]
        if quote:
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        elif char in "([":
            depth += 1
        elif char in ")]":
            depth -= 1
            if not depth and char == ")":
                return at
    raise ExpressionError("`$(` is not closed", start - 1, start + 1, "E122", "close it with `)`")


def _is_expression(text: str) -> bool:
    try:
        parse(text)
    except ExpressionError:
        return False
    return True


def _left_over(text: str, start: int, end: int) -> str:
    """The remedy where only signs, or a remark, stand around an expression."""
    noted = _COMMENT.search(text, end)
    around = text[:start] + text[end : noted.start() if noted else None]
    if around.strip(_SIGNS):
        return ""
    return f"write `{cut(text[start:end])}`" + ("; a comment starts with ` #`" if noted else "")


def _spliced(text: str, start: int, end: int) -> NoReturn:
    inner = text[start + 1 : end]
    inner = inner[1:-1] if inner.startswith("(") else inner
    if not _ONE.fullmatch(inner) and (text[:start] + text[end:]).strip(_SIGNS):
        inner = f"({inner})"  # `$(a + 1)*2` is `$((a + 1)*2)`
    whole = f"{text[:start]}{inner}{text[end:]}"
    help = "write `$$` for a dollar sign"
    apart = not text[:start][-1:].isalnum() and not text[end:][:1].isalnum()
    for meant in (whole, whole.removesuffix(")")) if apart else ():
        if _is_expression(meant):
            help = f"write `$({cut(meant)})`"
            break
    else:
        help = _left_over(text, start, end) or help
    rule = f"`{cut(text)}` is not one whole expression; text is never spliced"
    raise ExpressionError(rule, start, end, "E121", help)


def evaluate(expr: Expr, env: Env) -> Any:
    """The value of an expression for the names in `env`. Raises ExpressionError."""
    try:
        value = expr.run(env)
    except ExpressionError as bad:
        raise bad.moved(expr.offset) from None
    except RecursionError:
        message = "the expression is too large"
        raise ExpressionError(message, expr.offset, expr.offset + 1, "E405") from None
    if _of_records(value):
        help = "`from` takes its tensors: `xs.0`, or `xs.*` for all"
        raise _whole(expr, f"`{cut(expr.text)}` is a list of inputs, not a value", help)
    if isinstance(value, Given):
        raise _whole(expr, "`given` is no value", "ask for one input: `given.skip`")
    if isinstance(value, (Record, Loop)):
        fields = LOOP if isinstance(value, Loop) else RECORD
        help = f"use one of its fields: {', '.join(fields)}"
        raise _whole(expr, f"`{cut(expr.text)}` is a record, not a value", help)
    return value


def _of_records(value: Any) -> bool:
    """Whether it is a list that holds records, at any depth."""
    return isinstance(value, (list, tuple)) and any(
        isinstance(entry, Record) or _of_records(entry) for entry in value
    )


def _whole(expr: Expr, message: str, help: str) -> ExpressionError:
    """What is wrong with the whole expression."""
    return ExpressionError(message, expr.offset, expr.offset + len(expr.text), "E361", help)


def resolve(value: Any, env: Env) -> Any:
    """`value` with every expression in its lists and mappings evaluated. Raises ExpressionError."""
    if isinstance(value, Expr):
        return evaluate(value, env)
    if isinstance(value, (list, tuple)):
        return type(value)(resolve(entry, env) for entry in value)
    if isinstance(value, dict):
        return {key: resolve(entry, env) for key, entry in value.items()}
    return value


def render(text: Template, env: Env) -> str:
    """The text of a template, its expressions replaced by values. Raises ExpressionError."""
    parts = (part if isinstance(part, str) else _segment(part, env) for part in text.parts)
    return "".join(parts)


def _segment(expr: Expr, env: Env) -> str:
    value = evaluate(expr, env)
    if is_whole(value) and value >= 0:
        return str(value)
    if isinstance(value, str) and NAME.fullmatch(value):
        return value
    help = "a name takes whole numbers from 0, or words"
    raise _whole(expr, f"{show(value)} cannot be part of a name", help)
