"""The pipeline, stage by stage: `docs/stages.md` shows what each makes of a small spec."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
import random_specs

from archspec import shelf
from archspec.cli.network import STAGE_NAMES
from archspec.network import STAGES, Choice, Run, start
from archspec.text import source
from archspec.text.faults import SpecError

PAGE = Path(__file__).resolve().parent.parent / "docs" / "stages.md"
STAGE = {stage.name: stage for stage in STAGES}


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The page's spec."""
    (text,) = re.findall(r"^```yaml\n(.*?)^```$", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    (tmp_path / "tiny.yaml").write_text(text)
    monkeypatch.chdir(tmp_path)
    return "tiny.yaml"


def test_every_stage_is_named_and_has_a_section() -> None:
    assert tuple(STAGE) == STAGE_NAMES
    assert re.findall(r"^## (\w+)$", PAGE.read_text("utf-8"), re.MULTILINE) == list(STAGE)
    for stage in STAGES:
        assert re.fullmatch(r"\w+ → .+[a-z]", stage.does)


@pytest.mark.parametrize("name", STAGE)
def test_the_page_shows_what_a_stage_makes(tiny: str, name: str, update: bool) -> None:
    shown = STAGE[name].show(start(tiny, Choice()))
    page = PAGE.read_text("utf-8")
    section = re.search(rf"^## {name}$.*?^```\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    assert section is not None
    if update:
        begin, end = section.span(1)
        PAGE.write_text(page[:begin] + shown.rstrip("\n") + "\n" + page[end:], "utf-8")
    else:
        assert section[1] == shown.rstrip("\n") + "\n"


@pytest.mark.parametrize("name", shelf.names())
def test_what_reading_and_parsing_show_of_a_shipped_spec(name: str, tmp_path: Path) -> None:
    run = start(name, Choice())
    read = STAGE["read"].show(run).splitlines()[1:]
    places = [re.findall(r"\d+:\d+", line.split("  ")[0]) for line in read]
    keys = [tuple(map(int, place.split(":"))) for line in places for place in line]
    assert keys == sorted(keys)  # in the order of the text
    for path in shelf.folder().glob("*.yaml"):  # what the spec uses
        shutil.copy(path, tmp_path)
    (tmp_path / f"{name}.yaml").write_text(STAGE["parse"].show(run), "utf-8")
    again = start(tmp_path / f"{name}.yaml", Choice())
    assert STAGE["parse"].show(again) == STAGE["parse"].show(run)
    # the name of the file stands in its first line
    assert STAGE["graph"].show(again).splitlines()[1:] == STAGE["graph"].show(run).splitlines()[1:]


@pytest.mark.parametrize("seed", range(60))
def test_what_parsing_shows_is_the_same_network(seed: int) -> None:
    text = random_specs.from_seed(seed)
    run = Run(source.from_text(text, "a.yaml"), Choice())
    again = Run(source.from_text(STAGE["parse"].show(run), "a.yaml"), Choice())
    assert STAGE["graph"].show(again) == STAGE["graph"].show(run)


@pytest.mark.parametrize(
    ("line", "last"),
    [("  - conv: {out: 4", None), ("  - cnov: 4", "read"), ("  - max_pool: 99", "parse")],
)
def test_a_fault_stops_the_stage_that_finds_it(tmp_path: Path, line: str, last: str | None) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(f"spec: 1\nname: bad\ninput: [3, 8, 8]\nbody:\n{line}\n")
    passed = []
    try:
        run = start(path, Choice())
        for stage in STAGES:
            stage.show(run)
            passed.append(stage.name)
    except SpecError:
        pass
    else:
        pytest.fail("no fault")
    assert (passed[-1] if passed else None) == last


def test_totals_that_were_not_expected_do_not_hide_the_stages(tmp_path: Path) -> None:
    path = tmp_path / "net.yaml"
    path.write_text(
        "spec: 1\nname: net\ninput: [3]\nbody: [{linear: 5}]\nexpect: {net: {params: 3}}\n"
    )
    run = start(path, Choice())
    assert "linear" in STAGE["analyse"].show(run)
    with pytest.raises(SpecError, match="E502"):
        run.checked()
