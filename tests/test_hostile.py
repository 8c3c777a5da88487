"""Texts written to hang, to fill memory or to crash: each is answered in 2 s and 300 MB.

All are read in one other process, because what libyaml does wrong would end this one.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from archspec.text import reading
from archspec.text.faults import SpecError
from archspec.text.source import from_text

SECONDS, MEGABYTES = 2.0, 300


def bomb(start: str, line: str) -> str:
    """Nine lines that name the line above nine times each."""
    lines = [start]
    for i in range(9):
        above = ", ".join([f"*b{i - 1}" if i else "*a"] * 9)
        lines.append(line.format(i=i, above=above))
    return "\n".join(lines)


def each(count: int, text: str) -> str:
    return "".join(text.format(i=i) for i in range(count))


# What is read, and the code of its first fault ("" where it is no fault).
CASES: dict[str, tuple[Callable[[], str], str]] = {
    "brackets": (lambda: "[" * 10**6, "E402"),
    "braces": (lambda: "{a: " * (2 * 10**5), "E402"),
    "braces without a space": (lambda: "{a:" * (2 * 10**5), "E115"),
    "dashes": (lambda: "- " * 500_000, "E402"),
    "questions": (lambda: "? " * 500_000, "E111"),
    "questions in a list": (lambda: "[" + "?a, " * 200_000 + "]", "E111"),
    "a staircase": (lambda: "".join(" " * i + "a:\n" for i in range(1400)), "E402"),
    "a long staircase": (lambda: "".join(" " * (i % 60) + "- \n" for i in range(30_000)), ""),
    "commas": (lambda: "[" + "," * 900_000, "E104"),
    "colons": (lambda: "a" + ": " * 400_000, "E111"),
    "colons in braces": (lambda: "{" + ":" * 900_000, "E111"),
    "an open quote": (lambda: 'a: "' + "x" * 900_000, "E114"),
    "an open quote of many lines": (lambda: "a: '" + "x y\n" * 225_000, "E114"),
    "many quotes": (lambda: "[" + '"a" ' * 200_000, "E104"),
    "many open lists": (lambda: each(60_000, "a{i}: [1,\n"), "E402"),
    "anchors": (lambda: each(10**5, "- &a{i}\n"), "E107"),
    "a long anchor": (lambda: "a: &" + "x" * 900_000 + " b", "E107"),
    "aliases": (lambda: "a: &a 1\nb: [" + "*a, " * 10**5 + "]", "E107"),
    "an alias bomb": (lambda: bomb("a: &a [x]", "k{i}: &b{i} [{above}]"), "E107"),
    "a merge bomb": (lambda: bomb("a: &a {x: 1}", "k{i}: &b{i} {{<<: [{above}]}}"), "E107"),
    "an alias to itself": (lambda: "a: &a [*a]", "E107"),
    "tags": (lambda: "- !t x\n" * 140_000, "E110"),
    "a tag of escapes": (lambda: "a: !" + "%41" * 300_000 + " b", "E110"),
    "directives": (lambda: each(60_000, "%TAG !{i}! x\n") + "---\na", "E113"),
    "documents": (lambda: "---\n" * 250_000, "E113"),
    "ends of documents": (lambda: "...\n" * 250_000, "E113"),
    "two megabytes": (lambda: "a: 1\n" * 400_000, "E401"),
    "ten megabytes of text": (lambda: "a: " + "x" * 10**7, "E401"),
    "a megabyte of text": (lambda: "a: " + "x" * 10**6, "E403"),
    "a megabyte of lines": (lambda: "a:\n" + "  x\n" * 250_000, "E403"),
    "a megabyte in quotes": (lambda: 'a: "' + "x" * 10**6 + '"', "E403"),
    "a megabyte of escapes": (lambda: 'a: "' + "\\u0041" * 170_000 + '"', "E403"),
    "blank lines in a text": (lambda: "a: |\n" + "\n" * 200_000, ""),
    "blank lines in a folded text": (lambda: "a: >\n" + " \n" * 200_000 + " x\n", "E403"),
    "blank lines between words": (lambda: "a: b" + "\n" * 900_000 + " c", "E403"),
    "blank lines": (lambda: "a:\n" + "\n" * 900_000, ""),
    "comments": (lambda: "#\n" * 500_000, ""),
    "signs of comments": (lambda: '"a"' + "#" * 900_000, "E104"),
    "a long number": (lambda: "a: " + "9" * 10**5, "E112"),
    "a long fraction": (lambda: "a: 1." + "9" * 10**5, "E112"),
    "a long hexadecimal number": (lambda: "a: 0x" + "f" * 10**6, "E112"),
    "many bad numbers": (lambda: "[" + "0x1, " * 200_000 + "]", "E112"),
    "keys": (lambda: "{" + each(80_000, "k{i}: 1, ") + "}", ""),
    "the same key on many lines": (lambda: "a: 1\n" * 200_000, "E106"),
    "the same key on one line": (lambda: "{" + "a, " * 300_000 + "}", "E106"),
    "pairs": (lambda: "[" + "a: 1, " * 150_000 + "]", ""),
    "open expressions": (lambda: "{" + each(20_000, "a{i}: $(f(, ") + "}", ""),
    "open expressions on lines": (lambda: each(60_000, "a{i}: $(f(\n"), ""),
    "expressions without quotes": (lambda: "{" + each(40_000, "a{i}: $(f[{i}]), ") + "}", "E116"),
    "expressions in expressions": (lambda: "{a: " + "$(" * 400_000 + "}", "E403"),
    "NUL": (lambda: "a: x\0y" * 100_000, "E103"),
    "controls": (lambda: "\x01" * 10**6, "E103"),
    "surrogates": (lambda: "a: \ud800" * 100_000, "E103"),
    "surrogates as escapes": (lambda: 'a: "' + "\\ud800" * 1_000 + '"', "E103"),
    "no-break spaces": (lambda: "a: [" + "\xa0b, " * 150_000 + "]", "E103"),
    "en dashes": (lambda: "\u2013 a\n" * 1_000, "E103"),
    "tabs": (lambda: "\t" * 900_000 + "a", "E105"),
    "keys without a space": (lambda: "{" + "out:64, " * 120_000 + "}", "E115"),
}
# PyYAML's own scanner is slow where it has to read to the end.
PURE = [
    name for name, (_, code) in CASES.items() if code not in ("", "E110", "E112", "E114", "E403")
]


def megabytes() -> float:
    """The most memory that this process has held."""
    status = Path("/proc/self/status")
    if status.exists():  # `getrusage` of Linux counts what the process was forked from
        return int(re.findall(r"VmHWM:\s+(\d+) kB", status.read_text())[0]) / 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20)


def measure(loader: Any, names: list[str]) -> None:
    """Reads the cases one after the other; prints what came of each, as JSON."""
    reading.LOADER = loader
    for name in names:
        text = CASES[name][0]()
        start = time.process_time()
        try:
            from_text(text)
            code = ""
        except SpecError as error:
            code = error.faults[0].code
            str(error)  # with excerpts
        seconds = time.process_time() - start
        print(json.dumps([name, code, seconds, megabytes()]), flush=True)


@pytest.mark.parametrize("loader", ["CSafeLoader", "SafeLoader"])
def test_hostile_texts_are_answered(loader: str) -> None:
    if not hasattr(yaml, loader):
        pytest.skip("PyYAML without libyaml")
    names = PURE if loader == "SafeLoader" else list(CASES)
    done = subprocess.run(
        [sys.executable, str(Path(__file__)), loader, *names],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, (found[-1:], done.stderr)
    assert [row[0] for row in found] == names
    for name, code, seconds, peak in found:
        assert (name, code) == (name, CASES[name][1])
        assert seconds < SECONDS, name
        assert peak < MEGABYTES, name


if __name__ == "__main__":
    measure(getattr(yaml, sys.argv[1]), sys.argv[2:])
