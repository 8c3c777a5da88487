"""Every layer and example against torch: shapes, weights, MACs, windows, what backward keeps."""

from __future__ import annotations

import gc
import inspect
import itertools
import math
import random
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from pydantic import ValidationError
from torch import nn
from torch.nn import functional as F  # noqa: N812
from torch.nn.utils import parametrizations
from torch.utils.flop_counter import FlopCounterMode

from archspec.emit.torch_code import modules
from archspec.expressions import parse
from archspec.expressions.sym import Sym, evaluate, plain, written
from archspec.layers import REGISTRY, create, examine, register, registry
from archspec.layers.base import MISSING, BadArgument, Call, Layer, Mismatch, TensorType
from archspec.layers.strides import in_order

NAMES: dict[str, Any] = {"torch": torch, "nn": nn, "F": F, "math": math, "Tensor": torch.Tensor}
NAMES.update(vars(modules))


@pytest.fixture(autouse=True, scope="module")
def _ops(torchvision: Any) -> None:
    from archspec.emit.torch_code import detection

    NAMES.update(vars(detection))


DTYPES = {"float": torch.float32, "int": torch.int64, "bool": torch.bool}
Example = tuple[Layer, tuple[TensorType, ...]]


def examples() -> Iterator[Any]:
    for op, cls in REGISTRY.items():
        for i, (args, shapes) in enumerate(cls.examples):
            dtypes = (*cls.example_dtypes, *("float",) * len(shapes))
            ins = tuple(TensorType(s, d) for s, d in zip(shapes, dtypes, strict=False))
            yield pytest.param((create(op, args), ins), id=f"{op}-{i}")


ALL = list(examples())
every = pytest.mark.parametrize("example", ALL)


def those(wanted: Callable[[Example], bool]) -> Any:
    """The examples of which something holds."""
    return pytest.mark.parametrize("example", [p for p in ALL if wanted(p.values[0])])


def made(call: Call) -> Any:
    """The module (or parameter) that a call constructs, arguments at their default left out."""
    if call.target is None:
        return None
    target = eval(call.target, NAMES)
    positional, keywords = [], {}
    for a in call.args:
        if a.default is not MISSING and a.value == a.default and type(a.value) is type(a.default):
            continue
        if a.name is None:
            positional.append(a.value)
        else:
            keywords[a.name] = a.value
    module = target(*positional, **keywords)
    if call.wrap == "nn.Parameter":
        return nn.Parameter(module)
    if call.wrap == "nn.Buffer":
        return nn.Buffer(module, persistent=call.persistent)
    return module if call.wrap is None else getattr(parametrizations, call.wrap)(module)


def run(call: Call, module: Any, *inputs: torch.Tensor | None) -> tuple[torch.Tensor, ...]:
    """What a call returns."""
    names = {f"x{i}": x for i, x in enumerate(inputs)} | {a.name: a.value for a in call.free}
    r = eval(call.forward, NAMES | names | {"self": module})
    return tuple(eval(text, NAMES | {"r": r}) for text in call.results)


def tensors(ins: tuple[TensorType | None, ...], device: str = "cpu", batch: int = 2) -> list[Any]:
    return [
        None if t is None
        else torch.randn(batch, *t.shape, device=device) if t.dtype == "float"
        else torch.zeros(batch, *t.shape, dtype=DTYPES[t.dtype], device=device)
        for t in ins
    ]  # fmt: skip


def shapes(outs: tuple[torch.Tensor, ...], call: Call) -> list[tuple[int, ...]]:
    return [tuple(o.shape) if call.batchless else tuple(o.shape[1:]) for o in outs]


@those(lambda example: all(t is not None and t.dtype == "float" for t in example[1]))
def test_a_network_made_double_stays_so(example: Example) -> None:
    layer, ins = example
    call, outs = layer.call(*ins), layer.infer(*ins)
    with torch.device("meta"):
        module = made(call)
    if call.batchless and not ins:
        return
    module = module.double().eval() if isinstance(module, nn.Module) else module
    found = run(call, module, *[x.double() for x in tensors(ins, "meta")])
    assert [f.dtype for f, o in zip(found, outs, strict=True) if o.dtype == "float"] == [
        torch.float64 for o in outs if o.dtype == "float"
    ]


