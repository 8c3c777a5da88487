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

_MAPS = (4, 5)  # axes of what has a format in torch: two or three of space


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
    """Whether it lies as one of torch's formats of that name, without gaps."""
    sizes, strides = lying
    wanted = channels_last(sizes)
    alike = all(n == 1 or a == b for n, a, b in zip(sizes, strides, wanted, strict=True))
    return alike and len(sizes) in _MAPS


def taken_for_channels_last(lying: Lying) -> bool:
    """Whether torch takes it for channels last, gaps or not: Tensor.suggest_memory_format.

    Its rule for what is both, where axes have one cell (c10/core/MemoryFormat.h).
    """
    sizes, strides = lying
    if len(sizes) not in _MAPS or strides[1] == 0:
        return False
    least = 0
    for axis in (1, *range(len(sizes) - 1, 1, -1), 0):
        if sizes[axis] == 0 or strides[axis] < least:
            return False
        if axis == 0 and least == strides[1]:
            return False
        least = strides[axis] * max(sizes[axis], 1)
    return True


def formatted(sizes: Sizes, given: Sequence[Lying]) -> Strides:
    """Strides of what an op makes in the format of its inputs: channels last where all are.

    With one axis of space torch takes them as maps of one row.
    """
    if len(sizes) == _MAPS[0] - 1:
        of_samples, of_channels, _, step = formatted(
            (*sizes[:2], 1, sizes[2]), [_as_one_row(lying) for lying in given]
        )
        return of_samples, of_channels, step
    last = all(map(taken_for_channels_last, given))
    return channels_last(sizes) if last else in_order(sizes)


def concatenated(sizes: Sizes, given: Sequence[Lying]) -> Strides:
    """Strides of inputs one behind the other, which are never maps of one row to torch."""
    return formatted(sizes, given) if len(sizes) in _MAPS else in_order(sizes)


def _as_one_row(lying: Lying) -> Lying:
    (samples, channels, steps), (of_samples, of_channels, step) = lying
    return (samples, channels, 1, steps), (of_samples, of_channels, steps * step, step)


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
    return foldable(_by_steps(lying), 1)


def in_order_by_steps(lying: Lying) -> bool:
    """Whether it lies so that it is in order with the steps in front."""
    return is_in_order(_by_steps(lying))


def _by_steps(lying: Lying) -> Lying:
    (samples, steps, size), strides = lying
    return (steps, samples, size), (strides[1], strides[0], strides[2])


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
    if all(own == sizes for own, _ in given):
        if all(map(is_in_order, given)):
            return in_order(sizes)
        if len(sizes) == _MAPS[0] and all(map(is_channels_last, given)):
            return channels_last(sizes)
        if all(strides == first for _, strides in given) and _without_gaps(sizes, first):
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
        a, b = (0 if own[axis] != sizes[axis] else strides[axis] for axis in (inner, outer))
        if 0 in (a, b):  # repeated along one of them
            continue
        if a != b:
            return 1 if a > b else -1
        if sizes[inner] > sizes[outer]:
            return 1
    return 0
