"""The input sizes a network accepts, in words."""

from __future__ import annotations

import pytest

from archspec.analysis import Analysis
from archspec.expand import expand
from archspec.language import parse
from archspec.text.source import from_text

HEAD = "spec: 1\nname: t\n"


def told(text: str) -> list[str]:
    spec = parse(from_text(HEAD + text))
    return [str(size) for size in Analysis(expand(spec), spec).sizes]


UNET = """
params: {depth: 4}
input: [1, 64, 96]
blocks:
  UNet:
    params: {depth: required, width: required}
    body:
      - {id: enc, conv: {out: $width, kernel: 3, padding: 1}}
      - id: skip
        residual:
          - max_pool: 2
          - UNet: {depth: $(depth - 1), width: $(2 * width)}
          - conv_transpose: {out: $width, kernel: 2, stride: 2}
        merge: concat
        when: $(depth > 0)
body: [{UNet: {depth: $depth, width: 2}}]
"""
VALID_UNET = """
input: [1, 60, 60]
body:
  - {id: enc, conv: {out: 2, kernel: 3}}
  - max_pool: 2
  - {conv: {out: 2, kernel: 3}}
  - {id: up, conv_transpose: {out: 2, kernel: 2, stride: 2}}
  - {id: cut, crop: center, from: [enc, up]}
  - {id: join, concat: [cut, up]}
"""


def test_a_unet_takes_multiples() -> None:
    (line,) = told(UNET)
    assert line.startswith("H, W: multiples of 16, at least 16; because the inputs of `")
    (line,) = told(UNET.replace("depth: 4", "depth: 2"))
    assert line.startswith("H, W: multiples of 4, at least 4; because")


def test_a_linear_map_behind_flatten_fixes_the_size() -> None:
    text = (
        "input: [3, 32, 32]\nbody: [{conv: {out: 4, kernel: 3}}, flatten, {id: fc, linear: 10}]\n"
    )
    assert told(text) == [
        "H, W: exactly 32; because `fc` takes 3600 features; put a global pool before it"
    ]


def test_a_pool_that_rounds_leaves_a_range() -> None:
    text = "input: [3, 32, 32]\nbody: [{max_pool: 8}, flatten, {id: fc, linear: 10}]\n"
    (line,) = told(text)
    assert line.startswith("H, W: 32 to 39; because `fc` takes 48 features")


def test_a_global_pool_takes_any_size() -> None:
    body = (
        "body: [{id: c, conv: {out: 4, kernel: 5}}, {max_pool: 2}, global_avg_pool, {linear: 10}]\n"
    )
    (line,) = told("input: [3, 32, 48]\n" + body)
    assert line.startswith("H, W: any size, at least 6; because the window of ")
    padded = body.replace("kernel: 5", "kernel: 5, padding: 2").replace("{max_pool: 2}, ", "")
    assert told("input: [3, 32, 48]\n" + padded) == ["H, W: any size"]


def test_valid_convolutions_and_crops_take_even_sizes() -> None:
    (line,) = told(VALID_UNET)
    assert line.startswith("H, W: ")


def test_a_sequence_is_free_and_its_features_are_not_told() -> None:
    assert told("input: [{T: 12}, 8]\nbody: [{lstm: 16}, {linear: 3}]\n") == ["T: any size"]


def test_axes_of_one_name_vary_together() -> None:
    text = "input: {a: [1, {L: 8}], b: [1, {L: 8}]}\nbody: [{add: [a, b]}]\n"
    assert told(text) == ["L: any size"]


def test_two_inputs_of_the_same_two_free_axes() -> None:
    text = (
        "input: {a: [{S: 4}, {T: 4}], b: [{S: 4}, {T: 4}]}\nbody:\n"
        "  - {id: table, parameter: [4, 4]}\n  - {id: sum, add: [a, b, table]}\n"
    )
    (line,) = told(text)
    assert line == "S, T: exactly 4; because the inputs of `sum` differ in shape otherwise"


def test_a_learned_table_fixes_the_length() -> None:
    text = (
        "input: [{T: 12}, 8]\nbody: [{id: pos, parameter: [12, 8]}, {id: sum, add: [input, pos]}]\n"
    )
    (line,) = told(text)
    assert line.startswith("T: exactly 12; because the inputs of `sum` differ")


@pytest.mark.parametrize("n", [784])
def test_a_vector_has_its_features(n: int) -> None:
    assert told(f"input: [{n}]\nbody: [{{id: fc, linear: 10}}]\n") == [
        f"features: exactly {n}; because `fc` takes {n} features"
    ]


def test_a_network_that_comes_back_by_upsampling_rounds_up() -> None:
    text = (
        "input: [4, 32, 32]\nbody:\n"
        "  - {id: fine, conv: {out: 4, kernel: 3, padding: 1}}\n"
        "  - {conv: {out: 4, kernel: 3, stride: 2, padding: 1}, repeat: 2}\n"
        "  - upsample: 2\n"
        "  - upsample: 2\n"
        "  - {id: join, concat: [prev, fine]}\n"
    )
    (line,) = told(text)
    assert line == (
        "H, W: multiples of 4, at least 4; because the inputs of `join` differ in shape otherwise"
    )


def test_a_head_of_training_may_ask_for_more() -> None:
    text = (
        "input: [4, 32, 32]\nbody:\n"
        "  - {id: trunk, conv: {out: 4, kernel: 3}}\n"
        "  - {id: aux, tap: train, conv: {out: 2, kernel: 9}}\n"
        "  - {id: head, conv: {out: 2, kernel: 3}}\n"
        "outputs: {head: head, aux: aux}\n"
    )
    inference, training = told(text)
    assert inference.startswith("H, W: any size, at least 5; because the window of `head`")
    assert training.startswith("H, W: in training any size, at least 11; because the window of")


def test_inputs_without_free_axes_are_told_by_name() -> None:
    text = (
        "input: {left: [1, 8, 8], right: [1, 8, 8]}\nbody:\n"
        "  - {id: tower, from: left, body: [flatten, {id: fc, linear: 4}]}\n"
        "  - {id: other, from: right, shared: tower}\n"
        "  - sub: [tower, other]\n"
    )
    (line,) = told(text)
    assert line.startswith("left, right: H, W: exactly 8; because `tower.fc` takes 64 features")


def test_accepts_agrees_with_expanding_at_that_size() -> None:
    from archspec.text.faults import SpecError

    spec = parse(from_text(HEAD + UNET.replace("depth: 4", "depth: 3")))
    (size,) = Analysis(expand(spec), spec).sizes
    for n in range(1, 40):
        try:
            expand(spec, inputs={"input": (1, n, 96)})
        except SpecError:
            assert not size.accepts(n)
        else:
            assert size.accepts(n)


def test_the_name_of_a_free_axis_is_not_given_to_another() -> None:
    lines = told("input: [2, {H: 4}, 4, 6]\nbody: [{conv: {out: 2, kernel: 3, padding: 1}}]\n")
    assert lines == ["H, axis 2, W: any size"]
