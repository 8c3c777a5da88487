"""What docs/graph.md shows is what networkx says."""

from __future__ import annotations

import re
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

from archspec.network import load

PAGE = Path(__file__).resolve().parent.parent / "docs" / "graph.md"
EXAMPLES = re.compile(r"^```python\n(.*?)^```\n\n```\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def test_each_example_prints_what_stands_below_it(update: bool) -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert text.count("```python") == len(EXAMPLES.findall(text)) == 4
    names: dict[str, Any] = {}

    def shown(example: re.Match[str]) -> str:
        with redirect_stdout(StringIO()) as printed:
            exec(example[1], names)
        return f"```python\n{example[1]}```\n\n```\n{printed.getvalue()}```"

    real = EXAMPLES.sub(shown, text)
    if update:
        PAGE.write_text(real, encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == real, "read it; --update"


def test_its_table_names_all_attributes_of_a_node() -> None:
    told = re.findall(r"^\| (`.*?) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    told = [name for cell in told for name in re.findall(r"`(\w+)`", cell)]
    for _, attributes in load("lenet5").graph.nodes(data=True):
        assert sorted(attributes) == sorted(told)
