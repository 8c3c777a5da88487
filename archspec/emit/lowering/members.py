"""Names of members and variables: `self.conv1`, `self["0"]`, `aux_logits`."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable

from archspec.emit.syntax import Line, Stmt, name
from archspec.language import Item

_OF_A_DICT = frozenset({"clear", "items", "keys", "pop", "update", "values"})


def by_number(segment: str) -> bool:
    """Whether a member can be reached by an index only."""
    return not segment.isidentifier()


def member(segment: str) -> ast.expr:
    """`self.conv1`; of a class whose members are numbered `self["0"]`."""
    if segment.isidentifier():
        return name(f"self.{segment}")
    return ast.Subscript(ast.Name("self"), ast.Constant(segment))


def set_member(segment: str, value: ast.expr) -> Stmt:
    """The statement that makes it."""
    return Line(value, f"self.{segment}" if segment.isidentifier() else f'self["{segment}"]')


def hint_of(item: Item) -> str:
    """What a variable may be called after the item's id: `AuxLogits` → `aux_logits`."""
    text = item.id.text if item.id is not None else ""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", text).lower() if text.isidentifier() else ""


def hints(hint: str, outputs: Iterable[str]) -> list[str]:
    """What the variables of several outputs may be called: `level2_boxes`, `level2_scores`."""
    names = list(outputs)
    if len(names) == 1:
        return [hint]
    return ["_".join(filter(None, (hint, n))).lower() if n.isidentifier() else "" for n in names]


def camel(text: str) -> str:
    """`box_head` → `BoxHead`."""
    return "".join(part[:1].upper() + part[1:] for part in text.split("_")) or "Group"
