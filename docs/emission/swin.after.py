"""Swin: written by archspec from swin.yaml."""

import torch
from torch import Tensor, nn


class Attention(nn.Module):
    """[C, H, in_width] -> [C, H, in_width]."""

    def __init__(self, in_width: int, heads: int, window: int, shift: int = 0) -> None:
        super().__init__()
        self.shift = shift
        self.window = window
        self.heads = heads
        self.qkv = nn.Linear(in_width, 3 * in_width)
        self.attn = nn.Softmax(dim=-1)
        self.proj = nn.Linear(heads * (in_width // heads), in_width)

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
        scaled = q * (x.shape[3] // self.heads) ** -0.5
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
    """[C, H, in_width] -> [C, H, in_width]."""

    def __init__(self, in_width: int, heads: int, window: int, shift: int = 0) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(in_width)
        self.attn = Attention(in_width=in_width, heads=heads, window=window, shift=shift)
        self.norm2 = nn.LayerNorm(in_width)
        self.mlp = nn.Sequential(
            nn.Linear(in_width, 4 * in_width), nn.GELU(), nn.Linear(4 * in_width, in_width)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.attn(self.norm1(x)) + x
        out: Tensor = self.mlp(self.norm2(x)) + x
        return out


class Merging(nn.Module):
    """[C, H, in_width] -> [C / 2, H / 2, 2 * in_width]."""

    def __init__(self, in_width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(4 * in_width)
        self.reduction = nn.Linear(4 * in_width, 2 * in_width, bias=False)

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
            Block(in_width=width, heads=3, window=7),
            Block(in_width=width, heads=3, window=7, shift=3),
        )
        self.merge2 = Merging(in_width=width)
        self.layer2 = nn.Sequential(
            Block(in_width=2 * width, heads=6, window=7),
            Block(in_width=2 * width, heads=6, window=7, shift=3),
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
