"""`tie` of a spec → lines at the end of a constructor, when all weights have their first values.

    {id: head, linear: …, tie: wte}      self.head.weight = self.wte.weight

A class ties what its own body says is tied: what a block says, the block's class does.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence

from archspec.emit.lowering.flow import PlainError
from archspec.emit.lowering.scope import Unit
from archspec.emit.syntax import Line, Stmt, call, name
from archspec.emit.text import render, write
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


def tying(found: Mapping[str, Path], unit: Unit) -> list[Stmt]:
    """The lines."""
    lines: list[Stmt] = []
    for path, weight in found.items():
        module = name(f"self.{path}")
        if not _attributes(path.split("."), unit):
            module = call("self.get_submodule", ast.Constant(path))
        lines.append(Line(_weight(weight, unit), f"{render(module)}.{TIED}"))
    return lines


def _weight(path: Path, unit: Unit) -> ast.expr:
    """`self.wte.weight`, `self.table`, `self.get_parameter("stage.0.weight")`."""
    if _attributes(path[:-1], unit):
        return name(".".join(("self", *path)))
    return call("self.get_parameter", ast.Constant(".".join(path)))


def _attributes(path: Sequence[str], unit: Unit) -> bool:
    """Whether modules are attributes all the way, of classes that are known by name."""
    lines = write(unit.init, 2)
    for segment in path:
        pattern = re.compile(rf"\s*self\.{segment} = ([\w.]+)\((?!.* if ).*")
        made = next(filter(None, map(pattern.fullmatch, lines)), None)
        if made is None:
            return False
        lines = next((info.lines for info in unit.whole.order if info.name == made[1]), [])
    return True
