"""The view that docs/figures.md adds is one, as it stands there."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType

import pytest
from checking import faults
from figures import NETWORKS, network

from archspec.figures import VIEWS, View, figure

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", NETWORKS)
def test_a_view_is_a_function_and_a_row(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (ROOT / "docs" / "figures.md").read_text(encoding="utf-8")
    function, row = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    module = ModuleType("archspec.figures.strip")
    exec(compile(function, "strip.py", "exec"), module.__dict__)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    for view, found in eval(f"{{{row}}}", {"View": View}).items():
        monkeypatch.setitem(VIEWS, view, found)
    assert faults(module.draw(network(name))) == []
    for format in VIEWS["strip"].formats:
        assert figure(network(name), "strip", format)
