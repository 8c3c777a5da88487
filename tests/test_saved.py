"""What recurrent layers keep for the backward pass, against what torch keeps."""

from __future__ import annotations

import pytest
import torch
from saved import of_a_sample

import archspec

EXACT = [
    "gru: 6", "gru: {hidden: 6, layers: 3}", "gru: {hidden: 6, bidirectional: true}",
    "gru: {hidden: 6, layers: 3, dropout: 0.5, bidirectional: true}", "rnn: 6",
    "rnn: {hidden: 6, layers: 2, nonlinearity: relu}",
    "rnn: {hidden: 6, layers: 3, dropout: 0.5, bidirectional: true}",
]  # fmt: skip
ABOUT = ["lstm: 128", "lstm: {hidden: 64, layers: 2}", "lstm: {hidden: 64, bidirectional: true}"]


def ratio(item: str, shape: tuple[int, int]) -> float:
    """What is said of a network of one layer, of what torch does."""
    text = f"spec: 1\nname: t\ninput: {list(shape)}\nbody: [{{id: r, {item}}}]\n"
    program = archspec.loads(text)
    kept = of_a_sample(archspec.build(program), lambda n: [torch.rand(n, *shape)])
    return program.analysis.totals.saved_bytes / kept


@pytest.mark.parametrize("item", EXACT)
def test_what_is_kept(item: str) -> None:
    assert ratio(item, (9, 5)) == 1


@pytest.mark.parametrize("item", ABOUT)
def test_what_the_kernel_of_lstm_keeps(item: str) -> None:
    """oneDNN's workspace has its own alignment: a small layer takes more, or less."""
    assert ratio(item, (64, 64)) == pytest.approx(1, abs=0.05)
