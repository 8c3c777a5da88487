"""Copies in a chain whose results are taken together, modules that differ in a number: as loops."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from arguments import lies
from test_lowering import check, module_class

from archspec.network import loads

C2F = """\
spec: 1
name: net
params: {classes: 5}
input: [3, {H: 8}, {W: 6}]
blocks:
  Unit: {params: {add: true}, body: [{residual: [{conv: {out: $(input.channels), kernel: 1}}, relu],
    shortcut_when: $add}]}
  C2f:
    params: {out: required, n: 1, add: false}
    body:
      - {id: cv1, conv: {out: $out, kernel: 1}}
      - {id: halves, split: 2}
      - {id: m, from: halves.1, repeat: $n, Unit: $add}
      - {concat: [halves.0, halves.1, m.*]}
      - {id: cv2, conv: {out: $out, kernel: 1}}
body: [{C2f: {out: 4, add: true}}, relu, {C2f: {out: 8, n: 2}}, relu, {C2f: {out: 6, n: 3}},
  global_avg_pool, {linear: $classes}]
"""
WAVENET = """\
spec: 1
name: net
params: {width: 4, skip: 6}
input: [3, {T: 40}]
blocks:
  Layer:
    params: {dilation: required, skip: required}
    body:
      - {id: filter, conv: {out: "$(2 * input.channels)", kernel: 2, dilation: $dilation,
        padding: causal}}
      - {id: parts, split: 2}
      - {id: z, mul: [parts.0, parts.1]}
      - {id: skip, conv: {out: $skip, kernel: 1}}
      - {id: res, from: z, conv: {out: $(input.channels), kernel: 1}}
      - {id: y, add: [res, input]}
    outputs: {output: y, skip: skip}
body:
  - {id: stem, conv: {out: $width, kernel: 1}}
  - {id: layers, repeat: {k: $(range(7))}, Layer: {dilation: $(2 ** (k % 4)), skip: $skip}}
  - {id: total, add: layers.*.skip}
  - {conv: {out: 2, kernel: 1}}
"""
# beside a list another tensor, and one without a batch axis
BESIDE = """\
spec: 1
name: net
input: [4, 6]
blocks:
  Pool: {params: {n: required}, body: [{id: p, repeat: $n, linear: 6}, {add: [input, p.*]}]}
  Stack:
    params: {n: required}
    body: [{id: q, repeat: $n, linear: 6}, {concat: {axis: -1}, from: q.*}]
body:
  - {Pool: {n: 1}}
  - {id: pool2, Pool: {n: 4}}
  - {id: gamma, parameter: [1, 6]}
  - {id: m, from: pool2, repeat: 4, linear: 6}
  - {concat: [gamma, m.*]}
  - {Stack: {n: 2}}
  - {Stack: {n: 5}}
"""
# one copy here and six there; along the last axis; two outputs of each copy, both taken
ONE = """\
spec: 1
name: net
input: [4, 8]
blocks:
  Pair:
    body: [{id: f, linear: 8}, {id: skip, linear: 3}, {id: out, from: f, tanh: }]
    outputs: {output: out, skip: skip}
  Chain:
    params: {n: required}
    body:
      - {id: pre, linear: 8}
      - {id: m, from: pre, repeat: $n, Pair: }
      - {id: a, concat: {axis: -1}, from: m.*.skip}
      - {id: b, concat: m.*.output}
      - {id: lin, linear: 2}
      - {id: c, from: a, reduce: {by: mean, axis: 0, keep: true}}
      - {id: c2, linear: 2}
      - concat: [lin, c2]
      - linear: 8
  Alone: {params: {n: required}, body: [{id: m, repeat: $n, linear: 8}, {concat: m.*}]}
body: [{Chain: 1}, {Chain: 6}, {Alone: 1}, {Alone: 2}]
"""
# each copy takes the one before and what is the same for all
MEMORY = """\
spec: 1
name: net
input: {x: [4, 6], memory: [4, 6]}
blocks:
  Layer: {inputs: [x, memory], body: [{add: [x, memory]}, {linear: $(x.features)}]}
body:
  - {id: first, from: x, relu: }
  - {id: layers, from: [prev, memory], repeat: 5, Layer: }
  - {concat: layers.*}
