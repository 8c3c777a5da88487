"""Checkpoints → predictions, metrics: what a trained network is for.

    predict("runs/lenet5", ["3.png"])               [{"3": 0.998, "5": 0.001, "8": 0.0}]
    evaluate("runs/lenet5")                         {"loss": 0.05, "accuracy": 0.986, …}

Several checkpoints are an ensemble: what they say is averaged.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from archspec.language.weights import SOURCES
from archspec.module import exchange
from archspec.save import NotOursError, save
from archspec.text.beside import beside
from archspec.text.source import from_text
from archspec.text.words import listed
from archspec.train import drawing, engine, networks, reading, sets, state, tasks
from archspec.train.errors import TrainError
from archspec.train.inputs import call
from archspec.train.measure import score
from archspec.train.pictures import png
from archspec.train.samples import loaded, picture, shown, size_of
from archspec.train.sets import Facts
from archspec.train.targets import PLACED
from archspec.train.window import Window

if TYPE_CHECKING:
    from torch import nn

    from archspec.module.exchange import Exported
    from archspec.network import Program
    from archspec.train.loading import View
    from archspec.train.plan import Plan
    from archspec.train.tasks import Task

Paths = str | Path | Sequence[str | Path]
_PREPARING = ("torchvision", "timm")  # sources that say how inputs are prepared
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}


@dataclass(frozen=True)
class Trained:
    """A network out of a checkpoint, in evaluation, with what it has to be known of to be used."""

    model: nn.Module
    program: Program
    plan: Plan
    task: Task
    facts: Facts
    whole: nn.Module  # the network itself, or with it those that it was trained with, by name

    @property
    def placed(self) -> bool:
        """Whether it says where things are: then a picture is looked at as a whole."""
        return self.task.targets in PLACED

    def scaled(self, shares: Tensor, size: tuple[int, int]) -> Tensor:
        """What it says, of a picture of another width and height than it has seen."""
        if not self.placed:
            return shares
        across, down = size[0] / self.facts.shape[2], size[1] / self.facts.shape[1]
        return self.task.scaled(shares, shares.new_tensor([across, down, across, down]))

    @property
    def batch(self) -> int:
        """Samples that are looked at together."""
        return self.plan.batch if isinstance(self.plan.batch, int) else 64

    def picture(self, file: Path) -> Tensor:
        """A picture as the network sees it, from 0 to 1: [C, H, W]. Raises TrainError."""
        shape = self.facts.shape
        if self.task.reader is not self.program:
            message = f"`{self.program.name}` reads no pictures, it makes them"
            raise TrainError("E804", message, "archspec.train.load(run).sample(16)")
        if len(shape) != 3 or shape[0] not in _MODES:
            message = f"`{self.program.name}` reads inputs of shape {list(shape)}, not pictures"
            help = "call the module that `load` gives; `archspec generate` goes on with a text"
            raise TrainError("E804", message, help)
        data, sides = self.plan.data, (shape[1], shape[2])
        if data is None or data.resize is None:
            return picture(file, _MODES[shape[0]], sides, whole=self.placed)
        window = Window(sides, *data.resize)
        return window.middle(picture(file, _MODES[shape[0]], window.read)[None])[0]

    def input(self, file: Path) -> Tensor:
        """A picture as the network takes it: [1, C, H, W]. Raises TrainError."""
        x = self.picture(file)[None]
        return x if self.facts.normal is None else self.facts.normal(x)

    def seen(self, x: Tensor) -> Tensor:
        """An input [1, C, H, W] as the picture [C, H, W] that it was made of, from 0 to 1."""
        normal = self.facts.normal
        return (x if normal is None else normal.undone(x))[0]

    def sample(self, n: int = 1, seed: int = 0) -> Tensor:
        """Pictures that the network makes of noise, [n, C, H, W] from 0 to 1. Raises TrainError.

        The same seed gives the same pictures.
        """
        return self.decode(self.codes(n, seed))

    def codes(self, n: int = 1, seed: int = 0) -> Tensor:
        """Noise that the network makes pictures of, [n, …]. Raises TrainError."""
        found = self.task.codes(n, seed)
        if found is None:
            message = f"`{self.program.name}` was not trained to make pictures of noise"
            raise TrainError("E804", message, "the tasks `vae` and `gan` do that")
        return found

    @torch.no_grad()
    def decode(self, codes: Tensor) -> Tensor:
        """The pictures of codes, [n, C, H, W] from 0 to 1."""
        made, normal = self.task.decode(self.whole, codes), self.facts.normal
        return (made if normal is None else normal.undone(made)).clamp(0, 1)

    @torch.no_grad()
    def encode(self, x: Tensor) -> Tensor:
        """The codes of inputs as the network takes them, [n, …]. Raises TrainError."""
        found = self.task.encode(self.whole, x)
        if found is None:
            message = f"`{self.program.name}` has no encoder: the code of a picture is not known"
            raise TrainError("E804", message, "the task `vae` trains one")
        return found

    @torch.no_grad()
    def shares(self, x: Any) -> Tensor:
        """Probabilities, or numbers, of inputs [N, …], or of several by name."""
        return self.task.verdict(call(self.model, x))

    def export(self, path: str | Path, *, force: bool = False) -> Exported:
        """Write it as .onnx or .pt2, with task, classes and normalisation in the file's metadata.

        As `archspec.export` does. Raises ExportError.
        """
        facts = {"task": self.facts.task, "classes": json.dumps(self.facts.classes)}
        if self.facts.normal is not None:  # x -> (x - shift) / scale, a number a channel
            facts |= {key: json.dumps(value) for key, value in asdict(self.facts.normal).items()}
        return exchange.export(self.model, path, metadata=facts, force=force)


def load(path: str | Path) -> Trained:
    """The network of a checkpoint, or of a run's best one. Raises TrainError."""
    from archspec import weights
    from archspec.module import build

    checkpoint = state.found(path)
    record = state.facts_of(checkpoint)
    programs = state.programs_of(checkpoint, record)
    models = {name: build(program) for name, program in programs.items()}
    for name, folder in state.folders_of(checkpoint, record).items():
        weights.load(models[name].eval(), folder / "model.safetensors", "spec")
    plan = reading.parse(from_text(record["plan"], f"{checkpoint}: plan"))
    facts = Facts.of(record["data"])
    main, *names = programs
    task = tasks.task(plan, programs[main], {name: programs[name] for name in names})
    task.know(facts)
    whole = networks.whole(models)
    return Trained(models[main], programs[main], plan, task, facts, whole.eval())


