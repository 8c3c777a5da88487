"""What every op keeps for the backward pass, of inputs that lie in memory in all manner of ways.

A seed is one example of one op. Its inputs, and some of other sizes (one channel, one cell of
space), are in order, channels last, turned, parts of larger ones, repeated, or weights, which are
one for all samples. What is kept of the op and of sines of what it takes and gives is held against
torch's own hooks.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import torch
from random_specs import flow
from saved import FEW, PAGES, of_a_sample
from torch import Tensor

from archspec.layers import REGISTRY, create
from archspec.layers.base import TensorType
from archspec.module import network_class
from archspec.network import Program, loads
from archspec.text.faults import SpecError

Shape = tuple[int, ...]
Laid = tuple[Shape, list[dict[str, Any]]]  # the shape of an input, what makes of it the tensor
Case = tuple[str, dict[str, Any], tuple[Shape, ...]]
_DTYPES = {"float": torch.float32, "int": torch.int64, "bool": torch.bool}
# roi_align and nms run as stand-ins where torchvision's do not load; the others take no tensor
_FOR_ALL = {
    "the first is one for all samples": (0, 1),
    "all are one for all samples": (0, 9),
    "all but the first are one for all samples": (1, 9),
}
_LEFT_OUT = frozenset({"roi_align", "nms", "parameter", "constant", "activation"})


@cache
def cases() -> list[Case]:
    """Op, arguments and shapes of all examples."""
    found = ((op, args, s) for op, c in REGISTRY.items() for args, s in c.examples)
    return [case for case in found if case[2] and case[0] not in _LEFT_OUT]


def trial(seed: int, folder: Path) -> Iterator[str]:
    op, args, given = cases()[seed % len(cases())]
    for shapes in dict.fromkeys(others(given)):
        dtypes = (*REGISTRY[op].example_dtypes, *("float",) * len(shapes))
        for how in (*layouts(max(shapes, key=len)), *_FOR_ALL):
            text = written(op, args, [(*pair, how) for pair in zip(shapes, dtypes, strict=False)])
            yield compared(text, f"{op} {flow(args)} on {shapes}, {how}")


def compared(text: str, what: str) -> str:
    try:
        program = loads(text)
        said = program.analysis.totals.saved_bytes
    except SpecError as error:
        return f"refused: {error.faults[0].code}"
    try:
        few = PAGES if "lstm" in what else FEW
        found = of_a_sample(network_class(program)(), lambda n: inputs(program, n), few)
    except (RuntimeError, IndexError, ValueError) as failed:
        return f"FAILS: {failed}: {what}"
    return "kept to the byte" if said == found else f"KEPT: {said} said, {found:.0f}: {what}"


def others(shapes: tuple[Shape, ...]) -> Iterator[tuple[Shape, ...]]:
    """The shapes, and where all inputs have one, others of fewer cells and more axes."""
    yield shapes
    first = shapes[0]
    if len(first) > 1 and all(shape == first for shape in shapes):
        for other in ((1, *first[1:]), (first[0], *(1 for _ in first[1:])), (*first[:-1], 1)):
            yield (other,) * len(shapes)
        yield ((first[0], 3, *first[1:]),) * len(shapes)


def layouts(s: Shape) -> dict[str, Laid]:
    """By name, for a tensor of a shape."""
    n = len(s)
    back = {"permute": [n - 1, *range(n - 1)]}
    found: dict[str, Laid] = {"in order": (s, []), "selected": ((*s, 3), [_one(-1)])}
    if n:
        found["a part"] = (s[0] + 2, *s[1:]), [_part(0, s[0])]
        found["every second"] = (*s[:-1], 2 * s[-1]), [{"slice": {"step": 2, "axis": -1}}]
        found["repeated"] = (1, *s[1:]), [{"expand": [s[0], *(-1 for _ in s[1:])]}]
    if n > 1:
        found["channels last"] = (*s[1:], s[0]), [back]
        found["turned"] = s[::-1], [{"permute": list(range(n))[::-1]}]
        found["a part of the last"] = (*s[:-1], s[-1] + 2), [_part(-1, s[-1])]
        found["channels last, a part"] = (*s[1:], s[0] + 2), [back, _part(0, s[0])]
        found["channels last, repeated"] = (*s[1:], 1), [back, {"expand": [s[0], *[-1] * (n - 1)]}]
        found["exchanged"] = (s[1], s[0], *s[2:]), [{"permute": [1, 0, *range(2, n)]}]
    return found


def _part(axis: int, size: int) -> dict[str, Any]:
    return {"slice": {"start": 1, "stop": size + 1, "axis": axis}}


def _one(axis: int) -> dict[str, Any]:
    return {"select": {"index": 1, "axis": axis}}


def written(op: str, args: dict[str, Any], given: list[tuple[Shape, str, str]]) -> str:
    """A spec of the op, behind what learns and puts its inputs into their places."""
    heads, body, names = [], [], []
    for i, (shape, dtype, how) in enumerate(given):
        own, steps = layouts(shape).get(how, (shape, [])) if dtype == "float" else (shape, [])
        heads.append(f"  x{i}: {flow({'shape': own, 'dtype': dtype})}")
        names.append(f"x{i}")
        if dtype != "float":
            continue
        body.append({"id": f"p{i}", "parameter": [1 for _ in own]})
        body.append({"id": f"a{i}", "from": [f"x{i}", f"p{i}"], "add": None})
        body += [{"id": f"v{i}_{k}", **step} for k, step in enumerate(steps)]
        names[-1] = body[-1]["id"]
        body.append({"id": f"s{i}", "sin": None})
        first, behind = _FOR_ALL.get(how, (0, 0))
        if first <= i < behind:
            names[-1] = f"w{i}"
            body.append({"id": names[-1], "parameter": list(shape)})
    body.append({"id": "y", "from": names if len(names) > 1 else names[0], op: args or None})
    gives = create(op, args).gives
    body.append({"id": "s", "from": f"y.{gives[0]}" if len(gives) > 1 else "y", "sin": None})
    ends = {b["id"]: b["id"] for b in body if b["id"][0] == "s"}
    lines = ["spec: 1", "name: t", "input:", *heads, "body:", *(f"  - {flow(b)}" for b in body)]
    return "\n".join([*lines, f"outputs: {flow(ends)}", ""])


def inputs(program: Program, many: int) -> list[Tensor]:
    types = [node.outs[0] for node in program.graph.steps if node.layer is None]
    return [_drawn(many, t) for t in types]


def _drawn(many: int, t: TensorType) -> Tensor:
    if t.dtype == "float":
        return torch.rand(many, *t.shape)
    return torch.zeros(many, *t.shape, dtype=_DTYPES[t.dtype])  # a place that any map has
