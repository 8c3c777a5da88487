"""Graph, one cell of a node → the cells of each input that this very cell reads.

A Field says it for all cells of a node at once: behind an upsampling that is the hull over its
phases, and where paths of different strides meet the hull over both. Here one cell is followed back
alone, axis by axis, as a set of cells. What falls into padding is dropped on the way; where padding
mirrors a cell of the map or goes on at its other end, that cell is read:

    input: [1, 12, 12]
    body:
      - max_pool: 2
      - upsample: 2       cell 3 reads 2 … 3; the field, of both phases, is one cell larger
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from archspec.analysis.receptive_field import along, moved, walk_of

if TYPE_CHECKING:
    from archspec.analysis.receptive_field import Walk
    from archspec.analysis.spans import Shift
    from archspec.expand.graph import Graph, Node

Cells = tuple[frozenset[int], ...]  # of each axis


def cells(graph: Graph, node: Node, cell: tuple[int, ...]) -> dict[str, Cells]:
    """By path of each input that is read, along each of its axes: which cells.

    `cell` is of the node's first output, a number for each axis: (channel, row, column) of a map.
    """
    sought: dict[tuple[int, int], Cells] = {(node.index, 0): tuple(frozenset([c]) for c in cell)}
    read: dict[str, Cells] = {}
    for step in reversed(graph.steps[: node.index + 1]):
        for output in range(len(step.outs)):
            found = sought.pop((step.index, output), None)
            if found is None:
                continue
            if step.layer is None:
                read[step.path] = found
                continue
            walk = _walk(step, output)
            for number, (edge, axes) in enumerate(zip(step.given, walk, strict=False)):
                inside = None if edge is None else _before(step, number, axes, found)
                if edge is not None and inside is not None:
                    key = (edge.node, edge.output)
                    sought[key] = _union(sought.get(key), inside)
    return read


def _walk(node: Node, output: int) -> Walk:
    """How an output walks along the inputs; of a split each part, of other layers after the first
    each cell sees all."""
    if output == 0:
        return walk_of(node)
    if node.op != "split":
        return tuple((None,) * len(t.shape) for t in node.ins)
    rank = len(node.ins[0].shape)
    axis = int(getattr(node.layer, "axis", 0)) % rank
    return moved(rank, axis, sum(out.shape[axis] for out in node.outs[:output]))


def _before(
    node: Node, number: int, walk: tuple[tuple[int, Shift] | None, ...], found: Cells
) -> Cells | None:
    """The cells of an input that some of the output read; None: no cell."""
    shape = node.ins[number].shape
    axes = []
    for axis, (extent, step) in enumerate(zip(shape, walk, strict=True)):
        if step is None:
            axes.append(frozenset(range(extent)))
            continue
        gap = along(node.layer, "dilation", axis - 1, len(shape) - 1) if axis else 0
        axes.append(_read(step[1], found[step[0]], extent, gap or 1))
    return tuple(axes) if all(axes) else None


def _read(shift: Shift, outputs: frozenset[int], extent: int, gap: int) -> frozenset[int]:
    """Those inside of what outputs read; every `gap`th of a window that is dilated."""
    gap = gap if shift.up == 1 else 1
    read: set[int] = set()
    for o in outputs:
        first = -((-shift.stride * o - shift.lo) // shift.up)
        last = (shift.stride * o + shift.hi) // shift.up
        read.update(range(first, last + 1, gap))
    return frozenset(c for c in read if 0 <= c < extent) | _standing(shift, read, extent)


def _standing(shift: Shift, read: set[int], extent: int) -> frozenset[int]:
    """The cells inside that padding puts where cells outside are read."""
    outside = [c for c in read if not 0 <= c < extent]
    if shift.beyond == "circular":
        return frozenset(c % extent for c in outside)
    if shift.beyond == "replicate":
        return frozenset(max(0, min(c, extent - 1)) for c in outside)
    if shift.beyond == "reflect":
        return frozenset(-c if c < 0 else 2 * (extent - 1) - c for c in outside)
    return frozenset()


def _union(known: Cells | None, more: Cells) -> Cells:
    if known is None:
        return more
    return tuple(a | b for a, b in zip(known, more, strict=True))
