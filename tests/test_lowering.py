"""What is emitted computes what the graph says, at other values too."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from arguments import lies
from random_specs import from_seed
from test_random_specs import check_outputs

from archspec.emit.lowering.network import class_name, lower
from archspec.module import compare
from archspec.network import Program, load, loads
from archspec.text.faults import SpecError


def module_class(program: Program) -> Any:
    """The class that the emitted text defines."""
    names: dict[str, Any] = {"__name__": "emitted"}
    exec(compile(program.code, program.name, "exec"), names)
    return names[class_name(program.name)]


def check(program: Program) -> Any:
    """The module, its weights and outputs compared with the graph's."""
    torch.manual_seed(0)
    module = module_class(program)()
    compare(module, program)
    check_outputs(program, module)
    return module


# ---------------------------------------------------------------- numbers that once were wrong

TWO_FACTORS = """\
spec: 1
name: net
input: [3, 32, 32]
blocks:
  Block:
    params: {heads: required}
    body:
      - scale: $((input.channels // heads) ** -0.5)
      - relu
      - scale: $(input.height / 8)
body:
  - conv: {out: 16, kernel: 1}
  - Block: 4
  - max_pool: 2
  - conv: {out: 27, kernel: 1}
  - Block: 3
"""
TWO_RESHAPES = """\
spec: 1
name: net
input: [16, 16]
blocks:
  Fold:
    params: {part: required}
    body:
      - reshape: ["$(input.shape[0] // part)", "$(input.shape[1] * part)"]
      - layer_norm: {affine: false}
      - reshape: $(input.shape)
body: [{Fold: 4}, {linear: 8}, {Fold: 2}, {linear: 4}, {Fold: 8}]
"""
NUMBERED = """\
spec: 1
name: net
input: [4, 8, 8]
body:
  - {id: a, conv: {out: 4, kernel: 1}}
  - {id: b, conv: {out: 4, kernel: 1}}
  - id: fuse
    sequential:
      - sequential: [{from: a, identity: }, {from: b, conv: {out: 4, kernel: 1}}]
      - sequential: [{from: a, conv: {out: 4, kernel: 1}}, {from: b, identity: }]
  - {id: s, add: [fuse.0.0, fuse.0.1]}
  - add: [fuse.1.0, fuse.1.1, s]
"""
OPPOSITE = """\
spec: 1
name: net
input: [8, 8, 8]
blocks:
  Unit:
    params: {two: required}
    body:
      - residual:
          - {id: main, when: $(not two), conv: {out: 8, kernel: 1}}
          - {id: main, when: $two, sequential: [{conv: {out: 8, kernel: 1}}]}
      - relu
body: [{id: a, Unit: true}, {id: b, Unit: false}]
"""
COLUMNS = """\
spec: 1
name: net
input: [3, 8, 8]
blocks:
  Unit:
    params: {kernels: [1, 3], deep: true}
    body:
      - repeat: {k: $kernels}
        body: [{conv: {out: 4, kernel: $k, padding: half}}, relu]
        when: $deep
      - {conv: {out: 4, kernel: 1}}
body: [{id: a, Unit: {deep: false}}, relu, {id: b, Unit: {kernels: [1, 5]}}]
"""
LAST_AXIS = "spec: 1\nname: net\ninput: [4, 8]\nbody: [{slice: {stop: 4, axis: -1}}]\n"
# a factor that is known behind a loop, and what is frozen is frozen behind that
FROZEN = """\
spec: 1
name: net
params: {depth: 2}
input: [3, 8, 8]
body:
  - id: convs
    repeat: $depth
    residual: [{conv: {out: $(2 * prev.channels), kernel: 1}}, relu]
    merge: concat
  - {freeze: true, batch_norm: }
  - scale: $(prev.channels ** -0.5)
"""
EVERY = (FROZEN, TWO_FACTORS, TWO_RESHAPES, NUMBERED, OPPOSITE, COLUMNS, LAST_AXIS)


