"""`freeze: true` in the module: no gradient, no statistics that move, whatever `train()` says."""

from __future__ import annotations

import ast
import copy
import pickle
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from interpreter import Interpreter
from torch import Tensor, nn

from archspec import Program, build, load, loads

HEAD = "spec: 1\nname: net\ninput: [3, 8, 8]\n"
UNIT = """\
blocks:
  Unit:
    params: {out: 4, still: false}
    body:
      - {id: conv, conv: {out: $out, kernel: 3, padding: 1, bias: false}}
      - {id: norm, batch_norm: , freeze: $still}
      - relu
"""
PLAIN = UNIT.replace(", freeze: $still", "")
# a spec -> the modules that stay in evaluation mode
CASES = {
    "a norm": ("body: [{conv: {out: 4, kernel: 3}}, {id: n, batch_norm: , freeze: true}]", {"n"}),
    "a group": (
        "body: [{id: a, freeze: true, body: [conv: {out: 4, kernel: 3}, batch_norm]}, batch_norm]",
        {"a.batch_norm1"},
    ),
    "all but one": (
        "body: {id: a, freeze: true, body: [batch_norm, {batch_norm: , freeze: false}, relu]}",
        {"a.batch_norm1"},
    ),
    "all": ("body: [{freeze: true, body: [batch_norm, {conv: 4, kernel: 1}]}]", {"batch_norm1"}),
    "numbered": (
        "body: [{sequential: [batch_norm, {batch_norm: , freeze: true}], id: s}]", {"s.1"},
    ),
    "some copies": (
        "body: [{id: n, repeat: 3, batch_norm: , freeze: $(loop.index != 1)}]", {"n.0", "n.2"},
    ),
    "many": ("body: [{id: n$(loop.index), repeat: 5, batch_norm: , freeze: true}, batch_norm]",
        {"n0", "n1", "n2", "n3", "n4"}),
    "without weights": ("body: [{id: n, batch_norm: {affine: false}, freeze: true}]", {"n"}),
    "a residual": (
        "body: [{id: r, freeze: true, residual: [batch_norm], shortcut: [batch_norm]}]",
        {"r.batch_norm1", "r.batch_norm2"},
    ),
    "spectral": (
        "body: [{id: c, conv: {out: 4, kernel: 1, reparam: spectral_norm}, freeze: true}]",
        {"c", "c.parametrizations", "c.parametrizations.weight", "c.parametrizations.weight.0"},
    ),
    "a call": (PLAIN + "body: [{id: u, Unit: , freeze: true}, Unit]", {"u.norm"}),
    "in the block": (UNIT + "body: [{id: u, repeat: 2, Unit: {still: true}}]",
        {"u.0.norm", "u.1.norm"}),
    "in some of its instances": (
        UNIT + "body: [{id: u, Unit: {still: true}}, {id: v, Unit: {out: 8}},"
        " {id: w, Unit: {out: 6, still: true}}]", {"u.norm", "w.norm"},
    ),
    "the block says no": (UNIT + "body: [{id: u, Unit: , freeze: true}]", set()),
    "no such item": (
        "params: {on: false}\nbody: [{id: n, batch_norm: , when: $on, freeze: true}, batch_norm]",
        set(),
    ),
    "one that is there": (
        "params: {on: true}\nbody: [{id: n, batch_norm: , when: $on, freeze: true}, batch_norm]",
        {"n"},
    ),
    "shared": (
        "body: [{id: n, batch_norm: , freeze: true}, {conv: 3, kernel: 1}, {shared: n}]", {"n"},
    ),
    "a pool": ("body: [{max_pool: 2, freeze: true}, batch_norm]", set()),
}  # fmt: skip


def program(case: str) -> Program:
    text = CASES[case][0].replace("{conv: 4, kernel: 1}", "{conv: {out: 4, kernel: 1}}")
    return loads(HEAD + text.replace("{conv: 3, kernel: 1}", "{conv: {out: 3, kernel: 1}}") + "\n")


def state(module: nn.Module, name: str) -> dict[str, Tensor]:
    return {k: v.clone() for k, v in module.get_submodule(name).state_dict().items()}


@pytest.mark.parametrize("case", CASES)
def test_frozen_norms_never_move(case: str) -> None:
    found = program(case)
    still = CASES[case][1]
    module: nn.Module = build(found)
    for mode in (None, True, False, True):
        if mode is not None:
            assert module.train(mode) is module
        training = mode is not False
        assert {n for n, m in module.named_modules() if m.training is not training} == (
            still if training else set()
        )
    before = {name: state(module, name) for name in still}
    interpreter = Interpreter(found.graph, copy.deepcopy(module.state_dict()))
    x = torch.randn(4, 3, 8, 8)
    torch.manual_seed(0)
    out = module(x)
    torch.manual_seed(0)
    assert torch.equal(out, interpreter({"input": x}, training=True))
    after = module.state_dict()
    assert all(torch.equal(v, after[k]) for k, v in interpreter.state_dict().items())
    frozen = {n for n, w, node in found.graph.weights() if node.frozen and not w.buffer}
    trained = [p for n, p in module.named_parameters() if n not in frozen]
    if trained:
        out.sum().backward()
        torch.optim.SGD(trained, 0.1).step()
    assert {n for n, p in module.named_parameters() if p.grad is None} == frozen
    for name, was in before.items():
        assert all(torch.equal(v, was[k]) for k, v in state(module, name).items()), name
    counted = sum(row.trainable for row in found.analysis.rows)
    assert counted == sum(p.numel() for p in trained)


