"""*Graph -> warnings*: what the field knows to be a mistake, though it runs.

Each rule names the well-known designs it leaves alone; a rule that cries wolf is worse than none.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import gcd
from typing import TYPE_CHECKING

from archspec.analysis.cost import ASLEEP
from archspec.analysis.receptive_field import Field, Offset, along
from archspec.analysis.unread import unread
from archspec.text.faults import Fault, Loc

if TYPE_CHECKING:
    from archspec.analysis import Analysis
    from archspec.expand.graph import Graph, Node
    from archspec.language import Spec

LINEAR = frozenset({"conv", "conv_transpose", "linear"})
SLIDING = frozenset({"conv", "max_pool", "avg_pool", "lp_pool"})
GLOBAL_POOLS = frozenset({"global_avg_pool", "global_max_pool"})
CENTRING = frozenset({"batch_norm", "instance_norm"})
# linear themselves; upsampling and pixel shuffles are not listed: a convolution on either side of
# them is how super-resolution networks are built
SHAPES = frozenset({"flatten", "unflatten", "reshape", "permute", "identity"})
AVERAGES = frozenset({"avg_pool", "adaptive_avg_pool", "global_avg_pool"})
STILL_LINEAR = SHAPES | AVERAGES | ASLEEP | {"batch_norm", "scale", "pad", "crop"}
SMALL = 2  # a field under 1/2 of the input sees no object that fills it
LARGE = 32  # DenseNet-201, the widest of the common networks, sees 17 times its input


def warnings(analysis: Analysis) -> list[Fault]:
    """All warnings, one a place and code, without those that the spec says are meant."""
    graph, spec = analysis.graph, analysis.spec
    readers = _Readers(graph)
    found: dict[tuple[str, Loc], list[Fault]] = {}
    for fault in (
        *_by_node(graph, readers),
        *_softmax(graph),
        *_misaligned(analysis),
        *_field_sizes(analysis, readers),
        *unread(spec),
    ):
        found.setdefault((fault.code, fault.loc), []).append(fault)
    meant = _meant(spec)
    return [
        _with_count(faults)
        for (code, loc), faults in found.items()
        if code not in spec.warnings and (code, loc.file) not in meant
    ]


class _Readers:
    """Which nodes read each node's output, and whether it leaves the network."""

    def __init__(self, graph: Graph) -> None:
        self.by_node: list[list[int]] = [[] for _ in graph.steps]
        for node in graph.steps:
            for edge in node.inputs:
                self.by_node[edge.node].append(node.index)
        # weights that run in several places: there are several maps, and no one to fold them into
        self.shared = {node.shared for node in graph.steps if node.shared is not None}
        self.leaving = {edge.node for edges in graph.outputs.values() for edge in edges}

    def only(self, index: int) -> bool:
        """Whether exactly one node, and nobody outside, reads it."""
        return len(self.by_node[index]) == 1 and index not in self.leaving


def _by_node(graph: Graph, readers: _Readers) -> Iterator[Fault]:
    for node in graph.steps:
        if node.layer is None or node.shared is not None:
            continue
        op = node.layer.op
        if op in LINEAR:
            yield from _linear_twice(graph, readers, node)
        if op in CENTRING:
            yield from _useless_bias(graph, readers, node)
        if op == "conv_transpose":
            yield from _checkerboard(node)
        if op in SLIDING:
            yield from _unseen_cells(graph, readers, node)


def _linear_twice(graph: Graph, readers: _Readers, node: Node) -> Iterator[Fault]:
    before = graph.steps[node.inputs[0].node]
    while (
        before.layer is not None and before.layer.op in STILL_LINEAR and readers.only(before.index)
    ):
        before = graph.steps[before.inputs[0].node]
    if before.layer is None or before.layer.op not in LINEAR or not readers.only(before.index):
        return
    apart = graph.steps[node.inputs[0].node] is not before
    if _factorised(before, node, apart) or {before.index, node.index} & readers.shared:
        return
    yield _fault(
        "W101",
        node,
        f"`{node.path}`: nothing nonlinear stands between it and `{before.path}`, "
        "so the two are one linear map with more weights",
        "put an activation between them, for example `relu`, or leave one out",
    )