@pytest.mark.parametrize("text", EVERY)
def test_networks_that_were_wrong_or_refused(text: str) -> None:
    check(loads(text))


def test_two_factors_are_two_numbers() -> None:
    module = check(loads(TWO_FACTORS)).eval()
    x = torch.randn(2, 16, 32, 32)
    with torch.no_grad():
        assert torch.equal(module.block1(x), torch.relu(x * (16 // 4) ** -0.5) * (32 / 8))


def test_a_document_fills_parameters_too() -> None:
    text = "spec: 1\nname: net\ninput: [8]\ninit: {parameter: {normal: 0.02}}\n"
    text += "body: [{id: scale, parameter: [8]}, {mul: [scale, input]}]\n"
    assert "nn.init.normal_(self.scale, std=0.02)" in loads(text).code


# ---------------------------------------------------------------- what a reviewer sends back

TAPPED = """\
spec: 1
name: net
input: [3, 8, 8]
body:
  - id: features
    sequential: [{conv: {out: 4, kernel: 1}}, relu, {conv: {out: 4, kernel: 1}}, relu]
  - add: [features.1, prev]
"""
LEARNED = """\
spec: 1
name: net
input: [4, 8, 8]
body:
  - {id: conv, conv: {out: 4, kernel: 1}}
  - {id: gamma, parameter: 4}
  - {id: scale, from: gamma, reshape: [4, 1, 1]}
  - mul: [conv, scale]
"""
STATES = """\
spec: 1
name: net
input: [7, 5]
body:
  - {id: encoder, lstm: {hidden: 6, layers: 2}}
  - {id: decoder, from: [encoder.output, encoder.h, encoder.c], lstm: {hidden: 6, layers: 2}}
  - {id: last, from: [decoder.output, decoder.h], gru: {hidden: 6, layers: 2}}
outputs: {y: last.output, h: encoder.h}
"""
NOTHING = """\
spec: 1
name: net
input: [4, 8, 8]
body:
  - {id: path, body: [{conv: {out: 4, kernel: 1}}, identity, relu]}
  - {id: none, sequential: [identity, identity]}
  - {id: list, repeat: 2, body: [{id: same, identity: }]}
  - sequential: [relu, identity]
"""
RATES = """\
spec: 1
name: net
input: [4, 8, 8]
body:
  - repeat: {c: [4, 8], s: [1, 2]}
    body:
      - id: "stage_$c"
        repeat: 2
        residual: [{conv: {out: $c, kernel: 3, stride: "$(s if loop.first else 1)", padding: 1}},
                   {drop_path: $(0.2 * loop.serial / loop.total)}]
        shortcut: [{conv: {out: $c, kernel: 1, stride: "$(s if loop.first else 1)"}}]
"""
NAMED = """\
spec: 1
name: net
input: [4, 8]
body: [{id: stem, linear: 8}, {id: a, tap: always, linear: 2}, {id: b, linear: 3}]
outputs: {a: a, b: b}
"""
HALVES = """\
spec: 1
name: net
input: [4, 8, 8]
body:
  - {id: halves, constant: [[[1.0]], [[2.0]], [[3.0]], [[4.0]]]}
  - {id: conv, from: input, conv: {out: 4, kernel: 1}}
  - {id: low, sub: [conv, halves]}
  - {id: high, add: [conv, halves]}
  - concat: [low, high]
"""


@pytest.mark.parametrize(
    ("text", "written", "never"),
    [
        (HALVES, "torch.cat([x - self.halves, x + self.halves], 1)", "= self.halves"),
        (TAPPED, "self.features[1](self.features[0](x))", r"class Features|\[\"0\"\]"),
        (LEARNED, "self.gamma.view(-1, 1, 1)", "expand|reshape"),
        (STATES, "self.decoder(output, (h, c))", "contiguous"),
        (NOTHING, "nn.Sequential(OrderedDict(conv1=nn.Conv2d(4, 4, 1), relu1=nn.ReLU()))", "Ident"),
        (RATES, "DropPath(0.2 * serial / 4)", r"class Stage\d"),
        (NAMED, "b = self.b(x)", "y = self"),
    ],
)
def test_texts_that_a_reviewer_would_send_back(text: str, written: str, never: str) -> None:
    program = loads(text)
    check(program)
    assert written in program.code
    assert not re.search(never, program.code)


# ---------------------------------------------------------------- free axes

POSITIONS = """\
spec: 1
name: net
input: {tokens: {shape: [{T: 64}], dtype: int}}
body:
  - {id: wte, embedding: {num: 100, dim: 8}}
  - {id: wpe, parameter: [512, 8]}
  - {id: positions, from: wpe, slice: {stop: "$(tokens.shape[0])"}}
  - add: [wte, positions]
"""
TOKENS = """\
spec: 1
name: net
input: [4, {H: 8}, {W: 12}]
blocks:
  Mix:
    body:
      - flatten: 1
      - permute: [1, 0]
      - layer_norm
      - permute: [1, 0]
      - unflatten: {axis: 1, shape: ["$(input.height)", "$(input.width)"]}
body: [{conv: {out: 6, kernel: 3, padding: 1}}, Mix, {max_pool: 2}, Mix]
"""


@pytest.mark.parametrize(
    ("text", "sizes"),
    [
        (POSITIONS, {"tokens": (32,)}),
        (TOKENS, {"input": (4, 10, 6)}),
        (TOKENS, {"input": (4, 4, 4)}),
    ],
)
def test_free_axes_are_not_in_the_text(text: str, sizes: dict[str, tuple[int, ...]]) -> None:
    program = loads(text)
    other = loads(text, inputs=sizes)
    module = check(program)
    check_outputs(other, module)
    assert not re.search(r"\b64\b|, 8\), ", program.code)


# ---------------------------------------------------------------- arguments

ARGUMENT = """\
spec: 1
name: net
params: {mid: 24}
input: [3, 8, 8]
body:
  - {id: a, conv: {out: $(ceil(mid / 2)), kernel: 1}}
  - {id: b, conv: {kernel: 3, padding: 1, groups: depthwise}}
  - concat: [a, b]
  - slice: {stop: $mid}
  - conv: {out: 10, kernel: 1}
"""
FOLLOWS = """\
spec: 1
name: net
params: {p: 4, w: $(2 * p), flag: true}
input: [3, 8, 8]
body:
  - {conv: {out: $w, kernel: 1}}
  - {relu: , when: $(p > 3)}
  - {linear: 3, when: false}
  - {conv: {out: $p, kernel: 1}}
"""


# calls that need the shortcut, and none at another place: `stride` is said once an axis
SHORTCUT = """\
spec: 1
name: net
input: [3, 4, 8, 8]
blocks:
  Basic:
    params: {out: required, stride: 1}
    body:
      - residual:
          - {id: conv1, conv: {out: $out, kernel: 3, stride: $stride, padding: 1}}
        shortcut:
          - id: down
            sequential: [{conv: {out: $out, kernel: 1, stride: [$stride, $stride, $stride]}}]
            when: $(stride != 1 or input.channels != out)
      - relu
body: [{Basic: 3}, {Basic: {out: 6, stride: 2}}]
"""
# a shortcut that no call needs, and widths that pass through what has none of its own
NEVER = """\
spec: 1
name: net
input: [8, 8, 8]
blocks:
  Gelu: {body: [{id: gated, sigmoid: }, {mul: [input, gated]}]}
  Basic:
    params: {out: required, deep: false}
    body:
      - residual:
          - {id: conv1, conv: {out: $(4 * out), kernel: 1}}
          - Gelu
          - {id: conv2, conv: {out: $out, kernel: 1}}
        shortcut:
          - {id: down, conv: {out: $out, kernel: 1}, when: $(input.channels != out)}
      - {id: more, conv: {out: $out, kernel: 1}, when: $deep}
body: [{Basic: 8}, {Basic: 8}]
"""
POOLS = """\
spec: 1
name: net
input: [8, 8, 8]
blocks:
  Conv:
    params: {out: required, kernel: 1, act: silu}
    body: [{conv: {out: $out, kernel: $kernel, padding: same}}, {activation: $act}]
  Pools:
    params: {out: required}
    body:
      - {id: cv1, Conv: $(input.channels // 2)}
      - {id: m, max_pool: {kernel: 3, stride: 1, padding: 1}}
      - {id: m2, shared: m}
      - concat: [cv1, m, m2]
      - {id: cv2, Conv: {out: $out, act: relu}}
body: [{Conv: {out: 6, kernel: 3}}, {Pools: 4}]
"""
RECURSIVE = """\
spec: 1
name: net
input: [4, 8]
blocks:
  Level:
    params: {depth: required, width: required}
    body:
      - {conv: {out: $width, kernel: 3, padding: 1}}
      - residual:
          - Level: {depth: $(depth - 1), width: $(2 * width)}
          - conv: {out: $width, kernel: 1}
        merge: concat
        when: $(depth > 0)
      - {conv: {out: "$(input.channels)", kernel: 1}}
body: [{Level: {depth: 2, width: 4}}]
"""
COUNTS = """\
spec: 1
name: net
input: [4, 8]
blocks:
  Unit:
    params: {n: required, limit: 5}
    body:
      - {conv: {out: $n, kernel: 1}}
      - {conv: {out: 3, kernel: 1}, when: $(n > 100)}
body: [{Unit: {n: 2}}, {Unit: {n: 4}}]
"""
BLOCKS = (SHORTCUT, NEVER, POOLS, RECURSIVE, COUNTS)
SHIPPED = ("elu_network", "lenet5", "resnet50")


@pytest.mark.parametrize("name", SHIPPED)
def test_arguments_of_shipped_specs_are_honest(name: str, tmp_path: Path) -> None:
    honest(load(name), tmp_path)


# where a condition does not hold, `conv2` would be called `conv1`
RENAMED = """\
spec: 1
name: net
input: [4, 6, 6]
blocks:
  Unit:
    params: {out: ~}
    body:
      - {conv: {out: 8, kernel: 1}, when: $(input.channels != 8)}
      - relu
      - conv: {out: $out, kernel: 1}
body: [Unit: 6, Unit: 7]
"""
# a number of copies that is written out: the same at a width of one more
COUNTED = """\
spec: 1
name: net
input: [2, 6, 6]
blocks:
  Deep:
    params: {width: ~}
    body:
      - conv: {out: $width, kernel: 1}
      - {repeat: $(width // 2 + 1), residual: [hardswish]}
      - conv: {out: 2, kernel: 1}
body: [Deep: 4, tanh, Deep: 4]
"""


@pytest.mark.parametrize("text", [ARGUMENT, FOLLOWS, *BLOCKS, RENAMED, COUNTED])
def test_arguments_are_honest(text: str, tmp_path: Path) -> None:
    honest(loads(text), tmp_path)


@pytest.mark.parametrize("seed", range(0, 60, 3))
def test_arguments_of_random_specs_are_honest(seed: int, tmp_path: Path) -> None:
    try:
        program = loads(from_seed(seed))
    except SpecError:
        return
    honest(program, tmp_path)


def honest(program: Program, folder: Path) -> None:
    """Each argument of each class at two other values, against the spec there."""
    assert not list(filter(None, lies(program, folder)))


def signatures(text: str) -> dict[str, list[str]]:
    """The arguments of every class."""
    program = loads(text)
    lowered = lower(program.again, program.name, program.spec.init, traced=True)
    return {c.name: [p.name for p in c.parameters] for c in lowered.order}


def test_what_no_call_has_is_in_the_class_for_other_arguments() -> None:
    assert signatures(NEVER)["Basic"] == ["in_channels", "out"]
    code = loads(NEVER).code
    assert "if in_channels != out else None" in code
    assert "nn.Conv2d(4 * out, out, 1)" in code


def test_an_argument_that_cannot_be_honest_is_not_there() -> None:
    assert signatures(COUNTS) == {"Unit": ["in_channels"], "Unit2": ["in_channels"], "Net": []}


def test_a_param_that_decides_what_is_there_is_no_argument() -> None:
    assert "p: int" not in loads(FOLLOWS).code


HIDING = """\
spec: 1
name: net
input: [3, 8, 8]
blocks:
  Unit:
    params: {out: required, half: true}
    body:
      - {id: a, conv: {out: $out, kernel: 1}}
      - {flip: 1, when: $half}
      - add: [a, prev]
body: [Unit: 4, relu, Unit: {out: 6, half: false}]
"""


def test_a_param_hides_no_method_of_a_module() -> None:
    program = loads(HIDING)
    assert "half: bool" in program.code
    assert "self.half =" not in program.code
    model = module_class(program)()
    assert model.half().get_parameter("unit2.a.weight").dtype == torch.float16


# attention that is causal is called otherwise
CAUSAL = """\
spec: 1
name: net
input: [7, 8]
blocks:
  Layer:
    params: {heads: required, causal: false}
    body: [{attention: {heads: $heads, causal: $causal}}, layer_norm]
body: [Layer: 2, Layer: {heads: 4, causal: true}]
"""


def test_classes_that_a_flag_tells_apart_are_called_after_it() -> None:
    assert list(signatures(CAUSAL)) == ["Layer", "CausalLayer", "Net"]


# how often something is repeated is no argument where each copy is read by itself
TAPS = """\
spec: 1
name: net
input: [4, 8, 8]
blocks:
  Chain:
    params: {depth: required}
    body:
      - {id: m, repeat: $depth, conv: {out: 4, kernel: 1}}
      - max: m.*
body: [Chain: 1, Chain: 2, Chain: 2]
"""


def test_classes_that_a_count_tells_apart_are_called_after_it() -> None:
    assert list(signatures(TAPS)) == ["ChainDepth1", "ChainDepth2", "Net"]


# with as many heads of key as of query, attention is called without `enable_gqa`
GROUPED = """\
spec: 1
name: net
params: {heads: 8, shared: 4, feed: 20}
input: [{T: 9}, 48]
blocks:
  Heads:
    params: {heads: required}
    body: [{unflatten: {axis: 1, shape: [$heads, -1]}}, {permute: [1, 0, 2]}]
  Attention:
    params: {heads: $heads, shared: $shared}
    body:
      - {id: q, Heads: $heads}
      - {id: few, from: input, linear: $(input.features // heads * shared)}
      - {id: k, Heads: $shared}
      - {from: [q, k, k], dot_attention: }
body: [Attention, {permute: [1, 0, 2]}, {flatten: 1}, {linear: $feed}]
"""


def test_a_param_that_decides_leaves_the_others_where_they_are() -> None:
    assert signatures(GROUPED)["Net"] == ["heads", "feed"]


def many(count: int) -> str:
    """A param for each width, and three of them that can be no arguments."""
    params = "".join(f"  w{k}: {8 + k % 5}\n" for k in range(count))
    convs = "".join(f"- conv: {{out: $w{k}, kernel: 1}}\n- relu\n" for k in range(count))
    return f"""\
spec: 1
name: many
input: [3, 4, 4]
params:
  decides: 9
  divides: 12
  usual: 8
{params}blocks:
  B: {{params: {{w: 8}}, body: [{{conv: {{out: $w, kernel: 1}}}}]}}
body:
{convs}- {{gelu: , when: $(decides < 30)}}
- {{conv: {{out: 12, kernel: 1, groups: $(1 if divides == 12 else 5)}}}}
- {{B: {{w: $usual}}}}
"""


def test_a_large_network_is_tried_at_other_values_one_after_another() -> None:
    """All params at once; where the text is wrong there, by halves. The time goes by the size."""
    program = loads(many(50))
    (arguments,) = [p for title, p in signatures(many(50)).items() if title == "Many"]
    assert arguments == [f"w{k}" for k in range(50)]
    names: dict[str, Any] = {"__name__": "emitted"}
    exec(compile(program.code, "many", "exec"), names)
    given = {"w3": 5, "w30": 17, "w49": 2}
    compare(names["Many"](**given), program.with_(**given))


def test_params_of_the_document_are_handed_through(tmp_path: Path) -> None:
    text = "spec: 1\nname: net\nparams: {heads: 2, depth: 2}\ninput: [5, 8]\nblocks:\n"
    text += "  Layer: {params: {heads: $heads}, body: [{residual: [{attention: $heads}]}]}\n"
    text += "  Tower: {body: [{id: layers, Layer: , repeat: 2}]}\nbody: [Tower]\n"
    code = loads(text).code
    assert "Tower(8, heads=heads)" in code
    honest(loads(text), tmp_path)


CHANNELS_LAST = """
spec: 1
name: channels_last
input: [3, 8, 12]
blocks:
  Mlp:
    body: [{residual: [{linear: $(4 * input.features)}, gelu, {linear: $(input.features)}]}]
  Head: {body: [{conv: {out: 5, kernel: 3}}, global_avg_pool, {linear: 8}]}
body:
  - {permute: [1, 2, 0]}
  - Mlp
  - {linear: 6}
  - Mlp
  - {permute: [2, 0, 1]}
  - Head
"""


def test_sizes_are_called_what_they_are() -> None:
    code = loads(CHANNELS_LAST).code
    assert '"""[H, W, in_features] -> [H, W, in_features]."""' in code
    assert "self.linear1 = nn.Linear(in_features, 4 * in_features)" in code
    assert "self.mlp2 = Mlp(6)" in code
    assert '"""[in_channels, H, W] -> [8]."""' in code  # not H, which is 8 here too


POINTED = """
spec: 1
name: pointed
input: [4, 8, 8]
blocks:
  Pre:
    params: {out: required, stride: 1, project: false}
    body:
      - {id: act, relu: }
      - {id: side, conv: {out: $out, kernel: 1, stride: $stride}, when: $project}
      - {id: conv, from: act, conv: {out: $out, kernel: 3, padding: 1, stride: $stride}}
      - add: [conv, "$('side' if project else 'input')"]
body:
  - {Pre: {out: 8, project: true}}
  - {Pre: {out: 8}}
  - {Pre: {out: 16, stride: 2, project: true}}
"""


def test_what_says_where_an_item_is_taken_from_is_no_argument() -> None:
    """With `project=False` the first class would add what it normed; no spec accepts it there."""
    code = loads(POINTED).code
    assert "project" not in code
    assert "if " not in code


def test_a_size_that_decides_which_names_there_are_is_no_argument(tmp_path: Path) -> None:
    """Found by `arguments`: at 8 channels the first is not there, and `conv2` would be `conv1`."""
    program = loads("""\
spec: 1
name: net
input: [4, 8, 8]
body:
  - repeat: 2
    id: s
    residual:
      - {conv: {out: 8, kernel: 3, padding: 1}, when: $(prev.channels != 8)}
      - relu
      - {conv: {out: 2, kernel: 3, padding: 1}}
    shortcut:
      - {conv: {out: 2, kernel: 1}}
""")
    assert not list(filter(None, lies(program, tmp_path)))
    check(program)
