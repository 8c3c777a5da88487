"""The published recipes: they are read, say what the papers say, and train a small network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("accelerate")

import archspec  # noqa: E402
from archspec.train import reading  # noqa: E402
from archspec.train.plan import Plan  # noqa: E402
from archspec.train.window import Window  # noqa: E402

PLANS = Path(__file__).parent.parent / "examples" / "plans"
SMALL: dict[str, Any] = {"variant": "resnet18", "inputs": {"input": [3, 32, 32]}}
RECIPES: dict[str, tuple[str, dict[str, Any], tuple[float, int, int]]] = {
    # plan: spec, what makes it small; its first rate, batch, epochs
    "alexnet_imagenet": ("alexnet", {"size": 67, "maps": [4] * 5}, (0.01, 128, 90)),
    "vgg_imagenet": ("vgg16", {"depths": [1] * 5, "inputs": SMALL["inputs"]}, (0.01, 256, 74)),
    "resnet_imagenet": ("resnet50", SMALL, (0.1, 256, 90)),
    "resnet_modern": ("resnet50", SMALL, (0.5, 1024, 600)),
}


def plan(name: str) -> Plan:
    return reading.given(PLANS / f"{name}.yaml", {})


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of pictures that are wider than high: dark ones and bright ones."""
    from PIL import Image

    folder = tmp_path_factory.mktemp("pictures")
    noise = torch.Generator().manual_seed(0)
    for k, name in enumerate(["dark", "bright"]):
        (folder / name).mkdir()
        for i in range(10):
            x = torch.randint(0, 100, (40, 60, 3), generator=noise, dtype=torch.uint8) + 120 * k
            Image.fromarray(x.numpy()).save(folder / name / f"{i}.png")
    return folder


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_says_what_its_source_says(name: str, torchvision: object) -> None:
    rate, batch, epochs = RECIPES[name][2]
    found = plan(name)
    assert (found.optimizer.name, found.optimizer.args["lr"]) == ("sgd", rate)
    assert found.optimizer.args["momentum"] == 0.9
    assert (found.batch, found.epochs) == (batch, epochs)
    text = (PLANS / f"{name}.yaml").read_text()
    assert f"--plan {name}.yaml" in text


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_trains(name: str, pictures: Path, torchvision: object) -> None:
    spec, small, _ = RECIPES[name]
    torch.manual_seed(0)
    model = archspec.build(archspec.load(spec, classes=2, **small))
    before = [p.detach().clone() for p in model.parameters()]
    data: dict[str, Any] = {"train": str(pictures), "val": 0.2, "workers": 0, "resize": 72}
    run = archspec.train.fit(model, data, plan=PLANS / f"{name}.yaml", epochs=1, batch=8, log=None)
    assert 0 <= run.best["val.accuracy"] <= 1
    moved = [not torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True)]
    assert sum(moved) > len(moved) // 2


# ------------------------------------------------------------------ pictures that are cut


def test_a_window_is_the_middle_or_anywhere() -> None:
    window = Window((4, 6), 8, 8)
    assert window.read == (8, 12)
    x = torch.arange(2 * 8 * 12.0).view(2, 1, 8, 12)
    assert torch.equal(window.middle(x), x[:, :, 2:6, 3:9])
    corners = window.anywhere(x, torch.tensor([[0.0, 0.0, 0.0], [0.9, 0.999, 0.999]]))
    assert torch.equal(corners[0], x[0, :, :4, :6])
    assert torch.equal(corners[1], x[1, :, 4:, 6:])


def test_a_smaller_side_shows_more_of_the_picture() -> None:
    """Where the shorter side is half as long, the same size shows twice as much: all of it here."""
    window = Window((4, 4), 4, 8)
    x = torch.rand(1, 3, *window.read)
    whole = torch.nn.functional.interpolate(x, (4, 4), mode="bilinear", antialias=True)
    assert torch.equal(window.middle(x), whole)
    assert torch.equal(window.anywhere(x, torch.tensor([[0.9999, 0.0, 0.0]])), x[:, :, :4, :4])


def test_the_middle_is_what_torchvision_cuts_out(pictures: Path, torchvision: Any) -> None:
    from PIL import Image
    from torchvision.transforms import v2

    from archspec.train.samples import picture

    file, window = pictures / "dark" / "0.png", Window((24, 24), 32, 32)
    with Image.open(file) as image:
        cut = v2.CenterCrop(24)(v2.Resize(32)(image.convert("RGB")))
    wanted = v2.functional.pil_to_tensor(cut) / 255
    assert torch.equal(window.middle(picture(file, "RGB", window.read)[None])[0], wanted)


def test_training_looks_anywhere_and_evaluation_at_the_middle(pictures: Path) -> None:
    from archspec.train import sets, tasks

    program = archspec.loads("spec: 1\ninput: [3, 24, 24]\nbody: [global_avg_pool, {linear: 2}]\n")
    found = reading.given(None, {"data": {"train": str(pictures), "resize": [32, 40]}})
    wanted = tasks.task(found, program).asks(sets.wanted(program, found, "classes"))
    prepared = sets.prepare(found, None, wanted, "classification", None)
    first, again = prepared.train.__getitems__([0, 1])[0], prepared.train.__getitems__([0, 1])[0]
    prepared.train.epoch = 1
    other = prepared.train.__getitems__([0, 1])[0]
    assert first.shape == (2, 3, 24, 24)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert prepared.val is not None
    held = prepared.val.__getitems__([0])[0]
    prepared.val.epoch = 1
    assert torch.equal(held, prepared.val.__getitems__([0])[0])
    assert prepared.facts.shape == (3, 24, 24)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"train": "PICTURES", "resize": 16}, "`resize` is 16, and 24 cells are cut out of it"),
        ({"train": "PICTURES", "resize": [40, 30]}, "the least and the greatest"),
        ({"train": "PICTURES", "resize": "big"}, "`resize` is the text `big`"),
        ({"train": "synthetic", "resize": 32}, "these inputs are none"),
    ],
)
def test_a_resize_that_cannot_be(data: dict[str, Any], said: str, pictures: Path) -> None:
    program = archspec.loads("spec: 1\ninput: [3, 24, 24]\nbody: [global_avg_pool, {linear: 2}]\n")
    data = {k: str(pictures) if v == "PICTURES" else v for k, v in data.items()}
    with pytest.raises(archspec.SpecError) as caught:
        archspec.train.fit(archspec.build(program), data, log=None)
    assert said in str(caught.value)


def test_a_prediction_looks_at_the_middle_too(pictures: Path, tmp_path: Path) -> None:
    program = archspec.loads("spec: 1\ninput: [3, 24, 24]\nbody: [global_avg_pool, {linear: 2}]\n")
    archspec.train.fit(
        archspec.build(program), {"train": str(pictures), "resize": 32}, epochs=1,
        log={"folder": str(tmp_path / "run")},
    )  # fmt: skip
    found = archspec.train.load(tmp_path / "run")
    file = pictures / "dark" / "0.png"
    window = Window((24, 24), 32, 32)
    from archspec.train.samples import picture

    wanted = window.middle(picture(file, "RGB", window.read)[None])
    assert torch.equal(found.input(file), found.facts.normal(wanted))  # type: ignore[misc]
