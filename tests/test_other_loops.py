"""docs/other_loops.md is run as it stands: each loop trains the plain module."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

PAGE = Path(__file__).resolve().parent.parent / "docs" / "other_loops.md"
_BLOCK = re.compile(r"^```python( setup)?\n(.*?)^```", re.MULTILINE | re.DOTALL)
BLOCKS = _BLOCK.findall(PAGE.read_text(encoding="utf-8"))
TITLES = re.findall(r"^## (.+)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)


@pytest.fixture(autouse=True)
def _alone() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(threads)


def test_every_section_has_a_block() -> None:
    assert [setup for setup, _ in BLOCKS] == [" setup", "", "", "", "", ""]
    assert TITLES == ["PyTorch alone", "Accelerate", "Lightning", "Ignite", "Keras"]


@pytest.mark.parametrize("number", range(1, 6), ids=TITLES)
def test_the_loop_trains_the_module(number: int, torchvision: object) -> None:
    # Lightning imports torchvision wherever it is installed
    place: dict[str, Any] = {"__name__": "page"}
    exec(BLOCKS[0][1], place)
    model = place["model"]
    kind = type(model)

    def loss() -> float:
        with torch.no_grad():
            found: torch.Tensor = nn.functional.cross_entropy(model.eval()(place["x"]), place["y"])
        return float(found)

    before = loss()
    state = pytest.importorskip("accelerate.state")
    state.AcceleratorState._reset_state()  # a run before, in this process, may have been in bf16
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of these libraries about themselves
        exec(BLOCKS[number][1], place)
    assert place["model"] is model
    assert type(model) is kind
    assert loss() < before - 0.02
    assert all(value.requires_grad for value in model.parameters())
