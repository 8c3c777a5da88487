"""Scalars of YAML → values of the core schema; where in the text a part of one stands."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

Span = tuple[int, int]

_WORDS: dict[str, Any] = {
    "~": None, "null": None, "Null": None, "NULL": None, "true": True, "True": True, "TRUE": True,
    "false": False, "False": False, "FALSE": False,
}  # fmt: skip
_TYPED = frozenset("+-.0123456789~nNtTfF")
_INT = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_OTHER_NUMBER = re.compile(r"[-+]?(?:\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)|0x[0-9a-fA-F]+|0o[0-7]+)")
_DIGITS = 20
_FLOAT_LENGTH = 100

_BRACKET = re.compile(r"[()\n]")
_LONG = 2000  # characters in which the bracket that closes an expression is looked for
# Where a plain scalar ends: inside of brackets, and everywhere.
_ENDS_IN_FLOW = re.compile(r"[,\[\]{}]|:(?=[\s,\[\]{}])|(?<=\s)#")
_ENDS = re.compile(r":(?=\s)|(?<=\s)#")
_SIGNS = re.compile(r"[,\[\]{}:#]")

# Signs that look like `-` and like a space to an author, and are text to YAML.
_DASHES = "\u2010-\u2015\u2212"
_BLANKS = "\xa0\u1680\u2000-\u200a\u202f\u205f\u3000"
_COMMAS = "\u060c\u3001\uff0c"
QUOTES = "\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u201f\xab\xbb\"'"  # as printed, and YAML's own
LOOKALIKE = re.compile(rf"[{_DASHES}{_BLANKS}{_COMMAS}{QUOTES[:-2]}]")
PRINTED = re.compile(rf"[{QUOTES[:-2]}](\w+|\$\w+|\$\(.*\))[{QUOTES[:-2]}]")  # a word in quotes
FOREIGN = re.compile(
    rf"^[ -]*(?P<dash>[{_DASHES}])(?=[\s{_BLANKS}])"
    rf"|(?:^ *|(?<=[-:,]))[{_BLANKS}]|[{_BLANKS}](?=[:#]|$)",
    re.MULTILINE,
)

COMMA = re.compile(rf"(?<=[\w)\]}}'\"])[{_COMMAS}] *(?=[\w$(\[{{'\"-])", re.ASCII)
_ENTRY = r"-?[0-9.]+|true|false|\$[a-z]\w*"
SEVERAL = re.compile(rf"({_ENTRY})(?: +(?:{_ENTRY}))+")  # of a list, with no comma between

# One sign of a scalar's value as it is written.
_SINGLE = re.compile(r"''|\S")
_DOUBLE = re.compile(r"\\(?:x..|u.{4}|U.{8}|\n\s*|.)|\S", re.DOTALL)
_PLAIN = re.compile(r"\S")
_BLANK_ESCAPES = frozenset(" \tnrvf_NLP\n")


class NumberError(ValueError):
    """Why a number is refused: the end of a sentence that starts with it, and the remedy."""

    def __init__(self, rule: str, help: str) -> None:
        super().__init__(rule)
        self.rule, self.help = rule, help


def core(text: str) -> Any:
    """The value of a plain scalar, by the core schema of YAML 1.2. Raises NumberError.

    `core("1e-3")` is 0.001 and `core("~")` is None; `core("no")` and `core("2:2")` are texts.
    """
    if text[0] not in _TYPED:
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        digits = text.lstrip("+-")
        if len(digits) > _DIGITS:
            rule = f"has {len(digits)} digits; a whole number has at most {_DIGITS}"
            raise NumberError(rule, "write a smaller number")
        if digits[0] == "0" and len(digits) > 1:
            raise NumberError("starts with 0", f"write {int(digits)}")
        return int(text)
    if _FLOAT.fullmatch(text):
        value = float(text) if len(text) <= _FLOAT_LENGTH else float("inf")
        if abs(value) == float("inf"):
            raise NumberError("is out of range", "write a smaller number")
        return value
    if _OTHER_NUMBER.fullmatch(text):
        word = "-inf" if text[0] == "-" else "inf"
        taken = f", or where an op takes it, as `pad` does, the word `{word}`"
        help = f"write a decimal number{taken if 'inf' in text.lower() else ''}"
        raise NumberError("is not a finite decimal number", help)
    return text


# ------------------------------------------------------------------ expressions


def expression(text: str, start: int) -> str:
    """The text from `$(` at `start` to its closing bracket on the same line, or ""."""
    depth = 0
    last = text.rfind(")", start, start + _LONG) + 1
    for found in _BRACKET.finditer(text, start, last):
        if found.group() == "\n":
            return ""
        depth += 1 if found.group() == "(" else -1
        if not depth:
            return text[start : found.end()]
    return ""


def cut_off(text: str, start: int, stop: int, *, flow: bool) -> tuple[int, str, str] | None:
    """The expression in the plain scalar at [start, stop) that YAML ends too early, and where.

    In `{out: $(max(8, c))}` the scalar is `$(max(8`: found are 6, `$(max(8, c))` and `,`.
    """
    at = text.find("$(", start, stop)
    while at >= 0 and (whole := expression(text, at)):
        if end := (_ENDS_IN_FLOW if flow else _ENDS).search(whole):
            return at, whole, end.group()
        at = text.find("$(", at + len(whole), stop)
    return None


def covered(text: str) -> str:
    """The text with all expressions written so that YAML cuts none off; everything stays in place.

    `{out: $(max(8, c))}` becomes `{out: $(max(8_ c))}`.
    """
    parts: list[str] = []
    at = 0
    while (start := text.find("$(", at)) >= 0:
        stop = start + (len(expression(text, start)) or _LONG)
        parts += [text[at:start], _SIGNS.sub("_", text[start:stop])]
        at = stop
    return "".join([*parts, text[at:]])


# ------------------------------------------------------------------ places


def span(text: str, place: Span, value: str, part: Span) -> Span:
    """Where a part of the value of the scalar at a place stands, all as [first, last).

    The signs of the value and those of the text are the same ones in the same order, however the
    text is quoted, escaped and folded; only blanks differ. `'x''y'` holds `x'y`: characters [1, 2)
    of it stand at [2, 4).
    """
    (start, stop), first = place, part[0]
    if first >= len(value):
        return stop, stop + 1
    before, within = (len("".join(value[:at].split())) for at in part)
    signs = list(_signs(text, start, stop))[: max(within, before + 1)]
    if value[first].isspace():
        begin = signs[before - 1][1] if before else start
    else:
        begin = signs[before][0]
    return begin, max(begin + 1, signs[within - 1][1] if within > before else 0)


def _signs(text: str, start: int, stop: int) -> Iterator[Span]:
    """The place of each sign of a scalar's value that is no blank."""
    style = text[start : start + 1]
    if style in ("|", ">"):
        start = text.find("\n", start, stop)
    elif style in ("'", '"'):
        start, stop = start + 1, stop - 1
    written = {"'": _SINGLE, '"': _DOUBLE}.get(style, _PLAIN)
    for found in written.finditer(text, start, stop):
        if not _blank(found.group()):
            yield found.span()


def _blank(sign: str) -> bool:
    """Whether a sign is an escape that stands for a blank: `\\t`, `\\x20`."""
    if len(sign) == 1 or sign == "''":
        return False
    return chr(int(sign[2:], 16)).isspace() if sign[1] in "xuU" else sign[1] in _BLANK_ESCAPES
