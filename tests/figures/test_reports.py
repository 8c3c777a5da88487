"""What readers of figures asked for in public reports of other tools."""

from __future__ import annotations

import pytest
from checking import faults
from telling import said, titles

from archspec.figures import blocks, dot, field, graph, levels, module
from archspec.network import Program, load, loads
from archspec.text.faults import CodedError

TWO_HEADS = """\
spec: 1
name: two_heads
input: [3, 16, 16]
blocks:
  Unit:
    params: {out: required}
    body: [{conv: {out: $out, kernel: 3, padding: 1, bias: false}}, batch_norm, relu]
body:
  - {id: stem, Unit: 8}
  - {id: logits, from: stem, sequential: [global_avg_pool, {linear: 10}]}
  - {id: mask, from: stem, conv: {out: 1, kernel: 1}}
outputs: {scores: logits, mask: mask}
"""


def branches(many: int, path: str, more: str = "") -> Program:
    repeat = f"{{d: {list(range(1, many + 1))}}}"
    return loads(
        "spec: 1\nname: wall\ninput: [8, 16, 16]\nbody:\n  - {conv: {out: 8, kernel: 1}}\n"
        f"  - branches: {{repeat: {repeat}, body: [{path}]}}\n    merge: concat\n{more}"
        "  - {conv: {out: 4, kernel: 1}}\n"
    )


DILATED = "{conv: {out: 4, kernel: 3, dilation: $d, padding: $d}}, relu"


def test_every_op_and_what_leaves_by_name() -> None:
    program = loads(TWO_HEADS)
    scene = graph.draw(program)
    assert faults(scene) == []
    assert {"scores", "mask"} <= set(said(scene))
    assert {"→scores", "→mask"} <= set(titles(scene))
    assert "label=scores" in dot.full(program)
    assert "n6 -> n8" in dot.full(program)


def test_one_output_needs_no_name() -> None:
    assert not [key for key in titles(graph.draw(load("lenet5"))) if key.startswith("→")]


def test_more_outputs_than_there_is_room_for() -> None:
    items = "".join(f"  - {{id: c{n}, conv: {{out: 2, kernel: 1}}}}\n" for n in range(30))
    names = ", ".join(f"y{n}: c{n}" for n in range(30))
    text = f"spec: 1\nname: n\ninput: [2, 8, 8]\nbody:\n{items}outputs: {{{names}}}\n"
    assert not [key for key in titles(graph.draw(loads(text))) if key.startswith("→")]


def test_a_block_of_one_layer_is_framed_where_ops_are_few() -> None:
    assert {"stem", "Unit"} <= set(said(graph.draw(loads(TWO_HEADS))))
    many = TWO_HEADS.replace(
        "  - {id: stem", "  - {repeat: 40, conv: {out: 3, kernel: 1}}\n  - {id: stem"
    )
    assert "Unit" not in said(graph.draw(loads(many)))


@pytest.mark.parametrize(
    ("path", "label"),
    [(DILATED, "24 branches of conv 3×3"),
     ("{conv: {out: 4, kernel: $(2 * (d % 3) + 1), padding: half}}", "24 branches")],
)  # fmt: skip
def test_branches_are_counted(path: str, label: str) -> None:
    found = said(blocks.draw(branches(24, path)))
    assert label in found
    assert not [text for text in found if text.count("×") > 2]


def test_a_path_without_an_op_is_a_branch_too() -> None:
    text = (
        "spec: 1\nname: n\ninput: [4, 8, 8]\nbody:\n  - repeat: 20\n    branches:\n"
        "      - [{conv: {out: 4, kernel: 1}}]\n      - [{max_pool: 1}]\n      - []\n"
        "    merge: add\n"
    )
    assert "3 branches" in said(blocks.draw(loads(text)))


def test_without_a_block_branches_are_opened() -> None:
    program = branches(6, DILATED)
    scene = module.draw(program)
    assert faults(scene) == []
    assert said(scene)[:2] == ["branches", "branches1 of wall"]
    assert said(scene).count("dilation 5, ReLU") == 1
    assert said(module.draw(program, "branches1")) == said(scene)
    with pytest.raises(CodedError, match="did you mean `branches1`"):
        module.draw(program, "branches")


def test_paths_that_share_a_card_are_no_chain() -> None:
    scene = module.draw(branches(24, DILATED))
    assert faults(scene) == []
    assert [text for text in said(scene) if "conv" in text] == ["3 paths of conv 3×3"] * 8


def test_a_residual_by_the_path_of_its_sum() -> None:
    scene = module.draw(load("resnet50"), "layer1.0.residual1")
    assert said(scene)[:2] == ["residual", "layer1.0.residual1 of resnet50"]


def test_a_title_stands_below_the_name() -> None:
    titled = TWO_HEADS.replace("input", "title: A stem with two heads\ninput", 1)
    for draw in (blocks.draw, graph.draw):
        assert "A stem with two heads" in said(draw(loads(titled)))
        assert faults(draw(loads(titled))) == []
        assert said(draw(loads(TWO_HEADS)))[2] != "two_heads"
    title = load("unet").spec.title
    assert title in said(levels.draw(load("unet")))
    assert title not in said(levels.draw(load("unet", "original")))  # it is of the other


@pytest.mark.parametrize("many", [10, 40, 45])
def test_a_long_title_goes_on_in_further_lines(many: int) -> None:
    title = " ".join(f"word{n}" for n in range(many))
    program = loads(TWO_HEADS.replace("input", f"title: {title}\ninput", 1))
    for draw in (blocks.draw, graph.draw, levels.draw, field.draw):
        scene = draw(program)
        assert faults(scene) == []
        assert title in " ".join(said(scene))
    one = loads(TWO_HEADS.replace("input", f"title: {'w' * 200}\ninput", 1))
    for draw in (blocks.draw, graph.draw, levels.draw, field.draw):
        assert said(draw(one))[2].endswith("…")
        assert "w" * 200 in draw(one).description
