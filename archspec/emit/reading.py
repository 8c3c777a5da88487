"""Emitted text → its syntax trees, parsed a few lines at a time, as they are asked for.

A tree takes a hundred times the memory of its text: of a network that is written out it would be
most of what compiling takes. So a text is parsed in parts of whole statements, and what stands in a
method, in a long bracket or signature, is left out of the part around it and parsed for itself:

    class Net(nn.Module):                       ClassDef("Net", …)
        def __init__(self) -> None:                 FunctionDef("__init__", …, [`...`])
            super().__init__()                  body(…): [Expr(…), Assign(…)]
            self.layers = nn.Sequential(            Call("Sequential", [Several(…)])
                nn.Conv2d(3, 8, 1),             Several: [Call("Conv2d", …), Call("ReLU", …), …]
                nn.ReLU(),
                …

That comes to the tree of the whole text. What was left out was one statement or one entry to the
parser, `...`, in its place (of a signature `*_`). Lines that parse by themselves are whole
statements, behind which the next begins; those that parse as what a call is given, with more behind
them, are whole entries.
"""

from __future__ import annotations

import ast
import re
from array import array
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

_LINES = 30  # at least, that are parsed at a time
_LONG = 60  # lines of a bracket or signature, from which on its entries are left out
_KEPT = 12  # parts, those used last, of what has no more: most texts are parsed once
_METHOD, _INSIDE = "    def ", "        "
_WITHIN = (" ", ")", "]", "}", "else:", "elif ")  # with these no statement begins
Span = tuple[int, int]  # of lines: the first, counted from 0, and the one behind the last
Key = tuple[str, int, int]  # of a part: what kind of nodes, and its span


class Part(NamedTuple):
    """Statements, or entries, that follow each other. `above`: what the number of a line lacks.

    `outermost`: they stand in nothing.
    """

    above: int
    nodes: list[Any]
    outermost: bool = False


class Several(ast.expr):
    """All entries of a long bracket, in its place in a tree: `parts` gives them."""

    def __init__(self, parts: Callable[[], Iterator[Part]]) -> None:
        super().__init__()
        self.parts = parts


class UnsafeTextError(AssertionError):
    """Emission wrote something that it never should: a defect of archspec, not of the spec.

    `text` is what it wrote, `line` (from 1) where it is wrong.
    """

    def __init__(self, message: str, line: int = 0, text: str = "") -> None:
        super().__init__(message)
        self.line, self.text = line, text


