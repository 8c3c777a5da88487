"""A model and a reference with other names → a proposed `rename`, proved by equal outputs.

Proposed by equal names first, near ones next (`x-conv1.weight`, `x_conv1.weight`), then by order
among those whose names end alike, last by order, kind and shape. None of it proves anything: most
tensors of a network share their shape with another. So the reference is given random weights,
these are carried over by the proposal, and both compute the same batch. Every weight takes part, or
the proposal is refused.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING, Any

from archspec.weights import origin
from archspec.weights.errors import WeightsError, some
from archspec.weights.patterns import Pair, fold, section

if TYPE_CHECKING:
    from torch import Tensor, nn

    from archspec.analysis.sizes import Types
    from archspec.expand.graph import Graph

_DROPOUTS = (
    "dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout",
)  # fmt: skip
# weights at random and modes that are tried until each weight has had a part in an output: with
# smaller weights gates are not shut, and heads for training are run in training alone
_DRAWS = ((1.0, False), (0.3, False), (1.0, True))
_SAME = 1e-5  # of the largest output: float32 in another order of additions
_HELP = "write `rename` by hand"


@dataclass(frozen=True, slots=True)
class Proposal:
    """A table that was proved: `pairs` (ours, theirs) of tensors, and `rename` as a spec has it.

    `error` is the largest difference of outputs, relative to the largest output. `reshaped` are
    those of ours whose elements are arranged in another shape there.
    """

    pairs: tuple[Pair, ...]
    rename: Mapping[str, Any]
    reshaped: frozenset[str]
    error: float
    ignore: tuple[str, ...] = ()  # patterns of whole numbers there that have no place here

    @property
    def yaml(self) -> str:
        """The section of a spec; nothing to write where all names are equal."""
        return section(self.rename, self.ignore)


def propose(model: nn.Module, reference: nn.Module, *inputs: Tensor) -> Proposal:
    """How the tensors of `reference` are called in `model`, proved on `inputs` (a batch).

    Both are copied, and keep weights and mode. Raises WeightsError where there is no proposal or it
    cannot be proved.
    """
    ours, theirs = copy.deepcopy(model).cpu(), copy.deepcopy(reference).cpu()
    batch = [value.cpu() for value in inputs]
    mine, other = _used(ours, batch), _used(theirs, batch)
    known = _by_name(ours.state_dict(), theirs.state_dict())
    rest = _rest(mine, {*known}), _rest(other, {*known.values()})
    tailed = [sorted(layers, key=_tail) for layers in rest]
    attempts = [rest] if known else []
    if [*map(_tail, tailed[0])] == [*map(_tail, tailed[1])]:
        attempts.append((tailed[0], tailed[1]))
    for here, there in attempts:
        with suppress(WeightsError):  # names may be equal by chance: order has its turn
            return _proved(_pairs(here, there, known), ours, theirs, batch)
    return _proved(_pairs(mine, other, {}), ours, theirs, batch)


def _proved(
    pairs: tuple[Pair, ...], ours: nn.Module, theirs: nn.Module, batch: Sequence[Tensor]
) -> Proposal:
    """The proposal, if all tensors are in it and outputs are equal. Raises WeightsError."""
    import torch

    here, there = ours.state_dict(), theirs.state_dict()
    lacking = [n for n in here if n not in {a for a, _ in pairs} | origin.ties(ours).keys()]
    beside = [n for n in there if n not in {b for _, b in pairs}]
    indices = [n for n in beside if not there[n].is_floating_point()]
    beside = [n for n in beside if n not in indices]
    if lacking or beside:
        whose = ["the reference has nothing for " + some(lacking)] if lacking else []
        whose += ["the model has nothing for " + some(beside)] if beside else []
        raise WeightsError("E618", "; ".join(whose), _HELP)
    reshaped = frozenset(a for a, b in pairs if here[a].shape != there[b].shape)
    error, idle = 0.0, {name: True for name, _ in ours.named_parameters()}
    for scale, training in _DRAWS:
        _randomise(theirs, scale)
        with torch.no_grad():
            for a, b in pairs:
                here[a].copy_(there[b].reshape(here[a].shape))
        error = max(error, _difference(ours, theirs, batch, training=training))
        if not error <= _SAME:
            message = f"outputs differ by {error:.1e} of the largest under the proposed names"
            raise WeightsError("E618", message, f"two layers alike are in another order; {_HELP}")
        idle = {name: True for name in _idle(ours, batch, training=training) if name in idle}
        if not idle:
            break
    if idle:
        message = f"no output depends on {some([*idle])}, so nothing proves it"
        raise WeightsError("E618", message, _HELP)
    ignore = dict.fromkeys(f"*.{n.rpartition('.')[2]}" if "." in n else n for n in indices)
    return Proposal(pairs, fold(pairs, reshaped), reshaped, error, tuple(ignore))


def _by_name(ours: Mapping[str, Tensor], theirs: Mapping[str, Tensor]) -> dict[str, str]:
    """Pairs of equal names; of the rest of those that are equal but for case and dividers."""
    found = {n: n for n in ours if n in theirs and ours[n].shape == theirs[n].shape}
    near: dict[str, list[list[str]]] = {}
    for side, names in enumerate((ours, theirs)):
        for name in names:
            if name not in found:
                key = re.sub("[-_.]", ".", name.lower())
                near.setdefault(key, [[], []])[side].append(name)
    for a, b in near.values():
        if len(a) == len(b) == 1 and ours[a[0]].numel() == theirs[b[0]].numel():
            found[a[0]] = b[0]
    return found


def probe(graph: Graph, types: Sequence[Types] | None = None, batch: int = 2) -> list[Tensor]:
    """A batch for each input of a network, always the same: floats, tokens, masks.

    `types` are those of each node where they are not the graph's own.
    """
    import torch

    generator = torch.Generator().manual_seed(2)
    tokens = [getattr(node.layer, "num", 2) for node in graph.steps if node.op == "embedding"]
    found = []
    for node in graph.steps:
        if node.layer is None:
            shape = (batch, *(node.outs if types is None else types[node.index])[0].shape)
            kind = node.outs[0].dtype
            most = min(tokens, default=2) if kind == "int" else 2
            whole = torch.randint(0, most, shape, generator=generator)
            value = torch.randn(shape, generator=generator) if kind == "float" else whole
            found.append(value.bool() if kind == "bool" else value)
    return found


# ------------------------------------------------------------------ pairs


@dataclass(frozen=True, slots=True)
class _Layer:
    """A module with tensors of its own: its path, its class, its tensors by their own names."""

    path: str
    kind: str
    shapes: Mapping[str, tuple[int, ...]]

    def like(self, other: _Layer) -> bool:
        """Whether one can have the tensors of the other, reshaped at most."""
        if self.shapes == other.shapes:
            return self.kind == other.kind or not {self.kind, other.kind} <= _TORCH
        sizes = [{k: prod(shape) for k, shape in x.shapes.items()} for x in (self, other)]
        return sizes[0] == sizes[1] and {self.kind, other.kind} <= _MAPS


_MAPS = {"Conv1d", "Conv2d", "Conv3d", "Linear", "NonDynamicallyQuantizableLinear"}
_NORMS = {"BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "LayerNorm", "GroupNorm"}
_TORCH = _MAPS | _NORMS | {"Embedding"}


def _used(module: nn.Module, batch: Sequence[Tensor]) -> list[_Layer]:
    """The modules with tensors of their own, in the order they run; those that do not run last."""
    import torch

    order: list[str] = []
    layers = dict(_layers(module))
    hooks = []
    for path, part in module.named_modules():
        if path in layers:
            hooks.append(part.register_forward_pre_hook(lambda *_, path=path: order.append(path)))
    with torch.no_grad():
        _run(module, batch, training=True)
    for hook in hooks:
        hook.remove()
    return [layers[path] for path in dict.fromkeys([*order, *layers])]


def _layers(module: nn.Module) -> Iterator[tuple[str, _Layer]]:
    state = set(module.state_dict())
    for path, part in module.named_modules():
        own = [*part.named_parameters(recurse=False), *part.named_buffers(recurse=False)]
        shapes = {k: tuple(v.shape) for k, v in own if (f"{path}.{k}" if path else k) in state}
        if shapes:
            yield path, _Layer(path, type(part).__name__, shapes)


def _pairs(ours: list[_Layer], theirs: list[_Layer], known: Mapping[str, str]) -> tuple[Pair, ...]:
    """Those known by name; then layer by layer in step.

    Of containers, whose tensors are named freely, tensor by tensor.
    """
    mine, other = [x for x in ours if not _free(x)], [x for x in theirs if not _free(x)]
    pairs = [*known.items()]
    for a, b in zip(mine, other, strict=False):
        if not a.like(b):
            message = f"`{a.path}` ({a.kind} {_shown(a)}) meets `{b.path}` ({b.kind} {_shown(b)})"
            raise WeightsError("E618", f"the networks differ: {message}", _HELP)
        pairs += [(_join(a.path, name), _join(b.path, name)) for name in a.shapes]
    pairs += _by_shape([x for x in ours if _free(x)], [x for x in theirs if _free(x)])
    return tuple(pairs)


def _tail(layer: _Layer) -> str:
    """The end of a path, from the last word on: `f.a.0` of `block1.block1-0` -> `a.0`."""
    parts = layer.path.split(".")
    words = [k for k, part in enumerate(parts) if not part.isdigit()]
    return ".".join(parts[max(words, default=0) :])


def _rest(layers: Iterable[_Layer], known: Collection[str]) -> list[_Layer]:
    """What of the layers has no partner yet."""
    found = []
    for layer in layers:
        left = {k: s for k, s in layer.shapes.items() if _join(layer.path, k) not in known}
        found += [replace(layer, shapes=left)] if left else []
    return found


def _free(layer: _Layer) -> bool:
    """Whether its tensors' names are its author's: it is no layer of torch."""
    return not set(layer.shapes) <= _NAMES and "in_proj_weight" not in layer.shapes


_NAMES = {
    "weight", "bias", "running_mean", "running_var", "num_batches_tracked",
    *(f"{kind}_{part}_l{k}{end}" for kind in ("weight", "bias") for part in ("ih", "hh")
      for k in range(16) for end in ("", "_reverse")),
}  # fmt: skip


def _by_shape(ours: Iterable[_Layer], theirs: Iterable[_Layer]) -> list[Pair]:
    """In order, each with the first of its shape, a leading axis of 1 left aside."""
    left = [(_join(x.path, k), shape) for x in theirs for k, shape in x.shapes.items()]
    found = []
    for layer in ours:
        for key, shape in layer.shapes.items():
            match = next((e for e in left if _bare(e[1]) == _bare(shape)), None)
            if match is not None:
                left.remove(match)
                found.append((_join(layer.path, key), match[0]))
    return found


def _bare(shape: tuple[int, ...]) -> tuple[int, ...]:
    return shape[1:] if shape[:1] == (1,) else shape


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _shown(layer: _Layer) -> str:
    return str([*next(iter(layer.shapes.values()))])


# ------------------------------------------------------------------ the proof


def _randomise(module: nn.Module, scale: float) -> None:
    """Every tensor other numbers, so that no two are alike; variances positive."""
    import torch

    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, value in module.state_dict().items():
            if not value.is_floating_point():
                continue
            noise = torch.rand(value.shape, generator=generator, dtype=value.dtype) - 0.5
            if value.dim() < 2:  # norms, biases: near 1 or 0, as in a network that works
                near = 1.0 if name.endswith(("weight", "running_var")) else 0.0
                value.copy_(near + 0.4 * noise)
            else:  # the deviation of He's initialisation, at a scale of 1
                value.copy_(noise * scale * (24 / max(prod(value.shape[1:]), 1)) ** 0.5)


def _run(module: nn.Module, batch: Sequence[Tensor], *, training: bool) -> list[Tensor]:
    """All outputs; in training mode too nothing is random and nothing is counted."""
    from torch.nn.modules.batchnorm import _NormBase

    module.train(training)
    for part in module.modules():
        name = type(part).__name__.lower()
        if isinstance(part, _NormBase) or "drop" in name or "depth" in name:
            part.eval()  # nn.Module's: evaluation mode
    with _nothing_dropped():
        return list(_tensors(module(*batch)))


@contextmanager
def _nothing_dropped() -> Iterator[None]:
    """Without the dropout that a `forward` calls as a function, whatever mode its module is in."""
    from torch.nn import functional

    kept = {name: getattr(functional, name) for name in _DROPOUTS}
    for name in _DROPOUTS:
        setattr(functional, name, lambda input, *_, **__: input)
    try:
        yield
    finally:
        for name, function in kept.items():
            setattr(functional, name, function)


def _idle(module: nn.Module, batch: Sequence[Tensor], *, training: bool) -> list[str]:
    """The parameters that no output depends on: what equal outputs do not prove."""
    import torch

    module.requires_grad_(True)
    generator = torch.Generator().manual_seed(1)
    with torch.enable_grad():
        # torch 2.13 crashes in a group norm, channels last, of what takes no gradient itself
        given = [t.detach().requires_grad_().clone() if t.is_floating_point() else t for t in batch]
        total = sum(
            (out * torch.randn(out.shape, generator=generator)).sum()
            for out in _run(module, given, training=training)
            if out.is_floating_point()
        )
        if isinstance(total, torch.Tensor):
            torch.autograd.backward(total)
    return [
        name for name, value in module.named_parameters()
        if value.grad is None or not bool(value.grad.any())
    ]  # fmt: skip


def _tensors(value: Any) -> Iterator[Tensor]:
    import torch

    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, Mapping):
        for entry in value.values():
            yield from _tensors(entry)
    elif isinstance(value, (list, tuple)):
        for entry in value:
            yield from _tensors(entry)


def _difference(
    ours: nn.Module, theirs: nn.Module, batch: Sequence[Tensor], *, training: bool
) -> float:
    """The largest difference of outputs, relative to the largest output; infinite: none fit."""
    import torch

    with torch.no_grad():
        here, there = _run(ours, batch, training=training), _run(theirs, batch, training=training)
    if len(here) != len(there) or not there:
        return float("inf")
    error = 0.0
    for a in here:
        same = [b for b in there if b.shape == a.shape]
        if not same:
            return float("inf")
        each = [float((a - b).abs().max() / b.abs().max().clamp(min=1e-12)) for b in same]
        best = min(range(len(same)), key=each.__getitem__)
        error = max(error, each[best])
        there = [b for b in there if b is not same[best]]
        if not torch.isfinite(a).all():
            return float("inf")
    return error
