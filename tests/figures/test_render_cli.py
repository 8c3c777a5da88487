"""`archspec render`, `archspec.figures` and a notebook: views, formats, files, complaints."""

from __future__ import annotations

import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from importlib import import_module
from pathlib import Path

import pytest
from figures import NETWORKS, network

import archspec
from archspec import shelf
from archspec.cli import main
from archspec.codes import CODES
from archspec.figures import ENDINGS, VIEWS, RenderError, by_ending, chosen, figure
from archspec.network import Program, loads
from archspec.save import MARK, NotOursError, sealed

SMALL = """\
spec: 1
name: small
params: {classes: 10}
input: [3, 32, 32]
blocks:
  Block:
    body:
      - residual: [{conv: {out: 8, kernel: 3, padding: 1}}, relu]
body:
  - conv: {out: 8, kernel: 3, padding: 1}
  - {Block: , repeat: 2}
  - max_pool: 4
  - flatten
  - {id: fc, linear: $classes}
variants: {wide: {classes: 100}}
"""
STARTS = {
    "svg": b"<svg ", "pdf": b"%PDF-", "png": b"\x89PNG", "tikz": b"% ", "dot": b"//",
    "mermaid": b"---", "html": b"<!",
}  # fmt: skip


@pytest.fixture
def small() -> Program:
    return loads(SMALL, name="small.yaml")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "small.yaml").write_text(SMALL)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int | str | None:
    """The command in this process; its exit status."""
    monkeypatch.setattr(sys, "argv", ["archspec", *arguments])
    with pytest.raises(SystemExit) as end:
        main()
    return end.value.code


# ---------------------------------------------------------------------- views and formats


@pytest.mark.parametrize(
    ("view", "format"), [(name, format) for name, row in VIEWS.items() for format in row.formats]
)
def test_every_view_in_every_format(small: Program, view: str, format: str) -> None:
    made = figure(small, view, format)
    data = made.encode() if isinstance(made, str) else made
    assert data.startswith(STARTS[format])
    assert len(data) > 300
    assert figure(small, view, format) == made  # from run to run
    assert MARK.encode() in data[:2000].lower()  # so that it may be replaced


def test_a_view_is_one_row() -> None:
    """What the table names is there, and nothing else is asked of a view."""
    for row in VIEWS.values():
        for name in [row.draw, *row.texts.values()]:
            if name:
                module, _, function = name.partition(":")
                assert callable(getattr(import_module(f"archspec.figures.{module}"), function))
    assert {format for row in VIEWS.values() for format in row.formats} == set(ENDINGS.values())


@pytest.mark.parametrize(
    ("name", "view"),
    [
        ("vgg16", "tower"),
        ("resnet152", "tower"),
        ("googlenet", "tower"),
        ("efficientnet_b7", "tower"),
        ("densenet200", "tower"),
        ("unet", "levels"),
        ("yolov3", "levels"),
        ("faster_rcnn", "levels"),
        ("dcgan", "tower"),
        ("vae", "blocks"),
        ("transformer", "blocks"),
        ("vit", "blocks"),
    ],
)
def test_auto(name: str, view: str) -> None:
    assert chosen(network(name)) == view


def test_auto_with_a_format_or_a_part(small: Program) -> None:
    assert chosen(small) == "tower"
    assert chosen(small, "dot") == "blocks"
    assert chosen(small, "html") == "html"
    assert chosen(small, block="Block") == "module"
    assert chosen(small, "dot", block="Block") == "graph"
    assert chosen(small, node="conv1") == "field"


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_ending_says_the_format(ending: str) -> None:
    assert by_ending(f"figure{ending.upper()}") == ENDINGS[ending]


# ---------------------------------------------------------------------- complaints


def wrong(program: Program, code: str, *arguments: str, **named: str) -> RenderError:
    with pytest.raises(RenderError) as error:
        figure(program, *arguments, **named)
    assert error.value.code == code
    assert code in CODES
    assert error.value.help
    assert "\n" not in error.value.message
    return error.value


