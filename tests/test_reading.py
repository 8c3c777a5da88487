"""A text whose methods are parsed bit by bit is read as Python reads the whole."""

from __future__ import annotations

import ast
import random
import re
from typing import Any

import pytest
from random_specs import from_seed

from archspec.emit import reading
from archspec.emit.reading import Part, Reading, Several, UnsafeTextError
from archspec.network import load, loads


def whole(text: str) -> str:
    """The tree of a text, with the line and column of each node."""
    return _dumped(ast.parse(text))


def bit_by_bit(text: str) -> str:
    """The same, put together of the parts in which a text is read."""
    read = Reading(text)
    body: list[ast.stmt] = []
    for part in read.outermost():
        for function in functions(part):
            function.args = _together(
                [*(n for p in read.signature(function, part.above) for n in _moved(p, part.above))]
            )
            parts = read.body(function, part.above)()
            function.body = [node for inner in parts for node in _moved(inner, part.above)]
        body += _moved(part, 0)
    return _dumped(ast.Module(body, []))


def _together(parts: list[ast.arguments]) -> ast.arguments:
    first, *others = parts
    for more in others:
        first.args += more.args
        first.defaults += more.defaults
    return first


def functions(part: Part) -> list[ast.FunctionDef]:
    return [n for s in part.nodes for n in ast.walk(s) if isinstance(n, ast.FunctionDef)]


def _moved(part: Part, above: int) -> list[Any]:
    """The nodes of a part, all entries of their brackets with them, at the lines of another."""
    for node in [n for outer in part.nodes for n in ast.walk(outer)]:
        if isinstance(node, ast.Call | ast.List | ast.Tuple):
            entries = node.args if isinstance(node, ast.Call) else node.elts
            if entries and isinstance(entries[0], Several):
                every = [n for p in entries[0].parts() for n in _moved(p, part.above)]
                entries[:] = [n for n in every if not isinstance(n, ast.keyword)]
                if isinstance(node, ast.Call):
                    node.keywords = [n for n in every if isinstance(n, ast.keyword)]
    return [ast.increment_lineno(node, part.above - above) for node in part.nodes]


def _dumped(tree: ast.AST) -> str:
    return re.sub(r", end_\w+=\d+", "", ast.dump(tree, include_attributes=True))


