"""From text to tree and graph: what each rule of the language comes to."""

from __future__ import annotations

import gc
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

import archspec
from archspec import language
from archspec.expand import elaborate
from archspec.expand.graph import Graph, Node
from archspec.limits import Limits
from archspec.network import Program, load, loads
from archspec.text import source
from archspec.text.faults import SpecError


def program(text: str, **outside: Any) -> Program:
    """The program of a body, or of a document that starts with its `input`."""
    if "input:" not in text:
        text = f"input: [3, 8, 8]\n{text}"
    return loads(f"spec: 1\nname: net\n{text}", name="net.yaml", **outside)


def graph(text: str, **outside: Any) -> Graph:
    return program(text, **outside).graph


def paths(found: Graph) -> list[str]:
    return [node.path for node in found.steps if node.layer is not None]


def shapes(found: Graph) -> dict[str, tuple[int, ...]]:
    return {node.path: node.outs[0].shape for node in found.steps}


def node(found: Graph, path: str) -> Node:
    return next(n for n in found.steps if n.path == path)


def inputs(found: Graph, path: str) -> list[str]:
    return [found.steps[edge.node].path for edge in node(found, path).inputs]


def complaints(text: str, **outside: Any) -> list[tuple[str, str]]:
    """Code and place of every fault."""
    with pytest.raises(SpecError) as caught:
        program(text, **outside)
    sources = caught.value.sources
    return [
        (f.code, sources[f.loc.file].position(f.loc).split(":", 1)[1]) for f in caught.value.faults
    ]


def complaint(text: str, **outside: Any) -> str:
    with pytest.raises(SpecError) as caught:
        program(text, **outside)
    assert len(caught.value.faults) == 1, str(caught.value)
    return str(caught.value)


# ---------------------------------------------------------------- names


def test_unnamed_items_count_from_one_in_one_series() -> None:
    found = graph("""
body:
  - conv: {out: 4, kernel: 1}
  - body: [relu, {conv: {out: 4, kernel: 1}}]
  - repeat: 2
    body: [relu]
  - residual: [{conv: {out: 4, kernel: 1}}]
""")
    assert paths(found) == ["conv1", "relu1", "conv2", "relu2", "relu3", "conv3", "residual1"]


def test_a_sequential_numbers_its_items_and_what_is_in_transparent_ones() -> None:
    found = graph("""
body:
  - id: features
    sequential:
      - repeat: 2
        body: [{conv: {out: 4, kernel: 1}}, {relu: , when: $(not loop.first)}]
      - residual: [relu]
      - sequential: [relu, tanh]
      - branches: {a: relu, b: [relu, tanh]}
        merge: add
""")
    assert paths(found) == [
        "features.0", "features.1", "features.2",
        "features.3.relu1", "features.3",
        "features.4.0", "features.4.1",
        "features.5.a", "features.5.b.relu1", "features.5.b.tanh1", "features.5",
    ]  # fmt: skip


def test_copies_under_an_id_are_numbered_unless_the_id_tells_them_apart() -> None:
    found = graph("""
body:
  - repeat: {s: [1, 2]}
    body:
      - {id: layer$s, repeat: 2, conv: {out: 3, kernel: 1}}
  - {id: dense$(loop.index + 1), repeat: 2, relu: }
  - {tanh: , repeat: 2}
""")
    assert paths(found) == [
        "layer1.0", "layer1.1", "layer2.0", "layer2.1", "dense1", "dense2", "tanh1", "tanh2",
    ]  # fmt: skip


def test_absent_copies_are_not_counted() -> None:
    found = graph("body: [{id: s, repeat: 4, relu: , when: $(loop.index % 2 == 1)}]")
    assert paths(found) == ["s.0", "s.1"]
    occurrence = found.root.body.items[0]
    assert [copy is not None for copy in occurrence.copies] == [False, True, False, True]


def test_items_under_opposite_conditions_may_share_an_id() -> None:
    text = """
params: {deep: true}
input: [3, 8, 8]
body:
  - {id: part, relu: , when: $(not deep), repeat: 2}
  - {id: part, tanh: , when: $deep, repeat: 2}
  - {id: last, sigmoid: , from: part}
"""
    assert paths(graph(text)) == ["part.0", "part.1", "last"]
    assert inputs(graph(text), "last") == ["part.1"]
    assert inputs(graph(text, deep=False), "last") == ["part.1"]


@pytest.mark.parametrize(
    "text",
    [
        "body: [{id: a, relu: }, {id: a, tanh: }]",
        "body: [{id: relu1, tanh: }, relu]",
        "body:\n  - repeat: 2\n    body: [{id: a, relu: }]",
        "body: [{id: x, relu: }]\ninput: {x: [3]}",
        "body:\n  - branches: {a: relu, b: [relu, tanh]}\n    merge: add\n  - {id: b, relu: }",
    ],
)
def test_equal_paths_are_a_fault(text: str) -> None:
    assert complaint(text).startswith("E314")


