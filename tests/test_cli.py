"""What a user types, and what comes back: text, files, exit status."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from commands import run, started

import archspec
from archspec import shelf, starter
from archspec.cli.app import app
from archspec.network import load, loads
from archspec.save import NotOursError, save, sealed
from archspec.text.source import from_text
from archspec.text.tidy import tidy

SMALL = """\
spec: 1
name: small
params: {classes: 10}
input: [3, 32, 32]
body:
  - conv: {out: 8, kernel: 3, padding: 1}
  - relu
  - max_pool: 4
  - flatten
  - {id: fc, linear: $classes}
"""


@pytest.fixture
def here(tmp_path: Path) -> Path:
    (tmp_path / "small.yaml").write_text(SMALL)
    return tmp_path


def test_compile_writes_source_and_shows_the_summary(here: Path) -> None:
    done = started("compile", "small.yaml", cwd=here)
    assert (done.returncode, done.stderr) == (0, "")
    source = (here / "small.py").read_text()
    assert "class " in source
    assert "torch" in source
    assert "conv1" in done.stdout
    assert "5,354" in done.stdout  # 3*8*9 + 8 + 512*10 + 10 parameters
    assert done.stdout.endswith(f"small.py: {len(source.splitlines())} lines written\n")
    assert sorted(path.name for path in here.iterdir()) == ["small.py", "small.yaml"]


def test_compile_again_replaces_its_own_file(here: Path) -> None:
    assert run("compile", "small.yaml", cwd=here).returncode == 0
    assert run("compile", "small.yaml", "--set", "classes=3", cwd=here).returncode == 0


def test_a_file_of_another_origin_stays(here: Path) -> None:
    (here / "small.py").write_text("print('mine')\n")
    done = run("compile", "small.yaml", cwd=here)
    assert done.returncode == 2
    assert "`small.py` is there and was not written by archspec" in done.stderr
    assert "--force" in done.stderr
    assert (here / "small.py").read_text() == "print('mine')\n"
    assert run("compile", "small.yaml", "--force", cwd=here).returncode == 0
    assert "class " in (here / "small.py").read_text()


def test_the_spec_itself_is_never_replaced(here: Path) -> None:
    done = run("compile", "small.yaml", "-o", "small.yaml", cwd=here)
    assert done.returncode == 2
    assert (here / "small.yaml").read_text() == SMALL


def test_output(here: Path) -> None:
    (here / "out").mkdir()
    assert run("compile", "small.yaml", "-o", "out", cwd=here).returncode == 0
    assert (here / "out/small.py").is_file()
    assert run("compile", "small.yaml", "-o", "net.py", cwd=here).returncode == 0
    assert (here / "net.py").read_text() == (here / "out/small.py").read_text()
    piped = run("compile", "small.yaml", "-o", "-", cwd=here)
    assert sealed(piped.stdout.encode()) == (here / "net.py").read_bytes()
    absent = run("compile", "small.yaml", "-o", "nowhere/net.py", cwd=here)
    assert (absent.returncode, absent.stderr) == (2, "error: the folder `nowhere` does not exist\n")


def test_faults_write_nothing(here: Path) -> None:
    (here / "bad.yaml").write_text(SMALL.replace("kernel: 3", "kernel: 99"))
    done = run("compile", "bad.yaml", cwd=here)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("E3")
    assert "bad.yaml:6:" in done.stderr
    assert "^" in done.stderr
    assert not (here / "small.py").exists()


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        ("smal.yaml", "did you mean `small.yaml`?"),
        ("small", "did you mean `small.yaml`?"),
        ("vgg61", "did you mean `vgg16`, which ships with archspec?"),
        ("specs/vgg61.yaml", "did you mean `vgg16`, which ships with archspec?"),
        ("nets/vgg19.yaml", "`vgg19` is a variant of `vgg16`: --variant vgg19"),
        ("nothing", "`archspec list` shows the specs that ship with archspec"),
        ("nets/nothing.yaml", "check the path"),
    ],
)
def test_a_wrong_file_name_is_told_the_near_one(here: Path, wrong: str, meant: str) -> None:
    done = run("check", wrong, cwd=here)
    assert done.returncode == 1
    assert done.stderr == f"E101 the file does not exist\n  --> {wrong}\n  help: {meant}\n\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["compile"], "SPEC"),
        (["compile", "small.yaml", "--set", "classes"], "is not NAME=VALUE"),
        (["compile", "small.yaml", "--set", "classes="], "gives no value"),
        (["compile", "small.yaml", "--set", "classes=[1"], "is not a YAML value"),
        (["compile", "small.yaml", "--input", "3x64x"], "is no shape"),
        (["compile", "small.yaml", "--input", "0x64x64"], "axis of size 0"),
        (["summary", "small.yaml", "--format", "pdf"], "pdf"),
        (["summary", "small.yaml", "--depth", "-1"], "--depth"),
        (["frobnicate"], "frobnicate"),
        (["explain", "E000"], "`E000` is no code"),
        (["new", "CONV → BLAH"], "`BLAH` is no layer"),
        (["new", "-o", "a-b.yaml"], "`a-b` is no identifier"),
    ],
)
def test_wrong_usage(here: Path, arguments: list[str], words: str) -> None:
    done = run(*arguments, cwd=here)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_params_variants_and_inputs(here: Path) -> None:
    done = run("check", "small.yaml", "-s", "classes=5", cwd=here)
    assert done.stdout.startswith("small.yaml: 2,789 parameters")
    done = run("check", "small.yaml", "--input", "1x8x8", cwd=here)
    assert done.stdout.startswith("small.yaml: 410 parameters")
    done = run("check", "small.yaml", "--input", "input=1x8x8", cwd=here)
    assert done.stdout.startswith("small.yaml: 410 parameters")
    done = run("check", "vgg16", "--variant", "vgg11", cwd=here)
    assert "132,863,336 parameters" in done.stdout
    done = run("check", "vgg16", "--variant", "vgg12", cwd=here)
    assert done.returncode == 1
    assert "vgg12" in done.stderr


def test_a_shipped_spec_is_found_by_name_from_anywhere(here: Path) -> None:
    done = run("compile", "lenet5", cwd=here)
    assert done.returncode == 0
    assert (here / "lenet5.py").is_file()
    done = run("compile", "lenet6", cwd=here)
    assert done.returncode == 1
    assert "lenet6" in done.stderr


def test_several_specs_are_checked_and_all_faults_told(here: Path) -> None:
    (here / "bad.yaml").write_text(SMALL.replace("relu", "rleu"))
    done = run("check", "bad.yaml", "small.yaml", "nowhere.yaml", cwd=here)
    assert done.returncode == 1
    assert "small.yaml: 5,354 parameters" in done.stdout
    assert "bad.yaml" in done.stderr
    assert "nowhere.yaml" in done.stderr


def test_strict(here: Path) -> None:
    doubled = SMALL.replace("  - {id: fc", "  - linear: 700\n  - {id: fc")
    (here / "doubled.yaml").write_text(doubled)
    lax = run("check", "doubled.yaml", cwd=here)
    assert lax.returncode == 0
    assert lax.stderr.startswith("W")
    assert run("check", "doubled.yaml", "--strict", cwd=here).returncode == 1
    assert run("compile", "doubled.yaml", "--strict", cwd=here).returncode == 1
    assert not (here / "small.py").exists()


@pytest.mark.parametrize(
    "arguments",
    [["train", "small.yaml", "--data", "digits"], ["predict", "run", "a.png"], ["runs", "a", "b"],
     ["see", "saliency", "a.png", "--spec", "lenet5"], ["push", "run", "me/net"]],
)  # fmt: skip
def test_what_a_command_lacks_is_named(arguments: list[str], here: Path) -> None:
    """After `pip install archspec` alone there is no torch, and no numpy."""
    hidden = "import sys; sys.modules |= dict.fromkeys(['torch', 'numpy', 'accelerate']); "
    code = f"{hidden}sys.argv = {['archspec', *arguments]}; from archspec.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=here, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert re.match(
        r"E60[12] .* needs (the package (torch|numpy)|PyTorch)\n  help: pip", done.stderr
    )


def test_summary_of_several(here: Path) -> None:
    found = json.loads(run("summary", "lenet5", "small.yaml", "-f", "json", cwd=here).stdout)
    assert [one["name"] for one in found] == ["lenet5", "small"]
    names = run("summary", "vgg16", "--variants", "-f", "csv", cwd=here).stdout.splitlines()
    assert [line.partition(",")[0] for line in names[1:3]] == ["vgg16", "vgg11"]
    bad = run("summary", "lenet5", "vgg16", "--depth", "1", cwd=here)
    assert (bad.returncode, bad.stdout) == (2, "")
    assert "error: `--depth` folds the layers of one network" in bad.stderr


def test_summary_formats(here: Path) -> None:
    found = json.loads(run("summary", "small.yaml", "-f", "json", cwd=here).stdout)
    assert found["totals"]["params"] == 5354
    assert [layer["path"] for layer in found["layers"]][-1] == "fc"
    rows = run("summary", "small.yaml", "-f", "csv", cwd=here).stdout.splitlines()
    assert rows[0].startswith("path,op,layers,params,trainable,buffers")
    assert len(rows) == 1 + len(found["layers"])
    text = run("summary", "small.yaml", "-f", "markdown", cwd=here).stdout
    assert "| conv1 | conv |" in text


def test_depth_folds(here: Path) -> None:
    full = run("summary", "vgg16", cwd=here).stdout
    folded = run("summary", "vgg16", "--depth", "1", cwd=here).stdout
    assert "features.0 " in full
    assert "features.0 " not in folded
    assert "138,357,544" in full
    assert "138,357,544" in folded
    assert "14,714,688" in folded  # the parameters of `features`
    assert len(run("summary", "vgg16", "-d", "0", cwd=here).stdout.splitlines()) < 20


def test_expand_lists_every_op(here: Path) -> None:
    done = run("expand", "vgg16", cwd=here)
    data = from_text(done.stdout).data
    assert data["name"] == "vgg16"
    paths = [node["path"] for node in data["nodes"]]
    assert paths[0] == "features.0"
    assert len(paths) == len(load("vgg16").graph.steps) - 1
    first = data["nodes"][0]
    assert first["from"] == ["input"]
    assert (first["conv"]["out"], first["conv"]["kernel"]) == (64, 3)


def test_export(here: Path) -> None:
    wrong = run("export", "small.yaml", "-o", "small.xyz", cwd=here)
    assert wrong.returncode == 2
    said = "error: the ending `.xyz` of `small.xyz` means no format of a graph"
    assert wrong.stderr == f"{said}\n  help: known: .graphml, .onnx, .pt2\n"
    for _ in range(2):  # over its own
        done = run("export", "small.yaml", "-o", "small.graphml", cwd=here)
        assert (done.stdout, done.stderr) == ("small.graphml: 6 nodes written\n", "")
    assert run("export", "small.yaml", "-o", "-", cwd=here).stdout.startswith("<")
    assert "conv1" in (here / "small.graphml").read_text()


def test_explain(here: Path) -> None:
    codes = run("explain", cwd=here).stdout.splitlines()
    assert len(codes) >= 40
    code = codes[0].split()[0]
    assert run("explain", code.lower(), cwd=here).stdout.startswith(f"{code}  ")


def test_schema_knows_every_op(here: Path) -> None:
    from archspec.layers import REGISTRY

    shown = run("schema", cwd=here).stdout
    found = json.loads(shown)
    item = found["definitions"]["Item"]["anyOf"][1]["properties"]
    assert set(REGISTRY) <= set(item)
    conv = item["conv"]["anyOf"][0]
    assert {"out", "kernel", "stride", "padding"} <= set(conv["properties"])
    assert run("schema", "-o", ".", cwd=here).returncode == 0
    assert (here / "archspec.schema.json").read_bytes() == sealed(shown.encode())


def test_list(here: Path) -> None:
    lines = run("list", cwd=here).stdout.splitlines()
    assert {line.split(" ")[0] for line in lines} >= set(shelf.names())
    (row,) = (line for line in lines if line.startswith("vgg16 "))
    cells = ["138,357,544", "15.47 G", "3 x 224 x 224", "Simonyan, Zisserman 2015, arXiv 1409.1556"]
    assert [cell.strip() for cell in row.split("  ") if cell][1:] == cells
    assert any(line.startswith("  resnet152 ") for line in lines)
    ops = run("list", "--ops", cwd=here).stdout
    assert "conv " in ops
    assert "stride=1" in ops


@pytest.mark.parametrize(
    "line",
    [
        "[(CONV → RELU)×2 → POOL]×3 → (FC → RELU)×2 → FC",
        "INPUT -> [[CONV -> RELU]*N -> POOL?]*M -> [FC -> RELU]*K -> FC",
        "conv3-64 -> relu -> maxpool -> CONV128^2 -> GAP -> FC",
        "(CONV→BN→RELU→POOL)³→FC→SOFTMAX",
        "(CONV x2 -> RELU) x 2 -> POOL -> FC",
        "FC256 -> RELU -> FC",
        "[(CONV → RELU) × N → POOL] × M → (FC → RELU) × K → FC",
        "[(CONV → RELU) × N → POOL?] × M → (FC → RELU) × K → SOFTMAX",
        "CONV-POOL-CONV-FC",
        "CONV3-64 – BN? – POOL, CONV-128—FC10",
        "[(CONV → RELU)×2 → POOL]×0 → (FC → RELU)×0 → FC",
        "(CONV → POOL?)×2 → [CONV]? → GAP → FC → (FC)×0",
    ],
)
def test_new_from_a_line(line: str, tmp_path: Path) -> None:
    text = starter.write(line, "net")
    assert tidy(text) == text
    (tmp_path / "net.yaml").write_text(text)
    program = load(tmp_path / "net.yaml")
    assert program.graph.steps[-1].outs[0].shape == (10,)


def test_what_has_a_question_mark_is_a_param() -> None:
    text = starter.write("[(CONV → RELU) × N → POOL?] × M → (FC → RELU) × K → SOFTMAX", "net")
    assert "params: {classes: 10, m: 2, width: 64, n: 2, pool: true, k: 2, hidden: 256}" in text
    ops = [step.op for step in loads(text, pool=False, n=1, m=1, k=0).graph.steps[1:]]
    assert ops == ["conv", "relu", "flatten", "linear", "softmax"]
    ops = [step.op for step in loads(text, n=1, m=1, k=1).graph.steps[1:]]
    assert ops == ["conv", "relu", "max_pool", "flatten", "linear", "relu", "linear", "softmax"]
    twice = starter.write("CONV → BN? → POOL? → (FC → RELU)?", "net")
    assert "params: {classes: 10, bn: true, pool: true, hidden: 256, fc: true}" in twice
    assert [s.op for s in loads(twice, bn=False, pool=False, fc=False).graph.steps[1:]] == [
        "conv", "flatten",
    ]  # fmt: skip


def test_new_writes_once(here: Path) -> None:
    line = "[(CONV → RELU)×2 → POOL]×3 → FC"
    assert run("new", line, "-o", "mine.yaml", cwd=here).returncode == 0
    assert "name: mine" in (here / "mine.yaml").read_text()
    assert run("new", line, "-o", "mine.yaml", cwd=here).returncode == 2
    assert run("check", "mine.yaml", cwd=here).returncode == 0
    assert run("new", cwd=here).stdout.startswith("spec: 1\n")


@pytest.mark.parametrize(
    ("line", "message", "column"),
    [
        ("(CONV", "`(` is not closed", 0),
        ("CONV → )", "a bracket closes here that was never opened", 7),
        ("(CONV]", "`]` does not close `(`", 5),
        ("CONV → ()", "there is nothing in these brackets", 8),
        ("INPUT", "the line names no layer", 0),
        ("×3", "`×3` follows nothing that it could repeat", 0),
        ("CONV -> -> FC", "nothing stands before `->`", 8),
        ("CONV @ 3", "`@` is not understood; steps are joined by `->`, as in `CONV -> RELU`", 5),
        ("conv 16 -> relu", "`16` stands by itself: `CONV64` gives a width, `×3` copies", 5),
        ("", "the line names no layer", 0),
        ("CONV×1001", "`×1001`: copies are 0 to 1000", 4),
        ("? → CONV", "`?` follows nothing that it could leave out", 0),
        ("(? CONV)", "`?` follows nothing that it could leave out", 1),
        ("(" * 40, "brackets are nested deeper than 12", 12),
        ("C" * 2000, "the line has 2000 characters, the limit is 1000", 0),
    ],
)
def test_lines_that_are_none(line: str, message: str, column: int) -> None:
    with pytest.raises(starter.LineError) as caught:
        starter.write(line)
    assert (caught.value.message, caught.value.column) == (message, column)


UGLY = """

