"""Text of a spec → the same spec in canonical layout: comments, order and line breaks stay.

Only white space moves, and the result is read again and compared, node by node, with what went in.
A YAML library that keeps comments would be one more parser with opinions of its own on a file that
the reader of specs has already accepted.

    body:                         body:
    - {conv:  {out: 8} } # c        - {conv: {out: 8}} # c
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import groupby

import yaml
from yaml import tokens as t

from archspec.text.faults import SpecError
from archspec.text.source import from_text

STEP = 2  # columns a block collection stands to the right of what it belongs to

_SILENT = (t.StreamStartToken, t.StreamEndToken, t.BlockMappingStartToken,
           t.BlockSequenceStartToken, t.BlockEndToken)  # fmt: skip
_OPENS = (t.FlowMappingStartToken, t.FlowSequenceStartToken)
_CLOSES = (t.FlowMappingEndToken, t.FlowSequenceEndToken)


@dataclass(slots=True)
class _Line:
    """One line of the file: what stands on it, where it began, where it goes."""

    old: int = 0  # column of its first character
    new: int = 0
    body: str = ""
    comment: str = ""
    comment_column: int = 0  # in the old text
    verbatim: str | None = None  # inside a scalar of several lines: shifted with its first line

    @property
    def shift(self) -> int:
        return self.new - self.old

    @property
    def trails(self) -> int:
        """The old column of a comment behind something else; 0 where there is none."""
        return self.comment_column if self.body and self.comment else 0


@dataclass(slots=True)
class _Level:
    """A block collection that is open: its column before and after."""

    old: int
    new: int
    sequence: bool
    indentless: bool = False  # a list at its key's own column


@dataclass(slots=True)
class _State:
    levels: list[_Level] = field(default_factory=list)
    flow: int = 0
    flow_shift: int = 0


def tidy(text: str) -> str:
    """The canonical layout of a spec's text, as it is where that is not YAML that `source` accepts.

    Two columns a level, lists inside their key; one space after `:` and `,`, none inside brackets;
    at most one blank line in a row. `tidy(tidy(x)) == tidy(x)`.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    try:
        scanned = list(yaml.scan(text, Loader=yaml.SafeLoader))
    except yaml.YAMLError:
        return text
    lines = [_Line(old=len(raw) - len(raw.lstrip(" "))) for raw in text.split("\n")]
    _place(text, scanned, lines)
    _comments(text, scanned, lines)
    out = _render(lines)
    # a layout unknown here: rather leave it alone than change what it says
    return out if _same(out, text) else text


def _same(text: str, other: str) -> bool:
    """Whether both say the same to the reader of specs, order and kinds of scalars included."""
    try:
        return repr(from_text(text).data) == repr(from_text(other).data)
    except SpecError:
        return False


def _place(text: str, scanned: list[t.Token], lines: list[_Line]) -> None:
    """Fill `body` and `new` of every line that has a token."""
    state = _State()
    last: t.Token | None = None
    for token in scanned:
        row = token.start_mark.line
        first = row < len(lines) and not lines[row].body and lines[row].verbatim is None
        _enter(token, state)
        if isinstance(token, _SILENT) or token.start_mark.index == token.end_mark.index:
            continue
        line = lines[row]
        if isinstance(token, t.KeyToken):
            continue
        if first:
            line.new = _column(token, state)
            if not state.flow or (state.flow == 1 and isinstance(token, _OPENS)):
                state.flow_shift = line.shift
        else:
            line.body += " " * _gap(last, token)
        _append(text, token, lines)
        last = token


def _enter(token: t.Token, state: _State) -> None:
    """Keep the stack of open collections in step with the token."""
    if isinstance(token, _OPENS):
        state.flow += 1
    elif isinstance(token, _CLOSES):
        state.flow -= 1
    column = token.start_mark.column
    top = state.levels[-1] if state.levels else None
    match token:
        case t.BlockMappingStartToken() | t.BlockSequenceStartToken():
            sequence = isinstance(token, t.BlockSequenceStartToken)
            state.levels.append(_Level(column, top.new + STEP if top else 0, sequence))
        case t.BlockEndToken():
            del state.levels[-2 if top and top.indentless else -1 :]
        case t.BlockEntryToken():
            if top and not top.sequence:
                state.levels.append(_Level(column, top.new + STEP, True, indentless=True))
        case t.KeyToken() if not state.flow and top and top.indentless and top.old == column:
            state.levels.pop()


