"""What is built: a module that torch's tools take; text into which nothing from a spec slips."""

from __future__ import annotations

import ast
import copy
import re
import sys
import traceback
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from interpreter import Interpreter
from torch import nn

from archspec.emit.check import UnsafeTextError, verify
from archspec.module import BuildError, build, network_class
from archspec.network import Program, load, loads
from archspec.text.faults import SpecError

CHAIN = """\
spec: 1
name: chain
input: [3, 16, 16]
body:
  - id: features
    sequential:
      - repeat: {c: [4, 8]}
        body: [{conv: {out: $c, kernel: 3, padding: 1}}, batch_norm, relu, {max_pool: 2}]
  - flatten
  - {id: fc, linear: 5}
"""

TAPS = """\
spec: 1
name: taps
input: [3, 16, 16]
blocks:
  Block:
    params: {out: required, stride: 1}
    body:
      - residual:
          - {conv: {out: $out, kernel: 3, stride: $stride, padding: 1}}
          - {batch_norm: }
          - silu
        shortcut:
          - id: down
            conv: {out: $out, kernel: 1, stride: $stride}
            when: $(stride != 1 or prev.channels != out)
      - relu
body:
  - {id: one, Block: {out: 4, stride: 2}, repeat: 2}
  - {id: aux, tap: train, body: [global_avg_pool, {linear: 3}]}
  - {id: two, Block: 6}
  - branches: [{conv: {out: 2, kernel: 1}}, {max_pool: {kernel: 3, stride: 1, padding: 1}}, []]
    merge: concat
  - global_avg_pool
  - {id: fc, linear: 3}
outputs: {logits: fc, aux: aux}
"""

SEVERAL = """\
spec: 1
name: several
input: {left: [4, 9], right: [4, 9]}
body:
  - {id: tower, sequential: [{conv: {out: 6, kernel: 3, padding: same}}, gelu], from: left}
  - {id: again, shared: tower, from: right}
  - {id: gap, sub: [tower, again]}
  - global_max_pool
  - {id: fc, linear: 2}
outputs: {logits: fc, levels: [tower, again]}
"""

ATTENTION = """\
spec: 1
name: attentive
input: {tokens: {shape: [6], dtype: int}}
body:
  - embedding: {num: 10, dim: 8}
  - {id: cls, parameter: {shape: [1, 8]}}
  - concat: [cls, prev]
  - repeat: 2
    id: layers
    body:
      - residual: [layer_norm, {attention: {heads: 2}}]
      - residual: [layer_norm, {linear: 16}, gelu, {linear: 8}]
  - select: 0
  - {id: fc, linear: 4}
"""


def unet() -> Program:
    return load("unet", depth=2, base=4)


SPECS = {"chain": CHAIN, "taps": TAPS, "several": SEVERAL, "attentive": ATTENTION}
NAMES = [*SPECS, "unet"]


def made(name: str) -> tuple[nn.Module, tuple[torch.Tensor, ...]]:
    """A network in evaluation, and a batch of two for it."""
    torch.manual_seed(0)
    program = unet() if name == "unet" else loads(SPECS[name])
    inputs = []
    for node in program.graph.steps:
        if node.layer is None:
            (t,) = node.outs
            shape = (2, *(min(n, 16) for n in t.shape))
            inputs.append(torch.randn(shape) if t.dtype == "float" else torch.randint(0, 9, shape))
    return build(program).eval(), tuple(inputs)


def same(a: Any, b: Any) -> bool:
    if isinstance(b, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(b, dict):
        return list(a) == list(b) and all(same(a[k], b[k]) for k in b)
    return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))


# ---------------------------------------------------------------- torch's tools


@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
@pytest.mark.parametrize("name", NAMES)
def test_compiles_in_one_graph(name: str, training: bool) -> None:
    module, inputs = made(name)
    module.train(training)
    wanted = copy.deepcopy(module)(*inputs)
    torch._dynamo.reset()
    assert same(torch.compile(module, fullgraph=True, backend="eager")(*inputs), wanted)


