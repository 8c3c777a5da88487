"""A model → a state_dict with the names of a reference: the table of renames, read backwards."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import TYPE_CHECKING

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
    import torch

    program = origin.program_of(model, spec)
    header = given(like, "like").header
    match = matcher(table(program), header, first=True)
    found: dict[str, Tensor] = {}
    parts: dict[str, dict[int, Tensor]] = {}
    for name, value in origin.state(origin.bare(model)[0]).items():
        recipe = match(name)
        if recipe is None:
            continue
        rename = recipe.rename
        if rename is not None and rename.part is not None:
            if rename.reshape:
                raise _unclear(recipe, "a part that was reshaped has no shape of its own")
            (source,), (part, of) = recipe.sources, rename.part
            known = parts.setdefault(source, {})
            known[part] = _unordered(value.detach(), recipe)
            if len(known) == of:
                found[source] = torch.cat([known[k] for k in range(of)], rename.axis)
            continue
        sizes = [header[source].shape for source in recipe.sources]
        found.update(zip(recipe.sources, _divided(value.detach(), recipe, sizes), strict=True))
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
        if rename.reshape and value.numel() == prod(shapes[0]):
            order = rename.order or range(len(shapes[0]))
            value = value.reshape([shapes[0][axis] for axis in order])
        return (_unordered(value, recipe),)
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


def _unclear(recipe: Recipe, why: str) -> WeightsError:
    return WeightsError("E613", f"`{recipe.how}` cannot be read backwards: {why}", "")
