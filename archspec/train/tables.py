"""A .csv file with a header → Samples: what its columns are follows from what a task asks for.

    classes, numbers    1.png,cat              or numbers, and last the target
    labels              1.png,cat;dog          or a column a label: 1.png,1,1,0
    mask, picture       1.png,masks/1.png
    box, boxes          1.png,4,8,20,16,cat    x1, y1, x2, y2, class; a line a box

Paths are relative to the file itself.
"""

from __future__ import annotations

import csv
import re
from math import isfinite, nan
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from archspec.text.words import cut
from archspec.train import targets
from archspec.train.errors import TrainError
from archspec.train.samples import ENDINGS, Arrays, Paired, Pictures, Placed, Samples, Wanted

if TYPE_CHECKING:
    from torch import Tensor

_BETWEEN = re.compile(r"[;,|]")  # names of labels
_BOX = ["x1", "y1", "x2", "y2"]


def table(path: Path, wanted: Wanted) -> Samples:
    """The samples of a file. Raises TrainError."""
    head, numbered = _read(path)
    lines = [*numbered.values()]
    files = Path(lines[0][0]).suffix.lower() in ENDINGS
    if wanted.targets in targets.PLACED:
        return _placed(path, head, numbered, wanted)
    if wanted.targets in (targets.MASK, targets.PICTURE):
        if len(head) != 2 or not files:
            message = f"`{path}` has {len(head)} columns, not a picture and its {wanted.targets}"
            raise TrainError("E803", message, "two columns of paths, below a header")
        ours, theirs = ([path.parent / line[k] for line in lines] for k in (0, 1))
        return Paired(ours, theirs, (), wanted)
    if files and len(head) > 2 and wanted.targets != targets.LABELS:
        message = f"`{path}` has {len(head)} columns; a picture and its target are two"
        help = "`task: detection` reads file,x1,y1,x2,y2,class; `multi_label` a column a label"
        raise TrainError("E803", message, help)
    if wanted.targets == targets.LABELS:
        y, names, width = _labels(path, head, lines, 1 if files else wanted.classes)
    else:
        y, names = _last(path, numbered, wanted)
        width = 1
    if files:
        return Pictures([path.parent / line[0] for line in lines], y, names, wanted)
    many = len(head) - width
    x = torch.tensor([[_cell(v, path, n) for v in line[:many]] for n, line in numbered.items()])
    return Arrays(x, y, names)


def _read(path: Path) -> tuple[list[str], dict[int, list[str]]]:
    """The header, and the lines below it that are not empty, by number, all as wide."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.reader(file)
        every = [(reader.line_num, [cell.strip() for cell in line]) for line in reader]
    lines = {number: line for number, line in every if line}
    head = lines.pop(next(iter(lines), 0), [])
    if len(head) < 2 or not lines:
        message = f"`{path}` has no header with two columns, or no lines below it"
        other = next((mark for mark in (";", "\t") if head and mark in head[0]), "")
        help = f"a comma stands between columns, here it is {other!r}" if other else ""
        raise TrainError("E803", message, help or "columns: a file or numbers, then the target")
    if Path(head[0]).suffix.lower() in ENDINGS:
        message = f"the first line of `{path}` is a sample: `{cut(head[0])}`"
        raise TrainError("E803", message, "a header comes first, for example `file,class`")
    for number, line in lines.items():
        if len(line) != len(head):
            columns = f"{len(line)} column{'s' if len(line) != 1 else ''}"
            message = f"line {number} of `{path}` has {columns}, its header {len(head)}"
            raise TrainError("E803", message, "give every line a value for each column")
    return head, lines


def _last(path: Path, lines: dict[int, list[str]], wanted: Wanted) -> tuple[Tensor, list[str]]:
    """Classes or numbers of the last column."""
    last = {number: line[-1] for number, line in lines.items()}
    for number, value in last.items():
        if not value:
            message = f"line {number} of `{path}` has no target"
            raise TrainError("E803", message, "fill it in, or leave the line out")
    if wanted.targets == targets.NUMBERS:
        return torch.tensor([_cell(v, path, number) for number, v in last.items()]), []
    names = sorted(set(last.values()), key=_in_order)
    numbers = {name: number for number, name in enumerate(names)}
    return torch.tensor([numbers[value] for value in last.values()]), names


def _labels(
    path: Path, head: list[str], lines: list[list[str]], least: int
) -> tuple[Tensor, list[str], int]:
    """Targets, the names of labels, and how many columns they take.

    A column a label of 0 and 1, all behind a file, or as many as the head is wide; else a list of
    names in the last.
    """
    files = Path(lines[0][0]).suffix.lower() in ENDINGS
    width = len(head) - 1 if files else least
    cells = [line[len(head) - width :] for line in lines]
    plain = {value for line in cells for value in line} <= {"0", "1"}
    if plain and 2 < len(head) > width:
        return torch.tensor([[float(v) for v in line] for line in cells]), head[-width:], width
    if len(head) > 2 and files:
        message = f"`{path}` holds something else than 0 and 1 in the columns of labels"
        raise TrainError("E803", message, "or two columns: a file, and names: `cat;dog`")
    given = [{name.strip() for name in _BETWEEN.split(line[-1])} - {""} for line in lines]
    names = sorted(set().union(*given), key=_in_order)
    return torch.tensor([[float(name in one) for name in names] for one in given]), names, 1


def _placed(path: Path, head: list[str], lines: dict[int, list[str]], wanted: Wanted) -> Samples:
    """A line a box; one without numbers and class says that a picture has none."""
    if len(head) != 6:
        message = f"`{path}` has {len(head)} columns; boxes take six"
        raise TrainError("E803", message, f"file,{','.join(_BOX)},class")
    names = sorted({line[5] for line in lines.values() if line[5]}, key=_in_order)
    boxes: dict[Path, list[list[float]]] = {}
    labels: dict[Path, list[int]] = {}
    for number, line in lines.items():
        file = path.parent / line[0]
        there, classes = boxes.setdefault(file, []), labels.setdefault(file, [])
        if any(line[1:]):
            there.append([_cell(value, path, number) for value in line[1:5]])
            classes.append(names.index(line[5]) if line[5] else targets.NO_BOX)
    return Placed(
        {file: torch.tensor(there).view(-1, 4) for file, there in boxes.items()},
        {file: torch.tensor(one, dtype=torch.int64) for file, one in labels.items()},
        names,
        wanted,
    )


def _in_order(text: str) -> tuple[float, str]:
    """Numbers by their size, then words by letters."""
    try:
        return float(text), text
    except ValueError:
        return float("inf"), text


def _cell(text: str, path: Path, line: int) -> float:
    """A number that is finite: what lacks is for the caller to fill in."""
    try:
        found = float(text)
    except ValueError:
        found = nan
    if not isfinite(found):
        held = f"`{cut(text)}`" if text.strip() else "nothing"
        message = f"line {line} of `{path}` holds {held} where a number belongs"
        raise TrainError("E803", message, "only the last column may hold words, and only classes")
    return found