def test_complaints(small: Program) -> None:
    said = wrong(small, "E701", "towr")
    assert (said.message, said.help) == ("`towr` is no view", "did you mean `tower`?")
    said = wrong(small, "E704", "tower", "dot")
    assert said.message == "`tower` is not drawn as dot"
    assert said.help == "`tower` is drawn as svg, pdf, png, tikz"
    assert wrong(small, "E704", "tower", "gif").message == "`gif` is no format"
    said = wrong(small, "E704", "tower", block="Block")
    assert said.message == "`tower` shows no single block"
    assert said.help == "`graph`, `module` can show one"
    assert "`Blok`" in wrong(small, "E703", "module", block="Blok").message
    assert "`Blok`" in wrong(small, "E703", "graph", block="Blok").message
    assert "`conv9`" in wrong(small, "E703", "field", node="conv9").message
    wrong(network("vit"), "E702", "tower")


def test_a_network_without_blocks_has_no_module() -> None:
    plain = loads("spec: 1\nname: plain\ninput: [4]\nbody: [{linear: 3}]")
    wrong(plain, "E702", "module")


def test_a_missing_package(small: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "reportlab"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "reportlab", None)
    monkeypatch.setitem(sys.modules, "reportlab.pdfgen.canvas", None)
    said = wrong(small, "E705", "tower", "pdf")
    assert "needs `reportlab" in said.message
    assert said.help == "pip install 'archspec[figures]'"


# ---------------------------------------------------------------------- the command


def test_a_file_by_its_ending(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "render", "small.yaml", "-o", "figure.pdf") == 0
    assert (here / "figure.pdf").read_bytes().startswith(b"%PDF")
    out, err = capsys.readouterr()
    assert (out.startswith("figure.pdf: tower, "), err) == (True, "")


