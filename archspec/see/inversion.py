"""What a node gives for a picture → another picture for which it gives the same.

    invert(model, "cat.jpg", "conv5")     what conv5 still knows of the picture

What differs between the two is what the network has forgotten there. Source: Mahendran, Vedaldi
2015, Understanding deep image representations by inverting them.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from archspec.see.ascent import variation
from archspec.see.reading import read
from archspec.see.seeing import Row, Seeing, Shown
from archspec.see.subject import subject, tapped
from archspec.train.errors import TrainError

_SEED, _NOISE = 0, 0.1  # of the first picture
_RATE, _LAST = 0.05, 0.1  # Adam's, and the share it ends with


def invert(
    model: Any,
    x: Any,
    at: str,
    *,
    steps: int = 100,
    total_variation: float = 0.1,
) -> Seeing:
    """Pictures that a node cannot tell from given ones: values [N, C, H, W], as pictures.

    From noise, `steps` of Adam on |Φ(x) - Φ(x₀)|² / |Φ(x₀)|² and the total variation,
    the mean square of differences of neighbours. Shown is how
    far the two are apart at the node, |Φ(x) - Φ(x₀)| / |Φ(x₀)|. Raises TrainError.
    """
    who = subject(model)
    real, names = read(who, x)
    eye = tapped(who, at)
    (node,) = eye.nodes
    if steps < 1 or total_variation < 0:
        message = f"there are {steps} steps, and smoothness counts {total_variation:g}"
        raise TrainError("E850", message, "at least one step, and no less than 0")
    with torch.no_grad():
        wanted = eye(who.input(real))[node.path]
    drawn = torch.Generator().manual_seed(_SEED)
    made = 0.5 + _NOISE * torch.randn(real.shape, generator=drawn)
    made.requires_grad_()
    optimizer = torch.optim.Adam([made], _RATE)
    slower = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps, _RATE * _LAST)
    for _ in range(steps):
        optimizer.zero_grad()
        apart = _apart(eye(who.input(made))[node.path], wanted).sum()
        rough = total_variation * variation(made) / made[0].numel()
        torch.autograd.backward([apart + rough])
        optimizer.step()
        slower.step()
    with torch.no_grad():
        errors = _apart(eye(who.input(made))[node.path], wanted).sqrt().tolist()
    values = made.detach()
    rows = tuple(
        Row(name, (Shown(one, ""), Shown(found, f"{error:.2%} apart")))
        for name, one, found, error in zip(names, real, values, errors, strict=True)
    )
    return Seeing(f"{who.name}: what {node.path} knows", values, rows)


def _apart(found: Tensor, wanted: Tensor) -> Tensor:
    """Of each sample, the square of the relative error: [N]."""
    size = wanted.flatten(1).square().sum(1).clamp_min(1e-12)
    return (found - wanted).flatten(1).square().sum(1) / size
