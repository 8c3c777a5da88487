"""What is emitted: pinned text, torchvision's names and numbers, arguments that may change."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest
import torch
from checks import problems
from torch import nn

from archspec import shelf
from archspec.build import build, network_class
from archspec.program import Program, load

HERE = Path(__file__).resolve().parent
EMITTED = HERE / "emitted"

CEILINGS = {
    "vgg16": 40,
    "resnet50": 75,
    "resnet152": 75,
    "googlenet": 120,
    "efficientnet_b0": 120,
    "densenet121": 85,
    "vit_tiny": 65,
    "unet": 60,
}
TORCHVISION = ("vgg16", "resnet50", "googlenet", "efficientnet_b0", "vit_b_16")
BATCH = {"vgg16": 1, "vit_b_16": 1}  # 2 elsewhere


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


def test_texts_are_clean() -> None:
    assert problems(EMITTED) == ""


def test_every_variant_that_ships_is_clean(tmp_path: Path) -> None:
    for name in shelf.names():
        for variant in (None, *load(name).spec.variants):
            chosen = load(name, variant)
            (tmp_path / f"{chosen.name}.py").write_text(chosen.code, encoding="utf-8")
    assert problems(tmp_path) == ""


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


# ---------------------------------------------------------------- torchvision


def reference(torchvision: Any, name: str) -> nn.Module:
    """torchvision's own model with random weights and random statistics."""
    torch.manual_seed(0)
    more = {"init_weights": False, "aux_logits": True} if name == "googlenet" else {}
    more |= {"init_weights": False} if name == "vgg16" else {}
    module: nn.Module = getattr(torchvision.models, name)(weights=None, **more)
    for key, buffer in module.named_buffers():
        if key.endswith("running_mean"):
            nn.init.normal_(buffer, std=0.1)
        elif key.endswith("running_var"):
            nn.init.uniform_(buffer, 0.5, 1.5)
    return module


def borrowing(name: str, theirs: nn.Module) -> nn.Module:
    """Ours on the very tensors of theirs: no second copy of VGG's 138 million numbers."""
    ours = on_meta(network_class(program(name)))
    ours.load_state_dict(theirs.state_dict(), strict=True, assign=True)
    return ours


def image(name: str) -> torch.Tensor:
    return torch.randn(BATCH.get(name, 2), 3, 224, 224, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", TORCHVISION)
def test_equals_torchvision(torchvision: Any, name: str) -> None:
    theirs = reference(torchvision, name).eval()
    ours = borrowing(name, theirs).eval()
    assert shapes(ours) == shapes(theirs)
    theirs.load_state_dict(ours.state_dict(), strict=True)
    with torch.no_grad():
        assert torch.equal(ours(image(name)), theirs(image(name)))


def test_googlenet_equals_torchvision_in_training(torchvision: Any) -> None:
    theirs = reference(torchvision, "googlenet").train()
    ours = borrowing("googlenet", theirs).train()
    for module in (ours, theirs):
        for part in module.modules():
            if isinstance(part, nn.Dropout):
                part.p = 0.0
    with torch.no_grad():
        wanted = theirs(image("googlenet"))
        found = ours(image("googlenet"))
    assert list(found) == ["logits", "aux1", "aux2"]
    assert torch.equal(found["logits"], wanted.logits)
    assert torch.equal(found["aux1"], wanted.aux_logits1)
    assert torch.equal(found["aux2"], wanted.aux_logits2)


def test_densenet_has_torchvisions_names(torchvision: Any) -> None:
    with torch.device("meta"):
        theirs = torchvision.models.densenet121(weights=None)
    assert shapes(on_meta(network_class(program("densenet121")))) == shapes(theirs)
