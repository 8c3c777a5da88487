"""Numbers that remember where they come from: what they are worth, and what is written."""

from __future__ import annotations

import ast
import math
import pickle
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import archspec
from archspec.expressions.sym import Listed, Sym, SymFloat, Truth, evaluate, plain, traced, written
from archspec.layers import create
from archspec.layers.base import TensorType

WIDTH, OUT, GROW, SIZE = (
    Sym.of(n, v) for n, v in zip(("width", "out", "grow", "size"), (64, 30, 4, 7), strict=True)
)


def parse(text: str) -> ast.expr:
    return ast.parse(text, mode="eval").body


@pytest.mark.parametrize(
    ("found", "value", "text"),
    [
        (4 * WIDTH, 256, "4 * width"),
        (4 * WIDTH + 4 * WIDTH, 512, "8 * width"),
        (OUT + 2 * GROW - OUT, 8, "2 * grow"),
        (2 * OUT // 2, 30, "out"),
        ((4 * WIDTH) // 4, 64, "width"),
        (WIDTH - WIDTH, 0, None),
        (WIDTH // 3, 21, "width // 3"),
        ((SIZE - 1) // 2 + 1, 4, "(size - 1) // 2 + 1"),
        ((SIZE // 2) // 2, 1, "size // 4"),
        ((2 * SIZE + 1) // 2, 7, "size"),
        (2 * (WIDTH // 3), 42, "2 * (width // 3)"),
        (WIDTH * OUT, 1920, "width * out"),
        (WIDTH * OUT // OUT, 64, "width"),
        (2 * WIDTH * GROW * OUT // GROW, 3840, "2 * width * out"),
        (3 * WIDTH // (3 * GROW), 16, "width // grow"),
        ((6 * WIDTH + 3) // (3 * GROW), 32, "(2 * width + 1) // grow"),
        ((WIDTH * OUT + 1) // OUT, 64, "(width * out + 1) // out"),
        (WIDTH % 64, 0, "width % 64"),
        ((64 * WIDTH) % 64, 0, None),
        (2**SIZE, 128, "2 ** size"),
        (100 - WIDTH, 36, "100 - width"),
        (-WIDTH, -64, "-width"),
        (math.prod([WIDTH, 2, OUT]), 3840, "2 * width * out"),
        (sum([WIDTH, OUT, 3]), 97, "width + out + 3"),
        (WIDTH / 4, 16.0, "width / 4"),
        (math.ceil(WIDTH / 3), 22, "math.ceil(width / 3)"),
    ],
)
def test_what_is_computed_is_written(found: Any, value: float, text: str | None) -> None:
    assert plain(found) == value
    assert type(plain(found)) is type(value)
    if text is None:
        assert type(found) is int
    else:
        assert ast.unparse(written(found)) == ast.unparse(parse(text)) or repr(found) == text


@pytest.mark.parametrize(
    ("author", "text"),
    [
        ("width if size == 7 else 1", "width if size == 7 else 1"),
        ("width if size == 7 else width", "width"),
        ("max(1, width // 4)", "max(1, width // 4)"),
        ("ceil(width)", "width"),
        ("make_divisible(width * 1.5)", "make_divisible(width * 1.5)"),
        ("size != 1 or width != 64", "size != 1 or width != 64"),
        ("not size == 1", "size != 1"),
        ("1 < size", "size > 1"),
        ("true_ and size > 1", "size > 1"),
        ("kernel[1] + 1", "kernel[1] + 1"),
        ("0.2 * size / 16", "0.2 * size / 16"),
        ("len(kernel)", "len(kernel)"),
    ],
)
def test_the_authors_expressions(author: str, text: str | None) -> None:
    names = {
        "width": WIDTH, "size": SIZE, "true_": True,
        "kernel": Listed([3, 5], ast.Name("kernel")),
    }  # fmt: skip
    found = evaluate(parse(author), names)
    assert plain(found) == evaluate(parse(author), {n: plain(v) for n, v in names.items()})
    if text is None:
        assert type(found) is int
    else:
        assert ast.unparse(written(found)) == text


EXPRESSIONS = st.recursive(
    st.sampled_from(["a", "b"]) | st.integers(-6, 9).map(str),
    lambda inner: st.tuples(inner, st.sampled_from(["+", "-", "*", "//", "%"]), inner).map(
        lambda parts: f"({parts[0]} {parts[1]} {parts[2]})"
    ),
    max_leaves=8,
)


@given(
    EXPRESSIONS, st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), min_size=3, max_size=3)
)
def test_what_is_written_holds_at_other_values(text: str, values: list[tuple[int, int]]) -> None:
    tree = parse(text)
    first, *others = values
    try:
        found = evaluate(tree, {"a": Sym.of("a", first[0]), "b": Sym.of("b", first[1])})
        wanted = [evaluate(tree, dict(zip("ab", pair, strict=True))) for pair in values]
    except ZeroDivisionError:
        assume(False)
    assert plain(found) == wanted[0]
    said = written(found)
    for pair, worth in zip(values, wanted, strict=True):
        assert evaluate(said, dict(zip("ab", pair, strict=True))) == worth
    assert others


def test_a_layer_passes_them_on() -> None:
    t = TensorType((Sym.of("in_channels", 16), Sym.of("H", 9), Sym.of("W", 9)))
    layer = create(
        "conv",
        {
            "out": 2 * WIDTH,
            "kernel": 3,
            "stride": 2,
            "padding": 1,
            "bias": Truth(False, ast.Name("bias")),
        },
    )
    (out,) = layer.infer(t)
    assert [repr(n) for n in out.shape] == ["2 * width", "(H - 1) // 2 + 1", "(W - 1) // 2 + 1"]
    assert out.shape == (128, 5, 5)
    weight = layer.weights(t)[0]
    assert [repr(n) for n in weight.shape] == ["2 * width", "in_channels", "3", "3"]
    given = {a.name: a.value for a in layer.call(t).args}
    assert repr(given["bias"]) == "bias"


def test_layers_of_equal_numbers_and_other_origin_are_told_apart() -> None:
    one, two = (create("linear", {"out": Sym.of(n, 8)}) for n in ("a", "b"))
    assert one != two
    assert one != create("linear", {"out": 8})


def test_plain_values_come_back() -> None:
    for value in (3, 2.5, True, "relu", [1, 2]):
        found = traced(value, ast.Name("x"))
        assert plain(found) == (tuple(value) if isinstance(value, list) else value)
        assert ast.unparse(written(found)) == "x"
    assert type(pickle.loads(pickle.dumps(WIDTH))) is int
    assert type(pickle.loads(pickle.dumps(SymFloat(0.5, ast.Name("p"))))) is float


@pytest.mark.parametrize("width", ["max(n)", "min(n)", "max([n])", "max(4)"])
def test_an_extreme_of_a_number_alone(width: str) -> None:
    """`check` takes it as that number, and so does what is written."""
    head = "spec: 1\nname: net\nparams: {n: 4}\ninput: [3]\nbody:\n"
    text = f"{head}  - linear: $({width})\n"
    assert "nn.Linear(3, " in archspec.loads(text).code
    assert archspec.loads(text, n=6).analysis.totals.params == (16 if width == "max(4)" else 24)
