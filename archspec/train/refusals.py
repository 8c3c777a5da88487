"""What can be known to go wrong before the first step, each in a sentence.

Shapes are the analysis's to tell: no batch goes through the network for it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from archspec.text.faults import SpecError
from archspec.text.words import cut
from archspec.train.errors import TrainError
from archspec.train.inputs import inputs

if TYPE_CHECKING:
    from archspec.network import Program
    from archspec.train.sets import Sets


def fits(program: Program, sets: Sets) -> Program:
    """The network at the size of the data, its weights the same. Raises TrainError."""
    own, facts = inputs(program), sets.facts
    given = facts.inputs or ({own[0].name: facts.shape} if facts.shape else {})
    other = [one for one in own if one.name in given and given[one.name] != one.shape]
    if not other:
        return program
    wanted, shape = other[0], given[other[0].name]
    message = f"inputs have shape {list(shape)}; `{wanted.name}` is {list(wanted.shape)}"
    help = _help(wanted.shape, shape)
    if len(shape) != len(wanted.shape) or (len(shape) == 3 and shape[0] != wanted.shape[0]):
        raise TrainError("E804", message, help)
    try:
        choice = replace(program.choice, inputs={**program.choice.inputs, **given})
        sized = type(program)(program.source, program.spec, choice)
    except SpecError as bad:
        raise TrainError("E804", f"{message}: {cut(bad.faults[0].message, 120)}", help) from None
    pairs = zip(program.graph.weights(), sized.graph.weights(), strict=True)
    changed = [name for (name, ours, _), (_, theirs, _) in pairs if ours.shape != theirs.shape]
    if changed:
        raise TrainError("E804", f"{message}: the weights of `{changed[0]}` would be others", help)
    return sized


def _help(wanted: tuple[int, ...], given: tuple[int, ...]) -> str:
    """How inputs come to have the shape that is wanted."""
    pictures = len(wanted) == len(given) == 3
    if pictures and given[0] == wanted[0]:
        return f"`data: {{size: [{wanted[1]}, {wanted[2]}]}}` resizes them"
    if pictures and given[2] == wanted[0]:
        return "channels come first: `x.transpose(0, 3, 1, 2)`, or `permute` of a tensor"
    return f"pictures have {wanted[0]} channels there" if pictures else "bring them to that shape"
