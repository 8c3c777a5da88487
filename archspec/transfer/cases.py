"""Network, data, how alike they are to what it learned → one of four cases, and a plan for it.

              similar                            different
    small     a new head alone                   earlier layers kept, the rest learned anew
    large     a new head, then all, gently       all, from the weights as a start

These are the cases of Stanford's course CS231n ("Transfer Learning", "when and how to fine-tune?").
The plan is a text with its reasons as comments: a start, to be changed.
"""

from __future__ import annotations

import json
import math
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from archspec import network
from archspec.language.weights import SOURCES
from archspec.train import reading, sets, targets
from archspec.train.errors import TrainError
from archspec.train.sources import samples
from archspec.transfer.cut import before_head
from archspec.weights.names import under

if TYPE_CHECKING:
    from archspec.expand.graph import Node
    from archspec.network import Program

EACH = 50
"""Pictures of each class, at least, of a large set."""
_WIDE = 20_000  # numbers of a code that are too many to flatten
_PARTS = 4  # that a network is in, at least, where it is cut in halves
_PLAIN = re.compile(r"[A-Za-z][\w./-]*")


@dataclass(frozen=True)
class Advice:
    """Which case it is, and the plan file that goes with it."""

    case: str
    plan: str


class _Known(NamedTuple):
    """What a plan is written from."""

    program: Program
    data: str
    samples: int
    classes: int
    earlier: tuple[str, ...]  # parts of the network that are kept in any case
    later: tuple[str, ...]  # but for the head
    head: tuple[str, ...]
    at: str  # where the earlier ones end
    wide: bool

    @property
    def network(self) -> str:
        """As a command names it, with its weights."""
        name, chosen = self.program.source.name, self.program.variant
        shipped = Path(name).parent == Path() and not Path(name).exists()
        said = Path(name).stem if shipped else name
        variant = f" --variant {chosen}" if chosen else ""
        return f"{said}{variant} --weights {_source(self.program)}"

    @property
    def svm(self) -> str:
        """The command that fits a linear classifier."""
        return f"archspec transfer svm {self.network} --data {shlex.quote(self.data)}"


def advise(
    spec: str | Path | Program, data: Any, *, similar: bool, large: bool | None = None
) -> Advice:
    """The case, and a plan for it.

    `similar`: whether the data are like those that the network has learned on. `large`: whether
    they are many for it; if that is not said, they are from as many samples on as the square root
    of its number of parameters, with EACH of each class.

    Raises SpecError; TrainError for data that are not there, and a network without a `head`.
    """
    program = network.program(spec)
    if not program.spec.head:
        message = f"`{program.name}` does not say which part is its head"
        raise TrainError("E840", message, "write `head: ID` into the spec: what is learned anew")
    known = _known(program, data)
    most = max(EACH * known.classes, math.isqrt(program.analysis.totals.params))
    much = known.samples >= most if large is None else large
    case = f"{'large' if much else 'small'} and {'similar' if similar else 'different'}"
    size = f"{known.samples:,} samples in {known.classes} classes"
    said = [
        f"Transfer of {program.name} to {known.data}: {case}; written by archspec transfer plan.",
        f"{'Large' if much else 'Small'}: {size}, as was said.",
    ]
    if large is None:
        said[1:] = [
            f"{'Large' if much else 'Small'}: {size}; large is from {most:,} on, the square root",
            f"of {program.analysis.totals.params:,} parameters and at least {EACH} a class.",
        ]
    reasons, phases = _WAYS[much, similar](known)
    train = f"archspec train {known.network} --set classes={known.classes} --plan PLAN"
    comments = [*said, "", *reasons, "", train]
    head = "\n".join(f"# {line}".rstrip() for line in comments)
    keys = [
        f"data: {{train: {_quoted(known.data)}, val: 0.2}}",
        "optimizer: {adamw: {weight_decay: 0.05}}",
        f"batch: {64 if known.samples >= 1000 else 16}",
        "phases:",
    ]
    return Advice(case, "\n".join([head, *keys, *(f"  - {phase}" for phase in phases)]) + "\n")


# ------------------------------------------------------------------ the four cases


def _same_few(known: _Known) -> tuple[list[str], list[str]]:
    reasons = [
        "What the network sees in pictures fits these too, and so few would only spoil it: it is",
        "used as it is, and nothing but a new head is trained. A linear SVM on its codes is the",
        f"same in one step: {known.svm}",
    ]
    return reasons, [f"{{name: head, train: {_list(known.head)}, epochs: 30, lr: 1.0e-3}}"]


