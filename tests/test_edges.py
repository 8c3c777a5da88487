"""What surrounds a command: odd names, a stdout that takes nothing, Ctrl-C, a narrow terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import random
import re
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import click
import pytest

from archspec.cli import running
from archspec.cli.app import app
from archspec.text.words import FORBIDDEN

NET = """\
spec: 1
name: net
params: {width: 2}
input: [1, 8, 8]
body: [{conv: {out: $width, kernel: 3}}, relu, flatten, {id: fc, linear: 10}]
head: fc
"""
NAMES = {
    "300 characters": "a" * 300, "no UTF-8": "\udcff", "a direction override": "a\u202eb",
    "an escape": "\x1b[31mred", "no folder": "no/where", "a folder that is none": "nothere/",
}  # fmt: skip
# @ is the odd name: of what is read, which is not there, or of what is written
READ = [
    "check @", "compile @", "summary @", "summary @ net.yaml", "expand @", "export @ -o x.graphml",
    "diff @ net.yaml", "diff net.yaml @", "render @", "train @ --data digits",
    "train net.yaml --data @", "train net.yaml --data digits --plan @",
    "train net.yaml --data digits --weights @", "train --resume @", "predict @ x.png",
    "predict net.yaml @ --weights w.pt", "generate @ -p x", "evaluate @", "runs @",
    "save @ -o folder", "push @ a/b", "transfer codes @ --data digits",
    "transfer codes net.yaml --data @ --weights w.pt", "transfer svm @ --data digits",
    "transfer plan @ --data digits --similar", "transfer plan net.yaml --data @ --similar",
    "transfer draw @ --plan p.yaml", "transfer draw net.yaml --plan @", "see filters --spec @",
    "see filters --spec net.yaml --weights @", "search @ --space width=1..2",
    "search net.yaml --space width=1..2 --data @", "weights report @ --spec net.yaml",
    "weights report w.pt --spec @", "weights convert @ --spec net.yaml -o o.safetensors",
    "weights map @ net.yaml", "weights map net.yaml @", "fmt @", "fmt --check @", "explain @",
    "list @", "schema @", "completion @", "render net.yaml --view @", "render net.yaml --block @",
    "compile net.yaml --variant @", "compile net.yaml --set @=1", "compile net.yaml --set width=@",
    *(f"see {how} @ --spec net.yaml" for how in ("saliency", "guided", "deconv", "gradcam")),
    "see occlusion @ --spec net.yaml", "see activations @ --spec net.yaml --at relu1",
    "see patches @ --spec net.yaml --at relu1", "see codes @ --spec net.yaml",
    "see maximise --spec net.yaml --at @", "see invert @ --spec net.yaml --at relu1",
    "see emphasise @ --spec net.yaml --at relu1 --unit 0", "see anomaly @ --spec net.yaml",
    "see latent @ --spec net.yaml",
]  # fmt: skip
WRITTEN = [
    "compile net.yaml -o @", "compile net.yaml --stop-after graph -o @",
    "export net.yaml -o @.graphml",
    "render net.yaml -o @.svg", "render net.yaml -o @.html", "render net.yaml -o @.png",
    "render net.yaml -o @.pdf", "render net.yaml -o @.tex", "render net.yaml -o @.dot",
    "render net.yaml -o @.mmd", "schema -o @", "schema --plan -o @",
    "search net.yaml --space width=1..2 -n 2 --plot @.svg",
    "search net.yaml --space width=1..2 -n 2 -o @", "new -o @.yaml",
    "weights map net.yaml net.yaml -o @",
]  # fmt: skip
GALLERY = "gallery -o @"
SHOWN = [
    "check net.yaml", "compile net.yaml -o -", "compile net.yaml -o kept.py", "summary net.yaml",
    "summary net.yaml net.yaml", "summary net.yaml -f json", "expand net.yaml",
    "export net.yaml -o -",
    "diff net.yaml net.yaml", "render net.yaml -o -", "render net.yaml -f png -o -",
    "render net.yaml -o kept.svg", "list", "list --ops", "explain", "explain E301", "schema",
    "schema --plan", "new", "completion bash", "weights map net.yaml net.yaml",
    "search net.yaml --space width=1..2 -n 2", "fmt net.yaml", "--help", "compile --help",
    "--version",
    "transfer plan net.yaml --data digits --similar", "train net.yaml --data digits --epochs 1",
]  # fmt: skip


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("net.yaml").write_text(NET)
    return tmp_path


def asked(line: str, monkeypatch: pytest.MonkeyPatch) -> int | str | None:
    """The exit status of a command in this process."""
    monkeypatch.setattr(sys, "argv", ["archspec", *line.split()])
    return running.run()


def hidden(text: str) -> bool:
    """Whether it has signs that move a cursor or hide something."""
    return FORBIDDEN.search(text.replace("\N{REPLACEMENT CHARACTER}", "")) is not None


def test_every_command_is_tried() -> None:
    tried = {tuple(line.split()) for line in (*READ, *WRITTEN, *SHOWN, GALLERY)}
    for name, command in app.commands.items():
        inner = command.commands if isinstance(command, click.Group) else {"": command}
        for path in ((name, more) if more else (name,) for more in inner):
            assert any(words[: len(path)] == path for words in tried), path


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
@pytest.mark.parametrize("line", READ)
def test_odd_names_of_what_is_read(
    line: str, name: str, here: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture
) -> None:
    code = asked(line.replace("@", name), monkeypatch)
    said = capfd.readouterr()
    assert code in (1, 2), said
    assert re.match(r"(error: |Usage: |E(?!900)\d\d\d )", said.err), said
    assert "Traceback" not in said.err
    assert not hidden(said.out + said.err)
    assert [file.name for file in here.iterdir()] == ["net.yaml"]


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
@pytest.mark.parametrize("line", WRITTEN)
def test_odd_names_of_what_is_written(
    line: str, name: str, here: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture
) -> None:
    code = asked(line.replace("@", name), monkeypatch)
    said = capfd.readouterr()
    assert not hidden(said.out + said.err)
    new = [file for file in here.iterdir() if file.name != "net.yaml"]
    if code == 0:
        assert new
        assert all(file.stat().st_size and not file.name.startswith(".") for file in new)
    else:
        assert code in (1, 2), said
        assert re.search(r"^(error: |E(?!900)\d\d\d )", said.err, re.MULTILINE), said
        assert not new


@pytest.mark.parametrize("name", ["a" * 300, "no/where", "nothere/"])
def test_odd_names_of_a_gallery(
    name: str, here: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture
) -> None:
    assert asked(GALLERY.replace("@", name), monkeypatch) == 2
    assert capfd.readouterr().err.startswith("error: ")
    assert [file.name for file in here.iterdir()] == ["net.yaml"]


def test_a_name_that_is_no_utf_8(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such files are read, drawn and named in pages as well as any."""
    for name in ("\udcff.yaml", "a\u202eb.yaml"):
        Path(name).write_text(NET)
        for line in (f"check {name}", f"render {name} --view html -o page.html --force"):
            assert asked(line, monkeypatch) == 0
        page = Path("page.html").read_text()
        assert "\N{REPLACEMENT CHARACTER}" in page
        assert not hidden(page)


