"""Nothing is lost in folding: every node is in one part, every edge in a part or in a link."""

from __future__ import annotations

import pytest
from figures import NETWORKS, network
from hypothesis import HealthCheck, given, reject, settings
from random_specs import specs

from archspec.figures.outline import MOST, Fold, Outline, Part, outline
from archspec.network import Program, load, loads
from archspec.text.faults import SpecError


def check(program: Program, shown: Outline) -> None:
    """What holds for the outline of a whole network."""
    graph = program.graph
    owner: dict[int, str] = {}
    for part in shown.parts:
        assert list(part.nodes) == sorted(part.nodes)
        for node in part.nodes:
            assert node not in owner
            owner[node] = part.key
    assert sorted(owner) == list(range(len(graph.steps)))
    wanted = {
        (edge.node, node.index)
        for node in graph.steps
        for edge in node.inputs
        if owner[edge.node] != owner[node.index]
    }
    linked = {edge for link in shown.links for edge in link.edges if edge[1] >= 0}
    assert linked == wanted
    for link in shown.links:
        for a, b in link.edges:
            assert owner[a] == link.source
            assert b < 0 or owner[b] == link.target
    check_order(shown)


def check_order(shown: Outline) -> None:
    """Links go forwards, each pair is linked once, and a skip goes beside a longer way."""
    keys = [part.key for part in shown.parts]
    assert len(set(keys)) == len(keys)
    place = {key: number for number, key in enumerate(keys)}
    pairs = [(link.source, link.target) for link in shown.links]
    assert len(set(pairs)) == len(pairs)
    assert all(place[a] < place[b] for a, b in pairs)
    for link in shown.links:
        assert link.skip == longer_way(shown, link.source, link.target)


def longer_way(shown: Outline, source: str, target: str) -> bool:
    seen: set[str] = set()
    stack = [link.target for link in shown.targets[source] if link.target != target]
    while stack:
        key = stack.pop()
        if key == target:
            return True
        if key not in seen:
            seen.add(key)
            stack += [link.target for link in shown.targets[key]]
    return False


def check_insides(program: Program, shown: Outline, depth: int = 0) -> None:
    """What is opened holds one copy, and all that enters it."""
    nodes = program.graph.steps
    for part in shown.parts:
        inside = shown.inside(part.key)
        if inside is None:
            assert not part.opens
            continue
        check_order(inside)
        held = {node for one in inside.parts for node in one.nodes}
        assert held <= set(part.nodes)
        assert len(held) * part.copies >= len(part.nodes) or part.kind in ("block", "group")
        into = {(edge.node, index) for index in held for edge in nodes[index].inputs}
        own = [set(one.nodes) for one in inside.parts]
        hidden = {(a, b) for a, b in into if any(a in group and b in group for group in own)}
        linked = {edge for link in inside.links for edge in link.edges if edge[1] >= 0}
        assert linked == into - hidden
        if depth < 3:
            check_insides(program, inside, depth + 1)


@pytest.mark.parametrize("name", NETWORKS)
def test_nothing_is_lost(name: str) -> None:
    program = network(name)
    shown = outline(program)
    assert len([part for part in shown.parts if part.kind != "output"]) <= MOST
    check(program, shown)
    check_insides(program, shown)


@pytest.mark.parametrize("name", NETWORKS)
def test_nothing_is_lost_however_it_is_asked_for(name: str) -> None:
    program = network(name)
    for most in (1, 7, 1000):
        for runs, full, scales in ((True, False, False), (False, True, False), (True, False, True)):
            shown = outline(program, Fold(most, runs=runs, full=full, scales=scales))
            assert len([part for part in shown.parts if part.kind != "output"]) <= most
            check(program, shown)


