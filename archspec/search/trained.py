"""Points → trained candidates: a study of Optuna's, which learns where good points are.

    ask    a point: params of the spec, keys of the plan        Optuna's sampler
    drop   what is beyond the budget, or the spec refuses       the analysis; nothing is trained
    train  the network of the point by the plan of the point
    prune  after an epoch, what is worse than the others were   Optuna's pruner, of one aim
    tell   the figures

A study is all there is to know: what is found is read back from it, so a search that was cut off,
or that several machines share, goes on with what is there.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archspec import network
from archspec.search import space as spaces
from archspec.search.candidates import (
    Question,
    Tally,
    answers,
    defaults,
    nothing,
    param,
    trained,
)
from archspec.search.errors import SearchError
from archspec.search.figures import budget, objective
from archspec.search.front import Candidate, Found, front, said, shown
from archspec.search.space import Axis, Choices, Point, Whole
from archspec.text.words import did_you_mean, written
from archspec.train import reading
from archspec.train.errors import TrainError, library

if TYPE_CHECKING:
    from archspec.network import Program
    from archspec.train.plan import Plan

TRIALS = 20
_AGAIN, _MEANWHILE = 10, re.compile("already exists|UNIQUE|duplicate|locked")
_MISSES = 300  # points in a row that cannot be trained, before a study ends
_NUMBERS = "E807"  # a training whose numbers are no longer finite says nothing of others
_NOT_SEARCHED = frozenset({"source", "data", "log", "task", "phases"})
_EXTRA = "pip install 'archspec[search]'"


@dataclass(frozen=True, slots=True)
class Kept:
    """Where a study is kept, under which name; None: in memory."""

    storage: str | None = None
    name: str | None = None
    seed: int = 0


def study(
    spec: str | Path | Program,
    space: Sequence[str],
    limits: str = "",
    aims: str = "max val.accuracy",
    *,
    data: Any,
    plan: reading.Planned | None = None,
    trials: int = TRIALS,
    kept: Kept | None = None,
    quiet: bool = False,
    **keys: Any,
) -> Found:
    """Search params of a spec, and keys of a plan, by training under a budget.

    `space`, `limits` and `aims` as for `find`; the space may name keys of a plan (`batch`, …) and
    arguments of its optimizer (`lr`, `weight_decay`), the aims what training measures. `data`,
    `plan` and `keys` as for `train.fit`. The study ends when `trials` were trained in all.

    Raises SearchError; SpecError where spec or plan are wrong; TrainError where they and the data
    do not go together.
    """
    axes = spaces.space(space)
    asked = Question(budget(limits), objective(aims, measured=("val.", "train.")))
    if not any(trained(aim.figure.name) for aim in asked.aims):
        said = "no aim is measured by training"
        raise SearchError("E862", said, "`max val.accuracy`, or leave the data out")
    search = _Study(network.program(spec), axes, asked, _Training(data, reading.given(plan, keys)))
    search.check()
    search.run(kept or Kept(), trials, quiet)
    return search.found()


@dataclass(frozen=True)
class _Training:
    """On what, and how."""

    data: Any
    plan: Plan

    def planned(self, keys: Mapping[str, Any]) -> Plan:
        """The plan with keys of a point set; those that are no key of a plan are the optimizer's.

        Raises SpecError.
        """
        own = {name: value for name, value in keys.items() if name in _keys(self.plan)}
        found = reading.given(self.plan, own) if own else self.plan
        rest = {name: value for name, value in keys.items() if name not in own}
        if not rest:
            return found
        optimizer = found.optimizer
        args = {optimizer.name: {**optimizer.args, **rest}}
        return reading.given(found, {"optimizer": args})

    @property
    def source(self) -> dict[str, Any]:
        """`data` of a plan, where the data can be written in one."""
        given = self.data if isinstance(self.data, dict) else {"train": self.data}
        plain = all(isinstance(value, (str, int, float)) for value in given.values())
        return {"data": given} if plain else {}

    def text(self, keys: Mapping[str, Any]) -> str:
        """The plan of a point, as a file has it."""
        found = self.planned(keys)
        return reading.given(found, self.source).source.text


def _keys(plan: Plan) -> set[str]:
    return set(type(plan).model_fields) - _NOT_SEARCHED


@dataclass
class _Study:
    """A search on its way."""

    program: Program
    axes: tuple[Axis, ...]
    asked: Question
    training: _Training

    def check(self) -> None:
        """Raises SearchError where an axis is of nothing that there is."""
        from archspec.train import named

        plan = self.training.plan
        params = defaults(self.program)
        arguments = named.arguments(named.optimizers()[plan.optimizer.name])
        known = [*params, *_keys(plan), *arguments]
        for axis in self.axes:
            if axis.name.partition(".")[0] in params:
                param(self.program, axis)
            elif axis.name not in known:
                said = f"neither `{self.program.spec.name}` nor the plan has `{axis.name}`"
                raise SearchError("E861", said, did_you_mean(axis.name, known))
            elif axis.name == "decay" and not isinstance(axis, Choices):
                said = "`decay` of a plan says what decays: `weights` or `all`"
                raise SearchError("E861", said, "how much is `weight_decay=1e-5..1e-1:log`")

    @cached_property
    def optuna(self) -> Any:
        return library("optuna", "a search with training", _EXTRA)

    def run(self, kept: Kept, trials: int, quiet: bool) -> None:
        """Until so many were trained, or none is left to train."""
        self.study = self._opened(kept)
        misses, size = 0, spaces.size(self.axes)
        while self._done() < trials and misses < _MISSES and len(self._points()) < size:
            trial = self.study.ask()
            # seeded by its number, which is its own: processes that share a study draw apart
            self.study.sampler = self.optuna.samplers.TPESampler(seed=kept.seed + trial.number)
            point = {axis.name: _suggested(trial, axis) for axis in self.axes}
            taken = written(point) in self._points()
            figures = None if taken else self._analysed(trial, point)
            if figures is None:
                self.study.tell(trial, state=self.optuna.trial.TrialState.PRUNED)
                misses += 1
                continue
            misses = 0
            self._tried(trial, point, figures)
            if not quiet:
                print(self._line(trial), file=sys.stderr, flush=True)

    def _opened(self, kept: Kept) -> Any:
        """The study, new or gone on with. Raises SearchError."""
        self.optuna.logging.set_verbosity(self.optuna.logging.WARNING)
        name = kept.name or self.program.name
        found = self._created(name, kept.storage)
        choice = self.program.choice
        now = {
            "space": list(map(str, self.axes)), "question": str(self.asked),
            "plan": self.training.text({}), "spec": self.program.source.text,
            "choice": [choice.variant, str(dict(choice.params)), str(dict(choice.inputs))],
        }  # fmt: skip
        before = found.user_attrs.get("search", now)
        changed = [key for key in now if now[key] != before[key]]
        if changed:
            said = f"the study `{name}` in `{kept.storage}` had another {changed[0]}"
            raise SearchError("E865", said, "go on with what it had, or --study another name")
        found.set_user_attr("search", now)
        found.pruner = self.optuna.pruners.MedianPruner()
        return found

    def _created(self, name: str, storage: str | None, again: int = _AGAIN) -> Any:
        """A study in a database, also where another process is just making its tables."""
        directions = ["minimize" if aim.falls else "maximize" for aim in self.asked.aims]
        try:
            return self.optuna.create_study(
                storage=storage, study_name=name, load_if_exists=True, directions=directions
            )
        except Exception as bad:  # whatever the database's driver raises
            reason = " ".join(str(bad).split())[:120]
            if again == 0 or not _MEANWHILE.search(reason):
                said = f"the storage `{storage}` cannot be used: {reason}"
                raise SearchError("E865", said, "for example sqlite:///study.db") from None
        time.sleep(0.2)
        return self._created(name, storage, again - 1)

    def _points(self) -> set[str]:
        """All that was tried, or dropped."""
        return {written(one.user_attrs["point"]) for one in self._trials() if one.user_attrs}

    def _trials(self) -> list[Any]:
        found: list[Any] = self.study.get_trials(deepcopy=False)
        return found

    def _done(self) -> int:
        return sum("figures" in t.user_attrs and t.state.is_finished() for t in self._trials())

    def _split(self, point: Point) -> tuple[Point, Point]:
        """What is of the spec, and what of the plan."""
        params = defaults(self.program)
        ours = {name: v for name, v in point.items() if name.partition(".")[0] in params}
        return ours, {name: v for name, v in point.items() if name not in ours}

    def _analysed(self, trial: Any, point: Point) -> dict[str, float] | None:
        """What the analysis says; None where the point is not to be trained."""
        trial.set_user_attr("point", point)
        (found,) = answers(self.program, self.asked, [self._split(point)[0]])
        if isinstance(found, dict):
            trial.set_user_attr("figures", found)
            return found
        trial.set_user_attr("left", found)
        return None

    def _tried(self, trial: Any, point: Point, figures: dict[str, float]) -> None:
        """Trains, and tells the study what became of it."""
        state = self.optuna.trial.TrialState
        try:
            figures = {**figures, **self._trained(trial, point)}
        except self.optuna.TrialPruned:
            self.study.tell(trial, state=state.PRUNED)
        except TrainError as error:
            if error.code != _NUMBERS:
                self.study.tell(trial, state=state.FAIL)
                raise
            trial.set_user_attr("left", error.message)
            self.study.tell(trial, state=state.FAIL)
        else:
            trial.set_user_attr("figures", figures)
            self.study.tell(trial, [figures[aim.figure.name] for aim in self.asked.aims])

    def _trained(self, trial: Any, point: Point) -> dict[str, float]:
        """What training measured after the last epoch."""
        from archspec.module import build
        from archspec.train import fit
        from archspec.train.state import seed_all

        ours, keys = self._split(point)
        plan = self.training.planned(keys)
        seed_all(plan.seed)
        model = build(self.program.with_(**spaces.settings(ours, defaults(self.program))))
        (first, *others), epochs = self.asked.aims, 0

        def after(row: Mapping[str, Any]) -> None:
            nonlocal epochs
            epochs += 1
            self._measured(row)
            if others:  # Optuna prunes by one aim only
                return
            trial.report(row[first.figure.name], epochs)
            if trial.should_prune():
                raise self.optuna.TrialPruned

        run = fit(model, self.training.data, plan=plan, log=None, quiet=True, after=after)
        return {name: run.last[name] for name in self._measured(run.last)}

    def _measured(self, row: Mapping[str, Any]) -> list[str]:
        """The aims that training measures. Raises SearchError where it does not."""
        names = [aim.figure.name for aim in self.asked.aims if trained(aim.figure.name)]
        for name in names:
            if name not in row:
                known = [key for key in row if trained(key)]
                help = did_you_mean(name, known)
                raise SearchError("E862", f"nothing is measured that is called `{name}`", help)
        return names

    def _line(self, trial: Any) -> str:
        """A trial in words."""
        attrs = self.study.get_trials(deepcopy=False)[trial.number].user_attrs
        point = "  ".join(f"{name}={shown(value)}" for name, value in attrs["point"].items())
        names = [aim.figure.name for aim in self.asked.aims if aim.figure.name in attrs["figures"]]
        figures = "  ".join(f"{name} {said(name, attrs['figures'][name])}" for name in names)
        return f"{self._done()}: {point}  {figures or attrs.get('left', 'pruned')}"

    def found(self) -> Found:
        """What the study holds. Raises SearchError where that is nothing."""
        states = self.optuna.trial.TrialState
        tally, candidates, pruned = Tally(), [], 0
        for trial in self._trials():
            attrs = trial.user_attrs
            if "left" in attrs:
                tally.note(attrs["left"])
            elif trial.state == states.COMPLETE:
                ours, keys = self._split(attrs["point"])
                params = spaces.settings(ours, defaults(self.program))
                plan = self.training.text(keys)
                candidates.append(Candidate(attrs["point"], attrs["figures"], params, plan))
            elif trial.state == states.PRUNED and "figures" in attrs:
                pruned += 1
        if not candidates:
            raise nothing(tally, tally.dropped + tally.refused.total() + pruned)
        aims = self.asked.aims
        return Found(
            self.program, aims, tuple(candidates), tuple(front(candidates, aims)),
            tally.dropped, tally.refused.total(), pruned, tally.reason, spaces.size(self.axes),
        )  # fmt: skip


def _suggested(trial: Any, axis: Axis) -> Any:
    """A value of an axis, by Optuna's sampler."""
    if isinstance(axis, Choices):
        values = {written(value): value for value in axis.values}
        return values[trial.suggest_categorical(axis.name, list(values))]
    if isinstance(axis, Whole):
        high = axis.low + (axis.size - 1) * axis.step
        return trial.suggest_int(axis.name, axis.low, high, step=axis.step, log=axis.log)
    if not axis.step:
        return trial.suggest_float(axis.name, axis.low, axis.high, log=axis.log)
    most = axis.low + (axis.size - 1) * axis.step
    return trial.suggest_float(axis.name, axis.low, most, step=axis.step)
