"""What README.md shows is what archspec does."""

from __future__ import annotations

import re
from pathlib import Path

import archspec
from archspec import report
from archspec.network import load
from archspec.report.layers import fitting

ROOT = Path(__file__).resolve().parent.parent
SPEC = "examples/tiny_resnet.yaml"
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    found = re.findall(r"^```(\w*)\n(.*?)^```$", README, flags=re.DOTALL | re.MULTILINE)
    return [text for word, text in found if word == language]


def test_its_spec_is_the_example() -> None:
    assert blocks("yaml") == [(ROOT / SPEC).read_text(encoding="utf-8")]


def test_its_table_and_source_are_real() -> None:
    program = load(ROOT / SPEC)
    table, _, last = blocks("")[0].rstrip("\n").rpartition("\n\n")
    assert table == report.write(program, "table", fitting(program)).rstrip("\n")
    code = program.code.replace(program.source.name, Path(SPEC).name)
    assert blocks("python")[0] == code
    assert last == f"tiny_resnet.py: {len(code.splitlines())} lines written"


def test_it_has_one_command_to_install_and_one_to_test() -> None:
    marked = re.search(r"<!-- test command -->\n(.*?)<!-- end -->", README, flags=re.DOTALL)
    assert marked is not None
    (command,) = re.findall(r"^```\n(.*?)^```$", marked[1], flags=re.DOTALL | re.MULTILINE)
    assert len(command.splitlines()) == 1
    assert command.endswith("pytest -n auto\n")
    assert "```\npip install . && archspec compile specs/vgg16.yaml\n```" in README


def test_its_figures_are_those_that_render_draws(update: bool) -> None:
    shown = re.findall(r"`archspec render (.*?)`\n\n!\[.+?\]\((docs/figures/\w+\.svg)\)", README)
    assert len(shown) == 4
    for arguments, path in shown:
        spec, *options = arguments.split()
        named = {
            name.removeprefix("--"): value
            for name, value in zip(options[::2], options[1::2], strict=True)
        }
        made = archspec.render(spec, format="svg", **named)
        assert isinstance(made, str)
        if update:
            (ROOT / path).write_text(made, encoding="utf-8")
        assert (ROOT / path).read_text(encoding="utf-8") == made, f"{path}: look at it; --update"
