"""What a step holds is predicted by the analysis; torch's own saved tensors are the oracle."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.autograd.graph import saved_tensors_hooks

import archspec
from archspec.analysis.cost import costs
from archspec.analysis.memory import saved
from archspec.train import engine, memory, reading, start
from archspec.train.errors import TrainError

SPEC = """\
spec: 1
name: parts
input: [3, 16, 16]
body:
  - {id: first, conv: {out: 8, kernel: 3, padding: 1}}
  - {id: bn, batch_norm: {}}
  - relu
  - {id: second, conv: {out: 16, kernel: 3, padding: 1}}
  - relu
  - max_pool: 2
  - flatten
  - {id: fc, linear: 10}
head: fc
"""
BATCH = 4


def needed(train: Any = "all", **keys: Any) -> memory.Need:
    plan = reading.given(None, {"phases": [{"train": train}], "log": None, **keys})
    program = archspec.loads(SPEC)
    free = [name for name, _ in archspec.build(program).named_parameters()]
    return memory.needs({"": program}, plan, free, engine.accelerator(plan))[-1]


def kept(train: str, *, half: bool = False) -> int:
    """Bytes that autograd holds after a forward pass, weights and the input left out."""
    model = archspec.build(archspec.loads(SPEC))
    for name, value in model.named_parameters():
        value.requires_grad_(train == "all" or name.startswith(train))
    x = torch.randn(BATCH, 3, 16, 16)
    own = {value.untyped_storage().data_ptr() for value in [*model.state_dict().values(), x]}
    seen: dict[int, int] = {}

    def note(value: torch.Tensor) -> torch.Tensor:
        storage = value.untyped_storage()
        if storage.data_ptr() not in own and value.ndim > 1:
            seen[storage.data_ptr()] = storage.nbytes()
        return value

    with (
        torch.autocast("cpu", torch.bfloat16, enabled=half),
        saved_tensors_hooks(note, lambda value: value),
    ):
        out = model(x)
    assert out.requires_grad
    return sum(seen.values())


def test_in_half_precision_products_keep_casts_of_weights_and_pictures() -> None:
    analysis = archspec.loads(SPEC).analysis
    of_a_sample = sum(saved(analysis.graph, costs(analysis.graph), half=True))
    casts = 2 * (8 * 3 * 9 + 16 * 8 * 9 + 10 * 16 * 64)
    assert kept("all", half=True) == BATCH * of_a_sample + casts
    whole, half = (needed(precision=precision) for precision in ("fp32", "bf16"))
    assert half.fixed - whole.fixed == casts
    assert half.bytes(64) < 0.7 * whole.bytes(64)


@pytest.mark.parametrize("train", ["all", "second", "fc"])
def test_what_is_kept_behind_the_first_weight_that_is_trained(train: str) -> None:
    analysis = archspec.loads(SPEC).analysis
    names = [n for n, w, _ in analysis.graph.weights() if not w.buffer]
    chosen = {name for name in names if train == "all" or name.startswith(train)}
    found = BATCH * sum(saved(analysis.graph, costs(analysis.graph), chosen))
    given = BATCH * 3 * 16 * 16 * 4 if train == "all" else 0  # the first layer keeps the input
    assert found - given == pytest.approx(kept(train), rel=0.01)


def test_gradients_and_states_are_of_what_is_trained() -> None:
    weights = archspec.loads(SPEC).analysis.totals.weight_bytes
    fc = 4 * (16 * 64 * 10 + 10)
    assert needed("fc", optimizer={"sgd": {"lr": 0.1}}).fixed == weights
    assert needed("fc", optimizer={"sgd": {"lr": 0.1, "momentum": 0.9}}).fixed == weights + fc
    for optimizer, numbers in (("adamw", 2), ("rmsprop", 1), ({"adam": {"amsgrad": True}}, 3)):
        assert needed("fc", optimizer=optimizer).fixed == weights + numbers * fc
    assert needed("fc", ema=0.9, optimizer={"sgd": {"lr": 0.1}}).fixed == 2 * weights
    later = needed("all", phases=[{"train": "second"}, {"train": "fc"}])  # the first's states stay
    assert later.fixed == weights + 2 * fc + 2 * 4 * (8 * 16 * 9 + 16)
    assert needed("fc").bytes(64) < needed("second").bytes(64) < needed("all").bytes(64)


def test_the_largest_batch_that_fits() -> None:
    for need in (needed("fc"), needed("all"), needed("all", accumulate=4)):
        free = need.bytes(37)
        assert need.largest(free) == 37
        assert need.largest(need.bytes(1) - 1) == 0


def test_batch_auto_and_the_refusal_of_a_small_device(monkeypatch: pytest.MonkeyPatch) -> None:
    data = torch.randn(2000, 3, 16, 16), torch.arange(2000) % 10
    model = archspec.build(archspec.loads(SPEC))

    def batch(room: int, **keys: Any) -> int:
        monkeypatch.setattr(memory, "available", lambda device: room)
        plan = reading.given(None, {"log": None, "data": {"val": 0}, **keys})
        return start.prepare(model, data, plan, quiet=True).batch

    whole = needed("all")
    assert batch(2 * whole.bytes(40), batch="auto") == 64  # 0.9 of it are 72 and some
    frozen = {"phases": [{"train": "fc"}], "batch": "auto"}
    assert batch(2 * whole.bytes(40), **frozen) == 128
    assert batch(1 << 40, batch="auto") == 128  # at most an eighth of the samples
    with pytest.raises(TrainError, match=r"(?s)E806 a batch of 64 needs .*`batch: 3\d` fits"):
        batch(whole.bytes(40), batch=64)
    with pytest.raises(TrainError, match=r"(?s)E806 a batch of 1 needs .*not one sample fits"):
        batch(1000, batch="auto")
