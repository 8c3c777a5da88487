"""SIGKILL in the middle of writing, for every kind of file: what is there is whole, old or new.

A command writes a file, then again with other content, and is killed in a process of its own: at
one of the times that it opens, renames or removes a file, or up to 3 ms later. A file whose name
begins with a dot is what was being written; nobody reads it.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

import archspec
from archspec import shelf
from archspec.cli.app import app
from archspec.save import NotOursError, as_written

SPEC = """\
spec: 1
name: net
params: {width: 4}
input: [1, 8, 8]
body: [{conv: {out:  $width, kernel: 3}}, relu, flatten, {id: fc, linear: 10}]
head: fc
"""
NEAT = SPEC.replace("out:  ", "out: ")
KINDS = {
    "net.py": "compile net.yaml -o net.py -s width=@",
    **{
        f"net{ending}": f"render net.yaml -o net{ending} -s width=@"
        for ending in (".svg", ".html", ".png", ".pdf", ".tex", ".dot", ".mmd")
    },
    "net.graphml": "export net.yaml -o net.graphml -s width=@",
    "net.onnx": "export net.yaml -o net.onnx -s width=@",
    "net.pt2": "export net.yaml -o net.pt2 -s width=@",
    "schema": "schema -o schema.json", "fmt": "fmt net.yaml", "gallery": "gallery -o page.md",
    "search": "search net.yaml --space width=1..9 -n 9 -o found.yaml --plot plot.svg",
    "convert": "weights convert w.safetensors --spec net.yaml -o new.safetensors",
    "map": "weights map net.yaml net.yaml -o rename.txt",
    "codes": "transfer codes net.yaml --data digits --weights w.safetensors --at fc -o codes.npz",
    "plan": "transfer plan net.yaml --data digits --similar -o plan.yaml",
    "draw": "transfer draw net.yaml --plan short.plan -o phase.svg",
    "see": "see filters --spec net.yaml --weights w.safetensors -o .",
    "train": "train net.yaml --plan short.plan -o run",
    "save": "save done -o folder", "report": "evaluate done --report report.html",
    "curves": "runs done -o curves.png",
}  # fmt: skip
AGAIN = {"schema", "fmt", "train", "save"}  # have no `--force`, or need none
PLAN = "epochs: 2\nbatch: 32\ndata: {train: digits, samples: 96}\nlog: {save: 2}\n"
_EVENTS = {"os.rename", "os.remove", "os.mkdir", "os.chmod", "os.truncate"}
_LATER = 0.003  # seconds


@cache
def stage(*, trained: bool) -> Path:
    """A folder with all that the commands read, a run among it where one is needed."""
    place = Path(mkdtemp())
    (place / "net.yaml").write_text(NEAT)
    (place / "short.plan").write_text(PLAN)
    torch.manual_seed(0)
    archspec.weights.save(archspec.build(place / "net.yaml"), place / "w.safetensors")
    if trained:
        assert not child(place, "train net.yaml --plan short.plan -o done", None)
    return place


def child(place: Path, line: str, armed: Callable[[], None] | None) -> int:
    """The signal that ended a command in a process of its own; its exit status, negative."""
    sys.stdout.flush()
    number = os.fork()
    if number:
        _, status = os.waitpid(number, 0)
        return os.WTERMSIG(status) if os.WIFSIGNALED(status) else -os.WEXITSTATUS(status)
    code = 1
    try:
        os.chdir(place)
        torch.set_num_threads(1)
        shelf.names = lambda: ["lenet5", "alexnet"]  # of those that a gallery shows, two
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        if armed:
            armed()
        code = int(app.main(line.split(), prog_name="archspec", standalone_mode=False) or 0)
    except BaseException as failed:
        print(f"{line}: {type(failed).__name__}: {failed}", file=sys.stderr, flush=True)
    finally:
        os._exit(code)


def counting(count: Callable[[], None]) -> None:
    """Calls it before each event of a file here."""
    here = str(Path.cwd())

    def hook(event: str, details: tuple[Any, ...]) -> None:
        writes = event == "open" and isinstance(details[2], int) and details[2] & 3
        if not writes and event not in _EVENTS:
            return
        name = os.fspath(details[0]) if isinstance(details[0], (str, os.PathLike)) else "/"
        if not str(name).startswith("/") or str(name).startswith(here):
            count()

    sys.addaudithook(hook)


def kill_at(event: int, later: float) -> Callable[[], None]:
    """Kills this process before an event, or so many seconds later."""

    def armed() -> None:
        seen = [0]

        def count() -> None:
            seen[0] += 1
            if seen[0] != event:
                return
            if later == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            elif not os.fork():
                time.sleep(later)
                os.kill(os.getppid(), signal.SIGKILL)
                os._exit(0)

        counting(count)

    return armed


def events(place: Path, line: str) -> int:
    """How often the command opens, renames or removes; it is run for that."""
    reading, writing = os.pipe()
    child(place, line, lambda: counting(lambda: (os.write(writing, b".")) and None))
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        return len(pipe.read())


def torn(file: Path) -> str:
    """What is wrong with a file."""
    if not file.stat().st_size:
        return "empty"
    try:
        if file.suffix == ".safetensors":
            return "" if load_file(file) else "no numbers"
        if file.suffix == ".npz":
            with file.open("rb") as opened, numpy.load(opened) as data:
                return "" if all(data[name].size for name in data) else "no numbers"
        if file.suffix == ".pt2":
            return zipfile.ZipFile(file).testzip() or ""
        if file.name == "net.yaml":
            return "" if file.read_text() in (SPEC, NEAT) else "another text"
        return "" if as_written(file) else "no digest"
    except (
        NotOursError,
        ValueError,
        OSError,
        zipfile.BadZipFile,
        SafetensorError,
    ) as failed:
        return str(failed)


def found_torn(place: Path, before: set[str]) -> Iterator[str]:
    """What is torn of all that was written."""
    for file in sorted(place.iterdir()):
        if file.name in before or file.name.startswith("."):
            continue
        if file.name == "page":
            yield from (
                f"{f.name}: {why}" for f in file.iterdir() if f.name[0] != "." and (why := torn(f))
            )
        elif file.is_dir():
            why = child(place, f"evaluate {file.name}", None)
            if (file / "last").exists() or (file / "model.safetensors").exists():
                yield from [f"{file.name}: cannot be loaded"] * bool(why)
        elif why := torn(file):
            yield f"{file.name}: {why}"


def trial(seed: int, folder: Path) -> Iterator[str]:
    draw = random.Random(seed)
    name = list(KINDS)[seed % len(KINDS)]
    for thing in stage(trained=" done" in KINDS[name]).iterdir():
        (folder / thing.name).symlink_to(thing)
    (folder / "net.yaml").unlink()
    (folder / "net.yaml").write_text(SPEC if name == "fmt" else NEAT)
    before = {"w.safetensors", "short.plan", "done"}
    line = KINDS[name] if name in AGAIN else KINDS[name] + " --force"
    many = events(folder, line.replace("@", "2"))
    if name in ("train", "save") or draw.random() < 0.3:  # nothing is there yet
        for file in set(folder.iterdir()) - {folder / kept for kept in (*before, "net.yaml")}:
            with suppress(OSError):
                file.unlink()
            if file.is_dir():
                shutil.rmtree(file)
    if name == "fmt":
        (folder / "net.yaml").write_text(SPEC)
    at, later = draw.randint(1, many), draw.choice((0.0, draw.uniform(0, _LATER)))
    ended = child(folder, line.replace("@", "5"), kill_at(at, later))
    wrong = list(found_torn(folder, before))
    if ended < 0:
        yield f"FAILED: {line}"
    yield from (
        f"TORN: {name}, event {at} of {many}, {1e3 * later:.1f} ms later: {one}" for one in wrong
    )
    if not wrong:
        yield "whole after a kill" if ended == signal.SIGKILL else "whole, not killed"
