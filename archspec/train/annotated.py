"""Pictures and files that say where things are in them → Samples: COCO's format, and YOLO's.

    coco.json      {"images": […], "annotations": [{"bbox": [left, top, width, height], …}], …}
    yolo/1.txt     0 0.5 0.5 0.2 0.1        of 1.png: class, centre, width, height, as shares

Classes of a COCO file are its categories in the order of their numbers. Those of a YOLO folder are
the lines of `classes.txt`, the `names` of `data.yaml`, or else numbers. What is marked as a crowd
is left out: it is no single thing.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor

from archspec.text.words import cut, listed
from archspec.train.errors import TrainError
from archspec.train.samples import Placed, Wanted, below, size_of

_KEYS = ("images", "annotations", "categories")
_ROUNDED = 1.0  # pixels that a box may be over the edge by rounding, and is cut at it


def folder(root: Path, wanted: Wanted) -> Placed:
    """The pictures of a folder, and boxes from its only .json, or from .txt files.

    Raises TrainError.
    """
    files = sorted(root.glob("*.json"))
    if len(files) > 1:
        message = f"`{root}` holds {len(files)} .json files: {listed([p.name for p in files[:3]])}"
        raise TrainError("E803", message, f"name one: `{files[0]}`")
    return coco(files[0], wanted) if files else yolo(root, wanted)


# ------------------------------------------------------------------ COCO


def coco(path: Path, wanted: Wanted) -> Placed:
    """The pictures and boxes of a file in COCO's format. Raises TrainError."""
    try:
        told = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, OSError) as bad:
        message = f"`{path}` cannot be read: {cut(str(bad), 100)}"
        raise TrainError("E803", message, "a JSON file in COCO's format") from None
    lacks = [key for key in _KEYS if not isinstance(told, dict) or key not in told]
    if lacks:
        message = f"`{path}` has no {listed(lacks)}"
        raise TrainError("E803", message, f"a file in COCO's format has {listed(list(_KEYS))}")
    categories = sorted(_each(path, told, "categories", "id", "name"), key=lambda one: one["id"])
    numbers = {one["id"]: number for number, one in enumerate(categories)}
    images = {one["id"]: one["file_name"] for one in _each(path, told, "images", "id", "file_name")}
    if not images:
        raise TrainError("E803", f"`{path}` has no images", "give at least one")
    above = _pictures(path, next(iter(images.values())))
    far = float("inf")  # where the size of a picture is not said
    sizes = {one["id"]: (one.get("width", far), one.get("height", far)) for one in told["images"]}
    boxes: dict[Any, list[list[float]]] = {key: [] for key in images}
    labels: dict[Any, list[int]] = {key: [] for key in images}
    wanted_keys = ("image_id", "category_id", "bbox")
    for number, one in enumerate(_each(path, told, "annotations", *wanted_keys)):
        for key, known in (("image_id", images), ("category_id", numbers)):
            if one[key] not in known:
                message = f"annotation {number} of `{path}`: no {key[:-3]} is called {one[key]!r}"
                raise TrainError("E803", message, f"its `{key}` is an `id` that the file has")
        if not one.get("iscrowd"):
            left, top, width, height = _four(path, number, one["bbox"])
            corners = [left, top, left + width, top + height]
            boxes[one["image_id"]].append(_rounded(corners, sizes[one["image_id"]]))
            labels[one["image_id"]].append(numbers[one["category_id"]])
    files = {key: above / name for key, name in images.items()}
    return _placed(
        {file: (boxes[key], labels[key]) for key, file in files.items()},
        [one["name"] for one in categories],
        wanted,
    )


def _rounded(corners: list[float], size: tuple[float, float]) -> list[float]:
    """Cut at the picture's edges where it is over them by no more than rounding does."""
    low = [0.0 if -_ROUNDED <= one < 0 else one for one in corners[:2]]
    pairs = zip(corners[2:], size, strict=True)
    return low + [float(edge) if edge < one <= edge + _ROUNDED else one for one, edge in pairs]


def _each(path: Path, told: Any, name: str, *keys: str) -> list[dict[str, Any]]:
    """The entries of a list. Raises TrainError where one lacks a key."""
    for number, one in enumerate(told[name]):
        lacks = [key for key in keys if not isinstance(one, dict) or key not in one]
        if lacks:
            message = f"entry {number} of `{name}` in `{path}` has no {listed(lacks)}"
            raise TrainError("E803", message, f"each has {listed(list(keys))}")
    found: list[dict[str, Any]] = told[name]
    return found


