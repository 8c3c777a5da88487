"""VitTiny: written by archspec from vit_tiny.yaml."""

import torch
from torch import Tensor, nn


class EncoderLayer(nn.Module):
    """[N, in_features] -> [N, in_features]."""

    def __init__(self, in_features: int, heads: int, feed: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(in_features, eps=1e-06)
        self.attn = nn.MultiheadAttention(in_features, heads, batch_first=True)
        self.norm2 = nn.LayerNorm(in_features, eps=1e-06)
        self.mlp = nn.Sequential(
            nn.Linear(in_features, feed), nn.GELU(), nn.Linear(feed, in_features)
        )

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm1(x)
        x = self.attn(y, y, y, need_weights=False)[0] + x
        out: Tensor = self.mlp(self.norm2(x)) + x
        return out


class VitTiny(nn.Module):
    """[3, 224, 224] -> [1000]."""

    def __init__(
        self,
        classes: int = 1000,
        size: int = 224,
        patch: int = 16,
        width: int = 192,
        heads: int = 3,
        layers: int = 12,
    ) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, width, patch, stride=patch)
        self.cls = nn.Parameter(torch.zeros(1, width))
        self.positions = nn.Parameter(torch.zeros((size // patch) ** 2 + 1, width))
        self.layers = nn.Sequential(
            *(EncoderLayer(width, heads=heads, feed=4 * width) for _ in range(layers))
        )
        self.norm = nn.LayerNorm(width, eps=1e-06)
        self.head = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).permute(0, 2, 1)
        x = self.layers(torch.cat([self.cls.expand(x.shape[0], -1, -1), x], 1) + self.positions)
        out: Tensor = self.head(self.norm(x)[:, 0])
        return out
