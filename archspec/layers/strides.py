"""How tensors lie in memory → how what torch makes of them does, and what it has to copy.

Strides count elements from one cell to the next along each axis, the batch in front. Where a tensor
does not lie in order, a later op that joins its axes cannot look at it as it is:

    [4, 9] of two samples                 strides (36, 9, 1)
    permute: [1, 0]      [9, 4]           (36, 1, 9), the same bytes
    relu                 [9, 4]           (36, 1, 9), as its input lies
    flatten              [36]             (36, 1), a copy
"""

from __future__ import annotations

import math
from collections.abc import Sequence

Sizes = tuple[int, ...]
Strides = tuple[int, ...]
Lying = tuple[Sizes, Strides]


def dense(sizes: Sizes, order: Sequence[int]) -> Strides:
    """Strides without gaps; `order` names the axes, the innermost first."""
    found, step = [0] * len(sizes), 1
    for axis in order:
        found[axis] = step
        step *= sizes[axis]
    return tuple(found)


def in_order(sizes: Sizes) -> Strides:
    """Strides of a tensor whose last axis is the innermost."""
    return dense(sizes, range(len(sizes))[::-1])


def is_in_order(lying: Lying) -> bool:
    """Whether it lies so; how an axis of one cell lies says nothing."""
    sizes, strides = lying
    wanted = in_order(sizes)
    return all(n == 1 or a == b for n, a, b in zip(sizes, strides, wanted, strict=True))


def channels_last(sizes: Sizes) -> Strides:
    """Strides of a tensor whose channels are innermost, and the rest in order."""
    return dense(sizes, (1, *range(len(sizes) - 1, 1, -1), 0))


def is_channels_last(lying: Lying) -> bool:
    """Whether it lies as one of torch's formats of that name: of two or three axes of space."""
    sizes, strides = lying
    wanted = channels_last(sizes)
    alike = all(n == 1 or a == b for n, a, b in zip(sizes, strides, wanted, strict=True))
    return alike and len(sizes) in (4, 5)


def viewed(lying: Lying, sizes: Sizes) -> Strides | None:
    """Strides of the same elements as other axes; None where they have to be copied for that.

    As torch.Tensor.view: neighbouring axes are one where they lie one behind the other.
    """
    found: list[int] = []
    rest = list(sizes)
    for many, step in reversed(_runs(lying)):
        made = 1
        while rest and (made < many or rest[-1] == 1):
            found.append(made * step)
            made *= rest.pop()
        if made != many:
            return None
    return tuple(found[::-1]) if not rest else None


def foldable(lying: Lying, ends: int) -> bool:
    """Whether all axes but some at the end can be looked at as one."""
    sizes = lying[0]
    return viewed(lying, (math.prod(sizes[:-ends]), *sizes[-ends:])) is not None


def steps_first(sizes: Sizes) -> Strides:
    """Strides of [samples, steps, features] whose steps are outermost, as torch runs them."""
    return dense(sizes, (2, 0, 1))


def foldable_by_steps(lying: Lying) -> bool:
    """Whether samples and steps, the steps in front, can be looked at as one axis."""
    (samples, steps, size), strides = lying
    return foldable(((steps, samples, size), (strides[1], strides[0], strides[2])), 1)


def _runs(lying: Lying) -> list[tuple[int, int]]:
    """Axes that lie one behind the other, joined: elements and stride of each, outermost first."""
    found: list[tuple[int, int]] = []
    for size, stride in zip(*lying, strict=True):
        if size == 1:
            continue
        if found and found[-1][1] == size * stride:
            found[-1] = found[-1][0] * size, stride
        else:
            found.append((size, stride))
    return found or [(1, 1)]


def cellwise(sizes: Sizes, given: Sequence[Lying]) -> Strides:
    """Strides of what an op makes cell by cell: its inputs' order, without their gaps.

    As torch's TensorIterator: axes change places where the first input that tells them apart says.
    """
    first = given[0][1]
    same = all(one == (sizes, first) for one in given)
    if same and _without_gaps(sizes, first):
        return first
    order = list(range(len(sizes)))[::-1]
    for start in range(1, len(order)):
        moved = start
        for at in range(start)[::-1]:
            told = _told(order[at], order[moved], sizes, given)
            if told > 0:
                order[at], order[moved] = order[moved], order[at]
                moved = at
            elif told < 0:
                break
    return dense(sizes, order)


def _without_gaps(sizes: Sizes, strides: Strides) -> bool:
    order = sorted((a for a in range(len(sizes)) if sizes[a] != 1), key=strides.__getitem__)
    wanted = dense(sizes, order)
    return all(strides[a] == wanted[a] for a in order)


def _told(inner: int, outer: int, sizes: Sizes, given: Sequence[Lying]) -> int:
    """Above 0 where two axes lie the other way round, below where they lie so, 0: not told."""
    for own, strides in given:
        if 1 in (own[inner], own[outer]) and own != sizes:  # repeated along one of them
            continue
        a, b = strides[inner], strides[outer]
        if a != b:
            return 1 if a > b else -1
        if own[inner] > own[outer]:
            return 1
    return 0
