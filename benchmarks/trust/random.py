"""Random valid specs: what is predicted is what torch does, and what is written stands alone.

Of each: weights and buffers by name, totals, outputs to the bit in evaluation and training, other
sizes of free axes, multiply-accumulates; gradients are there and finite where the graph leads to
them; what autograd keeps. Every tenth is run in a fresh process that has no archspec and no YAML,
every fifteenth exported by torch.export and read back.

What is kept is what a sample more takes. Left out are ops whose kernels keep a workspace, which is
mostly padding where tensors are small, and weights that are made of others anew.
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
from saved import of_a_sample
from test_random_specs import check, inputs_of
from torch import Tensor

from archspec.emit.lowering.network import class_name
from archspec.module import build
from archspec.module.exchange import ExportError, export
from archspec.network import Program
from archspec.text.faults import SpecError

OPS = stand_ins.declare()  # of torchvision, where they do not load beside this torch
import torchvision.ops  # noqa: E402, F401

stand_ins.allow()

_ALONE, _EXPORTED = 10, 15  # each so manieth seed
# Keeps what it likes: a workspace that is mostly padding, or one mask for all samples.
_PADDED = frozenset({"lstm", "attention"})

_FRESH = """
import sys
sys.modules["archspec"] = sys.modules["yaml"] = None
import torch
import net
given = torch.load("given.pt")
module = net.{name}().eval()
module.load_state_dict(given["state"])
with torch.no_grad():
    torch.save(module(*given["inputs"]), "out.pt")
"""


def trial(seed: int, folder: Path) -> Iterator[str]:
    text = from_seed(seed)
    try:
        program = check(text)
    except SpecError as error:
        yield f"refused by {error.faults[0].code}"
        return
    except Exception as failed:
        yield f"DIFFERS: {type(failed).__name__}: {str(failed)[:200]}"
        return
    yield "right"
    torch.manual_seed(0)
    module = build(program)
    yield from backward(program, module)
    yield from keeps(program, module)
    if seed % _ALONE == 0:
        yield alone(program, module, folder)
    if seed % _EXPORTED == 0:
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
    outs = [t for t in tensors(module(*inputs_of(program, "cpu").values())) if t.requires_grad]
    if not outs:
        return
    try:
        sum(t.sum() for t in outs).backward()  # type: ignore[union-attr]
    except Exception as failed:
        yield f"BACKWARD: {type(failed).__name__}: {str(failed)[:200]}"
        return
    gone = [n for n, p in module.named_parameters() if p.requires_grad and p.grad is None]
    yield f"UNREACHED: {gone[:3]}" if gone else "backward"


def keeps(program: Program, module: Any) -> Iterator[str]:
    """What is said to be kept of a sample, against torch."""
    layers = [node.layer for node in program.graph.steps if node.layer is not None]
    ops = {layer.op for layer in layers}
    if ops & _PADDED or any(getattr(layer, "reparam", None) for layer in layers):
        return
    said = program.analysis.totals.saved_bytes
    found = of_a_sample(module, lambda n: list(inputs_of(program, "cpu", n).values()))
    if said == found:
        yield "kept to the byte"
    elif found and abs(said - found) <= 0.05 * found:
        yield "kept within 5 %"
    else:
        yield f"KEPT: {said} said, {found:.0f} by torch: {', '.join(sorted(ops))}"


def alone(program: Program, module: Any, folder: Path) -> str:
    """Its source in a process without archspec: the same outputs to the bit."""
    module.eval()
    inputs = list(inputs_of(program, "cpu").values())
    (folder / "net.py").write_text(program.code, encoding="utf-8")
    torch.save({"state": module.state_dict(), "inputs": inputs}, folder / "given.pt")
    call = [sys.executable, "-c", _FRESH.format(name=class_name(program.name))]
    done = subprocess.run(call, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:]
        return "needs torchvision" if "torchvision" in done.stderr else f"ALONE: {last}"
    with torch.no_grad():
        ours = [*tensors(module(*inputs))]
    theirs = [*tensors(torch.load(folder / "out.pt"))]
    same = all(
        torch.equal(a.nan_to_num(), b.nan_to_num()) for a, b in zip(ours, theirs, strict=True)
    )
    return "alone to the bit" if same else "ALONE: other outputs"


def exported(program: Program, module: Any, folder: Path) -> str:
    """By torch.export, read back and compared by `export` itself."""
    try:
        export(module, folder / "net.pt2")
    except ExportError as error:
        return f"not exported, {error.code}"
    except Exception as failed:
        return f"EXPORT: {type(failed).__name__}: {str(failed)[:200]}"
    return "exported"
