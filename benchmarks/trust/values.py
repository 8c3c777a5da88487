"""Whether a wrong value is blamed where it stands, and once, however often it is used.

A seed writes an odd value in place of one that a shipped spec or an example's plan says, and checks
the file: a param's default, what a variant sets, one of a column, what a plan says. Or it sets a
param from outside. Where is the complaint about what is refused?

    vgg11: {depths: [1, 1, 2, 2, 2]}  →  vgg11: {depths: -1}

    own         the line of the value
    its use     another, and the chain leads to the value
    elsewhere   another; of a variant's value it names the variant
    totals      `expect`: the network is a right one, though another
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import stand_ins
import yaml

import archspec
from archspec.text.faults import SpecError
from archspec.train.reading import given
from benchmarks.trust import ROOT

stand_ins.torchvision()

ODD: tuple[Any, ...] = (
    -1, 0, 1.5, True, None, "abc", [1, 2], [], 2**31, 2**63, 1e308, -3, {"a": 1}, "3",
)  # fmt: skip
SPECS = sorted((ROOT / "specs").glob("*.yaml"))
PLANS = sorted((ROOT / "examples" / "plans").glob("*.yaml"))


Said = tuple[tuple[str, ...], yaml.Node]  # where a value stands, and its node

# Which values of a text are meant, by where they stand.
MEANT: dict[str, Callable[[tuple[str, ...]], bool]] = {
    "default": lambda path: path[:1] == ("params",) and len(path) > 1,
    "outside": lambda path: path[:1] == ("params",) and len(path) == 2,
    "variant": lambda path: path[:1] == ("variants",) and len(path) > 2,
    "column": lambda path: "repeat" in path[:-1],
    "plan": lambda path: len(path) > 0,
}


def trial(seed: int, folder: Path) -> Iterator[str]:
    draw = random.Random(seed)
    kind = draw.choice([*MEANT])
    path = draw.choice([p for p in (PLANS if kind == "plan" else SPECS) if values(p, kind)])
    where, node = draw.choice(values(path, kind))
    odd, at = _odd(node, draw, kind), f"{path.name}:{node.start_mark.line + 1}"
    try:
        if kind == "outside":
            archspec.check(path, **{where[1]: odd})
        elif kind == "plan":
            given(_written(path, node, odd, folder), {})
        else:
            archspec.check(_written(path, node, odd, folder))
    except SpecError as error:
        found = refused(error, at, where[1] if kind == "variant" else "")
        said = f": {at}, {kind} {'.'.join(where)} = {odd!r}: {error}"
        yield found + said if found.isupper() else f"{kind}, {found}"
    else:
        yield f"{kind}, passes"


def refused(error: SpecError, at: str, variant: str) -> str:
    """How a value is refused that stands at `at`, a file's name and the line; a variant's value."""
    first, *others = [fault for fault in error.faults if fault.fatal]
    places = [first.loc, *(step.loc for step in first.chain)]
    own, *uses = [f"{at}:" in error.sources[place.file].position(place) for place in places]
    if others:
        return "SEVERAL"
    if first.code == "E900" or not (
        own or any(uses) or f"`{variant}`" in str(error) or not variant
    ):
        return "UNNAMED"
    if first.code == "E502":
        return "totals"
    return "own" if own else "its use" if any(uses) else "elsewhere"


@cache
def values(path: Path, kind: str) -> list[Said]:
    """All of a kind that a text says, lists and mappings and what stands in them."""
    return [(where, node) for where, node in _every(path) if MEANT[kind](where)]


@cache
def _every(path: Path) -> list[Said]:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return [*_inside(yaml.compose(path.read_text(encoding="utf-8"), Loader=loader), ())]


def _inside(node: yaml.Node, path: tuple[str, ...]) -> Iterator[Said]:
    yield path, node
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield from _inside(value, (*path, key.value))
    elif isinstance(node, yaml.SequenceNode):
        for k, value in enumerate(node.value):
            yield from _inside(value, (*path, str(k)))


def _odd(node: yaml.Node, draw: random.Random, kind: str) -> Any:
    """A value of another kind, or out of range; of a whole number often one near to it."""
    several = kind == "plan"  # each entry of a list is a value of its own there
    if node.tag.endswith(":int") and draw.random() < 0.3:
        return max(0, int(node.value) + draw.choice((-3, -1, 1, 3)))
    return draw.choice([odd for odd in ODD if not (several and odd == [1, 2])])


def _written(path: Path, node: yaml.Node, odd: Any, folder: Path) -> Path:
    """The text with another value, in a file of its own beside what it may use."""
    text = path.read_text(encoding="utf-8")
    start, stop = node.start_mark.index, node.end_mark.index
    stop = start + len(text[start:stop].rstrip())  # a block ends where the next thing starts
    if "\nuse:" in text:
        for used in path.parent.glob("*.yaml"):
            (folder / used.name).write_bytes(used.read_bytes())
    file = folder / path.name
    file.write_text(f"{text[:start]}{json.dumps(odd)}{text[stop:]}", encoding="utf-8")
    return file
