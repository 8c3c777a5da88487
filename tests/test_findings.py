"""What broke on networks that others wrote, and in what they were told: each as a small input."""

from __future__ import annotations

import pytest
from test_lowering import check

from archspec.network import load, loads
from archspec.text.faults import SpecError

HEAD = "spec: 1\ninput: [4, 8, 8]\nbody:\n"
COPIES = "{id: a, repeat: 50, conv: {out: 4, kernel: 1}}"
HALVES = f"{HEAD}  - {{id: x, split: 2}}\n"


def said(text: str) -> tuple[str, str, str]:
    """Code, sentence and remedy of the one complaint."""
    with pytest.raises(SpecError) as caught:
        loads(text)
    (fault,) = caught.value.faults
    return fault.code, fault.message, fault.help


# ---------------------------------------------------------------- what flows


def test_a_group_whose_items_say_what_they_take_needs_nothing_that_flows() -> None:
    both = "[{id: w, from: x.0, relu: }, {id: z, from: x.1, tanh: }]"
    program = loads(f"{HALVES}  - {{id: both, body: {both}}}\n  - add: [both.w, both.z]\n")
    check(program)
    assert "w, z = self.both(x0, x1)" in program.code.replace("both0, both1", "w, z")
    paths = "{a: {from: x.0, conv: {out: 3, kernel: 1}}, b: {from: x.1, tanh: }}"
    branches = loads(f"{HALVES}  - {{branches: {paths}, merge: concat}}\n")
    check(branches)
    assert "return torch.cat([self.a(x0), self.b(x1)], 1)" in branches.code
    check(loads(
        f"{HALVES}  - {{id: g, sequential: [{{from: x.0, relu: }}, tanh]}}\n  - concat: [g, x.1]\n"
    ))  # fmt: skip


@pytest.mark.parametrize(
    "item", ["{body: [relu]}", "{residual: [{from: x.0, relu: }]}", "{residual: [relu]}", "relu"]
)
def test_what_takes_what_flows_says_so_where_nothing_does(item: str) -> None:
    code, sentence, help = said(f"{HALVES}  - {item}\n")
    assert (code, help) == ("E313", "say which with `from`: `prev.0` or `prev.1`")
    assert sentence.startswith("nothing flows into this item")


def test_what_stands_inside_of_a_group_is_pointed_at() -> None:
    text = f"{HEAD}  - {{id: g, body: [{{id: z, relu: }}, tanh]}}\n  - {{from: z, relu: }}\n"
    assert said(text)[2] == "it stands inside of `g`: `g.z`"


def test_a_class_without_an_id_is_named_after_what_it_stands_in() -> None:
    program = loads(
        f"{HEAD}"
        "  - {id: a, conv: {out: 4, kernel: 1}}\n"
        "  - id: fuse\n"
        "    sequential:\n"
        "      - sequential: [{conv: {out: 4, kernel: 1}}, {id: k, relu: }, {add: [a, prev]}]\n"
        "      - {add: [a, prev]}\n"
    )
    check(program)
    assert "class Fuse0(nn.ModuleList):" in program.code
    assert "class Sequential" not in program.code


# ---------------------------------------------------------------- words


def test_line_ends_of_old_macs_are_one_complaint() -> None:
    code, sentence, help = said("spec: 1\rinput: [8, 16, 16]\rbody: [relu]\r")
    assert code == "E103"
    assert sentence == "lines end in CR alone, U+000D, as old Macs wrote them"
    assert help == "save the file with LF line ends"


def test_a_keyword_as_a_column_is_one_complaint() -> None:
    item = '{repeat: {from: [1, 2]}, conv: {out: "$(4 * from)", kernel: 1}}'
    assert said(f"{HEAD}  - {item}\n")[:2] == ("E205", "`from` is a keyword of Python")
    item = '{repeat: {k: [1, 2]}, conv: {out: "$(4 * class)", kernel: 1}}'
    assert said(f"{HEAD}  - {item}\n")[:2] == ("E122", "`class` is a keyword of Python")


