"""docs/language.md names every op, and what it shows in part checks once the rest is there."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest

import archspec
from archspec.layers import REGISTRY

PAGE = Path(__file__).resolve().parent.parent / "docs" / "language.md"
TEXT = PAGE.read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```yaml\n(.*?)^```$", TEXT, flags=re.DOTALL | re.MULTILINE)

AROUND = {  # by its first line: what stands around a block of the page, `…` the block itself
    "- concat: stages.*": """
        input: [8, 16, 16]
        blocks:
          DenseLayer: {inputs: [xs*], body: [concat: xs.*, conv: {out: 8, kernel: 1}]}
        body:
          - {id: stages, repeat: 2, conv: {out: 8, kernel: 1}}
          - {id: experts, repeat: 2, conv: {out: 8, kernel: 1}}
          …
          - {id: layer$k, repeat: {k: [1, 2]}, conv: {out: 8, kernel: 1}}
        outputs: {sum: add1, levels: layer*, stages: concat1}
        """,
    "- id: convs": """
        input: [8, 16, 16]
        blocks:
          ConvBN:
            params: {out: required, kernel: 1}
            body: [conv: {out: $out, kernel: $kernel}, batch_norm, relu]
          ASPPConv:
            params: {rate: required}
            body: [conv: {out: 256, kernel: 3, padding: $rate, dilation: $rate}]
          Pooling: {body: [adaptive_avg_pool: 1, upsample: {size: [16, 16]}]}
        body:
          …
        """,
    "- {id: mean, constant: [[[0.485]], [[0.456]], [[0.406]]]}": """
        input: [3, 16, 16]
        body:
          …
          - sub: [input, mean]
        outputs: {x: sub1, mask: mask, index: relative_position_index, places: places}
        """,
    "- id: sharpen": """
        input: [3, 16, 16]
        body:
          …
        """,
    "- {id: wte, embedding: {num: 50257, dim: 768}}": """
        input: {tokens: {shape: [77], dtype: int}}
        body:
          …
        """,
    "- conv: {out: 64, kernel: 3, padding: 1}": """
        params: {kind: Wide}
        input: [3, 16, 16]
        blocks:
          Bottleneck: {params: {width: required}, body: [conv: {out: $width, kernel: 1}]}
          ASPPConv: {params: {rate: required}, body: [conv: {out: 64, kernel: 1}]}
          Wide: {params: {width: required}, body: [conv: {out: $width, kernel: 1}]}
        body:
          - {id: tower, relu: }
          …
        """,
    "  - repeat:": """
        params: {width: 1.0, depth: 1.0}
        input: [32, 112, 112]
        blocks:
          MBConv:
            params: {out: required, kernel: 3, expand: 1, stride: 1, drop: 0.0}
            body:
              - {conv: {out: $(expand * input.channels), kernel: 1}}
              - relu
              - {conv: {out: $out, kernel: $kernel, stride: $stride, padding: half}}
              - drop_path: $drop
        body:
          …
        """,
    "  UNet:": """
        input: [1, 64, 64]
        blocks:
          DoubleConv: {params: {out: required}, body: [conv: {out: $out, kernel: 3, padding: 1}]}
          …
        body: [{UNet: {depth: 4, width: 8}}]
        """,
    "head: fc": """
        params: {wide: 1}
        variants: {resnet50: {wide: 2}, resnet18: {wide: 3}}
        input: [3, 16, 16]
        …
        body: [flatten, {linear: $wide}, relu, {id: fc, linear: 10}]
        """,
}
PLACEHOLDERS = {  # what the page leaves to the reader
    "{b1: …, b3: […]}": "{b1: relu, b3: [relu, tanh]}",
    "[...]": "[relu]",
    "9f86d081…": "9f86d081" * 8,
}


@pytest.mark.parametrize("op", REGISTRY)
def test_it_has_a_row_for_every_op(op: str) -> None:
    rows = re.findall(r"^\| (`.*?`) \|", TEXT, flags=re.MULTILINE)
    assert any(re.search(rf"\b{op}\b", row) for row in rows)


@pytest.mark.parametrize("op", [name for name, layer in REGISTRY.items() if layer.model_fields])
def test_its_row_names_every_parameter(op: str) -> None:
    table = TEXT.partition("| op | parameters")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| (`.*?`) \| (.*) \|$", table, flags=re.MULTILINE)
    (row,) = [rest for ops, rest in rows if re.search(rf"\b{op}\b", ops)]
    if not row.startswith("as torch's"):
        assert REGISTRY[op].model_fields.keys() <= set(re.findall(r"\w+", row))


@pytest.mark.parametrize("first", AROUND)
def test_its_parts_check(first: str) -> None:
    (shown,) = [block for block in BLOCKS if block.split("  #")[0].split("\n")[0].rstrip() == first]
    items = re.sub(r"^- …\n|^outputs: .*\n", "", shown, flags=re.MULTILINE)
    for left, meant in PLACEHOLDERS.items():
        items = items.replace(left, meant)
    around = textwrap.dedent(AROUND[first])
    indent = re.search(r"^( *)…", around, flags=re.MULTILINE)
    assert indent is not None
    deeper = "" if items.startswith(" ") else indent[1]
    archspec.loads(
        "spec: 1\nname: page" + around.replace(f"{indent[1]}…\n", textwrap.indent(items, deeper))
    )


def test_its_whole_examples_check() -> None:
    whole = [block for block in BLOCKS if block.startswith("spec: 1\n")]
    assert [archspec.loads(text).spec.name for text in whole] == ["vgg16"]
    (bottleneck,) = [block for block in BLOCKS if "  - {id: fc, linear: 1000}" in block]
    program = archspec.loads("spec: 1\nname: page\ninput: [3, 224, 224]\n" + bottleneck)
    assert program.analysis.totals.params == 25_557_032  # of torchvision's ResNet-50


STAGES = """\
blocks:
  Basic: {body: [conv: {out: 8, kernel: 1}]}
  Fuse: {params: {i: required}, inputs: [xs*], body: [add: xs.*]}
  Fork:
    body: [{id: $name, repeat: {name: [y0, y1]}, from: input, conv: {out: 8, kernel: 1}}]
    outputs: {ys: [y0, y1]}
