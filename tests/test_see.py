"""What a network sees: attributions against captum, nodes, refusals, pictures and pages."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import archspec

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

from archspec import see  # noqa: E402
from archspec.cli.app import app  # noqa: E402
from archspec.train import TrainError  # noqa: E402

HEAD = "spec: 1\nname: net\ninput: [3, 24, 24]\nbody:\n"
VGG = (
    HEAD
    + """
  - repeat: {n: [1, 2], c: [8, 12]}
    body:
      - repeat: $n
        body: [{conv: {out: $c, kernel: 3, padding: 1}}, relu]
      - max_pool: 2
  - flatten
  - {linear: 16}
  - relu
  - {id: fc, linear: 5}
head: fc
"""
)
RESNET = (
    HEAD
    + """
  - {id: stem, conv: {out: 8, kernel: 3, padding: 1}}
  - batch_norm
  - relu
  - max_pool: 2
  - repeat: 2
    body:
      - residual: [{conv: {out: 8, kernel: 3, padding: 1}}, batch_norm, relu,
                   {conv: {out: 8, kernel: 3, padding: 1}}, batch_norm]
      - relu
  - global_avg_pool
  - {id: fc, linear: 5}
head: fc
"""
)
BRANCHES = (
    HEAD
    + """
  - {id: stem, conv: {out: 6, kernel: 5, stride: 2}}
  - relu
  - id: mix
    merge: concat
    branches:
      - [{conv: {out: 4, kernel: 1}}, relu]
      - [{conv: {out: 6, kernel: 3, padding: 1}}, relu]
      - [{max_pool: {kernel: 3, stride: 1, padding: 1}}, {conv: {out: 4, kernel: 1}}, relu]
  - flatten
  - {id: fc, linear: 5}