class Lines:
    """The lines of a text, cut out of it as they are asked for: a list is three times as large."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.starts = array(
            "L", [0, *(end.end() for end in re.finditer("\n", text)), len(text) + 1]
        )

    def __getitem__(self, at: int) -> str:
        return self.text[self.starts[at] : self.starts[at + 1] - 1]

    def between(self, first: int, behind: int) -> list[str]:
        """The lines from one on, up to another."""
        return self.text[self.starts[first] : self.starts[behind] - 1].split("\n")


class Reading:
    """A text, parsed as it is asked for; where it is no Python, UnsafeTextError is raised then.

    `look` is given each part once, before anybody else, if there is one.
    """

    def __init__(self, text: str, look: Callable[[Part], None] | None = None) -> None:
        self.text, self.lines, self.look = text, Lines(text), look
        left = text.split("\n")
        self.inside, self.given = dict(_methods(left)), dict(_signatures(left))
        for spans, instead in ((self.inside, "..."), (self.given, "*_,")):
            for behind, first in spans.items():
                left[first:behind] = [*[""] * (behind - first - 1), f"{_INSIDE}{instead}"]
        self.outer = [("outermost", *span) for span in _cut(left, (0, len(left)), "")]
        self.left = Lines("\n".join(left))
        self.unseen: set[Key] = set() if look is None else {*self.outer, *self._apart()}
        self.kept: dict[Key, Part] = {}  # those that were asked for last, last

    def outermost(self) -> Iterator[Part]:
        """What stands in nothing; of classes all but what stands in their methods."""
        for key in self.outer:
            yield self._parsed(*key)

    def body(self, function: ast.FunctionDef, above: int) -> Callable[[], Iterator[Part]]:
        """What gives the statements of a function, which stands in a part with this `above`."""
        behind = above + function.body[0].lineno
        if behind not in self.inside:
            return lambda: iter([Part(above, function.body)])
        return lambda: self._each([*self._within(behind)])

    def signature(self, function: ast.FunctionDef, above: int) -> Iterator[Part]:
        """What a function takes; where that is long, in parts."""
        last = function.args.vararg
        behind = 0 if last is None else above + last.lineno
        if behind not in self.given:
            yield Part(above, [function.args])
        defaults = False
        for key in self._taken(behind) if behind in self.given else ():
            part = self._parsed(*key)
            (given,) = part.nodes
            if defaults and len(given.defaults) < len(given.args):
                raise UnsafeTextError("an odd signature in the emitted text", key[1], self.text)
            defaults = bool(given.defaults)
            yield part

    def rest(self) -> None:
        """Looks at what nobody has asked for."""
        while self.unseen:
            for key in sorted(self.unseen):
                self._parsed(*key)

    def _apart(self) -> Iterator[Key]:
        """The parts of all that is left out of the outermost."""
        for behind in self.inside:
            yield from self._within(behind)
        for behind in self.given:
            yield from self._taken(behind)

    def _within(self, behind: int) -> Iterator[Key]:
        """The parts of the method that ends there."""
        for span in _cut(self.lines, (self.inside[behind], behind), _INSIDE):
            yield "statements", *span

    def _taken(self, behind: int) -> Iterator[Key]:
        """The parts of the signature that ends there."""
        for span in _cut(self.lines, (self.given[behind], behind), _INSIDE):
            yield "arguments", *span

    def _each(self, keys: Sequence[Key]) -> Iterator[Part]:
        """The parts of a method or a bracket; it may be run again, and is kept where it has few."""
        for key in keys:
            part = self.kept.pop(key, None) or self._parsed(*key)
            if len(keys) <= _KEPT:
                self.kept[key] = part
            if len(self.kept) > _KEPT:
                del self.kept[next(iter(self.kept))]
            yield part

    # ------------------------------------------------------------ one part

    def _parsed(self, kind: str, first: int, behind: int) -> Part:
        left_out: list[Span] = []
        if kind == "outermost":
            part = self._outermost(first, behind)
        elif kind == "arguments":
            part = self._arguments(first, behind)
        else:
            lines, left_out = self._without_entries(first, behind)
            part = (self._entries if kind == "entries" else self._statements)(lines, first)
            self._put_back(part, left_out)
        if self.look is not None and (kind, first, behind) in self.unseen:
            self.look(part)
            self.unseen.remove((kind, first, behind))
            self.unseen.update(key for span in left_out for key in self._entered(span))
        return part

    def _outermost(self, first: int, behind: int) -> Part:
        """Lines that are to be whole statements, which stand in nothing."""
        nodes = self._tree(self.left.between(first, behind), first).body
        functions = [n for s in nodes for n in ast.walk(s) if isinstance(n, ast.FunctionDef)]
        ends = {first + f.body[0].lineno for f in functions if len(f.body) == 1}
        ends |= {first + f.args.vararg.lineno for f in functions if f.args.vararg is not None}
        odd = {end for end in (*self.inside, *self.given) if first < end <= behind} - ends
        if odd:  # in a text, in brackets, or not all of a method
            raise UnsafeTextError("what is no method in the emitted text", min(odd), self.text)
        return Part(first, nodes, outermost=True)

    def _arguments(self, first: int, behind: int) -> Part:
        """Lines that are to be what a function takes, behind which more may stand."""
        tree = self._tree(["def _(", *self.lines.between(first, behind), "): ..."], first - 1)
        node = tree.body[0]
        given = node.args if isinstance(node, ast.FunctionDef) else None
        plain = given and ast.arguments([], given.args, None, [], [], None, given.defaults)
        if plain is None or ast.unparse(tree) != f"def _({ast.unparse(plain)}):\n    ...":
            raise UnsafeTextError("an odd signature in the emitted text", first + 1, self.text)
        return Part(first - 1, [plain])

    def _statements(self, lines: list[str], first: int) -> Part:
        """Lines that are to be whole statements of a method."""
        tree = self._tree(["class _:", *lines], first - 1)
        inside = tree.body[0].body if isinstance(tree.body[0], ast.ClassDef) else []
        if len(tree.body) > 1 or inside[0].col_offset != len(_INSIDE):
            said = "what stands further in or out in the emitted text"
            raise UnsafeTextError(said, first + 1, self.text)
        return Part(first - 1, inside)

    def _entries(self, lines: list[str], first: int) -> Part:
        """Lines that are to be whole entries of a bracket, behind which others may stand."""
        tree = self._tree(["_(", *lines, "_=_)"], first - 1)
        node = tree.body[0].value if isinstance(tree.body[0], ast.Expr) else None
        if len(tree.body) > 1 or not isinstance(node, ast.Call) or type(node.func) is not ast.Name:
            raise UnsafeTextError("an odd bracket in the emitted text", first + 1, self.text)
        return Part(first - 1, [*node.args, *node.keywords[:-1]])

    def _tree(self, lines: list[str], above: int) -> ast.Module:
        try:
            return ast.parse("\n".join(lines))
        except SyntaxError as wrong:
            line = (wrong.lineno or 1) + above
            raise UnsafeTextError(f"{wrong.msg} in the emitted text", line, self.text) from None

    # ------------------------------------------------------------ long brackets

    def _without_entries(self, first: int, behind: int) -> tuple[list[str], list[Span]]:
        """Some lines, `...` for the entries of each long bracket, and where these stand."""
        lines = self.lines.between(first, behind)
        left_out = [(first + at, first + end) for at, end in _long(lines)]
        for start, end in left_out:
            lines[start - first : end - first] = [*[""] * (end - start - 1), "...,"]
        return lines, left_out

    def _put_back(self, part: Part, left_out: list[Span]) -> None:
        """What gives the entries that are left out, in place of each `...`."""
        ends = {end - part.above: (start, end) for start, end in left_out}
        for node in (n for outer in part.nodes for n in ast.walk(outer)) if ends else ():
            entries = _alone(node)
            if entries and entries[0].lineno in ends:
                keys = self._entered(ends.pop(entries[0].lineno))
                called = isinstance(node, ast.Call)
                entries[0] = Several(partial(self._together, keys, called=called))
        if ends:
            line = min(ends) + part.above
            raise UnsafeTextError("an odd bracket in the emitted text", line, self.text)

    def _together(self, keys: list[Key], *, called: bool) -> Iterator[Part]:
        """The entries of one bracket: those with a name once, in a call, and behind all others."""
        names: list[str] = []
        for key, part in zip(keys, self._each(keys), strict=True):
            more = [n.arg or "" for n in part.nodes if isinstance(n, ast.keyword)]
            behind = bool(names) and len(more) < len(part.nodes)
            names += more
            if behind or len(set(names)) < len(names) or (more and not called):
                said = "an odd bracket in the emitted text"
                raise UnsafeTextError(said, key[1] + 1, self.text)
            yield part

    def _entered(self, span: Span) -> list[Key]:
        """The parts of what stands in a bracket."""
        first = self.lines[span[0]]
        pad = first[: len(first) - len(first.lstrip(" "))]
        return [("entries", *part) for part in _cut(self.lines, span, pad)]


def _alone(node: ast.AST) -> list[ast.expr]:
    """The entries of a bracket in which there is only `...`."""
    entries: list[ast.expr] = []
    if isinstance(node, ast.Call) and not node.keywords:
        entries = node.args
    elif isinstance(node, (ast.List, ast.Tuple)):
        entries = node.elts
    only = entries[0] if len(entries) == 1 else None
    return entries if isinstance(only, ast.Constant) and only.value is ... else []


def _long(lines: Sequence[str]) -> Iterator[Span]:
    """What stands in each long bracket: a line or more for each entry, a comma behind each."""
    at, behind = 0, len(lines)
    while at < behind:
        line, at = lines[at], at + 1
        if not line.endswith(("(", "[")):
            continue
        pad = " " * (len(line) - len(line.lstrip(" ")))
        end = next((n for n in range(at, behind) if not lines[n].startswith(f"{pad} ")), behind)
        if end - at < _LONG or end == behind or lines[end].strip(" )],:"):
            continue
        inside = lines[at][: len(lines[at]) - len(lines[at].lstrip(" "))]
        starts = [n for n in range(at + 1, end) if _begins(lines[n], inside)]
        if starts and all(lines[n - 1].endswith(",") for n in (*starts, end)):
            yield at, end
            at = end


def _methods(lines: Sequence[str]) -> Iterator[Span]:
    """What stands in each method, the lines further in than its signature: the end, the begin."""
    for start in [n for n, line in enumerate(lines) if line.startswith(_METHOD)]:
        first = next((n + 1 for n in range(start, len(lines)) if lines[n].endswith(":")), start)
        behind = end = first
        while end < len(lines) and (not lines[end] or lines[end].startswith(_INSIDE)):
            end += 1
            behind = end if lines[end - 1] else behind
        if behind > first:
            yield behind, first


def _signatures(lines: Sequence[str]) -> Iterator[Span]:
    """What each method with a long signature takes, a line for each: the end, the begin."""
    for start in [n for n, line in enumerate(lines) if line.startswith(_METHOD)]:
        end = start + 1
        while end < len(lines) and lines[end].startswith(_INSIDE) and lines[end].endswith(","):
            end += 1
        if end - start > _LONG and lines[start].endswith("(") and lines[end].startswith("    ) "):
            yield end, start + 1


def _cut(lines: Lines | list[str], span: Span, pad: str) -> Iterator[Span]:
    """Lines in parts that begin where, so far in, a statement or an entry does."""
    first, behind = span
    for end in range(first + _LINES, behind):
        if end - first >= _LINES and _begins(lines[end], pad):
            yield first, end
            first = end
    yield first, behind


def _begins(line: str, pad: str) -> bool:
    """Whether a statement or an entry begins, so far in."""
    return line > pad and line.startswith(pad) and not line.startswith(_WITHIN, len(pad))
