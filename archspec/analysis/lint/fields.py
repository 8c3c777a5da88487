"""Rules about receptive fields."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from archspec.analysis.lint.context import Context, warn
from archspec.layers.base import Reach

if TYPE_CHECKING:
    from archspec.analysis.receptive_field import Field, Offset
    from archspec.expand.graph import Edge, Node
    from archspec.text.faults import Fault

SMALL = 2  # a field under 1/2 of the input sees no object that fills it
LARGE = 32  # DenseNet-201, the widest of the common networks, sees 17 times its input
CUTS = ("slice", "split", "select")


def misaligned(context: Context) -> Iterator[Fault]:
    """W106: paths are merged whose cells at the same place see different places of the input.

        input: [16, 32, 32]
        body:
          - branches: {a: {crop: {size: 30, offset: 0}}, b: {conv: {out: 8, kernel: 3}}}
            merge: concat
        # `branches1`: paths meet that see places 1 input cells apart along H

    Left alone: causal paths, whose right edges agree (they are not among the misaligned), and
    slices of one tensor that meet again: which places they take is what they say.
    """
    for node, offsets in context.misaligned:
        notable = [offset for offset in offsets if _notable(offset)]
        if not notable or _pieces(context, node):
            continue
        worst = max(notable, key=lambda offset: offset.shift)
        where = worst.axis.name
        told = f"paths of different stride along {where} meet"
        if worst.a.same_stride(worst.b):
            cells = f"{float(worst.shift):g}"
            told = f"paths meet that see places {cells} input cells apart along {where}"
        help = "give the paths the same padding on the left, or crop at the centre"
        yield warn("W106", node, f"`{node.path}`: {told}", help)


def _pieces(context: Context, node: Node) -> bool:
    """Whether all that meets in a node are slices of one tensor: space to depth, halves, steps."""
    sources: set[Edge] = set()
    seen = {(edge, False) for edge in node.inputs}  # and whether it is sliced on the way
    pending = list(seen)
    for edge, sliced in pending:  # the nearest first; it grows
        step = context.graph.steps[edge.node]
        cuts = step.op in CUTS
        if cuts or (step.inputs and not sliced and _keeps_places(step)):
            further = {(before, sliced or cuts) for before in step.inputs} - seen
            seen |= further
            pending += further
        elif sliced:
            sources.add(edge)
        elif step.inputs or step.layer is None:
            return False
    return len(sources) == 1


def _keeps_places(node: Node) -> bool:
    """Whether no axis is moved or stepped along; some may be mixed, as a 1x1 convolution does."""
    if node.op == "concat":  # puts paths side by side
        return True
    if node.layer is None:
        return False
    reach = node.layer.reach(*node.ins)
    return all(r.axis is None or r == Reach(a) for axes in reach for a, r in enumerate(axes))


def _notable(offset: Offset) -> bool:
    """Half a cell apart; behind an upsampling, whose phases differ anyway, a coarse cell."""
    stride = max(offset.a.stride / offset.a.up, offset.b.stride / offset.b.up)
    grain = max(offset.a.grain, offset.b.grain)
    return offset.shift > grain if grain > stride else 2 * offset.shift >= stride


def far_from_the_input(context: Context) -> Iterator[Fault]:
    """W107: before a global pool no cell sees half of the input, or one sees 32 times of it.

        input: [16, 32, 32]
        body: [{conv: {out: 8, kernel: 3}}, relu, global_avg_pool]
        # `relu1` has a receptive field of 3 cells along H where the input has 32: no cell sees an
        # object that fills the input before all are averaged

    Left alone: maps of which each cell sees all by some path (attention, squeeze-excitation).
    """
    for node in context.graph.steps:
        pools = _pools_all(node) and context.read_once(context.before(node)) and not node.training
        if not pools and not context.leaves(node):
            continue
        last = context.before(node) if pools else node
        for seen in context.rows[last.index].fields:
            fault = _field_size(last, seen, pooled=pools)
            if fault is not None:
                yield fault
                break


def _field_size(node: Node, seen: Field, *, pooled: bool) -> Fault | None:
    if not seen.local or seen.size is None or seen.extent < 2:
        return None
    told = f"`{node.path}` has a receptive field of {seen.size} cells along {seen.name}"
    if seen.size > LARGE * seen.extent:
        told += f", {seen.size // seen.extent} times the input of {seen.extent}"
        return warn("W107", node, told, "fewer or less dilated layers see the same")
    maps = pooled and len(node.outs[0].shape) > 2
    if maps and not seen.whole and SMALL * seen.size < seen.extent:
        told += f" where the input has {seen.extent}: no cell sees an object that fills the input "
        told += "before all are averaged"
        return warn("W107", node, told, "add layers, strides or dilation before the pool")
    return None


def _pools_all(node: Node) -> bool:
    if node.layer is None or not node.inputs or len(node.ins[0].shape) < 3:
        return False
    if node.layer.family != "pool":
        return False
    return all(reach.axis is None for reach in node.layer.reach(*node.ins)[0][1:])