@pytest.mark.parametrize("word", ["minibatch_stddev", "mixup", "all_gather"])
def test_what_reaches_across_the_batch_is_out(word: str) -> None:
    code, sentence, help = said(f"{HEAD}  - {word}\n")
    why = "each sample is computed alone, and no op sees the batch axis"
    assert (code, sentence) == ("E207", f"`{word}` can be no op: {why}")
    assert help == "a loss, or a `step` function of the plan, sees the whole batch"


@pytest.mark.parametrize("word", ["while", "cond", "if", "nonzero", "while_loop"])
def test_what_follows_from_data_is_out(word: str) -> None:
    code, sentence, help = said(f"{HEAD}  - {word}\n")
    why = "what is computed, and how often, never follows from the values of data"
    assert (code, sentence) == ("E207", f"`{word}` can be no op: {why}")
    assert help == "`when` and `repeat` follow params; `mul` by a mask chooses cell by cell"


@pytest.mark.parametrize("item", ["softmax: 3", "flip: -4", "reduce: {by: mean, axis: -4}"])
def test_axes_are_said_to_stand_behind_the_batch_axis(item: str) -> None:
    code, _, help = said(f"{HEAD}  - {item}\n")
    assert code == "E302"
    assert help.startswith("axes are counted from 0 behind the batch axis, which no op reaches")


@pytest.mark.parametrize(
    ("word", "instead"),
    [
        ("sum", "`reduce: sum`"), ("expand_as", "`expand`"), ("where", "`mul` one by a mask"),
        ("reduce_mean", "`reduce: {by: mean}`"), ("focus", "`pixel_unshuffle: 2`"),
        ("adain", "`instance_norm`"), ("square", "`pow: 2`"), ("unsqueeze", "`unflatten`"),
        ("squeeze", "`flatten`"), ("reflection_pad", "mode: reflect"),
        ("l2_normalize", "normalize"),
        ("spectral_norm", "`reparam: spectral_norm`"), ("norm", "`reduce: {by: norm}`"),
        ("transpose", "the order of all axes"), ("resize", "`upsample: {size: …}`"),
        ("reduce_sum", "`reduce: {by: sum}`"), ("swapaxes", "the order of all axes"),
    ],
)  # fmt: skip
def test_names_from_elsewhere_lead_to_what_does_it_here(word: str, instead: str) -> None:
    _, sentence, help = said(f"{HEAD}  - {word}\n")
    assert f"`{word}`" in sentence
    assert instead in help


def test_ops_that_were_lacking_are_there() -> None:
    for op in ("argmax", "quick_gelu", "celu", "normalize", "reduce: mean", "expand: [-1, -1, -1]"):
        loads(f"{HEAD}  - {op}\n")


# ---------------------------------------------------------------- what was long, or wrong


def test_a_graph_is_shown_in_a_line() -> None:
    assert len(repr(load("resnet50").graph)) < 100


def test_copies_that_are_alike_from_the_first_are_counted_whole() -> None:
    program = loads(f"spec: 1\ninput: [4, 8, 8]\nbody: [{COPIES}]\n")
    assert "self.a = nn.Sequential(*(nn.Conv2d(4, 4, 1) for _ in range(50)))" in program.code


def test_patches_that_are_merged_are_aligned() -> None:
    rows = [f"{{id: r{k}, from: input, slice: {{start: {k}, step: 2, axis: 1}}}}" for k in (0, 1)]
    cells = [
        f"{{id: c{r}{k}, from: r{r}, slice: {{start: {k}, step: 2, axis: 2}}}}"
        for r in (0, 1)
        for k in (0, 1)
    ]
    items = "\n".join(f"  - {item}" for item in (*rows, *cells, "concat: [c00, c10, c01, c11]"))
    assert loads(f"{HEAD}{items}\n").warnings == []


def test_a_tensor_of_several_is_taken_from_the_item_before() -> None:
    program = loads(f"{HEAD}  - split: 2\n  - {{from: prev.1, relu: }}\n")
    (taken,) = program.graph.at("relu1").inputs
    assert taken.output == 1
