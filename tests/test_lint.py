"""Warnings: what each rule tells, and what it leaves alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from textwrap import dedent

import pytest

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
    "W103": ["input: [64]\nbody: [{linear: 10}, softmax]\n"],
    "W104": [MAP + "  - {conv_transpose: {out: 8, kernel: 3, stride: 2}}\n"],
    "W105": [
        MAP + "  - {conv: {out: 32, kernel: 1, stride: 2}}\n",
        MAP + "  - {max_pool: {kernel: 2, stride: 3}}\n",
        MAP + "  - {conv: {out: 32, kernel: 3, stride: 2, dilation: 2}}\n",
    ],
    "W106": [
        MAP
        + "  - branches: {a: {crop: {size: 30, offset: 0}}, b: {conv: {out: 8, kernel: 3}}}\n"
        + "    merge: concat\n",
    ],
    "W107": [
        MAP + "  - {conv: {out: 8, kernel: 3}}\n  - relu\n  - global_avg_pool\n",
    ],
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
}
RIGHT = {
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
