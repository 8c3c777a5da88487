"""A module that archspec built → the Program it was built from, and the weights it was given."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from archspec import network
from archspec.weights.errors import WeightsError
from archspec.weights.recipes import elsewhere, odd, twins

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor, nn

    from archspec.network import Program
    from archspec.weights.reporting import Report

# by class, which is not imported for it: the attribute that holds the module
_WRAPPERS = {
    "OptimizedModule": "_orig_mod", "DataParallel": "module", "DistributedDataParallel": "module",
    "AveragedModel": "module",
}  # fmt: skip
_KEY = "__archspec__"
_reports: WeakKeyDictionary[Any, Report] = WeakKeyDictionary()


def remember(emitted: Any, program: Program) -> None:
    """Note on the module of Python that holds an emitted class which program that is.

    There, and not on the class or its instances: copies and pickles stay what they would be.
    """
    emitted.__dict__[_KEY] = program


def program_of(model: nn.Module, spec: str | Path | Program | None = None) -> Program | None:
    """The program of `spec`, or the one a model was built from; None: archspec did not build it."""
    if spec is not None:
        return network.program(spec)
    model, _ = bare(model)
    found: Program | None = getattr(sys.modules.get(type(model).__module__), _KEY, None)
    return found


def bare(model: nn.Module) -> tuple[nn.Module, tuple[str, ...]]:
    """What torch.compile, DataParallel and their like wrap, and the classes of these."""
    around = []
    while (attribute := _WRAPPERS.get(type(model).__name__)) and hasattr(model, attribute):
        around.append(type(model).__name__)
        model = getattr(model, attribute)
    return model, tuple(around)


def state(model: nn.Module) -> dict[str, Tensor]:
    """The state_dict of a module, its parameters themselves.

    Raises WeightsError for what is no module, or one whose tensors hold no numbers of their own.
    """
    if not callable(getattr(model, "state_dict", None)):
        message = f"weights are loaded into a module, and saved of one, not {type(model).__name__}"
        raise WeightsError("E617", message, "archspec.build(…) makes one")
    from torch.nn.parameter import is_lazy

    found: dict[str, Tensor] = model.state_dict(keep_vars=True)
    for name, value in found.items():
        if elsewhere(value) or odd(value):
            message = f"`{name}` of the model is a {type(value).__name__}, no plain tensor"
            help = "load before it is sharded or quantised; save its full state_dict with torch"
            if is_lazy(value):
                help = "run the model once: a lazy layer makes its weights then"
            raise WeightsError("E614", message, help)
    return found


def ties(model: nn.Module) -> dict[str, str]:
    """The names that a model has for tensors of earlier names, with these. Raises WeightsError."""
    return twins(state(model))


def loaded(model: nn.Module, report: Report) -> None:
    """Note what was last loaded into a model."""
    _reports[model] = report


def report(model: nn.Module) -> Report | None:
    """The report of the last transfer into a model, by `load` or by `build(…, weights=…)`."""
    return _reports.get(bare(model)[0])
