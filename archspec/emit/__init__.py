"""Tree → PyTorch source: what a good engineer writes by hand, standing without archspec.

    blocks:                                  class Unit(nn.Sequential):
      Unit:                                      def __init__(self, in_channels: int, out: int)…:
        params: {out: ~}              →              super().__init__()
        body: [{conv: {out: $out,                    self.conv1 = nn.Conv2d(in_channels, out, 3)
                       kernel: 3}}, relu]            self.relu1 = nn.ReLU()
    body:                                    …
      - {id: stage, repeat: 2,               self.stage = nn.Sequential(Unit(3, out=8), …)
         Unit: {out: $(8 * (loop.index + 1))}}

A block is a class, and its body is walked once for all of its instances at the same time: each is a
row of what the class's names are worth there. Arguments are worked out with numbers that remember
where they come from (`archspec.expressions.sym`); the expression is written where it is right in
every row (docs/emission.md).

To read: in `lowering`, `network` decides which params of the network stay arguments, `whole` which
instances one class can serve, `root`, `blocks` and `groups` what it takes; `classes` writes it,
`walk` and `sinks` what is in it, `modules` and `calls` how layers and blocks are called. `forward`,
`tidy` and `text` turn that into the text of a class, `check` lets nothing through that emission
does not write, and `proof` nothing that is not the graph. `trace` shows what was decided.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from archspec.emit.check import Declared, Gate
from archspec.emit.lowering.network import lower
from archspec.emit.lowering.whole import Whole
from archspec.emit.proof import UnprovenError, prove
from archspec.emit.torch_code import TORCHVISION, source
from archspec.expand.again import Again
from archspec.language import Init

if TYPE_CHECKING:
    from archspec.expand.running import Elsewhere

__all__ = ["UnprovenError", "emit"]


def emit(
    again: Again, name: str, origin: str, init: Init | None, elsewhere: Elsewhere | None
) -> str:
    """The text of a Python file that defines the network.

    `again` expands the network and its blocks at other values: its answers are the witnesses by
    which a param stays a constructor argument. `init` are the document's rules for initial values.
    `elsewhere` is the network at other sizes of its free axes, if it has any.
    Raises UnprovenError where the text is not the graph: a defect of archspec.
    """
    gate = Gate(*_written(again, name, origin, init))
    prove(gate.reading, again.root, elsewhere)
    gate.close()
    return gate.text


# ---------------------------------------------------------------- the file


def _written(again: Again, name: str, origin: str, init: Init | None) -> tuple[str, Declared]:
    """The text, and what it names; all else that lowering made is gone before the proof."""
    with again.forgotten():
        whole = lower(again, name, init)
    return _file(whole, origin), Declared(whole.imported, whole.functions)


def _file(lowering: Whole, origin: str) -> str:
    body = "\n\n\n".join("\n".join(c.lines) for c in lowering.order)
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
