"""The same source, names, figures: on every Python, for every hash seed, in every version."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from archspec.network import Program, load

HERE = Path(__file__).resolve().parent
CONTRACT = HERE / "language_1"  # specs as they were when language 1 was written down
NAMES = CONTRACT / "names.json"


def names(program: Program) -> str:
    """Digest of the names and shapes of all weights and buffers, in their order."""
    rows = [f"{name} {list(weight.shape)}\n" for name, weight, *_ in program.graph.weights()]
    return hashlib.sha256("".join(rows).encode()).hexdigest()[:16]


@pytest.mark.parametrize("file", sorted(CONTRACT.glob("*.yaml")), ids=lambda file: file.stem)
def test_a_spec_of_language_1_has_the_names_it_had(file: Path) -> None:
    """A checkpoint that was written for a spec is read for ever: `names.json` is never changed."""
    wanted = json.loads(NAMES.read_text())
    program = load(file)
    found = {file.stem: names(program)}
    found |= {f"{file.stem}:{v}": names(load(file, v)) for v in program.spec.variants}
    assert found == {key: wanted[key] for key in wanted if key.partition(":")[0] == file.stem}


# ------------------------------------------------------------------ figures


def whole(node: ast.expr) -> bool:
    """Whether what is summed is a whole number by its form: a count, or numbers of weights."""
    if isinstance(node, ast.UnaryOp):
        return isinstance(node.op, ast.Not) or whole(node.operand)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return node.func.id in ("any", "all", "bool", "len")
    if isinstance(node, ast.BinOp):
        return isinstance(node.op, ast.FloorDiv)
    return isinstance(node, ast.Compare) or (
        isinstance(node, ast.Attribute) and node.attr in ("params", "macs")
    )


def float_sums(text: str) -> list[int]:
    """Lines of calls of `sum` whose numbers may be no whole ones.

    What a function returns that returns an int is one: mypy sees to that.
    """
    nodes = list(ast.walk(ast.parse(text)))
    returned = [
        line.value
        for node in nodes
        if isinstance(node, ast.FunctionDef) and ast.unparse(node.returns or node) == "int"
        for line in ast.walk(node)
        if isinstance(line, ast.Return)
    ]
    calls = [node for node in nodes if isinstance(node, ast.Call) and node not in returned]
    return [
        call.lineno
        for call in calls
        if isinstance(call.func, ast.Name)
        and call.func.id == "sum"
        and not (isinstance(call.args[0], ast.GeneratorExp) and whole(call.args[0].elt))
    ]


@pytest.mark.parametrize(
    "file", sorted((HERE.parent / "archspec/figures").glob("*.py")), ids=lambda file: file.stem
)
def test_floats_are_summed_exactly(file: Path) -> None:
    """`sum` of floats rounds in another way since Python 3.12: a width would be another."""
    assert float_sums(file.read_text()) == []


def test_a_sum_of_floats_is_seen() -> None:
    lines = [
        "sum(widths)", "sum(a < b for a in c)", "sum(line.size for line in lines)",
        "sum(-(-a // 2) for a in b)", "def f(a) -> float: return sum(a)",
        "def f(a) -> int: return sum(a)",
    ]  # fmt: skip
    assert float_sums("\n".join(lines)) == [1, 3, 5]


# ------------------------------------------------------------------ processes

DIGESTS = """\
import hashlib, json, sys
if "pure" in sys.argv:
    sys.modules["yaml._yaml"] = None  # as where PyYAML has no libyaml
import yaml
from archspec import shelf
from archspec.figures import RenderError, figure
from archspec.network import load
found = {}
for name in sys.argv[1].split(","):
    program = load(name)
    said = {"code": program.code, "totals": str(program.analysis.totals)}
    for view in ("blocks", "tower", "levels", "html"):
        try:
            said[view] = figure(program, view, "html" if view == "html" else "svg")
        except RenderError as failed:
            said[view] = str(failed)
    for what, text in said.items():
        found[f"{name} {what}"] = hashlib.sha256(text.encode()).hexdigest()[:16]
print(json.dumps([yaml.__with_libyaml__, found]))
"""


def digests(python: str, specs: str, seed: int, *, pure: bool) -> tuple[bool, dict[str, str]]:
    """Of sources, totals and figures, made in a process of its own; and whether with libyaml."""
    call = [python, "-c", DIGESTS, specs, *(["pure"] if pure else [])]
    done = subprocess.run(
        call, capture_output=True, text=True, cwd=HERE.parent,
        env={**os.environ, "PYTHONHASHSEED": str(seed), "PYTHONPATH": str(HERE.parent)},
    )  # fmt: skip
    assert not done.returncode, done.stderr
    libyaml, found = json.loads(done.stdout)
    return libyaml, found


def test_no_hash_seed_and_no_parser_shows() -> None:
    few = "alexnet,resnet50,faster_rcnn,inception_resnet_v2,unet"
    (_, one), (libyaml, other) = (
        digests(sys.executable, few, seed, pure=pure) for seed, pure in ((0, False), (77, True))
    )
    assert not libyaml
    assert one == other
