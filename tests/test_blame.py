"""One mistake is blamed once, where it is mended; two independent ones are blamed twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from archspec.network import check, load, loads
from archspec.text.faults import SpecError
from archspec.text.source import Source

HEAD = "spec: 1\nname: t\ninput: [3, 32, 32]\n"


def faults(text: str) -> list[tuple[str, int]]:
    """The codes of what is wrong, with the lines."""
    with pytest.raises(SpecError) as caught:
        loads(HEAD + text)
    return placed(caught.value)


def placed(error: SpecError) -> list[tuple[str, int]]:
    found = []
    for fault in error.faults:
        source = error.sources[fault.loc.file]
        assert isinstance(source, Source)
        found.append((fault.code, source.place(fault.loc).line))
    return found


TWICE = {
    "two numbers that are none": (
        (
            "params: {a: 0, b: '4'}\n"
            "body: [{conv: {out: $(2 * a), kernel: 1}}, {conv: {out: $(2 * b), kernel: 1}}]"
        ),
        [("E210", 4), ("E361", 4)],
    ),
    "two entries of a column": (
        "body:\n  - {repeat: {c: [0, 8, -8]}, conv: {out: $(2 * c), kernel: 1}}",
        [("E210", 5), ("E210", 5)],
    ),
    "a column, and a path that is no item of its copies": (
        (
            "params: {d: [1]}\nbody:\n  - {id: a, conv: {out: 8, kernel: 1}}\n"
            "  - {id: b, repeat: {c: [1, 2], d: $d}, relu: }\n  - {from: ab, tanh: }"
        ),
        [("E216", 7), ("E312", 8)],
    ),
    "a param that is misspelt where it is declared, and another where it is read": (
        (
            "blocks:\n  A:\n    params: {out: required, strid: 1}\n    body:\n"
            "      - conv: {out: $outt, kernel: 3, stride: $stride, padding: $(stride // 2)}\n"
            "body: [{A: 8}]"
        ),
        [("E219", 6), ("E219", 8)],
    ),
    "a name that is read once stays blamed there": (
        (
            "params: {width: 8, deep: 2}\n"
            "body: [{conv: {out: $widht, kernel: 1}}, {repeat: $dep, relu: }]"
        ),
        [("E219", 5), ("E219", 5)],
    ),
    "two calls that are given other tensors of too few axes": (
        (
            "use: {A: lenet5, B: lenet5}\n"
            "body:\n  - {id: x, conv: {out: 1, kernel: 1}}\n"
            "  - {id: a, from: x, body: [flatten, A]}\n"
            "  - {id: b, from: x, body: [{flatten: 1}, B]}\n"
            "  - add: [a, b]"
        ),
        [("E311", 7), ("E311", 8)],
    ),
    "a misspelt item, and a name that none has": (
        (
            "body:\n  - {id: up, conv: {otu: 8, kernel: 1}}\n"
            "  - conv: {out: $(up.channels + upp.channels), kernel: 1}"
        ),
        [("E208", 5), ("E219", 6)],
    ),
    "an item with two operations, and one two lines on with none": (
        "body:\n  - relu:\n    tanh:\n  - conv: {out: 8, kernel: 1}\n  - id: last",
        [("E214", 6), ("E214", 8)],
    ),
    "two colons": (
        "body:\n  - conv: {out: 8, kernel=3}\n  - conv: {out 8, kernel: 3}",
        [("E104", 5), ("E104", 6)],
    ),
}


@pytest.mark.parametrize("kind", TWICE)
def test_two_mistakes_are_two_complaints(kind: str) -> None:
    text, expected = TWICE[kind]
    assert faults(text) == expected


def test_a_list_of_a_variant_that_is_too_short_is_blamed_once() -> None:
    text = (
        "params: {widths: [8, 16, 32], depths: [1, 2]}\n"
        "variants: {small: {widths: [4, 8]}}\n"
        "body:\n"
        "  - {id: stem, conv: {out: '$(widths[0])', kernel: 1}}\n"
        "  - {repeat: {c: '$(widths[1:])', n: $depths}, conv: {out: $c, kernel: $n}}\n"
        "  - conv: {out: '$(widths[2])', kernel: 1}\n"
    )
    assert loads(HEAD + text).analysis.totals.params
    with pytest.raises(SpecError) as caught:
        loads(HEAD + text, variant="small")
    assert placed(caught.value) == [("E216", 5)]


def test_a_value_of_a_used_variant_is_of_the_kind_of_its_default(tmp_path: Path) -> None:
    (tmp_path / "part.yaml").write_text(
        "spec: 1\nname: part\nparams: {width: 8, scale: 1.0}\n"
        "variants: {wide: {width: [16]}, double: {scale: 2}}\ninput: [3, 8, 8]\n"
        "body: [{conv: {out: $(int(width * scale)), kernel: 1}}]\n"
    )
    net = tmp_path / "net.yaml"
    text = (
        "spec: 1\nname: net\ninput: [3, 8, 8]\n"
        "use: {Part: {file: part.yaml, variant: VARIANT}}\nbody: [Part]\n"
    )
    net.write_text(text.replace("VARIANT", "double"))
    assert load(net).analysis.totals.params == 16 * 3 + 16
    net.write_text(text.replace("VARIANT", "wide"))
    with pytest.raises(SpecError) as caught:
        check(net)
    (fault,) = caught.value.faults
    assert fault.code == "E322"
    assert fault.message == "`width` is [16]; it takes a whole number, as its default 8 is"
    assert fault.loc.path == ("variants", "wide", "width")


@pytest.mark.parametrize(
    ("end", "meant"),
    [
        ("  - ma", "`max`"),
        ("  - leaky_r", "`leaky_relu`"),
        ("  - linear:\n      out: $wid", "`width`"),
        ("  - {id: first, relu: }\n  - add:\n    from: firs", "`first`"),
        ("  - tanh:\n    tap: trai", "`train`"),
        ("  - softmax:\n      axe: 1", ""),
    ],
)
def test_where_a_text_ends_within_a_word_none_is_guessed(end: str, meant: str) -> None:
    text = HEAD + "params: {width: 4}\nbody:\n" + end
    ends = "the file ends here, within a line: if it was cut off, what followed is missing too"
    for finished in ("", "\n"):
        with pytest.raises(SpecError) as caught:
            loads(text + finished)
        cut_off = meant != "" and not finished
        assert (ends if cut_off else meant) in caught.value.faults[0].help


def test_a_word_with_one_letter_wrong_is_meant_before_one_that_is_more_alike() -> None:
    helps = []
    for word in ("axg_pool", "global_axg_pool", "reluu", "sigmiod", "add_"):
        with pytest.raises(SpecError) as caught:
            loads(f"{HEAD}body: [{word}]")
        helps.append(caught.value.faults[0].help)
    assert helps == [
        f"did you mean `{op}`?" for op in ("avg_pool", "global_avg_pool", "relu", "sigmoid")
    ] + ["write `add`"]


ONCE = {
    "a line that stands there twice": (
        (
            "body:\n  - {id: shrink, conv: {out: 8, kernel: 30}}\n"
            "  - {id: shrink, conv: {out: 8, kernel: 30}}\n"
        ),
        ("E314", 6),
    ),
    "an id that two places miss": (
        (
            "body:\n  - id: trunk\n    body: [{linear: 8}, {id: last, relu: }]\n"
            "  - {from: trunk.end, tanh: }\n  - {from: trunk.end, sigmoid: }\n"
            "  - add: [prev, tanh1]\n"
        ),
        ("E312", 7),
    ),
    "a text for a number, that ops of a block read": (
        (
            "params: {classes: many}\nblocks:\n  Head:\n    params: {classes: required}\n"
            "    body:\n      - conv: {out: $(3 * classes), kernel: 1}\n"
            "      - reshape: [$classes, 3, -1]\nbody: [{Head: $classes}]\n"
        ),
        ("E361", 4),
    ),
    "a column without its line": (
        "body:\n  - body: [{conv: {out: $c, kernel: $k}}, {max_pool: $s}]\n",
        ("E219", 5),
    ),
    "a block without its name": (
        "blocks:\n    params: {out: required, kernel: 3}\n    body: [relu]\nbody: [relu]\n",
        ("E205", 5),
    ),
    "a colon that is missing before an expression": (
        (
            "blocks:\n  Unit: {params: {out: 8}, body: [{linear: $out}]}\n"
            "body: [{Unit: {out $(2 * 8)}}]\n"
        ),
        ("E208", 6),
    ),
    "an op in capitals with named inputs": (
        (
            "body:\n  - {id: x, reshape: [96, 32]}\n"
            "  - {from: {query: x, key: x, value: x}, Attention: {heads: 4}}\n"
        ),
        ("E211", 6),
    ),
    "items that lost the line between them": (
        "body:\n  - id: first\n  - relu:\n    body: [tanh]\n",
        ("E214", 5),
    ),
    "an entry of a column that names copies": (
        (
            "body:\n  - {id: up$i, repeat: {i: [1, two.5]}, conv: {out: 8, kernel: $i}}\n"
            "  - add: [up1, up2]\n"
        ),
        ("E361", 5),
    ),
}


@pytest.mark.parametrize("kind", ONCE)
def test_one_mistake_is_one_complaint(kind: str) -> None:
    text, expected = ONCE[kind]
    assert faults(text) == [expected]


def test_words_of_one_item_that_are_not_known_are_said_together() -> None:
    with pytest.raises(SpecError) as caught:
        loads(HEAD + "body:\n  - {relu: , zeta: 3, q: 2}\n  - conv: {out: $c, kernel: $k}\n")
    assert [fault.message for fault in caught.value.faults] == [
        "`zeta` and `q` have no meaning beside an operation",
        "`c` and `k` are not known here",
    ]


def test_blocks_without_the_line_above_them_are_said_once() -> None:
    text = (
        "spec: 1\ninput:\n  image: [3, 32, 32]\n  Unit:\n    params: {out: 8, kernel: 3}\n"
        "    body: [relu]\n  Other:\n    body: [tanh]\nbody: [Unit, Other]\n"
    )
    with pytest.raises(SpecError) as caught:
        loads(text)
    (fault,) = caught.value.faults
    assert fault.message == "`Unit` is no name of an input"
    assert fault.help == "a block stands below `blocks`, which is missing above it"