@every
def test_shapes_weights_macs(example: Example) -> None:
    layer, ins = example
    outs = layer.infer(*ins)
    call = layer.call(*ins)
    assert len(outs) == len(layer.gives) == len(call.results)
    with torch.device("meta"):
        module = made(call)
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()  # one sample has no variance
        counter = FlopCounterMode(display=False)
        with counter:
            found = run(call, module, *tensors(ins, "meta", 1))
    if call.batchless and not ins:
        assert [tuple(f.shape) for f in found] == [w.shape for w in layer.weights(*ins)]
        assert [f.dtype for f in found] == [DTYPES[o.dtype] for o in outs]
        return
    assert shapes(found, call) == [o.shape for o in outs]
    assert [f.dtype for f in found] == [DTYPES[o.dtype] for o in outs]
    state = {} if module is None else module.state_dict()
    assert [(w.name, w.shape) for w in layer.weights(*ins)] == [
        (n, tuple(t.shape)) for n, t in state.items()
    ]
    trained = {n for n, _ in module.named_parameters()} if module is not None else set()
    assert {w.name for w in layer.weights(*ins) if not w.buffer} == trained
    assert {w.name: DTYPES[w.dtype] for w in layer.weights(*ins)} == {
        n: t.dtype for n, t in state.items()
    }
    assert layer.macs(ins, outs) * 2 == counter.get_total_flops()


@every
def test_as_a_module_in_a_sequential(example: Example) -> None:
    layer, ins = example
    call, alone = layer.call(*ins), layer.module(*ins)
    if alone.target is None:
        several = len(ins) != 1 or len(layer.takes) > 1 or len(layer.gives) > 1
        assert several or layer.takes == ("*",) or call.batchless
        return
    assert (alone.forward, alone.results) == ("self(x0)", ("r",)) or len(ins) > 1
    torch.manual_seed(0)
    module = made(call)
    torch.manual_seed(0)
    other = made(alone)
    if isinstance(module, nn.Module):
        assert list(module.state_dict()) == list(other.state_dict())
        module.eval()
    other.eval()
    xs = tensors(ins)
    with torch.no_grad():
        (one,), (two,) = run(call, module, *xs), run(alone, other, *xs)
    assert torch.allclose(one, two, rtol=0, atol=0, equal_nan=True)


@every
def test_sizes_that_remember_pass_through(example: Example) -> None:
    """With sizes under names, arguments and outputs are the same, and written in these names."""
    layer, ins = example
    names = {
        f"x{i}_{a}": n
        for i, t in enumerate(ins)
        for a, n in enumerate(t.shape if t is not None else ())
    }
    named = [
        replace(t, shape=tuple(Sym.of(f"x{i}_{a}", n) for a, n in enumerate(t.shape)))
        if t is not None
        else None
        for i, t in enumerate(ins)
    ]
    assert layer.infer(*named) == layer.infer(*ins)
    for out in layer.infer(*named):
        assert plain(evaluate(written(out.shape), names)) == out.shape
    for plainly, named_too in zip(calls(layer, ins), calls(layer, named), strict=True):
        assert named_too == plainly
        for a in (*named_too.args, *named_too.free):
            assert plain(evaluate(written(a.value), names)) == plain(a.value)


def calls(layer: Layer, ins: Any) -> list[Call]:
    return [layer.call(*ins), layer.module(*ins)]


