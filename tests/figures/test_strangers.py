"""What a stranger met in figures of networks of their own."""

from __future__ import annotations

import pytest

import archspec
from archspec.figures import chosen, figure
from archspec.figures.errors import RenderError
from archspec.figures.scene import Text
from archspec.figures.tower import draw

LOW = """\
spec: 1
name: low
input: [1, 8, 2048]
body:
  - {conv: {out: 32, kernel: [3, 7], stride: [1, 2], padding: [1, 3]}}
  - {conv: {out: 64, kernel: [3, 7], stride: [2, 4], padding: [1, 3]}}
  - global_avg_pool
  - linear: 10
"""
HEADS = """\
spec: 1
name: heads
input: [3, 64, 64]
blocks: {Head: {body: [{conv: {out: 2, kernel: 1}}, relu]}}
body:
  - {conv: {out: 8, kernel: 3, stride: 2, padding: 1}}
  - {id: fine, tap: always, conv: {out: 2, kernel: 1}}
  - {id: head, tap: always, Head: }
  - {id: learned, tap: train, conv: {out: 4, kernel: 3, padding: 1}}
  - {id: down, max_pool: 2}
  - {id: coarse, shared: head}
outputs: {fine: fine, head: head, coarse: coarse, learned: learned}
"""


def drawn(text: str, view: str) -> str:
    found = figure(archspec.loads(text), view)
    assert isinstance(found, str)
    return found


def test_no_size_begins_where_a_caption_ends() -> None:
    words = [mark for mark in draw(archspec.loads(LOW)).marks() if isinstance(mark, Text)]
    turned = [text for text in words if text.turn]
    captions = [text for text in words if text.bold]
    for size in turned:
        left, top = min(x for x, _ in size.corners), min(y for _, y in size.corners)
        bottom = max(y for _, y in size.corners)
        near = [c.box.right for c in captions if c.box.right <= size.x + 1]
        near = [x for x in near if any(top < c.box.bottom and c.box.top < bottom for c in captions)]
        assert all(left - x >= 3 for x in near)


def test_levels_say_what_a_head_is_and_whose_weights_it_has() -> None:
    text = drawn(HEADS, "levels")
    assert ">fine: conv 1×1<" in text
    assert ">coarse: conv 1×1<" in text
    assert text.count(">weights of head.conv1<") == 1
    assert text.count(">in training only<") == 1


def test_what_is_there_in_training_only_says_so() -> None:
    text = drawn(HEADS, "blocks")
    assert text.count("in training only") == 2  # on the card, and in its tooltip
    assert "Head, in training only" not in text
    assert ">conv 3×3, in training only<" in drawn(HEADS, "graph")
    assert '"conv 3×3, in training only"' in drawn(HEADS, "html")


def test_a_group_says_once_that_it_is_there_in_training_only() -> None:
    text = drawn(HEADS.replace("{id: head, tap: always", "{id: head, tap: train"), "graph")
    assert ">Head, in training only<" in text
    assert "conv 1×1, in training only" not in text


def test_a_sheet_of_the_graph_has_room_for_so_many_lines() -> None:
    wide = "spec: 1\nname: w\ninput: [4, 8]\nbody:\n"
    wide += "  - {id: c$i, from: input, repeat: {i: $(range(300))}, relu: }\n  - add: c*\n"
    with pytest.raises(RenderError, match="more than 200 lines would meet at one card"):
        figure(archspec.loads(wide), "graph")
    assert figure(archspec.loads(wide), "graph", "dot")


def test_residuals_in_one_another_as_deep_as_calls_may_be() -> None:
    deep = (
        "spec: 1\nname: d\ninput: [4, 8, 8]\nblocks:\n  B:\n    params: {n: required}\n    body:\n"
    )
    deep += "      - residual: [{conv: {out: 4, kernel: 1}}, relu, {B: $(n - 1), when: $(n > 1)}]\n"
    assert chosen(archspec.loads(deep + "body: [{B: 199}]\n")) == "blocks"
