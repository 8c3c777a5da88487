"""Two processes (gloo), two batches a step, against one with one of four times the size.

Two phases, so that what trains changes after the network was wrapped: where it is not wrapped anew,
the processes come apart without a word. Then the same run killed in the second phase and gone on
with: the same bits. Batch norm is left out of the comparison with one process, because each process
normalises by its own half of the batch, in every framework. Then with weights in parts (FSDP2), and
with so few samples that one process has none.

Prints the largest difference of any weight: of rounding only, and none.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

import archspec
from archspec.train import engine, reading, start, state
from benchmarks.trust.runs import DATA, PLAN, SPEC

MAKER = """\
spec: 1
name: maker
input: [8]
body:
  - linear: 32
  - unflatten: [2, 4, 4]
  - batch_norm
  - relu
  - conv_transpose: {out: 1, kernel: 2, stride: 2}
  - tanh
"""
JUDGE = """\
spec: 1
name: judge
input: [1, 8, 8]
body: [{conv: {out: 4, kernel: 3, stride: 2}}, batch_norm, {leaky_relu: 0.2}, flatten, {linear: 1}]
"""
PLAIN = SPEC.replace("  - dropout: 0.2\n", "").replace("  - {id: bn, batch_norm: {}}\n", "")


def piece(folder: Path, spec: str, size: dict[str, Any], stop: int = -1) -> None:
    """Begin the run, or go on with it; `stop` is a step at which it ends all at once."""
    torch.set_num_threads(1)
    update = engine.Training.update

    def stopped(self: Any, *args: Any) -> None:
        if self.at.steps == stop:
            os._exit(3)
        update(self, *args)

    engine.Training.update = stopped  # type: ignore[method-assign]
    plan: dict[str, Any] = {**PLAN, **size, "log": {"folder": str(folder), "save": 2}}
    plan["data"] = {**DATA, "samples": plan.pop("samples", 641)}  # of the last batch one has none
    torch.manual_seed(0)
    if state.pointed(folder, state.LAST) is None:
        found = reading.given(None, plan)
        start.fit(archspec.build(archspec.loads(spec)), plan=found, quiet=True)
    else:
        start.resume(folder, quiet=True)


def forked(work: Callable[[], None], world: int) -> list[int]:
    """The exit status of each process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    children = []
    for rank in range(world):
        child = os.fork()
        if child == 0:
            if world > 1:
                os.environ |= {
                    "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(world),
                    "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1",
                }  # fmt: skip
            try:
                work()
            except BaseException as failed:
                print(f"{type(failed).__name__}: {failed}", file=sys.stderr, flush=True)
                os._exit(1)
            os._exit(0)
        children.append(child)
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]


def apart(one: Path, other: Path) -> float:
    """The largest difference of any weight."""
    a, b = (load_file(state.found(path, state.LAST) / "model.safetensors") for path in (one, other))
    return max(float((a[name].double() - b[name].double()).abs().max()) for name in a)


def figures(run: Path) -> list[dict[str, Any]]:
    """What was measured after each epoch, but for how long it took."""
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in row.items() if key != "seconds"} for row in rows]


def alone(folder: Path) -> None:
    """Learns from one sample and is measured by another: a second process has none of either."""
    torch.manual_seed(0)
    x, y = torch.rand(2, 1, 8, 8), torch.tensor([[0.0, 1, 0, 0, 0, 0, 1, 0, 0, 1]] * 2)
    start.fit(
        archspec.build(archspec.loads(PLAIN)), {"train": (x[:1], y[:1]), "val": (x[1:], y[1:])},
        task="multi_label", epochs=2, log={"folder": str(folder)}, quiet=True,
    )  # fmt: skip


def few(place: Path) -> None:
    """One process against two, of which the second goes along without a sample."""
    ended = [
        *forked(lambda: alone(place / "few_one"), 1), *forked(lambda: alone(place / "few_two"), 2)
    ]  # fmt: skip
    if any(ended):
        sys.exit(f"processes ended with {ended}")
    one, two = (figures(place / name) for name in ("few_one", "few_two"))
    worst = max(
        abs(row[key] - other[key])
        for row, other in zip(one, two, strict=True)
        for key in row
        if key not in ("phase", "lr")
    )
    print(f"one sample, one against two: {worst:.0e} in {len(one)} epochs")


