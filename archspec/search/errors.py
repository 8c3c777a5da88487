"""What can go wrong in a search, as an exception with a code."""

from __future__ import annotations

from archspec.text.faults import CodedError


class SearchError(CodedError):
    """A search that cannot start, or found nothing: the sentence says what to change."""
