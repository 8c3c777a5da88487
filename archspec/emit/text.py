"""Syntax tree → text, laid out as `ruff format` lays it out.

Only the shapes of `ast` that are named here can be written.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable
from textwrap import wrap
from typing import Any

from archspec.emit.syntax import For, If, Line, Return, Stmt

WIDTH = 100
INDENT = "    "

_BINARY: dict[type[ast.operator], tuple[str, int]] = {
    ast.Add: ("+", 12), ast.Sub: ("-", 12), ast.Mult: ("*", 13), ast.Div: ("/", 13),
    ast.BitOr: ("|", 8), ast.FloorDiv: ("//", 13), ast.Mod: ("%", 13), ast.MatMult: ("@", 13),
    ast.Pow: ("**", 15),
}  # fmt: skip
_COMPARE: dict[type[ast.cmpop], str] = {
    ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=",
    ast.Is: "is", ast.IsNot: "is not", ast.In: "in", ast.NotIn: "not in",
}  # fmt: skip
_ALONE = re.compile(r" *\[*-?[0-9][0-9.e+-]*\]*,")
_FEW = 12  # numbers, each on a line of its own, are too many
_SKIP = "  # fmt: skip"  # ruff would write a number a line
_IF, _OR, _AND, _NOT, _CMP, _UNARY, _ATOM = 1, 3, 4, 5, 6, 14, 20


# ---------------------------------------------------------------- one line


def render(node: ast.expr) -> str:
    """The expression on one line."""
    return _RENDER[type(node)](node)[0]


def _inner(node: ast.expr, level: int) -> str:
    text, own = _RENDER[type(node)](node)
    return text if own >= level else f"({text})"


def _constant(node: ast.Constant) -> tuple[str, int]:
    if isinstance(node.value, str):
        text = repr(node.value)
        if text[0] == "'" and '"' not in text:
            text = f'"{text[1:-1]}"'
        return text, _ATOM
    return "..." if node.value is ... else repr(node.value), _ATOM


def _attribute(node: ast.Attribute) -> tuple[str, int]:
    return f"{_inner(node.value, _ATOM)}.{node.attr}", _ATOM


def _call(node: ast.Call) -> tuple[str, int]:
    if len(node.args) == 1 and not node.keywords and isinstance(node.args[0], ast.GeneratorExp):
        return f"{_inner(node.func, _ATOM)}{render(node.args[0])}", _ATOM
    return f"{_inner(node.func, _ATOM)}({', '.join(_arguments(node))})", _ATOM


def _arguments(node: ast.Call) -> list[str]:
    parts = [_inner(a, _IF) for a in node.args]
    return parts + [f"{k.arg}={_inner(k.value, _IF)}" for k in node.keywords]


def _binop(node: ast.BinOp) -> tuple[str, int]:
    sign, level = _BINARY[type(node.op)]
    if isinstance(node.op, ast.Pow):
        left, right = _inner(node.left, level + 1), _inner(node.right, _UNARY)
        simple = all(map(_is_simple, (node.left, node.right)))
        return (f"{left}**{right}" if simple else f"{left} ** {right}"), level
    return f"{_inner(node.left, level)} {sign} {_inner(node.right, level + 1)}", level


def _is_simple(node: ast.expr) -> bool:
    """Around such operands `**` stands without spaces."""
    if isinstance(node, ast.UnaryOp):
        return isinstance(node.op, ast.USub) and _is_simple(node.operand)
    return isinstance(node, (ast.Name, ast.Attribute)) or (
        isinstance(node, ast.Constant) and isinstance(node.value, (int, float))
    )


def _boolop(node: ast.BoolOp) -> tuple[str, int]:
    word, level = ("and", _AND) if isinstance(node.op, ast.And) else ("or", _OR)
    return f" {word} ".join(_inner(v, _AND + 1) for v in node.values), level


def _unary(node: ast.UnaryOp) -> tuple[str, int]:
    if isinstance(node.op, ast.Not):
        return f"not {_inner(node.operand, _NOT)}", _NOT
    level = _ATOM if isinstance(node.operand, ast.BinOp) else _UNARY
    return f"-{_inner(node.operand, level)}", _UNARY


def _compare(node: ast.Compare) -> tuple[str, int]:
    text = _inner(node.left, _CMP + 1)
    for op, right in zip(node.ops, node.comparators, strict=True):
        text += f" {_COMPARE[type(op)]} {_inner(right, _CMP + 1)}"
    return text, _CMP


def _ifexp(node: ast.IfExp) -> tuple[str, int]:
    parts = _inner(node.body, _IF + 1), _inner(node.test, _IF + 1), _inner(node.orelse, _IF)
    return "{} if {} else {}".format(*parts), _IF


def _tuple(node: ast.Tuple) -> tuple[str, int]:
    items = [_inner(e, _IF) for e in node.elts]
    return (f"({items[0]},)" if len(items) == 1 else f"({', '.join(items)})"), _ATOM


def _list(node: ast.List) -> tuple[str, int]:
    return f"[{', '.join(_inner(e, _IF) for e in node.elts)}]", _ATOM


def _dict(node: ast.Dict) -> tuple[str, int]:
    pairs = [
        f"{_inner(k, _IF)}: {_inner(v, _IF)}"
        for k, v in zip(node.keys, node.values, strict=True)
        if k is not None
    ]
    return "{" + ", ".join(pairs) + "}", _ATOM


def _subscript(node: ast.Subscript) -> tuple[str, int]:
    index = node.slice
    if isinstance(index, ast.Tuple):
        text = ", ".join(_inner(e, _IF) for e in index.elts)
        text += "," if len(index.elts) == 1 else ""
    else:
        text = _inner(index, 0)
    return f"{_inner(node.value, _ATOM)}[{text}]", _ATOM


def _slice(node: ast.Slice) -> tuple[str, int]:
    """As ruff puts it: spaces around the colons where a part is more than a name or a number."""
    ends = (node.lower, node.upper, node.step)
    space = "" if all(p is None or _bare(p) for p in ends) else " "
    text, *parts = ["" if p is None else _inner(p, _IF) for p in ends[: 3 if node.step else 2]]
    for part in parts:
        before = space if text[-1:] not in ("", ":") else ""
        text += f"{before}:{space if part else ''}{part}"
    return text, _ATOM


def _bare(node: ast.expr) -> bool:
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        node = node.operand
    return isinstance(node, (ast.Name, ast.Constant))


def _starred(node: ast.Starred) -> tuple[str, int]:
    return f"*{_inner(node.value, _IF)}", _ATOM


def _generator(node: ast.GeneratorExp) -> tuple[str, int]:
    (loop,) = node.generators
    return (
        f"({_inner(node.elt, _IF)} for {_target(loop.target)} in {_inner(loop.iter, _IF)})",
        _ATOM,
    )


def _listing(node: ast.ListComp) -> tuple[str, int]:
    text, level = _generator(ast.GeneratorExp(node.elt, node.generators))
    return f"[{text[1:-1]}]", level


def _target(node: ast.expr) -> str:
    text = render(node)
    return text[1:-1] if isinstance(node, ast.Tuple) else text


def _joined(node: ast.JoinedStr) -> tuple[str, int]:
    text = "".join(
        str(v.value) if isinstance(v, ast.Constant) else "{" + render(v.value) + "}"
        for v in node.values
        if isinstance(v, (ast.Constant, ast.FormattedValue))
    )
    return f'f"{text}"', _ATOM


_RENDER: dict[type[ast.AST], Callable[[Any], tuple[str, int]]] = {
    ast.Name: lambda n: (n.id, _ATOM),
    ast.Constant: _constant, ast.Attribute: _attribute, ast.Call: _call, ast.BinOp: _binop,
    ast.BoolOp: _boolop, ast.UnaryOp: _unary, ast.Compare: _compare, ast.IfExp: _ifexp,
    ast.Dict: _dict, ast.Tuple: _tuple, ast.List: _list, ast.Subscript: _subscript,
    ast.Slice: _slice, ast.Starred: _starred, ast.GeneratorExp: _generator, ast.JoinedStr: _joined,
    ast.ListComp: _listing,
}  # fmt: skip


# ---------------------------------------------------------------- several lines


def layout(node: ast.expr, prefix: str, suffix: str, depth: int) -> list[str]:
    """`prefix` + expression + `suffix` at indentation `depth`, broken where it is too long."""
    pad = INDENT * depth
    line = f"{pad}{prefix}{render(node)}{suffix}"
    if len(line) <= WIDTH:
        return [line]
    if isinstance(node, ast.Starred):
        return layout(node.value, prefix + "*", suffix, depth)
    if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Call):
        return layout(node.value, prefix, render(node)[len(render(node.value)) :] + suffix, depth)
    brackets = _brackets(node)
    statement = prefix.endswith("= ") or prefix.startswith("return ")
    if statement and _is_chain(node) and len(f"{pad}{INDENT}{render(node)}") <= WIDTH:
        return _parenthesised(node, prefix, suffix, depth)
    if brackets is not None:
        return _split(*brackets, prefix, suffix, depth)
    if statement:
        opened = _last_opened(node, f"{pad}{prefix}")
        if opened is not None:
            return _split(*opened, prefix, suffix, depth)
        return _parenthesised(node, prefix, suffix, depth)
    return _operands(node, prefix, suffix, depth)


def _is_chain(node: ast.expr) -> bool:
    """Whether methods of results are called one after another: `f(x).flip(1).flatten(2)`."""
    links = 0
    while isinstance(node, (ast.Call, ast.Attribute)):
        links += isinstance(node, ast.Attribute) and not _is_simple(node.value)
        node = node.func if isinstance(node, ast.Call) else node.value
    return links > 1


def _last_opened(node: ast.expr, begun: str) -> tuple[str, list[tuple[str, ast.expr]], str] | None:
    """`a * f(` of `a * f(x)`, if that fits: of a single operator the call behind it is broken."""
    if not isinstance(node, ast.BinOp) or len(_same_level(node)) > 2:
        return None
    last = node.right
    if isinstance(last, ast.BinOp) and render(node).endswith(render(last)):  # it has no brackets
        last = last.right
    brackets = _brackets(last)
    if brackets is None or not isinstance(last, ast.Call):
        return None
    opening, inside, closing = brackets
    opening = render(node).removesuffix(render(last)) + opening
    return (opening, inside, closing) if len(begun + opening) <= WIDTH else None


def _brackets(node: ast.expr) -> tuple[str, list[tuple[str, ast.expr]], str] | None:
    """What opens, is inside (with its keyword) and closes a node that ends in a bracket."""
    if isinstance(node, ast.Call):
        if not node.args and not node.keywords:
            return None
        inside = [("", a) for a in node.args] + [(f"{k.arg}=", k.value) for k in node.keywords]
        return f"{_inner(node.func, _ATOM)}(", inside, ")"
    if isinstance(node, (ast.Tuple, ast.List)) and node.elts:
        opening, closing = ("(", ")") if isinstance(node, ast.Tuple) else ("[", "]")
        return opening, [("", e) for e in node.elts], closing
    if isinstance(node, ast.ListComp):
        return "[", [("", ast.GeneratorExp(node.elt, node.generators))], "]"
    if isinstance(node, ast.Dict):
        pairs = zip(node.keys, node.values, strict=True)
        return "{", [(f"{render(k)}: ", v) for k, v in pairs if k is not None], "}"
    return None


def _split(
    opening: str,
    inside: list[tuple[str, ast.expr]],
    closing: str,
    prefix: str,
    suffix: str,
    depth: int,
) -> list[str]:
    pad = INDENT * depth
    generator = len(inside) == 1 and isinstance(inside[0][1], ast.GeneratorExp)
    one = ", ".join(f"{k}{_inner(v, _IF)}" for k, v in inside)
    if generator:  # it brings the brackets of the call
        one = one[1:-1]
    head, tail = f"{pad}{prefix}{opening}", f"{pad}{closing}{suffix}"
    fits = len(pad) + len(INDENT) + len(one) <= WIDTH
    # a literal that is broken has a line for each entry
    if fits and (generator or opening not in ("(", "[", "{")):
        return [head, f"{pad}{INDENT}{one}", tail]
    if generator:
        return [head, *_operands(inside[0][1], "", "", depth)[1:-1], tail]
    lines = [head]
    for keyword, value in inside:
        lines += layout(value, keyword, ",", depth + 1)
    return [*lines, tail]


def _parenthesised(node: ast.expr, prefix: str, suffix: str, depth: int) -> list[str]:
    pad = INDENT * depth
    inner = f"{pad}{INDENT}{render(node)}"
    body = [inner] if len(inner) <= WIDTH else _operands(node, "", "", depth + 1)
    return [f"{pad}{prefix}(", *body, f"{pad}){suffix}"]


def _operands(node: ast.expr, prefix: str, suffix: str, depth: int) -> list[str]:
    """The operands of the loosest operator, one a line."""
    pad = INDENT * depth
    if isinstance(node, ast.IfExp):
        pieces = [("", node.body), ("if ", node.test), ("else ", node.orelse)]
    elif isinstance(node, ast.BoolOp):
        word = "and " if isinstance(node.op, ast.And) else "or "
        pieces = [("" if i == 0 else word, v) for i, v in enumerate(node.values)]
    elif isinstance(node, ast.BinOp):
        pieces = _same_level(node)
    elif isinstance(node, ast.GeneratorExp):
        (loop,) = node.generators
        lines = layout(node.elt, "", "", depth + 1)
        lines += layout(loop.iter, f"for {_target(loop.target)} in ", "", depth + 1)
        return [f"{pad}{prefix}(", *lines, f"{pad}){suffix}"]
    else:
        return [f"{pad}{prefix}{render(node)}{suffix}"]
    lines = []
    for i, (word, piece) in enumerate(pieces):
        end = suffix if i == len(pieces) - 1 else ""
        begin = (prefix if i == 0 else "") + word
        text, own = _RENDER[type(piece)](piece)
        # what stands on the right of its own level, `a * (b * c)`, keeps its brackets
        if isinstance(node, ast.BinOp) and own < _BINARY[type(node.op)][1] + (i > 0):
            one = f"{pad}{begin}({text}){end}"
            broken = [f"{pad}{begin}(", *layout(piece, "", "", depth + 1), f"{pad}){end}"]
            lines += [one] if len(one) <= WIDTH else broken
            continue
        lines += layout(piece, begin, end, depth)
    return lines


def _same_level(node: ast.BinOp) -> list[tuple[str, ast.expr]]:
    sign, level = _BINARY[type(node.op)]
    left = node.left
    if isinstance(left, ast.BinOp) and _BINARY[type(left.op)][1] == level:
        return [*_same_level(left), (f"{sign} ", node.right)]
    return [("", left), (f"{sign} ", node.right)]


# ---------------------------------------------------------------- many numbers


def _laid(node: ast.expr, prefix: str, suffix: str, depth: int) -> list[str]:
    """The lines of a statement: as `layout` has them, unless they are one number each.

    self.weights = nn.Buffer(torch.tensor([
        0.0, 0.01, 0.02, …
    ]))  # fmt: skip
    """
    lines = layout(node, prefix, suffix, depth)
    if sum(map(bool, map(_ALONE.fullmatch, lines))) < _FEW:
        return lines
    lists = [part for part in ast.walk(node) if isinstance(part, ast.List) and _numbers(part)]
    longest = max(lists, key=lambda part: len(render(part)), default=None)
    if longest is None:
        return lines
    before, _, after = render(node).partition(render(longest))
    pad = INDENT * depth
    first, last = f"{pad}{prefix}{before}[", f"{pad}]{after}{suffix}{_SKIP}"
    if max(len(first), len(last)) > WIDTH:
        return lines
    return [first, *_rows(longest, depth + 1), last]


def _numbers(node: ast.expr) -> bool:
    """Whether there is nothing but numbers in a list, at any depth."""
    if isinstance(node, ast.List):
        return all(map(_numbers, node.elts))
    if isinstance(node, ast.UnaryOp):
        node = node.operand
    return isinstance(node, ast.Constant) and isinstance(node.value, (int, float))


def _rows(node: ast.List, depth: int) -> list[str]:
    """What stands between the brackets of a list of numbers, or of lists of them."""
    pad, lines = INDENT * depth, []
    entries = [(entry, f"{render(entry)},") for entry in node.elts]
    if not any(" " in text for _, text in entries):  # each is one number
        text = " ".join(text for _, text in entries)
        return wrap(text, WIDTH, initial_indent=pad, subsequent_indent=pad)
    for entry, text in entries:
        if isinstance(entry, ast.List) and len(pad + text) > WIDTH:
            lines += [f"{pad}[", *_rows(entry, depth + 1), f"{pad}],"]
        else:
            lines.append(pad + text)
    return lines


# ---------------------------------------------------------------- statements


def _opened(line: str) -> str:
    """A line as far as its value's first bracket, if it is too long otherwise."""
    return line if len(line) <= WIDTH else line[: line.find("(", line.find("=")) + 1]


