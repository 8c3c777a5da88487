"""`check` looks at every variant, and blames a value where it is written."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

import archspec
from archspec.cli.app import app
from archspec.network import load, loads
from archspec.text.faults import SpecError

THREE = """\
spec: 1
name: t
params: {n: 4, on: true}
variants: {a: {on: falsee}, b: {n: ~}, c: {n: -1}}
input: [3, 8, 8]
body:
  - {conv: {out: $n, kernel: 1}, when: $on}
  - relu
"""


def places(error: SpecError) -> list[tuple[str, int]]:
    return [(f.code, error.sources[f.loc.file].place(f.loc)[0]) for f in error.faults]  # type: ignore[attr-defined]


def refused(text: str, tmp_path: Path) -> SpecError:
    file = tmp_path / "t.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(SpecError) as caught:
        archspec.check(file)
    return caught.value


def test_each_variant_is_checked_and_named(tmp_path: Path) -> None:
    error = refused(THREE, tmp_path)
    assert places(error) == [("E322", 4), ("E322", 4), ("E210", 4)]
    assert [fault.details[-1] for fault in error.faults] == [
        "in the variant `a`", "in the variant `b`", "in the variant `c`",
    ]  # fmt: skip
    assert load(tmp_path / "t.yaml").analysis.totals.params == 16  # it is the default that is asked


def test_a_fault_of_several_variants_is_said_once(tmp_path: Path) -> None:
    text = THREE.replace("{a: {on: falsee}, b: {n: ~}, c: {n: -1}}", "{a: {n: 5}, b: {n: 6}}")
    error = refused(text.replace("$n, ", "$(n if n == 4 else 0), "), tmp_path)
    assert places(error) == [("E210", 7)]
    assert error.faults[0].details[-1] == "in the variants `a`, `b`"


def test_one_change_of_all_totals_is_said_once(tmp_path: Path) -> None:
    text = THREE.replace("{a: {on: falsee}, b: {n: ~}, c: {n: -1}}", "{a: {n: 5}, b: {n: 6}}")
    error = refused(text + "expect: {a: {params: 1}, b: {params: 2}}\n", tmp_path)
    assert places(error) == [("E502", 9)]


def test_the_choice_from_outside_alone(tmp_path: Path) -> None:
    (tmp_path / "t.yaml").write_text(THREE, encoding="utf-8")
    assert archspec.check(tmp_path / "t.yaml", n=3) == []
    with pytest.raises(SpecError) as caught:
        archspec.check(tmp_path / "t.yaml", "c")
    assert places(caught.value) == [("E210", 4)]


def test_the_command(tmp_path: Path) -> None:
    (tmp_path / "t.yaml").write_text(THREE, encoding="utf-8")
    found = CliRunner().invoke(app, ["check", str(tmp_path / "t.yaml")])
    assert found.exit_code == 1
    assert "in the variant `c`" in found.output
    assert CliRunner().invoke(app, ["check", "resnet50", "--strict"]).exit_code == 0


def test_very_many_variants_are_not_all_looked_at(tmp_path: Path) -> None:
    many = "".join(f"  v{k}: {{n: {k + 1}}}\n" for k in range(10_000))
    text = THREE.replace(
        "variants: {a: {on: falsee}, b: {n: ~}, c: {n: -1}}\n", f"variants:\n{many}"
    )
    (tmp_path / "t.yaml").write_text(text, encoding="utf-8")
    few = archspec.Limits(nodes=10_000)
    (said,) = archspec.check(tmp_path / "t.yaml", limits=few)
    assert (said.code, said.loc.path) == ("W113", ("variants", "v48"))


# ------------------------------------------------------------------ where the value is written

USED = """\
spec: 1
params: {width: 8}
input: [3, 8, 8]
body: [{conv: {out: $width, kernel: 1}}]
variants: {big: {width: 16}}
"""

BLOCKS = """\
spec: 1
name: t
params: {n: 8, widths: [4, 8], deep: 2}
input: [3, 8, 8]
blocks:
  Unit:
    params: {out: required, kernel: 1}
    body: [{conv: {out: $out, kernel: $kernel}}, relu]
body:
  - repeat: {c: $widths, k: [1, 1]}
    Unit: {out: $c, kernel: $k}
  - {Unit: $n, repeat: $deep}
  - Unit: {out: $(2 * n), kernel: 1}
