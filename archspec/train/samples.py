"""Inputs that are fetched by number, and their targets: arrays, pictures, a Dataset.

    Pictures(files, targets, classes, wanted).fetch([0, 7])     x [2, C, H, W], y [2]

Nothing of a file is kept in memory but its name; arrays are kept as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from accelerate.utils import find_batch_size, slice_tensors
from torch.utils.data import (
    DataLoader,
    IterableDataset,
    RandomSampler,
    default_collate,
    get_worker_info,
)

from archspec.text.words import cut, joined, listed
from archspec.train import targets
from archspec.train.errors import TrainError, library
from archspec.train.inputs import Cut, Input
from archspec.train.window import Window

if TYPE_CHECKING:
    from torch import Tensor

_MASKS = ("1", "L", "P", "I", "I;16")  # Pillow's modes whose numbers are classes
ENDINGS = frozenset(
    [".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"]
)


_MODES = {1: "L", 3: "RGB", 4: "RGBA"}
_ORIENTATION = 0x0112  # the tag of EXIF
_WIDE = ("I", "F")  # 32 bits a pixel, of which nobody knows what is white
_LARGE = 1024  # pixels of a picture's longer side that is shown
_SPLIT = 0  # seed of what is held out: the same for every seed of a plan


class Wanted(NamedTuple):
    """What the network and the plan ask of a set."""

    shape: tuple[int, ...]  # of an input, without the batch axis; () where it is not known
    classes: int  # width of the head, where classes are told apart; 0
    targets: str  # their kind: `archspec.train.targets`
    size: tuple[int, int] | None = None  # that pictures are brought to
    beside: str | None = None  # folder of files that are the targets
    plain: bool = False  # whether pictures stay from 0 to 1 where the plan says nothing
    inputs: tuple[Input, ...] = ()  # all of the network; () where it is not known
    cut: Cut | None = None  # how a file of tokens is cut
    pair: tuple[str, ...] = ()  # the inputs that a pair of samples goes into
    resize: tuple[int, int] | None = None  # shorter sides of pictures that the size is cut out of

    def known(self, classes: tuple[str, ...]) -> Wanted:
        """The same, of a set whose characters have numbers already."""
        cut = self.cut
        return self if cut is None else self._replace(cut=cut._replace(classes=classes))

    @property
    def channels(self) -> int:
        return self.shape[0] if len(self.shape) == 3 else 0

    @property
    def sides(self) -> tuple[int, int] | None:
        """Height and width of a picture."""
        return self.size or ((self.shape[1], self.shape[2]) if len(self.shape) == 3 else None)

    @property
    def window(self) -> Window | None:
        """What is cut out of pictures that are read larger."""
        if self.resize is None or self.sides is None:
            return None
        return Window(self.sides, *self.resize)


def has_classes(where: str, wanted: Wanted, help: str) -> None:
    """Raises TrainError where a task asks for more than a class or a number for each sample."""
    asked = (targets.LABELS, targets.MASK, targets.BOX, targets.BOXES, targets.NEXT)
    if wanted.targets in asked:
        message = f"`{where}` has a class for each sample; the task asks for {wanted.targets}"
        raise TrainError("E803", message, help)


class Samples:
    """Inputs and targets by number."""

    kind: str = targets.CLASSES  # of targets
    targets: Any = None  # of all samples, where they are known without reading
    classes: tuple[str, ...] = ()
    batch: int | None = None  # what a DataLoader said; a plan that says something goes before
    workers: int = 0
    shuffled: bool = True

    def __len__(self) -> int:
        raise NotImplementedError

    def fetch(self, indices: Sequence[int]) -> tuple[Any, Any]:
        """A batch of inputs and targets, as they are stored: pictures from 0 to 1."""
        raise NotImplementedError

    def measured(self) -> Tensor:
        """The numbers of those that metrics are of, where all of the set is held out."""
        return torch.arange(len(self))

    def divided(self, share: float) -> tuple[Tensor, Tensor]:
        """The numbers of a share that is held out, always the same; and of the rest."""
        order = torch.randperm(len(self), generator=torch.Generator().manual_seed(_SPLIT))
        count = max(1, round(len(self) * share))
        return order[:count].sort().values, order[count:].sort().values

    def check(self) -> None:
        """Raises TrainError for what can be seen to be unusable without reading all of it."""
        if not len(self):
            raise TrainError("E803", "the set is empty", "give at least one sample")


def _finite(values: Tensor) -> None:
    """Raises TrainError for a sample with a number that is none."""
    if not values.is_floating_point() or bool(values.sum().isfinite()):
        return  # the sum of all is cheap, and says so of nearly every set
    bad = ~values.flatten(1).isfinite().all(1) if values.ndim > 1 else ~values.isfinite()
    if bool(bad.any()):
        message = f"sample {int(bad.nonzero()[0, 0])} holds a number that is not finite"
        raise TrainError("E803", message, "mend the data, or leave such samples out")


def unit(x: Tensor) -> Tensor:
    """Bytes as numbers from 0 to 1; float32 where it is a float, as NumPy's are not."""
    if x.dtype == torch.uint8:
        return x.float() / 255
    return x.float() if x.is_floating_point() else x


