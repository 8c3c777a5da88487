"""Emitted text → its syntax tree, in which methods are parsed a few lines at a time, as they run.

A tree takes a hundred times the memory of its text: of a network that is written out it would be
most of what compiling takes. So what stands in methods is left out of the tree, and parsed for
itself:

    class Net(nn.Module):                       ClassDef("Net", …)
        def __init__(self) -> None:                 FunctionDef("__init__", …, [`...`])
            super().__init__()                  body(…): [Expr(…), Assign(…)]
            self.conv = nn.Conv2d(3, 8, 1)

That comes to the tree of the whole text. What stands in a method was one statement to the parser,
`...`, in its place; and lines that parse by themselves are whole statements, behind which the next
begins.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import NamedTuple

_LINES = 30  # at least, that are parsed at a time
_KEPT = 100  # parts, those used last: most texts are parsed once
_METHOD, _INSIDE = "    def ", "        "
_WITHIN = (" ", ")", "]", "}", "else:", "elif ")  # with these no statement begins
Span = tuple[int, int]  # of lines: the first, counted from 0, and the one behind the last


class Part(NamedTuple):
    """Statements that follow each other. `above`: what the number of a line there lacks."""

    above: int
    statements: list[ast.stmt]


class UnsafeTextError(AssertionError):
    """Emission wrote something that it never should: a defect of archspec, not of the spec.

    `text` is what it wrote, `line` (from 1) where it is wrong.
    """

    def __init__(self, message: str, line: int = 0, text: str = "") -> None:
        super().__init__(message)
        self.line, self.text = line, text


class Reading:
    """A text, and its tree without what stands in methods. Raises UnsafeTextError on no Python.

    `look` is given each part once, before anybody else.
    """

    def __init__(self, text: str, look: Callable[[Part], None] = lambda part: None) -> None:
        self.text, self.lines, self.look = text, text.split("\n"), look
        inside, left = dict(_methods(self.lines)), self.lines.copy()
        for behind, first in inside.items():
            left[first:behind] = [*[""] * (behind - first - 1), f"{_INSIDE}..."]
        self.tree = self._tree(left, 0)
        functions = [n for n in ast.walk(self.tree) if isinstance(n, ast.FunctionDef)]
        ends = {f.body[0].lineno: f for f in functions if len(f.body) == 1}
        odd = inside.keys() - ends.keys()  # in a text, in brackets, or not all of a method
        if odd:
            raise UnsafeTextError("what is no method in the emitted text", min(odd), text)
        self.spans: dict[ast.FunctionDef, list[Span]] = {
            ends[behind]: [*_cut(self.lines, first, behind)] for behind, first in inside.items()
        }
        self.unseen = {span for spans in self.spans.values() for span in spans}
        self.parsed = lru_cache(_KEPT)(self._parsed)
        look(Part(0, self.tree.body))

    def body(self, function: ast.FunctionDef) -> Iterator[Part]:
        """What stands in a function. Raises UnsafeTextError."""
        if function not in self.spans:
            yield Part(0, function.body)
        for span in self.spans.get(function, ()):
            yield self.parsed(*span)

    def rest(self) -> None:
        """Looks at what nobody has asked for. Raises UnsafeTextError."""
        for span in sorted(self.unseen):
            self.parsed(*span)

    def _parsed(self, first: int, behind: int) -> Part:
        """Some lines of a method, which are to be whole statements of it."""
        above = first - 1
        tree = self._tree(["class _:", *self.lines[first:behind]], above)
        inside = tree.body[0].body if isinstance(tree.body[0], ast.ClassDef) else []
        if len(tree.body) > 1 or inside[0].col_offset != len(_INSIDE):
            said = "what stands further in or out in the emitted text"
            raise UnsafeTextError(said, first + 1, self.text)
        part = Part(above, inside)
        if (first, behind) in self.unseen:
            self.look(part)
            self.unseen.remove((first, behind))
        return part

    def _tree(self, lines: list[str], above: int) -> ast.Module:
        try:
            return ast.parse("\n".join(lines))
        except SyntaxError as wrong:
            line = (wrong.lineno or 1) + above
            raise UnsafeTextError(f"{wrong.msg} in the emitted text", line, self.text) from None


def _methods(lines: list[str]) -> Iterator[Span]:
    """What stands in each method, the lines further in than its signature: the end, the begin."""
    for start in [n for n, line in enumerate(lines) if line.startswith(_METHOD)]:
        first = next((n + 1 for n in range(start, len(lines)) if lines[n].endswith(":")), start)
        behind = end = first
        while end < len(lines) and (not lines[end] or lines[end].startswith(_INSIDE)):
            end += 1
            behind = end if lines[end - 1] else behind
        if behind > first:
            yield behind, first


def _cut(lines: list[str], first: int, behind: int) -> Iterator[Span]:
    """Lines of a method in parts that begin where a statement does."""
    for end in range(first + _LINES, behind):
        line = lines[end]
        begins = line.startswith(_INSIDE) and not line.startswith(_WITHIN, len(_INSIDE))
        if begins and end - first >= _LINES:
            yield first, end
            first = end
    yield first, behind
