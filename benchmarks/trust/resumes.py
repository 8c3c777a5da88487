"""Runs by random plans, cut off twice and gone on with, against the same runs left alone.

The plans draw from all that a plan can say: any optimizer of torch, schedules, phases, rates by
path, averages of weights, several batches a step, clipping, bf16, augmentation, early stopping.
Weights and metrics are to be the same to the bit, and the best checkpoint the same one.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

import archspec
from archspec.train import engine, start, state
from archspec.train.named import optimizers
from archspec.train.run import Run
from benchmarks.trust.runs import SPEC

_SPECIAL = {"sparseadam", "muon"}  # for sparse gradients; for matrices alone


def a_plan(draw: random.Random) -> dict[str, Any]:
    """Some keys of a plan."""
    optimizer = draw.choice(sorted(set(optimizers()) - _SPECIAL))
    choices: dict[str, list[Any]] = {
        "optimizer": [
            {optimizer: {}}, {optimizer: {"lr": 0.01}},
            {"sgd": {"lr": 0.05, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01}},
        ],
        "schedule": [
            "cosine", "one_cycle", {"plateau": {"patience": 0, "warmup": 1}},
            {"step": {"every": 1}}, {"cosine": {"warmup": 0.2}},
        ],
        "ema": [0.9], "clip": [0.5], "accumulate": [2, 3], "update_bn": [True],
        "precision": ["bf16"], "label_smoothing": [0.1], "stop": [{"patience": 1}],
        "decay": ["all"], "frozen_norm": ["train"],
        "phases": [[
            {"train": draw.choice([["fc"], ["conv", "fc"], "all"]), "epochs": 2},
            {"train": draw.choice(["all", ["fc", "bn"]]), "epochs": 2, "lr": 0.01},
            {"lr": {"fc": 0.02}, "epochs": 1, "layer_decay": 0.5},
        ]],
    }  # fmt: skip
    found = {key: draw.choice(some) for key, some in choices.items() if draw.random() < 0.4}
    size = {
        "epochs": draw.randint(1, 4),
        "batch": draw.choice([7, 16, 50]),
        "seed": draw.randint(0, 9),
    }
    return {**size, **found}


def some_data(draw: random.Random) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(60) % 10
    x = torch.randn(10, 1, 8, 8, generator=generator)[y] + torch.randn(
        60, 1, 8, 8, generator=generator
    )
    augment = [{"rotate": 10}, {"crop": 1}, {"contrast": 0.2}] if draw.random() < 0.5 else []
    return {"train": (x, y), "val": draw.choice([0, 0.2]), "augment": augment}


def cut(at: int | None, work: Any) -> Run | None:
    """What a run gives that ends before an update all at once, or at its end."""
    update = engine.Training.update

    def ended(self: Any, *args: Any) -> None:
        if self.at.steps == at:
            raise KeyboardInterrupt
        update(self, *args)

    engine.Training.update = ended  # type: ignore[method-assign]
    try:
        found: Run = work()
        return found
    except KeyboardInterrupt:
        return None
    finally:
        engine.Training.update = update  # type: ignore[method-assign]


def same(plan: dict[str, Any], draw: random.Random, place: Path) -> bool:
    """Whether one plan's run is the same, cut off or not."""
    data = some_data(draw)

    def begin(folder: Path) -> Run:
        torch.manual_seed(1)
        log = {"folder": str(folder), "save": draw.choice([1, 2, 5])}
        return start.fit(archspec.build(archspec.loads(SPEC)), data, quiet=True, log=log, **plan)

    def go_on() -> Run:
        return start.resume(place / "cut", data, quiet=True)

    whole = begin(place / "whole")
    steps = whole.last["step"]
    other = None
    for at in [*sorted(draw.sample(range(steps), min(2, steps))), None]:
        started = state.pointed(place / "cut", state.LAST) is not None
        other = cut(at, go_on if started else lambda: begin(place / "cut"))
    assert other is not None
    a, b = (
        load_file(state.found(place / name, state.LAST) / "model.safetensors")
        for name in ("whole", "cut")
    )
    rows = [[{**row, "seconds": 0} for row in run.metrics] for run in (whole, other)]
    best = [state.found(place / name, state.BEST).name for name in ("whole", "cut")]
    return all(torch.equal(a[n], b[n]) for n in a) and rows[0] == rows[1] and best[0] == best[1]


def trial(seed: int, folder: Path) -> Iterator[str]:
    torch.set_num_threads(1)
    draw = random.Random(seed)
    plan = a_plan(draw)
    yield "the same bits" if same(plan, draw, folder) else f"OTHER BITS: {plan}"
