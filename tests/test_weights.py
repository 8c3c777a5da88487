"""Weights move by name or not at all: matching, conversions, reports, sources, hostile files."""

from __future__ import annotations

import functools
import hashlib
import http.server
import io
import json
import os
import pickle
import re
import struct
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from shipped import program  # noqa: E402

import archspec  # noqa: E402
from archspec import shelf, weights  # noqa: E402
from archspec.align import align, marks  # noqa: E402
from archspec.codes import CODES  # noqa: E402
from archspec.weights import WeightsError, patterns, preprocessing, sources  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
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
head: fc
"""


def network(text: str = SMALL, **params: Any) -> Any:
    return archspec.build(archspec.loads(text, **params))


def stirred(model: Any) -> Any:
    """Every tensor with numbers of its own, batch-norm statistics too."""
    generator = torch.Generator().manual_seed(7)
    for value in model.state_dict().values():
        if value.is_floating_point():
            value.copy_(torch.rand(value.shape, generator=generator) + 0.5)
        else:
            value.fill_(3)
    return model


def values(model: Any) -> dict[str, Any]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def equal(a: dict[str, Any], b: dict[str, Any]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def refused(model: Any, state: Any, **how: Any) -> WeightsError:
    """The complaint; the model keeps the values it had."""
    before = values(model)
    with pytest.raises(WeightsError) as caught:
        weights.load(model, state, **how)
    assert equal(before, values(model))
    assert caught.value.code in CODES
    assert caught.value.help
    assert "\n" not in caught.value.message
    return caught.value


# ------------------------------------------------------------------ by name


@pytest.mark.parametrize("kind", ["safetensors", "pt", "state_dict"])
def test_all_of_it(kind: str, tmp_path: Path) -> None:
    old, new = stirred(network()), network()
    state: Any = tmp_path / f"w.{kind}"
    if kind == "safetensors":
        weights.save(old, state)
    elif kind == "pt":
        torch.save(old.state_dict(), state)
    else:
        state = old.state_dict()
    report = weights.load(new, state)
    assert equal(values(old), values(new))
    assert (len(report.loaded), report.ok) == (9, True)
    assert weights.report(new) is report
    assert {line.recipe.how for line in report.loaded if line.recipe} == {"equal name"}
    assert str(report).splitlines()[1:] == [
        "loaded          9 of 9 tensors",
        "              9 by equal name",
    ]


def test_what_is_missing_or_left_over_is_an_error_unless_allowed() -> None:
    state = values(stirred(network()))
    state["ghost.weight"] = torch.ones(2)
    del state["bn.bias"]
    error = refused(network(), state)
    assert error.code == "E611"
    assert "`bn.bias`" in error.message
    assert "`ghost.weight`" in error.message
    assert error.report is not None
    assert [line.name for line in error.report.missing] == ["bn.bias"]
    assert [line.name for line in error.report.unexpected] == ["ghost.weight"]
    refused(network(), state, allow=["bn.bias"])
    refused(network(), state, allow=["ghos", "bn.bia"])  # paths, not beginnings of words
    model = network()
    report = weights.load(model, state, allow=["ghost", "bn.bias"])
    assert [line.name for line in report.fresh] == ["bn.bias"]
    assert [line.name for line in report.left_over] == ["ghost.weight"]
    assert torch.equal(model.state_dict()["bn.bias"], torch.zeros(4))


def test_the_head_stays_fresh_where_it_does_not_fit() -> None:
    state = values(stirred(network()))
    model = network(SMALL.replace("linear: 5", "linear: 3"))
    before = values(model)
    report = weights.load(model, state)
    assert [line.name for line in report.fresh] == ["fc.weight", "fc.bias"]
    assert torch.equal(before["fc.weight"], model.state_dict()["fc.weight"])
    assert torch.equal(state["conv.weight"], model.state_dict()["conv.weight"])
    lines = str(report).splitlines()
    assert "re-initialised  2 tensors" in lines
    assert "                fc.weight [3, 144], in the source [5, 144]: the head" in lines
    assert report.record()["re_initialised"][0]["source_shape"] == [5, 144]
    body = SMALL.replace("out: 4", "out: 6")
    error = refused(network(body), state)
    assert error.code == "E612"
    assert "conv.weight [6, 3, 3, 3], in the source [4, 3, 3, 3]" in error.message


def test_a_layer_of_the_head_is_loaded_whole_or_not_at_all() -> None:
    state = values(stirred(network()))
    model = network(SMALL.replace("[3, 8, 8]", "[3, 7, 7]"))  # fc: the bias alone would fit
    report = weights.load(model, state)
    assert [line.name for line in report.fresh] == ["fc.weight", "fc.bias"]
    assert "fc.bias [5]: with the rest of `fc`" in str(report)
    del state["fc.weight"]
    assert len(weights.load(network(), state).fresh) == 2


def test_a_counter_that_older_files_lack() -> None:
    state = values(stirred(network()))
    del state["bn.num_batches_tracked"]
    assert len(weights.load(network(), state).fresh) == 1


def test_wrappers_come_off_and_are_named() -> None:
    old = stirred(network())
    for prefix in ("module.", "_orig_mod.", "module._orig_mod."):
        new = network()
        report = weights.load(new, {prefix + k: v for k, v in old.state_dict().items()})
        assert equal(values(old), values(new))
        assert any("taken off" in note for note in report.notes)


def test_a_checkpoint_around_the_state_dict(tmp_path: Path) -> None:
    old, new = stirred(network()), network()
    torch.save({"state_dict": old.state_dict(), "epoch": 3, "note": "x"}, tmp_path / "c.pt")
    weights.load(new, tmp_path / "c.pt")
    assert equal(values(old), values(new))


def test_a_module_that_archspec_did_not_build() -> None:
    old, new = nn.Linear(2, 3), nn.Linear(2, 3)
    weights.load(new, old.state_dict())
    assert equal(values(old), values(new))
    assert refused(nn.Linear(2, 4), old.state_dict()).code == "E612"


def test_dtypes(tmp_path: Path) -> None:
    old = stirred(network())
    for dtype in (torch.float16, torch.bfloat16, torch.float64):
        state = {k: v.to(dtype) if v.is_floating_point() else v for k, v in values(old).items()}
        error = refused(network(), state)
        assert error.code == "E612"
        assert "cast=True" in str(error)
        new = network()
        weights.load(new, state, cast=True)
        expected = {k: v.to(values(new)[k].dtype) for k, v in state.items()}
        assert equal(expected, values(new))
    large = {**values(old), "conv.weight": torch.full((4, 3, 3, 3), 1e300, dtype=torch.float64)}
    assert refused(network(), large, cast=True).code == "E607"  # infinite in float32
    half = network().half()
    assert "float32, here float16" in refused(half, values(old)).message
    weights.load(half, values(old), cast=True)
    assert half.state_dict()["conv.weight"].dtype == torch.float16


def test_a_model_on_the_meta_device() -> None:
    with torch.device("meta"):
        model = nn.Linear(2, 3)
    with pytest.raises(WeightsError, match="E614"):
        weights.load(model, nn.Linear(2, 3).state_dict())


# ------------------------------------------------------------------ build


def test_build_with_weights(tmp_path: Path) -> None:
    old = stirred(archspec.build("resnet50", "resnet18"))
    weights.save(old, tmp_path / "r.safetensors")
    torch.save(old.state_dict(), tmp_path / "r.pt")
    for path in (tmp_path / "r.safetensors", str(tmp_path / "r.pt")):
        new = archspec.build("resnet50", "resnet18", classes=10, weights=path)
        report = weights.report(new)
        assert report is not None
        assert [line.name for line in report.fresh] == ["fc.weight", "fc.bias"]
        assert len(report.loaded) == 120
        body = values(new)
        assert all(torch.equal(v, body[k]) for k, v in values(old).items() if k[:2] != "fc")
        assert body["fc.weight"].shape == (10, 512)
    with pytest.raises(WeightsError, match="E611"):
        archspec.build("resnet50", "resnet34", weights=tmp_path / "r.safetensors")
    with pytest.raises(WeightsError, match="E603"):
        archspec.build("resnet50", weights=tmp_path / "absent.pt")


def test_copies_of_a_model_know_their_spec() -> None:
    import copy

    model = copy.deepcopy(network())
    state = values(network(SMALL.replace("linear: 5", "linear: 7")))
    assert len(weights.load(model, state).fresh) == 2  # the head


def test_equal_code_of_two_specs_keeps_two_heads() -> None:
    with_head, without = network(), network(SMALL.replace("head: fc\n", ""))
    state = values(network(SMALL.replace("linear: 5", "linear: 7")))
    assert weights.load(with_head, state).ok
    refused(without, state)


@pytest.mark.parametrize("channels", [1, 6, 4, 2])
def test_another_number_of_input_channels(channels: int) -> None:
    old = stirred(network()).eval()
    text = SMALL.replace("[3, 8, 8]", f"[{channels}, 8, 8]")
    error = refused(network(text), values(old))
    assert "adapt_input=True" in error.message
    new = network(text).eval()
    report = weights.load(new, values(old), adapt_input=True)
    assert any("conv.weight" in note for note in report.notes)
    grey = torch.rand(2, 1, 8, 8)
    wanted = old(grey.expand(-1, 3, -1, -1))
    torch.testing.assert_close(new(grey.expand(-1, channels, -1, -1)), wanted)


def test_only_a_first_convolution_is_adapted() -> None:
    text = SMALL.replace("  - relu\n", "  - {id: conv2, conv: {out: 4, kernel: 1}}\n")
    other = text.replace("out: 4, kernel: 3", "out: 6, kernel: 3")
    assert refused(network(other), values(network(text)), adapt_input=True).code == "E612"


# ------------------------------------------------------------------ renames


TABLE = """\
spec: 1
name: table
input: [4, 6, 6]
body:
  - id: stages
    repeat: {n: [2, 1, 2], c: [4, 8, 8]}
    body:
      - {repeat: $n, body: [{conv: {out: $c, kernel: 3, padding: 1}}, relu]}
  - {id: last, conv: {out: 5, kernel: 1}}
  - flatten
  - unflatten: {axis: 0, shape: [36, 5]}
  - {id: token, parameter: {shape: [1, 5], batch: true}}
  - concat: [token, prev]
  - {id: mix, attention: {heads: 1}}
  - {id: q, linear: 6}
  - {id: fc, linear: 2}
