"""One token of an emitted text changed at random, many times: is each refused, or does the same?

Twenty mutants a seed. One that the proof lets pass and that torch tells apart is a hole. One that
is refused and does the same (a module without weights under another name, a window of which nothing
is left) is counted as `strict`.

Then a number in place of each size that forward reads, which is right at the spec's own sizes: the
proof has to refuse it at others, unless torch gives the same there.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mutants import difference, mutants, network, with_fixed_sizes
from random_specs import from_seed
from torch import nn

from archspec.emit.check import UnsafeTextError, verify
from archspec.emit.proof import UnprovenError, prove
from archspec.expand.running import Elsewhere
from archspec.network import Program, loads
from archspec.text.faults import SpecError

COUNT = 20  # mutants of a spec


def passes(program: Program, text: str, there: Elsewhere | None) -> bool | None:
    """Whether a text is taken for the network, `there` too; None where the gate has it already."""
    try:
        prove(verify(text), program.graph.root, there)
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


def trial(seed: int, folder: Path) -> Iterator[str]:
    try:
        program = loads(from_seed(seed))
    except SpecError:
        return
    right = network(program.code)
    for mutant, change in mutants(program.code, seed, COUNT):
        passed = passes(program, mutant, program.elsewhere)
        if passed is None:
            yield "refused by the gate"
            continue
        other = difference(mutant, right, program)
        if passed and other:
            yield f"HOLE: {change}: {other}"
        else:
            yield {(True, False): "the same", (False, False): "strict"}.get(
                (passed, bool(other)), "refused"
            )
    for texts in with_fixed_sizes(program.code):
        here = next((t for t in texts if passes(program, t, None)), None)
        if here is not None:
            yield at_other_sizes(program, here, right)
