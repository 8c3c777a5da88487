"""The text of an expression → Expr: tokens, Python's parser, a whitelist of nodes, closures."""

from __future__ import annotations

import ast
import math
import re
from functools import lru_cache
from typing import Any, NoReturn

from archspec.expressions.arithmetic import (
    ARITY,
    BINARY,
    CALLS,
    COMPARE,
    FUNCTIONS,
    MAX_BITS,
    FailedError,
    fits,
    index_of,
    slice_of,
    truth,
)
from archspec.expressions.values import LOOP, RECORD, Env, Expr, ExpressionError, Loop, Record, Run
from archspec.text.words import cut, did_you_mean, show

MAX_TEXT = 1_000  # characters of an expression
MAX_NESTING = 64  # levels of its tree
_TOKEN = re.compile(
    r"\s+|(?P<name>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)(?P<tail>[A-Za-z0-9_.]*)"
    r"|(?P<text>'[^'\\]*'|\"[^\"\\]*\")"
    r"|(?P<sign>\*\*|//|==|!=|<=|>=|(?<=divisor)=|[-+*/%<>()\[\],.:])"
)
_SPELT = {
    "True": "true",
    "False": "false",
    "&&": "and",
    "||": "or",
    "!": "not",
    "^": "**",
    "is": "==",
    "=": "==",
}
_OPEN = {"(": ")", "[": "]"}


@lru_cache(maxsize=16384)
def parse(text: str, offset: int = 0) -> Expr:
    """The checked expression of `text`, at `offset` of its scalar. Raises ExpressionError."""
    if not text.strip():
        raise ExpressionError(
            "an expression is missing",
            offset,
            offset + 1,
            "E122",
            "write it as in Python: `$(4 * width)`",
        )
    _tokens(text, offset)
    try:
        # in brackets, so that line breaks and leading spaces mean nothing
        tree = ast.parse(f"({text}\n)", mode="eval").body
    except SyntaxError as bad:
        last = len(text.rstrip()) - 1
        at = min(max((bad.offset or 2) - 2, 0), last) if (bad.lineno or 1) == 1 else last
        rule = f"`{cut(text)}` is not an expression"
        raise ExpressionError(
            rule, offset + at, offset + at + 1, "E122", "write it as in Python: `$(4 * width)`"
        ) from None
    except (ValueError, MemoryError, RecursionError, OverflowError):
        raise ExpressionError(
            "the expression is too large", offset, offset + len(text), "E405"
        ) from None
    compiler = _Compiler(offset)
    run = compiler.node(tree, 0)
    tree = _Constants().visit(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.expr):
            node.col_offset -= 1
    return Expr(text, tree, frozenset(compiler.names), offset, run, frozenset(compiler.fields))


def _tokens(text: str, offset: int) -> None:
    """Lets through only what the grammar below can use: Python's parser sees nothing else."""
    if len(text) > MAX_TEXT:
        rule = f"an expression of {len(text)} characters; at most {MAX_TEXT} are allowed"
        raise ExpressionError(rule, offset, offset + 1, "E405", "compute parts of it in `params`")
    at = 0
    stack: list[str] = []
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            _refuse_character(text, at, offset)
        if found["tail"]:
            rule = f"`{cut(found.group())}` is neither a number nor a name"
            raise ExpressionError(rule, offset + at, offset + found.end(), "E122")
        sign = found["sign"]
        if sign in _OPEN:
            stack.append(_OPEN[sign])
        elif sign in (")", "]") and (not stack or stack.pop() != sign):
            raise ExpressionError(
                f"`{sign}` closes nothing", offset + at, offset + at + 1, "E122", "remove it"
            )
        if len(stack) > MAX_NESTING:
            rule = f"brackets nested more than {MAX_NESTING} deep"
            raise ExpressionError(
                rule, offset + at, offset + at + 1, "E405", "compute parts of it in `params`"
            )
        at = found.end()
    if stack:
        raise ExpressionError(
            f"`{stack[-1]}` is missing",
            offset + len(text) - 1,
            offset + len(text),
            "E122",
            "close the bracket",
        )


def _refuse_character(text: str, at: int, offset: int) -> NoReturn:
    two, one = text[at : at + 2], text[at]
    if one in "'\"":
        escaped = "\\" in text[at:]
        rule = (
            "a text in an expression has no backslash"
            if escaped
            else f"the quote {one} is not closed"
        )
        raise ExpressionError(
            rule, offset + at, offset + at + 1, "E122", "" if escaped else "close it"
        )
    shown = two if two in _SPELT or two in (":=", "<<", ">>", "->") else one
    known = _SPELT.get(shown)
    help = f"write `{known}`" if known else ""
    raise ExpressionError(
        f"`{shown}` has no meaning in an expression",
        offset + at,
        offset + at + len(shown),
        "E123",
        help,
    )


class _Constants(ast.NodeTransformer):
    """`true` and `false` as constants."""

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if node.id in ("true", "false"):
            return ast.copy_location(ast.Constant(node.id == "true"), node)
        return node


