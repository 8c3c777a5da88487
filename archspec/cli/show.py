"""Text → the terminal: results to stdout, complaints to stderr, colour only where it shows."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, TextIO

from archspec.cli.ctrl_c import heed
from archspec.text.faults import SHOWN, Fault, Quoting
from archspec.text.faults import show as shown
from archspec.text.words import printable

if TYPE_CHECKING:
    from archspec.codes import Page
    from archspec.report.table import Table

_COLUMNS = 100  # of prose on a terminal: longer lines are hard to read
_HANGING = re.compile(r" *(?:\S+ {2,}|\S+: )?")  # below what follows, a folded line goes on

_RED, _YELLOW, _PLAIN = "\x1b[1;31m", "\x1b[1;33m", "\x1b[0m"


def fancy(stream: TextIO) -> bool:
    """Whether `stream` is a terminal that wants colour."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return stream.isatty()


def result(content: str | bytes) -> None:
    """A result, as it is: it may be read by a program."""
    with to_stdout():
        if isinstance(content, bytes):
            sys.stdout.flush()
            sys.stdout.buffer.write(content)
        else:
            sys.stdout.write(content if content.endswith("\n") else content + "\n")


def say(text: str) -> None:
    """Sentences about a result."""
    result(_lines(text, sys.stdout))


def complain(text: str) -> None:
    """A sentence about what went wrong, or may."""
    _warn(_lines(text, sys.stderr))


def _warn(lines: str) -> None:
    heed()
    with contextlib.suppress(OSError):
        sys.stderr.write(lines + "\n")


def _columns(stream: TextIO) -> int | None:
    """Of a terminal; None: nobody sees where a line ends."""
    return shutil.get_terminal_size().columns if stream.isatty() else None


def _lines(text: str, stream: TextIO) -> str:
    """Text that moves no cursor and hides nothing; on a terminal, folded to its width."""
    lines = [printable(line) for line in text.removesuffix("\n").split("\n")]
    width = _columns(stream)
    if width is not None:
        lines = [part for line in lines for part in _folded(line, width)]
    return "\n".join(lines)


def _folded(line: str, width: int) -> list[str]:
    """One line as several, where it is too long; words stay whole."""
    if len(line) <= width:
        return [line]
    hanging = _HANGING.match(line)
    indent = " " * min(hanging.end() if hanging else 0, width // 3)
    return textwrap.wrap(
        line, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


@contextlib.contextmanager
def to_stdout() -> Iterator[None]:
    """Writes to stdout, or ends the command where that fails."""
    try:
        yield
    except BrokenPipeError:  # `| head` has seen enough: nothing is wrong
        _drop_output()
        raise SystemExit(0) from None
    except OSError as error:
        _drop_output()
        complain(f"error: cannot write to stdout: {error.strerror}")
        raise SystemExit(1) from None


def _drop_output() -> None:
    """Send what is still buffered nowhere, so that closing stdout does not complain once more."""
    null = os.open(os.devnull, os.O_WRONLY)
    with contextlib.suppress(OSError, ValueError):
        os.dup2(null, sys.stdout.fileno())


def faults(found: Sequence[Fault], sources: Mapping[str, Quoting]) -> None:
    """Each fault with its place and excerpt, then how many there are."""
    colour, width = fancy(sys.stderr), _columns(sys.stderr)
    for fault in found[:SHOWN]:
        lines = _lines(shown(fault, sources, width), sys.stderr)
        if colour:
            tint = _RED if fault.fatal else _YELLOW
            lines = tint + fault.code + _PLAIN + lines.removeprefix(fault.code)
        _warn(lines + "\n")
    if len(found) > 1:
        complain(_count(found))


def table(found: Table) -> None:
    """A table; with rich on a terminal, plain elsewhere."""
    from archspec.report.table import plain, terminal

    if fancy(sys.stdout):
        terminal(found)
    else:
        say(plain(found, _columns(sys.stdout)))


def page(code: str, page: Page) -> None:
    """A page about a complaint; with rich on a terminal, plain elsewhere."""
    if not fancy(sys.stdout):
        say(f"{code}  {page.title}\n\n{page.text}")
        return
    from rich.console import Console
    from rich.markdown import Markdown

    console = Console(width=min(_columns(sys.stdout) or _COLUMNS, _COLUMNS))
    console.print(f"[bold]{code}[/bold]  {page.title}\n", highlight=False)
    console.print(Markdown(page.text))


def _count(found: Sequence[Fault]) -> str:
    errors = sum(fault.fatal for fault in found)
    kinds = ((errors, "fault"), (len(found) - errors, "warning"))
    text = ", ".join(f"{n} {word}{'s' * (n != 1)}" for n, word in kinds if n)
    return text + (f", the first {SHOWN} shown" if len(found) > SHOWN else "")