@pytest.mark.parametrize("name", NAMES)
def test_exports(name: str) -> None:
    module, inputs = made(name)
    exported = torch.export.export(module, inputs).module()
    with (
        torch.no_grad()
    ):  # attention goes another way than in eager mode, to the same numbers nearly
        torch.testing.assert_close(exported(*inputs), module(*inputs))


@pytest.mark.parametrize("name", NAMES)
def test_traces(name: str) -> None:
    module, inputs = made(name)
    traced = torch.fx.symbolic_trace(module)
    with torch.no_grad():
        assert same(traced(*inputs), module(*inputs))


@pytest.mark.parametrize("name", NAMES)
def test_copies_and_state(name: str) -> None:
    module, inputs = made(name)
    with torch.no_grad():
        wanted = module(*inputs)
        assert same(copy.deepcopy(module)(*inputs), wanted)
        other, _ = made(name)
        for p in other.parameters():
            p.zero_()
        other.load_state_dict(module.state_dict(), strict=True)
        assert same(other(*inputs), wanted)


@pytest.mark.parametrize("name", NAMES)
def test_state_survives_a_file(name: str, tmp_path: Path) -> None:
    module, inputs = made(name)
    torch.save(module.state_dict(), tmp_path / "weights.pt")
    other, _ = made(name)
    other.load_state_dict(torch.load(tmp_path / "weights.pt", weights_only=True))
    with torch.no_grad():
        assert same(other(*inputs), module(*inputs))


@pytest.mark.parametrize("name", NAMES)
def test_moves(name: str) -> None:
    module, inputs = made(name)
    module.to("meta")
    found = module(*(x.to("meta") for x in inputs))
    for value in torch.utils._pytree.tree_leaves(found):
        assert value.device.type == "meta"


@pytest.mark.parametrize("name", ["chain", "taps", "unet"])
def test_channels_last(name: str) -> None:
    module, (x,) = made(name)
    with torch.no_grad():
        wanted = module(x)
        found = module.to(memory_format=torch.channels_last)(
            x.to(memory_format=torch.channels_last)
        )
    torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("name", NAMES)
def test_autocast(name: str) -> None:
    module, inputs = made(name)
    with torch.autocast("cpu", torch.bfloat16):
        found = module(*inputs)
    values = torch.utils._pytree.tree_leaves(found)
    assert all(bool(v.isfinite().all()) for v in values)
    assert values[0].dtype == torch.bfloat16


@pytest.mark.parametrize("name", NAMES)
def test_every_weight_gets_a_gradient(name: str) -> None:
    module, inputs = made(name)
    found = module.train()(*inputs)
    sum(v.square().sum() for v in torch.utils._pytree.tree_leaves(found)).backward()
    assert [n for n, p in module.named_parameters() if p.grad is None] == []


# ---------------------------------------------------------------- outputs


def test_taps_come_in_training_only() -> None:
    module, (x,) = made("taps")
    assert isinstance(module(x), torch.Tensor)
    found = module.train()(x)
    assert {k: tuple(v.shape) for k, v in found.items()} == {"logits": (2, 3), "aux": (2, 3)}


def test_several_outputs_come_by_name() -> None:
    module, inputs = made("several")
    for training in (False, True):
        found = module.train(training)(*inputs)
        assert list(found) == ["logits", "levels"]
        assert [tuple(v.shape) for v in found["levels"]] == [(2, 6, 9), (2, 6, 9)]


def test_inputs_may_be_given_by_name() -> None:
    module, (left, right) = made("several")
    assert same(module(right=right, left=left), module(left, right))


# ---------------------------------------------------------------- what a reader and a hook see


ACTIVATIONS = ("ReLU", "SiLU", "GELU", "Tanh", "Sigmoid", "Softplus", "ELU")


@pytest.mark.parametrize("name", [*SPECS, "unet", "googlenet", "efficientnet_b0", "vit_b_16"])
def test_no_activation_is_functional(name: str) -> None:
    text = (loads(SPECS[name]) if name in SPECS else load(name)).code
    calls = {ast.unparse(n.func) for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Call)}
    assert not [
        c
        for c in calls
        if re.search(r"(^|\.)(relu|gelu|silu|tanh|sigmoid|elu|softplus|hardtanh)_?$", c)
        and not c.startswith("self.")
    ]
    assert "inplace" not in text


