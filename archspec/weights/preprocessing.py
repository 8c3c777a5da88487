"""A spec's published weights → what makes of an image the input that they expect."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archspec import network
from archspec.language.weights import Published
from archspec.network import Program
from archspec.weights import sources
from archspec.weights.errors import WeightsError

if TYPE_CHECKING:
    from torch import Tensor


def preprocess(
    spec: str | Path | Program, source: str = "torchvision", variant: str | None = None
) -> Callable[[Any], Tensor]:
    """What makes of an image [3, H, W] (PIL, or a tensor) the input that published weights expect.

    It is the source's own: torchvision's `weights.transforms()`, timm's evaluation transform, as
    data loaders take it. For its GoogLeNet and Inception v3 torchvision changes the input once more
    inside the pretrained model (`transform_input`); that is part of it here. Raises WeightsError.
    """
    program = network.program(spec, variant)
    entry = sources.named(program, source)
    if isinstance(entry, Published):
        message = f"`{program.spec.name}` does not say how inputs of its own file are prepared"
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
