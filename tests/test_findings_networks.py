"""What broke on networks that others wrote, and no other test tries: each as a small spec."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from arguments import lies
from test_lowering import check, module_class

from archspec.network import load, loads
from archspec.text.faults import SpecError

HEAD = "spec: 1\nname: net\n"

# two ends of slices: one follows from an argument, one from the tensor
ENDS = f"""{HEAD}input: [16, 16, 16]
blocks:
  Cut:
    params: {{k: required}}
    body:
      - slice: {{stop: $(input.channels - k)}}
      - conv: {{out: 8, kernel: 1}}
      - slice: {{stop: $(input.height - 2), axis: 1}}
body: [{{Cut: 4}}, {{conv: {{out: 12, kernel: 1}}}}, {{Cut: 2}}]
"""
# a stride that is a list: no class says that it takes one and then takes another (r3d_18)
STRIDES = f"""{HEAD}input: [3, 4, 8, 8]
blocks:
  Basic:
    params: {{width: required, stride: 1, kind: "3d"}}
    body:
      - residual: [{{conv: {{out: $width, kernel: 3, padding: 1, bias: false,
          stride: "$([1 if kind == '2d' else stride, stride, stride])"}}}}]
        shortcut:
          - {{id: down, conv: {{out: $width, kernel: 1, bias: false,
              stride: "$([1 if kind == '2d' else stride, stride, stride])"}},
              when: $(stride != 1 or input.channels != width)}}
      - relu
