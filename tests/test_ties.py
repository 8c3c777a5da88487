"""Weights that two ops use, against torch modules that say `a.weight = b.weight`."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, load_model, save_file
from torch import Tensor, nn

import archspec
from archspec import weights

LANGUAGE = """
params: {width: 8, vocab: 11}
input: {tokens: {shape: [{T: 5}], dtype: int}}
init: {embedding: {normal: 0.02}, linear: {weight: {normal: 0.5}, bias: 0}}
body:
  - id: transformer
    body:
      - {id: wte, embedding: {num: $vocab, dim: $width}}
      - {id: h, linear: $width}
      - {id: act, gelu: }
  - {id: lm_head, linear: {out: $vocab, bias: false}, tie: transformer.wte}
"""


class Language(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.transformer = nn.Module()
        self.transformer.wte = nn.Embedding(11, 8)
        self.transformer.h = nn.Linear(8, 8)
        self.lm_head = nn.Linear(8, 11, bias=False)
        self.lm_head.weight = self.transformer.wte.weight

    def forward(self, x: Tensor) -> Tensor:
        x = self.transformer.get_submodule("wte")(x)
        return self.lm_head(nn.functional.gelu(self.transformer.get_submodule("h")(x)))  # type: ignore[no-any-return]


def program(text: str) -> Any:
    return archspec.loads("spec: 1\nname: net\n" + text)


def network(text: str) -> Any:
    return archspec.build(program(text)).eval()


TOKENS = torch.tensor([[3, 1, 4, 1, 5, 9, 2], [6, 5, 3, 5, 8, 9, 7]])


def test_a_head_uses_the_weight_of_its_embedding() -> None:
    model, reference = network(LANGUAGE), Language().eval()
    assert model.lm_head.weight is model.get_parameter("transformer.wte.weight")
    assert list(model.state_dict()) == list(reference.state_dict())
    model.load_state_dict(reference.state_dict())
    assert torch.equal(model(TOKENS), reference(TOKENS))
    assert "self.lm_head.weight = self.get_parameter(" in program(LANGUAGE).code


def test_it_is_counted_once() -> None:
    found = program(LANGUAGE)
    totals = found.analysis.totals
    assert totals.params == totals.trainable == sum(p.numel() for p in Language().parameters())
    assert totals.weight_bytes == totals.gradient_bytes == 4 * totals.params
    head = found.analysis.rows[-1]
    assert (head.params, head.tied_to, head.macs) == (0, "transformer.wte", 5 * 8 * 11)
    assert found.graph.nodes["lm_head"]["params"] == 0
    assert found.graph.ties() == {"lm_head.weight": "transformer.wte.weight"}


def test_a_bias_is_its_own() -> None:
    text = LANGUAGE.replace("bias: false", "bias: true")
    found = program(text)
    assert found.analysis.rows[-1].params == 11
    assert [n for n, _, _ in found.graph.weights()][-1] == "lm_head.bias"


def test_first_values_are_those_of_the_op_that_has_it() -> None:
    torch.manual_seed(0)
    text = LANGUAGE.replace("vocab: 11", "vocab: 4000")
    assert network(text).lm_head.weight.std().item() == pytest.approx(0.02, rel=0.02)


def test_one_step_of_training_is_that_of_torch() -> None:
    model, reference = network(LANGUAGE).train(), Language()
    model.load_state_dict(reference.state_dict())
    for net in (model, reference):
        optimizer = torch.optim.AdamW(net.parameters(), 0.01)
        nn.functional.cross_entropy(net(TOKENS).transpose(1, 2), TOKENS).backward()
        optimizer.step()
    assert len(list(model.parameters())) == len(list(reference.parameters())) == 3
    assert all(
        torch.equal(value, reference.state_dict()[name])
        for name, value in model.state_dict().items()
    )


def test_copies_and_pickles_stay_tied() -> None:
    model = network(LANGUAGE)
    for again in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert again.lm_head.weight is again.get_parameter("transformer.wte.weight")
        assert torch.equal(again(TOKENS), model(TOKENS))


# ---------------------------------------------------------------- files


def test_it_is_saved_once(tmp_path: Path) -> None:
    model, path = network(LANGUAGE), tmp_path / "net.safetensors"
    weights.save(model, path)
    assert set(load_file(path)) == set(model.state_dict()) - {"lm_head.weight"}
    again = network(LANGUAGE)
    report = weights.load(again, path)
    assert len(report.loaded) == 3
    assert torch.equal(again(TOKENS), model(TOKENS))
    reference = Language().eval()
    load_model(reference, path)  # safetensors' own: the file says what else a tensor is called
    assert torch.equal(reference(TOKENS), model(TOKENS))


@pytest.mark.parametrize("lacking", ["lm_head.weight", "transformer.wte.weight", None])
def test_a_file_has_it_under_either_name_or_both(tmp_path: Path, lacking: str | None) -> None:
    reference = Language().eval()
    state = {n: v.clone() for n, v in reference.state_dict().items() if n != lacking}
    save_file(state, tmp_path / "theirs.safetensors")
    model = network(LANGUAGE)
    for source in (state, tmp_path / "theirs.safetensors"):
        assert weights.plan(program(LANGUAGE), source).ok
        weights.load(model, source)
        assert torch.equal(model(TOKENS), reference(TOKENS))
    weights.convert(state, program(LANGUAGE), tmp_path / "ours.safetensors")
    names = {"transformer.h.bias", "transformer.h.weight", "transformer.wte.weight"}
    assert set(load_file(tmp_path / "ours.safetensors")) == names


def test_two_weights_in_a_file_are_no_tied_one() -> None:
    state = {n: v.clone() for n, v in Language().state_dict().items()}
    state["lm_head.weight"] += 1
    model = network(LANGUAGE)
    before = model.lm_head.weight.clone()
    with pytest.raises(weights.WeightsError) as caught:
        weights.load(model, state)
    assert caught.value.code == "E612"
    wanted = "`lm_head.weight` and `transformer.wte.weight` of `state_dict` differ; here they are"
    assert caught.value.message == wanted + " one weight"
    assert torch.equal(model.lm_head.weight, before)


def test_a_head_of_other_names_is_renamed() -> None:
    text = LANGUAGE + 'weights: {rename: {"transformer.": "body.", "lm_head.": "out."}}\n'
    state = {
        n.replace("transformer.", "body.").replace("lm_head.", "out."): v
        for n, v in Language().state_dict().items()
    }
    model = network(text)
    weights.load(model, state, "file")
    assert torch.equal(model.lm_head.weight, state["out.weight"])
    exported = weights.export(model, state)
    assert all(torch.equal(exported[n], v) for n, v in state.items())


class Elsewhere(nn.Module):
    """The same under other names; its head is a module, or the embedding's weight alone."""

    def __init__(self, head: bool) -> None:
        super().__init__()
        self.emb, self.mid = nn.Embedding(11, 8), nn.Linear(8, 8)
        if head:
            self.out = nn.Linear(8, 11, bias=False)
            self.out.weight = self.emb.weight

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.gelu(self.mid(self.emb(x))) @ self.emb.weight.t()


