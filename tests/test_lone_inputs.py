"""What has no batch axis, a parameter or constant, in blocks and groups: it goes in and out."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import archspec

BLOCKS = """
spec: 1
name: net
input: [2, 4]
blocks:
  Scaled:
    inputs: [x, k]
    body: [{id: y, mul: [x, k]}]
    outputs: {y: y, k: k}
  Made:
    inputs: [k]
    body: [{id: y, exp: }, {id: z, parameter: [1, 4]}]
    outputs: {y: y, z: z}
"""


@pytest.mark.parametrize("made", ["parameter: [1, 4]", "constant: {value: [[1.0, 2.0, 0.5, 3.0]]}"])
@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        ("{from: [one, k], Scaled: }, {add: [prev.y, prev.k]}", lambda x, k: x * k + k),
        ("{from: k, Made: }, {add: [made1.y, one, made1.z]}", lambda x, k: k.exp() + x),
        ("{id: g, from: one, body: [mul: [prev, k], relu]}", lambda x, k: x * k),
        ("{id: g, from: one, body: [sub: [k, prev], abs]}", lambda x, k: (k - x).abs()),
    ],
)  # fmt: skip
def test_is_as_where_it_stands(made: str, body: str, wanted: object) -> None:
    text = f"{BLOCKS}body: [{{id: one, relu: }}, {{id: k, {made}}}, {body}]"
    module = archspec.build(archspec.loads(text))
    for parameter in module.parameters():
        nn.init.uniform_(parameter, 0.1, 1.0)
    x, k = torch.rand(3, 2, 4), module.get_parameter("k") if "param" in made else module.k
    more = module.made1.z if "Made" in body else 0.0
    assert callable(wanted)
    assert torch.equal(module(x), wanted(x, k) + more)
