"""Attention → torch.nn.MultiheadAttention, batch first; with `kv_heads` a module of our own.

{heads: 8}, on [7, 64]                  in_proj_weight [192, 64], in_proj_bias, out_proj
{heads: 8, kv_heads: 2}, on [7, 64]     q_proj_weight [64, 64], k_proj_weight [16, 64], …
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pydantic import Field

from archspec.layers.base import (
    WHOLE,
    Arg,
    Call,
    Kept,
    Layer,
    Mismatch,
    Reach,
    Shape,
    TensorType,
    Weight,
)
from archspec.layers.fields import Flag, Probability, Size
from archspec.layers.strides import Lying, Strides, foldable, foldable_by_steps, steps_first
from archspec.layers.window import expect_places

Given = TensorType | None


class Attention(Layer):
    """Multi-head attention: torch.nn.MultiheadAttention. [T, D] looks at key and value [S, …].

    `key` is the query and `value` the key where they are not given. `mask` [T, S] and
    `key_padding_mask` [S] are bool, true hides; `causal` hides what comes later (T and S are then
    equal). With `kv_heads` neighbouring heads share one key and value (Ainslie et al. 2023);
    weights are named as torch's where query, key and value differ in size.
    """

    autocast = "half"
    op = "attention"
    elsewhere = ("multiheadattention", "mha")
    family = "attention"
    whole = slice(None)
    reads = "sequence"
    takes = ("query", "key?", "value?", "mask?", "key_padding_mask?")
    falls_back = (2, 1)
    examples = (
        ({"heads": 2}, ((7, 6),)),
        ({"heads": 3, "bias": False, "dropout": 0.1}, ((7, 6),)),
        ({"heads": 2, "causal": True}, ((7, 6),)),
        ({"heads": 2}, ((7, 6), (5, 6))),
        ({"heads": 2}, ((7, 6), (5, 4), (5, 8))),
        ({"heads": 4, "kv_heads": 2}, ((7, 8),)),
        ({"heads": 4, "kv_heads": 1, "causal": True, "bias": False}, ((7, 8),)),
        ({"heads": 4, "kv_heads": 2}, ((7, 8), (5, 4), (5, 6))),
        ({"heads": 4, "kv_heads": 2, "dropout": 0.1}, ((7, 8), (5, 8))),
    )

    heads: Size = Field(description="heads, each on its share of the features")
    dropout: Probability = Field(0.0, description="dropout of the attention weights")
    bias: Flag = Field(True, description="learned shifts of all projections")
    causal: Flag = Field(False, description="a place sees itself and what comes before")
    kv_heads: Size | None = Field(
        None, description="heads of key and value, fewer than `heads`, which they divide"
    )

    def check(self) -> None:
        if self.kv_heads is not None and self.heads % self.kv_heads:
            raise self.bad("kv_heads", f"it does not divide the {self.heads} heads")

    @property
    def weighted(self) -> int:
        return 2  # the projections before and behind

    def parts(
        self, query: TensorType, key: Given = None, value: Given = None, *masks: Given
    ) -> tuple[TensorType, TensorType, TensorType]:
        """Query, key and value. Raises Mismatch."""
        key = key or query
        value = value or key
        for name, t in (("query", query), ("key", key), ("value", value)):
            expect_places(self.op, t, f"its {name}")
        return query, key, value

    def infer(self, *ins: TensorType) -> tuple[TensorType, ...]:
        query, key, value = self.parts(*ins)
        steps, size = query.shape
        self.expect_divisor("heads", size, f"features of the query {query}")
        if key.shape[0] != value.shape[0]:
            message = f"`attention` takes key and value of equal length; they are {key} and {value}"
            raise Mismatch(message, code="E203")
        if self.causal and key.shape[0] != steps:
            raise Mismatch(
                "`attention` with `causal` takes query and key of equal length; they are "
                f"{query} and {key}",
                code="E203",
            )
        self._check_masks((steps, key.shape[0]), *ins[3:])
        return (TensorType(query.shape, "float", map=False),)

    def _check_masks(self, shape: tuple[int, int], *masks: TensorType | None) -> None:
        wanted = (("mask", shape), ("key_padding_mask", shape[1:]))
        for (name, want), mask in zip(wanted, masks, strict=False):
            if mask is None:
                continue
            if mask.dtype != "bool":
                message = f"`{name}` of `attention` is bool, true hides; it is given {mask.dtype}"
                raise Mismatch(message, code="E303")
            if mask.shape != want:
                message = f"`{name}` of `attention` is {TensorType(want)}; it is given {mask}"
                raise Mismatch(message, code="E203")
        if self.causal and masks and masks[0] is not None:
            message = "`attention` takes `causal` or a `mask`, not both"
            raise Mismatch(message, "put what `causal` hides into the mask", "E311")

    def _shared(self, size: int) -> int:
        """Features of key and value behind their projections, of `size` of the query."""
        return size if self.kv_heads is None else size // self.heads * self.kv_heads

    def weights(self, *ins: TensorType) -> tuple[Weight, ...]:
        query, key, value = self.parts(*ins)
        d = query.shape[1]
        shared = self._shared(d)
        if key.shape[1] == value.shape[1] == d and self.kv_heads is None:
            weights = [Weight("in_proj_weight", (3 * d, d))]
        else:
            sizes = (("q", d, d), ("k", shared, key.shape[1]), ("v", shared, value.shape[1]))
            weights = [Weight(f"{name}_proj_weight", (out, n)) for name, out, n in sizes]
        bias = [Weight("in_proj_bias", (d + 2 * shared,))] if self.bias else []
        out = [Weight("out_proj.bias", (d,))] if self.bias else []
        return (*weights, *bias, Weight("out_proj.weight", (d, d)), *out)

    def reach(self, *ins: TensorType) -> tuple[tuple[Reach, ...], ...]:
        query, *others = super().reach(*ins)
        return ((Reach(0), WHOLE) if any(others[:2]) else query, *others)

    def macs(self, ins: tuple[TensorType, ...], outs: tuple[TensorType, ...]) -> int:
        query, key, value = self.parts(*ins)
        (steps, d), seen = query.shape, key.shape[0]
        keyed = seen * (key.shape[1] + value.shape[1]) * self._shared(d)
        projections = 2 * steps * d * d + keyed
        return projections + 2 * steps * seen * d

    def flops(self, ins: tuple[TensorType, ...], outs: tuple[TensorType, ...]) -> int:
        query, key, _ = self.parts(*ins)
        (steps, d), seen = query.shape, key.shape[0]
        shifts = 2 * (steps * d + seen * self._shared(d)) if self.bias else 0
        return 2 * self.macs(ins, outs) + shifts + 3 * self.heads * steps * seen

    def keeps(self, *ins: TensorType) -> Kept:
        """Copies of its inputs, projections, the heads' result, and a number per place and head.

        The inputs are copied because batch first they do not lie as the projections take them. With
        dropout torch on the CPU leaves its fused kernel: it keeps the weights [heads, T, S] before
        and behind the dropout, its factors, and query and key once more, scaled.
        """
        given = tuple(i for i, t in enumerate(ins[:3]) if t is not None)
        query, key, _ = self.parts(*ins)
        (steps, d), seen = query.shape, key.shape[0]
        if self.kv_heads is not None:  # linear layers keep their inputs as they are
            weights = self.heads * steps * (3 * seen if self.dropout else 1)
            keyed = seen * (d if self.dropout else self._shared(d))
            return Kept(inputs=given, bytes=4 * (2 * steps * d + 2 * keyed + weights))
        if not self.dropout:
            own = 2 * steps * d + 2 * seen * d + self.heads * steps
        else:
            own = 2 * steps * d + seen * d + 3 * self.heads * steps * seen
            # the value holds what was projected together with it
            own += seen * d * (3 - max(given))
        return Kept(inputs=given, bytes=4 * own)

    def keeps_as_they_lie(
        self, ins: tuple[TensorType, ...], given: Mapping[int, Lying]
    ) -> Kept | None:
        """What is given twice is projected once, and what is repeated for all samples each time."""
        found: list[Any] = [t if i in given else None for i, t in enumerate(ins)]
        found += [None] * (3 - len(found))
        for i in (1, 2):
            if found[i] is None and given[max(given.keys() & set(range(i)))][1][0] == 0:
                found[i] = found[i - 1]
        kept = self.keeps(*found)
        return replace(kept, inputs=tuple(i for i in kept.inputs if i in given))

    def copies(self, place: int, given: Mapping[int, Lying]) -> int:
        """One for each projection of its own, with the steps in front where torch does all.

        What is one for all samples is repeated anew for each, and so projected by itself.
        """
        last = not {place + 1, 2} & given.keys() - {place}
        projections = 3 - place if last else 1
        if self.kv_heads is None:
            alone = given[place][1][0] == 0
            return (projections if alone else 1) * int(not foldable_by_steps(given[place]))
        return projections * int(not foldable(given[place], 1))

    def lies(self, out: Shape, *given: Lying) -> Strides | None:
        return steps_first(out) if self.kv_heads is None else None

    def call(
        self,
        query: TensorType,
        key: Given = None,
        value: Given = None,
        mask: Given = None,
        key_padding_mask: Given = None,
    ) -> Call:
        if self.kv_heads is not None:
            return self._own_call(query, key, value, mask, key_padding_mask)
        key_ = "x0" if key is None else "x1"
        value_ = key_ if value is None else "x2"
        d, keyed, valued = (t.shape[1] for t in self.parts(query, key, value))
        args = (
            Arg(d),
            *self.args("heads", "dropout", "bias"),
            Arg(keyed, "kdim", d),
            Arg(valued, "vdim", d),
            Arg(True, "batch_first", False),
        )
        words = [f"x0, {key_}, {value_}"]
        if key_padding_mask is not None:
            words.append("key_padding_mask=x4")
        words.append("need_weights=False")
        if self.causal:
            shape = "x0.shape[1], x0.shape[1], dtype=torch.bool, device=x0.device"
            words.append(f"attn_mask=torch.ones({shape}).triu(1), is_causal=True")
        said = ", ".join(words)
        if mask is None:
            return Call("nn.MultiheadAttention", args, f"self({said})[0]")
        return Call(
            "nn.MultiheadAttention",
            args,
            f"self({said}, attn_mask=x3.repeat_interleave(heads, 0))[0]",
            (Arg(self.heads, "heads"),),
            beside=(3, f"self({said}, attn_mask=x3)[0]"),
        )

    def _own_call(self, query: TensorType, *others: Given) -> Call:
        d, keyed, valued = (t.shape[1] for t in self.parts(query, *others))
        args = (
            Arg(d),
            *self.args("heads", "kv_heads", "dropout", "bias", "causal"),
            Arg(keyed, "kdim", d),
            Arg(valued, "vdim", d),
        )
        names = ("key", "value", "attn_mask", "key_padding_mask")
        given = [f"{names[i]}=x{i + 1}" for i, t in enumerate(others) if t is not None]
        return Call("GroupedQueryAttention", args, f"self({', '.join(['x0', *given])})")

    def module(self, *ins: TensorType) -> Call:
        if self.kv_heads is not None:
            return super().module(*ins)
        if any(t is not None for t in ins[1:]):
            return Call(None)
        call = self.call(*ins)
        return Call("CausalSelfAttention" if self.causal else "SelfAttention", call.args)
