"""Graph → PyTorch source: what a good engineer writes by hand, standing without archspec."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from archspec.emit.check import verify
from archspec.emit.definitions import HEAD, TORCHVISION
from archspec.emit.explain import UnprovableError
from archspec.emit.lower import Lowering
from archspec.expand.tree import Instance
from archspec.expressions import Expr
from archspec.language import Init

WITNESSED = 10_000  # nodes: larger networks are written with all numbers in place
Elaborate = Callable[[Mapping[str, Any]], Instance | None]


def emit(
    root: Instance, name: str, origin: str, elaborate: Elaborate, init: Init | None = None
) -> str:
    """The text of a Python file that defines the network.

    `elaborate` expands the network again with some params changed (None where that has faults):
    its answers are the witnesses by which a param stays a constructor argument. `init` are the
    document's rules for initial values.
    """
    title = class_name(name)
    if os.environ.get("ARCHSPEC_LOWERING") == "sym":  # the second mechanism, while both exist
        from archspec.emit.lowering.network import lower

        with _deep():
            text = _file(lower(root, title, elaborate, init, _passed_on), origin)
            verify(text)
        return text
    kept = _witnessed(root, title, elaborate) if root.size <= WITNESSED else {}
    while True:
        lowering = Lowering(
            [root, *(w for ws in kept.values() for w in ws)], title, list(kept), init
        )
        try:
            lowering.root()
            break
        except UnprovableError:
            if not kept:
                raise
            kept.popitem()
    text = _file(lowering, origin)
    verify(text)
    return text


def class_name(name: str) -> str:
    """`vgg16_bn` → `Vgg16Bn`; never what a class of the file's head is called."""
    title = "".join(part[:1].upper() + part[1:] for part in name.split("_"))
    return f"{title}Network" if not title or title in HEAD else title


def _witnessed(root: Instance, title: str, elaborate: Elaborate) -> dict[str, list[Instance]]:
    """The params that stay arguments, with the network at two other values of each."""
    kept: dict[str, list[Instance]] = {}
    for param, value in root.args.items():
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            continue
        if isinstance(value, float) and _passed_on(root, param):
            continue
        witnesses = _others(param, value, elaborate)
        if len(witnesses) < 2:
            continue
        try:
            Lowering([root, *witnesses], title, [param]).root()
        except UnprovableError:
            continue
        kept[param] = witnesses
    return kept


def _passed_on(root: Instance, param: str) -> bool:
    """Whether a block call takes the param, or a block's default reads it.

    A factor that would go through every signature stays a number.
    """
    blocks = root.spec.blocks.values() if root.spec is not None else ()
    if any(param in names for block in blocks for names in block.inherited.values()):
        return True
    stack = list(root.block.items)
    while stack:
        item = stack.pop()
        if item.op[0].isupper() and any(
            isinstance(v, Expr) and param in v.names for v in item.args.values()
        ):
            return True
        stack += [*item.items, *(item.shortcut or ()), *(i for b in item.branches for i in b.items)]
    return False


def _others(param: str, value: float, elaborate: Elaborate) -> list[Instance]:
    steps: Sequence[float] = (
        [1.5 * value, 0.5 * value]
        if isinstance(value, float)
        else [2 * value, 3 * value, value + 1, value - 1, value // 2]
    )
    found: list[Instance] = []
    for other in dict.fromkeys(steps):
        if other == value or (isinstance(value, int) and other < 1):
            continue
        instance = elaborate({param: other})
        if instance is not None:
            found.append(instance)
        if len(found) == 2:
            break
    return found


@contextmanager
def _deep() -> Iterator[None]:
    """Python's own limit of nested calls out of the way of blocks in one another."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, _FRAMES))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


_FRAMES = 20_000

# ---------------------------------------------------------------- the file


def _file(lowering: Any, origin: str) -> str:
    from archspec.emit.definitions import DEFINITIONS, MAKE_DIVISIBLE

    definitions = {"make_divisible": MAKE_DIVISIBLE, **DEFINITIONS}
    body = "\n\n\n".join("\n".join(c.lines) for c in lowering.order)
    source = f" from {origin}" if re.fullmatch(r"[A-Za-z0-9_. -]{1,60}", origin) else ""
    parts = [f'"""{lowering.title}: written by archspec{source}."""']
    needed = _needed(body, definitions)
    text = "\n\n\n".join([*(definitions[n].strip("\n") for n in needed), body])
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
