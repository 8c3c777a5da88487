"""Many of one thing, inside the limits: paths, levels, params; each compiles and draws."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest
import torch
from arguments import lies

import archspec
from archspec.deep import deep

HEAD = "spec: 1\nname: many\ninput: [2, 4, 4]\n"


def some(count: int, text: str) -> str:
    return "".join(text.replace("@@", str(i + 1)).replace("@", str(i)) for i in range(count))


@pytest.mark.parametrize("op", ["add", "mul", "mean", "max", "min", "stack", "concat"])
def test_a_thousand_paths(op: str) -> None:
    count = 2000 if op == "concat" else 1000
    names = ", ".join(f"n{i}" for i in range(count))
    items = some(count, "  - {id: n@, from: input, identity: }\n")
    module = archspec.build(archspec.loads(f"{HEAD}body:\n{items}  - {op}: [{names}]\n"))
    x = torch.rand(1, 2, 4, 4)
    found = module(x)
    wanted = {
        "add": x * count, "mul": x**count, "mean": x, "max": x, "min": x,
        "stack": torch.stack([x] * count, 1), "concat": torch.cat([x] * count, 1),
    }  # fmt: skip
    torch.testing.assert_close(found, wanted[op])


def test_many_different_paths_have_one_largest_number() -> None:
    items = some(300, "  - {id: n@, from: input, add: @}\n")
    names = ", ".join(f"n{i}" for i in range(300))
    x = torch.rand(1, 2, 4, 4)
    for op, number in (("max", 299), ("min", 0)):
        module = archspec.build(archspec.loads(f"{HEAD}body:\n{items}  - {op}: [{names}]\n"))
        assert torch.equal(module(x), x + number)


@pytest.mark.parametrize("body", ["{body: [A@@]}", "{body: [{residual: [A@@]}]}"])
def test_blocks_two_hundred_deep(body: str) -> None:
    blocks = some(199, f"  A@: {body}\n") + "  A199: {body: [{conv: {out: 2, kernel: 1}}]}\n"
    program = archspec.loads(f"{HEAD}blocks:\n{blocks}body: [A0]\n")
    with deep():
        assert list(archspec.build(program)(torch.rand(1, 2, 4, 4)).shape) == [1, 2, 4, 4]
    assert archspec.render(program, None, view="blocks")


def test_deep_blocks_within_the_calls_that_python_allows() -> None:
    blocks = some(199, "  A@: {body: [{residual: [A@@]}]}\n")
    blocks += "  A199: {body: [{conv: {out: 2, kernel: 1}}]}\n"
    program = archspec.loads(f"{HEAD}blocks:\n{blocks}body: [A0]\n")
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(1000)  # Python's own; other packages raise it
    try:
        model = archspec.build(program)
    finally:
        sys.setrecursionlimit(before)
    with deep():
        assert list(model(torch.rand(1, 2, 4, 4)).shape) == [1, 2, 4, 4]


WIDE = "spec: 1\nname: wide\ninput: [4]\n"


def test_params_that_change_together_are_arguments_as_those_alone(tmp_path: Path) -> None:
    """30 widths, two numbers alike, one that divides another, one that decides what is there.

    Whoever builds the class with another value of an argument gets the network of that value.
    """
    params = some(30, "  w@: @@\n") + "  x: 4\n  y: 4\n  heads: 2\n  width: 8\n  deep: 3\n"
    layers = some(30, "  - linear: $(2 * w@)\n")
    rest = (
        "  - {linear: $x}\n  - {linear: $y, when: $(x == y)}\n  - {repeat: $deep, relu: }\n"
        "  - {linear: $width}\n  - {unflatten: {axis: 0, shape: [$heads, $(width // heads)]}}\n"
    )
    program = archspec.loads(f"{WIDE}params:\n{params}body:\n{layers}{rest}")
    source = program.code
    assert all(f"w{i}: int = {i + 1}" in source for i in range(30))
    assert "deep: int" not in source
    assert not [wrong for wrong in lies(program, tmp_path) if wrong]


def test_time_is_linear_in_params() -> None:
    params = some(400, "  w@: @@\n")
    layers = some(400, "  - linear: $w@\n")
    program = archspec.loads(f"{WIDE}params:\n{params}body:\n{layers}")
    begin = time.process_time()
    source = program.code
    assert time.process_time() - begin < 8  # 1.2 s; 28 s where each is tried alone
    assert "w399: int = 400" in source
    unread = archspec.loads(f"{WIDE}params:\n{some(5000, '  u@: @@' + chr(10))}body: [relu]\n")
    begin = time.process_time()
    assert "u0" not in unread.code
    assert time.process_time() - begin < 5  # 0.5 s


def test_time_is_linear_in_outputs() -> None:
    layers = some(2000, "  - {id: l@, linear: 4}\n")
    outputs = some(2000, "  o@: l@\n")
    program = archspec.loads(f"{WIDE}body:\n{layers}outputs:\n{outputs}")
    begin = time.process_time()
    assert '"o1999": ' in program.code
    assert time.process_time() - begin < 3  # 0.5 s; 9 s where what follows is read for each line


@pytest.mark.parametrize("shape", ["[4]", "[{T@: 4}, 2]"])
def test_time_is_linear_in_inputs(shape: str) -> None:
    count = 4000
    inputs, names = some(count, f"  i@: {shape}\n"), ", ".join(f"i{i}" for i in range(count))
    begin = time.process_time()
    read = archspec.loads(f"spec: 1\ninput:\n{inputs}body: [{{concat: [{names}]}}]\n")
    unread = archspec.loads(f"spec: 1\ninput:\n{inputs}body: [relu]\n")
    assert (len(read.warnings), len(unread.warnings)) == (0, count - 1)
    assert time.process_time() - begin < 6  # 1 s; over 40 s where each looks at all


@pytest.mark.parametrize(
    "item",
    [
        "  - {from: i@, conv: {out: 2, kernel: 3}}\n  - {id: c@, global_avg_pool: }\n",
        "  - {id: c@, from: i@, conv: {out: 2, kernel: 3}}\n",
    ],
)
def test_sizes_are_told_in_time_linear_in_inputs(item: str) -> None:
    inputs, names = some(500, "  i@: [3, 8, 8]\n"), ", ".join(f"c{i}" for i in range(500))
    program = archspec.loads(
        f"spec: 1\ninput:\n{inputs}body:\n{some(500, item)}  - add: [{names}]\n"
    )
    begin = time.process_time()
    sizes = program.analysis.sizes
    assert time.process_time() - begin < 3  # 0.3 s; 7 s where each size is tried of all ops
    assert {len(size.inputs) for size in sizes} == {500 if "pool" not in item else 1}


def test_of_many_inputs_that_all_depend_on_the_first_are_followed() -> None:
    inputs = some(600, "  i@: [3, 8, 8]\n")
    body = some(600, "  - {from: [prev, i@], add: }\n  - {conv: {out: 3, kernel: 3, padding: 1}}\n")
    program = archspec.loads(f"spec: 1\ninput:\n{inputs}body:\n{body}")
    followed = [*dict.fromkeys(axis.input for axis in program.analysis.tracked)]
    assert followed == [f"i{i}" for i in range(len(followed))]
    assert 100 < len(followed) < 600  # 200,000 fields in all, and 16 an op


def test_time_is_linear_in_blocks() -> None:
    blocks = some(2000, "  B@: {params: {w: 4}, body: [{linear: $w}, relu]}\n")
    begin = time.process_time()
    program = archspec.loads(f"{WIDE}blocks:\n{blocks}body:\n{some(2000, '  - B@' + chr(10))}")
    assert not program.warnings
    assert time.process_time() - begin < 6  # 0.8 s; 6 s where each block looks for its calls


@pytest.mark.parametrize("place", ["document", "block"])
def test_time_is_linear_in_params_that_read_one_another(place: str) -> None:
    chain = "a0: 4, " + ", ".join(f"a{i}: $(a{i - 1} + 0)" for i in range(1, 3000))
    text = f"{WIDE}params: {{{chain}}}\nbody: [{{linear: $a2999}}]\n"
    if place == "block":
        block = f"{{params: {{{chain}}}, body: [{{linear: $a2999}}]}}"
        text = f"{WIDE}blocks:\n  B: {block}\nbody: [{{B: 4}}, {{B: 5}}]\n"
    program = archspec.loads(text)
    begin = time.process_time()
    assert "nn.Linear(" in program.code
    assert time.process_time() - begin < 3  # 0.3 s; 4 s and 5 s where all are traced for each


def test_a_plain_mean_of_statistics_can_be_built() -> None:
    """Found by `makes`: torch reads the number of batches, which the meta device does not have."""
    text = f"{HEAD}body: [{{batch_norm: {{momentum: null}}}}]\n"
    module = archspec.build(archspec.loads(text))
    x = torch.rand(8, 2, 4, 4)
    module(x)
    torch.testing.assert_close(next(module.buffers()), x.mean((0, 2, 3)))


def test_time_is_linear_in_calls_of_what_is_not_there() -> None:
    """Thousands of words that each are no block, among as many blocks that nothing calls."""

    def took(count: int) -> float:
        blocks = some(count, "  Block@: {body: [relu]}\n")
        text = f"{HEAD}blocks:\n{blocks}body:\n{some(count, '  - Blcok@' + chr(10))}"
        begin = time.process_time()
        with pytest.raises(archspec.SpecError):
            archspec.loads(text)
        return time.process_time() - begin

    took(100)  # what is made once
    assert took(6000) < 7 * took(1500)
