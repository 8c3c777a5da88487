"""Two headers → a plan; a plan and data → new values: for all tensors, or for none.

The plan compares names, shapes and dtypes before any data is read. Values are made and checked, all
of them, before the caller copies the first.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from math import prod
from typing import TYPE_CHECKING, Any

from archspec.language.renames import Rename
from archspec.text.options import said
from archspec.weights import adapt
from archspec.weights.errors import WeightsError, some
from archspec.weights.names import partly, under
from archspec.weights.recipes import Match, Recipe, Shape, Stored
from archspec.weights.reporting import Line, Report

if TYPE_CHECKING:
    from torch import Tensor

    from archspec.weights.files import Archive

_FLOATS = frozenset({"float64", "float32", "bfloat16", "float16"})
_COUNTER = "num_batches_tracked"  # older files lack it; nothing is computed from it by default


@dataclass(frozen=True, slots=True)
class Rules:
    """What a transfer may do beside loading every tensor.

    `head` and `allow` are paths below which a tensor may stay as initialised, or be left over;
    `stems` the first convolutions, whose input channels `adapt` fits; `cast` converts other floats.
    Where only some used files are loaded, `parts` are their paths, and `cut` the tensors of the
    source that the network has not, since it was cut. `ignore` are patterns of the source's names:
    buffers that are no weights. `ties` are names that the network has for weights of other names:
    a source has such a weight once, under either name, or twice.
    """

    head: Collection[str] = ()
    allow: Collection[str] = ()
    stems: Collection[str] = ()
    adapt: bool = False
    cast: bool = False
    parts: Collection[str] | None = None
    cut: Collection[str] = ()
    ignore: Collection[str] = ()
    ties: Mapping[str, str] = field(default_factory=dict)

    def stays(self, name: str) -> str:
        """Why a tensor of the model may stay as initialised, or ""."""
        if under(name, self.head):
            return "the head"
        if under(name, self.allow):
            return "allowed"
        return "" if self.parts is None or under(name, self.parts) else "new here"

    def left_over(self, name: str) -> str:
        """Why a tensor of the source may be left over, or ""."""
        if name in self.cut:
            return "cut away"
        if any(fnmatchcase(name, pattern) for pattern in self.ignore):
            return "ignored by the spec"
        return {"the head": "of the head"}.get(self.stays(name), self.stays(name))


def plan(
    model: str, wanted: Mapping[str, Stored], archive: Archive, match: Match, rules: Rules
) -> Report:
    """What becomes of each tensor; no data is read. Raises WeightsError for an unclear match."""
    header = archive.header
    groups: dict[str, list[Line]] = defaultdict(list)
    recipes = {name: found for name in wanted if (found := match(name)) is not None}
    twice = _tied(recipes, match, rules.ties)
    parts = partly(recipes)
    fates = {n: _fate(n, here, recipes.get(n), header, rules) for n, here in wanted.items()}
    started = {
        name.rpartition(".")[0]
        for name, (fate, line) in fates.items()
        if fate == "fresh" and not name.endswith(_COUNTER)
    }
    for name, (fate, line) in fates.items():
        layer = name.rpartition(".")[0]
        # below a path that may stay as it is, a bias stays with its kernel
        if fate == "loaded" and layer and layer in started and rules.stays(name):
            fate, line = "fresh", replace(line, why=f"with the rest of `{layer}`")
        groups[fate].append(replace(line, twice=tuple(twice[name])) if name in twice else line)
    every = [*recipes.values(), *(recipe for more in twice.values() for recipe in more)]
    used = {source for recipe in every for source in recipe.sources}
    for name, stored in header.items():
        if name not in used or name in parts:
            fate, why = "unexpected", parts.get(name, "nothing takes it")
            if allowed := rules.left_over(name):
                fate, why = "left_over", allowed
            groups[fate].append(Line(name, there=stored, why=why))
    notes = (*archive.notes, *(f"`{e.name}` {e.why}" for e in groups["loaded"] if e.why))
    lines: dict[str, Any] = {key: tuple(lines) for key, lines in groups.items()}
    return Report(model, archive.name, notes=notes, **lines)


def _tied(
    recipes: dict[str, Recipe], match: Match, ties: Mapping[str, str]
) -> dict[str, list[Recipe]]:
    """What a source has under a second name, by ours; what it has there alone joins the recipes."""
    found: dict[str, list[Recipe]] = defaultdict(list)
    for name, owner in ties.items():
        recipe = match(name)
        if recipe is None:
            continue
        if recipes.setdefault(owner, recipe).sources != recipe.sources:
            found[owner].append(recipe)
    return found


def _fate(
    name: str, here: Stored, recipe: Recipe | None, header: Mapping[str, Stored], rules: Rules
) -> tuple[str, Line]:
    """Which group of the report a tensor of the model belongs to."""
    if recipe is None and name.endswith(_COUNTER) and rules.stays(name) != "new here":
        return "fresh", Line(name, here, why="not in the source; a counter")
    if recipe is None:
        return _lacking("missing", Line(name, here, why="not in the source"), rules)
    there, why = _made(recipe, here, header)
    line = Line(name, here, there, recipe, why)
    if there is None:
        return "conflicts", line
    wrong = _dtype(here, there, cast=rules.cast)
    if wrong:
        return "conflicts", replace(line, why=wrong)
    if there.shape == here.shape:
        return "loaded", line
    if name in rules.stems:
        how = adapt.how(there.shape, here.shape)
        if how and rules.adapt:
            return "loaded", replace(line, why=how)
        line = replace(line, why=f"{said('adapt_input')} fits it" if how else "")
    elif recipe.sources == (name,) and header[name].shape == here.shape:
        line = replace(line, why=f"{said('source', 'spec')} takes it as it is")
    return _lacking("conflicts", line, rules)


def _lacking(fate: str, line: Line, rules: Rules) -> tuple[str, Line]:
    """Fresh below a path that may stay as it is, else what is said."""
    why = rules.stays(line.name)
    return ("fresh", replace(line, why=why)) if why else (fate, line)


def _made(recipe: Recipe, here: Stored, header: Mapping[str, Stored]) -> tuple[Stored | None, str]:
    """The shape and dtype that come out of a recipe, or None and why it cannot be followed."""
    parts = [header[source] for source in recipe.sources]
    rename = recipe.rename
    if rename is None:
        return parts[0], ""
    if len({part.dtype for part in parts}) > 1:
        return None, "its parts have different dtypes"
    try:
        shape = _shape(rename, [part.shape for part in parts], here.shape)
    except ValueError as wrong:
        return None, str(wrong)
    return Stored(shape, parts[0].dtype), ""


def _shape(rename: Rename, shapes: list[Shape], ours: Shape) -> Shape:
    """The shape after the conversions of an entry. Raises ValueError with what is wrong."""
    axis, shape = rename.axis, list(shapes[0])
    if (len(shapes) > 1 or rename.part is not None) and axis >= len(shape):
        raise ValueError(f"{shape} has no axis {axis}")
    if len(shapes) > 1:
        if any(
            s[:axis] + s[axis + 1 :] != shapes[0][:axis] + shapes[0][axis + 1 :] for s in shapes
        ):
            raise ValueError(f"its parts {[list(s) for s in shapes]} cannot be joined")
        shape[axis] = sum(s[axis] for s in shapes)
    if rename.part is not None:
        if shape[axis] % rename.part[1]:
            raise ValueError(f"{shape} has no {rename.part[1]} equal parts along axis {axis}")
        shape[axis] //= rename.part[1]
    if rename.order is not None:
        if len(rename.order) != len(shape):
            raise ValueError(f"{shape} has not {len(rename.order)} axes")
        shape = [shape[i] for i in rename.order]
    if rename.reshape and prod(shape) == prod(ours):
        return ours
    return tuple(shape)


def _dtype(here: Stored, there: Stored, *, cast: bool) -> str:
    """Why a dtype does not do, or ""."""
    if here.dtype == there.dtype:
        return ""
    if here.dtype in _FLOATS and there.dtype in _FLOATS:
        return "" if cast else f"{there.dtype}, here {here.dtype}; {said('cast')} converts it"
    return f"{there.dtype}, which is not converted to {here.dtype}"


def _refuse(report: Report) -> None:
    """Raises WeightsError unless every tensor is accounted for."""
    if report.ok:
        return
    wrong: list[str] = []
    help: list[str] = [*report.hints]
    if report.conflicts:
        wrong.append(
            f"{_count(report.conflicts, 'does', 'do')} not fit: {_first(report.conflicts)}"
        )
    if report.missing:
        wrong.append(f"{_count(report.missing, 'is', 'are')} not in it: {_names(report.missing)}")
        help.append("`rename` in the spec says what names they have there")
    if report.unexpected:
        lines = report.unexpected
        wrong.append(f"{_count(lines, 'has', 'have')} no place in the model: {_names(lines)}")
    help.append(f"{said('allow', ...)} names paths that may stay as initialised, or be left over")
    raise WeightsError(
        "E612" if report.conflicts else "E611",
        f"`{report.source}` is not for `{report.model}`: {'; '.join(wrong)}",
        "; ".join(help),
        report,
    )


def _count(lines: Collection[Line], one: str, many: str) -> str:
    n = len(lines)
    return f"{n:,} tensor {one}" if n == 1 else f"{n:,} tensors {many}"


def _names(lines: Collection[Line]) -> str:
    return some([line.name for line in lines])


def _first(lines: tuple[Line, ...]) -> str:
    more = len(lines) - 1
    return str(lines[0]) + (f" (and {more:,} more)" if more else "")


def values(report: Report, archive: Archive) -> dict[str, Tensor]:
    """The new value of each tensor that is loaded, in its own dtype, all finite.

    Raises WeightsError, before any data is read, unless every tensor is accounted for.
    """
    import torch

    _refuse(report)
    found = {}
    for line in report.loaded:
        assert line.recipe is not None
        assert line.here is not None
        value = _read(line.recipe, line.here, archive)
        for recipe in line.twice:
            if not torch.equal(_read(recipe, line.here, archive), value):
                names = f"`{recipe.sources[0]}` and `{line.recipe.sources[0]}`"
                message = f"{names} of `{archive.name}` differ; here they are one weight"
                help = "give the op a weight of its own: leave out its `tie`"
                raise WeightsError("E612", message, help)
        if tuple(value.shape) != line.here.shape:
            value = adapt.channels(value, line.here.shape[1])
        found[line.name] = new = value.to(getattr(torch, line.here.dtype))
        if new.is_floating_point() and not bool(torch.isfinite(new).all()):
            message = f"`{line.name}` in `{archive.name}` holds numbers that are not finite"
            help = "the file is of a run that diverged, or was damaged: take an earlier one"
            if bool(torch.isfinite(value).all()):
                message = f"`{line.name}` in `{archive.name}` holds more than {line.here.dtype} can"
                help = f"load it into a model of {str(value.dtype).removeprefix('torch.')}"
            raise WeightsError("E607", message, help)
    return found


def _read(recipe: Recipe, here: Stored, archive: Archive) -> Tensor:
    """The value that a recipe makes."""
    parts = [archive.tensor(source) for source in recipe.sources]
    value = parts[0] if recipe.rename is None else _convert(recipe.rename, parts)
    reshape = recipe.rename is not None and recipe.rename.reshape
    return value.reshape(here.shape) if reshape else value


def _convert(rename: Rename, parts: list[Tensor]) -> Tensor:
    """Joined, divided, axes exchanged."""
    import torch

    value = torch.cat(parts, rename.axis) if len(parts) > 1 else parts[0]
    if rename.part is not None:
        k, n = rename.part
        size = value.shape[rename.axis] // n
        value = value.narrow(rename.axis, k * size, size)
    return value.permute(rename.order) if rename.order is not None else value
