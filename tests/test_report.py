"""Tables of a small network, as people and programs read them."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from archspec import report
from archspec.network import Program, load, loads
from archspec.report import side_by_side
from archspec.report.data import Report
from archspec.report.layers import layers, receptive, remarks
from archspec.report.table import Column, Table, html, markdown, plain
from archspec.units import count, size

SPEC = """\
spec: 1
name: small
title: A <small> one
params: {classes: 10}
input: [3, 32, 32]
body:
  - id: stem
    sequential:
      - conv: {out: 8, kernel: 3, stride: 2, padding: 1, bias: false}
      - batch_norm
      - relu
  - residual:
      - conv: {out: 8, kernel: 3, padding: 1}
      - relu
  - {id: aux, tap: train, body: [global_avg_pool, {linear: $classes}]}
  - global_avg_pool
  - {id: fc, linear: $classes}
outputs: {logits: fc, aux: aux}
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Program:
    path: Path = tmp_path_factory.mktemp("report") / "small.yaml"
    path.write_text(SPEC)
    return load(path)


def test_text(program: Program) -> None:
    text = report.write(program)
    lines = text.splitlines()
    assert lines[0] == "small: A <small> one"
    (stem,) = [line for line in lines if line.startswith("stem.0 ")]
    assert " ".join(stem.split()) == "stem.0 conv [8, 16, 16] 216 55,296 110,592 8 KiB 3x3 /2 +1"
    assert any(line.startswith("aux.linear1 ") and "(training only)" in line for line in lines)
    (total,) = [line for line in lines if line.startswith("total ")]
    assert total.split()[:4] == ["total", "of", "inference", "996"]  # 216 + 16 + 584 + 90 + 90
    assert "906 of them" not in text
    assert any("90 used in training only" in line for line in lines)
    assert any(line.startswith("sizes ") for line in lines)


def test_depth(program: Program) -> None:
    names = [row[0] for row in layers(program, 1).rows]
    assert names == [
        "input", "stem", "conv1", "relu1", "residual1", "aux", "global_avg_pool1", "fc",
    ]  # fmt: skip
    given, row = layers(program, 0).rows
    assert given[:2] == ("input", "input")
    assert (row[0], row[3]) == ("small", 996)


def test_json_is_a_report(program: Program) -> None:
    text = report.write(program, "json")
    assert Report.model_validate_json(text).model_dump_json(indent=1) + "\n" == text


def test_json_and_csv_say_the_same(program: Program) -> None:
    document = json.loads(report.write(program, "json"))
    rows = list(csv.DictReader(io.StringIO(report.write(program, "csv"))))
    assert [row["path"] for row in rows] == [layer["path"] for layer in document["layers"]]
    assert sum(int(row["params"]) for row in rows) == document["totals"]["params"] == 996
    assert sum(int(row["macs"]) for row in rows) == document["totals"]["macs_training"]
    stem = rows[1]
    parts = [stem[f"field_{part}"] for part in ("size", "stride", "padding")]
    assert parts == ["3x3", "2x2", "1x1"]
    assert document["totals"]["params_training_only"] == 90


def test_notebook(program: Program) -> None:
    text = report.html(program)
    assert "A &lt;small&gt; one" in text
    assert "<small>" not in text
    assert report.write(program, "markdown").startswith("### small: A \\<small\\> one\n")


def test_a_narrow_screen_drops_the_least_needed_column() -> None:
    columns = (Column("name"), Column("number", right=True, yields=1), Column("more", yields=2))
    table = Table("t", columns, [("a", 1234, "x" * 10)], ("all", 1234, ""))
    assert plain(table).splitlines()[2:5] == [
        "name  number  more",
        "----  ------  ----------",
        "a      1,234  xxxxxxxxxx",
    ]
    assert plain(table, 15).splitlines()[2] == "name  number"
    assert plain(table, 1).splitlines()[2] == "name"


def test_cells_are_escaped() -> None:
    table = Table("<t>|", (Column("<c>"),), [("<script>|*",)])
    assert "<script>" not in html(table)
    assert "\\<script\\>\\|\\*" in markdown(table)


@pytest.mark.parametrize(
    ("n", "text"),
    [(0, "0 "), (999, "999 "), (1000, "1 k"), (15_470_264_320, "15.47 G"), (3 * 10**12, "3 T")],
)
def test_count(n: int, text: str) -> None:
    assert count(n) == text


@pytest.mark.parametrize(
    ("n", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1 KiB"),
        (553_430_176, "528 MiB"),
        (2**40, "1024 GiB"),
    ],
)
def test_size(n: int, text: str) -> None:
    assert size(n) == text


@pytest.mark.parametrize(
    ("spec", "variant", "depth"),
    [
        ("vgg16", None, 16),
        ("resnet50", None, 50),
        ("resnet50", "resnet18", 18),
        ("resnet50", "resnet152", 152),
        ("densenet121", None, 121),
        ("googlenet", None, 22),
        ("alexnet", None, 8),
    ],
)
def test_depth_is_that_of_the_papers(spec: str, variant: str | None, depth: int) -> None:
    assert load(spec, variant).analysis.totals.depth == depth


def test_units_are_the_neurons_of_the_papers() -> None:
    """Krizhevsky et al. 2012, section 3.5: from 253,440 on 224 cells; 55x55x96 and so on."""
    layers = [96 * 55**2, 256 * 27**2, 384 * 13**2, 384 * 13**2, 256 * 13**2, 4096, 4096, 1000]
    assert load("alexnet").analysis.totals.units == sum(layers)


def test_several_networks_in_one_table() -> None:
    networks = [load("lenet5"), load("mlp")]
    table = side_by_side.side_by_side(networks)
    assert table.title == "2 networks"
    assert [row[:2] for row in table.rows] == [("lenet5", 61_706), ("mlp", 266_610)]
    assert [row[3:5] for row in table.rows] == [(5, 6_518), (3, 410)]
    found = json.loads(side_by_side.write(networks, "json"))
    assert [one["totals"]["depth"] for one in found] == [5, 3]
    assert side_by_side.write(networks, "csv").splitlines()[2].startswith("mlp,mlp.yaml,266610,")


def test_a_stride_of_fractions_is_read_in_one_way() -> None:
    body = "body: [{upsample: {size: [31, 47]}}, {conv: {out: 2, kernel: 3}}]\n"
    program = loads("spec: 1\nname: n\ninput: [1, 60, 92]\n" + body)
    assert receptive(program.analysis.rows[-1]).startswith("6x6 /(60/31),(92/47)")


def test_where_nothing_moves_along_no_field_is_told() -> None:
    """Reshapes mix the cells: there is no op that sees a part, and no line about one."""
    body = "body: [{reshape: [4, 64]}, {layer_norm: {affine: false}}]\n"
    told = dict(remarks(loads("spec: 1\nname: n\ninput: [16, 16]\n" + body)))
    assert "field" not in told
    assert "depth" in told
