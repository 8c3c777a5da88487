"""`field.layer4` → a number of a network; `params < 5M` → a bound; `min macs` → an aim.

    FIGURE                 of the whole network     params trainable macs flops weights memory
                                                    memory.training nodes
    FIGURE.PATH            of a part                params.layer4 macs.layer4 flops.layer4
    field.PATH             cells of the input that a cell of the node sees along one axis
    stride.PATH            cells of the input between neighbouring cells of the node
    shape.PATH[0]          an axis of its output: 0 the channels

    budget                 `params < 5M, 100M <= macs < 300M, memory < 64MiB`
    objective              `max field.layer4, min macs`

The axis of `field` and `stride` is the one along which the field is the smallest. Where each cell
sees the whole axis, the field is the axis, or what the local paths see, if that is more.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from archspec.search.errors import SearchError
from archspec.text.words import did_you_mean, listed, meant

if TYPE_CHECKING:
    from archspec.analysed import Network
    from archspec.analysis import Row

TOTALS: dict[str, Callable[[Network], int]] = {
    "params": lambda network: network.analysis.totals.params,
    "trainable": lambda network: network.analysis.totals.trainable,
    "macs": lambda network: network.analysis.totals.macs,
    "flops": lambda network: network.analysis.totals.flops,
    "weights": lambda network: network.analysis.totals.weight_bytes,
    "memory": lambda network: network.analysis.totals.inference_bytes,
    "memory.training": lambda network: network.analysis.totals.training_bytes,
    "nodes": lambda network: len(network.graph.steps),
}
BYTES = frozenset({"weights", "memory", "memory.training"})
_PARTS = ("params", "macs", "flops")
_AT = ("field", "stride", "shape")
_FIGURE = re.compile(r"([a-z]+)(?:\.([A-Za-z0-9_.]+?))?(?:\[(\d+)\])?")
_SIGN = re.compile(r"(<=|>=|<|>|=)")
_NUMBER = re.compile(r"([0-9][0-9_]*(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?)\s*([a-zA-Z]*)")
_UNITS = {
    "": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12,
    "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30,
}  # fmt: skip
_SIGNS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "=": operator.eq,
}  # fmt: skip
_SWAPPED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "=": "="}


@dataclass(frozen=True, slots=True)
class Figure:
    """A number that a network has, by name."""

    name: str

    def of(self, network: Network) -> float:
        """Raises SearchError where the network has none of the name."""
        if self.name in TOTALS:
            return TOTALS[self.name](network)
        word, path, axis = _parts(self.name)
        if word in _PARTS:
            found: int = sum(getattr(row, word) for row in _inside(network, path, self.name))
            return found
        row = _row(network, path, self.name)
        if word == "shape":
            return _axis(row, axis, self.name)
        sizes = [(_seen(field), field.stride) for field in row.fields if field.local or field.whole]
        if not sizes:
            said = f"`{path}` sees no part of the input"
            raise SearchError("E862", said, "its field depends on no cell")
        least, stride = min(sizes, key=lambda found: found[0])
        return least if word == "field" else float(stride or 0)


def _seen(field: Any) -> int:
    size = field.size or 0
    return max(size, field.extent) if field.whole else size


def _parts(name: str) -> tuple[str, str, str | None]:
    """The word, the path and the axis of a figure. Raises SearchError."""
    found = _FIGURE.fullmatch(name)
    word, path, axis = found.groups() if found else (name, None, None)
    if word not in _AT and not (word in _PARTS and path):
        known = [*TOTALS, *(f"{one}.PATH" for one in (*_PARTS, *_AT[:2])), "shape.PATH[0]"]
        help = meant(word, [*TOTALS, *_AT]) or f"there are {listed(known)}"
        raise SearchError("E862", f"no figure is called `{name}`", help)
    if path is None or (axis is None) == (word == "shape"):
        example = "`shape.layer4[0]`" if word == "shape" else f"`{word}.layer4`"
        raise SearchError("E862", f"`{name}` is not of a node", f"for example {example}")
    return word, path, axis


def _inside(network: Network, path: str, name: str) -> list[Row]:
    rows = network.analysis.rows
    found = [row for row in rows if row.path == path or row.path.startswith(f"{path}.")]
    if not found:
        raise _nowhere(network, path, name)
    return found


def _row(network: Network, path: str, name: str) -> Row:
    try:
        return network.analysis.row(path)
    except KeyError:
        raise _nowhere(network, path, name) from None


def _nowhere(network: Network, path: str, name: str) -> SearchError:
    paths = [node.path for node in network.graph.steps]
    parts = {path[: match.start()] for path in paths for match in re.finditer(r"\.", path)}
    help = did_you_mean(path, sorted({*paths, *parts})) or "`archspec expand` shows the paths"
    return SearchError("E862", f"`{name}`: `{network.name}` has no node or part `{path}`", help)


def _axis(row: Row, axis: str | None, name: str) -> int:
    shape = row.shape
    if int(axis or 0) >= len(shape):
        said = f"`{name}`: `{row.path}` has the shape {list(shape)}"
        raise SearchError("E862", said, f"axes are 0 to {len(shape) - 1}")
    return shape[int(axis or 0)]


# ------------------------------------------------------------------ bounds and aims


@dataclass(frozen=True, slots=True)
class Bound:
    """What a figure may be."""

    figure: Figure
    sign: str
    most: float

    def holds(self, value: float) -> bool:
        return _SIGNS[self.sign](value, self.most)


@dataclass(frozen=True, slots=True)
class Aim:
    """A figure that is to be as small, or as large, as it can be."""

    figure: Figure
    falls: bool

    @property
    def sign(self) -> int:
        """What makes small numbers good ones."""
        return 1 if self.falls else -1


def budget(text: str) -> tuple[Bound, ...]:
    """`params < 5M, 100M <= macs < 300M`. Raises SearchError."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    return tuple(bound for part in parts for bound in _bounds(part))


