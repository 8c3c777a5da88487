"""What `build` proves of a module before it hands it out, and whom it names when that fails."""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable
from typing import Any

import pytest
import torch

from archspec.emit.lowering import network
from archspec.layers.base import Call, Layer, TensorType
from archspec.layers.fields import Size
from archspec.layers.linear import Linear
from archspec.layers.registry import REGISTRY
from archspec.module import BuildError, build
from archspec.network import Program, loads
from archspec.text.faults import SpecError

NET = """\
spec: 1
name: net
input:
  image: [3, {H: 16}, {W: 16}]
  words: {shape: [6], dtype: int}
  hide: {shape: [6], dtype: bool}
blocks:
  Unit:
    params: {out: required}
    body:
      - {id: conv, conv: {out: $out, kernel: 3, padding: 1}}
      - batch_norm
      - relu
body:
  - {id: one, Unit: 4, from: image}
  - {id: two, repeat: 2, Unit: 6}
  - {id: aux, tap: train, body: [global_avg_pool, {linear: 3}]}
  - {id: grid, unflatten: {axis: 0, shape: [2, 3]}}
  - {id: turned, permute: [1, 0, 2, 3]}
  - {id: embedding, embedding: {num: 10, dim: 8}, from: words}
  - {id: read, attention: {heads: 2}, from: {query: embedding, key_padding_mask: hide}}
  - {id: last, lstm: 5}
outputs: {image: turned, aux: aux, several: [read, last.h]}
"""


def wrong(text: str, edit: Callable[[str], str]) -> BuildError:
    """The complaint about a program whose emitted text is another."""
    program = loads(text, name="net.yaml")
    edited = edit(program.code)
    assert edited != program.code
    vars(program)["code"] = edited
    with pytest.raises(BuildError) as caught:
        build(program)
    return caught.value


def test_every_kind_of_input_and_output_is_tried() -> None:
    state = torch.get_rng_state()
    module = build(loads(NET.replace("relu", "dropout")))
    assert module.training
    assert all(p.device.type == "cpu" and p.requires_grad for p in module.parameters())
    counts = [b for n, b in module.named_buffers() if n.endswith("num_batches_tracked")]
    assert len(counts) == 3
    assert all(int(count) == 0 for count in counts)
    torch.set_rng_state(state)
    again = loads(NET.replace("relu", "dropout"))
    from archspec.module import network_class, prove

    prove(network_class(again), again)
    assert torch.equal(torch.get_rng_state(), state)


