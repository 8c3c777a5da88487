"""The form of a document: what parsing makes of items, values and files; what it refuses is in test_bad.py too."""

# ruff: noqa: E501  (texts as authors write them)

from __future__ import annotations

import random
import re
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from archspec.codes import CODES, page
from archspec.expressions import Expr
from archspec.expressions import parse as expression
from archspec.language import REQUIRED, Axis, Filler, Item, Merge, Spec, parse
from archspec.language.names import OF_MODULES, bad_id
from archspec.limits import Limits
from archspec.text.faults import SpecError
from archspec.text.source import from_text, read

ROOT = Path(__file__).resolve().parent.parent
SPECS = sorted((ROOT / "specs").glob("*.yaml"))
HEAD = "spec: 1\nname: net\nparams: {width: 8, flag: true, maps: [1, 2]}\ninput: [3, 32, 32]\n"
BLOCKS = "blocks:\n  Part:\n    params: {out: required, kernel: 3}\n    body: [{conv: {out: $out, kernel: $kernel}}]\n  Bare: {body: [relu]}\n"


def spec_of(text: str) -> Spec:
    return parse(from_text(text, "net.yaml"))


def items(*lines: str) -> tuple[Item, ...]:
    return spec_of(HEAD + BLOCKS + "body:\n" + "".join(f"  - {line}\n" for line in lines)).items


def item(line: str) -> Item:
    return items(line)[-1]


def faults(text: str) -> list[str]:
    with pytest.raises(SpecError) as caught:
        spec_of(text)
    return [fault.code for fault in caught.value.faults]


# ------------------------------------------------------------------ items


def test_forms_of_an_op() -> None:
    assert (item("relu").op, item("relu").args) == ("relu", {})
    assert item("{batch_norm: }").args == {}
    assert item("linear: 10").args == {"out": 10}
    assert item("conv: {out: $width, kernel: 3}").args == {"out": expression("width"), "kernel": 3}
    assert item("permute: [1, 2, 0]").args == {"order": [1, 2, 0]}
    assert item("unflatten: [$width, 1, 1]").args == {"axis": [expression("width"), 1, 1]}
    assert item("activation: relu").args == {"name": "relu"}
    assert item("activation: {leaky_relu: 0.1}").args == {"name": {"leaky_relu": 0.1}}
    assert item("activation: {name: relu}").args == {"name": "relu"}
    assert item('activation: $("relu" if flag else "tanh")').args["name"].names == {"flag"}


def test_forms_of_a_call() -> None:
    assert item("Part: 16").args == {"out": 16}
    assert item("Part: {out: 16, kernel: 5}").args == {"out": 16, "kernel": 5}
    assert item("Part: [1, 2]").args == {"out": [1, 2]}
    assert item("Bare").args == {}
    assert item("{Bare: }").op == "Bare"


def test_structure() -> None:
    residual = item("{residual: relu, shortcut: [tanh, Bare], merge: concat, shortcut_when: $flag}")
    assert [i.op for i in residual.items] == ["relu"]
    assert residual.shortcut is not None
    assert [i.op for i in residual.shortcut] == ["tanh", "Bare"]
    assert residual.merge == Merge("concat")
    assert residual.shortcut_when == expression("flag")
    plain = item("residual: []")
    assert (plain.items, plain.shortcut, plain.merge) == ((), None, Merge("add"))
    named = item("{branches: {a: relu, b: [tanh, relu], c: []}, merge: mean}")
    assert [(b.key, len(b.items)) for b in named.branches] == [("a", 1), ("b", 2), ("c", 0)]
    listed = item("{branches: [[relu], {id: x, tanh: }], merge: add}")
    assert [b.key for b in listed.branches] == [None, None]
    group = item("{id: stage, sequential: [relu, {body: [tanh]}]}")
    assert [i.op for i in group.items] == ["relu", "body"]
    shared = items("{id: tower, relu: }", "shared: tower")[1]
    assert shared.target is not None
    assert shared.target.path.parts == ("tower",)


