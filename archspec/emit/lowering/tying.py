"""`tie` of a spec → lines at the end of a constructor, when all weights have their first values.

    {id: head, linear: …, tie: wte}      self.head.weight = self.wte.weight

A class ties what its own body says is tied: what a block says, the block's class does.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence

from archspec.emit.lowering.flow import PlainError
from archspec.emit.syntax import Line, Stmt, call, name
from archspec.emit.text import render
from archspec.expand.tree import Body, Instance, Path
from archspec.layers.base import TIED


def ties(instances: Sequence[Instance]) -> Mapping[str, Path]:
    """By the path of each op of a class that is tied, the path of the weight.

    Raises PlainError where the instances differ.
    """
    found = [dict(_ties(i.body)) for i in instances]
    different = frozenset(k for k, other in enumerate(found) if other != found[0])
    if different:
        raise PlainError("the instances tie different weights", different)
    return found[0]


def _ties(body: Body, path: str = "") -> Iterator[tuple[str, Path]]:
    for copy in body.copies():
        if copy.shared is not None:
            continue
        at = ".".join(filter(None, (path, *copy.segments)))
        if copy.tied is not None:
            yield at, copy.tied
        for part in copy.parts():
            yield from _ties(part, ".".join(filter(None, (at, part.segment))))


def tying(found: Mapping[str, Path]) -> list[Stmt]:
    """The lines."""
    modules = {path: render(_module(path)) for path in found}
    return [Line(_weight(weight), f"{modules[path]}.{TIED}") for path, weight in found.items()]


def _module(path: str) -> ast.expr:
    """`self.head`, `self.get_submodule("tower.head")`."""
    if path.isidentifier():
        return name(f"self.{path}")
    return call("self.get_submodule", ast.Constant(path))


def _weight(path: Path) -> ast.expr:
    """`self.wte.weight`, `self.table`, `self.get_parameter("tower.wte.weight")`."""
    if len(path) == 1 or (len(path) == 2 and path[0].isidentifier() and path[1] == TIED):
        return name(".".join(("self", *path)))
    return call("self.get_parameter", ast.Constant(".".join(path)))