weights:
  rename:
    "stages.{i}.conv{j}.": "layer{i+1}.{2*j-2}."
    "last.weight": {from: proj.weight, reshape: true}
    "last.bias": proj.bias
    "token": {from: tokens, reshape: true}
    "mix.in_proj_weight": [att.q, att.k, att.v]
    "mix.in_proj_bias": {from: att.bias}
    "mix.out_proj.": "att.{['in', 'out'][1]}."
    "q.weight": {from: qk.weight, part: [0, 2]}
    "q.bias": {from: qk.bias, part: [1, 2]}
    "fc.weight": {from: fc.kernel, order: [1, 0]}
"""


def theirs(ours: dict[str, Any]) -> dict[str, Any]:
    """The same values as that table says the source has them, written out by hand."""
    found = {
        "layer1.0.weight": ours["stages.0.conv1.weight"],
        "layer1.0.bias": ours["stages.0.conv1.bias"],
        "layer1.2.weight": ours["stages.0.conv2.weight"],
        "layer1.2.bias": ours["stages.0.conv2.bias"],
        "layer2.0.weight": ours["stages.1.conv1.weight"],
        "layer2.0.bias": ours["stages.1.conv1.bias"],
        "layer3.0.weight": ours["stages.2.conv1.weight"],
        "layer3.0.bias": ours["stages.2.conv1.bias"],
        "layer3.2.weight": ours["stages.2.conv2.weight"],
        "layer3.2.bias": ours["stages.2.conv2.bias"],
        "proj.weight": ours["last.weight"].reshape(5, 8),
        "proj.bias": ours["last.bias"],
        "tokens": ours["token"][0],
        "att.bias": ours["mix.in_proj_bias"],
        "att.out.weight": ours["mix.out_proj.weight"],
        "att.out.bias": ours["mix.out_proj.bias"],
        "qk.weight": torch.cat([ours["q.weight"], torch.zeros(6, 5)]),
        "qk.bias": torch.cat([torch.zeros(6), ours["q.bias"]]),
        "fc.kernel": ours["fc.weight"].T,
        "fc.bias": ours["fc.bias"],
    }
    found |= {
        f"att.{name}": part
        for name, part in zip("qkv", ours["mix.in_proj_weight"].chunk(3), strict=True)
    }
    return {name: value.clone() for name, value in found.items()}


def test_a_table_of_renames_and_conversions() -> None:
    old, new = stirred(network(TABLE)), network(TABLE)
    error = refused(new, theirs(values(old)))
    assert error.report is not None
    assert [str(line) for line in error.report.unexpected] == [
        "qk.weight: of its 2 parts nothing takes [1]",
        "qk.bias: of its 2 parts nothing takes [0]",
    ]
    report = weights.load(new, theirs(values(old)), allow=["qk"])
    assert equal(values(old), values(new))
    how = {line.name: line.recipe.how for line in report.loaded if line.recipe}
    assert how["stages.2.conv2.bias"] == "stages.{i}.conv{j}. -> layer{i+1}.{2*j-2}."
    assert how["mix.in_proj_weight"] == "mix.in_proj_weight -> att.q + att.k + att.v"
    assert how["fc.bias"] == "equal name"
    again = network(TABLE)
    weights.load(again, values(old))  # its own names come first
    assert equal(values(old), values(again))


def test_the_table_read_backwards() -> None:
    text = TABLE.replace("{from: qk.weight, part: [0, 2]}", "qk.weight")
    text = text.replace("{from: qk.bias, part: [1, 2]}", "qk.bias")
    model = stirred(network(text))
    wanted = theirs(values(model)) | {
        "qk.weight": values(model)["q.weight"],
        "qk.bias": values(model)["q.bias"],
    }
    found = weights.export(model, {k: torch.empty_like(v) for k, v in wanted.items()})
    assert equal(found, wanted)
    with pytest.raises(WeightsError, match="`tokens`"):
        weights.export(model, wanted | {"tokens": torch.zeros(2)})


def test_parts_read_backwards() -> None:
    text = """\
