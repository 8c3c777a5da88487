"""Recurrent layers → torch.nn.LSTM, GRU, RNN, batch first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any, ClassVar, Literal

from pydantic import Field

from archspec.layers.base import Arg, Call, Kept, Layer, Mismatch, Shape, TensorType, Weight
from archspec.layers.fields import Flag, Probability, Size
from archspec.layers.strides import (
    Lying,
    Strides,
    foldable_by_steps,
    in_order_by_steps,
    is_in_order,
    steps_first,
)
from archspec.layers.window import expect_dtype


class Recurrent(Layer):
    """What recurrent layers have in common: [T, D] → `output` [T, H·directions] and last states.

    A state is [layers·directions, H] for one sample; torch puts the batch axis in its middle.
    MACs are those of both matrix products at every step. torch.utils.flop_counter finds the same
    where it looks into the layer (on the meta device); the fused kernels it does not count.
    """

    autocast = "half"
    family = "recurrent"
    takes: ClassVar[tuple[str, ...]] = ("x", "h?")
    gives: ClassVar[tuple[str, ...]] = ("output", "h")
    whole = slice(None)
    reads = "sequence"
    gates: ClassVar[int]
    of_a_step: ClassVar[int] = 0  # numbers that a cell keeps of every step, and of its first state
    of_first: ClassVar[int] = 0

    hidden: Size = Field(description="size of the state")
    layers: Size = Field(1, description="layers, each on the output of the one below")
    bias: Flag = Field(True, description="learned shifts")
    dropout: Probability = Field(0.0, description="dropout behind every layer but the last")
    bidirectional: Flag = Field(False, description="a second pass from the end, concatenated")

    def check(self) -> None:
        if self.dropout and self.layers == 1:
            why = "it acts between layers, of which there is one"
            raise self.bad("dropout", why, "put a `dropout` behind it instead")
        if self.layers > 1000:
            raise self.bad("layers", "it is at most 1000", code="E210")

    @property
    def weighted(self) -> int:
        return self.layers

    @property
    def states(self) -> tuple[str, ...]:
        return self.gives[1:]

    @property
    def directions(self) -> int:
        return 2 if self.bidirectional else 1

    def infer(self, *ins: TensorType) -> tuple[TensorType, ...]:
        t = ins[0]
        if t.rank != 2:
            message = f"`{self.op}` takes [T, D], steps and features; the input is {t}"
            raise Mismatch(
                message, "axes are exchanged with `permute`, joined with `flatten`", "E302"
            )
        state = TensorType((self.layers * self.directions, self.hidden), "float", map=False)
        self._check_states(ins, state)
        expect_dtype(self.op, t)
        out = TensorType((t.shape[0], self.hidden * self.directions), "float", map=False)
        return (out, *(state for _ in self.states))

    def _check_states(self, ins: Sequence[TensorType | None], state: TensorType) -> None:
        given = [t is not None for t in ins[1:]]
        if any(given) and given != [True] * len(self.states):
            listed = " and ".join(f"`{s}`" for s in self.states)
            raise Mismatch(f"`{self.op}` takes both first states, {listed}, or none", code="E311")
        for name, t in zip(self.states, ins[1:], strict=False):
            if t is not None and (t.shape != state.shape or t.dtype != "float"):
                raise Mismatch(
                    f"`{name}` of `{self.op}` is [layers x directions, hidden], {state}; it is "
                    f"given {t}",
                    code="E301",
                )

    def weights(self, *ins: TensorType) -> tuple[Weight, ...]:
        found: list[Weight] = []
        rows = self.gates * self.hidden
        bias = {"bias_ih": (rows,), "bias_hh": (rows,)} if self.bias else {}
        for layer, way in product(range(self.layers), ("", "_reverse")[: self.directions]):
            size = self.hidden * self.directions if layer else ins[0].shape[-1]
            shapes = {"weight_ih": (rows, size), "weight_hh": (rows, self.hidden), **bias}
            found += [Weight(f"{name}_l{layer}{way}", shape) for name, shape in shapes.items()]
        return tuple(found)

    def macs(self, ins: tuple[TensorType, ...], outs: tuple[TensorType, ...]) -> int:
        steps = ins[0].shape[0]
        return steps * sum(w.size for w in self.weights(*ins) if w.name.startswith("weight"))

    def flops(self, ins: tuple[TensorType, ...], outs: tuple[TensorType, ...]) -> int:
        cells = ins[0].shape[0] * self.layers * self.directions * self.hidden
        shifts = 2 * self.gates if self.bias else self.gates
        return 2 * self.macs(ins, outs) + cells * (shifts + 2 * self.gates)

    def keeps(self, *ins: TensorType) -> Kept:
        """The input of every layer with its steps in front, and what a cell keeps of a step.

        As torch's kernels on the CPU do.
        """
        steps = ins[0].shape[0]
        between = (self.layers - 1) * steps * self.hidden * self.directions
        between += between if self.dropout else 0  # what it is multiplied by
        cells = self.layers * self.directions * self.hidden
        of_cells = cells * (self.of_a_step * steps + self.of_first)
        # a given state is that before the first step; of several layers each keeps a part
        given = cells == self.hidden and len(ins) > 1 and ins[1] is not None
        own = of_cells - cells if given else of_cells
        return Kept(inputs=(0, 1) if given else (0,), bytes=4 * (between + own))

    def copies(self, place: int, given: Mapping[int, Lying]) -> int:
        """One for each direction, with the steps in front; a state in order."""
        if place:
            return int(not is_in_order(given[place]))
        return 0 if foldable_by_steps(given[0]) else self.directions

    def lies(self, out: Shape, *given: Lying) -> Strides | None:
        return steps_first(out)

    def call(self, *ins: TensorType) -> Call:
        args = (
            Arg(ins[0].shape[-1]),
            *self.args("hidden", layers="num_layers"),
            *self.args(*({"nonlinearity"} & vars(self).keys()), "bias"),
            Arg(True, "batch_first", False),
            *self.args("dropout", "bidirectional"),
        )
        turned = [
            f"x{i}.transpose(0, 1).contiguous()" for i, t in enumerate(ins) if i and t is not None
        ]
        state = f"({', '.join(turned)})" if len(turned) > 1 else "".join(turned)
        last = [f"r[1][{i}]" for i in range(len(self.states))] if len(self.states) > 1 else ["r[1]"]
        results = ("r[0]", *(f"{r}.transpose(0, 1)" for r in last))
        return Call(self.target, args, f"self(x0{', ' if state else ''}{state})", results=results)


_EXAMPLES: Any = (
    ({"hidden": 6}, ((7, 5),)),
    ({"hidden": 6, "layers": 2, "bidirectional": True}, ((7, 5),)),
    ({"hidden": 6, "layers": 2, "dropout": 0.5, "bias": False}, ((7, 5),)),
)


def _workspace(steps: int, width: int, hidden: int) -> int:
    """Numbers that oneDNN keeps of a sample in one layer and direction, as it lays them out.

    Gates and states of every step, and of the step before the first, in rows that begin at 64
    bytes. Beside them each of its parts begins at a page, whatever the number of samples.
    """
    states = 6 * _row(max(width, hidden)) + 4 * hidden
    return steps * (_row(4 * hidden) + _row(hidden)) + (steps + 1) * states


def _row(count: int) -> int:
    """Numbers from one row to the next: a multiple of 16, and none of 256, for the cache's sake."""
    whole = -(-count // 16) * 16
    return whole + 16 if whole % 256 == 0 else whole


class Lstm(Recurrent):
    """Long short-term memory: torch.nn.LSTM. Inputs `x`, `h`, `c`; outputs `output`, `h`, `c`."""

    op = "lstm"
    target = "nn.LSTM"
    gates = 4
    takes = ("x", "h?", "c?")
    gives = ("output", "h", "c")
    word = "LSTM"

    def keeps(self, *ins: TensorType) -> Kept:
        """The input of every layer, its output, its first and last states, oneDNN's workspace."""
        steps, width = ins[0].shape
        wide = self.directions * self.hidden
        first, later = (_workspace(steps, n, self.hidden) for n in (width, wide))
        spaces = self.directions * (first + (self.layers - 1) * later)
        copies = (self.directions == 2 or self.dropout > 0) + (self.dropout > 0)
        between = (self.layers - 1) * copies * steps * wide
        # what the last layer gives is the output, where it is not put together of two
        inner = self.layers * self.directions - (self.directions == 1)
        states = inner * steps * self.hidden + 4 * self.layers * wide
        outputs = (0,) if self.directions == 1 else ()
        # given states of one layer are those before the first step; of several each keeps a part
        firsts = (1, 2) if self.layers * self.directions == 1 and len(ins) > 2 else ()
        own = spaces + between + states - len(firsts) * self.hidden
        return Kept(inputs=(0, *firsts), outputs=outputs, bytes=4 * own)

    def copies(self, place: int, given: Mapping[int, Lying]) -> int:
        """One for both directions, with the steps in front; a state in order."""
        return int(not (is_in_order if place else in_order_by_steps)(given[place]))

    examples = (*_EXAMPLES, ({"hidden": 6}, ((7, 5), (1, 6), (1, 6))))


class Gru(Recurrent):
    """Gated recurrent unit: torch.nn.GRU. Inputs `x`, `h`; outputs `output`, `h`."""

    op = "gru"
    target = "nn.GRU"
    gates = 3
    of_a_step = 7  # three gates, the candidate, what it is made of, the state twice
    word = "GRU"
    examples = (*_EXAMPLES, ({"hidden": 6}, ((7, 5), (1, 6))))


class Rnn(Recurrent):
    """Elman network: torch.nn.RNN. Inputs `x`, `h`; outputs `output`, `h`."""

    op = "rnn"
    target = "nn.RNN"
    gates = 1
    of_a_step = of_first = 1  # the state
    word = "RNN"
    examples = (
        *_EXAMPLES,
        ({"hidden": 6, "nonlinearity": "relu"}, ((7, 5),)),
        ({"hidden": 6, "layers": 2}, ((7, 5), (2, 6))),
        ({"hidden": 6}, ((7, 5), (1, 6))),
    )

    nonlinearity: Literal["tanh", "relu"] = Field("tanh", description="of the state")
