"""Reading: strict YAML, places, excerpts; compared with PyYAML where both accept a text."""

# ruff: noqa: E501  (texts as authors write them)

from __future__ import annotations

import os
import random
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml

from archspec.limits import Limits
from archspec.text import reading, words
from archspec.text.faults import Fault, Loc, SpecError, Step, show
from archspec.text.source import Source, from_text, read

ROOT = Path(__file__).resolve().parent.parent
SPECS = sorted((ROOT / "specs").glob("*.yaml"))


def complaint(text: str | bytes, tmp_path: Path) -> SpecError:
    file = tmp_path / "x.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
    with pytest.raises(SpecError) as caught:
        read(file, name="x.yaml")
    return caught.value


# ------------------------------------------------------------------ what YAML means


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("a: 1", {"a": 1}),
        ("a: -0.5\nb: 1e-3\nc: 1e5\nd: .5\ne: 1.\nf: +3", {"a": -0.5, "b": 1e-3, "c": 1e5, "d": 0.5, "e": 1.0, "f": 3}),
        ("[yes, no, on, off, y, 2:2, 59:59:59, 2020-01-01, 1_000, 1e]", ["yes", "no", "on", "off", "y", "2:2", "59:59:59", "2020-01-01", "1_000", "1e"]),
        ("[true, False, TRUE, null, ~, Null, '', 'true']", [True, False, True, None, None, None, "", "true"]),
        ("a:\nb: ~\nc: {d: , e}", {"a": None, "b": None, "c": {"d": None, "e": None}}),
        ("- a\n-\n- - b\n  - c\n- k: v\n  l:\n  - m", ["a", None, ["b", "c"], {"k": "v", "l": ["m"]}]),
        ("[a: 1, {b: 2}, 'c': 3]", [{"a": 1}, {"b": 2}, {"c": 3}]),
        ("a: |\n  x\n   y\n\n  z\n\nb: 1", {"a": "x\n y\n\nz\n", "b": 1}),
        ("a: >-\n  x\n  y\n\n  z\n   w\nb: |+\n  q\n\n", {"a": "x y\nz\n w", "b": "q\n\n"}),
        ("a: |2\n    x\n  y\n", {"a": "  x\ny\n"}),
        ("'a b': \"c\\td\\u0041\\\n  e\"", {"a b": "c\tdAe"}),
        ("a: 'it''s\n  two\n\n  three'", {"a": "it's two\nthree"}),
        ("a: one\n  two\n\n  three\nb: 1", {"a": "one two\nthree", "b": 1}),
        ("# c\n\n--- # d\na: b#c # e\n...\n", {"a": "b#c"}),
        ("a: {b: [1,\n 2, # c\n\n 3], c: x:y}", {"a": {"b": [1, 2, 3], "c": "x:y"}}),
        ("a: $(hidden[:-1])\nb: $(max(1, 2))", {"a": "$(hidden[:-1])", "b": "$(max(1, 2))"}),
        ("a:\r\n  - b\r\n  - c\r\n", {"a": ["b", "c"]}),
        ("", None),
        ("# only a comment\n\n", None),
        ("a: https://x.org/y#z", {"a": "https://x.org/y#z"}),
    ],
)  # fmt: skip
def test_data(text: str, data: object) -> None:
    found = from_text(text).data
    assert repr(found) == repr(data)


def test_order_is_kept() -> None:
    assert list(from_text("z: 1\na: 2\nm: 3").data) == ["z", "a", "m"]


