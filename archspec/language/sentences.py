"""Values and names → how a sentence calls them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any


def kind(value: Any) -> str:
    """What a value is: "a list", "the number 3", "the text `half`"."""
    if value is None or value == "":
        return "empty"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return f"the number {value}"
    if isinstance(value, list):
        return "a list"
    return "a mapping" if isinstance(value, dict) else f"the text `{cut(str(value))}`"


def cut(text: str) -> str:
    """A text in one line, of at most 60 characters."""
    text = " ".join(text.split())
    return text if len(text) <= 60 else text[:59] + "…"


def listed(names: Collection[str], word: str = "and") -> str:
    """`a`, `b` and `c`."""
    quoted = [f"`{name}`" for name in names]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} {word} {quoted[-1]}"
