"""The commands about training: a network learns, is measured, is asked."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any, NoReturn

import click
from click.exceptions import Exit

from archspec.cli.options import (
    OF_SPEC,
    WRONG_SPEC,
    Choice,
    Output,
    Weights,
    WrongUsageError,
    choosing,
    setting,
    specs,
    state,
    together,
    weighing,
    writing,
)
from archspec.cli.show import result, say

_CURVES = (".png", ".svg", ".pdf")
_LONGER = "the folder alone; for more epochs a new run: `archspec train SPEC --weights FOLDER`"
_ENDINGS = f"known: {', '.join(_CURVES)}"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A plan: its file, and what is said of it beside."""

    plan: str | None
    data: tuple[str, ...]
    folder: str | None
    keys: tuple[tuple[str, Any], ...]
    epochs: int | None
    batch: str | None
    seed: int | None

    def keywords(self) -> dict[str, Any]:
        """As `fit` takes them."""
        if len(self.data) > 2:
            raise WrongUsageError("`--data` is given more than twice", "train, then val")
        found = dict(self.keys)
        given = {"epochs": self.epochs, "seed": self.seed, "batch": _number(self.batch)}
        found |= {key: value for key, value in given.items() if value is not None}
        if self.folder is not None:
            log = found.get("log")
            found["log"] = {**(log if isinstance(log, dict) else {}), "folder": self.folder}
        if self.data:
            sets = dict(zip(("train", "val"), self.data, strict=False))
            beside = found.get("data")
            found["data"] = {**(beside if isinstance(beside, dict) else {}), **sets}
        return found


def _number(text: str | None) -> int | str | None:
    return int(text) if text is not None and text.isdigit() else text


def key(text: str) -> tuple[str, Any]:
    return setting(text, "--with")


planning = together(
    "wanted",
    Wanted,
    click.option("--plan", "-p", metavar="FILE", help="A plan file."),
    click.option(
        "--data", "-d", metavar="PATH", multiple=True,
        help="Folder of class folders, .csv, .npz, digits or synthetic; twice: train and val.",
    ),
    click.option("--folder", "-o", metavar="FOLDER", help="Where it goes; runs/NAME if not said."),
    click.option(
        "--with", "-w", "keys", metavar="KEY=VALUE", type=key, multiple=True,
        help="A key of the plan: schedule=cosine, optimizer='{sgd: {lr: 0.1}}'.",
    ),
    click.option("--epochs", "-e", metavar="N", type=int, help="How often it sees the data."),
    click.option("--batch", "-b", metavar="N", help="Samples a step; auto: as many as fit."),
    click.option("--seed", metavar="N", type=int, help="Of order, augmentation and dropout."),
)  # fmt: skip


@click.command()
@click.argument("spec", metavar="[SPEC]", required=False, help="The network.", shell_complete=specs)
@planning
@weighing(
    "Start from weights: torchvision, timm, a FILE or run; PART=FILE for a file that SPEC uses.",
    multiple=True,
    callback=state,
)
@click.option("--resume", "-r", metavar="FOLDER", help="Go on with a run instead.")
@click.option("--processes", metavar="N", type=click.IntRange(min=1), help="Train in so many.")
@click.option("--overfit-one-batch", is_flag=True, help="Only see whether it learns one batch.")
@choosing
def train(
    spec: str | None, wanted: Wanted, source: Weights, resume: str | None,
    processes: int | None, overfit_one_batch: bool, choice: Choice,
) -> None:  # fmt: skip
    """Train a network."""
    if processes is not None and "WORLD_SIZE" not in os.environ:
        _in(processes)
    from archspec import train as training
    from archspec.module import build
    from archspec.train import reading
    from archspec.train.state import seed_all

    if resume is not None:
        if spec is not None or wanted.keywords() or wanted.plan:
            raise WrongUsageError("`--resume` goes on with a run as it was", _LONGER)
        _say_run(training.resume(resume))
        return
    if spec is None:
        raise WrongUsageError("no SPEC is given", "or --resume FOLDER")
    keys, how = wanted.keywords(), source.keywords()
    data = keys.pop("data", None)
    plan = reading.given(wanted.plan, keys)
    program = choice.accept(spec)
    seed_all(plan.seed)
    model = build(program, weights=source.weights, **how)
    if overfit_one_batch:
        first, last = training.overfit_one_batch(model, data, plan=plan)
        say(f"one batch is learned: the loss went from {first:.4g} to {last:.4g}")
        return
    _say_run(training.fit(model, data, plan=plan))


