"""Formulas of papers in a spec: logarithms, roots, lists of lists, and what is written of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from arguments import lies
from test_lowering import check

from archspec.network import loads
from archspec.text.faults import SpecError

# Efficient channel attention: the kernel follows from the channels (arXiv 1910.03151, eq. 12).
ECA = """
spec: 1
name: eca
params: {gamma: 2, width: 64}
input: [3, 16, 16]
blocks:
  Eca:
    params: {gamma: 2}
    body:
      - {id: x, identity: }
      - global_avg_pool
      - reshape: [1, "$(input.channels)"]
      - conv:
          out: 1
          kernel: "$(int(abs((log2(input.channels) + 1) / gamma)) // 2 * 2 + 1)"
          padding: half
          bias: false
      - sigmoid
      - reshape: ["$(input.channels)", 1, 1]
      - mul: [x, prev]
body:
  - conv: {out: $width, kernel: 3}
  - Eca: $gamma
  - conv: {out: 256, kernel: 3}
  - Eca: $gamma
  - scale: $(sqrt(width))
"""
WIDTHS = """
spec: 1
params: {widths: [16, 4, 8], least: 4}
input: [3, 16, 16]
body:
  - repeat: {w: "$([2 * w for w in sorted(widths) if w > least])"}
    conv: {out: $w, kernel: 3}
"""


def test_a_kernel_follows_from_a_logarithm(tmp_path: Path) -> None:
    program = loads(ECA)
    assert "kernel" not in program.code  # it is by position
    assert "2 * (int(abs((math.log2(in_channels) + 1) / gamma)) // 2) + 1" in program.code
    assert "self.factor = math.sqrt(width)" in program.code
    check(program)
    assert not any(lies(program, tmp_path))
    found = {p.name: p.shape for p in program.graph.at("eca2.conv1").weights()}
    assert found == {"weight": (1, 1, 5)}


def test_columns_are_a_list_of_a_list() -> None:
    program = loads(WIDTHS)
    shapes = [step.outs[0].shape[0] for step in program.graph.steps if step.op == "conv"]
    assert shapes == [16, 32]
    check(program)
    longer = loads(WIDTHS, least=0)
    assert [s.outs[0].shape[0] for s in longer.graph.steps if s.op == "conv"] == [8, 16, 32]


FREE = "spec: 1\ninput: [3, {H: 16}, 16]\nbody:\n"


def test_a_free_axis_goes_through_formulas() -> None:
    program = loads(
        f"{FREE}  - scale: $(1.0 / sqrt(input.height))\n"
        '  - scale: "$(sum([k * input.height for k in range(3)]))"\n'
    )
    assert "x * (1.0 / math.sqrt(x.shape[2])) * (3 * x.shape[2])" in program.code
    check(program)


@pytest.mark.parametrize(
    "value",
    [
        "$(sum([k for k in range(input.height)]))",
        "$(sum([k for k in [1, 2] if k < input.height]))",
        "$([k if input.height > 3 else 1.5 for k in [1, 2]][0])",
        "$(len(range(input.height)))",
    ],
)
def test_a_free_axis_that_decides_how_long_a_list_is_is_refused(value: str) -> None:
    with pytest.raises(SpecError) as caught:
        loads(f'{FREE}  - scale: "{value}"\n')
    (fault,) = caught.value.faults
    assert fault.code == "E326"
    assert "follows from the free axis `H`" in fault.message