class Arrays(Samples):
    """Tensors in memory: x [N, …] and y [N, …], each a tensor or a mapping of such."""

    def __init__(self, x: Any, y: Any, classes: Sequence[str] = ()) -> None:
        many = {len(one) for one in x.values()} if isinstance(x, Mapping) else {len(x)}
        targets = find_batch_size(y)
        if many != {targets}:
            given = joined(f"{n:,}" for n in sorted(many))
            message = f"there are {given} inputs and {targets:,} targets"
            raise TrainError("E803", message, "one target for each input")
        self.x = {k: unit(v) for k, v in x.items()} if isinstance(x, Mapping) else unit(x)
        self.targets, self.classes = y, tuple(classes)

    def __len__(self) -> int:
        return int(find_batch_size(self.x))

    def fetch(self, indices: Sequence[int]) -> tuple[Any, Any]:
        if get_worker_info() is None:
            at = torch.as_tensor(indices)
            return slice_tensors(self.x, at), slice_tensors(self.targets, at)
        # torch puts it together in the memory that it is sent in: it is not copied once more
        items = [(slice_tensors(self.x, i), slice_tensors(self.targets, i)) for i in indices]
        x, y = default_collate(items)
        return x, y

    def check(self) -> None:
        super().check()
        for given in (self.x, self.targets):
            for one in given.values() if isinstance(given, Mapping) else [given]:
                _finite(one)


class Pictures(Samples):
    """Files that Pillow reads, each brought to one size and number of channels."""

    def __init__(
        self, files: Sequence[Path], targets: Tensor, classes: Sequence[str], wanted: Wanted
    ) -> None:
        self.files, self.targets, self.classes = list(files), targets, tuple(classes)
        self.mode, self.sides = form(wanted)

    def __len__(self) -> int:
        return len(self.files)

    def fetch(self, indices: Sequence[int]) -> tuple[Any, Any]:
        x = torch.stack([picture(self.files[i], self.mode, self.sides) for i in indices])
        return x, self.targets[torch.as_tensor(indices)]

    def check(self) -> None:
        """Opens each file: what is no picture is named before the first step."""
        super().check()
        _verify(self.files)


class Paired(Pictures):
    """Pictures, and beside each a file that is its target: a mask, or a picture."""

    def __init__(
        self, files: Sequence[Path], beside: Sequence[Path], classes: Sequence[str], wanted: Wanted
    ) -> None:
        super().__init__(files, torch.zeros(len(files)), classes, wanted)
        self.targets, self.beside, self.kind = None, list(beside), wanted.targets
        self.width = max(wanted.classes, 2)  # classes that a mask may have

    def fetch(self, indices: Sequence[int]) -> tuple[Any, Any]:
        x = torch.stack([picture(self.files[i], self.mode, self.sides) for i in indices])
        theirs = [self.beside[i] for i in indices]
        if self.kind == targets.MASK:
            return x, torch.stack([mask(file, self.sides) for file in theirs])
        return x, torch.stack([picture(file, self.mode, self.sides) for file in theirs])

    def check(self) -> None:
        """Opens each file, and reads masks: their sizes and classes are known to fit after that."""
        super().check()
        _verify(self.beside)
        sizes = [size_of(file) for file in self.files]
        for file, other, size in zip(self.files, self.beside, sizes, strict=True):
            if size_of(other) != size:
                (wide, high), (width, height) = size_of(other), size
                message = f"`{other}` is {wide} x {high} pixels, `{file}` {width} x {height}"
                raise TrainError("E803", message, "what belongs together is of one size")
        if self.kind == targets.MASK:
            self._check_classes()

    def _check_classes(self) -> None:
        there: set[int] = set()
        for file in self.beside:
            found = torch.unique(mask(file, None)).tolist()
            beyond = [one for one in found if self.width <= one != targets.IGNORED]
            if beyond:
                message = f"`{file}` has a class {beyond[0]}; the head tells {self.width} apart"
                help = f"classes count from 0, {targets.IGNORED} is ignored; or make the head wider"
                raise TrainError("E804", message, help)
            there.update(found)
        if there <= {0, targets.IGNORED}:
            message = f"the masks hold {listed(map(str, sorted(there)))} only, and no other class"
            help = f"{targets.IGNORED} is what is ignored: write what is there as 1"
            raise TrainError("E804", message, help)


