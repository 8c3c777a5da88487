"""What is emitted: right, how long, in what time; for every shipped spec, or for random ones.

python benchmarks/emission.py                 all specs, with all variants: weights, lines, time
python benchmarks/emission.py resnet50 vae    these
python benchmarks/emission.py --run           small networks against the graph's interpreter too
python benchmarks/emission.py --random 600 0  random specs, from the seed 0 on; at the sizes that
                                              they are made for, and at others of free axes
"""

from __future__ import annotations

import sys
import time
import traceback
from collections import Counter
from pathlib import Path
from typing import Any

import torch

from archspec import shelf
from archspec.emit.lowering.network import class_name
from archspec.module import compare
from archspec.network import Program, load, loads
from archspec.text.faults import SpecError

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
LARGEST = 40e6  # parameters of a network whose outputs are compared
MOST = 3e5  # numbers in its inputs


def emitted(program: Program) -> tuple[str, float]:
    """The text, and the seconds of processor time it took."""
    fresh = program.with_()
    assert fresh.graph is not None
    begin = time.process_time()
    text = fresh.code
    return text, time.process_time() - begin


def module_class(text: str, program: Program) -> Any:
    """The class that a text defines."""
    names: dict[str, Any] = {"__name__": "emitted"}
    exec(compile(text, f"<{program.name}>", "exec"), names)
    return names[class_name(program.name)]


def said(program: Program, text: str, *, run: bool) -> str:
    """What comes of a text: its weights against the graph's, and where asked its outputs."""
    from test_random_specs import check_other_sizes, check_outputs

    try:
        made = module_class(text, program)
        with torch.device("meta"):
            compare(made(), program)
        if not run:
            return "weights equal"
        torch.manual_seed(0)
        module = made()
        check_outputs(program, module)
        check_other_sizes(program, module)
    except Exception as failed:
        if "-v" in sys.argv:
            print(text)
            traceback.print_exc()
        kind = "DIFFERS" if isinstance(failed, AssertionError) else "FAILS"
        return f"{kind} {type(failed).__name__}: {str(failed)[:150]}"
    return "outputs equal"


def small(program: Program) -> bool:
    return sum(w.size for _, w, _ in program.graph.weights()) < LARGEST and all(
        v.type is None or v.type.size <= MOST for v in program.graph.root.inputs.values()
    )


def shipped(names: list[str], *, run: bool) -> None:
    tally: Counter[str] = Counter()
    lines, seconds = 0, 0.0
    for name in names or shelf.names():
        for variant in (None, *load(name).spec.variants):
            program = load(name, variant)
            text, took = emitted(program)
            count = sum(1 for line in text.splitlines() if line.strip())
            what = said(program, text, run=run and small(program))
            tally[what if what[0].islower() else what.split()[0]] += 1
            lines, seconds = lines + count, seconds + took
            print(f"{program.name:26} lines {count:4}  ms {1e3 * took:5.0f}  {what}", flush=True)
    print(dict(tally), f"{lines} lines, {seconds:.1f} s")


def drawn(count: int, first: int) -> None:
    from random_specs import from_seed

    tally: Counter[str] = Counter()
    for seed in range(first, first + count):
        try:
            program = loads(from_seed(seed))
        except SpecError:
            tally["no spec"] += 1
            continue
        try:
            what = said(program, program.code, run=True)
        except Exception as failed:
            what = f"REFUSED {type(failed).__name__}: {str(failed)[:70]}"
        tally[what if what[0].islower() else what.split()[0]] += 1
        if what[0].isupper():
            print(f"  {seed}: {what}", flush=True)
    print(dict(tally))


if __name__ == "__main__":
    import stand_ins

    OPS = stand_ins.declare()  # of torchvision, where they do not load beside this torch
    torch.set_num_threads(1)
    given = [a for a in sys.argv[1:] if not a.startswith("-")]
    if "--random" in sys.argv:
        drawn(int(given[0]) if given else 600, int(given[1]) if len(given) > 1 else 0)
    else:
        shipped(given, run="--run" in sys.argv)
