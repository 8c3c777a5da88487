"""Weights that are used again → the module that has them, and how it is reached in the class.

    - {id: twin, shared: tower}     self.tower, or self.get_submodule("stem.tower")

It goes by its path where it was made further in, or with the members of another group.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass

from archspec.emit.lowering.flow import PlainError
from archspec.emit.lowering.modules import Place
from archspec.emit.lowering.scope import Unit
from archspec.emit.syntax import call
from archspec.emit.text import render
from archspec.expand.tree import Copy
from archspec.language import Item
from archspec.layers.base import Layer


@dataclass(slots=True)
class Member:
    """A module that is made: how it is reached, and what it was made of."""

    attribute: ast.expr | None
    item: Item
    layer: Layer | None = None


def made(unit: Unit, copy: Copy, member: Member) -> None:
    """Notes what a copy is, if its weights are used again."""
    if id(copy) in unit.whole.reused:
        unit.made[id(copy)] = member


def owner_of(unit: Unit, place: Place) -> Member | None:
    """The module whose weights are used, if it is made in this class."""
    found = [m for c in place.copies if isinstance(m := unit.made.get(id(c.shared)), Member)]
    if len(found) < len(place.copies):
        return None
    if len({render(m.attribute) if m.attribute is not None else "" for m in found}) > 1:
        raise PlainError("different modules are shared")
    return found[0]


def submodule(unit: Unit, place: Place) -> ast.expr:
    """The module whose weights are used again, by its path."""
    return call("self.get_submodule", ast.Constant(".".join(path_of(unit, place))))


def path_of(unit: Unit, place: Place) -> tuple[str, ...]:
    """Where the module whose weights are used is in the class."""
    moved = moved_with(unit, place)
    path = _owners_path(unit, place)
    if moved is not None:
        return (*unit.moved[moved], *path[len(moved) :])
    if path[: len(unit.base)] != unit.base:
        raise PlainError("weights shared with a module outside this part")
    return path[len(unit.base) :]


def moved_with(unit: Unit, place: Place) -> tuple[str, ...] | None:
    """The path of the group it is in, if that is written out with the members of another."""
    path = _owners_path(unit, place)
    return next((base for base in unit.moved if path[: len(base)] == base), None)


def _owners_path(unit: Unit, place: Place) -> tuple[str, ...]:
    """The path in the block of what owns the weights."""
    paths = {unit.whole.paths[id(c.shared)] for c in place.copies}
    if len(paths) > 1:
        raise PlainError("different modules are shared")
    return paths.pop()
