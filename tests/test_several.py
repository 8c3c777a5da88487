"""Several at once: `stages.*`, `y*`, inputs that are lists, optional inputs, `prev.ys.*`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from archspec import build
from archspec.language.schema import schema
from archspec.network import Program, load, loads
from archspec.text.faults import SpecError
from archspec.text.source import from_text

HEAD = "spec: 1\nparams: {n: 3}\ninput: [4, 8, 8]\n"


def taken(program: Program, path: str) -> list[str]:
    steps = program.graph.steps
    return [steps[edge.node].path for edge in program.graph.at(path).inputs]


def told(text: str, **params: Any) -> list[tuple[str, str, str]]:
    """Code, sentence and remedy of each complaint."""
    with pytest.raises(SpecError) as caught:
        loads(text, **params)
    return [(fault.code, fault.message, fault.help) for fault in caught.value.faults]


# ---------------------------------------------------------------- patterns

BEFORE = "body:\n  - {id: c$i, repeat: {i: [0, 1]}, tanh: }\n  - {id: s1"

STAGES = f"""{HEAD}
body:
  - {{id: stages, repeat: $n, conv: {{out: 4, kernel: 3, padding: 1}}}}
  - concat: stages.*
"""


@pytest.mark.parametrize("n", [1, 2, 5])
def test_all_copies_of_a_repeat_in_order(n: int) -> None:
    program = loads(STAGES, n=n)
    assert taken(program, "concat1") == [f"stages.{k}" for k in range(n)]


def test_beside_others_and_where_there_are_none() -> None:
    text = STAGES.replace("concat: stages.*", "concat: [input, stages.*, input]")
    program = loads(text)
    assert taken(program, "concat1") == ["input", "stages.0", "stages.1", "stages.2", "input"]
    assert taken(loads(text, n=0), "concat1") == ["input", "input"]


def test_no_copies_and_nothing_else_to_take() -> None:
    assert told(STAGES, n=0) == [
        (
            "E313",
            "`stages.*` stands for nothing here, and `concat` has no other input",
            "there is no copy of it before this item; a `when` leaves an item out",
        )
    ]


def test_absent_copies_are_left_out() -> None:
    text = STAGES.replace("repeat: $n,", "repeat: 4, when: $(loop.index != 1),")
    assert taken(loads(text), "concat1") == ["stages.0", "stages.1", "stages.2"]


def test_the_paths_of_branches_and_of_a_list_of_them() -> None:
    text = f"""{HEAD}
body:
  - id: experts
    branches:
      wide: {{conv: {{out: 4, kernel: 3, padding: 1}}}}
      deep: [{{conv: {{out: 4, kernel: 1}}}}, relu]
      none: []
    merge: max
  - {{id: two, branches: [[relu, {{conv: {{out: 4, kernel: 1}}}}], tanh], merge: add}}
  - add: [input, experts.*, two.*, two]
"""
    found = taken(loads(text), "add1")
    assert found == [
        "input", "experts.wide", "experts.deep.relu1", "input", "two.conv1", "two.tanh1", "two",
    ]  # fmt: skip


def test_further_in_and_through_expressions() -> None:
    text = f"""{HEAD}
blocks:
  Two:
    body: [{{id: a, conv: {{out: 4, kernel: 1}}}}, {{id: b, relu: }}]
    outputs: {{left: a, right: b}}
body:
  - {{id: s1, repeat: {{i: [0, 1]}}, from: [input], when: $(i < 2), Two: }}
  - {{id: g, from: input, body: [{{id: x, from: input, repeat: 2, relu: }}, {{id: y, tanh: }}]}}
  - add: [s$(n - 2).*.left, s1.*.right, s1.1.*, g.*, g.x.*]
"""
    text = text.replace("from: [input]", "from: c$i").replace("body:\n  - {id: s1", BEFORE)
    assert taken(loads(text), "add1") == [
        "s1.0.a", "s1.1.a", "s1.0.b", "s1.1.b", "s1.1.a", "s1.1.b", "g.x.1", "g.y", "g.x.0",
        "g.x.1",
    ]  # fmt: skip


def test_a_name_with_a_number_behind_it() -> None:
    text = f"""{HEAD}
body:
  - {{id: layer$k, repeat: {{k: [1, 2, 10]}}, conv: {{out: 4, kernel: 1}}}}
  - {{id: layer_norm, relu: }}
  - {{id: levels, from: layer*, add: }}
  - mul: [levels, layer_norm]