def test_inputs() -> None:
    merge = items("{id: a, relu: }", "add: [a, prev]")[1]
    assert [r.path.text for r in merge.inputs or ()] == ["a", "prev"]
    assert merge.args == {}
    one = items("{id: a, relu: }", "{from: a, tanh: }")[1]
    assert [r.path.text for r in one.inputs or ()] == ["a"]
    concat = items("{id: a, relu: }", "{concat: {axis: 1}, from: [a, prev]}")[1]
    assert concat.args == {"axis": 1}
    named = item("{attention: {heads: 4}, from: {query: prev, key: input, value: input}}")
    assert [r.slot for r in named.inputs or ()] == ["query", "key", "value"]
    assert item("relu").inputs is None


def test_modifiers() -> None:
    found = item(
        "{id: enc$(loop.index), repeat: 3, relu: , when: $(loop.first), tap: train, expect: [3, ~, $width], freeze: true, note: why}"
    )
    assert found.id.names == {"loop"}
    assert found.repeat is not None
    assert found.repeat.count == 3
    assert found.tap == "train"
    assert found.expect == (3, None, expression("width"))
    assert (found.freeze, found.note) == (True, "why")
    columns = item(
        "{repeat: {c: [8, 16], n: $maps}, body: [{conv: {out: $c, kernel: 1}, repeat: $n}]}"
    )
    assert columns.repeat is not None
    assert columns.repeat.count is None
    assert columns.repeat.columns == {"c": [8, 16], "n": expression("maps")}


def test_places() -> None:
    text = HEAD + "body:\n  - {id: a, conv: {out: 8, kernel: 3}}\n"
    source = from_text(text, "net.yaml")
    (found,) = parse(source).items
    assert found.loc.path == ("body", 0)
    assert found.key.path == ("body", 0, "conv")
    assert source.position(found.key) == "net.yaml:6:13"


def test_init() -> None:
    def fillers(line: str) -> dict[str, dict[str, tuple[str, dict[str, Any]]]]:
        found = item(line).init
        assert found is not None
        return {op: {w: (f.name, dict(f.args)) for w, f in ws.items()} for op, ws in found.items()}

    conv = "conv: {out: 8, kernel: 3}"
    assert fillers(f"{{{conv}, init: zeros}}") == {"*": {"weight": ("zeros", {})}}
    assert fillers(f"{{{conv}, init: 0.5}}") == {"*": {"weight": ("constant", {"val": 0.5})}}
    assert fillers(f"{{{conv}, init: {{normal: 0.02}}}}") == {
        "*": {"weight": ("normal", {"std": 0.02})}
    }
    assert fillers(
        f"{{{conv}, init: {{weight: {{uniform: {{a: -1, b: $width}}}}, bias: zeros}}}}"
    ) == {"*": {"weight": ("uniform", {"a": -1, "b": expression("width")}), "bias": ("zeros", {})}}
    assert fillers("{Part: 8, init: {conv: {trunc_normal: 0.01}}}") == {
        "conv": {"weight": ("trunc_normal", {"std": 0.01})}
    }
    assert fillers("{Part: 8, init: ones}") == {"*": {"weight": ("ones", {})}}
    spec = spec_of(HEAD + "body: [relu]\ninit: {linear: {weight: xavier_uniform, bias: zeros}}\n")
    assert spec.init is not None
    assert isinstance(spec.init["linear"]["bias"], Filler)


# ------------------------------------------------------------------ the document


