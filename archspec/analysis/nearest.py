"""Sizes that are refused → the accepted ones nearest, as the remedy of a complaint.

unet at [1, 570, 570]     H, W: multiples of 16, at least 16; 570 is none of them: 560 or 576
vit_b_16 at [224, 224, 3]    channels come first: [3, 224, 224]
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from archspec.analysis import Analysis
    from archspec.analysis.sizes import InputSize

REACH = 1024  # cells that an accepted size is looked for, up and down

Shapes = Mapping[str, Sequence[int]]
Place = tuple[str, int]  # an input, an axis


def remedy(analysis: Analysis, given: Shapes, takes: Callable[[Shapes], bool]) -> str:
    """Lines that name the sizes near those given; "" where none is known to be accepted.

    `analysis` is of the network at the sizes of its file; `takes` tries others on the spec.
    """
    turned = [_channels_first(analysis, name, shape) for name, shape in given.items()]
    if any(turned):
        return "\n".join(f"channels come first: {shape}" for shape in turned if shape)
    anew = takes(_twice(analysis, given))  # a largest size is then the module's, not the spec's
    wrong = {
        (axis.input, axis.axis): size
        for axis in analysis.tracked
        for size in analysis.sizes
        if axis.input in given and axis.input in size.inputs and axis.name in size.axes
        for n in (given[axis.input][axis.axis],)
        if _refuses(size, n) and not (anew and size.maximum and n > size.maximum)
    }
    lines: dict[str, list[int]] = {}
    for nearest in (_below, _above):
        moved = {(i, a): nearest(size, given[i][a]) for (i, a), size in wrong.items()}
        if not moved or not all(moved.values()) or not takes(_changed(given, moved)):
            continue
        for (name, axis), n in moved.items():
            found = lines.setdefault(_told(wrong[name, axis], given[name][axis]), [])
            found += [] if n in found else [n]
    return "\n".join(f"{line}: {' or '.join(map(str, near))}" for line, near in lines.items())


def _channels_first(analysis: Analysis, name: str, shape: Sequence[int]) -> list[int]:
    """A shape whose last axis is as long as axis 0 of the file's, turned; [] of any other."""
    usual = analysis.graph.at(name).outs[0].shape
    last = len(shape) == len(usual) > 2 and shape[-1] == usual[0] != shape[0]
    return [shape[-1], *shape[:-1]] if last else []


def _twice(analysis: Analysis, given: Shapes) -> Shapes:
    """The sizes of the file, twice as long along all axes that may be longer."""
    usual = {name: list(analysis.graph.at(name).outs[0].shape) for name in given}
    for axis in analysis.tracked:
        if axis.input in usual:
            usual[axis.input][axis.axis] *= 2
    return usual


def _refuses(size: InputSize, n: int) -> bool:
    """Whether that is why: one size alone is that of a linear map, which the spec makes anew."""
    return not (size.training or size.minimum == size.maximum or size.accepts(n))


def _below(size: InputSize, n: int) -> int:
    return _first(size, range(min(n - 1, size.maximum or n), max(0, n - REACH), -1))


def _above(size: InputSize, n: int) -> int:
    least = max(n + 1, size.minimum)
    return _first(size, range(least, least + REACH))


def _first(size: InputSize, sizes: Iterable[int]) -> int:
    """The first that is accepted; 0 where none is."""
    return next((n for n in sizes if size.accepts(n)), 0)


def _changed(given: Shapes, moved: Mapping[Place, int]) -> Shapes:
    return {
        name: [moved.get((name, axis), n) for axis, n in enumerate(shape)]
        for name, shape in given.items()
    }


def _told(size: InputSize, n: int) -> str:
    why = "none of them" if size.period > 1 else "too small" if n < size.minimum else "too large"
    return f"{', '.join(size.axes)}: {size.accepted}; {n} is {why}"
