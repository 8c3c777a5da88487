"""Names of a network and of a source → what each tensor is made of.

In this order: the layer that is the same one in a network that the names are known of, equal names,
the spec's table. Never by shape, never by order.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from archspec.expand.graph import Graph
from archspec.expressions import ExpressionError
from archspec.language.renames import Rename
from archspec.text.options import said
from archspec.weights.errors import WeightsError, some
from archspec.weights.recipes import Match, Recipe, Stored

EQUAL = "equal name"
_DTYPES = {"float": "float32", "int": "int64", "bool": "bool"}


def owned(graph: Graph) -> dict[str, Stored]:
    """The tensors of a network by name, as a freshly built module holds them."""
    return {
        name: Stored(weight.shape, _DTYPES[weight.dtype]) for name, weight, _ in graph.weights()
    }


def under(name: str, paths: Iterable[str]) -> bool:
    """Whether a name is one of `paths`, or lies below one: `fc.weight` below `fc`."""
    return any(name == path or name.startswith(f"{path}.") for path in paths)


def matcher(table: Iterable[Rename], header: Collection[str], *, first: bool = False) -> Match:
    """How names are found in a header: equal names, then the table; or the table `first`.

    Unless it is first, the match raises WeightsError for a name that both lead to.
    """
    entries = tuple(table)

    def match(name: str) -> Recipe | None:
        equal = Recipe((name,), EQUAL) if name in header else None
        found = _by_table(name, entries)
        if found is None or not all(source in header for source in found.sources):
            return equal
        if found.sources == (name,):  # the same tensor, as it is or as the table converts it
            return found if found.rename is not None else equal
        if equal is None or first:
            return found
        message = f"`{name}` stands in the source itself, and by the spec's `rename` as "
        raise WeightsError(
            "E613",
            message + some([text for text in found.sources if text != name] or [name]),
            f"say whose names the source has: {said('source', 'torchvision')} (or timm, file) for "
            f"the table, {said('source', 'spec')} for the spec's own",
        )

    return match


def asked(name: str, table: Iterable[Rename]) -> set[str]:
    """The names that a tensor of ours may have in a source."""
    found = _by_table(name, tuple(table))
    return {name, *(found.sources if found is not None else ())}


def _by_table(name: str, table: Iterable[Rename]) -> Recipe | None:
    """The first entry that matches."""
    for rename in table:
        try:
            sources = rename.sources(name)
        except ExpressionError as bad:
            message = f"`{rename}` gives no name for `{name}`: {bad.message}"
            raise WeightsError("E613", message, "mend `rename` in the spec") from None
        if sources is not None:
            return Recipe(sources, str(rename), None if rename.plain else rename)
    return None


def aligned(match: Match, names: Mapping[str, str], where: str) -> Match:
    """`match` of another network's names, reached over the layers that both have.

    `names` gives the other network's name for a name of ours; a name without one is matched as it
    is, unless it is taken: of a layer that is another one here.
    """
    taken = set(names.values())

    def found(name: str) -> Recipe | None:
        other = names.get(name)
        if other is None:
            return None if name in taken else match(name)
        recipe = match(other)
        if recipe is None or other == name:
            return recipe
        return Recipe(recipe.sources, f"same layer in {where}", recipe.rename)

    return found


def partly(recipes: Mapping[str, Recipe]) -> dict[str, str]:
    """The tensors of the source of which not all parts are taken, and which parts are left.

    Raises WeightsError where one tensor, or one part of it, would be used for two of ours.
    """
    users: dict[str, dict[tuple[int, ...] | None, str]] = {}
    for name, recipe in recipes.items():
        part = recipe.rename.part if recipe.rename is not None else None
        for source in recipe.sources:
            others = users.setdefault(source, {})
            other = others.get(part) or (None if part else next(iter(others.values()), None))
            other = other or others.get(None)
            if other is not None:
                message = f"`{source}` would become both `{other}` and `{name}`"
                raise WeightsError("E613", message, "mend `rename`: one tensor is used once")
            others[part] = name
    found = {}
    for source, others in users.items():
        taken = [part for part in others if part is not None]
        left = sorted(set(range(taken[0][1])) - {k for k, _ in taken}) if taken else []
        if left:
            found[source] = f"of its {taken[0][1]} parts nothing takes {left}"
    return found
