"""All layer types by name: op and arguments → Layer."""

from __future__ import annotations

from archspec.layers.base import BadArgument, Layer, Mismatch, TensorType
from archspec.layers.registry import REGISTRY, create, examine, ops_of, register

__all__ = [
    "REGISTRY",
    "BadArgument",
    "Layer",
    "Mismatch",
    "TensorType",
    "create",
    "examine",
    "ops_of",
    "register",
]
