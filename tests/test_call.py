"""`call: $kind`: a block whose name is a param or a column."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from arguments import lies
from random_specs import from_seed
from test_lowering import check

from archspec.network import loads
from archspec.text.faults import SpecError

RESNET = """
spec: 1
name: small_resnet
params: {kind: Bottleneck, depths: [2, 2], stem: 8}
variants: {basic: {kind: BasicBlock}}
input: [3, 32, 32]
blocks:
  BasicBlock:
    params: {width: required, stride: 1, out: $width}
    body:
      - residual:
          - {conv: {out: $width, kernel: 3, stride: $stride, padding: 1, bias: false}}
          - batch_norm
          - relu
          - {conv: {out: $out, kernel: 3, padding: 1, bias: false}}
          - batch_norm
        shortcut:
          - id: downsample
            conv: {out: $out, kernel: 1, stride: $stride, bias: false}
            when: $(stride != 1 or prev.channels != out)
      - relu
  Bottleneck:
    params: {width: required, stride: 1, out: $(4 * width)}
    body:
      - residual:
          - {conv: {out: $width, kernel: 1, bias: false}}
          - batch_norm
          - relu
          - {conv: {out: $width, kernel: 3, stride: $stride, padding: 1, bias: false}}
          - batch_norm
          - relu
          - {conv: {out: $out, kernel: 1, bias: false}}
          - batch_norm
        shortcut:
          - id: downsample
            conv: {out: $out, kernel: 1, stride: $stride, bias: false}
            when: $(stride != 1 or prev.channels != out)
      - relu
body:
  - {conv: {out: $stem, kernel: 3, bias: false}}
  - repeat: {n: $depths, w: [8, 16], s: [1, 2], k: [1, 2]}
    body:
      - id: layer$k
        call: $kind
        with: {width: $w, stride: $(s if loop.first else 1)}
        repeat: $n
  - global_avg_pool
  - linear: 10
head: layer2.1.conv2
"""
STAGES = """
spec: 1
name: stages
params: {stem: 8}
input: [3, 16, 16]
blocks:
  Plain: {params: {width: required}, body: [{conv: {out: $width, kernel: 1}}, relu]}
  Wide: {params: {width: required}, body: [{conv: {out: $width, kernel: 3, padding: 1}}, tanh]}
  Stage:
    params: {kind: Plain, width: required, n: 2}
    body:
      - {id: layers, call: $kind, with: {width: $width}, repeat: $n}
      - {conv: {out: 4, kernel: 1}}
body:
  - Stage: {width: $stem}
  - Stage: {width: 16, kind: Wide}
  - Stage: {width: 4, kind: Wide, n: 3}
"""
TABLE = """
spec: 1
input: [3, 32, 32]
blocks:
  Fused:
    params: {out: required, stride: 1}
    body: [{conv: {out: $out, kernel: 3, stride: $stride, padding: 1}}, relu]
  Depthwise:
    params: {out: required, stride: 1}
    body:
      - {conv: {kernel: 3, groups: depthwise, stride: $stride, padding: 1}}
      - {conv: {out: $out, kernel: 1}}
      - relu
sequential:
  - repeat: {kind: [Fused, Depthwise], c: [8, 16], n: [1, 3], s: [1, 2]}
    sequential:
      - {call: $kind, with: {out: $c, stride: $(s if loop.first else 1)}, repeat: $n}