def test_document() -> None:
    spec = spec_of(
        """
spec: 1
name: net
title: a net
cite: me, 2020
params: {classes: 10, width: $(2 * classes), must: required, act: {leaky_relu: 0.1}}
variants: {big: {classes: 20}, same: }
input: {image: [3, {H: 224}, $width], tokens: {shape: [{T: 77}], dtype: int}}
blocks:
  Pair: {inputs: [x, skip], params: {out: $(x.channels)}, sequential: [{add: [x, skip]}], outputs: {output: add1, all: [add1]}}
body:
  - {id: fc, Pair: , from: [image, image]}
outputs: {logits: fc, levels: [fc]}
head: [fc, fc.add1.0]
weights: {torchvision: NET.DEFAULT}
expect: {net: {params: 1, macs: 2}, big: {params: 3}, warnings: [W104]}
"""
    )
    assert (spec.name, spec.title, spec.cite) == ("net", "a net", "me, 2020")
    assert list(spec.params) == ["classes", "width", "must", "act"]
    assert spec.params["must"] is REQUIRED
    assert spec.params["act"] == {"leaky_relu": 0.1}
    assert spec.variants == {"big": {"classes": 20}, "same": {}}
    image = spec.inputs["image"]
    assert image.shape[0] == 3
    assert isinstance(image.shape[1], Axis)
    assert isinstance(image.shape[2], Expr)
    assert (spec.inputs["tokens"].dtype, spec.named_inputs) == ("int", True)
    block = spec.blocks["Pair"]
    assert (block.inputs, block.named_inputs, block.numbered) == (("x", "skip"), True, True)
    assert block.lists == {"all"}
    assert spec.outputs is not None
    assert spec.lists == {"levels"}
    assert spec.head == ("fc", "fc.add1.0")
    assert spec.expect == {"net": {"params": 1, "macs": 2}, "big": {"params": 3}}
    assert spec.warnings == {"W104"}


def test_shorter_forms() -> None:
    spec = spec_of(
        "spec: 1\ninput: {shape: [16], dtype: bool}\nsequential: relu\nhead: a\nexpect: {params: 3}"
    )
    assert (spec.name, spec.numbered, spec.head) == ("network", True, ("a",))
    assert (spec.inputs["input"].dtype, spec.named_inputs) == ("bool", False)
    assert spec.expect == {"network": {"params": 3}}


def test_dollar_signs_in_text() -> None:
    assert spec_of("spec: 1\ninput: [3]\nbody: [relu]\ntitle: costs $$5").title == "costs $5"


def test_the_name_is_the_files(tmp_path: Path) -> None:
    file = tmp_path / "lenet.yaml"
    file.write_text("spec: 1\ninput: [3]\nbody: [relu]\n")
    assert parse(read(file)).name == "lenet"


# ------------------------------------------------------------------ faults


def test_independent_faults_come_together_in_order() -> None:
    text = (
        HEAD
        + "titel: x\nbody:\n  - cnov: 3\n  - linear: {units: 3}\n  - {relu: , wen: true}\n  - dropout: $q\nhead: 3\n"
    )
    assert faults(text) == ["E201", "E207", "E211", "E201", "E219", "E204"]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("spec: 1\ninputt: [3]\nbody: [relu]", "E201"),
        ("spec: 1\ninput: [3]\nboddy: [relu]", "E201"),
        ("spc: 1\ninput: [3]\nbody: [relu]", "E201"),
        ("spec: true\ninput: [3]\nbody: [relu]", "E226"),
        ("spec: '1'\ninput: [3]\nbody: [relu]", "E226"),
        (HEAD + "body: [conv: {out: 8, kernl: 3}]", "E208"),
        (HEAD + "body: [conv: {out: 8, kernel_size: 3}]", "E211"),
        (HEAD + "body: [{conv: 8, kernel: 3}]", "E213"),
        (HEAD + "body: [{conv: {out: 8, when: true}}]", "E212"),
        (HEAD + BLOCKS + "body: [{Part: {uot: 8}}]", "E208"),
        (HEAD + BLOCKS + "body: [{Part: , out: 8}]", "E213"),
        (HEAD + "body: [{repeat: {from: [1], c: 3}, relu: }]", "E205"),
        (HEAD + "use: {Part: {fil: x.yaml}}\nbody: [Part]", "E201"),
        (HEAD + "use: {Part: none.yaml}\nbody: [{Part: {anything: 3}}]", "E223"),
        (HEAD + "blocks: {Part: 3}\nbody: [{Part: {anything: 3}}]", "E204"),
        (HEAD + "body: [{reul: , widht: 3}]", "E207"),
    ],
)
def test_one_fault_is_one_complaint(text: str, code: str) -> None:
    found = faults(text)
    assert found[0] == code
    assert len(found) == (2 if "c: 3" in text else 1)


