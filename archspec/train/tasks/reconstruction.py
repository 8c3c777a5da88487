"""The input itself: outputs [N, …] of the inputs' shape → squared error, PSNR. For autoencoders.

    task: {reconstruction: {noise: 0.3}}        noise goes in, and the loss is against the clean one

In evaluation the noise of a sample follows from the sample, so that metrics do not depend on how
batches are cut. Targets that a set has besides are not looked at.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn

from archspec.train.errors import TrainError
from archspec.train.named import Called, loss
from archspec.train.targets import NONE
from archspec.train.tasks.base import Move, Sums, Task, count, one_input, wide

if TYPE_CHECKING:
    from archspec.network import Program
    from archspec.train.plan import Plan
    from archspec.train.sets import Sets


class Reconstruction(Task):
    """What went in comes out; with `noise`, its standard deviation, without the noise."""

    name: ClassVar[str] = "reconstruction"
    options: ClassVar[tuple[str, ...]] = ("noise",)
    targets: ClassVar[str] = NONE
    plain: ClassVar[bool] = True
    known: ClassVar[tuple[str, ...]] = ("loss", "mse", "psnr")
    monitor: ClassVar[str] = "val.loss"
    falling: ClassVar[frozenset[str]] = frozenset({"loss", "mse"})
    losses: ClassVar[tuple[str, ...]] = ("mse", "l1", "smooth_l1", "huber", "binary_cross_entropy")

    def __init__(self, plan: Plan, program: Program | None) -> None:
        super().__init__(plan, program)
        self.criterion = loss(plan.loss or Called("mse", {}))
        self.noise = self.given.get("noise", 0.0)
        number = isinstance(self.noise, (int, float)) and not isinstance(self.noise, bool)
        if not number or not 0 <= self.noise < math.inf:
            said = f"`noise` is {self.noise}; it is a standard deviation, from 0"
            raise plan.fault("E802", said, "task", self.name, "noise", help="for example 0.3")

    def moves(self, model: nn.Module, x: Any, y: Any) -> Iterator[Move]:
        given = x + self.noise * torch.randn_like(x) if self.noise else x
        output, _ = self.outputs(model(given))
        found = self.criterion(output, x)
        yield Move(found, {**count(found, x), **_errors(output, x)})

    def score(self, model: nn.Module, x: Any, y: Any) -> Sums:
        output, _ = self.outputs(model(self.degraded(x)))
        return {**count(self.criterion(output, x), x), **_errors(output, x)}

    def of_each(self, model: nn.Module, x: Any, y: Any) -> Tensor:
        output, _ = self.outputs(model(self.degraded(x)))
        found: Tensor = self.criterion(output, x, reduction="none")
        return found.flatten(1).mean(1)

    def degraded(self, x: Tensor) -> Tensor:
        """Each sample with noise of its own, decided by its numbers."""
        if not self.noise:
            return x
        generator = torch.Generator()
        made = []
        for one in x.cpu().double():
            generator.manual_seed(int(one.sum().view(torch.int64)) & 0x7FFF_FFFF_FFFF_FFFF)
            made.append(torch.randn(one.shape, generator=generator))
        noise: Tensor = self.noise * torch.stack(made).to(x)
        return x + noise

    def figures(self, sums: Sums) -> dict[str, float]:
        mse = float(sums["squared"]) / max(int(sums["numbers"]), 1)
        psnr = -10 * math.log10(mse) if mse > 0 else math.inf  # of pictures from 0 to 1
        return {"loss": float(sums["loss"]) / max(int(sums["n"]), 1), "mse": mse, "psnr": psnr}

    def answers(self, shares: Tensor, classes: tuple[str, ...], top: int) -> list[Any]:
        if shares.ndim > 2:
            help = "archspec.train.load(run).shares(x) gives them as tensors"
            raise TrainError("E804", "the network answers with pictures, not with words", help)
        return shares.tolist()

    def as_targets(self, shares: Tensor) -> dict[str, Tensor]:
        return {"picture": shares} if shares.ndim == 4 else {}

    def refuse(self, sets: Sets) -> None:
        if self.program is None:
            return
        one_input(self.program)
        edge = self.program.graph.outputs[self.main][0]
        shape = self.program.graph.steps[edge.node].outs[edge.output].shape
        given = sets.facts.shape
        if given != shape:
            said = f"inputs have shape {list(given)}, the output `{self.main}` {list(shape)}"
            raise TrainError("E804", said, "what is reconstructed has the shape of what goes in")


def _errors(output: Tensor, x: Tensor) -> Sums:
    apart = wide(output.detach()) - wide(x)
    return {"squared": apart.square().sum(), "numbers": apart.new_tensor(apart.numel())}