@pytest.mark.parametrize("name", NAMES)
def test_hooks_see_every_activation(name: str) -> None:
    module, inputs = made(name)
    wanted = {n for n, m in module.named_modules() if type(m).__name__ in ACTIVATIONS}
    seen: list[str] = []
    for n in wanted:
        module.get_submodule(n).register_forward_hook(lambda *_, n=n: seen.append(n))
    module(*inputs)
    assert set(seen) == wanted
    program = unet() if name == "unet" else loads(SPECS[name])
    assert len(seen) == sum(
        n.layer is not None and n.layer.family == "activation"
        for n in program.graph.steps
        if not n.training
    )


def test_traceback_shows_the_emitted_lines() -> None:
    module, _ = made("chain")
    with pytest.raises(RuntimeError) as caught:
        module(torch.randn(2, 5, 16, 16))
    shown = "".join(traceback.format_exception(caught.value))
    assert "<archspec chain" in shown
    assert "self.features(x)" in shown


def test_source_can_be_inspected() -> None:
    import inspect

    module, _ = made("taps")
    assert "class Taps" in inspect.getsource(type(module))


def test_equal_programs_share_a_class() -> None:
    assert network_class(loads(CHAIN)) is network_class(loads(CHAIN))


def test_equal_names_do_not_collide() -> None:
    small, large = loads(CHAIN), loads(CHAIN.replace("linear: 5", "linear: 6"))
    first, second = network_class(small), network_class(large)
    assert first is not second
    assert first().fc.out_features == 5
    assert second().fc.out_features == 6


def test_without_torch_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(BuildError, match="E601") as caught:
        build(loads(CHAIN))
    assert caught.value.code == "E601"
    assert "archspec[torch]" in caught.value.help


def test_refuses_a_module_that_is_not_its_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    from archspec import module as builder

    program = loads(CHAIN)
    wrong = network_class(
        loads(CHAIN.replace("linear: 5", "linear: 6").replace("name: chain", "name: chain"))
    )
    monkeypatch.setattr(builder, "network_class", lambda _: wrong)
    with pytest.raises(BuildError, match="E901"):
        build(program)


# ---------------------------------------------------------------- nothing slips in


ODD = (
    '"""',
    "'''",
    '"""\nimport os\n"""',
    "x; import os",
    "__import__('os')",
    "{0.__class__}",
    "${jndi}",
    "a\\",
    '\\"""',
    "\n\nimport os\n",
    "\r\nimport os",
    "# type: ignore",
    "nn.ReLU()",
    "\uff4e\uff4e",
    "\uff41",
    "\xe9",
    "\u2028import os",
    "\x85import os",
    "%s",
    "{{x}}",
    "a.b",
    "a-b",
    "lambda: 0",
    "%(x)s",
)
TAKEN = [
    "self",
    "forward",
    "__init__",
    "class",
    "None",
    "x",
    "torch",
    "nn",
    "Tensor",
    "super",
    "training",
    "eval",
    "exec",
    "open",
    "print",
    "range",
    "len",
    "int",
    "__class__",
    "T_destination",
    "append",
    "_modules",
    "add_module",
    "dict",
    "out",
    "y",
    "input",
    "in_channels",
    "channels",
    "n",
    "i",
    "drop_path",
]
SIGNS = list("\"'\\\n\r{}()[]#;:,.$`%@!=é x_1")
HOSTILE = st.one_of(
    st.text(st.characters(codec="utf-8"), max_size=30),
    st.sampled_from([*ODD, *TAKEN]),
    st.text(st.sampled_from(SIGNS), max_size=12),
)

