"""A published network that is cut, loaded in part, frozen in part, and goes on in a new body."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import networkx as nx
import pytest

import archspec

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

from archspec import weights  # noqa: E402
from archspec.figures import figure  # noqa: E402
from archspec.module import build  # noqa: E402
from archspec.weights import WeightsError  # noqa: E402

EXAMPLE = Path(__file__).parent.parent / "examples" / "transfer_cut.yaml"
HEAD = "spec: 1\nname: net\ninput: [3, 64, 64]\n"


def net(text: str, **params: Any) -> archspec.Program:
    return archspec.loads(HEAD + text, **params)


def outputs(module: nn.Module, paths: list[str], x: Any) -> list[Any]:
    """What a module of torchvision gives at some of its modules."""
    found: dict[str, Any] = {}
    for path in paths:
        module.get_submodule(path).register_forward_hook(
            lambda _, __, out, path=path: found.update({path: out.clone()})
        )
    with torch.no_grad():
        module.eval()(x)
    return [found[path] for path in paths]


@pytest.fixture(scope="module")
def resnet(torchvision: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[nn.Module, Path]:
    """torchvision's ResNet-18 with random weights, and the file that it was saved to."""
    torch.manual_seed(0)
    found = torchvision.models.resnet18()
    for norm in (m for m in found.modules() if isinstance(m, nn.BatchNorm2d)):
        norm.running_mean.normal_()  # no statistic is what it is at the start
        norm.running_var.uniform_(0.5, 2)
    path = tmp_path_factory.mktemp("published") / "resnet18.pth"
    torch.save(found.state_dict(), path)
    return found, path


# ------------------------------------------------------------------ the shipped example


def test_the_example_goes_on_from_what_torchvision_computes(resnet: tuple[nn.Module, Path]) -> None:
    published, path = resnet
    model: Any = archspec.build(EXAMPLE, classes=4, weights={"resnet": path}).eval()
    x = torch.randn(2, 3, 64, 96)
    wanted = outputs(published, ["layer2", "layer3"], x)
    with torch.no_grad():
        assert all(map(torch.equal, model.resnet(x), wanted))
        assert model(x).shape == (2, 4, 64, 96)


def test_the_report_counts_what_is_loaded_new_and_cut_away(resnet: tuple[nn.Module, Path]) -> None:
    model = archspec.build(EXAMPLE, weights={"resnet": resnet[1]})
    found = weights.report(model)
    assert found is not None
    assert (len(found.loaded), len(found.fresh), len(found.left_over)) == (90, 10, 32)
    assert {line.why for line in found.fresh} == {"new here", "the head"}
    text = str(found)
    assert "loaded          90 of 100 tensors" in text
    assert "resnet.layer4, 30 tensors: cut away" in text
    assert "resnet.fc, 2 tensors: cut away" in text


def test_the_example_freezes_some_stages() -> None:
    model = archspec.build(EXAMPLE).train()
    moving = {n.rpartition(".")[0] for n, p in model.named_parameters() if p.requires_grad}
    still = {n.rpartition(".")[0] for n, p in model.named_parameters() if not p.requires_grad}
    assert {".".join(n.split(".")[:2]) for n in still} == {
        "resnet.conv1", "resnet.bn1", "resnet.layer1"
    }  # fmt: skip
    assert not moving & still
    norms = [n for n, m in model.named_modules() if isinstance(m, nn.BatchNorm2d)]
    asleep = [n for n in norms if not model.get_submodule(n).training]
    assert asleep == [n for n in norms if n.startswith(("resnet.bn1", "resnet.layer1"))]
    program = archspec.load(EXAMPLE)
    totals = program.analysis.totals
    assert totals.trainable == sum(p.numel() for p in model.parameters() if p.requires_grad)


def test_the_emitted_file_has_the_published_names(resnet: tuple[nn.Module, Path]) -> None:
    code = archspec.compile(EXAMPLE)
    assert "archspec" not in code.replace("written by archspec", "")
    written: dict[str, Any] = {"__name__": "net"}
    exec(code, written)
    kept = {n: v for n, v in torch.load(resnet[1]).items() if not n.startswith(("layer4", "fc"))}
    written["TransferCut"]().resnet.load_state_dict(kept, strict=True)


def test_a_figure_and_a_diff_of_it() -> None:
    shown = figure(archspec.load(EXAMPLE), "levels", "svg")
    assert isinstance(shown, str)
    assert "BasicBlock" in shown
    assert "layer4" not in shown


def test_it_is_pickled_with_the_file_that_it_uses(tmp_path: Path) -> None:
    model = archspec.build(EXAMPLE)
    twin = pickle.loads(pickle.dumps(model))
    assert all(map(torch.equal, twin.state_dict().values(), model.state_dict().values()))


