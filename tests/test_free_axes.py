"""Free axes: the source has no number of them, runs wherever `sizes` says, and `check` says where not."""

# ruff: noqa: E501  (bodies as authors write them)

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from mutants import with_fixed_sizes
from shipped import program
from test_random_specs import DTYPES, differences, randomise, shapes

from archspec import shelf
from archspec.analysis.sizes import InputSize
from archspec.emit.check import verify
from archspec.emit.proof import UnprovenError, prove
from archspec.expand.running import Elsewhere
from archspec.expand.tree import Instance
from archspec.module import build, network_class
from archspec.network import Program, loads
from archspec.text.faults import SpecError

HEAD = "spec: 1\nname: drawn\n"


def tensors(program: Program, at: Mapping[str, list[int]], device: str = "cpu") -> list[Any]:
    found = []
    for name, shape in at.items():
        dtype = DTYPES[program.graph.at(name).outs[0].dtype]
        if dtype == torch.float32:
            found.append(torch.randn(2, *shape, device=device))
        else:
            found.append(torch.randint(0, 2, (2, *shape), device=device).to(dtype))
    return found


def follows(text: str, *more: int) -> Program:
    """The module made at one size computes at others what the spec says there."""
    program = loads(HEAD + text)
    module: Any = network_class(program)()
    randomise(module)
    module.eval()
    for n in more:
        other = {axis: size + n for axis, size in program.graph.free_axes.items()}
        there = loads(HEAD + text, inputs=shapes(program, other))
        again: Any = network_class(there)()
        again.load_state_dict(module.state_dict())
        inputs = tensors(program, shapes(program, other))
        with torch.no_grad():
            assert differences(module(*inputs), again.eval()(*inputs)) == [], n
    return program


