"""Codes → pictures: what a generative network makes of noise, and of what lies between two codes.

    latent(run)                      32 pictures of drawn codes, and walks from one to the next
    latent(run, ["3.png", "8.png"])  a walk from one real picture to another, by its encoder

    0 ---- 1/3 ---- 2/3 ---- 1       from a to b: on a straight line between codes of pictures,
                                     on the great circle between codes that were drawn

In many dimensions draws of a normal distribution lie near a sphere, and the middle of the straight
line between two far inside it, where the network has learned nothing: White 2016, arXiv 1609.04468.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor

from archspec.see.reading import read
from archspec.see.seeing import Row, Seeing, Shown
from archspec.see.subject import subject
from archspec.train.errors import TrainError
from archspec.train.use import Trained

_WALKS = 3  # between drawn codes


class Latent(NamedTuple):
    """Pictures of drawn codes [n, C, H, W], and of those between codes [walks, steps, C, H, W]."""

    samples: Tensor
    walks: Tensor


def latent(model: Any, x: Any = None, *, count: int = 32, steps: int = 8, seed: int = 0) -> Seeing:
    """What a trained VAE or GAN makes of codes: values are a Latent, pictures from 0 to 1.

    `count` codes are drawn by `seed`. Then it walks in `steps` pictures, both ends included: from
    each picture of `x` to the next, as of `saliency`, or without `x` between the first four of the
    drawn codes. Raises TrainError, also where there is no encoder that finds the codes of pictures.
    """
    if not isinstance(model, Trained):
        message = "what makes pictures of codes is known of a run, not of a network alone"
        raise TrainError("E840", message, "archspec.train.load(RUN), of the tasks `vae` and `gan`")
    if count < 2 or steps < 2:
        message = f"{count} codes are drawn, and walks have {steps} steps"
        raise TrainError("E850", message, "at least 2 of both")
    codes = model.codes(count, seed)
    samples = model.decode(codes)
    if samples.ndim != 4 or samples.shape[1] not in (1, 3):
        message = f"`{model.program.name}` makes {list(samples.shape[1:])} of a code: no picture"
        raise TrainError("E850", message, "a picture is [C, H, W] with 1 or 3 channels")
    names: Sequence[str]
    rows = [_row("of drawn codes", samples)]
    if x is None:
        walks = _walks(model, codes[: _WALKS + 1], steps, _arc)
        names = [f"drawn code {number}" for number in range(1, _WALKS + 2)]
    else:
        who = subject(model)
        real, names = read(who, x)
        if len(real) < 2:
            message = f"`{names[0]}` is the only picture: there is nowhere to walk to"
            raise TrainError("E850", message, "name at least two pictures, or none")
        walks = _walks(model, model.encode(who.input(real)), steps, torch.lerp)
        rows.append(_row("the pictures as they are", real))
    ends = zip(pairwise(names), walks, strict=False)
    rows += [_row(f"from {start} to {end}", walk) for (start, end), walk in ends]
    title = f"{model.program.name}: what it makes of codes"
    return Seeing(title, Latent(samples, walks), tuple(rows))


def _walks(
    model: Trained, codes: Tensor, steps: int, way: Callable[[Tensor, Tensor, Tensor], Tensor]
) -> Tensor:
    """From each code to the next: pictures [walks, steps, C, H, W]."""
    shares = torch.linspace(0, 1, steps).reshape(-1, *[1] * (codes.ndim - 1))
    return torch.stack([model.decode(way(a[None], b[None], shares)) for a, b in pairwise(codes)])


def _arc(a: Tensor, b: Tensor, share: Tensor) -> Tensor:
    """Between two codes [1, …] on the great circle, as far as the share says."""
    angle = torch.arccos(torch.cosine_similarity(a.flatten(1), b.flatten(1)).clamp(-0.9999, 0.9999))
    return ((1 - share) * angle).sin() / angle.sin() * a + (share * angle).sin() / angle.sin() * b


def _row(words: str, pictures: Tensor) -> Row:
    return Row(words, tuple(Shown(one, "") for one in pictures))
