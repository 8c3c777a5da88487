"""Scalars of YAML → their text in pieces, with the place of each: a fault may be inside of one."""

from __future__ import annotations

import re
from collections.abc import Callable

# Refused wherever they stand: controls, what reorders or hides text, lone surrogates,
# non-characters.
FORBIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff"
    "\ufeff\ufff9-\uffff\U000e0000-\U000e0fff]"
)
END = "\0"  # stands after the text; FORBIDDEN keeps it out of the text itself
SPACES = re.compile(r" *")
SINGLE = re.compile(r"'[^'\0]*(?:''[^'\0]*)*'")
DOUBLE = re.compile(r'"[^"\\\0]*(?:\\[^\0][^"\\\0]*)*"')
BLOCK_HEAD = re.compile(r"[|>](?:([+-])([1-9])?|([1-9])([+-])?)?(?:[ \t]+(?:#[^\n]*)?)?\n")
_ESCAPE = re.compile(
    r"\\(?:x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(\n[ \t\n]*)|(.))", re.S
)
_ESCAPES = {
    "0": "\0", "a": "\a", "b": "\b", "t": "\t", "\t": "\t", "n": "\n", "v": "\v", "f": "\f",
    "r": "\r", "e": "\x1b", " ": " ", '"': '"', "/": "/", "\\": "\\", "N": "\x85", "_": "\xa0",
    "L": "\u2028", "P": "\u2029",
}  # fmt: skip
_FOLD = re.compile(r"[ \t]*\n[ \t\n]*")

# Characters and where in the text they begin.
Runs = list[tuple[str, int]]


class BadEscapeError(Exception):
    def __init__(self, text: str, at: int) -> None:
        super().__init__(text, at)
        self.text, self.at = text, at


def pieces(text: str, start: int, stop: int) -> Runs:
    """The runs of characters a scalar's value consists of, each with where it stands in `text`."""
    first = text[start : start + 1]
    if first == "'":
        return folded(text, start + 1, stop - 1, _single_line)
    if first == '"':
        return _double(text, start + 1, stop - 1)
    if first in ("|", ">"):
        return block_lines(text, start, stop)
    return folded(text, start, stop, plain_line)


def character(char: str) -> str:
    import unicodedata

    name = unicodedata.name(char, "a control character")
    return f"U+{ord(char):04X} ({name.lower()})"


def short(text: str) -> str:
    text = text.split("\n")[0]
    return text if len(text) <= 40 else text[:39] + "…"


def balanced(text: str, start: int) -> str:
    """The text from `$(` at `start` to its closing bracket on the same line, or ""."""
    depth = 0
    for at in range(start, min(text.index("\n", start), start + 2000)):
        depth += (text[at] == "(") - (text[at] == ")")
        if not depth and text[at] == ")":
            return text[start : at + 1]
    return ""


def plain_line(text: str, start: int, stop: int) -> Runs:
    return [(text[start:stop], start)]


def _single_line(text: str, start: int, stop: int) -> Runs:
    runs: Runs = []
    while True:
        at = text.find("''", start, stop)
        if at < 0:
            return [*runs, (text[start:stop], start)]
        runs.append((text[start : at + 1], start))
        start = at + 2


def folded(text: str, start: int, stop: int, line: Callable[[str, int, int], Runs]) -> Runs:
    """Runs of a flow scalar: a line break is a space, an empty line a line break."""
    runs: Runs = []
    at = start
    for gap in _FOLD.finditer(text, start, stop):
        runs += line(text, at, gap.start())
        breaks = gap.group().count("\n")
        runs.append(("\n" * (breaks - 1) or " ", gap.start()))
        at = gap.end()
    return runs + line(text, at, stop)


def _double(text: str, start: int, stop: int) -> Runs:
    """Runs of a double-quoted scalar; an escaped line break joins without a space."""
    runs: Runs = []
    at = start
    for escape in _ESCAPE.finditer(text, start, stop):
        if escape.start() < at:
            continue
        runs += folded(text, at, escape.start(), plain_line)
        at = escape.end()
        breaks = escape.group(4)
        piece = _unescape(escape) if breaks is None else "\n" * (breaks.count("\n") - 1)
        runs.append((piece, escape.start()))
    return runs + folded(text, at, stop, plain_line)


def _unescape(escape: re.Match[str]) -> str:
    code = escape.group(1) or escape.group(2) or escape.group(3)
    if code is None:
        if escape.group(5) not in _ESCAPES:
            raise BadEscapeError(escape.group(), escape.start())
        return _ESCAPES[escape.group(5)]
    if int(code, 16) > 0x10FFFF:
        raise BadEscapeError(escape.group(), escape.start())
    return chr(int(code, 16))


def block_extent(text: str, head: re.Match[str], parent: int) -> tuple[int, int]:
    """Indentation (-1: uneven) and end of a block scalar's lines."""
    given = head.group(2) or head.group(3)
    indent = max(parent, 0) + int(given) if given else 0
    p = head.end()
    blank = 0
    while text[p] != END:
        first = SPACES.match(text, p).end()  # type: ignore[union-attr]
        end = text.index("\n", first)
        if first < end:
            if not indent:
                indent = max(first - p, parent + 1, 1)
                if blank > indent:
                    return -1, p
            if first - p < indent:
                break
        else:
            blank = max(blank, first - p)
        p = end + 1
    return indent, p


def block_lines(text: str, start: int, stop: int) -> Runs:
    """Runs of the block scalar whose `|` or `>` stands at `start`, to the end of its last line."""
    head = BLOCK_HEAD.match(text, start)
    if head is None:  # pragma: no cover  (the reader has matched it)
        return []
    lines = text[head.end() : stop].split("\n")[:-1] if stop > head.end() else []
    filled = [line for line in lines if line.strip(" ")]
    given = head.group(2) or head.group(3)
    indent = min(
        (len(line) - len(line.lstrip(" ")) for line in filled),
        default=max(map(len, lines), default=0),
    )
    if given:
        indent = _explicit(text, start) + int(given)
    runs: Runs = []
    at, last = head.end(), -1
    folds = text[start] == ">"
    for index, line in enumerate(lines):
        if len(line) > indent:
            runs += _breaks(lines, last, index, indent, folds, at)
            runs.append((line[indent:], at + indent))
            last = index
        at += len(line) + 1
    chomp = head.group(1) or head.group(4)
    trailing = len(lines) - 1 - last
    if chomp == "+":
        runs.append(("\n" * (trailing + (last >= 0)), stop))
    elif chomp is None and last >= 0:
        runs.append(("\n", stop))
    return runs


def _breaks(lines: list[str], last: int, index: int, indent: int, folds: bool, at: int) -> Runs:
    """What stands between two lines that are not empty."""
    between = index - last - 1
    if last < 0:
        return [("\n" * between, at)]
    spaced = lines[last][indent] in " \t" or lines[index][indent] in " \t"
    if not folds or spaced:
        return [("\n" * (between + 1), at)]
    return [("\n" * between or " ", at)]


def _explicit(text: str, start: int) -> int:
    """Indentation of the collection a block scalar with an indentation indicator stands in."""
    line = text.rfind("\n", 0, start) + 1
    indent = SPACES.match(text, line).end() - line  # type: ignore[union-attr]
    while text[line + indent : line + indent + 2] == "- ":
        indent += 2
    return indent