spec: 1
name: halves
input: [4]
body: [{id: a, linear: 4}, {id: b, linear: 4}]
weights:
  rename:
    "a.": {from: ab., part: [0, 2]}
    "b.": {from: ab., part: [1, 2]}
"""
    model, new = stirred(network(text)), network(text)
    whole = {"ab.weight": torch.empty(8, 4), "ab.bias": torch.empty(8)}
    found = weights.export(model, whole)
    assert torch.equal(found["ab.weight"], torch.cat([model.a.weight, model.b.weight]))
    weights.load(new, found)
    assert equal(values(model), values(new))


def shifted(text: str = "") -> str:
    return f"""\
spec: 1
name: shifted
input: [4]
body: [{{id: net, sequential: [{text}{{linear: 4}}, {{linear: 4}}, {{linear: 4}}]}}]
weights: {{rename: {{"net.{{i}}.": "net.{{i+1}}."}}}}
"""


def test_a_name_with_two_meanings_is_asked_about() -> None:
    """A shifted table and equal names both lead somewhere: who is right is the caller's to say."""
    old = stirred(network(shifted()))
    state = {re.sub(r"\d", lambda n: str(int(n[0]) + 1), k): v for k, v in values(old).items()}
    error = refused(network(shifted()), state)
    assert error.code == "E613"
    assert 'source="torchvision"' in error.help
    new = network(shifted())
    weights.load(new, state, source="torchvision")
    assert equal(values(old), values(new))
    assert refused(network(shifted()), state, source="spec").code == "E611"
    own = network(shifted())
    weights.load(own, values(old), source="spec")
    assert equal(values(old), values(own))


def test_one_tensor_is_not_used_twice() -> None:
    text = shifted().replace('"net.{i}.": "net.{i+1}."', '"net.0.": "net.1."')
    state = values(network(text))
    del state["net.0.weight"], state["net.0.bias"]
    assert refused(network(text), state).code == "E613"
    halves = '{"net.0.": {from: ab., part: [0, 2]}, "net.1.": {from: ab., part: [0, 2]}}'
    text = re.sub(r"rename: .*", f"rename: {halves}}}", shifted())
    state = {"ab.weight": torch.ones(8, 4), "ab.bias": torch.ones(8)}
    assert refused(network(text), state, allow=["net.2"]).code == "E613"


def test_all_names_below_one() -> None:
    text = SMALL + 'weights: {rename: {"": "backbone.net."}}\n'
    old, new = stirred(network(text)), network(text)
    weights.load(new, {f"backbone.net.{k}": v for k, v in old.state_dict().items()})
    assert equal(values(old), values(new))


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("[att.q, odd]", "cannot be joined"),
        ("{from: att.q, part: [0, 2]}", "has no 2 equal parts"),
        ("{from: odd, part: [0, 3], axis: 1}", "has no axis 1"),
        ("{from: odd, order: [1, 0]}", "has not 2 axes"),
    ],
)
def test_conversions_that_do_not_fit(entry: str, said: str) -> None:
    text = TABLE.replace("[att.q, att.k, att.v]", entry)
    state = theirs(values(network(TABLE))) | {"odd": torch.ones(3)}
    error = refused(network(text), state)
    assert (error.code, said in error.message) == ("E612", True)


# ------------------------------------------------------------------ the same layers, other names


def edited(text: str, *changes: tuple[str, str]) -> str:
    for old, new in changes:
        assert re.search(old, text), old
        text = re.sub(old, new, text)
    return re.sub(r"(?m)^(weights|expect):.*\n(?:  .*\n)*", "", text)


EDITS = {
    "resnet50, layers inserted": (
        "resnet50",
        (r"(?m)^  - relu\n", "  - relu\n  - identity\n"),
        (r"(?m)^( +)(- id: conv2)", r"\1- identity\n\1\2"),
        (r"sequential: \[\{conv", "sequential: [identity, {conv"),  # numbered anew
    ),
    "resnet50, blocks and ids renamed": (
        "resnet50",
        ("Bottleneck", "Bneck"), (r"layer\$s", "stage$s"), (r"\bbn(\d)", r"norm\1"),
        (r"\bdownsample\b", "project"),
    ),
    "yolov3, layers inserted": (
        "yolov3",
        (r"(?m)^( +)(- \{id: bn,.*)\n", r"\1\2\n\1- identity\n"),
        (r"(?m)^blocks:\n", "blocks:\n  Nothing: {body: [identity]}\n"),
        (r"(?m)^body:\n", "body:\n  - Nothing\n"),
    ),
    "yolov3, blocks and ids renamed": (
        "yolov3", (r"\bConvBN\b", "Unit"), (r"\bNeck\b", "Five"), ("id: blocks", "id: copies"),
        (r"\bstages\b", "darknet"),
    ),
}  # fmt: skip


def hollow(program: Any) -> Any:
    """The module, its tensors not initialised: that takes longer than all else."""
    with torch.device("meta"):
        model = archspec.build(program)
    return model.to_empty(device="cpu")


@pytest.mark.parametrize("kind", EDITS)
def test_a_changed_spec_loses_no_tensor(kind: str, tmp_path: Path) -> None:
    """Names move, layers do not: every tensor arrives where it was, from a file and from a spec."""
    name, *changes = EDITS[kind]
    text = (ROOT / f"specs/{name}.yaml").read_text()
    before, after = archspec.loads(edited(text)), archspec.loads(edited(text, *changes))
    old, new = stirred(hollow(before)), hollow(after)
    wanted = values(old)
    assert len(wanted) == {"resnet50": 320, "yolov3": 438}[name]
    weights.save(old, tmp_path / "old.safetensors")
    for state, how in ((tmp_path / "old.safetensors", {}), (wanted, {"from_spec": before})):
        for value in new.state_dict().values():
            value.zero_()
        report = weights.load(new, state, **how)
        assert (len(report.loaded), report.fresh, report.left_over) == (len(wanted), (), ())
        found = new.state_dict().values()
        assert all(torch.equal(a, b) for a, b in zip(wanted.values(), found, strict=True))
    if "renamed" in kind:
        assert refused(new, wanted).code == "E611"  # names alone would lose them


