"""Time a node: check, analyse and emit generated networks of 1,000 and of 100,000 nodes.

    python benchmarks/scale.py             1,000 and 100,000 nodes: check, analyse, emit
    python benchmarks/scale.py 1000000     check and analyse only, with the peak of memory

The network is a chain in which every tenth step is a pair of branches, all written out: nothing for
the compiler to share.
"""

from __future__ import annotations

import gc
import resource
import sys
import time
from itertools import pairwise

from archspec.limits import Limits
from archspec.network import loads

SIZES = (1_000, 100_000)


def chain(nodes: int) -> str:
    """A spec of about `nodes` nodes, all written out: ten a step, with branches and a residual."""
    lines = ["spec: 1", "name: chain", "input: [8, 16, 16]", "body:"]
    step = [
        "  - conv: {out: %d, kernel: 3, padding: 1}",
        "  - batch_norm",
        "  - relu",
        "  - branches: [{conv: {out: 4, kernel: 1}}, {conv: {out: 4, kernel: 3, padding: 1}}]",
        "    merge: concat",
        "  - relu",
        "  - residual: [{conv: {out: 8, kernel: 3, padding: 1}}, relu]",
    ]
    per_step = 10
    for index in range(nodes // per_step):
        lines += [line % (8 + index % 2) if "%" in line else line for line in step]
    return "\n".join(lines) + "\n"


def repeated(nodes: int) -> str:
    """The same network in one repeat, its widths from a column."""
    steps = nodes // 10
    text = chain(10).replace("out: 8, kernel: 3", "out: $width, kernel: 3", 1)
    head, _, body = text.partition("body:\n")
    inner = "".join(f"    {line}\n" for line in body.splitlines())
    columns = f'{{width: "$([8, 9] * {steps // 2})"}}'
    return f"{head}body:\n  - repeat: {columns}\n    body:\n{inner}"


def measure(text: str, *, emits: bool = True) -> tuple[int, list[float]]:
    """Nodes, and the seconds of check (read, parse, expand), analyse, emit."""
    limits = Limits(file_bytes=512 << 20, project_bytes=512 << 20, nodes=2_000_000)
    gc.collect()
    marks = [time.perf_counter()]
    program = loads(text, name="chain.yaml", limits=limits)
    marks.append(time.perf_counter())
    found = program.analysis
    _ = found.rows, found.totals, found.warnings, found.sizes
    marks.append(time.perf_counter())
    _ = program.code if emits else ""
    marks.append(time.perf_counter())
    return len(program.graph.steps), [after - before for before, after in pairwise(marks)]


def large(size: int) -> None:
    """A network of `size` nodes, repeats of 100,000 each: seconds, and the peak of memory."""
    head, _, body = repeated(min(size, SIZES[-1])).partition("body:\n")
    inner = "".join(f"    {line}\n" for line in body.splitlines())
    text = f"{head}body:\n  - repeat: {max(size // SIZES[-1], 1)}\n    body:\n{inner}"
    nodes, (check, analyse, _) = measure(text, emits=False)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20)
    print(f"{nodes:>9} nodes  check {check:.1f} s  analyse {analyse:.1f} s  peak {peak:.2f} GiB")


def main() -> None:
    if len(sys.argv) > 1:
        large(int(sys.argv[1]))
        return
    for name, write in (("written out", chain), ("one repeat", repeated)):
        per_node = []
        for size in SIZES:
            runs = [measure(write(size)) for _ in range(5 if size < 10_000 else 1)]
            nodes, spent = min(runs, key=lambda run: sum(run[1]))
            total = sum(spent)
            per_node.append(total / nodes)
            print(
                f"{name:<12} {nodes:>7} nodes  check {spent[0]:6.2f} s  analyse {spent[1]:6.2f} s  "
                f"emit {spent[2]:6.2f} s  "
                f"total {total:6.2f} s  {1e6 * total / nodes:6.1f} us a node"
            )
        print(f"{name:<12} time a node, large over small: {per_node[-1] / per_node[0]:.2f}")


if __name__ == "__main__":
    main()