# ------------------------------------------------------------------ stdout


def closed() -> IO[str]:
    """A stdout as `>&-` leaves it, once archspec has opened it again."""
    return os.fdopen(os.open(os.devnull, os.O_RDONLY), "w")


def full() -> IO[str]:
    return open("/dev/full", "w")  # noqa: PTH123


@pytest.mark.parametrize(
    ("stream", "why"),
    [
        (closed, "Bad file descriptor"),
        pytest.param(
            full, "No space left on device",
            marks=pytest.mark.skipif(not Path("/dev/full").exists(), reason="macOS has none"),
        ),
    ],
)  # fmt: skip
@pytest.mark.parametrize("line", SHOWN)
def test_a_stdout_that_takes_nothing(
    line: str, stream: Callable[[], IO[str]], why: str, here: Path,
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture,
) -> None:  # fmt: skip
    with stream() as out:
        monkeypatch.setattr(sys, "stdout", out)
        code = asked(line, monkeypatch)
    said = capfd.readouterr().err
    if line == "fmt net.yaml":  # all is well already, and nothing is said
        assert (code, said) == (0, "")
        return
    assert code == 1
    ours = f"error: cannot write to stdout: {why}\n"
    assert said.endswith(ours) or said == f"error: {why}\n"
    assert all(file.stat().st_size for file in here.iterdir() if file.is_file())


@pytest.mark.parametrize("closing", [">&-", "2>&-", "<&-", "<&- >&- 2>&-", "> /dev/full"])
def test_closed_by_the_shell(closing: str, here: Path) -> None:
    line = f"exec {sys.executable} -m archspec compile net.yaml {closing}"
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, timeout=60)
    assert "Traceback" not in done.stderr
    shown = ">&-" not in closing.replace("2>&-", "") and "full" not in closing
    assert done.returncode == (0 if shown else 1)
    assert Path("net.py").read_text().endswith("\n")
    assert Path("net.yaml").read_text() == NET


