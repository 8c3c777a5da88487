"""Pictures, a unit → the parts of them that activate it most.

    patches(model, "data/birds", "conv5", [3])     eight patches 163 x 163, the largest values first

A patch is cut by the box that the analysis computes: those cells of the picture that the unit reads
at the place where it is most active, and no other. Zeiler and Fergus 2014, figure 2.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from archspec.analysis.cells import cells
from archspec.see.reading import read
from archspec.see.seeing import Row, Seeing, Shown
from archspec.see.subject import subject, tapped
from archspec.train.errors import TrainError

if TYPE_CHECKING:
    from archspec.expand.graph import Node
    from archspec.network import Program

_BATCH, _UNITS = 64, 16


class Box(NamedTuple):
    """Rows and columns of a picture, the last of them not included."""

    top: int
    left: int
    bottom: int
    right: int


class Patch(NamedTuple):
    """Where in which picture a unit has a value: `cell` of its map, () of a vector."""

    unit: int
    picture: int
    cell: tuple[int, ...]
    value: float
    box: Box


def patches(
    model: Any, x: Any, at: str, units: Sequence[int | str] | None = None, *, count: int = 8
) -> Seeing:
    """The patches of pictures that activate units most: values are a list of Patch a unit.

    `x` as of `saliency`, a folder mostly; `at` any node that `archspec expand` names, `units` by
    default its first 16. A picture gives one patch a unit, where its map is largest. Raises
    TrainError.
    """
    who = subject(model)
    pictures, names = read(who, x)
    eye = tapped(who, at)
    (node,) = eye.nodes
    if len(node.outs[0].shape) not in (1, 3) or count < 1:
        message = f"`{node.path}` gives {list(node.outs[0].shape)}, and {count} patches are asked"
        raise TrainError("E850", message, "a node that is a vector or a map, and at least one")
    asked = range(min(_UNITS, node.outs[0].shape[0])) if units is None else units
    answer = at if node.path != who.answer else None
    chosen = [who.unit(unit, node, answer) for unit in asked]
    values, places = _largest(eye, who.input(pictures), chosen)
    found, rows = [], []
    for number, unit in enumerate(chosen):
        best = values[:, number].argsort(descending=True)[:count].tolist()
        some = [
            Patch(unit, k, cell, float(values[k, number]), box(who.program, node, (unit, *cell)))
            for k, cell in ((k, _cell(int(places[k, number]), node)) for k in best)
        ]
        shown = [Shown(_cut(pictures[one.picture], one.box), f"{one.value:.3g}") for one in some]
        found.append(some)
        rows.append(Row(f"{node.path} unit {unit}", tuple(shown)))
    title = f"{who.name}: what activates {node.path} most, of {len(names)} pictures"
    return Seeing(title, found, tuple(rows))


def box(program: Program, node: Node, cell: tuple[int, ...]) -> Box:
    """What a cell of a node reads of the picture: (channel, row, column) of a map, (unit,) else.

    Nothing outside it, and each of its first and last rows and columns. Raises TrainError.
    """
    read = cells(program.graph, node, cell)
    if not read:
        message = f"`{node.path}` reads nothing of the picture at {list(cell)}"
        raise TrainError("E850", message, "name another node")
    ((_, rows, columns),) = read.values()
    return Box(min(rows), min(columns), max(rows) + 1, max(columns) + 1)


@torch.no_grad()
def _largest(eye: Any, x: Tensor, units: list[int]) -> tuple[Tensor, Tensor]:
    """Of each picture and unit the largest value, and its place in the map: [N, units] both."""
    path = eye.nodes[0].path
    made = torch.cat([eye(some)[path][:, units] for some in torch.split(x, _BATCH)])
    best = made.reshape(len(x), len(units), -1).max(2)
    return best.values, best.indices


def _cell(place: int, node: Node) -> tuple[int, ...]:
    shape = node.outs[0].shape
    return divmod(place, shape[2]) if len(shape) == 3 else ()


def _cut(picture: Tensor, box: Box) -> Tensor:
    return picture[:, box.top : box.bottom, box.left : box.right]
