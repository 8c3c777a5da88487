"""Feature maps as volumes: what is stacked, how large it is drawn, and where it does not apply."""

from __future__ import annotations

from itertools import pairwise

import pytest
from checking import faults
from figures import NETWORKS, compare, network
from shipped import program

from archspec import shelf
from archspec.figures import RenderError
from archspec.figures.scene import Group, Path, Scene, Text
from archspec.figures.tower import draw
from archspec.figures.trunk import Slab, Solid, reason, trunk
from archspec.figures.volume import Volume
from archspec.network import Program, loads

APPLIES = [name for name in NETWORKS if reason(network(name)) == ""]


def spec(body: str, input: str = "[3, 32, 32]") -> Program:
    return loads(f"spec: 1\nname: net\ninput: {input}\nbody:\n{body}")


def solids(program: Program) -> list[Solid]:
    return list(trunk(program, 40).solids)


def said(solid: Solid) -> tuple[tuple[int, ...], list[int], int]:
    return solid.sides, [slab.channels for slab in solid.slabs], solid.copies


def words(scene: Scene) -> list[str]:
    return [mark.text for mark in scene.marks() if isinstance(mark, Text)]


def cards(scene: Scene) -> list[Group]:
    return [m for m in scene.marks() if isinstance(m, Group) and m.role == "card"]


# ---------------------------------------------------------------------- what must not be


def test_applies_to_plain_classifiers() -> None:
    assert set(APPLIES) >= {
        "vgg16", "resnet152", "googlenet", "inception_v3", "efficientnet_b7", "densenet200",
    }  # fmt: skip
    assert not set(APPLIES) & {"unet", "yolov3", "faster_rcnn", "vae", "transformer", "vit"}


@pytest.mark.parametrize("name", APPLIES)
def test_clean(name: str) -> None:
    assert faults(draw(network(name))) == []


@pytest.mark.parametrize("name", shelf.names())
def test_every_shipped_spec_is_clean_or_refused(name: str) -> None:
    chosen = program(name)
    why = reason(chosen)
    if why:
        with pytest.raises(RenderError, match="`tower` does not apply to") as error:
            draw(chosen)
        assert (error.value.code, why in error.value.message) == ("E702", True)
        assert "\n" not in error.value.message
        return
    scene = draw(chosen)
    assert faults(scene) == []
    # every two neighbours are joined
    lines = {m.edge for m in scene.marks() if isinstance(m, Path) and m.edge is not None}
    keys = [card.key for card in cards(scene)]
    assert lines == set(pairwise(keys))


@pytest.mark.parametrize("name", ["vgg16", "resnet152"])
def test_as_kept(name: str, update: bool) -> None:
    compare(draw(network(name)), f"tower_{name}", update)


# ---------------------------------------------------------------------- what is stacked


def test_vgg16() -> None:
    found = solids(network("vgg16"))
    assert [said(solid) for solid in found] == [
        ((224, 224), [3], 1),
        ((224, 224), [64, 64], 1),
        ((112, 112), [128, 128], 1),
        ((56, 56), [256, 256, 256], 1),
        ((28, 28), [512, 512, 512], 1),
        ((14, 14), [512, 512, 512], 1),
        ((), [4096], 1),
        ((), [4096], 1),
        ((), [1000], 1),
    ]
    pools = [[sides for sides, _ in solid.pools] for solid in found[1:6]]
    assert pools == [[(112, 112)], [(56, 56)], [(28, 28)], [(14, 14)], [(7, 7), (7, 7)]]


def test_resnet152() -> None:
    assert [said(solid) for solid in solids(network("resnet152"))] == [
        ((224, 224), [3], 1),
        ((112, 112), [64], 1),
        ((56, 56), [64, 64, 256], 3),
        ((28, 28), [128, 128, 512], 8),
        ((14, 14), [256, 256, 1024], 36),
        ((7, 7), [512, 512, 2048], 3),
        ((), [1000], 1),
    ]


@pytest.mark.parametrize("name", APPLIES)
def test_maps_are_those_of_the_graph(name: str) -> None:
    """Resolution and channels of each slab are those of a node that it stands for."""
    program = network(name)
    for solid in solids(program):
        shapes = {program.graph.steps[i].outs[0].shape for part in solid.parts for i in part.nodes}
        for slab in solid.slabs:
            assert (slab.channels, *solid.sides) in shapes
        for sides, part in solid.pools:
            shape = program.graph.steps[part.main].outs[0].shape
            assert shape[1:] in (sides, ())


@pytest.mark.parametrize("name", APPLIES)
def test_nothing_with_weights_is_left_out(name: str) -> None:
    program = network(name)
    found = trunk(program, 40)
    shown = {i for solid in found.solids for part in solid.parts for i in part.nodes}
    aside = {i for part in found.aside for i in part.nodes}
    for row in program.analysis.rows:
        if row.params:
            assert (row.index in shown) != (row.index in aside), row.path
            assert row.index not in aside or row.training_only


def test_heads_of_training_are_named_as_not_shown() -> None:
    assert "not shown: aux1, aux2" in words(draw(network("googlenet")))
    assert not any("not shown" in text for text in words(draw(network("vgg16"))))