# ------------------------------------------------------------------ hostile texts


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("a: 1\n---\nb: 2", "E113"),
        ("a: 1\n...\nb: 2", "E113"),
        ("%YAML 9.9\n---\na: 1", "E113"),
        ("a:\n\tb: 1", "E105"),
        ("-\ta", "E105"),
        ("a: !!python/object/apply:os.system [ls]", "E110"),
        ("a: !!python/name:os.system", "E110"),
        ("a: !local x", "E110"),
        ("a: !!binary x", "E110"),
        ("a: !!set {b}", "E110"),
        ("a: !!float 3", "E110"),
        ("a: *x", "E108"),
        ("a: [*x]", "E108"),
        ("*x : 1", "E108"),
        ("a: &x 1\nb: &x 2", "E107"),
        ("a: &x [*x]", "E107"),
        ("&x a: 1", "E107"),
        ("a: &x\n  b: 1", "E107"),
        ("a:\n  <<: {b: 1}", "E109"),
        ("{a: 1, <<: [{b: 1}]}", "E109"),
        ("a: 1\na: 2", "E106"),
        ("{a: 1, 'a': 2}", "E106"),
        ("1: a\n'1': b", "E111"),
        ("true: a", "E111"),
        ("null: a", "E111"),
        ("? [a]\n: b", "E111"),
        ("? a\n: b", "E111"),
        ("[a]: b", "E111"),
        ("{[a]: b}", "E111"),
        (": b", "E111"),
        ("[" * 100_000, "E402"),
        ("{a: " * 100_000, "E402"),
        ("".join(" " * i + "a:\n" for i in range(900)), "E402"),
        ("- " * 3000, "E402"),
        ("a: " + "9" * 100_000, "E112"),
        ("a: 0x" + "f" * 9_000, "E112"),
        ("a: 0x1f", "E112"),
        ("a: 0o12", "E112"),
        ("a: 012", "E112"),
        ("a: -.inf", "E112"),
        ("a: .NaN", "E112"),
        ("a: 1e400", "E112"),
        ("a: x\0y", "E103"),
        ('a: "x\\0y"', "E103"),
        ("a: x\u202ey", "E103"),
        ("# x\u200by", "E103"),
        ("title: soft\xadhyphen", "E103"),
        ("title: a\u034fb", "E103"),
        ("# \u180e", "E103"),
        ("a\u3164: 1", "E103"),
        ("title: \u2764\ufe0f", "ok"),
        ('a: "\\ud800"', "E103"),
        ("a: \x1b[31mred", "E103"),
        ('a: "\\e[31m"', "E103"),
        ("a: b\u2028c: d", "E103"),
        ("a: b\x85c: d", "E103"),
        ("a: b\rc: d", "E103"),
        ("a: " + "x" * 10_001, "E403"),
        ("{out:64}", "E115"),
        ("a: {b: 1, c:2}", "E115"),
        ("a: 1\nb:2", "E115"),
        ("a: {b: $(f(x, y))}", "E116"),
        ("a: {b: $(w[0])}", "E116"),
        ("a: [$(w[0])]", "E116"),
        ("a: {b: ${x}}", "E121"),
        ("a: $(b if c: d)", "E116"),
        ("a: $(b # c)", "E116"),
        ("a: [1, 2", "E114"),
        ("a: {b: 1\nc: 2", "E114"),
        ("a: 'x\nb: 1", "E114"),
        ('a: "x\nb: "y"', "E114"),
        ("a: [b 2, 3]: 4", "E111"),
        ("a: [1 2, 3]", "E104"),
        ("a: b: c", "E104"),
        ("a: {b: 1 c: 2}", "E104"),
        ("a: {b: 1,, c: 2}", "E104"),
        ("a: [,]", "E104"),
        ("a: ]", "E104"),
        ("a: @b", "E104"),
        ("a: `b`", "E104"),
        ("a: %b", "E104"),
        ("a: 'b' c", "E104"),
        ("a: {b: 1} c", "E104"),
        ('a: "\\q"', "E104"),
        ('a: "\\U00110000"', "E104"),
        ("a: |x\n  y", "E104"),
        ("a:\n    b: 1\n  c: 2", "E117"),
        ("a: 1\n b: 2", "E117"),
        ("- a\n  - b", "E117"),
        ("a: - b", "E117"),
        ("a: 1\n- b", "E117"),
        ("a:\n  b: 1\n  - c", "E117"),
        ("- a\nb: 1", "E117"),
        ("a: b # c\n  d", "E117"),
        ("a: 1\nb", "E104"),
        ("\tx: 1", "E105"),
        ("._:", "ok"),
        ("a: {", "E114"),
        ("a: [b:", "E114"),
        # what YAML allows and no author means
        ("a: b\n  - c", "E117"),
        ("a: b\n  ?\n", "E117"),
        ("a: {b: c\n  d: e}", "E104"),
        ("a: [b\n  c]", "E104"),
        ("body:\n>\n  text", "E117"),
        ("a: |#c\n  b", "E104"),
        ('a: "b"#c', "E104"),
        ("a: [b]#c", "E104"),
        ("a: {#c\n  b: 1}", "E104"),
        ("{?a: 1}", "E111"),
        ("[?a]", "E111"),
        ("[? a : b]", "E111"),
        ("['a':b]", "E115"),
        ("{'a':b}", "ok"),
        ("{a:[1]}", "E115"),
        ("{a:}", "E115"),
        ("[a:{b: 1}]", "E115"),
        ("--- a", "E104"),
        ("a: 1\n... # c\n", "ok"),
        ("a: 1\n... b\n", "E104"),
        ("a: |\n   \n  b\n", "E117"),
        ("a: 1\n\t\nb: 2", "E105"),
        # signs that look like YAML's own
        ("\u2013 a", "E103"),
        ("a:\n  - b\n  \u2014 c", "E103"),
        ("a:\xa01", "E103"),
        ("a: 1\xa0", "E103"),
        ("a: [1,\u30002]", "E103"),
        ("\u3000a: 1", "E103"),
        ("a:\n  -\xa0b: 1\n    c: 2", "E103"),
        ("a: 1\xa0# c", "E103"),
        ("a: b\xa0c \u2013 d # \xa0", "ok"),
        ("a: '\xa0b'\nc: \u2013 d", "ok"),
    ],
)  # fmt: skip
def test_hostile(text: str, code: str, tmp_path: Path) -> None:
    if code == "ok":
        from_text(text)
        return
    error = complaint(text, tmp_path)
    assert error.faults[0].code == code, str(error)
    assert f"{code} " in str(error)
    assert re.search(r"--> x\.yaml:\d+:\d+", str(error))
    assert all(
        ("\n" not in f.message and f.message[0] == f.message[0].lower())
        or f.message[0] == "U"
        or "YAML" in f.message
        for f in error.faults
    )


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        ("a: 1".encode("utf-16"), "E102"),
        ("a: 1".encode("utf-32"), "E102"),
        ("a: ü".encode("latin-1"), "E102"),
        (b"a: \xed\xa0\x80", "E102"),
        (b"a: 1\n" * 300_000, "E401"),
    ],
)
def test_bytes(raw: bytes, code: str, tmp_path: Path) -> None:
    assert complaint(raw, tmp_path).faults[0].code == code


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_bytes(b"\xef\xbb\xbfa: 1\r\nb: [2]\r\n")
    for source in (read(file), from_text("\ufeffa: 1\nb: [2]\n")):
        assert source.data == {"a": 1, "b": [2]}
        assert source.place(Loc(source.name, ("a",), on_key=True)) == (1, 1, 1)
    file.write_bytes(b"\xef\xbb\xbfa: \xff")
    with pytest.raises(SpecError, match=r"byte 0xff is not UTF-8\n  --> \S+:1:4"):
        read(file)


