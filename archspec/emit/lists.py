"""Statements of forward → the same, with lists said as lists.

def forward(self, x: Tensor, xs: Sequence[Tensor]):     of a block with `inputs: [x, xs*]`
    xs0, xs1 = xs                                       where its tensors are taken one by one
    torch.cat([x, xs0, xs1], 1)                         torch.cat([x, *xs], 1)
    torch.cat([self.a[0](x), self.a[1](x), …], 1)       torch.cat([layer(x) for layer in self.a], 1)
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial

from archspec.emit.forward import Assign, Either, Loop, Step, Training, entry
from archspec.emit.syntax import Line, Stmt, change, exchanged, flat, name, names_in, own
from archspec.emit.text import render

Lists = Mapping[str, Sequence[str]]  # inputs that are lists: what their tensors are called

_LEAST = 3  # modules that are called alike, from which on a list is gone through


def joined(text: str) -> str:
    """What an input is called in Python: xs0 of the list's xs.0."""
    return text.replace(".", "")


def lists_of(names: Sequence[str]) -> dict[str, list[str]]:
    """The lists among inputs: xs of xs.0 and xs.1, with the names xs0 and xs1."""
    found: dict[str, list[str]] = {}
    for text in names:
        if "." in text:
            found.setdefault(text.partition(".")[0], []).append(joined(text))
    return found


def arguments(names: Sequence[str]) -> list[str]:
    """What the inputs are called in forward; a single one is `x`."""
    return ["x"] if len(names) == 1 and "." not in names[0] else list(map(joined, names))


def signature(names: Sequence[str]) -> list[str]:
    """The parameters of forward."""
    single = [text for text in names if "." not in text]
    tensors = arguments(single) if len(names) == 1 else single
    typed = [f"{text}: Tensor" for text in tensors if single]
    return typed + [f"{text}: Sequence[Tensor]" for text in lists_of(names)]


def gathered(statements: list[Stmt], lists: Lists) -> list[Stmt]:
    """The statements of forward, which is given these lists."""
    change(statements, partial(exchanged, new=_apart))
    change(statements, partial(exchanged, new=_itself))
    targets = {t for s in flat(statements) if isinstance(s, Line) for t in s.target.split(", ")}
    before: list[Stmt] = []
    for text, parts in lists.items():
        if targets.isdisjoint(parts):
            change(statements, partial(exchanged, new=partial(_whole, text=text, parts=parts)))
        if any(not names_in(own(s)).isdisjoint(parts) for s in flat(statements)):
            before.append(_unpacked(text, parts))
    return [*before, *statements]


def _unpacked(text: str, parts: Sequence[str]) -> Stmt:
    """`xs0, xs1 = xs`."""
    if len(parts) == 1:
        return Line(ast.Subscript(name(text), ast.Constant(0)), parts[0])
    return Line(name(text), ", ".join(parts))


def _itself(node: ast.expr) -> ast.expr | None:
    """`[*ys]` → `ys`."""
    if not isinstance(node, ast.List) or len(node.elts) != 1:
        return None
    only = node.elts[0]
    return only.value if isinstance(only, ast.Starred) else None


def _whole(node: ast.expr, text: str, parts: Sequence[str]) -> ast.expr | None:
    """`[x, xs0, xs1]` → `[x, *xs]`, and `[xs0, xs1]` → `xs`."""
    if not isinstance(node, ast.List):
        return None
    said = [e.id if isinstance(e, ast.Name) else "" for e in node.elts]
    size = len(parts)
    at = next((k for k in range(len(said)) if said[k : k + size] == list(parts)), None)
    if at is None:
        return None
    if size == len(said):
        return name(text)
    return ast.List([*node.elts[:at], ast.Starred(name(text)), *node.elts[at + size :]])


# ---------------------------------------------------------------- modules that are called alike


def mapped(steps: Sequence[Step], count: Counter[int], lengths: Mapping[str, int]) -> list[Step]:
    """All modules of a list, called on the same tensor, whose results stand in one list.

    y = self.a[0](x)
    z = self.a[1](x)              torch.cat([layer(x) for layer in self.a], 1)
    torch.cat([y, z, …], 1)
    """
    done: list[Step] = []
    for step in steps:
        if isinstance(step, (Either, Training, Loop)):
            step.body = mapped(step.body, count, lengths)
        elif isinstance(step, Assign):
            for lists in [n for n in ast.walk(step.value) if isinstance(n, ast.List)]:
                calls = _calls(done, lists, count, lengths)
                if calls is not None:
                    del done[-len(calls) :]
                    each = _each(calls[0])
                    step.value = exchanged(step.value, partial(_instead, old=lists, new=each))
                    step._reads = None
        done.append(step)
    return done


def _calls(
    before: Sequence[Step], node: ast.List, count: Counter[int], lengths: Mapping[str, int]
) -> list[ast.Call] | None:
    """The calls that directly before give what is in a list, one by each module of a list."""
    size = len(node.elts)
    entries = [entry(step) for step in before[-size:]] if size >= _LEAST else []
    if len(entries) < size or entries[0] is None or lengths.get(entries[0][0]) != size:
        return None
    found: list[ast.Call] = []
    for k, (one, part) in enumerate(zip(entries, node.elts, strict=True)):
        if one is None or one[:2] != (entries[0][0], k) or count[one[2].outs[0].id] != 1:
            return None
        assert isinstance(one[2].value, ast.Call)
        if render(part) != render(one[2].outs[0].ref) or one[2].reads != entries[0][2].reads:
            return None
        found.append(one[2].value)
    return found


def _each(first: ast.Call, variable: str = "layer") -> ast.expr:
    """`[layer(x) for layer in self.a]`, of `self.a[0](x)`."""
    assert isinstance(first.func, ast.Subscript)
    rounds = ast.comprehension(name(variable), first.func.value, [], 0)
    return ast.ListComp(ast.Call(name(variable), first.args, []), [rounds])


def _apart(node: ast.expr) -> ast.expr | None:
    """`[layer(layer) for layer in self.a]` → `[each(layer) for each in self.a]`."""
    if not isinstance(node, ast.ListComp) or not isinstance(node.elt, ast.Call):
        return None
    if all("layer" not in names_in(arg) for arg in node.elt.args):
        return None
    called = ast.Call(ast.Subscript(node.generators[0].iter, ast.Constant(0)), node.elt.args, [])
    return _each(called, "each")


def _instead(node: ast.expr, old: ast.expr, new: ast.expr) -> ast.expr | None:
    return new if node is old else None