body: [{{Basic: 4}}, {{Basic: {{width: 6, stride: 2}}}}, {{Basic: 6}}]
"""
# heads, and heads of key and value, are arguments wherever they are read (Llama)
GROUPED = f"""{HEAD}params: {{heads: 4, shared: 2}}
input: [{{T: 5}}, 16]
blocks:
  Attention:
    params: {{heads: required, shared: required}}
    body:
      - {{id: q, linear: {{out: $(input.features), bias: false}}}}
      - {{unflatten: {{axis: 1, shape: [$heads, -1]}}}}
      - {{id: query, permute: [1, 0, 2]}}
      - {{id: k, from: input, linear: {{out: $(input.features // heads * shared), bias: false}}}}
      - {{unflatten: {{axis: 1, shape: [$shared, -1]}}}}
      - {{id: key, permute: [1, 0, 2]}}
      - {{from: [query, key, key], dot_attention: {{causal: true}}}}
      - permute: [1, 0, 2]
      - flatten: 1
      - {{id: o, linear: $(input.features)}}
body: [{{residual: [rms_norm, {{Attention: {{heads: $heads, shared: $shared}}}}]}}]
"""
# so are the classes of a detector (RetinaNet)
DETECTOR = f"""{HEAD}params: {{classes: 5, anchors: 3}}
input: [3, {{H: 8}}, {{W: 6}}]
blocks:
  Head:
    params: {{classes: required, anchors: required}}
    body:
      - {{id: cls, conv: {{out: $(classes * anchors), kernel: 3, padding: 1}}}}
      - unflatten: {{axis: 0, shape: [$anchors, $classes]}}
      - permute: [2, 3, 0, 1]
      - reshape: [-1, $classes]
body: [{{Head: {{classes: $classes, anchors: $anchors}}}}]
"""


@pytest.mark.parametrize("text", [ENDS, STRIDES, GROUPED, DETECTOR])
def test_arguments_are_those_of_the_spec(text: str, tmp_path: Path) -> None:
    program = loads(text)
    check(program)
    tried = list(lies(program, tmp_path))
    assert tried
    assert not any(tried)


def test_classes_of_a_detector_reach_every_signature() -> None:
    code = loads(DETECTOR).code
    assert "def __init__(self, classes: int = 5, anchors: int = 3) -> None:" in code
    assert '"""[3, H, W] -> [H\', 5]."""' in code  # as many as H and W make, and not 144
    model = module_class(loads(DETECTOR))(classes=7, anchors=2)
    assert model(torch.randn(1, 3, 4, 4)).shape == (1, 32, 7)


def test_what_is_given_out_is_no_mistake() -> None:
    """A softmax that is asked for, over classes or places; halves of features; a cut backbone."""
    text = f"""{HEAD}input: [4, 8]
body:
  - {{id: a, linear: 8}}
  - {{id: weights, softmax: }}
  - {{id: places, from: a, softmax: 0}}
  - {{id: low, from: input, slice: {{stop: 2}}}}
  - {{id: high, from: input, slice: {{start: 2}}}}
  - {{id: both, mul: [low, high]}}
outputs: {{weights: weights, places: places, both: both}}
"""
    assert loads(text).warnings == []
    text = f"""{HEAD}input: [3, 64, 64]
use: {{Backbone: {{file: resnet50, variant: resnet18, outputs: {{c3: layer2, c5: layer4}}}}}}
body:
  - {{id: backbone, Backbone: }}
  - {{id: a, from: backbone.c3, conv: {{out: 4, kernel: 1}}}}
  - {{id: b, from: backbone.c5, conv: {{out: 4, kernel: 1}}}}
outputs: {{a: a, b: b}}
"""
    assert loads(text).warnings == []


def test_an_absent_item_looks_for_none_of_its_inputs() -> None:
    text = f"""{HEAD}params: {{depth: 2}}
input: [4, 8]
body:
  - {{id: a0, relu: }}
  - {{id: a1, tanh: }}
  - {{concat: [a0, a1, a2], when: $(depth > 2)}}
"""
    with pytest.raises(SpecError) as caught:
        loads(text)
    assert [f.code for f in caught.value.faults] == ["E315"]  # of a1, and not E312 of a2


def test_two_complaints_lead_to_their_remedy() -> None:
    for item, help in (
        ("{split: 2, axis: 1}", "write `split: {parts: 2, axis: 1}`"),
        ("{repeat: {i: [1]}, id: 'b${i}', relu: }", "an expression is `$(i)`, and a dollar sign"),
    ):
        with pytest.raises(SpecError) as caught:
            loads(f"{HEAD}input: [4, 8]\nbody:\n  - {item}\n")
        (fault,) = caught.value.faults
        assert fault.help.startswith(help)


def test_outputs_of_a_numbered_series_have_its_names() -> None:
    """`x0_1`, and not y, z, w: what a network's author calls it is what an engineer reads."""
    assert "x0_1 = self.x0_1(x0_0, x1_0)" in load("unet_plus_plus").code
    outputs = f"{HEAD}input: [4, 8]\nbody:\n  - {{id: p$i, repeat: {{i: [3, 4]}}, linear: 8}}\n"
    assert 'return {"a": p3, "b": p4}' in loads(f"{outputs}outputs: {{a: p3, b: p4}}\n").code


def test_an_item_called_as_a_function_of_the_files_head_brings_none() -> None:
    items = (
        "[{id: scaled, mul: 2}, {id: shift_mask, linear: 8}, {id: y, add: [scaled, shift_mask]}]"
    )
    code = loads(f"{HEAD}input: [4, 8]\nbody: {items}\n").code
    assert "def scaled" not in code
    assert "def shift_mask" not in code


def test_named_copies_without_modules_are_no_list() -> None:
    """Three concats under an id, taken in another order, leave nothing in the constructor."""
    text = f"""{HEAD}input: [4, 8]
body:
  - {{id: a0, relu: }}
  - {{id: a1, tanh: }}
  - {{id: a2, sigmoid: }}
  - {{id: out, repeat: {{k: [0, 1, 2]}}, from: [a0, a$k], concat: }}
  - concat: [out.2, out.0, out.1]
"""
    program = loads(text)
    check(program)
    assert "ModuleList" not in program.code


# Tree calls Tree with children and without, and each the other (deep layer aggregation)
TREES = f"""{HEAD}input: [4, 16, 16]
blocks:
  Basic:
    params: {{out: required, stride: 1}}
    inputs: [x, shortcut?]
    body:
      - {{id: conv1, conv: {{out: $out, kernel: 3, stride: $stride, padding: 1, bias: false}}}}
      - {{id: bn1, batch_norm: }}
      - relu
      - {{id: conv2, conv: {{out: $out, kernel: 3, padding: 1, bias: false}}}}
      - {{id: bn2, batch_norm: }}
      - {{add: [prev, shortcut], when: $(given.shortcut)}}
      - {{add: [prev, x], when: $(not given.shortcut)}}
      - relu
  Root:
    inputs: [xs*]
    params: {{out: required}}
    body:
      - concat: xs.*
      - {{id: conv, conv: {{out: $out, kernel: 1, bias: false}}}}
      - {{id: bn, batch_norm: }}
      - relu
  Tree:
    inputs: [x, children*]
    params: {{levels: required, out: required, stride: 1, level_root: false}}
    body:
      - {{id: bottom, max_pool: {{kernel: $stride, stride: $stride}}, when: $(stride > 1)}}
      - id: project
        from: bottom
        when: $(levels == 1 and x.channels != out)
        sequential: [{{conv: {{out: $out, kernel: 1, bias: false}}}}, batch_norm]
      - when: $(levels == 1)
        body:
          - {{id: tree1, from: [x, project], Basic: {{out: $out, stride: $stride}}}}
          - {{id: tree2, from: [tree1], Basic: {{out: $out}}}}
          - when: $(level_root)
            body: [{{id: root, from: [tree2, tree1, children.*, bottom], Root: $out}}]
          - when: $(not level_root)
            body: [{{id: root, from: [tree2, tree1, children.*], Root: $out}}]
      - when: $(levels > 1 and level_root)
        body:
          - {{id: tree1, from: x, Tree: {{levels: $(levels - 1), out: $out, stride: $stride}}}}
          - {{id: tree2, from: [tree1, bottom, tree1], Tree: {{levels: $(levels - 1), out: $out}}}}
      - when: $(levels > 1 and not level_root)
        body:
          - {{id: tree1, from: x, Tree: {{levels: $(levels - 1), out: $out, stride: $stride}}}}
          - {{id: tree2, from: [tree1, tree1], Tree: {{levels: $(levels - 1), out: $out}}}}
body:
  - {{id: level2, Tree: {{levels: 1, out: 6, stride: 2}}}}
  - {{id: level3, Tree: {{levels: 2, out: 8, stride: 2, level_root: true}}}}
  - {{id: level4, Tree: {{levels: 2, out: 10, stride: 2, level_root: true}}}}
  - {{id: level5, Tree: {{levels: 1, out: 12, stride: 2, level_root: true}}}}
"""


def test_trees_of_trees_are_written_for_any_number_of_children() -> None:
    check(loads(TREES))
