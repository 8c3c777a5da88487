"""A spec → its text with every op under the one name that it goes by today.

    - scale: 0.5                    - mul: 0.5
    - scale: {factor: $gain}        - mul: {number: $gain}

An op that another one has made dispensable (`Layer.newer`) means what it meant; `archspec fmt`
writes the other. A text that is no spec stays as it is: whoever checks it says why.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import reduce

from archspec.language.document import parse
from archspec.language.models import Item
from archspec.layers import REGISTRY
from archspec.text.faults import Loc, SpecError
from archspec.text.source import Source


def respelt(source: Source) -> str:
    """The text of a spec, ops under their newer names; nothing else moves."""
    try:
        spec = parse(source)
    except SpecError:
        return source.text
    lines = source.text.split("\n")
    bodies = (spec.items, *(block.items for block in spec.blocks.values()))
    words = [word for body in bodies for item in _items(body) for word in _words(item, source)]
    own = [(source.place(loc), new) for loc, new in words]
    for place, new in sorted(own, key=lambda word: word[0], reverse=True):
        line, column = lines[place.line - 1], place.column - 1
        lines[place.line - 1] = line[:column] + new + line[column + place.length :]
    return "\n".join(lines)


def _items(body: Iterable[Item]) -> Iterator[Item]:
    for item in body:
        yield item
        for part in (item.items, item.shortcut or (), *(one.items for one in item.branches)):
            yield from _items(part)


def _words(item: Item, source: Source) -> Iterator[tuple[Loc, str]]:
    """The words of an item that are older, and what is written in their place."""
    newer = REGISTRY[item.op].newer if item.op in REGISTRY else None
    if newer is None or item.key.file != source.name:
        return
    op, names = newer
    yield item.key, op
    given = reduce(lambda node, step: node[step], item.key.path, source.data)
    for name in names if isinstance(given, dict) else ():
        if name in given:
            yield Loc(source.name, (*item.key.path, name), on_key=True), names[name]