class _Compiler:
    """Tree → closures over an environment; collects the names and fields that are read."""

    def __init__(self, offset: int) -> None:
        self.shift = offset - 1  # for the bracket put in front
        self.names: set[str] = set()
        self.fields: set[tuple[str, str]] = set()

    def span(self, node: ast.expr) -> tuple[int, int]:
        if node.lineno != 1 or node.end_lineno != 1:
            return self.shift + 1, self.shift + 2
        return self.shift + node.col_offset, self.shift + (
            node.end_col_offset or node.col_offset + 1
        )

    def refuse(self, node: ast.expr, message: str, help: str = "", code: str = "E123") -> NoReturn:
        raise ExpressionError(message, *self.span(node), code, help)

    def node(self, node: ast.expr, depth: int) -> Run:
        if depth > MAX_NESTING:
            self.refuse(
                node,
                f"an expression nested more than {MAX_NESTING} deep",
                "compute parts of it in `params`",
                "E405",
            )
        make = _MAKERS.get(type(node))
        if make is None:
            what = _WHAT.get(type(node), "this")
            self.refuse(
                node, f"{what} has no meaning in an expression", _WHAT_HELP.get(type(node), "")
            )
        run: Run = make(self, node, depth + 1)
        return run

    def name(self, node: ast.Name, depth: int) -> Run:
        key = node.id
        if key in ("true", "false"):
            value = key == "true"
            return lambda env: value
        if key in _SPELT or key == "None" or key.startswith("__"):
            known = _SPELT.get(key)
            self.refuse(
                node,
                f"`{key}` has no meaning in an expression",
                f"write `{known}`" if known else "",
            )
        self.names.add(key)
        start, stop = self.span(node)

        def run(env: Env) -> Any:
            try:
                return env[key]
            except KeyError:
                raise unknown(key, env, start, stop) from None

        return run

    def constant(self, node: ast.Constant, depth: int) -> Run:
        value = node.value
        if isinstance(value, bool) or value is None or value is Ellipsis:
            shown = str(value)
            help = f"write `{_SPELT[shown]}`" if shown in _SPELT else ""
            self.refuse(node, f"`{shown}` has no meaning in an expression", help)
        if isinstance(value, int) and value.bit_length() > MAX_BITS:
            self.refuse(node, "the number is too large", code="E405")
        if isinstance(value, float) and not math.isfinite(value):
            self.refuse(node, "the number is out of range", code="E405")
        if not isinstance(value, (int, float, str)):
            self.refuse(node, "this constant has no meaning in an expression")
        return lambda env: value

    def attribute(self, node: ast.Attribute, depth: int) -> Run:
        if not isinstance(node.value, ast.Name) or node.value.id in ("true", "false"):
            self.refuse(node, f"`.{cut(node.attr)}`: only `prev`, `loop` and inputs have fields")
        owner, key = node.value.id, node.attr
        known = LOOP if owner == "loop" else RECORD
        if key not in known:
            self.refuse(node, f"`{cut(owner)}` has no field `{cut(key)}`", did_you_mean(key, known))
        inner = self.name(node.value, depth)
        self.fields.add((owner, key))
        start, stop = self.span(node)

        def run(env: Env) -> Any:
            record = inner(env)
            if type(record) is not Record and type(record) is not Loop:
                raise ExpressionError(
                    f"`{owner}` is {show(record)}, which has no fields", start, stop
                )
            value = getattr(record, key, None)
            if value is None:
                raise ExpressionError(
                    f"`{owner}` of shape {show(record)} has no `{key}`",
                    start,
                    stop,
                    "E361",
                    f"use `{owner}.shape[…]`",
                )
            return list(value) if key == "shape" else value

        return run

    def binary(self, node: ast.BinOp, depth: int) -> Run:
        compute = BINARY.get(type(node.op))
        if compute is None:
            self.refuse(
                node,
                f"`{_SIGNS.get(type(node.op), '?')}` has no meaning in an expression",
                "the operators are + - * / // % **",
            )
        left, right = self.node(node.left, depth), self.node(node.right, depth)
        start, stop = self.span(node)

        def run(env: Env) -> Any:
            a, b = left(env), right(env)
            try:
                return compute(a, b)
            except FailedError as failed:
                raise ExpressionError(failed.message, start, stop, failed.code) from None

        return run

    def unary(self, node: ast.UnaryOp, depth: int) -> Run:
        if isinstance(node.op, ast.Invert):
            self.refuse(node, "`~` has no meaning in an expression")
        operand = self.node(node.operand, depth)
        start, stop = self.span(node)
        if isinstance(node.op, ast.Not):
            return lambda env: not truth(operand(env), start, stop)
        negative = isinstance(node.op, ast.USub)

        def run(env: Env) -> Any:
            value = operand(env)
            if type(value) is not int and type(value) is not float:
                raise ExpressionError(f"{show(value)} is not a number", start, stop)
            return -value if negative else value

        return run

    def boolean(self, node: ast.BoolOp, depth: int) -> Run:
        runs = [(self.node(value, depth), *self.span(value)) for value in node.values]
        stops_at = isinstance(node.op, ast.Or)

        def run(env: Env) -> bool:
            return (
                any(truth(f(env), a, b) for f, a, b in runs)
                if stops_at
                else all(truth(f(env), a, b) for f, a, b in runs)
            )

        return run

    def choice(self, node: ast.IfExp, depth: int) -> Run:
        test, then, other = (self.node(part, depth) for part in (node.test, node.body, node.orelse))
        start, stop = self.span(node.test)
        return lambda env: then(env) if truth(test(env), start, stop) else other(env)

    def compare(self, node: ast.Compare, depth: int) -> Run:
        tests = []
        for op in node.ops:
            test = COMPARE.get(type(op))
            if test is None:
                self.refuse(
                    node,
                    "comparisons are == != < <= > >=",
                    "write `==` for `is`; `in` has no meaning",
                )
            tests.append(test)
        values = [self.node(value, depth) for value in (node.left, *node.comparators)]
        start, stop = self.span(node)

        def run(env: Env) -> bool:
            left = values[0](env)
            for test, value in zip(tests, values[1:], strict=True):
                right = value(env)
                try:
                    if not test(left, right):
                        return False
                except FailedError as failed:
                    raise ExpressionError(failed.message, start, stop, failed.code) from None
                left = right
            return True

        return run

    def listing(self, node: ast.List, depth: int) -> Run:
        runs = [self.node(entry, depth) for entry in node.elts]
        return lambda env: [run(env) for run in runs]

    def subscript(self, node: ast.Subscript, depth: int) -> Run:
        owner = self.node(node.value, depth)
        start, stop = self.span(node)
        shown = cut(ast.unparse(node.value))
        if isinstance(node.slice, ast.Slice):
            parts = [
                self.node(p, depth) if p else None
                for p in (node.slice.lower, node.slice.upper, node.slice.step)
            ]
            return lambda env: slice_of(
                shown, owner(env), [p(env) if p else None for p in parts], start, stop
            )
        index = self.node(node.slice, depth)
        return lambda env: index_of(shown, owner(env), index(env), start, stop)

    def call(self, node: ast.Call, depth: int) -> Run:
        if not isinstance(node.func, ast.Name):
            self.refuse(
                node, "only functions by name can be called", "functions: " + ", ".join(FUNCTIONS)
            )
        key = node.func.id
        function = CALLS.get(key)
        if function is None:
            self.refuse(
                node.func, f"there is no function `{cut(key)}`", did_you_mean(key, FUNCTIONS)
            )
        args = [self.node(arg, depth) for arg in node.args]
        for keyword in node.keywords:
            if key != "make_divisible" or keyword.arg != "divisor" or len(args) != 1:
                self.refuse(
                    node,
                    f"`{key}` takes no argument by that name",
                    "" if keyword.arg else "write the arguments out",
                )
            args.append(self.node(keyword.value, depth))
        least, most = ARITY[key]
        if not least <= len(args) <= most:
            wanted = (
                str(least)
                if least == most
                else f"{least} to {most}"
                if most < 99
                else f"at least {least}"
            )
            noun = "argument" if wanted == "1" else "arguments"
            self.refuse(node, f"`{key}` takes {wanted} {noun}, not {len(args)}")
        start, stop = self.span(node)

        def run(env: Env) -> Any:
            values = [arg(env) for arg in args]
            try:
                value = function(*values)
                return fits(value) if type(value) is int else value
            except FailedError as failed:
                raise ExpressionError(
                    f"`{key}`: {failed.message}", start, stop, failed.code
                ) from None

        return run


