"""Losses that torch.nn.functional does not have, with arguments as its own are given them."""

from __future__ import annotations

from torch import Tensor


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


OWN = {"contrastive": contrastive}
