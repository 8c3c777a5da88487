"""What a step is predicted to hold, against what torch holds: whole networks, and frozen ones.

    python benchmarks/memory.py

Torch's is counted tensor by tensor, as they are made and given back in forward, backward and the
optimizer's step, on tensors without numbers, in the second step: there the optimizer remembers.
Networks with attention are run on the CPU, two samples of them: without numbers torch does not take
the kernel that it takes there.
"""

from __future__ import annotations

import sys
import weakref
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import archspec
from archspec.train import engine, groups, memory, named, reading

CASES: tuple[tuple[str, str | None, str], ...] = (
    ("lenet5", None, "f6"), ("resnet50", "resnet18", "layer4, fc"), ("resnet50", None, "fc"),
    ("vgg16", None, "classifier"), ("mobilenet_v2", None, "classifier"),
    ("densenet121", None, "classifier"), ("googlenet", None, "fc"), ("vit_b_16", None, "heads"),
    ("unet", None, "all"), ("tcn", None, "all"),
)  # fmt: skip
OPTIMIZERS: tuple[Any, ...] = ("adamw", {"sgd": {"lr": 0.1, "momentum": 0.9}})


class Counted(TorchDispatchMode):
    """The bytes of all storages that are alive, and the most there ever were."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.most = 0
        self.known: set[int] = set()

    def note(self, value: Any) -> None:
        if not isinstance(value, torch.Tensor):
            return
        storage = value.untyped_storage()
        key, size = id(storage), storage.nbytes()
        if key not in self.known:
            self.known.add(key)
            self.now += size
            self.most = max(self.most, self.now)
            weakref.finalize(storage, self.gone, key, size)

    def gone(self, key: int, size: int) -> None:
        self.known.discard(key)
        self.now -= size

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        for value in tree_leaves(found):
            self.note(value)
        return found


def tracked(model: Any, names: list[str], shape: tuple[int, ...], plan: Any, batch: int) -> int:
    """The most bytes that a second step holds; the inputs left out."""
    for name, value in model.named_parameters():
        value.requires_grad_(name in names)
    optimizer = named.made(plan.optimizer, [v for v in model.parameters() if v.requires_grad])
    x = torch.empty(batch, *shape, device=next(model.parameters()).device)

    def step() -> None:
        found = model(x)
        sum(one.sum() for one in tree_leaves(found)).backward()
        optimizer.step()
        optimizer.zero_grad()

    step()
    counted = Counted()
    state = [tree_leaves(kept) for kept in optimizer.state.values()]
    for value in tree_leaves([list(model.state_dict().values()), state]):
        counted.note(value)
    with counted:
        step()
    return counted.most


def compare(name: str, variant: str | None, part: str, optimizer: Any, batch: int) -> float:
    program = archspec.load(name, variant)
    train: Any = "all" if part == "all" else part.split(", ")
    plan = reading.given(None, {"optimizer": optimizer, "phases": [{"train": train}]})
    built = archspec.build(program)
    free = [n for n, value in built.named_parameters() if value.requires_grad]
    (need,) = memory.needs({"": program}, plan, free, engine.accelerator(plan))
    attends = any(node.op == "attention" for node in program.graph.steps)
    batch = 2 if attends else batch
    model = built.to("cpu" if attends else "meta").train()
    names = groups.trained(plan, 0, free)
    for norm in groups.frozen_norms(model, names):
        norm.eval()
    found = tracked(model, names, program.graph.steps[0].outs[0].shape, plan, batch)
    ratio = need.bytes(batch) / found
    title = f"{program.name}, {part}, {plan.optimizer.name}"
    ours, theirs = need.bytes(batch) / 2**20, found / 2**20
    print(
        f"{title:<40} predicted {ours:8.1f} MiB   torch {theirs:8.1f} MiB   {ratio:.3f}", flush=True
    )
    return ratio


if __name__ == "__main__":
    for name, variant, part in CASES:
        if sys.argv[1:] and name not in sys.argv[1:]:
            continue
        for trained in dict.fromkeys(("all", part)):
            for optimizer in OPTIMIZERS:
                compare(name, variant, trained, optimizer, 8)
