"""What the engine asks of a task."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple
from zlib import crc32

import torch
from accelerate.utils import find_batch_size
from torch import Tensor, nn

from archspec.layers.shape import Reordered
from archspec.text.words import listed
from archspec.train.errors import TrainError
from archspec.train.inputs import call
from archspec.train.sets import main
from archspec.train.targets import CLASSES

if TYPE_CHECKING:
    from archspec.network import Program
    from archspec.train.loading import Normal
    from archspec.train.plan import Plan
    from archspec.train.samples import Wanted
    from archspec.train.sets import Facts, Sets

Sums = dict[str, Tensor]
"""What adds up over samples, batches and processes: so a metric is exact, however they are cut.

Where a metric ranks all samples, as average precision does, a name that begins with `rows` holds
what is to be ranked, [any, …]: of two batches and two processes one is put below the other.
"""
ROWS = "rows"


class Move(NamedTuple):
    """One step of the optimizer: the loss, a mean over the batch, and what is counted of it."""

    loss: Tensor
    sums: Sums
    part: str = ""  # path of the part of the network that it moves; "": all that is trained


class Task:
    """Base of all tasks. Targets `y` and `model(x)` are a tensor, or a mapping of such by name.

    A task of several networks gets them as `model["generator"]`, and so on.
    """

    name: ClassVar[str]
    options: ClassVar[tuple[str, ...]] = ()  # what a plan may say of it: `task: {name: {…}}`
    targets: ClassVar[str] = CLASSES  # their kind: `archspec.train.targets`
    plain: ClassVar[bool] = False  # whether pictures stay from 0 to 1 where a plan says nothing
    ensembles: ClassVar[bool] = True  # whether what several networks say can be averaged
    networks: ClassVar[tuple[str, ...]] = ()  # where it trains several: the main one first
    averaged: ClassVar[tuple[str, ...]] = ()  # of these, whose weights `ema` averages; (): all
    by_heart: bool = True  # whether the loss on one batch can come near 0
    known: ClassVar[tuple[str, ...]]  # all figures that it measures
    mixes: ClassVar[bool] = False  # whether it learns from mixtures of two samples
    later: ClassVar[frozenset[str]] = frozenset()  # of these, what only an evaluation measures
    monitor: ClassVar[str]  # what a plan watches that says nothing; "": no figure says what is best
    falling: ClassVar[frozenset[str]] = frozenset({"loss"})  # figures that are better when smaller
    losses: ClassVar[tuple[str, ...]]  # that fit, the default first; none: it has its own

    def __init__(self, plan: Plan, program: Program | None) -> None:
        self.plan = plan
        self.program = program
        self.main = main(program) if program is not None else ""
        name = plan.loss.name if plan.loss is not None else next(iter(self.losses), "")
        if plan.loss is not None and name not in self.losses:
            help = "it takes " + " or ".join(f"`{one}`" for one in self.losses)
            help = help if self.losses else "it has losses of its own: leave `loss` out"
            raise plan.fault("E805", f"the loss `{name}` is not for {self.name}", "loss", help=help)
        self.loss_name = name
        self.given = plan.task.args if plan.task is not None else {}
        self.function: Any = None  # of the caller's, where the task is one
        self.others: Mapping[str, Program | None] = {}  # the other networks, by name
        self.progress = 1.0  # share of the phase's steps that are done; of what is trained, all

    @property
    def reader(self) -> Program | None:
        """The network that reads the data."""
        return self.program

    def normal(self) -> Normal | None:
        """How inputs are normalised where the plan says nothing, if the task wants it so."""
        return None

    def moves(self, model: nn.Module, x: Any, y: Any) -> Iterator[Move]:
        """The steps that a batch asks for, the network in training."""
        raise NotImplementedError

    def score(self, model: nn.Module, x: Any, y: Any) -> Sums:
        """What is counted of a batch, the network in evaluation."""
        raise NotImplementedError

    def of_each(self, model: nn.Module, x: Any, y: Any) -> Tensor:
        """The loss of each sample, [N]: what is worst is shown in a report."""
        raise NotImplementedError

    def passes(self, model: nn.Module, x: Any) -> None:
        """Sends a batch through what is trained, for the statistics of norms."""
        call(model, x)

    def pictures(self, model: nn.Module, n: int, seed: int) -> Tensor | None:
        """So many that the network makes of noise, [n, C, H, W], if it is made for that."""
        codes = self.codes(n, seed)
        return None if codes is None else self.decode(model, codes)

    def codes(self, n: int, seed: int) -> Tensor | None:
        """Noise that pictures are made of, [n, …], if they are."""
        return None

    def decode(self, model: nn.Module, codes: Tensor) -> Tensor:
        """The pictures of codes, [n, C, H, W]."""
        raise NotImplementedError

    def encode(self, model: nn.Module, x: Tensor) -> Tensor | None:
        """The codes of inputs, [n, …], if the network has an encoder."""
        return None

    def measured(self) -> tuple[str, ...]:
        """Those of the figures that it measures for this network."""
        return self.known

    def figures(self, sums: Sums) -> dict[str, float]:
        """Metrics, from what was counted."""
        raise NotImplementedError

    def tables(self, sums: Sums) -> dict[str, Any]:
        """What is more than a number, as plain data."""
        return {}

    def asks(self, wanted: Wanted) -> Wanted:
        """What the task asks of a set beside the kind of its targets."""
        return wanted

    def refuse(self, sets: Sets) -> None:
        """Raises where the network and the data do not go together."""

    def weighed(self, width: int, *, alone: bool = False) -> None:
        """Raises SpecError where a loss has weights for another number of classes than the head.

        `alone`: whether one number may stand for all.
        """
        for key in ("weight", "pos_weight"):
            given = self.plan.loss.args.get(key) if self.plan.loss is not None else None
            single = not isinstance(given, list)
            if given is None or (alone and single) or (not single and len(given) == width):
                continue
            many = f"a number for each of the {width}" if width else "no weights"
            said = f"`{key}` is {given}; `{self.name}` takes {many}"
            raise self.plan.fault("E805", said, "loss", self.loss_name, key, help="or leave it out")

    def rehearse(self, model: nn.Module, sets: Sets) -> None:
        """Raises where the network itself, given a sample, shows that it cannot learn this."""

    def know(self, facts: Facts) -> None:
        """Takes what was learned of the training set besides weights, as a checkpoint has it."""

    def verdict(self, found: Any) -> Tensor:
        """What the network says, by all its outputs: most look at the main one alone."""
        return self.shares(self.outputs(found)[0])

    def shares(self, output: Tensor) -> Tensor:
        """What of several networks may be averaged: probabilities, numbers."""
        return output

    def answers(self, shares: Tensor, classes: tuple[str, ...], top: int) -> list[Any]:
        """What is said of each sample, as plain data."""
        raise NotImplementedError

    def degraded(self, x: Tensor) -> Tensor:
        """Inputs as the network is given them in evaluation, where a task spoils them first."""
        return x

    def as_targets(self, shares: Tensor) -> dict[str, Tensor]:
        """What a network says, in the form of targets by name, to be drawn; {}: it says words."""
        return {}

    def scaled(self, shares: Tensor, times: Tensor) -> Tensor:
        """What it says of where things are, `times` x, y, x, y: of a larger picture."""
        raise NotImplementedError

    def falls(self, figure: str) -> bool:
        """Whether `val.loss` or the like is better when it is smaller."""
        return figure.rpartition(".")[2] in self.falling

    def outputs(self, found: Any) -> tuple[Tensor, dict[str, Tensor]]:
        """The output that counts, and the others by name."""
        if isinstance(found, Tensor):
            return found, {}
        others = dict(found)
        return others.pop(self.main or next(iter(others))), others


def wide(value: Tensor) -> Tensor:
    """In float64, so that long sums stay exact; Apple's GPUs have none."""
    return value if value.device.type == "mps" else value.double()


