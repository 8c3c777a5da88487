"""Graph -> outputs, node by node: each op a fresh torch module of its own call data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache
from types import CodeType
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm, weight_norm

from archspec.emit.torch_code import modules
from archspec.expand.graph import Edge, Graph, Node
from archspec.layers.base import TENSORS

_NAMES: dict[str, Any] = {
    "math": math, "torch": torch, "F": F, "nn": nn, "Tensor": Tensor,
    "spectral_norm": spectral_norm, "weight_norm": weight_norm, **vars(modules),
}  # fmt: skip


@lru_cache(maxsize=4096)
def _code(text: str) -> CodeType:
    return compile(text, "<call>", "eval")


class Interpreter:
    """A graph with weights looked up by path; it knows nothing of blocks or of the emitted text.

    `state` is a state_dict by the paths of the graph. Running statistics move in its own copies:
    `state_dict` gives them back under the same paths.
    """

    def __init__(self, graph: Graph, state: Mapping[str, Tensor]) -> None:
        self.graph = graph
        if any(n.layer is not None and n.layer.family == "detection" for n in graph.steps):
            from archspec.emit.torch_code import detection  # takes its ops from torchvision

            _NAMES.update(vars(detection))
        self.modules: dict[int, nn.Module | Tensor] = {}
        self.fixed: dict[int, Tensor] = {}  # buffers that stand in no state_dict
        self.calls = [n.layer.call(*n.ins) if n.layer is not None else None for n in graph.steps]
        for node, call in zip(graph.steps, self.calls, strict=True):
            if call is None or call.target is None or node.shared is not None:
                continue
            if call.wrap in TENSORS and call.persistent:
                self.modules[node.index] = state[node.path]
                continue
            positional = [a.value for a in call.args if a.name is None]
            named = {a.name: a.value for a in call.args if a.name is not None}
            module = eval(_code(call.target), _NAMES)(*positional, **named)
            if call.wrap in TENSORS:
                self.fixed[node.index] = module
                continue
            module = module if call.wrap is None else _NAMES[call.wrap](module)
            prefix = node.path + "."
            module.load_state_dict(
                {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
            )
            self.modules[node.index] = module

    def __call__(self, inputs: Mapping[str, Tensor], *, training: bool) -> Any:
        """What the network returns: a tensor, or a dict of several (or of a list).

        Every value on the way has the predicted shape, or an AssertionError names the op.
        """
        values: dict[Edge, Tensor] = {}
        batchless: set[Edge] = set()
        size = next(iter(inputs.values())).shape[0]

        def batched(edge: Edge) -> Tensor:
            value = values[edge]
            rank = len(self.graph.steps[edge.node].outs[edge.output].shape)
            return value.expand(size, *[-1] * rank) if edge in batchless else value

        for node, call in zip(self.graph.steps, self.calls, strict=True):
            if node.training and not training:
                continue
            if call is None:
                values[Edge(node.index)] = inputs[node.path]
                continue
            given = {f"x{i}": e for i, e in enumerate(node.given) if e is not None}
            alone = [name for name, edge in given.items() if edge in batchless]
            beside = call.beside is not None and alone == [f"x{call.beside[0]}"]
            as_is = call.broadcast or beside
            names: dict[str, Any] = {
                n: values[e] if as_is else batched(e) for n, e in given.items()
            }
            names |= {a.name or "": a.value for a in call.free}
            names["self"] = self._module(node, training)
            forward = call.beside[1] if beside and call.beside else call.forward
            names["r"] = eval(_code(forward), _NAMES, names)
            lone = call.batchless or (
                call.broadcast and bool(given) and batchless.issuperset(given.values())
            )
            for i, (text, kind) in enumerate(zip(call.results, node.outs, strict=True)):
                found = values[Edge(node.index, i)] = eval(_code(text), _NAMES, names)
                if lone:
                    batchless.add(Edge(node.index, i))
                else:
                    assert found.shape == (size, *kind.shape), f"{node.path} is not {kind}"
        kept = {
            n: e
            for n, e in self.graph.outputs.items()
            if training or n not in self.graph.training_outputs
        }
        outputs = {n: [batched(e) for e in edges] for n, edges in kept.items()}
        shown: dict[str, Any] = {n: v if n in self.lists else v[0] for n, v in outputs.items()}
        alone = len(shown) == 1 and not shown.keys() & self.lists
        return next(iter(shown.values())) if alone else shown

    @property
    def lists(self) -> set[str]:
        """The outputs that the spec writes as lists."""
        return {n for n, v in self.graph.root.outputs.items() if isinstance(v, tuple)}

    def _module(self, node: Node, training: bool) -> nn.Module | Tensor | None:
        owner = node if node.shared is None else self.graph.steps[node.shared]
        module = self.modules.get(owner.index, self.fixed.get(owner.index))
        if not isinstance(module, nn.Module):
            return module
        still = owner.frozen and any("running_mean" in k or "_u" in k for k in module.state_dict())
        return module.train(training and not still)

    def state_dict(self) -> dict[str, Tensor]:
        """Parameters and buffers by path, as they are after the runs."""
        found: dict[str, Tensor] = {}
        for index, module in self.modules.items():
            path = self.graph.steps[index].path
            if isinstance(module, nn.Module):
                found |= {f"{path}.{k}": v for k, v in module.state_dict().items()}
            else:
                found[path] = module
        return found
