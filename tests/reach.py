"""A graph, run with positive weights in double precision -> the reach of real gradients."""

from __future__ import annotations

import torch
from torch.nn import functional as F  # noqa: N812

from archspec.expand.graph import Graph, Node

CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
TRANSPOSED = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}


def run(graph: Graph, x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """The output for a sample [C, …]. Nothing cancels: what enters is positive, pools are sums."""
    values: dict[int, torch.Tensor] = {}
    for node in graph.steps:
        ins = [values[edge.node] for edge in node.inputs]
        values[node.index] = x[None] if node.layer is None else _run(node, ins, generator)
    (edge,) = graph.outputs["output"]
    return values[edge.node][0]


def _run(node: Node, ins: list[torch.Tensor], generator: torch.Generator) -> torch.Tensor:
    layer, op = node.layer, node.layer.op
    if op in ("add", "mul"):
        return sum(ins) if op == "add" else torch.stack(ins).prod(0)
    if op == "concat":
        return torch.cat(ins, 1)
    if op in ("conv", "max_pool", "avg_pool"):
        return _window(node, ins[0], generator)
    if op == "conv_transpose":
        weight = _positive(generator, layer.weights(*node.ins)[0].shape)
        return TRANSPOSED[len(node.ins[0].shape) - 1](
            ins[0],
            weight,
            None,
            layer.stride,
            layer.padding,
            layer.output_padding,
            layer.groups,
            layer.dilation,
        )
    if op == "upsample":
        return F.interpolate(ins[0], scale_factor=layer.scale, mode=layer.mode)
    if op == "slice":
        return ins[0].narrow(layer.axis + 1, layer.start, node.outs[0].shape[layer.axis])
    if op == "global_avg_pool":
        return ins[0].flatten(2).mean(2)
    if op == "relu":
        return ins[0].relu()
    if op == "unflatten":
        return ins[0].reshape(1, *node.outs[0].shape)
    raise NotImplementedError(op)


def _window(node: Node, x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """A convolution; a pool is one that sums each channel, so that every cell counts."""
    layer = node.layer
    slides = layer.slides_on(node.ins[0])
    pads = []
    for s in reversed(slides):
        # a pool that rounds up reads cells behind the padding
        over = (s.out - 1) * s.stride + s.dilation * (s.kernel - 1) + 1 - s.size - s.before
        pads += [s.before, max(s.after, over)]
    kernel = [s.kernel for s in slides]
    if layer.op == "conv":
        weight, groups = _positive(generator, layer.weights(*node.ins)[0].shape), layer.groups
        groups = x.shape[1] if groups == "depthwise" else groups
    else:
        weight, groups = torch.ones(x.shape[1], 1, *kernel, dtype=x.dtype), x.shape[1]
    stride, dilation = [s.stride for s in slides], [s.dilation for s in slides]
    found = CONV[len(slides)](F.pad(x, pads), weight, None, stride, 0, dilation, groups)
    return found[(slice(None), slice(None), *(slice(0, s.out) for s in slides))]


def _positive(generator: torch.Generator, shape: tuple[int, ...]) -> torch.Tensor:
    return torch.rand(shape, dtype=torch.float64, generator=generator) + 0.1


def reach(
    graph: Graph, cells: list[tuple[int, ...]], seed: int
) -> list[list[tuple[int, int] | None]]:
    """For each output cell and spatial axis, first and last input cell with gradient, if any."""
    generator = torch.Generator().manual_seed(seed)
    x = _positive(generator, graph.steps[0].outs[0].shape).requires_grad_()
    out = run(graph, x, generator)
    found = []
    for cell in cells:
        target = out[(slice(None), *cell)].sum()
        (gradient,) = torch.autograd.grad(target, x, retain_graph=True)
        touched = gradient.abs().sum(0) > 0
        ranges: list[tuple[int, int] | None] = []
        for axis in range(touched.dim()):
            others = [a for a in range(touched.dim()) if a != axis]
            hit = (touched.any(dim=others) if others else touched).nonzero().flatten()
            ranges.append((int(hit[0]), int(hit[-1])) if len(hit) else None)
        found.append(ranges)
    return found
