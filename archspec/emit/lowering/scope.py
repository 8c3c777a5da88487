"""Author's values → text: what an expression may name where it stands, and whether it is right.

An argument is worked out once with numbers that remember (`symbolic`), then compared with what it
is in every row (`say`). What holds is written as it is; what is one number everywhere, as that
number; in a loop, what differs from round to round becomes a column of its table. Where nothing
does, PlainError: the instances have to be divided, or the loop written out.

    rows: width = 64, 128      out: $(4 * width)      256, 512 wanted      → 4 * width
    rows: width = 64, 128      heads: 8               8, 8 wanted          → 8
"""

from __future__ import annotations

import ast
import copy
import keyword
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from archspec.emit.forward import Step
from archspec.emit.lowering.flow import (
    Flow,
    Ghost,
    Many,
    PlainError,
    Row,
    alike,
    apart_from_first,
    equal,
    holds,
)
from archspec.emit.syntax import Dotted, Line, Stmt, literal, name, names_in, rebuilt
from archspec.emit.text import render
from archspec.expand.tree import Seen, listed
from archspec.expressions import Expr, Loop, Record
from archspec.expressions.sym import FAILURES, Sym, evaluate, plain, remembers, traced, written
from archspec.language.names import OF_MODULES

if TYPE_CHECKING:
    from archspec.expand.tree import Instance, Value
    from archspec.language import Block, Item
    from archspec.layers.base import Call

RESERVED = frozenset({
    "torch", "nn", "math", "Tensor", "self", "super", "range", "enumerate", "max", "min", "abs",
    "int", "sum", "round", "len", "list", "tuple", "dict", "make_divisible", "zip",
    "sorted",
})  # fmt: skip
FUNCTIONS = frozenset({
    "max", "min", "abs", "int", "round", "make_divisible", "math", "len", "sorted",
})  # fmt: skip


def bare(value: Any) -> Any:
    """The value alone; a class of modules stays one."""
    return value if isinstance(value, Dotted) else plain(value)


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
class Info:
    """A written class, for those who call it."""

    name: str
    origin: Block | Item  # what it is the class of
    parameters: list[Parameter] = field(default_factory=list)
    sized: frozenset[str] = frozenset()  # of these, the sizes of inputs
    values: dict[int, Mapping[str, Any]] = field(default_factory=dict)  # by id: its arguments there
    sizes: list[list[Any]] = field(default_factory=list)  # of each output, in its own names
    lead: str = ""  # the param that is given by position
    inputs: tuple[str, ...] = ()  # of a group: what it takes
    outputs: tuple[str, ...] = ("output",)
    defined: dict[str, ast.expr] = field(default_factory=dict)  # names it works out itself
    outer: dict[str, str] = field(default_factory=dict)  # of a group: name -> that around it
    filled: set[int] = field(default_factory=set)  # ids of leaves whose initial values it sets
    lines: list[str] = field(default_factory=list)


class Classes(Protocol):
    """What the parts of the lowering ask of the whole."""

    order: list[Info]
    frames: dict[int, Any]
    consumers: dict[int, list[int]]
    reused: set[int]
    paths: dict[int, tuple[str, ...]]
    plain: dict[Any, Any]  # ops in nothing but numbers, by layer and input types
    calls: dict[Any, Call]  # the torch code of ops, by the same
    inits: Any
    roots: list[Instance]
    title: str
    kept: tuple[str, ...]
    given: dict[int, set[str]]
    document: dict[int, Instance]
    names: set[str]
    mark: int
    deciding: set[str]
    imported: dict[str, str]  # modules of packages -> what the file calls them

    def free(self, title: str) -> str:
        """The name of a class that no other has."""

    def of(self, instances: Sequence[Instance]) -> Info:
        """The class that serves these instances."""

    def forget(self, before: int) -> None:
        """Drops the classes that a failed try has written."""

    def follows(self, values: Sequence[Value], axis: int) -> bool:
        """Whether a size of any of these values follows from a free axis."""

    def walked(self) -> None:
        """Says that nothing more of the trees will be asked: the network's own class is walked."""

    def outlined(
        self, scope: Scope, item: Item, pairs: list[tuple[Row, Any]], hint: str
    ) -> tuple[Info, list[list[Value]], list[list[Value]]]:
        """The class of a group, and what comes in and goes out in each row."""


