"""A folder that stands by itself: written whole, read without what it was made of, no code."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import torch
import yaml
from click.testing import CliRunner
from PIL import Image
from torch import nn

import archspec
from archspec.cli.app import app
from archspec.text.faults import SpecError
from archspec.train import hub, state
from archspec.train.errors import TrainError
from archspec.train.pretrained import from_pretrained, push_to_hub, save_pretrained
from archspec.train.run import Run
from archspec.train.start import fit

PART = """\
spec: 1
name: part
input: [1, 8, 8]
body:
  - {id: conv, conv: {out: 4, kernel: 3}}
  - {id: bn, batch_norm: {}}
  - relu
"""
SPEC = """\
spec: 1
name: whole
params: {classes: 3}
input: [1, 8, 8]
use: {Part: PART}
body:
  - {id: part, Part: }
  - flatten
  - {id: fc, linear: $classes}
head: fc
"""
FILES = {"README.md", "network.svg", "facts.json", "model.safetensors", "spec"}


@pytest.fixture(autouse=True)
def _alone() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(threads)


def written(folder: Path) -> Path:
    """A spec that uses another, from outside of its folder."""
    for name in ("a", "b"):
        (folder / "specs" / name).mkdir(parents=True)
    (folder / "specs" / "b" / "part.yaml").write_text(PART)
    path = folder / "specs" / "a" / "whole.yaml"
    path.write_text(SPEC.replace("PART", "../b/part.yaml"))
    return path


def build(specs: Path) -> nn.Module:
    return archspec.build(archspec.load(specs, allow_outside=True, classes=10))


@pytest.fixture
def specs(tmp_path: Path) -> Path:
    return written(tmp_path)


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("once")
    torch.manual_seed(0)
    data = {"train": "digits", "samples": 200, "normalize": "minmax"}
    log = {"folder": str(folder / "run")}
    return fit(build(written(folder)), data, epochs=2, batch=32, log=log, quiet=True)


@pytest.fixture
def run(once: Run, tmp_path: Path) -> Run:
    """Its folder may be moved away; its spec is gone."""
    assert once.folder is not None
    shutil.copytree(once.folder, tmp_path / "run")
    shutil.rmtree(once.folder.parent / "specs", ignore_errors=True)
    return replace(once, folder=tmp_path / "run")


def same(one: nn.Module, other: nn.Module) -> bool:
    a, b = one.state_dict(), other.state_dict()
    return list(a) == list(b) and all(torch.equal(a[name], b[name]) for name in a)


def test_a_run_its_folder_and_a_checkpoint(run: Run, tmp_path: Path) -> None:
    """All of use is there when the spec and the run are gone: weights to the bit, answers equal."""
    Image.new("L", (20, 12), 90).save(tmp_path / "grey.png")
    picture = tmp_path / "grey.png"
    assert run.folder is not None
    trained = archspec.train.load(run.folder)
    wanted = archspec.train.predict(run.folder, picture)
    for what in (run, run.folder, state.found(run.folder)):
        assert save_pretrained(what, tmp_path / "out", license="mit") == tmp_path / "out"
    shutil.move(run.folder, tmp_path / "gone")
    shutil.move(tmp_path / "out", tmp_path / "moved")
    assert {path.name for path in (tmp_path / "moved").iterdir()} == FILES
    model = from_pretrained(tmp_path / "moved")
    assert same(model, trained.model)
    assert not model.training
    x = torch.randn(3, 1, 8, 8)
    assert torch.equal(model(x), trained.model(x))
    again = archspec.train.load(tmp_path / "moved")
    assert again.facts == trained.facts
    assert archspec.train.predict(tmp_path / "moved", picture) == wanted
    assert archspec.train.evaluate(tmp_path / "moved")["confusion"]  # its plan says: digits


def test_the_card_says_what_it_is_and_names_no_folder(specs: Path, tmp_path: Path) -> None:
    whole = specs.parent.parent / "whole.yaml"
    whole.write_text(SPEC.replace("PART", "b/part.yaml"))
    data = {"train": "digits", "samples": 200}
    log = {"folder": str(tmp_path / "run")}
    run = fit(archspec.build(whole, classes=10), data, epochs=1, log=log, quiet=True)
    text = (save_pretrained(run, tmp_path / "out", license="mit") / "README.md").read_text()
    head = yaml.safe_load(text.split("---")[1])
    assert head["license"] == "mit"
    assert head["pipeline_tag"] == "image-classification"
    assert f"| val.accuracy | {run.best['val.accuracy']:.4f} |" in text
    assert "- input `input`: [1, 8, 8] a sample" in text
    assert "classes, in the order of the output: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9" in text
    assert "samples: 200" in text
    assert (tmp_path / "out" / "network.svg").read_text().startswith("<svg")
    assert (tmp_path / "out" / "spec" / "b" / "part.yaml").read_text() == PART
    everything = [p.read_bytes() for p in (tmp_path / "out").rglob("*.*")]
    assert not any(str(tmp_path).encode() in content for content in everything)


def test_a_module_with_what_is_said_of_it(specs: Path, tmp_path: Path) -> None:
    model = build(specs)
    names = [f"digit {n}" for n in range(10)]
    plan = tmp_path / "plan.yaml"
    plan.write_text("data: {normalize: {mean: [0.5], std: [0.25]}}\n")
    save_pretrained(model, tmp_path / "out", classes=names, plan=plan)
    found = archspec.train.load(tmp_path / "out")
    assert same(found.model, model)
    assert found.facts.classes == tuple(names)
    assert found.facts.normal is not None
    assert found.facts.normal(torch.ones(1, 1, 8, 8)).unique().tolist() == [2.0]
    assert "None is given" in (tmp_path / "out" / "README.md").read_text()
    torch.optim.SGD(from_pretrained(tmp_path / "out").parameters(), lr=0.1)  # it may be trained


def test_numbers_that_two_names_share_are_each_ones_own(tmp_path: Path) -> None:
    text = "spec: 1\nname: tied\ninput: [4]\nbody: [{id: a, linear: 4}, {id: b, linear: 4}]\n"
    model = archspec.build(archspec.loads(text))
    model.b.weight = model.a.weight
    save_pretrained(model, tmp_path / "out")
    assert same(from_pretrained(tmp_path / "out"), model)


def test_published_weights_bring_their_classes(torchvision: Any, tmp_path: Path) -> None:
    member = torchvision.models.get_weight("ResNet18_Weights.IMAGENET1K_V1")
    random = torchvision.models.resnet18().state_dict()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(member), "get_state_dict", lambda *_, **__: random)
        model = archspec.build("resnet50", "resnet18", weights="torchvision")
        save_pretrained(model, tmp_path / "out")
        five = archspec.build("resnet50", "resnet18", classes=5, weights="torchvision")
        save_pretrained(five, tmp_path / "five")
    facts = archspec.train.load(tmp_path / "out").facts
    assert facts.classes == tuple(member.meta["categories"])
    assert facts.normal is not None
    assert facts.normal.shift == (0.485, 0.456, 0.406)
    assert archspec.train.load(tmp_path / "five").facts.classes == ()


def test_networks_that_learned_from_one_another(tmp_path: Path) -> None:
    maker = "spec: 1\nname: maker\ninput: [8]\nbody: [linear: 64, tanh, unflatten: [1, 8, 8]]\n"
    judge = "spec: 1\nname: judge\ninput: [1, 8, 8]\nbody: [flatten, linear: 1]\n"
    both = [archspec.build(archspec.loads(text)) for text in (maker, judge)]
    data, log = {"train": "digits", "samples": 64}, {"folder": str(tmp_path / "run")}
    run = fit(both, data, task="gan", epochs=1, batch=32, log=log, quiet=True)
    out = save_pretrained(run, tmp_path / "out")
    one, other = (archspec.train.load(folder) for folder in (tmp_path / "run", out))
    assert same(one.whole, other.whole)
    assert torch.equal(one.sample(3), other.sample(3))
    assert type(from_pretrained(out)).__name__ == "Maker"
    card = (out / "README.md").read_text()
    assert "in the order of the output" not in card  # the classes are the data's
    assert "archspec predict" not in card


# ------------------------------------------------------------------ refusals


def test_whole_or_not_at_all(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "out"
    save_pretrained(run, out, license="mit")
    before = (out / "README.md").read_text()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(state, "_synced", lambda _: (_ for _ in ()).throw(OSError(28, "No space")))
        with pytest.raises(TrainError, match=r"E808 .*out` cannot be written: No space"):
            save_pretrained(run, out, license="other")
        with pytest.raises(TrainError, match="cannot be written"):
            save_pretrained(run, tmp_path / "new")
    assert (out / "README.md").read_text() == before
    assert not (tmp_path / "new").exists()
    assert not list(tmp_path.glob(".*"))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").touch()
    for taken in (tmp_path / "mine", tmp_path / "mine" / "thesis.tex"):
        with pytest.raises(TrainError, match=r"E808 .*was not written by `save_pretrained`"):
            save_pretrained(run, taken)


def test_what_cannot_be_saved(run: Run, specs: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainError, match="E808 archspec did not build this Linear"):
        save_pretrained(nn.Linear(2, 2), tmp_path / "out")
    with pytest.raises(TrainError, match="E804 2 classes are named, the head is 10 wide"):
        save_pretrained(build(specs), tmp_path / "out", classes=["a", "b"])
    with pytest.raises(TrainError, match="E808 a run has its classes and its plan"):
        save_pretrained(run, tmp_path / "out", classes=["a"])
    with pytest.raises(TrainError, match="E808 the run was not written"):
        save_pretrained(Run("x", [], "val.loss", True), tmp_path / "out")
    with pytest.raises(TrainError, match=r"E808 .*nothing` is no checkpoint"):
        from_pretrained(tmp_path / "nothing")
    (tmp_path / "plan.yaml").write_text("optimizr: sgd\n")
    with pytest.raises(SpecError, match="did you mean `optimizer`"):
        save_pretrained(build(specs), tmp_path / "out", plan=tmp_path / "plan.yaml")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("place", ["/etc/hostname", "../../specs/b/part.yaml", "spec/no.yaml"])
def test_a_folder_is_read_in_itself_alone(run: Run, tmp_path: Path, place: str) -> None:
    out = save_pretrained(run, tmp_path / "out")
    facts = json.loads((out / "facts.json").read_text())
    facts["spec"]["files"][1][2] = place
    (out / "facts.json").write_text(json.dumps(facts))
    with pytest.raises(TrainError, match=r"E808 .*does not hold its spec"):
        from_pretrained(out)


def test_weights_that_were_changed(run: Run, tmp_path: Path) -> None:
    out = save_pretrained(run, tmp_path / "out")
    torch.save({"fc.weight": torch.zeros(10)}, out / "model.safetensors")
    with pytest.raises(archspec.weights.WeightsError):
        from_pretrained(out)


# ------------------------------------------------------------------ the Hub


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that stands in for the Hub."""
    place = tmp_path / "hub"

    class Api:
        def create_repo(self, name: str, *, private: bool, exist_ok: bool) -> str:
            (place / name).mkdir(parents=True, exist_ok=exist_ok)
            return f"https://huggingface.co/{name}"

        def upload_folder(self, *, repo_id: str, folder_path: Path, **_: Any) -> None:
            shutil.copytree(folder_path, place / repo_id, dirs_exist_ok=True)

        def snapshot_download(self, name: str, *, allow_patterns: list[str]) -> str:
            assert allow_patterns == hub.FILES
            if not (place / name).is_dir():
                raise huggingface_hub.errors.RevisionResolutionError(f"no {name}")
            return str(place / name)

    monkeypatch.setattr(huggingface_hub, "HfApi", Api)
    return place


