"""The commands about seeing: what a network makes of pictures, as pictures."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from archspec.cli.options import (
    ENTRY,
    PREFIX,
    Choice,
    Decorator,
    Output,
    Weights,
    WrongUsageError,
    choosing,
    specs,
    together,
    writing,
)
from archspec.cli.show import say

if TYPE_CHECKING:
    from collections.abc import Callable

    from archspec.see import Seeing


@dataclass(frozen=True, slots=True)
class Networks:
    """Which networks look, and with which weights."""

    networks: tuple[str, ...]
    weights: tuple[str, ...]
    entry: str | None
    prefix: dict[str, str]

    def specs(self) -> list[str]:
        """Those that are no runs."""
        return [name for name in self.networks if not _run(name)]

    def models(self, choice: Choice) -> list[Any]:
        """Those of specs are built, those of runs loaded."""
        from archspec.module import build
        from archspec.train import load

        of_specs = self.specs()
        programs = {name: choice.accept(name) for name in of_specs}  # a slip is said first
        given = self.weights * (len(of_specs) if len(self.weights) == 1 else 1)
        if len(given) != len(of_specs) or (self.weights and not of_specs):
            message = f"{len(self.weights)} weights are given for {len(of_specs)} specs"
            if not self.weights:
                message = f"`{of_specs[0]}` is a spec, and no weights are given for it"
            help = "--weights torchvision, timm or a file: once for all, or once for each SPEC"
            raise WrongUsageError(message, help)
        left, how = iter(given), Weights(given, self.entry, self.prefix).keywords()
        return [
            build(programs[name], weights=next(left), **how) if name in programs else load(name)
            for name in self.networks
        ]

    def write(
        self, see: Callable[[Any], Seeing], choice: Choice, output: Output, name: str
    ) -> None:
        """What each network sees, into a PNG and a page, or the one that is named."""
        from archspec.see import beside

        ending = Path(output.file).suffix if output.file else ""
        if output.stdout or ending not in ("", ".png", ".html"):
            message = f"`{output.output}` is no name of a picture or a page"
            raise WrongUsageError(message, ".png, .html, or a folder: both")
        names = [Path(network).stem for network in self.networks]
        found = beside([(n, see(m)) for n, m in zip(names, self.models(choice), strict=True)])
        for kind, made in ((".png", found.png), (".html", found.html)):
            if ending in ("", kind):
                path = output.path(name + kind).with_suffix(kind)
                output.save(made(), path)
                say(f"{path}: written")


def _run(name: str) -> bool:
    return name.startswith("hf://") or os.path.isdir(name)  # noqa: PTH112  (never raises)


_networks = together(
    "networks",
    Networks,
    click.option(
        "--spec", "-n", "networks", metavar="SPEC|RUN", multiple=True, required=True,
        help="The network; several are shown side by side.", shell_complete=specs,
    ),
    click.option(
        "--weights", metavar="SOURCE", multiple=True,
        help="Of a SPEC: torchvision, timm, a file; once for all or for each.",
    ),
    ENTRY,
    PREFIX,
)  # fmt: skip


def _seeing(command: Callable[..., None]) -> Callable[..., None]:
    """What every command takes: networks, and where the picture goes."""
    where = writing("Folder, or a .png or .html file; both, here, if not said.")
    return _networks(where(choosing(command)))


_PICTURES = click.argument("pictures", metavar="PICTURE...", nargs=-1, required=True,
                           help="Files or folders.")  # fmt: skip
_SEVERAL = click.argument("pictures", metavar="[PICTURE]...", nargs=-1,
                          help="Files or folders.")  # fmt: skip
_TARGET = click.option(
    "--target", "-t", metavar="CLASS",
    help="By name or number; what the network finds, if not said.",
)  # fmt: skip
_OF = click.option(
    "--of", metavar="NODE", help="Explain a unit of this node, in place of a class: --target."
)


def _at(**settings: Any) -> Decorator:
    return click.option(
        "--at", metavar="NODE", help="A node or block as `archspec expand` shows them.", **settings
    )


@click.group()
def see() -> None:
    """See what a network sees in pictures, and what it looks for."""


@see.command()
@_PICTURES
@_seeing
@_TARGET
@_OF
def saliency(
    pictures: tuple[str, ...], networks: Networks, target: str | None, of: str | None,
    choice: Choice, output: Output,
) -> None:  # fmt: skip
    """Show which pixels move a class."""
    from archspec import see

    networks.write(
        lambda m: see.saliency(m, list(pictures), target, of=of), choice, output, "saliency"
    )


@see.command()
@_PICTURES
@_seeing
@_TARGET
@_OF
def guided(
    pictures: tuple[str, ...], networks: Networks, target: str | None, of: str | None,
    choice: Choice, output: Output,
) -> None:  # fmt: skip
    """Show what is for a class, by guided backpropagation."""
    from archspec import see

    networks.write(lambda m: see.guided(m, list(pictures), target, of=of), choice, output, "guided")


@see.command()
@_PICTURES
@_seeing
@_TARGET
@_OF
def deconv(
    pictures: tuple[str, ...], networks: Networks, target: str | None, of: str | None,
    choice: Choice, output: Output,
) -> None:  # fmt: skip
    """Show what is for a class, by deconvolution."""
    from archspec import see

    networks.write(lambda m: see.deconv(m, list(pictures), target, of=of), choice, output, "deconv")


@see.command()
@_PICTURES
@_seeing
@_TARGET
@_at()
def gradcam(
    pictures: tuple[str, ...], networks: Networks, target: str | None, at: str | None,
    choice: Choice, output: Output,
) -> None:  # fmt: skip
    """Show where a class is seen, by Grad-CAM."""
    from archspec import see

    networks.write(
        lambda m: see.gradcam(m, list(pictures), target, at=at), choice, output, "gradcam"
    )


@see.command()
@_PICTURES
@_seeing
@_TARGET
@click.option("--window", metavar="N", type=int, help="Side of the square; an eighth.")
@click.option("--stride", metavar="N", type=int, help="How far it moves; half its side.")
def occlusion(
    pictures: tuple[str, ...], networks: Networks, target: str | None, window: int | None,
    stride: int | None, choice: Choice, output: Output,
) -> None:  # fmt: skip
    """Show where a class is lost when a square is covered."""
    from archspec import see

    networks.write(
        lambda m: see.occlusion(m, list(pictures), target, window=window, stride=stride),
        choice, output, "occlusion",
    )  # fmt: skip


@see.command()
@_PICTURES
@_seeing
@_at(required=True)
@click.option("--unit", "-u", "units", metavar="N", type=int, multiple=True, help="Channels shown.")
def activations(
    pictures: tuple[str, ...], networks: Networks, at: str, units: tuple[int, ...],
    choice: Choice, output: Output,
) -> None:  # fmt: skip
    """Show the maps of a node."""
    from archspec import see

    networks.write(
        lambda m: see.activations(m, list(pictures), at, list(units) or None),
        choice, output, "activations",
    )  # fmt: skip


@see.command()
@_seeing
@_at()
def filters(networks: Networks, at: str | None, choice: Choice, output: Output) -> None:
    """Show the weights of the first convolution."""
    from archspec import see

    networks.write(lambda m: see.filters(m, at), choice, output, "filters")


_UNITS = click.option(
    "--unit", "-u", "units", metavar="N", multiple=True,
    help="By number, a class by name too; the first 16, if not said.",
)  # fmt: skip


@see.command()
@_PICTURES
@_seeing
@_at(required=True)
@_UNITS
@click.option("--count", metavar="N", type=int, default=8, show_default=True, help="Of a unit.")
def patches(
    pictures: tuple[str, ...], networks: Networks, at: str, units: tuple[str, ...], count: int,
    choice: Choice, output: Output,
) -> None:  # fmt: skip
    """Show the parts of pictures that activate a unit most."""
    from archspec import see

    networks.write(
        lambda m: see.patches(m, list(pictures), at, list(units) or None, count=count),
        choice, output, "patches",
    )  # fmt: skip


@see.command()
@_seeing
@_at(required=True)
@_UNITS
@click.option("--steps", metavar="N", type=int, default=64, show_default=True, help="Of ascent.")
@click.option("--jitter", metavar="N", type=int, default=2, show_default=True, help="In pixels.")
@click.option("--l2", metavar="X", type=float, default=1.0, show_default=True, help="For grey.")
@click.option(
    "--variation",
    "total_variation",
    metavar="X",
    type=float,
    default=10.0,
    show_default=True,
    help="For smoothness.",
)
@click.option("--seed", metavar="N", type=int, default=0, show_default=True, help="Of the noise.")
def maximise(
    networks: Networks, at: str, units: tuple[str, ...], choice: Choice, output: Output,
    **settings: Any,
) -> None:  # fmt: skip
    """Show what units look for, by gradient ascent from noise."""
    from archspec import see

    ascent = see.Ascent(**settings)
    networks.write(
        lambda m: see.maximise(m, at, list(units) or None, ascent=ascent),
        choice, output, "maximise",
    )  # fmt: skip


@see.command()
@_PICTURES
@_seeing
@_at(required=True)
@click.option("--unit", "-u", metavar="N", required=True, help="By number, a class by name too.")
@click.option("--steps", metavar="N", type=int, default=20, show_default=True, help="Of ascent.")
def emphasise(
    pictures: tuple[str, ...], networks: Networks, at: str, unit: str, steps: int,
    choice: Choice, output: Output,
) -> None:  # fmt: skip
    """Show what in a picture caused an activation: it grows."""
    from archspec import see

    networks.write(
        lambda m: see.emphasise(m, list(pictures), at, unit, steps=steps),
        choice, output, "emphasise",
    )  # fmt: skip


@see.command()
@_PICTURES
@_seeing
@_at(required=True)
@click.option("--steps", metavar="N", type=int, default=100, show_default=True, help="Of Adam.")
def invert(
    pictures: tuple[str, ...], networks: Networks, at: str, steps: int,
    choice: Choice, output: Output,
) -> None:  # fmt: skip
    """Show pictures that a node cannot tell from given ones."""
    from archspec import see

    networks.write(
        lambda m: see.invert(m, list(pictures), at, steps=steps),
        choice, output, "invert",
    )  # fmt: skip


@see.command()
@_PICTURES
@_seeing
@click.option(
    "--at", metavar="NODE", default="codes", show_default=True,
    help="A node or block as `archspec expand` shows them; codes: before the head.",
)  # fmt: skip
@click.option("--neighbours", metavar="N", type=int, help="Of each picture; 7, if not said.")
def codes(
    pictures: tuple[str, ...], networks: Networks, at: str, neighbours: int, choice: Choice,
    output: Output,
) -> None:  # fmt: skip
    """Show which pictures a network takes for alike."""
    from archspec import see

    networks.write(
        lambda m: see.codes(m, list(pictures), at, neighbours=neighbours), choice, output, "codes"
    )


@see.command()
@_PICTURES
@_seeing
@click.option(
    "--anomalous", "-a", metavar="PATH", multiple=True,
    help="Pictures known to be anomalies; PICTURE are then none.",
)  # fmt: skip
@click.option(
    "--normal", metavar="PATH", multiple=True,
    help="Normal pictures not learned from; what a run holds out, if not said.",
)  # fmt: skip
@click.option(
    "--share", metavar="X", type=float, default=0.95, show_default=True,
    help="How many of the normal pictures are below the threshold.",
)  # fmt: skip
def anomaly(
    pictures: tuple[str, ...], networks: Networks, anomalous: tuple[str, ...],
    normal: tuple[str, ...], share: float, choice: Choice, output: Output,
) -> None:  # fmt: skip
    """Show which pictures an autoencoder rebuilds badly."""
    from archspec import see

    networks.write(
        lambda m: see.anomaly(
            m, list(pictures), anomalous=list(anomalous) or None, normal=list(normal) or None,
            share=share,
        ),
        choice, output, "anomaly",
    )  # fmt: skip


@see.command()
@_SEVERAL
@_seeing
@click.option("--count", metavar="N", type=int, default=32, show_default=True, help="Codes drawn.")
@click.option("--steps", metavar="N", type=int, default=8, show_default=True, help="Of a walk.")
@click.option("--seed", metavar="N", type=int, default=0, show_default=True, help="Of the codes.")
def latent(
    pictures: tuple[str, ...], networks: Networks, count: int, steps: int, seed: int,
    choice: Choice, output: Output,
) -> None:  # fmt: skip
    """Show what a VAE or GAN makes of codes, and between two."""
    from archspec import see

    for name in networks.specs():
        message = f"`{name}` is no run: which codes pictures are made of is not known"
        raise WrongUsageError(message, "--spec RUN, a folder that `archspec train` made")
    networks.write(
        lambda m: see.latent(m, list(pictures) or None, count=count, steps=steps, seed=seed),
        choice, output, "latent",
    )  # fmt: skip
