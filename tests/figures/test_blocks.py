"""Figures of folded networks: what they must not do, on thirteen networks; three kept as drawn."""

from __future__ import annotations

from types import ModuleType

import pytest
from checking import faults
from figures import NETWORKS, compare, network
from random_specs import from_seed

from archspec.figures import blocks, levels, module
from archspec.figures.blocks import draw
from archspec.figures.outline import MOST, outline
from archspec.figures.scene import Group, Scene, Text
from archspec.network import loads
from archspec.text.faults import CodedError, SpecError


def words(scene: Scene) -> list[str]:
    return [mark.text for mark in scene.marks() if isinstance(mark, Text)]


def cards(scene: Scene) -> list[Group]:
    return [
        mark for mark in scene.marks() if isinstance(mark, Group) and mark.role in ("card", "glyph")
    ]


@pytest.mark.parametrize("name", NETWORKS)
def test_clean(name: str) -> None:
    program = network(name)
    scene = draw(program)
    assert faults(scene, outline(program)) == []


@pytest.mark.parametrize("name", ["resnet152", "faster_rcnn", "unet"])
def test_as_kept(name: str, update: bool) -> None:
    compare(draw(network(name)), f"blocks_{name}", update)


def test_numbers_only_where_they_change() -> None:
    found = words(draw(network("vgg16")))
    assert found.count("512 · 14²") == 1  # of the pool, not of the three convolutions behind it
    assert found.count("4096") == 1


def test_a_wall_of_branches_fits() -> None:
    """Forty paths side by side, and one behind the other what does not fit beside."""
    paths = ", ".join(f"p{number}: {{conv: {{out: 4, kernel: 1}}}}" for number in range(60))
    text = (
        "spec: 1\nname: wall\ninput: [3, 8, 8]\nbody:\n"
        f"  - branches: {{{paths}}}\n    merge: concat\n  - relu\n"
    )
    program = loads(text)
    scene = draw(program)
    assert faults(scene) == []
    assert len(cards(scene)) <= MOST


def test_names_stay_text() -> None:
    text = (
        "spec: 1\nname: n\ninput: {a_very_long_name_of_an_input_that_goes_on_and_on: [4]}\n"
        "body:\n  - {id: another_name_that_is_much_longer_than_a_card_is_wide, linear: 3}\n"
    )
    scene = draw(loads(text))
    assert faults(scene) == []
    assert any(found.endswith("…") for found in words(scene))


@pytest.mark.parametrize("view", [blocks, levels, module])
def test_random_networks(view: ModuleType) -> None:
    drawn = 0
    for seed in range(80):
        try:
            scene = view.draw(loads(from_seed(seed)))
        except (SpecError, CodedError):  # no network, or none with a block
            continue
        drawn += 1
        assert faults(scene) == [], f"from_seed({seed})"
    assert drawn > 10
