"""`max_pool` with its indices, `max_unpool`, `top_k` and padding with -inf, against plain torch."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

import archspec


def network(text: str, **chosen: Any) -> Any:
    return archspec.build(archspec.loads("spec: 1\nname: net\n" + text, **chosen)).eval()


SEGNET = """
params: {classes: 3}
input: [3, {H: 13}, {W: 10}]
blocks:
  ConvBN:
    params: {out: required}
    body: [{conv: {out: $out, kernel: 3, padding: 1}}, batch_norm, relu]
body:
  - {id: enc1, ConvBN: 8}
  - {id: down1, max_pool: {kernel: 2, indices: true}}
  - {id: enc2, from: down1.output, ConvBN: 16}
  - {id: down2, max_pool: {kernel: 2, indices: true}}
  - {id: mid, from: down2.output, ConvBN: 16}
  - {id: up2, from: [mid, down2.indices, enc2], max_unpool: 2}
  - {id: dec2, ConvBN: 8}
  - {id: up1, from: [dec2, down1.indices, enc1], max_unpool: 2}
  - {id: dec1, conv: {out: $classes, kernel: 3, padding: 1}}
"""


class SegNet(nn.Module):
    """Badrinarayanan et al. 2017, figure 2, with two of its five levels."""

    def __init__(self) -> None:
        super().__init__()
        widths = {"enc1": (3, 8), "enc2": (8, 16), "mid": (16, 16), "dec2": (16, 8)}
        for name, (inner, out) in widths.items():
            block = nn.Sequential()
            block.add_module("conv1", nn.Conv2d(inner, out, 3, padding=1))
            block.add_module("batch_norm1", nn.BatchNorm2d(out))
            block.add_module("relu1", nn.ReLU())
            self.add_module(name, block)
        self.dec1 = nn.Conv2d(8, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        e1 = self.enc1(x)
        x, i1 = F.max_pool2d(e1, 2, return_indices=True)
        e2 = self.enc2(x)
        x, i2 = F.max_pool2d(e2, 2, return_indices=True)
        x = F.max_unpool2d(self.mid(x), i2, 2, output_size=list(e2.shape))
        x = F.max_unpool2d(self.dec2(x), i1, 2, output_size=list(e1.shape))
        out: Tensor = self.dec1(x)
        return out


def test_segnet() -> None:
    """Values to the bit and gradients, at two sizes that windows of two do not fill."""
    ours, theirs = network(SEGNET).double(), SegNet().eval().double()
    theirs.load_state_dict(ours.state_dict())
    for size in ((13, 10), (11, 21)):
        x = torch.randn(2, 3, *size, dtype=torch.float64, requires_grad=True)
        found, expected = ours(x), theirs(x)
        assert torch.equal(found, expected)
        grads = [
            torch.autograd.grad(out.square().sum(), (x, *model.parameters()))
            for out, model in ((found, ours), (expected, theirs))
        ]
        for one, two in zip(*grads, strict=True):
            assert torch.equal(one, two)


@pytest.mark.parametrize("space", [[9], [9, 7], [5, 7, 4]])
def test_back_to_their_places(space: list[int]) -> None:
    text = """
body:
  - {id: down, max_pool: {kernel: 3, stride: 2, padding: 1, indices: true}}
  - {from: [down.output, down.indices], max_unpool: {kernel: 3, stride: 2, padding: 1, size: $size}}
"""
    model = network(f"params: {{size: {space}}}\ninput: {[4, *space]}{text}")
    x = torch.randn(2, 4, *space)
    n = len(space)
    pool, unpool = getattr(F, f"max_pool{n}d"), getattr(F, f"max_unpool{n}d")
    values, places = pool(x, 3, 2, 1, return_indices=True)
    expected = unpool(values, places, 3, 2, 1, output_size=space)
    assert torch.equal(model(x), expected)
    assert torch.equal(expected[expected != 0], x[expected != 0])


def test_best_scores_and_rows() -> None:
    model = network(
        """
input: {rows: [{N: 7}, 4], scores: [{N: 7}]}
body:
  - {id: best, from: scores, top_k: "$(min(5, prev.shape[0]))"}
  - {id: kept, from: [rows, best.indices], gather: }
outputs: {rows: kept, scores: best.output, places: best.indices}
"""
    )
    for count in (7, 3):
        rows, scores = torch.randn(2, count, 4), torch.randn(2, count)
        found = model(rows, scores)
        values, places = scores.topk(min(5, count))
        assert torch.equal(found["scores"], values)
        assert torch.equal(found["places"], places)
        assert torch.equal(found["rows"], torch.stack([rows[n, places[n]] for n in range(2)]))


def test_smallest_along_an_axis() -> None:
    model = network("input: [6, 5]\nbody: [top_k: {k: 2, axis: 0, largest: false}]")
    x = torch.randn(3, 6, 5)
    assert torch.equal(model(x), x.topk(2, 1, largest=False).values)


def test_padding_that_a_max_pool_never_takes() -> None:
    """A pool that pads by more than half its kernel, as some exporters write it."""
    pad, pool = "pad: {amounts: $n, value: -inf}", "max_pool: {kernel: 3, stride: 2}"
    text = f"input: [4, 6, 6]\nbody: [{pad}, {pool}]"
    for amounts in ([[0, 1], [0, 1]], [2, 2]):
        model = network(f"params: {{n: {amounts}}}\n{text}")
        x = -torch.rand(2, 4, 6, 6) - 1
        pairs = [(n, n) if isinstance(n, int) else tuple(n) for n in amounts]
        padded = F.pad(x, (*pairs[1], *pairs[0]), value=float("-inf"))
        assert torch.equal(model(x), F.max_pool2d(padded, 3, 2))


def said(text: str) -> str:
    with pytest.raises(archspec.SpecError) as caught:
        archspec.loads("spec: 1\nname: net\n" + text)
    return str(caught.value)


def test_wrong_uses() -> None:
    down = "- {id: down, max_pool: {kernel: 2, indices: true}}"
    two = f"input: [4, 8, 8]\nbody:\n  {down}\n  - {{id: low, from: down.output, max_pool: 2}}\n"
    unpool = "  - {from: [low, down.indices], max_unpool: 2}"
    assert "takes a place for each cell of [4, 2, 2]; `indices` is [4, 4, 4]" in said(two + unpool)
    unpool = "  - {from: [down.output, down.indices], max_unpool: {kernel: 2, size: 11}}"
    one = f"input: [4, 8, 8]\nbody:\n  {down}\n"
    found = said(one + unpool)
    assert (
        "makes 8 cells of an axis of the input [4, 4, 4], give or take 1; it is to be 11" in found
    )
    assert "it is the size of what the pool was given" in found
    assert "the word `-inf`" in said("input: [4, 8]\nbody: [pad: {amounts: 1, value: -.inf}]")
    found = said("input: [4, 8]\nbody: [top_k: 9]")
    assert '"$(min(9, prev.shape[1]))" takes all there are' in found
