"""Group norms whose backward pass would end the process → the same, of inputs in order.

Torch's (2.13, on the CPU) is a segmentation fault where what goes in takes no gradient, is channels
last and has fewer than 2048 cells of space, and the norm's weights learn:

    permute: [2, 0, 1]      the first op: a picture whose channels are innermost
    group_norm: 4           or one behind frozen layers that leave channels last
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


@contextmanager
def inputs_in_order(model: nn.Module) -> Iterator[None]:
    """In it, group norms on the CPU copy what lies otherwise and takes no gradient."""
    norms = [module for module in model.modules() if isinstance(module, nn.GroupNorm)]
    hooks = [norm.register_forward_pre_hook(_in_order) for norm in norms]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _in_order(norm: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(x.contiguous() if _crashes(x) else x for x in inputs)


def _crashes(x: Tensor) -> bool:
    return torch.is_grad_enabled() and not x.requires_grad and x.device.type == "cpu"
