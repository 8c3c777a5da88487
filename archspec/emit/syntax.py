"""Expressions as `ast` nodes, statements as the few classes below: made, read and rewritten."""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


def name(text: str) -> ast.expr:
    """A dotted name."""
    first, *rest = text.split(".")
    node: ast.expr = ast.Name(first)
    for part in rest:
        node = ast.Attribute(node, part)
    return node


def call(func: str | ast.expr, *args: ast.expr, **keywords: ast.expr) -> ast.Call:
    """`func(*args, **keywords)`."""
    func = name(func) if isinstance(func, str) else func
    return ast.Call(func, list(args), [ast.keyword(k, v) for k, v in keywords.items()])


class Dotted(str):
    """A literal that is written as a name: the class `nn.SiLU`."""

    __slots__ = ()


def literal(value: object) -> ast.expr:
    """A number, boolean, None, checked word, Dotted, or tuple or list of these, as syntax.

    Raises TypeError on anything else.
    """
    if isinstance(value, Dotted):
        return name(value)
    if value is None or isinstance(value, (bool, str)):
        return ast.Constant(value)
    if isinstance(value, (int, float)):
        return ast.UnaryOp(ast.USub(), ast.Constant(-value)) if value < 0 else ast.Constant(value)
    if isinstance(value, (tuple, list)):
        return ast.Tuple([literal(v) for v in value])
    raise TypeError(f"no literal for {value!r}")


def rebuilt(node: ast.expr, new: Callable[[str], ast.expr | None]) -> ast.expr:
    """The expression with some names replaced; nothing is mutated, what stays is shared."""
    kind = type(node)
    if kind is ast.Name:
        return new(node.id) or node  # type: ignore[attr-defined]
    if kind is ast.Constant:
        return node
    if kind is ast.Call or kind is ast.Attribute:  # nearly all there is: without asking for fields
        return _rebuilt_call(node, new)  # type: ignore[arg-type]
    fields: dict[str, Any] = {}
    changed = False
    for text in node._fields:
        old = getattr(node, text, None)
        if isinstance(old, list):
            value: Any = [_rebuilt_part(o, new) for o in old]
            changed = changed or any(a is not b for a, b in zip(old, value, strict=True))
        else:
            value = _rebuilt_part(old, new)
            changed = changed or value is not old
        fields[text] = value
    return kind(**fields) if changed else node


def _rebuilt_call(
    node: ast.Call | ast.Attribute, new: Callable[[str], ast.expr | None]
) -> ast.expr:
    if isinstance(node, ast.Attribute):
        value = rebuilt(node.value, new)
        return node if value is node.value else ast.Attribute(value, node.attr)
    func = rebuilt(node.func, new)
    args = [rebuilt(a, new) for a in node.args]
    keywords = [_rebuilt_part(k, new) for k in node.keywords] if node.keywords else node.keywords
    if func is node.func and args == node.args and keywords == node.keywords:  # the same objects
        return node
    return ast.Call(func, args, keywords)


def ids(node: ast.AST, found: list[str]) -> list[str]:
    """The names an expression reads, in the order of evaluation."""
    kind = type(node)
    if kind is ast.Name:
        found.append(node.id)  # type: ignore[attr-defined]
    elif kind is ast.Attribute:
        ids(node.value, found)  # type: ignore[attr-defined]
    elif kind is ast.Call:
        ids(node.func, found)  # type: ignore[attr-defined]
        for argument in node.args:  # type: ignore[attr-defined]
            ids(argument, found)
        for keyword in node.keywords:  # type: ignore[attr-defined]
            ids(keyword.value, found)
    elif kind is not ast.Constant:
        for child in ast.iter_child_nodes(node):
            ids(child, found)
    return found


def names_in(node: ast.expr) -> set[str]:
    """The plain names an expression reads."""
    return set(ids(node, []))


def exchanged(node: ast.expr, new: Callable[[ast.expr], ast.expr | None]) -> ast.expr:
    """The expression with some sub-expressions replaced; nothing is mutated."""
    other = new(node)
    if other is not None:
        return other
    if isinstance(node, ast.Call):
        args = [exchanged(a, new) for a in node.args]
        return ast.Call(
            exchanged(node.func, new),
            args,
            [ast.keyword(k.arg, exchanged(k.value, new)) for k in node.keywords],
        )
    if isinstance(node, ast.BinOp):
        return ast.BinOp(exchanged(node.left, new), node.op, exchanged(node.right, new))
    if isinstance(node, ast.Starred):
        return ast.Starred(exchanged(node.value, new))
    if isinstance(node, ast.List):
        return ast.List([exchanged(e, new) for e in node.elts])
    if isinstance(node, ast.Tuple):
        return ast.Tuple([exchanged(e, new) for e in node.elts])
    if isinstance(node, ast.IfExp):
        return ast.IfExp(
            exchanged(node.test, new), exchanged(node.body, new), exchanged(node.orelse, new)
        )
    if isinstance(node, ast.Compare):
        return ast.Compare(
            exchanged(node.left, new), node.ops, [exchanged(c, new) for c in node.comparators]
        )
    if isinstance(node, ast.BoolOp):
        return ast.BoolOp(node.op, [exchanged(v, new) for v in node.values])
    return node


def _rebuilt_part(part: Any, new: Callable[[str], ast.expr | None]) -> Any:
    if isinstance(part, ast.expr):
        return rebuilt(part, new)
    if isinstance(part, (ast.keyword, ast.comprehension)):
        value = rebuilt(part.value if isinstance(part, ast.keyword) else part.iter, new)
        if isinstance(part, ast.keyword):
            return part if value is part.value else ast.keyword(part.arg, value)
        return (
            part
            if value is part.iter
            else ast.comprehension(part.target, value, part.ifs, part.is_async)
        )
    return part


# ---------------------------------------------------------------- statements


class Stmt:
    """A statement of the emitted text."""

    __slots__ = ()


@dataclass(slots=True)
class Line(Stmt):
    """`target: annotation = value`, `target += value`, or an expression alone."""

    value: ast.expr
    target: str = ""
    annotation: str = ""
    op: str = "="


@dataclass(slots=True)
class If(Stmt):
    test: ast.expr
    body: list[Stmt]
    orelse: list[Stmt] = field(default_factory=list)


@dataclass(slots=True)
class For(Stmt):
    target: str
    iter: ast.expr
    body: list[Stmt]


@dataclass(slots=True)
class Return(Stmt):
    value: ast.expr
