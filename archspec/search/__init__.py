"""Spec, space, budget → the params that serve best: found by the analysis alone, or by training.

    found = archspec.search.find("resnet50", ["depths.2=2..12"], "params < 20M",
                                 "max field.layer4, min macs")
    found.front[0].point                    {"depths.2": 9}

Read in this order: `space` (what is tried), `figures` (what is asked of a candidate), `candidates`
(one network after another, analysed), `front` (which of them no other beats), `trained` (the same
with training, on Optuna), `variant` (what was found, written into a copy of the spec).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from archspec.search.candidates import find
    from archspec.search.errors import SearchError
    from archspec.search.front import Found
    from archspec.search.trained import Kept, study
    from archspec.search.variant import written

_HOME = {
    "Found": "front", "Kept": "trained", "SearchError": "errors", "find": "candidates",
    "study": "trained", "written": "variant",
}  # fmt: skip

__all__ = ["Found", "Kept", "SearchError", "find", "study", "written"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module `archspec.search` has no attribute `{name}`")
    return getattr(import_module(f"archspec.search.{_HOME[name]}"), name)
