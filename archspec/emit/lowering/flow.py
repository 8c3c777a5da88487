"""Values of a body → variables of the class that serves it.

One class serves many instances of a block, so all of them are walked in step. A `Row` is one of
them: what each name of the constructor is worth in it, and which `Flow` holds which of its values.
A `Flow` is the same variable in every row; its sizes say what the class can know of its shape:

    Sym     an expression in the constructor's names that is right in every row
    int     one number, the same in every row
    None    it differs, and nothing says why
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from itertools import repeat
from typing import Any

from archspec.emit.forward import Var
from archspec.expand.tree import Value
from archspec.expressions.sym import FAILURES, Sym, evaluate, plain, written

Shape = tuple[Any, ...]
UNKNOWN = "_unknown"  # a size that the class has no expression for
LONGEST = 300  # characters of a size that is written; Python reads no text without end


class PlainError(Exception):
    """The pretty form does not hold in every row; a plainer one must be written.

    `bases`: the rows that differ from the first, where they are known; `params`: the arguments
    that decide, unseen by the text, what there is.
    """

    def __init__(
        self, message: str, bases: Iterable[int] = (), params: frozenset[str] = frozenset()
    ) -> None:
        super().__init__(message)
        self.bases, self.params = frozenset(bases), params


class Row:
    """One instance: `py` by name, `vals` by id of a value; `seen`: shapes of inputs by name."""

    __slots__ = ("base", "py", "seen", "vals")

    def __init__(
        self,
        py: dict[str, Any],
        base: int,
        vals: dict[int, tuple[Flow, ...]],
        seen: dict[str, Shape],
    ) -> None:
        self.py, self.base, self.vals, self.seen = py, base, vals, seen

    def below(self) -> Row:
        """The same with names of its own: of one copy, or one round of a loop."""
        return Row(dict(self.py), self.base, self.vals, self.seen)


class Flow(Var):
    """A variable of forward, or what flows through an nn.Sequential."""

    __slots__ = ("sizes",)

    def __init__(self, sizes: Sequence[Any] = (), hint: str = "") -> None:
        super().__init__(hint)
        self.sizes = list(sizes)

    def at(self, row: Row, shape: Sequence[int]) -> Shape:
        """Its shape in one row, each size with the expression that it is there."""
        return tuple(map(_at, self.sizes, repeat(row), shape))


class Many(Flow):
    """A list in forward, of `count` tensors of these sizes; in other lists `*` takes it apart."""

    __slots__ = ("count",)

    def __init__(self, sizes: Sequence[Any], hint: str, count: int) -> None:
        super().__init__(sizes, hint)
        self.count = count
        self.named = True

    @property
    def ref(self) -> ast.expr:
        return ast.Starred(super().ref)


class Ghost(Flow):
    """An input of the class around, in the class of a group: its sizes are known, it is not."""

    __slots__ = ()


def equal(found: object, wanted: object) -> bool:
    """Equal in value and, as far as Python code can tell, in type: 1 is not True, 2.0 is not 2."""
    if type(found) is int is type(wanted):  # nearly all
        return found == wanted
    if isinstance(wanted, tuple):
        return (
            isinstance(found, tuple)
            and len(found) == len(wanted)
            and all(map(equal, found, wanted))
        )
    if isinstance(wanted, float):
        return isinstance(found, (int, float)) and not isinstance(found, bool) and found == wanted
    return type(found) is type(wanted) and found == wanted


def _at(size: Any, row: Row, n: int) -> int:
    """One size in one row. What is not known stays so, whatever is worked out from it."""
    if isinstance(size, Sym) and holds(size, [row], [n]):
        return Sym(n, size.terms)
    return Sym.of(UNKNOWN, n) if size is None or isinstance(size, Sym) else n


def holds(value: Any, rows: Sequence[Row], wanted: Sequence[object]) -> bool:
    """Whether an expression is worth what is wanted in every row."""
    pairs = zip(rows, wanted, strict=True)
    try:
        if isinstance(value, Sym):
            return all(equal(value.worth(r.py), w) for r, w in pairs)
        tree = value if isinstance(value, ast.expr) else written(value)
        if isinstance(tree, ast.Name):
            return all(equal(r.py[tree.id], w) for r, w in pairs)
        return all(equal(plain(evaluate(tree, r.py)), w) for r, w in pairs)
    except FAILURES:
        return False


def apart_from_first(rows: Sequence[Row], values: Sequence[object]) -> frozenset[int]:
    """The instances whose value is not that of the first."""
    pairs = zip(rows, values, strict=True)
    return frozenset(r.base for r, v in pairs if not equal(v, values[0]))


def alike(values: Sequence[object]) -> bool:
    first = values[0]
    return all(type(v) is type(first) and equal(v, first) for v in values)


def dims(value: Value | None) -> tuple[int, ...]:
    return value.type.shape if value is not None and value.type is not None else ()


def must(value: Value | None) -> Value:
    """The value. Raises PlainError where nothing flows on."""
    if value is None:
        raise PlainError("nothing flows on here")
    return value


def sizes_of(rows: Sequence[Row], shape: Shape, values: Sequence[Value]) -> list[Any]:
    """What a class can know of some sizes: `shape` is what they are in the first row.

    None where a size has no expression there, or one that is wrong in another row.
    """
    found: list[Any] = []
    for a, size in enumerate(shape):
        numbers = [dims(v)[a] for v in values]
        if isinstance(size, Sym):
            said = sum(map(len, size.terms)) <= LONGEST and not any(map(_unknown, size.terms))
            right = said and (len(rows) == 1 or holds(size, rows, numbers))
            found.append(_one(int(size), tuple(size.terms.items())) if right else None)
        else:
            found.append(size if size is not None and alike(numbers) else None)
    return found


@lru_cache(128)
def _one(number: int, terms: tuple[tuple[str, int], ...]) -> Sym:
    """A size as one object: most flows have those of the flow before."""
    return Sym(number, dict(terms))


def _unknown(atom: str) -> bool:
    return UNKNOWN in atom


def lookup(rows: Sequence[Row], values: Sequence[Value | None]) -> Flow:
    """The Flow that holds these values, one a row. Raises PlainError."""
    first = rows[0].vals.get(id(values[0]), ())
    if len(rows) == 1:
        if first:
            return first[-1]
    else:
        rest = [set(r.vals.get(id(v), ())) for r, v in zip(rows[1:], values[1:], strict=True)]
        for flow in reversed(first):
            if all(flow in found for found in rest):
                return flow
    raise PlainError("the inputs come from different places")


def define(rows: Sequence[Row], values: Sequence[Value | None], flow: Flow) -> Flow:
    """Says that `flow` holds these values, one a row."""
    for row, value in zip(rows, values, strict=True):
        row.vals[id(value)] = (*row.vals.get(id(value), ()), flow)
    return flow


@contextmanager
def apart(
    rows: Sequence[Row], known: Sequence[tuple[Sequence[Value | None], Flow]]
) -> Iterator[None]:
    """Only some flows are known inside, and nothing that is defined there stays.

    While a container is filled, what flows in it are no variables of forward.
    """
    saved = [r.vals for r in rows]
    for row in rows:
        row.vals = {}
    for values, flow in known:
        define(rows, values, flow)
    try:
        yield
    finally:
        for row, vals in zip(rows, saved, strict=True):
            row.vals = vals
