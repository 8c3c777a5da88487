"""Points → candidates: each a network of the same spec, analysed; no torch, nothing trained.

The text and the parse are shared, and blocks that candidates have in common are expanded once. With
several processes each has the parsed spec once, and is sent points.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archspec import network
from archspec.search import space as spaces
from archspec.search.errors import SearchError
from archspec.search.figures import Aim, Bound, Figure, budget, objective
from archspec.search.front import Candidate, Found, front
from archspec.search.space import Axis, Point
from archspec.text.faults import SpecError
from archspec.text.words import did_you_mean

if TYPE_CHECKING:
    from archspec.analysed import Network
    from archspec.network import Program

MOST = 1000  # candidates, where nothing is said
ALWAYS = ("params", "macs")  # shown of every candidate


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of every candidate."""

    bounds: tuple[Bound, ...]
    aims: tuple[Aim, ...]

    @property
    def figures(self) -> tuple[Figure, ...]:
        """All that the analysis is asked for, those of the budget first."""
        asked = [one.figure for one in self.bounds] + [one.figure for one in self.aims]
        names = dict.fromkeys([*(figure.name for figure in asked), *ALWAYS])
        return tuple(Figure(name) for name in names if not trained(name))


def trained(name: str) -> bool:
    """Whether it takes training to know a figure."""
    return name.startswith(("val.", "train."))


@dataclass(slots=True)
class Tally:
    """What became of points that are no candidates."""

    dropped: int = 0
    refused: Counter[str] = field(default_factory=Counter)  # by the reason without its numbers
    first: dict[str, str] = field(default_factory=dict)  # of these reasons, as it was said

    def note(self, reason: str | None) -> None:
        if reason is None:
            self.dropped += 1
            return
        kind = re.sub(r"\d+", "", reason)
        self.refused[kind] += 1
        self.first.setdefault(kind, reason)

    @property
    def reason(self) -> str:
        """The commonest."""
        return self.first[self.refused.most_common(1)[0][0]] if self.refused else ""


def find(
    spec: str | Path | Program,
    space: Sequence[str],
    limits: str = "",
    aims: str = "min macs",
    *,
    trials: int = MOST,
    seed: int = 0,
    processes: int = 1,
) -> Found:
    """Search the params of a spec by analysis alone: nothing is built, nothing trained.

    `space` is `["width=32..128", "depth=[2, 3, 4]"]`, `limits` is `"params < 5M"`, `aims` is
    `"max field.layer4, min macs"`. All points are tried where there are at most `trials`, else so
    many, drawn by `seed`. Raises SearchError; SpecError where the spec itself is wrong.
    """
    axes = spaces.space(space)
    asked = Question(budget(limits), objective(aims))
    program = network.program(spec)
    for axis in axes:
        param(program, axis)
    points = spaces.points(axes, trials, seed)
    tally, candidates = Tally(), []
    for point, answer in zip(points, analysed(program, asked, points, processes), strict=True):
        if isinstance(answer, dict):
            params = spaces.settings(point, defaults(program))
            candidates.append(Candidate(point, answer, params))
        else:
            tally.note(answer)
    if not candidates:
        raise nothing(tally, len(points))
    return Found(
        program, asked.aims, tuple(candidates), tuple(front(candidates, asked.aims)),
        tally.dropped, tally.refused.total(), 0, tally.reason, spaces.size(axes),
    )  # fmt: skip


def nothing(tally: Tally, tried: int) -> SearchError:
    """That no candidate is left, and why."""
    refused = tally.refused.total()
    said = f"none of {tried:,} candidates is left: {tally.dropped:,} do not keep to the budget"
    if not refused:
        return SearchError("E863", said, "a larger budget, or a space with smaller networks")
    said += f", {refused:,} the spec refuses, mostly: {tally.reason}"
    return SearchError("E863", said, "change the space, or the budget")


def defaults(program: Program) -> Mapping[str, Any]:
    """The params of the spec as they are without a search."""
    found: Mapping[str, Any] = program.graph.root.args
    return found


def param(program: Program, axis: Axis) -> None:
    """Raises SearchError where an axis is of no param of the spec."""
    head, *path = axis.name.split(".")
    known = defaults(program)
    if head not in known:
        help = did_you_mean(head, known) or "it has no params"
        raise SearchError("E861", f"`{program.spec.name}` has no param `{head}`", help)
    node = known[head]
    for step in path:
        if not isinstance(node, list) or not step.isdigit() or int(step) >= len(node):
            entries = f"entries 0 to {len(node) - 1}" if isinstance(node, list) else "no entries"
            raise SearchError("E861", f"`{axis.name}`: `{head}` has {entries}", f"`{head}=[…]`")
        node = node[int(step)]


# ------------------------------------------------------------------ one by one, or in processes

Answer = dict[str, float] | str | None
"""Figures; why the spec refuses the point; None: beyond the budget."""


def answers(program: Program, asked: Question, points: Sequence[Point]) -> Iterator[Answer]:
    """What the analysis says of points, one after the other."""
    given = defaults(program)
    several = [spaces.settings(point, given) for point in points]
    for params, candidate in zip(several, program.each(several), strict=True):
        try:
            yield _figures(asked, candidate or program.with_(**params))
        except SpecError as error:
            yield error.faults[0].message


def _figures(asked: Question, candidate: Network) -> dict[str, float] | None:
    """Those that are asked for; None where it is beyond the budget."""
    found: dict[str, float] = {}
    for bound in asked.bounds:
        name = bound.figure.name
        found[name] = bound.figure.of(candidate)
        if not bound.holds(found[name]):
            return None
    return {figure.name: figure.of(candidate) for figure in asked.figures}


def analysed(
    program: Program, asked: Question, points: Sequence[Point], processes: int = 1
) -> Iterator[Answer]:
    """An answer for each point, in order."""
    if processes == 1:
        yield from answers(program, asked, points)
        return
    share = max(1, len(points) // (8 * processes))
    parts = [points[i : i + share] for i in range(0, len(points), share)]
    with ProcessPoolExecutor(processes, initializer=_begin, initargs=(program, asked)) as pool:
        yield from chain.from_iterable(pool.map(_part, parts))


_ASKED: list[Any] = []  # of a process of the pool: what it asks of points


def _begin(program: Program, asked: Question) -> None:
    _ASKED[:] = [partial(answers, program, asked)]


def _part(points: Sequence[Point]) -> list[Answer]:
    return list(_ASKED[0](points))