@pytest.mark.parametrize(
    "name",
    ["class", "match", "None", "forward", "train", "training", "parameters", "_modules", "__init__",
     "T_destination", "1x", "", " ", "a.b", "a/b", "..", "\uff45val", "\u017felf", "\u212aey", '"""', "\\",
     "a\nb", "#", "{{7*7}}", "%s", "<b>", "x" * 101],
)  # fmt: skip
def test_ids_that_are_refused(name: str) -> None:
    assert bad_id(name)


@pytest.mark.parametrize(
    "name", ["conv1", "_x", "Conv2d_1a_3x3", "fc", "layer1", "linear", "mean", "self", "x" * 100]
)
def test_ids_that_are_allowed(name: str) -> None:
    assert not bad_id(name)


def test_attributes_of_modules_are_those_of_torch() -> None:
    nn = pytest.importorskip("torch.nn")
    there = {*dir(nn.Module), *nn.Module().__dict__, *dir(nn.Sequential)}
    assert {name for name in there if not name.startswith("__")} <= OF_MODULES
    assert not any(not bad_id(name) for name in there)


def test_sight() -> None:
    """The table "where | may use"."""

    def codes(text: str) -> list[str]:
        try:
            spec_of(text)
        except SpecError as error:
            return [fault.code for fault in error.faults]
        return []

    body = HEAD + BLOCKS + "body:\n  - "
    assert codes("spec: 1\nparams: {a: 1, b: $a}\ninput: [$b]\nbody: [relu]") == []
    assert codes("spec: 1\nparams: {b: $a, a: 1}\ninput: [$b]\nbody: [relu]") == ["E220"]
    assert codes("spec: 1\nparams: {b: $(input.rank)}\ninput: [3]\nbody: [relu]") == ["E220"]
    assert (
        codes("spec: 1\nparams: {a: 1, b: 1}\nvariants: {v: {b: $a}}\ninput: [3]\nbody: [relu]")
        == []
    )
    assert codes(
        "spec: 1\nparams: {a: 1, b: 1}\nvariants: {v: {a: $b}}\ninput: [3]\nbody: [relu]"
    ) == ["E220"]
    assert codes(HEAD + "body: [relu]\ninit: {conv: {normal: $width}}") == []
    assert codes(HEAD + "body: [relu]\ninit: {conv: {normal: $(prev.rank)}}") == ["E220"]
    assert codes(body + "{repeat: $(prev.rank), relu: }") == ["E220"]
    assert codes(body + "{repeat: $(loop.count), relu: }") == ["E220"]
    assert codes(body + "{repeat: {n: [1, 2]}, body: [{relu: , repeat: $n}]}") == []
    assert (
        codes(
            body
            + "{repeat: {n: [1, 2]}, relu: , when: $(n == 1 and loop.first and prev.rank == 3)}"
        )
        == []
    )
    assert codes(body + "{id: a$(prev.rank), relu: }") == ["E220"]
    assert codes(body + "{id: a$width, relu: }") == []
    assert codes(body + "{relu: , when: $(loop.first)}") == ["E220"]
    assert codes(body + "{relu: , note: $width}") == ["E220"]
    assert codes(body + "{$width: 3}") == ["E207"]
    assert codes(body + "{Part: $(input.channels)}") == []
    assert codes(HEAD + "blocks: {P: {body: [{linear: $width}]}}\nbody: [P]") == ["E219"]
    assert (
        codes(HEAD + "blocks: {P: {inputs: [x], body: [{linear: $(x.channels)}]}}\nbody: [P]") == []
    )
    assert codes(
        HEAD + "blocks: {P: {inputs: [x], body: [{linear: $(input.channels)}]}}\nbody: [P]"
    ) == ["E220"]
    assert (
        codes(
            HEAD + "blocks: {P: {params: {a: $(input.channels)}, body: [{linear: $a}]}}\nbody: [P]"
        )
        == []
    )


