"""Every shipped spec with its variants: weights and outputs of its source, honest arguments.

The seed is the number of the network. Outputs of small ones alone are compared.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from archspec import shelf
from archspec.network import Program, load
from benchmarks.trust.arguments import honest
from benchmarks.trust.emission import said

LARGEST = 40e6  # parameters of a network whose outputs are compared
MOST = 3e5  # numbers in its inputs


@cache
def networks() -> list[tuple[str, str | None]]:
    """Name and variant of all."""
    return [(name, one) for name in shelf.names() for one in (None, *load(name).spec.variants)]


def small(program: Program) -> bool:
    return sum(w.size for _, w, _ in program.graph.weights()) < LARGEST and all(
        v.type is None or v.type.size <= MOST for v in program.graph.root.inputs.values()
    )


def trial(seed: int, folder: Path) -> Iterator[str]:
    program = load(*networks()[seed % len(networks())])
    assert program.graph is not None  # so that the time is that of emission alone
    begin = time.process_time()
    text = program.code
    took = time.process_time() - begin
    count = sum(1 for line in text.splitlines() if line.strip())
    print(f"{program.name:26} lines {count:4}  ms {1e3 * took:5.0f}", flush=True)
    yield said(program, text, run=small(program))
    yield from honest(program, folder)
