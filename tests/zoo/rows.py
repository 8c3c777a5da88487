"""models.json and papers/ → what the specs have to come to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from archspec import shelf
from archspec.text import source

HERE = Path(__file__).resolve().parent


class Row(NamedTuple):
    """One network: a spec, the name of its variant (the spec's own: without one), the facts."""

    spec: str
    name: str
    facts: dict[str, Any]

    def __str__(self) -> str:
        return self.name if self.name.startswith(self.spec) else f"{self.spec}-{self.name}"


def measured() -> list[Row]:
    """The rows of models.json; one that lists several specs or variants counts for each.

    Of several specs in one row the input is the first one's.
    """
    found = []
    for entry in json.loads((HERE.parent / "reference/models.json").read_text())["models"]:
        for place, spec in enumerate(entry["spec"].split(", ")):
            facts = {**entry, "input": []} if place else entry
            for variant in entry["variant"].split(", "):
                stem = Path(spec).stem
                found.append(Row(stem, stem if variant == "default" else variant, facts))
    return found


def published() -> list[Row]:
    """What papers print, in papers/: totals, and shapes by path."""
    return [
        Row(path.stem, name, {"source": document["source"], **facts})
        for path in sorted((HERE / "papers").glob("*.yaml"))
        for document in [yaml.safe_load(path.read_text(encoding="utf-8"))]
        for name, facts in document["networks"].items()
    ]


def shipped() -> list[Row]:
    """Every shipped spec and every variant of it, with what it expects."""
    found = []
    for spec in shelf.names():
        data = source.read(shelf.find(spec)).data
        expect = data.get("expect", {})
        names = dict.fromkeys((spec, *data.get("variants", {})))
        found += [Row(spec, name, expect.get(name, {})) for name in names]
    return found
