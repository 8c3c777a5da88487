"""What is emitted of random specs: weights and outputs against the interpreter of the graph."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import stand_ins
import torch
from random_specs import from_seed
from test_random_specs import check_other_sizes, check_outputs

from archspec.emit.lowering.network import class_name
from archspec.module import compare
from archspec.network import Program, loads
from archspec.text.faults import SpecError

stand_ins.torchvision()


def module_class(text: str, program: Program) -> Any:
    """The class that a text defines."""
    names: dict[str, Any] = {"__name__": "emitted"}
    exec(compile(text, f"<{program.name}>", "exec"), names)
    return names[class_name(program.name)]


def said(program: Program, text: str, *, run: bool) -> str:
    """What comes of a text: its weights against the graph's, and where asked its outputs."""
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
        kind = "DIFFERS" if isinstance(failed, AssertionError) else "FAILS"
        return f"{kind}: {type(failed).__name__}: {str(failed)[:150]}"
    return "outputs equal"


def trial(seed: int, folder: Path) -> Iterator[str]:
    try:
        program = loads(from_seed(seed))
    except SpecError:
        yield "no spec"
        return
    try:
        yield said(program, program.code, run=True)
    except Exception as failed:
        yield f"REFUSED: {type(failed).__name__}: {str(failed)[:70]}"