Condition = tuple[str, int]  # as it is written, and the id of the statements that it stands among


@dataclass(slots=True)
class Container:
    """What items with a dot in their ids fill: `self.convs` of `convs.0`, `convs.1` …

    `line`, among the statements `init`, makes it of `elements`, under the `conditions`. `filled`:
    what is added to it further is added by a statement.
    """

    elements: ast.List
    line: Line
    init: list[Stmt]
    conditions: tuple[Condition, ...]
    filled: bool = False


class Unit:
    """A class in the making."""

    def __init__(self, whole: Classes, rows: list[Row], *, root: bool = False) -> None:
        self.whole, self.rows, self.root = whole, rows, root
        self.real = len(rows)  # of these, those that the network has; the others are tried beside
        self.potential: dict[str, None] = {}  # names that become arguments where they are used
        self.defined: dict[str, ast.expr] = {}  # names that the constructor works out
        self.space: set[str] = set()  # names of sizes that forward takes from the tensor
        self.shapes: set[str] = set()  # names of any sizes of the inputs
        self.free: set[str] = (
            set()
        )  # of the sizes of space these, the free axes: the constructor cannot know them
        self.taken: set[str] = set(RESERVED)
        self.init: list[Stmt] = []
        self.steps: list[Step] = []
        self.stores: dict[str, ast.expr] = {}  # attributes that forward reads: self.depth
        self.members: set[str] = set()
        self.listed = False  # an nn.ModuleList: its members are numbered
        self.lengths: dict[str, int] = {}  # of such lists, by how forward reaches them
        self.containers: dict[str, Container] = {}  # that several items fill, by name
        self.conditions: list[Condition] = []  # around the item that is lowered, outermost first
        self.claimed: dict[str, Item] = {}  # by the name of a member
        self.carried: set[str] = set()
        self.varying: set[str] = set()  # of the carried, those that depend on arguments
        self.counters: set[str] = set()
        # id of the first of the values that a list in forward holds -> those, and the list
        self.many: dict[int, tuple[list[Value], Many]] = {}
        self.anchor: Flow | None = None  # an input, for the size of the batch
        self.base: tuple[str, ...] = ()  # of a group: its path in the block around
        self.sinks: list[Any] = []  # containers that are being filled, outermost first
        self.params: set[str] = set()  # names of the author that are no columns
        self.parts: list[Any] = []  # what it is written of: rows with bodies
        self.copies: dict[int, Any] | None = None  # by id of an item: its copies, once asked for
        self.groups: dict[int, Info | None] = {}  # id of an item -> the class of all its copies
        self.made: dict[int, Any] = {}  # id of a copy -> its module, and how it is called
        # paths in the block of groups that are written out with the members of others: theirs
        self.moved: dict[tuple[str, ...], tuple[str, ...]] = {}
        self.filled: set[int] = set()  # ids of leaves whose initial values it sets
        self.deciding: set[str] = set()  # names that decide, unseen by the text, what is there
        self.pointing: set[str] = set()  # names that say where something is taken from
        self.document: Mapping[str, Block] = {}  # the blocks whose defaults read `args`
        self.args: Mapping[str, Any] = {}  # of a document: its params

    @property
    def settled(self) -> bool:
        """Whether nothing but numbers can stand here."""
        return self.root and not self.potential and not self.space and len(self.rows) == 1

    def claim(self, segment: str, item: Item) -> None:
        """A member is made for an item. Raises PlainError where another has its name.

        Names without an id are numbered among the items that are there: in another instance the
        same name may be another item's.
        """
        known = self.claimed.setdefault(segment, item)
        if known is not item and (item.id is None or known.id is None):
            raise PlainError("two items have one name")
        self.members.add(segment)

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

    @contextmanager
    def filling(self, sink: Any) -> Iterator[None]:
        """While a container is filled."""
        self.sinks.append(sink)
        try:
            yield
        finally:
            self.sinks.pop()

    def settle(self, variables: set[str], into: list[Stmt]) -> None:
        """Writes what waits with old values of some variables, before statements change them."""
        for sink in self.sinks:
            if sink.waits_for(variables):
                sink.open(into)

    def attribute(self, value: ast.expr, hint: str) -> ast.expr:
        """An expression of the constructor in terms of `self`, for forward: what it reads is kept.

        Each attribute has one value: what is equal shares it, what is not has another name.
        """
        used = names_in(value) - FUNCTIONS
        simple = isinstance(value, (ast.Name, ast.Compare, ast.UnaryOp))
        if len(used) == 1 and simple and used <= set(self.potential):
            (param,) = used
            free = param not in self.members and param not in OF_MODULES
            if free and self.stores.get(param, value) is not None:
                kept = self.stores.setdefault(param, ast.Name(param))
                if render(kept) == param:
                    return rebuilt(value, lambda t: name(f"self.{t}") if t == param else None)
        flag, number = hint, 2
        taken = {*self.members, *self.potential, *OF_MODULES}
        while flag in taken or not self._same(flag, value):
            flag, number = f"{hint}{number}", number + 1
        self.stores[flag] = value
        return name(f"self.{flag}")

    def _same(self, flag: str, value: ast.expr) -> bool:
        return flag not in self.stores or render(self.stores[flag]) == render(value)


