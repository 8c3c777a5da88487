"""One network, or several that learn from one another → one module: what a run trains.

    Networks({"generator": g, "discriminator": d})      generator.main.0.weight, …

An optimizer, clipping and the paths of a plan see one module with longer names. What is made of
each by itself (wrapping for several processes, averages, files) goes through `parts`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from torch import nn
from torch.nn.parallel import DistributedDataParallel

from archspec.weights import origin

if TYPE_CHECKING:
    from archspec.network import Program


class Networks(nn.ModuleDict):
    """Several networks by name, the one that is trained for its own sake first."""

    def plain(self, name: str) -> nn.Module:
        """A network without what sums gradients of several processes: to pass through only."""
        found = self[name]
        return found.module if isinstance(found, DistributedDataParallel) else found


def parts(model: nn.Module) -> dict[str, nn.Module]:
    """The networks by name; one that is alone has none: ""."""
    return dict(model.items()) if isinstance(model, Networks) else {"": model}


def whole(found: Mapping[str, nn.Module]) -> nn.Module:
    """What `parts` took apart."""
    return found[""] if "" in found else Networks(dict(found))


def main(model: nn.Module) -> nn.Module:
    """The network that a run is for."""
    return next(iter(parts(model).values()))


def programs(model: nn.Module) -> dict[str, Program | None]:
    """The programs by the names of `parts`; None where archspec did not build the network."""
    return {name: origin.program_of(one) for name, one in parts(model).items()}