outputs: {{last: mul1, levels: layer*}}
"""
    program = loads(text)
    assert taken(program, "levels") == ["layer1", "layer2", "layer10"]
    assert len(program.graph.outputs["levels"]) == 3


def test_dense_copies_take_all_before_them() -> None:
    text = f"""{HEAD}
body:
  - {{id: dense$k, repeat: {{k: [1, 2, 3]}}, from: [input, dense*], concat: }}
  - {{id: layers, repeat: 2, from: [input, layers.*], concat: }}
  - concat: [dense3, layers]
"""
    program = loads(text)
    assert taken(program, "dense1") == ["input"]
    assert taken(program, "dense3") == ["input", "dense1", "dense2"]
    assert taken(program, "layers.0") == ["input"]
    assert taken(program, "layers.1") == ["input", "layers.0"]


@pytest.mark.parametrize(
    ("item", "code", "said", "help"),
    [
        (
            "{concat: [input, stage.*]}", "E312",
            "there is no item `stage` of `stage.*` before this one", "did you mean `stages.*`?",
        ),
        (
            "{concat: [input, y*]}", "E312", "there is no item `y*` before this one",
            "known: `input`, `stages`, `prev`",
        ),
        (
            "{concat: [input, stages.*.right]}", "E312", "`stages.0` has no part `right`",
            "known: `output`",
        ),
        (
            "{shared: stages.*}", "E205",
            "`stages.*` stands for several items, and one is meant here", "name one of them",
        ),
        (
            "{id: x, from: stages.*, relu: }", "E311", "`relu` takes the input `x`; it is given 3",
            "",
        ),
        (
            "{from: stages.*, body: [relu]}", "E311", "`body` takes one input, not 3",
            "name the others with `from` inside, where they are used",
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_pattern(item: str, code: str, said: str, help: str) -> None:
    text = STAGES.replace("concat: stages.*", item[1:-1] if item.startswith("{concat") else item)
    text = text.replace("  - concat", "  - {concat") if item.startswith("{concat") else text
    text = text.replace(item[1:-1], item[1:-1] + "}") if item.startswith("{concat") else text
    assert told(text) == [(code, said, help)]


# ---------------------------------------------------------------- inputs that are lists


JOIN = f"""{HEAD}
blocks:
  Join:
    inputs: [x, xs*]
    params: {{out: "$(sum(widths))", widths: "$(xs[0].shape)"}}
    body:
      - id: ways
        repeat: $(len(xs))
        from: xs.$(loop.index)
        conv: {{out: "$(xs[loop.index].channels)", kernel: 1}}
      - concat: [x, ways.*]
"""


def test_a_block_takes_as_many_as_it_is_given() -> None:
    text = f"""{HEAD}
blocks:
  Join:
    inputs: [x, xs*]
    body:
      - id: way$i
        repeat: {{i: $(range(len(xs)))}}
        from: xs.$i
        conv: {{out: "$(xs[i].channels)", kernel: 1}}
      - concat: [x, way*]
body:
  - {{id: s, repeat: {{c: [2, 3, 5]}}, conv: {{out: $c, kernel: 1}}}}
  - {{id: all, from: [input, s.*], Join: }}
  - {{id: one, from: {{xs: s.1, x: s.0}}, Join: }}
  - {{id: named, from: {{x: input, xs: [s.1, s.2]}}, Join: }}
  - {{id: none, from: s.2, Join: }}
  - concat: [all, one, named, none]
