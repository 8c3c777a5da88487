"""The commands about weights."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

import click
from click.exceptions import Exit

from archspec.cli.options import (
    ENTRY,
    PREFIX,
    SPEC,
    WRONG_SPEC,
    Choice,
    Output,
    choosing,
    specs,
    state,
    together,
    writing,
)
from archspec.cli.show import result, say
from archspec.save import MARK
from archspec.text.words import printable


@dataclass(frozen=True, slots=True)
class Transfer:
    """Which weights, and what may be done to them."""

    state: str | dict[str, str] | None
    source: str | None
    from_spec: str | None
    allow: tuple[str, ...]
    adapt_input: bool
    cast: bool
    entry: str | None
    prefix: dict[str, str]

    def keywords(self) -> dict[str, Any]:
        """As `weights.plan` and `weights.convert` take them."""
        from archspec.network import Choice, prepare

        # what is odd about the spec that names are known of is none of this command's business
        old = None if self.from_spec is None else prepare(self.from_spec, Choice())
        return asdict(self) | {"from_spec": old}


_FOR_SPEC = click.option(
    "--spec", metavar="SPEC", required=True, help="The network.", shell_complete=specs
)
_transferring = together(
    "transfer",
    Transfer,
    click.argument(
        "state", metavar="[FILE|PART=FILE...]", nargs=-1, callback=state,
        help="A safetensors file, or torch.save's; or such for the used file at PART.",
    ),
    click.option(
        "--source", metavar="NAME",
        help="Whose names: torchvision, timm, file, spec. Without FILE, it is fetched.",
    ),
    click.option(
        "--from-spec", metavar="SPEC", help="The spec the file was saved from.",
        shell_complete=specs,
    ),
    click.option(
        "--allow", metavar="PATH", multiple=True, help="What may be left over or fresh."
    ),
    click.option(
        "--adapt-input", is_flag=True, help="Fit the first convolution to the input's channels."
    ),
    click.option("--cast", is_flag=True, help="Convert between float dtypes."),
    ENTRY,
    PREFIX,
)  # fmt: skip


@click.group()
def weights() -> None:
    """Weights: what fits, conversion, a proposed table of names."""


@weights.command()
@_FOR_SPEC
@_transferring
@choosing
@click.option("--json", "as_json", is_flag=True, help="Every tensor, as JSON.")
def report(spec: str, transfer: Transfer, choice: Choice, as_json: bool) -> None:
    """Say what of a file a network can take.

    Only its header is read: numbers that are not finite are refused by `convert`, and by loading.
    """
    from archspec.weights import plan

    found = plan((choice.accept if choice.strict else choice.unheard)(spec), **transfer.keywords())
    if as_json:
        result(json.dumps(found.record(), indent=1))
    else:
        say(str(found))
    if not found.ok:
        raise Exit(WRONG_SPEC)


@weights.command()
@_FOR_SPEC
@writing("The safetensors file to write.", required=True)
@_transferring
@choosing
def convert(spec: str, transfer: Transfer, choice: Choice, output: Output) -> None:
    """Write weights as safetensors with the spec's own names."""
    from archspec.weights import convert

    program = choice.accept(spec)
    path = output.path(f"{program.name}.safetensors")
    found = convert(spec=program, path=path, force=output.force, **transfer.keywords())
    say(f"{found}\n\n{path}: written")


@weights.command("map")
@SPEC
@click.argument(
    "reference", metavar="REFERENCE", help="torchvision:resnet50, timm:resnet50, or a spec."
)
@writing()
@choosing
def map_(spec: str, reference: str, choice: Choice, output: Output) -> None:
    """Propose a table of a reference's names, proved by equal outputs."""
    from archspec.module import build
    from archspec.weights import proposal, sources

    program = choice.accept(spec)
    library, colon, name = reference.partition(":")
    other = sources.reference(library, name) if colon else build(reference)
    found = proposal.propose(build(program), other, *proposal.probe(program.graph))
    head = f"# {len(found.pairs):,} tensors of {printable(reference)}; outputs equal"
    head += f" to {found.error:.0e} of the largest" if found.error else ""
    head += f"; {MARK}"
    text = f"{head}\n{found.yaml}" if found.yaml else f"{head}; all names are equal already\n"
    output.put(text, "rename.yaml")
