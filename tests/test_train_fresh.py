"""What a newcomer does and mistypes, and the sentence that says what is meant."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

import archspec
from archspec.cli.app import app
from archspec.text.faults import SpecError
from archspec.train import fit, reading, resume, save_pretrained
from archspec.train.errors import TrainError

SPEC = """\
spec: 1
name: small
params: {classes: 2}
input: [1, 8, 8]
body: [flatten, {id: fc, linear: $classes}]
"""
LINE = "spec: 1\nname: line\ninput: [2]\nbody: [{linear: 1}]\n"
PLAN = "data: {train: digits, samples: 64}\nlog: {save: 5, trackers: [tensorboard]}\nepochs: 2\n"


def build(spec: str = SPEC, **params: Any) -> torch.nn.Module:
    return archspec.build(archspec.loads(spec, **params))


def drawn(*files: Path) -> None:
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8)).save(file)


def test_a_folder_that_is_named_leaves_the_rest_of_log_alone(tmp_path: Path) -> None:
    (tmp_path / "plan.yaml").write_text(PLAN)
    plan = reading.given(tmp_path / "plan.yaml", {"log": {"folder": "there"}})
    assert plan.log is not None
    assert (plan.log.folder, plan.log.save, plan.log.trackers) == ("there", 5, ("tensorboard",))
    assert plan.data is not None
    assert plan.data.samples == 64


def test_a_fault_is_shown_in_the_file_whatever_else_is_said(tmp_path: Path) -> None:
    file = tmp_path / "plan.yaml"
    file.write_text(PLAN + "phases:\n  - train: [fk]\n")
    for keys in ({}, {"seed": 3}, {"log": None}):
        with pytest.raises(SpecError, match="nothing below `fk`") as caught:
            fit(build(classes=10), plan=file, **keys)
        assert "plan.yaml:5:13" in str(caught.value), keys
    with pytest.raises(SpecError, match="nothing below `fl`") as caught:
        fit(build(classes=10), plan=file, phases=[{"train": ["fl"]}])
    assert "plan.yaml" not in str(caught.value)


@pytest.mark.parametrize(
    ("files", "task"),
    [
        (("images/1.png", "masks/1.png"), "segmentation"),
        (("inputs/1.png", "targets/1.png"), "restoration"),
        (("images/1.png", "labels/1.txt"), "detection"),
        (("images/1.png", "boxes.json"), "detection"),
    ],
)
def test_folders_of_another_task_are_no_classes(
    tmp_path: Path, files: tuple[str, ...], task: str
) -> None:
    drawn(*(tmp_path / file for file in files if file.endswith(".png")))
    for file in files:
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).touch()
    with pytest.raises(TrainError, match=rf"(?s)E803 .*no classes.*`task: {task}`"):
        fit(build(), tmp_path, log=None)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b,y\n1,2,3\n2,nan,4\n", "line 3 of .* holds `nan` where a number belongs"),
        ("a,b,y\n1,2,3\n2,3,inf\n", "line 3 of .* holds `inf` where"),
        ("a,b,y\n1,,3\n", "line 2 of .* holds nothing where"),
        ("file,x1,y1,x2,y2,c\n1.png,0,0,1,1,a\n", "has 6 columns; a picture and its target"),
    ],
)
def test_a_table_is_numbers_or_two_columns(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(TrainError, match=said):
        fit(build(LINE), tmp_path / "t.csv", task="regression", log=None)


def test_numbers_that_are_none_are_refused_before_the_first_step() -> None:
    x, y = torch.rand(6, 2), torch.rand(6, 1)
    x[4, 1] = torch.nan
    for data in ((x, y), {"train": (x[:4], y[:4]), "val": (x, y)}, (torch.rand(6, 2), x[:, 1:])):
        with pytest.raises(TrainError, match=r"E803 sample 4 .*not finite"):
            fit(build(LINE), data, task="regression", log=None, quiet=True)


def test_a_file_that_is_no_npz(tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_text("no zip")
    (tmp_path / "b.npz").write_bytes(b"PK\3\4 cut off")
    numpy.savez(tmp_path / "c.npz", x=numpy.array([{}, 3], dtype=object), y=numpy.zeros(2))
    for name, why in (("a", "it is no .npz"), ("b", "not a zip"), ("c", "it is no .npz")):
        with pytest.raises(TrainError, match=rf"{name}.npz. cannot be read: .*{why}"):
            fit(build(), tmp_path / f"{name}.npz", log=None)


def test_what_was_saved_to_be_used_is_not_gone_on_with(tmp_path: Path) -> None:
    save_pretrained(build(), tmp_path / "out", classes=["a", "b"])
    with pytest.raises(TrainError, match=r"(?s)nothing to go on with.*new run"):
        resume(tmp_path / "out")


@pytest.mark.parametrize(
    ("spec", "data", "task", "said"),
    [
        (LINE, "numbers.csv", "regression", "r: archspec evaluate r"),
        (SPEC, "digits", "triplets", "r: archspec evaluate r"),
    ],
)
def test_what_is_proposed_can_be_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spec: str, data: str, task: str, said: str
) -> None:
    """A network that reads no pictures, or compares two, is not to be asked by `predict`."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.yaml").write_text(spec)
    (tmp_path / "numbers.csv").write_text("a,b,y\n" + "1,2,3\n2,1,4\n" * 4)
    call = ["train", "net.yaml", "--data", data, "-w", f"task={task}", "-e", "1", "-o", "r"]
    assert said in CliRunner().invoke(app, call).output
    assert "loss" in CliRunner().invoke(app, ["evaluate", "r"]).output


def test_commands_that_are_proposed_can_be_pasted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Folders have blanks and umlauts, here as in life."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "netz.yaml").write_text(SPEC)
    drawn(*(tmp_path / "Vögel am See" / kind / f"{n}.png" for kind in "äb" for n in range(4)))
    call = ["train", "netz.yaml", "--data", "Vögel am See", "-e", "1", "-o", "ein lauf"]
    done = CliRunner().invoke(app, call)
    assert "archspec predict 'ein lauf'" in done.output, done.output
    (tmp_path / "ein lauf").rename(tmp_path / "woanders")
    done = CliRunner().invoke(app, ["evaluate", "woanders", "--json"])
    assert json.loads(done.output)["loss"] > 0


def test_processes_that_are_interrupted_agree_where_they_end(tmp_path: Path) -> None:
    """The launcher gets the signal, the processes at different steps; and the run goes on."""
    (tmp_path / "net.yaml").write_text(SPEC)
    words = ["net.yaml", "--set", "classes=10", "--data", "digits", "-e", "4000", "-o", "r"]
    call = [sys.executable, "-m", "archspec", "train", *words, "--processes", "2"]
    place = str(Path(archspec.__file__).resolve().parent.parent)
    env = {**os.environ, "PYTHONPATH": place, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        call, cwd=tmp_path, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as started:
        assert started.stdout is not None
        for line in started.stdout:
            if line.startswith("2/4000"):
                started.send_signal(signal.SIGTERM)
                break
        rest = started.stdout.read()
    assert started.returncode == 1
    assert "the run is saved" in rest
    assert "Traceback" not in rest
    assert "E900" not in rest
    assert (tmp_path / "r" / "last").is_file()
