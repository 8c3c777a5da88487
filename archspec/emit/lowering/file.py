"""Classes → the text of a file: what they import, the definitions that torch lacks, then they.

class Net(nn.Module):          '''Net: written by archspec from net.yaml.'''
    …Conv2dSame(3, 8, 3)…  →
                               import torch
                               from torch import Tensor, nn


                               class Conv2dSame(nn.Conv2d): …


                               class Net(nn.Module): …
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from archspec.emit.lowering.whole import Whole
from archspec.emit.torch_code import TORCHVISION, source


def text_of(lowering: Whole, origin: str) -> str:
    """The file of the classes that lowering made; `origin` is the spec that it is written from.

    The lines of the classes are gone then.
    """
    body = "\n\n\n".join("\n".join(c.lines) for c in lowering.order)
    for info in lowering.order:
        info.lines = []
    written = f" from {origin}" if re.fullmatch(r"[A-Za-z0-9_. -]{1,60}", origin) else ""
    parts = [f'"""{lowering.title}: written by archspec{written}."""']
    words = _words(body)
    needed = _needed(words, source())
    text = "\n\n\n".join([*(source()[n] for n in needed), body])
    parts.append(_imports(words, needed, lowering.imported))
    return "\n\n".join(parts) + "\n\n\n" + text + "\n"


def _words(text: str) -> set[str]:
    """The names in a text; those of functions that it is given a copy of, where they are called.

    An item may be called `shift_mask` too.
    """
    called = set(re.findall(r"(?<![\w.])(\w+)\(", text))
    words = set(re.findall(r"[A-Za-z_]\w*", text))
    return {w for w in words if w in called or not w.islower() or w not in source()}


def _needed(words: set[str], definitions: dict[str, str]) -> list[str]:
    """The definitions that the text needs, and those that these need; their words come to it."""
    found: list[str] = []
    for name in reversed(definitions):  # each uses only what stands above it
        if name in words:
            found.append(name)
            words |= _words(definitions[name])
    return found[::-1]


def _imports(words: set[str], needed: Sequence[str], modules: Mapping[str, str]) -> str:
    standard = [f"import {name}" for name in ("functools", "math") if name in words]
    if "OrderedDict" in words:
        standard.append("from collections import OrderedDict")
    if "Sequence" in words:
        standard.append("from collections.abc import Sequence")
    if "Self" in words:
        standard.append("from typing import Self")
    torch = ["import torch"] if "torch" in words else []
    torch.append(f"from torch import {', '.join(n for n in ('Tensor', 'nn') if n in words)}")
    norms = [n for n in ("spectral_norm", "weight_norm") if n in words]
    if norms:
        torch.append(f"from torch.nn.utils.parametrizations import {', '.join(norms)}")
    ops = [op for n, op in TORCHVISION.items() if n in needed]
    if ops:  # it has no types
        names = ", ".join(ops)
        torch.append(f"from torchvision.ops import {names}  # type: ignore[import-untyped]")
    own = _of_packages({dotted: title for dotted, title in modules.items() if title in words})
    return "\n\n".join("\n".join(group) for group in (standard, torch, own) if group)


def _of_packages(modules: Mapping[str, str]) -> list[str]:
    """`from my_package.quantiser import VectorQuantiser`."""
    found: dict[str, list[str]] = {}
    for dotted, title in sorted(modules.items()):
        package, _, name = dotted.rpartition(".")
        found.setdefault(package, []).append(name if name == title else f"{name} as {title}")
    return [f"from {package} import {', '.join(names)}" for package, names in found.items()]
