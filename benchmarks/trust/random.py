"""Random valid specs: what is predicted is what torch does, and what is written stands alone.

Of each: weights and buffers by name, totals, outputs to the bit in evaluation and training, other
sizes of free axes, multiply-accumulates; gradients are there where the graph leads to them; what
autograd keeps of a sample more. A seed is a hundred specs. Every fortieth is run in a fresh process
that has no archspec and no YAML, every fiftieth exported by torch.export and read back.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import stand_ins
import torch
from random_specs import from_seed
from saved import FEW, PAGES, of_a_sample
from test_random_specs import check, differences, inputs_of
from torch import Tensor

from archspec.emit.lowering.network import class_name
from archspec.module import build, network_class
from archspec.module.exchange import ExportError, export
from archspec.network import Program
from archspec.text.faults import SpecError
from archspec.train.norms import inputs_in_order
from benchmarks.trust import apart

stand_ins.torchvision()

COUNT = 100  # of a seed
_ALONE, _EXPORTED = 40, 50  # each so manieth

_FRESH = """
import importlib, sys
sys.modules["archspec"] = sys.modules["yaml"] = None
import torch
for name in sys.argv[1:]:
    try:
        given = torch.load(f"{name}.pt")
        module = getattr(importlib.import_module(name), given["class"])().eval()
        module.load_state_dict(given["state"])
        with torch.no_grad():
            torch.save(module(*given["inputs"]), f"{name}.out")
    except Exception as failed:
        print(f"{name} {type(failed).__name__}: {failed}".replace(chr(10), " "))
"""

Made = tuple[Program, Any]  # with its module


def trial(seed: int, folder: Path) -> list[str]:
    """In a process of its own: torch itself crashes on some of what it can make."""
    return apart(lambda: drawn(seed, folder), seconds=1200, megabytes=8000)


def drawn(seed: int, folder: Path) -> Iterator[str]:
    lone: dict[str, Made] = {}
    for number in range(seed * COUNT, (seed + 1) * COUNT):
        yield f"{number}…"
        for said in one(number, folder, lone):
            yield f"{said}, of {number}" if ":" in said else said
    yield from alone(lone, folder)


def one(number: int, folder: Path, lone: dict[str, Made]) -> Iterator[str]:
    """What comes of one spec; it is put into `lone` where it is to be run without archspec."""
    try:
        program = check(from_seed(number))
    except SpecError as error:
        yield f"refused: {error.faults[0].code}"
        return
    except Exception as failed:
        yield f"DIFFERS: {type(failed).__name__}: {str(failed)[:200]}"
        return
    yield "right"
    torch.manual_seed(0)
    module = build(program) if number % _ALONE == 0 else network_class(program)()
    yield from backward(program, module)
    yield keeps(program, module)
    if number % _ALONE == 0:
        lone[f"net{number}"] = program, module
    if number % _EXPORTED == 0:
        yield exported(program, module, folder)


def tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    for inner in value.values() if isinstance(value, dict) else ():
        yield from tensors(inner)
    for inner in value if isinstance(value, (list, tuple)) else ():
        yield from tensors(inner)


def backward(program: Program, module: Any) -> Iterator[str]:
    """Gradients of all weights, one step."""
    module.train()
    with inputs_in_order(module):  # torch's own group norm crashes otherwise, as in training
        given = module(*inputs_of(program, "cpu").values())
    outs = [t for t in tensors(given) if t.requires_grad]
    if not outs:
        return
    try:
        sum(t.sum() for t in outs).backward()  # type: ignore[union-attr]
    except Exception as failed:
        yield f"BACKWARD: {type(failed).__name__}: {str(failed)[:200]}"
        return
    gone = [n for n, p in module.named_parameters() if p.requires_grad and p.grad is None]
    yield f"UNREACHED: {gone[:3]}" if gone else "backward"


def keeps(program: Program, module: Any) -> str:
    """What is said to be kept of a sample, against torch."""
    ops = {node.layer.op for node in program.graph.steps if node.layer is not None}
    said = program.analysis.totals.saved_bytes
    few = PAGES if "lstm" in ops else FEW
    found = of_a_sample(module, lambda n: list(inputs_of(program, "cpu", n).values()), few)
    if said == found:
        return "kept to the byte"
    if found and abs(said - found) <= 0.05 * found:
        return f"kept within 5 %: {said} said, {found:.0f} by torch"
    return f"KEPT: {said} said, {found:.0f} by torch: {', '.join(sorted(ops))}"


def alone(lone: dict[str, Made], folder: Path) -> Iterator[str]:
    """Their sources in one process without archspec: the same outputs to the bit."""
    for name, (program, module) in lone.items():
        inputs = list(inputs_of(program, "cpu").values())
        given = {"state": module.eval().state_dict(), "inputs": inputs}
        torch.save({**given, "class": class_name(program.name)}, folder / f"{name}.pt")
        (folder / f"{name}.py").write_text(program.code, encoding="utf-8")
    call = [sys.executable, "-c", _FRESH, *lone]
    done = subprocess.run(call, cwd=folder, capture_output=True, text=True)
    failed = dict(line.split(" ", 1) for line in done.stdout.splitlines())
    for name, (_, module) in lone.items():
        if name in failed:
            needs = "torchvision" in failed[name]
            yield "needs torchvision" if needs else f"ALONE: {name}: {failed[name]}"
            continue
        given, out = (torch.load(folder / f"{name}.{ending}") for ending in ("pt", "out"))
        with torch.no_grad():
            same = not differences(module(*given["inputs"]), out)
        yield "alone to the bit" if same else f"ALONE: {name}: other outputs"


def exported(program: Program, module: Any, folder: Path) -> str:
    """By torch.export, read back and compared by `export` itself."""
    try:
        export(module, folder / "net.pt2")
    except ExportError as error:
        return f"not exported: {error.code}"
    except Exception as failed:
        return f"EXPORT: {type(failed).__name__}: {str(failed)[:200]}"
    return "exported"
