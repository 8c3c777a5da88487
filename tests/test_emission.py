"""What is emitted: pinned text, clean text, arguments that may change. Numbers: zoo/."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from archspec.module import build, network_class
from archspec.network import Program, load, loads

HERE = Path(__file__).resolve().parent
EMITTED = HERE / "emitted"

CEILINGS = {
    "vgg16": 40,
    "resnet50": 75,
    "resnet152": 75,
    "googlenet": 120,
    "efficientnet_b0": 122,
    "densenet121": 85,
    "mobilenet_v3": 130,
    "convnext_tiny": 105,
    "localiser": 52,
    "vit_tiny": 65,
    "unet": 60,
}


def program(name: str, **params: Any) -> Program:
    """A shipped spec, a variant of one, or one of the tests' own."""
    if name == "resnet152":
        return load("resnet50", "resnet152", **params)
    own = HERE / "specs" / f"{name}.yaml"
    return load(own if own.exists() else name, **params)


# ---------------------------------------------------------------- text


@pytest.mark.parametrize("name", CEILINGS)
def test_text_is_pinned(name: str, request: pytest.FixtureRequest) -> None:
    path = EMITTED / f"{name}.py"
    text = program(name).code
    if request.config.getoption("--update"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8"), (
        "`pytest --update` rewrites the file; look at the difference"
    )


@pytest.mark.parametrize(("name", "most"), CEILINGS.items())
def test_text_is_short(name: str, most: int) -> None:
    text = (EMITTED / f"{name}.py").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= most


@pytest.mark.parametrize("name", CEILINGS)
def test_text_stands_alone(name: str) -> None:
    tree = ast.parse((EMITTED / f"{name}.py").read_text(encoding="utf-8"))
    imported = {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
    imported |= {str(n.module) for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
    assert {m.partition(".")[0] for m in imported} <= {"torch", "math", "collections"}
    classes = [n for n in ast.walk(tree) if isinstance(n, ast.ClassDef)]
    assert all(ast.get_docstring(c) for c in classes)
    assert len({c.name for c in classes}) == len(classes)


@pytest.mark.parametrize("name", CEILINGS)
def test_emission_is_deterministic(name: str) -> None:
    assert program(name).code == program(name).code


def test_no_class_hides_one_of_the_files_head() -> None:
    text = "spec: 1\nname: maxout\ninput: [4]\nblocks: {Abs: {body: [{linear: 8}, abs]}}\n"
    text += "body: [Abs, {sequential: [abs, {maxout: 2}]}, {maxout: {pieces: 2, axis: 0}}]\n"
    module = build(loads(text))
    assert type(module).__name__ == "MaxoutNetwork"
    assert module(torch.randn(3, 4)).shape == (3, 2)


def test_kinds_of_a_layer_share_the_class_that_is_right_for_both() -> None:
    """A convolution that pads as TensorFlow does serves odd kernels too: one class, six calls."""
    text = "spec: 1\nname: mixed\ninput: [3, 8, 8]\nblocks:\n  Conv:\n"
    text += "    params: {out: required, kernel: 1}\n"
    text += "    sequential: [{conv: {out: $out, kernel: $kernel, padding: same}}, elu]\n"
    text += (
        "body:\n  - repeat: {c: [4, 5, 6]}\n    body: [{Conv: $c}, {Conv: {out: $c, kernel: 2}}]\n"
    )
    code = loads(text).code
    assert code.count("(nn.Sequential):") == 1
    assert "Conv2dSame(in_channels, out, kernel)" in code


# ---------------------------------------------------------------- arguments that stay


def shapes(module: nn.Module) -> dict[str, tuple[int, ...]]:
    return {k: tuple(v.shape) for k, v in module.state_dict().items()}


def on_meta(cls: type[nn.Module], **arguments: Any) -> nn.Module:
    with torch.device("meta"):
        return cls(**arguments)


@pytest.mark.parametrize("classes", [1, 1000])
@pytest.mark.parametrize("name", [*CEILINGS, "vit_b_16", "lenet5", "lstm_classifier"])
def test_classes_stay_an_argument(name: str, classes: int) -> None:
    ours = on_meta(network_class(program(name)), classes=classes)
    assert shapes(ours) == shapes(on_meta(network_class(program(name, classes=classes))))


@pytest.mark.parametrize(("depth", "base"), [(0, 8), (1, 3), (2, 4), (3, 6), (5, 2)])
def test_unet_takes_depth_and_base(depth: int, base: int) -> None:
    ours = network_class(program("unet"))(depth=depth, base=base)
    theirs = build(program("unet", depth=depth, base=base))
    assert shapes(ours) == shapes(theirs)
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(2, 1, 32, 32)
    with torch.no_grad():
        assert torch.equal(ours.eval()(x), theirs.eval()(x))


def test_densenet_takes_growth() -> None:
    ours = on_meta(network_class(program("densenet121")), growth=12)
    assert shapes(ours) == shapes(on_meta(network_class(program("densenet121", growth=12))))