def test_equal_names_of_other_layers_are_not_taken(tmp_path: Path) -> None:
    """Two layers put before a chain of equal shapes: by name alone net.2 would get another's."""
    text = shifted().replace("weights:", "# ").replace("linear: 4}, {linear: 4}, {linear: 4", "{}")
    text = text.replace("{{}}", "{linear: 4}, relu, {linear: 4}, relu, {linear: 4}, relu")
    old = stirred(network(text))
    new_text = text.replace("[{linear", "[identity, identity, {linear")
    weights.save(old, tmp_path / "old.safetensors")
    new = network(new_text)
    weights.load(new, tmp_path / "old.safetensors")
    here = values(new)
    assert all(
        torch.equal(v, here[f"net.{int(k.split('.')[1]) + 2}.{k.split('.')[2]}"])
        for k, v in values(old).items()
    )
    refused(network(new_text), values(old))  # without what the file knows: refused, not guessed


def test_what_is_not_the_same_layer_any_more_is_said(tmp_path: Path) -> None:
    old = stirred(network())
    weights.save(old, tmp_path / "old.safetensors")
    deeper = SMALL.replace("  - flatten", "  - {conv: {out: 4, kernel: 1}}\n  - flatten")
    error = refused(network(deeper), tmp_path / "old.safetensors")
    assert "2 tensors are not in it" in error.message
    assert "`conv1.weight`" in error.message
    assert weights.load(network(deeper), tmp_path / "old.safetensors", allow=["conv1"]).ok


def test_alike_paths_are_told_apart_by_where_they_meet() -> None:
    text = """\
spec: 1
name: paths
input: [4]
body:
  - branches: {a: {linear: 4}, b: {linear: 4}}
    merge: concat
  - {id: out, linear: 2}
"""
    ours, theirs = (marks(archspec.loads(t).graph) for t in (text, text.replace("a:", "c:")))
    assert align(theirs, ours) == {"c": "a", "b": "b", "out": "out"}


@pytest.mark.parametrize("name", shelf.names())
def test_every_layer_is_known_without_its_name(name: str) -> None:
    """With every name changed, each layer of each shipped network is found again."""
    here = marks(program(name).graph)
    assert here
    assert align(here, here) == {path: path for path in here}
    renamed = {f"other.{path}": mark for path, mark in here.items()}
    assert align(here, renamed) == {path: f"other.{path}" for path in here}


def test_a_layer_put_into_a_chain_of_its_like() -> None:
    """What is before says one thing, what is after another: the names of the author decide."""
    text = "spec: 1\nname: chain\ninput: [4]\nbody: [%s]\n"
    layers = ["{id: a, linear: 4}", "relu", "{id: b, linear: 4}", "relu", "{id: c, linear: 4}"]
    old = marks(archspec.loads(text % ", ".join(layers)).graph)
    for place in (0, 2, 4, 5):
        more = [*layers[:place], "{id: n, linear: 4}", "relu", *layers[place:]]
        pairs = align(marks(archspec.loads(text % ", ".join(more)).graph), old)
        assert pairs == {"a": "a", "b": "b", "c": "c"}


def test_layers_without_any_difference_are_not_guessed() -> None:
    text = """\
spec: 1
name: twins
input: [4]
body:
  - {id: a, linear: 4, from: input, tap: always}
  - {id: b, linear: 4, from: input, tap: always}
outputs: {x: [a, b]}
"""
    other = text.replace("id: a", "id: c").replace("[a, b]", "[c, b]")
    pairs = align(marks(archspec.loads(other).graph), marks(archspec.loads(text).graph))
    assert pairs.get("c") in (None, "a")
    assert pairs.get("b", "b") == "b"


# ------------------------------------------------------------------ header only


def test_a_report_needs_no_torch(tmp_path: Path) -> None:
    weights.save(stirred(network()), tmp_path / "w.safetensors")
    (tmp_path / "small.yaml").write_text(SMALL.replace("linear: 5", "linear: 3"))
    code = (
        "import sys; from archspec import weights\n"
        "print(weights.plan('small.yaml', 'w.safetensors'))\n"
        "assert not {'torch', 'numpy', 'safetensors'} & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.stderr, done.returncode) == ("", 0)
    assert "loaded          7 of 9 tensors" in done.stdout


def test_the_plan_is_what_load_does(tmp_path: Path) -> None:
    old = stirred(network(TABLE))
    torch.save(theirs(values(old)), tmp_path / "w.pt")
    program = archspec.loads(TABLE)
    planned = weights.plan(program, tmp_path / "w.pt", allow="qk")
    done = weights.load(archspec.build(program), tmp_path / "w.pt", allow="qk")
    assert sorted(planned.loaded, key=str) == sorted(done.loaded, key=str)  # modules have an order
    assert (planned.fresh, planned.left_over, planned.ok) == (done.fresh, done.left_over, True)
    assert not weights.plan(program, {"x": torch.ones(1)}).ok  # said, not raised


def test_convert(tmp_path: Path) -> None:
    old = stirred(network(TABLE))
    torch.save(theirs(values(old)), tmp_path / "w.pt")
    program = archspec.loads(TABLE)
    weights.convert(tmp_path / "w.pt", program, tmp_path / "out.safetensors", allow=["qk"])
    from safetensors.torch import load_file

    assert equal(load_file(tmp_path / "out.safetensors"), values(old))
    head = SMALL.replace("linear: 5", "linear: 3")
    weights.save(network(), tmp_path / "s.safetensors")
    weights.convert(tmp_path / "s.safetensors", archspec.loads(head), tmp_path / "h.safetensors")
    assert len(weights.load(network(head), tmp_path / "h.safetensors").fresh) == 2
    bad = {**values(network()), "conv.bias": torch.full((4,), float("nan"))}
    with pytest.raises(WeightsError, match="E607"):
        weights.convert(bad, archspec.loads(SMALL), tmp_path / "never.safetensors")
    assert not (tmp_path / "never.safetensors").exists()


def test_saving_replaces_only_its_own(tmp_path: Path) -> None:
    model, path = network(), tmp_path / "w.safetensors"
    weights.save(model, path)
    weights.save(stirred(model), path)
    path.write_bytes(b"mine")
    with pytest.raises(WeightsError, match="not written by archspec"):
        weights.save(model, path)
    assert path.read_bytes() == b"mine"
    weights.save(model, path, force=True)
    weights.load(network(), path)
    with pytest.raises(WeightsError, match="E603"):
        weights.save(model, tmp_path / "nowhere" / "w.safetensors")
    assert [p.name for p in tmp_path.iterdir()] == ["w.safetensors"]


# ------------------------------------------------------------------ hostile files


def many(count: int) -> bytes:
    """So many entries, as `json.dumps` writes them, in a tenth of its time."""
    every = json.dumps(MANY).encode()
    return b"{%b}" % b", ".join(b'"k%d": %b' % (i, every) for i in range(count))


def header(entries: Any, data: bytes = b"", length: int | None = None) -> bytes:
    text = entries if isinstance(entries, bytes) else json.dumps(entries).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def entry(**changed: Any) -> dict[str, Any]:
    return {"dtype": "F32", "shape": [1], "data_offsets": [0, 4], **changed}


ENTRY = b'{"dtype":"F32","shape":[1],"data_offsets":[0,4]}'
FOUR = b"1234"


def saved(state: Any, **how: Any) -> bytes:
    out = io.BytesIO()
    torch.save(state, out, **how)
    return out.getvalue()


def tensors(state: dict[str, Any], metadata: dict[str, str] | None = None) -> bytes:
    from safetensors.torch import save

    return save({k: v.contiguous() for k, v in state.items()}, metadata)


def with_(**changed: Any) -> dict[str, Any]:
    return values(network()) | changed


def nan() -> Any:
    return torch.full((4, 3, 3, 3), float("nan"))


def recast(dtype: Any) -> dict[str, Any]:
    return {k: v.to(dtype) if v.is_floating_point() else v for k, v in with_().items()}


class Command:
    """A pickle that runs something when it is loaded."""

    def __reduce__(self) -> Any:
        return os.system, ("touch pwned",)


def deflated() -> bytes:
    out = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(saved({"w": torch.zeros(1 << 22)}))) as given,
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for info in given.infolist():
            packed.writestr(info.filename, given.read(info))
    assert len(out.getvalue()) < 1 << 16
    return out.getvalue()