# ---------------------------------------------------------------- wiring


def test_paths_lead_into_groups_copies_branches_and_outputs() -> None:
    found = graph("""
input: [4, 8, 8]
blocks:
  Two:
    body: [{id: a, relu: }, {id: b, tanh: }]
    outputs: {first: a, both: [a, b]}
body:
  - id: stages
    repeat: 2
    body: [{id: pool, max_pool: 2}, {id: act, relu: }]
  - {id: half, split: 2}
  - {id: two, from: stages.0.pool, Two: }
  - branches: {left: [{id: act, relu: }, tanh], right: tanh}
    merge: concat
    from: half.1
  - {id: end, add: [half.0, half.1]}
outputs:
  a: stages.0
  b: two.both.1
  c: left.act
  d: right
  e: two.first
  f: branches1
  g: [end, two.both.0]
""")
    outputs = {k: [found.steps[e.node].path for e in v] for k, v in found.outputs.items()}
    assert outputs == {
        "a": ["stages.0.act"], "b": ["two.b"], "c": ["left.act"], "d": ["right"], "e": ["two.a"],
        "f": ["branches1"], "g": ["end", "two.a"],
    }  # fmt: skip
    assert [e.output for e in node(found, "end").inputs] == [0, 1]


def test_sight_is_outward_to_the_edge_of_the_block() -> None:
    text = """
blocks:
  Inner:
    body: [{add: [prev, outer]}]
body:
  - {id: outer, relu: }
  - id: group
    body: [{id: one, tanh: }, {add: [one, outer, input]}]
  - Inner
"""
    assert "there is no item `outer`" in complaint(text)
    assert inputs(graph(text.replace("  - Inner\n", "")), "group.add1") == [
        "group.one",
        "outer",
        "input",
    ]


def test_inputs_by_name_position_and_omission() -> None:
    found = graph("""
input: {x: [5, 8], m: {shape: [5], dtype: bool}}
body:
  - {id: a, attention: 2, from: {query: x, key_padding_mask: m}}
  - {id: b, attention: 2}
  - {id: c, attention: 2, from: [a, b, b]}
""")
    layer_ins = node(found, "a").ins
    assert [t and t.dtype for t in layer_ins] == ["float", None, None, None, "bool"]
    assert inputs(found, "a") == ["x", "m"]
    assert inputs(found, "c") == ["a", "b", "b"]


def test_of_several_outputs_only_one_called_output_flows() -> None:
    assert paths(graph("input: [5, 8]\nbody: [{lstm: 4}, {linear: 2}]")) == ["lstm1", "linear1"]
    assert complaint("input: [4]\nbody: [{id: s, split: 2}, relu]").startswith("E313")


def test_an_absent_item_passes_its_first_input_on() -> None:
    found = graph("""
body:
  - {id: a, relu: }
  - {id: b, tanh: , when: false, from: input}
  - {id: c, add: [a, b]}
  - {id: none, relu: , repeat: 0, from: a}
  - {id: d, add: [none, c]}
""")
    assert inputs(found, "c") == ["a", "input"]
    assert inputs(found, "d") == ["a", "c"]
    body = found.root.body.items
    assert body[1].out is found.root.inputs["input"]
    assert body[3].copies == ()


def test_prev_of_a_copy_is_the_copy_before() -> None:
    found = graph("""
body:
  - {id: start, conv: {out: 4, kernel: 1}}
  - {id: c, repeat: 3, from: [prev, start], concat: }
  - {id: w, repeat: 2, conv: {out: $(2 * prev.channels), kernel: 1}}
""")
    assert inputs(found, "c.1") == ["c.0", "start"]
    assert shapes(found)["w.1"] == (64, 8, 8)


def test_parameters_and_taps_stand_off_the_line() -> None:
    found = graph("""
body:
  - {id: a, relu: }
  - {id: p, parameter: [3, 1, 1]}
  - {id: t, tap: always, tanh: }
  - {id: b, mul: [prev, p]}
outputs: {out: b, t: t}
""")
    assert inputs(found, "b") == ["a", "p"]
    assert inputs(found, "t") == ["a"]


# ---------------------------------------------------------------- residual, branches


def test_a_residual_merges_with_its_shortcut() -> None:
    found = graph("""
body:
  - residual: [{conv: {out: 3, kernel: 1}}]
  - residual: [{conv: {out: 4, kernel: 1}}]
    shortcut: [{id: down, conv: {out: 4, kernel: 1}}, {relu: , when: false}]
  - residual: [relu]
    merge: concat
  - residual: [tanh]
    shortcut_when: $(prev.channels == 3)
""")
    assert inputs(found, "residual1") == ["conv1", "input"]
    assert inputs(found, "residual2") == ["conv2", "down"]
    assert inputs(found, "residual3") == ["residual2", "relu1"], "concat puts the shortcut first"
    last = found.root.body.items[3].copies[0]
    assert last is not None
    assert last.plain
    assert last.layer is None
    assert found.outputs["output"][0].node == node(found, "tanh1").index