def test_bombs_cost_nothing(tmp_path: Path) -> None:
    bomb = "a: &a [x]\n" + "\n".join(
        f"k{i}: &b{i} [{', '.join([f'*b{i - 1}' if i else '*a'] * 9)}]" for i in range(9)
    )
    merge = "a: &a {x: 1}\n" + "\n".join(
        f"k{i}: &b{i} {{<<: [{', '.join(['*a'] * 9)}]}}" for i in range(9)
    )
    wide = "a: &a 1\nb: [" + "*a, " * 100_000 + "]"
    many = "".join(f"- &a{i} x\n" for i in range(20_000))
    for text in (bomb, merge, wide, many):  # refused at the first anchor, not after expanding it
        with pytest.raises(SpecError):
            from_text(text)
    from_text("a: |\n" + "\n" * 200_000)


def test_a_megabyte_is_read() -> None:
    text = "body:\n" + "  - {id: c1, conv: {out: 64, kernel: 3, padding: 1}}\n  - relu\n" * 16_000
    assert len(from_text(text).data["body"]) == 32_000


def test_independent_faults_come_together(tmp_path: Path) -> None:
    error = complaint("a: &x 1\nb: 0x1\nb: !t y\n1: z", tmp_path)
    assert [f.code for f in error.faults] == ["E107", "E112", "E106", "E110", "E111"]


