"""What a figure says is so: every layer is on some card, whatever is folded."""

from __future__ import annotations

import re
import time
from contextlib import suppress
from dataclasses import replace

import pytest
from checking import faults
from figures import NETWORKS, network
from random_specs import from_seed
from telling import SCENES, complaints, said, titles

from archspec.figures import (
    RenderError,
    blocks,
    chosen,
    dot,
    figure,
    graph,
    levels,
    module,
    svg,
    tower,
)  # fmt: skip
from archspec.figures.outline import Fold, outline
from archspec.figures.scene import Group, Text
from archspec.network import Program, load, loads
from archspec.text.faults import SpecError

HEAD = "spec: 1\nname: net\ninput: [3, 64, 64]\n"
RES = """\
blocks:
  Res:
    params: {out: required}
    body:
      - residual: [{conv: {out: $out, kernel: 3, padding: 1}}, relu]
body:
  - {conv: {out: 16, kernel: 3, padding: 1}}
  - residual: [{Res: 16, repeat: 4}]
  - max_pool: 2
  - {conv: {out: 32, kernel: 3, padding: 1}}
  - global_avg_pool
  - linear: 10
"""


def check(program: Program, *views: str) -> None:
    for view in views or ("blocks", "levels", "tower"):
        with suppress(RenderError):  # that it does not suit the network
            assert complaints(program, view) == []


@pytest.mark.parametrize("name", NETWORKS)
def test_every_layer_is_on_a_card(name: str) -> None:
    check(network(name))


def test_every_layer_of_some_random_networks_is_on_a_card() -> None:
    seen = 0
    for seed in range(40):
        try:
            program = loads(from_seed(seed))
        except SpecError:
            continue
        check(program)
        seen += 1
    assert seen > 30


ACTS = """\
input: [3, 16, 16]
body:
  - {conv: {out: 4, kernel: 3, padding: 1}}
  - batch_norm
  - id: one
    tanh:
  - residual:
      - batch_norm
      - silu
      - {id: inner, conv: {out: 4, kernel: 3, padding: 1}}
  - {id: aux, tap: train, conv: {out: 2, kernel: 1}}
  - max_pool: 2
  - upsample: 2
outputs: {aux: aux, up: upsample1}
"""


def test_what_is_left_out_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    program = loads("spec: 1\nname: acts\n" + ACTS)
    check(program, *SCENES)
    whole = blocks.draw(program)
    told = [mark for mark in whole.items if isinstance(mark, Group) and mark.role]
    for gone, wrong in (
        (told[1], "its cards name 7 layers, the network has 10"),
        (Text(20, 28, "4 ops"), "a card reads `4 ops`"),
    ):
        items = (
            (*whole.items, gone)
            if isinstance(gone, Text)
            else tuple(mark for mark in whole.items if mark is not gone)
        )
        monkeypatch.setitem(SCENES, "graph", lambda _, items=items: replace(whole, items=items))
        assert wrong in complaints(program, "graph")
    monkeypatch.setattr("archspec.figures.cards.told", lambda part, most=0: [])
    found = complaints(program, "levels")
    assert any("does not say tanh" in said for said in found)
    assert any("in training only, and does not say so" in said for said in found)


@pytest.mark.parametrize("merge", ["add", "concat"])
def test_residuals_in_a_residual(merge: str) -> None:
    text = RES if merge == "add" else RES.replace("4}]\n", "4}]\n    merge: concat\n", 1)
    program = loads(HEAD + text)
    for draw in (tower.draw, blocks.draw, module.draw, graph.draw):
        assert faults(draw(program)) == []
    check(program)


def test_the_published_unet_keeps_its_lowest_level() -> None:
    scene = levels.draw(load("unet", "original"))
    assert "stride 16" in said(scene)
    assert "1024 · 28²" in said(scene)
    assert faults(scene) == []