@pytest.mark.parametrize("head", [True, False])
def test_a_map_of_names_has_either_name(head: bool) -> None:
    from archspec.weights.proposal import propose

    found = propose(network(LANGUAGE), Elsewhere(head), TOKENS).rename
    wanted = {"transformer.wte.": "emb.", "transformer.h.": "mid."}
    assert found == (wanted | {"lm_head.": "out."} if head else wanted)


# ---------------------------------------------------------------- where it may stand

PLACES = """
input: [3, 8, 8]
blocks:
  Auto:
    params: {width: 8}
    body:
      - {id: enc, conv: {out: $width, kernel: 3}}
      - relu
      - {id: dec, conv_transpose: {out: 3, kernel: 3}, tie: enc}
body:
  - {id: a, Auto: , repeat: 2}
  - {id: b, Auto: {width: 4}}
  - {id: c, conv: {out: 4, kernel: 3}, tie: b.enc}
  - {id: d, conv: {out: 4, kernel: 3, padding: 1, bias: false}}
  - {id: e, conv: {out: 4, kernel: 3, padding: 1, bias: false}, repeat: 2, tie: d}
  - {id: f, sequential: [{conv: {out: 4, kernel: 3, padding: 1}, tie: e.0}, relu]}
  - {id: g, shared: e.1}
"""