def archive(**files: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as packed:
        for name, text in files.items():
            packed.writestr(name.replace("__", "/").replace("_DOT_", "."), text)
    return out.getvalue()


def garbled() -> bytes:
    text = bytearray(saved(with_()))
    start = text.find(b"data.pkl") + 60
    text[start : start + 10] = b"x" * 10
    return bytes(text)


MANY = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
HOSTILE: dict[str, tuple[Callable[[], bytes], str, str]] = {
    "empty": (lambda: b"", "E604", "is empty"),
    "short": (lambda: b"abc", "E604", "ends before its header does"),
    "truncated in the header": (lambda: tensors(with_())[:40], "E604", "ends before"),
    "truncated in the data": (lambda: tensors(with_())[:-9], "E604", "not as long as its header"),
    "bytes at the end": (lambda: tensors(with_()) + FOUR, "E604", "not as long as its header"),
    "header of 2^63 bytes": (lambda: header({}, length=1 << 63), "E604", "ends before"),
    "header of 40 MiB": (lambda: header(b" " * (40 << 20)), "E606", "at most 33,554,432"),
    "offsets past the end": (
        lambda: header({"w": entry(shape=[2], data_offsets=[0, 8])}, FOUR), "E604", "not as long"),
    "a hole": (lambda: header({"w": entry(data_offsets=[4, 8])}, 2 * FOUR), "E604", "a hole"),
    "overlap": (lambda: header({"a": entry(), "b": entry()}, FOUR), "E604", "overlap"),
    "shape overflow": (lambda: header({"w": entry(shape=[2**62, 2**62])}, FOUR), "E604", "bytes"),
    "size mismatch": (lambda: header({"w": entry(shape=[2])}, FOUR), "E604", "8 bytes, not 4"),
    "negative size": (lambda: header({"w": entry(shape=[-1])}, FOUR), "E604", "whole numbers"),
    "true as a size": (lambda: header({"w": entry(shape=[True])}, FOUR), "E604", "whole numbers"),
    "seventeen axes": (lambda: header({"w": entry(shape=[1] * 17)}, FOUR), "E604", "whole"),
    "deep JSON": (lambda: header(b"[" * 100_000), "E604", "no JSON"),
    "no UTF-8": (lambda: header(b'{"\xff": 1}'), "E604", "no JSON"),
    "JSON list": (lambda: header(b"[]"), "E604", "no JSON object"),
    "NaN in JSON": (lambda: header(b'{"w": NaN}'), "E604", "holds NaN"),
    "metadata of numbers": (lambda: header({"__metadata__": {"a": 1}}), "E604", "not texts"),
    "metadata that lie": (
        lambda: tensors(with_(), {"archspec": "1", "layers": '{"a": 3}'}), "E604", "which layers"),
    "an unknown dtype": (lambda: header({"w": entry(dtype="F4")}, FOUR), "E608", "no known dtype"),
    "half an entry": (lambda: header({"w": {"dtype": "F32"}}), "E604", "does not say"),
    "duplicate keys": (lambda: header(b'{"w":%b,"w":%b}' % (ENTRY, ENTRY), FOUR), "E604", "twice"),
    "newline in a name": (lambda: header({"a\nb": entry()}, FOUR), "E604", "control characters"),
    "escape in a name": (lambda: header({"\x1b[2J": entry()}, FOUR), "E604", "control characters"),
    "a name of 2,000": (lambda: header({"a" * 2000: entry()}, FOUR), "E604", "2,000 characters"),
    "a path as a name": (lambda: header({"../../etc/x": entry()}, FOUR), "E611", "../../etc/x"),
    "an empty tensor of 10^18": (
        lambda: header({"conv.bias": entry(shape=[0, 10**18], data_offsets=[0, 0])}),
        "E612", "in the source [0, 1000000000000000000]"),
    "200,000 keys": (
        lambda: header(many(200_000)), "E606", "at most 100,000"),
    "a million keys": (
        lambda: header(many(1_000_000)), "E606", "a header of 66,888"),
    "another spec": (lambda: tensors({"w": torch.ones(1)}), "E611", "6 tensors are not in it"),
    "a key missing": (
        lambda: tensors({k: v for k, v in with_().items() if k != "bn.bias"}), "E611", "`bn.bias`"),
    "a key too many": (lambda: tensors(with_(z=torch.ones(1))), "E611", "no place in the model"),
    "transposed": (
        lambda: tensors(with_(**{"conv.weight": torch.ones(3, 4, 3, 3)})), "E612", "[3, 4, 3, 3]"),
    "NaN": (lambda: tensors(with_(**{"conv.weight": nan()})), "E607", "not finite"),
    "infinity": (
        lambda: tensors(with_(**{"bn.bias": torch.full((4,), -torch.inf)})), "E607", "not finite"),
    "bf16": (lambda: tensors(recast(torch.bfloat16)), "E612", "cast=True"),
    "fp8": (lambda: tensors(recast(torch.float8_e4m3fn)), "E612", "not converted"),
    "complex": (lambda: tensors(recast(torch.complex64)), "E612", "not converted"),
    "whole numbers": (lambda: tensors(recast(torch.int32)), "E612", "not converted"),
    "HDF5": (lambda: b"\x89HDF\r\n\x1a\n" + b"0" * 99, "E605", "HDF5"),
    "NumPy": (lambda: b"\x93NUMPY\x01\x00" + b"0" * 99, "E605", "NumPy"),
    "a plain pickle with code": (lambda: pickle.dumps(Command()), "E605", "plain pickle"),
    "torch.save before 1.6": (
        lambda: saved(with_(), _use_new_zipfile_serialization=False), "E605", "plain pickle"),
    ".pt, a pickle with code": (lambda: saved({"w": Command()}), "E605", "system"),
    ".pt, a zip bomb": (deflated, "E606", "compressed"),
    ".pt, an expanded tensor": (
        lambda: saved({"w": torch.zeros(1).expand(10**6, 10**6)}), "E606", "4 are stored"),
    ".pt, lists and texts": (lambda: saved({"a": [1, 2], "b": "x"}), "E605", "str -> list"),
    ".pt, numbers as keys": (lambda: saved({1: torch.ones(1)}), "E605", "int -> Tensor"),
    ".pt, a tensor alone": (lambda: saved(torch.ones(3)), "E605", "a Tensor, not names"),
    ".pt, sparse": (
        lambda: saved(with_(**{"bn.bias": torch.ones(4).to_sparse()})), "E608", "sparse"),
    ".pt, NaN": (lambda: saved(with_(**{"conv.weight": nan()})), "E607", "not finite"),
    ".pt, truncated": (lambda: saved(with_())[:-99], "E604", "damaged"),
    ".pt, bytes changed": (garbled, "E605", "or is damaged"),
    ".pt, an entry's name no UTF-8": (
        lambda: saved(with_()).replace(b"archive/data/1", b"archi\xffe/data/1", 1),
        "E604", "the bytes of `archive/data/1` are not those saved"),
    ".pt2": (lambda: archive(m__archive_format="pt2", m__data_DOT_pkl=""), "E605", "torch.export"),
    ".pt, TorchScript": (
        lambda: archive(m__constants_DOT_pkl="", m__data_DOT_pkl=""), "E605", "TorchScript"),
    "another zip": (lambda: archive(a="b"), "E605", "not one that torch.save wrote"),
    "larger than all proportion": (lambda: b"0" * (70 << 20), "E606", "proportion"),
}  # fmt: skip


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_file(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write, code, said = HOSTILE[kind]
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "w"
    path.write_bytes(write())
    error = refused(network(), path)
    assert (error.code, said in error.message) == (code, True), str(error)
    assert "`w`" in error.message  # which file
    assert len(error.message) < 500
    assert not (tmp_path / "pwned").exists()


def test_a_real_exported_program(tmp_path: Path) -> None:
    with torch.no_grad():
        program = torch.export.export(nn.Linear(2, 2), (torch.ones(1, 2),))
    torch.export.save(program, tmp_path / "w.pt2")
    assert refused(nn.Linear(2, 2), tmp_path / "w.pt2").code == "E605"


def test_never_an_unsafe_load(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    calls = []
    real = torch.load

    def watched(*given: Any, **how: Any) -> Any:
        calls.append(how.get("weights_only"))
        return real(*given, **how)

    monkeypatch.setattr(torch, "load", watched)
    (tmp_path / "w.pt").write_bytes(saved({"w": Command()}))
    refused(network(), tmp_path / "w.pt")
    assert calls == [True]
    monkeypatch.setattr(torch, "__version__", "2.9.1+cpu")
    error = refused(network(), tmp_path / "w.pt")
    assert (error.code, calls) == ("E602", [True])


@pytest.mark.parametrize("what", ["folder", "pipe", "device", "absent", "nul"])
def test_no_regular_file(what: str, tmp_path: Path) -> None:
    path: Any = {"device": "/dev/zero", "nul": "a\0b"}.get(what, tmp_path / "w")
    if what == "folder":
        path.mkdir()
    if what == "pipe":
        os.mkfifo(path)
    assert refused(network(), path).code == "E603"


def test_data_are_read_only_when_names_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import safetensors

    weights.save(network(), tmp_path / "w.safetensors")
    read: list[str] = []

    class Watched:
        def __init__(self, *args: Any, **keywords: Any) -> None:
            self.file = real(*args, **keywords)

        def get_tensor(self, name: str) -> torch.Tensor:
            read.append(name)
            return self.file.get_tensor(name)

    real = safetensors.safe_open
    monkeypatch.setattr(safetensors, "safe_open", Watched)
    refused(network(SMALL.replace("out: 4", "out: 6")), tmp_path / "w.safetensors")
    assert read == []
    weights.load(network(), tmp_path / "w.safetensors")
    assert len(read) == 9


# ------------------------------------------------------------------ sources


PUBLISHED = SMALL.replace("name: small", "name: published") + "weights:\n"


def test_sources_that_are_not_named() -> None:
    model = network()
    for how, said in (
        ({"source": "torchvision"}, "names no weights of torchvision"),
        ({}, "neither a file nor a source"),
        ({"source": "keras"}, "no source of weights"),
    ):
        error = refused(model, None, **how)
        assert (error.code, said in error.message) == ("E617", True)


def test_weights_by_variant() -> None:
    text = PUBLISHED.replace("input:", "params: {n: 4}\nvariants: {wide: {n: 4}}\ninput:")
    text = text.replace("out: 4", "out: $n") + "  torchvision: {wide: VGG16_Weights.DEFAULT}\n"
    program = archspec.loads(text)
    assert (
        sources.named(sources.Part.of(program.with_("wide")), "torchvision")
        == "VGG16_Weights.DEFAULT"
    )
    with pytest.raises(WeightsError, match="it has them for `wide`"):
        sources.named(sources.Part.of(program), "torchvision")


def test_torchvision(torchvision: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Through its own door, here with a file of ours behind it."""
    from torchvision.models import ResNet18_Weights, resnet18

    spec = edited((ROOT / "specs/resnet50.yaml").read_text())
    spec += "weights: {torchvision: {resnet18: ResNet18_Weights.IMAGENET1K_V1}}\n"
    program = archspec.loads(spec, "resnet18")
    reference = stirred(resnet18()).eval()
    asked: list[dict[str, Any]] = []

    def given(self: Any, **how: Any) -> Any:
        asked.append(how)
        return reference.state_dict()

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(ResNet18_Weights, "get_state_dict", given)
    model = archspec.build(program, weights="torchvision").eval()
    assert asked[0]["weights_only"] is True
    assert asked[0]["check_hash"] is True
    image = torch.rand(1, 3, 224, 224)
    with torch.no_grad():
        assert torch.equal(model(image), reference(image))
    assert str(weights.report(model)).startswith("resnet18 <- ResNet18_Weights.IMAGENET1K_V1")

    def fails(self: Any, **how: Any) -> Any:
        raise OSError("Name or service not known")

    monkeypatch.setattr(ResNet18_Weights, "get_state_dict", fails)
    error = refused(model, None, source="torchvision")
    assert error.code == "E615"
    assert "resnet18-f37072fd.pth" in error.help
    assert str(tmp_path / "checkpoints") in error.help
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints/resnet18-f37072fd.pth").write_bytes(b"something else")
    assert refused(model, None, source="torchvision").code == "E616"
    wrong = archspec.loads(spec.replace("IMAGENET1K_V1", "IMAGENET1K_V9"), "resnet18")
    with pytest.raises(WeightsError, match="E617"):
        archspec.build(wrong, weights="torchvision")


def test_timm(torchvision: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    timm = pytest.importorskip("timm")
    program = archspec.loads(PUBLISHED + "  timm: resnet18.a1_in1k\n")
    old = stirred(network())
    asked: list[Any] = []

    def create(name: str, pretrained: bool = False) -> Any:
        asked.append((name, pretrained))
        if len(asked) > 1:
            raise OSError("no network")
        return old

    monkeypatch.setattr(timm, "create_model", create)
    model = archspec.build(program, weights="timm")
    assert asked == [("resnet18.a1_in1k", True)]
    assert equal(values(old), values(model))
    error = refused(model, None, source="timm")
    assert error.code == "E615"
    assert "huggingface.co/timm/resnet18.a1_in1k" in error.help


def _sha(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_file_below_the_spec(tmp_path: Path) -> None:
    folder = tmp_path / "specs"
    folder.mkdir()
    weights.save(stirred(network()), folder / "w.safetensors")
    sha = _sha(folder / "w.safetensors")
    spec = folder / "published.yaml"
    spec.write_text(PUBLISHED + f"  file: {{path: w.safetensors, sha256: {sha}}}\n")
    model = archspec.build(spec, weights="file")
    assert equal(values(stirred(network())), values(model))
    spec.write_text(PUBLISHED + f"  file: {{path: w.safetensors, sha256: {'f' * 64}}}\n")
    with pytest.raises(WeightsError, match=sha):
        archspec.build(spec, weights="file")
    spec.write_text(PUBLISHED + f"  file: {{path: v.safetensors, sha256: {sha}}}\n")
    with pytest.raises(WeightsError, match=r"put the file .* at .*v\.safetensors"):
        archspec.build(spec, weights="file")
    (tmp_path / "outside.safetensors").write_bytes(b"x")
    (folder / "v.safetensors").symlink_to(tmp_path / "outside.safetensors")
    with pytest.raises(WeightsError, match="through a link"):
        archspec.build(spec, weights="file")
    with pytest.raises(WeightsError, match="has no folder"):
        archspec.build(archspec.loads(spec.read_text()), weights="file")


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder, and the address at which this machine serves it."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    folder = tmp_path / "served"
    folder.mkdir()
    handler = functools.partial(Quiet, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield folder, f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_an_address(
    served: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, address = served
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    file = folder / "w.safetensors"
    weights.save(stirred(network()), file)
    text = PUBLISHED + f"  file: {{url: {address}/w.safetensors, sha256: {_sha(file)}}}\n"
    program = archspec.loads(text)
    model = archspec.build(program, weights="file")
    assert equal(values(stirred(network())), values(model))
    content = file.read_bytes()
    file.unlink()
    archspec.build(program, weights="file")  # it is kept
    (kept,) = (tmp_path / "cache").rglob("*.safetensors")
    kept.write_bytes(b"tampered")
    assert refused(model, None, source="file", spec=program).code == "E616"
    kept.unlink()
    error = refused(model, None, source="file", spec=program)
    assert error.code == "E615"
    assert str(kept) in error.help
    file.write_bytes(content + b"x")
    assert refused(model, None, source="file", spec=program).code == "E616"
    file.write_bytes(b"0" * (66 << 20))
    assert refused(model, None, source="file", spec=program).code == "E606"
    assert [p for p in (tmp_path / "cache").rglob("*") if p.is_file()] == []


def test_preprocessing_of_torchvision(torchvision: Any) -> None:
    from torchvision.models import GoogLeNet_Weights, ResNet50_Weights, googlenet

    image = torch.randint(0, 256, (3, 300, 260), dtype=torch.uint8)
    program = archspec.loads(PUBLISHED + "  torchvision: ResNet50_Weights.IMAGENET1K_V2\n")
    wanted = ResNet50_Weights.IMAGENET1K_V2.transforms()(image)
    assert torch.equal(weights.preprocess(program)(image), wanted)
    program = archspec.loads(PUBLISHED + "  torchvision: GoogLeNet_Weights.IMAGENET1K_V1\n")
    plain = GoogLeNet_Weights.IMAGENET1K_V1.transforms()(image)[None]
    model = googlenet(transform_input=True, aux_logits=False, init_weights=False)
    ours = weights.preprocess(program)(image)
    assert torch.equal(ours[None], model._transform_input(plain))
    assert not torch.equal(ours[None], plain)
    batch = torch.stack([plain[0], plain[0]])
    assert torch.equal(preprocessing._renormalise(batch)[1], ours)
    assert "->" in repr(weights.preprocess(program))


def test_preprocessing_of_timm(torchvision: Any) -> None:
    pytest.importorskip("timm")
    from PIL import Image

    program = archspec.loads(PUBLISHED + "  timm: resnet18.a1_in1k\n")
    found = weights.preprocess(program, "timm")(Image.new("RGB", (300, 260)))
    assert found.shape == (3, 224, 224)
    with pytest.raises(WeightsError, match="E617"):
        weights.preprocess(program)


# ------------------------------------------------------------------ proposals


class Renamed(nn.Module):
    """The network of TABLE's kind, as somebody else wrote it."""

    def __init__(self, swapped: bool = False, idle: bool = False) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4))
        self.blocks = nn.ModuleList([nn.Conv2d(4, 4, 3, padding=1) for _ in range(4)])
        self.head = nn.Conv2d(4, 2, 1)
        self.swapped = swapped
        if idle:
            self.unused = nn.Linear(2, 2)

    def forward(self, x: Any) -> Any:
        x = torch.relu(self.stem(x))
        for i, block in enumerate(self.blocks):
            y = torch.relu(block(x))
            x = y if self.swapped and i == 1 else x + y
        return self.head(x.mean((2, 3), keepdim=True)).flatten(1)


OURS = """\
spec: 1
name: ours
input: [3, 6, 6]
body:
  - {id: conv, conv: {out: 4, kernel: 3, padding: 1}}
  - {id: bn, batch_norm: }
  - relu
  - {id: body, repeat: 4, residual: [{conv: {out: 4, kernel: 3, padding: 1}}, relu]}
  - global_avg_pool
  - {id: fc, linear: 2}
"""


def test_a_table_is_proposed_and_proved() -> None:
    model, reference = network(OURS), stirred(Renamed())
    before = values(model), values(reference)
    found = weights.propose(model, reference, torch.randn(2, 3, 6, 6))
    assert (equal(before[0], values(model)), equal(before[1], values(reference))) == (True, True)
    assert found.rename == {
        "fc.weight": {"from": "head.weight", "reshape": True},
        "conv.": "stem.0.",
        "bn.": "stem.1.",
        "body.{i}.conv1.": "blocks.{i}.",
        "fc.": "head.",
    }
    assert found.error < 1e-6
    spec = archspec.loads(OURS + found.yaml)
    new = archspec.build(spec).eval()
    weights.load(new, reference.state_dict())
    image = torch.randn(2, 3, 6, 6)
    torch.testing.assert_close(new(image), reference.eval()(image))
    back = weights.export(new, reference.state_dict())
    assert equal(back, values(reference))


def test_a_group_norm_of_what_takes_no_gradient_is_proved() -> None:
    # torch 2.13's own ends the process in the backward pass, of channels that lie innermost
    text = """\
spec: 1
name: pictures
input: [6, 6, 4]
body: [{permute: [2, 0, 1]}, {group_norm: 2}, {conv: {out: 3, kernel: 1}}, global_avg_pool]
"""
    model, reference = network(text), stirred(network(text))
    found = weights.propose(model, reference, torch.randn(2, 6, 6, 4))
    assert found.rename == {}
    assert found.error == 0


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        (lambda: Renamed(swapped=True), "outputs differ"),
        (lambda: Renamed(idle=True), "the model has nothing for `unused.weight`"),
        (lambda: nn.Sequential(nn.Conv2d(3, 4, 5, padding=2)), "the networks differ"),
    ],
)
def test_what_cannot_be_proved_is_refused(reference: Callable[[], Any], said: str) -> None:
    with pytest.raises(WeightsError, match="E618") as caught:
        weights.propose(network(OURS), reference(), torch.randn(2, 3, 6, 6))
    assert said in caught.value.message