def test_where_shipped_specs_are_found(tmp_path: Path) -> None:
    text = HEAD + "use: {Net: lenet5}\nbody: [{Net: {classes: 3}}]\n"
    text = text.replace("[3, 64, 64]", "[1, 32, 32]")
    assert list(archspec.loads(text).sources) == ["<text>", "archspec/lenet5.yaml"]
    file = tmp_path / "net.yaml"
    file.write_text(text)
    shipped = archspec.load(file).analysis.totals.params
    for place, widths in (("archspec/lenet5.yaml", 5), ("lenet5.yaml", 7)):  # the nearer goes first
        own = "spec: 1\nparams: {classes: 9}\ninput: [1, 32, 32]\n"
        own += f"body: [{{conv: {{out: {widths}, kernel: 3}}}}]\n"
        (tmp_path / place).parent.mkdir(exist_ok=True)
        (tmp_path / place).write_text(own)
        assert archspec.load(file).analysis.totals.params == widths * 10 != shipped


# ------------------------------------------------------------------ where it may be cut


def test_a_classifier_on_the_codes_of_alexnet(torchvision: Any, tmp_path: Path) -> None:
    published = torchvision.models.alexnet()
    torch.save(published.state_dict(), tmp_path / "alexnet.pth")
    text = "use: {AlexNet: {file: alexnet, variant: torchvision, outputs: {codes: classifier.5}}}\n"
    text += "body: [{id: net, AlexNet: , freeze: true}, {id: fc, linear: 7}]\n"
    program = archspec.loads(HEAD.replace("64, 64", "224, 224") + text)
    assert program.analysis.totals.trainable == 4096 * 7 + 7
    model: Any = archspec.build(program, weights={"net": tmp_path / "alexnet.pth"}).eval()
    x = torch.randn(1, 3, 224, 224)
    (codes,) = outputs(published, ["classifier.5"], x)
    assert torch.equal(model.net(x), codes)


def test_taps_inside_of_blocks(torchvision: Any, tmp_path: Path) -> None:
    """Inside of Inception modules, and of one whose whole output is needed too."""
    published = torchvision.models.googlenet(init_weights=False, aux_logits=False)
    torch.save(published.state_dict(), tmp_path / "googlenet.pth")
    paths = ["inception3a.branch2.1", "inception4a.branch1.conv"]
    text = f"use: {{Net: {{file: googlenet, outputs: {{a: {paths[0]}, b: {paths[1]}}}}}}}\n"
    text += "body: [{id: net, Net: {aux: false}}, {id: up, from: net.b, upsample: 2}]\n"
    text += "outputs: {up: up, a: net.a}\n"
    model: Any = archspec.build(net(text), weights={"net": tmp_path / "googlenet.pth"}).eval()
    x = torch.randn(1, 3, 64, 64)
    assert all(map(torch.equal, model.net(x), outputs(published, paths, x)))
    names = {".".join(name.split(".")[:3]) for name in model.state_dict()}
    assert {name for name in names if "4a" in name} == {"net.inception4a.branch1"}


def test_a_cut_inside_of_a_residual(resnet: tuple[nn.Module, Path]) -> None:
    published, path = resnet
    text = "use: {Net: {file: resnet50, variant: resnet18, outputs: {x: layer2.1.bn1}}}\n"
    model: Any = archspec.build(
        net(text + "body: [{id: net, Net: }, relu]"), weights={"net": path}
    ).eval()
    x = torch.randn(1, 3, 64, 64)
    assert torch.equal(model.net(x), outputs(published, ["layer2.1.bn1"], x)[0])
    assert [n for n in model.state_dict() if n.startswith("net.layer2.1.")][-1] == (
        "net.layer2.1.bn1.num_batches_tracked"
    )


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        ("mobilenet_v2", "features.5.conv.3"),  # a residual that has its shortcut in some copies
        ("efficientnet_b0", "features.4.2.block.1.2"),
        ("densenet121", "features.denseblock1.denselayer3.conv1"),
        ("xception", "block8.rep.1.conv1"),
        ("se_resnet50", "layer3.5.se_module.fc2"),  # in a block in a block
    ],
)
def test_cuts_inside_of_residuals_are_written_and_proved(spec: str, path: str) -> None:
    whole = archspec.load(spec).graph
    use = f"use: {{Net: {{file: {spec}, outputs: {{x: {path}}}}}}}\n"
    found = net(f"{use}body: [{{id: net, Net: }}]")
    model = build(found)
    above = nx.ancestors(whole, path) | {path}
    names = {name for name, _, node in whole.weights() if node.path in above}
    assert set(model.state_dict()) == {f"net.{name}" for name in names}