def test_branches_side_by_side_are_one_slab() -> None:
    (solid,) = (s for s in solids(network("googlenet")) if s.sides == (14, 14))
    assert solid.slabs == [Slab(512, "conv")] * 3 + [Slab(528, "conv"), Slab(832, "conv")]


def test_branches_without_a_block_are_one_slab() -> None:
    found = solids(
        spec("""
  - conv: {out: 8, kernel: 3, padding: 1}
  - branches: {a: {conv: {out: 8, kernel: 1}}, b: [{conv: {out: 4, kernel: 3, padding: 1}}]}
    merge: concat
  - max_pool: 2
  - conv: {out: 16, kernel: 3, padding: 1}
""")
    )
    assert [said(solid) for solid in found[1:]] == [
        ((32, 32), [8], 1), ((32, 32), [12], 1), ((16, 16), [16], 1),
    ]  # fmt: skip


def test_many_alike_are_drawn_once() -> None:
    program = spec("""
  - repeat: 30
    body: [{conv: {out: 8, kernel: 3, padding: 1}}, relu]
  - max_pool: 2
  - conv: {out: 16, kernel: 3, padding: 1}
""")
    assert solids(program)[1].slabs == [Slab(8, "conv", 30)]
    assert "8 ×30" in words(draw(program))


# ---------------------------------------------------------------------- how it is drawn


def volume(sides: tuple[int, ...], channels: int) -> Volume:
    part = network("vgg16")
    first = solids(part)[1]
    return Volume(
        Solid(sides, first.parts, [Slab(channels, "conv")]), 10.0, sized=True, x=0.0, axis=0.0
    )


def test_faces_grow_with_the_root_of_the_size_and_thickness_with_the_log_of_channels() -> None:
    assert volume((196, 196), 64).height == pytest.approx(2 * volume((49, 49), 64).height)
    wide = volume((16, 64), 64)
    assert wide.height == pytest.approx(40)
    assert wide.slant == pytest.approx(volume((64, 64), 64).slant)
    thin, thick = volume((49, 49), 63), volume((49, 49), 63**2)
    assert thick.end == pytest.approx(2 * thin.end, rel=0.01)
    assert volume((1, 1), 64).height >= 10  # still to be seen


def test_dimensions_are_said_once() -> None:
    found = words(draw(network("vgg16")))
    for size in (224, 112, 56, 28, 14):
        assert found.count(f"{size}×{size}") == 1


def test_numbers_of_thin_slabs_stand_apart() -> None:
    body = """
  - {conv: {out: 512, kernel: 3, padding: 1}, repeat: 2}
  - upsample: 32
  - {sequential: [{conv: {out: 32, kernel: 3, padding: 1}}, relu], repeat: 2}
  - upsample: 2
  - {sequential: [{conv: {out: 16, kernel: 3, padding: 1}}, relu], repeat: 2}
  - conv: {out: 3, kernel: 1}
"""
    scene = draw(spec(body, "[512, 16, 16]"))
    texts = {mark.text: mark.box for mark in scene.marks() if isinstance(mark, Text)}
    assert texts["3"].left - texts["16 ×2"].right >= 4 - 1e-9


def test_sequences_and_solids_are_drawn() -> None:
    body = """
  - conv: {out: 8, kernel: 3}
  - max_pool: 2
  - conv: {out: 16, kernel: 3}
"""
    assert "400" in words(draw(spec(body, "[2, 400]")))
    assert "16×32×32" in words(draw(spec(body, "[2, 16, 32, 32]")))


def test_a_long_tower_goes_on_below() -> None:
    body = "".join(f"\n  - conv: {{out: {8 + i}, kernel: 5}}\n  - relu" for i in range(40))
    scene = draw(spec(body, "[3, 224, 224]"))
    assert faults(scene) == []
    fronts = [min(p.steps[0][2] for p in c.items if isinstance(p, Path)) for c in cards(scene)]
    assert max(fronts) - min(fronts) > 150  # in rows


def test_names_stay_text() -> None:
    program = spec("""
  - {id: a_name_that_is_much_longer_than_any_volume_is_wide, conv: {out: 8, kernel: 3}}
  - max_pool: 2
  - {id: fc, conv: {out: 4, kernel: 3}}
""")
    scene = draw(program)
    assert faults(scene) == []
    assert any(text.startswith("a_name_that") and text.endswith("…") for text in words(scene))


# ---------------------------------------------------------------------- where it does not apply


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("unet", "its paths meet at `level1.concat1` after maps of several sizes"),
        ("yolov3", "it has 3 outputs"),
        ("transformer", "it has 3 inputs"),
        ("vit", "`conv_proj` gives 196 × 768, which is no map"),
    ],
)
def test_refused(name: str, why: str) -> None:
    assert reason(network(name)) == why


def test_maps_of_one_size_are_no_tower() -> None:
    program = spec("  - conv: {out: 8, kernel: 3, padding: 1}\n  - relu\n")
    assert reason(program) == "it has no maps of several sizes"