# Where text of the author's own may stand, the rest of the spec around it.
BODY = "body: [{conv: {out: 2, kernel: 1}}, relu]"
SHAPE = "input: [3, 8, 8]"
PLACES = {
    "title": f"name: n\ntitle: @\n{SHAPE}\n{BODY}",
    "cite": f"name: n\ncite: @\n{SHAPE}\n{BODY}",
    "name": f"name: @\n{SHAPE}\n{BODY}",
    "note": f"name: n\n{SHAPE}\nbody: [{{conv: {{out: 2, kernel: 1}}, note: @}}]",
    "id": f"name: n\n{SHAPE}\nbody: [{{id: @, conv: {{out: 2, kernel: 1}}}}, relu]",
    "group": f"name: n\n{SHAPE}\nbody: [{{id: @, body: [{{id: @, relu: }}, tanh]}}, relu]",
    "branch": f"name: n\n{SHAPE}\nbody: [{{branches: {{@: relu, b: tanh}}, merge: add}}]",
    "param": f"name: n\nparams: {{@: 4}}\n{SHAPE}\n{BODY}",
    "word": f"name: n\nparams: {{act: @}}\n{SHAPE}\nbody: [{{activation: $act}}]",
    "padding": f"name: n\n{SHAPE}\nbody: [{{conv: {{out: 2, kernel: 1, padding: @}}}}]",
    "block": f"name: n\n{SHAPE}\nblocks: {{@: {{body: [relu]}}}}\nbody: [{{@: }}]",
    "block param": (
        f"name: n\n{SHAPE}\nblocks: {{B: {{params: {{@: 2}}, body: [relu]}}}}\n"
        "body: [{B: {@: 3}}]"
    ),
    "input": "name: n\ninput: {@: [3, 8, 8]}\nbody: [relu]",
    "axis": "name: n\ninput: [3, {@: 8}, 8]\nbody: [relu]",
    "output": (
        f"name: n\n{SHAPE}\nbody: [{{id: a, relu: }}, {{id: b, tanh: }}]\noutputs: {{@: a, b: b}}"
    ),
    "column": f"name: n\n{SHAPE}\nbody: [{{repeat: {{@: [2, 4]}}, conv: {{out: 2, kernel: 1}}}}]",
    "init": f"name: n\n{SHAPE}\nbody: [{{conv: {{out: 2, kernel: 1}}, init: @}}]",
    "variant": f"name: n\nvariants: {{@: {{}}}}\n{SHAPE}\n{BODY}",
    "condition": f"name: n\n{SHAPE}\nbody: [{{conv: {{out: 2, kernel: 1}}, when: @}}, relu]",
}

_PLAIN = re.compile(r"[A-Za-z0-9_ \[\],.:*/+\-()'>=%|<!]*")


def quoted(text: str) -> str:
    """As a YAML double-quoted scalar."""
    found = "".join(
        c if (c.isalnum() and c.isascii()) or c in " _" else f"\\U{ord(c):08x}" for c in text
    )
    return f'"{found}"'


SILENT = ("title", "cite", "note")  # for readers of the spec only


