"""Source → Spec: what the author wrote, checked, each part with its place.

Read in this order: `values` and `models` (what a document is), `kinds` and `refusals` (what one
value may be, and how it is refused), `scopes` (names), `complaints` (sentences), `document` (the
whole way).
"""

from __future__ import annotations

from archspec.language.document import parse
from archspec.language.files import Text
from archspec.language.models import Block, Branch, Input, Item, Spec, Use
from archspec.language.values import (
    REQUIRED,
    Axis,
    Filler,
    Init,
    Merge,
    Part,
    Ref,
    Repeat,
    Value,
    reads,
)

__all__ = [
    "REQUIRED", "Axis", "Block", "Branch", "Filler", "Init", "Input", "Item", "Merge", "Part",
    "Ref", "Repeat", "Spec", "Text", "Use", "Value", "parse", "reads",
]  # fmt: skip