def _column(token: t.Token, state: _State) -> int:
    """Where a line goes that starts with `token`."""
    column: int = token.start_mark.column
    opens = state.flow == 1 and isinstance(token, _OPENS)
    if (state.flow and not opens) or isinstance(token, _CLOSES):
        return max(0, column + state.flow_shift)
    if not state.levels:
        return 0
    top = state.levels[-1]
    return top.new if column <= top.old else top.new + STEP


def _gap(last: t.Token | None, token: t.Token) -> int:
    """Spaces between two tokens of one line."""
    if last is None or isinstance(last, _OPENS) or isinstance(token, t.ValueToken):
        return 0
    if isinstance(token, (t.FlowEntryToken, *_CLOSES)):
        return int(isinstance(last, t.ValueToken))  # `{batch_norm: }` keeps its empty value visible
    return 1


def _append(text: str, token: t.Token, lines: list[_Line]) -> None:
    """Write the token's own text; a scalar of several lines takes the others along as they are."""
    raw = text[token.start_mark.index : token.end_mark.index]
    row = token.start_mark.line
    head, *rest = raw.rstrip("\n").split("\n")
    block = isinstance(token, t.ScalarToken) and token.style in ("|", ">")
    # a comment may stand behind the sign of a block scalar; it is not part of it
    lines[row].body += head.partition(" ")[0] if block else head.rstrip()
    for offset, tail in enumerate(rest, 1):
        line = lines[row + offset]
        line.new = max(0, line.old + lines[row].shift)
        if block or offset < len(rest):
            line.verbatim = tail
        else:
            line.body = tail.strip()


def _comments(text: str, scanned: list[t.Token], lines: list[_Line]) -> None:
    """Find the comments: what is left of a line once its tokens are taken away."""
    ends = [0] * len(lines)
    for token in scanned:
        mark = token.end_mark
        if not isinstance(token, _SILENT) and mark.line < len(ends) and mark.column:
            ends[mark.line] = max(ends[mark.line], mark.column)
    for row, raw in enumerate(text.split("\n")):
        line = lines[row]
        if line.verbatim is not None:
            continue
        hash_at = raw.find("#", ends[row] if line.body else 0)
        if hash_at >= 0:
            line.comment = re.sub(r"^#(?=[^\s#!:])", "# ", raw[hash_at:].rstrip())
            line.comment_column = hash_at
    _hang(lines)


def _hang(lines: list[_Line]) -> None:
    """A comment with a line of its own goes where the line goes that it stands in line with."""
    following: list[_Line | None] = [None] * len(lines)
    for row in range(len(lines) - 2, -1, -1):
        following[row] = lines[row + 1] if lines[row + 1].body else following[row + 1]
    outer: list[_Line] = []  # earlier lines, each further right than the one before it
    for line, after in zip(lines, following, strict=True):
        if line.body:
            while outer and outer[-1].old >= line.old:
                outer.pop()
            outer.append(line)
        elif line.comment:
            column = line.comment_column
            near = [x for x in outer if x.old <= column][-1:]
            near += [after] if after is not None and after.old <= column else []
            anchor = max(near, key=lambda x: x.old, default=after)
            line.new = anchor.new if anchor is not None else 0


def _render(lines: list[_Line]) -> str:
    rows = [_row(line) for line in lines]
    # trailing comments of neighbouring lines that stood in one column stay in one
    for trails, run in groupby(range(len(lines)), lambda i: lines[i].trails):
        here = list(run) if trails else []
        edge = max((len(rows[i]) for i in here), default=0) + 2
        for i in here:
            rows[i] = rows[i].ljust(edge) + lines[i].comment
    out: list[str] = []
    for row, line in zip(rows, lines, strict=True):
        if row or line.verbatim is not None or (out and out[-1]):
            out.append(row)
    return "\n".join(out).rstrip("\n") + "\n"


def _row(line: _Line) -> str:
    """A line without the comment that trails it."""
    text = line.body or line.comment if line.verbatim is None else line.verbatim.lstrip(" ")
    return " " * line.new + text if text.strip() else ""
