"""Shipped specs broken in one place: is the place blamed, once, and does the remedy repair?

A hundred mutants a seed, of the 46 kinds of `tests/broken.py`. Where is the first complaint about
one that is refused?

    own       the line that was broken
    using     a line that uses it: named in the chain, or it reads a name of the broken line
    totals    `expect`: the network is a right one, though another
    ELSEWHERE another line

One that is accepted has to be what torch computes, on the meta device. A remedy that names a word
is applied by machine: then the spec passes, and is the network that it was.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import stand_ins
import torch
from broken import KINDS, Break, broken
from test_random_specs import check_arithmetic, check_outputs

from archspec import shelf
from archspec.module import compare, network_class
from archspec.network import Choice, Program, Run
from archspec.text import source as sources
from archspec.text.faults import Fault, SpecError
from archspec.text.source import Source

stand_ins.torchvision()

COUNT = 100  # mutants of a seed
SMALL = 50_000_000  # multiply-accumulates and parameters of a network that is run
_NAME = re.compile(r"[A-Za-z_]\w*")
_WORD = re.compile(r"did you mean `([^`…]+)`\?$|^write `([^`…]+)`$")
_OTHER = re.compile("another network|changes|instead|what followed is missing")


@cache
def texts() -> dict[str, str]:
    """The shipped specs."""
    return {name: shelf.find(name).read_text(encoding="utf-8") for name in shelf.names()}


@cache
def words(name: str) -> frozenset[str]:
    """What most lines of a spec hold says nothing of which of them belong together."""
    lines = texts()[name].splitlines()
    counts = Counter(word for line in lines for word in set(_NAME.findall(line)))
    return frozenset(w for w, n in counts.items() if n > max(4, len(lines) // 4))


def checked(name: str, text: str) -> Program:
    """As `archspec check` does. Raises SpecError."""
    path = shelf.find(name)
    return Run(sources.from_text(text, path.name, path=path), Choice()).everywhere()[0]


def digest(program: Program) -> str:
    """Of all ops with their arguments, inputs and shapes; what they are called is a choice."""
    rows = [(repr(n.layer), n.ins, n.outs) for n in program.graph.steps]
    return hashlib.sha256(repr(rows).encode()).hexdigest()


@cache
def right(name: str) -> str:
    return digest(checked(name, texts()[name]))


def trial(seed: int, folder: Path) -> Iterator[str]:
    rng = random.Random(seed)
    made = 0
    while made < COUNT:
        name, kind = rng.choice([*texts()]), rng.choice(KINDS)
        mutant = broken(kind, texts()[name], rng)
        if mutant is not None:
            made += 1
            yield from judged(name, mutant)


def judged(name: str, mutant: Break) -> Iterator[str]:
    """What comes of one."""
    said = f"{name}:{mutant.line}, {mutant.kind}"
    try:
        program = checked(name, mutant.text)
    except SpecError as error:
        yield from refused(name, mutant, error, said)
    except Exception as failed:
        yield f"TRACEBACK: {said}: {type(failed).__name__}: {failed}"
    else:
        yield accepted(program, said)


def accepted(program: Program, said: str) -> str:
    """Whether what passes is what torch makes of it: weights, multiply-accumulates, outputs.

    Outputs of a network that is small, against the graph computed node by node.
    """
    totals = program.analysis.totals
    try:
        with torch.device("meta"):
            module = network_class(program)()
        compare(module, program)
        check_arithmetic(program, module, "meta")
        if totals.macs <= SMALL and totals.params <= SMALL:
            check_outputs(program, network_class(program)())
    except Exception as failed:
        return f"ACCEPTED: {said}: {type(failed).__name__}: {str(failed)[:150]}"
    return "accepted, equal to torch"


def refused(name: str, mutant: Break, error: SpecError, said: str) -> Iterator[str]:
    yield "refused"
    codes = " ".join(fault.code for fault in error.faults)
    if len(error.faults) > 1:
        yield f"SEVERAL: {said}: {codes}"
    where = blamed(name, mutant, error)
    first = error.faults[0]
    yield f"{where}: {said}: {codes} {position(first, error)} {first.message[:100]}"
    yield from repaired(name, mutant, error, said)


def blamed(name: str, mutant: Break, error: SpecError) -> str:
    """Which line the first complaint leads to."""
    first, own = error.faults[0], _around(mutant)
    places = [first.loc, *(step.loc for step in first.chain)]
    sources = [(error.sources.get(at.file), at) for at in places]
    lines = [source.place(at).line for source, at in sources if isinstance(source, Source)]
    if not lines:
        return "ELSEWHERE"
    if lines[0] in own:
        return "own"
    if first.code in ("E501", "E502"):
        return "totals"
    if _told_missing(mutant, first):
        return "own"
    text = mutant.text.splitlines()
    here = text[lines[0] - 1] if lines[0] <= len(text) else ""
    broken_line = "".join(text[mutant.line - 1 : mutant.line])
    shared = _names(here, name) & (_names(mutant.before, name) | _names(broken_line, name))
    return "using" if own & set(lines[1:]) or shared else "ELSEWHERE"


def _told_missing(mutant: Break, fault: Fault) -> bool:
    """Whether a line that is gone is what is said to be missing: it has no place to be blamed at.

    `merge: concat` is gone, and E202 says at the `branches` above that they need `merge`.
    """
    key = mutant.before.partition(":")[0].strip(" -")
    return (
        mutant.kind == "a line is missing" and fault.code == "E202" and f"`{key}`" in fault.message
    )


def _around(mutant: Break) -> set[int]:
    """The lines that are meant by the broken one: beside a line that is gone, both neighbours.

    Where a file is cut off in the blanks before a line, it ends with the line above.
    """
    line = mutant.line
    if mutant.kind == "the file is cut off" and not mutant.text.splitlines()[-1].strip():
        return {line, len(mutant.text.rstrip().splitlines())}
    near = {
        "a line is missing": (-1, 0),
        "a line too many": (0, 1),
        "two lines are swapped": (0, 1),
    }
    return {line + k for k in near.get(mutant.kind, (0,))}


def _names(text: str, name: str) -> set[str]:
    return set(_NAME.findall(text)) - words(name)


def position(fault: Fault, error: SpecError) -> str:
    source = error.sources.get(fault.loc.file)
    return source.position(fault.loc) if source else fault.loc.file


def repaired(name: str, mutant: Break, error: SpecError, said: str) -> Iterator[str]:
    """What comes of a remedy that names a word."""
    fault = error.faults[0]
    source, word = error.sources.get(fault.loc.file), _WORD.search(fault.help)
    if word is None or not isinstance(source, Source) or source.text != mutant.text:
        return
    line, column, width = source.place(fault.loc)
    lines = mutant.text.splitlines(keepends=True)
    old = lines[line - 1]
    write = word[1] or word[2]
    parts = re.split(r": |(?<=^-) ", write, maxsplit=1)
    glued = re.search(r"\s*[:=]?\s*".join(map(re.escape, parts)), old)  # `id:main`, `-relu`
    if len(parts) > 1 and glued:
        new = old[: glued.start()] + write + old[glued.end() :]
    else:
        new = old[: column - 1] + write + old[column - 1 + width :]
    text = "".join([*lines[: line - 1], new, *lines[line:]])
    try:
        found = checked(name, text)
    except SpecError:
        yield f"remedy does not pass: {said}: {fault.help}"
        return
    told = "\n".join([*fault.details, fault.help])
    same = digest(found) == right(name) or _OTHER.search(told) is not None
    yield "remedy repairs" if same else f"REMEDY: {said}: another network: {fault.help}"
