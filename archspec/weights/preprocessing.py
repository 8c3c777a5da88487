"""A spec's published weights → what makes of an image the input that they expect."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archspec import network
from archspec.language.weights import Published
from archspec.network import Program
from archspec.weights import parts, sources
from archspec.weights.errors import WeightsError
from archspec.weights.sources import Part

if TYPE_CHECKING:
    from torch import Tensor


def preprocess(
    spec: str | Path | Program, source: str = "torchvision", variant: str | None = None
) -> Callable[[Any], Tensor]:
    """What makes of an image [3, H, W] (PIL, or a tensor) the input that published weights expect.

    It is the source's own: torchvision's `weights.transforms()`, timm's evaluation transform, as
    data loaders take it. For its GoogLeNet and Inception v3 torchvision changes the input once more
    inside the pretrained model (`transform_input`); that is part of it here. A spec that names no
    weights itself has those of the file that its input goes straight into. Raises WeightsError.
    """
    found = [_prepared(part, source) for part in _parts(network.program(spec, variant), source)]
    if len({repr(one) for one in found}) > 1:
        message = f"the parts of `{spec}` expect inputs that are prepared in different ways"
        raise WeightsError("E617", message, "give each an input of its own")
    return found[0]


def _parts(program: Program, source: str) -> list[Part]:
    """What says how the network's input is prepared: its own spec, or files it goes straight into.

    Raises WeightsError.
    """
    section, own = program.spec.weights, Part.of(program)
    if section is not None and source in section.sources:
        return [own]
    there = parts.naming(program, source)
    found = [part for path, part in there.items() if parts.fed(program, path)]
    if there and not found:
        names = ", ".join(f"`{path}`" for path in there)
        message = f"no input of `{program.name}` goes unchanged into {names}"
        raise WeightsError("E617", message, "prepare what the part is given yourself")
    return found or [own]


def _prepared(part: Part, source: str) -> Callable[[Any], Tensor]:
    entry = sources.named(part, source)
    if isinstance(entry, Published):
        message = f"`{part.spec.name}` does not say how inputs of its own file are prepared"
        raise WeightsError("E617", message, 'source="torchvision" or "timm" bring theirs')
    if source == "timm":
        data = sources.library("timm").data
        config = data.resolve_data_config(pretrained_cfg=sources.timm_config(entry))
        found: Callable[[Any], Tensor] = data.create_transform(**config)
        return found
    member = sources.enum(entry)
    first = member.transforms()
    if type(member).__name__ in _TRANSFORM_INPUT:
        return Then(first, _renormalise)
    return first  # type: ignore[no-any-return]


_TRANSFORM_INPUT = ("GoogLeNet_Weights", "Inception_V3_Weights")


class Then:
    """One step after another."""

    def __init__(self, *steps: Callable[[Any], Any]) -> None:
        self.steps = steps

    def __call__(self, image: Any) -> Any:
        for step in self.steps:
            image = step(image)
        return image

    def __repr__(self) -> str:
        return " -> ".join(map(str, self.steps))


def _renormalise(image: Tensor) -> Tensor:
    """From ImageNet's mean and deviation to 0.5 and 0.5, in the numbers torchvision uses.

    [..., 3, H, W] -> the same. Source: `_transform_input` of torchvision.models.googlenet and
    .inception, which its pretrained models apply.
    """
    import torch

    means, deviations = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    channels = [
        image[..., i, :, :] * (deviations[i] / 0.5) + (means[i] - 0.5) / 0.5 for i in range(3)
    ]
    return torch.stack(channels, -3)
