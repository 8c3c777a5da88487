"""Checkpoints as trainers write them, and what `build` and the command line say of weights."""

from __future__ import annotations

import json
import re
import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

import archspec  # noqa: E402
from archspec import weights  # noqa: E402
from archspec.weights import WeightsError  # noqa: E402

nn = torch.nn

SMALL = """\
spec: 1
name: small
input: [3, 8, 8]
body:
  - {id: conv, conv: {out: 4, kernel: 3}}
  - {id: bn, batch_norm: }
  - relu
  - flatten
  - {id: fc, linear: 5}
"""


def network(text: str = SMALL) -> Any:
    return archspec.build(archspec.loads(text))


def state(seed: int = 7) -> dict[str, Any]:
    """Values for SMALL that are no other seed's."""
    generator = torch.Generator().manual_seed(seed)
    return {
        name: torch.rand(value.shape, generator=generator) + 0.5
        if value.is_floating_point()
        else torch.full_like(value, seed)
        for name, value in network().state_dict().items()
    }


def put(prefix: str, values: dict[str, Any]) -> dict[str, Any]:
    return {prefix + name: value for name, value in values.items()}


def loads(given: Any, **how: Any) -> tuple[Any, dict[str, Any]]:
    model = network()
    report = weights.load(model, given, **how)
    return report, model.state_dict()


