"""Networks of arithmetic, reductions, places and dot-product attention against plain torch."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

import archspec


def network(text: str) -> Any:
    return archspec.build(archspec.loads("spec: 1\nname: net\n" + text)).eval()


def equal(found: Tensor, expected: Tensor) -> None:
    assert found.shape == expected.shape
    assert torch.equal(found, expected)


GRN = """
input: [8, {H: 6}, {W: 5}]
blocks:
  Grn:
    body:
      - {id: size, reduce: {by: norm, axis: [1, 2], keep: true}}
      - {id: mean, reduce: {by: mean, axis: 0, keep: true}}
      - {id: near, add: 1.0e-6}
      - {id: share, div: [size, near]}
      - {id: scaled, mul: [input, share]}
      - {id: gamma, parameter: [8, 1, 1]}
      - mul: [scaled, gamma]
body:
  - {id: grn, Grn: }
"""


def test_global_response_normalisation() -> None:
    """ConvNeXt V2 (Woo et al. 2023), algorithm 1, at two sizes of the map."""
    model = network(GRN)
    nn.init.normal_(model.grn.gamma)
    for x in (torch.randn(2, 8, 6, 5), torch.randn(1, 8, 3, 7)):
        size = torch.linalg.vector_norm(x, dim=(2, 3), keepdim=True)
        share = size / (size.mean(1, keepdim=True) + 1e-6)
        equal(model(x), x * share * model.grn.gamma)


SPATIAL_TRANSFORMER = """
input: [1, 28, 28]
body:
  - {id: theta, body: [flatten, {linear: 6}]}
  - {id: grid, from: [theta, input], affine_grid: }
  - {from: [input, grid], grid_sample: {padding: border}}
"""


def test_spatial_transformer() -> None:
    """Jaderberg et al. 2015, with one linear map as its localisation network."""
    model, x = network(SPATIAL_TRANSFORMER), torch.randn(3, 1, 28, 28)
    theta = model.theta(x).view(-1, 2, 3)
    grid = F.affine_grid(theta, [3, 1, 28, 28], align_corners=False)
    equal(model(x), F.grid_sample(x, grid, padding_mode="border", align_corners=False))


GROUPED_QUERIES = """
params: {heads: 4, shared: 2}
input: [{T: 9}, 32]
blocks:
  Heads:
    params: {count: required, size: required, turn: true}
    body:
      - {id: proj, linear: {out: $(count * size), bias: false}}
      - {unflatten: {axis: -1, shape: [$count, -1]}}
      - permute: [1, 0, 2]
      - {rotary: {theta: 500000.0}, when: $turn}
body:
  - {id: q, Heads: {count: $heads, size: 8}}
  - {id: k, from: input, Heads: {count: $shared, size: 8}}
  - {id: v, from: input, Heads: {count: $shared, size: 8, turn: false}}
  - {from: [q, k, v], dot_attention: {causal: true}}
  - permute: [1, 0, 2]
  - flatten: 1
"""


def turned(x: Tensor, theta: float) -> Tensor:
    """Rotary positions by complex numbers: features i and i + D/2 are one of them."""
    steps, size = x.shape[-2:]
    rate = theta ** (-torch.arange(0, size, 2).double() / size)
    angle = torch.arange(steps).double()[:, None] * rate
    first, second = x.double().chunk(2, -1)
    found = torch.complex(first, second) * torch.polar(torch.ones_like(angle), angle)
    return torch.cat([found.real, found.imag], -1).float()


def test_grouped_queries_with_rotary_positions() -> None:
    """LLaMA's attention (Touvron et al. 2023; Ainslie et al. 2023), at two lengths."""
    model = network(GROUPED_QUERIES)
    for steps in (9, 5):
        x = torch.randn(2, steps, 32)
        q = model.q.proj(x).view(2, steps, 4, 8).transpose(1, 2)
        k, v = (m.proj(x).view(2, steps, 2, 8).transpose(1, 2) for m in (model.k, model.v))
        q, k = turned(q, 500000.0), turned(k, 500000.0)
        k, v = (t.repeat_interleave(2, 1) for t in (k, v))
        weights = (q @ k.transpose(-1, -2)) / 8**0.5
        later = torch.ones(steps, steps, dtype=torch.bool).triu(1)
        mixed = weights.masked_fill(later, float("-inf")).softmax(-1) @ v
        expected = mixed.transpose(1, 2).flatten(2)
        torch.testing.assert_close(model(x), expected, rtol=1e-5, atol=1e-6)


def test_neighbouring_features_turn_together() -> None:
    model = network("input: [5, 6]\nbody: [rotary: {pairs: neighbours}]")
    x = torch.randn(2, 5, 6)
    apart = torch.cat([x[..., ::2], x[..., 1::2]], -1)
    found = torch.cat([model(x)[..., ::2], model(x)[..., 1::2]], -1)
    torch.testing.assert_close(found, turned(apart, 10000.0))


COSINES = """
input: {image: [12], text: [12]}
body:
  - {id: i, from: image, normalize: }
  - {id: t, from: text, normalize: }
  - {id: both, mul: [i, t]}
  - {id: cosine, reduce: {by: sum, axis: -1}}
  - {id: logit, mul: 100}
"""


