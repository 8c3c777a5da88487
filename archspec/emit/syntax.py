"""Expressions as `ast` nodes, statements as the few classes below: made, read and rewritten."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from archspec.expressions.sym import number


@lru_cache(256)
def name(text: str) -> ast.expr:
    """A dotted name, which nobody changes."""
    first, *rest = text.split(".")
    node: ast.expr = ast.Name(first)
    for part in rest:
        node = ast.Attribute(node, part)
    return node


def call(func: str | ast.expr, *args: ast.expr, **keywords: ast.expr) -> ast.Call:
    """`func(*args, **keywords)`."""
    func = name(func) if isinstance(func, str) else func
    return ast.Call(func, list(args), [ast.keyword(k, v) for k, v in keywords.items()])


@lru_cache(256)
def bare_call(func: str) -> ast.Call:
    """`nn.ReLU()`, which nobody changes: half of the modules of most networks."""
    return call(func)


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
        return number(value)
    if isinstance(value, (tuple, list)):
        return ast.Tuple([literal(v) for v in value])
    raise TypeError(f"no literal for {value!r}")


def rebuilt(node: ast.expr, new: Callable[[str], ast.expr | None]) -> ast.expr:
    """The expression with some names replaced; nothing is mutated, what stays is shared."""
    kind = type(node)
    if kind is ast.Name:
        return new(node.id) or node  # type: ignore[attr-defined]
    return node if kind is ast.Constant else _mapped(node, lambda part: rebuilt(part, new))


def exchanged(node: ast.expr, new: Callable[[ast.expr], ast.expr | None]) -> ast.expr:
    """The same with sub-expressions replaced by what `new` gives for them."""
    return new(node) or _mapped(node, lambda part: exchanged(part, new))


def _mapped(node: Any, change: Callable[[ast.expr], ast.expr]) -> Any:
    """A node with its expressions changed: itself, if they all stay what they are."""
    kind = type(node)
    if kind is ast.Attribute:  # with calls nearly all there is: without asking for fields
        value = change(node.value)
        return node if value is node.value else ast.Attribute(value, node.attr)
    if kind is ast.Call:
        func, args = change(node.func), [change(a) for a in node.args]
        keywords = [_mapped(k, change) for k in node.keywords] if node.keywords else node.keywords
        if func is node.func and args == node.args and keywords == node.keywords:  # by identity
            return node
        return ast.Call(func, args, keywords)
    old = {text: getattr(node, text, None) for text in node._fields}
    fields = {text: _part(value, change) for text, value in old.items()}
    return node if all(fields[text] is old[text] for text in old) else kind(**fields)


def _part(part: Any, change: Callable[[ast.expr], ast.expr]) -> Any:
    if isinstance(part, list):
        parts = [_part(p, change) for p in part]
        return part if parts == part else parts
    if isinstance(part, ast.expr):
        return change(part)
    return _mapped(part, change) if isinstance(part, (ast.keyword, ast.comprehension)) else part


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


_OWN: dict[type[Stmt], str] = {Line: "value", If: "test", For: "iter", Return: "value"}


def own(s: Stmt) -> ast.expr:
    """The expression of a statement itself."""
    found: ast.expr = getattr(s, _OWN[type(s)])
    return found


def bodies(s: Stmt) -> list[list[Stmt]]:
    """The lists of statements inside a statement."""
    if isinstance(s, If):
        return [s.body, s.orelse]
    return [s.body] if isinstance(s, For) else []


def flat(statements: Iterable[Stmt]) -> Iterator[Stmt]:
    """Statements, and those inside them."""
    for s in statements:
        yield s
        for body in bodies(s):
            yield from flat(body)


def change(statements: Iterable[Stmt], new: Callable[[ast.expr], ast.expr]) -> None:
    """Changes the expressions of all statements."""
    for s in flat(statements):
        setattr(s, _OWN[type(s)], new(own(s)))