def _factorised(first: Node, second: Node, apart: bool) -> bool:
    """Two maps that are meant to be one; `apart` if something linear stands between them.

    Depthwise and pointwise, through fewer channels, 1 x n and n x 1, an upsampling filter.
    """
    if _groups(first) > 1 or _groups(second) > 1:
        return True
    middle, leaves = _channels(first, True), _channels(second, True)
    if middle < min(_channels(first, False), leaves):
        return True
    if second.layer is not None and second.layer.op == "conv_transpose" and middle == leaves:
        return True
    a, b = _kernel(first), _kernel(second)
    if not a or len(a) != len(b):
        return False
    if apart and max(a + b) == 1 and leaves >= 2 * middle:
        return True  # a block of MobileNetV2 ends linear, the next one widens
    return a != b and all(min(pair) == 1 < max(pair) for pair in zip(a, b, strict=True))


def _useless_bias(graph: Graph, readers: _Readers, node: Node) -> Iterator[Fault]:
    before = graph.steps[node.inputs[0].node]
    if before.layer is None or before.layer.op not in LINEAR or not readers.only(before.index):
        return
    on_channels = before.layer.op != "linear" or len(before.outs[0].shape) == 1
    if getattr(before.layer, "bias", False) is True and on_channels and node.layer is not None:
        yield _fault(
            "W102",
            before,
            f"`{before.path}` has a bias, and `{node.path}` behind it subtracts the mean, "
            "so the bias has no effect",
            f"write `bias: false` in the {before.layer.op}",
        )


def _checkerboard(node: Node) -> Iterator[Fault]:
    axes = len(node.ins[0].shape) - 1
    for axis in range(axes):
        kernel, stride = (
            along(node.layer, "kernel", axis, axes),
            along(node.layer, "stride", axis, axes) or 1,
        )
        if stride > 1 and kernel % stride:
            yield _fault(
                "W104",
                node,
                f"`{node.path}` has kernel {kernel}, which its stride {stride} does not divide: "
                "output cells are sums of differently many terms, which shows as a checkerboard",
                f"take kernel {(kernel // stride + 1) * stride}, or `upsample` and a `conv`",
            )
            return


def _unseen_cells(graph: Graph, readers: _Readers, node: Node) -> Iterator[Fault]:
    seen = _blind(node)
    if seen is None:
        return
    beside = [graph.steps[i] for i in readers.by_node[node.inputs[0].node]]
    if node.inputs[0].node in readers.leaving or any(_blind(other) is None for other in beside):
        return
    # all of them skip: told once, at the one that carries the network on
    if node is not min(beside, key=lambda other: (_in_shortcut(graph, other), other.index)):
        return
    kernel, stride = seen
    yield _fault(
        "W105",
        node,
        f"`{node.path}` has stride {stride} and kernel {kernel}: "
        "some cells of its input are never seen",
        f"take a kernel of {stride} or more, or a smaller stride",
    )


