"""A folder → the file of weights in it: of a run, of a checkpoint, of what was saved.

runs/lenet5            runs/lenet5/checkpoints/step_00004690/model.safetensors, which `best` shows
lenet5 (of `save`)     lenet5/model.safetensors
"""

from __future__ import annotations

from pathlib import Path

from archspec.weights.errors import WeightsError
from archspec.weights.header import plain

CHECKPOINTS = "checkpoints"  # the folder of a run in which they are
LAST, BEST = "last", "best"  # files of a run that name one of them
_FILES = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin")


def pointed(run: Path, pointer: str) -> Path | None:
    """The checkpoint that a pointer shows, if there is one."""
    try:
        name = (run / pointer).read_text(encoding="utf-8").strip()
    except OSError:
        return None
    folder = run / CHECKPOINTS / name
    return folder if folder.is_dir() else None


def weights(path: Path) -> Path:
    """The file at a path; of a folder the one in it, of a run its best. Raises WeightsError."""
    try:
        if not path.is_dir():
            return path
    except (OSError, ValueError):
        return path  # who opens it says why not
    checkpoint = pointed(path, BEST) or pointed(path, LAST) or path
    found = next((checkpoint / name for name in _FILES if (checkpoint / name).is_file()), None)
    if found is not None:
        return found
    message = f"`{plain(str(path))}` is a folder that holds no weights"
    help = "give a file, the folder of a run, or one that `archspec save` wrote"
    raise WeightsError("E603", message, help)