"""


def test_its_stages_of_several_check() -> None:
    (shown,) = [block for block in BLOCKS if "  Stage:\n" in block]
    shown = shown.replace("blocks:\n", STAGES).replace("- …", "- {id: transition2, Fork: }")
    head = "spec: 1\nname: page\nparams: {classes: 10}\ninput: [3, 16, 16]\n"
    program = archspec.loads(head + shown)
    assert program.graph.at("stage3.3.y1.add1").inputs
    assert program.graph.outputs["output"]


def test_its_cut_backbone_checks() -> None:
    (shown,) = [block for block in BLOCKS if "freeze: [conv1, bn1, layer1]" in block]
    shown = shown.replace("- …", "- {id: fine, from: resnet.stride8, conv: {out: 64, kernel: 1}}")
    ends = "outputs: {coarse: coarse, fine: fine}\n"
    program = archspec.loads("spec: 1\nname: page\ninput: [3, 224, 224]\n" + shown + ends)
    assert program.graph.at("coarse").outs[0].shape == (64, 14, 14)
    assert program.graph.at("resnet.conv1").frozen


INCEPTION = """\
params: {aux: true, classes: 10}
input: [480, 14, 14]
blocks:
  BasicConv:
    params: {out: required, kernel: 1}
    body:
      - {conv: {out: $out, kernel: $kernel, padding: half, bias: false}}
      - batch_norm
      - relu
  AuxHead:
    params: {classes: required}
    body: [global_avg_pool, linear: $classes]
"""


@pytest.mark.parametrize("aux", [True, False])
def test_its_inception_module_checks(aux: bool) -> None:
    (shown,) = [block for block in BLOCKS if "  Inception:\n" in block]
    text = "spec: 1\nname: page\n" + INCEPTION + shown.removeprefix("blocks:\n")
    program = archspec.loads(text, aux=aux)
    assert program.graph.at("i4b.branches1").inputs
    assert set(program.graph.outputs) == ({"logits", "aux1"} if aux else {"logits"})


def test_none_of_its_examples_is_left_out() -> None:
    whole = ("spec: 1", "blocks:", "use:")  # each of these has a test of its own
    firsts = [block.split("  #")[0].split("\n")[0].rstrip() for block in BLOCKS]
    assert {first for first in firsts if first not in AROUND} == set(whole)
    assert firsts.count("blocks:") == 3
