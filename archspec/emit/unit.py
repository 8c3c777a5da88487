"""A class of the emitted file while it is written: its witnesses, names and statements."""

from __future__ import annotations

import ast
import keyword
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from archspec.emit.explain import Row, UnprovableError, Var, equal, holds, names_in, value_of
from archspec.emit.forward import Step
from archspec.emit.syntax import Stmt, literal, name, rebuilt
from archspec.emit.text import render
from archspec.language import Block, Item

RESERVED = frozenset(
    {
        "torch",
        "nn",
        "math",
        "Tensor",
        "self",
        "super",
        "range",
        "enumerate",
        "max",
        "min",
        "abs",
        "int",
        "sum",
        "round",
        "len",
        "list",
        "tuple",
        "dict",
        "make_divisible",
    }
)


def _by_instance(rows: Sequence[Row], values: Sequence[Any]) -> bool:
    """Whether there is one value in each instance, whatever the round."""
    found: dict[int, Any] = {}
    pairs = zip(rows, values, strict=True)
    return all(equal(found.setdefault(row.base, value), value) for row, value in pairs)


def plain(value: Any) -> Any:
    """The value with tuples for lists."""
    return tuple(map(plain, value)) if isinstance(value, (list, tuple)) else value


@dataclass(slots=True)
class Parameter:
    """A constructor argument of an emitted class."""

    name: str
    annotation: str
    default: Any = ...  # ... where there is none

    @property
    def text(self) -> str:
        default = "" if self.default is ... else f" = {render(literal(self.default))}"
        return f"{self.name}: {self.annotation}{default}"


@dataclass(slots=True)
class ClassInfo:
    """A written class, for those who call it."""

    name: str
    origin: Block | Item  # what it is the class of
    parameters: list[Parameter] = field(default_factory=list)
    why: Mapping[str, str] = field(default_factory=dict)  # of arguments that no one declares
    # params that are not given, and how the class computes them
    computed: Mapping[str, ast.expr] = field(default_factory=dict)
    # id(instance, copy or body) -> what its arguments are
    values: dict[int, Mapping[str, Any]] = field(default_factory=dict)
    # per output, in the class's own names
    axes: list[list[ast.expr | None]] = field(default_factory=list)
    outputs: tuple[str, ...] = ("output",)
    declared: tuple[str, ...] = ()
    lead: str = ""  # the declared param that is given by position
    lines: list[str] = field(default_factory=list)


class Scope:
    """Where a number may come from: a class's arguments, or within it a loop's columns."""

    def __init__(
        self,
        unit: Unit,
        rows: list[Row],
        names: Mapping[str, ast.expr],
        records: Mapping[str, Var],
        parent: Scope | None = None,
    ) -> None:
        self.unit, self.rows, self.names = unit, rows, names
        self.records, self.parent = records, parent
        self.columns: dict[str, list[ast.expr]] = {}  # of a loop: a column's name -> its entries
        # of a loop: id(row) -> (round, row of the parent)
        self.place: dict[int, tuple[int, Row]] = {}

    def explain(
        self,
        rows: Sequence[Row],
        candidates: Sequence[ast.expr | None],
        values: Sequence[Any],
        hint: str,
    ) -> ast.expr:
        """The first candidate that holds in every row; else a literal; else a new name.

        The name is a column of the loop or an argument of the class. Raises UnprovableError where
        there can be none.
        """
        if self.settled(values):
            return literal(plain(values[0]))
        values = [plain(v) for v in values]
        first = values[0]
        alike = all(equal(v, first) and type(v) is type(first) for v in values)
        for c in candidates:
            if c is None or (alike and names_in(c) & self.unit.carried):
                continue
            if not isinstance(c, ast.Constant) and holds(c, rows, values):
                return c
        if alike:
            return literal(first)
        return self.introduce(rows, values, hint)

    def settled(self, rows: Sequence[object]) -> bool:
        """Whether only numbers can stand here: one witness, no names."""
        return self.unit.settled and self.parent is None and len(rows) == 1

    def introduce(self, rows: Sequence[Row], values: Sequence[Any], hint: str) -> ast.expr:
        """A new name for a number that nothing explains."""
        if self.parent is None or (not self.unit.fixed and _by_instance(rows, values)):
            return self.unit.argument(rows, values, hint)
        return self._column(rows, values, hint)

    def _column(self, rows: Sequence[Row], values: Sequence[Any], hint: str) -> ast.expr:
        assert self.parent is not None
        rounds = self.rounds()
        by_round: dict[int, list[tuple[Row, Any]]] = {k: [] for k in range(rounds)}
        for row, value in zip(rows, values, strict=True):
            k, up = self.place[id(row)]
            by_round[k].append((up, value))
        entries: list[ast.expr | None] = []
        for k in range(rounds):
            pairs = by_round[k]
            entries.append(
                self.parent.explain([p[0] for p in pairs], (), [p[1] for p in pairs], hint)
                if pairs
                else None
            )
        filler = next(e for e in entries if e is not None)
        return self.add_column(hint, [e if e is not None else filler for e in entries])

    def rounds(self) -> int:
        """How many rounds the loop makes; UnprovableError when that differs between instances."""
        counts: dict[int, int] = {}
        for _, up in self.place.values():
            counts[id(up)] = counts.get(id(up), 0) + 1
        if len(set(counts.values())) != 1:
            raise UnprovableError("the number of copies differs between instances")
        return next(iter(counts.values()))

    def add_column(self, hint: str, entries: list[ast.expr]) -> ast.expr:
        assert self.parent is not None
        text = self.unit.local(hint)
        for row in self.rows:
            k, up = self.place[id(row)]
            row.py[text] = value_of(entries[k], up.py)
        self.columns[text] = entries
        return ast.Name(text)


