"""Shared by all tests."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
if "PYTEST_XDIST_WORKER" in os.environ:  # a worker for each core: torch's threads wait for others'
    os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def torchvision() -> object:
    """torchvision; beside a CPU-only torch, plain ops stand in for those that do not load."""
    pytest.importorskip("torch")
    import stand_ins

    try:
        return stand_ins.torchvision()
    except ImportError:
        pytest.skip("needs torchvision")


@pytest.fixture(autouse=True)
def _threads_as_before() -> Iterator[None]:
    """An example that runs in here asks for one thread; the tests behind it have those before."""
    torch = sys.modules.get("torch")
    before = torch.get_num_threads() if torch is not None else None
    yield
    if torch is not None and torch.get_num_threads() != before:
        torch.set_num_threads(before)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update", action="store_true", help="rewrite the expected texts beside the specs"
    )


@pytest.fixture
def update(request: pytest.FixtureRequest) -> bool:
    """Whether expectations are to be rewritten."""
    return bool(request.config.getoption("--update"))
