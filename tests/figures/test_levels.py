"""Height is effective stride: the U of a U-Net, a pyramid, three scales, a generator's stairs."""

from __future__ import annotations

from fractions import Fraction

import pytest
from checking import faults
from figures import NETWORKS, compare, network

from archspec.figures.heights import Level, levels
from archspec.figures.levels import applies, draw, fitting
from archspec.figures.outline import Fold, outline
from archspec.figures.scene import Group, Path, Scene
from archspec.network import load, loads


def boxes(scene: Scene) -> dict[str, tuple[float, float]]:
    """Left and top of each card, by key."""
    found = {}
    for mark in scene.marks():
        if isinstance(mark, Group) and mark.role == "card":
            last = [item for item in mark.items if hasattr(item, "box") and hasattr(item, "radius")]
            found[mark.key] = last[-1].box[:2]  # type: ignore[union-attr]
    return found


def labels(name: str) -> dict[str, str]:
    """By key of a part, where it stands."""
    program = network(name)
    shown = outline(program, Fold(scales=True, outputs=False))
    return {key: level.label for key, level in levels(program, shown).items()}


@pytest.mark.parametrize("name", NETWORKS)
def test_clean(name: str) -> None:
    program = network(name)
    assert faults(draw(program), fitting(program).shown) == []


@pytest.mark.parametrize("name", ["unet", "yolov3", "faster_rcnn", "dcgan"])
def test_as_kept(name: str, update: bool) -> None:
    compare(draw(network(name)), f"levels_{name}", update)


def test_where_it_applies() -> None:
    several = {name for name in NETWORKS if applies(network(name))}
    assert several == set(NETWORKS) - {"transformer", "vit", "vae"}


def test_u() -> None:
    found = labels("unet")
    down = "level1"
    for stride in (1, 2, 4, 8):
        assert found[f"{down}.skip"] == f"stride {stride}"
        assert found[f"{down}.concat1"] == f"stride {stride}"
        down += ".level1"
    assert found[down] == "stride 16"


def test_skips_are_level_and_dashed() -> None:
    scene = draw(network("unet"))
    skips = [
        mark
        for mark in scene.marks()
        if isinstance(mark, Path) and mark.edge and mark.stroke and mark.stroke.dash
    ]
    assert len(skips) == 4
    for skip in skips:
        assert len({step[-1] for step in skip.steps}) == 1  # one height


def test_ranks_grow_along_every_link() -> None:
    """x is the longest way from an input: no link goes back."""
    for name in NETWORKS:
        scene = draw(network(name))
        at = boxes(scene)
        for mark in scene.marks():
            if isinstance(mark, Path) and mark.edge:
                assert at[mark.edge[0]][0] < at[mark.edge[1]][0]


def test_pyramid() -> None:
    found = labels("faster_rcnn")
    for place, stride in enumerate((4, 8, 16, 32)):
        for block in ("inner_blocks", "layer_blocks"):
            (here,) = (key for key in found if key.startswith(f"backbone.fpn.{block}.{place}"))
            assert found[here] == f"stride {stride}"


def test_three_scales() -> None:
    found = labels("yolov3")
    assert [found[head] for head in ("small", "medium", "large")] == [
        "stride 8", "stride 16", "stride 32",
    ]  # fmt: skip


def test_a_generator_is_told_by_sizes() -> None:
    """Its input is no map, so that strides would be of nothing."""
    found = labels("dcgan")
    assert list(dict.fromkeys(found.values())) == [
        "vectors", "4 × 4", "8 × 8", "16 × 16", "32 × 32", "64 × 64",
    ]  # fmt: skip


def test_finer_than_the_input() -> None:
    text = (
        "spec: 1\nname: finer\ninput: [3, 8, 8]\n"
        "body:\n  - {conv: {out: 4, kernel: 3, padding: 1}}\n  - upsample: 4\n  - relu\n"
    )
    program = loads(text)
    shown = outline(program, Fold(scales=True, outputs=False))
    level = levels(program, shown)["upsample1…relu1"]
    assert (level.label, level.remark) == ("stride 1/4", "4× the input")
    assert applies(program)
    assert faults(draw(program)) == []


def test_an_hourglass_through_a_vector() -> None:
    """Behind a vector a map has no field of its own; its size says how high it stands."""
    text = """\
spec: 1
name: hourglass
input: [1, 32, 32]
body:
  - conv: {out: 8, kernel: 3, stride: 2, padding: 1}
  - relu
  - conv: {out: 16, kernel: 3, stride: 2, padding: 1}
  - relu
  - flatten
  - linear: 10
  - relu
  - linear: 1024
  - unflatten: [16, 8, 8]
  - conv_transpose: {out: 8, kernel: 2, stride: 2}
  - relu
  - conv_transpose: {out: 1, kernel: 2, stride: 2}
"""
    program = loads(text)
    shown = outline(program, Fold(scales=True, outputs=False))
    found = [level.label for level in levels(program, shown).values()]
    assert found == [
        "stride 1", "stride 2", "stride 4", "vectors", "vectors", "stride 2", "stride 1",
    ]  # fmt: skip
    assert faults(draw(program)) == []


def test_axes_of_their_own_strides() -> None:
    text = (
        "spec: 1\nname: text\ninput: [1, 32, 100]\nbody:\n"
        "  - {conv: {out: 8, kernel: 3, padding: 1}}\n  - max_pool: [2, 1]\n  - max_pool: 2\n"
    )
    program = loads(text)
    shown = outline(program, Fold(scales=True, outputs=False))
    found = [level.label for level in levels(program, shown).values()]
    assert found == ["stride 1", "stride 1", "stride 2×1", "stride 4×2"]


