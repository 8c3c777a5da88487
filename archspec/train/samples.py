"""Path, word, tensors or Dataset → Samples: inputs that are fetched by number, and their targets.

    data/train/cat/1.png, data/train/dog/2.png  →  Pictures(classes=("cat", "dog"), targets=[0, 1])

A class is a folder, and classes are numbered in the order of their names. Nothing of a file is kept
in memory but its name; arrays are kept as they are.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from contextlib import closing
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch.nn import functional
from torch.utils.data import (
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    TensorDataset,
    default_collate,
)

from archspec.text.words import cut, listed, near
from archspec.train.errors import TrainError, library

if TYPE_CHECKING:
    from torch import Tensor

ENDINGS = frozenset(
    [".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"]
)
WORDS = ("digits", "synthetic")
_MADE, _FEW, _ROOM = 1024, 64, 128 << 20  # samples of a synthetic set, and bytes


class Wanted(NamedTuple):
    """What the network and the plan ask of a set."""

    shape: tuple[int, ...]  # of an input, without the batch axis; () where it is not known
    classes: int  # width of the head, where classes are told apart; 0
    numbers: bool  # whether targets are numbers, not classes
    size: tuple[int, int] | None = None  # that pictures are brought to
    plain: bool = False  # whether pictures stay from 0 to 1 where the plan says nothing

    @property
    def channels(self) -> int:
        return self.shape[0] if len(self.shape) == 3 else 0

    @property
    def sides(self) -> tuple[int, int] | None:
        """Height and width of a picture."""
        return self.size or ((self.shape[1], self.shape[2]) if len(self.shape) == 3 else None)


class Samples:
    """Inputs and targets by number."""

    targets: Tensor | None = None
    classes: tuple[str, ...] = ()
    batch: int | None = None  # what a DataLoader said; a plan that says something goes before
    workers: int = 0
    shuffled: bool = True

    def __len__(self) -> int:
        raise NotImplementedError

    def fetch(self, indices: Sequence[int]) -> tuple[Any, Any]:
        """A batch of inputs and targets, as they are stored: pictures from 0 to 1."""
        raise NotImplementedError

    def check(self) -> None:
        """Raises TrainError for what can be seen to be unusable without reading all of it."""
        if not len(self):
            raise TrainError("E803", "the set is empty", "give at least one sample")


class Arrays(Samples):
    """Tensors in memory: x [N, …], y [N] or [N, k]."""

    def __init__(self, x: Tensor, y: Tensor, classes: Sequence[str] = ()) -> None:
        if len(x) != len(y):
            message = f"there are {len(x):,} inputs and {len(y):,} targets"
            raise TrainError("E803", message, "one target for each input")
        self.x = x.float() / 255 if x.dtype == torch.uint8 else x
        self.targets, self.classes = y, tuple(classes)

    def __len__(self) -> int:
        return len(self.x)

    def fetch(self, indices: Sequence[int]) -> tuple[Any, Any]:
        assert self.targets is not None
        at = torch.as_tensor(indices)
        return self.x[at], self.targets[at]


class Pictures(Samples):
    """Files that Pillow reads, each brought to one size and number of channels."""

    def __init__(
        self, files: Sequence[Path], targets: Tensor, classes: Sequence[str], wanted: Wanted
    ) -> None:
        if wanted.sides is None or wanted.channels not in (1, 3, 4):
            message = f"pictures do not go into an input of shape {list(wanted.shape)}"
            raise TrainError("E804", message, "its shape is [1, H, W] or [3, H, W]")
        self.files, self.targets, self.classes = list(files), targets, tuple(classes)
        self.mode = {1: "L", 3: "RGB", 4: "RGBA"}[wanted.channels]
        self.sides = wanted.sides

    def __len__(self) -> int:
        return len(self.files)

    def fetch(self, indices: Sequence[int]) -> tuple[Any, Any]:
        assert self.targets is not None
        x = torch.stack([picture(self.files[i], self.mode, self.sides) for i in indices])
        return x, self.targets[torch.as_tensor(indices)]

    def check(self) -> None:
        """Opens each file: what is no picture is named before the first step."""
        super().check()
        pillow = library("PIL.Image", "reading pictures")
        bad = []
        for file in self.files:
            try:
                with pillow.open(file) as image:
                    image.verify()
            except Exception as wrong:  # Pillow's plug-ins raise whatever their format calls for
                bad.append((file, wrong))
        if bad:
            raise _unreadable(*bad[0], more=len(bad) - 1)


def _unreadable(file: Path, wrong: Exception, more: int = 0) -> TrainError:
    said = " ".join(str(wrong).replace(str(file), "the file").split())
    also = f", nor {more} others" if more else ""
    message = f"`{file}` cannot be read{also}: {cut(said, 100) or type(wrong).__name__}"
    return TrainError("E803", message, "replace the file, or take it out of the folder")


def picture(file: Path, mode: str, sides: tuple[int, int]) -> Tensor:
    """A picture [C, H, W] from 0 to 1: its shorter side resized, its middle cut out.

    That is what torchvision's Resize and CenterCrop do. Raises TrainError for a file that Pillow
    cannot read.
    """
    import numpy

    pillow = library("PIL.Image", "reading pictures")
    try:
        with pillow.open(file) as opened:
            image = opened.convert(mode)
    except Exception as wrong:  # Pillow's plug-ins raise whatever their format calls for
        raise _unreadable(file, wrong) from None
    height, width = sides
    if image.size != (width, height):
        factor = max(width / image.width, height / image.height)
        size = max(width, round(image.width * factor)), max(height, round(image.height * factor))
        image = image.resize(size, pillow.Resampling.BILINEAR)
        left, top = (size[0] - width) // 2, (size[1] - height) // 2
        image = image.crop((left, top, left + width, top + height))
    found = torch.from_numpy(numpy.asarray(image, dtype="uint8").copy()).float() / 255
    return found[None] if mode == "L" else found.permute(2, 0, 1).contiguous()


class Given(Samples):
    """A Dataset of the caller's: items are (input, target), made into batches by `collate`."""

    def __init__(self, dataset: Any, loader: DataLoader[Any] | None = None) -> None:
        if isinstance(dataset, IterableDataset) or not hasattr(dataset, "__len__"):
            message = "the set has no length, so that no order and no place to go on from is known"
            raise TrainError("E803", message, "give a Dataset with `__len__` and `__getitem__`")
        self.dataset = dataset
        self.collate = default_collate if loader is None else loader.collate_fn
        if loader is not None:
            self.batch, self.workers = loader.batch_size, loader.num_workers
            self.shuffled = isinstance(loader.sampler, RandomSampler)
        self.classes = tuple(map(str, getattr(dataset, "classes", ())))

    def __len__(self) -> int:
        return len(self.dataset)

    def fetch(self, indices: Sequence[int]) -> tuple[Any, Any]:
        return self.together([self.dataset[i] for i in indices])

    def together(self, items: list[Any]) -> tuple[Any, Any]:
        """A batch of items."""
        batch = self.collate(items)
        if not isinstance(batch, (list, tuple)) or len(batch) != 2:
            message = "an item of the set is no pair of an input and a target"
            raise TrainError("E803", message, "its `__getitem__` returns (input, target)")
        return batch[0], batch[1]