# ------------------------------------------------------------------ files


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "inner").mkdir()
    (tmp_path / "other").mkdir()
    good = "spec: 1\nparams: {width: 8}\nvariants: {wide: {width: 16}}\ninput: [3, 8, 8]\nbody: [{id: a, conv: {out: $width, kernel: 3}}, relu]\n"
    (tmp_path / "inner" / "part.yaml").write_text(good)
    (tmp_path / "other" / "part.yaml").write_text(good)
    return tmp_path / "inner"


def used(folder: Path, use: str, **options: Any) -> Spec:
    file = folder / "net.yaml"
    file.write_text(f"spec: 1\ninput: [3, 8, 8]\nuse: {{Part: {use}}}\nbody: [Part]\n")
    return parse(read(file, name="net.yaml"), **options)


def refused(folder: Path, use: str, **options: Any) -> str:
    with pytest.raises(SpecError) as caught:
        used(folder, use, **options)
    (fault,) = caught.value.faults
    assert fault.loc.file == "net.yaml"
    assert str(folder) not in str(caught.value)
    return fault.code


def test_use(folder: Path) -> None:
    spec = used(folder, "part.yaml")
    assert spec.use["Part"].spec is not None
    assert spec.use["Part"].spec.params == {"width": 8}
    assert set(spec.sources) == {"net.yaml", "part.yaml"}
    chosen = used(folder, "{file: ./part.yaml, variant: wide, outputs: {c: a, all: [a]}}").use[
        "Part"
    ]
    assert chosen.variant == "wide"
    assert chosen.outputs is not None
    assert chosen.lists == {"all"}


def test_what_use_may_not_read(folder: Path) -> None:
    (folder / "link.yaml").symlink_to(folder.parent / "other" / "part.yaml")
    (folder / "linked").symlink_to(folder.parent / "other")
    outside = [
        "../other/part.yaml",
        "x/../../other/part.yaml",
        str(folder.parent / "other" / "part.yaml"),
    ]
    for use in outside:
        assert refused(folder, use) == "E223"
        if ".." not in use or use.startswith(".."):
            assert used(folder, use, allow_outside=True).use["Part"].spec is not None
    for use in ["link.yaml", "linked/part.yaml"]:
        assert refused(folder, use) == "E223"
        assert used(folder, use, allow_outside=True).use["Part"].spec is not None
    for use in [
        "~/part.yaml",
        "'file:///part.yaml'",
        "'http://x.org/part.yaml'",
        "'C:/part.yaml'",
        "'\\\\host\\x.yaml'",
        "/etc/passwd",
        "part.txt",
    ]:
        assert refused(folder, use) == "E223"
        assert refused(folder, use, allow_outside=True) in ("E223", "E101")
    assert refused(folder, "none.yaml") == "E101"
    assert refused(folder, "''") == "E204"
    (folder / "folder.yaml").mkdir()
    assert refused(folder, "folder.yaml") == "E101"
    assert refused(folder, "net.yaml") == "E224"
    assert refused(folder, "{file: part.yaml, variant: wied}") == "E225"


def test_links_do_not_hide_a_cycle(folder: Path) -> None:
    (folder / "again.yaml").symlink_to(folder / "net.yaml")
    assert refused(folder, "again.yaml") == "E224"


def test_chains_are_bounded(folder: Path) -> None:
    for i in range(30):
        (folder / f"p{i}.yaml").write_text(
            f"spec: 1\ninput: [3]\nuse: {{P: p{i + 1}.yaml}}\nbody: [P]\n"
        )
    with pytest.raises(SpecError) as caught:
        used(folder, "p0.yaml")
    assert [fault.code for fault in caught.value.faults] == ["E404"]
    with pytest.raises(SpecError) as caught:
        used(folder, "part.yaml", limits=Limits(project_bytes=50))
    assert [fault.code for fault in caught.value.faults] == ["E401"]


