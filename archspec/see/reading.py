"""Files, folders, arrays → pictures as a network sees them, from 0 to 1, and what they are called.

read(who, "data/birds")        [N, 3, 224, 224], ("data/birds/1.png", …)
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from archspec.text.beside import beside
from archspec.train.errors import TrainError
from archspec.train.samples import below, picture, unit

if TYPE_CHECKING:
    from archspec.see.subject import Subject

_MODES = {1: "L", 3: "RGB"}


def read(who: Subject, given: Any) -> tuple[Tensor, tuple[str, ...]]:
    """Pictures [N, C, H, W] of the size that a network reads, and a name for each.

    `given` is a file, a folder (all pictures in it, by name), several of these, or an array
    [N, C, H, W] or [C, H, W], from 0 to 1 or of bytes. A file is resized by its shorter side, and
    its middle cut out. Raises TrainError.
    """
    if isinstance(given, (str, Path)):
        return _files(who, [given])
    if isinstance(given, (list, tuple)) and all(isinstance(one, (str, Path)) for one in given):
        return _files(who, given)
    return _array(who, given)


def _files(who: Subject, given: Sequence[str | Path]) -> tuple[Tensor, tuple[str, ...]]:
    files = [file for one in given for file in _inside(Path(one))]
    if not files:
        raise TrainError("E803", "no picture is named", "name files, or a folder of pictures")
    channels, height, width = who.shape
    x = torch.stack([picture(file, _MODES[channels], (height, width)) for file in files])
    return x, tuple(map(str, files))


def _inside(path: Path) -> list[Path]:
    """A file, or all pictures in a folder and the folders in it."""
    if not path.exists():
        raise TrainError("E803", f"`{path}` does not exist", beside(path) or "check the path")
    if not path.is_dir():
        return [path]
    found = below(path)
    if not found:
        raise TrainError("E803", f"there is no picture in `{path}`", "PNG, JPEG and their like")
    return found


def _array(who: Subject, given: Any) -> tuple[Tensor, tuple[str, ...]]:
    try:
        x = unit(torch.as_tensor(given)).float()
    except (TypeError, ValueError, RuntimeError):
        message = f"of {type(given).__name__} no pictures are made"
        raise TrainError("E803", message, "files, a folder, or an array [N, C, H, W]") from None
    x = x[None] if x.ndim == 3 else x
    if x.shape[1:] != who.shape or not len(x):
        message = f"pictures have shape {list(x.shape)}; `{who.name}` reads {list(who.shape)}"
        raise TrainError("E804", message, "bring them to that shape, or name files")
    return x.detach().cpu(), tuple(f"picture {number}" for number in range(len(x)))
