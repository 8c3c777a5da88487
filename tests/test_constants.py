"""Fixed tensors of a spec against what torch makes of the same words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

import archspec
from archspec import weights


def network(text: str) -> Any:
    return archspec.build(archspec.loads("spec: 1\nname: net\n" + text)).eval()


def _swin(window: int) -> Tensor:
    """torchvision's relative_position_index, before it is flattened."""
    both = torch.meshgrid(torch.arange(window), torch.arange(window), indexing="ij")
    places = torch.flatten(torch.stack(both), 1)
    relative = (places[:, :, None] - places[:, None, :]).permute(1, 2, 0).contiguous()
    relative += window - 1
    relative[:, :, 0] *= 2 * window - 1
    return relative.sum(-1)


def _swin_v2(window: int) -> Tensor:
    """The coordinates from which Swin V2 makes its biases (Liu et al. 2022, equation 5)."""
    steps = torch.arange(-(window - 1), window, dtype=torch.float32) / (window - 1) * 8
    scaled = torch.sign(steps) * torch.log2(torch.abs(steps) + 1.0) / 3.0
    return torch.cartesian_prod(scaled, scaled).unflatten(0, (1, len(steps), len(steps)))


def _band(places: int, before: int, after: int) -> Tensor:
    """For each place, true at those from so many before it to so many after it."""
    steps = torch.arange(places) - torch.arange(places)[:, None]
    return (steps >= -before) & (steps <= after)


RULES = {
    "[[0, -1, 0], [-1, 5, -1]]": torch.tensor([[0, -1, 0], [-1, 5, -1]]),
    "[0.25, 1]": torch.tensor([0.25, 1.0]),
    "3": torch.tensor(3),
    "[true, false]": torch.tensor([True, False]),
    "{eye: 3}": torch.eye(3),
    "{eye: [2, 4]}": torch.eye(2, 4),
    "{arange: 5}": torch.arange(5),
    "{arange: [9, 2, -3]}": torch.arange(9, 2, -3),
    "{arange: [0, 1, 0.1]}": torch.arange(0, 1, 0.1),
    "{arange: [2, 4]}": torch.arange(2, 4),
    "{linspace: [-1, 1, 7]}": torch.linspace(-1, 1, 7),
    "{causal_mask: 4}": nn.Transformer.generate_square_subsequent_mask(4) < 0,
    "{causal_mask: 5, window: 2}": ~_band(5, before=1, after=0),  # Mistral: itself and one before
    "{causal_mask: 5, window: 9}": ~_band(5, before=4, after=0),
    "{local_mask: 7, window: 4}": ~_band(7, before=2, after=2),  # Longformer: half on each side
    "{local_mask: 7, window: 5}": ~_band(7, before=2, after=2),
    "{relative_positions: [7, 7]}": _swin(7),
    "{relative_positions: [3, 3], flat: true}": _swin(3).flatten(),
    "{log_steps: [8, 8]}": _swin_v2(8),
    "{relative_positions: 7}": _swin(7),
    "{relative_positions: [3]}": torch.tensor([[2, 1, 0], [3, 2, 1], [4, 3, 2]]),
}


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_gives_what_torch_gives(rule: str) -> None:
    body = f"body: [relu, {{id: fixed, constant: {rule}, tap: always}}]\n"
    text = "input: [3]\n" + body + "outputs: {y: relu1, fixed: fixed}\n"
    found = network(text)(torch.randn(2, 3))["fixed"]
    wanted = RULES[rule]
    assert found.dtype == wanted.dtype
    assert torch.equal(found, wanted.expand(2, *wanted.shape))


MASKED = """
input: [6, 8]
body:
  - {id: mask, constant: {causal_mask: 6, persistent: false}}
  - {id: places, constant: {arange: 6}}
  - {id: wpe, from: places, embedding: {num: 6, dim: 8}}
  - {id: x, add: [input, wpe]}
  - {id: attn, attention: {heads: 2}, from: {query: x, mask: mask}}
  - {id: heads, unflatten: {axis: -1, shape: [2, 4]}}
  - {id: turned, permute: [1, 0, 2]}
  - {id: seen, dot_attention: , from: {query: turned, key: turned, value: turned, mask: mask}}
  - {id: every, constant: {arange: [0, 6, 2], persistent: false}}
  - {id: some, gather: {axis: 1}, from: [seen, every]}
"""


