"""Networks that a reviewer once sent back: what their source says now, and never says again."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from test_lowering import check, module_class

from archspec.network import Program, load, loads

NETWORKS = Path(__file__).resolve().parent / "reviewed"
CLASSES = {
    "clip": ["QuickGelu", "Layer", "CausalLayer", "Clip"],
    "pix2pix": ["Skip", "Pix2pix"],
    "pspnet": ["Stage", "Pspnet"],
    "ssd": ["ConvRelu", "L2Norm", "Predict", "Ssd"],
    "wavenet": ["Conv1dCausal", "Layer", "Wavenet"],
    "yolov5": ["Conv", "Bottleneck", "C3", "SPPF", "Yolov5"],
    "yolov8": ["Conv", "Bottleneck", "C2f", "Yolov8s"],
}
SAYS = {
    "clip": ["fc1 = nn.Linear(in_features, 4 * in_features)", "nn.Linear(4 * in_features, in_feat"],
    "pix2pix": [
        "self, in_channels: int, widths: tuple[int, ...], dropout: tuple[bool, ...]",
        "Skip(widths[0], widths=widths[1:], dropout=dropout[1:]) if len(widths) > 1 else None",
        "self.skip = Skip(\n            width,\n            widths=(2 * width, 4 * width,",
    ],
    "pspnet": [
        "self.stages = nn.ModuleList(Stage(64, size) for size in (1, 2, 3, 6))",
        "torch.cat([layer(x) for layer in self.stages], 1)",
    ],
    "ssd": ["nn.functional.normalize(x) * self.scale_weight.view(-1, 1, 1)", "6 * cols, 3"],
    "wavenet": [
        "Layer(width, dilation=2 ** (k % 10), skip=skip) for k in range(30)",
        "            x, skip = layer(x)\n            skips.append(skip)\n",
    ],
    "yolov5": [
        "in_channels: int, out: int, kernel: int = 1, stride: int = 1) ->",
        "padding=(kernel",
    ],
    "yolov8": ["for _ in range(n)", "torch.cat([halves0, halves1, *m], 1)"],
}
NEVER = {
    "clip": r"3072|\bnn\.Identity",
    "pix2pix": r"Skip\d|tuple\[int, int\]",
    "pspnet": r"Stages?\d",
    "ssd": r"shape\d|out\d|expand",
    "wavenet": r"layer\d|skip\d",
    "yolov5": r"padding\d|padding: int",
    "yolov8": r"C2f[N\d]",
}


@pytest.fixture(scope="module", params=sorted(CLASSES))
def program(request: pytest.FixtureRequest) -> Program:
    return load(NETWORKS / f"{request.param}.yaml")


def test_they_are_said_as_one_would(program: Program, request: pytest.FixtureRequest) -> None:
    name = request.node.callspec.params["program"]
    assert re.findall(r"^class (\w+)", program.code, re.MULTILINE) == CLASSES[name]
    assert [line for line in SAYS[name] if line not in program.code] == []
    assert re.findall(NEVER[name], program.code) == []


def test_they_compute_what_the_graph_says(program: Program) -> None:
    check(program)


def test_a_recursion_over_a_list_takes_another_list() -> None:
    """U-Nets of pix2pix at another depth: the class is the spec's at these params."""
    unet = module_class(load(NETWORKS / "pix2pix.yaml"))(width=4)
    skip = type(unet.skip)(3, widths=(5, 6, 7), dropout=(False, True, False))
    assert skip.inner.inner.inner is None
    assert skip(torch.randn(2, 3, 16, 16)).shape == (2, 6, 16, 16)


def test_a_number_in_one_call_and_a_word_in_all_others() -> None:
    """`padding: half` with one exception: that one's class takes a number, no other does."""
    text = (NETWORKS / "yolov5.yaml").read_text(encoding="utf-8")
    program = loads(text.replace("stride: 2, padding: 2}", "stride: 2, padding: 1}"))
    check(program)
    classes = re.findall(r"^class (\w+)", program.code, re.MULTILINE)
    assert classes == ["ConvWithPadding", *CLASSES["yolov5"]]
    assert "ConvWithPadding(3, width, padding=1, kernel=6, stride=2)" in program.code
    assert program.code.count("padding: int") == 1
    assert '"half"' not in program.code