def test_all_missing_quotes_come_together(tmp_path: Path) -> None:
    text = """\
a: {b: $(f(x, y)), c: "$(w[0])", d: $(w[1])}
b:
  - when: $(1 if a else: 2)
  - [$(w[0]), $(a + b), 0x1]
  - $(3 # c)
  - $(max(1, 2))
c: [1
"""
    faults = complaint(text, tmp_path).faults
    assert [f.code for f in faults] == ["E116"] * 4 + ["E112", "E116", "E114"]
    helps = [f.help.partition(": ")[2] for f in faults if f.code == "E116"]
    assert helps == [
        f'"{e}"' for e in ("$(f(x, y))", "$(w[1])", "$(1 if a else: 2)", "$(w[0])", "$(3 # c)")
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- id:main\n  sequential: [relu]", "E115 a space is missing after `:`\n  --> x.yaml:1:5"),
        ("- id main\n  sequential: [relu]", "E104 `:` is missing after `id`\n  --> x.yaml:1:3"),
        ("- \u2013 id: main\n", "E103 U+2013 (en dash) follows `-`, which starts the item already"),
        ("- a\n\u2013 id: main\n  b: 1", "E103 U+2013 (en dash) stands where `-`, a hyphen, starts an item\n  --> x.yaml:2:1"),
        ("-\xa0id: main\n\xa0 b: 1", "E103 U+00A0 (no-break space) stands where YAML takes only a space\n  --> x.yaml:1:2"),
        ("- a\n  {b: 1}", "E117 this line is indented below `a`, which is a value already\n  --> x.yaml:2:3"),
        ("- [a]\n{b: 1}", "E117 this line starts in column 1, where no list or mapping has its items\n  --> x.yaml:2:1"),
        ("{a: 1, conv:{out: 2}}", "E115 a space is missing after `:`\n  --> x.yaml:1:12"),
    ],
)  # fmt: skip
def test_the_line_that_is_at_fault(text: str, said: str, tmp_path: Path) -> None:
    assert str(complaint(text, tmp_path)).startswith(said)


# ------------------------------------------------------------------ files


