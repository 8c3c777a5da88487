"""`predict SPEC --weights`: published weights, or a file's, asked about pictures of the tests."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from PIL import Image

import archspec
from archspec.cli.app import app
from archspec.train.errors import TrainError
from archspec.train.use import predict, published
from archspec.weights.errors import WeightsError

PLAIN = "spec: 1\nname: plain\ninput: [3, 8, 8]\nbody: [flatten, {id: fc, linear: 4}]\nhead: fc\n"


@pytest.fixture(autouse=True)
def _alone() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    found = []
    for name, size, colour in (("red", (300, 260), (200, 10, 10)), ("grey", (230, 400), 90)):
        found.append(tmp_path / f"{name}.png")
        Image.new("RGB" if isinstance(colour, tuple) else "L", size, colour).save(found[-1])
    return found


@pytest.fixture
def theirs(torchvision: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """torchvision's ResNet-18 with random weights for those that it would fetch."""
    model = torchvision.models.resnet18().eval()
    with torch.no_grad():
        model.fc.weight.mul_(20)  # so that classes are told apart
    member = torchvision.models.get_weight("ResNet18_Weights.IMAGENET1K_V1")
    state = model.state_dict()
    monkeypatch.setattr(type(member), "get_state_dict", lambda *_, **__: state)
    return model, member


def shares(theirs: Any, picture: Path) -> dict[str, float]:
    """As torchvision's own documentation has it."""
    model, member = theirs
    with torch.no_grad():
        x = member.transforms()(Image.open(picture).convert("RGB"))[None]
        values, indices = model(x).softmax(1)[0].topk(3)
    names = member.meta["categories"]
    return {names[i]: v for i, v in zip(indices.tolist(), values.tolist(), strict=True)}


def test_published_weights_and_a_file_with_them(
    theirs: Any, pictures: list[Path], tmp_path: Path
) -> None:
    wanted = [shares(theirs, picture) for picture in pictures]
    program = archspec.load("resnet50", "resnet18")
    found = published(program, "torchvision", pictures)
    assert found == [pytest.approx(one, abs=1e-5) for one in wanted]
    model = archspec.build(program)
    archspec.weights.load(model, theirs[0].state_dict(), "torchvision")
    archspec.weights.save(model, tmp_path / "net.safetensors")
    file = str(tmp_path / "net.safetensors")
    call = ["predict", "resnet50", "-v", "resnet18", "--weights", file, "--json"]
    done = CliRunner().invoke(app, [*call, *map(str, pictures)])
    assert done.exit_code == 0, done.output
    assert list(json.loads(done.output).values()) == [pytest.approx(w, abs=1e-5) for w in wanted]
    five = archspec.build("resnet50", "resnet18", classes=5)
    archspec.weights.save(five, tmp_path / "five.safetensors")
    (answer,) = published(five_classes(), str(tmp_path / "five.safetensors"), pictures[0], 5)
    assert sorted(answer) == list("01234")  # classes that nobody named


def five_classes() -> archspec.Program:
    return archspec.load("resnet50", "resnet18", classes=5)


def test_several_networks_are_averaged(pictures: list[Path], tmp_path: Path) -> None:
    folders, classes = [], ["a", "b", "c", "d"]
    for k in range(3):
        torch.manual_seed(k)
        model = archspec.build(archspec.loads(PLAIN))
        folder = archspec.train.save_pretrained(model, tmp_path / f"{k}", classes=classes)
        folders.append(folder)
    each = [predict(folder, pictures, top=4) for folder in folders]
    both = predict(folders, pictures, top=4)
    for k, answer in enumerate(both):
        for name in classes:
            mean = sum(one[k][name] for one in each) / 3
            assert answer[name] == pytest.approx(mean, abs=1e-5)
    call = ["predict", str(folders[0]), "--also", str(folders[1]), "--also", str(folders[2])]
    done = CliRunner().invoke(app, [*call, "--json", str(pictures[0])])
    assert json.loads(done.output)[str(pictures[0])] == pytest.approx(
        dict(list(both[0].items())[:3])
    )
    model = archspec.build(archspec.loads(PLAIN))
    other = archspec.train.save_pretrained(model, tmp_path / "other", classes=list("wxyz"))
    with pytest.raises(TrainError, match=r"E808 .*tell other things apart"):
        predict([folders[0], other], pictures)


def test_what_is_refused(theirs: Any, pictures: list[Path], tmp_path: Path) -> None:
    program = archspec.load("resnet50", "resnet18")
    (tmp_path / "words.png").write_text("no picture")
    for file in ("nowhere.png", "words.png"):
        with pytest.raises(TrainError, match=f"E803 .*{file}"):
            published(program, "torchvision", tmp_path / file)
    model = archspec.build(archspec.loads(PLAIN))
    archspec.weights.save(model, tmp_path / "plain.safetensors")
    with pytest.raises(TrainError, match="E804 `plain` does not say how pictures become"):
        published(archspec.loads(PLAIN), str(tmp_path / "plain.safetensors"), pictures)
    with pytest.raises(WeightsError, match="E611"):
        published(program, str(tmp_path / "plain.safetensors"), pictures)
    with pytest.raises(WeightsError, match=r"E603 .*none\.safetensors"):
        published(program, "none.safetensors", pictures)
    call = ["predict", "resnet50", "--weights", "torchvision", "--also", "x", str(pictures[0])]
    done = CliRunner().invoke(app, call, standalone_mode=False)
    assert "`--also` is for networks that were trained here" in str(done.exception)