class Masked(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.mask = nn.Buffer(torch.ones(6, 6, dtype=torch.bool).triu(1), persistent=False)
        self.places = nn.Buffer(torch.arange(6))
        self.wpe = nn.Embedding(6, 8)
        self.attn = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.wpe(self.places)
        x = self.attn(x, x, x, attn_mask=self.mask, need_weights=False)[0]
        x = x.unflatten(-1, (2, 4)).transpose(1, 2)
        return F.scaled_dot_product_attention(x, x, x, attn_mask=~self.mask)[:, :, ::2]


def test_masks_and_places_are_buffers_as_in_torch() -> None:
    model, reference = network(MASKED), Masked().eval()
    model.load_state_dict(reference.state_dict())
    x = torch.randn(3, 6, 8)
    assert torch.equal(model(x), reference(x))
    assert list(model.state_dict()) == list(reference.state_dict())
    assert {n for n, _ in model.named_buffers()} == {"mask", "places", "every"}
    code = archspec.loads("spec: 1\nname: net\n" + MASKED).code
    assert "self.mask = nn.Buffer(causal_mask(6), persistent=False)" in code
    assert "attn_mask=self.mask)" in code  # as it is: no copy a sample
    assert "self.wpe(self.places)" in code
    assert ".index_select(2, self.every)" in code


def test_buffers_are_counted_apart_from_parameters() -> None:
    program = archspec.loads("spec: 1\nname: net\n" + MASKED)
    totals = program.analysis.totals
    assert totals.buffers == 36 + 6 + 3
    assert totals.params == sum(p.numel() for p in Masked().parameters())
    assert totals.weight_bytes == 4 * totals.params + 36 + 8 * 9


def test_a_persistent_one_is_saved_and_loaded(tmp_path: Path) -> None:
    model = network(MASKED)
    with torch.no_grad():
        model.places.copy_(torch.arange(5, -1, -1))
    weights.save(model, tmp_path / "net.safetensors")
    assert set(load_file(tmp_path / "net.safetensors")) == set(model.state_dict())
    again = network(MASKED)
    weights.load(again, tmp_path / "net.safetensors")
    assert again.places.tolist() == [5, 4, 3, 2, 1, 0]


def test_values_follow_params_and_copies() -> None:
    text = """
params: {n: 2}
input: [3]
blocks:
  Shift:
    params: {by: required}
    body: [{id: c, constant: [0, 0, $by]}, {add: [input, c]}]
body:
  - {id: s, Shift: {by: $(0.5 + loop.index)}, repeat: $n}
"""
    model = network(text)
    assert model(torch.zeros(1, 3)).tolist() == [[0, 0, 2]]
    assert list(model.state_dict()) == ["s.0.c", "s.1.c"]
    assert type(model)(n=3)(torch.zeros(1, 3)).tolist() == [[0, 0, 4.5]]


def test_tensors_of_a_group_that_uses_weights_from_outside() -> None:
    text = """
input: [4]
body:
  - {id: a, linear: 4}
  - id: g
    body:
      - {id: k, constant: {linspace: [0, 1, 4], persistent: false}}
      - {id: p, parameter: 4}
      - {id: q, constant: [1.5, 0, 0, 0]}
      - {id: b, shared: a}
      - {id: sum, add: [b, k, p, q]}
"""
    model = network(text)
    x = torch.randn(2, 4)
    wanted = model.a(model.a(x)) + torch.linspace(0, 1, 4) + torch.tensor([1.5, 0, 0, 0])
    assert torch.equal(model(x), wanted)
    assert set(model.state_dict()) == {"a.weight", "a.bias", "g.p", "g.q"}


def test_it_cannot_be_as_long_as_a_free_axis() -> None:
    text = """
input: [{T: 6}, 8]
body:
  - {id: mask, constant: {causal_mask: "$(input.shape[0])"}}
  - {dot_attention: , from: {query: input, key: input, value: input, mask: mask}}
"""
    with pytest.raises(archspec.SpecError) as caught:
        archspec.loads("spec: 1\nname: net\n" + text)
    (fault,) = caught.value.faults
    assert fault.code == "E326"
    assert "make it as large as the largest input and `slice` it" in fault.help


def test_the_average_of_weights_leaves_whole_numbers_as_they_are() -> None:
    from archspec import train

    text = "input: [4]\nbody:\n  - {id: fc, linear: 60}\n  - {id: places, constant: {arange: 60}}\n"
    model = network(text + "  - {from: [fc, places], gather: }\n  - {linear: 3}\n")
    data = (torch.randn(40, 4), torch.randint(0, 3, (40,)))
    train.fit(
        model,
        data,
        quiet=True,
        epochs=3,
        batch=2,
        log=None,
        ema=0.9,
        optimizer={"sgd": {"lr": 0.1}},
    )
    assert model.places.tolist() == list(range(60))


def test_many_numbers_stand_several_a_line() -> None:
    rows = "$([[i / 7 for i in range(40)] for k in range(2)])"
    text = f"""
input: [40]
body:
  - {{id: a, constant: {{value: "{rows}", persistent: false}}}}
  - {{id: b, constant: "$([1.5 * i - 20 for i in range(40)])"}}
  - {{id: c, constant: "$([[[2.5]] for i in range(40)])"}}
  - mul: [prev, b]
outputs: {{x: mul1, a: a, c: c}}
"""
    code = archspec.loads("spec: 1\nname: net\n" + text).code
    assert max(map(len, code.splitlines())) <= 100
    assert len(code.splitlines()) < 80  # 160 numbers
    found = network(text)(torch.ones(1, 40))
    assert torch.equal(found["a"][0], torch.arange(40).div(7).expand(2, 40))
    assert torch.equal(found["x"][0], 1.5 * torch.arange(40) - 20)
    assert found["c"].shape == (1, 40, 1, 1)


SLIDING = """
input: [{T: 9}, 8]
body:
  - {id: places, constant: {causal_mask: 16, window: 3, persistent: false}}
  - {id: rows, from: places, slice: {stop: "$(input.shape[0])"}}
  - {id: mask, slice: {axis: 1, stop: "$(input.shape[0])"}, from: rows}
  - {id: heads, from: input, unflatten: {axis: -1, shape: [2, 4]}}
  - {id: x, permute: [1, 0, 2]}
  - {dot_attention: , from: {query: x, key: x, value: x, mask: mask}}
"""


@pytest.mark.parametrize("length", [2, 9, 16])
def test_sliding_windows_of_any_length_are_attention_to_the_last_places(length: int) -> None:
    x = torch.randn(2, length, 8, dtype=torch.float64)
    heads = x.unflatten(-1, (2, 4)).transpose(1, 2)
    found = network(SLIDING).double()(x)
    for place in range(length):
        seen = heads[:, :, max(0, place - 2) : place + 1]
        wanted = F.scaled_dot_product_attention(heads[:, :, place : place + 1], seen, seen)
        torch.testing.assert_close(found[:, :, place : place + 1], wanted)