def test_weights_that_reach_no_output_prove_nothing() -> None:
    class Dead(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, x: Any) -> Any:
            return self.a(x) + 0 * self.b(x)

    with pytest.raises(WeightsError, match=r"no output depends on `b\.weight`"):
        weights.propose(Dead(), Dead(), torch.randn(2, 4))


def test_timms_efficientnet(torchvision: Any) -> None:
    """No name is equal; the table that is proposed carries every tensor over, bit by bit."""
    timm = pytest.importorskip("timm")
    reference = stirred(timm.create_model("efficientnet_b0")).eval()
    program = archspec.load("efficientnet_b0")
    found = weights.propose(archspec.build(program), reference, torch.randn(2, 3, 64, 64))
    assert (len(found.pairs), found.error) == (360, 0.0)
    assert len(found.rename) < 30
    text = edited((ROOT / "specs/efficientnet_b0.yaml").read_text()) + found.yaml
    model = archspec.build(archspec.loads(text)).eval()
    report = weights.load(model, reference.state_dict())
    assert len(report.loaded) == 360
    image = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(model(image), reference(image))


def test_folding_never_says_what_is_not_so() -> None:
    pairs = [(f"a.{i}.{j}.w", f"b{i + 1}.{j}.v") for i in range(3) for j in range(2)]
    assert patterns.fold(pairs) == {"a.{i}.{j}.w": "b{i+1}.{j}.v"}
    pairs[3] = (pairs[3][0], "odd.v")
    table = patterns.fold(pairs)
    assert table["a.1.1.w"] == "odd.v"
    assert len(table) < len(pairs)
    same = [("x.0.w", "x.0.w"), ("x.1.w", "y.1.w")]
    assert patterns.fold(same) == {"x.1.": "y.1."}


