"""Source → Spec: what the author wrote, items normalised to operation, arguments, modifiers."""

from __future__ import annotations

from archspec.language.document import parse
from archspec.language.models import Block, Branch, Input, Item, Spec, Use
from archspec.language.values import (
    REQUIRED,
    Axis,
    Filler,
    Init,
    Part,
    Ref,
    Repeat,
    Value,
    reads,
)

__all__ = [
    "REQUIRED",
    "Axis",
    "Block",
    "Branch",
    "Filler",
    "Init",
    "Input",
    "Item",
    "Part",
    "Ref",
    "Repeat",
    "Spec",
    "Use",
    "Value",
    "parse",
    "reads",
]
