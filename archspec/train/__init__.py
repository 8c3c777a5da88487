"""Plan → a trained network: data, a task, an optimizer and phases, on accelerate.

    run = archspec.train.fit(model, "digits", epochs=20, optimizer={"adamw": {"lr": 0.01}})

Read in this order: `plan` and `reading` (what is wanted), `samples`, `loading` and `sets` (what is
learned from), `tasks` (what is learned), `groups` and `schedule` (what moves, how fast), `engine`
(the loop), `state` (what a run keeps), `start`, `use` and `pretrained` (what one calls).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from archspec.train.errors import member

if TYPE_CHECKING:
    from archspec.train.errors import InterruptedTrainingError, TrainError
    from archspec.train.generating import generate
    from archspec.train.growing import carry, grow
    from archspec.train.inputs import padded
    from archspec.train.page import report
    from archspec.train.plan import Plan
    from archspec.train.pretrained import from_pretrained, push_to_hub, save_pretrained
    from archspec.train.reading import given as read
    from archspec.train.run import Run, curves, load_run
    from archspec.train.start import fit, overfit_one_batch, resume
    from archspec.train.use import evaluate, load, predict

_HOME = {
    "InterruptedTrainingError": "errors", "TrainError": "errors", "Plan": "plan", "Run": "run",
    "curves": "run", "load_run": "run", "report": "page", "fit": "start",
    "overfit_one_batch": "start", "resume": "start", "evaluate": "use", "load": "use",
    "predict": "use", "from_pretrained": "pretrained", "push_to_hub": "pretrained",
    "save_pretrained": "pretrained", "generate": "generating", "carry": "growing",
    "grow": "growing", "padded": "inputs",
}  # fmt: skip

__all__ = [
    "InterruptedTrainingError", "Plan", "Run", "TrainError", "carry", "curves", "evaluate", "fit",
    "from_pretrained", "generate", "grow", "load", "load_run", "overfit_one_batch", "padded",
    "predict", "push_to_hub", "read", "report", "resume", "save_pretrained",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name == "read":
        return import_module("archspec.train.reading").given
    if name not in _HOME:
        raise AttributeError(f"module `archspec.train` has no attribute `{name}`")
    return member(f"archspec.train.{_HOME[name]}", name, "training")