OPS = {
    "slice": ("[2, {L: 12}]", "[{slice: {stop: $(prev.width // 2), axis: 1}}]"),
    "slice_from_the_end": ("[2, {L: 12}]", "[{conv: {out: 2, kernel: 3}}, {slice: {start: $(prev.width - 2), axis: -1}}]"),
    "select": ("[2, {L: 12}]", "[{select: {index: $(prev.width // 2), axis: 1}}]"),
    "reshape": ("[2, {H: 12}, {W: 8}]", "[relu, {reshape: ['$(prev.shape[0] * prev.shape[1])', $(prev.width)]}]"),
    "reshape_the_rest": ("[2, {H: 12}, {W: 8}]", "[{reshape: [-1, $(prev.width)]}]"),
    "unflatten": ("[2, {L: 12}]", "[{unflatten: {axis: 1, shape: [$(prev.width // 2), 2]}}]"),
    "expand": ("[{T: 12}, 4]", "[{id: cls, parameter: {shape: [1, 4]}}, {concat: [cls, input]}]"),
    "upsample": ("[2, {H: 12}, {W: 8}]", "[{max_pool: 2}, {upsample: {size: ['$(input.height)', '$(input.width)'], mode: bilinear, align_corners: true}}]"),
    "upsample_like": ("[2, {H: 12}, {W: 8}]", "[{max_pool: 2}, {upsample: {}, from: [prev, input]}]"),
    "crop": ("[2, {H: 12}, {W: 8}]", "[{crop: {size: ['$(prev.height // 2)', '$(prev.width - 2)']}}]"),
    "crop_from": ("[2, {H: 12}, {W: 8}]", "[{crop: {offset: ['$(prev.height // 4)', 1], size: ['$(prev.height // 2)', '$(prev.width - 2)']}}]"),
    "pad": ("[2, {H: 12}, {W: 8}]", "[{pad: {amounts: [[0, $(-prev.height % 5)], [0, $(-prev.width % 5)]]}}]"),
    "pad_with_a_value": ("[2, {L: 12}]", "[{pad: {amounts: [[$(prev.width % 5), 1]], value: 0.5}}]"),
    "pad_reflected": ("[2, {L: 12}]", "[{pad: {amounts: [[$(prev.width % 5), 1]], mode: reflect}}]"),
    "adaptive_avg_pool": ("[2, {H: 12}, {W: 8}]", "[{adaptive_avg_pool: ['$(prev.height // 2)', 2]}]"),
    "adaptive_max_pool": ("[2, {L: 12}]", "[{adaptive_max_pool: $(prev.width // 2)}]"),
    "scale": ("[2, {L: 12}]", "[{scale: $(1 / prev.width)}]"),
    "roll": ("[2, {L: 12}]", "[{roll: {shifts: ['$(prev.width // 2)'], axis: [1]}}]"),
    "split": ("[2, {L: 12}]", "[{id: s, split: {sizes: [2, $(prev.width - 2)], axis: 1}}, {concat: {axis: 1}, from: [s.1, s.0]}]"),
    "sine_positions": ("[{T: 12}, 4]", "[sine_positions, {linear: 3}]"),
    "positions": ("{t: {shape: [{T: 24}], dtype: int}}", "[{id: e, embedding: {num: 9, dim: 4}}, {id: table, parameter: [64, 4]}, {id: here, from: table, slice: {stop: '$(t.shape[0])'}}, {add: [e, here]}]"),
    "same_padding": ("[2, {H: 12}, {W: 9}]", "[{conv: {out: 3, kernel: 3, stride: 2, padding: same}}, {max_pool: {kernel: 3, stride: 2, padding: same}}]"),
    "attention": ("[{T: 12}, 4]", "[{attention: {heads: 2, causal: true}}]"),
    "in_a_sequential": ("[2, {H: 12}, {W: 8}]", "[{id: g, sequential: [relu, {reshape: [2, $(prev.height * prev.width)]}, tanh]}]"),
    "in_a_group_that_reads_the_input": ("[2, {H: 12}, {W: 8}]", "[{conv: {out: 4, kernel: 3}}, {id: g, body: [{max_pool: 2}, {upsample: {size: ['$(input.height)', '$(input.width)']}}, {conv: {out: 2, kernel: 1}}]}, {add: [prev, input]}]"),
    "in_branches": ("[2, {H: 12}, {W: 8}]", "[{branches: {a: [relu, {reshape: ['$(prev.channels)', '$(prev.height * prev.width)']}], b: [{flatten: 1}]}, merge: concat}]"),
    "in_a_repeat": ("[2, {L: 12}]", "[{repeat: {k: [1, 2]}, body: [{conv: {out: 2, kernel: 3}}, {slice: {start: $k, stop: $(prev.width - k), axis: 1}}, {scale: $(1 / prev.width)}]}]"),
    "of_an_item_by_id": ("[3, {H: 16}, {W: 18}]", "[{id: c, conv: {out: 4, kernel: 3}}, {id: g, body: [{max_pool: 2}, {upsample: {size: ['$(c.height)', '$(c.width)']}}]}, {add: [c, g]}]"),
    "of_another_input": ("{a: [2, {L: 12}], b: [2, {L: 12}]}", "[{id: x, from: a, slice: {stop: $(b.width // 2), axis: 1}}, {id: y, from: b, slice: {start: $(a.width - a.width // 2), axis: 1}}, {add: [x, y]}]"),
    "far_from_the_input": ("[2, {L: 36}]", "[" + "{upsample: 7}, {max_pool: {kernel: 2, stride: 5}}, {upsample: 5}, {max_pool: {kernel: 2, stride: 7, padding: 1}}, " * 30 + "{slice: {stop: $(prev.width // 2), axis: 1}}]"),
}  # fmt: skip


@pytest.mark.parametrize("case", OPS)
def test_an_argument_follows_the_running_size(case: str) -> None:
    given, body = OPS[case]
    program = follows(f"input: {given}\nbody: {body}\n", 8)
    own = program.code[program.code.index("class Drawn(") :]
    for axis, size in program.graph.free_axes.items():
        assert size < 10 or not re.search(rf"[^a-z\d]{size}\b", own)
        assert axis in own.split('"""')[1]  # [2, L] -> [2, L // 2]


