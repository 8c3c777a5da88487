"""The name of a shipped spec, of a variant → its network, one in a process for all tests."""

from __future__ import annotations

from functools import cache

from archspec.network import Program, load


@cache
def program(spec: str, variant: str = "") -> Program:
    """Read, expanded and emitted once; `variant` may be the spec's own name."""
    return load(spec, variant if variant not in ("", spec) else None)
