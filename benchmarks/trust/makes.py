"""Whether what `check` lets pass can be made: every op, odd arguments, fillers, small shapes.

A seed takes an example of an op, writes odd values in place of some arguments or beside them, and
now and then a filler. What is accepted is built and initialised, and run forward and backward in
training and in evaluation, on the CPU, with two samples and with one (in training where the summary
does not say that it takes two). What is refused is to be refused at a place, by a SpecError.

    {op: max_pool, kernel: 2, stride: 4294967296}   accepted, and "cannot be converted to type int"
                                                    is what torch says: a fault
"""

from __future__ import annotations

import json
import random
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import stand_ins
import torch

import archspec
from archspec.layers import REGISTRY
from archspec.layers.base import TensorType
from archspec.text.faults import SpecError
from benchmarks.trust import apart

stand_ins.torchvision()

WHOLE = (0, 1, 2, 3, 7, -1, -3, 64, 2**15, 2**31 - 1, 2**31, 2**32, 2**40, 2**61, 2**63, 10**30)
REAL = (
    0.0,
    -0.0,
    0.5,
    1.0,
    1.5,
    -0.5,
    -1.0,
    1e-30,
    1e-46,
    1e-320,
    3.4e38,
    1e39,
    -1e39,
    1e300,
    1e308,
)
WORDS = ("same", "none", "zeros", "reflect", "circular", "channels", "causal", "", "x")
FILLERS: dict[str, tuple[str, ...]] = {
    "uniform": ("a", "b"), "normal": ("mean", "std"), "trunc_normal": ("mean", "std", "a", "b"),
    "constant": ("val",), "dirac": ("groups",), "sparse": ("sparsity", "std"), "eye": (),
    "xavier_uniform": ("gain",), "xavier_normal": ("gain",), "orthogonal": ("gain",),
    "kaiming_uniform": ("a",), "kaiming_normal": ("a",), "ones": (), "bilinear": (),
}  # fmt: skip
LARGEST = 2e6  # numbers in weights and values of what is made


def odd(draw: random.Random) -> Any:
    what = draw.random()
    if what < 0.45:
        return draw.choice(WHOLE)
    if what < 0.75:
        return draw.choice(REAL)
    if what < 0.9:
        return [odd(draw) for _ in range(draw.choice([0, 1, 2, 2, 3]))]
    return draw.choice([True, False, None, *WORDS])


def filler(draw: random.Random) -> Any:
    name = draw.choice(list(FILLERS))
    args = {one: odd(draw) for one in FILLERS[name] if draw.random() < 0.7}
    return {name: args} if args else name


def _reshaped(draw: random.Random, shape: Sequence[int]) -> list[int]:
    """Mostly as it is; now and then with an axis more or less, or of another size, or a number."""
    found = list(shape)
    what = draw.random()
    if what > 0.98:
        return []
    if what < 0.06 and found:
        found.pop(draw.randrange(len(found)))
    elif what < 0.12:
        found.insert(draw.randint(0, len(found)), draw.choice([1, 2, 5]))
    elif what < 0.2 and found:
        found[draw.randrange(len(found))] = draw.choice([1, 2, 3, 16])
    return found


def document(draw: random.Random) -> dict[str, Any]:
    """A spec of one op, after a layer that backward has to reach where its input is a float."""
    op = draw.choice(list(REGISTRY))
    layer = REGISTRY[op]
    args, shapes = draw.choice(layer.examples)
    args, shapes = dict(args), [_reshaped(draw, shape) for shape in shapes]
    fields = list(layer.model_fields)
    for name in draw.sample(fields, min(len(fields), draw.choice([0, 1, 1, 2]))):
        args[name] = odd(draw)
    item: dict[str, Any] = {op: args}
    dtypes = [*layer.example_dtypes, *("float",) * len(shapes)]
    if draw.random() < 0.05:
        dtypes[:1] = [draw.choice(["float", "int", "bool"])]
    inputs = {f"x{i}": {"shape": list(s), "dtype": dtypes[i]} for i, s in enumerate(shapes)}
    if inputs:
        item["from"] = list(inputs)
    if draw.random() < 0.3:
        item["init"] = {draw.choice(["weight", "bias"]): filler(draw)}
    body: list[Any] = [item]
    for name in [n for n, one in inputs.items() if one["dtype"] == "float"][:1]:
        body.insert(0, {"id": "before", "from": name, "prelu": {}})
        item["from"] = ["before" if one == name else one for one in item["from"]]
    if not inputs:
        item["id"] = "alone"
        inputs = {"x0": {"shape": [1], "dtype": "float"}}
    return {"spec": 1, "name": "made", "input": inputs, "body": body}


def made(text: str) -> Iterator[str]:
    try:
        program = archspec.loads(text)
    except SpecError as refused:
        placed = all(fault.loc is not None for fault in refused.faults)
        yield "refused" if placed else f"NOWHERE: {refused}: {text}"
        return
    graph = program.graph
    assert graph is not None
    types = [kind for node in graph.steps for kind in (*node.outs, *node.ins) if kind is not None]
    if sum(t.size for t in types) + sum(w.size for _, w, _ in graph.weights()) > LARGEST:
        yield "too large to be made"
        return
    warnings.simplefilter("ignore")
    module = archspec.build(program)
    kinds = [value.type for value in graph.root.inputs.values() if value.type is not None]
    least = 2 if any(node.lone for node in graph.steps) else 1
    runs = [(True, 2), (True, least), (False, 2), (False, 1)]
    for training, samples in dict.fromkeys(runs):
        found = module.train(training)(*(_values(kind, samples) for kind in kinds))
        values = list(found.values()) if isinstance(found, dict) else [found]
        loss = [v.sum() for v in values if torch.is_tensor(v) and v.grad_fn is not None]
        if loss:
            torch.stack(loss).sum().backward()
    whole = all(p.isfinite().all() for p in module.parameters())
    yield "made" if whole else f"INFINITE: {text}"


def _values(kind: TensorType, samples: int) -> torch.Tensor:
    if kind.dtype == "float":
        return torch.randn(samples, *kind.shape)
    return torch.zeros(
        samples, *kind.shape, dtype=torch.int64 if kind.dtype == "int" else torch.bool
    )


def tried(text: str) -> Iterator[str]:
    yield f"{text} …"
    try:
        yield from made(text)
    except Exception as failed:
        yield f"FAILS: {type(failed).__name__}: {str(failed)[:150]}: {text}"


def trial(seed: int, folder: Path) -> Iterator[str]:
    """Of forty specs at once: a fork costs as much as making ten."""
    draw = random.Random(seed)
    torch.set_num_threads(1)
    texts = [json.dumps(document(draw)) for _ in range(40)]
    yield from apart(lambda: (o for text in texts for o in tried(text)), 60, 4000)
