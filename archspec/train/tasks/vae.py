"""The input itself, through a code that is drawn: a variational autoencoder.

    task: {vae: {beta: 1.0}}        spec: outputs: {reconstruction: decoder, mean: mean, log_var: …}

The loss is the negative of Kingma and Welling's bound (2014, arXiv 1312.6114, equation 10) with one
draw, which the spec's `sample_normal` makes: how badly the input is rebuilt, and how far the codes
are from a standard normal distribution,

    −log p(x | z) + beta · ½ Σ (mean² + exp(log_var) − log_var − 1)

both summed over a sample's numbers and averaged over samples. `beta` is Higgins et al.'s (2017); 1
is the bound itself. In evaluation `sample_normal` gives the mean, so what is measured is at the
mean code. Pictures are made by the decoder of codes drawn from the standard normal distribution.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn

from archspec.text.words import listed
from archspec.train.errors import TrainError
from archspec.train.named import Called, loss
from archspec.train.targets import NONE
from archspec.train.tasks.base import Move, Sums, Task, beside, last_op, one_input, wide

if TYPE_CHECKING:
    from archspec.expand.graph import Edge, Node
    from archspec.network import Program
    from archspec.train.plan import Plan
    from archspec.train.sets import Sets

_PROBABILITIES, _LOGITS = "binary_cross_entropy", "binary_cross_entropy_with_logits"


class VAE(Task):
    """Rebuilding, and the distance of the codes from a standard normal distribution."""

    name: ClassVar[str] = "vae"
    options: ClassVar[tuple[str, ...]] = ("beta",)
    targets: ClassVar[str] = NONE
    plain: ClassVar[bool] = True
    by_heart: bool = False
    known: ClassVar[tuple[str, ...]] = ("loss", "reconstruction", "kl")
    monitor: ClassVar[str] = "val.loss"
    falling: ClassVar[frozenset[str]] = frozenset({"loss", "reconstruction", "kl"})
    losses: ClassVar[tuple[str, ...]] = ("mse", "l1", _PROBABILITIES, _LOGITS)

    def __init__(self, plan: Plan, program: Program | None) -> None:
        super().__init__(plan, program)
        if program is None:
            message = "the network is not of a spec, so that nothing says where codes are drawn"
            raise TrainError("E804", message, "write it as a spec with `sample_normal`")
        self.draw = _draw(program)
        self.mean, self.log_var = (_named(program, edge, self.draw) for edge in self.draw.inputs)
        self.main = next(
            name for name in program.graph.outputs if name not in (self.mean, self.log_var)
        )
        fitting = _PROBABILITIES if last_op(program, self.main) == "sigmoid" else "mse"
        self.loss_name = plan.loss.name if plan.loss is not None else fitting
        self.criterion = loss(plan.loss or Called(fitting, {}))
        self.beta = self.given.get("beta", 1.0)
        number = isinstance(self.beta, (int, float)) and not isinstance(self.beta, bool)
        if not number or not 0 <= self.beta < math.inf:
            said = f"`beta` is {self.beta}; it is the weight of the codes' distance, from 0"
            raise plan.fault("E802", said, "task", self.name, "beta", help="for example 1.0")

    def moves(self, model: nn.Module, x: Any, y: Any) -> Iterator[Move]:
        rebuilt, far = self._terms(model, x)
        yield Move((rebuilt + self.beta * far).mean(), _counted(rebuilt, far))

    def score(self, model: nn.Module, x: Any, y: Any) -> Sums:
        return _counted(*self._terms(model, x))

    def of_each(self, model: nn.Module, x: Any, y: Any) -> Tensor:
        rebuilt, far = self._terms(model, x)
        found: Tensor = rebuilt + self.beta * far
        return found

    def _terms(self, model: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
        """Of each sample: how badly it is rebuilt, and how far its code's distribution is."""
        output, others = self.outputs(model(x))
        mean, log_var = (others[name].float() for name in (self.mean, self.log_var))
        rebuilt = self.criterion(output, x, reduction="none").flatten(1).sum(1)
        far = (mean.square() + log_var.exp() - log_var - 1).flatten(1).sum(1) / 2
        return rebuilt, far

    def figures(self, sums: Sums) -> dict[str, float]:
        n = max(int(sums["n"]), 1)
        rebuilt, far = float(sums["reconstruction"]) / n, float(sums["kl"]) / n
        return {"loss": rebuilt + self.beta * far, "reconstruction": rebuilt, "kl": far}

    def codes(self, n: int, seed: int) -> Tensor:
        shape = self.draw.outs[0].shape
        return torch.randn(n, *shape, generator=torch.Generator().manual_seed(seed))

    def decode(self, model: nn.Module, codes: Tensor) -> Tensor:
        """The decoder's pictures: codes are put in where the network draws its own."""
        assert self.program is not None
        codes = codes.to(next(model.parameters()).device)
        shape = self.program.graph.steps[0].outs[0].shape
        nothing = torch.zeros(len(codes), *shape, device=codes.device)
        put = model.get_submodule(self.draw.path).register_forward_hook(lambda *_: codes)
        try:
            output, _ = self.outputs(model(nothing))
        finally:
            put.remove()
        return self.shares(output)

    def encode(self, model: nn.Module, x: Tensor) -> Tensor:
        """The means of what codes are drawn from."""
        _, others = self.outputs(model(x))
        return others[self.mean]

    def shares(self, found: Any) -> Tensor:
        output, _ = self.outputs(found)
        return output.sigmoid() if self.loss_name == _LOGITS else output

    def answers(self, shares: Tensor, classes: tuple[str, ...], top: int) -> list[Any]:
        help = "`archspec predict … -o FOLDER` writes them, archspec.train.predict(folder=…)"
        raise TrainError("E804", "the network answers with pictures, not with words", help)

    def as_targets(self, shares: Tensor) -> dict[str, Tensor]:
        return {"picture": shares} if shares.ndim == 4 else {}

    # -------------------------------------------------------------- before the first step

    def refuse(self, sets: Sets) -> None:
        assert self.program is not None
        one_input(self.program)
        edge = self.program.graph.outputs[self.main][0]
        shape = self.program.graph.steps[edge.node].outs[edge.output].shape
        given = sets.facts.shape
        if given != shape:
            said = f"inputs have shape {list(given)}, the output `{self.main}` {list(shape)}"
            raise TrainError("E804", said, "what is reconstructed has the shape of what goes in")
        self._ends()
        x, _ = sets.train[0]
        if "entropy" in self.loss_name and not (float(x.min()) >= 0 and float(x.max()) <= 1):
            said = f"`{self.loss_name}` is for numbers from 0 to 1; the inputs are others"
            raise TrainError("E805", said, "`data: {normalize: none}`, or `loss: mse`")

    def _ends(self) -> None:
        """Raises where the last op and the loss are not made for one another."""
        assert self.program is not None
        op = last_op(self.program, self.main)
        if self.loss_name == _PROBABILITIES and op != "sigmoid":
            said = f"`{self.loss_name}` takes numbers from 0 to 1; the output ends in `{op}`"
            raise TrainError("E805", said, f"`loss: {_LOGITS}` has the sigmoid in it")
        if self.loss_name == _LOGITS and op == "sigmoid":
            said = f"`{self.loss_name}` has a sigmoid in it; the output ends in one too"
            raise TrainError("E805", said, f"`loss: {_PROBABILITIES}` has none")


def _draw(program: Program) -> Node:
    """Where the network draws its code. Raises TrainError."""
    found = [node for node in program.graph.steps if node.op == "sample_normal"]
    if len(found) == 1:
        return found[0]
    where = f"draws at {listed([node.path for node in found])}" if found else "draws no code"
    message = f"`{program.name}` {where}; `vae` is for networks that draw one"
    raise TrainError("E804", message, "`{id: z, from: [mean, log_var], sample_normal: }`")


def _named(program: Program, edge: Edge, draw: Node) -> str:
    """The output that gives what a code is drawn with. Raises TrainError."""
    for name, edges in program.graph.outputs.items():
        if edges == (edge,):
            return name
    path = program.graph.steps[edge.node].path
    message = f"`{draw.path}` draws with `{path}`, which is no output: the loss needs it"
    raise TrainError("E804", message, f"`outputs: {{…, {path.split('.')[0]}: {path}}}`")


def _counted(rebuilt: Tensor, far: Tensor) -> Sums:
    return {
        "reconstruction": wide(rebuilt.detach()).sum(), "kl": wide(far.detach()).sum(),
        "n": beside(rebuilt, len(rebuilt)),
    }  # fmt: skip