@pytest.mark.parametrize("case", CASES)
def test_the_text_is_typed_and_only_there_where_it_is_needed(case: str) -> None:
    code = program(case).code
    assert ("def train(self, mode: bool = True) -> Self:" in code) is bool(CASES[case][1])
    assert ("from typing import Self" in code) is bool(CASES[case][1])


def test_the_class_that_freezes_says_so() -> None:
    text = program("in the block").code
    tree = ast.parse(text)
    (owner,) = (
        c.name for c in tree.body if isinstance(c, ast.ClassDef) and "def train" in ast.unparse(c)
    )
    assert owner == "Unit"
    assert (
        """\
        self.still = still
        if still:
            self.norm.requires_grad_(False)
        self.train()

    def train(self, mode: bool = True) -> Self:
        super().train(mode)
        if self.still:
            self.norm.eval()
        return self
"""
        in text
    )
    assert (
        """\
        self.a.requires_grad_(False)
        self.train()
"""
        in program("a group").code
    )
    assert (
        """\
    def train(self, mode: bool = True) -> Self:
        super().train(mode)
        for module in self.a.modules():
            if hasattr(module, "running_mean"):
                module.eval()
        return self
"""
        in program("a group").code
    )


def test_a_flag_of_a_block_stays_an_argument_of_its_class() -> None:
    text = UNIT.replace("- relu", "- {id: r, body: [batch_norm, relu], freeze: $(not still)}")
    found = loads(f"{HEAD}{text}body: [Unit: {{still: true}}, Unit, Unit: {{out: 8}}]\n")
    assert (
        """\
        self.still = still
        if still:
            self.norm.requires_grad_(False)
        else:
            self.r.requires_grad_(False)
        self.train()

    def train(self, mode: bool = True) -> Self:
        super().train(mode)
        if self.still:
            self.norm.eval()
        else:
            for module in self.r.modules():
                if hasattr(module, "running_mean"):
                    module.eval()
        return self
"""
        in found.code
    )
    assert found.code.count("class Unit") == 1
    asleep = [n for n, m in build(found).named_modules() if not m.training]
    assert asleep == ["unit1.norm", "unit2.r.batch_norm1", "unit3.r.batch_norm1"]


def test_a_file_without_archspec_does_the_same(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(program("a call").code)
    lines = "import sys, torch, net; m = net.Net().train(); m(torch.randn(2, 3, 8, 8))\n"
    lines += (
        "print(m.u.norm.training, int(m.u.norm.num_batches_tracked), 'archspec' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", lines], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.stdout == "False 0 False\n", done.stderr


def test_dropout_goes_on() -> None:
    module = build(
        loads(HEAD + "body: [{freeze: true, body: [{id: d, dropout: 0.5}, batch_norm]}]")
    )
    x = torch.ones(1, 3, 8, 8)
    assert module.get_submodule("d").training
    assert not torch.equal(module(x), module(x))


def test_statistics_of_a_converted_norm_stay_too() -> None:
    module = nn.SyncBatchNorm.convert_sync_batchnorm(build(program("a group")))
    norms = {n: m for n, m in module.train().named_modules() if isinstance(m, nn.SyncBatchNorm)}
    assert {n: m.training for n, m in norms.items()} == {
        "a.batch_norm1": False, "batch_norm1": True
    }  # fmt: skip


def test_a_variant_freezes() -> None:
    text = HEAD.replace("input", "params: {still: false}\nvariants: {probe: {still: true}}\ninput")
    text += "body: [{id: a, freeze: $still, body: [{conv: {out: 4, kernel: 3}}, batch_norm]}]\n"
    free, probe = build(loads(text)), build(loads(text, variant="probe"))
    assert free.get_submodule("a.batch_norm1").training
    assert not probe.get_submodule("a.batch_norm1").training
    assert not any(p.requires_grad for p in probe.parameters())
    assert "Self" not in loads(text).code


def test_a_used_file_freezes_itself(tmp_path: Path) -> None:
    (tmp_path / "net.yaml").write_text(HEAD + CASES["a norm"][0] + "\n")
    text = HEAD.replace("net", "outer") + "use: {Net: net.yaml}\nbody: [Net, batch_norm]\n"
    (tmp_path / "outer.yaml").write_text(text)
    found = load(tmp_path / "outer.yaml")
    assert re.search(r"class Net\(.*?def train.*?class Outer", found.code, flags=re.DOTALL)
    assert [n for n, m in build(found).named_modules() if not m.training] == ["net1.n"]


def test_a_param_that_decides_what_is_frozen_is_no_argument() -> None:
    text = HEAD.replace("input", "params: {k: 3, width: 4}\ninput")
    text += "body: [{conv: {out: $(k * width), kernel: 1}, freeze: $(k > 1)}, batch_norm]\n"
    code = loads(text).code
    assert "width: int = 4" in code
    assert "k: int" not in code


def test_a_copy_of_a_model_keeps_it() -> None:
    module = build(program("a group"))
    twin: Any = copy.deepcopy(module).eval().train()
    assert [n for n, m in twin.named_modules() if not m.training] == ["a.batch_norm1"]
    assert pickle.dumps(twin.state_dict())
