"""One block in full, as papers draw them."""

from __future__ import annotations

from itertools import pairwise

import pytest
from checking import faults
from figures import NETWORKS, compare, network

from archspec.figures.module import calls, draw, opened
from archspec.figures.outline import Maker
from archspec.figures.scene import Box, Group, Rect, Scene, Text
from archspec.text.faults import CodedError

DRAWN = [(name, block) for name in NETWORKS for block in calls(Maker(network(name)))]


def card_boxes(scene: Scene) -> dict[str, Box]:
    found = {}
    for mark in scene.marks():
        if isinstance(mark, Group) and mark.role == "card":
            rects = [item for item in mark.items if isinstance(item, Rect)]
            found[mark.key] = rects[-1].box
    return found


@pytest.mark.parametrize(("name", "block"), DRAWN)
def test_clean(name: str, block: str) -> None:
    program = network(name)
    assert faults(draw(program, block), opened(program, block)) == []


@pytest.mark.parametrize(
    ("name", "block"),
    [("googlenet", "Inception"), ("resnet152", "Bottleneck"), ("transformer", "DecoderLayer")],
)
def test_as_kept(name: str, block: str, update: bool) -> None:
    compare(draw(network(name), block), f"module_{block.lower()}", update)


def test_the_block_called_most_often() -> None:
    scene = draw(network("googlenet"))
    assert next(mark for mark in scene.marks() if isinstance(mark, Text)).text == "Inception"


def test_branches_stand_side_by_side() -> None:
    boxes = card_boxes(draw(network("googlenet"), "Inception"))
    heads = [
        boxes[f"inception3a.{key}"]
        for key in ("branch1", "branch2.0", "branch3.0", "branch4.max_pool1")
        if f"inception3a.{key}" in boxes
    ]
    assert len(heads) >= 3
    assert all(a.right < b.left for a, b in pairwise(heads))
    assert len({round((box.top + box.bottom) / 2) for box in heads}) == 1


def test_a_block_that_calls_itself_is_shown_once() -> None:
    labels = [part.label for part in opened(network("unet"), "Level").parts]
    assert labels == [
        "input", "conv 3×3", "conv 3×3", "max pool 2×2", "Level", "upconv 2×2", "concat",
        "conv 3×3", "conv 3×3",
    ]  # fmt: skip


def test_entries_bear_the_names_of_the_blocks_inputs() -> None:
    shown = opened(network("transformer"), "DecoderLayer")
    assert [part.label for part in shown.parts if part.kind == "input"] == [
        "x",
        "memory",
        "padding",
    ]
    pyramid = opened(network("faster_rcnn"), "Pyramid")
    ports = {kind: [part.label for part in pyramid.parts if part.kind == kind] for kind in (
        "input", "output",
    )}  # fmt: skip
    assert sorted(ports["input"]) == ["c2", "c3", "c4", "c5"]
    assert sorted(ports["output"]) == ["p2", "p3", "p4", "p5", "p6"]


def test_by_path() -> None:
    """The first copy of a stage has a projection in its shortcut."""
    typical = card_boxes(draw(network("resnet152"), "Bottleneck"))
    first = card_boxes(draw(network("resnet152"), "layer2.0"))
    assert len(first) == len(typical) + 1


@pytest.mark.parametrize("block", ["Botleneck", "layer9", "conv1"])
def test_no_such_block(block: str) -> None:
    with pytest.raises(CodedError, match=f"`{block}`"):
        draw(network("resnet152"), block)


def test_no_block_at_all() -> None:
    with pytest.raises(CodedError, match="vgg16"):
        draw(network("vgg16"))
