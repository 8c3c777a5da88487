"""The command that searches the params of a spec, and the keys of a plan."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from archspec.cli.options import (
    FORMAT,
    SPEC,
    Choice,
    Output,
    WrongUsageError,
    choosing,
    together,
    writing,
)
from archspec.cli.show import result, say, table
from archspec.cli.train import Wanted, key
from archspec.save import MARK

if TYPE_CHECKING:
    from archspec.network import Program
    from archspec.search import Found

_PICTURES = (".png", ".svg", ".pdf")


@dataclass(frozen=True, slots=True)
class Asked:
    """Where it is searched, for what."""

    more: tuple[str, ...]
    space: tuple[str, ...]
    budget: str
    objective: str | None
    trials: int | None
    processes: int
    search_seed: int

    @property
    def axes(self) -> tuple[str, ...]:
        """`--space a=1..2 b=1..3`: what follows the first arrives as arguments."""
        wrong = [text for text in self.more if "=" not in text]
        if wrong:
            raise WrongUsageError(f"`{wrong[0]}` is no part of a space", "NAME=VALUES, after SPEC")
        return (*self.space, *self.more)


_asking = together(
    "asked",
    Asked,
    click.argument("more", metavar="[NAME=VALUES]...", nargs=-1, help="More of the space."),
    click.option(
        "--space", metavar="NAME=VALUES...", multiple=True, required=True,
        help="What is tried: width=32..128 width=32..128:16 lr=1e-4..1e-1:log depth='[2, 3]'.",
    ),
    click.option(
        "--budget", metavar="BOUNDS", default="", help="'params < 5M, macs < 300M'.",
    ),
    click.option(
        "--objective", metavar="AIMS",
        help="'max field.layer4, min macs'; if left out min macs, with --data max val.accuracy.",
    ),
    click.option(
        "--trials", "-n", metavar="N", type=click.IntRange(min=1),
        help="How many: 1000 if left out; 20 where they are trained.",
    ),
    click.option(
        "--processes", metavar="N", type=click.IntRange(min=1), default=1, show_default=True,
        help="Analyse in so many.",
    ),
    click.option(
        "--seed", "search_seed", metavar="N", type=int, default=0, show_default=True,
        help="Of what is drawn.",
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Trained:
    """What candidates are trained on, how, and where the study is kept."""

    data: tuple[str, ...]
    plan: str | None
    keys: tuple[tuple[str, Any], ...]
    epochs: int | None
    storage: str | None
    study: str | None

    def found(self, program: Program, asked: Asked) -> Found:
        """By training where there are data, else by analysis alone."""
        from archspec import search

        if not self.data:
            self._nothing_beside()
            aims, most = asked.objective or "min macs", asked.trials or 1000
            return search.find(
                program, asked.axes, asked.budget, aims,
                trials=most, seed=asked.search_seed, processes=asked.processes,
            )  # fmt: skip
        if asked.processes > 1:
            help = "start the command several times with one --storage"
            raise WrongUsageError("`--processes` is for a search without data", help)
        keys = Wanted(self.plan, self.data, None, self.keys, self.epochs, None, None).keywords()
        kept = search.Kept(self.storage, self.study, asked.search_seed)
        return search.study(
            program, asked.axes, asked.budget, asked.objective or "max val.accuracy",
            plan=self.plan, trials=asked.trials or 20, kept=kept, **keys,
        )  # fmt: skip

    def _nothing_beside(self) -> None:
        given = {
            "--plan": self.plan, "--with": self.keys, "--epochs": self.epochs,
            "--storage": self.storage, "--study": self.study,
        }  # fmt: skip
        for option, value in given.items():
            if value:
                raise WrongUsageError(f"`{option}` is for a search with training", "give --data")


_training = together(
    "trained",
    Trained,
    click.option(
        "--data", "-d", metavar="PATH", multiple=True,
        help="Train candidates on this, as of `train`; the space may name keys of the plan.",
    ),
    click.option("--plan", "-p", metavar="FILE", help="A plan file."),
    click.option(
        "--with", "-w", "keys", metavar="KEY=VALUE", type=key, multiple=True,
        help="A key of the plan: schedule=cosine.",
    ),
    click.option("--epochs", "-e", metavar="N", type=int, help="How often each sees the data."),
    click.option(
        "--storage", metavar="URL",
        help="Keep the study: sqlite:///study.db; machines may share it.",
    ),
    click.option("--study", metavar="NAME", help="Which one there; the spec's name if left out."),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept of what was found."""

    name: str
    pick: int
    plot: str | None

    def checked(self) -> None:
        """Before anything is searched."""
        path = Path(self.plot or "plot.svg")
        if path.suffix not in _PICTURES:
            raise WrongUsageError(f"`{path}` is no picture", f"known: {', '.join(_PICTURES)}")
        Output(str(path), force=False).path(path.name)

    def drawn(self, found: Found, force: bool) -> None:
        """The picture, where one is wanted."""
        if self.plot is None:
            return
        path = Path(self.plot)
        Output(self.plot, force).draw(found.plot(), path)
        say(f"{path}: written")


_keeping = together(
    "kept",
    Kept,
    click.option(
        "--name", metavar="NAME", default="found", show_default=True,
        help="What the variant is called that is written.",
    ),
    click.option(
        "--pick", metavar="N", type=click.IntRange(min=1), default=1, show_default=True,
        help="Which row of the table is written.",
    ),
    click.option("--plot", metavar="FILE", help="Draw candidates: .png, .svg or .pdf."),
)  # fmt: skip


@click.command()
@SPEC
@_asking
@_training
@_keeping
@FORMAT
@writing("Write a copy of the spec with what was found as a variant.")
@choosing
def search(
    spec: str, asked: Asked, trained: Trained, kept: Kept, format: str, output: Output,
    choice: Choice,
) -> None:  # fmt: skip
    """Find the params of a spec that serve best, under a budget."""
    kept.checked()
    program = choice.accept(spec)
    target = output.path(f"{program.name}_{kept.name}.yaml") if output.output else None
    found = trained.found(program, asked)
    _shown(found, format)
    if kept.pick > len(found.front):
        message = f"`--pick {kept.pick}`: the table has {len(found.front)} rows"
        raise WrongUsageError(message, "the number of a row")
    if target is not None:
        _written(found, kept, target, output)
    kept.drawn(found, output.force)


def _shown(found: Found, format: str) -> None:
    from archspec.report.table import written

    if format == "table":
        table(found.table())
    elif format == "json":
        rows = [{**one.point, **one.figures} for one in found.front]
        result(json.dumps(rows, indent=1, ensure_ascii=False))
    else:
        result(written(found.table(len(found.front)), format))


def _written(found: Found, kept: Kept, target: Path, output: Output) -> None:
    from archspec.search import written

    best = found.front[kept.pick - 1]
    output.save(written(found.program, best, kept.name, target), target)
    if not best.plan:
        say(f"{target}: archspec summary {target} --variant {kept.name}")
        return
    plan = target.with_suffix(".plan.yaml")
    output.save(f"# {MARK.capitalize()} search: how {kept.name} was trained.\n{best.plan}", plan)
    say(f"{target}: archspec train {target} --variant {kept.name} --plan {plan}")
