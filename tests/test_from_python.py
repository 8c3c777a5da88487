"""Wrong things from Python get a sentence, as does a machine without a package or a network."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

import archspec
from archspec.text.faults import SpecError
from archspec.train import TrainError, hub

LACKING = """
import sys
sys.modules["torch"] = None
import archspec
for part in ("train.fit", "train.load", "see.gradcam", "transfer.codes"):
    home, name = part.split(".")
    try:
        getattr(getattr(archspec, home), name)
    except archspec.train.TrainError as error:
        print(error)
"""


def test_what_is_no_spec() -> None:
    with pytest.raises(TypeError, match="`loads` takes the text of a spec, not int"):
        archspec.loads(3)  # type: ignore[arg-type]
    for call in (archspec.load, archspec.build, archspec.compile, archspec.render):
        with pytest.raises(TypeError, match=r"a spec is a path, the name .*, not int"):
            call(3)  # type: ignore[operator]


@pytest.mark.parametrize(
    ("inputs", "sentence"),
    [
        ({"input": 3}, "the input `input` is given 3; a shape is a list of sizes"),
        ({"input": "1x32x32"}, 'the input `input` is given "1x32x32"; a shape is a list of sizes'),
        ([1, 32, 32], "`inputs` is [1, 32, 32]; it takes shapes by name"),
        (3, "`inputs` is 3; it takes shapes by name"),
        ({3: (1, 32, 32)}, "`lenet5` has no input `3`"),
    ],
)
def test_inputs_that_are_none(inputs: Any, sentence: str) -> None:
    with pytest.raises(SpecError) as caught:
        archspec.load("lenet5", inputs=inputs)
    (fault,) = caught.value.faults
    assert (fault.code, fault.message) == ("E324", sentence)


def test_without_torch_a_sentence_says_what_to_install() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LACKING], capture_output=True, text=True, check=True
    )
    said = [line for line in done.stdout.splitlines() if line.startswith("E601")]
    assert said == [
        "E601 training needs PyTorch", "E601 training needs PyTorch", "E601 seeing needs PyTorch",
        "E601 transfer needs PyTorch",
    ]  # fmt: skip
    assert done.stdout.count("pip install 'archspec[train]'") == 4


def test_no_network_is_not_a_matter_of_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    class Away:
        def snapshot_download(self, *_: Any, **__: Any) -> str:
            raise OSError("no answer") from ConnectionError("Name or service not known")

        def create_repo(self, *_: Any, **__: Any) -> str:
            raise PermissionError("401 Unauthorized")

    monkeypatch.setattr(hub, "_api", Away)
    with pytest.raises(TrainError) as caught:
        hub.fetched("hf://me/lenet5")
    assert "is this machine online" in str(caught.value)
    assert "hf auth login" not in str(caught.value)
    with pytest.raises(TrainError) as refused:
        hub.sent(archspec.shelf.folder(), "me/lenet5", private=False)
    assert "`hf auth login`, with a token that may write" in str(refused.value)