spec:   1
name:  x   #hello
input: [ 3,224 , 224 ]


body:
- conv : { out: 64,kernel: 3 }
-   id:   a
    sequential:
         - relu
         # inside
         - { batch_norm: , when: $x }
         # end of inside
- note: |
      some text
        more
  relu:
- conv: {out: 3,
         kernel: 5}   # aligned
- relu                # so is this
"""

NEAT = """\
spec: 1
name: x  # hello
input: [3, 224, 224]

body:
  - conv: {out: 64, kernel: 3}
  - id: a
    sequential:
      - relu
      # inside
      - {batch_norm: , when: $x}
      # end of inside
  - note: |
        some text
          more
    relu:
  - conv: {out: 3,
           kernel: 5}  # aligned
  - relu               # so is this
"""


OLDER = """\
spec: 1
name: older
params: {gain: 0.5, scale: 2}
input: [4, 8, 8]
blocks:
  B:
    params: {scale: 0.1}
    body:
      - residual: [{conv: {out: 4, kernel: 1}}, {scale: $scale}]  # scale: stays here
        shortcut: [{id: s, scale: {factor: 0.5}}]
body:
  - {id: a, scale: 0.5}
  - B: {scale: 0.25}
  - upsample: {scale: $scale}
  - branches: {x: [relu, {"scale": "$(gain * 2)"}], y: []}
    merge: add
