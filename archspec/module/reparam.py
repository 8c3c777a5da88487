"""A layer whose weight a norm computes → a pickle of it, which torch refuses to write.

`weight_norm` and `spectral_norm` give a layer a class of its own, made on the spot, that computes
`weight` from what is stored; no other process has that class. What is pickled is the layer's own
class and what is stored: the norm is put around an empty layer again, and the state put in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn


def allow_pickling(module: nn.Module) -> None:
    """Lets the layers of a module with such weights be pickled, and what holds them."""
    from torch.nn.utils import parametrize

    for part in module.modules():
        if parametrize.is_parametrized(part):
            type(part).__reduce_ex__ = _reduce  # type: ignore[method-assign]


def _reduce(self: Any, _: Any) -> Any:
    from torch import nn
    from torch.nn.utils import parametrize

    kind: Any = parametrize.type_before_parametrizations(self)
    empty = kind.__new__(kind)
    state = nn.Module.__getstate__(self)  # type: ignore[no-untyped-call]
    del state["_load_state_dict_pre_hooks"]  # the norm's own, a function in a function
    return _around, (empty, self.parametrizations), state


def _around(made: nn.Module, norms: Any) -> nn.Module:
    """An empty layer, norms put around its weights."""
    import torch
    from torch import nn
    from torch.nn.utils import parametrizations, parametrize

    nn.Module.__init__(made)
    for name, norm in norms.items():
        spectral = hasattr(norm, "original")
        stored = norm.original if spectral else norm.original1
        made.register_parameter(name, nn.Parameter(torch.empty_like(stored)))
        made.training = norm.training  # the norm takes it over
        if spectral:  # `spectral_norm` itself would draw random numbers
            parametrize.register_parametrization(made, name, norm[0], unsafe=True)
        else:
            parametrizations.weight_norm(made, name, norm[0].dim)
    allow_pickling(made)
    return made