class Scope:
    """Where a value may come from: a class's arguments, and in a loop its columns."""

    def __init__(
        self, unit: Unit, names: Mapping[str, ast.expr], records: Mapping[str, Flow | None],
        parent: Scope | None = None,
    ) -> None:  # fmt: skip
        self.unit, self.names, self.records, self.parent = unit, names, records, parent
        self.rows: list[Row] = []
        self.columns: dict[str, list[ast.expr]] = {}  # of a loop: a column's name -> its entries
        self.place: dict[int, tuple[int, Row]] = {}  # of a loop: id of a row -> round, row outside
        self.own: set[str] = set()  # of a loop: the names of the author's columns
        self.shared: dict[str, ast.expr] = {}  # text of an expression -> the column that holds it

    @property
    def settled(self) -> bool:
        return self.unit.settled and self.parent is None

    def called(self, target: str | None) -> str:
        """What the file calls a module: one of a package by its last name, which is imported."""
        return self.unit.whole.imported.get(target or "", target or "")

    # ------------------------------------------------------------ author → remembered

    def symbolic(
        self, value: Any, row: Row, env: Mapping[str, Any], prev: Sequence[int] | None = None
    ) -> Any:
        """An author's value, worked out with numbers that remember, in one row.

        `prev` is the shape of the first input. Raises one of FAILURES.
        """
        return through(value, lambda e: evaluate(e.tree, self.sight(e.names, row, env, prev)))

    def worked(
        self, value: Any, row: Row, env: Mapping[str, Any], prev: Sequence[int] | None = None
    ) -> Any:
        """The same; None where it has no value."""
        try:
            return self.symbolic(value, row, env, prev)
        except FAILURES:
            return None

    def sight(
        self, wanted: Any, row: Row, env: Mapping[str, Any], prev: Sequence[int] | None
    ) -> dict[str, Any]:
        """What an expression sees by the names it reads."""
        found: dict[str, Any] = {}
        for text in wanted:
            if text == "prev" and prev is not None:
                found[text] = Record(tuple(prev))
            elif text in row.seen:
                flow = self.records.get(text)
                shape = row.seen[text]
                found[text] = Record(flow.at(row, shape) if flow is not None else shape)
            elif isinstance(env.get(text), Seen):
                found[text] = Record(_sizes(row, env[text]))
            elif text in env and listed(env[text]):
                found[text] = [Record(_sizes(row, seen)) for seen in env[text]]
            elif text in env:
                found[text] = self.value(text, env[text], row)
        return found

    def value(self, text: str, value: Any, row: Row) -> Any:
        if isinstance(value, Loop):
            return _Turn(self, value, row)
        tree = self.names.get(text)
        if tree is None:
            return value
        if isinstance(tree, ast.Name) and isinstance(row.py.get(tree.id), Dotted):
            return value
        whole = isinstance(tree, ast.Name) and isinstance(row.py.get(tree.id), float)
        return traced(float(value) if whole else value, tree)

    # ------------------------------------------------------------ remembered → text

    def say(
        self, rows: Sequence[Row], value: Any, wanted: Sequence[Any], hint: str = "value"
    ) -> ast.expr:
        """The text of a value that is `wanted` in each row. Raises PlainError."""
        if self.settled and len(rows) == 1:
            return literal(bare(wanted[0]))
        wanted = [bare(w) for w in wanted]
        same = alike(wanted)
        if remembers(value):
            tree = self.settle(written(value), rows)
            carried = names_in(tree) & self.unit.carried
            settled = same and carried and not carried & self.unit.varying
            if not settled and not isinstance(tree, ast.Constant):
                tabled = self._tabled(tree, rows, wanted)
                if tabled is not None:
                    return tabled
                if holds(tree, rows, wanted):
                    return tree
        if same:
            return literal(wanted[0])
        return self._column(rows, wanted, hint)

    def settle(self, tree: ast.expr, rows: Sequence[Row]) -> ast.expr:
        """Sizes of space are numbers in a constructor, where they are the same everywhere."""
        space = names_in(tree) & self.unit.space
        if not space:
            return tree
        fixed = {n: self.unit.rows[0].py[n] for n in space if self._fixed(n)}
        row = rows[0].py
        rest = {n: traced(row[n], ast.Name(n)) for n in names_in(tree) if n in row}
        try:
            return written(evaluate(tree, {**rest, **fixed}))
        except FAILURES:
            return tree

    def _fixed(self, text: str) -> bool:
        return text in self.unit.free or alike([r.py.get(text) for r in self.unit.rows])

    def _tabled(
        self, tree: ast.expr, rows: Sequence[Row], wanted: Sequence[Any]
    ) -> ast.expr | None:
        """`make_divisible(c * 1.4)` of a column alone: the column holds what it comes to."""
        reads = names_in(tree) - FUNCTIONS
        computed = any(isinstance(n, ast.Call) for n in ast.walk(tree))
        if not computed or len(reads) != 1 or not reads <= self.own:
            return self._tabled_outside(tree, rows, wanted)
        (text,) = reads
        if not holds(tree, rows, wanted):
            return None
        if holds(ast.Name(text), rows, wanted):
            return ast.Name(text)
        if render(tree) not in self.shared:
            self.shared[render(tree)] = self._column(rows, wanted, text)
        return self.shared[render(tree)]

    def _tabled_outside(
        self, tree: ast.expr, rows: Sequence[Row], wanted: Sequence[Any]
    ) -> ast.expr | None:
        if self.parent is None or names_in(tree) & (self.own | set(self.columns)):
            return None
        outer: dict[int, tuple[Row, Any]] = {}
        for row, value in zip(rows, wanted, strict=True):
            up = self.place[id(row)][1]
            if not equal(outer.setdefault(id(up), (up, value))[1], value):
                return None
        ups, values = zip(*outer.values(), strict=True)
        found = self.parent._tabled(tree, ups, values)
        if isinstance(found, ast.Name):  # it may be new: the rows in here must know it
            for row in self.rows:
                row.py.setdefault(found.id, self.place[id(row)][1].py.get(found.id))
        return found

    def _column(self, rows: Sequence[Row], wanted: Sequence[Any], hint: str) -> ast.expr:
        """A column of the loop for what nothing else says."""
        if self.parent is None:
            raise PlainError(f"`{hint}` follows no expression", apart_from_first(rows, wanted))
        by_round: list[list[tuple[Row, Any]]] = [[] for _ in range(self.rounds())]
        for row, value in zip(rows, wanted, strict=True):
            k, up = self.place[id(row)]
            by_round[k].append((up, value))
        some = next(pairs for pairs in by_round if pairs)
        by_round = [pairs or some for pairs in by_round]  # where nobody asks, anything may stand
        entries = [
            self.parent.say([r for r, _ in pairs], None, [v for _, v in pairs], hint)
            for pairs in by_round
        ]
        text = self.unit.local(hint)
        self.columns[text] = entries
        for row in self.rows:
            row.py[text] = by_round[self.place[id(row)][0]][0][1]
        return ast.Name(text)

    def rounds(self) -> int:
        """How many rounds the loop makes. Raises PlainError where that differs."""
        ups = {id(up): up for _, up in self.place.values()}
        counts = Counter(id(up) for _, up in self.place.values())
        if len(set(counts.values())) != 1:
            apart = apart_from_first(list(ups.values()), [counts[u] for u in ups])
            raise PlainError("the number of copies differs between instances", apart)
        return next(iter(counts.values()))

    def without(self, texts: set[str]) -> Scope:
        """The same, some names of the author left out."""
        found = copy.copy(self)
        found.names = {n: t for n, t in self.names.items() if n not in texts}
        return found

    # ------------------------------------------------------------ forward

    def kept(
        self, rows: Sequence[Row], value: Any, wanted: Sequence[Any], hint: str,
        running: Callable[[], tuple[Any, list[dict[str, Any]]]],
    ) -> ast.expr:  # fmt: skip
        """The text of a value that forward reads: params are attributes, sizes those of tensors.

        `running` works it out anew with `x.shape[2]` for sizes, and says what that is in each row.
        """
        wanted = [bare(w) for w in wanted]
        reads = names_in(written(value)) - FUNCTIONS if remembers(value) else set()
        if reads and _floats(wanted) and not reads & self.unit.space:
            return self.unit.attribute(self.say(rows, value, wanted, hint), hint)
        found, sights = running()
        text = self.followed(found, sights, wanted) if remembers(found) else None
        if text is not None:
            return text
        if not reads and alike(wanted):
            return literal(wanted[0])
        return self.unit.attribute(self.say(rows, value, wanted, hint), hint)

    def followed(
        self, found: Any, sights: Sequence[Mapping[str, Any]], wanted: Sequence[Any]
    ) -> ast.expr | None:
        """The text of what `running` worked out; None where it is not right in each row."""
        if found is None:
            return None
        tree = written(found)
        pairs = zip(sights, map(bare, wanted), strict=True)
        if not all(_worth(tree, sight, w) for sight, w in pairs):
            return None
        return rebuilt(tree, self._stored)

    def _stored(self, text: str) -> ast.expr | None:
        if text.startswith("__"):
            return ast.Name(f"@{text[2:]}")
        own = text in self.unit.taken and text not in FUNCTIONS
        return self.unit.attribute(ast.Name(text), text) if own else None