def _in(processes: int) -> NoReturn:
    """This very command in several processes."""
    from archspec.train.launch import launch

    raise Exit(0 if launch(processes, sys.argv[1:]) else WRONG_SPEC)


# what is asked of a run, by its task; what reads pictures and is not here says something of them
_ASKED = {
    "next_token": "archspec generate {} --prompt TEXT", "pairs": "archspec evaluate {}",
    "triplets": "archspec evaluate {}",
    "reconstruction": "archspec predict {} FILE… -o FOLDER",
    "restoration": "archspec predict {} FILE… -o FOLDER",
}  # fmt: skip


def _next(folder: Path) -> str:
    """How the network of a run is used."""
    from archspec.train import state

    facts = state.facts_of(state.found(folder, state.LAST))["data"]
    pictures = len(facts["shape"]) == 3
    other = "archspec predict {} FILE…" if pictures else "archspec evaluate {}"
    return _ASKED.get(facts["task"], other).format(quote(str(folder)))


def _say_run(run: Any) -> None:
    from archspec.train.log import said
    from archspec.train.state import SAMPLES

    if int(os.environ.get("RANK", "0")):
        return  # one of several processes says it
    say(f"{'best' if run.monitor else 'last'}: {said(run.best)}")
    if run.folder is not None and (run.folder / SAMPLES).is_dir():
        say(f"{run.folder / SAMPLES}: what it makes of noise, after each epoch")
    elif run.folder is not None:
        say(f"{run.folder}: {_next(run.folder)}")


@click.command()
@click.argument("network", metavar="RUN|CHECKPOINT|SPEC", help="What is asked.")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, help="Pictures.")
@click.option("--also", metavar="RUN", multiple=True, help="More networks: answers are averaged.")
@weighing(OF_SPEC)
@click.option("--top", metavar="N", type=click.IntRange(min=1), default=3, show_default=True,
              help="Classes shown.")  # fmt: skip
@click.option(
    "--output",
    "-o",
    "folder",
    metavar="FOLDER",
    help="Draw masks and boxes over the pictures, as PNG files there.",
)
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@choosing
def predict(
    network: str, files: tuple[str, ...], also: tuple[str, ...], source: Weights, top: int,
    folder: str | None, as_json: bool, choice: Choice,
) -> None:  # fmt: skip
    """Say what a trained network sees in pictures."""
    from archspec.train import use

    how = source.keywords()
    if source.weights is not None:
        if folder is not None or also:
            option = "--output" if folder is not None else "--also"
            message = f"`{option}` is for networks that were trained here"
            raise WrongUsageError(message, "leave it out, or leave out `--weights`")
        answers = use.published(choice.accept(network), source.weights, files, top, **how)
    else:
        answers = use.predict([network, *also], files, top, folder=folder)
    if as_json:
        result(json.dumps(dict(zip(files, answers, strict=True)), indent=1, ensure_ascii=False))
        return
    for file, answer in zip(files, answers, strict=True):
        say(f"{file}: {_words(answer)}")


def _words(answer: Any) -> str:
    """What is said of a picture: classes and their probabilities, and where they are."""
    if isinstance(answer, list) and all(isinstance(one, dict) for one in answer):
        return "; ".join(map(_words, answer)) or "nothing"
    if not isinstance(answer, dict):
        return str(answer)
    if "box" in answer:
        corners = ", ".join(f"{number:g}" for number in answer["box"])
        return f"{answer['class']} {answer['score']:.1%} at {corners}"
    return "  ".join(f"{name} {share:.1%}" for name, share in answer.items())


