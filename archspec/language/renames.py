"""`weights` of a document → where published weights come from, and how their names are ours.

One entry of `rename` says how one tensor of the network, or each that a pattern matches, is made of
tensors of the source: `stages.{i}.{j}.` on the left, `layer{i+1}.{j}.` on the right.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from archspec.expressions import Expr, ExpressionError, Template, parse, render

_BRACES = re.compile(r"\{([^{}]*)\}")
_VARIABLE = re.compile(r"[a-z][a-z0-9_]*")
_OURS = re.compile(r"[A-Za-z0-9_.-]*")
_THEIRS = re.compile(r"[A-Za-z0-9_./:-]*")


@dataclass(frozen=True, slots=True)
class Pattern:
    """The left side: a name of ours, `{i}` a whole number; a part ending in `.`: all below it."""

    text: str
    regex: re.Pattern[str]
    variables: tuple[str, ...]

    @property
    def prefix(self) -> bool:
        """Whether it stands for all names that begin with it."""
        return not self.text or self.text.endswith(".")

    def match(self, name: str) -> tuple[dict[str, int], str] | None:
        """The numbers, and what follows a prefix; None where `name` does not match."""
        found = self.regex.match(name)
        if found is None or (not self.prefix and found.end() != len(name)):
            return None
        values = {key: int(text) for key, text in found.groupdict().items()}
        return values, name[found.end() :]


@dataclass(frozen=True, slots=True)
class Rename:
    """One entry: the pattern, and what the tensor is made of.

    Several sources are joined along `axis`; `part` (k, n) takes part k of n equal ones along it;
    then axes are exchanged by `order`; then, with `reshape`, the elements are given our shape.
    """

    ours: Pattern
    theirs: tuple[Template, ...]
    axis: int = 0
    part: tuple[int, ...] | None = None
    order: tuple[int, ...] | None = None
    reshape: bool = False

    def sources(self, name: str) -> tuple[str, ...] | None:
        """The names in the source that `name` is made of; None where the pattern does not match.

        Raises ExpressionError where an expression has no value.
        """
        found = self.ours.match(name)
        if found is None:
            return None
        values, rest = found
        return tuple(render(text, values) + rest for text in self.theirs)

    @property
    def plain(self) -> bool:
        """Whether it only renames."""
        return (
            len(self.theirs) == 1 and self.part is None and self.order is None and not self.reshape
        )

    def __str__(self) -> str:
        right = " + ".join(text.text or '""' for text in self.theirs)
        if self.part is not None:
            right += f", part {self.part[0]} of {self.part[1]}"
        if self.order is not None:
            right += f", axes {list(self.order)}"
        left = self.ours.text or '""'
        return f"{left} -> {right}" + (", reshaped" if self.reshape else "")


def pattern(text: str) -> Pattern:
    """The left side of an entry. Raises ExpressionError."""
    regex, variables, end = "", [], -1
    for part, start in _parts(text, _OURS):
        if not part.startswith("{"):
            regex += re.escape(part)
            continue
        name = part[1:-1]
        if not _VARIABLE.fullmatch(name):
            message = f"`{part}` is no variable; left are variables, right expressions over them"
            raise ExpressionError(message, start, start + len(part), "E229", "for example `{i}`")
        if start == end:
            message = f"nothing stands between two variables in `{text}`"
            raise ExpressionError(message, start, start + len(part), "E229", "`{i}.{j}`")
        regex += f"(?P={name})" if name in variables else rf"(?P<{name}>0|[1-9][0-9]{{0,8}})"
        variables.append(name)
        end = start + len(part)
    tail = r"(?![0-9])" if end == len(text) else ""
    return Pattern(text, re.compile(regex + tail), tuple(dict.fromkeys(variables)))


def names(text: str, known: tuple[str, ...]) -> Template:
    """The right side of an entry. Raises ExpressionError."""
    parts: list[str | Expr] = []
    for part, start in _parts(text, _THEIRS):
        if not part.startswith("{"):
            parts.append(part)
            continue
        expr = parse(part[1:-1], start + 1)
        for name in sorted(expr.names - set(known)):
            at = text.find(name, start)
            help = "known: " + ", ".join(f"`{k}`" for k in known) if known else "none stands left"
            message = f"`{name}` stands for nothing on the left"
            raise ExpressionError(message, at, at + len(name), "E229", help)
        parts.append(expr)
    return Template(text, tuple(parts))


def _parts(text: str, literals: re.Pattern[str]) -> Iterator[tuple[str, int]]:
    """Literal text and `{…}`, each with where it starts. Raises ExpressionError."""
    at = 0
    for found in [*_BRACES.finditer(text), None]:
        start = found.start() if found is not None else len(text)
        literal = text[at:start]
        good = literals.match(literal)
        if good is not None and good.end() < len(literal):
            bad = at + good.end()
            message = f"`{text[bad]}` cannot be part of a weight's name"
            help = "letters, digits, `_` and dots, with `{i}` for a number"
            raise ExpressionError(message, bad, bad + 1, "E229", help)
        if literal:
            yield literal, at
        if found is not None:
            yield found.group(), start
            at = found.end()