def _same_many(known: _Known) -> tuple[list[str], list[str]]:
    reasons = [
        "There are enough to fine-tune the whole network without learning them by heart. The new",
        "head goes first, so that its random weights do not spoil the others; then all of it, the",
        "earlier the gentler, at a tenth of the rate.",
    ]
    return reasons, [
        f"{{name: head, train: {_list(known.head)}, epochs: 3, lr: 1.0e-3}}",
        "{name: all, train: all, epochs: 20, lr: 1.0e-4, layer_decay: 0.75, schedule: cosine}",
    ]


def _other_few(known: _Known) -> tuple[list[str], list[str]]:
    pool = " --pool average" if known.wide else ""
    reasons = [
        "The last layers speak of what the network was trained for; edges and textures, which the",
        "first ones see, are in these pictures too. Try a linear SVM on earlier activations first:",
        f"{known.svm} --at {known.at}{pool}",
        "This plan keeps these first layers and learns the others anew.",
    ]
    train = _list((*known.later, *known.head))
    return reasons, [
        f"{{name: head, train: {_list(known.head)}, epochs: 10, lr: 1.0e-3}}",
        f"{{name: later, train: {train}, epochs: 30, lr: 3.0e-4, schedule: cosine}}",
    ]


def _other_many(known: _Known) -> tuple[list[str], list[str]]:
    reasons = [
        "There are enough to train the whole network, and it still learns faster and better from",
        "these weights than from random ones: all of it trains from the start.",
    ]
    cosine = "schedule: {cosine: {warmup: 0.05}}"
    return reasons, [f"{{name: all, train: all, epochs: 30, lr: 3.0e-4, {cosine}}}"]


_WAYS = {  # by whether there is much, and whether it is similar
    (False, True): _same_few,
    (True, True): _same_many,
    (False, False): _other_few,
    (True, False): _other_many,
}


# ------------------------------------------------------------------ what is known


def _known(program: Program, data: Any) -> _Known:
    plan = reading.given(None, {})
    found = samples(data, sets.wanted(program, plan, targets.CLASSES))
    found.check()
    count = len(found.classes)
    if not count and found.targets is not None:
        count = int(found.targets.max()) + 1
    if count < 2:
        message = "how many classes the data have is not known"
        raise TrainError("E803", message, "give a folder of class folders, or targets with them")
    earlier, later, node = _halves(program)
    at = next((part for part in earlier if _last(program, part) is node), node.path)
    name = str(data) if isinstance(data, (str, Path)) else "data"
    wide = node.outs[0].size > _WIDE
    names = [node.path for node in program.graph.steps if node.weights()]
    head = tuple(path for path in program.spec.head if any(under(n, (path,)) for n in names))
    return _Known(program, name, len(found), count, earlier, later, head, at, wide)


def _halves(program: Program) -> tuple[tuple[str, ...], tuple[str, ...], Node]:
    """The parts of the first half of the network, and those behind but for the head; and the node
    between them: what the first part of the second half reads.
    """
    steps = [node for node in program.graph.steps if node.inputs and not node.training]
    body = [n for n in steps if n.weights() and not under(n.path, program.spec.head)]
    parts = _parts([node.path for node in body if node.layer and node.layer.family != "norm"])
    if len(parts) < 2:
        return (), tuple(parts), before_head(program)
    half = (len(parts) + 1) // 2
    first = next(node for node in steps if under(node.path, (parts[half],)))
    depth = parts[half].count(".") + 1
    begins = {_beginning(node.path, depth): node.index >= first.index for node in body}
    earlier = tuple(path for path, behind in begins.items() if not behind)
    later = tuple(path for path, behind in begins.items() if behind)
    return earlier, later, program.graph.steps[first.inputs[0].node]


def _beginning(path: str, depth: int) -> str:
    return ".".join(path.split(".")[:depth])


def _parts(paths: Sequence[str]) -> list[str]:
    """The beginnings of paths, as short as may be for there to be some: `layer1`, `features.0`."""
    longest = max((path.count(".") + 1 for path in paths), default=0)
    found: list[str] = []
    for depth in range(1, longest + 1):
        found = list(dict.fromkeys(_beginning(path, depth) for path in paths))
        if len(found) >= _PARTS:
            break
    return found


def _last(program: Program, part: str) -> Node:
    return [node for node in program.graph.steps if under(node.path, (part,))][-1]


def _list(paths: Sequence[str]) -> str:
    return f"[{', '.join(paths)}]"


def _source(program: Program) -> str:
    """Whose weights it may start from."""
    known = program.spec.weights
    return next((source for source in SOURCES if known and getattr(known, source)), "FILE")


def _quoted(text: str) -> str:
    return text if _PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=False)
