"""Pictures from pictures: outputs [N, …] against clean ones → squared error, PSNR.

    task: reconstruction                            the input itself: autoencoders
    task: {reconstruction: {noise: 0.3}}            noise goes in, and the loss is against the clean
    task: {reconstruction: {blur: 1, holes: 0.2}}   one; blurred, a fifth of it missing
    task: restoration                               the target of each input: pairs of pictures

What goes in is measured as what comes out is, so that one sees what the network adds. In evaluation
what is drawn for a sample follows from the sample, so that metrics do not depend on how batches are
cut.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from archspec.train.errors import TrainError
from archspec.train.named import Called, loss
from archspec.train.targets import NONE, PICTURE
from archspec.train.tasks.base import Move, Sums, Task, beside, count, one_input, seeds, wide

if TYPE_CHECKING:
    from archspec.network import Program
    from archspec.train.plan import Plan
    from archspec.train.sets import Sets

# option → what it is, and the largest number
_SPOILS = {
    "noise": ("a standard deviation, from 0", math.inf),
    "blur": ("a standard deviation in pixels, from 0", math.inf),
    "holes": ("a share of the picture, from 0, below 1", 1.0),
}
_HOLES = 8  # to a side of a picture: a hole is as wide as an eighth of it


class Reconstruction(Task):
    """What went in comes out; what is done to it on the way is taken away."""

    name: ClassVar[str] = "reconstruction"
    options: ClassVar[tuple[str, ...]] = tuple(_SPOILS)
    targets: ClassVar[str] = NONE
    plain: ClassVar[bool] = True
    known: ClassVar[tuple[str, ...]] = ("loss", "mse", "psnr", "psnr_input")
    monitor: ClassVar[str] = "val.loss"
    falling: ClassVar[frozenset[str]] = frozenset({"loss", "mse"})
    losses: ClassVar[tuple[str, ...]] = ("mse", "l1", "smooth_l1", "huber", "binary_cross_entropy")

    def __init__(self, plan: Plan, program: Program | None) -> None:
        super().__init__(plan, program)
        self.weighed(0)
        self.criterion = loss(plan.loss or Called("mse", {}))
        for option, (what, most) in _SPOILS.items():
            value = self.given.get(option, 0.0)
            number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if not number or not 0 <= value < most:
                said = f"`{option}` is {value}; it is {what}"
                raise plan.fault("E802", said, "task", self.name, option, help="for example 0.3")
        self.noise, self.blur, self.holes = (self.given.get(option, 0.0) for option in _SPOILS)

    def clean(self, x: Tensor, y: Any) -> Tensor:
        """What is to come out."""
        return x

    def moves(self, model: nn.Module, x: Any, y: Any) -> Iterator[Move]:
        given = self._spoiled(x, None)
        output, _ = self.outputs(model(given))
        yield Move(*self._measured(output, self.clean(x, y), given))

    def score(self, model: nn.Module, x: Any, y: Any) -> Sums:
        given = self.degraded(x)
        output, _ = self.outputs(model(given))
        return self._measured(output, self.clean(x, y), given)[1]

    def _measured(self, output: Tensor, clean: Tensor, given: Tensor) -> tuple[Tensor, Sums]:
        """The loss, and what is counted."""
        found = self.criterion(output, clean)
        before, after = (_squared(one, clean) for one in (given, output.detach()))
        numbers = beside(after, clean.numel())
        sums = {"squared": after, "squared_input": before, "numbers": numbers}
        return found, {**count(found, clean), **sums}

    def of_each(self, model: nn.Module, x: Any, y: Any) -> Tensor:
        output, _ = self.outputs(model(self.degraded(x)))
        found: Tensor = self.criterion(output, self.clean(x, y), reduction="none")
        return found.flatten(1).mean(1)

    def figures(self, sums: Sums) -> dict[str, float]:
        mse, before = (
            float(sums[name]) / max(int(sums["numbers"]), 1)
            for name in ("squared", "squared_input")
        )
        found = {"loss": float(sums["loss"]) / max(int(sums["n"]), 1), "mse": mse}
        found["psnr"] = _psnr(mse)
        return {**found, "psnr_input": _psnr(before)} if before else found

    # -------------------------------------------------------------- what is done to inputs

    def degraded(self, x: Tensor) -> Tensor:
        """Each sample spoiled in a way of its own, decided by its numbers."""
        if not self.noise and not self.holes:
            return self._spoiled(x, None)
        return self._spoiled(x, seeds(x))

    def _spoiled(self, x: Tensor, seeds: Sequence[int] | None) -> Tensor:
        """Blurred, noise upon it, holes in it; where there are no seeds, from torch's numbers."""
        if self.blur:
            x = _blurred(x, self.blur)
        if self.noise:
            x = x + self.noise * _drawn(torch.randn, x, tuple(x.shape[1:]), seeds)
        if self.holes:
            x = x * (_holes(x, seeds) >= self.holes)
        return x

    # -------------------------------------------------------------- what is said

    def answers(self, shares: Tensor, classes: tuple[str, ...], top: int) -> list[Any]:
        if shares.ndim > 2:
            help = "`archspec predict … -o FOLDER` writes them, archspec.train.predict(folder=…)"
            raise TrainError("E804", "the network answers with pictures, not with words", help)
        return shares.tolist()

    def as_targets(self, shares: Tensor) -> dict[str, Tensor]:
        return {"picture": shares} if shares.ndim == 4 else {}

    def refuse(self, sets: Sets) -> None:
        x, y = sets.train.plain()[0]
        if (self.blur or self.holes) and (not isinstance(x, Tensor) or x.ndim != 3):
            said = "blur and holes are for pictures; these inputs are none"
            raise TrainError("E804", said, "`noise` is for all numbers")
        if self.program is None:
            return
        one_input(self.program)
        edge = self.program.graph.outputs[self.main][0]
        shape = self.program.graph.steps[edge.node].outs[edge.output].shape
        given = tuple(self.clean(x, y).shape)
        if given != shape and sets.facts.shape == self._input():
            what = "targets" if self.targets == PICTURE else "inputs"
            said = f"{what} have shape {list(given)}, the output `{self.main}` {list(shape)}"
            raise TrainError("E804", said, "what comes out has the shape of the clean picture")

    def _input(self) -> tuple[int, ...]:
        assert self.program is not None
        return self.program.graph.steps[0].outs[0].shape


