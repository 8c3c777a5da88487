"""Attention without weights of its own, and rotary positions → torch's function, a small module.

- {id: q, from: query, unflatten: {axis: -1, shape: [8, 64]}, …}      [8, T, 64]
- {id: r, rotary: 10000}                                              [8, T, 64]
- {from: [r, k, v], dot_attention: {causal: true}}                    [8, T, 64]
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

from pydantic import Field

from archspec.layers.base import WHOLE, Arg, Call, Kept, Layer, Mismatch, Reach, Shape, TensorType
from archspec.layers.fields import Flag, Positive, Probability
from archspec.layers.strides import Lying, Strides, cellwise, foldable
from archspec.layers.window import expect_dtype
from archspec.text.words import joined

_VALUE = 2  # the place of the input


class DotAttention(Layer):
    """Scaled dot-product attention: torch.nn.functional.scaled_dot_product_attention.

    Query [T, D] or [heads, T, D] looks at key [S, D] and value [S, E] of as many heads, or of fewer
    that divide them: then neighbouring heads of the query share one (Ainslie et al. 2023). `mask`
    [T, S], or [heads, T, S], is bool, true hides, or numbers that are added before the softmax; an
    axis of one cell holds for all. `causal` hides what comes later.
    """

    autocast = "half"
    op = "dot_attention"
    elsewhere = ("scaleddotproductattention", "sdpa")
    family = "attention"
    functional = True
    takes = ("query", "key", "value", "mask?")
    examples = (
        ({}, ((7, 6), (5, 6), (5, 4))),
        ({"causal": True}, ((2, 7, 6), (2, 7, 6), (2, 7, 6))),
        ({"scale": 1}, ((2, 7, 6), (2, 5, 6), (2, 5, 6))),
        ({}, ((4, 7, 6), (2, 5, 6), (2, 5, 6))),
        ({}, ((2, 7, 6), (2, 5, 6), (2, 5, 4))),
        ({}, ((2, 7, 6), (2, 5, 6), (2, 5, 6), (7, 5))),
        ({}, ((2, 7, 6), (2, 5, 6), (2, 5, 6), (1, 5))),
        ({}, ((2, 7, 6), (2, 5, 6), (2, 5, 6), (2, 7, 5))),
        ({}, ((7, 6), (5, 6), (5, 6), (7, 5))),
        ({"dropout": 0.1, "causal": True}, ((7, 6), (7, 6), (7, 6))),
        ({"dropout": 0.1}, ((4, 7, 6), (2, 5, 6), (2, 5, 4))),
        ({"dropout": 0.1, "scale": 1}, ((2, 7, 6), (2, 5, 6), (2, 5, 6), (1, 5))),
    )
    example_dtypes = ("float", "float", "float", "bool")

    causal: Flag = Field(False, description="a place sees itself and what comes before")
    scale: Positive | None = Field(
        None, description="what the products are multiplied by; 1 / √D when left out"
    )
    dropout: Probability = Field(0.0, description="dropout of the attention weights")

    def infer(self, *ins: TensorType) -> tuple[TensorType, ...]:
        query, key, value = ins[:3]
        for name, t in (("query", query), ("key", key), ("value", value)):
            if t.rank not in (2, 3) or t.rank != query.rank:
                said = f"`dot_attention` takes [T, D] or [heads, T, D]; its {name} is {t}"
                raise Mismatch(said, "exchange axes with `permute`", "E302")
            expect_dtype(self.op, t)
        if key.shape[:-1] != value.shape[:-1] or key.shape[-1] != query.shape[-1]:
            message = "`dot_attention` takes query [T, D], key [S, D] and value [S, E]; they are "
            raise Mismatch(message + joined(ins[:3]), code="E203")
        if query.rank == 3 and query.shape[0] % key.shape[0]:
            message = f"the {key.shape[0]} heads of the key {key} do not divide those of the query"
            raise Mismatch(f"{message} {query}", code="E203")
        if self.causal and key.shape[-2] != query.shape[-2]:
            message = "`dot_attention` with `causal` takes query and key of equal length; they are "
            raise Mismatch(message + joined((query, key)), code="E203")
        if len(ins) > 3:
            self._check_mask(ins[3], (*query.shape[:-1], key.shape[-2]))
        return (TensorType((*query.shape[:-1], value.shape[-1]), "float", map=False),)

    def _check_mask(self, mask: TensorType, shape: tuple[int, ...]) -> None:
        if self.causal:
            message = "`dot_attention` takes `causal` or a `mask`, not both"
            raise Mismatch(message, "put what `causal` hides into the mask", "E311")
        if mask.dtype == "int":
            message = "`mask` of `dot_attention` is bool, true hides, or float; it is given int"
            raise Mismatch(message, code="E303")
        pairs = zip(reversed(mask.shape), reversed(shape), strict=False)
        if not 2 <= mask.rank <= len(shape) or any(n not in (1, size) for n, size in pairs):
            wanted = TensorType(shape[-2:])
            heads = f", or {TensorType(shape)}" if len(shape) > 2 else ""
            message = f"`mask` of `dot_attention` is {wanted}{heads}; it is given {mask}"
            raise Mismatch(message, "an axis of one cell holds for all", "E203")

    def reach(self, *ins: TensorType) -> tuple[tuple[Reach, ...], ...]:
        query, key = ins[:2]
        heads = [Reach(0)] if query.rank == 3 else []
        shared = [WHOLE] if query.rank == 3 and key.shape[0] != query.shape[0] else heads
        places = Reach(query.rank - 2)
        found = [
            (*heads, places, WHOLE), (*shared, WHOLE, WHOLE),
            (*shared, WHOLE, Reach(query.rank - 1)),
        ]  # fmt: skip
        for mask in ins[3:]:
            aligned = (*heads, places, WHOLE)[-mask.rank :]
            pairs = zip(aligned, mask.shape, strict=True)
            found.append(tuple(WHOLE if n == 1 else reach for reach, n in pairs))
        return tuple(found)

    def macs(self, ins: tuple[TensorType, ...], outs: tuple[TensorType, ...]) -> int:
        query, key, value = ins[:3]
        pairs = math.prod(query.shape[:-1]) * key.shape[-2]
        return pairs * (query.shape[-1] + value.shape[-1])

    def flops(self, ins: tuple[TensorType, ...], outs: tuple[TensorType, ...]) -> int:
        return 2 * self.macs(ins, outs) + 4 * math.prod(ins[0].shape[:-1]) * ins[1].shape[-2]

    def keeps(self, *ins: TensorType) -> Kept:
        """Query, key, value and result, and a number for each place and head, as fused kernels do.

        Without heads, or with values of another size, torch has none: it keeps the weights, and
        scaled copies of query and key. With dropout it has none either: the weights are kept before
        and behind it, with its factors, and what heads share is copied for each.
        """
        query, _, value = ins[:3]
        if self.dropout or query.rank == 2 or value.shape[-1] != query.shape[-1]:
            return self._keeps_weights(*ins)
        mask = 4 * ins[3].size if len(ins) > 3 else 0  # as numbers
        steps = math.prod(query.shape[:-1])
        return Kept(inputs=(0, 1, 2), outputs=(0,), bytes=4 * steps + mask)

    def keeps_as_they_lie(
        self, ins: tuple[TensorType, ...], given: Mapping[int, Lying]
    ) -> Kept | None:
        return None if self._fused(*given.values()) else self._keeps_weights(*ins)

    def lies(self, out: Shape, *given: Lying) -> Strides | None:
        """Of fused kernels as the query does."""
        return cellwise(out, given[:1]) if self._fused(*given) else None

    def copies(self, place: int, given: Mapping[int, Lying]) -> int:
        """One of the value, where torch multiplies it by the weights itself."""
        alone = place == _VALUE and not self._fused(*given.values())
        return int(alone and not foldable(given[place], 2))

    def _fused(self, *given: Lying) -> bool:
        """Whether torch has a kernel: with heads, features innermost, the value's as many."""
        (query, _), _, (value, _), *_ = given
        inner = all(strides[-1] == 1 for _, strides in given[:3])
        return inner and len(query) == 4 and query[-1] == value[-1] and not self.dropout

    def _keeps_weights(self, *ins: TensorType) -> Kept:
        query, key, value = ins[:3]
        steps = math.prod(query.shape[:-1])
        weights = 4 * steps * key.shape[-2]
        heads = query.shape[0] // key.shape[0] if query.rank == 3 else 1
        if self.dropout:
            weights *= 3
        own = weights + query.bytes + heads * key.bytes
        if heads == 1:
            return Kept(inputs=(_VALUE,), bytes=own)
        return Kept(bytes=own + heads * value.bytes)

    def call(self, *ins: TensorType) -> Call:
        masks: tuple[str, ...] = ()
        if len(ins) > 3:
            masks = ("x3.logical_not()" if ins[3].dtype == "bool" else "x3",)
        call = self._attending(masks, *ins)
        beside = None if not masks else (3, call.forward)  # a mask for all samples, as it is
        heads = ".unsqueeze(1)" if masks and ins[0].rank > ins[3].rank else ""
        forward = self._attending((masks[0] + heads,), *ins).forward if heads else call.forward
        return replace(call, forward=forward, beside=beside)

    def _attending(self, masks: tuple[str, ...], *ins: TensorType) -> Call:
        """The call with the text of a mask, or without."""
        if self.dropout:
            forward = f"self({', '.join(('x0', 'x1', 'x2', *masks))})"
            return Call("DotAttention", self.args("dropout", "causal", "scale"), forward)
        words = ["x0", "x1", "x2", *(f"attn_mask={mask}" for mask in masks)]
        free = []
        if self.causal:
            words.append("is_causal=True")
        if self.scale is not None:
            words.append("scale=scale")
            free.append(Arg(self.scale, "scale"))
        if ins[0].rank == 3 and ins[1].shape[0] != ins[0].shape[0]:
            words.append("enable_gqa=True")
        forward = f"nn.functional.scaled_dot_product_attention({', '.join(words)})"
        return Call(None, forward=forward, free=tuple(free))


