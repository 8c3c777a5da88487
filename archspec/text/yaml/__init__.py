"""YAML text → plain data and the place of everything: the strict part of YAML 1.2 for specs.

Written out instead of built on a YAML library for three reasons: places of keys and values come
with the data, complaints can say what a spec's author should do, and a megabyte takes half a second
(PyYAML: four). What it reads, it reads as YAML 1.2 says (a test compares with PyYAML); tags,
anchors, aliases, merge keys, directives and complex keys are refused. Recursion is bounded by
`Limits.nesting`.
"""

from __future__ import annotations

from archspec.limits import DEFAULT, Limits
from archspec.text.yaml.block import Block
from archspec.text.yaml.reader import Mark, Parsed, Slip, StopReadingError, UnreadableError
from archspec.text.yaml.scalars import FORBIDDEN, character, pieces

__all__ = ["FORBIDDEN", "Mark", "Slip", "UnreadableError", "load", "pieces"]


def load(text: str, limits: Limits = DEFAULT) -> Parsed:
    """The data of one document and its marks. Line ends are LF. Raises UnreadableError."""
    reader = Block(text, limits)
    for found in FORBIDDEN.finditer(text):
        reader.note(
            "E103",
            f"{character(found.group())} is not allowed",
            found.start(),
            found.end(),
            "remove it",
        )
        if len(reader.slips) >= 20:
            break
    if reader.slips:
        raise UnreadableError(reader.slips)
    try:
        parsed = reader.document()
    except StopReadingError:
        raise UnreadableError(reader.slips) from None
    if reader.slips:
        raise UnreadableError(reader.slips)
    return parsed
