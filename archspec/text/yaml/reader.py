"""What reading block and flow nodes has in common: faults, lines, plain and quoted scalars."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, NoReturn

from archspec.limits import Limits
from archspec.text.yaml.scalars import (
    DOUBLE,
    END,
    FORBIDDEN,
    SINGLE,
    SPACES,
    BadEscapeError,
    balanced,
    character,
    pieces,
    short,
)

# A scalar is (start, stop), a list (start, stop, [mark]), a mapping (start, stop, {key: entry})
# with entry = (start, stop, mark).
Mark = tuple[Any, ...]
Parsed = tuple[Any, Mark]
_BLANK = re.compile(r"(?:[ \t]*(?:#[^\n]*)?\n)*")
REST = re.compile(r"(?:[ \t]+(?:#[^\n]*)?)?\n")
GAP = re.compile(r"[ \t]*")
_INDICATORS = r" \t\n\-?:,\[\]{}#&*!|>'\"%@`\0"
PLAIN = re.compile(
    rf"(?:[^{_INDICATORS}]|[-?:](?=[^ \t\n\0]))[^:#\n\0]*"
    r"(?:(?::(?=[^ \t\n\0])|(?<=[^ \t\n])#)[^:#\n\0]*)*"
)
PLAIN_IN_FLOW = re.compile(
    rf"(?:[^{_INDICATORS}]|[-?:](?=[^ \t\n,\[\]{{}}\0]))[^:#\n,\[\]{{}}\0]*"
    r"(?:(?::(?=[^ \t\n,\[\]{}\0])|(?<=[^ \t\n])#)[^:#\n,\[\]{}\0]*)*"
)
_PROPERTY = re.compile(r"[&!*][^ \t\n,\[\]{}\0]*")
NO_SPACE = re.compile(r"([A-Za-z_][A-Za-z0-9_]*):(?!//)(\S.*)")
_TYPED = frozenset("+-.0123456789~nNtTfF")
_WORDS: dict[str, Any] = {
    "~": None, "null": None, "Null": None, "NULL": None, "true": True, "True": True, "TRUE": True,
    "false": False, "False": False, "FALSE": False,
}  # fmt: skip
_INT = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_OTHER_NUMBER = re.compile(r"[-+]?(?:\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)|0x[0-9a-fA-F]+|0o[0-7]+)")
_DIGITS = 20
_MISSING = object()


@dataclass(frozen=True, slots=True)
class Slip:
    """A fault of the text at characters [start, stop)."""

    code: str
    message: str
    start: int
    stop: int
    help: str = ""


class UnreadableError(Exception):
    """Where the grammar is lost, reading stops; `slips` are all faults seen until then."""

    def __init__(self, slips: list[Slip]) -> None:
        super().__init__(slips)
        self.slips = slips


class StopReadingError(Exception):
    pass


class Reader:
    """A place `p` in the text; `col` is the column of its line's first token, -1 at the end."""

    def __init__(self, text: str, limits: Limits) -> None:
        self.t = text + ("" if text.endswith("\n") else "\n") + END
        self.limits = limits
        self.p = 0
        self.col = 0
        self.line = 0  # where the line of `p` starts
        self.depth = 0
        self.slips: list[Slip] = []
        self.memo: dict[str, Any] = dict(_WORDS)

    def note(self, code: str, message: str, start: int, stop: int, help: str = "") -> None:
        """A fault that reading survives."""
        self.slips.append(Slip(code, message, start, max(stop, start + 1), help))

    def stop(self, code: str, message: str, start: int, stop: int, help: str = "") -> NoReturn:
        """A fault after which nothing can be read."""
        self.note(code, message, start, stop, help)
        raise StopReadingError

    def row(self, at: int) -> int:
        return self.t.count("\n", 0, at) + 1

    def deeper(self, start: int) -> None:
        self.depth += 1
        if self.depth > self.limits.nesting:
            rule = f"lists and mappings are nested more than {self.limits.nesting} deep"
            self.stop("E402", rule, start, start + 1, "move the inner part into a block")

    def next_line(self) -> None:
        """From the start of a line to the first token at or below it."""
        t = self.t
        start = _BLANK.match(t, self.p).end()  # type: ignore[union-attr]
        p = self.p = SPACES.match(t, start).end()  # type: ignore[union-attr]
        self.line = start
        self.col = p - start
        char = t[p]
        if char == END:
            self.col = -1
        elif char == "\t":
            self.stop("E105", "a tab indents this line", p, p + 1, "indent with spaces")
        elif (
            self.col == 0
            and char in "-."
            and t[p : p + 3] in ("---", "...")
            and t[p + 3] in " \t\n"
        ):
            self.col = -1  # a document ends; `document` looks why

    def end_line(self, after: str) -> None:
        """Past the rest of a line, on which nothing but a comment may stand."""
        rest = REST.match(self.t, self.p)
        if rest is None:
            at = GAP.match(self.t, self.p).end()  # type: ignore[union-attr]
            if self.t[at] == ":":
                rule = f"{after} is used as a key; a key is one word"
                self.stop("E111", rule, at, at + 1, "give the key as plain text")
            stop = self.t.index("\n", at)
            self.stop(
                "E104",
                f"text follows {after} on the same line",
                at,
                stop,
                "remove it, or put all of it in quotes",
            )
        self.p = rest.end()
        self.next_line()

    def enter(
        self, data: dict[str, Any], marks: dict[str, tuple[int, int, Mark]], key: str, value: Any,
        mark: tuple[int, int, Mark],
    ) -> None:  # fmt: skip
        """Puts an entry into a mapping, once."""
        if key in data:
            first, again = self.row(marks[key][0]), self.row(mark[0])
            where = (
                f"twice on line {first}"
                if first == again
                else f"on line {first} and on line {again}"
            )
            self.note(
                "E106", f"`{short(key)}` is given {where}", mark[0], mark[1], "remove one of them"
            )
            return
        data[key] = value
        marks[key] = mark

    def properties(self) -> None:
        """Skips anchors and tags, with a complaint each."""
        while self.t[self.p] in "&!":
            found = _PROPERTY.match(self.t, self.p)
            if found is None:  # pragma: no cover  (the pattern matches at least the sign)
                return
            if found.group()[0] == "&":
                self.note(
                    "E107",
                    f"an anchor `{short(found.group())}` is not part of the language",
                    self.p,
                    found.end(),
                    "use `params` for a value, `blocks` for items",
                )
            else:
                self.note(
                    "E110",
                    f"a tag `{short(found.group())}` is not part of the language",
                    self.p,
                    found.end(),
                    "remove it",
                )
            self.p = GAP.match(self.t, found.end()).end()  # type: ignore[union-attr]

    def alias(self, p: int) -> None:
        found = _PROPERTY.match(self.t, p)
        self.p = found.end() if found else p + 1
        self.note(
            "E108",
            f"an alias `{short(self.t[p : self.p])}` is not part of the language",
            p,
            self.p,
            "use `params` for a value, `blocks` for items",
        )

    def complex_key(self, p: int) -> NoReturn:
        self.stop(
            "E111",
            "a key is one word; a list, a mapping or nothing is not",
            p,
            p + 1,
            "give the key as plain text",
        )

    def missing_space(self, p: int, joined: re.Match[str]) -> NoReturn:
        key, value = joined.groups()
        at = p + len(key)
        self.stop(
            "E115", "a space is missing after `:`", at, at + 1, f"write `{key}: {short(value)}`"
        )

    def key_text(self, text: str, at: int) -> str:
        if text == "<<":
            self.note(
                "E109",
                "a merge key `<<` is not part of the language",
                at,
                at + 2,
                "use a block with params",
            )
        elif text[0] in _TYPED and not isinstance(self.scalar(text, at), str):
            self.note(
                "E111",
                f"the key `{short(text)}` is not text",
                at,
                at + len(text),
                f'write "{short(text)}" in quotes if a name is meant',
            )
        return text

    def check_open(self, text: str, start: int) -> None:
        """A plain text that YAML cut off inside `$(…)` needs quotes."""
        at = text.find("$(")
        if at < 0 or text.count("(", at) <= text.count(")", at):
            return
        whole = balanced(self.t, start + at)
        if not whole or len(whole) + at <= len(text):
            return  # not cut off by YAML; the expression itself is at fault
        cut = self.t[start + len(text) :].lstrip(" \t")[0]
        quote = "'" if '"' in whole else '"'
        written = text[:at] + whole
        self.stop(
            "E116",
            f"YAML ends this expression at `{cut}`",
            start + at,
            start + at + len(whole),
            f"put it in quotes: {quote}{written}{quote}",
        )

    def scalar(self, text: str, at: int) -> Any:
        """The value of a plain scalar, by the core schema of YAML 1.2."""
        if text[0] not in _TYPED:
            return text if len(text) <= self.limits.scalar else self.bounded(text, at)
        value = self.memo.get(text, _MISSING)
        if value is _MISSING:
            value = self.memo[text] = self.typed(text, at)
        return value

    def typed(self, text: str, at: int) -> Any:
        if _INT.fullmatch(text):
            digits = text.lstrip("+-")
            if len(digits) > _DIGITS:
                return self.number(
                    text,
                    at,
                    f"has {len(digits)} digits; a whole number has at most {_DIGITS}",
                    "write a smaller number",
                )
            if digits[0] == "0" and len(digits) > 1:
                return self.number(text, at, "starts with 0", f"write {int(digits)}")
            return int(text)
        if _FLOAT.fullmatch(text):
            value = float(text) if len(text) <= 100 else float("inf")
            if value in (float("inf"), float("-inf")):
                return self.number(text, at, "is out of range", "write a smaller number")
            return value
        if _OTHER_NUMBER.fullmatch(text):
            return self.number(text, at, "is not a finite decimal number", "write a decimal number")
        return self.bounded(text, at)

    def number(self, text: str, at: int, rule: str, help: str = "") -> int:
        self.note("E112", f"the number `{short(text)}` {rule}", at, at + len(text), help)
        return 0

    def bounded(self, text: str, at: int) -> str:
        if len(text) > self.limits.scalar:
            rule = f"a text of {len(text)} characters; at most {self.limits.scalar} are allowed"
            self.note("E403", rule, at, at + 1, "shorten it")
        return text

    def quote_end(self, p: int) -> int:
        found = (SINGLE if self.t[p] == "'" else DOUBLE).match(self.t, p)
        if found is None:
            self.stop(
                "E114",
                f"the quote {self.t[p]} is not closed",
                p,
                p + 1,
                "close it on the same line",
            )
        return found.end()

    def quoted(self, start: int, stop: int) -> str:
        """The value of the quoted scalar at [start, stop)."""
        t = self.t
        body = t[start + 1 : stop - 1]
        if "\n" not in body:
            if t[start] == "'":
                return self.bounded(body.replace("''", "'"), start)
            if "\\" not in body:
                return self.bounded(body, start)
        try:
            text = "".join(piece for piece, _ in pieces(t, start, stop))
        except BadEscapeError as bad:
            self.note(
                "E104",
                f"`{bad.text}` is no escape of a double-quoted text",
                bad.at,
                bad.at + len(bad.text),
                "write `\\\\` for a backslash, or use single quotes",
            )
            return ""
        found = FORBIDDEN.search(text)
        if found:
            self.note(
                "E103", f"{character(found.group())} is not allowed", start, stop, "remove it"
            )
        return self.bounded(text, start)