def test_what_is_cut_away_need_not_fit_the_input() -> None:
    """At 31 cells AlexNet has no room for its last pooling, which is not built."""
    text = "use: {Net: {file: alexnet, outputs: {x: features.5}}}\nbody: [{id: net, Net: }]\n"
    small = archspec.loads(HEAD.replace("64, 64", "31, 31") + text)
    assert small.graph.steps[-1].outs[0].shape == (256, 2, 2)
    with pytest.raises(archspec.SpecError, match="`max_pool` covers 3 cells along H"):
        archspec.loads(small.source.text.replace("features.5", "features.6"))


def test_a_cut_in_a_branch_of_the_file_itself(tmp_path: Path) -> None:
    (tmp_path / "part.yaml").write_text(
        "spec: 1\ninput: [3, 8, 8]\nbody:\n"
        "  - branches:\n"
        "      a: [{id: x, conv: {out: 4, kernel: 1}}, {id: y, conv: {out: 5, kernel: 1}}]\n"
        "      b: [{id: z, conv: {out: 6, kernel: 1}}]\n    merge: concat\n"
        "  - residual: [{id: r, conv: {out: 11, kernel: 1}}, relu]\n"
    )
    file = tmp_path / "net.yaml"
    for cut, there in (("a.x", {"a.x"}), ("b", {"b.z"}), ("r", {"a.x", "a.y", "b.z", "r"})):
        file.write_text(
            f"spec: 1\ninput: [3, 8, 8]\nuse: {{P: {{file: part.yaml, outputs: {{o: {cut}}}}}}}\n"
            "body: [{id: p, P: }, relu]\n"
        )
        model = build(archspec.load(file))
        assert {n.removeprefix("p.").rpartition(".")[0] for n in model.state_dict()} == there


def test_stochastic_depth_stays_what_it_was() -> None:
    """`loop.total` counts what is cut away too: the rates of a published network do not move."""
    text = "use: {Net: {file: efficientnet_b0, outputs: {x: features.5}}}\nbody: [{id: net, Net: }]"
    whole = archspec.load("efficientnet_b0").graph
    rates = {n.path: n.layer.p for n in whole.steps if n.op == "drop_path"}  # type: ignore[union-attr]
    found = [n for n in net(text).graph.steps if n.op == "drop_path"]
    assert found
    assert all(n.layer.p == rates[n.path.removeprefix("net.")] for n in found)  # type: ignore[union-attr]


# ------------------------------------------------------------------ weights of several parts


def test_two_networks_each_from_its_own_file(
    resnet: tuple[nn.Module, Path], tmp_path: Path
) -> None:
    published, path = resnet
    stem = build(archspec.load("lenet5", classes=10))
    weights.save(stem, tmp_path / "lenet.safetensors")
    text = (
        "spec: 1\nname: net\ninput: {photo: [3, 64, 64], digit: [1, 32, 32]}\n"
        "use:\n  Net: {file: resnet50, variant: resnet18}\n  LeNet: lenet5\n"
        "body:\n  - {id: a, from: photo, Net: {classes: 7}}\n  - {id: b, from: digit, LeNet: }\n"
        "  - concat: [a, b]\n  - {id: fc, linear: 3}\n"
    )
    given = {"a": path, "b": tmp_path / "lenet.safetensors"}
    model = archspec.build(archspec.loads(text), weights=given)
    found = weights.report(model)
    assert found is not None
    assert [line.name for line in found.fresh] == [
        "a.fc.weight",
        "a.fc.bias",
        "fc.weight",
        "fc.bias",
    ]
    assert {line.why for line in found.left_over} == {"of the head"} or not found.left_over
    state = model.state_dict()
    assert torch.equal(
        state["a.layer4.1.conv2.weight"], published.state_dict()["layer4.1.conv2.weight"]
    )
    assert all(torch.equal(state[f"b.{n}"], v) for n, v in stem.state_dict().items())


def test_a_file_in_a_used_file(resnet: tuple[nn.Module, Path], tmp_path: Path) -> None:
    (tmp_path / "body.yaml").write_text(
        HEAD + "use: {Net: {file: resnet50, variant: resnet18, outputs: {x: layer1}}}\n"
        "body: [{id: back, Net: }, {id: neck, conv: {out: 4, kernel: 1}}]\n"
    )
    file = tmp_path / "net.yaml"
    file.write_text(
        HEAD + "use: {Body: body.yaml}\nbody: [{id: all, Body: }, {id: fc, linear: 2}]\n"
    )
    file.write_text(
        file.read_text().replace("{id: fc, linear: 2}", "{id: top, conv: {out: 2, kernel: 1}}")
    )
    model = archspec.build(file, weights={"all.back": resnet[1]})
    found = weights.report(model)
    assert found is not None
    assert [line.name.rpartition(".")[0] for line in found.fresh][::2] == ["all.neck", "top"]
    ours, theirs = model.state_dict(), resnet[0].state_dict()
    assert torch.equal(ours["all.back.layer1.1.conv2.weight"], theirs["layer1.1.conv2.weight"])


