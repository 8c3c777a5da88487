"""`tie` of a spec → lines at the end of a constructor, when all weights have their first values.

    {id: head, linear: …, tie: wte}      self.head.weight = self.wte.weight

A class ties what its own body says is tied: what a block says, the block's class does.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from archspec.emit.lowering.flow import PlainError
from archspec.emit.lowering.scope import Unit
from archspec.emit.syntax import Line, Stmt, call, name
from archspec.emit.text import render, write
from archspec.expand.tree import Body, Instance, Path
from archspec.layers.base import TIED

_MADE = re.compile(r"\s*self\.(\w+) = ([\w.]+)\((?!.* if ).*")


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
    if not found:
        return []
    lines: list[Stmt] = []
    members = _Members(unit)
    for path, weight in found.items():
        module = name(f"self.{path}")
        if not members.all_the_way(path.split(".")):
            module = call("self.get_submodule", ast.Constant(path))
        lines.append(Line(_weight(weight, members), f"{render(module)}.{TIED}"))
    return lines


def _weight(path: Path, members: _Members) -> ast.expr:
    """`self.wte.weight`, `self.table`, `self.get_parameter("stage.0.weight")`."""
    if members.all_the_way(path[:-1]):
        return name(".".join(("self", *path)))
    return call("self.get_parameter", ast.Constant(".".join(path)))


class _Members:
    """The modules that are attributes of a class and of those it makes, by their classes' names."""

    def __init__(self, unit: Unit) -> None:
        self.own = _made(write(unit.init, 2))
        self.texts = {info.name: info.lines for info in reversed(unit.whole.order)}
        self.classes: dict[str, Mapping[str, str]] = {}

    def all_the_way(self, path: Sequence[str]) -> bool:
        """Whether modules are attributes all the way, of classes that are known by name."""
        made = self.own
        for segment in path:
            if segment not in made:
                return False
            title = made[segment]
            if title not in self.classes:
                self.classes[title] = _made(self.texts.get(title, ()))
            made = self.classes[title]
        return True


def _made(lines: Iterable[str]) -> Mapping[str, str]:
    """The class of each attribute that a constructor makes by a call, and in any case."""
    found = (_MADE.fullmatch(line) for line in lines)
    return {made[1]: made[2] for made in reversed([f for f in found if f is not None])}
