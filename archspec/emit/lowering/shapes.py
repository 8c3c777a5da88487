"""Sizes → the line under a class: `[in_channels, H, W] -> [out, H / stride, W / stride].`

A size is written in the class's own names where these say it, as a number where it is one, else
as a letter: H where it is the input's, H / 2 where it is half of it in every row, H' where it is
another.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import product
from textwrap import wrap
from typing import Any

from archspec.emit.lowering.flow import Flow, Row
from archspec.emit.syntax import names_in
from archspec.emit.text import WIDTH, render
from archspec.expressions.sym import FAILURES, Sym

Shapes = Sequence[tuple[int, ...]]  # one a row

_ROUND = (960, 1344, 1728)  # sizes that are multiples of 64
_LETTERS = {1: ("N",), 2: ("C", "L"), 3: ("C", "H", "W"), 4: ("C", "D", "H", "W")}
_CALLS = frozenset({"max", "min", "make_divisible"})


def describe(
    rows: Sequence[Row], ins: Sequence[tuple[Flow, Shapes]], outs: Sequence[tuple[Flow, Shapes]],
    known: set[str],
) -> str:  # fmt: skip
    """The shapes of a class's inputs and outputs, in its own names where they say it."""
    first = ins[0] if ins else None
    left = [_input(flow, known) for flow, _ in ins[:1]]
    left += [_output(flow, shapes, first, rows, known) for flow, shapes in ins[1:]]
    right = [_output(flow, shapes, first, rows, known) for flow, shapes in outs]
    return f"{', '.join(left)} -> {', '.join(right)}."


def quoted(text: str) -> list[str]:
    """The lines of a class's docstring; a long one is broken between shapes."""
    if len(text) <= WIDTH - 10:
        return [f'    """{text}"""']
    whole = re.sub(r"\[[^]]*\]", lambda shape: shape[0].replace(" ", "\0"), text)
    lines = wrap(whole, WIDTH - 10, break_long_words=False, break_on_hyphens=False)
    first, *rest = [line.replace("\0", " ") for line in lines]
    return [f'    """{first}', *(f"    {line}" for line in rest), '    """']


def of_network(
    ins: Sequence[tuple[Flow, tuple[int, ...]]],
    outs: Sequence[tuple[Flow, Sequence[int | None]]], free: set[str],
) -> str:  # fmt: skip
    """The network's own shapes: numbers, and the letters of free axes.

    A size is None that follows from these, but by no expression.
    """
    sides = [", ".join(_with_letters(f, s, free) for f, s in side) for side in (ins, outs)]
    return f"{sides[0]} -> {sides[1]}."


def _with_letters(flow: Flow, shape: Sequence[int | None], free: set[str]) -> str:
    found: list[Any] = []
    letters = ("N",) if len(shape) < 3 else _LETTERS.get(len(shape), ())
    for a, (size, n) in enumerate(zip(flow.sizes, shape, strict=True)):
        if n is None:
            found.append(f"{letters[a] if a < len(letters) else 'L'}'")
            continue
        reads = names_in(size.tree) if isinstance(size, Sym) else set()
        if not isinstance(size, Sym) or not reads & free:
            found.append(n)
        elif len(repr(size)) <= 12:
            found.append(repr(size))
        else:
            found.append(_share(size, min(reads & free)))
    return f"[{', '.join(map(str, found))}]"


def _share(size: Sym, letter: str) -> str:
    """`H / 32` of what is that of every multiple of 32."""
    try:
        pairs = [(n, size.worth({letter: n})) for n in _ROUND]
    except FAILURES:
        return f"{letter}'"
    for up, down in product((1, 2, 3, 4, 8), (1, 2, 4, 8, 16, 32, 64)):
        if all(n * up == got * down for n, got in pairs):
            text = letter if up == 1 else f"{up} * {letter}"
            return text if down == 1 else f"{text} / {down}"
    return f"{letter}'"


def _letters(flow: Flow, known: set[str]) -> tuple[str, ...]:
    """What the axes are called that have no name in the class."""
    rank = len(flow.sizes)
    last = _named(flow.sizes[-1], known) if rank else None
    if rank == 2 and last is not None:
        return ("N", "D")
    letters = _LETTERS.get(rank, tuple(f"n{k}" for k in range(rank)))
    return (*letters[1:], letters[0]) if last is not None and last.endswith("features") else letters


def _named(size: Any, known: set[str]) -> str | None:
    if not isinstance(size, Sym):
        return None
    tree = size.tree
    return render(tree) if names_in(tree) <= known | _CALLS else None


def _said(size: Any, known: set[str]) -> str | None:
    """A size in the class's own names, or the number that it is."""
    number = isinstance(size, int) and not isinstance(size, Sym)
    return str(size) if number else _named(size, known)


def _input(flow: Flow, known: set[str]) -> str:
    letters = _letters(flow, known)
    parts = [_named(s, known) or letters[a] for a, s in enumerate(flow.sizes)]
    return f"[{', '.join(parts)}]"


def _output(
    flow: Flow, shapes: Shapes, first: tuple[Flow, Shapes] | None, rows: Sequence[Row],
    known: set[str],
) -> str:  # fmt: skip
    if first is not None and len(flow.sizes) == 1 and _said(flow.sizes[0], known) is None:
        letters = _letters(first[0], known)
        for a, letter in enumerate(letters):  # as many as the first input has along an axis
            if all(s[a] == n for s, (n,) in zip(first[1], shapes, strict=True)):
                return f"[{_named(first[0].sizes[a], known) or letter}]"
        if len(letters) > 2:
            return "[C']"
    same_rank = first is not None and len(first[0].sizes) == len(flow.sizes)
    letters = _letters(first[0] if same_rank and first is not None else flow, known)
    parts: list[str] = []
    for a, size in enumerate(flow.sizes):
        text = _said(size, known) or (_of_tokens(first, shapes, known) if a == 0 else None)
        if text is None and same_rank and first is not None:
            before, after = [s[a] for s in first[1]], [s[a] for s in shapes]
            text = _ratio(letters[a], before, after, rows, known)
            if text != letters[a] and _named(first[0].sizes[a], known) is not None:
                text = None  # the letter of what has a name stands nowhere
        parts.append(text or f"{letters[a]}'")
    return f"[{', '.join(parts)}]"


def _of_tokens(
    first: tuple[Flow, Shapes] | None, shapes: Shapes, known: set[str]
) -> str | None:  # fmt: skip
    """The letter of a list of tokens, where each has become a row."""
    if first is None or len(first[0].sizes) != 1:
        return None
    same = all(s[0] == n for s, (n, *_) in zip(first[1], shapes, strict=True))
    return _letters(first[0], known)[0] if same else None


def _ratio(
    letter: str, before: Sequence[int], after: Sequence[int], rows: Sequence[Row], known: set[str]
) -> str | None:
    """How a size follows from the input's, where it does so alike in every row."""
    pairs = list(zip(before, after, strict=True))
    if all(b == a for b, a in pairs):
        return letter
    for text in sorted(n for n in known if "stride" in n):
        values = [r.py.get(text) for r in rows]
        if all(
            isinstance(v, int) and -(-b // v) == a for v, (b, a) in zip(values, pairs, strict=True)
        ):
            return f"{letter} / {text}"
    down = {b // a for b, a in pairs if a and b % a == 0}
    if len(down) == 1 and all(a and b % a == 0 for b, a in pairs):
        return f"{letter} / {down.pop()}"
    up = {a // b for b, a in pairs if b and a % b == 0}
    if len(up) == 1 and all(b and a % b == 0 for b, a in pairs):
        return f"{up.pop()} * {letter}"
    return None
