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


@pytest.mark.parametrize("batch", ["true", "false"])
@pytest.mark.parametrize(
    ("op", "wanted"),
    [
        ("slice: {stop: 1}", lambda p: p[:1]),
        ("slice: {start: 1, axis: 1}", lambda p: p[:, 1:]),
        ("select: 1", lambda p: p[1]),
        ("reshape: [4, 3]", lambda p: p.reshape(4, 3)),
        ("unflatten: {axis: 1, shape: [2, 2]}", lambda p: p.reshape(3, 2, 2)),
        ("permute: [1, 0]", lambda p: p.T),
        ("softmax: 0", lambda p: p.softmax(0)),
    ],
)
def test_a_stored_axis_of_1_is_not_the_first_axis(op: str, wanted: object, batch: str) -> None:
    """The positions of a Vision Transformer, those of the class token taken out."""
    assert callable(wanted)
    held = f"{{id: pos, parameter: {{shape: [3, 4], batch: {batch}}}}}"
    shape = list(wanted(torch.zeros(3, 4)).shape)
    text = (
        f"{{spec: 1, name: net, input: {shape}, "
        f"body: [{held}, {{id: some, from: pos, {op}}}, {{add: [input, some]}}]}}"
    )
    module = archspec.build(archspec.loads(text))
    pos = nn.init.normal_(module.get_parameter("pos")).reshape(3, 4)
    x = torch.rand(2, *shape)
    assert torch.equal(module(x), x + wanted(pos))
