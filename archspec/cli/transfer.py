"""The commands about transfer learning: what a trained network knows is used for other data."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from archspec.cli.options import (
    OF_SPEC,
    SPEC,
    Choice,
    Output,
    Weights,
    WrongUsageError,
    choosing,
    specs,
    together,
    weighing,
    writing,
)
from archspec.cli.show import say

if TYPE_CHECKING:
    from archspec.transfer import Codes

_KINDS = click.Choice(["svm", "logistic"])
_POOLS = click.Choice(["flatten", "average"])


@dataclass(frozen=True, slots=True)
class Asked:
    """Of which network, data and node codes are wanted."""

    network: str
    data: tuple[str, ...]
    at: str
    pool: str

    def codes(self, choice: Choice, source: Weights) -> list[Codes]:
        """Of each of the data; they are normalised as the first are."""
        from archspec import transfer

        model = self._model(choice, source)
        found: list[Codes] = []
        for data in self.data:
            same: dict[str, Any] = {"normalize": found[0].normal} if found else {}
            found.append(transfer.codes(model, data, self.at, pool=self.pool, **same))
        return found

    def _model(self, choice: Choice, source: Weights) -> Any:
        hub = self.network.startswith("hf://")
        if hub or os.path.isdir(self.network):  # noqa: PTH112  (never raises)
            from archspec.train import load

            if source.weights is not None:
                raise WrongUsageError("`--weights` is for a SPEC", "a run has weights of its own")
            return load(self.network)
        how = source.keywords()
        if source.weights is None:
            help = "--weights torchvision, timm or a file; or the folder of a run in place of SPEC"
            raise WrongUsageError("codes of random weights say nothing", help)
        from archspec.module import build

        return build(choice.accept(self.network), weights=source.weights, **how)


_asking = together(
    "asked",
    Asked,
    click.argument("network", metavar="SPEC|RUN", help="The network.", shell_complete=specs),
    click.option(
        "--data", "-d", metavar="PATH", multiple=True, required=True,
        help="As of `train`; of `svm` a second is measured on.",
    ),
    click.option(
        "--at", metavar="NODE", default="codes", show_default=True,
        help="A node or block as `archspec expand` shows them; codes: before the head.",
    ),
    click.option(
        "--pool", metavar="WAY", type=_POOLS, default="flatten", show_default=True,
        help="flatten: all numbers of a map; average: the mean of each channel.",
    ),
)  # fmt: skip


@click.group()
def transfer() -> None:
    """Transfer learning: codes, linear classifiers, plans."""


@transfer.command()
@_asking
@weighing(OF_SPEC)
@writing("The .npz file: x, y, classes, node.")
@choosing
def codes(asked: Asked, source: Weights, choice: Choice, output: Output) -> None:
    """Write what a network makes of each sample at a node."""
    if len(asked.data) > 1:
        raise WrongUsageError("`--data` is given more than once", "a file for each")
    path = output.path("codes.npz")
    (found,) = asked.codes(choice, source)
    output.save(found.npz(), path)
    say(f"{path}: {len(found):,} codes of {found.x.shape[1]:,} numbers at {found.node}")


@transfer.command()
@_asking
@weighing(OF_SPEC)
@click.option(
    "--kind", metavar="NAME", type=_KINDS, default="svm", show_default=True,
    help="svm: a support vector machine; or logistic regression.",
)  # fmt: skip
@click.option(
    "--c", "c", metavar="NUMBER", type=float, help="Weight of errors; chosen if not said."
)
@writing("A .safetensors file of the classifier.")
@choosing
def svm(
    asked: Asked, source: Weights, kind: str, c: float | None, choice: Choice, output: Output
) -> None:
    """Fit a linear classifier on codes, and measure it."""
    from archspec import transfer as transferring

    if len(asked.data) > 2:
        raise WrongUsageError("`--data` is given more than twice", "train, then val")
    found = asked.codes(choice, source)
    learned, held = found if len(found) == 2 else found[0].split()
    made = transferring.linear(learned, kind, c=c)
    tried = "" if made.tried is None else f", {made.tried:.4f} in cross-validation"
    say(f"{made.node}: {len(learned):,} codes of {learned.x.shape[1]:,} numbers")
    say(f"{kind}, C={made.c:g}{tried}")
    say(f"accuracy   {made.score(held):.4f} on {len(held):,} held out")
    if output.output is not None:
        path = output.path("classifier.safetensors")
        made.save(path, force=output.force)
        say(f"{path}: written")


@transfer.command()
@SPEC
@click.option("--data", "-d", metavar="PATH", required=True, help="As of `train`.")
@click.option(
    "--similar/--different", default=None,
    help="Whether the data are like those that the weights were learned from.",
)  # fmt: skip
@click.option("--large/--small", default=None, help="Whether they are many; counted if not said.")
@writing("The plan file.")
@choosing
def plan(
    spec: str, data: str, similar: bool | None, large: bool | None, choice: Choice, output: Output
) -> None:
    """Write a plan for one of the four cases of transfer."""
    from archspec import transfer as transferring

    if similar is None:
        help = "like what the weights were learned from (ImageNet, mostly), or not"
        raise WrongUsageError("neither `--similar` nor `--different` is given", help)
    found = transferring.advise(choice.accept(spec), data, similar=similar, large=large)
    output.put(found.plan, "plan.yaml")
    if output.output not in (None, "-"):
        say(f"{output.path('plan.yaml')}: {found.case}")


@transfer.command()
@SPEC
@click.option("--plan", "-p", metavar="FILE", required=True, help="A plan file.")
@click.option("--phase", metavar="N", type=int, default=1, show_default=True, help="From 1.")
@writing("As its ending says: .svg .pdf .png; - for stdout.")
@choosing
def draw(spec: str, plan: str, phase: int, choice: Choice, output: Output) -> None:
    """Draw the network in the colours of what a phase trains."""
    from archspec.figures import by_ending, phases, written
    from archspec.figures.errors import RenderError
    from archspec.train import reading
    from archspec.transfer.states import states

    program = choice.accept(spec)
    found = states(program, reading.given(plan, {}), phase)
    format = by_ending(output.file) if output.file else "svg"
    if format not in ("svg", "pdf", "png"):
        raise RenderError("E704", f"phases are not drawn as {format}", "svg, pdf or png")
    made = written(phases.draw(program, found), "blocks", format)
    path = output.write(made, f"{program.name}_phase{phase}.{format}")
    if path is not None:
        say(f"{path}: written")
