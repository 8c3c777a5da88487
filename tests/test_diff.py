"""`archspec diff`: two specs a user could have written, and what is said of them (`--update`)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from archspec.network import load
from archspec.report import difference

FOLDER = Path(__file__).resolve().parent / "diff"
KINDS = sorted(path.stem.removesuffix("_a") for path in FOLDER.glob("*_a.yaml"))


def compared(kind: str, depth: int = 1) -> difference.Difference:
    a, b = (load(f"{kind}_{side}.yaml") for side in "ab")
    return difference.compare(a, b, depth)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("format", "ending"), [("table", "txt"), ("markdown", "md")])
def test_diff(
    kind: str, format: str, ending: str, update: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(FOLDER)
    depth = 2 if kind == "chain" else 1
    text = difference.write(compared(kind, depth), format)
    expected = FOLDER / f"{kind}.{ending}"
    if update:
        expected.write_text(text, encoding="utf-8")
    assert text == expected.read_text(encoding="utf-8")


def test_every_text_belongs_to_a_pair() -> None:
    assert {path.stem for path in FOLDER.glob("*.txt")} == set(KINDS)
    assert {path.stem.removesuffix("_b") for path in FOLDER.glob("*_b.yaml")} == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_figures_are_those_of_the_two(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stages add up to the totals of either side, whatever is matched with what."""
    monkeypatch.chdir(FOLDER)
    found = compared(kind)
    data: dict[str, Any] = json.loads(difference.write(found, "json"))
    for side, program in (("a", found.a), ("b", found.b)):
        stages = [stage[side] for stage in data["stages"] if stage[side] is not None]
        assert sum(stage["params"] for stage in stages) == program.analysis.totals.params
        assert sum(stage["macs"] for stage in stages) == program.analysis.totals.macs
        assert data[side]["totals"]["params"] == program.analysis.totals.params
    weights = data["weights"]
    assert sum(stage["tensors_taken"] for stage in data["stages"]) == weights["tensors_taken"]
    assert sum(stage["tensors"] for stage in data["stages"]) == weights["tensors"]


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_said_to_fit_does(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """b loads from a's weights exactly the layers that the difference names."""
    pytest.importorskip("torch")
    from archspec import build, weights

    monkeypatch.chdir(FOLDER)
    found = compared(kind)
    model = build(found.b)
    fresh = found.weights["fresh"]
    state = build(found.a).state_dict()
    left = {node.path for _, _, node in found.a.graph.weights()} - set(found.same.values())
    report = weights.load(model, state, from_spec=found.a, allow=[*fresh, *left])
    assert len(report.loaded) == found.weights["tensors_taken"]


def test_of_itself_nothing_changed() -> None:
    for name in ("resnet50", "googlenet", "vit_b_16"):
        found = difference.compare(load(name), load(name))
        assert {change.sign for change in found.changes} == {"="}
        assert found.weights["tensors_taken"] == found.weights["tensors"]
        assert "nothing" in difference.write(found)


def test_variants_of_one_spec() -> None:
    found = difference.compare(load("resnet50"), load("resnet50", "resnet101"))
    signs = {change.after.name: change.sign for change in found.changes if change.after}
    assert {name for name, sign in signs.items() if sign != "="} == {"layer3", "layer4"}
    assert found.weights["tensors_taken"] == 320
    assert found.weights["params_taken"] == 25557032


def test_command_needs_no_torch(tmp_path: Path) -> None:
    code = (
        "import sys; from archspec.cli import main\n"
        "sys.argv = ['archspec', 'diff', 'wider_a.yaml', 'wider_b.yaml', *sys.argv[1:]]\n"
        "try: main()\n"
        "finally: assert not {'torch', 'numpy'} & set(sys.modules)\n"
    )

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", code, *arguments],
            cwd=FOLDER, capture_output=True, text=True, encoding="utf-8", check=False,
        )  # fmt: skip

    done = run()
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (FOLDER / "wider.txt").read_text(encoding="utf-8")
    assert run("-f", "markdown").stdout == (FOLDER / "wider.md").read_text(encoding="utf-8")
    assert run("-f", "csv").stdout.startswith(",layer,op,output,")
    assert run("-v", "a", "-v", "b", "-v", "c").returncode == 2
    assert run("-v", "nothere").returncode == 1
