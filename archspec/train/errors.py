"""What can go wrong between a plan and a trained network, as exceptions with a code."""

from __future__ import annotations

from typing import Any

from archspec.text.faults import CodedError


class TrainError(CodedError):
    """A training that cannot start, go on or be read: nothing was lost that was saved."""


class InterruptedTrainingError(TrainError):
    """SIGTERM or Ctrl-C: the run is saved, the sentence says how it goes on."""


def torch_or_refuse() -> Any:
    """The module torch. Raises TrainError where it is not installed."""
    try:
        import torch
    except ModuleNotFoundError:
        help = "pip install 'archspec[train]'"
        raise TrainError("E601", "training needs PyTorch", help) from None
    return torch


def member(module: str, name: str, wanted: str) -> Any:
    """What a module that needs torch calls `name`. Raises TrainError where a package is lacking."""
    from importlib import import_module

    try:
        return getattr(import_module(module), name)
    except ModuleNotFoundError as lacking:
        package = (lacking.name or "archspec").partition(".")[0]
        if package == "archspec":
            raise
    help = "pip install 'archspec[train]'"
    if package == "torch":
        raise TrainError("E601", f"{wanted} needs PyTorch", help)
    raise TrainError("E602", f"{wanted} needs the package {package}", help)


def library(name: str, wanted: str, help: str = "pip install 'archspec[train]'") -> Any:
    """A library, of the extra mostly. Raises TrainError where it is not there, or does not load."""
    from importlib import import_module

    try:
        return import_module(name)
    except ModuleNotFoundError:
        raise TrainError(
            "E602", f"{wanted} needs the package {name.partition('.')[0]}", help
        ) from None
    except (ImportError, RuntimeError, OSError) as bad:
        message = f"{wanted} needs {name}, whose import fails: {' '.join(str(bad).split())[:120]}"
        help = "install the release that was built for your PyTorch"
        raise TrainError("E602", message, help) from None
