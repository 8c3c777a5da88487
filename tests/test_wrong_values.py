"""A wrong value of a param, a variant, a column or from outside: one complaint, where it stands."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

import archspec
from archspec.text.faults import SpecError

DROPS = """\
spec: 1
name: net
params: {width: 16, drop: 0}
variants:
  small: {drop: 0.2}
  large: {width: 64, drop: 0.5}
input: [8]
body: [{linear: $width}, relu, {dropout: $drop}, {linear: 2}]
"""
GROUPS = """\
spec: 1
name: net
params: {width: 32}
variants: {wide: {width: 61}}
input: [3, 8, 8]
blocks:
  Unit:
    params: {out: required}
    body: [{conv: {out: $out, kernel: 3}}, {group_norm: 8}]
body:
  - {id: place, constant: {arange: 5}}
  - {id: time, from: place, sine_embedding: $width}
  - {id: mean, reduce: {by: mean, axis: 0}}
  - {id: map, from: input, Unit: $width}
  - global_avg_pool
  - add: [mean, prev]
"""
DEEP = """\
spec: 1
name: net
params: {depth: 3}
input: [3, 64, 64]
blocks:
  Unit: {params: {out: required}, body: [{conv: {out: $out, kernel: 3}}, relu]}
  Level:
    params: {depth: required, width: required}
    body:
      - Unit: $width
      - when: $(depth > 0)
        body: [{max_pool: 2}, {Level: {depth: $(depth - 1), width: $(2 * width)}}]
body:
  - Level: {depth: $depth, width: 8}
"""
SHORT = """\
spec: 1
name: net
params: {widths: [8, 16, 32]}
input: [3, 32, 32]
blocks:
  Stem: {params: {widths: $widths}, body: [{ConvNorm: "$(widths[0])"}]}
  ConvNorm: {params: {out: required}, body: [{conv: {out: $out, kernel: 3}}, batch_norm]}
body:
  - Stem
  - {repeat: {c: "$(widths[1:])", n: [1, 2]}, ConvNorm: $c}
  - {ConvNorm: "$(widths[2])"}
"""


def said(text: str, folder: Path, **params: object) -> str:
    """The one complaint."""
    file = folder / "net.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(SpecError) as caught:
        archspec.check(file, **params)
    assert len(caught.value.faults) == 1, str(caught.value)
    return str(caught.value).replace(f"{folder}/", "")


def test_a_default_that_is_unlike_what_all_variants_set(tmp_path: Path) -> None:
    told = said(DROPS, tmp_path)
    first = "E322 `drop` is 0; what variants set it to is not a whole number: 0.2, 0.5\n"
    assert told.startswith(f"{first}  --> net.yaml:3:27\n")
    assert "in the variants `small`, `large`" in told
    assert told.endswith("help: write `0.0`")
    file = tmp_path / "net.yaml"
    file.write_text(DROPS.replace("drop: 0}", "drop: 0.0}"), encoding="utf-8")
    assert archspec.check(file) == []


def test_one_variant_alone_is_blamed_itself(tmp_path: Path) -> None:
    told = said(DROPS.replace("width: 64, drop: 0.5", "width: 64"), tmp_path)
    assert "net.yaml:5:17" in told.splitlines()[1]


def test_what_else_a_wrong_width_brings_about_is_not_said(tmp_path: Path) -> None:
    told = said(GROUPS, tmp_path)
    assert told.startswith("E217 `size` of `sine_embedding` is 61")
    assert "net.yaml:4:26" in told.splitlines()[1]
    told = said(GROUPS.replace("width: 32", "width: 61"), tmp_path)
    assert "net.yaml:3:17" in told.splitlines()[1]


def test_a_recursion_that_is_too_deep_is_one_complaint_about_what_is_set(tmp_path: Path) -> None:
    told = said(DEEP, tmp_path, depth=1000)
    assert "net.yaml:3:17" in told.splitlines()[1]
    assert "`depth` is set from outside" in told


def test_a_list_that_is_empty_is_one_complaint_about_what_is_set(tmp_path: Path) -> None:
    told = said(SHORT, tmp_path, widths=[])
    assert "net.yaml:3:18" in told.splitlines()[1]
    assert "`widths` is set from outside" in told


def test_shipped_specs_and_plans(tmp_path: Path) -> None:
    values = pytest.importorskip("benchmarks.trust.values")
    found = Counter(one for seed in range(3) for one in values.trial(seed, tmp_path))
    assert not [one for one in found if one[0].isupper()]
    assert sum(found[one] for one in found if one.endswith("own")) >= 1


def test_one_number_that_divides_no_width_of_two_blocks() -> None:
    text = """\
spec: 1
name: net
params: {heads: 9}
input: {long: [20, 64], short: [16, 64]}
blocks:
  Left: {params: {heads: $heads}, body: [{attention: $heads}]}
  Right: {params: {heads: $heads}, body: [{attention: $heads}, {layer_norm: }]}
body: [{id: a, from: long, Left: }, {id: b, from: short, Right: }]
outputs: {a: a, b: b}
"""
    with pytest.raises(SpecError) as refused:
        archspec.loads(text)
    (fault,) = refused.value.faults
    assert fault.message.startswith("`heads` of `attention` is 9; it does not divide the 64")
