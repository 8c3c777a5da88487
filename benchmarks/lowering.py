"""The second lowering beside the first: weights, outputs, lines and time for every shipped spec.

python benchmarks/lowering.py                 all specs, with all variants
python benchmarks/lowering.py resnet50 vae    these
python benchmarks/lowering.py --random 600    random specs against the graph's interpreter
"""

from __future__ import annotations

import os
import sys
import time
import traceback
from collections import Counter
from pathlib import Path
from typing import Any

import torch

from archspec import shelf
from archspec.emit.lower import class_name
from archspec.module import compare
from archspec.network import Program, load, loads

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
LARGEST = 40e6  # parameters of a network whose outputs are compared
MOST = 3e5  # numbers in its inputs


def code(program: Program, mode: str) -> tuple[str, float]:
    """The emitted text by a mechanism, and the seconds of processor time it took."""
    os.environ["ARCHSPEC_LOWERING"] = mode
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


def flat(found: Any) -> list[torch.Tensor]:
    if isinstance(found, torch.Tensor):
        return [found]
    parts = found.values() if isinstance(found, dict) else found
    return [t for part in parts for t in flat(part)]


def inputs(program: Program) -> list[torch.Tensor]:
    made = []
    for value in program.graph.root.inputs.values():
        kind = value.type
        assert kind is not None
        shape = (2, *kind.shape)
        if kind.dtype == "float":
            made.append(torch.randn(shape))
        else:
            whole = torch.randint(0, 2, shape)
            made.append(whole.bool() if kind.dtype == "bool" else whole)
    return made


def outputs(one: Any, two: Any, program: Program) -> str:
    """Whether two modules with the same weights compute the same, to the bit."""
    two.load_state_dict(one.state_dict())
    xs = inputs(program)
    for training in (False, True):
        results = []
        for module in (one, two):
            torch.manual_seed(1)
            module.train(training)
            with torch.no_grad():
                results.append(flat(module(*xs)))
        same = len(results[0]) == len(results[1]) and all(
            torch.equal(torch.nan_to_num(a.float()), torch.nan_to_num(b.float()))
            for a, b in zip(*results, strict=True)
        )
        if not same:
            return f"OUTPUTS DIFFER ({'training' if training else 'evaluation'})"
    return "equal to the bit"


def lines(text: str) -> int:
    return sum(1 for line in text.splitlines() if line.strip())


def one(program: Program, *, run: bool) -> tuple[str, tuple[int, int], tuple[float, float]]:
    """What came of it; lines and seconds, by the first mechanism and by the second."""
    old, before = code(program, "")
    try:
        new, after = code(program, "sym")
    except Exception as failed:
        if "-v" in sys.argv:
            traceback.print_exc()
        return f"REFUSED {type(failed).__name__}: {str(failed)[:90]}", (lines(old), 0), (before, 0)
    counts, times = (lines(old), lines(new)), (before, after)
    try:
        second = module_class(new, program)
        with torch.device("meta"):
            compare(second(), program)
    except Exception as failed:
        if "-v" in sys.argv:
            print(new)
            traceback.print_exc()
        return f"WRONG {type(failed).__name__}: {str(failed)[:150]}", counts, times
    small = sum(w.size for _, w, _ in program.graph.weights()) < LARGEST and run
    if not small or any(v.type and v.type.size > MOST for v in program.graph.root.inputs.values()):
        return "weights equal", counts, times
    torch.manual_seed(0)
    try:
        return outputs(module_class(old, program)(), second(), program), counts, times
    except Exception as failed:
        if "-v" in sys.argv:
            print(new)
            traceback.print_exc()
        return f"DOES NOT RUN {type(failed).__name__}: {str(failed)[:90]}", counts, times


def shipped(names: list[str], *, variants: bool, run: bool) -> None:
    tally: Counter[str] = Counter()
    total = [0, 0]
    for name in names or shelf.names():
        for variant in (None, *(load(name).spec.variants if variants else ())):
            program = load(name, variant)
            said, counts, times = one(program, run=run)
            tally[said.split(" ")[0] if said[0].isupper() else said] += 1
            total = [a + b for a, b in zip(total, counts, strict=True)]
            shown = f"lines {counts[0]:4} → {counts[1]:4}  "
            shown += f"ms {1e3 * times[0]:5.0f} → {1e3 * times[1]:5.0f}"
            print(f"{program.name:26} {shown}  {said}", flush=True)
    print(dict(tally), "lines", *total)


def drawn(count: int, first: int) -> None:
    from random_specs import from_seed
    from test_random_specs import check_outputs

    tally: Counter[str] = Counter()
    why: Counter[str] = Counter()
    for seed in range(first, first + count):
        try:
            program = loads(from_seed(seed))
        except Exception:
            tally["no spec"] += 1
            continue
        os.environ["ARCHSPEC_LOWERING"] = "sym"
        try:
            text = program.code
        except Exception as failed:
            tally["refused"] += 1
            why[f"{seed}: {type(failed).__name__}: {str(failed)[:70]}"] += 1
            continue
        try:
            torch.manual_seed(0)
            module = module_class(text, program)()
            compare(module, program)
            check_outputs(program, module)
        except AssertionError as wrong:
            tally["differs"] += 1
            why[f"{seed}: DIFFERS {str(wrong)[:90]}"] += 1
            continue
        except Exception as failed:
            tally["fails"] += 1
            why[f"{seed}: {type(failed).__name__}: {str(failed)[:90]}"] += 1
            continue
        tally["equal"] += 1
    print(dict(tally))
    for text, _ in why.most_common(60):
        print(" ", text)


if __name__ == "__main__":
    import stand_ins

    OPS = stand_ins.declare()  # of torchvision, where they do not load beside this torch
    torch.set_num_threads(1)
    given = [a for a in sys.argv[1:] if not a.startswith("-")]
    if "--random" in sys.argv:
        drawn(int(given[0]) if given else 600, int(given[1]) if len(given) > 1 else 0)
    else:
        shipped(given, variants="--all" in sys.argv, run="--run" in sys.argv)