def predict(
    paths: Paths, files: Paths, top: int = 3, *, folder: str | Path | None = None
) -> list[Any]:
    """What networks say of pictures: of each the `top` classes and their probabilities, or numbers.

    `paths` are checkpoints or runs; several of one task and the same classes are averaged. What
    lies in pictures (masks, boxes, a picture made of them) is drawn into PNG files in `folder`.
    Raises TrainError.
    """
    found = [load(path) for path in _listed(paths)]
    first, listing = found[0], _pictures(files)
    for other in found[1:]:
        if (other.facts.task, other.facts.classes) != (first.facts.task, first.facts.classes):
            message = f"`{other.program.name}` and `{first.program.name}` tell other things apart"
            raise TrainError("E808", message, "an ensemble is of one task and the same classes")
    if len(found) > 1 and not first.task.ensembles:
        message = f"what several networks say is not averaged for `{first.task.name}`"
        raise TrainError("E808", message, "which of their boxes are one is not known: ask one")
    drawn = _drawn_files(Path(folder), listing) if folder is not None else []
    answers = []
    for number, file in enumerate(listing):
        shares = torch.stack([one.shares(one.input(file)) for one in found]).mean(0)
        said = _draw(first, file, shares, drawn[number]) if drawn else {}
        if "picture" in said:
            answers.append(str(drawn[number]))
        else:
            shares = first.scaled(shares, size_of(file))
            answers += first.task.answers(shares, first.facts.classes, top)
    return answers


