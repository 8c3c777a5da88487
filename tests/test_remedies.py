"""Remedies that can be followed: what the command line and params from outside are told."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from archspec.cli.app import app
from archspec.network import load
from archspec.report import records
from archspec.text.faults import SpecError


def test_a_folder_that_is_not_there_does_not_become_a_file(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    found = CliRunner().invoke(app, ["compile", "lenet5", "-o", f"{folder}/"])
    assert found.exit_code == 2
    assert f"the folder `{folder}` does not exist" in found.output
    assert not folder.exists()
    folder.mkdir()
    assert CliRunner().invoke(app, ["compile", "lenet5", "-o", f"{folder}/"]).exit_code == 0
    assert [file.name for file in folder.iterdir()] == ["lenet5.py"]


def test_a_point_is_left_out_of_whole_numbers_only() -> None:
    helps = []
    for classes in (15.0, 1.5):
        with pytest.raises(SpecError) as caught:
            load("lenet5", classes=classes)
        helps.append(caught.value.faults[0].help)
    assert helps == ["leave the point out", ""]


def test_the_inputs_are_shown_at_any_depth() -> None:
    rows = records(load("lenet5"), 0)
    assert [(row.path, row.op) for row in rows] == [("input", "input"), ("lenet5", "lenet5")]
