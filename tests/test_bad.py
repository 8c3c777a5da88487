"""Bad specs a user could have written, each with the exact complaint beside it (`--update` rewrites them)."""

# ruff: noqa: E501  (texts as authors write them)

from __future__ import annotations

import re
from pathlib import Path

import pytest

from archspec.codes import CODES
from archspec.network import load
from archspec.text.faults import SpecError

FOLDER = Path(__file__).resolve().parent / "bad"
KINDS = sorted(path.stem for path in FOLDER.glob("*.yaml"))
HEAD = re.compile(r"^(?:E\d{3}) \S", re.MULTILINE)
PLACE = re.compile(r"^  --> [\w./]+\.yaml:\d+:\d+", re.MULTILINE)


def complaint(kind: str) -> SpecError:
    with pytest.raises(SpecError) as caught:
        load(f"{kind}.yaml")
    return caught.value


@pytest.mark.parametrize("kind", KINDS)
def test_complaint(kind: str, update: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(FOLDER)  # so that messages name the file alone
    error = complaint(kind)
    text = f"{error}\n"
    faults = len(error.faults)
    assert {fault.code for fault in error.faults} <= set(CODES)
    assert not any(fault.code.startswith("E9") for fault in error.faults)
    assert len(HEAD.findall(text)) == faults
    if kind not in ("empty",):  # there is nothing to point at
        assert len(PLACE.findall(text)) == faults
        assert text.count("^") >= faults
    expected = FOLDER / f"{kind}.txt"
    if update:
        expected.write_text(text, encoding="utf-8")
    assert text == expected.read_text(encoding="utf-8")


def test_there_are_enough() -> None:
    assert len(KINDS) >= 100
    assert {path.stem for path in FOLDER.glob("*.txt")} == set(KINDS)
