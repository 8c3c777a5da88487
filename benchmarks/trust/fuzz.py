"""Texts and files broken at random: each is answered in 3 s, by a result or one of our errors.

A seed takes a spec, an expression, a file of weights or a plan that is right, and changes it in one
to six places, a hundred times. Any other exception than the errors that archspec documents is a
fault, and so is whatever takes longer.

    input: [3, 32, 32]      input: [3, 32, 32$(]      input: [3, 3202, 32]      inpututut: [3, 32
"""

from __future__ import annotations

import io
import random
import time
import warnings
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import AnyStr

import torch
from random_specs import from_seed
from safetensors.torch import save
from torch import nn

import archspec
from archspec import shelf, weights
from archspec.expressions import ExpressionError, evaluate, parse
from archspec.text import source
from archspec.text.faults import CodedError, SpecError
from archspec.train import reading
from benchmarks.trust import ROOT, apart

SECONDS = 3.0
COUNT = 100  # of a seed
OURS = (SpecError, CodedError, ExpressionError)
PIECES = (
    "$(", ")", "[", "]", "{", "}", ": ", "- ", ", ", "\n", "\n  ", "\t", "'", '"', "#", "|", ">",
    "&a ", "*a", "!t ", "? ", "---\n", "%", "~", "null", "true", "-1", "0", "1e999", "9" * 40, ".",
    "0x", "1_0", "id: ", "from: ", "repeat: ", "when: ", "body: ", "residual: ", "$(d - 1)", "$x",
    "loop.first", " for i in range(9)", " if ", " else ", "**", "//", "\x00", "\ufeff", "\u202e",
    "\ud7ff", "\U0001f600", "é", "A", "x" * 300,
)  # fmt: skip
BYTES = (b"\x00", b"\xff", b"PK\x03\x04", b"\x80\x02c", b"{", b'"F32"', b"[0,", b"-1", b"9" * 20)
EXPRESSIONS = (
    "a + 2 * b", "max(a, b) // 3", "[i * a for i in range(b)]", "c[0] if d else e",
    "len(c) ** 2 - sum(c)", "c[1:] + [a, b]", "e == 'x' and not d", "round(f * 1.5)",
)  # fmt: skip
NAMES = {"a": 3, "b": 4, "c": [1, 2, 3], "d": True, "e": "x", "f": 0.5, "loop": 7}


def broken(right: AnyStr, pieces: tuple[AnyStr, ...], draw: random.Random) -> AnyStr:
    """The same with one to six places changed."""
    found = right
    for _ in range(draw.choice([1, 1, 1, 2, 3, 6])):
        at, size = draw.randint(0, len(found)), draw.choice([0, 0, 1, 2, 8, 40])
        what = draw.random()
        if what < 0.5:
            new = draw.choice(pieces)
        elif what < 0.8:
            begin = draw.randint(0, len(found))
            new = found[begin : begin + draw.choice([1, 4, 30])]
        else:
            new = found[:0]
        found = found[:at] + new * draw.choice([1, 1, 1, 3]) + found[at + size :]
    return found


def specs(draw: random.Random) -> str:
    name = draw.choice(shelf.names())
    shipped = (ROOT / "specs" / f"{name}.yaml").read_text()
    return broken(shipped if draw.random() < 0.5 else from_seed(draw.randrange(1000)), PIECES, draw)


def expressions(draw: random.Random) -> str:
    return broken(draw.choice(EXPRESSIONS), PIECES, draw)


def plans(draw: random.Random) -> str:
    paths = sorted((ROOT / "examples" / "plans").glob("*.yaml"))
    return broken(draw.choice(paths).read_text(), PIECES, draw)


def files(draw: random.Random) -> bytes:
    return broken(draw.choice(saved()), BYTES, draw)


@cache
def saved() -> tuple[bytes, ...]:
    """Files of weights that are right, one of each kind that is read."""
    state = _model().state_dict()
    found = [save(state)]
    for how in ({}, {"_use_new_zipfile_serialization": False}):
        out = io.BytesIO()
        torch.save({"state_dict": state, "epoch": 3}, out, **how)
        found.append(out.getvalue())
    return tuple(found)


@cache
def _model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Linear(3, 2))


def _spec(path: Path) -> None:
    program = archspec.load(path)
    if len(program.graph.steps) < 300:
        assert program.code


def _plan(path: Path) -> None:
    reading.parse(source.read(path))


def _expression(path: Path) -> None:
    evaluate(parse(path.read_text(encoding="utf-8", errors="replace")), NAMES)


def _file(path: Path) -> None:
    before = {name: value.clone() for name, value in _model().state_dict().items()}
    try:
        weights.load(_model(), path)
    except OURS:
        after = _model().state_dict()
        assert all(torch.equal(after[name], value) for name, value in before.items()), "partly"
        raise
    _model().load_state_dict(before)


ANSWERS: dict[str, Callable[[Path], None]] = {
    "specs": _spec, "expressions": _expression, "plans": _plan, "files": _file,
}  # fmt: skip


def answered(kind: str, path: Path) -> bool:
    """Whether what stands there is taken, and not refused; in time, and by no other error."""
    begin = time.process_time()
    try:
        ANSWERS[kind](path)
        taken = True
    except OURS:
        taken = False
    took = time.process_time() - begin
    assert took < SECONDS, f"{took:.1f} s"
    return taken


KINDS: dict[str, Callable[[random.Random], str | bytes]] = {
    "specs": specs, "expressions": expressions, "plans": plans, "files": files,
}  # fmt: skip


def said(kind: str, text: str | bytes, path: Path) -> Iterator[str]:
    yield f"{text!r} …"
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
    try:
        yield f"{kind} taken" if answered(kind, path) else f"{kind} refused"
    except Exception as failed:
        yield f"FAILS: {type(failed).__name__}: {str(failed)[:100]}: {kind}: {text!r}"


def trial(seed: int, folder: Path) -> Iterator[str]:
    draw = random.Random(seed)
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    kind = draw.choice(list(KINDS))
    saved()

    def work() -> Iterator[str]:
        for _ in range(COUNT):
            path = folder / draw.choice(["net.yaml", "net.pt", "net.safetensors", "net"])
            yield from said(kind, KINDS[kind](draw), path)

    yield from apart(work, 120, 4000)