head: fc
"""
)
TANH = (
    HEAD
    + "  - {id: c, conv: {out: 4, kernel: 3}}\n  - tanh\n  - flatten\n  - {id: fc, linear: 5}\n"
)
NETS = {"vgg": VGG, "resnet": RESNET, "branches": BRANCHES}


def made(text: str) -> nn.Module:
    torch.manual_seed(0)
    model = archspec.build(archspec.loads(text)).eval()
    for norm in (m for m in model.modules() if isinstance(m, nn.BatchNorm2d)):
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.5, 2)
    return model


def pictures(n: int = 2) -> Any:
    return torch.rand(n, 3, 24, 24, generator=torch.Generator().manual_seed(1))


@pytest.fixture(params=NETS)
def model(request: pytest.FixtureRequest) -> nn.Module:
    return made(NETS[request.param])


# ------------------------------------------------------------------ equal to captum's


@pytest.fixture(scope="module")
def attr() -> Any:
    return pytest.importorskip("captum.attr")


def close(found: Any, wanted: Any) -> None:
    """To 1e-5, and to 1e-5 of the largest number, which may be far smaller than 1."""
    largest = float(wanted.detach().abs().max())
    assert largest > 0
    torch.testing.assert_close(found, wanted.detach(), rtol=0, atol=1e-5 * min(1.0, largest))


def test_gradients_are_those_of_captum(model: nn.Module, attr: Any) -> None:
    x, target = pictures().requires_grad_(), 3
    close(see.saliency(model, x, target).values, attr.Saliency(model).attribute(x, target))
    with pytest.warns(UserWarning, match="Setting backward hooks on ReLU"):
        guided = attr.GuidedBackprop(model).attribute(x, target)
    with pytest.warns(UserWarning, match="Setting backward hooks on ReLU"):
        deconv = attr.Deconvolution(model).attribute(x, target)
    close(see.guided(model, x, target).values, guided)
    close(see.deconv(model, x, target).values, deconv)
    assert not torch.allclose(guided, deconv, atol=1e-4)  # three rules, three answers


def test_occlusion_is_that_of_captum(model: nn.Module, attr: Any) -> None:
    x = pictures()
    wanted = attr.Occlusion(model).attribute(x, (3, 5, 5), strides=(3, 2, 2), target=1)
    close(see.occlusion(model, x, 1, window=5, stride=2).values, wanted)


@pytest.mark.parametrize(
    ("name", "at"), [("vgg", "conv3"), ("resnet", "relu4"), ("branches", "stem")]
)
def test_gradcam_is_that_of_captum(attr: Any, name: str, at: str) -> None:
    model, x = made(NETS[name]), pictures()
    layer = model.get_submodule(at)
    wanted = attr.LayerGradCam(model, layer).attribute(x, 2, relu_attributions=True)
    close(see.gradcam(model, x, 2, at=at).values, wanted)


def test_gradcam_is_of_any_node_that_expand_shows() -> None:
    """A concatenation and a block are no modules of PyTorch; by hand, from what they give."""
    model, x = made(BRANCHES), pictures()
    maps = see.activations(model, x, "mix").values
    head = model.get_submodule("fc")
    weights = head.weight[2].reshape(14, 10, 10).mean((1, 2))  # linear behind it: ∂y is the weight
    wanted = torch.relu((weights[None, :, None, None] * maps).sum(1, keepdim=True))
    close(see.gradcam(model, x, 2, at="mix").values, wanted)
    close(see.gradcam(model, x, 2).values, wanted)  # it is the last map


def test_a_unit_of_any_node_is_explained() -> None:
    model, x = made(RESNET), pictures(1).requires_grad_()
    conv = model.get_submodule("stem")
    (wanted,) = torch.autograd.grad(conv(x)[:, 4].sum(), x)
    found = see.saliency(model, x.detach(), 4, of="stem")
    close(found.values, wanted.abs())
    assert "stem unit 4" in found.html()


def test_the_class_is_the_one_that_is_found(model: nn.Module) -> None:
    x = pictures()
    classes = model(x).argmax(1)
    wanted = [see.saliency(model, x[k], int(classes[k])).values[0] for k in (0, 1)]
    torch.testing.assert_close(see.saliency(model, x).values, torch.stack(wanted))


# ------------------------------------------------------------------ left as it was


def test_nothing_is_left_on_the_model(model: nn.Module) -> None:
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model.train()
    see.guided(model, pictures(), 0)
    assert model.training
    assert all(p.requires_grad and p.grad is None for p in model.parameters())
    assert not any(m._backward_hooks for m in model.modules())
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


# ------------------------------------------------------------------ refused


@pytest.mark.parametrize("rule", ["guided", "deconv"])
def test_rules_want_a_relu(rule: str) -> None:
    with pytest.raises(TrainError, match="`fc` has no ReLU before it, whose gradient"):
        getattr(see, rule)(made(TANH), pictures(), 0)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda m: see.saliency(m, pictures(), 5), "`fc` has no unit 5"),
        (lambda m: see.saliency(m, pictures(), "cat"), "`fc` has no unit `cat`"),
        (lambda m: see.saliency(m, "nowhere.png"), "`nowhere.png` does not exist"),
        (lambda m: see.saliency(m, pictures()[:, :1]), r"shape \[2, 1, 24, 24\]; `net` reads"),
        (lambda m: see.saliency(m, object()), "of object no pictures are made"),
        (lambda m: see.saliency(m, []), "no picture is named"),
        (lambda m: see.saliency(m, pictures(), of="stemm"), "did you mean `stem`"),
        (lambda m: see.gradcam(m, pictures(), at="fc"), r"`fc` is no map: \[5\]"),
        (lambda m: see.gradcam(m, pictures(), at="input"), "`input` is an input"),
        (lambda m: see.occlusion(m, pictures(), window=30), "a square of 30 pixels"),
        (lambda m: see.occlusion(m, pictures(), window=4, stride=5), "does not cover"),
        (lambda m: see.saliency(nn.Linear(3, 3), pictures()), "`Linear` was not built by"),
        (
            lambda m: see.saliency(archspec.build("lstm_classifier"), pictures()),
            "`lstm_classifier` reads .* not one picture",
        ),
    ],
)
def test_what_cannot_be_seen_is_said(call: Any, said: str) -> None:
    with pytest.raises(TrainError, match=said):
        call(made(BRANCHES))


# ------------------------------------------------------------------ files and pages


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    image = pytest.importorskip("PIL.Image")
    for number, x in enumerate(pictures(3)):
        plain = (x * 255).byte().permute(1, 2, 0).numpy()
        (tmp_path / "pictures").mkdir(exist_ok=True)
        image.fromarray(plain).save(tmp_path / "pictures" / f"{number}.png")
    (tmp_path / "net.yaml").write_text(BRANCHES)
    (tmp_path / "other.yaml").write_text(VGG.replace("name: net", "name: other"))
    for name, text in (("net", BRANCHES), ("other", VGG)):
        archspec.weights.save(made(text), tmp_path / f"{name}.safetensors")
    return tmp_path


def test_pictures_come_from_files_folders_and_arrays(folder: Path) -> None:
    model = made(VGG)
    whole = see.saliency(model, folder / "pictures", 0)
    assert whole.values.shape == (3, 3, 24, 24)
    assert [row.words for row in whole.rows] == [
        str(folder / "pictures" / f"{n}.png") for n in range(3)
    ]
    one = see.saliency(model, [folder / "pictures" / "1.png"], 0)
    torch.testing.assert_close(one.values[0], whole.values[1])
    array = (pictures(3) * 255).byte()
    torch.testing.assert_close(see.saliency(model, array, 0).values, whole.values)


def test_what_was_seen_is_a_picture_and_a_page(folder: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    found = see.gradcam(made(VGG), folder / "pictures", 0)
    assert found._repr_png_() == found.png()
    picture = image.open(io.BytesIO(found.png()))
    assert picture.width > 2 * 24
    assert picture.height > 3 * 24
    page = found.html()
    assert page.count('<img src="data:image/png;base64,') == 6
    assert "http" not in page
    found.save(folder / "seen.png")
    found.save(folder / "seen.png")  # its own is replaced
    with pytest.raises(TrainError, match=r"the ending `\.gif`"):
        found.save(folder / "seen.gif")


def command(*words: Any) -> Any:
    return CliRunner().invoke(app, ["see", *map(str, words)])


def test_the_command_puts_networks_side_by_side(folder: Path) -> None:
    done = command(
        "gradcam", folder / "pictures" / "0.png", "--target", 1, "-o", folder,
        "--spec", folder / "net.yaml", "--weights", folder / "net.safetensors",
        "--spec", folder / "other.yaml", "--weights", folder / "other.safetensors",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    page = (folder / "gradcam.html").read_text()
    assert "net: " in page
    assert "other: " in page
    assert (folder / "gradcam.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "is a spec, and no weights are given for it"),
        (["--weights", "a", "--weights", "b"], "2 weights are given for 1 specs"),
        (["--weights", "NET", "-o", "seen.gif"], "`seen.gif` is no name of a picture"),
        (["--weights", "NET", "-o", "-"], "`-` is no name of a picture"),
    ],
)
def test_a_command_that_means_nothing(folder: Path, words: list[str], said: str) -> None:
    words = [str(folder / "net.safetensors") if word == "NET" else word for word in words]
    picture = folder / "pictures" / "0.png"
    done = command("saliency", picture, "--spec", folder / "net.yaml", *words)
    assert said in str(done.exception or "") + done.output
    assert not list(folder.glob("saliency*"))


# ------------------------------------------------------------------ maps and filters


def test_activations_are_what_a_node_gives() -> None:
    model, x = made(RESNET), pictures()
    wanted = model.get_submodule("stem")(x)
    found = see.activations(model, x, "stem", [5, 2])
    close(found.values, wanted)
    assert [one.words for one in found.rows[0].shown] == ["", "unit 5", "unit 2"]
    vector = see.activations(model, x, "fc")
    close(vector.values, model(x))
    assert vector.png()


def test_filters_are_weights_of_the_first_layer() -> None:
    model = made(RESNET)
    found = see.filters(model)
    assert torch.equal(found.values, model.get_submodule("stem").weight)
    assert [one.picture.amax().item() for one in found.rows[0].shown] == [1.0] * 8
    with pytest.raises(TrainError, match="read 8 channels: no pictures"):
        see.filters(model, "conv1")
