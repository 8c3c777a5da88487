"""Files that archspec wrote: replaced as long as nobody has touched them, whole at any time."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from archspec.cli.app import app
from archspec.save import MARK, NotOursError, as_written, save, sealed

SPEC = """\
spec: 1
name: net
input: [1, 8, 8]
body:
  - {conv: {out: 4, kernel: 3}}
  - relu
  - flatten
  - {linear: 10}
"""
# what writes a file of each kind
COMMANDS = {
    "net.py": "compile net.yaml", "net.svg": "render net.yaml", "net.html": "render net.yaml",
    "net.png": "render net.yaml", "net.pdf": "render net.yaml", "net.tex": "render net.yaml",
    "net.dot": "render net.yaml", "net.mmd": "render net.yaml", "net.graphml": "export net.yaml",
    "schema.json": "schema", "plan.json": "schema --plan",
}  # fmt: skip
# an edit of each that leaves it a file of its kind
EDITS = {
    ".py": (b"import", b"import os, "), ".svg": (b"</svg>", b"<desc>mine</desc></svg>"),
    ".html": (b"</title>", b", mine</title>"), ".tex": (b"\\begin", b"% mine\n\\begin"),
    ".dot": (b"{", b"{ mine\n"), ".mmd": (b"flowchart TD", b"flowchart LR"),
    ".graphml": (b"<graph ", b"<!-- mine -->\n<graph "),
    ".json": (b'"title"', b'"mine": 1, "title"'),
    ".png": (b"IDAT", b"IDAt"), ".pdf": (b"startxref", b"%mine\nstartxref"),
}  # fmt: skip


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("net.yaml").write_text(SPEC)
    return tmp_path


def asked(line: str) -> Result:
    return CliRunner().invoke(app, line.split())


@pytest.mark.parametrize("name", COMMANDS)
def test_what_a_person_has_changed_stays(here: Path, name: str) -> None:
    line = f"{COMMANDS[name]} -o {name}"
    file = Path(name)
    for _ in range(2):  # the second replaces the first without a question
        assert asked(line).exit_code == 0
    written = file.read_bytes()
    edited = written.replace(*EDITS[file.suffix], 1)
    assert edited != written
    file.write_bytes(edited)
    refused = asked(line)
    assert refused.exit_code == 2
    assert f"error: `{name}` was changed since archspec wrote it" in refused.output
    assert "help: --force replaces it, -o names another" in refused.output
    assert file.read_bytes() == edited
    assert asked(f"{line} --force").exit_code == 0
    assert as_written(file)
    file.chmod(0o444)
    for force in ("", " --force"):
        refused = asked(line + force)
        assert refused.exit_code == 1
        assert refused.output == f"error: cannot write `{name}`: the file is read-only\n"
    assert {file.name for file in here.iterdir()} == {"net.yaml", name}


@pytest.mark.parametrize("name", ["net.png", "net.pdf"])
def test_a_picture_with_its_digest_is_one(here: Path, name: str) -> None:
    assert asked(f"{COMMANDS[name]} -o {name}").exit_code == 0
    content = Path(name).read_bytes()
    if name == "net.png":
        image = pytest.importorskip("PIL.Image").open(io.BytesIO(content))
        assert image.text["Comment"].startswith(MARK)  # read with the checksum of every chunk
    else:
        document = pytest.importorskip("pypdfium2").PdfDocument(content)
        assert len(document) == 1
        assert content.rstrip().endswith(b"%%EOF")


def test_an_exported_network_that_was_changed(here: Path) -> None:
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    assert asked("export net.yaml -o net.onnx").exit_code == 0
    model = onnx.load("net.onnx")
    onnx.checker.check_model(model)
    assert model.doc_string.startswith(MARK)
    model.graph.initializer[0].raw_data = bytes(len(model.graph.initializer[0].raw_data))
    onnx.save(model, "net.onnx")
    refused = asked("export net.yaml -o net.onnx")
    assert refused.exit_code == 2
    assert "`net.onnx` was changed since archspec wrote it" in refused.output


def test_words_alone_make_no_file_archspecs(here: Path) -> None:
    mine = "# Notes: part of this folder is written by archspec\nprecious = 1\n"
    Path("mine.py").write_text(mine)
    refused = asked("compile net.yaml -o mine.py")
    assert refused.exit_code == 2
    assert "`mine.py` is there and was not written by archspec" in refused.output
    assert Path("mine.py").read_text() == mine


def test_line_ends_are_no_change(here: Path) -> None:
    """Git may turn them into those of the system."""
    assert asked("compile net.yaml").exit_code == 0
    file = Path("net.py")
    file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
    assert asked("compile net.yaml").exit_code == 0
    assert b"\r\n" not in file.read_bytes()


def test_an_edit_at_the_end(here: Path) -> None:
    assert asked("compile net.yaml").exit_code == 0
    with Path("net.py").open("a") as file:
        file.write("# a week of edits\n")
    assert asked("compile net.yaml").exit_code == 2


CONTENTS = [
    f"# {MARK}\nx = 1\n".encode(), f"<!-- {MARK.capitalize()} -->\n".encode(),
    f"{MARK} {MARK}".encode(), b"\x89PNG\r\n\x1a\n" + b"data" * 9 + b"\0\0\0\0IEND\xaeB`\x82",
    b"%PDF-1.4\nstartxref\n9\nstartxref\n10\n%%EOF\n",
]  # fmt: skip


@pytest.mark.parametrize("content", CONTENTS)
def test_every_byte_counts(content: bytes, tmp_path: Path) -> None:
    """Whichever byte of a file is changed, lost or doubled: it is not as archspec wrote it."""
    file = tmp_path / "f"
    whole = sealed(content)
    file.write_bytes(whole)
    assert as_written(file)
    for at in range(len(whole)):
        for edited in (whole[:at] + whole[at + 1 :], whole[: at + 1] + whole[at:]):
            file.write_bytes(edited)
            with suppress(NotOursError):
                assert not as_written(file)


WRITER = """\
import pathlib, sys
from archspec.save import MARK, save
for turn in range(60):
    save(f"# {MARK}\\n" + sys.argv[1] * (9000 * (turn % 3 + 1)), pathlib.Path("f.py"))
