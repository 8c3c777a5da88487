"""What comes next: tokens [N, T] → logits [N, T, K], targets [N, T] → cross entropy, perplexity.

    data: {train: verses.txt}
    task: {next_token: {length: 64, stride: 16}}

Targets are the inputs, one token on. A network of two inputs reads a source and what was said so
far (sequence to sequence, the words before given from the target: teacher forcing). Places whose
target is -100 are looked at by nobody.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn

from archspec.train.errors import TrainError
from archspec.train.inputs import Cut, call, inputs
from archspec.train.named import Called, loss
from archspec.train.targets import NEXT
from archspec.train.tasks.base import Move, Sums, Task, wide
from archspec.train.tokens import BYTES, CHARACTERS, DTYPES, Windows

if TYPE_CHECKING:
    from archspec.network import Program
    from archspec.train.plan import Plan
    from archspec.train.samples import Wanted
    from archspec.train.sets import Sets

IGNORED = -100  # a target: cross_entropy's default of torch
_SAME = 1e-4  # of the largest logit: more than sums in another order change


class NextToken(Task):
    """A class for each place of a sequence: the token that follows."""

    name: ClassVar[str] = "next_token"
    options: ClassVar[tuple[str, ...]] = ("length", "stride", "of", "dtype")
    targets: ClassVar[str] = NEXT
    known: ClassVar[tuple[str, ...]] = ("loss", "perplexity", "accuracy")
    monitor: ClassVar[str] = "val.loss"
    falling: ClassVar[frozenset[str]] = frozenset({"loss", "perplexity"})
    losses: ClassVar[tuple[str, ...]] = ("cross_entropy",)

    def __init__(self, plan: Plan, program: Program | None) -> None:
        super().__init__(plan, program)
        called = plan.loss or Called("cross_entropy", {})
        smooth = {"label_smoothing": plan.label_smoothing} if plan.label_smoothing else {}
        self.measure = loss(called)
        self.criterion = loss(Called(called.name, {**called.args, **smooth}))
        self.inputs = inputs(program)
        self.cut = self._cut()

    def _cut(self) -> Cut | None:
        """How a file is cut, from the options and the network. Raises SpecError."""
        given = self.given
        length = given.get("length")
        read = self.inputs[-1] if self.inputs else None
        if read is not None and len(read.shape) != 1:
            said = f"`{read.name}` has shape {list(read.shape)}; tokens are one row: [T]"
            help = "begin with an embedding: `input: {tokens: {shape: [{T: 64}], dtype: int}}`"
            raise TrainError("E804", said, help)
        if read is not None:
            own = read.shape[0]
            if length is not None and length != own and not read.free:
                said = f"`{read.name}` has {own} places"
                raise self._wrong("length", said, "leave `length` out, or make the axis free")
            length = own if length is None else length
        for key, value in {**given, "length": length}.items():
            if key in ("length", "stride") and value is not None and not _positive(value):
                raise self._wrong(key, f"`{key}` is {value}; it counts tokens, from 1")
        for key, known in (("of", (CHARACTERS, BYTES)), ("dtype", DTYPES)):
            if given.get(key, known[0]) not in known:
                help = "it is " + " or ".join(f"`{one}`" for one in known)
                raise self._wrong(key, f"there is no `{key}: {given[key]}`", help)
        if length is None:
            return None
        stride = given.get("stride", length)
        if length % stride:
            said = f"windows of {length} are not cut every {stride} tokens"
            raise self._wrong("stride", said, "`stride` divides `length`")
        return Cut(length, stride, given.get("of", CHARACTERS), given.get("dtype"))

    def _wrong(self, key: str, said: str, help: str = "") -> Exception:
        place = ("task", self.name, key) if key in self.given else ("task",)
        return self.plan.fault("E802", said, *place, help=help)

    def asks(self, wanted: Wanted) -> Wanted:
        return wanted._replace(cut=self.cut)

    # -------------------------------------------------------------- what is learned

    def logits(self, model: nn.Module, x: Any) -> Tensor:
        """For each place a number for each token: [N, T, K]."""
        output, _ = self.outputs(call(model, x))
        return output.transpose(1, 2) if self._turned else output

    @property
    def _turned(self) -> bool:
        """Whether the network gives [K, T], as convolutions do."""
        if not self.inputs:
            return False
        places, shape = self.inputs[-1].shape[-1], self._shape
        return len(shape) == 2 and shape[0] != places and shape[1] == places

    @property
    def _shape(self) -> tuple[int, ...]:
        """Of the output that counts, at the spec's own sizes."""
        assert self.program is not None
        edge = self.program.graph.outputs[self.main][0]
        return self.program.graph.steps[edge.node].outs[edge.output].shape

    def moves(self, model: nn.Module, x: Any, y: Any) -> Iterator[Move]:
        logits = self.logits(model, x)
        found = self.criterion(logits.transpose(1, 2), y)
        yield Move(found, self._sums(found, logits, y))

    def score(self, model: nn.Module, x: Any, y: Any) -> Sums:
        logits = self.logits(model, x)
        return self._sums(self.measure(logits.transpose(1, 2), y), logits, y)

    @staticmethod
    def _sums(found: Tensor, logits: Tensor, y: Tensor) -> Sums:
        tokens = (y != IGNORED).sum()
        right = (logits.detach().argmax(2) == y).sum()
        return {"loss": wide(found.detach()) * tokens, "tokens": tokens, "right": right}

    def of_each(self, model: nn.Module, x: Any, y: Any) -> Tensor:
        found: Tensor = self.measure(self.logits(model, x).transpose(1, 2), y, reduction="none")
        mean: Tensor = found.sum(1) / (y != IGNORED).sum(1).clamp(min=1)
        return mean

    def figures(self, sums: Sums) -> dict[str, float]:
        tokens = max(int(sums["tokens"]), 1)
        mean = float(sums["loss"]) / tokens
        perplexity = math.exp(mean) if mean < 700 else math.inf  # e^709 is the largest float
        return {"loss": mean, "perplexity": perplexity, "accuracy": int(sums["right"]) / tokens}

    def answers(self, shares: Tensor, classes: tuple[str, ...], top: int) -> list[Any]:
        help = "`archspec generate` goes on with a text"
        raise TrainError("E804", "the network says what comes next, not what a file is", help)

    # -------------------------------------------------------------- before the first step

    def refuse(self, sets: Sets) -> None:
        x, y = sets.train.plain()[0]
        last = x[self.inputs[-1].name] if isinstance(x, dict) else x
        if y.is_floating_point() or y.shape[:1] != last.shape[-1:] or y.ndim != 1:
            said = f"a target is {y.dtype} of shape {list(y.shape)}, an input {list(last.shape)}"
            help = "give y [N, T]: for each place the token that follows"
            raise TrainError("E804", said, help)
        if self.program is None:
            return
        shape, places = self._shape, self.inputs[-1].shape[-1]
        if len(shape) != 2 or places not in shape:
            said = f"the output `{self.main}` has shape {list(shape)}, not [{places}, tokens]"
            raise TrainError("E804", said, "a language model says something at every place")
        self._symbols(sets, shape[0] if self._turned else shape[1])

    def _symbols(self, sets: Sets, width: int) -> None:
        """Raises where there are more tokens than the network can read or say."""
        samples = sets.train.samples
        if not isinstance(samples, Windows):
            return
        read = self.inputs[-1].symbols or width
        need = len(samples.classes) or samples.highest + 1
        if need > min(read, width):
            said = f"`{samples.name}` has {need} tokens; the network reads {read} and says {width}"
            raise TrainError("E804", said, self._more(need))
        if samples.classes and need != width:
            said = f"`{samples.name}` has {need} characters, the head `{self.main}` says {width}"
            raise TrainError("E804", said, self._more(need))

    def _more(self, tokens: int) -> str:
        assert self.program is not None
        params = [name for name in ("vocabulary", "classes") if name in self.program.spec.params]
        if not params:
            return f"make the embedding and `{self.main}` {tokens} wide in the spec"
        return f"build(…, {params[0]}={tokens}), or --set {params[0]}={tokens}"

    @torch.no_grad()
    def rehearse(self, model: nn.Module, sets: Sets) -> None:
        """Raises where what is said at a place depends on a later token: it would be the answer."""
        x, _ = sets.train.plain().__getitems__([0])
        name = self.inputs[-1].name if self.inputs else ""
        given = x[name] if isinstance(x, dict) else x
        places = given.shape[1]
        symbols = (self.inputs[-1].symbols if self.inputs else 0) or int(given.max()) + 1
        training = model.training
        model.eval()
        try:
            for k in {places // 2, places - 1} - {0}:
                other = given.clone()
                other[:, k:] = (other[:, k:] + 1) % symbols
                before, after = (
                    self.logits(model, {**x, name: one} if isinstance(x, dict) else one)[:, :k]
                    for one in (given, other)
                )
                if float((before - after).abs().max()) > _SAME * float(before.abs().max()):
                    raise _sees(k)
        finally:
            model.train(training)


def _sees(place: int) -> TrainError:
    said = f"the network sees what it is to say: another token at place {place} (from 0)"
    said += " changes what it says before"
    ways = "attention with `causal: true`, a convolution with `padding: causal`"
    return TrainError("E805", said, f"{ways}, a recurrent layer in one direction")


def _positive(value: Any) -> bool:
    return type(value) is int and value > 0
