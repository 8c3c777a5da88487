"""`fit` against a plain torch loop: what its bookkeeping costs an update.

    python benchmarks/train.py              both networks
    python benchmarks/train.py --tiny       the CNN on 8×8 digits alone

Both loops do the same work on the same batches: forward, loss, backward, SGD with momentum, and the
sum of the loss that every loop shows. They take turns in one process, on one thread, an epoch at a
time. Seconds are of the processor, so that what else the machine does does not count; the figure is
the median of the ratios.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import archspec
from archspec.train import engine, reading, state
from archspec.train.start import prepare

TINY = """\
spec: 1
name: tiny
input: [1, 8, 8]
body:
  - {conv: {out: 16, kernel: 3, padding: 1}}
  - relu
  - {conv: {out: 32, kernel: 3, padding: 1}}
  - relu
  - max_pool: 2
  - flatten
  - {linear: 64}
  - relu
  - {linear: 10}
"""
SGD = {"lr": 0.01, "momentum": 0.9}


def plain(model: nn.Module, x: Any, y: Any, batch: int) -> Iterator[float]:
    """A loop as one writes it: seconds of each epoch."""
    optimizer = torch.optim.SGD(model.parameters(), **SGD)
    loader = DataLoader(TensorDataset(x, y), batch, shuffle=True)
    model.train()
    while True:
        start = time.process_time()
        total = 0.0
        for xs, ys in loader:
            loss = nn.functional.cross_entropy(model(xs), ys)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            total += loss.item()
        yield time.process_time() - start


def ours(model: nn.Module, x: Any, y: Any, batch: int) -> Iterator[float]:
    """The loop of `fit`, evaluation and checkpoints left out, which a plain loop lacks."""
    plan = reading.given(None, {
        "batch": batch, "epochs": 10**6, "optimizer": {"sgd": SGD}, "log": None, "decay": "all",
        "data": {"val": 0, "normalize": "none"},
    })  # fmt: skip
    training = engine.Training(prepare(model, (x, y), plan, quiet=True), engine.accelerator(plan))
    training.screen = engine.log.Screen(0, 0, quiet=True)
    training.enter()
    while True:
        start = time.process_time()
        training.epoch()
        yield time.process_time() - start


def compare(name: str, spec: Any, samples: int, batch: int, epochs: int, **params: Any) -> float:
    program = spec if isinstance(spec, archspec.Program) else archspec.load(spec, **params)
    shape = program.graph.steps[0].outs[0].shape
    x, y = torch.randn(samples, *shape), torch.randint(10, (samples,))
    loops = [loop(archspec.build(program), x, y, batch) for loop in (plain, ours)]
    for loop in loops:
        next(loop)
    times = [[next(loop) for loop in loops] for _ in range(epochs)]
    ratio = statistics.median(b / a for a, b in times)
    steps = -(-samples // batch)
    first, last = (statistics.median(column) / steps * 1000 for column in zip(*times, strict=True))
    print(f"{name:<24} plain {first:8.3f} ms a step   fit {last:8.3f} ms   ratio {ratio:.3f}")
    return ratio


if __name__ == "__main__":
    torch.set_num_threads(1)
    state.seed_all(0)
    compare("tiny CNN, 8×8", archspec.loads(TINY, name="tiny"), 1472, 64, 40)
    if "--tiny" not in sys.argv:
        small = archspec.load("resnet50", "resnet18", inputs={"input": (3, 64, 64)}, classes=10)
        compare("ResNet-18, 64×64", small, 128, 32, 10)
