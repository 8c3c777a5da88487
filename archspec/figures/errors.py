"""What is said when something cannot be drawn."""

from __future__ import annotations

from archspec.text.faults import CodedError


class RenderError(CodedError):
    """What was asked for cannot be drawn: a view, format, block or node, or a missing package."""