def test_what_is_no_file(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.yaml"
    os.mkfifo(pipe)
    loop = tmp_path / "loop.yaml"
    loop.symlink_to(loop)
    cases = {
        tmp_path / "none.yaml": "does not exist",
        tmp_path: "is a folder",
        pipe: "not a regular file",
        Path("/dev/zero"): "not a regular file",
        loop: "leads to itself",
        tmp_path / "none" / "x.yaml": "does not exist",
        Path("x\0y"): "NUL",
        tmp_path / ("x" * 5000): "too long",
    }
    for path, said in cases.items():
        with pytest.raises(SpecError) as caught:
            read(path)
        (fault,) = caught.value.faults
        assert fault.code == "E101"
        assert said in fault.message
        assert "Traceback" not in str(caught.value)


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        ("nets/vgg61.yaml", "did you mean `nets/vgg16.yaml`?"),
        ("nets/vgg16.yml", "did you mean `nets/vgg16.yaml`?"),
        ("nets/vgg16", "did you mean `nets/vgg16.yaml`?"),
        ("nets/notes.yaml", "did you mean `nets/notes.txt`?"),
        ("nets/other.yaml", "check the path"),  # all of the folder end so
        ("nots/vgg16.yaml", "check the path"),
    ],
)
def test_a_file_that_is_not_there_may_be_one_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: str, meant: str
) -> None:
    (tmp_path / "nets").mkdir()
    for name in ("vgg16.yaml", "vgg19.yaml", "notes.txt"):
        (tmp_path / "nets" / name).write_text("spec: 1\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SpecError) as caught:
        read(wrong)
    assert [(fault.code, fault.help) for fault in caught.value.faults] == [("E101", meant)]


def test_limits_are_the_callers() -> None:
    with pytest.raises(SpecError) as caught:
        from_text("a: " + "x" * 100, limits=Limits(file_bytes=50))
    assert caught.value.faults[0].code == "E401"
    assert from_text("a: " + "x" * 20_000, limits=Limits(scalar=30_000)).data["a"] == "x" * 20_000


# ------------------------------------------------------------------ places


@pytest.fixture(scope="module")
def resnet() -> Source:
    return read(ROOT / "specs" / "resnet50.yaml", name="resnet50.yaml")


def at(source: Source, *path: str | int, **more: Any) -> str:
    """The characters a place means."""
    where = source.place(Loc(source.name, path, **more))
    line = source.text.split("\n")[where.line - 1]
    return line[where.column - 1 :][: where.length]


def test_places(resnet: Source) -> None:
    block = ("blocks", "Bottleneck")
    assert at(resnet, "name") == "resnet50"
    assert at(resnet, "name", on_key=True) == "name"
    assert at(resnet, *block, on_key=True) == "Bottleneck"
    assert at(resnet, *block, "body", 0, "residual", on_key=True) == "residual"
    assert at(resnet, *block, "body", 0) == "residual"
    assert at(resnet, *block, "body", 1) == "relu"
    assert at(resnet, *block, "params", "out") == "$(4 * width)"
    assert at(resnet, *block, "params", "out", span=(6, 11)) == "width"
    assert at(resnet, *block, "body", 0, "residual", 0, "conv", "kernel") == "1"
    assert (
        at(resnet, *block, "body", 0, "residual", 1, "batch_norm") == "batch_norm"
    )  # its value is empty
    assert at(resnet, "body", 3, "max_pool", "nowhere", "at", "all") == "max_pool"
    assert resnet.place(Loc("resnet50.yaml")) == (1, 1, 4)


@pytest.mark.parametrize(
    ("text", "span", "shown"),
    [
        ("a: $(b + c)", (4, 5), "+"),
        ("a: '$(b + c)'", (3, 4), " +"),
        ('a: "$(b + c)"', (4, 5), "+"),
        ("a: '$(x == ''y'')'", (7, 10), "''y"),
        ('a: "\\u0024(b + c)"', (2, 3), "b"),
        ("a: >\n  $(b\n   + c)\n", (5, 6), "+"),
        ("a: $(b\n  + c)", (4, 5), "+"),
        ("a: |\n  $(bc)\n", (2, 4), "bc"),
    ],
)
def test_spans(text: str, span: tuple[int, int], shown: str) -> None:
    source = from_text(text)
    where = source.place(Loc("<text>", ("a",), span=span))
    line = (source.text + "\n").split("\n")[where.line - 1] + "\n"
    assert line[where.column - 1 :].startswith(shown)


def test_quote(resnet: Source) -> None:
    stages = Loc("resnet50.yaml", ("body", 4, "body", 0))
    fault = Fault(
        "E301",
        "add: inputs have different shapes",
        Loc("resnet50.yaml", ("blocks", "Bottleneck", "body", 0, "residual"), on_key=True),
        "the main path has stride 2; give the shortcut a projection, for example\nshortcut: [{ConvBN: $out}]",
        ("main      [256, 28, 28]", "shortcut  [256, 56, 56]"),
        (Step(stages, "stages, copy 2 of 4"), Step(stages, "Bottleneck, copy 1 of 4, stride = 2")),
    )
    text = resnet.quote(fault)
    row = resnet.place(fault.loc).line
    call = resnet.place(stages).line
    assert (
        text
        == f"""\
E301 add: inputs have different shapes
  --> resnet50.yaml:{row}:9   Bottleneck.residual
{row:>5} |       - residual:
      |         ^^^^^^^^
  main      [256, 28, 28]
  shortcut  [256, 56, 56]
  expanded from resnet50.yaml:{call}:9   stages, copy 2 of 4; Bottleneck, copy 1 of 4, stride = 2
  help: the main path has stride 2; give the shortcut a projection, for example
        shortcut: [{{ConvBN: $out}}]"""
    )
    assert str(SpecError([fault], {"resnet50.yaml": resnet})) == text
    assert show(fault, {}).startswith("E301 add: inputs")


def test_long_chains_and_long_lines_are_cut() -> None:
    source = from_text("a: [" + "relu, " * 200 + "end]")
    steps = tuple(Step(Loc("<text>", ("a", i)), f"step {i}") for i in range(50))
    text = source.quote(Fault("E301", "x", Loc("<text>", ("a", 100)), chain=steps))
    assert "… 42 more …" in text
    assert max(map(len, text.split("\n"))) < 130
    line, caret = text.split("\n")[2:4]
    assert line[caret.index("^") :].startswith("relu")


# ------------------------------------------------------------------ the words of complaints


def test_words() -> None:
    assert words.written([1, None, {"a": True}, "b"]) == "[1, null, {a: true}, b]"
    assert words.written(1 << 300) == "a number of 301 bits"
    assert [words.show(v) for v in (None, True, "a  b", [1] * 7, {}, 1 << 300)] == [
        "nothing (`null`)", "`true`", '"a b"', "[1, 1, 1, 1, 1, 1, …]", "a mapping", "a very large number",
    ]  # fmt: skip
    assert words.kind(3) == "the number 3"
    assert words.listed(["conv"]) == "`conv`"
    assert words.listed(["conv", "add", "max"], "or") == "`conv`, `add` or `max`"
    assert words.cut("a \n b" * 30) == ("a b" * 30)[:59] + "…"
    assert words.did_you_mean("BatchNrm", ["batch_norm", "conv"]) == "did you mean `batch_norm`?"
    assert words.did_you_mean("zzz", ["batch_norm", "conv"]) == "known: `batch_norm`, `conv`"
    assert words.did_you_mean("zzz", map(str, range(30))) == words.meant("zzz", []) == ""


# ------------------------------------------------------------------ against PyYAML


def oracle(text: str) -> Any:
    """What PyYAML reads, with the scalars of YAML 1.2."""

    class Loader(yaml.SafeLoader):
        yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012

    def add(tag: str, pattern: str, first: str) -> None:
        Loader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(pattern), list(first))

    add("null", r"^(?:~|null|Null|NULL|)$", "~nN")
    Loader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"^$"), [""])
    add("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", "tTfF")
    add("int", r"^[-+]?[0-9]+$", "-+0123456789")
    add("float", r"^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$", "-+.0123456789")
    Loader.add_constructor("tag:yaml.org,2002:int", lambda _, node: int(node.value))
    Loader.add_constructor("tag:yaml.org,2002:float", lambda _, node: float(node.value))
    return yaml.load(text, Loader)


