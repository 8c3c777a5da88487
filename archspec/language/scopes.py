"""Names at a place of a document → which of them have a value there.

The table "where | may use" of docs/language.md; one `Sight` a place.

    params: {width: 8}
    body: [{repeat: {n: [1, 2]}, conv: {out: $widht, …}}]   # sees width, n, loop, prev, input
    E219 `widht` is not known here
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum

from archspec.expressions import Expr, Template
from archspec.language.complaints import Complaints
from archspec.language.kinds import Steps
from archspec.language.models import Value
from archspec.language.sentences import cut

NOTHING: frozenset[str] = frozenset()


class Where(Enum):
    """What an expression stands in."""

    VALUE = "arguments, `when`, `expect`, `init`"
    SEGMENT = "`id`, `from`, `shared`"
    COUNT = "`repeat`, `input`, `outputs`, the document's `init`"
    DEFAULT = "`params`, `variants`"


@dataclass(frozen=True, slots=True)
class Sight:
    """The names that expressions at one place see."""

    params: Mapping[str, object] = field(default_factory=dict)
    inputs: Collection[str] = NOTHING  # the records
    columns: frozenset[str] = NOTHING
    loop: bool = False
    later: Collection[str] = NOTHING  # declared, but without a value at this place

    def inside(self, columns: Collection[str]) -> Sight:
        """What an item with a `repeat` of these columns, and everything in it, sees."""
        return replace(self, columns=self.columns | frozenset(columns), loop=True)

    def sees(self, name: str, where: Where) -> bool:
        """Whether a name has a value."""
        if name in self.params or name in self.columns:
            return True
        if name == "loop":
            return self.loop and where in (Where.VALUE, Where.SEGMENT)
        if where is Where.VALUE:
            return name == "prev" or name in self.inputs
        return where is Where.DEFAULT and name in self.inputs

    def names(self, where: Where) -> Iterator[str]:
        """All names that have a value, sorted."""
        every = {*self.params, *self.columns, *self.inputs, "prev", "loop"}
        yield from sorted(name for name in every if self.sees(name, where))


def look(value: Value, path: Steps, sight: Sight, where: Where, to: Complaints) -> None:
    """Notes the names in a value as written that have no value at this place."""
    if isinstance(value, Expr):
        _look(value, path, sight, where, to)
    elif isinstance(value, Template):
        for part in value.parts:
            look(part, path, sight, where, to)
    elif isinstance(value, dict):
        for key, entry in value.items():
            look(entry, (*path, key), sight, where, to)
    elif isinstance(value, list):
        for i, entry in enumerate(value):
            look(entry, (*path, i), sight, where, to)


def _look(expr: Expr, path: Steps, sight: Sight, where: Where, to: Complaints) -> None:
    blind = [name for name in sorted(expr.names) if not sight.sees(name, where)]
    for name in blind:
        _blind(name, expr, path, sight, where, to)
    if blind:
        return
    for owner, key in expr.fields:
        if owner not in ("prev", "loop") and owner not in sight.inputs:
            said = f"`{owner}` is a param, which has no `.{key}`"
            help = f"write `${owner}`; fields have `prev`, `loop` and inputs"
            to.add("E220", said, path, help, span=_span(expr, owner))


def _blind(
    name: str, expr: Expr, path: Steps, sight: Sight, where: Where, to: Complaints
) -> None:
    span = _span(expr, name)
    if name == "loop":
        only = "not in `repeat` itself" if sight.loop else "only inside a `repeat`"
        to.add("E220", f"`loop` has a value {only}", path, span=span)
    elif name in sight.later:
        help = "a param sees those above it; a column sees none of its own `repeat`"
        to.add("E220", f"`{name}` has no value here yet", path, help, span=span)
    elif name in ("prev", "input") or name in sight.inputs:
        help = "only params and columns have"
        to.add("E220", f"`{name}` has no value here", path, help, span=span)
    else:
        owner = str(path[1]) if path[0] == "blocks" else ""
        none = owner and not sight.params  # one fault: the block declares no params
        cause = ("params", owner) if none else ("name", owner, name)
        help = to.did_you_mean(name, sight.names(where))
        to.add("E219", f"`{cut(name)}` is not known here", path, help, span=span, cause=cause)


def _span(expr: Expr, name: str) -> tuple[int, int]:
    """Where a name stands in the scalar of its expression."""
    found = re.search(rf"(?<![A-Za-z0-9_.]){re.escape(name)}(?![A-Za-z0-9_])", expr.text)
    start = expr.offset + (found.start() if found else 0)
    return start, start + len(name)
