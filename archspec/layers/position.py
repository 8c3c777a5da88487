"""Fixed position encodings → a small module of our own."""

from __future__ import annotations

from archspec.layers.base import Layer, Mismatch, TensorType
from archspec.layers.window import expect_places


class SinePositions(Layer):
    """Sines and cosines of the position added to [T, D] (Vaswani et al. 2017, section 3.5)."""

    op = "sine_positions"
    target = "SinePositions"
    family = "position"
    work = 1
    reads = "sequence"
    word = "positions"
    examples = (({}, ((7, 6),)), ({}, ((1, 2),)))

    def infer(self, t: TensorType) -> tuple[TensorType, ...]:
        expect_places(self.op, t)
        if t.shape[1] % 2:
            raise Mismatch(
                "`sine_positions` takes an even number of features, a sine and a cosine each; "
                f"the input is {t}",
                code="E305",
            )
        return (t,)
