"""What is known of a tensor before its data, and what a tensor of ours is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

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


def odd(value: Tensor) -> bool:
    """Whether a tensor is no plain array of numbers: sparse, quantised, nested."""
    from torch import strided

    return value.layout is not strided or value.is_quantized or value.is_nested


def elsewhere(value: Any) -> bool:
    """Whether a value's numbers are not in it: on several processes (DTensor), packed, imagined.

    Such a subclass of Tensor has its own way to compute, which `copy_` and files know nothing of.
    A lazy layer's weights are not made yet; a quantised one has more in its state than tensors.
    """
    from torch import Tensor
    from torch.nn.parameter import is_lazy

    if not isinstance(value, Tensor) or is_lazy(value):
        return True
    return type(value).__torch_dispatch__ is not Tensor.__torch_dispatch__


def twins(tensors: Mapping[str, Tensor]) -> dict[str, str]:
    """Names of tensors that are another whole, with the first name of that."""
    first: dict[Any, str] = {}
    found = {}
    for name, value in tensors.items():
        place = value.data_ptr()  # 0: it holds nothing, or is on the meta device
        key = (place, value.shape, value.stride(), value.dtype) if place else id(value)
        if first.setdefault(key, name) != name:
            found[name] = first[key]
    return found
