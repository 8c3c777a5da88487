"""Every command with names, streams and moments that nobody thought of: one sentence, right status.

A seed draws a command, an odd name for what it reads or writes, what is there under that name, and
a stdout; a quarter of the commands get Ctrl-C at some moment. Each is a process of its own.
"""

from __future__ import annotations

import os
import random
import re
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from test_edges import NET, READ, SHOWN, WRITTEN, hidden

from archspec import cli, search, see, train, transfer, weights  # noqa: F401  (imported once)

SIGNS = "ab.-_ ~*?$'\"\\{}[]()#&;|<>!%@=:,\t\n\x1b\x7f\u00e9\u202e\u200b\u4e2d\udcff"
THINGS = ("nothing", "a folder", "a link into nothing", "a link to itself", "a pipe", "somebody's")


def a_name(draw: random.Random) -> str:
    size = draw.choice([1, 3, 10, 80, 200, 260, 5000])
    name = "".join(draw.choice(SIGNS) for _ in range(size))
    return draw.choice(["", "", "", "/", "../", "no/", "./", "-", "~/"]) + name


def put(draw: random.Random, name: str) -> None:
    """Something under a name, where the system takes it."""
    what = draw.choice(THINGS)
    try:
        if what == "a folder":
            Path(name).mkdir()
        elif what.startswith("a link"):
            Path(name).symlink_to("nowhere" if what.endswith("nothing") else name)
        elif what == "a pipe":
            os.mkfifo(name)
        elif what == "somebody's":
            Path(name).write_text("mine\n")
    except (OSError, ValueError):
        pass


def command(draw: random.Random) -> list[str]:
    words = draw.choice(READ + WRITTEN + SHOWN).split()
    name = a_name(draw)
    for word in words:
        if "@" in word and "/" not in name:
            put(draw, word.replace("@", name))
    return [word.replace("@", name) for word in words]


def trial(seed: int, folder: Path) -> Iterator[str]:
    draw = random.Random(seed)
    os.chdir(folder)
    Path("net.yaml").write_text(NET)
    words = command(draw)
    stdout = draw.choice(["out.txt", "out.txt", "/dev/full", ""])
    child = os.fork()
    if not child:
        for number, place in ((1, stdout or os.devnull), (2, "err.txt")):
            flags = os.O_RDONLY if not place or place == os.devnull else os.O_WRONLY | os.O_CREAT
            os.dup2(os.open(place, flags, 0o644), number)
        sys.argv = ["archspec", *words]
        code = 70
        try:
            cli.main()
        except SystemExit as exit:
            code = exit.code if isinstance(exit.code, int) else 0
        except BaseException as failed:
            print(f"Traceback {failed!r}", file=sys.stderr)
        finally:
            sys.stderr.flush()
            os._exit(code)
    if draw.random() < 0.25:
        time.sleep(draw.uniform(0, 0.3))
        os.kill(child, signal.SIGINT)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    said = Path("err.txt").read_text(errors="replace")
    mine = Path("net.yaml").read_text() == NET
    if code not in (0, 1, 2, 130, -signal.SIGINT) or re.search("E900|Traceback", said):
        yield f"FAULT: {words} > {stdout}: {code} {said[-300:]}"
    elif hidden(said):
        yield f"HIDDEN: {words}: {said[-300:]!r}"
    elif code and not said.strip():
        yield f"SILENT: {words} > {stdout}: {code}"
    elif not mine:
        yield f"LOST: {words}"
    else:
        yield f"exit {abs(code)}"