# ------------------------------------------------------------------ what is given


def samples(given: Any, wanted: Wanted) -> Samples:
    """The samples of a path, a word, a pair of arrays, a Dataset or a DataLoader.

    Raises TrainError for what is none of these, or cannot be read.
    """
    if isinstance(given, Samples):
        return given
    if isinstance(given, (str, Path)):
        return _named(given, wanted)
    if isinstance(given, DataLoader):
        return _of_loader(given)
    if isinstance(given, TensorDataset) and len(given.tensors) == 2:
        return _arrays(given.tensors[0], given.tensors[1], wanted)
    if isinstance(given, Dataset):
        return Given(given)
    if isinstance(given, (list, tuple)) and len(given) == 2:
        x, y = given
        return _arrays(x, y, wanted)
    message = f"data is {type(given).__name__}, of which no samples are made"
    help = "a path, a pair of tensors (x, y), a Dataset or a DataLoader"
    raise TrainError("E803", message, help)


def _named(given: str | Path, wanted: Wanted) -> Samples:
    path = Path(given)
    if str(given) == "digits" and not path.exists():
        return _digits(wanted)
    if str(given) == "synthetic" and not path.exists():
        return _synthetic(wanted)
    if path.is_dir():
        return _folder(path, wanted)
    if not path.exists():
        beside = {p.name: p for p in path.parent.glob("*")} if path.parent.is_dir() else {}
        guess = near(path.name, [*WORDS, *beside])
        help = f"did you mean `{beside.get(guess, guess)}`?" if guess else ""
        help = help or "a folder of class folders, a .csv, an .npz, `digits` or `synthetic`"
        raise TrainError("E803", f"`{given}` does not exist", help)
    if path.suffix == ".npz":
        return _npz(path, wanted)
    if path.suffix == ".csv":
        return _csv(path, wanted)
    message = f"`{given}` is no folder, no .csv and no .npz"
    raise TrainError("E803", message, "a folder holds a folder of pictures for each class")


def _of_loader(loader: DataLoader[Any]) -> Samples:
    if not isinstance(loader.sampler, (RandomSampler, SequentialSampler)):
        message = f"the DataLoader draws with a {type(loader.sampler).__name__}"
        help = "the order of samples is the plan's, so that a run can go on: give its Dataset"
        raise TrainError("E803", message, help)
    return Given(loader.dataset, loader)


def _arrays(x: Any, y: Any, wanted: Wanted) -> Samples:
    try:
        x, y = torch.as_tensor(x), torch.as_tensor(y)
    except (TypeError, ValueError) as bad:
        message = f"the pair holds no arrays: {cut(str(bad), 100)}"
        raise TrainError("E803", message, "give tensors or arrays (x, y)") from None
    if wanted.size is not None and x.ndim == 4:
        x = functional.interpolate(x.float(), wanted.size, mode="bilinear", antialias=True)
    return Arrays(x, _targets(y, numbers=wanted.numbers))


