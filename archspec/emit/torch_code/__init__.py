"""Torch code that torch.nn lacks → its text, for the emitted files that use it.

`modules.py` and `detection.py` are code as any other: linted, typed, imported by tests and tried
against torch. Emission needs no torch, so it reads these files and never imports them:

    source()["Abs"]        class Abs(nn.Module):
                               \"""The absolute value.\"""
                               …

What is defined there stands alone. It may use `math`, `torch`, `Tensor`, `nn`, what is defined
above it, and of torchvision what `TORCHVISION` names.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

# What a definition takes from torchvision.ops.
TORCHVISION = {"Nms": "nms", "RoiAlign": "roi_align"}

# ruff's format puts two empty lines after a definition, and nowhere inside of one
_DEFINITION = re.compile(r"^(?:class|def) (\w+).*?(?=\n\n\n|\n\Z)", re.MULTILINE | re.DOTALL)
_BASE = re.compile(r"class \w+\((.+)\):")


@cache
def source() -> dict[str, str]:
    """The text of each definition by name; a definition uses only what stands above it."""
    found: dict[str, str] = {}
    for name in ("modules.py", "detection.py"):
        text = Path(__file__).with_name(name).read_text("utf-8")
        found.update((match[1], match[0]) for match in _DEFINITION.finditer(text))
    return found


@cache
def bases() -> dict[str, str]:
    """What each of the classes is derived from, first: `nn.Conv2d` of `Conv2dSame`."""
    heads = ((name, _BASE.match(text)) for name, text in source().items())
    return {name: head[1].partition(",")[0] for name, head in heads if head is not None}


@cache
def taken() -> frozenset[str]:
    """The names of what may stand above the classes of a spec: no class is called so."""
    return frozenset({*source(), "Tensor", "OrderedDict", "Self"})
