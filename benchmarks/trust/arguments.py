"""Whether every constructor argument of emitted source is honest: of random specs."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from arguments import lies
from random_specs import from_seed

from archspec.network import Program, loads
from archspec.text.faults import SpecError
from benchmarks.trust import ROOT


def honest(program: Program, folder: Path) -> Iterator[str]:
    """What each argument of its classes is; `folder` is for the specs that it uses."""
    for spec in (ROOT / "specs").glob("*.yaml"):
        shutil.copy(spec, folder)
    for wrong in lies(program, folder):
        yield f"LIE: {wrong}" if wrong else "an honest argument"


def trial(seed: int, folder: Path) -> Iterator[str]:
    with suppress(SpecError):
        yield from honest(loads(from_seed(seed)), folder)
