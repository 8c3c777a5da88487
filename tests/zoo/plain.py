"""Networks in plain torch, as their papers say, under the names that published weights have."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention


def heads_of(x: Tensor, heads: int) -> Tensor:
    """[N, T, D] as [N, heads, T, D / heads]."""
    return x.unflatten(2, (heads, -1)).transpose(1, 2)


class Modules(nn.Module):
    """Modules by name, `self` and `LayerNorm` among them."""

    def __init__(self, /, **modules: nn.Module) -> None:
        super().__init__()
        for name, module in modules.items():
            self.add_module(name, module)


# ---------------------------------------------------------------- language


class Bert(nn.Module):
    """BERT, with the names of Hugging Face (Devlin et al. 2019)."""

    def __init__(self, layers: int, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.drop = nn.Dropout(0.1)
        self.embeddings = Modules(
            word_embeddings=nn.Embedding(30522, width),
            position_embeddings=nn.Embedding(512, width),
            token_type_embeddings=nn.Embedding(2, width),
            LayerNorm=nn.LayerNorm(width, 1e-12),
        )
        self.encoder = Modules(layer=nn.ModuleList(self.layer(width) for _ in range(layers)))
        self.pooler = Modules(dense=nn.Linear(width, width))

    @staticmethod
    def layer(width: int) -> nn.Module:
        maps = {name: nn.Linear(width, width) for name in ("query", "key", "value")}
        return Modules(
            attention=Modules(self=Modules(**maps), output=Bert.output(width, width)),
            intermediate=Modules(dense=nn.Linear(width, 4 * width)),
            output=Bert.output(4 * width, width),
        )

    @staticmethod
    def output(features: int, width: int) -> nn.Module:
        return Modules(dense=nn.Linear(features, width), LayerNorm=nn.LayerNorm(width, 1e-12))

    def forward(self, tokens: Tensor, segments: Tensor, padding: Tensor) -> dict[str, Tensor]:
        given = self.embeddings
        x = given.word_embeddings(tokens) + given.token_type_embeddings(segments)
        x = x + given.position_embeddings(torch.arange(tokens.shape[1]))
        x = self.drop(given.LayerNorm(x))
        seen = ~padding[:, None, None]
        for layer in self.encoder.layer:
            x = self.through(layer, x, seen)
        pooled = self.pooler.dense(x[:, 0]).tanh()
        return {"last_hidden_state": x, "pooler_output": pooled}

    def through(self, layer: nn.Module, x: Tensor, seen: Tensor) -> Tensor:
        maps = layer.attention.self
        q, k, v = (heads_of(m(x), self.heads) for m in (maps.query, maps.key, maps.value))
        y = scaled_dot_product_attention(q, k, v, seen).transpose(1, 2).flatten(2)
        x = self.added(layer.attention.output, y, x)
        return self.added(layer.output, nn.functional.gelu(layer.intermediate.dense(x)), x)

    def added(self, output: nn.Module, x: Tensor, before: Tensor) -> Tensor:
        return output.LayerNorm(self.drop(output.dense(x)) + before)
