"""Expressions: values, whole-value rule, what is refused and where, bounds, speed."""

# ruff: noqa: E501  (texts as authors write them)

from __future__ import annotations

import ast
import copy
import pickle
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archspec.expressions import (
    Expr,
    ExpressionError,
    Loop,
    Record,
    Template,
    evaluate,
    make_divisible,
    parse,
    render,
    resolve,
    scalar,
    template,
)

ENV: dict[str, object] = {
    "width": 64, "stride": 2, "maps": [8, 16, 32], "word": "half", "flag": True, "ratio": 1.5, "c": 16,
    "prev": Record((64, 7, 9)), "input": Record((3, 8)), "clip": Record((2, 4, 6, 8)), "loop": Loop(1, 3, 4, 9),
}  # fmt: skip


def value(text: str) -> Any:
    found = scalar(text)
    return evaluate(found, ENV) if isinstance(found, Expr) else found


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("plain", "plain"),
        ("$$x and $$", "$x and $"),
        ("$width", 64),
        ("$(4 * width)", 256),
        ("$( 4\n * width )", 256),
        ("$(-width)", -64),
        ("$(7 // 2 + 7 % 2 - -1)", 5),
        ("$(7 / 2)", 3.5),
        ("$(6 / 2)", 3.0),
        ("$(2 ** 10)", 1024),
        ("$(width ** -0.5)", 0.125),
        ("$(1e-3)", 1e-3),
        ("$(stride != 1 or prev.channels != width)", True),
        ("$(not flag and 1 / 0 > 1)", False),
        ("$(1 < stride <= 2)", True),
        ("$(word == 'half')", True),
        ("$(maps == [8, 16, 32])", True),
        ("$(stride == \"half\")", False),
        ("$(true)", True),
        ("$(false or flag)", True),
        ("$(1 if loop.first else 2)", 2),
        ("$(maps[0] + maps[-1])", 40),
        ("$(maps[1:])", [16, 32]),
        ("$(maps[:-1][::-1])", [16, 8]),
        ("$([1] * 3 + [2])", [1, 1, 1, 2]),
        ("$(min(3, 1, 2) + max(maps) + abs(-4))", 37),
        ("$(ceil(1.2) + floor(1.8) + round(1.6) + int(1.9))", 6),
        ("$(len(maps) + sum(maps))", 59),
        ("$(log2(width))", 6.0),
        ("$(sqrt(width) + log(1))", 8.0),
        ("$(sorted([3, 1, 2.5]))", [1, 2.5, 3]),
        ("$([2 * m for m in maps if m > 8])", [32, 64]),
        ("$([m * n for m in maps for n in range(m // 8) if n % 2 == 1])", [16, 32, 96]),
        ("$([[m + n for n in maps[:2]] for m in maps[1:]])", [[24, 32], [40, 48]]),
        ("$([c for c in [c, 2 * c]])", [16, 32]),
        ("$(sum([m for m in range(1500)]))", 1124250),
        ("$(range(3))", [0, 1, 2]),
        ("$(range(8, 2, -3))", [8, 5]),
        ("$(make_divisible(c * ratio))", 24),
        ("$(make_divisible(18, 4))", 20),
        ("$(make_divisible(18, divisor=4))", 20),
        ("$(prev.shape[1] * prev.rank)", 21),
        ("$(prev.height + prev.width + prev.features)", 25),
        ("$(input.width)", 8),
        ("$(clip.depth + clip.height + clip.width)", 18),
        ("$(0.2 * loop.serial / loop.total)", 0.2 * 4 / 9),
        ("$(loop.index + loop.count)", 4),
        ("$(loop.last)", False),
    ],
)  # fmt: skip
def test_values(text: str, result: object) -> None:
    found = value(text)
    assert found == result
    assert type(found) is type(result)


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("-$width", "E121", "spliced"),
        ("a$width", "E121", "spliced"),
        ("$prev.height", "E121", "spliced"),
        ("$(1) $(2)", "E121", "spliced"),
        ("$", "E121", "without a name"),
        ("5$", "E121", "without a name"),
        ("$(", "E122", "not closed"),
        ("$(width", "E122", "not closed"),
        ("$()", "E122", "missing"),
        ("$(width *)", "E122", "not an expression"),
        ("$(width width)", "E122", "not an expression"),
        ("$([1)", "E122", "not closed"),
        ("$(0x1f)", "E122", "neither a number nor a name"),
        ("$(1_000)", "E122", "neither"),
        ("$(1if flag else 2)", "E122", "neither"),
        ("$('a\\n')", "E122", "backslash"),
        ("$(True)", "E123", "`True`"),
        ("$(None)", "E123", "`None`"),
        ("$(width is 1)", "E123", "comparisons"),
        ("$(8 in maps)", "E123", "comparisons"),
        ("$(width = 1)", "E123", "`=`"),
        ("$(x := 1)", "E123", "no meaning"),
        ("$(1 << 3)", "E123", "`<<`"),
        ("$(width & 3)", "E123", "`&`"),
        ("$(width ^ 3)", "E123", "`^`"),
        ("$(~width)", "E123", "`~`"),
        ("$(width @ 3)", "E123", "`@`"),
        ("$(lambda: 1)", "E123", "a function"),
        ("$(sum(m for m in maps))", "E123", "a comprehension without brackets"),
        ("$([a for a, b in maps])", "E123", "takes one name"),
        ("$([max for max in maps])", "E123", "cannot be the name"),
        ("$([m.width for m in maps])", "E123", "is an entry of a list"),
        ("$([m for m in maps if m in maps])", "E123", "comparisons are"),
        ("$([m for m in width])", "E361", "`width` is 64, not a list"),
        ("$([m for m in maps if m])", "E361", "8 is not `true` or `false`"),
        ("$([m for n in maps])", "E362", "`m` is not known here"),
        ("$([m for m in range(9999) for n in range(9999)])", "E405", "100,000 operations"),
        ("$([sum(range(9000)) for m in range(19)])", "E405", "100,000 operations"),
        ("$([len(maps * 999) for m in range(99)])", "E405", "100,000 operations"),
        ("$([2 * i + i - i * i // 3 % 7 ** 2 - i + i + 1 for i in range(9999)])", "E405", "100,000 op"),
        ("$(log(0))", "E361", "`log`: 0 has no logarithm"),
        ("$(log2(-1.0))", "E361", "`log2`: -1.0 has no logarithm"),
        ("$(sqrt(-1))", "E361", "`sqrt`: -1 has no root"),
        ("$(sqrt(word))", "E361", "is not a number"),
        ("$(sorted(['b', 'a']))", "E361", "is not a number"),
        ("$(sorted(width))", "E361", "is not a list"),
        ("$({1: 2})", "E123", "`{`"),
        ("$((1, 2))", "E123", "a tuple"),
        ("$(f'x')", "E123", "no meaning"),
        ("$(*maps)", "E122", "not an expression"),
        ("$(__import__('os'))", "E123", "no function"),
        ("$(().__class__)", "E123", "fields"),
        ("$(prev.__class__)", "E123", "no field"),
        ("$(prev.shape.__class__)", "E123", "fields"),
        ("$(maps.append(1))", "E123", "functions by name"),
        ("$(eval('1'))", "E123", "no function `eval`"),
        ("$(min())", "E123", "at least 1"),
        ("$(len(maps, maps))", "E123", "1 argument,"),
        ("$(ceil(x=1))", "E123", "`=`"),
        ("$(\uff45val)", "E123", "no meaning"),
        ("$(widht)", "E362", "`widht`"),
        ("$(max(max))", "E362", "`max`"),
        ("$(true + 1)", "E361", "`true` is not a number"),
        ("$(flag * 2)", "E361", "`true` is not a number"),
        ("$(-flag)", "E361", "`true` is not a number"),
        ("$(flag == 1)", "E361", "`true` is not a number"),
        ("$(flag < 2)", "E361", "`true` is not a number"),
        ("$(sum([flag]))", "E361", "`true` is not a number"),
        ("$(width and flag)", "E361", "64 is not"),
        ("$(1 if width else 2)", "E361", "64 is not"),
        ("$(not maps)", "E361", "[8, 16, 32] is not"),
        ("$('a' * 3)", "E361", "is not a number"),
        ("$('a' + 'b')", "E361", "is not a number"),
        ("$('%s' % 1)", "E361", "is not a number"),
        ("$(word < 'z')", "E361", "is not a number"),
        ("$(1 / 0)", "E361", "division by zero"),
        ("$(0.0 // 0)", "E361", "division by zero"),
        ("$(1 % 0)", "E361", "division by zero"),
        ("$(0 ** -1)", "E361", "division by zero"),
        ("$((-8) ** 0.5)", "E361", "negative"),
        ("$(maps[3])", "E361", "outside"),
        ("$(maps[1.0])", "E361", "not a whole number"),
        ("$(maps[::0])", "E361", "step"),
        ("$(width[0])", "E361", "not a list"),
        ("$(range(1.0))", "E361", "not a whole number"),
        ("$(min([]))", "E361", "empty"),
        ("$(prev)", "E361", "a record"),
        ("$(prev == prev)", "E361", "record"),
        ("$(input.height)", "E361", "no `height`"),
        ("$(width.height)", "E361", "no fields"),
        ("$(make_divisible(8, 0))", "E361", "divisor"),
        ("$(9**9**9)", "E405", "too large"),
        ("$(2**(2**63))", "E405", "too large"),
        ("$(10**10**10 % 7)", "E405", "too large"),
        ("$(9e200 * 9e200)", "E405", "too large"),
        ("$(ceil(1e300))", "E405", "too large"),
        ("$(2.0 ** 5000)", "E405", "too large"),
        ("$([0] * 10**10)", "E405", "entries"),
        ("$([[0] * 100] * 101)", "E405", "entries"),
        ("$(range(10**9))", "E405", "entries"),
        ("$(" + "9" * 400 + ")", "E405", "too large"),
        ("$(1e400)", "E405", "out of range"),
        ("$(" + "(" * 5000 + ")" * 5000 + ")", "E405", "characters"),
        ("$(" + "(" * 300 + "1" + ")" * 300 + ")", "E405", "nested"),
        ("$(" + "+".join("1" * 400) + ")", "E405", "nested"),
        ("$(" + "-" * 900 + "1)", "E405", "nested"),
        ("$(" + "not " * 200 + "flag)", "E405", "nested"),
        ("$(" + "+".join(["1"] * 100_000) + ")", "E405", "characters"),
    ],
)  # fmt: skip
def test_refused(text: str, code: str, words: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        value(text)
    error = caught.value
    assert error.code == code
    assert words in error.message
    assert 0 <= error.start < error.stop <= len(text) + 1
    assert "\n" not in error.message
    assert len(error.message) < 200


def test_place_within_the_scalar() -> None:
    with pytest.raises(ExpressionError) as caught:
        value("$(4 * (widht + 1))")
    error = caught.value
    assert "$(4 * (widht + 1))"[error.start : error.stop] == "widht"
    assert error.help == "did you mean `width`?"
    with pytest.raises(ExpressionError) as caught:
        value("$(1 + maps[7])")
    assert "$(1 + maps[7])"[caught.value.start : caught.value.stop] == "maps[7]"


def test_expressions_are_values() -> None:
    one, two = parse("4 * width"), parse("4 * width", 7)
    assert one == two
    assert hash(one) == hash(two)
    assert one != parse("4*width")
    assert one.names == {"width"}
    assert parse("loop.first and prev.channels > c").names == {"loop", "prev", "c"}
    assert parse("prev.shape[0]").fields == {("prev", "shape")}
    assert pickle.loads(pickle.dumps(one)) == one
    assert copy.deepcopy(one) == one


def test_tree_is_pythons() -> None:
    tree = parse("true and width > 2").tree
    assert ast.unparse(tree) == "True and width > 2"
    name = next(node for node in ast.walk(tree) if isinstance(node, ast.Name))
    assert (name.col_offset, name.end_col_offset) == (9, 15) or name.col_offset == 9


def test_templates() -> None:
    assert template("enc1").parts == ("enc1",)
    assert template("enc$i").parts == ("enc", parse("i"))
    assert template("top$(i + 1).out_$j").names == {"i", "j"}
    assert render(template("top$(i + 1).out_$j"), {"i": 2, "j": 0}) == "top3.out_0"
    assert render(template("enc$(i)_out"), {"i": 2}) == "enc2_out"
    assert render(template("$name"), {"name": "stem"}) == "stem"
    assert isinstance(template("a$i"), Template)
    for bad in (1.5, -1, True, "a b", [1]):
        with pytest.raises(ExpressionError):
            render(template("a$i"), {"i": bad})
    with pytest.raises(ExpressionError):
        template("a$(i")


def test_resolve() -> None:
    written = {"out": scalar("$width"), "kernel": [scalar("$stride"), 3], "name": "x"}
    assert resolve(written, ENV) == {"out": 64, "kernel": [2, 3], "name": "x"}


def test_records() -> None:
    assert Record((3, 4)) == Record((3, 4))
    assert hash(Record((3,))) == hash(Record((3,)))
    assert (Record((5,)).channels, Record((5,)).features, Record((5,)).width) == (5, 5, None)
    assert Loop(0, 1).first
    assert Loop(0, 1).last


def test_make_divisible_is_torchvisions() -> None:
    def torchvisions(v: float, divisor: int, min_value: int | None = None) -> int:
        min_value = divisor if min_value is None else min_value
        new_v = max(min_value, int(v + divisor / 2) // divisor * divisor)
        return new_v + divisor if new_v < 0.9 * v else new_v

    for v in [0, 1, 3.9, *range(2, 2000, 7), *(x * 1.1 for x in range(1, 700, 3))]:
        for divisor in (1, 4, 8, 16):
            assert make_divisible(v, divisor) == torchvisions(v, divisor)


class Counted(int):
    """A whole number that knows more about itself, as emission passes."""

    def __add__(self, other: int) -> Counted:
        return Counted(int(self) + other)

    __radd__ = __add__


class Share(float):
    """A float that does."""


def test_a_kind_of_number_is_a_number() -> None:
    env = {"n": Counted(3), "p": Share(0.5), "maps": [8, 16, 32, 64], "flag": True}
    for text in ("n", "n + 1", "1 + n", "int(n)", "min(n, 4)", "max([1, n])"):
        assert isinstance(evaluate(parse(text), env), Counted)
    for text, expected in (
        ("-n", -3), ("n * p", 1.5), ("2 ** n", 8), ("maps[n]", 64), ("maps[:n]", [8, 16, 32]),
        ("range(n)", [0, 1, 2]), ("[0] * n", [0, 0, 0]), ("p < n", True), ("n == 3", True),
        ("round(p + n)", 4), ("make_divisible(n, n)", 3),
    ):  # fmt: skip
        assert evaluate(parse(text), env) == expected
    assert render(template("a$n"), env) == "a3"
    with pytest.raises(ExpressionError, match="`true` is not a number"):
        evaluate(parse("n + flag"), env)


def test_evaluation_is_fast() -> None:
    expr = parse("stride if loop.first else 1 + 2 * width")
    for _ in range(100_000):
        evaluate(expr, ENV)


TEXT = st.text(alphabet="0123456789abx_.+-*/%<>=!()[],:' \"$truefalsnodimxw", max_size=40)


@settings(max_examples=500, deadline=None)
@given(TEXT)
def test_only_expression_errors_escape(text: str) -> None:
    try:
        value("$(" + text + ")")
    except ExpressionError:
        return


NUMBERS = st.integers(-9, 9)


@settings(max_examples=300, deadline=None)
@given(
    a=NUMBERS,
    b=NUMBERS,
    c=NUMBERS,
    first=st.sampled_from("+-*/%"),
    second=st.sampled_from(["+", "-", "*", "//", "<", "=="]),
)
def test_arithmetic_is_pythons(a: int, b: int, c: int, first: str, second: str) -> None:
    text = f"a {first} b {second} (c)"
    names = {"a": a, "b": b, "c": c}
    try:
        expected = eval(text, {}, names)
    except ZeroDivisionError:
        with pytest.raises(ExpressionError):
            evaluate(parse(text), names)
        return
    found = evaluate(parse(text), names)
    assert found == expected
    assert type(found) is type(expected)
