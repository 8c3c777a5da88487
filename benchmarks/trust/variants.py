"""Whether a wrong value of a variant is blamed where it stands, by one complaint that names it.

A seed writes an odd value in place of one that a variant of a shipped spec sets, and checks the
file. What passes is counted; what is refused is to say which variant, and once.

    vgg11: {depths: [1, 1, 2, 2, 2]}  →  vgg11: {depths: -1}      own: the value's line, `vgg11`
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

import archspec
from archspec.text.faults import SpecError
from benchmarks.trust import ROOT

ODD: tuple[Any, ...] = (
    -1, 0, 1.5, True, None, "abc", [1, 2], [], 2**31, 2**63, 1e308, -3, {"a": 1}, "3",
)  # fmt: skip


def values(text: str) -> list[tuple[str, str, yaml.Node]]:
    """Variant, param and the node of its value, of all values that variants set."""
    document = yaml.compose(text)
    top = {key.value: value for key, value in document.value}
    sets = top["variants"].value if "variants" in top else []
    return [(v.value, p.value, node) for v, said in sets for p, node in said.value]


def trial(seed: int, folder: Path) -> Iterator[str]:
    draw = random.Random(seed)
    specs = [path for path in sorted((ROOT / "specs").glob("*.yaml")) if values(path.read_text())]
    path, odd = draw.choice(specs), draw.choice(ODD)
    text = path.read_text(encoding="utf-8")
    variant, param, node = draw.choice(values(text))
    start, stop = node.start_mark, node.end_mark
    file = folder / path.name
    file.write_text(text[: start.index] + json.dumps(odd) + text[stop.index :], encoding="utf-8")
    for used in (ROOT / "specs").glob("*.yaml"):
        if used.name != path.name:
            (folder / used.name).write_bytes(used.read_bytes())
    where = f"{path.name}, `{variant}`: {param} = {odd!r}"
    try:
        archspec.check(file)
    except SpecError as error:
        fatal = [fault for fault in error.faults if fault.fatal]
        line = f":{start.line + 1}:"
        own = any(line in said for said in str(error).split("\n") if "-->" in said)
        if "E900" in str(error) or not (own or f"`{variant}`" in str(error)):
            yield f"UNNAMED: {where}: {error}"
        elif len(fatal) > 1:
            yield f"SEVERAL: {where}: {', '.join(fault.code for fault in fatal)}"
        else:
            yield "own" if own else f"at {fatal[0].code}"
    else:
        yield "passes"
