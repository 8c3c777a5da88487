"""What is known of a tensor before its data, and what a tensor of ours is made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from archspec.language.renames import Rename

if TYPE_CHECKING:
    from torch import Tensor

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Stored:
    """What a header says of a tensor: its shape, and its dtype as torch calls it."""

    shape: Shape
    dtype: str = "float32"

    @classmethod
    def of(cls, tensor: Tensor) -> Stored:
        return cls(tuple(tensor.shape), str(tensor.dtype).removeprefix("torch."))

    @property
    def size(self) -> int:
        """The number of elements."""
        return prod(self.shape)


@dataclass(frozen=True, slots=True)
class Recipe:
    """What one tensor is made of: names in the source, how they were found, what is done to them.

    `rename` is the entry whose conversions apply; None where the tensor is taken as it is.
    """

    sources: tuple[str, ...]
    how: str
    rename: Rename | None = None


Match = Callable[[str], Recipe | None]