def test_in_blocks_copies_and_groups() -> None:
    model = network(PLACES)
    ties = {
        "a.0.dec": "a.0.enc", "a.1.dec": "a.1.enc", "b.dec": "b.enc", "c": "b.enc",
        "e.0": "d", "e.1": "d", "f.0": "d",
    }  # fmt: skip
    assert program(PLACES).graph.ties() == {f"{k}.weight": f"{v}.weight" for k, v in ties.items()}
    for path, owner in ties.items():
        assert model.get_submodule(path).weight is model.get_submodule(owner).weight
    x = torch.randn(2, 3, 8, 8)
    y = x
    for auto in (*model.a, model.b):
        y = nn.functional.conv2d(y, auto.enc.weight, auto.enc.bias).relu()
        y = nn.functional.conv_transpose2d(y, auto.enc.weight, auto.dec.bias)
    y = nn.functional.conv2d(y, model.b.enc.weight, model.c.bias)
    for bias in (None, None, None, model.get_parameter("f.0.bias")):
        y = nn.functional.conv2d(y, model.d.weight, bias, padding=1)
    y = nn.functional.conv2d(y.relu(), model.d.weight, padding=1)
    assert torch.equal(model(x), y)


def test_in_each_copy_of_a_group_and_where_that_is_used_again() -> None:
    text = """
input: [4]
body:
  - id: g
    repeat: 3
    body: [{id: a, linear: 4}, tanh, {id: b, linear: {out: 4, bias: false}, tie: a, repeat: 2}]
  - {id: h, sequential: [{id: c, linear: 4}, relu, {id: d, linear: 4, tie: c}]}
  - {id: again, shared: h}
  - {id: last, linear: 4, tie: $(1).a}
"""
    text = text.replace("$(1).a", "g.$(1).a")
    ties = {f"g.{k}.b.{j}.weight": f"g.{k}.a.weight" for k in range(3) for j in range(2)}
    ties |= {"h.d.weight": "h.c.weight", "last.weight": "g.1.a.weight"}
    assert program(text).graph.ties() == ties
    model = network(text)
    y = x = torch.randn(2, 4)
    for part in model.g:
        y = part.a(y).tanh() @ part.a.weight.t() @ part.a.weight.t()
    for _ in range(2):
        y = nn.functional.linear(model.h.c(y).relu(), model.h.c.weight, model.h.d.bias)
    y = nn.functional.linear(y, model.get_parameter("g.1.a.weight"), model.last.bias)
    assert torch.allclose(model(x), y, atol=1e-6)


def test_to_a_parameter_and_through_a_used_file(tmp_path: Path) -> None:
    (tmp_path / "body.yaml").write_text(
        "spec: 1\ninput: {tokens: {shape: [5], dtype: int}}\n"
        "body: [{id: wte, embedding: {num: 11, dim: 8}}, {id: h, linear: 8}]\n"
    )
    (tmp_path / "net.yaml").write_text(
        "spec: 1\nuse: {Body: body}\ninput: {tokens: {shape: [5], dtype: int}}\n"
        "body:\n  - {id: table, parameter: [6, 8]}\n  - {id: body, Body: }\n"
        "  - {id: out, tap: always, linear: {out: 6, bias: false}, tie: table}\n"
        "  - {id: head, linear: {out: 11, bias: false}, tie: body.wte}\n"
        "outputs: {out: out, head: head}\n"
    )
    model = archspec.build(tmp_path / "net.yaml")
    assert model.head.weight is model.body.wte.weight
    assert model.out.weight is model.table
    assert set(dict(model.named_parameters())) == {
        "table", "body.wte.weight", "body.h.weight", "body.h.bias",
    }  # fmt: skip