@pytest.mark.parametrize("case", OPS)
def test_a_number_that_is_right_at_one_size_only_is_not_written(case: str) -> None:
    given, body = OPS[case]
    program = loads(f"{HEAD}input: {given}\nbody: {body}\n")
    root, fixed = program.graph.root, re.findall(r"(?<![: \d]) ?(\d+)[,\]]", given)
    for texts in with_fixed_sizes(program.code):
        n, text = next((n, t) for n, t in enumerate(texts) if not refused(t, root, None))
        assert ", where " in refused(text, root, program.elsewhere) or str(n) in fixed


def refused(text: str, root: Instance, there: Elsewhere | None) -> str:
    """Why a text is not the network, `there` too; "" where it is."""
    try:
        prove(verify(text), root, there)
    except UnprovenError as error:
        return error.message
    return ""


BLOCKS = {
    "two inputs": """
input: [2, {H: 12}, {W: 8}]
blocks:
  Up:
    inputs: [x, y]
    body: [{id: u, from: x, upsample: {size: ["$(y.height)", "$(y.width)"]}}, {add: [u, y]}]
body: [{id: a, max_pool: 2}, {id: b, max_pool: 2}, {id: c, Up: , from: [b, a]}, {Up: , from: [c, input]}]
""",
    "sequences": """
input: [{T: 12}, 4]
blocks:
  Half: {body: [{slice: {stop: "$(input.shape[0] // 2)"}}, {scale: "$(1 / input.shape[0])"}, {linear: "$(input.features)"}]}
body: [Half, Half]
""",
    "heads": """
input: [{T: 12}, 8]
blocks:
  Attend:
    params: {heads: 2}
    body:
      - {id: q, from: input, linear: $(input.features)}
      - {id: split, reshape: ["$(input.shape[0])", $heads, "$(input.features // heads)"]}
      - {id: query, permute: [1, 0, 2]}
      - {id: k, from: input, linear: $(input.features)}
      - {id: keys, unflatten: {axis: -1, shape: [$heads, -1]}}
      - {id: turned, permute: [1, 2, 0]}
      - {matmul: [query, turned]}
      - {scale: "$((input.features // heads) ** -0.5)"}
      - softmax
      - {matmul: [prev, query]}
      - {permute: [1, 0, 2]}
      - {flatten: 1}
body: [{repeat: 2, Attend: }]
""",
    "inside itself": """
input: [2, {L: 16}]
blocks:
  Net:
    params: {depth: required}
    body:
      - {id: c, conv: {out: 2, kernel: 3, padding: 1}}
      - id: low
        body: [{max_pool: 2}, {Net: $(depth - 1)}, {upsample: {size: $(input.width)}}]
        when: $(depth > 0)
      - {add: [low, c]}
body: [{Net: 2}]
""",
    "an item by id": """
input: [3, {H: 16}, 18]
blocks:
  B: {body: [{id: c, conv: {out: 3, kernel: 3}}, {max_pool: 2}, {upsample: {size: ["$(c.height)", "$(c.width)"]}}, {add: [prev, c]}]}
body: [B, B]
""",
}


@pytest.mark.parametrize("case", BLOCKS)
def test_so_does_one_inside_of_a_block(case: str) -> None:
    follows(BLOCKS[case], 3, 8)


def test_a_fixed_axis_is_a_number() -> None:
    program = loads(
        HEAD + "input: [2, 12, {W: 8}]\nbody: [{adaptive_avg_pool: [$(prev.height // 2), 2]}]\n"
    )
    assert "nn.AdaptiveAvgPool2d((6, 2))" in program.code


# ---------------------------------------------------------------- check and sizes agree


def accepted(size: InputSize, usual: int) -> list[int]:
    """Sizes that are said to fit: the least, and the largest or one beside the usual."""
    above = (n for n in range(usual + 1, usual + size.period + 1) if size.accepts(n))
    return [size.minimum, size.maximum or next(above)]