def _pictures(path: Path, first: str) -> Path:
    """The folder that the file's names are below. Raises TrainError."""
    above, own = path.parent, path.stem.rpartition("_")[2]
    places = [
        above, above / "images", above / path.stem, above.parent, above.parent / "images",
        above.parent / own,
    ]  # fmt: skip
    for place in places:
        if (place / first).is_file():
            return place
    message = f"the picture `{first}` of `{path}` is not there"
    raise TrainError("E803", message, f"pictures are beside it, or in `{above / 'images'}`")


def _four(path: Path, number: int, box: Any) -> list[float]:
    good = isinstance(box, list) and len(box) == 4
    if not good or not all(isinstance(one, (int, float)) for one in box):
        message = f"annotation {number} of `{path}`: `bbox` is {cut(str(box))}"
        raise TrainError("E803", message, "four numbers: left, top, width, height")
    return [float(one) for one in box]


# ------------------------------------------------------------------ YOLO


def yolo(root: Path, wanted: Wanted) -> Placed:
    """Pictures of a folder with a .txt beside each, or `images` and `labels`. Raises TrainError."""
    files = below(root)
    beside = {file: _lines_of(root, file) for file in files}
    if not any(one.is_file() for one in beside.values()):
        message = f"`{root}` has no boxes: no .json of COCO, and no .txt beside a picture"
        help = "1.png and 1.txt with lines of class, centre x, centre y, width, height"
        raise TrainError("E803", message, help)
    names = _names(root)
    found = {file: _read(one, file, names) for file, one in beside.items()}
    most = max((label + 1 for _, labels in found.values() for label in labels), default=0)
    names = names or [str(k) for k in range(max(most, wanted.classes))]
    return _placed(found, names, wanted)


def _lines_of(root: Path, file: Path) -> Path:
    """Where the boxes of a picture are, if it has any: beside it, or in `labels` for `images`."""
    parts = list(file.relative_to(root).parts)
    if "images" in parts and not file.with_suffix(".txt").is_file():
        parts[parts.index("images")] = "labels"
    return root.joinpath(*parts).with_suffix(".txt")


def _names(root: Path) -> list[str]:
    """What classes are called, by their numbers; [] where nothing says."""
    lines, path = root / "classes.txt", root / "data.yaml"
    if lines.is_file():
        return [line.strip() for line in lines.read_text("utf-8-sig").splitlines() if line.strip()]
    if not path.is_file():
        return []
    try:
        names = yaml.safe_load(path.read_text("utf-8-sig"))["names"]
        return [str(names[k]) for k in range(len(names))]
    except (yaml.YAMLError, KeyError, TypeError) as bad:
        message = f"`{path}` has no `names` of classes: {cut(' '.join(str(bad).split()), 80)}"
        raise TrainError("E803", message, "names: [cat, dog]") from None


def _read(path: Path, file: Path, names: Sequence[str]) -> tuple[list[list[float]], list[int]]:
    """Boxes and classes of a picture, corners in pixels."""
    if not path.is_file():
        return [], []
    width, height = size_of(file)
    boxes, labels = [], []
    for number, line in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), 1):
        if not line.strip():
            continue
        try:
            label, x, y, across, down = map(float, line.split())
        except ValueError:
            message = f"`{path}` line {number} is `{cut(line)}`"
            help = "a line is class, centre x, centre y, width, height: 0 0.5 0.5 0.2 0.1"
            raise TrainError("E803", message, help) from None
        if label < 0 or label != int(label) or (names and label >= len(names)):
            message = f"`{path}` line {number} has the class {line.split()[0]}"
            help = f"classes are from 0 to {len(names) - 1}" if names else "a whole number from 0"
            raise TrainError("E803", message, help)
        if max(x, y, across, down) > 1 or min(x, y, across, down) < 0:
            message = f"`{path}` line {number} is `{cut(line)}`: these are no shares of the picture"
            raise TrainError("E803", message, "divide by its width and height: from 0 to 1")
        corners = [
            (x - across / 2) * width, (y - down / 2) * height,
            (x + across / 2) * width, (y + down / 2) * height,
        ]  # fmt: skip
        boxes.append(_rounded(corners, (width, height)))
        labels.append(int(label))
    return boxes, labels


def _placed(
    found: dict[Path, tuple[list[list[float]], list[int]]], names: Sequence[str], wanted: Wanted
) -> Placed:
    def tensors(file: Path) -> tuple[Tensor, Tensor]:
        boxes, labels = found[file]
        return torch.tensor(boxes).view(-1, 4), torch.tensor(labels, dtype=torch.int64)

    both = {file: tensors(file) for file in found}
    return Placed(
        {file: boxes for file, (boxes, _) in both.items()},
        {file: labels for file, (_, labels) in both.items()},
        names,
        wanted,
    )
