"""Rules about words that params and columns take, and that expressions compare them with."""

from __future__ import annotations

import ast
import re
from collections import ChainMap
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from archspec.expand.plan import below
from archspec.expressions import Expr
from archspec.language import Item, Spec
from archspec.layers import REGISTRY
from archspec.text.faults import Fault, Loc
from archspec.text.words import listed, near

if TYPE_CHECKING:
    from archspec.analysis.lint.context import Context

Words = Mapping[str, set[str]]  # that a name takes where the text says it

_MANY = 50  # words of one name, of which no sentence tells
_DIGITS = re.compile(r"\d+")


def compared(context: Context) -> Iterator[Fault]:
    """W117: a comparison with a word that is no value of its name, and nearly is one.

        params: {pad: valid}
        input: [3, 32, 32]
        body:
          - {conv: {out: 8, kernel: 3, padding: $pad}}
          - {when: $(pad == "vali"), relu: }
        # `pad` is compared with "vali"; it is `valid`

    Left alone: words that are unlike all that a name takes, which may be set from outside; ops,
    as `gelu` where it is `relu`; those that differ in a number; and names that take many words.
    """
    spec = context.spec
    document = _document(spec)
    calls: dict[str, list[Item]] = {name: [] for name in spec.blocks}
    for item in _every([*spec.items, *(i for block in spec.blocks.values() for i in block.items)]):
        if item.said in calls:
            calls[item.said].append(item)
    yield from _in(spec.items, document)
    for name, block in spec.blocks.items():
        yield from _in(block.items, _block(block.params, calls[name], document))


def _document(spec: Spec) -> dict[str, set[str]]:
    """The words that the document's params take: their defaults, and what variants set."""
    values = {name: [value] for name, value in spec.params.items()}
    for entry in spec.variants.values():
        for name, value in entry.items():
            values[name].append(value)
    return {name: {v for v in several if isinstance(v, str)} for name, several in values.items()}


def _block(
    params: Mapping[str, Any], calls: Iterable[Item], document: Words
) -> dict[str, set[str]]:
    """Those of a block's params: their defaults, and what calls give."""
    found = {name: set(_of(default, document)) for name, default in params.items()}
    for call in calls:
        for name in call.args.keys() & found.keys():
            found[name].update(_of(call.args[name], document))
    return found


def _of(value: Any, document: Words) -> Iterable[str]:
    """The words of one value: a word itself, or those of the document's param that it is."""
    if isinstance(value, Expr):
        return document.get(value.text.strip(), ())
    return (value,) if isinstance(value, str) else ()


def _every(items: Iterable[Item]) -> Iterator[Item]:
    for item in items:
        yield item
        yield from below(item)


def _in(items: Iterable[Item], words: dict[str, set[str]]) -> Iterator[Fault]:
    """What is compared wrongly in a body."""
    columns: dict[str, set[str]] = {}
    for item in _every(items):
        repeat = item.repeat
        for name, column in repeat.columns.items() if repeat is not None else ():
            entries = column if isinstance(column, (list, tuple)) else ()
            columns.setdefault(name, set()).update(v for v in entries if isinstance(v, str))
        for path, expr in _expressions(item):
            yield from _wrong(expr, ChainMap(columns, words), replace(item.loc, path=path))


def _expressions(item: Item) -> Iterator[tuple[tuple[str | int, ...], Expr]]:
    """Those of an item that stand alone, each with its path."""
    for field in ("when", "shortcut_when"):
        value = getattr(item, field)
        if isinstance(value, Expr):
            yield (*item.loc.path, field), value
    for name, value in item.args.items():
        if isinstance(value, Expr):
            yield (*item.given, name), value


def _wrong(expr: Expr, words: Words, loc: Loc) -> Iterator[Fault]:
    for node in ast.walk(expr.tree):
        if not isinstance(node, ast.Compare) or not isinstance(node.left, ast.Name):
            continue
        name = node.left.id
        values = (n.value for n in node.comparators if isinstance(n, ast.Constant))
        for word in (value for value in values if isinstance(value, str)):
            known = words.get(name, set())
            told = word in known or word in REGISTRY or len(known) > _MANY
            meant = "" if told else near(word, known)
            if meant and _DIGITS.sub("", word) != _DIGITS.sub("", meant):
                message = f'`{name}` is compared with "{word}"; it is {listed(sorted(known), "or")}'
                yield Fault("W117", message, loc, f"did you mean `{meant}`?")
