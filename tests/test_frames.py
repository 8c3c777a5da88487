"""Documents with a frame: what a template gets is text, all of it, and nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from jinja2 import UndefinedError

from archspec.frames import frame
from archspec.report.table import Column, Table, html

HOSTILE = """</td><script>alert("{{ 1 + 1 }}")</script>{% raw %}{# & #}'"""


def test_what_stands_in_html_is_escaped_and_never_a_template() -> None:
    table = Table(HOSTILE, (Column(HOSTILE),), [(HOSTILE,)], (HOSTILE,), ((HOSTILE, HOSTILE),))
    said = html(table)
    assert "<script" not in said
    safe = "&lt;/td&gt;&lt;script&gt;alert(&quot;{{ 1 + 1 }}&quot;)&lt;/script&gt;"
    assert said.count(safe + "{% raw %}{# &amp; #}&#x27;") == 6


def test_a_hole_without_a_value_is_an_error() -> None:
    for template in ("report/table.html.jinja", "figures/tikz.tex.jinja", "gallery.md.jinja"):
        with pytest.raises(UndefinedError):
            frame(template)


@pytest.mark.parametrize("command", ["check", "compile", "render -o -", "summary"])
def test_what_has_no_frame_does_not_pay_for_it(
    command: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    name, *options = command.split()
    arguments = ["archspec", name, "lenet5", *options]
    code = (
        f"import sys; sys.argv = {arguments!r}\n"
        "from archspec.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print('jinja2' in sys.modules, file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.splitlines()[-1] == "False"