def _targets(y: Tensor, *, numbers: bool) -> Tensor:
    """Classes as int64, numbers as float32."""
    if numbers:
        return y.float()
    if y.is_floating_point() and bool((y != y.round()).any()):
        message = "the targets are numbers that are not whole, so that they are no classes"
        raise TrainError("E804", message, "`task: regression` learns numbers")
    return y.long()


def _npz(path: Path, wanted: Wanted) -> Samples:
    import numpy

    try:
        with closing(numpy.load(path, allow_pickle=False)) as file:
            names = list(file.files)
            if {"x", "y"} <= set(names):
                return _arrays(file["x"], file["y"], wanted)
    except (OSError, ValueError, EOFError) as bad:
        message = f"`{path}` cannot be read: {cut(str(bad), 100)}"
        raise TrainError("E803", message, "numpy.savez(path, x=…, y=…) writes one") from None
    message = f"`{path}` holds {listed(names) if names else 'nothing'}, not `x` and `y`"
    raise TrainError("E803", message, "numpy.savez(path, x=…, y=…) writes them")


def _folder(root: Path, wanted: Wanted) -> Samples:
    folders = sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))
    if not folders:
        message = f"`{root}` holds no folders, so that there are no classes"
        help = f"each class is a folder of pictures: {root}/cat/1.png"
        raise TrainError("E803", message, help)
    files: list[Path] = []
    targets: list[int] = []
    for number, folder in enumerate(folders):
        found = sorted(p for p in folder.rglob("*") if p.suffix.lower() in ENDINGS and p.is_file())
        if not found:
            message = f"the class `{folder.name}` in `{root}` has no pictures"
            raise TrainError("E803", message, "remove the folder, or put pictures into it")
        files += found
        targets += [number] * len(found)
    classes = [folder.name for folder in folders]
    return Pictures(files, torch.tensor(targets), classes, wanted)


def _csv(path: Path, wanted: Wanted) -> Samples:
    """A header, then a line a sample: a picture's path or numbers, and last the target."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        head, *lines = [line for line in csv.reader(file) if line] or [[]]
    if len(head) < 2 or not lines:
        message = f"`{path}` has no header with two columns, or no lines below it"
        raise TrainError("E803", message, "columns: a file or numbers, then the target")
    for number, line in enumerate(lines, 2):
        if len(line) != len(head):
            message = f"line {number} of `{path}` has {len(line)} columns, its header {len(head)}"
            raise TrainError("E803", message, "give every line a value for each column")
    last = [line[-1] for line in lines]
    names = [] if wanted.numbers else sorted(set(last), key=_in_order)
    numbers = {name: number for number, name in enumerate(names)}
    y = torch.tensor([_cell(v, path) if wanted.numbers else numbers[v] for v in last])
    if len(head) == 2 and Path(lines[0][0]).suffix.lower() in ENDINGS:
        return Pictures([path.parent / line[0] for line in lines], y, names, wanted)
    x = torch.tensor([[_cell(value, path) for value in line[:-1]] for line in lines])
    return Arrays(x, y, names)


def _in_order(text: str) -> tuple[float, str]:
    """Numbers by their size, then words by letters."""
    try:
        return float(text), text
    except ValueError:
        return float("inf"), text


def _cell(text: str, path: Path) -> float:
    try:
        return float(text)
    except ValueError:
        message = f"`{path}` holds `{cut(text)}` where a number belongs"
        raise TrainError("E803", message, "only the last column may hold words") from None


def _digits(wanted: Wanted) -> Samples:
    """1,797 handwritten digits of 8×8 (UCI, of scikit-learn), brought to the network's input."""
    datasets = library("sklearn.datasets", "the set `digits`")
    found = datasets.load_digits()
    x = torch.tensor(found.images, dtype=torch.float32).unsqueeze(1) / 16
    if wanted.sides is not None and wanted.sides != (8, 8):
        x = functional.interpolate(x, wanted.sides, mode="bilinear")
    if wanted.channels > 1:
        x = x.expand(-1, wanted.channels, -1, -1).contiguous()
    if len(wanted.shape) == 1:
        x = x.flatten(1)
    return Arrays(x, torch.tensor(found.target), [str(n) for n in range(10)])


def _synthetic(wanted: Wanted) -> Samples:
    """For each class a picture of noise, and noise upon it: a set that any network can learn."""
    if not wanted.shape:
        message = "a synthetic set needs to know the network's input"
        raise TrainError("E803", message, "give the module that archspec built, or data")
    generator = torch.Generator().manual_seed(0)
    classes = max(wanted.classes, 2)
    n = min(_MADE, max(_FEW, _ROOM // (4 * prod(wanted.shape))))
    means = torch.randn(min(n, classes), *wanted.shape, generator=generator)
    y = torch.arange(n) % classes
    x = means[y] + torch.randn(n, *wanted.shape, generator=generator)
    if wanted.numbers:
        return Arrays(x, x.flatten(1)[:, :1].clone())
    return Arrays(x, y, [str(n) for n in range(classes)])
