"""The class that docs/layers.md shows is a layer: registered from outside, it equals torch's."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import archspec

PAGE = (Path(__file__).parents[1] / "docs" / "layers.md").read_text(encoding="utf-8")
SOFTMIN, SPEC = (
    re.findall(rf"^```{word}\n(.*?)^```$", PAGE, flags=re.DOTALL | re.MULTILINE)[0]
    for word in ("python", "yaml")
)

RUN = """
import sys

import archspec
import torch
from torch import nn

sys.path.insert(0, ".")
from softmin import Softmin

archspec.register(Softmin)
program = archspec.load("soft.yaml")
assert "self.softmin1 = nn.Softmin(dim=1)" in program.code
assert [node.outs[0].shape for node in program.graph.steps][-1] == (8, 6, 6)
model = archspec.build(program).eval()
x = torch.randn(2, 3, 8, 8)
conv = nn.Conv2d(3, 8, 3)
conv.load_state_dict(model.conv1.state_dict())
assert torch.equal(model(x), nn.Softmin(dim=1)(conv(x)))
"""


def test_it_is_at_most_25_lines() -> None:
    assert len(SOFTMIN.splitlines()) <= 25


def test_its_class_is_an_op_that_torch_agrees_with(tmp_path: Path) -> None:
    (tmp_path / "softmin.py").write_text(SOFTMIN)
    (tmp_path / "soft.yaml").write_text(SPEC)
    done = subprocess.run(
        [sys.executable, "-c", RUN], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_in_its_folder_it_is_found_without_a_list(tmp_path: Path) -> None:
    """A copy of the package with the file in it knows the op; nothing else is touched."""
    package = tmp_path / "archspec"
    shutil.copytree(
        Path(archspec.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__")
    )
    (package / "layers" / "softmin.py").write_text(SOFTMIN)
    (tmp_path / "soft.yaml").write_text(SPEC.replace("softmin: 0", "softmin: 3"))
    done = subprocess.run(
        [sys.executable, "-m", "archspec", "check", "soft.yaml"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    sentence = re.search(r"^E302 .*$", PAGE, flags=re.MULTILINE)
    assert sentence is not None
    assert sentence[0] in done.stderr
