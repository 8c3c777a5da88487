"""Instances → classes: each spec body is walked once, in lockstep over all its instances."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from archspec.emit.blocks import Blocks
from archspec.emit.calls import Calls
from archspec.emit.chain import Chains
from archspec.emit.classes import Classes
from archspec.emit.engine import Group, Part
from archspec.emit.explain import (
    Row,
)
from archspec.emit.groups import Groups
from archspec.emit.inits import Inits
from archspec.emit.items import Items
from archspec.emit.loops import Loops
from archspec.emit.merges import Merges
from archspec.emit.repeats import Repeats
from archspec.emit.unit import ClassInfo, plain
from archspec.graph import Instance
from archspec.spec import Init


class Lowering(Blocks, Classes, Items, Merges, Groups, Repeats, Loops, Chains, Inits, Calls):
    """All classes of one file.

    `roots` are witnesses of the same network; `kept` are its params that stay arguments.
    """

    def __init__(
        self, roots: list[Instance], title: str, kept: Sequence[str], rules: Init | None = None
    ) -> None:
        super().__init__()
        self.rules, self.seen_roots = rules or {}, roots
        self.roots, self.title, self.kept = roots, title, tuple(kept)
        self.group_of: dict[int, Group] = {}
        self.frames: dict[int, Any] = {}
        self.consumers: dict[int, set[int]] = {}
        self.paths: dict[int, tuple[str, ...]] = {}
        self.order: list[ClassInfo] = []
        self.finished: set[int] = set()
        self.mark = 0
        self.class_names: set[str] = set()
        self._collect()

    def root(self) -> ClassInfo:
        """Writes the network's own class, and before it all that it calls."""
        first = self.roots[0]
        rows = [
            Row({k: plain(v) for k, v in r.args.items()}, {}, n) for n, r in enumerate(self.roots)
        ]
        self.class_names.add(self.title)
        unit = self._unit(rows, self.roots, root=True)
        info = ClassInfo(self.title, declared=tuple(first.block.params))
        outputs = {n: [r.outputs[n] for r in self.roots] for n in first.outputs}
        unit.listed = frozenset(n for n, v in first.outputs.items() if isinstance(v, tuple))
        self.root_type = _root_type(first, unit.listed)
        parts = [Part(r, i.body) for r, i in zip(rows, self.roots, strict=True)]
        inputs = [list(i.inputs.values()) for i in self.roots]
        defaults = {p: rows[0].py[p] for p in self.kept}
        self._write_class(
            unit, info, parts, inputs, list(first.inputs), outputs, defaults, first.training
        )
        self.order.append(info)
        return info


def _root_type(root: Instance, listed: frozenset[str]) -> str:
    names = [n for n in root.outputs if n not in root.training]
    value = "Tensor | list[Tensor]" if listed else "Tensor"
    if listed and listed == set(root.outputs):
        value = "list[Tensor]"
    if len(names) == 1 and not listed & set(names):
        return f"Tensor | dict[str, {value}]" if root.training else "Tensor"
    return f"dict[str, {value}]"
