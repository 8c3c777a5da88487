"""Kinds of nodes → what they cost: weights, arithmetic, bytes, what is kept for the backward pass.

All sizes are for one sample, in float32 (4 bytes), int64 (8), bool (1).

    linear: 10, on [64]    params 650, macs 640, flops 1290, bytes_out 40
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from archspec.layers.base import BYTES, NOTHING, Kept

if TYPE_CHECKING:
    from archspec.expand.schedule import Node, Schedule


class Cost(NamedTuple):
    """What a node costs; the same for every node of its kind."""

    params: int
    buffers: int
    weight_bytes: int
    """Of parameters and buffers."""
    macs: int
    flops: int
    bytes_out: int
    kept: Kept
    view: bool
    """Whether the output shows the bytes of input 0 in evaluation."""
    view_in_training: bool
    alone: bool
    """Whether the output is one for all samples where every input is; `own`: in any case."""
    own: bool
    beyond: int
    """Bytes of the output's storage beside its own."""
    lone: frozenset[int] | None
    """The inputs that it takes without a batch axis where no others lack one; None: any."""


def costs(schedule: Schedule) -> list[Cost]:
    """Of each kind of its nodes."""
    return [cost(node) for node in schedule.kinds]


def cost(node: Node) -> Cost:
    """Weights by number and bytes; arithmetic and what is kept by the layer's own count."""
    layer, ins, outs = node.layer, node.ins, node.outs
    bytes_out = sum(out.bytes for out in outs)
    if layer is None:
        return Cost(0, 0, 0, 0, 0, bytes_out, NOTHING, False, False, False, False, 0, None)
    weights = node.untied()
    params = sum(weight.size for weight in weights if not weight.buffer)
    buffers = sum(weight.size for weight in weights if weight.buffer)
    weight_bytes = sum(weight.size * BYTES[weight.dtype] for weight in weights)
    view = layer.view and bool(ins)
    # in training the output of noise is a tensor of its own
    awake = layer.asleep and getattr(layer, "p", 1) != 0
    call = layer.call(*ins)
    alone = call.broadcast or call.alone is not None
    lone = None if call.broadcast else frozenset(call.beside[:1] if call.beside else ())
    return Cost(
        params, buffers, weight_bytes, layer.macs(ins, outs), layer.flops(ins, outs), bytes_out,
        layer.keeps(*ins), view, view and not awake, alone, call.batchless, layer.beyond(*ins),
        lone,
    )  # fmt: skip