CASES = {
    "an op that does not run": (
        lambda t: t.replace("(2, 3))", "(2, 4))"),
        "does not run in evaluation, on [3, 16, 16], [6], [6]: RuntimeError",
        "18:5   grid",
    ),
    "a layer that does not run": (
        lambda t: t.replace("padding=1)", "padding=1, dilation=99)"),
        "does not run in evaluation",
        "11:9   one.conv",
    ),
    "a constructor": (
        lambda t: t.replace("nn.Embedding(10, 8)", "nn.Embedding(10, 8, dims=2)"),
        "cannot be made: TypeError",
        "20:5   embedding",
    ),
    "a constructor of a block": (
        lambda t: t.replace("nn.BatchNorm2d(out)", "nn.BatchNorm2d(out, sp=2)"),
        "cannot be made: TypeError",
        "12:9   one.batch_norm1",
    ),
    "a shape": (
        lambda t: t.replace("permute(0, 2, 1, 3, 4)", "permute(0, 2, 1, 4, 3).flatten(3)"),
        "gives [5, 3, 2, 256] of float, not [5, 3, 2, 16, 16] of float, as output `image`",
        "19:5   turned",
    ),
    "a dtype": (
        lambda t: t.replace(".permute(0, 2, 1, 3, 4)", ".permute(0, 2, 1, 3, 4) > 0"),
        "of bool, not [5, 3, 2, 16, 16] of float,",
        "19:5   turned",
    ),
    "what is there in training only": (
        lambda t: t.replace("nn.Linear(6, 3)", "nn.Linear(6, 3), flat=nn.Flatten(0)"),
        "gives [15] of float, not [5, 3] of float, as output `aux` in training",
        "17:51   aux.linear1",
    ),
    "the names of the outputs": (
        lambda t: t.replace('"several":', '"severall":'),
        "the outputs are ['image', 'several']",
        "",
    ),
    "how many there are": (
        lambda t: re.sub(r'"several": \[([^,]*), [^\]]*\]', r'"several": [\1]', t),
        "gives 1 tensors as `several` in evaluation",
        "",
    ),
    "a free size": (
        lambda t: t.replace(".permute(0, 2, 1, 3, 4)", ".permute(0, 2, 1, 3, 4)[..., :16, :9]")
        .replace("[..., :16, :9]", ".reshape(-1, 3, 2, 16, 16)"),
        "in training, on [3, 33, 35], [6], [6]",
        "",
    ),
    "a weight": (
        lambda t: t.replace("nn.Embedding(10, 8)", "nn.Embedding(11, 8)"),
        "differs from its graph",
        "20:5   embedding",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_what_is_wrong_is_named_with_its_place(case: str) -> None:
    edit, said, place = CASES[case]
    error = wrong(NET, edit)
    assert error.code == ("E901" if case == "a weight" else "E902")
    assert said in error.message
    assert (f"\n  --> net.yaml:{place}" in error.message) or not place, error.message
    assert "defect of archspec" in error.help


def test_text_that_is_no_python_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    write = network.text_of
    for planted, said, place in (
        ("nn.LSTM(8, 5,, ", "E902.*cannot be written: UnsafeText", "--> net.yaml:22:5   last"),
        ("nn.LSTM(lambda: 8, 5, ", "E902.*cannot be written: UnsafeText", "net.yaml:22:5   last"),
        ("nn.LSTM(eval(8), 5, ", "E903.*reads eval, which is not set", "in line 42 of the source"),
    ):
        monkeypatch.setattr(
            network, "text_of", lambda *given, p=planted: write(*given).replace("nn.LSTM(8, 5, ", p)
        )
        with pytest.raises(BuildError, match=said) as caught:
            build(loads(NET, name="net.yaml"))
        assert place in caught.value.message


def test_an_error_of_emission_names_the_item(monkeypatch: pytest.MonkeyPatch) -> None:
    def call(*_: object) -> object:
        raise IndexError("no such row")

    program = loads(NET, name="net.yaml")
    monkeypatch.setattr(Linear, "call", call)
    with pytest.raises(BuildError, match=r"E902.*cannot be written: IndexError") as caught:
        build(program)
    assert "--> net.yaml:17:5   body" in caught.value.message


class Halved(Layer):
    """A plug-in whose call is not what it says."""

    op = "halved"
    family = "shape"
    factor: Size = 2

    def infer(self, t: TensorType) -> tuple[TensorType, ...]:
        return (t.resized(0, t.shape[0] // self.factor),)

    def call(self, _: TensorType) -> Call:
        return Call(None, (), "x0.tanh()")


def test_a_plug_in_is_blamed_for_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(REGISTRY._known, "halved", Halved)
    with pytest.raises(BuildError) as caught:
        build(loads("spec: 1\nname: half\ninput: [4, 6]\nbody: [halved]\n", name="half.yaml"))
    assert "gives [5, 4, 6] of float, not [5, 2, 6] of float," in caught.value.message
    assert "--> half.yaml:4:8   halved1" in caught.value.message
    assert "`halved` is an op of `test_trial`" in caught.value.help


@pytest.mark.parametrize("init", ["{weight: {uniform: {a: 1, b: -1}}}", "dirac"])
def test_what_torch_refuses_is_named(init: str) -> None:
    text = f"spec: 1\nname: odd\ninput: [8]\nbody: [{{linear: 8}}]\ninit: {{linear: {init}}}\n"
    with pytest.raises((SpecError, BuildError)) as caught:
        build(loads(text, name="odd.yaml"))
    assert re.search(r"--> odd.yaml:(4:8   |5:\d+)", str(caught.value))


def test_what_the_meta_device_lacks_is_no_fault(torchvision: Any) -> None:
    boxes = "spec: 1\nname: kept\ninput: {boxes: [5, 4], scores: [5]}\n"
    boxes += "body: [{id: best, nms: , from: [boxes, scores]}]\n"
    boxes += "outputs: {boxes: best.boxes, scores: best.scores}\n"
    module: Any = build(loads(boxes))
    found = module(torch.tensor([[[0.0, 0, 4, 4], [0, 0, 4, 5]]]), torch.tensor([[0.2, 0.4]]))
    assert found["scores"].tolist() == [[0, pytest.approx(0.4)]]


def test_recurrent_networks_are_tried_in_one_step() -> None:
    text = "spec: 1\ninput: [4000, 3]\nbody: [{id: a, lstm: {hidden: 4, bidirectional: true}}]\n"
    module: Any = build(loads(text + "outputs: {y: a, c: a.c}\n"))
    found = module(torch.rand(2, 4000, 3))
    assert [tuple(v.shape) for v in found.values()] == [(2, 4000, 8), (2, 2, 4)]


def test_errors_cross_processes() -> None:
    error = wrong(NET, CASES["a weight"][0])
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error)
    assert (type(again), again.code, again.help) == (BuildError, "E901", error.help)


def test_a_program_with_nothing_wrong_is_built_at_other_sizes() -> None:
    program: Program = loads(NET)
    module: Any = build(program).eval()
    words = torch.zeros(2, 6, dtype=torch.int64)
    found = module(torch.rand(2, 3, 9, 10), words, torch.zeros(2, 6, dtype=torch.bool))
    assert tuple(found["image"].shape) == (2, 3, 2, 9, 10)