# ------------------------------------------------------------------ command line


def test_commands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from archspec.cli import main

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["archspec", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0), *capsys.readouterr()

    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.yaml").write_text(SMALL)
    (tmp_path / "other.yaml").write_text(SMALL.replace("id: conv,", "id: first,"))
    torch.save(stirred(network()).state_dict(), tmp_path / "w.pt")
    code, out, _ = run("weights", "report", "w.pt", "--spec", "small.yaml")
    assert code == 0
    assert out.startswith("small <- w.pt\nloaded          9 of 9 tensors\n")
    code, out, _ = run("weights", "report", "w.pt", "--spec", "other.yaml", "--json")
    missing = [line["name"] for line in json.loads(out)["missing"]]
    assert (code, missing) == (1, ["first.weight", "first.bias"])
    arguments = ["weights", "convert", "w.pt", "--spec", "other.yaml", "-o", "w.safetensors"]
    code, out, err = run(*arguments)
    assert (code, out) == (1, "")
    assert "\nE611 `w.pt` is not for `small`" in err
    assert not (tmp_path / "w.safetensors").exists()
    code, out, _ = run(*arguments, "--from-spec", "small.yaml")
    assert code == 0
    assert "2 by same layer in `small.yaml`" in out
    code, out, _ = run("weights", "map", "small.yaml", "other.yaml")
    assert code == 0
    assert '"conv.": "first."' in out
    code, _, err = run("weights", "map", "small.yaml", "keras:resnet")
    assert code == 1
    assert "\nE617 `keras` is no library" in err