def test_a_matrix_and_its_transpose_are_one_parameter() -> None:
    text = """
input: [12]
body:
  - {id: w, parameter: [12, 5], init: {normal: 0.1}}
  - {id: code, from: [input, w], einsum: "d,dh->h"}
  - {id: act, tanh: }
  - {from: [act, w], einsum: "h,dh->d"}
"""
    model = network(text)
    x = torch.randn(3, 12)
    assert torch.allclose(model(x), (x @ model.w).tanh() @ model.w.t(), atol=1e-6)
    assert 'torch.einsum("ad,dh->ah", x, self.w)' in program(text).code  # no copy a sample


def test_a_class_takes_its_arguments_as_before() -> None:
    model = network(LANGUAGE)
    other = type(model)(vocab=5, width=6)
    assert other.lm_head.weight is other.get_parameter("transformer.wte.weight")
    assert other.lm_head.weight.shape == (5, 6)


def test_frozen_with_what_it_uses() -> None:
    body = "body: [{id: a, linear: 4, freeze: true}, relu, {id: b, linear: 4, tie: a}]\n"
    model = network("input: [4]\n" + body)
    trained = {name for name, value in model.named_parameters() if value.requires_grad}
    assert trained == {"b.bias"}
    assert program("input: [4]\n" + body).analysis.totals.trainable == 4


def test_a_checkpoint_goes_on_with_one_weight(tmp_path: Path) -> None:
    from archspec import train

    data = (torch.randint(0, 11, (12, 5)), torch.randint(0, 11, (12,)))
    text = LANGUAGE.replace("{T: 5}", "5") + "  - {select: -1}\n"
    plan: dict[str, Any] = {"batch": 4, "optimizer": {"adamw": {"lr": 0.01}}, "ema": 0.9}
    model = network(text)
    train.fit(model, data, quiet=True, epochs=2, log={"folder": str(tmp_path / "run")}, **plan)
    for file in (tmp_path / "run").rglob("model.safetensors"):
        assert "lm_head.weight" not in load_file(file)
    last = (tmp_path / "run" / "last").read_text().strip()
    again = train.load(tmp_path / "run" / "checkpoints" / last).model
    assert again.lm_head.weight is again.get_parameter("transformer.wte.weight")
    assert all(torch.equal(v, again.state_dict()[k]) for k, v in model.state_dict().items())


# ---------------------------------------------------------------- what is refused

