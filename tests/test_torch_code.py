"""Each definition that emission copies: against torch's functions, or against numbers by hand."""

from __future__ import annotations

import ast
import builtins
import inspect
import json
import subprocess
import sys
from functools import partial
from types import ModuleType
from typing import Any

import pytest
import torch
from saved import kept
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from archspec import expressions
from archspec.emit.check import verify
from archspec.emit.torch_code import TORCHVISION, modules, source, taken

LINE = torch.arange(1.0, 7.0).reshape(1, 1, 6)  # [N, C, L]: 1 2 3 4 5 6
MAP = torch.arange(1.0, 13.0).reshape(1, 1, 3, 4)


@pytest.fixture
def detection(torchvision: Any) -> ModuleType:
    from archspec.emit.torch_code import detection

    return detection


def value(cls: type[nn.Module], *args: Any, x: Tensor, **named: Any) -> Any:
    return cls(*args, **named).eval()(x)


# ---------------------------------------------------------------- the text


def test_the_text_is_that_of_the_definitions(detection: ModuleType) -> None:
    for name, text in source().items():
        module = modules if hasattr(modules, name) else detection
        assert text == inspect.getsource(getattr(module, name)).rstrip("\n")


def test_nothing_is_left_out(detection: ModuleType) -> None:
    defined = [
        node.name
        for module in (modules, detection)
        for node in ast.parse(inspect.getsource(module)).body
        if isinstance(node, (ast.ClassDef, ast.FunctionDef))
    ]
    assert list(source()) == defined
    assert taken() > set(defined)
    assert set(TORCHVISION) < set(defined)


def test_the_last_gate_lets_all_definitions_pass() -> None:
    imports = "import math\nimport torch\nfrom torch import Tensor, nn\n"
    imports += "from torchvision.ops import nms, roi_align\n"
    verify(imports + "\n\n\n".join(source().values()) + "\n")


def test_a_definition_uses_what_stands_above_it() -> None:
    known = {"math", "torch", "nn", "Tensor", *dir(builtins)}
    for name, text in source().items():
        tree = ast.parse(text)
        bound = {n.arg for n in ast.walk(tree) if isinstance(n, ast.arg)}
        bound |= {n.id for n in names(tree) if isinstance(n.ctx, ast.Store)}
        free = {n.id for n in names(tree)} - bound - known - {TORCHVISION.get(name)}
        assert not free, name
        known.add(name)


def names(tree: ast.AST) -> list[ast.Name]:
    return [n for n in ast.walk(tree) if isinstance(n, ast.Name)]


