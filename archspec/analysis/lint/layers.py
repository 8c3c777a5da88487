"""Rules about layers and what stands beside them."""

from __future__ import annotations

from collections.abc import Iterator
from math import gcd
from typing import TYPE_CHECKING

from archspec.analysis.lint.context import Context, warn
from archspec.analysis.receptive_field import window

if TYPE_CHECKING:
    from archspec.expand.graph import Node
    from archspec.text.faults import Fault


def linear_twice(context: Context) -> Iterator[Fault]:
    """W101: two linear maps with nothing nonlinear between them are one map with more weights.

        input: [64]
        body: [{linear: 64}, dropout, {id: head, linear: 10}]
        # `head`: nothing nonlinear stands between it and `linear1`, so the two are one linear
        # map with more weights

    Left alone: maps that are meant to be two (`_factorised`), and weights that run in several
    places: there are several maps then, and no one to fold them into.
    """
    graph = context.graph
    shared = {owner for node in graph.steps for owner in (node.shared, node.tied)}
    shared |= {node.index for node in graph.steps if node.tied is not None}
    for node in context.layers(lambda layer: layer.linear):
        first = context.before(node)
        while first.layer and first.layer.still_linear and context.read_once(first):
            if len(first.inputs) > 1:
                break
            first = context.before(first)
        if not (first.layer and first.layer.linear) or not context.read_once(first):
            continue
        if {first.index, node.index} & shared or _factorised(context, first, node):
            continue
        yield warn(
            "W101",
            node,
            f"`{node.path}`: nothing nonlinear stands between it and `{first.path}`, "
            "so the two are one linear map with more weights",
            "put an activation between them, for example `relu`, or leave one out",
        )


def _factorised(context: Context, first: Node, second: Node) -> bool:
    """Two maps that are meant to be one.

    Depthwise and pointwise, through fewer channels, 1 x n and n x 1, an upsampling filter.
    """
    if _groups(first) > 1 or _groups(second) > 1:
        return True
    middle, leaves = _channels(first, leaving=True), _channels(second, leaving=True)
    if middle < min(_channels(first, leaving=False), leaves):
        return True
    if second.op == "conv_transpose" and middle == leaves:
        return True
    a, b = _kernel(first), _kernel(second)
    if not a or len(a) != len(b):
        return False
    apart = context.before(second) is not first
    if apart and max(a + b) == 1 and leaves >= 2 * middle:
        return True  # a block of MobileNetV2 ends linear, the next one widens
    return a != b and all(min(pair) == 1 < max(pair) for pair in zip(a, b, strict=True))


def bias_before_a_norm(context: Context) -> Iterator[Fault]:
    """W102: a normalisation subtracts the mean, and with it the bias of the layer before it.

        input: [16, 32, 32]
        body: [{conv: {out: 32, kernel: 3}}, batch_norm, relu]
        # `conv1` has a bias, and `batch_norm1` behind it subtracts the mean, so the bias has no
        # effect

    Left alone: a linear layer on a sequence, whose features the norm does not centre; a frozen
    norm that subtracts what it once measured.
    """
    for node in context.layers(lambda layer: layer.centres):
        before = context.before(node)
        if node.frozen and any(weight.buffer for weight in node.weights()):
            continue
        if not (before.layer and before.layer.linear) or not context.read_once(before):
            continue
        on_channels = before.layer.channel_axis == 0 or len(before.outs[0].shape) == 1
        if getattr(before.layer, "bias", False) is True and on_channels:
            yield warn(
                "W102",
                before,
                f"`{before.path}` has a bias, and `{node.path}` behind it subtracts the mean, "
                "so the bias has no effect",
                f"write `bias: false` in the {before.op}",
            )


def softmax_at_the_end(context: Context) -> Iterator[Fault]:
    """W103: the cross-entropy loss applies the softmax itself; behind one it is applied twice.

        input: [64]
        body: [{linear: 10}, softmax]
        # `softmax1` is a softmax at the end of output `output`: the cross-entropy loss takes
        # logits and applies the softmax itself

    Left alone: `log_softmax`, which the negative log-likelihood takes; what `outputs` names, since
    it is asked for; a softmax over anything but the classes of a layer (positions, attention).
    """
    if context.spec.outputs is not None:
        return
    for name, edges in context.graph.outputs.items():
        for edge in edges:
            node = context.graph.steps[edge.node]
            while node.inputs and node.layer and node.layer.same_numbers:
                node = context.before(node)
            if node.op == "softmax" and _over_classes(context, node):
                yield warn(
                    "W103",
                    node,
                    f"`{node.path}` is a softmax at the end of output `{name}`: "
                    "the cross-entropy loss takes logits and applies the softmax itself",
                    "end the network before it, and apply it when probabilities are shown; "
                    "where they are meant, name them under `outputs`",
                )