"""


def test_a_param_names_the_block(tmp_path: Path) -> None:
    program = loads(RESNET)
    check(program)
    assert not any(lies(program, tmp_path))
    assert "class Bottleneck(nn.Module)" in program.code
    assert "BasicBlock" not in program.code
    basic = loads(RESNET, variant="basic")
    check(basic)
    assert "self.layer1 = nn.Sequential(BasicBlock(stem, 8), BasicBlock(8, 8))" in basic.code


def test_it_is_what_the_block_written_out_is() -> None:
    written = RESNET.replace("call: $kind\n        with:", "Bottleneck:")
    assert "call" not in written
    assert loads(written).code == loads(RESNET).code


def test_a_class_is_handed_to_the_constructor(tmp_path: Path) -> None:
    program = loads(STAGES)
    assert "kind: type[nn.Module], width: int, n: int = 2" in program.code
    assert "kind(width, width) for _ in range(n - 1)" in program.code
    assert "Stage(4, kind=Wide, width=4, n=3)" in program.code
    check(program)
    assert not any(lies(program, tmp_path))


def test_a_column_names_the_block() -> None:
    program = loads(TABLE)
    check(program)
    names = [name for name in (s.path for s in program.graph.steps[1:]) if name.endswith("relu1")]
    assert names == ["0.0.relu1", "1.0.relu1", "1.1.relu1", "1.2.relu1"]


def test_without_an_id_it_is_named_after_its_block() -> None:
    program = loads(TABLE.replace("sequential:\n  - repeat", "body:\n  - repeat").replace(
        "    sequential:\n      - {call", "    body:\n      - {call"
    ))  # fmt: skip
    paths = {step.path.partition(".")[0] for step in program.graph.steps[1:]}
    assert paths == {"fused1", "depthwise1", "depthwise2", "depthwise3"}


@pytest.mark.parametrize(
    ("old", "new", "code", "sentence"),
    [
        ("kind: Bottleneck", "kind: Botleneck", "E207", "there is no block `Botleneck` in this"),
        ("kind: Bottleneck", "kind: relu", "E207", "there is no block `relu` in this file"),
        ("kind: Bottleneck", "kind: 3", "E361", "`call` is 3; it takes the name of a block"),
        ("with: {width: $w,", "with: {", "E212", "`Bottleneck` needs `width`"),
        ("with: {", "with: {groups: 2, ", "E208", "`Bottleneck` has no parameter `groups`"),
        ("repeat: $n\n", "repeat: $n\n        from: {y: prev}\n", "E311", "has no input `y`"),
    ],
)
def test_what_does_not_fit_the_block_is_said_once(
    old: str, new: str, code: str, sentence: str
) -> None:
    text = RESNET.replace("variants: {basic: {kind: BasicBlock}}\n", "")
    with pytest.raises(SpecError) as caught:
        loads(text.replace(old, new))
    (fault,) = caught.value.faults
    assert (fault.code, sentence in fault.message) == (code, True), fault.message


@pytest.mark.parametrize(
    ("item", "code", "sentence"),
    [
        ("{call: relu}", "E204", "`call` is the text `relu`; it takes the name of a block"),
        ("{call: 3}", "E204", "`call` is the number 3"),
        ("{call: Unit, with: 3}", "E204", "`with` is the number 3; it takes a mapping"),
        ("{call: Unit}", "E209", "`Unit` needs `width`"),
        ("{call: Unit, with: {widht: 3}}", "E208", "`Unit` has no parameter `widht`"),
        ("{call: Unti, with: {width: 3}}", "E207", "there is no block `Unti` in this file"),
        ("{Unit: 3, with: {width: 3}}", "E215", "`with` means nothing on `Unit`"),
        ("{call: $kind, with: {width: 3}}", "E219", "`kind` is not known here"),
    ],
)
def test_the_form_of_a_call(item: str, code: str, sentence: str) -> None:
    blocks = "blocks:\n  Unit: {params: {width: required}, body: [{linear: $width}]}\n"
    with pytest.raises(SpecError) as caught:
        loads(f"spec: 1\ninput: [3]\n{blocks}body:\n  - {item}\n")
    fault = caught.value.faults[0]
    assert (fault.code, sentence in fault.message) == (code, True)


def test_a_free_axis_chooses_no_block() -> None:
    blocks = "blocks:\n  A: {body: [relu]}\n  B: {body: [tanh]}\n"
    choice = "body:\n  - {call: \"$('A' if prev.shape[0] > 3 else 'B')\"}\n"
    assert loads(f"spec: 1\ninput: [4, 3]\n{blocks}{choice}").graph.steps[1].path == "a1.relu1"
    with pytest.raises(SpecError) as caught:
        loads(f"spec: 1\ninput: [{{T: 4}}, 3]\n{blocks}{choice}")
    (fault,) = caught.value.faults
    assert fault.code == "E326"
    assert fault.message.startswith("`call` follows from the free axis `T`")


def test_a_block_that_calls_itself_by_a_param_ends() -> None:
    blocks = "blocks:\n  A: {params: {k: A}, body: [{call: $k, with: {k: $k}}]}\n"
    with pytest.raises(SpecError) as caught:
        loads(f"spec: 1\ninput: [4]\n{blocks}body: [A]\n")
    assert [fault.code for fault in caught.value.faults] == ["E407"]


def test_a_used_file_is_called_as_a_block_is() -> None:
    text = "spec: 1\nuse: {Net: lenet5}\nparams: {k: Net}\ninput: [1, 32, 32]\n"
    program = loads(f"{text}body: [{{call: $k, with: {{classes: 4}}}}]\n")
    assert program.graph.steps[-1].outs[0].shape == (4,)


def called(node: Any, blocks: dict[str, Any], params: dict[str, str] | None) -> Any:
    """The same document, each block called by `call`: by its name, or by a param that has it."""
    if isinstance(node, list):
        return [called(entry, blocks, params) for entry in node]
    if isinstance(node, str) and node in blocks:
        node = {node: None}
    if not isinstance(node, dict):
        return node
    found = {key: called(value, blocks, params) for key, value in node.items()}
    for name in blocks.keys() & node.keys():
        args = found.pop(name)
        if args is not None and not isinstance(args, dict):
            args = {next(iter(blocks[name]["params"])): args}
        word = name
        if params is not None:
            params[f"kind_{name.lower()}"] = name
            word = f"$kind_{name.lower()}"
        found |= {"call": word} | ({"with": args} if args else {})
    return found


def test_random_networks_are_the_same_however_blocks_are_called() -> None:
    tried = 0
    for seed in range(40):
        data = yaml.safe_load(from_seed(seed))
        blocks = data.get("blocks", {})
        names: dict[str, str] = {}
        by_name = {**data, "body": called(data.get("body"), blocks, None)}
        by_param = {**data, "body": called(data.get("body"), blocks, names)}
        if not names or "sequential" in data:
            continue
        by_param["params"] = {**(data.get("params") or {}), **names}
        try:
            wanted = loads(yaml.safe_dump(data, sort_keys=False))
        except SpecError:
            continue
        assert loads(yaml.safe_dump(by_name, sort_keys=False)).code == wanted.code
        other = loads(yaml.safe_dump(by_param, sort_keys=False))
        assert [(s.path, s.op, s.outs) for s in other.graph.steps] == [
            (s.path, s.op, s.outs) for s in wanted.graph.steps
        ]
        assert other.code == wanted.code
        tried += 1
    assert tried > 5


def test_a_negative_argument_is_honest_too(tmp_path: Path) -> None:
    program = loads("""\
spec: 1
name: fuse
input: [3, 64, 64]
blocks:
  Down:
    params: {out: required, up: required}
    sequential:
      - repeat: "$(max(0, -up))"
        conv: {out: $(out if loop.last else prev.channels), kernel: 3, stride: 2, padding: 1}
body:
  - {Down: {out: 8, up: -1}}
  - relu
  - {Down: {out: 6, up: -3}}
""")
    check(program)
    assert not any(lies(program, tmp_path))
