"""`compile` of networks that are written out: at most 4 kB an op above what `check` takes.

A seed is a way to write a network, and a size: first all ways with 12,000 ops, then with 5,000,
9,900, 2,000 and others. Networks of up to 10,000 nodes are tried at other values of their params
as well. The peaks are those of a process: `check` may take 14 kB an op, most of which lives on in
the Program (its graph, its shapes, the place of every item). Of a network that is not large, what a
process takes once is left out: it would be most of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import archspec
from archspec.emit.lowering.network import WITNESSED
from archspec.limits import Limits
from benchmarks.trust import apart
from benchmarks.trust.bounds import megabytes

CHECK, COMPILE = 14.0, 4.0  # kB an op; of unlike blocks a fourth of each definition too
SIZES = (12_000, 5_000, 9_900, 2_000, 50_000, 100_000)  # below and above what is tried (WITNESSED)
LIMITS = Limits(file_bytes=64 << 20, project_bytes=64 << 20)
SMALL = "spec: 1\nname: t\ninput: [8, 4, 4]\nparams: {w: 4}\nbody: [{conv: {out: $w, kernel: 1}}]\n"
BLOCK = """\
blocks:
  B:
    params: {w: required, k: 1}
    body:
    - {conv: {out: $w, kernel: $k, padding: $(k // 2)}}
    - batch_norm
    - relu
    - {conv: {out: $w, kernel: 1}}
"""
REPEAT = """\
body:
- id: s
  repeat: @
  body:
  - conv: {out: $(4 + loop.index * 7 % 13), kernel: $(1 + 2 * (loop.index * 5 % 3)), padding: same}
  - {relu: , when: $(loop.index % 5 != 2)}
"""


def _pair(place: int) -> list[str]:
    """A conv and what follows it, unlike those near it."""
    reach = place * 5 % 3
    conv = f"out: {4 + place * 7 % 13}, kernel: {1 + 2 * reach}, padding: {reach}"
    return [f"- conv: {{{conv}}}", f"- {('relu', 'gelu', 'silu')[place % 3]}"]


def chain(ops: int) -> str:
    return "body:\n" + "\n".join(line for k in range(ops // 2) for line in _pair(k))


def sequential(ops: int) -> str:
    """Groups of a hundred."""
    lines = ["body:"]
    for first in range(0, ops // 2, 50):
        lines += [f"- id: g{first}", "  sequential:"]
        lines += [f"  {line}" for k in range(first, first + 50) for line in _pair(k)]
    return "\n".join(lines)


def repeat(ops: int) -> str:
    return REPEAT.replace("@", str(ops * 5 // 9))


def blocks(ops: int) -> str:
    calls = (f"- B: {{w: {4 + k * 7 % 13}, k: {1 + 2 * (k * 5 % 3)}}}\n" for k in range(ops // 4))
    return f"{BLOCK}body:\n{''.join(calls)}"


def branches(ops: int) -> str:
    lines = ["body:"]
    for k in range(ops // 5):
        one, two = f"conv: {{out: {2 + k * 7 % 13}, kernel: 1}}", "conv: {out: 3, kernel: 1}"
        lines += [f"- branches: [{{{one}}}, [{{{two}}}, relu], []]", "  merge: concat", f"- {two}"]
    return "\n".join(lines)


def one_sequential(ops: int) -> str:
    """Of all modules, which have names."""
    lines = ["body:", "- id: g", "  sequential:"]
    for k in range(ops // 2):
        conv, act = (line.removeprefix("- ") for line in _pair(k))
        lines += [f"  - {{id: a{k}, {conv}}}", f"  - {{id: b{k}, {act}: }}"]
    return "\n".join(lines)


def free_axes(ops: int) -> str:
    return chain(ops)


def unlike_blocks(ops: int) -> str:
    lines = ["blocks:"]
    for k in range(ops // 4):
        lines += [f"  B{k}:", "    params: {w: required, k: 1}", "    body:"]
        lines += ["    - conv: {out: $w, kernel: $k, padding: $(k // 2)}", "    - batch_norm"]
        lines += [f"    {line}" for line in _pair(k)]
    calls = (f"- B{k}: {{w: {4 + k * 7 % 13}, k: {1 + 2 * (k % 2)}}}" for k in range(ops // 4))
    return "\n".join([*lines, "body:", *calls])


def outputs(ops: int) -> str:
    """One behind each conv."""
    named = ", ".join(f"o{k}: c{k}" for k in range(ops // 2))
    lines = [f"outputs: {{{named}}}", "body:"]
    for k in range(ops // 2):
        conv, act = _pair(k)
        lines += [f"- {{id: c{k}, {conv.removeprefix('- ')}}}", act]
    return "\n".join(lines[:-1])


def weights(ops: int) -> str:
    """Which begin with other values each, and of which half are frozen."""
    lines = ["body:"]
    for k in range(ops // 2):
        conv, act = _pair(k)
        lines += [conv, f"  init: {{weight: {{normal: {{std: 0.0{1 + k % 7}}}}}}}"]
        lines += ["  freeze: true", act] if k % 2 else [act]
    return "\n".join(lines)


def _widths(count: int) -> str:
    return "params:\n" + "".join(f"  w{k}: {4 + k * 7 % 13}\n" for k in range(count))


def widths(ops: int) -> str:
    """A param each."""
    pairs = (
        f"- conv: {{out: $w{k}, kernel: 1}}\n- {('relu', 'gelu', 'silu')[k % 3]}\n"
        for k in range(ops // 2)
    )
    return f"{_widths(ops // 2)}body:\n{''.join(pairs)}"


def few_widths(ops: int) -> str:
    """Of thirty params."""
    pairs = (f"- conv: {{out: $w{k % 30}, kernel: 1}}\n- relu\n" for k in range(ops // 2))
    return f"{_widths(30)}body:\n{''.join(pairs)}"


def conditions(ops: int) -> str:
    """A param each, which decides what there is."""
    pairs = (
        f"- conv: {{out: $w{k}, kernel: 1}}\n- {{relu: , when: $(w{k} < 18)}}\n"
        for k in range(ops // 2)
    )
    return f"{_widths(ops // 2)}body:\n{''.join(pairs)}"


def rates(ops: int) -> str:
    """A param each, which is no whole number."""
    params = "".join(f"  p{k}: 0.{1 + k % 8}\n" for k in range(ops // 2))
    pairs = (
        f"- conv: {{out: {4 + k * 7 % 13}, kernel: 1}}\n- dropout: $p{k}\n" for k in range(ops // 2)
    )
    return f"params:\n{params}body:\n{''.join(pairs)}"


def widths_of_blocks(ops: int) -> str:
    calls = (f"- B: {{w: $w{k}, k: {1 + 2 * (k * 5 % 3)}}}\n" for k in range(ops // 4))
    return f"{_widths(ops // 4)}{BLOCK}body:\n{''.join(calls)}"


def widths_of_unlike_blocks(ops: int) -> str:
    count = ops // 4
    lines = [_widths(count), "blocks:"]
    for k in range(count):
        conv, act = _pair(k)
        lines += [f"  B{k}:", "    params: {w: required, k: 1}", "    body:"]
        lines += ["    - conv: {out: $w, kernel: $k, padding: $(k // 2)}", "    - batch_norm"]
        lines += [f"    {conv}", f"    {act}"]
    calls = (f"- B{k}: {{w: $w{k}, k: {1 + 2 * (k * 5 % 3)}}}" for k in range(count))
    return "\n".join([*lines, "body:", *calls])


def grouped_widths(ops: int) -> str:
    """A param each, in groups in groups."""
    lines = ["body:"]
    for k in range(ops // 8):
        lines += [f"- id: g{k}", "  sequential:"]
        for w in (2 * k, 2 * k + 1):
            lines += [f"  - id: h{w % 2}", "    sequential:"]
            lines += [f"    - conv: {{out: $w{w}, kernel: 1}}", "    - relu"]
            lines += [f"    {line}" for line in _pair(w)]
    return _widths(ops // 4) + "\n".join(lines)


def fixed_widths(ops: int) -> str:
    """A param each, of which no other value is accepted."""
    pairs = (
        f"- conv: {{out: 12, kernel: 1, groups: $(1 if w{k} == {4 + k * 7 % 13} else 5)}}\n- relu\n"
        for k in range(ops // 2)
    )
    return f"{_widths(ops // 2)}body:\n- conv: {{out: 12, kernel: 1}}\n{''.join(pairs)}"


WAYS: tuple[Callable[[int], str], ...] = (
    chain, sequential, repeat, blocks, branches, one_sequential, free_axes, unlike_blocks, outputs,
    weights, widths, few_widths, conditions, rates, widths_of_blocks, widths_of_unlike_blocks,
    fixed_widths, grouped_widths,
)  # fmt: skip


def _measured(write: Callable[[int], str], size: int) -> Iterator[str]:
    sizes = "{H: 16}, {W: 16}" if write is free_axes else "16, 16"
    text = f"spec: 1\nname: t\ninput: [8, {sizes}]\n{write(size)}\n"
    if size <= WITNESSED:
        archspec.loads(SMALL).code  # noqa: B018 (for what it takes)
    before = megabytes()
    program = archspec.loads(text, limits=LIMITS)
    program.warnings  # noqa: B018
    checked = megabytes()
    program.code  # noqa: B018
    compiled = megabytes()
    ops = len(program.graph.steps) / 1e3
    check, more = (checked - before) / ops * 1.048576, (compiled - checked) / ops * 1.048576
    said = f"{write.__name__}, {size:,} ops, {check:.1f} kB each to check and {more:.1f} to compile"
    yield f"LARGE: {said}" if check > CHECK or more > COMPILE else said


def trial(seed: int, folder: Path) -> Iterator[str]:
    size, way = divmod(seed, len(WAYS))
    yield from apart(lambda: _measured(WAYS[way], SIZES[size % len(SIZES)]), 600, 8000)