"""
# read by others too, or not all of them, or with an output of the network: one by one
BY_NUMBER = """\
spec: 1
name: net
input: [4, 6]
body:
  - {id: m, repeat: 4, linear: 6}
  - {id: a, mul: [m.1, m.3]}
  - {id: b, concat: m.*}
outputs: {a: a, b: b, c: m.2}
"""


@pytest.mark.parametrize("text", [C2F, WAVENET, BESIDE, ONE, MEMORY, BY_NUMBER])
def test_they_compute_what_the_graph_says(text: str) -> None:
    check(loads(text))


def test_one_class_serves_any_number_of_copies(tmp_path: Path) -> None:
    program = loads(C2F)
    assert program.code.count("class C2f") == 1
    for line in (
        "def __init__(self, in_channels: int, out: int, n: int = 1, add: bool = False) -> None:",
        "self.m = nn.ModuleList(Unit(out // 2, add=add) for _ in range(n))",
        "self.cv2 = nn.Conv2d(2 * (out // 2) + n * (out // 2), out, 1)",
        "        for layer in self.m:\n            x = layer(x)\n            m.append(x)\n",
        "torch.cat([halves0, halves1, *m], 1)",
    ):
        assert line in program.code
    tried = list(lies(program, tmp_path))
    assert len(tried) > 10
    assert not any(tried)


def test_the_first_copy_may_take_another_width(tmp_path: Path) -> None:
    text = BESIDE[: BESIDE.index("body:\n  - {Pool")]
    program = loads(f"{text}body: [{{Stack: {{n: 2}}}}, {{Stack: {{n: 5}}}}]\n")
    check(program)
    made = "[nn.Linear(in_features, 6), *(nn.Linear(6, 6) for _ in range(n - 1))]"
    assert made in program.code
    assert '"""[N, in_features] -> [N, 6 * n]."""' in program.code
    assert not any(lies(program, tmp_path))


def test_a_sum_of_what_layers_leave_is_one() -> None:
    program = loads(WAVENET)
    for line in (
        "Layer(width, dilation=2 ** (k % 4), skip=skip) for k in range(7)",
        "            x, skip = layer(x)\n            skips.append(skip)\n",
        "self.conv1(functools.reduce(torch.add, skips))",
    ):
        assert line in program.code
    assert "skip2" not in program.code
    module = module_class(program)(width=5, skip=3)
    assert module(torch.randn(2, 3, 9)).shape == (2, 2, 9)


def test_what_is_read_otherwise_is_called_by_number() -> None:
    code = loads(BY_NUMBER).code
    assert "append" not in code
    assert "self.m[3]" in code


def test_modules_that_differ_in_a_number_are_gone_through() -> None:
    body = "[{adaptive_avg_pool: $size}, {upsample: {size: 8}}]"
    stage = f"Stage: {{params: {{size: required}}, body: {body}}}"
    text = f"spec: 1\nname: net\ninput: [4, 8, 8]\nblocks: {{{stage}}}\nbody:\n"
    paths = "[{relu: }, {repeat: {size: [1, 2, 3, 6]}, Stage: $size}]"
    program = loads(f"{text}  - {{id: stages, branches: {paths}, merge: concat}}\n")
    check(program)
    assert "nn.ReLU(), *(Stage(size) for size in (1, 2, 3, 6))" in program.code
    usual = f"[{{mul: $other}}, {body[1:]}"
    stage = f"Stage: {{params: {{size: 2, other: 3}}, body: {usual}}}"
    given = "{repeat: {size: [2, 4, 8]}, Stage: {size: $size, other: 5}}"
    head = f"spec: 1\nname: net\ninput: [4, 8, 8]\nblocks: {{{stage}}}\nbody:\n"
    program = loads(f"{head}  - {{id: s, branches: {given}, merge: concat}}\n")
    check(program)
    assert "(Stage(size=size, other=5) for size in (2, 4, 8))" in program.code
    only = "{repeat: {size: [1, 2, 4]}, Stage: $size}"
    program = loads(f"{text}  - {{id: stages, branches: {only}, merge: concat}}\n")
    check(program)
    assert "self.stages = nn.ModuleList(Stage(size) for size in (1, 2, 4))" in program.code
