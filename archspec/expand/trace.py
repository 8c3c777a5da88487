"""Tree → text: what expansion made of the items, to look at.

    body:                                                  [3, 8, 8] → [4]
      - {conv: {out: 4, kernel: 3}, repeat: 2}     →         conv ×2
      - global_avg_pool                                        conv1  conv {out: 4, kernel: 3} …
                                                               conv2  conv {out: 4, kernel: 3} …

A line for each item with several copies or none, and for each copy its path, what it is with its
arguments, and its shapes. A call of a block that was called alike before is not shown again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from archspec.expand.tree import Body, Copy, Instance, Value
from archspec.text.words import written

_WIDE = 58  # characters left of the shapes, where that is enough

Rows = Iterator[tuple[str, str]]  # the left and the right column


def tree(root: Instance) -> str:
    """The instances of a network from the outside in, a line an item or copy."""
    tracer = _Tracer()
    head = f"{root.block.name}{_arguments(root.args)}"
    rows = [(head, _shapes(tuple(root.inputs.values()), root.flows_out()))]
    rows += tracer.body(root.body, "", 1)
    return "".join(f"{left:<{_WIDE}}  {right}".rstrip() + "\n" for left, right in rows)


class _Tracer:
    """One tracing; `shown` is where each instance was shown first."""

    def __init__(self) -> None:
        self.shown: dict[Instance, str] = {}

    def body(self, body: Body, path: str, depth: int) -> Rows:
        for occurrence in body.items:
            item, copies, inner = occurrence.item, occurrence.copies, depth
            present = [copy for copy in copies if copy is not None]
            if item.repeat is not None or not present:
                times = f" ×{len(copies)}" if item.repeat is not None else ""
                absent = len(copies) - len(present)
                gone = f", {absent} absent" if present and absent else "" if present else ", absent"
                yield f"{'  ' * depth}{item.op}{times}{gone}", ""
                inner += 1
            for copy in present:
                yield from self.copy(copy, item.op, path, inner)

    def copy(self, copy: Copy, op: str, path: str, depth: int) -> Rows:
        here = ".".join((*filter(None, (path,)), *copy.segments))
        called = copy.instance
        what = f"{op}{_arguments(copy.args)}"
        if copy.segments or copy.merged:
            what = f"{here if copy.segments else f'({copy.merged})'}  {what}"
        if copy.group and copy.layer is not None:
            what += f" → {copy.layer.op}"
        if copy.shared is not None:
            what = f"{op} weights"
        known = self.shown.get(called) if called is not None else None
        if known is not None:
            what += f", as {known}"
        yield f"{'  ' * depth}{what}", _shapes(copy.ins, list(copy.outs.values()))
        if called is not None and known is None:
            self.shown[called] = here
            yield from self.body(called.body, here, depth + 1)
        for label, body in _paths(copy):
            inner = ".".join(filter(None, (here, body.segment)))
            if label:
                yield f"{'  ' * (depth + 1)}{label}:", ""
            yield from self.body(body, inner, depth + (2 if label else 1))


def _paths(copy: Copy) -> Iterator[tuple[str, Body]]:
    """The paths of a group, with what they are called where there are several."""
    if copy.body is not None:
        yield "main" if copy.shortcut is not None else "", copy.body
    if copy.shortcut is not None:
        yield "shortcut", copy.shortcut
    for k, branch in enumerate(copy.branches, 1):
        yield f"branch {branch.segment or k}", branch


def _arguments(args: Mapping[str, Any]) -> str:
    return f" {written(dict(args))}" if args else ""


def _shapes(ins: Sequence[Value | None], outs: Sequence[Value]) -> str:
    """`[3, 8, 8] → [4]`; an input that is not given is left out."""
    left, right = (
        ", ".join(str(v.type) for v in values if v is not None and v.type is not None)
        for values in (ins, outs)
    )
    return f"{left} → {right}".strip()