def _blind(node: Node) -> tuple[int, int] | None:
    """Kernel and stride of a window that steps over cells along some axis."""
    if node.layer is None or node.layer.op not in SLIDING:
        return None
    shape = node.ins[0].shape
    axes = len(shape) - 1
    for axis in range(axes):
        kernel = along(node.layer, "kernel", axis, axes)
        stride = along(node.layer, "stride", axis, axes) or (
            1 if node.layer.op == "conv" else kernel
        )
        dilation = along(node.layer, "dilation", axis, axes) or 1
        if (
            stride > 1
            and shape[axis + 1] > 1
            and min(kernel, stride // gcd(stride, dilation)) < stride
        ):
            return kernel, stride
    return None


def _in_shortcut(graph: Graph, node: Node) -> bool:
    scope = graph.scopes[node.scope] if node.scope < len(graph.scopes) else None
    while scope is not None:
        if scope.kind == "shortcut":
            return True
        scope = None if scope.parent is None else graph.scopes[scope.parent]
    return False


def _softmax(graph: Graph) -> Iterator[Fault]:
    for name, edges in graph.outputs.items():
        for edge in edges:
            node = graph.steps[edge.node]
            while node.layer is not None and node.inputs and node.layer.op in SHAPES:
                node = graph.steps[node.inputs[0].node]
            if node.layer is not None and node.layer.op == "softmax":
                yield _fault(
                    "W103",
                    node,
                    f"`{node.path}` is a softmax at the end of output `{name}`: "
                    "the cross-entropy loss takes logits and applies the softmax itself",
                    "end the network before it, and apply it when probabilities are shown",
                )


def _misaligned(analysis: Analysis) -> Iterator[Fault]:
    for node, offsets in _meetings(analysis):
        worst = max(offsets, key=lambda offset: offset.shift)
        where = worst.axis.name
        if worst.stride_differs:
            told = f"paths of different stride along {where} meet"
        else:
            told = f"paths meet that see places {_decimal(worst)} input cells apart along {where}"
        yield _fault(
            "W106",
            node,
            f"`{node.path}`: {told}",
            "give the paths the same padding on the left, or crop at the centre",
        )


def _meetings(analysis: Analysis) -> Iterator[tuple[Node, list[Offset]]]:
    for node, offsets in analysis.misaligned:
        notable = [offset for offset in offsets if _notable(offset)]
        if notable:
            yield node, notable


def _notable(offset: Offset) -> bool:
    """Half a cell apart; behind an upsampling, whose phases differ anyway, a coarse cell."""
    stride = max(offset.a.s / offset.a.u, offset.b.s / offset.b.u)
    grain = max(offset.a.grain, offset.b.grain)
    return offset.shift > grain if grain > stride else 2 * offset.shift >= stride


def _field_sizes(analysis: Analysis, readers: _Readers) -> Iterator[Fault]:
    graph = analysis.graph
    for node in graph.steps:
        pools = _pools_all(node) and readers.only(node.inputs[0].node) and not node.training
        if not pools and node.index not in readers.leaving:
            continue
        last = graph.steps[node.inputs[0].node] if pools else node
        found = (_field_size(last, seen, pools) for seen in analysis.rows[last.index].fields)
        yield from [fault for fault in found if fault is not None][:1]


def _field_size(node: Node, seen: Field, pooled: bool) -> Fault | None:
    if not seen.local or seen.size is None or seen.extent < 2:
        return None
    if seen.size > LARGE * seen.extent:
        return _fault(
            "W107",
            node,
            f"`{node.path}` has a receptive field of {seen.size} cells along {seen.name}, "
            f"{seen.size // seen.extent} times the input of {seen.extent}",
            "fewer or less dilated layers see the same",
        )
    maps = pooled and len(node.outs[0].shape) > 2
    if maps and not seen.whole and SMALL * seen.size < seen.extent:
        return _fault(
            "W107",
            node,
            f"`{node.path}` has a receptive field of {seen.size} cells along {seen.name} where "
            f"the input has {seen.extent}: no cell sees an object that fills the input "
            "before all are averaged",
            "add layers, strides or dilation before the pool",
        )
    return None


def _pools_all(node: Node) -> bool:
    if node.layer is None or not node.inputs or len(node.ins[0].shape) < 3:
        return False
    ones = node.layer.op.startswith("adaptive_") and all(n == 1 for n in node.outs[0].shape[1:])
    return node.layer.op in GLOBAL_POOLS or ones


def _meant(spec: Spec) -> set[tuple[str, str]]:
    """Codes that used files say are meant, with the file."""
    found: set[tuple[str, str]] = set()
    for use in spec.use.values():
        if use.spec is not None:
            found |= {(code, use.spec.loc.file) for code in use.spec.warnings} | _meant(use.spec)
    return found


def _fault(code: str, node: Node, message: str, help: str) -> Fault:
    loc = node.item.key if node.item is not None else Loc("")
    return Fault(code, message, loc, help=help)


def _with_count(faults: list[Fault]) -> Fault:
    """One fault for a place that several copies share."""
    first, more = faults[0], len(faults) - 1
    return (
        replace(first, details=(f"and in {more} more {'copies' if more > 1 else 'copy'}",))
        if more
        else first
    )


def _channels(node: Node, leaving: bool) -> int:
    shape = (node.outs if leaving else node.ins)[0].shape
    on_last = node.layer is not None and node.layer.op == "linear"
    return shape[-1 if on_last else 0]


def _groups(node: Node) -> int:
    groups = getattr(node.layer, "groups", 1)
    return groups if isinstance(groups, int) else 2


def _kernel(node: Node) -> tuple[int, ...]:
    axes = len(node.ins[0].shape) - 1
    if node.layer is None or node.layer.op == "linear":
        return ()
    return tuple(along(node.layer, "kernel", axis, axes) for axis in range(axes))


def _decimal(offset: Offset) -> str:
    return f"{float(offset.shift):g}"