"""
    program = loads(text)
    steps = {node.path: node for node in program.graph.steps}
    shapes = {name: steps[f"{name}.concat1"].outs[0].shape[0] for name in ("all", "one", "named")}
    assert shapes == {"all": 4 + 2 + 3 + 5, "one": 2 + 3, "named": 4 + 3 + 5}
    assert taken(program, "none.concat1") == ["s.2"]
    assert steps["all.way2"].outs[0].shape == (5, 8, 8)


HRNET = """
spec: 1
name: small_hrnet
params: {width: 4}
input: [3, 32, 32]
blocks:
  Conv:
    params: {out: required, kernel: 3, stride: 1}
    sequential:
      - conv: {out: $out, kernel: $kernel, stride: $stride, padding: half, bias: false}
      - batch_norm
  Lift:
    params: {out: required, levels: required}
    sequential:
      - {Conv: {out: $out, kernel: 1}, when: $(levels > 0)}
      - {upsample: $(2 ** levels), when: $(levels > 0)}
      - {Conv: {out: $out, stride: 2}, when: $(levels < 0)}
      - {Conv: {out: $out, stride: 2}, when: $(levels < -1)}
  Module:
    inputs: [xs*]
    body:
      - id: branches
        repeat: $(len(xs))
        from: xs.$(loop.index)
        sequential: [{Conv: $(prev.channels)}, relu]
      - id: fuse_layers
        from: xs.0
        sequential:
          - repeat: {i: $(range(len(xs)))}
            sequential:
              - repeat: {j: $(range(len(xs)))}
                from: branches.$j
                Lift: {out: "$(xs[i].channels)", levels: $(j - i)}
      - {id: sum$i, repeat: {i: $(range(len(xs)))}, from: fuse_layers.$i.*, add: }
      - {id: y$i, repeat: {i: $(range(len(xs)))}, from: sum$i, relu: }
    outputs: {ys: y*}
body:
  - {id: a, Conv: {out: $width, stride: 2}}
  - {id: b, from: a, Conv: {out: $(2 * width), stride: 2}}
  - {id: stage2, from: [a, b], Module: }
  - {id: c, from: stage2.ys.1, Conv: {out: $(4 * width), stride: 2}}
  - {id: start, from: [stage2.ys.*, c], Module: }
  - {id: stage3, repeat: 2, from: start.ys.*, Module: }
  - {from: prev.ys.2, global_avg_pool: }
  - {id: fc, linear: 10}
outputs: {logits: fc, maps: stage3.1.ys.*}
"""


def test_one_block_for_two_branches_and_for_three() -> None:
    program = loads(HRNET)
    assert taken(
        program, "stage3.1.branches.2.0.conv1" if False else "stage3.1.branches.2.0.0"
    ) == ["stage3.0.y2"]
    assert taken(program, "start.sum1")[:1] == ["start.fuse_layers.1.0.0.1"]
    assert len(program.graph.outputs["maps"]) == 3
    names = [name for name, _, _ in program.graph.weights()]
    assert "stage2.fuse_layers.0.1.0.0.weight" in names
    assert "stage3.1.branches.2.0.1.running_mean" in names


def test_the_module_computes_what_torch_does() -> None:
    torch = pytest.importorskip("torch")
    from torch.nn.functional import interpolate

    from archspec.module import build

    model = build(loads(HRNET)).eval()

    def lift(layer: Any, x: Any, levels: int) -> Any:
        if levels > 0:
            return interpolate(layer[0](x), scale_factor=2**levels)
        return layer(x)

    def module(part: Any, xs: list[Any]) -> list[Any]:
        xs = [branch(x) for branch, x in zip(part.branches, xs, strict=True)]
        ways = [
            [lift(layer, x, j - i) for j, (layer, x) in enumerate(zip(row, xs, strict=True))]
            for i, row in enumerate(part.fuse_layers)
        ]
        return [torch.relu(sum(way[1:], way[0])) for way in ways]

    x = torch.randn(2, 3, 32, 32)
    a = model.a(x)
    xs = module(model.stage2, [a, model.b(a)])
    xs = module(model.start, [*xs, model.c(xs[1])])
    for part in model.stage3:
        xs = module(part, xs)
    found = model(x)
    assert torch.equal(found["logits"], model.fc(xs[2].mean((2, 3))))
    assert all(map(torch.equal, found["maps"], xs))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            ("concat: [x, ways.*]", "concat: [x, xs]"),
            ("E313", "`xs` is a list of inputs", "take one, `xs.0`, or all: `xs.*`"),
        ),
        (
            ("xs[loop.index].channels", "xs[3].channels"),
            ("E361", "the index 3 is outside of `xs`, which has 3 entries", ""),
        ),
        (
            ("xs[loop.index].channels", "xs[0]"),
            (
                "E361", "`xs[0]` is a record, not a value",
                "use one of its fields: shape, rank, channels, features, height, width, depth",
            ),
        ),
        (
            ("xs[loop.index].channels", "xs"),
            (
                "E361", "`xs` is a list of inputs, not a value",
                "`from` takes its tensors: `xs.0`, or `xs.*` for all",
            ),
        ),
        (
            ("inputs: [x, xs*]", "inputs: [xs*, x]"),
            (
                "E204", "`xs*` takes all inputs that are left, so it is the last",
                "write it at the end of `inputs`",
            ),
        ),
        (
            ("from: xs.$(loop.index)", "from: xs.7"),
            ("E312", "`xs` has no part `7`", "known: `0`, `1`, `2`"),
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_list(change: tuple[str, str], said: tuple[str, str, str]) -> None:
    text = JOIN.replace('    params: {out: "$(sum(widths))", widths: "$(xs[0].shape)"}\n', "")
    text += "body:\n  - {id: s, repeat: 3, conv: {out: 4, kernel: 1}}\n"
    text += "  - {from: [input, s.*], Join: }\n"
    loads(text)
    assert told(text.replace(*change)) == [said]


# ---------------------------------------------------------------- optional inputs


TREE = f"""{HEAD}
blocks:
  Tree:
    inputs: [x, children?]
    params: {{extra: "$(children.channels if given.children else 0)"}}
    body:
      - {{id: both, from: [x, children], concat: , when: $(given.children)}}
      - {{id: root, conv: {{out: $(4 + extra), kernel: 1}}}}