def test_a_long_chain_is_told_by_its_layers() -> None:
    convs = "".join(
        f"  - {{conv: {{out: {16 + n}, kernel: 3, padding: 1}}}}\n  - relu\n"
        + ("  - max_pool: 2\n" if n % 15 == 14 else "")
        for n in range(60)
    )
    program = loads(HEAD + "body:\n" + convs)
    for draw in (blocks.draw, tower.draw):
        scene = draw(program)
        assert faults(scene) == []
        assert not [text for text in said(scene) if re.search(r"\bops\b", text)]
    assert {str(16 + n) for n in range(60)} <= set(said(tower.draw(program)))
    cards = titles(blocks.draw(program)).values()
    assert not [title for title in cards if "conv 3×3, max pool 2×2" in title]  # one resolution


def test_no_card_reads_so_many_ops() -> None:
    for name in NETWORKS:
        program = network(name)
        for text in said(blocks.draw(program)):
            assert not re.search(r"\d ops\b", text), (name, text)


def test_a_repeat_inside_a_block_is_one_card() -> None:
    scene = module.draw(load("yolov3"), "Stage")
    assert "Residual" in said(scene)
    assert "× 8" in said(scene)


def test_shared_weights_are_said() -> None:
    one, two = (said(blocks.draw(load("siamese"))), said(graph.draw(load("siamese"))))
    assert sum("weights of tower" in text for text in one) == 5
    assert any("= tower.conv1" in text for text in two)
    assert dot.full(load("siamese")).count(" = tower.") == sum(" = tower." in text for text in two)


def test_activations_dilations_and_groups_stand_on_the_cards() -> None:
    def drawn(*activations: str) -> list[str]:
        items = "".join(f"  - {{linear: 8}}\n  - {name}\n" for name in activations)
        return said(blocks.draw(loads("spec: 1\nname: n\ninput: [8]\nbody:\n" + items)))

    assert drawn("relu", "softmax") != drawn("tanh", "tanh")
    assert {"ReLU", "softmax"} <= set(drawn("relu", "softmax"))
    body = (
        "body:\n  - {conv: {out: 6, kernel: 1}}\n  - relu\n"
        "  - {conv: {out: 6, kernel: 3, dilation: 4, groups: 3}}\n  - max_pool: 2\n"
    )
    program = loads(HEAD + body)
    assert "3 groups, dilation 4" in said(blocks.draw(program))
    up = loads(HEAD + body.replace(", groups: 3", "") + "  - upsample: 2\n")
    assert any("dilation 4" in text for text in said(levels.draw(up)))


@pytest.mark.parametrize(
    ("spec", "variant", "title"),
    [("unet", "original", "unet, original"), ("alexnet", "two_groups", "alexnet, two_groups"),
     ("resnet50", "resnet18", "resnet18"), ("unet", None, "unet")],
)  # fmt: skip
def test_a_variant_is_called_by_both_names(spec: str, variant: str | None, title: str) -> None:
    program = load(spec, variant)
    assert title in said(blocks.draw(program))
    own = program.spec.title
    assert (own in svg.write(levels.draw(program) if spec == "unet" else blocks.draw(program))) == (
        spec == "unet" and variant is None
    )


def test_blocks_of_one_kind_have_one_colour() -> None:
    heads = [
        next(p.family for p in outline(network(n)).parts if p.label == "AuxHead")
        for n in ("googlenet", "inception_v3")
    ]
    assert heads == ["conv", "conv"]
    parts = outline(network("transformer")).parts
    assert {p.family for p in parts if p.label.endswith("coderLayer")} == {"attention"}


def test_only_maps_that_grow_or_shrink_are_coloured_lines() -> None:
    scene = levels.draw(network("faster_rcnn"))
    red = {mark.edge for mark in scene.marks() if getattr(mark, "edge", None)
           and mark.stroke.colour == "#a8321c"}  # fmt: skip
    assert red
    assert not [edge for edge in red if "image" in edge and "stem" not in edge[1]
                and "conv1" not in edge[1]]  # fmt: skip


