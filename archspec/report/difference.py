"""Two networks → what changed from one to the other, stage by stage, and which weights stay."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Any

from archspec.align import align, marks
from archspec.report.data import Layer
from archspec.report.layers import Stage, folded, receptive
from archspec.report.table import Cell, Column, Table, show, written

if TYPE_CHECKING:
    from archspec.analysed import Network

_COLUMNS = (
    Column(""), Column("layer"), Column("op", yields=3), Column("output"),
    Column("layers", right=True, yields=4), Column("params", right=True),
    Column("MACs", right=True, yields=1), Column("field", yields=2), Column("weights"),
)  # fmt: skip
_LISTED = 8  # names in a remark


@dataclass(frozen=True, slots=True)
class Change:
    """One stage before and after; `taken` of its `tensors` are those of the other network.

    `sign`: `+` new, `-` gone, `~` changed, `=` the same but perhaps for its name.
    """

    before: Stage | None
    after: Stage | None
    taken: int = 0
    tensors: int = 0

    @property
    def sign(self) -> str:
        if self.before is None or self.after is None:
            return "+" if self.before is None else "-"
        same = _figures(self.before) == _figures(self.after) and self.taken == self.tensors
        return "=" if same else "~"


@dataclass(frozen=True, slots=True)
class Difference:
    """What changed from `a` to `b`; `same` is the layer of `a` for each layer of `b` it has."""

    a: Network
    b: Network
    changes: tuple[Change, ...]
    same: dict[str, str]

    @property
    def weights(self) -> dict[str, Any]:
        """What of a's weights b can take: tensors, parameters, and the layers that stay without."""
        sizes = [
            (node.path, 0 if weight.buffer else weight.size)
            for _, weight, node in self.b.graph.weights()
        ]
        taken = [size for path, size in sizes if path in self.same]
        return {
            "tensors": len(sizes), "tensors_taken": len(taken),
            "params": sum(size for _, size in sizes), "params_taken": sum(taken),
            "fresh": list(dict.fromkeys(path for path, _ in sizes if path not in self.same)),
            "renamed": sum(here != there for here, there in self.same.items()),
        }  # fmt: skip


def compare(a: Network, b: Network, depth: int = 1) -> Difference:
    """What changed from `a` to `b`, in stages of so many segments of a path."""
    same = align(marks(b.graph), marks(a.graph))
    before = list(folded(a, depth))
    after = list(folded(b, depth))
    origin = _origins(before, after, same)
    left = [_label(stage, {}) for stage in before]
    right = [_label(stage, origin) for stage in after]
    owners = Counter(node.path for _, _, node in b.graph.weights())  # tensors of each layer
    changes: list[Change] = []
    for tag, i, k, j, m in SequenceMatcher(None, left, right, autojunk=False).get_opcodes():
        pairs: Iterable[tuple[Stage | None, Stage | None]]
        if tag == "equal":
            pairs = zip(before[i:k], after[j:m], strict=True)
        else:
            pairs = [*((s, None) for s in before[i:k]), *((None, s) for s in after[j:m])]
        changes += [Change(x, y, *_taken(y, owners, same)) for x, y in pairs]
    return Difference(a, b, tuple(changes), same)


def _origins(
    before: Sequence[Stage], after: Sequence[Stage], same: dict[str, str]
) -> dict[str, str]:
    """Name of a stage of b → name of the stage of a that most of its layers come from."""
    home = {row.path: stage.name for stage in before for row in stage.rows}
    votes = Counter(
        (stage.name, home[same[row.path]])
        for stage in after
        for row in stage.rows
        if row.path in same
    )
    found: dict[str, str] = {}
    for (ours, theirs), _ in votes.most_common():
        if ours not in found and theirs not in found.values():
            found[ours] = theirs
    names = {stage.name for stage in before} - set(found.values())
    return found | {s.name: s.name for s in after if s.name in names and s.name not in found}


def _label(stage: Stage, origin: dict[str, str]) -> tuple[str, str]:
    """By which stages are told to be the same: with weights by name, else by what they do."""
    if not stage.sum("weight_bytes"):
        return "", stage.what if stage.what != "input" else f"input {stage.name}"
    return "weights", origin.get(stage.name, stage.name if not origin else f"+{stage.name}")


