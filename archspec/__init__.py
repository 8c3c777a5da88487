"""Neural network architectures as short YAML specs: checked, analysed, written as PyTorch source.

What is here is loaded when it is first used; only `build` and `weights` need torch.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from archspec import weights
    from archspec.build import BuildError, build
    from archspec.errors import Fault, SpecError
    from archspec.layers import register
    from archspec.limits import Limits
    from archspec.program import Program, compile, load, loads, render

__all__ = [
    "BuildError", "Fault", "Limits", "Program", "SpecError", "build", "compile", "load", "loads",
    "register", "render", "weights",
]  # fmt: skip

_HOME = {
    "BuildError": "archspec.build", "Fault": "archspec.errors", "Limits": "archspec.limits",
    "Program": "archspec.program", "SpecError": "archspec.errors", "build": "archspec.build",
    "compile": "archspec.program", "load": "archspec.program", "loads": "archspec.program",
    "register": "archspec.layers", "render": "archspec.program",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("archspec")
    if name == "weights":
        return import_module("archspec.weights")
    if name not in _HOME:
        raise AttributeError(f"module `archspec` has no attribute `{name}`")
    found = getattr(import_module(_HOME[name]), name)
    globals()[name] = found
    return found


class _Door(ModuleType):
    """Keeps `build` and `render` the functions when the modules of these names are imported."""

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in _HOME and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Door


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
