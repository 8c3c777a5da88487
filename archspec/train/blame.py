"""A loss that is not finite → the first layer that made it so, in a sentence.

The losses are made once more, with a look at what goes into each layer and what comes out. Layers
are called as in the spec.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from archspec.train.errors import TrainError

if TYPE_CHECKING:
    from torch.utils.hooks import RemovableHandle


def blame(model: nn.Module, again: Callable[[], Any], x: Any, where: str) -> TrainError:
    """What to raise for a loss that is not finite; `where` is the place in the run.

    `again` makes the losses of the batch `x` once more.
    """
    help = "lower the learning rate, set `clip: 1.0`, or warm up"
    if not _finite(x):
        said = "the data hold numbers that are not finite"
        return TrainError("E807", f"{where}: {said}", "mend the data set")
    found = _first(model, again)
    if found is None:
        said = "the loss is not finite, though all outputs are: targets do not go with it"
    else:
        path, module = found
        sick = [n for n, value in module.named_parameters(recurse=False) if not _finite(value)]
        said = f"the loss is not finite; the first layer with such an output is `{path}`"
        said += f" ({type(module).__name__})"
        said += f", whose {' and '.join(sick)} grew beyond all numbers" if sick else ""
    return TrainError("E807", f"{where}: {said}", help)


def _first(model: nn.Module, again: Callable[[], Any]) -> tuple[str, nn.Module] | None:
    """The first layer in the order of computation that makes finite inputs into others."""
    found: list[tuple[str, nn.Module]] = []
    handles: list[RemovableHandle] = []

    def watch(path: str, module: nn.Module) -> None:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            if not found and _finite(inputs) and not _finite(output):
                found.append((path, module))

        handles.append(module.register_forward_hook(hook))

    for path, module in model.named_modules():
        if path and not any(True for _ in module.children()):
            watch(path, module)
    try:
        with torch.no_grad():
            again()
    finally:
        for handle in handles:
            handle.remove()
    return found[0] if found else None


def _finite(value: Any) -> bool:
    return all(bool(torch.isfinite(one).all()) for one in _tensors(value))


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from _tensors(one)
    elif isinstance(value, (list, tuple)):
        for one in value:
            yield from _tensors(one)
