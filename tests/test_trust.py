"""The engines of `python -m benchmarks.trust`, in short forms."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent


def engine(*words: str) -> subprocess.CompletedProcess[str]:
    call = [sys.executable, "-m", "benchmarks.trust", *words]
    return subprocess.run(call, cwd=ROOT, capture_output=True, text=True, timeout=300)


def test_engines_are_listed() -> None:
    done = engine()
    assert not done.returncode
    assert {"bounds", "fuzz", "kills", "makes", "threads", "edges", "stability"} <= set(
        done.stdout.split()
    )
    for said in ("blame       Shipped specs broken", "proof       One token of an emitted text"):
        assert said in engine("--help").stdout
    wrong = engine("nope")
    assert wrong.returncode == 2
    assert "`nope` is no engine; known: " in wrong.stderr


def test_a_file_is_whole_whenever_its_writer_is_killed() -> None:
    """One kill of each kind that is written without a trained network."""
    code = (
        "import sys, tempfile, pathlib\n"
        "from benchmarks.trust import kills\n"
        "for seed in range(10):\n"
        "    with tempfile.TemporaryDirectory() as place:\n"
        "        print(*kills.trial(seed, pathlib.Path(place)), sep='\\n')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert not done.returncode, done.stderr
    found = done.stdout.splitlines()
    assert len(found) == 10
    assert set(found) <= {"whole after a kill", "whole, not killed"}
    assert "whole after a kill" in found  # how many are hit in time, a busy machine decides


def test_a_torn_file_is_seen(tmp_path: Path) -> None:
    kills = pytest.importorskip("benchmarks.trust.kills")
    (tmp_path / "net.py").write_text('"""Net: written by arch')
    (tmp_path / "empty.svg").touch()
    (tmp_path / "half.npz").write_bytes(b"PK\x03\x04")
    found = list(kills.found_torn(tmp_path, set()))
    assert [one.partition(":")[0] for one in found] == ["empty.svg", "half.npz", "net.py"]


def test_threads_get_what_one_gets(tmp_path: Path) -> None:
    threads = pytest.importorskip("benchmarks.trust.threads")
    outcomes = list(threads.together(random.randrange(10**6), tmp_path, 8, 3))
    assert outcomes == ["as serial"] * 24


@pytest.mark.parametrize("name", ["bounds", "compiling", "fuzz", "makes"])
def test_nothing_is_found_in_seconds(name: str) -> None:
    """What was found once stands in tests/bad; other seeds are for the long form."""
    done = engine(name, "--seed", "0", "--budget", "1")
    assert not done.returncode, done.stdout + done.stderr


def test_params_of_which_no_other_value_is_accepted_are_compiled_in_little() -> None:
    """A thousand of them: their network is written, tried, refused, and written anew."""
    compiling = pytest.importorskip("benchmarks.trust.compiling")
    row = compiling.SIZES.index(2_000) * len(compiling.WAYS)
    seed = row + compiling.WAYS.index(compiling.fixed_widths)
    done = engine("compiling", "--seed", str(seed), "--budget", "0")
    assert not done.returncode, done.stdout + done.stderr


def test_what_takes_too_long_or_dies_is_seen() -> None:
    code = (
        "from benchmarks.trust import apart\n"
        "def hang():\n yield 'a …'\n yield 'b'\n yield 'c …'\n while True: pass\n"
        "def grow():\n yield str(len(bytes(300 << 20)))\n"
        "print(apart(hang, 1, 100), apart(grow, 1, 100))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "['b', \"HANGS: over 1 s ['c …']\"] ['FAILS: MemoryError: ']\n"


def test_what_is_broken_is_blamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blame = pytest.importorskip("benchmarks.trust.blame")
    monkeypatch.setattr(blame, "COUNT", 30)
    found = [one.partition(":")[0] for one in blame.trial(3, tmp_path)]
    assert not {"TRACEBACK", "ACCEPTED"} & set(found), found
    refused = found.count("refused")
    assert refused > 20
    assert found.count("ELSEWHERE") <= 0.1 * refused
    assert found.count("SEVERAL") <= 0.1 * refused
    assert found.count("own") >= 0.75 * refused


def test_what_lies_in_other_ways_keeps_what_torch_keeps(tmp_path: Path) -> None:
    layouts = pytest.importorskip("benchmarks.trust.layouts")
    seed = [op for op, _, _ in layouts.cases()].index("pixel_unshuffle")
    found = set(layouts.trial(seed, tmp_path))
    assert "kept to the byte" in found
    assert not [said for said in found if said.startswith(("KEPT", "FAILS"))]


def test_a_random_spec_is_right_in_all_that_is_said(tmp_path: Path) -> None:
    drawn = pytest.importorskip("benchmarks.trust.random")
    lone: dict[str, Any] = {}
    found = [*drawn.one(500_000, tmp_path, lone), *drawn.alone(lone, tmp_path)]
    assert found[:3] == ["right", "backward", "kept to the byte"]
    assert found[3] in ("exported", "not exported: E822")
    assert found[4:] == ["alone to the bit"]


def test_figures_of_random_specs_leave_nothing_out(tmp_path: Path) -> None:
    """A plain chain, one as usual, a larger one."""
    figures = pytest.importorskip("benchmarks.trust.figures")
    found = [said for seed in (2, 3, 7) for said in figures.trial(seed, tmp_path)]
    assert not [said for said in found if said.startswith(("WRONG", "CRASH"))]
    assert found.count("blocks right") == 3
    assert found.count("tower right") > 0
