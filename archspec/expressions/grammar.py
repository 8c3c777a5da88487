"""The text of an expression → Expr: tokens, Python's parser, a whitelist of nodes, closures.

    4 * width          reads `width`; evaluated with {"width": 64} it is 256
    4 * widht          E362 at characters [4, 9): `widht` is not known here
    width.__class__    E123 at characters [0, 15): `width` has no field `__class__`

The text is cut into known tokens before Python's parser sees it, and only nodes of `_MAKERS` become
closures. So nothing of a spec is ever executed as Python, and what an expression costs is bounded.
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from itertools import pairwise
from keyword import iskeyword
from typing import Any, NoReturn

from archspec.expressions.arithmetic import (
    ARITY,
    BINARY,
    CALLS,
    COMPARE,
    FUNCTIONS,
    MAX_BITS,
    UNARY,
    FailedError,
    Work,
    bounded,
    entries_of,
    field_of,
    fits,
    index_of,
    slice_of,
    truth,
)
from archspec.expressions.values import LOOP, RECORD, Env, is_number
from archspec.text.words import cut, did_you_mean

Run = Callable[[Env], Any]

MAX_TEXT = 1_000  # characters of an expression
MAX_NESTING = 64  # levels of its tree
_TOKEN = re.compile(
    r"\s+|(?P<name>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)(?P<tail>[A-Za-z0-9_.]*)"
    r"|(?P<text>'[^'\\]*'|\"[^\"\\]*\")"
    r"|(?P<sign>\*\*|//|==|!=|<=|>=|(?<=divisor)=|[-+*/%<>()\[\],.:])"
)
_SPELT = {
    "True": "true", "False": "false", "&&": "and", "||": "or", "!": "not", "^": "**",
    "is": "==", "=": "==",
}  # fmt: skip
_THROUGH = frozenset({"min", "max", "sum", "sorted", "range"})
# What a list is made by, or read by whole or in part: all else has none, or is one.
_LISTS = (ast.ListComp, ast.List, ast.Subscript, ast.Call, ast.Compare)
_GRAMMAR = frozenset({"and", "or", "not", "if", "else", "for", "in", "None"})
_OPEN = {"(": ")", "[": "]"}
_AS_IN_PYTHON = "write it as in Python: `$(4 * width)`"
_OPS = frozenset({"sin", "cos", "exp", "tanh", "sigmoid"})
_OF_TENSORS = "it is an op: an item of its own, behind a `constant`"
_IN_PARTS = "compute parts of it in `params`"
WORK = ""
_TAKEN = frozenset({"prev", "loop", "input", "self", "true", "false"})  # they have a meaning


class ExpressionError(Exception):
    """What is wrong, as a sentence, at characters [start, stop) of the scalar.

    `code` and `help` are those of a Fault.
    """

    def __init__(
        self, message: str, start: int, stop: int, code: str = "E361", help: str = ""
    ) -> None:
        super().__init__(message, start, stop, code, help)
        self.message, self.start, self.stop, self.code, self.help = message, start, stop, code, help

    def moved(self, offset: int) -> ExpressionError:
        """The same, of an expression that stands at `offset`."""
        return ExpressionError(
            self.message, self.start + offset, self.stop + offset, self.code, self.help
        )


@dataclass(frozen=True, slots=True)
class Expr:
    """A parsed expression: its text as written (without `$`, `$( )`), its tree, the names it reads.

    `offset` is where the text stands in its scalar; equal texts are equal expressions. In the tree
    `true` and `false` are constants, and columns count from the start of the text. `fields` are the
    fields of records it reads, by owner. `run` computes it; its errors count from the start of the
    text. `lists`: it may make a list, or go through one. `size` is that of its tree, in nodes.
    """

    text: str
    tree: ast.expr = field(compare=False, repr=False)
    names: frozenset[str] = field(compare=False, repr=False)
    offset: int = field(default=0, compare=False, repr=False)
    run: Run = field(default=lambda env: None, compare=False, repr=False)
    fields: frozenset[tuple[str, str]] = field(default=frozenset(), compare=False, repr=False)
    lists: bool = field(default=False, compare=False, repr=False)
    size: int = field(default=1, compare=False, repr=False)

    def __reduce__(self) -> tuple[Any, ...]:
        return parse, (self.text, self.offset)  # closures are not stored: parsed once more


def parse(text: str, offset: int = 0) -> Expr:
    """The checked expression of `text`, at `offset` of its scalar. Raises ExpressionError."""
    try:
        expr = _parsed(text)
    except ExpressionError as bad:
        raise bad.moved(offset) from None
    return replace(expr, offset=offset) if offset else expr


@lru_cache(maxsize=16384)
def _parsed(text: str) -> Expr:
    if not text.strip():
        raise ExpressionError("an expression is missing", 0, 1, "E122", _AS_IN_PYTHON)
    _check_tokens(text)
    try:
        # in brackets, so that line breaks and leading spaces mean nothing
        tree = ast.parse(f"({text}\n)", mode="eval").body
    except SyntaxError as bad:
        _check_keywords(text)
        last = len(text.rstrip()) - 1
        at = min(max((bad.offset or 2) - 2, 0), last) if (bad.lineno or 1) == 1 else last
        rule = f"`{cut(text)}` is not an expression"
        raise ExpressionError(rule, at, at + 1, "E122", _AS_IN_PYTHON) from None
    except (ValueError, MemoryError, RecursionError, OverflowError):
        raise ExpressionError("the expression is too large", 0, len(text), "E405") from None
    compiler = _Compiler(any(isinstance(node, _LISTS) for node in ast.walk(tree)))
    run = compiler.node(tree, 0)
    tree = _Constants().visit(tree)
    size = 0
    for node in ast.walk(tree):
        if isinstance(node, ast.expr):
            node.col_offset -= 1
            size += 1
    if compiler.lists:
        run = _counted(run, frozenset(compiler.names))
    names, fields = frozenset(compiler.names), frozenset(compiler.fields)
    return Expr(text, tree, names, 0, run, fields, compiler.lists, size)


def _counted(run: Run, names: frozenset[str]) -> Run:
    """Each evaluation counts its own work, under a name that no text has, and adds it to that of
    all, where who asks gives one.

    It sees what it reads alone, where all of it is there: each round of a comprehension has an
    environment of its own, which is to be small.
    """

    def counted(env: Env) -> Any:
        seen = {name: env[name] for name in names} if names <= env.keys() else env
        work = Work()
        try:
            return run({**seen, WORK: work})
        finally:
            if isinstance(every := env.get(WORK), Work):
                every.done += work.done

    return counted


# ---------------------------------------------------------------- tokens


def _check_keywords(text: str) -> None:
    """Names what Python takes for itself: no param or column is called so."""
    for found in re.finditer(r"'[^']*'|\"[^\"]*\"|(?P<name>[A-Za-z_][A-Za-z0-9_]*)", text):
        word = found["name"] or ""
        if iskeyword(word) and word not in _GRAMMAR and word not in _SPELT:
            message = f"`{word}` is a keyword of Python"
            raise ExpressionError(message, found.start(), found.end(), "E122", "rename it")


def _check_tokens(text: str) -> None:
    """Lets through only what the grammar below can use: Python's parser sees nothing else."""
    if len(text) > MAX_TEXT:
        rule = f"an expression of {len(text)} characters; at most {MAX_TEXT} are allowed"
        raise ExpressionError(rule, 0, 1, "E405", _IN_PARTS)
    at = 0
    stack: list[str] = []
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            _refuse_character(text, at)
        if found["tail"]:
            rule = f"`{cut(found.group())}` is neither a number nor a name"
            raise ExpressionError(rule, at, found.end(), "E122")
        sign = found["sign"]
        if sign in _OPEN:
            stack.append(_OPEN[sign])
        elif sign in (")", "]") and (not stack or stack.pop() != sign):
            raise ExpressionError(f"`{sign}` closes nothing", at, at + 1, "E122", "remove it")
        if len(stack) > MAX_NESTING:
            rule = f"brackets nested more than {MAX_NESTING} deep"
            raise ExpressionError(rule, at, at + 1, "E405", _IN_PARTS)
        at = found.end()
    if stack:
        rule = f"`{stack[-1]}` is missing"
        raise ExpressionError(rule, len(text) - 1, len(text), "E122", "close the bracket")