def test_the_shapes_that_disagree_are_shown_with_their_paths() -> None:
    text = """
blocks:
  Unit:
    params: {out: required, stride: 1}
    body:
      - residual: [{conv: {out: $out, kernel: 3, stride: $stride, padding: 1}}, batch_norm]
body:
  - id: stages
    repeat: {n: [2, 3], out: [3, 6]}
    body:
      - {Unit: {out: $out, stride: $(2 if loop.first and out > 3 else 1)}, repeat: $n}
"""
    shown = complaint(text)
    assert shown.startswith("E203 ")
    assert "  --> net.yaml:9:9   Unit.residual\n" in shown
    assert "  main      [6, 4, 4]   stages.1.unit1.batch_norm1\n" in shown
    assert "  shortcut  [3, 8, 8]   stages.1.unit1.input   (identity)\n" in shown
    assert "  expanded from net.yaml:11:5   stages, copy 2 of 2\n" in shown
    assert "Unit, copy 1 of 3, out = 6, stride = 2\n" in shown
    assert "shortcut: [{conv: {out: 6, kernel: 1, stride: 2}}]" in shown


def test_merges_follow_one_rule() -> None:
    good = "input: {a: [4, 8, 8], b: [4, 1, 1]}\nbody: [{mul: [a, b]}]"
    assert shapes(graph(good))["mul1"] == (4, 8, 8)
    assert complaint(good.replace("[4, 1, 1]", "[8]")).startswith("E203")
    assert complaint(good.replace("[4, 1, 1]", "[4, 2, 8]")).startswith("E203")


# ---------------------------------------------------------------- repeats, expressions


def test_columns_and_loop() -> None:
    found = graph("""
params: {base: 4}
input: [3, 8, 8]
body:
  - repeat: {n: [1, 2], c: [1, 2]}
    body:
      - conv: {out: $(c * base + loop.serial), kernel: 1}
        repeat: $n
      - {drop_path: $(0.3 * loop.index / loop.total)}
""")
    assert [n.outs[0].shape[0] for n in found.steps if n.layer and n.layer.op == "conv"] == [
        4,
        9,
        10,
    ]
    drops = [n.layer.p for n in found.steps if n.layer and n.layer.op == "drop_path"]  # type: ignore[attr-defined]
    assert drops == [0.0, 0.15]
    copies = found.root.body.items[0].copies
    assert copies[1] is not None
    assert {k: v for k, v in copies[1].env.items() if k != "loop"} == {"base": 4, "n": 2, "c": 2}


def test_uneven_columns_are_named() -> None:
    shown = complaint(
        "params: {a: [1, 2], b: [1]}\nbody: [{conv: {out: $x, kernel: $y}, repeat: {x: $a, y: $b}}]"
    )
    assert "differ in length: `x` 2, `y` 1" in shown


def test_the_same_fault_in_many_copies_is_one() -> None:
    text = """
blocks:
  Bad:
    body: [{conv: {out: 4, kernel: 20}}]
body:
  - {Bad: , repeat: 3}
  - Bad
"""
    assert complaint(text).startswith("E304")


def test_independent_faults_come_together_and_dependent_ones_never() -> None:
    found = complaints("""
body:
  - conv: {out: 8, kernel: 9}
  - linear: 10
  - {id: x, from: nowhere, conv: {out: 8, kernel: $(prev.width)}}
  - add: [prev, input]
  - {from: input, conv: {out: $(1 // 0), kernel: 3}}
  - {from: input, linear: 10}
""")
    assert [code for code, _ in found] == ["E304", "E312", "E361", "E306"]


def test_one_cause_is_one_complaint() -> None:
    lost = "body: [{id: a, relu: }, {add: [prev, b]}, {add: [prev, b.x]}]\noutputs: {o: add2, p: b}"
    assert complaint(lost).startswith("E312")
    words = "params: {k: big}\nbody: [{relu: , when: $(k > 1)}, tanh, {relu: , when: $(k > 1)}]"
    assert complaint(words).startswith("E361")
    equal = """
body:
  - repeat: {b: [1, 1]}
    body: [{id: x$b, relu: }, {id: y$b, tanh: }]
"""
    assert complaint(equal).startswith("E314")


def test_faults_inside_a_block_that_a_fault_precedes_are_found() -> None:
    found = complaints("""
blocks:
  B:
    body: [{from: nowhere, relu: }, {conv: {out: $(prev.channels), kernel: 3}}]
body:
  - conv: {out: 8, kernel: 9}
  - {B: , when: $(prev.channels == 8)}
  - B
""")
    assert [code for code, _ in found] == ["E312", "E304"]


# ---------------------------------------------------------------- blocks


