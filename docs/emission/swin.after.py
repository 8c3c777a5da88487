"""Swin: written by archspec from swin.yaml."""

import torch
from torch import Tensor, nn


class Attention(nn.Module):
    """[H, W, in_features] -> [H, W, in_features]."""

    def __init__(self, in_features: int, heads: int, window: int, shift: int = 0) -> None:
        super().__init__()
        self.shift = shift
        self.window = window
        self.heads = heads
        self.factor = (in_features // heads) ** -0.5
        self.qkv = nn.Linear(in_features, 3 * in_features)
        self.attn = nn.Softmax(dim=-1)
        self.proj = nn.Linear(heads * (in_features // heads), in_features)

    def forward(self, x: Tensor) -> Tensor:
        y = x
        if self.shift > 0:
            y = x.roll((-self.shift, -self.shift), (1, 2))
        y = y.reshape(
            y.shape[0],
            x.shape[1] // self.window,
            self.window,
            x.shape[2] // self.window,
            self.window,
            x.shape[3],
        )
        y = y.permute(0, 1, 3, 2, 4, 5)
        windows = y.reshape(
            y.shape[0],
            x.shape[1] // self.window * (x.shape[2] // self.window),
            self.window * self.window,
            x.shape[3],
        )
        y = torch.unflatten(self.qkv(windows), -1, (3, self.heads, x.shape[3] // self.heads))
        parts0, parts1, parts2 = y.permute(0, 3, 1, 4, 2, 5).chunk(3, 1)
        q = parts0.reshape(
            parts0.shape[0],
            parts0.shape[2],
            self.heads,
            self.window * self.window,
            x.shape[3] // self.heads,
        )
        scaled = q * self.factor
        k = parts1.reshape(
            parts1.shape[0],
            parts1.shape[2],
            self.heads,
            self.window * self.window,
            x.shape[3] // self.heads,
        )
        turned = k.permute(0, 1, 2, 4, 3)
        v = parts2.reshape(
            parts2.shape[0],
            parts2.shape[2],
            self.heads,
            self.window * self.window,
            x.shape[3] // self.heads,
        )
        y = self.proj((self.attn(scaled @ turned) @ v).permute(0, 1, 3, 2, 4).flatten(3))
        y = y.reshape(
            y.shape[0],
            x.shape[1] // self.window,
            x.shape[2] // self.window,
            self.window,
            self.window,
            x.shape[3],
        )
        y = y.permute(0, 1, 3, 2, 4, 5)
        x = y.reshape(y.shape[0], x.shape[1], x.shape[2], x.shape[3])
        if self.shift > 0:
            x = x.roll((self.shift, self.shift), (1, 2))
        return x


class Block(nn.Module):
    """[H, W, in_features] -> [H, W, in_features]."""

    def __init__(self, in_features: int, heads: int, window: int, shift: int = 0) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(in_features)
        self.attn = Attention(in_features, heads=heads, window=window, shift=shift)
        self.norm2 = nn.LayerNorm(in_features)
        self.mlp = nn.Sequential(
            nn.Linear(in_features, 4 * in_features),
            nn.GELU(),
            nn.Linear(4 * in_features, in_features),
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.attn(self.norm1(x)) + x
        out: Tensor = self.mlp(self.norm2(x)) + x
        return out


class Merging(nn.Module):
    """[H, W, in_features] -> [H / 2, W / 2, 2 * in_features]."""

    def __init__(self, in_features: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(4 * in_features)
        self.reduction = nn.Linear(4 * in_features, 2 * in_features, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x0 = x[:, ::2][:, :, ::2]
        x1 = x[:, 1::2][:, :, ::2]
        x = self.norm(torch.cat([x0, x1, x[:, ::2][:, :, 1::2], x[:, 1::2][:, :, 1::2]], 3))
        out: Tensor = self.reduction(x)
        return out


class Swin(nn.Module):
    """[3, H, W] -> [10]."""

    def __init__(self, classes: int = 10, width: int = 48) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, width, 4, stride=4)
        self.norm0 = nn.LayerNorm(width)
        self.layer1 = nn.Sequential(
            Block(width, heads=3, window=7), Block(width, heads=3, window=7, shift=3)
        )
        self.merge2 = Merging(width)
        self.layer2 = nn.Sequential(
            Block(2 * width, heads=6, window=7), Block(2 * width, heads=6, window=7, shift=3)
        )
        self.norm = nn.LayerNorm(2 * width)
        self.global_avg_pool1 = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(2 * width, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.layer1(self.norm0(self.patches(x).permute(0, 2, 3, 1)))
        x = self.merge2(x)
        x = self.layer2(x)
        out: Tensor = self.head(self.global_avg_pool1(self.norm(x).permute(0, 3, 1, 2)).flatten(1))
        return out
