"""Path, word, tensors or Dataset → Samples.

    data/train/cat/1.png, data/train/dog/2.png  →  Pictures(classes=("cat", "dog"), targets=[0, 1])

A class is a folder, and classes are numbered in the order of their names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from math import prod
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset, RandomSampler, SequentialSampler, TensorDataset

from archspec.text.beside import beside
from archspec.text.words import cut, joined, listed, meant
from archspec.train import annotated, hugging, targets, tokens
from archspec.train.errors import TrainError, library
from archspec.train.inputs import Input, entered
from archspec.train.samples import (
    Arrays,
    Given,
    Paired,
    Pictures,
    Samples,
    Wanted,
    below,
    has_classes,
    unit,
)
from archspec.train.sequences import reversed_, sequences
from archspec.train.shapes import Shapes
from archspec.train.tables import table

_MADE, _FEW, _ROOM = 1024, 64, 128 << 20  # samples of a synthetic set, and bytes
_SWAPPED = 0.3  # share of a synthetic sequence's symbols that say nothing


def samples(given: Any, wanted: Wanted) -> Samples:
    """The samples of a path, a word, a pair of arrays, a Dataset or a DataLoader.

    Raises TrainError for what is none of these, or cannot be read.
    """
    found = given if isinstance(given, Samples) else _samples(given, wanted)
    found.kind = wanted.targets
    return found


def _samples(given: Any, wanted: Wanted) -> Samples:
    if wanted.targets == targets.NEXT and tokens.is_row(given):
        return tokens.windows(given, wanted.cut)
    if isinstance(given, (str, Path)):
        return _named(given, wanted)
    if hugging.is_theirs(given):
        has_classes("the dataset", wanted, "columns of classes and of numbers are read")
        return hugging.Rows(given, wanted)
    if isinstance(given, DataLoader):
        return _of_loader(given)
    if isinstance(given, TensorDataset) and len(given.tensors) == 2:
        return _arrays(given.tensors[0], given.tensors[1], wanted)
    if isinstance(given, Dataset):
        return Given(given)
    if isinstance(given, (list, tuple)) and len(given) == 2:
        x, y = given
        return _arrays(x, y, wanted)
    if wanted.targets == targets.NONE and hasattr(given, "__array__"):
        return _arrays(given, torch.zeros(len(given)), wanted)
    message = f"data is {type(given).__name__}, of which no samples are made"
    help = "a path, a pair of tensors (x, y), a Dataset or a DataLoader"
    raise TrainError("E803", message, help)


def _named(given: str | Path, wanted: Wanted) -> Samples:
    path = Path(given)
    if str(given) in WORDS and not path.exists():
        return WORDS[str(given)](wanted)
    if path.is_dir():
        return _folder(path, wanted)
    if not path.exists():
        help = "a folder of class folders, a .csv, an .npz, `digits`, `shapes` or `synthetic`"
        help = meant(str(given), WORDS) or beside(path) or help
        raise TrainError("E803", f"`{given}` does not exist", help)
    if path.suffix == ".npz":
        return _npz(path, wanted)
    if path.suffix == ".csv":
        return table(path, wanted)
    if path.suffix == ".json" and wanted.targets in targets.PLACED:
        return annotated.coco(path, wanted)
    if path.suffix in tokens.ENDINGS:
        message = f"`{given}` is a file of tokens"
        raise TrainError("E803", message, "`task: next_token` learns what comes next in it")
    message = f"`{given}` is no folder, no .csv and no .npz"
    help = "a folder holds a folder of pictures for each class"
    if path.suffix == ".json":
        help = "`task: detection` learns boxes in COCO's format"
    raise TrainError("E803", message, help)


def _of_loader(loader: DataLoader[Any]) -> Samples:
    if not isinstance(loader.sampler, (RandomSampler, SequentialSampler)):
        message = f"the DataLoader draws with a {type(loader.sampler).__name__}"
        help = "the order of samples is the plan's, so that a run can go on: give its Dataset"
        raise TrainError("E803", message, help)
    return Given(loader.dataset, loader)


def _arrays(x: Any, y: Any, wanted: Wanted) -> Samples:
    try:
        x, y = _tensors(x), _tensors(y)
    except (TypeError, ValueError, RuntimeError) as bad:
        message = f"the pair holds no arrays: {cut(str(bad), 100)}"
        help = "give tensors or arrays (x, y); archspec.train.padded makes one of sequences"
        raise TrainError("E803", message, help) from None
    x, y = entered(x, wanted.inputs), _typed(y, wanted.targets)
    if wanted.size is not None and isinstance(x, Tensor) and x.ndim == 4:
        y = _resized(y, wanted, x.shape[2:])
        x = functional.interpolate(x.float(), wanted.size, mode="bilinear", antialias=True)
    return Arrays(x, y)


def _tensors(given: Any) -> Any:
    """One, or several by name."""
    if isinstance(given, Mapping):
        return {str(name): torch.as_tensor(one) for name, one in given.items()}
    return torch.as_tensor(given)


def _typed(y: Any, kind: str) -> Any:
    """Classes as int64, numbers as float32."""
    if isinstance(y, Mapping):
        return {k: v.float() if k in targets.PLACED else v for k, v in y.items()}
    if kind in (targets.NUMBERS, targets.LABELS):
        return y.float()
    if kind == targets.PICTURE:
        return unit(y)
    if kind == targets.NONE:
        return y
    if y.is_floating_point() and bool((y != y.round()).any()):
        message = "the targets are numbers that are not whole, so that they are no classes"
        raise TrainError("E804", message, "`task: regression` learns numbers")
    return y.long()


def _resized(y: Any, wanted: Wanted, before: Sequence[int]) -> Any:
    """What lies in pictures, brought to their size."""
    assert wanted.size is not None
    if wanted.targets == targets.MASK:
        return functional.interpolate(y[:, None].float(), wanted.size)[:, 0].long()
    if wanted.targets == targets.PICTURE:
        return functional.interpolate(y, wanted.size, mode="bilinear", antialias=True)
    if isinstance(y, Mapping):
        down, right = (now / old for now, old in zip(wanted.size, before, strict=True))
        scale = torch.tensor([right, down, right, down])
        return {k: v * scale if k in targets.PLACED else v for k, v in y.items()}
    return y


# arrays of an .npz beside `x`, where targets are more than one
_ARRAYS = {targets.BOX: ("box", "label"), targets.BOXES: ("boxes", "labels")}


def _npz(path: Path, wanted: Wanted) -> Samples:
    import numpy

    read = [one.name for one in wanted.inputs] if len(wanted.inputs) > 1 else ["x"]
    beside = _ARRAYS.get(wanted.targets, ("y",))
    try:
        # opened here: numpy leaves open what it finds to be damaged
        with path.open("rb") as opened, closing(numpy.load(opened, allow_pickle=False)) as file:
            names = list(file.files)
            if {*read, *beside} <= set(names):
                x = {name: file[name] for name in read}
                y = {name: file[name] for name in beside}
                return _of_file(x.get("x", x), y.get("y", y), wanted)
    except (OSError, ValueError, EOFError, BadZipFile) as bad:
        pickled = "pickle" in str(bad)  # numpy takes what it does not know for that
        why = "it is no .npz, or holds objects that are no numbers" if pickled else str(bad)
        message = f"`{path}` cannot be read: {cut(why, 100)}"
        raise TrainError("E803", message, "numpy.savez(path, x=…, y=…) writes one") from None
    message = (
        f"`{path}` holds {listed(names) if names else 'nothing'}, not {listed([*read, *beside])}"
    )
    said = ", ".join(f"{name}=…" for name in (*read, *beside))
    raise TrainError("E803", message, f"numpy.savez(path, {said}) writes them")


def _of_file(x: Any, y: Any, wanted: Wanted) -> Samples:
    """Arrays; of classes that have names these, in their order."""
    import numpy

    if getattr(y, "dtype", None) is None or y.dtype.kind not in "US":
        return _arrays(x, y, wanted)
    names, numbers = numpy.unique(y, return_inverse=True)
    found = _arrays(x, numbers, wanted)
    found.classes = tuple(map(str, names))
    return found


# folders of pictures and of their targets inside one
_PAIRS = {targets.MASK: ("images", "masks"), targets.PICTURE: ("inputs", "targets")}
_NAMES = "classes.txt"  # beside them: the names of the classes of masks, a line each
_LOSSY = frozenset([".jpg", ".jpeg", ".webp"])


def _paired(root: Path, wanted: Wanted) -> Samples:
    """Pictures and their targets, from two folders; which belong together is said by their names.

    train/images/7.jpg, train/masks/7.png          root train
    photos/7.jpg, masks/7.png                      root photos, beside masks
    """
    names = _PAIRS[wanted.targets]
    first, second = (root / name for name in names)
    if wanted.beside is not None and not (first.is_dir() and second.is_dir()):
        first, second = root, Path(wanted.beside)
    for folder in (first, second):
        if not folder.is_dir():
            message = f"there is no folder `{folder}`"
            help = f"`{root}` holds {names[0]}/ and {names[1]}/, or `data: {{targets: FOLDER}}`"
            raise TrainError("E803", message, help)
    ours, theirs = (_by_stem(folder) for folder in (first, second))
    for here, there, where in ((ours, theirs, second), (theirs, ours, first)):
        lone = [file for stem, file in here.items() if stem not in there]
        if lone:
            also = f", nor for {len(lone) - 1} others" if len(lone) > 1 else ""
            message = f"for `{lone[0]}` there is no file of its name in `{where}`{also}"
            raise TrainError("E803", message, "7.jpg and 7.png belong together")
    beside = [theirs[stem] for stem in ours]
    lossy = [file for file in beside if file.suffix.lower() in _LOSSY]
    if lossy and wanted.targets == targets.MASK:
        message = f"`{lossy[0]}` is compressed with losses, which changes class numbers"
        raise TrainError("E803", message, "a mask is a palette or grey PNG: 0, 1, 2, …")
    return Paired(list(ours.values()), beside, _class_names((second, root), wanted), wanted)


def _by_stem(folder: Path) -> dict[str, Path]:
    """Pictures by their places in a folder, without endings, in order."""
    found: dict[str, Path] = {}
    for file in below(folder):
        stem = str(file.relative_to(folder).with_suffix(""))
        if stem in found:
            message = f"`{file}` and `{found[stem].name}` have one name"
            raise TrainError("E803", message, "names without their endings tell files apart")
        found[stem] = file
    if not found:
        raise TrainError("E803", f"`{folder}` holds no pictures", "for example 7.png")
    return found


def _class_names(folders: Sequence[Path], wanted: Wanted) -> tuple[str, ...]:
    """Those of classes.txt, if it is there."""
    for path in (folder / _NAMES for folder in folders):
        if wanted.targets == targets.MASK and path.is_file():
            lines = path.read_text("utf-8").splitlines()
            return tuple(line.strip() for line in lines if line.strip())
    return ()


# folders inside one that are no classes, and the task that learns of them
_LAYOUTS = {
    "segmentation": {"images", "masks"}, "restoration": {"inputs", "targets"},
    "detection": {"images", "labels"},
}  # fmt: skip


def _no_layout(root: Path, names: set[str]) -> None:
    """Raises TrainError where folders are those of another task."""
    for task, layout in _LAYOUTS.items():
        boxes = task == "detection" and names == {"images"} and any(root.glob("*.json"))
        if names == layout or boxes:
            message = f"`{root}` holds {joined(f'{name}/' for name in sorted(names))}: no classes"
            raise TrainError("E803", message, f"`task: {task}` learns from such a folder")


def _folder(root: Path, wanted: Wanted) -> Samples:
    if wanted.targets in _PAIRS:
        return _paired(root, wanted)
    if wanted.targets in targets.PLACED:
        return annotated.folder(root, wanted)
    has_classes(str(root), wanted, "`shapes` and .csv files have them")
    folders = sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))
    if not folders and wanted.targets == targets.NONE:
        alone = list(_by_stem(root).values())
        return Pictures(alone, torch.zeros(len(alone)), (), wanted)
    if not folders:
        message = f"`{root}` holds no folders, so that there are no classes"
        help = f"each class is a folder of pictures: {root}/cat/1.png"
        raise TrainError("E803", message, help)
    _no_layout(root, {folder.name for folder in folders})
    files: list[Path] = []
    numbers: list[int] = []
    for number, folder in enumerate(folders):
        found = below(folder)
        if not found:
            message = f"the class `{folder.name}` in `{root}` has no pictures"
            raise TrainError("E803", message, "remove the folder, or put pictures into it")
        files += found
        numbers += [number] * len(found)
    classes = [folder.name for folder in folders]
    return Pictures(files, torch.tensor(numbers), classes, wanted)


def _digits(wanted: Wanted) -> Samples:
    """1,797 handwritten digits of 8×8 (UCI, of scikit-learn), brought to the network's input."""
    has_classes("digits", wanted, "`shapes` has them all")
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
    has_classes("synthetic", wanted, "`shapes` has them all")
    if not wanted.shape:
        message = "a synthetic set needs to know the network's input"
        raise TrainError("E803", message, "give the module that archspec built, or data")
    generator = torch.Generator().manual_seed(0)
    classes = max(wanted.classes, 2)
    n = min(_MADE, max(_FEW, _ROOM // (4 * prod(wanted.shape))))
    y = torch.arange(n) % classes
    read = wanted.inputs or (Input("x", wanted.shape, "float", frozenset(), 0),)
    every = {one.name: _noise(one, y, generator) for one in read}
    first = next(iter(every.values()))
    x = every if len(every) > 1 else first
    if wanted.targets == targets.NUMBERS:
        return Arrays(x, first.flatten(1)[:, :1].float())
    return Arrays(x, y, [str(n) for n in range(classes)])


def _noise(read: Input, y: Tensor, drawn: torch.Generator) -> Tensor:
    """Inputs [N, …]: for each class noise of its own, and noise upon it; masks hide nothing."""
    classes = int(y.max()) + 1
    if read.dtype == "bool":
        return torch.zeros(len(y), *read.shape, dtype=torch.bool)
    if read.dtype == "float":
        means = torch.randn(classes, *read.shape, generator=drawn)
        return means[y] + torch.randn(len(y), *read.shape, generator=drawn)
    symbols = read.symbols or classes
    of_class = torch.randint(symbols, (classes, *read.shape), generator=drawn)[y]
    other = torch.randint(symbols, of_class.shape, generator=drawn)
    return torch.where(torch.rand(of_class.shape, generator=drawn) < _SWAPPED, other, of_class)


WORDS: dict[str, Callable[[Wanted], Samples]] = {
    "digits": _digits, "reversed": reversed_, "sequences": sequences, "shapes": Shapes,
    "synthetic": _synthetic,
}  # fmt: skip