def test_without_a_file_its_name_is_the_networks(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(monkeypatch, "render", "small.yaml", "--variant", "wide") == 0
    assert (here / "wide.svg").is_file()
    assert run(monkeypatch, "render", "small.yaml", "--view", "html", "-o", ".") == 0
    assert (here / "small.html").is_file()


def test_to_stdout(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert run(monkeypatch, "render", "small.yaml", "-o", "-", "-f", "mermaid") == 0
    assert capsysbinary.readouterr().out.startswith(b"---")
    assert run(monkeypatch, "render", "small.yaml", "-o", "-", "-f", "png") == 0
    assert capsysbinary.readouterr().out.startswith(b"\x89PNG")


def test_params_and_inputs_are_chosen_as_elsewhere(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["--set", "classes=7", "--input", "3x64x64", "-o", "a.svg"]
    assert run(monkeypatch, "render", "small.yaml", *arguments) == 0
    text = (here / "a.svg").read_text()
    assert ">7</text>" in text
    assert ">64×64</text>" in text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--view", "towr"], "E701 `towr` is no view\n  help: did you mean `tower`?\n"),
        (["-o", "a.gif"], "E704 the ending `.gif` of `a.gif` means no format of a figure\n"),
        (["--view", "levels", "-o", "a.dot"], "E704 `levels` is not drawn as dot\n"),
        (["--node", "nothing"], "E703 `small` has no node `nothing`\n"),
        (["-o", "missing/a.svg"], "error: the folder `missing` does not exist\n"),
    ],
)
def test_wrong_usage(
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    said: str,
) -> None:
    assert run(monkeypatch, "render", "small.yaml", *arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(said)
    assert sorted(path.name for path in here.iterdir()) == ["small.yaml"]


def test_a_faulty_spec(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "bad.yaml").write_text(SMALL.replace("max_pool", "max_pol"))
    assert run(monkeypatch, "render", "bad.yaml") == 1
    assert "max_pol" in capsys.readouterr().err
    assert not (here / "small.svg").exists()


def test_a_strangers_file_stays(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = here / "figure.svg"
    target.write_text("<svg/>")
    assert run(monkeypatch, "render", "small.yaml", "-o", "figure.svg") == 2
    assert target.read_text() == "<svg/>"
    assert run(monkeypatch, "render", "small.yaml", "-o", "figure.svg", "--force") == 0
    assert run(monkeypatch, "render", "small.yaml", "-o", "figure.svg") == 0  # now it is ours


def test_a_process_draws_without_torch(here: Path) -> None:
    code = (
        "import sys; sys.argv = ['archspec', 'render', 'resnet50', '--variant', 'resnet152',"
        " '-o', 'a.png']\n"
        "from archspec.cli import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "assert not {'torch', 'numpy'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=here, env=os.environ, check=True, timeout=60)
    assert (here / "a.png").stat().st_size > 10_000


def test_processes_draw_the_same_to_the_byte() -> None:
    """Whatever order the hash seed gives to sets, in every view and format."""
    code = (
        "import hashlib, archspec\n"
        "from archspec.figures import VIEWS, figure\n"
        "program = archspec.load('googlenet')\n"
        "for view, row in VIEWS.items():\n"
        "    for format in row.formats:\n"
        "        made = figure(program, view, format)\n"
        "        data = made.encode() if isinstance(made, str) else made\n"
        "        print(view, format, hashlib.sha256(data).hexdigest())\n"
    )
    said = [
        subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed}, check=True,
            capture_output=True, text=True, timeout=60,
        ).stdout
        for seed in ("1", "2")
    ]  # fmt: skip
    assert said[0] == said[1]
    assert len(said[0].splitlines()) == sum(len(row.formats) for row in VIEWS.values())


# ---------------------------------------------------------------------- from Python


def test_render_from_python(here: Path) -> None:
    text = archspec.render("small.yaml")
    assert isinstance(text, str)
    assert text.startswith("<svg ")
    assert archspec.render(archspec.load("small.yaml")) == text
    made = archspec.render("small.yaml", "a.png", view="blocks", variant="wide")
    assert isinstance(made, bytes)
    assert (here / "a.png").read_bytes() == sealed(made)
    assert archspec.render("small.yaml", classes=3) == archspec.render(
        archspec.load("small.yaml"), classes=3
    )
    (here / "b.svg").write_text("mine")
    with pytest.raises(NotOursError):
        archspec.render("small.yaml", "b.svg")
    with pytest.raises(RenderError, match="E704"):
        archspec.render("small.yaml", "b.gif")


@pytest.mark.parametrize("name", [name for name in NETWORKS if name != "densenet200"])
def test_a_notebook_shows_a_figure_and_a_table(name: str) -> None:
    html = network(name)._repr_html_()
    assert html.count("<svg ") == 1
    assert "<table" in html
    start, stop = html.index("<svg "), html.index("</svg>") + len("</svg>")
    ET.fromstring(html[start:stop])


# ---------------------------------------------------------------------- the gallery


def test_the_gallery(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "specs").mkdir()
    for name in ("vgg16", "unet", "lstm_classifier"):
        text = (shelf.folder() / f"{name}.yaml").read_text()
        (here / "specs" / f"{name}.yaml").write_text(text)
    monkeypatch.setattr(shelf, "folder", lambda: here / "specs")
    monkeypatch.chdir(here / "specs")
    assert run(monkeypatch, "gallery", "-o", "../all.md") == 0
    page = (here / "all.md").read_text()
    for name, view in [("lstm_classifier", "blocks"), ("unet", "levels"), ("vgg16", "tower")]:
        assert f"## {name}\n" in page
        assert f"`--view {view}`" in page
        assert f"(all/{name}.svg)" in page
        assert (here / "all" / f"{name}.svg").read_text().startswith("<svg ")
    assert run(monkeypatch, "gallery", "-o", "../all.md") == 0  # over its own
    assert capsys.readouterr().out.endswith("all.md: 3 figures written\n")


def test_the_gallery_kept_is_complete() -> None:
    """`archspec gallery -o examples/gallery.md` after a spec is added or changed."""
    folder = Path(__file__).resolve().parents[2] / "examples"
    page = (folder / "gallery.md").read_text()
    for name in shelf.names():
        assert f"## {name}\n" in page
        assert (folder / "gallery" / f"{name}.svg").is_file()
