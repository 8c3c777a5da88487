"""Model → the network as it is looked at: what it reads, and what any of its nodes gives.

    eye = tapped(subject(model), "layer3")      cut there: nothing behind it is computed
    eye(x)["layer3.5.relu3"]                    [N, 1024, 14, 14], with gradients to x

The program is cut, not the module: so each node can be named, inside blocks too, and sums and
concatenations that are no module. Weights are those of the model itself, not copies.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from torch import Tensor, nn

from archspec.text.words import did_you_mean
from archspec.train import sets
from archspec.train.errors import TrainError
from archspec.train.inputs import inputs
from archspec.train.start import shift
from archspec.train.use import Trained
from archspec.transfer.cut import tapped as cut_at
from archspec.weights import origin

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archspec.expand.graph import Node
    from archspec.network import Program
    from archspec.train.loading import Normal

_COLOURS = (1, 3)  # channels of a picture


class Subject(NamedTuple):
    """A network that reads one picture at a time; `normal`: how pictures become its inputs.

    `output` is the name of the one that is its answer.
    """

    model: nn.Module
    program: Program
    normal: Normal | None
    classes: tuple[str, ...]
    output: str

    @property
    def name(self) -> str:
        return str(self.program.spec.name)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of a picture: [C, H, W]."""
        return inputs(self.program)[0].shape

    @property
    def answer(self) -> str:
        """The path of the node whose values are the network's answer."""
        graph = self.program.graph
        return graph.steps[graph.outputs[self.output][0].node].path

    def input(self, x: Tensor) -> Tensor:
        """Pictures [N, C, H, W] from 0 to 1 as the network takes them."""
        return x if self.normal is None else self.normal(x)

    def picture(self, x: Tensor) -> Tensor:
        """Inputs of the network as the pictures they were made of."""
        return x if self.normal is None else self.normal.undone(x)

    def unit_name(self, unit: int, at: str | None = None) -> str:
        """The class, where the answer is asked about; else the number."""
        named = at is None and unit < len(self.classes)
        return self.classes[unit] if named else f"unit {unit}"

    def unit(self, said: int | str, node: Node, at: str | None = None) -> int:
        """The number of a unit: a channel of a map, an element of a vector. Raises TrainError."""
        count = node.outs[0].shape[0]
        if isinstance(said, str) and not said.isdigit():
            if at is not None or said not in self.classes:
                known = self.classes if at is None else ()
                help = did_you_mean(said, known) or f"units are numbers from 0 to {count - 1}"
                raise TrainError("E850", f"`{node.path}` has no unit `{said}`", help)
            return self.classes.index(said)
        if not 0 <= int(said) < count:
            message = f"`{node.path}` has no unit {said}"
            raise TrainError("E850", message, f"they are numbered from 0 to {count - 1}")
        return int(said)


class Eye(nn.Module):
    """The network up to some nodes: pictures as it takes them → what each gives, by its path."""

    def __init__(self, network: nn.Module, nodes: Sequence[Node], names: Sequence[str]) -> None:
        super().__init__()
        self.network, self.nodes, self.names = network, tuple(nodes), tuple(names)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        made = self.network(x)
        if len(self.nodes) == 1 and isinstance(made, Tensor):
            return {self.nodes[0].path: made}
        return {n.path: made[name] for n, name in zip(self.nodes, self.names, strict=True)}


def subject(model: nn.Module | Trained, normalize: Normal | None = None) -> Subject:
    """What is known of a model. `normalize` goes before what it was trained with.

    Raises TrainError where archspec did not build it, or where it does not read one picture.
    """
    if isinstance(model, Trained):
        module, program, normal = model.model, model.task.reader, model.facts.normal
        classes, output = model.facts.classes, model.task.main
        if program is not model.program:
            message = f"`{model.program.name}` reads no pictures, it makes them"
            raise TrainError("E804", message, "`archspec see latent` shows them")
    else:
        found = origin.program_of(model)
        if found is None:
            message = f"`{type(model).__name__}` was not built by archspec: its graph is not known"
            raise TrainError("E840", message, "archspec.build(SPEC), then weights.load into it")
        module, program, normal, classes = model, found, shift(model, found), ()
        output = sets.main(program)
    read = inputs(program)
    if len(read) != 1 or len(read[0].shape) != 3 or read[0].shape[0] not in _COLOURS:
        shapes = " and ".join(str(list(one.shape)) for one in read)
        message = f"`{program.name}` reads {shapes}, not one picture"
        raise TrainError("E804", message, "a picture is [C, H, W] with 1 or 3 channels")
    return Subject(module, program, normalize or normal, classes, output)


def tapped(who: Subject, *at: str) -> Eye:
    """The network up to the nodes, in evaluation; its weights are not trained. Raises TrainError.

    A node is named as `archspec expand` shows it; of a block it is the last op.
    """
    from archspec.module import build

    taps = cut_at(who.program, at)
    network = build(taps.program).eval()
    theirs = who.model.state_dict()
    network.load_state_dict({ours: theirs[name] for ours, name in taps.names.items()}, assign=True)
    network.requires_grad_(False)
    names = [taps.out(number) for number in range(len(taps.nodes))]
    return Eye(network, taps.nodes, names)
