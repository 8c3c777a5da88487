"""One fault never yields two complaints; two independent ones yield two."""

from __future__ import annotations

import pytest

from archspec.network import loads
from archspec.text.faults import SpecError

GOOD = """\
spec: 1
name: net
params: {classes: 10, width: 8}
variants: {wide: {width: 16}, wider: {width: 32}}
input: {image: [3, 32, 32], other: [3, 32, 32]}
blocks:
  ConvBN:
    params: {out: required, stride: 1}
    body:
      - conv: {out: $out, kernel: 3, stride: $stride, padding: 1, bias: false}
      - batch_norm
      - relu
  Join:
    params: {out: required}
    inputs: [left, right]
    body:
      - {id: near, ConvBN: $out, from: left}
      - {id: far, ConvBN: {out: $out}, from: right}
      - concat: [near, far, left, right]
  Aux: {params: {n: required}, body: [global_avg_pool, {id: fc, linear: $n}]}
body:
  - {id: a, ConvBN: {out: $width, stride: 2}}
  - {id: b, ConvBN: {out: $width, stride: 2}, from: other}
  - {id: join, Join: {out: $width}, from: [a, b]}
  - {id: again, Join: {out: $width}, from: [join, b]}
  - {id: stage$s, repeat: {s: [1, 2], c: [16, 32]}, body: [{ConvBN: $c}, {ConvBN: $c}]}
  - branches: {p: {ConvBN: $width}, q: {ConvBN: $width}}
    merge: add
  - {id: aux, tap: train, Aux: $classes}
  - global_avg_pool
  - {id: fc, linear: $classes}
outputs: {logits: fc, aux: aux, deep: stage2}
head: [fc, aux.fc]
expect: {net: {}, wide: {}, wider: {}}
"""
# what is changed into what, and the codes of what is said
ONE = {
    "params misspelt": ("params: {classes", "parms: {classes", "E201"),
    "params of a wrong kind": ("params: {classes: 10, width: 8}", "params: 3", "E204"),
    "a param not declared": ("classes: 10, width: 8", "classes: 10", "E201"),
    "a param misspelt where declared": ("classes: 10", "clases: 10", "E219"),
    "a param of a name that is not allowed": ("classes: 10", "Classes: 10", "E205"),
    "variants misspelt": ("variants:", "varaints:", "E201"),
    "no variants": ("variants: {wide: {width: 16}, wider: {width: 32}}\n", "", "E225"),
    "the name misspelt": ("name: net", "nmae: net", "E201"),
    "the name of a wrong kind": ("name: net", "name: 3", "E204"),
    "input misspelt": ("input: {", "inptu: {", "E201"),
    "an input misspelt": ("other: [", "othr: [", "E312"),
    "blocks misspelt": ("blocks:", "block:", "E201"),
    "a block misspelt where declared": ("  ConvBN:\n", "  ConvBNN:\n", "E207"),
    "a block of a name that is not allowed": ("  ConvBN:\n", "  Conv_BN:\n", "E205"),
    "a block's params misspelt": ("params: {out: required, s", "param: {out: required, s", "E201"),
    "a block's params missing": ("    params: {out: required, stride: 1}\n", "", "E219"),
    "a block's param missing": ("out: required, stride: 1", "out: required", "E219"),
    "a block's param misspelt where declared": ("stride: 1", "strid: 1", "E219"),
    "a block's inputs misspelt": ("inputs: [left", "inpust: [left", "E201"),
    "a block's inputs of a wrong kind": ("inputs: [left, right]", "inputs: 2", "E204"),
    "a block's inputs missing": ("    inputs: [left, right]\n", "", "E311"),
    "a block's input missing": ("inputs: [left, right]", "inputs: [left]", "E311"),
    "repeat misspelt": ("repeat: {s", "repaet: {s", "E201"),
    "repeat of a wrong kind": ("repeat: {s: [1, 2], c: [16, 32]}", "repeat: x", "E218"),
    "a column missing": (", c: [16, 32]", "", "E219"),
    "an id that is no id in a copy": ("s: [1, 2], c", "s: [1, -2], c", "E361"),
    "merge misspelt": ("merge: add", "mrege: add", "E201"),
    "an argument of a block": ("linear: $classes}\noutputs", "linear: $n}\noutputs", "E219"),
    "an item missing": ("  - {id: aux, tap: train, Aux: $classes}\n", "", "E312"),
    "an id in a block misspelt": ("{id: fc, linear: $n}", "{id: fd, linear: $n}", "E318"),
    "a width of a wrong kind": ("width: 8", "width: 2.5", "E210"),
}  # fmt: skip

TWO = {
    "two names": [
        ("out: $out, kernel", "out: $ouut, kernel"),
        ("linear: $classes", "linear: $clases"),
    ],
    "two blocks": [("{id: a, ConvBN", "{id: a, ConfBN"), ("{id: join, Join", "{id: join, Joint")],
    "two ops": [("- relu", "- rellu"), ("- global_avg_pool\n", "- global_avg_pol\n")],
    "two kinds": [("kernel: 3", "kernel: x"), ("merge: add", "merge: ad")],
    "params and a name": [("classes: 10", "clases: 10"), ("[{ConvBN: $c},", "[{ConvBN: $d},")],
    "two paths": [("from: other", "from: othr"), ("[join, b]}", "[join, bb]}")],
    "two paths in blocks": [("from: right", "from: rihgt"), ("logits: fc", "logits: f")],
    "a path and a head": [("from: other", "from: othr"), ("aux.fc]", "aux.fd]")],
    "two shapes": [
        ("id: a, ConvBN: {out: $width, stride: 2}", "id: a, max_pool: 99"),
        ("id: b, ConvBN: {out: $width, stride: 2}", "id: b, max_pool: 98"),
    ],
    "a shape and a path": [
        ("{p: {ConvBN: $width}", "{p: {ConvBN: 9}"),
        ("deep: stage2", "deep: stage3"),
    ],
    "inputs and a path in the block": [
        ("inputs: [left, right]", "inputs: [left]"),
        ("[near, far, left, right]", "[naer, far, left, right]"),
    ],
}


def codes(text: str) -> list[str]:
    with pytest.raises(SpecError) as caught:
        loads(text)
    return [fault.code for fault in caught.value.faults]


def changed(*changes: tuple[str, str]) -> str:
    text = GOOD
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    return text


def test_nothing_is_wrong() -> None:
    assert loads(GOOD).warnings == []


@pytest.mark.parametrize("kind", ONE)
def test_one_fault_is_one_complaint(kind: str) -> None:
    old, new, code = ONE[kind]
    assert codes(changed((old, new))) == [code]


@pytest.mark.parametrize("kind", TWO)
def test_two_faults_are_two_complaints(kind: str) -> None:
    first, second = TWO[kind]
    both = codes(changed(first, second))
    assert sorted(both) == sorted(codes(changed(first)) + codes(changed(second)))
    assert len(both) == 2
