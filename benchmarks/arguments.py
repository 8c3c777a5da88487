"""Whether every constructor argument of emitted source is honest: all shipped specs, random ones.

python benchmarks/arguments.py                   all specs, with all variants
python benchmarks/arguments.py resnet50 vae      these
python benchmarks/arguments.py --random 1000 0   random specs, from the seed 0 on
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import torch

from archspec import shelf
from archspec.network import Program, load, loads
from archspec.text.faults import SpecError

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))


def drawn(count: int, first: int) -> Iterator[tuple[str, Program]]:
    from random_specs import from_seed

    for seed in range(first, first + count):
        try:
            yield f"seed {seed}", loads(from_seed(seed))
        except SpecError:
            continue


def shipped(names: list[str]) -> Iterator[tuple[str, Program]]:
    for name in names or shelf.names():
        for variant in (None, *load(name).spec.variants):
            yield variant or name, load(name, variant)


def main(programs: Iterator[tuple[str, Program]]) -> None:
    from arguments import lies

    tally: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        for spec in (ROOT / "specs").glob("*.yaml"):
            shutil.copy(spec, folder)
        for title, program in programs:
            tally["networks"] += 1
            for wrong in lies(program, Path(folder)):
                tally["lies" if wrong else "honest"] += 1
                if wrong:
                    print(f"{title}: {wrong}", flush=True)
    print(dict(tally))


if __name__ == "__main__":
    import stand_ins

    OPS = stand_ins.declare()  # of torchvision, where they do not load beside this torch
    import torchvision.ops  # noqa: F401

    stand_ins.allow()
    torch.set_num_threads(1)
    given = [a for a in sys.argv[1:] if not a.startswith("-")]
    if "--random" in sys.argv:
        count, first, *_ = [*map(int, given), 0]
        main(drawn(count, first))
    else:
        main(shipped(given))
