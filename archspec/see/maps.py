"""A node → its maps; the first layer → its weights as pictures.

activations(model, "cat.jpg", "layer1")     64 maps [56, 56], the largest first
filters(model)                              64 filters [3, 7, 7]
"""

from __future__ import annotations

from typing import Any

import torch

from archspec.see.reading import read
from archspec.see.seeing import Row, Seeing, Shown, heat, stretched
from archspec.see.subject import subject, tapped
from archspec.text.words import did_you_mean
from archspec.train.errors import TrainError

_UNITS = 64  # that are shown


@torch.no_grad()
def activations(model: Any, x: Any, at: str, units: list[int] | None = None) -> Seeing:
    """What a node gives for pictures: values as it gives them, [N, C, h, w] of a map.

    `at` is any node that `archspec expand` names. Shown are the maps of `units`, by default the 64
    with the largest mean size; each from its least to its largest value. A vector is shown as one
    line. Raises TrainError.
    """
    who = subject(model)
    pictures, names = read(who, x)
    eye = tapped(who, at)
    (node,) = eye.nodes
    values = eye(who.input(pictures))[node.path]
    rank = len(node.outs[0].shape)
    if rank not in (1, 3):
        message = f"`{node.path}` gives {list(node.outs[0].shape)}: no vector and no map"
        raise TrainError("E850", message, "name another node: at")
    rows = []
    for name, picture, found in zip(names, pictures, values, strict=True):
        shown = [Shown(picture, "")]
        if rank == 1:
            shown.append(Shown(heat(found[None].repeat(8, 1)), f"{len(found)} numbers"))
        else:
            by_size = found.abs().mean((1, 2)).argsort(descending=True)[:_UNITS].tolist()
            chosen = by_size if units is None else [who.unit(u, node, at) for u in units]
            shown += [Shown(heat(found[unit]), f"unit {unit}") for unit in chosen]
        rows.append(Row(name, tuple(shown)))
    return Seeing(f"{who.name}: activations of {node.path}", values, tuple(rows))


def filters(model: Any, at: str | None = None) -> Seeing:
    """The weights of a convolution that reads pictures: values [out, C, kh, kw].

    By default the first one. Each is shown from its least to its largest number. Raises TrainError
    where `at` reads something other than pictures: then its weights are no picture.
    """
    who = subject(model)
    graph = who.program.graph
    named = {step.path: step for step in graph.steps if step.op == "conv"}
    first = next(iter(named.values()), None)
    node = first if at is None else named.get(at)
    if node is None:
        message = f"`{who.name}` has no convolution" + (f" `{at}`" if at else "")
        help = did_you_mean(at or "", named) or "`activations` and `maximise` suit every network"
        raise TrainError("E850", message, help)
    weight = who.model.state_dict()[f"{node.path}.weight"].detach().float().cpu()
    if weight.ndim != 4 or weight.shape[1] not in (1, 3):
        message = f"the filters of `{node.path}` read {weight.shape[1]} channels: no pictures"
        raise TrainError("E850", message, "`maximise` shows what a later unit looks for")
    shown = tuple(Shown(stretched(one), "") for one in weight)
    return Seeing(f"{who.name}: filters of {node.path}", weight, (Row("", shown),))