@pytest.mark.parametrize("spec", ["unet", "vgg16", "spatial_transformer", "lstm_classifier"])
@pytest.mark.parametrize("lines", [1, 30])
def test_what_is_written_is_read(spec: str, lines: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_LINES", lines)
    monkeypatch.setattr(reading, "_LONG", lines)
    text = load(spec).code
    assert bit_by_bit(text) == whole(text)
    parts = Reading(text).outermost()
    assert all(len(n.body) == 1 for part in parts for n in functions(part) if n.col_offset)


def test_a_long_signature_is_read_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    params = "".join(f"  w{k}: {8 + k % 5}\n" for k in range(150))
    convs = "".join(f"- {{conv: {{out: $w{k}, kernel: 1}}}}\n" for k in range(150))
    text = loads(f"spec: 1\nname: t\ninput: [8, 4, 4]\nparams:\n{params}body:\n{convs}").code
    assert text.count(": int = ") == 150
    assert bit_by_bit(text) == whole(text)
    monkeypatch.setattr(reading, "_LINES", 1)
    (init,) = (
        f for part in Reading(text).outermost() for f in functions(part) if f.name != "forward"
    )
    assert init.args.args == []


METHOD = "class A(B):\n    def f(self, x=0):\n        y = x\n"
ODD = [
    '        """\n        return 1\n        """\n        return 2\n',  # lines of a text
    '    z = """\n    def g(self):\n        return 1\n"""\n',  # what looks like a method
    "    z = [\n    def g(self):\n        1]\n",
    "    def g(self, z=lambda:\n        0): pass\n",
    "    def g(self, z=(lambda:\n        0\n    )): pass\n",
    "    def g(self): return 1\n",
    "    def g(self):\n\n            return 1\n\n        return 2\n",  # inwards, then outwards
    "    def g(self):\n            return 1\n            return 2\n",
    "        \fimport os\n",  # a form feed sets the column back
    "        y = 1\rimport os\n",  # Python ends a line there
    "        y = 1 \\\n",
    "        y = (1,\n        )\n        if x:\n            pass\n        else:\n            z = 4",
    "        if x:\n            return 1\n    else:\n        return 2\n",
    "    if B:\n        z = 1\n    def g(self):\n        def h():\n            return 1\n",
    "def g():\n    def h():\n        return 1\n    return h\n",
    "        return 1 # a remark:\n    # outside:\n        # in it\n\n\nclass C:\n    z = 1\n",
    "    def g(self):\n",
    "    \n        y = 1\n",
    "        return 'a\n",
    "        z = (\n            1,\n            2,\n        )\n",
    "        z = f(\n            1,\n            k=3,\n            m=4,\n        )\n",
    "        z = f(\n            *x,\n            **y,\n        )\n",
    "        z = f(\n            k=3,\n            1,\n        )\n",  # in no order
    "        z = f(\n            1) + f(,\n            2,\n        )\n",
    "        z = f(\n            g(\n            1,\n            )\n            + 2,\n        )\n",
    "        z = [\n            1,  # one,\n            2  # two,\n            ,\n        ]\n",
    "        z = [\n            1  # one,\n            2,\n        ]\n",
    '        z = [\n            """,\n            2,\n            """,\n        ]\n',
    "        (\n            z,\n            y,\n        ) = 1, 2\n",
    "        for z in (\n            1,\n            2,\n        ):\n            y = z\n",
    "        z = {1: f(\n            2,\n            3,\n        )}\n",
] + [
    f"    def g(\n{taken}    ) -> int:\n        return 1\n"
    for taken in (
        "        self,\n        y: int = 1,\n        z: int = 2,\n",
        "        self,\n        y=1, z=(),\n        *u,\n",
        "        self,\n        y=(1,\n        2),\n",
        "        self,\n        y): return 3; f(1,\n",
        "        self,\n        y=1,\n        z,\n",
        "        self,\n        y=1,\n        **z,\n",
    )
]


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("lines", [1, 30])
def test_an_odd_text_is_read_as_it_is_or_refused(
    odd: str, lines: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "_LINES", lines)
    monkeypatch.setattr(reading, "_LONG", lines)
    _alike(METHOD + odd)
    _alike(METHOD + odd + "\n        return 3\n")


def _alike(text: str) -> bool:
    """Whether a text is read; asserts that Python reads it too, and in the same way."""
    try:
        found = bit_by_bit(text)
    except UnsafeTextError:
        return False
    assert found == whole(text)
    return True


def test_lines_that_went_astray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_LINES", 1)
    monkeypatch.setattr(reading, "_LONG", 1)
    draw = random.Random(0)
    text = loads(from_seed(3)).code
    assert sum(_alike(_astray(text, draw)) for _ in range(50)) > 10


def _astray(text: str, draw: random.Random) -> str:
    """A text of which some lines are gone, elsewhere, or further in."""
    lines = text.split("\n")
    for _ in range(draw.choice((1, 1, 3))):
        at, there = draw.randrange(len(lines)), draw.randrange(len(lines))
        line = lines[at]
        lines[at : at + 1] = draw.choice(([], [line, lines[there]], [f"    {line}"], [line[4:]]))
    return "\n".join(lines)


def test_a_line_that_is_no_python_is_named() -> None:
    text = METHOD + "        y = 2\n" * 40 + "        y = = 3\n"
    with pytest.raises(UnsafeTextError) as wrong:
        bit_by_bit(text)
    assert wrong.value.line == 44