def test_a_file_is_read_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = folder / "net.yaml"
    file.write_text("spec: 1\ninput: [3, 8, 8]\nuse: {A: part.yaml, B: ./part.yaml}\nbody: [A]\n")
    seen: list[Path] = []

    def reader(path: Path, **more: Any) -> Any:
        seen.append(path)
        return read(path, **more)

    monkeypatch.setattr("archspec.language.files.read", reader)
    spec = parse(read(file))
    assert len(seen) == 1
    assert spec.use["A"].spec is spec.use["B"].spec


def test_faults_of_a_used_file_are_quoted_there(folder: Path) -> None:
    (folder / "part.yaml").write_text("spec: 1\ninput: [3]\nbody: [reluu]\n")
    with pytest.raises(SpecError) as caught:
        used(folder, "part.yaml")
    assert "--> part.yaml:3:8" in str(caught.value)
    (folder / "part.yaml").write_text("spec: 1\ninput: [3\nbody: [relu]\n")
    with pytest.raises(SpecError) as caught:
        used(folder, "part.yaml")
    assert "--> part.yaml:2:8" in str(caught.value)


def test_text_has_no_folder() -> None:
    assert faults("spec: 1\ninput: [3]\nuse: {A: a.yaml}\nbody: [A]") == ["E223"]


# ------------------------------------------------------------------ codes, speed, mutations


def test_every_code_has_a_page_and_every_page_a_code() -> None:
    said = set()
    for path in (ROOT / "archspec").rglob("*.py"):
        said |= set(re.findall(r'"([EW]\d{3})[ "]', path.read_text()))
    assert said == set(CODES)
    for code in CODES:
        title, text = page(code)
        assert 1 <= len(title.split()) <= 12
        assert title[-1] != "."
        assert len(text.split()) > 8
    for name in ("E999", "../pages/E101", ""):
        with pytest.raises(KeyError):
            page(name)


def test_parsing_is_linear_in_the_items() -> None:
    """Ten times the items: far from a hundred times the work, the mark of a quadratic step."""
    line = "  - {id: c%d, conv: {out: $width, kernel: 3, padding: 1}}\n  - relu\n"

    def seconds(items: int) -> float:
        text = HEAD + "body:\n" + "".join(line % i for i in range(items // 2))
        source = from_text(text, limits=Limits(file_bytes=1 << 23))
        start = time.process_time()
        assert len(parse(source).items) == items
        return time.process_time() - start

    assert seconds(100_000) < 30 * min(seconds(10_000) for _ in range(3))


WORDS = ["conv", "relu", "3", "-1", "$width", "$(prev.rank)", "true", "~", "[]", "{}", "id", "repeat", "from", "when",
         "body", "residual", "branches", "shared", "merge", "add", "Part", "out", "kernel", "1.5", "'x y'", "init", "use"]  # fmt: skip
SHAPES = [*"[]{}:,\n-$ ", "\n  ", ": ", ", "]


def test_only_complaints_escape() -> None:
    texts = [path.read_text() for path in SPECS] + [
        path.read_text()
        for path in sorted((ROOT / "tests" / "bad").glob("*.yaml"))
        if path.stat().st_size < 5000
    ]
    rng = random.Random(3)
    parsed = 0
    for _ in range(2500):
        text = rng.choice(texts)
        for _ in range(rng.randrange(1, 4)):
            found = list(re.finditer(r"[\w$.]+", text))
            if rng.random() < 0.8 and found:
                word = rng.choice(found)
                text = text[: word.start()] + rng.choice(WORDS) + text[word.end() :]
            else:
                at = rng.randrange(len(text) + 1)
                text = text[:at] + rng.choice(SHAPES) + text[at:]
        start = time.process_time()
        with suppress(SpecError):
            spec_of(text)
            parsed += 1
        assert time.process_time() - start < 2  # nothing hangs
    assert parsed > 50
