"""`attention: {kv_heads: n}`, and norms without their shift, against plain torch."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

import archspec


def network(text: str) -> nn.Module:
    return archspec.build(archspec.loads("spec: 1\nname: net\n" + text)).eval().double()


def by_hand(m: nn.Module, query: Tensor, key: Tensor, value: Tensor, hidden: Tensor) -> Tensor:
    """Each head of its own, with the key and value of its group; true in `hidden` hides."""
    heads, found = 6, []
    q, k, v = (
        F.linear(x, w, b)
        for x, w, b in zip(
            (query, key, value),
            (m.q_proj_weight, m.k_proj_weight, m.v_proj_weight),
            m.in_proj_bias.split((24, 8, 8)),
            strict=True,
        )
    )
    for h in range(heads):
        mine, shared = slice(4 * h, 4 * h + 4), slice(h // 3 * 4, h // 3 * 4 + 4)
        scores = q[..., mine] @ k[..., shared].transpose(1, 2) / 2
        found.append(scores.masked_fill(hidden, -torch.inf).softmax(-1) @ v[..., shared])
    out: Tensor = m.out_proj(torch.cat(found, -1))
    return out


SELF = """
input: [{T: 7}, 24]
body: [{id: attend, attention: {heads: 6, kv_heads: 2, causal: %s}}]
"""


@pytest.mark.parametrize("causal", ["true", "false"])
def test_groups_of_heads_share_key_and_value(causal: str) -> None:
    """Ainslie et al. 2023: values and gradients, at two lengths."""
    model = network(SELF % causal)
    nn.init.normal_(model.attend.in_proj_bias)
    for steps in (7, 4):
        x = torch.randn(2, steps, 24, requires_grad=True, dtype=torch.float64)
        hidden = torch.ones(steps, steps, dtype=torch.bool).triu(1) & (causal == "true")
        found, expected = model(x), by_hand(model.attend, x, x, x, hidden)
        torch.testing.assert_close(found, expected)
        wanted = (x, *model.parameters())
        grads = torch.autograd.grad(found.square().sum(), wanted)
        for one, two in zip(
            grads, torch.autograd.grad(expected.square().sum(), wanted), strict=True
        ):
            torch.testing.assert_close(one, two)


MASKED = """
input: {x: [7, 24], seen: [5, 10], hidden: {shape: [7, 5], dtype: bool}, gone: {shape: [5], dtype: bool}}
body:
  - id: attend
    from: {query: x, key: seen, mask: hidden, key_padding_mask: gone}
    attention: {heads: 6, kv_heads: 2}
"""  # noqa: E501


def test_masks_hide_as_in_torch() -> None:
    model = network(MASKED)
    x, seen = torch.randn(2, 7, 24).double(), torch.randn(2, 5, 10).double()
    hidden, gone = torch.rand(2, 7, 5) < 0.3, torch.tensor([[False] * 4 + [True], [False] * 5])
    hidden[..., 0] = False
    both = hidden | gone[:, None]
    expected = by_hand(model.attend, x, seen, seen, both)
    torch.testing.assert_close(model(x, seen, hidden, gone), expected)


def test_as_many_as_heads_is_torchs_attention() -> None:
    model = network("input: [7, 24]\nbody: [{id: a, attention: {heads: 6, kv_heads: 6}}]")
    torchs, ours = (
        nn.MultiheadAttention(24, 6, batch_first=True).eval().double(),
        dict(model.state_dict()),
    )
    joined = torch.cat([ours.pop(f"a.{n}_proj_weight") for n in "qkv"])
    renamed = {name.removeprefix("a."): value for name, value in ours.items()}
    torchs.load_state_dict({"in_proj_weight": joined, **renamed})
    x = torch.randn(3, 7, 24).double()
    torch.testing.assert_close(model(x), torchs(x, x, x, need_weights=False)[0])


def test_initial_values_of_linear_maps_leave_attention_out() -> None:
    init = "init: {linear: 5, attention: {weight: 2, bias: 3}}"
    model = network(
        f"{init}\ninput: [4, 8]\nbody: [attention: {{heads: 4, kv_heads: 2}}, linear: 8]"
    )
    found = {name: set(value.flatten().tolist()) for name, value in model.state_dict().items()}
    assert found["linear1.weight"] == {5.0}
    assert found["attention1.k_proj_weight"] == found["attention1.out_proj.weight"] == {2.0}
    assert found["attention1.in_proj_bias"] == {3.0}


@pytest.mark.parametrize(
    ("op", "torchs"),
    [
        ("batch_norm: {bias: false}", nn.BatchNorm2d(4, bias=False)),
        (
            "instance_norm: {affine: true, bias: false}",
            nn.InstanceNorm2d(4, affine=True, bias=False),
        ),
        ("group_norm: {groups: 2, bias: false}", nn.GroupNorm(2, 4, bias=False)),
    ],
)
def test_norms_without_their_shift(op: str, torchs: nn.Module) -> None:
    model = network(f"input: [4, 6, 5]\nbody: [{{id: norm, {op}}}]").train()
    assert "norm.weight" in model.state_dict()
    assert "norm.bias" not in model.state_dict()
    x = torch.randn(3, 4, 6, 5).double()
    assert torch.equal(model(x), torchs.train().double()(x))