body:
  - {{id: leaf, Tree: }}
  - {{id: tree, from: [leaf, input], Tree: }}
  - {{id: named, from: {{children: leaf, x: tree}}, Tree: }}
"""


def test_an_input_that_a_call_may_leave_out() -> None:
    program = loads(TREE)
    assert taken(program, "leaf.root") == ["input"]
    assert taken(program, "tree.both") == ["leaf.root", "input"]
    assert taken(program, "named.both") == ["tree.root", "leaf.root"]
    assert program.graph.at("tree.root").outs[0].shape == (8, 8, 8)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            (", when: $(given.children)", ""),
            (
                "E312", "`children` is an input that this call does not give",
                "use it where it is: `when: $(given.children)`",
            ),
        ),
        (
            ("$(children.channels if given.children else 0)", "$(children.channels)"),
            (
                "E361", "`children` is an input that this call does not give",
                "ask first: `… if given.children else …`",
            ),
        ),
        (
            ("when: $(given.children)", "when: $(given.child)"),
            ("E220", "`child` is no input that a call may leave out", "did you mean `children`?"),
        ),
        (
            ("inputs: [x, children?]", "inputs: [x?, children]"),
            (
                "E204", "`children` must be given, and `x?` before it may be left out",
                "write what is optional behind it",
            ),
        ),
        (
            ("inputs: [x, children?]", "inputs: [x, children]"),
            (
                "E220", "`given` tells which optional inputs a block has; there are none here",
                "`?` behind its name makes an input optional: `inputs: [x, skip?]`",
            ),
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_with_optional_inputs(
    change: tuple[str, str], said: tuple[str, str, str]
) -> None:
    assert said in told(TREE.replace(*change))


# ---------------------------------------------------------------- paths over columns


ASPP = f"""{HEAD}
blocks:
  ASPPConv:
    params: {{rate: required}}
    sequential:
      - conv: {{out: 4, kernel: 3, padding: $rate, dilation: $rate, bias: false}}
      - batch_norm
      - relu
  Pooling:
    sequential:
      - global_avg_pool
      - reshape: [-1, 1, 1]
      - {{conv: {{out: 4, kernel: 1}}}}
      - upsample: {{size: "$(input.shape[1:])", mode: bilinear}}
body:
  - id: convs
    branches:
      - sequential: [{{conv: {{out: 4, kernel: 1, bias: false}}}}, batch_norm, relu]
      - {{repeat: {{rate: [1, 2, 3]}}, ASPPConv: $rate}}
      - Pooling
    merge: concat
  - {{conv: {{out: 4, kernel: 1}}}}