def _refuse_character(text: str, at: int) -> NoReturn:
    two, one = text[at : at + 2], text[at]
    if one == "=" and text[:at].endswith(("!=", "==")):  # `!==`, as JavaScript has it
        start, sign = at - 2, text[at - 2 : at]
        rule = f"`{sign}=` has no meaning in an expression"
        raise ExpressionError(rule, start, at + 1, "E123", f"write `{sign}`")
    if one in "'\"":
        if "\\" in text[at:]:
            raise ExpressionError("a text in an expression has no backslash", at, at + 1, "E122")
        raise ExpressionError(f"the quote {one} is not closed", at, at + 1, "E122", "close it")
    shown = two if two in _SPELT or two in (":=", "<<", ">>", "->") else one
    rule = f"`{shown}` has no meaning in an expression"
    raise ExpressionError(rule, at, at + len(shown), "E123", _spelling(shown))


def _spelling(shown: str) -> str:
    """How the language spells what Python, C or Go spells so."""
    return f"write `{_SPELT[shown]}`" if shown in _SPELT else ""


# ---------------------------------------------------------------- the tree


class _Constants(ast.NodeTransformer):
    """`true` and `false` as constants."""

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if node.id in ("true", "false"):
            return ast.copy_location(ast.Constant(node.id == "true"), node)
        return node


