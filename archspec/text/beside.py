"""A path that leads nowhere → the file beside it that was likely meant.

beside(Path("specs/vgg61.yaml"))      "did you mean `specs/vgg16.yaml`?"
"""

from __future__ import annotations

import os
from collections.abc import Collection
from itertools import islice
from pathlib import Path

from archspec.text.words import near

LIKENESS = 0.65  # `vit` is near to `vit_b_16`, `nothing` is not to `denoising`
_MANY = 10_000  # entries of a folder that are looked through


def beside(path: str | Path, said: str | Path | None = None, endings: Collection[str] = ()) -> str:
    """The remedy for a file that is not there: one of its folder with a near name, or "".

    Names are compared without their endings, which would make all of a folder alike; one with the
    same ending goes before. `said` is what messages call the path; of files with other `endings`
    than these, where there are any, none is meant.
    """
    path = Path(path)
    try:
        with os.scandir(path.parent) as folder:
            names = sorted(entry.name for entry in islice(folder, _MANY))
    except (OSError, ValueError):
        return ""
    names = [name for name in names if not endings or Path(name).suffix in endings]
    same = {Path(name).stem: name for name in names if Path(name).suffix == path.suffix}
    others = {Path(name).stem: name for name in names}
    for known in (same, others):
        guess = near(path.stem, known, LIKENESS)
        if guess:
            return f"did you mean `{Path(said or path).parent / known[guess]}`?"
    return ""
