"""Attention inside of shifted windows, of ops, against torchvision's Swin."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import nn

import archspec

SWIN = """
spec: 1
name: swin
params: {window: 3, shift: 1, heads: 2}
input: [{H: 8}, {W: 11}, 12]
blocks:
  Attention:
    params: {window: required, shift: required, heads: required, width: $(input.features)}
    body:
      - {pad: {amounts: [0, "$(-prev.shape[0] % window)"], axis: 0}}
      - {id: whole, pad: {amounts: [0, "$(-prev.shape[1] % window)"], axis: 1}}
      - {roll: {shifts: [$(-shift), $(-shift)], axis: [0, 1]}}
      - {unflatten: {axis: 1, shape: [-1, $window]}}
      - {unflatten: {axis: 0, shape: [-1, $window]}}
      - {permute: [0, 2, 1, 3, 4]}
      - {reshape: [-1, $(window ** 2), $width]}
      - {id: qkv, linear: $(3 * width)}
      - {unflatten: {axis: -1, shape: [3, $heads, -1]}}
      - {id: parts, permute: [2, 0, 3, 1, 4]}
      - {select: 0}
      - {id: q, mul: $((width // heads) ** -0.5)}
      - {id: k, from: parts, body: [{select: 1}, {permute: [0, 1, 3, 2]}]}
      - {id: scores, matmul: [q, k]}
      - {id: relative_position_bias_table, parameter: [$((2 * window - 1) ** 2), $heads]}
      - {id: bias, from: relative_position_bias_table, relative_position_bias: $window}
      - {reshape: [1, $heads, $(window ** 2), $(window ** 2)]}
      - {id: biased, add: [scores, prev]}
      - {id: mask, from: whole, shift_mask: {window: $window, shift: $shift}, when: $(shift > 0)}
      - {add: [biased, mask], when: $(shift > 0)}
      - {id: weights, softmax: }
      - {id: v, from: parts, select: 2}
      - {matmul: [weights, v]}
      - {permute: [0, 2, 1, 3]}
      - {flatten: 2}
      - {id: proj, linear: $width}
      - {reshape: ["$(whole.shape[0] // window)", -1, $window, $window, $width]}
      - {permute: [0, 2, 1, 3, 4]}
      - {reshape: ["$(whole.shape[0])", "$(whole.shape[1])", $width]}
      - {roll: {shifts: [$shift, $shift], axis: [0, 1]}}
      - {slice: {stop: "$(input.shape[0])", axis: 0}}
      - {slice: {stop: "$(input.shape[1])", axis: 1}}
body:
  - {id: attn, Attention: {window: $window, shift: $shift, heads: $heads}}
"""


FIRST = """\
      - {id: q, mul: $((width // heads) ** -0.5)}
      - {id: k, from: parts, body: [{select: 1}, {permute: [0, 1, 3, 2]}]}
      - {id: scores, matmul: [q, k]}
      - {id: relative_position_bias_table, parameter: [$((2 * window - 1) ** 2), $heads]}
      - {id: bias, from: relative_position_bias_table, relative_position_bias: $window}
      - {reshape: [1, $heads, $(window ** 2), $(window ** 2)]}
"""
SECOND = """\
      - {id: q, normalize: }
      - {id: k, from: parts, body: [{select: 1}, normalize, {permute: [0, 1, 3, 2]}]}
      - {id: cosines, matmul: [q, k]}
      - {id: logit_scale, parameter: [$heads, 1, 1], init: 2.302585092994046}
      - {id: scale, from: logit_scale, clamp: {max: 4.605170185988092}}
      - exp
      - {reshape: [1, $heads, 1, 1]}
      - {id: scores, mul: [cosines, prev]}
      - {id: relative_coords_table, constant: {value: $steps}}
      - id: relative_position_index
        constant: {relative_positions: $window, flat: true}
      - id: cpb_mlp
        from: relative_coords_table
        sequential: [{linear: 512}, relu, {linear: {out: $heads, bias: false}}]
      - {id: rows, reshape: [-1, $heads]}
      - {id: bias, from: [rows, relative_position_index], relative_position_bias: $window}
      - sigmoid
      - {mul: 16}
      - {reshape: [1, $heads, $(window ** 2), $(window ** 2)]}
"""


@pytest.mark.parametrize("shift", [0, 1])
def test_shifted_windows_are_torchvisions(torchvision: Any, shift: int) -> None:
    """Liu et al. 2021: values to the bit, with windows that are full and not."""
    swin = pytest.importorskip("torchvision.models.swin_transformer")
    theirs = swin.ShiftedWindowAttention(12, [3, 3], [shift, shift], 2).eval()
    ours = archspec.build(archspec.loads(SWIN, shift=shift)).eval()
    for bias in (theirs.qkv.bias, theirs.proj.bias, theirs.relative_position_bias_table):
        nn.init.normal_(bias)
    state = {f"attn.{n}": value for n, value in theirs.state_dict().items()}
    del state["attn.relative_position_index"]
    ours.load_state_dict(state)
    for size in ((8, 11), (9, 6), (4, 12)):
        x = torch.randn(2, *size, 12)
        assert torch.equal(ours.float()(x), theirs.float()(x))
        x = x.double().requires_grad_()
        grads = [
            torch.autograd.grad(model(x).square().sum(), (x, table))
            for model, table in (
                (ours.double(), ours.attn.relative_position_bias_table),
                (theirs.double(), theirs.relative_position_bias_table),
            )
        ]
        for one, two in zip(*grads, strict=True):
            torch.testing.assert_close(one, two)


def test_cosines_and_a_bias_of_a_small_network(torchvision: Any) -> None:
    """Liu et al. 2022, Swin V2: the names of torchvision, and its numbers to the bit.

    Of one sample and these weights: the small network runs here once for each sample, there once,
    and products of more rows are rounded otherwise, as sigmoids of another order are.
    """
    torch.manual_seed(0)
    swin = pytest.importorskip("torchvision.models.swin_transformer")
    theirs = swin.ShiftedWindowAttentionV2(12, [3, 3], [1, 1], 2).eval()
    text = SWIN.replace(FIRST, SECOND).replace(
        "params: {window: 3", "params: {steps: [[[[0.0]]]], window: 3"
    )
    text = text.replace("params: {window: required", "params: {steps: $steps, window: required")
    ours = archspec.build(archspec.loads(text, steps=theirs.relative_coords_table.tolist())).eval()
    before = ours.state_dict()
    state = {f"attn.{name}": value for name, value in theirs.state_dict().items()}
    assert {n: v.shape for n, v in before.items()} == {n: v.shape for n, v in state.items()}
    for name in ("logit_scale", "relative_coords_table", "relative_position_index"):
        assert torch.equal(before[f"attn.{name}"], state[f"attn.{name}"])
    ours.load_state_dict(state)
    for size in ((8, 11), (9, 6)):
        x = torch.randn(2, *size, 12)
        assert torch.equal(ours(x[:1]), theirs(x[:1]))
        exact = [copy.deepcopy(model).double()(x.double()) for model in (ours, theirs)]
        torch.testing.assert_close(*exact, rtol=1e-12, atol=1e-12)


def test_channels_stand_last_in_front_of_a_shift_mask() -> None:
    body = "[conv: {out: 4, kernel: 1}, shift_mask: {window: 4, shift: 2}]"
    with pytest.raises(archspec.SpecError) as caught:
        archspec.loads(f"spec: 1\nname: n\ninput: [3, 8, 8]\nbody: {body}")
    said = "`shift_mask` takes [H, W, C], channels last; the input is [4, 8, 8], channels first"
    assert said in str(caught.value)
    assert "put the channels last with `permute`" in str(caught.value)


ALTERNATING = """
spec: 1
name: net
input: [{H: 4}, 6, 3]
blocks:
  Masked:
    params: {shift: required}
    body:
      - {unflatten: {axis: 1, shape: [-1, 2]}}
      - {unflatten: {axis: 0, shape: [-1, 2]}}
      - {permute: [0, 2, 1, 3, 4]}
      - {id: scores, reshape: [-1, 1, 4, 3]}
      - {id: turned, permute: [0, 1, 3, 2]}
      - {id: pairs, matmul: [scores, turned]}
      - id: masked
        when: $(shift > 0)
        body:
          - {id: mask, from: input, shift_mask: {window: 2, shift: $shift}}
          - {add: [pairs, mask]}
      - {softmax: }
      - {reduce: {by: sum, axis: [0, 1, 2]}}
  Layer:
    params: {shift: required}
    body:
      - {id: gain, Masked: {shift: $shift}}
      - {reshape: [1, 1, 4]}
      - {reduce: {by: max, keep: true, axis: -1}}
      - mul: [input, prev]
body:
  - {id: layers, repeat: {shift: [0, 1, 0, 1]}, Layer: {shift: $shift}}
"""


def test_one_class_with_and_without_its_mask() -> None:
    """Scores of shifted and unshifted windows, one behind the other, at two heights."""
    spec = archspec.loads(ALTERNATING)
    model, text = archspec.build(spec).double(), archspec.compile(spec)
    assert text.count("class Masked(") == 1
    for height in (4, 8):
        x = torch.randn(2, height, 6, 3).double()
        expected = x
        for shift in (0, 1, 0, 1):
            cut = expected.view(2, height // 2, 2, 3, 2, 3).permute(0, 1, 3, 2, 4, 5)
            cut = cut.reshape(2, -1, 4, 3)
            pairs = cut @ cut.transpose(2, 3)
            edge = torch.zeros(height, 6)
            edge[-1] += 2 * shift
            edge[:, -1] += shift
            inside = torch.zeros(height, 6)
            inside[-2:] += 8 * shift
            inside[:, -2:] += 4 * shift
            region = (edge + inside).view(height // 2, 2, 3, 2).permute(0, 2, 1, 3).reshape(-1, 4)
            pairs = pairs - 100.0 * (region[:, :, None] != region[:, None])
            gain = pairs.softmax(-1).sum((1, 2)).amax(-1)
            expected = expected * gain.view(2, 1, 1, 1)
        torch.testing.assert_close(model(x), expected)


def test_a_bias_is_a_mask_of_dot_attention() -> None:
    """Scores of one window and all heads, the bias added before the softmax."""
    model = archspec.build(
        archspec.loads(
            """
spec: 1
name: net
input: {q: [4, 9, 6], k: [2, 9, 6]}
body:
  - {id: table, parameter: [25, 4]}
  - {id: bias, from: table, relative_position_bias: 3}
  - {from: [q, k, k, bias], dot_attention: }
"""
        )
    ).double()
    nn.init.normal_(model.table)
    q, k = torch.randn(2, 4, 9, 6).double(), torch.randn(2, 2, 9, 6).double()
    bias = torch.empty(4, 9, 9, dtype=torch.float64)
    for one in range(9):
        for two in range(9):
            down, right = one // 3 - two // 3, one % 3 - two % 3
            bias[:, one, two] = model.table[(down + 2) * 5 + right + 2].detach()
    shared = k.repeat_interleave(2, 1)
    weights = (q @ shared.transpose(2, 3) / 6**0.5 + bias).softmax(-1)
    torch.testing.assert_close(model(q, k), weights @ shared)