def test_equal_calls_share_one_instance() -> None:
    found = load("resnet50", "resnet152").graph
    called = []
    for occurrence in found.root.body.items:
        for copy in occurrence.copies:
            for inner in copy.body.items if copy is not None and copy.body is not None else ():
                called += [c.instance for c in inner.copies if c is not None]
    assert len(called) == 50
    assert len({id(instance) for instance in called}) == 8


def test_params_see_those_above_and_the_inputs() -> None:
    found = graph("""
blocks:
  B:
    params: {width: $(input.channels), out: $(4 * width)}
    body: [{conv: {out: $out, kernel: 1}}]
body: [B, {B: {width: 2}}, {B: {width: 1, out: 5}}]
""")
    assert [n.outs[0].shape[0] for n in found.steps[1:]] == [12, 8, 5]
    copy = found.root.body.items[1].copies[0]
    assert copy is not None
    assert copy.args == {"width": 2, "out": 8}


def test_recursion_ends_or_is_refused() -> None:
    text = """
blocks:
  Down:
    params: {depth: required}
    body:
      - relu
      - {Down: $(depth - 1), when: $(depth > 0)}
body: [{Down: 150}]
"""
    limit = sys.getrecursionlimit()
    assert len(graph(text).steps) == 152
    assert sys.getrecursionlimit() == limit
    assert complaint(text.replace("150", "250")).startswith("E407")
    assert complaint(text.replace("depth - 1", "depth")).startswith("E407")


def test_a_block_with_several_inputs() -> None:
    text = """
input: {a: [3, 8, 8], b: [4, 8, 8]}
blocks:
  Join:
    inputs: [x, skip]
    body: [{concat: [skip, x]}, {conv: {out: $(x.channels), kernel: 1}}]
body:
  - {id: one, Join: , from: [a, b]}
  - {id: two, Join: , from: {skip: a, x: b}}
outputs: {one: one, two: two}
"""
    assert shapes(graph(text))["one.conv1"] == (3, 8, 8)
    assert shapes(graph(text))["two.conv1"] == (4, 8, 8)
    assert complaint(text.replace("from: [a, b]", "from: a")).startswith("E311")


# ---------------------------------------------------------------- shared


def test_shared_runs_again_with_the_same_weights() -> None:
    found = graph("""
input: {a: [3, 9], b: [3, 9]}
blocks:
  Tower:
    body: [{id: c, conv: {out: 4, kernel: 3}}, relu]
body:
  - {id: one, Tower: , from: a}
  - {id: two, shared: one, from: b}
  - {id: g, body: [{id: d, conv: {out: 4, kernel: 3}}, {add: [prev, d]}]}
  - {id: h, shared: g, from: two}
  - {id: i, shared: h, from: one}
  - {id: end, concat: [g, h, i]}
""")
    assert paths(found)[2:4] == ["two.c", "two.relu1"]
    by_path = {n.path: n for n in found.steps}
    assert by_path["two.c"].shared == by_path["one.c"].index
    assert by_path["h.d"].shared == by_path["g.d"].index
    assert by_path["i.d"].shared == by_path["g.d"].index
    assert inputs(found, "h.d") == ["two.relu1"]
    assert inputs(found, "i.add1") == ["i.d", "i.d"]


def test_sharing_needs_the_same_weights() -> None:
    text = "body: [{id: a, conv: {out: 8, kernel: 1}}, {id: b, shared: a}]"
    shown = complaint(text)
    assert shown.startswith("E316")
    assert "weight  [8, 3, 1, 1] there, [8, 8, 1, 1] here" in shown
    assert complaint("body: [{id: a, repeat: 2, relu: }, {shared: a}]").startswith("E316")


def test_sharing_needs_the_same_layers() -> None:
    shown = complaint("""
body:
  - id: a
    body: [{id: c, conv: {out: 3, kernel: 3}}, {when: $(prev.height > 5), relu: }]
  - {id: b, shared: a}
""")
    assert shown.startswith("E316")
    assert "relu1  relu there, none here" in shown
    shown = complaint("""
blocks: {A: {body: [{conv: {out: 3, kernel: 3}}, {adaptive_avg_pool: $(prev.height - 1)}]}}
body: [{id: a, A: }, {id: b, shared: a}]
""")
    assert shown.startswith("E316")
    assert "adaptive_avg_pool1  size: 5 there, 2 here" in shown


def test_shared_counts_copies_as_its_owner_did() -> None:
    found = graph("""
body:
  - id: tower
    sequential:
      - branches:
          path:
            - repeat: {c: [8, 8]}
              body: [{residual: [tanh], when: $(loop.serial > 0)}]
        merge: concat
      - {conv: {out: 3, kernel: 1}, repeat: 2, when: $(loop.serial == 0)}
  - {id: again, shared: tower}
""")
    half = len(paths(found)) // 2
    assert [p.replace("tower", "again") for p in paths(found)[:half]] == paths(found)[half:]
    by_path = {n.path: n for n in found.steps}
    for path in paths(found)[half:]:
        owner = by_path[path].shared
        assert owner is not None
        assert found.steps[owner].path == path.replace("again", "tower")


