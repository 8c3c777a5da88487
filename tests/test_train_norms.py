"""Networks that torch's backward pass of group norms crashes on, trained."""

from __future__ import annotations

import pytest
import torch

import archspec
from archspec.train import fit

FIRST = "[permute: [2, 0, 1], group_norm: 2, flatten, {id: head, linear: 2}]"
FROZEN = (
    "[permute: [2, 0, 1], {id: still, conv: {out: 4, kernel: 3}}, group_norm: 2, relu, flatten, "
    "{id: head, linear: 2}]"
)


@pytest.mark.parametrize(("body", "train"), [(FIRST, "all"), (FROZEN, ["group_norm1", "head"])])
def test_channels_last_without_gradient_are_trained(body: str, train: str | list[str]) -> None:
    """Torch 2.13 ends the process, by a segmentation fault, in the first backward pass."""
    torch.manual_seed(0)
    model = archspec.build(
        archspec.loads(f"spec: 1\nname: t\ninput: [6, 6, 4]\nbody: {body}\nhead: head\n")
    )
    x = torch.rand(32, 6, 6, 4)
    before = model.group_norm1.weight.clone()
    phases = [{"train": train, "epochs": 2, "lr": 0.01}]
    fit(model, (x, x[:, 0, 0, 0].gt(0.5).long()), phases=phases, batch=8, log=None, quiet=True)
    assert not torch.equal(model.group_norm1.weight, before)
    assert not model.group_norm1._forward_pre_hooks