def _wide(s: Line, depth: int) -> list[str]:
    """`a, b, … = (` and the value; of too many variables one a line."""
    pad = INDENT * depth
    if len(f"{pad}{s.target} = (") <= WIDTH:
        return [f"{pad}{s.target} = (", *layout(s.value, "", "", depth + 1), f"{pad})"]
    each = re.split(r", (?![^(]*\))", s.target)
    lines = [f"{pad}{INDENT}{target}," for target in each]
    return [f"{pad}(", *lines, *layout(s.value, ") = ", "", depth)]


def write(statements: Iterable[Stmt], depth: int) -> list[str]:
    """The lines of some statements."""
    lines: list[str] = []
    pad = INDENT * depth
    for s in statements:
        if isinstance(s, Line):
            note = f": {s.annotation}" if s.annotation else ""
            prefix = f"{s.target}{note} {s.op} " if s.target else ""
            wide = ", " in s.target and len(_opened(f"{pad}{prefix}{render(s.value)}")) > WIDTH
            lines += _wide(s, depth) if wide else _laid(s.value, prefix, "", depth)
        elif isinstance(s, If):
            lines += [*layout(s.test, "if ", ":", depth), *write(s.body, depth + 1)]
            if len(s.orelse) == 1 and isinstance(s.orelse[0], If):
                first, *rest = write(s.orelse, depth)
                lines += [f"{pad}el{first.lstrip()}", *rest]
            elif s.orelse:
                lines += [f"{pad}else:", *write(s.orelse, depth + 1)]
        elif isinstance(s, For):
            lines += layout(s.iter, f"for {s.target} in ", ":", depth)
            lines += write(s.body, depth + 1)
        elif isinstance(s, Return):
            bare = f"{pad}return {render(s.value)[1:-1]}"
            if isinstance(s.value, ast.Tuple) and len(s.value.elts) > 1 and len(bare) <= WIDTH:
                lines.append(bare)
            else:
                lines += layout(s.value, "return ", "", depth)
    return lines