# ---------------------------------------------------------------- head

_HEADED = """
params: {aux: false, n: 2}
variants: {short: {n: 1}}
input: [4, 8, 8]
blocks: {Aux: {body: [flatten, {id: fc, linear: 2}]}}
body:
  - {id: features, sequential: [relu, {conv: {out: 4, kernel: 1}}]}
  - {id: layers, repeat: $n, body: [relu, {id: last, tanh: }]}
  - {id: aux1, tap: always, when: $aux, Aux: }
  - id: m$i
    repeat: {i: [1, 2]}
    branches: {p: relu, q: [relu, tanh], r: [{id: deep, relu: }]}
    merge: add
  - {id: fc, linear: 2, from: features, when: false}
  - {id: end, relu: , from: m2}
outputs: {end: end}
"""


@pytest.mark.parametrize(
    "head",
    ["end", "features", "features.1", "layers.0", "layers.1.last", "aux1", "aux1.fc", "fc",
     "m1.p", "m2.q.tanh1", "m2.r.deep", "[end, aux1.fc]"],
)  # fmt: skip
def test_head_names_what_is_there(head: str) -> None:
    assert program(f"{_HEADED}head: {head}").spec.head
    assert program(f"{_HEADED}head: {head}", variant="short").spec.head


@pytest.mark.parametrize(
    ("head", "help"),
    [("ends", "did you mean `end`?"), ("features.2", "known: `0`, `1`"), ("m3", "known: "),
     ("aux1.fd", "known: `fc`"), ("end.1", "name `end` itself"), ("m2.deep", "known: ")],
)  # fmt: skip
def test_head_names_nothing(head: str, help: str) -> None:
    shown = complaint(f"{_HEADED}head: [{head}]")
    assert shown.startswith("E318")
    assert f"help: {help}" in shown
    line = _HEADED.count("\n") + 3
    assert complaints(f"{_HEADED}head: [{head}]") == [("E318", f"{line}:8")]


def test_a_copy_that_is_not_there_in_a_variant_may_be_the_head() -> None:
    assert program(f"{_HEADED}head: layers.1", variant="short").spec.head
    assert complaints(f"{_HEADED}head: layers.2")[0][0] == "E318"


def test_a_head_beside_another_fault() -> None:
    found = complaints("body: [{conv: {out: 3, kernel: 9}}, {id: fc, linear: 2}]\nhead: fd")
    assert [code for code, _ in found] == ["E304", "E318"]
    found = complaints("body: [{conv: {out: 3, kernel: 9}}, {id: fc, linear: 2}]\nhead: fc")
    assert [code for code, _ in found] == ["E304"]


# ---------------------------------------------------------------- outputs, taps


def test_what_no_output_needs_is_a_fault() -> None:
    found = complaints("""
body:
  - {id: lost, conv: {out: 4, kernel: 1}}
  - {id: lost2, relu: }
  - {id: t, from: input, tap: train, relu: }
  - {id: end, from: input, tanh: }
""")
    assert found == [("E315", "7:5")]  # `t` is named beside it


def test_taps_for_training() -> None:
    text = """
params: {aux: true}
input: [3, 8, 8]
blocks:
  Head:
    body: [global_avg_pool, {id: fc, linear: 2}]
body:
  - {id: a, conv: {out: 4, kernel: 1}}
  - {id: t, tap: train, when: $aux, Head: }
  - {id: b, relu: }
outputs: {main: b, t: t}
"""
    found = graph(text)
    assert found.training_outputs == {"t"}
    assert [n.path for n in found.steps if n.training] == ["t.global_avg_pool1", "t.fc"]
    assert list(graph(text, aux=False).outputs) == ["main"]
    assert complaint(text.replace("{id: b, relu: }", "{id: b, add: [t, t]}")).startswith("E317")


def test_taps_inside_a_block_are_training_only_outside_too() -> None:
    text = """
blocks:
  B:
    body: [{id: t, tap: train, tanh: }, {id: o, relu: }]
    outputs: {output: o, aux: t}
body: [{id: b, B: }, {id: c, sigmoid: }]
outputs: {main: c, aux: b.aux}
"""
    found = graph(text)
    assert found.training_outputs == {"aux"}
    assert inputs(found, "c") == ["b.o"]


# ---------------------------------------------------------------- used files


def used(folder: Path, text: str) -> Program:
    (folder / "back.yaml").write_text(
        """spec: 1
name: back
params: {aux: true, width: 4}
variants: {wide: {width: 8}}
input: [3, 16, 16]
init: {conv: {normal: 0.1}}
body:
  - {id: c1, conv: {out: $width, kernel: 3, stride: 2, padding: 1}}
  - {id: t, tap: train, when: $aux, tanh: }
  - {id: c2, conv: {out: 8, kernel: 3, stride: 2, padding: 1}}
  - global_avg_pool
  - {id: fc, linear: 10}
outputs: {logits: fc, aux: t}
""",
        encoding="utf-8",
    )
    path = folder / "net.yaml"
    path.write_text(f"spec: 1\nname: net\n{text}", encoding="utf-8")
    return load(path)


