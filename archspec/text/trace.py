"""Source → text: what reading made of a file, to look at.

    spec: 1              1:1   1:7    spec: 1
    input: [3, 8]   →    2:1          input:
                               2:9      - 3
                               2:12     - 8

Left the place of a key, then that of a value, line and column from 1. A text is in quotes, so that
it can be told from a number.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from archspec.text.faults import Loc
from archspec.text.source import Source
from archspec.text.words import written

Path = tuple[str | int, ...]


class _Line(NamedTuple):
    key: str
    value: str
    text: str


def read(source: Source) -> str:
    """One line a key or scalar: where it stands, and what it is."""
    lines = [_Line("key", "value", source.name), *_lines(source, (), source.data)]
    keys = max(len(line.key) for line in lines)
    values = max(len(line.value) for line in lines)
    return "".join(f"{key:<{keys}}  {value:<{values}}  {text}\n" for key, value, text in lines)


def _lines(source: Source, path: Path, node: Any) -> Iterator[_Line]:
    """What is inside a mapping or a list."""
    pad = "  " * len(path)
    for step, inner in node.items() if isinstance(node, dict) else enumerate(node):
        named = isinstance(node, dict)
        here = (*path, step)
        key = _place(source, here, on_key=True) if named else ""
        head = f"{pad}{step}:" if named else f"{pad}-"
        if isinstance(inner, (dict, list)) and inner:
            first, *rest = _lines(source, here, inner)
            if named:
                yield _Line(key, "", head)
                yield first
            else:  # `- id: fc`: the first of an item stands behind its dash
                yield first._replace(text=f"{head} {first.text.lstrip()}")
            yield from rest
        else:
            text = (
                json.dumps(inner, ensure_ascii=False) if isinstance(inner, str) else written(inner)
            )
            yield _Line(key, _place(source, here), f"{head} {text}")


def _place(source: Source, path: Path, *, on_key: bool = False) -> str:
    where = source.place(Loc(source.name, path, on_key=on_key))
    return f"{where.line}:{where.column}"
