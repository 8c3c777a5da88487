"""Texts and files that libFuzzer found to reach new code: each is answered, as it was found."""

from __future__ import annotations

import shutil
import warnings
from pathlib import Path

import pytest

CORPUS = Path(__file__).resolve().parent / "corpus"


@pytest.mark.parametrize("kind", ["specs", "expressions", "plans", "files"])
def test_what_reached_new_code_is_answered(kind: str, tmp_path: Path) -> None:
    fuzz = pytest.importorskip("benchmarks.trust.fuzz")
    kept = sorted((CORPUS / kind).iterdir())
    assert len(kept) > 30
    warnings.simplefilter("ignore")
    answers = {fuzz.answered(kind, Path(shutil.copy(path, tmp_path))) for path in kept}
    assert answers == {True, False}