def test_a_used_file_is_a_block_whose_taps_do_not_count(tmp_path: Path) -> None:
    found = used(
        tmp_path,
        """
input: [3, 32, 32]
use: {Back: {file: back.yaml, variant: wide}}
body: [{id: b, Back: }, relu]
""",
    )
    assert paths(found.graph) == ["b.c1", "b.c2", "b.global_avg_pool1", "b.fc", "relu1"]
    assert shapes(found.graph)["b.c1"] == (8, 16, 16)
    assert found.graph.warnings == ()
    assert not found.graph.training_outputs


def test_what_an_item_says_wrong_of_its_weights_is_said_together() -> None:
    text = """
params: {f: 3, s: -1}
input: [3, 8, 8]
body: [{id: a, conv: {out: 4, kernel: 1}, freeze: $f, init: {weight: {normal: $(s // 0)}}}]
"""
    assert len(complaints(text)) == 2


def test_outputs_of_a_used_file_cut_it(tmp_path: Path) -> None:
    found = used(
        tmp_path,
        """
input: [3, 32, 32]
use: {Back: {file: back.yaml, outputs: {mid: c1, tap: t}}}
init: {conv: {normal: 0.5}}
body: [{id: b, Back: {aux: true}}, {id: end, from: b.mid, conv: {out: 2, kernel: 1}}]
outputs: {end: end, tap: b.tap}
""",
    )
    assert paths(found.graph) == ["b.c1", "b.t", "end"]
    assert found.graph.warnings == ()
    fillers = {
        n.path: (n.init or {})["weight"].args
        for n in found.graph.steps
        if n.layer and n.layer.op == "conv"
    }
    assert fillers == {"b.c1": {"std": 0.1}, "end": {"std": 0.5}}


