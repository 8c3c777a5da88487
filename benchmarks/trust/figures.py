"""Random specs drawn in every view and format: nothing is left out, over another, or unsaid.

A seed is a spec of `random`; of three seeds one is larger, and one a plain chain. Its cards name
every layer and parameter once; no word is over another or outside of its card; activations,
shared weights and what is there in training only are said; every format of every view is written.

    archspec render net.yaml --view levels    →    levels: drawn
    a card of a conv and a ReLU that reads `conv 3×3`    →    WRONG: levels: `conv1` does not say …
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from pathlib import Path

from random_specs import Machine, from_seed

from archspec.figures import VIEWS, RenderError, figure
from archspec.network import Program, loads
from archspec.text.faults import SpecError
from benchmarks.trust import ROOT

sys.path.insert(0, str(ROOT / "tests" / "figures"))
from telling import SCENES, complaints

_LARGER = 25  # items, at least; 6 are usual
_CLIP = "hardtanh: {min_val: 0, max_val: 6}"
_BETWEEN = ("relu", "tanh", "batch_norm", "dropout: 0.5", "silu", _CLIP)


def trial(seed: int, folder: Path) -> Iterator[str]:
    make = (from_seed, larger, plain)[seed % 3]
    try:
        program = loads(make(seed))
    except SpecError as error:
        yield f"refused: {error.faults[0].code}"
        return
    for view in VIEWS:
        yield from drawn(program, view)


def larger(seed: int) -> str:
    return Machine(random.Random(seed).randrange, _LARGER).network()


def plain(seed: int) -> str:
    """A classifier without side paths, which is drawn as a tower: stages, each with its pool."""
    draw = random.Random(seed)
    sides = [draw.choice((16, 60, 224, 1125))] * 2 if draw.random() < 0.6 else [8, 2048]
    body, named = list[str](), draw.random() < 0.5
    for stage in range(draw.randint(1, 4)):
        for layer in range(draw.randint(1, 6)):
            name = f"id: {'stage' * draw.randint(0, 3)}c{stage}_{layer}, " if named else ""
            wide, dilation = 2 ** draw.randint(1, 9), draw.choice((1, 1, 2))
            conv = f"out: {wide}, kernel: 3, padding: {dilation}, dilation: {dilation}"
            body += [f"{{{name}conv: {{{conv}}}}}", draw.choice(_BETWEEN)]
        body.append("max_pool: 2" if draw.random() < 0.7 else "max_pool: {kernel: 2, stride: 1}")
    body += ["flatten", "linear: 100", draw.choice(_BETWEEN), "linear: 10", "softmax"]
    items = "".join(f"  - {item}\n" for item in body)
    return f"spec: 1\nname: plain\ninput: [3, {sides[0]}, {sides[1]}]\nbody:\n{items}"


def drawn(program: Program, view: str) -> Iterator[str]:
    """What comes of one view."""
    try:
        wrong = complaints(program, view) if view in SCENES else []
        for format in VIEWS[view].formats:
            figure(program, view, format)
    except RenderError as error:
        yield f"no {view}: {error.code}"
        return
    except Exception as failed:
        yield f"CRASH: {view}: {type(failed).__name__}: {failed}"
        return
    large = [said for said in wrong if view == "graph" and said.startswith("the sheet is ")]
    if large:  # nothing is left that could be closed
        yield "graph larger than a sheet"
    wrong = [said for said in wrong if said not in large]
    yield from (f"WRONG: {view}: {said}" for said in wrong)
    yield f"{view} wrong" if wrong else f"{view} right"