class Restoration(Reconstruction):
    """The target of each input comes out: pairs of pictures, spoiled and clean."""

    name: ClassVar[str] = "restoration"
    options: ClassVar[tuple[str, ...]] = ()
    targets: ClassVar[str] = PICTURE

    def clean(self, x: Tensor, y: Any) -> Tensor:
        found: Tensor = y
        return found

    def _measured(self, output: Tensor, clean: Tensor, given: Tensor) -> tuple[Tensor, Sums]:
        """What goes in counts as it was, if it is of the size of what comes out."""
        same = given if given.shape == clean.shape else clean
        return super()._measured(output, clean, same)

    def refuse(self, sets: Sets) -> None:
        x, y = sets.train.plain()[0]
        if not isinstance(y, Tensor) or y.ndim != x.ndim or not y.is_floating_point():
            given = f"{list(y.shape)} of {y.dtype}" if isinstance(y, Tensor) else type(y).__name__
            said = f"a target is {given}, not a picture"
            raise TrainError("E804", said, "`task: reconstruction` needs none")
        super().refuse(sets)


def _squared(one: Tensor, other: Tensor) -> Tensor:
    return (wide(one) - wide(other)).square().sum()


def _psnr(mse: float) -> float:
    """In decibels, of pictures from 0 to 1."""
    return -10 * math.log10(mse) if mse > 0 else math.inf


def _drawn(how: Any, x: Tensor, shape: tuple[int, ...], seeds: Sequence[int] | None) -> Tensor:
    """Random numbers [N, …] beside x: torch's own, or a sample's by its seed."""
    if seeds is None:
        made: Tensor = how(len(x), *shape, device=x.device, dtype=x.dtype)
        return made
    generator = torch.Generator()
    return torch.stack([how(shape, generator=generator.manual_seed(s)) for s in seeds]).to(x)


def _holes(x: Tensor, seeds: Sequence[int] | None) -> Tensor:
    """A number from 0 to 1 for each square of a picture: [N, 1, H, W]."""
    height, width = x.shape[2:]
    side = max(1, min(height, width) // _HOLES)
    rows, columns = -(-height // side), -(-width // side)
    numbers = _drawn(torch.rand, x, (1, rows, columns), seeds)
    large = numbers.repeat_interleave(side, 2).repeat_interleave(side, 3)
    return large[:, :, :height, :width]


def _blurred(x: Tensor, sigma: float) -> Tensor:
    """Convolved with a Gaussian of three standard deviations to each side; edges are mirrored."""
    reach = min(math.ceil(3 * sigma), *(side - 1 for side in x.shape[2:]))
    places = torch.arange(-reach, reach + 1, dtype=x.dtype, device=x.device)
    line = (-(places**2) / (2 * sigma**2)).exp()
    line, channels = line / line.sum(), x.shape[1]
    padded = functional.pad(x, [reach] * 4, mode="reflect")
    across = functional.conv2d(padded, line.expand(channels, 1, 1, -1), groups=channels)
    return functional.conv2d(across, line[:, None].expand(channels, 1, -1, 1), groups=channels)
