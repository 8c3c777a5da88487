"""A dataset of Hugging Face's library → Samples: columns are found by what they are.

    features {image: Image, label: ClassLabel(names=[cat, dog])}     pictures, classes cat and dog

The target is the column of classes, or one called `label` or `target`; the input is the column of
pictures, or the one that is left; the inputs of a network that has several are columns by their
names. Rows are read when they are wanted: the table stays on the disk.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from archspec.text.words import listed
from archspec.train import targets
from archspec.train.errors import TrainError
from archspec.train.samples import Samples, Wanted, fitted, form

_TARGETS = ("label", "labels", "target", "targets", "y")
_HELD = ("val", "validation", "test")  # splits that are measured on, the first there is


def is_theirs(given: Any) -> bool:
    """Whether something is of the library `datasets`, which is not imported for it."""
    return type(given).__module__.partition(".")[0] == "datasets"


def halves(given: Any) -> Any:
    """A DatasetDict as a mapping of what is learned from and what is measured on."""
    if not (is_theirs(given) and isinstance(given, Mapping)):
        return given
    held = [name for name in _HELD if name in given]
    if "train" not in given:
        message = f"the dataset has the splits {listed(list(given))}, none called `train`"
        raise TrainError("E803", message, "give one of them: data=dataset['…']")
    return {"train": given["train"], **({"val": given[held[0]]} if held else {})}


class Rows(Samples):
    """Rows of a datasets.Dataset."""

    def __init__(self, dataset: Any, wanted: Wanted) -> None:
        if not hasattr(dataset, "__len__"):
            message = "the dataset is streamed, so that no order and no place to go on is known"
            raise TrainError("E803", message, "load it without `streaming=True`")
        self.dataset, self.wanted = dataset, wanted
        self.target = self._target()
        self.columns = self._inputs()
        self.targets, self.classes = self._classes()

    def __len__(self) -> int:
        return len(self.dataset)

    def _kind(self, column: str) -> str:
        """Image, ClassLabel, Value, …"""
        return type(self.dataset.features[column]).__name__

    def _target(self) -> str:
        """The column of targets. Raises TrainError where there is none, or more than one."""
        names = [name for name in self.dataset.features if self._kind(name) == "ClassLabel"]
        names = names or [name for name in _TARGETS if name in self.dataset.features]
        if len(names) == 1:
            return str(names[0])
        said = f"{listed(names)} might each be the target" if names else "no column is a target"
        raise TrainError(
            "E803", f"{said} of the dataset's {listed(self.dataset.column_names)}", _one()
        )

    def _inputs(self) -> list[str]:
        """The columns that go in, one for each input."""
        rest = [name for name in self.dataset.features if name != self.target]
        names = [one.name for one in self.wanted.inputs]
        if len(names) > 1:
            lack = [name for name in names if name not in rest]
            if lack:
                message = f"the network reads {listed(names)}; the dataset has {listed(rest)}"
                raise TrainError("E803", message, "`dataset.rename_column(…)` calls them so")
            return names
        pictures = [name for name in rest if self._kind(name) == "Image"]
        found = pictures or rest
        if len(found) == 1:
            return found
        said = f"{listed(found)} might each be the input" if found else "no column is an input"
        raise TrainError("E803", f"{said} of the dataset", _one())

    def _classes(self) -> tuple[Tensor, tuple[str, ...]]:
        """All targets, and the names of the classes where the dataset has them."""
        feature, values = self.dataset.features[self.target], self.dataset[self.target][:]
        if self._kind(self.target) == "ClassLabel":
            if min(values, default=0) < 0:
                message = f"`{self.target}` has rows without a class (-1)"
                raise TrainError("E803", message, "dataset.filter(lambda row: row['…'] >= 0)")
            return torch.tensor(values), tuple(feature.names)
        if values and isinstance(values[0], str):
            names = sorted(set(values))
            return torch.tensor([names.index(value) for value in values]), tuple(names)
        found = torch.tensor(values)
        return (found.float() if self.wanted.targets == targets.NUMBERS else found), ()

    def fetch(self, indices: Sequence[int]) -> tuple[Any, Any]:
        rows = self.dataset[list(indices)]
        found = {name: self._tensor(name, rows[name]) for name in self.columns}
        x = found if len(found) > 1 else found[self.columns[0]]
        return x, self.targets[torch.as_tensor(indices)]

    def _tensor(self, column: str, values: list[Any]) -> Tensor:
        """A column of some rows. Raises TrainError for one that is no numbers."""
        if self._kind(column) == "Image":
            mode, sides = form(self.wanted)
            return torch.stack([fitted(one.convert(mode), sides) for one in values])
        try:
            return torch.tensor(values)
        except (TypeError, ValueError) as bad:
            message = f"the column `{column}` holds no numbers of one shape: {bad}"
            raise TrainError("E803", message, "`dataset.map(…)` makes numbers of it") from None


def _one() -> str:
    return "keep one of each: `dataset.select_columns(['image', 'label'])`"
