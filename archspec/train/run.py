"""A finished run, or one that is looked at again: its metrics, its best epoch, its curves."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from archspec.train.errors import TrainError, library
from archspec.train.log import Row, said

PLACES = frozenset({"phase", "epoch", "epochs", "step", "seconds", "lr"})
_COLUMNS = 3


@dataclass
class Run:
    """What came out of a training.

    `metrics` is a row an epoch: `train.loss`, `val.accuracy`, … `tables` is what is more than a
    number, of the last evaluation: a confusion matrix.
    """

    name: str
    metrics: list[Row]
    monitor: str
    falls: bool
    folder: Path | None = None
    tables: dict[str, Any] = field(default_factory=dict)
    stopped: str = ""

    @property
    def best(self) -> Row:
        """The row of the epoch that was best in what is monitored; the last where nothing is."""
        if not self.monitor:
            return self.last
        rows = [row for row in self.metrics if self.monitor in row]
        if not rows:
            raise TrainError("E808", f"no row has `{self.monitor}`", "the run has no epochs yet")
        sign = 1 if self.falls else -1
        return min(rows, key=lambda row: sign * row[self.monitor])

    @property
    def last(self) -> Row:
        """The row of the last epoch."""
        return self.metrics[-1]

    def points(self, key: str) -> list[tuple[int, float]]:
        """Epoch, from 1 over all phases, and what a metric was after it."""
        return [(n, row[key]) for n, row in enumerate(self.metrics, 1) if key in row]

    def plot(self, path: str | Path | None = None) -> Any:
        """The curves, as a figure of matplotlib; written where a path is given (.png, .svg, .pdf).

        In the run's folder as curves.png where there is one and no path is given.
        """
        figure = curves([self])
        target = Path(path) if path is not None else self.folder and self.folder / "curves.png"
        if target:
            figure.savefig(target, dpi=150)
        return figure

    def __repr__(self) -> str:
        head = f"<Run {self.name}: {len(self.metrics)} epochs"
        return f"{head}, best {said(self.best)}>" if self.metrics else f"{head}>"


def curves(runs: Sequence[Run]) -> Any:
    """Curves of several runs in one picture: axes for each metric, a colour for each run."""
    figures = library("matplotlib.figure", "drawing curves")
    keys = [key for run in runs for row in run.metrics for key in row if key not in PLACES]
    names = list(dict.fromkeys(key.partition(".")[2] for key in keys))
    columns = min(len(names), _COLUMNS) or 1
    lines = -(-len(names) // columns)
    figure = figures.Figure(figsize=(4 * columns, 3 * max(lines, 1)), layout="constrained")
    for place, name in enumerate(names, 1):
        axes = figure.add_subplot(lines, columns, place, title=name, xlabel="epoch")
        for number, run in enumerate(runs):
            for part, style in (("train", "--"), ("val", "-")):
                label = f"{run.name} {part}" if len(runs) > 1 else part
                points = run.points(f"{part}.{name}")
                if points:
                    axes.plot(*zip(*points, strict=True), style, color=f"C{number}", label=label)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.legend(frameon=False, fontsize="small")
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def load_run(folder: str | Path) -> Run:
    """A run as its folder tells of it. Raises TrainError."""
    from archspec.train import state

    folder = Path(folder)
    record = state.facts_of(state.found(folder, state.LAST))
    lines = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    at = record["at"]
    return Run(folder.name, list(map(json.loads, lines)), at["monitor"], at["falls"], folder)
