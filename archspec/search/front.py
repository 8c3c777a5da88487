"""Candidates → Found: those that no other beats, as a table and a picture.

params  macs                                front, for `min params, min macs`:
A  3     9
B  5     4          C is beaten by B        A, B
C  6     5
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archspec.report.table import Cell, Column, Table
from archspec.search.figures import BYTES, Aim, Figure
from archspec.text.words import written
from archspec.units import count, size

if TYPE_CHECKING:
    from archspec.network import Program
    from archspec.search.space import Point


@dataclass(frozen=True, slots=True)
class Candidate:
    """A point of the space: what it sets of the spec, what it comes to."""

    point: Point
    figures: Mapping[str, float]
    params: Mapping[str, Any]
    plan: str = ""  # how it was trained, as a plan file says it


def front(candidates: Sequence[Candidate], aims: Sequence[Aim]) -> list[Candidate]:
    """Those that no other is as good as in every aim and better in one; the best of the first aim
    first. Of equals the first counts.
    """
    keyed = [
        (tuple(aim.sign * one.figures[aim.figure.name] for aim in aims), one) for one in candidates
    ]
    found: list[tuple[tuple[float, ...], Candidate]] = []
    for key, one in sorted(keyed, key=lambda pair: pair[0]):
        # sorted: whoever beats it, or equals it, stands before it
        if not any(all(a <= b for a, b in zip(other, key, strict=True)) for other, _ in found):
            found.append((key, one))
    return [one for _, one in found]


@dataclass(frozen=True, slots=True)
class Found:
    """What a search came to. `dropped` did not keep to the budget, `refused` the spec refuses."""

    program: Program
    aims: tuple[Aim, ...]
    candidates: tuple[Candidate, ...]
    front: tuple[Candidate, ...]
    dropped: int = 0
    refused: int = 0
    pruned: int = 0
    reason: str = ""  # the commonest, of those refused
    space: float = 0  # how many points there are

    @property
    def best(self) -> Candidate:
        """The first of the front."""
        return self.front[0]

    def table(self, most: int = 20) -> Table:
        """The front, the best of the first aim first."""
        names = list(self.front[0].point)
        figures = list(self.front[0].figures)
        columns = [Column("#", right=True), *(Column(name, right=True) for name in names)]
        columns += [Column(name, right=True) for name in figures]
        rows: list[tuple[Cell, ...]] = [
            (
                number,
                *(shown(one.point[name]) for name in names),
                *(said(name, one.figures[name]) for name in figures),
            )
            for number, one in enumerate(self.front[:most], 1)
        ]
        aims = ", ".join(f"{'min' if aim.falls else 'max'} {aim.figure.name}" for aim in self.aims)
        return Table(
            f"{self.program.name}: {aims}", tuple(columns), rows, None, self._remarks(most)
        )

    def _remarks(self, most: int) -> tuple[tuple[str, str], ...]:
        tried = len(self.candidates) + self.dropped + self.refused + self.pruned
        beyond = f" of {self.space:,.0f}" if tried < self.space < 1e15 else ""
        found = [("candidates", f"{tried:,}{beyond}"), ("in budget", f"{len(self.candidates):,}")]
        if self.pruned:
            found.append(("pruned", f"{self.pruned:,}, stopped early"))
        if self.refused:
            found.append(("refused", f"{self.refused:,}, mostly: {self.reason}"))
        hidden = len(self.front) - most
        found.append(
            ("no other beats", f"{len(self.front):,}" + (f", {most} shown" * (hidden > 0)))
        )
        return tuple(found)

    def plot(self, path: str | Path | None = None) -> Any:
        """The first two aims of every candidate and the front, as a figure of matplotlib.

        With one aim, it against the multiply-accumulates. Written where a path is given.
        """
        from archspec.train.errors import library

        figures = library("matplotlib.figure", "drawing candidates")
        aims = self.aims[:2] if len(self.aims) > 1 else (*self.aims, self._cost())
        x, y = _axes(aims)
        shown = self.front if len(self.aims) > 1 else front(self.candidates, aims)
        figure = figures.Figure(figsize=(5, 3.6), layout="constrained")
        axes = figure.add_subplot(xlabel=x, ylabel=y, title=self.program.name)
        every = [(one.figures[x], one.figures[y]) for one in self.candidates]
        best = sorted((one.figures[x], one.figures[y]) for one in shown)
        axes.scatter(*zip(*every, strict=True), s=10, color="0.72", label="in budget")
        # a front of two aims is a staircase; of more, points among others
        rises = any(aim.figure.name == x and not aim.falls for aim in aims)
        stairs = {"drawstyle": "steps-pre" if rises else "steps-post"}
        line = stairs if len(self.aims) <= 2 else {"linestyle": ""}
        axes.plot(*zip(*best, strict=True), marker="o", ms=4, lw=1, **line, label="no other beats")
        for side in (axes.xaxis, axes.yaxis):
            side.set_major_formatter(lambda value, _: _short(value))
        figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize="small")
        axes.spines[["top", "right"]].set_visible(False)
        if path is not None:
            figure.savefig(path, dpi=150)
        return figure

    def _cost(self) -> Aim:
        """What a single aim is drawn against."""
        macs = self.aims[0].figure.name == "macs"
        return Aim(Figure("params" if macs else "macs"), falls=True)


def _axes(aims: Sequence[Aim]) -> tuple[str, str]:
    """What is drawn to the right, and up: costs to the right."""
    names = [aim.figure.name for aim in aims]
    up = next((aim.figure.name for aim in aims if not aim.falls), names[0])
    return next(name for name in names if name != up), up


def said(name: str, value: float) -> str:
    """A figure as a table shows it."""
    if name in BYTES:
        return size(int(value))
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4g}"


def shown(value: Any) -> str:
    """The value of a param, short."""
    return f"{value:.4g}" if isinstance(value, float) else written(value)


def _short(value: float) -> str:
    whole = abs(value) >= 1000
    return count(round(value)).rstrip() if whole else f"{value:g}"
