"""Parameters and multiply-accumulates against the published totals; bytes against autograd."""

from __future__ import annotations

from pathlib import Path

import pytest

from archspec.analysis import Analysis
from archspec.expand import expand
from archspec.language import parse
from archspec.text.source import from_text, read

HERE = Path(__file__).parent
SPECS = HERE.parent / "specs"
HEAD = "spec: 1\nname: t\n"


def analysed(text: str) -> Analysis:
    spec = parse(from_text(HEAD + text))
    return Analysis(expand(spec), spec)


def test_parameters_of_training_only_heads() -> None:
    spec = parse(read(SPECS / "googlenet.yaml"))
    totals = Analysis(expand(spec), spec).totals
    assert totals.params - totals.params_training_only == 6624904
    assert totals.macs_training > totals.macs


def test_shared_weights_are_counted_once_and_run_twice() -> None:
    analysis = analysed(
        "input: {a: [8], b: [8]}\nbody:\n"
        "  - {id: tower, from: a, linear: 4}\n"
        "  - {id: other, from: b, shared: tower}\n"
        "  - sub: [tower, other]\n"
    )
    tower, other = analysis.row("tower"), analysis.row("other")
    assert (tower.params, tower.executions, tower.shared_with) == (36, 2, None)
    assert (other.params, other.executions, other.shared_with) == (0, 2, "tower")
    assert tower.macs == other.macs == 32
    assert (analysis.totals.params, analysis.totals.macs) == (36, 64)


def test_frozen_weights_are_not_trained_and_save_nothing_before_the_first_that_is() -> None:
    text = (
        "input: [3, 8, 8]\nbody:\n"
        "  - {id: a, freeze: true, conv: {out: 4, kernel: 3}}\n"
        "  - {id: r, relu: }\n"
        "  - {id: b, conv: {out: 4, kernel: 3}}\n"
    )
    analysis = analysed(text)
    assert (analysis.row("a").params, analysis.row("a").trainable) == (112, 0)
    assert analysis.row("a").bytes_saved == analysis.row("r").bytes_saved == 0
    assert analysis.row("b").bytes_saved == analysis.row("r").bytes_out
    assert analysis.totals.gradient_bytes == 4 * analysis.row("b").params


def test_buffers_and_bytes() -> None:
    analysis = analysed("input: [3, 4, 4]\nbody: [{id: bn, batch_norm: }, {id: flat, flatten: }]\n")
    row = analysis.row("bn")
    assert (row.params, row.buffers, row.bytes_out) == (6, 7, 192)
    assert analysis.totals.weight_bytes == 4 * 12 + 8
    assert analysis.row("flat").live_bytes == 192  # a view


def test_live_bytes_hold_a_skip_until_it_is_read() -> None:
    analysis = analysed(
        "input: [1, 10]\nbody:\n"
        "  - {id: a, conv: {out: 2, kernel: 1}}\n"  # 80
        "  - {id: b, conv: {out: 1, kernel: 1}}\n"  # 40
        "  - {id: c, conv: {out: 2, kernel: 1}}\n"  # 80
        "  - {id: d, add: [a, c]}\n"  # 80
    )
    assert [row.live_bytes for row in analysis.rows] == [40, 120, 120, 200, 240]
    assert (analysis.totals.peak_live_bytes, analysis.totals.peak_at) == (240, "d")
    assert analysis.totals.inference_bytes == 240 + analysis.totals.weight_bytes


def test_the_split_by_family_adds_up() -> None:
    totals = analysed(
        "input: [3, 16, 16]\n"
        "body: [{conv: {out: 4, kernel: 3}}, batch_norm, relu, {max_pool: 2}, flatten, {linear: 5}]"
    ).totals
    assert sum(totals.flops_by_family.values()) == totals.flops > 2 * totals.macs
    assert set(totals.flops_by_family) >= {"conv", "norm", "pool", "linear"}
    assert totals.optimizer_bytes["Adam"] == 8 * totals.params
    assert totals.training_bytes_at(4) - totals.training_bytes_at(3) == totals.saved_bytes


VGG = """
input: [3, 64, 64]
body:
  - repeat: {n: [1, 1, 2, 2], c: [16, 32, 64, 64]}
    body:
      - {body: [{conv: {out: $c, kernel: 3, padding: 1}}, batch_norm, relu], repeat: $n}
      - max_pool: 2
  - flatten
  - linear: 128
  - relu
  - dropout
  - linear: 10
"""
RESNET = """
input: [3, 64, 64]
body:
  - conv: {out: 32, kernel: 7, stride: 2, padding: 3, bias: false}
  - batch_norm
  - relu
  - max_pool: {kernel: 3, stride: 2, padding: 1}
  - repeat: 4
    body:
      - residual:
          - conv: {out: 32, kernel: 3, padding: 1, bias: false}
          - batch_norm
          - relu
          - conv: {out: 32, kernel: 3, padding: 1, bias: false}
          - batch_norm
      - relu
  - global_avg_pool
  - linear: 10
"""
TRANSFORMER = """
params: {drop: 0.1}
input: [24, 32]
body:
  - repeat: 3
    body:
      - layer_norm
      - residual: [{attention: {heads: 4, dropout: $drop}}, {dropout: $drop}]
      - layer_norm
      - residual: [{linear: 64}, gelu, {dropout: $drop}, {linear: 32}, {dropout: $drop}]
  - {linear: 10}
"""


@pytest.mark.parametrize(
    "text",
    [VGG, RESNET, VGG.replace("batch_norm, ", ""), TRANSFORMER, TRANSFORMER.replace("0.1", "0")],
    ids=["vgg_bn", "resnet", "vgg", "transformer", "transformer_without_dropout"],
)
def test_what_is_saved_is_what_autograd_saves(text: str, tmp_path: Path) -> None:
    import torch

    from archspec.module import build

    analysis = analysed(text)
    shape = analysis.graph.steps[0].outs[0].shape
    path = tmp_path / "t.yaml"
    path.write_text(HEAD + text)
    model = build(path).train()
    own = {t.untyped_storage().data_ptr() for t in (*model.parameters(), *model.buffers())}
    kept: dict[int, int] = {}

    def pack(t: torch.Tensor) -> torch.Tensor:
        storage = t.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return t

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        out = model(torch.rand(2, *shape))
    assert out.requires_grad
    # the batch's mean and deviation are not counted: they do not grow with the batch
    assert analysis.totals.saved_bytes == pytest.approx(sum(kept.values()) / 2, rel=0.005)
