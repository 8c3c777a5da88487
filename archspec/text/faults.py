"""Sentences → complaints: a fault is data (code, place, sentence, remedy) before it is text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sized
from dataclasses import dataclass, field
from typing import Protocol

_READ, _DEAR = 20, 1000  # faults that have all their remedies, and names of which later ones have
SHOWN = 100  # faults printed in full; a file that is wrong everywhere is wrong for one reason


@dataclass(frozen=True, slots=True)
class Loc:
    """A place in a spec file: the YAML path that leads to it, on its key or on its value.

    `span` narrows it to characters [start, stop) of a scalar's text (an expression's own error).
    """

    file: str
    path: tuple[str | int, ...] = ()
    on_key: bool = False
    span: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One link of the chain that led to a fault: a block call, a copy of a repeat, what uses it."""

    loc: Loc
    text: str
    how: str = "expanded from"


@dataclass(frozen=True, slots=True)
class Fault:
    """One complaint: `code` E… is fatal, W… is a warning. Of those with one `cause` one is said."""

    code: str
    message: str
    loc: Loc
    help: str = ""
    details: tuple[str, ...] = ()
    chain: tuple[Step, ...] = ()
    cause: tuple[object, ...] = field(default=(), compare=False, repr=False)

    @property
    def fatal(self) -> bool:
        return self.code.startswith("E")


class Quoting(Protocol):
    """What can print a fault with its place and excerpt (a Source)."""

    def quote(
        self, fault: Fault, others: Mapping[str, Quoting] = ..., width: int | None = ...
    ) -> str: ...

    def position(self, loc: Loc) -> str: ...


class SpecError(Exception):
    """A spec that cannot be used: all its independent faults, and sources that can quote them."""

    work = 0  # operations that were done before, as `Limits` counts them

    def __init__(
        self, faults: Iterable[Fault], sources: Mapping[str, Quoting] | None = None
    ) -> None:
        self.faults = tuple(faults)
        self.sources: dict[str, Quoting] = dict(sources or {})
        super().__init__(self.faults, self.sources)

    def __str__(self) -> str:
        blocks = [show(fault, self.sources) for fault in self.faults[:SHOWN]]
        if len(self.faults) > SHOWN:
            blocks.append(f"and {len(self.faults) - SHOWN} more")
        return "\n\n".join(blocks)


class CodedError(RuntimeError):
    """What went wrong outside of a spec: a code of the table, a sentence, a remedy."""

    def __init__(self, code: str, message: str, help: str = "") -> None:
        super().__init__(code, message, help)  # what is pickled, when it crosses processes
        self.code, self.message, self.help = code, message, help

    def __reduce__(self) -> tuple[type[CodedError], tuple[str, str, str]]:
        return type(self), (self.code, self.message, self.help)  # it may come from another process

    def __str__(self) -> str:
        return f"{self.code} {self.message}" + (f"\n  help: {self.help}" if self.help else "")


def unread(faults: int, known: Sized = ()) -> bool:
    """Whether so many faults are noted that what one more may mean, among these, is not told.

    To find out is slow, of thousands of names: of a text that is wrong everywhere nobody reads it.
    """
    return faults >= SHOWN or (faults > _READ and len(known) > _DEAR)


def independent(faults: Iterable[Fault]) -> list[Fault]:
    """The first of all that are equal or have one cause."""
    first: dict[object, Fault] = {}
    for fault in faults:
        first.setdefault(fault.cause or fault, fault)
    return list(first.values())


def show(fault: Fault, sources: Mapping[str, Quoting], width: int | None = None) -> str:
    """The fault as text, with its excerpt where its file is among `sources`.

    The excerpt is cut to a terminal of `width` columns.
    """
    source = sources.get(fault.loc.file)
    if source is not None:
        return source.quote(fault, sources, width)
    lines = [f"{fault.code} {fault.message}", f"  --> {fault.loc.file}"]
    lines += [f"  {detail}" for detail in fault.details]
    return "\n".join([*lines, *remedy(fault)])


def remedy(fault: Fault) -> list[str]:
    """The lines of a fault's help; where it has none, who says more."""
    first, *rest = (fault.help or f"`archspec explain {fault.code}` says more").split("\n")
    return [f"  help: {first}", *(f"        {line}" for line in rest)]