"""


def test_fmt_writes_one_spelling(here: Path) -> None:
    """`mul` by a number in place of `scale`; params, columns and remarks of that name stay."""
    newer = OLDER.replace("{scale: $scale}]  #", "{mul: $scale}]  #")
    newer = newer.replace("scale: {factor: 0.5}", "mul: {number: 0.5}")
    newer = newer.replace("id: a, scale:", "id: a, mul:").replace('"scale": "$(', 'mul: "$(')
    (here / "older.yaml").write_text(OLDER)
    assert run("fmt", "--check", "older.yaml", cwd=here).returncode == 1
    before = run("compile", "older.yaml", "-o", "-", cwd=here).stdout
    assert run("fmt", "older.yaml", cwd=here).returncode == 0
    assert (here / "older.yaml").read_text() == newer
    assert run("compile", "older.yaml", "-o", "-", cwd=here).stdout == before
    assert run("fmt", "-", cwd=here, stdin=OLDER).stdout == newer
    (here / "wrong.yaml").write_text(OLDER.replace("kernel: 1", "kernel: 0"))
    assert (
        run("fmt", "--check", "wrong.yaml", cwd=here).returncode == 0
    )  # `check` says what is wrong


def test_fmt(here: Path) -> None:
    assert tidy(UGLY) == NEAT
    assert tidy(NEAT) == NEAT
    (here / "ugly.yaml").write_text(UGLY)
    done = run("fmt", "--check", "ugly.yaml", "small.yaml", cwd=here)
    assert (done.returncode, done.stdout) == (1, "ugly.yaml: would change\n")
    assert (here / "ugly.yaml").read_text() == UGLY
    assert run("fmt", "ugly.yaml", cwd=here).returncode == 0
    assert (here / "ugly.yaml").read_text() == NEAT
    assert run("fmt", "-", cwd=here, stdin=UGLY).stdout == NEAT
    (here / "broken.yaml").write_text("a: [1")
    done = run("fmt", "broken.yaml", cwd=here)
    assert done.returncode == 1
    assert done.stderr.startswith("E1")


def test_save_replaces_only_what_it_may(tmp_path: Path) -> None:
    mine, ours, link = (tmp_path / name for name in ("mine.py", "ours.py", "link.py"))
    mine.write_text("x = 1\n")
    save('"""A network, written by archspec."""\n', ours)
    link.symlink_to(ours)
    for path in (mine, link, tmp_path):
        with pytest.raises(NotOursError):
            save("new", path)
    save("new", ours)
    assert ours.read_text() == "new"
    save("new", link, force=True)
    assert not link.is_symlink()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link.py", "mine.py", "ours.py"]


@pytest.mark.parametrize(
    "env",
    [
        {"LC_ALL": "C"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"PYTHONIOENCODING": "ascii"},
        {"NO_COLOR": "1"},
        {"TERM": "dumb"},
        {"COLUMNS": "20"},
        {"COLUMNS": "1"},
    ],
)
def test_any_environment(here: Path, env: dict[str, str]) -> None:
    done = started("compile", "small.yaml", "--force", cwd=here, env=env)
    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout


@pytest.mark.parametrize("arguments", [["summary", "resnet50", "-f", "json"], ["schema"]])
def test_a_reader_that_goes_away(here: Path, arguments: Sequence[str]) -> None:
    child = subprocess.Popen(
        [sys.executable, "-m", "archspec", *arguments],
        cwd=here,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert child.stdout is not None
    assert child.stderr is not None
    child.stdout.read(10)
    child.stdout.close()
    complaints = child.stderr.read()
    child.stderr.close()
    assert (child.wait(60), complaints) == (0, b"")


def test_help_and_wrong_usage_in_one_column(here: Path) -> None:
    done = started("compile", "--help", cwd=here, env={"COLUMNS": "1"})
    assert (done.returncode, done.stderr) == (0, "")
    done = started("compile", "--nope", cwd=here, env={"COLUMNS": "1"})
    assert done.returncode == 2
    assert "--nope" in done.stderr
    assert "Traceback" not in done.stderr


def test_on_a_terminal(here: Path) -> None:
    pty = pytest.importorskip("pty")
    for columns in ("40", "120"):
        parent, child = pty.openpty()
        done = subprocess.Popen(
            [sys.executable, "-m", "archspec", "summary", "small.yaml"],
            cwd=here,
            stdout=child,
            env={**os.environ, "COLUMNS": columns, "TERM": "xterm-256color", "NO_COLOR": ""},
        )
        assert done.wait(60) == 0
        os.close(child)
        text = os.read(parent, 1 << 16).decode()
        os.close(parent)
        assert "\x1b[1m" in text
        assert "5,354" in text
        assert ("FLOPs" in text.split("small", 1)[1].splitlines()[1]) == (columns == "120")


def test_light(here: Path) -> None:
    """Nothing heavy is loaded by what most users type."""
    code = (
        "import sys\n"
        "from archspec.cli import main\n"
        "sys.argv = ['archspec', 'compile', 'vgg16', '--force']\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'rich', 'numpy', 'jinja2'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=here, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("archspec com", ["compile", "completion"]),
        ("archspec compile vg", ["vgg16"]),
        ("archspec compile sm", ["small.yaml"]),
        ("archspec compile resnet50 --variant resnet1", ["resnet18", "resnet101", "resnet152"]),
        ("archspec compile nowhere --variant r", []),
        ("archspec explain e101", ["E101"]),
        ("archspec summary vgg16 --format c", ["csv"]),
        ("archspec render vgg16 --view to", ["tower"]),
    ],
)
def test_completion(here: Path, words: str, found: list[str]) -> None:
    last = str(len(words.split()) - 1)
    env = {"_ARCHSPEC_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": last}
    done = started(cwd=here, env=env)
    assert ([line.partition(",")[2] for line in done.stdout.split()], done.stderr) == (found, "")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_is_taught(here: Path, shell: str) -> None:
    done = run("completion", shell, cwd=here)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"_ARCHSPEC_COMPLETE={shell}_complete" in done.stdout


def commands(group: click.Group, name: str = "") -> Iterator[tuple[str, click.Command]]:
    for key, command in group.commands.items():
        yield f"{name}{key}", command
        if isinstance(command, click.Group):
            yield from commands(command, f"{key} ")


@pytest.mark.parametrize(("name", "command"), [*commands(app)], ids=[n for n, _ in commands(app)])
def test_help_says_all(name: str, command: click.Command) -> None:
    """What is shown of a command, an argument, an option: a sentence that is not cut off."""
    assert command.help
    assert len(command.help.splitlines()[0]) <= 66  # beside the name, in 80 columns
    text = CliRunner().invoke(app, [*name.split(), "--help"], prog_name="archspec").stdout
    assert f"Usage: archspec {name} " in text
    assert max(map(len, text.splitlines())) <= 80
    for parameter in command.params:
        assert parameter.help
        assert parameter.help[-1] in ".0", parameter.help  # or an example: classes=10
        if isinstance(parameter, click.Option) and not parameter.is_flag:
            assert parameter.metavar


def test_commands_that_read_a_spec_take_the_same_options() -> None:
    same = {"variant", "params", "inputs", "allow_outside", "strict"}
    for name, command in commands(app):
        takes = {parameter.name for parameter in command.params}
        if takes & {"spec", "specs"}:
            assert takes >= same, name


def test_version_and_help(here: Path) -> None:
    assert run("--version", cwd=here).stdout == f"archspec {archspec.__version__}\n"
    text = run("--help", cwd=here).stdout
    for command in [
        "check",
        "compile",
        "summary",
        "expand",
        "explain",
        "schema",
        "list",
        "new",
        "fmt",
    ]:
        assert f" {command} " in text