@click.command()
@click.argument("run", metavar="RUN|CHECKPOINT", help="What goes on.")
@click.option(
    "--prompt",
    "-p",
    metavar="TEXT",
    required=True,
    help="What it begins with; of a network of numbers, these: '17 4 25'.",
)
@click.option(
    "--tokens",
    "-n",
    metavar="N",
    type=click.IntRange(min=1),
    default=200,
    show_default=True,
    help="How many follow.",
)
@click.option(
    "--temperature",
    "-t",
    metavar="X",
    type=click.FloatRange(min=0),
    default=1.0,
    show_default=True,
    help="Below 1 likely tokens are likelier; 0: the likeliest.",
)
@click.option("--top-k", metavar="K", type=click.IntRange(min=1), help="Among the likeliest K.")
@click.option("--seed", metavar="N", type=int, default=0, show_default=True,
              help="The same gives the same.")  # fmt: skip
def generate(
    run: str, prompt: str, tokens: int, temperature: float, top_k: int | None, seed: int
) -> None:
    """Go on with a text as a trained language model would."""
    from archspec.train import generating, use

    found = use.load(run)
    given = generating.read(found, prompt)
    keys: dict[str, Any] = {"temperature": temperature, "top_k": top_k, "seed": seed}
    said = generating.generate(found, given, tokens, **keys)
    result(prompt + said if isinstance(said, str) else " ".join(map(str, [*given, *said])))


@click.command()
@click.argument("run", metavar="RUN|CHECKPOINT", help="What is measured.")
@click.option("--data", "-d", metavar="PATH", help="Other data than the plan holds out.")
@click.option("--json", "as_json", is_flag=True, help="As JSON, the confusion matrix included.")
@click.option("--report", metavar="FILE", help="Write a page: curves, confusions, worst examples.")
@click.option("--force", is_flag=True, help="Replace a page that is not archspec's.")
def evaluate(run: str, data: str | None, as_json: bool, report: str | None, force: bool) -> None:
    """Measure a trained network."""
    from archspec.train import use

    if report is not None:
        from archspec.train.page import report as written

        page = Output(report, force)
        path = page.path("report.html")
        page.save(written(run, data), path)
        say(f"{path}: written")
        return
    found = use.evaluate(Path(run), data)
    if as_json:
        result(json.dumps(found, indent=1))
        return
    numbers = {name: value for name, value in found.items() if isinstance(value, float)}
    width = max(10, *map(len, numbers))
    for name, value in numbers.items():
        say(f"{name:<{width}} {value:.4f}")
    for name, values in found.get("by_class", {}).items():
        for label, value in values.items():
            say(f"{name} {label:<10} {'none there' if value is None else f'{value:.4f}'}")


@click.command()
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, help="Folders of runs.")
@writing("The picture of their curves: .png, .svg or .pdf.")
def runs(runs: tuple[str, ...], output: Output) -> None:
    """Compare runs: the best epoch of each, curves in one picture."""
    from archspec import train as training
    from archspec.train.log import said

    found = [training.load_run(run) for run in runs]
    width = max(len(run.name) for run in found)
    for run in found:
        say(f"{run.name:<{width}}  {said(run.best)}")
    if output.output is not None:
        path = output.path("curves.png")
        if path.suffix not in _CURVES:
            raise WrongUsageError(f"`{path}`: curves are no {path.suffix or 'folder'}", _ENDINGS)
        output.draw(training.curves(found), path)
        say(f"{path}: written")


_LICENSE = click.option(
    "--license", metavar="NAME", default="", help="Of the weights, as the Hub spells it: mit."
)


@click.command()
@click.argument("run", metavar="RUN|CHECKPOINT", help="What is saved; of a run the best epoch.")
@click.option("--output", "-o", metavar="FOLDER", required=True, help="A new or empty folder.")
@_LICENSE
def save(run: str, output: str, license: str) -> None:
    """Write a trained network as a folder that needs nothing else."""
    from archspec import train as training

    folder = training.save_pretrained(run, output, license=license)
    say(f"{output}: {', '.join(sorted(path.name for path in folder.iterdir()))} written")


@click.command()
@click.argument("run", metavar="RUN|CHECKPOINT|FOLDER", help="What is uploaded.")
@click.argument("repository", metavar="OWNER/NAME", help="Where, on the Hugging Face Hub.")
@click.option("--private", is_flag=True, help="Make a new repository private.")
@_LICENSE
def push(run: str, repository: str, private: bool, license: str) -> None:
    """Upload a trained network to the Hugging Face Hub."""
    from archspec import train as training

    keys = {"license": license} if license else {}
    say(training.push_to_hub(run, repository, private=private, **keys))