def test_reading_the_text_never_loads_torch() -> None:
    code = (
        "import sys, json; from archspec.emit.torch_code import source; "
        "print(json.dumps([len(source()), 'torch' in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert json.loads(done.stdout) == [len(source()), False]


# ---------------------------------------------------------------- functions


def test_make_divisible_is_that_of_expressions() -> None:
    for v in [0, 1, 3.9, *range(2, 2000, 7), *(x * 1.1 for x in range(1, 700, 3))]:
        for divisor in (1, 4, 8, 16):
            expected = expressions.make_divisible(v, divisor)
            assert modules.make_divisible(v, divisor) == expected


def test_same_padding() -> None:
    for size in range(1, 12):
        for kernel in range(1, 6):
            for stride in range(1, 5):
                before, after = modules.same_padding(size, kernel - 1, stride)
                assert after - before in (0, 1)
                assert (size + before + after - kernel) // stride + 1 == -(-size // stride)


@pytest.mark.parametrize("size", [2, 3, 4])
def test_bilinear_interpolates(size: int) -> None:
    weight = torch.ones(2, 2, size, size)
    modules.bilinear_(weight)
    assert torch.equal(weight[0, 1], torch.zeros(size, size))
    row = {2: [0.5, 0.5], 3: [0.5, 1, 0.5], 4: [0.25, 0.75, 0.75, 0.25]}[size]
    expected = torch.tensor(row)
    expected = expected / expected.max() * max(row)
    torch.testing.assert_close(weight[0, 0], expected[:, None] * expected)


# ---------------------------------------------------------------- convolutions


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("mode", ["zeros", "reflect"])
def test_a_same_convolution_pads_and_convolves(rank: int, mode: str) -> None:
    x = torch.randn(2, 3, *(7, 8, 9)[:rank])
    conv = getattr(modules, f"Conv{rank}dSame")(3, 4, 3, stride=2, padding_mode=mode)
    pads = [modules.same_padding(n, 2, 2) for n in x.shape[2:]]
    padded = F.pad(
        x,
        [cells for pair in reversed(pads) for cells in pair],
        "constant" if mode == "zeros" else mode,
    )
    reference = getattr(F, f"conv{rank}d")
    torch.testing.assert_close(conv(x), reference(padded, conv.weight, conv.bias, stride=2))
    assert list(conv(x).shape[2:]) == [-(-n // 2) for n in x.shape[2:]]


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize(
    ("kernel", "stride", "dilation"), [(3, 1, 1), (3, 1, 2), (2, 1, 2), (1, 2, 1)]
)
def test_one_that_adds_as_many_cells_on_both_sides_leaves_that_to_torch(
    rank: int, kernel: int, stride: int, dilation: int
) -> None:
    x = torch.randn(2, 3, *(7, 8, 9)[:rank])
    kinds: tuple[dict[str, Any], ...] = (
        {"kernel_size": kernel, "stride": stride, "dilation": dilation},
        {"kernel_size": (kernel, 1, 1)[:rank], "stride": stride, "dilation": dilation},
    )
    for kind in kinds:
        ours = getattr(modules, f"Conv{rank}dSame")(3, 4, **kind)
        sides = [d * (k - 1) // 2 for k, d in zip(ours.kernel_size, ours.dilation, strict=True)]
        plain = getattr(nn, f"Conv{rank}d")(3, 4, padding=tuple(sides), **kind)
        plain.load_state_dict(ours.state_dict())
        assert torch.equal(ours(x), plain(x))
        assert kept(ours, partial(ours, x)) == x.nbytes


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_so_do_pools(rank: int) -> None:
    x = torch.randn(2, 3, *(7, 8, 9)[:rank])
    largest, mean = (getattr(F, f"{name}_pool{rank}d") for name in ("max", "avg"))
    for kernel, side in ((3, 1), ((3, 1, 5)[:rank], (1, 0, 2)[:rank])):
        found = value(getattr(modules, f"MaxPool{rank}dSame"), kernel, 1, x=x)
        assert torch.equal(found, largest(x, kernel, 1, side))
        found = value(getattr(modules, f"AvgPool{rank}dSame"), kernel, 1, x=x)
        assert torch.equal(found, mean(x, kernel, 1, side, count_include_pad=False))
    wide = value(getattr(modules, f"MaxPool{rank}dSame"), 3, 1, dilation=2, x=x)
    assert torch.equal(wide, largest(F.pad(x, [2] * 2 * rank, value=-1e9), 3, 1, dilation=2))


def test_a_causal_convolution_sees_the_past() -> None:
    conv = modules.Conv1dCausal(1, 1, 2, dilation=2, bias=False)
    conv.weight.data = torch.tensor([[[10.0, 1.0]]])  # ten times the one two steps ago, plus this
    assert conv(LINE).tolist() == [[[1, 2, 13, 24, 35, 46]]]


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_a_same_transposed_convolution_is_cut_to_size(rank: int) -> None:
    x = torch.randn(2, 3, *(3, 4, 5)[:rank])
    conv = getattr(modules, f"ConvTranspose{rank}dSame")(3, 4, 3, stride=2)
    whole = getattr(F, f"conv_transpose{rank}d")(x, conv.weight, conv.bias, stride=2)
    expected = whole[(..., *(slice(2 * n) for n in x.shape[2:]))]
    torch.testing.assert_close(conv(x), expected)


# ---------------------------------------------------------------- pools


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_same_pools(rank: int) -> None:
    x = torch.randn(2, 3, *(5, 6, 7)[:rank])
    pads = [modules.same_padding(n, 2, 2) for n in x.shape[2:]]
    pad = [cells for pair in reversed(pads) for cells in pair]
    largest = getattr(F, f"max_pool{rank}d")(F.pad(x, pad, value=-1e9), 3, 2)
    mean = getattr(F, f"avg_pool{rank}d")
    cells = mean(F.pad(torch.ones_like(x), pad), 3, 2)
    for cls, expected in (
        (getattr(modules, f"MaxPool{rank}dSame"), largest),
        (getattr(modules, f"AvgPool{rank}dSame"), mean(F.pad(x, pad), 3, 2) / cells),
    ):
        torch.testing.assert_close(value(cls, 3, 2, x=x), expected)
        torch.testing.assert_close(value(cls, (3,) * rank, (2,) * rank, x=x), expected)


def test_causal_pools() -> None:
    largest = value(modules.MaxPool1dCausal, 2, 1, dilation=2, x=-LINE)
    assert largest.tolist() == [[[-1, -2, -1, -2, -3, -4]]]
    assert value(modules.AvgPool1dCausal, 3, 1, x=LINE).tolist() == [[[1, 1.5, 2, 3, 4, 5]]]
    assert value(modules.AvgPool1dCausal, (3,), (1,), x=LINE).tolist() == [[[1, 1.5, 2, 3, 4, 5]]]


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_global_pools(rank: int) -> None:
    x = torch.randn(2, 3, *(5, 6, 7)[:rank])
    mean = value(getattr(modules, f"GlobalAvgPool{rank}d"), x=x)
    torch.testing.assert_close(mean, x.flatten(2).mean(2))
    assert torch.equal(value(getattr(modules, f"GlobalMaxPool{rank}d"), x=x), x.flatten(2).amax(2))


# ---------------------------------------------------------------- one tensor


@pytest.mark.parametrize("name", ["LayerNorm", "RMSNorm"])
def test_norms_over_channels(name: str) -> None:
    x = torch.randn(2, 5, 3, 4)
    over_last = getattr(nn, name)(5)(x.permute(0, 2, 3, 1))
    over_channels = value(getattr(modules, f"Channel{name}"), 5, x=x)
    torch.testing.assert_close(over_channels, over_last.permute(0, 3, 1, 2))


def test_small_modules() -> None:
    x = torch.randn(2, 6, 3)
    assert torch.equal(value(modules.Abs, x=x), x.abs())
    assert torch.equal(value(modules.Maxout, 2, x=x), torch.maximum(x[:, ::2], x[:, 1::2]))
    assert value(modules.Maxout, 3, -1, x=LINE).tolist() == [[[3, 6]]]
    assert torch.equal(value(modules.Scale, 0.5, x=x), 0.5 * x)
    assert torch.equal(value(modules.Reshape, 9, 2, x=x), x.reshape(2, 9, 2))
    assert torch.equal(value(modules.Permute, 0, 2, 1, x=x), x.transpose(1, 2))
    assert torch.equal(value(modules.Select, 1, -1, x=x), x[:, -1])
    assert torch.equal(value(modules.Slice, 1, 1, None, 2, x=x), x[:, 1::2])
    assert value(modules.Pad, (1, 2), 9.0, x=LINE).tolist() == [[[9, 1, 2, 3, 4, 5, 6, 9, 9]]]
    assert value(modules.Roll, 1, -1, x=LINE).tolist() == [[[6, 1, 2, 3, 4, 5]]]


def test_crops() -> None:
    middle = [[[[2, 3], [6, 7]]]]  # rows 0 and 1 of three, columns 1 and 2 of four
    like = torch.zeros(1, 7, 2, 2)
    assert value(modules.CenterCrop, 2, 2, x=MAP).tolist() == middle
    assert modules.CropLike(2)(MAP, like).tolist() == middle
    assert modules.CropAt(1, 2)(MAP, like).tolist() == [[[[7, 8], [11, 12]]]]
    assert value(modules.Crop, (1, 2), (2, 1), x=MAP).tolist() == [[[[7], [11]]]]


# ---------------------------------------------------------------- attention, noise, positions


@pytest.mark.parametrize("causal", [False, True])
def test_attention_to_itself(causal: bool) -> None:
    x = torch.randn(2, 5, 8)
    cls = modules.CausalSelfAttention if causal else modules.SelfAttention
    attention = cls(8, 2, batch_first=True)
    parts = F.linear(x, attention.in_proj_weight, attention.in_proj_bias)
    heads = (part.reshape(2, 5, 2, 4).transpose(1, 2) for part in parts.chunk(3, 2))
    mixed = F.scaled_dot_product_attention(*heads, is_causal=causal)
    expected = attention.out_proj(mixed.transpose(1, 2).flatten(2))
    torch.testing.assert_close(attention(x), expected)


def test_a_path_is_dropped_by_sample() -> None:
    x = torch.ones(64, 3, 2)
    torch.manual_seed(0)
    out = modules.DropPath(0.5)(x)
    assert {tuple(sample.flatten().tolist()) for sample in out} == {(0.0,) * 6, (2.0,) * 6}
    assert value(modules.DropPath, 0.5, x=x) is x
    assert modules.DropPath(1.0)(x).sum() == 0


def test_noise_is_for_training() -> None:
    x = torch.randn(2, 3)
    assert value(modules.GaussianNoise, 1.0, x=x) is x
    torch.manual_seed(0)
    noisy = modules.GaussianNoise(2.0)(x)
    torch.manual_seed(0)
    torch.testing.assert_close(noisy, x + 2 * torch.randn(2, 3))


def test_a_draw_from_a_normal_distribution() -> None:
    mean, log_var = torch.randn(2, 3), torch.randn(2, 3)
    sample = modules.SampleNormal()
    torch.manual_seed(0)
    drawn = sample(mean, log_var)
    torch.manual_seed(0)
    torch.testing.assert_close(drawn, mean + (log_var / 2).exp() * torch.randn(2, 3))
    assert sample.eval()(mean, log_var) is mean


def test_sine_positions() -> None:
    steps, size = 4, 6
    code = value(modules.SinePositions, x=torch.zeros(1, steps, size))[0]
    for t in range(steps):
        for i in range(size // 2):
            angle = torch.tensor(t / 10000 ** (2 * i / size))
            torch.testing.assert_close(code[t, 2 * i], angle.sin())
            torch.testing.assert_close(code[t, 2 * i + 1], angle.cos())


# ---------------------------------------------------------------- detection


def test_points_of_a_map_in_the_image(detection: ModuleType) -> None:
    map, image = torch.zeros(2, 5, 2, 3), torch.zeros(2, 3, 8, 24)  # a cell is 4 x 8 of the image
    middles = detection.GridPoints()(map, image)
    assert middles.tolist() == [[[[4, 12, 20]] * 2, [[2] * 3, [6] * 3]]] * 2
    corners = detection.GridPoints(0.0)(map, image)
    assert corners[0].tolist() == [[[0, 8, 16]] * 2, [[0] * 3, [4] * 3]]
    own = detection.GridPoints()(map)
    assert own[0].tolist() == [[[0.5, 1.5, 2.5]] * 2, [[0.5] * 3, [1.5] * 3]]


def test_anchors_stand_at_every_cell(detection: ModuleType) -> None:
    boxes = detection.AnchorBoxes(4.0, (1.0,), top=3)
    objectness = torch.tensor([[[[1.0, 4.0], [3.0, 2.0]]]])
    image = torch.zeros(1, 3, 8, 8)  # a cell of the map is 4 x 4 of the image
    found, scores = boxes(objectness, torch.zeros(1, 4, 2, 2), image)
    assert found.tolist() == [[[2, 0, 6, 2], [0, 2, 2, 6], [2, 2, 6, 6]]]
    torch.testing.assert_close(scores, torch.tensor([[4.0, 3.0, 2.0]]).sigmoid())


def test_a_box_moves_and_grows(detection: ModuleType) -> None:
    deltas = torch.zeros(1, 4, 1, 1)
    deltas[0, :, 0, 0] = torch.tensor([0.5, 0.0, torch.tensor(2.0).log(), 0.0])
    found, _ = detection.AnchorBoxes(4.0, (1.0,))(
        torch.zeros(1, 1, 1, 1), deltas, torch.zeros(1, 3, 8, 8)
    )
    torch.testing.assert_close(found, torch.tensor([[[0.0, 0.0, 6.0, 2.0]]]))  # cut at the edges


def test_overlapping_boxes_become_zero(detection: ModuleType) -> None:
    boxes = torch.tensor([[[0.0, 0, 4, 4], [0, 0, 4, 3], [8, 8, 9, 9]]])
    scores = torch.tensor([[0.5, 0.9, 0.1]])
    left, kept = detection.Nms(0.5)(boxes, scores)
    torch.testing.assert_close(kept, torch.tensor([[0.0, 0.9, 0.1]]))
    assert left.tolist() == [[[0, 0, 0, 0], [0, 0, 4, 3], [8, 8, 9, 9]]]


def test_boxes_are_cut_out_of_the_map_of_their_size(detection: ModuleType) -> None:
    boxes = torch.tensor([[[0.0, 0, 224, 224], [0, 0, 64, 64]]])
    maps = [torch.full((1, 2, 224 // s * 2, 224 // s * 2), float(s)) for s in (8, 16)]
    cut = detection.RoiAlign(2, (8, 16), 2)(boxes, *maps)
    assert cut.shape == (1, 2, 2, 2, 2)
    assert cut[0, 0].unique().tolist() == [16]
    assert cut[0, 1].unique().tolist() == [8]
