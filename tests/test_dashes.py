"""Ids with a dash, as references have them: `trunk_output.block1.block1-0`."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from arguments import lies
from test_lowering import check

import archspec
from archspec.network import loads
from archspec.report import unrolled
from archspec.text.faults import SpecError

REGNET = """
spec: 1
name: regnet
input: [3, 32, 32]
blocks:
  Res:
    params: {width: required, stride: 1}
    body:
      - residual:
          - {id: f-a, conv: {out: $width, kernel: 3, stride: $stride, padding: 1}}
          - {id: f-b, batch_norm: }
          - relu
        shortcut:
          - id: proj
            conv: {out: $width, kernel: 1, stride: $stride}
            when: $(stride != 1 or prev.channels != width)
body:
  - {id: stem-conv, conv: {out: 8, kernel: 3}}
  - id: trunk_output
    body:
      - repeat: {n: [2, 3], w: [16, 32], s: [1, 2]}
        body:
          - id: block$s
            body:
              - id: block$(s)-$(loop.index)
                Res: {width: $w, stride: $(2 if loop.first else 1)}
                repeat: $n
  - global_avg_pool
  - {id: fc-1, linear: 10}
head: fc-1
init: {linear: {normal: 0.02}}
outputs: {logits: fc-1, middle: trunk_output.block2.block2-1}
"""


def test_weights_have_the_references_names(tmp_path: Path) -> None:
    program = loads(REGNET)
    check(program)
    assert not any(lies(program, tmp_path))
    names = archspec.build(program).state_dict().keys()
    assert {"stem-conv.weight", "trunk_output.block1.block1-0.f-a.bias", "fc-1.bias"} <= names
    assert "trunk_output.block2.block2-1.f-b.running_mean" in names


def test_a_chain_is_a_sequential_of_names() -> None:
    code = loads(REGNET).code
    assert 'OrderedDict({"block1-0": Res(8, 16, stride=2), "block1-1": Res(16, 16)})' in code
    assert 'self.add_module("stem-conv", nn.Conv2d(3, 8, 3))' in code
    assert 'x = self.get_submodule("block2-0")(x)' in code


def test_they_are_found_by_path(tmp_path: Path) -> None:
    program = loads(REGNET)
    part = archspec.build(program).get_submodule("trunk_output.block2.block2-1")
    assert part(torch.rand(1, 32, 8, 8)).shape == (1, 32, 8, 8)
    assert "trunk_output.block1.block1-0.f-a" in unrolled(program)
    trunk = "  - id: trunk_output\n"
    check(loads(REGNET.replace(trunk, f"{trunk}    freeze: [block1.block1-0]\n")))


def test_what_is_an_attribute_has_a_name_of_python() -> None:
    items = "[{id: x, identity: }, {id: a-b, parameter: [4]}, {add: [x, a-b]}]"
    with pytest.raises(SpecError) as caught:
        loads(f"spec: 1\ninput: [4]\nbody: {items}\n")
    assert caught.value.faults[0].message.startswith("`a-b` is not a name for an item")


@pytest.mark.parametrize("view", ["blocks", "graph", "levels", "html"])
def test_they_are_drawn(view: str, tmp_path: Path) -> None:
    program = loads(REGNET)
    assert archspec.render(program, view=view)
