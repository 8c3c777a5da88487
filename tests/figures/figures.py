"""The networks that figures are tested on, and the drawings that are kept."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from archspec.figures import svg
from archspec.figures.scene import Scene
from archspec.network import Program, load

HERE = Path(__file__).resolve().parent

# name: spec (of those that ship, or beside this file) and variant
_SPECS = {
    "vgg16": ("vgg16", None),
    "resnet152": ("resnet50", "resnet152"),
    "googlenet": ("googlenet", None),
    "inception_v3": ("inception_v3", None),
    "efficientnet_b7": ("efficientnet_b0", "efficientnet_b7"),
    "unet": ("unet", None),
    "yolov3": ("yolov3", None),
    "faster_rcnn": ("faster_rcnn", None),
    "dcgan": ("dcgan_generator", None),
    "vae": ("vae", None),
    "transformer": ("transformer", None),
    "vit": ("vit_b_16", None),
    "densenet200": (HERE / "specs" / "densenet200.yaml", None),
}
NETWORKS = tuple(_SPECS)


@cache
def network(name: str) -> Program:
    spec, variant = _SPECS[name]
    return load(spec, variant)


def compare(scene: Scene, name: str, update: bool) -> None:
    """The figure as SVG is, to the letter, the one that is kept."""
    path = HERE / "golden" / f"{name}.svg"
    text = svg.write(scene)
    if update:
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8"), f"{path.name}: look at it; `--update` keeps it"
