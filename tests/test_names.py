"""Names and shapes of weights against the state_dicts of the references."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Any

import pytest

from archspec import shelf
from archspec.graph import Graph
from archspec.program import Program, load

HERE = Path(__file__).parent / "networks"

# (spec, variant, params set from outside, library, model)
REFERENCES: list[tuple[str, str | None, dict[str, Any], str, str]] = [
    ("vgg16", "vgg11", {}, "torchvision", "vgg11"),
    ("vgg16", "vgg13_bn", {}, "torchvision", "vgg13_bn"),
    ("vgg16", None, {}, "torchvision", "vgg16"),
    ("vgg16", "vgg19_bn", {}, "torchvision", "vgg19_bn"),
    ("resnet50", "resnet18", {}, "torchvision", "resnet18"),
    ("resnet50", "resnet34", {}, "torchvision", "resnet34"),
    ("resnet50", None, {}, "torchvision", "resnet50"),
    ("resnet50", "resnet152", {}, "torchvision", "resnet152"),
    ("googlenet", None, {}, "torchvision", "googlenet"),
    ("efficientnet_b0", None, {}, "torchvision", "efficientnet_b0"),
    ("efficientnet_b0", "efficientnet_b4", {}, "torchvision", "efficientnet_b4"),
    ("vit_b_16", None, {}, "torchvision", "vit_b_16"),
    ("networks/alexnet.yaml", "torchvision", {}, "torchvision", "alexnet"),
    ("networks/inception_v3.yaml", None, {}, "torchvision", "inception_v3"),
    ("networks/densenet.yaml", None, {}, "torchvision", "densenet121"),
    ("networks/densenet.yaml", "densenet161", {}, "torchvision", "densenet161"),
    ("networks/mobilenet_v2.yaml", None, {}, "torchvision", "mobilenet_v2"),
    ("networks/mobilenet_v3.yaml", None, {}, "torchvision", "mobilenet_v3_large"),
    ("networks/mobilenet_v3.yaml", "small", {}, "torchvision", "mobilenet_v3_small"),
    ("networks/convnext.yaml", None, {}, "torchvision", "convnext_tiny"),
    ("networks/shufflenet_v2.yaml", None, {}, "torchvision", "shufflenet_v2_x1_0"),
    ("networks/xception.yaml", None, {}, "timm", "legacy_xception"),
    ("networks/senet154.yaml", None, {}, "timm", "legacy_senet154"),
    ("networks/inception_v4.yaml", None, {}, "timm", "inception_v4"),
]


def program(spec: str, variant: str | None, params: dict[str, Any]) -> Program:
    path = HERE.parent / spec if spec.endswith(".yaml") else shelf.find(spec)
    return load(path, variant, **params)


def weights(graph: Graph) -> dict[str, tuple[int, ...]]:
    """Name -> shape of every parameter and buffer."""
    found: dict[str, tuple[int, ...]] = {}
    for node in graph.nodes:
        if node.layer is None or node.shared is not None:
            continue
        for weight in node.layer.weights(*node.ins):
            name = f"{node.path}.{weight.name}" if weight.name else node.path
            assert name not in found
            found[name] = weight.shape
    return found


def reference(library: str, name: str) -> dict[str, tuple[int, ...]]:
    import torch

    with warnings.catch_warnings(), torch.device("meta"):
        warnings.simplefilter("ignore")
        if library == "timm":
            timm = pytest.importorskip("timm")
            model = timm.create_model(name)
        else:
            extra = {"aux_logits": True} if name in ("googlenet", "inception_v3") else {}
            extra = {**extra, "init_weights": False} if extra else {}
            model = getattr(sys.modules["torchvision"].models, name)(weights=None, **extra)
    return {key: tuple(value.shape) for key, value in model.state_dict().items()}


@pytest.mark.usefixtures("torchvision")
@pytest.mark.parametrize(
    ("spec", "variant", "params", "library", "model"), REFERENCES, ids=[r[4] for r in REFERENCES]
)
def test_names_are_the_references(
    spec: str, variant: str | None, params: dict[str, Any], library: str, model: str
) -> None:
    assert weights(program(spec, variant, params).graph) == reference(library, model)


@pytest.mark.parametrize("path", sorted(HERE.glob("*.yaml")), ids=lambda path: path.stem)
def test_networks_expand(path: Path) -> None:
    first = load(path)
    for variant in (None, *first.spec.variants):
        graph = load(path, variant).graph
        paths = [node.path for node in graph.nodes]
        assert len(set(paths)) == len(paths)
        assert all(edge.node < node.index for node in graph.nodes for edge in node.inputs)