"""


def test_processes_that_write_one_file(here: Path) -> None:
    """Whoever looks, at any time, sees all that one of them wrote."""
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, sign]) for sign in "abcd"]
    looks = 0
    while any(one.poll() is None for one in writers):
        with suppress(FileNotFoundError):  # nobody has written yet
            assert as_written(Path("f.py"))
            looks += 1
    assert [one.returncode for one in writers] == [0] * 4
    assert looks > 10
    assert {file.name for file in here.iterdir()} == {"f.py", "net.yaml"}


# ------------------------------------------------------------------ fmt


UGLY, NEAT = SPEC.replace("{out: 4,", "{out:  4,"), SPEC


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
@pytest.mark.parametrize("mode", [0o644, 0o600])
def test_fmt_through_a_link(here: Path, ends: str, mode: int) -> None:
    """The file is put into layout where it lies, with its line ends; the link stays one."""
    Path("away").mkdir()
    real, link = Path("away/real.yaml"), Path("link.yaml")
    real.write_bytes(UGLY.replace("\n", ends).encode())
    real.chmod(mode)
    link.symlink_to(real)
    assert asked("fmt --check link.yaml").exit_code == 1
    assert asked("fmt link.yaml").output == "link.yaml: formatted\n"
    assert link.is_symlink()
    assert not real.is_symlink()
    assert real.read_bytes() == NEAT.replace("\n", ends).encode()
    assert real.stat().st_mode & 0o777 == mode
    assert asked("fmt --check link.yaml").output == ""
    assert not list(here.rglob(".*"))


def test_fmt_of_line_ends_alone(here: Path) -> None:
    """They are nobody's business."""
    windows = NEAT.replace("\n", "\r\n").encode()
    Path("w.yaml").write_bytes(windows)
    assert asked("fmt w.yaml").output == ""
    assert Path("w.yaml").read_bytes() == windows
    piped = CliRunner().invoke(app, ["fmt", "-"], input=UGLY.replace("\n", "\r\n"))
    assert piped.stdout_bytes == windows


def test_fmt_of_what_may_not_be_written(here: Path) -> None:
    Path("net.yaml").write_text(UGLY)
    Path("net.yaml").chmod(0o444)
    done = asked("fmt net.yaml")
    assert done.exit_code == 1
    assert "the file is read-only" in done.output
    assert Path("net.yaml").read_text() == UGLY


def test_fmt_puts_no_digest_into_a_spec(here: Path) -> None:
    marked = f"# {MARK.capitalize()} search: the variant found.\n"
    Path("net.yaml").write_text(marked + UGLY)
    assert asked("fmt net.yaml").exit_code == 0
    assert Path("net.yaml").read_text() == marked + NEAT


def test_the_umask_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It belongs to all threads: whoever asks for it by setting it sets it for others."""
    before = os.umask(0o027)
    try:
        with monkeypatch.context() as patched:
            patched.setattr(os, "umask", lambda _: pytest.fail("another thread writes now"))
            save(MARK, tmp_path / "net.py")
        assert (tmp_path / "net.py").stat().st_mode & 0o777 == 0o640
    finally:
        os.umask(before)


def test_what_a_killed_writer_left_goes_after_a_day(tmp_path: Path) -> None:
    target = tmp_path / "net[1].py"
    names = [f".{target.name}.{'a' * 16}", f".{target.name}.{'b' * 16}", f".{target.name}.swp"]
    for name in names:
        (tmp_path / name).write_text("half")
    for old in (0, 2):
        os.utime(tmp_path / names[old], (0, 0))
    save(MARK, target)
    assert sorted(path.name for path in tmp_path.iterdir()) == [*names[1:], target.name]