def test_a_used_file_wants_inputs_like_its_own(tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        used(tmp_path, "input: [3]\nuse: {Back: back.yaml}\nbody: [Back]\n")
    assert [f.code for f in caught.value.faults] == ["E311"]


# ---------------------------------------------------------------- modifiers


def test_freeze_and_init_are_inherited() -> None:
    found = graph("""
init: {conv: {normal: 0.1}, linear: {weight: zeros, bias: ones}}
input: [3, 8, 8]
body:
  - id: a
    freeze: true
    init: {conv: {weight: {normal: 0.2}, bias: zeros}}
    body:
      - {id: x, conv: {out: 3, kernel: 1}}
      - {id: y, freeze: false, init: {normal: $(1 / prev.channels)}, conv: {out: 3, kernel: 1}}
  - {id: b, conv: {out: 3, kernel: 1}}
  - relu
""")
    init = {
        n.path: {k: (f.name, dict(f.args)) for k, f in (n.init or {}).items()}
        for n in found.steps
        if n.layer
    }
    assert init["a.x"] == {"weight": ("normal", {"std": 0.2}), "bias": ("zeros", {})}
    assert init["a.y"] == {"weight": ("normal", {"std": 1 / 3}), "bias": ("zeros", {})}
    assert init["b"] == {"weight": ("normal", {"std": 0.1})}
    assert node(found, "relu1").init is None
    assert [n.path for n in found.steps if n.frozen] == ["a.x"]


def test_expect_is_checked_after_the_last_copy() -> None:
    text = "body: [{conv: {out: $(prev.channels + 1), kernel: 3}, repeat: 2, expect: [5, ~, 4]}]"
    assert len(graph(text).steps) == 3
    shown = complaint(text.replace("~, 4", "5, ~"))
    assert "`expect` says [5, 5, ~]; the output of `conv` has the shape [5, 4, 4]" in shown


def test_expected_totals_are_checked_when_nothing_is_set() -> None:
    text = "params: {w: 4}\nbody: [{conv: {out: $w, kernel: 1}}]\nexpect: {net: {params: 17}}"
    assert complaint(text).startswith("E502 `params` of `net` is 16; the spec expects 17")
    assert program(text, w=5).name == "net"


def test_expected_shapes_are_checked_when_nothing_is_set(tmp_path: Path) -> None:
    text = "params: {w: 4}\nbody: [{conv: {out: $w, kernel: 1}, expect: [4, 9, 9]}]"
    assert complaint(text).startswith("E501 `expect` says [4, 9, 9]")
    assert program(text, w=5).name == "net"
    assert program(text, inputs={"input": [3, 6, 6]}).name == "net"
    part = "spec: 1\nname: part\ninput: [3, 9, 9]\nbody: [{relu: , expect: [3, 9, 9]}]\n"
    (tmp_path / "part.yaml").write_text(part)
    whole = "spec: 1\nname: net\ninput: [3, 5, 5]\nuse: {Part: part.yaml}\nbody: [Part]\n"
    (tmp_path / "net.yaml").write_text(whole)
    assert load(tmp_path / "net.yaml").graph.steps[-1].outs[0].shape == (3, 5, 5)


def test_a_variant_may_be_a_number() -> None:
    text = (
        'params: {w: 4}\nvariants: {"16": {w: 16}}\nbody: [{conv: {out: $w, kernel: 1}}]\n'
        'expect: {"16": {params: 64}}'
    )
    assert program(text.replace("64", "65"), variant=None).name == "net"
    assert complaint(text.replace("64", "65"), variant="16").startswith("E502 `params` of `net_16`")
    assert program(text, variant="16").code.count("class Net16(nn.Module):") == 1


# ---------------------------------------------------------------- from outside


@pytest.mark.parametrize(
    ("outside", "code"),
    [
        ({"variant": "smal"}, "E225"),
        ({"widht": 3}, "E321"),
        ({"width": 3.0}, "E322"),
        ({"width": True}, "E322"),
        ({"width": "3"}, "E322"),
        ({"rate": "x"}, "E322"),
        ({"rate": float("nan")}, "E322"),
        ({"on": 1}, "E322"),
        ({"sizes": 3}, "E322"),
        ({"inputs": {"image": (3, 8, 8)}}, "E324"),
        ({"inputs": {"input": (3, 8)}}, "E324"),
        ({"inputs": {"input": (3, 8, 0)}}, "E324"),
    ],
)
def test_what_is_set_from_outside_is_checked(outside: dict[str, Any], code: str) -> None:
    text = """
params: {width: 4, rate: 0.5, on: true, sizes: [1, 2]}
variants: {small: {width: 2}}
input: [3, 8, 8]
body: [{conv: {out: $width, kernel: 1}, repeat: {k: $sizes}}, {dropout: $rate, when: $on}]
"""
    assert [c for c, _ in complaints(text, **outside)] == [code]
    assert program(text, width=3, rate=0, sizes=(1,)).graph.root.args["rate"] == 0.0
    assert program(text, variant="small").name == "small"


def test_required_params_of_a_document() -> None:
    text = "params: {width: required}\nbody: [{conv: {out: $width, kernel: 1}}]"
    assert complaint(text).startswith("E323")
    assert shapes(graph(text, width=7))["conv1"] == (7, 8, 8)


def test_free_axes_and_other_input_shapes() -> None:
    text = "input: {a: [3, {T: 7}], b: [3, {T: 7}]}\nbody: [{concat: [a, b]}]"
    assert graph(text).free_axes == {"T": 7}
    other = graph(text, inputs={"a": (3, 9), "b": (3, 9)})
    assert other.free_axes == {"T": 9}
    assert shapes(other)["concat1"] == (6, 9)
    assert complaint(text, inputs={"a": (3, 9)}).startswith("E325")


# ---------------------------------------------------------------- limits

DOUBLING = """
blocks:
  A:
    params: {d: required}
    body:
      - {A: $(d - 1), when: $(d > 0)}
      - {A: $(d - 1), when: $(d > 0)}
      - relu
body: [{A: 60}]
"""


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("body: [{relu: , repeat: 1000000000}]", "E406"),
        ("body: [{repeat: 10000, body: [{repeat: 10000, body: [{relu: , when: false}]}]}]", "E406"),
        ("body: [{repeat: 2000, when: true, body: [{repeat: 2000, body: [relu]}]}]", "E406"),
        (DOUBLING, "E406"),
        ("body: [{upsample: 1000000}, {upsample: 1000000}]", "E408"),
        ("input: [1048576]\nbody: [{linear: 10000000}]", "E408"),
        ("input: [1048576, 1048577]\nbody: [relu]", "E408"),
    ],
)  # fmt: skip
def test_limits_are_checked_before_anything_large_is_made(text: str, code: str) -> None:
    assert complaint(text).startswith(code)


def test_the_caller_raises_limits() -> None:
    text = "body: [{relu: , repeat: 20}]"
    assert complaint(text, limits=Limits(nodes=10)).startswith("E406")
    assert len(graph(text, limits=Limits(nodes=20)).steps) == 21


# ---------------------------------------------------------------- scopes, program, door


def test_scopes_are_the_tree_of_what_has_a_path() -> None:
    found = graph("""
blocks: {B: {body: [relu]}}
body:
  - {id: s, repeat: 2, B: }
  - {id: g, body: [{residual: [tanh]}]}
""")
    kinds = [(s.kind, s.path, s.parent) for s in found.scopes]
    assert kinds == [
        ("network", "", None), ("repeat", "s", 0), ("block", "s.0", 1), ("block", "s.1", 1),
        ("group", "g", 0), ("residual", "g.residual1", 4),
    ]  # fmt: skip
    assert node(found, "g.tanh1").scope == 5


