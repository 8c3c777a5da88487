"""Network → Report: everything that is known, as models for programs to read (JSON, CSV).

    Report: name, spec, title
      totals    Totals      params, macs, …
      layers    Layer       path, op, output, params, …
        receptive_field  Seen    size, stride, padding along one axis of an input

`document(network).model_dump_json()` is what `archspec summary -f json` prints,
`Report.model_validate_json` reads it back, and `Report.model_json_schema()` says what is in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field

from archspec.report.layers import Stage, folded

if TYPE_CHECKING:
    from archspec.analysed import Network

Exact = Annotated[str | None, BeforeValidator(lambda value: None if value is None else str(value))]
"""A whole number or a fraction as text, `1/2`."""


class Model(BaseModel):
    """Filled from what the analysis says, attribute by attribute; not changed afterwards."""

    model_config = ConfigDict(frozen=True, from_attributes=True, defer_build=True)


class Seen(Model):
    """What one cell sees of an input along an axis, in cells of the input (see analysis.Field)."""

    input: str
    axis: str = Field(validation_alias=AliasChoices("name", "axis"))
    size: int | None
    stride: Exact
    padding: Exact
    centre: Exact
    whole: bool


_SUMS = ("params", "trainable", "buffers", "macs", "flops", "bytes_out", "bytes_saved")


class Layer(Model):
    """One layer, or a part: sums over its layers, shape and field of its last one.

    Numbers are for one sample, bytes those of float32.
    """

    path: str
    op: str
    layers: int
    output: list[tuple[int, ...]]
    params: int
    trainable: int
    buffers: int
    shared_with: str | None
    tied_to: str | None
    training_only: bool
    macs: int
    flops: int
    bytes_out: int
    bytes_saved: int
    live_bytes: int
    aligned: bool | None
    receptive_field: list[Seen]

    @classmethod
    def of(cls, stage: Stage) -> Layer:
        """The layer, or the part, that a line of a table is about."""
        last, alone = stage.rows[-1], len(stage.rows) == 1
        return cls(
            path=stage.name,
            op=last.op if alone else stage.what,
            layers=len(stage.rows),
            output=[out.shape for out in last.outputs],
            shared_with=last.shared_with if alone else None,
            tied_to=last.tied_to if alone else None,
            training_only=all(row.training_only for row in stage.rows),
            live_bytes=max(row.live_bytes for row in stage.rows),
            aligned=last.aligned if alone else None,
            receptive_field=[Seen.model_validate(field) for field in last.fields],
            **{figure: stage.sum(figure) for figure in _SUMS},
        )

    def flat(self) -> dict[str, Any]:
        """Without nesting: shapes as `64x112x112`, a field's parts in columns of their own."""
        found = self.model_dump(exclude={"output", "receptive_field"})
        found["output"] = " ".join("x".join(map(str, shape)) for shape in self.output)
        for part in ("size", "stride", "padding", "centre"):
            values = [getattr(seen, part) for seen in self.receptive_field]
            texts = ["" if value is None else str(value) for value in values]
            found[f"field_{part}"] = "x".join(texts) if any(texts) else ""
        found["field_whole"] = any(seen.whole for seen in self.receptive_field)
        return found


class Totals(Model):
    """Sums over the layers; arithmetic of inference, and with what runs in training only."""

    params: int
    trainable: int
    buffers: int
    params_training_only: int
    macs: int
    flops: int
    macs_training: int
    flops_training: int
    flops_by_family: dict[str, int]
    macs_by_family: dict[str, int]
    weight_bytes: int
    saved_bytes: int
    peak_live_bytes: int
    peak_at: str
    depth: int
    units: int
    inference_bytes: int
    training_bytes: int


class Warned(Model):
    """A likely mistake."""

    code: str
    message: str
    help: str | None


class Report(Model):
    """A network: which it is, what it costs, which sizes it takes, its layers in order."""

    name: str
    spec: str
    title: str
    totals: Totals
    sizes: list[str]
    warnings: list[Warned]
    layers: list[Layer]


def document(network: Network, depth: int | None = None) -> Report:
    """The whole report; `depth` folds what lies deeper than so many segments of a path."""
    return Report(
        name=network.name,
        spec=network.source.name,
        title=network.spec.title,
        totals=Totals.model_validate(network.analysis.totals),
        sizes=[str(accepted) for accepted in network.analysis.sizes],
        warnings=[Warned.model_validate(fault) for fault in network.warnings],
        layers=records(network, depth),
    )


def records(network: Network, depth: int | None = None) -> list[Layer]:
    """One record a line of the table."""
    return [Layer.of(stage) for stage in folded(network, depth)]
