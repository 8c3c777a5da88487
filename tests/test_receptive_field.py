"""Receptive fields against the published table and against the reach of a real gradient."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from random_maps import Network

from archspec.analysis import Analysis, Field
from archspec.expand import expand
from archspec.language import parse
from archspec.text.source import from_text, read

HERE = Path(__file__).parent / "receptive_fields"
ROWS: list[dict[str, Any]] = json.loads((HERE / "reference.json").read_text())["rows"]
NETWORKS = sorted({(row["cnn"], row["resolution"] or 0) for row in ROWS})


def analysed(text: str, **params: Any) -> Analysis:
    spec = parse(from_text(text))
    return Analysis(expand(spec, params=params), spec)


def field(analysis: Analysis, path: str, axis: str = "H") -> Field:
    return next(f for f in analysis.row(path).fields if f.name == axis)


def last(analysis: Analysis, axis: str = "L") -> Field:
    return next(f for f in analysis.rows[-1].fields if f.name == axis)


@pytest.mark.parametrize(("cnn", "resolution"), NETWORKS)
def test_published_table(cnn: str, resolution: int) -> None:
    spec = parse(read(HERE / f"{cnn}.yaml"))
    analysis = Analysis(expand(spec, params={"size": resolution} if resolution else {}), spec)
    rows = [r for r in ROWS if r["cnn"] == cnn and (r["resolution"] or 0) == resolution]
    assert rows
    for row in rows:
        for axis in "HW":
            seen = field(analysis, row["endpoint"].removeprefix(cnn + "/").replace("/", "."), axis)
            # an unknown resolution: what is the same at every size of the free axes
            padding = seen.padding_here if resolution else seen.padding
            assert (seen.size, seen.stride, padding) == (
                row["rf"],
                row["eff_stride"],
                row["eff_pad"],
            ), row


def test_a_deeper_variant_sees_more() -> None:
    spec = parse(read(HERE / "resnet_v1_50.yaml"))
    sizes = {}
    for variant in ("resnet_v1_101", "resnet_v1_152"):
        analysis = Analysis(expand(spec, variant=variant), spec)
        sizes[variant] = field(analysis, "block4").size
    assert sizes == {"resnet_v1_101": 1027, "resnet_v1_152": 1507}


def test_branches_that_halve_the_map_stay_aligned_with_same_padding() -> None:
    spec = parse(read(HERE / "inception_v2.yaml"))
    for size in (224, 321):
        analysis = Analysis(expand(spec, params={"size": size}), spec)
        seen = [field(analysis, name) for name in ("Mixed_3c", "Mixed_4e", "Mixed_5c")]
        assert [(f.size, f.stride) for f in seen] == [(91, 8), (379, 16), (699, 32)]
        assert [f.padding for f in seen] == [None, None, None]
        assert all(row.aligned is not False for row in analysis.rows)


@pytest.mark.parametrize("seed", range(0, 500, 25))
def test_hull_contains_the_gradient(seed: int) -> None:
    from reach import reach

    for s in range(seed, seed + 25):
        _compare(Network(s, plain=s % 5 == 0), s, reach)


def _compare(drawn: Network, seed: int, reach: Any) -> None:
    spec = parse(from_text(drawn.text))
    graph = expand(spec)
    row = Analysis(graph, spec).rows[-1]
    fields = {f.axis: f for f in row.fields}
    sizes = row.shape[1:]
    cells = sorted({tuple(pick(n) for n in sizes) for pick in (_first, _third, _middle, _end)})
    for cell, ranges in zip(cells, reach(graph, cells, seed), strict=True):
        for axis, (o, found) in enumerate(zip(cell, ranges, strict=True), 1):
            low, high = fields[axis].cells(o) or (0, -1)
            if found is None:
                continue
            assert low <= found[0], (drawn.text, cell)
            assert found[1] <= high, (drawn.text, cell)
            _formula(fields[axis], o, low, high)
            if drawn.plain and low >= 0 and high < drawn.shape[axis]:
                assert (low, high) == found, (drawn.text, cell)


def _formula(seen: Field, o: int, low: int, high: int) -> None:
    """Size, stride and padding say the same, more coarsely behind an upsampling."""
    assert seen.stride is not None
    assert seen.padding_here is not None
    assert seen.size is not None
    start = seen.stride * o - seen.padding_here
    assert start <= low <= high <= start + seen.size - 1 or low > high


def _first(n: int) -> int:
    return 0


def _third(n: int) -> int:
    return n // 3


def _middle(n: int) -> int:
    return n // 2


def _end(n: int) -> int:
    return n - 1


HEAD = "spec: 1\nname: t\n"


def test_behind_an_upsampling_the_stride_is_a_fraction() -> None:
    seen = last(
        analysed(
            HEAD + "input: [1, 8]\nbody: [{upsample: 2}, {conv: {out: 1, kernel: 3, padding: 1}}]\n"
        )
    )
    assert seen.stride == Fraction(1, 2)
    assert seen.phases == 2
    assert [seen.cells(o) for o in range(4)] == [(-1, 0), (0, 1), (0, 1), (1, 2)]
    assert (seen.size, seen.padding) == (3, 1)


def test_an_input_of_which_only_the_size_is_read_is_not_seen() -> None:
    text = HEAD + "input: [1, 8]\nbody:\n  - {conv: {out: 1, kernel: 3, padding: 1}}\n"
    seen = last(analysed(text + "  - {from: [prev, input], upsample: nearest}\n"))
    assert (seen.size, seen.stride, seen.padding) == (3, 1, 1)


def test_a_unet_comes_back_to_stride_one_and_is_aligned() -> None:
    text = (
        "input: [1, 16]\nbody:\n"
        "  - {id: enc, conv: {out: 4, kernel: 3, padding: 1}}\n"
        "  - residual: [{max_pool: 2}, {conv: {out: 4, kernel: 3, padding: 1}},"
        " {conv_transpose: {out: 4, kernel: 2, stride: 2}}]\n"
        "    merge: concat\n"
    )
    analysis = analysed(HEAD + text)
    seen = last(analysis)
    assert (seen.stride, seen.centre, analysis.rows[-1].aligned) == (1, 0, True)


def test_squeeze_excitation_keeps_the_local_field_apart() -> None:
    text = (
        "input: [4, 32, 32]\nbody:\n"
        "  - {id: map, conv: {out: 4, kernel: 3, padding: 1}}\n"
        "  - adaptive_avg_pool: 1\n"
        "  - {id: gate, conv: {out: 4, kernel: 1}}\n"
        "  - sigmoid\n"
        "  - {id: gated, mul: [prev, map]}\n"
        "  - {id: next, conv: {out: 4, kernel: 3, padding: 1}}\n"
    )
    analysis = analysed(HEAD + text)
    gate, gated, after = (field(analysis, path) for path in ("gate", "gated", "next"))
    assert (gate.local, gate.whole, gate.size) == (False, True, None)
    assert (gated.local, gated.whole, gated.size) == (True, True, 3)
    assert (after.whole, after.size, after.padding) == (True, 5, 2)
    assert analysis.row("gated").aligned is None


def test_attention_sees_the_whole_sequence_and_the_residual_stays_local() -> None:
    text = (
        "input: [{T: 12}, 8]\nbody: [{id: block, residual: [{id: att, attention: {heads: 2}}]}]\n"
    )
    analysis = analysed(HEAD + text)
    merged = field(analysis, "block", "T")
    assert field(analysis, "block.att", "T").local is False
    assert (merged.size, merged.whole) == (1, True)


def test_the_last_step_of_a_causal_stack_sees_its_past_only() -> None:
    text = (
        "input: [1, 64]\nbody:\n"
        "  - conv: {out: 1, kernel: 3, dilation: $(2 ** loop.index), padding: causal}\n"
        "    repeat: 3\n"
        "  - slice: {axis: 1, start: -1}\n"
        "  - flatten\n"
    )
    seen = last(analysed(HEAD + text))
    assert (seen.local, seen.whole, seen.still, seen.size) == (False, False, (49, 63), 15)


def test_branches_off_by_a_cell_are_reported() -> None:
    text = (
        "input: [1, 16]\nbody:\n"
        "  - branches: {a: {slice: {axis: 1, stop: 14}}, b: {conv: {out: 1, kernel: 3}}}\n"
        "    merge: add\n"
    )
    analysis = analysed(HEAD + text)
    assert analysis.rows[-1].aligned is False
    seen = last(analysis)
    assert (seen.size, seen.stride, seen.padding) == (3, 1, 0)
    assert [w.code for w in analysis.warnings] == ["W106"]
    centred = text.replace("stop: 14", "start: 1, stop: 15")
    assert analysed(HEAD + centred).rows[-1].aligned is True


def test_branches_of_different_stride_give_a_hull_that_holds_for_every_cell() -> None:
    text = (
        "input: [1, 12]\nbody:\n"
        "  - branches: [{conv: {out: 1, kernel: 2, stride: 2}}, {slice: {axis: 1, stop: 6}}]\n"
        "    merge: add\n"
    )
    analysis = analysed(HEAD + text)
    seen = last(analysis)
    assert analysis.rows[-1].aligned is False
    for o in range(6):
        low, high = seen.cells(o) or (0, 0)
        assert low <= min(o, 2 * o)
        assert high >= max(o, 2 * o + 1)


def test_a_free_axis_hides_a_padding_that_depends_on_it() -> None:
    body = "body: [{conv: {out: 1, kernel: 3, stride: 2, padding: same}}]\n"
    free = last(analysed(HEAD + "input: [1, {L: 16}]\n" + body))
    given = last(analysed(HEAD + "input: [1, 16]\n" + body))
    assert (free.padding, free.padding_here) == (None, 0)
    assert (given.padding, given.padding_here) == (0, 0)
    assert last(analysed(HEAD + "input: [1, 17]\n" + body)).padding == 1
    even = body.replace("kernel: 3", "kernel: 2")
    assert last(analysed(HEAD + "input: [1, {L: 16}]\n" + even)).padding == 0


@pytest.mark.parametrize(
    ("item", "seen"),
    [("conv: {out: 1, kernel: 3, padding: 1, padding_mode: circular}", (3, 1, 1)),
     ("pad: {amounts: [[2, 0]], mode: circular}", (1, 1, 2)), ("roll: 4", (1, 1, 4))],
)  # fmt: skip
def test_what_goes_around_the_ends(item: str, seen: tuple[int, int, int]) -> None:
    """Cell 0 of a circular 3x3 convolution reads cells 0, 1 and the last."""
    row = analysed(HEAD + f"input: [1, 12]\nbody: [{{{item}}}]\n").rows[-1]
    found = next(field for field in row.fields if field.axis == 1)
    assert (found.size, found.stride, found.padding) == seen
    assert (found.wraps, found.whole) == (True, False)
    low, high = found.cells(0) or (0, 0)
    assert low < 0
    assert {cell % 12 for cell in range(low, high + 1)} == {
        "conv": {11, 0, 1}, "pad:": {10}, "roll": {8},
    }[item[:4]]  # fmt: skip


def test_without_padding_nothing_goes_around() -> None:
    text = "input: [1, 12]\nbody: [{conv: {out: 1, kernel: 3, padding_mode: circular}}]\n"
    assert last(analysed(HEAD + text)).wraps is False


def test_behind_a_roll_a_pool_sees_all() -> None:
    text = "input: [1, 12]\nbody: [{roll: 4}, global_avg_pool]\n"
    assert last(analysed(HEAD + text)).whole


def test_paths_moved_around_the_ends_are_meant_to_differ() -> None:
    text = "input: [2, 12]\nbody: [{residual: [{roll: 1}, {conv: {out: 2, kernel: 1}}]}]\n"
    analysis = analysed(HEAD + text)
    assert not [w for w in analysis.warnings if w.code == "W106"]
    assert last(analysis).size == 2
