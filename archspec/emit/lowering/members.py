"""Names of members and variables: `self.conv1`, `self[0]`, `aux_logits`."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Sequence
from typing import Any

from archspec.emit.lowering.flow import Flow, PlainError, Row, holds
from archspec.emit.lowering.scope import Scope
from archspec.emit.syntax import Line, Stmt, call, name
from archspec.expressions.sym import FAILURES, Sym, evaluate, written
from archspec.language import Item


def member(segment: str) -> ast.expr:
    """`self.conv1`; `self[0]` of a class of numbers; `self.get_submodule("block1-0")`."""
    if segment.isidentifier():
        return ast.Attribute(name("self"), segment)
    if not segment.isdigit():
        return call("self.get_submodule", ast.Constant(segment))
    return ast.Subscript(name("self"), ast.Constant(int(segment)))


def set_member(segment: str, value: ast.expr) -> Stmt:
    """The statement that makes it."""
    if segment.isidentifier():
        return Line(value, f"self.{segment}")
    return Line(call("self.add_module", ast.Constant(segment), value))


def hint_of(item: Item) -> str:
    """What a variable may be called after the item's id: `AuxLogits` → `aux_logits`."""
    return worded(item.id.text) if item.id is not None else ""


def worded(segment: str) -> str:
    """A name as that of a variable; "" where it is none."""
    text = segment.replace("-", "_")
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", text).lower() if text.isidentifier() else ""


def results(hint: str, outputs: Iterable[str], sizes: Sequence[Sequence[Any]]) -> list[Flow]:
    """Variables for what a call gives: `boxes, scores`, or `level2_boxes, level2_scores`."""
    names = [name.replace(".", "_") for name in outputs]
    if len(names) == 1:
        return [Flow(sizes[0], hint)]
    found = []
    for n, s in zip(names, sizes, strict=True):
        flow = Flow(s, "_".join(filter(None, (hint, n))).lower())
        flow.short = n.lower()
        if not n.isidentifier():
            flow.hint = flow.short = f"{hint}{n}" if hint else ""
        found.append(flow)
    return found


def camel(text: str) -> str:
    """`box_head` → `BoxHead`."""
    return "".join(part[:1].upper() + part[1:] for part in text.split("_")) or "Group"


def label(scope: Scope, item: Item, rows: Sequence[Row], texts: Sequence[str]) -> ast.expr:
    """A module's name: a word, or in a loop an f-string. Raises PlainError."""
    if len(set(texts)) == 1:
        return ast.Constant(texts[0])
    for candidate in (_templated(item, scope), _counted(scope, rows, texts)):
        if candidate is not None and holds(candidate, rows, texts):
            return candidate
    raise PlainError("the names follow no rule")


def _templated(item: Item, scope: Scope) -> ast.expr | None:
    """`denselayer$(loop.index + 1)` → `f"denselayer{j + 1}"`."""
    if item.id is None:
        return None
    parts: list[ast.expr] = []
    for p in item.id.parts:
        if isinstance(p, str):
            parts.append(ast.Constant(p))
            continue
        try:
            sight = {n: _named(scope, n) for n in p.names}
            parts.append(ast.FormattedValue(written(evaluate(p.tree, sight)), -1))
        except FAILURES:
            return None
    return ast.JoinedStr(parts)


class _Names:
    """`loop.index` as the name that the constructor has for it."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope

    def __getattr__(self, key: str) -> Any:
        tree = self.scope.names[f"loop.{key}"]
        return Sym(0, {ast.unparse(tree): 1})


def _named(scope: Scope, text: str) -> Any:
    if text == "loop":
        return _Names(scope)
    tree = scope.names[text]
    return Sym(0, {ast.unparse(tree): 1})


def _counted(scope: Scope, rows: Sequence[Row], texts: Sequence[str]) -> ast.expr | None:
    """`f"res{i + 1}"` for names in a series."""
    index = scope.names.get("loop.index")
    stems = {t.rstrip("0123456789") for t in texts}
    if not isinstance(index, ast.Name) or len(stems) != 1:
        return None
    if any(not t[-1:].isdigit() for t in texts):
        return None
    stem = stems.pop()
    numbers = {r.py.get(index.id): int(t[len(stem) :]) for r, t in zip(rows, texts, strict=True)}
    if 0 not in numbers or 1 not in numbers:
        return None
    number = (numbers[1] - numbers[0]) * Sym.of(index.id, 1) + numbers[0]
    parts = [ast.Constant(stem)] if stem else []
    return ast.JoinedStr([*parts, ast.FormattedValue(written(number), -1)])


def words_of(item: Item) -> str:
    """What a variable for an item's modules may be called."""
    parts = item.id.parts if item.id is not None else ()
    text = "".join(p for p in parts if isinstance(p, str)).replace("-", "_").strip("_")
    return text if text.isidentifier() else item.op.lower()
