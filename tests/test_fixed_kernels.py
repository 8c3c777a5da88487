"""Kernels whose numbers a spec says, against torch with the same numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional as F  # noqa: N812

import archspec

SHARPEN = [[0.0, -1, 0], [-1, 5, -1], [0, -1, 0]]
TEXT = """
input: [3, {H: 12}, {W: 9}]
body:
  - id: sharpen
    conv: {out: 3, kernel: 3, padding: 1, groups: depthwise, bias: false}
    init: {values: [[0, -1, 0], [-1, 5, -1], [0, -1, 0]]}
    freeze: true
"""


def program(text: str) -> Any:
    return archspec.loads("spec: 1\nname: net\n" + text)


def test_a_depthwise_kernel_sharpens_each_channel() -> None:
    model = archspec.build(program(TEXT))
    x = torch.rand(2, 3, 12, 9)
    kernel = torch.tensor(SHARPEN).expand(3, 1, 3, 3)
    assert torch.equal(model(x), F.conv2d(x, kernel, padding=1, groups=3))
    assert [p.requires_grad for p in model.parameters()] == [False]
    code = program(TEXT).code
    assert (
        "values_(self.sharpen.weight, torch.tensor([[0, -1, 0], [-1, 5, -1], [0, -1, 0]]))" in code
    )
    assert program(TEXT).analysis.totals.trainable == 0


@pytest.mark.parametrize(
    ("conv", "values", "shape"),
    [
        ("out: 2, kernel: 2", [[1, 2], [3, 4]], (2, 3, 2, 2)),
        ("out: 2, kernel: 2", [[[1, 2], [3, 4]], [[0, 0], [0, 0]], [[5, 6], [7, 8]]], (2, 3, 2, 2)),
        ("out: 2, kernel: [1, 2], groups: 1", [[0.5, -0.5]], (2, 3, 1, 2)),
    ],
)
def test_what_is_the_same_for_all_channels(conv: str, values: Any, shape: tuple[int, ...]) -> None:
    for where in (
        f"init: {{weight: {{values: {values}}}}}",
        f"init: {{values: {{val: {values}}}}}",
    ):
        text = f"input: [3, 8, 8]\nbody: [{{id: c, conv: {{{conv}}}, {where}}}]\n"
        weight = archspec.build(program(text)).c.weight
        assert torch.equal(weight, torch.tensor(values, dtype=torch.float32).expand(shape))


def test_of_all_ops_by_the_document_and_by_params() -> None:
    text = """
params: {centre: 5}
input: [1, 8, 8]
init: {conv: {weight: {values: [[0, -1, 0], [-1, $centre, -1], [0, -1, 0]]}, bias: {values: [2]}}}
body: [{id: a, conv: {out: 1, kernel: 3}}, {id: b, conv: {out: 1, kernel: 3}}]
"""
    model = archspec.build(program(text))
    for part in (model.a, model.b):
        assert part.weight.tolist() == [[SHARPEN]]
        assert part.bias.tolist() == [2]
    other = type(model)(centre=4)
    assert other.a.weight[0, 0, 1].tolist() == [-1, 4, -1]


def test_a_linear_map_a_parameter_and_one_that_is_normed() -> None:
    text = """
input: [2]
body:
  - {id: turn, linear: {out: 2, bias: false}, init: {values: [[0, -1], [1, 0]]}}
  - {id: by, parameter: 2, init: {values: [10, 20]}}
  - {add: [turn, by]}
  - id: normed
    linear: {out: 2, reparam: weight_norm}
    init: {weight: {values: [[3, 4], [0, 1]]}, bias: 0}
"""
    model = archspec.build(program(text))
    y = torch.tensor([[1.0, 2.0]])
    assert torch.allclose(model(y), torch.tensor([[8.0, 21.0]]) @ torch.tensor([[3.0, 0], [4, 1]]))


def test_bilinear_interpolation_where_the_weight_is_normed() -> None:
    conv = "conv_transpose: {out: 2, kernel: 4, stride: 2, padding: 1, bias: false"
    plain = f"input: [2, 5, 5]\nbody: [{{id: c, {conv}}}, init: bilinear}}]\n"
    normed = plain.replace("bias: false", "bias: false, reparam: weight_norm")
    a, b = (archspec.build(program(text)).c.weight for text in (plain, normed))
    assert torch.allclose(a, b)


WRONG = {
    "conv: {out: 4, kernel: 5}, init: {values: [[0, 1, 0], [1, 1, 1], [0, 1, 0]]}": (
        "`values` are [3, 3]; the weight of `c` is [4, 3, 5, 5]",
        "write [4, 3, 5, 5] or [3, 5, 5] or [5, 5]",
    ),
    "conv: {out: 4, kernel: 3}, init: {bias: {values: [1, 2]}}": (
        "`values` are [2]; the bias of `c` is [4]", "write [4]",
    ),
    "conv: {out: 4, kernel: 3}, init: {values: [[1, 2], [3]]}": (
        "`values` is a list; it takes numbers in rows of equal length", "",
    ),
    "conv: {out: 4, kernel: 3}, init: {values: [a, b]}": (
        "`values` is a list; it takes numbers in rows of equal length", "",
    ),
    "conv: {out: 4, kernel: 3}, init: values": (
        "`values` needs `val`", "write `{values: {val: [[0, 1, 0], [1, -4, 1], [0, 1, 0]]}}`",
    ),
}  # fmt: skip


@pytest.mark.parametrize("item", WRONG)
def test_numbers_that_do_not_fit_are_said(item: str) -> None:
    with pytest.raises(archspec.SpecError) as caught:
        program(f"input: [3, 8, 8]\nbody: [{{id: c, {item}}}]\n")
    (fault,) = caught.value.faults
    assert (fault.message, fault.help) == WRONG[item]


def test_the_lectures_filters(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    monkeypatch.syspath_prepend(str(Path(__file__).parent.parent / "examples"))
    import filters

    assert filters.main(tmp_path / "filters.png") < 1e-6
    assert (tmp_path / "filters.png").stat().st_size > 10_000
