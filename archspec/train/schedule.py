"""Step → factor of the learning rate: a function of how far a phase is, and nothing else.

So a run that goes on needs no state for it, but for `plateau`, whose memory is three numbers.

    cosine, warmup 10, 110 steps      step 0: 0.1, step 9: 1.0, step 60: 0.5, step 110: 0.0

The same numbers as torch.optim.lr_scheduler's, with whom the tests compare; those keep a state for
each group, count their own calls, and cannot be joined with a warm-up where one counts epochs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from archspec.train.plan import Cosine, OneCycle, Plateau, Schedule, Step


@dataclass
class Rate:
    """The factor over a phase of so many `steps`, so many of them an epoch."""

    plan: Schedule
    steps: int
    an_epoch: int
    falling: bool = True  # whether what plateau watches is better when smaller
    best: float | None = field(default=None, init=False)
    waited: int = field(default=0, init=False)
    lowered: float = field(default=1.0, init=False)

    @property
    def warmup(self) -> int:
        """Steps."""
        given = self.plan.warmup
        return round(given * self.steps) if given < 1 else int(given)

    def at(self, step: int) -> float:
        """The factor for the update with number `step`, from 0."""
        warm = min(1.0, (step + 1) / self.warmup) if self.warmup else 1.0
        return warm * self.lowered * self._shape(step)

    def _shape(self, step: int) -> float:
        plan, after = self.plan, step - self.warmup
        whole = max(1, self.steps - self.warmup)
        if isinstance(plan, Step):
            epoch = step // self.an_epoch
            times = sum(epoch >= n for n in plan.at) if plan.at else epoch // plan.every
            return plan.gamma**times
        if isinstance(plan, Cosine):
            share = min(max(after, 0) / whole, 1.0)
            return plan.end + (1 - plan.end) * (1 + math.cos(math.pi * share)) / 2
        if isinstance(plan, OneCycle):
            return _one_cycle(plan, max(after, 0), whole)
        return 1.0

    def watched(self, value: float) -> None:
        """What was measured after an epoch: plateau lowers the rate where it is not better."""
        plan = self.plan
        if not isinstance(plan, Plateau):
            return
        sign = 1 if self.falling else -1
        if self.best is None or sign * value < sign * self.best - plan.threshold * abs(self.best):
            self.best, self.waited = value, 0
            return
        self.waited += 1
        if self.waited > plan.patience:
            self.lowered, self.waited = max(self.lowered * plan.factor, plan.least), 0

    def state(self) -> dict[str, Any]:
        return {"best": self.best, "waited": self.waited, "lowered": self.lowered}

    def restore(self, state: dict[str, Any]) -> None:
        self.best, self.waited, self.lowered = state["best"], state["waited"], state["lowered"]


def _one_cycle(plan: OneCycle, step: int, steps: int) -> float:
    """Two halves of a cosine, up and down, as torch's OneCycleLR has them."""
    top, last = plan.rise * steps - 1, steps - 1
    if step <= top:
        low, high, share = plan.start, 1.0, step / top if top > 0 else 1.0
    else:
        low, high, share = 1.0, plan.end, min((step - top) / max(last - top, 1), 1.0)
    return high + (low - high) * (1 + math.cos(math.pi * share)) / 2
