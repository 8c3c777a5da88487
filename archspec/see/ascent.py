"""Noise, or a picture → what a unit looks for, by gradient ascent on its activation.

    maximise(model, "conv5", [3, 7])      from noise: what would activate the units most
    emphasise(model, "cat.jpg", "conv5", 3)    from a picture: what in it caused the activation

Alone, ascent ends in noise of high frequency that no eye can read. Against that: the picture is
jittered (moved by some pixels before each step), it is kept small (L2) and smooth (total
variation), and it is written as its spectrum, each frequency by its size in natural pictures.
Sources: Simonyan, Vedaldi, Zisserman 2014; Mahendran, Vedaldi 2015; Olah, Mordvintsev, Schubert,
Feature visualization, Distill 2017.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from archspec.see.reading import read
from archspec.see.seeing import Row, Seeing, Shown, signed
from archspec.see.subject import subject, tapped
from archspec.train.errors import TrainError

_UNITS, _RATE = 16, 0.05  # units that are shown; Adam's rate, of the spectrum
_GREY = 1e-2  # how far the first noise is from grey
_STEP = 0.01  # that a picture is moved by


class Ascent(NamedTuple):
    """How far it climbs, from which noise, and what keeps a picture like a picture.

    That counts against an activation in units of the node's spread. `jitter`: pixels that the
    picture is moved by, at most. `l2` weighs the mean square of the distance from grey,
    `total_variation` that of the differences of neighbours.
    """

    steps: int = 64
    seed: int = 0
    jitter: int = 2
    l2: float = 1.0
    total_variation: float = 10.0
    fourier: bool = True


def maximise(
    model: Any,
    at: str,
    units: Sequence[int | str] | None = None,
    *,
    ascent: Ascent | None = None,
) -> Seeing:
    """Pictures that activate units of a node most: values [units, C, H, W] from 0 to 1.

    `at` is any node that `archspec expand` names, best one before its nonlinearity; `units` by
    default its first 16. Of a map it is the mean over the map that rises. The same seed gives the
    same pictures. Raises TrainError.
    """
    who = subject(model)
    ascent = ascent or Ascent()
    eye = tapped(who, at)
    (node,) = eye.nodes
    asked = range(min(_UNITS, node.outs[0].shape[0])) if units is None else units
    answer = at if node.path != who.answer else None
    chosen = torch.tensor([who.unit(unit, node, answer) for unit in asked])
    _checked(ascent.steps, ascent.jitter)
    drawn = torch.Generator().manual_seed(ascent.seed)
    noise = torch.randn(len(chosen), *who.shape, generator=drawn) * _GREY
    picture = _Spectrum(noise) if ascent.fourier else _Pixels(noise)
    optimizer = torch.optim.Adam([picture.numbers], _RATE)
    for _ in range(ascent.steps):
        x = picture()
        moves = torch.randint(-ascent.jitter, ascent.jitter + 1, (2,), generator=drawn).tolist()
        made = eye(who.input(x.roll(moves, (2, 3))))[node.path]
        spread = made.detach().std().clamp_min(1e-12)
        away = ascent.l2 * (x - 0.5).square().sum() + ascent.total_variation * variation(x)
        optimizer.zero_grad()
        reached = activation(made, chosen).sum() / spread
        torch.autograd.backward([away / x[0].numel() - reached])
        optimizer.step()
    values = picture().detach()
    with torch.no_grad():
        final = activation(eye(who.input(values))[node.path], chosen).tolist()
    shown = [
        Shown(x, f"{who.unit_name(unit, answer)}: {value:.3g}")
        for x, unit, value in zip(values, chosen.tolist(), final, strict=True)
    ]
    return Seeing(f"{who.name}: what {node.path} looks for", values, (Row("", tuple(shown)),))


def emphasise(model: Any, x: Any, at: str, unit: int | str, *, steps: int = 20) -> Seeing:
    """Pictures, changed so that a unit is more active: values [N, C, H, W] from 0 to 1.

    Each step moves a picture along the gradient of the unit's activation, by 0.01 a pixel in the
    root mean square. What grows is what caused the activation. Shown beside it is the change.
    Raises TrainError.
    """
    who = subject(model)
    before, names = read(who, x)
    eye = tapped(who, at)
    (node,) = eye.nodes
    answer = at if node.path != who.answer else None
    number = who.unit(unit, node, answer)
    _checked(steps, 0)
    chosen = torch.full((len(before),), number)
    values, reached = before, []
    for _ in range(steps + 1):
        values = values.detach().requires_grad_()
        made = activation(eye(who.input(values))[node.path], chosen)
        reached.append(made.detach())
        (gradient,) = torch.autograd.grad(made.sum(), values)
        size = gradient.square().mean((1, 2, 3), keepdim=True).sqrt().clamp_min(1e-12)
        values, last = (values + _STEP * gradient / size).clamp(0, 1), values
    values = last.detach()
    said = who.unit_name(number, answer)
    rows = []
    for k, name in enumerate(names):
        first, final = float(reached[0][k]), float(reached[-1][k])
        shown = (
            Shown(before[k], f"{said}: {first:.3g}"),
            Shown(values[k], f"{said}: {final:.3g}"),
            Shown(signed(values[k] - before[k]), "change"),
        )
        rows.append(Row(name, shown))
    return Seeing(f"{who.name}: what activates {node.path}", values, tuple(rows))


def activation(made: Tensor, units: Tensor) -> Tensor:
    """Of each sample its own unit, [N]: the mean over a map."""
    each = made.flatten(2).mean(2) if made.ndim > 2 else made
    return each.gather(1, units[:, None])[:, 0]


def variation(x: Tensor) -> Tensor:
    """Total variation: the sum of the squares of differences of neighbours."""
    return x.diff(dim=2).square().sum() + x.diff(dim=3).square().sum()


def _checked(steps: int, jitter: int) -> None:
    """Raises TrainError."""
    if steps < 1 or jitter < 0:
        message = f"there are {steps} steps and {jitter} pixels of jitter"
        raise TrainError("E850", message, "at least one step, and no less than 0 pixels")


class _Pixels:
    """A picture between 0 and 1 as a number a pixel, 0 grey."""

    def __init__(self, noise: Tensor) -> None:
        self.numbers = noise.clone().requires_grad_()

    def __call__(self) -> Tensor:
        return self.numbers.sigmoid()


class _Spectrum:
    """A picture between 0 and 1 as its spectrum, in which a step of all is natural.

    Frequencies are scaled by 1/f, as they are in pictures of the world (Olah et al. 2017).
    """

    def __init__(self, noise: Tensor) -> None:
        self._size = (noise.shape[2], noise.shape[3])
        down = torch.fft.fftfreq(noise.shape[2])[:, None]
        across = torch.fft.rfftfreq(noise.shape[3])[None]
        frequency = (down.square() + across.square()).sqrt()
        self._scale = 1 / frequency.clamp_min(1 / max(self._size))
        made = torch.fft.rfft2(noise, norm="ortho")
        self.numbers = torch.view_as_real(made).clone().requires_grad_()

    def __call__(self) -> Tensor:
        spectrum = torch.view_as_complex(self.numbers) * self._scale
        made: Tensor = torch.fft.irfft2(spectrum, self._size, norm="ortho")
        return made.sigmoid()