def count(loss: Tensor, y: Any) -> Sums:
    """The loss as a sum over samples, and how many they are."""
    n = find_batch_size(y)
    return {"loss": wide(loss.detach()) * n, "n": beside(loss, n)}


def beside(value: Tensor, number: float) -> Tensor:
    """A number on the device of a tensor.

    It is written there: one that is sent there waits for all that the device still has to do.
    """
    return torch.full((), number, device=value.device)


def last_op(program: Program, output: str = "") -> str:
    """The op that the numbers of an output come from, whatever moves them about later.

    Of the main output where none is named.
    """
    edge = program.graph.outputs[output or main(program)][0]
    node = program.graph.steps[edge.node]
    while isinstance(node.layer, Reordered):
        node = program.graph.steps[node.inputs[0].node]
    return node.op


def seeds(x: Tensor) -> list[int]:
    """A seed for each sample, decided by its numbers: however batches are cut, it is the same.

    Of 32 bits, because torch's generator on CPUs looks at no others.
    """
    return [crc32(one.numpy().tobytes()) for one in x.detach().cpu().float()]


def one_input(program: Program) -> None:
    """Raises TrainError where a network reads more than one input."""
    inputs = [node.path for node in program.graph.steps if node.layer is None]
    if len(inputs) > 1:
        said = f"the network reads {listed(inputs)}; a sample of this task has one input"
        raise TrainError("E804", said, "fit(model, data, step=…) takes any loss")
