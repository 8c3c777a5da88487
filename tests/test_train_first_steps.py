"""What somebody tries who trains for the first time, and what is said where it cannot be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy
import pytest
from click.testing import CliRunner

torch = pytest.importorskip("torch")
pytest.importorskip("accelerate")

import archspec  # noqa: E402
from archspec.cli.app import app  # noqa: E402
from archspec.train import use  # noqa: E402
from archspec.train.errors import TrainError  # noqa: E402

SPEC = """
spec: 1
name: net
params: {classes: 2}
input: [3, 8, 8]
body: [flatten, {linear: $classes}]
"""


def model(classes: int = 2) -> Any:
    return archspec.build(archspec.loads(SPEC, classes=classes))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A spec, and pictures of two classes in the two sets `train` and `val`."""
    from PIL import Image

    monkeypatch.chdir(tmp_path)
    Path("net.yaml").write_text(SPEC)
    for part, shade in (("train", 40), ("val", 200)):
        for name in ("cat", "dog"):
            Path("pets", part, name).mkdir(parents=True)
            for i in range(4):
                Image.new("RGB", (9, 8), (shade, i, 0)).save(f"pets/{part}/{name}/{i}.png")
    return tmp_path


def said(*args: str) -> str:
    """What the command says, to either stream, with the fault that it stops at."""
    done = CliRunner().invoke(app, list(args))
    return f"{done.output}\n{done.exception or ''}"


def test_a_folder_of_two_sets_is_both(here: Path) -> None:
    run = archspec.train.fit(model(), "pets", epochs=1, log=None)
    both = archspec.train.fit(model(), ("pets/train", "pets/val"), epochs=1, log=None)
    assert run.metrics[0].keys() == both.metrics[0].keys()
    text = said("train", "net.yaml", "--data", "pets", "--epochs", "1", "-o", "run")
    assert "run: archspec predict run" in text
    assert use.load("run").facts.classes == ("cat", "dog")


def test_settings_beside_the_data_of_the_command_line_count(here: Path) -> None:
    said(
        "train", "net.yaml", "--data", "pets/train", "--with", "data={val: 0.5, size: 8}",
        "--epochs", "1", "-o", "run",
    )  # fmt: skip
    data = use.load("run").plan.data
    assert data is not None
    assert (data.train, data.val, data.size) == ("pets/train", 0.5, (8, 8))


def test_a_key_may_be_null(here: Path) -> None:
    text = said("train", "net.yaml", "-d", "pets", "--epochs", "1", "--with", "log=null")
    assert "best: 1/1" in text
    assert not Path("runs").exists()
    assert "gives no value" in said("train", "net.yaml", "-d", "pets", "--with", "log=")


@pytest.mark.parametrize("kind", ["float64", "float16", "uint8"])
def test_arrays_of_any_kind_of_number(kind: str, here: Path) -> None:
    x = (numpy.random.default_rng(0).random((8, 3, 8, 8)) * 9).astype(kind)
    numpy.savez("data.npz", x=x, y=numpy.arange(8) % 2)
    run = archspec.train.fit(model(), "data.npz", epochs=1, batch=4, log=None)
    assert run.best["val.loss"] > 0


def test_a_dataset_of_doubles(here: Path) -> None:
    class Doubles(torch.utils.data.Dataset[Any]):
        def __len__(self) -> int:
            return 8

        def __getitem__(self, i: int) -> Any:
            return torch.full((3, 8, 8), i / 8, dtype=torch.float64), i % 2

    assert archspec.train.fit(model(), Doubles(), epochs=1, batch=4, log=None).best


def test_classes_of_arrays_may_have_names(here: Path) -> None:
    x = numpy.zeros((6, 3, 8, 8), "float32")
    numpy.savez("data.npz", x=x, y=numpy.array(["dog", "cat", "cow"] * 2))
    archspec.train.fit(model(3), "data.npz", epochs=1, log="run")
    assert use.load("run").facts.classes == ("cat", "cow", "dog")


def test_a_plan_is_a_mapping_too() -> None:
    keys = {"data": "synthetic", "epochs": 1, "optimizer": {"sgd": {"lr": 0.1}}, "log": None}
    run = archspec.train.fit(model(), plan=keys, batch=32)
    assert run.metrics


@pytest.mark.parametrize(
    ("key", "remedy"),
    [
        ("lr", "a rate is the optimizer's: `optimizer: {adamw: {lr: 1.0e-3}}`"),
        ("batch_size", "`batch: 64`"),
        ("augment", "it is the data's"),
        ("spec", "the network is no part of a plan"),
        ("epoch", "did you mean `epochs`?"),
    ],
)
def test_what_is_elsewhere_in_a_plan(key: str, remedy: str) -> None:
    with pytest.raises(archspec.SpecError) as caught:
        archspec.train.fit(model(), "synthetic", **{key: 1})
    (fault,) = caught.value.faults
    assert fault.code == "E201"
    assert remedy in fault.help


def test_channels_that_come_last() -> None:
    x, y = torch.rand(8, 8, 8, 3), torch.arange(8) % 2
    with pytest.raises(TrainError) as caught:
        archspec.train.fit(model(), (x, y), log=None)
    assert "channels come first" in caught.value.help


def test_what_is_no_run_or_no_picture(here: Path) -> None:
    archspec.train.fit(model(), "pets", epochs=1, log="runs/net")
    picture = "pets/val/cat/0.png"
    for args, message, help in (
        (
            ("runs", picture),
            "`runs` is no checkpoint",
            "it holds 1: name one, for example runs/net",
        ),
        (("net.yaml", picture), "`net.yaml` is no checkpoint", "it is a spec: `archspec train"),
        (("lenet5", picture), "`lenet5` is no checkpoint", "it is a spec: `archspec train"),
        (("runs/net", "none.png"), "`none.png` does not exist", "check the path"),
        (("runs/net", "pets/val/cat"), "`pets/val/cat` is a folder", "pets/val/cat/*.png"),
        (("runs/net", "net.yaml"), "`net.yaml` cannot be read: it is no picture", ""),
    ):
        text = said("predict", *args)
        assert message in text
        assert help in text
    assert "curves are no .txt" in said("runs", "runs/net", "-o", "curves.txt")


def test_a_phase_cannot_train_what_the_spec_freezes() -> None:
    first = "[{id: a, conv: {out: 2, kernel: 1}, freeze: true}, flatten"
    text = SPEC.replace("[flatten", first)
    frozen = archspec.build(archspec.loads(text))
    with pytest.raises(archspec.SpecError, match="`a` cannot be trained: the spec freezes it"):
        archspec.train.fit(frozen, "synthetic", phases=[{"train": ["a"]}], log=None)
    bare = archspec.build(archspec.loads("spec: 1\ninput: [3, 8, 8]\nbody: [global_avg_pool]\n"))
    with pytest.raises(archspec.SpecError, match="the network has no weights to train"):
        archspec.train.fit(bare, "synthetic", log=None)
