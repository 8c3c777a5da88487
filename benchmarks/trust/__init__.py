"""Engines that try to break archspec: each by seeds, for as long as it is told to.

    python -m benchmarks.trust                                   lists them, and what each shows
    python -m benchmarks.trust kills --seed 0 --budget 600       seeds 0, 1, … for ten minutes

An engine is a module here. Its docstring says what it shows; its `trial(seed, folder)` gives what
came of one seed, as texts. Those that begin with a word in capitals are faults: they are printed,
and the exit status is 1.

    "whole: net.svg"       is counted as `whole`
    "TORN: net.svg …"      is a fault
"""

from __future__ import annotations

import ast
import os
import pkgutil
import resource
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests"))  # what the quick forms are made of

Trial = Callable[[int, Path], Iterable[str]]


def names() -> list[str]:
    """Of the engines."""
    return sorted(one.name for one in pkgutil.iter_modules(__path__) if one.name != "__main__")


def listed() -> str:
    """The engines, a line each: its name, and what it shows."""
    shown = []
    for name in names():
        text = (Path(__file__).parent / f"{name}.py").read_text(encoding="utf-8")
        shown.append(f"{name:<12}{(ast.get_docstring(ast.parse(text)) or '').splitlines()[0]}")
    return "\n".join(shown)


def trial(name: str) -> Trial:
    found: Trial = import_module(f"{__name__}.{name}").trial
    return found


def faulty(outcome: str) -> bool:
    return outcome.partition(":")[0].isupper()


def tried(trial: Trial, seed: int, budget: float) -> Counter[str]:
    """What came of the seeds from one on, as many as begin within so many seconds; one at least."""
    tally: Counter[str] = Counter()
    end = time.monotonic() + budget
    while True:
        with tempfile.TemporaryDirectory() as folder:
            for outcome in trial(seed, Path(folder)):
                tally[outcome.partition(":")[0]] += 1
                if faulty(outcome):
                    print(f"seed {seed}: {outcome}", flush=True)
        tally["seeds"] += 1
        seed += 1
        if time.monotonic() > end:
            return tally


def apart(work: Callable[[], Iterable[str]], seconds: int, megabytes: int) -> list[str]:
    """What comes of work in a process of its own, which may take so much time of CPU and memory.

    What it says after a text that ends in "…" it does not say where it is stopped: that text, what
    it was at, stands in the fault.
    """
    reads, writes = os.pipe()
    child = os.fork()
    if not child:
        os.close(reads)
        _limited(seconds, megabytes)
        with os.fdopen(writes, "w", buffering=1) as told:
            try:
                for outcome in work():
                    told.write(outcome.replace("\n", " ") + "\n")
            except BaseException as failed:
                told.write(f"FAILS: {type(failed).__name__}: {failed}".replace("\n", " ") + "\n")
        os._exit(0)
    os.close(writes)
    with os.fdopen(reads, errors="replace") as told:
        said = told.read().splitlines()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    at = [one for one in said if one.endswith("…")][-1:]
    if code == -signal.SIGXCPU:
        said.append(f"HANGS: over {seconds} s {at}")
    elif code:
        said.append(f"DIES: of {code} {at}")
    return [one for one in said if not one.endswith("…")]


def _limited(seconds: int, megabytes: int) -> None:
    """Bounds for this process, over what it has used by now."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    spent = int(used.ru_utime + used.ru_stime)
    resource.setrlimit(resource.RLIMIT_CPU, (spent + seconds + 1, spent + seconds + 2))
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    most = size + (megabytes << 20)
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