def equal(a: dict[str, Any], b: dict[str, Any]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def refused(given: Any, **how: Any) -> WeightsError:
    model = network()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(WeightsError) as caught:
        weights.load(model, given, **how)
    assert equal(before, model.state_dict())
    return caught.value


# ------------------------------------------------------------------ entries

A, B = state(1), state(2)
OTHER = {"main.0.weight": torch.ones(3, 3), "main.0.bias": torch.ones(3)}
ADAM = {"state": {0: {"step": torch.ones(()), "exp_avg": torch.ones(2)}}, "param_groups": []}
CHECKPOINTS: dict[str, tuple[dict[str, Any], str]] = {
    "torchvision": ({"model_ema": B, "model": A, "optimizer": ADAM, "epoch": 3},
                    'read from "model"; "model_ema" is there too'),
    "timm": ({"state_dict": A, "state_dict_ema": B, "metric": 0.7},
             'read from "state_dict"; "state_dict_ema" is there too'),
    "net": ({"net": A, "acc": 91.2, "epoch": 9}, 'read from "net"'),
    "BasicSR": ({"params": A, "params_ema": B},
                'read from "params"; "params_ema" is there too'),
    "weights": ({"weights": A, "loss": torch.ones(())}, 'read from "weights"'),
    "model_state": ({"model_state": A, "optim_state": {"x.y": {"m": torch.ones(1)}}},
                    'read from "model_state"'),
    "DeepSpeed": ({"module": A, "buffer_names": ["bn.running_mean"], "optimizer": None},
                  'read from "module"'),
    "one below": ({"model": {"state_dict": A, "name": "x"}}, 'read from "model.state_dict"'),
    "an average alone": ({"model_ema": A}, 'read from "model_ema"'),
    "a GAN": ({"netD": OTHER, "netG": A}, 'read from "netG"; "netD" is there too'),
    "a GAN, trained in parallel": ({"netD": OTHER, "netG": put("module.", A)}, '"netG"'),
}  # fmt: skip


@pytest.mark.parametrize("kind", CHECKPOINTS)
def test_what_was_taken_is_said_and_what_else_is_there(kind: str, tmp_path: Path) -> None:
    checkpoint, said = CHECKPOINTS[kind]
    torch.save(checkpoint, tmp_path / "c.pt")
    for given in (checkpoint, tmp_path / "c.pt"):
        report, found = loads(given)
        assert equal(found, A)
        assert said in str(report)


def test_an_entry_that_is_asked_for() -> None:
    both = {"model": A, "model_ema": B}
    report, found = loads(both, entry="model_ema")
    assert equal(found, B)
    assert report.notes == ('read from "model_ema"; "model" is there too',)
    assert equal(loads({"ema": {"shadow": B}, "model": A}, entry="ema")[1], B)
    error = refused(both, entry="modle")
    assert (error.code, error.help) == ("E605", 'it has "model", "model_ema"')
    assert refused(A, entry="model").help == "it has no entries"


def test_networks_that_names_do_not_tell_apart_are_asked_about(tmp_path: Path) -> None:
    error = refused({"netG": A, "netD": B})
    assert error.code == "E605"
    assert error.message.endswith("holds 2 networks, and names do not say which is meant")
    assert error.help == 'it has "netG", "netD"; entry="netG" takes the first'
    weights.save(network(), tmp_path / "w.safetensors")
    assert "has no entries" in refused(tmp_path / "w.safetensors", entry="model").message


def test_arguments_of_a_command_line_beside_the_weights(tmp_path: Path) -> None:
    torch.save({"model": A, "args": Namespace(lr=0.1)}, tmp_path / "c.pt")
    assert equal(loads(tmp_path / "c.pt")[1], A)


# ------------------------------------------------------------------ prefixes


@pytest.mark.parametrize(
    "prefix",
    [
        "module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module.", "module.module.",
        "_fsdp_wrapped_module.", "_fsdp_wrapped_module._orig_mod.", "module._fpw_module.",
        "_orig_mod._fsdp_wrapped_module._checkpoint_wrapped_module.",
    ],
)  # fmt: skip
def test_wrappers_of_torch_come_off_in_any_order(prefix: str) -> None:
    report, found = loads(put(prefix, A))
    assert equal(found, A)
    taken = {note.split("`")[1] for note in report.notes}
    assert taken == {f"{part}." for part in prefix.rstrip(".").split(".")}


def test_wrappers_of_inner_modules_come_off() -> None:
    inner = {
        re.sub(r"^(conv|bn)\.", r"\1._fsdp_wrapped_module._checkpoint_wrapped_module.", name): value
        for name, value in A.items()
    }
    assert equal(loads(put("_fsdp_wrapped_module.", inner))[1], A)


def test_an_averaged_model() -> None:
    averaged = torch.optim.swa_utils.AveragedModel(network())
    averaged.module.load_state_dict(A)
    report, found = loads(averaged.state_dict())
    assert equal(found, A)
    assert "`n_averaged` left aside: how many models were averaged" in report.notes


def test_a_layer_that_is_called_module_keeps_its_name() -> None:
    text = SMALL.replace("body:\n", "body:\n  - id: module\n    sequential:\n").replace(
        "\n  - {", "\n      - {"
    )
    text = text.replace("\n  - relu\n  - flatten", "\n      - relu\n      - flatten")
    model = network(text)
    assert set(model.state_dict()) == {f"module.{name}" for name in A}
    assert weights.load(model, put("module.", A)).notes == ()
    weights.load(model, put("module.module.", B))
    assert equal(model.state_dict(), put("module.", B))


def test_a_prefix_that_makes_names_match_is_printed_and_works() -> None:
    lightning = {"state_dict": put("model.", A), "hyper_parameters": {"lr": 0.1}}
    error = refused(lightning)
    said = '`model.` taken off makes 9 of 9 names match: prefix={"model.": ""}'
    assert error.help.startswith(said)
    for prefix in ({"model.": ""}, {"model": ""}, "model.="):
        report, found = loads(lightning, prefix=prefix)
        assert equal(found, A)
        assert report.notes[-1] == "`model.` taken off 9 names"
    beside = {**put("backbone.", A), "loss.weight": torch.ones(2)}
    assert 'prefix={"backbone.": ""}' in refused(beside).help
    assert equal(loads(beside, prefix={"backbone.": ""}, allow="loss")[1], A)
    two = refused({**put("ema_model.", B), **put("model.", A)}).help
    assert 'prefix={"ema_model.": ""}' in two
    assert 'prefix={"model.": ""}' in two
    assert "prefix" not in refused({"x.weight": torch.ones(1)}).help


def test_a_prefix_that_has_to_be_put_on() -> None:
    text = SMALL.replace("body:\n", "body:\n  - id: net\n    sequential:\n").replace(
        "\n  - {", "\n      - {"
    )
    text = text.replace("\n  - relu\n  - flatten", "\n      - relu\n      - flatten")
    program = archspec.loads(text)
    report = weights.plan(program, A)
    said = '`net.` put before makes 9 of 9 names match: prefix={"": "net."}'
    assert report.hints == (said,)
    assert f"help            {said}" in str(report)
    model = archspec.build(program, weights=A, prefix={"": "net."})
    assert equal(model.state_dict(), put("net.", A))


def test_a_prefix_counts_in_the_names_of_the_table() -> None:
    text = SMALL + 'weights: {rename: {"conv.": "stem.0.", "bn.": "stem.1.", "fc.": "head."}}\n'
    theirs = {
        name.replace("conv.", "stem.0.").replace("bn.", "stem.1.").replace("fc.", "head."): value
        for name, value in A.items()
    }
    report = weights.plan(archspec.loads(text), put("model.", theirs))
    assert report.hints == ('`model.` taken off makes 9 of 9 names match: prefix={"model.": ""}',)
    assert weights.plan(archspec.loads(text), put("model.", theirs), prefix="model=").ok


def test_a_prefix_in_the_file_for_a_used_file(tmp_path: Path) -> None:
    text = """\
spec: 1
name: around
input: [3, 32, 32]
use: {Net: {file: resnet50, variant: resnet18, outputs: {output: layer4}}}
body: [{id: net, Net: }, global_avg_pool, {id: fc, linear: 3}]
"""
    path, program = tmp_path / "net.pt", archspec.loads(text)
    theirs = put("model.", archspec.build("resnet50", "resnet18").state_dict())
    torch.save({"model": theirs}, path)
    report = weights.plan(program, {"net": path})
    said = '`model.` taken off makes 120 of 120 names match: prefix={"model.": ""}'
    assert report.hints == (said,)
    assert len(weights.plan(program, {"net": path}, prefix="model.=").loaded) == 120


def test_wrong_prefixes() -> None:
    error = refused(A, prefix={"modle.": ""})
    assert (error.code, error.message) == ("E617", "no name in `state_dict` begins with `modle.`")
    assert error.help == "names begin with `conv.`, `bn.`, `fc.`"
    assert refused(A, prefix="model.").message == "`model.` is not OLD=NEW"
    assert "is no mapping" in refused(A, prefix=["a"]).message
    twice = {**A, "x.fc.weight": torch.ones(1)}
    assert (
        "two tensors of `state_dict` the name `fc.weight`" in refused(twice, prefix="x.=").message
    )


def test_an_entry_of_the_table_for_all_names_can_be_read() -> None:
    text = SMALL + 'weights: {rename: {"": "model."}}\n'
    report = weights.plan(archspec.loads(text), put("model.", A))
    assert '9 by "" -> model.' in str(report)


# ------------------------------------------------------------------ several files


def sharded(folder: Path, kind: str = "safetensors") -> Path:
    from safetensors.torch import save_file

    parts = [dict(list(A.items())[:4]), dict(list(A.items())[4:])]
    places = {}
    for k, part in enumerate(parts, 1):
        name = f"model-{k:05}-of-00002.{kind}"
        places |= dict.fromkeys(part, name)
        (save_file if kind == "safetensors" else torch.save)(part, folder / name)
    index = folder / f"model.{kind}.index.json"
    index.write_text(json.dumps({"metadata": {"total_size": 9}, "weight_map": places}))
    return index


@pytest.mark.parametrize("kind", ["safetensors", "bin"])
def test_an_index_of_files(kind: str, tmp_path: Path) -> None:
    report, found = loads(sharded(tmp_path, kind))
    assert equal(found, A)
    assert report.notes == ("an index of 2 files",)
    assert report.source == f"model.{kind}.index.json"


@pytest.mark.parametrize(
    ("change", "code", "said"),
    [
        (lambda t: t.replace("00001-of", "00003-of"), "E603", "No such file"),
        (lambda t: t.replace('"model-00001', '"../model-00001'), "E604", "no file beside it"),
        (lambda t: t.replace('"fc.bias"', '"fc.basi"'), "E604", "do not agree about"),
        (lambda t: t.replace("weight_map", "map"), "E605", "no index of files"),
        (lambda t: t[:-3], "E604", "begins as JSON and is none"),
    ],
)
def test_an_index_that_is_wrong(change: Any, code: str, said: str, tmp_path: Path) -> None:
    path = sharded(tmp_path)
    path.write_text(change(path.read_text()))
    error = refused(path)
    assert (error.code, said in error.message) == (code, True), str(error)


# ------------------------------------------------------------------ sources that are no plain file


def test_a_flipped_bit_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "w.pt"
    torch.save(A, path)
    text = bytearray(path.read_bytes())
    place = bytes(text).find(A["fc.weight"].numpy().tobytes()) + 40
    text[place] ^= 1
    path.write_bytes(text)
    assert weights.plan(archspec.loads(SMALL), path).ok  # no data is read
    error = refused(path)
    assert error.code == "E604"
    assert re.search(r"the bytes of `w/data/\d+` are not those saved", error.message)


def test_a_file_saved_without_checksums(tmp_path: Path) -> None:
    torch.serialization.set_crc32_options(False)
    try:
        torch.save(A, tmp_path / "w.pt")
    finally:
        torch.serialization.set_crc32_options(True)
    assert equal(loads(tmp_path / "w.pt")[1], A)


def test_a_tensor_on_the_meta_device() -> None:
    error = refused({**A, "fc.bias": torch.empty(5, device="meta")})
    assert error.code == "E608"
    assert "`fc.bias` in `state_dict` is on the meta device" in error.message


def test_a_source_that_is_the_models_own() -> None:
    model = archspec.build(archspec.loads(
        "spec: 1\nname: two\ninput: [4]\nbody: [{id: a, linear: 4}, {id: b, linear: 4}]\n"
    ))  # fmt: skip
    old = {name: value.clone() for name, value in model.state_dict().items()}
    own = model.state_dict()
    swapped = {("b" if name[0] == "a" else "a") + name[1:]: own[name] for name in own}
    weights.load(model, swapped)
    assert torch.equal(model.a.weight, old["b.weight"])
    assert torch.equal(model.b.weight, old["a.weight"])


def test_a_source_inside_of_what_is_the_models_own() -> None:
    """Memory that begins in the middle of a weight, as a slice of numpy's view of it does."""
    model = archspec.build(archspec.loads(
        "spec: 1\nname: two\ninput: [4]\nbody: [{id: a, linear: 8}, {id: b, linear: 4}]\n"
    ))  # fmt: skip
    old = {name: value.clone() for name, value in model.state_dict().items()}
    rows = model.a.weight.detach().numpy()
    part = torch.from_numpy(rows.reshape(-1)[4:])[:28]
    new = {**old, "a.weight": torch.zeros(8, 4), "b.bias": part[:4], "b.weight": old["b.weight"]}
    weights.load(model, new)
    assert torch.equal(model.a.weight, torch.zeros(8, 4))
    assert torch.equal(model.b.bias, old["a.weight"][1])


@pytest.mark.parametrize(
    ("wrap", "kind"),
    [
        (lambda m: torch.compile(m, backend="eager"), "OptimizedModule"),
        (nn.DataParallel, "DataParallel"),
    ],
)
def test_a_model_in_a_wrapper(wrap: Any, kind: str, tmp_path: Path) -> None:
    model = network()
    around = wrap(model)
    report = weights.load(around, A)
    assert equal(model.state_dict(), A)
    assert report.notes == (f"the model is wrapped in {kind}: what that wraps was loaded",)
    assert report.model == "small"
    assert weights.report(around) is weights.report(model) is report
    weights.save(around, tmp_path / "w.safetensors")
    assert equal(loads(tmp_path / "w.safetensors")[1], A)


# ------------------------------------------------------------------ the table


def test_the_same_tensor_with_its_axes_exchanged_is_no_conflict() -> None:
    """GPT-2's Conv1D: the name is equal, the table says the order."""
    text = SMALL + 'weights: {rename: {"fc.weight": {from: fc.weight, order: [1, 0]}}}\n'
    theirs = {**A, "fc.weight": A["fc.weight"].t().contiguous()}
    model = archspec.build(archspec.loads(text), weights=theirs)
    assert equal(model.state_dict(), A)
    with pytest.raises(WeightsError, match="E612") as caught:  # the spec's own, as they are
        archspec.build(archspec.loads(text), weights=A)
    assert 'source="spec" takes it as it is' in str(caught.value)
    assert equal(archspec.build(archspec.loads(text), weights=A, source="spec").state_dict(), A)


def test_what_is_no_weight_is_ignored() -> None:
    more = {
        **A,
        "conv.relative_position_index": torch.ones(4, dtype=torch.int64),
        "mask": A["fc.bias"],
    }
    assert len(weights.plan(archspec.loads(SMALL), more).unexpected) == 2
    for entry in ('["*.relative_position_index", mask]', '"*mask"', '["*_index", "m*k"]'):
        program = archspec.loads(SMALL + f"weights: {{ignore: {entry}}}\n")
        report = weights.plan(program, more)
        found = {line.name for line in report.left_over}
        assert report.ok is ("index" in entry)
        assert "mask" in found
        assert all(line.why == "ignored by the spec" for line in report.left_over)


@pytest.mark.parametrize("entry", ['"*"', '""', "[3]", '"a b"', "{a: b}"])
def test_ignore_that_is_no_name(entry: str) -> None:
    with pytest.raises(archspec.SpecError) as caught:
        archspec.loads(SMALL + f"weights: {{ignore: {entry}}}\n")
    assert caught.value.faults[0].help


# ------------------------------------------------------------------ build


def test_build_takes_what_its_messages_recommend() -> None:
    half = {n: v.half() if v.is_floating_point() else v for n, v in A.items()}
    program = archspec.loads(SMALL)
    with pytest.raises(WeightsError, match="cast=True converts it"):
        archspec.build(program, weights=half)
    found = archspec.build(program, weights=half, cast=True).state_dict()
    assert torch.equal(found["fc.bias"], half["fc.bias"].float())
    more = {**A, "loss.weight": torch.ones(2)}
    with pytest.raises(WeightsError, match=r"allow=\[…\]"):
        archspec.build(program, weights=more)
    assert equal(archspec.build(program, weights=more, allow=["loss"]).state_dict(), A)
    both = {"model": A, "ema": put("model.", B)}
    found = archspec.build(program, weights=both, entry="ema", prefix={"model.": ""}).state_dict()
    assert equal(found, B)
    with pytest.raises(WeightsError, match="E617 neither a file nor a source is given"):
        archspec.build(program, cast=True)


def test_a_param_that_is_called_as_an_option_is_asked_about() -> None:
    text = SMALL.replace("body:", "params: {cast: 5}\nbody:").replace("linear: 5", "linear: $cast")
    with pytest.raises(archspec.BuildError, match="E619 `cast` is a param of `small`"):
        archspec.build(archspec.loads(text), weights=A, cast=True)
    model = archspec.build(archspec.loads(text, cast=5))
    weights.load(
        model, {n: v.double() if v.is_floating_point() else v for n, v in A.items()}, cast=True
    )
    assert equal(model.state_dict(), A)


# ------------------------------------------------------------------ a proposed table


class Dropping(nn.Module):
    """Registered in another order than it runs, with dropout as a function and nearly our names."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(144, 5)
        self.add_module("b-2", nn.Conv2d(4, 4, 3, padding=1))
        self.add_module("b-1", nn.Conv2d(4, 4, 3, padding=1))
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x: Any) -> Any:
        x = torch.relu(getattr(self, "b-1")(self.conv(x)))
        x = getattr(self, "b-2")(x).flatten(1)
        return self.fc(nn.functional.dropout(x, 0.5, training=self.training))


DROPPING = """\
spec: 1
name: dropping
input: [3, 8, 8]
body:
  - {id: conv, conv: {out: 4, kernel: 3}}
  - {id: b_1, conv: {out: 4, kernel: 3, padding: 1}}
  - relu
  - {id: b_2, conv: {out: 4, kernel: 3, padding: 1}}
  - flatten
  - {id: fc, linear: 5}
"""


def test_equal_names_first_then_near_ones() -> None:
    found = weights.propose(network(DROPPING), Dropping(), torch.randn(2, 3, 8, 8))
    assert dict(found.pairs)["b_1.weight"] == "b-1.weight"
    assert found.rename == {"b_{i}.": "b-{i}."}
    same = network(DROPPING)
    assert weights.propose(network(DROPPING), same, torch.randn(2, 3, 8, 8)).rename == {}


def test_indices_of_the_reference_are_proposed_to_be_ignored() -> None:
    reference = Dropping()
    reference.conv.register_buffer("relative_position_index", torch.arange(4))
    found = weights.propose(network(DROPPING), reference, torch.randn(2, 3, 8, 8))
    assert (
        found.yaml
        == """\
weights:
  ignore: ["*.relative_position_index"]
  rename:
    "b_{i}.": "b-{i}."
"""
    )
    model = archspec.build(archspec.loads(DROPPING + found.yaml), weights=reference.state_dict())
    assert torch.equal(model.fc.bias, reference.fc.bias)


class Crossed(nn.Module):
    """Names that are equal by chance: its `b_1` is our `b_2`, and the other way round."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 4, 3), nn.Linear(144, 5)
        self.b_1 = nn.Conv2d(4, 4, 3, padding=1)
        self.b_2 = nn.Conv2d(4, 4, 3, padding=1)

    def forward(self, x: Any) -> Any:
        return self.fc(self.b_1(torch.relu(self.b_2(self.conv(x)))).flatten(1))


def test_names_that_are_equal_by_chance_do_not_hide_the_order() -> None:
    found = weights.propose(network(DROPPING), Crossed(), torch.randn(2, 3, 8, 8))
    assert found.rename == {"b_1.": "b_2.", "b_2.": "b_1."}


def test_layers_that_run_in_another_order_are_known_by_how_their_names_end(
    torchvision: Any,
) -> None:
    """torchvision's RegNet runs `proj` before `f`; its blocks are called `block1-0`."""
    reference = torchvision.models.regnet_x_400mf()
    found = weights.propose(archspec.build("regnet_x_400mf"), reference, torch.randn(2, 3, 64, 64))
    assert found.error == 0.0
    theirs = dict(found.pairs)
    here = "trunk_output.block1.0.proj.0.weight"
    assert theirs[here] == "trunk_output.block1.block1-0.proj.0.weight"
    assert len(found.pairs) == len(reference.state_dict())


def test_a_network_whose_dropout_is_a_function_is_proved(torchvision: Any) -> None:
    """timm's GhostNet: all 512 names are equal."""
    timm = pytest.importorskip("timm")
    model = timm.create_model("ghostnet_100")
    assert model.drop_rate
    found = weights.propose(model, timm.create_model("ghostnet_100"), torch.randn(2, 3, 64, 64))
    assert (len(found.pairs), found.rename, found.error) == (512, {}, 0.0)


# ------------------------------------------------------------------ the command line


def test_the_command_line_speaks_its_own_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from archspec.cli import main

    def run(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["archspec", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0), "".join(capsys.readouterr())

    monkeypatch.chdir(tmp_path)
    Path("small.yaml").write_text(SMALL)
    torch.save({n: v.half() if v.is_floating_point() else v for n, v in A.items()}, "half.pt")
    torch.save({"model": put("model.", A), "ema": put("model.", B)}, "both.pt")
    report = ["weights", "report", "--spec", "small.yaml"]
    code, said = run(*report, "half.pt")
    assert code == 1
    assert "W102" not in said  # what `check` says of the spec is not said before each report
    assert "W102" in run("check", "small.yaml")[1]
    assert "float16, here float32; `--cast` converts it" in said
    assert run(*report, "half.pt", "--cast")[0] == 0
    code, said = run(*report, "both.pt")
    assert code == 1
    assert "help            `model.` taken off makes 9 of 9 names match: `--prefix model.=`" in said
    code, said = run(*report, "both.pt", "--prefix", "model.=", "--entry", "ema")
    assert (code, 'read from "ema"; "model" is there too' in said) == (0, True)
    convert = ["weights", "convert", "--spec", "small.yaml", "-o", "w.safetensors", "both.pt"]
    code, said = run(*convert, "--entry", "ema")
    assert "`--allow PATH` names paths" in said
    assert run(*convert, "--entry", "ema", "--prefix", "model.=")[0] == 0
    assert equal(loads("w.safetensors")[1], B)
    Path("w.safetensors").write_text("mine")
    assert "`--force` replaces it" in run(*convert, "--prefix", "model.=")[1]
    code, said = run(*report, "both.pt", "--prefix", "model")
    assert (code, "`--prefix model` is not OLD=NEW" in said) == (2, True)
    code, said = run("export", "small.yaml", "--weights", "half.pt", "-o", "out.onnx")
    assert "`--cast` of `archspec weights convert`" in said
    assert "cast=True" in str(refused("half.pt"))  # Python's words again