def _drawn_files(folder: Path, files: Sequence[Path]) -> list[Path]:
    """Where the pictures of files are drawn: by their names, with their folders if names agree."""
    names = [file.with_suffix(".png").name for file in files]
    if len(set(names)) < len(names):
        above = Path(os.path.commonpath([file.resolve().parent for file in files]))
        names = [str(file.resolve().with_suffix(".png").relative_to(above)) for file in files]
    return [folder / name for name in names]


def _draw(found: Trained, file: Path, shares: Tensor, path: Path) -> dict[str, Tensor]:
    """What a network says of a picture, as targets, drawn over it. Raises TrainError."""
    x = shown(file) if found.placed else found.picture(file)
    said = found.task.as_targets(found.scaled(shares, (x.shape[2], x.shape[1])))
    if not said:
        message = f"what `{found.program.name}` says of a picture is words, and nothing to draw"
        raise TrainError("E808", message, "leave the folder out")
    one = {name: value[0] for name, value in said.items()}
    drawn = drawing.over(x, one, found.facts.classes)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save(png(drawn), path)
    except (OSError, NotOursError) as bad:
        message = f"`{path}` cannot be written: {getattr(bad, 'strerror', None) or bad}"
        raise TrainError("E808", message, "name another folder") from None
    return said


def _pictures(files: Paths) -> list[Path]:
    """The files, all there. Raises TrainError."""
    found = [Path(file) for file in _listed(files)]
    for file in found:
        if file.is_dir():
            message = f"`{file}` is a folder"
            raise TrainError("E803", message, f"name pictures: {file}/*.png")
        if not file.exists():
            raise TrainError("E803", f"`{file}` does not exist", beside(file) or "check the path")
    return found


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
    wanted = task.asks(sets.wanted(task.reader, plan, task.targets, plain=task.plain))
    wanted = wanted.known(found.facts.classes)
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
    sums = score(found.task, found.whole.to(on.device), view, found.batch, on)
    tables = found.task.tables(sums)
    if "by_class" in tables:
        by_class = tables["by_class"].items()
        tables["by_class"] = {name: named(found.facts, values) for name, values in by_class}
    return {**found.task.figures(sums), **tables}


def named(facts: Facts, values: Sequence[Any]) -> dict[str, Any]:
    """A value for each class, by the names of the classes."""
    return dict(zip(facts.classes or map(str, range(len(values))), values, strict=True))


def published(
    spec: str | Path | Program, source: str, files: Paths, top: int = 3, **how: Any
) -> list[Any]:
    """What a network says of pictures, with weights that its spec names, or of a file.

    Those of a file are taken to want the inputs of the published ones, and to tell the same classes
    apart where they are as many. `how` is as of `build`: `entry`, `prefix`.

    Raises TrainError, WeightsError, SpecError.
    """
    from archspec import network, weights
    from archspec.module import build
    from archspec.weights import sources

    program = network.program(spec)
    named = program.spec.weights.sources if program.spec.weights is not None else {}
    known = source if source in SOURCES else next((n for n in _PREPARING if n in named), None)
    if known is None:
        message = f"`{program.spec.name}` does not say how pictures become inputs for its weights"
        help = "archspec.train.save_pretrained(model, folder, plan=…) keeps that beside them"
        raise TrainError("E804", message, help)
    prepare = weights.preprocess(program, known)
    model = build(program, weights=source, **how).eval()
    names: tuple[str, ...] = ()
    if known == "torchvision":
        entry = sources.named(sources.Part.of(program), known)
        names = tuple(sources.enum(str(entry)).meta["categories"])
    task = tasks.task(reading.given(None, {}), program)
    answers = []
    for file in _pictures(files):
        with torch.no_grad():
            shares = task.verdict(model(prepare(loaded(Path(file), "RGB"))[None]))
        same = source in SOURCES or shares.shape[-1] == len(names)
        answers += task.answers(shares, names if same else (), top)
    return answers
