"""What there is → text: the shipped specs, the ops of the language."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from archspec import language, shelf
from archspec.expand import input_types
from archspec.report.table import Cell, Column, Table
from archspec.text import source
from archspec.text.words import written
from archspec.units import count

if TYPE_CHECKING:
    from archspec.language import Spec

_LONGEST = 48  # signs of a paper


def shipped() -> Table:
    """One row a spec, its variants below it: the totals that it expects, its input, the paper."""
    columns = (
        Column("spec"),
        Column("parameters", right=True),
        Column("MACs", right=True),
        Column("input", yields=1),
        Column("paper", yields=2),
    )
    rows = [
        row
        for name in shelf.names()
        for row in _rows(language.parse(source.read(shelf.find(name))))
    ]
    return Table(f"{len(shelf.names())} specs", columns, rows)


def _rows(spec: Spec) -> Iterator[tuple[Cell, ...]]:
    for variant in (None, *(name for name in spec.variants if name != spec.name)):
        totals = spec.expect.get(variant or spec.name, {})
        macs = totals.get("macs")
        yield (
            f"  {variant}" if variant else spec.name,
            totals.get("params"),
            count(macs).rstrip() if macs else None,
            ", ".join(_input(spec, variant)),
            None if variant else _paper(spec.cite),
        )


def _input(spec: Spec, variant: str | None) -> Iterator[str]:
    """`3 x 224 x 224` of each input; of a free axis the name."""
    for name, kind in input_types(spec, variant).items():
        assert kind is not None
        axes = zip(spec.inputs[name].shape, kind.shape, strict=True)
        said = (a.name if isinstance(a, language.Axis) else str(size) for a, size in axes)
        yield " x ".join(said) or "a number"


def _paper(cite: str) -> str:
    """The first of several, short enough to leave the table readable."""
    first = cite.split(";")[0]
    if len(first) > _LONGEST:
        first = re.sub(r"^([^,]+), .*? (\d{4})", r"\1 et al. \2", first)
    return first if len(first) <= _LONGEST else first[: _LONGEST - 1].rstrip(" ,") + "…"


def vocabulary() -> str:
    """One line an op: its name, its parameters with their defaults, the main one first."""
    from archspec.layers import REGISTRY

    def default(value: object) -> str:
        return "~" if value is None else written(value)

    lines = []
    for op, layer in sorted(REGISTRY.items()):
        fields = [
            name if field.is_required() else f"{name}={default(field.default)}"
            for name, field in layer.model_fields.items()
        ]
        lines.append(f"{op:<22} {', '.join(fields)}".rstrip())
    return "\n".join(lines) + "\n"
