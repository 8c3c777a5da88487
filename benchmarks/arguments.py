"""Whether every constructor argument of emitted source is honest: all shipped specs, random ones.

python benchmarks/arguments.py                 all specs, with all variants
python benchmarks/arguments.py resnet50 vae    these
python benchmarks/arguments.py --random 1000   random specs
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))


def programs(names: list[str], count: int, first: int) -> Iterator[tuple[str, object]]:
    """What is looked at: random specs where `count` says so, else shipped ones."""
    from random_specs import from_seed

    from archspec import shelf
    from archspec.network import load, loads
    from archspec.text.faults import SpecError

    for seed in range(first, first + count):
        try:
            yield f"seed {seed}", loads(from_seed(seed))
        except SpecError:
            continue
    for name in (names or shelf.names()) if not count else ():
        for variant in (None, *load(name).spec.variants):
            yield variant or name, load(name, variant)


def main() -> None:
    import arguments

    given = [a for a in sys.argv[1:] if not a.startswith("-")]
    drawn = "--random" in sys.argv
    count, first = (*map(int, given), 0)[:2] if drawn else (0, 0)
    tally: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        for spec in (ROOT / "specs").glob("*.yaml"):
            shutil.copy(spec, folder)
        for title, program in programs([] if drawn else given, count, first):
            for kind, found in (
                ("network", arguments.lies_of_network(program)),
                ("class", arguments.lies_of_classes(program, Path(folder))),
            ):
                try:
                    for said in found:
                        tally[f"{kind} {'lies' if said else 'right'}"] += 1
                        if said:
                            print(f"{title}: {said}", flush=True)
                except Exception as failed:
                    tally[f"{kind} failed"] += 1
                    print(f"{title}: FAILED {type(failed).__name__} {str(failed)[:200]}")
    print(dict(tally))


if __name__ == "__main__":
    import stand_ins

    OPS = stand_ins.declare()  # of torchvision, where they do not load beside this torch
    torch.set_num_threads(1)
    main()
