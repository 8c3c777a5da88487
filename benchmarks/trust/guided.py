"""Texts and files that go where none went before: as `fuzz`, but drawn by libFuzzer (Atheris).

A seed is one kind for a minute. libFuzzer sees which lines of archspec a text reaches, keeps those
that reach new ones and changes them again; it begins with texts of the tests and `tests/corpus`,
which is what earlier hours kept, and goes on from seed to seed. `pip install atheris` comes first.
The second line adds to the corpus what a folder has that reaches lines which nothing there reaches.

    python -m benchmarks.trust guided --seed 0 --budget 3600
    python -m benchmarks.trust.guided specs -merge=1 -use_counters=0 tests/corpus/specs FOLDER
"""

from __future__ import annotations

import re
import subprocess
import sys
import warnings
from collections.abc import Iterator
from functools import cache
from itertools import repeat
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from benchmarks.trust import ROOT

BEGIN = {
    "specs": ("bad", "specs", "corpus/specs"),
    "expressions": ("corpus/expressions",),
    "plans": ("plans", "corpus/plans"),
    "files": ("corpus/files",),
}  # folders of tests, by kind
SECONDS = 60  # of a seed
OPTIONS = ("-max_len=4096", "-timeout=60", "-rss_limit_mb=3000", "-print_final_stats=1")
DONE = re.compile(r"^stat::number_of_executed_units: (\d+)$", re.MULTILINE)
FAILED = re.compile(r"^ *=== Uncaught Python exception: ===\n(.*)$|^(.*ERROR: .*)$", re.MULTILINE)


@cache
def _grown(kind: str) -> TemporaryDirectory[str]:
    """What the seeds of this process keep."""
    return TemporaryDirectory(prefix=f"{kind}-")


def trial(seed: int, folder: Path) -> Iterator[str]:
    kind = sorted(BEGIN)[seed % len(BEGIN)]
    words = [f"-seed={seed + 1}", f"-max_total_time={SECONDS}", f"-artifact_prefix={folder}/"]
    call = [sys.executable, "-m", __name__, kind, *words, _grown(kind).name]
    call += [str(ROOT / "tests" / one) for one in BEGIN[kind]]
    done = subprocess.run(call, cwd=ROOT, capture_output=True, text=True, errors="replace")
    if "No module named 'atheris'" in done.stderr:
        raise click.ClickException("`guided` needs Atheris: pip install atheris")
    if (count := DONE.search(done.stderr)) is not None:
        yield from repeat(f"{kind} answered", int(count[1]))
    if done.returncode:
        why = FAILED.search(done.stderr + done.stdout)
        found = [path.read_bytes() for path in folder.iterdir() if path.is_file()]
        yield f"FAILS: {kind}: {why[0] if why else done.stderr[-300:]}: {found}"


def _fuzzed(kind: str, words: list[str]) -> None:
    """libFuzzer with `words` for its own command line; ends the process."""
    import atheris

    with atheris.instrument_imports(include=["archspec"]), TemporaryDirectory() as folder:
        from benchmarks.trust import fuzz

        warnings.simplefilter("ignore")
        pieces = fuzz.BYTES if kind == "files" else tuple(one.encode() for one in fuzz.PIECES)
        told, path = Path(folder, "pieces"), Path(folder, "net")
        told.write_text("".join(f'"{_escaped(one)}"\n' for one in pieces))

        def one(data: bytes) -> None:
            path.write_bytes(data)
            fuzz.answered(kind, path)

        again = f"{sys.executable} -m benchmarks.trust.guided {kind}"  # as merging calls itself
        atheris.Setup([again, f"-dict={told}", *OPTIONS, *words], one)
        atheris.Fuzz()


def _escaped(piece: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in piece)


if __name__ == "__main__":
    _fuzzed(sys.argv[1], sys.argv[2:])
