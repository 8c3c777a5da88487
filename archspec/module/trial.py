"""A module on the meta device and its graph → what is wrong with the module, if anything.

Tensors on the meta device have a shape and a dtype, and no numbers: nothing is computed, and a
network of any size is run in some milliseconds.

    graph: fc [3]               module(torch.empty(5, 3, 32, 32, device="meta")).shape == (5, 3)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from archspec.layers.base import TensorType
from archspec.module import blame

if TYPE_CHECKING:
    from torch import Tensor, nn

    from archspec.expand.graph import Graph, Node
    from archspec.language import Item
    from archspec.network import Program

BATCH = 5  # samples; more than one, because batch norm wants that in training

Types = Sequence[tuple[TensorType, ...]]  # of what each node gives


class Wrong(NamedTuple):
    """What is wrong: the rest of a sentence about the module, the op that is meant, the error."""

    said: str
    where: Node | Item | None = None
    cause: Exception | None = None


# ------------------------------------------------------------------ what it holds


def weights(module: nn.Module, graph: Graph) -> Wrong | None:
    """Whether the weights, and which of them are frozen, are the graph's."""
    wanted: dict[str, tuple[int, ...]] = {}
    frozen: set[str] = set()
    owners: dict[str, Node] = {}
    for name, weight, node in graph.weights():
        wanted[name], owners[name] = weight.shape, node
        if node.frozen and not weight.buffer:
            frozen.add(name)
    every = dict(module.named_parameters(remove_duplicate=False))
    ties = graph.ties()
    loose = [name for name, owner in ties.items() if every.get(name) is not every.get(owner)]
    if loose:
        return Wrong(f"has a weight of its own at {loose[:4]}", blame.at(graph, loose[0]))
    found = {k: tuple(v.shape) for k, v in module.state_dict().items() if k not in ties}
    still = {n for n, p in module.named_parameters() if not p.requires_grad}

    if found != wanted:
        differ = sorted(set(found.items()) ^ set(wanted.items()))
        first = differ[0][0]
        said = f"differs from its graph: {differ[:4]}"
        return Wrong(said, owners.get(first) or blame.at(graph, first))
    if len(every) - len(ties) != len(set(every.values())):
        return Wrong("has one weight under two paths")
    if still != frozen:
        odd = sorted(still ^ frozen)
        return Wrong(f"freezes {odd[:4]} wrongly", owners[odd[0]])
    return None


# ------------------------------------------------------------------ what it gives


def run(module: nn.Module, program: Program) -> Wrong | None:
    """Whether the module, on the meta device, gives the outputs of the graph.

    In evaluation and in training; then in training, where all that there is is computed, at
    another size of the axes that are free.
    """
    _stand_in(module, program.graph)
    for training, types in _runs(program):
        wrong = _run(module.train(training), program, training, types)
        if wrong is not None:
            return wrong
    return None


def _runs(program: Program) -> Iterator[tuple[bool, Types]]:
    graph = program.graph
    here = [node.outs for node in graph.steps]
    yield False, here
    yield True, here
    there = program.analysis.elsewhere
    if there is not None:
        yield True, there.types


def _run(module: nn.Module, program: Program, training: bool, types: Types) -> Wrong | None:
    import torch

    graph = program.graph
    dtypes = {"float": torch.get_default_dtype(), "int": torch.int64, "bool": torch.bool}
    given = {
        node.path: torch.empty(
            (BATCH, *types[node.index][0].shape), dtype=dtypes[node.outs[0].dtype], device="meta"
        )
        for node in graph.steps
        if node.layer is None
    }
    phase = "in training" if training else "in evaluation"
    on = f"{phase}, on {', '.join(str(types[n.index][0]) for n in graph.steps if n.layer is None)}"
    try:
        with torch.no_grad():
            found = module(*given.values())
    except Exception as failed:
        return Wrong(f"does not run {on}", blame.running(program, module, failed), failed)
    return _outputs(found, graph, training, types, on)


def _outputs(found: Any, graph: Graph, training: bool, types: Types, on: str) -> Wrong | None:
    """Whether what the module gave is what the graph says that it gives."""
    wanted = {
        name: edges
        for name, edges in graph.outputs.items()
        if training or name not in graph.training_outputs
    }
    listed = any(isinstance(graph.root.outputs[name], tuple) for name in wanted)
    named = found if listed or len(wanted) > 1 else dict.fromkeys(wanted, found)
    if not isinstance(named, Mapping) or set(named) != set(wanted):
        keys = sorted(named) if isinstance(named, Mapping) else type(named).__name__
        return Wrong(f"gives {keys} {on}; the outputs are {sorted(wanted)}")
    for name, edges in wanted.items():
        several = isinstance(graph.root.outputs[name], tuple)
        values = named[name] if several else [named[name]]
        if len(values) != len(edges):
            return Wrong(f"gives {len(values)} tensors as `{name}` {on}; they are {len(edges)}")
        for value, edge in zip(values, edges, strict=True):
            wrong = _differs(value, types[edge.node][edge.output])
            if wrong:
                said = f"gives {wrong} as output `{name}` {on}"
                return Wrong(said, graph.steps[edge.node])
    return None


def _differs(value: Any, kind: TensorType) -> str:
    """What a value is instead of a batch of a type, or ""."""
    import torch

    if not isinstance(value, torch.Tensor):
        return f"a {type(value).__name__}"
    shape, dtype = tuple(value.shape), _dtype(value)
    wanted = (BATCH, *kind.shape)
    if (shape, dtype) == (wanted, kind.dtype):
        return ""
    return f"{list(shape)} of {dtype}, not {list(wanted)} of {kind.dtype},"


def _dtype(value: Tensor) -> str:
    """What specs call it."""
    import torch

    if value.dtype == torch.bool:
        return "bool"
    if value.is_floating_point():
        return "float"
    return "complex numbers" if value.is_complex() else "int"


# ------------------------------------------------------------------ what the meta device lacks


def _stand_in(module: nn.Module, graph: Graph) -> None:
    """Lets what the meta device cannot run, or only step by step, say what it gives."""
    import torch

    for node in graph.steps:
        if node.layer is not None and node.layer.data_dependent and node.shared is None:
            module.get_submodule(node.path).forward = _saying(node)
    for part in module.modules():
        if isinstance(part, torch.nn.RNNBase):
            part.forward = _one_step(part.forward)


def _saying(node: Node) -> Callable[..., Any]:
    """The forward of an op that looks at numbers: it gives what the layer infers."""
    import torch

    def forward(*ins: Tensor) -> Any:
        assert node.layer is not None
        kinds = [TensorType(tuple(x.shape[1:]), _dtype(x)) for x in ins]
        outs = tuple(
            torch.empty((ins[0].shape[0], *kind.shape), dtype=ins[0].dtype, device="meta")
            for kind in node.layer.infer(*kinds)
        )
        return outs if len(outs) > 1 else outs[0]

    return forward


def _one_step(forward: Callable[..., Any]) -> Callable[..., Any]:
    """The forward of a recurrent module, of one step: torch goes through all, 3 ms each."""

    def once(x: Tensor, *state: Any) -> Any:
        out, last = forward(x[:, :1], *state)
        return out.expand(-1, x.shape[1], -1), last

    return once
