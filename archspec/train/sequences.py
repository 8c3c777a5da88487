"""Sets of sequences that are made, not read: `sequences` to classify, `reversed` to translate.

    sequences    E a b X d c a Y b B     the class `XY`: the order of two symbols among others
    reversed     3 1 4 2                 2 4 1 3

The first is the temporal order problem of Hochreiter, Schmidhuber 1997 (experiment 6a): only what
remembers the first of both to the end can tell. They are the same on every machine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from archspec.train.errors import TrainError
from archspec.train.samples import Arrays, Wanted

if TYPE_CHECKING:
    from torch import Tensor

    from archspec.train.inputs import Input

SYMBOLS = 8  # a, b, c, d, which say nothing; X, Y; one at the beginning, one at the end
_X, _BEGIN, _END = 4, 6, 7
CLASSES = ("XX", "XY", "YX", "YY")
_MADE = 2000
_LEAST = 8  # symbols of a sequence
START = 0  # what stands before the first symbol of a target


def sequences(wanted: Wanted) -> Arrays:
    """2,000 sequences as the network takes them: symbols [T], or one-hot [T, C] or [C, T]."""
    read = wanted.inputs[0] if len(wanted.inputs) == 1 else None
    if read is None or not 1 <= len(read.shape) <= 2:
        message = "sequences go into one input, of shape [T], [T, C] or [C, T]"
        raise TrainError("E804", message, "give data of the form that the network reads")
    time = _time(read)
    width = read.symbols if len(read.shape) == 1 else read.shape[1 - time]
    if len(read.shape) == 1 and read.dtype != "int":
        raise TrainError(
            "E804", f"symbols are whole numbers; `{read.name}` is of floats", "`dtype: int`"
        )
    if width < SYMBOLS or read.shape[time] < _LEAST:
        message = f"the set has {SYMBOLS} symbols and {_LEAST} places or more"
        given = f"`{read.name}` has {width} and {read.shape[time]}"
        raise TrainError("E804", f"{message}; {given}", "build(…, features=8), for example")
    x, y = _order(read.shape[time])
    if len(read.shape) == 2:
        x = functional.one_hot(x, width).float()
        x = x if time == 0 else x.transpose(1, 2).contiguous()
    return Arrays(x, y, CLASSES)


def _time(read: Input) -> int:
    """The axis of time: the free one, else the longer."""
    if len(read.free) == 1:
        return min(read.free)
    return max(range(len(read.shape)), key=lambda axis: read.shape[axis])


def _order(length: int) -> tuple[Tensor, Tensor]:
    """Symbols [N, T] and classes [N]."""
    drawn = torch.Generator().manual_seed(0)
    x = torch.randint(_X, (_MADE, length), generator=drawn)
    two = torch.randint(2, (_MADE, 2), generator=drawn)
    for k, (low, high) in enumerate(((0.1, 0.2), (0.5, 0.6))):  # where in the sequence they stand
        first, last = int(low * length), int(high * length)
        place = torch.randint(max(first, 1), last + 1, (_MADE,), generator=drawn)
        x[torch.arange(_MADE), place] = _X + two[:, k]
    x[:, 0], x[:, -1] = _BEGIN, _END
    return x, 2 * two[:, 0] + two[:, 1]


def reversed_(wanted: Wanted) -> Arrays:
    """2,000 rows of symbols from 1, and the same from the back, for a network of two inputs."""
    if len(wanted.inputs) != 2 or any(len(one.shape) != 1 for one in wanted.inputs):
        message = "`reversed` is for a network of two inputs [S] and [T] of symbols"
        raise TrainError("E804", message, "the source, and what was said so far")
    source, target = wanted.inputs
    length, symbols = source.shape[0], min(source.symbols, target.symbols)
    if symbols < 3 or not (target.free or target.shape[0] == length):
        message = f"`{source.name}` and `{target.name}` do not read {length} of 3 symbols or more"
        raise TrainError("E804", message, "give both an embedding, and one length")
    drawn = torch.Generator().manual_seed(0)
    x = torch.randint(1, symbols, (_MADE, length), generator=drawn)
    y = x.flip(1)
    said = functional.pad(y, [1, -1], value=START)
    return Arrays({source.name: x, target.name: said}, y)
