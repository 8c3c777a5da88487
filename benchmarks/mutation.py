"""One token of an emitted text changed at random, many times: is each refused, or does the same?

    python benchmarks/mutation.py            20 mutants of each of 300 random specs
    python benchmarks/mutation.py 1000 50    50 of each of 1,000

A mutant that the proof lets pass and that torch tells apart is a hole: it is printed, and the exit
code is 1. One that is refused and does the same (a module without weights under another name, a
window of which nothing is left) is counted as `strict`.

Then a number in place of each size that forward reads, which is right at the spec's own sizes: the
proof has to refuse it at others, unless torch gives the same there.
"""

from __future__ import annotations

import ast
import sys
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from mutants import difference, mutants, network, with_fixed_sizes
from random_specs import from_seed
from torch import nn

from archspec.emit.check import UnsafeTextError, verify
from archspec.emit.proof import UnprovenError, prove
from archspec.expand.running import Elsewhere
from archspec.network import Program, loads
from archspec.text.faults import SpecError


def passes(program: Program, text: str, there: Elsewhere | None) -> bool | None:
    """Whether a text is taken for the network, `there` too; None where the gate has it already."""
    try:
        tree: ast.Module = verify(text)
        prove(tree, text, program.graph.root, there)
    except (SyntaxError, UnsafeTextError):
        return None
    except UnprovenError:
        return False
    return True


def at_other_sizes(program: Program, text: str, right: type[nn.Module]) -> str:
    """What comes of a text that is the network at the spec's own sizes, and has one as a number."""
    there = program.elsewhere
    if there is None or not passes(program, text, there):
        return "a size, refused at another"
    sizes = {n: list(there.type(v.type).shape) for n, v in there.root.inputs.items() if v.type}
    moved = loads(program.source.text, inputs=sizes)
    return "HOLE" if difference(text, right, moved) else "a size, the same at another"


def main() -> int:
    seeds, count = (int(n) for n in (*sys.argv[1:3], *("300", "20")[len(sys.argv) - 1 :]))
    tally: Counter[str] = Counter()
    for seed in range(seeds):
        try:
            program = loads(from_seed(seed))
        except SpecError:
            continue
        right = network(program.code)
        for mutant, change in mutants(program.code, seed, count):
            passed = passes(program, mutant, program.elsewhere)
            if passed is None:
                tally["refused by the gate"] += 1
                continue
            other = difference(mutant, right, program)
            if passed and other:
                print(f"seed {seed}: {change}: {other}")
            kinds = {(True, True): "HOLE", (True, False): "the same", (False, False): "strict"}
            tally[kinds.get((passed, bool(other)), "refused")] += 1
        for texts in with_fixed_sizes(program.code):
            here = next((t for t in texts if passes(program, t, None)), None)
            if here is not None:
                tally[at_other_sizes(program, here, right)] += 1
    print(dict(tally))
    return 1 if tally["HOLE"] else 0


if __name__ == "__main__":
    sys.exit(main())
