"""The commands about weights, and `diff`, which says what of them a changed spec can take."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from archspec.cli.app import Force, Format, Inputs, Sets, Spec, Variant, _load, _specs, app
from archspec.cli.arguments import WRONG_SPEC, save, target, usage
from archspec.cli.show import fancy, say

if TYPE_CHECKING:
    from archspec.network import Program

__all__ = ["app"]

weights = typer.Typer(
    help="Weights: what of a file fits, conversion to a spec's names, a proposed table of names.",
    no_args_is_help=True,
)
app.add_typer(weights, name="weights")

File = Annotated[
    str | None, typer.Argument(metavar="[FILE]", help="A safetensors file, or torch.save's.")
]
ForSpec = Annotated[
    str,
    typer.Option("--spec", metavar="SPEC", help="The network.", autocompletion=_specs),
]
Source = Annotated[
    str | None,
    typer.Option(
        "--source",
        help="Whose names: torchvision, timm, file, spec. Without FILE, it is fetched.",
    ),
]
FromSpec = Annotated[
    str | None,
    typer.Option("--from-spec", metavar="SPEC", help="The spec the file was saved from."),
]
Allow = Annotated[
    list[str] | None,
    typer.Option("--allow", metavar="PATH", help="What may be left over or fresh."),
]
Adapt = Annotated[
    bool, typer.Option("--adapt-input", help="Fit the first convolution to the input's channels.")
]
Cast = Annotated[bool, typer.Option("--cast", help="Convert between float dtypes.")]


@app.command()
def diff(
    a: Annotated[str, typer.Argument(metavar="A", help="A spec.", autocompletion=_specs)],
    b: Annotated[str, typer.Argument(metavar="B", help="Another.", autocompletion=_specs)],
    format: Annotated[
        Format, typer.Option("--format", "-f", help="How to write it.")
    ] = Format.table,
    depth: Annotated[
        int, typer.Option("--depth", "-d", min=1, help="Segments of a path that make a stage.")
    ] = 1,
    variants: Annotated[
        list[str] | None,
        typer.Option("--variant", "-v", help="Of both; given twice, of A and of B."),
    ] = None,
) -> None:
    """Show what changes from one spec to another, and which weights stay."""
    from archspec.network import prepare
    from archspec.report import difference

    chosen = variants or []
    if len(chosen) > 2:
        usage("`--variant` is given more than twice", "once for both, or for A and for B")
    first, last = (chosen[0], chosen[-1]) if chosen else (None, None)
    found = difference.compare(prepare(a, first, {}), prepare(b, last, {}), depth)
    if format is Format.table and fancy(sys.stdout):
        from archspec.report import table

        table.terminal(difference.difference(found))
    else:
        say(difference.write(found, format.value))


@weights.command()
def report(
    spec: ForSpec,
    file: File = None,
    source: Source = None,
    from_spec: FromSpec = None,
    allow: Allow = None,
    adapt_input: Adapt = False,
    cast: Cast = False,
    variant: Variant = None,
    sets: Sets = None,
    as_json: Annotated[bool, typer.Option("--json", help="Every tensor, as JSON.")] = False,
) -> None:
    """Say what of a file a network can take; only its header is read."""
    from archspec.weights import plan

    found = plan(
        _load(spec, variant, sets, None, False), file, source, from_spec=_old(from_spec),
        allow=allow or (), adapt_input=adapt_input, cast=cast,
    )  # fmt: skip
    say(json.dumps(found.record(), indent=1) if as_json else str(found))
    if not found.ok:
        raise typer.Exit(WRONG_SPEC)


@weights.command()
def convert(
    spec: ForSpec,
    output: Annotated[str, typer.Option("--output", "-o", help="The safetensors file to write.")],
    file: File = None,
    source: Source = None,
    from_spec: FromSpec = None,
    allow: Allow = None,
    adapt_input: Adapt = False,
    cast: Cast = False,
    variant: Variant = None,
    sets: Sets = None,
    force: Force = False,
) -> None:
    """Write weights as safetensors with the spec's own names."""
    from archspec.weights import convert

    program = _load(spec, variant, sets, None, False)
    path = target(output, f"{program.name}.safetensors")
    found = convert(
        file, program, path, source, from_spec=_old(from_spec), allow=allow or (),
        adapt_input=adapt_input, cast=cast, force=force,
    )  # fmt: skip
    say(f"{found}\n\n{path}: written")


@weights.command("map")
def map_(
    spec: Spec,
    reference: Annotated[
        str, typer.Argument(help="torchvision:resnet50, timm:resnet50, or a spec.")
    ],
    output: Annotated[
        str | None, typer.Option("--output", "-o", help="File to write to; - for stdout.")
    ] = None,
    variant: Variant = None,
    sets: Sets = None,
    inputs: Inputs = None,
    force: Force = False,
) -> None:
    """Propose how a reference's names are the spec's, and prove it by equal outputs."""
    from archspec.module import build
    from archspec.weights import proposal, sources

    program = _load(spec, variant, sets, inputs, False)
    library, colon, name = reference.partition(":")
    other = sources.reference(library, name) if colon else build(reference)
    found = proposal.propose(build(program), other, *proposal.probe(program.graph))
    head = f"# {len(found.pairs):,} tensors of {reference}; outputs equal"
    head += f" to {found.error:.0e} of the largest" if found.error else ""
    text = f"{head}\n{found.yaml}" if found.rename else f"{head}; all names are equal already\n"
    if output is None or output == "-":
        say(text)
    else:
        save(text, target(output, "rename.yaml"), force=force)


def _old(spec: str | None) -> Program | None:
    """The spec that names are known of: what is odd about it is none of this command's business."""
    from archspec.network import prepare

    return None if spec is None else prepare(spec, None, {})