def test_to_the_hub_and_back(run: Run, there: Path, tmp_path: Path) -> None:
    assert push_to_hub(run, "me/net", license="mit") == "https://huggingface.co/me/net"
    assert {path.name for path in (there / "me/net").iterdir()} == FILES
    trained = archspec.train.load(str(run.folder))
    assert same(from_pretrained("me/net"), trained.model)
    assert archspec.train.load("hf://me/net").facts == trained.facts
    out = save_pretrained(run, tmp_path / "out")
    (out / "README.md").write_text("# by hand\n")
    push_to_hub(out, "me/net")
    assert (there / "me/net/README.md").read_text() == "# by hand\n"
    with pytest.raises(TrainError, match="E821 `me/other` cannot be fetched from the Hub"):
        from_pretrained("me/other")
    with pytest.raises(TrainError, match="E821 `net` is no repository of the Hub"):
        push_to_hub(run, "net")


def test_commands(run: Run, there: Path, tmp_path: Path) -> None:
    def call(*words: str) -> str:
        done = CliRunner().invoke(app, words)
        assert done.exit_code == 0, done.output
        return done.output

    out = str(tmp_path / "out")
    assert "README.md, facts.json, model.safetensors, network.svg, spec written" in call(
        "save", str(run.folder), "-o", out, "--license", "mit"
    )
    assert call("push", out, "me/net") == "https://huggingface.co/me/net\n"
    assert "accuracy" in call("evaluate", "hf://me/net")
