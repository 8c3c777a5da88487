"""Pictures → a map on which those lie close that a network takes for alike, and their neighbours.

    codes(model, "data/birds")     coordinates [N, 2], the nearest of each [N, 8]

A code is what a node makes of a picture, as one vector. The map shows the two directions in which
codes differ most: their principal components.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from archspec.see.reading import read
from archspec.see.seeing import Row, Seeing, Shown
from archspec.see.subject import subject, tapped
from archspec.train.errors import TrainError
from archspec.transfer.cut import CODES

_SHEET, _THUMB = 800, 32  # pixels of the map's side, and of a picture on it
_BATCH, _SHOWN = 64, 8  # pictures that are looked at together; of which neighbours are shown
_NEAREST = 7


class Near(NamedTuple):
    """Of N pictures: coordinates on the map [N, 2], the numbers of the nearest others [N, k]."""

    places: Tensor
    nearest: Tensor


def codes(model: Any, x: Any, at: str = CODES, *, neighbours: int | None = None) -> Seeing:
    """A map of pictures by their codes, and the nearest of the first eight: values are a Near.

    `at` is any node that `archspec expand` names, by default the last before the head. Coordinates
    are the first two principal components; near is what has a small angle (the cosine). Of each
    there are 7 `neighbours`, or as many as there are. Raises TrainError.
    """
    who = subject(model)
    pictures, names = read(who, x)
    if neighbours is None:
        neighbours = min(_NEAREST, len(pictures) - 1)
    if not 1 <= neighbours < len(pictures) or len(pictures) < 3:
        message = f"{neighbours} neighbours are asked of {len(pictures)} pictures"
        raise TrainError("E850", message, "at least three pictures, and fewer neighbours than them")
    eye = tapped(who, at)
    (node,) = eye.nodes
    with torch.no_grad():
        parts = [eye(some)[node.path] for some in torch.split(who.input(pictures), _BATCH)]
    made = torch.cat(parts).flatten(1)
    places = _components(made)
    unit = functional.normalize(made, dim=1)
    alike = (unit @ unit.T).fill_diagonal_(-torch.inf)
    nearest = alike.topk(neighbours, dim=1).indices
    rows = [Row("map: the two principal components", (Shown(_map(pictures, places), ""),))]
    for number in range(min(_SHOWN, len(pictures))):
        close = [Shown(pictures[k], f"{float(alike[number, k]):.2f}") for k in nearest[number]]
        rows.append(Row(f"{names[number]}, and the nearest", (Shown(pictures[number], ""), *close)))
    return Seeing(f"{who.name}: codes at {node.path}", Near(places, nearest), tuple(rows))


def _components(made: Tensor) -> Tensor:
    """Of vectors [N, D] the first two principal components, [N, 2]."""
    centred = made - made.mean(0)
    left, size, _ = torch.linalg.svd(centred, full_matrices=False)
    return functional.pad(left * size, [0, max(0, 2 - len(size))])[:, :2]


def _map(pictures: Tensor, places: Tensor) -> Tensor:
    """Every picture, small, where it lies on the map: [3, H, W], the last on top."""
    sheet = torch.ones(3, _SHEET, _SHEET)
    small = functional.interpolate(pictures, (_THUMB, _THUMB), mode="bilinear", antialias=True)
    low, high = places.amin(0), places.amax(0)
    spots = (places - low) / (high - low).clamp_min(1e-12) * (_SHEET - _THUMB)
    for picture, (across, up) in zip(small, spots.round().long().tolist(), strict=True):
        top = _SHEET - _THUMB - up
        sheet[:, top : top + _THUMB, across : across + _THUMB] = picture
    return sheet