"""


def test_a_path_for_each_copy_beside_others() -> None:
    program = loads(ASPP)
    names = [name for name, weight, _ in program.graph.weights() if not weight.buffer]
    assert names == [
        "convs.0.0.weight", "convs.0.1.weight", "convs.0.1.bias",
        "convs.1.0.weight", "convs.1.1.weight", "convs.1.1.bias",
        "convs.2.0.weight", "convs.2.1.weight", "convs.2.1.bias",
        "convs.3.0.weight", "convs.3.1.weight", "convs.3.1.bias",
        "convs.4.2.weight", "convs.4.2.bias", "conv1.weight", "conv1.bias",
    ]  # fmt: skip
    assert [program.graph.at(f"convs.{k}.0").layer.dilation for k in (1, 2, 3)] == [1, 2, 3]
    assert taken(program, "convs.2.0") == ["input"]


def test_the_paths_compute_what_torch_does() -> None:
    torch = pytest.importorskip("torch")
    from archspec.module import build

    model = build(loads(ASPP)).eval()
    assert isinstance(model.convs, torch.nn.ModuleList)
    x = torch.randn(2, 4, 8, 8)
    paths = torch.cat([path(x) for path in model.convs], 1)
    assert torch.equal(model(x), model.conv1(paths))


def test_paths_without_an_id_and_by_their_own() -> None:
    text = f"""{HEAD}
body:
  - {{branches: {{repeat: $n, conv: {{out: 4, kernel: 1}}}}, merge: add}}
  - id: ways
    branches: {{repeat: {{k: [1, 3, 5]}}, id: k$k, when: $(k != 3), conv: {{out: 2, kernel: $k, padding: half}}}}
    merge: {{concat: {{axis: -1}}}}
  - concat: [ways, ways]
"""  # noqa: E501
    program = loads(text)
    names = [name for name, _, _ in program.graph.weights() if name.endswith("weight")]
    assert names == [
        "conv1.weight",
        "conv2.weight",
        "conv3.weight",
        "ways.k1.weight",
        "ways.k5.weight",
    ]
    assert program.graph.at("ways").outs[0].shape == (2, 8, 16)
    assert taken(program, "ways") == ["ways.k1", "ways.k5"]


def test_copies_in_one_path_are_a_list_of_one() -> None:
    text = f"""{HEAD}
body:
  - {{branches: [[{{repeat: 2, conv: {{out: 4, kernel: 1}}}}], []], merge: add}}
"""
    program = loads(text)
    assert taken(program, "conv2") == ["conv1"]
    assert taken(program, "branches1") == ["conv2", "input"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            ("repeat: {rate: [1, 2, 3]}", "repeat: 2, id: conv"),
            (
                "E314", "two items have the path `convs.conv`",
                "let the id tell its copies apart: `conv_$(loop.index)`",
            ),
        ),
        (
            ("merge: concat", "merge: {concat: {axes: 1}}"),
            ("E211", "`axes` is spelled `axis` here", "write `axis`"),
        ),
        (
            ("merge: concat", "merge: {concat: {axis: 7}}"),
            (
                "E302", "`axis` of `concat` is 7; the input [4, 8, 8] has the axes 0 to 2",
                "axes are counted from 0 behind the batch axis, which no op reaches",
            ),
        ),
        (
            ("merge: concat", "merge: {cat: 1}"),
            (
                "E204", "`merge` is cat; it takes `concat`, `stack`, `add`, `mul`, `mean` or `max`",
                "did you mean `concat`?",
            ),
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_with_paths(change: tuple[str, str], said: tuple[str, str, str]) -> None:
    text = ASPP.replace(*change)
    text = text.replace("ASPPConv: $rate}", "ASPPConv: 1}") if "id: conv" in text else text
    assert told(text) == [said]


def test_no_path_at_all() -> None:
    text = f"{HEAD}body:\n  - {{branches: {{repeat: $n, relu: }}, merge: add}}\n"
    assert told(text, n=0) == [
        (
            "E313", "`branches` has no path: there is no copy of what repeats",
            "leave it out with `when`",
        )
    ]  # fmt: skip


# ---------------------------------------------------------------- what is written


def test_a_list_of_inputs_is_a_sequence_in_the_source() -> None:
    text = f"""{HEAD}
blocks:
  Fused:
    inputs: [x, xs*]
    body:
      - {{from: [x, xs.*], add: }}
      - concat: [prev, xs.*]
  Ways:
    inputs: [xs*]
    body:
      - {{id: ways, repeat: $(len(xs)), from: xs.$(loop.index), conv: {{out: 2, kernel: 1}}}}
      - concat: ways.*
body:
  - {{id: s, repeat: 3, conv: {{out: 4, kernel: 1}}}}
  - {{id: fused, from: [input, s.*], Fused: }}
  - {{id: ways, from: [s.*, fused], Ways: }}
