"""32 threads that build, compile, analyse, draw and pickle the same specs, at once, from the start.

Each seed is a process of its own, in which nothing is imported yet; threads change every 10 µs.
What they get is what one thread alone gets, and equal specs are one class.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.trust import ROOT

THREADS, SPECS = 32, 20

WORK = """\
import hashlib, json, pickle, random, sys, threading, traceback
sys.path.insert(0, sys.argv[1])
import archspec

SPEC = '''
spec: 1
name: net{i}
input: [1, 8, 8]
blocks:
  B: {{params: {{w: required}}, body: [{{conv: {{out: $w, kernel: 3, padding: 1}}}}, relu]}}
body: [{{conv: {{out: {w}, kernel: 3}}}}, {{B: {w}, repeat: {n}}}, flatten, {{linear: 10}}]
'''
seed, threads, specs = map(int, sys.argv[2:])
texts = [SPEC.format(i=i, w=2 + i, n=1 + i % 3) for i in range(specs)]
found, failed, ready = {}, [], threading.Barrier(threads)

def what(text):
    program = archspec.loads(text)
    kind = type(archspec.build(program))
    again = type(pickle.loads(pickle.dumps(archspec.build(archspec.loads(text)))))
    drawn = archspec.render(program, None, view="blocks")
    said = [program.code, drawn, str(program.analysis.totals)]
    return kind, again, hashlib.sha256("".join(said).encode()).hexdigest()

def work(number):
    order = list(range(specs))
    random.Random(seed * threads + number).shuffle(order)
    ready.wait()
    for i in order:
        try:
            found.setdefault(i, []).append(what(texts[i]))
        except BaseException:
            failed.append(traceback.format_exc())

sys.setswitchinterval(1e-5)
every = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
[one.start() for one in every]
[one.join() for one in every]
sys.setswitchinterval(5e-3)
serial = [what(text) for text in texts]
other = sum(one != serial[i] for i, some in found.items() for one in some)
done = sum(map(len, found.values()))
print(json.dumps({"done": done, "other": other, "failed": failed[:3], "failures": len(failed)}))
"""


def trial(seed: int, folder: Path) -> Iterator[str]:
    yield from together(seed, folder, THREADS, SPECS)


def together(seed: int, folder: Path, threads: int, specs: int) -> Iterator[str]:
    """What comes of so many threads that each take all of so many specs."""
    call = [sys.executable, "-c", WORK, str(ROOT), *map(str, (seed, threads, specs))]
    done = subprocess.run(call, capture_output=True, text=True, cwd=folder)
    if done.returncode:
        yield f"FAILED: {done.stderr[-500:]}"
        return
    said = json.loads(done.stdout)
    for text in said["failed"]:
        yield f"ERROR: {text}"
    if said["other"]:
        yield f"OTHER: {said['other']} of {said['done']} differ from one thread's"
    yield from ["as serial"] * (said["done"] - said["other"])
