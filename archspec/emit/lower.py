"""Instances → classes: each spec body is walked once, in lockstep over all its instances.

    layer1.0  Bottleneck {width: 64}          class Bottleneck, which is called with
    layer1.1  Bottleneck {width: 64}    →       in_channels 64, 256, 256, …
    layer2.0  Bottleneck {width: 128}           width 64, 64, 128, …

The sections are the subjects of that walk; each is given those that it builds on (`engine.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from archspec.emit.blocks import Blocks
from archspec.emit.calls import Calls
from archspec.emit.chain import Chains
from archspec.emit.classes import Classes
from archspec.emit.conditions import Conditions
from archspec.emit.engine import Group, Part
from archspec.emit.explain import Row
from archspec.emit.groups import Groups
from archspec.emit.inits import Inits
from archspec.emit.items import Items
from archspec.emit.loops import Loops
from archspec.emit.merges import Merges
from archspec.emit.repeats import Repeats
from archspec.emit.signatures import Signatures
from archspec.emit.torch_code import taken
from archspec.emit.unit import ClassInfo, plain
from archspec.expand.tree import Instance
from archspec.language import Init


class Lowering:
    """All classes of one file.

    `roots` are witnesses of the same network; `kept` are its params that stay arguments.
    """

    def __init__(
        self, roots: list[Instance], title: str, kept: Sequence[str], rules: Init | None = None
    ) -> None:
        self.roots, self.title, self.kept = roots, title, tuple(kept)
        self.group_of: dict[int, Group] = {}  # by id of an instance
        self.frames: dict[int, Any] = {}  # by id of a copy or of a branch's body
        self.consumers: dict[int, set[int]] = {}  # id of a value -> who reads it
        self.paths: dict[int, tuple[str, ...]] = {}  # of copies, from their instance
        self.order: list[ClassInfo] = []  # what is written so far
        self.finished: set[int] = set()  # classes of blocks that are done, and of groups in them
        self.mark = 0  # where the classes of the block that is being written begin
        self.class_names: set[str] = set()
        self.root_type = ""  # what the network's forward returns
        self.numbers: dict[str, str] = {}  # the network's params that are numbers, and why

        # each section is given those that it builds on
        conditions, inits = Conditions(self), Inits(self, rules or {})
        calls = Calls(self, conditions)
        signatures = Signatures(self, conditions, calls)
        self.blocks = Blocks(self, inits)
        chains = Chains(self, calls, conditions, inits, signatures)
        loops = Loops(self, chains)
        groups = Groups(self, self.blocks, calls, chains, inits, signatures)
        merges = Merges(self, calls, chains, conditions, groups)
        repeats = Repeats(self, calls, chains, conditions, groups, loops, signatures)
        items = Items(self, calls, conditions, groups, inits, merges, repeats)
        # and comes to the others by these
        self.call_block, self.class_of = signatures.block, self.blocks.class_of
        self.write_class = Classes(self, chains, inits, items, merges).write_class
        self.body, self.copy, self.apply = items.body, items.copy, items.apply
        self.merged, self.outlined = merges.merged, groups.outlined
        self.chain_repeat = loops.chain_repeat
        self.blocks.collect()

    def root(self) -> ClassInfo:
        """Writes the network's own class, and before it all that it calls."""
        first = self.roots[0]
        rows = [
            Row({k: plain(v) for k, v in r.args.items()}, {}, n) for n, r in enumerate(self.roots)
        ]
        self.class_names.add(self.title)
        unit = self.blocks.unit(rows, self.roots, root=True)
        info = ClassInfo(self.title, first.block, declared=tuple(first.block.params))
        info.values = {id(first): dict(first.args)}
        outputs = {n: [r.outputs[n] for r in self.roots] for n in first.outputs}
        unit.listed = frozenset(n for n, v in first.outputs.items() if isinstance(v, tuple))
        self.root_type = _root_type(first, unit.listed)
        parts = [Part(r, i.body) for r, i in zip(rows, self.roots, strict=True)]
        inputs = [list(i.inputs.values()) for i in self.roots]
        defaults = {p: rows[0].py[p] for p in self.kept}
        self.write_class(
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


def class_name(name: str) -> str:
    """`vgg16_bn` → `Vgg16Bn`; never what a class of the file's head is called."""
    title = "".join(part[:1].upper() + part[1:] for part in name.split("_"))
    return f"{title}Network" if not title or title in taken() else title