class _Compiler:
    """Tree → closures over an environment; collects the names and fields that are read."""

    def __init__(self, lists: bool) -> None:
        self.names: set[str] = set()
        self.fields: set[tuple[str, str]] = set()
        self.bound: frozenset[str] = frozenset()  # by the comprehensions around
        self.lists = lists  # whether there is work to count

    def span(self, node: ast.expr) -> tuple[int, int]:
        """Its characters, the bracket put in front taken off; of later lines the first one."""
        if node.lineno != 1 or node.end_lineno != 1:
            return 0, 1
        return node.col_offset - 1, (node.end_col_offset or node.col_offset + 1) - 1

    def refuse(self, node: ast.expr, message: str, help: str = "", code: str = "E123") -> NoReturn:
        raise ExpressionError(message, *self.span(node), code, help)

    def applied(self, node: ast.expr, compute: Callable[..., Any], *parts: Run) -> Run:
        """`compute` of what the parts are worth; where it fails, the node is to blame."""
        start, stop = self.span(node)
        counts = bool(self.bound)  # what stands in a comprehension is done once for each entry
        through = self.lists and not counts and _goes_through(node)

        def run(env: Env) -> Any:
            values = [part(env) for part in parts]
            if through:
                _work(env).through(*values)
            try:
                found = compute(*values)
                if through:
                    _work(env).through(found)
                if counts:
                    _work(env).on(*values, found)
                return found
            except FailedError as bad:
                raise ExpressionError(bad.message, start, stop, bad.code, bad.help) from None

        return run

    def node(self, node: ast.expr, depth: int) -> Run:
        if depth > MAX_NESTING:
            message = f"an expression nested more than {MAX_NESTING} deep"
            self.refuse(node, message, _IN_PARTS, "E405")
        make = _MAKERS.get(type(node))
        if make is None:
            what, help = _WHAT.get(type(node), ("this", ""))
            self.refuse(node, f"{what} has no meaning in an expression", help)
        run: Run = make(self, node, depth + 1)
        return run

    def condition(self, node: ast.expr, depth: int) -> Run:
        return self.applied(node, truth, self.node(node, depth))

    def name(self, node: ast.Name, depth: int) -> Run:
        key = node.id
        if key in ("true", "false"):
            return lambda env: key == "true"
        if key in _SPELT or key == "None" or key.startswith("__"):
            self.refuse(node, f"`{key}` has no meaning in an expression", _spelling(key))
        if key not in self.bound:
            self.names.add(key)
        start, stop = self.span(node)

        def run(env: Env) -> Any:
            try:
                return env[key]
            except KeyError:
                known = [name for name in env if name != WORK]
                message, help = f"`{cut(key)}` is not known here", did_you_mean(key, known)
                raise ExpressionError(message, start, stop, "E362", help) from None

        return run

    def constant(self, node: ast.Constant, depth: int) -> Run:
        value = node.value
        if isinstance(value, bool) or value is None or value is Ellipsis:
            shown = str(value)
            self.refuse(node, f"`{shown}` has no meaning in an expression", _spelling(shown))
        if isinstance(value, int) and value.bit_length() > MAX_BITS:
            self.refuse(node, "the number is too large", code="E405")
        if isinstance(value, float) and not math.isfinite(value):
            self.refuse(node, "the number is out of range", code="E405")
        if not isinstance(value, (int, float, str)):
            self.refuse(node, "this constant has no meaning in an expression")
        return lambda env: value

    def attribute(self, node: ast.Attribute, depth: int) -> Run:
        inner = node.value
        if isinstance(inner, ast.Subscript) and isinstance(inner.value, ast.Name):
            return self.entry(node, inner, depth)
        if not isinstance(node.value, ast.Name) or node.value.id in ("true", "false"):
            self.refuse(
                node,
                f"`.{cut(node.attr)}`: only `prev`, `loop`, inputs and ids of items have fields",
            )
        owner, key = node.value.id, node.attr
        if owner in self.bound:
            self.refuse(node, f"`{cut(owner)}` is an entry of a list, which has no `.{cut(key)}`")
        known = LOOP if owner == "loop" else RECORD
        if key not in known and owner != "given":
            self.refuse(node, f"`{cut(owner)}` has no field `{cut(key)}`", did_you_mean(key, known))
        record = self.name(node.value, depth)
        self.fields.add((owner, key))
        return self.applied(node, lambda value: field_of(owner, value, key), record)

    def entry(self, node: ast.Attribute, owner: ast.Subscript, depth: int) -> Run:
        """`xs[0].channels`, of an input that is a list."""
        name, key = ast.unparse(owner), node.attr
        if key not in RECORD:
            self.refuse(node, f"`{cut(name)}` has no field `{cut(key)}`", did_you_mean(key, RECORD))
        record = self.subscript(owner, depth)
        return self.applied(node, lambda value: field_of(name, value, key), record)

    def binary(self, node: ast.BinOp, depth: int) -> Run:
        compute = BINARY.get(type(node.op))
        if compute is None:
            sign = _SIGNS.get(type(node.op), "?")
            message = f"`{sign}` has no meaning in an expression"
            self.refuse(node, message, "the operators are + - * / // % **")
        left, right = self.node(node.left, depth), self.node(node.right, depth)
        return self.applied(node, compute, left, right)

    def unary(self, node: ast.UnaryOp, depth: int) -> Run:
        compute = UNARY.get(type(node.op))
        if compute is None:
            self.refuse(node, "`~` has no meaning in an expression")
        return self.applied(node, compute, self.node(node.operand, depth))

    def boolean(self, node: ast.BoolOp, depth: int) -> Run:
        tests = [self.condition(value, depth) for value in node.values]
        settled = any if isinstance(node.op, ast.Or) else all
        return lambda env: settled(test(env) for test in tests)

    def choice(self, node: ast.IfExp, depth: int) -> Run:
        test = self.condition(node.test, depth)
        then, other = self.node(node.body, depth), self.node(node.orelse, depth)
        return lambda env: then(env) if test(env) else other(env)

    def compare(self, node: ast.Compare, depth: int) -> Run:
        tests = [COMPARE[type(op)] for op in node.ops if type(op) in COMPARE]
        if len(tests) < len(node.ops):
            message = "comparisons are == != < <= > >="
            self.refuse(node, message, "write `==` for `is`; `in` has no meaning")
        values = [self.node(value, depth) for value in (node.left, *node.comparators)]
        pairs = [
            self.applied(node, test, *pair)
            for test, pair in zip(tests, pairwise(values), strict=True)
        ]
        return lambda env: all(pair(env) for pair in pairs)

    def listing(self, node: ast.List, depth: int) -> Run:
        runs = [self.node(entry, depth) for entry in node.elts]
        return self.applied(node, lambda *found: bounded([*found]), *runs)

    def comprehension(self, node: ast.ListComp, depth: int) -> Run:
        """`[2 * c for c in widths if c > 8]`; each `for` sees the names of those before it."""
        around = self.bound
        loops = [self.loop(part, depth) for part in node.generators]
        entry = self.node(node.elt, depth)
        self.bound = around

        def run(env: Env) -> Any:
            found = [env]
            for name, values, test in loops:
                found = [
                    inner
                    for outer in found
                    for value in values(outer)
                    if test(inner := {**outer, name: value})
                ]
            return [entry(inner) for inner in found]

        return self.applied(node, bounded, run)

    def loop(self, part: ast.comprehension, depth: int) -> tuple[str, Run, Run]:
        """The name that is bound, what it goes through, and whether an entry is taken."""
        if not isinstance(part.target, ast.Name):
            self.refuse(part.target, "`for` takes one name", "write `for x in xs`")
        name = part.target.id
        if name in FUNCTIONS or name in _TAKEN or name.startswith("_"):
            self.refuse(part.target, f"`{cut(name)}` cannot be the name of an entry")
        shown = cut(ast.unparse(part.iter))
        values = self.applied(part.iter, partial(entries_of, shown), self.node(part.iter, depth))
        self.bound = self.bound | {name}
        tests = [self.condition(test, depth) for test in part.ifs]
        counted = self.applied(part.target, lambda: True)
        return name, values, lambda env: counted(env) and all(test(env) for test in tests)

    def subscript(self, node: ast.Subscript, depth: int) -> Run:
        owner = self.node(node.value, depth)
        name = cut(ast.unparse(node.value))
        if not isinstance(node.slice, ast.Slice):
            index = self.node(node.slice, depth)
            return self.applied(node, partial(index_of, name), owner, index)
        bounds = (node.slice.lower, node.slice.upper, node.slice.step)
        parts = [self.node(bound, depth) if bound else lambda env: None for bound in bounds]
        return self.applied(node, partial(slice_of, name), owner, *parts)

    def call(self, node: ast.Call, depth: int) -> Run:
        if not isinstance(node.func, ast.Name):
            help = "functions: " + ", ".join(FUNCTIONS)
            self.refuse(node, "only functions by name can be called", help)
        key = node.func.id
        if key not in CALLS:
            help = _OF_TENSORS if key in _OPS else did_you_mean(key, FUNCTIONS)
            self.refuse(node.func, f"there is no function `{cut(key)}`", help)
        args = [self.node(arg, depth) for arg in node.args]
        for keyword in node.keywords:
            if key != "make_divisible" or keyword.arg != "divisor" or len(args) != 1:
                help = "" if keyword.arg else "write the arguments out"
                self.refuse(node, f"`{key}` takes no argument by that name", help)
            args.append(self.node(keyword.value, depth))
        least, most = ARITY.get(key, (1, 1))
        if not least <= len(args) <= most:
            self.refuse(node, f"`{key}` takes {_how_many(least, most)}, not {len(args)}")
        return self.applied(node, partial(_called, key), *args)