"""
    code = loads(text).code
    assert "from collections.abc import Sequence" in code
    assert (
        "    def forward(self, x: Tensor, xs: Sequence[Tensor]) -> Tensor:\n"
        "        xs0, xs1, xs2 = xs\n"
        "        return torch.cat([x + xs0 + xs1 + xs2, *xs], 1)\n"
    ) in code
    assert (
        "    def forward(self, xs: Sequence[Tensor]) -> Tensor:\n"
        "        xs0, xs1, xs2, xs3 = xs\n"
        "        return torch.cat(\n"
    ) in code
    assert "self.fused(x, [s0, s1, s2])" in code


def test_paths_that_are_called_alike_are_gone_through() -> None:
    code = loads(ASPP).code
    assert "self.conv1(torch.cat([layer(x) for layer in self.convs], 1))" in code


def test_no_name_is_hidden_where_modules_are_gone_through() -> None:
    text = f"""{HEAD}
blocks:
  Part:
    inputs: [layer, skip]
    body:
      - {{id: ways, branches: {{repeat: 3, conv: {{out: 2, kernel: 1}}}}, merge: concat}}
      - concat: [prev, layer, skip]
body:
  - {{id: a, conv: {{out: 4, kernel: 1}}}}
  - {{from: [a, input], Part: }}
"""
    code = loads(text).code
    assert "torch.cat([torch.cat([each(layer) for each in self.ways], 1), layer, skip], 1)" in code


def test_classes_are_called_after_what_they_are_given() -> None:
    code = loads(HRNET).code
    assert "class ModuleOf2(nn.Module)" in code
    assert "class ModuleOf3(nn.Module)" in code
    code = loads(TREE).code
    assert "class Tree(nn.Sequential)" in code
    assert "class TreeWithChildren(nn.Module)" in code


def test_a_block_that_is_run_again_takes_as_many() -> None:
    text = f"""{HEAD}
blocks:
  Sum:
    inputs: [x, xs*]
    body: [{{id: c, conv: {{out: 4, kernel: 1}}}}, {{add: [prev, xs.*]}}]
body:
  - {{id: s, repeat: 2, conv: {{out: 4, kernel: 1}}}}
  - {{id: one, from: [input, s.*], Sum: }}
  - {{id: two, from: [one, s.*], shared: one}}
  - add: [one, two]
"""
    assert taken(loads(text), "two.add1") == ["two.c", "s.0", "s.1"]
    assert told(text.replace("from: [one, s.*]", "from: [one, s.0]")) == [
        (
            "E316",
            "`one` was given the inputs `x`, `xs.0` and `xs.1` where it stands; here `x` and `xs.0`",  # noqa: E501
            "give it the same, or call the block once more",
        )
    ]  # fmt: skip


def test_a_used_file_is_cut_at_a_numbered_path(tmp_path: Path) -> None:
    (tmp_path / "net.yaml").write_text("name: net\n".join(ASPP.split("params: {n: 3}\n")))
    text = """spec: 1
name: cut
input: [4, 8, 8]
use: {Net: {file: net.yaml, outputs: {near: convs.1.0, far: convs.3}}}
body: [{id: net, Net: , freeze: [convs.1]}, {concat: net.*}]
"""
    (tmp_path / "cut.yaml").write_text(text)
    program = load(tmp_path / "cut.yaml")
    assert taken(program, "concat1") == ["net.convs.1.0", "net.convs.3.2"]
    assert [node.path for node in program.graph.steps if node.frozen] == ["net.convs.1.0"]
    (tmp_path / "cut.yaml").write_text(text.replace("far: convs.3", "far: [convs.*]"))
    with pytest.raises(SpecError) as caught:
        load(tmp_path / "cut.yaml")
    (fault,) = caught.value.faults
    assert fault.message == "`convs.*` is a pattern; what a file is cut to is named"
    assert fault.help == "write the paths out: `[layer1, layer2]`"


def test_a_head_may_be_a_numbered_path() -> None:
    assert loads(f"{ASPP}head: [convs.1.0, convs.4.2]\n").graph is not None
    assert told(f"{ASPP}head: convs.7.0\n")[0][:2] == (
        "E318",
        "`convs` has no part `7`, for `convs.7.0`",
    )


PATHS = f"""{HEAD}
body:
  - {{branches: {{repeat: {{k: [1, 3]}}, conv: {{out: 4, kernel: $k, padding: half}}}}, merge: {{concat: {{axis: -1}}}}}}
  - {{id: d$i, repeat: {{i: [1, 2]}}, from: [input, d*], add: }}
