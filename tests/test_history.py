"""A shape that does not fit is followed back to the item that made it; each text as a user's."""

from __future__ import annotations

import pytest

from archspec.network import Choice, Run, loads
from archspec.text import source
from archspec.text.faults import Fault, SpecError

HEAD = "spec: 1\nname: t\n"


def refused(text: str) -> list[Fault]:
    with pytest.raises(SpecError) as caught:
        loads(HEAD + text)
    return list(caught.value.faults)


def seen(text: str) -> list[str]:
    """What the one complaint says of other places."""
    (fault,) = refused(text)
    return [step.text for step in fault.chain if step.how == "compare"]


def test_what_made_a_map_small() -> None:
    assert seen(
        "input: [1, 28, 28]\nbody:\n  - conv: {out: 6, kernel: 5, stride: 2}\n  - relu\n"
        "  - avg_pool: 2\n  - conv: {out: 16, kernel: 7}"
    ) == [
        "the input is [1, 28, 28]",
        "`conv` makes [6, 12, 12] of [1, 28, 28]",
        "`avg_pool` makes [6, 6, 6] of [6, 12, 12]",
    ]


def test_into_a_call_and_out_of_a_block() -> None:
    text = (
        "input: [8, 16, 16]\nblocks:\n  Down:\n    body: [{conv: {out: 8, kernel: 3, stride: 2}}]\n"
        "  Sum:\n    inputs: [x, y]\n    body: [{add: [x, y]}]\nbody:\n"
        "  - {id: a, Down: }\n  - {from: [a, input], Sum: }"
    )
    assert seen(text) == ["`Down` gives [8, 7, 7]", "`conv` makes [8, 7, 7] of [8, 16, 16]"]


def test_of_one_that_differs_before_the_others() -> None:
    text = (
        "input: [8, 8, 8]\nbody:\n  - {id: a, conv: {out: 4, kernel: 1}}\n"
        "  - {id: b, from: input, conv: {out: 4, kernel: 1}}\n"
        "  - {id: c, from: input, conv: {out: 5, kernel: 1}}\n  - add: [a, b, c]"
    )
    assert seen(text)[0] == "`conv` makes [5, 8, 8] of [8, 8, 8]"


def test_a_number_that_is_too_large_is_blamed_where_it_stands() -> None:
    (fault,) = refused(
        "params: {wide: 9000000}\ninput: [9000000]\nbody: [{linear: $wide}, {linear: 2}]"
    )
    assert (fault.code, fault.loc.path) == ("E408", ("params", "wide"))
    assert fault.chain[-1].text == "`linear`"


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        (
            "input: [8]\nbody:\n  - {id: first, relu: }\n  - {id: all, add: [frist, prev]}",
            "E312",
            "`first` is here",
        ),
        (
            "input: [8]\nblocks: {B: {inputs: [x, skip?], body: [{add: [x, skpi]}]}}\nbody: [B]",
            "E312",
            "`B` takes `x` and `skip?`",
        ),
        (
            "input: [8]\nbody:\n  - {id: sum, add: [later, prev]}\n  - {id: later, relu: }",
            "E312",
            "`later` is here",
        ),
        (
            "input: [8]\nbody:\n  - {id: a, linear: 8}\n  - body: [relu, {from: a, tanh: }]",
            "E315",
            "the next, `tanh`, takes `a`",
        ),
        (
            "input: [8]\nbody: [{id: c, sequential: [relu, {linear: 2}]}]\nhead: c.2",
            "E318",
            "`c` ends here",
        ),
        (
            "input: [8]\nvariants: {a: {}, c: {}}\nbody: [relu]\nexpect: {t: {}, a: {}, zebra: {}}",
            "E225",
            "it would stand behind `a`",
        ),
    ],
)
def test_where_else_to_look(text: str, code: str, said: str) -> None:
    (fault,) = refused(text)
    assert fault.code == code
    assert said in [step.text for step in fault.chain]


def test_a_total_beside_right_ones() -> None:
    text = "input: [2]\nbody: [{linear: 4}]\nexpect: {t: {params: 12, macs: 8, trainable: 1}}"
    with pytest.raises(SpecError) as caught:
        Run(source.from_text(HEAD + text), Choice()).checked()
    assert caught.value.faults[0].details == ()


def test_totals_of_one_variant_alone_name_what_it_sets() -> None:
    text = (
        "params: {w: 4}\nvariants: {wide: {w: 9}}\ninput: [2]\nbody: [{linear: $w}]\n"
        "expect: {t: {params: 12, macs: 8}, wide: {params: 24, macs: 16}}"
    )
    with pytest.raises(SpecError) as caught:
        Run(source.from_text(HEAD + text), Choice()).everywhere()
    (fault,) = caught.value.faults
    assert fault.chain[-1].text == "`wide` sets this; without it the totals are as expected"


HELPS = {
    "conv: {out: 8, kernel: 3, kernle: 3}": "`kernel` is given already: leave `kernle` out",
    "conv: {units: 8, out: 4, kernel: 3}": "leave `units` out",
    "conv: {out: 8, kernel := 3}": "write `kernel: 3`",
    "if: a\n    relu: ": "did you mean `id`?",
    "reduce: {by: he_normal}": "",
}


@pytest.mark.parametrize("item", HELPS)
def test_remedies(item: str) -> None:
    (fault,) = refused(f"input: [3, 8, 8]\nbody:\n  - {item}")
    assert fault.help == HELPS[item]


def test_another_block_that_takes_all_that_is_given() -> None:
    text = (
        "input: [3, 8, 8]\nblocks:\n  A:\n    params: {out: 4}\n    body: [{conv: {out: $out,"
        " kernel: 1}}]\n  B:\n    params: {out: 4, kernel: 1}\n"
        "    body: [{conv: {out: $out, kernel: $kernel}}]\nbody: [B, {A: {out: 8, kernel: 3}}]"
    )
    (fault,) = refused(text)
    assert fault.help == "did you mean `B`? It takes all that is given here"
    assert fault.loc.path == ("body", 1, "A")


def test_a_text_that_is_parted_at_its_comma() -> None:
    (fault,) = refused("input: [3, 4]\nbody: [{from: [input, input], einsum: nd,kd->nk}]")
    assert fault.help == 'write `einsum: "nd,kd->nk"`'


def test_an_axis_that_was_not_there_before() -> None:
    text = (
        "input: [4, 6]\nbody:\n  - {id: a, reshape: [2, 2, 6, 1]}\n"
        "  - {id: b, from: input, reshape: [2, 2, 1, 6]}\n  - {id: c, concat: [a, b]}\n"
    )
    assert seen(text)[-1].startswith("`reshape` makes")


def test_where_a_text_ends_within_an_item_that_lacks_something() -> None:
    text = (
        "input: [8]\nbody:\n  - branches:\n      a: relu\n      b:\n        - relu\n        - tanh"
    )
    assert seen(text) == ["the file ends here, within a line"]
    assert seen(f"{text}\n") == []