def _work(env: Env) -> Work:
    work = env[WORK]
    assert isinstance(work, Work)
    return work


def _goes_through(node: ast.expr) -> bool:
    """Whether an operation looks at each entry of a list; `len` and an index do not."""
    if isinstance(node, ast.Subscript):
        return isinstance(node.slice, ast.Slice)
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and node.func.id in _THROUGH
    return isinstance(node, (ast.BinOp, ast.Compare, ast.List))


def _called(key: str, *values: Any) -> Any:
    try:
        value = CALLS[key](*values)
        return fits(value) if is_number(value) else value
    except FailedError as bad:
        raise FailedError(f"`{key}`: {bad.message}", bad.code, bad.help) from None


def _how_many(least: int, most: int) -> str:
    if least == most:
        return f"{least} argument" if least == 1 else f"{least} arguments"
    return f"{least} to {most} arguments" if most < 99 else f"at least {least} arguments"


_MAKERS: dict[type[ast.expr], Any] = {
    ast.Name: _Compiler.name, ast.Constant: _Compiler.constant, ast.Attribute: _Compiler.attribute,
    ast.BinOp: _Compiler.binary, ast.UnaryOp: _Compiler.unary, ast.BoolOp: _Compiler.boolean,
    ast.IfExp: _Compiler.choice, ast.Compare: _Compiler.compare, ast.List: _Compiler.listing,
    ast.Subscript: _Compiler.subscript, ast.Call: _Compiler.call,
    ast.ListComp: _Compiler.comprehension,
}  # fmt: skip
_WHAT: dict[type[ast.expr], tuple[str, str]] = {
    ast.Lambda: ("a function", ""),
    ast.GeneratorExp: ("a comprehension without brackets", "write `[… for … in …]`"),
    ast.SetComp: ("a set", "write `[… for … in …]`"),
    ast.Tuple: ("a tuple", "write a list: `[a, b]`"),
    ast.JoinedStr: ("this", "text is never spliced"),
    ast.Starred: ("`*`", ""),
    ast.Slice: ("a slice", ""),
    ast.Dict: ("a mapping", ""),
    ast.NamedExpr: ("`:=`", ""),
}
_SIGNS: dict[type[ast.operator], str] = {
    ast.MatMult: "@",
    ast.LShift: "<<",
    ast.RShift: ">>",
    ast.BitOr: "|",
}