def through(value: Any, worth: Callable[[Expr], Any]) -> Any:
    """An author's value with what its expressions are worth."""
    if isinstance(value, Expr):
        return worth(value)
    if isinstance(value, (list, tuple)):
        return [through(v, worth) for v in value]
    return {k: through(v, worth) for k, v in value.items()} if isinstance(value, dict) else value


def _sizes(row: Row, seen: Seen) -> tuple[Any, ...]:
    """The sizes of an earlier item in one row, as far as the class knows them."""
    flows = row.vals.get(id(seen.value))
    return flows[-1].at(row, seen.shape) if flows else seen.shape


def _worth(tree: ast.expr, sight: Mapping[str, Any], wanted: Any) -> bool:
    try:
        return equal(plain(evaluate(tree, sight)), wanted)
    except FAILURES:
        return False


def _floats(values: Sequence[Any]) -> bool:
    return any(isinstance(v, float) for v in values)


class _Turn:
    """`loop` in an expression: which copy this is, under the names the constructor has for it."""

    def __init__(self, scope: Scope, loop: Loop, row: Row) -> None:
        self.__dict__.update(scope=scope, loop=loop, row=row)

    def __getattr__(self, key: str) -> Any:
        return self.scope.value(f"loop.{key}", getattr(self.loop, key), self.row)


class Sizes:
    """A tensor as forward sees it, its batch axis first."""

    def __init__(self, shape: Sequence[int]) -> None:
        self.shape = (None, *shape)


def running(flow: Flow, shape: Sequence[int]) -> tuple[Any, ...]:
    """A shape whose sizes are the tensor's own, `x.shape[2]`, where they are no fixed numbers."""
    found: list[Any] = []
    for a, (size, n) in enumerate(zip(flow.sizes, shape, strict=True)):
        if isinstance(flow, Ghost):
            found.append(Sym(n, size.terms) if isinstance(size, Sym) else n)
            continue
        if isinstance(size, int) and not isinstance(size, Sym):
            found.append(n)
            continue
        tensor = ast.Name(f"__{flow.id}")  # an identifier: the text is parsed again
        of = ast.Subscript(ast.Attribute(tensor, "shape"), ast.Constant(a + 1))
        found.append(traced(n, of))
    return tuple(found)
