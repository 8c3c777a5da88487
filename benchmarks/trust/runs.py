"""A run that is killed again and again, and gone on with, against one that never was.

Twenty kills a seed, at random places, such as `step:7` and `write:20`. `step:7` kills before the
seventh update of the run; `write:20` at the twentieth time that something is brought to the disk,
in the middle of writing a checkpoint. Each piece of a run is a process of its own, forked from one
that has imported torch and computed nothing. The network has batch norm and dropout, the plan
augmentation, two phases, momentum, warm-up, an average of weights, and for every second piece two
processes that load. Both runs are to end with the same bits.
"""

from __future__ import annotations

import gc
import hashlib
import json
import os
import random
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import accelerate  # noqa: F401  (this and others here, so that no piece has to)
import sklearn.datasets  # noqa: F401
import torch
import torch._dynamo
import torch.distributed.fsdp
from safetensors.torch import load_file

import archspec
import archspec.emit
import archspec.module
from archspec.train import engine, reading, start, state

gc.freeze()  # a piece that collects garbage would look through all of these

SPEC = """\
spec: 1
name: killed
input: [1, 8, 8]
body:
  - {id: conv, conv: {out: 8, kernel: 3, padding: 1, bias: false}}
  - {id: bn, batch_norm: {}}
  - relu
  - max_pool: 2
  - flatten
  - dropout: 0.2
  - {id: fc, linear: 10}
head: fc
"""
PLAN: dict[str, Any] = {
    "batch": 64, "optimizer": {"sgd": {"lr": 0.1, "momentum": 0.9, "weight_decay": 1e-3}},
    "schedule": {"cosine": {"warmup": 5}}, "ema": 0.9, "update_bn": True, "clip": 1.0, "seed": 3,
    "phases": [{"name": "head", "train": "fc", "epochs": 2, "lr": 0.05}, {"epochs": 2}],
}  # fmt: skip
DATA = {"train": "digits", "samples": 640, "augment": [{"rotate": 10}, {"translate": 0.1}]}
STEPS = 40


def piece(folder: Path, kill: str, workers: int) -> None:
    """Begin the run, or go on with it, until it is killed or over."""
    torch.set_num_threads(1)
    _armed(kill)
    plan = {**PLAN, "log": {"folder": str(folder), "save": 3}}
    plan["data"] = {**DATA, "workers": workers}
    if state.pointed(folder, state.LAST) is None:
        torch.manual_seed(0)
        start.fit(archspec.build(archspec.loads(SPEC)), plan=reading.given(None, plan), quiet=True)
    else:
        start.resume(folder, quiet=True)


def _armed(kill: str) -> None:
    """Kills this process at a place."""
    what, _, number = kill.partition(":")
    if what == "step":
        update = engine.Training.update

        def killed(self: Any, *args: Any) -> None:
            if self.at.steps >= int(number) - 1:  # or at once: the piece before came further
                os.kill(os.getpid(), signal.SIGKILL)
            update(self, *args)

        engine.Training.update = killed  # type: ignore[method-assign]
    elif what == "write":
        sync, done = os.fsync, [0]

        def counted(handle: int) -> None:
            done[0] += 1
            if done[0] == int(number):
                os.kill(os.getpid(), signal.SIGKILL)
            sync(handle)

        os.fsync = counted


def forked(folder: Path, kill: str, workers: int) -> int:
    """A piece in a process of its own: the signal that ended it, or 0."""
    child = os.fork()
    if child == 0:
        try:
            piece(folder, kill, workers)
        except BaseException as failed:
            print(f"{type(failed).__name__}: {failed}", file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        raise SystemExit(f"a piece failed: {kill}")
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0


def digest(folder: Path) -> str:
    """Of the last checkpoint's weights, and of the metrics but for the seconds."""
    whole = hashlib.sha256()
    # not of the file: safetensors writes its metadata in an order that is another every time
    for name, value in sorted(
        load_file(state.found(folder, state.LAST) / "model.safetensors").items()
    ):
        whole.update(name.encode() + value.numpy().tobytes())
    for line in (folder / "metrics.jsonl").read_text().splitlines():
        row = json.loads(line)
        row.pop("seconds")
        whole.update(json.dumps(row).encode())
    return whole.hexdigest()


def compare(kills: Sequence[str], folder: Path) -> bool:
    """Whether a run with these kills ends as one without."""
    folder.mkdir(exist_ok=True)
    forked(folder / "whole", "", 0)
    ended = [forked(folder / "killed", kill, i % 2 * 2) for i, kill in enumerate(kills)]
    forked(folder / "killed", "", 0)
    assert any(ended)  # what is to be killed behind the last write of all ends by itself
    return digest(folder / "whole") == digest(folder / "killed")


def at_random(draw: random.Random, number: int) -> list[str]:
    """Ever later steps, and writes in between."""
    steps = sorted(draw.randint(2, STEPS) for _ in range(number))
    return [f"step:{s}" if draw.random() < 0.6 else f"write:{draw.randint(1, 14)}" for s in steps]


def trial(seed: int, folder: Path) -> Iterator[str]:
    kills = at_random(random.Random(seed), 20)
    yield "the same bits" if compare(kills, folder) else f"OTHER BITS: {kills}"