BROUGHT_TO_A_SIZE = """\
spec: 1
name: brought
input: [3, {H: 130}, {W: 128}]
body:
  - {id: a, conv: {out: 4, kernel: 3, stride: 2, padding: 1}}
  - {id: b, conv: {out: 4, kernel: 3, stride: 2, padding: 1}}
  - {id: c, max_pool: {kernel: 3, stride: 2, padding: 1}}
  - {id: up, from: [c, b], upsample: {mode: bilinear, align_corners: true}}
  - {id: d, concat: [b, up]}
  - {id: e, from: [d, a], upsample: {mode: nearest}}
  - {id: f, from: [e, input], upsample: {mode: bilinear, align_corners: true}}
  - {id: finer, upsample: {scale: 1.5, mode: bilinear}}
"""


def test_maps_that_are_brought_to_a_size_stand_with_those_of_that_size() -> None:
    """`align_corners`, or a size that is no multiple: the same row, and no "stride 62/63"."""
    lanes = fitting(loads(BROUGHT_TO_A_SIZE))
    assert lanes is not None
    labels = {level.label for level in lanes.level.values()}
    assert labels == {"stride 2/3", "stride 1", "stride 2", "stride 4", "stride 8"}
    level = {key.rpartition("/")[2]: found.label for key, found in lanes.level.items()}
    assert level["up"] == level["b"] == "stride 4"
    assert level["e"] == level["a"] == "stride 2"


def test_branches_side_by_side_have_rows_of_their_own() -> None:
    """HRNet goes on at four resolutions: its default figure is no chain of stages."""
    lanes = fitting(load("hrnet_w18"))
    assert lanes is not None
    rows: dict[str, set[str]] = {}
    for part in lanes.shown.parts:
        rows.setdefault(lanes.level[part.key].label, set()).add(part.name)
    for k, stride in enumerate((4, 8, 16, 32)):
        assert f"incre_modules.{k}" in rows[f"stride {stride}"]
        assert f"branches.{k}" in rows[f"stride {stride}"] or k > 1  # a sheet holds no more


@pytest.mark.parametrize(
    ("small", "stride"), [(16, "stride 4"), (32, "stride 2"), (48, "stride 4/3")]
)
def test_inputs_stand_at_their_own_sizes(small: int, stride: str) -> None:
    """A map of a quarter of the other's size is not what that becomes: it is at stride 4."""
    program = loads(
        f"spec: 1\nname: guided\ninput: {{small: [3, {small}, {small}], guide: [3, 64, 64]}}\n"
        "body:\n  - {id: s, from: small, conv: {out: 8, kernel: 3, padding: 1}}\n"
        "  - {id: up, from: s, upsample: {size: [64, 64]}}\n"
        "  - {id: g, from: guide, conv: {out: 8, kernel: 3, padding: 1}}\n"
        "  - {id: both, concat: [up, g]}\n"
        "  - {id: mid, from: both, conv: {out: 16, kernel: 3, stride: 2, padding: 1}}\n"
    )
    found = fitting(program)
    assert found is not None
    labels = {key: level.label for key, level in found.level.items()}
    assert (labels["small"], labels["guide"]) == (stride, "stride 1")
    assert (labels["both"], labels["mid"]) == ("stride 1", "stride 2")
    assert faults(draw(program)) == []


def test_a_stride_of_fractions_is_read_in_one_way() -> None:
    assert Level((Fraction(60, 31), Fraction(92, 47))).label == "stride (60/31)×(92/47)"
    assert Level((Fraction(1, 2),)).label == "stride 1/2"


def test_an_input_of_one_cell_is_no_scale() -> None:
    """The share of a blend, [1, 1, 1], beside the noise that pictures are made of."""
    text = (
        "spec: 1\nname: grow\ninput: {noise: [16], alpha: [1, 1, 1]}\nbody:\n"
        "  - {from: noise, unflatten: [16, 1, 1]}\n  - {conv_transpose: {out: 8, kernel: 4}}\n"
        "  - {id: low, upsample: 2}\n  - {id: high, conv: {out: 8, kernel: 3, padding: 1}}\n"
        "  - {id: share, mul: [high, alpha]}\n  - {id: out, add: [low, share]}\n"
    )
    found = fitting(loads(text))
    assert found is not None
    assert found.level["alpha"] == Level()
    assert {level.label for level in found.level.values()} == {"vectors", "4 × 4", "8 × 8"}


def test_what_is_made_of_no_input_stands_where_it_is_taken() -> None:
    """The mean of pictures, [3, 1, 1], is no map at stride 32; nor is the scale of a head."""
    text = (
        "spec: 1\nname: finer\ninput: [3, 32, 32]\nbody:\n"
        "  - {id: mean, constant: [[[0.4]], [[0.5]], [[0.6]]]}\n  - sub: [input, mean]\n"
        "  - {conv: {out: 12, kernel: 3, padding: 1}}\n  - pixel_shuffle: 2\n"
        "  - {id: out, add: [prev, mean]}\n"
    )
    found = fitting(loads(text))
    assert found is not None
    assert found.level["mean"].label == "stride 1"
    assert {level.label for level in found.level.values()} == {"stride 1", "stride 1/2"}