def runs_where_it_says(program: Program) -> int:
    """Runs the module, on meta, at the sizes that `sizes` says fit; how many."""
    with torch.device("meta"):
        module: Any = network_class(program)().eval()
    count = 0
    for size in program.analysis.sizes:
        free = [axis for axis in size.axes if axis in program.graph.free_axes]
        if size.training or not free:
            continue
        for n in accepted(size, program.graph.free_axes[free[0]]):
            for axes in [free] if size.together else [[axis] for axis in free]:
                at = shapes(program, dict.fromkeys(axes, n))
                module(*tensors(program, at, "meta"))
                count += 1
        for n in {size.minimum - 1, (size.maximum or size.minimum - 2) + 1} - {0}:
            if not size.together:  # what does not fit is no size of the spec either
                with pytest.raises(SpecError):
                    loads(program.source.text, inputs=shapes(program, {free[0]: n}))
    return count


FREE = [n for n in shelf.names() if program(n).graph.free_axes and "faster_rcnn" not in n]


@pytest.mark.parametrize("name", FREE)
def test_shipped_specs_run_at_the_sizes_that_fit(name: str) -> None:
    assert runs_where_it_says(program(name))


@pytest.mark.parametrize("case", [case for case in OPS if case != "far_from_the_input"])
def test_checked_specs_run_at_the_sizes_that_fit(case: str) -> None:
    given, body = OPS[case]
    assert runs_where_it_says(loads(f"{HEAD}input: {given}\nbody: {body}\n"))


def test_a_table_of_positions_ends() -> None:
    given, body = OPS["positions"]
    (size,) = loads(f"{HEAD}input: {given}\nbody: {body}\n").analysis.sizes
    assert (size.minimum, size.maximum) == (1, 64)
    assert str(size).startswith("T: 1 to 64")


def test_a_network_eight_levels_deep_takes_multiples_of_256() -> None:
    text = """
params: {depth: 8}
input: [1, {H: 512}, {W: 512}]
blocks:
  Level:
    params: {depth: required}
    body:
      - residual:
          - {conv: {out: 4, kernel: 4, stride: 2, padding: 1}}
          - {Level: $(depth - 1), when: $(depth > 1)}
          - {conv_transpose: {out: 4, kernel: 4, stride: 2, padding: 1}}
        merge: concat
body: [{Level: $depth}]
"""
    (size,) = loads(HEAD + text).analysis.sizes
    assert size.accepted == "multiples of 256, at least 256"


def test_a_name_belongs_to_one_axis() -> None:
    """`T` is the free axis, not the features that a layer norm reads behind it."""
    (size,) = loads(
        HEAD + "input: [4, {T: 12}]\nbody: [{layer_norm: {axis: channels}}]\n"
    ).analysis.sizes
    assert str(size) == "T: any size"


def test_build_initialises_a_parameter_as_the_document_says() -> None:
    text = """
input: [8]
init: {parameter: {normal: 0.02}, linear: {normal: 0.02}}
body: [{id: l, linear: 8}, {id: scale, parameter: [4096]}, {id: cut, from: scale, slice: {stop: 8}}, {mul: [l, cut]}]
"""
    module: Any = build(loads(HEAD + text))
    assert 0.018 < float(module.scale.detach().std()) < 0.022


def test_slices_count_axes_from_the_end() -> None:
    follows(
        "input: [4, {L: 8}]\nbody: [{slice: {stop: 4, axis: -1}}, {select: {index: 0, axis: -1}}]\n",
        3,
    )


# ---------------------------------------------------------------- items by id

