"""Neural network architectures as short YAML specs: checked, analysed, written as PyTorch source.

What is here is loaded when it is first used; only `build`, `export`, `see`, `train`,
`transfer` and `weights` need torch.
"""

from __future__ import annotations

from archspec.version import VERSION

TYPE_CHECKING = False  # as of typing, which takes time to import: Ctrl-C is not caught yet
if TYPE_CHECKING:
    from typing import Any

    from archspec import search, see, train, transfer, weights
    from archspec.layers import register
    from archspec.limits import Limits
    from archspec.module import BuildError, build
    from archspec.module.exchange import ExportError, export
    from archspec.network import Program, check, compile, load, loads, render
    from archspec.text.faults import Fault, SpecError


__version__ = VERSION

__all__ = [
    "BuildError", "ExportError", "Fault", "Limits", "Program", "SpecError", "build", "check",
    "compile", "export", "load", "loads", "register", "render", "search", "see", "train",
    "transfer", "weights",
]  # fmt: skip

_HOME = {
    "BuildError": "archspec.module", "Fault": "archspec.text.faults", "Limits": "archspec.limits",
    "Program": "archspec.network", "SpecError": "archspec.text.faults", "build": "archspec.module",
    "check": "archspec.network", "compile": "archspec.network",
    "export": "archspec.module.exchange", "ExportError": "archspec.module.exchange",
    "load": "archspec.network", "loads": "archspec.network", "register": "archspec.layers",
    "render": "archspec.network",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name in ("search", "see", "train", "transfer", "weights"):
        return import_module(f"archspec.{name}")
    if name not in _HOME:
        raise AttributeError(f"module `archspec` has no attribute `{name}`")
    found = getattr(import_module(_HOME[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