TURNED = "a weight is tied as it is: to use its transpose, hold it as a `parameter` and take both "
TURNED += 'ways by `einsum`, "d,dh->h" and "h,dh->d"'
WRONG = {
    "body: [{id: a, linear: 4}, relu, {id: b, linear: 5, tie: a}]": (
        "E319", "the weight of `a` has another shape than that of `linear`", "",
    ),
    "body: [{id: a, linear: 9}, relu, {id: b, linear: 4, tie: a}]": (
        "E319", "the weight of `a` has another shape than that of `linear`",
        TURNED,
    ),
    "body: [{id: a, linear: 4}, {id: r, relu: , tie: a}]": (
        "E319", "`relu` has no weight of its own, so none can be tied", "remove `tie`",
    ),
    "body: [{id: a, linear: 4}, {id: r, linear: {out: 4, reparam: weight_norm}, tie: a}]": (
        "E319", "`linear` has no weight that is no product, so none can be tied", "remove `tie`",
    ),
    "body: [{id: a, relu: }, {id: b, linear: 4, tie: a}]": (
        "E319", "`a` is a `relu`, which has no weight that can be tied", "",
    ),
    "body: [{id: k, constant: {eye: 4}}, {id: b, linear: 4, tie: k}]": (
        "E319", "`k` is a `constant`, which has no weight that can be tied",
        "`init: {weight: {values: …}}` with `freeze` gives an op a fixed weight",
    ),
    "body: [{id: g, body: [{id: a, linear: 4}]}, relu, {id: b, linear: 4, tie: g}]": (
        "E319", "`g` is no single op", "name one inside: `g.…`",
    ),
    "body: [{id: a, linear: 4, repeat: 2}, relu, {id: b, linear: 4, tie: a}]": (
        "E312", "`a` is several copies", "name one of them: `a.0`",
    ),
    "body: [{id: g, body: [{id: a, linear: 4}]}, relu, {id: b, linear: 4, tie: g.aa}]": (
        "E312", "`g` has no part `aa`", "did you mean `a`?",
    ),
    "body: [{id: enc, linear: 4}, relu, {id: b, linear: 4, tie: encc}]": (
        "E312", "there is no item `encc`", "did you mean `enc`?",
    ),
    "body: [{id: a, linear: 4, tie: b}, relu, {id: b, linear: 4}]": (
        "E319", "`b` stands behind this `linear`", "tie the later op to the earlier one",
    ),
    "body: [{id: a, linear: 4, when: false}, relu, {id: b, linear: 4, tie: a}]": (
        "E312", "`a` is absent here, so it has no weight", "give both one `when`",
    ),
    "body: [relu, {id: b, linear: 4, tie: input}]": (
        "E312", "`input` is an input, which has no weight", "name an op",
    ),
    "body: [{id: a, linear: 4}, {id: s, shared: a}, {id: b, linear: 4, tie: s}]": (
        "E319", "`s` has no weight of its own: it uses that of another item",
        "name the item that is shared",
    ),
    "body: [{id: a, linear: 4}, relu, {id: b, linear: 4, tie: a, freeze: true}]": (
        "E319", "`b` is frozen, and `a`, whose weight it uses, is not", "freeze both, or none",
    ),
    "body: [{id: a, linear: 4}, {id: g, tie: a, body: [relu]}]": (
        "E215", "`tie` means nothing on `body`; it belongs to an op with a weight",
        "write it beside the op inside",
    ),
}  # fmt: skip


@pytest.mark.parametrize("body", WRONG)
def test_what_cannot_be_tied_is_said(body: str) -> None:
    with pytest.raises(archspec.SpecError) as caught:
        program("input: [4]\n" + body + "\n")
    (fault,) = caught.value.faults
    assert (fault.code, fault.message, fault.help) == WRONG[body]


def test_in_a_block_both_begin_alike() -> None:
    text = """
input: [4]
init: {linear: {normal: 0.1}, conv: {normal: 0.1}}
blocks:
  Pair: {body: [{id: a, linear: 4}, relu, {id: b, linear: 4, tie: a, init: {normal: 0.2}}]}
body: [{id: p, Pair: }]
"""
    with pytest.raises(archspec.SpecError) as caught:
        program(text)
    (fault,) = caught.value.faults
    assert fault.message == ("`init` fills the weight of `p.b` in another way than that of `p.a`")
    program(text.replace(", init: {normal: 0.2}", ""))


# ---------------------------------------------------------------- GPT-2


