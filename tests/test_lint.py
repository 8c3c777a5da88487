"""Warnings: what each rule tells, and what it leaves alone."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import product
from textwrap import dedent

import pytest

from archspec import load, loads
from archspec.analysis import Analysis
from archspec.analysis.lint import RULES, Context
from archspec.codes import CODES
from archspec.expand import expand
from archspec.language import parse
from archspec.text.faults import Fault
from archspec.text.source import from_text

HEAD = "spec: 1\nname: t\n"


def codes(text: str) -> list[str]:
    spec = parse(from_text(HEAD + text))
    return [fault.code for fault in Analysis(expand(spec), spec).warnings]


MAP = "input: [16, 32, 32]\nbody:\n"
ABSENT = "params: {on: false}\n" + MAP
SUM = "input: [64]\nblocks: {Sum: {inputs: [xs*], body: [{add: xs.*}]}}\n"
TOKENS = "input: {t: {shape: [12], dtype: int}}\n"
TOWER = TOKENS + "blocks: {Tower: {body: [embedding: {num: 9, dim: 8}]}}\n"
TWO = "input: {x: [64], y: [64]}\n"
WRONG = {
    "W101": [
        MAP + "  - {conv: {out: 32, kernel: 3}}\n  - {conv: {out: 32, kernel: 3}}\n",
        MAP + "  - {conv: {out: 32, kernel: 3}}\n  - flatten\n  - {linear: 10}\n",
        "input: [64]\nbody: [{linear: 64}, dropout, {linear: 10}]\n",
        MAP
        + "  - {conv: {out: 32, kernel: 1, bias: false}}\n"
        + "  - batch_norm\n"
        + "  - {conv: {out: 32, kernel: 1}}\n",
    ],
    "W102": [
        MAP + "  - {conv: {out: 32, kernel: 3}}\n  - batch_norm\n",
        "input: [64]\nbody: [{linear: 64}, batch_norm, relu, {linear: 10}]\n",
    ],
    "W103": [
        "input: [64]\nbody: [{linear: 10}, softmax]\n",
        "input: [64]\nbody: [{linear: 10}, {dropout: 0.5}, {activation: softmax}]\n",
        "input: [12, 8]\nbody: [{linear: 4}, softmax]\n",
        "input: [3, 32, 32]\nbody: [{conv: {out: 5, kernel: 3}}, {softmax: 0}]\n",
        "input: [3, 9, 9]\nbody: [{conv: {out: 10, kernel: 9}}, relu, global_avg_pool, softmax]\n",
    ],
    "W104": [
        MAP + "  - {conv_transpose: {out: 8, kernel: 3, stride: 2}}\n",
        MAP + "  - {conv_transpose: {out: 8, kernel: 4, stride: [1, 2], dilation: 2}}\n",
    ],
    "W105": [
        MAP + "  - {conv: {out: 32, kernel: 1, stride: 2}}\n",
        MAP + "  - {max_pool: {kernel: 2, stride: 3}}\n",
        MAP + "  - {conv: {out: 32, kernel: 3, stride: 2, dilation: 2}}\n",
        MAP
        + "  - {id: a, batch_norm: }\n  - {id: b, conv: {out: 8, kernel: 1, stride: 2}}\n"
        + "  - {id: c, from: input, batch_norm: }\n"
        + "  - {id: d, conv: {out: 8, kernel: 1, stride: 2}}\n  - add: [b, d]\n",
    ],
    "W106": [
        MAP
        + "  - branches: [{slice: {axis: 1, step: 2}}, {slice: {axis: 1, start: 1, step: 2}}]\n"
        + "    merge: concat\n"
        + "  - {id: pieces, conv: {out: 16, kernel: 1}}\n"
        + "  - {id: pool, from: input, crop: {size: [16, 32], offset: 0}}\n"
        + "  - add: [pieces, pool]\n",
        MAP
        + "  - branches: {a: {crop: {size: 30, offset: 0}}, b: {conv: {out: 8, kernel: 3}}}\n"
        + "    merge: concat\n",
    ],
    "W107": [
        MAP + "  - {conv: {out: 8, kernel: 3}}\n  - relu\n  - global_avg_pool\n",
    ],
    "W111": ["input: [8, 8, 3]\nbody: [{conv: {out: 8, kernel: 1}}]\n"],
    "W108": [
        "params: {width: 8}\ninput: [64]\nbody: [{linear: 10}]\n",
        "input: [64]\nblocks: {A: {params: {n: 3}, body: [{linear: 10}]}}\nbody: [{A: 4}]\n",
    ],
    "W109": [
        TWO + "body: [{linear: 10}]\n",
        TWO + "body: [{linear: 10, from: y}]\n",
        TWO + "blocks: {A: {inputs: [a, b], body: [{linear: 10}]}}\nbody: [{A: , from: [x, y]}]\n",
        TWO + "blocks: {A: {inputs: [a, b], body: [{tanh: , from: b}]}}\n"
        "body: [{A: , from: [x, y]}]\n",
        "input: [64]\nbody: [{id: p, parameter: {shape: [4]}}, {scale: 2, from: p}]\n",
    ],
    "W114": [
        "input: [64]\nbody: [{id: e, from: input, repeat: 3, linear: 64}, {mean: e.*}]\n",
        "input: [64]\nbody: [{id: e, from: input, repeat: 3, linear: 64}, {add: [input, e.*]}]\n",
        MAP
        + "  - {id: e$d, repeat: {d: [1, 2, 3]}, from: input, "
        + "conv: {out: 8, kernel: 3, padding: $d, dilation: $d}}\n  - concat: e*\n",
        SUM + "body: [{id: e, from: input, repeat: 3, linear: 64}, {from: e.*, Sum: }]\n",
    ],
    "W115": [
        "input: [64]\nbody: [{id: p, parameter: [64]}, {id: l, linear: 64}, {mul: [l, p]}]\n",
        TOWER
        + "body: [{id: places, constant: {arange: 12}}, {id: tower, Tower: },\n"
        + "  {id: e, from: places, embedding: {num: 12, dim: 8}}, {add: [tower, e]}]\n",
    ],
    "W117": [
        (
            "params: {act: relu}\nvariants: {b: {act: tanh}}\ninput: [8]\n"
            'body: [{activation: $act}, {when: $(act == "tahn"), softmax: }]\n'
        ),
        (
            "input: [8]\nbody:\n  - repeat: {how: [before, after]}\n    body:\n"
            '      - tanh\n      - relu:\n        when: $(how == "befor")\n'
        ),
        (
            "params: {pad: half}\ninput: [8, 8, 8]\nblocks:\n  A:\n    params: {pad: $pad}\n"
            "    body: [{conv: {out: 8, kernel: 3, padding: $pad}}, "
            '{when: $(pad != "hafl"), relu: }]\nbody: [A, A]\n'
        ),
    ],
    "W116": [
        ABSENT + "  - {branches: {a: {relu: , when: $on}, b: [sigmoid]}, merge: mul}\n",
        ABSENT + "  - {branches: {a: {relu: , when: $on}, b: []}, merge: add}\n",
        MAP + "  - {branches: [[{relu: , repeat: 0}], sigmoid], merge: concat}\n",
        ABSENT + "  - residual: {when: $on, conv: {out: 16, kernel: 1}}\n",
        ABSENT + "  - {residual: [{when: $on, relu: }, {when: $on, sigmoid: }], merge: concat}\n",
    ],
}
RIGHT = {
    "a word that is set from outside, and one with another number": (
        "params: {act: relu, how: pre}\ninput: [8]\nbody:\n  - activation: $act\n"
        '  - {relu: , when: $(act == "relu6" or act == "gelu" or how == "last")}\n'
    ),
    "a chain whose layers are averaged": (
        "input: [64]\nbody: [{id: e, repeat: 3, linear: 64}, {mean: e.*}]\n"
    ),
    "what a chain starts from and its copies": MAP
    + "  - {id: y, from: input, repeat: 3, conv: {out: 8, kernel: 1}}\n  - concat: [input, y.*]\n",
    "half of a split and its copies": MAP
    + "  - {id: h, split: 2}\n  - {id: m, from: h.1, repeat: 2, body: [{relu: }]}\n"
    + "  - concat: [h.0, h.1, m.*]\n",
    "copies side by side": "input: [64]\n"
    "body: [{id: e, from: input, branches: {repeat: 3, linear: 64}, merge: add}]\n",
    "copies that take paths of their own": MAP
    + "  - {id: h, split: 2}\n  - {id: e$i, repeat: {i: [0, 1]}, from: h.$i, relu: }\n"
    + "  - add: e*\n",
    "one copy": (
        "input: [64]\nbody: [{id: e, from: input, repeat: 1, linear: 64}, {concat: e.*}]\n"
    ),
    "one output of each layer of a chain": (
        "input: [4, 8]\nbody: [{id: e, from: input, repeat: 2, lstm: 8}, {concat: e.*.h}]\n"
        "outputs: {a: concat1, b: e.1.output}\n"
    ),
    "a tensor where it is taken": (
        "input: [64]\nbody: [{id: l, linear: 64}, {id: p, parameter: [64]}, {mul: [l, p]}]\n"
    ),
    "the line behind a tensor": "input: [64]\n"
    "body: [{id: p, parameter: [64]}, {id: l, from: prev, linear: 64}, {mul: [l, p]}]\n",
    "a tensor of another shape above": (
        "input: [64]\nbody: [{id: p, parameter: [8]}, {id: l, linear: 8}, {mul: [l, p]}]\n"
    ),
    "a projection that is not needed": ABSENT
    + "  - {branches: {a: [{conv: {out: 16, kernel: 1}}], b: {when: $on, relu: }}, merge: add}\n",
    "a path that is left out": ABSENT
    + "  - {branches: [sigmoid, {repeat: 1, when: $on, relu: }], merge: concat}\n",
    "an identity that is written": ABSENT
    + "  - {branches: [sigmoid, [], [{when: $on, relu: }, tanh]], merge: concat}\n",
    "the input of a residual twice": MAP + "  - {residual: []}\n",
    "a linear bottleneck": MAP
    + "  - {conv: {out: 8, kernel: 1}}\n  - {conv: {out: 32, kernel: 1}}\n",
    "an inverted bottleneck": MAP
    + "  - {conv: {out: 16, kernel: 1, bias: false}}\n"
    + "  - batch_norm\n"
    + "  - {conv: {out: 64, kernel: 1}}\n",
    "shared weights behind a convolution": MAP
    + "  - {id: a, conv: {out: 16, kernel: 1}}\n"
    + "  - {id: head, conv: {out: 8, kernel: 1}}\n"
    + "  - {id: b, from: input, conv: {out: 16, kernel: 1}}\n"
    + "  - {id: again, shared: head}\n"
    + "outputs: {a: head, b: again}\n",
    "a separable convolution": MAP
    + "  - {conv: {kernel: 3, groups: depthwise}}\n  - {conv: {out: 32, kernel: 1}}\n",
    "1 x n and n x 1": MAP
    + "  - {conv: {out: 16, kernel: [1, 3]}}\n  - {conv: {out: 16, kernel: [3, 1]}}\n",
    "no bias before a norm": MAP + "  - {conv: {out: 8, kernel: 3, bias: false}}\n  - batch_norm\n",
    "a stride in a shortcut": (
        MAP + "  - residual: [{conv: {out: 16, kernel: 3, stride: 2, padding: 1}}]\n"
        "    shortcut: [{max_pool: {kernel: 1, stride: 2}}]\n"
    ),
    "kernel 4 stride 2": MAP + "  - {conv_transpose: {out: 8, kernel: 4, stride: 2}}\n",
    "a causal residual": "input: [4, 32]\n"
    "body: [{residual: [{conv: {out: 4, kernel: 3, padding: causal}}]}]\n",
    "a feature pyramid": (
        MAP
        + "  - residual:\n"
        + "      - {conv: {out: 16, kernel: 3, stride: 2, padding: 1}}\n"
        + "      - relu\n"
        + "      - {upsample: 2}\n"
    ),
    "a squeeze-excitation gate": (
        MAP
        + "  - {id: m, conv: {out: 8, kernel: 3}}\n  - adaptive_avg_pool: 1\n"
        + "  - sigmoid\n  - mul: [prev, m]\n"
    ),
    "inputs taken by name": (
        TWO
        + "blocks: {A: {inputs: [a, b], body: [{add: [prev, b]}]}}\nbody: [{A: , from: [x, y]}]\n"
    ),
    "an input that an output gives": TWO + "body: [{id: l, linear: 4}]\noutputs: {l: l, y: y}\n",
    "an input whose size is read": (
        "input: {x: [8, 8, 8], y: [3, 4, 4]}\nbody: [{adaptive_avg_pool: $(y.height)}]\n"
    ),
    "an input of an item that is not there": (
        "params: {both: false}\n"
        + TWO
        + "body: [{linear: 4}, {from: [prev, y], when: $both, add: }]\n"
    ),
    "the first input behind a tap": (
        TWO + "outputs: {t: t, o: o}\n"
        "body: [{id: t, tap: always, linear: 4, from: y}, {id: o, linear: 4}]\n"
    ),
    "an input by a path with an expression": (
        "input: {x1: [64], x2: [64]}\n"
        "body: [{repeat: {i: [1, 2]}, from: x$i, id: b$i, relu: }, {add: [b1, b2]}]\n"
    ),
    "a block that starts from nothing": (
        "input: [4]\nblocks: {Query: {body: [{id: q, parameter: [4]}], outputs: {q: q}}}\n"
        "body: [{id: a, tanh: }, {id: q, Query: }, {add: [a, q]}]\n"
    ),
    "a bias before a frozen norm, which subtracts what it once measured": (
        "input: [3, 16, 16]\n"
        "body: [{conv: {out: 4, kernel: 3}}, {batch_norm: , freeze: true}, relu]\n"
    ),
    "attention weights given out": "input: [12, 8]\n"
    "body:\n  - {id: q, linear: 8}\n  - {id: k, from: input, linear: 8}\n  - permute: [1, 0]\n"
    "  - matmul: [q, prev]\n  - {scale: 0.35}\n  - softmax\n",
    "a softmax over positions": "input: [12, 8]\nbody: [{linear: 1}, flatten, softmax]\n",
    "a softmax over the steps of each feature": (
        "input: [12, 8]\nbody: [{linear: 4}, {softmax: 0}]\n"
    ),
    "a softmax over the cells of each heat map": "input: [3, 32, 32]\n"
    "body: [{conv: {out: 5, kernel: 3}}, {flatten: {start: 1}}, softmax]\n",
    "probabilities that are asked for": (
        "input: [64]\nbody: [{linear: 10}, {id: p, softmax: }]\noutputs: {probabilities: p}\n"
    ),
    "a strided 1x1 beside a wider path, each behind its norm": (
        MAP
        + "  - batch_norm\n  - {id: a, conv: {out: 8, kernel: 1, stride: 2}}\n"
        + "  - {from: input, batch_norm: }\n  - relu\n"
        + "  - {id: b, conv: {out: 8, kernel: 3, stride: 2, padding: 1}}\n  - add: [a, b]\n"
    ),
    "space to depth by slices": (
        MAP
        + "".join(
            f"  - {{id: r{i}, from: input, slice: {{axis: 1, start: {i}, step: 2}}}}\n"
            + "".join(
                f"  - {{id: s{i}{j}, from: r{i}, slice: {{axis: 2, start: {j}, step: 2}}}}\n"
                for j in (0, 1)
            )
            for i in (0, 1)
        )
        + "  - {id: left, concat: [s00, s10]}\n  - {id: right, concat: [s01, s11]}\n"
        + "  - concat: [left, right]\n"
    ),
    "a gate by halves of features": (
        "input: [4, 8]\nbody:\n  - {id: a, slice: {stop: 4, axis: 1}}\n"
        "  - {from: input, slice: {start: 4, axis: 1}}\n  - sigmoid\n  - mul: [a, prev]\n"
    ),
    "a gate by parts of a split": (
        "input: [4, 8]\nbody:\n  - {id: a, split: {parts: 2, axis: 1}}\n"
        "  - {from: a.1, sigmoid: }\n  - mul: [a.0, prev]\n"
    ),
    "differences of steps": (
        "input: [4, 32]\nbody:\n  - {id: a, slice: {axis: 1, start: 1}}\n"
        "  - {from: input, slice: {axis: 1, stop: -1}}\n  - sub: [a, prev]\n"
    ),
    "channels put first": (
        "input: [32, 32, 3]\nbody: [{permute: [2, 0, 1]}, {conv: {out: 4, kernel: 3}}]\n"
    ),
    "channels last without a convolution": ("input: [28, 28, 1]\nbody: [flatten, {linear: 10}]\n"),
    "rows of an image as a sequence": "input: [28, 28]\nbody: [{lstm: 8}]\n",
    "a spectrogram": "input: [80, 300]\nbody: [{conv: {out: 8, kernel: 3}}]\n",
    "a low map": "input: [1, 22, 1125]\nbody: [{conv: {out: 8, kernel: [22, 1]}}]\n",
    "a feature map of four by four": "input: [512, 4, 4]\nbody: [{conv: {out: 8, kernel: 3}}]\n",
    "a clip of three frames": (
        "input: [3, 3, 64, 64]\nbody: [{conv: {out: 8, kernel: 3, padding: 1}}]\n"
    ),
    "log_softmax": "input: [64]\nbody: [{linear: 10}, log_softmax]\n",
}


@pytest.mark.parametrize(("code", "text"), [(c, t) for c, texts in WRONG.items() for t in texts])
def test_told(code: str, text: str) -> None:
    assert codes(text) == [code]
    assert code in CODES
    assert codes(text + f"expect: {{warnings: [{code}]}}\n") == []


@pytest.mark.parametrize("text", RIGHT.values(), ids=RIGHT)
def test_left_alone(text: str) -> None:
    assert codes(text) == []


@pytest.mark.parametrize("rule", RULES, ids=[rule.__name__ for rule in RULES])
def test_a_rule_says_what_its_docstring_shows(rule: Callable[[Context], Iterator[Fault]]) -> None:
    title, *lines = (rule.__doc__ or "").splitlines()
    code, _, _ = title.partition(": ")
    example = dedent("\n".join(line for line in lines if line.startswith(" " * 8))) + "\n"
    said = " ".join(line[2:] for line in example.splitlines() if line.startswith("# "))
    spec = parse(from_text(HEAD + example))
    analysis = Analysis(expand(spec), spec)
    context = Context(analysis.graph, spec, analysis.rows, analysis.seen.misaligned)
    assert [(fault.code, fault.message) for fault in rule(context)] == [(code, said)]
    assert [fault.code for fault in analysis.warnings] == [code]
    assert code in CODES


def test_one_place_is_told_once() -> None:
    text = (
        MAP
        + "  - {repeat: 3, body: [{conv: {out: 16, kernel: 3, padding: 1}}, batch_norm, relu]}\n"
    )
    spec = parse(from_text(HEAD + text))
    (fault,) = Analysis(expand(spec), spec).warnings
    assert fault.details == ("and in 2 more copies",)
    assert (
        fault.message.startswith("`conv1` has a bias, and `batchnorm1` behind it")
        or "bias" in fault.message
    )


def test_an_unread_input_is_told_where_it_is_declared() -> None:
    places = []
    for text in WRONG["W109"]:
        source = from_text(HEAD + text)
        spec = parse(source)
        (fault,) = Analysis(expand(spec), spec).warnings
        line, column, length = source.place(fault.loc)
        places.append(source.text.splitlines()[line - 1][column - 1 :][:length])
    assert places == ["y", "x", "b", "a", "input"]


GRID = list(product(range(1, 8), range(1, 6), range(1, 5)))  # kernel, stride, dilation


def along_time(op: str, kernel: int, stride: int, dilation: int) -> list[Fault]:
    arguments = f"kernel: {kernel}, stride: {stride}, dilation: {dilation}"
    out = "" if op == "max_pool" else "out: 2, "
    text = f"input: [2, 40]\nbody: [{{{op}: {{{out}{arguments}}}}}]\n"
    return list(loads(HEAD + text).warnings)


def remainders(kernel: int, stride: int, dilation: int) -> list[int]:
    """How many cells of a window stand on each remainder of the stride."""
    stand = Counter(dilation * k % stride for k in range(kernel))
    return [stand[r] for r in range(stride)]


def remedies(help: str, kernel: int, stride: int, dilation: int) -> list[tuple[int, int, int]]:
    """What a help says, taken literally: one triple for each way out."""
    found = []
    for way in help.partition("; ")[0].split(", or "):
        said = {
            name: re.search(rf"{name}(?: of)? (\d+)", way)
            for name in ("kernel", "stride", "dilation")
        }
        if any(said.values()):
            had = {"kernel": kernel, "stride": stride, "dilation": dilation}
            k, s, d = (int(m[1]) if (m := said[name]) else had[name] for name in had)
            found.append((k, s, d))
    return found


def test_a_transposed_convolution_is_told_where_its_terms_are_uneven() -> None:
    told = {window: along_time("conv_transpose", *window) for window in GRID}
    uneven = {window for window in GRID if len(set(remainders(*window))) > 1}
    assert {window for window, faults in told.items() if faults} == uneven
    for window in uneven:
        (fault,) = told[window]
        ways = remedies(fault.help, *window)
        assert fault.code == "W104"
        assert ("bias alone" in fault.message) == (math.gcd(*window[1:]) > 1)
        assert len(ways) == 1
        assert all(len(set(remainders(*way))) == 1 for way in ways)


@pytest.mark.parametrize("op", ["conv", "max_pool"])
def test_a_window_is_told_where_cells_are_never_seen(op: str) -> None:
    told = {window: along_time(op, *window) for window in GRID}
    skipping = {window for window in GRID if 0 in remainders(*window)}
    assert {window for window, faults in told.items() if faults} == skipping
    for window in skipping:
        (fault,) = told[window]
        ways = remedies(fault.help, *window)
        assert fault.code == "W105"
        assert len(ways) == 2
        assert window not in ways
        assert not any(0 in remainders(*way) for way in ways)


CONVENTIONS = {
    "[224, 224, 3]": "channels come first: [3, 224, 224]",
    "[8, 8, 3]": "channels come first: [3, 8, 8]",
    "[32, 100, 1]": "channels come first: [1, 32, 100]",
    "[1, 3, 224, 224]": "the batch axis is never written: [3, 224, 224]",
    "[32, 3, 64, 64]": "the batch axis is never written: [3, 64, 64]",
    "[1, 1, 28, 28]": "the batch axis is never written: [1, 28, 28]",
    "[1, 64, 64, 3]": "channels come first, and the batch axis is never written: [3, 64, 64]",
    "[16, 64, 64, 3]": "channels come first: [3, 16, 64, 64] is a clip, [3, 64, 64] an image",
    "[28, 28]": "an image of one channel is [1, 28, 28]",
    "[1000, 3]": "channels come first: [3, 1000]",
}


@pytest.mark.parametrize(("shape", "help"), CONVENTIONS.items(), ids=CONVENTIONS)
@pytest.mark.parametrize("before", ["", "{scale: 0.5}, batch_norm, "], ids=["at once", "normed"])
def test_a_shape_of_another_convention_is_told(shape: str, help: str, before: str) -> None:
    text = f"input: {shape}\nbody: [{before}{{conv: {{out: 4, kernel: 1}}}}]\n"
    (fault,) = loads(HEAD + text).warnings
    assert (fault.code, fault.help) == ("W111", help)
    assert fault.message.startswith(f"`conv1` reads the input {shape} as ")
    assert loads(HEAD + text + "expect: {warnings: [W111]}\n").warnings == []


def test_a_size_given_from_outside_is_told_as_well() -> None:
    given = load("resnet50", inputs={"input": (224, 224, 3)})
    (fault,) = [fault for fault in given.warnings if fault.code == "W111"]
    assert fault.message == "`conv1` reads the input [224, 224, 3] as 224 channels of 224x3 cells"
    assert load("resnet50").warnings == []