def test_elaborate_gives_the_tree_alone() -> None:
    text = (
        "spec: 1\nname: net\nparams: {w: 2}\ninput: [3, 8, 8]\nbody: [{conv: {out: $w, kernel: 1}}]"
    )
    spec = language.parse(source.from_text(text))
    root = elaborate(spec, params={"w": 5})
    assert root.args == {"w": 5}
    assert root.outputs["output"] is root.body.output
    assert gc.isenabled()


def test_with_other_choices() -> None:
    first = load("vgg16")
    small = first.with_("vgg11", classes=10)
    assert (small.name, small.graph.root.args["classes"]) == ("vgg11", 10)
    assert small.with_(classes=5).variant == "vgg11"


def test_the_door_is_small_and_lazy() -> None:
    packages = {"search", "see", "train", "transfer", "weights"}
    assert len(set(archspec.__all__) - packages) <= 14
    for name in archspec.__all__:
        if name not in ("build", "BuildError"):
            assert getattr(archspec, name) is not None
    with pytest.raises(AttributeError):
        archspec.nothing  # noqa: B018


# ---------------------------------------------------------------- defaults that read the document

SWITCH = """
params: {norm: true, width: 4}
variants: {bare: {norm: false}}
input: [3, 8, 8]
blocks:
  Unit:
    params: {out: $(2 * width), norm: $norm}
    body: [{conv: {out: $out, kernel: 1}}, {batch_norm: , when: $norm}]
  Pair:
    body: [Unit, {Unit: $(input.channels + 2)}]
body: [Pair, {Unit: {norm: false}}]
"""


def test_a_default_reads_the_documents_params() -> None:
    found = graph(SWITCH)
    assert shapes(found)["pair1.unit1.conv1"] == (8, 8, 8)
    assert shapes(found)["pair1.unit2.conv1"] == (5, 8, 8)
    assert [path for path in paths(found) if "norm" in path] == [
        "pair1.unit1.batch_norm1", "pair1.unit2.batch_norm1",
    ]  # fmt: skip
    assert shapes(graph(SWITCH, width=3))["pair1.unit1.conv1"] == (6, 8, 8)
    assert not any("norm" in path for path in paths(graph(SWITCH, variant="bare")))


def test_a_body_does_not_see_the_documents_params() -> None:
    text = SWITCH.replace("when: $norm}]\n  Pair", "when: $width}]\n  Pair")
    assert [code for code, _ in complaints(text)] == ["E219"]


def test_defaults_read_the_params_of_each_call_of_a_used_file(tmp_path: Path) -> None:
    (tmp_path / "inner.yaml").write_text(f"spec: 1\nname: inner{SWITCH}", encoding="utf-8")
    (tmp_path / "outer.yaml").write_text(
        "spec: 1\nname: outer\ninput: [3, 8, 8]\nuse: {Inner: inner.yaml}\nbody:\n"
        "  - {id: a, Inner: {width: 4}}\n  - {id: b, from: input, Inner: {width: 5}}\n"
        "  - {id: c, from: input, Inner: {width: 4, norm: false}}\n"
        "  - concat: [a, b, c]\n",
        encoding="utf-8",
    )
    found = load(tmp_path / "outer.yaml").graph
    sizes = {path: shapes(found)[f"{path}.pair1.unit1.conv1"][0] for path in "abc"}
    assert sizes == {"a": 8, "b": 10, "c": 8}
    assert [p[0] for p in paths(found) if p.endswith("batch_norm1")] == ["a", "a", "b", "b"]


def test_what_a_default_reads_is_read() -> None:
    assert [w.message for w in program(SWITCH).warnings if w.code == "W108"] == []
    text = SWITCH.replace("norm: $norm}", "norm: $norm, other: $norm}")
    (warned,) = [w.message for w in program(text).warnings if w.code == "W108"]
    assert warned == "`other` is a param of block `Unit` that nothing reads"


class Counted(int):
    """A whole number that knows more about itself, as emission passes."""


class Share(float):
    """A float that does."""


def test_a_kind_of_number_is_a_number() -> None:
    text = """
    params: {width: 4, slope: 0.5, times: 2}
    blocks:
      Unit:
        params: {out: ~, slope: 0.1}
        body: [{conv: {out: $out, kernel: 1}}, {leaky_relu: $slope}]
    body: [{Unit: {out: $width, slope: $slope}, repeat: $times}]
    """
    spec = program(textwrap.dedent(text)).spec
    given = {"width": Counted(6), "slope": Share(0.25), "times": Counted(3)}
    root = elaborate(spec, params=given, inputs={"input": [Counted(2), 8, 8]})
    copies = root.body.items[0].copies
    assert len(copies) == 3
    for copy in copies:
        assert copy is not None
        assert isinstance(copy.args["out"], Counted)
        assert isinstance(copy.args["slope"], Share)
        assert copy.out is not None
        assert copy.out.type is not None
        assert copy.out.type.shape == (6, 8, 8)
    with pytest.raises(SpecError, match="E322 `times` is `true`; it takes a whole number"):
        elaborate(spec, params={"times": True})
