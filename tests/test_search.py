"""A search by analysis alone: what it finds is the best there is, what is wrong is said."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import archspec
from archspec import search
from archspec.cli.app import app
from archspec.search import figures, space
from archspec.search.errors import SearchError

NET = """\
spec: 1
name: net
params: {width: 64, depth: 2, wide: [1, 2], flat: false}  # what may be changed
input: [3, 32, 32]
body:
  - {id: stem, conv: {out: $width, kernel: 3, padding: 1}}
  - {id: unit, conv: {out: $width, kernel: 3, padding: 1, groups: 4}, repeat: $depth}
  - {id: pool, max_pool: 2, when: $(not flat)}
  - {id: last, conv: {out: "$(width * wide[1])", kernel: 1}}
  - global_avg_pool
  - {id: fc, linear: 10}
"""


@pytest.fixture
def net(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    Path("net.yaml").write_text(NET)
    return "net.yaml"


def called(*args: str) -> Any:
    return CliRunner().invoke(app, ["search", "net.yaml", *args])


# ------------------------------------------------------------------ spaces


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("a=1..4", [1, 2, 3, 4]),
        ("a=32..100:32", [32, 64, 96]),
        ("a=0.1..0.3:0.1", [0.1, 0.2, 0.3]),
        ("a=[2, x, true, [3, 4]]", [2, "x", True, [3, 4]]),
    ],
)
def test_values(text: str, values: list[Any]) -> None:
    axis = space.axis(text)
    assert list(axis.each()) == values
    assert axis.size == len(values)


def test_orders_of_magnitude_are_drawn_evenly() -> None:
    axes = space.space(["lr=1e-4..1e-1:log n=1..1000:log"])
    drawn = space.points(axes, 3000, 0)
    assert len(drawn) == 3000
    for name, edges in (("lr", (1e-4, 1e-3, 1e-2, 1e-1)), ("n", (1, 10, 100, 1000))):
        values = [point[name] for point in drawn]
        assert edges[0] <= min(values)
        assert max(values) <= edges[-1]
        for low, high in pairwise(edges):
            assert sum(low <= value < high for value in values) == pytest.approx(1000, rel=0.25)


def test_a_space_that_is_small_is_tried_whole_and_a_large_one_without_repeats() -> None:
    axes = space.space(["a=1..3 b=[x, y]"])
    assert [tuple(point.values()) for point in space.points(axes, 6, 0)] == [
        (1, "x"), (1, "y"), (2, "x"), (2, "y"), (3, "x"), (3, "y"),
    ]  # fmt: skip
    few = space.points(axes, 5, 0)
    assert len({str(point) for point in few}) == 5
    assert few == space.points(axes, 5, 0) != space.points(axes, 5, 1)


# ------------------------------------------------------------------ figures


def test_figures_are_those_of_the_analysis() -> None:
    program = archspec.load("resnet50", "resnet18")
    rows, totals = program.analysis.rows, program.analysis.totals

    def of(name: str) -> float:
        return figures.Figure(name).of(program)

    assert of("params") == 11_689_512
    assert of("memory") == totals.inference_bytes
    assert of("memory.training") == totals.training_bytes
    assert of("field.layer4") == 435  # Araujo, Norris, Sim 2019, of ResNet-18
    assert of("stride.layer4") == 32
    assert of("shape.layer4[0]") == 512
    assert of("field.fc") == 224  # every cell sees the whole axis
    parts = ("conv1", "bn1", "layer1", "layer2", "layer3", "layer4", "fc")
    assert sum(of(f"params.{part}") for part in parts) == 11_689_512
    assert of("macs.fc") == 512 * 1000
    assert of("nodes") == len(rows)


def test_numbers_and_signs_of_bounds() -> None:
    bounds = figures.budget("params < 5M, 100k <= macs < 2M, memory <= 1.5MiB,")
    assert [(one.figure.name, one.sign, one.most) for one in bounds] == [
        ("params", "<", 5e6), ("macs", ">=", 1e5), ("macs", "<", 2e6),
        ("memory", "<=", 1.5 * 2**20),
    ]  # fmt: skip
    assert not bounds[0].holds(5_000_000)
    assert bounds[1].holds(100_000)


# ------------------------------------------------------------------ what is found


def test_what_is_found_is_what_trying_each_finds(net: str) -> None:
    limits = {"params": 60_000, "macs": 40_000_000}
    found = search.find(
        net, ["width=16..96:8", "depth=1..5", "flat=[true, false]"],
        "params < 60k, macs < 40M", "max field.last, min macs",
    )  # fmt: skip
    every = []
    for width in range(16, 97, 8):
        for depth in range(1, 6):
            for flat in (True, False):
                program = archspec.load(net, width=width, depth=depth, flat=flat)
                totals = program.analysis.totals
                if all(getattr(totals, name) < most for name, most in limits.items()):
                    field = program.analysis.row("last").fields[0].size
                    every.append(
                        (field, totals.macs, {"width": width, "depth": depth, "flat": flat})
                    )
    best = [
        point
        for field, macs, point in every
        if not any(f >= field and m <= macs and (f, m) != (field, macs) for f, m, _ in every)
    ]
    assert len(found.candidates) == len(every)
    assert found.dropped == 110 - len(every) > 0
    assert sorted(map(str, (one.point for one in found.front))) == sorted(map(str, best))
    assert found.best.figures["field.last"] == max(field for field, _, _ in every)


def test_several_processes_find_the_same(net: str) -> None:
    asked = (["width=31..40", "wide.1=1..4"], "params < 60k", "max shape.last[0], min macs")
    alone, shared = search.find(net, *asked), search.find(net, *asked, processes=2)
    assert alone.candidates == shared.candidates
    assert alone.front == shared.front
    assert (alone.dropped, alone.refused) == (shared.dropped, shared.refused)


def test_what_the_spec_refuses_is_counted_and_the_commonest_reason_said(net: str) -> None:
    found = search.find(net, ["width=31..40"])
    assert (len(found.candidates), found.refused) == (3, 7)
    assert found.reason == "`groups` of `conv` is 4; it does not divide `out`, 31"


def test_one_entry_of_a_list_leaves_the_others(net: str) -> None:
    found = search.find(net, ["wide.1=3..4"], aims="max shape.last[0]")
    assert found.best.params == {"wide": [1, 4]}
    assert found.best.figures["shape.last[0]"] == 256


# ------------------------------------------------------------------ what is written


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "variants:\n  found: {width: 48}\ninput"),
        ("variants: {small: {width: 8}}\n", "variants: {found: {width: 48}, small: {width: 8}}\n"),
        (
            "variants:  # of both sizes\n  small: {width: 8}\n",
            "variants:  # of both sizes\n  found: {width: 48}\n  small: {width: 8}\n",
        ),
    ],
)
def test_the_best_is_a_variant_and_all_else_stays(net: str, before: str, after: str) -> None:
    Path(net).write_text(NET.replace("input:", f"{before}input:"))
    done = called("--space", "width=8..48:8", "--objective", "max params", "-o", "out.yaml")
    assert done.exit_code == 0, done.output
    text = Path("out.yaml").read_text()
    assert after in text
    assert re.match(r"# Written by archspec \(\w+\) search: the variant found.\nspec: 1\n", text)
    rest = text.split("\n", 1)[1].replace(after, before or "input")
    assert rest == Path(net).read_text()
    assert archspec.load("out.yaml", "found").analysis.totals == (
        archspec.load(net, width=48).analysis.totals
    )


def test_what_was_chosen_before_is_part_of_the_variant(net: str) -> None:
    done = called("--space", "width=[8]", "--set", "depth=4", "-o", "out.yaml", "--name", "deep")
    assert done.exit_code == 0, done.output
    assert "deep: {depth: 4, width: 8}" in Path("out.yaml").read_text()


def test_table_json_and_picture(net: str) -> None:
    pytest.importorskip("matplotlib")
    space = ("--space", "width=8..48:8", "depth=[1, 2]", "--objective", "max field.unit, min macs")
    done = called(*space, "--budget", "params < 9k", "--plot", "front.svg")
    assert done.exit_code == 0, done.output
    assert "net: max field.unit, min macs" in done.output
    assert "candidates      12" in done.output
    assert Path("front.svg").read_text().count("<use") > 4
    rows = json.loads(called(*space, "--format", "json").stdout)
    assert [(row["width"], row["depth"], row["field.unit"]) for row in rows] == [
        (8, 2, 7),
        (8, 1, 5),
    ]


# ------------------------------------------------------------------ what is wrong


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["widht=1..3"], "E861 `net` has no param `widht`\n  help: did you mean `width`?"),
        (["width=3..1"], "E861 `width=3..1` begins at 3 and ends at 1"),
        (["width=x"], "E861 `width=x` is neither a range nor a list of values"),
        (["width=[1, 1]"], "E861 `width=[1, 1]` names a value twice"),
        (["width=0..3:log"], "a logarithm needs numbers above 0"),
        (["width=1..3:0"], "E861 `width=1..3:0` has the step 0"),
        (["wide.2=1..3"], "E861 `wide.2`: `wide` has entries 0 to 1"),
        (["width.2=1..3"], "E861 `width.2`: `width` has no entries"),
        (["wide.1=1..3", "wide=[[1, 2]]"], "E861 `wide.1` and `wide` are both given values"),
        (["width=8..9", "--budget", "parms < 5M"], "E862 no figure is called `parms`\n  help: did"),
        (["width=8..9", "--budget", "params < 5Q"], "E862 `params < 5Q`: `5Q` is no number"),
        (["width=8..9", "--budget", "params"], "E862 `params` is no bound"),
        (["width=8..9", "--budget", "1 < params < 2 < 3"], "is no bound"),
        (["width=8..9", "--budget", "< 3"], "E862 `< 3` is no bound"),
        (["width=8..9", "--objective", "max field.unti"], "no node or part `unti`"),
        (["width=8..9", "--objective", "macs"], "E862 `macs` does not say `min` or `max`"),
        (["width=8..9", "--objective", "max field"], "E862 `field` is not of a node"),
        (["width=8..9", "--objective", "max shape.fc"], "for example `shape.layer4[0]`"),
        (["width=8..9", "--objective", "max shape.fc[2]"], "`fc` has the shape [10]"),
        (["width=8..9", "--objective", "max val.accuracy"], "E862 `val.accuracy` is measured by"),
        (["width=[33]"], "E863 none of 1 candidates is left: 0 do not keep to the budget, 1 the"),
        (["width=8..12:4", "--budget", "params < 1"], "2 do not keep to the budget"),
        (["width=8..12:4", "--name", "net", "-o", "x.yaml"], "E864 `net` has a variant `net`"),
        (["width=8..12:4", "--name", "a b", "-o", "x.yaml"], "E864 `a b` cannot be the name"),
    ],
)
def test_what_cannot_be_searched(net: str, args: list[str], said: str) -> None:
    done = called("--space", *args)
    assert isinstance(done.exception, SearchError), done.output
    assert said in str(done.exception)
    assert "\n  help: " in str(done.exception)
    assert not Path("x.yaml").exists()


def test_a_spec_that_uses_others_stays_beside_them(net: str, tmp_path: Path) -> None:
    Path("top.yaml").write_text(
        "spec: 1\nname: top\nparams: {classes: 10}\ninput: [3, 32, 32]\nuse: {Net: net.yaml}\n"
        "body: [{id: net, Net: {}}, {id: fc, linear: $classes}]\n"
    )
    Path("other").mkdir()
    arguments = ["search", "top.yaml", "--space", "classes=2..3", "-o"]
    refused = CliRunner().invoke(app, [*arguments, "other/top2.yaml"])
    assert "uses other files, which `other/top2.yaml` would not find" in str(refused.exception)
    assert CliRunner().invoke(app, [*arguments, "top2.yaml"]).exit_code == 0
    assert archspec.load("top2.yaml", "found").analysis.row("fc").shape == (2,)


def test_nothing_loads_torch_or_optuna() -> None:
    import subprocess
    import sys

    code = (
        "import sys, archspec; archspec.search.find('lenet5', ['classes=2..4']);"
        "assert not {'torch', 'optuna', 'numpy', 'matplotlib'} & set(sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# ------------------------------------------------------------------ one network after another

CUT = """\
spec: 1
name: cut
params: {c: 8, classes: 10}
use: {Net: {file: resnet50, outputs: {c3: layer2}}}
input: [3, 64, 64]
body:
  - Net
  - {conv: {out: $c, kernel: 1}}
  - {id: aux, tap: train, sequential: [global_avg_pool, {linear: $classes}]}
  - global_avg_pool
  - {id: fc, linear: $classes}