@pytest.mark.filterwarnings("ignore:The tensor attributes self.inner._flat_weights")
@every
def test_compiles_to_one_graph(example: Example) -> None:
    layer, ins = example
    call = layer.call(*ins)
    module = made(call)
    if isinstance(module, nn.Module):
        module.eval()

    class Whole(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = module

        def forward(self, *xs: Any) -> Any:
            return run(call, self.inner, *xs)

    whole = Whole()
    xs = tensors(ins)
    expected = whole(*xs)
    if not ins:
        return
    found = torch.export.export(whole, tuple(xs)).module()(*xs)
    for one, two in zip(expected, found, strict=True):
        assert torch.allclose(one, two, equal_nan=True, atol=1e-6)


def box(
    layer: Layer, ins: tuple[TensorType, ...], place: tuple[int, ...], i: int
) -> list[set[int]]:
    """The cells of input `i` that an output cell may read, by the layer's windows."""
    found = []
    for reach, n in zip(layer.reach(*ins)[i], ins[i].shape, strict=True):
        if reach.axis is None:
            found.append(set(range(n)))
            continue
        w, o = reach.window, place[reach.axis]
        low, high = -(-(w.stride * o + w.lo) // w.up), (w.stride * o + w.hi) // w.up
        cells = range(max(low, 1 - n), min(high, 2 * n - 2) + 1)
        found.append({one for cell in cells for one in standing(w.beyond, cell, n)})
    return found


def standing(beyond: str, cell: int, n: int) -> list[int]:
    """The cell of a map that torch's padding puts there, if any."""
    if 0 <= cell < n or beyond == "zeros":
        return [cell] if 0 <= cell < n else []
    row = torch.arange(n, dtype=torch.float32)[None]
    padded = nn.functional.pad(row, (n - 1, n - 1), mode=beyond)
    return [int(padded[0, cell + n - 1])]


def has_windows(example: Example) -> bool:
    """Whether there is a reach to follow: numbers come in, and not all of them are seen."""
    layer, ins = example
    # slow, and nothing is out of its reach; no gradient flows
    still = ("anchor_boxes", "argmax", "detach", "grid_points", "shift_mask")
    whole = layer.family == "recurrent" or layer.op in still
    return bool(ins) and all(t.dtype == "float" for t in ins) and not whole


@those(has_windows)
def test_windows_hold_the_gradient(example: Example) -> None:
    layer, ins = example
    call = layer.call(*ins)
    torch.manual_seed(1)
    module = made(call)
    if isinstance(module, nn.Module):
        if layer.op != "sample_normal":
            module.eval()
        for p in module.parameters():
            nn.init.uniform_(p, 0.1, 1.0)
    xs = [torch.rand(1, *t.shape) + 0.1 for t in ins]
    for x in xs:
        x.requires_grad_()
    out = run(call, module, *xs)[0]
    places = list(itertools.product(*(range(n) for n in out.shape[1:])))
    for place in places[:: max(1, len(places) // 24)] + places[-1:]:
        grads = torch.autograd.grad(out[(0, *place)], xs, retain_graph=True, allow_unused=True)
        for i, g in enumerate(grads):
            if g is None:
                continue
            cells = box(layer, ins, place, i)
            for cell in g[0].nonzero().tolist():
                assert all(c in r for c, r in zip(cell, cells, strict=True)), (place, cell, cells)


def kept_by_torch(layer: Layer, ins: tuple[TensorType, ...]) -> int:
    """Bytes that autograd keeps for one sample, weights left out; kept twice counts once."""
    module = made(layer.call(*ins))
    own: set[int] = set()
    if isinstance(module, nn.Module):
        own = {p.untyped_storage().data_ptr() for p in (*module.parameters(), *module.buffers())}
    xs = tensors(ins, batch=4)
    for x in xs:
        if x.dtype == torch.float32:
            x.requires_grad_()
    kept: dict[int, int] = {}
    alive = []

    def pack(t: torch.Tensor) -> torch.Tensor:
        at = t.untyped_storage().data_ptr()
        if at not in own and t.numel() >= 4 and t.shape[:1] != () and t.numel() % 4 == 0:
            whole = t.untyped_storage().nbytes()
            shown = min(whole, t.numel() * t.element_size())  # an expanded one holds no more
            kept[at] = max(kept.get(at, 0), whole if layer.op == "attention" else shown)
            alive.append(t)
        return t

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        outs = run(layer.call(*ins), module, *xs)
    del outs
    return sum(kept.values()) // 4


# Recurrent layers keep what their kernel likes; batch norm its statistics, whatever the batch.
# What stands in for torchvision's roi_align keeps more than its kernel. Log sigmoid has a buffer on
# the CPU alone.
_OTHERWISE = {"lstm", "gru", "rnn", "batch_norm", "rms_norm", "roi_align", "log_sigmoid"}


def is_kept_as_said(example: Example) -> bool:
    """Whether torch on the CPU keeps what a GPU would keep too, for each sample."""
    layer, ins = example
    if layer.op in (
        "rotary",
        "sine_embedding",
        "relative_position_bias",
    ):  # a table, once for all of them
        return False
    counts = layer.op == "avg_pool" and (layer.call(*ins).target or "").endswith(("Same", "Causal"))
    reparam = getattr(layer, "reparam", None)
    return bool(ins) and layer.op not in _OTHERWISE and not reparam and not counts


@those(is_kept_as_said)
def test_what_backward_keeps(example: Example) -> None:
    layer, ins = example
    kept, outs = layer.keeps(*ins), layer.infer(*ins)
    steps = kept.factors[2:] + kept.compared[2:]
    own = kept.bytes + kept.between * len(steps)
    sizes = {i: (4, *t.shape) for i, t in enumerate(ins) if t is not None}
    given = {i: (one, in_order(one)) for i, one in sizes.items()}
    for place in {*kept.inputs, *kept.factors, *kept.compared, *kept.alone}:
        own += ins[place].bytes * max(layer.copies(place, given), 1)
    assert own + sum(outs[i].bytes for i in kept.outputs) == kept_by_torch(layer, ins)


# ------------------------------------------------------------------ random arguments


def per_axis(draw: random.Random, values: list[int], n: int) -> Any:
    return draw.choice(values) if draw.random() < 0.7 else [draw.choice(values) for _ in range(n)]


def random_case(draw: random.Random) -> tuple[str, dict[str, Any], tuple[int, ...]]:
    """An op with a window, arguments (good or bad), an input shape."""
    n = draw.choice([1, 2, 2, 3])
    shape = (draw.choice([1, 2, 4, 6]), *(draw.randint(1, 12 if n < 3 else 6) for _ in range(n)))
    op = draw.choice(["conv", "conv_transpose", "max_pool", "avg_pool", "lp_pool", "upsample"])
    if op == "upsample":
        mode = draw.choice(["nearest", "area", {1: "linear", 2: "bilinear", 3: "trilinear"}[n]])
        key, values = draw.choice([("scale", [1, 2, 3, 1.5, 0.5]), ("size", [1, 2, 3, 7])])
        return op, {key: per_axis(draw, values, n), "mode": mode}, shape
    fields = REGISTRY[op].model_fields
    word = draw.choice(["half", "same", "full", "valid", "causal"])
    options = {
        "stride": per_axis(draw, [1, 2, 3], n),
        "padding": draw.choice([per_axis(draw, [0, 1, 2, 3], n), word]),
        "dilation": per_axis(draw, [1, 2, 3], n),
        "groups": draw.choice([1, 2, "depthwise"]),
        "output_padding": per_axis(draw, [0, 1, 2], n),
        "ceil": draw.choice([True, False]),
        "count_include_pad": draw.choice([True, False]),
        "bias": draw.choice([True, False]),
    }
    args = {k: v for k, v in options.items() if k in fields and draw.random() < 0.4}
    args |= {"out": draw.choice([1, 2, 4, 6])} if "out" in fields else {}
    return op, args | {"kernel": per_axis(draw, [1, 2, 3, 4, 5], n)}, shape


def refused(layer: Layer, t: TensorType, x: torch.Tensor) -> bool:
    """Whether torch raises, or has nothing to return."""
    try:
        call = layer.call(t)
        return run(call, made(call), x)[0].numel() == 0
    except (RuntimeError, ValueError, TypeError):
        return True


@pytest.mark.parametrize("seed", range(6))
def test_random_windows(seed: int) -> None:
    """What is accepted runs in torch, same shape and MACs; what is refused torch refuses."""
    draw = random.Random(seed)
    for _ in range(120):
        op, args, shape = random_case(draw)
        t = TensorType(shape)
        try:
            layer = create(op, args)
        except BadArgument:
            continue
        x = torch.rand(1, *shape)
        try:
            outs = layer.infer(t)
        except Mismatch:
            if isinstance(args.get("padding"), str) or args.get("groups") == "depthwise":
                continue
            assert refused(layer, t, x), (op, args, shape)
            continue
        call = layer.call(t)
        with torch.device("meta"), FlopCounterMode(display=False) as counter:
            run(call, made(call), x.to("meta"))
        found = run(call, made(call), x)[0]
        assert tuple(found.shape[1:]) == outs[0].shape, (op, args, shape)
        assert 2 * layer.macs((t,), outs) == counter.get_total_flops(), (op, args, shape)


# ------------------------------------------------------------------ defaults

_TORCH = {
    "kernel": "kernel_size",
    "ceil": "ceil_mode",
    "affine": "elementwise_affine",
    "layers": "num_layers",
    "scale": "scale_factor",
}


@every
def test_defaults_are_torchs(example: Example) -> None:
    layer, ins = example
    call = layer.call(*ins)
    if call.target is None or not call.target.startswith("nn."):
        return
    cls = nn.RNNBase if layer.family == "recurrent" else eval(call.target, NAMES)
    parameters = inspect.signature(cls.__init__).parameters
    for name, field in type(layer).model_fields.items():
        torch_name = name if name in parameters else _TORCH.get(name, name)
        if torch_name not in parameters or field.is_required():
            continue
        default = parameters[torch_name].default
        if (layer.op, name) in {("layer_norm", "axis"), ("rms_norm", "axis"), ("lstm", "layers")}:
            continue
        if default is not inspect.Parameter.empty:
            assert field.default == default, name
    for a in call.args:
        if a.name in parameters and a.default is not MISSING and a.name != "stride":
            expected = parameters[a.name].default
            if a.name not in ("kdim", "vdim"):
                assert a.default == expected, a.name


# ------------------------------------------------------------------ numbers against torch functions


def value(op: str, args: dict[str, Any], *xs: torch.Tensor, training: bool = False) -> torch.Tensor:
    layer = create(op, args)
    ins = tuple(TensorType(tuple(x.shape[1:])) for x in xs)
    call = layer.call(*ins)
    module = made(call)
    if isinstance(module, nn.Module):
        module.train(training)
    return run(call, module, *xs)[0]


def test_values() -> None:
    x, y = torch.randn(2, 4, 6, 6), torch.randn(2, 4, 6, 6)
    assert torch.equal(value("mean", {}, x, y), (x + y) / 2)
    assert torch.equal(value("max", {}, x, y), torch.maximum(x, y))
    assert torch.equal(value("sub", {}, x, y), x - y)
    assert torch.equal(value("concat", {}, x, y), torch.cat([x, y], 1))
    assert torch.equal(value("maxout", {"pieces": 2}, x), torch.maximum(x[:, ::2], x[:, 1::2]))
    assert torch.equal(value("flatten", {}, x), x.flatten(1))
    assert torch.equal(value("roll", {"shifts": [1, 2]}, x), x.roll((1, 2), (2, 3)))
    assert torch.equal(value("crop", {"size": 3}, x), x[:, :, 1:4, 1:4])
    assert torch.equal(value("crop", {}, x, y[..., 1:4, :5]), x[:, :, 1:4, :5])
    assert torch.equal(
        value("pad", {"amounts": [1, 0], "axis": 0}, x), F.pad(x, (0, 0, 0, 0, 1, 0))
    )
    assert torch.equal(value("pad", {"amounts": [[1, 0], 2]}, x), F.pad(x, (2, 2, 1, 0)))
    assert torch.equal(value("abs", {}, x), x.abs())
    assert torch.equal(value("drop_path", {"p": 0.5}, x), x)
    assert torch.equal(value("sample_normal", {}, x, y), x)
    assert torch.equal(value("scale", {"factor": 3}, x), x * 3)
    norm = F.layer_norm(x.permute(0, 2, 3, 1), [4]).permute(0, 3, 1, 2)
    assert torch.allclose(value("layer_norm", {"axis": "channels"}, x), norm, atol=1e-6)


def test_same_padding_as_in_tensorflow() -> None:
    x = torch.arange(1.0, 6.0).reshape(1, 1, 5).requires_grad_(False)
    # TensorFlow: max_pool1d([1..5], 2, 2, "SAME") = [2, 4, 5]; avg = [1.5, 3.5, 5]
    assert value("max_pool", {"kernel": 2, "padding": "same"}, x).flatten().tolist() == [2, 4, 5]
    assert value("avg_pool", {"kernel": 2, "padding": "same"}, x).flatten().tolist() == [
        1.5,
        3.5,
        5,
    ]
    same = value("avg_pool", {"kernel": 3, "stride": 1, "padding": "same"}, x)
    assert same.flatten().tolist() == [1.5, 2, 3, 4, 4.5]
    causal = value("max_pool", {"kernel": 2, "stride": 1, "padding": "causal"}, -x)
    assert causal.flatten().tolist() == [-1, -1, -2, -3, -4]


@pytest.mark.parametrize(
    ("size", "kernel", "stride"),
    [(224, 3, 2), (225, 3, 2), (7, 1, 2), (9, 2, 3), (10, 2, 3), (11, 2, 3), (8, 5, 1)],
)
def test_same_sizes(size: int, kernel: int, stride: int) -> None:
    layer = create("conv", {"out": 1, "kernel": kernel, "stride": stride, "padding": "same"})
    t = TensorType((1, size))
    assert layer.infer(t)[0].shape == (1, -(-size // stride))
    assert tuple(run(layer.call(t), made(layer.call(t)), torch.randn(1, 1, size))[0].shape[1:]) == (
        1,
        -(-size // stride),
    )


def test_drop_path_drops_samples() -> None:
    torch.manual_seed(0)
    x = torch.ones(64, 3, 2)
    out = value("drop_path", {"p": 0.25}, x, training=True)
    sums = out.flatten(1).sum(1)
    assert set(sums.tolist()) == {0.0, 8.0}
    assert 8 <= (sums == 0).sum() <= 26
    assert value("drop_path", {"p": 1}, x, training=True).sum() == 0


def test_sine_positions() -> None:
    found = value("sine_positions", {}, torch.zeros(1, 5, 4))[0]
    expected = [
        [f(t / 10000 ** (2 * i / 4)) for i in range(2) for f in (math.sin, math.cos)]
        for t in range(5)
    ]
    assert torch.allclose(found, torch.tensor(expected), atol=1e-6)


def test_attention_masks() -> None:
    layer = create("attention", {"heads": 2})
    seq, mask, pad = TensorType((3, 4)), TensorType((3, 3), "bool"), TensorType((3,), "bool")
    call = layer.call(seq, None, None, mask)
    module = made(call).eval()
    x = torch.randn(2, 3, 4)
    hidden = torch.ones(3, 3, dtype=torch.bool).triu(1).expand(2, 3, 3)
    masked = run(call, module, x, None, None, hidden)[0]
    causal = create("attention", {"heads": 2, "causal": True}).call(seq)
    assert torch.allclose(masked, run(causal, module, x)[0], atol=1e-6)
    call = layer.call(seq, None, None, None, pad)
    hide = torch.tensor([[False, False, True]] * 2)
    padded = run(call, module, x, None, None, None, hide)[0]
    x[:, 2] = 0
    assert torch.allclose(
        padded[:, :2], run(call, module, x, None, None, None, hide)[0][:, :2], atol=1e-6
    )


def test_recurrent_states_are_batch_first() -> None:
    layer = create("lstm", {"hidden": 3, "layers": 2})
    x, state = TensorType((5, 4)), TensorType((2, 3))
    call = layer.call(x, state, state)
    module = made(call)
    xs, h, c = torch.randn(2, 5, 4), torch.randn(2, 2, 3), torch.randn(2, 2, 3)
    out, last_h, last_c = run(call, module, xs, h, c)
    expected, (eh, ec) = module(
        xs, (h.transpose(0, 1).contiguous(), c.transpose(0, 1).contiguous())
    )
    assert torch.equal(out, expected)
    assert torch.equal(last_h, eh.transpose(0, 1))
    assert torch.equal(last_c, ec.transpose(0, 1))


# ------------------------------------------------------------------ boxes


def test_nms_keeps_the_best_of_boxes_that_overlap() -> None:
    boxes = torch.tensor([[[0.0, 0, 4, 4], [0, 0, 4, 3], [5, 5, 9, 9]]])
    scores = torch.tensor([[0.5, 0.9, 0.3]])
    call = create("nms", {"iou": 0.5}).call(TensorType((3, 4)), TensorType((3,)))
    kept, left = run(call, made(call), boxes, scores)
    assert left.tolist() == [[0.0, pytest.approx(0.9), pytest.approx(0.3)]]
    assert kept[0].tolist() == [[0, 0, 0, 0], [0, 0, 4, 3], [5, 5, 9, 9]]
    best, places = run(create("top_k", {"k": 2}).call(TensorType((3,))), None, left)
    assert best.tolist() == [[pytest.approx(0.9), pytest.approx(0.3)]]
    gather = create("gather", {}).call(TensorType((3, 4)), TensorType((2,), "int"))
    assert run(gather, None, kept, places)[0].tolist() == [[[0, 0, 4, 3], [5, 5, 9, 9]]]


def test_anchors_stand_at_every_cell_inside_the_image() -> None:
    logits, deltas, image = (
        torch.zeros(1, 2, 2, 3),
        torch.zeros(1, 8, 2, 3),
        torch.zeros(1, 3, 8, 12),
    )
    logits[0, 1, 1, 2] = 5.0
    layer = create("anchor_boxes", {"size": 4, "ratios": [1, 4], "top": 1})
    call = layer.call(*(TensorType(tuple(x.shape[1:])) for x in (logits, deltas, image)))
    boxes, scores = run(call, made(call), logits, deltas, image)
    # cell (1, 2) of 4 x 4 pixels each; an anchor of 2 x 8 pixels, cut off at the lower edge
    assert boxes.tolist() == [[[7, 0, 9, 8]]]
    assert scores.item() == pytest.approx(torch.sigmoid(torch.tensor(5.0)).item())


def test_roi_align_takes_the_map_that_suits_the_box() -> None:
    fine, coarse = torch.ones(1, 2, 64, 64), torch.full((1, 2, 32, 32), 3.0)
    boxes = torch.tensor([[[0.0, 0, 112, 112], [0, 0, 224, 224], [0, 0, 0, 0]]])
    layer = create("roi_align", {"size": 2, "stride": [8, 16], "sampling_ratio": 2})
    call = layer.call(TensorType((3, 4)), TensorType((2, 64, 64)), TensorType((2, 32, 32)))
    (out,) = run(call, made(call), boxes, fine, coarse)
    assert out.shape == (1, 3, 2, 2, 2)
    assert out.flatten(2).unique(dim=2).tolist() == [[[1.0], [3.0], [1.0]]]


# ------------------------------------------------------------------ complaints

COMPLAINTS = (Path(__file__).parent / "layers" / "complaints.txt").read_text()


def complaints() -> Iterator[Any]:
    """Op, arguments, input shapes, sentence: of each entry of the text file."""
    for entry in COMPLAINTS.split("\n\n")[1:]:
        head, sentence = entry.strip().split("\n")
        item, _, shapes = head.partition(" <- ")
        ((op, args),) = yaml.safe_load(item).items()
        yield pytest.param(op, args, yaml.safe_load(f"[{shapes}]"), sentence.strip(), id=head)


@pytest.mark.parametrize(("op", "args", "shapes", "sentence"), list(complaints()))
def test_complaints(op: str, args: dict[str, Any], shapes: list[Any], sentence: str) -> None:
    with pytest.raises(Mismatch if shapes else BadArgument) as caught:
        create(op, args).infer(*(TensorType(tuple(s)) for s in shapes))
    assert caught.value.message == sentence


def test_examine_says_all_that_is_wrong() -> None:
    args = {"kernal": 3, "out": 0, "groups": "depthwsie", "bias": 1}
    assert [(bad.field, bad.code, bad.help) for bad in examine("conv", args)] == [
        ("kernal", "E208", "did you mean `kernel`?"),
        ("out", "E210", ""),
        ("kernel", "E209", "write `conv: {kernel: …}`"),
        ("groups", "E210", "did you mean `depthwise`?"),
        ("bias", "E210", ""),
    ]
    assert examine("conv", {"out": 3, "kernel": 3}) == []


def test_examine_passes_over_expressions() -> None:
    n = parse("n")
    assert examine("conv", {"out": n, "kernel": [3, n]}) == []
    assert [bad.field for bad in examine("conv", {"out": n, "kernel": 0})] == ["kernel"]
    assert [bad.field for bad in examine("max_pool", {"kernel": 2, "padding": 9})] == ["padding"]
    assert examine("max_pool", {"kernel": n, "padding": 9}) == []  # a rule between the two
    assert examine("unflatten", {"axis": n}) == []  # may turn out to be a list, the shape
    assert examine("activation", {"name": {"elu": {"alpha": n}}}) == []
    (bad,) = examine("activation", {"name": {"elu": {"alpha": "much"}}})
    assert bad.message == "`alpha` of `elu` is much; it takes a number"


class Origin(int):
    """A number that remembers something."""


class Share(float):
    """Another."""


def test_numbers_come_back_as_they_came() -> None:
    out, side, p = Origin(6), Origin(3), Share(0.5)
    layer = create("conv", {"out": out, "kernel": [side, 3], "groups": Origin(2)})
    assert layer.values()["out"] is out
    assert layer.values()["kernel"][0] is side
    assert type(layer.values()["groups"]) is Origin
    assert create("dropout", {"p": p}).values()["p"] is p
    assert create("scale", {"factor": side}).values()["factor"] is side
    assert create("reshape", {"shape": side}).values()["shape"][0] is side
    assert layer == create("conv", {"out": 6, "kernel": [3, 3], "groups": 2})
    with pytest.raises(BadArgument, match="`out` of `conv` is true"):
        create("conv", {"out": True, "kernel": 3})


@pytest.mark.parametrize("wrong", [{"groups": 5}, {"out": True}, {"stride": 0}, {"kernels": 3}])
def test_what_is_refused_leaves_nothing_to_the_collector(wrong: dict[str, Any]) -> None:
    """It is paused while a network is tried at other values, thousands of which may be refused."""

    def refused(times: int) -> None:
        for _ in range(times):
            with suppress(BadArgument):
                create("conv", {"out": 12, "kernel": 1, **wrong})

    refused(1)  # imports what looks for near words, and that leaves much
    gc.collect()
    gc.disable()
    try:
        refused(30)
        assert gc.collect() < 30
    finally:
        gc.enable()


def test_embedding_takes_whole_numbers() -> None:
    with pytest.raises(Mismatch, match="`embedding` takes int values"):
        create("embedding", {"num": 3, "dim": 4}).infer(TensorType((7,)))
    with pytest.raises(Mismatch, match="`conv` takes float values"):
        create("conv", {"out": 3, "kernel": 3}).infer(TensorType((3, 7), "int"))


# ------------------------------------------------------------------ the registry


OPS = """
conv conv_transpose max_pool avg_pool lp_pool adaptive_avg_pool adaptive_max_pool
global_avg_pool global_max_pool batch_norm instance_norm layer_norm rms_norm group_norm
local_response_norm relu relu6 leaky_relu prelu elu selu gelu silu mish hardswish
hardsigmoid hardtanh sigmoid tanh softplus identity abs activation softmax log_softmax
maxout linear embedding lstm gru rnn attention parameter add sub mul mean max matmul
concat scale flatten unflatten reshape permute select slice split pad crop roll upsample
pixel_shuffle pixel_unshuffle channel_shuffle unfold dropout spatial_dropout alpha_dropout
drop_path gaussian_noise sample_normal sine_positions anchor_boxes nms top_k roi_align
"""


def test_every_op_of_the_language() -> None:
    assert set(OPS.split()) <= set(REGISTRY)
    for op, cls in REGISTRY.items():
        assert cls.op == op
        assert cls.examples
        assert cls.__doc__
        assert cls.model_json_schema()["type"] == "object"


def test_layers_are_values() -> None:
    one, two = create("scale", {"factor": 1}), create("scale", {"factor": 1.0})
    assert one != two
    assert one == create("scale", {"factor": 1})
    assert hash(one) == hash(create("scale", {"factor": 1}))
    with pytest.raises(ValidationError, match="frozen"):
        one.factor = 2  # type: ignore[attr-defined]
    assert create("activation", {"name": {"leaky_relu": 0.2}}) == create(
        "leaky_relu", {"negative_slope": 0.2}
    )


def test_register(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(REGISTRY, "_known", {**REGISTRY._known})  # forgets it again

    class Own(Layer):
        """One of one's own."""

        op = "test_own"
        family = "own"
        examples = (({}, ((4, 5),)),)

        def infer(self, *ins: TensorType) -> tuple[TensorType, ...]:
            return ins

        def call(self, *ins: TensorType) -> Call:
            return Call(None, forward="x0")

    register(Own)
    assert create("test_own", {}).op == "test_own"
    with pytest.raises(ValueError, match="`relu` is an op already"):
        register(type("Other", (Own,), {"op": "relu"}))


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({}, "`op` of Own is None; it is lower case letters, digits and _"),
        ({"op": "Own"}, "`op` of Own is 'Own'; it is lower case letters, digits and _"),
        ({"op": "own"}, "Own lacks `family`, the word for its colour"),
        ({"op": "own", "family": "own"}, "Own lacks the method `infer`"),
        (
            {"op": "own", "family": "own", "infer": lambda *_: ()},
            "Own lacks `target`, or the method `call`",
        ),
    ],
)
def test_a_class_that_lacks_something_is_refused(given: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=re.escape(sentence)):
        register(type("Own", (Layer,), {"__module__": __name__, **given}))
    with pytest.raises(ValueError, match="is no subclass of"):
        register(int)  # type: ignore[arg-type]


def test_the_index_is_right() -> None:
    for op, module in registry._INDEX.items():
        assert REGISTRY[op].__module__ == f"archspec.layers.{module}"


def test_a_family_is_imported_when_one_of_its_ops_is_used() -> None:
    code = (
        "import sys, archspec.layers as layers; layers.create('linear', {'out': 3}); "
        "sys.exit(any(f'archspec.layers.{m}' in sys.modules for m in ('pool', 'activation')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_never_loads_torch() -> None:
    heavy = {"torch", "networkx", "rich"}
    code = f"import sys, archspec.layers; sys.exit(bool({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_plug_in_is_asked_for_only_when_it_may_be_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "offers", lambda: pytest.fail("looked for plug-ins"))
    assert "Bottleneck" not in REGISTRY
    assert "sequential" not in REGISTRY
    assert "relu" in REGISTRY