def test_gpt2_takes_what_hugging_face_writes(tmp_path: Path) -> None:
    """Matrices the other way round, masks beside them, and the head under a name of its own."""
    small = {"vocabulary": 50, "context": 16, "width": 24, "heads": 3, "layers": 2}
    gpt2 = archspec.load("gpt2", **small)
    model = archspec.build(gpt2).eval()
    mine = model.state_dict()
    theirs = {
        name: value.clone().t().contiguous() if _turned(name) else value.clone()
        for name, value in mine.items()
    }
    for k in range(2):
        theirs[f"transformer.h.{k}.attn.bias"] = torch.ones(1, 1, 16, 16).tril()
    save_file(theirs, tmp_path / "model.safetensors")
    again = archspec.build(gpt2, weights=tmp_path / "model.safetensors").eval()
    tokens = torch.randint(0, 50, (2, 11))
    assert torch.equal(again(tokens), model(tokens))
    bare = {n.removeprefix("transformer."): v for n, v in theirs.items() if n != "lm_head.weight"}
    save_file(bare, tmp_path / "bare.safetensors")  # as `openai-community/gpt2` has it
    weights.load(again, tmp_path / "bare.safetensors", prefix={"": "transformer."})
    assert torch.equal(again(tokens), model(tokens))
    exported = weights.export(model, theirs_without_masks(theirs))
    assert all(torch.equal(value, theirs[name]) for name, value in exported.items())


def theirs_without_masks(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value for name, value in state.items() if not name.endswith(".attn.bias")}


def _turned(name: str) -> bool:
    return name.endswith(("c_attn.weight", "c_proj.weight", "c_fc.weight"))


def test_gpt2_at_other_lengths_and_sizes() -> None:
    gpt2 = archspec.load("gpt2", "gpt2_tiny")
    assert "self.lm_head.weight = self.transformer.wte.weight" in gpt2.code
    model = archspec.build(gpt2).eval()
    tokens = torch.randint(0, 256, (1, 128))
    assert torch.allclose(model(tokens[:, :9]), model(tokens)[:, :9], atol=1e-5)
    other = type(model)(vocabulary=7, layers=1, width=32)
    assert other.lm_head.weight is other.transformer.wte.weight


# ---------------------------------------------------------------- what is written is proved

TAMPERED = [
    ("self.dec.weight = self.enc.weight", "self.dec.bias = self.enc.bias"),
    ("        self.dec.weight = self.enc.weight\n", ""),
    ("self.c.weight = self.b.enc.weight", "self.c.weight = self.d.weight"),
    ('self.get_submodule("e.0").weight', 'self.get_submodule("e.1").weight'),
    (
        "self.c.weight = self.b.enc.weight",
        "self.c.weight = self.b.enc.weight\n        nn.init.zeros_(self.c.weight)",
    ),
    ("nn.Buffer(torch.tensor([[[0.5]]]))", "nn.Buffer(torch.tensor([[[0.25]]]))"),
    ("nn.Buffer(torch.tensor([[[0.5]]]))", "nn.Parameter(torch.tensor([[[0.5]]]))"),
    ("torch.arange(8), persistent=False", "torch.arange(8)"),
    (" * self.k)", " + self.k)"),
    ("[[1, 2, 1]]", "[[1, 2, 2]]"),
]
PROVED = (
    PLACES
    + """
  - {id: k, constant: [[[0.5]]]}
  - {id: scaled, mul: [g, k]}
  - {id: at, constant: {arange: 8, persistent: false}}
  - {id: some, from: [scaled, at], gather: {axis: 2}}
  - {id: fixed, from: some, conv: {out: 4, kernel: [1, 3]}, init: {values: [[1, 2, 1]]}}
"""
)


@pytest.mark.parametrize(("was", "is_now"), TAMPERED)
def test_a_text_that_differs_is_refused(was: str, is_now: str) -> None:
    from archspec.emit.proof import UnprovenError, prove
    from archspec.emit.reading import Reading

    found = program(PROVED.replace("8, 8]", "10, 10]"))
    assert was in found.code
    text = found.code.replace(was, is_now)
    with pytest.raises(UnprovenError):
        prove(Reading(text), found.graph.root)
