"""VitB16: written by archspec from vit_b_16.yaml."""

from collections import OrderedDict

import torch
from torch import Tensor, nn


class EncoderBlock(nn.Module):
    """[N, in_features] -> [N, in_features]."""

    def __init__(self, in_features: int, heads: int, feed: int) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(in_features, eps=1e-06)
        self.self_attention = nn.MultiheadAttention(in_features, heads, batch_first=True)
        self.dropout1 = nn.Dropout(0.0)
        self.ln_2 = nn.LayerNorm(in_features, eps=1e-06)
        self.mlp = nn.Sequential(
            nn.Linear(in_features, feed),
            nn.GELU(),
            nn.Dropout(0.0),
            nn.Linear(feed, in_features),
            nn.Dropout(0.0),
        )
        for module in self.mlp.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.normal_(module.bias, std=1e-06)

    def forward(self, x: Tensor) -> Tensor:
        y = self.ln_1(x)
        y = self.self_attention(y, y, y, need_weights=False)[0]
        x = self.dropout1(y) + x
        out: Tensor = self.mlp(self.ln_2(x)) + x
        return out


class Encoder(nn.Module):
    """[N, in_features] -> [N, in_features]."""

    def __init__(
        self, in_features: int, size: int, patch: int, width: int, heads: int, layers: int
    ) -> None:
        super().__init__()
        self.pos_embedding = nn.Parameter(torch.zeros(1, (size // patch) ** 2 + 1, width))
        nn.init.normal_(self.pos_embedding, std=0.02)
        self.dropout1 = nn.Dropout(0.0)
        self.layers = nn.Sequential()
        for i in range(layers):
            self.layers.add_module(
                f"encoder_layer_{i}", EncoderBlock(in_features, heads=heads, feed=4 * width)
            )
        self.ln = nn.LayerNorm(in_features, eps=1e-06)

    def forward(self, x: Tensor) -> Tensor:
        x = self.dropout1(x + self.pos_embedding)
        x = self.layers(x)
        out: Tensor = self.ln(x)
        return out


class VitB16(nn.Module):
    """[3, 224, 224] -> [1000]."""

    def __init__(
        self,
        classes: int = 1000,
        size: int = 224,
        patch: int = 16,
        width: int = 768,
        heads: int = 12,
        layers: int = 12,
    ) -> None:
        super().__init__()
        self.conv_proj = nn.Conv2d(3, width, patch, stride=patch)
        nn.init.trunc_normal_(self.conv_proj.weight, std=(3 * patch**2) ** -0.5)
        if self.conv_proj.bias is not None:
            nn.init.zeros_(self.conv_proj.bias)
        self.class_token = nn.Parameter(torch.zeros(1, 1, width))
        self.encoder = Encoder(
            width, size=size, patch=patch, width=width, heads=heads, layers=layers
        )
        self.heads = nn.Sequential(OrderedDict(head=nn.Linear(width, classes)))
        for module in self.heads.modules():
            if isinstance(module, nn.Linear):
                nn.init.zeros_(module.weight)
                nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv_proj(x).flatten(2).permute(0, 2, 1)
        x = self.encoder(torch.cat([self.class_token.expand(x.shape[0], -1, -1), x], 1))
        out: Tensor = self.heads(x[:, 0])
        return out