_MAKERS: dict[type[ast.expr], Any] = {
    ast.Name: _Compiler.name, ast.Constant: _Compiler.constant, ast.Attribute: _Compiler.attribute,
    ast.BinOp: _Compiler.binary, ast.UnaryOp: _Compiler.unary, ast.BoolOp: _Compiler.boolean,
    ast.IfExp: _Compiler.choice, ast.Compare: _Compiler.compare, ast.List: _Compiler.listing,
    ast.Subscript: _Compiler.subscript, ast.Call: _Compiler.call,
}  # fmt: skip
_WHAT: dict[type[ast.expr], str] = {
    ast.Lambda: "a function", ast.ListComp: "a comprehension",
    ast.GeneratorExp: "a comprehension", ast.Tuple: "a tuple", ast.Starred: "`*`",
    ast.Slice: "a slice", ast.Dict: "a mapping", ast.NamedExpr: "`:=`",
}  # fmt: skip
_WHAT_HELP: dict[type[ast.expr], str] = {
    ast.Tuple: "write a list: `[a, b]`",
    ast.JoinedStr: "text is never spliced",
    ast.ListComp: "use columns of a `repeat`",
    ast.GeneratorExp: "use columns of a `repeat`",
}
_SIGNS: dict[type[ast.operator], str] = {
    ast.MatMult: "@",
    ast.LShift: "<<",
    ast.RShift: ">>",
    ast.BitOr: "|",
}


def unknown(key: str, env: Env, start: int, stop: int) -> ExpressionError:
    return ExpressionError(
        f"`{cut(key)}` is not known here", start, stop, "E362", did_you_mean(key, env)
    )
