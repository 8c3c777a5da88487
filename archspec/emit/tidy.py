"""Statements → the same, as a person would have put them."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence

from archspec.emit.syntax import For, If, Line, Stmt, bodies, flat, names_in
from archspec.emit.text import render

_ROUNDS = 60  # the longest text of what a comprehension goes through


def stmt_names(s: Stmt, *, own: bool = True) -> set[str]:
    """The names a statement reads; not `own`: for anything but a variable that it sets."""
    if isinstance(s, Line):
        variable = s.target.isidentifier() and not own
        target = {s.target.split(".")[0]} if "." in s.target or s.op != "=" else set()
        return names_in(s.value) - {s.target} if variable else names_in(s.value) | target
    inside = {n for body in bodies(s) for x in body for n in stmt_names(x, own=own)}
    if isinstance(s, For):
        return names_in(s.iter) | inside - set(re.findall(r"\w+", s.target))
    return names_in(s.test) | inside if isinstance(s, If) else set()


def assigned(body: Sequence[Stmt]) -> set[str]:
    return {s.target for s in flat(body) if isinstance(s, Line)}


def tidy(statements: list[Stmt]) -> None:
    """Joins neighbouring appends, drops variables that nothing reads."""
    statements[:] = join_ifs(statements)
    _join_appends(statements)
    _comprehend(statements)
    while any(map(_droppable, flat(statements))):
        read = {n for s in statements for n in stmt_names(s, own=False)}
        if not _drop(statements, read):
            return


def join_ifs(statements: list[Stmt]) -> list[Stmt]:
    """Neighbours under the same test become one `if`, under opposite tests an `if … else`."""
    done: list[Stmt] = []
    for s in statements:
        joined = _joined(done[-1], s) if done else None
        if joined is None:
            done.append(s)
        else:
            done[-1] = joined
    return done


def _joined(first: Stmt, second: Stmt) -> If | None:
    if not (isinstance(first, If) and isinstance(second, If)) or first.orelse or second.orelse:
        return None
    if names_in(second.test) & assigned(first.body):  # it may then come out otherwise
        return None
    if render(first.test) == render(second.test):
        return If(first.test, [*first.body, *second.body])
    if _opposite(first.test, second.test):
        return If(second.test, second.body, first.body)
    return If(first.test, first.body, second.body) if _opposite(second.test, first.test) else None


def _opposite(test: ast.expr, other: ast.expr) -> bool:
    """Whether `test` is `not other`."""
    return (
        isinstance(test, ast.UnaryOp)
        and isinstance(test.op, ast.Not)
        and render(test.operand) == render(other)
    )


def _join_appends(statements: list[Stmt]) -> None:
    done: list[Stmt] = []
    for s in statements:
        for body in bodies(s):
            _join_appends(body)
        last = done[-1] if done else None
        ours, theirs = _appended(s), _appended(last)
        if ours is not None and theirs is not None and ours[0] == theirs[0]:
            done[-1] = Line(ast.List([*theirs[1], *ours[1]]), ours[0], op="+=")
        elif (
            ours is not None
            and isinstance(last, Line)
            and last.target == ours[0]
            and last.annotation
            and isinstance(last.value, ast.List)
        ):
            done[-1] = Line(ast.List([*last.value.elts, *ours[1]]), last.target, last.annotation)
        else:
            done.append(s)
    statements[:] = done


def _comprehend(statements: list[Stmt]) -> None:
    """A list that a loop of one append fills, for what follows, is a comprehension there.

    layers: list[nn.Module] = []              self.layers = nn.ModuleList(Layer(d) for d in (1, 2))
    for d in (1, 2):
        layers.append(Layer(d))
    self.layers = nn.ModuleList(layers)
    """
    at = 0
    while at < len(statements) - 2:
        first, loop, last = statements[at : at + 3]
        rounds = _filling(first, loop)
        if rounds is not None and isinstance(first, Line):
            value = _filled_by(last, first.target, rounds)
            read = (first.target in stmt_names(s) for s in statements[at + 3 :])
            if value is not None and not any(read):
                assert isinstance(last, Line)
                statements[at : at + 3] = [Line(value, last.target, last.annotation, last.op)]
        at += 1


def _filling(first: Stmt, loop: Stmt) -> ast.GeneratorExp | None:
    """What is in an empty list after a loop that does nothing but append."""
    if not isinstance(first, Line) or not isinstance(first.value, ast.List) or first.value.elts:
        return None
    if not isinstance(loop, For) or len(loop.body) != 1 or len(render(loop.iter)) > _ROUNDS:
        return None
    added = _appended(loop.body[0])
    if added is None or added[0] != first.target or len(added[1]) != 1:
        return None
    target = ast.parse(f"for {loop.target} in x: pass").body[0]
    assert isinstance(target, ast.For)
    return ast.GeneratorExp(added[1][0], [ast.comprehension(target.target, loop.iter, [], 0)])


def _filled_by(last: Stmt, variable: str, rounds: ast.GeneratorExp) -> ast.expr | None:
    """`nn.ModuleList(layers)`, or `nn.Sequential(*layers)`, with the comprehension in place."""
    if not isinstance(last, Line) or not isinstance(last.value, ast.Call):
        return None
    value = last.value
    texts = [render(a) for a in value.args]
    if texts == [variable] and render(value.func) == "nn.ModuleList":
        return ast.Call(value.func, [rounds], [])
    if texts == [f"*{variable}"]:
        return ast.Call(value.func, [ast.Starred(rounds)], value.keywords)
    return None


def snake(text: str) -> str:
    """`BatchNorm2d` → `batch_norm`."""
    found = "".join(
        f"_{c.lower()}" if c.isupper() and k and not text[k - 1].isupper() else c.lower()
        for k, c in enumerate(text)
    )
    return found.replace("2d", "").replace("1d", "").replace("3d", "")


def _appended(s: Stmt | None) -> tuple[str, list[ast.expr]] | None:
    if not isinstance(s, Line):
        return None
    if s.op == "+=" and isinstance(s.value, ast.List):
        return s.target, s.value.elts
    if (
        not s.target
        and isinstance(s.value, ast.Call)
        and isinstance(s.value.func, ast.Attribute)
        and s.value.func.attr == "append"
    ):
        return render(s.value.func.value), s.value.args
    return None


def _drop(statements: list[Stmt], read: set[str]) -> bool:
    dropped = False
    for s in list(statements):
        for body in bodies(s):
            dropped = _drop(body, read) or dropped
        if isinstance(s, Line) and _droppable(s) and s.target not in read:
            statements.remove(s)
            dropped = True
    return dropped


def _droppable(s: Stmt) -> bool:
    """Whether it does nothing but give a variable its value."""
    return (
        isinstance(s, Line)
        and s.target.isidentifier()
        and not s.annotation
        and not isinstance(s.value, ast.Call)
    )
