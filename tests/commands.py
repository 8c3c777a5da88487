"""The words of a command → what it prints and how it ends, as a process of its own.

Python and archspec start once: each command is forked from one process that has imported the stages
and run nothing. `started` starts both anew, as a shell does; what a process is told as it starts,
such as how text is encoded, is seen only there.

    run("check", "net.yaml", cwd=folder).stdout    "net.yaml: 5,354 parameters, …"
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

_SERVER = """\
import json, os, signal, sys
import archspec.analysis, archspec.cli.running, archspec.emit, archspec.network, archspec.report
for line in sys.stdin:
    words, folder, place = json.loads(line)
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        for number, name in enumerate(("stdin", "stdout", "stderr")):
            os.dup2(os.open(f"{place}/{name}", os.O_RDWR), number)
        os.chdir(folder)
        sys.argv = ["archspec", *words]
        archspec.cli.main()
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
_PIPE = subprocess.PIPE
Done = subprocess.CompletedProcess[str]


def _environment() -> dict[str, str]:
    return {**os.environ, "COLUMNS": "100"}


@cache
def _server() -> subprocess.Popen[str]:
    """It ends with its standard input, which this process has open."""
    call = [sys.executable, "-c", _SERVER]
    return subprocess.Popen(call, stdin=_PIPE, stdout=_PIPE, text=True, env=_environment())


def run(*words: str, cwd: Path, stdin: str = "") -> Done:
    """A command, forked."""
    server = _server()
    assert server.stdin is not None
    assert server.stdout is not None
    with tempfile.TemporaryDirectory() as place:
        files = [Path(place, name) for name in ("stdin", "stdout", "stderr")]
        for file, text in zip(files, (stdin, "", ""), strict=True):
            file.write_text(text, encoding="utf-8")
        server.stdin.write(json.dumps([words, str(cwd), place]) + "\n")
        server.stdin.flush()
        code = int(server.stdout.readline())
        said = [file.read_text(encoding="utf-8") for file in files[1:]]
    return Done(words, code, *said)


def started(*words: str, cwd: Path, env: dict[str, str] | None = None) -> Done:
    """A command, as a shell starts it."""
    call = [sys.executable, "-m", "archspec", *words]
    env = _environment() | (env or {})
    return subprocess.run(
        call, cwd=cwd, env=env, capture_output=True, text=True, encoding="utf-8", timeout=60
    )