"""

WRONG = {
    "a param": ("n: 8", "n: 2.5", 3, 13),
    "an entry of a list that is a param": ("[4, 8]", "[4, 0]", 3, 28),
    "an entry of a column": ("k: [1, 1]", "k: [1, x]", 10, 33),
    "a default of a block": ("kernel: 1}\n    body", "kernel: 0}\n    body", 7, 37),
    "a list that is none": ("[4, 8]", "4", 3, 24),
    "a count": ("deep: 2", "deep: many", 3, 38),
    "what is computed": ("$(2 * n)", "$(n - 8)", 13, 17),
}  # fmt: skip


@pytest.mark.parametrize("kind", WRONG)
def test_a_value_is_blamed_where_it_is_written(kind: str) -> None:
    old, new, line, column = WRONG[kind]
    assert old in BLOCKS
    with pytest.raises(SpecError) as caught:
        loads(BLOCKS.replace(old, new, 1))
    (fault,) = caught.value.faults
    source = caught.value.sources[fault.loc.file]
    assert source.place(fault.loc)[:2] == (line, column)  # type: ignore[attr-defined]


def test_what_is_computed_from_a_wrong_value_is_not_said_too() -> None:
    with pytest.raises(SpecError) as caught:
        loads(BLOCKS.replace("n: 8", "n: 2.5"))
    assert [fault.loc.path for fault in caught.value.faults] == [("params", "n")]


@pytest.mark.parametrize("how", ["big: {width: 0}", "width: 0", "use"])
def test_of_used_files(how: str, tmp_path: Path) -> None:
    texts = {"big: {width: 0}": ("{width: 16}", "{width: 0}"), "width: 0": ("width: 8", "width: 0")}
    old, new = texts.get(how, ("", ""))
    (tmp_path / "part.yaml").write_text(USED.replace(old, new, 1), encoding="utf-8")
    variant = ", variant: big" if how.startswith("big") else ""
    first, then = ("{width: 0}", "{width: -1}") if how == "use" else ("", "")
    text = f"spec: 1\nname: t\ninput: [3, 8, 8]\nuse: {{Part: {{file: part.yaml{variant}}}}}\n"
    error = refused(f"{text}body:\n  - Part: {first}\n  - Part: {then}\n", tmp_path)
    line = {"big: {width: 0}": 5, "width: 0": 2}.get(how, 6)
    assert [line for _, line in places(error)] == ([6, 7] if how == "use" else [line])


def test_set_from_outside() -> None:
    with pytest.raises(SpecError) as caught:
        loads(BLOCKS, n=-1)
    (fault,) = caught.value.faults
    assert "set from outside" in str(caught.value)
    assert fault.loc.path == ("params", "n")


PLAIN = """\
spec: 1
name: p
params: {kernels: [3, 3], stride: 1, kind: Right}
variants: {%s}
input: [3, 16, 16]
blocks:
  Right: {params: {k: required}, body: [{conv: {out: 8, kernel: $k}}, relu]}
  Wrong: {params: {k: required}, body: [{conv: {out: 8, kernel: 99}}, relu]}
body:
  - {repeat: {k: $kernels}, conv: {out: 8, kernel: $k, stride: $stride}}
  - {call: $kind, with: {k: 1}}
"""


def test_what_a_value_brings_about_is_said_of_the_value(tmp_path: Path) -> None:
    large, coarse = "large: {kernels: [3, 99], stride: 2}", "coarse: {stride: 16}"
    error = refused(PLAIN % f"{large}, {coarse}", tmp_path)
    assert places(error) == [("E304", 4), ("E304", 4)]
    source = error.sources[error.faults[0].loc.file]
    found = [source.quote(fault) for fault in error.faults]
    assert "^^^^^^^\n  in the variant `large`" in found[0]
    assert "covers 3 cells along H, the input [8, 1, 1]" in found[1]
    assert all("t.yaml:10:29   `conv`" in text for text in found)  # where it shows


def test_a_block_that_only_a_variant_calls_is_wrong_by_itself(tmp_path: Path) -> None:
    assert places(refused(PLAIN % "v: {kind: Wrong, stride: 1}", tmp_path)) == [("E304", 8)]


def test_one_place_in_several_variants_is_one_fault_with_all_that_is_said(tmp_path: Path) -> None:
    error = refused(PLAIN % "a: {stride: 14}, b: {stride: 15}, c: {stride: 7}", tmp_path)
    assert places(error) == [("E304", 10)]
    told = "`conv` covers 3 cells along H, the input [8, 2, 2] has 2 cells"
    assert error.faults[0].details == ("in the variants `a`, `b`", f"in the variant `c`: {told}")


def test_what_is_set_from_outside_is_blamed_as_a_variant_is(tmp_path: Path) -> None:
    file = tmp_path / "t.yaml"
    file.write_text(PLAIN % "v: {stride: 16}", encoding="utf-8")
    for how, line in ({"variant": "v"}, 4), ({"stride": 16, "kernels": [3, 3]}, 3):
        with pytest.raises(SpecError) as caught:
            archspec.check(file, **how)  # type: ignore[arg-type]
        assert places(caught.value) == [("E304", line)]
    assert caught.value.faults[0].details == ("`stride` is set from outside",)


def test_the_variant_of_a_used_file_is_blamed_there(tmp_path: Path) -> None:
    (tmp_path / "inner.yaml").write_text(PLAIN % "v: {stride: 16}", encoding="utf-8")
    middle = (
        "spec: 1\nname: m\nuse: {In: {file: inner.yaml, variant: v}}\ninput: [3, 16, 16]\nbody: "
    )
    (tmp_path / "middle.yaml").write_text(middle + "[In]\n", encoding="utf-8")
    outer = middle.replace("{file: inner.yaml, variant: v}", "middle.yaml")
    error = refused(outer + "[In, relu]\n", tmp_path)
    assert places(error) == [("E304", 4)]
    assert error.faults[0].loc.file.endswith("inner.yaml")
