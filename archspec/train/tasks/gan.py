"""Noise → pictures that a second network cannot tell from the data: a generative adversarial net.

    task: {gan: {discriminator: dcgan_discriminator}}      of the network that makes the pictures

Two moves a batch, as in Goodfellow et al. 2014 (arXiv 1406.2661, algorithm 1 with k = 1): the
discriminator learns that the data are real and what was made is not; then the generator learns to
have fresh pictures taken for real, by the loss that does not saturate (its section 3).

Neither loss says which weights are better: each falls only while the other rises. So there is no
best checkpoint but a last one, and the pictures of every epoch to look at. `frechet` compares what
is made with what was held out, in mean and covariance of pixels: it tells when a generator makes
one picture only, and not whether a picture looks like anything.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from archspec.text.words import listed
from archspec.train.errors import TrainError
from archspec.train.inputs import call, inputs
from archspec.train.loading import Normal
from archspec.train.named import Called, loss
from archspec.train.targets import NONE
from archspec.train.tasks.base import Move, Sums, Task, beside, last_op, seeds, wide

if TYPE_CHECKING:
    from archspec.network import Program
    from archspec.train.networks import Networks
    from archspec.train.plan import Plan
    from archspec.train.samples import Wanted
    from archspec.train.sets import Sets

ALPHA = "alpha"  # the input of networks that grow
_SIDE = 16  # of pictures whose covariance is measured, at most
_PROBABILITIES, _LOGITS = "binary_cross_entropy", "binary_cross_entropy_with_logits"


class GAN(Task):
    """A generator and a discriminator, one step each a batch.

    Losses: binary cross entropy of what the discriminator ends in; `mse` is the least squares of
    Mao et al. 2017 (arXiv 1611.04076). `label_smoothing` takes from the target of real pictures
    alone (Salimans et al. 2016, arXiv 1606.03498, section 3.4).

    Networks that grow (Karras et al. 2018, arXiv 1710.10196) have an input `alpha`: over the share
    `fade` of a phase it rises from 0 to 1, by steps, and data lose their detail as far as it is
    below 1; else it is 1.
    """

    name: ClassVar[str] = "gan"
    targets: ClassVar[str] = NONE
    options: ClassVar[tuple[str, ...]] = ("fade",)
    networks: ClassVar[tuple[str, ...]] = ("generator", "discriminator")
    averaged: ClassVar[tuple[str, ...]] = ("generator",)
    by_heart: bool = False
    known: ClassVar[tuple[str, ...]] = ("generator", "discriminator", "real", "made", "frechet")
    monitor: ClassVar[str] = ""
    falling: ClassVar[frozenset[str]] = frozenset({"generator", "discriminator", "frechet"})
    losses: ClassVar[tuple[str, ...]] = (_LOGITS, _PROBABILITIES, "mse")

    def __init__(self, plan: Plan, program: Program | None) -> None:
        super().__init__(plan, program)
        if program is None:
            message = "the generator is no network of a spec, so that the shape of noise is unknown"
            raise TrainError("E804", message, "write it as a spec: `archspec new`")
        self.shape = inputs(program)[0].shape
        self.fade = self.given.get("fade", 0)
        number = isinstance(self.fade, (int, float)) and not isinstance(self.fade, bool)
        if not number or not 0 <= self.fade <= 1:
            said = f"`fade` is {self.fade}; it is a share of the training, from 0 to 1"
            raise plan.fault("E802", said, "task", self.name, "fade", help="for example 0.5")
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

    @property
    def alpha(self) -> float:
        """How far the newest layers are faded in."""
        return min(1.0, self.progress / self.fade) if self.fade else 1.0

    def moves(self, model: nn.Module, x: Any, y: Any) -> Iterator[Move]:
        both: Networks = model  # type: ignore[assignment]
        x = self._faded(x)
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
        found, _ = self.outputs(self._asked(generator, self.program, noise))
        return found

    def _verdict(self, discriminator: nn.Module, x: Tensor) -> Tensor:
        found = self._asked(discriminator, self.reader, x)
        return found if isinstance(found, Tensor) else next(iter(found.values()))

    def _asked(self, network: nn.Module, program: Program | None, x: Tensor) -> Any:
        """What a network gives; one that grows is told how far it has."""
        names = [one.name for one in inputs(program)]
        if ALPHA not in names:
            return network(x)
        alpha = x.new_full((len(x), 1, 1, 1), self.alpha)
        return call(network, {name: alpha if name == ALPHA else x for name in names})

    def _faded(self, x: Tensor) -> Tensor:
        """Data as the networks see them: between half as many pixels a side and all of them."""
        if self.alpha == 1:
            return x
        coarse = functional.avg_pool2d(x, 2).repeat_interleave(2, 2).repeat_interleave(2, 3)
        return coarse.lerp(x, self.alpha)

    def _loss(self, verdict: Tensor, target: float) -> Tensor:
        found: Tensor = self.criterion(verdict, torch.full_like(verdict, target))
        return found

    def _taken(self, verdict: Tensor) -> Tensor:
        """How many are taken for real."""
        least = 0.0 if self._fitting == _LOGITS and self.loss_name != "mse" else 0.5
        return (verdict.detach().flatten(1).mean(1) > least).sum()

    # -------------------------------------------------------------- what is measured and shown

    def score(self, model: nn.Module, x: Any, y: Any) -> Sums:
        """Means and products of the numbers of pictures, of real ones and of as many made."""
        both: Networks = model  # type: ignore[assignment]
        made = self._made(both["generator"], _decided(x, self.shape))
        sums = {"n": beside(x, len(x))}
        for name, pictures in (("data", x), ("made", made)):
            flat = wide(_small(pictures).flatten(1))
            sums |= {f"{name}.sum": flat.sum(0), f"{name}.products": flat.T @ flat}
        return sums

    def figures(self, sums: Sums) -> dict[str, float]:
        n = max(int(sums["n"]), 1)
        if "data.sum" not in sums:
            return {name: float(sums[name]) / n for name in self.known if name in sums}
        both = [
            _moments(sums[f"{name}.sum"], sums[f"{name}.products"], n) for name in ("data", "made")
        ]
        return {"frechet": frechet(*both[0], *both[1])}

    def passes(self, model: nn.Module, x: Any) -> None:
        """The generator of noise; the discriminator of what is real and of what is made."""
        both: Networks = model  # type: ignore[assignment]
        made = self._made(both["generator"], self.noise(len(x), x.device))
        for one in (x, made):
            self._verdict(both["discriminator"], one)

    def codes(self, n: int, seed: int) -> Tensor:
        return torch.randn(n, *self.shape, generator=torch.Generator().manual_seed(seed))

    def decode(self, model: nn.Module, codes: Tensor) -> Tensor:
        both: Networks = model  # type: ignore[assignment]
        return self._made(both["generator"], codes.to(next(model.parameters()).device))

    # -------------------------------------------------------------- before the first step

    def asks(self, wanted: Wanted) -> Wanted:
        return wanted._replace(inputs=wanted.inputs[:1])

    def refuse(self, sets: Sets) -> None:
        assert self.program is not None
        self._inputs(self.program)
        edge = self.program.graph.outputs[self.main][0]
        made = self.program.graph.steps[edge.node].outs[edge.output].shape
        given, judge = sets.facts.shape, self.reader
        if given != made:
            said = f"the data have shape {list(given)}, the generator makes {list(made)}"
            raise TrainError("E804", said, "what is made has the shape of what is learned from")
        if judge is None:
            return
        self._inputs(judge)
        read = judge.graph.steps[0].outs[0].shape
        if read != made:
            said = f"the generator makes {list(made)}, the discriminator reads {list(read)}"
            raise TrainError("E804", said, "build both for the same pictures")
        if self.plan.loss is not None and self.loss_name not in (self._fitting, "mse"):
            ends = last_op(judge)
            said = f"the loss `{self.loss_name}` is not for a discriminator that ends in `{ends}`"
            raise TrainError("E805", said, f"`{self._fitting}` is; it is taken if none is named")

    def _inputs(self, program: Program) -> None:
        """Raises TrainError where a network reads more than it is given."""
        names = [one.name for one in inputs(program)]
        if len(names) - (ALPHA in names) != 1 or names[0] == ALPHA:
            said = f"`{program.name}` reads {listed(names)}; `gan` gives noise, or pictures"
            raise TrainError("E804", said, f"and `{ALPHA}` after it, to networks that grow")
        if self.fade and ALPHA not in names:
            said = f"`{program.name}` has no input `{ALPHA}`, so that nothing is faded in"
            raise TrainError("E804", said, "leave `fade` out")


def _decided(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Noise for each sample, decided by its numbers: however batches are cut, it is the same."""
    generator = torch.Generator()
    made = []
    for seed in seeds(x):
        generator.manual_seed(seed)
        made.append(torch.randn(shape, generator=generator))
    return torch.stack(made).to(x)