def test_random_networks() -> None:
    drawn = 0

    @settings(
        max_examples=150,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(specs())
    def holds(text: str) -> None:
        nonlocal drawn
        try:
            program = loads(text)
        except SpecError:
            reject()
        drawn += 1
        for most in (2, 9, MOST):
            shown = outline(program, Fold(most))
            assert len([part for part in shown.parts if part.kind != "output"]) <= most
            check(program, shown)
            check_insides(program, shown)

    holds()
    assert drawn > 100


def test_each_layer_reads_all_before_it() -> None:
    """No repeat and no block says what belongs together; neighbours share a card."""
    body = ["  - {id: l0, conv: {out: 4, kernel: 3, padding: half}}"]
    for number in range(1, 60):
        sources = ", ".join(f"l{earlier}" for earlier in range(number))
        body.append(f"  - {{id: c{number}, concat: [{sources}]}}" if number > 1 else "  - relu")
        body.append(f"  - {{id: l{number}, conv: {{out: 4, kernel: 3, padding: half}}}}")
    text = "spec: 1\nname: dense\ninput: [3, 16, 16]\nbody:\n" + "\n".join(body) + "\n"
    program = loads(text)
    shown = outline(program)
    assert len(shown.parts) <= MOST
    check(program, shown)
    assert sum(link.skip for link in shown.links) > 100


# ---------------------------------------------------------------------- what is said


def said(name: str) -> list[str]:
    return [line(part) for part in outline(network(name)).parts]


def line(part: Part) -> str:
    return ", ".join(
        [part.label + (f" × {part.copies}" if part.copies > 1 else ""), *part.varies]
        + ([part.name] if part.name else [])
    )


def test_a_repeat_is_one_card() -> None:
    assert said("resnet152") == [
        "input",
        "conv 7×7 /2, conv1",
        "max pool 3×3 /2",
        "Bottleneck × 3, layer1",
        "Bottleneck × 8, layer2",
        "Bottleneck × 36, layer3",
        "Bottleneck × 3, layer4",
        "global avg pool",
        "linear, fc",
    ]


def test_what_varies_is_a_range() -> None:
    cards = said("densenet200")
    assert "DenseLayer × 48, C 256…1792 step 32, denseblock3" in cards
    assert "DenseLayer × 6, C 64…256 step 32, denseblock1" in cards


def test_equal_ops_in_a_row_are_one_card() -> None:
    cards = said("vgg16")
    assert cards[1:4] == ["conv 3×3 × 2", "max pool 2×2", "conv 3×3 × 2"]
    assert cards[-3:] == ["linear", "linear", "linear"]


def test_norm_and_activation_share_the_card() -> None:
    part = outline(network("resnet152")).parts[1]
    assert part.kind == "fused"
    assert part.notes == ("batch norm", "ReLU")
    assert part.key == "conv1…relu1"
    linear = outline(network("vgg16")).parts[-3]
    assert (linear.ahead, linear.notes) == (("flatten",), ("ReLU", "dropout"))


def test_copies_that_others_read_stand_apart() -> None:
    """YOLO v3 goes on from three of its five stages."""
    shown = outline(network("yolov3"))
    stages = [part for part in shown.parts if part.key.startswith("stages.")]
    assert len(stages) == 5
    assert {link.source for link in shown.links if link.skip} >= {"stages.2", "stages.3"}


def test_skips_of_a_unet() -> None:
    shown = outline(network("unet"))
    skips = [link for link in shown.links if link.skip]
    assert len(skips) == 4
    assert all(shown.by_key[link.target].op == "concat" for link in skips)


def test_open_by_key() -> None:
    program = network("resnet152")
    repeat = outline(program, Fold(open=frozenset({"layer1"})))
    assert [part.key for part in repeat.parts if part.kind == "block"] == [
        "layer1.0", "layer1.1", "layer1.2", "layer2", "layer3", "layer4",
    ]  # fmt: skip
    block = outline(program, Fold(open=frozenset({"layer1.1"})))
    assert "layer1.1.residual1…layer1.1.relu3" in block.by_key
    assert block.by_key["layer1.0"].kind == "block"
    for shown in (repeat, block):
        check(program, shown)


def test_a_typical_copy_is_opened() -> None:
    """The first Bottleneck of a stage projects its shortcut; most do not."""
    shown = outline(network("resnet152"))
    inside = shown.inside("layer3")
    assert inside is not None
    assert [part.label for part in inside.parts] == [
        "input", "conv 1×1", "conv 3×3", "conv 1×1", "add",
    ]  # fmt: skip
    assert [link.target for link in inside.links if link.skip] == [inside.parts[-1].key]
    assert inside.parts[0].key == "layer3.35←layer3.34.relu3"


def test_sizes_only() -> None:
    """A pyramid's upsampling takes only the size of the finer map."""
    program = network("faster_rcnn")
    shown = outline(program, Fold(scales=True))
    sized = [link for link in shown.links if link.size]
    assert [shown.by_key[link.target].op for link in sized] == ["upsample"] * 3


def test_parallel_copies_read_alike_are_one_card() -> None:
    parts = {part.label: part for part in outline(network("faster_rcnn")).parts}
    assert parts["Proposals"].copies == 5


def test_copies_that_read_maps_of_several_sizes_stand_apart() -> None:
    """RetinaNet's heads: one for each level of the pyramid, whose rows are no maps any more."""
    parts = outline(load("retinanet"), Fold(scales=True)).parts
    assert [part.name for part in parts if part.label == "BoxHead"] == [
        "regression_head", "boxes4", "boxes5", "boxes6", "boxes7",
    ]  # fmt: skip


def test_copies_of_an_op_have_its_label() -> None:
    (masks,) = (part for part in outline(load("unet_plus_plus")).parts if part.copies == 4)
    assert masks.label == "conv 1×1"


def test_no_such_part() -> None:
    with pytest.raises(KeyError):
        outline(network("vgg16")).inside("nowhere")


def test_a_chain_that_is_opened_in_many_places_is_folded_all_the_same() -> None:
    """More runs between what is open than cards are asked for."""
    items = "".join(
        f"  - {{conv: {{out: {4 + k}, kernel: 1}}}}\n  - {{id: g{k}, body: [{{max_pool: 1}}]}}\n"
        for k in range(8)
    )
    program = loads("spec: 1\nname: n\ninput: [3, 8, 8]\nbody:\n" + items)
    opened = frozenset(f"g{k}.max_pool1" for k in range(8)) | {f"g{k}" for k in range(8)}
    shown = outline(program, Fold(2, open=opened))
    assert sum(len(part.nodes) for part in shown.parts) == 17
