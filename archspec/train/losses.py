"""Losses that torch.nn.functional does not have, with arguments as its own are given them."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from archspec.train.targets import IGNORED


def dice(input: Tensor, target: Tensor, smooth: float = 1.0, reduction: str = "mean") -> Tensor:
    """Logits [N, K, H, W] and masks [N, H, W] → 1 - the mean over classes of Dice's overlap.

    2 · (what both have) / (what one has + what the other has), of probabilities, of each sample for
    itself (Milletari, Navab, Ahmadi 2016, arXiv 1606.04797); `smooth` is added above and below, so
    that a class that neither has counts as found. Ignored pixels are left out.
    """
    here = (target != IGNORED)[:, None]
    found = input.softmax(1) * here
    classes = target.where(here[:, 0], 0)
    there = functional.one_hot(classes, input.shape[1]).movedim(-1, 1) * here
    both = (found * there).flatten(2).sum(2)
    all_ = found.flatten(2).sum(2) + there.flatten(2).sum(2)
    each = 1 - ((2 * both + smooth) / (all_ + smooth)).mean(1)
    return each.mean() if reduction == "mean" else each


def cross_entropy_dice(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    smooth: float = 1.0,
    reduction: str = "mean",
) -> Tensor:
    """The cross entropy of masks, its mean over the pixels of each sample, and `dice` added."""
    entropy = functional.cross_entropy(
        input, target, weight, ignore_index=IGNORED, reduction="none"
    )
    each = of_pixels(entropy, target) + dice(input, target, smooth, reduction="none")
    return each.mean() if reduction == "mean" else each


def of_pixels(losses: Tensor, mask: Tensor) -> Tensor:
    """Losses of pixels [N, H, W] → their mean in each sample [N], ignored pixels left out."""
    here = mask != IGNORED
    count: Tensor = here.flatten(1).sum(1)
    return torch.where(here, losses, 0.0).flatten(1).sum(1) / count.clamp_min(1)


def contrastive(
    input: Tensor, target: Tensor, margin: float = 1.0, reduction: str = "mean"
) -> Tensor:
    """Distances [N] of pairs; target 1 where both are of one class, 0 where they are not.

    d² / 2 of those of one class, max(0, margin - d)² / 2 of others (Hadsell, Chopra, LeCun 2006,
    equation 4).
    """
    near = target * input.square()
    far = (1 - target) * (margin - input).clamp(min=0).square()
    each = (near + far) / 2
    return each.mean() if reduction == "mean" else each


OWN = {
    "contrastive": contrastive, "cross_entropy_dice": cross_entropy_dice, "dice": dice,
}  # fmt: skip