class Rotary(Layer):
    """Features [T, D] or [heads, T, D] turned by their place, pair by pair (Su et al. 2021)."""

    op = "rotary"
    elsewhere = ("rope", "rotaryembedding")
    family = "position"
    target = "Rotary"
    work = 3
    examples = (
        ({}, ((7, 6),)),
        ({"theta": 500000.0}, ((2, 7, 8),)),
        ({"pairs": "neighbours"}, ((2, 7, 8),)),
    )

    theta: Positive = Field(10000.0, description="base of the wave lengths")
    pairs: Literal["halves", "neighbours"] = Field(
        "halves",
        description="which features are turned together: i and i + D/2, or 2i and 2i + 1",
    )

    def infer(self, t: TensorType) -> tuple[TensorType, ...]:
        expect_dtype(self.op, t)
        if t.rank not in (2, 3):
            message = f"`rotary` takes [T, D] or [heads, T, D]; the input is {t}"
            raise Mismatch(message, "exchange axes with `permute`", "E302")
        if t.shape[-1] % 2:
            message = f"`rotary` turns pairs of features; the input {t} has {t.shape[-1]}"
            raise Mismatch(message, code="E305")
        return (t,)

    def reach(self, t: TensorType) -> tuple[tuple[Reach, ...], ...]:
        return ((*(Reach(a) for a in range(t.rank - 1)), WHOLE),)

    def keeps(self, t: TensorType) -> Kept:
        """Sines and cosines, the same for all samples."""
        return Kept()
