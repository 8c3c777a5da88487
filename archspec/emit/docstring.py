"""Witnessed shapes → "[in_channels, H, W] -> [out, H / stride, W / stride]"."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from textwrap import wrap

from archspec.emit.explain import Row, Var, names_in
from archspec.emit.text import WIDTH, render

Shapes = Sequence[tuple[int, ...]]  # one a row

_LETTERS = {1: ("C",), 2: ("C", "L"), 3: ("C", "H", "W"), 4: ("C", "D", "H", "W")}


def describe(
    rows: Sequence[Row],
    ins: Sequence[tuple[Var, Shapes]],
    outs: Sequence[tuple[Var, Shapes]],
    known: set[str],
) -> str:
    """The shapes of a class's inputs and outputs, in its own names where they say it."""
    first = ins[0] if ins else None
    left = ", ".join(_input(var, shapes, known) for var, shapes in ins)
    right = ", ".join(_output(var, shapes, first, rows, known) for var, shapes in outs)
    return f"{left} -> {right}."


def quoted(text: str) -> list[str]:
    """The lines of a class's docstring; a long one is broken between shapes."""
    if len(text) <= WIDTH - 10:
        return [f'    """{text}"""']
    whole = re.sub(r"\[[^]]*\]", lambda shape: shape[0].replace(" ", "\0"), text)
    lines = wrap(whole, WIDTH - 7, break_long_words=False, break_on_hyphens=False)
    first, *rest = [line.replace("\0", " ") for line in lines]
    return [f'    """{first}', *(f"    {line}" for line in rest), '    """']


def plain_shapes(ins: Sequence[tuple[int, ...]], outs: Sequence[tuple[int, ...]]) -> str:
    """The network's own shapes."""
    sides = [", ".join(f"[{', '.join(map(str, s))}]" for s in shapes) for shapes in (ins, outs)]
    return f"{sides[0]} -> {sides[1]}."


def _letters(rank: int, var: Var, known: set[str]) -> tuple[str, ...]:
    sequence = rank == 2 and var.axes[-1] is not None and names_in(var.axes[-1]) <= known
    return ("N", "D") if sequence else _LETTERS.get(rank, tuple(f"n{k}" for k in range(rank)))


def _input(var: Var, shapes: Shapes, known: set[str]) -> str:
    letters = _letters(len(shapes[0]), var, known)
    return _shape(
        letters[a] if _named(var.axes[a], known) is None else _named(var.axes[a], known)
        for a in range(len(shapes[0]))
    )


def _named(axis: ast.expr | None, known: set[str]) -> str | None:
    return (
        render(axis)
        if axis is not None and names_in(axis) <= known | {"max", "min", "make_divisible"}
        else None
    )


def _shape(parts: object) -> str:
    return "[" + ", ".join(str(p) for p in parts) + "]"  # type: ignore[attr-defined]


def _output(
    var: Var, shapes: Shapes, first: tuple[Var, Shapes] | None, rows: Sequence[Row], known: set[str]
) -> str:
    rank = len(shapes[0])
    same_rank = first is not None and len(first[1][0]) == rank
    letters = (
        _letters(rank, first[0] if same_rank and first is not None else var, known) if rank else ()
    )
    parts: list[str] = []
    for a in range(rank):
        text = _named(var.axes[a], known) if a < len(var.axes) else None
        sizes = [s[a] for s in shapes]
        if text is None and same_rank and first is not None:
            text = _ratio(letters[a], [s[a] for s in first[1]], sizes, rows, known)
        if text is None and all(n == sizes[0] for n in sizes):
            text = str(sizes[0])
        parts.append(text or f"{letters[a]}'")
    return _shape(parts)


def _ratio(
    letter: str, before: Sequence[int], after: Sequence[int], rows: Sequence[Row], known: set[str]
) -> str | None:
    pairs = list(zip(before, after, strict=True))
    if all(b == a for b, a in pairs):
        return letter
    for text in sorted(known):
        values = [r.py.get(text) for r in rows]
        if "stride" in text and all(
            type(v) is int and -(-b // v) == a for v, (b, a) in zip(values, pairs, strict=True)
        ):
            return f"{letter} / {text}"
    down = {b // a for b, a in pairs if a and b % a == 0}
    if len(down) == 1 and all(a and b % a == 0 for b, a in pairs):
        return f"{letter} / {down.pop()}"
    up = {a // b for b, a in pairs if b and a % b == 0}
    if len(up) == 1 and all(b and a % b == 0 for b, a in pairs):
        return f"{up.pop()} * {letter}"
    return None
