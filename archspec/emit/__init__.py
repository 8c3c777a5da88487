"""Graph → PyTorch source: what a good engineer writes by hand, standing without archspec."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from archspec.emit.check import verify
from archspec.emit.lower import Lowering
from archspec.emit.torch_code import TORCHVISION, source
from archspec.emit.witnesses import Elaborate, lower
from archspec.expand.tree import Instance
from archspec.language import Init


def emit(
    root: Instance, name: str, origin: str, elaborate: Elaborate, init: Init | None = None
) -> str:
    """The text of a Python file that defines the network.

    `elaborate` expands the network again with some params changed (None where that has faults):
    its answers are the witnesses by which a param stays a constructor argument. `init` are the
    document's rules for initial values.
    """
    lowering = lower(root, name, elaborate, init)
    text = _file(lowering, origin)
    verify(text)
    return text


# ---------------------------------------------------------------- the file


def _file(lowering: Lowering, origin: str) -> str:
    body = "\n\n\n".join("\n".join(c.lines) for c in lowering.order)
    written = f" from {origin}" if re.fullmatch(r"[A-Za-z0-9_. -]{1,60}", origin) else ""
    parts = [f'"""{lowering.title}: written by archspec{written}."""']
    needed = _needed(body, source())
    text = "\n\n\n".join([*(source()[n] for n in needed), body])
    parts.append(_imports(text, needed))
    return "\n\n".join(parts) + "\n\n\n" + text + "\n"


def _needed(body: str, definitions: Mapping[str, str]) -> list[str]:
    """The definitions that the text needs, and those that these need."""
    found: set[str] = set()
    queue = [body]
    while queue:
        words = set(re.findall(r"[A-Za-z_]\w*", queue.pop()))
        more = [n for n in definitions if n in words and n not in found]
        found.update(more)
        queue += [definitions[n] for n in more]
    return [n for n in definitions if n in found]


def _imports(text: str, needed: Sequence[str]) -> str:
    words = set(re.findall(r"[A-Za-z_]\w*", text))
    standard = ["import math"] if "math" in words else []
    if "OrderedDict" in words:
        standard.append("from collections import OrderedDict")
    torch = ["import torch"] if "torch" in words else []
    torch.append(f"from torch import {', '.join(n for n in ('Tensor', 'nn') if n in words)}")
    norms = [n for n in ("spectral_norm", "weight_norm") if n in words]
    if norms:
        torch.append(f"from torch.nn.utils.parametrizations import {', '.join(norms)}")
    ops = [op for n, op in TORCHVISION.items() if n in needed]
    if ops:  # it has no types
        names = ", ".join(ops)
        torch.append(f"from torchvision.ops import {names}  # type: ignore[import-untyped]")
    return "\n\n".join("\n".join(group) for group in (standard, torch) if group)