class Placed(Pictures):
    """Pictures, and boxes in each: corners in pixels of the file, and a class of each.

    They are brought to size as a whole, so that no box is cut off.
    """

    def __init__(
        self, boxes: Mapping[Path, Tensor], labels: Mapping[Path, Tensor], classes: Sequence[str],
        wanted: Wanted,
    ) -> None:  # fmt: skip
        super().__init__(list(boxes), torch.zeros(len(boxes)), classes, wanted)
        self.targets, self.boxes, self.labels, self.kind = None, boxes, labels, wanted.targets

    def fetch(self, indices: Sequence[int]) -> tuple[Any, Any]:
        items = []
        for file in (self.files[i] for i in indices):
            image = loaded(file, self.mode)
            scale = torch.tensor([self.sides[1] / image.width, self.sides[0] / image.height] * 2)
            boxes, labels = self.boxes[file] * scale, self.labels[file]
            there = {"boxes": boxes, "labels": labels}
            if self.kind == targets.BOX:
                there = {"box": boxes[0], "label": labels[0]}
            items.append((fitted(image, self.sides, whole=True), there))
        return targets.together(items)

    def check(self) -> None:
        """Opens each file; boxes lie in their pictures."""
        super().check()
        for file, boxes in self.boxes.items():
            if self.kind == targets.BOX and len(boxes) != 1:
                message = f"`{file}` has {len(boxes)} boxes; this task finds one in each picture"
                raise TrainError("E803", message, "a detector finds any number")
            width, height = size_of(file)
            for left, top, right, bottom in boxes.tolist():
                if not (0 <= left < right <= width and 0 <= top < bottom <= height):
                    said = f"{left:g}, {top:g}, {right:g}, {bottom:g}"
                    message = f"the box {said} is not in `{file}`, {width} x {height} pixels"
                    raise TrainError("E803", message, "x1, y1, x2, y2: left, top, right, bottom")


def _verify(files: Sequence[Path]) -> None:
    """Raises TrainError with the first of the files that Pillow cannot open."""
    pillow = library("PIL.Image", "reading pictures")
    bad = []
    for file in files:
        try:
            with pillow.open(file) as image:
                image.verify()
        except Exception as wrong:  # Pillow's plug-ins raise whatever their format calls for
            bad.append((file, wrong))
    if bad:
        raise _unreadable(*bad[0], more=len(bad) - 1)


def below(folder: Path) -> list[Path]:
    """The pictures in a folder and the folders in it, in order; what is hidden is none of them.

    macOS leaves `._1.png` beside 1.png, and notebooks keep copies in `.ipynb_checkpoints`.
    """
    found = (p for p in folder.rglob("*") if p.suffix.lower() in ENDINGS and p.is_file())
    seen = [p for p in found if not any(s[0] == "." for s in p.relative_to(folder).parts)]
    return sorted(seen)


def size_of(file: Path) -> tuple[int, int]:
    """Width and height."""
    with library("PIL.Image", "reading pictures").open(file) as image:
        found: tuple[int, int] = _upright(image).size
        return found


def _upright(image: Any) -> Any:
    """As it is looked at: a telephone that was turned writes that down beside the pixels."""
    unsaid = image.format == "PNG" and "exif" not in image.info  # to look further would decode it
    if unsaid or image.getexif().get(_ORIENTATION, 1) == 1:
        return image
    return library("PIL.ImageOps", "reading pictures").exif_transpose(image)


def _grey(image: Any, file: Path) -> Any:
    """Of 16 bits a pixel the upper 8, where Pillow would cut off all above 255."""
    if image.mode in _WIDE:
        said = f"`{file}` holds numbers of 32 bits ({image.mode}), whose largest is not known"
        raise TrainError("E803", said, "save it with 8 or 16 bits a pixel, or give arrays: .npz")
    if not image.mode.startswith("I;16"):
        return image
    import numpy

    upper = (numpy.asarray(image) >> 8).astype("uint8")
    return library("PIL.Image", "reading pictures").fromarray(upper)


def form(wanted: Wanted) -> tuple[str, tuple[int, int]]:
    """What Pillow calls pictures of so many channels; height and width. Raises TrainError."""
    if wanted.sides is None or wanted.channels not in _MODES:
        message = f"pictures do not go into an input of shape {list(wanted.shape)}"
        raise TrainError("E804", message, "its shape is [1, H, W] or [3, H, W]")
    return _MODES[wanted.channels], wanted.sides if wanted.window is None else wanted.window.read