# ------------------------------------------------------------------ Ctrl-C


def gallery(before: str = "") -> subprocess.Popen[str]:
    """The command as it begins, with a line on stdout, behind so much Python."""
    return subprocess.Popen(
        [sys.executable, "-c", f"{before}\nprint(flush=True)\nimport archspec.cli as c; c.main()",
         "gallery", "-o", "page.md"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # `&` ignores it
    )  # fmt: skip


def is_interrupted(child: subprocess.Popen[str], here: Path) -> None:
    """The exit status of what a signal has ended, and nothing half-written."""
    _, said = child.communicate(timeout=60)
    assert said.strip() == "interrupted"
    assert child.returncode in (130, -signal.SIGINT)  # a shell shows both as 130
    assert not list(here.rglob(".*"))
    assert not Path("page.md").exists()
    assert all(f.read_text().endswith("</svg>\n") for f in here.rglob("*.svg"))


@pytest.mark.parametrize("after", [0.15, 0.3, 0.5])
def test_ctrl_c(after: float, here: Path) -> None:
    child = gallery()
    assert child.stdout is not None
    child.stdout.read(1)  # Python runs
    time.sleep(after + random.random() / 10)
    child.send_signal(signal.SIGINT)
    is_interrupted(child, here)


IMPORTED = """
import signal, sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "archspec.gallery":
            try:
                signal.raise_signal(signal.SIGINT)
                MORE
            except KeyboardInterrupt:
                raise RuntimeError("as `__set_name__` does, before 3.12")
sys.meta_path.insert(0, Finder())
"""
DRAWN = """
import signal
from archspec import gallery
drawn = gallery.entries
def entries():
    while True:
        yield from map(pressed, drawn())
gallery.entries = entries
def press():
    signal.raise_signal(signal.SIGINT)
"""
BEFORE = {
    "an import makes another error of it": IMPORTED.replace("MORE", ""),
    "an import that lasts": IMPORTED.replace(
        "MORE", "signal.raise_signal(signal.SIGINT); import time; time.sleep(600)"
    ),
    "a library makes another error of it": DRAWN + """
def pressed(entry):
    try:
        press()
    except KeyboardInterrupt:
        raise OSError(5, "broken", "library.so")
""",
    "a library drops it": DRAWN + """
class Dropped:
    __del__ = lambda self: press()
def pressed(entry):
    Dropped()
    return entry
""",
}  # fmt: skip


@pytest.mark.parametrize("before", BEFORE.values(), ids=BEFORE)
def test_ctrl_c_arrives(before: str, here: Path) -> None:
    is_interrupted(gallery(before), here)


# ------------------------------------------------------------------ narrow terminals


def on_a_terminal(words: list[str], columns: int) -> Iterator[str]:
    """The lines that a terminal of so many columns gets."""
    parent, child = pty.openpty()
    fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 30, columns, 0, 0))
    environment = {**os.environ, "TERM": "xterm"}
    environment.pop("COLUMNS", None)
    done = subprocess.Popen(
        [sys.executable, "-m", "archspec", *words],
        stdin=child, stdout=child, stderr=child, env=environment,
    )  # fmt: skip
    os.close(child)
    text = b""
    try:
        while more := os.read(parent, 1 << 16):
            text += more
    except OSError:
        pass  # the other end is closed
    os.close(parent)
    done.wait(60)
    for line in re.sub(r"\x1b\[[0-9;]*m", "", text.decode()).splitlines():
        yield line.rstrip()


LONG = NET.replace("out:", "outt:").replace("relu", "reluu")


@pytest.mark.parametrize(
    "line",
    ["compile resnet50", "summary resnet50 vgg16", "diff resnet50 vgg16", "--help", "train --help",
     "list", "list --ops", "explain", "explain E301", "check long.yaml", "check nothere.yaml",
     "frobnicate"],
)  # fmt: skip
def test_forty_columns(line: str, here: Path) -> None:
    Path("long.yaml").write_text(LONG)
    lines = list(on_a_terminal(line.split(), 40))
    assert len(lines) > 1
    assert max(map(len, lines)) <= 40, max(lines, key=len)
    if line == "check long.yaml":  # the caret stands below what it means
        caret = next(i for i, text in enumerate(lines) if "^" in text)
        at = lines[caret].index("^")
        assert lines[caret - 1][at : at + 4] == "outt"