def test_a_word_is_for_all_parts_that_name_it(
    resnet: tuple[nn.Module, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    published, _ = resnet
    asked: list[str] = []

    def fetched(entry: str) -> Any:
        asked.append(entry)
        return published.state_dict()

    monkeypatch.setattr("archspec.weights.sources._torchvision", fetched)
    model: Any = archspec.build(EXAMPLE, weights="torchvision").eval()
    assert asked == ["ResNet18_Weights.IMAGENET1K_V1"]
    x = torch.randn(1, 3, 64, 64)
    assert torch.equal(model.resnet(x)[1], outputs(published, ["layer3"], x)[0])


def test_the_used_network_says_how_its_input_is_prepared(torchvision: Any) -> None:
    whole, cut = weights.preprocess("resnet50", variant="resnet18"), weights.preprocess(EXAMPLE)
    assert repr(cut) == repr(whole)
    behind = (
        "use: {Net: {file: resnet50, outputs: {x: layer1}}}\nbody: [{scale: 2}, {id: net, Net: }]"
    )
    with pytest.raises(WeightsError, match="goes unchanged into `net`"):
        weights.preprocess(net(behind))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"resnett": "x.pth"}, "`resnett` is no file that `transfer_cut` uses"),
        ({"resnet": "none.pth"}, "`none.pth` cannot be read"),
        ({"resnet": "timm"}, "`resnet50` names no weights of timm"),
        ("timm", "`transfer_cut` names no weights of timm"),
    ],
)
def test_what_is_no_weight_of_a_part(given: Any, said: str) -> None:
    with pytest.raises(WeightsError) as caught:
        archspec.build(EXAMPLE, weights=given)
    assert said in str(caught.value)


def test_a_file_for_a_part_that_is_given_for_the_whole(resnet: tuple[nn.Module, Path]) -> None:
    with pytest.raises(WeightsError) as caught:
        archspec.build(EXAMPLE, weights=resnet[1])
    assert 'for the file that is used at `resnet`: {"resnet": …}' in caught.value.help


def test_of_a_part_all_is_accounted_for(resnet: tuple[nn.Module, Path]) -> None:
    """What the published file lacks, or has beside, is an error in a part as in a whole network."""
    state = dict(resnet[0].state_dict())
    del state["layer2.0.conv1.weight"]
    state["strange.weight"] = torch.ones(1)
    short = resnet[1].with_name("short.pth")
    torch.save(state, short)
    with pytest.raises(WeightsError) as caught:
        archspec.build(EXAMPLE, weights={"resnet": short})
    assert "1 tensor is not in it: `resnet.layer2.0.conv1.weight`" in caught.value.message
    assert "`resnet.strange.weight`" in caught.value.message


# ------------------------------------------------------------------ freezing by paths


def test_paths_of_freeze_go_into_blocks() -> None:
    text = (
        "params: {still: [conv1, layer1.0.bn1]}\n"
        "use: {Net: {file: resnet50, variant: resnet18, outputs: {x: layer2}}}\n"
        "body:\n  - {id: net, Net: , freeze: $still}\n"
        "  - {id: end, freeze: [0], sequential: [{conv: {out: 4, kernel: 1}}, batch_norm]}\n"
    )
    for still, wanted in (
        (["conv1", "layer1.0.bn1"], {"net.conv1", "net.layer1.0.bn1", "end.0"}),
        (["layer1.0"], {f"net.layer1.0.{x}" for x in ("conv1", "bn1", "conv2", "bn2")} | {"end.0"}),
    ):
        model = build(net(text, still=still))
        frozen = {n.rpartition(".")[0] for n, p in model.named_parameters() if not p.requires_grad}
        assert frozen == wanted


def test_what_an_item_says_itself_goes_before_paths_around_it() -> None:
    text = (
        "body:\n  - id: a\n    freeze: [b]\n    body:\n      - id: b\n        body:\n"
        "          - {id: x, conv: {out: 4, kernel: 1}}\n"
        "          - {id: y, freeze: false, conv: {out: 4, kernel: 1}}\n"
        "      - {id: c, conv: {out: 4, kernel: 1}}\n"
    )
    model = build(net(text))
    frozen = {n for n, p in model.named_parameters() if not p.requires_grad}
    assert frozen == {"a.b.x.weight", "a.b.x.bias"}