outputs: {output: fc, aux: aux}
"""


@pytest.mark.parametrize(
    ("spec", "several"),
    [
        ("resnet50", [{"bottleneck": n > 2, "depths": [2, n, 2, 2]} for n in (1, 2, 3, 4)]),
        ("densenet121", [{"layers": [2, 3, n, 2], "growth": g} for n in (1, 2) for g in (16, 32)]),
        ("efficientnet_b0", [{"width": 0.5, "size": 96}, {"depth": 1.2, "size": 97}, {}]),
        (CUT, [{"c": c, "classes": n} for c in (8, 16) for n in (10, 20)]),
        ("mobilenet_v2", [{"width": w} for w in (0.25, 0.5, 0.25)]),
    ],
)  # fmt: skip
def test_networks_that_share_blocks_are_those_that_do_not(
    spec: str, several: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("archspec.expand.again._SHARED", 5)  # so that some are forgotten as well
    program = archspec.loads(spec) if "\n" in spec else archspec.load(spec)
    kept = program.graph.root.origin.state.instances
    before = len(kept)
    for params, found in zip(several, program.each(several), strict=True):
        alone = program.with_(**params)
        assert found is not None
        assert found.analysis.rows == alone.analysis.rows
        assert found.analysis.totals == alone.analysis.totals
        assert [row.fields for row in found.analysis.rows] == [
            row.fields for row in alone.analysis.rows
        ]
    assert len(kept) <= before + 5 + 60  # what one network has


def test_of_networks_that_are_refused_the_reason_is_said(net: str) -> None:
    program = archspec.load(net)
    first, second, third = program.each([{"width": 62}, {"width": 32}, {"depth": "two"}])
    assert (first, third) == (None, None)
    assert second is not None
    assert second.analysis.totals == program.with_(width=32).analysis.totals
    found = search.find(net, ["width=[62, 32]"])
    assert (found.best.point, found.refused) == ({"width": 32}, 1)
    assert "groups" in found.reason


def test_free_sizes_are_left_to_with_(tmp_path: Path) -> None:
    body = "body: [{conv: {out: $c, kernel: 3}}]"
    text = f"spec: 1\nname: n\nparams: {{c: 4}}\ninput: [3, {{H: 32}}, {{W: 32}}]\n{body}\n"
    (tmp_path / "n.yaml").write_text(text)
    assert list(archspec.load(tmp_path / "n.yaml").each([{"c": 5}])) == [None]
    assert search.find(tmp_path / "n.yaml", ["c=[5, 6]"]).best.figures["params"] == 140