def _bounds(text: str) -> list[Bound]:
    """One, or two around a figure."""
    parts = [part.strip() for part in _SIGN.split(text)]
    if len(parts) == 3 and not parts[0][:1].isdigit():
        name, *above = parts
        below: list[str] = []
    elif len(parts) in (3, 5):
        *below, name = parts[:3]
        above = parts[3:]
    else:
        name, below, above = "", [], []
    if not name:
        raise SearchError("E862", f"`{text}` is no bound", "for example `params < 5M`")
    pairs = [(_SWAPPED[below[1]], below[0])] if below else []
    pairs += [(above[0], above[1])] if above else []
    return [Bound(_known(name), sign, _number(number, text)) for sign, number in pairs]


def _number(text: str, bound: str) -> float:
    found = _NUMBER.fullmatch(text)
    if found is None or found[2] not in _UNITS:
        said = f"`{bound}`: `{text}` is no number"
        known = listed(filter(None, _UNITS))
        raise SearchError("E862", said, f"for example `5M`; the units are {known}")
    return float(found[1]) * _UNITS[found[2]]


def objective(text: str, measured: Collection[str] = ()) -> tuple[Aim, ...]:
    """`max field.layer4, min macs`; `measured`: beginnings of what training measures.

    Raises SearchError.
    """
    found = [_aim(part.strip(), measured) for part in text.split(",")]
    return tuple(found)


def _aim(text: str, measured: Collection[str]) -> Aim:
    word, _, name = text.partition(" ")
    if word not in ("min", "max") or not name.strip():
        said = f"`{text}` does not say `min` or `max` of a figure"
        raise SearchError("E862", said, "for example `max field.layer4, min macs`")
    name = name.strip()
    trained = name.startswith(("val.", "train."))
    if trained and not measured:
        raise SearchError("E862", f"`{name}` is measured by training", "give `--data`")
    return Aim(Figure(name) if trained else _known(name), word == "min")


def _known(name: str) -> Figure:
    """Raises SearchError."""
    if name not in TOTALS:
        _parts(name)
    return Figure(name)
