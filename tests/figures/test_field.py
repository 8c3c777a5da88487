"""The receptive field of a node on the input: its cells, its stride, the nodes on the way."""

from __future__ import annotations

import pytest
from checking import faults
from figures import NETWORKS, compare, network

from archspec.figures import RenderError
from archspec.figures.field import draw
from archspec.figures.scene import Box, Group, Rect, Scene, Text
from archspec.figures.seen import MOST, chain
from archspec.network import Program, load, loads

# a padded convolution, a pool, one without padding: fields of 3, 4 and 8 cells
SMALL = """\
spec: 1
name: small
input: [3, 16, 16]
body:
  - conv: {out: 4, kernel: 3, padding: 1}
  - max_pool: 2
  - conv: {out: 4, kernel: 3}
  - relu
  - global_avg_pool
  - {id: fc, linear: 2}
"""


@pytest.fixture
def small() -> Program:
    return loads(SMALL)


def words(scene: Scene) -> list[str]:
    return [mark.text for mark in scene.marks() if isinstance(mark, Text)]


def squares(scene: Scene) -> dict[str, Box]:
    """By path of a node, the box of its field."""
    return {
        mark.key: rect.box
        for mark in scene.marks()
        if isinstance(mark, Group) and mark.role == "field"
        for rect in mark.items
        if isinstance(rect, Rect)
    }


SEES = [name for name in NETWORKS if name not in ("dcgan", "vae", "transformer")]


@pytest.mark.parametrize("name", SEES)
def test_clean(name: str) -> None:
    scene = draw(network(name))
    assert faults(scene) == []
    assert len(squares(scene)) <= MOST


@pytest.mark.parametrize("name", ["unet", "vgg16"])
def test_as_kept(name: str, update: bool) -> None:
    compare(draw(network(name)), f"field_{name}", update)


def test_a_sequence_as_kept(update: bool) -> None:
    scene = draw(load("tcn"))
    assert faults(scene) == []
    compare(scene, "field_tcn", update)


# ---------------------------------------------------------------------- what is seen


def test_the_chain_by_hand(small: Program) -> None:
    """Cell 3 of 6 along an axis sees cells 3 to 5 of the pool, 6 to 11 before it, 5 to 12."""
    found = chain(small, "conv2")
    assert [seen.row.path for seen in found] == ["conv1", "max_pool1", "conv2"]
    assert [seen.spans for seen in found] == [
        ((8, 10),) * 2,
        ((7, 10),) * 2,
        ((5, 12),) * 2,
    ]
    assert found[-1].centres == (9.0, 9.0)


def test_squares_are_as_large_as_the_fields(small: Program) -> None:
    found = squares(draw(small, "conv2"))
    px = 540 / 16  # the picture is 540 px wide
    sizes = [found[path].width / px for path in ("conv1", "max_pool1", "conv2")]
    assert sizes == pytest.approx([3, 4, 8])
    left = 20.0  # of the image on the sheet
    assert (found["conv2"].left - left) / px == pytest.approx(5)


@pytest.mark.parametrize("name", SEES)
def test_fields_are_those_of_the_analysis(name: str) -> None:
    """Cells and centre of each belong to one cell of its node."""
    for seen in chain(network(name)):
        for field, (low, high), centre in zip(seen.fields, seen.spans, seen.centres, strict=True):
            assert field.stride is not None
            assert field.centre is not None
            cell = (centre - 0.5 - float(field.centre)) / float(field.stride)
            assert cell == pytest.approx(round(cell))
            assert field.cells(round(cell)) == (low, high)


def test_without_a_node_the_last_with_an_area(small: Program) -> None:
    scene = draw(small)
    assert "One cell of relu1 sees 8×8 cells of input" in words(scene)
    assert list(squares(scene)) == ["relu1", "max_pool1", "conv1"]


def test_a_table_says_field_stride_and_padding(small: Program) -> None:
    found = words(draw(small, "conv2"))
    at = found.index("max_pool1")
    assert found[at : at + 5] == ["max_pool1", "max pool 2×2", "4×4", "2", "1"]


def test_of_many_steps_a_few_are_shown() -> None:
    found = chain(network("resnet152"))
    assert len(found) == MOST
    sizes = [seen.fields[0].size or 0 for seen in found]
    assert sizes == sorted(sizes)
    assert sizes[-1] == 1451
    assert {str(seen.fields[0].stride) for seen in found} == {"2", "4", "8", "16", "32"}


def test_of_a_large_input_only_what_is_near(small: Program) -> None:
    text = SMALL.replace("16, 16", "16, 900")
    scene = draw(loads(text), "conv2")
    assert "shown of input: cells 0…15, 431…470" in words(scene)
    assert faults(scene) == []


def test_causal_fields_end_at_the_same_cell() -> None:
    assert {seen.spans[0][1] for seen in chain(load("tcn"))} == {392}


# ---------------------------------------------------------------------- what cannot be shown


def test_a_node_that_there_is_not(small: Program) -> None:
    with pytest.raises(RenderError) as error:
        draw(small, "conv3")
    assert (error.value.code, error.value.message) == ("E703", "`small` has no node `conv3`")
    assert error.value.help == "did you mean `conv1` or `conv2`?"


def test_a_node_that_sees_everything(small: Program) -> None:
    with pytest.raises(RenderError, match="`field` does not apply to `fc`") as error:
        draw(small, "fc")
    assert error.value.code == "E702"


@pytest.mark.parametrize("name", ["dcgan", "lstm_classifier"])
def test_a_network_without_fields(name: str) -> None:
    program = network(name) if name in NETWORKS else load(name)
    with pytest.raises(RenderError, match="no op sees only a part of the input"):
        draw(program)


# ---------------------------------------------------------------------- met in random networks

HALF_SEEN = """\
spec: 1
name: half
input: [4, 6]
body:
  - {id: p, split: 2}
  - {id: q, from: p.0, relu: }
  - {id: c, concat: [q, p.1]}
  - {conv: {out: 4, kernel: 3, padding: 1}}
"""


def test_axes_that_are_seen_whole_further_on_are_left_out() -> None:
    """The convolution reads all of axis 0; of what is before it the field along that is told too,
    but not in a figure of the convolution."""
    program = loads(HALF_SEEN)
    assert [len(seen.spans) for seen in chain(program, "conv1")] == [1, 1]
    assert faults(draw(program)) == []
    assert faults(draw(program, "c")) == []


def test_what_reaches_further_on_the_way_is_on_the_sheet() -> None:
    rolled = (
        "spec: 1\nname: rolled\ninput: [2, 4, 4]\nbody:\n"
        "  - {id: far, roll: {shifts: [3], axis: [1]}}\n"
        "  - {id: back, roll: {shifts: [-6], axis: [1]}}\n"
    )
    assert faults(draw(loads(rolled))) == []


def test_a_field_outside_of_a_long_input_is_shown_beside_its_end() -> None:
    program = loads(
        "spec: 1\nname: rolled\ninput: [4, 16]\nbody:\n"
        "  - {conv: {out: 4, kernel: 1}}\n  - {roll: {shifts: [15], axis: [1]}}\n"
    )
    found = words(draw(program))
    assert "One cell of roll1 sees 1 cell of input" in found
    assert "input, cells 0 to 2 of 16" in found
    assert "a band reaches beyond the input, where it goes on at the other end" in found
    assert faults(draw(program)) == []
