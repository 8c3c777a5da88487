"""Noise → pictures that a second network cannot tell from the data: a generative adversarial net.

    task: {gan: {discriminator: dcgan_discriminator}}      of the network that makes the pictures

Two moves a batch, as in Goodfellow et al. 2014 (arXiv 1406.2661, algorithm 1 with k = 1): the
discriminator learns that the data are real and what was made is not; then the generator learns to
have fresh pictures taken for real, by the loss that does not saturate (its section 3).

No figure here says which weights are better: of the two losses each falls only while the other
rises. So there is no best checkpoint but a last one, and the pictures of every epoch to look at.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn

from archspec.train.errors import TrainError
from archspec.train.loading import Normal
from archspec.train.named import Called, loss
from archspec.train.targets import NONE
from archspec.train.tasks.base import Move, Sums, Task, last_op, one_input, wide

if TYPE_CHECKING:
    from archspec.network import Program
    from archspec.train.networks import Networks
    from archspec.train.plan import Plan
    from archspec.train.sets import Sets

_PROBABILITIES, _LOGITS = "binary_cross_entropy", "binary_cross_entropy_with_logits"


class GAN(Task):
    """A generator and a discriminator, one step each a batch.

    Losses: binary cross entropy of what the discriminator ends in; `mse` is the least squares of
    Mao et al. 2017 (arXiv 1611.04076). `label_smoothing` takes from the target of real pictures
    alone (Salimans et al. 2016, arXiv 1606.03498, section 3.4).
    """

    name: ClassVar[str] = "gan"
    targets: ClassVar[str] = NONE
    networks: ClassVar[tuple[str, ...]] = ("generator", "discriminator")
    averaged: ClassVar[tuple[str, ...]] = ("generator",)
    by_heart: ClassVar[bool] = False
    known: ClassVar[tuple[str, ...]] = ("generator", "discriminator", "real", "made")
    monitor: ClassVar[str] = ""
    falling: ClassVar[frozenset[str]] = frozenset({"generator", "discriminator"})
    losses: ClassVar[tuple[str, ...]] = (_LOGITS, _PROBABILITIES, "mse")

    def __init__(self, plan: Plan, program: Program | None) -> None:
        super().__init__(plan, program)
        if program is None:
            message = "the generator is no network of a spec, so that the shape of noise is unknown"
            raise TrainError("E804", message, "write it as a spec: `archspec new`")
        self.shape = program.graph.steps[0].outs[0].shape
        self.real = 1 - plan.label_smoothing
        if plan.accumulate > 1:
            said = "each of the two steps is of one batch, which the other has not yet changed"
            raise plan.fault("E802", said, "accumulate", help="take a larger `batch`")

    @property
    def reader(self) -> Program | None:
        return self.others.get("discriminator")

    @cached_property
    def criterion(self) -> Any:
        """The loss of a verdict: what the plan says, or what the discriminator ends in asks for."""
        return loss(self.plan.loss or Called(self._fitting, {}))

    @cached_property
    def _fitting(self) -> str:
        ends = self.reader is not None and last_op(self.reader) == "sigmoid"
        return _PROBABILITIES if ends else _LOGITS

    def normal(self) -> Normal | None:
        """From -1 to 1, as a tanh gives it; from 0 to 1 where the generator ends in a sigmoid."""
        assert self.program is not None
        edge = self.program.graph.outputs[self.main][0]
        shape = self.program.graph.steps[edge.node].outs[edge.output].shape
        half = 0.0 if last_op(self.program) == "sigmoid" else 0.5
        return Normal((half,) * shape[0], (1 - half,) * shape[0])

    # -------------------------------------------------------------- steps

    def moves(self, model: nn.Module, x: Any, y: Any) -> Iterator[Move]:
        both: Networks = model  # type: ignore[assignment]
        with torch.no_grad():
            made = self._made(both.plain("generator"), self.noise(len(x), x.device))
        real, fake = (self._verdict(both["discriminator"], one) for one in (x, made))
        found = self._loss(real, self.real) + self._loss(fake, 0)
        counted = {"real": self._taken(real), "made": self._taken(fake)}
        yield Move(found, {**_count("discriminator", found, x), **counted}, "discriminator")
        made = self._made(both["generator"], self.noise(len(x), x.device))
        with _still(both.plain("discriminator")) as judge:
            found = self._loss(self._verdict(judge, made), 1)
        yield Move(found, _count("generator", found, x), "generator")

    def noise(self, n: int, device: torch.device) -> Tensor:
        """Standard normal numbers, of torch's own: a checkpoint has where they go on."""
        return torch.randn(n, *self.shape, device=device)

    def _made(self, generator: nn.Module, noise: Tensor) -> Tensor:
        found, _ = self.outputs(generator(noise))
        return found

    def _verdict(self, discriminator: nn.Module, x: Tensor) -> Tensor:
        found = discriminator(x)
        return found if isinstance(found, Tensor) else next(iter(found.values()))

    def _loss(self, verdict: Tensor, target: float) -> Tensor:
        found: Tensor = self.criterion(verdict, torch.full_like(verdict, target))
        return found

    def _taken(self, verdict: Tensor) -> Tensor:
        """How many are taken for real."""
        least = 0.0 if self._fitting == _LOGITS and self.loss_name != "mse" else 0.5
        return (verdict.detach().flatten(1).mean(1) > least).sum()

    # -------------------------------------------------------------- what is measured and shown

    def score(self, model: nn.Module, x: Any, y: Any) -> Sums:
        """How many pictures that it has not seen the discriminator takes for real."""
        both: Networks = model  # type: ignore[assignment]
        verdict = self._verdict(both["discriminator"], x)
        return {"real": self._taken(verdict), "n": torch.tensor(len(x), device=x.device)}

    def figures(self, sums: Sums) -> dict[str, float]:
        n = max(int(sums["n"]), 1)
        return {name: float(sums[name]) / n for name in self.known if name in sums}

    def passes(self, model: nn.Module, x: Any) -> None:
        """The generator of noise; the discriminator of what is real and of what is made."""
        both: Networks = model  # type: ignore[assignment]
        made = self._made(both["generator"], self.noise(len(x), x.device))
        for one in (x, made):
            both["discriminator"](one)

    def pictures(self, model: nn.Module, n: int, seed: int) -> Tensor:
        both: Networks = model  # type: ignore[assignment]
        drawn = torch.randn(n, *self.shape, generator=torch.Generator().manual_seed(seed))
        return self._made(both["generator"], drawn.to(next(model.parameters()).device))

    # -------------------------------------------------------------- before the first step

    def refuse(self, sets: Sets) -> None:
        assert self.program is not None
        one_input(self.program)
        edge = self.program.graph.outputs[self.main][0]
        made = self.program.graph.steps[edge.node].outs[edge.output].shape
        given, judge = sets.facts.shape, self.reader
        if given != made:
            said = f"the data have shape {list(given)}, the generator makes {list(made)}"
            raise TrainError("E804", said, "what is made has the shape of what is learned from")
        if judge is None:
            return
        one_input(judge)
        read = judge.graph.steps[0].outs[0].shape
        if read != made:
            said = f"the generator makes {list(made)}, the discriminator reads {list(read)}"
            raise TrainError("E804", said, "build both for the same pictures")
        if self.plan.loss is not None and self.loss_name not in (self._fitting, "mse"):
            ends = last_op(judge)
            said = f"the loss `{self.loss_name}` is not for a discriminator that ends in `{ends}`"
            raise TrainError("E805", said, f"`{self._fitting}` is; it is taken if none is named")


def _count(name: str, found: Tensor, x: Tensor) -> Sums:
    """A loss as a sum over samples; they are counted with the first of the two steps."""
    counted = {name: wide(found.detach()) * len(x)}
    first = {"n": torch.tensor(len(x), device=x.device)} if name == "discriminator" else {}
    return {**counted, **first}


@contextmanager
def _still(network: nn.Module) -> Iterator[nn.Module]:
    """A network that is passed through: no gradients of its own weights are made."""
    wanted = [(value, value.requires_grad) for value in network.parameters()]
    for value, _ in wanted:
        value.requires_grad_(False)
    try:
        yield network
    finally:
        for value, before in wanted:
            value.requires_grad_(before)