@pytest.mark.parametrize("place", PLACES)
def test_nothing_slips_into_the_text(place: str) -> None:
    def written(text: str) -> str:
        return loads("spec: 1\n" + PLACES[place].replace("@", quoted(text))).code

    usual = written("plain") if place in SILENT else ""

    @settings(
        max_examples=60,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(HOSTILE)
    def holds(hostile: str) -> None:
        try:
            text = written(hostile)
        except SpecError:
            return
        check_plain(text)
        assert not usual or text == usual

    holds()


def check_plain(text: str) -> None:
    """Every word of the text is an identifier, every text constant is one of emission's own."""
    assert text.isascii()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            assert _PLAIN.fullmatch(node.value), node.value
        if isinstance(node, (ast.Name, ast.Attribute)):
            word = node.id if isinstance(node, ast.Name) else node.attr
            assert word.isidentifier()
            assert not word.startswith("__") or word == "__init__"
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            assert re.match(r"(import|from) (torch|math|collections)\b", ast.unparse(node))


@pytest.mark.parametrize(
    "name",
    [
        'a"""b.yaml',
        "a\\.yaml",
        'a"""\nimport os\n"""b.yaml',
        "a\nimport os.yaml",
        "a'b{x}.yaml",
        "né.yaml",
        "a\u2028b.yaml",
    ],
)
def test_a_file_name_cannot_speak(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text(CHAIN, encoding="utf-8")
    text = load(path).code
    tree = ast.parse(text)
    assert not [n for n in ast.walk(tree) if isinstance(n, ast.Import) and n.names[0].name == "os"]
    assert "\nimport os" not in text
    assert isinstance(tree.body[0], ast.Expr)


# One a line; \n is a line break.
PLANTED = r"""
import os
import torch.hub
from os import path
from . import x
from torch import load
import subprocess as torch
eval('1')
exec('1')
open('f')
__import__('os')
compile('1', '', 'eval')
globals()
getattr(torch, 'load')
x = ().__class__
x = torch.__dict__
torch.load('f')
torch.hub.load('a', 'b')
torch.ops.load_library('f')
input()
breakpoint()
x = lambda: 0
try:\n    pass\nexcept Exception:\n    pass
with open('f') as f:\n    pass
while True:\n    pass
global x
del torch
x = [i for i in range(3)]\n(y := 3)
async def f():\n    pass
def f():\n    yield 1
raise ValueError
assert False
@torch.no_grad()\ndef f():\n    pass
x = {1, 2}
match 1:\n    case 1:\n        pass
print(1)
x: int = f'{torch!r}'
setattr(torch, 'x', 1)
vars()
x = 'a' 'b'; os.system('a')
""".strip().splitlines()


METHOD = "class Planted(nn.Module):\n    def forward(self, x: Tensor) -> Tensor:\n"


@pytest.mark.parametrize("planted", PLANTED)
def test_planted_text_is_refused(planted: str) -> None:
    planted = planted.replace("\\n", "\n")
    text = loads(CHAIN).code
    verify(text)
    with pytest.raises(UnsafeTextError):
        verify(f"{text}\n{planted}\n")
    inside = "".join(f"        {line}\n" for line in planted.splitlines())
    with pytest.raises(UnsafeTextError):
        verify(f"{text}\n\n{METHOD}{inside}        return x\n")


# ---------------------------------------------------------------- what else a spec says


def test_init_is_in_the_text() -> None:
    text = CHAIN + (
        "init:\n  conv: {weight: {constant: 0.5}, bias: zeros}\n"
        "  linear: {weight: {normal: {std: 0.01}}, bias: {constant: 2}}\n"
    )
    module = build(loads(text))
    state = module.state_dict()
    for key in ("features.0.weight", "features.4.weight"):
        assert bool((state[key] == 0.5).all())
    assert bool((state["features.0.bias"] == 0).all())
    assert bool((state["fc.bias"] == 2).all())
    assert 0.005 < float(state["fc.weight"].std()) < 0.02


def test_a_transposed_convolution_may_interpolate() -> None:
    text = "spec: 1\nname: up\ninput: [3, 5, 6]\nbody:\n"
    text += "  - {conv_transpose: {out: 3, kernel: 4, stride: 2, padding: 1, bias: false}}\n"
    module = build(loads(text + "init: {conv_transpose: bilinear}\n"))
    x = torch.randn(2, 3, 5, 6)
    wanted = nn.functional.interpolate(x, scale_factor=2, mode="bilinear")
    inside = slice(1, -1)
    assert torch.allclose(
        module(x)[:, :, inside, inside], wanted[:, :, inside, inside], rtol=0, atol=1e-6
    )


@pytest.mark.parametrize("reparam", ["weight_norm", "spectral_norm"])
@pytest.mark.parametrize("place", ["document", "item"])
def test_init_is_for_the_weight_that_norms_compute(reparam: str, place: str) -> None:
    conv = f"{{out: 16, kernel: 3, reparam: {reparam}}}"
    init = "{normal: {mean: 0.5, std: 0.01}}"
    item = f"  - {{conv: {conv}, init: {init}}}\n" if place == "item" else f"  - conv: {conv}\n"
    rule = f"init: {{conv: {init}}}\n" if place == "document" else ""
    module: Any = build(loads(f"spec: 1\nname: n\ninput: [8, 9, 9]\n{rule}body:\n{item}"))
    stored = module.conv1.parametrizations.weight
    direction = stored.original1 if reparam == "weight_norm" else stored.original
    with torch.no_grad():
        assert abs(float(direction.mean()) - 0.5) < 0.01
        assert 0.005 < float(direction.std()) < 0.02
    if reparam == "weight_norm":
        assert torch.allclose(module.conv1.weight, direction)


def test_freeze_is_in_the_text() -> None:
    text = CHAIN.replace("  - id: features\n", "  - id: features\n    freeze: true\n")
    module = build(loads(text))
    trained = {n for n, p in module.named_parameters() if p.requires_grad}
    assert trained == {"fc.weight", "fc.bias"}
    assert "requires_grad" in loads(text).code


BACKBONE = """\
spec: 1
name: backbone
params: {width: 4}
input: [3, 16, 16]
body:
  - {id: c1, conv: {out: $width, kernel: 3, stride: 2, padding: 1}}
  - {id: c2, conv: {out: $(2 * width), kernel: 3, stride: 2, padding: 1}}
  - global_avg_pool
  - {id: fc, linear: 10}
"""

DETECTOR = """\
spec: 1
name: detector
input: [3, 16, 16]
use: {Backbone: {file: backbone.yaml, outputs: {output: c2, fine: c1}}}
body:
  - {id: net, Backbone: {width: 6}}
  - {upsample: 2}
  - concat: [net.fine, prev]
  - {id: head, conv: {out: 5, kernel: 1}}
"""


def test_a_used_file_becomes_a_class(tmp_path: Path) -> None:
    (tmp_path / "backbone.yaml").write_text(BACKBONE)
    (tmp_path / "detector.yaml").write_text(DETECTOR)
    program = load(tmp_path / "detector.yaml")
    module = build(program).eval()
    names = ("net.c1", "net.c2", "head")
    assert set(module.state_dict()) == {f"{n}.{w}" for n in names for w in ("weight", "bias")}
    x = torch.randn(2, 3, 16, 16)
    with torch.no_grad():
        wanted = Interpreter(program.graph, module.state_dict())({"input": x}, training=False)
        assert torch.equal(module(x), wanted)
    assert "class Backbone(" in program.code


def test_weights_that_are_tied_by_mistake_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    from archspec import module as builder

    program = loads(CHAIN.replace("[4, 8]", "[3, 3]"))
    honest = network_class(program)

    class Tied(honest):  # type: ignore[misc, valid-type]
        def __init__(self) -> None:
            super().__init__()
            self.features[4].weight = self.features[0].weight

    monkeypatch.setattr(builder, "network_class", lambda _: Tied)
    with pytest.raises(BuildError, match="E901"):
        build(program)


INHERITED = """\
spec: 1
name: inherited
params: {classes: 5, width: 8}
input: [3, 8, 8]
blocks:
  Unit:
    params: {out: $width}
    body: [{conv: {out: $out, kernel: 1}}, relu]
  Head:
    params: {classes: $classes}
    body: [Unit, global_avg_pool, {linear: $classes}]
body: [Unit, Head, relu]
"""


@pytest.mark.parametrize("given", [{"classes": 7}, {"width": 3}, {"classes": 2, "width": 6}])
def test_params_that_defaults_read_stay_arguments(given: dict[str, int]) -> None:
    program = loads(INHERITED)
    module = network_class(program)(**given)
    wanted = build(program.with_(**given))
    assert {k: v.shape for k, v in module.state_dict().items()} == {
        k: v.shape for k, v in wanted.state_dict().items()
    }
    wanted.load_state_dict(module.state_dict())
    x = torch.rand(2, 3, 8, 8)
    assert torch.equal(module(x), wanted(x))


def test_an_older_torch_is_told_from_a_defect(monkeypatch: pytest.MonkeyPatch) -> None:
    """Norms know `bias` from torch 2.12 on."""

    def older(self: object, features: int) -> None:
        raise AssertionError("not reached")

    program = loads("spec: 1\nname: n\ninput: [3, 8, 8]\nbody: [{batch_norm: {bias: false}}]\n")
    monkeypatch.setattr(nn.BatchNorm2d, "__init__", older)
    monkeypatch.setattr(torch, "__version__", "2.11.0")
    with pytest.raises(BuildError, match="unexpected keyword argument 'bias'") as caught:
        build(program)
    assert caught.value.help == "torch 2.11.0 does not know it: `pip install 'torch>=2.12'`"
