"""`repeat` → how many copies and what their columns are; counted before anything is unrolled."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from archspec.expand.plan import below, parts
from archspec.expand.state import UNKNOWN, Env, HiddenError, LimitError, State, deeper
from archspec.expressions import is_whole
from archspec.language import Item
from archspec.text.faults import Fault
from archspec.text.words import show

Columns = dict[str, list[Any]]


def copies(state: State, item: Item, env: Env) -> tuple[int, Columns]:
    """How many copies an item makes, and the columns they go through. Raises HiddenError."""
    repeat = item.repeat
    assert repeat is not None
    if not repeat.columns:
        count = state.value(repeat.count, env, repeat.loc)
        if not is_whole(count) or count < 0:
            message = f"`repeat` is {show(count)}; it takes a whole number from 0, or columns"
            help = "use `//` or `int` where it is computed" if isinstance(count, float) else ""
            fault = Fault("E218", message, repeat.loc, help)
            state.wrong(repeat.count, fault, f"`repeat` of `{item.said}`")
            raise HiddenError
        return count, {}
    columns: Columns = {}
    for name, entry in repeat.columns.items():
        loc = deeper(repeat.loc, name)
        column = state.value(entry, env, loc)
        if not isinstance(column, (list, tuple)):
            message = f"the column `{name}` is {show(column)}; a column is a list"
            state.wrong(entry, Fault("E218", message, loc), f"`repeat` of `{item.said}`")
            raise HiddenError
        columns[name] = list(column)
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        shown = ", ".join(f"`{name}` {count}" for name, count in lengths.items())
        message = f"the columns of `repeat` differ in length: {shown}"
        fault = Fault("E216", message, repeat.loc, "give all columns the same length")
        odd = _odd(lengths)
        if odd:
            fault = replace(fault, loc=deeper(repeat.loc, odd))
            state.wrong(repeat.columns[odd], fault, f"`repeat` of `{item.said}`")
        else:
            state.uneven(repeat.columns, fault, f"`repeat` of `{item.said}`")
        raise HiddenError
    return next(iter(lengths.values())), columns


def _odd(lengths: Mapping[str, int]) -> str:
    """The one column that is longer or shorter than all others, where these agree."""
    (usual, most), *others = Counter(lengths.values()).most_common()
    if most < 2 or len(others) != 1 or others[0][1] != 1:
        return ""
    return next(name for name, count in lengths.items() if count != usual)


def environment(env: Env, columns: Columns, index: int) -> Env:
    """What the expressions of one copy see, `loop` left out."""
    return {**env, **{name: column[index] for name, column in columns.items()}}


class Count:
    """Numbers of copies in a body, by multiplication where nothing inside depends on the copy."""

    def __init__(self, state: State) -> None:
        self.quiet = State(state.limits)  # faults are noted for nobody: each is when it is reached
        self.quiet.blind = True
        self.quiet.work = state.work
        self.rounds = 0  # of counting; a body that needs more than its limit is too large anyhow

    def least(self, items: Iterable[Item], env: Env) -> int:
        """At least so many ops do `items` unroll to; what a `when` may remove is not counted."""
        return sum(self.ops(item, env) for item in items if item.when is True)

    def ops(self, item: Item, env: Env) -> int:
        """The same for one item, its `when` not asked."""
        if item.repeat is None:
            return self.one(item, env)
        return sum(n * max(1, self.one(item, seen)) for n, seen in self._rounds(item, env))

    def one(self, item: Item, env: Env) -> int:
        """Ops of one copy."""
        inner = self.least(parts(item), env)
        return inner if item.items and item.merge is None else inner + 1

    def totals(self, items: Iterable[Item], env: Env, times: int, found: Counter[int]) -> None:
        """Adds up how many copies each item makes in a body: `loop.total`."""
        for item in items:
            for n, seen in self._rounds(item, env):
                found[id(item)] += times * n
                self.totals(parts(item), seen, times * n, found)

    def _rounds(self, item: Item, env: Env) -> Iterator[tuple[int, Env]]:
        """Copy by copy, or all at once where they count alike: how many, and what they see.

        None of an item whose `repeat` has a fault, and where there were too many rounds.
        """
        if item.repeat is None:
            yield 1, env
            return
        self.rounds += 1
        if self.rounds > self.quiet.limits.nodes:
            return
        try:
            count, columns = copies(self.quiet, item, env)
        except (HiddenError, LimitError):
            return
        if columns and any(inner.repeat is not None for inner in below(item)):
            for k in range(count):
                yield 1, environment(env, columns, k)
        else:
            yield count, {**env, **dict.fromkeys(columns, UNKNOWN)}
