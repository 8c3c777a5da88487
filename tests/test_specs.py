"""The shipped specs against the reference totals, exactly."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from archspec import shelf, source
from archspec.program import load
from archspec.tidy import tidy

REFERENCE = json.loads((Path(__file__).parent / "reference/models.json").read_text())["models"]
SHIPPED = set(shelf.names())
# variants of shipped specs that are still to be written
ABSENT = {("googlenet", "original")}


def _references() -> list[tuple[str, str | None, dict[str, Any]]]:
    found = []
    for entry in REFERENCE:
        name = Path(entry["spec"]).stem
        if name not in SHIPPED or (name, entry["variant"]) in ABSENT:
            continue
        whole = entry["variant"] in ("default", name)
        found.append((name, None if whole else entry["variant"], entry))
    return found


CASES = _references()


def test_references_are_found() -> None:
    assert len(CASES) >= 30


@pytest.mark.parametrize(("name", "variant", "entry"), CASES, ids=[f"{n}-{v}" for n, v, _ in CASES])
def test_totals(name: str, variant: str | None, entry: dict[str, Any]) -> None:
    program = load(name, variant)
    totals = program.analysis.totals
    shape = tuple(program.graph.nodes[0].outs[0].shape)
    wanted = [size for size in entry["input"] if isinstance(size, int)]
    assert list(shape)[-len(wanted) :] == wanted
    if "params" in entry:
        assert totals.params == entry["params"]
    if "macs" in entry:
        assert totals.macs == entry["macs"]


def _expectations() -> list[tuple[str, str]]:
    found = []
    for name in shelf.names():
        data = source.read(shelf.find(name)).data
        found += [(name, variant) for variant in data.get("expect", {}) if variant != "warnings"]
    return found


@pytest.mark.parametrize(("name", "variant"), _expectations())
def test_loads_as_it_expects(name: str, variant: str) -> None:
    load(name, None if variant == name else variant)  # raises where a total is not as expected


@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_is_a_model_for_others(name: str) -> None:
    text = shelf.find(name).read_text(encoding="utf-8")
    data = source.from_text(text).data
    assert data["name"] == name
    assert data["title"]
    assert data["cite"]
    assert name in data["expect"]
    assert tidy(text) == text, "archspec fmt changes it"
    assert max(map(len, text.splitlines())) <= 120


@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_has_no_warnings(name: str) -> None:
    assert [fault.message for fault in load(name).warnings] == []
