"""Text → the terminal: results to stdout, complaints to stderr, colour only where it shows."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TextIO

from archspec.text.faults import SHOWN, Fault, Quoting
from archspec.text.faults import show as shown

if TYPE_CHECKING:
    from archspec.codes import Page
    from archspec.report.table import Table

_COLUMNS = 100  # of prose on a terminal: longer lines are hard to read

_RED, _YELLOW, _PLAIN = "\x1b[1;31m", "\x1b[1;33m", "\x1b[0m"


def fancy(stream: TextIO) -> bool:
    """Whether `stream` is a terminal that wants colour."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return stream.isatty()


def say(result: str | bytes) -> None:
    """A result; bytes as they are."""
    try:
        if isinstance(result, bytes):
            sys.stdout.flush()
            sys.stdout.buffer.write(result)
        else:
            sys.stdout.write(result if result.endswith("\n") else result + "\n")
    except BrokenPipeError:  # `| head` has seen enough: nothing is wrong
        drop_output()
        raise SystemExit(0) from None


def complain(text: str) -> None:
    """A sentence about what went wrong, or may."""
    with contextlib.suppress(BrokenPipeError):
        sys.stderr.write(text if text.endswith("\n") else text + "\n")


def drop_output() -> None:
    """Send what is still buffered nowhere, so that closing stdout does not complain once more."""
    null = os.open(os.devnull, os.O_WRONLY)
    with contextlib.suppress(OSError, ValueError):
        os.dup2(null, sys.stdout.fileno())


def faults(found: Sequence[Fault], sources: Mapping[str, Quoting]) -> None:
    """Each fault with its place and excerpt, then how many there are."""
    colour = fancy(sys.stderr)
    for fault in found[:SHOWN]:
        text = shown(fault, sources)
        if colour:
            tint = _RED if fault.fatal else _YELLOW
            text = tint + fault.code + _PLAIN + text.removeprefix(fault.code)
        complain(text + "\n")
    if len(found) > 1:
        complain(_count(found))


def table(found: Table) -> None:
    """A table; with rich on a terminal, plain elsewhere."""
    from archspec.report.table import plain, terminal

    if fancy(sys.stdout):
        terminal(found)
    else:
        say(plain(found))


def page(code: str, page: Page) -> None:
    """A page about a complaint; with rich on a terminal, plain elsewhere."""
    if not fancy(sys.stdout):
        say(f"{code}  {page.title}\n\n{page.text}")
        return
    from rich.console import Console
    from rich.markdown import Markdown

    console = Console(width=min(Console().width, _COLUMNS))
    console.print(f"[bold]{code}[/bold]  {page.title}\n", highlight=False)
    console.print(Markdown(page.text))


def _count(found: Sequence[Fault]) -> str:
    errors = sum(fault.fatal for fault in found)
    kinds = ((errors, "fault"), (len(found) - errors, "warning"))
    text = ", ".join(f"{n} {word}{'s' * (n != 1)}" for n, word in kinds if n)
    return text + (f", the first {SHOWN} shown" if len(found) > SHOWN else "")