def test_cosine_similarity() -> None:
    model = network(COSINES)
    image, text = torch.randn(4, 12), torch.randn(4, 12)
    expected = 100 * F.cosine_similarity(image, text)
    torch.testing.assert_close(model(image, text), expected)


LOOKED_UP = """
input: {table: [7, 12], places: {shape: [{K: 3}], dtype: int}}
body:
  - {id: rows, from: [table, places], gather: }
  - {id: seen, from: places, one_hot: 7}
  - {id: product, matmul: [seen, table]}
  - {id: largest, from: rows, argmax: }
outputs: {rows: rows, product: product, largest: largest}
expect: {warnings: [W101]}
"""


def test_rows_of_a_table() -> None:
    model = network(LOOKED_UP)
    table, places = torch.randn(2, 7, 12), torch.tensor([[6, 0], [3, 3]])
    found = model(table, places)
    expected = torch.stack([table[n, places[n]] for n in range(2)])
    equal(found["rows"], expected)
    torch.testing.assert_close(found["product"], expected)
    equal(found["largest"], expected.argmax(-1))


def test_a_number_as_an_operand() -> None:
    body = "[conv: 4, add: 1, sub: 0.5, div: 2, mul: 3, pow: 2, clamp: {max: 6}, sqrt]"
    model = network(
        f"input: [2, 5, 5]\nbody: {body}".replace("conv: 4", "conv: {out: 4, kernel: 1}")
    )
    x = torch.randn(2, 2, 5, 5)
    y = model.conv1(x)
    equal(model(x), ((y + 1 - 0.5) / 2 * 3).pow(2).clamp(max=6).sqrt())


def test_standardised_weights() -> None:
    """Qiao et al. 2019, equation 5."""
    conv = "conv: {out: 6, kernel: 3, reparam: weight_standard}"
    model, x = network(f"input: [4, 8, 8]\nbody: [{conv}]"), torch.randn(2, 4, 8, 8)
    weight = model.conv1.weight
    assert list(model.state_dict()) == ["conv1.weight", "conv1.bias"]
    flat = weight.flatten(1)
    flat = (flat - flat.mean(1, keepdim=True)) / (
        flat.var(1, correction=0, keepdim=True) + 1e-6
    ).sqrt()
    expected = F.conv2d(x, flat.view_as(weight), model.conv1.bias)
    torch.testing.assert_close(model(x), expected)


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_standardised_weights_with_a_gain(axes: int) -> None:
    """Brock et al. 2021, equation 1: variance 1 / inputs, times a gain for each channel."""
    shape, kind = [4, 9, 8, 7][: axes + 1], "padding: same, reparam: scaled_weight_standard"
    text = f"input: {shape}\nbody: [conv: {{out: 6, kernel: 3, stride: 2, groups: 2, {kind}}}]"
    model, x = network(text), torch.randn(2, *shape)
    assert list(model.state_dict()) == ["conv1.weight", "conv1.bias", "conv1.gain"]
    assert model.conv1.gain.shape == (6, *[1] * (axes + 1))
    with torch.no_grad():
        model.conv1.gain.uniform_(0.5, 2)
    weight = model.conv1.weight.flatten(1)
    centred = weight - weight.mean(1, keepdim=True)
    scale = (weight.shape[1] * (weight.var(1, correction=0, keepdim=True) + 1e-5)).sqrt()
    weight = (centred / scale).view_as(model.conv1.weight) * model.conv1.gain
    pad = [side for n in reversed(shape[1:]) for side in ((1, 1) if n % 2 else (0, 1))]
    conv = (F.conv1d, F.conv2d, F.conv3d)[axes - 1]
    wanted = conv(F.pad(x, pad), weight, model.conv1.bias, stride=2, groups=2)
    torch.testing.assert_close(model(x), wanted)


def test_a_gain_begins_as_one_whatever_init_says() -> None:
    kind = "reparam: scaled_weight_standard"
    text = f"input: [4, 8]\nbody: [conv: {{out: 6, kernel: 3, {kind}}}]\ninit: {{conv: 0.5}}"
    conv = network(text).conv1
    assert (conv.weight == 0.5).all()
    assert (conv.gain == 1).all()
    conv.reset_parameters()
    assert (conv.gain == 1).all()
    assert len(list(conv.parameters())) == 3


def test_time_of_a_diffusion_model() -> None:
    """Ho et al. 2020: half sines, half cosines."""
    model = network(
        "input: {time: {shape: [], dtype: int}}\nbody: [{sine_embedding: 6}, {linear: 2}]"
    )
    time = torch.tensor([0, 7, 999])
    angle = time[:, None] * 10000.0 ** -(torch.arange(3) / 3)
    expected = model.linear1(torch.cat([angle.sin(), angle.cos()], 1))
    torch.testing.assert_close(model(time), expected)


def test_a_spatial_transformer_moves_nothing_at_first() -> None:
    """Its last linear map is made with weights 0 and the bias of the identity."""
    model, x, seen = (
        archspec.build(archspec.load("spatial_transformer")),
        torch.rand(2, 1, 28, 28),
        [],
    )
    model.conv1.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    model(x)
    torch.testing.assert_close(seen[0], x)