def _unreadable(file: Path, wrong: Exception, more: int = 0) -> TrainError:
    if isinstance(wrong, FileNotFoundError):
        also = f", nor do {more} more" if more else ""
        help = "paths in a table are relative to the table"
        return TrainError("E803", f"`{file}` does not exist{also}", help)
    also = f", nor {more} others" if more else ""
    if type(wrong).__name__ == "UnidentifiedImageError":
        said = "it is no picture"
    elif isinstance(wrong, OSError) and wrong.strerror:
        said = wrong.strerror[:1].lower() + wrong.strerror[1:]
    else:
        said = " ".join(str(wrong).replace(str(file), "the file").split())
    message = f"`{file}` cannot be read{also}: {cut(said, 100) or type(wrong).__name__}"
    return TrainError("E803", message, "replace the file, or take it out of the folder")


def loaded(file: Path, mode: str | None = None) -> Any:
    """A picture of Pillow's, all of it read. Raises TrainError."""
    pillow = library("PIL.Image", "reading pictures")
    try:
        with pillow.open(file) as opened:
            opened.load()
            image = _upright(opened)
            return _grey(image, file).convert(mode) if mode else image.copy()
    except TrainError:
        raise
    except Exception as wrong:  # Pillow's plug-ins raise whatever their format calls for
        raise _unreadable(file, wrong) from None


def picture(file: Path, mode: str, sides: tuple[int, int], *, whole: bool = False) -> Tensor:
    """A picture [C, H, W] from 0 to 1: its shorter side resized, its middle cut out.

    That is what torchvision's Resize and CenterCrop do. Or the `whole` of it, each side resized for
    itself. Raises TrainError for a file that Pillow cannot read.
    """
    return fitted(loaded(file, mode), sides, whole=whole)


def fitted(image: Any, sides: tuple[int, int], *, whole: bool = False) -> Tensor:
    """What Pillow has read, as a picture [C, H, W] from 0 to 1 of that height and width."""
    if not whole:
        return _plain(_middle(image, sides, "BILINEAR"))
    smooth = library("PIL.Image", "reading pictures").Resampling.BILINEAR
    return _plain(image.resize(sides[::-1], smooth))


def shown(file: Path) -> Tensor:
    """A picture [3, H, W] as it is, made smaller where it is large."""
    image = loaded(file, "RGB")
    image.thumbnail((_LARGE, _LARGE))
    return _plain(image)


def _plain(image: Any) -> Tensor:
    """A picture of Pillow's as [C, H, W] from 0 to 1."""
    import numpy

    found = unit(torch.from_numpy(numpy.asarray(image, dtype="uint8").copy()))
    return found[None] if found.ndim == 2 else found.permute(2, 0, 1).contiguous()


def mask(file: Path, sides: tuple[int, int] | None) -> Tensor:
    """The classes [H, W] of a palette or grey picture, brought to size as `picture` does.

    Raises TrainError where it is none.
    """
    import numpy

    image = loaded(file)
    if image.mode not in _MASKS:
        message = f"`{file}` is a picture of colours ({image.mode}), not of class numbers"
        raise TrainError("E803", message, "a mask is a palette or grey PNG: 0, 1, 2, …")
    image = image if sides is None else _middle(image, sides, "NEAREST")
    return torch.from_numpy(numpy.asarray(image).astype("int64"))


def _middle(image: Any, sides: tuple[int, int], how: str) -> Any:
    """The shorter side resized, the middle cut out."""
    (height, width), pillow = sides, library("PIL.Image", "reading pictures")
    if image.size == (width, height):
        return image
    size, left, top = _fit(image.size, sides)
    whole = image.resize(size, pillow.Resampling[how])
    return whole.crop((left, top, left + width, top + height))


def _fit(size: tuple[int, int], sides: tuple[int, int]) -> tuple[tuple[int, int], int, int]:
    """Width and height that a picture is resized to, and what is cut off left and above."""
    height, width = sides
    factor = max(width / size[0], height / size[1])
    now = max(width, round(size[0] * factor)), max(height, round(size[1] * factor))
    return now, (now[0] - width) // 2, (now[1] - height) // 2


class Given(Samples):
    """A Dataset of the caller's: items are (input, target), made into batches by `collate`."""

    def __init__(self, dataset: Any, loader: DataLoader[Any] | None = None) -> None:
        if isinstance(dataset, IterableDataset) or not hasattr(dataset, "__len__"):
            message = "the set has no length, so that no order and no place to go on from is known"
            raise TrainError("E803", message, "give a Dataset with `__len__` and `__getitem__`")
        self.dataset = dataset
        self.collate = targets.together if loader is None else loader.collate_fn
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
        x, y = batch
        return (x.float() if isinstance(x, torch.Tensor) and x.dtype == torch.float64 else x), y