def _taken(stage: Stage | None, owners: Counter[str], same: dict[str, str]) -> tuple[int, int]:
    if stage is None:
        return 0, 0
    here = {row.path: owners[row.path] for row in stage.rows}
    return sum(n for path, n in here.items() if path in same), sum(here.values())


def _figures(stage: Stage) -> tuple[Cell, ...]:
    """What is shown of a stage, as far as it counts as a change."""
    last = stage.rows[-1]
    return (
        stage.what,
        str(last.outputs[0]),
        len(stage.rows),
        stage.sum("params") or None,
        stage.sum("macs") or None,
        receptive(last),
    )


# ------------------------------------------------------------------ as text


def write(found: Difference, format: str = "table") -> str:
    """As text: `table`, `markdown`, `csv` or `json`."""
    if format == "json":
        return json.dumps(document(found), indent=1, ensure_ascii=False) + "\n"
    return written(difference(found), format)


def difference(found: Difference) -> Table:
    """The stages that changed, totals, and below them what stayed and which weights fit."""
    totals = [(p.analysis.totals.params, p.analysis.totals.macs) for p in (found.a, found.b)]
    (params, macs), (params_b, macs_b) = totals
    return Table(
        title=f"{_named(found.a)} -> {_named(found.b)}",
        columns=_COLUMNS,
        rows=[_row(change) for change in found.changes if change.sign != "="],
        totals=("", "total", "", "", "", _to(params, params_b), _to(macs, macs_b), "", ""),
        remarks=tuple(_remarks(found)),
    )


def _named(network: Network) -> str:
    name, file = network.name, network.source.name
    return name if file.rpartition("/")[2].partition(".")[0] == name else f"{name} ({file})"


def _row(change: Change) -> tuple[Cell, ...]:
    stages = [stage for stage in (change.before, change.after) if stage is not None]
    cells = [_to(*values) for values in zip(*map(_figures, stages), strict=True)]
    name = _to(*(stage.name for stage in stages))
    weights = f"{change.taken} of {change.tensors}" if change.tensors else ""
    return (change.sign, name, *cells, weights)


def _to(before: Cell, after: Cell = "") -> Cell:
    """`a -> b`; one of them where there is no other, or it is the same."""
    if after == "" or before == after:
        return before
    return " -> ".join(show(cell) or "0" for cell in (before, after))


def _remarks(found: Difference) -> Iterable[tuple[str, str]]:
    same = [c.after for c in found.changes if c.sign == "=" and c.after is not None]
    if len(same) == len(found.changes):
        yield "changed", "nothing but names" if found.weights["renamed"] else "nothing"
    elif same:
        yield "unchanged", _listed([stage.name for stage in same])
    fits = found.weights
    if not fits["tensors"]:
        return
    text = (
        f"{fits['tensors_taken']:,} of {fits['tensors']:,} tensors, "
        f"{fits['params_taken']:,} of {fits['params']:,} parameters"
    )
    if fits["renamed"]:
        text += f"; {fits['renamed']:,} layers under another name"
    yield "weights", f"`{found.b.name}` takes {text}"
    if fits["fresh"]:
        yield "fresh", _listed(fits["fresh"])


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _LISTED
    return ", ".join(names[:_LISTED]) + (f" and {more:,} more" if more > 0 else "")


def document(found: Difference) -> dict[str, Any]:
    """Everything, for programs to read."""

    def side(network: Network) -> dict[str, Any]:
        totals = network.analysis.totals
        costs = {"params": totals.params, "macs": totals.macs, "flops": totals.flops}
        return {"name": network.name, "spec": network.source.name, "totals": costs}

    return {
        "a": side(found.a),
        "b": side(found.b),
        "stages": [
            {
                "change": change.sign,
                "a": change.before and Layer.of(change.before).model_dump(),
                "b": change.after and Layer.of(change.after).model_dump(),
                "tensors": change.tensors,
                "tensors_taken": change.taken,
            }
            for change in found.changes
        ],
        "weights": found.weights,
        "same_layers": found.same,
    }
