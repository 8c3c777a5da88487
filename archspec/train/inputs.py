"""Network → what goes into it: the names, shapes and kinds of its inputs; and a call with them.

    input: [3, 32, 32]                      x is a tensor [N, 3, 32, 32]
    input: {left: [8], right: [8]}          x is {"left": [N, 8], "right": [N, 8]}

Inputs of a batch are a tensor where the network has one input, else a mapping by the spec's names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from archspec.language.values import Axis
from archspec.layers.linear import Embedding
from archspec.text.words import listed
from archspec.train.errors import TrainError

if TYPE_CHECKING:
    from torch import Tensor, nn

    from archspec.expand.graph import Node
    from archspec.network import Program


class Input(NamedTuple):
    """One input of a network, without the batch axis."""

    name: str
    shape: tuple[int, ...]
    dtype: str  # float, int or bool
    free: frozenset[int]  # axes that may have another size
    symbols: int  # how many there are, where an embedding reads them; 0


def inputs(program: Program | None) -> tuple[Input, ...]:
    """All inputs of a network, in its order; none where the network is not known."""
    if program is None:
        return ()
    return tuple(
        Input(
            node.path, node.outs[0].shape, node.outs[0].dtype,
            frozenset(
                axis for axis, size in enumerate(program.spec.inputs[node.path].shape)
                if isinstance(size, Axis)
            ),
            _symbols(program, node),
        )
        for node in program.graph.steps if node.layer is None
    )  # fmt: skip


def _symbols(program: Program, node: Node) -> int:
    """The rows of the smallest embedding that reads an input; 0 where none does."""
    read = [one.layer for one in program.graph.readers(node)]
    return min((layer.num for layer in read if isinstance(layer, Embedding)), default=0)


def call(model: nn.Module, x: Any) -> Any:
    """What a network gives for a batch."""
    return model(**x) if isinstance(x, Mapping) else model(x)


def entered(x: Any, wanted: tuple[Input, ...]) -> Any:
    """All inputs of a set as the network reads them: symbols as int64, numbers as floats.

    Bytes stay bytes, where they are pictures. Raises TrainError where names or kinds are others.
    """
    named(x, wanted)
    if not wanted:
        return x
    if isinstance(x, Mapping):
        return {one.name: _typed(x[one.name], one) for one in wanted}
    return _typed(x, wanted[0])


def named(x: Any, wanted: tuple[Input, ...]) -> None:
    """Raises TrainError where inputs do not have the names of the network's."""
    names = [one.name for one in wanted]
    if isinstance(x, Mapping):
        if names and sorted(x) != sorted(names):
            message = f"the network reads {listed(names)}; the data have {listed(list(x))}"
            raise TrainError("E804", message, "call each as the input of the spec that it is for")
    elif len(names) > 1:
        message = f"the network reads {listed(names)}; a sample of the data has one input"
        help = "give a mapping: {" + ", ".join(f"'{name}': …" for name in names) + "}"
        raise TrainError("E804", message, help)


def _typed(x: Tensor, wanted: Input) -> Tensor:
    if wanted.dtype == "float":
        return x if x.is_floating_point() or x.dtype == torch.uint8 else x.float()
    if x.is_floating_point():
        message = f"`{wanted.name}` reads whole numbers; the data are {x.dtype}"
        raise TrainError("E804", message, "`x.long()` of symbols")
    if wanted.dtype == "bool":
        return x.bool()
    low, high = (int(x.min()), int(x.max())) if x.numel() else (0, 0)
    if wanted.symbols and (low < 0 or high >= wanted.symbols):
        message = f"the symbols of `{wanted.name}` are from {low} to {high}"
        help = f"its embedding has {wanted.symbols}: they count from 0"
        raise TrainError("E804", message, help)
    return x.long()


def padded(
    sequences: Sequence[Any], length: int | None = None, *, value: float = 0, left: bool = True
) -> tuple[Tensor, Tensor]:
    """Sequences [T, …] of several lengths as one tensor [N, T, …], and where it is padding [N, T].

    They are as long as the longest, or `length`. Padding stands before a sequence, so that its last
    place is the last that a recurrent or causal network reads; behind it where not `left`. Raises
    TrainError for a sequence that is longer, and for none.
    """
    rows = [torch.as_tensor(one) for one in sequences]
    if not rows or any(not row.ndim or row.shape[1:] != rows[0].shape[1:] for row in rows):
        message = "there are no sequences, or not all are [T, …] with the same …"
        raise TrainError("E803", message, "padded([tensor([3, 1]), tensor([4, 1, 5])])")
    most = max(map(len, rows))
    length = most if length is None else length
    if most > length:
        message = f"a sequence is {most} long; all are to be {length}"
        raise TrainError("E803", message, "cut it, or give a larger `length`")
    x = rows[0].new_full((len(rows), length, *rows[0].shape[1:]), value)
    padding = torch.ones(len(rows), length, dtype=torch.bool)
    for k, row in enumerate(rows):
        place = slice(length - len(row), None) if left else slice(len(row))
        x[k, place], padding[k, place] = row, False
    return x, padding


class Cut(NamedTuple):
    """How a file of tokens is cut into windows."""

    length: int  # tokens of a window
    stride: int  # from the beginning of one to the next's; it divides the length
    of: str = "characters"  # what a token of a text is; or bytes
    dtype: str | None = None  # of a .bin file
    classes: tuple[str, ...] = ()  # the characters, where they are known before