def two_networks(folder: Path, stop: int = -1) -> None:
    """Begin or go on with a GAN; what each process has at its end is written beside the run."""
    torch.set_num_threads(1)
    update = engine.Training.update
    drawn: list[Any] = []

    def stopped(self: Any, *args: Any) -> None:
        if self.at.steps == stop:
            os._exit(3)
        drawn.append(torch.get_rng_state().sum().item())
        update(self, *args)

    engine.Training.update = stopped  # type: ignore[method-assign]
    torch.manual_seed(0)
    if state.pointed(folder, state.LAST) is None:
        both = [archspec.build(archspec.loads(spec)) for spec in (MAKER, JUDGE)]
        plan: dict[str, Any] = {"batch": 32, "epochs": 3, "log": {"folder": str(folder), "save": 3}}
        data = {"train": "digits", "samples": 255}
        start.fit(
            both, data, task="gan", ema=0.9, optimizer={"adam": {"lr": 2e-3}}, quiet=True, **plan
        )
    else:
        start.resume(folder, quiet=True)
    rank = os.environ.get("RANK", "0")
    (folder / f"noise-{rank}").write_text(str(drawn[-1]))


def gan(place: Path) -> None:
    ended = forked(lambda: two_networks(place / "whole"), 2)
    cut = forked(lambda: two_networks(place / "cut", 7), 2)
    ended += forked(lambda: two_networks(place / "cut"), 2)
    if any(ended) or cut != [3, 3]:
        sys.exit(f"processes ended with {ended}, {cut}")
    print(f"two networks, whole against cut: {apart(place / 'whole', place / 'cut'):.1e}")
    noises = [(place / "whole" / f"noise-{rank}").read_text() for rank in (0, 1)]
    print(f"noise of its own for each process: {noises[0] != noises[1]}")


def parts(place: Path, samples: int, stop: int) -> None:
    """Weights in parts (FSDP2) against one process, and against themselves cut off and resumed."""
    plan = {"samples": samples, "ema": None, "update_bn": False}
    two = {**plan, "batch": 16, "accumulate": 2, "sharding": "fsdp2"}
    ended = forked(lambda: piece(place / "alone", PLAIN, {**plan, "batch": 64}), 1)
    ended += forked(lambda: piece(place / "parts", PLAIN, two), 2)
    cut = forked(lambda: piece(place / "pieces", PLAIN, two, stop), 2)
    ended += forked(lambda: piece(place / "pieces", PLAIN, two), 2)
    if any(ended) or cut != [3, 3]:
        sys.exit(f"processes ended with {ended}, {cut}")
    if figures(place / "parts") != figures(place / "pieces"):
        sys.exit("a run that was cut off measures something else")
    whole, again = apart(place / "alone", place / "parts"), apart(place / "parts", place / "pieces")
    print(f"one against parts: {whole:.0e}, parts against cut: {again:.1e}")


def main(place: Path, *, short: bool) -> None:
    ended = [
        *forked(lambda: piece(place / "one", PLAIN, {"batch": 64}), 1),
        *forked(lambda: piece(place / "two", PLAIN, {"batch": 16, "accumulate": 2}), 2),
    ]
    print(f"one against two: {apart(place / 'one', place / 'two'):.0e}")
    parts(place, *(129, 8) if short else (641, 29))
    few(place)
    if short:
        return
    ended += forked(lambda: piece(place / "whole", SPEC, {"batch": 32}), 2)
    cut = forked(lambda: piece(place / "cut", SPEC, {"batch": 32}, 29), 2)
    ended += forked(lambda: piece(place / "cut", SPEC, {"batch": 32}), 2)
    if figures(place / "whole") != figures(place / "cut"):
        sys.exit("a run that was cut off measures something else")
    print(f"whole against cut: {apart(place / 'whole', place / 'cut'):.1e}")
    if any(ended) or cut != [3, 3]:
        sys.exit(f"processes ended with {ended}, {cut}")


def trial(seed: int, folder: Path) -> Iterator[str]:
    """The long comparisons, then two networks, then the short ones; figures are printed."""
    try:
        if seed % 3 == 1:
            gan(folder)
        else:
            main(folder, short=seed % 3 == 2)
        yield "compared"
    except SystemExit as failed:
        yield f"FAILED: {failed}"