BY_ID = {
    "an op": ("[{id: c, conv: {out: 4, kernel: 3}}, {conv: {out: 7, kernel: 1}}, {conv: {out: $(2 * c.channels), kernel: 1}}]", 8),
    "what is nearer": ("[{id: c, conv: {out: 4, kernel: 3}}, {id: g, body: [{id: c, conv: {out: 6, kernel: 1}}, {conv: {out: 5, kernel: 1}}, {conv: {out: $(c.channels), kernel: 1}}]}]", 6),
    "what is farther": ("[{id: c, conv: {out: 4, kernel: 3}}, {id: g, body: [{conv: {out: 5, kernel: 1}}, {conv: {out: $(c.channels), kernel: 1}}]}]", 4),
    "the last copy": ("[{id: c, repeat: 2, conv: {out: $(prev.channels + 2), kernel: 3}}, {conv: {out: 5, kernel: 1}}, {conv: {out: $(c.channels), kernel: 1}}]", 7),
    "in a copy": ("[{id: s, repeat: 2, body: [{id: c, conv: {out: $(prev.channels + 2), kernel: 3}}, {conv: {out: 5, kernel: 1}}, {conv: {out: $(c.channels), kernel: 1}}]}]", 7),
    "a group": ("[{id: g, body: [{conv: {out: 4, kernel: 3}}, relu]}, {conv: {out: 5, kernel: 1}}, {conv: {out: $(g.channels), kernel: 1}}]", 4),
    "a branch": ("[{branches: {a: {conv: {out: 4, kernel: 1}}, b: {conv: {out: 2, kernel: 1}}}, merge: concat}, {conv: {out: $(a.channels), kernel: 1}}]", 4),
    "an absent item": ("[{id: c, conv: {out: 4, kernel: 3}, when: false}, {conv: {out: 5, kernel: 1}}, {conv: {out: $(c.channels), kernel: 1}}]", 3),
    "in `when`": ("[{id: c, conv: {out: 4, kernel: 3}}, {conv: {out: 9, kernel: 1}, when: $(c.channels > 3)}]", 9),
    "in `expect`": ("[{id: c, conv: {out: 4, kernel: 3}}, {conv: {out: 2, kernel: 1}, expect: [2, $(c.height), ~]}]", 2),
    "in `init`": ("[{id: c, conv: {out: 4, kernel: 3}}, {conv: {out: 2, kernel: 1}, init: {normal: {std: $(1 / c.channels)}}}]", 2),
    "a param of that name, without a field": ("[{id: w, conv: {out: $w, kernel: 3}}, {conv: {out: $(2 * w), kernel: 1}}]", 8),
}  # fmt: skip


@pytest.mark.parametrize("case", BY_ID)
def test_arguments_see_earlier_items_by_id(case: str) -> None:
    body, channels = BY_ID[case]
    program = loads(f"{HEAD}params: {{w: 4}}\ninput: [3, 16, 16]\nbody: {body}\n")
    module: Any = build(program).eval()
    out = module(torch.randn(2, 3, 16, 16))
    assert tuple(out.shape) == (2, *program.graph.steps[-1].outs[0].shape)
    assert out.shape[1] == channels


def test_a_block_is_given_what_an_item_has() -> None:
    text = """
params: {width: 4}
input: [3, 16, 16]
blocks: {B: {params: {n: required}, body: [{conv: {out: $n, kernel: 1}}]}}
body: [{id: c, conv: {out: $width, kernel: 3}}, {conv: {out: 5, kernel: 1}}, {B: $(2 * c.channels)}]
"""
    program = loads(HEAD + text)
    assert "B(5, 2 * width)" in program.code
    wider: Any = network_class(program)(width=6)
    assert wider.b1.conv1.weight.shape == (12, 5, 1, 1)


def test_a_table_of_one_length_is_told_how_to_follow() -> None:
    """And the remedy, taken at its word, works at every length."""
    text = HEAD + "input: [{T: 12}, 4]\nbody:\n  - {id: table, parameter: [12, 4]}\n"
    with pytest.raises(SpecError) as caught:
        loads(text + "  - add: [input, table]\n")
    (fault,) = caught.value.faults
    sliced = re.search(r"`({from: table.*})`", fault.help)
    assert sliced is not None
    text = text.replace("parameter: [12", "parameter: [40")
    item = sliced[1].replace("{from", "{id: rows, from")
    program = follows(text.removeprefix(HEAD) + f"  - {item}\n  - add: [input, rows]\n", 1, 28)
    assert program.graph.free_axes == {"T": 12}