BITS = [
    *"{}[],:#-|>&*!%@`'\"\\ \n~$()0a1.",
    "\n  ",
    "- ",
    ": ",
    " #",
    "\n- ",
    "\n\n",
    "|\n  ",
    ">\n  ",
    '"\\n',
    "''",
]


def mutate(text: str, rng: random.Random) -> str:
    for _ in range(rng.randrange(1, 5)):
        i, kind = rng.randrange(len(text) + 1), rng.random()
        if kind < 0.5:
            text = text[:i] + rng.choice(BITS) + text[i:]
        elif kind < 0.8:
            text = text[:i] + text[i + rng.randrange(1, 4) :]
        else:
            j = rng.randrange(len(text) + 1)
            text = text[:i] + text[j : j + rng.randrange(1, 30)] + text[i:]
    return text


def test_agrees_with_pyyaml() -> None:
    texts = [path.read_text() for path in SPECS]
    texts.append(
        "a: |\n  x\n   y\n\n  z\n\nb: >-\n  foo\n  bar\n\n  baz\n   ind\n  q\nc: 'it''s\n  two'\nd: \"a\\tb\\\n   c\\u0041\n\n  e\"\n"
    )
    texts.append(
        "e: plain\n  more\n\n  x\nf:\n- - a\n  - b\n-\n  - c\n- k: v\n  l:\n  - m\n  n: [a: 1, {b, c: }, 'q': 2]\n"
    )
    rng = random.Random(1)
    agreed = 0
    for text in texts:
        assert repr(from_text(text).data) == repr(oracle(text))
    for _ in range(1500):
        text = rng.choice(texts)
        start = text.rfind("\n", 0, rng.randrange(len(text))) + 1
        text = mutate(text[start : start + rng.randrange(20, 300)], rng).rstrip("\n") + "\n"
        try:
            ours = reading.load(text)[0]
            theirs = oracle(text)
        except (reading.UnreadableError, yaml.YAMLError, ValueError, IndexError, TypeError):
            continue
        agreed += 1
        assert repr(ours) == repr(theirs), text
    assert agreed > 50


@pytest.mark.skipif(not yaml.__with_libyaml__, reason="PyYAML without libyaml")
def test_libyaml_makes_no_difference() -> None:
    files = [*SPECS, *sorted((ROOT / "tests" / "bad").glob("*.yaml"))]
    texts = [path.read_bytes().decode("utf-8", "replace") for path in files]
    texts += [
        'a: "\\ud800"',
        'a: "\\U00110000"',
        'a: "\\q"',
        "{a:[1]}",
        "%X\n---\na",
        "a: |#\n b",
        "a: 1\n% b",
    ]
    for text in texts:
        found: list[object] = []
        for loader in (yaml.CSafeLoader, yaml.SafeLoader):
            try:
                found.append(reading.load(text, loader=loader))
            except reading.UnreadableError as bad:
                found.append(bad.args)
        assert repr(found[0]) == repr(found[1]), text


def test_only_complaints_escape_the_reader() -> None:
    texts = [path.read_text() for path in SPECS]
    rng = random.Random(2)
    for _ in range(4000):
        text = mutate(rng.choice(texts), rng)
        with suppress(SpecError):
            from_text(text)