@dataclass(frozen=True, slots=True)
class Inline:
    """A group that is written out in the class around it: its members are reached by their paths.

    `base` is the group's path in its block, `module` where its members are in the class; `make`:
    they are made here (else they belong to the group whose weights are used again).
    """

    base: tuple[str, ...]
    module: tuple[str, ...]
    make: bool


class Unit:
    """A class in the making."""

    def __init__(
        self,
        rows: list[Row],
        names: dict[str, ast.expr],
        records: dict[str, Var],
        potential: Mapping[str, Any],
        fixed: bool = False,
    ) -> None:
        self.rows, self.fixed = rows, fixed
        # names that become arguments where they are used
        self.potential: dict[str, Any] = dict(potential)
        self.scope = Scope(self, rows, names, records)
        self.init: list[Stmt] = []
        self.steps: list[Step] = []
        self.stores: dict[str, ast.expr] = {}  # attributes that forward reads: self.depth
        self.members: set[str] = set()
        self.carried: set[str] = set()
        self.counters: set[str] = set()
        self.settled = fixed and not self.potential and len(rows) == 1  # nothing but numbers
        self.taken: set[str] = set(RESERVED) | set(self.potential)
        # what forward's variables may not hide
        self.reserved: set[str] = {"self", "torch", "nn", "math", "F"}
        self.listed: frozenset[str] = frozenset()  # outputs of the network that are lists
        self.arguments: list[str] = []  # forward's
        self.anchor: Var | None = None  # an input, for the size of the batch
        # params that are computed here, not given: out = 4 * width
        self.defined: dict[str, ast.expr] = {}
        self.why: dict[str, str] = {}  # of what becomes an argument though no one declares it
        # inputs by row, outputs by name and row
        self.shapes: tuple[list[list[Any]], dict[str, list[Any]]] = ([], {})
        self.base: tuple[str, ...] = ()  # of a group: its path in the block around
        self.inline: list[Inline] = []
        self.sinks: list[Any] = []  # containers that are being filled, outermost first
        self.made: dict[int, tuple[ast.expr, Callable[..., Any]]] = {}

    def argument(self, rows: Sequence[Row], values: Sequence[Any], hint: str) -> ast.expr:
        """A constructor argument worth these values."""
        if self.fixed:
            raise UnprovableError(f"nothing in the class gives `{hint}` at other values of it")
        by_base: dict[int, Any] = {}
        for row, value in zip(rows, values, strict=True):
            if not equal(by_base.setdefault(row.base, value), value):
                raise UnprovableError(f"`{hint}` differs within one instance")
        if hint in self.potential and all(
            hint in row.py and equal(row.py[hint], value)
            for row, value in zip(rows, values, strict=True)
        ):  # an argument before this one is worth the same
            return ast.Name(hint)
        text = self.local(hint)
        filler = values[0]
        for row in {id(r): r for r in (*self.rows, *rows)}.values():
            row.py[text] = by_base.get(row.base, filler)
        self.potential[text] = None
        self.why[text] = "no expression of the class's names is right in all"
        return ast.Name(text)

    def local(self, hint: str) -> str:
        """A name that is free in this class's constructor."""
        base = hint if hint.isidentifier() and not keyword.iskeyword(hint) else "value"
        text, number = base, 2
        if text in self.taken:
            base = text = {"features": "width", "channels": "width"}.get(text, text)
        while text in self.taken:
            text, number = f"{base}{number}", number + 1
        self.taken.add(text)
        return text

    def settle(self, variables: set[str], into: list[Stmt]) -> None:
        """Writes what waits with old values of some variables, before statements change them."""
        for sink in self.sinks:
            if sink.waits_for(variables):
                sink.open(into)

    def attribute(self, test: ast.expr, hint: str) -> ast.expr:
        """The test in terms of `self`, for forward: what it reads is stored."""
        used = names_in(test)
        if len(used) == 1 and used <= set(self.potential) and not used & self.members:
            for n in used:
                self.stores[n] = ast.Name(n)
            return _with_self(test)
        flag, number = hint, 2
        while flag in self.members or flag in self.stores:
            flag, number = f"{hint}{number}", number + 1
        self.stores[flag] = test
        return name(f"self.{flag}")


def _with_self(node: ast.expr) -> ast.expr:
    return rebuilt(node, lambda text: None if text in RESERVED else name(f"self.{text}"))


@dataclass(slots=True)
class Site:
    """Where an item is lowered: what numbers there may come from, and what is written so far."""

    scope: Scope
    init: list[Stmt]  # statements of the constructor
    steps: list[Step]  # of forward
