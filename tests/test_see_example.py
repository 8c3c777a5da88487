"""The example of seeing, in a short form."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("sklearn")

EXAMPLES = Path(__file__).parent.parent / "examples"


def test_the_example_climbs_far_above_noise(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    monkeypatch.delitem(sys.modules, "see_digits", raising=False)
    import see_digits

    assert see_digits.main(2, tmp_path / "see.png") >= 0.9
    assert (tmp_path / "see.png").stat().st_size > 10_000
