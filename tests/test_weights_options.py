"""`--weights` wherever it is taken: files, the folder of a run, an entry, another prefix."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

import archspec
from archspec.cli.app import app
from archspec.weights import WeightsError

SPEC = "spec: 1\nname: tiny\ninput: [4]\nbody: [{id: fc, linear: 3}]\n"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("tiny.yaml").write_text(SPEC, encoding="utf-8")
    return tmp_path


def run(folder: Path, *steps: str) -> dict[str, torch.nn.Module]:
    """The folder of a run with checkpoints, the last of which is the best but one."""
    found = {}
    for step in steps:
        place = folder / "checkpoints" / step
        place.mkdir(parents=True)
        found[step] = archspec.build("tiny.yaml")
        archspec.weights.save(found[step], place / "model.safetensors")
    (folder / "last").write_text(f"{steps[-1]}\n", encoding="utf-8")
    return found


def typed(*words: str) -> str:
    """What a command says, or what it ends with."""
    found = CliRunner().invoke(app, [*words])
    return f"{found.output}{found.exception or ''}"


def test_the_folder_of_a_run_stands_for_its_best_weights(here: Path) -> None:
    steps = run(Path("runs/a"), "10", "20")
    last = archspec.build("tiny.yaml", weights="runs/a")
    torch.testing.assert_close(last.fc.weight, steps["20"].fc.weight, rtol=0, atol=0)
    Path("runs/a/best").write_text("10\n", encoding="utf-8")
    best = archspec.build("tiny.yaml", weights=Path("runs/a"))
    torch.testing.assert_close(best.fc.weight, steps["10"].fc.weight, rtol=0, atol=0)
    one = archspec.build("tiny.yaml", weights="runs/a/checkpoints/20")
    torch.testing.assert_close(one.fc.weight, steps["20"].fc.weight, rtol=0, atol=0)
    assert "2 of 2 tensors" in typed("weights", "report", "runs/a", "--spec", "tiny.yaml")


def test_a_folder_without_weights_is_a_sentence(here: Path) -> None:
    Path("runs").mkdir()
    with pytest.raises(WeightsError) as caught:
        archspec.build("tiny.yaml", weights="runs")
    assert str(caught.value).startswith("E603 `runs` is a folder that holds no weights")
    assert "the folder of a run" in str(caught.value)


@pytest.mark.parametrize(
    "command",
    [
        ("export", "tiny.yaml", "-o", "tiny.pt2"),
        ("transfer", "codes", "tiny.yaml", "--data", "data.npz", "--at", "input"),
        ("transfer", "svm", "tiny.yaml", "--data", "data.npz", "--at", "input"),
        ("train", "tiny.yaml", "--data", "data.npz", "--overfit-one-batch"),
        ("see", "filters", "--spec", "tiny.yaml"),
        ("predict", "tiny.yaml", "x.png"),
    ],
)
def test_entry_and_prefix_are_taken_wherever_weights_are(
    here: Path, command: tuple[str, ...]
) -> None:
    import numpy

    rows = numpy.random.default_rng(0).normal(size=(30, 4)).astype("float32")
    numpy.savez("data.npz", x=rows, y=numpy.arange(30) % 3)
    state = archspec.build("tiny.yaml").state_dict()
    averaged = {f"model.{name}": value for name, value in state.items()}
    torch.save({"model": state, "model_ema": averaged}, "both.pt")
    given = ("--weights", "both.pt", "--entry", "model_ema")
    if command[0] != "predict":  # a spec alone does not say how pictures become inputs
        assert "model.` taken off makes 2 of 2 names match: `--prefix model.=`" in (
            typed(*command, *given)
        )
    assert "not in it" not in typed(*command, *given, "--prefix", "model.=")
    if command[0] != "see":  # which is never without
        assert "--entry` is said of no weights" in typed(*command, "--entry", "model_ema")
