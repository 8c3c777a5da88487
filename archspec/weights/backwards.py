"""A model → a state_dict with the names of a reference: the table of renames, read backwards."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import TYPE_CHECKING

from archspec import network
from archspec.weights import origin
from archspec.weights.errors import WeightsError, some
from archspec.weights.files import given
from archspec.weights.loading import table
from archspec.weights.names import matcher
from archspec.weights.recipes import Recipe

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor, nn

    from archspec.network import Program


def export(
    model: nn.Module,
    like: Mapping[str, Tensor],
    *,
    spec: str | Path | Program | None = None,
) -> dict[str, Tensor]:
    """The values of `model` under the names, and in the shapes, of `like`.

    `like` is the state_dict of a reference, of which only names and shapes are read:
    `reference.load_state_dict(export(model, reference.state_dict()))`. Joined tensors are divided
    again, parts joined, axes put back. The spec is the one `model` was built from, or `spec`.
    Raises WeightsError where a tensor of `like` has no value, or one of another shape.
    """
    program = network.program(spec) if spec is not None else origin.program_of(model)
    header = given(like, "like").header
    match = matcher(table(program), header, first=True)
    found: dict[str, Tensor] = {}
    parts: dict[str, dict[int, Tensor]] = {}
    for name, value in model.state_dict().items():
        recipe = match(name)
        if recipe is None:
            continue
        rename = recipe.rename
        if rename is not None and rename.part is not None:
            back = _unordered(value.detach(), recipe)
            if rename.reshape:
                raise _unclear(recipe, "a part that was reshaped has no shape of its own")
            parts.setdefault(recipe.sources[0], {})[rename.part[0]] = back
            if len(parts[recipe.sources[0]]) == rename.part[1]:
                found[recipe.sources[0]] = _joined(parts[recipe.sources[0]], rename.axis)
            continue
        sizes = [header[source].shape for source in recipe.sources]
        for source, part in zip(
            recipe.sources, _divided(value.detach(), recipe, sizes), strict=True
        ):
            found[source] = part
    lacking = [
        name
        for name, stored in header.items()
        if name not in found or tuple(found[name].shape) != stored.shape
    ]
    if lacking:
        message = f"the model has no value for {some(lacking)}"
        raise WeightsError("E611", message, "`rename` in the spec says how its names are theirs")
    return found


def _divided(value: Tensor, recipe: Recipe, shapes: list[tuple[int, ...]]) -> tuple[Tensor, ...]:
    """One tensor for each source of a recipe."""
    rename = recipe.rename
    if rename is None:
        return (value,)
    if len(shapes) == 1:
        order = rename.order
        if not rename.reshape:
            return (_unordered(value, recipe),)
        if order is None:
            return (value.reshape(shapes[0]) if value.numel() == prod(shapes[0]) else value,)
        ordered = value.reshape([shapes[0][axis] for axis in order])
        return (_unordered(ordered, recipe),)
    if rename.reshape:
        raise _unclear(recipe, "joined tensors that were reshaped are not divided again")
    whole = _unordered(value, recipe)
    found, start = [], 0
    for shape in shapes:
        found.append(whole.narrow(rename.axis, start, shape[rename.axis]))
        start += shape[rename.axis]
    return tuple(found)


def _unordered(value: Tensor, recipe: Recipe) -> Tensor:
    """With its axes as they were before `order`."""
    order = recipe.rename.order if recipe.rename is not None else None
    if order is None:
        return value
    return value.permute([order.index(axis) for axis in range(len(order))])


def _joined(parts: Mapping[int, Tensor], axis: int) -> Tensor:
    import torch

    return torch.cat([parts[k] for k in sorted(parts)], axis)


def _unclear(recipe: Recipe, why: str) -> WeightsError:
    return WeightsError("E613", f"`{recipe.how}` cannot be read backwards: {why}", "")
