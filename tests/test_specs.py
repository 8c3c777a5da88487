"""The shipped specs as texts: what others will copy from. Their numbers: zoo/."""

from __future__ import annotations

import pytest

from archspec import shelf
from archspec.language.spelling import respelt
from archspec.text import source
from archspec.text.tidy import tidy


@pytest.mark.parametrize("name", shelf.names())
def test_is_a_model_for_others(name: str) -> None:
    text = shelf.find(name).read_text(encoding="utf-8")
    data = source.from_text(text).data
    assert data["name"] == name
    assert data["title"]
    assert data["cite"]
    for variant in (name, *data.get("variants", {})):
        assert {"params", "macs"} <= data["expect"][variant].keys(), variant
    assert tidy(respelt(source.read(shelf.find(name)))) == text, "archspec fmt changes it"
    assert max(map(len, text.splitlines())) <= 120
