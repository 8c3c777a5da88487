"""Numbers → expressions: the first candidate that is right in every witnessed instance.

A row is a witness: what every Python name that is visible at this point of the emitted class is
worth in one instance. Candidates come from the author's text and from the flow of shapes, never
from a search over small expressions, which finds coincidences.

    row        width  in_channels   the conv's `out`
    layer1.0      64           64                256
    layer1.1      64          256                256    `4 * width` holds in both: it is written
    (`in_channels` holds in the second only)
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from archspec.emit.forward import Var as Variable
from archspec.emit.syntax import Dotted, literal, name, names_in
from archspec.emit.text import render
from archspec.expand.tree import Value
from archspec.expressions import Expr, make_divisible


class UnprovableError(Exception):
    """The pretty form does not hold in every instance; a plainer one must be written."""


class Var(Variable):
    """A value of the emitted class, the same in every row.

    Its `axes`: for each an expression in the class's names, or None.
    """

    __slots__ = ("axes",)

    def __init__(self, axes: Sequence[ast.expr | None], hint: str = "") -> None:
        super().__init__(hint)
        self.axes = [_short(a) for a in axes]


class Row:
    """One witness.

    `py` is what every visible Python name is worth; `vals` maps the id of a value of one body to
    the Vars that hold it (copies of a loop share it); `base` numbers the instance.
    """

    __slots__ = ("base", "py", "vals")

    def __init__(self, py: dict[str, Any], vals: dict[int, list[Var]], base: int) -> None:
        self.py, self.vals, self.base = py, vals, base


def _short(axis: ast.expr | None) -> ast.expr | None:
    """An expression that a reader can take in; a longer one explains nothing."""
    return axis if axis is None or isinstance(axis, ast.Name) or len(render(axis)) <= 60 else None


def lookup(rows: Sequence[Row], values: Sequence[Value | None]) -> Var:
    """The Var that holds these values, one a row. Raises UnprovableError."""
    first = rows[0].vals.get(id(values[0]), [])
    if len(rows) == 1:
        if first:
            return first[-1]
    else:
        rest = [set(r.vals.get(id(v), ())) for r, v in zip(rows[1:], values[1:], strict=True)]
        for var in reversed(first):
            if all(var in found for found in rest):
                return var
    raise UnprovableError("the inputs come from different places")


def define(rows: Sequence[Row], values: Sequence[Value | None], var: Var) -> Var:
    """Says that `var` holds these values, one a row."""
    for row, value in zip(rows, values, strict=True):
        row.vals.setdefault(id(value), []).append(var)
    return var


@contextmanager
def apart(rows: Sequence[Row], values: Sequence[Value | None], var: Var) -> Iterator[None]:
    """Only `var` is known inside, and nothing that is defined there stays.

    While a container is built, its Vars are no variables of forward.
    """
    saved = [r.vals for r in rows]
    for row, value in zip(rows, values, strict=True):
        row.vals = {id(value): [var]}
    try:
        yield
    finally:
        for row, vals in zip(rows, saved, strict=True):
            row.vals = vals


# ---------------------------------------------------------------- evaluating candidates


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "min": min, "max": max, "abs": abs, "round": round, "int": int, "len": len, "sum": sum,
    "make_divisible": make_divisible, "math.ceil": math.ceil, "math.floor": math.floor,
}  # fmt: skip
_OPERATORS: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod, ast.Pow: operator.pow,
    ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Lt: operator.lt, ast.LtE: operator.le,
    ast.Gt: operator.gt, ast.GtE: operator.ge, ast.USub: operator.neg, ast.Not: operator.not_,
}  # fmt: skip


def value_of(node: ast.expr, py: Mapping[str, Any]) -> Any:
    """What the expression is worth in a row.

    Raises LookupError, ArithmeticError, TypeError or ValueError where it has no value.
    """
    return _VALUE[type(node)](node, py)


def _compare(node: ast.Compare, py: Mapping[str, Any]) -> bool:
    left = value_of(node.left, py)
    for op, node_right in zip(node.ops, node.comparators, strict=True):
        right = value_of(node_right, py)
        if not _OPERATORS[type(op)](left, right):
            return False
        left = right
    return True


def _boolop(node: ast.BoolOp, py: Mapping[str, Any]) -> Any:
    stop = isinstance(node.op, ast.Or)
    result = None
    for part in node.values:
        result = value_of(part, py)
        if bool(result) is stop:
            break
    return result


def _call(node: ast.Call, py: Mapping[str, Any]) -> Any:
    target = node.func
    key = (
        target.id
        if isinstance(target, ast.Name)
        else f"math.{target.attr}"
        if isinstance(target, ast.Attribute)
        else ""
    )
    return _FUNCTIONS[key](*(value_of(a, py) for a in node.args))


def _joined(node: ast.JoinedStr, py: Mapping[str, Any]) -> str:
    return "".join(
        str(v.value if isinstance(v, ast.Constant) else value_of(v.value, py))
        for v in node.values
        if isinstance(v, (ast.Constant, ast.FormattedValue))
    )


_VALUE: dict[type[ast.AST], Callable[[Any, Mapping[str, Any]], Any]] = {
    ast.Constant: lambda n, _: n.value,
    ast.Name: lambda n, py: py[n.id],
    ast.Attribute: lambda n, py: Dotted(f"{n.value.id}.{n.attr}"),
    ast.BinOp: lambda n, py: _OPERATORS[type(n.op)](value_of(n.left, py), value_of(n.right, py)),
    ast.UnaryOp: lambda n, py: _OPERATORS[type(n.op)](value_of(n.operand, py)),
    ast.IfExp: lambda n, py: value_of(n.body if value_of(n.test, py) else n.orelse, py),
    ast.Tuple: lambda n, py: tuple(value_of(e, py) for e in n.elts),
    ast.List: lambda n, py: tuple(value_of(e, py) for e in n.elts),
    ast.Subscript: lambda n, py: value_of(n.value, py)[value_of(n.slice, py)],
    ast.Compare: _compare, ast.BoolOp: _boolop, ast.Call: _call, ast.JoinedStr: _joined,
}  # fmt: skip


def equal(found: object, wanted: object) -> bool:
    """Equal in value and, as far as Python code can tell, in type.

    1 is not True, and 2.0 is not the whole number 2.
    """
    if isinstance(wanted, tuple):
        return (
            isinstance(found, tuple)
            and len(found) == len(wanted)
            and all(map(equal, found, wanted))
        )
    if isinstance(wanted, float):
        return isinstance(found, (int, float)) and not isinstance(found, bool) and found == wanted
    return type(found) is type(wanted) and found == wanted


def holds(node: ast.expr, rows: Iterable[Row], values: Iterable[object]) -> bool:
    """Whether the expression is worth the value in every row."""
    try:
        return all(equal(value_of(node, r.py), v) for r, v in zip(rows, values, strict=True))
    except (LookupError, ArithmeticError, TypeError, ValueError):
        return False


# ---------------------------------------------------------------- the author's expressions

Records = Mapping[str, Var]


def translate(value: Any, names: Mapping[str, ast.expr], records: Records) -> list[ast.expr]:
    """The author's value in the class's names: candidates, best first.

    Where a name has no counterpart, the parts that have one are candidates, or there are none.
    """
    if isinstance(value, Expr):
        return _translations(value.tree, names, records)
    if isinstance(value, list):
        parts = [
            translate(v, names, records) or ([] if isinstance(v, Expr) else [literal(v)])
            for v in value
        ]
        return [ast.Tuple([p[0] for p in parts])] if all(parts) else []
    return []


def _translations(
    tree: ast.expr, names: Mapping[str, ast.expr], records: Records
) -> list[ast.expr]:
    whole = _substitute(tree, names, records)
    if whole is not None:
        found = [whole]
        if isinstance(tree, ast.IfExp):
            found += _translations(tree.body, names, records) + _translations(
                tree.orelse, names, records
            )
        return found
    # a baked-in number or a loop's end makes part of it idle: what is left may still hold
    return [t for child in _children(tree) for t in _translations(child, names, records)]


def _children(tree: ast.expr) -> list[ast.expr]:
    if isinstance(tree, ast.Attribute):
        return []
    if isinstance(tree, ast.IfExp):
        return [tree.body, tree.orelse]
    if isinstance(tree, ast.Call):
        return list(tree.args)
    return [
        c
        for c in ast.iter_child_nodes(tree)
        if isinstance(c, ast.expr) and not isinstance(c, ast.Constant)
    ]


def _substitute(tree: ast.expr, names: Mapping[str, ast.expr], records: Records) -> ast.expr | None:
    record = axis_of(tree)
    if record is not None:
        return _record(record, names, records)
    maker = _SUBSTITUTE.get(type(tree))
    return maker(tree, lambda t: _substitute(t, names, records), names) if maker else None


_AXES = {"channels": 0, "features": -1, "height": -2, "width": -1, "depth": -3}


def axis_of(tree: ast.expr) -> tuple[str, str | int] | None:
    """`prev.channels` → ("prev", 0), `loop.index` → ("loop", "index"), `x.shape[1]` → ("x", 1)."""
    if (
        isinstance(tree, ast.Subscript)
        and isinstance(tree.value, ast.Attribute)
        and isinstance(tree.value.value, ast.Name)
    ):
        index = tree.slice
        sign = 1
        if isinstance(index, ast.UnaryOp) and isinstance(index.op, ast.USub):
            index, sign = index.operand, -1
        if (
            tree.value.attr == "shape"
            and isinstance(index, ast.Constant)
            and isinstance(index.value, int)
        ):
            return tree.value.value.id, sign * index.value
    if isinstance(tree, ast.Attribute) and isinstance(tree.value, ast.Name):
        base = tree.value.id
        return (
            (base, tree.attr)
            if base == "loop"
            else (base, _AXES[tree.attr])
            if tree.attr in _AXES
            else None
        )
    return None


def _record(
    record: tuple[str, str | int], names: Mapping[str, ast.expr], records: Records
) -> ast.expr | None:
    base, axis = record
    if isinstance(axis, str):
        return names.get(f"loop.{axis}")
    var = records.get(base)
    if var is None or not -len(var.axes) <= axis < len(var.axes):
        return None
    return var.axes[axis]


Substitute = Callable[[ast.expr], "ast.expr | None"]


def _each(parts: Iterable[ast.expr], go: Substitute) -> list[ast.expr] | None:
    done = [go(p) for p in parts]
    return None if any(d is None for d in done) else [d for d in done if d is not None]


def _sub_binop(n: ast.BinOp, go: Substitute, _: object) -> ast.expr | None:
    parts = _each((n.left, n.right), go)
    return folded(ast.BinOp(parts[0], n.op, parts[1])) if parts else None


def fold(node: ast.expr) -> ast.expr:
    """The expression with what is known of it computed."""
    return (
        folded(ast.BinOp(fold(node.left), node.op, fold(node.right)))
        if isinstance(node, ast.BinOp)
        else node
    )


def folded(node: ast.BinOp) -> ast.expr:
    """`x * 1` is `x`, `x + x` is `2 * x`; numbers alone are computed."""
    if isinstance(node.left, ast.Constant) and isinstance(node.right, ast.Constant):
        try:
            return literal(value_of(node, {}))
        except (ArithmeticError, TypeError):
            return node
    if (
        isinstance(node.op, ast.Add)
        and isinstance(node.left, ast.Name)
        and isinstance(node.right, ast.Name)
        and node.left.id == node.right.id
    ):
        return ast.BinOp(ast.Constant(2), ast.Mult(), node.left)
    if isinstance(node.op, ast.Mult):
        for one, rest in ((node.left, node.right), (node.right, node.left)):
            if isinstance(one, ast.Constant) and type(one.value) is int and one.value == 1:
                return rest
    return node


def _sub_unary(n: ast.UnaryOp, go: Substitute, _: object) -> ast.expr | None:
    operand = go(n.operand)
    if (
        isinstance(n.op, ast.Not)
        and isinstance(operand, ast.Compare)
        and len(operand.ops) == 1
        and type(operand.ops[0]) in _OPPOSITE
    ):
        return ast.Compare(operand.left, [_OPPOSITE[type(operand.ops[0])]()], operand.comparators)
    return operand and ast.UnaryOp(n.op, operand)


_OPPOSITE: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Lt: ast.GtE, ast.GtE: ast.Lt,
    ast.Gt: ast.LtE, ast.LtE: ast.Gt,
}  # fmt: skip


def _sub_compare(n: ast.Compare, go: Substitute, _: object) -> ast.expr | None:
    parts = _each((n.left, *n.comparators), go)
    if parts is None:
        return None
    mirror = _MIRROR.get(type(n.ops[0])) if len(n.ops) == 1 else None
    if mirror is not None and isinstance(parts[0], ast.Constant):
        return ast.Compare(parts[1], [mirror()], [parts[0]])
    return ast.Compare(parts[0], n.ops, parts[1:])


_MIRROR: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.Eq, ast.NotEq: ast.NotEq, ast.Lt: ast.Gt, ast.Gt: ast.Lt, ast.LtE: ast.GtE,
    ast.GtE: ast.LtE,
}  # fmt: skip


def _sub_boolop(n: ast.BoolOp, go: Substitute, _: object) -> ast.expr | None:
    parts = _each(n.values, go)
    return ast.BoolOp(n.op, parts) if parts else None


def _sub_ifexp(n: ast.IfExp, go: Substitute, _: object) -> ast.expr | None:
    parts = _each((n.test, n.body, n.orelse), go)
    if parts and render(parts[1]) == render(parts[2]):
        return parts[1]
    return ast.IfExp(*parts) if parts else None


def _sub_call(n: ast.Call, go: Substitute, _: object) -> ast.expr | None:
    parts = _each(n.args, go)
    if parts is None or not isinstance(n.func, ast.Name) or n.keywords:
        return None
    key = f"math.{n.func.id}" if n.func.id in ("ceil", "floor") else n.func.id
    return ast.Call(name(key), parts, []) if key in _FUNCTIONS else None


def _sub_name(n: ast.Name, _: Substitute, names: Mapping[str, ast.expr]) -> ast.expr | None:
    return names.get(n.id)


_SUBSTITUTE: dict[
    type[ast.AST], Callable[[Any, Substitute, Mapping[str, ast.expr]], ast.expr | None]
] = {
    ast.Constant: lambda n, *_: n, ast.Name: _sub_name, ast.BinOp: _sub_binop,
    ast.UnaryOp: _sub_unary, ast.Compare: _sub_compare, ast.BoolOp: _sub_boolop,
    ast.IfExp: _sub_ifexp, ast.Call: _sub_call,
}  # fmt: skip


__all__ = ["names_in"]