def _over_classes(context: Context, node: Node) -> bool:
    """Whether a softmax is over what a layer with weights gives for each class."""
    kind = node.ins[0]
    axis = getattr(node.layer, "axis", 0) % kind.rank
    if axis != (0 if kind.is_map else kind.rank - 1):
        return False
    scores = context.before(node)
    while scores.layer and not scores.layer.linear and len(scores.inputs) == 1:
        scores = context.before(scores)
    if not (scores.layer and scores.layer.linear):
        return False
    return _channels(scores, leaving=True) == kind.shape[axis]


def uneven_kernel(context: Context) -> Iterator[Fault]:
    """W104: where the stride does not divide a transposed kernel, images show a checkerboard.

        input: [16, 32, 32]
        body: [{conv_transpose: {out: 8, kernel: 3, stride: 2}}]
        # `conv_transpose1` has kernel 3, which its stride 2 does not divide: output cells are sums
        # of differently many terms, which shows as a checkerboard

    So do a stride and a dilation that share a factor: the cells between get the bias alone.
    Left alone: kernels that are multiples of the stride, 4 with stride 2.
    """
    for node in context.layers(lambda layer: layer.op == "conv_transpose"):
        axes = len(node.ins[0].shape) - 1
        for axis in range(axes):
            kernel, stride, dilation = window(node.layer, axis, axes)
            take = f"take kernel {-(-kernel // stride) * stride}"
            if gcd(stride, dilation) > 1:
                why = f"stride {stride} and dilation {dilation}, which share a factor: some output "
                why += "cells are the bias alone"
                take += " and dilation 1"
            elif kernel % stride:
                why = f"kernel {kernel}, which its stride {stride} does not divide: output cells "
                why += "are sums of differently many terms"
            else:
                continue
            told = f"`{node.path}` has {why}, which shows as a checkerboard"
            yield warn("W104", node, told, f"{take}, or `upsample` and a `conv`")
            break


def unseen_cells(context: Context) -> Iterator[Fault]:
    """W105: a window moves further than it is wide, and no path beside it sees what it skips.

        input: [16, 32, 32]
        body: [{conv: {out: 32, kernel: 1, stride: 2}}]
        # `conv1` has stride 2 and kernel 1: some cells of its input are never seen

    Several that all skip are told once, at the first. A path is beside it that starts from the same
    values, through a norm or an activation of its own too.
    """
    for node in context.layers(lambda layer: layer.slides):
        skips = _skips(node)
        if skips is None:
            continue
        source = context.source(node)
        if context.leaves(source):
            continue
        beside = context.takers(source)
        if beside[0] is not node or any(_skips(other) is None for other in beside):
            continue
        told, help = skips
        told = f"`{node.path}` has {told}: some cells of its input are never seen"
        yield warn("W105", node, told, help)


def _skips(node: Node) -> tuple[str, str] | None:
    """What is said of a window that steps over cells along some axis, and the remedy."""
    if node.layer is None or not node.layer.slides:
        return None
    sizes = node.ins[0].shape[1:]
    for axis, size in enumerate(sizes):
        kernel, stride, dilation = window(node.layer, axis, len(sizes))
        if size > 1 and not _sees_all(kernel, stride, dilation):
            smaller = max(s for s in range(1, stride) if _sees_all(kernel, s, dilation))
            return _remedy(kernel, stride, dilation, smaller)
    return None


def _sees_all(kernel: int, stride: int, dilation: int) -> bool:
    """Whether the cells of a window have all remainders of the stride."""
    return kernel >= stride and gcd(stride, dilation) == 1


def _remedy(kernel: int, stride: int, dilation: int, smaller: int) -> tuple[str, str]:
    if gcd(stride, dilation) == 1:
        told = f"stride {stride} and kernel {kernel}"
        return told, f"take a kernel of {stride} or more, or stride {smaller}"
    told = f"stride {stride} and dilation {dilation}, which share a factor"
    wider = f" and a kernel of {stride} or more" if kernel < stride else ""
    return told, f"take dilation 1{wider}, or stride {smaller}; no kernel alone helps"


def _channels(node: Node, *, leaving: bool) -> int:
    shape = (node.outs if leaving else node.ins)[0].shape
    return shape[node.layer.channel_axis if node.layer else 0]


def _groups(node: Node) -> int:
    groups = getattr(node.layer, "groups", 1)
    return groups if isinstance(groups, int) else 2


def _kernel(node: Node) -> tuple[int, ...]:
    """Along each spatial axis; () of a linear layer."""
    axes = len(node.ins[0].shape) - 1
    if not hasattr(node.layer, "kernel"):
        return ()
    return tuple(window(node.layer, axis, axes)[0] for axis in range(axes))
