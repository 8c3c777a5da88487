"""Checkpoints → predictions, metrics: what a trained network is for.

    predict("runs/lenet5", ["3.png"])               [{"3": 0.998, "5": 0.001, "8": 0.0}]
    evaluate("runs/lenet5")                         {"loss": 0.05, "accuracy": 0.986, …}

Several checkpoints are an ensemble: what they say is averaged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from archspec.text.source import from_text
from archspec.text.words import listed
from archspec.train import engine, reading, sets, state, tasks
from archspec.train.errors import TrainError, library
from archspec.train.measure import score
from archspec.train.samples import picture
from archspec.train.sets import Facts

if TYPE_CHECKING:
    from torch import nn

    from archspec.network import Program
    from archspec.train.loading import View
    from archspec.train.plan import Plan
    from archspec.train.tasks import Task

Paths = str | Path | Sequence[str | Path]
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}


@dataclass(frozen=True)
class Trained:
    """A network out of a checkpoint, in evaluation, with what it has to be known of to be used."""

    model: nn.Module
    program: Program
    plan: Plan
    task: Task
    facts: Facts

    @property
    def batch(self) -> int:
        """Samples that are looked at together."""
        return self.plan.batch if isinstance(self.plan.batch, int) else 64

    def input(self, file: Path) -> Tensor:
        """A picture as the network takes it: [1, C, H, W]. Raises TrainError."""
        shape = self.facts.shape
        if len(shape) != 3 or shape[0] not in _MODES:
            message = f"`{self.program.name}` reads inputs of shape {list(shape)}, not pictures"
            raise TrainError("E804", message, "call the module that `load` gives")
        x = picture(file, _MODES[shape[0]], (shape[1], shape[2]))[None]
        return x if self.facts.normal is None else self.facts.normal(x)

    @torch.no_grad()
    def shares(self, x: Tensor) -> Tensor:
        """Probabilities, or numbers, of inputs [N, …]."""
        output, _ = self.task.outputs(self.model(x))
        return self.task.shares(output)


def load(path: str | Path) -> Trained:
    """The network of a checkpoint, or of a run's best one. Raises TrainError."""
    from archspec import weights
    from archspec.module import build

    checkpoint = state.found(path)
    record = state.facts_of(checkpoint)
    program = state.program_of(checkpoint, record)
    model = build(program)
    weights.load(model, checkpoint / "model.safetensors", "spec")
    plan = reading.parse(from_text(record["plan"], f"{checkpoint}: plan"))
    facts = Facts.of(record["data"])
    task = tasks.task(plan, program)
    return Trained(model.eval(), program, plan, task, facts)


def predict(paths: Paths, files: Paths, top: int = 3) -> list[Any]:
    """What networks say of pictures: of each the `top` classes and their probabilities, or numbers.

    `paths` are checkpoints or runs; several of one task and the same classes are averaged. Raises
    TrainError.
    """
    found = [load(path) for path in _listed(paths)]
    first = found[0]
    for other in found[1:]:
        if (other.facts.task, other.facts.classes) != (first.facts.task, first.facts.classes):
            message = f"`{other.program.name}` and `{first.program.name}` tell other things apart"
            raise TrainError("E808", message, "an ensemble is of one task and the same classes")
    answers = []
    for file in _listed(files):
        shares = torch.stack([one.shares(one.input(Path(file))) for one in found]).mean(0)
        answers += first.task.answers(shares, first.facts.classes, top)
    return answers


def _listed(paths: Paths) -> list[str | Path]:
    found = [paths] if isinstance(paths, (str, Path)) else list(paths)
    if not found:
        raise TrainError(
            "E808", "nothing is named to predict with or from", "name a run, and files"
        )
    return found


def held_out(found: Trained, data: Any = None) -> View:
    """What the plan holds out, or `data`, as the network takes it. Raises TrainError."""
    plan = found.plan
    if data is not None:
        data = {"train": data, "val": data}
    task = found.task
    wanted = sets.wanted(found.program, plan, task.targets, plain=task.plain)
    prepared = sets.prepare(plan, data, wanted, found.task.name, found.facts.normal)
    theirs = prepared.facts.classes
    if theirs and found.facts.classes and theirs != found.facts.classes:
        message = f"the data have the classes {listed(theirs[:5])}, not those that were learned"
        raise TrainError("E803", message, f"which are {listed(found.facts.classes[:5])}")
    if prepared.val is None:
        raise TrainError("E803", "the plan holds nothing out", "give data to evaluate on")
    prepared.val.normal = found.facts.normal
    return prepared.val


def evaluate(path: str | Path, data: Any = None) -> dict[str, Any]:
    """Metrics of a checkpoint, or of a run's best one, on what its plan holds out, or on `data`.

    With what is more than a number: the confusion matrix. Raises TrainError.
    """
    found = load(path)
    view, on = held_out(found, data), engine.accelerator(found.plan)
    sums = score(found.task, found.model.to(on.device), view, found.batch, on)
    return {**found.task.figures(sums), **found.task.tables(sums)}


def published(spec: str | Path | Program, source: str, files: Paths, top: int = 3) -> list[Any]:
    """What a network with published weights says of pictures. Raises WeightsError, SpecError."""
    from archspec import network, weights
    from archspec.module import build
    from archspec.weights import sources

    program = network.program(spec)
    model = build(program, weights=source).eval()
    prepare = weights.preprocess(program, source)
    names: Sequence[str] = ()
    if source == "torchvision":
        names = sources.enum(str(sources.named(program, source))).meta["categories"]
    pillow = library("PIL.Image", "reading pictures")
    plan = reading.given(None, {})
    task = tasks.task(plan, program)
    answers = []
    for file in _listed(files):
        with torch.no_grad():
            output, _ = task.outputs(model(prepare(pillow.open(file).convert("RGB"))[None]))
        answers += task.answers(task.shares(output), tuple(names), top)
    return answers