def _small(x: Tensor) -> Tensor:
    """Large pictures averaged to 16 × 16, so that their covariance can be had."""
    return functional.adaptive_avg_pool2d(x, _SIDE) if x.ndim == 4 and x.shape[3] > _SIDE else x


def _moments(total: Tensor, products: Tensor, n: int) -> tuple[Tensor, Tensor]:
    """Mean and covariance."""
    mean = total.cpu() / n
    return mean, products.cpu() / n - torch.outer(mean, mean)


def frechet(mean: Tensor, cov: Tensor, other_mean: Tensor, other_cov: Tensor) -> float:
    """The Fréchet distance of two normal distributions (Dowson and Landau 1982), squared.

    |m − m'|² + tr(C + C' − 2 (C C')^½): what FID is, there of an Inception's codes.
    """
    values, vectors = torch.linalg.eigh(cov)
    root = vectors * values.clamp_min(0).sqrt() @ vectors.T
    shared = torch.linalg.eigvalsh(root @ other_cov @ root).clamp_min(0).sqrt().sum()
    found = (mean - other_mean).square().sum() + cov.trace() + other_cov.trace() - 2 * shared
    return max(float(found), 0.0)


def _count(name: str, found: Tensor, x: Tensor) -> Sums:
    """A loss as a sum over samples; they are counted with the first of the two steps."""
    counted = {name: wide(found.detach()) * len(x)}
    first = {"n": beside(x, len(x))} if name == "discriminator" else {}
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
