"""Attention → torch.nn.MultiheadAttention, batch first."""

from __future__ import annotations

from pydantic import Field

from archspec.layers.base import WHOLE, Arg, Call, Kept, Layer, Mismatch, Reach, TensorType, Weight
from archspec.layers.fields import Flag, Probability, Size
from archspec.layers.window import expect_places

Given = TensorType | None


class Attention(Layer):
    """Multi-head attention: torch.nn.MultiheadAttention. [T, D] looks at key and value [S, …].

    `key` is the query and `value` the key where they are not given. `mask` [T, S] and
    `key_padding_mask` [S] are bool, true hides; `causal` hides what comes later (T and S are then
    equal).
    """

    op = "attention"
    elsewhere = ("multiheadattention", "mha")
    family = "attention"
    whole = slice(None)
    reads = "sequence"
    takes = ("query", "key?", "value?", "mask?", "key_padding_mask?")
    examples = (
        ({"heads": 2}, ((7, 6),)),
        ({"heads": 3, "bias": False, "dropout": 0.1}, ((7, 6),)),
        ({"heads": 2, "causal": True}, ((7, 6),)),
        ({"heads": 2}, ((7, 6), (5, 6))),
        ({"heads": 2}, ((7, 6), (5, 4), (5, 8))),
    )

    heads: Size = Field(description="heads, each on its share of the features")
    dropout: Probability = Field(0.0, description="dropout of the attention weights")
    bias: Flag = Field(True, description="learned shifts of all projections")
    causal: Flag = Field(False, description="a place sees itself and what comes before")

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

    def weights(self, *ins: TensorType) -> tuple[Weight, ...]:
        query, key, value = self.parts(*ins)
        d = query.shape[1]
        if key.shape[1] == value.shape[1] == d:
            weights = [Weight("in_proj_weight", (3 * d, d))]
        else:
            sizes = (("q", d), ("k", key.shape[1]), ("v", value.shape[1]))
            weights = [Weight(f"{name}_proj_weight", (d, n)) for name, n in sizes]
        bias = [Weight("in_proj_bias", (3 * d,))] if self.bias else []
        out = [Weight("out_proj.bias", (d,))] if self.bias else []
        return (*weights, *bias, Weight("out_proj.weight", (d, d)), *out)

    def reach(self, *ins: TensorType) -> tuple[tuple[Reach, ...], ...]:
        query, *others = super().reach(*ins)
        return ((Reach(0), WHOLE) if any(others[:2]) else query, *others)

    def macs(self, ins: tuple[TensorType, ...], outs: tuple[TensorType, ...]) -> int:
        query, key, value = self.parts(*ins)
        (steps, d), seen = query.shape, key.shape[0]
        projections = 2 * steps * d * d + seen * key.shape[1] * d + seen * value.shape[1] * d
        return projections + 2 * steps * seen * d

    def flops(self, ins: tuple[TensorType, ...], outs: tuple[TensorType, ...]) -> int:
        query, key, _ = self.parts(*ins)
        steps, seen = query.shape[0], key.shape[0]
        shifts = (2 * steps + 2 * seen) * query.shape[1] if self.bias else 0
        return 2 * self.macs(ins, outs) + shifts + 3 * self.heads * steps * seen

    def keeps(self, *ins: TensorType) -> Kept:
        """Copies of its inputs, projections, the heads' result, and a number per place and head.

        The inputs are copied because batch first they do not lie as the projections take them. With
        dropout torch on the CPU leaves its fused kernel: it keeps the weights [heads, T, S] before
        and behind the dropout, its factors, and query and key once more, scaled.
        """
        given = {i: t.bytes for i, t in enumerate(ins[:3]) if t is not None}
        query, key, _ = self.parts(*ins)
        (steps, d), seen = query.shape, key.shape[0]
        if not self.dropout:
            own = 2 * steps * d + 2 * seen * d + self.heads * steps
        else:
            own = 2 * steps * d + seen * d + 3 * self.heads * steps * seen
            # the value holds what was projected together with it
            own += seen * d * (3 - max(given))
        return Kept(bytes=4 * own + sum(given.values()))

    def call(
        self,
        query: TensorType,
        key: Given = None,
        value: Given = None,
        mask: Given = None,
        key_padding_mask: Given = None,
    ) -> Call:
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

    def module(self, *ins: TensorType) -> Call:
        if any(t is not None for t in ins[1:]):
            return Call(None)
        call = self.call(*ins)
        return Call("CausalSelfAttention" if self.causal else "SelfAttention", call.args)