"""  # noqa: E501


@pytest.mark.parametrize("text", [STAGES, HRNET, TREE, ASPP, PATHS])
def test_an_editor_knows_it(text: str) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    judge = jsonschema.Draft7Validator(schema())
    assert judge.is_valid(from_text(text, "net").data)
    wrong = text.replace("body:", "boddy:")
    assert not judge.is_valid(from_text(wrong, "net").data)


# ---------------------------------------------------------------- the outputs of the item before


BEFORE_IT = f"""{HEAD}
blocks:
  Two:
    body: [{{id: a, conv: {{out: 4, kernel: 1}}}}, {{id: b, relu: }}]
    outputs: {{left: a, right: b}}
  Sum:
    inputs: [xs*]
    body: [{{from: prev.*, add: }}]
body:
  - Two
  - {{id: one, from: prev.left, tanh: }}
"""


def test_prev_leads_into_the_outputs_of_the_item_before() -> None:
    text = BEFORE_IT + "  - {id: t, Two: }\n  - {from: [prev.right, prev.left, prev.*], Sum: }\n"
    program = loads(text)
    assert taken(program, "one") == ["two1.a"]
    assert taken(program, "sum1.add1") == ["t.b", "t.a", "t.a", "t.b"]


@pytest.mark.parametrize(
    ("path", "said"),
    [
        (
            "prev.middle",
            (
                "`prev` has no output `middle`: a path leads into a block only to its outputs",
                "known: `left`, `right`",
            ),
        ),
        ("prev.left.x", ("`prev.left` has no part `x`", "")),
    ],
)  # fmt: skip
def test_what_is_wrong_with_prev(path: str, said: tuple[str, str]) -> None:
    assert told(BEFORE_IT.replace("prev.left", path)) == [("E312", *said)]


def test_prev_is_one_tensor_where_a_body_begins() -> None:
    text = f"{HEAD}body:\n  - {{from: prev.left, relu: }}\n"
    assert told(text) == [("E312", "`prev` has no part `left`", "")]


# ---------------------------------------------------------------- side by side along a new axis

VIEWS = f"""{HEAD}
body:
  - id: views
    branches: {{repeat: $n, conv: {{out: 4, kernel: 1}}}}
    merge: stack
  - residual: [{{id: main, relu: }}]
    shortcut: [{{id: short, sigmoid: }}]
    merge: {{stack: {{axis: 1}}}}
"""


def test_paths_are_stacked_and_the_shortcut_comes_first() -> None:
    module: Any = build(loads(VIEWS))
    x = torch.randn(2, 4, 8, 8)
    views = torch.stack([conv(x) for conv in module.views], 1)
    assert torch.equal(module(x), torch.stack([views.sigmoid(), views.relu()], 2))
    names = [f"views.{k}.{part}" for k in range(3) for part in ("weight", "bias")]
    assert list(module.state_dict()) == names


def test_stacked_paths_are_of_one_shape() -> None:
    text = HEAD + "body: [{branches: [{conv: {out: 2, kernel: 1}}, relu], merge: stack}]\n"
    assert told(text)[0][:2] == (
        "E203",
        "`stack` takes inputs of one shape and dtype; they are [2, 8, 8] and [4, 8, 8]",
    )


# ---------------------------------------------------------------- numbers of containers


@pytest.mark.parametrize("number", ["2", "'2'"])
@pytest.mark.parametrize("body", ["body: [@]", "body: [{id: s, sequential: [@]}]"])
def test_a_number_is_no_id_and_what_is_told_works(number: str, body: str) -> None:
    text = HEAD + body.replace("@", f"{{id: {number}, conv: {{out: 4, kernel: 1}}}}")
    ((_, _, help),) = told(text)
    assert "`{id: layers.2, …}`" in help
    conv = "conv: {out: 4, kernel: 1}"
    for container, instead in (
        ("layers", f"{{id: layers.2, {conv}}}"),
        ("s", f"{{id: s, sequential: [relu, identity, {{{conv}}}]}}"),
    ):
        weights = loads(f"{HEAD}body: [{instead}]\n").graph.weights()
        assert [name for name, *_ in weights] == [f"{container}.2.weight", f"{container}.2.bias"]
