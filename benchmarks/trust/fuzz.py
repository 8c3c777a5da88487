"""Texts and files broken at random: each is answered in 3 s, by a result or one of our errors.

A seed takes a spec, an expression, a file of weights or a plan that is right, and changes it in one
to six places, a hundred times. Any other exception than the errors that archspec documents is a
fault, and so is whatever takes longer.

    input: [3, 32, 32]      input: [3, 32, 32$(]      input: [3, 3202, 32]      inpututut: [3, 32
"""

from __future__ import annotations

import io
import random
import tempfile
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
from archspec.text.faults import CodedError, SpecError
from archspec.text.source import from_text
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


def specs(draw: random.Random) -> Callable[[], object]:
    name = draw.choice(shelf.names())
    shipped = (ROOT / "specs" / f"{name}.yaml").read_text()
    right = shipped if draw.random() < 0.5 else from_seed(draw.randrange(1000))
    text = broken(right, PIECES, draw)

    def work() -> None:
        program = archspec.loads(text)
        if len(program.graph.steps) < 300:
            assert program.code

    return _saying(text, work)


def expressions(draw: random.Random) -> Callable[[], object]:
    text = broken(draw.choice(EXPRESSIONS), PIECES, draw)
    return _saying(text, lambda: evaluate(parse(text), NAMES))


def plans(draw: random.Random) -> Callable[[], object]:
    paths = sorted((ROOT / "examples" / "plans").glob("*.yaml"))
    text = broken(draw.choice(paths).read_text(), PIECES, draw)
    return _saying(text, lambda: reading.parse(from_text(text, "plan.yaml")))


@cache
def _model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Linear(3, 2))


@cache
def _saved() -> tuple[bytes, ...]:
    state = _model().state_dict()
    found = [save(state)]
    for how in ({}, {"_use_new_zipfile_serialization": False}):
        out = io.BytesIO()
        torch.save({"state_dict": state, "epoch": 3}, out, **how)
        found.append(out.getvalue())
    return tuple(found)


def files(draw: random.Random) -> Callable[[], object]:
    data = broken(draw.choice(_saved()), BYTES, draw)

    def work() -> None:
        before = {name: value.clone() for name, value in _model().state_dict().items()}
        with tempfile.NamedTemporaryFile(suffix=draw.choice([".pt", ".safetensors", ""])) as file:
            file.write(data)
            file.flush()
            try:
                weights.load(_model(), file.name)
            except OURS:
                after = _model().state_dict()
                assert all(torch.equal(after[n], v) for n, v in before.items()), "partly loaded"
                raise
            _model().load_state_dict(before)

    return _saying(repr(data), work)


def _saying(what: str, work: Callable[[], object]) -> Callable[[], object]:
    work.__doc__ = what
    return work


KINDS = {"specs": specs, "expressions": expressions, "plans": plans, "files": files}


def said(kind: str, work: Callable[[], object]) -> Iterator[str]:
    yield f"{work.__doc__!r} …"
    begin = time.process_time()
    try:
        work()
        outcome = f"{kind} taken"
    except OURS:
        outcome = f"{kind} refused"
    except Exception as failed:
        outcome = f"FAILS: {type(failed).__name__}: {str(failed)[:100]}: {kind}: {work.__doc__!r}"
    took = time.process_time() - begin
    yield outcome if took < SECONDS else f"HANGS: {took:.1f} s: {kind}: {work.__doc__!r}"


def trial(seed: int, folder: Path) -> Iterator[str]:
    draw = random.Random(seed)
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    kind = draw.choice(list(KINDS))
    _saved()

    def work() -> Iterator[str]:
        for _ in range(COUNT):
            yield from said(kind, KINDS[kind](draw))

    yield from apart(work, 120, 4000)