# ------------------------------------------------------------------ what the shipped specs name


def _published() -> list[Any]:
    """Every variant of a shipped spec with the entry of torchvision that it names."""
    found = []
    for name in shelf.names():
        section = program(name).spec.weights
        if section is not None and "torchvision" in section.sources:
            found += [
                pytest.param(name, variant, id=f"{name}-{variant}")
                for variant in section.sources["torchvision"]
            ]
    return found


_ANCIENT = {  # how torchvision's own modules read their published files, which keep older names
    "densenet": (r"(denselayer\d+\.(?:norm|conv))(\d)\.", r"\1.\2."),
    "vit": (r"mlp\.(\d)\.", lambda found: f"mlp.linear_{int(found[1]) // 3 + 1}."),
}


@pytest.mark.parametrize(("name", "variant"), _published())
def test_published_weights_have_a_place(name: str, variant: str, torchvision: Any) -> None:
    """Names, shapes and dtypes of torchvision's own module, and of its file; nothing is fetched."""
    program = archspec.load(name, variant)
    entry = sources.named(sources.Part.of(program), "torchvision")
    assert isinstance(entry, str)
    member = sources.enum(entry)
    model = entry.partition("_Weights")[0].lower()
    alike = [m for m in _models() if m.replace("_", "") == model.replace("_", "")]
    builder = model if model in alike else alike[0]  # 1_6gf and 16gf are two
    # torchvision's RegNets read numbers while they are built, which the meta device does not have
    with torch.device("cpu" if builder.startswith("regnet") else "meta"):
        if name in ("fcn_resnet50", "deeplabv3"):  # the published have the auxiliary classifier
            from torchvision.models import segmentation

            made = getattr(segmentation, builder)(weights_backbone=None, aux_loss=True)
        else:
            made = sources.reference("torchvision", builder)
    state = made.state_dict()
    learned = sum(v.numel() for k, v in state.items() if not k.endswith(_COUNTED))
    assert learned == program.analysis.totals.params
    assert member.meta["num_params"] <= learned  # it leaves out what only training uses
    states = [state]
    for kind, (now, then) in _ANCIENT.items():
        if name.startswith(kind):
            states.append({re.sub(now, then, key): value for key, value in state.items()})
            assert states[1].keys() != state.keys()
    for each in states:
        report = weights.plan(program, each, "torchvision")
        assert report.ok, report
        assert len(report.loaded) == len(state)


_COUNTED = (
    "running_mean", "running_var", "num_batches_tracked", "relative_position_index",
    "relative_coords_table",
)  # fmt: skip


def _models() -> list[str]:
    from torchvision import models

    return list(models.list_models())


def test_there_are_published_weights() -> None:
    assert len(_published()) >= 40