@pytest.mark.parametrize("size", ["[1, 22, 1125]", "[1, 8, 2048]", "[1, 161, 800]"])
def test_sizes_of_wide_low_maps_stand_beside_captions(size: str) -> None:
    text = f"""\
spec: 1
name: wide
input: {size}
body:
  - {{id: a_rather_long_name, conv: {{out: 8, kernel: 3, padding: 1}}}}
  - relu
  - max_pool: 2
  - {{id: another_rather_long_name, conv: {{out: 16, kernel: 3, padding: 1}}}}
  - relu
  - avg_pool: [2, 8]
  - flatten
  - linear: 4
"""
    assert faults(tower.draw(loads(text))) == []


@pytest.mark.parametrize("name", ["dcgan_generator", "autoencoder_conv", "style_transfer"])
def test_decoders_without_skips_are_towers(name: str) -> None:
    assert chosen(load(name)) == "tower"
    assert faults(tower.draw(load(name))) == []


def test_inputs_of_a_block_stand_in_their_order() -> None:
    scene = module.draw(network("faster_rcnn"), "Pyramid")
    at = {mark.text: mark.x for mark in scene.marks() if isinstance(mark, Text)}
    assert at["c2"] < at["c3"] < at["c4"] < at["c5"]


def test_frames_that_go_on_have_their_heading() -> None:
    found = said(graph.draw(load("resnet50")))
    assert "continued" in found
    assert not [text for text in found if text.startswith("Bottle") and text.endswith("…")]


def test_captions_are_no_ranges_of_unlike_names() -> None:
    found = said(tower.draw(load("xception")))
    assert not [text for text in found if "pointwise" in text]
    assert [text for text in found if re.fullmatch(r"and \d+ more", text)]


def test_blocks_deep_in_one_another_are_drawn_in_seconds() -> None:
    """Each in a residual of the one around it; frames that a sheet has no room for are shut."""
    depth = 120
    inner = [f"  A{n}: {{body: [{{residual: [{{A{n + 1}: }}, relu]}}]}}\n" for n in range(depth)]
    last = f"  A{depth}: {{body: [{{conv: {{out: 3, kernel: 1}}}}]}}\n"
    program = loads(f"{HEAD}blocks:\n{''.join(inner)}{last}body: [{{A0: }}]\n")
    start = time.process_time()
    for view in ("blocks", "graph", "html"):
        assert figure(program, view)
    assert time.process_time() - start < 10  # 1 s; Graphviz alone takes 20 s for all frames


ALBERT = """\
spec: 1
name: again
input: [8, 16]
blocks:
  Layer: {body: [{residual: [layer_norm, {linear: 32}, gelu, {linear: 16}]}, {linear: 16}, tanh]}
body:
  - {id: first, Layer: }
  - {id: rest, shared: first, repeat: 3}
  - {id: own, linear: 16}
  - {id: again, shared: own}
"""


def test_weights_that_some_or_copies_share_are_said() -> None:
    assert "weights of first" in said(blocks.draw(loads(ALBERT)))
    some = outline(loads(ALBERT), Fold(2)).parts[-1]
    assert some.composite
    assert some.marks == ("shared weights",)
    apart = outline(loads(ALBERT), Fold(3)).parts
    assert [part.marks for part in apart if part.composite] == [(), ("some weights of first",)]


def test_a_block_of_what_is_a_sequence_or_a_map_is_a_tower() -> None:
    """What enters a copy is of two axes, and is read as a sequence first."""
    text = """\
spec: 1
name: either
input: [4, 16]
body:
  - {conv: {out: 4, kernel: 3, padding: 1}}
  - id: stage
    repeat: 3
    body:
      - residual: [{layer_norm: {axis: -1}}, {conv: {out: 4, kernel: 1}}, relu]
      - prelu
  - max_pool: 2
  - flatten
  - linear: 3
"""
    check(loads(text), *SCENES)
    assert "stage" in said(tower.draw(loads(text)))
